//! `docker_image`: an image that is there: built, pulled, loaded or already local; tagged, pushed and archived.
//!
//! An image that is there already is not made again unless `force_source` says so; then `changed` says whether another
//! image came of it. Building, pulling, pushing, loading and saving are the client's work.

use super::build::Recipe;
use super::container::pull_change;
use super::engine::{Engine, encode, encode_path, text_at};
use super::reference::{Reference, is_id};
use crate::modules::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "name of the image, with or without a tag, or its id").required(),
    Arg::new("tag", Kind::Str, "tag, where the name has none").default("latest"),
    Arg::new("source", Kind::Str, "where it comes from").choices(&["build", "load", "pull", "local"]),
    Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "present"]).default("present"),
    Arg::new("build", Kind::Dict, "path, dockerfile, args, target, labels, nocache, pull, network, platform, …"),
    Arg::new("pull", Kind::Dict, "platform"),
    Arg::new("archive_path", Kind::Path, "save the image to this file"),
    Arg::new("load_path", Kind::Path, "load it from this file"),
    Arg::new("repository", Kind::Str, "tag it as this as well"),
    Arg::new("push", Kind::Bool, "push it").default("no"),
    Arg::new("force_source", Kind::Bool, "build, load or pull even where it is there").default("no"),
    Arg::new("force_absent", Kind::Bool, "remove it even where it has other tags or is used").default("no"),
    Arg::new("force_tag", Kind::Bool, "tag even where the tag names another image").default("no"),
    Arg::new("_context", Kind::Str, "the build context that the control side can send").hidden(),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_image",
    collection: "community.docker",
    summary: "build, pull, load, tag, push and remove images",
    args: &[ARGS, super::API_ARGS],
    rules: &[Rule::If("source", "build", &["build"]), Rule::If("source", "load", &["load_path"])],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = full_name(args)?;
    let found = engine.image(&name)?;
    let mut plan = Plan::default();
    if args.str("state") == Some("absent") {
        if let Some(image) = &found {
            plan.push(remove(args, &engine, &name, image));
        }
        return Ok(plan);
    }
    if found.is_none() || args.bool("force_source") {
        let source = source(args, &engine, &name, found.as_ref())?;
        plan.push(source);
    }
    archive(args, &engine, &name, found.as_ref(), &mut plan)?;
    publish(args, &engine, &name, found.as_ref(), &mut plan)?;
    plan.set("image", found.unwrap_or_default());
    Ok(plan)
}

/// The image as it is now. With `force_source` it may have turned out to be the same one.
fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    if done.is_empty() || args.str("state") == Some("absent") {
        return Ok(values);
    }
    let name = full_name(args)?;
    let Some(image) = Engine::of(args, look)?.image(&name)? else {
        return Err(Failure::new(format!("image `{name}` is not there although its source went through")));
    };
    if args.str("source") == Some("build") {
        let output: Vec<&Map> = done.iter().map(|done| &done.values).filter(|values| values.contains_key("rc")).collect();
        let text =
            |key: &str| output.first().and_then(|values| values.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
        values.insert("stdout".into(), (text("stdout") + &text("stderr")).into());
    }
    let is_same = values.get("image").is_some_and(|before| text_at(before, &["Id"]) == text_at(&image, &["Id"]));
    if is_same && done.len() == 1 && args.bool("force_source") {
        values.insert("changed".into(), false.into());
    }
    values.insert("image".into(), image);
    Ok(values)
}

fn full_name(args: &Args) -> Result<String, Failure> {
    let name = args.required("name")?;
    let tag = args.str("tag").unwrap_or("latest");
    Ok(if is_id(name) { name.to_owned() } else { Reference::parse(name).or_tag(tag).to_string() })
}

fn remove(args: &Args, engine: &Engine<'_>, name: &str, image: &Value) -> Change {
    let force = if args.bool("force_absent") { "?force=true" } else { "" };
    let act = engine.act("DELETE", &format!("/images/{}{force}", encode_path(name)), None, &[404]);
    Change::new(format!("image {name}"), text_at(image, &["Id"]), Value::Null, act)
}

