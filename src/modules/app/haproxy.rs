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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::docker::bench::{Daemon, args_of};
    use std::os::unix::net::UnixListener;

    /// Answers each command with itself.
    fn echo(path: &std::path::Path, commands: usize) -> std::thread::JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(commands).flatten() {
                let mut line = String::new();
                std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut line).unwrap();
                (&stream).write_all(format!("got {line}").as_bytes()).unwrap();
            }
        })
    }

    #[test]
    fn questions_are_asked_while_planning_and_orders_are_given_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let server = echo(&path, 2);
        let args = |command: &str| args_of(&MODULE, &format!(r#"{{"socket":"{}","command":"{command}"}}"#, path.display()));
        let asked = plan(&args("show stat"), &Daemon::new()).unwrap();
        assert!(asked.changes.is_empty());
        assert_eq!(asked.values.get("answer"), Some(&Value::from("got show stat\n")));
        let order = args("set server b/s state drain");
        let planned = plan(&order, &Daemon::new()).unwrap();
        assert_eq!((planned.changes.len(), planned.values.len()), (1, 0));
        let values = finish(&order, planned.values, &[Done::default()], &Daemon::new()).unwrap();
        assert_eq!(values.get("answer"), Some(&Value::from("got set server b/s state drain\n")));
        server.join().unwrap();
    }

    #[test]
    fn one_command_is_one_command() {
        let args = args_of(&MODULE, r#"{"command":"show stat; disable server b/s"}"#);
        assert!(plan(&args, &Daemon::new()).is_err());
        let gone = args_of(&MODULE, r#"{"socket":"/nowhere/admin.sock","command":"show stat"}"#);
        assert!(plan(&gone, &Daemon::new()).unwrap_err().msg.contains("/nowhere/admin.sock"));
    }
}
