//! The world around `rollout`: hosts with their containers, locks and records, a balancer that lags, one or two controllers that die, and people
//! who press Ctrl-C. What a host or the balancer does with a question is [`Lab::perform`]; everything that can come of it, [`Lab::answers`].

use super::explore::World;
use roll::rollout::{
    Answer, Ask, Effect, Evidence, Floor, Found, Goal, Guards, Host, Input, Outcome, Phase, Pool, Reached, ReadToken, Reading,
    Recording, Rollout, Rules, Step, TimerToken,
};
use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};

pub(crate) const OLD: usize = 0;
pub(crate) const NEW: usize = 1;

/// A host. Pairs are of the old and the new container, or of the two targets; without start-first there is only the first target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    runs: [bool; 2],
    works: [bool; 2],
    /// Requests are under way.
    busy: [bool; 2],
    in_rotation: [bool; 2],
    /// The balancer has seen that it works since it was put in.
    is_checked: [bool; 2],
    /// The old container gave up its name.
    is_aside: bool,
    /// It has a target for each container.
    is_start_first: bool,
    had_old: bool,
    recorded: Reached,
    served: bool,
    holder: Option<u8>,
    generation: u8,
    /// Who has this generation.
    run: u8,
    /// The balancer still shows it as serving.
    lags: bool,
    /// On the way back, after it could not be looked at: its requests are cut.
    is_cut: bool,
    is_baked: bool,
    is_ready: bool,
    has_died: bool,
    /// It answers nothing any more.
    is_gone: bool,
    served_before: bool,
    has_left: bool,
}

/// How often each kind of trouble may still come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Trouble {
    pub(crate) failures: u8,
    pub(crate) losses: u8,
    pub(crate) deaths: u8,
    /// Of whole hosts.
    pub(crate) host_deaths: u8,
    pub(crate) interrupts: u8,
    /// The controller is gone from one moment to the next; somebody goes on, forward or back.
    pub(crate) crashes: u8,
    /// A channel breaks, and with it the lock of its host.
    pub(crate) drops: u8,
    /// No host hears of a controller for too long: it is fenced out.
    pub(crate) silences: u8,
    /// The balancer shows a target as serving that was taken out.
    pub(crate) lags: u8,
    pub(crate) pauses: u8,
}

/// Somebody who runs `roll`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Control {
    id: u8,
    core: Rollout,
    goal: Goal,
    is_hotfix: bool,
    /// The newest generation that was found, and the own one.
    known: u8,
    generation: u8,
    asks: BTreeSet<Ask>,
    read: Option<ReadToken>,
    timer: Option<TimerToken>,
    /// Answers that were given up and come in the end, or come twice.
    late: BTreeSet<(Ask, Answer)>,
    late_reads: Vec<(ReadToken, Reading)>,
    has_died_since_read: bool,
    interrupted: u8,
    is_fenced: bool,
    is_paused: bool,
    /// Something went wrong on a host that had been asked to leave.
    is_touched_broken: bool,
    has_changed: bool,
    /// Somebody else has changed something since.
    is_superseded: bool,
    ended: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Second {
    /// Somebody else begins at any moment.
    Rival,
    Hotfix,
}

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Whether each host's app works in the beginning; `None` where it was never installed.
    pub(crate) nodes: Vec<Option<bool>>,
    pub(crate) rules: Rules,
    pub(crate) trouble: Trouble,
    pub(crate) second: Option<Second>,
    pub(crate) guards: Guards,
    /// Hosts refuse what is stale.
    pub(crate) hosts_fence: bool,
    /// The zone of each host, where zones do without each other; one of them serves in each.
    pub(crate) zones: Vec<u8>,
    /// The balancer is set up so that nobody comes back.
    pub(crate) is_unfit: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Lab {
    world: Inner,
    seen: Vec<&'static str>,
}

