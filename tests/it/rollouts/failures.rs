//! What people are told when a rollout fails, to the letter: cause, evidence, what is true now, the next command. One file each in
//! `tests/cases/rollout/`; `ROLL_BLESS=1` writes them anew.

use super::fleet::{Fleet, Ran};
use serde_json::json;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

fn golden(name: &str, ran: &Ran) {
    let told = ran.told();
    written(name, &told, ran);
    // Whatever happens: what is true, and what to do.
    assert!(told.contains("next: ") || told.contains("help: "), "{told}");
}

/// All that a command shows, where that is not the end of a rollout.
fn shown(name: &str, ran: &Ran) {
    written(name, &ran.shown(), ran);
}

fn written(name: &str, told: &str, ran: &Ran) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/rollout").join(format!("{name}.txt"));
    if std::env::var_os("ROLL_BLESS").is_some() {
        std::fs::write(&path, told).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(told, expected, "{}:\n{}", path.display(), ran.said);
}

const TO_TWO: [&str; 2] = ["-e", "release=two"];

fn broken(fleet: &Fleet, host: usize) {
    fleet.hosts[host].app.lock().unwrap().broken.push("two");
    let books = &mut fleet.hosts[host].books.lock().unwrap();
    books.logs = (1..=60).map(|line| format!("line {line}\n")).collect::<String>() + "no connection to the database\n";
}

#[test]
fn the_release_never_becomes_healthy() {
    let fleet = Fleet::new(3);
    broken(&fleet, 1);
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.containers(), ["shop=one", "shop=one", "shop=one"], "{}", ran.said);
    golden("health-never-passes", &ran);
    assert!(!ran.said.contains("line 11\n") && ran.said.contains("line 12\n"), "the last fifty lines:\n{}", ran.said);
}

#[test]
fn the_new_container_cannot_start() {
    let fleet = Fleet::new(2);
    fleet.hosts[0].books.lock().unwrap().refuses = Some(|request| request.ends_with("/create?name=shop"));
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.containers(), ["shop=one", "shop=one"], "{}", ran.said);
    golden("start-fails", &ran);
}

#[test]
fn the_old_container_does_not_stop() {
    let fleet = Fleet::new(2);
    fleet.hosts[0].books.lock().unwrap().refuses = Some(|request| request.contains("/stop"));
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.releases(), ["one", "one"], "{}", ran.said);
    golden("stop-fails", &ran);
}

#[test]
fn what_is_built_on_every_host_fails_on_one() {
    let fleet = Fleet::new(2);
    fleet.rewrite(
        "  tasks:\n",
        "  pre_tasks:\n    - name: The image\n      command: sh -c 'echo no such base image >&2; exit 1'\n      when: inventory_hostname == 'web2'\n  tasks:\n",
    );
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.containers(), ["shop=one", "shop=one"]);
    assert!(fleet.hosts.iter().all(|host| host.books.lock().unwrap().acts.is_empty()), "nothing was asked of Docker");
    golden("build-fails", &ran);
}

#[test]
fn the_way_back_fails_too() {
    let fleet = Fleet::new(2);
    broken(&fleet, 0);
    // The old container is named back last.
    fleet.hosts[0].books.lock().unwrap().refuses = Some(|request| request.ends_with("/rename?name=shop"));
    let ran = fleet.run(&[], &TO_TWO);
    golden("revert-fails", &ran);
    fleet.hosts[0].books.lock().unwrap().refuses = None;
    let back = fleet.run(&["rollback"], &TO_TWO);
    assert_eq!((back.code, fleet.containers()), (Some(0), vec!["shop=one".to_owned(); 2]), "{}", back.said);
}

#[test]
fn a_host_says_no_before_its_turn() {
    let fleet = Fleet::new(3);
    fleet.hosts[2].app.lock().unwrap().ready = 403;
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.releases(), ["two", "two", "one"], "{}", ran.said);
    golden("not-ready", &ran);
    fleet.hosts[2].app.lock().unwrap().ready = 200;
    let resumed = fleet.run(&["resume"], &TO_TWO);
    assert_eq!((resumed.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 3]), "{}", resumed.said);
}

#[test]
fn a_host_that_is_dead_from_the_beginning() {
    let fleet = Fleet::new(2);
    fleet.is_elsewhere(1);
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.containers(), ["shop=one", "shop=one"]);
    golden("dead-from-the-beginning", &ran);
    let without = fleet.run(&[], &["-e", "release=two", "--skip-dead"]);
    assert_eq!((without.code, fleet.releases()), (Some(12), vec!["two".to_owned(), "one".to_owned()]), "{}", without.said);
    golden("dead-and-skipped", &without);
}

