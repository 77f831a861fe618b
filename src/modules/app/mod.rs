//! The host's part of a rollout: modules of `roll` itself, which no playbook can call.
//!
//! `_app_inspect` says what runs; `_quiet` proves that nothing is connected any more; `_park` puts the running container aside,
//! `_unpark` brings it back, `_retire` lets it go; `_aside` lets it run on without its name and `_revive` lets it run again, where two
//! containers are there for a while; `_probe` asks a URL from where the app is; `_logs` reads the last words of a
//! container; `_haproxy` talks to the balancer's admin socket.
//!
//! # The book
//! What is true of an app is on its hosts ([`book::Book`]): `_app_lock` takes the lock and sets the generation, `_app_beat` keeps it,
//! `_app_record` writes down how far things are, `_app_state` reads everything and needs no lock, `_app_wish` asks whoever has it to pause. The order is: lock every host (nothing is
//! changed by that), then lock again with a generation above all that were found, then work; each request of the rollout carries the
//! lease that the lock answered with, and a host carries nothing out whose lease is not the newest.
//!
//! # Parking
//! A parked container is the old one: stopped, renamed to `<name>.parked-<generation>`, restart policy off, and its image held by
//! a tag of its own, `roll-parked/<name>:<generation>.<policy>.<retries>`. As long as the container is there, `docker image prune -a` leaves
//! its image alone; where `docker container prune` took it, it is made again from the held image and from what it was started with, which
//! is in the label of a second image (`held.rs`). Only both prunes together, in the middle of a rollout, leave nothing; then going back
//! says so and changes nothing. All of this is in Docker, so there is no second place that could disagree with it, and none
//! that would hold the secrets of a container's environment.
//!
//! A rollout parks *before* the tasks of the play run. The user's own "stop the old container" then finds nothing and
//! changes nothing, and `docker_container` with the same name makes the new one instead of removing the old. So the playbook
//! stays plain Ansible (without `roll` the same tasks stop and replace), and the way back never depends on what they do.
//! Every one of these modules plans from what it finds, so each may be asked again after a lost answer.

pub(super) mod aside;
pub(super) mod beat;
pub(crate) mod book;
pub(super) mod haproxy;
mod held;
pub(super) mod idle;
pub(super) mod inspect;
pub(super) mod lock;
pub(super) mod logs;
pub(super) mod park;
mod ports;
pub(super) mod probe;
pub(super) mod quiet;
pub(super) mod record;
pub(super) mod retire;
pub(super) mod revive;
mod sockets;
pub(super) mod state;
pub(super) mod unpark;
pub(super) mod wish;

use super::docker::engine::{Engine, bool_at, encode, encode_path, int_at, map_of, text_at};
use super::{Act, Arg, Change, Failure, Kind};
use crate::value::Value;

const COLLECTION: &str = "roll.internal";

/// Which container, and which rollout.
const PARKING_ARGS: &[Arg] = &[
    Arg::new("container", Kind::Str, "name of the app's container").required(),
    Arg::new("generation", Kind::Int, "number of the rollout").required(),
    Arg::new("grace", Kind::Int, "seconds between asking the container to stop and killing it").default("30"),
];

fn parked_name(container: &str, generation: i64) -> String {
    format!("{container}.parked-{generation}")
}

/// The generation in the name of a parked container.
fn generation_of(container: &str, name: &str) -> Option<i64> {
    name.trim_start_matches('/').strip_prefix(container)?.strip_prefix(".parked-")?.parse().ok()
}

fn rename(engine: &Engine<'_>, id: &str, from: &str, to: &str) -> Change {
    let act = engine.post(&format!("/containers/{id}/rename?name={}", encode(to)), None);
    Change::new(format!("container {from}"), from, to, act)
}

fn stop(engine: &Engine<'_>, id: &str, name: &str, grace: i64) -> Change {
    let act = engine.post(&format!("/containers/{id}/stop?t={grace}"), None);
    Change::new(format!("container {name}"), "running", "stopped", act)
}

