//! Decides which host may start which step next: `linear` (all hosts together) or `free`, with blocks, rescue, always, handlers,
//! `run_once` and failure limits.
//!
//! A sans-IO core: ids and outcomes in, effects out. No clock, no values, no async, no randomness; the same type is enumerated by
//! the model checker and run by `engine`. A host has a position in one ordered list of steps; steps that only some hosts take
//! (includes, handlers) are put into the list with the set of hosts they are for. In `linear` the hosts at the lowest position go
//! first, so that hosts which took another way (rescue) meet the others again behind the block. Start reading at [`Strategy::on`].

mod walk;
#[cfg(test)]
mod tests;

use crate::playbook::{BlockInfo, Part, Program, Step, StepKind};
use std::collections::{BTreeMap, BTreeSet};

/// Number of a host in its play.
pub type Host = usize;
/// Number of a task in the play's table of tasks; it stays when steps are put in.
pub type TaskId = usize;
/// Number of a step; it stays when others are put in before it.
pub type StepId = usize;
/// Number of a handler, in the order in which they are defined.
pub type HandlerId = usize;

/// What counts for a whole play.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rules {
    /// All hosts together, or each as fast as it can.
    pub linear: bool,
    /// How many hosts work at once.
    pub forks: usize,
    /// Stop the play when more than this percentage of the hosts has failed.
    pub fail_percentage_max: Option<u32>,
    /// Handlers run on failed hosts too.
    pub force_handlers: bool,
}

/// One play on one batch of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Strategy {
    rules: Rules,
    slots: Vec<Slot>,
    blocks: Vec<BlockInfo>,
    hosts: Vec<HostState>,
    notified: BTreeMap<HandlerId, BTreeSet<Host>>,
    /// At most this many hosts at one task at a time.
    throttles: BTreeMap<TaskId, usize>,
    /// The step whose includes are being added, and where the next one goes.
    next_include: Option<(usize, usize)>,
    /// For the next step that is put in.
    next_id: StepId,
    /// A failure here is the failure of all, as soon as no host is still at it.
    fatal: Option<usize>,
    stopped: bool,
    ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    id: StepId,
    step: Step,
    /// The hosts that take this step; none means all.
    only: Option<BTreeSet<Host>>,
    /// Set for a step that runs a handler.
    handler: Option<HandlerId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct HostState {
    at: usize,
    state: State,
    /// Blocks that this host has to fail once their `always` is through.
    failing: BTreeSet<usize>,
    /// The last handler that the flush the host is at has come to.
    flushed: Option<HandlerId>,
    /// Tasks that it passes over until it comes to another one.
    skipping: BTreeSet<TaskId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Ready,
    /// Runs the step it is at.
    Busy,
    /// Waits for the host that runs this step for all.
    Following,
    /// Ran an include; waits for the others that are still at it.
    Held,
    Failed,
    Unreachable,
    /// `end_host`, `end_play`.
    Left,
    Done,
}

/// How a step ended on a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Fine, skipped, or failed and ignored.
    Ok,
    Failed,
    Unreachable,
    /// `meta: end_host`.
    LeaveHost,
    /// `meta: end_play` and `end_batch`: for all hosts.
    LeaveAll,
    /// `meta: flush_handlers`.
    Flush,
    /// `meta: clear_host_errors`: failures that wait for the end of an `always` are forgotten.
    Forgive,
    /// `meta: end_role`: these tasks are passed over as long as they come next.
    Skip {
        tasks: BTreeSet<TaskId>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    Start,
    Ended {
        host: Host,
        ended: Ended,
    },
    /// The step is an include and has run on this host, but what it adds goes in only when all have run it.
    Held {
        host: Host,
    },
    /// A handler was notified by the step the host is at.
    Notified {
        host: Host,
        handler: HandlerId,
    },
    /// A handler came that is called like another one: it runs in its place where that was notified and has not run.
    Superseded {
        old: HandlerId,
        new: HandlerId,
    },
    /// The step `host` is at turned out to be an include: these steps come next, for these hosts (all of which are at it).
    Included {
        hosts: BTreeSet<Host>,
        steps: Vec<Step>,
        blocks: Vec<BlockInfo>,
    },
    /// Start nothing more; what runs may end.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Run the task on these hosts. With `for_all`, one host runs it for all of those.
    Run {
        /// Runs of one step belong together: one heading in the output, one round of includes.
        step: StepId,
        task: TaskId,
        hosts: Vec<Host>,
        handler: Option<HandlerId>,
        for_all: Vec<Host>,
        /// Others will run this very step as soon as there is a fork for them.
        more: bool,
    },
    /// A failure was caught: one more `rescued`, one less `failed` for the host.
    Rescued { host: Host },
    /// The host is out of the play.
    HostFailed { host: Host },
    /// Nothing is left to do.
    Finished,
}