impl Hash for Lab {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.world.hash(hasher);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Inner {
    nodes: Vec<Node>,
    controls: Vec<Control>,
    controls_begun: u8,
    second: Option<Second>,
    rules: Rules,
    guards: Guards,
    hosts_fence: bool,
    zones: Vec<u8>,
    is_unfit: bool,
    floor: usize,
    trouble: Trouble,
    /// Anything but lost answers, crashes and broken channels.
    has_failed: bool,
    is_crashed: bool,
    lost_locks: bool,
    /// Who changed something last.
    writer: u8,
    broken: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Fine,
    /// Done, and the answer comes twice.
    Twice,
    Fails,
    FailsAtHalf,
    Busy,
    NeverWorks,
    /// The host is gone.
    NoAnswer,
    LostBefore,
    DoneButLate,
}

#[derive(Clone)]
pub(crate) enum Move {
    Answer(u8, Ask, Way),
    Late(u8, Ask),
    Read(u8),
    ReadLate(u8),
    LateRead(u8),
    Timer(u8),
    AppDies(Host),
    HostDies(Host),
    Interrupt(u8),
    Pause(u8),
    Continue(u8),
    Second,
    AskedToYield(u8),
    /// After this much of a question was carried out.
    Crash(Option<(Ask, Part)>, Goal),
    ChannelBreaks(Host),
    Silence(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Written down, not done.
    Recorded,
    Done,
}

impl Display for Move {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let name = |ask: &Ask| format!("{:?} {}{} #{}", ask.step, ask.host, if ask.is_back { " back" } else { "" }, ask.attempt);
        match self {
            Move::Answer(id, ask, way) => write!(out, "{id}: {} {way:?}", name(ask)),
            Move::Late(id, ask) => write!(out, "{id}: late answer to {}", name(ask)),
            Move::Read(id) => write!(out, "{id}: reads the balancer"),
            Move::ReadLate(id) => write!(out, "{id}: reads the balancer, too late"),
            Move::LateRead(id) => write!(out, "{id}: late reading"),
            Move::Timer(id) => write!(out, "{id}: timer"),
            Move::AppDies(host) => write!(out, "the app on {host} dies"),
            Move::HostDies(host) => write!(out, "host {host} is gone"),
            Move::Interrupt(id) => write!(out, "{id}: Ctrl-C"),
            Move::Pause(id) => write!(out, "{id}: pause"),
            Move::Continue(id) => write!(out, "{id}: continue"),
            Move::Second => write!(out, "a second one begins"),
            Move::AskedToYield(id) => write!(out, "{id}: asked to yield"),
            Move::Crash(None, goal) => write!(out, "crash, then {goal:?}"),
            Move::Crash(Some((ask, part)), goal) => write!(out, "crash in {} ({part:?}), then {goal:?}", name(ask)),
            Move::ChannelBreaks(host) => write!(out, "the channel to {host} breaks"),
            Move::Silence(id) => write!(out, "{id}: silent for too long"),
        }
    }
}

pub(crate) fn rules(batches: &[usize]) -> Rules {
    Rules { batches: batches.to_vec(), patience: 1, ..Rules::careful(4) }
}

impl Setup {
    pub(crate) fn new(nodes: Vec<Option<bool>>, rules: Rules, trouble: Trouble) -> Setup {
        Setup { nodes, rules, trouble, second: None, guards: Guards::ALL, hosts_fence: true, zones: Vec::new(), is_unfit: false }
    }
}

impl Node {
    fn new(works: Option<bool>) -> Node {
        let is_there = works.is_some();
        Node {
            runs: [is_there, false],
            works: [works == Some(true), true],
            busy: [works == Some(true), false],
            in_rotation: [true, false],
            is_checked: [true, false],
            is_aside: false,
            is_start_first: false,
            had_old: is_there,
            recorded: Reached::Nothing,
            served: false,
            holder: None,
            generation: 0,
            run: 0,
            lags: false,
            is_cut: false,
            is_baked: false,
            is_ready: false,
            has_died: false,
            is_gone: false,
            served_before: works == Some(true),
            has_left: false,
        }
    }

    fn evidence(&self) -> Evidence {
        Evidence {
            recorded: self.recorded,
            is_first: !self.had_old,
            served: self.served,
            is_parked: self.is_aside,
            runs: self.runs[NEW] || (self.runs[OLD] && !self.is_aside),
        }
    }

    /// Which of its targets leads to a container.
    fn target(&self, release: usize) -> usize {
        if self.is_start_first { release } else { 0 }
    }

    /// What an earlier rollout has put in place is what the next one replaces.
    fn becomes_old(&mut self) {
        self.recorded = Reached::Nothing;
        (self.runs, self.works, self.busy) = ([self.runs[NEW], false], [self.works[NEW], true], [self.busy[NEW], false]);
        (self.had_old, self.is_baked, self.is_ready, self.has_left) = (true, false, false, false);
    }

    fn serves_with(&self, release: usize) -> bool {
        let target = self.target(release);
        self.in_rotation[target] && self.is_checked[target] && self.runs[release] && self.works[release]
    }

    /// The balancer sends it requests and it answers them.
    fn serves(&self) -> bool {
        self.serves_with(OLD) || self.serves_with(NEW)
    }

    fn is_in(&self) -> bool {
        self.in_rotation[0] || self.in_rotation[1]
    }
}

impl Control {
    fn new(id: u8, goal: Goal, is_hotfix: bool, world: &Inner) -> Control {
        let rules = Rules { goal, ..world.rules.clone() };
        Control {
            id,
            core: Rollout::guarded(world.nodes.len(), rules, world.guards),
            goal,
            is_hotfix,
            known: 0,
            generation: 0,
            asks: BTreeSet::new(),
            read: None,
            timer: None,
            late: BTreeSet::new(),
            late_reads: Vec::new(),
            has_died_since_read: false,
            interrupted: 0,
            is_fenced: false,
            is_paused: false,
            is_touched_broken: false,
            has_changed: false,
            is_superseded: false,
            ended: None,
        }
    }
}

/// What a host answers to somebody who may not change it.
enum Denied {
    Fenced,
}

impl Lab {
    pub(crate) fn new(setup: &Setup) -> Lab {
        let mut nodes: Vec<Node> = setup.nodes.iter().map(|works| Node::new(*works)).collect();
        nodes.iter_mut().for_each(|node| node.is_start_first = setup.rules.start_first && node.had_old);
        let largest = setup.rules.batches.iter().copied().max().unwrap_or(nodes.len());
        let floor = match setup.rules.floor {
            Floor::AllButBatch if setup.rules.start_first => nodes.len(),
            Floor::AllButBatch => nodes.len().saturating_sub(largest),
            Floor::Count(count) => count,
        };
        let world = Inner {
            nodes,
            controls: Vec::new(),
            controls_begun: 0,
            second: setup.second,
            rules: setup.rules.clone(),
            guards: setup.guards,
            hosts_fence: setup.hosts_fence,
            zones: setup.zones.clone(),
            is_unfit: setup.is_unfit,
            floor,
            trouble: setup.trouble,
            has_failed: false,
            is_crashed: false,
            lost_locks: false,
            writer: 0,
            broken: None,
        };
        let mut lab = Lab { world, seen: Vec::new() };
        lab.begin(setup.rules.goal, false);
        lab
    }

