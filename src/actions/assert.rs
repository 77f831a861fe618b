//! `assert`: conditions that must hold.

use super::{Answer, Hands, Problem};
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};

pub(super) fn assert(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let message = |name: &str, default: &str| args.get(name).cloned().unwrap_or_else(|| Value::from(default));
    // A condition that cannot be evaluated is told in one line all the same.
    let is_loud = !args.bool("quiet");
    let conditions = match args.get("that") {
        Some(Value::List(items)) => items.to_vec(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    for condition in &conditions {
        if !hands.condition(condition)? {
            let mut failure = Failure::new("")
                .with("assertion", condition.clone())
                .with("evaluated_to", false)
                .with("changed", false)
                .with("_ansible_verbose_always", is_loud);
            let msg = message("fail_msg", "Assertion failed");
            failure.msg = msg.to_text().to_string();
            failure.values.insert("msg".into(), msg);
            return Err(failure.into());
        }
    }
    let mut values =
        Map::from_iter([("changed".into(), Value::Bool(false)), ("msg".into(), message("success_msg", "All assertions passed"))]);
    values.insert("_ansible_verbose_always".into(), is_loud.into());
    Ok(Answer::of(values))
}
