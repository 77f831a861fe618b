//! `postgresql_user`: a role that may log in, its password, attributes and settings.

use super::server::field;
use super::{LOGIN_ARGS, Server, Statements, ident, literal, password};
use crate::modules::{Arg, Args, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_user",
    collection: "community.postgresql",
    summary: "adds, changes and removes users of PostgreSQL",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the user").required().aliases(&["user"]),
    Arg::new("password", Kind::Str, "password, plain or as the server keeps it; empty for none").secret(),
    Arg::new("login_db", Kind::Str, "the database to log in to").aliases(&["db"]).default(""),
    Arg::new("fail_on_user", Kind::Bool, "fail where it cannot be removed").aliases(&["fail_on_role"]).default("yes"),
    Arg::new("role_attr_flags", Kind::Str, "such as `CREATEDB,NOSUPERUSER`").default(""),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("encrypted", Kind::Bool, "the server always keeps passwords encrypted").inert().default("yes"),
    Arg::new("expires", Kind::Str, "until when the password is valid"),
    Arg::new("no_password_changes", Kind::Bool, "leave the password of an existing user alone").default("no"),
    Arg::new("conn_limit", Kind::Int, "how many connections it may have"),
    Arg::new("comment", Kind::Str, "comment on it"),
    Arg::new("configuration", Kind::Dict, "settings of its sessions"),
    Arg::new("reset_unspecified_configuration", Kind::Bool, "reset settings that are not given").default("no"),
    Arg::new("quote_configuration_values", Kind::Bool, "quote the values of settings").default("yes"),
];

/// Attributes and their columns.
const FLAGS: &[(&str, &str)] = &[
    ("SUPERUSER", "rolsuper"),
    ("CREATEROLE", "rolcreaterole"),
    ("CREATEUSER", "rolcreaterole"),
    ("CREATEDB", "rolcreatedb"),
    ("INHERIT", "rolinherit"),
    ("LOGIN", "rolcanlogin"),
    ("REPLICATION", "rolreplication"),
    ("BYPASSRLS", "rolbypassrls"),
];

const HIDDEN: &str = "%(password)s";

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    let server = Server::of(args, look, "")?;
    let flags = flags(args)?;
    let found = find(&server, name)?;
    let mut plan = Plan::default();
    plan.set("user", name);
    let mut todo = Statements::default();
    match (args.str("state"), &found) {
        (Some("absent"), None) => {}
        (Some("absent"), Some(_)) => {
            plan.set("user_removed", true);
            todo.push(drop_user(args, name));
        }
        (_, None) => create(args, name, &flags, &mut todo),
        (_, Some(found)) => alter(args, &server, name, found, &flags, &mut todo)?,
    }
    let before = found.map_or(Value::Null, |found| described(&found));
    server.carry_out(&format!("user {name}"), before, todo, &mut plan);
    Ok(plan)
}

/// Where a failure to remove is no failure, only looking tells whether it is gone.
fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    if args.str("state") == Some("absent") && !args.bool("fail_on_user") && !done.is_empty() {
        let is_gone = find(&Server::of(args, look, "")?, args.required("name")?)?.is_none();
        values.insert("user_removed".into(), is_gone.into());
        values.insert("changed".into(), is_gone.into());
    }
    Ok(values)
}

/// `pg_authid` has the password, but only a superuser may read it.
fn find(server: &Server<'_>, name: &str) -> Result<Option<Value>, Failure> {
    let columns = "r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolinherit, r.rolcanlogin, r.rolreplication, \
                   r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil, shobj_description(r.oid, 'pg_authid') AS comment, \
                   (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0) AS settings";
    let name = literal(name);
    let whole = server.row(&format!("SELECT {columns}, r.rolpassword FROM pg_authid r WHERE r.rolname = {name}"));
    match whole {
        Err(failure) if failure.msg.contains("permission denied") => {
            server.row(&format!("SELECT {columns}, '********' AS rolpassword FROM pg_roles r WHERE r.rolname = {name}"))
        }
        other => other,
    }
}