    fn begin(&mut self, goal: Goal, is_hotfix: bool) {
        self.world.controls_begun += 1;
        let control = Control::new(self.world.controls_begun, goal, is_hotfix, &self.world);
        self.world.controls.push(control);
        self.tell(self.world.controls.len() - 1, Input::Start);
    }

    fn tell(&mut self, at: usize, input: Input) {
        let effects = self.world.controls[at].core.on(input);
        for effect in effects {
            let control = &mut self.world.controls[at];
            match effect {
                Effect::Do(ask) => {
                    let is_early = ask.is_back && !control.is_touched_broken && control.goal != Goal::Old;
                    control.asks.insert(ask);
                    if is_early && self.world.controls_begun == 1 {
                        self.break_rule("only_the_touched_turn_back");
                    }
                }
                Effect::Play(asks) => control.asks.extend(asks),
                Effect::ReadBalancer(token) => control.read = Some(token),
                Effect::SetTimer(token) => control.timer = Some(token),
                Effect::Finish(outcome) => self.finish(at, outcome),
            }
        }
    }

    fn tell_reading(&mut self, at: usize, token: ReadToken, reading: Reading) {
        let is_ordered = !self.world.controls[at].core.batches().is_empty();
        let serving = reading.serving.clone();
        self.tell(at, Input::Read(token, Some(reading)));
        if !is_ordered && !self.world.controls[at].core.batches().is_empty() {
            for (host, node) in self.world.nodes.iter_mut().enumerate().filter(|(_, node)| !node.has_left) {
                node.served_before = serving.contains(&host);
            }
        }
    }

    fn break_rule(&mut self, property: &'static str) {
        self.world.broken = self.world.broken.or(Some(property));
    }

    fn finish(&mut self, at: usize, outcome: Outcome) {
        let control = &mut self.world.controls[at];
        if control.ended.replace(outcome).is_some() {
            return self.break_rule("ends");
        }
        control.asks.clear();
        (control.read, control.timer) = (None, None);
        control.late.clear();
        control.late_reads.clear();
        let control = control.clone();
        for node in self.world.nodes.iter_mut().filter(|node| node.holder == Some(control.id)) {
            node.holder = None;
        }
        self.seen.push(match outcome {
            Outcome::Done if control.goal == Goal::Old => "rolled back",
            Outcome::Done if control.goal == Goal::Finish => "resumed",
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Locked => "locked out",
            Outcome::Halted => "halted",
            Outcome::Reverted => "reverted",
            Outcome::RevertFailed => "revert failed",
            Outcome::Interrupted => "interrupted",
            Outcome::Fenced => "fenced",
        });
        let is_over = self.world.controls.len() > 1 && self.world.controls.iter().all(|control| control.ended.is_some());
        let has_one = self.world.controls.iter().any(|control| control.ended == Some(Outcome::Done));
        let is_undisturbed = !self.world.has_failed && !self.world.lost_locks;
        if is_over && !has_one && is_undisturbed && self.world.controls.iter().all(|control| control.interrupted == 0) {
            self.break_rule("one_of_two_proceeds");
        }
        if let Some(broken) = self.broken_by(&control, outcome) {
            self.break_rule(broken);
        }
    }

    /// What an outcome promises.
    fn broken_by(&self, control: &Control, outcome: Outcome) -> Option<&'static str> {
        let nodes = || self.world.nodes.iter().filter(|node| !node.is_gone);
        let all = |is_so: &dyn Fn(&Node) -> bool| nodes().all(is_so);
        let is_new = |node: &Node| node.runs[NEW] && !node.runs[OLD];
        let is_old = |node: &Node| !node.runs[NEW] && (node.runs[OLD] || !node.had_old) && !node.is_aside;
        let is_out = |node: &Node| node.has_left && !node.is_in() && !node.has_died;
        let is_last = self.world.writer == control.id;
        let is_careful = is_last && (outcome != Outcome::Interrupted || control.interrupted < 2);
        let is_clean =
            matches!(outcome, Outcome::Done | Outcome::Reverted | Outcome::Halted | Outcome::Interrupted) && is_careful;
        let is_committed = self.world.nodes.iter().any(|node| node.recorded == Reached::Retired);
        match (outcome, control.goal) {
            (Outcome::Done, Goal::New | Goal::Finish) if !all(&|node| is_new(node) && !node.is_aside) => Some("done_means_new"),
            (Outcome::Done, Goal::Old) if !all(&is_old) => Some("done_means_old"),
            (Outcome::Reverted, _) if !all(&is_old) && !self.world.is_crashed => Some("reverted_means_old"),
            (Outcome::Refused, Goal::Old) if is_committed && !all(&is_new) => Some("committed_is_whole"),
            (Outcome::Refused | Outcome::Locked, _) if control.has_changed => Some("refused_means_untouched"),
            _ if control.is_fenced && outcome != Outcome::Fenced && outcome != Outcome::Interrupted => Some("fenced_ends"),
            _ if is_clean && !all(&|node| !is_out(node) || !node.had_old) => Some("no_node_left_out"),
            _ if is_clean && !all(&|node| !(node.runs[OLD] && node.runs[NEW])) => Some("never_two_app_containers"),
            _ if !self.has_excuse(control) && self.world.is_crashed && outcome == Outcome::Refused && !is_committed => {
                Some("resume_reaches_its_goal")
            }
            _ if !self.has_excuse(control) && !matches!(outcome, Outcome::Done | Outcome::Refused) => {
                Some("resume_reaches_its_goal")
            }
            _ => None,
        }
    }

