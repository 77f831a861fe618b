//! Decides which host may leave or rejoin the load balancer next: locks, batches, canary, floor, revert, halt, resume, interrupts.
//!
//! A sans-IO core: ids and outcomes in, effects out. No clock (timers are tokens), no values, no async, no randomness; the same
//! type is enumerated by the model checker (`tests/model`) and run by `engine`. [`Rollout::on`] is total: every input is
//! answered in every state, and one that is not awaited is ignored.
//!
//! An [`Effect::Do`] asks for one step on one host and is answered by [`Input::Answered`] with the same [`Ask`]. Steps are idempotent: a
//! lost answer is asked for again under a new number, so an answer that comes late is known for what it is. A failure means "the
//! answer was bad or lost", never "it did not happen": what is undone is decided from what was *asked*.
//!
//! How a host goes (`paths.rs` has it as tables): `Lock`, `Number`, `Inspect` and `Prepare` on all hosts before any leaves (`early.rs`); then,
//! batch by batch (`forward.rs`), `Check` → a fresh reading of the balancer and the floor (`gate.rs`) → out, quiet, switched, verified, in again,
//! watched. Start-first brings the new container in beside the old one before that leaves. When anything fails, the hosts of the batch turn back
//! (`back.rs`); then, if the rules say so, earlier ones one by one. A revert is never reverted. Only what was touched turns back:
//! where a host fails before its turn (dead, not ready), hosts in hand are finished and the rollout halts; nobody who is done is
//! taken down for it. `Park` comes before the user's tasks so that the way back does not depend on them; see `modules::app`.
//!
//! Nothing is remembered between runs: `Inspect` answers how far an unfinished rollout came on each host ([`Found`]), and from there it goes
//! on to all-new or to all-old ([`Goal`]), whoever asks. A host that knows of a newer rollout answers [`Answer::Fenced`]; then nothing more is
//! asked of anybody. Start reading at [`Rollout::on`], then `early.rs`.

mod back;
mod compare;
mod early;
mod forward;
mod gate;
mod host;
mod paths;
mod record;

pub use compare::{Asked, is_worse};
pub use record::Recording;

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
    /// How often "not now" (busy, below the floor, balancer not readable) is asked again before it is a failure.
    pub patience: u16,
    pub goal: Goal,
    /// In which order the hosts are locked: the same for everybody, so that of two rollouts one gets them all.
    pub lock_order: Vec<Host>,
    /// Hosts that are dead are left out; else nothing is begun.
    pub skip_dead: bool,
    /// A batch may take out everything that serves.
    pub accept_downtime: bool,
    /// The new container is in the balancer before the old one leaves it.
    pub start_first: bool,
}

impl Rules {
    /// One host at a time to the new release, everything else as careful as can be.
    pub fn careful(hosts: usize) -> Rules {
        Rules {
            batches: vec![1],
            floor: Floor::AllButBatch,
            on_failure: OnFailure::Revert,
            bake: true,
            patience: 30,
            goal: Goal::New,
            lock_order: (0..hosts).collect(),
            skip_dead: false,
            accept_downtime: false,
            start_first: false,
        }
    }
}

/// Where every host is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goal {
    /// All on the new release; what an unfinished rollout of it has done already is not done again.
    New,
    /// The same, and what a finished one has done is not done again either.
    Finish,
    /// All on what ran before the unfinished rollout.
    Old,
}

/// How far a rollout came on a host before this one began, from what the host says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reached {
    /// Nothing was begun.
    Nothing,
    /// It may be out of the balancer; its container was not touched.
    Left,
    /// The old container may be aside, the new one may be there in part.
    Parked,
    /// The play's tasks have ended: the new container is whole, and may be in the balancer.
    Switched,
    Done,
    /// Done, and the old container was let go: there is no way back.
    Retired,
}

/// What a host says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Found {
    pub reached: Reached,
    /// There is something to go back to: a parked container, or the one that runs.
    pub has_old: bool,
    /// It served before the unfinished rollout took it out.
    pub served: bool,
}

