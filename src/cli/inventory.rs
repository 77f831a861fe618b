//! `roll inventory`: hosts, groups and variables as they are read.

use super::args::InventoryArgs;
use super::config::Config;
use super::exit::Exit;
use super::{extra, job, secrets, terminal};
use crate::diag::{Diagnostic, Sources, Span};
use crate::inventory::{Group, Inventory, Layer, Level};
use crate::value::{Key, Map, Value};
use indexmap::IndexSet;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

const MASK: &str = "********";
/// How values that JSON does not have are written: a release of Ansible that reads the list wants to be told.
const PROFILE: &str = "inventory_legacy";

pub(super) fn run(args: &InventoryArgs) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, paint) = terminal::paints(false, &config);
    let mut found = config.diagnostics.clone();
    found.extend(secrets::open_vaults(&args.vault, &config, &sources));
    let extra = job::kept(extra::variables(&sources, &args.extra_vars), &mut found);
    let mut inventory = job::read_inventory(&sources, &args.inventory, &config, &extra, &mut found);
    if let Some(folder) = &args.playbook_dir
        && let Err(diagnostics) = inventory.read_beside_playbook(&sources, folder)
    {
        found.extend(diagnostics);
    }
    let answer = match &args.host {
        Some(host) => one(&inventory, host, args, &mut found),
        None if args.graph => graph(&inventory, args, &mut found),
        None if args.yaml => yaml(&tree(&inventory, args, &limited(&inventory, args, &mut found))),
        None => list(&inventory, args, &limited(&inventory, args, &mut found)),
    };
    if found.iter().any(Diagnostic::is_error) {
        terminal::explain(&found, &sources, paint, "");
        return Exit::Refuted;
    }
    terminal::warn(&found, &sources, paint);
    // The process ends: nobody needs it taken apart.
    std::mem::forget(inventory);
    match &args.output {
        Some(path) => written(path, &answer),
        None => {
            terminal::print(&answer);
            Exit::Done
        }
    }
}

/// It may hold secrets, so only its owner may read the file.
fn written(path: &std::path::Path, answer: &str) -> Exit {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    match file.and_then(|mut file| file.write_all(answer.as_bytes())) {
        Ok(()) => Exit::Done,
        Err(error) => {
            terminal::complain(&format!("error: cannot write `{}`: {error}\n", path.display()));
            Exit::Prevented
        }
    }
}

fn limited(inventory: &Inventory, args: &InventoryArgs, found: &mut Vec<Diagnostic>) -> Vec<String> {
    if args.limit.is_empty() {
        return inventory.hosts.keys().cloned().collect();
    }
    let selection = inventory.select_within("all", Span::NOWHERE, Some(&args.limit.join(",")));
    found.extend(selection.diagnostics);
    selection.hosts
}

fn one(inventory: &Inventory, host: &str, args: &InventoryArgs, found: &mut Vec<Diagnostic>) -> String {
    if inventory.host(host).is_none() {
        let mut diagnostic = Diagnostic::error("unknown-host", format!("there is no host `{host}` in the inventory"));
        if let Some(near) = crate::diag::closest(host, inventory.hosts.keys().map(String::as_str)) {
            diagnostic = diagnostic.help(format!("there is `{near}`"));
        }
        found.push(diagnostic);
        return String::new();
    }
    let vars = vars_of(inventory, host);
    if args.yaml { yaml(&vars) } else { pretty(&vars) }
}

/// With `--export`, variables stay at the groups that have them.
fn shown_vars(inventory: &Inventory, host: &str, args: &InventoryArgs) -> Value {
    let mut layers = inventory.vars_of(host);
    if args.export {
        layers.retain(|layer| layer.level >= Level::HostInInventory);
    }
    joined(&layers)
}

/// As `ansible-inventory --list --yaml` prints it: groups within groups, the variables of a host where it is named first.
fn tree(inventory: &Inventory, args: &InventoryArgs, hosts: &[String]) -> Value {
    let mut seen = HashSet::new();
    let hosts = hosts.iter().map(String::as_str).collect();
    let all = subtree(inventory, "all", args, &hosts, &mut seen);
    [("all", all)].into_iter().collect()
}

fn subtree(inventory: &Inventory, name: &str, args: &InventoryArgs, hosts: &HashSet<&str>, seen: &mut HashSet<String>) -> Value {
    let Some(group) = inventory.groups.get(name) else { return Value::Null };
    let mut entry = Map::new();
    // Variables stand where a host is named first in the file; what is printed is in the order of the names.
    let mut children: Map = group
        .children
        .iter()
        .map(|child| (child.as_str().into(), subtree(inventory, child, args, hosts, seen)))
        .filter(|(_, tree): &(_, Value)| tree.as_map().is_some_and(|map| !map.is_empty()))
        .collect();
    children.sort_by(|one, _, other, _| one.as_str().cmp(&other.as_str()));
    if !children.is_empty() {
        entry.insert("children".into(), Value::map(children));
    }
    let mut own: Vec<&String> = own_hosts(group).iter().filter(|host| hosts.contains(host.as_str())).collect();
    own.sort();
    let mut listed = Map::new();
    for host in own {
        let is_new = seen.insert(host.clone());
        let vars = if is_new { shown_vars(inventory, host, args) } else { Value::map(Map::new()) };
        listed.insert(host.as_str().into(), vars);
    }
    if !listed.is_empty() {
        entry.insert("hosts".into(), Value::map(listed));
    }
    entry.extend(exported_vars(inventory, name, args));
    Value::map(entry)
}

