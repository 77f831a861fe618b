//! `strategy` in a world of hosts that end their steps in any order and any way: fine, failed, unreachable, with a notification.

use super::explore::{World, explore};
use roll::playbook::{BlockInfo, Part, Program, Step, StepKind};
use roll::strategy::{Effect, Ended, Host, Input, Rules, StepId, Strategy, TaskId};
use std::collections::BTreeSet;

/// What a task is for in the programs below.
const BODY: TaskId = 0;
const RESCUE: TaskId = 1;
const ALWAYS: TaskId = 2;
const AFTER: TaskId = 3;
/// The same for a block inside of the block's body, before `BODY`.
const INNER_BODY: TaskId = 4;
const INNER_RESCUE: TaskId = 5;
const INNER_ALWAYS: TaskId = 6;
const HANDLER: usize = 7;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Play {
    strategy: Strategy,
    program: Vec<Step>,
    /// What each host runs now.
    running: Vec<Option<Running>>,
    /// The others that a `run_once` runs for.
    following: BTreeSet<Host>,
    failures_left: u8,
    losses_left: u8,
    hosts: Vec<Past>,
    rules: Rules,
    throttle: Option<(TaskId, usize)>,
    /// Hosts are counted when one fails; one that still has an `always` before it counts only at the next failure, as in Ansible.
    is_limit_hit: bool,
    /// A failure of one, or of too many, is the failure of all.
    is_fatal: bool,
    is_over: bool,
    wrong: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Running {
    step: StepId,
    task: TaskId,
    is_handler: bool,
}

/// What has happened to a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Past {
    entered: bool,
    inner_entered: bool,
    inner_failed: bool,
    inner_rescue_ran: bool,
    inner_always_ran: u8,
    body_failed: bool,
    rescue_ran: bool,
    rescue_failed: bool,
    always_ran: u8,
    after_ran: bool,
    notified: u8,
    handled: u8,
    is_lost: bool,
    is_failed: bool,
    is_rescued: bool,
    has_failed_itself: bool,
}

fn task(task: TaskId, home: Option<(usize, Part)>, once: bool) -> Step {
    Step { kind: StepKind::Task { task, once, fatal: false }, home }
}

/// What is different from one world to the next.
#[derive(Clone, Copy)]
struct Shape {
    hosts: usize,
    forks: usize,
    linear: bool,
    once: Option<TaskId>,
    fatal: bool,
    nested: bool,
    forced: bool,
    /// `max_fail_percentage`.
    limit: Option<u32>,
    /// A task that only so many hosts may be at.
    throttle: Option<(TaskId, usize)>,
}

const SHAPE: Shape = Shape {
    hosts: 3,
    forks: 5,
    linear: true,
    once: None,
    fatal: false,
    nested: false,
    forced: false,
    limit: None,
    throttle: None,
};

/// `block: [{block: [4] rescue: [5] always: [6]}, 0] rescue: [1] always: [2]`, then 3, then handlers.
fn nested() -> Program {
    let mut program = program(None, false);
    let outer = Some((0, Part::Body));
    let marker = |kind, part| Step { kind, home: Some((1, part)) };
    let inner = [
        task(INNER_BODY, Some((1, Part::Body)), false),
        marker(StepKind::EndBody(1), Part::Body),
        task(INNER_RESCUE, Some((1, Part::Rescue)), false),
        marker(StepKind::EndRescue(1), Part::Rescue),
        task(INNER_ALWAYS, Some((1, Part::Always)), false),
        marker(StepKind::EndAlways(1), Part::Always),
    ];
    program.steps.splice(0..0, inner);
    program.blocks.push(BlockInfo { home: outer, has_rescue: true, has_always: true });
    program
}

