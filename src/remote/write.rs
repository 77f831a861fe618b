//! Replacing a file so that nobody ever sees half of it.

use super::blobs::random;
use super::host::Host;
use super::touch::{digest_file, set_attrs};
use super::{exec, http};
use crate::modules::clock::Clock;
use crate::modules::touch::Write;
use crate::modules::{Attrs, Cmd, Content, Done, Failure, HttpRequest, Look, words};
use crate::value::{Map, Value};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn write(host: &Host, write: &Write) -> Result<Done, Failure> {
    stage(host, write)?.place()
}

/// A new file that is complete, and not in its place yet.
pub(super) struct Staged<'a> {
    temp: Temp,
    write: &'a Write,
    values: Map,
}

pub(super) fn stage<'a>(host: &Host, write: &'a Write) -> Result<Staged<'a>, Failure> {
    let temp = match delivered(host, write)? {
        Some(temp) => temp,
        None => Temp::filled(host, write)?,
    };
    let mut values = Map::new();
    temp.prepare(host, write, &mut values)?;
    Ok(Staged { temp, write, values })
}

/// Puts many files in place, waiting for the disk once and not for each.
pub(super) fn place_all(staged: Vec<Staged<'_>>) -> Result<Vec<Done>, Failure> {
    let mut synced = BTreeSet::new();
    for one in &staged {
        let failed = || io_failure("cannot write", &one.write.path);
        let file = File::open(&one.temp.path).map_err(failed())?;
        if synced.insert(file.metadata().map_err(failed())?.dev()) {
            rustix::fs::syncfs(&file).map_err(|error| failed()(error.into()))?;
        }
    }
    let directories: BTreeSet<String> = staged.iter().map(|one| directory_of(&one.write.path).to_owned()).collect();
    let placed = staged.into_iter().map(Staged::rename).collect();
    directories.iter().for_each(|dir| sync_directory(&format!("{dir}/.")));
    placed
}

impl Staged<'_> {
    fn place(self) -> Result<Done, Failure> {
        let failed = || io_failure("cannot write", &self.write.path);
        File::open(&self.temp.path).and_then(|file| file.sync_all()).map_err(failed())?;
        let path = self.write.path.clone();
        let done = self.rename()?;
        sync_directory(&path);
        Ok(done)
    }

    fn rename(self) -> Result<Done, Failure> {
        let Staged { temp, write, values } = self;
        temp.move_to(write)?;
        set_attrs(&write.path, &Attrs { flags: write.attrs.flags, ..Attrs::default() }, true)?;
        Ok(Done { values, changed: None })
    }
}

/// A body from the control side that came to lie beside the file that it is to replace.
fn delivered(host: &Host, write: &Write) -> Result<Option<Temp>, Failure> {
    let Content::Blob(hash) = &write.content else { return Ok(None) };
    let dir = directory_of(&write.path);
    let path = host.line.blob_in(host.id, hash, dir, host.deadline).map_err(io_failure("cannot write", &write.path))?;
    Ok(path.map(|path| Temp { path: path.to_string_lossy().into_owned(), in_place: false }))
}

/// Streams the answer into a temporary file and puts it in place where it differs from what is there.
pub(super) fn download(host: &Host, request: &HttpRequest, checksum: Option<&str>, write: &Write) -> Result<Done, Failure> {
    let temp = Temp::beside(&write.path, write.unsafe_writes)?;
    let mut file = File::options().write(true).open(&temp.path).map_err(io_failure("cannot write", &temp.path))?;
    let reply = http::download(host, request, &mut file)?;
    let mut values = Map::new();
    values.insert("status_code".into(), u32::from(reply.status).into());
    values.insert("url".into(), reply.url.as_str().into());
    if reply.status == 304 {
        values.insert("msg".into(), format!("HTTP Error 304: {}", reply.reason).into());
        return Ok(Done { values, changed: Some(false) });
    }
    let size = file.metadata().map_or(0, |found| found.len());
    if reply.status >= 400 {
        let msg = format!("Request failed: HTTP Error {}: {}", reply.status, reply.reason);
        return Err(Failure { msg, values });
    }
    values.insert("msg".into(), format!("OK ({size} bytes)").into());
    verify(&temp.path, checksum)?;
    let new = digest_file(&temp.path, "sha1")?;
    let old = digest_file(&write.path, "sha1").ok();
    values.insert("checksum_src".into(), new.as_str().into());
    values.insert("checksum_dest".into(), old.clone().into());
    values.insert("size".into(), size.into());
    if old.as_deref() == Some(new.as_str()) {
        let found = host.stat(&write.path, true).map_err(io_failure("cannot read", &write.path))?.unwrap_or_default();
        let missing = write.attrs.missing_from(&found);
        set_attrs(&write.path, &missing, true)?;
        return Ok(Done { values, changed: Some(!missing.is_empty()) });
    }
    temp.prepare(host, write, &mut values)?;
    let done = Staged { temp, write, values }.place()?;
    Ok(Done { changed: Some(true), ..done })
}

