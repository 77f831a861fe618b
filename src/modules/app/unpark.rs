//! `_unpark`: brings the parked container back under its own name; pulls nothing, builds nothing.

use super::held::{self, Holdings};
use super::{COLLECTION, PARKING_ARGS, describe, logs, parked_name, remove, rename, set_policy, start, stop};
use crate::modules::docker::engine::{Engine, bool_at, text_at};
use crate::modules::{Args, Change, Done, Failure, Look, Module, Plan};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_unpark",
    collection: COLLECTION,
    summary: "remove the new container and start the parked one again",
    args: &[PARKING_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

/// The last words of the new container that are kept.
const LOG_LINES: i64 = 50;

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (name, generation) = (args.required("container")?, args.int("generation").unwrap_or_default());
    let engine = Engine::of(&Args::default(), look)?;
    let current = engine.container(name)?;
    let Some(parked) = engine.container(&parked_name(name, generation))? else {
        return without_parked(&engine, name, generation, current.as_ref());
    };
    let mut plan = Plan::default();
    let grace = args.int("grace").unwrap_or(30);
    if let Some(new) = &current {
        let id = text_at(new, &["Id"]);
        plan.set("failed", describe(new));
        // Logs of a container that never started may not be there.
        plan.set("failed_logs", logs::tail(&engine, new, LOG_LINES).unwrap_or_default());
        if bool_at(new, &["State", "Running"]) {
            plan.push(stop(&engine, id, name, grace));
        }
        plan.push(remove(&engine, id, name));
    }
    let id = text_at(&parked, &["Id"]);
    plan.push(rename(&engine, id, &parked_name(name, generation), name));
    plan.changes.extend(revive(&engine, &parked, name, generation)?);
    Ok(plan)
}

/// Either it is back already (an earlier try may have ended right after the rename), or it was pruned and is made again.
fn without_parked(engine: &Engine<'_>, name: &str, generation: i64, current: Option<&Value>) -> Result<Plan, Failure> {
    let holdings = Holdings::find(engine, name)?;
    match (holdings.of(generation), current) {
        (None, None) => Err(Failure::new(format!("nothing is parked for container `{name}`: there is nothing to go back to"))),
        (Some((_, image)), Some(current)) if text_at(current, &["Image"]) == image => {
            Ok(Plan { changes: revive(engine, current, name, generation)?, ..Plan::default() })
        }
        (None, Some(_)) => Ok(Plan::default()),
        (Some(_), _) => {
            let made = held::revived(engine, &holdings, name, generation)?;
            Ok(Plan { changes: vec![made], again: true, ..Plan::default() })
        }
    }
}

/// Policy, start, and the held tags last.
fn revive(engine: &Engine<'_>, container: &Value, name: &str, generation: i64) -> Result<Vec<Change>, Failure> {
    let id = text_at(container, &["Id"]);
    let holdings = Holdings::find(engine, name)?;
    let mut changes = Vec::new();
    if let Some((holding, _)) = holdings.of(generation).filter(|(holding, _)| holding.policy != "no") {
        changes.push(set_policy(engine, id, name, "no", &holding.policy, holding.retries));
    }
    if !bool_at(container, &["State", "Running"]) {
        changes.push(start(engine, name));
    }
    changes.extend(holdings.release(engine, |held| held == generation)?);
    Ok(changes)
}

fn finish(args: &Args, mut values: Map, _: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let engine = Engine::of(&Args::default(), look)?;
    let current = engine.container(args.required("container")?)?;
    values.insert("current".into(), current.as_ref().map(describe).into());
    Ok(values)
}
