//! `_revive`: lets the container that was put aside run again, beside the new one and still without its name.

use super::held::{self, Holdings};
use super::{COLLECTION, PARKING_ARGS, describe, parked_name, set_policy, start};
use crate::modules::docker::engine::{Engine, bool_at, text_at};
use crate::modules::{Args, Failure, Look, Module, Plan, finish_plainly};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_revive",
    collection: COLLECTION,
    summary: "start the parked container beside the new one",
    args: &[PARKING_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// What is held is let go by `_unpark`, which gives the name back. Where nothing is aside and nothing is held, the old one never gave its
/// name up.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (name, generation) = (args.required("container")?, args.int("generation").unwrap_or_default());
    let engine = Engine::of(&Args::default(), look)?;
    let holdings = Holdings::find(&engine, name)?;
    let aside = parked_name(name, generation);
    let mut plan = Plan::default();
    let Some(container) = engine.container(&aside)? else {
        let current = engine.container(name)?;
        let is_itself = |image: &str| current.as_ref().is_some_and(|container| text_at(container, &["Image"]) == image);
        match holdings.of(generation) {
            Some((_, image)) if !is_itself(image) => {
                plan.push(held::revived(&engine, &holdings, name, generation)?);
                plan.again = true;
            }
            None if current.is_none() => {
                return Err(Failure::new(format!("nothing is aside for container `{name}`: there is nothing to go back to")));
            }
            Some(_) | None => {}
        }
        return Ok(plan);
    };
    if let Some((holding, _)) = holdings.of(generation).filter(|(holding, _)| holding.policy != "no") {
        let policy = text_at(&container, &["HostConfig", "RestartPolicy", "Name"]);
        if policy != holding.policy {
            plan.push(set_policy(&engine, text_at(&container, &["Id"]), &aside, policy, &holding.policy, holding.retries));
        }
    }
    if !bool_at(&container, &["State", "Running"]) {
        plan.push(start(&engine, &aside));
    }
    plan.set("aside", describe(&container));
    Ok(plan)
}