    /// After nothing but crashes and lost answers, whoever goes on reaches the goal; so does one of two rivals.
    fn has_excuse(&self, control: &Control) -> bool {
        let is_alone = self.world.controls.iter().filter(|other| other.id != control.id).all(|other| other.ended.is_some());
        let has_rival = !is_alone || self.world.second.is_none() && self.world.controls.len() > 1;
        let others_done = self.world.controls.iter().any(|other| other.id != control.id && other.ended == Some(Outcome::Done));
        let has_first = self.world.nodes.iter().any(|node| !node.had_old);
        self.world.has_failed || has_first || control.interrupted > 0 || control.is_fenced || has_rival || others_done
    }

    fn node(&mut self, ask: Ask) -> &mut Node {
        &mut self.world.nodes[ask.host]
    }

    /// Whether this controller may change something on this host now. A lock that a broken channel took is taken again.
    fn permit(&mut self, at: usize, host: Host) -> Result<(), Denied> {
        let (id, generation) = (self.world.controls[at].id, self.world.controls[at].generation);
        let fences = self.world.hosts_fence;
        let node = &mut self.world.nodes[host];
        let is_stale = node.generation > generation;
        let is_others = node.holder.is_some_and(|holder| holder != id);
        if (is_stale || is_others) && fences {
            self.seen.push("a stale one is refused");
            return Err(Denied::Fenced);
        }
        node.holder = Some(id);
        self.changes(at, is_stale);
        Ok(())
    }

    fn changes(&mut self, at: usize, is_stale: bool) {
        let id = self.world.controls[at].id;
        self.world.controls[at].has_changed = true;
        if is_stale {
            self.break_rule("stale_generation_refused");
        }
        if self.world.controls[at].is_superseded {
            self.break_rule("one_writer");
        }
        for other in self.world.controls.iter_mut().filter(|other| other.id != id && other.has_changed) {
            other.is_superseded = true;
        }
        self.world.writer = id;
    }

    /// A step really happens; the honest answer. With [`Part::Recorded`], only as far as writing down that it is about to.
    fn perform(&mut self, at: usize, ask: Ask, part: Part) -> Answer {
        match ask.step {
            Step::Lock => return self.lock(at, ask),
            Step::Number => return self.number(at, ask),
            Step::Inspect => return Answer::Found(self.found(at, ask)),
            Step::Prepare => return Answer::Ok,
            Step::Check => {
                self.node(ask).is_ready = true;
                return Answer::Ok;
            }
            Step::AwaitQuiet => {
                self.quiet(ask);
                return Answer::Ok;
            }
            Step::Verify => return self.verify(ask),
            _ => {}
        }
        if self.permit(at, ask.host).is_err() {
            return Answer::Fenced;
        }
        let recording = self.world.controls[at].core.recording(ask.host);
        self.record_before(recording, ask);
        if part == Part::Recorded {
            return Answer::Lost;
        }
        let answer = self.carry_out(at, ask);
        if answer == Answer::Ok {
            let node = self.node(ask);
            node.recorded = recording.after(ask, node.recorded);
        }
        answer
    }

    fn carry_out(&mut self, at: usize, ask: Ask) -> Answer {
        match ask.step {
            Step::Drain => self.drain(at, ask),
            Step::Park => self.park(ask),
            Step::Aside => self.aside(ask),
            Step::Switch => self.switch(ask),
            Step::Enable => self.enable(ask),
            Step::AwaitHealthy => self.await_healthy(ask),
            Step::Confirm => self.confirm(ask),
            Step::Bake => self.bake(ask),
            Step::Revive => self.revive(ask),
            Step::Unpark => self.unpark(ask),
            Step::Retire => self.retire(ask),
            Step::Lock | Step::Number | Step::Inspect | Step::Prepare | Step::Check | Step::AwaitQuiet | Step::Verify => {
                Answer::Ok
            }
        }
    }

    fn lock(&mut self, at: usize, ask: Ask) -> Answer {
        let control = &mut self.world.controls[at];
        let node = &mut self.world.nodes[ask.host];
        if node.holder.is_some_and(|holder| holder != control.id) {
            return Answer::Held;
        }
        node.holder = Some(control.id);
        control.known = control.known.max(node.generation);
        Answer::Ok
    }

    fn number(&mut self, at: usize, ask: Ask) -> Answer {
        let control = &mut self.world.controls[at];
        let node = &mut self.world.nodes[ask.host];
        if control.generation == 0 {
            control.generation = control.known + 1;
        }
        let is_stale = node.generation > control.generation || (node.generation == control.generation && node.run != control.id);
        if node.holder.is_some_and(|holder| holder != control.id) || is_stale {
            return Answer::Fenced;
        }
        node.run = control.id;
        node.holder = Some(control.id);
        node.generation = control.generation;
        // What an earlier one has finished is no part of this one.
        if control.goal == Goal::New && node.recorded == Reached::Retired {
            node.becomes_old();
        }
        Answer::Ok
    }

