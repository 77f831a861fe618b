//! As much of an HTTP server as the API needs: one request after the other on a connection, bodies of a known length.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// More than any call of the API takes.
const BODY_MAX: usize = 1 << 20;
const LINE_MAX: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) request_id: String,
    pub(super) body: String,
}

/// Serves until it is dropped.
pub(super) async fn serve<F>(listener: TcpListener, answer: impl Fn(Request) -> F + Clone + Send + 'static)
where
    F: Future<Output = Option<Answer>> + Send,
{
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let answer = answer.clone();
        connections.spawn(async move {
            // A client that goes away is nobody's concern.
            let _ = converse(stream, answer).await;
        });
    }
}

async fn converse<F>(stream: TcpStream, answer: impl Fn(Request) -> F) -> io::Result<()>
where
    F: Future<Output = Option<Answer>>,
{
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let Some(answer) = answer(request).await else { return Ok(()) };
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {}\r\nx-amzn-requestid: {}\r\ncontent-length: {}\r\n\r\n",
            answer.status,
            if answer.status < 400 { "OK" } else { "No" },
            answer.kind,
            answer.request_id,
            answer.body.len(),
        );
        stream.write_all((head + &answer.body).as_bytes()).await?;
    }
    Ok(())
}

/// `None` where the client has closed the connection.
async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let line = line(stream).await?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let line = self::line(stream).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    if length > BODY_MAX {
        return Err(io::Error::other("a body that is too long"));
    }
    if headers.get("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Request { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    stream.take(LINE_MAX).read_line(&mut line).await?;
    Ok(line)
}
