//! The one data type of YAML, Jinja and JSON, on both sides of a connection.
//!
//! Main type: [`Value`]. Maps keep the order in which they were written. A string knows two things beyond its
//! text: whether it is secret (then `Debug` never shows it), and, as [`Value::Template`], that it was written by the
//! user as a Jinja template and where. Only the YAML reader of trusted sources makes `Template`s; what comes from a
//! host, a file or a template's result is a plain string and is therefore never templated again.
//!
//! This room does no IO and knows no Ansible. Start reading at [`Value`].

mod bytes;
#[cfg(feature = "control")]
pub mod charset;
mod convert;
mod json;
mod map;
mod merge;

pub use bytes::{bytes_of, hex, shown_text, text_of};
pub use map::{Key, Map};
pub use merge::merged;

use std::fmt;
use std::sync::Arc;

/// Any value of a variable, an argument, a result or a fact.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    String(Text),
    List(Arc<Vec<Value>>),
    Map(Arc<Map>),
    /// A string with Jinja in it that the user wrote; it becomes another value when it is used.
    Template(Arc<Template>),
}

/// A string that may be secret. Cheap to clone.
#[derive(Clone, Default)]
pub struct Text {
    text: Arc<str>,
    secret: bool,
}

/// A Jinja template as the user wrote it, and where. One that starts with [`VAULT_HEADER`] is a vault (`!vault`): its value is what
/// is in it, which is no template again.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub text: String,
    pub span: Span,
}

/// The first line of every vaulted text.
pub const VAULT_HEADER: &str = "$ANSIBLE_VAULT;";

/// Where something was written: a source (a number that `diag::Sources` resolves) and a byte range in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// 0 stands for "nowhere": made by the program.
    pub source: u32,
    pub start: u32,
    pub end: u32,
}

impl Value {
    /// The name of its type as the users know it, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "float",
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "mapping",
            Value::Template(_) => "template",
        }
    }

    pub fn list(items: Vec<Value>) -> Value {
        Value::List(Arc::new(items))
    }

    pub fn map(entries: Map) -> Value {
        Value::Map(Arc::new(entries))
    }

    /// A mapping of one key.
    pub fn pair(key: &str, value: impl Into<Value>) -> Value {
        Value::map(Map::from_iter([(key.into(), value.into())]))
    }

    /// A string that must never be shown.
    pub fn secret(text: impl Into<Arc<str>>) -> Value {
        Value::String(Text::secret(text))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// Strictly a boolean; for Ansible's reading of `"yes"` and `1` see [`Value::to_bool`].
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value at `key`, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// Calls `visit` for every secret string inside.
    pub fn each_secret(&self, visit: &mut dyn FnMut(&str)) {
        match self {
            Value::String(text) if text.is_secret() => visit(text),
            Value::List(items) => items.iter().for_each(|item| item.each_secret(visit)),
            Value::Map(entries) => entries.values().for_each(|value| value.each_secret(visit)),
            _ => {}
        }
    }

    /// The same value with every string in it marked secret.
    pub fn into_secret(self) -> Value {
        match self {
            Value::String(text) => Value::String(Text { secret: true, ..text }),
            Value::List(items) => Value::list(items.iter().cloned().map(Value::into_secret).collect()),
            Value::Map(entries) => {
                Value::map(entries.iter().map(|(key, value)| (key.clone(), value.clone().into_secret())).collect())
            }
            other => other,
        }
    }

    /// Whether a template is anywhere inside.
    pub fn has_template(&self) -> bool {
        match self {
            Value::Template(_) => true,
            Value::List(items) => items.iter().any(Value::has_template),
            Value::Map(entries) => entries.values().any(Value::has_template),
            _ => false,
        }
    }
}

impl Template {
    pub fn is_vault(&self) -> bool {
        self.text.starts_with(VAULT_HEADER)
    }
}

impl Text {
    pub fn secret(text: impl Into<Arc<str>>) -> Text {
        Text { text: text.into(), secret: true }
    }

    pub fn is_secret(&self) -> bool {
        self.secret
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::ops::Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret { out.write_str("\"********\"") } else { fmt::Debug::fmt(&*self.text, out) }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.secret { "********" } else { &self.text })
    }
}

/// Secret or not, the same text is the same value.
impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.text == other.text
    }
}

impl Eq for Text {}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Span {
    /// Made by the program, written nowhere.
    pub const NOWHERE: Span = Span { source: 0, start: 0, end: 0 };

    pub fn is_nowhere(&self) -> bool {
        self.source == 0
    }

    /// Some bytes of what it covers.
    #[must_use]
    pub fn part(self, bytes: &std::ops::Range<usize>) -> Span {
        let at = |offset: usize| self.start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX)).min(self.end);
        Span { start: at(bytes.start), end: at(bytes.end), ..self }
    }

    /// From the start of this span to the end of `last`.
    pub fn to(self, last: Span) -> Span {
        Span { end: last.end.max(self.end), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let value = Value::map(Map::from_iter([("password".into(), Value::secret("hunter2"))]));
        assert!(!format!("{value:?}").contains("hunter2"));
        let Some(Value::String(text)) = value.get("password") else { panic!("a string") };
        assert_eq!(text.to_string(), "********");
        let mut seen = Vec::new();
        value.each_secret(&mut |secret| seen.push(secret.to_owned()));
        assert_eq!(seen, ["hunter2"]);
    }
}
