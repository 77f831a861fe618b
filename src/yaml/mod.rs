//! YAML text as nodes, each with its span; scalars read as Ansible's YAML 1.1 reader does.
//!
//! Main type: [`Node`]; [`read`] makes them. The parser underneath speaks YAML 1.2 and knows only events; what Ansible's
//! users rely on is decided here: `yes` is a boolean and `0644` a number in base 8 ([`scalar`]), `<<` merges and of two equal
//! keys the last one stays ([`loader`]), `!vault` and `!unsafe` mean something.
//!
//! A text may come from anywhere, so nothing in here panics, and size, depth and the growth through aliases are limited.
//! Only a text that its user wrote ([`Trust::User`]) has templates; of any other ([`Trust::Data`]) every string stays plain.
//! This room opens no files. Start reading at [`read`].

mod loader;
mod mend;
mod problem;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;

pub use problem::{Problem, Slip};

use crate::diag::{Diagnostic, Explain, Severity, Sources};
use crate::value::{Key, Map, Span, Value};

/// The longest text that is read.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// The code of the warning about a key that is written twice.
const DUPLICATE_KEY: &str = "duplicate-key";
/// The code of a second document where one is wanted.
pub(crate) const SEVERAL_DOCUMENTS: &str = "yaml-several-documents";

/// Whether strings with Jinja in them are templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Written by the user: playbooks, variables, inventories.
    User,
    /// From a host, a service or a program: never templated.
    Data,
}

/// What became of a text.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The number of the text in `Sources`.
    pub source: u32,
    /// Empty for an empty text. After a syntax error, what came before it is missing.
    pub documents: Vec<Node>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a whole text and remembers it in `sources` under `name`.
pub fn read(sources: &Sources, name: &str, text: &str, trust: Trust) -> Reading {
    read_as(sources, name, text, trust, false)
}

/// The same for a text that was in a vault: messages do not show it.
pub fn read_as(sources: &Sources, name: &str, text: &str, trust: Trust, is_secret: bool) -> Reading {
    if text.len() > BYTES_MAX {
        let problem = Problem::TooLarge { name: name.to_owned(), bytes: text.len() };
        return Reading { diagnostics: vec![problem.explain()], ..Reading::default() };
    }
    let source = if is_secret { sources.add_secret(name, text) } else { sources.add(name, text) };
    let (documents, problems) = mend::load(text, source, trust);
    Reading { source, documents, diagnostics: problems.iter().map(Explain::explain).collect() }
}

impl Reading {
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// How bad a key is that is written twice; with nothing, it is not worth a word.
    pub fn judge_duplicates(&mut self, severity: Option<Severity>) {
        let is_duplicate = |found: &Diagnostic| found.code == DUPLICATE_KEY;
        match severity {
            None => self.diagnostics.retain(|found| !is_duplicate(found)),
            Some(severity) => {
                self.diagnostics.iter_mut().filter(|found| is_duplicate(found)).for_each(|found| found.severity = severity);
            }
        }
    }

    /// The document, if the text has one.
    pub fn document(&self) -> Option<&Node> {
        self.documents.first()
    }
}

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

    /// The ciphertext (with its header) of a value written with `!vault`.
    pub fn vault(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Value::Template(template)) if template.is_vault() => Some(&template.text),
            _ => None,
        }
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
