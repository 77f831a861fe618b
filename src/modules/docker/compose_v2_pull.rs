//! `docker_compose_v2_pull`: the images of a compose project.

use super::compose::{PROJECT_ARGS, client};
use super::engine::{Engine, text_at};
use crate::modules::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("policy", Kind::Str, "whether images that are there are asked for again")
        .choices(&["always", "missing"])
        .default("always"),
    Arg::new("ignore_buildable", Kind::Bool, "leave out images that can be built").default("no"),
    Arg::new("include_deps", Kind::Bool, "with services that others need").default("no"),
    Arg::new("services", Kind::List, "only these services"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_compose_v2_pull",
    collection: "community.docker",
    summary: "pull the images of a compose project",
    args: &[ARGS, PROJECT_ARGS, super::CLIENT_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let before = images(args, &engine)?;
    let mut plan = Plan::default();
    plan.set("actions", Vec::<Value>::new()).set("_before", before.clone());
    let is_whole = before.values().all(|id| !id.is_null());
    if args.str("policy") == Some("missing") && is_whole {
        plan.values.shift_remove("_before");
        return Ok(plan);
    }
    let mut cmd = client(args, &engine)?;
    cmd.argv.extend(["pull".to_owned(), "--policy".to_owned(), args.str("policy").unwrap_or("always").to_owned()]);
    for (arg, flag) in [("ignore_buildable", "--ignore-buildable"), ("include_deps", "--include-deps")] {
        cmd.argv.extend(args.bool(arg).then(|| flag.to_owned()));
    }
    cmd.argv.extend(args.list("services"));
    plan.push(Change::new("images", Value::map(before), Value::Null, Act::Run(cmd)));
    Ok(plan)
}

/// Only another image than before is a change.
fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let before = values.shift_remove("_before").and_then(|before| before.as_map().cloned()).unwrap_or_default();
    if done.is_empty() {
        return Ok(values);
    }
    let after = images(args, &Engine::of(args, look)?)?;
    let new = after.iter().filter(|(name, id)| before.get(*name) != Some(id));
    let actions: Vec<Value> = new
        .map(|(name, _)| {
            [("what", Value::from("image")), ("id", name.to_string().into()), ("status", "Pulled".into())].into_iter().collect()
        })
        .collect();
    values.insert("changed".into(), (!actions.is_empty()).into());
    values.insert("actions".into(), Value::list(actions));
    Ok(values)
}

/// The images that the project names, each with its id or null.
fn images(args: &Args, engine: &Engine<'_>) -> Result<Map, Failure> {
    let mut cmd: Cmd = client(args, engine)?;
    cmd.argv.extend(["config".to_owned(), "--images".to_owned()]);
    cmd.argv.extend(args.list("services"));
    let output = engine.look.run(&cmd)?;
    if !output.is_success() {
        return Err(Failure::of_command("docker compose cannot read the project", &output));
    }
    let text = output.stdout_text();
    let mut all = Map::new();
    for name in text.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let id = engine.image(name)?.map(|image| text_at(&image, &["Id"]).to_owned());
        all.insert(name.into(), id.into());
    }
    Ok(all)
}
