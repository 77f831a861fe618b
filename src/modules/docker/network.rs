//! `docker_network`: a network with its driver, options, addresses and containers.

use super::engine::{Engine, at, encode, map_of, text_at};
use crate::modules::{Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "name of the network").aliases(&["network_name"]).required(),
    Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "present"]).default("present"),
    Arg::new("driver", Kind::Str, "driver").default("bridge"),
    Arg::new("driver_options", Kind::Dict, "options of the driver"),
    Arg::new("ipam_driver", Kind::Str, "driver of address management"),
    Arg::new("ipam_driver_options", Kind::Dict, "options of that driver"),
    Arg::new("ipam_config", Kind::RawList, "subnet, iprange, gateway, aux_addresses"),
    Arg::new("enable_ipv6", Kind::Bool, "whether it has IPv6"),
    Arg::new("enable_ipv4", Kind::Bool, "whether it has IPv4"),
    Arg::new("internal", Kind::Bool, "no way out"),
    Arg::new("attachable", Kind::Bool, "containers may join a swarm network by hand"),
    Arg::new("scope", Kind::Str, "local, global or swarm").choices(&["local", "global", "swarm"]),
    Arg::new("labels", Kind::Dict, "labels"),
    Arg::new("connected", Kind::List, "containers to be connected").aliases(&["containers"]),
    Arg::new("appends", Kind::Bool, "keep containers that are not listed").aliases(&["incremental"]).default("no"),
    Arg::new("force", Kind::Bool, "make it anew in any case").default("no"),
    Arg::new("config_only", Kind::Bool, "only a configuration for other networks"),
    Arg::new("config_from", Kind::Str, "the network whose configuration to take"),
    Arg::new("ingress", Kind::Bool, "the routing mesh of a swarm"),
];

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_network",
    collection: "community.docker",
    summary: "make and remove networks of containers",
    args: &[ARGS, super::API_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = args.required("name")?;
    let found = find(&engine, name)?;
    let mut plan = Plan::default();
    match (args.str("state"), &found) {
        (Some("absent"), None) => {}
        (Some("absent"), Some(network)) => plan.changes.extend(remove(&engine, network)),
        (_, None) => {
            plan.push(create(args, &engine, name, Value::Null));
            plan.changes.extend(wanted_containers(args).iter().map(|container| connect(&engine, name, container)));
        }
        (_, Some(network)) => {
            let before = differences(args, network);
            if args.bool("force") || !before.is_empty() {
                plan.changes.extend(remove(&engine, network));
                plan.push(create(args, &engine, name, Value::map(before)));
                let returning = returning_containers(args, network);
                plan.changes.extend(returning.iter().map(|container| connect(&engine, name, container)));
            } else {
                plan.changes.extend(memberships(args, &engine, network));
            }
        }
    }
    plan.set("network", found.unwrap_or_default());
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, _: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let network = find(&Engine::of(args, look)?, args.required("name")?)?;
    values.insert("network".into(), network.unwrap_or_default());
    Ok(values)
}

/// By name; an id would also be found and is not meant.
fn find(engine: &Engine<'_>, name: &str) -> Result<Option<Value>, Failure> {
    Ok(engine.network(name)?.filter(|network| text_at(network, &["Name"]) == name))
}

fn wanted_containers(args: &Args) -> Vec<String> {
    args.list("connected")
}

/// Who is connected once the network is made anew: who was before, unless the task has its own list.
fn returning_containers(args: &Args, network: &Value) -> Vec<String> {
    let (mut wanted, found) = (wanted_containers(args), members(network));
    if wanted.is_empty() || args.bool("appends") {
        let others: Vec<String> = found.into_iter().filter(|container| !wanted.contains(container)).collect();
        wanted.extend(others);
    }
    wanted
}

fn remove(engine: &Engine<'_>, network: &Value) -> Vec<Change> {
    let id = text_at(network, &["Id"]);
    let name = text_at(network, &["Name"]);
    let members = members(network);
    let mut changes: Vec<Change> = members.iter().map(|container| disconnect(engine, name, container)).collect();
    let act = engine.act("DELETE", &format!("/networks/{id}"), None, &[404]);
    changes.push(Change::new(format!("network {name}"), "present", "absent", act));
    changes
}

