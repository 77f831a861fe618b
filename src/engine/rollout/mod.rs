//! Carries out what the rollout core decides: the play's own tasks, the balancer, and the host's part of it.
//!
//! [`play`] reads the settings, then runs the loop: inputs to [`Rollout`], its effects to jobs, what came of them back as inputs. The
//! core decides, this only does; `steps.rs` has one function a step, `tools.rs` the way to a host's internal modules, `words.rs` what
//! people are told.

mod ending;
mod examine;
mod fitness;
mod front;
mod hold;
mod members;
mod seen;
mod settings;
mod steps;
mod survey;
mod tools;
mod words;
mod written;

pub use examine::{Examined, examine};

use super::plays::{self, PlayEnd, PlayRun, add_facts, add_section};
use super::stage::Stage;
use super::{Direction, Ending, Run, Signal, locked};
use crate::diag::Diagnostic;
use crate::event::{Event, Rollout as RolloutEvent};
use crate::playbook::{self, Program, RolloutSpec};
use crate::rollout::{Answer, Ask, Effect, Floor, Goal, Input, OnFailure, Outcome, Recording, Rollout, Rules, Step};
use ending::{Cause, Committed, End};
pub use survey::{HostSurvey, Survey, Surveyor, TargetSurvey, Unanswered, WishFor};

pub(crate) use words::RECORD_HELP;

use front::Front;
use hold::{Hold, Wish};
use settings::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steps::{Runs, Steps};
use tokio::sync::mpsc;

/// Between two tries of something that was not possible yet.
const AGAIN: Duration = Duration::from_secs(1);
/// How often wishes from other terminals are looked for.
const LISTEN_EVERY: Duration = Duration::from_secs(2);
/// How often "the balancer cannot be read" is met before it is a failure, at least.
const PATIENCE_MIN: u16 = 30;

/// Runs a play with `rollout:`.
pub(super) async fn play(run: &Arc<Run>, play: &Arc<PlayRun>, signals: &mut mpsc::Receiver<Signal>) -> PlayEnd {
    let settings = match settings::read(run, play) {
        Ok(settings) => Arc::new(settings),
        Err(diagnostic) => {
            run.warn(*diagnostic);
            return PlayEnd { ending: Ending::Refused, go_on: false };
        }
    };
    let hold = Arc::new(Hold::new(run, play, &settings.common().app));
    match Driver::new(run, play, &settings, &hold) {
        Ok(driver) => {
            let listening = tokio::spawn(listen(hold.clone(), driver.steps.clone(), driver.inputs.clone()));
            let end = driver.drive(signals).await;
            listening.abort();
            hold.give_back().await;
            locked(&run.ports).clear();
            end
        }
        Err(diagnostic) => {
            run.warn(*diagnostic);
            PlayEnd { ending: Ending::Refused, go_on: false }
        }
    }
}

/// Hears what is asked for from other terminals.
async fn listen(hold: Arc<Hold>, steps: Arc<Steps>, inputs: mpsc::UnboundedSender<Input>) {
    let mut is_paused = false;
    loop {
        tokio::time::sleep(LISTEN_EVERY).await;
        let input = match hold.wish().await {
            Ok(Some(Wish::Pause { by })) if !is_paused => {
                let line = format!("paused by {by} before the next host; `roll continue {}` goes on", steps.arguments());
                steps.say_all(&line);
                steps.say_each(&line);
                is_paused = true;
                Input::Pause
            }
            Ok(None) if is_paused => {
                steps.say_all("goes on");
                steps.say_each("");
                is_paused = false;
                Input::Continue
            }
            Ok(Some(Wish::Pause { .. }) | None) => continue,
            Ok(Some(Wish::Stop { by, why })) => {
                steps.say_all(&format!("asked to stop by {by}: {why}"));
                drop(inputs.send(Input::Yield));
                return;
            }
            // A host that cannot be asked now is asked again.
            Err(_) => continue,
        };
        drop(inputs.send(input));
    }
}

/// One rollout while it runs.
struct Driver {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    spec: Arc<RolloutSpec>,
    settings: Arc<Settings>,
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
    /// Who was told "not now" by the floor last, and why.
    held: Option<(usize, String)>,
    outcome: Option<Outcome>,
}