fn source(args: &Args, engine: &Engine<'_>, name: &str, found: Option<&Value>) -> Result<Change, Failure> {
    let before = found.map_or(Value::Null, |image| text_at(image, &["Id"]).into());
    match args.str("source") {
        Some("build") => Ok(Change::new(format!("image {name}"), before, "built", Act::Run(build(args, engine, name)?))),
        Some("load") => {
            let path = args.required("load_path")?;
            if !engine.look.exists(path) {
                return Err(Failure::new(format!("load_path {path} does not exist on the host")));
            }
            Ok(Change::new(format!("image {name}"), before, "loaded", Act::Run(engine.cli(&["load", "--input", path])?)))
        }
        Some("pull") => {
            let platform = args.get("pull").and_then(|pull| pull.get("platform")).and_then(Value::as_str);
            pull_change(engine, name, platform, found)
        }
        Some(_) if found.is_some() => Ok(Change::new(format!("image {name}"), before.clone(), before, Act::Note)),
        Some(_) => Err(Failure::new(format!("there is no image `{name}` on the host"))),
        None => Err(Failure::new(format!("image `{name}` is not on the host: `source` must say where it comes from"))),
    }
}

fn build(args: &Args, engine: &Engine<'_>, name: &str) -> Result<Cmd, Failure> {
    let options = args.dict("build").cloned().unwrap_or_default();
    let platform = options.get("platform").filter(|value| !value.is_null()).map(|value| value.to_text().as_str().to_owned());
    let recipe = Recipe { options: &options, context: args.str("_context"), platforms: platform.into_iter().collect() };
    recipe.command(engine, name)
}

/// An archive that names the same image is left alone.
fn archive(args: &Args, engine: &Engine<'_>, name: &str, found: Option<&Value>, plan: &mut Plan) -> Result<(), Failure> {
    let Some(path) = args.str("archive_path") else { return Ok(()) };
    let is_there = engine.look.exists(path);
    if is_there && plan.changes.is_empty() && found.is_some_and(|image| is_archive_of(engine.look, path, name, image)) {
        return Ok(());
    }
    let cmd = engine.cli(&["save", "--output", path, name])?;
    let before = if is_there { "another archive".into() } else { Value::Null };
    plan.push(Change::new(path, before, format!("archive of {name}"), Act::Run(cmd)));
    Ok(())
}

/// Whether an archive's lists hold this image by this name. The image is told by its configuration (`manifest.json`), or, where
/// containerd stores images, by its manifest (`index.json`), which older archives do not have.
fn is_archive_of(look: &dyn Look, path: &str, name: &str, image: &Value) -> bool {
    let lists = Cmd::new(["tar", "-x", "-O", "-f", path, "manifest.json", "index.json"]);
    let Ok(output) = look.run(&lists) else { return false };
    let text = output.stdout_text();
    let id = text_at(image, &["Id"]);
    let is_named = is_id(name) || name.contains('@') || names(name).iter().any(|tag| text.contains(tag));
    is_named && !id.is_empty() && text.contains(id.trim_start_matches("sha256:"))
}

/// How the end of a name with its tag may stand in JSON.
fn names(name: &str) -> [String; 2] {
    let last = name.rsplit('/').next().unwrap_or(name);
    [format!("\"{last}\""), format!("/{last}\"")]
}