    /// A hotfix is another release: what was done for the one before it does not count.
    fn found(&mut self, at: usize, ask: Ask) -> Found {
        let is_other = self.world.controls[at].is_hotfix;
        let node = self.node(ask);
        let mut evidence = node.evidence();
        if is_other && evidence.recorded != Reached::Left {
            evidence.recorded = Reached::Nothing;
        }
        Found::of(evidence)
    }

    fn record_before(&mut self, recording: Recording, ask: Ask) {
        let node = self.node(ask);
        let serves = node.serves();
        let recorded = recording.before(ask, node.recorded);
        if node.recorded == Reached::Nothing && recorded != Reached::Nothing {
            node.served = serves;
        }
        node.recorded = recorded;
    }

    /// The target that a step is about.
    fn target(&self, ask: Ask) -> usize {
        let is_entering = matches!(ask.step, Step::Enable | Step::AwaitHealthy | Step::Confirm | Step::Bake | Step::Verify);
        let node = &self.world.nodes[ask.host];
        node.target(if is_entering == ask.is_back { OLD } else { NEW })
    }

    fn quiet(&mut self, ask: Ask) {
        let target = self.target(ask);
        let node = self.node(ask);
        node.lags = false;
        for release in [OLD, NEW] {
            node.busy[release] &= node.target(release) != target;
        }
    }

    fn verify(&mut self, ask: Ask) -> Answer {
        let target = self.target(ask);
        let node = self.node(ask);
        let works = |release: usize| node.target(release) == target && node.runs[release] && node.works[release];
        if works(OLD) || works(NEW) { Answer::Ok } else { Answer::Failed }
    }

    fn drain(&mut self, at: usize, ask: Ask) -> Answer {
        let target = self.target(ask);
        let live = self.world.nodes.iter().filter(|node| node.serves()).count();
        let mut after = self.world.nodes[ask.host].clone();
        after.in_rotation[target] = false;
        let is_loss = self.world.nodes[ask.host].serves() && !after.serves();
        let is_known = !self.world.controls[at].has_died_since_read;
        let is_skipped = |host: &Host| self.world.controls[at].core.phase(*host) == Phase::Skipped;
        let floor = self.world.floor - (0..self.world.nodes.len()).filter(is_skipped).count().min(self.world.floor);
        if is_loss && live <= floor && is_known {
            self.break_rule("never_below_floor");
        }
        if is_loss && is_known && !self.world.rules.accept_downtime && self.is_alone_in_its_zone(ask.host) {
            self.break_rule("never_below_floor_of_a_zone");
        }
        if self.world.is_unfit {
            self.break_rule("unfit_means_untouched");
        }
        if is_loss && live == floor + 1 {
            self.seen.push("at the floor");
        }
        let start_first = self.world.nodes[ask.host].is_start_first;
        if !ask.is_back && !start_first {
            self.check_order(at, ask);
        }
        let may_lag = self.world.trouble.lags > 0 && self.world.nodes[ask.host].serves() && !start_first;
        self.world.trouble.lags -= u8::from(may_lag);
        let node = self.node(ask);
        node.lags = may_lag;
        node.in_rotation[target] = false;
        node.has_left = true;
        Answer::Ok
    }

    fn is_alone_in_its_zone(&self, host: Host) -> bool {
        let zone = self.world.zones.get(host);
        let is_peer = |other: &Host| *other != host && self.world.zones.get(*other) == zone && self.world.nodes[*other].serves();
        zone.is_some() && !(0..self.world.nodes.len()).any(|other| is_peer(&other))
    }

    fn check_order(&mut self, at: usize, ask: Ask) {
        if !self.world.nodes[ask.host].is_ready {
            self.break_rule("asked_before_drained");
        }
        let has_bake = self.world.rules.bake;
        let waits = |node: &Node| !node.runs[NEW] || (has_bake && !node.is_baked);
        let before = self.world.controls[at].core.batches().iter().take_while(|batch| !batch.contains(&ask.host)).flatten();
        let before: Vec<Host> = before.copied().collect();
        if before.iter().any(|host| waits(&self.world.nodes[*host])) {
            self.break_rule("canary_first");
        }
        if !before.is_empty() {
            self.seen.push("the canary was baked first");
        }
        let node = &self.world.nodes[ask.host];
        let is_waiting = |other: &Node| !other.served_before && !other.has_left && !other.is_gone;
        if node.served_before && !node.has_left && self.world.nodes.iter().any(is_waiting) {
            self.break_rule("broken_hosts_first");
        }
    }

    fn park(&mut self, ask: Ask) -> Answer {
        let node = self.node(ask);
        if !node.had_old {
            return Answer::Empty;
        }
        if node.is_aside && !node.runs[OLD] {
            return Answer::Ok;
        }
        self.stops(ask.host, OLD);
        self.node(ask).is_aside = true;
        Answer::Ok
    }

    fn aside(&mut self, ask: Ask) -> Answer {
        self.node(ask).is_aside = true;
        Answer::Ok
    }

    fn switch(&mut self, ask: Ask) -> Answer {
        let node = self.node(ask).clone();
        if node.in_rotation[node.target(NEW)] {
            self.break_rule("no_switch_in_rotation");
        }
        if node.had_old && !node.is_aside {
            self.break_rule("revert_target_exists");
        }
        if node.runs[OLD] && !node.is_start_first {
            self.break_rule("never_two_app_containers");
        }
        if node.runs[OLD] {
            self.seen.push("two for a while");
        }
        if node.runs[NEW] {
            self.stops(ask.host, NEW);
        }
        let node = self.node(ask);
        node.runs[NEW] = true;
        Answer::Ok
    }