fn start(engine: &Engine<'_>, name: &str) -> Change {
    let act = engine.post(&format!("/containers/{}/start", encode(name)), None);
    Change::new(format!("container {name}"), "stopped", "running", act)
}

fn vanishes(name: &str) -> Failure {
    Failure::new(format!(
        "container `{name}` was started with `auto_remove`: stopping it would remove it, and nothing to go back to would be left"
    ))
}

fn set_policy(engine: &Engine<'_>, id: &str, name: &str, from: &str, policy: &str, retries: i64) -> Change {
    let mut wanted = vec![("Name", Value::from(policy))];
    if policy == "on-failure" {
        wanted.push(("MaximumRetryCount", retries.into()));
    }
    let body = map_of([("RestartPolicy", wanted.into_iter().collect())]);
    let act = engine.post(&format!("/containers/{id}/update"), Some(&body));
    Change::new(format!("container {name}"), format!("restart policy {from}"), format!("restart policy {policy}"), act)
}

fn remove(engine: &Engine<'_>, id: &str, name: &str) -> Change {
    let act = engine.act("DELETE", &format!("/containers/{id}?force=true"), None, &[404]);
    Change::new(format!("container {name}"), "present", "absent", act)
}

/// Takes a tag away; the image stays as long as anything else names or uses it.
fn untag(engine: &Engine<'_>, tag: &str) -> Change {
    let act: Act = engine.act("DELETE", &format!("/images/{}?force=true&noprune=true", encode_path(tag)), None, &[404, 409]);
    Change::new(format!("image {tag}"), "held", "let go", act)
}

/// What people need to know of a container.
fn describe(container: &Value) -> Value {
    let label = |name: &str| text_at(container, &["Config", "Labels", name]).to_owned();
    let image = text_at(container, &["Config", "Image"]);
    let release = Some(label("roll.release")).filter(|release| !release.is_empty());
    let tag = image.rsplit_once(':').map(|(_, tag)| tag.to_owned()).filter(|tag| !tag.contains('/'));
    let health = Some(text_at(container, &["State", "Health", "Status"])).filter(|health| !health.is_empty());
    map_of([
        ("id", text_at(container, &["Id"]).into()),
        ("name", text_at(container, &["Name"]).trim_start_matches('/').into()),
        ("image", image.into()),
        ("image_id", text_at(container, &["Image"]).into()),
        ("release", release.or(tag).into()),
        ("is_running", bool_at(container, &["State", "Running"]).into()),
        ("status", text_at(container, &["State", "Status"]).into()),
        ("started_at", text_at(container, &["State", "StartedAt"]).into()),
        ("exit_code", int_at(container, &["State", "ExitCode"]).into()),
        ("restarts", int_at(container, &["RestartCount"]).into()),
        ("health", health.into()),
        ("pid", int_at(container, &["State", "Pid"]).into()),
        ("auto_remove", bool_at(container, &["HostConfig", "AutoRemove"]).into()),
        ("host_network", is_on_host_network(container).into()),
    ])
}

/// Its connections are among those of everything else on the host.
fn is_on_host_network(container: &Value) -> bool {
    text_at(container, &["HostConfig", "NetworkMode"]) == "host"
}

/// Parked containers of an app, oldest generation first.
fn parked(engine: &Engine<'_>, container: &str) -> Result<Vec<(i64, Value)>, Failure> {
    let filters = super::docker::engine::filters(&[("name".to_owned(), format!("{container}.parked-"))]);
    let mut found = Vec::new();
    for entry in engine.list(&format!("/containers/json?all=true&filters={filters}"))? {
        let names = entry.get("Names").and_then(Value::as_list).unwrap_or_default().to_vec();
        let generation = names.iter().filter_map(Value::as_str).find_map(|name| generation_of(container, name));
        if let (Some(generation), Some(whole)) = (generation, engine.container(text_at(&entry, &["Id"]))?) {
            found.push((generation, whole));
        }
    }
    found.sort_by_key(|(generation, _)| *generation);
    Ok(found)
}

#[cfg(test)]
mod tests;
