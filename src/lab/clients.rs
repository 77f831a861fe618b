//! Clients of a lab's balancer, and an eye on the balancer while they ask.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use super::failure::LabError;
use super::http;
use super::load::{Load, LoadPlan, Tally};
use super::machines::Lab;
use super::outputs::BACKEND;
use super::rehearsal::Plan;
use super::watch::{Outage, Watch};

/// How often a slow request is sent, and how long it takes: shorter than in a rehearsal, for there are many trials.
const SLOW_EVERY: Duration = Duration::from_secs(2);
const SLOW_SECONDS: f64 = 1.5;
const ANSWER_MAX: Duration = Duration::from_secs(20);

pub(super) struct Clients {
    load: Load,
    watch: Watch,
}

impl Clients {
    /// They ask for what the plan says, and go away by themselves after that time.
    pub(super) async fn start(front: &str, stats: &str, plan: &Plan, duration_max: Duration) -> Clients {
        let slow_path = |seconds: f64| plan.slow_path.replace("{}", &seconds.to_string());
        let has_slow = http::get(front, &slow_path(0.0)).await.is_ok_and(|answer| answer.status == 200);
        let load = Load::start(LoadPlan {
            address: front.to_owned(),
            requests_per_second: plan.requests_per_second,
            paths: plan.paths.clone(),
            slow: has_slow.then(|| (slow_path(SLOW_SECONDS), SLOW_EVERY)),
            answer_max: ANSWER_MAX,
            requests_max: duration_max.as_secs() * u64::from(plan.requests_per_second + 1),
            duration_max,
        });
        Clients { load, watch: Watch::start(stats.to_owned(), BACKEND.to_owned()) }
    }

    /// Who was out of rotation since the last time this was asked.
    pub(super) fn take_outages(&self) -> Vec<Outage> {
        self.watch.take_outages()
    }

    pub(super) async fn end(self) -> Seen {
        let (fewest_live, outages) = (self.watch.fewest_live(), self.watch.take_outages());
        Seen { tally: self.load.stop().await, fewest_live, outages }
    }
}

/// What they saw.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    pub(super) tally: Tally,
    pub(super) fewest_live: Option<usize>,
    /// Since the last time they were asked for.
    pub(super) outages: Vec<Outage>,
}

impl Seen {
    /// The hosts that were out of rotation at any time.
    pub(super) fn out(&self) -> BTreeSet<&str> {
        self.outages.iter().map(|outage| outage.name.as_str()).collect()
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.tally.sent == 0 {
            found.push("no request was sent, so nothing was shown".to_owned());
        }
        if self.tally.failed > 0 {
            let examples: Vec<String> = self
                .tally
                .examples
                .iter()
                .take(3)
                .map(|example| format!("at {:.1} s {} {}", example.at_seconds, example.path, example.detail))
                .collect();
            found.push(format!("{} requests failed: {}", self.tally.failed, examples.join("; ")));
        }
        found
    }
}

/// The figures, as plain lines.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { sent, failed, slow, p50_ms, p99_ms, examples, .. } = &self.tally;
        writeln!(f, "requests   {sent} sent, {slow} of them slow; {failed} failed")?;
        writeln!(f, "latency    p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms")?;
        let fewest = self.fewest_live.map_or_else(|| "?".to_owned(), |fewest| fewest.to_string());
        writeln!(f, "targets    never fewer than {fewest} live")?;
        for Outage { name, seconds, is_back } in &self.outages {
            let still = if *is_back { "" } else { ", still out" };
            writeln!(f, "out        {name} {seconds:.1} s{still}")?;
        }
        examples.iter().try_for_each(|lost| writeln!(f, "lost       at {:.1} s: {} {}", lost.at_seconds, lost.path, lost.detail))
    }
}

/// Puts load on a lab that is up until `stop`, or until the time is over.
pub(crate) async fn ask(
    lab: &Lab,
    plan: &Plan,
    duration_max: Duration,
    stop: impl Future<Output = ()>,
) -> Result<Seen, LabError> {
    let (Some(front), Some(stats)) = (lab.front_address(), lab.stats_address()) else {
        return Err(LabError::NoLab { id: lab.id.clone() });
    };
    let clients = Clients::start(&front, &stats, plan, duration_max).await;
    tokio::select! {
        () = stop => {}
        () = sleep(duration_max) => {}
    }
    Ok(clients.end().await)
}
