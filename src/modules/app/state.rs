//! `_app_state`: everything that a host knows of an app, read without the lock.

use super::book::{Book, Break, History, State};
use super::{COLLECTION, inspect, ports};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_app_state",
    collection: COLLECTION,
    summary: "say what is recorded of an app, what runs and who has the lock",
    args: &[&[
        Arg::new("app", Kind::Str, "name of the app").required(),
        Arg::new("container", Kind::Str, "name of its container; that of the app unless given"),
        Arg::new("history", Kind::Int, "how many of the last lines of the history").default("10"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// What cannot be read is said in `broken`, and the rest all the same: this is what people look at when things are bad.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let book = Book::of(args.required("app")?, look)?;
    let container = args.str("container").unwrap_or(&book.app);
    let mut plan = inspect::found(container, look)?;
    plan.set("taken", ports::taken(container, look)?);
    let state = match book.state(look) {
        Ok(state) => {
            plan.set("state", state.value());
            state
        }
        Err(failure) => {
            plan.set("state", Value::Null).set("broken", failure.msg);
            State::default()
        }
    };
    let history = book.history(look)?;
    let is_locked = look.is_locked(&book.lock()).unwrap_or(false);
    plan.set("dir", book.dir.as_str()).set("is_locked", is_locked);
    plan.set("holder", state.holder.as_ref().filter(|_| is_locked).map(super::book::Holder::value));
    plan.set("generation", book.generation(&state, look));
    plan.set("wish", look.text(&book.wish()).ok().flatten().and_then(|text| Value::from_json(&text).ok()));
    tell_history(&mut plan, &history, history.breaks_with(&state), args.int("history").unwrap_or(10));
    Ok(plan)
}

fn tell_history(plan: &mut Plan, history: &History, broken: Option<Break>, lines: i64) {
    let count = history.entries.len();
    let from = count.saturating_sub(usize::try_from(lines).unwrap_or(0));
    plan.set("history", history.entries[from..].iter().cloned().map(Value::map).collect::<Value>());
    plan.set("history_count", i64::try_from(count).unwrap_or(i64::MAX));
    let broken = broken.map(|broken| {
        let line = i64::try_from(broken.line).unwrap_or(i64::MAX);
        Value::map(Map::from_iter([("line".into(), line.into()), ("why".into(), broken.why.into())]))
    });
    plan.set("history_broken", broken);
}
