//! What people are told about a rollout.

use super::hold::{self, Denied};
use crate::actions::Problem;
use crate::diag::Diagnostic;
use crate::playbook::{ProbeSpec, RolloutSpec};
use crate::rollout::{Ask, Asked, Outcome, Phase, Step};
use crate::value::Value;
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

/// `failed while …`
pub(super) fn doing(step: Step) -> String {
    match step {
        Step::AwaitQuiet => "its requests were to end".to_owned(),
        Step::Park => "its old container was put aside".to_owned(),
        Step::Enable | Step::AwaitHealthy => "it came back into the balancer".to_owned(),
        step => self::step(step).to_lowercase(),
    }
}

pub(super) fn held_to_the_end(host: &str, why: &str) -> String {
    format!("`{host}` could not leave, however often it was tried: {why}")
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

/// With two containers on one host: another release is on its way there.
pub(super) fn unfinished_beside(host: &str, unfinished: &str, arguments: &str) -> String {
    format!(
        "the rollout of release {unfinished} is unfinished on `{host}`, where two containers may be now: `roll rollback {arguments}` \
         first, or `roll resume` with the variables of that release"
    )
}

pub(super) fn begun_otherwise(host: &str, is_start_first: bool) -> String {
    let how = if is_start_first { "without `start: first`, or with other ports" } else { "with `start: first`" };
    format!("the unfinished rollout on `{host}` was begun {how}: it is ended as it was begun")
}

pub(super) fn on_other_port(host: &str, app: &str, port: u16, balancer: u16) -> String {
    format!(
        "`{app}` is on port {port} of `{host}`, where `start: first` put it, and not on {balancer}: keep `start: first`, or name \
         {port} as `balancer.port`"
    )
}

/// The new container could not be started there.
pub(super) fn port_taken(host: &str, app: &str, port: u16, holder: &str) -> String {
    format!(
        "container `{holder}` has port {port} of `{host}`, where `{app}` is to go: remove it there; or, where it is the application, \
         `docker rename {holder} {app}` lets the rollout put it aside and go back to it"
    )
}

/// A task of the play may end what listens there.
pub(super) fn port_listened_on(app: &str, port: u16) -> String {
    format!("something listens on port {port} already: unless a task stops it, `{app}` cannot be started there")
}

pub(super) fn held_beside() -> String {
    "the container beside it does not serve yet, as the balancer says".to_owned()
}

pub(super) fn removes_itself(host: &str, app: &str) -> String {
    format!("container `{app}` on `{host}` was started with `auto_remove`: once stopped it could not be gone back to")
}

pub(super) fn has_no_port(host: &str, app: &str) -> String {
    format!(
        "container `{app}` on `{host}` is in the host's own network, where its connections can be told from others only by their port: \
         name it as `balancer.port`"
    )
}

pub(super) fn unhealthy_again(host: &str, shown: &str) -> String {
    format!("`{host}` stopped being healthy while it was watched: {shown}")
}

pub(super) fn worse(host: &str, url: &str, new: Asked, old: Option<Asked>, last: &str) -> String {
    let of = |asked: Asked| format!("{} of {}", asked.failed, asked.all);
    let old =
        old.map_or_else(|| "no host has the old release any more".to_owned(), |old| format!("{} with the old release", of(old)));
    format!("`{host}` answers worse than before: {} requests to {url} failed, {old}; the last failure: {last}", of(new))
}

pub(super) fn restarted(host: &str, times: i64) -> String {
    format!("the container on `{host}` was restarted {times} times while it was watched")
}

pub(super) fn not_running(host: &str) -> String {
    format!("the container on `{host}` ended while it was watched")
}

pub(super) fn other_release(host: &str, unfinished: &str, wanted: &str) -> String {
    format!(
        "the unfinished rollout on `{host}` is of release {unfinished}, not {wanted}: it is resumed with the variables of that release"
    )
}

/// With one batch for all that serves, replacing it in place means downtime; or the floor is above what the batches leave.
pub(super) fn no_floor(app: &str, hosts: usize) -> String {
    match hosts {
        1 => format!(
            "`{app}` runs on one host: nothing would serve while its container is replaced; add a host, let the new container \
             `start: first` on a second port, or accept it with `--accept-downtime`"
        ),
        _ => format!(
            "too few of the {hosts} hosts of `{app}` would serve while a batch is replaced; make the batches smaller with `serial`, \
             lower `floor`, or accept it with `--accept-downtime`"
        ),
    }
}

/// A part of the balancer that has too few targets of its own.
pub(super) fn no_pool_floor(pool: &str, floor: usize) -> String {
    format!(
        "fewer than {floor} would serve in {pool}, while a batch is replaced; turn cross-zone balancing on, have one target more there, \
         make the batches smaller with `serial`, or accept it with `--accept-downtime`"
    )
}

/// There is nothing to turn back to.
pub(super) fn committed(app: &str, is_ending: bool) -> String {
    let ends = if is_ending { "was ending" } else { "has ended" };
    format!("the last rollout of `{app}` {ends}, and what ran before was let go")
}

pub(super) fn held(live: usize, floor: usize) -> String {
    format!("stays in the balancer: {live} targets are healthy with it, and {floor} must be without it")
}

pub(super) fn not_drained(host: &str, sessions: u64, waited: Duration) -> String {
    format!("`{host}` still has {sessions} requests in flight after {} s", waited.as_secs())
}

pub(super) fn not_quiet(host: &str, seen: &str, waited: Duration) -> String {
    format!("`{host}` is out of the balancer and was not quiet within {} s, as it sees itself: {seen}", waited.as_secs())
}

pub(super) fn not_healthy(host: &str, probe: &ProbeSpec, tries: u32, last: &str) -> String {
    format!("`{host}` did not become healthy within {} s: try {tries}: GET {} -> {last}", probe.deadline.as_secs(), probe.url)
}

pub(super) fn not_serving(host: &str, state: &str, waited: Duration) -> String {
    format!("the balancer does not send `{host}` traffic after {} s: {state}", waited.as_secs())
}

/// A failed step as a diagnostic: what, where, and what is true now.
pub(super) fn failed(ask: Ask, has_both: bool, host: &str, problem: &Problem) -> Diagnostic {
    let (code, now) = match ask.step {
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
    base.note(if has_both { beside(ask, host).unwrap_or(now) } else { now })
}

/// The same where the old container stays until the new one serves; none where it is no different.
fn beside(ask: Ask, host: &str) -> Option<String> {
    let now = match ask.step {
        Step::Switch | Step::Verify | Step::Enable | Step::AwaitHealthy if !ask.is_back => {
            format!("the old container still serves on `{host}`")
        }
        Step::Drain | Step::AwaitQuiet | Step::Park if !ask.is_back => {
            format!("the new container serves on `{host}`; the old one was not stopped")
        }
        Step::Revive | Step::Verify | Step::Enable | Step::AwaitHealthy | Step::Drain => {
            format!("the new container was left in rotation on `{host}`")
        }
        Step::Unpark => format!("the old container serves on `{host}`; the new one could not be removed"),
        _ => return None,
    };
    Some(now)
}

/// Why a record may be moved away.
pub(crate) const RECORD_HELP: &str = "what runs is known to Docker, and the number of the last rollout to the history beside it";

/// Somebody else is at it, or a host is in no state to be worked on.
pub(super) fn denied(app: &str, denied: &Denied, arguments: &str) -> Diagnostic {
    match denied {
        Denied::Locked { host, holder } => {
            let word = |name: &str| holder.get(name).map(Value::to_text).filter(|word| !word.is_empty());
            let who = word("who").map_or_else(|| "somebody".to_owned(), |who| who.to_string());
            let from = word("from").map(|from| format!(" on {from}")).unwrap_or_default();
            let since = holder.get("since").and_then(Value::to_float).map(ago).unwrap_or_default();
            let step = word("step").map(|step| format!("; it is at {step}")).unwrap_or_default();
            Diagnostic::error("rollout-locked", format!("`{app}` is being rolled out by {who}{from}{since}"))
                .note(format!("the lock was found on `{host}`{step}"))
                .note("nothing was changed on any host")
                .help(format!("`roll status {arguments}` shows how far it is; the lock is free as soon as that run ends or dies"))
        }
        Denied::Fenced { host, msg } => Diagnostic::error("rollout-fenced", msg.clone())
            .note(format!("said by `{host}`; nothing was changed on any host"))
            .help(format!("`roll status {arguments}` shows what is going on")),
        Denied::Dead { hosts } => {
            let names: Vec<String> = hosts.iter().map(|(host, _)| format!("`{host}`")).collect();
            let title = format!(
                "{} cannot be reached, so nothing can be known of {}",
                names.join(", "),
                if names.len() == 1 { "it" } else { "them" }
            );
            let mut diagnostic = Diagnostic::error("rollout-dead-hosts", title);
            for (host, problem) in hosts {
                diagnostic = diagnostic.note(format!("`{host}`: {}", hold::why(problem)));
            }
            diagnostic
                .note("nothing was changed on any host")
                .help(format!("bring them back, or leave them out: `roll {arguments} --skip-dead`"))
        }
        Denied::Failed { host, problem } => {
            let diagnostic = Diagnostic::error("rollout-unlockable", format!("`{host}`: {}", problem.failure.msg))
                .note("nothing was changed on any host");
            let is_corrupt = hold::says(problem, "corrupt");
            match problem.failure.values.get("path").map(Value::to_text).filter(|_| is_corrupt) {
                Some(path) => {
                    diagnostic.help(format!("{RECORD_HELP}: on `{host}`, `mv {path} {path}.broken`; then the same command again"))
                }
                None => diagnostic,
            }
        }
    }
}

pub(super) fn fenced(app: &str, generation: i64, arguments: &str) -> Diagnostic {
    let title = format!(
        "rollout {generation} of `{app}` was taken over, or was silent for too long: its hosts do not listen to it any more"
    );
    Diagnostic::error("rollout-fenced", title)
        .note("it has stopped at once; what it had begun on a host may be half done")
        .help(format!("`roll status {arguments}` shows what is true now; `roll resume {arguments}` goes on where it ended"))
}

/// In words, from seconds since 1970.
fn ago(since: f64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(since, |now| now.as_secs_f64());
    match (now - since).max(0.0) as u64 {
        seconds @ 0..=119 => format!(" for {seconds} s"),
        seconds @ 120..=7199 => format!(" for {} min", seconds / 60),
        seconds => format!(" for {} h", seconds / 3600),
    }
}
