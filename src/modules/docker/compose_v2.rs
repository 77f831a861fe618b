//! `docker_compose_v2`: a compose project that is up, stopped or gone.
//!
//! The client compares a project with what runs; what it says that it did tells whether anything changed. In check mode it
//! is asked with `--dry-run`.

use super::compose::{PROJECT_ARGS, client, describe, events};
use super::engine::Engine;
use crate::modules::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("state", Kind::Str, "what is wanted of it")
        .choices(&["absent", "stopped", "restarted", "present"])
        .default("present"),
    Arg::new("pull", Kind::Str, "when images are pulled").choices(&["always", "missing", "never", "policy"]).default("policy"),
    Arg::new("build", Kind::Str, "when images are built").choices(&["always", "never", "policy"]).default("policy"),
    Arg::new("dependencies", Kind::Bool, "with services that others need").default("yes"),
    Arg::new("ignore_build_events", Kind::Bool, "building alone is no change").default("yes"),
    Arg::new("recreate", Kind::Str, "when containers are made anew").choices(&["always", "never", "auto"]).default("auto"),
    Arg::new("renew_anon_volumes", Kind::Bool, "with new anonymous volumes").default("no"),
    Arg::new("remove_images", Kind::Str, "with `absent`, remove images too").choices(&["all", "local"]),
    Arg::new("remove_volumes", Kind::Bool, "with `absent`, remove volumes too").default("no"),
    Arg::new("remove_orphans", Kind::Bool, "remove containers that the project has no more").default("no"),
    Arg::new("timeout", Kind::Int, "seconds that containers have to stop"),
    Arg::new("services", Kind::List, "only these services"),
    Arg::new("scale", Kind::Dict, "how many containers of a service"),
    Arg::new("wait", Kind::Bool, "wait until services run and are healthy").default("no"),
    Arg::new("wait_timeout", Kind::Int, "seconds to wait for that"),
    Arg::new("assume_yes", Kind::Bool, "answer questions with yes").default("no"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_compose_v2",
    collection: "community.docker",
    summary: "bring a compose project up or down",
    args: &[ARGS, PROJECT_ARGS, super::CLIENT_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let mut plan = Plan::default();
    plan.set("actions", Vec::<Value>::new());
    let name = args.str("project_name").or(args.str("project_src")).unwrap_or_default().to_owned();
    let runs = subcommands(args);
    if !look.is_check() {
        for words in runs {
            plan.push(Change::new(
                format!("project {name}"),
                Value::Null,
                words.join(" "),
                Act::Run(with(args, &engine, &[], &words)?),
            ));
        }
        return Ok(plan);
    }
    let mut foretold = Vec::new();
    for words in runs {
        let output = look.run(&with(args, &engine, &["--dry-run"], &words)?)?;
        if !output.is_success() {
            return Err(Failure::of_command("docker compose refuses", &output));
        }
        foretold.extend(counted(args, &output.stderr_text()));
    }
    if !foretold.is_empty() {
        plan.push(Change::new(format!("project {name}"), Value::Null, Value::list(foretold.clone()), Act::Note));
    }
    plan.set("actions", Value::list(foretold));
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let said = |key: &str| -> String {
        done.iter().filter_map(|one| one.values.get(key)).map(|text| text.to_text().as_str().to_owned()).collect()
    };
    let actions = counted(args, &said("stderr"));
    values.insert("changed".into(), (!actions.is_empty()).into());
    values.insert("actions".into(), Value::list(actions));
    for key in ["stdout", "stderr"] {
        values.insert(key.into(), said(key).into());
    }
    describe(args, &Engine::of(args, look)?, &mut values)?;
    Ok(values)
}

fn counted(args: &Args, stderr: &str) -> Vec<Value> {
    let is_building =
        |event: &Value| event.get("status").is_some_and(|status| matches!(status.as_str(), Some("Building" | "Built")));
    events(stderr).into_iter().filter(|event| !(args.bool("ignore_build_events") && is_building(event))).collect()
}

fn with(args: &Args, engine: &Engine<'_>, options: &[&str], words: &[String]) -> Result<Cmd, Failure> {
    let mut cmd = client(args, engine)?;
    cmd.argv.extend(options.iter().map(|option| (*option).to_owned()));
    cmd.argv.extend(words.iter().cloned());
    Ok(cmd)
}

fn subcommands(args: &Args) -> Vec<Vec<String>> {
    let word = |text: &str| text.to_owned();
    let services = args.list("services");
    let timeout = args.int("timeout").map(|seconds| ["--timeout".to_owned(), seconds.to_string()]).into_iter().flatten();
    let whole = |first: Vec<String>| -> Vec<String> {
        first.into_iter().chain(timeout.clone()).chain(services.iter().cloned()).collect()
    };
    match args.str("state") {
        Some("absent") => {
            let mut down = vec![word("down")];
            down.extend(args.bool("remove_orphans").then(|| word("--remove-orphans")));
            down.extend(args.str("remove_images").map(|which| format!("--rmi={which}")));
            down.extend(args.bool("remove_volumes").then(|| word("--volumes")));
            vec![whole(down)]
        }
        Some("stopped") => vec![whole(up(args, false)), whole(vec![word("stop")])],
        Some("restarted") => {
            let mut restart = vec![word("restart")];
            restart.extend((!args.bool("dependencies")).then(|| word("--no-deps")));
            vec![whole(restart)]
        }
        _ => vec![whole(up(args, true))],
    }
}

fn up(args: &Args, starts: bool) -> Vec<String> {
    let is = |arg: &str, value: &str| args.str(arg) == Some(value);
    let flags = [
        (starts, "--detach"),
        (!starts, "--no-start"),
        (true, "--no-color"),
        (true, "--quiet-pull"),
        (is("build", "always"), "--build"),
        (is("build", "never"), "--no-build"),
        (!args.bool("dependencies"), "--no-deps"),
        (is("recreate", "always"), "--force-recreate"),
        (is("recreate", "never"), "--no-recreate"),
        (args.bool("renew_anon_volumes"), "--renew-anon-volumes"),
        (args.bool("remove_orphans"), "--remove-orphans"),
        (starts && args.bool("wait"), "--wait"),
        (args.bool("assume_yes"), "--yes"),
    ];
    let mut words = vec!["up".to_owned()];
    words.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()));
    if let Some(policy) = args.str("pull").filter(|policy| *policy != "policy") {
        words.extend(["--pull".to_owned(), policy.to_owned()]);
    }
    if let Some(seconds) = args.int("wait_timeout").filter(|_| starts && args.bool("wait")) {
        words.extend(["--wait-timeout".to_owned(), seconds.to_string()]);
    }
    for (service, count) in args.dict("scale").into_iter().flatten() {
        words.extend(["--scale".to_owned(), format!("{service}={}", count.to_text().as_str())]);
    }
    words
}
