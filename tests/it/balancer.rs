//! One contract for every balancer driver: `haproxy` against a real HAProxy on loopback, `alb` against the double of its API, which drives
//! such an HAProxy (`balancer/alb.rs`).

pub(crate) mod alb;
pub(crate) mod bed;
pub(crate) mod python;

use bed::{Bed, HOSTS, PATIENCE, Unix};
use roll::balancer::{Balancer, BalancerError, HaProxy, Member, NoBalancer, State, Target, Tools};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What every driver must do with three healthy targets; `settle` is how long it may take to show.
async fn keeps_the_contract(balancer: &dyn Balancer) {
    let states = |targets: Vec<Target>| targets.into_iter().map(|target| (target.name, target.state)).collect::<Vec<_>>();
    until(balancer, "all serve", |targets| targets.len() == 3 && targets.iter().all(Target::serves)).await;

    balancer.drain("web2").await.unwrap();
    until(balancer, "web2 is out", |targets| !named(targets, "web2").serves()).await;
    balancer.drain("web2").await.unwrap();
    let after = balancer.read().await.unwrap();
    assert!(matches!(named(&after, "web2").state, State::Draining | State::Out), "{after:?}");
    assert!(named(&after, "web1").serves() && named(&after, "web3").serves(), "{after:?}");

    balancer.maint("web2").await.unwrap();
    until(balancer, "web2 is in maintenance", |targets| named(targets, "web2").state == State::Out).await;

    balancer.enable("web2").await.unwrap();
    until(balancer, "web2 is back", |targets| named(targets, "web2").serves()).await;
    balancer.enable("web2").await.unwrap();
    assert_eq!(states(balancer.read().await.unwrap()).len(), 3);

    for unknown in ["web9", "", "web1; show env", "a/b"] {
        let refused = balancer.drain(unknown).await;
        assert!(matches!(refused, Err(BalancerError::UnknownTarget { .. })), "{unknown:?}: {refused:?}");
    }
}

/// A host with two ports is two targets, of which either may stay alone: `web1` and `web1:PORT`.
async fn tells_two_ports_apart(balancer: &dyn Balancer, port: u16) {
    let (first, second) = ("web1", format!("web1:{port}"));
    let serves = |targets: &[Target], name: &str| targets.iter().any(|target| target.name == name && target.serves());
    balancer.drain(&second).await.unwrap();
    balancer.maint(&second).await.unwrap();
    until(balancer, "one alone", |targets| serves(targets, first) && !serves(targets, &second)).await;
    for _ in 0..2 {
        for (stays, leaves) in [(second.as_str(), first), (first, second.as_str())] {
            balancer.enable(stays).await.unwrap();
            until(balancer, "both at once", |targets| serves(targets, first) && serves(targets, &second)).await;
            balancer.drain(leaves).await.unwrap();
            until(balancer, "one of them left", |targets| !serves(targets, leaves)).await;
            balancer.maint(leaves).await.unwrap();
            assert!(serves(&balancer.read().await.unwrap(), stays), "{stays} serves alone");
        }
    }
    let all = balancer.read().await.unwrap();
    assert!(serves(&all, "web2") && serves(&all, "web3"), "{all:?}");
}

fn named<'t>(targets: &'t [Target], name: &str) -> &'t Target {
    targets.iter().find(|target| target.name == name).expect("a target of that name")
}

