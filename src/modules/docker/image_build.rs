//! `docker_image_build`: an image built by the `docker` program from a directory.

use super::build::Recipe;
use super::engine::Engine;
use super::reference::Reference;
use crate::modules::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "name of the image, with or without a tag").required(),
    Arg::new("tag", Kind::Str, "tag, where the name has none").default("latest"),
    Arg::new("path", Kind::Path, "directory of the build context: on the host, or else beside the playbook").required(),
    Arg::new("dockerfile", Kind::Str, "the Dockerfile, seen from the directory"),
    Arg::new("cache_from", Kind::List, "images whose layers can be used"),
    Arg::new("pull", Kind::Bool, "ask for newer base images").default("no"),
    Arg::new("network", Kind::Str, "network while building"),
    Arg::new("nocache", Kind::Bool, "use no cache").default("no"),
    Arg::new("etc_hosts", Kind::Dict, "further names while building"),
    Arg::new("args", Kind::Dict, "build arguments"),
    Arg::new("target", Kind::Str, "stage to build"),
    Arg::new("platform", Kind::List, "platforms to build for"),
    Arg::new("shm_size", Kind::Str, "size of /dev/shm while building"),
    Arg::new("labels", Kind::Dict, "labels"),
    Arg::new("rebuild", Kind::Str, "whether one that is there is built again").choices(&["never", "always"]).default("never"),
    Arg::new("secrets", Kind::RawList, "id, type (file, env or value), src, env, value"),
    Arg::new("outputs", Kind::RawList, "type, dest, context, name, push"),
    Arg::new("_context", Kind::Str, "the build context that the control side can send").hidden(),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_image_build",
    collection: "community.docker",
    summary: "build an image",
    args: &[ARGS, super::CLIENT_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn full_name(args: &Args) -> Result<String, Failure> {
    Ok(Reference::parse(args.required("name")?).or_tag(args.str("tag").unwrap_or("latest")).to_string())
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = full_name(args)?;
    let found = engine.image(&name)?;
    let mut plan = Plan::default();
    if found.is_none() || args.str("rebuild") == Some("always") {
        let recipe = Recipe { options: args.all(), context: args.str("_context"), platforms: args.list("platform") };
        let mut cmd = super::client_of(args, recipe.command(&engine, &name)?);
        extra(args, &mut cmd)?;
        plan.set("command", cmd.argv.iter().map(Value::from).collect::<Value>());
        plan.push(Change::new(format!("image {name}"), Value::Null, "built", Act::Run(cmd)));
    }
    plan.set("image", found.unwrap_or_default());
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    if let Some(ran) = done.first() {
        let image = Engine::of(args, look)?.image(&full_name(args)?)?;
        values.insert("image".into(), image.unwrap_or_default());
        for key in ["stdout", "stderr"] {
            values.insert(key.into(), ran.values.get(key).cloned().unwrap_or_default());
        }
    }
    Ok(values)
}

/// Secrets and outputs go before the context, which is the last word. A secret's value is in the environment only.
fn extra(args: &Args, cmd: &mut Cmd) -> Result<(), Failure> {
    let mut words = Vec::new();
    for (number, secret) in args.items("secrets").iter().enumerate() {
        let text = |key: &str| secret.get(key).map(|value| value.to_text().as_str().to_owned());
        let id = text("id").ok_or_else(|| Failure::new("secrets: `id` is missing"))?;
        let missing = |key: &str| Failure::new(format!("secrets: `{key}` is missing for the secret {id}"));
        words.push("--secret".to_owned());
        words.push(match text("type").as_deref() {
            Some("file") => format!("id={id},type=file,src={}", text("src").ok_or_else(|| missing("src"))?),
            Some("env") => format!("id={id},type=env,env={}", text("env").ok_or_else(|| missing("env"))?),
            Some("value") => {
                let variable = format!("ROLL_SECRET_{number}");
                cmd.env.push((variable.clone(), text("value").ok_or_else(|| missing("value"))?));
                format!("id={id},type=env,env={variable}")
            }
            _ => return Err(missing("type")),
        });
    }
    for output in args.items("outputs") {
        let text = |key: &str| output.get(key).filter(|value| !value.is_null()).map(|value| value.to_text().as_str().to_owned());
        let kind = text("type").ok_or_else(|| Failure::new("outputs: `type` is missing"))?;
        let mut parts = vec![format!("type={kind}")];
        parts.extend(["dest", "context", "name"].iter().filter_map(|key| text(key).map(|value| format!("{key}={value}"))));
        parts.extend(output.get("push").and_then(Value::to_bool).filter(|push| *push).map(|_| "push=true".to_owned()));
        words.extend(["--output".to_owned(), parts.join(",")]);
    }
    let context = cmd.argv.pop();
    cmd.argv.extend(words);
    cmd.argv.extend(context);
    Ok(())
}
