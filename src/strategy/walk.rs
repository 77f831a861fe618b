//! How hosts move through the list of steps.

use super::{BTreeSet, BlockInfo, Effect, Ended, HandlerId, Host, Part, Slot, State, Step, StepKind, Strategy};

impl Strategy {
    pub(super) fn ended(&mut self, host: Host, ended: &Ended, effects: &mut Vec<Effect>) {
        if self.hosts.get(host).is_none_or(|state| !matches!(state.state, State::Busy | State::Held)) {
            return;
        }
        let at = self.hosts[host].at;
        self.next_include = None;
        let (once, fatal) = match self.slots[at].step.kind {
            StepKind::Task { once, fatal, .. } => (once, fatal),
            StepKind::EndBody(_) | StepKind::EndRescue(_) | StepKind::EndAlways(_) | StepKind::Flush => (false, false),
        };
        let mut together: Vec<Host> = vec![host];
        if once {
            together.extend(self.hosts_at(at, State::Following));
        }
        for one in together {
            self.end_one(one, ended, effects);
        }
        if matches!(ended, Ended::LeaveAll) {
            self.leave_all();
        }
        // Where hosts go their own ways, the failure of one says nothing about the others.
        if self.rules.linear && matches!(ended, Ended::Failed | Ended::Unreachable) && (fatal || self.is_over_limit()) {
            self.fatal = Some(at);
        }
    }

    pub(super) fn hold(&mut self, host: Host) {
        if let Some(state) = self.hosts.get_mut(host).filter(|state| state.state == State::Busy) {
            state.state = State::Held;
        }
    }

    fn end_one(&mut self, host: Host, ended: &Ended, effects: &mut Vec<Effect>) {
        let at = self.hosts[host].at;
        self.hosts[host].state = State::Ready;
        match ended {
            Ended::Ok => self.hosts[host].at = at + 1,
            Ended::Forgive => {
                self.hosts[host].at = at + 1;
                self.hosts.iter_mut().for_each(|host| host.failing.retain(|block| *block == usize::MAX));
            }
            Ended::Skip { tasks } => {
                self.hosts[host].at = at + 1;
                self.hosts[host].skipping.clone_from(tasks);
            }
            Ended::Failed => {
                if self.is_caught(host) {
                    effects.push(Effect::Rescued { host });
                }
                self.fail(host, effects);
            }
            Ended::Unreachable => {
                self.hosts[host].state = State::Unreachable;
                effects.push(Effect::HostFailed { host });
            }
            Ended::LeaveHost | Ended::LeaveAll => self.hosts[host].state = State::Left,
            Ended::Flush => {
                self.hosts[host].at = at + 1;
                let flush = Step { kind: StepKind::Flush, home: self.slots[at].step.home };
                let is_there = self.slots.get(at + 1).is_some_and(|slot| slot.step == flush && slot.only.is_some());
                if is_there {
                    self.slots[at + 1].only.get_or_insert_default().insert(host);
                } else {
                    let id = self.new_id();
                    self.insert(at + 1, vec![Slot { id, step: flush, only: Some(BTreeSet::from([host])), handler: None }]);
                    self.hosts[host].at = at + 1;
                }
            }
        }
    }

    /// Whether a rescue around the step the host is at takes the failure.
    fn is_caught(&self, host: Host) -> bool {
        let mut home = self.slots[self.hosts[host].at].step.home;
        while let Some((block, part)) = home {
            if part == Part::Body && self.blocks[block].has_rescue {
                return true;
            }
            home = self.blocks[block].home;
        }
        false
    }

    /// From the step the host is at, outwards: the nearest rescue or always takes over, or the host is out.
    fn fail(&mut self, host: Host, effects: &mut Vec<Effect>) {
        let mut home = self.slots[self.hosts[host].at].step.home;
        while let Some((block, part)) = home {
            let info = self.blocks[block];
            if part == Part::Body && info.has_rescue {
                return self.jump_behind(host, StepKind::EndBody(block));
            }
            if part != Part::Always && info.has_always {
                self.hosts[host].failing.insert(block);
                return self.jump_behind(host, StepKind::EndRescue(block));
            }
            home = info.home;
        }
        if self.rules.force_handlers && self.is_notified(host) {
            // It is out of everything but the handlers.
            self.hosts[host].failing.insert(usize::MAX);
            let next = self
                .slots
                .iter()
                .skip(self.hosts[host].at)
                .position(|slot| slot.step.kind == StepKind::Flush && slot.only.is_none());
            if let Some(offset) = next {
                self.hosts[host].at += offset;
                return;
            }
        }
        self.hosts[host].state = State::Failed;
        effects.push(Effect::HostFailed { host });
    }

