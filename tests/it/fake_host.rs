//! A host made of data: files in a map, commands and HTTP answers by script. `Look` and `Touch` over it are what module cases run on.

use roll::modules::touch::Write;
use roll::modules::{Act, Attrs, Cmd, Content, Done, Failure, HttpReply, HttpRequest, Look, Output, Space, Stat, Touch};
use roll::value::{Map, Value};
use sha2::Digest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) content: Vec<u8>,
    pub(crate) target: String,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: f64,
    pub(crate) inode: u64,
}

/// A program's or a server's scripted answer, and how the host is afterwards.
#[derive(Clone, Debug)]
struct Script {
    answer: Value,
    then: Option<Value>,
}

#[derive(Clone, Debug, Default)]
struct World {
    files: BTreeMap<String, Entry>,
    commands: BTreeMap<String, Script>,
    http: BTreeMap<String, Script>,
    ports: Vec<String>,
    env: BTreeMap<String, String>,
    blobs: BTreeMap<String, Vec<u8>>,
    uid: u32,
    now: f64,
    inodes: u64,
}

#[derive(Debug)]
pub(crate) struct FakeHost {
    world: RefCell<World>,
    pub(crate) check: bool,
    pub(crate) diff: bool,
    /// Lines for people who wait.
    pub(crate) said: RefCell<Vec<String>>,
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).map(|value| value.to_text().as_str().to_owned())
}

fn number(value: &Value, key: &str) -> Option<u32> {
    value.get(key)?.to_int().and_then(|number| u32::try_from(number).ok())
}

fn mode_of(value: &Value) -> u32 {
    match value {
        Value::Int(mode) => u32::try_from(*mode).expect("a mode"),
        other => u32::from_str_radix(&other.to_text(), 8).expect("an octal mode"),
    }
}

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default()
}

/// Commands are known by their words, joined by blanks.
fn line_of(argv: &Value) -> String {
    match argv {
        Value::List(words) => words.iter().map(|word| word.to_text().as_str().to_owned()).collect::<Vec<_>>().join(" "),
        other => other.to_text().as_str().to_owned(),
    }
}

impl World {
    /// Puts what a case says about the host on top of what is there.
    fn extend(&mut self, said: &Value) {
        for (key, value) in said.as_map().expect("a mapping about the host") {
            match key.as_str().expect("a word") {
                "files" => value.as_map().expect("paths").iter().for_each(|(path, entry)| self.file(&path.to_string(), entry)),
                "commands" => list(Some(value)).iter().for_each(|command| self.command(command)),
                "http" => list(Some(value)).iter().for_each(|exchange| {
                    let request = text(exchange, "request").expect("`request` of an exchange");
                    self.http.insert(request, Script { answer: exchange.clone(), then: exchange.get("then").cloned() });
                }),
                "ports" => self.ports = list(Some(value)).iter().map(line_of).collect(),
                "env" => value.as_map().expect("variables").iter().for_each(|(name, value)| {
                    self.env.insert(name.to_string(), line_of(value));
                }),
                "programs" => list(Some(value)).iter().for_each(|program| self.program(&line_of(program))),
                "blobs" => list(Some(value)).iter().for_each(|body| {
                    let body = body.to_text().as_bytes().to_vec();
                    self.blobs.insert(hash(&body), body);
                }),
                "uid" => self.uid = u32::try_from(value.to_int().expect("a number")).expect("a uid"),
                other => panic!("`{other}` is nothing that a case can say about a host"),
            }
        }
    }

    fn entry(&mut self, kind: &str) -> Entry {
        self.inodes += 1;
        let mode = if kind == "directory" {
            0o755
        } else if kind == "link" {
            0o777
        } else {
            0o644
        };
        Entry {
            kind: kind.into(),
            content: Vec::new(),
            target: String::new(),
            mode,
            uid: self.uid,
            gid: 0,
            mtime: self.now,
            inode: self.inodes,
        }
    }

    /// A text is a file; null removes; a mapping says more.
    fn file(&mut self, path: &str, said: &Value) {
        if said.is_null() {
            self.files.remove(path);
            return;
        }
        self.parents(path);
        let mut entry = match said {
            Value::Map(_) => {
                let kind =
                    text(said, "kind").unwrap_or_else(|| if said.get("link").is_some() { "link".into() } else { "file".into() });
                self.entry(&kind)
            }
            _ => self.entry("file"),
        };
        entry.content = text(said, "content")
            .unwrap_or_else(|| if said.as_map().is_some() { String::new() } else { line_of(said) })
            .into_bytes();
        entry.target = text(said, "link").unwrap_or_default();
        entry.mode = said.get("mode").map_or(entry.mode, mode_of);
        entry.uid = number(said, "uid").unwrap_or(entry.uid);
        entry.gid = number(said, "gid").unwrap_or(entry.gid);
        entry.mtime = said.get("mtime").and_then(Value::to_float).unwrap_or(entry.mtime);
        self.files.insert(path.to_owned(), entry);
    }

