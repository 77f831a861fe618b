//! File bodies that the control side sent, by their sha256: small ones in memory, big ones in a private directory.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// Bodies above this go to disk, and so does every body once so many bytes are held.
const MEMORY_MAX: u64 = 4 << 20;
const HELD_MAX: u64 = 64 << 20;

#[derive(Default)]
pub(super) struct Blobs {
    here: HashMap<String, Body>,
    coming: Option<Coming>,
    dir: Option<PathBuf>,
    /// Bytes in memory.
    held: u64,
}

enum Body {
    Memory(Arc<[u8]>),
    Disk(PathBuf),
}

struct Coming {
    hash: String,
    left: u64,
    digest: Sha256,
    into: Into,
}

enum Into {
    Memory(Vec<u8>),
    Disk(PathBuf, File),
}

impl Blobs {
    /// Complete, or arriving right now.
    pub(super) fn has(&self, hash: &str) -> bool {
        self.here.contains_key(hash) || self.coming.as_ref().is_some_and(|coming| coming.hash == hash)
    }

    pub(super) fn open(&self, hash: &str) -> io::Result<Option<Box<dyn Read>>> {
        match self.here.get(hash) {
            None => Ok(None),
            Some(Body::Memory(bytes)) => Ok(Some(Box::new(Cursor::new(Arc::clone(bytes))))),
            Some(Body::Disk(path)) => Ok(Some(Box::new(File::open(path)?))),
        }
    }

    pub(super) fn begin(&mut self, hash: &str, size: u64) -> io::Result<()> {
        if self.coming.is_some() || hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file body that was not announced properly"));
        }
        let into =
            if size <= MEMORY_MAX && self.held + size <= HELD_MAX { Into::Memory(Vec::new()) } else { self.on_disk(hash)? };
        self.coming = Some(Coming { hash: hash.to_owned(), left: size, digest: Sha256::new(), into });
        self.complete()
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(coming) = &mut self.coming else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes that no message announced"));
        };
        coming.left = coming
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a file body longer than announced"))?;
        coming.digest.update(bytes);
        match &mut coming.into {
            Into::Memory(body) => body.extend(bytes),
            Into::Disk(_, file) => file.write_all(bytes)?,
        }
        self.complete()
    }

    /// Files the body that is complete, if what came is what was announced.
    fn complete(&mut self) -> io::Result<()> {
        let Some(coming) = self.coming.take_if(|coming| coming.left == 0) else { return Ok(()) };
        if hex(&coming.digest.finalize()) != coming.hash {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file body that is not the one announced"));
        }
        let body = match coming.into {
            Into::Memory(bytes) => {
                self.held += bytes.len() as u64;
                Body::Memory(bytes.into())
            }
            Into::Disk(path, _) => Body::Disk(path),
        };
        self.here.insert(coming.hash, body);
        Ok(())
    }

    fn on_disk(&mut self, hash: &str) -> io::Result<Into> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None => self.dir.insert(private_dir()?).clone(),
        };
        let path = dir.join(hash);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Into::Disk(path, file))
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            // What is left over is private and in a temporary directory.
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// A fresh directory that only this user can enter.
fn private_dir() -> io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("roll-{}", random()));
    fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

/// Sixteen hex digits that nobody can guess.
pub(super) fn random() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_arrives_in_pieces_and_must_be_the_one_announced() {
        let mut blobs = Blobs::default();
        let hash = hex(&Sha256::digest(b"hello world"));
        blobs.begin(&hash, 11).unwrap();
        blobs.append(b"hello ").unwrap();
        assert!(blobs.has(&hash) && blobs.open(&hash).unwrap().is_none());
        blobs.append(b"world").unwrap();
        let mut text = String::new();
        blobs.open(&hash).unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello world");

        blobs.begin(&"0".repeat(64), 5).unwrap();
        assert!(blobs.append(b"wrong").is_err());
    }

    #[test]
    fn an_empty_body_is_complete_at_once_and_a_long_one_is_refused() {
        let mut blobs = Blobs::default();
        let empty = hex(&Sha256::digest(b""));
        blobs.begin(&empty, 0).unwrap();
        assert!(blobs.open(&empty).unwrap().is_some());
        blobs.begin(&"1".repeat(64), 2).unwrap();
        assert!(blobs.append(b"abc").is_err());
        assert!(Blobs::default().begin("../../etc/passwd", 1).is_err());
    }

    #[test]
    fn a_big_body_lies_in_a_private_directory_until_the_end() {
        let mut blobs = Blobs::default();
        let body = vec![7; 5 << 20];
        let hash = hex(&Sha256::digest(&body));
        blobs.begin(&hash, body.len() as u64).unwrap();
        body.chunks(1 << 20).for_each(|piece| blobs.append(piece).unwrap());
        let dir = blobs.dir.clone().unwrap();
        assert!(dir.join(&hash).exists());
        drop(blobs);
        assert!(!dir.exists());
    }
}
