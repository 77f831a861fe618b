//! The eyes and hands of a module case: `Look` and `Touch` over a [`World`].

use super::case::covers;
use super::world::{Entry, Script, World, clean, shown_command, shown_request};
use roll::modules::touch::{Tell, Write};
use roll::modules::{Act, Attrs, Cmd, Content, Done, Failure, HttpReply, HttpRequest, IdleEnd, Look, Output, Space, Stat, Touch};
use roll::value::{Map, Value};
use sha2::Digest;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct FakeHost {
    world: RefCell<World>,
    pub(super) check: bool,
    /// What one round of a task leaves for the next.
    pub(super) note: RefCell<Option<String>>,
    /// Lines for people who wait.
    pub(super) said: RefCell<Vec<String>>,
    /// What was asked or done that the case does not provide for.
    pub(super) surprises: RefCell<Vec<String>>,
}

pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl FakeHost {
    pub(super) fn new(said: Option<&Value>) -> FakeHost {
        let mut world = World::new();
        if let Some(said) = said {
            world.extend(said);
        }
        FakeHost {
            world: RefCell::new(world),
            check: false,
            note: RefCell::default(),
            said: RefCell::default(),
            surprises: RefCell::default(),
        }
    }

    pub(super) fn content(&self, path: &str) -> Option<String> {
        let world = self.world.borrow();
        world.found(path, true).map(|entry| String::from_utf8_lossy(&entry.content).into_owned())
    }

    pub(super) fn entry(&self, path: &str) -> Option<Entry> {
        self.world.borrow().found(path, false).cloned()
    }

    pub(super) fn answered(&self) -> BTreeSet<String> {
        self.world.borrow().asked.clone()
    }

    fn surprise(&self, what: String) -> Failure {
        self.surprises.borrow_mut().push(what.clone());
        Failure::new(what)
    }

    fn happen(&self, script: &Script) {
        if let Some(then) = script.then() {
            self.world.borrow_mut().extend(then);
        }
    }

    fn command(&self, cmd: &Cmd) -> Result<Script, Failure> {
        let found = self.world.borrow_mut().command(cmd);
        found.ok_or_else(|| self.surprise(format!("the case has no answer to `{}`", shown_command(cmd))))
    }

    fn page(&self, request: &HttpRequest) -> Result<(Script, HttpReply), Failure> {
        let line = shown_request(request);
        let found = self.world.borrow_mut().page(request);
        let script = found.ok_or_else(|| self.surprise(format!("the case has no answer to `{line}`")))?;
        if script.is_refused() {
            let msg = format!("Status code was -1 and not [200]: Request failed: {}: Connection refused", request.url);
            return Err(Failure::new(msg).with("status", -1));
        }
        if let Some(wanted) = script.sends() {
            let body = String::from_utf8_lossy(&request.body);
            let sent = Value::from_json(&body).unwrap_or_else(|_| Value::from(&*body));
            if !covers(&sent, wanted) {
                return Err(self.surprise(format!("`{line}` sends {}\nwanted {}", sent.to_json(), wanted.to_json())));
            }
        }
        let reply = script.reply(&request.url);
        Ok((script, reply))
    }
}

impl FakeHost {
    fn spoken(&self, socket: &str, line: &str) -> Result<Script, Failure> {
        let found = self.world.borrow_mut().answer(&format!("{socket} {line}"));
        let script = found.ok_or_else(|| self.surprise(format!("the case has no answer to `{socket} {line}`")))?;
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        if script.is_refused() {
            Err(Failure::io(format_args!("cannot talk to haproxy at {socket}"), &refused))
        } else {
            Ok(script)
        }
    }

    fn told(&self, tell: &Tell) -> Result<Done, Failure> {
        let script = self.spoken(&tell.socket, &tell.line)?;
        let answer = script.said();
        if !tell.any_answer && !answer.trim().is_empty() {
            return Err(tell.refused(&answer));
        }
        self.happen(&script);
        let values = [("command", Value::from(&tell.line)), ("answer", answer.into()), ("found", tell.found.clone())];
        Ok(Done { values: values.into_iter().map(|(key, value)| (key.into(), value)).collect(), changed: None })
    }
}

