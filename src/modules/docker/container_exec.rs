//! `docker_container_exec`: a program in a running container, by the `docker` program.

use super::engine::{Engine, bool_at};
use crate::modules::{Act, Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan, Rule, words};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("container", Kind::Str, "the container").required(),
    Arg::new("argv", Kind::List, "the program and its arguments, one by one"),
    Arg::new("command", Kind::Str, "the program and its arguments as a line"),
    Arg::new("chdir", Kind::Str, "directory in the container"),
    Arg::new("detach", Kind::Bool, "do not wait for it").default("no"),
    Arg::new("user", Kind::Str, "who runs it"),
    Arg::new("stdin", Kind::Str, "what the program reads"),
    Arg::new("stdin_add_newline", Kind::Bool, "end `stdin` with a newline").default("yes"),
    Arg::new("strip_empty_ends", Kind::Bool, "strip empty lines from the end of the output").default("yes"),
    Arg::new("tty", Kind::Bool, "give it a terminal").default("no"),
    Arg::new("env", Kind::Dict, "environment"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_container_exec",
    collection: "community.docker",
    summary: "run a program in a container",
    args: &[ARGS, super::API_ARGS],
    rules: &[Rule::OneOf(&["argv", "command"]), Rule::Exclusive(&["argv", "command"])],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = args.required("container")?;
    let argv = match args.str("command") {
        Some(line) => words::split(line).map_err(Failure::new)?,
        None => args.list("argv"),
    };
    if args.bool("detach") && args.has("stdin") {
        return Err(Failure::new("If detach=true, stdin cannot be provided."));
    }
    let found = engine.container(name)?.ok_or_else(|| Failure::new(format!("Could not find container \"{name}\"")))?;
    if !bool_at(&found, &["State", "Running"]) {
        return Err(Failure::new(format!("the container \"{name}\" is not running: start it first")));
    }
    let mut plan = Plan::default();
    if look.is_check() {
        plan.skipped = Some("a check does not run programs in containers".to_owned());
        return Ok(plan);
    }
    let mut cmd = engine.cli(&["exec"])?;
    let mut option = |flag: &str, value: &str| cmd.argv.extend([flag.to_owned(), value.to_owned()]);
    for (arg, flag) in [("chdir", "--workdir"), ("user", "--user")] {
        if let Some(value) = args.str(arg) {
            option(flag, value);
        }
    }
    let variables = args.dict("env").cloned().unwrap_or_default();
    // Only names are in the command line; the client takes the values from its own environment.
    variables.keys().for_each(|key| option("--env", &key.to_string()));
    let flags = [(args.bool("detach"), "--detach"), (args.bool("tty"), "--tty"), (args.has("stdin"), "--interactive")];
    cmd.argv.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()));
    cmd.argv.push(name.to_owned());
    cmd.argv.extend(argv);
    for (key, value) in &variables {
        cmd = cmd.env(&key.to_string(), value.to_text().as_str());
    }
    cmd.stdin = args.text("stdin").map(|text| {
        let end = if args.bool("stdin_add_newline") { "\n" } else { "" };
        format!("{text}{end}").into_bytes()
    });
    cmd.any_status = true;
    plan.push(Change::new(format!("container {name}"), Value::Null, Value::Null, Act::Run(cmd)));
    Ok(plan)
}

/// Any status is an answer.
fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let Some(ran) = done.first() else { return Ok(values) };
    let text = |key: &str| ran.values.get(key).map(|value| value.to_text().as_str().to_owned()).unwrap_or_default();
    if args.bool("detach") {
        values.insert("exec_id".into(), text("stdout").trim().into());
        return Ok(values);
    }
    for key in ["stdout", "stderr"] {
        let whole = text(key);
        let kept = if args.bool("strip_empty_ends") { whole.trim_end_matches(['\r', '\n']) } else { &whole };
        values.insert(key.into(), kept.into());
    }
    values.insert("rc".into(), ran.values.get("rc").cloned().unwrap_or_default());
    Ok(values)
}
