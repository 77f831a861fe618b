//! Reaching hosts: a real `sshd` on the loopback address at the other end.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot set up its world has to stop")]

mod bed;
mod become_user;
mod program;

use bed::{Bed, Sshd, append, free_port, run};
use roll::connection::{Blobs, Body, ConnectError, Connections, HostKeys, Stdin, Target};
use roll::diag::Explain as _;
use roll::modules::Set;
use roll::value::Text;
use roll::wire::{Reply, Request};
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct NoBlobs;

impl Blobs for NoBlobs {
    fn open(&self, hash: &str) -> io::Result<Body> {
        Err(io::Error::other(format!("nobody should ask for {hash}")))
    }

    fn keep(&self, hash: &str, _: u64) -> io::Result<Box<dyn Write + Send>> {
        Err(io::Error::other(format!("nobody should send {hash}")))
    }
}

fn ping() -> Request {
    Request { module: "ping".into(), ..Request::default() }
}

/// The whole way: connect, log in, deliver, hello, one request.
async fn reach(connections: &Connections, target: &Target) -> Result<(), ConnectError> {
    let remote = connections.host(target, None, Set::Common).await?;
    assert_eq!(remote.host().uid, 7);
    let reply = remote.run(ping(), &NoBlobs, |_| ()).await?;
    assert!(matches!(reply, Reply::Failed { .. }));
    Ok(())
}

