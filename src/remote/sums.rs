//! The sums of a big file that is arriving: made by other processors while the rest of it comes, so that nobody has to read it again.

use super::host::digest_of;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What Ansible tells of a file that it has written.
const ALGORITHMS: [&str; 2] = ["sha1", "md5"];

pub(super) struct Sums {
    arriving: Writer,
    threads: [JoinHandle<io::Result<String>>; ALGORITHMS.len()],
    /// The file once it is complete. Whoever writes to it makes it another one.
    whole: Option<Identity>,
}

#[derive(PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

#[derive(Default)]
struct Arriving {
    progress: Mutex<Progress>,
    news: Condvar,
}

/// With it goes the hope for more.
struct Writer(Arc<Arriving>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.tell(|progress| progress.is_over = true);
    }
}

#[derive(Default)]
struct Progress {
    size: u64,
    is_over: bool,
}

impl Sums {
    /// Of a file that is empty as yet.
    pub(super) fn begin(path: &Path) -> io::Result<Sums> {
        let arriving = Writer(Arc::default());
        let start = |algorithm: &'static str| {
            let mut follower = Follower { file: File::open(path)?, read: 0, arriving: arriving.0.clone() };
            Ok::<_, io::Error>(std::thread::spawn(move || digest_of(&mut follower, algorithm)))
        };
        let threads = [start(ALGORITHMS[0])?, start(ALGORITHMS[1])?];
        Ok(Sums { arriving, threads, whole: None })
    }

    pub(super) fn grow(&self, bytes: u64) {
        self.arriving.0.tell(|progress| progress.size += bytes);
    }

    pub(super) fn end(&mut self, file: &File) {
        self.whole = file.metadata().ok().as_ref().map(Identity::of);
        self.arriving.0.tell(|progress| progress.is_over = true);
    }

    /// Whether they are this file's.
    pub(super) fn are_of(&self, file: &Metadata) -> bool {
        self.whole == Some(Identity::of(file))
    }

    /// Waits for what is not read yet. None where other sums are wanted.
    pub(super) fn wait(self, algorithms: &[&str]) -> Option<Vec<String>> {
        if algorithms != ALGORITHMS {
            return None;
        }
        self.threads.into_iter().map(|thread| thread.join().ok()?.ok()).collect()
    }
}

impl Identity {
    fn of(file: &Metadata) -> Identity {
        let modified = (file.mtime(), file.mtime_nsec());
        Identity { device: file.dev(), inode: file.ino(), size: file.len(), modified }
    }
}

impl Arriving {
    fn tell(&self, about: impl FnOnce(&mut Progress)) {
        about(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.news.notify_all();
    }
}

/// Reads behind the one that writes.
struct Follower {
    file: File,
    read: u64,
    arriving: Arc<Arriving>,
}

impl Read for Follower {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let progress = self.arriving.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let is_waiting = |progress: &mut Progress| progress.size <= self.read && !progress.is_over;
        let there = self.arriving.news.wait_while(progress, is_waiting).unwrap_or_else(PoisonError::into_inner).size;
        let wanted = usize::try_from(there - self.read).map_or(piece.len(), |left| left.min(piece.len()));
        let size = self.file.read(&mut piece[..wanted])?;
        self.read += size as u64;
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn they_are_those_of_the_whole_file_until_somebody_writes_to_it() {
        let path = std::env::temp_dir().join(format!("roll-sums-{}", super::super::blobs::random()));
        let mut file = File::create(&path).unwrap();
        let of = |path: &Path| ALGORITHMS.map(|algorithm| digest_of(&mut File::open(path).unwrap(), algorithm).unwrap());
        let mut sums = Sums::begin(&path).unwrap();
        for piece in [&b"some"[..], b" more", &[7; 1 << 20]] {
            file.write_all(piece).unwrap();
            sums.grow(piece.len() as u64);
        }
        assert!(!sums.are_of(&file.metadata().unwrap()));
        sums.end(&file);
        assert!(sums.are_of(&file.metadata().unwrap()));
        assert_eq!(sums.wait(&ALGORITHMS).unwrap(), of(&path));
        let mut sums = Sums::begin(&path).unwrap();
        sums.end(&file);
        file.write_all(b"!").unwrap();
        assert!(!sums.are_of(&file.metadata().unwrap()));
        assert_eq!(sums.wait(&["sha256"]), None);
        std::fs::remove_file(&path).unwrap();
    }
}
