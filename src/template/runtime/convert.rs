//! Between the program's values and those of an evaluation.

use super::{Dict, List, Object, Val};
use crate::value::{Key, Map, Value};

/// One level only: what is inside of lists and maps is converted when it is reached.
pub(crate) fn from_value(value: &Value) -> Val {
    match value {
        Value::Null => Val::None,
        Value::Bool(truth) => Val::Bool(*truth),
        Value::Int(number) => Val::Int(*number),
        Value::Float(number) => Val::Float(*number),
        Value::String(text) => Val::Str(text.clone()),
        Value::List(items) => Val::List(List::shared(items.clone())),
        Value::Map(entries) => Val::Dict(Dict::shared(entries.clone())),
        Value::Template(template) => Val::Pending(template.clone()),
    }
}

impl Val {
    /// The value outside of the evaluation, or the name of the type that has none. Everything pending must be rendered.
    pub(crate) fn to_value(&self) -> Result<Value, &'static str> {
        Ok(match self {
            Val::None => Value::Null,
            Val::Bool(truth) => Value::Bool(*truth),
            Val::Int(number) => Value::Int(*number),
            Val::Float(number) => Value::Float(*number),
            Val::Str(text) => Value::String(text.clone()),
            Val::Pending(template) => Value::Template(template.clone()),
            Val::Tuple(items) => items.iter().map(Val::to_value).collect::<Result<_, _>>()?,
            Val::List(list) => match list.as_shared() {
                Some(items) => Value::List(items),
                None => list.items().iter().filter(|item| !item.is_omit()).map(Val::to_value).collect::<Result<_, _>>()?,
            },
            Val::Dict(dict) => match dict.as_shared() {
                Some(entries) => Value::Map(entries),
                None => entries_to_map(dict)?,
            },
            Val::Object(object) => return object.to_value(),
            Val::Undefined(_) => return Err("Undefined"),
        })
    }

    /// Whether tests and `default` take it for something that is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.is_undefined() || matches!(self, Val::Object(object) if matches!(**object, Object::Nothing))
    }

    pub(crate) fn is_omit(&self) -> bool {
        matches!(self, Val::Object(object) if matches!(**object, Object::Omit))
    }

    /// As the key of a map; `None` when Python could not hash it or a map of ours cannot hold it.
    pub(crate) fn to_key(&self) -> Option<Key> {
        Some(match self {
            Val::None => Key::Null,
            Val::Bool(truth) => Key::Bool(*truth),
            Val::Int(number) => Key::Int(*number),
            Val::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Key::Int(*number as i64),
            Val::Str(text) => Key::String(text.clone()),
            _ => return None,
        })
    }

    pub(crate) fn from_key(key: &Key) -> Val {
        match key {
            Key::Null => Val::None,
            Key::Bool(truth) => Val::Bool(*truth),
            Key::Int(number) => Val::Int(*number),
            Key::String(text) => Val::Str(text.clone()),
        }
    }
}

fn entries_to_map(dict: &Dict) -> Result<Value, &'static str> {
    let mut map = Map::new();
    for (key, value) in dict.entries() {
        if !value.is_omit() {
            map.insert(key, value.to_value()?);
        }
    }
    Ok(Value::map(map))
}