    fn enable(&mut self, ask: Ask) -> Answer {
        let target = self.target(ask);
        let node = self.node(ask);
        let runs = |release: usize| node.runs[release] && node.target(release) == target;
        let works = |release: usize| runs(release) && node.works[release];
        let is_broken = runs(NEW) && !works(NEW) && !node.has_died;
        let is_as_before = ask.is_back && !node.served_before;
        // Put in where it is in already, nothing is checked anew.
        let (old, new) = (works(OLD), works(NEW));
        node.is_checked[target] &= node.in_rotation[target];
        node.in_rotation[target] = true;
        node.busy[OLD] |= old;
        node.busy[NEW] |= new;
        if is_broken && !is_as_before {
            self.break_rule("no_broken_app_enabled");
        }
        Answer::Ok
    }

    fn await_healthy(&mut self, ask: Ask) -> Answer {
        let target = self.target(ask);
        let node = self.node(ask);
        node.is_checked[target] = true;
        let serves = |release: usize| node.target(release) == target && node.serves_with(release);
        if !serves(OLD) && !serves(NEW) {
            return Answer::Failed;
        }
        if ask.is_back && !node.is_start_first {
            self.seen.push("back to what was parked");
        }
        Answer::Ok
    }

    fn confirm(&mut self, ask: Ask) -> Answer {
        let node = self.node(ask);
        if !node.serves_with(NEW) && !node.has_died {
            self.break_rule("confirmed_in_rotation");
        }
        Answer::Ok
    }

    fn bake(&mut self, ask: Ask) -> Answer {
        self.node(ask).is_baked = true;
        Answer::Ok
    }

    fn revive(&mut self, ask: Ask) -> Answer {
        let node = self.node(ask);
        if !node.is_aside && !node.runs[OLD] {
            return Answer::Failed;
        }
        node.runs[OLD] = true;
        Answer::Ok
    }

    fn unpark(&mut self, ask: Ask) -> Answer {
        if self.node(ask).runs[NEW] {
            self.stops(ask.host, NEW);
        }
        let node = self.node(ask);
        if !node.is_aside && !node.runs[OLD] {
            return Answer::Failed;
        }
        node.is_aside = false;
        node.runs[OLD] = true;
        Answer::Ok
    }

    fn retire(&mut self, ask: Ask) -> Answer {
        let node = self.node(ask);
        node.is_aside = false;
        if node.runs[OLD] {
            self.break_rule("no_stop_in_rotation");
        }
        Answer::Ok
    }

    /// Containers are stopped only when nobody uses them.
    fn stops(&mut self, host: Host, release: usize) {
        let node = &mut self.world.nodes[host];
        let (is_used, is_busy) = (node.serves_with(release), node.runs[release] && node.busy[release] && !node.is_cut);
        node.runs[release] = false;
        if is_used {
            self.break_rule("no_stop_in_rotation");
        }
        if is_busy {
            self.break_rule("no_request_cut");
        }
    }

    fn answered(&mut self, at: usize, ask: Ask, answer: Answer) {
        let control = &mut self.world.controls[at];
        control.asks.remove(&ask);
        let is_early = matches!(ask.step, Step::Lock | Step::Number | Step::Inspect | Step::Prepare | Step::Check);
        control.is_touched_broken |= !is_early && !matches!(answer, Answer::Ok | Answer::Empty);
        control.is_fenced |= answer == Answer::Fenced;
        // On the way back, an app that could not be looked at three times is stopped all the same.
        let is_blind = ask.is_back && ask.step == Step::AwaitQuiet && ask.attempt == 2;
        self.node(ask).is_cut |= is_blind && answer != Answer::Ok;
        self.tell(at, Input::Answered(ask, answer));
    }

    fn after(&self, next: &mut Vec<(Move, Lab)>, step: Move, change: impl FnOnce(&mut Lab)) {
        let mut lab = Lab { world: self.world.clone(), seen: Vec::new() };
        change(&mut lab);
        next.push((step, lab));
    }

