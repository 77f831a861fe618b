//! How the lab speaks: lines of progress to whoever listens, and never more than five seconds of silence.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The longest silence while something is being waited for.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// One thing to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// What the lab does now.
    Step(String),
    /// Still the same step: what is being waited for, and for how long already.
    Waiting { on: String, seconds: u64 },
    /// A line that the `roll` under rehearsal wrote.
    Roll(String),
}

/// Where progress goes; cheap to clone into jobs.
#[derive(Clone)]
pub(crate) struct Voice(Arc<dyn Fn(Progress) + Send + Sync>);

impl Voice {
    pub(crate) fn new(listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(crate) fn step(&self, text: impl Into<String>) {
        (self.0)(Progress::Step(text.into()));
    }

    pub(crate) fn roll(&self, line: impl Into<String>) {
        (self.0)(Progress::Roll(line.into()));
    }

    /// Waits for `work`, and says every few seconds that it still does.
    pub(crate) async fn during<T>(&self, on: &str, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let mut tick = tokio::time::interval_at(started + SILENCE_MAX, SILENCE_MAX);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = tick.tick() => (self.0)(Progress::Waiting { on: on.to_owned(), seconds: started.elapsed().as_secs() }),
            }
        }
    }
}