/// `repository` and `push`.
fn publish(args: &Args, engine: &Engine<'_>, name: &str, found: Option<&Value>, plan: &mut Plan) -> Result<(), Failure> {
    let is_new = !plan.changes.is_empty();
    let mut published = name.to_owned();
    if let Some(repository) = args.str("repository") {
        let target = Reference::parse(repository).or_tag(args.str("tag").unwrap_or("latest"));
        published = target.to_string();
        let tagged = engine.image(&published)?;
        let id = |image: Option<&Value>| image.map(|image| text_at(image, &["Id"]).to_owned());
        let (old, new) = (id(tagged.as_ref()), id(found));
        if is_new || (old != new && (old.is_none() || args.bool("force_tag"))) {
            let tag = target.tag.clone().unwrap_or_default();
            let query = format!("repo={}&tag={}", encode(&target.repository), encode(&tag));
            let act = engine.post(&format!("/images/{}/tag?{query}", encode_path(name)), None);
            plan.push(Change::new(format!("image {published}"), old, Value::from(name), act));
        }
    }
    if args.bool("push") {
        let cmd = engine.cli(&["push", &published])?;
        plan.push(Change::new(format!("image {published}"), Value::Null, "pushed", Act::Run(cmd)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::docker::bench::{Daemon, args_of};

    fn planned(daemon: &Daemon, args: &str) -> Vec<String> {
        plan(&args_of(&MODULE, args), daemon).unwrap().changes.iter().map(|change| Daemon::line(&change.act)).collect()
    }

    const BUILD: &str = r#"{"name":"shop","tag":"7f3a","source":"build","force_source":FORCE,
        "build":{"path":"/srv/shop","dockerfile":"Dockerfile.prod","args":{"V":1},"nocache":true,"target":"run"}}"#;

    fn daemon() -> Daemon {
        Daemon::new().with_file("/usr/bin/docker").with_file("/srv/shop")
    }

    #[test]
    fn an_image_is_built_once() {
        let task = BUILD.replace("FORCE", "false");
        let line = "/usr/bin/docker build --tag shop:7f3a --file /srv/shop/Dockerfile.prod --target run --build-arg V=1 --no-cache /srv/shop";
        assert_eq!(planned(&daemon(), &task), [line]);
        let there = daemon().with("/images/shop:7f3a/json", r#"{"Id":"sha256:aa"}"#);
        assert!(planned(&there, &task).is_empty());
        assert_eq!(planned(&there, &BUILD.replace("FORCE", "true")), [line]);
    }

    #[test]
    fn building_the_same_image_again_is_no_change() {
        let there = daemon().with("/images/shop:7f3a/json", r#"{"Id":"sha256:aa"}"#);
        let args = args_of(&MODULE, &BUILD.replace("FORCE", "true"));
        let values = plan(&args, &there).unwrap().values;
        let values = finish(&args, values, &[Done::default()], &there).unwrap();
        assert_eq!(values.get("changed"), Some(&Value::from(false)));
        let newer = there.with("/images/shop:7f3a/json", r#"{"Id":"sha256:bb"}"#);
        let before = Map::from_iter([("image".into(), crate::modules::docker::bench::json(r#"{"Id":"sha256:aa"}"#))]);
        assert_eq!(finish(&args, before, &[Done::default()], &newer).unwrap().get("changed"), None);
    }

    #[test]
    fn an_image_is_tagged_and_pushed() {
        let there = daemon().with("/images/shop:latest/json", r#"{"Id":"sha256:aa"}"#);
        let lines = planned(&there, r#"{"name":"shop","source":"local","repository":"reg:5000/shop:v1","push":true}"#);
        assert_eq!(
            lines,
            ["POST /v1.41/images/shop:latest/tag?repo=reg:5000%2Fshop&tag=v1", "/usr/bin/docker push reg:5000/shop:v1"]
        );
    }

    #[test]
    fn what_is_missing_is_said() {
        let refused = |args: &str| plan(&args_of(&MODULE, args), &daemon()).unwrap_err().msg;
        assert!(refused(r#"{"name":"shop"}"#).contains("`source` must say"));
        assert!(refused(r#"{"name":"shop","source":"local"}"#).contains("no image `shop:latest`"));
        assert!(refused(r#"{"name":"shop","source":"build","build":{"path":"/nowhere"}}"#).contains("/nowhere does not exist"));
        assert!(planned(&daemon(), r#"{"name":"shop","state":"absent"}"#).is_empty());
    }
}
