//! Single stories; what must never happen is enumerated in `tests/model`.

use super::*;

fn rules(batches: &[usize]) -> Rules {
    Rules { batches: batches.to_vec(), bake: false, patience: 2, ..Rules::careful(9) }
}

/// A world where everything works, except for the answers that a test gives itself.
struct Story {
    core: Rollout,
    serving: BTreeSet<Host>,
    told: Vec<String>,
    todo: Vec<Effect>,
}

impl Story {
    fn new(hosts: usize, rules: Rules) -> Story {
        let mut story =
            Story { core: Rollout::new(hosts, rules), serving: (0..hosts).collect(), told: Vec::new(), todo: Vec::new() };
        story.todo = story.core.on(Input::Start);
        story
    }

    fn ask(ask: &Ask) -> String {
        format!("{:?} {}{}", ask.step, ask.host, if ask.is_back { " back" } else { "" })
    }

    /// Goes on until nothing is left to do; `answer` may have an answer of its own.
    fn go(&mut self, answer: impl Fn(&Ask) -> Option<Answer>) -> Option<Outcome> {
        while !self.todo.is_empty() {
            let inputs = match self.todo.remove(0) {
                Effect::Do(ask) => vec![self.answered(ask, &answer)],
                Effect::Play(asks) => asks.into_iter().map(|ask| self.answered(ask, &answer)).collect(),
                Effect::ReadBalancer(token) => {
                    vec![Input::Read(token, Some(Reading { serving: self.serving.clone(), ..Reading::default() }))]
                }
                Effect::SetTimer(token) => vec![Input::Timer(token)],
                Effect::Finish(_) => Vec::new(),
            };
            for input in inputs {
                let effects = self.core.on(input);
                self.todo.extend(effects);
            }
        }
        self.core.outcome()
    }

    fn answered(&mut self, ask: Ask, answer: &impl Fn(&Ask) -> Option<Answer>) -> Input {
        self.told.push(Story::ask(&ask));
        match ask.step {
            Step::Drain => drop(self.serving.remove(&ask.host)),
            Step::Enable => drop(self.serving.insert(ask.host)),
            _ => {}
        }
        let fine = match ask.step {
            Step::Inspect => Answer::Found(Found { reached: Reached::Nothing, has_old: true, served: false }),
            _ => Answer::Ok,
        };
        Input::Answered(ask, answer(&ask).unwrap_or(fine))
    }

    fn steps_of(&self, host: Host) -> Vec<&str> {
        let name = |told: &&str| told.split(' ').nth(1) == Some(host.to_string().as_str());
        self.told.iter().map(String::as_str).filter(name).collect()
    }
}

#[test]
fn a_host_takes_every_step_in_its_order() {
    let mut story = Story::new(2, Rules { bake: true, ..rules(&[1]) });
    assert_eq!(story.go(|_| None), Some(Outcome::Done));
    let all = "Lock Number Inspect Prepare Check Drain AwaitQuiet Park Switch Verify Enable AwaitHealthy Confirm Bake Retire";
    let expected: Vec<String> = all.split(' ').map(|step| format!("{step} 0")).collect();
    assert_eq!(story.steps_of(0), expected);
    let position = |step: &str| story.told.iter().position(|told| told == step).unwrap();
    assert!(position("Bake 0") < position("Check 1"), "the second host waits for the first to be done");
    assert!((0..2).all(|host| story.core.phase(host) == Phase::Done));
}

#[test]
fn a_failure_before_anything_left_touches_nothing() {
    let mut story = Story::new(3, rules(&[1]));
    let failing = Ask { host: 2, step: Step::Prepare, is_back: false, attempt: 0, round: 0 };
    assert_eq!(story.go(|ask| (*ask == failing).then_some(Answer::Failed)), Some(Outcome::Refused));
    assert!(!story.told.iter().any(|told| told.starts_with("Drain")), "{:?}", story.told);
}

