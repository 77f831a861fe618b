//! Values as the kinds that options ask for, with Ansible's words where one does not fit.

use crate::value::Value;

/// The value as the kind that an option asks for, or why it cannot be read so.
pub(super) fn read(kind: &str, value: &Value) -> Result<Value, String> {
    let class = class_of(value);
    let ok = || Ok(value.clone());
    match kind {
        "str" if value.is_null() => Err("'None' is not a string and conversion is not allowed".to_owned()),
        "str" | "path" => Ok(Value::String(value.to_text())),
        "bool" => {
            value.to_bool().map(Value::Bool).ok_or_else(|| format!("The value '{}' is not a valid boolean. ", value.to_text()))
        }
        "int" => whole(value).map(Value::Int).ok_or_else(|| format!("\"{}\" cannot be converted to an int", as_python(value))),
        "float" => value.to_float().map(Value::Float).ok_or_else(|| format!("{class} cannot be converted to a float")),
        "list" => match value {
            Value::List(_) => ok(),
            Value::String(text) => Ok(text.split(',').map(|part| Value::from(part.trim())).collect()),
            Value::Int(_) | Value::Float(_) => Ok(Value::list(vec![Value::from(value.to_text())])),
            _ => Err(format!("{class} cannot be converted to a list")),
        },
        "dict" => match (value, crate::modules::Kind::Dict.read(value)) {
            (_, Some(read)) => Ok(read),
            (Value::String(_), None) => Err("dictionary requested, could not parse JSON or key=value".to_owned()),
            (_, None) => Err(format!("{class} cannot be converted to a dict")),
        },
        "json" | "jsonarg" => match value {
            Value::List(_) | Value::Map(_) => Ok(Value::from(value.to_json())),
            Value::String(_) => ok(),
            _ => Err(format!("{class} cannot be converted to a json string")),
        },
        "bytes" => sized(value).map(|_| value.clone()).ok_or_else(|| format!("{class} cannot be converted to a Byte value")),
        "bits" => sized(value).map(|_| value.clone()).ok_or_else(|| format!("{class} cannot be converted to a Bit value")),
        _ => ok(),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(_) => None,
        Value::Float(number) if number.fract() != 0.0 => None,
        other => other.to_int(),
    }
}

/// `10`, `1.5M`, `3 KB`.
fn sized(value: &Value) -> Option<f64> {
    let text = value.to_text();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = text[digits.len()..].trim();
    let is_unit = unit.is_empty() || "YZEPTGMKBb".contains(unit.chars().next().unwrap_or('?').to_ascii_uppercase());
    digits.trim().parse().ok().filter(|_| is_unit)
}

fn as_python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::String(text) => format!("'{text}'"),
        other => other.to_text().to_string(),
    }
}

/// As Python would name it.
pub(super) fn class_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<class 'NoneType'>",
        Value::Bool(_) => "<class 'bool'>",
        Value::Int(_) => "<class 'int'>",
        Value::Float(_) => "<class 'float'>",
        Value::String(_) | Value::Template(_) => "<class 'str'>",
        Value::List(_) => "<class 'list'>",
        Value::Map(_) => "<class 'dict'>",
    }
}
