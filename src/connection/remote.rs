//! The dialogue with a running host program: requests out, answers in, several under way at once.
//!
//! One job writes, one job reads and hands every message to the request that it belongs to. A job never waits for another
//! channel, so one busy host cannot stall the others on the same connection. When the channel ends, every request that is
//! under way ends as [`ConnectError::Lost`]: an answer is never made up.

use super::opening::first;
use super::pipe::{Input, Piece, Pipe};
use super::{ConnectError, Stage};
use crate::wire::{self, Frame, FromHost, Reply, Request, ToHost};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Notify, mpsc, watch};

/// What the end of the standard error of a lost program is worth.
const LAST_WORDS: usize = 4 << 10;
const HELLO_WAIT: Duration = Duration::from_secs(30);
/// The host program kills what it runs before it ends.
const GOODBYE_WAIT: Duration = Duration::from_secs(3);
/// Events that one request may have waiting; then the host waits.
const EVENTS_MAX: usize = 256;

/// A running host program. Cheap to clone; the program ends when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Remote {
    line: Arc<Line>,
}

/// Who answers at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    pub user: String,
    pub uid: u32,
    pub home: String,
    pub pid: u32,
}

/// File bodies: those that a host asks for, and those that it sends.
pub trait Blobs: Send + Sync {
    /// The body with this hash.
    fn open(&self, hash: &str) -> io::Result<Body>;

    /// Where a body that the host sends goes (fetch).
    fn keep(&self, hash: &str, size: u64) -> io::Result<Box<dyn Write + Send>>;
}

/// A body to send: exactly `size` bytes.
pub struct Body {
    pub size: u64,
    pub reader: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Body").field("size", &self.size).finish_non_exhaustive()
    }
}

/// A request that was sent and is not yet answered.
#[derive(Debug)]
pub struct Pending {
    line: Arc<Line>,
    id: u64,
    doing: String,
    events: mpsc::Receiver<Event>,
}

#[derive(Debug)]
struct Line {
    name: String,
    host: Host,
    writing: mpsc::UnboundedSender<Outgoing>,
    id: AtomicU64,
    state: Mutex<State>,
    /// Told when the channel is to be given up.
    stop: Arc<Notify>,
    /// Whether the other end is gone.
    ended: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, mpsc::Sender<Event>>,
    /// When the heartbeats were sent that are not answered yet.
    beats: VecDeque<Instant>,
    /// When the last one was sent that was answered.
    alive: Option<Instant>,
    /// Why the channel is gone.
    lost: Option<String>,
}

#[derive(Debug)]
enum Outgoing {
    Message(ToHost),
    Body {
        hash: String,
        body: Body,
    },
    /// There will be no more.
    End,
}

/// What the host says about one request.
#[derive(Debug)]
enum Event {
    Need(Vec<String>),
    Say(String),
    Body { hash: String, size: u64 },
    Piece(Vec<u8>),
    Done(Reply),
}

impl Remote {
    /// Waits for the hello and starts the two jobs.
    pub(super) async fn start(name: &str, mut frames: Frames, heartbeat: Duration) -> Result<Remote, ConnectError> {
        let late = |_| ConnectError::Timeout {
            host: name.to_owned(),
            address: name.to_owned(),
            after: HELLO_WAIT,
            stage: Stage::Opening,
        };
        let host = tokio::time::timeout(HELLO_WAIT, hello(name, &mut frames)).await.map_err(late)??;
        let Some(input) = frames.pipe.take_input() else { return Err(no_program(name, &frames)) };
        let (writing, outgoing) = mpsc::unbounded_channel();
        let stop = Arc::new(Notify::new());
        let (ending, ended) = watch::channel(false);
        let line = Line {
            name: name.to_owned(),
            host,
            writing,
            id: AtomicU64::new(1),
            state: Mutex::default(),
            stop: stop.clone(),
            ended,
        };
        let line = Arc::new(line);
        let weak = Arc::downgrade(&line);
        let writer = tokio::spawn(write(input, outgoing, heartbeat, weak.clone()));
        tokio::spawn(async move {
            let reason = read(frames, &weak, &stop).await;
            writer.abort();
            if let Some(line) = weak.upgrade() {
                line.lose(reason);
            }
            _ = ending.send(true);
        });
        Ok(Remote { line })
    }

