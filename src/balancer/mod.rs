//! Load balancers: one file a driver, one row in [`DRIVERS`], one contract suite for all (`tests/it/balancer.rs`).
//!
//! Main type: the trait [`Balancer`]: read every target's state, take a target out of rotation, put it back. All of it is idempotent, and a
//! read is always made anew: nothing is remembered here, the truth is in the balancer. A driver never decides whether a target may
//! leave (that is `rollout`) and opens no connection by itself: the engine gives it what it needs ([`Tools`]).
//!
//! Out is two steps: `drain`, until the target's sessions are 0 (or the patience ends), then `maint`. Only the second closes idle
//! keep-alive connections to the target and ends the health checks, both of which its host cannot tell from requests (`_quiet`).
//! Start reading at [`Balancer`], then `haproxy.rs`.

mod haproxy;
mod none;

pub use haproxy::HaProxy;
pub use none::NoBalancer;

use crate::diag::{Diagnostic, Explain, closest};
use crate::value::Map;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a driver answers with, in its own time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BalancerError>> + Send + 'a>>;

/// One set of targets: an HAProxy backend, a target group.
pub trait Balancer: Send + Sync {
    /// Every target as it is now.
    fn read(&self) -> Answer<'_, Vec<Target>>;
    /// No new requests; what is under way may end.
    fn drain<'a>(&'a self, target: &'a str) -> Answer<'a, ()>;
    /// Out for good, also for what clings to it (persistent sessions, idle connections), and no more health checks.
    fn maint<'a>(&'a self, target: &'a str) -> Answer<'a, ()>;
    /// Back into rotation, as soon as it is healthy.
    fn enable<'a>(&'a self, target: &'a str) -> Answer<'a, ()>;
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

/// A way to give commands to a balancer that listens on a socket of its host.
pub trait Socket: Send + Sync {
    /// One command, its whole answer.
    fn ask<'a>(&'a self, command: &'a str) -> Answer<'a, String>;
}

/// What the engine gives a driver.
#[derive(Clone)]
pub struct Tools {
    /// To the admin socket on the host that the options name.
    pub socket: Option<Arc<dyn Socket>>,
    /// The targets of the play's hosts, as the balancer calls them.
    pub targets: Vec<String>,
}

impl std::fmt::Debug for Tools {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tools").field("targets", &self.targets).finish_non_exhaustive()
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
pub static DRIVERS: &[&Driver] = &[&haproxy::DRIVER, &none::DRIVER];

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

/// What can go wrong with a balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalancerError {
    UnknownKind {
        kind: String,
    },
    UnknownOption {
        kind: &'static str,
        name: String,
    },
    MissingOption {
        kind: &'static str,
        name: &'static str,
    },
    /// No answer: the host, the socket, the API.
    Unreachable {
        why: String,
    },
    UnknownTarget {
        name: String,
        known: Vec<String>,
    },
    UnknownBackend {
        name: String,
        known: Vec<String>,
    },
    /// It answered, and the answer is no.
    Refused {
        command: String,
        answer: String,
    },
    /// It answered something that is not understood.
    Unreadable {
        what: &'static str,
        answer: String,
    },
}

impl Explain for BalancerError {
    fn explain(&self) -> Diagnostic {
        match self {
            BalancerError::UnknownKind { kind } => {
                let kinds: Vec<&str> = DRIVERS.iter().map(|driver| driver.kind).collect();
                let diagnostic = Diagnostic::error("unknown-balancer", format!("there is no balancer of kind `{kind}`"));
                diagnostic.note(format!("known kinds: {}", kinds.join(", ")))
            }
            BalancerError::UnknownOption { kind, name } => {
                let known = find(kind).map(|driver| driver.options.iter().map(|setting| setting.name).collect::<Vec<_>>());
                let diagnostic =
                    Diagnostic::error("unknown-balancer-option", format!("balancer `{kind}` has no option `{name}`"));
                match closest(name, known.unwrap_or_default()) {
                    Some(near) => diagnostic.help(format!("an option with a similar name exists: `{near}`")),
                    None => diagnostic,
                }
            }
            BalancerError::MissingOption { kind, name } => {
                Diagnostic::error("missing-balancer-option", format!("balancer `{kind}` needs the option `{name}`"))
            }
            BalancerError::Unreachable { why } => {
                Diagnostic::error("balancer-unreachable", format!("the balancer gives no answer: {why}"))
            }
            BalancerError::UnknownTarget { name, known } => {
                Diagnostic::error("unknown-target", format!("the balancer has no target `{name}`"))
                    .note(format!("its targets: {}", known.join(", ")))
            }
            BalancerError::UnknownBackend { name, known } => {
                Diagnostic::error("unknown-backend", format!("haproxy has no backend `{name}`"))
                    .note(format!("its backends: {}", known.join(", ")))
            }
            BalancerError::Refused { command, answer } => {
                let diagnostic = Diagnostic::error("balancer-refused", format!("the balancer refused `{command}`: {answer}"));
                let is_level = answer.to_ascii_lowercase().contains("permission denied");
                let help = "give its socket the level it needs: `stats socket /run/haproxy/admin.sock level admin`";
                if is_level { diagnostic.help(help) } else { diagnostic }
            }
            BalancerError::Unreadable { what, answer } => {
                let start: String = answer.chars().take(200).collect();
                Diagnostic::error("balancer-unreadable", format!("the balancer's {what} cannot be read"))
                    .note(format!("it begins: {start}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn tools() -> Tools {
        Tools { socket: None, targets: vec!["web1".to_owned()] }
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
        let typo = refused(&[("kind", "haproxy"), ("backnd", "app")]);
        assert!(typo.explain().help[0].contains("`backend`"), "{typo:?}");
    }

    #[test]
    fn drivers_have_different_kinds() {
        let kinds: std::collections::BTreeSet<_> = DRIVERS.iter().map(|driver| driver.kind).collect();
        assert_eq!(kinds.len(), DRIVERS.len());
    }
}
