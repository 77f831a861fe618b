//! Facts that a host's own files and programs tell: `*.fact` in `facts.d`.

use super::set;
use crate::modules::{Cmd, Look, glob, paths};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) fn local(look: &dyn Look, dir: &str, facts: &mut Map) {
    let found = glob::matches(look, &paths::join(dir, "*.fact")).into_iter().map(|path| {
        let name = paths::base_name(&path).trim_end_matches(".fact").to_owned();
        let value = read(look, &path);
        (name.into(), value)
    });
    set(facts, "local", found.collect::<Map>());
}

/// JSON or INI, from a file or from what a program writes; what is neither says so.
fn read(look: &dyn Look, path: &str) -> Value {
    if let Err(error) = look.stat(path, true).and_then(|found| found.ok_or_else(|| std::io::ErrorKind::NotFound.into())) {
        return format!("Could not stat fact ({path}): {error}").into();
    }
    let is_program = matches!(look.stat(path, true), Ok(Some(found)) if found.mode & 0o111 != 0);
    let text = if is_program {
        match look.run(&Cmd::new([path]).timeout(Duration::from_secs(10))) {
            Ok(output) if output.is_success() => output.stdout_text(),
            Ok(output) => {
                return format!("Failure executing fact script ({path}), rc: {}, err: {}", output.code, output.stderr_text())
                    .into();
            }
            Err(failure) => return format!("Could not execute fact script ({path}): {}", failure.msg).into(),
        }
    } else {
        match look.text(path) {
            Ok(Some(text)) => text,
            _ => return format!("error loading facts - please check content: {path}").into(),
        }
    };
    let json = Value::from_json(&text).ok();
    let ini = || {
        ini(&text).map(|found| {
            if has_stray_percent(&found) {
                format!("error loading facts as ini - please check content: {path}").into()
            } else {
                found
            }
        })
    };
    json.or_else(ini).unwrap_or_else(|| format!("error loading facts as JSON or ini - please check content: {path}").into())
}

/// Python fills `%(name)s` in, and stumbles over any other `%`.
fn has_stray_percent(found: &Value) -> bool {
    let is_stray = |text: &str| text.replace("%%", "").replace("%(", "").contains('%');
    match found {
        Value::Map(entries) => entries.values().any(has_stray_percent),
        other => other.as_str().is_some_and(is_stray),
    }
}

/// Sections of lower-case keys, as Python's reader has them.
fn ini(text: &str) -> Option<Value> {
    let mut sections = Map::new();
    let mut current: Option<String> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.insert(name.into(), Map::new().into());
            current = Some(name.to_owned());
            continue;
        }
        let (key, value) = line.split_once(['=', ':'])?;
        let mut section = sections.get(current.as_deref()?)?.as_map()?.clone();
        section.insert(key.trim().to_lowercase().into(), value.trim().into());
        sections.insert(current.clone()?.into(), section.into());
    }
    Some(sections.into())
}