fn known(bed: &Bed) -> Sshd {
    let sshd = bed.sshd("host", "");
    bed.know(&sshd);
    sshd
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_lets_in_and_the_program_is_delivered_once() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let connections = bed.connections();
    reach(&connections, &bed.target(&sshd)).await.unwrap();
    let cache = bed.path("remote/.cache/roll");
    let files: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    // The pool keeps both the connection and the program.
    let one = connections.host(&bed.target(&sshd), None, Set::Common).await.unwrap();
    assert!(!one.is_lost());
    assert_eq!(sshd.said().matches("Accepted publickey").count(), 1);
    connections.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_usual_kind_of_key_lets_in() {
    let bed = Bed::new();
    let sshd = known(&bed);
    // The last one is how clouds hand keys out.
    for (name, options) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("ecdsa", &["-t", "ecdsa"]),
        ("rsa", &["-t", "rsa"]),
        ("cloud.pem", &["-t", "rsa", "-m", "PEM"]),
        ("pkcs8", &["-t", "rsa", "-m", "PKCS8"]),
    ] {
        run(Command::new("ssh-keygen").args(["-q", "-N", "", "-f"]).arg(bed.path(name)).args(options));
        bed.admit(&format!("{name}.pub"));
        std::fs::remove_file(bed.path(&format!("{name}.pub"))).unwrap();
        let target = Target { key_files: vec![bed.path(name)], ..bed.target(&sshd) };
        reach(&bed.connections(), &target).await.unwrap_or_else(|failure| panic!("{name}: {:?}", failure.explain()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_is_quick() {
    let bed = Bed::new();
    let sshd = known(&bed);
    reach(&bed.connections(), &bed.target(&sshd)).await.unwrap();
    let start = Instant::now();
    reach(&bed.connections(), &bed.target(&sshd)).await.unwrap();
    // Far above what it takes; waiting for acknowledgements alone would not show.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_files_may_talk() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let noise = "echo welcome to this machine; head -c 30000 /dev/zero | tr '\\\\0' '\\\\n'; echo and on errors >&2\n";
    std::fs::write(bed.path("remote/.bashrc"), noise).unwrap();
    let connections = bed.connections();
    let output = connections.exec(&bed.target(&sshd), None, "true", Stdin::Nothing, false).await.unwrap();
    if !output.stdout.starts_with(b"welcome") {
        return bed::skipped("this user's login shell reads no .bashrc");
    }
    reach(&connections, &bed.target(&sshd)).await.unwrap();
}

/// A directory where programs do not run.
struct Noexec {
    path: std::path::PathBuf,
}

impl Noexec {
    fn mount(path: std::path::PathBuf) -> Option<Noexec> {
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "noexec,size=64m", "tmpfs"]).arg(&path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Noexec { path })
    }
}

impl Drop for Noexec {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_where_programs_do_not_run_is_passed_over() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let Some(_noexec) = Noexec::mount(bed.path("remote/.cache")) else {
        return bed::skipped("mounting a file system needs more rights");
    };
    reach(&bed.connections(), &bed.target(&sshd)).await.unwrap();
    assert_eq!(std::fs::read_dir(bed.path("remote/.cache/roll")).unwrap().count(), 0);
    assert_eq!(bed.remove_strays(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_command_that_is_no_shell_is_shown() {
    let bed = Bed::new();
    let sshd = bed.sshd("host", "ForceCommand echo only backups here");
    bed.know(&sshd);
    let failure = reach(&bed.connections(), &bed.target(&sshd)).await.unwrap_err();
    let ConnectError::Channel { reason, .. } = failure else { panic!("{failure:?}") };
    assert!(reason.contains("only backups here"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_refused_with_its_fingerprint() {
    let bed = Bed::new();
    let sshd = bed.sshd("host", "");
    let failure = reach(&bed.connections(), &bed.target(&sshd)).await.unwrap_err();
    let ConnectError::UnknownKey { fingerprint, .. } = &failure else { panic!("{failure:?}") };
    let told = bed::text(Command::new("ssh-keygen").arg("-lf").arg(bed.path("host.pub")));
    assert!(told.contains(fingerprint), "{told} {fingerprint}");
    assert!(failure.explain().help[0].contains("--accept-new-host-keys"));
    assert!(!sshd.said().contains("Accepted"), "it logged in to a host that nobody vouched for");
    assert!(!bed.path(".ssh/known_hosts").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_is_refused_with_the_line() {
    let bed = Bed::new();
    let sshd = bed.sshd("host", "");
    bed.keygen("other");
    let other = std::fs::read_to_string(bed.path("other.pub")).unwrap();
    append(&bed.path(".ssh/known_hosts"), &format!("# two lines\n\n[127.0.0.1]:{} {other}", sshd.port));
    for policy in [HostKeys::Check, HostKeys::AcceptNew] {
        let target = Target { host_keys: policy, ..bed.target(&sshd) };
        let failure = reach(&bed.connections(), &target).await.unwrap_err();
        let ConnectError::ChangedKey { file, line, expected, got, .. } = failure else { panic!("{failure:?}") };
        assert_eq!((file, line), (bed.path(".ssh/known_hosts"), 3));
        assert_ne!(expected, got);
    }
    let target = Target { host_keys: HostKeys::Off, ..bed.target(&sshd) };
    reach(&bed.connections(), &target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn accepting_new_keys_writes_them_down_once() {
    let bed = Bed::new();
    let sshd = bed.sshd("host", "");
    let target = Target { host_keys: HostKeys::AcceptNew, ..bed.target(&sshd) };
    reach(&bed.connections(), &target).await.unwrap();
    reach(&bed.connections(), &bed.target(&sshd)).await.unwrap();
    let text = std::fs::read_to_string(bed.path(".ssh/known_hosts")).unwrap();
    assert_eq!(text, format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_vouches_for_its_hosts() {
    let bed = Bed::new();
    bed.keygen("authority");
    let authority = std::fs::read_to_string(bed.path("authority.pub")).unwrap();
    append(&bed.path(".ssh/known_hosts"), &format!("@cert-authority * {authority}"));
    bed.keygen("host");
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-h", "-I", "host", "-n", "127.0.0.1", "-s"]).arg(bed.path("authority")).arg(bed.path("host.pub"));
    run(&mut sign);
    let sshd = bed.sshd("host", &format!("HostCertificate {}", bed.path("host-cert.pub").display()));
    reach(&bed.connections(), &bed.target(&sshd)).await.unwrap();
    // For another name it does not count.
    append(&bed.path(".ssh/config"), "Host alias\n HostName 127.0.0.1\n HostKeyAlias elsewhere\n");
    let target = Target { address: "alias".into(), ..bed.target(&sshd) };
    let failure = reach(&bed.connections(), &target).await.unwrap_err();
    assert!(matches!(failure, ConnectError::UnknownKey { .. }), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_lets_in_is_told_with_all_that_was_tried() {
    let bed = Bed::new();
    let sshd = known(&bed);
    bed.keygen("stranger");
    bed.admit("stranger.pub");
    std::fs::write(bed.path(".ssh/id_rsa"), "not a key").unwrap();
    let target = Target { key_files: vec![bed.path("missing")], ..bed.target(&sshd) };
    let failure = reach(&bed.connections(), &target).await.unwrap_err();
    let ConnectError::NoAccess { tried, offered, .. } = &failure else { panic!("{failure:?}") };
    let tried: Vec<String> = tried.iter().map(|one| format!("{}: {}", one.what, one.outcome)).collect();
    assert!(tried.iter().any(|one| one.contains("missing: cannot be read")), "{tried:?}");
    assert!(offered.contains(&"publickey".to_owned()), "{offered:?}");
    let target = bed.target(&sshd);
    let failure = reach(&bed.connections(), &target).await.unwrap_err();
    let notes = failure.explain().notes.join("\n");
    assert!(notes.contains("id_ed25519 (SHA256:") && notes.contains("refused"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_says_what_to_do() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let mut change = Command::new("ssh-keygen");
    change.args(["-q", "-p", "-P", "", "-N", "secret", "-f"]).arg(bed.path(".ssh/id_ed25519"));
    run(&mut change);
    let failure = reach(&bed.connections(), &bed.target(&sshd)).await.unwrap_err();
    let notes = failure.explain().notes.join("\n");
    assert!(notes.contains("needs its passphrase"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_server_does_not_take_is_no_crash() {
    let bed = Bed::new();
    let sshd = bed.sshd("host", "PubkeyAuthentication no");
    bed.know(&sshd);
    let target = Target { password: Some(Text::secret("wrong")), ..bed.target(&sshd) };
    let failure = reach(&bed.connections(), &target).await.unwrap_err();
    let found = failure.explain();
    assert!(matches!(failure, ConnectError::NoAccess { .. }), "{found:?}");
    assert!(!format!("{failure:?} {found:?}").contains("wrong\""));
}

struct Agent {
    child: std::process::Child,
}

impl Agent {
    fn start(bed: &Bed, keys: &[&str]) -> Agent {
        let socket = bed.path("agent");
        let mut command = Command::new("ssh-agent");
        let child = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        // The socket is there before anybody listens on it.
        let is_up = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        assert!(is_up, "ssh-agent does not listen");
        for key in keys {
            run(Command::new("ssh-add").arg("-q").arg(bed.path(key)).env("SSH_AUTH_SOCK", &socket));
        }
        Agent { child }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_lets_in() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let _agent = Agent::start(&bed, &[".ssh/id_ed25519"]);
    std::fs::remove_file(bed.path(".ssh/id_ed25519")).unwrap();
    std::fs::remove_file(bed.path(".ssh/id_ed25519.pub")).unwrap();
    let mut settings = bed.settings();
    settings.agent = Some(bed.path("agent"));
    reach(&Connections::new(settings.clone()), &bed.target(&sshd)).await.unwrap();
    // What is not named is not offered.
    bed.configure("IdentitiesOnly yes\n");
    let failure = reach(&Connections::new(settings), &bed.target(&sshd)).await.unwrap_err();
    assert!(matches!(failure, ConnectError::NoAccess { .. }), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_let_in_from_files_and_from_the_agent() {
    for kind in ["ed25519", "rsa"] {
        let bed = Bed::new();
        bed.keygen("authority");
        let name = format!("id_{kind}");
        run(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-f"]).arg(bed.path(&name)));
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-I", "ada", "-n", &bed.user, "-s"]).arg(bed.path("authority")).arg(bed.path(&format!("{name}.pub")));
        run(&mut sign);
        std::fs::remove_file(bed.path("authorized_keys")).unwrap();
        let sshd = bed.sshd("host", &format!("TrustedUserCAKeys {}", bed.path("authority.pub").display()));
        bed.know(&sshd);
        let mut settings = bed.settings();
        settings.programs = None;
        let target = Target { key_files: vec![bed.path(&name)], ..bed.target(&sshd) };
        let connections = Connections::new(settings.clone());
        let output = connections.exec(&target, None, "echo in", Stdin::Nothing, false).await.unwrap();
        assert_eq!(output.stdout, b"in\n");
        let _agent = Agent::start(&bed, &[&name]);
        settings.agent = Some(bed.path("agent"));
        std::fs::remove_file(bed.path(&name)).unwrap();
        let connections = Connections::new(settings);
        let output = connections.exec(&bed.target(&sshd), None, "echo in", Stdin::Nothing, false).await.unwrap();
        assert_eq!(output.stdout, b"in\n");
        let log = sshd.said();
        let accepted = log.lines().filter(|line| line.contains("Accepted publickey") && line.contains("-CERT"));
        assert_eq!(accepted.count(), 2, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_behind_a_jump_host_share_its_connection() {
    let bed = Bed::new();
    let (gate, inner) = (bed.sshd("gate", ""), bed.sshd("inner", ""));
    bed.know(&gate);
    bed.know(&inner);
    bed.configure(&format!(
        "Host gate\n HostName 127.0.0.1\n Port {}\nHost a b\n HostName 127.0.0.1\n Port {}\n ProxyJump gate\n",
        gate.port, inner.port
    ));
    let connections = bed.connections();
    for name in ["a", "b"] {
        reach(&connections, &Target::new(name, name)).await.unwrap();
    }
    assert_eq!(gate.said().matches("Accepted publickey").count(), 1);
    assert_eq!(inner.said().matches("Accepted publickey").count(), 2);
    // By arguments, as Ansible's inventories have it; and a hop that is not there is named.
    let mut target = bed.target(&inner);
    target.ssh_args = ["-o", &format!("ProxyJump=127.0.0.1:{}", gate.port)].map(str::to_owned).to_vec();
    reach(&bed.connections(), &target).await.unwrap();
    target.ssh_args = ["-J".to_owned(), format!("127.0.0.1:{}", free_port())].to_vec();
    let failure = reach(&bed.connections(), &target).await.unwrap_err();
    let ConnectError::Jump { cause, .. } = &failure else { panic!("{failure:?}") };
    assert!(matches!(**cause, ConnectError::Refused { .. }), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_command_carries_the_connection() {
    let bed = Bed::new();
    let sshd = bed.sshd("host", "");
    append(&bed.path(".ssh/known_hosts"), &format!("[10.99.99.99]:2222 {}\n", sshd.host_key));
    let target = |command: String| Target {
        port: Some(2222),
        ssh_args: vec!["-o".into(), format!("ProxyCommand={command}")],
        ..Target::new("far", "10.99.99.99")
    };
    let command = format!("/usr/sbin/sshd -i -f {}", sshd.config.display());
    reach(&bed.connections(), &target(command)).await.unwrap();
    let failing = "sh -c 'echo no way to %h >&2; exit 3'".to_owned();
    let failure = reach(&bed.connections(), &target(failing)).await.unwrap_err();
    let ConnectError::Proxy { reason, .. } = failure else { panic!("{failure:?}") };
    assert_eq!(reason, "no way to 10.99.99.99");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_and_nobody_answering_are_different() {
    let bed = Bed::new();
    let target = |port| Target { port: Some(port), timeout: Some(Duration::from_secs(1)), ..Target::new("web1", "127.0.0.1") };
    let failure = reach(&bed.connections(), &target(free_port())).await.unwrap_err();
    assert!(matches!(failure, ConnectError::Refused { .. }), "{failure:?}");
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let failure = reach(&bed.connections(), &target(silent.local_addr().unwrap().port())).await.unwrap_err();
    assert!(failure.to_string().contains("no SSH server spoke within 1 s"), "{failure}");
    let name = Target::new("web1", "no-such-host.invalid");
    let failure = reach(&bed.connections(), &name).await.unwrap_err();
    assert!(matches!(failure, ConnectError::NameNotFound { .. }), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_dies_in_the_middle_is_lost_and_never_done() {
    let bed = Bed::new();
    let mut sshd = known(&bed);
    let connections = bed.connections();
    let remote = connections.host(&bed.target(&sshd), None, Set::Common).await.unwrap();
    remote.run(ping(), &NoBlobs, |_| ()).await.unwrap();
    // The stand-in is silent from here on.
    let waiting = remote.post(Request { module: "copy".into(), ..Request::default() }).unwrap();
    let answer = tokio::spawn(async move { waiting.answer(&NoBlobs, |_| ()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    sshd.kill();
    let failure = tokio::time::timeout(Duration::from_secs(10), answer).await.unwrap().unwrap().unwrap_err();
    let ConnectError::Lost { doing, host, .. } = &failure else { panic!("{failure:?}") };
    assert_eq!((doing.as_str(), host.as_str()), ("`copy`", "web1"));
    assert!(remote.is_lost() && remote.post(ping()).is_err());
    let failure = reach(&connections, &bed.target(&sshd)).await.unwrap_err();
    assert!(matches!(failure, ConnectError::Refused { .. }), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_the_login_shell() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let connections = bed.connections();
    for target in [bed.target(&sshd), Target::local("here")] {
        let run = |command: &'static str, stdin, is_terminal| connections.exec(&target, None, command, stdin, is_terminal);
        let output = run("echo out; echo err >&2; exit 3", Stdin::Nothing, false).await.unwrap();
        assert_eq!((output.code, &*output.stdout, &*output.stderr), (3, &b"out\n"[..], &b"err\n"[..]));
        let text = vec![b'x'; 300_000];
        let output = run("cat", Stdin::Bytes(&text), false).await.unwrap();
        assert!(output.stdout == text, "{} bytes", output.stdout.len());
        let output = run("kill -9 $$", Stdin::Nothing, false).await.unwrap();
        assert_eq!(output.code, 137);
        // More than it reads.
        assert_eq!(run("true", Stdin::Bytes(&text), false).await.unwrap().code, 0);
    }
    let output = connections.exec(&bed.target(&sshd), None, "test -t 1 && echo terminal", Stdin::Nothing, true).await.unwrap();
    assert_eq!(output.stdout, b"terminal\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_be_reset() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let connections = bed.connections();
    let target = bed.target(&sshd);
    let old = connections.host(&target, None, Set::Common).await.unwrap();
    connections.reset(&target).await;
    assert!(old.is_lost());
    reach(&connections, &target).await.unwrap();
    assert_eq!(sshd.said().matches("Accepted publickey").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wishes_at_once_are_one_connection() {
    let bed = Bed::new();
    let sshd = known(&bed);
    let connections = bed.connections();
    let target = bed.target(&sshd);
    let wish = || connections.host(&target, None, Set::Common);
    let (a, b, c) = tokio::join!(wish(), wish(), wish());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(sshd.said().matches("Accepted publickey").count(), 1);
}
