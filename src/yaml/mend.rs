//! Two liberties that Ansible's parser takes and ours does not: lines of a quoted string that are not indented, or with a tab,
//! and JSON with tabs.

use super::loader::{self, Loaded, Manner, is_template};
use super::problem::Problem;
use super::{Content, Node, Trust};
use crate::value::{Key, Span, Template, Value};
use granit_parser::{ErrorKind, ScanError};
use serde::de::IgnoredAny;
use std::sync::Arc;

/// How many lines are moved before it counts as a missing quote.
const LINES_MAX: usize = 100;
/// Deeper than any key is indented in earnest.
const INDENTATION: usize = 256;
/// Only in texts up to this size: every moved line costs another reading.
const BYTES_MAX: usize = 1024 * 1024;

pub(super) fn load(text: &str, source: u32, trust: Trust) -> (Vec<Node>, Vec<Problem>) {
    let is_json = text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok();
    let manner = Manner { text, source, trust, is_json, added: &[] };
    let loaded = loader::load(manner);
    let Some((error, offset)) = &loaded.broken else { return (loaded.documents, loaded.problems) };
    if is_json && let Ok(value) = Value::from_json(text) {
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        return (vec![from_json(value, Span { source, start: 0, end }, trust)], Vec::new());
    }
    if is_of_string(error)
        && text.len() <= BYTES_MAX
        && let Some(mended) = indent_strings(manner, *offset)
    {
        return (mended.documents, mended.problems);
    }
    (loaded.documents, loaded.problems)
}

/// Whether it is about the indentation of a quoted string's line; the parser looks at tabs so nowhere else.
fn is_of_string(error: &ScanError) -> bool {
    matches!(error.kind(), ErrorKind::InvalidQuotedScalarIndent | ErrorKind::TabInIndentation)
}

/// Reads again with the lines of quoted strings indented, until all is well or something else is wrong.
fn indent_strings(manner: Manner<'_>, first: usize) -> Option<Loaded> {
    let mut text = manner.text.to_owned();
    let mut added = Vec::new();
    let mut offset = first;
    for _ in 0..LINES_MAX {
        let start = text.get(..offset)?.rfind('\n')? + 1;
        if added.last().is_some_and(|(at, _)| *at >= start) {
            return None;
        }
        text.insert_str(start, &" ".repeat(INDENTATION));
        added.push((start, INDENTATION));
        let loaded = loader::load(Manner { text: &text, added: &added, ..manner });
        match &loaded.broken {
            None => return Some(loaded),
            Some((error, at)) if is_of_string(error) => offset = *at,
            Some(_) => return None,
        }
    }
    None
}

/// Nodes that all have the span of the whole text.
fn from_json(value: Value, span: Span, trust: Trust) -> Node {
    let content = match value {
        Value::List(items) => Content::List(items.iter().map(|item| from_json(item.clone(), span, trust)).collect()),
        Value::Map(entries) => Content::Map(
            entries.iter().map(|(key, value)| (key_node(key, span), from_json(value.clone(), span, trust))).collect(),
        ),
        Value::String(text) if trust == Trust::User && is_template(&text) => {
            Content::Scalar(Value::Template(Arc::new(Template { text: text.as_str().to_owned(), span })))
        }
        other => Content::Scalar(other),
    };
    Node { span, content }
}

fn key_node(key: &Key, span: Span) -> Node {
    Node { span, content: Content::Scalar(key.as_str().map_or(Value::Null, Value::from)) }
}
