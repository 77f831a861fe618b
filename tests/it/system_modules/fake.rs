//! A host made of data: what a case says is there, and what acts do to it.

use roll::modules::touch::Write;
use roll::modules::{Act, Attrs, Cmd, Content, Done, Failure, HttpReply, HttpRequest, Look, Output, Space, Stat, glob};
use roll::value::{Map, Value};
use sha2::{Digest, Sha256};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// When every case plays: 2026-01-01.
const START: f64 = 1_767_225_600.0;

pub(super) struct Fake {
    files: RefCell<BTreeMap<String, File>>,
    /// Answers of programs: `run` (a pattern for the whole line), `stdout`, `stderr`, `code`, and `files` that it leaves behind.
    programs: RefCell<Vec<Value>>,
    pages: Vec<Value>,
    ports: Vec<i64>,
    env: Map,
    uid: u32,
    is_check: bool,
    clock: Cell<f64>,
    pub(super) said: RefCell<Vec<String>>,
    /// Commands that no answer was written for.
    pub(super) unknown: RefCell<Vec<String>>,
}

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    stat: Stat,
    target: String,
}

impl Fake {
    pub(super) fn new(case: &Value, is_check: bool) -> Fake {
        let list = |key: &str| case.get(key).and_then(Value::as_list).unwrap_or_default().to_vec();
        let fake = Fake {
            files: RefCell::default(),
            programs: RefCell::new(list("programs")),
            pages: list("pages"),
            ports: list("ports").iter().filter_map(Value::to_int).collect(),
            env: case.get("env").and_then(Value::as_map).cloned().unwrap_or_default(),
            uid: case.get("uid").and_then(Value::to_int).unwrap_or(0).try_into().unwrap(),
            is_check,
            clock: Cell::new(START),
            said: RefCell::default(),
            unknown: RefCell::default(),
        };
        fake.lay(case.get("files"));
        fake
    }

    /// Puts files where a case says so; `null` takes one away.
    fn lay(&self, files: Option<&Value>) {
        for (path, file) in files.and_then(Value::as_map).into_iter().flatten() {
            let path = path.to_string();
            if file.is_null() {
                self.files.borrow_mut().remove(&path);
            } else {
                self.files.borrow_mut().insert(path, File::of(file));
            }
        }
    }

    fn find(&self, path: &str, follow: bool) -> Option<File> {
        let path = if path == "/" { path } else { path.trim_end_matches('/') };
        let files = self.files.borrow();
        match files.get(path) {
            Some(file) if file.stat.kind == "link" && follow => self.find(&file.target, true),
            Some(file) => Some(file.clone()),
            None => {
                let inside = if path == "/" { path.to_owned() } else { format!("{path}/") };
                let is_dir = files.keys().any(|known| known.starts_with(&inside));
                is_dir
                    .then(|| File { stat: Stat { kind: "directory".into(), mode: 0o755, ..Stat::default() }, ..File::default() })
            }
        }
    }

    /// The answer to a command. One that is marked `once` is used up.
    fn answer(&self, cmd: &Cmd) -> Option<Value> {
        let line = shown(cmd);
        let mut programs = self.programs.borrow_mut();
        let at = programs.iter().position(|one| one.get("run").is_some_and(|run| glob::is_match(&run.to_text(), &line)))?;
        let is_once = programs[at].get("once").and_then(Value::to_bool).unwrap_or(false);
        Some(if is_once { programs.remove(at) } else { programs[at].clone() })
    }

    pub(super) fn perform(&self, act: &Act) -> Result<Done, Failure> {
        match act {
            Act::Write(write) => self.write(write),
            Act::SetAttrs { path, attrs, .. } => self.dress(path, attrs),
            Act::MakeDir { path, attrs } => {
                self.insert(path, File { stat: Stat { kind: "directory".into(), ..Stat::default() }, ..File::default() });
                self.dress(path, attrs);
            }
            Act::Remove { path } => {
                let inside = format!("{path}/");
                self.files.borrow_mut().retain(|known, _| known != path && !known.starts_with(&inside));
            }
            Act::Run(cmd) => return self.perform_run(cmd),
            Act::Http { request, .. } => return self.http(request).map(|reply| done(&reply)),
            Act::Download { request, write, .. } => {
                let reply = self.http(request)?;
                let status = ("status_code".into(), u32::from(reply.status).into());
                let is_new = reply.status == 200 && self.read(&write.path).ok().as_ref() != Some(&reply.body);
                if is_new {
                    self.write(&Write { content: Content::Bytes(reply.body), ..(**write).clone() });
                }
                return Ok(Done { values: Map::from_iter([status]), changed: Some(is_new) });
            }
            Act::Note => {}
            other => panic!("a case cannot perform {other:?} yet"),
        }
        Ok(Done::default())
    }

