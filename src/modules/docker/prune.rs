//! `docker_prune`: removes what is not used. What is kept for going back to an earlier release has a tag of its own and is
//! never unused while a rollout lasts (see `_park`).

use super::engine::{Engine, text_at};
use super::host_info::{encoded, filters};
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
        if *kind == "containers" && spare_the_parked(args, &engine, &mut plan)? {
            continue;
        }
        engine.answer()?;
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

/// What a rollout has put aside is stopped, but not unused: where there is such a container, the others are removed one by one.
fn spare_the_parked(args: &Args, engine: &Engine<'_>, plan: &mut Plan) -> Result<bool, Failure> {
    let stopped = |given: &Map| {
        let mut wanted = given.clone();
        wanted.insert("status".into(), ["created", "exited", "dead"].map(Value::from).to_vec().into());
        format!("/containers/json?all=true&filters={}", encoded(&wanted))
    };
    let is_parked = |container: &Value| names(container).iter().any(|name| is_parked_name(name));
    if !engine.list(&stopped(&Map::new()))?.iter().any(is_parked) {
        return Ok(false);
    }
    let given = args.get("containers_filters").and_then(Value::as_map).cloned().unwrap_or_default();
    let mut removed = Vec::new();
    // The list knows no `until`: nothing is removed rather than too much.
    let found = if given.contains_key("until") { Vec::new() } else { engine.list(&stopped(&given))? };
    for container in found.iter().filter(|container| !is_parked(container)) {
        let id = text_at(container, &["Id"]);
        let act = engine.act("DELETE", &format!("/containers/{id}"), None, &[404, 409]);
        plan.push(Change::new(format!("container {id}"), "stopped", "absent", act));
        removed.push(Value::from(id));
    }
    engine.look.say("a rollout has a container parked: it is left alone");
    plan.set("containers", removed);
    Ok(true)
}

fn names(container: &Value) -> Vec<String> {
    let names = container.get("Names").and_then(Value::as_list).unwrap_or_default();
    names.iter().map(|name| name.to_text().as_str().to_owned()).collect()
}

fn is_parked_name(name: &str) -> bool {
    name.rsplit_once(".parked-").is_some_and(|(_, generation)| generation.parse::<u64>().is_ok())
}

/// Each request answers with the names of what it removed.
fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let one_by_one = values.get("containers").and_then(Value::as_list).map(<[Value]>::len);
    let mut has_removed = one_by_one.is_some_and(|count| count > 0);
    let asked = KINDS.iter().filter(|(kind, _)| args.bool(kind) && (*kind != "containers" || one_by_one.is_none()));
    for ((kind, key), done) in asked.zip(done.iter().skip(one_by_one.unwrap_or(0))) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::docker::bench::{Daemon, args_of};

    const STOPPED: &str = "/containers/json?all=true&filters=%7B%22status%22:%5B%22created%22%2C%22exited%22%2C%22dead%22%5D%7D";

    fn planned(daemon: &Daemon, args: &str) -> Vec<String> {
        plan(&args_of(&MODULE, args), daemon).unwrap().changes.iter().map(|change| Daemon::line(&change.act)).collect()
    }

    #[test]
    fn what_a_rollout_has_parked_is_not_removed() {
        let others = r#"[{"Id":"c1","Names":["/old"]},{"Id":"c2","Names":["/shop.parked-7"]}]"#;
        let daemon = Daemon::new().with(STOPPED, others);
        assert_eq!(planned(&daemon, r#"{"containers":true}"#), ["DELETE /v1.41/containers/c1"]);
        assert!(planned(&daemon, r#"{"containers":true,"containers_filters":{"until":"24h"}}"#).is_empty());
        let none = Daemon::new().with(STOPPED, r#"[{"Id":"c1","Names":["/shop.parked-lot"]}]"#);
        assert_eq!(planned(&none, r#"{"containers":true}"#), ["POST /v1.41/containers/prune?filters=%7B%7D"]);
    }

    #[test]
    fn changed_says_whether_anything_went() {
        let args = args_of(&MODULE, r#"{"images":true}"#);
        let done = |content: &str| [Done { values: Map::from_iter([("content".into(), Value::from(content))]), changed: None }];
        let values = finish(&args, Map::new(), &done(r#"{"ImagesDeleted":null,"SpaceReclaimed":0}"#), &Daemon::new()).unwrap();
        assert_eq!(values.get("changed"), Some(&Value::from(false)));
        let values =
            finish(&args, Map::new(), &done(r#"{"ImagesDeleted":[{"Deleted":"x"}],"SpaceReclaimed":9}"#), &Daemon::new())
                .unwrap();
        assert_eq!(
            (values.get("changed"), values.get("images_space_reclaimed")),
            (Some(&Value::from(true)), Some(&Value::from(9)))
        );
    }
}
