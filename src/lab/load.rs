//! Open-loop load: requests arrive at a fixed rate, whatever becomes of those before them, as from many clients that know nothing of
//! each other. A slow answer therefore delays nobody but the one who asked, and a server that stalls is seen by everyone.
//!
//! Connections are kept alive and used again. An idle one that the other side closed is noticed before anything is written, and
//! replaced; a request that was written and got no whole answer has failed, as it has for any client that must not send it twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How long a client keeps a connection that it does not use; shorter than the balancer does.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// How many failures are kept with their details.
const EXAMPLES_MAX: usize = 20;

/// What load to put on which address.
#[derive(Debug, Clone)]
pub(crate) struct LoadPlan {
    /// host:port
    pub(crate) address: String,
    pub(crate) requests_per_second: u32,
    /// Asked for in turn.
    pub(crate) paths: Vec<String>,
    /// A path that takes long to answer, and how often it is asked for.
    pub(crate) slow: Option<(String, Duration)>,
    /// How long an answer may take.
    pub(crate) answer_max: Duration,
    /// Bounds, should nobody stop it.
    pub(crate) requests_max: u64,
    pub(crate) duration_max: Duration,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// An answer of the 5xx kind.
    ServerError,
    /// Another answer than 200.
    Unexpected,
    /// The connection ended before the whole answer was there.
    Reset,
    Timeout,
    /// No connection could be made.
    Connect,
}

/// How many requests failed for which reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Losses {
    pub(crate) server_errors: u64,
    pub(crate) unexpected: u64,
    pub(crate) resets: u64,
    pub(crate) timeouts: u64,
    pub(crate) connects: u64,
}

impl Losses {
    fn add(&mut self, loss: Loss) {
        *match loss {
            Loss::ServerError => &mut self.server_errors,
            Loss::Unexpected => &mut self.unexpected,
            Loss::Reset => &mut self.resets,
            Loss::Timeout => &mut self.timeouts,
            Loss::Connect => &mut self.connects,
        } += 1;
    }
}

/// One failed request.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Example {
    /// Since the load began.
    pub(crate) at_seconds: f64,
    pub(crate) path: String,
    pub(crate) loss: Loss,
    pub(crate) detail: String,
}

/// What the clients saw.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) losses: Losses,
    /// How many of the sent ones were slow on purpose; they are not in the percentiles.
    pub(crate) slow: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) examples: Vec<Example>,
}

/// A tally while it is still being counted.
#[derive(Default)]
struct Count {
    tally: Tally,
    latencies: Vec<Duration>,
}

/// Load that runs until it is stopped; dropping it abandons it.
#[derive(Debug)]
pub(crate) struct Load {
    stop: oneshot::Sender<()>,
    /// A set of one, because a set ends its jobs when it is dropped.
    job: JoinSet<Tally>,
}

impl Load {
    pub(crate) fn start(plan: LoadPlan) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut job = JoinSet::new();
        job.spawn(drive(plan, stopped));
        Self { stop, job }
    }

    /// Sends nothing more, waits for the answers that are still due, and counts.
    pub(crate) async fn stop(mut self) -> Tally {
        let _ = self.stop.send(());
        // A job that was lost counted nothing, which no verdict accepts.
        self.job.join_next().await.and_then(Result::ok).unwrap_or_default()
    }
}

struct Client {
    plan: LoadPlan,
    idle: Mutex<Vec<(SendRequest<Empty<Bytes>>, Instant)>>,
}

/// One request that is due.
struct Due {
    path: String,
    at: Instant,
    is_slow: bool,
}

struct Outcome {
    due: Due,
    took: Duration,
    result: Result<(), (Loss, String)>,
}

