//! `debug`: prints a message, or a variable.

use super::{Answer, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};

/// Whether something was missing, rather than wrong.
fn is_undefined(problem: &Problem) -> bool {
    let missing = ["undefined-variable", "unknown-attribute", "undefined-value"];
    problem.diagnostic.as_ref().is_none_or(|diagnostic| missing.contains(&diagnostic.code.as_str()))
}

/// An undefined variable is shown, not failed on.
fn shown(expression: &str, hands: &impl Hands) -> Result<Value, Problem> {
    match hands.expression(expression) {
        Err(problem) if is_undefined(&problem) => Ok(Value::from("VARIABLE IS NOT DEFINED!")),
        other => other,
    }
}

/// `name` or `name.key`.
fn is_path(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    text.split('.').all(is_name)
}

fn without_braces(text: &str) -> &str {
    let inner = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    inner.filter(|inner| !inner.contains("{{")).map_or(text, str::trim)
}

pub(super) fn debug(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let wanted = args.int("verbosity").unwrap_or(0);
    if i64::from(hands.verbosity()) < wanted {
        let values = [("skipped", Value::Bool(true)), ("skipped_reason", Value::from("Verbosity threshold not met."))];
        return Ok(Answer::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect()));
    }
    let mut values = Map::new();
    match args.get("var") {
        Some(Value::String(name)) => drop(values.insert(name.clone().into(), shown(name, hands)?)),
        Some(Value::Template(template)) => {
            let value = hands.render(&Value::Template(template.clone()))?;
            match value.as_str().filter(|text| is_path(text)) {
                Some(name) => drop(values.insert(name.into(), shown(name, hands)?)),
                // Only names are looked up once more: other text may come from anywhere.
                None => drop(values.insert(without_braces(&template.text).into(), value)),
            }
        }
        Some(other) => drop(values.insert(other.to_text().into(), other.clone())),
        None => drop(values.insert("msg".into(), args.get("msg").cloned().unwrap_or_else(|| "Hello world!".into()))),
    }
    values.insert("_ansible_verbose_always".into(), Value::Bool(true));
    values.insert("changed".into(), Value::Bool(false));
    Ok(Answer::of(values))
}
