//! Decides which host may leave or rejoin the load balancer next: batches, canary, floor, revert, halt, interrupts.
//!
//! A sans-IO core: ids and outcomes in, effects out. No clock (timers are tokens), no values, no async, no randomness; the same
//! type is enumerated by the model checker (`tests/model`) and run by `engine`. [`Rollout::on`] is total: every input is
//! answered in every state, and one that is not awaited is ignored.
//!
//! An [`Effect::Do`] asks for one step on one host and is answered by [`Input::Answered`] with the same [`Ask`]. Steps are idempotent: a
//! lost answer is asked for again under a new number, so an answer that comes late is known for what it is. A failure means "the
//! answer was bad or lost", never "it did not happen": what is undone is decided from what was *asked*.
//!
//! How a host goes: `Inspect` and `Prepare` on all hosts before any leaves; then, batch by batch, `Check` → a fresh reading of the
//! balancer and the floor (`gate.rs`) → `Drain` → `AwaitQuiet` → `Park` → `Switch` (the batch together: the play's tasks) → `Verify` →
//! `Enable` → `AwaitHealthy` → `Confirm` (together: post_tasks) → `Bake`. When anything fails, the hosts of the batch turn back
//! (`back.rs`): out again if they may be in, `Unpark`, `Verify`, `Enable`, `AwaitHealthy`; then, if the rules say so, earlier ones one
//! by one. A revert is never reverted. Only what was touched turns back: where a host fails before its turn (dead, not ready), hosts in
//! hand are finished and the rollout halts; nobody who is done is taken down for it. `Park` comes before the user's tasks so that the way back does not depend on them; see
//! `modules::app`. Start reading at [`Rollout::on`], then `forward.rs`.

mod back;
mod forward;
mod gate;
mod host;

use gate::Gate;
use host::{At, HostState};
use std::collections::BTreeSet;

/// Number of a host in its play.
pub type Host = usize;

/// What counts for a whole rollout.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Sizes of the batches as `serial` gives them; the last one repeats. Empty: all hosts at once.
    pub batches: Vec<usize>,
    pub floor: Floor,
    pub on_failure: OnFailure,
    /// Watch a batch for a while before it counts as done.
    pub bake: bool,
    /// Go on when the app did not become quiet in time: requests are cut.
    pub may_cut: bool,
    /// How often "not now" (busy, below the floor, balancer not readable) is asked again before it is a failure.
    pub patience: u16,
}

/// Fewest targets that serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Floor {
    /// All targets but as many as the batch at hand has.
    AllButBatch,
    Count(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// Hosts that are done go back too.
    Revert,
    /// Only the batch at hand goes back.
    Halt,
}

/// What a host is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// What runs here, and can it be gone back to? `Ok`, or `Empty` where the app never ran.
    Inspect,
    /// The play's pre_tasks; the host keeps serving.
    Prepare,
    /// May it be deployed to now? `Ok`, `Busy`, or `Failed` for never.
    Check,
    /// Out of the balancer.
    Drain,
    /// Until nothing is connected: `Ok`, or `Capped`.
    AwaitQuiet,
    /// Old container aside: `Ok`, or `Empty` where there was none.
    Park,
    /// The play's tasks: the new container.
    Switch,
    /// Does the app answer, asked from its host?
    Verify,
    /// Back into the balancer.
    Enable,
    /// Until the balancer says that it serves.
    AwaitHealthy,
    /// The play's post_tasks.
    Confirm,
    /// Watch it for a while.
    Bake,
    /// The parked container back under its name.
    Unpark,
    /// The parked container is let go.
    Retire,
}

/// One question to one host. The same question asked again has another `attempt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask {
    pub host: Host,
    pub step: Step,
    /// On the way back to the old release.
    pub is_back: bool,
    pub attempt: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    Ok,
    /// There was nothing to do it to.
    Empty,
    /// Not now.
    Busy,
    /// Waited as long as is allowed, and it still is not so.
    Capped,
    Failed,
    /// No answer came, or the host cannot be reached: whether it happened is not known.
    Lost,
}

/// What the balancer says, not older than two seconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The play's hosts that serve now.
    pub serving: BTreeSet<Host>,
    /// Other targets that serve now.
    pub others: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    Start,
    Answered(Ask, Answer),
    /// `None` where the balancer could not be read, or only with a reading that is too old.
    Read(ReadToken, Option<Reading>),
    Timer(TimerToken),
    /// Ctrl-C, SIGTERM: finish what is in hand; the second time, stop at once.
    Interrupt,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    Do(Ask),
    /// The same step of the play on several hosts together.
    Play(Vec<Ask>),
    ReadBalancer(ReadToken),
    /// A short pause before something is tried again.
    SetTimer(TimerToken),
    Finish(Outcome),
}

/// Which reading was asked for; an older one does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadToken(pub u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerToken(pub u16);

