//! The texts that spans point into.

use super::{Diagnostic, Span};
use crate::value::{Text, VAULT_HEADER, Value};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// Every text that was read in this run, and what opens those that are encrypted. Cheap to clone; grows while includes are read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Arc<RwLock<Vec<Source>>>,
    opener: Arc<OnceLock<Arc<dyn Opener>>>,
    /// What came out of vaults and was not asked for yet, see [`Sources::take_secrets`].
    secrets: Arc<Mutex<Vec<Value>>>,
}

/// Opens what is encrypted with a vault. The errors are sentences.
pub trait Opener: std::fmt::Debug + Send + Sync {
    fn open(&self, vault: &str) -> Result<Vec<u8>, String>;
    /// The same for a value.
    fn open_text(&self, vault: &str) -> Result<Text, String>;
    /// Whether a value's vault held this text.
    fn has_opened(&self, text: &str) -> bool;
}

/// The content of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    pub bytes: Vec<u8>,
    /// It was in a vault.
    pub is_secret: bool,
}

#[derive(Clone, Debug)]
struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Where its lines begin; found when it is asked for first.
    lines: Arc<OnceLock<Vec<u32>>>,
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
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        files.push(Source { name: name.into(), text: text.into(), lines: Arc::default() });
        u32::try_from(files.len()).unwrap_or(u32::MAX)
    }

    /// The same for a text that must not be shown: lines and lengths stay, so that spans into it have a place.
    pub fn add_secret(&self, name: impl Into<Arc<str>>, text: &str) -> u32 {
        let hidden: String = text.split('\n').map(|line| "*".repeat(line.len())).collect::<Vec<_>>().join("\n");
        self.add(name, hidden)
    }

    /// From now on vaults are opened with this. Only the first one counts.
    pub fn open_with(&self, opener: Arc<dyn Opener>) {
        let _ = self.opener.set(opener);
    }

    /// What a file holds; a vault is opened.
    pub fn open(&self, bytes: Vec<u8>) -> Result<Opened, String> {
        if !bytes.starts_with(VAULT_HEADER.as_bytes()) {
            return Ok(Opened { bytes, is_secret: false });
        }
        let vault = String::from_utf8(bytes).map_err(|_| "the vault is no text".to_owned())?;
        let bytes = self.opener.get().map_or_else(|| Err(NO_SECRETS.to_owned()), |opener| opener.open(&vault))?;
        Ok(Opened { bytes, is_secret: true })
    }

    /// The same for a text; what is not UTF-8 in it is replaced.
    pub fn open_text(&self, path: &Path, text: String) -> Result<(String, bool), Diagnostic> {
        let opened = self.open(text.into_bytes()).map_err(|why| closed(path, &why))?;
        let text = String::from_utf8(opened.bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok((text, opened.is_secret))
    }

    /// What the vault of a value holds.
    pub fn open_value(&self, vault: &str) -> Result<Text, String> {
        let text = self.opener.get().map_or_else(|| Err(NO_SECRETS.to_owned()), |opener| opener.open_text(vault))?;
        self.keep_secret(Value::String(text.clone()));
        Ok(text)
    }

    /// The value with every string in it marked secret, and remembered for those who mask.
    pub fn keep_secret(&self, value: Value) -> Value {
        let value = value.into_secret();
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(value.clone());
        value
    }

    /// What became known as secret since the last call.
    pub fn take_secrets(&self) -> Vec<Value> {
        std::mem::take(&mut *self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a value's vault held this text.
    pub fn has_opened(&self, text: &str) -> bool {
        self.opener.get().is_some_and(|opener| opener.has_opened(text))
    }

    /// Name and text of a source.
    pub fn get(&self, source: u32) -> Option<(Arc<str>, Arc<str>)> {
        self.source(source).map(|file| (file.name, file.text))
    }

    fn source(&self, source: u32) -> Option<Source> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(usize::try_from(source).ok()?.checked_sub(1)?).cloned()
    }

    pub fn place(&self, span: Span) -> Option<Place> {
        let source = self.source(span.source)?;
        let line = source.lines().partition_point(|start| *start <= span.start);
        let start = *source.lines().get(line.checked_sub(1)?)?;
        let column = source.text.get(start as usize..span.start as usize)?.chars().count() + 1;
        Some(Place { file: source.name.to_string(), line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
    }

    /// The text that a span covers.
    pub fn slice(&self, span: Span) -> Option<String> {
        let (_, text) = self.get(span.source)?;
        text.get(span.start as usize..span.end as usize).map(str::to_owned)
    }
}

impl Source {
    fn lines(&self) -> &[u32] {
        let behind = |(at, _): (usize, &str)| u32::try_from(at + 1).ok();
        self.lines.get_or_init(|| [0].into_iter().chain(self.text.match_indices('\n').filter_map(behind)).collect())
    }
}

const NO_SECRETS: &str = "Attempting to decrypt but no vault secrets found.";

fn closed(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::error("closed-vault", format!("cannot open the vault `{}`", path.display()))
        .note(why)
        .help("give its password with `--vault-password-file`, `--vault-id` or `--ask-vault-pass`")
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Opened({} bytes, is_secret: {})", self.bytes.len(), self.is_secret)
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
        assert_eq!(sources.place(Span { source, start: 0, end: 1 }).unwrap().to_string(), "site.yaml:1:1");
        assert_eq!(sources.place(Span { source, start: 12, end: 13 }).unwrap().to_string(), "site.yaml:1:13");
        assert_eq!(sources.place(Span { source, start: 13, end: 14 }).unwrap().to_string(), "site.yaml:2:1");
        assert_eq!(sources.place(Span { source, start: 25, end: 25 }).unwrap().to_string(), "site.yaml:3:1");
        assert_eq!(sources.place(Span { source, start: 99, end: 99 }), None);
        assert_eq!(sources.place(Span::NOWHERE), None);
    }
}
