//! `_app_record`: writes down what is true of an app on this host, and what was done.
//!
//! What is not named stays as it was. An `event` is one line of the history.

use super::book::{Book, State, fenced, time_of};
use super::{COLLECTION, lock};
use crate::modules::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_app_record",
    collection: COLLECTION,
    summary: "record what is true of an app and what was done",
    args: &[
        lock::RUN_ARGS,
        &[
            Arg::new("generation", Kind::Int, "number of the rollout").required(),
            Arg::new("phase", Kind::Str, "how far this host is"),
            Arg::new("release", Kind::Str, "what runs, or is being put in place"),
            Arg::new("former", Kind::Str, "what ran before it"),
            Arg::new("current", Kind::Dict, "the container that runs: id, name, image and its digest"),
            Arg::new("parked", Kind::Dict, "the container that was put aside"),
            Arg::new("rollout", Kind::Dict, "what every host is to know of the rollout"),
            Arg::new("step", Kind::Str, "what is being done now, for those who find the lock taken"),
            Arg::new("clear", Kind::List, "what is not so any more")
                .choices(&["phase", "release", "former", "current", "parked", "rollout"]),
            Arg::new("event", Kind::Str, "what was done: one line of the history"),
            Arg::new("note", Kind::Raw, "what else is to be known of the event"),
        ],
    ],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let book = Book::of(args.required("app")?, look)?;
    let before = book.state(look)?;
    let generation = args.int("generation").unwrap_or_default();
    if before.generation != generation || before.run != args.required("run")? {
        return Err(fenced(&book, generation, before.generation, before.holder.as_ref()));
    }
    let mut after = told(args, &before);
    let mut plan = Plan::default();
    if let Some(event) = args.str("event") {
        let mut history = book.history(look)?;
        let entry = entry(args, event, &after, look);
        // An answer may have been lost: what was written last is not written again.
        if !history.entries.last().is_some_and(|last| is_same(last, &entry)) {
            history.add(entry);
            plan.push(Change::step(book.dir.clone(), Act::Write(book.keep_history(&history))));
        }
        after.head = history.head.clone();
    }
    if after != before {
        after.updated = look.now().floor();
        plan.push(Change::step(book.dir.clone(), Act::Write(book.keep(&after)?)));
    }
    plan.set("generation", after.generation).set("head", after.head.hash.as_str());
    Ok(plan)
}

/// The state with what the arguments say.
fn told(args: &Args, before: &State) -> State {
    let mut after = before.clone();
    let fields = [
        ("phase", &mut after.phase),
        ("release", &mut after.release),
        ("former", &mut after.former),
        ("current", &mut after.current),
        ("parked", &mut after.parked),
        ("rollout", &mut after.rollout),
    ];
    let clear = args.list("clear");
    for (name, field) in fields {
        if clear.iter().any(|cleared| cleared == name) {
            *field = Value::Null;
        }
        if let Some(value) = args.get(name) {
            *field = value.clone();
        }
    }
    if let (Some(step), Some(holder)) = (args.str("step"), &mut after.holder) {
        step.clone_into(&mut holder.step);
    }
    after
}

fn is_same(written: &Map, entry: &Map) -> bool {
    entry.iter().all(|(key, value)| key.as_str() == Some("at") || written.get(key) == Some(value))
}

fn entry(args: &Args, event: &str, state: &State, look: &dyn Look) -> Map {
    let holder = state.holder.clone().unwrap_or_default();
    let mut entry = Map::new();
    entry.insert("at".into(), time_of(look).into());
    entry.insert("event".into(), event.into());
    entry.insert("generation".into(), state.generation.into());
    entry.insert("run".into(), state.run.as_str().into());
    entry.insert("who".into(), holder.who.into());
    entry.insert("from".into(), holder.from.into());
    for (name, value) in [("release", &state.release), ("former", &state.former), ("phase", &state.phase)] {
        if !value.is_null() {
            entry.insert(name.into(), value.clone());
        }
    }
    if let Some(note) = args.get("note") {
        entry.insert("note".into(), note.clone());
    }
    entry
}
