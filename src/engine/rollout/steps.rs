//! One function a step: what is done, and which answer it comes to.

use super::fitness::{self, Fitness};
use super::front::{self, Front};
use super::hold::{self, Denied, Hold};
use super::seen::Seen;
use super::settings::Settings;
use super::written::{self, Misplaced, Written};
use super::{tools, words};
use crate::actions::Problem;
use crate::engine::plays::PlayRun;
use crate::engine::{Direction, Run, locked};
use crate::event::{Event, Rollout as RolloutEvent};
use crate::playbook::{CompareSpec, ProbeSpec, RolloutSpec};
use crate::rollout::{ATTEMPTS_MAX, Answer, Ask, Asked, Reached, Reading, Recording, Step, is_worse};
use crate::value::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
/// For the rollout that has the lock to finish its host, beyond what it may wait for.
const YIELD_DEADLINE: Duration = Duration::from_secs(600);
/// One that has died keeps its lock until its hosts have noticed: at most a second.
const DEAD_NOTICED: Duration = Duration::from_millis(1500);
const LOG_LINES: i64 = 50;

/// Everything that the steps of one rollout share.
pub(super) struct Steps {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    /// What counts for all hosts; the settings of one are in `settings`.
    spec: Arc<RolloutSpec>,
    settings: Arc<Settings>,
    front: Front,
    hold: Arc<Hold>,
    /// A host has refused this rollout for good.
    is_fenced: AtomicBool,
    /// What ran before is still there, somewhere.
    has_parked: AtomicBool,
    /// Why a host could not be locked: said at the end, when all were heard.
    denied: Mutex<Vec<Denied>>,
    /// What is written down on each host.
    written: Mutex<BTreeMap<usize, Written>>,
    /// Who served when the balancer was read last.
    serving: Mutex<BTreeSet<usize>>,
    /// The last bad news of each host, in its own words.
    said: Mutex<BTreeMap<usize, String>>,
    /// When the balancer could be read last.
    read_at: Mutex<Option<Instant>>,
    /// What it said when it could not.
    unread: Mutex<String>,
    /// The pools of the last reading, with their floors.
    pools: Mutex<Vec<(String, usize)>>,
    pub(super) fitness: Fitness,
}