impl Look for FakeHost {
    fn stat(&self, path: &str, follow: bool) -> io::Result<Option<Stat>> {
        let world = self.world.borrow();
        Ok(world.found(path, follow).map(|entry| Stat {
            kind: entry.kind.clone(),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.content.len() as u64,
            inode: entry.inode,
            dev: entry.dev,
            nlink: world.files.values().filter(|other| other.inode == entry.inode).count() as u64,
            atime: entry.mtime,
            mtime: entry.mtime,
            ctime: entry.mtime,
            ..Stat::default()
        }))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.world.borrow().file_at(path).map(|entry| entry.content.clone())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let world = self.world.borrow();
        let dir = world.real(path);
        if world.files.get(&dir).is_none_or(|entry| entry.kind != "directory") {
            return Err(io::Error::from_raw_os_error(2));
        }
        let prefix = if dir == "/" { dir } else { format!("{dir}/") };
        let names = world
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.is_empty() && !name.contains('/'));
        Ok(names.map(str::to_owned).collect())
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        let world = self.world.borrow();
        let entry = world.found(path, false).ok_or_else(|| io::Error::from_raw_os_error(2))?;
        if entry.kind == "link" { Ok(entry.target.clone()) } else { Err(io::Error::from_raw_os_error(22)) }
    }

    fn digest(&self, path: &str, algorithm: &str) -> io::Result<String> {
        let bytes = self.read(path)?;
        Ok(match algorithm {
            "md5" => hex(&md5::Md5::digest(&bytes)),
            "sha1" => hex(&sha1::Sha1::digest(&bytes)),
            "sha256" => hash(&bytes),
            "sha512" => hex(&sha2::Sha512::digest(&bytes)),
            other => return Err(io::Error::other(format!("no {other}"))),
        })
    }

    fn run(&self, cmd: &Cmd) -> Result<Output, Failure> {
        let script = self.command(cmd)?;
        if script.then().is_some() {
            return Err(self.surprise(format!("a plan runs `{}`, which changes the host", shown_command(cmd))));
        }
        if script.is_refused() {
            return Err(Failure::new(format!("`{}` did not end in time", shown_command(cmd))));
        }
        Ok(script.output())
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpReply, Failure> {
        let (script, reply) = self.page(request)?;
        if script.then().is_some() {
            return Err(self.surprise(format!("a plan asks `{}`, which changes the host", shown_request(request))));
        }
        Ok(reply)
    }

    fn ask(&self, socket: &str, line: &str) -> Result<String, Failure> {
        let script = self.spoken(socket, line)?;
        if script.then().is_some() {
            return Err(self.surprise(format!("a plan asks `{socket} {line}`, which changes the host")));
        }
        Ok(script.said())
    }

    fn idle(&self, address: &str, _: &str, _: Duration) -> Result<IdleEnd, Failure> {
        let (host, port) = address.rsplit_once(':').unwrap();
        let is_open = self.world.borrow().is_open(host, port.parse().unwrap());
        if is_open { Ok(IdleEnd::Open) } else { Err(Failure::new(format!("{address}: Connection refused"))) }
    }

    fn connect(&self, host: &str, port: u16, _: Duration) -> io::Result<()> {
        if self.world.borrow().is_open(host, port) { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    fn blob(&self, hash: &str) -> Result<Vec<u8>, Failure> {
        let blob = self.world.borrow().blobs.get(hash).cloned();
        blob.ok_or_else(|| self.surprise(format!("the case has no blob {hash}")))
    }

    fn env(&self, name: &str) -> Option<String> {
        self.world.borrow().env.get(name).cloned()
    }

    fn now(&self) -> f64 {
        self.world.borrow().now
    }

    fn sleep(&self, time: Duration) {
        self.world.borrow_mut().now += time.as_secs_f64();
    }

    fn say(&self, line: &str) {
        self.said.borrow_mut().push(line.to_owned());
    }

    fn note(&self, text: &str) {
        self.note.replace(Some(text.to_owned()));
    }

    fn noted(&self) -> Option<String> {
        self.note.borrow().clone()
    }

    fn is_check(&self) -> bool {
        self.check
    }

    fn is_diff(&self) -> bool {
        true
    }

    fn uid(&self) -> u32 {
        self.world.borrow().uid
    }

    fn gids(&self) -> Vec<u32> {
        vec![self.uid()]
    }

    fn space(&self, _: &str) -> io::Result<Space> {
        Ok(Space { block_size: 4096, blocks: 1000, blocks_available: 500, inodes: 100, inodes_available: 50 })
    }
}

impl Touch for FakeHost {
    fn perform(&mut self, act: &Act) -> Result<Done, Failure> {
        assert!(!self.check, "check mode has hands");
        if let Some(path) = touched(act) {
            self.world.borrow().may_write(path)?;
        }
        match act {
            Act::Write(write) => {
                let bytes = self.body(&write.content)?;
                return self.write(write, bytes);
            }
            Act::Run(cmd) | Act::Converse { cmd, .. } => return self.ran(cmd),
            Act::Http { request, accept } => return self.asked(request, accept),
            Act::Download { request, checksum, write } => return self.downloaded(request, checksum.as_deref(), write),
            Act::Tell(tell) => return self.told(tell),
            Act::Lock(_) => return Ok(Done { values: Map::from_iter([("held".into(), true.into())]), changed: None }),
            Act::Send { .. } => return Ok(Done { changed: Some(false), ..Done::default() }),
            Act::MakeTemp { dir, prefix, suffix, is_dir } => {
                let path = format!("{}/{prefix}12345678{suffix}", dir.as_deref().unwrap_or("/tmp"));
                return Ok(self.make_temp(path, *is_dir));
            }
            _ => {}
        }
        self.change(act).map(|()| Done::default())
    }

    fn look(&self) -> &dyn Look {
        self
    }
}

fn touched(act: &Act) -> Option<&str> {
    match act {
        Act::Write(write) => Some(&write.path),
        Act::Download { write, .. } => Some(&write.path),
        Act::SetAttrs { path, .. }
        | Act::MakeDir { path, .. }
        | Act::Remove { path }
        | Act::Symlink { path, .. }
        | Act::Hardlink { path, .. }
        | Act::SetTimes { path, .. } => Some(path),
        Act::Run(_)
        | Act::Converse { .. }
        | Act::Http { .. }
        | Act::MakeTemp { .. }
        | Act::Send { .. }
        | Act::Tell(_)
        | Act::Lock(_)
        | Act::Note => None,
    }
}

fn dress(entry: &mut Entry, attrs: &Attrs) {
    entry.mode = attrs.mode.unwrap_or(entry.mode);
    entry.uid = attrs.uid.unwrap_or(entry.uid);
    entry.gid = attrs.gid.unwrap_or(entry.gid);
}

impl FakeHost {
    /// Acts that only the file system knows about.
    fn change(&self, act: &Act) -> Result<(), Failure> {
        let missing = |path: &str| Failure::new(format!("there is no {path}"));
        let mut guard = self.world.borrow_mut();
        let world = &mut *guard;
        match act {
            Act::SetAttrs { path, attrs, follow } => {
                let path = if *follow { world.real(path) } else { clean(path) };
                dress(world.files.get_mut(&path).ok_or_else(|| missing(&path))?, attrs);
            }
            Act::MakeDir { path, attrs } => {
                let dir = roll::modules::paths::parent(path);
                world.found(dir, true).ok_or_else(|| missing(dir))?;
                let mut entry = world.new_entry("directory");
                dress(&mut entry, attrs);
                world.files.insert(clean(path), entry);
            }
            Act::Remove { path } => world.remove(path),
            Act::Symlink { path, target } => {
                let entry = world.new_entry("link");
                world.files.insert(clean(path), Entry { target: target.clone(), ..entry });
            }
            Act::Hardlink { path, target } => {
                let entry = world.found(target, true).cloned().ok_or_else(|| missing(target))?;
                world.files.insert(clean(path), entry);
            }
            Act::SetTimes { path, mtime, .. } => {
                let path = world.real(path);
                let entry = world.new_entry("file");
                let entry = world.files.entry(path).or_insert(entry);
                entry.mtime = mtime.unwrap_or(entry.mtime);
            }
            _ => {}
        }
        Ok(())
    }

    fn make_temp(&self, path: String, is_dir: bool) -> Done {
        let mut world = self.world.borrow_mut();
        world.parents(&path);
        let mut entry = world.new_entry(if is_dir { "directory" } else { "file" });
        entry.mode = if is_dir { 0o700 } else { 0o600 };
        world.files.insert(path.clone(), entry);
        Done { values: Map::from_iter([("path".into(), path.into())]), changed: None }
    }

    fn body(&self, content: &Content) -> Result<Vec<u8>, Failure> {
        match content {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Blob(hash) => self.blob(hash),
            Content::File(path) => self.read(path).map_err(|error| Failure::io(path, &error)),
        }
    }

    fn write(&self, write: &Write, bytes: Vec<u8>) -> Result<Done, Failure> {
        let dir = roll::modules::paths::parent(&write.path);
        if self.world.borrow().found(dir, true).is_none_or(|entry| entry.kind != "directory") {
            return Err(Failure::new(format!("Destination directory {dir} does not exist")));
        }
        if let Some(command) = &write.validate {
            let output = self.command(&Cmd::new([command.replace("%s", "NEW")]))?.output();
            if !output.is_success() {
                return Err(Failure::of_command("failed to validate", &output));
            }
        }
        let mut done = Done::default();
        let mut world = self.world.borrow_mut();
        let old = world.found(&write.path, false).cloned().filter(|old| old.kind == "file");
        if let (true, Some(old)) = (write.backup, &old) {
            let path = format!("{}.backup~", write.path);
            world.files.insert(path.clone(), old.clone());
            done.values.insert("backup_file".into(), path.into());
        }
        let mut new = world.new_entry("file");
        if let Some(old) = &old {
            (new.mode, new.uid, new.gid) = (old.mode, old.uid, old.gid);
        }
        new.content = bytes;
        dress(&mut new, &write.attrs);
        world.files.insert(clean(&write.path), new);
        Ok(done)
    }

    fn ran(&self, cmd: &Cmd) -> Result<Done, Failure> {
        let script = self.command(cmd)?;
        let output = script.output();
        if !cmd.any_status && !output.is_success() {
            return Err(Failure::of_change(cmd, &output));
        }
        self.happen(&script);
        let mut values = Map::new();
        values.insert("rc".into(), output.code.into());
        values.insert("stdout".into(), output.stdout_text().into());
        values.insert("stderr".into(), output.stderr_text().into());
        if cmd.any_status {
            values.insert("start".into(), self.now().into());
            values.insert("end".into(), (self.now() + 0.25).into());
        }
        Ok(Done { values, changed: None })
    }

    fn asked(&self, request: &HttpRequest, accept: &[u16]) -> Result<Done, Failure> {
        let (script, reply) = self.page(request)?;
        let headers: Map = reply.headers.iter().map(|(name, value)| (name.as_str().into(), value.into())).collect();
        let mut values = Map::new();
        values.insert("status".into(), u32::from(reply.status).into());
        values.insert("reason".into(), reply.reason.as_str().into());
        values.insert("url".into(), reply.url.as_str().into());
        values.insert("content".into(), reply.text().into());
        values.insert("headers".into(), headers.into());
        if reply.status >= 400 && !accept.iter().any(|status| *status == reply.status || *status == 0) {
            let msg = format!("{}: HTTP status {}: {}", shown_request(request), reply.status, reply.text());
            return Err(Failure { msg, values });
        }
        self.happen(&script);
        Ok(Done { values, changed: None })
    }

    fn downloaded(&self, request: &HttpRequest, checksum: Option<&str>, write: &Write) -> Result<Done, Failure> {
        let (_, reply) = self.page(request)?;
        let status = u32::from(reply.status);
        if reply.status >= 400 {
            return Err(Failure::new(format!("Request failed: HTTP Error {status}")).with("status_code", status));
        }
        let is_wanted = checksum.is_none_or(|sum| sum.strip_prefix("sha256:").is_none_or(|sum| sum == hash(&reply.body)));
        if !is_wanted {
            return Err(Failure::new("The checksum for the download did not match"));
        }
        let is_same = self.content(&write.path).is_some_and(|old| old == reply.text());
        let is_new = reply.status != 304 && !is_same;
        let mut done = if is_new { self.write(write, reply.body.clone())? } else { Done::default() };
        done.values.insert("status_code".into(), status.into());
        done.values.insert("msg".into(), format!("OK ({} bytes)", reply.body.len()).into());
        done.changed = Some(is_new);
        Ok(done)
    }
}
