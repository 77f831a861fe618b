//! Staying below the API's limits, and spreading out what is tried again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bucket of tokens that fills up steadily; a call takes one.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    size: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Pace {
        Pace { per_second, size: per_second, bucket: Mutex::new(Bucket { tokens: per_second, at: Instant::now() }) }
    }

    /// Waits for its turn.
    pub(super) async fn turn(&self) {
        let wait = self.take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token, which may be one of the future; how long until it is there.
    fn take(&self, now: Instant) -> Duration {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + since * self.per_second).min(self.size) - 1.0;
        bucket.at = now;
        Duration::from_secs_f64((-bucket.tokens / self.per_second).max(0.0))
    }
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Before another try: anything up to a bound that doubles.
pub(super) fn jitter(tries: u32) -> Duration {
    let bound = FIRST.saturating_mul(1_u32.checked_shl(tries.min(16)).unwrap_or(u32::MAX)).min(LONGEST);
    bound.mul_f64(chance())
}

/// From 0 to 1.
fn chance() -> f64 {
    let drawn = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(drawn >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_paced() {
        let pace = Pace::new(4.0);
        let start = Instant::now();
        let waits: Vec<u128> = (0..6).map(|_| pace.take(start).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 250, 500]);
        // Two tokens were borrowed and are paid back first.
        assert_eq!(pace.take(start + Duration::from_secs(1)).as_millis(), 0);
        assert_eq!(pace.take(start + Duration::from_secs(60)).as_millis(), 0);
    }

    #[test]
    fn tries_spread_over_a_growing_time_with_an_end() {
        for tries in 0..40 {
            assert!((0..50).all(|_| jitter(tries) <= LONGEST));
        }
        assert!((0..50).all(|_| jitter(0) <= FIRST));
        let drawn: Vec<Duration> = (0..20).map(|_| jitter(5)).collect();
        assert!(drawn.iter().any(|other| *other != drawn[0]), "{drawn:?}");
    }
}