    fn is_notified(&self, host: Host) -> bool {
        !self.hosts[host].failing.contains(&usize::MAX) && self.notified.values().any(|hosts| hosts.contains(&host))
    }

    fn jump_behind(&mut self, host: Host, marker: StepKind) {
        let from = self.hosts[host].at;
        if let Some(offset) = self.slots.iter().skip(from).position(|slot| slot.step.kind == marker) {
            self.hosts[host].at = from + offset + 1;
        }
    }

    fn is_over_limit(&self) -> bool {
        let failed = self.failed().len();
        self.rules.fail_percentage_max.is_some_and(|limit| failed * 100 > limit as usize * self.hosts.len())
    }

    /// The failure of one host is the failure of all, once no host is at the step any more: each fails there, with its rescue and
    /// always. In `free` the hosts are everywhere: nothing more is started for them.
    fn fail_the_others(&mut self, effects: &mut Vec<Effect>) {
        let Some(at) = self.fatal else { return };
        let is_at_it = |host: &super::HostState| match host.state {
            State::Busy | State::Held | State::Following => host.at <= at,
            State::Ready => host.at == at && self.rules.linear,
            State::Failed | State::Unreachable | State::Left | State::Done => false,
        };
        if self.hosts.iter().any(is_at_it) {
            return;
        }
        self.fatal = None;
        for host in 0..self.hosts.len() {
            let state = &self.hosts[host];
            // Who has come this far without failing is right behind the step.
            let was_there = state.at == at + 1 || !self.rules.linear;
            if state.state == State::Ready && !state.failing.contains(&usize::MAX) && was_there {
                if self.rules.linear {
                    self.hosts[host].at = at;
                }
                self.fail(host, effects);
            }
        }
    }

    fn leave_all(&mut self) {
        for host in &mut self.hosts {
            if matches!(host.state, State::Ready | State::Following) {
                host.state = State::Left;
            }
        }
        self.stopped = true;
    }

    fn hosts_at(&self, at: usize, state: State) -> Vec<Host> {
        self.hosts.iter().enumerate().filter(|(_, host)| host.at == at && host.state == state).map(|(id, _)| id).collect()
    }

    /// Puts the steps of an include behind the step its hosts are at. Block numbers in `steps` and `blocks` are final already.
    pub(super) fn include(&mut self, hosts: &BTreeSet<Host>, steps: &[Step], blocks: &[BlockInfo]) {
        let Some(at) = hosts.iter().filter_map(|host| self.hosts.get(*host)).map(|host| host.at).next() else { return };
        self.blocks.extend(blocks);
        // Behind what other includes at this very step have put there.
        let place = self.next_include.filter(|(step, _)| *step == at).map_or(at + 1, |(_, place)| place);
        self.next_include = Some((at, place + steps.len()));
        let slots =
            steps.iter().map(|step| Slot { id: self.new_id(), step: *step, only: Some(hosts.clone()), handler: None }).collect();
        self.insert(place, slots);
    }

    /// Hosts at or behind `place` move along with their steps.
    fn insert(&mut self, place: usize, slots: Vec<Slot>) {
        let count = slots.len();
        self.slots.splice(place..place, slots);
        for host in &mut self.hosts {
            let is_behind =
                host.at > place || (host.at == place && matches!(host.state, State::Busy | State::Held | State::Following));
            if is_behind {
                host.at += count;
            }
        }
    }

