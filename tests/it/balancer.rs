//! One contract for every balancer driver, `haproxy` against a real HAProxy on loopback.

use roll::balancer::{Answer, Balancer, BalancerError, HaProxy, NoBalancer, Socket, State, Target, Tools};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// What every driver must do with three healthy targets; `settle` is how long it may take to show.
async fn keeps_the_contract(balancer: &dyn Balancer) {
    let states = |targets: Vec<Target>| targets.into_iter().map(|target| (target.name, target.state)).collect::<Vec<_>>();
    until(balancer, "all serve", |targets| targets.len() == 3 && targets.iter().all(Target::serves)).await;

    balancer.drain("web2").await.unwrap();
    until(balancer, "web2 is out", |targets| !named(targets, "web2").serves()).await;
    balancer.drain("web2").await.unwrap();
    let after = balancer.read().await.unwrap();
    assert!(matches!(named(&after, "web2").state, State::Draining | State::Out), "{after:?}");
    assert!(named(&after, "web1").serves() && named(&after, "web3").serves(), "{after:?}");

    balancer.maint("web2").await.unwrap();
    until(balancer, "web2 is in maintenance", |targets| named(targets, "web2").state == State::Out).await;

    balancer.enable("web2").await.unwrap();
    until(balancer, "web2 is back", |targets| named(targets, "web2").serves()).await;
    balancer.enable("web2").await.unwrap();
    assert_eq!(states(balancer.read().await.unwrap()).len(), 3);

    for unknown in ["web9", "", "web1; show env", "a/b"] {
        let refused = balancer.drain(unknown).await;
        assert!(matches!(refused, Err(BalancerError::UnknownTarget { .. })), "{unknown:?}: {refused:?}");
    }
}

fn named<'t>(targets: &'t [Target], name: &str) -> &'t Target {
    targets.iter().find(|target| target.name == name).expect("a target of that name")
}

