//! Case files: reading them, and comparing what they want with what came.

use super::host::FakeHost;
use super::world::{fits, line_of, list, shown_command, shown_request, text};
use roll::diag::Sources;
use roll::modules::{Act, Attrs, Change, attrs::octal};
use roll::value::{Map, Value};
use roll::yaml::{self, Trust};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const KEYS: &[&str] = &[
    "name", "args", "host", "changes", "plan", "values", "lacks", "diff", "said", "files", "fails", "skipped", "check", "again",
];

/// Added while reading: what the case itself answers.
const OWN: &str = "own answers";

/// The cases of a file, each with what the file says about the host of all of them.
pub(crate) fn read(file: &Path) -> Vec<Value> {
    let reading = yaml::read(&Sources::default(), &file.display().to_string(), &fs::read_to_string(file).unwrap(), Trust::Data);
    assert!(!reading.has_errors(), "{}: {:?}", file.display(), reading.diagnostics);
    let whole = reading.document().unwrap_or_else(|| panic!("{} is empty", file.display())).to_value();
    if let Some(cases) = whole.as_list() {
        return cases.iter().map(|case| on_top(&Map::new(), case)).collect();
    }
    for (key, _) in whole.as_map().unwrap_or_else(|| panic!("{} holds no cases", file.display())) {
        assert!(["host", "given", "cases"].contains(&key.as_str().unwrap_or_default()), "{}: `{key}`", file.display());
    }
    let host = whole.get("host").and_then(Value::as_map).cloned().unwrap_or_default();
    let cases = list(whole.get("cases"));
    assert!(!cases.is_empty(), "{} has no `cases`", file.display());
    cases.iter().map(|case| on_top(&host, case)).collect()
}

/// A case's files come on top of those of the file; its answers are asked for first.
fn on_top(host: &Map, case: &Value) -> Value {
    let mut both = host.clone();
    for (key, value) in case.get("host").and_then(Value::as_map).into_iter().flatten() {
        let merged = match (both.get(key), value) {
            (Some(Value::Map(below)), Value::Map(above)) => {
                Value::map(below.iter().chain(above.iter()).map(|(key, value)| (key.clone(), value.clone())).collect())
            }
            (Some(Value::List(below)), Value::List(above)) => above.iter().chain(below.iter()).cloned().collect(),
            _ => value.clone(),
        };
        both.insert(key.clone(), merged);
    }
    let mut whole = case.as_map().cloned().unwrap_or_default();
    whole.insert("host".into(), both.into());
    whole.insert(OWN.into(), answers(case).into_iter().map(Value::from).collect());
    whole.into()
}

/// Patterns of the answers that a case itself gives.
fn answers(case: &Value) -> Vec<String> {
    let of = |kind: &str, key: &str| -> Vec<String> {
        let answers = list(case.get("host").and_then(|host| host.get(kind)));
        answers.iter().filter_map(|answer| text(answer, key)).collect()
    };
    let mut all = of("commands", "run");
    all.extend(of("http", "request"));
    all.extend(of("sockets", "ask"));
    all
}

/// An answer that nobody asks for says something untrue about the case.
pub(super) fn answers_are_asked_for(case: &Value, asked: &BTreeSet<String>) -> Result<(), String> {
    match list(case.get(OWN)).iter().map(line_of).find(|answer| !asked.contains(answer)) {
        Some(answer) => Err(format!("nothing asks for `{answer}`")),
        None => Ok(()),
    }
}

pub(super) fn keys_are_known(case: &Value) -> Result<(), String> {
    let case = case.as_map().ok_or("a case is a mapping")?;
    match case.keys().find(|key| !key.as_str().is_some_and(|key| KEYS.contains(&key) || key == OWN)) {
        Some(key) => Err(format!("a case has no `{key}`")),
        None => Ok(()),
    }
}

