//! `docker_image_push`: an image to its registry, with the credentials that the host has.

use super::engine::Engine;
use super::reference::{Reference, is_id};
use crate::modules::{Act, Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_image_push",
    collection: "community.docker",
    summary: "push an image",
    args: &[
        &[
            Arg::new("name", Kind::Str, "name of the image, with its registry").required(),
            Arg::new("tag", Kind::Str, "tag, where the name has none").default("latest"),
        ],
        super::API_ARGS,
    ],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = args.required("name")?;
    if is_id(name) {
        return Err(Failure::new("Cannot push an image by ID"));
    }
    let name = Reference::parse(name).or_tag(args.str("tag").unwrap_or("latest")).to_string();
    let image = engine.image(&name)?.ok_or_else(|| Failure::new(format!("Cannot find image {name}")))?;
    let mut plan = Plan::default();
    plan.set("image", image);
    plan.push(Change::new(format!("image {name}"), Value::Null, "pushed", Act::Run(engine.cli(&["push", &name])?)));
    Ok(plan)
}

/// The registry may have had every layer.
fn finish(_: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let output =
        done.iter().filter_map(|one| one.values.get("stdout")).map(|text| text.to_text().as_str().to_owned()).collect::<String>();
    let is_new = output.lines().any(|line| line.ends_with(": Pushed") || line.contains(": Mounted from"));
    values.insert("changed".into(), is_new.into());
    Ok(values)
}
