//! The real [`Touch`]: carries one act out on this host.

use super::blobs::random;
use super::host::{Host, digest_of};
use super::write::{self, directory_of, io_failure};
use super::{admin, converse, exec, http, lock};
use crate::modules::attrs::Flags;
use crate::modules::{Act, Attrs, Cmd, Done, Failure, HttpReply, HttpRequest, Look, Touch};
use crate::value::{Map, Value};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, lchown, symlink};

pub(super) struct Hands<'a> {
    pub(super) host: &'a Host,
}

impl<'a> Hands<'a> {
    pub(super) fn new(host: &'a Host) -> Hands<'a> {
        Hands { host }
    }
}

impl Touch for Hands<'_> {
    fn perform(&mut self, act: &Act) -> Result<Done, Failure> {
        if !matches!(act, Act::Lock(_)) {
            lock::permit(self.host)?;
        }
        match act {
            Act::Lock(wanted) => lock::perform(self.host, wanted),
            Act::Write(write) => write::write(self.host, write),
            Act::SetAttrs { path, attrs, follow } => set_attrs(path, attrs, *follow).map(|()| Done::default()),
            Act::MakeDir { path, attrs } => make_dir(path, attrs),
            Act::Remove { path } => remove(path),
            Act::Symlink { path, target } => {
                replace(path, |temp| symlink(target, temp)).map_err(io_failure("cannot make the link", path))
            }
            Act::Hardlink { path, target } => {
                replace(path, |temp| fs::hard_link(target, temp)).map_err(io_failure("cannot make the hard link", path))
            }
            Act::SetTimes { path, atime, mtime } => set_times(path, *atime, *mtime),
            Act::Run(cmd) => self.run(cmd),
            Act::Converse { cmd, answers, silence, echo } => converse::converse(self.host, cmd, answers, *silence, *echo),
            Act::Http { request, accept } => self.http(request, accept),
            Act::Download { request, checksum, write } => write::download(self.host, request, checksum.as_deref(), write),
            Act::MakeTemp { dir, prefix, suffix, is_dir } => make_temp(self.host, dir.as_deref(), prefix, suffix, *is_dir),
            Act::Send { path, hash } => self.send(path, hash),
            Act::Tell(tell) => admin::tell(tell, self.host.time_left(admin::TIMEOUT)),
            Act::Note => Ok(Done::default()),
        }
    }

    fn look(&self) -> &dyn Look {
        self.host
    }
}

impl Hands<'_> {
    fn run(&self, cmd: &Cmd) -> Result<Done, Failure> {
        let start = self.host.now();
        let output = exec::run(&self.host.line, cmd, &self.host.env, self.host.deadline)?;
        let end = self.host.now();
        if output.is_killed() {
            // Most likely because the lock is gone: then that is the answer.
            lock::permit(self.host)?;
        }
        if !cmd.any_status && !output.is_success() {
            return Err(Failure::of_change(cmd, &output));
        }
        let mut values = Map::new();
        values.insert("rc".into(), output.code.into());
        values.insert("stdout".into(), output.stdout_text().into());
        values.insert("stderr".into(), output.stderr_text().into());
        if cmd.any_status {
            values.insert("start".into(), start.into());
            values.insert("end".into(), end.into());
        }
        Ok(Done { values, changed: None })
    }

    fn http(&self, request: &HttpRequest, accept: &[u16]) -> Result<Done, Failure> {
        let reply = http::request(self.host, request)?;
        let mut values = Map::new();
        values.insert("status".into(), u32::from(reply.status).into());
        values.insert("reason".into(), reply.reason.as_str().into());
        values.insert("url".into(), reply.url.as_str().into());
        values.insert("content".into(), reply.text().into());
        let headers = reply.headers.iter().map(|(name, value)| (name.as_str().into(), value.into()));
        values.insert("headers".into(), headers.collect::<Map>().into());
        if reply.status >= 400 && !accept.iter().any(|status| *status == reply.status || *status == 0) {
            return Err(Failure { msg: refusal(request, &reply), values });
        }
        Ok(Done { values, changed: None })
    }

    fn send(&self, path: &str, hash: &str) -> Result<Done, Failure> {
        let failed = || io_failure("cannot send", path);
        let mut file = File::open(path).map_err(failed())?;
        let size = file.metadata().map_err(failed())?.len();
        self.host.line.send_blob(self.host.id, hash, size, &mut file).map_err(failed())?;
        Ok(Done { values: Map::new(), changed: Some(false) })
    }
}

/// In the daemon's own words, where it is one behind a socket.
fn refusal(request: &HttpRequest, reply: &HttpReply) -> String {
    let said = reply.json().get("message").and_then(Value::as_str).map(str::to_owned);
    match (request.url.strip_prefix("unix:").and_then(|url| url.split_once(".sock:")), said) {
        (Some((socket, path)), Some(said)) => {
            let daemon = socket.rsplit('/').next().unwrap_or(socket);
            format!("the {daemon} daemon refused {} {}: {said} (status {})", request.method, shortened(path), reply.status)
        }
        _ => {
            let text = reply.text();
            format!("{} {}: HTTP status {} {}: {}", request.method, request.url, reply.status, reply.reason, text.trim())
        }
    }
}

/// Ids as people know them, and without the version of the API.
fn shortened(path: &str) -> String {
    let is_id = |part: &str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (place, query) = path.split_once('?').map_or((path, None), |(place, query)| (place, Some(query)));
    let parts = place.split('/').enumerate().filter(|(at, part)| *at != 1 || !part.starts_with("v1.")).map(|(_, part)| part);
    let place: Vec<&str> = parts.map(|part| if is_id(part) { &part[..12] } else { part }).collect();
    place.join("/") + &query.map_or_else(String::new, |query| format!("?{query}"))
}