impl Steps {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, settings: &Arc<Settings>, front: Front, hold: &Arc<Hold>) -> Steps {
        Steps {
            run: run.clone(),
            play: play.clone(),
            spec: settings.common().clone(),
            settings: settings.clone(),
            front,
            hold: hold.clone(),
            is_fenced: AtomicBool::new(false),
            has_parked: AtomicBool::new(false),
            denied: Mutex::default(),
            written: Mutex::default(),
            serving: Mutex::default(),
            said: Mutex::default(),
            read_at: Mutex::default(),
            unread: Mutex::default(),
            pools: Mutex::default(),
            fitness: Fitness::default(),
        }
    }

    fn name(&self, host: usize) -> &str {
        &self.play.hosts[host]
    }

    pub(super) fn say(&self, host: usize, line: impl Into<String>) {
        self.run.emitter.emit(&Event::Says { host: self.name(host).to_owned(), line: line.into() });
    }

    async fn module(&self, host: usize, name: &str, args: &[(&str, Value)]) -> Result<Map, Problem> {
        let answer = tools::module(&self.run, &self.play, self.name(host), name, args).await;
        let Err(problem) = answer else { return answer };
        if hold::says(&problem, "unlocked") && self.renew(host).await {
            return tools::module(&self.run, &self.play, self.name(host), name, args).await;
        }
        if hold::says(&problem, "fenced") {
            self.is_fenced.store(true, Ordering::SeqCst);
        }
        Err(problem)
    }

    /// The connection was lost, and the lock with it.
    async fn renew(&self, host: usize) -> bool {
        match self.hold.renew(self.name(host)).await {
            Ok(()) => true,
            Err(Denied::Locked { .. } | Denied::Fenced { .. }) => {
                self.is_fenced.store(true, Ordering::SeqCst);
                false
            }
            Err(Denied::Dead { .. } | Denied::Failed { .. }) => false,
        }
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::SeqCst)
    }

    pub(super) fn has_parked(&self) -> bool {
        self.has_parked.load(Ordering::SeqCst)
    }

    pub(super) fn say_all(&self, line: &str) {
        self.run.emitter.emit(&Event::Told { line: format!("rollout: {line}") });
    }

    /// As the reason for which each host waits.
    pub(super) fn say_each(&self, line: &str) {
        (0..self.play.hosts.len()).for_each(|host| self.say(host, line));
    }

    pub(super) fn arguments(&self) -> &str {
        &self.run.options.rolling.arguments
    }

    pub(super) fn generation(&self) -> i64 {
        self.hold.generation()
    }

    /// All that could not be locked; the dead are one denial.
    pub(super) fn denied(&self) -> Option<Denied> {
        let mut all = std::mem::take(&mut *locked(&self.denied));
        let mut dead = Vec::new();
        all.retain_mut(|denied| match denied {
            Denied::Dead { hosts } => {
                dead.append(hosts);
                false
            }
            Denied::Locked { .. } | Denied::Fenced { .. } | Denied::Failed { .. } => true,
        });
        dead.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.into_iter().next().or_else(|| (!dead.is_empty()).then_some(Denied::Dead { hosts: dead }))
    }

    fn written(&self, host: usize) -> Option<Written> {
        locked(&self.written).get(&host).cloned()
    }

    /// The port of the container that a step is about; on a host with one port, it is never asked for.
    fn port(&self, ask: Ask) -> Option<u16> {
        let ports = self.written(ask.host)?.ports?;
        let is_entering = matches!(ask.step, Step::Enable | Step::AwaitHealthy | Step::Confirm | Step::Bake | Step::Verify);
        let is_old = is_entering == ask.is_back;
        Some(ports.old.filter(|_| is_old).unwrap_or(ports.new))
    }

    /// What the balancer calls it.
    fn target(&self, ask: Ask) -> String {
        self.front.target_on(self.name(ask.host), self.port(ask))
    }

    /// Where the app is now, before its turn or after it.
    fn port_now(&self, host: usize) -> Option<u16> {
        let written = self.written(host)?;
        let ports = written.ports?;
        Some(ports.old.filter(|_| written.reached == Reached::Nothing).unwrap_or(ports.new))
    }

    /// Its old container stays until the new one serves beside it.
    fn has_both(&self, host: usize) -> bool {
        self.written(host).and_then(|written| written.ports).is_some_and(|ports| ports.old.is_some())
    }

    /// Nobody may find this host in another state than is written there: so it is written first.
    async fn record(&self, host: usize, said: &[(&str, Value)]) -> Result<(), Problem> {
        let name = self.name(host);
        match self.hold.record(name, said).await {
            Err(problem) if hold::says(&problem, "unlocked") && self.renew(host).await => self.hold.record(name, said).await,
            Err(problem) => {
                self.is_fenced.fetch_or(hold::says(&problem, "fenced"), Ordering::SeqCst);
                Err(problem)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Written down before it is done: whoever comes after a crash knows what may have happened.
    pub(super) async fn begin(&self, ask: Ask, recording: Recording) -> Result<(), Problem> {
        let (host, step) = (self.name(ask.host), words::step(ask.step));
        let mut said = vec![("phase", Value::from(step)), ("step", format!("{host} {step}").into())];
        if let Some(mut written) = self.written(ask.host) {
            let reached = recording.before(ask, written.reached);
            if written.reached == Reached::Nothing && reached != Reached::Nothing {
                written.served = locked(&self.serving).contains(&ask.host);
            }
            written.reached = reached;
            said.push(("rollout", written.value()));
            locked(&self.written).insert(ask.host, written);
        }
        self.record(ask.host, &said).await
    }

    /// Written down once it is done, where that saves whoever goes on from doing it again.
    pub(super) async fn done(&self, ask: Ask, recording: Recording) -> Result<(), Problem> {
        let Some(mut written) = self.written(ask.host) else { return Ok(()) };
        let reached = recording.after(ask, written.reached);
        if reached == written.reached {
            return Ok(());
        }
        written.reached = reached;
        let said = [("rollout", written.value())];
        locked(&self.written).insert(ask.host, written);
        self.record(ask.host, &said).await
    }

    /// How it ended, as far as this host is concerned. One that is gone keeps what was written down before.
    /// Answers whether the app runs there, as far as Docker says it.
    pub(super) async fn write_end(&self, host: usize, ending: &str, is_touched: bool) -> Runs {
        let Some(written) = self.written(host) else { return Runs::Unasked };
        let inspected = self.module(host, "_app_inspect", &[("container", self.spec.app.as_str().into())]).await;
        let has_docker = |values: &Map| values.get("docker").and_then(Value::as_bool) == Some(true);
        let runs = match &inspected {
            Err(_) if is_touched => Runs::Unknown,
            Err(_) => Runs::Unasked,
            Ok(values) if has_docker(values) && !is_running(values) => Runs::Nothing,
            Ok(_) => Runs::Something,
        };
        let inspected = inspected.ok().filter(has_docker);
        let current = inspected.and_then(|values| values.get("current").cloned()).unwrap_or_default();
        let mut rollout = written.value().as_map().cloned().unwrap_or_default();
        rollout.insert("ending".into(), ending.into());
        let mut said =
            vec![("step", Value::from("")), ("current", current), ("rollout", Value::map(rollout)), ("event", ending.into())];
        said.extend(written.phase(is_touched).map(|phase| ("phase", phase.into())));
        if let Some(why) = &self.run.options.rolling.hotfix {
            said.push(("note", format!("hotfix: {why}").into()));
        }
        if written.reached == Reached::Retired {
            said.push(("release", Value::from(&written.release)));
            said.push(("former", written.former));
        }
        // Nobody is left to be told.
        drop(self.record(host, &said).await);
        runs
    }

    /// A task that failed may have been refused: then nothing else matters any more.
    pub(super) async fn ask_hold(&self, ask: Ask) {
        drop(self.sure(ask.host).await);
    }

    /// What the balancer is told no host can refuse: it is only told while this rollout is certainly the newest.
    async fn sure(&self, host: usize) -> Result<(), Problem> {
        let args = self.hold.own();
        self.module(host, "_app_beat", &args).await.map(drop)
    }

    pub(super) async fn answer(&self, ask: Ask, recording: Recording) -> Answer {
        let done = match self.prelude(ask, recording).await {
            Ok(()) => self.carry_out(ask).await,
            Err(problem) => Err(problem),
        };
        let done = match done {
            Ok(Answer::Ok) => self.done(ask, recording).await.map(|()| Answer::Ok),
            done => done,
        };
        match done {
            _ if self.is_fenced() => Answer::Fenced,
            Ok(answer) => answer,
            Err(problem) => self.bad_news(ask, &problem).await,
        }
    }

    async fn prelude(&self, ask: Ask, recording: Recording) -> Result<(), Problem> {
        match ask.step {
            Step::Lock | Step::Number | Step::Inspect | Step::Prepare => Ok(()),
            Step::Check | Step::AwaitQuiet | Step::AwaitHealthy => Ok(()),
            _ => self.begin(ask, recording).await,
        }
    }

    async fn carry_out(&self, ask: Ask) -> Result<Answer, Problem> {
        match ask.step {
            Step::Lock => self.lock(ask).await,
            Step::Number => self.number(ask.host).await,
            Step::Inspect => self.inspect(ask.host).await,
            Step::Check => self.check(ask).await,
            Step::Drain => self.drain(ask).await,
            Step::AwaitQuiet => self.await_quiet(ask).await,
            Step::Park => self.park(ask.host).await,
            Step::Verify => self.verify(ask).await,
            Step::Enable => self.enable(ask).await,
            Step::AwaitHealthy => self.await_healthy(ask).await,
            Step::Unpark => self.unpark(ask.host).await,
            Step::Retire => self.on_container(ask.host, "_retire").await.map(|_| Answer::Ok),
            // These are tasks of the play, or watched for a batch together.
            Step::Prepare | Step::Switch | Step::Confirm | Step::Bake => Ok(Answer::Ok),
            Step::Aside => self.aside(ask).await,
            Step::Revive => self.on_container(ask.host, "_revive").await.map(|_| Answer::Ok),
        }
    }

    /// A hotfix waits for whoever has the lock to come to a safe point.
    async fn lock(&self, ask: Ask) -> Result<Answer, Problem> {
        let (begun, mut spoke) = (Instant::now(), None::<Instant>);
        let patience = self.spec.drain_max + self.spec.bake + YIELD_DEADLINE;
        loop {
            let denied = match self.hold.take(self.name(ask.host)).await {
                Ok(()) => return Ok(Answer::Ok),
                Err(denied) => denied,
            };
            let why = self.run.options.rolling.hotfix.as_ref();
            match why.filter(|_| matches!(denied, Denied::Locked { .. }) && begun.elapsed() < patience) {
                Some(why) => {
                    if spoke.is_none_or(|spoke| spoke.elapsed() >= VOICE) {
                        self.hold.ask_to_yield(self.name(ask.host), why).await?;
                        let line = "another rollout was asked to stop at its next safe point, for the hotfix";
                        self.say(ask.host, format!("{line}: {} s", begun.elapsed().as_secs()));
                        spoke = Some(Instant::now());
                    }
                    tokio::time::sleep(READ_EVERY).await;
                }
                None if matches!(denied, Denied::Locked { .. }) && begun.elapsed() < DEAD_NOTICED => {
                    tokio::time::sleep(READ_EVERY).await;
                }
                None => return self.deny(ask, denied),
            }
        }
    }

    async fn number(&self, host: usize) -> Result<Answer, Problem> {
        let ask = Ask { host, step: Step::Number, is_back: false, attempt: ATTEMPTS_MAX - 1, round: 0 };
        let before = match self.hold.number(self.name(host)).await {
            Ok(answer) => answer,
            Err(denied) => return self.deny(ask, denied),
        };
        // What an earlier rollout has finished is no part of this one: nobody may go back behind it.
        let rollout = before.get("before").and_then(|state| state.get("rollout"));
        let is_finished =
            rollout.and_then(|rollout| rollout.get("reached")).is_some_and(|reached| *reached == Value::from("retired"));
        if is_finished && self.run.options.rolling.direction == Direction::Forward {
            self.record(host, &[("rollout", Written::anew(rollout, &self.spec.release))]).await?;
        }
        Ok(Answer::Ok)
    }

    /// Said at the end, once for all hosts.
    fn deny(&self, ask: Ask, denied: Denied) -> Result<Answer, Problem> {
        let answer = match &denied {
            Denied::Locked { .. } => Answer::Held,
            Denied::Fenced { .. } => Answer::Fenced,
            Denied::Dead { hosts } if ask.attempt + 1 < ATTEMPTS_MAX => {
                let why = hosts.first().map(|(_, problem)| problem.failure.msg.clone()).unwrap_or_default();
                self.say(ask.host, format!("no answer, asked again: {why}"));
                return Ok(Answer::Lost);
            }
            Denied::Dead { hosts } => {
                let why = hosts.first().map(|(_, problem)| hold::why(problem)).unwrap_or_default();
                locked(&self.said).insert(ask.host, why);
                Answer::Lost
            }
            Denied::Failed { .. } => Answer::Failed,
        };
        locked(&self.denied).push(denied);
        Ok(answer)
    }

    async fn bad_news(&self, ask: Ask, problem: &Problem) -> Answer {
        locked(&self.said).insert(ask.host, problem.failure.msg.clone());
        if !problem.is_unreachable {
            self.fail(ask, problem).await;
            return Answer::Failed;
        }
        if ask.attempt + 1 < ATTEMPTS_MAX {
            self.say(ask.host, format!("no answer, asked again: {}", problem.failure.msg));
        } else {
            self.fail(ask, problem).await;
        }
        Answer::Lost
    }

    async fn enable(&self, ask: Ask) -> Result<Answer, Problem> {
        self.sure(ask.host).await?;
        self.front.enable(&self.target(ask)).await.map(|()| Answer::Ok)
    }

    /// Where the new container goes, nothing is sent before it works.
    async fn aside(&self, ask: Ask) -> Result<Answer, Problem> {
        self.sure(ask.host).await?;
        let new = self.written(ask.host).and_then(|written| written.ports).map(|ports| ports.new);
        self.front.keep_out(&self.front.target_on(self.name(ask.host), new)).await?;
        self.on_container(ask.host, "_aside").await.map(|_| Answer::Ok)
    }

    async fn drain(&self, ask: Ask) -> Result<Answer, Problem> {
        let host = ask.host;
        self.sure(host).await?;
        match self.front.drain(&self.target(ask)).await? {
            front::Asked::Done => Ok(Answer::Ok),
            front::Asked::NotNow(problem) => {
                self.say(host, format!("not taken out of the balancer: {}", problem.failure.msg));
                Ok(Answer::Busy)
            }
        }
    }

    async fn on_container(&self, host: usize, module: &str) -> Result<Map, Problem> {
        let grace = i64::try_from(self.settings.of(host).stop_grace.as_secs()).unwrap_or(i64::MAX);
        let args = [
            ("container", self.spec.app.as_str().into()),
            ("generation", self.parking(host, module).into()),
            ("grace", grace.into()),
        ];
        self.module(host, module, &args).await
    }

    /// What is parked keeps the number of the rollout that parked it; what is let go is everything up to this one.
    fn parking(&self, host: usize, module: &str) -> i64 {
        let own = self.generation();
        if module == "_retire" { own } else { self.written(host).map_or(own, |written| written.parking) }
    }

    /// How far did an unfinished rollout come? Where Docker is not installed yet, the app never ran.
    async fn inspect(&self, host: usize) -> Result<Answer, Problem> {
        let values = self.hold.state(self.name(host)).await?;
        if is_so_of_current(&values, "auto_remove") {
            return Err(Problem::new(words::removes_itself(self.name(host), &self.spec.app)));
        }
        let balancer = &self.settings.of(host).balancer;
        if is_so_of_current(&values, "host_network") && balancer.port == 0 && balancer.kind != "none" {
            return Err(Problem::new(words::has_no_port(self.name(host), &self.spec.app)));
        }
        let has_parked = values.get("parked").and_then(Value::as_list).is_some_and(|parked| !parked.is_empty());
        self.has_parked.fetch_or(has_parked, Ordering::SeqCst);
        let direction = self.run.options.rolling.direction;
        let before = Written::read(&values, &self.spec.release, self.generation());
        let is_unfinished = !matches!(before.reached, Reached::Nothing | Reached::Retired);
        if direction == Direction::Resume && is_unfinished && before.release != self.spec.release {
            return Err(Problem::new(words::other_release(self.name(host), &before.release, &self.spec.release)));
        }
        let is_begun = matches!(before.reached, Reached::Parked | Reached::Switched | Reached::Done);
        let has_two = self.spec.ports().is_some();
        if has_two && is_begun && direction == Direction::Forward && before.release != self.spec.release {
            return Err(Problem::new(words::unfinished_beside(self.name(host), &before.release, self.arguments())));
        }
        let mut written = before.taken_up(direction, &self.spec.release, self.generation());
        self.place(host, &mut written, &values).await?;
        let found = written.found(&values);
        if found.reached == Reached::Nothing {
            written.is_first = !found.has_old;
        }
        locked(&self.written).insert(host, written);
        Ok(Answer::Found(found))
    }

    /// On which port the new container goes; the play's tasks know it from then on.
    async fn place(&self, host: usize, written: &mut Written, values: &Map) -> Result<(), Problem> {
        let (name, balancer) = (self.name(host), &self.spec.balancer);
        let second = self.spec.ports().map(|(_, second)| second);
        // Where there is no balancer, a host may have a port of its own.
        let port = if second.is_some() { balancer.port } else { self.settings.of(host).balancer.port };
        written.place(values, port, second).map_err(|misplaced| {
            Problem::new(match misplaced {
                Misplaced::BegunOtherwise => words::begun_otherwise(name, second.is_some()),
                Misplaced::OnOtherPort(other) => words::on_other_port(name, &self.spec.app, other, port),
            })
        })?;
        let is_anew = written.reached == Reached::Nothing && self.run.options.rolling.direction != Direction::Rollback;
        if is_anew {
            self.refuse_taken_port(host, written.ports.map_or(port, |ports| ports.new), values)?;
        }
        let Some(ports) = written.ports else { return Ok(()) };
        if ports.old.is_some() && is_anew {
            self.front.is_free(name, ports.new).await?;
        }
        locked(&self.run.ports).insert(name.to_owned(), ports.new);
        Ok(())
    }

    /// What has the port of a container that is to be started could only be found out with the host out of the balancer.
    fn refuse_taken_port(&self, host: usize, port: u16, values: &Map) -> Result<(), Problem> {
        match written::taken(values, port) {
            None => Ok(()),
            Some(Value::Null) => {
                self.say(host, words::port_listened_on(&self.spec.app, port));
                Ok(())
            }
            Some(holder) => Err(Problem::new(words::port_taken(self.name(host), &self.spec.app, port, &holder.to_text()))),
        }
    }

    async fn check(&self, ask: Ask) -> Result<Answer, Problem> {
        let host = ask.host;
        let Some(ready) = &self.settings.on(host, self.port(ask)).ready else { return Ok(Answer::Ok) };
        let inspected = self.module(host, "_app_inspect", &[("container", self.spec.app.as_str().into())]).await?;
        if !is_running(&inspected) {
            return Ok(Answer::Ok);
        }
        let probe = self.probe(host, ready).await?;
        match probe.status {
            200..=299 => Ok(Answer::Ok),
            // No answer is none of the three; the next try may get one.
            0 | 503 => {
                self.say(host, format!("not ready to be deployed to: {}", probe.shown()));
                Ok(Answer::Busy)
            }
            _ => Err(Problem::new(format!("`{}` refused: GET {} -> {}", self.name(host), ready.url, probe.shown()))),
        }
    }

    /// First the balancer's word that no session is left, then the host's own proof.
    async fn await_quiet(&self, ask: Ask) -> Result<Answer, Problem> {
        let host = ask.host;
        let target = self.target(ask);
        let spec = self.settings.of(host);
        let port = self.port(ask).unwrap_or(spec.balancer.port);
        let aside = (self.has_both(host) && !ask.is_back).then(|| self.parking(host, "_quiet"));
        let started = Instant::now();
        let mut spoke = Instant::now();
        while let Some(sessions) = self.front.sessions(&target).await?.filter(|sessions| *sessions > 0) {
            if started.elapsed() >= spec.drain_max {
                return Err(Problem::new(words::not_drained(self.name(host), sessions, started.elapsed())));
            }
            if spoke.elapsed() >= VOICE {
                self.say(host, format!("draining: {sessions} requests in flight, {} s", started.elapsed().as_secs()));
                spoke = Instant::now();
            }
            tokio::time::sleep(READ_EVERY).await;
        }
        self.front.close_idle(&target).await?;
        let left = spec.drain_max.saturating_sub(started.elapsed()).max(spec.quiet);
        let args = [
            ("container", spec.app.as_str().into()),
            ("parked", aside.into()),
            ("port", i64::from(port).into()),
            ("quiet", spec.quiet.as_secs_f64().into()),
            ("cap", left.as_secs_f64().into()),
        ];
        let values = self.module(host, "_quiet", &args).await?;
        if values.get("quiet").and_then(Value::to_bool) == Some(true) {
            return Ok(Answer::Ok);
        }
        let seen = values.get("seen").map(Value::to_text).unwrap_or_default();
        Err(Problem::new(words::not_quiet(self.name(host), &seen, started.elapsed())))
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
        let host = ask.host;
        let Some(healthy) = &self.settings.on(host, self.port(ask)).healthy else { return Ok(Answer::Ok) };
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

    async fn await_healthy(&self, ask: Ask) -> Result<Answer, Problem> {
        let (host, target) = (ask.host, self.target(ask));
        let started = Instant::now();
        let deadline = SERVING_DEADLINE + self.front.ramp().await;
        let (mut seen, mut spoke) = (0, Instant::now());
        loop {
            let state = self.front.state(&target).await?;
            seen = if state.is_steady { seen + 1 } else { 0 };
            if seen >= SERVING_READS {
                return Ok(Answer::Ok);
            }
            if started.elapsed() >= deadline {
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
        let mut compared = Compared::default();
        let mut spoke = Instant::now();
        while started.elapsed() < self.spec.bake && answers.len() < asks.len() {
            for ask in asks {
                if answers.iter().any(|(other, _)| other == ask) {
                    continue;
                }
                let looked = match self.look_well(*ask, asks).await {
                    Ok(()) => self.compare(ask.host, asks, &mut compared).await,
                    failed => failed,
                };
                if let Err(problem) = looked {
                    self.fail(*ask, &problem).await;
                    answers.push((*ask, if self.is_fenced() { Answer::Fenced } else { Answer::Failed }));
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

    async fn look_well(&self, ask: Ask, batch: &[Ask]) -> Result<(), Problem> {
        let host = ask.host;
        if let Some(healthy) = &self.settings.on(host, self.port(ask)).healthy {
            let probe = self.probe(host, healthy).await?;
            if !probe.is_fine() && !self.others_fail_too(host, batch).await {
                let msg = words::unhealthy_again(self.name(host), &probe.shown());
                return Err(Problem::new(msg));
            }
        }
        let inspected = self.module(host, "_app_inspect", &[("container", self.spec.app.as_str().into())]).await?;
        let restarts = inspected.get("current").and_then(|current| current.get("restarts")).and_then(Value::to_int).unwrap_or(0);
        if restarts > 0 {
            return Err(Problem::new(words::restarted(self.name(host), restarts)));
        }
        if !is_running(&inspected) {
            return Err(Problem::new(words::not_running(self.name(host))));
        }
        Ok(())
    }

    /// A host that serves with the old release.
    fn old_one(&self, batch: &[Ask]) -> Option<usize> {
        let is_old = |other: &usize| {
            let is_begun = self.written(*other).is_none_or(|written| written.reached != Reached::Nothing);
            !is_begun && batch.iter().all(|ask| ask.host != *other) && locked(&self.serving).contains(other)
        };
        (0..self.play.hosts.len()).find(is_old)
    }

    /// Asks new and old the same, now, and judges by all that was asked so far.
    async fn compare(&self, host: usize, batch: &[Ask], compared: &mut Compared) -> Result<(), Problem> {
        let Some(compare) = &self.settings.on(host, self.port_now(host)).compare else { return Ok(()) };
        let old = self.old_one(batch);
        let (new, of_old) = tokio::join!(self.ask_often(host, compare), async {
            let (old, compare) = old.and_then(|old| Some((old, self.settings.on(old, self.port_now(old)).compare.as_ref()?)))?;
            // What cannot be asked is no measure.
            self.ask_often(old, compare).await.ok()
        });
        let (new, shown) = new?;
        let both = compared.entry(host).or_default();
        both.0 = both.0.and(new);
        both.1 = of_old.map(|(asked, _)| both.1.unwrap_or_default().and(asked)).or(both.1);
        if is_worse(both.0, both.1, compare.tolerance) {
            let msg = words::worse(self.name(host), &compare.url, both.0, both.1, &shown);
            return Err(Problem::new(msg));
        }
        Ok(())
    }

    async fn ask_often(&self, host: usize, compare: &CompareSpec) -> Result<(Asked, String), Problem> {
        let args = [("url", compare.url.as_str().into()), ("times", i64::from(compare.per_second).into())];
        let values = self.module(host, "_probe", &args).await?;
        let count =
            |name: &str| values.get(name).and_then(Value::to_int).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        Ok((Asked { all: count("asked"), failed: count("failed") }, probed(&values).shown()))
    }

    /// What ails a host that still runs the old release at the same moment is no fault of the new one.
    async fn others_fail_too(&self, host: usize, batch: &[Ask]) -> bool {
        let Some(other) = self.old_one(batch) else { return false };
        let Some(healthy) = &self.settings.on(other, self.port_now(other)).healthy else { return false };
        let fails = self.probe(other, healthy).await.is_ok_and(|probe| !probe.is_fine());
        if fails {
            self.say(host, format!("not healthy, but neither is `{}` with the old release: it is watched on", self.name(other)));
        }
        fails
    }

    async fn probe(&self, host: usize, probe: &ProbeSpec) -> Result<Probed, Problem> {
        let values = self.module(host, "_probe", &[("url", probe.url.as_str().into())]).await?;
        Ok(probed(&values))
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

    fn say_unread(&self, why: String) {
        self.say_each(&why);
        *locked(&self.unread) = why;
    }

    /// Why the balancer could not be read, in its last words.
    pub(super) fn unread(&self) -> String {
        match locked(&self.unread).as_str() {
            "" => "the balancer cannot be read".to_owned(),
            why => format!("the balancer cannot be read: {why}"),
        }
    }

    /// `None` where the balancer cannot be read now.
    pub(super) async fn read_balancer(&self, floor: usize) -> Option<Reading> {
        let began = Instant::now();
        let targets = match self.front.targets().await {
            Ok(targets) if began.elapsed() < Duration::from_secs(2) => targets,
            Ok(_) => return None,
            Err(problem) => {
                self.say_unread(problem.failure.msg);
                return None;
            }
        };
        let position = |name: &str| self.play.hosts.iter().position(|host| host == name);
        let serving = targets.iter().filter(|target| target.is_steady);
        let wavering = targets.iter().filter(|target| target.is_serving && !target.is_steady);
        let pools = fitness::pools(&targets, position);
        let on = |is_old: bool| {
            let serves = |target: &Seen| {
                let host = position(&target.host)?;
                let ports = self.written(host)?.ports?;
                let port = if is_old { ports.old? } else { ports.new };
                target.ports.contains(&port).then_some(host)
            };
            targets.iter().filter_map(serves).collect::<BTreeSet<usize>>()
        };
        *locked(&self.pools) = pools.iter().map(|(name, pool)| (name.clone(), pool.floor)).collect();
        let reading = Reading {
            pools: pools.into_iter().map(|(_, pool)| pool).collect(),
            wavering: wavering.filter_map(|target| position(&target.host)).collect(),
            serving: serving.clone().filter_map(|target| position(&target.host)).collect(),
            others: serving.filter(|target| position(&target.host).is_none()).count(),
            by_old: on(true),
            by_new: on(false),
            is_unfit: false,
        };
        *locked(&self.serving) = reading.serving.union(&reading.wavering).copied().collect();
        self.show_health(reading.serving.len() + reading.others, floor, targets);
        Some(reading)
    }

    /// Name and floor of a pool of the last reading.
    pub(super) fn pool(&self, place: usize) -> Option<(String, usize)> {
        locked(&self.pools).get(place).cloned()
    }

    pub(super) async fn is_unfit(&self) -> bool {
        self.fitness.learn(&self.run, &self.front, &self.play, &self.spec).await
    }

    pub(super) fn unfit(&self) -> Option<String> {
        self.fitness.why()
    }

    /// A failed task has been shown already; what is true now, and the container's last words, have not.
    pub(super) async fn explain_tasks(&self, ask: Ask) {
        locked(&self.said).insert(ask.host, "a task of the play failed".to_owned());
        if ask.step != Step::Prepare {
            self.fail(ask, &Problem::new(format!("a task failed on `{}`", self.name(ask.host)))).await;
        }
    }

    /// Tells people, with the last probe's answer and the container's last lines.
    async fn fail(&self, ask: Ask, problem: &Problem) {
        let wants_logs = matches!(ask.step, Step::Switch | Step::Verify | Step::AwaitHealthy | Step::Confirm | Step::Bake)
            && !problem.is_unreachable;
        let logs = if wants_logs { self.logs(ask.host).await } else { Vec::new() };
        let diagnostic = words::failed(ask, self.has_both(ask.host), self.name(ask.host), problem);
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

/// What a host says of the app when a rollout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// Nothing was done there.
    Unasked,
    Something,
    Nothing,
    /// Something was, and it gives no answer.
    Unknown,
}

pub(super) fn is_running(values: &Map) -> bool {
    values.get("current").and_then(|current| current.get("is_running")).and_then(Value::to_bool).unwrap_or(false)
}

fn is_so_of_current(values: &Map, name: &str) -> bool {
    values.get("current").and_then(|current| current.get(name)).and_then(Value::to_bool).unwrap_or(false)
}

/// What came of comparing each host of a batch with an old one.
type Compared = BTreeMap<usize, (Asked, Option<Asked>)>;

fn probed(values: &Map) -> Probed {
    let text = |name: &str| values.get(name).map(Value::to_text).unwrap_or_default().to_string();
    let status = values.get("status").and_then(Value::to_int).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
    Probed { status, body: text("body"), error: text("reason") }
}

/// What a URL answered.
struct Probed {
    status: u16,
    body: String,
    error: String,
}

impl Probed {
    fn is_fine(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    fn shown(&self) -> String {
        if self.status == 0 { self.error.clone() } else { format!("{} {:?}", self.status, self.body.trim()) }
    }
}
