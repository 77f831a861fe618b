//! `set_stats`: what the playbook counts itself.

use super::{Run, locked};
use crate::event::Event;
use crate::value::{Map, Value};

impl Run {
    /// For one host, or for the whole run.
    pub(super) fn count_custom(&self, host: Option<&String>, data: &Map, aggregate: bool) {
        let mut stats = locked(&self.custom_stats);
        let known = stats.entry(host.cloned()).or_default();
        for (name, value) in data {
            let sum = known.get(name).filter(|_| aggregate).map_or_else(|| value.clone(), |before| added(before, value));
            known.insert(name.clone(), sum);
        }
    }

    pub(super) fn tell_custom(&self) {
        let stats = locked(&self.custom_stats).clone();
        if self.options.show_custom_stats && !stats.is_empty() {
            self.emitter.emit(&Event::CustomStats { stats: stats.into_iter().collect() });
        }
    }
}

/// Numbers are summed up, texts and lists put behind each other, maps merged. What does not fit replaces.
fn added(before: &Value, more: &Value) -> Value {
    match (before, more) {
        (Value::Int(one), Value::Int(other)) => one.saturating_add(*other).into(),
        (Value::String(one), Value::String(other)) => format!("{}{}", one.as_str(), other.as_str()).into(),
        (Value::List(one), Value::List(other)) => one.iter().chain(other.iter()).cloned().collect(),
        (Value::Map(one), Value::Map(other)) => {
            let mut all = Map::clone(one);
            for (key, value) in other.iter() {
                let merged = match (all.get(key), value) {
                    (Some(Value::Map(_)), Value::Map(_)) => added(&all[key], value),
                    _ => value.clone(),
                };
                all.insert(key.clone(), merged);
            }
            all.into()
        }
        // As Python adds them.
        (Value::Bool(one), Value::Bool(other)) => (i64::from(*one) + i64::from(*other)).into(),
        (Value::Bool(_) | Value::Null, _) | (_, Value::Bool(_) | Value::Null) => more.clone(),
        (one, other) => match (one.to_float(), other.to_float()) {
            (Some(one), Some(other)) => Value::from(one + other),
            _ => more.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_added_by_kind() {
        let sum = |one: &str, other: &str| added(&Value::from_json(one).unwrap(), &Value::from_json(other).unwrap()).to_json();
        assert_eq!(sum("1", "2"), "3");
        assert_eq!(sum("1.5", "2"), "3.5");
        assert_eq!(sum("\"a\"", "\"b\""), "\"ab\"");
        assert_eq!(sum("[1]", "[2]"), "[1,2]");
        assert_eq!(sum(r#"{"a":{"x":1}}"#, r#"{"a":{"y":2}}"#), r#"{"a":{"x":1,"y":2}}"#);
        assert_eq!(sum("\"a\"", "[2]"), "[2]");
    }
}
