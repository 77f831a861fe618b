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

/// Where this rollout has put one aside already, whatever has the name now is the new one and is left alone. The one aside may still run:
/// it did while the new one started.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (name, generation) = (args.required("container")?, args.int("generation").unwrap_or_default());
    let engine = Engine::of(&Args::default(), look)?;
    let aside = parked_name(name, generation);
    let mut plan = Plan::default();
    let grace = args.int("grace").unwrap_or(30);
    if let Some(parked) = engine.container(&aside)? {
        let policy = text_at(&parked, &["HostConfig", "RestartPolicy", "Name"]);
        if bool_at(&parked, &["State", "Running"]) || !matches!(policy, "" | "no") {
            plan.changes = stopping(&engine, &parked, name, &aside, generation, grace)?;
        }
        plan.set("parked", describe(&parked));
        return Ok(plan);
    }
    let Some(container) = engine.container(name)? else {
        plan.set("parked", Value::Null);
        return Ok(plan);
    };
    if bool_at(&container, &["HostConfig", "AutoRemove"]) {
        return Err(super::vanishes(name));
    }
    // The image is held first and the name given up last: whatever is interrupted in between is taken up again.
    plan.changes = stopping(&engine, &container, name, name, generation, grace)?;
    plan.push(rename(&engine, text_at(&container, &["Id"]), name, &aside));
    plan.set("parked", describe(&container));
    Ok(plan)
}

/// Held, never started again by itself, stopped. `shown` is what it is called now.
fn stopping(
    engine: &Engine<'_>,
    container: &Value,
    name: &str,
    shown: &str,
    generation: i64,
    grace: i64,
) -> Result<Vec<Change>, Failure> {
    let id = text_at(container, &["Id"]);
    let holding = Holding::of(container, generation);
    let mut changes = Vec::new();
    // A policy that is off already and a container that is down were left by an earlier try, whose tag knows better.
    let is_resumed = holding.policy == "no" && (name != shown || !bool_at(container, &["State", "Running"]));
    let is_held = is_resumed && Holdings::find(engine, name)?.of(generation).is_some();
    if !is_held {
        changes.extend(held::hold(engine, container, name, generation));
    }
    if holding.policy != "no" {
        changes.push(set_policy(engine, id, shown, &holding.policy, "no", 0));
    }
    if bool_at(container, &["State", "Running"]) {
        changes.push(stop(engine, id, shown, grace));
    }
    Ok(changes)
}
