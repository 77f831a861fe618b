use super::*;
use crate::modules::docker::bench::{Daemon, args_of};
use crate::modules::{Args, Look, Module};

const TASK: &str = r#"{"container":"shop","generation":7,"grace":20}"#;
const RUNNING: &str = r#"{"Id":"c1","Name":"/shop","Image":"sha256:aa","Config":{"Image":"shop:6c21"},"State":{"Running":true,"Pid":42},
    "HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4}},
    "NetworkSettings":{"Ports":{"5000/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}]}}}"#;
const PARKED: &str = r#"{"Id":"c1","Name":"/shop.parked-7","Image":"sha256:aa","Config":{"Image":"shop:6c21"},"State":{"Running":false},
    "HostConfig":{"RestartPolicy":{"Name":"no"}}}"#;
const NEW: &str = r#"{"Id":"c2","Name":"/shop","Image":"sha256:bb","Config":{"Image":"shop:7f3a"},"State":{"Running":true}}"#;
const HELD: &str = r#"[{"Id":"sha256:aa","RepoTags":["shop:6c21","roll-parked/shop:7.on-failure.4"]},
    {"Id":"sha256:cc","RepoTags":["roll-parked/shop:7.config"]}]"#;
const HOLDINGS: &str = "/images/json?filters=%7B%22reference%22:%5B%22roll-parked%2Fshop%22%5D%7D";

const COMMIT: &str = concat!(
    "POST /commit?container=shop.config-7&repo=roll-parked%2Fshop&tag=7.config&pause=false ",
    r#"{"Labels":{"roll.parked":"{\"Image\":\"shop:6c21\",\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"no\"},\"Binds\":[]},\"NetworkingConfig\":{\"EndpointsConfig\":{}}}"}}"#
);

fn planned(module: &Module, daemon: &Daemon) -> Vec<String> {
    let plan = (module.plan)(&args_of(module, TASK), daemon).unwrap();
    plan.changes.iter().map(|change| Daemon::line(&change.act).replace("/v1.41", "")).collect()
}

#[test]
fn names_say_what_is_parked() {
    assert_eq!(generation_of("shop", "/shop.parked-12"), Some(12));
    assert_eq!(generation_of("shop", "/shop2.parked-12"), None);
}

#[test]
fn parking_holds_the_image_first_and_gives_the_name_up_last() {
    let daemon = Daemon::new().with("/containers/shop/json", RUNNING);
    assert_eq!(
        planned(&park::MODULE, &daemon),
        [
            "POST /images/sha256:aa/tag?repo=roll-parked%2Fshop&tag=7.on-failure.4",
            r#"POST /containers/create?name=shop.config-7 {"Image":"sha256:aa","Cmd":["-"]}"#,
            COMMIT,
            "DELETE /containers/shop.config-7?force=true",
            r#"POST /containers/c1/update {"RestartPolicy":{"Name":"no"}}"#,
            "POST /containers/c1/stop?t=20",
            "POST /containers/c1/rename?name=shop.parked-7",
        ]
    );
}

#[test]
fn parking_again_leaves_the_new_container_alone() {
    let daemon = Daemon::new().with("/containers/shop/json", NEW).with("/containers/shop.parked-7/json", PARKED);
    assert!(planned(&park::MODULE, &daemon).is_empty());
    assert!(planned(&park::MODULE, &Daemon::new()).is_empty());
}

#[test]
fn a_parking_that_was_interrupted_is_taken_up_where_it_ended() {
    let stopped = PARKED.replace("shop.parked-7", "shop");
    let daemon = Daemon::new().with("/containers/shop/json", &stopped).with(HOLDINGS, HELD);
    assert_eq!(planned(&park::MODULE, &daemon), ["POST /containers/c1/rename?name=shop.parked-7"]);
}

