//! `_aside`: the running container gives up its name and runs on, so that a new one can start beside it.

use super::{COLLECTION, PARKING_ARGS, describe, parked_name, rename};
use crate::modules::docker::engine::{Engine, bool_at, text_at};
use crate::modules::{Args, Failure, Look, Module, Plan, finish_plainly};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_aside",
    collection: COLLECTION,
    summary: "rename the app's container and let it run",
    args: &[PARKING_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Where this rollout has put one aside already, whatever has the name now is the new one. Its restart policy stays: it serves.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (name, generation) = (args.required("container")?, args.int("generation").unwrap_or_default());
    let engine = Engine::of(&Args::default(), look)?;
    let aside = parked_name(name, generation);
    let mut plan = Plan::default();
    if let Some(known) = engine.container(&aside)? {
        plan.set("aside", describe(&known));
        return Ok(plan);
    }
    let gone = || Failure::new(format!("container `{name}` is not there any more: nothing can serve while the new one starts"));
    let container = engine.container(name)?.ok_or_else(gone)?;
    if bool_at(&container, &["HostConfig", "AutoRemove"]) {
        return Err(super::vanishes(name));
    }
    plan.push(rename(&engine, text_at(&container, &["Id"]), name, &aside));
    plan.set("aside", describe(&container));
    Ok(plan)
}