fn described(found: &Value) -> Value {
    let keys = ["rolname", "rolsuper", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolconnlimit", "rolvaliduntil"];
    keys.map(|key| (key, found.get(key).cloned().unwrap_or_default())).into_iter().collect()
}

/// The flags in capitals, each known.
fn flags(args: &Args) -> Result<Vec<String>, Failure> {
    let text = args.str("role_attr_flags").unwrap_or_default().to_uppercase();
    let flags: Vec<String> = text.split([',', ' ']).map(str::trim).filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
    let unknown = flags.iter().find(|flag| column(flag).is_none());
    match unknown {
        Some(flag) => Err(Failure::new(format!(
            "Invalid role_attr_flags specified: {flag}; there are {}, each also with NO before it",
            FLAGS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        ))),
        None => Ok(flags),
    }
}

/// Its column and whether it is to be true.
fn column(flag: &str) -> Option<(&'static str, bool)> {
    let find = |name: &str| FLAGS.iter().find(|(known, _)| *known == name).map(|(_, column)| *column);
    find(flag).map(|column| (column, true)).or_else(|| find(flag.strip_prefix("NO")?).map(|column| (column, false)))
}

fn drop_user(args: &Args, name: &str) -> String {
    let sql = format!("DROP USER {}", ident(name));
    if args.bool("fail_on_user") {
        return sql;
    }
    format!("DO $roll$ BEGIN EXECUTE {}; EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $roll$", literal(&sql))
}

/// `PASSWORD '…'`, as it is run and as it is shown.
fn password_clause(text: &str) -> (String, String) {
    match text {
        "" => (" PASSWORD NULL".to_owned(), " PASSWORD NULL".to_owned()),
        text => (format!(" ENCRYPTED PASSWORD {}", literal(text)), format!(" ENCRYPTED PASSWORD {HIDDEN}")),
    }
}

fn create(args: &Args, name: &str, flags: &[String], todo: &mut Statements) {
    let mut head = format!("CREATE USER {}", ident(name));
    let mut rest = String::new();
    if let Some(until) = args.str("expires") {
        rest.push_str(&format!(" VALID UNTIL {}", literal(until)));
    }
    if let Some(limit) = args.int("conn_limit") {
        rest.push_str(&format!(" CONNECTION LIMIT {limit}"));
    }
    flags.iter().for_each(|flag| rest.push_str(&format!(" {flag}")));
    match args.str("password").map(password_clause) {
        Some((run, shown)) => todo.push_as(format!("{head} WITH{run}{rest}"), format!("{head} WITH{shown}{rest}")),
        None => {
            if !rest.is_empty() {
                head.push_str(" WITH");
            }
            todo.push(head + &rest);
        }
    }
    comment(args, name, "", todo);
    configure(args, name, &[], todo);
}

fn alter(
    args: &Args,
    server: &Server<'_>,
    name: &str,
    found: &Value,
    flags: &[String],
    todo: &mut Statements,
) -> Result<(), Failure> {
    let mut rest = String::new();
    for flag in flags {
        let (column, wanted) = column(flag).unwrap_or_default();
        if found.get(column).and_then(Value::as_bool) != Some(wanted) {
            rest.push_str(&format!(" {flag}"));
        }
    }
    if let Some(until) = args.str("expires")
        && !is_until(server, name, until)?
    {
        rest.push_str(&format!(" VALID UNTIL {}", literal(until)));
    }
    if let Some(limit) = args.int("conn_limit").filter(|limit| Some(*limit) != found.get("rolconnlimit").and_then(Value::as_int))
    {
        rest.push_str(&format!(" CONNECTION LIMIT {limit}"));
    }
    let password = args.str("password").filter(|text| !args.bool("no_password_changes") && must_change(found, text, name));
    let head = format!("ALTER USER {} WITH", ident(name));
    match password.map(password_clause) {
        Some((run, shown)) => todo.push_as(format!("{head}{run}{rest}"), format!("{head}{shown}{rest}")),
        None if !rest.is_empty() => todo.push(head + &rest),
        None => {}
    }
    comment(args, name, &field(found, "comment"), todo);
    let settings = found.get("settings").and_then(Value::as_list).unwrap_or_default();
    let settings: Vec<String> = settings.iter().map(|one| one.to_text().as_str().to_owned()).collect();
    configure(args, name, &settings, todo);
    Ok(())
}

fn is_until(server: &Server<'_>, name: &str, until: &str) -> Result<bool, Failure> {
    let (name, until) = (literal(name), literal(until));
    server.finds(&format!("SELECT 1 AS same FROM pg_roles WHERE rolname = {name} AND rolvaliduntil = {until}::timestamptz"))
}

fn must_change(found: &Value, wanted: &str, name: &str) -> bool {
    let stored = field(found, "rolpassword");
    if wanted.is_empty() {
        return !stored.is_empty();
    }
    if password::is_stored_form(wanted) {
        return stored != wanted;
    }
    !password::is_same(&stored, wanted, name)
}

fn comment(args: &Args, name: &str, found: &str, todo: &mut Statements) {
    if let Some(text) = args.str("comment").filter(|text| *text != found) {
        todo.push(format!("COMMENT ON ROLE {} IS {}", ident(name), literal(text)));
    }
}

/// `found` holds `name=value` lines.
fn configure(args: &Args, name: &str, found: &[String], todo: &mut Statements) {
    let Some(wanted) = args.dict("configuration") else { return };
    let name = ident(name);
    let now = |key: &str| found.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned));
    for (key, value) in wanted {
        let (key, value) = (key.to_string(), setting(value));
        if now(&key).as_deref() != Some(value.as_str()) {
            let value = if args.bool("quote_configuration_values") { literal(&value) } else { value };
            todo.push(format!("ALTER USER {name} SET {key} TO {value}"));
        }
    }
    if !args.bool("reset_unspecified_configuration") {
        return;
    }
    for key in found.iter().filter_map(|line| line.split_once('=')).map(|(key, _)| key) {
        if !wanted.keys().any(|wanted| wanted.as_str() == Some(key)) {
            todo.push(format!("ALTER USER {name} RESET {key}"));
        }
    }
}

fn setting(value: &Value) -> String {
    match value {
        Value::Bool(truth) => if *truth { "on" } else { "off" }.to_owned(),
        other => other.to_text().as_str().to_owned(),
    }
}
