//! The `alb` driver against the double of the API, whose data plane is a real HAProxy.

use super::bed::{self, HOSTS, PATIENCE, SLOW, ask_for};
use super::{named, until};
use roll::balancer::{Access, Alb, Balancer, BalancerError, Member, State, Target, Trouble};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What about a target group differs from test to test.
pub(super) struct Group {
    pub(super) delay: u32,
    pub(super) is_ip: bool,
    pub(super) attributes: Value,
    /// Hosts that are registered from the start.
    pub(super) registered: &'static [&'static str],
}

impl Default for Group {
    fn default() -> Self {
        Group { delay: 30, is_ip: false, attributes: json!({}), registered: &HOSTS }
    }
}

pub(super) fn group(name: &'static str, group: Group) -> Vec<(&'static str, Group)> {
    vec![(name, group)]
}

/// A double, its data plane, and three servers behind it.
pub(super) struct Bed {
    pub(super) inner: bed::Bed,
    pub(super) url: String,
    groups: Vec<String>,
    double: Double,
}

/// The process that answers as the API does.
pub(crate) struct Double {
    pub(crate) url: String,
    process: Child,
    _dir: tempfile::TempDir,
}

impl Double {
    pub(crate) fn start(config: &Value) -> Double {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("double.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_roll"));
        let mut process = command.args(["lab", "double"]).arg(&file).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Double { url: url.trim().to_owned(), process, _dir: dir }
    }

    pub(crate) fn admin(&self, method: &str, path: &str, body: &str) -> String {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        write!(stream, "{method} /_double/{path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    pub(crate) fn weather(&self, knobs: &Value) {
        self.admin("POST", "knobs", &knobs.to_string());
    }
}