    /// Moves every host as far as it can go without running anything, then starts what may start.
    pub(super) fn advance(&mut self, effects: &mut Vec<Effect>) {
        if self.ended {
            return;
        }
        self.fail_the_others(effects);
        while self.pass(effects) || self.flush() {}
        if !self.stopped {
            self.start(effects);
        }
        // Once stopped, nobody comes any more for whom a held host waits.
        let is_idle = !self.hosts.iter().any(|host| match host.state {
            State::Busy | State::Following => true,
            State::Held => !self.stopped,
            State::Ready | State::Failed | State::Unreachable | State::Left | State::Done => false,
        });
        let nothing_left = self.stopped || !self.hosts.iter().any(|host| host.state == State::Ready);
        if is_idle && nothing_left && !effects.iter().any(|effect| matches!(effect, Effect::Run { .. })) {
            self.ended = true;
            effects.push(Effect::Finished);
        }
    }

    /// Takes hosts over steps at which nothing runs; false when there is none. In `linear` a host waits behind the step it has run
    /// until all have run it: a failure that is everybody's fails it there.
    fn pass(&mut self, effects: &mut Vec<Effect>) -> bool {
        let lowest = self.lowest().unwrap_or_default();
        let mut has_moved = false;
        for host in 0..self.hosts.len() {
            if self.hosts[host].state != State::Ready || (self.rules.linear && self.hosts[host].at > lowest) {
                continue;
            }
            let before = (self.hosts[host].at, self.hosts[host].state);
            self.pass_markers(host, effects);
            has_moved |= before != (self.hosts[host].at, self.hosts[host].state);
        }
        has_moved
    }

    /// Where the last of the hosts that take part is.
    fn lowest(&self) -> Option<usize> {
        let takes_part = |state: State| matches!(state, State::Ready | State::Busy | State::Held | State::Following);
        self.hosts.iter().filter(|host| takes_part(host.state)).map(|host| host.at).min()
    }

    fn pass_markers(&mut self, host: Host, effects: &mut Vec<Effect>) {
        while self.hosts[host].state == State::Ready {
            let Some(slot) = self.slots.get(self.hosts[host].at) else {
                return self.arrive(host, effects);
            };
            if slot.only.as_ref().is_some_and(|only| !only.contains(&host)) {
                self.hosts[host].at += 1;
                continue;
            }
            match slot.step.kind {
                StepKind::Task { .. } if slot.handler.is_none() && self.hosts[host].failing.contains(&usize::MAX) => {
                    self.hosts[host].at += 1;
                }
                StepKind::Task { task, .. } if slot.handler.is_none() && self.hosts[host].skipping.contains(&task) => {
                    self.hosts[host].at += 1;
                }
                StepKind::Task { .. } | StepKind::Flush => return self.hosts[host].skipping.clear(),
                StepKind::EndBody(block) => self.jump_behind(host, StepKind::EndRescue(block)),
                StepKind::EndRescue(_) => self.hosts[host].at += 1,
                StepKind::EndAlways(block) => {
                    if self.hosts[host].failing.remove(&block) {
                        self.fail_out_of(host, block, effects);
                    } else {
                        self.hosts[host].at += 1;
                    }
                }
            }
        }
    }

    /// The end of the list: done, or failed if it only came for the handlers.
    fn arrive(&mut self, host: Host, effects: &mut Vec<Effect>) {
        if self.hosts[host].failing.remove(&usize::MAX) {
            self.hosts[host].state = State::Failed;
            effects.push(Effect::HostFailed { host });
        } else {
            self.hosts[host].state = State::Done;
        }
    }

    /// The `always` of a failing block is through: the failure goes on outwards.
    fn fail_out_of(&mut self, host: Host, block: usize, effects: &mut Vec<Effect>) {
        // Marked as its always part, the step at hand leads to the block around it.
        debug_assert!(matches!(self.slots[self.hosts[host].at].step.home, Some((home, Part::Always)) if home == block));
        self.fail(host, effects);
    }

