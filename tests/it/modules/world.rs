//! What a case says about a host: files in a map, programs and servers by script.

use roll::modules::{Cmd, Failure, HttpReply, HttpRequest, Output, glob};
use roll::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// When every case plays: 2026-01-01.
pub(super) const START: f64 = 1_767_225_600.0;
/// Cases write `docker:/info` for it.
const DOCKER: &str = "unix:/var/run/docker.sock:";
/// Where programs live that cases name without a directory.
const PROGRAM_DIRS: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) kind: String,
    pub(super) content: Vec<u8>,
    pub(super) target: String,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: f64,
    pub(super) inode: u64,
    pub(super) dev: u64,
}

/// A program's or a server's scripted answer.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// With wildcards; brackets stand for themselves.
    pattern: String,
    answer: Value,
    is_once: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) files: BTreeMap<String, Entry>,
    /// The first that fits answers.
    commands: Vec<Script>,
    http: Vec<Script>,
    sockets: Vec<Script>,
    /// `host:port`, or a port on any host.
    ports: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    /// Below these nothing can be written.
    denied: Vec<String>,
    pub(super) uid: u32,
    pub(super) now: f64,
    inodes: u64,
    /// Patterns of answers that were given.
    pub(super) asked: BTreeSet<String>,
}

pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).map(line_of)
}

fn number<T: TryFrom<i64>>(value: &Value, key: &str) -> Option<T> {
    value.get(key)?.to_int().and_then(|number| T::try_from(number).ok())
}

fn mode_of(value: &Value) -> u32 {
    match value {
        Value::Int(mode) => u32::try_from(*mode).expect("a mode"),
        other => u32::from_str_radix(&other.to_text(), 8).expect("an octal mode"),
    }
}

pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default()
}

pub(super) fn line_of(value: &Value) -> String {
    value.to_text().as_str().to_owned()
}

/// Whether a line is as a case wrote it: with wildcards, and brackets that stand for themselves.
pub(super) fn fits(pattern: &str, line: &str) -> bool {
    pattern == line || glob::is_match(&pattern.replace('[', "?"), line)
}

