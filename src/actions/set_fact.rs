//! `set_fact` and `set_stats`.

use super::{Answer, Effect, Hands, Problem};
use crate::modules::Args;
use crate::value::{Key, Map, Value};

pub(super) fn set_fact(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let mut facts = args.all().clone();
    let cacheable = facts.shift_remove("cacheable").is_some_and(|value| value.to_bool() == Some(true));
    if facts.is_empty() {
        return Err(Problem::new("No key/value pairs provided, at least one is required for this action to succeed"));
    }
    if let Some(name) = facts.keys().find(|name| !is_name(name)) {
        return Err(Problem::new(format!(
            "The variable name '{name}' is not valid: a letter or underscore, then letters, numbers and underscores."
        )));
    }
    if let Some(name) = facts.keys().find(|name| name.as_str().is_some_and(|name| name.starts_with("_ansible_"))) {
        return Err(Problem::new(format!(
            "Invalid parameter specified beginning with keyword '_ansible_' for action 'set_fact': '{name}'. \
             The prefix '_ansible_' is reserved for internal use only."
        )));
    }
    if !hands.is_native() {
        facts.values_mut().for_each(read_words);
    }
    let values = Map::from_iter([("changed".into(), Value::Bool(false)), ("ansible_facts".into(), Value::map(facts.clone()))]);
    Ok(Answer { values, effect: Some(Effect::SetFacts { facts, cacheable }) })
}

pub(super) fn set_stats(args: &Args) -> Result<Answer, Problem> {
    let data = match args.get("data") {
        Some(Value::Map(data)) => Map::clone(data),
        None => Map::new(),
        Some(_) => return Err(Problem::new("The 'data' option needs to be a dictionary/hash")),
    };
    if let Some(name) = data.keys().find(|name| !is_name(name)) {
        return Err(Problem::new(format!(
            "The variable name '{name}' is not valid. Variables must start with a letter or underscore character, and contain only \
             letters, numbers and underscores."
        )));
    }
    let says = |name: &str, default: bool| {
        // What is no boolean counts as no.
        args.get(name).map_or(default, |given| given.to_bool().unwrap_or(false))
    };
    let (per_host, aggregate) = (says("per_host", false), says("aggregate", true));
    let shown = [("data", Value::map(data.clone())), ("per_host", per_host.into()), ("aggregate", aggregate.into())];
    let values = Map::from_iter([("changed".into(), Value::Bool(false)), ("ansible_stats".into(), shown.into_iter().collect())]);
    Ok(Answer { values, effect: Some(Effect::Stats { data, per_host, aggregate }) })
}

/// Without native Jinja, these words are booleans however they were written.
fn read_words(value: &mut Value) {
    let truth = value.as_str().and_then(|text| match text.to_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    });
    if let Some(truth) = truth {
        *value = Value::Bool(truth);
    }
}

fn is_name(name: &Key) -> bool {
    let Some(name) = name.as_str() else { return false };
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