    pub fn host(&self) -> &Host {
        &self.line.host
    }

    /// Sends a request and waits for its answer; see [`Remote::post`].
    pub async fn run(&self, request: Request, blobs: &dyn Blobs, say: impl Fn(&str) + Send) -> Result<Reply, ConnectError> {
        self.post(request)?.answer(blobs, say).await
    }

    /// Sends a request at once; the host carries requests out in the order in which they were posted. The request's id is
    /// chosen here. Every one must be waited for or dropped, or the host cannot go on.
    pub fn post(&self, mut request: Request) -> Result<Pending, ConnectError> {
        let id = self.line.id.fetch_add(1, Ordering::Relaxed);
        request.id = id;
        let doing = format!("`{}`", request.module);
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let mut state = self.line.state();
        if let Some(reason) = &state.lost {
            return Err(self.line.failure(&doing, reason.clone()));
        }
        state.waiting.insert(id, sender);
        // A closed queue means that the reader is about to report the loss.
        _ = self.line.writing.send(Outgoing::Message(ToHost::Run(request.into())));
        drop(state);
        Ok(Pending { line: self.line.clone(), id, doing, events })
    }

    pub fn is_lost(&self) -> bool {
        self.line.state().lost.is_some()
    }

    /// A moment at which the host program certainly lived and heard from here: when its last answered heartbeat was sent. What it
    /// holds for this side it holds for at least its own patience from then.
    pub fn alive_at(&self) -> Option<Instant> {
        self.line.state().alive
    }

    /// Lets the host program end; whatever is under way is lost, and the commands that it runs end with it.
    pub async fn close(&self) {
        _ = self.line.writing.send(Outgoing::End);
        let mut ended = self.line.ended.clone();
        _ = tokio::time::timeout(GOODBYE_WAIT, ended.wait_for(|is_ended| *is_ended)).await;
        self.line.lose("the connection was closed".to_owned());
        self.line.stop.notify_one();
    }
}

impl Pending {
    /// Waits for the answer; sends the bodies that the host needs meanwhile.
    pub async fn answer(mut self, blobs: &dyn Blobs, say: impl Fn(&str) + Send) -> Result<Reply, ConnectError> {
        let mut kept: Option<Keeping> = None;
        while let Some(event) = self.events.recv().await {
            match event {
                Event::Say(line) => say(&line),
                Event::Need(hashes) => self.send_bodies(&hashes, blobs)?,
                Event::Body { hash, size } => {
                    let writer = blobs.keep(&hash, size).map_err(|error| self.no_body(&error))?;
                    kept = Some(Keeping { writer, left: size });
                }
                Event::Piece(bytes) => {
                    let kept = kept.as_mut().ok_or_else(|| self.lost("it sent a file body that it did not announce"))?;
                    kept.take(&bytes).map_err(|error| self.no_body(&error))?;
                }
                Event::Done(reply) => {
                    return match kept {
                        Some(Keeping { left: 1.., .. }) => Err(self.lost("it sent less of a file than it announced")),
                        _ => Ok(reply),
                    };
                }
            }
        }
        let reason = self.line.state().lost.clone();
        Err(self.lost(reason.as_deref().unwrap_or("the connection was closed")))
    }

