//! A small HTTP/1.1 client: TCP and unix sockets, redirects, chunks, proxies. Where TLS is wanted, see `tls`.

use super::host::Host;
use super::tls;
use crate::modules::{Cmd, Failure, HttpReply, HttpRequest, Look};
use base64ct::{Base64, Encoding};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A peer that says nothing for so long is gone, unless the request says otherwise.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// Largest answer that is kept in memory.
const BODY_MAX: u64 = 64 << 20;
const HEAD_MAX: u64 = 256 << 10;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    /// Host name, or the path of a socket.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    /// `user:password` of the address.
    login: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    Unix,
}

/// The answer in memory.
pub(super) fn request(host: &Host, request: &HttpRequest) -> Result<HttpReply, Failure> {
    let mut body = Vec::new();
    let mut reply = follow(host, request, &mut Sink { out: &mut body, left: BODY_MAX })?;
    reply.body = body;
    Ok(reply)
}

/// The answer's body into `out`; nothing of it where the status says that it is not what was asked for.
pub(super) fn download(host: &Host, request: &HttpRequest, out: &mut dyn Write) -> Result<HttpReply, Failure> {
    follow(host, request, &mut Sink { out, left: u64::MAX })
}

/// Counts what is written, so that an endless answer ends.
struct Sink<'a> {
    out: &'a mut dyn Write,
    left: u64,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rest = self.left.checked_sub(bytes.len() as u64);
        self.left = rest.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "the answer is too large"))?;
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn follow(host: &Host, request: &HttpRequest, out: &mut dyn Write) -> Result<HttpReply, Failure> {
    let mut request = request.clone();
    for _ in 0..=request.redirects {
        let target = Target::parse(&request.url)?;
        let mut answer = Answer::read(open(host, &request, &target)?).map_err(|error| broken(&request, &error))?;
        let next = redirected(&request, &target, &answer.reply);
        match next {
            Some(next) if request.redirects > 0 => request = next,
            _ => {
                answer.body(&request.method, out).map_err(|error| broken(&request, &error))?;
                answer.reply.url = request.url;
                return Ok(answer.reply);
            }
        }
    }
    Err(Failure::new(format!("{}: more than {} redirects", request.url, request.redirects)))
}

fn broken(request: &HttpRequest, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "timed out".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(format!("Status code was -1 and not [200]: Request failed: {}: {reason}", request.url)).with("status", -1)
}

