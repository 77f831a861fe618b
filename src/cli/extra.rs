//! `-e`: variables of the command line.

use crate::diag::{Diagnostic, Sources};
use crate::playbook;
use crate::value::{Map, Span, Value};
use crate::yaml::{self, Trust};
use std::path::Path;
use std::sync::Arc;

/// All of them in order, later ones over earlier ones.
pub(super) fn variables(sources: &Sources, words: &[String]) -> Result<Map, Vec<Diagnostic>> {
    let mut all = Map::new();
    let mut found = Vec::new();
    for word in words {
        match one(sources, word) {
            Ok(map) => all.extend(map),
            Err(diagnostics) => found.extend(diagnostics),
        }
    }
    if found.is_empty() { Ok(all) } else { Err(found) }
}

fn one(sources: &Sources, word: &str) -> Result<Map, Vec<Diagnostic>> {
    if let Some(path) = word.strip_prefix('@') {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let why = error.to_string();
            let why = why.split(" (os error").next().unwrap_or(&why).to_lowercase();
            vec![
                Diagnostic::error("unreadable-file", format!("cannot read `{path}`: {why}")).note("it was given with `-e @FILE`"),
            ]
        })?;
        let (text, is_secret) = sources.open_text(Path::new(path), text).map_err(|diagnostic| vec![diagnostic])?;
        let map = structured(sources, path, &text, is_secret)?;
        return Ok(if is_secret { sources.keep_secret(map.into()).as_map().cloned().unwrap_or_default() } else { map });
    }
    if word.trim_start().starts_with(['{', '[', '/', '.']) {
        return structured(sources, "-e", word, false);
    }
    pairs(sources, word).map_err(|diagnostic| vec![diagnostic])
}

fn structured(sources: &Sources, name: &str, text: &str, is_secret: bool) -> Result<Map, Vec<Diagnostic>> {
    let reading = yaml::read_as(sources, name, text, Trust::User, is_secret);
    if reading.has_errors() {
        return Err(reading.diagnostics);
    }
    let Some(node) = reading.document() else { return Ok(Map::new()) };
    match node.to_value() {
        Value::Map(map) => Ok(Arc::unwrap_or_clone(map)),
        Value::Null => Ok(Map::new()),
        other => Err(vec![
            Diagnostic::error("bad-extra-vars", format!("extra variables are a mapping, not a {}", other.kind()))
                .at(node.span, "this is no mapping of variables")
                .help("write `-e name=value`, `-e '{\"name\": value}'` or `-e @FILE`"),
        ]),
    }
}

/// `name=value other='two words'`; values are texts.
fn pairs(sources: &Sources, word: &str) -> Result<Map, Diagnostic> {
    let source = sources.add("-e", word);
    let place = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    let mut map = Map::new();
    for (start, token) in tokens(word) {
        let span = |from: usize, to: usize| Span { source, start: place(from), end: place(to) };
        match token.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                let value_span = span(start + name.len() + 1, start + token.len());
                map.insert(name.into(), playbook::scalar(&playbook::unquoted(value), value_span));
            }
            _ => {
                return Err(Diagnostic::error("bad-extra-vars", format!("`{token}` is no variable"))
                    .at(span(start, start + token.len()), "no `name=value`")
                    .help("put quotes around a value with spaces: `-e \"name='two words'\"`"));
            }
        }
    }
    Ok(map)
}

/// Words and where they begin; quotes and Jinja stay whole.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let (mut start, mut quote, mut depth) = (None, None, 0_usize);
    let mut before = None;
    for (at, letter) in text.char_indices() {
        if letter.is_whitespace() && quote.is_none() && depth == 0 {
            if let Some(from) = start.take() {
                tokens.push((from, &text[from..at]));
            }
            before = None;
            continue;
        }
        start.get_or_insert(at);
        match (before, letter, quote) {
            (Some('{'), '{' | '%', None) => depth += 1,
            (Some('}' | '%'), '}', None) => depth = depth.saturating_sub(1),
            (Some('\\'), _, _) => {}
            (_, mark @ ('"' | '\''), None) if depth == 0 => quote = Some(mark),
            (_, mark, Some(open)) if mark == open => quote = None,
            _ => {}
        }
        before = Some(letter);
    }
    tokens.extend(start.map(|from| (from, &text[from..])));
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match variables(&Sources::default(), &words) {
            Ok(map) => Value::map(map).to_json(),
            Err(found) => found.into_iter().map(|found| format!("{}: {}", found.code, found.title)).collect(),
        }
    }

    #[test]
    fn pairs_are_texts_and_json_has_types() {
        assert_eq!(
            read(&["a=1 b='x y' c=\"it's\"", "d={{ a | default('p q') }}/z"]),
            r#"{"a":"1","b":"x y","c":"it's","d":"{{ a | default('p q') }}/z"}"#
        );
        assert_eq!(read(&["{\"a\": 1, \"b\": [true]}", "a=2"]), r#"{"a":"2","b":[true]}"#);
        assert_eq!(read(&["{a: 1, b: yes}"]), r#"{"a":1,"b":true}"#);
        assert_eq!(read(&["a=x=y b="]), r#"{"a":"x=y","b":""}"#);
    }

    #[test]
    fn what_is_no_variable_is_named() {
        assert_eq!(read(&["a=1 b"]), "bad-extra-vars: `b` is no variable");
        assert_eq!(read(&["[1]"]), "bad-extra-vars: extra variables are a mapping, not a list");
        assert_eq!(read(&["@/nope/x.yaml"]), "unreadable-file: cannot read `/nope/x.yaml`: no such file or directory");
    }
}
