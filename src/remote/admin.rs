//! HAProxy's runtime API: a line each over the admin socket.

use crate::modules::touch::Tell;
use crate::modules::{Done, Failure};
use crate::value::Map;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// `show stat` of a large balancer is some hundred kilobytes.
const ANSWER_MAX: u64 = 16 << 20;

/// One command, and all that is said to it.
pub(super) fn ask(path: &str, line: &str, timeout: Duration) -> Result<String, Failure> {
    if line.contains('\n') {
        return Err(Failure::new("one command for haproxy is one line"));
    }
    spoken(path, line, timeout.max(Duration::from_millis(1)))
        .map_err(|error| Failure::io(format_args!("cannot talk to haproxy at {path}"), &error))
}

fn spoken(path: &str, line: &str, timeout: Duration) -> io::Result<String> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(timeout))?;
    socket.set_write_timeout(Some(timeout))?;
    socket.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = Vec::new();
    socket.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

pub(super) fn tell(tell: &Tell, timeout: Duration) -> Result<Done, Failure> {
    let answer = ask(&tell.socket, &tell.line, timeout)?;
    if !tell.any_answer && !answer.trim().is_empty() {
        return Err(tell.refused(&answer));
    }
    let values = [("command", tell.line.as_str().into()), ("answer", answer.into()), ("found", tell.found.clone())];
    Ok(Done { values: values.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map>(), changed: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    /// Says the same to everybody.
    fn server(path: &std::path::Path, answers: &'static [&'static str]) -> JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(path).unwrap();
        thread::spawn(move || {
            let mut asked = Vec::new();
            for (answer, stream) in answers.iter().zip(listener.incoming().flatten()) {
                let mut line = String::new();
                io::BufRead::read_line(&mut io::BufReader::new(&stream), &mut line).unwrap();
                (&stream).write_all(answer.as_bytes()).unwrap();
                asked.push(line);
            }
            asked
        })
    }

    #[test]
    fn an_answer_to_an_order_is_a_refusal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let server = server(&path, &["a,b\n", "\n", "No such server.\n\n", "No such server.\n\n"]);
        let socket = path.to_string_lossy().into_owned();
        let order = Tell { socket: socket.clone(), line: "disable server b/s".into(), any_answer: false, found: "UP".into() };
        assert_eq!(ask(&socket, "show stat", TIMEOUT).unwrap(), "a,b\n");
        assert_eq!(tell(&order, TIMEOUT).unwrap().values.get("found"), Some(&Value::from("UP")));
        let refused = tell(&order, TIMEOUT).unwrap_err();
        assert!(refused.msg.contains("haproxy refused `disable server b/s`: No such server."), "{}", refused.msg);
        let wanted = tell(&Tell { any_answer: true, ..order }, TIMEOUT).unwrap();
        assert_eq!(wanted.values.get("answer"), Some(&Value::from("No such server.\n\n")));
        let order = "disable server b/s\n".to_owned();
        assert_eq!(server.join().unwrap(), ["show stat\n".to_owned(), order.clone(), order.clone(), order]);
    }

    #[test]
    fn nobody_there_is_said() {
        let gone = ask("/nowhere/admin.sock", "show stat", TIMEOUT).unwrap_err();
        assert!(gone.msg.contains("cannot talk to haproxy at /nowhere/admin.sock: No such file"), "{}", gone.msg);
        assert!(ask("/nowhere/admin.sock", "show stat\nshow info", TIMEOUT).is_err());
    }
}
