//! Several hosts on this machine: each has an address of its own on the loopback network, its own records and its own Docker engine. They are
//! told apart by the `sudo` with which a play becomes root: a script that sets the environment of one of them.

use super::engine::{self, Books};
use super::front::{self, Front, Server};
use crate::balancer::alb::Double;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How the app of one host behaves.
#[derive(Debug)]
pub(super) struct App {
    /// What `/deploy/ready` answers; 0 hangs up.
    pub(super) ready: u16,
    /// Releases that never become healthy.
    pub(super) broken: Vec<&'static str>,
    /// Paths that were asked for.
    pub(super) asked: Vec<String>,
}

pub(super) struct Host {
    pub(super) name: String,
    pub(super) books: Arc<Mutex<Books>>,
    pub(super) app: Arc<Mutex<App>>,
}

pub(super) struct Fleet {
    dir: tempfile::TempDir,
    pub(super) hosts: Vec<Host>,
    /// The app's, on every host.
    pub(super) port: u16,
    /// The one beside it, where new containers start before old ones leave.
    pub(super) second: u16,
}

const PLAYBOOK: &str = r#"
- name: Shop
  hosts: all
  gather_facts: false
  serial: 1
  rollout:
    app: shop
    release: "{{ release }}"
    balancer: { kind: none }
    drain: { quiet: 50ms, deadline: 5s }
    ready: { url: "http://{{ ansible_host }}:{{ app_port }}/deploy/ready", deadline: 30s }
    healthy: { url: "http://{{ ansible_host }}:{{ app_port }}/healthz", passes: 2, interval: 50ms, deadline: 1s }
  tasks:
    - name: The new container
      community.docker.docker_container: { name: shop, image: "shop:{{ release }}", pull: never }
"#;

