//! What is said when a rollout ends: why, what is true now, and the exact next command.

use crate::rollout::{Outcome, Step};
use std::time::Duration;

/// The failure that a rollout ended for.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) host: String,
    pub(super) step: Step,
    /// It had been asked to leave the balancer.
    pub(super) is_touched: bool,
    /// No answer came any more.
    pub(super) is_lost: bool,
    pub(super) is_back: bool,
    pub(super) said: String,
}

/// Everything that is known at the end.
#[derive(Clone, Debug)]
pub(super) struct End<'e> {
    pub(super) outcome: Outcome,
    pub(super) release: &'e str,
    pub(super) causes: &'e [Cause],
    /// Why nothing was begun though nothing failed.
    pub(super) refusal: Option<String>,
    pub(super) hosts: &'e [String],
    pub(super) new: &'e [String],
    pub(super) out: &'e [String],
    /// Where Docker says that no container of the app runs.
    pub(super) idle: &'e [String],
    /// Where nobody answers any more, so that nothing is known.
    pub(super) silent: &'e [String],
    /// The new release was there to stay: nothing can be turned back to.
    pub(super) committed: Option<Committed>,
    /// Targets that serve, and all of them, read just now.
    pub(super) healthy: Option<(usize, usize)>,
    /// Since the balancer could be read last, where it cannot be now.
    pub(super) unread: Option<Duration>,
    /// What `roll` was called with.
    pub(super) arguments: &'e str,
}

/// How far the end of a rollout has come that is not turned back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Committed {
    /// What ran before is still there on some hosts.
    Ending,
    Ended,
}

impl End<'_> {
    pub(super) fn why(&self) -> Option<String> {
        let Some(first) = self.causes.first() else { return self.refusal.clone() };
        let is_end = matches!(self.outcome, Outcome::Done | Outcome::Interrupted);
        (!is_end).then(|| because(first))
    }

    /// Line by line, each true by itself.
    pub(super) fn now(&self) -> Vec<String> {
        let mut lines = vec![self.releases()];
        if !self.idle.is_empty() {
            lines.push(format!("nothing runs on: {}", self.idle.join(", ")));
        }
        if !self.silent.is_empty() {
            lines.push(format!("not known, for no answer comes: {}", self.silent.join(", ")));
        }
        if !self.out.is_empty() {
            lines.push(format!("out of rotation: {}", self.out.join(", ")));
        }
        for cause in self.causes.iter().skip(1).filter(|cause| cause.is_back || cause.is_lost) {
            lines.push(because(cause));
        }
        match (self.healthy, self.unread) {
            (Some((live, all)), _) => lines.push(format!("{live} of {all} targets are healthy, read just now")),
            (None, Some(Duration::ZERO)) => lines.push("the balancer gives no answer".to_owned()),
            (None, Some(age)) => lines.push(format!("the balancer gives no answer, the last one is {} s old", age.as_secs())),
            (None, None) => {}
        }
        lines
    }

    /// Whose fault it was says what has to be mended.
    fn mend(&self) -> &'static str {
        match self.causes.first().map(|cause| cause.step) {
            Some(Step::AwaitQuiet) => "see what keeps its requests open, or give them longer with `drain.deadline`",
            Some(Step::Drain | Step::Park | Step::Aside) => "mend the host",
            _ => "mend the release",
        }
    }

    fn releases(&self) -> String {
        if self.outcome == Outcome::Refused {
            // Some may run this very release already.
            return "this run changed no host".to_owned();
        }
        let (done, all) = (self.new.len(), self.hosts.len());
        let which = if done == 0 || done == all { String::new() } else { format!(": {}", self.new.join(", ")) };
        format!("{done} of {all} hosts {} release {}{which}", if done == 1 { "runs" } else { "run" }, self.release)
    }

    pub(super) fn next(&self) -> Option<String> {
        let again = self.command("");
        let (resume, rollback) = (self.command("resume "), self.command("rollback "));
        match self.outcome {
            Outcome::Done => None,
            Outcome::Refused if self.committed.is_some() => {
                let to = format!("`{}` puts a release in place again", self.command("rollback --to RELEASE "));
                Some(if self.committed == Some(Committed::Ending) { format!("`{resume}` ends it; {to}") } else { to })
            }
            Outcome::Refused => Some(format!("mend what is named above, then `{again}`")),
            Outcome::Halted | Outcome::RevertFailed => {
                let what = if self.causes.iter().any(|cause| cause.is_lost) { "bring the host back" } else { "mend the host" };
                Some(format!("{what}, then `{resume}` to go on, or `{rollback}` to go back"))
            }
            Outcome::Reverted => Some(format!("{}, then `{again}`", self.mend())),
            Outcome::Locked => Some(format!("`roll status {}` shows how far it is", self.arguments)),
            Outcome::Fenced => Some(format!("`roll status {}` shows who has taken over", self.arguments)),
            Outcome::Interrupted => Some(format!("`{resume}` to go on, or `{rollback}` to go back")),
        }
    }

    fn command(&self, verb: &str) -> String {
        format!("roll {verb}{}", self.arguments)
    }
}

