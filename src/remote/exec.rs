//! Running programs: no shell, own process group, output read while it comes, killed as a whole when its time is up.

use super::line::Line;
use crate::modules::{Cmd, Failure, Output};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// A program that has ended may have left something behind that holds its output open: so long is waited for more of it.
const GRACE: Duration = Duration::from_millis(200);
/// Output beyond this is a runaway program.
const OUTPUT_MAX: usize = 48 << 20;

enum Report {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// One of the two is at its end.
    Closed,
    Exited(io::Result<ExitStatus>),
}

/// Runs it to its end. `env` comes before the command's own; `deadline` is the task's, beside the command's own limit.
pub(super) fn run(line: &Line, cmd: &Cmd, env: &[(String, String)], deadline: Option<Instant>) -> Result<Output, Failure> {
    let own = cmd.timeout.map(|limit| Instant::now() + limit);
    let deadline = [own, deadline].into_iter().flatten().min();
    let mut child = spawn(cmd, env)?;
    adopt(line, &child);
    let group = group_of(&child);
    let (reports, waiting) = watch(&mut child, cmd.stdin.clone());
    std::thread::spawn(move || drop(waiting.send(Report::Exited(child.wait()))));
    let output = collect(cmd, &reports, group, deadline);
    line.adopt(None);
    output
}

fn spawn(cmd: &Cmd, env: &[(String, String)]) -> Result<Child, Failure> {
    let program = cmd.argv.first().ok_or_else(|| Failure::new("no command given").with("rc", 256))?;
    if let Some(dir) = &cmd.chdir
        && let Err(error) = std::fs::read_dir(dir)
        && !std::path::Path::new(dir).is_dir()
    {
        return Err(Failure::io(format_args!("Unable to change directory before execution: {dir}"), &error));
    }
    let mut command = Command::new(program);
    command
        .args(&cmd.argv[1..])
        .envs(env.iter().chain(&cmd.env).map(|(name, value)| (name, value)))
        .stdin(if cmd.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(dir) = &cmd.chdir {
        command.current_dir(dir);
    }
    let mask = cmd.umask.map(|mask| rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)));
    let child = command.spawn();
    if let Some(mask) = mask {
        rustix::process::umask(mask);
    }
    child.map_err(|error| {
        Failure::io(format_args!("Error executing command: {program}"), &error)
            .with("rc", error.raw_os_error().unwrap_or(257))
            .with("stdout", "")
            .with("stderr", "")
    })
}

/// One thread for each of the three streams.
fn watch(child: &mut Child, stdin: Option<Vec<u8>>) -> (Receiver<Report>, Sender<Report>) {
    let (sender, reports) = channel();
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        std::thread::spawn(move || forward(stdout, &sender, Report::Stdout));
    }
    if let Some(stderr) = child.stderr.take() {
        let sender = sender.clone();
        std::thread::spawn(move || forward(stderr, &sender, Report::Stderr));
    }
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
        // A program need not read what it is given.
        std::thread::spawn(move || drop(pipe.write_all(&bytes)));
    }
    (reports, sender)
}

fn forward(mut stream: impl Read, reports: &Sender<Report>, kind: fn(Vec<u8>) -> Report) {
    let mut piece = vec![0; 32 << 10];
    while let Ok(size) = stream.read(&mut piece) {
        if size == 0 || reports.send(kind(piece[..size].to_vec())).is_err() {
            break;
        }
    }
    // The other end is gone where the output is not wanted any more.
    let _ = reports.send(Report::Closed);
}

fn collect(cmd: &Cmd, reports: &Receiver<Report>, group: Option<Pid>, deadline: Option<Instant>) -> Result<Output, Failure> {
    let mut output = Output::default();
    let (mut status, mut open) = (None, 2);
    while status.is_none() || open > 0 {
        let patience = match (&status, deadline) {
            (Some(_), _) => GRACE,
            (None, Some(deadline)) => deadline.saturating_duration_since(Instant::now()),
            (None, None) => Duration::from_secs(3600),
        };
        match reports.recv_timeout(patience) {
            Ok(Report::Stdout(bytes)) => output.stdout.extend(bytes),
            Ok(Report::Stderr(bytes)) => output.stderr.extend(bytes),
            Ok(Report::Closed) => open -= 1,
            Ok(Report::Exited(ended)) => {
                status = Some(ended.map_err(|error| Failure::io("cannot wait for the command", &error))?);
            }
            Err(_) if status.is_some() => break,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if deadline.is_none() => {}
            Err(RecvTimeoutError::Timeout) => {
                kill(group);
                return Err(overdue(cmd, &output));
            }
        }
        if output.stdout.len() + output.stderr.len() > OUTPUT_MAX {
            kill(group);
            return Err(Failure::new(format!("the command wrote more than {} MiB and was killed", OUTPUT_MAX >> 20)));
        }
    }
    let status = status.unwrap_or_default();
    output.code = status.code().unwrap_or_else(|| -status.signal().unwrap_or(1));
    Ok(output)
}

/// Makes a program that was started elsewhere die with the connection.
pub(super) fn adopt(line: &Line, child: &Child) {
    let group = group_of(child);
    if !line.adopt(group) {
        kill(group);
    }
}

fn group_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn overdue(cmd: &Cmd, output: &Output) -> Failure {
    let program = cmd.argv.first().map_or("", String::as_str);
    Failure::new(format!("the command `{program}` took longer than its time limit and was killed"))
        .with("timedout", true)
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text())
}
