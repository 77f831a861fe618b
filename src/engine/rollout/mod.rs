//! Carries out what the rollout core decides: the play's own tasks, the balancer, and the host's part of it.
//!
//! [`play`] reads the settings, then runs the loop: inputs to [`Rollout`], its effects to jobs, what came of them back as inputs. The
//! core decides, this only does; `steps.rs` has one function a step, `tools.rs` the way to a host's internal modules, `words.rs` what
//! people are told.

mod ending;
mod examine;
mod front;
mod members;
mod steps;
mod tools;
mod words;

pub use examine::{Examined, examine};

use super::frame::Frame;
use super::plays::{self, PlayEnd, PlayRun, add_facts, add_section};
use super::stage::Stage;
use super::{Ending, Run, Signal, locked};
use crate::diag::Diagnostic;
use crate::event::{Event, Rollout as RolloutEvent};
use crate::playbook::{self, Program, RolloutSpec};
use crate::rollout::{Answer, Ask, Effect, Floor, Input, OnFailure, Outcome, Rollout, Rules, Step};
use ending::{Cause, End};
use front::Front;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use steps::Steps;
use tokio::sync::mpsc;

/// Between two tries of something that was not possible yet.
const AGAIN: Duration = Duration::from_secs(1);
/// How often "the balancer cannot be read" is met before it is a failure, at least.
const PATIENCE_MIN: u16 = 30;

/// Runs a play with `rollout:`.
pub(super) async fn play(run: &Arc<Run>, play: &Arc<PlayRun>, signals: &mut mpsc::Receiver<Signal>) -> PlayEnd {
    let spec = match settings(run, play) {
        Ok(spec) => Arc::new(spec),
        Err(diagnostic) => {
            run.warn(*diagnostic);
            return PlayEnd { ending: Ending::Refused, go_on: false };
        }
    };
    match Driver::new(run, play, spec) {
        Ok(driver) => driver.drive(signals).await,
        Err(diagnostic) => {
            run.warn(*diagnostic);
            PlayEnd { ending: Ending::Refused, go_on: false }
        }
    }
}

fn settings(run: &Run, play: &PlayRun) -> Result<RolloutSpec, Box<Diagnostic>> {
    let written = play.play.context.keywords.get("rollout");
    let (value, span) = written.map_or_else(Default::default, |written| (written.value.clone(), written.span));
    let refused = |title: String| {
        Box::new(Diagnostic::error("bad-rollout", title).at(span, "in this rollout").note("nothing left the load balancer"))
    };
    let first = play.hosts.first().map(String::as_str).unwrap_or_default();
    let task = tools::task(play, "ping").ok_or_else(|| refused("the host program has no `ping`".to_owned()))?;
    let frame = Frame::new(run, play, first, super::frame::view(run, play, first, &task));
    let rendered = frame.render(&value).map_err(|problem| problem.diagnostic.unwrap_or_else(|| refused(problem.failure.msg)))?;
    RolloutSpec::read(&rendered).map_err(refused)
}

/// One rollout while it runs.
struct Driver {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    spec: Arc<RolloutSpec>,
    core: Rollout,
    steps: Arc<Steps>,
    inputs: mpsc::UnboundedSender<Input>,
    inbox: mpsc::UnboundedReceiver<Input>,
    /// Since when a host is out of rotation.
    out_since: BTreeMap<usize, Instant>,
    phases: Vec<String>,
    interrupted: bool,
    /// What the core gave up on, in order.
    causes: Vec<Cause>,
    outcome: Option<Outcome>,
}

