//! The way to the new release.

use super::{Answer, Ask, At, Effect, Guards, Host, OnFailure, Outcome, Rollout, Stage, Step, Stop, paths};

impl Rollout {
    pub(super) fn went_forward(&mut self, ask: Ask, answer: Answer, effects: &mut Vec<Effect>) {
        let host = &mut self.hosts[ask.host];
        let is_done = match (ask.step, answer) {
            // Not now: it may be that the balancer could not be spoken to. What is true then is read anew.
            (Step::Check | Step::Drain, Answer::Busy) => {
                if ask.step == Step::Check {
                    host.at = At::Ready;
                }
                if !self.is_back {
                    self.hold_for(ask.host, effects);
                }
                return;
            }
            // Whatever came of it, the release is in place.
            (Step::Retire, _) => return,
            // Nothing was there to be put aside: right only where the app never ran.
            (Step::Park, Answer::Empty) => !host.has_old,
            (_, answer) => answer == Answer::Ok,
        };
        if !is_done {
            return self.failed(ask.host);
        }
        let path = self.path(&self.hosts[ask.host]);
        let is_start_first = self.is_start_first(&self.hosts[ask.host]);
        let host = &mut self.hosts[ask.host];
        host.at = At::Forward(paths::after(path, ask.step));
        match (ask.step, answer) {
            (Step::Drain, _) => host.may_serve &= is_start_first,
            (Step::AwaitQuiet, _) => host.is_quiet = true,
            // Also one that was there without running can be gone back to.
            (Step::Park, Answer::Ok) => host.has_old = true,
            _ => {}
        }
    }

    pub(super) fn advance_forward(&mut self, effects: &mut Vec<Effect>) {
        if self.stop.is_some() && self.has(Guards::INTERRUPT) {
            self.drop_untouched();
        } else if self.stop.is_some() {
            return self.finish(Outcome::Interrupted, effects);
        }
        if self.batch.is_empty() {
            return self.next_batch(effects);
        }
        for host in self.batch.clone() {
            self.go_on(host, effects);
        }
        self.go_on_together(effects);
        self.let_one_leave(effects);
    }

    /// What a host does without regard to the others of its batch.
    fn go_on(&mut self, host: Host, effects: &mut Vec<Effect>) {
        let next = self.next_step(host).filter(|_| self.hosts[host].ask.is_none());
        // Those are one host's at a time, or the whole batch's.
        let is_alone = |step: &Step| !matches!(step, Step::Check | Step::Drain) && !paths::is_play(*step);
        if let Some(step) = next.filter(is_alone) {
            self.ask(host, step, effects);
        }
    }

    /// What the hosts of a batch do together, as soon as none of them is still on its way there. One that an earlier try brought further
    /// waits at the next such step.
    fn go_on_together(&mut self, effects: &mut Vec<Effect>) {
        let is_free = |host: &Host| self.hosts[*host].ask.is_none();
        if self.batch.iter().all(|host| is_free(host) && self.next_step(*host).is_none()) {
            for host in self.batch.clone() {
                self.hosts[host].at = At::Done;
            }
            return self.next_batch(effects);
        }
        for step in [Step::Switch, Step::Confirm, Step::Bake] {
            let is_there = |host: &Host| self.next_step(*host) == Some(step) && is_free(host);
            let (there, others): (Vec<Host>, Vec<Host>) = self.batch.iter().copied().partition(is_there);
            if !there.is_empty() && !others.into_iter().any(|host| self.is_before(host, step)) {
                return self.ask_together(there, step, effects);
            }
        }
    }

    pub(super) fn next_batch(&mut self, effects: &mut Vec<Effect>) {
        self.gate.clear();
        self.batch.clear();
        while self.batch.is_empty() && self.batches_begun < self.batches.len() {
            self.batch.clone_from(&self.batches[self.batches_begun]);
            self.batches_begun += 1;
            if self.stop.is_some() {
                self.drop_untouched();
            }
        }
        let is_through = |at: At| matches!(at, At::Done | At::Skipped);
        match self.batch.is_empty() {
            false => self.advance_forward(effects),
            true if self.hosts.iter().all(|host| is_through(host.at)) => self.retire(effects),
            true => self.finish(self.end_of_the_stop(), effects),
        }
    }

    /// What was touched turns back; what never was is left alone, and so is everybody who is done.
    pub(super) fn failed(&mut self, host: Host) {
        if self.hosts[host].is_touched || !self.has(Guards::UNTOUCHED) {
            return self.turn_back();
        }
        self.gate.clear();
        self.stop = self.stop.or(Some(Stop::Halted));
    }

    pub(super) fn end_of_the_stop(&self) -> Outcome {
        let is_touched = self.hosts.iter().any(|host| host.is_touched);
        match self.stop {
            Some(Stop::Halted) if is_touched => Outcome::Halted,
            Some(Stop::Halted) => Outcome::Refused,
            Some(Stop::Interrupted | Stop::Yielding) | None => Outcome::Interrupted,
        }
    }

    /// Asked to stop, hosts that have not left stay where they are.
    fn drop_untouched(&mut self) {
        let (hosts, gate) = (&mut self.hosts, &mut self.gate);
        self.batch.retain(|host| {
            let state = &mut hosts[*host];
            if !state.is_touched {
                state.ask = None;
                state.at = At::Ready;
                gate.clear();
            }
            state.is_touched
        });
    }

    fn retire(&mut self, effects: &mut Vec<Effect>) {
        self.stage = Stage::Retiring;
        for host in self.hosts_where(|host| host.at == At::Done) {
            self.ask(host, Step::Retire, effects);
        }
        if self.hosts.iter().all(|host| host.ask.is_none()) {
            self.finish(self.all_done(), effects);
        }
    }

    /// A host that was left out is not on the new release.
    pub(super) fn all_done(&self) -> Outcome {
        let has_skipped = self.hosts.iter().any(|host| host.at == At::Skipped);
        if has_skipped { Outcome::Halted } else { Outcome::Done }
    }

    pub(super) fn reverts_all(&self) -> bool {
        self.rules.on_failure == OnFailure::Revert
    }
}
