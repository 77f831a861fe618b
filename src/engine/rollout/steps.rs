//! One function a step: what is done, and which answer it comes to.

use super::front::{Front, Seen};
use super::{Notes, tools, words};
use crate::actions::Problem;
use crate::engine::plays::PlayRun;
use crate::engine::{Run, locked};
use crate::event::{Event, Rollout as RolloutEvent};
use crate::playbook::{ProbeSpec, RolloutSpec};
use crate::rollout::{ATTEMPTS_MAX, Answer, Ask, Found, Reached, Reading, Step};
use crate::value::{Map, Value};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// No wait is silent for longer.
const VOICE: Duration = Duration::from_secs(4);
/// Consecutive reads of the balancer that say a target serves.
const SERVING_READS: u32 = 2;
const READ_EVERY: Duration = Duration::from_millis(250);
/// For the balancer to see a target that works; its health checks set the pace.
const SERVING_DEADLINE: Duration = Duration::from_secs(120);
const BAKE_EVERY: Duration = Duration::from_secs(1);
/// For the last look at the balancer.
const READ_DEADLINE: Duration = Duration::from_secs(5);
const LOG_LINES: i64 = 50;

/// Everything that the steps of one rollout share.
pub(super) struct Steps {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    spec: Arc<RolloutSpec>,
    front: Front,
    /// Names what this rollout parks.
    generation: i64,
    notes: Notes,
    /// The last bad news of each host, in its own words.
    said: Notes,
    /// When the balancer could be read last.
    read_at: Mutex<Option<Instant>>,
}