impl Driver {
    fn new(run: &Arc<Run>, play: &Arc<PlayRun>, spec: Arc<RolloutSpec>) -> Result<Driver, Box<Diagnostic>> {
        let span = play.play.context.keywords.get("rollout").map(|written| written.span).unwrap_or_default();
        let front = Front::new(run, play, &spec, span)?;
        let batches = plays::batches(play, run);
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        let largest = sizes.iter().copied().max().unwrap_or(1);
        let floor = match spec.floor {
            playbook::Floor::AllButBatch => Floor::AllButBatch,
            other => Floor::Count(other.count(play.hosts.len(), largest)),
        };
        let seconds = spec.ready.as_ref().map_or(0, |ready| ready.deadline.as_secs());
        let rules = Rules {
            batches: sizes,
            floor,
            on_failure: match spec.on_failure {
                playbook::OnFailure::Revert => OnFailure::Revert,
                playbook::OnFailure::Halt => OnFailure::Halt,
            },
            bake: !spec.bake.is_zero(),
            may_cut: false,
            patience: u16::try_from(seconds).unwrap_or(u16::MAX).max(PATIENCE_MIN),
        };
        if largest >= play.hosts.len() && spec.balancer.kind != "none" {
            run.warn(words::no_floor(&spec.app, play.hosts.len()).at(span, "in this rollout"));
        }
        let started = RolloutEvent::Started {
            app: spec.app.clone(),
            release: spec.release.clone(),
            hosts: play.hosts.clone(),
            batches,
            floor: u32::try_from(spec.floor.count(play.hosts.len(), largest)).unwrap_or(u32::MAX),
            balancer: spec.balancer.kind.clone(),
        };
        run.emitter.emit(&Event::Rollout(started));
        let (inputs, inbox) = mpsc::unbounded_channel();
        Ok(Driver {
            run: run.clone(),
            play: play.clone(),
            core: Rollout::new(play.hosts.len(), rules),
            steps: Arc::new(Steps::new(run, play, &spec, front)),
            spec,
            inputs,
            inbox,
            out_since: BTreeMap::new(),
            phases: vec![String::new(); play.hosts.len()],
            interrupted: false,
            causes: Vec::new(),
            outcome: None,
        })
    }

