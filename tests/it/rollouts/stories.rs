//! Whole rollouts on several hosts: pauses, crashes and the ways back, over local connections.

use super::fleet::Fleet;
use std::thread::sleep;
use std::time::Duration;

const TO_TWO: [&str; 2] = ["-e", "release=two"];

#[test]
fn each_host_is_asked_with_its_own_variables() {
    let fleet = Fleet::new(2);
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!(fleet.containers(), ["shop=two", "shop=two"]);
    for host in &fleet.hosts {
        let asked = host.app.lock().unwrap().asked.clone();
        assert_eq!(asked.iter().filter(|path| *path == "/deploy/ready").count(), 1, "{}: {asked:?}", host.name);
        assert!(asked.iter().filter(|path| *path == "/healthz").count() >= 2, "{}: {asked:?}", host.name);
    }
}

#[test]
fn hosts_must_agree_on_what_counts_for_all() {
    let fleet = Fleet::new(2);
    fleet.rewrite("release: \"{{ release }}\"", "release: \"{{ inventory_hostname }}\"");
    let ran = fleet.run(&[], &TO_TWO);
    assert_eq!(ran.code, Some(10), "{}", ran.said);
    ran.says("`release` counts for the whole rollout, but `web1` says `web1` and `web2` says `web2`");
    assert_eq!(fleet.containers(), ["shop=one", "shop=one"]);
}

#[test]
fn what_is_asked_again_and_again_is_said_once() {
    let fleet = Fleet::new(1);
    let app = fleet.hosts[0].app.clone();
    app.lock().unwrap().ready = 503;
    let child = fleet.begin(&[], &["-e", "release=two", "--accept-downtime"]);
    let asked = || app.lock().unwrap().asked.iter().filter(|path| *path == "/deploy/ready").count();
    fleet.await_that("it was asked seven times", |_| asked() >= 7);
    app.lock().unwrap().ready = 200;
    let ran = fleet.end(child);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let lines = |part: &str| ran.said.lines().filter(|line| line.contains(part)).count();
    assert_eq!(lines("rollout: [web1] Checking"), 1, "{}", ran.said);
    assert!((1..=2).contains(&lines("waiting: web1: Checking")), "{}", ran.said);
    ran.says("not ready to be deployed to: 503 \"a migration runs\"");
}

#[test]
fn without_an_answer_it_is_asked_again_whether_the_app_is_ready() {
    let fleet = Fleet::new(1);
    let app = fleet.hosts[0].app.clone();
    app.lock().unwrap().ready = 0;
    let child = fleet.begin(&[], &["-e", "release=two", "--accept-downtime"]);
    fleet.await_that("it was asked three times", |_| {
        app.lock().unwrap().asked.iter().filter(|path| *path == "/deploy/ready").count() >= 3
    });
    app.lock().unwrap().ready = 200;
    let ran = fleet.end(child);
    assert_eq!((ran.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned()]), "{}", ran.said);
}

#[test]
fn paused_no_further_host_leaves_until_it_goes_on() {
    let fleet = Fleet::new(3);
    fleet.rewrite("  tasks:\n", "    bake: 5s\n  tasks:\n");
    let mut child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host runs it", |fleet| fleet.releases()[0] == "two");
    let paused = fleet.run(&["pause"], &TO_TWO);
    assert_eq!(paused.code, Some(0), "{}", paused.said);
    paused.says("pauses before its next host; next: `roll continue -i hosts -e release=two site.yaml`");
    // Longer than the first host is watched.
    sleep(Duration::from_secs(8));
    assert_eq!(fleet.releases(), ["two", "one", "one"]);
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    let status = fleet.run(&["status"], &TO_TWO);
    status.says("being rolled out by ada");
    let on = fleet.run(&["continue"], &TO_TWO);
    on.says("goes on");
    fleet.await_that("the next host runs it", |fleet| fleet.releases()[1] == "two");
    let ran = fleet.end(child);
    assert_eq!((ran.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 3]), "{}", ran.said);
    let lines = |part: &str| ran.said.lines().filter(|line| line.contains(part)).count();
    assert_eq!(lines("rollout: paused by ada on "), 1, "{}", ran.said);
    assert_eq!(lines("rollout: goes on"), 1, "{}", ran.said);
}

