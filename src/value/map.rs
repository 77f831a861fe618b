//! Ordered maps and their keys.

use super::Text;
use indexmap::{Equivalent, IndexMap};
use std::fmt;
use std::hash::{Hash, Hasher};

/// Keeps the order of insertion. `map.get("name")` works without building a key.
pub type Map = IndexMap<Key, super::Value>;

/// What YAML and Jinja allow as the key of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Null,
    Bool(bool),
    Int(i64),
    String(Text),
}

impl Key {
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Key::String(text) => Some(text),
            _ => None,
        }
    }
}

/// A string key hashes as its text does, so that a `&str` finds it.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Key::Null => 0_u8.hash(state),
            Key::Bool(truth) => truth.hash(state),
            Key::Int(number) => number.hash(state),
            Key::String(text) => text.as_str().hash(state),
        }
    }
}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        key.as_str() == Some(self)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Null => out.write_str("None"),
            Key::Bool(true) => out.write_str("True"),
            Key::Bool(false) => out.write_str("False"),
            Key::Int(number) => write!(out, "{number}"),
            Key::String(text) => out.write_str(text.as_str()),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key::String(text.into())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Key {
        Key::String(text.into())
    }
}

impl From<Text> for Key {
    fn from(text: Text) -> Key {
        Key::String(text)
    }
}

impl From<i64> for Key {
    fn from(number: i64) -> Key {
        Key::Int(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn keys_of_several_kinds_live_side_by_side() {
        let mut map = Map::new();
        map.insert(Key::Int(1), Value::from("one"));
        map.insert(Key::from("1"), Value::from("text"));
        assert_eq!(map.len(), 2);
        assert_eq!(map.get("1"), Some(&Value::from("text")));
        assert_eq!(map.get(&Key::Int(1)), Some(&Value::from("one")));
    }
}
