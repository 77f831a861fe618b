//! On all hosts, while all of them serve: nothing leaves the balancer before everything that can fail early has passed.

use super::{Answer, Ask, At, Effect, Goal, Guards, Host, Outcome, Reached, Rollout, Stage, Step, paths};

impl Rollout {
    pub(super) fn start(&mut self, effects: &mut Vec<Effect>) {
        if self.stage == Stage::Idle {
            self.enter(Step::Lock, effects);
        }
    }

    fn enter(&mut self, step: Step, effects: &mut Vec<Effect>) {
        let has = match step {
            Step::Lock => self.has(Guards::LOCK),
            Step::Number => self.has(Guards::NUMBER),
            // What runs already is not prepared for again.
            Step::Prepare => self.rules.goal != Goal::Old,
            _ => true,
        };
        self.stage = Stage::Early(step);
        if !has {
            return self.leave(step, effects);
        }
        match step {
            Step::Lock => self.lock_next(effects),
            Step::Prepare => self.ask_together(self.living(), step, effects),
            _ => self.living().into_iter().for_each(|host| self.ask(host, step, effects)),
        }
    }

    fn leave(&mut self, step: Step, effects: &mut Vec<Effect>) {
        let next = paths::EARLY.iter().skip_while(|other| **other != step).nth(1);
        match next {
            Some(next) => self.enter(*next, effects),
            None => {
                self.stage = Stage::Ordering;
                self.hosts.iter_mut().filter(|host| host.at == At::Early).for_each(|host| host.at = At::Ready);
                self.ask_balancer(None, effects);
            }
        }
    }

    pub(super) fn living(&self) -> Vec<Host> {
        self.hosts_where(super::host::HostState::is_alive)
    }

    /// The first one alone: whoever has it gets the others. Two rollouts at once would else take each other's hosts away.
    fn lock_next(&mut self, effects: &mut Vec<Effect>) {
        let order: Vec<Host> = self.rules.lock_order.iter().copied().filter(|host| self.is_unlocked(*host)).collect();
        let has_one = self.hosts.iter().any(|host| host.is_locked);
        let is_asked = self.hosts.iter().any(|host| host.ask.is_some());
        let next = match (has_one, is_asked) {
            (true, _) => &order[..],
            (false, true) => &[],
            (false, false) => &order[..order.len().min(1)],
        };
        for host in next {
            self.ask(*host, Step::Lock, effects);
        }
    }

    fn is_unlocked(&self, host: Host) -> bool {
        self.hosts.get(host).is_some_and(|state| state.at == At::Early && !state.is_locked && state.ask.is_none())
    }

    pub(super) fn advance_early(&mut self, effects: &mut Vec<Effect>) {
        if self.stop.is_some() {
            return self.finish(Outcome::Interrupted, effects);
        }
        let Stage::Early(step) = self.stage else { return };
        if step == Step::Lock {
            self.lock_next(effects);
        }
        if self.hosts.iter().any(|host| host.ask.is_some()) {
            return;
        }
        if self.hosts.iter().any(|host| host.at == At::Failed) || self.living().is_empty() {
            return self.finish(Outcome::Refused, effects);
        }
        self.leave(step, effects);
    }

    pub(super) fn went_early(&mut self, ask: Ask, answer: Answer, effects: &mut Vec<Effect>) {
        let resumes = self.has(Guards::RESUME);
        let is_dead = self.hosts[ask.host].is_lost && self.rules.skip_dead;
        let host = &mut self.hosts[ask.host];
        match (ask.step, answer) {
            (Step::Lock, Answer::Held) => self.finish(Outcome::Locked, effects),
            (Step::Lock, Answer::Ok) => host.is_locked = true,
            (Step::Inspect, Answer::Found(found)) if resumes => host.found(found),
            (Step::Inspect, Answer::Found(found)) => {
                host.has_old = found.has_old;
                host.is_accompanied = found.has_old;
            }
            (Step::Number | Step::Prepare, Answer::Ok) => {}
            (_, _) if is_dead => host.at = At::Skipped,
            // The others are heard, too, so that everything that is wrong is said at once.
            (_, _) => host.at = At::Failed,
        }
    }

    /// Takes up what an unfinished rollout left, once it is known who serves.
    pub(super) fn take_up(&mut self, host: Host, is_serving: bool) {
        let is_finishing = self.rules.goal == Goal::Finish;
        let state = &self.hosts[host];
        let path = self.path(state);
        let at = match state.reached {
            Reached::Done if is_serving || self.rules.goal == Goal::Old => At::Done,
            Reached::Done | Reached::Switched => At::Forward(paths::after(path, Step::Switch)),
            Reached::Retired if is_finishing => At::Done,
            Reached::Left | Reached::Parked if self.rules.goal == Goal::Old => At::Forward(0),
            Reached::Nothing | Reached::Left | Reached::Parked | Reached::Retired => At::Ready,
        };
        let state = &mut self.hosts[host];
        state.at = at;
        state.is_new |= is_finishing && state.reached == Reached::Retired;
        state.served_before |= is_serving && !state.is_touched;
    }
}
