//! `_app_lock`: takes, keeps or gives back the lock of an app on this host, and sets the generation.
//!
//! The lock is a `flock` that the host program holds while it lives, so it is gone with the channel. Whoever finds it taken is told at once by
//! whom (`held: false`, `holder`); a rollout that is older than what the host knows is `fenced`.

use super::COLLECTION;
use super::book::Book;
use crate::modules::touch::{Lock, Wish};
use crate::modules::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};
use std::time::Duration;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_app_lock",
    collection: COLLECTION,
    summary: "take the lock of an app, or say who has it",
    args: &[
        RUN_ARGS,
        &[
            Arg::new("who", Kind::Str, "the person who asks").default(""),
            Arg::new("from", Kind::Str, "the machine that the control side runs on").default(""),
            Arg::new("step", Kind::Str, "what is being done").default(""),
            Arg::new("generation", Kind::Int, "number of the rollout; without one the host's own stays"),
            Arg::new("silence", Kind::Float, "seconds without a word after which the lock is let go").default("30"),
            Arg::new("held", Kind::Bool, "`no` gives it back").default("yes"),
        ],
    ],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Whose lock it is.
pub(super) const RUN_ARGS: &[Arg] = &[
    Arg::new("app", Kind::Str, "name of the app").required(),
    Arg::new("run", Kind::Str, "what tells this run from every other").required(),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let wish = if args.bool("held") { Wish::Take } else { Wish::GiveBack };
    let lock = lock(args, wish, look)?;
    // Whatever cannot be read is said before anything is taken.
    lock.book().state(look)?;
    let mut plan = Plan { changes: lock.book().folders(look), ..Plan::default() };
    plan.push(Change::step(lock.dir.clone(), Act::Lock(Box::new(lock))));
    Ok(plan)
}

/// What is wanted of the lock, from the arguments of one of these modules.
pub(super) fn lock(args: &Args, wish: Wish, look: &dyn Look) -> Result<Lock, Failure> {
    let book = Book::of(args.required("app")?, look)?;
    let text = |name: &str| args.str(name).unwrap_or_default().to_owned();
    let silence = args.float("silence").filter(|seconds| *seconds > 0.0).unwrap_or(30.0).min(3600.0);
    Ok(Lock {
        wish,
        app: book.app,
        dir: book.dir,
        run: args.required("run")?.to_owned(),
        who: text("who"),
        from: text("from"),
        step: text("step"),
        generation: args.int("generation"),
        silence: Duration::from_secs_f64(silence),
    })
}
