//! `none`: no balancer. Every host of the play counts as serving; health is judged by URL alone.

use super::{Answer, Balancer, BalancerError, Driver, Setup, State, Target, Tools};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

pub(super) static DRIVER: Driver = Driver {
    kind: "none",
    summary: "no balancer: hosts are worked on in order, health by URL only",
    options: &[],
    open: |_, tools| Ok(Box::new(NoBalancer::new(&tools))),
};

/// Remembers who was asked to leave, so that the floor holds within one run.
#[derive(Debug)]
pub struct NoBalancer {
    targets: Vec<String>,
    out: Mutex<BTreeSet<String>>,
}

impl NoBalancer {
    /// Which of two ports an app is on is not known here: both count, until one is asked to leave.
    pub fn new(tools: &Tools) -> NoBalancer {
        let names = tools.names();
        let seconds = tools.second_port.into_iter().flat_map(|port| names.iter().map(move |name| format!("{name}:{port}")));
        NoBalancer { targets: seconds.chain(names.iter().cloned()).collect(), out: Mutex::default() }
    }

    fn set(&self, target: &str, is_out: bool) -> Result<(), BalancerError> {
        if !self.targets.iter().any(|known| known == target) {
            return Err(BalancerError::UnknownTarget { name: target.to_owned(), known: self.targets.clone() });
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if is_out {
            out.insert(target.to_owned());
        } else {
            out.remove(target);
        }
        Ok(())
    }
}

impl Balancer for NoBalancer {
    fn read(&self) -> Answer<'_, Vec<Target>> {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let target = |name: &String| Target {
            name: name.clone(),
            address: None,
            state: if out.contains(name) { State::Out } else { State::Serving },
            reason: String::new(),
            sessions: None,
            zone: None,
            standings: Vec::new(),
        };
        let targets = self.targets.iter().map(target).collect();
        Box::pin(async move { Ok(targets) })
    }

    fn drain<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.set(target, true) })
    }

    fn maint<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        self.drain(target)
    }

    fn enable<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.set(target, false) })
    }

    /// Nothing stands in front of the hosts that could be set up.
    fn setup(&self) -> Answer<'_, Vec<Setup>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