async fn drive(plan: LoadPlan, mut stopped: oneshot::Receiver<()>) -> Tally {
    let began = Instant::now();
    let mut quick = interval_at(began, Duration::from_secs(1) / plan.requests_per_second.max(1));
    let mut slow = interval_at(began, plan.slow.as_ref().map_or(plan.duration_max, |(_, every)| *every));
    for ticks in [&mut quick, &mut slow] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let end = tokio::time::sleep(plan.duration_max);
    tokio::pin!(end);
    let client = Arc::new(Client { plan, idle: Mutex::default() });
    let mut count = Count::default();
    let mut flying = JoinSet::new();
    while count.tally.sent < client.plan.requests_max {
        let due = tokio::select! {
            at = quick.tick() => client.quick(count.tally.sent, at),
            at = slow.tick() => client.slow(at),
            Some(landed) = flying.join_next() => {
                count.add(landed, began);
                None
            }
            _ = &mut stopped => break,
            () = &mut end => break,
        };
        if let Some(due) = due {
            count.tally.sent += 1;
            let client = client.clone();
            flying.spawn(async move { client.ask(due).await });
        }
    }
    while let Some(landed) = flying.join_next().await {
        count.add(landed, began);
    }
    count.finish()
}

impl Client {
    fn quick(&self, number: u64, at: Instant) -> Option<Due> {
        let paths = u64::try_from(self.plan.paths.len()).ok().filter(|paths| *paths > 0)?;
        let path = self.plan.paths.get(usize::try_from(number % paths).ok()?)?.clone();
        Some(Due { path, at, is_slow: false })
    }

    fn slow(&self, at: Instant) -> Option<Due> {
        let (path, _) = self.plan.slow.as_ref()?;
        Some(Due { path: path.clone(), at, is_slow: true })
    }

    async fn ask(&self, due: Due) -> Outcome {
        let result = match timeout(self.plan.answer_max, self.exchange(&due.path)).await {
            Ok(result) => result,
            Err(_) => Err((Loss::Timeout, format!("no answer within {} s", self.plan.answer_max.as_secs()))),
        };
        // From when it was due, not from when it was written: a client does not care where it had to wait.
        Outcome { took: due.at.elapsed(), due, result }
    }

    async fn exchange(&self, path: &str) -> Result<(), (Loss, String)> {
        let request = Request::get(path).header("host", &self.plan.address).header("user-agent", "roll-rehearse");
        let mut request = request.body(Empty::new()).map_err(|error| (Loss::Unexpected, error.to_string()))?;
        loop {
            let (mut sender, is_used) = self.sender().await?;
            match sender.try_send_request(request).await {
                Ok(answer) => {
                    let status = answer.status();
                    answer.into_body().collect().await.map_err(|error| reset(&error))?;
                    self.keep(sender).await;
                    return judged(status);
                }
                Err(mut refused) => match refused.take_message() {
                    // Closed while it was idle, and nothing of the request was written.
                    Some(unsent) if is_used => request = unsent,
                    _ => return Err(reset(&refused.into_error())),
                },
            }
        }
    }

