//! One task: arguments checked, then plan → apply, at most three rounds, then the return values.

use super::Modules;
use super::host::Host;
use super::line::Line;
use super::lock;
use super::touch::Hands;
use super::write::{self, directory_of};
use crate::modules::touch::Write;
use crate::modules::{self, Act, Args, Change, Content, Done, Failure, Module, Plan, Touch};
use crate::value::{Map, Value};
use crate::wire::{Reply, Request};
use std::sync::Arc;

/// From so many files on, the disk is waited for once.
const MANY: usize = 8;
/// A plan may ask to be made again after applying; that ends here.
const ROUNDS_MAX: usize = 3;
/// What a system says that refuses.
const REFUSALS: [&str; 5] =
    ["Permission denied", "Operation not permitted", "are you root", "unless you are root", "Root privileges are required"];
/// What helps there.
const AS_ROOT: &str = "the task's user may not do this: `become: true` makes it root";

pub(super) fn run(line: &Arc<Line>, request: &Request) -> Reply {
    let mut task = Task {
        host: Host::new(line, request),
        check: request.check,
        diff: request.diff,
        done: Vec::new(),
        result: Outcome::default(),
    };
    let ended = find(line.modules, &request.module).and_then(|module| task.run(module, &request.args));
    line.shed_blobs();
    task.reply(ended)
}

struct Task {
    host: Host,
    check: bool,
    diff: bool,
    done: Vec<Done>,
    result: Outcome,
}

/// What a task has come to so far.
#[derive(Default)]
struct Outcome {
    changed: bool,
    diff: Vec<Value>,
}

fn find(modules: Modules, name: &str) -> Result<&'static Module, Failure> {
    modules::find_in(modules, name).ok_or_else(|| Failure::new(format!("the host program has no module `{name}`")))
}

impl Task {
    fn run(&mut self, module: &Module, given: &Map) -> Result<Map, Failure> {
        let mut args = Args::check(module, given).map_err(|problems| {
            Failure::new(problems.iter().map(|problem| problem.text(module.name)).collect::<Vec<_>>().join("; "))
        })?;
        args.expand_paths(module, &self.host);
        for _ in 0..ROUNDS_MAX {
            let plan = (module.plan)(&args, &self.host)?;
            if let Some(values) = self.skipped(&plan) {
                return Ok(values);
            }
            self.note(&plan);
            if self.check && !plan.changes.is_empty() {
                return Ok(plan.values);
            }
            let is_last = !plan.again || plan.changes.is_empty();
            self.apply(&plan).inspect_err(|_| clear_away(&plan.changes))?;
            if is_last {
                return (module.finish)(&args, plan.values, &self.done, &self.host);
            }
        }
        let plan = (module.plan)(&args, &self.host)?;
        (module.finish)(&args, plan.values, &self.done, &self.host)
    }

    fn skipped(&self, plan: &Plan) -> Option<Map> {
        let msg = plan.skipped.as_ref()?;
        let mut values = plan.values.clone();
        values.insert("skipped".into(), true.into());
        values.insert("msg".into(), msg.into());
        Some(values)
    }

    /// What the plan says for `--diff` and for `changed`.
    fn note(&mut self, plan: &Plan) {
        if self.check {
            self.result.changed |= plan.changed.unwrap_or(!plan.changes.is_empty());
        }
        if self.diff {
            self.result.diff.extend(plan.changes.iter().filter_map(shown));
        }
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), Failure> {
        self.ask_for_bodies(&plan.changes);
        if plan.changes.iter().filter(|change| batched(&change.act).is_some()).count() >= MANY {
            return self.apply_many(plan);
        }
        for change in &plan.changes {
            let done = Hands::new(&self.host).perform(&change.act)?;
            self.keep(plan, done);
        }
        self.result.changed |= plan.changed.unwrap_or(false);
        Ok(())
    }