impl Fleet {
    /// So many hosts that run release `one`.
    pub(super) fn new(hosts: usize) -> Fleet {
        let mut fleet = Fleet { dir: tempfile::tempdir().unwrap(), hosts: Vec::new(), port: 0, second: 0 };
        fs::create_dir(fleet.path("home")).unwrap();
        fs::write(fleet.path("site.yaml"), PLAYBOOK).unwrap();
        let mut inventory = String::new();
        for number in 1..=hosts {
            inventory += &fleet.host(number);
        }
        fs::write(fleet.path("hosts"), inventory).unwrap();
        fleet
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its line of the inventory.
    fn host(&mut self, number: usize) -> String {
        let name = format!("web{number}");
        let home = self.path(&name);
        fs::create_dir(&home).unwrap();
        let shown = home.display();
        let sudo = format!(
            "#!/bin/sh\n[ ! -e {shown}/dead ] || kill -9 $$\necho $$ > {shown}/pid\nwhile [ \"$1\" != /bin/sh ]; do shift; done\nexport ROLL_STATE_DIR={shown}/state DOCKER_HOST=unix://{shown}/docker.sock\nexec \"$@\"\n"
        );
        fs::write(home.join("sudo"), sudo).unwrap();
        fs::set_permissions(home.join("sudo"), fs::Permissions::from_mode(0o755)).unwrap();
        let books = Arc::new(Mutex::new(Books::default()));
        books.lock().unwrap().begin("shop", "one");
        engine::listen(&home.join("docker.sock"), &books);
        let app = Arc::new(Mutex::new(App { ready: 200, broken: Vec::new(), asked: Vec::new() }));
        let address = Ipv4Addr::new(127, 0, 0, u8::try_from(number + 1).unwrap());
        let port = serve(address, self.port, &books, &app);
        self.port = port;
        self.hosts.push(Host { name: name.clone(), books, app });
        format!(
            "{name} ansible_connection=local ansible_host={address} app_port={port} instance_id={} ansible_become=true ansible_become_exe={shown}/sudo\n",
            instance(number)
        )
    }

    /// Every host has a second port, and new containers start beside old ones.
    pub(super) fn starts_first(&mut self) {
        for (place, host) in self.hosts.iter().enumerate() {
            let address = Ipv4Addr::new(127, 0, 0, u8::try_from(place + 2).unwrap());
            host.books.lock().unwrap().publish("shop", self.port);
            self.second = serve(address, self.second, &host.books, &host.app);
        }
        let balancer = format!("balancer: {{ kind: none, port: {}, second_port: {} }}", self.port, self.second);
        self.rewrite("balancer: { kind: none }", &format!("start: first\n    {balancer}"));
        self.rewrite("{{ app_port }}", "{{ rollout_port }}");
        self.rewrite("pull: never }", "pull: never, published_ports: [\"{{ rollout_port }}:80\"] }");
    }

    /// The same behind a balancer, with two servers for each host.
    pub(super) fn starts_first_behind_a_balancer(&mut self) -> Arc<Mutex<Front>> {
        self.starts_first();
        let front = Arc::new(Mutex::new(Front::default()));
        let servers = self.hosts.iter().flat_map(|host| {
            let second = format!("{}-b", host.name);
            [Server::new(host, host.name.clone(), Some(self.port)), Server::new(host, second, Some(self.second))]
        });
        front::serve(&self.path("admin.sock"), &front, servers.collect());
        let haproxy = format!(
            "{{ kind: haproxy, host: lb, backend: shop, socket: {}, second_server: \"{{{{ inventory_hostname }}}}-b\",",
            self.path("admin.sock").display()
        );
        self.rewrite("{ kind: none,", &haproxy);
        self.add_balancer_host();
        front
    }

    fn add_balancer_host(&self) {
        self.rewrite("hosts: all", "hosts: all:!lb");
        let inventory = fs::read_to_string(self.path("hosts")).unwrap() + "lb ansible_connection=local\n";
        fs::write(self.path("hosts"), inventory).unwrap();
    }

    /// The hosts behind a balancer, as the playbook says it from now on.
    pub(super) fn behind_a_balancer(&self) -> Arc<Mutex<Front>> {
        let front = Arc::new(Mutex::new(Front::default()));
        front::listen(&self.path("admin.sock"), &front, &self.hosts);
        let socket = self.path("admin.sock");
        let config = self.path("haproxy.cfg");
        self.rewrite(
            "{ kind: none }",
            &format!("{{ kind: haproxy, host: lb, backend: shop, socket: {}, config: {} }}", socket.display(), config.display()),
        );
        self.add_balancer_host();
        front
    }

    /// The hosts in a target group, each in its zone.
    pub(super) fn in_a_target_group(&self, zones: &[&str], group: &Value) -> Double {
        let id = |host: usize| instance(host + 1);
        let text = fs::read_to_string(self.path("hosts")).unwrap();
        let lines: Vec<String> = text.lines().zip(zones).map(|(line, zone)| format!("{line} zone={zone}\n")).collect();
        fs::write(self.path("hosts"), lines.concat()).unwrap();
        let mut whole = json!({
            "name": "shop", "port": self.port, "interval": 0.2, "timeout": 0.2, "rise": 2, "fall": 2,
            "attributes": { "deregistration_delay.timeout_seconds": "40" }, "registered": (0..self.hosts.len()).map(id).collect::<Vec<_>>(),
        });
        for (name, value) in group.as_object().unwrap() {
            match value.as_object() {
                Some(attributes) => attributes.iter().for_each(|(name, value)| whole["attributes"][name] = value.clone()),
                None => whole[name] = value.clone(),
            }
        }
        let instances: Vec<Value> = self.hosts.iter().zip(zones).enumerate().map(|(place, (host, zone))| {
            json!({ "id": id(place), "name": host.name, "address": format!("127.0.0.{}", place + 2), "zone": zone })
        }).collect();
        let double = Double::start(&json!({
            "listen": "127.0.0.1:0", "zones": ["eu-central-1a", "eu-central-1b"], "groups": [whole], "instances": instances, "plane": null,
        }));
        let group = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/0123456789abcdef";
        self.rewrite("{ kind: none", &format!("{{ kind: alb, target_group: '{group}', endpoint: '{}'", double.url));
        double
    }

    /// Kills the host's side; nothing there answers any more until it is `mended`.
    pub(super) fn kill(&self, host: usize) {
        let home = self.path(&self.hosts[host].name);
        fs::write(home.join("dead"), "").unwrap();
        self.hang_up(host);
    }

    /// Its line of the inventory leads to where nobody listens.
    pub(super) fn is_elsewhere(&self, host: usize) {
        let name = &self.hosts[host].name;
        let text = fs::read_to_string(self.path("hosts")).unwrap();
        let lead = |line: &str| match line.starts_with(name.as_str()) {
            true => line.replace("ansible_connection=local", "ansible_port=1"),
            false => line.to_owned(),
        };
        fs::write(self.path("hosts"), text.lines().map(lead).collect::<Vec<_>>().join("\n") + "\n").unwrap();
    }

    pub(super) fn mend(&self, host: usize) {
        fs::remove_file(self.path(&self.hosts[host].name).join("dead")).unwrap();
    }

    /// The connection breaks; the next one may come.
    pub(super) fn hang_up(&self, host: usize) {
        let pid = fs::read_to_string(self.path(&self.hosts[host].name).join("pid")).unwrap();
        let _ = Command::new("kill").args(["-9", pid.trim()]).status();
    }

    /// Another playbook than the usual one, changed in one place.
    pub(super) fn rewrite(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("site.yaml")).unwrap();
        assert!(text.contains(from), "the playbook has no {from}");
        fs::write(self.path("site.yaml"), text.replace(from, to)).unwrap();
    }