    async fn drive(mut self, signals: &mut mpsc::Receiver<Signal>) -> PlayEnd {
        let effects = self.core.on(Input::Start);
        self.carry_out(effects);
        while self.outcome.is_none() {
            let input = tokio::select! {
                Some(input) = self.inbox.recv() => input,
                Some(Signal::Interrupt) = signals.recv() => {
                    self.run.emitter.emit(&Event::Interrupted { again: self.interrupted });
                    self.interrupted = true;
                    Input::Interrupt
                }
            };
            let failed = failure(&input);
            let effects = self.core.on(input);
            self.note_cause(failed);
            self.show_phases();
            self.carry_out(effects);
        }
        self.end().await
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Do(ask) => self.start(ask),
                Effect::Play(asks) => self.start_play(asks),
                Effect::ReadBalancer(token) => {
                    let (steps, inputs) = (self.steps.clone(), self.inputs.clone());
                    let floor = self.core.floor();
                    tokio::spawn(async move {
                        let reading = steps.read_balancer(floor).await;
                        let _ = inputs.send(Input::Read(token, reading));
                    });
                }
                Effect::SetTimer(token) => {
                    let inputs = self.inputs.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(AGAIN).await;
                        let _ = inputs.send(Input::Timer(token));
                    });
                }
                Effect::Finish(outcome) => self.outcome = Some(outcome),
            }
        }
        self.show_phases();
    }

    fn start(&mut self, ask: Ask) {
        if ask.step == Step::Drain {
            self.out_since.entry(ask.host).or_insert_with(Instant::now);
        }
        let (steps, inputs) = (self.steps.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let answer = steps.answer(ask).await;
            let _ = inputs.send(Input::Answered(ask, answer));
        });
    }

    /// Tasks of the play on several hosts together; baking is watched the same way.
    fn start_play(&mut self, asks: Vec<Ask>) {
        let Some(step) = asks.first().map(|ask| ask.step) else { return };
        let inputs = self.inputs.clone();
        if step == Step::Bake {
            let steps = self.steps.clone();
            tokio::spawn(async move {
                let answers = steps.bake(&asks).await;
                answers.into_iter().for_each(|(ask, answer)| drop(inputs.send(Input::Answered(ask, answer))));
            });
            return;
        }
        let hosts: Vec<String> = asks.iter().map(|ask| self.play.hosts[ask.host].clone()).collect();
        let stage = Stage::new(&self.run, &self.play, &hosts, self.program(step));
        let steps = self.steps.clone();
        tokio::spawn(async move {
            // Interrupts are the core's business: a stage that was begun is finished.
            let (_keep, mut never) = mpsc::channel(1);
            let end = stage.drive(&mut never).await;
            let answer = |host: &String| match (end.failed.contains(host), end.unreachable.contains(host)) {
                (true, _) => Answer::Failed,
                (_, true) => Answer::Lost,
                (false, false) => Answer::Ok,
            };
            let answers: Vec<(Ask, Answer)> = asks.into_iter().zip(hosts.iter().map(answer)).collect();
            for (ask, _) in answers.iter().filter(|(_, answer)| *answer != Answer::Ok) {
                steps.explain_tasks(*ask).await;
            }
            answers.into_iter().for_each(|(ask, answer)| drop(inputs.send(Input::Answered(ask, answer))));
        });
    }

    fn program(&self, step: Step) -> Program {
        let (run, play) = (&self.run, &self.play);
        let mut program = Program::default();
        match step {
            Step::Prepare => {
                add_facts(run, play, &mut program);
                add_section(run, &play.play.pre_tasks, &mut program);
            }
            Step::Switch => {
                for used in &play.play.roles {
                    add_section(run, &used.items, &mut program);
                }
                add_section(run, &play.play.tasks, &mut program);
            }
            _ => add_section(run, &play.play.post_tasks, &mut program),
        }
        program.add_flush();
        program
    }

    fn show_phases(&mut self) {
        for host in 0..self.play.hosts.len() {
            let phase = words::phase(self.core.phase(host));
            if self.phases[host] == phase {
                continue;
            }
            self.phases[host] = phase.to_owned();
            let name = self.play.hosts[host].clone();
            let why = words::why(self.core.phase(host), &self.spec);
            self.run.emitter.emit(&Event::Rollout(RolloutEvent::Phase { host: name.clone(), phase: phase.to_owned(), why }));
            let is_back_in = matches!(phase, "Baking" | "Done" | "Reverted");
            if let Some(since) = self.out_since.get(&host).filter(|_| is_back_in).copied() {
                self.out_since.remove(&host);
                let seconds = since.elapsed().as_secs_f64();
                self.run.emitter.emit(&Event::Rollout(RolloutEvent::HostDone { host: name, seconds }));
            }
        }
    }

    /// A failure that the core did not ask again about.
    fn note_cause(&mut self, failed: Option<(Ask, Answer)>) {
        let Some((ask, answer)) = failed.filter(|(ask, _)| !self.core.awaits(*ask)) else { return };
        let host = self.play.hosts[ask.host].clone();
        self.causes.push(Cause {
            is_touched: self.core.touched().contains(&ask.host),
            is_lost: answer == Answer::Lost,
            is_back: ask.is_back,
            said: self.steps.said(ask.host),
            step: ask.step,
            host,
        });
    }

    /// In the recap a lost host is unreachable once, however often it was asked.
    fn count_lost(&self) {
        for host in self.core.lost() {
            let host = &self.play.hosts[host];
            locked(&self.run.stats).entry(host.clone()).or_default().unreachable = 1;
            locked(&self.run.dead).insert(host.clone());
        }
    }

    async fn end(self) -> PlayEnd {
        let outcome = self.outcome.unwrap_or(Outcome::Interrupted);
        self.count_lost();
        let healthy = self.steps.count_healthy(self.core.floor()).await;
        let names = |hosts: Vec<usize>| hosts.into_iter().map(|host| self.play.hosts[host].clone()).collect::<Vec<_>>();
        let new = names(self.core.updated());
        let out = names(self.core.out());
        let old: Vec<String> = self.play.hosts.iter().filter(|host| !new.contains(host)).cloned().collect();
        let end = End {
            outcome,
            release: &self.spec.release,
            causes: &self.causes,
            hosts: &self.play.hosts,
            new: &new,
            out: &out,
            healthy: healthy.as_ref().ok().copied(),
            unread: healthy.err(),
            arguments: &self.run.options.rolling.arguments,
        };
        let event = RolloutEvent::Ended {
            ending: words::ending(outcome).to_owned(),
            why: end.why(),
            now: end.now(),
            next: end.next(),
            new,
            old,
            out,
        };
        self.run.emitter.emit(&Event::Rollout(event));
        let ending = match outcome {
            Outcome::Done => Ending::Done,
            Outcome::Refused => Ending::Refused,
            Outcome::Halted => Ending::Halted,
            Outcome::Reverted => Ending::Reverted,
            Outcome::RevertFailed => Ending::RevertFailed,
            Outcome::Interrupted => Ending::Interrupted,
        };
        PlayEnd { ending, go_on: ending == Ending::Done }
    }
}

/// An answer that is bad news.
fn failure(input: &Input) -> Option<(Ask, Answer)> {
    match input {
        Input::Answered(ask, answer) if matches!(answer, Answer::Failed | Answer::Lost | Answer::Capped) => Some((*ask, *answer)),
        _ => None,
    }
}

/// Evidence of failures, by host, for the words at the end.
type Notes = Mutex<BTreeMap<usize, String>>;
