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
    replies: BTreeMap<String, String>,
    files: RefCell<BTreeMap<String, Vec<String>>>,
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
    pub(in crate::modules) fn with(mut self, path: &str, body: &str) -> Daemon {
        self.replies.insert(path.to_owned(), body.to_owned());
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
    pub(in crate::modules) fn with_text(self, path: &str, text: &str) -> Daemon {
        self.with_texts(path, &[text.to_owned()])
    }

    /// One text after the other, a reading each; the last one stays.
    #[must_use]
    pub(in crate::modules) fn with_texts(self, path: &str, texts: &[String]) -> Daemon {
        self.files.borrow_mut().insert(path.to_owned(), texts.iter().rev().cloned().collect());
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
    fn stat(&self, path: &str, _: bool) -> io::Result<Option<Stat>> {
        Ok(self.files.borrow().contains_key(path).then(|| Stat { kind: "file".to_owned(), mode: 0o755, ..Stat::default() }))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut files = self.files.borrow_mut();
        let texts = files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        let text = if texts.len() > 1 { texts.pop() } else { texts.last().cloned() };
        Ok(text.unwrap_or_default().into_bytes())
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

    fn run(&self, _: &Cmd) -> Result<Output, Failure> {
        Err(Failure::new("no such program"))
    }

    fn http(&self, request: &HttpRequest) -> Result<HttpReply, Failure> {
        let path = request.url.strip_prefix("unix:/var/run/docker.sock:").unwrap_or(&request.url).to_owned();
        self.asked.borrow_mut().push(path.clone());
        let bare = path.strip_prefix("/v1.41").unwrap_or(&path);
        let body = self.replies.get(bare);
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

    fn gids(&self) -> Vec<u32> {
        vec![0]
    }

    fn space(&self, _: &str) -> io::Result<Space> {
        Ok(Space::default())
    }
}
