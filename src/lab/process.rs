//! Running another program to its end: input on stdin (never secrets in arguments), a deadline, and the tail of what it wrote.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::failure::LabError;

/// How much of a failing program's output is kept.
const TAIL_LINES: usize = 15;

/// One call of a program.
pub(super) struct Call {
    what: String,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, &'static str)>,
    input: Vec<u8>,
    deadline: Duration,
    ends_with_us: bool,
    pending: Option<Pending>,
}

/// A call that is under way, counted for as long as this lives.
pub(super) struct Pending(Arc<AtomicUsize>);

impl Pending {
    pub(super) fn one_of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Call {
    pub(super) fn new(what: impl Into<String>, program: impl AsRef<Path>) -> Self {
        Self {
            what: what.into(),
            program: program.as_ref().into(),
            args: Vec::new(),
            env: Vec::new(),
            input: Vec::new(),
            deadline: Duration::from_secs(60),
            ends_with_us: false,
            pending: None,
        }
    }

    pub(super) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    pub(super) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    pub(super) fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Ends the program when nobody waits for it any more. A call to the engine is better brought to its end.
    pub(super) fn ending_with_us(mut self) -> Self {
        self.ends_with_us = true;
        self
    }

    /// Counts the call for as long as it is under way.
    pub(super) fn counted(mut self, pending: Pending) -> Self {
        self.pending = Some(pending);
        self
    }

    /// Runs it; what it wrote to stdout. A failing exit is an error.
    pub(super) async fn run(self) -> Result<String, LabError> {
        if self.ends_with_us {
            return self.execute().await;
        }
        // In a job of its own, so that it is brought to its end, and counted, even if the one who asked is gone.
        let program = self.program.to_string_lossy().into_owned();
        let lost = |error| Err(LabError::Start { program, source: std::io::Error::other(error) });
        tokio::spawn(self.execute()).await.unwrap_or_else(lost)
    }

    async fn execute(self) -> Result<String, LabError> {
        let Self { what, program, args, env, input, deadline, ends_with_us, pending: _pending } = self;
        let start = |source| LabError::Start { program: program.to_string_lossy().into_owned(), source };
        // A group of its own: Ctrl-C at the terminal must not cut a call to the engine in half.
        let mut child = Command::new(&program)
            .args(&args)
            .envs(env)
            .process_group(0)
            .kill_on_drop(ends_with_us)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let pid = child.id();
        let stdin = child.stdin.take();
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A program that ends without reading all of it says why itself.
                let _ = stdin.write_all(&input).await;
            }
        };
        let both = async { tokio::join!(feed, child.wait_with_output()).1 };
        let Ok(output) = tokio::time::timeout(deadline, both).await else {
            stop_group(pid).await;
            return Err(LabError::Late { on: what, seconds: deadline.as_secs(), tail: String::new() });
        };
        let output = output.map_err(start)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
        Err(LabError::Command { what, status: output.status.code(), tail: tail(&String::from_utf8_lossy(said)) })
    }
}

/// Ends a program that took too long, with all it started.
async fn stop_group(pid: Option<u32>) {
    if let Some(pid) = pid {
        let _ = Command::new("kill").arg("-KILL").arg("--").arg(format!("-{pid}")).status().await;
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Where `program` is on the search path.
pub(super) fn on_path(program: &str) -> Option<std::path::PathBuf> {
    let mut dirs: Vec<_> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    dirs.extend(["/usr/sbin", "/sbin"].map(Into::into));
    dirs.into_iter().map(|dir| dir.join(program)).find(|path| path.is_file())
}