/// One change in a few words, as cases write it.
pub(super) fn line(change: &Change) -> String {
    match &change.act {
        Act::Write(write) => format!("write {}{}", write.path, dress(&write.attrs)),
        Act::SetAttrs { path, attrs, .. } => format!("attrs {path}{}", dress(attrs)),
        Act::MakeDir { path, attrs } => format!("mkdir {path}{}", dress(attrs)),
        Act::Remove { path } => format!("remove {path}"),
        Act::Symlink { path, target } => format!("link {path} -> {target}"),
        Act::Hardlink { path, target } => format!("hard {path} -> {target}"),
        Act::SetTimes { path, .. } => format!("touch {path}"),
        Act::Run(cmd) => {
            let stdin = cmd.stdin.as_ref().map(|bytes| format!(" < {}", String::from_utf8_lossy(bytes).trim_end()));
            format!("run {}{}", shown_command(cmd), stdin.unwrap_or_default())
        }
        Act::Converse { cmd, answers, .. } => format!("converse {} ({} answers)", shown_command(cmd), answers.len()),
        Act::Http { request, .. } => shown_request(request),
        Act::Download { request, checksum, write } => {
            let checksum = checksum.as_ref().map(|sum| format!(" {sum}")).unwrap_or_default();
            format!("download {} to {}{}{checksum}", request.url, write.path, dress(&write.attrs))
        }
        Act::MakeTemp { .. } => "temp".to_owned(),
        Act::Send { path, .. } => format!("send {path}"),
        Act::Tell(tell) => format!("tell {} {}", tell.socket, tell.line),
        Act::Lock(lock) => format!("{:?} {}", lock.wish, lock.dir),
        Act::Note => format!("note {}", change.what),
    }
}

fn dress(attrs: &Attrs) -> String {
    let mode = attrs.mode.map(|mode| format!(" mode={}", octal(mode)));
    let uid = attrs.uid.map(|uid| format!(" uid={uid}"));
    let gid = attrs.gid.map(|gid| format!(" gid={gid}"));
    [mode, uid, gid].into_iter().flatten().collect()
}

/// What `--diff` shows of a change.
pub(super) fn difference(change: &Change) -> Option<Value> {
    let is_shown = !change.before.is_null() || !change.after.is_null();
    is_shown.then(|| Map::from_iter([("before".into(), change.before.clone()), ("after".into(), change.after.clone())]).into())
}

/// As many lines as wanted, each of them fitting.
pub(super) fn lines_are(what: &str, wanted: Option<&Value>, found: &[String]) -> Result<(), String> {
    let wanted: Vec<String> = list(wanted).iter().map(line_of).collect();
    let is_same = wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| fits(wanted, found));
    if is_same { Ok(()) } else { Err(format!("{what}\nwanted {wanted:#?}\nfound  {found:#?}")) }
}

/// Every wanted entry must be there, at any depth; what is not mentioned may be anything.
pub(super) fn values_are(what: &str, wanted: Option<&Value>, found: &Map) -> Result<(), String> {
    let found = Value::map(found.clone());
    match wanted {
        Some(wanted) if !covers(&found, wanted) => {
            Err(format!("{what}\nwanted {}\nfound  {}", wanted.to_json(), found.to_json()))
        }
        _ => Ok(()),
    }
}

/// An empty mapping wants an empty one.
pub(super) fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Map(found), Value::Map(wanted)) if wanted.is_empty() => found.is_empty(),
        (Value::Map(found), Value::Map(wanted)) => {
            wanted.iter().all(|(key, value)| found.get(key).is_some_and(|found| covers(found, value)))
        }
        (Value::List(found), Value::List(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted.iter()).all(|(found, wanted)| covers(found, wanted))
        }
        _ => found == wanted,
    }
}

pub(super) fn files_are(case: &Value, host: &FakeHost) -> Result<(), String> {
    for (path, wanted) in case.get("files").and_then(Value::as_map).into_iter().flatten() {
        let path = path.to_string();
        let found = match (host.entry(&path), wanted.is_null()) {
            (None, true) => continue,
            (Some(_), true) => return Err(format!("{path} should not be there")),
            (None, false) => return Err(format!("{path} should be there")),
            (Some(found), false) => found,
        };
        let wanted =
            |key: &str| if wanted.as_map().is_some() { text(wanted, key) } else { (key == "content").then(|| line_of(wanted)) };
        if wanted("mode").is_some_and(|mode| mode != octal(found.mode)) {
            return Err(format!("{path} has mode {}", octal(found.mode)));
        }
        if wanted("link").is_some_and(|target| target != found.target) {
            return Err(format!("{path} points to {}", found.target));
        }
        let content = host.content(&path).unwrap_or_default();
        if wanted("content").is_some_and(|wanted| wanted != content) {
            return Err(format!("{path} holds\n{content}"));
        }
    }
    Ok(())
}
