//! Inventories in YAML or JSON: groups as keys, with `hosts`, `vars` and `children`. A file with `plugin:` belongs to that plugin.

use super::problem::Problem;
use super::{Given, Loading, terraform};
use crate::diag::closest;
use crate::value::Value;
use crate::yaml::{self, Content, Node, Trust};

const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
const KEYS: [&str; 3] = ["hosts", "vars", "children"];

/// By extension; without one it is YAML if it reads as a mapping.
pub(super) fn is_for(given: &Given) -> bool {
    match given.extension() {
        Some(extension) => given.is_file() && EXTENSIONS.contains(&extension),
        None => given.is_file() && is_mapping(given.text()),
    }
}

fn is_mapping(text: &str) -> bool {
    let reading = yaml::read(&crate::diag::Sources::default(), "", text, Trust::Data);
    !reading.has_errors() && reading.document().is_some_and(|document| document.as_map().is_some())
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    let reading = yaml::read(loading.sources, &given.name, given.text(), Trust::User);
    let has_errors = reading.has_errors();
    let document = reading.document().cloned();
    loading.diagnostics.extend(reading.diagnostics);
    let Some(document) = document.filter(|document| !has_errors && !document.is_null()) else { return };
    let Some(groups) = document.as_map() else {
        return loading.report(&not_mapping(&document, "an inventory"));
    };
    if let Some(plugin) = document.get("plugin") {
        return match plugin.as_str() {
            Some(name) if terraform::PLUGINS.contains(&name) => terraform::read_mapping(loading, given, &document),
            name => {
                let name = name.unwrap_or_default().to_owned();
                loading.report(&Problem::UnknownPlugin { span: plugin.span, name });
            }
        };
    }
    let is_group = |content: &Node| content.as_map().is_some() || content.is_null();
    if let Some((first, _)) = groups.first().filter(|_| !groups.iter().any(|(_, content)| is_group(content))) {
        let is_entry = loading.is_in_directory;
        return loading.report(&Problem::VariablesAsInventory { span: first.span, is_entry });
    }
    for (name, content) in groups {
        group(loading, name, content, None);
    }
}

fn not_mapping(node: &Node, what: impl Into<String>) -> Problem {
    Problem::NotMapping { span: node.span, what: what.into(), kind: kind(node) }
}

fn kind(node: &Node) -> &'static str {
    match &node.content {
        Content::Scalar(value) => value.kind(),
        Content::List(_) => "list",
        Content::Map(_) => "mapping",
    }
}

fn group(loading: &mut Loading<'_>, name: &Node, content: &Node, parent: Option<&str>) {
    let name_text = name.to_value().to_text().to_string();
    loading.inventory.add_group(&name_text);
    if let Some(parent) = parent {
        loading.add_child(parent, &name_text, name.span);
    }
    if content.is_null() {
        return;
    }
    let Some(sections) = content.as_map() else {
        return loading.report(&not_mapping(content, format!("group `{name_text}`")));
    };
    for (key, section) in sections {
        match key.as_str().unwrap_or_default() {
            "hosts" => hosts(loading, section, &name_text),
            "vars" => vars(loading, section, &name_text),
            "children" => entries(loading, section, "`children`").iter().for_each(|(child, content)| {
                group(loading, child, content, Some(&name_text));
            }),
            other => {
                let near = closest(other, KEYS).map(str::to_owned);
                loading.report(&Problem::SkippedKey { span: key.span, group: name_text.clone(), near });
            }
        }
    }
}

/// The entries of a mapping; a single name stands for itself without anything.
fn entries(loading: &mut Loading<'_>, node: &Node, what: &str) -> Vec<(Node, Node)> {
    match &node.content {
        Content::Map(entries) => entries.clone(),
        Content::Scalar(Value::Null) => Vec::new(),
        Content::Scalar(Value::String(_)) => vec![(node.clone(), Node { content: Content::Scalar(Value::Null), ..node.clone() })],
        _ => {
            loading.report(&not_mapping(node, what));
            Vec::new()
        }
    }
}

fn hosts(loading: &mut Loading<'_>, section: &Node, group: &str) {
    for (pattern, vars) in entries(loading, section, "`hosts`") {
        if matches!(&pattern.content, Content::Scalar(Value::Int(_) | Value::Float(_))) {
            loading.report(&Problem::HostNotText { span: pattern.span, name: pattern.to_value().to_text().to_string() });
            continue;
        }
        let (names, port) = loading.expand(&pattern.to_value().to_text(), pattern.span);
        if vars.as_map().is_none() && !vars.is_null() {
            loading.report(&not_mapping(&vars, "the variables of a host"));
        }
        for name in names {
            loading.add_host(&name, Some(group), pattern.span);
            if let Some(port) = port {
                loading.inventory.set_host_var(&name, "ansible_port", i64::from(port).into());
            }
            for (key, value) in vars.as_map().unwrap_or_default() {
                loading.inventory.set_host_var(&name, &key.to_value().to_text(), value.to_value());
            }
        }
    }
}

fn vars(loading: &mut Loading<'_>, section: &Node, group: &str) {
    for (key, value) in entries(loading, section, "`vars`") {
        loading.inventory.set_group_var(group, &key.to_value().to_text(), value.to_value());
    }
}
