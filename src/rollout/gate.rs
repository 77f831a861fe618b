//! The floor: who may leave the balancer, decided in the very moment a fresh reading arrives.

use super::{
    At, Effect, Floor, Goal, Guards, Host, Outcome, Pool, Reached, ReadToken, Reading, Rollout, Stage, Step, TimerToken,
};
use std::collections::BTreeSet;

/// At most one host at a time is on its way out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Gate {
    reads: u16,
    waits: Waits,
    /// Who wants to leave; none while the order is made.
    host: Option<Host>,
    /// How often it was told "not now".
    held: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Waits {
    #[default]
    Nothing,
    Reading,
    Pause,
}

impl Gate {
    pub(super) fn awaited(&self) -> Option<Effect> {
        match self.waits {
            Waits::Nothing => None,
            Waits::Reading => Some(Effect::ReadBalancer(ReadToken(self.reads))),
            Waits::Pause => Some(Effect::SetTimer(TimerToken(self.reads))),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.waits != Waits::Nothing
    }

    /// It wants to leave, and is not on its way out yet.
    pub(super) fn holds(&self, host: Host) -> bool {
        self.host == Some(host)
    }

    pub(super) fn held_back(&self) -> Option<Host> {
        self.host.filter(|_| self.waits == Waits::Pause)
    }

    /// Nobody wants to leave any more.
    pub(super) fn clear(&mut self) {
        self.waits = Waits::Nothing;
        self.host = None;
        self.held = 0;
    }
}

impl Rollout {
    /// Asks the balancer on behalf of a host that wants to leave, or for the order.
    pub(super) fn ask_balancer(&mut self, host: Option<Host>, effects: &mut Vec<Effect>) {
        if self.gate.host != host {
            self.gate.held = 0;
        }
        self.gate.host = host;
        self.gate.reads = self.gate.reads.wrapping_add(1);
        self.gate.waits = Waits::Reading;
        effects.push(Effect::ReadBalancer(ReadToken(self.gate.reads)));
    }

    pub(super) fn read(&mut self, token: ReadToken, reading: Option<Reading>, effects: &mut Vec<Effect>) {
        let is_newest = token.0 == self.gate.reads || !self.has(Guards::FRESH);
        if self.gate.waits != Waits::Reading || !is_newest {
            return;
        }
        self.gate.waits = Waits::Nothing;
        let Some(reading) = reading else { return self.hold(effects) };
        match self.gate.host {
            None => self.order(&reading, effects),
            Some(host) if self.may_leave(host, &reading) => {
                self.gate.clear();
                self.ask(host, Step::Drain, effects);
            }
            Some(_) => self.hold(effects),
        }
    }

    /// A target that does not serve takes nothing away by leaving; one that does may leave only above the floor. Start-first, one may
    /// leave when the other one of its host serves.
    fn may_leave(&self, host: Host, reading: &Reading) -> bool {
        let state = &self.hosts[host];
        if self.is_start_first(state) && self.has(Guards::TWICE) {
            let (stays, leaves) =
                if self.is_back { (&reading.by_old, &reading.by_new) } else { (&reading.by_new, &reading.by_old) };
            return stays.contains(&host) || !leaves.contains(&host);
        }
        let counts = reading.serving.contains(&host);
        let others = self.others_of(host, &reading.serving) + reading.others;
        let is_idle = !counts && !reading.wavering.contains(&host);
        let keeps_floor = !self.has(Guards::FLOOR) || is_idle || others >= self.floor_for(self.batch.len());
        keeps_floor && (!self.has(Guards::POOL) || reading.pools.iter().all(|pool| self.may_leave_pool(host, pool)))
    }

    /// Hosts but this one that serve. A balancer that lags may still show as serving what was taken out just now.
    fn others_of(&self, host: Host, serving: &BTreeSet<Host>) -> usize {
        let may_serve = |other: &Host| self.hosts[*other].may_serve || !self.has(Guards::OWN);
        serving.iter().filter(|other| **other != host && may_serve(other)).count()
    }