    /// Everything that one question can come to.
    fn answers(&self, at: usize, ask: Ask, next: &mut Vec<(Move, Lab)>) {
        let id = self.world.controls[at].id;
        let trouble = self.world.trouble;
        let is_gone = self.world.nodes[ask.host].is_gone && ask.step != Step::AwaitHealthy;
        let mut way = |way: Way, change: &dyn Fn(&mut Lab)| self.after(next, Move::Answer(id, ask, way), change);
        if is_gone {
            return way(Way::NoAnswer, &|lab| lab.answered(at, ask, Answer::Lost));
        }
        way(Way::Fine, &|lab| {
            let answer = lab.perform(at, ask, Part::Done);
            lab.answered(at, ask, answer);
        });
        let failed = |lab: &mut Lab, answer: Answer| {
            lab.world.trouble.failures -= 1;
            lab.world.has_failed = true;
            lab.answered(at, ask, answer);
        };
        if trouble.failures > 0 && ask.step != Step::Retire {
            way(Way::Fails, &|lab| failed(lab, Answer::Failed));
            match ask.step {
                Step::Check | Step::Drain => way(Way::Busy, &|lab| failed(lab, Answer::Busy)),
                Step::Switch => {
                    way(Way::NeverWorks, &|lab| {
                        lab.world.nodes[ask.host].works[NEW] = false;
                        let answer = lab.perform(at, ask, Part::Done);
                        failed(lab, answer);
                    });
                    way(Way::FailsAtHalf, &|lab| {
                        let before = lab.world.nodes[ask.host].recorded;
                        let answer = lab.perform(at, ask, Part::Done);
                        lab.world.nodes[ask.host].recorded = before;
                        failed(lab, if answer == Answer::Ok { Answer::Failed } else { answer });
                    });
                }
                _ => {}
            }
        }
        if trouble.losses > 0 {
            way(Way::LostBefore, &|lab| {
                lab.world.trouble.losses -= 1;
                lab.answered(at, ask, Answer::Lost);
            });
            way(Way::DoneButLate, &|lab| {
                lab.world.trouble.losses -= 1;
                let answer = lab.perform(at, ask, Part::Done);
                lab.world.controls[at].late.insert((ask, answer));
                lab.answered(at, ask, Answer::Lost);
            });
            way(Way::Twice, &|lab| {
                lab.world.trouble.losses -= 1;
                let answer = lab.perform(at, ask, Part::Done);
                lab.world.controls[at].late.insert((ask, answer));
                lab.answered(at, ask, answer);
            });
        }
    }

    fn read_now(&self) -> Reading {
        let which = |is_so: &dyn Fn(&Node) -> bool| {
            self.world.nodes.iter().enumerate().filter(|(_, node)| is_so(node)).map(|(host, _)| host).collect()
        };
        let serving: BTreeSet<Host> = which(&|node| node.serves() || node.lags);
        let pool = |zone: u8| {
            let hosts: BTreeSet<Host> = (0..self.world.nodes.len()).filter(|host| self.world.zones[*host] == zone).collect();
            Pool { serving: serving.intersection(&hosts).copied().collect(), hosts, others: 0, floor: 1 }
        };
        let zones: BTreeSet<u8> = self.world.zones.iter().copied().collect();
        Reading {
            pools: zones.into_iter().map(pool).collect(),
            is_unfit: self.world.is_unfit,
            serving: serving.clone(),
            by_old: which(&|node| node.is_start_first && node.serves_with(OLD)),
            by_new: which(&|node| node.is_start_first && node.serves_with(NEW)),
            ..Reading::default()
        }
    }

    fn reads(&self, at: usize, token: ReadToken, next: &mut Vec<(Move, Lab)>) {
        let id = self.world.controls[at].id;
        self.after(next, Move::Read(id), |lab| {
            let reading = lab.read_now();
            let control = &mut lab.world.controls[at];
            control.read = None;
            control.has_died_since_read = false;
            lab.tell_reading(at, token, reading);
            if lab.world.controls[at].timer.is_some() {
                lab.seen.push("held by the floor");
            }
        });
        if self.world.trouble.losses > 0 {
            self.after(next, Move::ReadLate(id), |lab| {
                lab.world.trouble.losses -= 1;
                lab.world.has_failed = true;
                let reading = lab.read_now();
                let is_touched = !lab.world.controls[at].core.touched().is_empty();
                lab.world.controls[at].is_touched_broken |= is_touched;
                lab.world.controls[at].read = None;
                lab.world.controls[at].late_reads.push((token, reading));
                lab.tell(at, Input::Read(token, None));
            });
        }
    }

    fn late(&self, at: usize, next: &mut Vec<(Move, Lab)>) {
        let control = &self.world.controls[at];
        for (ask, answer) in control.late.iter().copied() {
            self.after(next, Move::Late(control.id, ask), |lab| {
                lab.world.controls[at].late.remove(&(ask, answer));
                lab.seen.push("late answer");
                lab.tell(at, Input::Answered(ask, answer));
            });
        }
        for (place, (token, reading)) in control.late_reads.iter().enumerate() {
            self.after(next, Move::LateRead(control.id), |lab| {
                lab.world.controls[at].late_reads.remove(place);
                lab.tell_reading(at, *token, reading.clone());
            });
        }
    }

    fn weather(&self, next: &mut Vec<(Move, Lab)>) {
        let trouble = self.world.trouble;
        for (host, node) in self.world.nodes.iter().enumerate() {
            let is_counted = |lab: &mut Lab| {
                lab.world.has_failed = true;
                lab.world.controls.iter_mut().for_each(|control| control.has_died_since_read = true);
            };
            if trouble.deaths > 0 && node.serves() {
                self.after(next, Move::AppDies(host), |lab| {
                    lab.world.trouble.deaths -= 1;
                    is_counted(lab);
                    let node = &mut lab.world.nodes[host];
                    node.has_died = true;
                    for release in [OLD, NEW] {
                        node.works[release] &= !node.runs[release];
                    }
                });
            }
            if trouble.host_deaths > 0 {
                self.after(next, Move::HostDies(host), |lab| {
                    lab.world.trouble.host_deaths -= 1;
                    is_counted(lab);
                    let node = &mut lab.world.nodes[host];
                    (node.is_gone, node.has_died, node.works, node.holder) = (true, true, [false; 2], None);
                });
            }
            if trouble.drops > 0 && node.holder.is_some() {
                self.after(next, Move::ChannelBreaks(host), |lab| {
                    lab.world.trouble.drops -= 1;
                    lab.world.lost_locks = true;
                    lab.world.nodes[host].holder = None;
                });
            }
        }
    }

