//! The scenario: a first release, then under load a second one on every host, then a third one that is broken and must be taken back
//! on its first host. What a client saw in the meantime is the verdict.
//!
//! `roll` runs as a child process with ordinary arguments; nothing here knows how it works inside.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::failure::LabError;
use super::http;
use super::load::{Load, LoadPlan, Tally};
use super::machines::Lab;
use super::outputs::BACKEND;
use super::voice::Voice;
use super::watch::{Outage, Watch, wait_for_live};

/// The exit code with which `roll` says that a rollout was taken back.
const REVERTED: i32 = 13;

const FIRST: &str = "rehearsal-1";
const SECOND: &str = "rehearsal-2";
const BROKEN: &str = "broken-3";

/// How long the load runs before and after a rollout.
const MARGIN: Duration = Duration::from_secs(2);
/// How often a slow request is sent.
const SLOW_EVERY: Duration = Duration::from_secs(6);
/// How long every target may take to serve after the first deployment.
const JOIN_MAX: Duration = Duration::from_secs(15);

/// What to rehearse.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) playbook: PathBuf,
    /// The `roll` that is put to the test.
    pub(crate) program: PathBuf,
    /// Arguments that the user gave, handed on as they are.
    pub(crate) arguments: Vec<OsString>,
    pub(crate) requests_per_second: u32,
    /// What a client asks for, in turn.
    pub(crate) paths: Vec<String>,
    /// A path that takes as long as its parameter says, `{}` standing for the seconds; not asked for where it is not served.
    pub(crate) slow_path: String,
    pub(crate) slow_seconds: f64,
    /// Variables of every run, as `name=value`.
    pub(crate) variables: Vec<String>,
    /// The variables that make a release broken.
    pub(crate) break_variables: Vec<String>,
}

impl Plan {
    /// The usual rehearsal of a playbook, with this very program.
    pub(crate) fn new(playbook: PathBuf, request_seconds_max: u32) -> Result<Self, LabError> {
        let program = std::env::current_exe().map_err(LabError::file("/proc/self/exe"))?;
        let words = ["level", "noon", "radar", "roll", "stats", "lab"];
        let asked = words.iter().map(|word| format!("/palindrome?text={word}"));
        Ok(Self {
            playbook,
            program,
            arguments: Vec::new(),
            requests_per_second: 40,
            paths: ["/".to_owned()].into_iter().chain(asked).collect(),
            slow_path: "/slow?seconds={}".into(),
            // A container gets ten seconds more to stop than the longest request takes; these are longer than half of that.
            slow_seconds: f64::from(request_seconds_max + 10) / 2.0 + 0.5,
            // Less patience than production has, for nobody waits here for anything rare.
            variables: vec!["bake=3s".into(), "healthy_deadline=12s".into()],
            break_variables: vec!["palindrome_break=health".into()],
        })
    }
}

/// One run of `roll`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rollout {
    pub(crate) release: String,
    /// None where a signal ended it.
    pub(crate) exit: Option<i32>,
    pub(crate) seconds: f64,
    /// The hosts that were out of rotation meanwhile, in order, as the balancer saw them.
    pub(crate) nodes: Vec<Outage>,
}

/// What is wrong with a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Complaint {
    RequestsFailed {
        failed: u64,
    },
    NothingSent,
    BalancerUnseen,
    RolloutFailed {
        release: String,
        exit: Option<i32>,
    },
    NodesUntouched {
        nodes: Vec<String>,
    },
    NotReverted {
        exit: Option<i32>,
    },
    /// More hosts than the first one, or none, saw the broken release.
    BrokenReleaseOn {
        nodes: Vec<String>,
    },
    NodesOut {
        nodes: Vec<String>,
    },
    WrongRelease {
        node: String,
        serves: String,
    },
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |exit: &Option<i32>| exit.map_or_else(|| "by a signal".to_owned(), |exit| format!("with exit code {exit}"));
        match self {
            Self::RequestsFailed { failed } => write!(f, "{failed} requests failed"),
            Self::NothingSent => f.write_str("no request was sent, so nothing was shown"),
            Self::BalancerUnseen => f.write_str("the balancer's counters could not be read"),
            Self::RolloutFailed { release, exit } => write!(f, "the rollout of `{release}` ended {}", with(exit)),
            Self::NodesUntouched { nodes } => write!(f, "never out of rotation, so never updated safely: {}", nodes.join(", ")),
            Self::NotReverted { exit } => {
                write!(f, "the broken release ended {} instead of being reverted ({REVERTED})", with(exit))
            }
            Self::BrokenReleaseOn { nodes } if nodes.is_empty() => f.write_str("the broken release was tried on no host"),
            Self::BrokenReleaseOn { nodes } => write!(f, "the broken release was tried on {}", nodes.join(", ")),
            Self::NodesOut { nodes } => write!(f, "not back in rotation at the end: {}", nodes.join(", ")),
            Self::WrongRelease { node, serves } => write!(f, "`{node}` serves `{serves}` at the end"),
        }
    }
}