impl Steps {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, spec: &Arc<RolloutSpec>, front: Front) -> Steps {
        let generation =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| i64::try_from(time.as_secs()).unwrap_or(1));
        Steps {
            run: run.clone(),
            play: play.clone(),
            spec: spec.clone(),
            front,
            generation,
            notes: Notes::default(),
            said: Notes::default(),
            read_at: Mutex::default(),
        }
    }

    fn name(&self, host: usize) -> &str {
        &self.play.hosts[host]
    }

    fn say(&self, host: usize, line: impl Into<String>) {
        self.run.emitter.emit(&Event::Says { host: self.name(host).to_owned(), line: line.into() });
    }

    async fn module(&self, host: usize, name: &str, args: &[(&str, Value)]) -> Result<Map, Problem> {
        tools::module(&self.run, &self.play, self.name(host), name, args).await
    }

    pub(super) async fn answer(&self, ask: Ask) -> Answer {
        let done = match ask.step {
            Step::Lock | Step::Number | Step::Aside | Step::Revive => Ok(Answer::Ok),
            Step::Inspect => self.inspect(ask.host).await,
            Step::Check => self.check(ask.host).await,
            Step::Drain => self.front.drain(self.name(ask.host)).await.map(|()| Answer::Ok),
            Step::AwaitQuiet => self.await_quiet(ask.host).await,
            Step::Park => self.park(ask.host).await,
            Step::Verify => self.verify(ask).await,
            Step::Enable => self.front.enable(self.name(ask.host)).await.map(|()| Answer::Ok),
            Step::AwaitHealthy => self.await_healthy(ask.host).await,
            Step::Unpark => self.unpark(ask.host).await,
            Step::Retire => self.on_container(ask.host, "_retire").await.map(|_| Answer::Ok),
            // These are tasks of the play, or watched for a batch together.
            Step::Prepare | Step::Switch | Step::Confirm | Step::Bake => Ok(Answer::Ok),
        };
        match done {
            Ok(answer) => answer,
            Err(problem) => {
                locked(&self.said).insert(ask.host, problem.failure.msg.clone());
                if !problem.is_unreachable {
                    self.fail(ask, &problem).await;
                    return Answer::Failed;
                }
                if ask.attempt + 1 < ATTEMPTS_MAX {
                    self.say(ask.host, format!("no answer, asked again: {}", problem.failure.msg));
                } else {
                    self.fail(ask, &problem).await;
                }
                Answer::Lost
            }
        }
    }

    async fn on_container(&self, host: usize, module: &str) -> Result<Map, Problem> {
        let grace = i64::try_from(self.spec.stop_grace.as_secs()).unwrap_or(i64::MAX);
        let args =
            [("container", self.spec.app.as_str().into()), ("generation", self.generation.into()), ("grace", grace.into())];
        self.module(host, module, &args).await
    }

    /// Where Docker is not installed yet, the app never ran.
    async fn inspect(&self, host: usize) -> Result<Answer, Problem> {
        match self.module(host, "_app_inspect", &[("container", self.spec.app.as_str().into())]).await {
            Ok(values) if removes_itself(&values) => {
                let msg = words::removes_itself(self.name(host), &self.spec.app);
                Err(Problem::new(msg))
            }
            Ok(values) => Ok(found(is_running(&values))),
            Err(problem) if problem.is_unreachable => Err(problem),
            Err(_) => Ok(found(false)),
        }
    }

    async fn check(&self, host: usize) -> Result<Answer, Problem> {
        let Some(ready) = &self.spec.ready else { return Ok(Answer::Ok) };
        let inspected = self.module(host, "_app_inspect", &[("container", self.spec.app.as_str().into())]).await?;
        if !is_running(&inspected) {
            return Ok(Answer::Ok);
        }
        let probe = self.probe(host, ready).await?;
        match probe.status {
            200..=299 => Ok(Answer::Ok),
            503 => {
                self.say(host, format!("not ready to be deployed to: {}", probe.shown()));
                Ok(Answer::Busy)
            }
            _ => Err(Problem::new(format!("`{}` refused: GET {} -> {}", self.name(host), ready.url, probe.shown()))),
        }
    }

    /// First the balancer's word that no session is left, then the host's own proof.
    async fn await_quiet(&self, host: usize) -> Result<Answer, Problem> {
        let started = Instant::now();
        let mut spoke = Instant::now();
        while let Some(sessions) = self.front.sessions(self.name(host)).await?.filter(|sessions| *sessions > 0) {
            if started.elapsed() >= self.spec.drain_max {
                return Err(Problem::new(words::not_drained(self.name(host), sessions, started.elapsed())));
            }
            if spoke.elapsed() >= VOICE {
                self.say(host, format!("draining: {sessions} requests in flight, {} s", started.elapsed().as_secs()));
                spoke = Instant::now();
            }
            tokio::time::sleep(READ_EVERY).await;
        }
        self.front.close_idle(self.name(host)).await?;
        let left = self.spec.drain_max.saturating_sub(started.elapsed()).max(self.spec.quiet);
        let args = [
            ("container", self.spec.app.as_str().into()),
            ("port", i64::from(self.spec.balancer.port).into()),
            ("quiet", self.spec.quiet.as_secs_f64().into()),
            ("cap", left.as_secs_f64().into()),
        ];
        let values = self.module(host, "_quiet", &args).await?;
        if values.get("quiet").and_then(Value::to_bool) == Some(true) {
            return Ok(Answer::Ok);
        }
        let open = values.get("open").and_then(Value::to_int).unwrap_or(0);
        self.note(host, words::not_quiet(self.name(host), open, started.elapsed()));
        Ok(Answer::Capped)
    }

    async fn park(&self, host: usize) -> Result<Answer, Problem> {
        let values = self.on_container(host, "_park").await?;
        let is_parked = values.get("parked").is_some_and(|parked| !parked.is_null());
        Ok(if is_parked { Answer::Ok } else { Answer::Empty })
    }

    async fn unpark(&self, host: usize) -> Result<Answer, Problem> {
        self.on_container(host, "_unpark").await.map(|_| Answer::Ok)
    }

    /// As many successes in a row as asked for, before the deadline.
    async fn verify(&self, ask: Ask) -> Result<Answer, Problem> {
        let Some(healthy) = &self.spec.healthy else { return Ok(Answer::Ok) };
        let host = ask.host;
        let started = Instant::now();
        let (mut passes, mut tries, mut spoke) = (0, 0, Instant::now());
        loop {
            let probe = self.probe(host, healthy).await?;
            tries += 1;
            passes = if (200..=299).contains(&probe.status) { passes + 1 } else { 0 };
            if passes >= healthy.passes {
                return Ok(Answer::Ok);
            }
            if started.elapsed() >= healthy.deadline {
                let msg = words::not_healthy(self.name(host), healthy, tries, &probe.shown());
                return Err(Problem::new(msg));
            }
            if spoke.elapsed() >= VOICE {
                self.say(host, format!("waiting for health: try {tries}, {} s: {}", started.elapsed().as_secs(), probe.shown()));
                spoke = Instant::now();
            }
            tokio::time::sleep(healthy.interval).await;
        }
    }

    async fn await_healthy(&self, host: usize) -> Result<Answer, Problem> {
        let started = Instant::now();
        let (mut seen, mut spoke) = (0, Instant::now());
        loop {
            let state = self.front.state(self.name(host)).await?;
            seen = if state.is_steady { seen + 1 } else { 0 };
            if seen >= SERVING_READS {
                return Ok(Answer::Ok);
            }
            if started.elapsed() >= SERVING_DEADLINE {
                return Err(Problem::new(words::not_serving(self.name(host), &state.shown, started.elapsed())));
            }
            if spoke.elapsed() >= VOICE {
                self.say(host, format!("waiting for the balancer: {} ({} s)", state.shown, started.elapsed().as_secs()));
                spoke = Instant::now();
            }
            tokio::time::sleep(READ_EVERY).await;
        }
    }

    /// Watches the batch: its health, its containers, the balancer.
    pub(super) async fn bake(&self, asks: &[Ask]) -> Vec<(Ask, Answer)> {
        let started = Instant::now();
        let mut answers: Vec<(Ask, Answer)> = Vec::new();
        let mut spoke = Instant::now();
        while started.elapsed() < self.spec.bake && answers.len() < asks.len() {
            for ask in asks {
                if answers.iter().any(|(other, _)| other == ask) {
                    continue;
                }
                if let Err(problem) = self.look_well(ask.host).await {
                    self.fail(*ask, &problem).await;
                    answers.push((*ask, Answer::Failed));
                }
            }
            if spoke.elapsed() >= VOICE
                && let Some(ask) = asks.first()
            {
                self.say(ask.host, format!("baking: {} of {} s", started.elapsed().as_secs(), self.spec.bake.as_secs()));
                spoke = Instant::now();
            }
            tokio::time::sleep(BAKE_EVERY).await;
        }
        for ask in asks {
            if !answers.iter().any(|(other, _)| other == ask) {
                answers.push((*ask, Answer::Ok));
            }
        }
        answers
    }

    async fn look_well(&self, host: usize) -> Result<(), Problem> {
        if let Some(healthy) = &self.spec.healthy {
            let probe = self.probe(host, healthy).await?;
            if !(200..=299).contains(&probe.status) {
                return Err(Problem::new(format!(
                    "`{}` stopped being healthy while it was watched: {}",
                    self.name(host),
                    probe.shown()
                )));
            }
        }
        let inspected = self.module(host, "_app_inspect", &[("container", self.spec.app.as_str().into())]).await?;
        let restarts = inspected.get("current").and_then(|current| current.get("restarts")).and_then(Value::to_int).unwrap_or(0);
        if restarts > 0 {
            return Err(Problem::new(format!(
                "the container on `{}` was restarted {restarts} times while it was watched",
                self.name(host)
            )));
        }
        Ok(())
    }

    async fn probe(&self, host: usize, probe: &ProbeSpec) -> Result<Probed, Problem> {
        let values = self.module(host, "_probe", &[("url", probe.url.as_str().into())]).await?;
        let text = |name: &str| values.get(name).map(Value::to_text).unwrap_or_default().to_string();
        let status = values.get("status").and_then(Value::to_int).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        Ok(Probed { status, body: text("body"), error: text("reason") })
    }

    /// What was said last of a host's failure.
    pub(super) fn said(&self, host: usize) -> String {
        locked(&self.said).get(&host).cloned().unwrap_or_default()
    }

    /// Targets that serve and all of them, read now; or how old the last reading is.
    pub(super) async fn count_healthy(&self, floor: usize) -> Result<(usize, usize), Duration> {
        let read = tokio::time::timeout(READ_DEADLINE, self.front.targets()).await;
        let Ok(Ok(targets)) = read else {
            return Err(locked(&self.read_at).map_or(Duration::ZERO, |read_at| read_at.elapsed()));
        };
        let live = targets.iter().filter(|target| target.is_steady).count();
        let all = targets.len();
        self.show_health(live, floor, targets);
        Ok((live, all))
    }

    fn show_health(&self, healthy: usize, floor: usize, targets: Vec<Seen>) {
        *locked(&self.read_at) = Some(Instant::now());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let targets = targets.into_iter().map(|target| (target.host, target.shown)).collect();
        let health = RolloutEvent::Health { healthy: number(healthy), floor: number(floor), targets };
        self.run.emitter.emit(&Event::Rollout(health));
    }

    /// `None` where the balancer cannot be read now.
    pub(super) async fn read_balancer(&self, floor: usize) -> Option<Reading> {
        let began = Instant::now();
        let targets = match self.front.targets().await {
            Ok(targets) if began.elapsed() < Duration::from_secs(2) => targets,
            Ok(_) => return None,
            Err(problem) => {
                self.run.emitter.emit(&Event::Says { host: "balancer".into(), line: problem.failure.msg });
                return None;
            }
        };
        let position = |name: &str| self.play.hosts.iter().position(|host| host == name);
        let serving = targets.iter().filter(|target| target.is_serving);
        let reading = Reading {
            wavering: BTreeSet::new(),
            by_old: BTreeSet::new(),
            by_new: BTreeSet::new(),
            serving: serving.clone().filter_map(|target| position(&target.host)).collect(),
            others: serving.filter(|target| position(&target.host).is_none()).count(),
        };
        self.show_health(reading.serving.len() + reading.others, floor, targets);
        Some(reading)
    }

    fn note(&self, host: usize, text: String) {
        locked(&self.notes).insert(host, text);
    }

    /// A failed task has been shown already; what is true now, and the container's last words, have not.
    pub(super) async fn explain_tasks(&self, ask: Ask) {
        if ask.step != Step::Prepare {
            locked(&self.said).insert(ask.host, "a task of the play failed".to_owned());
            self.fail(ask, &Problem::new(format!("a task failed on `{}`", self.name(ask.host)))).await;
        }
    }

    /// Tells people, with the last probe's answer and the container's last lines.
    async fn fail(&self, ask: Ask, problem: &Problem) {
        let wants_logs = matches!(ask.step, Step::Switch | Step::Verify | Step::AwaitHealthy | Step::Confirm | Step::Bake)
            && !problem.is_unreachable;
        let logs = if wants_logs { self.logs(ask.host).await } else { Vec::new() };
        let mut diagnostic = words::failed(ask.step, self.name(ask.host), problem);
        if let Some(note) = locked(&self.notes).get(&ask.host) {
            diagnostic = diagnostic.note(note.clone());
        }
        let phase = words::step(ask.step).to_owned();
        self.run.emitter.emit(&Event::Rollout(RolloutEvent::HostFailed {
            host: self.name(ask.host).to_owned(),
            phase,
            diagnostic,
            logs,
        }));
    }

    async fn logs(&self, host: usize) -> Vec<String> {
        let args = [("container", self.spec.app.as_str().into()), ("lines", LOG_LINES.into())];
        let Ok(values) = self.module(host, "_logs", &args).await else { return Vec::new() };
        values.get("lines").and_then(Value::as_list).unwrap_or_default().iter().map(|line| line.to_text().to_string()).collect()
    }
}

fn found(has_old: bool) -> Answer {
    Answer::Found(Found { reached: Reached::Nothing, has_old, served: false })
}

fn is_running(values: &Map) -> bool {
    values.get("current").and_then(|current| current.get("is_running")).and_then(Value::to_bool).unwrap_or(false)
}

/// Stopping such a container would remove it: nothing to go back to would be left.
fn removes_itself(values: &Map) -> bool {
    values.get("current").and_then(|current| current.get("auto_remove")).and_then(Value::to_bool).unwrap_or(false)
}

/// What a URL answered.
struct Probed {
    status: u16,
    body: String,
    error: String,
}

impl Probed {
    fn shown(&self) -> String {
        if self.status == 0 { self.error.clone() } else { format!("{} {:?}", self.status, self.body.trim()) }
    }
}
