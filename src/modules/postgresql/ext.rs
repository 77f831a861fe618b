//! `postgresql_ext`: an extension in a database, its version and its schema.

use super::server::field;
use super::{DATABASE_ARG, LOGIN_ARGS, Server, Statements, ident, literal};
use crate::modules::{Arg, Args, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_ext",
    collection: "community.postgresql",
    summary: "adds, updates and removes extensions of a database",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the extension").required().aliases(&["ext"]),
    DATABASE_ARG.required(),
    Arg::new("schema", Kind::Str, "the schema for what it brings"),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("cascade", Kind::Bool, "with what it needs, or with what needs it").default("no"),
    Arg::new("version", Kind::Str, "its version, or `latest`"),
    Arg::new("comment", Kind::Str, "comment on it"),
];

fn query(name: &str) -> String {
    format!(
        "SELECT a.default_version, e.extversion, n.nspname, obj_description(e.oid, 'pg_extension') AS comment \
         FROM pg_available_extensions a LEFT JOIN pg_extension e ON e.extname = a.name \
         LEFT JOIN pg_namespace n ON n.oid = e.extnamespace WHERE a.name = {}",
        literal(name)
    )
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look, "")?;
    let name = args.required("name")?;
    let found = server.row(&query(name))?;
    let is_wanted = args.str("state") != Some("absent");
    let missing =
        || Failure::new(format!("Extension {name} is not available: the server has no files for it; install its package first"));
    let installed = found.as_ref().map(|row| field(row, "extversion")).unwrap_or_default();
    let mut todo = Statements::default();
    let cascade = if args.bool("cascade") { " CASCADE" } else { "" };
    if !is_wanted {
        if !installed.is_empty() {
            todo.push(format!("DROP EXTENSION {}{cascade}", ident(name)));
        }
    } else {
        let row = found.as_ref().ok_or_else(missing)?;
        let version = args.str("version").filter(|version| !version.is_empty());
        let version = version.map(|version| if version == "latest" { field(row, "default_version") } else { version.to_owned() });
        if installed.is_empty() {
            let schema = args.str("schema").map(|schema| format!(" WITH SCHEMA {}", ident(schema))).unwrap_or_default();
            let version = version.map(|version| format!(" VERSION {}", literal(&version))).unwrap_or_default();
            todo.push(format!("CREATE EXTENSION {}{schema}{version}{cascade}", ident(name)));
        } else {
            if let Some(version) = version.filter(|version| *version != installed) {
                todo.push(format!("ALTER EXTENSION {} UPDATE TO {}", ident(name), literal(&version)));
            }
            if let Some(schema) = args.str("schema").filter(|schema| *schema != field(row, "nspname")) {
                todo.push(format!("ALTER EXTENSION {} SET SCHEMA {}", ident(name), ident(schema)));
            }
        }
        if let Some(comment) = args.str("comment").filter(|text| *text != field(row, "comment")) {
            todo.push(format!("COMMENT ON EXTENSION {} IS {}", ident(name), literal(comment)));
        }
    }
    let mut plan = Plan::default();
    plan.set("db", args.str("login_db"))
        .set("ext", name)
        .set("prev_version", installed.as_str())
        .set("version", installed.as_str());
    server.carry_out(&format!("extension {name}"), installed, todo, &mut plan);
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, _: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let found = Server::of(args, look, "")?.row(&query(args.required("name")?))?;
    values.insert("version".into(), found.map(|row| Value::from(field(&row, "extversion"))).unwrap_or_else(|| "".into()));
    Ok(values)
}
