//! `postgresql_privs`: who may do what with which objects.
//!
//! What everybody has is read from the access lists; a GRANT or REVOKE is made only where something is missing or too much.

use super::privilege::{DEFAULTS, SORTS, Sort, defaults, memberships, parameters};
use super::server::field;
use super::{DATABASE_ARG, LOGIN_ARGS, Server, Statements, ident, literal};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_privs",
    collection: "community.postgresql",
    summary: "grants and revokes privileges in PostgreSQL",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    DATABASE_ARG.required(),
    Arg::new("state", Kind::Str, "whether they have it").default("present").choices(&["absent", "present"]),
    Arg::new("privs", Kind::Str, "privileges, separated by commas; `ALL` for all").aliases(&["priv"]),
    Arg::new("type", Kind::Str, "what the objects are").default("table").choices(&[
        "database",
        "default_privs",
        "foreign_data_wrapper",
        "foreign_server",
        "function",
        "group",
        "language",
        "table",
        "tablespace",
        "schema",
        "sequence",
        "type",
        "procedure",
        "parameter",
    ]),
    Arg::new("objs", Kind::Str, "objects, separated by commas; `ALL_IN_SCHEMA` for all").aliases(&["obj"]),
    Arg::new("schema", Kind::Str, "the schema of the objects; `public` if not given"),
    Arg::new("roles", Kind::Str, "roles, separated by commas; `PUBLIC` for everybody").required().aliases(&["role"]),
    Arg::new("fail_on_role", Kind::Bool, "fail where a role is not there").default("yes"),
    Arg::new("target_roles", Kind::Str, "for `default_privs`, whose new objects it is about"),
    Arg::new("grant_option", Kind::Bool, "they may pass it on").aliases(&["admin_option"]),
];

/// One GRANT or REVOKE to be judged.
struct Grant<'a> {
    args: &'a Args,
    server: Server<'a>,
    roles: Vec<String>,
    is_wanted: bool,
}

/// What somebody has on an object.
struct Held {
    name: String,
    role: String,
    privilege: String,
    is_grantable: bool,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look, "")?;
    let mut plan = Plan::default();
    let grant = Grant { args, roles: roles(args, &server, &mut plan)?, server, is_wanted: args.str("state") == Some("present") };
    let mut todo = Statements::default();
    if !grant.roles.is_empty() {
        match args.str("type").unwrap_or("table") {
            "default_privs" => grant.defaults(&mut todo)?,
            "group" => grant.groups(&mut todo)?,
            "parameter" => grant.parameters(&mut todo)?,
            other => {
                let sort = SORTS.iter().copied().find(|sort| sort.name == other);
                grant.objects(sort.ok_or_else(|| Failure::new(format!("type: {other}")))?, &mut todo)?;
            }
        }
    }
    let what = format!("privileges of {}", grant.roles.join(", "));
    grant.server.carry_out(&what, "", todo, &mut plan);
    Ok(plan)
}

