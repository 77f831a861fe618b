//! The networks a container is connected to.

use super::compare::{Comparisons, Mode};
use crate::modules::docker::engine::{Engine, at, encode, map_of, text_at};
use crate::modules::{Args, Change};
use crate::value::{Map, Value};

fn wanted(args: &Args) -> &[Value] {
    args.get("networks").and_then(Value::as_list).unwrap_or_default()
}

/// A container can be made in one network only: in the first, if that is its network mode.
pub(super) fn first_endpoint(args: &Args) -> Option<Value> {
    let first = wanted(args).first().filter(|_| is_first_the_mode(args))?;
    Some(Value::pair(text_at(first, &["name"]), endpoint(first)))
}

fn is_first_the_mode(args: &Args) -> bool {
    args.bool("networks_cli_compatible") && !args.has("network_mode")
        || wanted(args).first().is_some_and(|first| args.str("network_mode") == Some(text_at(first, &["name"])))
}

/// The other networks of a container that was just made.
pub(super) fn after_create(args: &Args, engine: &Engine<'_>, container: &str) -> Vec<Change> {
    let rest = wanted(args).iter().skip(usize::from(is_first_the_mode(args)));
    rest.map(|network| connect(engine, container, network)).collect()
}

/// What differs for a container that is there.
pub(super) fn changes(args: &Args, engine: &Engine<'_>, comparisons: &Comparisons, container: &Value) -> Vec<Change> {
    let mode = comparisons.mode("networks", Mode::AllowMore);
    let id = text_at(container, &["Id"]);
    let connected = at(container, &["NetworkSettings", "Networks"]).and_then(Value::as_map).cloned().unwrap_or_default();
    let mut changes = Vec::new();
    if mode == Mode::Ignore {
        return changes;
    }
    for network in wanted(args) {
        match find(&connected, text_at(network, &["name"])) {
            None => changes.push(connect(engine, id, network)),
            Some((_, found)) if is_as_wanted(network, found) => {}
            Some((name, _)) => {
                changes.push(disconnect(engine, id, &name));
                changes.push(connect(engine, id, network));
            }
        }
    }
    if args.bool("purge_networks") || (mode == Mode::Strict && args.has("networks")) {
        let is_listed = |name: &str, found: &Value| {
            wanted(args).iter().map(|network| text_at(network, &["name"])).any(|wanted| is_called(wanted, name, found))
        };
        let extra = connected.iter().filter(|(name, found)| !is_listed(&name.to_string(), found));
        changes.extend(extra.map(|(name, _)| disconnect(engine, id, &name.to_string())));
    }
    changes
}

fn find<'m>(connected: &'m Map, wanted: &str) -> Option<(String, &'m Value)> {
    connected.iter().map(|(name, found)| (name.to_string(), found)).find(|(name, found)| is_called(wanted, name, found))
}

fn is_called(wanted: &str, name: &str, found: &Value) -> bool {
    let id = text_at(found, &["NetworkID"]);
    wanted == name || (wanted.len() >= 12 && id.starts_with(wanted))
}

/// Only what the task says about an endpoint is compared.
fn is_as_wanted(network: &Value, found: &Value) -> bool {
    let holds_all = |ours: &str, theirs: &str| {
        let found = found.get(theirs).and_then(Value::as_list).unwrap_or_default();
        network.get(ours).and_then(Value::as_list).unwrap_or_default().iter().all(|item| found.contains(item))
    };
    let is_address = |ours: &str, theirs: &str| {
        network.get(ours).is_none_or(|address| address.to_text().as_str() == text_at(found, &["IPAMConfig", theirs]))
    };
    holds_all("aliases", "Aliases")
        && holds_all("links", "Links")
        && is_address("ipv4_address", "IPv4Address")
        && is_address("ipv6_address", "IPv6Address")
}

fn endpoint(network: &Value) -> Value {
    let mut endpoint = Map::new();
    for (ours, theirs) in
        [("aliases", "Aliases"), ("links", "Links"), ("driver_opts", "DriverOpts"), ("mac_address", "MacAddress")]
    {
        if let Some(value) = network.get(ours).filter(|value| !value.is_null()) {
            endpoint.insert(theirs.into(), value.clone());
        }
    }
    let addresses: Map = [("ipv4_address", "IPv4Address"), ("ipv6_address", "IPv6Address")]
        .iter()
        .filter_map(|(ours, theirs)| Some(((*theirs).into(), network.get(ours).filter(|value| !value.is_null())?.clone())))
        .collect();
    if !addresses.is_empty() {
        endpoint.insert("IPAMConfig".into(), Value::map(addresses));
    }
    Value::map(endpoint)
}

fn connect(engine: &Engine<'_>, container: &str, network: &Value) -> Change {
    let name = text_at(network, &["name"]);
    let body = map_of([("Container", container.into()), ("EndpointConfig", endpoint(network))]);
    let act = engine.post(&format!("/networks/{}/connect", encode(name)), Some(&body));
    Change::new(format!("network {name}"), map_of([("connected", false.into())]), map_of([("connected", true.into())]), act)
}

fn disconnect(engine: &Engine<'_>, container: &str, name: &str) -> Change {
    let body = map_of([("Container", container.into()), ("Force", false.into())]);
    let act = engine.post(&format!("/networks/{}/disconnect", encode(name)), Some(&body));
    Change::new(format!("network {name}"), map_of([("connected", true.into())]), map_of([("connected", false.into())]), act)
}