    fn command(&self, words: &[&str], more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roll"));
        command.args(words).args(["-i", "hosts"]).args(more).arg("site.yaml");
        command.current_dir(self.dir.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_ACCESS_KEY_ID", "AKIDOUBLE").env("AWS_SECRET_ACCESS_KEY", "not-a-secret");
        command.env("HOME", self.path("home")).env("USER", "ada").env("ROLL_REMOTE", env!("CARGO_BIN_EXE_roll-remote"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, words: &[&str], more: &[&str]) -> Ran {
        Ran::of(&self.command(words, more).output().unwrap(), self)
    }

    pub(super) fn begin(&self, words: &[&str], more: &[&str]) -> Child {
        self.command(words, more).spawn().unwrap()
    }

    pub(super) fn end(&self, child: Child) -> Ran {
        Ran::of(&child.wait_with_output().unwrap(), self)
    }

    /// What every host's engine has, in order.
    pub(super) fn containers(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.books.lock().unwrap().shown()).collect()
    }

    /// The release on every host, in order; `-` where none runs.
    pub(super) fn releases(&self) -> Vec<String> {
        let release = |host: &Host| host.books.lock().unwrap().running("shop").unwrap_or_else(|| "-".to_owned());
        self.hosts.iter().map(release).collect()
    }

    /// Waits for something to become true.
    pub(super) fn await_that(&self, what: &str, is_so: impl Fn(&Fleet) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < Duration::from_secs(30), "it never came to this: {what}; {:?}", self.containers());
            sleep(Duration::from_millis(20));
        }
    }
}

/// What AWS would call a host.
fn instance(number: usize) -> String {
    format!("i-{number:017x}")
}

/// What came of one call; directory, ports and times that differ each time are named.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) said: String,
    /// Where what was said to standard error begins.
    errors_from: usize,
}

impl Ran {
    fn of(output: &Output, fleet: &Fleet) -> Ran {
        let plain = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*fleet.dir.path().to_string_lossy(), "[DIR]");
        let out = plain(&output.stdout);
        Ran { code: output.status.code(), errors_from: out.len(), said: out + &plain(&output.stderr) }
    }

    /// The failures in full and the rollout's end, without what differs from run to run.
    pub(super) fn told(&self) -> String {
        let is_kept =
            |line: &&str| !line.starts_with("waiting: ") && !line.starts_with("rollout: [") && !line.starts_with("fatal: ");
        let (out, err) = self.said.split_at(self.errors_from);
        let recap = out.split_once("\nROLLOUT RECAP ").map(|(_, rest)| rest.split("\nPLAY RECAP").next().unwrap_or(rest));
        let recap = recap.map(|rest| rest.trim_start_matches('*').trim()).unwrap_or_default();
        let failures: Vec<&str> = err.lines().filter(is_kept).collect();
        let logs: Vec<&str> = out.lines().filter(|line| line.starts_with("    ")).collect();
        let mut text = format!("exit {}\n{}\n", self.code.unwrap_or(-1), failures.join("\n").trim_end());
        if !logs.is_empty() {
            text += &format!("last lines of the container:\n{}\n", logs.join("\n"));
        }
        redacted(&format!("{text}{recap}\n"))
    }

    /// All of it, without what differs from run to run.
    pub(super) fn shown(&self) -> String {
        redacted(&format!("exit {}\n{}", self.code.unwrap_or(-1), self.said))
    }

    pub(super) fn says(&self, part: &str) {
        assert!(self.said.contains(part), "does not say `{part}`:\n{}", self.said);
    }
}

/// Times, tries, ports and ids.
fn redacted(text: &str) -> String {
    let here = String::from_utf8_lossy(&Command::new("uname").arg("-n").output().unwrap().stdout).trim().to_owned();
    let rules = [
        (r"\b\d+(\.\d+)? s\b", "N s"),
        (r"\b\d+ days\b", "N days"),
        (r"\btry \d+", "try N"),
        (r"(127\.0\.0\.\d+):\d+", "$1:PORT"),
        (r"\b[0-9a-f]{64}\b", "ID"),
        (r"pid \d+", "pid N"),
    ];
    let named = text.replace(&format!(" on {here}"), " on HERE");
    rules.iter().fold(named, |text, (rule, word)| fancy_regex::Regex::new(rule).unwrap().replace_all(&text, *word).into_owned())
}

/// The app, as anybody may ask it: healthy while a release runs that is not broken.
fn serve(address: Ipv4Addr, port: u16, books: &Arc<Mutex<Books>>, app: &Arc<Mutex<App>>) -> u16 {
    let listener = TcpListener::bind((address, port)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (books, app) = (Arc::clone(books), Arc::clone(app));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 2048];
            let size = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..size]).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
            let release = books.lock().unwrap().listening("shop", port);
            let mut app = app.lock().unwrap();
            app.asked.push(path.clone());
            let (status, body) = match (path.as_str(), release) {
                ("/deploy/ready", _) if app.ready == 0 => continue,
                ("/deploy/ready", _) => (app.ready, "a migration runs".to_owned()),
                (_, Some(release)) if !app.broken.contains(&release.as_str()) => (200, release),
                (_, Some(_)) => (503, "no connection to the database".to_owned()),
                (_, None) => continue,
            };
            let _ =
                write!(stream, "HTTP/1.1 {status} Double\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        }
    });
    port
}