#[test]
fn a_host_that_dies_before_its_turn() {
    let fleet = Fleet::new(2);
    fleet.rewrite("  tasks:\n", "    bake: 2s\n  tasks:\n");
    let child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host runs it", |fleet| fleet.releases()[0] == "two");
    fleet.kill(1);
    let ran = fleet.end(child);
    assert_eq!(fleet.releases(), ["two", "one"], "{}", ran.said);
    golden("dead-before-its-turn", &ran);
    fleet.mend(1);
    let resumed = fleet.run(&["resume"], &TO_TWO);
    assert_eq!((resumed.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 2]), "{}", resumed.said);
}

#[test]
fn a_host_that_dies_in_the_middle_of_its_switch() {
    let fleet = Fleet::new(2);
    fleet.rewrite("  tasks:\n", "  tasks:\n    - name: The old one is gone\n      command: sleep 3\n");
    let child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host serves nothing", |fleet| fleet.releases()[0] == "-");
    // Until the play's own task is under way.
    sleep(Duration::from_secs(1));
    fleet.kill(0);
    let ran = fleet.end(child);
    assert_eq!(fleet.releases(), ["-", "one"], "{}", ran.said);
    golden("dead-in-the-middle", &ran);
    fleet.mend(0);
    let back = fleet.run(&["rollback"], &TO_TWO);
    assert_eq!((back.code, fleet.containers()), (Some(0), vec!["shop=one".to_owned(); 2]), "{}", back.said);
}

#[test]
fn the_controller_dies() {
    let fleet = Fleet::new(2);
    fleet.rewrite("  tasks:\n", "  tasks:\n    - name: The old one is gone\n      command: sleep 3\n");
    let mut child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host serves nothing", |fleet| fleet.releases()[0] == "-");
    // Until the play's own task is under way.
    sleep(Duration::from_secs(1));
    child.kill().unwrap();
    child.wait().unwrap();
    fleet.await_that("the lock is free", |fleet| !fleet.run(&["status"], &TO_TWO).said.contains("being rolled out by"));
    shown("controller-died", &fleet.run(&["status"], &TO_TWO));
    let resumed = fleet.run(&["resume"], &TO_TWO);
    assert_eq!((resumed.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 2]), "{}", resumed.said);
}

#[test]
fn of_two_operators_one_is_told_who_goes_first() {
    let fleet = Fleet::new(2);
    fleet.rewrite("  tasks:\n", "    bake: 3s\n  tasks:\n");
    let first = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host runs it", |fleet| fleet.releases()[0] == "two");
    let second = fleet.run(&[], &["-e", "release=three"]);
    assert_eq!(second.code, Some(11), "{}", second.said);
    golden("two-operators", &second);
    let first = fleet.end(first);
    assert_eq!((first.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 2]), "{}", first.said);
}

#[test]
fn a_balancer_that_throttles_everything_lets_nobody_leave() {
    let fleet = Fleet::new(3);
    let double = fleet.in_a_target_group(&ZONES, &json!({}));
    double.weather(&json!({ "throttle": 1.0 }));
    let ran = fleet.run(&[], &TO_TWO);
    assert!(fleet.hosts.iter().all(|host| host.books.lock().unwrap().acts.is_empty()), "{}", ran.said);
    golden("balancer-throttled", &ran);
}

#[test]
fn while_a_host_is_out_throttling_is_sat_out() {
    let fleet = Fleet::new(3);
    let double = fleet.in_a_target_group(&ZONES, &json!({}));
    fleet.rewrite("  tasks:\n", "  tasks:\n    - name: The old one is gone\n      command: sleep 2\n");
    let child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host serves nothing", |fleet| fleet.releases()[0] == "-");
    double.weather(&json!({ "throttle": 1.0 }));
    sleep(Duration::from_secs(12));
    assert_eq!(fleet.releases()[1..], ["one", "one"], "nobody else leaves while nothing is known");
    double.weather(&json!({ "throttle": 0.0 }));
    let ran = fleet.end(child);
    assert_eq!((ran.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 3]), "{}", ran.said);
    ran.says("AWS throttles ");
}

