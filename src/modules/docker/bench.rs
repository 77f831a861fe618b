//! A daemon made of data, for the tests of this folder.

use crate::modules::{Act, Args, Cmd, Failure, HttpReply, HttpRequest, Look, Module, Output, Space, Stat};
use crate::value::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// Answers requests by path (without the version) and plays a few files and programs.
#[derive(Default)]
pub(in crate::modules) struct Daemon {
    replies: BTreeMap<String, Vec<String>>,
    files: BTreeMap<String, String>,
    outputs: BTreeMap<String, Output>,
    asked: RefCell<Vec<String>>,
    pub(in crate::modules) said: RefCell<Vec<String>>,
    clock: Cell<f64>,
}

pub(in crate::modules) fn json(text: &str) -> Value {
    Value::from_json(text).unwrap()
}

pub(in crate::modules) fn args_of(module: &Module, text: &str) -> Args {
    Args::check(module, json(text).as_map().unwrap()).unwrap()
}

impl Daemon {
    pub(in crate::modules) fn new() -> Daemon {
        Daemon::default()
    }

    #[must_use]
    pub(in crate::modules) fn with(self, path: &str, body: &str) -> Daemon {
        self.with_each(path, &[body])
    }

    /// One reply after the other; the last one stays.
    #[must_use]
    pub(in crate::modules) fn with_each(mut self, path: &str, bodies: &[&str]) -> Daemon {
        self.replies.insert(path.to_owned(), bodies.iter().rev().map(|body| (*body).to_owned()).collect());
        self
    }

    #[must_use]
    pub(in crate::modules) fn without(mut self, path: &str) -> Daemon {
        self.replies.remove(path);
        self
    }

    #[must_use]
    pub(in crate::modules) fn with_file(self, path: &str) -> Daemon {
        self.with_text(path, "")
    }

    #[must_use]
    pub(in crate::modules) fn with_text(mut self, path: &str, text: &str) -> Daemon {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    #[must_use]
    pub(in crate::modules) fn with_output(mut self, argv: &str, code: i32, stdout: &str) -> Daemon {
        self.outputs.insert(argv.to_owned(), Output { code, stdout: stdout.into(), stderr: Vec::new() });
        self
    }

    pub(in crate::modules) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }

    /// An act on one line.
    pub(in crate::modules) fn line(act: &Act) -> String {
        match act {
            Act::Http { request, .. } => {
                let path = request.url.strip_prefix("unix:/var/run/docker.sock:").unwrap_or(&request.url);
                format!("{} {path} {}", request.method, String::from_utf8_lossy(&request.body)).trim_end().to_owned()
            }
            Act::Run(cmd) => cmd.argv.join(" "),
            other => format!("{other:?}"),
        }
    }
}

impl Look for Daemon {
    fn gids(&self) -> Vec<u32> {
        Vec::new()
    }

    fn stat(&self, path: &str, _: bool) -> io::Result<Option<Stat>> {
        Ok(self.files.contains_key(path).then(|| Stat { kind: "file".to_owned(), mode: 0o755, ..Stat::default() }))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn read_link(&self, _: &str) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn digest(&self, _: &str, _: &str) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn run(&self, cmd: &Cmd) -> Result<Output, Failure> {
        self.outputs.get(&cmd.argv.join(" ")).cloned().ok_or_else(|| Failure::new("no such program"))
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpReply, Failure> {
        let path = request.url.strip_prefix("unix:/var/run/docker.sock:").unwrap_or(&request.url).to_owned();
        self.asked.borrow_mut().push(path.clone());
        let bare = path.strip_prefix("/v1.41").unwrap_or(&path);
        let earlier = self.asked.borrow().iter().filter(|asked| asked.strip_prefix("/v1.41").unwrap_or(asked) == bare).count();
        let bodies = self.replies.get(bare);
        let body = bodies.and_then(|bodies| bodies.get(bodies.len().saturating_sub(earlier)));
        let headers = vec![("api-version".to_owned(), "1.41".to_owned())];
        let (status, body) =
            body.map_or((404, br#"{"message":"no such thing"}"#.to_vec()), |body| (200, body.clone().into_bytes()));
        Ok(HttpReply { status, headers, body, ..HttpReply::default() })
    }

    fn connect(&self, _: &str, _: u16, _: Duration) -> io::Result<()> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn blob(&self, _: &str) -> Result<Vec<u8>, Failure> {
        Err(Failure::new("no such blob"))
    }

    fn env(&self, name: &str) -> Option<String> {
        match name {
            "PATH" => Some("/usr/bin".to_owned()),
            "HOME" => Some("/root".to_owned()),
            _ => None,
        }
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
        false
    }

    fn is_diff(&self) -> bool {
        false
    }

    fn uid(&self) -> u32 {
        0
    }

    fn space(&self, _: &str) -> io::Result<Space> {
        Ok(Space::default())
    }
}
