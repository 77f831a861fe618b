//! Real SSH servers for the tests: `sshd` as a child process with its own keys, home and port on the loopback address.

use roll::connection::{Connections, Programs, Settings, Target};
use roll::value::Map;
use roll::wire::{FromHost, Reply, encode};
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A directory that is the home of the client and, in `remote`, of whoever logs in.
pub(super) struct Bed {
    pub(super) dir: tempfile::TempDir,
    pub(super) user: String,
}

pub(super) struct Sshd {
    child: Child,
    pub(super) port: u16,
    pub(super) log: PathBuf,
    pub(super) config: PathBuf,
    pub(super) host_key: String,
}

impl Bed {
    pub(super) fn new() -> Bed {
        let dir = tempfile::tempdir().unwrap();
        let bed = Bed { dir, user: text(Command::new("id").arg("-un")) };
        for directory in [".ssh", "remote"] {
            std::fs::create_dir(bed.path(directory)).unwrap();
        }
        bed.keygen(".ssh/id_ed25519");
        bed.admit(".ssh/id_ed25519.pub");
        bed
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn keygen(&self, name: &str) {
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"]).arg(self.path(name)));
    }

    /// Lets a key in, into a home of its own.
    pub(super) fn admit(&self, public: &str) {
        let key = std::fs::read_to_string(self.path(public)).unwrap();
        let line = format!("environment=\"HOME={}\" {key}", self.path("remote").display());
        std::fs::write(self.path("authorized_keys"), line).unwrap();
    }

    pub(super) fn sshd(&self, name: &str, extra: &str) -> Sshd {
        if !self.path(name).exists() {
            self.keygen(name);
        }
        let host_key = std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        let host_key = host_key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let (config, log) = (self.path(&format!("{name}.config")), self.path(&format!("{name}.log")));
        let port = free_port();
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
             PermitUserEnvironment yes\nPermitRootLogin yes\nLogLevel VERBOSE\n{extra}\n",
            self.path(name).display(),
            self.path("authorized_keys").display(),
        );
        std::fs::write(&config, text).unwrap();
        // Where sshd separates its privileges; needed only for root.
        _ = std::fs::create_dir_all("/run/sshd");
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-f").arg(&config).arg("-E").arg(&log);
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("these tests need sshd");
        let sshd = Sshd { child, port, log, config, host_key };
        sshd.wait();
        sshd
    }

    pub(super) fn know(&self, sshd: &Sshd) {
        let line = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.host_key);
        append(&self.path(".ssh/known_hosts"), &line);
    }

    pub(super) fn configure(&self, text: &str) {
        append(&self.path(".ssh/config"), text);
    }

    pub(super) fn target(&self, sshd: &Sshd) -> Target {
        Target { port: Some(sshd.port), timeout: Some(Duration::from_secs(10)), ..Target::new("web1", "127.0.0.1") }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            home: Some(self.dir.path().to_owned()),
            user: self.user.clone(),
            ssh_config: vec![self.path(".ssh/config")],
            programs: Some(self.stand_in()),
            ..Settings::default()
        }
    }

    pub(super) fn connections(&self) -> Connections {
        Connections::new(self.settings())
    }

    /// A host program that says hello, answers the first request, and is silent after that.
    pub(super) fn stand_in(&self) -> Programs {
        let file = self.path("stand-in");
        let hello = FromHost::Hello { user: self.user.clone(), uid: 7, home: "/".into(), pid: 1 };
        let (hello, done) =
            (encode(&hello).unwrap(), encode(&FromHost::Done { id: 1, reply: Reply::Failed { values: Map::new() } }).unwrap());
        let mut text = format!(
            "#!/bin/sh\n# {}\ntail -c {} \"$0\" | head -c {}\nhead -c 1 >/dev/null\ntail -c {} \"$0\"\nexec cat >/dev/null\n",
            self.dir.path().display(),
            hello.len() + done.len(),
            hello.len(),
            done.len(),
        )
        .into_bytes();
        text.extend(hello);
        text.extend(done);
        std::fs::write(&file, text).unwrap();
        Programs::of_file(&file)
    }
}

impl Bed {
    /// Removes what was delivered to homes that are not the test's own; how much it was.
    pub(super) fn remove_strays(&self) -> usize {
        let Ok(own) = std::fs::read(self.path("stand-in")) else { return 0 };
        let mut directories = vec!["/root/.cache/roll".to_owned()];
        for id in [text(Command::new("id").arg("-u")), "65534".to_owned()] {
            directories.extend(
                ["/run/user/ID/roll", "/var/tmp/roll-ID", "/tmp/roll-ID", "/dev/shm/roll-ID"].map(|path| path.replace("ID", &id)),
            );
        }
        let files = directories.iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten();
        let alike = files.filter(|file| file.metadata().is_ok_and(|found| found.len() == own.len() as u64));
        let strays = alike.filter(|file| std::fs::read(file.path()).is_ok_and(|bytes| bytes == own));
        strays.filter(|file| std::fs::remove_file(file.path()).is_ok()).count()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.remove_strays();
    }
}

impl Sshd {
    fn wait(&self) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let mut banner = [0; 4];
                if stream.read_exact(&mut banner).is_ok() && banner == *b"SSH-" {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("sshd did not start: {}", self.said());
    }

    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills the server and everything that it started.
    pub(super) fn kill(&mut self) {
        let mut all = vec![self.child.id()];
        let mut next = 0;
        while let Some(process) = all.get(next).copied() {
            let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            next += 1;
        }
        for process in all {
            _ = Command::new("kill").args(["-9", &process.to_string()]).stderr(Stdio::null()).status();
        }
        _ = self.child.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn text(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned()
}

pub(super) fn append(file: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Says why a test did not test anything here.
pub(super) fn skipped(reason: &str) {
    use std::io::Write as _;
    _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