async fn until(balancer: &dyn Balancer, what: &str, is_so: impl Fn(&[Target]) -> bool) {
    let start = Instant::now();
    loop {
        let targets = balancer.read().await.unwrap();
        if is_so(&targets) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "waited for: {what}; found {targets:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn none_keeps_the_contract() {
    let targets = ["web1", "web2", "web3"].map(str::to_owned).to_vec();
    keeps_the_contract(&NoBalancer::new(Tools { socket: None, targets })).await;
}

#[tokio::test]
async fn haproxy_keeps_the_contract() {
    let bed = Bed::start();
    keeps_the_contract(&bed.balancer("app")).await;
}

#[tokio::test]
async fn a_drained_haproxy_server_gets_no_requests_and_a_dead_one_is_seen() {
    let bed = Bed::start();
    let balancer = bed.balancer("app");
    until(&balancer, "all serve", |targets| targets.iter().all(Target::serves)).await;
    assert!((0..6).any(|_| bed.get() == "web2"), "round robin reaches web2");
    balancer.drain("web2").await.unwrap();
    let answers: Vec<String> = (0..12).map(|_| bed.get()).collect();
    assert!(answers.iter().all(|answer| answer == "web1" || answer == "web3"), "{answers:?}");
    bed.sick[0].store(true, Ordering::Relaxed);
    until(&balancer, "web1 is unhealthy", |targets| named(targets, "web1").state == State::Unhealthy).await;
    let reason = named(&balancer.read().await.unwrap(), "web1").reason.clone();
    assert_eq!(reason, "L7STS/503");
}

/// Idle keep-alive connections to a server would look like traffic to its host.
#[tokio::test]
async fn maintenance_closes_haproxy_s_idle_connections() {
    let bed = Bed::start();
    let balancer = bed.balancer("app");
    until(&balancer, "all serve", |targets| targets.iter().all(Target::serves)).await;
    (0..6).for_each(|_| drop(bed.get()));
    assert!(bed.open() > 0, "connections are kept for reuse");
    for server in ["web1", "web2", "web3"] {
        balancer.drain(server).await.unwrap();
    }
    for server in ["web1", "web2", "web3"] {
        balancer.maint(server).await.unwrap();
    }
    let start = Instant::now();
    while bed.open() > 0 {
        assert!(start.elapsed() < PATIENCE, "{} connections stay open", bed.open());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_haproxy_says_no_to_is_told() {
    let bed = Bed::start();
    let unknown = bed.balancer("shop").read().await;
    let Err(BalancerError::UnknownBackend { known, .. }) = unknown else { panic!("{unknown:?}") };
    assert!(known.contains(&"app".to_owned()), "{known:?}");
    let gone = HaProxy::new("app".to_owned(), Arc::new(Unix(bed.dir.path().join("nothing.sock")))).read().await;
    assert!(matches!(gone, Err(BalancerError::Unreachable { .. })), "{gone:?}");
    let weak = HaProxy::new("app".to_owned(), Arc::new(Unix(bed.dir.path().join("user.sock")))).drain("web1").await;
    assert!(matches!(weak, Err(BalancerError::Refused { .. })), "{weak:?}");
}

/// The admin socket, opened here instead of by the host program.
struct Unix(PathBuf);

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

/// An HAProxy in front of three small servers.
struct Bed {
    dir: tempfile::TempDir,
    haproxy: Child,
    port: u16,
    sick: Vec<Arc<AtomicBool>>,
    open: Arc<AtomicUsize>,
}

impl Bed {
    fn start() -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let open = Arc::new(AtomicUsize::new(0));
        let servers: Vec<(u16, Arc<AtomicBool>)> = ["web1", "web2", "web3"].map(|name| serve(name, &open)).into();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let lines = servers.iter().enumerate().map(|(at, (port, _))| format!(" server web{} 127.0.0.1:{port} check\n", at + 1));
        let config = format!(
            "global\n stats socket {} level admin\n stats socket {} level user\n\
             defaults\n mode http\n timeout connect 2s\n timeout client 5s\n timeout server 5s\n\
             frontend front\n bind 127.0.0.1:{port}\n default_backend app\n\
             backend app\n option httpchk GET /healthz\n default-server inter 200ms fall 2 rise 1\n{}",
            at("admin.sock"),
            at("user.sock"),
            lines.collect::<String>()
        );
        std::fs::write(at("haproxy.cfg"), config).unwrap();
        let haproxy =
            Command::new("haproxy").args(["-db", "-f", &at("haproxy.cfg")]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let haproxy = haproxy.expect("this test needs haproxy (Debian's package of that name)");
        let bed = Bed { dir, haproxy, port, sick: servers.into_iter().map(|(_, sick)| sick).collect(), open };
        let start = Instant::now();
        while ask(&bed.dir.path().join("admin.sock"), "show info").is_err() {
            assert!(start.elapsed() < PATIENCE, "haproxy did not open its socket");
            std::thread::sleep(Duration::from_millis(20));
        }
        bed
    }

    fn balancer(&self, backend: &str) -> HaProxy {
        HaProxy::new(backend.to_owned(), Arc::new(Unix(self.dir.path().join("admin.sock"))))
    }

    /// Connections to the three servers.
    fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The body that one request through the balancer gets.
    fn get(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.haproxy.kill();
        let _ = self.haproxy.wait();
    }
}

/// Says its own name; its health check fails while it is sick. Connections stay open, and are counted.
fn serve(name: &'static str, open: &Arc<AtomicUsize>) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
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
    (port, sick)
}

fn answer(mut stream: &TcpStream, body: &str, is_sick: &AtomicBool) {
    let mut request = [0; 2048];
    while stream.read(&mut request).is_ok_and(|size| size > 0) {
        let status = if is_sick.load(Ordering::Relaxed) { "503 Service Unavailable" } else { "200 OK" };
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}
