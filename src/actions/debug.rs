//! `debug`: prints a message, or a variable.

use super::{Answer, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};

/// Whether something was missing, rather than wrong.
fn is_undefined(problem: &Problem) -> bool {
    let missing = ["undefined-variable", "unknown-attribute", "undefined-value"];
    problem.diagnostic.as_ref().is_none_or(|diagnostic| missing.contains(&diagnostic.code.as_str()))
}

pub(super) fn debug(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let wanted = args.int("verbosity").unwrap_or(0);
    if i64::from(hands.verbosity()) < wanted {
        let values = [("skipped", Value::Bool(true)), ("skipped_reason", Value::from("Verbosity threshold not met."))];
        return Ok(Answer::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect()));
    }
    let mut values = Map::new();
    match args.get("var") {
        Some(Value::String(name)) => {
            // An undefined variable is shown, not failed on.
            let shown = match hands.expression(name) {
                Ok(value) => value,
                Err(problem) if is_undefined(&problem) => Value::from("VARIABLE IS NOT DEFINED!"),
                Err(problem) => return Err(problem),
            };
            values.insert(name.clone().into(), shown);
        }
        Some(other) => drop(values.insert(other.to_text().into(), other.clone())),
        None => drop(values.insert("msg".into(), args.get("msg").cloned().unwrap_or_else(|| "Hello world!".into()))),
    }
    values.insert("_ansible_verbose_always".into(), Value::Bool(true));
    values.insert("changed".into(), Value::Bool(false));
    Ok(Answer::of(values))
}
