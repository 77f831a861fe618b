//! Rollouts as several people see them at once: who has the lock, what is planned, what is recorded. One host, this machine, over a
//! local connection; a socket that answers like Docker where a container matters.

mod engine;
mod failures;
mod fleet;
mod front;
mod starts_first;
mod stories;

use roll::value::Value;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PLAYBOOK: &str = r#"
- hosts: all
  gather_facts: false
  serial: 1
  rollout:
    app: shop
    release: "{{ release }}"
    balancer: { kind: none }
  pre_tasks:
    - name: Preparing
      command: sleep {{ wait | default(20) }}
  tasks:
    - command: touch {{ playbook_dir }}/switched
"#;

/// A directory with a playbook, an inventory, and the records of its one host.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Site {
        let site = Site(tempfile::tempdir().unwrap());
        fs::write(site.path("site.yaml"), PLAYBOOK).unwrap();
        fs::write(site.path("hosts"), "web1 ansible_connection=local\n").unwrap();
        fs::create_dir(site.path("home")).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `roll` with the words before the inventory; `who` calls.
    fn command(&self, who: &str, words: &[&str], more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roll"));
        command.args(words).args(["-i", "hosts", "-e", "release=one"]).args(more);
        if words.first() != Some(&"apply") {
            command.arg("site.yaml");
        }
        self.dressed(&mut command, who);
        command
    }

    fn dressed(&self, command: &mut Command, who: &str) {
        command.current_dir(self.0.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("USER", who).env("ROLL_STATE_DIR", self.path("state"));
        command.env("ROLL_REMOTE", env!("CARGO_BIN_EXE_roll-remote"));
        command.env("DOCKER_HOST", format!("unix://{}", self.path("docker.sock").display()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }

    fn run(&self, who: &str, words: &[&str], more: &[&str]) -> Output {
        self.command(who, words, more).output().unwrap()
    }

    /// A rollout that has every lock and prepares.
    fn begin(&self, who: &str) -> Child {
        self.begin_as(who, 3)
    }

    /// Which may be silent for so many seconds.
    fn begin_as(&self, who: &str, silence: u32) -> Child {
        let child = self.command(who, &[], &[]).env("ROLL_SILENCE", silence.to_string()).spawn().unwrap();
        let began = Instant::now();
        while self.holder(who).is_none() {
            assert!(began.elapsed() < Duration::from_secs(20), "nobody takes the lock");
            sleep(Duration::from_millis(50));
        }
        child
    }

    /// Who has the lock, as `roll status` says it.
    fn holder(&self, who: &str) -> Option<Value> {
        let answer = self.run(who, &["status", "--output", "json"], &[]);
        let seen = Value::from_json(&text(&answer.stdout)).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        let rollout = seen.get("rollouts").and_then(Value::as_list).unwrap()[0].clone();
        rollout.get("holder").filter(|holder| !holder.is_null()).cloned()
    }

    fn state(&self) -> Value {
        Value::from_json(&fs::read_to_string(self.path("state/shop/state.json")).unwrap()).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn says(output: &Output, part: &str) {
    let all = text(&output.stdout) + &text(&output.stderr);
    assert!(all.contains(part), "does not say `{part}`:\n{all}");
}

#[test]
fn of_two_one_goes_on_and_the_other_is_told_by_whom() {
    let site = Site::new();
    let mut first = site.begin_as("ada", 30);
    let began = Instant::now();
    let second = site.run("bob", &[], &[]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(second.status.code(), Some(11), "{second:?}");
    let here = text(&Command::new("uname").arg("-n").output().unwrap().stdout);
    says(&second, &format!("error[rollout-locked]: `shop` is being rolled out by ada on {}", here.trim()));
    says(&second, "`roll status -i hosts -e release=one site.yaml`");
    assert!(first.try_wait().unwrap().is_none(), "the first one goes on");
    let status = site.run("bob", &["status"], &[]);
    assert_eq!(status.status.code(), Some(0));
    says(&status, "being rolled out by ada on ");

    signal(&first, Signal::KILL);
    let killed = Instant::now();
    first.wait().unwrap();
    while site.holder("bob").is_some() {}
    // Sooner than by the silence alone; each look takes its time, too.
    assert!(killed.elapsed() < Duration::from_secs(15), "{:?}", killed.elapsed());
    let mut third = site.begin("bob");
    assert_eq!(site.state().get("generation"), Some(&Value::from(2)));
    third.kill().unwrap();
    third.wait().unwrap();
}

#[test]
fn one_that_was_asleep_for_too_long_is_fenced_out() {
    let site = Site::new();
    let first = site.begin("ada");
    signal(&first, Signal::STOP);
    let stopped = Instant::now();
    while site.holder("bob").is_some() {
        assert!(stopped.elapsed() < Duration::from_secs(10), "the lock sticks");
    }
    assert!(stopped.elapsed() > Duration::from_secs(1), "{:?}", stopped.elapsed());
    signal(&first, Signal::CONT);
    let (code, said) = end(first);
    assert_eq!(code, Some(16), "{said}");
    assert!(said.contains("rollout-fenced") && said.contains("`roll resume -i hosts -e release=one site.yaml`"), "{said}");
    assert!(!site.path("switched").exists());
    assert_eq!(site.state().get("generation"), Some(&Value::from(2)), "what the first one still asks for is of generation 1");
    says(&site.run("bob", &["history"], &[]), "fenced");
}

#[test]
fn a_wish_reaches_only_a_rollout_that_runs() {
    let site = Site::new();
    let nobody = site.run("bob", &["pause"], &[]);
    assert_eq!(nobody.status.code(), Some(1));
    let mut first = site.begin("ada");
    let asked = site.run("bob", &["pause"], &[]);
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    says(&asked, "the rollout of ada pauses before its next host; next: `roll continue -i hosts -e release=one site.yaml`");
    let wish = fs::read_to_string(site.path("state/shop/wish.json")).unwrap();
    assert!(wish.contains(r#""ask":"pause","who":"bob""#) && wish.contains(r#""generation":1"#), "{wish}");
    says(&site.run("bob", &["continue"], &[]), "goes on");
    assert!(!site.path("state/shop/wish.json").exists());
    first.kill().unwrap();
    first.wait().unwrap();
}

/// Answers like Docker about one container, whose image can be changed.
struct Docker(Arc<Mutex<String>>);

impl Docker {
    fn listen(path: &Path, release: &str) -> Docker {
        let listener = UnixListener::bind(path).unwrap();
        let shown = Arc::new(Mutex::new(release.to_owned()));
        let there = shown.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let size = stream.read(&mut request).unwrap_or(0);
                let request = text(&request[..size]);
                let release = there.lock().unwrap().clone();
                let container = format!(
                    r#"{{"Id":"id-{release}","Name":"/shop","Image":"sha256:aabbccddeeff0011","Config":{{"Image":"shop:{release}"}},
                    "State":{{"Running":true,"Status":"running","StartedAt":"2026-01-01T00:00:00Z"}}}}"#
                );
                let body = if request.contains("/containers/shop/json") { container } else { "[]".to_owned() };
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nApi-Version: 1.41\r\nConnection: close";
                let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            }
        });
        Docker(shown)
    }

    fn replace(&self, release: &str) {
        release.clone_into(&mut self.0.lock().unwrap());
    }
}

#[test]
fn a_plan_says_what_would_be_done_and_is_empty_where_nothing_would() {
    let site = Site::new();
    let _docker = Docker::listen(&site.path("docker.sock"), "one");
    let empty = site.run("ada", &["plan", "--exit-code"], &[]);
    assert_eq!(empty.status.code(), Some(0), "{empty:?}");
    says(&empty, "shop: nothing to do, all 1 hosts run release one");
    let plan = site.run("ada", &["plan", "--exit-code", "--out", "plan.json"], &["-e", "release=two"]);
    assert_eq!(plan.status.code(), Some(3), "{plan:?}");
    for part in ["shop: release two for 1 of 1 hosts", "one (aabbccddeeff)", "order: web1", "next: `roll apply plan.json`"] {
        says(&plan, part);
    }
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(site.path("plan.json")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!site.path("state").exists(), "looking leaves nothing behind");
}

#[test]
fn a_plan_is_applied_only_to_what_it_was_made_for() {
    let site = Site::new();
    let docker = Docker::listen(&site.path("docker.sock"), "one");
    site.run("ada", &["plan", "--out", "plan.json"], &["-e", "release=two", "-e", "wait=0"]);
    let apply = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roll"));
        command.args(["apply", "plan.json"]);
        site.dressed(&mut command, "bob");
        command.output().unwrap()
    };
    docker.replace("other");
    let refused = apply();
    assert_eq!(refused.status.code(), Some(10), "{refused:?}");
    says(&refused, "error[plan-drift]");
    says(&refused, "`web1` ran one (aabbccddeeff); now it runs other (aabbccddeeff)");
    assert!(!site.path("switched").exists() && !site.path("state").exists());
    docker.replace("one");
    let applied = apply();
    says(&applied, "ROLLOUT [shop : two]");
    assert!(site.path("state/shop/state.json").exists());
}
