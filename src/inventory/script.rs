//! Executable inventories: a program that answers `--list` with JSON, and `--host NAME` where that has no `_meta`.

use super::problem::{Problem, a};
use super::{Given, Loading, absolute, program};
use crate::value::{Map, Span, Value};
use crate::yaml::{self, Trust};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

pub(super) fn is_for(given: &Given) -> bool {
    given.text().starts_with("#!") || (given.text().starts_with("\u{7f}ELF") && is_executable(&given.path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o111 != 0)
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    if !is_executable(&given.path) {
        return loading.report(&Problem::NotExecutable { path: given.path.clone() });
    }
    let Some((answer, span)) = ask(loading, given, &["--list"]) else { return };
    let Some(groups) = answer.as_map() else {
        let why = format!("{} instead of groups", a(answer.kind()));
        return loading.report(&Problem::NotInventoryJson { program: given.name.clone(), why });
    };
    for (name, content) in groups {
        let name = name.to_string();
        if name != "_meta" {
            group(loading, &name, content, span);
        }
    }
    match groups.get("_meta") {
        Some(meta) => {
            let hosts = meta.get("hostvars").and_then(Value::as_map);
            for (host, vars) in hosts.into_iter().flatten() {
                set_host_vars(loading, &host.to_string(), vars);
            }
        }
        None => ask_each_host(loading, given),
    }
}

/// Runs the script; its answer is the user's text, as an inventory file would be.
fn ask(loading: &mut Loading<'_>, given: &Given, args: &[&str]) -> Option<(Value, Span)> {
    let path = absolute(&given.path);
    let folder = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let answer = match program::run(&path, args, &folder, LIMIT) {
        Ok(answer) => answer,
        Err(fault) => {
            let (why, tail) = fault.words();
            loading.report(&Problem::ProgramFailed { program: given.name.clone(), why, tail });
            return None;
        }
    };
    if let Err(error) = Value::from_json(&answer) {
        loading.report(&Problem::NotInventoryJson { program: given.name.clone(), why: error.to_string() });
        return None;
    }
    let reading = yaml::read(loading.sources, &format!("{} {}", given.name, args.join(" ")), &answer, Trust::User);
    let document = reading.document().cloned();
    loading.diagnostics.extend(reading.diagnostics);
    document.map(|document| (document.to_value(), document.span))
}

/// A list of hosts, or `hosts`, `vars` and `children`.
fn group(loading: &mut Loading<'_>, name: &str, content: &Value, span: Span) {
    loading.inventory.add_group(name);
    let (hosts, vars, children) = match content {
        Value::Map(_) => (content.get("hosts"), content.get("vars"), content.get("children")),
        other => (Some(other), None, None),
    };
    for host in strings(hosts) {
        loading.add_host(&host, Some(name), span);
    }
    for (key, value) in vars.and_then(Value::as_map).into_iter().flatten() {
        loading.inventory.set_group_var(name, &key.to_string(), value.clone());
    }
    for child in strings(children) {
        loading.inventory.add_group(&child);
        loading.add_child(name, &child, span);
    }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_list).unwrap_or_default().iter().map(|item| item.to_text().to_string()).collect()
}

fn set_host_vars(loading: &mut Loading<'_>, host: &str, vars: &Value) {
    let none = Map::new();
    for (key, value) in vars.as_map().unwrap_or(&none) {
        loading.inventory.set_host_var(host, &key.to_string(), value.clone());
    }
}

fn ask_each_host(loading: &mut Loading<'_>, given: &Given) {
    let file = loading.file.as_ref().map(|file| file.to_string_lossy().into_owned());
    let is_of_this_script = |vars: &Map| vars.get("inventory_file").and_then(Value::as_str) == file.as_deref();
    let hosts: Vec<String> =
        loading.inventory.hosts.values().filter(|host| is_of_this_script(&host.vars)).map(|host| host.name.clone()).collect();
    for host in hosts {
        let Some((vars, _)) = ask(loading, given, &["--host", &host]) else { return };
        set_host_vars(loading, &host, &vars);
    }
}
