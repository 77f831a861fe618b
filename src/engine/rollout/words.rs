//! What people are told about a rollout.

use crate::actions::Problem;
use crate::diag::Diagnostic;
use crate::playbook::{ProbeSpec, RolloutSpec};
use crate::rollout::{Outcome, Phase, Step};
use std::time::Duration;

pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Waiting => "Waiting",
        Phase::Checking => "Checking",
        Phase::Draining => "Draining",
        Phase::Quiet => "Quiet",
        Phase::Switching => "Switching",
        Phase::Verifying => "Verifying",
        Phase::Enabling => "Enabling",
        Phase::Baking => "Baking",
        Phase::Done => "Done",
        Phase::Reverting => "Reverting",
        Phase::Reverted => "Reverted",
        Phase::Failed => "Failed",
        Phase::Skipped => "Skipped",
    }
}

/// What a host in this phase waits for.
pub(super) fn why(phase: Phase, spec: &RolloutSpec) -> String {
    let url = |probe: &Option<ProbeSpec>| probe.as_ref().map_or_else(String::new, |probe| probe.url.clone());
    match phase {
        Phase::Checking => format!("may it be deployed to? {}", url(&spec.ready)),
        Phase::Draining => format!("out of the {} balancer", spec.balancer.kind),
        Phase::Quiet => format!("{} s without traffic, seen by the host itself", spec.quiet.as_secs_f64()),
        Phase::Switching => format!("the play's tasks put release {} in place", spec.release),
        Phase::Verifying => format!("is it healthy? {}", url(&spec.healthy)),
        Phase::Enabling => format!("back into the {} balancer", spec.balancer.kind),
        Phase::Baking => format!("watched for {} s", spec.bake.as_secs()),
        Phase::Reverting => "the parked container comes back".to_owned(),
        Phase::Skipped => "dead; left out".to_owned(),
        Phase::Waiting | Phase::Done | Phase::Reverted | Phase::Failed => String::new(),
    }
}

pub(super) fn step(step: Step) -> &'static str {
    match step {
        Step::Lock | Step::Number => "Locking",
        Step::Aside => "Renaming",
        Step::Revive => "Reviving",
        Step::Inspect => "Inspecting",
        Step::Prepare => "Preparing",
        Step::Check => "Checking",
        Step::Drain => "Draining",
        Step::AwaitQuiet => "Quiet",
        Step::Park => "Parking",
        Step::Switch => "Switching",
        Step::Verify => "Verifying",
        Step::Enable => "Enabling",
        Step::AwaitHealthy => "Enabling",
        Step::Confirm => "Confirming",
        Step::Bake => "Baking",
        Step::Unpark => "Reverting",
        Step::Retire => "Retiring",
    }
}

pub(super) fn ending(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Refused => "refused",
        Outcome::Halted => "halted",
        Outcome::Reverted => "reverted",
        Outcome::RevertFailed => "revert failed",
        Outcome::Interrupted => "interrupted",
        Outcome::Locked => "locked",
        Outcome::Fenced => "fenced",
    }
}

pub(super) fn removes_itself(host: &str, app: &str) -> String {
    format!("container `{app}` on `{host}` was started with `auto_remove`: once stopped it could not be gone back to")
}

/// With one batch for all hosts, replacing it in place means downtime.
pub(super) fn no_floor(app: &str, hosts: usize) -> Diagnostic {
    let (title, help) = match hosts {
        1 => (format!("`{app}` runs on one host: nothing serves while its container is replaced"), "add a host"),
        _ => (
            format!("all {hosts} hosts of `{app}` are one batch: nothing serves while their containers are replaced"),
            "make the batches smaller with `serial`",
        ),
    };
    Diagnostic::warning("no-floor", title).help(help)
}

pub(super) fn not_drained(host: &str, sessions: u64, waited: Duration) -> String {
    format!("`{host}` still has {sessions} requests in flight after {} s", waited.as_secs())
}

pub(super) fn not_quiet(host: &str, open: i64, waited: Duration) -> String {
    format!("`{host}` still sees {open} open connections after {} s; its container was not stopped", waited.as_secs())
}

pub(super) fn not_healthy(host: &str, probe: &ProbeSpec, tries: u32, last: &str) -> String {
    format!("`{host}` did not become healthy within {} s: try {tries}: GET {} -> {last}", probe.deadline.as_secs(), probe.url)
}

pub(super) fn not_serving(host: &str, state: &str, waited: Duration) -> String {
    format!("the balancer does not send `{host}` traffic after {} s: {state}", waited.as_secs())
}

/// A failed step as a diagnostic: what, where, and what is true now.
pub(super) fn failed(step: Step, host: &str, problem: &Problem) -> Diagnostic {
    let (code, now) = match step {
        Step::Lock | Step::Number => ("lock-failed", "nothing left the load balancer".to_owned()),
        Step::Aside => ("aside-failed", format!("`{host}` is still in rotation with the old release")),
        Step::Revive => ("revert-failed", format!("`{host}` is in rotation with the new release")),
        Step::Inspect | Step::Prepare => {
            ("prepare-failed", format!("`{host}` is still in rotation: nothing left the load balancer"))
        }
        Step::Check => ("not-ready", format!("`{host}` is still in rotation with the old release")),
        Step::Drain => ("drain-failed", format!("the old container still runs on `{host}`")),
        Step::AwaitQuiet => ("not-quiet", format!("the old container still runs on `{host}` and will go back into rotation")),
        Step::Park => ("park-failed", format!("`{host}` is out of rotation; its old container was not removed")),
        Step::Switch => ("switch-failed", format!("`{host}` is out of rotation; its old container is parked")),
        Step::Verify => ("health-failed", format!("`{host}` is out of rotation; its old container is parked")),
        Step::Enable | Step::AwaitHealthy => {
            ("enable-failed", format!("the new container runs on `{host}`; its old one is parked"))
        }
        Step::Confirm => ("confirm-failed", format!("`{host}` is in rotation with the new release; its old container is parked")),
        Step::Bake => ("bake-failed", format!("`{host}` is in rotation with the new release; its old container is parked")),
        Step::Unpark => ("revert-failed", format!("`{host}` is out of rotation and could not be brought back")),
        Step::Retire => ("retire-failed", format!("`{host}` serves the new release; the parked container is still there")),
    };
    let base = match &problem.diagnostic {
        Some(diagnostic) => Diagnostic { code: code.to_owned(), ..(**diagnostic).clone() },
        None => Diagnostic::error(code, problem.failure.msg.clone()),
    };
    base.note(now)
}