fn because(cause: &Cause) -> String {
    let Cause { host, said, .. } = cause;
    let doing = super::words::doing(cause.step);
    match (cause.is_touched, cause.is_lost) {
        (false, false) if cause.step != Step::Check => {
            format!("`{host}` failed while {doing}, before any host was touched: {said}")
        }
        (false, true) => format!("`{host}` could not be reached before its turn, and was never touched: {said}"),
        (false, false) => format!("`{host}` was not ready for its turn, and was never touched: {said}"),
        (true, true) => format!("`{host}` was lost while {doing}: {said}"),
        (true, false) if cause.is_back => format!("`{host}` could not be brought back ({doing}): {said}"),
        (true, false) => format!("`{host}` failed while {doing}: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        list.split_whitespace().map(str::to_owned).collect()
    }

    fn cause(step: Step, said: &str) -> Cause {
        Cause { host: "web2".into(), step, is_touched: true, is_lost: false, is_back: false, said: said.into() }
    }

    fn told(outcome: Outcome, causes: &[Cause], new: &str, out: &str) -> String {
        let end = End {
            outcome,
            release: "7f3a",
            causes,
            refusal: None,
            committed: None,
            hosts: &names("web1 web2 web3"),
            new: &names(new),
            out: &names(out),
            idle: &[],
            silent: &[],
            healthy: Some((3 - out.split_whitespace().count(), 3)),
            unread: None,
            arguments: "site.yaml",
        };
        let lines = end.why().into_iter().chain(end.now()).chain(end.next());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_early_end_says_why_what_is_true_and_what_to_do() {
        let unhealthy = cause(Step::Verify, "try 12: GET /up -> 503");
        let stuck = Cause { is_back: true, ..cause(Step::Unpark, "port is taken") };
        let lost = Cause { is_lost: true, ..cause(Step::Switch, "connection reset") };
        let busy = Cause { is_touched: false, ..cause(Step::Check, "a migration is pending") };
        let rows = [
            told(Outcome::Reverted, std::slice::from_ref(&unhealthy), "", ""),
            told(Outcome::RevertFailed, &[unhealthy, stuck], "web1", "web2"),
            told(Outcome::RevertFailed, &[lost], "web1 web2", "web2"),
            told(Outcome::Halted, &[busy], "web1", ""),
            told(Outcome::Interrupted, &[], "web1", ""),
        ];
        let expected = include_str!("../../../tests/cases/rollout/endings.txt");
        assert_eq!(rows.join("\n\n") + "\n", expected);
    }

    #[test]
    fn a_host_that_died_before_its_turn() {
        let cause = Cause {
            host: "web3".into(),
            step: Step::Check,
            is_touched: false,
            is_lost: true,
            is_back: false,
            said: "connection to 10.0.0.3 port 22: no route to host".into(),
        };
        let end = End {
            outcome: Outcome::Halted,
            release: "7f3a",
            causes: &[cause],
            refusal: None,
            committed: None,
            hosts: &names("web1 web2 web3"),
            new: &names("web1 web2"),
            out: &[],
            idle: &[],
            silent: &[],
            healthy: Some((2, 3)),
            unread: None,
            arguments: "-i hosts site.yaml -e release=7f3a",
        };
        let said = "`web3` could not be reached before its turn, and was never touched: connection to 10.0.0.3 port 22: no route to host";
        assert_eq!(end.why().as_deref(), Some(said));
        assert_eq!(end.now(), ["2 of 3 hosts run release 7f3a: web1, web2", "2 of 3 targets are healthy, read just now"]);
        let next = "bring the host back, then `roll resume -i hosts site.yaml -e release=7f3a` to go on, \
                    or `roll rollback -i hosts site.yaml -e release=7f3a` to go back";
        assert_eq!(end.next().as_deref(), Some(next));
    }
}