fn create(args: &Args, engine: &Engine<'_>, name: &str, before: Value) -> Change {
    let mut body = Map::from_iter([("Name".into(), name.into()), ("CheckDuplicate".into(), true.into())]);
    let plain = [
        ("driver", "Driver"),
        ("driver_options", "Options"),
        ("enable_ipv6", "EnableIPv6"),
        ("enable_ipv4", "EnableIPv4"),
        ("internal", "Internal"),
        ("attachable", "Attachable"),
        ("scope", "Scope"),
        ("labels", "Labels"),
        ("config_only", "ConfigOnly"),
        ("ingress", "Ingress"),
    ];
    for (ours, theirs) in plain {
        if let Some(value) = args.get(ours) {
            let value = if value.as_map().is_some() { texts(value) } else { value.clone() };
            body.insert(theirs.into(), value);
        }
    }
    if let Some(from) = args.str("config_from") {
        body.insert("ConfigFrom".into(), map_of([("Network", from.into())]));
    }
    let mut ipam = Map::new();
    if let Some(driver) = args.get("ipam_driver") {
        ipam.insert("Driver".into(), driver.clone());
    }
    if let Some(options) = args.get("ipam_driver_options") {
        ipam.insert("Options".into(), texts(options));
    }
    if let Some(configs) = args.get("ipam_config").and_then(Value::as_list) {
        ipam.insert("Config".into(), configs.iter().map(address_range).collect());
    }
    if !ipam.is_empty() {
        body.insert("IPAM".into(), Value::map(ipam));
    }
    let body = Value::map(body);
    Change::new(format!("network {name}"), before, body.clone(), engine.post("/networks/create", Some(&body)))
}

const RANGE_KEYS: &[(&str, &str)] =
    &[("subnet", "Subnet"), ("iprange", "IPRange"), ("gateway", "Gateway"), ("aux_addresses", "AuxiliaryAddresses")];

fn address_range(config: &Value) -> Value {
    RANGE_KEYS
        .iter()
        .filter_map(|(ours, theirs)| Some((*theirs, config.get(ours).filter(|value| !value.is_null())?.clone())))
        .collect()
}

fn texts(value: &Value) -> Value {
    let text = |value: &Value| match value {
        Value::Bool(truth) => Value::from(if *truth { "true" } else { "false" }),
        other => Value::String(other.to_text()),
    };
    value.as_map().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// Arguments that are on or off, and off where the engine does not say.
const SWITCHES: [(&str, &str); 5] = [
    ("internal", "Internal"),
    ("attachable", "Attachable"),
    ("enable_ipv6", "EnableIPv6"),
    ("ingress", "Ingress"),
    ("config_only", "ConfigOnly"),
];

/// What is not as asked for; only what the task says counts.
fn differences(args: &Args, network: &Value) -> Map {
    let mut found = address_differences(args, network);
    let mut note = |name: &str, value: Option<&Value>| drop(found.insert(name.into(), value.cloned().unwrap_or_default()));
    // The engine gives a configuration no driver.
    let has_driver = args.str("config_from").is_none() && !args.bool("config_only");
    if has_driver && args.str("driver") != Some(text_at(network, &["Driver"])) {
        note("driver", network.get("Driver"));
    }
    for (ours, theirs) in SWITCHES {
        if args.has(ours) && args.bool(ours) != network.get(theirs).and_then(Value::as_bool).unwrap_or_default() {
            note(ours, network.get(theirs));
        }
    }
    for (ours, theirs) in [("driver_options", "Options"), ("labels", "Labels")] {
        if args.get(ours).is_some_and(|wanted| !holds(&texts(wanted), network.get(theirs))) {
            note(ours, network.get(theirs));
        }
    }
    if args.has("scope") && args.str("scope") != Some(text_at(network, &["Scope"])) {
        note("scope", network.get("Scope"));
    }
    if args.has("config_from") && args.str("config_from") != Some(text_at(network, &["ConfigFrom", "Network"])) {
        note("config_from", at(network, &["ConfigFrom", "Network"]));
    }
    found
}

/// The same of IP addresses and who manages them.
fn address_differences(args: &Args, network: &Value) -> Map {
    let mut found = Map::new();
    let mut note = |name: &str, value: Option<&Value>| drop(found.insert(name.into(), value.cloned().unwrap_or_default()));
    // An engine before API 1.48 cannot do without IPv4, and does not speak of it.
    let has_ipv4 = network.get("EnableIPv4").and_then(Value::as_bool);
    if args.has("enable_ipv4") && has_ipv4.is_some_and(|has| has != args.bool("enable_ipv4")) {
        note("enable_ipv4", network.get("EnableIPv4"));
    }
    if args.has("ipam_driver") && args.str("ipam_driver") != Some(text_at(network, &["IPAM", "Driver"])) {
        note("ipam_driver", at(network, &["IPAM", "Driver"]));
    }
    let options = at(network, &["IPAM", "Options"]);
    if args.get("ipam_driver_options").is_some_and(|wanted| !holds(&texts(wanted), options)) {
        note("ipam_driver_options", options);
    }
    let ranges = at(network, &["IPAM", "Config"]);
    let known = ranges.and_then(Value::as_list).unwrap_or_default();
    let wanted = args.get("ipam_config").and_then(Value::as_list).unwrap_or_default();
    if !wanted.iter().all(|config| known.iter().any(|range| holds(&address_range(config), Some(range)))) {
        note("ipam_config", ranges);
    }
    found
}

fn holds(wanted: &Value, found: Option<&Value>) -> bool {
    wanted
        .as_map()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| found.and_then(|found| found.get(key.as_str()?)) == Some(value)))
}