/// `block: [0] rescue: [1] always: [2]`, then 3, then handlers.
fn program(once: Option<TaskId>, fatal: bool) -> Program {
    let is_once = |number: TaskId| once == Some(number);
    let marker = |kind, part| Step { kind, home: Some((0, part)) };
    let body = Step { kind: StepKind::Task { task: BODY, once: is_once(BODY), fatal }, home: Some((0, Part::Body)) };
    let steps = vec![
        body,
        marker(StepKind::EndBody(0), Part::Body),
        task(RESCUE, Some((0, Part::Rescue)), is_once(RESCUE)),
        marker(StepKind::EndRescue(0), Part::Rescue),
        task(ALWAYS, Some((0, Part::Always)), is_once(ALWAYS)),
        marker(StepKind::EndAlways(0), Part::Always),
        task(AFTER, None, is_once(AFTER)),
        Step { kind: StepKind::Flush, home: None },
    ];
    Program { steps, blocks: vec![BlockInfo { home: None, has_rescue: true, has_always: true }], ..Program::default() }
}

impl Play {
    fn new(shape: Shape) -> Play {
        let Shape { hosts, forks, linear, once, fatal, nested: is_nested, forced, limit, throttle } = shape;
        let program = if is_nested { nested() } else { program(once, fatal) };
        let rules = Rules { linear, forks, fail_percentage_max: limit, force_handlers: forced };
        let mut play = Play {
            strategy: Strategy::new(&program, hosts, rules.clone()),
            program: program.steps,
            running: vec![None; hosts],
            following: BTreeSet::new(),
            failures_left: 3,
            losses_left: 1,
            hosts: vec![Past::default(); hosts],
            rules,
            throttle,
            is_limit_hit: false,
            is_fatal: fatal || limit.is_some(),
            is_over: false,
            wrong: None,
        };
        if let Some((task, hosts_max)) = throttle {
            play.strategy.throttle(task, hosts_max);
        }
        let effects = play.strategy.on(Input::Start);
        play.carry_out(effects);
        play
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Run { step, task, hosts, handler, for_all, .. } => {
                    self.following.extend(&for_all);
                    for host in hosts.iter().chain(&for_all) {
                        self.begin(*host, task, handler.is_some());
                    }
                    for host in hosts {
                        if self.running[host].is_some() {
                            self.wrong = Some("one_at_a_time");
                        }
                        self.running[host] = Some(Running { step, task, is_handler: handler.is_some() });
                    }
                    if self.running.iter().flatten().count() > self.rules.forks {
                        self.wrong = Some("forks_are_kept");
                    }
                    if self.throttle.is_some_and(|(throttled, hosts_max)| self.hosts_at(throttled) > hosts_max) {
                        self.wrong = Some("throttle_is_kept");
                    }
                    let mut tasks = self.running.iter().flatten().map(|running| (running.step, running.task));
                    let first = tasks.next();
                    if self.rules.linear && tasks.any(|other| Some(other) != first) {
                        self.wrong = Some("linear_is_together");
                    }
                }
                Effect::Rescued { host } => self.hosts[host].is_rescued = true,
                Effect::HostFailed { host } => self.hosts[host].is_failed = true,
                Effect::Finished => self.is_over = true,
            }
        }
    }

    fn hosts_at(&self, task: TaskId) -> usize {
        self.running.iter().flatten().filter(|running| running.task == task && !running.is_handler).count()
    }

    fn is_over_limit(&self) -> bool {
        let failed = self.hosts.iter().filter(|past| past.is_failed).count();
        self.rules.fail_percentage_max.is_some_and(|limit| failed * 100 > limit as usize * self.hosts.len())
    }

    /// Whether this host is one too many, given those that have failed before.
    fn is_over_limit_with(&self, host: Host, effects: &[Effect]) -> bool {
        let mut next = self.clone();
        next.hosts[host].is_failed |=
            effects.iter().any(|effect| matches!(effect, Effect::HostFailed { host: failed } if *failed == host));
        next.is_over_limit()
    }

    fn begin(&mut self, host: Host, task: TaskId, is_handler: bool) {
        if self.rules.linear && task == AFTER && !is_handler && self.is_limit_hit {
            self.wrong = Some("limit_ends_the_play");
        }
        let past = &mut self.hosts[host];
        if past.is_lost || (past.is_failed && !is_handler) {
            self.wrong = Some("the_lost_rest");
        }
        if is_handler {
            past.handled += 1;
            return;
        }
        match task {
            INNER_BODY => (past.entered, past.inner_entered) = (true, true),
            INNER_RESCUE => past.inner_rescue_ran = true,
            INNER_ALWAYS => past.inner_always_ran += 1,
            BODY => past.entered = true,
            RESCUE => past.rescue_ran = true,
            ALWAYS => past.always_ran += 1,
            _ => past.after_ran = true,
        }
    }

    fn end(&self, host: Host, ended: Ended, notifies: bool) -> Play {
        let mut next = self.clone();
        let Some(running) = next.running[host].take() else { return next };
        let is_once =
            next.program.iter().any(|step| matches!(step.kind, StepKind::Task { task, once: true, .. } if task == running.task));
        let mut together = vec![host];
        if is_once && !running.is_handler {
            together.extend(std::mem::take(&mut next.following));
        }
        for one in &together {
            let past = &mut next.hosts[*one];
            past.has_failed_itself |= ended == Ended::Failed;
            match (&ended, running.task) {
                (Ended::Failed, INNER_BODY) if !running.is_handler => past.inner_failed = true,
                (Ended::Failed, BODY | INNER_RESCUE | INNER_ALWAYS) if !running.is_handler => past.body_failed = true,
                (Ended::Failed, RESCUE) if !running.is_handler => past.rescue_failed = true,
                (Ended::Unreachable, _) => past.is_lost = true,
                _ => {}
            }
            if notifies {
                past.notified += 1;
                let effects = next.strategy.on(Input::Notified { host: *one, handler: HANDLER });
                next.carry_out(effects);
            }
        }
        let is_failure = matches!(ended, Ended::Failed | Ended::Unreachable);
        next.failures_left -= u8::from(ended == Ended::Failed);
        next.losses_left -= u8::from(ended == Ended::Unreachable);
        let effects = next.strategy.on(Input::Ended { host, ended });
        next.is_limit_hit |= is_failure && next.is_over_limit_with(host, &effects);
        next.carry_out(effects);
        next
    }
}

