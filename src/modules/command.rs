//! `command`: one program, never through a shell. Most of it is shared with `shell`.

use super::clock::{Clock, duration_text};
use super::{Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan, expand, words};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "command",
    collection: "ansible.builtin",
    summary: "run a program without a shell",
    args: &[
        RUN_ARGS,
        &[
            Arg::new("argv", Kind::List, "the program and its arguments, one by one"),
            Arg::new("expand_argument_vars", Kind::Bool, "expand `$VAR` and `~` in arguments").default("yes"),
        ],
    ],
    // What is missing or too much fails on the host, with a status: playbooks look at it.
    rules: &[],
    free_form: Some("_raw_params"),
    plan,
    finish,
};

/// What `command` and `shell` share.
pub(super) const RUN_ARGS: &[Arg] = &[
    Arg::new("_raw_params", Kind::Str, "the command, as bare text"),
    Arg::new("cmd", Kind::Str, "the command"),
    Arg::new("chdir", Kind::Path, "change to this directory first"),
    Arg::new("creates", Kind::Path, "do nothing if this file or glob exists"),
    Arg::new("removes", Kind::Path, "do nothing unless this file or glob exists"),
    Arg::new("stdin", Kind::Str, "what the program reads"),
    Arg::new("stdin_add_newline", Kind::Bool, "end `stdin` with a newline").default("yes"),
    Arg::new("strip_empty_ends", Kind::Bool, "strip empty lines from the end of the output").default("yes"),
    Arg::new("executable", Kind::Path, "the shell to use"),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let line = args.str("_raw_params").or(args.str("cmd"));
    if line.is_some() && args.has("argv") {
        return Err(Failure::new("only command or argv can be given, not both").with("rc", 256));
    }
    let argv = match line {
        Some(line) => words::split(line).map_err(Failure::new)?,
        None => args.list("argv"),
    };
    let shown = argv.iter().map(Value::from).collect();
    let argv = match args.bool("expand_argument_vars") {
        true => argv.iter().map(|word| expand::home(look, &expand::variables(look, word))).collect(),
        false => argv,
    };
    if argv.is_empty() {
        return Err(Failure::new("no command given").with("rc", 256));
    }
    let mut plan = plan_run(args, look, argv, shown)?;
    if let Some(program) = args.str("executable") {
        let warning = format!(
            "As of Ansible 2.4, the parameter 'executable' is no longer supported with the 'command' module. Not using '{program}'."
        );
        plan.set("warnings", Value::list(vec![warning.into()]));
    }
    Ok(plan)
}

/// One change that runs it, unless `creates`, `removes` or check mode say otherwise.
pub(super) fn plan_run(args: &Args, look: &dyn Look, argv: Vec<String>, shown: Value) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    plan.set("stdout", "").set("stderr", "").set("rc", 0).set("cmd", shown);
    plan.set("start", Value::Null).set("end", Value::Null).set("delta", Value::Null).set("msg", "");
    let chdir = args.str("chdir");
    if let Some(dir) = chdir
        && !matches!(look.stat(dir, true), Ok(Some(found)) if found.kind == "directory")
    {
        let mut failure = Failure::new(format!("Unable to change directory before execution: no directory {dir}"));
        failure.values = Map::from_iter([("cmd".into(), plan.values["cmd"].clone()), ("rc".into(), Value::Null)]);
        return Err(failure);
    }
    let did = if look.is_check() { "Would" } else { "Did" };
    if let Some(path) = args.str("creates").filter(|path| any_exists(look, chdir, path)) {
        plan.set("msg", format!("{did} not run command since '{path}' exists"));
        plan.set("stdout", format!("skipped, since {path} exists"));
        return Ok(plan);
    }
    if let Some(path) = args.str("removes").filter(|path| !any_exists(look, chdir, path)) {
        plan.set("msg", format!("{did} not run command since '{path}' does not exist"));
        plan.set("stdout", format!("skipped, since {path} does not exist"));
        return Ok(plan);
    }
    if look.is_check() && !args.has("creates") && !args.has("removes") {
        plan.skipped = Some("Command would have run if not in check mode".to_owned());
        return Ok(plan);
    }
    if look.is_check() {
        plan.set("msg", "Command would have run if not in check mode");
    }
    let stdin = args.text("stdin").map(|text| {
        let end = if args.bool("stdin_add_newline") { "\n" } else { "" };
        format!("{text}{end}").into_bytes()
    });
    let cmd = Cmd { argv, stdin, chdir: chdir.map(str::to_owned), any_status: true, ..Cmd::default() };
    plan.push(Change::run("command", cmd));
    Ok(plan)
}

/// Whether anything matches a path or glob, seen from `chdir`.
pub(super) fn any_exists(look: &dyn Look, chdir: Option<&str>, path: &str) -> bool {
    let path = match chdir {
        Some(dir) if !path.starts_with('/') => format!("{}/{path}", dir.trim_end_matches('/')),
        _ => path.to_owned(),
    };
    matches!(look.stat(&path, true), Ok(Some(_))) || !super::glob::matches(look, &path).is_empty()
}

/// Times and output as Ansible writes them; a status other than 0 fails.
pub(super) fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let Some(ran) = done.last() else { return Ok(values) };
    values.extend(ran.values.clone());
    if args.bool("strip_empty_ends") {
        for stream in ["stdout", "stderr"] {
            let text = values.get(stream).map(Value::to_text).unwrap_or_default();
            values.insert(stream.into(), text.trim_end_matches(['\r', '\n']).into());
        }
    }
    let time = |name: &str| ran.values.get(name).and_then(Value::to_float).unwrap_or_default();
    let (start, end) = (time("start"), time("end"));
    let clock = Clock::of(look);
    let text = |time| clock.local(time).format("%Y-%m-%d %H:%M:%S.%f");
    values.insert("start".into(), text(start).into());
    values.insert("end".into(), text(end).into());
    values.insert("delta".into(), duration_text(end - start).into());
    if values.get("rc").and_then(Value::as_int) == Some(0) {
        return Ok(values);
    }
    values.shift_insert(0, "changed".into(), true.into());
    values.shift_remove("msg");
    Err(Failure { msg: "non-zero return code".to_owned(), values })
}
