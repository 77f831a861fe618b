//! What crashes and faults are tried with: the program under trial as a child whose output is followed, and what is true of the hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::clients::Clients;
use super::failure::LabError;
use super::http;
use super::machines::{Lab, Machine};
use super::outputs::BACKEND;
use super::rehearsal::Plan;
use super::state;
use super::voice::Voice;
use super::watch::wait_for_live;

/// How long one run may take.
pub(super) const RUN_MAX: Duration = Duration::from_secs(420);
/// How long clients ask at most, where nobody says otherwise.
const TRIAL_MAX: Duration = Duration::from_secs(1800);
/// How long the balancer may take to see that all is well.
const JOIN_MAX: Duration = Duration::from_secs(15);
/// How often a line is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The end of a run's output that is worth showing.
const TAIL_LINES: usize = 25;

/// Where trials are made.
pub(super) struct Ground<'a> {
    pub(super) lab: &'a Lab,
    pub(super) plan: &'a Plan,
    pub(super) voice: &'a Voice,
    front: String,
    stats: String,
    program: PathBuf,
    playbook: PathBuf,
}

/// One call of the program under trial.
#[derive(Debug, Clone, Default)]
pub(super) struct Call<'a> {
    /// `resume`, `rollback` …; a run where it is empty.
    pub(super) verb: &'a str,
    pub(super) release: &'a str,
    pub(super) variables: &'a [String],
    pub(super) environment: Vec<(&'a str, String)>,
    /// With another directory and another home than the others, as on another machine.
    pub(super) is_elsewhere: bool,
}

impl<'a> Ground<'a> {
    pub(super) fn new(lab: &'a Lab, plan: &'a Plan, voice: &'a Voice) -> Result<Self, LabError> {
        let (Some(front), Some(stats)) = (lab.front_address(), lab.stats_address()) else {
            return Err(LabError::NoLab { id: lab.id.clone() });
        };
        let whole = |path: &Path| std::fs::canonicalize(path).map_err(LabError::file(path));
        let (program, playbook) = (whole(&plan.program)?, whole(&plan.playbook)?);
        Ok(Self { lab, plan, voice, front, stats, program, playbook })
    }

    pub(super) fn hosts(&self) -> Vec<&Machine> {
        self.lab.hosts().collect()
    }

    /// What a script prints on a machine, as root.
    pub(super) async fn on(&self, machine: &str, script: &str) -> Result<String, LabError> {
        self.lab.engine().script(&format!("roll-{}-{machine}", self.lab.id), script).await
    }

    pub(super) fn start(&self, call: &Call<'_>) -> Result<Going, LabError> {
        let failed = |source| LabError::Start { program: self.program.display().to_string(), source };
        let set = self.plan.variables.iter().chain(call.variables).flat_map(|variable| ["-e", variable.as_str()]);
        let mut command = Command::new(&self.program);
        if !call.verb.is_empty() {
            command.arg(call.verb);
        }
        command
            .args(self.lab.arguments())
            .args(["-e", &format!("release={}", call.release)])
            .args(set)
            .args(&self.plan.arguments)
            .arg(&self.playbook)
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .envs(self.lab.environment())
            .envs(call.environment.iter().map(|(name, value)| (*name, value.as_str())));
        if call.is_elsewhere {
            let directory = self.lab.dir().join("elsewhere");
            state::make_private(&directory)?;
            command.current_dir(&directory).env("HOME", &directory);
        }
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let said = Said::default();
        let mut jobs = JoinSet::new();
        jobs.spawn(said.clone().follow(child.stdout.take()));
        jobs.spawn(said.clone().follow(child.stderr.take()));
        Ok(Going { child, said, jobs, began: Instant::now() })
    }

    pub(super) async fn run(&self, call: &Call<'_>, limit: Duration) -> Result<Ended, LabError> {
        self.start(call)?.end(limit).await
    }