fn redirected(request: &HttpRequest, target: &Target, reply: &HttpReply) -> Option<HttpRequest> {
    if !matches!(reply.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let url = target.join(reply.header("location")?);
    let mut next = HttpRequest { url, ..request.clone() };
    if !matches!(reply.status, 307 | 308) && !matches!(next.method.as_str(), "GET" | "HEAD") {
        next.method = "GET".to_owned();
        next.body.clear();
    }
    let same_host = Target::parse(&next.url)
        .is_ok_and(|next| (next.scheme, &next.host, next.port) == (target.scheme, &target.host, target.port));
    next.headers.retain(|(name, _)| !request.unredirected.iter().any(|other| other.eq_ignore_ascii_case(name)));
    if !same_host {
        next.headers.retain(|(name, _)| !matches!(name.to_ascii_lowercase().as_str(), "authorization" | "cookie"));
    }
    Some(next)
}

impl Target {
    /// `http://`, `https://`, or `unix:/path/to.sock:/v1/thing`.
    pub(super) fn parse(url: &str) -> Result<Target, Failure> {
        let bad = || Failure::new(format!("unknown url type: {url}"));
        if let Some(rest) = url.strip_prefix("unix:") {
            let (socket, path) = rest.split_once(":/").unwrap_or((rest, ""));
            return Ok(Target { scheme: Scheme::Unix, host: socket.to_owned(), port: 0, path: format!("/{path}"), login: None });
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let (scheme, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            _ => return Err(bad()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, address) = authority.rsplit_once('@').map_or((None, authority), |(login, address)| (Some(login), address));
        let (host, port) = match address.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, "")) => (host, port),
            Some((host, rest)) => (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or_else(bad)?),
            None => match address.split_once(':') {
                Some((host, text)) => (host, text.parse().map_err(|_| bad())?),
                None => (address, port),
            },
        };
        let is_clean = |text: &str| text.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        if host.is_empty() || !is_clean(host) || !is_clean(path) {
            return Err(bad());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Target { scheme, host: host.to_owned(), port, path, login: login.map(unescaped) })
    }

    /// What a `Location` header means from here.
    fn join(&self, location: &str) -> String {
        let scheme = if self.scheme == Scheme::Https { "https" } else { "http" };
        if location.contains("://") {
            location.to_owned()
        } else if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else {
            let base = self.path.split('?').next().unwrap_or_default();
            let dir = base.rsplit_once('/').map_or("", |(dir, _)| dir);
            let path = if location.starts_with('/') { location.to_owned() } else { format!("{dir}/{location}") };
            match self.scheme {
                Scheme::Unix => format!("unix:{}:{path}", self.host),
                _ => format!("{scheme}://{}{path}", self.authority()),
            }
        }
    }

    /// Host and port as a `Host` header has them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.scheme, self.port) {
            (Scheme::Unix, _) => "localhost".to_owned(),
            (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// `%40` and the like.
fn unescaped(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                rest = &after[2..];
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Sends the request and answers with what the server says, byte for byte.
fn open(host: &Host, request: &HttpRequest, target: &Target) -> Result<Box<dyn Read>, Failure> {
    let idle = host.time_left(request.timeout.unwrap_or(IDLE_MAX));
    let proxy = if request.no_proxy { None } else { proxy_of(host, target) };
    if target.scheme == Scheme::Https {
        return tls::open(host, request, target, &head(request, target, false)?, idle);
    }
    let sent = match (target.scheme, proxy) {
        (Scheme::Unix, _) => UnixStream::connect(&target.host).and_then(|stream| {
            stream.set_read_timeout(Some(idle))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        }),
        (_, Some(proxy)) => dial(host, &proxy.host, proxy.port, idle),
        (_, None) => dial(host, &target.host, target.port, idle),
    };
    let is_proxied = target.scheme == Scheme::Http && !request.no_proxy && proxy_of(host, target).is_some();
    let mut stream = sent.map_err(|error| broken(request, &error))?;
    stream.write_all(&head(request, target, is_proxied)?).map_err(|error| broken(request, &error))?;
    // A server may refuse early and close; what it says is worth reading.
    let _ = stream.write_all(&request.body);
    Ok(Box::new(stream))
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn dial(host: &Host, name: &str, port: u16, idle: Duration) -> io::Result<Box<dyn Stream>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("cannot resolve {name}"));
    for address in resolve(host, name, port)? {
        match TcpStream::connect_timeout(&address, idle.min(Duration::from_secs(60))) {
            Ok(stream) => {
                stream.set_read_timeout(Some(idle))?;
                stream.set_write_timeout(Some(idle))?;
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Request line and headers.
fn head(request: &HttpRequest, target: &Target, is_proxied: bool) -> Result<Vec<u8>, Failure> {
    let has = |wanted: &str| request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let line = if is_proxied { format!("http://{}{}", target.authority(), target.path) } else { target.path.clone() };
    let mut head = format!("{} {line} HTTP/1.1\r\n", request.method);
    let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
    if !has("host") {
        add("Host", &target.authority());
    }
    if !has("user-agent") {
        add("User-Agent", concat!("roll/", env!("CARGO_PKG_VERSION")));
    }
    if !has("accept") {
        add("Accept", "*/*");
    }
    if let Some(login) = target.login.as_ref().filter(|_| !has("authorization")) {
        add("Authorization", &format!("Basic {}", Base64::encode_string(login.as_bytes())));
    }
    for (name, value) in &request.headers {
        if name.contains(['\r', '\n', ':']) || value.contains(['\r', '\n']) {
            return Err(Failure::new(format!("the header `{name}` holds a line break")));
        }
        add(name, value);
    }
    if !has("content-length") && (!request.body.is_empty() || matches!(request.method.as_str(), "POST" | "PUT" | "PATCH")) {
        add("Content-Length", &request.body.len().to_string());
    }
    add("Connection", "close");
    head.push_str("\r\n");
    Ok(head.into_bytes())
}

/// What `http_proxy` and `no_proxy` say about it.
fn proxy_of(look: &dyn Look, target: &Target) -> Option<Target> {
    if target.scheme != Scheme::Http {
        return None;
    }
    let except = look.env("no_proxy").or_else(|| look.env("NO_PROXY")).unwrap_or_default();
    let is_excepted =
        except.split(',').map(|name| name.trim().trim_start_matches('.')).filter(|name| !name.is_empty()).any(|name| {
            name == "*" || target.host == name || target.host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
        });
    let proxy = look.env("http_proxy").filter(|proxy| !proxy.is_empty() && !is_excepted)?;
    let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
    Target::parse(&proxy).ok()
}

/// Addresses of a name without libc's resolver: numbers, `localhost`, the hosts file, then `getent`.
pub(super) fn resolve(look: &dyn Look, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut found: Vec<IpAddr> = Vec::new();
    let hosts = look.text("/etc/hosts")?.unwrap_or_default();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if let Some(address) = words.next().and_then(|word| word.parse().ok())
            && words.any(|word| word.eq_ignore_ascii_case(name))
        {
            found.push(address);
        }
    }
    if found.is_empty() && name.eq_ignore_ascii_case("localhost") {
        found.push(IpAddr::from([127, 0, 0, 1]));
    }
    if found.is_empty() {
        let cmd = Cmd::new(["getent", "ahosts", name]).timeout(Duration::from_secs(30));
        let output = look.run(&cmd).map_err(|failure| io::Error::other(failure.msg))?;
        for address in output.stdout_text().lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("Name or service not known: {name}")));
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// An answer whose head has been read.
struct Answer {
    reply: HttpReply,
    rest: BufReader<Box<dyn Read>>,
}

impl Answer {
    fn read(stream: Box<dyn Read>) -> io::Result<Answer> {
        let mut rest = BufReader::new(stream);
        loop {
            let reply = read_head(&mut rest)?;
            // 100 Continue and its like come before the answer.
            if !(100..200).contains(&reply.status) || reply.status == 101 {
                return Ok(Answer { reply, rest });
            }
        }
    }

    fn body(&mut self, method: &str, out: &mut dyn Write) -> io::Result<()> {
        if method == "HEAD" || matches!(self.reply.status, 204 | 304) {
            return Ok(());
        }
        let is_chunked = self.reply.header("transfer-encoding").is_some_and(|how| how.to_ascii_lowercase().contains("chunked"));
        if is_chunked {
            return self.chunks(out);
        }
        match self.reply.header("content-length").map(str::trim).map(str::parse::<u64>) {
            Some(Ok(size)) => self.exactly(size, out),
            Some(Err(_)) => Err(invalid("a content length that is no number")),
            None => io::copy(&mut self.rest, out).map(drop),
        }
    }

    fn exactly(&mut self, size: u64, out: &mut dyn Write) -> io::Result<()> {
        let copied = io::copy(&mut (&mut self.rest).take(size), out)?;
        if copied < size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the answer broke off after {copied} of {size} bytes"),
            ));
        }
        Ok(())
    }

    fn chunks(&mut self, out: &mut dyn Write) -> io::Result<()> {
        loop {
            let line = read_line(&mut self.rest)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a chunk without a size"))?;
            if size == 0 {
                // Trailers say nothing that is needed.
                while read_line(&mut self.rest).is_ok_and(|line| !line.is_empty()) {}
                return Ok(());
            }
            self.exactly(size, out)?;
            out.flush()?;
            read_line(&mut self.rest)?;
        }
    }
}

fn read_head(stream: &mut impl BufRead) -> io::Result<HttpReply> {
    let status = read_line(stream)?;
    let mut words = status.splitn(3, ' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/"));
    let code = words.next().and_then(|code| code.parse().ok()).filter(|_| is_http);
    let mut reply = HttpReply {
        status: code.ok_or_else(|| invalid("no HTTP answer"))?,
        reason: words.next().unwrap_or_default().trim().to_owned(),
        ..HttpReply::default()
    };
    let mut size = 0;
    loop {
        let line = read_line(stream)?;
        size += line.len() as u64;
        if size > HEAD_MAX {
            return Err(invalid("endless headers"));
        }
        if line.is_empty() {
            return Ok(reply);
        }
        if let Some((name, value)) = line.split_once(':') {
            reply.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// Without its line break.
fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(HEAD_MAX).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed before the answer was complete"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &'static str, method: &str) -> io::Result<(u16, String)> {
        let mut answer = Answer::read(Box::new(text.as_bytes()))?;
        let mut body = Vec::new();
        answer.body(method, &mut body)?;
        Ok((answer.reply.status, String::from_utf8(body).unwrap()))
    }

    #[test]
    fn bodies_are_counted_chunked_or_end_with_the_connection() {
        let ok = |text, method| answer(text, method).unwrap();
        assert_eq!(ok("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhithere", "GET"), (200, "hi".into()));
        assert_eq!(
            ok("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n", "GET"),
            (200, "abcd".into())
        );
        assert_eq!(ok("HTTP/1.0 404 Not Found\r\n\r\ngone", "GET"), (404, "gone".into()));
        assert_eq!(ok("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"), (200, String::new()));
        assert_eq!(ok("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "PUT"), (204, String::new()));
    }

    #[test]
    fn an_answer_that_breaks_off_or_is_none_is_an_error() {
        assert!(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "GET").is_err());
        assert!(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET").is_err());
        assert!(answer("SSH-2.0-OpenSSH_9.2\r\n", "GET").is_err());
        assert!(answer("HTTP/1.1 200", "GET").is_err());
        assert!(answer("", "GET").is_err());
    }

    #[test]
    fn addresses_are_taken_apart() {
        let target = |url: &str| Target::parse(url).unwrap();
        let plain = target("http://web1:5000/up?full=1#top");
        assert_eq!((plain.host.as_str(), plain.port, plain.path.as_str()), ("web1", 5000, "/up?full=1"));
        assert_eq!(target("https://[::1]").authority(), "[::1]");
        assert_eq!(target("http://u%40x:p@h/").login.as_deref(), Some("u@x:p"));
        let socket = target("unix:/var/run/docker.sock:/v1.41/info");
        assert_eq!((socket.host.as_str(), socket.path.as_str()), ("/var/run/docker.sock", "/v1.41/info"));
        for bad in ["ftp://x/", "http://", "http://h:port/", "web1", "http://a b/"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirects_become_get_and_keep_secrets_at_home() {
        let mut request = HttpRequest::new("POST", "http://a/x/y");
        request.headers.push(("Authorization".into(), "secret".into()));
        let to = |location: &str, status| HttpReply {
            status,
            headers: vec![("location".into(), location.into())],
            ..HttpReply::default()
        };
        let target = Target::parse(&request.url).unwrap();
        let next = redirected(&request, &target, &to("z?q", 302)).unwrap();
        assert_eq!((next.method.as_str(), next.url.as_str(), next.headers.len()), ("GET", "http://a/x/z?q", 1));
        let next = redirected(&request, &target, &to("http://b/", 307)).unwrap();
        assert_eq!((next.method.as_str(), next.url.as_str(), next.headers.len()), ("POST", "http://b/", 0));
        assert!(redirected(&request, &target, &to("/", 200)).is_none());
    }
}