    /// The files come into their places together, after everything else.
    fn apply_many(&mut self, plan: &Plan) -> Result<(), Failure> {
        let mut staged = Vec::new();
        for change in &plan.changes {
            match batched(&change.act) {
                Some(write) => {
                    lock::permit(&self.host)?;
                    staged.push(write::stage(&self.host, write)?);
                }
                None => {
                    if may_refer_to_files(&change.act) {
                        let placed = write::place_all(std::mem::take(&mut staged))?;
                        placed.into_iter().for_each(|done| self.keep(plan, done));
                    }
                    let done = Hands::new(&self.host).perform(&change.act)?;
                    self.keep(plan, done);
                }
            }
        }
        lock::permit(&self.host)?;
        let placed = write::place_all(staged)?;
        placed.into_iter().for_each(|done| self.keep(plan, done));
        self.result.changed |= plan.changed.unwrap_or(false);
        Ok(())
    }

    fn keep(&mut self, plan: &Plan, done: Done) {
        self.result.changed |= plan.changed.unwrap_or_else(|| done.changed.unwrap_or(true));
        self.done.push(done);
    }

    /// All bodies that the changes need and that are not here, in one message.
    fn ask_for_bodies(&self, changes: &[Change]) {
        self.host.line.ask(self.host.id, changes.iter().filter_map(|change| blob_of(&change.act)));
    }

    fn reply(self, ended: Result<Map, Failure>) -> Reply {
        let is_ok = ended.is_ok();
        let mut values = ended.unwrap_or_else(|failure| {
            let mut values = failure.values;
            let is_root = rustix::process::geteuid().is_root();
            let msg = if is_root || !lacks_rights(&failure.msg) { failure.msg } else { format!("{}; {AS_ROOT}", failure.msg) };
            values.insert("msg".into(), msg.into());
            values
        });
        if !values.contains_key("changed") {
            values.shift_insert(0, "changed".into(), self.result.changed.into());
        }
        if !self.result.diff.is_empty() && !values.contains_key("diff") {
            values.insert("diff".into(), diff_value(self.result.diff));
        }
        if is_ok { Reply::Ok { values } } else { Reply::Failed { values } }
    }
}

/// What a plan writes and removes again is not left when it ends in between.
fn clear_away(changes: &[Change]) {
    let written = |wanted: &str| changes.iter().any(|change| matches!(&change.act, Act::Write(write) if write.path == wanted));
    for change in changes {
        if let Act::Remove { path } = &change.act
            && written(path)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn lacks_rights(msg: &str) -> bool {
    REFUSALS.iter().any(|words| msg.contains(words))
}

/// A file that may be put in its place together with others.
fn batched(act: &Act) -> Option<&Write> {
    match act {
        Act::Write(write) if write.validate.is_none() && !write.backup && !write.unsafe_writes => Some(write),
        _ => None,
    }
}

fn may_refer_to_files(act: &Act) -> bool {
    !matches!(act, Act::MakeDir { .. } | Act::SetAttrs { .. } | Act::Symlink { .. } | Act::Note)
}

/// A body, and the directory of the file that it is to be.
fn blob_of(act: &Act) -> Option<(String, Option<String>)> {
    match act {
        Act::Write(write) => match &write.content {
            Content::Blob(hash) => Some((hash.clone(), Some(directory_of(&write.path).to_owned()))),
            Content::Bytes(_) | Content::File(_) => None,
        },
        _ => None,
    }
}

/// A change as Ansible shows one: texts under headers, small maps without.
fn shown(change: &Change) -> Option<Value> {
    if change.before.is_null() && change.after.is_null() {
        return None;
    }
    let mut entry = Map::new();
    let text = |value: &Value| if value.is_null() { Value::from("") } else { value.clone() };
    entry.insert("before".into(), text(&change.before));
    entry.insert("after".into(), text(&change.after));
    if change.before.as_map().is_none() && change.after.as_map().is_none() {
        if !change.before.is_null() {
            entry.insert("before_header".into(), change.what.as_str().into());
        }
        entry.insert("after_header".into(), change.what.as_str().into());
    }
    Some(entry.into())
}

/// One change of attributes is a map, as with `file`; everything else is a list, as with `copy`.
fn diff_value(mut diff: Vec<Value>) -> Value {
    match diff.as_slice() {
        [one] if one.get("after_header").is_none() => diff.remove(0),
        _ => Value::list(diff),
    }
}
