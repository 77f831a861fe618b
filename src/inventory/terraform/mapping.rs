//! `plugin: terraform`: a YAML file that says which outputs or resources are hosts.

use super::super::problem::{Problem, TerraformProblem};
use super::super::{Given, Loading};
use super::convention::{Described, described, names};
use super::expression::{self, Fault, Scope};
use super::made::{Made, Program};
use crate::diag::closest;
use crate::value::{Map, Value};
use crate::yaml::Node;
use std::path::{Component, Path, PathBuf};

const KEYS: [&str; 5] = ["plugin", "path", "project_path", "hosts", "keyed_groups"];
const HOST_KEYS: [&str; 10] = ["from", "output", "resource", "name", "address", "user", "port", "groups", "vars", "filter"];
const GROUP_KEYS: [&str; 3] = ["key", "prefix", "separator"];

pub(in super::super) fn read(loading: &mut Loading<'_>, given: &Given, document: &Node) {
    check_keys(loading, document, &KEYS);
    let path = path(given, document);
    let mut made = match Made::read(&path, &Program::usual()) {
        Ok(made) => made,
        Err(problem) => return loading.report(&problem),
    };
    let before = loading.inventory.hosts.len();
    match document.get("hosts").and_then(Node::as_list) {
        None => super::read_made(loading, &Given { path, name: given.name.clone(), text: None }, &mut made),
        Some(entries) => {
            super::set_outputs(loading, &made);
            for entry in entries {
                if let Err(problem) = hosts(loading, entry, &mut made) {
                    loading.report(&problem);
                }
            }
        }
    }
    let added: Vec<String> = loading.inventory.hosts.keys().skip(before).cloned().collect();
    for rule in document.get("keyed_groups").and_then(Node::as_list).unwrap_or_default() {
        keyed_groups(loading, rule, &added);
    }
}

/// Seen from the file that names it.
fn path(given: &Given, document: &Node) -> PathBuf {
    let folder = given.path.parent().map(PathBuf::from).unwrap_or_default();
    let written = document.get("path").or_else(|| document.get("project_path")).and_then(Node::as_str);
    let path = folder.join(written.unwrap_or("."));
    let short = shortened(&path);
    match (path.canonicalize(), short.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => short,
        _ => path,
    }
}

/// Without `a/..`, as long as that is the same place.
fn shortened(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(short.components().next_back(), Some(Component::Normal(_))) => {
                short.pop();
            }
            other => short.push(other),
        }
    }
    if short.as_os_str().is_empty() { PathBuf::from(".") } else { short }
}

fn check_keys(loading: &mut Loading<'_>, node: &Node, known: &[&str]) {
    for (key, _) in node.as_map().unwrap_or_default() {
        let name = key.as_str().unwrap_or_default();
        if !known.contains(&name) {
            let near = closest(name, known.iter().copied()).map(str::to_owned);
            let problem = TerraformProblem::UnknownKey { span: key.span, key: name.to_owned(), near };
            loading.report(&Problem::Terraform(problem));
        }
    }
}

/// One thing that becomes a host, and what it is called in messages.
struct Item {
    key: Value,
    value: Value,
    name: String,
}

/// The hosts of one entry under `hosts`.
fn hosts(loading: &mut Loading<'_>, entry: &Node, made: &mut Made) -> Result<(), Problem> {
    check_keys(loading, entry, &HOST_KEYS);
    let from = from(entry)?;
    let mut items = items(entry, &from, made)?;
    if let Some(filter) = entry.get("filter") {
        items.retain(|item| is_wanted(&item.value, filter));
        if items.is_empty() {
            loading.report(&Problem::Terraform(TerraformProblem::Unmatched { span: filter.span, from: from.clone() }));
        }
    }
    for item in &items {
        describe(entry, item)?.add(loading, entry.span);
    }
    Ok(())
}

/// `output.NAME` or the address of a resource.
fn from(entry: &Node) -> Result<String, Problem> {
    let text = |key: &str| entry.get(key).and_then(Node::as_str);
    text("from")
        .or_else(|| text("resource"))
        .map(str::to_owned)
        .or_else(|| text("output").map(|name| format!("output.{name}")))
        .ok_or_else(|| TerraformProblem::MissingKey { span: entry.span, key: "from" }.into())
}

fn items(entry: &Node, from: &str, made: &mut Made) -> Result<Vec<Item>, Problem> {
    let place = ["from", "output", "resource"].iter().find_map(|key| entry.get(key)).unwrap_or(entry).span;
    if let Some(name) = from.strip_prefix("output.") {
        let Some(value) = made.outputs.get(name) else {
            let near = closest(name, made.outputs.keys().filter_map(|name| name.as_str())).map(str::to_owned);
            return Err(TerraformProblem::UnknownOutput { span: place, name: name.to_owned(), near }.into());
        };
        return Ok(items_of(from, value));
    }
    made.read_resources();
    let wanted = made.resources.iter().filter(|resource| resource.address == from);
    let items: Vec<Item> = wanted
        .map(|resource| {
            let name = if resource.key.is_null() { from.to_owned() } else { format!("{from}[{}]", resource.key.to_json()) };
            Item { key: resource.key.clone(), value: resource.attributes.clone(), name }
        })
        .collect();
    if items.is_empty() {
        let near = closest(from, made.resources.iter().map(|resource| resource.address.as_str())).map(str::to_owned);
        return Err(TerraformProblem::UnknownResource { span: place, address: from.to_owned(), near }.into());
    }
    Ok(items)
}

