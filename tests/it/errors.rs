//! Every diagnostic, as its users see it: `tests/cases/errors/<code>.yaml` holds the files, the call, and the exact output.
//!
//! With `ROLL_BLESS=1` the output that came is written into the file. The file's text above `expected:` is never changed.

use super::roll::Roll;
use roll::diag::Sources;
use roll::value::Value;
use roll::yaml::{self, Trust};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const CASES: &str = "tests/cases/errors";
const EXPECTED: &str = "\nexpected: |\n";

struct Case {
    path: PathBuf,
    /// Everything above the expected output.
    head: String,
    expected: String,
}

impl Case {
    fn read(path: &Path) -> Case {
        let text = std::fs::read_to_string(path).unwrap();
        let (head, tail) = text.split_once(EXPECTED).unwrap_or((text.trim_end(), ""));
        let expected = tail.lines().map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned() + "\n").collect();
        Case { path: path.to_owned(), head: head.to_owned(), expected }
    }

    fn value(&self) -> Value {
        let sources = Sources::default();
        let reading = yaml::read(&sources, &self.path.display().to_string(), &self.head, Trust::Data);
        assert!(!reading.has_errors(), "{}: {:?}", self.path.display(), reading.diagnostics);
        reading.document().unwrap().to_value()
    }

    /// The exit code and everything on standard error.
    fn output(&self) -> String {
        let value = self.value();
        let words = |name: &str| {
            value
                .get(name)
                .and_then(Value::as_list)
                .map(|words| words.iter().map(|word| word.to_text().to_string()).collect::<Vec<_>>())
        };
        let mut roll = Roll::new();
        for (name, text) in value.get("files").and_then(Value::as_map).into_iter().flatten() {
            roll = roll.file(&name.to_string(), &text.to_text());
        }
        for (name, mode) in value.get("modes").and_then(Value::as_map).into_iter().flatten() {
            roll = roll.mode(&name.to_string(), u32::from_str_radix(&mode.to_text(), 8).unwrap());
        }
        for (name, text) in value.get("env").and_then(Value::as_map).into_iter().flatten() {
            roll = roll.env(&name.to_string(), &text.to_text());
        }
        let usual = ["--syntax-check", "-i", "web1,", "site.yaml"].map(str::to_owned).to_vec();
        let ran = roll.args(words("args").unwrap_or(usual)).run();
        format!("exit {}\n{}", ran.code.map_or_else(|| "by a signal".to_owned(), |code| code.to_string()), ran.stderr)
    }

    fn bless(&self, output: &str) {
        let lines: String =
            output.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") }).collect();
        std::fs::write(&self.path, format!("{}{EXPECTED}{lines}", self.head)).unwrap();
    }

    /// `unknown-role` of `unknown-role.in-a-dependency.yaml`.
    fn code(&self) -> String {
        let name = self.path.file_name().unwrap().to_string_lossy().into_owned();
        name.split('.').next().unwrap().to_owned()
    }
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

#[test]
fn every_diagnostic_is_shown_to_the_letter() {
    let is_blessed = std::env::var_os("ROLL_BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let output = case.output();
        let is_named = output.contains(&format!("[{}]", case.code()));
        if is_blessed && is_named {
            case.bless(&output);
        } else if output != case.expected || !is_named {
            wrong.push(format!("--- {}\n{output}--- expected\n{}", case.path.display(), case.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Codes by the files of `src` that make them.
fn codes() -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    for file in files(Path::new("src"), "rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        // Elsewhere a method of that name takes something else.
        let is_reader = file.starts_with("src/playbook");
        for code in codes_in(text, is_reader) {
            codes.insert(code, file.display().to_string());
        }
    }
    codes
}

/// First arguments of what makes a diagnostic, and what functions called `code` answer.
fn codes_in(text: &str, is_reader: bool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for maker in ["Diagnostic::error(", "Diagnostic::warning(", "reader.wrong(", "self.wrong("] {
        for (at, _) in text.match_indices(maker).filter(|_| is_reader || maker.starts_with("Diag")) {
            found.extend(literal(&text[at + maker.len()..]));
        }
    }
    for (at, _) in text.match_indices("fn code(") {
        let body = text[at..].split("\n    }\n").next().unwrap();
        found.extend(body.split("=> ").skip(1).filter_map(literal));
    }
    found
}

fn literal(text: &str) -> Option<String> {
    let inner = text.trim_start().strip_prefix('"')?.split('"').next()?;
    let is_code = inner.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    (is_code && !inner.is_empty()).then(|| inner.to_owned())
}

fn files(place: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path, ending) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|one| one == ending))
        .collect()
}

/// What only machines that are really there can show, and nobody has shown yet.
const UNSHOWN: &str = include_str!("../cases/errors/UNSHOWN");

#[test]
fn every_diagnostic_has_a_case() {
    let codes = codes();
    assert!(codes.len() > 100, "the codes were not found");
    let cases: BTreeSet<String> = cases().iter().map(Case::code).collect();
    let unshown: BTreeSet<&str> =
        UNSHOWN.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next()).collect();
    let missing: Vec<String> = codes
        .iter()
        .filter(|(code, _)| !cases.contains(*code) && !unshown.contains(code.as_str()))
        .map(|(code, file)| format!("{code} ({file})"))
        .collect();
    assert!(missing.is_empty(), "write tests/cases/errors/<code>.yaml for: {}", missing.join(", "));
    let stale: Vec<&&str> = unshown.iter().filter(|code| cases.contains(**code) || !codes.contains_key(**code)).collect();
    assert!(stale.is_empty(), "take these out of UNSHOWN: {stale:?}");
}
