//! The Docker modules and the parking of containers, by the host program against a real Docker engine: on a host of the lab, by a story
//! of `lab.rs`. Needs the engine's socket and busybox.

use roll::value::{Map, Value};
use roll::wire::{self, Frame, FromHost, Reply, Request, ToHost};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The host program, and what it makes on the engine under one prefix.
struct Host {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    dir: tempfile::TempDir,
    prefix: String,
    said: Vec<String>,
}

impl Host {
    fn start(name: &str) -> Host {
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_roll-remote")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let prefix = format!("roll-it-{name}-{}", std::process::id());
        let mut host = Host { child, input, output, dir: tempfile::tempdir().unwrap(), prefix, said: Vec::new() };
        assert!(matches!(host.hear(), FromHost::Hello { .. }));
        host
    }

    fn hear(&mut self) -> FromHost {
        match wire::read(&mut self.output).unwrap() {
            Some(Frame::Json(json)) => wire::decode(&json).unwrap(),
            other => panic!("a message, not {other:?}"),
        }
    }

    /// Runs a module; `NAME` in the arguments is this test's prefix, `DIR` its directory.
    fn run(&mut self, module: &str, args: &str) -> Result<Map, Map> {
        let args = args.replace("NAME", &self.prefix).replace("DIR", &self.dir.path().display().to_string());
        let args = Value::from_json(&args).unwrap().as_map().unwrap().clone();
        let request = Request { id: 1, module: module.into(), args, ..Request::default() };
        wire::write(self.input.as_mut().unwrap(), &ToHost::Run(request.into())).unwrap();
        loop {
            match self.hear() {
                FromHost::Done { reply: Reply::Ok { values }, .. } => return Ok(values),
                FromHost::Done { reply: Reply::Failed { values }, .. } => return Err(values),
                FromHost::Say { line, .. } => self.said.push(line),
                other => panic!("{other:?}"),
            }
        }
    }

    fn ok(&mut self, module: &str, args: &str) -> Map {
        self.run(module, args).unwrap_or_else(|values| panic!("{module} {args}: {}", Value::from(values).to_json()))
    }

    fn changes(&mut self, module: &str, args: &str) -> bool {
        self.ok(module, args).get("changed").and_then(Value::as_bool).unwrap()
    }

    /// An image of nothing but busybox, which serves one page.
    fn build(&mut self, release: &str) {
        let root = self.dir.path().join("root");
        for file in std::iter::once("/bin/busybox".to_owned()).chain(libraries("/bin/busybox")) {
            let to = root.join(file.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, to).expect("Debian's busybox");
        }
        // A layer of its own, or tests that build at the same time use each other's.
        let file = "FROM scratch\nLABEL of=NAME\nARG RELEASE\nCOPY root /\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\n\
            RUN mkdir /www && echo $RELEASE > /www/index.html\nCMD [\"/bin/httpd\", \"-f\", \"-p\", \"5000\", \"-h\", \"/www\"]\n";
        std::fs::write(self.dir.path().join("Dockerfile"), file.replace("NAME", &self.prefix)).unwrap();
        let task =
            r#"{"name":"NAME","tag":"@","source":"build","build":{"path":"DIR","args":{"RELEASE":"@"}}}"#.replace('@', release);
        assert!(self.changes("docker_image", &task));
        assert!(!self.changes("docker_image", &task));
        let again = task.replace(r#""source""#, r#""force_source":true,"source""#);
        assert!(!self.changes("docker_image", &again), "the same build is the same image");
    }
}

/// What a program needs beside itself; nothing where it is static.
fn libraries(program: &str) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(|word| word.trim_end_matches(':').to_owned()).collect()
}

impl Drop for Host {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
        let docker = |args: &[&str]| Command::new("docker").args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let parked = format!("{}.parked-7", self.prefix);
        let _ = docker(&["rm", "-f", "-v", &self.prefix, &parked]);
        let _ = docker(&["network", "rm", &self.prefix]);
        let _ = docker(&["rmi", "-f", &format!("{}:1", self.prefix), &format!("{}:2", self.prefix)]);
    }
}

fn text<'v>(values: &'v Map, path: &[&str]) -> &'v str {
    let (first, rest) = path.split_first().unwrap();
    let found = rest.iter().try_fold(values.get(*first).unwrap(), |value, key| value.get(key));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// A container with a wish of every kind.
const FULL: &str = r#"{"name":"NAME","image":"NAME:1","state":"healthy","env":{"A":"1"},"published_ports":["127.0.0.1::5000"],
        "volumes":["DIR:/data:ro","/anonymous"],"restart_policy":"on-failure","restart_retries":3,"labels":{"x":"y"},
        "networks":[{"name":"NAME","aliases":["app"]}],"user":"0","hostname":"h","memory":"64M","cpus":0.5,
        "capabilities":["net_admin"],"cap_drop":["MKNOD"],"init":true,"log_driver":"json-file","log_options":{"max-size":"1m","max-file":"3"},
        "healthcheck":{"test":["CMD","wget","-q","-O","-","http://127.0.0.1:5000/"],"interval":"1s","timeout":"2s","retries":2},
        "stop_timeout":1,"stop_signal":"SIGTERM","working_dir":"/www","tmpfs":["/run:size=1m"],"ulimits":["nofile:1024:2048"],
        "devices":["/dev/null:/dev/xnull"],"dns_servers":["127.0.0.1"],"etc_hosts":{"a":"1.2.3.4"},"read_only":true,
        "security_opts":["no-new-privileges"],"command":"httpd -f -p 5000 -h /www","shm_size":"32M","groups":["1"]}"#;