impl World for Play {
    type Move = String;

    fn next(&self) -> Vec<(String, Play)> {
        let mut next = Vec::new();
        for (host, running) in self.running.iter().enumerate() {
            let Some(running) = running else { continue };
            let name = |how: &str| format!("{host}: {} {how}", running.task);
            next.push((name("ok"), self.end(host, Ended::Ok, false)));
            if !running.is_handler && matches!(running.task, BODY | AFTER) {
                next.push((name("notifies"), self.end(host, Ended::Ok, true)));
            }
            if self.failures_left > 0 {
                next.push((name("fails"), self.end(host, Ended::Failed, false)));
            }
            if self.losses_left > 0 {
                next.push((name("is lost"), self.end(host, Ended::Unreachable, false)));
            }
        }
        next
    }

    fn broken(&self) -> Option<&'static str> {
        if self.wrong.is_some() {
            return self.wrong;
        }
        for past in &self.hosts {
            if past.rescue_ran && !past.body_failed && !self.is_fatal {
                return Some("rescue_only_on_failure");
            }
            if past.inner_rescue_ran && !past.inner_failed {
                return Some("inner_rescue_only_on_failure");
            }
            if self.is_over && past.inner_entered && !past.is_lost && past.inner_always_ran == 0 {
                return Some("inner_always_runs");
            }
            if past.always_ran > 1 || past.inner_always_ran > 1 {
                return Some("always_once");
            }
            if past.handled > past.notified || past.handled > 1 {
                return Some("handler_once");
            }
            if self.is_over && past.entered && !past.is_lost && past.always_ran == 0 {
                return Some("always_runs");
            }
            let is_left_out = past.is_lost || (past.is_failed && !self.rules.force_handlers);
            if self.is_over && past.notified > 0 && !is_left_out && past.handled == 0 {
                return Some("handler_runs");
            }
            if self.is_over && past.rescue_failed && !past.is_failed {
                return Some("a_failed_rescue_fails");
            }
        }
        None
    }

    fn seen(&self) -> Vec<&'static str> {
        let mut seen = Vec::new();
        let mut some = |name, holds: fn(&Past) -> bool| seen.extend(self.hosts.iter().any(holds).then_some(name));
        some("a rescue", |past| past.rescue_ran && past.is_rescued);
        some("a failed rescue", |past| past.rescue_failed && past.is_failed);
        some("an always after a failure", |past| past.always_ran > 0 && past.body_failed);
        some("a handler", |past| past.handled > 0);
        some("a handler left out", |past| past.notified > 0 && past.is_failed && !past.is_lost && past.handled == 0);
        some("a lost host", |past| past.is_lost && past.is_failed);
        some("behind the block", |past| past.after_ran && past.rescue_ran);
        some("a handler of a failed host", |past| past.is_failed && past.body_failed && past.handled > 0);
        some("a host that fails with the others", |past| past.is_failed && !past.is_lost && !past.has_failed_itself);
        some("an inner rescue", |past| past.inner_rescue_ran && past.after_ran && !past.rescue_ran);
        some("an inner failure that the outer block rescues", |past| past.inner_rescue_ran && past.rescue_ran && past.after_ran);
        some("an inner always on the way out", |past| past.inner_always_ran > 0 && past.body_failed && past.always_ran > 0);
        let is_below = self.hosts.iter().any(|past| past.is_failed) && !self.is_over_limit();
        seen.extend((is_below && self.hosts.iter().any(|past| past.after_ran)).then_some("on with fewer hosts"));
        seen.extend(self.throttle.is_some_and(|(task, most)| self.hosts_at(task) == most).then_some("as many as may"));
        seen
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

