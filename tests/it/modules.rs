//! What modules do, as data: `tests/cases/modules/<name>/*.yaml`, each a list of cases.
//!
//! ```yaml
//! - name: replaces a file            # what the case shows
//!   args: { dest: /etc/motd, … }
//!   host:                            # what is there; a user `web` (33) beside root, and otherwise nothing
//!     files: { /etc/motd: "old\n", /etc/x: { content: "…", mode: "0600", uid: 33, mtime: 1 }, /l: { link: /etc/x }, /d: { kind: directory } }
//!     programs: [git, /usr/sbin/useradd]
//!     commands: [{ run: "dpkg -l *", stdout: "…", stderr: "…", code: 1, once: true, refused: true, then: { files: … } }]   # `then`: the host afterwards
//!     http: [{ request: "GET http://x/", status: 200, json: {}, headers: {}, once: true, sends: { … }, then: { … } }, { request: "GET docker:/info", refused: true }]
//!     sockets: [{ ask: "/run/haproxy.sock show stat", answer: "…", once: true, refused: true, then: { … } }]
//!     ports: [80, "db:5432"]         # open ones
//!     env: { HTTP_PROXY: … }
//!     blobs: ["text"]                # sent ahead; arguments name one as `sha256:text`
//!     denied: [/etc]                 # nothing can be written there
//!     uid: 1000                      # who the task runs as
//!   changes: ["write /etc/motd mode=0644"]     # a line each, with wildcards; left out means none
//!   diff: [{ before: …, after: … }]  # everything that `--diff` shows
//!   plan: { … }                      # some of the values known before applying
//!   values: { … }                    # some of the values in the end
//!   lacks: [stdout]                  # values that are not there
//!   said: ["waiting for *"]          # every line for people who wait
//!   files: { /etc/motd: "new\n", /gone: null, /etc/x: { mode: "0640" } }            # the host in the end
//!   fails: "a part of the message"
//!   skipped: "a part of the message"
//!   check: skipped | changes | unchanged | fails   # check mode does not foretell `changed`, but this
//!   again: changes | acts            # planning again is not empty: it changes something (a command), or it only has to act
//! ```
//! A file may also be a mapping: `cases`, `host` for all of them (a case's own comes on top), and `given` to hold anchors.
//!
//! Every case is run for real, in check mode (the same `changed`, without hands), and once again, when nothing may be left to do.
//! `CASES=docker cargo test --test it modules` runs some of them.

pub(crate) mod case;
mod host;
mod world;

use case::{difference, files_are, line, lines_are, values_are};
use host::{FakeHost, hash};
use roll::modules::{self, Args, Done, Failure, Look, Module, Plan, Touch};
use roll::value::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// As the host program has it.
const ROUNDS_MAX: usize = 3;

