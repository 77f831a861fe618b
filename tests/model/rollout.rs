//! `rollout` in a world of hosts, a balancer, failures, lost and late answers, dying peers and people who press Ctrl-C.

use super::explore::{Report, World, explore};
use roll::rollout::{
    Answer, Ask, Effect, Floor, Guards, Host, Input, OnFailure, Outcome, ReadToken, Reading, Rollout, Rules, Step, TimerToken,
};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Release {
    Old,
    New,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    /// The balancer sends it requests if it is healthy.
    in_rotation: bool,
    running: Option<Release>,
    is_parked: bool,
    had_old: bool,
    old_works: bool,
    new_works: bool,
    /// Requests are under way.
    is_busy: bool,
    /// Somebody decided that they may be cut.
    is_cut: bool,
    is_baked: bool,
    /// The balancer has seen that it works since it was put in.
    is_checked: bool,
    /// It said that it may be deployed to.
    is_ready: bool,
    has_died: bool,
    /// The whole host is gone: it answers nothing any more.
    is_gone: bool,
    /// When the order was made.
    served_before: bool,
    /// Drained for this rollout at least once.
    has_left: bool,
}

impl Node {
    fn works(&self) -> bool {
        match self.running {
            Some(Release::Old) => self.old_works,
            Some(Release::New) => self.new_works,
            None => false,
        }
    }

    fn serves(&self) -> bool {
        self.in_rotation && self.is_checked && self.works()
    }
}

/// How often each kind of trouble may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Trouble {
    failures: u8,
    losses: u8,
    deaths: u8,
    /// Of whole hosts.
    losses_of_hosts: u8,
    interrupts: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lab {
    core: Rollout,
    nodes: Vec<Node>,
    floor: usize,
    has_bake: bool,
    asks: BTreeSet<Ask>,
    read: Option<ReadToken>,
    timer: Option<TimerToken>,
    /// Answers that were given up and come in the end.
    late: BTreeSet<(Ask, Answer)>,
    late_reads: Vec<(ReadToken, Reading)>,
    trouble: Trouble,
    has_died_since_read: bool,
    interrupted: u8,
    /// Something went wrong on a host that had been asked to leave.
    is_touched_broken: bool,
    ended: Option<Outcome>,
    broken: Option<&'static str>,
    seen: Option<&'static str>,
}

struct Setup {
    /// Whether each host's app works in the beginning; `None` where it was never installed.
    nodes: Vec<Option<bool>>,
    rules: Rules,
    trouble: Trouble,
}

fn rules(batches: &[usize]) -> Rules {
    Rules {
        batches: batches.to_vec(),
        floor: Floor::AllButBatch,
        on_failure: OnFailure::Revert,
        bake: true,
        may_cut: true,
        patience: 1,
    }
}

const NO_TROUBLE: Trouble = Trouble { failures: 0, losses: 0, deaths: 0, losses_of_hosts: 0, interrupts: 0 };

impl Lab {
    fn new(setup: &Setup, guards: Guards) -> Lab {
        let node = |works: &Option<bool>| Node {
            in_rotation: true,
            running: works.map(|_| Release::Old),
            is_parked: false,
            had_old: works.is_some(),
            old_works: *works == Some(true),
            new_works: true,
            is_busy: *works == Some(true),
            is_cut: false,
            is_baked: false,
            is_checked: true,
            is_ready: false,
            has_died: false,
            is_gone: false,
            served_before: false,
            has_left: false,
        };
        let nodes: Vec<Node> = setup.nodes.iter().map(node).collect();
        let largest = setup.rules.batches.iter().copied().max().unwrap_or(nodes.len());
        let mut lab = Lab {
            core: Rollout::guarded(nodes.len(), setup.rules.clone(), guards),
            floor: match setup.rules.floor {
                Floor::AllButBatch => nodes.len().saturating_sub(largest),
                Floor::Count(count) => count,
            },
            has_bake: setup.rules.bake,
            nodes,
            asks: BTreeSet::new(),
            read: None,
            timer: None,
            late: BTreeSet::new(),
            late_reads: Vec::new(),
            trouble: setup.trouble,
            has_died_since_read: false,
            interrupted: 0,
            is_touched_broken: false,
            ended: None,
            broken: None,
            seen: None,
        };
        lab.tell(Input::Start);
        lab
    }