/// Killed while it pauses, it is brought to an end from where its hosts are; the old wish counts for nobody else.
#[test]
fn a_pause_ends_with_its_rollout() {
    let fleet = Fleet::new(2);
    fleet.rewrite("  tasks:\n", "    bake: 3s\n  tasks:\n");
    let mut child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host runs it", |fleet| fleet.releases()[0] == "two");
    assert_eq!(fleet.run(&["pause"], &TO_TWO).code, Some(0));
    sleep(Duration::from_secs(6));
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = fleet.run(&["resume"], &TO_TWO);
    assert_eq!((ran.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 2]), "{}", ran.said);
    assert!(!ran.said.contains("paused"), "{}", ran.said);
}

#[test]
fn a_release_that_is_named_is_gone_back_to() {
    let fleet = Fleet::new(2);
    assert_eq!(fleet.run(&[], &TO_TWO).code, Some(0));
    // What ran before was let go, so there is nothing to turn back to by itself.
    let refused = fleet.run(&["rollback"], &TO_TWO);
    assert_eq!(refused.code, Some(10), "{}", refused.said);
    refused.says("why: the last rollout of `shop` has ended, and what ran before was let go");
    refused.says("next: `roll rollback --to RELEASE -i hosts -e release=two site.yaml` puts a release in place again");
    let back = fleet.run(&["rollback", "--to", "one"], &TO_TWO);
    assert_eq!((back.code, fleet.containers()), (Some(0), vec!["shop=one".to_owned(); 2]), "{}", back.said);
    back.says("ROLLOUT [shop : one]");
    let history = fleet.run(&["history"], &TO_TWO);
    assert!(history.said.find("two").unwrap() != history.said.rfind("one").unwrap(), "{}", history.said);
    let again = fleet.run(&["rollback", "--to", "one"], &TO_TWO);
    assert_eq!((again.code, fleet.containers()), (Some(0), vec!["shop=one".to_owned(); 2]), "{}", again.said);
}

#[test]
fn an_end_that_was_interrupted_is_not_turned_back_from() {
    let fleet = Fleet::new(2);
    assert_eq!(fleet.run(&[], &TO_TWO).code, Some(0));
    // Written down, and not done yet.
    let state = std::fs::read_to_string(fleet.path("web2").join("state/shop/state.json")).unwrap();
    let parking = &serde_json::from_str::<serde_json::Value>(&state).unwrap()["rollout"]["parking"];
    fleet.hosts[1].books.lock().unwrap().put_aside("shop", "one", parking.as_i64().unwrap());
    let refused = fleet.run(&["rollback"], &TO_TWO);
    assert_eq!(refused.code, Some(10), "{}", refused.said);
    refused.says("why: the last rollout of `shop` was ending, and what ran before was let go");
    refused.says("next: `roll resume -i hosts -e release=two site.yaml` ends it; `roll rollback --to RELEASE");
    assert_eq!(fleet.containers(), ["shop=two".to_owned(), format!("shop.parked-{parking}=one(stopped) shop=two")]);
    let ended = fleet.run(&["resume"], &TO_TWO);
    assert_eq!((ended.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 2]), "{}", ended.said);
}

#[test]
fn half_way_a_named_release_is_for_everybody() {
    for (words, ends) in [(vec!["rollback", "--to", "zero"], "zero"), (vec!["rollback"], "one"), (vec!["resume"], "two")] {
        let fleet = Fleet::new(3);
        fleet.rewrite("  tasks:\n", "    bake: 3s\n  tasks:\n");
        let mut child = fleet.begin(&[], &TO_TWO);
        fleet.await_that("the second host runs it", |fleet| fleet.releases()[1] == "two");
        child.kill().unwrap();
        child.wait().unwrap();
        fleet.rewrite("bake: 3s", "bake: 0s");
        let ran = fleet.run(&words, &TO_TWO);
        assert_eq!((ran.code, fleet.containers()), (Some(0), vec![format!("shop={ends}"); 3]), "{words:?}: {}", ran.said);
    }
}

#[test]
fn a_connection_that_breaks_in_the_middle_costs_nothing() {
    let fleet = Fleet::new(2);
    fleet.rewrite("  tasks:\n", "  post_tasks:\n    - command: sleep 2\n  tasks:\n");
    let child = fleet.begin(&[], &TO_TWO);
    fleet.await_that("the first host runs it", |fleet| fleet.releases()[0] == "two");
    sleep(Duration::from_millis(700));
    fleet.hang_up(0);
    let ran = fleet.end(child);
    assert_eq!((ran.code, fleet.containers()), (Some(0), vec!["shop=two".to_owned(); 2]), "{}", ran.said);
}