/// A command as cases write it: a program of the system without its directory, then its words.
pub(super) fn shown_command(cmd: &Cmd) -> String {
    let (program, words) = cmd.argv.split_first().expect("a program");
    let program = match program.rsplit_once('/') {
        Some((dir, name)) if PROGRAM_DIRS.contains(&dir) => name,
        _ => program,
    };
    let words = words.iter().map(|word| if word.is_empty() { "''" } else { word });
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

pub(super) fn shown_request(request: &HttpRequest) -> String {
    let url = request.url.strip_prefix(DOCKER).map_or_else(|| request.url.clone(), |path| format!("docker:{path}"));
    format!("{} {url}", request.method)
}

pub(super) fn clean(path: &str) -> String {
    roll::modules::paths::normal(path)
}

impl World {
    /// A host with the few things that every host has.
    pub(super) fn new() -> World {
        let mut world = World { now: START, ..World::default() };
        for (path, content) in [
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nweb:x:33:33:web:/var/www:/bin/sh\n"),
            ("/etc/group", "root:x:0:\nweb:x:33:\n"),
        ] {
            world.file(path, &Value::from(content));
        }
        world.env.insert("HOME".into(), "/root".into());
        world.env.insert("PATH".into(), "/usr/bin".into());
        world
    }

    /// Puts what a case says about the host on top of what is there.
    pub(super) fn extend(&mut self, said: &Value) {
        for (key, value) in said.as_map().expect("a mapping about the host") {
            match key.as_str().expect("a word") {
                "files" => value.as_map().expect("paths").iter().for_each(|(path, entry)| self.file(&path.to_string(), entry)),
                "programs" => list(Some(value)).iter().for_each(|program| self.program(&line_of(program))),
                "commands" => drop(self.commands.splice(0..0, scripts(value, "run"))),
                "http" => drop(self.http.splice(0..0, scripts(value, "request"))),
                "sockets" => drop(self.sockets.splice(0..0, scripts(value, "ask"))),
                "ports" => self.ports = list(Some(value)).iter().map(line_of).collect(),
                "denied" => self.denied = list(Some(value)).iter().map(line_of).collect(),
                "env" => value.as_map().expect("variables").iter().for_each(|(name, value)| {
                    self.env.insert(name.to_string(), line_of(value));
                }),
                "blobs" => list(Some(value)).iter().for_each(|body| {
                    let body = body.to_text().as_bytes().to_vec();
                    self.blobs.insert(super::host::hash(&body), body);
                }),
                "uid" => self.uid = number(said, "uid").expect("a uid"),
                other => panic!("`{other}` is nothing that a case can say about a host"),
            }
        }
    }

    pub(super) fn entry(&mut self, kind: &str) -> Entry {
        self.inodes += 1;
        let mode = match kind {
            "directory" => 0o755,
            "link" => 0o777,
            _ => 0o644,
        };
        Entry {
            kind: kind.into(),
            content: Vec::new(),
            target: String::new(),
            mode,
            uid: 0,
            gid: 0,
            mtime: self.now,
            inode: self.inodes,
            dev: 1,
        }
    }

    /// As somebody on the host makes one now.
    pub(super) fn new_entry(&mut self, kind: &str) -> Entry {
        let uid = self.uid;
        Entry { uid, ..self.entry(kind) }
    }

    /// A text is a file; null removes, with all that is inside; a mapping says more.
    fn file(&mut self, path: &str, said: &Value) {
        if said.is_null() {
            return self.remove(path);
        }
        self.parents(path);
        let is_map = said.as_map().is_some();
        let kind = text(said, "kind").unwrap_or_else(|| if said.get("link").is_some() { "link".into() } else { "file".into() });
        let mut entry = self.entry(&kind);
        entry.content = if is_map { text(said, "content").unwrap_or_default() } else { line_of(said) }.into_bytes();
        entry.target = text(said, "link").unwrap_or_default();
        entry.mode = said.get("mode").map_or(entry.mode, mode_of);
        entry.uid = number(said, "uid").unwrap_or(entry.uid);
        entry.gid = number(said, "gid").unwrap_or(entry.gid);
        entry.mtime = said.get("mtime").and_then(Value::to_float).unwrap_or(entry.mtime);
        entry.inode = number(said, "inode").unwrap_or(entry.inode);
        entry.dev = number(said, "dev").unwrap_or(entry.dev);
        self.files.insert(clean(path), entry);
    }

    pub(super) fn remove(&mut self, path: &str) {
        let (path, inside) = (clean(path), format!("{}/", clean(path)));
        self.files.retain(|other, _| *other != path && !other.starts_with(&inside));
    }

    pub(super) fn parents(&mut self, path: &str) {
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
        self.parents(&path);
        let entry = self.entry("file");
        self.files.insert(path, Entry { mode: 0o755, ..entry });
    }

    /// The path with its links followed.
    pub(super) fn real(&self, path: &str) -> String {
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

    pub(super) fn found(&self, path: &str, follow: bool) -> Option<&Entry> {
        let path = clean(path);
        if follow {
            return self.files.get(&self.real(&path));
        }
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let dir = if dir.is_empty() { String::new() } else { self.real(dir) };
        self.files.get(&if path == "/" { path.clone() } else { format!("{dir}/{name}") })
    }

    /// Mode 0 stands for "this user may not read it".
    pub(super) fn file_at(&self, path: &str) -> io::Result<&Entry> {
        let entry = self.found(path, true).ok_or_else(|| io::Error::from_raw_os_error(2))?;
        match (entry.kind.as_str(), entry.mode) {
            ("directory", _) => Err(io::Error::from_raw_os_error(21)),
            (_, 0) => Err(io::Error::from_raw_os_error(13)),
            _ => Ok(entry),
        }
    }

    /// Writing below a denied path fails as it does for somebody who may not.
    pub(super) fn may_write(&self, path: &str) -> Result<(), Failure> {
        let path = clean(path);
        let is_denied = self.denied.iter().any(|dir| path == *dir || path.starts_with(&format!("{dir}/")));
        if is_denied { Err(Failure::io(format_args!("cannot write {path}"), &io::Error::from_raw_os_error(13))) } else { Ok(()) }
    }

    pub(super) fn is_open(&self, host: &str, port: u16) -> bool {
        self.ports.iter().any(|open| *open == port.to_string() || *open == format!("{host}:{port}"))
    }

    pub(super) fn command(&mut self, cmd: &Cmd) -> Option<Script> {
        let (shown, full) = (shown_command(cmd), cmd.argv.join(" "));
        let script = take(&mut self.commands, |pattern| fits(pattern, &shown) || fits(pattern, &full))?;
        self.asked.insert(script.pattern.clone());
        Some(script)
    }

    pub(super) fn answer(&mut self, line: &str) -> Option<Script> {
        let script = take(&mut self.sockets, |pattern| fits(pattern, line))?;
        self.asked.insert(script.pattern.clone());
        Some(script)
    }

    pub(super) fn page(&mut self, request: &HttpRequest) -> Option<Script> {
        let line = shown_request(request);
        let script = take(&mut self.http, |pattern| fits(pattern, &line))?;
        self.asked.insert(script.pattern.clone());
        Some(script)
    }
}

fn scripts(said: &Value, key: &str) -> Vec<Script> {
    let script = |answer: Value| Script {
        pattern: text(&answer, key).unwrap_or_else(|| panic!("an answer needs `{key}`")),
        is_once: answer.get("once").and_then(Value::to_bool).unwrap_or(false),
        answer,
    };
    list(Some(said)).into_iter().map(script).collect()
}

/// An answer that is given once is used up.
fn take(scripts: &mut Vec<Script>, fits: impl Fn(&str) -> bool) -> Option<Script> {
    let at = scripts.iter().position(|script| fits(&script.pattern))?;
    Some(if scripts[at].is_once { scripts.remove(at) } else { scripts[at].clone() })
}

impl Script {
    /// How the host is afterwards.
    pub(super) fn then(&self) -> Option<&Value> {
        self.answer.get("then")
    }

    pub(super) fn output(&self) -> Output {
        let bytes = |key: &str| text(&self.answer, key).unwrap_or_default().into_bytes();
        Output { code: number(&self.answer, "code").unwrap_or(0), stdout: bytes("stdout"), stderr: bytes("stderr") }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.answer.get("refused").and_then(Value::to_bool).unwrap_or(false)
    }

    /// What is said at a socket.
    pub(super) fn said(&self) -> String {
        text(&self.answer, "answer").unwrap_or_default()
    }

    /// What the body of the request must hold, as JSON.
    pub(super) fn sends(&self) -> Option<&Value> {
        self.answer.get("sends")
    }

    pub(super) fn reply(&self, url: &str) -> HttpReply {
        let headers = self.answer.get("headers").and_then(Value::as_map).cloned().unwrap_or_default();
        HttpReply {
            status: number(&self.answer, "status").unwrap_or(200),
            reason: text(&self.answer, "reason").unwrap_or_default(),
            headers: headers.iter().map(|(name, value)| (name.to_string().to_lowercase(), line_of(value))).collect(),
            body: self.answer.get("json").map(Value::to_json).or_else(|| text(&self.answer, "body")).unwrap_or_default().into(),
            url: url.to_owned(),
        }
    }
}
