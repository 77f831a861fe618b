//! `docker_image_info`: images as the daemon describes them.

use super::engine::{Engine, text_at};
use super::reference::{Reference, is_id};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_image_info",
    collection: "community.docker",
    summary: "describe images",
    args: &[&[Arg::new("name", Kind::List, "names or ids; every image where none is given")], super::API_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let names = match args.list("name") {
        names if !names.is_empty() => names,
        _ => engine.list("/images/json")?.iter().map(|image| text_at(image, &["Id"]).to_owned()).collect(),
    };
    let mut images = Vec::new();
    for name in names {
        let name = if is_id(&name) { name } else { Reference::parse(&name).or_tag("latest").to_string() };
        images.extend(engine.image(&name)?);
    }
    let mut plan = Plan::default();
    plan.set("images", Value::list(images));
    Ok(plan)
}
