//! `start: first`: the new container comes up beside the old one, on the host's other port, and nobody leaves before it serves.

use super::fleet::{Fleet, Ran};
use super::front::Front;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const TO_TWO: [&str; 2] = ["-e", "release=two"];
const TO_THREE: [&str; 2] = ["-e", "release=three"];

fn one_host() -> (Fleet, Arc<Mutex<Front>>) {
    let mut fleet = Fleet::new(1);
    let front = fleet.starts_first_behind_a_balancer();
    (fleet, front)
}

fn ended(ran: &Ran, code: i32) {
    assert_eq!(ran.code, Some(code), "{}", ran.said);
}

/// The port of the app's container on every host.
fn ports(fleet: &Fleet) -> Vec<Option<u16>> {
    fleet.hosts.iter().map(|host| host.books.lock().unwrap().port("shop")).collect()
}

fn never_fewer_than(front: &Mutex<Front>, servers: usize) {
    let front = front.lock().unwrap();
    assert!(front.fewest.is_some_and(|fewest| fewest >= servers), "{:?} of {servers} after {:?}", front.fewest, front.orders);
}

/// What is written down of the last rollout.
fn recorded(fleet: &Fleet, host: &str) -> Value {
    let text = std::fs::read_to_string(fleet.path(host).join("state/shop/state.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["rollout"].take()
}

#[test]
fn one_host_goes_to_and_fro_between_its_ports() {
    let (fleet, front) = one_host();
    let ran = fleet.run(&[], &TO_TWO);
    ended(&ran, 0);
    ran.says("done, 0 s out of rotation");
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=two".to_owned()], vec![Some(fleet.second)]));
    let orders = std::mem::take(&mut front.lock().unwrap().orders);
    // Nothing is sent to a container that has not been asked whether it works.
    assert_eq!(orders, ["web1-b drain", "web1-b maint", "web1-b ready", "web1 drain", "web1 maint"]);
    assert_eq!(recorded(&fleet, "web1")["port"], json!(fleet.second));
    ended(&fleet.run(&[], &TO_THREE), 0);
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=three".to_owned()], vec![Some(fleet.port)]));
    assert_eq!(front.lock().unwrap().orders, ["web1 drain", "web1 maint", "web1 ready", "web1-b drain", "web1-b maint"]);
    never_fewer_than(&front, 1);
    let acts = fleet.hosts[0].books.lock().unwrap().acts.clone();
    let first = |part: &str| acts.iter().position(|act| act.contains(part)).unwrap_or_else(|| panic!("no {part} in {acts:#?}"));
    assert!(first("/rename") < first("/start") && first("/start") < first("/stop"), "{acts:#?}");
}

#[test]
fn a_port_that_another_container_has_is_found_before_anything_leaves() {
    let mut fleet = Fleet::new(2);
    let front = fleet.starts_first_behind_a_balancer();
    {
        let mut books = fleet.hosts[1].books.lock().unwrap();
        books.begin("nginx", "1");
        books.publish("nginx", fleet.second);
    }
    let has_port = format!("container `nginx` has port {} of `web2`, where `shop` is to go", fleet.second);
    let ran = fleet.run(&[], &TO_TWO);
    ended(&ran, 10);
    ran.says(&has_port);
    ran.says("`docker rename nginx shop`");
    ran.says("this run changed no host");
    assert_eq!(front.lock().unwrap().orders, Vec::<String>::new());
    assert_eq!(fleet.containers(), ["shop=one", "nginx=1 shop=one"]);
    fleet.run(&["plan"], &TO_TWO).says(&has_port);
    fleet.hosts[1].books.lock().unwrap().remove("nginx");
    ended(&fleet.run(&[], &TO_TWO), 0);
}

#[test]
fn whoever_looks_is_told_what_would_happen() {
    let (fleet, _front) = one_host();
    let plan = fleet.run(&["plan"], &TO_TWO);
    ended(&plan, 0);
    plan.says(&format!("two on {}", fleet.second));
    plan.says("1 serve now, and never fewer: each new container starts beside the old one");
    ended(&fleet.run(&[], &TO_TWO), 0);
    let status = fleet.run(&["status"], &TO_TWO);
    status.says("1 of 1 targets serve, floor 1");
    status.says(&format!("{} out (MAINT)", fleet.port));
    status.says(&format!("{} serving (L7OK/200)", fleet.second));
    fleet.run(&["plan"], &TO_THREE).says(&format!("three on {}", fleet.port));
    let doctor = fleet.run(&["doctor"], &TO_TWO);
    assert!(!doctor.said.contains("all targets leave at once"), "{}", doctor.said);
}

#[test]
fn a_release_that_never_works_costs_nothing() {
    let (fleet, front) = one_host();
    fleet.hosts[0].app.lock().unwrap().broken.push("two");
    let ran = fleet.run(&[], &TO_TWO);
    ended(&ran, 13);
    ran.says("the old container still serves on `web1`");
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=one".to_owned()], vec![Some(fleet.port)]));
    never_fewer_than(&front, 1);
    let was_drained = front.lock().unwrap().orders.iter().any(|order| order == "web1 drain");
    assert!(!was_drained, "{:?}", front.lock().unwrap().orders);
    // And the same host takes the next release.
    ended(&fleet.run(&[], &TO_THREE), 0);
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=three".to_owned()], vec![Some(fleet.second)]));
    never_fewer_than(&front, 1);
}

#[test]
fn tasks_that_fail_cost_nothing() {
    let (fleet, front) = one_host();
    fleet.hosts[0].books.lock().unwrap().refuses = Some(|request| request.ends_with("/create?name=shop"));
    ended(&fleet.run(&[], &TO_TWO), 13);
    assert_eq!(fleet.containers(), ["shop=one"]);
    never_fewer_than(&front, 1);
}

/// Found out while it is watched: what was stopped by then comes up beside it before it goes.
#[test]
fn a_release_that_fails_later_goes_once_the_old_one_serves_again() {
    let (fleet, front) = one_host();
    fleet.rewrite("  tasks:\n", "  post_tasks:\n    - command: \"false\"\n      when: release == 'two'\n  tasks:\n");
    ended(&fleet.run(&[], &TO_TWO), 13);
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=one".to_owned()], vec![Some(fleet.port)]));
    let orders = front.lock().unwrap().orders.clone();
    let after = ["web1 drain", "web1 maint", "web1 ready", "web1-b drain", "web1-b maint"];
    assert!(orders.ends_with(&after.map(str::to_owned)), "{orders:?}");
    never_fewer_than(&front, 1);
}

/// Killed before and after the old one has left; then forward and back.
#[test]
fn a_killed_rollout_is_ended_by_anybody() {
    for (words, ends, at) in [
        ("resume", "two", "Confirming"),
        ("rollback", "one", "Confirming"),
        ("resume", "two", "Switching"),
        ("rollback", "one", "Switching"),
    ] {
        let (fleet, front) = one_host();
        // The tasks are what the playbook ends with.
        let section = if at == "Confirming" { "  post_tasks:\n" } else { "" };
        let site = std::fs::read_to_string(fleet.path("site.yaml")).unwrap();
        let pause = "    - command: sleep {{ pause | default(0) }}\n";
        std::fs::write(fleet.path("site.yaml"), format!("{site}{section}{pause}")).unwrap();
        let mut child = fleet.begin(&[], &["-e", "release=two", "-e", "pause=20"]);
        fleet.await_that("it is there", |fleet| {
            let text = std::fs::read_to_string(fleet.path("web1").join("state/shop/state.json")).unwrap_or_default();
            text.contains(at) && fleet.containers()[0].contains("shop=two")
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let ran = fleet.run(&[words], &TO_TWO);
        ended(&ran, 0);
        let port = if ends == "two" { fleet.second } else { fleet.port };
        let found = (fleet.containers(), ports(&fleet));
        assert_eq!(found, (vec![format!("shop={ends}")], vec![Some(port)]), "{words} at {at}: {}", ran.said);
        never_fewer_than(&front, 1);
        // Whatever happened, the next one finds its way.
        ended(&fleet.run(&[], &TO_THREE), 0);
        assert_eq!(fleet.containers(), ["shop=three"]);
        never_fewer_than(&front, 1);
    }
}

#[test]
fn another_release_waits_until_two_containers_are_one_again() {
    let (fleet, _front) = one_host();
    fleet.rewrite("  tasks:\n", "  post_tasks:\n    - command: sleep {{ pause | default(0) }}\n  tasks:\n");
    let mut child = fleet.begin(&[], &["-e", "release=two", "-e", "pause=20"]);
    fleet.await_that("the second release is there", |fleet| fleet.containers()[0].contains("shop=two"));
    child.kill().unwrap();
    child.wait().unwrap();
    let ran = fleet.run(&[], &TO_THREE);
    ended(&ran, 10);
    ran.says("the rollout of release two is unfinished on `web1`, where two containers may be now: `roll rollback ");
    ended(&fleet.run(&["rollback"], &TO_TWO), 0);
    ended(&fleet.run(&[], &TO_THREE), 0);
    assert_eq!(fleet.containers(), ["shop=three"]);
}

#[test]
fn without_a_balancer_the_urls_decide() {
    let mut fleet = Fleet::new(2);
    fleet.starts_first();
    ended(&fleet.run(&[], &TO_TWO), 0);
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=two".to_owned(); 2], vec![Some(fleet.second); 2]));
    fleet.hosts[1].app.lock().unwrap().broken.push("three");
    ended(&fleet.run(&[], &TO_THREE), 13);
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=two".to_owned(); 2], vec![Some(fleet.second); 2]));
}

#[test]
fn two_ports_of_an_instance_are_two_targets() {
    let mut fleet = Fleet::new(1);
    fleet.starts_first();
    let _double = fleet.in_a_target_group(&["eu-central-1a"], &json!({}));
    ended(&fleet.run(&[], &TO_TWO), 0);
    fleet.run(&["status"], &TO_TWO).says("1 of 1 targets serve");
    // The first target still shows as draining then, and may come back nevertheless.
    ended(&fleet.run(&[], &TO_THREE), 0);
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=three".to_owned()], vec![Some(fleet.port)]));
}

/// Where nothing runs there is nothing to start beside; the others are not kept from it.
#[test]
fn a_new_host_joins_the_others() {
    let mut fleet = Fleet::new(2);
    let front = fleet.starts_first_behind_a_balancer();
    fleet.hosts[0].books.lock().unwrap().remove("shop");
    ended(&fleet.run(&[], &TO_TWO), 0);
    assert_eq!((fleet.containers(), ports(&fleet)), (vec!["shop=two".to_owned(); 2], vec![Some(fleet.port), Some(fleet.second)]));
    never_fewer_than(&front, 1);
    ended(&fleet.run(&[], &TO_THREE), 0);
    assert_eq!(ports(&fleet), [Some(fleet.second), Some(fleet.port)]);
}

#[test]
fn what_cannot_work_is_refused_while_everything_serves() {
    let (fleet, front) = one_host();
    let refused = |why: &str| {
        let ran = fleet.run(&[], &TO_TWO);
        ended(&ran, 10);
        ran.says(why);
        assert_eq!(fleet.containers(), ["shop=one"]);
        assert!(front.lock().unwrap().orders.is_empty(), "{:?}", front.lock().unwrap().orders);
    };
    fleet.rewrite("{{ rollout_port }}/healthz", "{{ app_port }}/healthz");
    refused("for both ports: with `start: first` it has to lead to the container on `{{ rollout_port }}`");
    fleet.rewrite("{{ app_port }}/healthz", "{{ rollout_port }}/healthz");
    fleet.rewrite("{{ inventory_hostname }}-b", "{{ inventory_hostname }}-c");
    refused("the balancer has no target");
    fleet.rewrite("{{ inventory_hostname }}-c", "{{ inventory_hostname }}-b");
    // What is no container serves where the new one is to go.
    let books = fleet.hosts[0].books.clone();
    books.lock().unwrap().process = Some(fleet.second);
    let ran = fleet.run(&[], &TO_TWO);
    ended(&ran, 10);
    ran.says("of `web1` already, where the new container is to go");
    books.lock().unwrap().process = None;
    // And back to one port only from that port.
    ended(&fleet.run(&[], &TO_TWO), 0);
    fleet.rewrite("start: first", "start: last");
    fleet.rewrite("{{ rollout_port }}", "{{ app_port }}");
    let ran = fleet.run(&[], &TO_THREE);
    ended(&ran, 10);
    ran.says("where `start: first` put it, and not on");
    assert_eq!(fleet.containers(), ["shop=two"]);
}