/// What a rehearsal showed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub(crate) lab: String,
    pub(crate) hosts: usize,
    /// Nobody has to leave for a new release.
    pub(crate) is_start_first: bool,
    pub(crate) requests: Tally,
    /// The fewest live healthy targets at any reading of the balancer's counters.
    pub(crate) fewest_live: Option<usize>,
    pub(crate) balancer_reads: u64,
    /// The first deployment, the second release, the broken one.
    pub(crate) rollouts: Vec<Rollout>,
    pub(crate) seconds: f64,
    /// Empty when nothing failed and the broken release was reverted on its first node.
    pub(crate) complaints: Vec<Complaint>,
}

impl Report {
    pub(crate) fn is_passed(&self) -> bool {
        self.complaints.is_empty()
    }
}

/// The figures, as plain lines.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { sent, failed, slow, losses, p50_ms, p99_ms, .. } = &self.requests;
        let (resets, timeouts, connects) = (losses.resets, losses.timeouts, losses.connects);
        writeln!(f, "requests   {sent} sent, {slow} of them slow; {failed} failed")?;
        writeln!(
            f,
            "failures   {} 5xx, {} other answers, {resets} resets, {timeouts} timeouts, {connects} without a connection",
            losses.server_errors, losses.unexpected
        )?;
        writeln!(f, "latency    p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms")?;
        let fewest = self.fewest_live.map_or_else(|| "?".to_owned(), |fewest| fewest.to_string());
        writeln!(f, "targets    never fewer than {fewest} of {} live", self.hosts)?;
        for rollout in &self.rollouts {
            let exit = rollout.exit.map_or_else(|| "a signal".to_owned(), |exit| format!("exit {exit}"));
            let nodes: String = rollout.nodes.iter().map(|node| format!(", {} {:.1} s", node.name, node.seconds)).collect();
            writeln!(f, "rollout    {:<12} {:>6.1} s, {exit}{nodes}", rollout.release, rollout.seconds)?;
        }
        writeln!(f, "in all     {:.1} s", self.seconds)?;
        self.complaints.iter().try_for_each(|complaint| writeln!(f, "failed     {complaint}"))
    }
}

/// Rehearses a playbook on a lab that is up. The lab is the caller's to take down, whatever comes of this.
pub(crate) async fn rehearse(lab: &Lab, plan: &Plan, voice: &Voice) -> Result<Report, LabError> {
    let began = Instant::now();
    let (Some(front), Some(stats)) = (lab.front_address(), lab.stats_address()) else {
        return Err(LabError::NoLab { id: lab.id.clone() });
    };
    let stage = Stage::new(lab, plan, voice);

    voice.step(format!("deploying the first release, `{FIRST}`"));
    let first = stage.run(FIRST, &[]).await?;
    if first.exit != Some(0) {
        return Err(LabError::FirstDeploy { exit: first.exit });
    }
    voice.during("every host to join the balancer", wait_for_live(&stats, BACKEND, stage.hosts.len(), JOIN_MAX)).await?;
    let load = Load::start(stage.load(front).await?);
    let watch = Watch::start(stats, BACKEND.to_owned());
    sleep(MARGIN).await;

    voice.step(format!("under load: rolling out `{SECOND}`"));
    let mut second = stage.run(SECOND, &[]).await?;
    sleep(MARGIN).await;
    second.nodes = watch.take_outages();

    voice.step(format!("under load: rolling out `{BROKEN}`, which never becomes healthy and must be reverted"));
    let mut broken = stage.run(BROKEN, &plan.break_variables).await?;
    sleep(MARGIN).await;
    broken.nodes = watch.take_outages();

    let requests = voice.during("the last answers", load.stop()).await;
    let mut report = Report {
        lab: lab.id.to_string(),
        hosts: stage.hosts.len(),
        is_start_first: lab.ports().len() > 1,
        requests,
        fewest_live: watch.fewest_live(),
        balancer_reads: watch.reads(),
        rollouts: vec![first, second, broken],
        seconds: seconds_since(began),
        complaints: Vec::new(),
    };
    report.complaints = complaints(&report, &stage.hosts);
    report.complaints.extend(stage.wrong_releases().await);
    Ok(report)
}

