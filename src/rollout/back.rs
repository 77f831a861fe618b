//! The way back to the old release. It goes by what was asked for, whether or not it is known to have happened.

use super::{Answer, Ask, At, Effect, Guards, Host, Outcome, Rollout, Step, Stop};

impl Rollout {
    /// Something failed: from now on the hosts of the batch go back, each as soon as its own answer is in.
    pub(super) fn turn_back(&mut self) {
        self.is_back = true;
        self.gate.clear();
    }

    pub(super) fn advance_back(&mut self, effects: &mut Vec<Effect>) {
        for host in self.batch.clone() {
            self.hosts[host].ask = self.hosts[host].ask.filter(|ask| ask.is_back || ask.step != Step::Check);
            if self.hosts[host].ask.is_none() {
                self.turn(host);
                self.go_back(host, effects);
            }
        }
        self.let_one_leave_back(effects);
        if self.batch.iter().all(|host| self.hosts[*host].is_settled()) {
            self.after_batch(effects);
        }
    }

    /// Where the way back begins for a host that was still going forward.
    fn turn(&mut self, host: Host) {
        let drains_first = self.has(Guards::REVERT_DRAIN);
        let enables = self.has(Guards::REVERT_ENABLE);
        let state = &mut self.hosts[host];
        if state.at > At::Done {
            return;
        }
        state.at = match () {
            () if !state.is_touched => At::Prepared,
            () if !state.may_be_parked && !state.is_new => {
                if enables {
                    At::BackVerified
                } else {
                    At::Reverted
                }
            }
            () if state.may_serve && drains_first => At::BackServing,
            () => At::BackQuiet,
        };
    }

    fn go_back(&mut self, host: Host, effects: &mut Vec<Effect>) {
        let state = &mut self.hosts[host];
        // A first installation has nothing to go back to: out of the balancer it does no harm.
        if state.at == At::BackQuiet && !state.has_old {
            state.at = At::Failed;
        }
        match state.at {
            At::BackDrained => self.ask(host, Step::AwaitQuiet, effects),
            At::BackQuiet => self.ask(host, Step::Unpark, effects),
            At::BackUnparked => self.ask(host, Step::Verify, effects),
            At::BackVerified => self.ask(host, Step::Enable, effects),
            At::BackEnabled => self.ask(host, Step::AwaitHealthy, effects),
            _ => {}
        }
    }

    pub(super) fn came_back(&mut self, ask: Ask, answer: Answer, effects: &mut Vec<Effect>) {
        if ask.step == Step::Drain && answer == Answer::Busy {
            return self.hold_for(ask.host, effects);
        }
        // Requests are not cut because a look failed once.
        if ask.step == Step::AwaitQuiet && answer == Answer::Failed && self.ask_again(ask, effects) {
            return;
        }
        let host = &mut self.hosts[ask.host];
        let is_ok = answer == Answer::Ok;
        // What did not serve before need not serve now.
        let will_do = is_ok || !host.served_before;
        match ask.step {
            Step::Drain if is_ok => {
                host.may_serve = false;
                host.at = At::BackDrained;
            }
            // Whatever is still connected, seen or not, is connected to a release that has to go.
            Step::AwaitQuiet => host.at = At::BackQuiet,
            Step::Unpark if is_ok => {
                host.is_new = false;
                host.at = At::BackUnparked;
            }
            Step::Verify if will_do => host.at = At::BackVerified,
            Step::Enable if is_ok => host.at = At::BackEnabled,
            Step::AwaitHealthy if will_do => host.at = At::Reverted,
            _ => self.give_up(ask.host),
        }
    }

    /// A revert is never reverted: the host is left as it is, and said so.
    pub(super) fn give_up(&mut self, host: Host) {
        self.hosts[host].at = At::Failed;
        self.has_revert_failed = true;
    }

    /// One at a time through the gate, as on the way forward.
    fn let_one_leave_back(&mut self, effects: &mut Vec<Effect>) {
        let is_draining = |host: &Host| self.hosts[*host].ask.is_some_and(|ask| ask.step == Step::Drain);
        if self.gate.is_busy() || self.batch.iter().any(is_draining) {
            return;
        }
        let next =
            self.batch.iter().copied().find(|host| self.hosts[*host].at == At::BackServing && self.hosts[*host].ask.is_none());
        if let Some(host) = next {
            self.ask_balancer(Some(host), effects);
        }
    }

    /// The batch is back; the ones before it follow one by one, the latest first, if the rules say so.
    fn after_batch(&mut self, effects: &mut Vec<Effect>) {
        let done = self.batches.iter().flatten().rev().copied().find(|host| self.hosts[*host].at == At::Done);
        match done {
            Some(_) if self.stop == Some(Stop::Interrupted) && self.reverts_all() && !self.has_revert_failed => {
                self.finish(Outcome::Interrupted, effects);
            }
            Some(host) if self.stop.is_none() && self.reverts_all() && !self.has_revert_failed => {
                self.batch = vec![host];
                self.advance_back(effects);
            }
            _ => self.finish(self.end_of_the_way_back(), effects),
        }
    }

    fn end_of_the_way_back(&self) -> Outcome {
        let has = |at: At| self.hosts.iter().any(|host| host.at == at);
        match () {
            () if self.has_revert_failed => Outcome::RevertFailed,
            () if has(At::Done) || has(At::Failed) => Outcome::Halted,
            () if self.hosts.iter().any(|host| host.is_touched) => Outcome::Reverted,
            () => Outcome::Refused,
        }
    }
}
