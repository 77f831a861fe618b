//! `docker_host_info`: the daemon itself, and what it holds.

use super::engine::{Engine, encode};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("containers", Kind::Bool, "list containers").default("no"),
    Arg::new("containers_all", Kind::Bool, "those that do not run among them").default("no"),
    Arg::new("containers_filters", Kind::Dict, "only containers that match"),
    Arg::new("images", Kind::Bool, "list images").default("no"),
    Arg::new("images_filters", Kind::Dict, "only images that match"),
    Arg::new("networks", Kind::Bool, "list networks").default("no"),
    Arg::new("networks_filters", Kind::Dict, "only networks that match"),
    Arg::new("volumes", Kind::Bool, "list volumes").default("no"),
    Arg::new("volumes_filters", Kind::Dict, "only volumes that match"),
    Arg::new("disk_usage", Kind::Bool, "say what is used on disk").default("no"),
    Arg::new("verbose_output", Kind::Bool, "everything the daemon says, rather than the usual columns").default("no"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_host_info",
    collection: "community.docker",
    summary: "describe the docker daemon of a host and what it holds",
    args: &[ARGS, super::API_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const CONTAINER_COLUMNS: &[&str] = &["Id", "Image", "Command", "Created", "Status", "Ports", "Names"];
const IMAGE_COLUMNS: &[&str] = &["Id", "RepoTags", "Created", "Size"];
const NETWORK_COLUMNS: &[&str] = &["Id", "Driver", "Name", "Scope"];
const VOLUME_COLUMNS: &[&str] = &["Driver", "Name"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let mut plan = Plan::default();
    plan.set("can_talk_to_docker", true);
    plan.set("host_info", engine.get("/info")?.unwrap_or_default());
    let is_verbose = args.bool("verbose_output");
    let columns = |items: Vec<Value>, names: &[&str]| -> Value {
        items.into_iter().map(|item| if is_verbose { item } else { only(&item, names) }).collect()
    };
    if args.bool("containers") {
        let all = if args.bool("containers_all") { "all=true&" } else { "" };
        let items = engine.list(&format!("/containers/json?{all}filters={}", filters(args, "containers_filters")))?;
        plan.set("containers", columns(items, CONTAINER_COLUMNS));
    }
    if args.bool("images") {
        let items = engine.list(&format!("/images/json?filters={}", filters(args, "images_filters")))?;
        plan.set("images", columns(items, IMAGE_COLUMNS));
    }
    if args.bool("networks") {
        let items = engine.list(&format!("/networks?filters={}", filters(args, "networks_filters")))?;
        plan.set("networks", columns(items, NETWORK_COLUMNS));
    }
    if args.bool("volumes") {
        let reply = engine.get(&format!("/volumes?filters={}", filters(args, "volumes_filters")))?.unwrap_or_default();
        let items = reply.get("Volumes").and_then(Value::as_list).unwrap_or_default().to_vec();
        plan.set("volumes", columns(items, VOLUME_COLUMNS));
    }
    if args.bool("disk_usage") {
        let usage = engine.get("/system/df")?.unwrap_or_default();
        plan.set("disk_usage", if is_verbose { usage } else { only(&usage, &["LayersSize"]) });
    }
    Ok(plan)
}

fn only(item: &Value, names: &[&str]) -> Value {
    names.iter().filter_map(|name| item.get(name).map(|value| (*name, value.clone()))).collect()
}

pub(super) fn filters(args: &Args, name: &str) -> String {
    encoded(&args.get(name).and_then(Value::as_map).cloned().unwrap_or_default())
}

/// Ansible takes one value or a list for each filter; the API wants lists of text.
pub(super) fn encoded(given: &Map) -> String {
    let text = |value: &Value| match value {
        Value::Bool(truth) => Value::from(if *truth { "true" } else { "false" }),
        other => Value::String(other.to_text()),
    };
    let list = |value: &Value| -> Value {
        match value.as_list() {
            Some(items) => items.iter().map(text).collect(),
            None => Value::list(vec![text(value)]),
        }
    };
    let map: Map = given.iter().map(|(key, value)| (key.clone(), list(value))).collect();
    encode(&Value::map(map).to_json())
}
