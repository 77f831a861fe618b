//! The way back to the old release. It goes by what was asked for, whether or not it is known to have happened.

use super::{Answer, Ask, At, Effect, Goal, Guards, Host, Outcome, Rollout, Step, paths};

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
        let state = &self.hosts[host];
        if !matches!(state.at, At::Early | At::Ready | At::Forward(_) | At::Done) {
            return;
        }
        let is_whole = !state.may_be_parked && !state.is_new;
        let from = |step: Step| At::Back(paths::after(self.path_back(state), step) - 1);
        let at = match () {
            () if !state.is_touched => At::Ready,
            () if self.is_start_first(state) => from(Step::Revive),
            () if is_whole && self.has(Guards::REVERT_ENABLE) => from(Step::Enable),
            () if is_whole => At::Reverted,
            () if !self.has(Guards::REVERT_DRAIN) => from(Step::Unpark),
            () if state.may_serve => from(Step::Drain),
            () if !state.is_quiet => from(Step::AwaitQuiet),
            () => from(Step::Unpark),
        };
        self.hosts[host].at = at;
    }

    fn go_back(&mut self, host: Host, effects: &mut Vec<Effect>) {
        let has_old = self.hosts[host].has_old;
        match (self.hosts[host].at, self.next_step(host)) {
            // Through the gate.
            (At::Back(_), Some(Step::Drain)) => {}
            // A first installation has nothing to go back to: out of the balancer it does no harm.
            (At::Back(_), Some(Step::Unpark)) if !has_old => self.hosts[host].at = At::Failed,
            (At::Back(_), Some(step)) => self.ask(host, step, effects),
            (At::Back(_), None) => self.hosts[host].at = At::Reverted,
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
        let state = &self.hosts[ask.host];
        let is_start_first = self.is_start_first(state);
        let next = At::Back(paths::after(self.path_back(state), ask.step));
        let host = &mut self.hosts[ask.host];
        let is_done = match ask.step {
            // Whatever is still connected, seen or not, is connected to a release that has to go.
            Step::AwaitQuiet => true,
            // What did not serve before need not serve now.
            Step::Verify | Step::AwaitHealthy => answer == Answer::Ok || !host.served_before,
            _ => answer == Answer::Ok,
        };
        if !is_done {
            return self.give_up(ask.host);
        }
        host.at = next;
        match ask.step {
            Step::Drain => host.may_serve &= is_start_first,
            Step::Unpark => host.is_new = false,
            _ => {}
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
        let is_next = |host: &Host| {
            let state = &self.hosts[*host];
            matches!(state.at, At::Back(_)) && state.ask.is_none() && self.next_step(*host) == Some(Step::Drain)
        };
        if let Some(host) = self.batch.iter().copied().find(is_next) {
            self.ask_balancer(Some(host), effects);
        }
    }

    /// The batch is back; others follow one by one: those that an earlier try left half-way, then, if the rules say so, the ones
    /// that are done, the latest first.
    fn after_batch(&mut self, effects: &mut Vec<Effect>) {
        let is_asked_to_stop = self.stop.is_some_and(|stop| stop != super::Stop::Halted);
        let goes_on = self.rules.goal == Goal::Old || (self.reverts_all() && self.stop.is_none());
        let is_left = |host: &Host| self.hosts[*host].is_touched && matches!(self.hosts[*host].at, At::Ready | At::Forward(_));
        let is_done = |host: &Host| self.hosts[*host].is_touched && self.hosts[*host].at == At::Done;
        let latest = || self.batches.iter().flatten().rev().copied().chain((0..self.hosts.len()).rev());
        let left = latest().find(is_left);
        let done = latest().find(is_done).filter(|_| !self.has_revert_failed && (goes_on || is_asked_to_stop));
        match left.or(done) {
            Some(_) if is_asked_to_stop => self.finish(Outcome::Interrupted, effects),
            Some(host) => {
                self.batch = vec![host];
                self.advance_back(effects);
            }
            None => self.finish(self.end_of_the_way_back(), effects),
        }
    }

    fn end_of_the_way_back(&self) -> Outcome {
        let has = |at: At| self.hosts.iter().any(|host| host.at == at);
        let is_touched = self.hosts.iter().any(|host| host.is_touched);
        match () {
            () if self.has_revert_failed => Outcome::RevertFailed,
            () if has(At::Done) || has(At::Failed) => Outcome::Halted,
            () if self.rules.goal == Goal::Old => self.all_done(),
            () if is_touched => Outcome::Reverted,
            () => Outcome::Refused,
        }
    }
}
