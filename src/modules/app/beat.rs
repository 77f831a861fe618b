//! `_app_beat`: says that the rollout goes on, and at what step; the answer says that the lock is still held here.
//!
//! Heartbeats on the wire keep the lock (see `remote`); this is for what people are told, and to be sure before something that no host guards.

use super::{COLLECTION, lock};
use crate::modules::touch::Wish;
use crate::modules::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};

pub(in crate::modules) static MODULE: Module = Module {
    name: "_app_beat",
    collection: COLLECTION,
    summary: "keep the lock of an app and say what is being done",
    args: &[
        lock::RUN_ARGS,
        &[
            Arg::new("generation", Kind::Int, "number of the rollout").required(),
            Arg::new("step", Kind::Str, "what is being done").default(""),
        ],
    ],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let lock = lock::lock(args, Wish::Keep, look)?;
    let mut plan = Plan::default();
    plan.push(Change::step(lock.dir.clone(), Act::Lock(Box::new(lock))));
    Ok(plan)
}