fn split(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Those of the roles that are there.
fn roles(args: &Args, server: &Server<'_>, plan: &mut Plan) -> Result<Vec<String>, Failure> {
    let mut there = Vec::new();
    for role in split(args.str("roles")) {
        let is_public = role.eq_ignore_ascii_case("public") && args.str("type") != Some("group");
        if is_public {
            there.push("PUBLIC".to_owned());
        } else if server.finds(&format!("SELECT 1 AS found FROM pg_roles WHERE rolname = {}", literal(&role)))? {
            there.push(role);
        } else if args.bool("fail_on_role") {
            return Err(Failure::new(format!("Role '{role}' does not exist")));
        } else {
            plan.set("warnings", vec![format!("Role '{role}' does not exist, pass it")]);
        }
    }
    Ok(there)
}

impl Grant<'_> {
    /// The privileges of the task, `ALL` spelled out; words that GRANT takes in two ways in one.
    fn privileges(&self, all: &[&str]) -> Result<Vec<String>, Failure> {
        let given = split(self.args.str("privs")).into_iter().map(|word| word.to_uppercase()).collect::<Vec<_>>();
        if given.is_empty() {
            return Err(Failure::new("`privs` must say which privileges"));
        }
        let mut out = Vec::new();
        for word in given {
            match word.as_str() {
                "ALL" | "ALL PRIVILEGES" => out.extend(all.iter().map(|one| (*one).to_owned())),
                "TEMP" => out.push("TEMPORARY".to_owned()),
                word if all.contains(&word) || word == "MAINTAIN" => out.push(word.to_owned()),
                word => return Err(Failure::new(format!("Invalid privs specified: {word}; there are {}", all.join(", ")))),
            }
        }
        Ok(out)
    }

    fn schema(&self) -> &str {
        self.args.str("schema").filter(|schema| !schema.is_empty()).unwrap_or("public")
    }

    fn held(&self, query: &str) -> Result<Vec<Held>, Failure> {
        let rows = self.server.rows(query)?;
        let held = |row: &Value| Held {
            name: field(row, "name"),
            role: field(row, "role"),
            privilege: field(row, "privilege"),
            is_grantable: row.get("grantable").and_then(Value::as_bool).unwrap_or(false),
        };
        Ok(rows.iter().map(held).collect())
    }

    fn objects(&self, sort: Sort, todo: &mut Statements) -> Result<(), Failure> {
        let schema = self.schema();
        let given = match (self.args.str("objs"), sort.name) {
            (None, "database") => self.args.str("login_db").map(str::to_owned).into_iter().collect(),
            (objects, _) => split(objects).iter().map(|name| name.replace(':', ",")).collect::<Vec<_>>(),
        };
        let is_all = given.first().is_some_and(|name| name == "ALL_IN_SCHEMA");
        if given.is_empty() {
            return Err(Failure::new(format!("`objs` must say which {}s", sort.name)));
        }
        if is_all && !sort.has_schema() {
            return Err(Failure::new(format!("ALL_IN_SCHEMA is for what a schema holds, not for a {}", sort.name)));
        }
        let held = self.held(&sort.query(schema, (!is_all).then_some(given.as_slice())))?;
        let mut names: Vec<String> = held.iter().map(|one| one.name.clone()).collect();
        names.dedup();
        let bare = |name: &str| name.split('(').next().unwrap_or_default().trim_matches('"').to_owned();
        if let Some(missing) = given.iter().find(|name| !is_all && !names.iter().any(|there| bare(there) == bare(name))) {
            let place = if sort.has_schema() { format!(" in schema {schema}") } else { String::new() };
            return Err(Failure::new(format!("there is no {} {missing}{place}", sort.name)));
        }
        let privileges = self.privileges(sort.all)?;
        if self.is_needed(&names, &privileges, &held) {
            let list: Vec<String> = names.iter().map(|name| sort.object(schema, name)).collect();
            todo.push(self.sentence("", &privileges.join(", "), &format!(" ON {} {}", sort.word, list.join(", ")), false));
        }
        Ok(())
    }

    fn parameters(&self, todo: &mut Statements) -> Result<(), Failure> {
        let names = split(self.args.str("objs"));
        if names.is_empty() {
            return Err(Failure::new("`objs` must say which parameters"));
        }
        let privileges = self.privileges(&["SET", "ALTER SYSTEM"])?;
        let held = self.held(&parameters(&names))?;
        let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        if self.is_needed(&lower, &privileges, &held) {
            todo.push(self.sentence("", &privileges.join(", "), &format!(" ON PARAMETER {}", lower.join(", ")), false));
        }
        Ok(())
    }

    fn groups(&self, todo: &mut Statements) -> Result<(), Failure> {
        let groups = split(self.args.str("objs"));
        if groups.is_empty() {
            return Err(Failure::new("`objs` must say which groups"));
        }
        let held = self.held(&memberships(&groups))?;
        if let Some(missing) = groups.iter().find(|group| !held.iter().any(|one| one.name == **group)) {
            return Err(Failure::new(format!("Role '{missing}' does not exist")));
        }
        if self.is_needed(&groups, &["MEMBER".to_owned()], &held) {
            let list: Vec<String> = groups.iter().map(|group| ident(group)).collect();
            todo.push(self.sentence("", &list.join(", "), "", true));
        }
        Ok(())
    }

    fn defaults(&self, todo: &mut Statements) -> Result<(), Failure> {
        let schema = Some(self.schema()).filter(|schema| *schema != "not-specified");
        let given = split(self.args.str("objs")).iter().map(|name| name.to_uppercase()).collect::<Vec<_>>();
        let is_all = given.iter().any(|name| name == "ALL_DEFAULT");
        let kinds = DEFAULTS.iter().filter(|kind| given.iter().any(|name| name == kind.0) || is_all && kind.0 != "SCHEMAS");
        let unknown = given.iter().find(|name| *name != "ALL_DEFAULT" && !DEFAULTS.iter().any(|kind| kind.0 == name.as_str()));
        if let Some(name) = unknown {
            return Err(Failure::new(format!(
                "Invalid Object set specified: {name}; there are TABLES, SEQUENCES, FUNCTIONS, TYPES, SCHEMAS and ALL_DEFAULT"
            )));
        }
        let targets = split(self.args.str("target_roles"));
        let owners: Vec<Option<&str>> =
            if targets.is_empty() { vec![None] } else { targets.iter().map(|role| Some(role.as_str())).collect() };
        for kind in kinds {
            let mut privileges = match (is_all, self.privileges(kind.3)) {
                (true, Err(_)) => continue,
                (_, privileges) => privileges?,
            };
            privileges.retain(|one| kind.3.contains(&one.as_str()));
            for owner in &owners {
                let held = self.held(&defaults(*owner, schema, kind))?;
                if self.is_needed(&[kind.0.to_owned()], &privileges, &held) {
                    let mut head = "ALTER DEFAULT PRIVILEGES ".to_owned();
                    head.push_str(&owner.map(|role| format!("FOR ROLE {} ", ident(role))).unwrap_or_default());
                    head.push_str(&schema.map(|schema| format!("IN SCHEMA {} ", ident(schema))).unwrap_or_default());
                    todo.push(self.sentence(&head, &privileges.join(", "), &format!(" ON {}", kind.0), false));
                }
            }
        }
        Ok(())
    }

    /// Whether a role lacks one of them, has one too many, or may pass it on against the task's will.
    fn is_needed(&self, names: &[String], privileges: &[String], held: &[Held]) -> bool {
        let option = self.args.get("grant_option").and_then(Value::as_bool);
        names.iter().any(|name| {
            self.roles.iter().any(|role| {
                privileges.iter().any(|privilege| {
                    let found = held.iter().find(|one| one.name == *name && one.role == *role && one.privilege == *privilege);
                    match (self.is_wanted, found) {
                        (true, None) => true,
                        (true, Some(found)) => option.is_some_and(|option| option != found.is_grantable),
                        (false, None) => false,
                        (false, Some(found)) => option != Some(true) || found.is_grantable,
                    }
                })
            })
        })
    }

    /// `GRANT … TO …` or `REVOKE … FROM …`; `is_role` for memberships, whose option has another name.
    fn sentence(&self, head: &str, what: &str, on: &str, is_role: bool) -> String {
        let word = if is_role { "ADMIN" } else { "GRANT" };
        let roles: Vec<String> =
            self.roles.iter().map(|role| if role == "PUBLIC" { role.clone() } else { ident(role) }).collect();
        let roles = roles.join(", ");
        let option = self.args.get("grant_option").and_then(Value::as_bool);
        match (self.is_wanted, option) {
            (true, Some(true)) => format!("{head}GRANT {what}{on} TO {roles} WITH {word} OPTION"),
            (true, None) => format!("{head}GRANT {what}{on} TO {roles}"),
            (true, Some(false)) => {
                format!("{head}GRANT {what}{on} TO {roles};\n{head}REVOKE {word} OPTION FOR {what}{on} FROM {roles}")
            }
            (false, Some(true)) => format!("{head}REVOKE {word} OPTION FOR {what}{on} FROM {roles}"),
            (false, _) => format!("{head}REVOKE {what}{on} FROM {roles}"),
        }
    }
}
