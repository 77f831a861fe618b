//! `postgresql_schema`: a schema and who owns it.

use super::server::field;
use super::{DATABASE_ARG, LOGIN_ARGS, Server, Statements, ident, literal};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_schema",
    collection: "community.postgresql",
    summary: "adds and removes schemas of PostgreSQL",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the schema").required().aliases(&["schema"]),
    DATABASE_ARG.default("postgres"),
    Arg::new("owner", Kind::Str, "who owns it").default(""),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("cascade_drop", Kind::Bool, "remove what is in it as well").default("no"),
    Arg::new("comment", Kind::Str, "comment on it"),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look, "postgres")?;
    let name = args.required("name")?;
    let found = server.row(&format!(
        "SELECT pg_get_userbyid(nspowner) AS owner, obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname = {}",
        literal(name)
    ))?;
    let owner = args.str("owner").filter(|owner| !owner.is_empty());
    let mut todo = Statements::default();
    match (args.str("state"), &found) {
        (Some("absent"), None) => {}
        (Some("absent"), Some(_)) => {
            todo.push(format!("DROP SCHEMA {}{}", ident(name), if args.bool("cascade_drop") { " CASCADE" } else { "" }));
        }
        (_, None) => {
            let owner = owner.map(|owner| format!(" AUTHORIZATION {}", ident(owner))).unwrap_or_default();
            todo.push(format!("CREATE SCHEMA {}{owner}", ident(name)));
            comment(args, name, "", &mut todo);
        }
        (_, Some(found)) => {
            if let Some(owner) = owner.filter(|owner| *owner != field(found, "owner")) {
                todo.push(format!("ALTER SCHEMA {} OWNER TO {}", ident(name), ident(owner)));
            }
            comment(args, name, &field(found, "comment"), &mut todo);
        }
    }
    let mut plan = Plan::default();
    plan.set("schema", name);
    server.carry_out(&format!("schema {name}"), found.unwrap_or_default(), todo, &mut plan);
    Ok(plan)
}

fn comment(args: &Args, name: &str, found: &str, todo: &mut Statements) {
    if let Some(text) = args.str("comment").filter(|text| *text != found) {
        todo.push(format!("COMMENT ON SCHEMA {} IS {}", ident(name), literal(text)));
    }
}
