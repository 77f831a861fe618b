//! `roll doctor`: against the double of AWS's API with the names of this repository's own Terraform, and against a real HAProxy.

use crate::balancer::alb::Double;
use crate::balancer::bed::Bed;
use crate::roll::{Ran, Roll};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// As `terraform/balancer.tf` makes it, for the hosts of `terraform/outputs.example.json`.
fn double(attributes: &Value) -> Double {
    let mut all = json!({ "deregistration_delay.timeout_seconds": "35" });
    all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    let hosts = [("i-0123456789abcdef0", "app1", "eu-central-1a"), ("i-0fedcba9876543210", "app2", "eu-central-1b")];
    Double::start(&json!({
        "listen": "127.0.0.1:0",
        "zones": ["eu-central-1a", "eu-central-1b"],
        "groups": [{ "name": "palindrome", "port": 5000, "interval": 5.0, "timeout": 3.0, "rise": 2, "fall": 3,
                     "attributes": all, "registered": hosts.map(|(id, ..)| id) }],
        "instances": hosts.map(|(id, name, zone)| json!({ "id": id, "name": name, "address": "127.0.0.9", "zone": zone })),
        "plane": null,
    }))
}

/// Our own playbook, on the example of Terraform's outputs.
fn palindrome(double: &Double, words: &[&str]) -> Ran {
    Roll::new()
        .env("AWS_ACCESS_KEY_ID", "AKIDOUBLE")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .env("AWS_ENDPOINT_URL", &double.url)
        .args(["doctor", "--no-app", "-e", "release=1", "-i"])
        .args([here("terraform/outputs.example.json"), here("playbooks/palindrome.yaml")])
        .args(words)
        .run()
}

#[test]
fn the_target_group_of_our_terraform_costs_no_request() {
    let ran = palindrome(&double(&json!({})), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let wanted = "Palindrome, one host at a time: palindrome on 2 hosts, behind alb\n  target group palindrome: 2 targets, \
                  checks /healthz every 5 s, deregistration delay 35 s, idle timeout 60 s\n  the app: 40 s to stop, ";
    assert!(ran.stdout.starts_with(wanted), "{}", ran.stdout);
    for host in ["app1", "app2"] {
        let line = ran.stdout.lines().find(|line| line.trim_start().starts_with(host)).expect("a line for each host");
        assert!(line.contains("in eu-central-1") && !line.contains("NotRegistered"), "{line}");
    }
    assert!(ran.stdout.ends_with("  nothing costs requests\n"), "{}", ran.stdout);
}

#[test]
fn each_setting_that_costs_requests_is_named() {
    for (attributes, code, words) in [
        (json!({ "deregistration_delay.timeout_seconds": "5" }), "delay-too-short", "cut with a 502"),
        (json!({ "load_balancing.cross_zone.enabled": "false" }), "zone-alone", "answers everything with 503"),
        (json!({ "stickiness.enabled": "true" }), "sticky", "bound to a host"),
        (
            json!({ "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "2" }),
            "fail-open",
            "only 1 are left",
        ),
    ] {
        let double = double(&attributes);
        let ran = palindrome(&double, &[]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stdout.contains(&format!("[{code}]")) && ran.stdout.contains(words), "{code}: {}", ran.stdout);
        let ran = palindrome(&double, &["--output", "json"]);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(document["rollouts"][0]["advice"][0]["code"], code, "{document}");
        assert_eq!(document["rollouts"][0]["advice"][0]["costs"], "requests");
    }
}

#[test]
fn what_costs_only_seconds_is_no_failure() {
    let ran = palindrome(&double(&json!({ "slow_start.duration_seconds": "60" })), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("costs seconds:\n  - target group palindrome: slow start 60 s [slow-start]"), "{}", ran.stdout);
}

#[test]
fn an_api_that_says_no_is_told_and_no_key_is_shown() {
    let ran = Roll::new()
        .env("AWS_ACCESS_KEY_ID", "AKIDOUBLE")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .env("AWS_ENDPOINT_URL", &double(&json!({})).url)
        .args(["doctor", "--no-app", "-e", "release=1", "-e", "balancer_target_group=shop", "-i"])
        .args([here("terraform/outputs.example.json"), here("playbooks/palindrome.yaml")])
        .env("AWS_REGION", "eu-central-1")
        .run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!all.contains("not-a-secret") && !all.contains("AKIDOUBLE"), "{all}");
    assert!(ran.stderr.contains("[balancer-unreachable]") || ran.stderr.contains("[unknown-target-group]"), "{}", ran.stderr);
}

#[test]
fn haproxy_s_configuration_is_read_where_it_runs() {
    let bed = Bed::start();
    let at = |name: &str| bed.dir.path().join(name).display().to_string();
    let play = format!(
        "- name: shop\n  hosts: app\n  serial: 1\n  rollout:\n    app: shop\n    release: '1'\n    stop_grace: 30s\n    balancer:\n      kind: haproxy\n      \
         host: lb\n      backend: app\n      socket: {}\n      config: {}\n",
        at("admin.sock"),
        at("haproxy.cfg")
    );
    let hosts = "[app]\nweb1\nweb2\nweb3\n[front]\nlb ansible_connection=local\n";
    let ran = Roll::new().file("hosts", hosts).file("site.yaml", &play).args(["doctor", "-i", "hosts", "site.yaml"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stdout.contains("backend app: 3 targets, checks /healthz every 0.2 s, answers within 5 s, 3 retries"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("[no-redispatch]") && ran.stdout.contains("[answer-too-short]"), "{}", ran.stdout);
}

#[test]
fn a_play_that_drains_by_hand_is_shown_what_to_paste() {
    let play = r#"
- name: shop, one at a time
  hosts: web
  serial: 1
  pre_tasks:
    - name: out of the balancer
      ansible.builtin.shell: echo "set server shop/{{ inventory_hostname }} state maint" | socat stdio unix-connect:/run/haproxy.sock
      delegate_to: lb1
  tasks:
    - name: the new container runs
      community.docker.docker_container:
        name: shop
        image: "registry.example/shop:{{ version }}"
        published_ports: ["127.0.0.1:8080:80"]
    - name: it answers
      ansible.builtin.uri:
        url: "http://{{ ansible_host }}:8080/health"
  post_tasks:
    - name: back into the balancer
      ansible.builtin.shell: echo "set server shop/{{ inventory_hostname }} state ready" | socat stdio unix-connect:/run/haproxy.sock
      delegate_to: lb1
"#;
    let ran = Roll::new().file("site.yaml", play).args(["doctor", "-i", "web1,", "site.yaml"]).run();
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let shown = include_str!("../cases/rollout/suggestion.txt");
    assert_eq!(ran.stdout, shown);
}

/// What is suggested must be what is understood.
#[test]
fn what_is_suggested_can_be_pasted() {
    let play = "- name: shop\n  hosts: all\n  serial: 1\n  tasks:\n    - docker_container: {name: shop, image: 'shop:7', ports: ['80:5000']}\n";
    let ran = Roll::new().file("site.yaml", play).args(["doctor", "-i", "web1,", "site.yaml", "--output", "json"]).run();
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let yaml = document["without_rollout"][0]["yaml"].as_str().unwrap();
    let pasted = play.replace("  serial: 1\n", &format!("  serial: 1\n{yaml}"));
    let checked = Roll::new().file("site.yaml", &pasted).args(["--syntax-check", "-i", "web1,", "site.yaml"]).run();
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{pasted}");
}
