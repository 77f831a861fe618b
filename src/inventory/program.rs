//! Running a program for what it prints: inventory scripts and Terraform.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const OUTPUT_MAX: u64 = crate::yaml::BYTES_MAX as u64;
const ERRORS_MAX: u64 = 64 * 1024;
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why there is no output.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    Missing,
    Start(String),
    Failed { code: Option<i32>, tail: String },
    Late(Duration),
    TooMuch,
}

impl Fault {
    /// What the program did, and what it said about it.
    pub(super) fn words(&self) -> (String, String) {
        match self {
            Fault::Missing => ("is not installed".to_owned(), String::new()),
            Fault::Start(why) => ("could not be started".to_owned(), why.clone()),
            Fault::Failed { code: Some(code), tail } => (format!("ended with exit code {code}"), tail.clone()),
            Fault::Failed { code: None, tail } => ("was killed".to_owned(), tail.clone()),
            Fault::Late(limit) => (format!("did not end within {} s", limit.as_secs()), String::new()),
            Fault::TooMuch => (format!("printed more than {} MiB", OUTPUT_MAX >> 20), String::new()),
        }
    }
}

/// What the program prints, if it ends well and in time. It gets no input.
pub(super) fn run(program: &Path, args: &[&str], folder: &Path, limit: Duration) -> Result<String, Fault> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.current_dir(folder).env("TF_IN_AUTOMATION", "1").env("TF_INPUT", "0");
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Fault::Missing,
        _ => Fault::Start(error.to_string()),
    })?;
    let deadline = Instant::now() + limit;
    let output = collect(child.stdout.take(), OUTPUT_MAX + 1);
    let errors = collect(child.stderr.take(), ERRORS_MAX);
    let ended = wait(&mut child, deadline);
    // A child of the program may hold the pipes open longer than the program lives.
    let left = deadline.saturating_duration_since(Instant::now());
    let output = output.recv_timeout(left).ok();
    let code = ended?;
    if code != Some(0) {
        let errors = errors.recv_timeout(left).unwrap_or_default();
        return Err(Fault::Failed { code, tail: tail(&String::from_utf8_lossy(&errors)) });
    }
    let output = output.ok_or(Fault::Late(limit))?;
    if output.len() as u64 > OUTPUT_MAX {
        return Err(Fault::TooMuch);
    }
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Reads a pipe to its end beside everything else, and keeps at most `most` bytes.
fn collect(pipe: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(most).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(kept);
    });
    receiver
}

fn wait(child: &mut Child, deadline: Instant) -> Result<Option<i32>, Fault> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.code()),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_AGAIN),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Fault::Late(deadline.saturating_duration_since(started)));
            }
            Err(error) => return Err(Fault::Start(error.to_string())),
        }
    }
}

/// The last lines that say something.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<String, Fault> {
        run(Path::new("/bin/sh"), &["-c", script], Path::new("/"), limit)
    }

    #[test]
    fn output_failure_and_lateness() {
        let second = Duration::from_secs(20);
        assert_eq!(sh("echo a; echo b >&2", second), Ok("a\n".to_owned()));
        assert_eq!(sh("echo why >&2; exit 3", second), Err(Fault::Failed { code: Some(3), tail: "why".to_owned() }));
        assert_eq!(run(Path::new("/no/such/program"), &[], Path::new("/"), second), Err(Fault::Missing));
        let start = Instant::now();
        assert!(matches!(sh("sleep 30", Duration::from_millis(100)), Err(Fault::Late(_))));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