/// As `ansible-inventory --list` prints it.
fn list(inventory: &Inventory, args: &InventoryArgs, hosts: &[String]) -> String {
    let listed: HashSet<&str> = hosts.iter().map(String::as_str).collect();
    let is_listed = |host: &&str| listed.contains(host);
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    let with_vars = hosts.iter().map(|host| (host.as_str(), shown_vars(inventory, host, args)));
    let with_vars: BTreeMap<&str, Value> =
        with_vars.filter(|(_, vars)| vars.as_map().is_some_and(|map| !map.is_empty())).collect();
    let hostvars: Value = with_vars.into_iter().collect();
    all.insert("_meta".into(), [("hostvars", hostvars), ("profile", PROFILE.into())].into_iter().collect());
    for group in inventory.groups.values() {
        let own: Vec<Value> = own_hosts(group).iter().map(String::as_str).filter(is_listed).map(Value::from).collect();
        let children: Vec<Value> = group.children.iter().map(Value::from).collect();
        let parts = [("children", children), ("hosts", own)];
        let mut entry: Map = parts
            .into_iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(name, items)| (name.into(), Value::list(items)))
            .collect();
        entry.extend(exported_vars(inventory, &group.name, args));
        if !entry.is_empty() {
            all.insert(group.name.clone(), entry.into());
        }
    }
    pretty(&all.iter().map(|(name, value)| (name.as_str(), value.clone())).collect())
}

/// As `ansible-inventory --graph` prints it.
fn graph(inventory: &Inventory, args: &InventoryArgs, found: &mut Vec<Diagnostic>) -> String {
    let mut out = String::new();
    if inventory.groups.contains_key(&args.group) {
        branch(inventory, &args.group, 0, args.vars, &mut out);
    } else {
        found.push(Diagnostic::error("unknown-group", format!("there is no group `{}` in the inventory", args.group)));
    }
    out
}

fn branch(inventory: &Inventory, name: &str, depth: usize, with_vars: bool, out: &mut String) {
    let Some(group) = inventory.groups.get(name) else { return };
    let _ = writeln!(out, "{}@{name}:", indent(depth));
    for child in &group.children {
        branch(inventory, child, depth + 1, with_vars, out);
    }
    for host in own_hosts(group) {
        let _ = writeln!(out, "{}{host}", indent(depth + 1));
        if with_vars {
            variables(&vars_of(inventory, host), depth + 2, out);
        }
    }
    if with_vars {
        variables(&joined(&inventory.vars_of_group(name)), depth + 1, out);
    }
}

/// Hosts that stand in no group but `all` are shown as `ungrouped`.
fn own_hosts(group: &Group) -> &IndexSet<String> {
    static NONE: LazyLock<IndexSet<String>> = LazyLock::new(IndexSet::new);
    if group.name == "all" { &NONE } else { &group.hosts }
}

fn variables(vars: &Value, depth: usize, out: &mut String) {
    let mut lines: Vec<String> =
        vars.as_map().into_iter().flatten().map(|(name, value)| format!("{{{name} = {}}}", shown(value))).collect();
    lines.sort();
    for line in lines {
        let _ = writeln!(out, "{}{line}", indent(depth));
    }
}

/// As Python prints it.
fn shown(value: &Value) -> String {
    let text = job::filtered("string", value).unwrap_or_else(|| value.clone());
    text.to_text().to_string()
}

fn indent(depth: usize) -> String {
    if depth == 0 { String::new() } else { format!("{}|--", "  |".repeat(depth - 1) + "  ") }
}

/// All variables of a host that an inventory gives it.
fn vars_of(inventory: &Inventory, host: &str) -> Value {
    joined(&inventory.vars_of(host))
}

/// The variables of a group, where they are asked for.
fn exported_vars(inventory: &Inventory, group: &str, args: &InventoryArgs) -> Option<(Key, Value)> {
    let vars = joined(&inventory.vars_of_group(group));
    (args.export && vars.as_map().is_some_and(|vars| !vars.is_empty())).then(|| ("vars".into(), vars))
}

/// Secrets are masked.
fn joined(layers: &[Layer<'_>]) -> Value {
    let mut all = BTreeMap::new();
    for layer in layers {
        all.extend(layer.vars.iter().map(|(name, value)| (text_of(name), masked(value))));
    }
    without_place(all)
}

fn text_of(name: &Key) -> Cow<'_, str> {
    name.as_str().map_or_else(|| Cow::Owned(name.to_string()), Cow::Borrowed)
}

fn without_place(mut all: BTreeMap<Cow<'_, str>, Value>) -> Value {
    for own in ["inventory_file", "inventory_dir"] {
        all.remove(own);
    }
    all.into_iter().map(|(name, value)| (Key::from(&*name), value)).collect::<Map>().into()
}

/// As Ansible's own dumper lays it out.
fn yaml(value: &Value) -> String {
    job::filtered("to_nice_yaml(indent=2)", value).map_or_else(|| pretty(value), |text| text.to_text().to_string())
}

fn masked(value: &Value) -> Value {
    if !hides(value) {
        return value.clone();
    }
    match value {
        Value::String(text) if text.is_secret() => MASK.into(),
        Value::Template(template) if template.is_vault() => {
            Map::from_iter([("__ansible_vault".into(), template.text.as_str().into())]).into()
        }
        Value::List(items) => items.iter().map(masked).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), masked(value))).collect::<Map>().into(),
        other => other.clone(),
    }
}

/// Whether there is anything in it that is not to be shown.
fn hides(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_secret(),
        Value::Template(template) => template.is_vault(),
        Value::List(items) => items.iter().any(hides),
        Value::Map(map) => map.values().any(hides),
        _ => false,
    }
}

fn pretty(value: &Value) -> String {
    value.to_json_pretty() + "\n"
}
