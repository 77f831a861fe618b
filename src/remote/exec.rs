//! Running programs: no shell, own process group, output read while it comes, killed as a whole when its time is up.

use super::line::Line;
use crate::modules::{Cmd, Failure, Output, words};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program that has ended may have left something behind that holds its output open: so long is waited for more of it.
const GRACE: Duration = Duration::from_millis(200);
/// Output beyond this is a runaway program.
const OUTPUT_MAX: usize = 48 << 20;

/// Before Linux 5.3 nothing tells when a program has ended: so often is asked, first while it may still write and then when it cannot.
const GLANCES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(1)];

/// A program that was started, and what it has said so far.
struct Running {
    child: Child,
    /// Can be read when it has ended.
    ending: Option<OwnedFd>,
    /// Standard output and standard error, until they are at their ends.
    streams: [Option<OwnedFd>; 2],
    said: [Vec<u8>; 2],
    status: Option<ExitStatus>,
}

/// Runs it to its end. `env` comes before the command's own; `deadline` is the task's, beside the command's own limit.
pub(super) fn run(line: &Line, cmd: &Cmd, env: &[(String, String)], deadline: Option<Instant>) -> Result<Output, Failure> {
    let own = cmd.timeout.map(|limit| Instant::now() + limit);
    let deadline = [own, deadline].into_iter().flatten().min();
    let mut child = spawn(cmd, env)?;
    adopt(line, &child);
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), cmd.stdin.clone()) {
        // A program need not read what it is given.
        std::thread::spawn(move || drop(pipe.write_all(&bytes)));
    }
    let mut running = Running::new(child);
    let ended = running.watch(cmd, deadline);
    line.adopt(None);
    match ended {
        Ok(()) => Ok(running.output()),
        Err(failure) => {
            kill(group_of(&running.child));
            // It may take its time to die.
            std::thread::spawn(move || running.child.wait());
            Err(failure)
        }
    }
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
            .with("cmd", cmd.argv.iter().map(|word| words::quote(word)).collect::<Vec<_>>().join(" "))
            .with("rc", error.raw_os_error().unwrap_or(257))
            .with("stdout", "")
            .with("stderr", "")
    })
}

impl Running {
    fn new(mut child: Child) -> Running {
        let ending = group_of(&child).and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok());
        let streams = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        Running { child, ending, streams, said: [Vec::new(), Vec::new()], status: None }
    }

    /// Takes in what it says until it has ended.
    fn watch(&mut self, cmd: &Cmd, deadline: Option<Instant>) -> Result<(), Failure> {
        while self.status.is_none() || self.streams.iter().any(Option::is_some) {
            let has_moved = self.step(deadline).map_err(|error| Failure::io("cannot wait for the command", &error))?;
            if self.said.iter().map(Vec::len).sum::<usize>() > OUTPUT_MAX {
                return Err(Failure::new(format!("the command wrote more than {} MiB and was killed", OUTPUT_MAX >> 20)));
            }
            if self.status.is_none() && deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(overdue(cmd, &self.output()));
            }
            if self.status.is_some() && !has_moved {
                break;
            }
        }
        Ok(())
    }

    /// Waits until something happens, and takes it in; false if nothing did for as long as it is waited.
    fn step(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        let [stdout, stderr, ending] = self.ready(self.patience(deadline))?;
        for (place, is_ready) in [stdout, stderr].into_iter().enumerate() {
            if is_ready {
                self.read(place);
            }
        }
        let was_running = self.status.is_none();
        if was_running && (ending || self.ending.is_none()) {
            self.status = self.child.try_wait()?;
        }
        let has_ended = was_running && self.status.is_some();
        if has_ended {
            self.ending = None;
        }
        Ok(stdout || stderr || has_ended)
    }

    fn patience(&self, deadline: Option<Instant>) -> Duration {
        if self.status.is_some() {
            return GRACE;
        }
        let left = deadline.map_or(Duration::from_secs(3600), |deadline| deadline.saturating_duration_since(Instant::now()));
        match (&self.ending, self.streams.iter().any(Option::is_some)) {
            (Some(_), _) => left,
            (None, true) => left.min(GLANCES[0]),
            (None, false) => left.min(GLANCES[1]),
        }
    }

    fn ready(&self, patience: Duration) -> io::Result<[bool; 3]> {
        let sources = [&self.streams[0], &self.streams[1], &self.ending];
        let mut polled: Vec<PollFd<'_>> =
            sources.into_iter().flatten().map(|source| PollFd::new(source, PollFlags::IN)).collect();
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        retry_on_intr(|| poll(&mut polled, Some(&patience)))?;
        let mut answers = polled.iter().map(|one| !one.revents().is_empty());
        Ok(sources.map(|source| source.is_some() && answers.next().unwrap_or_default()))
    }

    /// Takes a piece of one stream.
    fn read(&mut self, place: usize) {
        let mut piece = [0; 16 << 10];
        let Some(stream) = &self.streams[place] else { return };
        match retry_on_intr(|| rustix::io::read(stream, &mut piece)) {
            Ok(size) if size > 0 => self.said[place].extend(&piece[..size]),
            _ => self.streams[place] = None,
        }
    }

    fn output(&mut self) -> Output {
        let [stdout, stderr] = std::mem::take(&mut self.said);
        let status = self.status.unwrap_or_default();
        let code = status.code().unwrap_or_else(|| -status.signal().unwrap_or(1));
        Output { stdout, stderr, code }
    }
}

/// Makes a program that was started elsewhere die with the connection.
pub(super) fn adopt(line: &Line, child: &Child) {
    let group = group_of(child);
    if !line.adopt(group) {
        kill(group);
    }
}

/// Ends a program that was started elsewhere, and all that it started.
pub(super) fn end(child: &Child) {
    kill(group_of(child));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn started(script: &str) -> (Cmd, Running) {
        let cmd = Cmd { argv: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Cmd::default() };
        let child = spawn(&cmd, &[]).unwrap();
        (cmd, Running::new(child))
    }

    #[test]
    fn where_nothing_tells_of_the_end_it_is_found_all_the_same() {
        for is_old in [false, true] {
            let (cmd, mut running) = started("echo one; sleep 0.05; echo two >&2; exec >&- 2>&-; sleep 0.05; exit 3");
            running.ending = running.ending.filter(|_| !is_old);
            running.watch(&cmd, None).unwrap();
            let output = running.output();
            assert_eq!((output.code, output.stdout_text(), output.stderr_text()), (3, "one\n".into(), "two\n".into()));
        }
    }

    #[test]
    fn what_it_leaves_behind_is_not_waited_for() {
        for is_old in [false, true] {
            let (cmd, mut running) = started("sleep 5 & echo done");
            running.ending = running.ending.filter(|_| !is_old);
            let start = Instant::now();
            running.watch(&cmd, None).unwrap();
            kill(group_of(&running.child));
            assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
            assert_eq!(running.output().stdout_text(), "done\n");
        }
    }

    #[test]
    fn one_that_never_stops_talking_is_overdue_too() {
        let (cmd, mut running) = started("while :; do echo y; sleep 0.01; done");
        let start = Instant::now();
        let failure = running.watch(&cmd, Some(start + Duration::from_millis(300))).unwrap_err();
        kill(group_of(&running.child));
        assert!(failure.values.contains_key("timedout") && start.elapsed() < Duration::from_secs(4), "{failure:?}");
    }
}