/// What is written on a host, and what Docker says there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// As far as the unfinished rollout has written down: before it does what may not be undone, after it has done the rest.
    pub recorded: Reached,
    /// Nothing ran here before that rollout.
    pub is_first: bool,
    pub served: bool,
    /// An old container is aside, running or not.
    pub is_parked: bool,
    /// Something runs under the app's name.
    pub runs: bool,
}

impl Found {
    /// The record may be one step ahead of what was done, or behind it: what Docker says counts more.
    pub fn of(evidence: Evidence) -> Found {
        let Evidence { recorded, is_first, served, is_parked, runs } = evidence;
        let reached = match recorded {
            Reached::Retired => Reached::Retired,
            // Whoever goes back writes that first: an old container that is not to be seen was pruned, and is made again.
            Reached::Switched | Reached::Done => recorded,
            Reached::Nothing | Reached::Left | Reached::Parked if is_parked => Reached::Parked,
            Reached::Parked if is_first => Reached::Parked,
            // Not parked yet, or the old one is back under its name.
            Reached::Left | Reached::Parked => Reached::Left,
            Reached::Nothing => Reached::Nothing,
        };
        let is_new = is_first && matches!(reached, Reached::Parked | Reached::Switched | Reached::Done);
        let is_whole = !is_first && matches!(reached, Reached::Switched | Reached::Done);
        Found { reached, has_old: is_parked || is_whole || (runs && !is_new), served }
    }
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
    /// Nobody else may work on it: `Ok`, or `Held`.
    Lock,
    /// From now on older rollouts are refused: `Ok`, or `Fenced`.
    Number,
    /// What runs here, how far did an unfinished rollout come? Answers `Found`.
    Inspect,
    /// The play's pre_tasks; the host keeps serving.
    Prepare,
    /// May it be deployed to now? `Ok`, `Busy`, or `Failed` for never.
    Check,
    /// Out of the balancer. Start-first: the old target on the way there, the new one on the way back.
    Drain,
    /// Until nothing is connected to what left; `Failed` where that did not come in time: nothing is cut.
    AwaitQuiet,
    /// Old container stopped and aside: `Ok`, or `Empty` where there was none.
    Park,
    /// Start-first: the old container gives up its name and runs on.
    Aside,
    /// The play's tasks: the new container.
    Switch,
    /// Does the app answer, asked from its host?
    Verify,
    /// Back into the balancer. Start-first: the new target on the way there, the old one on the way back.
    Enable,
    /// Until the balancer says that it serves.
    AwaitHealthy,
    /// The play's post_tasks.
    Confirm,
    /// Watch it for a while.
    Bake,
    /// Start-first, on the way back: the old container runs (again), still without its name.
    Revive,
    /// The new container away, the parked one back under its name.
    Unpark,
    /// The parked container is let go.
    Retire,
}

/// One question to one host. Asked again because its answer was lost, it has another `attempt`; because "not now" was the answer, another
/// `round`. So no late answer is ever taken for that of another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ask {
    pub host: Host,
    pub step: Step,
    /// On the way back to the old release.
    pub is_back: bool,
    pub attempt: u8,
    pub round: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    Ok,
    /// To `Inspect`.
    Found(Found),
    /// There was nothing to do it to.
    Empty,
    /// Not now.
    Busy,
    Failed,
    /// No answer came, or the host cannot be reached: whether it happened is not known.
    Lost,
    /// Another rollout has the lock.
    Held,
    /// The host knows of a newer rollout: this one is over.
    Fenced,
}

/// What the balancer says, not older than two seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reading {
    /// The play's hosts that serve now.
    pub serving: BTreeSet<Host>,
    /// Hosts that still get requests though their last checks failed: not counted as serving, and not free to leave.
    pub wavering: BTreeSet<Host>,
    /// Start-first: hosts whose old target serves, and whose new one does.
    pub by_old: BTreeSet<Host>,
    pub by_new: BTreeSet<Host>,
    /// Other targets that serve now.
    pub others: usize,
    /// Parts that must do without the others.
    pub pools: Vec<Pool>,
    /// As it is set up, no host that leaves would ever come back.
    pub is_unfit: bool,
}

