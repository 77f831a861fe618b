//! File bodies that the control side sent, by their sha256: small ones in memory, big ones on disk.
//!
//! A big one comes to lie in the directory that it is for, where it only has to be renamed; without such a directory in a private
//! one. A body that cannot be kept (a full disk) spoils the task that wants it, not the connection.

use super::sums::Sums;
use crate::value::hex;
use rustix::fs::Advice;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The names of bodies are hashes of so many digits; shorter ones say nothing about what comes, because nobody has read it before.
const HASH_DIGITS: usize = 64;
/// Bodies above this go to disk, and so does every body once so many bytes are held.
const MEMORY_MAX: u64 = 4 << 20;
const HELD_MAX: u64 = 16 << 20;
/// From here on, sums are made while a body arrives.
const SUMMED_MIN: u64 = 32 << 20;
/// So much of a big body is left to the page cache before the disk is to begin.
const WRITE_BEHIND: u64 = 8 << 20;

#[derive(Default)]
pub(super) struct Blobs {
    here: HashMap<String, Body>,
    coming: Option<Coming>,
    /// The directories that bodies are for.
    homes: HashMap<String, PathBuf>,
    dir: Option<PathBuf>,
    /// Of the last big one.
    sums: Option<Sums>,
    /// Bytes in memory.
    held: u64,
}

enum Body {
    Memory(Arc<[u8]>),
    Disk(Stored),
    Broken(io::Error),
}

/// A file that goes with its value.
struct Stored(PathBuf);

impl Drop for Stored {
    fn drop(&mut self) {
        // Private in any case.
        let _ = fs::remove_file(&self.0);
    }
}

struct Coming {
    hash: String,
    left: u64,
    sums: Option<Sums>,
    /// What the disk has not been told of yet: where it begins, and how much it is.
    unwritten: (u64, u64),
    /// None where the name is no hash.
    digest: Option<Sha256>,
    into: Into,
}

enum Into {
    Memory(Vec<u8>),
    Disk(Stored, File),
    Nowhere(io::Error),
}

impl Blobs {
    /// Complete, or arriving right now.
    pub(super) fn has(&self, hash: &str) -> bool {
        self.here.contains_key(hash) || self.coming.as_ref().is_some_and(|coming| coming.hash == hash)
    }

    pub(super) fn is_coming(&self) -> bool {
        self.coming.is_some()
    }

    pub(super) fn open(&self, hash: &str) -> io::Result<Option<Box<dyn Read>>> {
        match self.here.get(hash) {
            None => Ok(None),
            Some(Body::Memory(bytes)) => Ok(Some(Box::new(Cursor::new(Arc::clone(bytes))))),
            Some(Body::Disk(stored)) => Ok(Some(Box::new(File::open(&stored.0)?))),
            Some(Body::Broken(error)) => Err(again(error)),
        }
    }

    /// Where a body is that has come and is on disk.
    pub(super) fn path(&self, hash: &str) -> Option<&Path> {
        match self.here.get(hash) {
            Some(Body::Disk(stored)) => Some(&stored.0),
            _ => None,
        }
    }

    /// Says where a body is wanted, before it comes.
    pub(super) fn expect_in(&mut self, hash: &str, dir: &str) {
        self.homes.insert(hash.to_owned(), PathBuf::from(dir));
    }

    /// Gives a body away that lies in `dir`; whoever takes it removes or renames it.
    pub(super) fn take(&mut self, hash: &str, dir: &str) -> Option<PathBuf> {
        if self.path(hash)?.parent()? != Path::new(dir) {
            return None;
        }
        let Some(Body::Disk(mut stored)) = self.here.remove(hash) else { return None };
        Some(std::mem::take(&mut stored.0))
    }

    /// Lets go of what is on disk; answers with its names.
    pub(super) fn shed(&mut self) -> Vec<String> {
        self.homes.clear();
        self.sums = None;
        self.here.extract_if(|_, body| !matches!(body, Body::Memory(_))).map(|(hash, _)| hash).collect()
    }

