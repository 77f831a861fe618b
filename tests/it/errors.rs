//! Every finding of the model has a case: what was written, and what is said about it.
//!
//! A folder `tests/cases/errors/CODE/` holds either `site.yaml`, read as YAML, or `spec` (what follows `-i`, and perhaps `pattern`), and
//! `expected.txt` with the diagnostics as they are shown.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use roll::diag::{Diagnostic, Sources};
use roll::report::diagnostic::{render, summary};
use roll::value::Span;
use roll::{inventory, yaml};
use std::path::{Path, PathBuf};

/// Needs a file of 64 MiB, a directory that may not be read, a machine without Terraform: tested in their rooms.
const ELSEWHERE: [&str; 3] = ["yaml-too-large", "inventory-unreadable", "terraform-nothing-to-read"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/errors")
}

fn codes_with_cases() -> Vec<String> {
    let mut codes: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    codes.sort();
    codes
}

fn findings(case: &Path, sources: &Sources) -> Option<Vec<Diagnostic>> {
    if let Ok(text) = std::fs::read_to_string(case.join("site.yaml")) {
        return Some(yaml::read(sources, "site.yaml", &text, yaml::Trust::User).diagnostics);
    }
    let spec = std::fs::read_to_string(case.join("spec")).ok()?;
    let specs: Vec<String> = spec.lines().map(|line| case.join(line).display().to_string()).collect();
    let loaded = match inventory::load(sources, &specs) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return Some(diagnostics),
    };
    let Ok(pattern) = std::fs::read_to_string(case.join("pattern")) else { return Some(loaded.warnings) };
    let pattern = pattern.trim_end();
    let source = sources.add("pattern", pattern);
    let span = Span { source, start: 0, end: u32::try_from(pattern.len()).unwrap() };
    Some(loaded.select(pattern, span).diagnostics)
}

#[test]
fn every_finding_is_shown_as_expected() {
    for code in codes_with_cases() {
        let case = folder().join(&code);
        let sources = Sources::default();
        let Some(diagnostics) = findings(&case, &sources) else { continue };
        assert!(diagnostics.iter().any(|diagnostic| diagnostic.code == code), "{code}: {diagnostics:#?}");
        let shown = format!("{}\n{}\n", render(&diagnostics, &sources, false), summary(&diagnostics, &sources, ""));
        let shown = shown.replace(&format!("{}/", case.display()), "");
        let path = case.join("expected.txt");
        if std::env::var_os("ROLL_WRITE_CASES").is_some() {
            std::fs::write(&path, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(shown == expected, "{code}\nshown:\n{shown}\nexpected:\n{expected}");
    }
}

#[test]
fn every_code_of_yaml_and_inventory_has_a_case() {
    let cases = codes_with_cases();
    let mut codes = Vec::new();
    for file in ["src/yaml/problem.rs", "src/inventory/problem.rs"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        for call in ["Diagnostic::error(\"", "Diagnostic::warning(\"", "Diagnostic::error(\n", "Diagnostic::warning(\n"] {
            let calls = text.match_indices(call).filter_map(|(at, _)| text[at..].split('"').nth(1));
            codes.extend(calls.map(str::to_owned));
        }
    }
    assert!(codes.len() > 40, "{codes:?}");
    let missing: Vec<&String> =
        codes.iter().filter(|code| !cases.contains(code) && !ELSEWHERE.contains(&code.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
