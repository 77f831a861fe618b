//! The real host program at the end of a real connection.

use super::bed::{Bed, Sshd};
use roll::connection::{Blobs, Body, ConnectError, Connections, Programs, Remote, Target};
use roll::modules::Set;
use roll::value::{Map, Value};
use roll::wire::{Reply, Request};
use sha2::{Digest as _, Sha256};
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// One body to send, one file to receive into.
struct Files {
    body: Vec<u8>,
    to: PathBuf,
}

impl Blobs for Files {
    fn open(&self, hash: &str) -> io::Result<Body> {
        assert_eq!(hash, hex(&self.body));
        Ok(Body { size: self.body.len() as u64, reader: Box::new(Cursor::new(self.body.clone())) })
    }

    fn keep(&self, _: &str, _: u64) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(std::fs::File::create(&self.to)?))
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn task(module: &str, args: &[(&str, &str)]) -> Request {
    let args = args.iter().map(|(key, value)| ((*key).into(), Value::from(*value))).collect();
    Request { module: module.into(), args, ..Request::default() }
}

fn ok(reply: Reply) -> Map {
    match reply {
        Reply::Ok { values } => values,
        other => panic!("{other:?}"),
    }
}

fn is_changed(values: &Map) -> bool {
    values.get("changed").and_then(Value::as_bool).unwrap()
}

fn connections(bed: &Bed) -> Connections {
    let mut settings = bed.settings();
    settings.programs = Some(Programs::of_file(Path::new(env!("CARGO_BIN_EXE_roll-remote"))));
    settings.heartbeat = Duration::from_millis(200);
    Connections::new(settings)
}

/// The same over SSH and on this machine.
async fn each(bed: &Bed, sshd: &Sshd) -> Vec<Remote> {
    let connections = connections(bed);
    let mut remotes = Vec::new();
    for target in [bed.target(sshd), Target::local("here")] {
        remotes.push(connections.host(&target, None, Set::Common).await.unwrap());
    }
    remotes
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_there_only_when_they_are_missing_and_come_back_whole() {
    let bed = Bed::new();
    let sshd = super::known(&bed);
    // More than one window of the connection.
    let body: Vec<u8> = (0..5_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (number, remote) in each(&bed, &sshd).await.into_iter().enumerate() {
        let dest = bed.path(&format!("copied{number}"));
        let dest = dest.to_str().unwrap();
        let mut files = Files { body: body.clone(), to: bed.path("fetched") };
        let copy = task("copy", &[("dest", dest), ("_blob", &hex(&body))]);
        assert!(is_changed(&ok(remote.run(copy.clone(), &files, |_| ()).await.unwrap())));
        assert!(std::fs::read(dest).unwrap() == body);
        ok(remote.run(task("_fetch", &[("src", dest)]), &files, |_| ()).await.unwrap());
        assert!(std::fs::read(&files.to).unwrap() == body);
        files.body.clear();
        assert!(!is_changed(&ok(remote.run(copy, &files, |_| ()).await.unwrap())), "the body was asked for again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rare_module_brings_a_program_of_its_own() {
    let bed = Bed::new();
    let sshd = super::known(&bed);
    let connections = connections(&bed);
    let files = Files { body: Vec::new(), to: bed.path("none") };
    for target in [bed.target(&sshd), Target::local("here")] {
        let common = connections.host(&target, None, Set::with("stat")).await.unwrap();
        let rare = connections.host(&target, None, Set::with("community.general.ufw")).await.unwrap();
        assert_ne!(common.host().pid, rare.host().pid);
        let known =
            rare.run(task("known_hosts", &[("name", "web"), ("path", "/nowhere"), ("state", "absent")]), &files, |_| ()).await;
        assert!(!is_changed(&ok(known.unwrap())));
        for (remote, module) in [(&common, "known_hosts"), (&rare, "stat")] {
            let reply = remote.run(task(module, &[]), &files, |_| ()).await.unwrap();
            let Reply::Failed { values } = reply else { panic!("{reply:?}") };
            let msg = values.get("msg").and_then(Value::as_str).unwrap();
            assert_eq!(msg, format!("the host program has no module `{module}`"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_tasks_sent_ahead_answer_in_order() {
    let bed = Bed::new();
    let sshd = super::known(&bed);
    let files = Files { body: Vec::new(), to: bed.path("none") };
    for remote in each(&bed, &sshd).await {
        let pending: Vec<_> =
            (0..30).map(|number| remote.post(task("command", &[("_raw_params", &format!("echo {number}"))])).unwrap()).collect();
        for (number, pending) in pending.into_iter().enumerate() {
            let values = ok(pending.answer(&files, |_| ()).await.unwrap());
            assert_eq!(values.get("stdout").and_then(Value::as_str), Some(number.to_string().as_str()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_host_program_is_a_lost_channel_and_the_next_wish_starts_another() {
    let bed = Bed::new();
    let sshd = super::known(&bed);
    let connections = connections(&bed);
    let files = Files { body: Vec::new(), to: bed.path("none") };
    for target in [bed.target(&sshd), Target::local("here")] {
        let remote = connections.host(&target, None, Set::Common).await.unwrap();
        let pending = remote.post(task("command", &[("_raw_params", "sleep 60")])).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(Command::new("kill").arg("-9").arg(remote.host().pid.to_string()).status().unwrap().success());
        let failure = pending.answer(&files, |_| ()).await.unwrap_err();
        let ConnectError::Lost { reason, .. } = failure else { panic!("{failure:?}") };
        assert!(reason.contains("killed by signal 9"), "{reason}");
        let again = connections.host(&target, None, Set::Common).await.unwrap();
        assert_ne!(again.host().pid, remote.host().pid);
        ok(again.run(task("ping", &[]), &files, |_| ()).await.unwrap());
    }
    assert_eq!(sshd.said().matches("Accepted publickey").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_the_host_program_and_what_it_runs() {
    let bed = Bed::new();
    let sshd = super::known(&bed);
    let connections = connections(&bed);
    let mut processes = Vec::new();
    for target in [bed.target(&sshd), Target::local("here")] {
        let remote = connections.host(&target, None, Set::Common).await.unwrap();
        processes.push(remote.host().pid);
        let file = bed.path("pid");
        let line = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 4321", file.display());
        drop(remote.post(task("shell", &[("_raw_params", &line)])).unwrap());
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        processes.push(std::fs::read_to_string(&file).unwrap().trim().parse().unwrap());
        std::fs::remove_file(&file).unwrap();
    }
    let start = Instant::now();
    connections.close().await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for _ in 0..100 {
        processes.retain(|process| is_running(*process));
        if processes.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("still running: {processes:?}");
}

fn is_running(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // One that nobody has collected yet is a zombie, not a program.
    !status.is_empty() && !status.contains(") Z ")
}