    fn send_bodies(&self, hashes: &[String], blobs: &dyn Blobs) -> Result<(), ConnectError> {
        for hash in hashes {
            match blobs.open(hash) {
                Ok(body) => _ = self.line.writing.send(Outgoing::Body { hash: hash.clone(), body }),
                Err(error) => {
                    // The host would wait for it for ever.
                    let failure = self.no_body(&error);
                    self.line.lose(format!("a file could not be read here: {error}"));
                    self.line.stop.notify_one();
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    fn no_body(&self, error: &io::Error) -> ConnectError {
        ConnectError::NoBody { host: self.line.name.clone(), doing: self.doing.clone(), reason: error.to_string() }
    }

    fn lost(&self, reason: &str) -> ConnectError {
        self.line.failure(&self.doing, reason.to_owned())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.line.state().waiting.remove(&self.id);
    }
}

/// A body on its way from the host.
struct Keeping {
    writer: Box<dyn Write + Send>,
    left: u64,
}

impl Keeping {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if self.left == 0 { self.writer.flush() } else { Ok(()) }
    }
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything that waits.
    fn lose(&self, reason: String) {
        let mut state = self.state();
        state.lost.get_or_insert(reason);
        state.waiting.clear();
    }

    fn failure(&self, doing: &str, reason: String) -> ConnectError {
        ConnectError::Lost { host: self.name.clone(), doing: doing.to_owned(), reason }
    }
}

async fn hello(name: &str, frames: &mut Frames) -> Result<Host, ConnectError> {
    let garbage = |bytes: &[u8]| ConnectError::Garbage { host: name.to_owned(), bytes: first(bytes) };
    match frames.next().await {
        Ok(Some(Frame::Json(json))) => match wire::decode(&json) {
            Ok(FromHost::Hello { user, uid, home, pid }) => Ok(Host { user, uid, home, pid }),
            _ => Err(garbage(&json)),
        },
        Ok(Some(Frame::Raw(bytes))) => Err(garbage(&bytes)),
        Ok(None) => Err(no_program(name, frames)),
        Err(bytes) => Err(garbage(&bytes)),
    }
}

fn no_program(name: &str, frames: &Frames) -> ConnectError {
    ConnectError::CannotRun { host: name.to_owned(), reason: frames.ending() }
}

/// Reads until the channel ends; answers why it did.
async fn read(mut frames: Frames, line: &std::sync::Weak<Line>, stop: &Notify) -> String {
    // Whose body the raw frames are, and how much of it is to come.
    let mut body: Option<(u64, u64)> = None;
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = stop.notified() => return "the connection was closed".to_owned(),
        };
        let step = match frame {
            Ok(Some(Frame::Json(json))) => wire::decode(&json).map_err(|error| format!("it does not make sense: {error}")),
            Ok(Some(Frame::Raw(bytes))) => match body.as_mut().filter(|(_, left)| *left >= bytes.len() as u64) {
                Some((id, left)) => {
                    *left -= bytes.len() as u64;
                    give(line, *id, Event::Piece(bytes)).await;
                    continue;
                }
                None => Err("it sent file bytes that it did not announce".to_owned()),
            },
            Ok(None) => return frames.ending(),
            Err(bytes) => Err(format!("it sent {:?}", String::from_utf8_lossy(&bytes))),
        };
        match step {
            Ok(FromHost::Hello { .. }) => {}
            Ok(FromHost::Beat) => {
                if let Some(line) = line.upgrade() {
                    let mut state = line.state();
                    state.alive = state.beats.pop_front().or(state.alive);
                }
            }
            Ok(FromHost::Need { id, hashes }) => give(line, id, Event::Need(hashes)).await,
            Ok(FromHost::Say { id, line: said }) => give(line, id, Event::Say(said)).await,
            Ok(FromHost::Done { id, reply }) => give(line, id, Event::Done(reply)).await,
            Ok(FromHost::Blob { id, hash, size }) => {
                body = Some((id, size));
                give(line, id, Event::Body { hash, size }).await;
            }
            Err(reason) => return format!("the host program misbehaves: {reason}"),
        }
    }
}

/// Hands an event to its request; one that nobody waits for any more is dropped.
async fn give(line: &std::sync::Weak<Line>, id: u64, event: Event) {
    let Some(line) = line.upgrade() else { return };
    let waiting = line.state().waiting.get(&id).cloned();
    drop(line);
    if let Some(waiting) = waiting {
        _ = waiting.send(event).await;
    }
}

/// Writes until nobody can send any more; then the host program sees the end of its input and ends.
async fn write(
    mut input: Input,
    mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    heartbeat: Duration,
    line: std::sync::Weak<Line>,
) {
    // Work that keeps the line busy must not keep heartbeats back.
    let mut next = tokio::time::Instant::now() + heartbeat;
    loop {
        let written = match tokio::time::timeout_at(next, outgoing.recv()).await {
            Ok(Some(Outgoing::Message(message))) => write_message(&mut input, &message).await,
            Ok(Some(Outgoing::Body { hash, body })) => write_body(&mut input, hash, body).await,
            Err(_) => {
                next = tokio::time::Instant::now() + heartbeat;
                if let Some(line) = line.upgrade() {
                    line.state().beats.push_back(Instant::now());
                }
                write_message(&mut input, &ToHost::Heartbeat).await
            }
            Ok(None | Some(Outgoing::End)) => {
                _ = input.shutdown().await;
                return;
            }
        };
        if let Err(error) = written {
            // A frame cut short cannot be mended.
            if let Some(line) = line.upgrade() {
                // Where the other end hung up, the reader knows better why.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    line.lose(error.to_string());
                    line.stop.notify_one();
                }
            }
            return;
        }
    }
}