#[test]
fn requests_that_never_end_are_not_cut() {
    let fleet = Fleet::new(2);
    let front = fleet.behind_a_balancer();
    fleet.rewrite("deadline: 5s", "deadline: 1s");
    front.lock().unwrap().sessions.insert("web1".to_owned(), 3);
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.containers(), ["shop=one", "shop=one"], "{}", ran.said);
    assert_eq!(front.lock().unwrap().told.get("web1").map(String::as_str), Some("ready"));
    golden("drain-never-empties", &ran);
}

/// The balancer's API cannot tell, the host itself can.
#[test]
fn traffic_that_only_the_host_sees_is_not_cut() {
    let fleet = Fleet::new(3);
    let _double = fleet.in_a_target_group(&ZONES, &json!({}));
    fleet.rewrite("quiet: 50ms, deadline: 5s", "quiet: 2s, deadline: 4s");
    // Connecting sends nothing: it tells which address of this machine is not a loopback one.
    let chosen = UdpSocket::bind("0.0.0.0:0").unwrap();
    chosen.connect("192.0.2.1:9").unwrap();
    let address = chosen.local_addr().unwrap().ip();
    let listener = TcpListener::bind((address, fleet.port)).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    fleet.hosts[0].books.lock().unwrap().connected_as(std::process::id());
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!((ran.code, fleet.containers()), (Some(13), vec!["shop=one".to_owned(); 3]), "{}", ran.said);
    ran.says("`web1` failed while its requests were to end: `web1` is out of the balancer and was not quiet within ");
    ran.says(&format!("old, from {address}"));
}

#[test]
fn connections_that_cannot_be_told_from_others_are_refused_first() {
    let fleet = Fleet::new(3);
    let _double = fleet.in_a_target_group(&ZONES, &json!({}));
    fleet.hosts[2].books.lock().unwrap().on_host_network();
    golden("host-network-without-port", &fleet.run(&[], &TO_TWO));
    assert_eq!(fleet.containers(), ["shop=one"; 3]);
    fleet.rewrite("{ kind: alb,", &format!("{{ kind: alb, port: {},", fleet.port));
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!((ran.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 3]), "{}", ran.said);
}

#[test]
fn a_balancer_that_says_nothing_lets_nobody_leave() {
    let fleet = Fleet::new(2);
    let front = fleet.behind_a_balancer();
    front.lock().unwrap().is_frozen = true;
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(fleet.containers(), ["shop=one", "shop=one"], "{}", ran.said);
    assert!(front.lock().unwrap().orders.is_empty());
    golden("balancer-silent", &ran);
}

#[test]
fn below_the_floor_nobody_leaves() {
    let fleet = Fleet::new(3);
    let front = fleet.behind_a_balancer();
    fleet.rewrite("  tasks:\n", "    bake: 2s\n  tasks:\n");
    let child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host is in again", |_| front.lock().unwrap().orders.iter().any(|order| order == "web1 ready"));
    // Of three, two must serve while one is out.
    fleet.hosts[2].app.lock().unwrap().broken.push("one");
    let ran = fleet.end(child);
    assert!(!front.lock().unwrap().orders.iter().any(|order| order == "web2 drain"), "{}", ran.said);
    golden("below-the-floor", &ran);
}

/// Every host of the play, in one zone after the other.
const ZONES: [&str; 4] = ["eu-central-1a", "eu-central-1a", "eu-central-1b", "eu-central-1b"];

#[test]
fn a_target_group_that_nobody_uses_is_left_alone() {
    let fleet = Fleet::new(2);
    let _double = fleet.in_a_target_group(&ZONES, &json!({ "is_used": false }));
    let ran = fleet.run(&[], &TO_TWO);
    assert!(fleet.hosts.iter().all(|host| host.books.lock().unwrap().acts.is_empty()), "{}", ran.said);
    golden("balancer-unfit", &ran);
}

#[test]
fn a_zone_without_the_others_keeps_its_floor() {
    let off = || json!({ "attributes": { "load_balancing.cross_zone.enabled": "false", "stickiness.enabled": "true" } });
    let fleet = Fleet::new(3);
    let double = fleet.in_a_target_group(&ZONES, &off());
    let ran = fleet.run(&[], &TO_TWO);
    assert!(fleet.hosts.iter().all(|host| host.books.lock().unwrap().acts.is_empty()), "{}", ran.said);
    golden("zone-alone", &ran);
    drop(double);

    let fleet = Fleet::new(4);
    let _double = fleet.in_a_target_group(&ZONES, &off());
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!((ran.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 4]), "{}", ran.said);
    // What costs requests is said, and done all the same.
    ran.says("warning[sticky]: target group shop: sessions stick to a target");
}
