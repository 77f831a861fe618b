//! Load balancers: one file a driver, one row in [`DRIVERS`], one contract suite for all (`tests/it/balancer.rs`).
//!
//! Main type: the trait [`Balancer`]: read every target's state, take a target out of rotation, put it back, say how it is set up. All
//! of it is idempotent, and a read is always made anew: the truth is in the balancer. A driver never decides whether a target may
//! leave (that is `rollout`); the one thing it refuses is what only it can see, the last serving target of an availability zone or of
//! one of several target groups. It opens no connection to a host by itself: the engine gives it what it needs ([`Tools`]).
//!
//! Out is two steps: `drain`, until the target's sessions are 0 (or the patience ends), then `maint`. Only the second closes idle
//! keep-alive connections to the target and ends the health checks, both of which its host cannot tell from requests (`_quiet`).
//!
//! What goes wrong is one of three kinds ([`BalancerError::kind`]): *weather* (throttled, failing, silent: hold and ask again, never go
//! on without a fresh reading), *not yet* (a rule of the balancer that passes by itself), and *wrong* (asking again changes nothing).
//! Start reading at [`Balancer`], then `haproxy.rs`; `alb.rs` is the one with weather. `advice.rs` is what `roll doctor` knows.

pub mod advice;
mod alb;
mod failure;
mod haproxy;
mod none;
mod setup;

pub use alb::{Access, Alb, Place};
pub use failure::{BalancerError, Trouble};
pub use haproxy::HaProxy;
pub use none::NoBalancer;
pub use setup::{Check, Setup};

use crate::value::Map;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What a driver answers with, in its own time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BalancerError>> + Send + 'a>>;

/// One set of targets: an HAProxy backend, a target group (or several that hold the same hosts).
///
/// A target is named as the inventory names its host. `host:port` is the same host on another port, where the balancer knows such.
pub trait Balancer: Send + Sync {
    /// Every target as it is now.
    fn read(&self) -> Answer<'_, Vec<Target>>;
    /// No new requests; what is under way may end.
    fn drain<'a>(&'a self, target: &'a str) -> Answer<'a, ()>;
    /// Out for good, also for what clings to it (persistent sessions, idle connections), and no more health checks.
    fn maint<'a>(&'a self, target: &'a str) -> Answer<'a, ()>;
    /// Back into rotation, as soon as it is healthy.
    fn enable<'a>(&'a self, target: &'a str) -> Answer<'a, ()>;
    /// How it is set up, each pool of targets by itself.
    fn setup(&self) -> Answer<'_, Vec<Setup>>;
    /// How much longer than usual a healthy target may take until it carries its full share.
    fn ramp(&self) -> Answer<'_, Duration> {
        Box::pin(async { Ok(Duration::ZERO) })
    }
}

/// A target as the balancer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    /// Address and port, where the balancer says them.
    pub address: Option<String>,
    pub state: State,
    /// In the balancer's own words: `L7STS/503`, `Target.Timeout`.
    pub reason: String,
    /// Sessions and queued requests now; `None` where the balancer does not count them.
    pub sessions: Option<u64>,
    /// Its availability zone, where the balancer has such.
    pub zone: Option<String>,
    /// Where no other pool can stand in for it.
    pub standings: Vec<Standing>,
}

/// A target in a pool that must do with its own: a zone without cross-zone balancing, one of several target groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `eu-central-1a of target group shop, which has no cross-zone balancing`
    pub pool: String,
    /// The fewest that may serve in it.
    pub floor: usize,
    pub is_serving: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// In rotation and healthy: it gets requests.
    Serving,
    /// It still gets requests, but its last checks failed.
    Wavering,
    /// In rotation, not healthy.
    Unhealthy,
    /// Put in rotation, not yet checked.
    Starting,
    /// On its way out: no new requests.
    Draining,
    /// Out.
    Out,
}

impl Target {
    pub fn serves(&self) -> bool {
        matches!(self.state, State::Serving | State::Wavering)
    }

    /// It serves, and no check has said otherwise.
    pub fn serves_steadily(&self) -> bool {
        self.state == State::Serving
    }
}

impl State {
    /// One word for people.
    pub fn name(self) -> &'static str {
        match self {
            State::Serving => "serving",
            State::Wavering => "wavering",
            State::Unhealthy => "unhealthy",
            State::Starting => "starting",
            State::Draining => "draining",
            State::Out => "out",
        }
    }
}

/// A way to a balancer that listens on a socket of its host.
pub trait Socket: Send + Sync {
    /// One command, its whole answer.
    fn ask<'a>(&'a self, command: &'a str) -> Answer<'a, String>;
    /// A file of that host, such as the balancer's configuration.
    fn file<'a>(&'a self, path: &'a str) -> Answer<'a, String> {
        Box::pin(async move { Err(BalancerError::Unreachable { why: format!("nobody can read `{path}` there") }) })
    }
}