/// Targets that nobody else can stand in for: those of a zone without cross-zone balancing, of one of several target groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pool {
    /// The play's hosts that belong to it, and those that serve in it now.
    pub hosts: BTreeSet<Host>,
    pub serving: BTreeSet<Host>,
    /// Other targets that serve in it.
    pub others: usize,
    /// The fewest that may serve in it.
    pub floor: usize,
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
    /// Another rollout wants to take over: finish what is in hand.
    Yield,
    /// Somebody wants no further host to leave until `Continue`.
    Pause,
    Continue,
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
    /// Every host is where the goal wants it.
    Done,
    /// Nothing left the balancer.
    Refused,
    /// Another rollout has a lock; nothing was touched.
    Locked,
    /// Some hosts run the new release, some the old one, or one has nothing to go back to.
    Halted,
    /// Every host is back on the old release.
    Reverted,
    /// A host could not be brought back; it was left as it is.
    RevertFailed,
    /// Asked to stop; can be resumed.
    Interrupted,
    /// A newer rollout has taken over.
    Fenced,
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
    /// Dead from the beginning, and left out.
    Skipped,
}

/// Which checks are made. Only the model takes any away, to see that it would be missed.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guards(pub u32);

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
    pub const LOCK: Guards = Guards(1 << 14);
    pub const NUMBER: Guards = Guards(1 << 15);
    pub const FENCED: Guards = Guards(1 << 16);
    pub const RESUME: Guards = Guards(1 << 17);
    pub const TWICE: Guards = Guards(1 << 18);
    pub const RETIRED: Guards = Guards(1 << 19);
    pub const IDLE_FIRST: Guards = Guards(1 << 20);
    pub const OWN: Guards = Guards(1 << 21);
    pub const POOL: Guards = Guards(1 << 22);
    pub const FIT: Guards = Guards(1 << 23);
    pub const ALL: Guards = Guards(u32::MAX);

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
    /// Batches that were begun.
    batches_begun: usize,
    gate: Gate,
    /// Targets that are not hosts of the play, when the order was made.
    others: usize,
    /// The pool of the first reading that no batch order can keep above its floor.
    short_pool: Option<usize>,
    is_back: bool,
    is_paused: bool,
    /// Hosts in hand are finished, no other leaves.
    stop: Option<Stop>,
    has_revert_failed: bool,
}