    /// An idle connection, or a new one; whether it was used before.
    async fn sender(&self) -> Result<(SendRequest<Empty<Bytes>>, bool), (Loss, String)> {
        while let Some((sender, since)) = self.idle().pop() {
            if since.elapsed() < IDLE_MAX && sender.is_ready() {
                return Ok((sender, true));
            }
        }
        let refused = |error: std::io::Error| (Loss::Connect, error.to_string());
        let stream = TcpStream::connect(&self.plan.address).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| reset(&error))?;
        // Ends when the sender is dropped.
        tokio::spawn(connection);
        Ok((sender, false))
    }

    async fn keep(&self, mut sender: SendRequest<Empty<Bytes>>) {
        if sender.ready().await.is_ok() {
            self.idle().push((sender, Instant::now()));
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(SendRequest<Empty<Bytes>>, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judged(status: StatusCode) -> Result<(), (Loss, String)> {
    match status {
        StatusCode::OK => Ok(()),
        other if other.is_server_error() => Err((Loss::ServerError, other.to_string())),
        other => Err((Loss::Unexpected, other.to_string())),
    }
}

fn reset(error: &hyper::Error) -> (Loss, String) {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    (Loss::Reset, format!("{error}{cause}"))
}

impl Count {
    fn add(&mut self, landed: Result<Outcome, tokio::task::JoinError>, began: Instant) {
        // A job that was lost has not answered; `finish` counts what is missing as failed.
        let Ok(Outcome { due, took, result }) = landed else { return };
        let tally = &mut self.tally;
        tally.slow += u64::from(due.is_slow);
        match result {
            Ok(()) => {
                tally.ok += 1;
                if !due.is_slow {
                    self.latencies.push(took);
                }
            }
            Err((loss, detail)) => {
                tally.losses.add(loss);
                if tally.examples.len() < EXAMPLES_MAX {
                    let at_seconds = due.at.duration_since(began).as_secs_f64();
                    tally.examples.push(Example { at_seconds, path: due.path, loss, detail });
                }
            }
        }
    }

    fn finish(mut self) -> Tally {
        self.latencies.sort_unstable();
        let failed = self.tally.sent - self.tally.ok;
        Tally { failed, p50_ms: percentile(&self.latencies, 50), p99_ms: percentile(&self.latencies, 99), ..self.tally }
    }
}

/// The smallest latency that at least `percent` of all do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    let found = sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default();
    (found.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";

    /// What a server does with the n-th request on a connection: answer and go on, answer and close, or close without an answer.
    #[derive(Clone, Copy)]
    enum Deed {
        Answer(&'static [u8]),
        AnswerThenClose(&'static [u8]),
        Close,
    }

    async fn server(deed: Deed) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 2048];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        let answer = match deed {
                            Deed::Answer(answer) | Deed::AnswerThenClose(answer) => answer,
                            Deed::Close => return,
                        };
                        stream.write_all(answer).await.unwrap();
                        if matches!(deed, Deed::AnswerThenClose(_)) {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    fn plan(address: String) -> LoadPlan {
        LoadPlan {
            address,
            requests_per_second: 50,
            paths: vec!["/a".into(), "/b".into()],
            slow: Some(("/slow".into(), Duration::from_millis(50))),
            answer_max: Duration::from_secs(2),
            requests_max: 10_000,
            duration_max: Duration::from_secs(5),
        }
    }

    async fn tally_of(deed: Deed) -> Tally {
        let load = Load::start(plan(server(deed).await));
        tokio::time::sleep(Duration::from_millis(300)).await;
        load.stop().await
    }

    #[tokio::test]
    async fn answered_requests_are_counted_and_timed() {
        let tally = tally_of(Deed::Answer(OK)).await;
        assert!(tally.sent > 10 && tally.ok == tally.sent && tally.failed == 0, "{tally:?}");
        assert!(tally.slow >= 3 && tally.p99_ms >= tally.p50_ms && tally.p50_ms > 0.0, "{tally:?}");
    }

    #[tokio::test]
    async fn an_answer_of_the_5xx_kind_is_a_failure() {
        let tally = tally_of(Deed::Answer(BAD_GATEWAY)).await;
        assert!(tally.sent > 0 && tally.losses.server_errors == tally.sent, "{tally:?}");
    }

    #[tokio::test]
    async fn a_request_that_was_written_and_not_answered_is_a_failure() {
        let tally = tally_of(Deed::Close).await;
        assert!(tally.sent > 0 && tally.losses.resets == tally.sent && !tally.examples.is_empty(), "{tally:?}");
    }

    #[tokio::test]
    async fn a_connection_closed_while_idle_is_replaced() {
        let tally = tally_of(Deed::AnswerThenClose(OK)).await;
        assert!(tally.sent > 0 && tally.failed == 0, "{tally:?}");
    }

    #[tokio::test]
    async fn nobody_listening_is_a_failure_to_connect() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let load = Load::start(plan(address));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let tally = load.stop().await;
        assert!(tally.sent > 0 && tally.losses.connects == tally.sent, "{tally:?}");
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!((percentile(&sorted, 50), percentile(&sorted, 99)), (100.0, 198.0));
        assert_eq!(percentile(&[], 50), 0.0);
    }
}
