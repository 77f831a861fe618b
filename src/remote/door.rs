//! How the host programs of several users on one host share a lock: one holds it, the others ask at its door.
//!
//! The door is a socket without a file, named at random; the name travels with the lease. A guest stays connected, so it learns at once when the
//! holder lets go or is gone, and kills what it runs. The holder waits for its guests before it gives the lock up.

use super::blobs::random;
use super::line::Line;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a guest may take to leave, and a holder to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// One for each user that tasks run as; anybody on the host may knock.
const GUESTS_MAX: usize = 64;
const WELCOME: u8 = b'1';

pub(super) struct Door {
    pub(super) name: String,
    guests: Arc<Guests>,
}

#[derive(Default)]
struct Guests {
    is_closed: AtomicBool,
    streams: Mutex<Vec<UnixStream>>,
}

impl Door {
    pub(super) fn open() -> io::Result<Door> {
        let name = format!("roll-{}{}", random(), random());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let guests = Arc::new(Guests::default());
        let inside = Arc::clone(&guests);
        std::thread::Builder::new().name("door".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                if inside.is_closed.load(Ordering::SeqCst) {
                    break;
                }
                inside.admit(stream);
            }
        })?;
        Ok(Door { name, guests })
    }

    /// Sends everybody away and waits until they are.
    pub(super) fn close(&self) {
        if self.guests.is_closed.swap(true, Ordering::SeqCst) {
            return;
        }
        // Wakes the thread, which then ends.
        let _ = SocketAddr::from_abstract_name(&self.name).and_then(|address| UnixStream::connect_addr(&address));
        let guests = std::mem::take(&mut *self.guests.streams.lock().unwrap_or_else(PoisonError::into_inner));
        for guest in &guests {
            let _ = guest.shutdown(Shutdown::Write);
        }
        for mut guest in guests {
            let _ = guest.set_read_timeout(Some(PATIENCE)).and_then(|()| guest.read(&mut [0]));
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

impl Guests {
    fn admit(&self, mut stream: UnixStream) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone have nothing to say any more.
        streams.retain(|guest| guest.set_nonblocking(true).is_ok() && !matches!((&mut &*guest).read(&mut [0]), Ok(0)));
        streams.iter().for_each(|guest| drop(guest.set_nonblocking(false)));
        if streams.len() < GUESTS_MAX && stream.write_all(&[WELCOME]).is_ok() {
            streams.push(stream);
        }
    }
}

/// The doors that this program has gone through.
#[derive(Default)]
pub(super) struct Doors {
    known: Mutex<HashMap<String, Arc<AtomicBool>>>,
}

impl Doors {
    /// Whether the holder of a lease still lives and still holds it.
    pub(super) fn is_open(&self, name: &str, line: &Arc<Line>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_open) = known.get(name) {
            return is_open.load(Ordering::SeqCst);
        }
        let Some(stream) = enter(name) else { return false };
        let is_open = Arc::new(AtomicBool::new(true));
        known.insert(name.to_owned(), Arc::clone(&is_open));
        let line = Arc::clone(line);
        let stay = move || {
            // Nothing more is ever said: this ends when the holder does.
            let _ = (&stream).read(&mut [0]);
            is_open.store(false, Ordering::SeqCst);
            line.cut();
        };
        std::thread::Builder::new().name("guest".to_owned()).spawn(stay).is_ok()
    }
}

fn enter(name: &str) -> Option<UnixStream> {
    if name.is_empty() {
        return None;
    }
    let address = SocketAddr::from_abstract_name(name).ok()?;
    let mut stream = UnixStream::connect_addr(&address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut answer = [0];
    stream.read_exact(&mut answer).ok()?;
    stream.set_read_timeout(None).ok()?;
    (answer == [WELCOME]).then_some(stream)
}
