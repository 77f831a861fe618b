//! The floor: who may leave the balancer, decided in the very moment a fresh reading arrives.

use super::{At, Effect, Floor, Guards, Host, Outcome, ReadToken, Reading, Rollout, Stage, Step, TimerToken};
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

    /// A target that does not serve takes nothing away by leaving; one that does may leave only above the floor.
    fn may_leave(&self, host: Host, reading: &Reading) -> bool {
        let live = reading.serving.len() + reading.others;
        !self.has(Guards::FLOOR) || !reading.serving.contains(&host) || live > self.floor_for(self.batch.len())
    }

    pub(super) fn floor_for(&self, batch: usize) -> usize {
        match self.rules.floor {
            Floor::Count(count) => count,
            Floor::AllButBatch => (self.hosts.len() + self.others).saturating_sub(batch.max(1)),
        }
    }

    /// Not now: a pause, then everything is asked anew; a failure in the end.
    pub(super) fn hold(&mut self, effects: &mut Vec<Effect>) {
        self.gate.held += 1;
        if self.gate.held <= self.rules.patience {
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
            Some(host) if self.is_back => self.ask_balancer(Some(host), effects),
            // Readiness is as old as the pause: it is asked again, too.
            Some(host) => self.ask(host, Step::Check, effects),
        }
    }

    /// Hosts that do not serve go first: working on them costs nothing and may mend something.
    fn order(&mut self, reading: &Reading, effects: &mut Vec<Effect>) {
        self.gate.clear();
        self.others = reading.others;
        let (serving, idle): (Vec<Host>, Vec<Host>) = (0..self.hosts.len()).partition(|host| reading.serving.contains(host));
        for host in &serving {
            self.hosts[*host].served_before = true;
        }
        self.batches = split(&[idle, serving].concat(), &self.rules.batches);
        if !self.is_floor_possible() {
            return self.finish(Outcome::Refused, effects);
        }
        self.stage = Stage::Rolling;
        self.next_batch(effects);
    }

    /// Whether every batch could leave if all targets served; otherwise the rollout would stop half-way.
    fn is_floor_possible(&self) -> bool {
        let all = self.hosts.len() + self.others;
        self.batches.iter().all(|batch| all.saturating_sub(batch.len()) >= self.floor_for(batch.len()))
    }

    /// The next host of the batch that may think of leaving.
    pub(super) fn let_one_leave(&mut self, effects: &mut Vec<Effect>) {
        let is_leaving = |host: &&Host| self.hosts[**host].ask.is_some_and(|ask| matches!(ask.step, Step::Check | Step::Drain));
        if self.gate.is_busy() || self.batch.iter().any(|host| is_leaving(&host)) {
            return;
        }
        let at = |wanted: At| {
            self.batch.iter().copied().find(|host| self.hosts[*host].at == wanted && self.hosts[*host].ask.is_none())
        };
        let ready = if self.has(Guards::READY) { At::Ready } else { At::Prepared };
        if let Some(host) = at(ready) {
            self.ask_balancer(Some(host), effects);
        } else if let Some(host) = at(At::Prepared) {
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
