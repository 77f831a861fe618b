//! `postgresql_ping`: whether a server answers, and which version it is.

use super::{DATABASE_ARG, LOGIN_ARGS, Server};
use crate::modules::{Arg, Args, Failure, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_ping",
    collection: "community.postgresql",
    summary: "asks whether a server of PostgreSQL answers",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[DATABASE_ARG];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look, "postgres")?;
    let mut plan = Plan::default();
    match server.row("SELECT current_setting('server_version_num')::int AS number, version() AS full") {
        Ok(Some(row)) => {
            let number = row.get("number").and_then(Value::as_int).unwrap_or_default();
            let (major, minor) = (number / 10000, number % 10000);
            let version = Map::from_iter([
                ("major".into(), major.into()),
                ("minor".into(), minor.into()),
                ("full".into(), row.get("full").cloned().unwrap_or_default()),
                ("raw".into(), format!("{major}.{minor}").into()),
            ]);
            plan.set("is_available", true).set("server_version", version).set("conn_err_msg", "");
        }
        Ok(None) => drop(plan.set("is_available", false).set("server_version", Map::new()).set("conn_err_msg", "")),
        Err(failure) => drop(plan.set("is_available", false).set("server_version", Map::new()).set("conn_err_msg", failure.msg)),
    }
    Ok(plan)
}
