//! The real [`Look`]: eyes on this host for one task.

use super::line::Line;
use super::{admin, exec, http, idle, lock};
use crate::modules::{Cmd, Failure, HttpReply, HttpRequest, IdleEnd, Look, Output, Space, Stat};
use crate::value::hex;
use crate::wire::{FromHost, Lease, Request};
use sha2::Digest;
use std::cell::RefCell;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Files above this are not read into memory.
const READ_MAX: u64 = 256 << 20;

/// Above this it pays to let several processors work.
const BIG: u64 = 8 << 20;

/// One task's view of this host.
pub(super) struct Host {
    pub(super) line: Arc<Line>,
    pub(super) id: u64,
    pub(super) env: Vec<(String, String)>,
    pub(super) deadline: Option<Instant>,
    /// The rollout that the task is part of.
    pub(super) lease: Option<Lease>,
    idle_loop: Option<u64>,
    note: RefCell<Option<String>>,
    check: bool,
    diff: bool,
}

impl Host {
    pub(super) fn new(line: &Arc<Line>, request: &Request) -> Host {
        Host {
            line: Arc::clone(line),
            id: request.id,
            env: request.environment.clone(),
            deadline: request.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            lease: request.lease.clone(),
            idle_loop: request.idle_loop,
            note: RefCell::default(),
            check: request.check,
            diff: request.diff,
        }
    }

    /// What is left of `limit`, or of the task's own time where that is less.
    pub(super) fn time_left(&self, limit: Duration) -> Duration {
        self.deadline.map_or(limit, |deadline| limit.min(deadline.saturating_duration_since(Instant::now())))
    }
}

