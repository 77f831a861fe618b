//! Values as the kinds that options ask for, with Ansible's words where one does not fit.

use crate::inventory::literal;
use crate::modules::Kind;
use crate::template::human_to_bytes;
use crate::value::Value;

/// The value as the kind that an option asks for, or why it cannot be read so.
pub(super) fn read(kind: &str, value: &Value) -> Result<Value, String> {
    let ok = || Ok(value.clone());
    let cannot = |what: &str| format!("{} cannot be converted to {what}", class_of(value));
    match kind {
        "raw" => ok(),
        "str" if value.is_null() => Err("'None' is not a string and conversion is not allowed".to_owned()),
        "str" | "path" => Ok(Value::String(value.to_text())),
        "bool" => Kind::Bool.read(value).ok_or_else(|| match value {
            Value::List(_) | Value::Map(_) | Value::Null => cannot("a bool"),
            _ => format!("The value '{}' is not a valid boolean. Valid booleans include: {BOOLEANS}", value.to_text()),
        }),
        "int" => Kind::Int.read(value).ok_or_else(|| format!("\"{}\" cannot be converted to an int", as_python(value))),
        "float" => Kind::Float.read(value).ok_or_else(|| cannot("a float")),
        "list" => match value {
            Value::List(_) => ok(),
            Value::String(text) => Ok(text.split(',').map(|part| Value::from(part.trim())).collect()),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => Ok(Value::list(vec![Value::from(value.to_text())])),
            _ => Err(cannot("a list")),
        },
        "dict" => match value {
            Value::String(text) if text.starts_with('{') => {
                let literal = || literal::read(text).filter(|read| read.as_map().is_some());
                Kind::Dict.read(value).or_else(literal).ok_or_else(|| "unable to evaluate string as dictionary".to_owned())
            }
            Value::String(_) => {
                Kind::Dict.read(value).ok_or_else(|| "dictionary requested, could not parse JSON or key=value".to_owned())
            }
            _ => Kind::Dict.read(value).ok_or_else(|| cannot("a dict")),
        },
        "json" | "jsonarg" => match value {
            Value::List(_) | Value::Map(_) => Ok(Value::from(value.to_json())),
            Value::String(_) => ok(),
            _ => Err(cannot("a json string")),
        },
        "bytes" => human_to_bytes(&value.to_text(), None, false).map(Value::Int).map_err(|_| cannot("a Byte value")),
        "bits" => human_to_bytes(&value.to_text(), None, true).map(Value::Int).map_err(|_| cannot("a Bit value")),
        _ => Err(format!("there is no type `{kind}`")),
    }
}

const BOOLEANS: &str = "0, 1, '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'";

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
