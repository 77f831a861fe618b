//! The lock of an app on this host: a `flock` that lives no longer than this program, and the fence that keeps stale rollouts out.
//!
//! [`permit`] stands before every act. A request of a rollout carries a [`Lease`]; it changes nothing unless this program holds that lease, or
//! the one that does lets it in through its door. When the control side is silent for too long the lock is let go *and* the generation
//! raised: whatever that rollout still asks for when it wakes up, here or through a new connection, is refused.

use super::door::Door;
use super::host::Host;
use super::line::Line;
use super::write;
use crate::modules::app::book::{Book, Holder, State, fenced, time_of};
use crate::modules::touch::{Lock, Wish};
use crate::modules::{Done, Failure, Look};
use crate::value::{Map, Value};
use crate::wire::{Lease, Request};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Somebody who only looks holds the lock for an instant: so often, and so long apart, is tried.
const TRIES: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(20);

/// The locks that this program holds.
#[derive(Default)]
pub(super) struct Locks {
    held: Mutex<Vec<Held>>,
}

struct Held {
    book: Book,
    run: String,
    /// Set once the rollout has numbered itself.
    generation: i64,
    door: Door,
    /// Locked as long as it is open.
    _file: File,
}

/// Whether a task may change something now.
pub(super) fn permit(host: &Host) -> Result<(), Failure> {
    if host.line.is_gone() {
        return Err(Failure::new("the control side is gone"));
    }
    match &host.lease {
        Some(lease) if !host.line.locks.holds(lease) && !host.line.doors.is_open(&lease.door, &host.line) => {
            Err(refused(lease, host))
        }
        _ => Ok(()),
    }
}

/// The one that may still be had again is told apart from the one that is lost for good.
fn refused(lease: &Lease, host: &Host) -> Failure {
    let found = Book::of(&lease.app, host).and_then(|book| book.state(host).map(|state| (book, state)));
    match found {
        Ok((book, state)) if state.generation > lease.generation => {
            fenced(&book, lease.generation, state.generation, state.holder.as_ref())
        }
        _ => Failure::new(format!("the lock of `{}` is not held here any more", lease.app)).with("unlocked", true),
    }
}

/// Carries out what is wanted of a lock.
pub(super) fn perform(host: &Host, lock: &Lock) -> Result<Done, Failure> {
    let mut all = host.line.locks.held();
    let place = all.iter().position(|held| held.book.dir == lock.dir);
    let own = place.filter(|place| all[*place].run == lock.run);
    match (lock.wish, own) {
        (Wish::GiveBack, Some(place)) => give_back(host, all.remove(place)),
        (Wish::GiveBack, None) => Ok(Done { values: Map::from_iter([("held".into(), false.into())]), changed: Some(false) }),
        (Wish::Take | Wish::Keep, Some(place)) => renew(host, lock, &mut all[place]),
        (Wish::Keep, None) => {
            let generation = lock.generation.unwrap_or_default();
            Err(refused(&Lease { app: lock.app.clone(), generation, door: String::new() }, host))
        }
        (Wish::Take, None) if place.is_some() => Ok(busy(host, lock)),
        (Wish::Take, None) => match take(host, lock)? {
            Some((held, done)) => {
                all.push(held);
                host.line.expect_words(lock.silence);
                Ok(done)
            }
            None => Ok(busy(host, lock)),
        },
    }
}

fn take(host: &Host, lock: &Lock) -> Result<Option<(Held, Done)>, Failure> {
    let book = lock.book();
    let path = book.lock();
    let failed = |error: io::Error| Failure::io(format_args!("cannot lock {path}"), &error);
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    if !is_taken_by_us(&file).map_err(failed)? {
        return Ok(None);
    }
    let before = book.state(host)?;
    let known = book.generation(&before, host);
    if let Some(wanted) = lock.generation
        && (wanted < known || (wanted == known && before.run != lock.run))
    {
        return Err(fenced(&book, wanted, known, before.holder.as_ref()));
    }
    let door = Door::open().map_err(failed)?;
    let mut held = Held { book, run: lock.run.clone(), generation: 0, door, _file: file };
    let mut state = State { generation: known, ..before.clone() };
    state.holder = Some(Holder {
        who: lock.who.clone(),
        from: lock.from.clone(),
        run: lock.run.clone(),
        since: host.now().floor(),
        step: lock.step.clone(),
        pid: std::process::id(),
    });
    number(lock, &mut held, &mut state);
    write_state(host, &held.book, &state)?;
    let mut done = answer(&held, known, state.holder.as_ref());
    done.values.insert("before".into(), before.value());
    Ok(Some((held, done)))
}

