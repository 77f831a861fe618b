//! The steps of a host, in order, there and back.

use super::{At, Guards, Host, HostState, Phase, Rollout, Step};

/// What all hosts do before any leaves the balancer.
pub(super) const EARLY: &[Step] = &[Step::Lock, Step::Number, Step::Inspect, Step::Prepare];

const STOP_FIRST: &[Step] = &[
    Step::Check,
    Step::Drain,
    Step::AwaitQuiet,
    Step::Park,
    Step::Switch,
    Step::Verify,
    Step::Enable,
    Step::AwaitHealthy,
    Step::Confirm,
    Step::Bake,
];

/// The old one leaves when the new one serves beside it.
const START_FIRST: &[Step] = &[
    Step::Check,
    Step::Aside,
    Step::Switch,
    Step::Verify,
    Step::Enable,
    Step::AwaitHealthy,
    Step::Drain,
    Step::AwaitQuiet,
    Step::Park,
    Step::Confirm,
    Step::Bake,
];

const STOP_FIRST_BACK: &[Step] = &[Step::Drain, Step::AwaitQuiet, Step::Unpark, Step::Verify, Step::Enable, Step::AwaitHealthy];

const START_FIRST_BACK: &[Step] =
    &[Step::Revive, Step::Verify, Step::Enable, Step::AwaitHealthy, Step::Drain, Step::AwaitQuiet, Step::Unpark];

/// Steps that are tasks of the play, or are watched, on several hosts together.
pub(super) fn is_play(step: Step) -> bool {
    matches!(step, Step::Prepare | Step::Switch | Step::Confirm | Step::Bake)
}

/// How many steps of a path are done once this one is.
pub(super) fn after(path: &[Step], step: Step) -> u8 {
    let done = path.iter().position(|other| *other == step).map_or(0, |at| at + 1);
    u8::try_from(done).unwrap_or(u8::MAX)
}

impl Rollout {
    /// Where nothing runs, nothing can stay beside the new one.
    pub(super) fn is_start_first(&self, host: &HostState) -> bool {
        self.rules.start_first && host.is_accompanied
    }

    pub(super) fn path(&self, host: &HostState) -> &'static [Step] {
        if self.is_start_first(host) { START_FIRST } else { STOP_FIRST }
    }

    pub(super) fn path_back(&self, host: &HostState) -> &'static [Step] {
        if self.is_start_first(host) { START_FIRST_BACK } else { STOP_FIRST_BACK }
    }

    /// What a host on its way is to do next; `None` at the end of the way, or where it is on none.
    pub(super) fn next_step(&self, host: Host) -> Option<Step> {
        let state = self.hosts.get(host)?;
        match state.at {
            At::Ready => self.path(state).iter().copied().find(|step| !self.is_skipped(*step)),
            At::Forward(done) => {
                let mut rest = self.path(state).iter().copied().skip(usize::from(done));
                rest.find(|step| !self.is_skipped(*step))
            }
            At::Back(done) => self.path_back(state).get(usize::from(done)).copied(),
            At::Early | At::Done | At::Reverted | At::Failed | At::Skipped => None,
        }
    }

    /// A step that it still has to take on its way.
    pub(super) fn is_before(&self, host: Host, step: Step) -> bool {
        let state = &self.hosts[host];
        let done = match state.at {
            At::Ready => 0,
            At::Forward(done) => done,
            At::Early | At::Done | At::Back(_) | At::Reverted | At::Failed | At::Skipped => return false,
        };
        self.path(state).iter().skip(usize::from(done)).any(|other| *other == step)
    }

    /// The model takes steps away one by one.
    fn is_skipped(&self, step: Step) -> bool {
        match step {
            Step::Check => !self.has(Guards::READY),
            Step::AwaitQuiet => !self.has(Guards::QUIET),
            Step::Park => !self.has(Guards::PARK) && !self.rules.start_first,
            Step::Verify => !self.has(Guards::VERIFY),
            Step::AwaitHealthy => !self.has(Guards::HEALTHY),
            Step::Bake => !self.rules.bake || !self.has(Guards::BAKE),
            Step::Lock
            | Step::Number
            | Step::Inspect
            | Step::Prepare
            | Step::Drain
            | Step::Aside
            | Step::Switch
            | Step::Enable
            | Step::Confirm
            | Step::Revive
            | Step::Unpark
            | Step::Retire => false,
        }
    }

    pub(super) fn phase_of(&self, host: &HostState) -> Phase {
        let done = |path: &[Step], done: u8| usize::from(done).checked_sub(1).and_then(|at| path.get(at).copied());
        match (host.ask.filter(|ask| !ask.is_back), host.at) {
            (Some(ask), _) => phase_of_step(ask.step),
            (None, At::Early | At::Ready) => Phase::Waiting,
            (None, At::Forward(steps)) => done(self.path(host), steps).map_or(Phase::Waiting, phase_of_step),
            (None, At::Done) => Phase::Done,
            (None, At::Back(_)) => Phase::Reverting,
            (None, At::Reverted) => Phase::Reverted,
            (None, At::Failed) => Phase::Failed,
            (None, At::Skipped) => Phase::Skipped,
        }
    }
}

fn phase_of_step(step: Step) -> Phase {
    match step {
        Step::Lock | Step::Number | Step::Inspect | Step::Prepare => Phase::Waiting,
        Step::Check => Phase::Checking,
        Step::Drain => Phase::Draining,
        Step::AwaitQuiet => Phase::Quiet,
        Step::Park | Step::Aside | Step::Switch | Step::Unpark | Step::Revive => Phase::Switching,
        Step::Verify => Phase::Verifying,
        Step::Enable | Step::AwaitHealthy => Phase::Enabling,
        Step::Confirm | Step::Bake => Phase::Baking,
        Step::Retire => Phase::Done,
    }
}