    /// Puts the handlers to run behind a flush step, once every host that takes it has arrived (linear) or for the one host (free).
    fn flush(&mut self) -> bool {
        let waiting: Vec<Host> = (0..self.hosts.len())
            .filter(|host| self.hosts[*host].state == State::Ready)
            .filter(|host| self.slots.get(self.hosts[*host].at).is_some_and(|slot| slot.step.kind == StepKind::Flush))
            .collect();
        let Some(at) = waiting.iter().map(|host| self.hosts[*host].at).min() else { return false };
        let arrived: BTreeSet<Host> = waiting.into_iter().filter(|host| self.hosts[*host].at == at).collect();
        let is_awaited = |host: &super::HostState| {
            host.at < at && matches!(host.state, State::Ready | State::Busy | State::Held | State::Following)
        };
        let is_busy_here =
            |host: &super::HostState| host.at == at && matches!(host.state, State::Busy | State::Held | State::Following);
        if self.rules.linear && self.hosts.iter().any(|host| is_awaited(host) || is_busy_here(host)) {
            return false;
        }
        let Some((id, due)) = self.next_handler(&arrived) else {
            for host in &arrived {
                self.hosts[*host].at = at + 1;
                self.hosts[*host].flushed = None;
            }
            return true;
        };
        if let Some(hosts) = self.notified.get_mut(&id) {
            hosts.retain(|host| !due.contains(host));
        }
        due.iter().for_each(|host| self.hosts[*host].flushed = Some(id));
        // The handler runs right before the flush step, which is then met again: handlers may notify later ones.
        let home = self.slots[at].step.home;
        let step = Step { kind: StepKind::Task { task: id, once: false, fatal: false }, home };
        let slot = Slot { id: self.new_id(), step, only: Some(due.clone()), handler: Some(id) };
        self.slots.insert(at, slot);
        for (host, state) in self.hosts.iter_mut().enumerate() {
            let stays = state.at == at && due.contains(&host);
            if state.at >= at && !stays {
                state.at += 1;
            }
        }
        true
    }

    /// The first handler that one of these hosts has to run and that its flush has not passed yet, with all who have to.
    fn next_handler(&self, arrived: &BTreeSet<Host>) -> Option<(HandlerId, BTreeSet<Host>)> {
        self.notified.iter().find_map(|(id, hosts)| {
            let is_due = |host: &Host| self.hosts[*host].flushed.is_none_or(|passed| passed < *id);
            let due: BTreeSet<Host> = hosts.intersection(arrived).copied().filter(is_due).collect();
            (!due.is_empty()).then_some((*id, due))
        })
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        let mut free = self.rules.forks.max(1).saturating_sub(self.hosts_in(|state| state == State::Busy).len());
        let Some(lowest) = self.lowest() else { return };
        let mut positions: Vec<usize> = self.hosts.iter().filter(|host| host.state == State::Ready).map(|host| host.at).collect();
        positions.sort_unstable();
        positions.dedup();
        for at in positions {
            if self.rules.linear && at != lowest {
                break;
            }
            let ready = self.hosts_at(at, State::Ready);
            let Some(Slot { id: step, step: Step { kind: StepKind::Task { task, once, .. }, .. }, handler, .. }) =
                self.slots.get(at).cloned()
            else {
                continue;
            };
            let is_awaited = |host: &super::HostState| host.at == at && matches!(host.state, State::Busy | State::Held);
            if once && self.hosts.iter().any(is_awaited) {
                continue;
            }
            if once && free > 0 {
                let all = self.wait_together(at, &ready);
                if let Some((first, others)) = all {
                    self.hosts[first].state = State::Busy;
                    others.iter().for_each(|host| self.hosts[*host].state = State::Following);
                    free -= 1;
                    effects.push(Effect::Run { step, task, hosts: vec![first], handler, for_all: others, more: false });
                }
                continue;
            }
            let room = free.min(self.room_at(at));
            let more = self.rules.linear && ready.len() > room;
            let now: Vec<Host> = ready.into_iter().take(room).collect();
            if now.is_empty() {
                continue;
            }
            free -= now.len();
            now.iter().for_each(|host| self.hosts[*host].state = State::Busy);
            effects.push(Effect::Run { step, task, hosts: now, handler, for_all: Vec::new(), more });
        }
    }

    /// How many more hosts may be at the task of a step.
    fn room_at(&self, at: usize) -> usize {
        let limit = match &self.slots[at] {
            Slot { step: Step { kind: StepKind::Task { task, .. }, .. }, handler: None, .. } => self.throttles.get(task),
            Slot { .. } => None,
        };
        limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.hosts_at(at, State::Busy).len()))
    }

    /// The first host, which runs a `run_once` step, and those it runs it for.
    fn wait_together(&self, _at: usize, ready: &[Host]) -> Option<(Host, Vec<Host>)> {
        let (first, others) = ready.split_first()?;
        Some((*first, others.to_vec()))
    }
}
