//! The same rollout again and again, under load: what goes wrong once in a hundred times shows.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::clients::Seen;
use super::failure::LabError;
use super::machines::Lab;
use super::rehearsal::Plan;
use super::trial::{Call, Ground, RUN_MAX};
use super::voice::Voice;

const RELEASES: [&str; 2] = ["soak-a", "soak-b"];
/// How long clients ask at most.
const SOAK_MAX: Duration = Duration::from_secs(6 * 3600);

/// What many rollouts came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Soak {
    pub(crate) rollouts: usize,
    pub(crate) wanted: usize,
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) fewest_live: Option<usize>,
    pub(crate) hosts: usize,
    /// Seconds of one rollout, and of one host out of rotation, in ascending order.
    pub(crate) rollout_seconds: Vec<f64>,
    pub(crate) out_seconds: Vec<f64>,
    pub(crate) seconds: f64,
    pub(crate) complaints: Vec<String>,
}

impl Soak {
    pub(crate) fn is_passed(&self) -> bool {
        self.complaints.is_empty() && self.rollouts == self.wanted
    }
}

/// The last line has the figures.
impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.complaints.iter().try_for_each(|complaint| writeln!(f, "not held   {complaint}"))?;
        let (middle, last) = (percentile(&self.out_seconds, 50), percentile(&self.out_seconds, 100));
        writeln!(
            f,
            "a host     out of rotation for {middle:.1} s (median), {last:.1} s at most, {} times",
            self.out_seconds.len()
        )?;
        let (middle, last) = (percentile(&self.rollout_seconds, 50), percentile(&self.rollout_seconds, 100));
        writeln!(f, "a rollout  {middle:.1} s (median), {last:.1} s at most")?;
        let fewest = self.fewest_live.map_or_else(|| "?".to_owned(), |fewest| fewest.to_string());
        writeln!(f, "targets    never fewer than {fewest} of {} live", self.hosts)?;
        let Soak { rollouts, wanted, requests, failed, seconds, .. } = self;
        writeln!(f, "{rollouts} of {wanted} rollouts; {requests} requests, {failed} failed; {seconds:.0} s")
    }
}

fn percentile(ascending: &[f64], percent: usize) -> f64 {
    let place = ascending.len().saturating_sub(1) * percent / 100;
    ascending.get(place).copied().unwrap_or_default()
}

/// Rolls two releases out in turn on a lab that is up, so many times; the first thing that does not hold ends it.
pub(crate) async fn soak(lab: &Lab, plan: &Plan, wanted: usize, voice: &Voice) -> Result<Soak, LabError> {
    let began = Instant::now();
    let ground = Ground::new(lab, plan, voice)?;
    let mut serving = ground.deploy_all(&RELEASES).await?;
    let hosts = ground.hosts().len();
    let clients = ground.clients_for(RUN_MAX.saturating_mul(u32::try_from(wanted).unwrap_or(u32::MAX)).min(SOAK_MAX)).await;
    let (mut rollout_seconds, mut out_seconds, mut complaints) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=wanted {
        let new = if serving == RELEASES[0] { RELEASES[1] } else { RELEASES[0] };
        let ended = voice.during("a rollout", ground.run(&Call { release: new, ..Call::default() }, RUN_MAX)).await?;
        if ended.exit != Some(0) {
            complaints.push(format!("rollout {number} ended with {}:\n{}", ended.shown(), ended.tail()));
            break;
        }
        serving = new;
        rollout_seconds.push(tenths(ended.took));
        let outages = clients.take_outages();
        let out: Vec<String> = outages.iter().map(|outage| format!("{} {:.1} s", outage.name, outage.seconds)).collect();
        out_seconds.extend(outages.iter().map(|outage| outage.seconds));
        voice.step(format!(
            "{number}/{wanted} `{new}` in {:.1} s; out of rotation: {}",
            ended.took.as_secs_f64(),
            out.join(", ")
        ));
    }
    let truth = ground.truth().await;
    complaints.extend(truth.complaints());
    let Seen { tally, fewest_live, .. } = {
        let seen = clients.end().await;
        complaints.extend(seen.complaints());
        seen
    };
    if truth.release().as_deref() != Some(serving) {
        complaints.push(format!("all serve {:?}, not `{serving}`", truth.release()));
    }
    rollout_seconds.sort_by(f64::total_cmp);
    out_seconds.sort_by(f64::total_cmp);
    Ok(Soak {
        rollouts: rollout_seconds.len(),
        wanted,
        requests: tally.sent,
        failed: tally.failed,
        fewest_live,
        hosts,
        rollout_seconds,
        out_seconds,
        seconds: tenths(began.elapsed()),
        complaints,
    })
}

fn tenths(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_the_figures() {
        let soak = Soak {
            rollouts: 3,
            wanted: 3,
            requests: 1000,
            failed: 0,
            fewest_live: Some(2),
            hosts: 3,
            rollout_seconds: vec![8.0, 9.0, 12.0],
            out_seconds: vec![2.0, 2.5, 3.5],
            seconds: 31.4,
            complaints: Vec::new(),
        };
        assert!(soak.is_passed());
        let text = soak.to_string();
        assert!(text.contains("out of rotation for 2.5 s (median), 3.5 s at most, 3 times"), "{text}");
        assert!(text.ends_with("3 of 3 rollouts; 1000 requests, 0 failed; 31 s\n"), "{text}");
        assert!(!Soak { rollouts: 2, ..soak.clone() }.is_passed());
        assert!(!Soak { complaints: vec!["5 requests failed".to_owned()], ..soak }.is_passed());
    }
}
