//! One lab for all stories, made and taken away by the real `roll`, and runs of `roll` on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const ROLL: &str = env!("CARGO_BIN_EXE_roll");
/// With nothing cached, images are built first.
const UP_MAX: Duration = Duration::from_secs(900);
const DOWN_MAX: Duration = Duration::from_secs(180);
const CALL_MAX: Duration = Duration::from_secs(60);
const STATS_PORT: u16 = 8404;

/// Why no lab can be made here.
pub(super) fn missing() -> Option<&'static str> {
    let is_answering = Command::new("docker")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let is_root = rustix::process::geteuid().is_root();
    (!is_answering && !is_root).then_some("no Docker engine answers, and installing one needs root")
}

/// Straight to the terminal: these stories take minutes, and nobody likes to wait in silence.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "lab: {line}");
}

pub(super) struct Bed {
    pub(super) id: String,
    /// The arguments that `roll lab up` says to use.
    arguments: Vec<String>,
    addresses: BTreeMap<String, String>,
    home: tempfile::TempDir,
}

impl Bed {
    /// Makes a lab with two web hosts.
    pub(super) fn up() -> Bed {
        Bed::with(&["--hosts", "2"])
    }

    pub(super) fn with(more: &[&str]) -> Bed {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(ROLL);
        let made = start(command.args(["lab", "up"]).args(more), &home.path().join("up")).end(UP_MAX);
        assert_eq!(made.code, Some(0), "no lab came up:\n{}", made.text);
        let line = |start: &str| {
            made.text
                .lines()
                .find_map(|line| line.trim().strip_prefix(start))
                .unwrap_or_else(|| panic!("no `{start}` in:\n{}", made.text))
        };
        let id = line("lab ").trim_end_matches(" is up").to_owned();
        let usage = line("roll -i").strip_suffix(" PLAYBOOK").expect("how to run a playbook");
        let arguments = shell_words::split(&format!("-i{usage}")).unwrap();
        let mut bed = Bed { id, arguments, addresses: BTreeMap::new(), home };
        bed.addresses = addresses(Path::new(&bed.arguments[1]));
        bed
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    pub(super) fn known_hosts(&self) -> PathBuf {
        Path::new(&self.arguments[1]).with_file_name("known_hosts")
    }

    /// Begins a run that knows nothing of this machine but the lab.
    pub(super) fn start(&self, playbook: &Path, more: &[&str]) -> Running {
        self.start_with(&self.arguments, playbook, more)
    }

    pub(super) fn run(&self, playbook: &Path, more: &[&str], limit: u64) -> Outcome {
        self.start(playbook, more).end(Duration::from_secs(limit))
    }

    /// A run that takes the keys of hosts from another file.
    pub(super) fn run_with_keys(&self, known_hosts: &Path, playbook: &Path, limit: u64) -> Outcome {
        let (own, other) = (self.known_hosts(), known_hosts);
        let swap = |word: &String| word.replace(&*own.to_string_lossy(), &other.to_string_lossy());
        let arguments: Vec<String> = self.arguments.iter().map(swap).collect();
        self.start_with(&arguments, playbook, &[]).end(Duration::from_secs(limit))
    }

    /// One more run, while another one goes on.
    pub(super) fn run_beside(&self, playbook: &Path, more: &[&str], limit: u64) -> Outcome {
        self.start_to(&self.arguments, playbook, more, "beside").end(Duration::from_secs(limit))
    }

    /// A subcommand with the arguments of a run.
    pub(super) fn call(&self, verb: &str, playbook: &Path, more: &[&str], limit: u64) -> Outcome {
        let arguments: Vec<String> = std::iter::once(verb.to_owned()).chain(self.arguments.iter().cloned()).collect();
        self.start_to(&arguments, playbook, more, verb).end(Duration::from_secs(limit))
    }

    fn start_with(&self, arguments: &[String], playbook: &Path, more: &[&str]) -> Running {
        self.start_to(arguments, playbook, more, "output")
    }

    fn start_to(&self, arguments: &[String], playbook: &Path, more: &[&str], output: &str) -> Running {
        let mut command = self.command(self.home.path());
        start(command.args(arguments).args(more).arg(playbook), &self.path(output))
    }

    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(ROLL);
        command.env_clear().env("HOME", home).env("ANSIBLE_ROLES_PATH", repository().join("playbooks/roles"));
        for name in ["PATH", "ROLL_REMOTE"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    /// A run whose locks go after so many seconds without a word from it.
    pub(super) fn start_fleeting(&self, playbook: &Path, more: &[&str], silence: u32) -> Running {
        let mut command = self.command(self.home.path());
        command.env("ROLL_SILENCE", silence.to_string());
        start(command.args(&self.arguments).args(more).arg(playbook), &self.path("output"))
    }

    /// A subcommand as from another machine: another directory, another home.
    pub(super) fn elsewhere(&self, verb: &str, playbook: &Path, more: &[&str], limit: u64) -> Outcome {
        let home = self.path("elsewhere");
        std::fs::create_dir_all(&home).unwrap();
        let mut command = self.command(&home);
        command.current_dir(&home).arg(verb).args(&self.arguments).args(more).arg(playbook);
        start(&mut command, &self.path(verb)).end(Duration::from_secs(limit))
    }

    /// How long another one would have waited for the application's lock on a host, from now on.
    pub(super) fn lock_is_free_after(&self, machine: &str) -> Duration {
        let began = Instant::now();
        self.on(machine, "tries=0; until flock -n /var/lib/roll/palindrome/lock true; do tries=$((tries + 1)); [ $tries -lt 400 ]; sleep 0.02; done");
        began.elapsed()
    }

    /// Crashes of the controller at so many points, on this very lab.
    pub(super) fn crashes(&self, playbook: &Path, count: usize, seed: u64, limit: u64) -> Outcome {
        let mut command = Command::new(ROLL);
        let words = ["rehearse", "--lab", &self.id, &format!("--crashes={count}"), "--seed", &seed.to_string(), "-e", "bake=1s"];
        start(command.args(words).arg(playbook), &self.path("crashes")).end(Duration::from_secs(limit))
    }

    /// Two releases in turn under load, on this very lab.
    pub(super) fn soak(&self, playbook: &Path, count: usize, limit: u64) -> Outcome {
        let mut command = Command::new(ROLL);
        let words = ["rehearse", "--lab", &self.id, &format!("--soak={count}")];
        start(command.args(words).arg(playbook), &self.path("soak")).end(Duration::from_secs(limit))
    }

    /// Clients from now on: forty requests a second through the balancer, each on a connection of its own.
    pub(super) fn clients(&self) -> Clients {
        let (lost, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (address, lost_there, is_over_there) = (self.addresses["lb"].clone(), lost.clone(), is_over.clone());
        let thread = thread::spawn(move || {
            let (began, mut requests) = (Instant::now(), Vec::new());
            while !is_over_there.load(Ordering::Relaxed) {
                let (address, lost, at) = (address.clone(), lost_there.clone(), began.elapsed());
                requests.push(thread::spawn(move || {
                    if let Err(why) = ask(&address) {
                        lost.lock().unwrap().push(format!("at {:.1} s: {why}", at.as_secs_f64()));
                    }
                }));
                thread::sleep(Duration::from_millis(25));
            }
            let sent = requests.len();
            requests.into_iter().for_each(|request| request.join().unwrap());
            sent
        });
        Clients { lost, is_over, thread }
    }

    pub(super) fn container(&self, machine: &str) -> String {
        format!("roll-{}-{machine}", self.id)
    }

    pub(super) fn docker(&self, arguments: &[&str]) -> String {
        let outcome = start(Command::new("docker").args(arguments), &self.path("docker")).end(CALL_MAX);
        assert_eq!(outcome.code, Some(0), "docker {arguments:?}:\n{}", outcome.text);
        outcome.text.trim_end().to_owned()
    }

    /// What a script on a machine prints; as root, and not through SSH.
    pub(super) fn on(&self, machine: &str, script: &str) -> String {
        self.docker(&["exec", &self.container(machine), "sh", "-ec", script])
    }

    /// How often somebody logged in.
    pub(super) fn logins(&self, machine: &str) -> usize {
        self.on(machine, "journalctl --no-pager -u ssh | grep -c 'Accepted publickey' || true").parse().unwrap()
    }

    /// The web hosts as the balancer sees them.
    pub(super) fn rotation(&self) -> BTreeMap<String, String> {
        states(&self.addresses["lb"]).expect("the balancer's counters")
    }

    /// Looks at the balancer all the time from now on.
    pub(super) fn watch(&self) -> Watch {
        let (seen, is_over) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
        let (address, seen_there, is_over_there) = (self.addresses["lb"].clone(), seen.clone(), is_over.clone());
        let thread = thread::spawn(move || {
            let mut reads = 0;
            while !is_over_there.load(Ordering::Relaxed) {
                if let Some(states) = states(&address) {
                    reads += 1;
                    let out = states.into_iter().filter(|(_, state)| !state.starts_with("UP"));
                    seen_there.lock().unwrap().extend(out.map(|(host, _)| host));
                }
                thread::sleep(Duration::from_millis(50));
            }
            reads
        });
        Watch { seen, is_over, thread }
    }

    /// Takes the lab away; what is left of it, if anything.
    pub(super) fn down(self) -> String {
        let gone = start(Command::new(ROLL).args(["lab", "down", &self.id]), &self.path("down")).end(DOWN_MAX);
        assert_eq!(gone.code, Some(0), "{}", gone.text);
        let filter = format!("label=roll.lab={}", self.id);
        let kinds = [["ps", "-aq"].as_slice(), &["volume", "ls", "-q"], &["network", "ls", "-q"]];
        let left: String = kinds.iter().map(|kind| self.docker(&[kind, ["--filter", &filter].as_slice()].concat())).collect();
        let files =
            self.known_hosts().parent().filter(|directory| directory.exists()).map(|directory| directory.display().to_string());
        left + &files.unwrap_or_default()
    }
}

impl Drop for Bed {
    /// Also after a panic; taking away what is gone already does nothing.
    fn drop(&mut self) {
        let mut command = Command::new(ROLL);
        let _ = start(command.args(["lab", "down", &self.id]), &self.path("dropped")).ends_within(DOWN_MAX);
    }
}

/// The hosts that were out of rotation at any time.
pub(super) struct Watch {
    seen: Arc<Mutex<BTreeSet<String>>>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Watch {
    pub(super) fn end(self) -> Vec<String> {
        self.is_over.store(true, Ordering::Relaxed);
        let reads = self.thread.join().unwrap();
        assert!(reads > 0, "the balancer was never seen");
        let seen = self.seen.lock().unwrap();
        seen.iter().cloned().collect()
    }
}

/// Clients that go on asking until they are told not to.
pub(super) struct Clients {
    lost: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Clients {
    /// Nothing that they asked for was lost.
    pub(super) fn lost_nothing(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let sent = self.thread.join().unwrap();
        assert!(sent > 100, "hardly anything was asked for: {sent}");
        let lost = self.lost.lock().unwrap();
        assert!(lost.is_empty(), "{} of {sent} requests were lost: {:#?}", lost.len(), &lost[..lost.len().min(5)]);
    }
}

fn ask(address: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect((address, 80)).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(failed)?;
    stream.write_all(b"GET /palindrome?text=level HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(answer.lines().next().unwrap_or("no answer").to_owned()) }
}

pub(super) struct Outcome {
    pub(super) code: Option<i32>,
    /// Standard output and standard error, as a terminal would show them.
    pub(super) text: String,
}

impl Outcome {
    pub(super) fn ended(&self, code: i32) -> &Outcome {
        assert_eq!(self.code, Some(code), "ended otherwise:\n{}", self.text);
        self
    }

    pub(super) fn says(&self, part: &str) -> &Outcome {
        assert!(self.text.contains(part), "does not say `{part}`:\n{}", self.text);
        self
    }

    /// A host's line of the recap: `("changed", 0)` and so on.
    pub(super) fn counts(&self, host: &str, counts: &[(&str, u32)]) -> &Outcome {
        let line = self.text.lines().rfind(|line| line.trim_start().starts_with(host) && line.contains("unreachable="));
        let line = line.unwrap_or_else(|| panic!("no recap of {host} in:\n{}", self.text));
        for (name, count) in counts {
            assert!(
                line.split_whitespace().any(|word| word == format!("{name}={count}")),
                "not {name}={count}: {line}\n{}",
                self.text
            );
        }
        self
    }
}

pub(super) struct Running {
    child: Child,
    output: PathBuf,
}

fn start(command: &mut Command, output: &Path) -> Running {
    let file = File::create(output).unwrap();
    let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn();
    Running { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), output: output.to_owned() }
}

impl Running {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }

    /// Waits until it says something.
    pub(super) fn await_words(&mut self, words: &str, limit: u64) {
        let until = Instant::now() + Duration::from_secs(limit);
        while !self.text().contains(words) {
            assert!(self.child.try_wait().unwrap().is_none(), "ended before `{words}`:\n{}", self.text());
            assert!(Instant::now() < until, "no `{words}` within {limit} s:\n{}", self.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ctrl-C.
    pub(super) fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    pub(super) fn end(mut self, limit: Duration) -> Outcome {
        let code = self.ends_within(limit);
        assert!(code.is_some(), "not over after {} s:\n{}", limit.as_secs(), self.text());
        Outcome { code: code.flatten(), text: self.text() }
    }

    /// Its exit code; the outer `None` where it had to be killed.
    fn ends_within(&mut self, limit: Duration) -> Option<Option<i32>> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.code());
            }
            if Instant::now() >= until {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Addresses by name, from what stands for Terraform's output.
fn addresses(inventory: &Path) -> BTreeMap<String, String> {
    let outputs: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(inventory).unwrap()).unwrap();
    let hosts = outputs["roll_hosts"]["value"].as_array().unwrap();
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    hosts.iter().map(|host| (word(&host["name"]), word(&host["address"]))).collect()
}

/// Web hosts and their states, from HAProxy's counters.
fn states(address: &str) -> Option<BTreeMap<String, String>> {
    let mut stream = TcpStream::connect((address, STATS_PORT)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET /stats;csv HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let rows = answer.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let servers = rows.filter(|cells| cells.len() > 17 && cells[1].starts_with("web"));
    let states: BTreeMap<String, String> = servers.map(|cells| (cells[1].to_owned(), cells[17].to_owned())).collect();
    (!states.is_empty()).then_some(states)
}