#[test]
fn the_second_host_failing_brings_both_back() {
    let mut story = Story::new(3, rules(&[1]));
    let fails = |ask: &Ask| (ask.host == 1 && ask.step == Step::Verify && !ask.is_back).then_some(Answer::Failed);
    assert_eq!(story.go(fails), Some(Outcome::Reverted));
    let back: Vec<&str> = story.told.iter().map(String::as_str).filter(|told| told.ends_with("back")).collect();
    assert_eq!(
        back,
        [
            // Out of rotation already: no drain.
            "Unpark 1 back",
            "Verify 1 back",
            "Enable 1 back",
            "AwaitHealthy 1 back",
            "Drain 0 back",
            "AwaitQuiet 0 back",
            "Unpark 0 back",
            "Verify 0 back",
            "Enable 0 back",
            "AwaitHealthy 0 back",
        ]
    );
    assert_eq!(story.steps_of(2), ["Lock 2", "Number 2", "Inspect 2", "Prepare 2"]);
    assert_eq!((story.core.phase(0), story.core.phase(2)), (Phase::Reverted, Phase::Waiting));
    assert!(story.core.updated().is_empty() && story.core.out().is_empty());
}

#[test]
fn a_host_that_dies_before_its_turn_takes_nobody_back() {
    for answer in [Answer::Lost, Answer::Failed, Answer::Busy] {
        let mut story = Story::new(3, rules(&[1]));
        let fails = |ask: &Ask| (ask.host == 2 && ask.step == Step::Check).then_some(answer);
        assert_eq!(story.go(fails), Some(Outcome::Halted), "{answer:?}");
        assert!(!story.told.iter().any(|told| told.ends_with("back")), "{:?}", story.told);
        assert_eq!(story.core.updated(), [0, 1]);
        assert_eq!((story.core.touched(), story.core.out()), (vec![0, 1], vec![]));
        assert_eq!(story.core.lost(), if answer == Answer::Lost { vec![2] } else { vec![] });
    }
}

#[test]
fn the_others_of_its_batch_are_finished() {
    let mut story = Story::new(3, Rules { floor: Floor::Count(1), ..rules(&[2]) });
    let fails = |ask: &Ask| (ask.host == 1 && ask.step == Step::Check).then_some(Answer::Failed);
    assert_eq!(story.go(fails), Some(Outcome::Halted));
    assert_eq!((story.core.updated(), story.core.phase(0), story.core.phase(1)), (vec![0], Phase::Done, Phase::Waiting));
}

#[test]
fn busy_is_asked_again_until_patience_ends() {
    let mut story = Story::new(1, Rules { floor: Floor::Count(0), ..rules(&[1]) });
    assert_eq!(story.go(|ask| (ask.step == Step::Check).then_some(Answer::Busy)), Some(Outcome::Refused));
    assert_eq!(story.told.iter().filter(|told| *told == "Check 0").count(), 3);
}

#[test]
fn a_lost_answer_is_asked_for_under_a_new_number() {
    let mut core = Rollout::new(1, rules(&[1]));
    let Some(Effect::Do(first)) = core.on(Input::Start).pop() else { panic!("a question") };
    let again = core.on(Input::Answered(first, Answer::Lost));
    let second = Ask { attempt: 1, ..first };
    assert_eq!(again, [Effect::Do(second)]);
    assert!(core.on(Input::Answered(first, Answer::Ok)).is_empty(), "the first answer comes too late");
    assert_eq!(core.resume(), [Effect::Do(second)]);
    assert!(!core.on(Input::Answered(second, Answer::Ok)).is_empty());
}

#[test]
fn asked_to_stop_twice_it_stops_at_once() {
    let mut core = Rollout::new(2, rules(&[1]));
    core.on(Input::Start);
    core.stage = Stage::Rolling;
    core.batch = vec![0];
    core.hosts[0].asked(Ask { host: 0, step: Step::Drain, is_back: false, attempt: 0, round: 0 });
    assert!(core.on(Input::Interrupt).is_empty(), "the node in hand is finished");
    assert_eq!(core.on(Input::Interrupt), [Effect::Finish(Outcome::Interrupted)]);
    assert!(core.on(Input::Interrupt).is_empty());
}

