//! What modules do, as data: `tests/cases/modules/<name>/*.yaml`, each a list of cases.
//!
//! ```yaml
//! - name: replaces a file            # what the case shows
//!   args: { dest: /etc/motd, … }
//!   host:                            # what the module sees: files, commands, http, ports, env, programs, blobs, uid
//!     files: { /etc/motd: "old\n", /etc/x: { content: "…", mode: "0600", uid: 33 }, /l: { link: /etc/x }, /d: { kind: directory } }
//!     commands: [{ run: "dpkg -l x", stdout: "…", code: 1, then: { files: … } }]      # `then`: how the host is afterwards
//!     http: [{ request: "GET http://x/", status: 200, json: {}, then: { … } }]
//!   changes: ["write /etc/motd"]     # in short; left out means none
//!   plan: { … }                      # some of the values known before applying
//!   values: { … }                    # some of the values in the end
//!   files: { /etc/motd: "new\n", /gone: null, /etc/x: { mode: "0640" } }            # the host in the end
//!   fails: "a part of the message"
//!   skipped: "a part of the message"
//!   again: changes                   # planning again after applying is not empty (a command)
//! ```
//! Every case is also planned in check mode, and planned again after it was applied: then nothing may be left to do.

use crate::fake_host::{FakeHost, hash};
use roll::diag::Sources;
use roll::modules::{self, Act, Args, Change, Done, Failure, Look, MODULES, Module, Plan, Touch, attrs::octal};
use roll::value::{Map, Value};
use roll::yaml::{self, Trust};
use std::fs;
use std::path::{Path, PathBuf};

const KEYS: &[&str] = &["name", "args", "host", "changes", "plan", "values", "files", "fails", "skipped", "again"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/modules")
}