    fn tell(&mut self, input: Input) {
        for effect in self.core.on(input) {
            match effect {
                Effect::Do(ask) => {
                    if ask.is_back && !self.is_touched_broken {
                        self.break_rule("only_the_touched_turn_back");
                    }
                    self.asks.insert(ask);
                }
                Effect::Play(asks) => self.asks.extend(asks),
                Effect::ReadBalancer(token) => self.read = Some(token),
                Effect::SetTimer(token) => self.timer = Some(token),
                Effect::Finish(outcome) => self.finish(outcome),
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        if self.ended.replace(outcome).is_some() {
            self.break_rule("ends once");
        }
        let all = |is_so: &dyn Fn(&Node) -> bool| self.nodes.iter().all(is_so);
        let is_out = |node: &Node| node.has_left && !node.in_rotation;
        let broken = match outcome {
            Outcome::Done if !all(&|node| node.running == Some(Release::New) && (!node.is_parked || node.is_gone)) => {
                Some("done means done")
            }
            Outcome::Reverted if !all(&|node| node.running == Some(Release::Old) || !node.had_old) => Some("reverted means old"),
            Outcome::Refused if !all(&|node| !node.has_left) => Some("refused means untouched"),
            Outcome::Done | Outcome::Reverted | Outcome::Halted if !all(&|node| !is_out(node) || !node.had_old) => {
                Some("no_node_left_out")
            }
            Outcome::Interrupted if self.interrupted == 1 && !all(&|node| !is_out(node)) => Some("interrupted_node_is_back"),
            _ => None,
        };
        self.broken = self.broken.or(broken);
    }

    fn break_rule(&mut self, property: &'static str) {
        self.broken = self.broken.or(Some(property));
    }

    fn tell_reading(&mut self, token: ReadToken, reading: Reading) {
        let is_ordered = !self.core.batches().is_empty();
        let serving = reading.serving.clone();
        self.tell(Input::Read(token, Some(reading)));
        if !is_ordered && !self.core.batches().is_empty() {
            serving.into_iter().for_each(|host| self.nodes[host].served_before = true);
        }
    }

    fn tell_answer(&mut self, ask: Ask, answer: Answer) {
        self.asks.remove(&ask);
        let is_early = matches!(ask.step, Step::Inspect | Step::Prepare | Step::Check);
        self.is_touched_broken |= !is_early && !matches!(answer, Answer::Ok | Answer::Empty);
        self.tell(Input::Answered(ask, answer));
    }

    /// A step really happens; the honest answer.
    fn perform(&mut self, ask: Ask) -> Answer {
        match ask.step {
            Step::Inspect if !self.nodes[ask.host].had_old => Answer::Empty,
            Step::Drain => self.drain(ask),
            Step::AwaitQuiet => {
                self.nodes[ask.host].is_busy = false;
                Answer::Ok
            }
            Step::Park => self.park(ask.host),
            Step::Switch => self.switch(ask.host),
            Step::Unpark => self.unpark(ask.host),
            Step::Enable => self.enable(ask),
            Step::Verify if !self.nodes[ask.host].works() => Answer::Failed,
            Step::AwaitHealthy => {
                self.nodes[ask.host].is_checked = true;
                if self.nodes[ask.host].serves() { Answer::Ok } else { Answer::Failed }
            }
            Step::Check => {
                self.nodes[ask.host].is_ready = true;
                Answer::Ok
            }
            Step::Confirm => {
                if !self.nodes[ask.host].serves() && !self.nodes[ask.host].has_died {
                    self.break_rule("confirmed_in_rotation");
                }
                Answer::Ok
            }
            Step::Bake => {
                self.nodes[ask.host].is_baked = true;
                Answer::Ok
            }
            Step::Retire => {
                self.nodes[ask.host].is_parked = false;
                Answer::Ok
            }
            Step::Inspect | Step::Prepare | Step::Verify => Answer::Ok,
        }
    }

    fn drain(&mut self, ask: Ask) -> Answer {
        let live = self.nodes.iter().filter(|node| node.serves()).count();
        if self.nodes[ask.host].serves() && live <= self.floor && !self.has_died_since_read {
            self.break_rule("never_below_floor");
        }
        if !ask.is_back {
            if !self.nodes[ask.host].is_ready {
                self.break_rule("asked_before_drained");
            }
            let waits = |node: &Node| node.running == Some(Release::New) && (!node.is_baked && self.has_bake);
            let others = self.core.batches().iter().take_while(|batch| !batch.contains(&ask.host)).flatten();
            if others.clone().any(|host| waits(&self.nodes[*host]) || self.nodes[*host].running != Some(Release::New)) {
                self.break_rule("canary_first");
            }
            // All that never served come first.
            let served_before = self.nodes[ask.host].served_before;
            if served_before && self.nodes.iter().any(|node| !node.served_before && !node.has_left) {
                self.break_rule("broken_hosts_first");
            }
        }
        let node = &mut self.nodes[ask.host];
        node.in_rotation = false;
        node.has_left = true;
        Answer::Ok
    }

    fn park(&mut self, host: Host) -> Answer {
        self.stops_nothing_that_is_used(host);
        let node = &mut self.nodes[host];
        if !node.had_old {
            return Answer::Empty;
        }
        if node.running == Some(Release::Old) {
            node.running = None;
            node.is_parked = true;
        }
        Answer::Ok
    }

    fn switch(&mut self, host: Host) -> Answer {
        if self.nodes[host].in_rotation {
            self.break_rule("no_switch_in_rotation");
        }
        if self.nodes[host].had_old && !self.nodes[host].is_parked {
            self.break_rule("revert_target_exists");
        }
        self.nodes[host].running = Some(Release::New);
        Answer::Ok
    }

    fn unpark(&mut self, host: Host) -> Answer {
        let node = &self.nodes[host];
        if node.running == Some(Release::Old) {
            return Answer::Ok;
        }
        self.stops_nothing_that_is_used(host);
        let node = &mut self.nodes[host];
        if !node.is_parked {
            return Answer::Failed;
        }
        node.is_parked = false;
        node.running = Some(Release::Old);
        Answer::Ok
    }

    /// Containers are stopped only when nobody uses them.
    fn stops_nothing_that_is_used(&mut self, host: Host) {
        let node = self.nodes[host].clone();
        if node.running.is_some() && node.serves() {
            self.break_rule("no_stop_in_rotation");
        }
        if node.running.is_some() && node.is_busy && !node.is_cut {
            self.break_rule("no_request_cut");
        }
    }

    fn enable(&mut self, ask: Ask) -> Answer {
        let node = &mut self.nodes[ask.host];
        let is_as_before = ask.is_back && !node.served_before;
        let is_broken = !node.works() && !is_as_before && !node.has_died;
        // Put in where it is in already, nothing is checked anew.
        node.is_checked &= node.in_rotation;
        node.in_rotation = true;
        node.is_busy = node.works();
        if is_broken && node.running != Some(Release::Old) {
            self.break_rule("no_broken_app_enabled");
        }
        Answer::Ok
    }

    fn after(&self, step: String, change: impl FnOnce(&mut Lab)) -> (String, Lab) {
        let mut lab = self.clone();
        lab.seen = None;
        change(&mut lab);
        (step, lab)
    }

    /// Everything that one question can come to.
    fn answers(&self, ask: Ask, next: &mut Vec<(String, Lab)>) {
        let name = format!("{:?} {}{}", ask.step, ask.host, if ask.is_back { " back" } else { "" });
        let answered = |lab: &mut Lab, answer: Answer| {
            // On the way back, an app that could not be looked at three times is stopped all the same.
            let is_blind = ask.is_back && ask.step == Step::AwaitQuiet && ask.attempt == 2;
            lab.nodes[ask.host].is_cut |= is_blind && answer != Answer::Ok;
            lab.tell_answer(ask, answer);
        };
        if self.nodes[ask.host].is_gone && !is_of_the_balancer(ask.step) {
            next.push(self.after(format!("{name}: no answer"), |lab| answered(lab, Answer::Lost)));
            return;
        }
        next.push(self.after(name.clone(), |lab| {
            let answer = lab.perform(ask);
            answered(lab, answer);
        }));
        if self.trouble.failures > 0 && ask.step != Step::Retire {
            next.push(self.after(format!("{name} fails"), |lab| {
                lab.trouble.failures -= 1;
                answered(lab, Answer::Failed);
            }));
            self.special_failures(ask, &name, next);
        }
        if self.trouble.losses > 0 {
            next.push(self.after(format!("{name} is lost on the way there"), |lab| {
                lab.trouble.losses -= 1;
                answered(lab, Answer::Lost);
            }));
            next.push(self.after(format!("{name} is done, its answer comes late"), |lab| {
                lab.trouble.losses -= 1;
                let answer = lab.perform(ask);
                lab.late.insert((ask, answer));
                answered(lab, Answer::Lost);
            }));
        }
    }

    /// Failures of a kind of their own.
    fn special_failures(&self, ask: Ask, name: &str, next: &mut Vec<(String, Lab)>) {
        let mut special = |words: &str, change: &dyn Fn(&mut Lab) -> Answer| {
            next.push(self.after(format!("{name} {words}"), |lab| {
                lab.trouble.failures -= 1;
                let answer = change(lab);
                lab.tell_answer(ask, answer);
            }));
        };
        match ask.step {
            Step::Check => special("is busy", &|_| Answer::Busy),
            Step::Drain => {
                special("is not possible now", &|_| Answer::Busy);
                special("happens, though the balancer said not now", &|lab| {
                    lab.perform(ask);
                    Answer::Busy
                });
            }
            Step::AwaitQuiet => special("is capped", &|lab| {
                lab.nodes[ask.host].is_cut = true;
                Answer::Capped
            }),
            Step::Switch => {
                special("brings a release that does not work", &|lab| {
                    lab.nodes[ask.host].new_works = false;
                    lab.perform(ask)
                });
                special("fails half-way", &|lab| {
                    lab.perform(ask);
                    Answer::Failed
                });
            }
            _ => {}
        }
    }

    fn read_now(&self) -> Reading {
        let serving = self.nodes.iter().enumerate().filter(|(_, node)| node.serves()).map(|(host, _)| host);
        Reading { serving: serving.collect(), others: 0 }
    }

    fn reads(&self, token: ReadToken, next: &mut Vec<(String, Lab)>) {
        next.push(self.after("read".to_owned(), |lab| {
            lab.read = None;
            lab.has_died_since_read = false;
            let reading = lab.read_now();
            lab.tell_reading(token, reading);
            if lab.timer.is_some() {
                lab.seen = Some("held by the floor");
            }
        }));
        if self.trouble.losses > 0 {
            next.push(self.after("reading comes late".to_owned(), |lab| {
                lab.read = None;
                lab.trouble.losses -= 1;
                lab.late_reads.push((token, lab.read_now()));
                lab.tell(Input::Read(token, None));
            }));
        }
    }

    fn weather(&self, next: &mut Vec<(String, Lab)>) {
        for (ask, answer) in &self.late {
            next.push(self.after(format!("late answer to {ask:?}"), |lab| {
                lab.late.remove(&(*ask, *answer));
                lab.seen = Some("late answer");
                lab.tell(Input::Answered(*ask, *answer));
            }));
        }
        for (at, (token, reading)) in self.late_reads.iter().enumerate() {
            next.push(self.after(format!("late reading {token:?}"), |lab| {
                lab.late_reads.remove(at);
                lab.tell_reading(*token, reading.clone());
            }));
        }
        if self.trouble.deaths > 0 {
            for (host, _) in self.nodes.iter().enumerate().filter(|(_, node)| node.serves()) {
                next.push(self.after(format!("{host} dies"), |lab| {
                    lab.trouble.deaths -= 1;
                    lab.has_died_since_read = true;
                    lab.nodes[host].has_died = true;
                    match lab.nodes[host].running {
                        Some(Release::Old) => lab.nodes[host].old_works = false,
                        Some(Release::New) => lab.nodes[host].new_works = false,
                        None => {}
                    }
                }));
            }
        }
        if self.trouble.losses_of_hosts > 0 {
            for host in 0..self.nodes.len() {
                next.push(self.after(format!("host {host} is gone"), |lab| {
                    lab.trouble.losses_of_hosts -= 1;
                    lab.has_died_since_read = true;
                    let node = &mut lab.nodes[host];
                    (node.is_gone, node.has_died, node.old_works, node.new_works) = (true, true, false, false);
                }));
            }
        }
        if self.trouble.interrupts > 0 {
            next.push(self.after("Ctrl-C".to_owned(), |lab| {
                lab.trouble.interrupts -= 1;
                lab.interrupted += 1;
                lab.tell(Input::Interrupt);
            }));
        }
    }
}

/// The others need the host itself.
fn is_of_the_balancer(step: Step) -> bool {
    matches!(step, Step::Drain | Step::Enable | Step::AwaitHealthy)
}

impl World for Lab {
    fn next(&self) -> Vec<(String, Lab)> {
        let mut next = Vec::new();
        // Steps that touch nothing of another host: their order does not matter.
        let alone = self.asks.iter().find(|ask| matches!(ask.step, Step::Inspect | Step::Prepare | Step::Retire));
        match alone {
            Some(ask) => self.answers(*ask, &mut next),
            None => self.asks.iter().for_each(|ask| self.answers(*ask, &mut next)),
        }
        if let Some(token) = self.read {
            self.reads(token, &mut next);
        }
        if let Some(token) = self.timer {
            next.push(self.after("timer".to_owned(), |lab| {
                lab.timer = None;
                lab.tell(Input::Timer(token));
            }));
        }
        self.weather(&mut next);
        next
    }

    fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    fn seen(&self) -> Vec<&'static str> {
        let outcome = self.ended.map(|outcome| match outcome {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Halted => "halted",
            Outcome::Reverted => "reverted",
            Outcome::RevertFailed => "revert failed",
            Outcome::Interrupted => "interrupted",
        });
        outcome.into_iter().chain(self.seen).collect()
    }

    fn is_over(&self) -> bool {
        self.ended.is_some()
    }
}

fn check(setup: &Setup) -> Report {
    let report = explore(Lab::new(setup, Guards::ALL));
    let broken = report.broken.as_ref().map(|broken| format!("{} after:\n{}", broken.property, broken.trail.join("\n")));
    assert_eq!(broken, None, "in {} states", report.states);
    report
}

fn assert_seen(report: &Report, wanted: &[&'static str]) {
    for name in wanted {
        assert!(report.seen.contains(name), "never seen: {name}; only {:?}", report.seen);
    }
}

#[test]
fn without_trouble_every_host_is_updated() {
    let setup = Setup { nodes: vec![Some(true); 4], rules: rules(&[1, 2]), trouble: NO_TROUBLE };
    let report = check(&setup);
    assert_eq!(report.seen, BTreeSet::from(["done"]));
}

#[test]
fn one_at_a_time_under_every_trouble() {
    let trouble = Trouble { failures: 1, losses: 1, deaths: 1, losses_of_hosts: 0, interrupts: 1 };
    let report = check(&Setup { nodes: vec![Some(true); 3], rules: rules(&[1]), trouble });
    assert_seen(&report, &["done", "refused", "reverted", "interrupted", "held by the floor", "late answer"]);
}

#[test]
fn a_revert_that_fails_is_not_reverted() {
    let trouble = Trouble { failures: 2, losses: 1, deaths: 0, losses_of_hosts: 0, interrupts: 0 };
    let report = check(&Setup { nodes: vec![Some(true); 3], rules: rules(&[1]), trouble });
    assert_seen(&report, &["done", "refused", "reverted", "revert failed"]);
}

#[test]
fn batches_of_two_under_every_trouble() {
    let trouble = Trouble { failures: 1, losses: 1, deaths: 0, losses_of_hosts: 0, interrupts: 2 };
    let report = check(&Setup { nodes: vec![Some(true); 3], rules: rules(&[1, 2]), trouble });
    assert_seen(&report, &["done", "refused", "reverted", "interrupted"]);
}

#[test]
fn a_host_that_dies_before_its_turn_halts() {
    let trouble = Trouble { losses_of_hosts: 1, ..NO_TROUBLE };
    let report = check(&Setup { nodes: vec![Some(true); 3], rules: rules(&[1]), trouble });
    assert_seen(&report, &["done", "refused", "halted", "revert failed"]);
}

#[test]
fn lost_answers_do_not_matter() {
    let trouble = Trouble { failures: 0, losses: 2, deaths: 0, losses_of_hosts: 0, interrupts: 0 };
    let report = check(&Setup { nodes: vec![Some(true); 2], rules: rules(&[1]), trouble });
    assert_seen(&report, &["done", "late answer"]);
    assert!(!report.seen.contains("revert failed"));
}

#[test]
fn with_nothing_healthy_the_fix_still_goes_out() {
    let report = check(&Setup { nodes: vec![Some(false); 3], rules: rules(&[1]), trouble: NO_TROUBLE });
    assert_eq!(report.seen, BTreeSet::from(["done"]));
}

#[test]
fn a_broken_host_is_mended_first() {
    let trouble = Trouble { failures: 1, losses: 0, deaths: 1, losses_of_hosts: 0, interrupts: 1 };
    let report = check(&Setup { nodes: vec![Some(true), Some(true), Some(false)], rules: rules(&[1]), trouble });
    assert_seen(&report, &["done", "reverted"]);
}

#[test]
fn a_first_installation_has_nothing_to_go_back_to() {
    let trouble = Trouble { failures: 1, losses: 1, deaths: 0, losses_of_hosts: 0, interrupts: 1 };
    let report = check(&Setup { nodes: vec![None, Some(true), Some(true)], rules: rules(&[1]), trouble });
    assert_seen(&report, &["done", "halted"]);
}

#[test]
fn halting_leaves_earlier_batches_new() {
    let trouble = Trouble { failures: 1, losses: 0, deaths: 0, losses_of_hosts: 0, interrupts: 1 };
    let setup = Setup { nodes: vec![Some(true); 3], rules: Rules { on_failure: OnFailure::Halt, ..rules(&[1]) }, trouble };
    assert_seen(&check(&setup), &["done", "halted", "reverted", "interrupted"]);
}

#[test]
fn a_floor_that_cannot_be_kept_is_refused() {
    let setup = Setup { nodes: vec![Some(true); 2], rules: Rules { floor: Floor::Count(2), ..rules(&[1]) }, trouble: NO_TROUBLE };
    assert_eq!(check(&setup).seen, BTreeSet::from(["refused"]));
}

/// Each guard taken away must be missed: a model that does not notice proves nothing.
#[test]
fn every_guard_is_needed() {
    let trouble = Trouble { failures: 1, losses: 1, deaths: 1, losses_of_hosts: 0, interrupts: 1 };
    let guards = [
        ("floor", Guards::FLOOR, "never_below_floor"),
        ("fresh reading", Guards::FRESH, "never_below_floor"),
        ("awaited answer", Guards::AWAITED, ""),
        ("lost answer", Guards::LOST, ""),
        ("quiet", Guards::QUIET, "no_request_cut"),
        ("park", Guards::PARK, "revert_target_exists"),
        ("verify", Guards::VERIFY, "no_broken_app_enabled"),
        ("bake", Guards::BAKE, "canary_first"),
        ("healthy", Guards::HEALTHY, "confirmed_in_rotation"),
        ("a host before its turn halts", Guards::UNTOUCHED, "only_the_touched_turn_back"),
        ("ready", Guards::READY, "asked_before_drained"),
        ("drain before reverting", Guards::REVERT_DRAIN, "no_request_cut"),
        ("enable after reverting", Guards::REVERT_ENABLE, "no_node_left_out"),
        ("finish the node in hand", Guards::INTERRUPT, "interrupted_node_is_back"),
    ];
    for (name, guard, property) in guards {
        let setup = Setup { nodes: vec![Some(true); 3], rules: rules(&[1]), trouble };
        let report = explore(Lab::new(&setup, Guards::ALL.without(guard)));
        let broken = report.broken.unwrap_or_else(|| panic!("nobody misses the guard `{name}` in {} states", report.states));
        assert!(property.is_empty() || broken.property == property, "without `{name}`: {}", broken.property);
    }
}
