//! What modules do, as data: each file in `tests/cases/system_modules/<module>/` is a list of cases.
//!
//! A case says what a task gives (`args`), what is on the host (`files`, `programs`, `pages`, `ports`, `env`, `uid`), and what must
//! come of it: `changes` (one line an act, with wildcards), `returns` (some of the return values), `said`, `diff`, or `fails` (a part of the
//! message). Every case is played four times over, unless it fails: in check mode (the same changes, nothing done), for real, and once
//! *again*, when nothing may be left to change; `always: true` is for what acts every time, `check: false` for what asks nothing then.

mod fake;

use fake::{Fake, shown};
use roll::diag::Sources;
use roll::modules::{Act, Args, Attrs, Change, Content, Done, Failure, Module, Plan, glob};
use roll::value::{Map, Value};
use roll::yaml::{self, Trust};
use std::fs;
use std::path::Path;

/// As the host program has it.
const ROUNDS_MAX: usize = 3;

#[test]
fn modules_do_what_their_cases_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/system_modules");
    let mut problems = Vec::new();
    let mut played = 0;
    for dir in entries(&root) {
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let module = roll::modules::find(&name).unwrap_or_else(|| panic!("{} is not named after a module", dir.display()));
        for file in entries(&dir) {
            for case in cases(&file) {
                let title = case.get("name").map(Value::to_text).unwrap_or_default();
                played += 1;
                if let Err(problem) = play(module, &case) {
                    problems.push(format!(
                        "{}: {title}\n  {}",
                        file.strip_prefix(&root).unwrap().display(),
                        problem.replace('\n', "\n  ")
                    ));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} of {played} cases fail:\n{}", problems.len(), problems.join("\n"));
    assert!(played > 100, "only {played} cases were found");
}

fn entries(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The cases of a file, each with what `host` in the first document says for all of them.
fn cases(file: &Path) -> Vec<Value> {
    let sources = Sources::default();
    let reading = yaml::read(&sources, &file.display().to_string(), &fs::read_to_string(file).unwrap(), Trust::Data);
    assert!(!reading.has_errors(), "{}: {:?}", file.display(), reading.diagnostics);
    let whole = reading.document().map(yaml::Node::to_value).unwrap_or_default();
    let host = whole.get("host").and_then(Value::as_map).cloned().unwrap_or_default();
    let list = whole.get("cases").and_then(Value::as_list).unwrap_or_else(|| panic!("{} has no `cases`", file.display()));
    list.iter().map(|case| merged(&host, case.as_map().unwrap())).collect()
}

/// Files of a case come on top of the host's; programs of a case are asked first.
fn merged(host: &Map, case: &Map) -> Value {
    let mut all = host.clone();
    for (key, value) in case {
        let both = match (all.get(key), value) {
            (Some(Value::Map(below)), Value::Map(above)) => {
                let mut both = (**below).clone();
                both.extend((**above).clone());
                Value::from(both)
            }
            (Some(Value::List(below)), Value::List(above)) => above.iter().chain(below.iter()).cloned().collect(),
            _ => value.clone(),
        };
        all.insert(key.clone(), both);
    }
    all.into()
}

fn play(module: &Module, case: &Value) -> Result<(), String> {
    let given = case.get("args").and_then(Value::as_map).cloned().unwrap_or_default();
    let fake = Fake::new(case, false);
    let ended = run(module, &given, &fake, false);
    if let Some(command) = fake.unknown.borrow().first() {
        return Err(format!("the case has no answer for `{command}`"));
    }
    let (lines, result) = match (ended, case.get("fails")) {
        (Err(failure), Some(wanted)) => return expect_failure(&failure, &wanted.to_text(), case),
        (Err(failure), None) => return Err(format!("fails: {}", failure.msg)),
        (Ok(_), Some(wanted)) => return Err(format!("does not fail with `{wanted:?}`")),
        (Ok(ended), None) => ended,
    };
    expect_changes(case, &lines)?;
    expect_values(case.get("returns"), &result)?;
    expect_said(case, &fake)?;
    let is_always = case.get("always").and_then(Value::to_bool).unwrap_or(false);
    if !is_always {
        let (lines, again) = run(module, &given, &fake, false).map_err(|failure| format!("again, it fails: {}", failure.msg))?;
        if !lines.is_empty() && again.get("changed").and_then(Value::as_bool) != Some(false) {
            return Err(format!("again, it would still\n  {}", lines.join("\n  ")));
        }
    }
    in_check_mode(module, case, &given, result.get("changed"))
}

/// A check tells of the same change, and asks nothing of the hands.
fn in_check_mode(module: &Module, case: &Value, given: &Map, changed: Option<&Value>) -> Result<(), String> {
    let fake = Fake::new(case, true);
    let (_, result) = run(module, given, &fake, true).map_err(|failure| format!("in check mode, it fails: {}", failure.msg))?;
    let is_skipped = result.get("skipped").is_some();
    let is_asked = case.get("check").and_then(Value::to_bool).unwrap_or(true);
    match (is_asked, is_skipped) {
        (true, false) if result.get("changed") != changed => {
            Err(format!("in check mode, changed is {:?}, not {changed:?}", result.get("changed")))
        }
        (true, true) => Err("in check mode, it is skipped".to_owned()),
        (false, false) => Err("in check mode, it is not skipped".to_owned()),
        _ => Ok(()),
    }
}

/// As the host program runs a task: plan, apply, and once more where the plan asks for it.
fn run(module: &Module, given: &Map, fake: &Fake, is_check: bool) -> Result<(Vec<String>, Map), Failure> {
    let problems = |problems: Vec<roll::modules::Problem>| {
        Failure::new(problems.iter().map(|one| one.text(module.name)).collect::<Vec<_>>().join("; "))
    };
    let args = Args::check(module, given).map_err(problems)?;
    let (mut lines, mut done, mut changed) = (Vec::new(), Vec::new(), false);
    let mut diff = Vec::new();
    let mut values = Map::new();
    for _ in 0..ROUNDS_MAX {
        let plan: Plan = (module.plan)(&args, fake)?;
        lines.extend(plan.changes.iter().map(|change| line(&change.act)));
        diff.extend(plan.changes.iter().filter_map(difference));
        values = plan.values.clone();
        if let Some(reason) = plan.skipped {
            values.insert("skipped".into(), reason.into());
        }
        if is_check {
            changed = plan.changed.unwrap_or(!plan.changes.is_empty());
            break;
        }
        let dones = plan.changes.iter().map(|change| fake.perform(&change.act)).collect::<Result<Vec<Done>, Failure>>()?;
        changed |= plan.changed.unwrap_or_else(|| dones.iter().any(|done| done.changed.unwrap_or(true)));
        done.extend(dones);
        if !plan.again || plan.changes.is_empty() {
            break;
        }
    }
    if !is_check {
        values = (module.finish)(&args, values, &done, fake)?;
    }
    values.entry("changed".into()).or_insert(changed.into());
    values.insert("diff".into(), diff.into());
    Ok((lines, values))
}

fn difference(change: &Change) -> Option<Value> {
    let is_shown = !change.before.is_null() || !change.after.is_null();
    is_shown.then(|| Map::from_iter([("before".into(), change.before.clone()), ("after".into(), change.after.clone())]).into())
}

/// One act as cases write it.
fn line(act: &Act) -> String {
    match act {
        Act::Run(cmd) => {
            let stdin =
                cmd.stdin.as_ref().map(|bytes| format!(" < {}", String::from_utf8_lossy(bytes).trim_end())).unwrap_or_default();
            format!("run {}{stdin}", shown(cmd))
        }
        Act::Write(write) => {
            let text = match &write.content {
                Content::Bytes(bytes) => format!("{} bytes", bytes.len()),
                Content::Blob(hash) => format!("blob {hash}"),
                Content::File(path) => path.clone(),
            };
            format!("write {} ({text}){}", write.path, attrs(&write.attrs))
        }
        Act::SetAttrs { path, attrs: wanted, .. } => format!("set {path}{}", attrs(wanted)),
        Act::MakeDir { path, attrs: wanted } => format!("mkdir {path}{}", attrs(wanted)),
        Act::Remove { path } => format!("remove {path}"),
        Act::Http { request, .. } => format!("{} {}", request.method, request.url),
        Act::Download { request, checksum, write } => {
            let checksum = checksum.as_ref().map(|sum| format!(" {sum}")).unwrap_or_default();
            format!("download {} to {}{}{checksum}", request.url, write.path, attrs(&write.attrs))
        }
        Act::Note => "note".to_owned(),
        other => format!("{other:?}"),
    }
}

fn attrs(attrs: &Attrs) -> String {
    let mode = attrs.mode.map(|mode| format!(" mode={mode:04o}"));
    let uid = attrs.uid.map(|uid| format!(" uid={uid}"));
    let gid = attrs.gid.map(|gid| format!(" gid={gid}"));
    [mode, uid, gid].into_iter().flatten().collect()
}

fn expect_failure(failure: &Failure, wanted: &str, case: &Value) -> Result<(), String> {
    if !failure.msg.contains(wanted) {
        return Err(format!("fails otherwise: {}", failure.msg));
    }
    expect_values(case.get("returns"), &failure.values)
}

fn expect_changes(case: &Value, lines: &[String]) -> Result<(), String> {
    let wanted: Vec<String> = case
        .get("changes")
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .map(|line| line.to_text().as_str().to_owned())
        .collect();
    // Brackets stand for themselves in a command.
    let is_same = wanted.len() == lines.len()
        && wanted.iter().zip(lines).all(|(wanted, line)| glob::is_match(&wanted.replace('[', "?"), line));
    if is_same { Ok(()) } else { Err(format!("changes:\n  {}\nwanted:\n  {}", lines.join("\n  "), wanted.join("\n  "))) }
}

fn expect_values(wanted: Option<&Value>, found: &Map) -> Result<(), String> {
    for (key, wanted) in wanted.and_then(Value::as_map).into_iter().flatten() {
        let value = found.get(key);
        let is_there = value.is_some() || !wanted.is_null();
        if is_there && value.is_none_or(|value| value != wanted) {
            return Err(format!(
                "{key} is {}, not {}",
                value.map_or_else(|| "missing".to_owned(), Value::to_json),
                wanted.to_json()
            ));
        }
    }
    Ok(())
}

fn expect_said(case: &Value, fake: &Fake) -> Result<(), String> {
    let Some(wanted) = case.get("said").and_then(Value::as_list) else { return Ok(()) };
    let said = fake.said.borrow();
    let is_same = wanted.len() == said.len()
        && wanted.iter().zip(said.iter()).all(|(wanted, line)| glob::is_match(&wanted.to_text(), line));
    if is_same { Ok(()) } else { Err(format!("says {said:?}")) }
}
