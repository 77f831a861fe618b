//! `service_facts`: every service of the host, its state and whether it starts at boot.

use super::{Args, Cmd, Failure, Look, Module, Output, Plan, finish_plainly, systemd};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "service_facts",
    collection: "ansible.builtin",
    summary: "the services of the host as facts",
    args: &[],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ASK: Duration = Duration::from_secs(60);
/// What is said of a unit is worth more than what its file says.
const BAD: [&str; 3] = ["not-found", "masked", "failed"];

fn plan(_: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let mut services = Map::new();
    if look.which("service").is_some() {
        of_scripts(look, &mut services);
    }
    if look.which("rc-status").is_some() && look.which("rc-update").is_some() {
        of_openrc(look, &mut services);
    }
    if systemd::is_running(look) {
        of_systemd(look, &mut services);
    }
    let mut plan = Plan::default();
    if services.is_empty() {
        plan.set("msg", "Failed to find any services. This can be due to privileges or some other configuration issue.");
        plan.skipped = Some("no init system that lists its services".to_owned());
        return Ok(plan);
    }
    plan.set("ansible_facts", Map::from_iter([("services".into(), Value::from(services))]));
    Ok(plan)
}

fn ask(look: &dyn Look, argv: &[&str]) -> Option<String> {
    let output = look.run(&Cmd::new(argv.iter().copied()).timeout(ASK)).ok().filter(Output::is_success)?;
    Some(output.stdout_text())
}

fn entry(name: &str, state: &str, status: Option<&str>, source: &str) -> (crate::value::Key, Value) {
    let mut entries = Map::from_iter([("name".into(), Value::from(name)), ("state".into(), state.into())]);
    if let Some(status) = status {
        entries.insert("status".into(), status.into());
    }
    entries.insert("source".into(), source.into());
    (name.into(), entries.into())
}

/// `[ + ]  ssh`: runs; `[ - ]`: does not; `[ ? ]`: nobody knows.
fn of_scripts(look: &dyn Look, services: &mut Map) {
    for line in ask(look, &["service", "--status-all"]).unwrap_or_default().lines() {
        let mut words = line.split_whitespace().filter(|word| !matches!(*word, "[" | "]"));
        if let (Some(sign), Some(name)) = (words.next(), words.next()) {
            let state = if sign == "+" { "running" } else { "stopped" };
            services.extend([entry(name, state, None, "sysv")]);
        }
    }
}

fn of_openrc(look: &dyn Look, services: &mut Map) {
    let text = ask(look, &["rc-status", "-a", "-s", "-m"]).unwrap_or_default();
    let states: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once('['))
        .map(|(name, state)| (name.trim(), state.trim_end_matches(']').split_whitespace().next().unwrap_or("stopped")))
        .collect();
    for line in ask(look, &["rc-update", "show", "-v"]).unwrap_or_default().lines() {
        let Some((name, levels)) = line.split_once('|') else { continue };
        let name = name.trim();
        let state = states.iter().find(|(other, _)| *other == name).map_or("stopped", |(_, state)| *state);
        let levels: Vec<&str> = levels.split_whitespace().collect();
        let (key, value) = entry(name, if state == "started" { "running" } else { state }, None, "openrc");
        let mut value = value.as_map().cloned().unwrap_or_default();
        value.insert("runlevels".into(), levels.into_iter().map(Value::from).collect::<Value>());
        services.insert(key, value.into());
    }
}

fn of_systemd(look: &dyn Look, services: &mut Map) {
    let flags = ["--no-pager", "--type", "service", "--all"];
    let asked = |list: &str| {
        let argv: Vec<&str> =
            ["systemctl", list].into_iter().chain(flags).chain((list == "list-units").then_some("--plain")).collect();
        ask(look, &argv).unwrap_or_default()
    };
    for line in asked("list-units").lines().filter(|line| line.contains(".service")) {
        let fields: Vec<&str> = line.split_whitespace().filter(|word| *word != "●" && *word != "*").collect();
        let (Some(name), Some(active), Some(sub)) = (fields.first(), fields.get(2), fields.get(3)) else { continue };
        let status = BAD.iter().find(|bad| fields[1..4].contains(bad)).copied().unwrap_or(active);
        let state = if *sub == "running" { "running" } else { "stopped" };
        services.extend([entry(name, state, Some(status), "systemd")]);
    }
    let text = asked("list-unit-files");
    let files: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next().filter(|name| name.ends_with(".service"))?, words.next()?))
        })
        .collect();
    let unknown: Vec<&str> = files.iter().map(|(name, _)| *name).filter(|name| !services.contains_key(*name)).collect();
    let states = states(look, &unknown);
    for (name, status) in files {
        match services.get(name).and_then(Value::as_map).cloned() {
            None => {
                let state = states.iter().find(|(other, _)| other == name).map_or("unknown", |(_, state)| state.as_str());
                services.extend([entry(name, state, Some(status), "systemd")]);
            }
            Some(mut known) => {
                let is_bad = known.get("status").and_then(Value::as_str).is_some_and(|status| BAD.contains(&status));
                if !is_bad {
                    known.insert("status".into(), status.into());
                    services.insert(name.into(), known.into());
                }
            }
        }
    }
}

/// What units that are not loaded are, all asked at once; templates cannot be asked.
fn states(look: &dyn Look, names: &[&str]) -> Vec<(String, String)> {
    let names: Vec<&str> = names.iter().copied().filter(|name| !name.contains("@.")).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let argv: Vec<&str> = ["systemctl", "show", "--property=Id,ActiveState"].into_iter().chain(names.iter().copied()).collect();
    let text = ask(look, &argv).unwrap_or_default();
    // An alias answers with the name of what it stands for: the order tells which one it is.
    let blocks = text
        .split("\n\n")
        .map(|block| block.lines().find_map(|line| line.strip_prefix("ActiveState=")).unwrap_or("unknown").trim().to_owned());
    names.iter().map(|name| (*name).to_owned()).zip(blocks).collect()
}
