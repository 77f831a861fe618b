//! What a plan may see of a host.

use super::Failure;
use crate::value::{Map, Value, text_of};
use std::io;
use std::time::Duration;

/// How a connection on which nothing happens ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleEnd {
    /// With the answer: every request needs one of its own.
    NotKept,
    Closed(Duration),
    /// It was still open when the watch ended.
    Open,
}

/// Read-only eyes on one host, as the user that the task runs as.
pub trait Look {
    /// `Ok(None)` where there is nothing at `path`. With `follow`, of what a link points to.
    fn stat(&self, path: &str, follow: bool) -> io::Result<Option<Stat>>;
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
    /// Names in a directory, sorted.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    fn read_link(&self, path: &str) -> io::Result<String>;
    /// Hex digest of a file; `algorithm` is `md5`, `sha1`, `sha224`, `sha256`, `sha384` or `sha512`.
    fn digest(&self, path: &str, algorithm: &str) -> io::Result<String>;
    /// Several digests of one file.
    fn digests(&self, path: &str, algorithms: &[&str]) -> io::Result<Vec<String>> {
        algorithms.iter().map(|algorithm| self.digest(path, algorithm)).collect()
    }

    /// Runs a program that changes nothing (`dpkg-query`, `systemctl show`), with `LC_ALL=C` so that its words can be read.
    /// Any exit status is an answer; a failure means that it could not be run at all, or not in time.
    fn run(&self, cmd: &Cmd) -> Result<Output, Failure>;
    /// A request that changes nothing; `http://`, `https://`, or `unix:/path/to.sock:/v1/thing`.
    fn http(&self, request: &HttpRequest) -> Result<HttpReply, Failure>;
    /// The same for an answer of any size: the body is in a file until the task ends, or in the reply.
    fn download(&self, request: &HttpRequest) -> Result<(HttpReply, Option<String>), Failure> {
        self.http(request).map(|reply| (reply, None))
    }

    /// A command for HAProxy's runtime API that changes nothing (`show stat`), and its whole answer. `socket` is the path of the admin
    /// socket, which speaks lines and no HTTP.
    fn ask(&self, socket: &str, line: &str) -> Result<String, Failure> {
        let _ = line;
        Err(Failure::new(format!("cannot talk to haproxy at {socket} from here")))
    }

    /// Makes one request of `host:port`, and sees how long its connection is kept afterwards.
    fn idle(&self, address: &str, path: &str, cap: Duration) -> Result<IdleEnd, Failure> {
        let _ = (path, cap);
        Err(Failure::new(format!("{address} cannot be watched from here")))
    }

    /// Whether a TCP connection can be opened in time.
    fn connect(&self, host: &str, port: u16, timeout: Duration) -> io::Result<()>;
    /// A file body that the control side sent ahead, by its sha256.
    fn blob(&self, hash: &str) -> Result<Vec<u8>, Failure>;
    /// Where such a body is until the task ends; none where it is small enough for memory.
    fn blob_path(&self, hash: &str) -> Result<Option<String>, Failure> {
        let _ = hash;
        Ok(None)
    }

