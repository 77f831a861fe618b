//! A program at a terminal of its own, and the answers to what it asks.

use super::exec;
use super::host::Host;
use crate::modules::touch::Answer;
use crate::modules::{Cmd, Done, Failure, Look};
use crate::value::Map;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Output beyond this is a runaway program.
const OUTPUT_MAX: usize = 16 << 20;
/// So often it is looked whether a silent program has ended.
const GLANCE: Duration = Duration::from_millis(50);

pub(super) fn converse(
    host: &Host,
    cmd: &Cmd,
    answers: &[Answer],
    silence: Option<Duration>,
    echo: bool,
) -> Result<Done, Failure> {
    let start = host.now();
    let (terminal, child) = open(host, cmd, echo).map_err(|error| Failure::io("cannot run the program at a terminal", &error))?;
    exec::adopt(&host.line, &child);
    let mut talk = Talk { terminal, child, answers, used: vec![0; answers.len()], said: Vec::new(), seen: 0 };
    let ended = talk.follow(host, silence);
    host.line.adopt(None);
    if ended.is_err() {
        exec::end(&talk.child);
        // It may take its time to die.
        std::thread::spawn(move || talk.child.wait());
        return ended.map(|_| Done::default());
    }
    let mut values = Map::new();
    values.insert("rc".into(), ended?.into());
    values.insert("stdout".into(), talk.text().into());
    values.insert("start".into(), start.into());
    values.insert("end".into(), host.now().into());
    Ok(Done { values, changed: None })
}

/// The terminal, and the program at it. `setsid` makes it the one that `/dev/tty` and password prompts mean.
fn open(host: &Host, cmd: &Cmd, echo: bool) -> io::Result<(OwnedFd, Child)> {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&terminal)?;
    unlockpt(&terminal)?;
    let name = ptsname(&terminal, Vec::new())?;
    let other = || rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
    let end = other()?;
    if !echo {
        let mut settings = tcgetattr(&end)?;
        settings.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&end, OptionalActions::Now, &settings)?;
    }
    tcsetwinsize(&end, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 })?;
    let before = host.which("setsid").map(|setsid| vec![setsid, "-c".to_owned()]).unwrap_or_default();
    let argv: Vec<&String> = before.iter().chain(&cmd.argv).collect();
    let (program, rest) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(rest).envs(host.env.iter().chain(&cmd.env).map(|(name, value)| (name, value)));
    command.stdin(Stdio::from(end)).stdout(Stdio::from(other()?)).stderr(Stdio::from(other()?));
    if let Some(dir) = &cmd.chdir {
        command.current_dir(dir);
    }
    Ok((terminal, command.spawn()?))
}

struct Talk<'a> {
    terminal: OwnedFd,
    child: Child,
    answers: &'a [Answer],
    /// How often each was given.
    used: Vec<usize>,
    said: Vec<u8>,
    /// What comes before has been answered.
    seen: usize,
}

impl Talk<'_> {
    /// To the program's end; its status.
    fn follow(&mut self, host: &Host, silence: Option<Duration>) -> Result<i32, Failure> {
        let overdue = |silence: Option<Duration>| silence.map(|time| Instant::now() + time);
        let mut deadline = overdue(silence);
        loop {
            let has_ended = self.child.try_wait().map_err(|error| Failure::io("cannot wait for the program", &error))?;
            let has_more = self.listen().map_err(|error| Failure::io("cannot read what the program says", &error))?;
            if self.answer()? {
                deadline = overdue(silence);
            }
            if let Some(status) = has_ended.filter(|_| !has_more) {
                return Ok(status.code().unwrap_or_else(|| -status.signal().unwrap_or(1)));
            }
            let is_late = |deadline: Option<Instant>| deadline.is_some_and(|deadline| Instant::now() > deadline);
            if is_late(deadline) || is_late(host.deadline) {
                return Err(Failure::new("command exceeded timeout")
                    .with("rc", crate::value::Value::Null)
                    .with("stdout", self.text()));
            }
            if self.said.len() > OUTPUT_MAX {
                return Err(Failure::new(format!("the program writes more than {} MiB", OUTPUT_MAX >> 20)));
            }
        }
    }

    /// Takes in what is there; false where nothing comes.
    fn listen(&mut self) -> io::Result<bool> {
        let patience = Timespec::try_from(GLANCE).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(&self.terminal, PollFlags::IN)];
        if retry_on_intr(|| poll(&mut polled, Some(&patience)))? == 0 {
            return Ok(false);
        }
        let mut piece = [0; 4 << 10];
        match retry_on_intr(|| rustix::io::read(&self.terminal, &mut piece)) {
            Ok(size) if size > 0 => {
                self.said.extend(&piece[..size]);
                Ok(true)
            }
            // The other end is closed.
            Ok(_) | Err(_) => {
                std::thread::sleep(GLANCE / 10);
                Ok(false)
            }
        }
    }

    /// Answers the first question that is open; whether there was one.
    fn answer(&mut self) -> Result<bool, Failure> {
        let text = String::from_utf8_lossy(&self.said[self.seen..]).into_owned();
        let mut first: Option<(usize, usize, usize)> = None;
        for (number, answer) in self.answers.iter().enumerate() {
            let Some(range) = answer.pattern.find(&text).map_err(Failure::new)?.map(|found| found.range()) else { continue };
            if first.is_none_or(|(start, ..)| range.start < start) {
                first = Some((range.start, range.end, number));
            }
        }
        let Some((_, end, number)) = first else { return Ok(false) };
        let answer = &self.answers[number];
        let used = if answer.is_repeated { 0 } else { self.used[number] };
        let Some(told) = answer.texts.get(used) else {
            let msg = format!("No remaining responses for '{}', output was '{}'", answer.question, self.text());
            return Err(Failure::new(msg));
        };
        self.used[number] += 1;
        // Replaced bytes are longer than they were: what is left is counted from the end.
        self.seen = self.said.len() - text[end..].len().min(self.said.len() - self.seen);
        let mut rest = [told.as_bytes(), b"\n"].concat();
        while !rest.is_empty() {
            let size = retry_on_intr(|| rustix::io::write(&self.terminal, &rest))
                .map_err(|error| Failure::io("cannot answer the program", &error.into()))?;
            rest.drain(..size);
        }
        Ok(true)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }
}