    /// What people, and other controllers, do.
    fn people(&self, at: usize, next: &mut Vec<(Move, Lab)>) {
        let (trouble, control) = (self.world.trouble, &self.world.controls[at]);
        if trouble.interrupts > 0 {
            self.after(next, Move::Interrupt(control.id), |lab| {
                lab.world.trouble.interrupts -= 1;
                lab.world.controls[at].interrupted += 1;
                lab.tell(at, Input::Interrupt);
            });
        }
        if control.is_paused {
            self.after(next, Move::Continue(control.id), |lab| {
                lab.world.controls[at].is_paused = false;
                lab.tell(at, Input::Continue);
            });
        } else if trouble.pauses > 0 {
            self.after(next, Move::Pause(control.id), |lab| {
                lab.world.trouble.pauses -= 1;
                lab.world.controls[at].is_paused = true;
                lab.tell(at, Input::Pause);
            });
        }
        if trouble.silences > 0 && control.generation > 0 {
            self.after(next, Move::Silence(control.id), |lab| {
                lab.world.trouble.silences -= 1;
                lab.world.lost_locks = true;
                let id = lab.world.controls[at].id;
                for node in lab.world.nodes.iter_mut().filter(|node| node.holder == Some(id)) {
                    node.holder = None;
                    node.generation += 1;
                }
            });
        }
        if trouble.crashes > 0 {
            self.crashes(at, next);
        }
    }

    /// Gone in the middle; whoever goes on asks the hosts.
    fn crashes(&self, at: usize, next: &mut Vec<(Move, Lab)>) {
        let asks: Vec<Ask> = self.world.controls[at].asks.iter().copied().collect();
        let begun = asks.into_iter().flat_map(|ask| [Some((ask, Part::Recorded)), Some((ask, Part::Done))]);
        for begun in begun.chain([None]) {
            for goal in [Goal::Finish, Goal::Old] {
                self.after(next, Move::Crash(begun, goal), |lab| {
                    lab.world.trouble.crashes -= 1;
                    lab.world.is_crashed = true;
                    if let Some((ask, part)) = begun.filter(|(ask, _)| !lab.world.nodes[ask.host].is_gone) {
                        lab.perform(at, ask, part);
                    }
                    let dead = lab.world.controls.remove(at);
                    for node in lab.world.nodes.iter_mut().filter(|node| node.holder == Some(dead.id)) {
                        node.holder = None;
                    }
                    lab.begin(goal, false);
                });
            }
        }
    }

    /// Somebody else begins; a hotfix asks the one that runs to let it in.
    fn second(&self, next: &mut Vec<(Move, Lab)>) {
        if let Some(second) = self.world.second {
            self.after(next, Move::Second, |lab| {
                lab.world.second = None;
                lab.begin(Goal::New, second == Second::Hotfix);
            });
        }
        let is_asking = |control: &Control| control.is_hotfix && control.asks.iter().any(|ask| ask.step == Step::Lock);
        if !self.world.controls.iter().any(is_asking) {
            return;
        }
        let running = self.world.controls.iter().position(|control| !control.is_hotfix && control.ended.is_none());
        if let Some(at) = running.filter(|at| self.world.controls[*at].interrupted == 0) {
            self.after(next, Move::AskedToYield(self.world.controls[at].id), |lab| {
                lab.world.controls[at].interrupted = 1;
                lab.seen.push("asked to yield");
                lab.tell(at, Input::Yield);
            });
        }
    }

    fn of_control(&self, at: usize, next: &mut Vec<(Move, Lab)>) {
        let control = &self.world.controls[at];
        // A hotfix waits for locks that others hold.
        let waits = |ask: &&Ask| {
            let holder = self.world.nodes[ask.host].holder;
            control.is_hotfix && ask.step == Step::Lock && holder.is_some_and(|holder| holder != control.id)
        };
        let asks = || control.asks.iter().filter(|ask| !waits(ask));
        // Steps that touch nothing of another host: their order does not matter.
        let is_alone = self.world.controls_begun == 1 && self.world.second.is_none();
        let is_early = |ask: &&Ask| match ask.step {
            Step::Lock | Step::Number => is_alone,
            step => matches!(step, Step::Inspect | Step::Prepare | Step::Retire),
        };
        match asks().find(is_early) {
            Some(ask) => self.answers(at, *ask, next),
            None => asks().for_each(|ask| self.answers(at, *ask, next)),
        }
        if let Some(token) = control.read {
            self.reads(at, token, next);
        }
        if let Some(token) = control.timer {
            self.after(next, Move::Timer(control.id), |lab| {
                lab.world.controls[at].timer = None;
                lab.tell(at, Input::Timer(token));
            });
        }
        self.late(at, next);
        self.people(at, next);
    }
}

impl World for Lab {
    type Move = Move;

    fn next(&self) -> Vec<(Move, Lab)> {
        let mut next = Vec::new();
        for at in 0..self.world.controls.len() {
            if self.world.controls[at].ended.is_none() {
                self.of_control(at, &mut next);
            }
        }
        self.second(&mut next);
        self.weather(&mut next);
        next
    }

    fn broken(&self) -> Option<&'static str> {
        self.world.broken
    }

    fn seen(&self) -> Vec<&'static str> {
        self.seen.clone()
    }

    fn is_over(&self) -> bool {
        self.world.controls.iter().all(|control| control.ended.is_some()) && self.world.second.is_none()
    }
}