/// Why no further host leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Stop {
    Interrupted,
    /// Another rollout takes over.
    Yielding,
    /// A host failed that was never touched.
    Halted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Not started.
    Idle,
    /// A step that all hosts take before any leaves the balancer.
    Early(Step),
    Ordering,
    Rolling,
    Retiring,
    Ended(Outcome),
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
            batches_begun: 0,
            gate: Gate::default(),
            others: 0,
            short_pool: None,
            is_back: false,
            is_paused: false,
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
            Input::Yield => self.stop = self.stop.or(Some(Stop::Yielding)),
            Input::Pause => self.is_paused = true,
            Input::Continue => self.is_paused = false,
        }
        self.advance(&mut effects);
        effects
    }

    /// Everything that is still awaited, to be asked for again after the connection to the world was lost.
    pub fn resume(&self) -> Vec<Effect> {
        let asks = self.hosts.iter().filter_map(|host| host.ask);
        let (plays, single): (Vec<Ask>, Vec<Ask>) = asks.partition(|ask| paths::is_play(ask.step));
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
            Stage::Idle | Stage::Early(_) | Stage::Ordering | Stage::Rolling | Stage::Retiring => None,
        }
    }

    pub fn phase(&self, host: Host) -> Phase {
        match self.hosts.get(host).map_or(Phase::Waiting, |state| self.phase_of(state)) {
            // Between "not now" and the next try.
            Phase::Waiting if self.gate.holds(host) => Phase::Checking,
            phase => phase,
        }
    }

    /// The host that was told "not now", until it is asked for again.
    pub fn held(&self) -> Option<Host> {
        self.gate.held_back()
    }

    /// In the order in which the hosts are worked on; known after the first reading.
    pub fn batches(&self) -> &[Vec<Host>] {
        &self.batches
    }

    /// The fewest targets that may serve while the batch at hand is worked on.
    pub fn floor(&self) -> usize {
        match self.rules.floor {
            // Nobody leaves before somebody else serves in its place.
            Floor::AllButBatch if self.rules.start_first => self.all_targets(),
            Floor::AllButBatch | Floor::Count(_) => self.floor_for(self.batch.len()),
        }
    }

    /// The new container starts beside the old one there, which leaves last.
    pub fn starts_first(&self, host: Host) -> bool {
        self.hosts.get(host).is_some_and(|state| self.is_start_first(state))
    }

    /// Which pool of the first reading the rollout was refused for.
    pub fn short_pool(&self) -> Option<usize> {
        self.short_pool
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused
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
        let open = self.hosts.get(ask.host).and_then(|host| host.ask);
        open.is_some_and(|open| open.step == ask.step && open.is_back == ask.is_back)
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

    fn interrupt(&mut self, effects: &mut Vec<Effect>) {
        if self.stop == Some(Stop::Interrupted) {
            self.finish(Outcome::Interrupted, effects);
        }
        self.stop = Some(Stop::Interrupted);
    }

    /// Starts whatever may start now; called after every input.
    fn advance(&mut self, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Early(_) => self.advance_early(effects),
            Stage::Ordering if self.stop.is_some() => self.finish(self.end_of_the_stop(), effects),
            Stage::Rolling if self.is_back => self.advance_back(effects),
            Stage::Rolling => self.advance_forward(effects),
            Stage::Retiring if self.hosts.iter().all(|host| host.ask.is_none()) => self.finish(self.all_done(), effects),
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
        let is_lost = answer == Answer::Lost;
        if is_lost && self.has(Guards::LOST) && self.ask_again(ask, effects) {
            return;
        }
        let answer = match answer {
            Answer::Fenced if self.has(Guards::FENCED) => return self.finish(Outcome::Fenced, effects),
            Answer::Lost if self.has(Guards::LOST) => Answer::Failed,
            Answer::Lost => Answer::Ok,
            other => other,
        };
        let host = &mut self.hosts[ask.host];
        host.ask = None;
        host.is_lost = is_lost;
        match self.stage {
            Stage::Early(_) => self.went_early(ask, answer, effects),
            _ if ask.is_back => self.came_back(ask, answer, effects),
            _ => self.went_forward(ask, answer, effects),
        }
    }

    /// Asks a host for a step and notes what may have happened from now on.
    fn ask(&mut self, host: Host, step: Step, effects: &mut Vec<Effect>) {
        let ask = Ask { host, step, is_back: self.is_back, attempt: 0, round: self.hosts[host].round };
        self.hosts[host].asked(ask);
        effects.push(Effect::Do(ask));
    }

    /// The same question under a new number; false where it was asked often enough.
    fn ask_again(&mut self, ask: Ask, effects: &mut Vec<Effect>) -> bool {
        let again = Ask { attempt: ask.attempt + 1, ..ask };
        let is_allowed = again.attempt < ATTEMPTS_MAX;
        if is_allowed {
            self.hosts[ask.host].ask = Some(again);
            effects.push(if paths::is_play(ask.step) { Effect::Play(vec![again]) } else { Effect::Do(again) });
        }
        is_allowed
    }

    fn ask_together(&mut self, hosts: Vec<Host>, step: Step, effects: &mut Vec<Effect>) {
        let mut asks = Vec::new();
        for host in hosts {
            let ask = Ask { host, step, is_back: false, attempt: 0, round: self.hosts[host].round };
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

#[cfg(test)]
mod tests;
