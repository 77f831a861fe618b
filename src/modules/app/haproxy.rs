//! `_haproxy`: one command for HAProxy's runtime API, on the host that runs it.
//!
//! Commands that only ask (`show …`) are carried out while planning, all others after it.

use super::COLLECTION;
use crate::modules::touch::Tell;
use crate::modules::{Act, Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_haproxy",
    collection: COLLECTION,
    summary: "give HAProxy's runtime API one command",
    args: &[&[
        Arg::new("socket", Kind::Path, "the admin socket").default("/run/haproxy/admin.sock"),
        Arg::new("command", Kind::Str, "one line").required(),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (socket, command) = (args.required("socket")?, args.required("command")?);
    if command.contains(['\n', ';']) {
        return Err(Failure::new("one command at a time"));
    }
    let mut plan = Plan::default();
    if command.starts_with("show ") {
        plan.set("answer", look.ask(socket, command)?);
    } else {
        let tell = Tell { socket: socket.to_owned(), line: command.to_owned(), any_answer: true, found: Value::Null };
        plan.push(Change::new("haproxy", Value::Null, command, Act::Tell(Box::new(tell))));
    }
    Ok(plan)
}

fn finish(_: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    if let Some(answer) = done.iter().find_map(|one| one.values.get("answer")) {
        values.insert("answer".into(), answer.clone());
    }
    Ok(values)
}
