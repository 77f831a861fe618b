//! `docker_container_info`: a container as the daemon describes it.

use super::engine::Engine;
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_container_info",
    collection: "community.docker",
    summary: "say whether a container is there, and what it is like",
    args: &[&[Arg::new("name", Kind::Str, "name or id of the container").required()], super::API_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let container = Engine::of(args, look)?.container(args.required("name")?)?;
    let mut plan = Plan::default();
    plan.set("exists", container.is_some()).set("container", container);
    Ok(plan)
}
