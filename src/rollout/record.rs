//! What is written down on a host, so that whoever comes after a crash can go on: intent before what may not be undone, success after the rest.

use super::{Ask, Host, Reached, Rollout, Step};

/// The rules of writing for one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    has_bake: bool,
    is_start_first: bool,
}

impl Recording {
    /// Before a step is begun.
    pub fn before(self, ask: Ask, recorded: Reached) -> Reached {
        match (ask.step, recorded) {
            (Step::Drain, Reached::Nothing) if !ask.is_back => Reached::Left,
            (Step::Drain | Step::Revive, Reached::Done) if ask.is_back => Reached::Switched,
            (Step::Park, Reached::Left) | (Step::Aside, Reached::Nothing | Reached::Left) => Reached::Parked,
            (Step::Unpark, _) => Reached::Left,
            (Step::Retire, _) => Reached::Retired,
            _ => recorded,
        }
    }

    /// After a step went well.
    pub fn after(self, ask: Ask, recorded: Reached) -> Reached {
        match ask.step {
            Step::Switch => Reached::Switched,
            Step::Confirm if !self.has_bake => Reached::Done,
            Step::Bake => Reached::Done,
            Step::AwaitHealthy if ask.is_back && !self.is_start_first => Reached::Nothing,
            Step::Unpark if self.is_start_first => Reached::Nothing,
            _ => recorded,
        }
    }
}

impl Rollout {
    pub fn recording(&self, host: Host) -> Recording {
        Recording { has_bake: self.rules.bake, is_start_first: self.starts_first(host) }
    }
}