    fn parents(&mut self, path: &str) {
        let mut at = path;
        while let Some((dir, _)) = at.rsplit_once('/') {
            let dir = if dir.is_empty() { "/" } else { dir };
            if self.files.contains_key(dir) {
                break;
            }
            let entry = self.entry("directory");
            self.files.insert(dir.to_owned(), entry);
            if dir == "/" {
                break;
            }
            at = dir;
        }
    }

    fn program(&mut self, program: &str) {
        let path = if program.starts_with('/') { program.to_owned() } else { format!("/usr/bin/{program}") };
        if !self.files.contains_key(&path) {
            self.parents(&path);
            let entry = self.entry("file");
            self.files.insert(path, Entry { mode: 0o755, ..entry });
        }
    }

    fn command(&mut self, said: &Value) {
        let line = line_of(said.get("run").expect("`run` of a command"));
        if let Some(program) = line.split(' ').next() {
            self.program(program);
        }
        self.commands.insert(line, Script { answer: said.clone(), then: said.get("then").cloned() });
    }

    /// The path with its links followed.
    fn real(&self, path: &str) -> String {
        let mut path = clean(path);
        for _ in 0..20 {
            let ends = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
            let link = ends
                .map(|end| path[..end].to_owned())
                .find(|head| self.files.get(head).is_some_and(|entry| entry.kind == "link"));
            let Some(head) = link else { break };
            let target = &self.files[&head].target;
            let dir = head.rsplit_once('/').map_or("", |(dir, _)| dir);
            let base = if target.starts_with('/') { target.clone() } else { format!("{dir}/{target}") };
            path = clean(&format!("{base}{}", &path[head.len()..]));
        }
        path
    }

    fn found(&self, path: &str, follow: bool) -> Option<&Entry> {
        let path = clean(path);
        if follow {
            return self.files.get(&self.real(&path));
        }
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let dir = if dir.is_empty() { String::new() } else { self.real(dir) };
        self.files.get(&if path == "/" { path.clone() } else { format!("{dir}/{name}") })
    }

    fn file_at(&self, path: &str) -> io::Result<&Entry> {
        let entry = self.found(path, true).ok_or(io::ErrorKind::NotFound)?;
        if entry.kind == "directory" { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(entry) }
    }

    fn output(&self, argv: &[String]) -> Result<Script, Failure> {
        let line = argv.join(" ");
        self.commands.get(&line).cloned().ok_or_else(|| Failure::new(format!("the case has no command `{line}`")))
    }
}

fn clean(path: &str) -> String {
    roll::modules::paths::normal(path)
}

fn output_of(script: &Script) -> Output {
    let bytes = |key: &str| text(&script.answer, key).unwrap_or_default().into_bytes();
    let code = script.answer.get("code").and_then(Value::to_int).unwrap_or(0);
    Output { code: i32::try_from(code).expect("a status"), stdout: bytes("stdout"), stderr: bytes("stderr") }
}

fn reply_of(script: &Script, url: &str) -> HttpReply {
    let said = &script.answer;
    let headers = said.get("headers").and_then(Value::as_map).cloned().unwrap_or_default();
    let status = said.get("status").and_then(Value::to_int).unwrap_or(200);
    HttpReply {
        status: u16::try_from(status).expect("a status"),
        reason: text(said, "reason").unwrap_or_default(),
        headers: headers.iter().map(|(name, value)| (name.to_string().to_lowercase(), line_of(value))).collect(),
        body: said.get("json").map(Value::to_json).or_else(|| text(said, "body")).unwrap_or_default().into_bytes(),
        url: url.to_owned(),
    }
}

impl FakeHost {
    pub(crate) fn new(said: &Value) -> FakeHost {
        let mut world = World { now: 1_700_000_000.0, ..World::default() };
        world.parents("/etc/passwd");
        for (path, content) in [
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nweb:x:33:33:web:/var/www:/bin/sh\n"),
            ("/etc/group", "root:x:0:\nweb:x:33:\n"),
        ] {
            world.file(path, &Value::from(content));
        }
        world.env.insert("HOME".into(), "/root".into());
        world.env.insert("PATH".into(), "/usr/bin".into());
        if !said.is_null() {
            world.extend(said);
        }
        FakeHost { world: RefCell::new(world), check: false, diff: false, said: RefCell::default() }
    }

    pub(crate) fn content(&self, path: &str) -> Option<String> {
        let world = self.world.borrow();
        world.found(path, true).map(|entry| String::from_utf8_lossy(&entry.content).into_owned())
    }

