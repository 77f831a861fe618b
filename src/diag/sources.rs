//! The texts that spans point into.

use super::Span;
use std::sync::{Arc, RwLock};

/// Every text that was read in this run. Cheap to clone; grows while includes are read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Arc<RwLock<Vec<Source>>>,
}

#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

/// A span as people read it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl Sources {
    /// Adds a text and answers with its number, which is never 0. `name` is its path as the user would write it.
    pub fn add(&self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> u32 {
        let mut files = self.files.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        files.push(Source { name: name.into(), text: text.into() });
        u32::try_from(files.len()).unwrap_or(u32::MAX)
    }

    /// Name and text of a source.
    pub fn get(&self, source: u32) -> Option<(Arc<str>, Arc<str>)> {
        let files = self.files.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let index = usize::try_from(source).ok()?.checked_sub(1)?;
        files.get(index).map(|file| (file.name.clone(), file.text.clone()))
    }

    pub fn place(&self, span: Span) -> Option<Place> {
        let (file, text) = self.get(span.source)?;
        let before = text.get(..span.start as usize)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some(Place { file: file.to_string(), line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
    }

    /// The text that a span covers.
    pub fn slice(&self, span: Span) -> Option<String> {
        let (_, text) = self.get(span.source)?;
        text.get(span.start as usize..span.end as usize).map(str::to_owned)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_line_and_a_column() {
        let sources = Sources::default();
        let source = sources.add("site.yaml", "- hosts: all\n  tasks: []\n");
        let place = sources.place(Span { source, start: 15, end: 20 }).unwrap();
        assert_eq!(place.to_string(), "site.yaml:2:3");
        assert_eq!(sources.place(Span::NOWHERE), None);
    }
}