const SEEN: [&str; 6] =
    ["a rescue", "a failed rescue", "an always after a failure", "a handler", "a lost host", "behind the block"];
const SEEN_NESTED: [&str; 3] =
    ["an inner rescue", "an inner failure that the outer block rescues", "an inner always on the way out"];

fn check(shape: Shape) {
    let report = explore(Play::new(shape));
    assert!(report.broken.is_none(), "{:?}", report.broken);
    let inner: &[&str] = if shape.nested { &SEEN_NESTED } else { &[] };
    let left = if shape.forced { "a handler of a failed host" } else { "a handler left out" };
    let limited: &[&str] =
        if shape.limit.is_some() { &["a host that fails with the others", "on with fewer hosts"] } else { &[] };
    let throttled: &[&str] = if shape.throttle.is_some() { &["as many as may"] } else { &[] };
    for name in SEEN.iter().chain(inner).chain([&left]).chain(limited).chain(throttled) {
        assert!(report.seen.contains(name), "never seen: {name}");
    }
    assert_eq!(report.seen.contains("a handler left out"), !shape.forced, "a failed host's handler");
}

#[test]
fn hosts_together() {
    check(SHAPE);
}

#[test]
fn hosts_together_with_fewer_forks() {
    for forks in [1, 2] {
        check(Shape { forks, ..SHAPE });
    }
}

#[test]
fn hosts_on_their_own() {
    check(Shape { linear: false, ..SHAPE });
}

#[test]
fn each_task_once_for_all() {
    for once in [BODY, RESCUE, ALWAYS, AFTER] {
        check(Shape { hosts: 2, forks: 2, once: Some(once), ..SHAPE });
    }
}

#[test]
fn a_failure_that_is_everybodys() {
    for forks in [1, 3] {
        check(Shape { forks, fatal: true, ..SHAPE });
    }
}

#[test]
fn a_block_in_a_block() {
    check(Shape { nested: true, ..SHAPE });
    check(Shape { hosts: 2, linear: false, nested: true, ..SHAPE });
}

#[test]
fn handlers_by_force() {
    check(Shape { forced: true, ..SHAPE });
}

#[test]
fn too_many_failures_end_the_play() {
    // Of three, one may fail and two may not.
    check(Shape { limit: Some(40), ..SHAPE });
}

#[test]
fn a_throttled_task_has_few_hosts() {
    for linear in [true, false] {
        check(Shape { throttle: Some((BODY, 2)), linear, ..SHAPE });
        check(Shape { throttle: Some((AFTER, 1)), linear, ..SHAPE });
    }
}