fn members(network: &Value) -> Vec<String> {
    let containers = network.get("Containers").and_then(Value::as_map).cloned().unwrap_or_default();
    containers.values().map(|container| text_at(container, &["Name"]).to_owned()).collect()
}

fn memberships(args: &Args, engine: &Engine<'_>, network: &Value) -> Vec<Change> {
    let (name, wanted, found) = (text_at(network, &["Name"]), wanted_containers(args), members(network));
    // As with Ansible, an empty list is none at all.
    if wanted.is_empty() {
        return Vec::new();
    }
    let missing = wanted.iter().filter(|container| !found.contains(container)).map(|container| connect(engine, name, container));
    let extra = found.iter().filter(|container| !args.bool("appends") && !wanted.contains(container));
    missing.chain(extra.map(|container| disconnect(engine, name, container))).collect()
}

fn connect(engine: &Engine<'_>, name: &str, container: &str) -> Change {
    let act = engine.post(&format!("/networks/{}/connect", encode(name)), Some(&map_of([("Container", container.into())])));
    Change::new(format!("container {container}"), "apart", format!("connected to {name}"), act)
}

fn disconnect(engine: &Engine<'_>, name: &str, container: &str) -> Change {
    let body = map_of([("Container", container.into()), ("Force", true.into())]);
    let act = engine.act("POST", &format!("/networks/{}/disconnect", encode(name)), Some(&body), &[404]);
    Change::new(format!("container {container}"), format!("connected to {name}"), "apart", act)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::docker::bench::{Daemon, args_of};

    const APP: &str = r#"{"Id":"n1","Name":"app","Driver":"bridge","Internal":false,"IPAM":{"Config":[{"Subnet":"10.9.0.0/24"}]},
        "Containers":{"c1":{"Name":"web"}}}"#;

    fn planned(daemon: &Daemon, args: &str) -> Vec<String> {
        plan(&args_of(&MODULE, args), daemon).unwrap().changes.iter().map(|change| Daemon::line(&change.act)).collect()
    }

    #[test]
    fn networks_are_made_compared_and_removed() {
        let none = Daemon::new();
        let made = planned(&none, r#"{"name":"app","ipam_config":[{"subnet":"10.9.0.0/24"}]}"#);
        assert!(
            made[0].contains(r#"/networks/create {"Name":"app""#) && made[0].contains(r#""Subnet":"10.9.0.0/24""#),
            "{made:?}"
        );
        let daemon = Daemon::new().with("/networks/app", APP);
        assert!(planned(&daemon, r#"{"name":"app","ipam_config":[{"subnet":"10.9.0.0/24"}],"connected":["web"]}"#).is_empty());
        assert_eq!(planned(&daemon, r#"{"name":"app","internal":true}"#).len(), 4);
        assert_eq!(planned(&daemon, r#"{"name":"app","state":"absent"}"#).len(), 2);
    }

    #[test]
    fn members_that_are_not_listed_leave_unless_appended() {
        let daemon = Daemon::new().with("/networks/app", APP);
        assert_eq!(planned(&daemon, r#"{"name":"app","connected":["db"]}"#).len(), 2);
        assert_eq!(planned(&daemon, r#"{"name":"app","connected":["db"],"appends":true}"#).len(), 1);
    }
}