impl Bed {
    pub(super) async fn start(groups: &[(&'static str, Group)]) -> Bed {
        let inner = bed::Bed::forwarding();
        let is_ip = groups.iter().any(|(_, group)| group.is_ip);
        let instance = |(number, name): (usize, &&str)| {
            json!({ "id": format!("i-{name}"), "name": name, "address": bed::address(number).to_string(),
                    "zone": if number == 2 { "lab-b" } else { "lab-a" } })
        };
        let instances: Vec<Value> = HOSTS.iter().enumerate().map(instance).collect();
        let described = |(number, (name, group)): (usize, &(&str, Group))| {
            let mut attributes = group.attributes.clone();
            attributes["deregistration_delay.timeout_seconds"] = json!(group.delay.to_string());
            let registered: Vec<String> = group.registered.iter().map(|name| id(name, is_ip)).collect();
            // One data plane: the first group's.
            json!({ "name": name, "port": inner.app_port, "is_ip": group.is_ip, "backend": (number == 0).then_some("app"),
                    "interval": 0.2, "timeout": 1.0, "rise": 2, "fall": 2, "attributes": attributes, "registered": registered })
        };
        let config = json!({
            "listen": "127.0.0.1:0",
            "zones": ["lab-a", "lab-b"],
            "groups": groups.iter().enumerate().map(described).collect::<Vec<_>>(),
            "instances": instances,
            "plane": { "unix": inner.dir.path().join("admin.sock") },
        });
        let double = Double::start(&config);
        let arn =
            |name: &str| format!("arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/{name}/0123456789abcdef");
        let groups = groups.iter().map(|(name, _)| arn(name)).collect();
        Bed { inner, url: double.url.clone(), groups, double }
    }

    pub(super) fn balancer(&self) -> Alb {
        let access = Access {
            region: None,
            profile: None,
            endpoint: Some(self.url.clone()),
            credentials: Some(("AKIDOUBLE".to_owned(), "not-a-secret".to_owned())),
            ..Access::default()
        };
        let member = |(number, name): (usize, &&str)| Member {
            instance: Some(id(name, false)),
            addresses: vec![bed::address(number).to_string()],
            zone: Some(if number == 2 { "lab-b" } else { "lab-a" }.to_owned()),
            ..Member::named(*name)
        };
        Alb::new(self.groups.clone(), None, 1, access, HOSTS.iter().enumerate().map(member).collect())
    }

    async fn serving(&self) -> Alb {
        let balancer = self.balancer();
        until(&balancer, "all serve", |targets| targets.iter().filter(|target| target.serves()).count() == 3).await;
        // The data plane follows within a tick or two.
        let start = Instant::now();
        while !HOSTS.iter().all(|host| (0..6).any(|_| self.inner.get() == *host)) {
            assert!(start.elapsed() < PATIENCE, "the data plane does not follow: {}", self.double.admin("GET", "plane", ""));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        balancer
    }

    fn calls(&self) -> Vec<Value> {
        serde_json::from_str(&self.double.admin("GET", "calls", "")).unwrap()
    }

    /// Who answers requests now.
    fn answering(&self) -> Vec<String> {
        let mut all: Vec<String> = (0..12).map(|_| self.inner.get()).collect();
        all.sort();
        all.dedup();
        all
    }

    pub(super) async fn until_answering(&self, wanted: &[&str]) {
        let start = Instant::now();
        while self.answering() != wanted {
            assert!(start.elapsed() < PATIENCE, "{:?} answer instead of {wanted:?}", self.answering());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a group calls a host.
fn id(name: &str, is_ip: bool) -> String {
    let number = HOSTS.iter().position(|host| *host == name).unwrap();
    if is_ip { bed::address(number).to_string() } else { format!("i-{name}") }
}

async fn state(balancer: &Alb, host: &str) -> (State, String) {
    let targets = balancer.read().await.unwrap();
    let target = named(&targets, host);
    (target.state, target.reason.clone())
}

#[tokio::test]
async fn requests_stop_only_after_the_lag_and_one_under_way_is_finished() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let balancer = bed.serving().await;
    bed.double.weather(&json!({ "lag_out": 1.5 }));
    balancer.drain("web2").await.unwrap();
    assert_eq!(
        state(&balancer, "web2").await,
        (State::Draining, "Target.DeregistrationInProgress: Target deregistration is in progress".to_owned())
    );
    assert_eq!(bed.answering(), HOSTS, "the nodes do not know yet");
    bed.until_answering(&["web1", "web3"]).await;
    assert_eq!(state(&balancer, "web2").await.0, State::Draining, "shown to the end of the delay");
    bed.double.weather(&json!({ "lag_out": 0 }));
    balancer.drain("web3").await.unwrap();
    bed.until_answering(&["web1"]).await;
    let front = bed.inner.front();
    let slow = std::thread::spawn(move || ask_for(front, SLOW));
    tokio::time::sleep(Duration::from_millis(300)).await;
    balancer.enable("web3").await.unwrap();
    until(&balancer, "web3 is back", |targets| named(targets, "web3").serves()).await;
    balancer.drain("web1").await.unwrap();
    bed.until_answering(&["web3"]).await;
    assert_eq!(slow.join().unwrap(), ("200".to_owned(), "web1".to_owned()));
}

#[tokio::test]
async fn what_is_still_under_way_when_the_delay_ends_is_cut() {
    let bed = Bed::start(&group("app", Group { delay: 0, ..Group::default() })).await;
    let balancer = bed.serving().await;
    for host in ["web2", "web3"] {
        balancer.drain(host).await.unwrap();
    }
    bed.until_answering(&["web1"]).await;
    let front = bed.inner.front();
    let slow = std::thread::spawn(move || ask_for(front, SLOW));
    tokio::time::sleep(Duration::from_millis(200)).await;
    balancer.drain("web1").await.unwrap();
    assert_ne!(slow.join().unwrap().0, "200");
}

#[tokio::test]
async fn a_target_is_starting_until_one_check_has_passed_and_its_failures_have_reasons() {
    let bed = Bed::start(&group("app", Group { registered: &["web1", "web3"], ..Group::default() })).await;
    let balancer = bed.balancer();
    until(&balancer, "two serve", |targets| targets.iter().filter(|target| target.serves()).count() == 2).await;
    assert_eq!(state(&balancer, "web2").await, (State::Out, "Target.NotRegistered".to_owned()));
    bed.inner.sick[1].store(true, Ordering::Relaxed);
    bed.double.weather(&json!({ "lag_in": 0.5 }));
    balancer.enable("web2").await.unwrap();
    assert!(state(&balancer, "web2").await.1.starts_with("Elb.RegistrationInProgress"));
    until(&balancer, "it is unhealthy", |targets| named(targets, "web2").state == State::Unhealthy).await;
    let reason = state(&balancer, "web2").await.1;
    assert_eq!(reason, "Target.ResponseCodeMismatch: Health checks failed with these codes: [503]");
    assert_eq!(bed.answering(), ["web1", "web3"]);
    bed.inner.sick[1].store(false, Ordering::Relaxed);
    until(&balancer, "it serves", |targets| named(targets, "web2").serves()).await;
    bed.until_answering(&HOSTS).await;
}

#[tokio::test]
async fn with_nothing_healthy_left_all_get_requests() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let balancer = bed.serving().await;
    bed.inner.sick.iter().for_each(|sick| sick.store(true, Ordering::Relaxed));
    until(&balancer, "nothing serves", |targets| targets.iter().all(|target| target.state == State::Unhealthy)).await;
    bed.until_answering(&HOSTS).await;
}

#[tokio::test]
async fn an_address_comes_back_only_after_the_delay() {
    let bed = Bed::start(&group("app", Group { delay: 2, is_ip: true, ..Group::default() })).await;
    let balancer = bed.serving().await;
    balancer.drain("web1").await.unwrap();
    let refused = balancer.enable("web1").await.unwrap_err();
    assert_eq!(refused, BalancerError::StillLeaving { target: "web1".to_owned(), seconds: 2 });
    assert_eq!(refused.trouble(), Trouble::NotYet);
    let start = Instant::now();
    while let Err(error) = balancer.enable("web1").await {
        assert!(start.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    until(&balancer, "it is back", |targets| named(targets, "web1").serves()).await;
}

#[tokio::test]
async fn each_kind_of_weather_is_told_apart_and_passes() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let balancer = bed.serving().await;
    let calm = json!({ "throttle": 0, "fail": 0, "expired": false, "denied": [], "slow": 0, "ignored": [] });
    let call = "DescribeTargetHealth";
    for (knobs, wanted) in [
        (json!({ "throttle": 1 }), BalancerError::Throttled { call }),
        (json!({ "fail": 1 }), BalancerError::Failing { call, why: "500 InternalFailure An internal error has occurred".into() }),
        (
            json!({ "expired": true }),
            BalancerError::Expired { why: "The security token included in the request is expired".into() },
        ),
        (
            json!({ "denied": [call] }),
            BalancerError::Denied { call, why: format!("User is not authorized to perform: elasticloadbalancing:{call}") },
        ),
        (json!({ "slow": 9 }), BalancerError::Silent { call, seconds: 5 }),
    ] {
        bed.double.weather(&knobs);
        let start = Instant::now();
        assert_eq!(balancer.read().await.unwrap_err(), wanted);
        assert!(start.elapsed() < Duration::from_secs(8), "{wanted:?} took {:?}", start.elapsed());
        bed.double.weather(&calm);
        assert_eq!(balancer.read().await.unwrap().len(), 3, "after {wanted:?}");
    }
    bed.double.weather(&json!({ "throttle": 0.5, "fail": 0.2 }));
    for host in HOSTS {
        balancer.drain(host).await.unwrap();
        balancer.enable(host).await.unwrap();
    }
    assert!(bed.calls().iter().any(|call| call["status"] == 400) && bed.calls().iter().any(|call| call["status"] == 500));
}

#[tokio::test]
async fn a_yes_that_is_not_followed_is_seen() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let balancer = bed.serving().await;
    bed.double.weather(&json!({ "ignored": ["DeregisterTargets"] }));
    let refused = balancer.drain("web1").await.unwrap_err();
    assert_eq!(refused, BalancerError::Ignored { target: "web1".to_owned(), state: "healthy".to_owned() });
}

#[tokio::test]
async fn an_api_that_is_not_there_and_a_group_that_is_not_there_are_different_things() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let access = |endpoint: &str| Access {
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credentials: Some(("AKIDOUBLE".to_owned(), "not-a-secret".to_owned())),
        profile: None,
        ..Access::default()
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = Alb::new(vec!["app".to_owned()], None, 1, access(&format!("http://{free}")), Vec::new());
    let error = gone.read().await.unwrap_err();
    assert!(matches!(error, BalancerError::Unreachable { .. }), "{error:?}");
    let shop = Alb::new(vec!["shop".to_owned()], None, 1, access(&bed.url), Vec::new());
    let unknown = BalancerError::UnknownGroup { name: "shop".to_owned(), region: "eu-central-1".to_owned() };
    assert_eq!(shop.read().await.unwrap_err(), unknown);
    let by_name = Alb::new(vec!["app".to_owned()], None, 1, access(&bed.url), Vec::new());
    assert_eq!(by_name.read().await.unwrap().len(), 3, "targets that are no host of the play are read as well");
    let nameless = Alb::new(vec!["app".to_owned()], None, 1, access(&bed.url), vec![Member::named("web1")]);
    assert!(matches!(nameless.read().await, Err(BalancerError::NamelessHost { .. })));
}

/// Without cross-zone balancing, web3 is alone in its zone.
#[tokio::test]
async fn the_last_of_a_zone_stays_unless_it_does_not_serve() {
    let alone = Group { attributes: json!({ "load_balancing.cross_zone.enabled": "false" }), ..Group::default() };
    let bed = Bed::start(&group("app", alone)).await;
    let balancer = bed.serving().await;
    let refused = balancer.drain("web3").await.unwrap_err();
    assert!(matches!(&refused, BalancerError::LastOne { pool, floor: 1, .. } if pool.starts_with("lab-b of")), "{refused:?}");
    balancer.drain("web1").await.unwrap();
    assert!(matches!(balancer.drain("web2").await, Err(BalancerError::LastOne { .. })));
    bed.inner.sick[2].store(true, Ordering::Relaxed);
    until(&balancer, "web3 is unhealthy", |targets| named(targets, "web3").state == State::Unhealthy).await;
    balancer.drain("web3").await.unwrap();
    let views: Value = serde_json::from_str(&bed.double.admin("GET", "views", "")).unwrap();
    let port = bed.inner.app_port;
    assert_eq!(views, json!({ "lab-a": [format!("i-web2:{port}")], "lab-b": [] }));
}

#[tokio::test]
async fn a_host_in_two_groups_leaves_both_and_serves_only_in_both() {
    let mut groups = group("app", Group::default());
    groups.push(("other", Group { registered: &["web1", "web2"], ..Group::default() }));
    let bed = Bed::start(&groups).await;
    bed.double.weather(&json!({ "page": 1 }));
    let balancer = bed.balancer();
    let serving = |targets: &[Target]| targets.iter().filter(|target| target.serves()).count();
    until(&balancer, "two serve in both", |targets| serving(targets) == 2).await;
    assert_eq!(state(&balancer, "web3").await, (State::Out, "other: Target.NotRegistered".to_owned()));
    balancer.drain("web1").await.unwrap();
    let refused = balancer.drain("web2").await.unwrap_err();
    assert!(matches!(&refused, BalancerError::LastOne { pool, .. } if pool == "target group other"), "{refused:?}");
    balancer.enable("web3").await.unwrap();
    until(&balancer, "web3 serves in both", |targets| named(targets, "web3").serves()).await;
    balancer.drain("web2").await.unwrap();
    assert_eq!(balancer.setup().await.unwrap().len(), 2);
}

/// One instance may be in a group with several ports: the new container serves before the old one leaves.
#[tokio::test]
async fn another_port_of_a_host_is_another_target() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let balancer = bed.serving().await;
    let listener = TcpListener::bind((bed::address(0), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let _sick = bed::serve("web1-new", listener, &Arc::new(AtomicUsize::new(0)));
    let other = format!("web1:{port}");
    balancer.enable(&other).await.unwrap();
    until(&balancer, "four serve", |targets| targets.iter().filter(|target| target.serves()).count() == 4).await;
    balancer.drain("web1").await.unwrap();
    bed.until_answering(&["web1-new", "web2", "web3"]).await;
    let targets = balancer.read().await.unwrap();
    assert!(named(&targets, &other).serves() && named(&targets, "web1").state == State::Draining, "{targets:?}");
}

#[tokio::test]
async fn slow_start_counts_as_starting() {
    let slow = Group { attributes: json!({ "slow_start.duration_seconds": "2" }), ..Group::default() };
    let bed = Bed::start(&group("app", slow)).await;
    let balancer = bed.serving().await;
    assert_eq!(balancer.ramp().await.unwrap(), Duration::from_secs(2));
    balancer.drain("web1").await.unwrap();
    balancer.enable("web1").await.unwrap();
    until(&balancer, "it ramps up", |targets| named(targets, "web1").reason.starts_with("slow start")).await;
    assert_eq!(state(&balancer, "web1").await.0, State::Starting);
    until(&balancer, "it is up", |targets| named(targets, "web1").serves()).await;
}

/// The API's limits hold for the whole account; this client alone must not reach them.
#[tokio::test]
async fn calls_are_paced_below_the_limits() {
    let bed = Bed::start(&group("app", Group::default())).await;
    let balancer = bed.serving().await;
    bed.double.weather(&json!({ "limits": true }));
    let before = bed.calls().len();
    let start = Instant::now();
    for _ in 0..30 {
        balancer.read().await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(1500), "30 reads took {:?}", start.elapsed());
    for _ in 0..4 {
        balancer.drain("web1").await.unwrap();
        balancer.enable("web1").await.unwrap();
    }
    let calls = bed.calls().split_off(before);
    assert!(calls.iter().all(|call| call["status"] == 200), "{calls:?}");
    let writes: Vec<f64> =
        calls.iter().filter(|call| call["action"] != "DescribeTargetHealth").map(|call| call["at"].as_f64().unwrap()).collect();
    assert_eq!(writes.len(), 8);
}

#[tokio::test]
async fn the_setup_is_what_the_group_and_the_load_balancer_say() {
    let attributes = json!({ "stickiness.enabled": "true", "slow_start.duration_seconds": "40" });
    let bed = Bed::start(&group("app", Group { delay: 35, attributes, ..Group::default() })).await;
    let setup = bed.serving().await.setup().await.unwrap().remove(0);
    assert_eq!((setup.pool.as_str(), setup.target_type.as_deref()), ("target group app", Some("instance")));
    assert_eq!((setup.targets, setup.zones, setup.is_used), (3, 2, Some(true)));
    assert_eq!((setup.drain_seconds, setup.ramp_seconds, setup.idle_seconds), (Some(35.0), Some(40.0), Some(60.0)));
    assert_eq!((setup.is_sticky, setup.is_cross_zone, setup.fail_open_below), (Some(true), Some(true), Some(1)));
    let check = setup.check.unwrap();
    assert_eq!((check.rise, check.fall, check.path.as_deref()), (2, 2, Some("/healthz")));
}