    fn may_leave_pool(&self, host: Host, pool: &Pool) -> bool {
        !pool.serving.contains(&host) || self.others_of(host, &pool.serving) + pool.others >= self.pool_floor(pool, &self.batch)
    }

    /// Who accepts downtime accepts it in every pool.
    fn pool_floor(&self, pool: &Pool, batch: &[Host]) -> usize {
        let left = self.all_of(pool).saturating_sub(batch.iter().filter(|host| pool.hosts.contains(host)).count());
        if self.rules.accept_downtime { pool.floor.min(left) } else { pool.floor }
    }

    /// Those that could serve in a pool.
    fn all_of(&self, pool: &Pool) -> usize {
        pool.hosts.iter().filter(|host| self.hosts[**host].is_alive()).count() + pool.others
    }

    pub(super) fn floor_for(&self, batch: usize) -> usize {
        match self.rules.floor {
            Floor::Count(count) => count,
            Floor::AllButBatch => self.all_targets().saturating_sub(batch.max(1)),
        }
    }

    /// Those that could serve.
    pub(super) fn all_targets(&self) -> usize {
        self.living().len() + self.others
    }

    /// Not now: a pause, then everything is asked anew; a failure in the end.
    pub(super) fn hold(&mut self, effects: &mut Vec<Effect>) {
        self.gate.held += 1;
        if let Some(host) = self.gate.host {
            self.hosts[host].round = self.hosts[host].round.wrapping_add(1);
        }
        if self.gate.held <= self.patience() {
            self.gate.reads = self.gate.reads.wrapping_add(1);
            self.gate.waits = Waits::Pause;
            effects.push(Effect::SetTimer(TimerToken(self.gate.reads)));
            return;
        }
        let host = self.gate.host;
        self.gate.clear();
        match host {
            None => self.finish(Outcome::Refused, effects),
            Some(host) if self.is_back => self.give_up(host),
            Some(host) => self.failed(host),
        }
    }

    /// While no host is worse off for it, whoever waits is told sooner.
    fn patience(&self) -> u16 {
        let is_at_the_start = self.gate.host.is_none() && !self.hosts.iter().any(|host| host.is_touched);
        if is_at_the_start { self.rules.patience.div_ceil(6) } else { self.rules.patience }
    }

    /// "Busy" and "not readable" share one budget.
    pub(super) fn hold_for(&mut self, host: Host, effects: &mut Vec<Effect>) {
        if self.gate.host != Some(host) {
            self.gate.held = 0;
        }
        self.gate.host = Some(host);
        self.hold(effects);
    }

    pub(super) fn timer(&mut self, token: TimerToken, effects: &mut Vec<Effect>) {
        if self.gate.waits != Waits::Pause || token.0 != self.gate.reads {
            return;
        }
        self.gate.waits = Waits::Nothing;
        match self.gate.host {
            None => self.ask_balancer(None, effects),
            Some(host) if self.is_back || !self.is_before(host, Step::Switch) => self.ask_balancer(Some(host), effects),
            // Readiness is as old as the pause: it is asked again, too.
            Some(host) => {
                self.hosts[host].at = At::Ready;
                self.let_one_leave(effects);
            }
        }
    }

