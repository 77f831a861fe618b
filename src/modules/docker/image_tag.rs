//! `docker_image_tag`: further names for an image.

use super::engine::{Engine, encode, encode_path, text_at};
use super::reference::{Reference, is_id};
use crate::modules::{Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_image_tag",
    collection: "community.docker",
    summary: "give an image further names",
    args: &[
        &[
            Arg::new("name", Kind::Str, "name or id of the image").required(),
            Arg::new("tag", Kind::Str, "tag, where the name has none").default("latest"),
            Arg::new("repository", Kind::List, "the new names").required(),
            Arg::new("existing_images", Kind::Str, "what becomes of another image of that name")
                .choices(&["keep", "overwrite"])
                .default("overwrite"),
        ],
        super::API_ARGS,
    ],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = args.required("name")?;
    let tag = args.str("tag").unwrap_or("latest");
    let name = if is_id(name) { name.to_owned() } else { Reference::parse(name).or_tag(tag).to_string() };
    let image = engine.image(&name)?.ok_or_else(|| Failure::new(format!("Cannot find image {name}")))?;
    let id = text_at(&image, &["Id"]).to_owned();
    let mut plan = Plan::default();
    let mut tagged = Vec::new();
    for repository in args.list("repository") {
        if is_id(&repository) {
            return Err(Failure::new(format!("repository `{repository}` is an id, which cannot be given to an image")));
        }
        let target = Reference::parse(&repository).or_tag(tag);
        let full = target.to_string();
        let old = engine.image(&full)?.map(|image| text_at(&image, &["Id"]).to_owned());
        let is_kept = old.is_some() && args.str("existing_images") == Some("keep");
        if old.as_deref() == Some(&id) || is_kept {
            continue;
        }
        let query = format!("repo={}&tag={}", encode(&target.repository), encode(target.tag.as_deref().unwrap_or_default()));
        let act = engine.post(&format!("/images/{}/tag?{query}", encode_path(&name)), None);
        plan.push(Change::new(format!("image {full}"), old, id.as_str(), act));
        tagged.push(Value::from(full));
    }
    plan.set("image", image).set("tagged_images", Value::list(tagged));
    Ok(plan)
}
