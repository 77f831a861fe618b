//! `_retire`: lets go of what was parked, once a rollout has committed.

use super::held::Holdings;
use super::{COLLECTION, PARKING_ARGS, describe, parked, remove};
use crate::modules::docker::engine::{Engine, bool_at, text_at};
use crate::modules::{Args, Failure, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_retire",
    collection: COLLECTION,
    summary: "remove parked containers of this and earlier rollouts",
    args: &[PARKING_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Only where the app itself is there: what is parked is all that is left otherwise.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (name, generation) = (args.required("container")?, args.int("generation").unwrap_or_default());
    let engine = Engine::of(&Args::default(), look)?;
    let mut plan = Plan::default();
    if engine.container(name)?.is_none() {
        return Err(Failure::new(format!("container `{name}` is not there: what is parked is kept")));
    }
    let (mut retired, mut running) = (Vec::new(), Vec::new());
    for (parked_in, container) in parked(&engine, name)?.iter().filter(|(parked_in, _)| *parked_in <= generation) {
        if bool_at(container, &["State", "Running"]) {
            running.push(*parked_in);
            continue;
        }
        plan.push(remove(&engine, text_at(container, &["Id"]), text_at(container, &["Name"]).trim_start_matches('/')));
        retired.push(describe(container));
    }
    let is_over = |held: i64| held <= generation && !running.contains(&held);
    plan.changes.extend(Holdings::find(&engine, name)?.release(&engine, is_over)?);
    plan.set("retired", Value::list(retired));
    Ok(plan)
}
