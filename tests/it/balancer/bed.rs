//! An HAProxy in front of three small servers.

use roll::balancer::{Answer, BalancerError, HaProxy, Socket};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const HOSTS: [&str; 3] = ["web1", "web2", "web3"];

/// A path that takes a second.
pub(crate) const SLOW: &str = "/slow";

/// The admin socket, opened here instead of by the host program.
pub(crate) struct Unix(pub(crate) PathBuf);

impl Socket for Unix {
    fn ask<'a>(&'a self, command: &'a str) -> Answer<'a, String> {
        let answer = ask(&self.0, command).map_err(|error| BalancerError::Unreachable { why: error.to_string() });
        Box::pin(async move { answer })
    }
}

fn ask(path: &Path, command: &str) -> std::io::Result<String> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(format!("{command}\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Each server has an address of its own, and all of them one port.
pub(crate) struct Bed {
    pub(crate) dir: tempfile::TempDir,
    haproxy: Child,
    port: u16,
    /// The servers' own.
    pub(crate) app_port: u16,
    /// Another server on the first one's address.
    pub(crate) second_port: u16,
    pub(crate) sick: Vec<Arc<AtomicBool>>,
    open: Arc<AtomicUsize>,
}

pub(crate) fn address(server: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(server + 2).unwrap())
}

impl Bed {
    /// HAProxy checks its servers itself.
    pub(crate) fn start() -> Bed {
        Bed::with("", " check", false)
    }

    /// The same, with a server for the second port of the first address: `web1-b`.
    pub(crate) fn with_a_second_port() -> Bed {
        Bed::with("", " check", true)
    }

    /// Somebody else says who gets requests; HAProxy forwards, and hides no lost one.
    pub(crate) fn forwarding() -> Bed {
        Bed::with(" retries 0\n no option redispatch\n", " disabled", false)
    }

    fn with(defaults: &str, words: &str, has_second: bool) -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let open = Arc::new(AtomicUsize::new(0));
        let first = TcpListener::bind((address(0), 0)).unwrap();
        let app_port = first.local_addr().unwrap().port();
        let others = (1..3).map(|server| TcpListener::bind((address(server), app_port)).expect("one port on three addresses"));
        let listeners: Vec<TcpListener> = std::iter::once(first).chain(others).collect();
        let sick = listeners.into_iter().zip(HOSTS).map(|(listener, name)| serve(name, listener, &open)).collect();
        let beside = TcpListener::bind((address(0), 0)).unwrap();
        let second_port = beside.local_addr().unwrap().port();
        serve("web1-b", beside, &open);
        let at = |name: &str| dir.path().join(name).display().to_string();
        let servers: String =
            HOSTS.iter().enumerate().map(|(at, name)| format!(" server {name} {}:{app_port}{words}\n", address(at))).collect();
        let second = format!(" server web1-b {}:{second_port}{words}\n", address(0));
        let servers = servers + if has_second { second.as_str() } else { "" };
        let config = format!(
            "global\n stats socket {} level admin\n stats socket {} level user\n\
             defaults\n mode http\n timeout connect 2s\n timeout client 5s\n timeout server 5s\n{defaults}\
             frontend front\n bind 127.0.0.1:{port}\n default_backend app\n\
             backend app\n option httpchk GET /healthz\n default-server inter 200ms fall 2 rise 1\n{servers}",
            at("admin.sock"),
            at("user.sock"),
        );
        std::fs::write(at("haproxy.cfg"), config).unwrap();
        let haproxy =
            Command::new("haproxy").args(["-db", "-f", &at("haproxy.cfg")]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let haproxy = haproxy.expect("this test needs haproxy (Debian's package of that name)");
        let bed = Bed { dir, haproxy, port, app_port, second_port, sick, open };
        let start = Instant::now();
        while ask(&bed.dir.path().join("admin.sock"), "show info").is_err() {
            assert!(start.elapsed() < PATIENCE, "haproxy did not open its socket");
            std::thread::sleep(Duration::from_millis(20));
        }
        bed
    }

    pub(crate) fn balancer(&self, backend: &str) -> HaProxy {
        HaProxy::new(backend.to_owned(), Arc::new(Unix(self.dir.path().join("admin.sock"))))
    }

    /// Connections to the three servers.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The body that one request through the balancer gets.
    pub(crate) fn get(&self) -> String {
        ask_for(self.port, "/").1
    }

    /// Where requests go to.
    pub(crate) fn front(&self) -> u16 {
        self.port
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.haproxy.kill();
        let _ = self.haproxy.wait();
    }
}

/// Status and body of one request through the balancer.
pub(crate) fn ask_for(port: u16, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.split_whitespace().nth(1).unwrap_or_default().to_owned();
    (status, answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
}

/// Says its own name; its health check fails while it is sick. Connections stay open, and are counted.
pub(crate) fn serve(name: &'static str, listener: TcpListener, open: &Arc<AtomicUsize>) -> Arc<AtomicBool> {
    let sick = Arc::new(AtomicBool::new(false));
    let (is_sick, open) = (Arc::clone(&sick), Arc::clone(open));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (is_sick, open) = (Arc::clone(&is_sick), Arc::clone(&open));
            std::thread::spawn(move || {
                open.fetch_add(1, Ordering::SeqCst);
                answer(&stream, name, &is_sick);
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    sick
}

fn answer(mut stream: &TcpStream, body: &str, is_sick: &AtomicBool) {
    let mut request = [0; 2048];
    while let Some(size) = stream.read(&mut request).ok().filter(|size| *size > 0) {
        if String::from_utf8_lossy(&request[..size]).contains(SLOW) {
            std::thread::sleep(Duration::from_secs(1));
        }
        let status = if is_sick.load(Ordering::Relaxed) { "503 Service Unavailable" } else { "200 OK" };
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}
