//! The lock of an app, between real host programs that share a directory: who has it, who is told, and who is kept out.

use crate::remote::{Remote, text};
use roll::value::{Map, Value};
use roll::wire::{Lease, Reply, ToHost};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A host's directory for records.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn channel(&self) -> Remote {
        Remote::start_with(&[("ROLL_STATE_DIR", self.0.path().to_str().unwrap())])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("shop").join(name)
    }
}

fn lock_args(run: &str, more: &str) -> String {
    format!(r#"{{"app":"shop","run":"{run}","who":"ada","from":"laptop","step":"web2 Switching"{more}}}"#)
}

fn lock(remote: &mut Remote, run: &str, more: &str) -> Map {
    remote.ok("_app_lock", &lock_args(run, more))
}

fn is_held(answer: &Map) -> bool {
    answer["held"].as_bool().unwrap()
}

fn lease(answer: &Map) -> Lease {
    let generation = answer["generation"].as_int().unwrap();
    Lease { app: "shop".into(), generation, door: text(answer, "door").into() }
}

/// A task that changes something, as part of a rollout.
fn touch(remote: &mut Remote, path: &Path, lease: &Lease) -> Reply {
    let args = format!(r#"{{"path":"{}","state":"touch"}}"#, path.display());
    remote.send("file", &args, |request| request.lease = Some(lease.clone()));
    remote.reply().1
}

fn is_ok(reply: &Reply) -> bool {
    matches!(reply, Reply::Ok { .. })
}

fn flag(reply: &Reply, name: &str) -> bool {
    matches!(reply, Reply::Failed { values } if values.get(name).and_then(Value::as_bool) == Some(true))
}

/// How long until another channel gets the lock.
fn wait_for_lock(place: &Place) -> Duration {
    let mut other = place.channel();
    let start = Instant::now();
    while !is_held(&lock(&mut other, "r2", "")) {
        assert!(start.elapsed() < Duration::from_secs(10), "the lock sticks");
    }
    start.elapsed()
}

#[test]
fn one_has_the_lock_and_the_other_is_told_who_at_once() {
    let place = Place::new();
    let (mut one, mut two) = (place.channel(), place.channel());
    assert!(is_held(&lock(&mut one, "r1", "")));
    let start = Instant::now();
    let answer = lock(&mut two, "r2", "");
    assert!(!is_held(&answer) && start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let holder = answer["holder"].as_map().unwrap();
    let told = ["who", "from", "run", "step"].map(|key| text(holder, key));
    assert_eq!(told, ["ada", "laptop", "r1", "web2 Switching"]);
    assert!(holder["since"].to_float().unwrap() > 1.7e9);
    one.ok("_app_lock", &lock_args("r1", r#","held":false"#));
    assert!(is_held(&lock(&mut two, "r2", "")));
}

/// A rollout takes the lock first, and its number when it has all locks: it must see then what an earlier one has finished.
#[test]
fn taking_a_number_says_what_was_recorded_before() {
    let place = Place::new();
    let mut one = place.channel();
    lock(&mut one, "r1", r#","generation":1"#);
    one.ok("_app_record", r#"{"app":"shop","run":"r1","generation":1,"rollout":{"reached":"retired"}}"#);
    one.ok("_app_lock", &lock_args("r1", r#","held":false"#));
    let mut two = place.channel();
    lock(&mut two, "r2", "");
    let answer = lock(&mut two, "r2", r#","generation":2"#);
    let reached = answer["before"].get("rollout").and_then(|rollout| rollout.get("reached"));
    assert_eq!(reached.and_then(Value::as_str), Some("retired"), "{answer:?}");
}

#[test]
fn the_lock_is_free_within_a_second_of_the_channel_also_while_a_command_runs() {
    for runs in [None, Some("sleep 60"), Some("trap '' TERM HUP PIPE; while :; do sleep 1; done")] {
        let place = Place::new();
        let mut one = place.channel();
        let lease = lease(&lock(&mut one, "r1", r#","generation":1"#));
        if let Some(command) = runs {
            let args = format!(r#"{{"_raw_params":"{command}"}}"#);
            one.send("shell", &args, |request| request.lease = Some(lease));
            sleep(Duration::from_millis(200));
        }
        one.drop_line();
        let waited = wait_for_lock(&place);
        assert!(waited < Duration::from_secs(1), "{runs:?}: {waited:?}");
        one.wait();
    }
    let place = Place::new();
    let mut one = place.channel();
    lock(&mut one, "r1", "");
    one.kill();
    assert!(wait_for_lock(&place) < Duration::from_secs(1));
}

#[test]
fn what_an_older_rollout_asks_for_is_refused() {
    let place = Place::new();
    let made = place.0.path().join("made");
    let mut one = place.channel();
    let old = lease(&lock(&mut one, "r1", r#","generation":1"#));
    assert!(is_ok(&touch(&mut one, &made, &old)));
    one.ok("_app_lock", &lock_args("r1", r#","held":false"#));
    assert!(flag(&touch(&mut one, &made, &old), "unlocked"), "nobody else came, so it may be had again");
    let mut two = place.channel();
    let new = lease(&lock(&mut two, "r2", r#","generation":2"#));
    fs::remove_file(&made).unwrap();
    for channel in [&mut one, &mut place.channel(), &mut two] {
        assert!(flag(&touch(channel, &made, &old), "fenced"));
    }
    assert!(!made.exists());
    assert!(is_ok(&touch(&mut two, &made, &new)));
    drop(two);
    let refused = one.failed("_app_lock", &lock_args("r1", r#","generation":1"#));
    assert_eq!(refused["fenced"], Value::from(true), "{refused:?}");
    assert!(text(&refused, "msg").contains("2 is the newest"), "{refused:?}");
    let record = r#"{"app":"shop","run":"r1","generation":1,"phase":"Done"}"#;
    assert_eq!(one.failed("_app_record", record)["fenced"], Value::from(true));
}

#[test]
fn a_run_whose_connection_was_lost_takes_its_own_lock_up_again() {
    let place = Place::new();
    let mut one = place.channel();
    let lost = lease(&lock(&mut one, "r1", r#","generation":4"#));
    one.kill();
    let mut two = place.channel();
    let made = place.0.path().join("made");
    assert!(flag(&touch(&mut two, &made, &lost), "unlocked"));
    let found = lease(&lock(&mut two, "r1", r#","generation":4"#));
    assert!(is_ok(&touch(&mut two, &made, &found)));
    drop(two);
    let stranger = place.channel().failed("_app_lock", &lock_args("r9", r#","generation":4"#));
    assert_eq!(stranger["fenced"], Value::from(true), "a number is one run's only");
}

#[test]
fn a_control_side_that_is_silent_for_too_long_is_fenced_and_one_that_beats_is_not() {
    let place = Place::new();
    let mut one = place.channel();
    let lease = lease(&lock(&mut one, "r1", r#","generation":1,"silence":1"#));
    for _ in 0..6 {
        sleep(Duration::from_millis(300));
        one.say(&ToHost::Heartbeat);
    }
    assert!(is_held(&one.ok("_app_beat", r#"{"app":"shop","run":"r1","generation":1,"step":"web3 Draining"}"#)));
    let made = place.0.path().join("made");
    let args = format!(r#"{{"_raw_params":"sleep 20; touch {}"}}"#, made.display());
    one.send("shell", &args, |request| request.lease = Some(lease.clone()));
    let waited = one.wait();
    assert!((700..2500).contains(&waited.as_millis()), "{waited:?}");
    let mut two = place.channel();
    assert!(flag(&touch(&mut two, &made, &lease), "fenced"));
    assert_eq!(two.failed("_app_lock", &lock_args("r1", r#","generation":1"#))["fenced"], Value::from(true));
    let state = two.ok("_app_state", r#"{"app":"shop"}"#);
    assert_eq!((state["generation"].as_int(), state["is_locked"].as_bool()), (Some(2), Some(false)));
    assert_eq!(state["history"].as_list().unwrap()[0].get("event").unwrap(), &Value::from("fenced"));
    assert!(!made.exists());
    assert!(is_held(&lock(&mut two, "r2", r#","generation":3"#)));
}

#[test]
fn another_users_channel_asks_at_the_door_and_ends_with_the_lock() {
    let place = Place::new();
    let made = place.0.path().join("made");
    let (mut holder, mut guest) = (place.channel(), place.channel());
    let lease = lease(&lock(&mut holder, "r1", r#","generation":1"#));
    assert!(is_ok(&touch(&mut guest, &made, &lease)));
    guest.send("shell", r#"{"_raw_params":"sleep 60"}"#, |request| request.lease = Some(lease.clone()));
    sleep(Duration::from_millis(200));
    let start = Instant::now();
    holder.kill();
    assert!(flag(&guest.reply().1, "unlocked"), "the lock is gone, and the command did not fail by itself");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(flag(&touch(&mut guest, &made, &lease), "unlocked"));
    let stranger = Lease { door: "roll-nobody".into(), ..lease };
    assert!(flag(&touch(&mut guest, &made, &stranger), "unlocked"));
}

#[test]
fn the_record_is_the_owners_only_and_keeps_what_is_not_named() {
    let place = Place::new();
    let mut one = place.channel();
    lock(&mut one, "r1", r#","generation":7"#);
    let record = |fields: &str| format!(r#"{{"app":"shop","run":"r1","generation":7,{fields}}}"#);
    one.ok("_app_record", &record(r#""phase":"Switching","release":"7f3a","former":"6c21","event":"parked","note":{"id":"c1"}"#));
    one.ok("_app_record", &record(r#""phase":"Done","current":{"id":"c2"},"event":"switched""#));
    assert_eq!(one.ok("_app_record", &record(r#""phase":"Done""#))["changed"], Value::from(false));
    for (name, mode) in [("state.json", 0o600), ("history.jsonl", 0o600), ("lock", 0o600), (".", 0o700)] {
        assert_eq!(fs::metadata(place.file(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
    }
    let values = place.channel().ok("_app_state", r#"{"app":"shop"}"#);
    let state = values["state"].as_map().unwrap();
    assert_eq!([text(state, "phase"), text(state, "release"), text(state, "former")], ["Done", "7f3a", "6c21"]);
    assert_eq!(values["is_locked"], Value::from(true));
    assert_eq!(text(values["holder"].as_map().unwrap(), "who"), "ada");
    assert_eq!(values["history_broken"], Value::Null);
    let events: Vec<&str> =
        values["history"].as_list().unwrap().iter().map(|entry| text(entry.as_map().unwrap(), "event")).collect();
    assert_eq!(events, ["parked", "switched"]);
}

#[test]
fn a_state_that_cannot_be_read_says_what_to_do_and_the_number_is_not_lost() {
    let place = Place::new();
    let mut one = place.channel();
    lock(&mut one, "r1", r#","generation":7"#);
    one.ok("_app_record", r#"{"app":"shop","run":"r1","generation":7,"event":"switched"}"#);
    one.kill();
    fs::write(place.file("state.json"), "{\"generation\": 7, ").unwrap();
    let mut two = place.channel();
    let refused = two.failed("_app_lock", &lock_args("r2", ""));
    let path = place.file("state.json").display().to_string();
    assert!(text(&refused, "msg").contains(&path) && refused["corrupt"] == Value::from(true), "{refused:?}");
    let seen = two.ok("_app_state", r#"{"app":"shop"}"#);
    assert!(text(&seen, "broken").contains(&path) && seen["generation"] == Value::from(7));
    fs::rename(place.file("state.json"), place.file("state.json.broken")).unwrap();
    assert_eq!(lock(&mut two, "r2", "")["known"], Value::from(7));
}

#[test]
fn a_history_that_was_tampered_with_is_found() {
    let place = Place::new();
    let mut one = place.channel();
    lock(&mut one, "r1", r#","generation":1"#);
    for event in ["started", "switched", "done"] {
        one.ok("_app_record", &format!(r#"{{"app":"shop","run":"r1","generation":1,"event":"{event}"}}"#));
    }
    let path = place.file("history.jsonl");
    let written = fs::read_to_string(&path).unwrap();
    let mut broken = |text: String| {
        fs::write(&path, text).unwrap();
        one.ok("_app_state", r#"{"app":"shop"}"#)["history_broken"].get("line").and_then(Value::as_int)
    };
    assert_eq!(broken(written.clone()), None);
    assert_eq!(broken(written.replace("switched", "reverted")), Some(2));
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(broken(lines[..2].join("\n") + "\n"), Some(3));
    assert_eq!(broken(lines[1..].join("\n") + "\n"), Some(1));
}