struct Stage<'a> {
    lab: &'a Lab,
    plan: &'a Plan,
    voice: &'a Voice,
    hosts: Vec<String>,
}

impl<'a> Stage<'a> {
    fn new(lab: &'a Lab, plan: &'a Plan, voice: &'a Voice) -> Self {
        Self { lab, plan, voice, hosts: lab.hosts().map(|host| host.name.clone()).collect() }
    }

    /// Runs `roll` as anyone would.
    async fn run(&self, release: &str, variables: &[String]) -> Result<Rollout, LabError> {
        let began = Instant::now();
        let program = &self.plan.program;
        let start = |source| LabError::Start { program: program.display().to_string(), source };
        let set = self.plan.variables.iter().chain(variables).flat_map(|variable| ["-e".to_owned(), variable.clone()]);
        let mut child = Command::new(program)
            .args(self.lab.arguments())
            .args(["-e".to_owned(), format!("release={release}")])
            .args(set)
            .args(&self.plan.arguments)
            .arg(&self.plan.playbook)
            // Nobody's own load balancer is ever meant by a rehearsal.
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .envs(self.lab.environment())
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (_, _, status) = tokio::join!(self.relay(stdout), self.relay(stderr), child.wait());
        let exit = status.map_err(start)?.code();
        Ok(Rollout { release: release.to_owned(), exit, seconds: seconds_since(began), nodes: Vec::new() })
    }

    async fn relay(&self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(stream) = stream else { return };
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.voice.roll(line);
        }
    }

    /// The load, with slow requests where the application has any.
    async fn load(&self, front: String) -> Result<LoadPlan, LabError> {
        let url = |path: &str| format!("http://{front}{path}");
        for path in &self.plan.paths {
            let because = match http::get(&front, path).await {
                Ok(answer) if answer.status == 200 => continue,
                Ok(answer) => format!("answered {}", answer.status),
                Err(because) => because,
            };
            return Err(LabError::NotServing { url: url(path), because });
        }
        let slow_path = |seconds: f64| self.plan.slow_path.replace("{}", &seconds.to_string());
        let is_slow_served = http::get(&front, &slow_path(0.0)).await.is_ok_and(|answer| answer.status == 200);
        Ok(LoadPlan {
            slow: is_slow_served.then(|| (slow_path(self.plan.slow_seconds), SLOW_EVERY)),
            requests_per_second: self.plan.requests_per_second,
            paths: self.plan.paths.clone(),
            answer_max: Duration::from_secs_f64(self.plan.slow_seconds) + Duration::from_secs(20),
            requests_max: 200_000,
            duration_max: Duration::from_secs(1800),
            address: front,
        })
    }

    /// The hosts that say of themselves that they serve anything but the second release; an application that does not say is believed.
    async fn wrong_releases(&self) -> Vec<Complaint> {
        let mut wrong = Vec::new();
        let ports = self.lab.ports();
        for (host, port) in self.lab.hosts().flat_map(|host| ports.iter().map(move |port| (host, port))) {
            let Ok(answer) = http::get(&format!("{}:{port}", host.address), "/version").await else { continue };
            let said: Option<serde_json::Value> = serde_json::from_str(&answer.body).ok();
            if let Some(serves) = said.as_ref().and_then(|said| said["release"].as_str()).filter(|release| *release != SECOND) {
                wrong.push(Complaint::WrongRelease { node: host.name.clone(), serves: serves.to_owned() });
            }
        }
        wrong
    }
}

/// Everything that keeps a rehearsal from being passed.
fn complaints(report: &Report, hosts: &[String]) -> Vec<Complaint> {
    let mut found = Vec::new();
    match (report.requests.sent, report.requests.failed) {
        (0, _) => found.push(Complaint::NothingSent),
        (_, 0) => {}
        (_, failed) => found.push(Complaint::RequestsFailed { failed }),
    }
    if report.fewest_live.is_none() {
        found.push(Complaint::BalancerUnseen);
    }
    let [_, second, broken] = report.rollouts.as_slice() else { return found };
    if second.exit != Some(0) {
        found.push(Complaint::RolloutFailed { release: second.release.clone(), exit: second.exit });
    }
    let untouched: Vec<String> = hosts.iter().filter(|host| !names(second).contains(host)).cloned().collect();
    if !untouched.is_empty() && !report.is_start_first {
        found.push(Complaint::NodesUntouched { nodes: untouched });
    }
    if broken.exit != Some(REVERTED) {
        found.push(Complaint::NotReverted { exit: broken.exit });
    }
    // What starts beside the old one is not seen by the balancer before it works.
    if names(broken).len() != usize::from(!report.is_start_first) {
        found.push(Complaint::BrokenReleaseOn { nodes: names(broken) });
    }
    let out: Vec<String> = broken.nodes.iter().filter(|outage| !outage.is_back).map(|outage| outage.name.clone()).collect();
    if !out.is_empty() {
        found.push(Complaint::NodesOut { nodes: out });
    }
    found
}