    /// Puts releases in place one after the other, so that their images are there; the one that serves then.
    pub(super) async fn deploy_all(&self, releases: &[&'static str; 2]) -> Result<&'static str, LabError> {
        for release in releases {
            self.voice.step(format!("deploying `{release}`"));
            let ended = self.voice.during("the rollout", self.run(&Call { release, ..Call::default() }, RUN_MAX)).await?;
            if ended.exit != Some(0) {
                self.voice.step(format!("it ended with {}:\n{}", ended.shown(), ended.tail()));
                return Err(LabError::FirstDeploy { exit: ended.exit });
            }
        }
        self.all_serve().await?;
        Ok(releases[1])
    }

    /// After something went wrong all hosts get one release again, so that other trials can be made; false where that is not to be had.
    pub(super) async fn repaired(&self, releases: &[&'static str; 2], serving: &mut &'static str) -> Result<bool, LabError> {
        for release in releases {
            let ended = self.run(&Call { release, ..Call::default() }, RUN_MAX).await?;
            *serving = release;
            let left = self.truth().await.complaints();
            if ended.exit == Some(0) && left.is_empty() {
                return Ok(true);
            }
            self.voice.step(format!("what is left cannot be mended: {}\n{}", left.join("; "), ended.tail()));
        }
        Ok(false)
    }

    /// Clients, until they are asked what they saw.
    pub(super) async fn clients(&self) -> Clients {
        self.clients_for(TRIAL_MAX).await
    }

    /// Clients that go away by themselves after that time.
    pub(super) async fn clients_for(&self, duration_max: Duration) -> Clients {
        Clients::start(&self.front, &self.stats, self.plan, duration_max).await
    }

    /// Waits until every host serves.
    pub(super) async fn all_serve(&self) -> Result<(), LabError> {
        wait_for_live(&self.stats, BACKEND, self.hosts().len(), JOIN_MAX).await
    }

    pub(super) async fn truth(&self) -> Truth {
        let mut looks = JoinSet::new();
        for machine in self.hosts() {
            let (engine, machine) = (self.lab.engine().clone(), machine.clone());
            let ports = self.lab.ports();
            looks.spawn(async move { (machine.name.clone(), look(&engine, &machine, &ports).await) });
        }
        let mut truth = Truth { hosts: looks.join_all().await.into_iter().collect(), out: None };
        truth.out = self.all_serve().await.err().map(|error| error.to_string());
        truth
    }
}

const IMAGE: &str = "image ";
const SCRIPT: &str = "docker ps -a --format '{{.Names}} {{.State}}'\n\
     docker ps -q | xargs -r docker inspect --format 'image {{.Id}} {{.Image}}'\n\
     docker images --format '{{.Repository}}' | grep ^roll-parked || true\n";

async fn look(engine: &super::engine::Engine, machine: &Machine, ports: &[u16]) -> Host {
    let lines: Vec<String> = match engine.script(&machine.container, SCRIPT).await {
        Ok(answer) => answer.lines().map(str::to_owned).collect(),
        Err(error) => vec![error.to_string()],
    };
    let (running, containers) = lines.into_iter().partition(|line| line.starts_with(IMAGE));
    let mut releases = Vec::new();
    for port in ports {
        let answer = http::get(&format!("{}:{port}", machine.address), "/version").await;
        let said: Option<serde_json::Value> = answer.ok().and_then(|answer| serde_json::from_str(&answer.body).ok());
        releases.extend(said.and_then(|said| said["release"].as_str().map(str::to_owned)));
    }
    Host { release: releases.pop(), containers, running }
}

/// What is so on the hosts and in the balancer.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    pub(super) hosts: BTreeMap<String, Host>,
    /// Why not every host serves.
    pub(super) out: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) release: Option<String>,
    /// All containers with their states, and images of parked ones.
    pub(super) containers: Vec<String>,
    /// Ids of what runs, and of its image.
    pub(super) running: Vec<String>,
}

impl Truth {
    /// The one release that all hosts serve.
    pub(super) fn release(&self) -> Option<String> {
        let all: BTreeSet<_> = self.hosts.values().map(|host| host.release.clone()).collect();
        if all.len() == 1 { all.into_iter().next().flatten() } else { None }
    }

    /// Everything that no rollout may leave behind.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut found: Vec<String> = self.out.iter().map(|why| format!("not every host serves: {why}")).collect();
        for (name, host) in &self.hosts {
            if host.containers.len() != 1 || !host.containers.iter().all(|container| container.ends_with(" running")) {
                found.push(format!("`{name}` has {:?}", host.containers));
            }
        }
        if self.release().is_none() {
            let releases: Vec<String> = self
                .hosts
                .iter()
                .map(|(name, host)| format!("{name} {}", host.release.as_deref().unwrap_or("serves nothing")))
                .collect();
            found.push(format!("mixed: {}", releases.join(", ")));
        }
        found
    }
}

/// The lines of a child, as they come.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Said {
    async fn follow(self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.lines().push(line);
        }
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that goes on.
pub(super) struct Going {
    child: Child,
    said: Said,
    jobs: JoinSet<()>,
    began: Instant,
}

impl Going {
    /// Waits for words; false where it ended, or time was up, before it said them.
    pub(super) async fn says(&mut self, words: &str, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            // First, so that what was said at the very end is not missed.
            let is_over = self.child.try_wait().ok().flatten().is_some() || Instant::now() >= until;
            if self.said.lines().iter().any(|line| line.contains(words)) {
                return true;
            }
            if is_over {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The first line with these words so far.
    pub(super) fn line_with(&self, words: &str) -> Option<String> {
        self.said.lines().iter().find(|line| line.contains(words)).cloned()
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // One that has ended already is met as such when its end is asked for.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    pub(super) async fn end(mut self, limit: Duration) -> Result<Ended, LabError> {
        let Ok(status) = timeout(limit, self.child.wait()).await else {
            let tail = tail(&self.said.lines());
            return Err(LabError::Late { on: "a run".into(), seconds: limit.as_secs(), tail });
        };
        let took = self.began.elapsed();
        // Nobody else has its pipes; still, nothing is waited for without an end.
        let _ = timeout(Duration::from_secs(2), async { while self.jobs.join_next().await.is_some() {} }).await;
        let exit = status.ok().and_then(|status| status.code());
        let lines = std::mem::take(&mut *self.said.lines());
        Ok(Ended { exit, lines, took })
    }
}

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// None where a signal ended it.
    pub(super) exit: Option<i32>,
    pub(super) lines: Vec<String>,
    pub(super) took: Duration,
}

impl Ended {
    pub(super) fn has_said(&self, words: &str) -> bool {
        self.lines.iter().any(|line| line.contains(words))
    }

    pub(super) fn tail(&self) -> String {
        tail(&self.lines)
    }

    pub(super) fn shown(&self) -> String {
        self.exit.map_or_else(|| "killed".to_owned(), |exit| format!("exit {exit}"))
    }
}

fn tail(lines: &[String]) -> String {
    let lines: Vec<&String> = lines.iter().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| format!("    | {line}")).collect::<Vec<_>>().join("\n")
}
