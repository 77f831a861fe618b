//! `docker_prune`: removes what is not used. What is kept for going back to an earlier release has a tag of its own and is
//! never unused while a rollout lasts (see `_park`).

use super::engine::Engine;
use super::host_info::filters;
use crate::modules::{Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("containers", Kind::Bool, "remove stopped containers").default("no"),
    Arg::new("containers_filters", Kind::Dict, "only containers that match"),
    Arg::new("images", Kind::Bool, "remove images").default("no"),
    Arg::new("images_filters", Kind::Dict, "only images that match; `dangling: no` for all that are unused"),
    Arg::new("networks", Kind::Bool, "remove unused networks").default("no"),
    Arg::new("networks_filters", Kind::Dict, "only networks that match"),
    Arg::new("volumes", Kind::Bool, "remove unused volumes").default("no"),
    Arg::new("volumes_filters", Kind::Dict, "only volumes that match"),
    Arg::new("builder_cache", Kind::Bool, "remove the builder's cache").default("no"),
    Arg::new("builder_cache_all", Kind::Bool, "all of it, not only what is dangling").default("no"),
    Arg::new("builder_cache_filters", Kind::Dict, "only entries that match"),
    Arg::new("builder_cache_keep_storage", Kind::Str, "how much of it to keep"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_prune",
    collection: "community.docker",
    summary: "remove containers, images, networks, volumes and cache that nothing uses",
    args: &[ARGS, super::API_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const KINDS: &[(&str, &str)] = &[
    ("containers", "ContainersDeleted"),
    ("images", "ImagesDeleted"),
    ("networks", "NetworksDeleted"),
    ("volumes", "VolumesDeleted"),
    ("builder_cache", "CachesDeleted"),
];

/// The daemon cannot be asked what it would remove, so each kind is one change; `finish` says whether anything went.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let mut plan = Plan::default();
    for (kind, _) in KINDS.iter().filter(|(kind, _)| args.bool(kind)) {
        let mut path = match *kind {
            "builder_cache" => "/build/prune".to_owned(),
            kind => format!("/{kind}/prune"),
        };
        path.push_str(&format!("?filters={}", filters(args, &format!("{kind}_filters"))));
        if *kind == "builder_cache" {
            if args.bool("builder_cache_all") {
                path.push_str("&all=true");
            }
            if let Some(size) = args.text("builder_cache_keep_storage") {
                path.push_str(&format!("&keep-storage={}", super::units::bytes("builder_cache_keep_storage", &size)?));
            }
        }
        plan.push(Change::new(format!("unused {kind}"), Value::Null, Value::Null, engine.post(&path, None)));
    }
    Ok(plan)
}

/// Each request answers with the names of what it removed.
fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let mut has_removed = false;
    for ((kind, key), done) in KINDS.iter().filter(|(kind, _)| args.bool(kind)).zip(done) {
        let content = done.values.get("content").and_then(Value::as_str).unwrap_or_default();
        let json = Value::from_json(content).unwrap_or_default();
        let removed = json.get(key).cloned().unwrap_or_default();
        let removed = if removed.is_null() { Value::list(Vec::new()) } else { removed };
        has_removed |= removed.as_list().is_some_and(|removed| !removed.is_empty());
        values.insert((*kind).into(), removed);
        if *kind != "networks" {
            values.insert(format!("{kind}_space_reclaimed").into(), json.get("SpaceReclaimed").cloned().unwrap_or(Value::Int(0)));
        }
    }
    values.insert("changed".into(), has_removed.into());
    Ok(values)
}
