//! `_haproxy`: one command for HAProxy's runtime API, on the host that runs it.
//!
//! The admin socket speaks lines, not HTTP, so neither `Look` nor an `Act` can reach it; this module opens it itself. Commands that only
//! ask (`show …`) are carried out while planning, all others after it.

use super::COLLECTION;
use crate::modules::{Act, Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

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

const TIMEOUT: Duration = Duration::from_secs(10);
/// `show stat` of a large balancer is some hundred kilobytes.
const ANSWER_MAX: u64 = 16 << 20;

fn plan(args: &Args, _: &dyn Look) -> Result<Plan, Failure> {
    let command = args.required("command")?;
    if command.contains(['\n', ';']) {
        return Err(Failure::new("one command at a time"));
    }
    let mut plan = Plan::default();
    if command.starts_with("show ") {
        plan.set("answer", ask(args, command)?);
    } else {
        plan.push(Change::new("haproxy", Value::Null, command, Act::Note));
    }
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, _: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    if !values.contains_key("answer") {
        values.insert("answer".into(), ask(args, args.required("command")?)?.into());
    }
    Ok(values)
}

fn ask(args: &Args, command: &str) -> Result<String, Failure> {
    let path = args.str("socket").unwrap_or("/run/haproxy/admin.sock");
    let failed = |error: std::io::Error| Failure::io(format!("cannot talk to haproxy at {path}"), &error);
    let mut socket = UnixStream::connect(path).map_err(failed)?;
    socket.set_read_timeout(Some(TIMEOUT)).and_then(|()| socket.set_write_timeout(Some(TIMEOUT))).map_err(failed)?;
    socket.write_all(format!("{command}\n").as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    socket.take(ANSWER_MAX).read_to_end(&mut answer).map_err(failed)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