impl Driver {
    fn new(run: &Arc<Run>, play: &Arc<PlayRun>, settings: &Arc<Settings>, hold: &Arc<Hold>) -> Result<Driver, Box<Diagnostic>> {
        let spec = settings.common().clone();
        let span = play.play.context.keywords.get("rollout").map(|written| written.span).unwrap_or_default();
        let front = Front::new(run, play, &spec, span)?;
        let batches = plays::batches(play, run);
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        let largest = sizes.iter().copied().max().unwrap_or(1);
        let floor = match spec.floor {
            playbook::Floor::AllButBatch => Floor::AllButBatch,
            other => Floor::Count(other.count(play.hosts.len(), largest)),
        };
        let seconds = settings.ready_deadline().as_secs();
        let rules = Rules {
            batches: sizes,
            floor,
            on_failure: match spec.on_failure {
                playbook::OnFailure::Revert => OnFailure::Revert,
                playbook::OnFailure::Halt => OnFailure::Halt,
            },
            bake: !spec.bake.is_zero() && run.options.rolling.hotfix.is_none(),
            patience: u16::try_from(seconds).unwrap_or(u16::MAX).max(PATIENCE_MIN),
            goal: match run.options.rolling.direction {
                Direction::Forward => Goal::New,
                Direction::Resume => Goal::Finish,
                Direction::Rollback => Goal::Old,
            },
            lock_order: by_name(&play.hosts),
            skip_dead: run.options.skip_dead,
            accept_downtime: run.options.rolling.accept_downtime || spec.balancer.kind == "none",
            start_first: spec.ports().is_some(),
        };
        if largest >= play.hosts.len() && run.options.rolling.accept_downtime && !rules.start_first {
            let title = words::no_floor(&spec.app, play.hosts.len());
            run.warn(
                Diagnostic::warning("no-floor", title).at(span, "in this rollout").note("accepted with `--accept-downtime`"),
            );
        }
        let started = RolloutEvent::Started {
            app: spec.app.clone(),
            release: spec.release.clone(),
            hosts: play.hosts.clone(),
            batches,
            // Where the new one starts first, nobody is out.
            floor: u32::try_from(spec.floor.count(play.hosts.len(), if rules.start_first { 0 } else { largest }))
                .unwrap_or(u32::MAX),
            balancer: spec.balancer.kind.clone(),
        };
        run.emitter.emit(&Event::Rollout(started));
        let (inputs, inbox) = mpsc::unbounded_channel();
        Ok(Driver {
            run: run.clone(),
            play: play.clone(),
            core: Rollout::new(play.hosts.len(), rules),
            steps: Arc::new(Steps::new(run, play, settings, front, hold)),
            spec,
            settings: settings.clone(),
            inputs,
            inbox,
            out_since: BTreeMap::new(),
            phases: vec![String::new(); play.hosts.len()],
            interrupted: false,
            causes: Vec::new(),
            held: None,
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
            let live = living(&input);
            let effects = self.core.on(input);
            self.say_held(live);
            self.note_cause(failed);
            self.show_phases();
            self.carry_out(effects);
        }
        self.end().await
    }

    /// A reading came, and nobody may leave by it.
    fn say_held(&mut self, live: Option<usize>) {
        if let (Some(host), Some(live)) = (self.core.held(), live) {
            let why = match self.core.starts_first(host) {
                true => words::held_beside(),
                false => words::held(live, self.core.floor()),
            };
            self.held = Some((host, why.clone()));
            self.steps.say(host, why);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Do(ask) => self.start(ask),
                Effect::Play(asks) => self.start_play(asks),
                Effect::ReadBalancer(token) => {
                    let (steps, inputs) = (self.steps.clone(), self.inputs.clone());
                    let (floor, is_first) = (self.core.floor(), self.core.batches().is_empty());
                    tokio::spawn(async move {
                        let mut reading = steps.read_balancer(floor).await;
                        if let Some(reading) = reading.as_mut().filter(|_| is_first) {
                            reading.is_unfit = steps.is_unfit().await;
                        }
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
        if matches!(ask.step, Step::Drain | Step::Aside) {
            self.out_since.entry(ask.host).or_insert_with(Instant::now);
        }
        let (steps, inputs) = (self.steps.clone(), self.inputs.clone());
        let recording = self.core.recording(ask.host);
        tokio::spawn(async move {
            let answer = steps.answer(ask, recording).await;
            let _ = inputs.send(Input::Answered(ask, answer));
        });
    }

    /// Tasks of the play on several hosts together; baking is watched the same way.
    fn start_play(&mut self, asks: Vec<Ask>) {
        let Some(step) = asks.first().map(|ask| ask.step) else { return };
        let inputs = self.inputs.clone();
        if step == Step::Bake {
            let steps = self.steps.clone();
            let recordings = self.recordings(&asks);
            tokio::spawn(async move {
                let mut answers = steps.bake(&asks).await;
                settle(&steps, &recordings, &mut answers).await;
                answers.into_iter().for_each(|(ask, answer)| drop(inputs.send(Input::Answered(ask, answer))));
            });
            return;
        }
        let hosts: Vec<String> = asks.iter().map(|ask| self.play.hosts[ask.host].clone()).collect();
        let stage = Stage::new(&self.run, &self.play, &hosts, self.program(step));
        let steps = self.steps.clone();
        let recordings = self.recordings(&asks);
        tokio::spawn(async move {
            // Interrupts are the core's business: a stage that was begun is finished.
            let (_keep, mut never) = mpsc::channel(1);
            if step != Step::Prepare {
                for (ask, recording) in asks.iter().zip(&recordings) {
                    // A host that does not even take this down fails in the first task.
                    drop(steps.begin(*ask, *recording).await);
                }
            }
            let end = stage.drive(&mut never).await;
            let answer = |host: &String| match (end.failed.contains(host), end.unreachable.contains(host)) {
                (true, _) => Answer::Failed,
                (_, true) => Answer::Lost,
                (false, false) => Answer::Ok,
            };
            let mut answers: Vec<(Ask, Answer)> = asks.into_iter().zip(hosts.iter().map(answer)).collect();
            for (ask, _) in answers.iter().filter(|(_, answer)| *answer != Answer::Ok) {
                steps.ask_hold(*ask).await;
                steps.explain_tasks(*ask).await;
            }
            settle(&steps, &recordings, &mut answers).await;
            answers.into_iter().for_each(|(ask, answer)| drop(inputs.send(Input::Answered(ask, answer))));
        });
    }

    fn recordings(&self, asks: &[Ask]) -> Vec<Recording> {
        asks.iter().map(|ask| self.core.recording(ask.host)).collect()
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
            let why = words::why(self.core.phase(host), self.settings.of(host));
            self.run.emitter.emit(&Event::Rollout(RolloutEvent::Phase { host: name.clone(), phase: phase.to_owned(), why }));
            let is_back_in = matches!(phase, "Baking" | "Done" | "Reverted");
            if let Some(since) = self.out_since.get(&host).filter(|_| is_back_in).copied() {
                self.out_since.remove(&host);
                let is_never_out = self.core.starts_first(host);
                let seconds = if is_never_out { 0.0 } else { since.elapsed().as_secs_f64() };
                self.run.emitter.emit(&Event::Rollout(RolloutEvent::HostDone { host: name, seconds }));
            }
        }
    }

    /// Nothing more can be done from here, and nothing more is tried; or nothing was begun, because a host could not be locked.
    fn early_end(&self, outcome: Outcome) -> Option<PlayEnd> {
        let (app, arguments) = (&self.spec.app, &self.run.options.rolling.arguments);
        let ending = match outcome {
            Outcome::Fenced => Ending::Fenced,
            Outcome::Locked => Ending::Locked,
            _ => Ending::Refused,
        };
        let is_early =
            self.core.batches().is_empty() && outcome != Outcome::Interrupted && self.causes.iter().all(is_of_the_lock);
        match self.steps.denied().filter(|_| is_early) {
            Some(denied) => self.run.warn(words::denied(app, &denied, arguments)),
            None if outcome == Outcome::Fenced => self.run.warn(words::fenced(app, self.steps.generation(), arguments)),
            None => return None,
        }
        Some(PlayEnd { ending, go_on: false })
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

    /// What is true of each host now, for everybody who comes after; answers with what each one says of the app.
    async fn write_end(&self, outcome: Outcome) -> Vec<Runs> {
        let touched = self.core.touched();
        let mut all = Vec::new();
        for host in 0..self.play.hosts.len() {
            all.push(self.steps.write_end(host, words::ending(outcome), touched.contains(&host)).await);
        }
        all
    }

    /// Why nothing was begun though nothing failed.
    fn refusal(&self, outcome: Outcome) -> Option<String> {
        let is_ordered = !self.core.batches().is_empty();
        let pool = self.core.short_pool().and_then(|pool| self.steps.pool(pool));
        let is_held = matches!(outcome, Outcome::Halted | Outcome::RevertFailed | Outcome::Refused) && self.causes.is_empty();
        let held = self.held.as_ref().filter(|_| is_held && is_ordered && pool.is_none());
        if let Some((host, why)) = held {
            return Some(words::held_to_the_end(&self.play.hosts[*host], why));
        }
        match self.run.options.rolling.direction {
            _ if outcome != Outcome::Refused || !self.causes.is_empty() => None,
            Direction::Rollback => Some(words::committed(&self.spec.app, self.committed(outcome) == Some(Committed::Ending))),
            _ if self.steps.unfit().is_some() => self.steps.unfit(),
            _ if pool.is_some() => pool.map(|(name, floor)| words::no_pool_floor(&name, floor)),
            Direction::Forward | Direction::Resume if is_ordered => Some(words::no_floor(&self.spec.app, self.play.hosts.len())),
            Direction::Forward | Direction::Resume => Some(self.steps.unread()),
        }
    }

    /// Going back was refused for nothing else.
    fn committed(&self, outcome: Outcome) -> Option<Committed> {
        let is_going_back = self.run.options.rolling.direction == Direction::Rollback;
        let is_refused = outcome == Outcome::Refused && self.causes.is_empty();
        (is_going_back && is_refused).then(|| if self.steps.has_parked() { Committed::Ending } else { Committed::Ended })
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
        if let Some(end) = self.early_end(outcome) {
            return end;
        }
        let runs = self.write_end(outcome).await;
        let healthy = self.steps.count_healthy(self.core.floor()).await;
        let names = |hosts: Vec<usize>| hosts.into_iter().map(|host| self.play.hosts[host].clone()).collect::<Vec<_>>();
        let where_it =
            |what: Runs| runs.iter().zip(&self.play.hosts).filter(move |(runs, _)| **runs == what).map(|(_, host)| host.clone());
        let (idle, silent): (Vec<String>, Vec<String>) = (where_it(Runs::Nothing).collect(), where_it(Runs::Unknown).collect());
        let is_known = |host: &String| !idle.contains(host) && !silent.contains(host);
        let mut new = names(self.core.updated());
        new.retain(is_known);
        let out = names(self.core.out());
        let is_old = |host: &&String| !new.contains(host) && is_known(host);
        let old: Vec<String> = self.play.hosts.iter().filter(is_old).cloned().collect();
        let end = End {
            outcome,
            release: &self.spec.release,
            causes: &self.causes,
            refusal: self.refusal(outcome),
            committed: self.committed(outcome),
            hosts: &self.play.hosts,
            new: &new,
            out: &out,
            idle: &idle,
            silent: &silent,
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
            Outcome::Locked => Ending::Locked,
            Outcome::Fenced => Ending::Fenced,
        };
        PlayEnd { ending, go_on: ending == Ending::Done }
    }
}

/// The first steps of all.
fn is_of_the_lock(cause: &Cause) -> bool {
    matches!(cause.step, Step::Lock | Step::Number)
}

/// In which order hosts are locked: the same for every rollout, however its play names them.
fn by_name(hosts: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..hosts.len()).collect();
    order.sort_by_key(|host| hosts[*host].as_str());
    order
}

/// What went well is written down; where that is refused, the rollout is over.
async fn settle(steps: &Steps, recordings: &[Recording], answers: &mut [(Ask, Answer)]) {
    for (ask, answer) in answers.iter_mut().filter(|(_, answer)| *answer == Answer::Ok) {
        let recording = recordings.first().copied();
        if let Some(recording) = recording
            && steps.done(*ask, recording).await.is_err()
            && !steps.is_fenced()
        {
            // Whoever goes on does it again.
            steps.say_all("what was done could not be written down");
        }
        *answer = if steps.is_fenced() { Answer::Fenced } else { Answer::Ok };
    }
    for (_, answer) in answers.iter_mut().filter(|_| steps.is_fenced()) {
        *answer = Answer::Fenced;
    }
}

/// Targets that serve, where this is a reading.
fn living(input: &Input) -> Option<usize> {
    match input {
        Input::Read(_, Some(reading)) => Some(reading.serving.len() + reading.others),
        _ => None,
    }
}

/// An answer that is bad news.
fn failure(input: &Input) -> Option<(Ask, Answer)> {
    match input {
        Input::Answered(ask, answer) if matches!(answer, Answer::Failed | Answer::Lost) => Some((*ask, *answer)),
        _ => None,
    }
}