/// A host of the play, and what is known about it by which a balancer may call it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub host: String,
    /// What `rollout.balancer.target` says, rendered for this host.
    pub target: Option<String>,
    /// The variable `instance_id`.
    pub instance: Option<String>,
    /// Addresses by which it may be registered, the likeliest first.
    pub addresses: Vec<String>,
    /// Its availability zone.
    pub zone: Option<String>,
    /// What `rollout.balancer.second_server` says: HAProxy's server for its second port.
    pub second: Option<String>,
}

impl Member {
    pub fn named(host: impl Into<String>) -> Member {
        Member { host: host.into(), ..Member::default() }
    }
}

/// What the engine gives a driver.
#[derive(Clone, Default)]
pub struct Tools {
    /// To the admin socket on the host that the options name.
    pub socket: Option<Arc<dyn Socket>>,
    /// The play's hosts.
    pub members: Vec<Member>,
    /// The port that every host has beside its usual one, where a new container starts beside the old one.
    pub second_port: Option<u16>,
}

impl Tools {
    fn names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.host.clone()).collect()
    }
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tools").field("members", &self.members).finish_non_exhaustive()
    }
}

/// One row: a driver, and what a playbook may say about it under `rollout.balancer`.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    pub kind: &'static str,
    pub summary: &'static str,
    pub options: &'static [Setting],
    pub open: Open,
}

/// Options checked, defaults filled in.
pub type Open = fn(&Map, Tools) -> Result<Box<dyn Balancer>, BalancerError>;

/// One option of a driver.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub required: bool,
    pub default: Option<&'static str>,
    pub help: &'static str,
}

impl Setting {
    const fn new(name: &'static str, help: &'static str) -> Setting {
        Setting { name, required: false, default: None, help }
    }

    const fn required(self) -> Setting {
        Setting { required: true, ..self }
    }

    const fn default(self, default: &'static str) -> Setting {
        Setting { default: Some(default), ..self }
    }
}

/// Every driver, by kind.
pub static DRIVERS: &[&Driver] = &[&alb::DRIVER, &haproxy::DRIVER, &none::DRIVER];

pub fn find(kind: &str) -> Option<&'static Driver> {
    DRIVERS.iter().copied().find(|driver| driver.kind == kind)
}

/// Opens the driver that `rollout.balancer` names, its options checked.
pub fn open(options: &Map, tools: Tools) -> Result<Box<dyn Balancer>, BalancerError> {
    let kind = options.get("kind").map(|kind| kind.to_text().as_str().to_owned()).unwrap_or_default();
    let Some(driver) = find(&kind) else { return Err(BalancerError::UnknownKind { kind }) };
    for name in options.keys().map(ToString::to_string).filter(|name| name != "kind") {
        if !driver.options.iter().any(|setting| setting.name == name) {
            return Err(BalancerError::UnknownOption { kind: driver.kind, name });
        }
    }
    let mut full = options.clone();
    for setting in driver.options.iter().filter(|setting| !options.contains_key(setting.name)) {
        match setting.default {
            Some(default) => drop(full.insert(setting.name.into(), default.into())),
            None if setting.required => return Err(BalancerError::MissingOption { kind: driver.kind, name: setting.name }),
            None => {}
        }
    }
    (driver.open)(&full, tools)
}

/// An option as text; empty where it is not there.
fn word(options: &Map, name: &str) -> String {
    options.get(name).map(|value| value.to_text().as_str().trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Explain as _;
    use crate::value::Value;

    fn tools() -> Tools {
        Tools { members: vec![Member::named("web1")], ..Tools::default() }
    }

    fn options(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().map(|(name, value)| ((*name).into(), Value::from(*value))).collect()
    }

    fn refused(pairs: &[(&str, &str)]) -> BalancerError {
        open(&options(pairs), tools()).err().unwrap()
    }

    #[test]
    fn what_a_playbook_says_is_checked() {
        assert!(open(&options(&[("kind", "none")]), tools()).is_ok());
        assert_eq!(refused(&[("kind", "elb")]), BalancerError::UnknownKind { kind: "elb".to_owned() });
        assert_eq!(refused(&[("kind", "haproxy")]), BalancerError::MissingOption { kind: "haproxy", name: "backend" });
        assert_eq!(refused(&[("kind", "alb")]), BalancerError::MissingOption { kind: "alb", name: "target_group" });
        let typo = refused(&[("kind", "haproxy"), ("backnd", "app")]);
        assert!(typo.explain().help[0].contains("`backend`"), "{typo:?}");
    }

    #[test]
    fn drivers_have_different_kinds() {
        let kinds: std::collections::BTreeSet<_> = DRIVERS.iter().map(|driver| driver.kind).collect();
        assert_eq!(kinds.len(), DRIVERS.len());
    }
}
