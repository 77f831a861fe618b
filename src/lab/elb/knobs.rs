//! The weather that a test makes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All at rest by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Knobs {
    /// Seconds until the nodes know of a registration, and of a deregistration.
    pub(super) lag_in: f64,
    pub(super) lag_out: f64,
    /// How old what `DescribeTargetHealth` says is, in seconds.
    pub(super) stale: f64,
    /// The share of calls that are throttled, and of those that fail with a 500.
    pub(super) throttle: f64,
    pub(super) fail: f64,
    /// The API's own limits: bursts of 40 descriptions and 20 changes, 10 and 4 a second.
    pub(super) limits: bool,
    /// Seconds before an answer.
    pub(super) slow: f64,
    /// No answer at all.
    pub(super) frozen: bool,
    pub(super) expired: bool,
    /// Actions that the credentials may not do.
    pub(super) denied: Vec<String>,
    /// Actions that are answered with yes, and not done.
    pub(super) ignored: Vec<String>,
    /// Items on a page; 0 for all.
    pub(super) page: usize,
}

/// What the weather does to one call, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gust {
    Throttled,
    Failed,
    Expired,
    Denied,
    Ignored,
}

/// Shares become every n-th call, not chance: a test that passes passes again.
#[derive(Debug, Default)]
pub(super) struct Shares {
    throttle: f64,
    fail: f64,
    reads: Bucket,
    writes: Bucket,
}

#[derive(Debug, Default)]
struct Bucket {
    used: f64,
    at: f64,
}

impl Bucket {
    fn is_empty(&mut self, now: f64, size: f64, per_second: f64) -> bool {
        self.used = (self.used - (now - self.at) * per_second).max(0.0);
        self.at = now;
        let is_empty = self.used + 1.0 > size;
        if !is_empty {
            self.used += 1.0;
        }
        is_empty
    }
}

impl Knobs {
    pub(super) fn pause(&self) -> Duration {
        Duration::try_from_secs_f64(self.slow).unwrap_or_default()
    }

    pub(super) fn gust(&self, action: &str, now: f64, shares: &mut Shares) -> Option<Gust> {
        let is_named = |list: &[String]| list.iter().any(|name| name == action);
        if self.expired {
            return Some(Gust::Expired);
        }
        if is_named(&self.denied) {
            return Some(Gust::Denied);
        }
        let is_read = action.starts_with("Describe");
        let (bucket, size, rate) = if is_read { (&mut shares.reads, 40.0, 10.0) } else { (&mut shares.writes, 20.0, 4.0) };
        if self.limits && bucket.is_empty(now, size, rate) {
            return Some(Gust::Throttled);
        }
        if is_turn(&mut shares.throttle, self.throttle) {
            return Some(Gust::Throttled);
        }
        if is_turn(&mut shares.fail, self.fail) {
            return Some(Gust::Failed);
        }
        is_named(&self.ignored).then_some(Gust::Ignored)
    }
}

fn is_turn(sum: &mut f64, share: f64) -> bool {
    *sum += share;
    let is_turn = *sum >= 1.0;
    if is_turn {
        *sum -= 1.0;
    }
    is_turn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_every_nth_call() {
        let knobs = Knobs { throttle: 0.25, ..Knobs::default() };
        let mut shares = Shares::default();
        let gusts: Vec<bool> = (0..8).map(|_| knobs.gust("DescribeRules", 0.0, &mut shares).is_some()).collect();
        assert_eq!(gusts, [false, false, false, true, false, false, false, true]);
        assert!((0..8).all(|_| Knobs { throttle: 1.0, ..Knobs::default() }.gust("X", 0.0, &mut shares) == Some(Gust::Throttled)));
    }

    #[test]
    fn limits_are_bursts_and_rates() {
        let knobs = Knobs { limits: true, ..Knobs::default() };
        let mut shares = Shares::default();
        let mut calls =
            |action: &str, now: f64, count: usize| (0..count).filter(|_| knobs.gust(action, now, &mut shares).is_none()).count();
        assert_eq!(calls("DescribeTargetHealth", 0.0, 60), 40);
        assert_eq!(calls("RegisterTargets", 0.0, 60), 20);
        assert_eq!(calls("DescribeTargetHealth", 1.0, 60), 10);
        assert_eq!(calls("RegisterTargets", 1.0, 60), 4);
    }
}