    /// The first bytes of a file, however big it is.
    fn head(&self, path: &str, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.read(path)?;
        bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    fn env(&self, name: &str) -> Option<String>;
    /// Seconds since 1970.
    fn now(&self) -> f64;
    fn sleep(&self, time: Duration);
    /// One line for people who wait ("waiting for the dpkg lock, held by apt-daily (812)").
    fn say(&self, line: &str);
    /// Whether the task runs in check mode; almost no plan needs to know.
    fn is_check(&self) -> bool;
    /// Whether somebody will see before and after: only then is it worth reading big texts for them.
    fn is_diff(&self) -> bool;
    /// The user that the task runs as.
    fn uid(&self) -> u32;
    /// Its groups, the effective one first.
    fn gids(&self) -> Vec<u32>;
    /// Room in the file system that holds `path`.
    fn space(&self, path: &str) -> io::Result<Space>;
    /// Whether somebody holds a lock on this file.
    fn is_locked(&self, _path: &str) -> io::Result<bool> {
        Ok(false)
    }

    /// What `lsattr` shows, as bits; none where the file system has no such thing.
    fn flags(&self, path: &str) -> Option<u32> {
        let _ = path;
        None
    }

    /// Keeps a word for the next items of the same loop, until one of them changes something. Outside a loop nothing is kept.
    fn keep_in_mind(&self, word: &'static str) {
        let _ = word;
    }

    fn has_in_mind(&self, word: &'static str) -> bool {
        let _ = word;
        false
    }

    /// Leaves a note for the next round of the same task (`Plan::again`), and for its end.
    fn note(&self, text: &str) {
        let _ = text;
    }

    fn noted(&self) -> Option<String> {
        None
    }

    /// Text of a file, or `None` where there is none; bytes that are not UTF-8 are replaced.
    fn text(&self, path: &str) -> io::Result<Option<String>> {
        match self.read(path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same for a file that is written again: every byte comes back through `value::bytes_of`.
    fn exact_text(&self, path: &str) -> io::Result<Option<String>> {
        match self.read(path) {
            Ok(bytes) => Ok(Some(text_of(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn exists(&self, path: &str) -> bool {
        matches!(self.stat(path, false), Ok(Some(_)))
    }

    /// The full path of a program that a module cannot do without; `package` is what it comes in, where that helps.
    fn require(&self, program: &str, package: &str) -> Result<String, Failure> {
        self.which(program).ok_or_else(|| {
            let hint = if package.is_empty() { String::new() } else { format!("; it comes with the package `{package}`") };
            Failure::new(format!("Failed to find required executable \"{program}\" on the host{hint}"))
        })
    }

    /// The full path of a program, from `PATH` and the places where administration tools live.
    fn which(&self, program: &str) -> Option<String> {
        let path = self.env("PATH").unwrap_or_default();
        let extra = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        path.split(':')
            .chain(extra)
            .filter(|dir| !dir.is_empty())
            .map(|dir| format!("{dir}/{program}"))
            .find(|path| matches!(self.stat(path, true), Ok(Some(stat)) if stat.kind == "file" && stat.mode & 0o111 != 0))
    }
}

/// What `lstat`/`stat` say.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stat {
    /// `file`, `directory`, `link`, `fifo`, `socket`, `char`, `block`.
    pub kind: String,
    /// The lower twelve bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub inode: u64,
    pub dev: u64,
    pub nlink: u64,
    pub blocks: u64,
    pub block_size: u64,
    pub rdev: u64,
    pub atime: f64,
    pub mtime: f64,
    pub ctime: f64,
}

/// What `statvfs` says.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Space {
    pub block_size: u64,
    pub blocks: u64,
    pub blocks_available: u64,
    pub inodes: u64,
    pub inodes_available: u64,
}

/// A program to run; never through a shell unless the program is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cmd {
    pub argv: Vec<String>,
    pub stdin: Option<Vec<u8>>,
    pub chdir: Option<String>,
    /// On top of the task's environment.
    pub env: Vec<(String, String)>,
    /// Killed after this; none means no limit.
    pub timeout: Option<Duration>,
    pub umask: Option<u32>,
    /// It is what the task is about (`command`): applying it answers with `start`, `end` and any `rc`. Otherwise a status other
    /// than 0 fails the task.
    pub any_status: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Exit status; minus the signal's number where one ended it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub timeout: Option<Duration>,
    /// How many redirects are followed.
    pub redirects: u32,
    pub skip_verify: bool,
    /// A file of certificates to trust instead of the host's own.
    pub ca_path: Option<String>,
    /// The client's own certificate, and its key where that is another file.
    pub client_cert: Option<(String, Option<String>)>,
    /// Headers that are not sent where a redirect leads.
    pub unredirected: Vec<String>,
    /// Go straight there, whatever `http_proxy` says.
    pub no_proxy: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpReply {
    pub status: u16,
    pub reason: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Where redirects ended.
    pub url: String,
}

impl Cmd {
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(argv: I) -> Cmd {
        Cmd { argv: argv.into_iter().map(Into::into).collect(), ..Cmd::default() }
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Cmd {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Cmd {
        self.stdin = Some(bytes.into());
        self
    }

    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Cmd {
        self.timeout = Some(limit);
        self
    }
}

impl Output {
    pub fn is_success(&self) -> bool {
        self.code == 0
    }

    /// By the signal that cannot be caught.
    pub fn is_killed(&self) -> bool {
        self.code == -9
    }

    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl HttpRequest {
    pub fn get(url: impl Into<String>) -> HttpRequest {
        HttpRequest { method: "GET".to_owned(), url: url.into(), redirects: 10, ..HttpRequest::default() }
    }

    pub fn new(method: &str, url: impl Into<String>) -> HttpRequest {
        HttpRequest { method: method.to_owned(), url: url.into(), ..HttpRequest::default() }
    }

    #[must_use]
    pub fn json(mut self, body: &Value) -> HttpRequest {
        self.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        self.body = body.to_json().into_bytes();
        self
    }
}

impl HttpReply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; a body that is not JSON is an empty map.
    pub fn json(&self) -> Value {
        Value::from_json(&self.text()).unwrap_or_else(|_| Value::map(Map::new()))
    }
}