fn items_of(from: &str, value: &Value) -> Vec<Item> {
    match value {
        Value::List(items) => {
            let item = |(index, value): (usize, &Value)| Item {
                key: index.into(),
                value: value.clone(),
                name: format!("{from}[{index}]"),
            };
            items.iter().enumerate().map(item).collect()
        }
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| Item { key: key.to_string().into(), value: value.clone(), name: format!("{from}[\"{key}\"]") })
            .collect(),
        other => vec![Item { key: Value::Null, value: other.clone(), name: from.to_owned() }],
    }
}

/// Every path of the filter has its value, or one of its values.
fn is_wanted(item: &Value, filter: &Node) -> bool {
    filter.as_map().unwrap_or_default().iter().all(|(path, wanted)| {
        let Some(found) = path.as_str().and_then(|path| expression::at(item, path)) else { return false };
        let is_same = |wanted: &Value| *wanted == *found || wanted.to_text() == found.to_text();
        match wanted.to_value() {
            Value::List(choices) => choices.iter().any(is_same),
            one => is_same(&one),
        }
    })
}

/// What the entry says of an item; what it does not say is as in `roll_hosts`, or as AWS calls it.
fn describe(entry: &Node, item: &Item) -> Result<Described, Problem> {
    let usual = described(&item.name, &Value::list(vec![item.value.clone()])).ok().and_then(|mut hosts| hosts.pop());
    let usual = usual.filter(|_| !item.name.contains("aws_")).unwrap_or_default();
    let value = |key: &str| entry.get(key).map(|node| fill(node, item)).transpose();
    let text = |key: &'static str| match value(key)? {
        Some(value @ (Value::List(_) | Value::Map(_))) => {
            let span = entry.get(key).unwrap_or(entry).span;
            Err(TerraformProblem::NotText { span, what: key, kind: value.kind() }.into())
        }
        Some(value) => Ok(Some(value.to_text().as_str().to_owned()).filter(|text| !text.is_empty())),
        None => Ok::<_, Problem>(None),
    };
    let address = text("address")?.or(usual.address).or_else(|| usual_attribute(item, &["public_ip", "private_ip"]));
    let own_name =
        || usual_attribute(item, &["tags.Name"]).or_else(|| Some(item.key.to_text().to_string()).filter(|key| !key.is_empty()));
    let usual_name = Some(usual.name).filter(|name| !name.is_empty());
    let name = text("name")?.or(usual_name).or_else(own_name).or_else(|| address.clone());
    let Some(name) = name else { return Err(TerraformProblem::MissingKey { span: entry.span, key: "name" }.into()) };
    let mut vars: Map = usual.vars;
    if let Some(own) = value("vars")? {
        vars.extend(own.as_map().cloned().unwrap_or_default());
    }
    let groups = value("groups")?.map_or(usual.groups, |groups| names(&groups));
    let port = value("port")?.and_then(|port| port.to_int()).or(usual.port);
    Ok(Described { name, address, user: text("user")?.or(usual.user), port, groups, vars })
}

fn usual_attribute(item: &Item, paths: &[&str]) -> Option<String> {
    let found = paths.iter().filter_map(|path| expression::at(&item.value, path)).filter_map(Value::as_str);
    found.map(str::to_owned).find(|text| !text.is_empty())
}

/// A node with its expressions filled in, at any depth.
fn fill(node: &Node, item: &Item) -> Result<Value, Problem> {
    if let Some(items) = node.as_list() {
        return items.iter().map(|node| fill(node, item)).collect::<Result<Vec<Value>, Problem>>().map(Value::list);
    }
    if let Some(entries) = node.as_map() {
        let filled: Result<Map, Problem> =
            entries.iter().map(|(key, value)| Ok((key.to_value().to_text().into(), fill(value, item)?))).collect();
        return filled.map(Value::map);
    }
    let value = node.to_value();
    let Value::Template(template) = &value else { return Ok(value) };
    let scope = Scope { item: &item.value, key: &item.key };
    expression::fill(&template.text, scope).map_err(|fault| match fault {
        Fault::TooMuch { expression } => TerraformProblem::BadExpression { span: template.span, expression }.into(),
        Fault::Undefined { path } => {
            let last = path.rsplit('.').next().unwrap_or_default().to_owned();
            let names = item.value.as_map().into_iter().flatten().filter_map(|(name, _)| name.as_str());
            let near = closest(&last, names).map(|near| format!("item.{near}"));
            TerraformProblem::UndefinedAttribute { span: template.span, path, item: item.name.clone(), near }.into()
        }
    })
}

/// A group for every value that a variable of the hosts has.
fn keyed_groups(loading: &mut Loading<'_>, rule: &Node, hosts: &[String]) {
    check_keys(loading, rule, &GROUP_KEYS);
    let text = |key: &str| rule.get(key).and_then(Node::as_str);
    let Some(path) = text("key") else {
        return loading.report(&Problem::Terraform(TerraformProblem::MissingKey { span: rule.span, key: "key" }));
    };
    let prefix = text("prefix").unwrap_or_default();
    let separator = if prefix.is_empty() { "" } else { text("separator").unwrap_or("_") };
    for host in hosts {
        let vars = loading.inventory.hosts.get(host).map(|host| Value::map(host.vars.clone())).unwrap_or_default();
        let Some(value) = expression::at(&vars, path) else { continue };
        for name in group_names(value) {
            let group: String = format!("{prefix}{separator}{name}")
                .chars()
                .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
                .collect();
            loading.inventory.add_group(&group);
            loading.inventory.put_host(&group, host);
        }
    }
}

fn group_names(value: &Value) -> Vec<String> {
    match value {
        Value::Map(entries) => entries.iter().map(|(key, value)| format!("{key}_{}", value.to_text())).collect(),
        Value::List(_) => names(value),
        other => Some(other.to_text().to_string()).filter(|name| !name.is_empty()).into_iter().collect(),
    }
}