/// How a rollout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Every host runs the new release.
    Done,
    /// Nothing left the balancer.
    Refused,
    /// Some hosts run the new release, some the old one, or one has nothing to go back to.
    Halted,
    /// Every host is back on the old release.
    Reverted,
    /// A host could not be brought back; it was left as it is.
    RevertFailed,
    /// Asked to stop; can be resumed.
    Interrupted,
}

/// Where a host is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    Waiting,
    Checking,
    Draining,
    Quiet,
    Switching,
    Verifying,
    Enabling,
    Baking,
    Done,
    Reverting,
    Reverted,
    Failed,
}

/// Which checks are made. Only the model takes any away, to see that it would be missed.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guards(pub u16);

#[doc(hidden)]
impl Guards {
    pub const FLOOR: Guards = Guards(1);
    pub const FRESH: Guards = Guards(1 << 1);
    pub const AWAITED: Guards = Guards(1 << 2);
    pub const LOST: Guards = Guards(1 << 3);
    pub const QUIET: Guards = Guards(1 << 4);
    pub const PARK: Guards = Guards(1 << 5);
    pub const VERIFY: Guards = Guards(1 << 6);
    pub const HEALTHY: Guards = Guards(1 << 7);
    pub const BAKE: Guards = Guards(1 << 8);
    pub const REVERT_DRAIN: Guards = Guards(1 << 9);
    pub const REVERT_ENABLE: Guards = Guards(1 << 10);
    pub const INTERRUPT: Guards = Guards(1 << 11);
    pub const READY: Guards = Guards(1 << 12);
    pub const UNTOUCHED: Guards = Guards(1 << 13);
    pub const ALL: Guards = Guards(u16::MAX);

    #[must_use]
    pub fn without(self, one: Guards) -> Guards {
        Guards(self.0 & !one.0)
    }
}

/// One rollout of one app on the hosts of one play.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rollout {
    rules: Rules,
    guards: Guards,
    hosts: Vec<HostState>,
    stage: Stage,
    /// In the order in which they are worked on; the first is the canary.
    batches: Vec<Vec<Host>>,
    /// The hosts that are worked on now.
    batch: Vec<Host>,
    /// Batches that are done.
    batches_done: usize,
    gate: Gate,
    /// Targets that are not hosts of the play, when the order was made.
    others: usize,
    is_back: bool,
    /// Hosts in hand are finished, no other leaves.
    stop: Option<Stop>,
    has_revert_failed: bool,
}

/// Why no further host leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Stop {
    Interrupted,
    /// A host failed that was never touched.
    Halted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Inspecting,
    Preparing,
    Ordering,
    Rolling,
    Retiring,
    Ended(Outcome),
    /// Not started.
    Idle,
}

/// How often a lost answer is asked for before it is a failure.
pub const ATTEMPTS_MAX: u8 = 3;

impl Rollout {
    pub fn new(hosts: usize, rules: Rules) -> Rollout {
        Rollout::guarded(hosts, rules, Guards::ALL)
    }

    #[doc(hidden)]
    pub fn guarded(hosts: usize, rules: Rules, guards: Guards) -> Rollout {
        Rollout {
            rules,
            guards,
            hosts: vec![HostState::new(); hosts],
            stage: Stage::Idle,
            batches: Vec::new(),
            batch: Vec::new(),
            batches_done: 0,
            gate: Gate::default(),
            others: 0,
            is_back: false,
            stop: None,
            has_revert_failed: false,
        }
    }

    pub fn on(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(self.stage, Stage::Ended(_)) {
            return effects;
        }
        match input {
            Input::Start => self.start(&mut effects),
            Input::Answered(ask, answer) => self.answered(ask, answer, &mut effects),
            Input::Read(token, reading) => self.read(token, reading, &mut effects),
            Input::Timer(token) => self.timer(token, &mut effects),
            Input::Interrupt => self.interrupt(&mut effects),
        }
        self.advance(&mut effects);
        effects
    }

    /// Everything that is still awaited, to be asked for again after the connection to the world was lost.
    pub fn resume(&self) -> Vec<Effect> {
        let asks = self.hosts.iter().filter_map(|host| host.ask);
        let (plays, single): (Vec<Ask>, Vec<Ask>) = asks.partition(|ask| is_play(ask.step));
        let mut effects: Vec<Effect> = single.into_iter().map(Effect::Do).collect();
        if !plays.is_empty() {
            effects.push(Effect::Play(plays));
        }
        effects.extend(self.gate.awaited());
        effects
    }

