//! Small plays, run by hand.

use super::*;
use crate::playbook::{BlockInfo, Part, Step, StepKind};

fn task(task: usize, home: Option<(usize, Part)>) -> Step {
    Step { kind: StepKind::Task { task, once: false, fatal: false }, home }
}

fn marker(kind: StepKind, block: usize, part: Part) -> Step {
    Step { kind, home: Some((block, part)) }
}

/// Tasks 0 (body), 1 (rescue), 2 (always) in a block, 3 behind it.
fn block() -> Program {
    let steps = vec![
        task(0, Some((0, Part::Body))),
        marker(StepKind::EndBody(0), 0, Part::Body),
        task(1, Some((0, Part::Rescue))),
        marker(StepKind::EndRescue(0), 0, Part::Rescue),
        task(2, Some((0, Part::Always))),
        marker(StepKind::EndAlways(0), 0, Part::Always),
        task(3, None),
    ];
    Program { steps, blocks: vec![BlockInfo { home: None, has_rescue: true, has_always: true }], tasks: Vec::new() }
}

fn plain(count: usize) -> Program {
    Program { steps: (0..count).map(|number| task(number, None)).collect(), ..Program::default() }
}

fn run(task: TaskId, hosts: &[Host], for_all: &[Host]) -> Effect {
    Effect::Run { step: task, task, hosts: hosts.to_vec(), handler: None, for_all: for_all.to_vec(), more: false }
}

fn rules() -> Rules {
    Rules { linear: true, forks: 5, fail_percentage_max: None, force_handlers: false }
}

