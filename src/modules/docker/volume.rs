//! `docker_volume`: a volume with its driver, options and labels.

use super::engine::{Engine, encode};
use crate::modules::{Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("volume_name", Kind::Str, "name of the volume").aliases(&["name"]).required(),
    Arg::new("driver", Kind::Str, "driver").default("local"),
    Arg::new("driver_options", Kind::Dict, "options of the driver"),
    Arg::new("labels", Kind::Dict, "labels"),
    Arg::new("recreate", Kind::Str, "whether it is made anew, which loses what is in it")
        .choices(&["always", "never", "options-changed"])
        .default("never"),
    Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "present"]).default("present"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_volume",
    collection: "community.docker",
    summary: "make and remove volumes",
    args: &[ARGS, super::API_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn path(name: &str) -> String {
    format!("/volumes/{}", encode(name))
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = args.required("volume_name")?;
    let found = engine.get(&path(name))?;
    let mut plan = Plan::default();
    let remove = |before: &Value| {
        Change::new(format!("volume {name}"), before.clone(), Value::Null, engine.act("DELETE", &path(name), None, &[404]))
    };
    match (args.str("state"), &found) {
        (Some("absent"), None) => {}
        (Some("absent"), Some(volume)) => drop(plan.push(remove(volume))),
        (_, None) => drop(plan.push(create(args, &engine, name))),
        (_, Some(volume)) => {
            let must = match args.str("recreate") {
                Some("always") => true,
                Some("options-changed") => differs(args, volume),
                _ => false,
            };
            if must {
                plan.push(remove(volume)).push(create(args, &engine, name));
            }
        }
    }
    plan.set("volume", found.unwrap_or_default());
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, _: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let found = Engine::of(args, look)?.get(&path(args.required("volume_name")?))?;
    values.insert("volume".into(), found.unwrap_or_default());
    Ok(values)
}

fn texts(args: &Args, name: &str) -> Value {
    args.dict(name).into_iter().flatten().map(|(key, value)| (key.clone(), Value::String(value.to_text()))).collect()
}

fn create(args: &Args, engine: &Engine<'_>, name: &str) -> Change {
    let mut body = Map::from_iter([("Name".into(), name.into()), ("Driver".into(), args.str("driver").into())]);
    for (ours, theirs) in [("driver_options", "DriverOpts"), ("labels", "Labels")] {
        if args.has(ours) {
            body.insert(theirs.into(), texts(args, ours));
        }
    }
    let body = Value::map(body);
    Change::new(format!("volume {name}"), Value::Null, body.clone(), engine.post("/volumes/create", Some(&body)))
}

/// Only what the task says counts.
fn differs(args: &Args, volume: &Value) -> bool {
    let has = |ours: &str, theirs: &str| {
        texts(args, ours).as_map().is_none_or(|wanted| {
            wanted.iter().all(|(key, value)| volume.get(theirs).and_then(|all| all.get(key.as_str()?)) == Some(value))
        })
    };
    args.str("driver") != volume.get("Driver").and_then(Value::as_str)
        || !has("driver_options", "Options")
        || !has("labels", "Labels")
}