impl Strategy {
    pub fn new(program: &Program, hosts: usize, rules: Rules) -> Strategy {
        let slots =
            program.steps.iter().enumerate().map(|(id, step)| Slot { id, step: *step, only: None, handler: None }).collect();
        let host = HostState { at: 0, state: State::Ready, failing: BTreeSet::new(), flushed: None, skipping: BTreeSet::new() };
        Strategy {
            rules,
            slots,
            blocks: program.blocks.clone(),
            hosts: vec![host; hosts],
            notified: BTreeMap::new(),
            throttles: BTreeMap::new(),
            next_include: None,
            next_id: program.steps.len(),
            fatal: None,
            stopped: false,
            ended: false,
        }
    }

    /// Only these hosts take the step with this number in the program.
    pub fn restrict(&mut self, step: StepId, hosts: &BTreeSet<Host>) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == step) {
            slot.only = Some(hosts.clone());
        }
    }

    /// `throttle`: at most this many hosts are at the task at a time.
    pub fn throttle(&mut self, task: TaskId, hosts_max: usize) {
        self.throttles.insert(task, hosts_max);
    }

    /// Total: every input is answered in every state; one that cannot be meant is ignored.
    pub fn on(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Start => {}
            Input::Ended { host, ended } => self.ended(host, &ended, &mut effects),
            Input::Held { host } => self.hold(host),
            Input::Notified { host, handler } => {
                if host < self.hosts.len() {
                    self.notified.entry(handler).or_default().insert(host);
                }
            }
            Input::Superseded { old, new } => {
                let hosts = self.notified.remove(&old).unwrap_or_default();
                self.notified.entry(new).or_default().extend(hosts);
            }
            Input::Included { hosts, steps, blocks } => self.include(&hosts, &steps, &blocks),
            Input::Stop => self.stopped = true,
        }
        self.advance(&mut effects);
        effects
    }

    /// Handlers that have yet to run.
    pub fn notified(&self) -> impl Iterator<Item = HandlerId> {
        self.notified.iter().filter(|(_, hosts)| !hosts.is_empty()).map(|(id, _)| *id)
    }

    /// Hosts that failed or became unreachable.
    pub fn failed(&self) -> Vec<Host> {
        self.hosts_in(|state| matches!(state, State::Failed | State::Unreachable))
    }

    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Hosts that still take part: neither failed nor gone.
    pub fn active(&self) -> Vec<Host> {
        self.hosts_in(|state| !matches!(state, State::Failed | State::Unreachable | State::Left))
    }

    fn hosts_in(&self, is_wanted: impl Fn(State) -> bool) -> Vec<Host> {
        self.hosts.iter().enumerate().filter(|(_, host)| is_wanted(host.state)).map(|(id, _)| id).collect()
    }

    /// The step that a host is at, if it runs one.
    pub fn running(&self, host: Host) -> Option<TaskId> {
        let state = self.hosts.get(host)?;
        let is_running = matches!(state.state, State::Busy | State::Held | State::Following);
        match self.slots.get(state.at)?.step.kind {
            StepKind::Task { task, .. } if is_running => Some(task),
            StepKind::Task { .. } | StepKind::EndBody(_) | StepKind::EndRescue(_) | StepKind::EndAlways(_) | StepKind::Flush => {
                None
            }
        }
    }

    /// Where the tasks of an include that `host` runs belong: the block around it.
    pub fn home(&self, host: Host) -> Option<(usize, Part)> {
        self.slots.get(self.hosts.get(host)?.at)?.step.home
    }

    fn new_id(&mut self) -> StepId {
        self.next_id += 1;
        self.next_id - 1
    }

    pub fn block_count(&self) -> usize {
        self.blocks.len()
    }
}
