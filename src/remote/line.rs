//! The connection as the rest of the host program sees it: what came in, what goes out, and whether anybody is there.

use super::Modules;
use super::blobs::Blobs;
use super::door::Doors;
use super::lock::Locks;
use crate::wire::{self, FromHost, Request, ToHost};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Once the control side has sent a heartbeat, this much silence means that it is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Longer than the program lives.
const REST: Duration = Duration::from_secs(5);

/// Shared by the thread that reads and the one that works.
pub(super) struct Line {
    pub(super) modules: Modules,
    output: Mutex<Box<dyn Write + Send>>,
    state: Mutex<State>,
    news: Condvar,
    pub(super) locks: Locks,
    pub(super) doors: Doors,
    /// Of one loop, for its next items.
    mind: Mutex<(u64, HashSet<&'static str>)>,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    blobs: Blobs,
    /// Bodies that the control side has been asked for.
    asked: HashSet<String>,
    /// The process group of the command that runs.
    running: Option<Pid>,
    is_gone: bool,
    is_resting: bool,
    /// Set by the first heartbeat: when the last byte came.
    heard: Option<Instant>,
    /// Instead of [`SILENCE_MAX`].
    silence_max: Option<Duration>,
}

impl Line {
    pub(super) fn new(modules: Modules, output: impl Write + Send + 'static) -> Line {
        Line {
            modules,
            output: Mutex::new(Box::new(output)),
            state: Mutex::default(),
            news: Condvar::new(),
            locks: Locks::default(),
            doors: Doors::default(),
            mind: Mutex::default(),
        }
    }

    /// A panic of the other thread ends the program anyway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the items of one loop keep in mind; that of the loop before is forgotten.
    pub(super) fn mind<T>(&self, of: u64, about: impl FnOnce(&mut HashSet<&'static str>) -> T) -> T {
        let mut mind = self.mind.lock().unwrap_or_else(PoisonError::into_inner);
        if mind.0 != of {
            *mind = (of, HashSet::new());
        }
        about(&mut mind.1)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.news.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Nobody can be told about a failure to send; the work stops instead.
    pub(super) fn send(&self, message: &FromHost) {
        let sent = {
            let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
            wire::write(&mut *output, message)
        };
        if sent.is_err() {
            self.leave();
        }
    }

    /// Announces a body and streams it.
    pub(super) fn send_blob(&self, id: u64, hash: &str, size: u64, body: &mut dyn Read) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write(&mut *output, &FromHost::Blob { id, hash: hash.to_owned(), size })?;
        let mut left = size;
        let mut piece = vec![0; wire::CHUNK];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(wire::CHUNK).min(wire::CHUNK);
            body.read_exact(&mut piece[..wanted])?;
            output.write_all(&wire::encode_raw(&piece[..wanted])?)?;
            left -= wanted as u64;
        }
        output.flush()
    }

    /// Reads until the control side is gone or talks nonsense.
    pub(super) fn listen(&self, mut input: impl Read) {
        while let Ok(Some(frame)) = wire::read(&mut input) {
            match self.hear(frame) {
                Ok(is_heartbeat) if is_heartbeat => self.send(&FromHost::Beat),
                Ok(_) => {}
                Err(_) => break,
            }
            if self.is_gone() {
                break;
            }
        }
        self.leave();
    }

    /// Answers whether it was a heartbeat.
    fn hear(&self, frame: wire::Frame) -> io::Result<bool> {
        let mut state = self.state();
        let mut is_heartbeat = false;
        match frame {
            wire::Frame::Raw(bytes) => state.blobs.append(&bytes)?,
            wire::Frame::Json(json) => match wire::decode(&json)? {
                ToHost::Run(request) => state.requests.push_back(*request),
                ToHost::Blob { hash, size } => state.blobs.begin(&hash, size)?,
                ToHost::Heartbeat => {
                    is_heartbeat = true;
                    state.heard = Some(Instant::now());
                }
            },
        }
        if state.heard.is_some() {
            state.heard = Some(Instant::now());
        }
        // Nobody waits for a part of a body.
        if !state.blobs.is_coming() {
            self.news.notify_all();
        }
        Ok(is_heartbeat)
    }

    /// From now on, so much silence means that the control side is gone.
    pub(super) fn expect_words(&self, silence_max: Duration) {
        let mut state = self.state();
        state.heard = Some(Instant::now());
        state.silence_max = Some(state.silence_max.map_or(silence_max, |known| known.min(silence_max)));
        self.news.notify_all();
    }