/// Runs to the end; `answer` says how a task ends on a host. The log has `task@hosts`, and `rescued@host`, `failed@host`.
fn log(mut strategy: Strategy, mut answer: impl FnMut(&mut Strategy, usize, Host) -> Ended) -> Vec<String> {
    let mut log = Vec::new();
    let mut queue = std::collections::VecDeque::from(strategy.on(Input::Start));
    while let Some(effect) = queue.pop_front() {
        match effect {
            Effect::Run { task, hosts, handler, .. } => {
                let kind = if handler.is_some() { "handler " } else { "" };
                log.push(format!("{kind}{task}@{}", hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")));
                for host in hosts {
                    let ended = answer(&mut strategy, if handler.is_some() { 100 + task } else { task }, host);
                    queue.extend(strategy.on(Input::Ended { host, ended }));
                }
            }
            Effect::Rescued { host } => log.push(format!("rescued@{host}")),
            Effect::HostFailed { host } => log.push(format!("failed@{host}")),
            Effect::Finished => {
                log.push("end".to_owned());
                return log;
            }
        }
    }
    panic!("the play never ended: {log:?}");
}

#[test]
fn all_hosts_take_each_step_together() {
    assert_eq!(log(Strategy::new(&plain(2), 2, rules()), |_, _, _| Ended::Ok), ["0@0,1", "1@0,1", "end"]);
}

#[test]
fn forks_limit_how_many_work_at_once_but_not_the_order() {
    let rules = Rules { forks: 1, ..rules() };
    assert_eq!(log(Strategy::new(&plain(2), 2, rules), |_, _, _| Ended::Ok), ["0@0", "0@1", "1@0", "1@1", "end"]);
}

#[test]
fn a_failed_host_takes_no_further_step() {
    let fails = |_: &mut Strategy, task, host| if (task, host) == (0, 1) { Ended::Failed } else { Ended::Ok };
    assert_eq!(log(Strategy::new(&plain(2), 2, rules()), fails), ["0@0,1", "failed@1", "1@0", "end"]);
}

#[test]
fn a_rescue_catches_and_always_always_runs() {
    let fails = |_: &mut Strategy, task, host| if (task, host) == (0, 1) { Ended::Failed } else { Ended::Ok };
    let found = log(Strategy::new(&block(), 2, rules()), fails);
    assert_eq!(found, ["0@0,1", "rescued@1", "1@1", "2@0,1", "3@0,1", "end"]);
}

#[test]
fn a_failed_rescue_fails_the_host_after_always() {
    let fails = |_: &mut Strategy, task, _| if task < 2 { Ended::Failed } else { Ended::Ok };
    assert_eq!(log(Strategy::new(&block(), 1, rules()), fails), ["0@0", "rescued@0", "1@0", "2@0", "failed@0", "end"]);
}

#[test]
fn an_unreachable_host_is_not_rescued() {
    let lost = |_: &mut Strategy, task, _| if task == 0 { Ended::Unreachable } else { Ended::Ok };
    assert_eq!(log(Strategy::new(&block(), 1, rules()), lost), ["0@0", "failed@0", "end"]);
}

#[test]
fn a_handler_runs_once_where_it_was_notified() {
    let mut program = plain(2);
    program.steps.push(Step { kind: StepKind::Flush, home: None });
    program.steps.push(task(2, None));
    let notifies = |strategy: &mut Strategy, task, host| {
        if task < 2 && host == 1 {
            strategy.on(Input::Notified { host, handler: 7 });
        }
        Ended::Ok
    };
    assert_eq!(log(Strategy::new(&program, 2, rules()), notifies), ["0@0,1", "1@0,1", "handler 7@1", "2@0,1", "end"]);
}

#[test]
fn a_handler_that_came_later_runs_in_the_place_of_one_that_has_not_run() {
    let mut program = plain(2);
    program.steps.push(Step { kind: StepKind::Flush, home: None });
    let comes = |when: usize| {
        move |strategy: &mut Strategy, task, host| {
            if task == 0 {
                strategy.on(Input::Notified { host, handler: 1 });
            }
            if task == when {
                strategy.on(Input::Superseded { old: 1, new: 3 });
            }
            Ended::Ok
        }
    };
    assert_eq!(log(Strategy::new(&program, 1, rules()), comes(1)), ["0@0", "1@0", "handler 3@0", "end"]);
    assert_eq!(log(Strategy::new(&program, 1, rules()), comes(101)), ["0@0", "1@0", "handler 1@0", "end"]);
}

#[test]
fn a_handler_may_notify_a_later_one() {
    let mut program = plain(1);
    program.steps.push(Step { kind: StepKind::Flush, home: None });
    let notifies = |strategy: &mut Strategy, task, host| {
        match task {
            0 => drop(strategy.on(Input::Notified { host, handler: 1 })),
            101 => drop(strategy.on(Input::Notified { host, handler: 3 })),
            _ => {}
        }
        Ended::Ok
    };
    assert_eq!(log(Strategy::new(&program, 1, rules()), notifies), ["0@0", "handler 1@0", "handler 3@0", "end"]);
}

#[test]
fn run_once_runs_on_the_first_host_for_all() {
    let mut program = plain(2);
    program.steps[0].kind = StepKind::Task { task: 0, once: true, fatal: false };
    let mut strategy = Strategy::new(&program, 3, rules());
    assert_eq!(strategy.on(Input::Start), [run(0, &[0], &[1, 2])]);
    let after = strategy.on(Input::Ended { host: 0, ended: Ended::Ok });
    assert_eq!(after, [run(1, &[0, 1, 2], &[])]);
}

#[test]
fn a_fatal_failure_is_everybodys() {
    let mut program = plain(2);
    program.steps[0].kind = StepKind::Task { task: 0, once: false, fatal: true };
    let fails = |_: &mut Strategy, _, host| if host == 1 { Ended::Failed } else { Ended::Ok };
    assert_eq!(log(Strategy::new(&program, 2, rules()), fails), ["0@0,1", "failed@1", "failed@0", "end"]);
}

#[test]
fn included_steps_come_next_for_their_hosts_only() {
    let includes = |strategy: &mut Strategy, task_id, host: Host| {
        if task_id == 0 && host == 1 {
            strategy.on(Input::Included { hosts: [1].into(), steps: vec![task(9, None)], blocks: Vec::new() });
        }
        Ended::Ok
    };
    assert_eq!(log(Strategy::new(&plain(2), 2, rules()), includes), ["0@0,1", "9@1", "1@0,1", "end"]);
}

#[test]
fn includes_of_a_loop_come_in_order() {
    let includes = |strategy: &mut Strategy, task_id, host: Host| {
        if task_id == 0 && host == 1 {
            strategy.on(Input::Included { hosts: [0, 1].into(), steps: vec![task(8, None)], blocks: Vec::new() });
            strategy.on(Input::Included { hosts: [0, 1].into(), steps: vec![task(9, None)], blocks: Vec::new() });
        }
        Ended::Ok
    };
    let mut strategy = Strategy::new(&plain(2), 2, rules());
    assert_eq!(strategy.on(Input::Start), [run(0, &[0, 1], &[])]);
    includes(&mut strategy, 0, 1);
    let mut order = Vec::new();
    for _ in 0..4 {
        for host in [0, 1] {
            for effect in strategy.on(Input::Ended { host, ended: Ended::Ok }) {
                order.extend(matches!(effect, Effect::Run { .. }).then_some(effect));
            }
        }
    }
    let tasks: Vec<usize> = order.iter().map(|effect| if let Effect::Run { task, .. } = effect { *task } else { 0 }).collect();
    assert_eq!(tasks, [8, 9, 1]);
}

#[test]
fn leaving_the_play_ends_it_for_all() {
    let leaves = |_: &mut Strategy, task, host| if (task, host) == (0, 1) { Ended::LeaveAll } else { Ended::Ok };
    assert_eq!(log(Strategy::new(&plain(2), 2, rules()), leaves), ["0@0,1", "end"]);
}

#[test]
fn a_flush_in_the_middle_runs_handlers_at_once() {
    let mut program = plain(3);
    program.steps.push(Step { kind: StepKind::Flush, home: None });
    let flushes = |strategy: &mut Strategy, task, host| match task {
        0 => {
            strategy.on(Input::Notified { host, handler: 0 });
            Ended::Ok
        }
        1 => Ended::Flush,
        _ => Ended::Ok,
    };
    assert_eq!(log(Strategy::new(&program, 2, rules()), flushes), ["0@0,1", "1@0,1", "handler 0@0,1", "2@0,1", "end"]);
}

#[test]
fn a_role_that_is_ended_is_passed_over_to_its_end() {
    let ends = |_: &mut Strategy, task, host| match (task, host) {
        (0, 1) => Ended::Skip { tasks: [0, 1, 2].into() },
        _ => Ended::Ok,
    };
    assert_eq!(log(Strategy::new(&plain(4), 2, rules()), ends), ["0@0,1", "1@0", "2@0", "3@0,1", "end"]);
}

#[test]
fn a_forgiven_failure_does_not_wait_behind_always() {
    let fails = |_: &mut Strategy, task, _| match task {
        0 | 1 => Ended::Failed,
        2 => Ended::Forgive,
        _ => Ended::Ok,
    };
    assert_eq!(log(Strategy::new(&block(), 1, rules()), fails), ["0@0", "rescued@0", "1@0", "2@0", "3@0", "end"]);
}

#[test]
fn a_throttled_task_runs_on_few_hosts_at_once() {
    let mut strategy = Strategy::new(&plain(2), 3, rules());
    strategy.throttle(0, 2);
    let started = strategy.on(Input::Start);
    assert!(matches!(started.as_slice(), [Effect::Run { hosts, more: true, .. }] if *hosts == [0, 1]), "{started:?}");
    let mut throttled = Strategy::new(&plain(2), 3, rules());
    throttled.throttle(0, 2);
    assert_eq!(log(throttled, |_, _, _| Ended::Ok), ["0@0,1", "0@2", "1@0,1,2", "end"]);
}

#[test]
fn a_restricted_step_is_for_some_hosts_only() {
    let mut strategy = Strategy::new(&plain(2), 2, rules());
    strategy.restrict(0, &[1].into());
    assert_eq!(log(strategy, |_, _, _| Ended::Ok), ["0@1", "1@0,1", "end"]);
}
