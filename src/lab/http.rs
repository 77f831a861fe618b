//! One small HTTP request on a connection of its own; for readiness and for reading HAProxy's counters.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::request::Builder;
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
    let request = Request::get(path).header("user-agent", agent);
    in_time(exchange(address, request, "")).await
}

/// Sends `body`; anything but 200 is an error.
pub(super) async fn post(address: &str, path: &str, body: &str) -> Result<String, String> {
    let answer = in_time(exchange(address, Request::post(path).header("user-agent", "roll-lab"), body)).await?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("{}: {}", answer.status, answer.body)) }
}

async fn in_time(exchange: impl Future<Output = Result<Answer, String>>) -> Result<Answer, String> {
    timeout(ANSWER_MAX, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_MAX.as_secs())))
}

async fn exchange(address: &str, request: Builder, body: &str) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = request.header("host", address).body(Full::new(Bytes::from(body.to_owned())));
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