async fn write_message(input: &mut Input, message: &ToHost) -> io::Result<()> {
    input.write_all(&wire::encode(message)?).await?;
    input.flush().await
}

async fn write_body(input: &mut Input, hash: String, body: Body) -> io::Result<()> {
    let Body { size, mut reader } = body;
    write_message(input, &ToHost::Blob { hash, size }).await?;
    let mut left = size;
    while left > 0 {
        let piece = usize::try_from(left.min(1 << 20)).unwrap_or(1 << 20);
        // Files may be on slow disks; the other hosts must not wait for them.
        let (from, bytes) = tokio::task::spawn_blocking(move || read_piece(reader, piece)).await.map_err(io::Error::other)??;
        reader = from;
        for chunk in bytes.chunks(wire::CHUNK) {
            input.write_all(&wire::encode_raw(chunk)?).await?;
        }
        left -= bytes.len() as u64;
    }
    input.flush().await
}

fn read_piece(mut reader: Box<dyn Read + Send>, size: usize) -> io::Result<(Box<dyn Read + Send>, Vec<u8>)> {
    let mut bytes = vec![0; size];
    reader.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("a file became shorter while it was sent"),
        _ => error,
    })?;
    Ok((reader, bytes))
}

/// Frames out of what a command prints.
pub(super) struct Frames {
    pub(super) pipe: Pipe,
    buffer: Vec<u8>,
    errors: Vec<u8>,
    code: Option<i32>,
}

impl Frames {
    /// `buffer` is what was read already.
    pub(super) fn new(pipe: Pipe, buffer: Vec<u8>) -> Frames {
        Frames { pipe, buffer, errors: Vec::new(), code: None }
    }

