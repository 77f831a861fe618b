//! Which ports of the host something other than the app has: its container could not be started there.

use super::generation_of;
use super::sockets::{self, Connection};
use crate::modules::docker::engine::{Engine, text_at};
use crate::modules::{Args, Failure, Look};
use crate::value::{Map, Value};
use std::collections::BTreeMap;

/// By port: the container that it is published for, null where a process listens. `{"8080": "nginx", "22": null}`
pub(super) fn taken(app: &str, look: &dyn Look) -> Result<Value, Failure> {
    let engine = Engine::of(&Args::default(), look)?;
    // A host without Docker has no containers.
    let running = engine.list("/containers/json").unwrap_or_default();
    let (own, others): (Vec<&Value>, Vec<&Value>) = running.iter().partition(|container| is_of(app, container));
    let mut taken = BTreeMap::new();
    // What listens beside a container on the host's own network may be that.
    if !own.iter().any(|container| text_at(container, &["HostConfig", "NetworkMode"]) == "host") {
        taken.extend(listened_on(look).into_iter().map(|port| (port, Value::Null)));
    }
    for container in others {
        let name = names(container).next().unwrap_or_else(|| text_at(container, &["Id"]));
        taken.extend(published(container).map(|port| (port, Value::from(name))));
    }
    own.into_iter().flat_map(published).for_each(|port| _ = taken.remove(&port));
    Ok(Value::map(taken.into_iter().map(|(port, holder)| (port.to_string().into(), holder)).collect::<Map>()))
}

fn names(container: &Value) -> impl Iterator<Item = &str> {
    let names = container.get("Names").and_then(Value::as_list).unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(|name| name.trim_start_matches('/'))
}

fn is_of(app: &str, container: &Value) -> bool {
    names(container).any(|name| name == app || generation_of(app, name).is_some())
}

/// The host's TCP ports that lead to it.
fn published(container: &Value) -> impl Iterator<Item = i64> {
    let ports = container.get("Ports").and_then(Value::as_list).unwrap_or_default();
    let tcp = ports.iter().filter(|port| text_at(port, &["Type"]) == "tcp");
    tcp.filter_map(|port| port.get("PublicPort")?.to_int())
}

fn listened_on(look: &dyn Look) -> Vec<i64> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| look.text(path).ok().flatten().unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| sockets::parse(table));
    sockets.filter(Connection::is_listening).map(|socket| socket.port.into()).collect()
}
