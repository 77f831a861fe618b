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
    if let Some(program) = host.which("curl") {
        return curl(&program, host, request, head, idle);
    }
    if let Some(program) = host.which("openssl") {
        return openssl(&program, host, request, target, head, idle);
    }
    Err(Failure::new(format!(
        "{}: https needs `curl` or `openssl` on the host and neither is installed; install one (package `curl`), or fetch the file on the control \
         side and copy it",
        request.url
    )))
}

/// Everything secret goes in through standard input and a private file, nothing through arguments.
fn curl(program: &str, host: &Host, request: &HttpRequest, head: &[u8], idle: Duration) -> Result<Box<dyn Read>, Failure> {
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
    if let Some((cert, key)) = &request.client_cert {
        set("cert", cert);
        key.iter().for_each(|key| set("key", key));
    }
    let body = Body::keep(&request.body)?;
    if let Some(body) = &body {
        set("data-binary", &format!("@{}", body.path));
        set("header", "Expect:");
        if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            set("header", "Content-Type:");
        }
    }
    let mut command = Command::new(program);
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
    talk(host, command, &Said { first: config.as_bytes(), then: &[], is_all: true }, idle, body)
}

fn openssl(
    program: &str,
    host: &Host,
    request: &HttpRequest,
    target: &Target,
    head: &[u8],
    idle: Duration,
) -> Result<Box<dyn Read>, Failure> {
    let mut command = Command::new(program);
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
    if let Some((cert, key)) = &request.client_cert {
        command.args(["-cert", cert]).args(key.iter().flat_map(|key| ["-key", key]));
    }
    talk(host, command, &Said { first: head, then: &request.body, is_all: false }, idle, None)
}

/// What a program is told.
struct Said<'a> {
    first: &'a [u8],
    then: &'a [u8],
    /// It begins at the end of its input; otherwise it ends there.
    is_all: bool,
}

fn talk(
    host: &Host,
    mut command: Command,
    said: &Said<'_>,
    idle: Duration,
    body: Option<Body>,
) -> Result<Box<dyn Read>, Failure> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::line::Line;
    use crate::wire::Request;
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Instant;

    /// A server that shows files of a directory to whoever has a certificate, with one for `localhost`.
    fn serve(dir: &Path) -> (Child, u16) {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(dir)
            .output()
            .expect("openssl is needed for this test");
        assert!(made.status.success());
        std::fs::write(dir.join("page"), "over TLS\n").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-WWW",
                "-Verify",
                "1",
                "-key",
                "key.pem",
                "-cert",
                "cert.pem",
                "-accept",
                &format!("127.0.0.1:{port}"),
            ])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        (server, port)
    }

    type Speak = fn(&str, &Host, &HttpRequest, &Target, &[u8], Duration) -> Result<Box<dyn Read>, Failure>;

    #[test]
    fn each_program_fetches_from_whom_it_trusts_and_from_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let (mut server, port) = serve(dir.path());
        let host = Host::new(&Arc::new(Line::new(&[], io::sink())), &Request::default());
        let by_curl: Speak = |program, host, request, _, head, idle| curl(program, host, request, head, idle);
        for (name, speak) in [("curl", by_curl), ("openssl", openssl)] {
            let Some(program) = host.which(name) else { continue };
            let file = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
            let own = Some((file("cert.pem"), Some(file("key.pem"))));
            let ask = |ca_path: Option<String>, client_cert: Option<(String, Option<String>)>| {
                let url = format!("https://localhost:{port}/page");
                let target = Target::parse(&url).unwrap();
                let request = HttpRequest { ca_path, client_cert, no_proxy: true, ..HttpRequest::get(url) };
                let head = format!("GET /page HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
                let mut text = String::new();
                speak(&program, &host, &request, &target, head.as_bytes(), Duration::from_secs(5))
                    .unwrap()
                    .read_to_string(&mut text)
                    .map(|_| text)
            };
            let trusted = ask(Some(file("cert.pem")), own.clone()).unwrap();
            assert!(trusted.starts_with("HTTP/1.0 200") && trusted.contains("over TLS"), "{name}: {trusted}");
            let refused = ask(None, own).unwrap_err().to_string();
            assert!(refused.contains("certificate"), "{name}: {refused}");
            let unknown = ask(Some(file("cert.pem")), None);
            assert!(!unknown.as_ref().is_ok_and(|text| text.contains("over TLS")), "{name}: {unknown:?}");
        }
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
