//! YAML text as nodes, each with its span; scalars read as Ansible's YAML 1.1 reader does.

use crate::value::{Key, Map, Span, Value};

/// One thing in a YAML text.
#[derive(Clone, Debug)]
pub struct Node {
    pub span: Span,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    /// A scalar, already resolved; a string with Jinja in it is a `Value::Template`.
    Scalar(Value),
    List(Vec<Node>),
    /// In the order of the text; merge keys are merged already, of duplicate keys the last one stays.
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Value::String(text)) => Some(text),
            Content::Scalar(Value::Template(template)) => Some(&template.text),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.content {
            Content::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Key node and value node of an entry.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        self.as_map()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(name, value)| (name, value))
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(Value::Null))
    }

    /// The value without spans (templates keep theirs).
    pub fn to_value(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::List(items) => items.iter().map(Node::to_value).collect(),
            Content::Map(entries) => {
                Value::map(entries.iter().map(|(key, value)| (key.to_key(), value.to_value())).collect::<Map>())
            }
        }
    }

    fn to_key(&self) -> Key {
        match &self.content {
            Content::Scalar(Value::Null) => Key::Null,
            Content::Scalar(Value::Bool(truth)) => Key::Bool(*truth),
            Content::Scalar(Value::Int(number)) => Key::Int(*number),
            Content::Scalar(Value::String(text)) => Key::String(text.clone()),
            Content::Scalar(other) => Key::String(other.to_text()),
            Content::List(_) | Content::Map(_) => Key::String(self.to_value().to_text()),
        }
    }
}