    pub(super) fn begin(&mut self, hash: &str, size: u64) -> io::Result<()> {
        if self.coming.is_some() || hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file body that was not announced properly"));
        }
        let into = if size <= MEMORY_MAX && self.held + size <= HELD_MAX {
            Into::Memory(Vec::new())
        } else {
            self.on_disk(hash).unwrap_or_else(Into::Nowhere)
        };
        let digest = (hash.len() == HASH_DIGITS).then(Sha256::new);
        let sums = match &into {
            Into::Disk(stored, _) if size >= SUMMED_MIN => Sums::begin(&stored.0).ok(),
            _ => None,
        };
        self.coming = Some(Coming { hash: hash.to_owned(), left: size, sums, unwritten: (0, 0), digest, into });
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
        if let Some(digest) = &mut coming.digest {
            digest.update(bytes);
        }
        match &mut coming.into {
            Into::Memory(body) => body.extend(bytes),
            Into::Disk(_, file) => match file.write_all(bytes) {
                Ok(()) => {
                    coming.sums.iter().for_each(|sums| sums.grow(bytes.len() as u64));
                    write_behind(file, &mut coming.unwritten, bytes.len() as u64);
                }
                Err(error) => {
                    coming.sums = None;
                    coming.into = Into::Nowhere(error);
                }
            },
            Into::Nowhere(_) => {}
        }
        self.complete()
    }

    /// Files the body that is complete, if what came is what was announced.
    fn complete(&mut self) -> io::Result<()> {
        let Some(coming) = self.coming.take_if(|coming| coming.left == 0) else { return Ok(()) };
        if coming.digest.is_some_and(|digest| hex(&digest.finalize()) != coming.hash) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file body that is not the one announced"));
        }
        let body = match coming.into {
            Into::Memory(bytes) => {
                self.held += bytes.len() as u64;
                Body::Memory(bytes.into())
            }
            Into::Disk(stored, file) => {
                self.sums = coming.sums.map(|mut sums| {
                    sums.end(&file);
                    sums
                });
                Body::Disk(stored)
            }
            Into::Nowhere(error) => Body::Broken(error),
        };
        self.here.insert(coming.hash, body);
        Ok(())
    }

    fn on_disk(&mut self, hash: &str) -> io::Result<Into> {
        let create = |path: PathBuf| {
            let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            Ok(Into::Disk(Stored(path), file))
        };
        let home = self.homes.get(hash).map(|dir| create(dir.join(format!(".roll-{}", random()))));
        if let Some(Ok(into)) = home {
            return Ok(into);
        }
        create(self.private_dir()?.join(hash))
    }

    /// Those of a file that came just now, and that nobody has written to since.
    pub(super) fn take_sums(&mut self, file: &fs::Metadata) -> Option<Sums> {
        self.sums.take_if(|sums| sums.are_of(file))
    }

    /// A new file that goes with the big bodies.
    pub(super) fn private_file(&mut self) -> io::Result<(PathBuf, File)> {
        let name = random();
        let path = self.private_dir()?.join(&name);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        self.here.insert(name, Body::Disk(Stored(path.clone())));
        Ok((path, file))
    }

    fn private_dir(&mut self) -> io::Result<PathBuf> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(self.dir.insert(new_private_dir()?).clone()),
        }
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

/// Has the disk work while the rest arrives, so that the end needs not wait for all of it: pages that are not needed any more are
/// written, and stay while they are.
fn write_behind(file: &File, unwritten: &mut (u64, u64), more: u64) {
    unwritten.1 += more;
    if unwritten.1 >= WRITE_BEHIND {
        // Only a hint.
        let _ = rustix::fs::fadvise(file, unwritten.0, NonZeroU64::new(unwritten.1), Advice::DontNeed);
        *unwritten = (unwritten.0 + unwritten.1, 0);
    }
}

/// The same failure once more, for everybody who asks.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

/// A fresh directory that only this user can enter, where there is more room than in memory.
fn new_private_dir() -> io::Result<PathBuf> {
    let create = |base: &Path| {
        let path = base.join(format!("roll-{}", random()));
        fs::DirBuilder::new().mode(0o700).create(&path).map(|()| path)
    };
    match std::env::var_os("TMPDIR") {
        Some(dir) => create(Path::new(&dir)),
        None => create(Path::new("/var/tmp")).or_else(|_| create(Path::new("/tmp"))),
    }
}

/// Sixteen hex digits that nobody can guess.
pub(super) fn random() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
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

    fn big() -> (Vec<u8>, String) {
        let body = vec![7; 5 << 20];
        let hash = hex(&Sha256::digest(&body));
        (body, hash)
    }

    fn send(blobs: &mut Blobs, body: &[u8], hash: &str) {
        blobs.begin(hash, body.len() as u64).unwrap();
        body.chunks(1 << 20).for_each(|piece| blobs.append(piece).unwrap());
    }

    #[test]
    fn a_big_body_is_put_where_it_is_wanted_and_given_away_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        let (body, hash) = big();
        let mut blobs = Blobs::default();
        blobs.expect_in(&hash, dir);
        send(&mut blobs, &body, &hash);
        assert_eq!(blobs.take(&hash, "/elsewhere"), None);
        let path = blobs.take(&hash, dir).unwrap();
        assert_eq!(fs::read(path).unwrap(), body);
        assert!(!blobs.has(&hash) && blobs.take(&hash, dir).is_none());

        blobs.expect_in(&hash, dir);
        send(&mut blobs, &body, &hash);
        assert_eq!(blobs.shed(), [hash.as_str()]);
        assert_eq!(fs::read_dir(dir).unwrap().count(), 1, "only what was given away is left");
    }

    #[test]
    fn a_body_that_found_no_room_is_an_error_for_who_wants_it_and_for_nobody_else() {
        let (body, hash) = big();
        let mut blobs = Blobs::default();
        blobs.begin(&hash, body.len() as u64).unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        if let Some(coming) = &mut blobs.coming {
            coming.into = Into::Disk(Stored(PathBuf::new()), full);
        }
        body.chunks(1 << 20).for_each(|piece| blobs.append(piece).unwrap());
        let error = blobs.open(&hash).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(blobs.has(&hash));
        assert_eq!(blobs.shed(), [hash.as_str()]);
        assert!(!blobs.has(&hash));
    }

    #[test]
    fn a_big_body_lies_in_a_private_directory_until_the_end() {
        let mut blobs = Blobs::default();
        let (body, hash) = big();
        send(&mut blobs, &body, &hash);
        let dir = blobs.dir.clone().unwrap();
        assert!(dir.join(&hash).exists());
        drop(blobs);
        assert!(!dir.exists());
    }
}
