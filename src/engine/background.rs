//! `async`: a task with a time limit (`poll` above 0), or one that nobody waits for (`poll: 0`).

use super::frame::Frame;
use super::hands::TaskHands;
use super::work::Work;
use crate::actions::{self, Answer, Bodies, Hands, Problem};
use crate::event::Event;
use crate::modules::Failure;
use crate::value::{Map, Value};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

const POLL_DEFAULT: f64 = 15.0;
/// What a host gets to end an overdue task and to say so.
const HOST_GRACE: Duration = Duration::from_secs(2);

/// What `async` and `poll` say.
pub(super) struct Background {
    pub(super) seconds: u64,
    /// Seconds between two looks; none: nobody looks.
    poll: Option<f64>,
    job: String,
}

impl Work {
    /// In check mode nothing is done, so nothing is left running.
    pub(super) fn background(&self, frame: &Frame<'_>) -> Option<Background> {
        let seconds = frame.render(&self.task.own("async")?.value).ok()?.to_int()?;
        let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
        let poll =
            self.task.own("poll").and_then(|written| frame.render(&written.value).ok()?.to_float()).unwrap_or(POLL_DEFAULT);
        Some(Background { seconds, poll: (poll > 0.0).then_some(poll), job: name() })
    }

    pub(super) async fn act_in_background(&self, frame: &Frame<'_>, wanted: &Background) -> Result<Answer, Problem> {
        let (module, args) = self.prepared(frame)?;
        if !actions::can_be_left(module.name) {
            return Err(Problem::new(format!("This action ({}) does not support async.", module.name)));
        }
        let hands = TaskHands::new(self, frame)?;
        match wanted.poll {
            _ if hands.is_check() => hands.module(module.name, args, Bodies::default()).await.map(Answer::of),
            None => hands.leaving(&wanted.job).module(module.name, args, Bodies::default()).await.map(Answer::of),
            Some(poll) => {
                let doing = hands.module(module.name, args, Bodies::default());
                self.watched(wanted, poll, doing).await
            }
        }
    }

    /// Waits for it as long as it may take, and says so every now and then.
    async fn watched(
        &self,
        wanted: &Background,
        poll: f64,
        doing: impl Future<Output = Result<Map, Problem>>,
    ) -> Result<Answer, Problem> {
        let (limit, started) = (Duration::from_secs(wanted.seconds), Instant::now());
        let mut clock = tokio::time::interval(Duration::from_secs_f64(poll.clamp(0.1, 1.0e6)));
        clock.tick().await;
        tokio::pin!(doing);
        let done = loop {
            tokio::select! {
                done = &mut doing => break done,
                _ = clock.tick() => self.tell_job("POLL", wanted, " started=True finished=False"),
                () = tokio::time::sleep((limit + HOST_GRACE).saturating_sub(started.elapsed())) => {
                    break Err(Problem::new(""));
                }
            }
        };
        match done {
            Ok(values) => {
                self.tell_job("OK", wanted, "");
                Ok(Answer::of(wanted.about(values)))
            }
            Err(problem) if problem.is_unreachable => Err(problem),
            Err(_) if started.elapsed() >= limit => {
                self.tell_job("FAILED", wanted, "");
                Err(wanted.overdue().into())
            }
            Err(problem) => {
                self.tell_job("FAILED", wanted, "");
                let failure = Failure { values: wanted.about(problem.failure.values), ..problem.failure };
                Err(Problem { failure, ..problem })
            }
        }
    }

    fn tell_job(&self, word: &str, wanted: &Background, more: &str) {
        let line = format!("ASYNC {word} on {}: jid={}{more}", self.host, wanted.job);
        self.run.emitter.emit(&Event::Told { line });
    }
}

impl Background {
    fn about(&self, mut values: Map) -> Map {
        values.insert("ansible_job_id".into(), self.job.as_str().into());
        values.insert("started".into(), true.into());
        values.insert("finished".into(), true.into());
        values
    }

    fn overdue(&self) -> Failure {
        let result = [("ansible_job_id", Value::from(self.job.as_str())), ("started", true.into()), ("finished", false.into())];
        Failure::new(format!("async task did not complete within the requested time - {}s", self.seconds))
            .with("async_result", result.into_iter().collect::<Value>())
    }
}

/// `j` with twelve digits, and the number of this process.
fn name() -> String {
    let number = RandomState::new().hash_one(std::process::id()) % 1_000_000_000_000;
    format!("j{number:012}.{}", std::process::id())
}