    pub(crate) fn entry(&self, path: &str) -> Option<Entry> {
        self.world.borrow().found(path, false).cloned()
    }

    fn happen(&self, then: Option<&Value>) {
        if let Some(then) = then {
            self.world.borrow_mut().extend(then);
        }
    }

    fn body(&self, content: &Content) -> Result<Vec<u8>, Failure> {
        match content {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::Blob(hash) => self.blob(hash),
            Content::File(path) => self.read(path).map_err(|error| Failure::io(path, &error)),
        }
    }

    fn write(&self, write: &Write, bytes: Vec<u8>) -> Result<Done, Failure> {
        let mut done = Done::default();
        let mut world = self.world.borrow_mut();
        let dir = roll::modules::paths::parent(&write.path).to_owned();
        if world.found(&dir, true).is_none_or(|entry| entry.kind != "directory") {
            return Err(Failure::new(format!("Destination directory {dir} does not exist")));
        }
        if let Some(command) = &write.validate {
            let script = world.output(&[command.replace("%s", "NEW")])?;
            if !output_of(&script).is_success() {
                return Err(Failure::of_command("failed to validate", &output_of(&script)));
            }
        }
        let old = world.found(&write.path, false).cloned().filter(|old| old.kind == "file");
        if let (true, Some(old)) = (write.backup, &old) {
            let path = format!("{}.backup~", write.path);
            world.files.insert(path.clone(), old.clone());
            done.values.insert("backup_file".into(), path.into());
        }
        let mut new = world.entry("file");
        if let Some(old) = &old {
            (new.mode, new.uid, new.gid) = (old.mode, old.uid, old.gid);
        }
        new.content = bytes;
        dress(&mut new, &write.attrs);
        let path = clean(&write.path);
        world.files.insert(path, new);
        Ok(done)
    }
}

