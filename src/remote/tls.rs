//! HTTPS through a program of the host. An own TLS library would double what is sent to every host, and the host's program
//! already trusts what its administrator trusts.

use super::exec;
use super::host::Host;
use super::http::Target;
use crate::modules::{Failure, HttpRequest, Look};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Sends a request (its `head`, then its body) and answers with what the server says, byte for byte.
pub(super) fn open(
    host: &Host,
    request: &HttpRequest,
    target: &Target,
    head: &[u8],
    idle: Duration,
) -> Result<Box<dyn Read>, Failure> {
    if host.which("curl").is_some() {
        return curl(host, request, head, idle);
    }
    if host.which("openssl").is_some() {
        return openssl(host, request, target, head, idle);
    }
    Err(Failure::new(format!(
        "{}: https needs `curl` or `openssl` on the host and neither is installed; install one (package `curl`), or fetch the file on the control \
         side and copy it",
        request.url
    )))
}

/// Everything secret goes in through standard input and a private file, nothing through arguments.
fn curl(host: &Host, request: &HttpRequest, head: &[u8], idle: Duration) -> Result<Box<dyn Read>, Failure> {
    let mut config = String::new();
    let mut set = |option: &str, value: &str| {
        config.push_str(&format!("{option} = \"{}\"\n", value.replace('\\', "\\\\").replace('"', "\\\"")));
    };
    set("url", &request.url);
    set("request", &request.method);
    for line in String::from_utf8_lossy(head).lines().skip(1).filter(|line| !line.is_empty()) {
        set("header", line);
    }
    let idle_text = idle.as_secs().max(1).to_string();
    set("speed-time", &idle_text);
    set("speed-limit", "1");
    set("connect-timeout", &idle_text);
    if let Some(path) = &request.ca_path {
        set("cacert", path);
    }
    let body = Body::keep(&request.body)?;
    if let Some(body) = &body {
        set("data-binary", &format!("@{}", body.path));
        set("header", "Expect:");
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            set("header", "Content-Type:");
        }
    }
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--raw", "--http1.1", "--globoff", "--config", "-"]);
    if request.method == "HEAD" {
        command.arg("--head");
    }
    if request.skip_verify {
        command.arg("--insecure");
    }
    if request.no_proxy {
        command.args(["--noproxy", "*"]);
    } else {
        command.arg("--suppress-connect-headers");
    }
    talk(host, command, Said { first: config.as_bytes(), then: &[], is_all: true }, idle, body)
}

fn openssl(host: &Host, request: &HttpRequest, target: &Target, head: &[u8], idle: Duration) -> Result<Box<dyn Read>, Failure> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect"]).arg(format!("{}:{}", target.host, target.port));
    if target.host.parse::<std::net::IpAddr>().is_err() {
        command.args(["-servername", &target.host]);
    }
    if !request.skip_verify {
        command.args(["-verify_return_error", "-verify_hostname", &target.host]);
    }
    if let Some(path) = &request.ca_path {
        command.args(["-CAfile", path]);
    }
    talk(host, command, Said { first: head, then: &request.body, is_all: false }, idle, None)
}

/// What a program is told.
struct Said<'a> {
    first: &'a [u8],
    then: &'a [u8],
    /// It begins at the end of its input; otherwise it ends there.
    is_all: bool,
}

fn talk(host: &Host, mut command: Command, said: Said<'_>, idle: Duration, body: Option<Body>) -> Result<Box<dyn Read>, Failure> {
    command.envs(host.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| Failure::io("cannot run a program for https", &error))?;
    exec::adopt(&host.line, &child);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(Failure::new("cannot talk to the program for https"));
    };
    // One that ends early says why on its standard error.
    let _ = stdin.write_all(said.first).and_then(|()| stdin.write_all(said.then));
    Ok(Box::new(Talk { child, stdout, idle, is_silent: true, _stdin: (!said.is_all).then_some(stdin), _body: body }))
}

/// A program that speaks TLS for us; killed when it is not wanted any more.
struct Talk {
    child: Child,
    stdout: ChildStdout,
    idle: Duration,
    is_silent: bool,
    /// Held open for a program that ends with its input.
    _stdin: Option<std::process::ChildStdin>,
    _body: Option<Body>,
}

impl Read for Talk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = Timespec { tv_sec: i64::try_from(self.idle.as_secs()).unwrap_or(i64::MAX).saturating_add(5), tv_nsec: 0 };
        if poll(&mut [PollFd::new(&self.stdout, PollFlags::IN)], Some(&limit))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let size = self.stdout.read(buffer)?;
        if size == 0 && self.is_silent {
            let mut words = String::new();
            if let Some(stderr) = self.child.stderr.take() {
                stderr.take(4096).read_to_string(&mut words)?;
            }
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, words.trim().to_owned()));
        }
        self.is_silent &= size == 0;
        Ok(size)
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request's body in a private file, for as long as it is needed.
struct Body {
    path: String,
}

impl Body {
    fn keep(bytes: &[u8]) -> Result<Option<Body>, Failure> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let path = std::env::temp_dir().join(format!("roll-body-{}", super::blobs::random())).to_string_lossy().into_owned();
        let failed = |error: io::Error| Failure::io("cannot keep the request's body", &error);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let body = Body { path };
        file.write_all(bytes).map_err(failed)?;
        Ok(Some(body))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // In a temporary directory anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}