#[test]
fn every_case_of_every_module_holds() {
    let only = std::env::var("CASES").unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/modules");
    let (mut wrong, mut held) = (Vec::new(), 0);
    for folder in entries(&root) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let module = modules::find(&name).unwrap_or_else(|| panic!("no module `{name}`"));
        for file in entries(&folder).iter().filter(|_| name.contains(&only)) {
            for case in case::read(file) {
                match hold(module, &case) {
                    Ok(()) => held += 1,
                    Err(problem) => wrong.push(report(&root, file, &case, &problem)),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases do not hold:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(held > 400 || !only.is_empty(), "only {held} cases were found");
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn report(root: &Path, file: &Path, case: &Value, problem: &str) -> String {
    let name = case.get("name").map(Value::to_text).unwrap_or_default();
    format!("{}: {name}\n  {}", file.strip_prefix(root).unwrap().display(), problem.replace('\n', "\n  "))
}

fn hold(module: &'static Module, case: &Value) -> Result<(), String> {
    case::keys_are_known(case)?;
    let mut host = FakeHost::new(case.get("host"));
    let task = run(module, case, &mut host);
    if let Some(surprise) = host.surprises.borrow().first() {
        return Err(surprise.clone());
    }
    lines_are("changes", case.get("changes"), &task.lines)?;
    values_are("values of the plan", case.get("plan"), &task.planned)?;
    ends_as_wanted(case, &task)?;
    shows_as_wanted(case, &task, &host)?;
    files_are(case, &host)?;
    let mut asked = host.answered();
    if task.ended.is_ok() {
        again(module, case, &mut host)?;
        asked.extend(host.answered());
        asked.extend(in_check_mode(module, case, &task)?);
    }
    case::answers_are_asked_for(case, &asked)
}

fn ends_as_wanted(case: &Value, task: &Task) -> Result<(), String> {
    let fails = case.get("fails").map(world::line_of);
    let values = match (&task.ended, fails) {
        (Err(failure), Some(part)) if failure.msg.contains(&part) => &failure.values,
        (Err(failure), _) => return Err(format!("fails: {}\n{}", failure.msg, Value::map(failure.values.clone()).to_json())),
        (Ok(_), Some(part)) => return Err(format!("should fail with \"{part}\"")),
        (Ok(values), None) => values,
    };
    values_are("values", case.get("values"), values)?;
    match world::list(case.get("lacks")).iter().map(world::line_of).find(|name| values.contains_key(name.as_str())) {
        Some(name) => Err(format!("`{name}` should not be there")),
        None => Ok(()),
    }
}

fn shows_as_wanted(case: &Value, task: &Task, host: &FakeHost) -> Result<(), String> {
    if let Some(wanted) = case.get("diff").filter(|wanted| **wanted != task.diff) {
        return Err(format!("diff\nwanted {}\nfound  {}", wanted.to_json(), task.diff.to_json()));
    }
    if case.get("said").is_some() {
        lines_are("said", case.get("said"), &host.said.borrow())?;
    }
    let wanted = case.get("skipped").map(world::line_of);
    match (&task.skipped, wanted) {
        (None, None) => Ok(()),
        (Some(msg), Some(part)) if msg.contains(&part) => Ok(()),
        (found, wanted) => Err(format!("skipped: wanted {wanted:?}, found {found:?}")),
    }
}

/// What came of a case.
struct Task {
    lines: Vec<String>,
    diff: Value,
    /// Values of the first plan.
    planned: Map,
    skipped: Option<String>,
    ended: Result<Map, Failure>,
}

impl Task {
    fn changed(&self) -> Option<bool> {
        self.ended.as_ref().ok()?.get("changed")?.as_bool()
    }
}

fn run(module: &'static Module, case: &Value, host: &mut FakeHost) -> Task {
    let mut task =
        Task { lines: Vec::new(), diff: Value::list(Vec::new()), planned: Map::new(), skipped: None, ended: Ok(Map::new()) };
    task.ended = play(module, case, host, &mut task);
    task
}

/// As `remote` does it: plan, apply, and once more where the plan asks for it.
fn play(module: &'static Module, case: &Value, host: &mut FakeHost, task: &mut Task) -> Result<Map, Failure> {
    let args = arguments(module, case, host)?;
    let mut done: Vec<Done> = Vec::new();
    let (mut changed, mut diff) = (false, Vec::new());
    let mut rounds = 0;
    let values = loop {
        let plan: Plan = (module.plan)(&args, host)?;
        if rounds == 0 {
            task.planned = plan.values.clone();
        }
        if rounds == ROUNDS_MAX || plan.skipped.is_some() {
            task.skipped = plan.skipped;
            break plan.values;
        }
        rounds += 1;
        if host.check {
            changed = plan.changed.unwrap_or(!plan.changes.is_empty());
            break plan.values;
        }
        for change in &plan.changes {
            task.lines.push(line(change));
            diff.extend(difference(change));
            task.diff = Value::list(diff.clone());
            let one = host.perform(&change.act)?;
            changed |= plan.changed.unwrap_or_else(|| one.changed.unwrap_or(true));
            done.push(one);
        }
        changed |= plan.changed.unwrap_or(false);
        if !plan.again || plan.changes.is_empty() {
            break plan.values;
        }
    };
    let is_whole = !host.check && task.skipped.is_none();
    let mut values = if is_whole { (module.finish)(&args, values, &done, host)? } else { values };
    values.entry("changed".into()).or_insert(changed.into());
    Ok(values)
}

/// Hidden arguments name bodies by hash; cases write `sha256:TEXT`.
fn arguments(module: &'static Module, case: &Value, look: &dyn Look) -> Result<Args, Failure> {
    let given: Map = case.get("args").and_then(Value::as_map).cloned().unwrap_or_default();
    let given: Map = given
        .into_iter()
        .map(
            |(key, value)| if key.as_str().is_some_and(|key| key.starts_with('_')) { (key, hashed(value)) } else { (key, value) },
        )
        .collect();
    let mut args = Args::check(module, &given).map_err(|problems| {
        Failure::new(problems.iter().map(|problem| problem.text(module.name)).collect::<Vec<_>>().join("; "))
    })?;
    args.expand_paths(module, look);
    Ok(args)
}

fn hashed(value: Value) -> Value {
    match &value {
        Value::String(text) => text.strip_prefix("sha256:").map_or(value.clone(), |body| hash(body.as_bytes()).into()),
        Value::List(items) => items.iter().cloned().map(hashed).collect(),
        Value::Map(entries) => Value::map(entries.iter().map(|(key, value)| (key.clone(), hashed(value.clone()))).collect()),
        _ => value,
    }
}

/// Planning again after applying must be empty, unless the case says why not.
fn again(module: &'static Module, case: &Value, host: &mut FakeHost) -> Result<(), String> {
    host.note.take();
    let args = arguments(module, case, host).map_err(|failure| failure.msg)?;
    let plan = (module.plan)(&args, host).map_err(|failure| format!("planning again fails: {}", failure.msg))?;
    let left: Vec<String> = plan.changes.iter().map(line).collect();
    match (case.get("again").map(world::line_of).as_deref(), left.is_empty()) {
        (None, true) | (Some("changes"), false) => Ok(()),
        (None, false) => Err(format!("planning again wants more: {left:#?}")),
        (Some("acts"), false) => {
            host.note.take();
            let task = run(module, case, host);
            let changed = task.changed();
            if changed == Some(false) { Ok(()) } else { Err(format!("again: changed is {changed:?}: {:#?}", task.lines)) }
        }
        (Some(word), _) => Err(format!("planning again is empty: `again: {word}` is not true")),
    }
}

/// A check tells of the same change, and has no hands. Answers with what it asked for.
fn in_check_mode(module: &'static Module, case: &Value, real: &Task) -> Result<BTreeSet<String>, String> {
    let mut host = FakeHost::new(case.get("host"));
    host.check = true;
    let task = run(module, case, &mut host);
    let wanted = case.get("check").map(world::line_of);
    if let Err(failure) = &task.ended {
        let is_meant = wanted.as_deref() == Some("fails");
        return if is_meant { Ok(host.answered()) } else { Err(format!("in check mode it fails: {}", failure.msg)) };
    }
    let is_skipped = task.skipped.is_some();
    let holds = match wanted.as_deref() {
        None => is_skipped == real.skipped.is_some() && task.changed() == real.changed(),
        Some("skipped") => is_skipped && real.skipped.is_none(),
        Some("changes") => !is_skipped && task.changed() == Some(true) && real.changed() == Some(false),
        Some("fails") => false,
        Some("unchanged") => !is_skipped && task.changed() == Some(false) && real.changed() == Some(true),
        Some(other) => return Err(format!("`check: {other}`")),
    };
    let found = (task.changed(), task.skipped);
    if holds { Ok(host.answered()) } else { Err(format!("in check mode: {found:?}, for real: {:?}", real.changed())) }
}
