//! One small HTTP request on a connection of its own; for readiness and for reading HAProxy's counters.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::failure::LabError;

/// How long one answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Asks `address` (host:port) for `path`.
pub(super) async fn get(address: &str, path: &str) -> Result<Answer, String> {
    get_as(address, path, "roll-lab").await
}

/// The same, by a client of a certain name.
pub(super) async fn get_as(address: &str, path: &str, agent: &str) -> Result<Answer, String> {
    match timeout(ANSWER_MAX, exchange(address, path, agent)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", ANSWER_MAX.as_secs())),
    }
}

async fn exchange(address: &str, path: &str, agent: &str) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = Request::get(path).header("host", address).header("user-agent", agent).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(connection);
    let exchanged: Result<Answer, hyper::Error> = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
    .await;
    exchanged.map_err(|error| error.to_string())
}

/// Waits until `path` is answered with 200.
pub(super) async fn wait_for_ok(address: &str, path: &str, deadline: Duration) -> Result<(), LabError> {
    let until = Instant::now() + deadline;
    loop {
        let last = match get(address, path).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("answered {}", answer.status),
            Err(because) => because,
        };
        if Instant::now() >= until {
            return Err(LabError::Late { on: format!("`http://{address}{path}`"), seconds: deadline.as_secs(), tail: last });
        }
        sleep(Duration::from_millis(100)).await;
    }
}
