//! The words for a rollout, and the table at its end.

use super::paint::{Ink, Paint, one_line};
use crate::event::Rollout;
use indexmap::IndexMap;

/// What is remembered of a rollout until its table is printed.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Seconds out of rotation.
    seconds: IndexMap<String, f64>,
    health: Option<(u32, u32)>,
}

/// Last lines of a host's log that are shown.
const LOG_LINES_MAX: usize = 50;

impl Board {
    /// The lines for one event, each with its colour; none for what only the live lines show.
    pub(super) fn lines(&mut self, rollout: &Rollout, paint: Paint, verbosity: u8) -> Vec<String> {
        match rollout {
            Rollout::Started { hosts, batches, floor, balancer, .. } => {
                *self = Board::default();
                let batches: Vec<String> = batches.iter().map(|batch| batch.join(", ")).collect();
                vec![format!(
                    "{} in {} ({}); at least {floor} stay healthy in {balancer}",
                    count(hosts.len(), "host"),
                    count(batches.len(), "batch"),
                    batches.join(" | ")
                )]
            }
            Rollout::Phase { host, phase, why } => {
                let why = if why.is_empty() { String::new() } else { format!(": {}", one_line(why)) };
                vec![format!("rollout: [{host}] {phase}{why}{}", self.counts())]
            }
            Rollout::Health { healthy, floor, .. } => {
                let is_news = self.health.replace((*healthy, *floor)) != Some((*healthy, *floor));
                if is_news && verbosity > 0 { vec![format!("rollout: {healthy} healthy, floor {floor}")] } else { Vec::new() }
            }
            Rollout::HostDone { host, seconds } => {
                self.seconds.insert(host.clone(), *seconds);
                vec![paint.ink(Ink::Changed, &format!("rollout: [{host}] done, {seconds:.0} s out of rotation"))]
            }
            Rollout::HostFailed { host, phase, logs, .. } => {
                let skipped = logs.len().saturating_sub(LOG_LINES_MAX);
                let mut lines = vec![paint.ink(Ink::Failed, &format!("rollout: [{host}] failed while {phase}"))];
                lines.extend(logs.iter().skip(skipped).map(|line| format!("    {}", one_line(line))));
                lines
            }
            Rollout::Reverting { hosts, why } => {
                vec![paint.ink(Ink::Warning, &format!("rollout: reverting {}: {}", hosts.join(", "), one_line(why)))]
            }
            Rollout::Ended { ending, why, now, next, new, old, out } => {
                let mut lines = self.table([new, old, out], paint);
                lines.push(format!("ending: {ending}"));
                lines.extend(why.iter().map(|why| format!("why: {}", one_line(why))));
                lines.extend(now.iter().map(|now| format!("now: {}", one_line(now))));
                lines.extend(next.iter().map(|next| format!("next: {next}")));
                lines
            }
        }
    }

    fn counts(&self) -> String {
        self.health.map_or_else(String::new, |(healthy, floor)| format!(" ({healthy} healthy, floor {floor})"))
    }

    fn table(&self, groups: [&Vec<String>; 3], paint: Paint) -> Vec<String> {
        let words = [("new release", Ink::Ok), ("old release", Ink::Changed), ("out of rotation", Ink::Failed)];
        let mut lines = Vec::new();
        for ((word, ink), hosts) in words.into_iter().zip(groups) {
            for host in hosts {
                let seconds =
                    self.seconds.get(host).map_or_else(String::new, |seconds| format!("   {seconds:.0} s out of rotation"));
                lines.push(format!("{} : {}{seconds}", paint.ink(ink, &format!("{host:<26}")), paint.ink(ink, word)));
            }
        }
        lines
    }
}

fn count(count: usize, noun: &str) -> String {
    match (count, noun) {
        (1, noun) => format!("1 {noun}"),
        (count, "batch") => format!("{count} batches"),
        (count, noun) => format!("{count} {noun}s"),
    }
}