#[test]
#[ignore = "makes containers and images on the engine of whoever runs it; the lab has a story that runs these on one of its hosts"]
fn a_container_is_made_once_and_made_anew_only_where_something_differs() {
    let mut host = Host::start("container");
    host.build("1");
    host.build("2");
    assert!(host.changes("docker_network", r#"{"name":"NAME"}"#));
    assert!(!host.changes("docker_network", r#"{"name":"NAME"}"#));
    let made = host.ok("docker_container", FULL);
    assert_eq!(text(&made, &["container", "State", "Health", "Status"]), "healthy");
    assert!(!host.changes("docker_container", FULL));
    assert!(!host.changes("docker_container", &FULL.replace(r#""env""#, r#""comparisons":{"*":"strict"},"env""#)));
    let id = text(&made, &["container", "Id"]).to_owned();

    let live = FULL.replace("64M", "48M");
    let limited = host.ok("docker_container", &live);
    assert_eq!((limited.get("changed"), text(&limited, &["container", "Id"])), (Some(&Value::from(true)), id.as_str()));
    let newer = host.ok("docker_container", &live.replace("NAME:1", "NAME:2"));
    assert_ne!(text(&newer, &["container", "Id"]), id);

    for (task, changes) in [
        (r#"{"name":"NAME","state":"stopped"}"#, [true, false]),
        (r#"{"name":"NAME"}"#, [true, false]),
        (r#"{"name":"NAME","paused":true}"#, [true, false]),
        (r#"{"name":"NAME","paused":false}"#, [true, false]),
        (r#"{"name":"NAME","restart":true}"#, [true, true]),
        (r#"{"name":"NAME","state":"absent","keep_volumes":false}"#, [true, false]),
    ] {
        assert_eq!([host.changes("docker_container", task), host.changes("docker_container", task)], changes, "{task}");
    }
    assert!(host.changes("docker_network", r#"{"name":"NAME","state":"absent"}"#));
}

#[test]
#[ignore = "makes containers and images on the engine of whoever runs it; the lab has a story that runs these on one of its hosts"]
fn a_task_that_waits_for_its_container_has_its_output_and_status() {
    let mut host = Host::start("attached");
    host.build("1");
    let task = |script: &str| {
        format!(r#"{{"name":"NAME","image":"NAME:1","command":["sh","-c","{script}"],"detach":false,"cleanup":true}}"#)
    };
    let done = host.ok("docker_container", &task("echo out; echo err >&2"));
    assert_eq!(text(&done, &["container", "Output"]), "out\nerr\n");
    let failed = host.run("docker_container", &task("echo no such table; exit 7")).unwrap_err();
    assert_eq!((failed.get("status"), text(&failed, &["msg"])), (Some(&Value::from(7)), "no such table\n"));
    assert_eq!(host.ok("docker_container_info", r#"{"name":"NAME"}"#).get("exists"), Some(&Value::from(false)));
}

#[test]
#[ignore = "makes containers and images on the engine of whoever runs it; the lab has a story that runs these on one of its hosts"]
fn a_parked_container_comes_back_as_it_was() {
    let mut host = Host::start("parked");
    host.build("1");
    host.build("2");
    let run = |release: &str| {
        format!(r#"{{"name":"NAME","image":"NAME:{release}","restart_policy":"always","published_ports":["127.0.0.1::5000"]}}"#)
    };
    let old = host.ok("docker_container", &run("1"));
    let id = text(&old, &["container", "Id"]).to_owned();
    let parking = r#"{"container":"NAME","generation":7,"grace":1}"#;
    assert!(host.changes("_park", parking));
    assert!(!host.changes("_park", parking));
    // What the play's own tasks do: the old one is gone already, the new one is made.
    assert!(!host.changes("docker_container", r#"{"name":"NAME","state":"absent"}"#));
    assert!(host.changes("docker_container", &run("2")));
    assert!(!host.changes("_park", parking));
    host.ok("docker_prune", r#"{"containers":true,"containers_filters":{"label":"nobody-has-this"},"images":true,"images_filters":{"label":"nobody-has-this"}}"#);
    let seen = host.ok("_app_inspect", r#"{"container":"NAME"}"#);
    assert_eq!(
        (text(&seen, &["current", "release"]), seen.get("parked").and_then(Value::as_list).map(<[Value]>::len)),
        ("2", Some(1))
    );

    assert!(host.changes("_unpark", parking));
    assert!(!host.changes("_unpark", parking));
    let back = host.ok("docker_container_info", r#"{"name":"NAME"}"#);
    assert_eq!(text(&back, &["container", "Id"]), id);
    assert_eq!(text(&back, &["container", "HostConfig", "RestartPolicy", "Name"]), "always");

    assert!(host.changes("_park", parking));
    assert!(host.changes("docker_container", &run("2")));
    assert!(host.changes("_retire", parking));
    assert!(!host.changes("_retire", parking));
    assert_eq!(
        host.ok("docker_image_info", r#"{"name":["NAME:1"]}"#).get("images").and_then(Value::as_list).map(<[Value]>::len),
        Some(1)
    );
}

#[test]
#[ignore = "makes containers and images on the engine of whoever runs it; the lab has a story that runs these on one of its hosts"]
fn a_parked_container_that_was_pruned_comes_back_with_all_that_it_was_given() {
    let mut host = Host::start("pruned");
    host.build("1");
    host.build("2");
    host.changes("docker_network", r#"{"name":"NAME"}"#);
    let before = host.ok("docker_container", FULL);
    let volume = |values: &Map| {
        let mounts = values.get("container").unwrap().get("Mounts").and_then(Value::as_list).unwrap().to_vec();
        let anonymous =
            mounts.iter().find(|mount| mount.get("Destination").and_then(Value::as_str) == Some("/anonymous")).cloned();
        anonymous.and_then(|mount| mount.get("Name").cloned()).unwrap()
    };
    let parking = r#"{"container":"NAME","generation":7,"grace":1}"#;
    assert!(host.changes("_park", parking));
    let docker = |args: &[&str]| {
        let output = Command::new("docker").args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let held = format!("roll-parked/{}", host.prefix);
    let tags = |docker: &dyn Fn(&[&str]) -> String| docker(&["images", "--format", "{{.Tag}}", &held]);
    assert_eq!(tags(&docker).lines().collect::<std::collections::BTreeSet<_>>(), ["7.config", "7.on-failure.3"].into());
    // What `docker container prune` does to it; pruning itself would take what is not this test's.
    docker(&["rm", &format!("{}.parked-7", host.prefix)]);
    host.ok("docker_container", &FULL.replace("NAME:1", "NAME:2").replace("healthy", "started"));
    assert!(host.changes("_unpark", parking));
    assert!(!host.changes("_unpark", parking));
    let after = host.ok("docker_container", &FULL.replace("healthy", "started"));
    assert_eq!(after.get("changed"), Some(&Value::from(false)), "what came back is what was asked for");
    assert_eq!(text(&after, &["container", "Image"]), text(&before, &["container", "Image"]));
    assert_eq!(volume(&after), volume(&before), "the data of a volume without a name");
    assert_eq!(tags(&docker), "", "nothing is held any more");
}

#[test]
#[ignore = "makes containers and images on the engine of whoever runs it; the lab has a story that runs these on one of its hosts"]
fn a_host_sees_who_is_still_connected() {
    let mut host = Host::start("quiet");
    host.build("1");
    let made = host.ok("docker_container", r#"{"name":"NAME","image":"NAME:1","published_ports":["127.0.0.1::5000"]}"#);
    let port = made.get("container").and_then(|container| {
        container.get("NetworkSettings")?.get("Ports")?.get("5000/tcp")?.as_list()?.first()?.get("HostPort")?.to_int()
    });
    let port = u16::try_from(port.unwrap()).unwrap();
    // The engine takes connections before the application does.
    let page = format!(r#"{{"url":"http://127.0.0.1:{port}/"}}"#);
    let end = Instant::now() + Duration::from_secs(20);
    while host.ok("_probe", &page).get("ok") != Some(&Value::from(true)) {
        assert!(Instant::now() < end, "no page");
        std::thread::sleep(Duration::from_millis(100));
    }
    let task = format!(r#"{{"container":"NAME","port":{port},"quiet":1,"cap":CAP}}"#);
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let capped = host.ok("_quiet", &task.replace("CAP", "4"));
    assert_eq!((capped.get("quiet"), capped.get("open")), (Some(&Value::from(false)), Some(&Value::from(1))));
    assert!(host.said.iter().any(|line| line.starts_with("1 connection open")), "{:?}", host.said);
    let closing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        drop(client);
    });
    let start = Instant::now();
    assert_eq!(host.ok("_quiet", &task.replace("CAP", "20")).get("quiet"), Some(&Value::from(true)));
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    closing.join().unwrap();
    let page = host.ok("_probe", &page);
    assert_eq!((page.get("ok"), text(&page, &["body"])), (Some(&Value::from(true)), "1"));
}

/// Where nothing is said, what the engine made of it is as wanted.
#[test]
#[ignore = "makes containers and images on the engine of whoever runs it; the lab has a story that runs these on one of its hosts"]
fn a_container_of_defaults_is_converged() {
    let mut host = Host::start("defaults");
    host.build("1");
    let task = r#"{"name":"NAME","image":"NAME:1","env":{"A":"1"},"restart_policy":"always"}"#;
    assert!(host.changes("docker_container", task));
    assert!(!host.changes("docker_container", task));
}