#[test]
fn what_was_interrupted_while_it_was_put_aside_counts_as_parked_and_can_come_back() {
    let stopped = PARKED.replace("shop.parked-7", "shop");
    let daemon = Daemon::new()
        .with("/containers/shop/json", &stopped)
        .with("/containers/shop.config-7/json", NEW)
        .with("/containers/json?all=true&filters=%7B%22name%22:%5B%22shop.parked-%22%5D%7D", "[]")
        .with(HOLDINGS, HELD);
    let found = (inspect::MODULE.plan)(&args_of(&inspect::MODULE, r#"{"container":"shop"}"#), &daemon).unwrap();
    let parked = found.values.get("parked").and_then(Value::as_list).unwrap();
    let half: Vec<_> =
        parked.iter().map(|one| (one.get("generation").and_then(Value::to_int), text_at(one, &["release"]))).collect();
    assert_eq!(half, [(Some(7), "6c21")]);
    assert_eq!(
        planned(&unpark::MODULE, &daemon),
        [
            r#"POST /containers/c1/update {"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4}}"#,
            "POST /containers/shop/start",
            "DELETE /containers/shop.config-7?force=true",
            "DELETE /images/roll-parked/shop:7.config?force=true&noprune=true",
            "DELETE /images/roll-parked/shop:7.on-failure.4?force=true&noprune=true",
        ]
    );
}

#[test]
fn a_container_that_would_vanish_is_not_parked() {
    let vanishing = RUNNING.replace(r#""HostConfig":{"#, r#""HostConfig":{"AutoRemove":true,"#);
    let daemon = Daemon::new().with("/containers/shop/json", &vanishing);
    let refused = (park::MODULE.plan)(&args_of(&park::MODULE, TASK), &daemon).unwrap_err();
    assert!(refused.msg.contains("auto_remove"), "{}", refused.msg);
}

#[test]
fn unparking_removes_the_new_one_and_starts_the_old() {
    let daemon =
        Daemon::new().with("/containers/shop/json", NEW).with("/containers/shop.parked-7/json", PARKED).with(HOLDINGS, HELD);
    assert_eq!(
        planned(&unpark::MODULE, &daemon),
        [
            "POST /containers/c2/stop?t=20",
            "DELETE /containers/c2?force=true",
            "POST /containers/c1/rename?name=shop",
            r#"POST /containers/c1/update {"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4}}"#,
            "POST /containers/shop/start",
            "DELETE /images/roll-parked/shop:7.config?force=true&noprune=true",
            "DELETE /images/roll-parked/shop:7.on-failure.4?force=true&noprune=true",
        ]
    );
}

#[test]
fn unparking_again_changes_nothing_and_nothing_parked_is_an_error() {
    let back = Daemon::new().with("/containers/shop/json", RUNNING).with(HOLDINGS, "[]");
    assert!(planned(&unpark::MODULE, &back).is_empty());
    let refused = (unpark::MODULE.plan)(&args_of(&unpark::MODULE, TASK), &Daemon::new()).unwrap_err();
    assert!(refused.msg.contains("nothing to go back to"), "{}", refused.msg);
}

#[test]
fn a_parked_container_that_was_pruned_is_made_again_and_one_that_cannot_be_is_told() {
    let pruned = Daemon::new().with("/containers/shop/json", NEW).with(HOLDINGS, HELD);
    let refused = (unpark::MODULE.plan)(&args_of(&unpark::MODULE, TASK), &pruned).unwrap_err();
    assert!(refused.msg.contains("cannot be read") && refused.msg.contains("roll-parked/shop:7"), "{}", refused.msg);
    let config = r#"{"Config":{"Labels":{"roll.parked":"{\"Image\":\"shop:6c21\"}"}}}"#;
    let held = pruned.with("/images/roll-parked/shop:7.config/json", config);
    assert_eq!(planned(&unpark::MODULE, &held), [r#"POST /containers/create?name=shop.parked-7 {"Image":"sha256:aa"}"#]);
    let only = r#"[{"Id":"sha256:aa","RepoTags":["roll-parked/shop:7.always.0"]}]"#;
    let refused = (unpark::MODULE.plan)(&args_of(&unpark::MODULE, TASK), &Daemon::new().with(HOLDINGS, only)).unwrap_err();
    assert!(refused.msg.contains("is not held"), "{}", refused.msg);
}

#[test]
fn retiring_takes_this_and_earlier_generations() {
    let list = r#"[{"Id":"c1","Names":["/shop.parked-7"]},{"Id":"c9","Names":["/shop.parked-9"]}]"#;
    let daemon = Daemon::new()
        .with("/containers/shop/json", NEW)
        .with("/containers/json?all=true&filters=%7B%22name%22:%5B%22shop.parked-%22%5D%7D", list)
        .with("/containers/c1/json", PARKED)
        .with("/containers/c9/json", PARKED)
        .with(HOLDINGS, HELD);
    let lines = planned(&retire::MODULE, &daemon);
    assert_eq!(
        lines,
        [
            "DELETE /containers/c1?force=true",
            "DELETE /images/roll-parked/shop:7.config?force=true&noprune=true",
            "DELETE /images/roll-parked/shop:7.on-failure.4?force=true&noprune=true"
        ]
    );
}

#[test]
fn a_host_without_docker_is_an_answer() {
    let daemon = Daemon::new()
        .with("/containers/shop/json", RUNNING)
        .with("/containers/json?all=true&filters=%7B%22name%22:%5B%22shop.parked-%22%5D%7D", "[]");
    let plan = (inspect::MODULE.plan)(&args_of(&inspect::MODULE, r#"{"container":"shop"}"#), &daemon).unwrap();
    let current = plan.values.get("current").unwrap();
    assert_eq!(text_at(current, &["release"]), "6c21");
    assert_eq!(plan.values.get("ports").unwrap().to_json(), r#"{"5000/tcp":8080}"#);
    assert_eq!(plan.values.get("docker"), Some(&Value::from(true)));
}

/// `/proc` of a container: connections at each tenth of a second.
fn quiet_after(tables: &[&[(&str, u16)]], accepted: &[u64], extra: &str) -> (Value, Vec<String>) {
    let table = |peers: &&[(&str, u16)]| {
        let hex =
            |peer: &str| peer.split('.').rev().map(|byte| format!("{:02X}", byte.parse::<u8>().unwrap())).collect::<String>();
        let lines = peers.iter().map(|(peer, port)| format!("0: 020011AC:1388 {}:{port:04X} 01 0:0\n", hex(peer)));
        // It listens on its port, and is connected to somebody else's database.
        let others = ["0: 00000000:1388 00000000:0000 0A 0:0\n", "1: 020011AC:C350 0900000A:1538 01 0:0\n"];
        lines.chain(others.map(str::to_owned)).collect::<String>()
    };
    let snmp = |count: &u64| format!("Tcp: PassiveOpens\nTcp: {count}\n");
    let tables: Vec<String> = tables.iter().map(table).collect();
    let counts: Vec<String> = accepted.iter().map(snmp).collect();
    let daemon = Daemon::new()
        .with("/containers/shop/json", RUNNING)
        .with_texts("/proc/42/net/tcp", &tables)
        .with_texts("/proc/42/net/snmp", &counts);
    let args: Args = args_of(&quiet::MODULE, &format!(r#"{{"container":"shop","port":8080,"quiet":1,"cap":20{extra}}}"#));
    let look: &dyn Look = &daemon;
    let values = (quiet::MODULE.plan)(&args, look).unwrap().values;
    (Value::from(values), daemon.said.borrow().clone())
}

#[test]
fn an_idle_app_is_quiet_after_the_quiet_time() {
    let (end, _) = quiet_after(&[&[]], &[5], "");
    assert_eq!(end.get("quiet"), Some(&Value::from(true)));
    let waited = end.get("waited").and_then(Value::to_float).unwrap();
    assert!((1.0..1.3).contains(&waited), "{waited}");
}

#[test]
fn a_connection_that_stays_is_waited_for_and_cut_only_at_the_cap() {
    let (end, said) = quiet_after(&[&[("10.0.0.9", 50000)]], &[5], "");
    assert_eq!((end.get("quiet"), end.get("open")), (Some(&Value::from(false)), Some(&Value::from(1))));
    let seen = end.get("seen").unwrap().to_text();
    assert!(seen.starts_with("1 connection open") && seen.ends_with("from 10.0.0.9"), "{seen}");
    assert_eq!(said[0], "1 connection open, 3 s old, from 10.0.0.9");
    let (end, _) = quiet_after(&[&[("10.0.0.9", 50000)]], &[5], r#","ignore":["10.0.0.9"]"#);
    assert_eq!(end.get("quiet"), Some(&Value::from(true)));
}

/// An ALB's target group knows the port; a play need not.
#[test]
fn without_a_port_whatever_the_container_listens_on_counts() {
    let (end, _) = quiet_after(&[&[("10.0.0.9", 50000)]], &[5], r#","port":0"#);
    assert_eq!((end.get("quiet"), end.get("open")), (Some(&Value::from(false)), Some(&Value::from(1))));
    let (end, _) = quiet_after(&[&[]], &[5], r#","port":0"#);
    assert_eq!(end.get("quiet"), Some(&Value::from(true)), "its own connection to a database is none of its clients");
}

#[test]
fn short_probes_do_not_count_but_a_stream_of_connections_does() {
    let probe: &[&[(&str, u16)]] = &[&[("10.0.0.9", 50000)], &[], &[], &[]];
    let (end, _) = quiet_after(probe, &[5, 6, 6, 6], "");
    assert_eq!(end.get("quiet"), Some(&Value::from(true)));
    let stream: Vec<u64> = (0..300).collect();
    let (end, _) = quiet_after(&[&[]], &stream, "");
    assert_eq!(end.get("quiet"), Some(&Value::from(false)));
}

#[test]
fn a_request_that_ends_lets_the_quiet_time_begin() {
    let busy: Vec<&[(&str, u16)]> = std::iter::repeat_n(&[("10.0.0.9", 50000)][..], 50).chain([&[][..]]).collect();
    let (end, _) = quiet_after(&busy, &[5], "");
    assert_eq!(end.get("quiet"), Some(&Value::from(true)));
    let waited = end.get("waited").and_then(Value::to_float).unwrap();
    assert!((5.8..6.3).contains(&waited), "{waited}");
}

#[test]
fn probes_say_what_came_back_and_a_redirect_is_no_success() {
    let daemon = Daemon::new().with("http://10.0.0.1:5000/healthz", r#"{"status":"ok"}"#);
    let plan =
        |url: &str| (probe::MODULE.plan)(&args_of(&probe::MODULE, &format!(r#"{{"url":"{url}"}}"#)), &daemon).unwrap().values;
    let healthy = plan("http://10.0.0.1:5000/healthz");
    assert_eq!((healthy.get("ok"), healthy.get("status")), (Some(&Value::from(true)), Some(&Value::from(200))));
    assert_eq!(plan("http://10.0.0.1:5000/other").get("ok"), Some(&Value::from(false)));
}

#[test]
fn nothing_parked_and_nothing_there_keeps_what_is_parked() {
    assert!((retire::MODULE.plan)(&args_of(&retire::MODULE, TASK), &Daemon::new()).is_err());
}

const ASIDE: &str = r#"{"Id":"c1","Name":"/shop.parked-7","Image":"sha256:aa","Config":{"Image":"shop:6c21"},"State":{"Running":true,"Pid":42},
    "HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4}}}"#;

#[test]
fn what_goes_aside_runs_on_and_does_so_once() {
    let daemon = Daemon::new().with("/containers/shop/json", RUNNING);
    assert_eq!(planned(&aside::MODULE, &daemon), ["POST /containers/c1/rename?name=shop.parked-7"]);
    let done = Daemon::new().with("/containers/shop/json", NEW).with("/containers/shop.parked-7/json", ASIDE);
    assert!(planned(&aside::MODULE, &done).is_empty(), "the new one keeps its name");
    let refused = (aside::MODULE.plan)(&args_of(&aside::MODULE, TASK), &Daemon::new()).unwrap_err();
    assert!(refused.msg.contains("not there any more"), "{}", refused.msg);
}

#[test]
fn what_ran_aside_is_held_and_stopped_under_the_name_that_it_has() {
    let daemon = Daemon::new().with("/containers/shop/json", NEW).with("/containers/shop.parked-7/json", ASIDE);
    let planned = planned(&park::MODULE, &daemon);
    assert_eq!(planned[0], "POST /images/sha256:aa/tag?repo=roll-parked%2Fshop&tag=7.on-failure.4");
    let end = [r#"POST /containers/c1/update {"RestartPolicy":{"Name":"no"}}"#, "POST /containers/c1/stop?t=20"];
    assert!(planned.ends_with(&end.map(str::to_owned)), "{planned:#?}");
}

#[test]
fn reviving_starts_what_is_aside_and_touches_nothing_else() {
    let parked =
        Daemon::new().with("/containers/shop/json", NEW).with("/containers/shop.parked-7/json", PARKED).with(HOLDINGS, HELD);
    assert_eq!(
        planned(&revive::MODULE, &parked),
        [
            r#"POST /containers/c1/update {"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":4}}"#,
            "POST /containers/shop.parked-7/start",
        ]
    );
    let runs =
        Daemon::new().with("/containers/shop/json", NEW).with("/containers/shop.parked-7/json", ASIDE).with(HOLDINGS, "[]");
    assert!(planned(&revive::MODULE, &runs).is_empty());
    let never_aside = Daemon::new().with("/containers/shop/json", RUNNING).with(HOLDINGS, "[]");
    assert!(planned(&revive::MODULE, &never_aside).is_empty());
    let config = r#"{"Config":{"Labels":{"roll.parked":"{\"Image\":\"shop:6c21\"}"}}}"#;
    let pruned = Daemon::new().with("/containers/shop/json", NEW).with(HOLDINGS, HELD);
    let pruned = pruned.with("/images/roll-parked/shop:7.config/json", config);
    assert_eq!(planned(&revive::MODULE, &pruned), [r#"POST /containers/create?name=shop.parked-7 {"Image":"sha256:aa"}"#]);
    let refused = (revive::MODULE.plan)(&args_of(&revive::MODULE, TASK), &Daemon::new().with(HOLDINGS, "[]")).unwrap_err();
    assert!(refused.msg.contains("nothing to go back to"), "{}", refused.msg);
}

#[test]
fn a_port_is_taken_by_what_is_not_the_app() {
    let listening =
        "0: 00000000:0016 00000000:0000 0A 0:0\n1: 00000000:1F90 00000000:0000 0A 0:0\n2: 0100007F:1F99 0100007F:0016 01 0:0\n";
    let taken = |containers: &str| {
        let daemon = Daemon::new().with("/containers/json", containers).with_text("/proc/net/tcp", listening);
        ports::taken("shop", &daemon).unwrap().to_json()
    };
    let own = r#"{"Names":["/shop"],"Ports":[{"Type":"tcp","PublicPort":8080}]},{"Names":["/shop.parked-3"],"Ports":[{"Type":"tcp","PublicPort":8081}]}"#;
    let other = r#"{"Names":["/nginx"],"Ports":[{"Type":"tcp","PublicPort":80},{"Type":"udp","PublicPort":53},{"Type":"tcp"}]}"#;
    assert_eq!(taken("[]"), r#"{"22":null,"8080":null}"#);
    assert_eq!(taken(&format!("[{own},{other}]")), r#"{"22":null,"80":"nginx"}"#);
    let on_host = r#"{"Names":["/shop"],"Ports":[],"HostConfig":{"NetworkMode":"host"}}"#;
    assert_eq!(taken(&format!("[{on_host},{other}]")), r#"{"80":"nginx"}"#);
}