fn is_taken_by_us(file: &File) -> io::Result<bool> {
    for attempt in 1..=TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) if attempt == TRIES => {}
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// From its number on a rollout is the newest.
fn number(lock: &Lock, held: &mut Held, state: &mut State) {
    if let Some(generation) = lock.generation {
        held.generation = generation;
        state.generation = generation;
        state.run.clone_from(&lock.run);
    }
}

/// The same run once more: a new step, or the number that it has found for itself.
fn renew(host: &Host, lock: &Lock, held: &mut Held) -> Result<Done, Failure> {
    let mut state = held.book.state(host)?;
    let known = held.book.generation(&state, host);
    let before = state.clone();
    if let Some(wanted) = lock.generation.filter(|wanted| *wanted < known) {
        return Err(fenced(&held.book, wanted, known, None));
    }
    number(lock, held, &mut state);
    if let Some(holder) = state.holder.as_mut().filter(|_| !lock.step.is_empty()) {
        holder.step.clone_from(&lock.step);
    }
    if state != before {
        write_state(host, &held.book, &state)?;
    }
    host.line.expect_words(lock.silence);
    let mut done = answer(held, known, state.holder.as_ref());
    done.values.insert("before".into(), before.value());
    Ok(done)
}

fn give_back(host: &Host, held: Held) -> Result<Done, Failure> {
    let mut state = held.book.state(host)?;
    state.holder = None;
    let written = write_state(host, &held.book, &state);
    drop(held);
    written.map(|()| Done { values: Map::from_iter([("held".into(), false.into())]), changed: None })
}

fn answer(held: &Held, known: i64, holder: Option<&Holder>) -> Done {
    let mut values = Map::new();
    values.insert("held".into(), true.into());
    values.insert("generation".into(), held.generation.into());
    values.insert("known".into(), known.into());
    values.insert("door".into(), held.door.name.as_str().into());
    values.insert("dir".into(), held.book.dir.as_str().into());
    values.insert("holder".into(), holder.map(Holder::value).into());
    Done { values, changed: None }
}

/// Who has it. One that has it since this instant has not signed yet.
fn busy(host: &Host, lock: &Lock) -> Done {
    let mut holder = None;
    for _ in 0..TRIES {
        holder = lock.book().state(host).ok().and_then(|state| state.holder);
        if holder.as_ref().is_some_and(|holder| host.exists(&format!("/proc/{}", holder.pid))) {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    let mut values = Map::new();
    values.insert("held".into(), false.into());
    values.insert("holder".into(), holder.as_ref().map(Holder::value).into());
    Done { values, changed: Some(false) }
}

fn write_state(host: &Host, book: &Book, state: &State) -> Result<(), Failure> {
    let mut state = state.clone();
    state.updated = host.now().floor();
    write::write(host, &book.keep(&state)?).map(drop)
}

impl Locks {
    /// A panic of the other thread ends the program anyway.
    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, lease: &Lease) -> bool {
        self.held().iter().any(|held| held.book.app == lease.app && held.generation == lease.generation)
    }

    /// The control side was silent for too long: nobody may take this rollout up where it was.
    pub(super) fn fence(&self, line: &Arc<Line>, silence: Duration) {
        let host = Host::new(line, &Request::default());
        for held in self.held().drain(..) {
            held.door.close();
            // A disk that is full must not keep the lock.
            let _ = put_out(&host, &held, silence);
        }
    }
}

fn put_out(host: &Host, held: &Held, silence: Duration) -> Result<(), Failure> {
    let mut state = held.book.state(host)?;
    let mut history = held.book.history(host)?;
    let holder = state.holder.take().unwrap_or_default();
    let entry = [
        ("at", Value::from(time_of(host))),
        ("event", "fenced".into()),
        ("generation", state.generation.into()),
        ("run", state.run.as_str().into()),
        ("who", holder.who.into()),
        ("from", holder.from.into()),
        ("note", format!("no word for {} s", silence.as_secs()).into()),
    ];
    history.add(entry.into_iter().map(|(key, value)| (key.into(), value)).collect());
    state.generation += 1;
    state.run.clear();
    state.head = history.head.clone();
    write_state(host, &held.book, &state)?;
    write::write(host, &held.book.keep_history(&history)).map(drop)
}

/// Whether anybody holds a lock on a file. Looking takes a shared one for an instant.
pub(super) fn is_locked(path: &str) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
