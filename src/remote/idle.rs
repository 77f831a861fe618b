//! One request, and then: how long is its connection kept?

use super::http::resolve;
use crate::modules::{Failure, IdleEnd, Look};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// For the connection, and for the answer to begin.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// An answer is over when nothing more of it came for so long.
const PAUSE: Duration = Duration::from_millis(300);
const SAY_EVERY: Duration = Duration::from_secs(4);

pub(super) fn watch(look: &dyn Look, address: &str, path: &str, cap: Duration) -> Result<IdleEnd, Failure> {
    let failed = |error: io::Error| Failure::new(format!("{address}: {error}"));
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "80"));
    let port = port.parse().map_err(|_| Failure::new(format!("`{port}` is not a port")))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = resolve(look, host, port).map_err(failed)?.into_iter().next();
    let found = found.ok_or_else(|| Failure::new(format!("cannot resolve {host}")))?;
    let stream = TcpStream::connect_timeout(&found, ANSWER_MAX).map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: roll\r\nAccept: */*\r\n\r\n");
    let say =
        |waited: Duration| look.say(&format!("the app keeps an idle connection: {} of {} s", waited.as_secs(), cap.as_secs()));
    follow(stream, &request, cap, say).map_err(failed)
}

fn follow(mut stream: TcpStream, request: &str, cap: Duration, say: impl Fn(Duration)) -> io::Result<IdleEnd> {
    stream.write_all(request.as_bytes())?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let mut head = Vec::new();
    let mut part = [0; 4096];
    let mut answered = Instant::now();
    let mut said = answered;
    loop {
        match stream.read(&mut part) {
            Ok(0) if head.is_empty() => return Err(io::Error::other("closed without an answer")),
            Ok(0) if is_last(&head) || answered.elapsed() < PAUSE => return Ok(IdleEnd::NotKept),
            Ok(0) => return Ok(IdleEnd::Closed(answered.elapsed())),
            Ok(size) => {
                if head.len() < 64 << 10 {
                    head.extend_from_slice(&part[..size]);
                }
                answered = Instant::now();
                stream.set_read_timeout(Some(PAUSE))?;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) && !head.is_empty() => {
                if answered.elapsed() >= cap {
                    return Ok(IdleEnd::Open);
                }
                if said.elapsed() >= SAY_EVERY {
                    said = Instant::now();
                    say(answered.elapsed());
                }
            }
            // A reset ends it as well.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && !head.is_empty() => {
                return Ok(IdleEnd::Closed(answered.elapsed()));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the answer announces that no other may follow.
fn is_last(answer: &[u8]) -> bool {
    let head = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let head = head.split("\r\n\r\n").next().unwrap_or_default();
    let says = |value: &str| head.lines().any(|line| line.strip_prefix("connection:").is_some_and(|said| said.trim() == value));
    says("close") || (head.starts_with("http/1.0") && !says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc;

    /// An app that answers once and closes after so long.
    fn seen(answer: &'static str, keeps: Duration) -> IdleEnd {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (keep, kept) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = kept.recv_timeout(keeps);
        });
        let stream = TcpStream::connect(address).unwrap();
        let end = follow(stream, "GET /up HTTP/1.1\r\nHost: app\r\n\r\n", Duration::from_millis(1500), |_| ()).unwrap();
        drop(keep);
        end
    }

    #[test]
    fn the_end_of_an_idle_connection_is_timed() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let IdleEnd::Closed(after) = seen(plain, Duration::from_millis(800)) else { panic!("it closes") };
        assert!((700..1200).contains(&after.as_millis()), "{after:?}");
        assert!(matches!(seen(plain, Duration::from_secs(4)), IdleEnd::Open));
        assert!(matches!(seen("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", Duration::ZERO), IdleEnd::NotKept));
        assert!(matches!(seen("HTTP/1.0 200 OK\r\n\r\nok", Duration::from_millis(500)), IdleEnd::NotKept));
    }
}
