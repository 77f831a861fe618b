//! What a mapping of options says about its options together: which exclude each other, which need each other.

use crate::value::{Map, Value};

/// Everything that is wrong with the options that are given; of each rule the first one that is broken. Those that exclude each
/// other are asked about before defaults count, see [`exclusive`].
pub(super) fn broken(rules: &Value, values: &Map) -> Vec<String> {
    [together(rules, values), one_of(rules, values), conditional(rules, values), required_by(rules, values)]
        .into_iter()
        .flatten()
        .collect()
}

pub(super) fn exclusive(rules: &Value, given: &Map) -> Option<String> {
    let clash = |names: &Vec<String>| names.iter().filter(|name| has(given, name)).count() > 1;
    let clashes: Vec<String> = groups(rules, "mutually_exclusive").filter(clash).map(|names| names.join("|")).collect();
    (!clashes.is_empty()).then(|| format!("parameters are mutually exclusive: {}", clashes.join(", ")))
}

fn together(rules: &Value, values: &Map) -> Option<String> {
    let is_torn = |names: &Vec<String>| names.iter().any(|name| has(values, name)) && !names.iter().all(|name| has(values, name));
    let names = groups(rules, "required_together").find(is_torn)?;
    Some(format!("parameters are required together: {}", names.join(", ")))
}

fn one_of(rules: &Value, values: &Map) -> Option<String> {
    let names = groups(rules, "required_one_of").find(|names| !names.iter().any(|name| has(values, name)))?;
    Some(format!("one of the following is required: {}", names.join(", ")))
}

/// Each rule is a name, a value, the names that it needs, and whether one of them is enough.
fn conditional(rules: &Value, values: &Map) -> Option<String> {
    list(rules, "required_if").iter().filter_map(Value::as_list).find_map(|rule| {
        let [name, value, needed, rest @ ..] = rule else { return None };
        let (name, needed) = (name.to_text().to_string(), texts(needed));
        let is_enough = rest.first().and_then(Value::to_bool).unwrap_or(false);
        let missing: Vec<String> = needed.iter().filter(|name| !has(values, name)).cloned().collect();
        let is_broken = if is_enough { missing.len() == needed.len() } else { !missing.is_empty() };
        let applies = values.get(name.as_str()) == Some(value);
        let count = if is_enough { "any" } else { "all" };
        let words = || {
            let (value, missing) = (value.to_text(), missing.join(", "));
            format!("{name} is {value} but {count} of the following are missing: {missing}")
        };
        (applies && is_broken).then(words)
    })
}

fn required_by(rules: &Value, values: &Map) -> Option<String> {
    rules.get("required_by").and_then(Value::as_map)?.iter().find_map(|(name, needed)| {
        let name = name.to_string();
        let missing: Vec<String> = texts(needed).into_iter().filter(|other| !has(values, other)).collect();
        let is_broken = has(values, &name) && !missing.is_empty();
        is_broken.then(|| format!("missing parameter(s) required by '{name}': {}", missing.join(", ")))
    })
}

fn has(values: &Map, name: &str) -> bool {
    values.get(name).is_some()
}

fn list<'v>(rules: &'v Value, name: &str) -> &'v [Value] {
    rules.get(name).and_then(Value::as_list).unwrap_or_default()
}

/// Only lists of lists are groups: a name by itself never clashes with another one.
fn groups(rules: &Value, name: &str) -> impl Iterator<Item = Vec<String>> {
    list(rules, name).iter().map(texts)
}

/// One name, or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items.iter().map(|item| item.to_text().to_string()).collect(),
        other => vec![other.to_text().to_string()],
    }
}
