//! Good releases, one after the other, under load that never pauses.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::failure::LabError;
use super::load::{Load, LoadPlan, Tally};
use super::machines::Lab;
use super::outputs::BACKEND;
use super::rehearsal::{FIRST, JOIN_MAX, MARGIN, Plan, Rollout, Stage, seconds_since};
use super::voice::Voice;
use super::watch::{Watch, wait_for_live};

/// How long one rollout may take before the load ends.
const ONE_MAX: Duration = Duration::from_secs(300);

/// What so many rollouts showed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Repeated {
    pub(crate) lab: String,
    pub(crate) hosts: usize,
    pub(crate) requests: Tally,
    /// The fewest hosts that served at any reading of the balancer's counters.
    pub(crate) fewest_live: Option<usize>,
    /// Without the first deployment.
    pub(crate) rollouts: Vec<Rollout>,
    pub(crate) seconds: f64,
}

impl Repeated {
    fn ended_well(&self) -> usize {
        self.rollouts.iter().filter(|rollout| rollout.exit == Some(0)).count()
    }

    pub(crate) fn is_passed(&self) -> bool {
        self.requests.failed == 0 && self.requests.sent > 0 && self.ended_well() == self.rollouts.len()
    }
}

/// The last line has the figures.
impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rollout in &self.rollouts {
            let exit = rollout.exit.map_or_else(|| "a signal".to_owned(), |exit| format!("exit {exit}"));
            let out: String = rollout.nodes.iter().map(|node| format!(", {} out for {:.1} s", node.name, node.seconds)).collect();
            writeln!(f, "rollout    {:<12} {:>6.1} s, {exit}{out}", rollout.release, rollout.seconds)?;
        }
        let Tally { sent, failed, slow, losses, p50_ms, p99_ms, examples, .. } = &self.requests;
        for example in examples {
            writeln!(f, "lost       at {:.1} s: {} {}", example.at_seconds, example.path, example.detail)?;
        }
        writeln!(
            f,
            "failures   {} 5xx, {} other answers, {} resets, {} timeouts, {} without a connection",
            losses.server_errors, losses.unexpected, losses.resets, losses.timeouts, losses.connects
        )?;
        let fewest = self.fewest_live.map_or_else(|| "?".to_owned(), |fewest| fewest.to_string());
        let (good, all) = (self.ended_well(), self.rollouts.len());
        let each = self.rollouts.iter().map(|rollout| rollout.seconds).sum::<f64>() / (all.max(1) as f64);
        writeln!(
            f,
            "{good} of {all} rollouts on {} host{}: {sent} requests ({slow} slow), {failed} failed; never fewer than {fewest} live; \
             {each:.1} s each; p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms; {:.0} s in all",
            self.hosts,
            if self.hosts == 1 { "" } else { "s" },
            self.seconds
        )
    }
}

/// Rolls out so many releases on a lab that is up. The lab is the caller's to take down.
pub(crate) async fn repeat(lab: &Lab, plan: &Plan, count: usize, voice: &Voice) -> Result<Repeated, LabError> {
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
    let duration_max = ONE_MAX * u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let load = stage.load(front).await?;
    let requests_max = u64::from(load.requests_per_second).saturating_mul(duration_max.as_secs());
    let load = Load::start(LoadPlan { duration_max, requests_max, ..load });
    let watch = Watch::start(stats, BACKEND.to_owned());
    sleep(MARGIN).await;
    let mut rollouts = Vec::new();
    for number in 1..=count {
        let release = format!("repeat-{number}");
        voice.step(format!("under load: rolling out `{release}`, {number} of {count}"));
        let mut rollout = stage.run(&release, &[]).await?;
        rollout.nodes = watch.take_outages();
        let is_good = rollout.exit == Some(0);
        rollouts.push(rollout);
        if !is_good {
            break;
        }
    }
    sleep(MARGIN).await;
    let requests = voice.during("the last answers", load.stop()).await;
    Ok(Repeated {
        lab: lab.id.to_string(),
        hosts: stage.hosts.len(),
        requests,
        fewest_live: watch.fewest_live(),
        rollouts,
        seconds: seconds_since(began),
    })
}
