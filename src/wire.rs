//! Messages between the control side and the host program, over the standard input and output of one channel.
//!
//! A frame is a length (u32, big-endian), a kind (one byte: [`JSON`] or [`RAW`]) and that many bytes. JSON frames carry
//! [`ToHost`] and [`FromHost`]; raw frames carry file bodies, right after the message that announces them, in pieces of
//! at most [`CHUNK`]. Both sides are built from the same source and the host program is named by the hash of its
//! bytes, so there is no version to negotiate.
//!
//! Every length is checked before anything is allocated: a broken or hostile peer costs an error, never memory.

use crate::value::Map;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

pub const JSON: u8 = b'J';
pub const RAW: u8 = b'R';
/// Largest frame that is accepted: results with big `stdout` pass, a runaway peer does not.
pub const FRAME_MAX: usize = 64 << 20;
/// Bytes of one raw frame.
pub const CHUNK: usize = 32 << 10;

/// From the control side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToHost {
    /// Plan and apply one task. Requests are carried out in order.
    Run(Box<Request>),
    /// A file body follows in raw frames. A name shorter than a sha256 in hex is no hash: the body was not read before it was sent.
    Blob { hash: String, size: u64 },
    /// Proof that the control side lives while it has nothing to ask.
    Heartbeat,
}

/// One task for one host, arguments rendered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request {
    pub id: u64,
    pub module: String,
    pub args: Map,
    #[serde(default)]
    pub check: bool,
    #[serde(default)]
    pub diff: bool,
    #[serde(default)]
    pub environment: Vec<(String, String)>,
    /// Seconds; the task fails when it takes longer.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// The loop that it is an item of, as long as no item has changed anything: what one of them has seen to need not be seen to again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_loop: Option<u64>,
    /// Carry it out in the background, under this name, and answer at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// The rollout that it is part of; changes nothing once that rollout is not the newest on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
}

/// The right of a rollout to change a host, as `_app_lock` gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub app: String,
    pub generation: i64,
    /// Where host programs of other users on the same host ask whether it still holds.
    #[serde(default)]
    pub door: String,
}

/// From the host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromHost {
    /// The first message: who answers.
    Hello {
        user: String,
        uid: u32,
        home: String,
        pid: u32,
    },
    /// Bodies that are not there yet; the control side sends each and the request goes on.
    Need {
        id: u64,
        hashes: Vec<String>,
    },
    /// A line for people who wait.
    Say {
        id: u64,
        line: String,
    },
    /// A file body for the control side follows in raw frames (fetch).
    Blob {
        id: u64,
        hash: String,
        size: u64,
    },
    Done {
        id: u64,
        reply: Reply,
    },
    /// The answer to a heartbeat.
    Beat,
}

/// How one request ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Ansible's return values, `changed` among them.
    Ok { values: Map },
    /// `msg` is among the values.
    Failed { values: Map },
}

/// What a peer may send.
#[derive(Debug, PartialEq)]
pub enum Frame {
    Json(Vec<u8>),
    Raw(Vec<u8>),
}

pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0, 0, 0, 0, JSON];
    serde_json::to_writer(&mut frame, message)?;
    let length = length_of(frame.len() - 5)?;
    frame[..4].copy_from_slice(&length);
    Ok(frame)
}

pub fn encode_raw(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut frame = Vec::with_capacity(bytes.len() + 5);
    frame.extend(length_of(bytes.len())?);
    frame.push(RAW);
    frame.extend(bytes);
    Ok(frame)
}

fn length_of(size: usize) -> io::Result<[u8; 4]> {
    if size > FRAME_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {size} bytes is over the limit of {FRAME_MAX}"),
        ));
    }
    u32::try_from(size).map(u32::to_be_bytes).map_err(io::Error::other)
}

/// Length and kind from the five bytes that open a frame.
pub fn header(bytes: [u8; 5]) -> io::Result<(usize, u8)> {
    let size = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    if size > FRAME_MAX || !matches!(bytes[4], JSON | RAW) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer does not speak the host program's protocol"));
    }
    Ok((size, bytes[4]))
}

pub fn frame(kind: u8, bytes: Vec<u8>) -> Frame {
    if kind == RAW { Frame::Raw(bytes) } else { Frame::Json(bytes) }
}

pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(io::Error::from)
}

/// The next frame of a blocking stream; `Ok(None)` at its end. (The control side reads the same frames asynchronously.)
pub fn read(stream: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; 5];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (size, kind) = header(head)?;
    let mut bytes = Vec::with_capacity(size.min(CHUNK));
    stream.take(size as u64).read_to_end(&mut bytes)?;
    if bytes.len() < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame(kind, bytes)))
}

pub fn write(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&encode(message)?)?;
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_crosses_the_wire() {
        let request = Request { id: 7, module: "ping".into(), check: true, ..Request::default() };
        let bytes = encode(&ToHost::Run(request.into())).unwrap();
        let Some(Frame::Json(json)) = read(&mut bytes.as_slice()).unwrap() else { panic!("a JSON frame") };
        let ToHost::Run(request) = decode(&json).unwrap() else { panic!("a request") };
        assert_eq!((request.id, request.module.as_str(), request.check), (7, "ping", true));
    }

    #[test]
    fn a_peer_that_talks_nonsense_is_an_error() {
        assert!(read(&mut &b"Last login: yesterday"[..]).is_err());
        assert!(read(&mut &[0xff, 0xff, 0xff, 0xff, b'J', 1][..]).is_err());
        assert!(read(&mut &[0, 0, 0, 9, b'J', 1][..]).is_err());
        assert_eq!(read(&mut &b""[..]).unwrap(), None);
    }
}
