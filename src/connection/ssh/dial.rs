//! The byte stream below SSH: TCP, or a proxy command's standard input and output.

use super::route::Route;
use crate::connection::{ConnectError, Stage};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Anything that SSH can be spoken over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Connects to the first address of the host that answers.
pub(super) async fn tcp(route: &Route) -> Result<PromptTcp, ConnectError> {
    let host = || route.title.clone();
    let not_found = |reason: String| ConnectError::NameNotFound { host: host(), name: route.host.clone(), reason };
    let found = tokio::net::lookup_host((route.host.as_str(), route.port));
    let timeout = |address: String| ConnectError::Timeout { host: host(), address, after: route.timeout, stage: Stage::Tcp };
    let addresses: Vec<SocketAddr> = match tokio::time::timeout(route.timeout, found).await {
        Ok(found) => found.map_err(|error| not_found(error.to_string()))?.collect(),
        Err(_) => return Err(not_found(format!("no answer after {} s", route.timeout.as_secs()))),
    };
    let mut failure = not_found("it has no address".to_owned());
    for address in addresses {
        match tokio::time::timeout(route.timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(PromptTcp::new(stream)),
            Ok(Err(error)) => failure = refusal(route, address, &error),
            Err(_) => failure = timeout(address.to_string()),
        }
    }
    Err(failure)
}

fn refusal(route: &Route, address: SocketAddr, error: &io::Error) -> ConnectError {
    let (host, address) = (route.title.clone(), address.to_string());
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused { host, address },
        io::ErrorKind::TimedOut => ConnectError::Timeout { host, address, after: route.timeout, stage: Stage::Tcp },
        _ => ConnectError::Unreachable { host, address, reason: plain(error) },
    }
}

/// The error without the number that Rust adds to it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// TCP that waits for nothing: small writes go out at once, and what was read is acknowledged at once.
///
/// An SSH server switches its own waiting (Nagle) off only when a session starts; until then every answer of it would wait
/// for our delayed acknowledgement, 40 ms each. The kernel drops the wish after a while, so it is renewed at each read.
#[derive(Debug)]
pub(super) struct PromptTcp {
    stream: TcpStream,
}

impl PromptTcp {
    fn new(stream: TcpStream) -> PromptTcp {
        // Only slower where it fails.
        _ = stream.set_nodelay(true);
        PromptTcp { stream }
    }
}

impl AsyncRead for PromptTcp {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let answer = Pin::new(&mut self.stream).poll_read(context, buffer);
        #[cfg(target_os = "linux")]
        if answer.is_ready() {
            _ = self.stream.set_quickack(true);
        }
        answer
    }
}

impl AsyncWrite for PromptTcp {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A proxy command that runs; it ends with the stream.
#[derive(Debug)]
pub(super) struct ProxyStream {
    output: ChildStdout,
    input: ChildStdin,
    _child: Child,
}

const LAST_WORDS_TRIES: u32 = 25;
const LAST_WORDS_EVERY: std::time::Duration = std::time::Duration::from_millis(20);

/// The last words of a proxy command on its standard error.
pub(super) type LastWords = Arc<Mutex<String>>;

/// A command that ends breaks its pipe before its last words are read: they get a moment to arrive.
pub(super) async fn hear_out(words: &LastWords) {
    for _ in 0..LAST_WORDS_TRIES {
        if !words.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        tokio::time::sleep(LAST_WORDS_EVERY).await;
    }
}

pub(super) fn proxy(route: &Route, command: &str) -> Result<(ProxyStream, LastWords), ConnectError> {
    let failed = |reason: String| ConnectError::Proxy { host: route.title.clone(), command: command.to_owned(), reason };
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal is for us to handle, not for it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(plain(&error)))?;
    let (Some(input), Some(output), Some(mut errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
        return Err(failed("it has no standard input and output".to_owned()));
    };
    let words = LastWords::default();
    let heard = words.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(size @ 1..) = errors.read(&mut buffer).await {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.len() < 4096 {
                heard.push_str(&String::from_utf8_lossy(&buffer[..size]));
            }
        }
    });
    Ok((ProxyStream { output, input, _child: child }, words))
}

impl AsyncRead for ProxyStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
