//! `postgresql_set`: a setting of the server, by `ALTER SYSTEM`.

use super::server::field;
use super::{DATABASE_ARG, LOGIN_ARGS, Server, Statements, literal};
use crate::modules::{Arg, Args, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_set",
    collection: "community.postgresql",
    summary: "changes a setting of a server of PostgreSQL",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the setting").required(),
    Arg::new("value", Kind::Str, "its value, as in postgresql.conf; units are capitals (`1MB`), other than `ms` and the like"),
    Arg::new("reset", Kind::Bool, "back to its default").default("no"),
    DATABASE_ARG,
];

fn query(name: &str) -> String {
    format!(
        "SELECT s.name, s.setting, s.unit, s.context, s.vartype, s.boot_val, s.min_val, s.max_val, s.pending_restart, \
         current_setting(s.name) AS pretty, f.setting AS filed \
         FROM pg_settings s LEFT JOIN (SELECT name, setting FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf') f \
         ON f.name = s.name WHERE lower(s.name) = lower({})",
        literal(name)
    )
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look, "postgres")?;
    let name = args.required("name")?;
    let found = server.row(&query(name))?.ok_or_else(|| Failure::new(format!("No such parameter: {name}")))?;
    let context = field(&found, "context");
    if context == "internal" {
        return Err(Failure::new(format!(
            "{name}: cannot be changed (internal context). See https://www.postgresql.org/docs/current/runtime-config-preset.html"
        )));
    }
    let mut todo = Statements::default();
    let (before, filed) = (field(&found, "pretty"), field(&found, "filed"));
    match args.str("value").filter(|value| !value.is_empty()) {
        _ if args.bool("reset")
            && found.get("filed").is_some_and(|value| !value.is_null()) => {
                todo.push(format!("ALTER SYSTEM RESET {name}"));
            }
        _ if args.bool("reset") && found.get("filed").is_none_or(Value::is_null) => {}
        _ if args.bool("reset") => todo.push(format!("ALTER SYSTEM RESET {name}")),
        Some(value) if !is_same(value, &filed) && !is_same(value, &before) => {
            todo.push(format!("ALTER SYSTEM SET {name} = {}", literal_of(name, value)));
        }
        _ => {}
    }
    let needs_restart = context == "postmaster";
    if !todo.is_empty() && !needs_restart {
        todo.push("SELECT pg_reload_conf()".to_owned());
    }
    let mut plan = Plan::default();
    plan.set("name", name).set("context", context).set("prev_val_pretty", before.as_str()).set("value_pretty", before.as_str());
    plan.set("restart_required", needs_restart && !todo.is_empty()).set("value", described(&found));
    server.carry_out(&format!("setting {name}"), before, todo, &mut plan);
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    if !done.is_empty()
        && let Some(found) = Server::of(args, look, "postgres")?.row(&query(args.required("name")?))?
    {
        let pretty = args.str("value").map_or_else(|| field(&found, "pretty"), str::to_owned);
        values.insert("value_pretty".into(), pretty.into());
        values.insert("value".into(), described(&found));
    }
    Ok(values)
}

fn described(found: &Value) -> Value {
    let unit = found.get("unit").cloned().unwrap_or_default();
    Value::map(Map::from_iter([("value".into(), field(found, "setting").into()), ("unit".into(), unit)]))
}

/// Lists are not one text to ALTER SYSTEM.
fn literal_of(name: &str, value: &str) -> String {
    let is_list =
        ["search_path", "shared_preload_libraries", "session_preload_libraries", "local_preload_libraries", "listen_addresses"]
            .contains(&name);
    if is_list && value.contains(',') && name != "listen_addresses" {
        return value.split(',').map(|one| literal(one.trim())).collect::<Vec<_>>().join(", ");
    }
    literal(value)
}

/// The same text, the same truth, or the same size in other units.
fn is_same(one: &str, other: &str) -> bool {
    let truth = |text: &str| Value::from(text).to_bool().filter(|_| text.parse::<i64>().is_err());
    let size = |text: &str| bytes(text).or_else(|| text.parse::<f64>().ok());
    one == other
        || one.eq_ignore_ascii_case(other)
        || truth(one).is_some() && truth(one) == truth(other)
        || size(one).is_some() && size(one) == size(other)
}

fn bytes(text: &str) -> Option<f64> {
    let at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let factor = match text[at..].trim() {
        "B" => 1.0,
        "kB" | "KB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        "TB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    text[..at].parse::<f64>().ok().map(|number| number * factor)
}