/// What cannot be changed must be made changeable first, and the other way round last.
pub(super) fn set_attrs(path: &str, attrs: &Attrs, follow: bool) -> Result<(), Failure> {
    let Some(flags) = attrs.flags else { return set_owner_and_mode(path, attrs, follow) };
    set_flags(path, Flags { set: 0, clear: flags.clear })?;
    set_owner_and_mode(path, attrs, follow)?;
    set_flags(path, Flags { set: flags.set, clear: 0 })
}

fn set_flags(path: &str, flags: Flags) -> Result<(), Failure> {
    let failed = |error: io::Error| io_failure("chattr failed", path)(error);
    let file = File::open(path).map_err(failed)?;
    let found = rustix::fs::ioctl_getflags(&file).map_err(|error| failed(error.into()))?;
    let wanted = rustix::fs::IFlags::from_bits_retain(flags.apply(found.bits()));
    if wanted == found {
        return Ok(());
    }
    rustix::fs::ioctl_setflags(&file, wanted).map_err(|error| failed(error.into()))
}

/// Owner first: changing it clears the set-user-id bit.
fn set_owner_and_mode(path: &str, attrs: &Attrs, follow: bool) -> Result<(), Failure> {
    if attrs.uid.is_some() || attrs.gid.is_some() {
        let change = if follow { chown(path, attrs.uid, attrs.gid) } else { lchown(path, attrs.uid, attrs.gid) };
        change.map_err(io_failure("chown failed", path))?;
    }
    let is_link = || !follow && fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    match attrs.mode {
        // A link has no mode of its own.
        Some(mode) if !is_link() => {
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io_failure("chmod failed", path))
        }
        _ => Ok(()),
    }
}

fn make_dir(path: &str, attrs: &Attrs) -> Result<Done, Failure> {
    let made = DirBuilder::new().mode(attrs.mode.unwrap_or(0o777) & 0o777).create(path);
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::metadata(path).is_ok_and(|found| found.is_dir()) => {}
        other => other.map_err(io_failure("cannot make the directory", path))?,
    }
    set_attrs(path, attrs, true)?;
    Ok(Done::default())
}

fn remove(path: &str) -> Result<Done, Failure> {
    let removed = fs::symlink_metadata(path)
        .and_then(|found| if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Done::default()),
        other => other.map(|()| Done::default()).map_err(io_failure("cannot remove", path)),
    }
}

/// Makes something beside `path`, then moves it there in one step. An empty directory may be in its place.
fn replace(path: &str, make: impl Fn(&str) -> io::Result<()>) -> io::Result<Done> {
    let temp = format!("{}/.roll-{}", directory_of(path), random());
    make(&temp)?;
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        fs::remove_dir(path).inspect_err(|_| drop(fs::remove_file(&temp)))?;
    }
    fs::rename(&temp, path).inspect_err(|_| drop(fs::remove_file(&temp)))?;
    // Renaming one hard link of a file onto another leaves both.
    let _ = fs::remove_file(&temp);
    write::sync_directory(path);
    Ok(Done::default())
}

/// Seconds between a plan's "now" and its being carried out.
const NOW_WITHIN: f64 = 60.0;

fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn set_times(path: &str, atime: Option<f64>, mtime: Option<f64>) -> Result<Done, Failure> {
    let failed = || io_failure("cannot touch", path);
    if !fs::exists(path).map_err(failed())? {
        File::options().append(true).create(true).mode(0o666).open(path).map_err(failed())?;
    }
    let time = |time: Option<f64>| match time {
        Some(time) => Timespec { tv_sec: time.floor() as i64, tv_nsec: ((time - time.floor()) * 1e9) as i64 },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    };
    let times = Timestamps { last_access: time(atime), last_modification: time(mtime) };
    let mut set = rustix::fs::utimensat(CWD, path, &times, AtFlags::empty());
    let is_now = |time: Option<f64>| time.is_some_and(|time| (now() - time).abs() < NOW_WITHIN);
    if set == Err(rustix::io::Errno::PERM) && is_now(atime) && is_now(mtime) {
        // Who may write a file that another owns may do no more than this.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        set = rustix::fs::utimensat(CWD, path, &times, AtFlags::empty());
    }
    set.map_err(|error| failed()(error.into()))?;
    Ok(Done::default())
}

fn make_temp(look: &dyn Look, dir: Option<&str>, prefix: &str, suffix: &str, is_dir: bool) -> Result<Done, Failure> {
    let dir = dir.map(str::to_owned).or_else(|| look.env("TMPDIR")).unwrap_or_else(|| "/tmp".to_owned());
    let path = format!("{}/{prefix}{}{suffix}", dir.trim_end_matches('/'), &random()[..8]);
    let made = if is_dir {
        DirBuilder::new().mode(0o700).create(&path)
    } else {
        File::options().write(true).create_new(true).mode(0o600).open(&path).map(drop)
    };
    made.map_err(io_failure("cannot make a temporary file", &path))?;
    let mut values = Map::new();
    values.insert("path".into(), path.into());
    Ok(Done { values, changed: None })
}

pub(super) fn digest_file(path: &str, algorithm: &str) -> Result<String, Failure> {
    File::open(path).and_then(|mut file| digest_of(&mut file, algorithm)).map_err(io_failure("cannot read", path))
}
