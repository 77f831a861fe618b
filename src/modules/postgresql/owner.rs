//! `postgresql_owner`: who owns an object, or all that somebody else owns.

use super::server::dotted;
use super::{DATABASE_ARG, LOGIN_ARGS, Server, Statements, ident, literal};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, Rule, finish_plainly};

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_owner",
    collection: "community.postgresql",
    summary: "changes who owns objects of a database",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[
        Rule::Exclusive(&["obj_name", "reassign_owned_by"]),
        Rule::OneOf(&["obj_name", "reassign_owned_by"]),
        Rule::Together(&["obj_name", "obj_type"]),
    ],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("new_owner", Kind::Str, "who is to own it").required(),
    Arg::new("obj_name", Kind::Str, "the object"),
    Arg::new("obj_type", Kind::Str, "what it is").aliases(&["type"]).choices(&[
        "aggregate",
        "collation",
        "conversion",
        "database",
        "domain",
        "event_trigger",
        "foreign_data_wrapper",
        "foreign_table",
        "function",
        "language",
        "large_object",
        "matview",
        "procedure",
        "publication",
        "routine",
        "schema",
        "sequence",
        "server",
        "statistics",
        "table",
        "tablespace",
        "text_search_configuration",
        "text_search_dictionary",
        "type",
        "view",
    ]),
    Arg::new("reassign_owned_by", Kind::List, "roles that lose all they own in the database"),
    Arg::new("fail_on_role", Kind::Bool, "fail where a role is not there").default("yes"),
    DATABASE_ARG,
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look, "postgres")?;
    let owner = args.required("new_owner")?;
    let mut plan = Plan::default();
    let mut todo = Statements::default();
    if !is_role(&server, owner)? {
        let failure = Failure::new(format!("new_owner role {owner} does not exist"));
        return if args.bool("fail_on_role") { Err(failure) } else { Ok(skipped(plan, &failure)) };
    }
    if let (Some(name), Some(kind)) = (args.str("obj_name"), args.str("obj_type")) {
        let now = server.row(&format!("SELECT {} AS owner", owner_of(kind, name)))?;
        let now = now.map(|row| super::server::field(&row, "owner")).unwrap_or_default();
        if now.is_empty() {
            return Err(Failure::new(format!("there is no {} {name}", words(kind).to_lowercase())));
        }
        if now != owner {
            let object = if kind == "large_object" { name.to_owned() } else { dotted_call(name) };
            todo.push(format!("ALTER {} {object} OWNER TO {}", words(kind), ident(owner)));
        }
    }
    for role in args.list("reassign_owned_by") {
        if !is_role(&server, &role)? {
            let failure = Failure::new(format!("role {role} does not exist"));
            if args.bool("fail_on_role") {
                return Err(failure);
            }
            continue;
        }
        if owns_something(&server, &role)? {
            todo.push(format!("REASSIGN OWNED BY {} TO {}", ident(&role), ident(owner)));
        }
    }
    server.carry_out(&format!("owner {owner}"), "", todo, &mut plan);
    Ok(plan)
}

fn skipped(mut plan: Plan, failure: &Failure) -> Plan {
    plan.set("warnings", vec![failure.msg.clone()]).set("queries", Vec::<String>::new());
    plan
}

fn is_role(server: &Server<'_>, role: &str) -> Result<bool, Failure> {
    server.finds(&format!("SELECT 1 AS found FROM pg_roles WHERE rolname = {}", literal(role)))
}

/// In this database, or a database itself.
fn owns_something(server: &Server<'_>, role: &str) -> Result<bool, Failure> {
    let role = literal(role);
    server.finds(&format!(
        "SELECT 1 AS found FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid WHERE r.rolname = {role} AND d.deptype = 'o' \
         AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) LIMIT 1"
    ))
}

/// An expression for the name of who owns it, null where it is not there.
fn owner_of(kind: &str, name: &str) -> String {
    let (name, quoted) = (literal(name), literal(&dotted_call(name)));
    let by = |table: &str, column: &str, owner: &str| {
        format!("(SELECT pg_get_userbyid({owner}) FROM {table} WHERE {column} = {name} LIMIT 1)")
    };
    let of = |table: &str, owner: &str, cast: &str| {
        format!("(SELECT pg_get_userbyid({owner}) FROM {table} WHERE oid = to_{cast}({quoted})::oid)")
    };
    match kind {
        "database" => by("pg_database", "datname", "datdba"),
        "schema" => by("pg_namespace", "nspname", "nspowner"),
        "tablespace" => by("pg_tablespace", "spcname", "spcowner"),
        "language" => by("pg_language", "lanname", "lanowner"),
        "event_trigger" => by("pg_event_trigger", "evtname", "evtowner"),
        "foreign_data_wrapper" => by("pg_foreign_data_wrapper", "fdwname", "fdwowner"),
        "server" => by("pg_foreign_server", "srvname", "srvowner"),
        "publication" => by("pg_publication", "pubname", "pubowner"),
        "collation" => by("pg_collation", "collname", "collowner"),
        "conversion" => by("pg_conversion", "conname", "conowner"),
        "statistics" => by("pg_statistic_ext", "stxname", "stxowner"),
        "text_search_configuration" => by("pg_ts_config", "cfgname", "cfgowner"),
        "text_search_dictionary" => by("pg_ts_dict", "dictname", "dictowner"),
        "large_object" => by("pg_largeobject_metadata", "oid::text", "lomowner"),
        "type" | "domain" => of("pg_type", "typowner", "regtype"),
        "function" | "procedure" | "routine" | "aggregate" => {
            by("pg_proc", "proname", "proowner").replace(&name, &format!("split_part({name}, '(', 1)"))
        }
        _ => of("pg_class", "relowner", "regclass"),
    }
}

/// As ALTER names the kind.
fn words(kind: &str) -> String {
    match kind {
        "matview" => "MATERIALIZED VIEW".to_owned(),
        other => other.replace('_', " ").to_uppercase(),
    }
}

/// A function may bring its arguments.
fn dotted_call(name: &str) -> String {
    match name.split_once('(') {
        Some((name, rest)) => format!("{}({rest}", dotted(name)),
        None => dotted(name),
    }
}
