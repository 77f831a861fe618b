//! Is the new release worse than the old one? Both were asked the same at the same time, so what ails both is not held against either.

/// What came of requests to one release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub all: u32,
    pub failed: u32,
}

/// Fewer may be anything: a packet, a pause of the machine.
const FAILED_MIN: u32 = 3;
/// Squared: how many standard deviations apart are no chance, one time in a hundred.
const CERTAIN: f64 = 2.33 * 2.33;

impl Asked {
    #[must_use]
    pub fn and(self, more: Asked) -> Asked {
        Asked { all: self.all.saturating_add(more.all), failed: self.failed.saturating_add(more.failed) }
    }

    fn share(self) -> f64 {
        if self.all == 0 { 0.0 } else { f64::from(self.failed.min(self.all)) / f64::from(self.all) }
    }
}

/// Whether more of the new release's answers fail than of the old one's, by more than the tolerance and by more than chance. Where no
/// host runs the old release any more, it is compared with one that never fails.
pub fn is_worse(new: Asked, old: Option<Asked>, tolerance: f64) -> bool {
    let old = old.filter(|old| old.all > 0).unwrap_or(Asked { all: new.all, failed: 0 });
    let more = new.share() - old.share() - tolerance;
    if new.failed < FAILED_MIN || more <= 0.0 {
        return false;
    }
    let both = new.and(old).share();
    let variance = both * (1.0 - both) * (1.0 / f64::from(new.all) + 1.0 / f64::from(old.all));
    more * more > CERTAIN * variance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(all: u32, failed: u32) -> Asked {
        Asked { all, failed }
    }

    #[test]
    fn one_in_twenty_is_found_within_a_bake_and_noise_is_not() {
        assert!(is_worse(asked(300, 15), Some(asked(300, 0)), 0.01));
        assert!(is_worse(asked(300, 15), None, 0.01));
        assert!(!is_worse(asked(40, 2), Some(asked(40, 0)), 0.01), "two may be anything");
        assert!(!is_worse(asked(300, 4), Some(asked(300, 1)), 0.01), "within the tolerance");
    }

    #[test]
    fn what_ails_both_is_held_against_neither() {
        assert!(!is_worse(asked(300, 30), Some(asked(300, 28)), 0.01));
        assert!(is_worse(asked(300, 90), Some(asked(300, 28)), 0.01));
        assert!(is_worse(asked(20, 20), Some(asked(20, 0)), 0.01), "all of them need no long look");
        assert!(!is_worse(asked(0, 0), None, 0.0) && !is_worse(asked(0, 0), Some(asked(0, 0)), 0.0));
    }

    /// Drawn by lot, at the rate and for the time of a usual bake: how often each verdict is wrong.
    #[test]
    fn verdicts_are_seldom_wrong() {
        let mut state = 42_u64;
        let mut draw = |share: f64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from((state >> 33) as u32) / f64::from(1_u32 << 31) < share
        };
        let mut stopped = |share_new: f64, share_old: f64| {
            let runs = (0..500).filter(|_| {
                let (mut new, mut old) = (Asked::default(), Asked::default());
                (0..30).any(|_| {
                    for _ in 0..10 {
                        new = new.and(asked(1, u32::from(draw(share_new))));
                        old = old.and(asked(1, u32::from(draw(share_old))));
                    }
                    is_worse(new, Some(old), 0.01)
                })
            });
            runs.count()
        };
        let caught = stopped(0.08, 0.0);
        assert!(caught >= 495, "{caught} of 500 caught");
        let false_alarms = stopped(0.02, 0.02);
        assert!(false_alarms <= 25, "{false_alarms} of 500 stopped for nothing");
    }
}
