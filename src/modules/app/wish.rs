//! `_app_wish`: asks a rollout that runs for something, from another terminal, without its lock.
//!
//! The rollout reads it (`wish` of `_app_state`) at its safe points, and heeds only what names its own generation: nothing asked of one rollout is
//! ever heard by the next.

use super::COLLECTION;
use super::book::{Book, time_of};
use crate::modules::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_app_wish",
    collection: COLLECTION,
    summary: "ask the rollout that runs to pause, to go on, or to stop",
    args: &[&[
        Arg::new("app", Kind::Str, "name of the app").required(),
        Arg::new("ask", Kind::Str, "what is asked for; `continue` takes back what was")
            .required()
            .choices(&["pause", "continue", "stop"]),
        Arg::new("who", Kind::Str, "the person who asks").default(""),
        Arg::new("from", Kind::Str, "the machine that they ask from").default(""),
        Arg::new("why", Kind::Str, "the reason, for the history").default(""),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let book = Book::of(args.required("app")?, look)?;
    let state = book.state(look)?;
    let path = book.wish();
    let asked = look.text(&path).ok().flatten();
    let before = asked.as_deref().and_then(|text| Value::from_json(text).ok()).unwrap_or_default();
    let mut plan = Plan::default();
    plan.set("generation", state.generation).set("before", before.clone());
    let ask = args.required("ask")?;
    let is_asked =
        before.get("ask").and_then(Value::as_str) == Some(ask) && before.get("generation") == Some(&state.generation.into());
    match (ask, asked) {
        ("continue", None) => {}
        ("continue", Some(_)) => drop(plan.push(Change::step(path.clone(), Act::Remove { path }))),
        _ if is_asked => {}
        _ => {
            plan.changes = book.folders(look);
            plan.push(Change::step(path, Act::Write(book.keep_wish(&wish(args, state.generation, look)))));
        }
    }
    Ok(plan)
}

fn wish(args: &Args, generation: i64, look: &dyn Look) -> Value {
    let mut wish = Map::new();
    for name in ["ask", "who", "from", "why"] {
        wish.insert(name.into(), args.get(name).cloned().unwrap_or_default());
    }
    wish.insert("generation".into(), generation.into());
    wish.insert("at".into(), time_of(look).into());
    wish.into()
}
