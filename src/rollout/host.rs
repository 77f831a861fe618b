//! What is known of one host.

use super::{Ask, Found, Reached, Step};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HostState {
    pub(super) at: At,
    /// The answer that is awaited.
    pub(super) ask: Option<Ask>,
    /// How often it was told "not now".
    pub(super) round: u8,
    pub(super) is_locked: bool,
    /// How far an earlier try came.
    pub(super) reached: Reached,
    /// The app ran here before, so there is something to go back to.
    pub(super) has_old: bool,
    /// There was something when it was looked at that the new one can start beside. Decides its way, so it never changes.
    pub(super) is_accompanied: bool,
    /// It served before anything was done to it. One that did not need not serve when it is brought back.
    pub(super) served_before: bool,
    /// It was asked to leave the balancer at least once: it must be put back.
    pub(super) is_touched: bool,
    /// It may be in the balancer now.
    pub(super) may_serve: bool,
    /// Nothing was connected to it when it was looked at last, and it was not in the balancer since.
    pub(super) is_quiet: bool,
    /// The old container may have been parked.
    pub(super) may_be_parked: bool,
    /// The new release may be here.
    pub(super) is_new: bool,
    /// It gave no answer, however often it was asked.
    pub(super) is_lost: bool,
}

/// How far a host is, as far as is known to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum At {
    /// In the steps that all hosts take first.
    Early,
    /// Through with them, on no way yet.
    Ready,
    /// So many steps of its way are done.
    Forward(u8),
    Done,
    /// So many steps of the way back are done.
    Back(u8),
    Reverted,
    /// Could not be brought back, or had nothing to go back to.
    Failed,
    /// Dead from the beginning, and left out.
    Skipped,
}

impl HostState {
    pub(super) fn new() -> HostState {
        HostState {
            at: At::Early,
            ask: None,
            round: 0,
            is_locked: false,
            reached: Reached::Nothing,
            has_old: false,
            is_accompanied: false,
            served_before: false,
            is_touched: false,
            may_serve: true,
            is_quiet: false,
            may_be_parked: false,
            is_new: false,
            is_lost: false,
        }
    }

    /// What an earlier try may have done is as if this one had.
    pub(super) fn found(&mut self, found: Found) {
        self.has_old = found.has_old;
        self.is_accompanied = found.has_old;
        self.reached = found.reached;
        self.is_touched = matches!(found.reached, Reached::Left | Reached::Parked | Reached::Switched | Reached::Done);
        self.served_before = self.is_touched && found.served;
        self.may_be_parked = matches!(found.reached, Reached::Parked | Reached::Switched | Reached::Done);
        self.is_new = self.may_be_parked;
    }

    /// From now on it may have happened.
    pub(super) fn asked(&mut self, ask: Ask) {
        self.ask = Some(ask);
        match ask.step {
            Step::Drain => self.is_touched = true,
            Step::Park => self.may_be_parked = true,
            Step::Aside => {
                self.is_touched = true;
                self.may_be_parked = true;
            }
            Step::Switch => self.is_new = true,
            Step::Enable => {
                self.may_serve = true;
                self.is_quiet = false;
            }
            Step::Lock
            | Step::Number
            | Step::Inspect
            | Step::Prepare
            | Step::Check
            | Step::AwaitQuiet
            | Step::Verify
            | Step::AwaitHealthy
            | Step::Confirm
            | Step::Bake
            | Step::Revive
            | Step::Unpark
            | Step::Retire => {}
        }
    }

    /// Takes part in the rollout.
    pub(super) fn is_alive(&self) -> bool {
        self.at != At::Skipped
    }

    /// Nothing more is going to happen to it in this direction.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.at, At::Reverted | At::Failed | At::Ready | At::Skipped) && self.ask.is_none()
    }
}