    fn perform_run(&self, cmd: &Cmd) -> Result<Done, Failure> {
        let output = self.run(cmd)?;
        if !cmd.any_status && !output.is_success() {
            return Err(Failure::of_command(format_args!("`{}` failed with status {}", cmd.argv[0], output.code), &output));
        }
        let values =
            [("rc", Value::from(output.code)), ("stdout", output.stdout_text().into()), ("stderr", output.stderr_text().into())];
        Ok(Done { values: values.into_iter().map(|(key, value)| (key.into(), value)).collect(), changed: None })
    }

    fn write(&self, write: &Write) {
        let bytes = match &write.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Blob(hash) => self.blob(hash).unwrap(),
            Content::File(path) => self.read(path).unwrap(),
        };
        let mode = self.find(&write.path, true).map_or(0o644, |file| file.stat.mode);
        let stat = Stat { kind: "file".into(), mode, size: bytes.len() as u64, mtime: self.now(), nlink: 1, ..Stat::default() };
        self.insert(&write.path, File { bytes, stat, ..File::default() });
        self.dress(&write.path, &write.attrs);
    }

    fn insert(&self, path: &str, file: File) {
        self.files.borrow_mut().insert(path.to_owned(), file);
    }

    fn dress(&self, path: &str, attrs: &Attrs) {
        let mut file = self.find(path, false).unwrap_or_else(|| panic!("there is no {path} to change"));
        file.stat.mode = attrs.mode.unwrap_or(file.stat.mode);
        file.stat.uid = attrs.uid.unwrap_or(file.stat.uid);
        file.stat.gid = attrs.gid.unwrap_or(file.stat.gid);
        self.insert(path, file);
    }
}

impl File {
    /// Text, or a map of `content`, `mode`, `uid`, `gid`, `mtime`, `kind`, `target`.
    fn of(value: &Value) -> File {
        let field = |key: &str| value.get(key);
        let number = |key: &str, default: i64| field(key).and_then(Value::to_int).unwrap_or(default);
        let content = if value.as_map().is_some() { field("content") } else { Some(value) };
        let bytes = content.map(|text| text.to_text().as_str().as_bytes().to_vec()).unwrap_or_default();
        let target = field("target").map(|text| text.to_text().as_str().to_owned()).unwrap_or_default();
        let kind = field("kind").map(|text| text.to_text().as_str().to_owned());
        let kind = kind.unwrap_or_else(|| if target.is_empty() { "file" } else { "link" }.to_owned());
        let stat = Stat {
            mode: number("mode", if kind == "directory" { 0o755 } else { 0o644 }).try_into().unwrap(),
            uid: number("uid", 0).try_into().unwrap(),
            gid: number("gid", 0).try_into().unwrap(),
            inode: number("inode", 1).try_into().unwrap(),
            dev: number("dev", 1).try_into().unwrap(),
            mtime: field("mtime").and_then(Value::to_float).unwrap_or(START),
            size: bytes.len() as u64,
            nlink: 1,
            kind,
            ..Stat::default()
        };
        File { bytes, stat, target }
    }
}