    /// Kills the command that runs, and nothing else.
    pub(super) fn cut(&self) {
        if let Some(group) = self.state().running.take() {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// The control side is gone: kills what runs and wakes everybody who waits.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.is_gone = true;
        if let Some(group) = state.running.take() {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
        // The program may end before its threads do: nothing is to be left on disk.
        drop(std::mem::take(&mut state.blobs));
        self.news.notify_all();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state().is_gone
    }

    /// The next request; `None` once the control side is gone, whatever was still to do.
    pub(super) fn next_request(&self) -> Option<Request> {
        let mut state = self.state();
        loop {
            if state.is_gone {
                return None;
            }
            if let Some(request) = state.requests.pop_front() {
                return Some(request);
            }
            state = self.wait(state, SILENCE_MAX);
        }
    }

    /// Blocks until the control side is gone; answers with the silence, if it was that.
    pub(super) fn watch(&self) -> Option<Duration> {
        let mut state = self.state();
        while !state.is_gone {
            let silence_max = state.silence_max.unwrap_or(SILENCE_MAX);
            let silent = state.heard.map_or(Duration::ZERO, |heard| heard.elapsed());
            if silent >= silence_max {
                drop(state);
                self.leave();
                return Some(silence_max);
            }
            state = self.wait(state, silence_max - silent);
        }
        None
    }

    /// Whoever waits for something once nobody cares waits for the end of the program, which comes then.
    pub(super) fn sleep(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut state = self.state();
        while !state.is_gone && Instant::now() < end {
            state = self.wait(state, end.saturating_duration_since(Instant::now()));
        }
        if state.is_gone {
            drop(state);
            self.rest();
            std::thread::sleep(time.max(REST));
        }
    }

    /// Nothing is being done any more, or only waited for.
    pub(super) fn rest(&self) {
        self.state().is_resting = true;
        self.news.notify_all();
    }

    /// Until then, or for so long.
    pub(super) fn await_rest(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut state = self.state();
        while !state.is_resting && Instant::now() < end {
            state = self.wait(state, end.saturating_duration_since(Instant::now()));
        }
    }

    /// Makes a process group die with the connection; false where that has come already.
    pub(super) fn adopt(&self, group: Option<Pid>) -> bool {
        let mut state = self.state();
        state.running = group;
        !state.is_gone
    }

    /// Asks for the bodies that are not here, all in one message. Each comes with the directory that it is for, if any.
    pub(super) fn ask(&self, id: u64, wanted: impl IntoIterator<Item = (String, Option<String>)>) {
        let mut state = self.state();
        let mut missing = Vec::new();
        for (hash, dir) in wanted {
            if let Some(dir) = dir {
                state.blobs.expect_in(&hash, &dir);
            }
            if !state.blobs.has(&hash) && state.asked.insert(hash.clone()) {
                missing.push(hash);
            }
        }
        drop(state);
        if !missing.is_empty() {
            self.send(&FromHost::Need { id, hashes: missing });
        }
    }

    /// A body, once it has arrived.
    pub(super) fn blob(&self, id: u64, hash: &str, deadline: Option<Instant>) -> io::Result<Box<dyn Read>> {
        self.ask(id, [(hash.to_owned(), None)]);
        self.arrived(deadline, |blobs| blobs.open(hash))
    }

    /// A body that lies in `dir`, once it has arrived; it is the caller's then. None where it lies elsewhere.
    pub(super) fn blob_in(&self, id: u64, hash: &str, dir: &str, deadline: Option<Instant>) -> io::Result<Option<PathBuf>> {
        self.ask(id, [(hash.to_owned(), Some(dir.to_owned()))]);
        self.arrived(deadline, |blobs| blobs.open(hash))?;
        let mut state = self.state();
        let taken = state.blobs.take(hash, dir);
        if taken.is_some() {
            state.asked.remove(hash);
        }
        Ok(taken)
    }

    /// Where a body is, once it has arrived; none where it is in memory.
    pub(super) fn blob_path(&self, id: u64, hash: &str, deadline: Option<Instant>) -> io::Result<Option<PathBuf>> {
        self.ask(id, [(hash.to_owned(), None)]);
        self.arrived(deadline, |blobs| blobs.open(hash))?;
        Ok(self.state().blobs.path(hash).map(Path::to_owned))
    }

    /// The sums of a file that came as a body, where they were made on the way.
    pub(super) fn sums(&self, file: &std::fs::Metadata, algorithms: &[&str]) -> Option<Vec<String>> {
        let sums = self.state().blobs.take_sums(file)?;
        sums.wait(algorithms)
    }

    /// A file for this task alone.
    pub(super) fn private_file(&self) -> io::Result<(PathBuf, File)> {
        self.state().blobs.private_file()
    }

    /// Lets go of the big bodies; the next task that wants one asks again.
    pub(super) fn shed_blobs(&self) {
        let mut state = self.state();
        for hash in state.blobs.shed() {
            state.asked.remove(&hash);
        }
    }

    fn arrived<T>(&self, deadline: Option<Instant>, find: impl Fn(&Blobs) -> io::Result<Option<T>>) -> io::Result<T> {
        let mut state = self.state();
        loop {
            if let Some(found) = find(&state.blobs)? {
                return Ok(found);
            }
            if state.is_gone || deadline.is_some_and(|deadline| Instant::now() > deadline) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the file's contents did not arrive"));
            }
            state = self.wait(state, Duration::from_secs(1));
        }
    }
}