fn dress(entry: &mut Entry, attrs: &Attrs) {
    entry.mode = attrs.mode.unwrap_or(entry.mode);
    entry.uid = attrs.uid.unwrap_or(entry.uid);
    entry.gid = attrs.gid.unwrap_or(entry.gid);
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
            dev: 1,
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
        if !world.files.get(&dir).is_some_and(|entry| entry.kind == "directory") {
            return Err(io::ErrorKind::NotFound.into());
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
        let entry = world.found(path, false).ok_or(io::ErrorKind::NotFound)?;
        if entry.kind == "link" { Ok(entry.target.clone()) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    fn digest(&self, path: &str, algorithm: &str) -> io::Result<String> {
        let bytes = self.read(path)?;
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(match algorithm {
            "md5" => hex(&md5::Md5::digest(&bytes)),
            "sha1" => hex(&sha1::Sha1::digest(&bytes)),
            "sha256" => hash(&bytes),
            "sha512" => hex(&sha2::Sha512::digest(&bytes)),
            other => return Err(io::Error::other(format!("no {other}"))),
        })
    }

    fn run(&self, cmd: &Cmd) -> Result<Output, Failure> {
        let script = self.world.borrow().output(&cmd.argv)?;
        assert!(script.then.is_none(), "a plan ran `{}`, which changes the host", cmd.argv.join(" "));
        Ok(output_of(&script))
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpReply, Failure> {
        let key = format!("{} {}", request.method, request.url);
        let world = self.world.borrow();
        let script = world.http.get(&key).ok_or_else(|| Failure::new(format!("the case has no answer to `{key}`")))?;
        assert!(script.then.is_none(), "a plan asked `{key}`, which changes the host");
        Ok(reply_of(script, &request.url))
    }

    fn connect(&self, host: &str, port: u16, timeout: Duration) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        if world.ports.contains(&format!("{host}:{port}")) {
            return Ok(());
        }
        world.now += timeout.as_secs_f64();
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn blob(&self, hash: &str) -> Result<Vec<u8>, Failure> {
        self.world.borrow().blobs.get(hash).cloned().ok_or_else(|| Failure::new(format!("the case has no blob {hash}")))
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

    fn is_check(&self) -> bool {
        self.check
    }

    fn is_diff(&self) -> bool {
        self.diff
    }

    fn uid(&self) -> u32 {
        self.world.borrow().uid
    }

    fn gids(&self) -> Vec<u32> {
        vec![0]
    }

    fn space(&self, _: &str) -> io::Result<Space> {
        Ok(Space { block_size: 4096, blocks: 1000, blocks_available: 500, inodes: 100, inodes_available: 50 })
    }
}

impl Touch for FakeHost {
    fn perform(&mut self, act: &Act) -> Result<Done, Failure> {
        match act {
            Act::Write(write) => {
                let bytes = self.body(&write.content)?;
                return self.write(write, bytes);
            }
            Act::Run(cmd) => return self.ran(cmd),
            Act::Http { request, accept } => return self.asked(request, accept),
            Act::Download { request, write, .. } => return self.downloaded(request, write),
            _ => {}
        }
        let mut done = Done::default();
        let mut guard = self.world.borrow_mut();
        let world = &mut *guard;
        match act {
            Act::SetAttrs { path, attrs, follow } => {
                let path = if *follow { world.real(path) } else { clean(path) };
                dress(world.files.get_mut(&path).ok_or_else(|| Failure::new(format!("no {path}")))?, attrs);
            }
            Act::MakeDir { path, attrs } => {
                let mut entry = world.entry("directory");
                dress(&mut entry, attrs);
                world.files.insert(clean(path), entry);
            }
            Act::Remove { path } => {
                let (path, inside) = (clean(path), format!("{}/", clean(path)));
                world.files.retain(|other, _| *other != path && !other.starts_with(&inside));
            }
            Act::Symlink { path, target } => {
                let mut entry = world.entry("link");
                target.clone_into(&mut entry.target);
                world.files.insert(clean(path), entry);
            }
            Act::Hardlink { path, target } => {
                let entry = world.found(target, true).cloned().ok_or_else(|| Failure::new(format!("no {target}")))?;
                world.files.insert(clean(path), entry);
            }
            Act::SetTimes { path, mtime, .. } => {
                let path = world.real(path);
                let entry = world.entry("file");
                let entry = world.files.entry(path).or_insert(entry);
                entry.mtime = mtime.unwrap_or(entry.mtime);
            }
            Act::MakeTemp { dir, prefix, suffix, is_dir } => {
                let path = format!("{}/{prefix}12345678{suffix}", dir.as_deref().unwrap_or("/tmp"));
                world.parents(&path);
                let mut entry = world.entry(if *is_dir { "directory" } else { "file" });
                entry.mode = if *is_dir { 0o700 } else { 0o600 };
                world.files.insert(path.clone(), entry);
                done.values.insert("path".into(), path.into());
            }
            Act::Send { .. } => done.changed = Some(false),
            Act::Note | Act::Write(_) | Act::Run(_) | Act::Http { .. } | Act::Download { .. } => {}
        }
        Ok(done)
    }

    fn look(&self) -> &dyn Look {
        self
    }
}

impl FakeHost {
    fn ran(&self, cmd: &Cmd) -> Result<Done, Failure> {
        let script = self.world.borrow().output(&cmd.argv)?;
        let output = output_of(&script);
        if !cmd.any_status && !output.is_success() {
            return Err(Failure::of_command(cmd.argv.join(" "), &output));
        }
        self.happen(script.then.as_ref());
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
        let key = format!("{} {}", request.method, request.url);
        let script = self
            .world
            .borrow()
            .http
            .get(&key)
            .cloned()
            .ok_or_else(|| Failure::new(format!("the case has no answer to `{key}`")))?;
        let reply = reply_of(&script, &request.url);
        let mut values = Map::new();
        values.insert("status".into(), u32::from(reply.status).into());
        values.insert("content".into(), reply.text().into());
        values.insert("url".into(), reply.url.as_str().into());
        let headers: Map = reply.headers.iter().map(|(name, value)| (name.as_str().into(), value.into())).collect();
        values.insert("headers".into(), headers.into());
        if reply.status >= 400 && !accept.iter().any(|status| *status == reply.status || *status == 0) {
            return Err(Failure { msg: format!("{key}: HTTP status {}: {}", reply.status, reply.text()), values });
        }
        self.happen(script.then.as_ref());
        Ok(Done { values, changed: None })
    }

    fn downloaded(&self, request: &HttpRequest, write: &Write) -> Result<Done, Failure> {
        let key = format!("{} {}", request.method, request.url);
        let script = self
            .world
            .borrow()
            .http
            .get(&key)
            .cloned()
            .ok_or_else(|| Failure::new(format!("the case has no answer to `{key}`")))?;
        let reply = reply_of(&script, &request.url);
        if reply.status >= 400 {
            return Err(
                Failure::new(format!("Request failed: HTTP Error {}", reply.status)).with("status_code", u32::from(reply.status))
            );
        }
        let is_same = self.content(&write.path).is_some_and(|old| old == reply.text());
        let mut done = if is_same { Done::default() } else { self.write(write, reply.body.clone())? };
        done.values.insert("status_code".into(), u32::from(reply.status).into());
        done.values.insert("msg".into(), format!("OK ({} bytes)", reply.body.len()).into());
        done.changed = Some(!is_same);
        Ok(done)
    }
}