/// The distinct hosts that were out of rotation.
fn names(rollout: &Rollout) -> Vec<String> {
    let mut names: Vec<String> = rollout.nodes.iter().map(|outage| outage.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn seconds_since(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(release: &str, exit: i32, nodes: &[&str]) -> Rollout {
        let outage = |name: &&str| Outage { name: (*name).to_owned(), seconds: 9.0, is_back: true };
        Rollout { release: release.into(), exit: Some(exit), seconds: 30.0, nodes: nodes.iter().map(outage).collect() }
    }

    fn hosts() -> Vec<String> {
        ["web1", "web2"].map(str::to_owned).into()
    }

    fn good() -> Report {
        Report {
            lab: "k3f9".into(),
            hosts: 2,
            is_start_first: false,
            requests: Tally { sent: 100, ok: 100, ..Tally::default() },
            fewest_live: Some(1),
            balancer_reads: 50,
            rollouts: vec![rollout(FIRST, 0, &[]), rollout(SECOND, 0, &["web1", "web2"]), rollout(BROKEN, 13, &["web1"])],
            seconds: 90.0,
            complaints: Vec::new(),
        }
    }

    /// What is complained about once one thing of a good rehearsal is made bad.
    fn complaint(spoil: impl FnOnce(&mut Report)) -> Vec<Complaint> {
        let mut report = good();
        spoil(&mut report);
        complaints(&report, &hosts())
    }

    #[test]
    fn a_good_rehearsal_has_nothing_to_complain_about() {
        assert_eq!(complaint(|_| ()), []);
    }

    #[test]
    fn the_figures_are_told_in_plain_lines() {
        let mut report = good();
        report.complaints = vec![Complaint::RequestsFailed { failed: 3 }];
        let text = report.to_string();
        assert!(text.contains("requests   100 sent, 0 of them slow; 0 failed\n"), "{text}");
        assert!(text.contains("never fewer than 1 of 2 live\n"), "{text}");
        assert!(text.contains("rollout    rehearsal-2    30.0 s, exit 0, web1 9.0 s, web2 9.0 s\n"), "{text}");
        assert!(text.ends_with("failed     3 requests failed\n"), "{text}");
    }

    #[test]
    fn each_thing_that_goes_wrong_is_told() {
        assert_eq!(complaint(|report| report.requests.failed = 1), [Complaint::RequestsFailed { failed: 1 }]);
        assert_eq!(complaint(|report| report.requests = Tally::default()), [Complaint::NothingSent]);
        assert_eq!(complaint(|report| report.fewest_live = None), [Complaint::BalancerUnseen]);
        assert_eq!(
            complaint(|report| report.rollouts[1].exit = Some(12)),
            [Complaint::RolloutFailed { release: SECOND.into(), exit: Some(12) }]
        );
        assert_eq!(complaint(|report| report.rollouts[2].exit = Some(0)), [Complaint::NotReverted { exit: Some(0) }]);
        assert_eq!(
            complaint(|report| report.rollouts[1].nodes.truncate(1)),
            [Complaint::NodesUntouched { nodes: vec!["web2".into()] }]
        );
        assert_eq!(
            complaint(|report| report.rollouts[2].nodes[0].is_back = false),
            [Complaint::NodesOut { nodes: vec!["web1".into()] }]
        );
    }

    #[test]
    fn a_broken_release_must_reach_its_first_host_and_no_other() {
        let both = complaint(|report| report.rollouts[2] = rollout(BROKEN, 13, &["web1", "web2", "web1"]));
        assert_eq!(both, [Complaint::BrokenReleaseOn { nodes: hosts() }]);
        let none = complaint(|report| report.rollouts[2].nodes.clear());
        assert_eq!(none, [Complaint::BrokenReleaseOn { nodes: Vec::new() }]);
        // Out twice, first for the release and then for its reverting, is still one host.
        assert_eq!(complaint(|report| report.rollouts[2] = rollout(BROKEN, 13, &["web1", "web1"])), []);
    }
}
