use super::*;
use crate::modules::docker::bench::{Daemon, args_of, json};

const NGINX: &str = r#"{"Id":"sha256:aa","Config":{"Env":["PATH=/bin"]}}"#;

fn container(extra: &str) -> Value {
    let base = format!(
        r#"{{"Id":"c1","Name":"/web","Image":"sha256:aa","Config":{{"Image":"nginx","Env":["PATH=/bin","A=1"],"Labels":{{}}}},
        "HostConfig":{{"RestartPolicy":{{"Name":"no"}},"Memory":0}},"State":{{"Running":true}},"NetworkSettings":{{"Networks":{{}}}}{extra}}}"#
    );
    json(&base)
}

fn daemon() -> Daemon {
    Daemon::new()
        .with("/containers/web/json", &container("").to_json())
        .with("/images/nginx:latest/json", NGINX)
        .with_file("/usr/bin/docker")
}

fn planned(daemon: &Daemon, args: &str) -> Vec<String> {
    let plan = plan(&args_of(&MODULE, args), daemon).unwrap();
    plan.changes.iter().map(|change| Daemon::line(&change.act)).collect()
}

#[test]
fn a_converged_task_costs_two_requests_and_changes_nothing() {
    let daemon = daemon();
    assert!(planned(&daemon, r#"{"name":"web","image":"nginx","env":{"A":"1"}}"#).is_empty());
    assert_eq!(daemon.asked(), ["/containers/web/json", "/v1.41/images/nginx:latest/json"]);
}

#[test]
fn a_missing_container_is_made_and_started() {
    let daemon = Daemon::new().with("/images/nginx:latest/json", NGINX);
    let acts = planned(
        &daemon,
        r#"{"name":"web","image":"nginx","published_ports":["8080:80"],"memory":"64M","command":"nginx -g 'daemon off;'"}"#,
    );
    assert_eq!(
        acts,
        [
            concat!(
                "POST /v1.41/containers/create?name=web ",
                r#"{"Image":"nginx","Cmd":["nginx","-g","daemon off;"],"ExposedPorts":{"80/tcp":{}},"#,
                r#""HostConfig":{"Memory":67108864,"PortBindings":{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}]}}}"#
            ),
            "POST /v1.41/containers/web/start",
        ]
    );
}

#[test]
fn a_difference_makes_it_anew() {
    let acts = planned(&daemon(), r#"{"name":"web","image":"nginx","env":{"A":"2"},"stop_timeout":5}"#);
    assert_eq!(acts[0], "POST /v1.41/containers/c1/stop?t=5");
    assert_eq!(acts[1], "DELETE /v1.41/containers/c1?force=true&v=false");
    assert!(acts[2].starts_with("POST /v1.41/containers/create?name=web "), "{}", acts[2]);
    assert_eq!(acts[3], "POST /v1.41/containers/web/start");
}

#[test]
fn another_image_under_the_same_name_makes_it_anew() {
    let daemon = daemon().with("/images/nginx:latest/json", r#"{"Id":"sha256:bb"}"#);
    assert_eq!(planned(&daemon, r#"{"name":"web","image":"nginx"}"#).len(), 4);
    assert!(planned(&daemon, r#"{"name":"web","image":"nginx","comparisons":{"image":"ignore"}}"#).is_empty());
    assert!(planned(&daemon, r#"{"name":"web","image":"nginx","comparisons":{"*":"ignore"},"env":{"A":"2"}}"#).is_empty());
}

#[test]
fn limits_and_the_restart_policy_change_on_the_fly() {
    let acts = planned(&daemon(), r#"{"name":"web","image":"nginx","memory":"1M","restart_policy":"always"}"#);
    assert_eq!(acts, [r#"POST /v1.41/containers/c1/update {"Memory":1048576,"RestartPolicy":{"Name":"always"}}"#]);
}

#[test]
fn states() {
    assert_eq!(planned(&daemon(), r#"{"name":"web","state":"stopped"}"#), ["POST /v1.41/containers/c1/stop"]);
    assert_eq!(planned(&daemon(), r#"{"name":"web","state":"stopped","force_kill":true}"#), ["POST /v1.41/containers/c1/kill"]);
    let gone = planned(&daemon(), r#"{"name":"web","state":"absent","keep_volumes":false}"#);
    assert_eq!(gone, ["POST /v1.41/containers/c1/stop", "DELETE /v1.41/containers/c1?force=true&v=true"]);
    assert!(planned(&Daemon::new(), r#"{"name":"web","state":"absent"}"#).is_empty());
    assert_eq!(planned(&daemon(), r#"{"name":"web","restart":true}"#), ["POST /v1.41/containers/c1/restart"]);
    assert_eq!(planned(&daemon(), r#"{"name":"web","paused":true}"#), ["POST /v1.41/containers/c1/pause"]);
}

#[test]
fn an_image_that_must_be_pulled_is_a_stage_of_its_own() {
    let daemon = daemon().without("/images/nginx:latest/json");
    let task = args_of(&MODULE, r#"{"name":"web","image":"nginx"}"#);
    let stage = plan(&task, &daemon).unwrap();
    assert!(stage.again);
    assert_eq!(stage.changes.len(), 1);
    assert_eq!(Daemon::line(&stage.changes[0].act), "/usr/bin/docker pull --quiet nginx:latest");
    let never = plan(&args_of(&MODULE, r#"{"name":"web","image":"nginx","pull":"never"}"#), &daemon).unwrap_err();
    assert!(never.msg.contains("`pull` is never"), "{}", never.msg);
}

#[test]
fn pull_always_asks_the_registry_first() {
    let same = daemon()
        .with("/images/nginx:latest/json", r#"{"Id":"sha256:aa","RepoDigests":["nginx@sha256:dd"]}"#)
        .with("/distribution/nginx:latest/json", r#"{"Descriptor":{"digest":"sha256:dd"}}"#);
    assert!(planned(&same, r#"{"name":"web","image":"nginx","pull":"always"}"#).is_empty());
    let newer = same.with("/distribution/nginx:latest/json", r#"{"Descriptor":{"digest":"sha256:ee"}}"#);
    assert_eq!(planned(&newer, r#"{"name":"web","image":"nginx","pull":true}"#), ["/usr/bin/docker pull --quiet nginx:latest"]);
}

#[test]
fn networks_are_joined_and_left() {
    let joined =
        r#","Networking":0,"NetworkSettings":{"Networks":{"old":{"NetworkID":"x"},"app":{"NetworkID":"y","Aliases":["web"]}}}"#;
    let daemon = daemon().with("/containers/web/json", &container(joined).to_json());
    let task =
        r#"{"name":"web","networks":[{"name":"app","aliases":["web"]},{"name":"db"}],"comparisons":{"network_mode":"ignore"}"#;
    assert_eq!(
        planned(&daemon, &format!("{task}}}")),
        [r#"POST /v1.41/networks/db/connect {"Container":"c1","EndpointConfig":{}}"#]
    );
    let purged = planned(&daemon, &format!("{task},\"purge_networks\":true}}"));
    assert_eq!(purged[1], r#"POST /v1.41/networks/old/disconnect {"Container":"c1","Force":false}"#);
}

#[test]
fn values_that_yaml_has_already_changed_are_refused() {
    let refused = plan(&args_of(&MODULE, r#"{"name":"web","image":"nginx","env":{"DEBUG":true}}"#), &daemon()).unwrap_err();
    assert!(refused.msg.contains("`DEBUG`") && refused.msg.contains("quotes"), "{}", refused.msg);
}

#[test]
fn comparisons_are_checked() {
    for (comparisons, word) in [("{\"colour\":\"strict\"}", "colour"), ("{\"user\":\"allow_more_present\"}", "one value")] {
        let task = format!(r#"{{"name":"web","comparisons":{comparisons}}}"#);
        assert!(plan(&args_of(&MODULE, &task), &daemon()).unwrap_err().msg.contains(word));
    }
}

#[test]
fn strict_counts_what_the_image_brings() {
    let strict = r#"{"name":"web","image":"nginx","env":{"A":"1"},"comparisons":{"env":"strict"}}"#;
    assert!(planned(&daemon(), strict).is_empty());
    let other = r#"{"name":"web","image":"nginx","env":{},"comparisons":{"env":"strict"}}"#;
    assert_eq!(planned(&daemon(), other).len(), 4);
}

#[test]
fn without_detaching_the_exit_status_is_the_task_s() {
    let daemon = daemon().without("/containers/web/json");
    let task = args_of(&MODULE, r#"{"name":"web","image":"nginx","detach":false,"cleanup":true}"#);
    let plan = plan(&task, &daemon).unwrap();
    let lines: Vec<String> = plan.changes.iter().map(|change| Daemon::line(&change.act)).collect();
    assert_eq!(lines[1], "/usr/bin/docker start --attach web");
    assert_eq!(lines[2], "DELETE /v1.41/containers/web?force=true&v=false");
    let run = Done {
        values: Map::from_iter([("rc".into(), Value::from(3)), ("stdout".into(), Value::from("no such table"))]),
        changed: None,
    };
    let failure = finish(&task, Map::new(), &[run], &daemon).unwrap_err();
    assert_eq!((failure.msg.as_str(), failure.values.get("status")), ("no such table", Some(&Value::from(3))));
}