fn verify(path: &str, checksum: Option<&str>) -> Result<(), Failure> {
    let Some(checksum) = checksum else { return Ok(()) };
    let (algorithm, wanted) = checksum.split_once(':').unwrap_or(("sha256", checksum));
    let found = digest_file(path, algorithm)?;
    if found.eq_ignore_ascii_case(wanted.trim()) {
        return Ok(());
    }
    Err(Failure::new(format!("The checksum for the downloaded file did not match {wanted}; it was {found}.")))
}

/// A new file beside the one that it will replace; removed again where that does not come about.
struct Temp {
    path: String,
    /// The directory takes no new file, but the one there may be overwritten.
    in_place: bool,
}

impl Drop for Temp {
    fn drop(&mut self) {
        // Renamed away, or not worth keeping.
        let _ = fs::remove_file(&self.path);
    }
}

impl Temp {
    fn beside(path: &str, unsafe_writes: bool) -> Result<Temp, Failure> {
        let create = |dir: &str| {
            let temp = format!("{dir}/.roll-{}", random());
            File::options().write(true).create_new(true).mode(0o600).open(&temp).map(|_| temp)
        };
        match create(directory_of(path)) {
            Ok(path) => Ok(Temp { path, in_place: false }),
            Err(_) if unsafe_writes => {
                let path = create("/tmp").map_err(io_failure("cannot write", "/tmp"))?;
                Ok(Temp { path, in_place: true })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::new(format!("Destination directory {} does not exist", directory_of(path))))
            }
            Err(error) => Err(io_failure("cannot write in the directory of", path)(error)),
        }
    }

    fn filled(host: &Host, write: &Write) -> Result<Temp, Failure> {
        let temp = Temp::beside(&write.path, write.unsafe_writes)?;
        let failed = || io_failure("cannot write", &write.path);
        let mut file = File::options().write(true).open(&temp.path).map_err(failed())?;
        match &write.content {
            Content::Bytes(bytes) => file.write_all(bytes).map_err(failed())?,
            Content::Blob(hash) => {
                let mut body = host.line.blob(host.id, hash, host.deadline).map_err(failed())?;
                io::copy(&mut body, &mut file).map_err(failed())?;
            }
            Content::File(path) => {
                let mut from = File::open(path).map_err(io_failure("cannot read", path))?;
                io::copy(&mut from, &mut file).map_err(failed())?;
            }
        }
        Ok(temp)
    }

    /// Everything but being in its place: mode and owner, the check, the backup of what is there.
    fn prepare(&self, host: &Host, write: &Write, values: &mut Map) -> Result<(), Failure> {
        let old = fs::symlink_metadata(&write.path).ok().filter(|found| found.is_file() || found.is_symlink());
        self.dress(old.as_ref().filter(|found| found.is_file()), write)?;
        if let Some(command) = &write.validate {
            validate(host, command, &self.path)?;
        }
        if write.backup && old.is_some() {
            values.insert("backup_file".into(), back_up(host, &write.path)?.into());
        }
        Ok(())
    }

    fn move_to(&self, write: &Write) -> Result<(), Failure> {
        if self.in_place {
            return self.overwrite(write);
        }
        match fs::rename(&self.path, &write.path) {
            // A file that is mounted by itself, as in containers, cannot be replaced.
            Err(_) if write.unsafe_writes => self.overwrite(write),
            other => other.map_err(io_failure("cannot write", &write.path)),
        }
    }

    /// The mode, owner and extended attributes that the new file is to have: what is asked for, else what the old one has.
    fn dress(&self, old: Option<&Metadata>, write: &Write) -> Result<(), Failure> {
        let wanted = &write.attrs;
        if let Some(old) = old {
            // Only root may give files away; the content matters more than keeping a group.
            let _ = chown(&self.path, Some(old.uid()), Some(old.gid()));
            copy_xattrs(&write.path, &self.path);
        }
        let mode = wanted.mode.or_else(|| old.map(|old| old.permissions().mode() & 0o7777)).unwrap_or_else(|| 0o666 & !umask());
        // A file that is immutable already could not be moved into its place.
        set_attrs(&self.path, &Attrs { mode: Some(mode), flags: None, ..wanted.clone() }, true)?;
        old.map_or(Ok(()), |old| self.be_younger(old)).map_err(io_failure("cannot set the times of", &write.path))
    }

    /// The clock of a file system ticks every few milliseconds: what is written within the tick of the old file would have its times,
    /// and pass for unchanged.
    fn be_younger(&self, old: &Metadata) -> io::Result<()> {
        let new = fs::symlink_metadata(&self.path)?;
        if new.modified()? != old.modified()? && new.accessed()? != old.accessed()? {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timespec { tv_sec: now.as_secs().cast_signed(), tv_nsec: now.subsec_nanos().into() };
        let times = Timestamps { last_access: now, last_modification: now };
        Ok(rustix::fs::utimensat(CWD, &self.path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn overwrite(&self, write: &Write) -> Result<(), Failure> {
        let failed = || io_failure("cannot write", &write.path);
        let mut from = File::open(&self.path).map_err(failed())?;
        let mut to = File::options().write(true).create(true).truncate(true).open(&write.path).map_err(failed())?;
        io::copy(&mut from, &mut to).map_err(failed())?;
        to.sync_all().map_err(failed())?;
        set_attrs(&write.path, &write.attrs, true)
    }
}

fn validate(host: &Host, command: &str, path: &str) -> Result<(), Failure> {
    if !command.contains("%s") {
        return Err(Failure::new(format!("validate must contain %s: {command}")));
    }
    let argv = words::split(&command.replace("%s", path)).map_err(Failure::new)?;
    let output = exec::run(&host.line, &Cmd::new(argv), &host.env, host.deadline)?;
    if output.is_success() {
        return Ok(());
    }
    Err(Failure::of_command("failed to validate", &output).with("exit_status", output.code))
}

/// A copy with the same mode, owner and times, named as Ansible names it; answers with its path.
fn back_up(host: &Host, path: &str) -> Result<String, Failure> {
    let now = Clock::of(host).local(host.now());
    let copy = format!("{path}.{}.{}~", std::process::id(), now.format("%Y-%m-%d@%H:%M:%S"));
    let failed = || io_failure("cannot make the backup", &copy);
    fs::copy(path, &copy).map_err(failed())?;
    let found = fs::metadata(path).map_err(failed())?;
    let _ = chown(&copy, Some(found.uid()), Some(found.gid()));
    fs::set_permissions(&copy, found.permissions()).map_err(failed())?;
    let times =
        fs::FileTimes::new().set_accessed(found.accessed().map_err(failed())?).set_modified(found.modified().map_err(failed())?);
    File::options().write(true).open(&copy).and_then(|file| file.set_times(times)).map_err(failed())?;
    Ok(copy)
}

/// Labels and access lists, as far as the file system and the user's rights allow.
fn copy_xattrs(from: &str, to: &str) {
    let mut names = vec![0; 4096];
    let Ok(size) = rustix::fs::listxattr(from, &mut names) else { return };
    for name in names[..size].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 64 << 10];
        if let Ok(size) = rustix::fs::getxattr(from, name, &mut value) {
            let _ = rustix::fs::setxattr(to, name, &value[..size], rustix::fs::XattrFlags::empty());
        }
    }
}

/// The mask can only be read by setting it; tasks run one at a time.
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

/// The rename is safe on disk only with its directory. File systems that cannot do this do not need it.
pub(super) fn sync_directory(path: &str) {
    let _ = File::open(directory_of(path)).and_then(|dir| dir.sync_all());
}

pub(super) fn directory_of(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((dir, _)) => dir,
        None => ".",
    }
}

pub(super) fn io_failure(doing: &str, path: &str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::io(format_args!("{doing} {path}"), &error).with("path", Value::from(path))
}
