//! From Rust's types to values, and Ansible's lenient readings of values.

use super::{Key, Map, Text, Value};
use std::sync::Arc;

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text { text: text.into(), secret: false }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text { text: text.into(), secret: false }
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Text {
        Text { text, secret: false }
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::String(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Value {
        Value::String(text.as_str().into())
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Int(number.into())
    }
}

/// Beyond `i64::MAX` a float, as JSON readers do.
impl From<u64> for Value {
    fn from(number: u64) -> Value {
        i64::try_from(number).map_or(Value::Float(number as f64), Value::Int)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::from(number as u64)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

impl From<Map> for Value {
    fn from(entries: Map) -> Value {
        Value::map(entries)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::list(items)
    }
}

impl From<Vec<String>> for Value {
    fn from(items: Vec<String>) -> Value {
        items.into_iter().map(Value::from).collect()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Value {
        Value::list(items.into_iter().collect())
    }
}

impl<K: Into<Key>> FromIterator<(K, Value)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Value {
        Value::map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl Value {
    /// A boolean as Ansible's modules read one: `yes`, `on`, `1`, `true`, `t`, `y` in any case, and their opposites.
    pub fn to_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            Value::Float(number) if *number == 0.0 => Some(false),
            Value::Float(number) if *number == 1.0 => Some(true),
            Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
                "yes" | "on" | "1" | "true" | "t" | "y" => Some(true),
                "no" | "off" | "0" | "false" | "f" | "n" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// An integer, also from a string of digits or a float without a fraction.
    pub fn to_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(truth) => Some((*truth).into()),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Some(*number as i64),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub fn to_float(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Text as Ansible passes a value to a string argument: scalars as Python prints them, lists and maps as JSON.
    pub fn to_text(&self) -> Text {
        match self {
            Value::String(text) => text.clone(),
            Value::Null => "".into(),
            Value::Bool(truth) => if *truth { "True" } else { "False" }.into(),
            Value::Int(number) => number.to_string().into(),
            Value::Float(number) => float_text(*number).into(),
            Value::Template(template) => template.text.as_str().into(),
            Value::List(_) | Value::Map(_) => self.to_json().into(),
        }
    }
}

/// A float as Python prints it: `1.0`, `1e+16`, `inf`.
pub(super) fn float_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let short = format!("{number:e}");
        let (digits, exponent) = short.split_once('e').unwrap_or((&short, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_python() {
        for (number, text) in [(1.0, "1.0"), (0.1, "0.1"), (1e16, "1e+16"), (1.5e-5, "1.5e-05"), (123456.789, "123456.789")] {
            assert_eq!(float_text(number), text);
        }
    }

    #[test]
    fn booleans_are_read_leniently_and_nothing_else_is() {
        assert_eq!(Value::from("Yes").to_bool(), Some(true));
        assert_eq!(Value::from("off").to_bool(), Some(false));
        assert_eq!(Value::from("maybe").to_bool(), None);
        assert_eq!(Value::from(2).to_bool(), None);
    }
}