/// A command as cases write it: the program without its directory, then its words.
pub(super) fn shown(cmd: &Cmd) -> String {
    let program = cmd.argv[0].rsplit('/').next().unwrap_or_default();
    let words = cmd.argv[1..].iter().map(|word| if word.is_empty() { "''" } else { word });
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

fn done(reply: &HttpReply) -> Done {
    let headers: Map = reply.headers.iter().map(|(name, value)| (name.as_str().into(), Value::from(value))).collect();
    let values = [
        ("status", Value::from(u32::from(reply.status))),
        ("reason", reply.reason.as_str().into()),
        ("url", reply.url.as_str().into()),
        ("content", reply.text().into()),
        ("headers", headers.into()),
    ];
    Done { values: values.into_iter().map(|(key, value)| (key.into(), value)).collect(), changed: None }
}

fn missing() -> io::Error {
    io::Error::from_raw_os_error(2)
}

impl Look for Fake {
    fn stat(&self, path: &str, follow: bool) -> io::Result<Option<Stat>> {
        Ok(self.find(path, follow).map(|file| file.stat))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = self.find(path, true).ok_or_else(missing)?;
        // Mode 0 stands for "this user may not read it".
        if file.stat.mode == 0 { Err(io::Error::from_raw_os_error(13)) } else { Ok(file.bytes) }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.find(path, true).ok_or_else(missing)?;
        let inside = format!("{}/", path.trim_end_matches('/'));
        let files = self.files.borrow();
        let mut names: Vec<String> =
            files.keys().filter_map(|known| known.strip_prefix(&inside)?.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }

    fn read_link(&self, path: &str) -> io::Result<String> {
        self.find(path, false).filter(|file| file.stat.kind == "link").map(|file| file.target).ok_or_else(missing)
    }

    fn digest(&self, path: &str, algorithm: &str) -> io::Result<String> {
        assert!(matches!(algorithm, "sha256" | "sha1" | "md5"), "{algorithm}");
        // One algorithm does for telling contents apart.
        Ok(Sha256::digest(self.read(path)?).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn run(&self, cmd: &Cmd) -> Result<Output, Failure> {
        let Some(answer) = self.answer(cmd) else {
            self.unknown.borrow_mut().push(shown(cmd));
            return Err(Failure::new(format!("the case has no answer for `{}`", shown(cmd))));
        };
        self.lay(answer.get("files"));
        let text = |key: &str| answer.get(key).map(|text| text.to_text().as_str().as_bytes().to_vec()).unwrap_or_default();
        let code = answer.get("code").and_then(Value::to_int).unwrap_or(0);
        Ok(Output { code: code.try_into().unwrap(), stdout: text("stdout"), stderr: text("stderr") })
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpReply, Failure> {
        let line = format!("{} {}", request.method, request.url);
        let page = self.pages.iter().find(|page| page.get("ask").is_some_and(|ask| glob::is_match(&ask.to_text(), &line)));
        let refused = || {
            Failure::new(format!("Status code was -1 and not [200]: Request failed: {}: Connection refused", request.url))
                .with("status", -1)
        };
        let page = page.ok_or_else(refused)?;
        let text = |key: &str| page.get(key).map(|text| text.to_text().as_str().to_owned()).unwrap_or_default();
        let headers = page.get("headers").and_then(Value::as_map).cloned().unwrap_or_default();
        Ok(HttpReply {
            status: page.get("status").and_then(Value::to_int).unwrap_or(200).try_into().unwrap(),
            reason: text("reason"),
            headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_text().as_str().to_owned())).collect(),
            body: text("body").into_bytes(),
            url: request.url.clone(),
        })
    }

    fn connect(&self, _: &str, port: u16, _: Duration) -> io::Result<()> {
        if self.ports.contains(&i64::from(port)) { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    fn blob(&self, hash: &str) -> Result<Vec<u8>, Failure> {
        Ok(format!("body of {hash}").into_bytes())
    }

    fn env(&self, name: &str) -> Option<String> {
        let path = (name == "PATH").then(|| "/usr/sbin:/usr/bin".to_owned());
        self.env.get(name).map(|value| value.to_text().as_str().to_owned()).or(path)
    }

    fn now(&self) -> f64 {
        self.clock.get()
    }

    fn sleep(&self, time: Duration) {
        self.clock.set(self.clock.get() + time.as_secs_f64());
    }

    fn say(&self, line: &str) {
        self.said.borrow_mut().push(line.to_owned());
    }

    fn is_check(&self) -> bool {
        self.is_check
    }

    fn is_diff(&self) -> bool {
        true
    }

    fn uid(&self) -> u32 {
        self.uid
    }

    fn gids(&self) -> Vec<u32> {
        vec![self.uid]
    }

    fn space(&self, _: &str) -> io::Result<Space> {
        Ok(Space::default())
    }
}