    /// The next frame, `None` at the end, or the bytes that are none.
    async fn next(&mut self) -> Result<Option<Frame>, Vec<u8>> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<5>() {
                let Ok((size, kind)) = wire::header(*head) else { return Err(self.nonsense().await) };
                if self.buffer.len() >= 5 + size {
                    let rest = self.buffer.split_off(5 + size);
                    let bytes = std::mem::replace(&mut self.buffer, rest).split_off(5);
                    return Ok(Some(wire::frame(kind, bytes)));
                }
            }
            match self.pipe.next().await {
                Some(Piece::Out(bytes)) => self.buffer.extend(bytes),
                Some(Piece::Err(bytes)) => {
                    self.errors.extend(bytes);
                    self.errors.drain(..self.errors.len().saturating_sub(LAST_WORDS));
                }
                Some(Piece::Exit(code)) => self.code = Some(code),
                Some(Piece::Refused) => {}
                None if self.buffer.is_empty() => return Ok(None),
                None if self.buffer.len() < 5 => return Err(first(&self.buffer)),
                // Cut off in the middle of a frame: the end, not nonsense.
                None => return Ok(None),
            }
        }
    }

    /// Enough of what is no frame to recognise it.
    async fn nonsense(&mut self) -> Vec<u8> {
        let more = async {
            while self.buffer.len() < 200
                && let Some(piece) = self.pipe.next().await
            {
                if let Piece::Out(bytes) = piece {
                    self.buffer.extend(bytes);
                }
            }
        };
        _ = tokio::time::timeout(Duration::from_millis(200), more).await;
        first(&self.buffer)
    }

    /// Why there is no more.
    fn ending(&self) -> String {
        let errors = String::from_utf8_lossy(&self.errors);
        let said = errors.trim();
        let mut reason = match (self.pipe.reason(), self.code) {
            (Some(reason), _) => reason,
            (None, Some(code @ 129..)) => format!("the host program was killed by signal {}", code - 128),
            (None, Some(code)) => format!("the host program ended with code {code}"),
            (None, None) => "the channel was closed".to_owned(),
        };
        if !said.is_empty() {
            reason = format!("{reason}: {said}");
        }
        reason
    }

    #[cfg(test)]
    pub(super) async fn rest_as_text(mut self) -> String {
        while let Some(piece) = self.pipe.next().await {
            if let Piece::Out(bytes) = piece {
                self.buffer.extend(bytes);
            }
        }
        String::from_utf8_lossy(&self.buffer).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use tokio::io::{AsyncReadExt as _, DuplexStream};

    /// A host that the test plays.
    struct Stage {
        pieces: mpsc::Sender<Piece>,
        input: DuplexStream,
    }

    impl Stage {
        async fn open(heartbeat: Duration) -> (Stage, Remote) {
            let (pieces, receiver) = mpsc::channel(64);
            let (near, far) = tokio::io::duplex(1 << 20);
            let stage = Stage { pieces, input: far };
            stage.say(&FromHost::Hello { user: "app".into(), uid: 5, home: "/app".into(), pid: 9 }).await;
            let frames = Frames::new(Pipe::of_parts(receiver, Box::new(near)), Vec::new());
            (stage, Remote::start("web1", frames, heartbeat).await.unwrap())
        }

        /// In pieces of three bytes: frames have no luck with packets.
        async fn say(&self, message: &impl Serialize) {
            self.print(&wire::encode(message).unwrap()).await;
        }

        async fn print(&self, bytes: &[u8]) {
            for piece in bytes.chunks(bytes.len() / 20 + 3) {
                _ = self.pieces.send(Piece::Out(piece.to_vec())).await;
            }
        }

        async fn hear(&mut self) -> Frame {
            let mut head = [0; 5];
            self.input.read_exact(&mut head).await.unwrap();
            let (size, kind) = wire::header(head).unwrap();
            let mut bytes = vec![0; size];
            self.input.read_exact(&mut bytes).await.unwrap();
            wire::frame(kind, bytes)
        }

        async fn hear_message(&mut self) -> ToHost {
            let Frame::Json(json) = self.hear().await else { panic!("a message") };
            wire::decode(&json).unwrap()
        }

        async fn done(&self, id: u64) {
            let values = [("id".into(), crate::value::Value::Int(i64::try_from(id).unwrap()))];
            self.say(&FromHost::Done { id, reply: Reply::Ok { values: values.into_iter().collect() } }).await;
        }
    }

    #[derive(Default)]
    struct Store {
        kept: Arc<Mutex<Vec<u8>>>,
        body: Vec<u8>,
        claimed: Option<u64>,
    }

    impl Blobs for Store {
        fn open(&self, _: &str) -> io::Result<Body> {
            let size = self.claimed.unwrap_or(self.body.len() as u64);
            Ok(Body { size, reader: Box::new(io::Cursor::new(self.body.clone())) })
        }

        fn keep(&self, _: &str, _: u64) -> io::Result<Box<dyn Write + Send>> {
            Ok(Box::new(Shared(self.kept.clone())))
        }
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn request(module: &str) -> Request {
        Request { module: module.into(), ..Request::default() }
    }

    fn id_of(reply: &Reply) -> i64 {
        let Reply::Ok { values } = reply else { panic!("ok") };
        values.get("id").and_then(crate::value::Value::as_int).unwrap()
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn requests_go_ahead_and_answers_find_theirs() {
        let (mut stage, remote) = Stage::open(LONG).await;
        assert_eq!((remote.host().user.as_str(), remote.host().uid), ("app", 5));
        let (one, two) = (remote.post(request("a")).unwrap(), remote.post(request("b")).unwrap());
        let mut ids = Vec::new();
        for module in ["a", "b"] {
            let ToHost::Run(request) = stage.hear_message().await else { panic!("a request") };
            assert_eq!(request.module, module);
            ids.push(request.id);
        }
        stage.say(&FromHost::Say { id: ids[0], line: "pulling".into() }).await;
        stage.done(ids[0]).await;
        stage.done(ids[1]).await;
        let said = Mutex::new(Vec::new());
        let store = Store::default();
        let two = two.answer(&store, |_| ()).await.unwrap();
        let one = one.answer(&store, |line| said.lock().unwrap().push(line.to_owned())).await.unwrap();
        assert_eq!([id_of(&one), id_of(&two)].map(i64::unsigned_abs), *ids);
        assert_eq!(*said.lock().unwrap(), ["pulling"]);
    }

    #[tokio::test]
    async fn bodies_are_sent_when_needed_and_kept_when_they_come() {
        let (mut stage, remote) = Stage::open(LONG).await;
        let body: Vec<u8> = (0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let store = Store { body: body.clone(), ..Store::default() };
        let play = async {
            stage.hear_message().await;
            stage.say(&FromHost::Need { id: 1, hashes: vec!["abc".into()] }).await;
            let ToHost::Blob { hash, size } = stage.hear_message().await else { panic!("a body") };
            assert_eq!((hash.as_str(), size), ("abc", 100_000));
            let mut received = Vec::new();
            while received.len() < 100_000 {
                let Frame::Raw(bytes) = stage.hear().await else { panic!("bytes") };
                assert!(bytes.len() <= wire::CHUNK);
                received.extend(bytes);
            }
            stage.say(&FromHost::Blob { id: 1, hash: "def".into(), size: 50_000 }).await;
            for chunk in received[..50_000].chunks(wire::CHUNK) {
                stage.print(&wire::encode_raw(chunk).unwrap()).await;
            }
            stage.done(1).await;
        };
        let (reply, ()) = tokio::join!(remote.run(request("copy"), &store, |_| ()), play);
        assert!(reply.is_ok(), "{reply:?}");
        assert_eq!(*store.kept.lock().unwrap(), body[..50_000]);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_a_lost_channel_and_no_wrong_file() {
        let (mut stage, remote) = Stage::open(LONG).await;
        let store = Store { body: vec![1; 10], claimed: Some(20), ..Store::default() };
        let play = async {
            stage.hear_message().await;
            stage.say(&FromHost::Need { id: 1, hashes: vec!["abc".into()] }).await;
        };
        let (reply, ()) = tokio::join!(remote.run(request("copy"), &store, |_| ()), play);
        let Err(ConnectError::Lost { reason, .. }) = reply else { panic!("{reply:?}") };
        assert!(reason.contains("became shorter"), "{reason}");
        assert!(remote.is_lost());
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_never_an_answer() {
        for (nonsense, part) in [
            (&b"Segmentation fault"[..], "Segmentation"),
            (&[0, 0, 0, 1, b'R', 7][..], "did not announce"),
            (&[0, 0, 0, 2, b'J', b'{', b'}'][..], "does not make sense"),
            (&[0, 0, 0, 9, b'J', b'{'][..], "ended with code 3: out of memory"),
        ] {
            let (mut stage, remote) = Stage::open(LONG).await;
            let pending = remote.post(request("apt")).unwrap();
            stage.hear_message().await;
            stage.print(nonsense).await;
            _ = stage.pieces.send(Piece::Err(b"out of memory\n".to_vec())).await;
            _ = stage.pieces.send(Piece::Exit(3)).await;
            drop(stage);
            let failure = pending.answer(&Store::default(), |_| ()).await.unwrap_err();
            let ConnectError::Lost { reason, doing, .. } = failure else { panic!("{failure:?}") };
            assert!(reason.contains(part) && doing == "`apt`", "{reason}");
        }
    }

    #[tokio::test]
    async fn a_request_that_nobody_waits_for_stalls_nothing() {
        let (mut stage, remote) = Stage::open(LONG).await;
        drop(remote.post(request("a")).unwrap());
        let pending = remote.post(request("b")).unwrap();
        stage.hear_message().await;
        stage.hear_message().await;
        for _ in 0..2 * EVENTS_MAX {
            stage.say(&FromHost::Say { id: 1, line: "x".into() }).await;
        }
        stage.done(2).await;
        assert_eq!(id_of(&pending.answer(&Store::default(), |_| ()).await.unwrap()), 2);
    }

    #[tokio::test]
    async fn an_idle_line_shows_that_it_lives_and_the_last_handle_ends_it() {
        let (mut stage, remote) = Stage::open(Duration::from_millis(20)).await;
        assert!(matches!(stage.hear_message().await, ToHost::Heartbeat));
        assert!(matches!(stage.hear_message().await, ToHost::Heartbeat));
        drop(remote);
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stage.input.read_to_end(&mut rest)).await;
        assert!(ended.is_ok());
    }
}
