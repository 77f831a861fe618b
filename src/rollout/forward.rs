//! The way to the new release.

use super::{Answer, Ask, At, Effect, Guards, Host, OnFailure, Outcome, Rollout, Stage, Step, Stop};

impl Rollout {
    /// On all hosts, while all of them serve: nothing leaves the balancer before everything that can fail early has passed.
    pub(super) fn advance_before(&mut self, effects: &mut Vec<Effect>) {
        if self.stop.is_some() {
            return self.finish(Outcome::Interrupted, effects);
        }
        let is_all = |at: At| self.hosts.iter().all(|host| host.at == at && host.ask.is_none());
        match self.stage {
            Stage::Inspecting if is_all(At::Inspected) => {
                self.stage = Stage::Preparing;
                self.batch = (0..self.hosts.len()).collect();
                self.ask_together(Step::Prepare, effects);
            }
            Stage::Preparing if is_all(At::Prepared) => {
                self.stage = Stage::Ordering;
                self.batch.clear();
                self.ask_balancer(None, effects);
            }
            _ => {}
        }
    }

    pub(super) fn went_forward(&mut self, ask: Ask, answer: Answer, effects: &mut Vec<Effect>) {
        let host = &mut self.hosts[ask.host];
        let is_ok = answer == Answer::Ok;
        let reached = match (ask.step, answer) {
            (Step::Inspect, Answer::Ok | Answer::Empty) => {
                host.has_old = is_ok;
                At::Inspected
            }
            (Step::Prepare, Answer::Ok) => At::Prepared,
            (Step::Inspect | Step::Prepare, _) => return self.finish(Outcome::Refused, effects),
            (Step::Check, Answer::Ok) => At::Ready,
            // Not now: it may be that the balancer could not be spoken to. What is true then is read anew.
            (Step::Check | Step::Drain, Answer::Busy) => {
                host.at = At::Prepared;
                if !self.is_back {
                    self.hold_for(ask.host, effects);
                }
                return;
            }
            (Step::Drain, Answer::Ok) => {
                host.may_serve = false;
                At::Drained
            }
            (Step::AwaitQuiet, Answer::Ok) => At::Quiet,
            (Step::AwaitQuiet, Answer::Capped) if self.rules.may_cut => At::Quiet,
            (Step::Park, Answer::Ok) => {
                // Also one that was there without running can be gone back to.
                host.has_old = true;
                At::Parked
            }
            // Nothing was there to be put aside: right only where the app never ran.
            (Step::Park, Answer::Empty) if !host.has_old => At::Parked,
            (Step::Switch, Answer::Ok) => At::Switched,
            (Step::Verify, Answer::Ok) => At::Verified,
            (Step::Enable, Answer::Ok) => At::Enabled,
            (Step::AwaitHealthy, Answer::Ok) => At::Healthy,
            (Step::Confirm, Answer::Ok) => At::Confirmed,
            (Step::Bake, Answer::Ok) => At::Baked,
            // Whatever came of it, the release is in place.
            (Step::Retire, _) => At::Done,
            (_, _) => return self.failed(ask.host),
        };
        host.at = reached;
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
            if self.hosts[host].ask.is_none() {
                self.go_on(host, effects);
            }
        }
        self.go_on_together(effects);
        self.let_one_leave(effects);
    }

    /// What a host does without regard to the others of its batch.
    fn go_on(&mut self, host: Host, effects: &mut Vec<Effect>) {
        // The model takes steps away by pretending that they were done.
        let skip = |guard: Guards, at: At| if self.has(guard) { self.hosts[host].at } else { at };
        let at = match self.hosts[host].at {
            At::Drained => skip(Guards::QUIET, At::Quiet),
            At::Quiet => skip(Guards::PARK, At::Parked),
            At::Switched => skip(Guards::VERIFY, At::Verified),
            At::Enabled => skip(Guards::HEALTHY, At::Healthy),
            at => at,
        };
        self.hosts[host].at = at;
        match at {
            At::Drained => self.ask(host, Step::AwaitQuiet, effects),
            At::Quiet => self.ask(host, Step::Park, effects),
            At::Switched => self.ask(host, Step::Verify, effects),
            At::Verified => self.ask(host, Step::Enable, effects),
            At::Enabled => self.ask(host, Step::AwaitHealthy, effects),
            _ => {}
        }
    }

    /// What a batch does when all its hosts have come so far.
    fn go_on_together(&mut self, effects: &mut Vec<Effect>) {
        let first = self.batch.first().map(|host| self.hosts[*host].at);
        let is_all = self.batch.iter().all(|host| Some(self.hosts[*host].at) == first && self.hosts[*host].ask.is_none());
        match first.filter(|_| is_all) {
            Some(At::Parked) => self.ask_together(Step::Switch, effects),
            Some(At::Healthy) => self.ask_together(Step::Confirm, effects),
            Some(At::Confirmed) if self.rules.bake && self.has(Guards::BAKE) => self.ask_together(Step::Bake, effects),
            Some(At::Confirmed | At::Baked) => {
                for host in self.batch.clone() {
                    self.hosts[host].at = At::Done;
                }
                self.next_batch(effects);
            }
            _ => {}
        }
    }

    pub(super) fn next_batch(&mut self, effects: &mut Vec<Effect>) {
        self.gate.clear();
        let is_last = self.batches_done >= self.batches.len();
        if is_last && self.hosts.iter().all(|host| host.at == At::Done) {
            return self.retire(effects);
        }
        if self.stop.is_some() || is_last {
            return self.finish(self.end_of_the_stop(), effects);
        }
        self.batch = self.batches[self.batches_done].clone();
        self.batches_done += 1;
        self.let_one_leave(effects);
    }

    /// What was touched turns back; what never was is left alone, and so is everybody who is done.
    pub(super) fn failed(&mut self, host: Host) {
        if self.hosts[host].is_touched || !self.has(Guards::UNTOUCHED) {
            return self.turn_back();
        }
        self.gate.clear();
        self.stop = self.stop.or(Some(Stop::Halted));
    }

    fn end_of_the_stop(&self) -> Outcome {
        let is_touched = self.hosts.iter().any(|host| host.is_touched);
        match self.stop {
            Some(Stop::Halted) if is_touched => Outcome::Halted,
            Some(Stop::Halted) => Outcome::Refused,
            Some(Stop::Interrupted) | None => Outcome::Interrupted,
        }
    }

    /// Asked to stop, hosts that have not left stay where they are.
    fn drop_untouched(&mut self) {
        let (hosts, gate) = (&mut self.hosts, &mut self.gate);
        self.batch.retain(|host| {
            let state = &mut hosts[*host];
            if !state.is_touched {
                state.ask = None;
                state.at = At::Prepared;
                gate.clear();
            }
            state.is_touched
        });
    }

    fn retire(&mut self, effects: &mut Vec<Effect>) {
        self.stage = Stage::Retiring;
        self.batch.clear();
        for host in 0..self.hosts.len() {
            self.ask(host, Step::Retire, effects);
        }
        if self.hosts.is_empty() {
            self.finish(Outcome::Done, effects);
        }
    }

    pub(super) fn reverts_all(&self) -> bool {
        self.rules.on_failure == OnFailure::Revert
    }
}