#[test]
fn nothing_that_is_not_awaited_does_any_harm() {
    let mut core = Rollout::new(2, rules(&[]));
    let ask = Ask { host: 9, step: Step::Switch, is_back: true, attempt: 7, round: 0 };
    for input in [Input::Answered(ask, Answer::Ok), Input::Read(ReadToken(3), None), Input::Timer(TimerToken(1))] {
        assert!(core.on(input).is_empty());
    }
    assert_eq!(core.outcome(), None);
}

#[test]
fn a_host_that_is_asked_again_and_again_is_one_phase() {
    let mut core = Rollout::new(2, Rules { patience: 5, ..rules(&[1]) });
    let mut todo = core.on(Input::Start);
    let (mut phases, mut times) = (Vec::new(), 0);
    while !todo.is_empty() && times < 4 {
        let inputs: Vec<Input> = match todo.remove(0) {
            Effect::Do(ask) if ask.step == Step::Check => {
                times += 1;
                vec![Input::Answered(ask, Answer::Busy)]
            }
            Effect::Do(ask) if ask.step == Step::Inspect => {
                let found = Found { reached: Reached::Nothing, has_old: true, served: false };
                vec![Input::Answered(ask, Answer::Found(found))]
            }
            Effect::Do(ask) => vec![Input::Answered(ask, Answer::Ok)],
            Effect::Play(asks) => asks.into_iter().map(|ask| Input::Answered(ask, Answer::Ok)).collect(),
            Effect::ReadBalancer(token) => {
                vec![Input::Read(token, Some(Reading { serving: BTreeSet::from([0, 1]), ..Reading::default() }))]
            }
            Effect::SetTimer(token) => vec![Input::Timer(token)],
            Effect::Finish(_) => Vec::new(),
        };
        for input in inputs {
            todo.extend(core.on(input));
            if phases.last() != Some(&core.phase(0)) {
                phases.push(core.phase(0));
            }
        }
    }
    assert_eq!((times, phases), (4, vec![Phase::Waiting, Phase::Checking]));
    assert_eq!(core.held(), Some(0));
}

/// Two that start at once would else each have one host, and neither could go on.
#[test]
fn the_first_lock_is_asked_for_alone() {
    let mut core = Rollout::new(3, rules(&[1, 1, 1]));
    let asked = |effects: Vec<Effect>| -> Vec<Ask> {
        effects.into_iter().filter_map(|effect| if let Effect::Do(ask) = effect { Some(ask) } else { None }).collect()
    };
    let first = asked(core.on(Input::Start));
    assert_eq!(first.iter().map(|ask| (ask.step, ask.host)).collect::<Vec<_>>(), [(Step::Lock, 0)]);
    let others = asked(core.on(Input::Answered(first[0], Answer::Ok)));
    assert_eq!(others.iter().map(|ask| (ask.step, ask.host)).collect::<Vec<_>>(), [(Step::Lock, 1), (Step::Lock, 2)]);
}

#[test]
fn the_old_one_leaves_once_the_new_one_serves() {
    let mut story = Story::new(1, Rules { start_first: true, ..rules(&[1]) });
    story.go(|_| None);
    let all = "Lock Number Inspect Prepare Check Aside Switch Verify Enable AwaitHealthy Drain";
    let expected: Vec<String> = all.split(' ').map(|step| format!("{step} 0")).collect();
    assert!(story.steps_of(0).starts_with(&expected.iter().map(String::as_str).collect::<Vec<_>>()), "{:?}", story.told);
    assert!(story.core.starts_first(0) && !story.core.starts_first(1));
    assert_eq!(story.core.floor(), 1, "nobody is ever out");
}

/// Something that was not there when it was looked at does not change the way in the middle of it.
#[test]
fn a_host_keeps_its_way() {
    let mut story = Story::new(1, Rules { start_first: true, ..rules(&[1]) });
    story.serving.clear();
    let nothing = Answer::Found(Found { reached: Reached::Nothing, has_old: false, served: false });
    assert_eq!(story.go(|ask| (ask.step == Step::Inspect).then_some(nothing)), Some(Outcome::Done));
    let all = "Lock Number Inspect Prepare Check Drain AwaitQuiet Park Switch Verify Enable AwaitHealthy Confirm Retire";
    let expected: Vec<String> = all.split(' ').map(|step| format!("{step} 0")).collect();
    assert_eq!(story.steps_of(0), expected);
}
