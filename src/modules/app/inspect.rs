//! `_app_inspect`: what of an app is on this host: the container that runs, those that are parked, what is in the way.

use super::held::Holdings;
use super::{COLLECTION, describe, parked};
use crate::modules::docker::engine::{Engine, at, text_at};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_app_inspect",
    collection: COLLECTION,
    summary: "say what of an app runs and what is parked",
    args: &[&[Arg::new("container", Kind::Str, "name of the app's container").required()]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// A host without Docker is an answer, not a failure: it may be about to get one.
fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    found(args.required("container")?, look)
}

/// What Docker says, as the values of a plan that changes nothing.
pub(super) fn found(name: &str, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(&Args::default(), look)?;
    let mut plan = Plan::default();
    let current = match engine.container(name) {
        Ok(current) => current,
        Err(failure) => {
            plan.set("docker", false)
                .set("reason", failure.msg)
                .set("current", Value::Null)
                .set("parked", Value::list(Vec::new()));
            return Ok(plan);
        }
    };
    let aside = parked(&engine, name)?;
    let halves = halves(&engine, name, &aside, current.as_ref())?;
    let parked = aside.iter().map(|(generation, container)| entry(*generation, &describe(container)));
    plan.set("docker", true);
    plan.set("parked", halves.into_iter().chain(parked).collect::<Value>());
    plan.set("current", current.as_ref().map(describe));
    plan.set("ports", current.as_ref().map(ports));
    Ok(plan)
}

fn entry(generation: i64, described: &Value) -> Value {
    let mut entry = described.as_map().cloned().unwrap_or_default();
    entry.insert("generation".into(), generation.into());
    entry.into()
}

/// What was being put aside, or brought back, when that was interrupted (its image is held already, or still), or was pruned: whoever
/// goes on has to end that, so it counts as parked.
fn halves(engine: &Engine<'_>, name: &str, aside: &[(i64, Value)], current: Option<&Value>) -> Result<Vec<Value>, Failure> {
    let holdings = Holdings::find(engine, name)?;
    let mut generations = holdings.generations();
    generations.retain(|generation| !aside.iter().any(|(other, _)| other == generation));
    let half = |generation: i64| {
        let (_, image) = holdings.of(generation)?;
        let own = current.filter(|container| text_at(container, &["Image"]) == image);
        Some(entry(generation, &own.map_or(Value::Null, describe)))
    };
    Ok(generations.into_iter().filter_map(half).collect())
}

/// Host ports and where they lead: `{"5000/tcp": 5000}`. Of one that is stopped, those that it is to have.
fn ports(container: &Value) -> Value {
    let leads = |path: &[&str]| at(container, path).and_then(Value::as_map).filter(|ports| !ports.is_empty());
    let published = leads(&["NetworkSettings", "Ports"]).or_else(|| leads(&["HostConfig", "PortBindings"]));
    let host_port = |bindings: &Value| bindings.as_list()?.first()?.get("HostPort")?.to_int();
    let ports: Map = published
        .into_iter()
        .flatten()
        .filter_map(|(port, bindings)| Some((port.clone(), Value::from(host_port(bindings)?))))
        .collect();
    ports.into()
}
