//! `_park`: puts the running container aside, whole, so that going back needs no registry and no build.

use super::held::{self, Holding, Holdings};
use super::{COLLECTION, PARKING_ARGS, describe, parked_name, rename, set_policy, stop};
use crate::modules::docker::engine::{Engine, bool_at, text_at};
use crate::modules::{Args, Change, Failure, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_park",
    collection: COLLECTION,
    summary: "stop the app's container and put it aside",
    args: &[PARKING_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Where this rollout has parked already, whatever has the name now is the new one and is left alone.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (name, generation) = (args.required("container")?, args.int("generation").unwrap_or_default());
    let engine = Engine::of(&Args::default(), look)?;
    let aside = parked_name(name, generation);
    let mut plan = Plan::default();
    if let Some(parked) = engine.container(&aside)? {
        plan.set("parked", describe(&parked));
        return Ok(plan);
    }
    let Some(container) = engine.container(name)? else {
        plan.set("parked", Value::Null);
        return Ok(plan);
    };
    if bool_at(&container, &["HostConfig", "AutoRemove"]) {
        let msg = format!(
            "container `{name}` was started with `auto_remove`: stopping it would remove it, and nothing to go back to would be left"
        );
        return Err(Failure::new(msg));
    }
    plan.changes = changes(&engine, &container, name, generation, args.int("grace").unwrap_or(30))?;
    plan.set("parked", describe(&container));
    Ok(plan)
}

/// The image is held first and the name given up last: whatever is interrupted in between is taken up again.
fn changes(engine: &Engine<'_>, container: &Value, name: &str, generation: i64, grace: i64) -> Result<Vec<Change>, Failure> {
    let id = text_at(container, &["Id"]);
    let holding = Holding::of(container, generation);
    let mut changes = Vec::new();
    // A policy that is off already and a container that is down were left by an earlier try, whose tag knows better.
    let is_resumed = holding.policy == "no" && !bool_at(container, &["State", "Running"]);
    let is_held = is_resumed && Holdings::find(engine, name)?.of(generation).is_some();
    if !is_held {
        changes.extend(held::hold(engine, container, name, generation));
    }
    if holding.policy != "no" {
        changes.push(set_policy(engine, id, name, &holding.policy, "no", 0));
    }
    if bool_at(container, &["State", "Running"]) {
        changes.push(stop(engine, id, name, grace));
    }
    changes.push(rename(engine, id, name, &parked_name(name, generation)));
    Ok(changes)
}
