//! Results as Ansible prints them: JSON with sorted keys, without what only programs want to know.

use crate::template::report_text;
use crate::value::{Map, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io;

/// What is never shown of a result.
const HIDDEN: [&str; 8] =
    ["failed", "skipped", "diff", "exception", "warnings", "deprecations", "ansible_loop", "discovered_interpreter_python"];
/// What `debug` says nothing of.
const NOT_OF_DEBUG: [&str; 5] = ["ansible_loop_var", "ansible_index_var", "changed", "failed_when_result", "attempts"];
/// Shown only when somebody asks for a lot.
const INVOCATION: &str = "invocation";
const INVOCATION_VERBOSITY: u8 = 3;

/// How a result is written where there is room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultFormat {
    #[default]
    Json,
    Yaml,
}

/// A result on its way to the screen.
pub(super) struct Shown<'a> {
    pub(super) module: &'a str,
    pub(super) result: &'a Map,
    pub(super) verbosity: u8,
    pub(super) format: ResultFormat,
}

impl Shown<'_> {
    /// What a line like `ok: [web1]` has behind it: nothing, or ` => {…}`.
    pub(super) fn tail(&self) -> String {
        if self.is_wanted() { self.forced_tail() } else { String::new() }
    }

    /// The same for failures, which are always shown.
    pub(super) fn forced_tail(&self) -> String {
        match self.format {
            ResultFormat::Json if self.is_message() => format!(" => {}", pretty(&self.cleaned())),
            ResultFormat::Json => format!(" => {}", line(&self.cleaned())),
            ResultFormat::Yaml => format!(" => \n{}", block(&self.cleaned())),
        }
    }

    fn is_wanted(&self) -> bool {
        self.is_message() || (self.verbosity > 0 && !matches!(self.module, "setup" | "gather_facts"))
    }

    /// The result of `debug` and `assert` is what the task is for.
    fn is_message(&self) -> bool {
        self.result.get("_ansible_verbose_always").and_then(Value::to_bool).unwrap_or(false)
    }

    pub(super) fn cleaned(&self) -> Value {
        let Value::Map(map) = cleaned(&Value::map(self.result.clone()), self.verbosity) else { return Value::Null };
        if self.module != "debug" || self.result.contains_key("censored") {
            return Value::Map(map);
        }
        // A message stands alone; a variable has the loop's beside it.
        let has_message = self.result.contains_key("msg");
        let is_shown = |key: &str| if has_message { key == "msg" } else { !NOT_OF_DEBUG.contains(&key) };
        map.iter()
            .filter(|(key, _)| key.as_str().is_none_or(is_shown))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Map>()
            .into()
    }
}

/// Keys sorted, as at every level; what is for programs is left out.
fn cleaned(value: &Value, verbosity: u8) -> Value {
    match value {
        Value::Map(map) => {
            let is_shown = |key: &str| {
                !key.starts_with("_ansible_")
                    && !HIDDEN.contains(&key)
                    && (key != INVOCATION || verbosity >= INVOCATION_VERBOSITY)
            };
            let entries = map.iter().filter(|(key, _)| key.as_str().is_none_or(is_shown));
            entries
                .map(|(key, value)| {
                    (key.clone(), if key.as_str() == Some("results") { cleaned(value, verbosity) } else { value.clone() })
                })
                .collect::<Map>()
                .into()
        }
        Value::List(items) => items.iter().map(|item| cleaned(item, verbosity)).collect(),
        other => other.clone(),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by_cached_key(|(key, _)| key.to_string());
            entries.into_iter().collect::<Map>().into()
        }
        Value::List(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// YAML below the line that it belongs to. Lines that stand there as a text already are left out.
fn block(result: &Value) -> String {
    let mut map = result.as_map().cloned().unwrap_or_default();
    for (text, lines) in [("stdout", "stdout_lines"), ("stderr", "stderr_lines")] {
        if map.contains_key(text) && map.contains_key(lines) {
            map.insert(lines.into(), "<omitted>".into());
        }
    }
    let text = report_text(&legible(&map.into()));
    let lines = text.trim_end().lines().map(|line| if line.is_empty() { String::new() } else { format!("    {line}") });
    lines.collect::<Vec<_>>().join("\n")
}

/// Texts of several lines so that they can be written as they are: without blanks at the ends of lines, tabs and what moves the cursor.
fn legible(value: &Value) -> Value {
    match value {
        Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), legible(value))).collect::<Map>().into(),
        Value::List(items) => items.iter().map(legible).collect(),
        Value::String(text) if text.as_str().contains(['\n', '\r']) => {
            let lines = text.as_str().trim_end().lines().map(|line| {
                let line: String = untabbed(line).chars().filter(|letter| !letter.is_control()).collect();
                line.trim_end_matches(' ').to_owned()
            });
            lines.collect::<Vec<_>>().join("\n").into()
        }
        other => other.clone(),
    }
}

/// Tabs as blanks up to every eighth column.
fn untabbed(line: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for letter in line.chars() {
        let width = if letter == '\t' { 8 - column % 8 } else { 1 };
        match letter {
            '\t' => out.extend(std::iter::repeat_n(' ', width)),
            other => out.push(other),
        }
        column += width;
    }
    out
}

/// One line, with a space behind commas and colons.
pub(super) fn line(value: &Value) -> String {
    written(value, Spaced)
}

/// Indented by four.
pub(super) fn pretty(value: &Value) -> String {
    written(value, PrettyFormatter::with_indent(b"    "))
}

/// Indented by one, without the line ends.
pub(super) fn squeezed(value: &Value) -> String {
    written(value, PrettyFormatter::with_indent(b" ")).replace('\n', "")
}

fn written(value: &Value, format: impl Formatter) -> String {
    let mut out = Vec::new();
    let done = sorted(value).serialize(&mut Serializer::with_formatter(&mut out, format));
    if done.is_err() {
        return String::new();
    }
    String::from_utf8(out).unwrap_or_default()
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(module: &str, result: &str, verbosity: u8) -> String {
        let result = Value::from_json(result).unwrap();
        Shown { module, result: result.as_map().unwrap(), verbosity, format: ResultFormat::Json }.tail()
    }

    #[test]
    fn a_result_is_shown_only_when_asked_for() {
        let result = r#"{"rc": 0, "changed": true, "cmd": ["a", "b"], "failed": false, "_ansible_x": 1}"#;
        assert_eq!(tail("command", result, 0), "");
        assert_eq!(tail("command", result, 1), r#" => {"changed": true, "cmd": ["a", "b"], "rc": 0}"#);
        assert_eq!(tail("setup", result, 1), "");
    }

    #[test]
    fn a_message_is_always_shown() {
        let result = r#"{"_ansible_verbose_always": true, "msg": {"b": 1, "a": []}, "item": 1, "ansible_loop_var": "item", "changed": false}"#;
        assert_eq!(tail("debug", result, 0), " => {\n    \"msg\": {\n        \"a\": [],\n        \"b\": 1\n    }\n}");
        assert_eq!(tail("assert", r#"{"msg": "x", "_ansible_verbose_always": false}"#, 0), "");
        assert_eq!(tail("debug", r#"{"msg": "x is undefined"}"#, 0), "");
    }
}