    pub fn outcome(&self) -> Option<Outcome> {
        match self.stage {
            Stage::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    pub fn phase(&self, host: Host) -> Phase {
        self.hosts.get(host).map_or(Phase::Waiting, HostState::phase)
    }

    /// In the order in which the hosts are worked on; known after the first reading.
    pub fn batches(&self) -> &[Vec<Host>] {
        &self.batches
    }

    /// The fewest targets that may serve while the batch at hand is worked on.
    pub fn floor(&self) -> usize {
        self.floor_for(self.batch.len())
    }

    /// Hosts that have the new release, as far as is known.
    pub fn updated(&self) -> Vec<Host> {
        self.hosts_where(|host| host.is_new)
    }

    /// Hosts that may have been left out of the balancer.
    pub fn out(&self) -> Vec<Host> {
        self.hosts_where(|host| host.is_touched && !host.may_serve)
    }

    /// This very question is still open.
    pub fn awaits(&self, ask: Ask) -> bool {
        self.hosts
            .get(ask.host)
            .and_then(|host| host.ask)
            .is_some_and(|open| open.step == ask.step && open.is_back == ask.is_back)
    }

    /// Hosts that gave no answer in the end.
    pub fn lost(&self) -> Vec<Host> {
        self.hosts_where(|host| host.is_lost)
    }

    /// Hosts that were asked to leave the balancer at least once.
    pub fn touched(&self) -> Vec<Host> {
        self.hosts_where(|host| host.is_touched)
    }

    fn hosts_where(&self, is_wanted: impl Fn(&HostState) -> bool) -> Vec<Host> {
        self.hosts.iter().enumerate().filter(|(_, host)| is_wanted(host)).map(|(id, _)| id).collect()
    }

    fn has(&self, guard: Guards) -> bool {
        self.guards.0 & guard.0 != 0
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        if self.stage != Stage::Idle {
            return;
        }
        self.stage = Stage::Inspecting;
        for host in 0..self.hosts.len() {
            self.ask(host, Step::Inspect, effects);
        }
    }

    fn interrupt(&mut self, effects: &mut Vec<Effect>) {
        if self.stop == Some(Stop::Interrupted) {
            self.finish(Outcome::Interrupted, effects);
        }
        self.stop = Some(Stop::Interrupted);
    }

    /// Starts whatever may start now; called after every input.
    fn advance(&mut self, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Inspecting | Stage::Preparing => self.advance_before(effects),
            Stage::Ordering if self.stop.is_some() => self.finish(Outcome::Interrupted, effects),
            Stage::Rolling if self.is_back => self.advance_back(effects),
            Stage::Rolling => self.advance_forward(effects),
            Stage::Retiring if self.hosts.iter().all(|host| host.ask.is_none()) => self.finish(Outcome::Done, effects),
            Stage::Idle | Stage::Ordering | Stage::Retiring | Stage::Ended(_) => {}
        }
    }

    fn answered(&mut self, ask: Ask, answer: Answer, effects: &mut Vec<Effect>) {
        let Some(host) = self.hosts.get(ask.host) else { return };
        let is_awaited =
            host.ask == Some(ask) || (!self.has(Guards::AWAITED) && host.ask.is_some_and(|other| other.step == ask.step));
        if !is_awaited {
            return;
        }
        if answer == Answer::Lost && self.has(Guards::LOST) && self.ask_again(ask, effects) {
            return;
        }
        let is_lost = answer == Answer::Lost;
        let answer = match answer {
            Answer::Lost if self.has(Guards::LOST) => Answer::Failed,
            Answer::Lost => Answer::Ok,
            other => other,
        };
        let host = &mut self.hosts[ask.host];
        host.ask = None;
        host.is_lost = is_lost;
        if ask.is_back {
            self.came_back(ask, answer, effects);
        } else {
            self.went_forward(ask, answer, effects);
        }
    }

    /// Asks a host for a step and notes what may have happened from now on.
    fn ask(&mut self, host: Host, step: Step, effects: &mut Vec<Effect>) {
        let ask = Ask { host, step, is_back: self.is_back, attempt: 0 };
        self.hosts[host].asked(ask);
        effects.push(Effect::Do(ask));
    }

    /// The same question under a new number; false where it was asked often enough.
    fn ask_again(&mut self, ask: Ask, effects: &mut Vec<Effect>) -> bool {
        let again = Ask { attempt: ask.attempt + 1, ..ask };
        let is_allowed = again.attempt < ATTEMPTS_MAX;
        if is_allowed {
            self.hosts[ask.host].ask = Some(again);
            effects.push(if is_play(ask.step) { Effect::Play(vec![again]) } else { Effect::Do(again) });
        }
        is_allowed
    }

    fn ask_together(&mut self, step: Step, effects: &mut Vec<Effect>) {
        let mut asks = Vec::new();
        for host in self.batch.clone() {
            let ask = Ask { host, step, is_back: false, attempt: 0 };
            self.hosts[host].asked(ask);
            asks.push(ask);
        }
        effects.push(Effect::Play(asks));
    }

    fn finish(&mut self, outcome: Outcome, effects: &mut Vec<Effect>) {
        if !matches!(self.stage, Stage::Ended(_)) {
            self.stage = Stage::Ended(outcome);
            effects.push(Effect::Finish(outcome));
        }
    }
}

/// Steps that are tasks of the play, run on several hosts together.
fn is_play(step: Step) -> bool {
    matches!(step, Step::Prepare | Step::Switch | Step::Confirm | Step::Bake)
}

#[cfg(test)]
mod tests;