    /// What an earlier try left unfinished goes first, then hosts that do not serve: working on them costs nothing and may mend something.
    fn order(&mut self, reading: &Reading, effects: &mut Vec<Effect>) {
        self.gate.clear();
        self.others = reading.others;
        let is_serving = |host: &Host| reading.serving.contains(host) || reading.wavering.contains(host);
        for host in self.living() {
            self.take_up(host, is_serving(&host));
        }
        let is_old = self.rules.goal == Goal::Old;
        let is_committed = self.hosts.iter().any(|host| host.reached == Reached::Retired);
        if is_old && is_committed && self.has(Guards::RETIRED) {
            return self.finish(Outcome::Refused, effects);
        }
        let rank = |host: &Host| {
            let state = &self.hosts[*host];
            let is_done = state.at == At::Done;
            let is_idle = !self.has(Guards::IDLE_FIRST) || !is_serving(host);
            (is_done == is_old, !state.is_touched, !is_idle)
        };
        let mut hosts = self.living();
        hosts.sort_by_key(rank);
        self.stage = Stage::Rolling;
        if is_old {
            // The way back takes the latest first.
            self.batches = hosts.into_iter().rev().map(|host| vec![host]).collect();
            self.is_back = true;
            return;
        }
        if reading.is_unfit && self.has(Guards::FIT) && !self.hosts.iter().any(|host| host.is_touched) {
            return self.finish(Outcome::Refused, effects);
        }
        let mut batches = split(&hosts, &self.rules.batches);
        batches.iter_mut().for_each(|batch| batch.retain(|host| self.hosts[*host].at != At::Done));
        batches.retain(|batch| !batch.is_empty());
        self.batches = batches;
        self.short_pool = reading.pools.iter().position(|pool| !self.is_pool_possible(pool));
        if !self.is_floor_possible(reading) || self.short_pool.is_some() {
            return self.finish(Outcome::Refused, effects);
        }
        self.next_batch(effects);
    }

    /// Whether every batch could leave if all targets served; otherwise the rollout would stop half-way.
    fn is_floor_possible(&self, reading: &Reading) -> bool {
        if self.rules.start_first {
            return true;
        }
        let all = self.all_targets();
        let is_down =
            |batch: &Vec<Host>| batch.len() >= all && !reading.serving.is_empty() && self.rules.floor == Floor::AllButBatch;
        let is_above = |batch: &Vec<Host>| all.saturating_sub(batch.len()) >= self.floor_for(batch.len());
        self.batches.iter().all(|batch| is_above(batch) && (self.rules.accept_downtime || !is_down(batch)))
    }

    /// The same for one pool. Where nothing serves in it, nothing is lost by working on it.
    fn is_pool_possible(&self, pool: &Pool) -> bool {
        let serves = !pool.serving.is_empty() || pool.others > 0;
        let takes = |batch: &&Vec<Host>| batch.iter().any(|host| pool.hosts.contains(host));
        let left =
            |batch: &[Host]| self.all_of(pool).saturating_sub(batch.iter().filter(|host| pool.hosts.contains(host)).count());
        let is_kept = |batch: &Vec<Host>| left(batch) >= self.pool_floor(pool, batch);
        self.rules.start_first || !serves || !self.has(Guards::POOL) || self.batches.iter().filter(takes).all(is_kept)
    }

    /// The next host of the batch that may think of leaving.
    pub(super) fn let_one_leave(&mut self, effects: &mut Vec<Effect>) {
        let is_leaving = |host: &Host| self.hosts[*host].ask.is_some_and(|ask| matches!(ask.step, Step::Check | Step::Drain));
        if self.gate.is_busy() || self.batch.iter().any(is_leaving) {
            return;
        }
        let next = |wanted: Step| {
            let is_it = |host: &Host| {
                let state = &self.hosts[*host];
                let is_free = state.ask.is_none() && (state.is_touched || !self.is_paused);
                is_free && self.next_step(*host) == Some(wanted)
            };
            self.batch.iter().copied().find(is_it)
        };
        if let Some(host) = next(Step::Drain) {
            self.ask_balancer(Some(host), effects);
        } else if let Some(host) = next(Step::Check) {
            self.ask(host, Step::Check, effects);
        }
    }
}

fn split(hosts: &[Host], sizes: &[usize]) -> Vec<Vec<Host>> {
    let mut batches = Vec::new();
    let mut rest = hosts;
    let mut sizes = sizes.iter().copied();
    let mut size = hosts.len();
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size);
        let (batch, after) = rest.split_at(size.clamp(1, rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    debug_assert_eq!(batches.iter().flatten().collect::<BTreeSet<_>>().len(), hosts.len());
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_size_repeats() {
        assert_eq!(split(&[0, 1, 2, 3, 4], &[1, 2]), [vec![0], vec![1, 2], vec![3, 4]]);
        assert_eq!(split(&[0, 1, 2], &[]), [vec![0, 1, 2]]);
        assert_eq!(split(&[0, 1, 2], &[2]), [vec![0, 1], vec![2]]);
    }
}