impl Look for Host {
    fn stat(&self, path: &str, follow: bool) -> io::Result<Option<Stat>> {
        match if follow { fs::metadata(path) } else { fs::symlink_metadata(path) } {
            Ok(metadata) => Ok(Some(stat_of(&metadata))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        if file.take(READ_MAX + 1).read_to_end(&mut bytes)? as u64 > READ_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{path} is larger than {} MiB", READ_MAX >> 20)));
        }
        Ok(bytes)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let names = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        fs::read_link(path).map(|target| target.to_string_lossy().into_owned())
    }

    fn digest(&self, path: &str, algorithm: &str) -> io::Result<String> {
        digest_of(&mut File::open(path)?, algorithm)
    }

    /// Of a big file by several processors at once.
    fn digests(&self, path: &str, algorithms: &[&str]) -> io::Result<Vec<String>> {
        let found = fs::metadata(path)?;
        if let Some(sums) = self.line.sums(&found, algorithms) {
            return Ok(sums);
        }
        if found.len() < BIG {
            return algorithms.iter().map(|algorithm| self.digest(path, algorithm)).collect();
        }
        let digest = |algorithm: &str| digest_of(&mut File::open(path)?, algorithm);
        let broken = |_| io::Error::other("the sum could not be made");
        std::thread::scope(|scope| {
            let sums: Vec<_> = algorithms.iter().map(|algorithm| scope.spawn(move || digest(algorithm))).collect();
            sums.into_iter().map(|sum| sum.join().map_err(broken)?).collect()
        })
    }

    fn run(&self, cmd: &Cmd) -> Result<Output, Failure> {
        let mut env = self.env.clone();
        env.push(("LC_ALL".to_owned(), "C".to_owned()));
        exec::run(&self.line, cmd, &env, self.deadline)
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpReply, Failure> {
        http::request(self, request)
    }

    fn ask(&self, socket: &str, line: &str) -> Result<String, Failure> {
        admin::ask(socket, line, self.time_left(admin::TIMEOUT))
    }

    fn idle(&self, address: &str, path: &str, cap: Duration) -> Result<IdleEnd, Failure> {
        idle::watch(self, address, path, self.time_left(cap))
    }

    fn download(&self, request: &HttpRequest) -> Result<(HttpReply, Option<String>), Failure> {
        let (path, mut file) = self.line.private_file().map_err(|error| Failure::io("cannot keep what is downloaded", &error))?;
        let reply = http::download(self, request, &mut file)?;
        Ok((reply, Some(path.to_string_lossy().into_owned())))
    }

    fn connect(&self, host: &str, port: u16, timeout: Duration) -> io::Result<()> {
        let end = Instant::now() + self.time_left(timeout);
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("cannot resolve {host}"));
        for address in http::resolve(self, host, port)? {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn blob(&self, hash: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let mut body = self
            .line
            .blob(self.id, hash, self.deadline)
            .map_err(|error| Failure::io("cannot read the source file's contents", &error))?;
        body.read_to_end(&mut bytes).map_err(|error| Failure::io("cannot read the source file's contents", &error))?;
        Ok(bytes)
    }

    fn blob_path(&self, hash: &str) -> Result<Option<String>, Failure> {
        let path = self.line.blob_path(self.id, hash, self.deadline);
        let path = path.map_err(|error| Failure::io("cannot keep the source file's contents", &error))?;
        Ok(path.map(|path| path.to_string_lossy().into_owned()))
    }

    fn head(&self, path: &str, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn env(&self, name: &str) -> Option<String> {
        let own = self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        own.or_else(|| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn now(&self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
    }

    fn sleep(&self, time: Duration) {
        self.line.sleep(self.time_left(time));
    }

    fn say(&self, line: &str) {
        self.line.send(&FromHost::Say { id: self.id, line: line.to_owned() });
    }

    fn is_check(&self) -> bool {
        self.check
    }

    fn is_diff(&self) -> bool {
        self.diff
    }

    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn gids(&self) -> Vec<u32> {
        let mut gids = vec![rustix::process::getegid().as_raw()];
        gids.extend(rustix::process::getgroups().unwrap_or_default().iter().map(|gid| gid.as_raw()));
        gids
    }

    fn flags(&self, path: &str) -> Option<u32> {
        let file = File::open(path).ok()?;
        rustix::fs::ioctl_getflags(&file).ok().map(|flags| flags.bits())
    }

    fn space(&self, path: &str) -> io::Result<Space> {
        let found = rustix::fs::statvfs(path)?;
        Ok(Space {
            block_size: found.f_frsize,
            blocks: found.f_blocks,
            blocks_available: found.f_bavail,
            inodes: found.f_files,
            inodes_available: found.f_favail,
        })
    }

    fn is_locked(&self, path: &str) -> io::Result<bool> {
        lock::is_locked(path)
    }

    fn keep_in_mind(&self, word: &'static str) {
        self.idle_loop.iter().for_each(|of| self.line.mind(*of, |words| _ = words.insert(word)));
    }

    fn has_in_mind(&self, word: &'static str) -> bool {
        self.idle_loop.is_some_and(|of| self.line.mind(of, |words| words.contains(word)))
    }

    fn note(&self, text: &str) {
        self.note.replace(Some(text.to_owned()));
    }

    fn noted(&self) -> Option<String> {
        self.note.borrow().clone()
    }
}

pub(super) fn stat_of(metadata: &Metadata) -> Stat {
    let time = |seconds: i64, nanos: i64| seconds as f64 + nanos as f64 / 1e9;
    Stat {
        kind: kind_of(metadata).to_owned(),
        mode: metadata.permissions().mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: metadata.size(),
        inode: metadata.ino(),
        dev: metadata.dev(),
        nlink: metadata.nlink(),
        blocks: metadata.blocks(),
        block_size: metadata.blksize(),
        rdev: metadata.rdev(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
    }
}

fn kind_of(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_file() {
        "file"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        "link"
    } else if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else if kind.is_char_device() {
        "char"
    } else {
        "block"
    }
}

pub(super) fn digest_of(body: &mut dyn Read, algorithm: &str) -> io::Result<String> {
    match algorithm {
        "md5" => digest_with::<md5::Md5>(body),
        "sha1" => digest_with::<sha1::Sha1>(body),
        "sha224" => digest_with::<sha2::Sha224>(body),
        "sha256" => digest_with::<sha2::Sha256>(body),
        "sha384" => digest_with::<sha2::Sha384>(body),
        "sha512" => digest_with::<sha2::Sha512>(body),
        other => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("unknown checksum algorithm `{other}`"))),
    }
}

fn digest_with<D: Digest>(body: &mut dyn Read) -> io::Result<String> {
    let mut digest = D::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match body.read(&mut piece)? {
            0 => return Ok(hex(&digest.finalize())),
            size => digest.update(&piece[..size]),
        }
    }
}
