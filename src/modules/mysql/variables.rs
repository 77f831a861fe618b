//! `mysql_variables`: a variable of the server.

use super::server::literal;
use super::{LOGIN_ARGS, Server, rows};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};

pub(in crate::modules) const MODULE: Module = Module {
    name: "mysql_variables",
    collection: "community.mysql",
    summary: "reads and sets variables of a server of MySQL or MariaDB",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("variable", Kind::Str, "the variable").required(),
    Arg::new("value", Kind::Str, "its value; without one it is only read"),
    Arg::new("mode", Kind::Str, "until the server restarts, or beyond").default("global").choices(&[
        "global",
        "persist",
        "persist_only",
    ]),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("variable")?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte)) {
        return Err(Failure::new(format!("invalid variable name \"{name}\"")));
    }
    let server = Server::of(args, look)?;
    let query = match args.str("mode") {
        Some("persist" | "persist_only") => {
            format!(
                "SELECT VARIABLE_VALUE AS Value FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = {}",
                literal(name)
            )
        }
        _ => format!("SHOW GLOBAL VARIABLES WHERE Variable_name = {}", literal(name)),
    };
    let rows = server.rows(&query)?;
    let found = rows.first().map(|row| rows::text(row, "Value").to_owned());
    let is_global = args.str("mode") == Some("global");
    if found.is_none() && is_global {
        return Err(Failure::new(format!("Variable not available \"{name}\"")).with("changed", false));
    }
    let found = found.unwrap_or_default();
    let mut plan = Plan::default();
    plan.set("queries", Vec::<String>::new());
    let Some(wanted) = args.text("value") else {
        plan.set("msg", rows::scalar(Some(&found)));
        return Ok(plan);
    };
    if is_same(&found, wanted.as_str()) {
        plan.set("msg", "Variable is already set to requested value.");
        return Ok(plan);
    }
    let word = args.str("mode").unwrap_or("global").to_uppercase();
    let is_number = wanted.parse::<f64>().is_ok();
    let value = if is_number { wanted.as_str().to_owned() } else { literal(wanted.as_str()) };
    let statement = format!("SET {word} {} = {value}", super::name_of(name));
    plan.set("msg", format!("Variable change succeeded prev_value={found}")).set("queries", vec![statement.clone()]);
    server.carry_out(&format!("variable {name}"), found, wanted.as_str(), &[statement], &mut plan);
    Ok(plan)
}

fn is_same(found: &str, wanted: &str) -> bool {
    let truth = |text: &str| match text.to_uppercase().as_str() {
        "ON" | "TRUE" | "YES" | "1" => Some(true),
        "OFF" | "FALSE" | "NO" | "0" => Some(false),
        _ => None,
    };
    let number = |text: &str| text.parse::<f64>().ok();
    found == wanted
        || found.eq_ignore_ascii_case(wanted)
        || truth(found).is_some() && truth(found) == truth(wanted)
        || number(found).is_some() && number(found) == number(wanted)
}
