//! `docker_image_remove`: an image that is not to be there.

use super::engine::{Engine, encode_path, text_at};
use super::reference::{Reference, is_id};
use crate::modules::{Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_image_remove",
    collection: "community.docker",
    summary: "remove an image",
    args: &[
        &[
            Arg::new("name", Kind::Str, "name or id of the image").required(),
            Arg::new("tag", Kind::Str, "tag, where the name has none").default("latest"),
            Arg::new("force", Kind::Bool, "even where it has other names or is used").default("no"),
            Arg::new("prune", Kind::Bool, "with untagged parents").default("yes"),
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
    let name = match is_id(name) {
        true => name.to_owned(),
        false => Reference::parse(name).or_tag(args.str("tag").unwrap_or("latest")).to_string(),
    };
    let found = engine.image(&name)?;
    let mut plan = Plan::default();
    plan.set("deleted", Vec::<Value>::new()).set("untagged", Vec::<Value>::new());
    if let Some(image) = &found {
        let query = format!("force={}&noprune={}", args.bool("force"), !args.bool("prune"));
        let act = engine.act("DELETE", &format!("/images/{}?{query}", encode_path(&name)), None, &[404]);
        plan.push(Change::new(format!("image {name}"), text_at(image, &["Id"]), Value::Null, act));
    }
    plan.set("image", found.unwrap_or_default());
    Ok(plan)
}

/// The daemon tells what went.
fn finish(_: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let reply =
        done.first().and_then(|one| Value::from_json(one.values.get("content")?.to_text().as_str()).ok()).unwrap_or_default();
    for (key, name) in [("Deleted", "deleted"), ("Untagged", "untagged")] {
        let mut gone: Vec<String> =
            reply.as_list().unwrap_or_default().iter().map(|entry| text_at(entry, &[key]).to_owned()).collect();
        gone.retain(|text| !text.is_empty());
        gone.sort();
        values.insert(name.into(), gone.into());
    }
    Ok(values)
}