async fn until(balancer: &dyn Balancer, what: &str, is_so: impl Fn(&[Target]) -> bool) {
    let start = Instant::now();
    loop {
        let targets = balancer.read().await.unwrap();
        if is_so(&targets) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "waited for: {what}; found {targets:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn none_keeps_the_contract() {
    let members = HOSTS.map(Member::named).to_vec();
    keeps_the_contract(&NoBalancer::new(&Tools { members, ..Tools::default() })).await;
}

#[tokio::test]
async fn none_tells_two_ports_apart() {
    let members = HOSTS.map(Member::named).to_vec();
    tells_two_ports_apart(&NoBalancer::new(&Tools { members, second_port: Some(5001), ..Tools::default() }), 5001).await;
}

#[tokio::test]
async fn haproxy_tells_two_ports_apart() {
    let bed = Bed::with_a_second_port();
    let port = bed.second_port;
    let balancer = bed.balancer("app").with_seconds(vec![(format!("web1:{port}"), "web1-b".to_owned())]);
    until(&balancer, "all serve", |targets| targets.len() == 4 && targets.iter().all(Target::serves)).await;
    tells_two_ports_apart(&balancer, port).await;
    let answers: Vec<String> = (0..9).map(|_| bed.get()).collect();
    assert!(answers.iter().any(|answer| answer == "web1") && !answers.iter().any(|answer| answer == "web1-b"), "{answers:?}");
    // Its server is no target by its own name.
    let refused = balancer.drain("web1:1").await;
    assert!(matches!(refused, Err(BalancerError::UnknownTarget { .. })), "{refused:?}");
}

#[tokio::test]
async fn alb_tells_two_ports_apart() {
    let bed = alb::Bed::start(&alb::group("app", alb::Group { delay: 1, ..alb::Group::default() })).await;
    let balancer = bed.balancer();
    until(&balancer, "all serve", |targets| targets.len() == 3 && targets.iter().all(Target::serves)).await;
    tells_two_ports_apart(&balancer, bed.inner.second_port).await;
    bed.until_answering(&HOSTS).await;
}

#[tokio::test]
async fn haproxy_keeps_the_contract() {
    let bed = Bed::start();
    keeps_the_contract(&bed.balancer("app")).await;
}

/// Against the double of the API, with a real HAProxy as its data plane.
#[tokio::test]
async fn alb_keeps_the_contract() {
    let bed = alb::Bed::start(&alb::group("app", alb::Group { delay: 1, ..alb::Group::default() })).await;
    keeps_the_contract(&bed.balancer()).await;
}

#[tokio::test]
async fn a_drained_haproxy_server_gets_no_requests_and_a_dead_one_is_seen() {
    let bed = Bed::start();
    let balancer = bed.balancer("app");
    until(&balancer, "all serve", |targets| targets.iter().all(Target::serves)).await;
    assert!((0..6).any(|_| bed.get() == "web2"), "round robin reaches web2");
    balancer.drain("web2").await.unwrap();
    let answers: Vec<String> = (0..12).map(|_| bed.get()).collect();
    assert!(answers.iter().all(|answer| answer == "web1" || answer == "web3"), "{answers:?}");
    bed.sick[0].store(true, Ordering::Relaxed);
    until(&balancer, "web1 is unhealthy", |targets| named(targets, "web1").state == State::Unhealthy).await;
    let reason = named(&balancer.read().await.unwrap(), "web1").reason.clone();
    assert_eq!(reason, "L7STS/503");
}

/// Idle keep-alive connections to a server would look like traffic to its host.
#[tokio::test]
async fn maintenance_closes_haproxy_s_idle_connections() {
    let bed = Bed::start();
    let balancer = bed.balancer("app");
    until(&balancer, "all serve", |targets| targets.iter().all(Target::serves)).await;
    (0..6).for_each(|_| drop(bed.get()));
    assert!(bed.open() > 0, "connections are kept for reuse");
    for server in ["web1", "web2", "web3"] {
        balancer.drain(server).await.unwrap();
    }
    for server in ["web1", "web2", "web3"] {
        balancer.maint(server).await.unwrap();
    }
    let start = Instant::now();
    while bed.open() > 0 {
        assert!(start.elapsed() < PATIENCE, "{} connections stay open", bed.open());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_haproxy_says_no_to_is_told() {
    let bed = Bed::start();
    let unknown = bed.balancer("shop").read().await;
    let Err(BalancerError::UnknownBackend { known, .. }) = unknown else { panic!("{unknown:?}") };
    assert!(known.contains(&"app".to_owned()), "{known:?}");
    let gone = HaProxy::new("app".to_owned(), Arc::new(Unix(bed.dir.path().join("nothing.sock")))).read().await;
    assert!(matches!(gone, Err(BalancerError::Unreachable { .. })), "{gone:?}");
    let weak = HaProxy::new("app".to_owned(), Arc::new(Unix(bed.dir.path().join("user.sock")))).drain("web1").await;
    assert!(matches!(weak, Err(BalancerError::Refused { .. })), "{weak:?}");
}