#[test]
fn every_case_of_every_module_holds() {
    let wrong = run_cases();
    assert!(wrong.is_empty(), "{} cases do not hold:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn every_case_folder_belongs_to_a_module() {
    for folder in folders() {
        assert!(modules::find(&folder).is_some(), "tests/cases/modules/{folder} is no module");
    }
}

fn folders() -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What is wrong, one text a case.
fn run_cases() -> Vec<String> {
    let only = std::env::var("CASES").unwrap_or_default();
    let mut wrong = Vec::new();
    for folder in folders().into_iter().filter(|folder| folder.contains(&only)) {
        let module = modules::find(&folder).unwrap_or_else(|| panic!("no module `{folder}`"));
        let mut files: Vec<PathBuf> = fs::read_dir(root().join(&folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            for case in cases(&file) {
                let name = case.get("name").map(Value::to_text).unwrap_or_default();
                if let Err(problem) = hold(module, &case) {
                    wrong.push(format!(
                        "{folder}/{}: {name}\n  {}",
                        file.file_name().unwrap().to_string_lossy(),
                        problem.replace('\n', "\n  ")
                    ));
                }
            }
        }
    }
    wrong
}

fn cases(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let name = file.display().to_string();
    let reading = yaml::read(&Sources::default(), &name, &text, Trust::Data);
    assert!(!reading.has_errors(), "{name} cannot be read");
    let value = reading.document().unwrap_or_else(|| panic!("{name} is empty")).to_value();
    value.as_list().unwrap_or_else(|| panic!("{name} is no list of cases")).to_vec()
}

fn hold(module: &'static Module, case: &Value) -> Result<(), String> {
    if let Some((key, _)) =
        case.as_map().ok_or("a case is a mapping")?.iter().find(|(key, _)| !key.as_str().is_some_and(|key| KEYS.contains(&key)))
    {
        return Err(format!("a case has no `{key}`"));
    }
    let said = case.get("host").cloned().unwrap_or_default();
    let fails = case.get("fails").map(Value::to_text);
    plan_in_check_mode(module, case, &said, fails.is_some())?;
    let mut host = FakeHost::new(&said);
    let ended = run(module, case, &mut host);
    match (ended, fails) {
        (Err(Stop::Wrong(problem)), _) => Err(problem),
        (Err(Stop::Failed(failure)), Some(part)) if failure.msg.contains(part.as_str()) => {
            subset(case.get("values"), &failure.values, "values of the failure")?;
            files_are(case, &host)
        }
        (Err(Stop::Failed(failure)), _) => Err(format!("fails: {}\n{}", failure.msg, Value::map(failure.values).to_json())),
        (Ok(_), Some(part)) => Err(format!("should fail with \"{part}\"")),
        (Ok(values), None) => {
            subset(case.get("values"), &values, "values")?;
            files_are(case, &host)?;
            is_done(module, case, &host)
        }
    }
}

enum Stop {
    Failed(Failure),
    Wrong(String),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

impl From<String> for Stop {
    fn from(problem: String) -> Stop {
        Stop::Wrong(problem)
    }
}

/// Hidden arguments name bodies by hash; cases write `sha256:TEXT`.
fn arguments(module: &'static Module, case: &Value, look: &dyn Look) -> Result<Args, Failure> {
    let given: Map = case.get("args").and_then(Value::as_map).cloned().unwrap_or_default();
    let given: Map = given.into_iter().map(|(key, value)| (key, hashed(value))).collect();
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

fn plan_in_check_mode(module: &'static Module, case: &Value, said: &Value, may_fail: bool) -> Result<(), String> {
    let mut host = FakeHost::new(said);
    (host.check, host.diff) = (true, true);
    let planned = arguments(module, case, &host).and_then(|args| (module.plan)(&args, &host));
    match planned {
        Err(failure) if !may_fail => Err(format!("fails in check mode: {}", failure.msg)),
        _ => Ok(()),
    }
}

/// As `remote` does it: plan, apply, and once more where the plan asks for it.
fn run(module: &'static Module, case: &Value, host: &mut FakeHost) -> Result<Map, Stop> {
    let args = arguments(module, case, host)?;
    let mut done: Vec<Done> = Vec::new();
    let mut all = Vec::new();
    let mut rounds = 0;
    let plan = loop {
        let plan: Plan = (module.plan)(&args, host)?;
        if rounds == 0 {
            subset(case.get("plan"), &plan.values, "values of the plan")?;
            skipped(case, &plan)?;
        }
        rounds += 1;
        for change in &plan.changes {
            all.push(short(change));
            done.push(host.perform(&change.act)?);
        }
        if !plan.again || plan.changes.is_empty() || rounds == 3 {
            break plan;
        }
    };
    compare(case.get("changes"), &all)?;
    if plan.skipped.is_some() {
        return Ok(plan.values);
    }
    Ok((module.finish)(&args, plan.values, &done, host)?)
}

fn skipped(case: &Value, plan: &Plan) -> Result<(), String> {
    let wanted = case.get("skipped").map(Value::to_text);
    match (&plan.skipped, wanted) {
        (None, None) => Ok(()),
        (Some(msg), Some(part)) if msg.contains(part.as_str()) => Ok(()),
        (found, wanted) => Err(format!("skipped: wanted {wanted:?}, found {found:?}")),
    }
}

fn compare(wanted: Option<&Value>, found: &[String]) -> Result<(), String> {
    let wanted: Vec<String> =
        wanted.and_then(Value::as_list).unwrap_or_default().iter().map(|change| change.to_text().as_str().to_owned()).collect();
    if wanted == found { Ok(()) } else { Err(format!("changes\nwanted {wanted:#?}\nfound  {found:#?}")) }
}

/// One change in a few words.
fn short(change: &Change) -> String {
    match &change.act {
        Act::Write(write) => format!("write {}", write.path),
        Act::SetAttrs { path, attrs, .. } => {
            let mut text = format!("attrs {path}");
            for (name, value) in [
                ("mode", attrs.mode.map(octal)),
                ("uid", attrs.uid.map(|uid| uid.to_string())),
                ("gid", attrs.gid.map(|gid| gid.to_string())),
            ] {
                if let Some(value) = value {
                    text += &format!(" {name}={value}");
                }
            }
            text
        }
        Act::MakeDir { path, .. } => format!("mkdir {path}"),
        Act::Remove { path } => format!("remove {path}"),
        Act::Symlink { path, target } => format!("link {path} -> {target}"),
        Act::Hardlink { path, target } => format!("hard {path} -> {target}"),
        Act::SetTimes { path, .. } => format!("touch {path}"),
        Act::Run(cmd) => format!("run {}", cmd.argv.join(" ")),
        Act::Http { request, .. } => format!("{} {}", request.method, request.url),
        Act::Download { request, write, .. } => format!("download {} to {}", request.url, write.path),
        Act::MakeTemp { .. } => "temp".to_owned(),
        Act::Send { path, .. } => format!("send {path}"),
        Act::Note => format!("note {}", change.what),
    }
}

/// Every wanted entry must be there, at any depth; what is not mentioned may be anything.
fn subset(wanted: Option<&Value>, found: &Map, what: &str) -> Result<(), String> {
    let found = Value::map(found.clone());
    match wanted {
        Some(wanted) if !covers(&found, wanted) => {
            Err(format!("{what}\nwanted {}\nfound  {}", wanted.to_json(), found.to_json()))
        }
        _ => Ok(()),
    }
}

fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Map(found), Value::Map(wanted)) => wanted.iter().all(|(key, value)| match found.get(key) {
            Some(found) => covers(found, value),
            None => false,
        }),
        (Value::List(found), Value::List(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted.iter()).all(|(found, wanted)| covers(found, wanted))
        }
        _ => found == wanted,
    }
}

fn files_are(case: &Value, host: &FakeHost) -> Result<(), String> {
    for (path, wanted) in case.get("files").and_then(Value::as_map).cloned().unwrap_or_default() {
        let path = path.to_string();
        let found = host.entry(&path);
        let text = |key: &str| wanted.get(key).map(|value| value.to_text().as_str().to_owned());
        let (content, mode) =
            (if wanted.as_map().is_some() { text("content") } else { Some(wanted.to_text().as_str().to_owned()) }, text("mode"));
        match (found, wanted.is_null()) {
            (None, true) => continue,
            (Some(_), true) => return Err(format!("{path} should not be there")),
            (None, false) => return Err(format!("{path} should be there")),
            (Some(found), false) => {
                if mode.is_some_and(|mode| mode != octal(found.mode)) {
                    return Err(format!("{path} has mode {}", octal(found.mode)));
                }
                if text("link").is_some_and(|target| target != found.target) {
                    return Err(format!("{path} points to {}", found.target));
                }
            }
        }
        let found = host.content(&path).unwrap_or_default();
        if content.is_some_and(|content| content != found) {
            return Err(format!("{path} holds\n{found}"));
        }
    }
    Ok(())
}

/// Planning again after applying must be empty.
fn is_done(module: &'static Module, case: &Value, host: &FakeHost) -> Result<(), String> {
    let args = arguments(module, case, host).map_err(|failure| failure.msg)?;
    let again = (module.plan)(&args, host).map_err(|failure| format!("planning again fails: {}", failure.msg))?;
    let left: Vec<String> = again.changes.iter().map(short).collect();
    let may_change = case.get("again").is_some_and(|again| again.to_text().as_str() == "changes");
    match (left.is_empty(), may_change) {
        (false, false) => Err(format!("planning again wants more: {left:#?}")),
        (true, true) => Err("planning again is empty: `again: changes` is not true".to_owned()),
        _ => Ok(()),
    }
}

/// Modules whose cases are still to be written. A module that has some must not stand here.
const WITHOUT_CASES: &[&str] = &[
    "_haproxy",
    "apt",
    "authorized_key",
    "dnf",
    "get_url",
    "git",
    "group",
    "package",
    "service",
    "systemd",
    "systemd_service",
    "unarchive",
    "uri",
    "user",
    "wait_for",
    "yum",
];

#[test]
fn every_module_has_cases() {
    let folders = folders();
    let has_cases = |name: &str| folders.iter().any(|folder| folder == name);
    let bare: Vec<&str> =
        MODULES.iter().map(|module| module.name).filter(|name| has_cases(name) == WITHOUT_CASES.contains(name)).collect();
    assert!(
        bare.is_empty(),
        "no tests/cases/modules/ folder, or one and still on the list of those without: {}",
        bare.join(", ")
    );
}
