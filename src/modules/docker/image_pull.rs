//! `docker_image_pull`: an image from its registry.

use super::container::pull_change;
use super::engine::{Engine, text_at};
use super::reference::{Reference, is_id};
use crate::modules::{Arg, Args, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_image_pull",
    collection: "community.docker",
    summary: "pull an image",
    args: &[
        &[
            Arg::new("name", Kind::Str, "name of the image, with or without a tag or digest").required(),
            Arg::new("tag", Kind::Str, "tag, where the name has none").default("latest"),
            Arg::new("platform", Kind::Str, "platform, such as linux/arm64"),
            Arg::new("pull", Kind::Str, "whether one that is there is asked for again")
                .choices(&["always", "not_present"])
                .default("always"),
        ],
        super::API_ARGS,
    ],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn full_name(args: &Args) -> Result<String, Failure> {
    let name = args.required("name")?;
    if is_id(name) {
        return Err(Failure::new("Cannot pull an image by ID"));
    }
    Ok(Reference::parse(name).or_tag(args.str("tag").unwrap_or("latest")).to_string())
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = full_name(args)?;
    let found = engine.image(&name)?;
    let mut plan = Plan::default();
    let is_other = |image: &Value| args.str("platform").is_some_and(|wanted| !is_platform(image, wanted));
    if args.str("pull") == Some("always") || found.as_ref().is_none_or(is_other) {
        plan.push(pull_change(&engine, &name, args.str("platform"), found.as_ref())?);
    }
    plan.set("image", found.unwrap_or_default());
    Ok(plan)
}

/// Pulling the same image again is no change.
fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    if done.is_empty() {
        return Ok(values);
    }
    let image = Engine::of(args, look)?.image(&full_name(args)?)?.unwrap_or_default();
    let is_same = values.get("image").is_some_and(|before| text_at(before, &["Id"]) == text_at(&image, &["Id"]));
    values.insert("changed".into(), (!is_same).into());
    values.insert("image".into(), image);
    Ok(values)
}

/// `linux/arm64/v8`, as far as it says.
fn is_platform(image: &Value, wanted: &str) -> bool {
    let parts = [text_at(image, &["Os"]), text_at(image, &["Architecture"]), text_at(image, &["Variant"])];
    let wanted: Vec<&str> = wanted.split('/').collect();
    match wanted.as_slice() {
        [only] => parts.contains(only),
        all => all.iter().zip(parts).all(|(wanted, found)| *wanted == found),
    }
}
