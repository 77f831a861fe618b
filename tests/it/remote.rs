//! The host program itself, spoken to over its standard input and output, on real files in a temporary directory.

use roll::value::{Map, Value};
use roll::wire::{self, Frame, FromHost, Reply, Request, ToHost};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// A running host program.
pub(crate) struct Remote {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// File bodies that are sent when asked for.
    bodies: Vec<Vec<u8>>,
    lines: Vec<String>,
    next: u64,
    dir: tempfile::TempDir,
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Remote {
    fn start() -> Remote {
        Remote::start_with(&[])
    }

    pub(crate) fn start_with(env: &[(&str, &str)]) -> Remote {
        Remote::start_as(&mut Command::new(env!("CARGO_BIN_EXE_roll-remote")), env)
    }

    fn start_as(command: &mut Command, env: &[(&str, &str)]) -> Remote {
        let dir = tempfile::tempdir().unwrap();
        let mut child = command
            .env("TMPDIR", dir.path())
            .env("PLANET", "Earth")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let mut remote = Remote { child, input, output, bodies: Vec::new(), lines: Vec::new(), next: 0, dir };
        let FromHost::Hello { uid, .. } = remote.hear() else { panic!("hello comes first") };
        assert_eq!(uid, fs::metadata(format!("/proc/{}", remote.child.id())).unwrap().uid());
        remote
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn say(&mut self, message: &ToHost) {
        wire::write(self.input.as_mut().unwrap(), message).unwrap();
    }

    fn hear(&mut self) -> FromHost {
        match wire::read(&mut self.output).unwrap() {
            Some(Frame::Json(json)) => wire::decode(&json).unwrap(),
            other => panic!("a message, not {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, module: &str, args: &str, change: impl FnOnce(&mut Request)) -> u64 {
        self.next += 1;
        let args = args.replace("DIR", &self.path(""));
        let args = Value::from_json(&args).unwrap().as_map().unwrap().clone();
        let mut request = Request { id: self.next, module: module.into(), args, ..Request::default() };
        change(&mut request);
        self.say(&ToHost::Run(request.into()));
        self.next
    }

    pub(crate) fn reply(&mut self) -> (u64, Reply) {
        loop {
            match self.hear() {
                FromHost::Done { id, reply } => return (id, reply),
                FromHost::Need { hashes, .. } => hashes.iter().for_each(|wanted| self.send_body(wanted)),
                FromHost::Say { line, .. } => self.lines.push(line),
                FromHost::Beat => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn send_body(&mut self, wanted: &str) {
        // A name that is no hash is the first one's.
        let is_wanted = |body: &&Vec<u8>| wanted.len() < 64 || hash(body) == wanted;
        let body = self.bodies.iter().find(is_wanted).expect("a body that is wanted").clone();
        self.say(&ToHost::Blob { hash: wanted.to_owned(), size: body.len() as u64 });
        for piece in body.chunks(wire::CHUNK) {
            self.input.as_mut().unwrap().write_all(&wire::encode_raw(piece).unwrap()).unwrap();
        }
    }

    pub(crate) fn ok_with(&mut self, module: &str, args: &str, change: impl FnOnce(&mut Request)) -> Map {
        let id = self.send(module, args, change);
        match self.reply() {
            (answered, Reply::Ok { values }) if answered == id => values,
            other => panic!("{module} {args}: {other:?}"),
        }
    }

    pub(crate) fn ok(&mut self, module: &str, args: &str) -> Map {
        self.ok_with(module, args, |_| {})
    }

    pub(crate) fn failed(&mut self, module: &str, args: &str) -> Map {
        self.send(module, args, |_| {});
        match self.reply() {
            (_, Reply::Failed { values }) => values,
            other => panic!("{module} {args}: {other:?}"),
        }
    }

    /// Kills the host program itself.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself, having answered nothing that was asked last.
    pub(crate) fn wait(mut self) -> Duration {
        let start = Instant::now();
        self.child.wait().unwrap();
        let waited = start.elapsed();
        while let Some(frame) = wire::read(&mut self.output).unwrap() {
            let Frame::Json(json) = frame else { panic!("{frame:?}") };
            let said: FromHost = wire::decode(&json).unwrap();
            assert!(matches!(said, FromHost::Beat), "{said:?}");
        }
        waited
    }

    /// Closes the connection without waiting.
    pub(crate) fn drop_line(&mut self) {
        drop(self.input.take());
    }

    /// Closes the connection and waits for the end.
    fn hang_up(mut self) -> Duration {
        let start = Instant::now();
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
        start.elapsed()
    }
}

pub(crate) fn text<'a>(values: &'a Map, key: &str) -> &'a str {
    values.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("text `{key}` in {values:?}"))
}

fn changed(values: &Map) -> bool {
    values["changed"].as_bool().unwrap()
}

#[test]
fn a_copied_file_has_its_contents_mode_and_no_leftovers_beside_it() {
    let mut remote = Remote::start();
    remote.bodies.push(b"hello\n".to_vec());
    let blob = hash(b"hello\n");
    let args = format!(r#"{{"_blob":"{blob}","dest":"DIR/greeting","mode":"0640"}}"#);
    let first = remote.ok("copy", &args);
    assert!(changed(&first));
    assert_eq!(text(&first, "checksum"), "f572d396fae9206628714fb2ce00f72e94f2258f");
    assert_eq!((text(&first, "mode"), text(&first, "state")), ("0640", "file"));
    let path = remote.path("greeting");
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello\n");
    assert!(!changed(&remote.ok("copy", &args)));
    assert_eq!(fs::read_dir(remote.dir.path()).unwrap().count(), 1, "a temporary file was left behind");

    // What is replaced keeps its mode, and a copy where one is wanted.
    fs::write(&path, "other").unwrap();
    let values = remote.ok("copy", &format!(r#"{{"_blob":"{blob}","dest":"DIR/greeting","backup":true}}"#));
    assert_eq!(fs::read_to_string(text(&values, "backup_file")).unwrap(), "other");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
}

/// The clock of a file system ticks every few milliseconds only, and a copy takes less.
#[test]
fn what_replaces_a_file_is_younger_than_it() {
    let mut remote = Remote::start();
    let path = remote.path("page");
    for at in 0..50 {
        let (old, new) = (format!("old {at}"), format!("new {at}"));
        fs::write(&path, old).unwrap();
        let before = fs::metadata(&path).unwrap();
        remote.bodies.push(new.clone().into_bytes());
        remote.ok("copy", &format!(r#"{{"_blob":"{}","dest":"DIR/page"}}"#, hash(new.as_bytes())));
        let after = fs::metadata(&path).unwrap();
        assert!(after.modified().unwrap() > before.modified().unwrap(), "modified");
        assert!(after.accessed().unwrap() > before.accessed().unwrap(), "accessed");
    }
}

#[test]
fn a_file_that_does_not_validate_is_never_put_in_place() {
    let mut remote = Remote::start();
    remote.bodies.push(b"broken".to_vec());
    let path = remote.path("sudoers");
    fs::write(&path, "good").unwrap();
    let args = format!(r#"{{"_blob":"{}","dest":"DIR/sudoers","validate":"grep -q good %s"}}"#, hash(b"broken"));
    assert!(text(&remote.failed("copy", &args), "msg").starts_with("failed to validate"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "good");
    assert_eq!(fs::read_dir(remote.dir.path()).unwrap().count(), 1);
}

/// What a program of the user's is given may hold a secret.
#[test]
fn nothing_is_left_of_a_program_that_cannot_run() {
    let mut remote = Remote::start();
    remote.bodies.push(b"x".to_vec());
    let args = format!(r#"{{"_blob":"{}","_name":"own","_interpreter":"/nowhere","_input":"secret"}}"#, hash(b"x"));
    let dir = remote.path("");
    remote.send("_own", &args, |request| request.environment.push(("TMPDIR".into(), dir)));
    let (_, Reply::Failed { values }) = remote.reply() else { panic!("it cannot run") };
    assert!(text(&values, "msg").contains("/nowhere"), "{values:?}");
    assert!(names(remote.dir.path()).is_empty(), "{:?}", names(remote.dir.path()));
}

#[test]
fn a_body_of_many_frames_arrives_whole() {
    let mut remote = Remote::start();
    let body: Vec<u8> = (0..6_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let blob = hash(&body);
    remote.bodies.push(body.clone());
    remote.ok("copy", &format!(r#"{{"_blob":"{blob}","dest":"DIR/big"}}"#));
    assert!(fs::read(remote.path("big")).unwrap() == body);
}

/// Bytes that differ from place to place and from seed to seed.
fn noise(size: u32, seed: u32) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_big_body_that_nobody_read_before_is_told_with_its_sums() {
    let mut remote = Remote::start();
    let body: Vec<u8> = (0..33 << 20).map(|at: u32| (at / 7 % 251) as u8).collect();
    remote.bodies.push(body.clone());
    let name = "0123456789abcdef0123456789abcdef";
    fs::write(remote.path("big"), "something small").unwrap();
    let args = format!(r#"{{"_blob":"{name}","_size":{},"dest":"DIR/big"}}"#, body.len());
    let values = remote.ok_with("copy", &args, |request| request.diff = true);
    let path = remote.path("big");
    let sum = |tool: &str| {
        let output = Command::new(tool).arg(&path).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    for (value, tool) in [("checksum", "sha1sum"), ("md5sum", "md5sum")] {
        assert_eq!(values.get(value).and_then(Value::as_str), Some(sum(tool).as_str()), "{value}");
    }
    assert_eq!(fs::read(remote.path("big")).unwrap(), body);
    // The sums of what was there a moment ago are not those of what is there now.
    remote.bodies.clear();
    remote.bodies.push(vec![7; 33 << 20]);
    let values = remote.ok("copy", &args.replace("0123", "4567"));
    assert_eq!(values.get("md5sum").and_then(Value::as_str), Some(sum("md5sum").as_str()));
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_body_leaves_the_old_file() {
    for size in [3 << 20, 6 << 20] {
        let mut remote = Remote::start();
        fs::write(remote.path("big"), "old").unwrap();
        let body = noise(size, 1);
        let blob = hash(&body);
        remote.send("copy", &format!(r#"{{"_blob":"{blob}","dest":"DIR/big"}}"#), |_| {});
        let FromHost::Need { .. } = remote.hear() else { panic!("it asks for the body") };
        remote.say(&ToHost::Blob { hash: blob, size: body.len() as u64 });
        for piece in body[..body.len() / 2].chunks(wire::CHUNK) {
            remote.input.as_mut().unwrap().write_all(&wire::encode_raw(piece).unwrap()).unwrap();
        }
        drop(remote.input.take());
        assert!(remote.child.wait().unwrap().success());
        assert_eq!(fs::read_to_string(remote.path("big")).unwrap(), "old");
        assert_eq!(names(remote.dir.path()), ["big"], "{size} bytes");
    }
}

#[test]
fn many_files_come_into_their_places_together() {
    let mut remote = Remote::start();
    let mut entries = vec![r#"{"path":"","kind":"directory","mode":"0755"}"#.to_owned()];
    for at in 0..40 {
        let body = noise(1000, at);
        entries.push(format!(r#"{{"path":"f{at}","kind":"file","mode":"0600","blob":"{}"}}"#, hash(&body)));
        remote.bodies.push(body);
    }
    let args = format!(r#"{{"_files":[{}],"dest":"DIR/tree","mode":"0640"}}"#, entries.join(","));
    assert!(changed(&remote.ok("copy", &args)));
    let dir = remote.dir.path().join("tree");
    assert_eq!(names(&dir).len(), 40);
    for at in 0..40 {
        let path = dir.join(format!("f{at}"));
        assert!(fs::read(&path).unwrap() == noise(1000, at));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    }
    assert!(!changed(&remote.ok("copy", &args)));
}

#[test]
fn whoever_may_not_is_told_what_would_help_and_root_is_not() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("roll-remote");
    fs::copy(env!("CARGO_BIN_EXE_roll-remote"), &program).unwrap();
    let mut command = Command::new(&program);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let mut remote = Remote::start_as(&mut command, &[]);
    let msg = text(&remote.failed("file", r#"{"path":"/etc/new","state":"touch"}"#), "msg").to_owned();
    assert!(msg.contains("Permission denied") && msg.ends_with("`become: true` makes it root"), "{msg}");
    let msg = text(&remote.failed("command", r#"{"_raw_params":"cat /etc/shadow"}"#), "msg").to_owned();
    assert_eq!(msg, "non-zero return code", "what a command of the playbook says is its own");
    let msg = text(&remote.failed("file", r#"{"path":"/etc/none/new","state":"touch"}"#), "msg").to_owned();
    assert!(!msg.contains("become"), "{msg}");
}

/// Only whoever may mount a file system of a few megabytes can fill one.
fn may_mount() -> bool {
    rustix::process::geteuid().is_root()
        && Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_leaves_the_old_files_and_the_connection() {
    if !may_mount() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let small = place.path().to_str().unwrap();
    let script = format!("mount -t tmpfs -o size=4m tmpfs {small} && exec {}", env!("CARGO_BIN_EXE_roll-remote"));
    let mut remote = Remote::start_as(Command::new("unshare").args(["-m", "sh", "-c", &script]), &[]);
    let inside = std::path::PathBuf::from(format!("/proc/{}/root{small}", remote.child.id()));
    fs::write(inside.join("big"), "old").unwrap();
    // One that goes straight to its place, and one that is held in memory first.
    for size in [6 << 20, 4_194_000] {
        let body = noise(size, 2);
        let args = format!(r#"{{"_blob":"{}","dest":"{small}/big"}}"#, hash(&body));
        remote.bodies.push(body);
        let msg = text(&remote.failed("copy", &args), "msg").to_owned();
        assert!(msg.contains("No space left on device"), "{msg}");
        assert_eq!(fs::read_to_string(inside.join("big")).unwrap(), "old");
        assert_eq!(names(&inside), ["big"]);
    }
    let mut entries = Vec::new();
    for at in 0..10 {
        let body = noise(500_000, at);
        entries.push(format!(r#"{{"path":"f{at}","kind":"file","mode":"0600","blob":"{}"}}"#, hash(&body)));
        remote.bodies.push(body);
    }
    let msg =
        text(&remote.failed("copy", &format!(r#"{{"_files":[{}],"dest":"{small}"}}"#, entries.join(","))), "msg").to_owned();
    assert!(msg.contains("No space left on device"), "{msg}");
    assert_eq!(names(&inside), ["big"], "nothing of what did not come about as a whole");
    remote.ok("ping", "{}");
}

#[test]
fn check_mode_touches_nothing_and_shows_what_it_would_do() {
    let mut remote = Remote::start();
    remote.bodies.push(b"new\n".to_vec());
    let path = remote.path("f");
    fs::write(&path, "old\n").unwrap();
    let args = format!(r#"{{"_blob":"{}","dest":"DIR/f"}}"#, hash(b"new\n"));
    let values = remote.ok_with("copy", &args, |request| (request.check, request.diff) = (true, true));
    assert!(changed(&values));
    let diff = &values["diff"].as_list().unwrap()[0];
    assert_eq!((diff.get("before").unwrap().as_str(), diff.get("after").unwrap().as_str()), (Some("old\n"), Some("new\n")));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
}

#[test]
fn commands_answer_as_ansible_users_expect() {
    let mut remote = Remote::start();
    let values = remote.ok("command", r#"{"_raw_params":"echo $PLANET '$PLANET' \"a b\" $NOBODY_SET_THIS"}"#);
    // Words are expanded after they were split, so quotes protect nothing: Ansible does the same.
    assert_eq!(text(&values, "stdout"), "Earth Earth a b $NOBODY_SET_THIS");
    assert_eq!(values["cmd"].as_list().unwrap().len(), 5);
    assert!(text(&values, "delta").starts_with("0:00:00.") && changed(&values));
    let values = remote.ok("shell", r#"{"_raw_params":"cat; echo err >&2; pwd","stdin":"in","chdir":"DIR"}"#);
    assert_eq!(text(&values, "stderr"), "err");
    assert!(text(&values, "stdout").starts_with("in\n/"));
    let values = remote.failed("shell", r#"{"_raw_params":"echo out; exit 3"}"#);
    assert_eq!((text(&values, "msg"), text(&values, "stdout"), &values["rc"]), ("non-zero return code", "out", &Value::from(3)));
    assert_eq!(values["changed"], Value::Bool(true));
    let values = remote.failed("command", r#"{"_raw_params":"no-such-program-here x"}"#);
    assert_eq!(values["rc"], Value::from(2));
    let values = remote.ok_with("command", r#"{"argv":["sh","-c","echo $PLANET"]}"#, |request| {
        request.environment = vec![("PLANET".into(), "Mars".into())];
    });
    assert_eq!(text(&values, "stdout"), "Mars");
}

#[test]
fn a_command_that_leaves_a_daemon_behind_does_not_hang() {
    let mut remote = Remote::start();
    let start = Instant::now();
    let values = remote.ok("shell", r#"{"_raw_params":"sleep 30 & echo started"}"#);
    assert_eq!(text(&values, "stdout"), "started");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_command_over_its_time_is_killed_with_all_its_children() {
    let mut remote = Remote::start();
    let pid_file = remote.path("pid");
    let args = r#"{"_raw_params":"sleep 60 & echo $! > DIR/pid; wait"}"#;
    remote.send("shell", args, |request| request.timeout = Some(1));
    let (_, Reply::Failed { values }) = remote.reply() else { panic!("a failure") };
    assert!(text(&values, "msg").contains("killed"), "{values:?}");
    assert_dies(&fs::read_to_string(pid_file).unwrap());
}

fn assert_dies(pid: &str) {
    let status = format!("/proc/{}/stat", pid.trim());
    let is_dead = || fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z "));
    let end = Instant::now() + Duration::from_secs(10);
    while !is_dead() {
        assert!(Instant::now() < end, "process {pid} still runs");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn when_the_connection_ends_the_running_command_ends_too() {
    let mut remote = Remote::start();
    let pid_file = remote.path("pid");
    let later = remote.path("later");
    remote.send("shell", r#"{"_raw_params":"sleep 60 & echo $! > DIR/pid.tmp; mv DIR/pid.tmp DIR/pid; wait"}"#, |_| {});
    remote.send("shell", r#"{"_raw_params":"touch DIR/later"}"#, |_| {});
    let end = Instant::now() + Duration::from_secs(20);
    while !fs::exists(&pid_file).unwrap() {
        assert!(Instant::now() < end, "the command never began");
        thread::sleep(Duration::from_millis(20));
    }
    let pid = fs::read_to_string(pid_file).unwrap();
    assert!(remote.hang_up() < Duration::from_secs(10));
    assert_dies(&pid);
    assert!(!fs::exists(later).unwrap(), "the next request was begun although nobody was there");
}

#[test]
fn a_peer_that_talks_nonsense_ends_the_program() {
    let mut remote = Remote::start();
    remote.input.as_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(remote.child.wait().unwrap().success());
}

#[test]
fn bytes_that_are_no_text_survive_an_edit() {
    let mut remote = Remote::start();
    let file = remote.path("latin");
    for (module, args) in [
        ("lineinfile", r#"{"path":"DIR/latin","line":"port = 80"}"#),
        ("blockinfile", r#"{"path":"DIR/latin","block":"host = a"}"#),
        ("replace", r#"{"path":"DIR/latin","regexp":"name","replace":"title"}"#),
    ] {
        fs::write(&file, b"# caf\xe9 \xff\nname = \xe9t\xe9\n").unwrap();
        assert!(changed(&remote.ok(module, args)), "{module}");
        let after = fs::read(&file).unwrap();
        assert!(after.starts_with(b"# caf\xe9 \xff\n"), "{module}: {after:?}");
        assert!(after.windows(7).any(|part| part == b" = \xe9t\xe9\n"), "{module}: {after:?}");
        assert!(!changed(&remote.ok(module, args)), "{module} again");
    }
}

#[test]
fn wrong_arguments_are_all_named() {
    let mut remote = Remote::start();
    let msg = remote.failed("file", r#"{"state":"gone","colour":"red"}"#);
    let msg = text(&msg, "msg");
    for part in ["path", "state", "colour"] {
        assert!(msg.contains(part), "{msg}");
    }
    assert!(text(&remote.failed("no_such_module", "{}"), "msg").contains("no_such_module"));
}

#[test]
fn directories_links_and_times_are_as_asked_for() {
    let mut remote = Remote::start();
    assert!(changed(&remote.ok("file", r#"{"path":"DIR/a/b/c","state":"directory","mode":"0750"}"#)));
    assert!(!changed(&remote.ok("file", r#"{"path":"DIR/a/b/c","state":"directory","mode":"u=rwx,g=rx,o="}"#)));
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&remote.path("a")), mode(&remote.path("a/b/c"))), (0o750, 0o750));
    let touch = r#"{"path":"DIR/a/f","state":"touch","modification_time":"200001020304.05","access_time":"preserve"}"#;
    assert!(changed(&remote.ok("file", touch)));
    assert!(!changed(&remote.ok("file", touch)));
    assert!(changed(&remote.ok("file", r#"{"path":"DIR/l","src":"a/f","state":"link"}"#)));
    assert!(!changed(&remote.ok("file", r#"{"path":"DIR/l","src":"a/f","state":"link"}"#)));
    assert!(changed(&remote.ok("file", r#"{"path":"DIR/l","src":"a","state":"link"}"#)));
    assert_eq!(fs::read_link(remote.path("l")).unwrap().to_str(), Some("a"));
    assert!(changed(&remote.ok("file", r#"{"path":"DIR/h","src":"DIR/a/f","state":"hard"}"#)));
    assert!(!changed(&remote.ok("file", r#"{"path":"DIR/h","src":"DIR/a/f","state":"hard"}"#)));
    assert!(changed(&remote.ok("file", r#"{"path":"DIR/a","state":"directory","recurse":true,"mode":"o+rX"}"#)));
    assert_eq!((mode(&remote.path("a/b")), mode(&remote.path("a/f"))), (0o755, 0o644));
    assert!(changed(&remote.ok("file", r#"{"path":"DIR/a","state":"absent"}"#)));
    assert!(!changed(&remote.ok("file", r#"{"path":"DIR/a","state":"absent"}"#)));
}

#[test]
fn removing_a_directory_spares_what_its_links_point_to() {
    let mut remote = Remote::start();
    fs::create_dir_all(remote.path("keep/me")).unwrap();
    fs::create_dir(remote.path("gone")).unwrap();
    symlink(remote.path("keep"), remote.path("gone/link")).unwrap();
    remote.ok("file", r#"{"path":"DIR/gone","state":"absent"}"#);
    assert!(fs::exists(remote.path("keep/me")).unwrap() && !fs::exists(remote.path("gone")).unwrap());
}

#[test]
fn a_tree_is_copied_on_the_host_and_then_is_as_wanted() {
    let mut remote = Remote::start();
    fs::create_dir_all(remote.path("src/sub")).unwrap();
    fs::write(remote.path("src/sub/f"), "x").unwrap();
    fs::write(remote.path("src/run"), "y").unwrap();
    fs::set_permissions(remote.path("src/run"), fs::Permissions::from_mode(0o755)).unwrap();
    let args = r#"{"src":"DIR/src","dest":"DIR/to","remote_src":true,"mode":"preserve"}"#;
    assert!(changed(&remote.ok("copy", args)));
    assert_eq!(fs::read_to_string(remote.path("to/src/sub/f")).unwrap(), "x");
    assert_eq!(fs::metadata(remote.path("to/src/run")).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(!changed(&remote.ok("copy", args)));
}

#[test]
fn a_file_is_fetched_only_where_its_contents_are_not_known() {
    let mut remote = Remote::start();
    fs::write(remote.path("log"), "line\n".repeat(20_000)).unwrap();
    let wanted = fs::read(remote.path("log")).unwrap();
    remote.send("_fetch", r#"{"src":"DIR/log"}"#, |_| {});
    let FromHost::Blob { hash: sent, size, .. } = remote.hear() else { panic!("a body") };
    let mut body = Vec::new();
    while (body.len() as u64) < size {
        let Some(Frame::Raw(piece)) = wire::read(&mut remote.output).unwrap() else { panic!("bytes") };
        body.extend(piece);
    }
    let (_, Reply::Ok { values }) = remote.reply() else { panic!("an answer") };
    assert!(body == wanted && sent == text(&values, "checksum"));
    assert!(!changed(&values));
    remote.ok("_fetch", &format!(r#"{{"src":"DIR/log","_have":"{sent}"}}"#));
    let values = remote.ok("_fetch", r#"{"src":"DIR/none"}"#);
    assert_eq!(text(&values, "missing"), "the remote file does not exist");
}

/// Answers each connection with one of these texts and gives back what was asked.
fn serve(answers: Vec<String>) -> (u16, thread::JoinHandle<Vec<String>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked =
        thread::spawn(move || answers.into_iter().map(|answer| one_exchange(listener.accept().unwrap().0, &answer)).collect());
    (port, asked)
}

fn one_exchange(mut stream: impl std::io::Read + Write, answer: &str) -> String {
    let mut asked = Vec::new();
    let mut piece = [0; 4096];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            size => asked.extend(&piece[..size]),
        }
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(asked).unwrap()
}

#[test]
fn redirects_are_followed_and_chunks_put_together() {
    let (port, asked) = serve(vec![
        "HTTP/1.1 302 Found\r\nLocation: /there?x=1\r\nContent-Length: 0\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Kind: test\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n".into(),
    ]);
    let mut remote = Remote::start();
    let values = remote.ok("uri", &format!(r#"{{"url":"http://127.0.0.1:{port}/here","return_content":true}}"#));
    assert_eq!((text(&values, "content"), &values["status"]), ("abcdef", &Value::from(200)));
    let asked = asked.join().unwrap();
    assert!(asked[0].starts_with("GET /here HTTP/1.1\r\n") && asked[1].starts_with("GET /there?x=1 HTTP/1.1\r\n"), "{asked:?}");
}

#[test]
fn a_redirect_does_not_get_what_is_not_meant_for_it() {
    let (port, asked) = serve(vec![
        "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n".into(),
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".into(),
    ]);
    let mut remote = Remote::start();
    let args = r#""headers":{"X-Token":"t","X-Other":"o"},"unredirected_headers":["x-token"]"#;
    remote.ok("uri", &format!(r#"{{"url":"http://127.0.0.1:{port}/here",{args}}}"#));
    let asked = asked.join().unwrap();
    assert!(asked[0].contains("X-Token: t\r\n") && asked[0].contains("X-Other: o\r\n"), "{asked:?}");
    assert!(!asked[1].contains("X-Token") && asked[1].contains("X-Other: o\r\n"), "{asked:?}");
}

#[test]
fn name_and_password_of_a_netrc_are_used_where_none_are_given() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (port, asked) = serve(vec![answer.into(), answer.into(), answer.into()]);
    let mut remote = Remote::start();
    let path = remote.path("netrc");
    fs::write(&path, "machine 127.0.0.1 login ada password secret\n").unwrap();
    for more in ["", r#","url_username":"bob","url_password":"x""#, r#","use_netrc":false"#] {
        let args = format!(r#"{{"url":"http://127.0.0.1:{port}/"{more}}}"#);
        remote.ok_with("uri", &args, |request| request.environment.push(("NETRC".into(), path.clone())));
    }
    let asked = asked.join().unwrap();
    assert!(asked[0].contains("Authorization: Basic YWRhOnNlY3JldA==\r\n"), "{asked:?}");
    assert!(asked[1].contains("Authorization: Basic Ym9iOng=\r\n"), "{asked:?}");
    assert!(!asked[2].contains("Authorization"), "{asked:?}");
}

#[test]
fn a_download_that_breaks_off_leaves_the_old_file() {
    let (port, _) = serve(vec!["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".into()]);
    let mut remote = Remote::start();
    fs::write(remote.path("f"), "old").unwrap();
    let values = remote.failed("get_url", &format!(r#"{{"url":"http://127.0.0.1:{port}/f","dest":"DIR/f","force":true}}"#));
    assert!(text(&values, "msg").contains("broke off after 4 of 100 bytes"), "{values:?}");
    assert_eq!(fs::read_to_string(remote.path("f")).unwrap(), "old");
    assert_eq!(fs::read_dir(remote.dir.path()).unwrap().count(), 1, "half a file was left behind");
}

#[test]
fn a_download_is_checked_before_it_is_put_in_place() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew";
    let (port, _) = serve(vec![answer.into(), answer.into()]);
    let mut remote = Remote::start();
    let args = |sum: &str| format!(r#"{{"url":"http://127.0.0.1:{port}/f","dest":"DIR/f","checksum":"sha256:{sum}"}}"#);
    assert!(text(&remote.failed("get_url", &args(&"0".repeat(64))), "msg").contains("checksum"));
    assert!(!fs::exists(remote.path("f")).unwrap());
    assert!(changed(&remote.ok("get_url", &args(&hash(b"new")))));
    assert_eq!(fs::read_to_string(remote.path("f")).unwrap(), "new");
}

#[test]
fn a_unix_socket_is_asked_like_any_server() {
    let mut remote = Remote::start();
    let socket = remote.path("s.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server =
        thread::spawn(move || one_exchange(listener.accept().unwrap().0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let values = remote.ok("uri", r#"{"url":"http://localhost/v1/x","unix_socket":"DIR/s.sock","return_content":true}"#);
    assert_eq!(text(&values, "content"), "ok");
    assert!(server.join().unwrap().starts_with("GET /v1/x HTTP/1.1\r\n"));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut remote = Remote::start();
    let start = Instant::now();
    let values = remote.failed("uri", &format!(r#"{{"url":"http://127.0.0.1:{port}/","timeout":1}}"#));
    assert!(text(&values, "msg").contains("timed out"), "{values:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
}
