//! What is known of one host.

use super::{Ask, Phase, Step};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HostState {
    pub(super) at: At,
    /// The answer that is awaited.
    pub(super) ask: Option<Ask>,
    /// The app ran here before, so there is something to go back to.
    pub(super) has_old: bool,
    /// It served when the order was made. One that did not need not serve when it is brought back.
    pub(super) served_before: bool,
    /// It was asked to leave the balancer at least once: it must be put back.
    pub(super) is_touched: bool,
    /// It may be in the balancer now.
    pub(super) may_serve: bool,
    /// The old container may have been parked.
    pub(super) may_be_parked: bool,
    /// The new release may be here.
    pub(super) is_new: bool,
    /// It gave no answer, however often it was asked.
    pub(super) is_lost: bool,
}

/// The last thing that is known to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum At {
    Waiting,
    Inspected,
    Prepared,
    Ready,
    Drained,
    Quiet,
    Parked,
    Switched,
    Verified,
    Enabled,
    Healthy,
    Confirmed,
    Baked,
    Done,
    /// On the way back: must leave the balancer first.
    BackServing,
    BackDrained,
    BackQuiet,
    BackUnparked,
    BackVerified,
    BackEnabled,
    Reverted,
    /// Could not be brought back, or had nothing to go back to.
    Failed,
}

impl HostState {
    pub(super) fn new() -> HostState {
        HostState {
            at: At::Waiting,
            ask: None,
            has_old: false,
            served_before: false,
            is_touched: false,
            may_serve: true,
            may_be_parked: false,
            is_new: false,
            is_lost: false,
        }
    }

    /// From now on it may have happened.
    pub(super) fn asked(&mut self, ask: Ask) {
        self.ask = Some(ask);
        match ask.step {
            Step::Drain => self.is_touched = true,
            Step::Park => self.may_be_parked = true,
            Step::Switch => self.is_new = true,
            Step::Enable => self.may_serve = true,
            Step::Inspect
            | Step::Prepare
            | Step::Check
            | Step::AwaitQuiet
            | Step::Verify
            | Step::AwaitHealthy
            | Step::Confirm
            | Step::Bake
            | Step::Unpark
            | Step::Retire => {}
        }
    }

    /// Nothing more is going to happen to it in this direction.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.at, At::Reverted | At::Failed | At::Prepared) && self.ask.is_none()
    }

    pub(super) fn phase(&self) -> Phase {
        if let Some(ask) = self.ask.filter(|ask| !ask.is_back) {
            return match ask.step {
                Step::Inspect | Step::Prepare => Phase::Waiting,
                Step::Check => Phase::Checking,
                Step::Drain => Phase::Draining,
                Step::AwaitQuiet => Phase::Quiet,
                Step::Park | Step::Switch | Step::Unpark => Phase::Switching,
                Step::Verify => Phase::Verifying,
                Step::Enable | Step::AwaitHealthy => Phase::Enabling,
                Step::Confirm | Step::Bake => Phase::Baking,
                Step::Retire => Phase::Done,
            };
        }
        match self.at {
            At::Waiting | At::Inspected | At::Prepared => Phase::Waiting,
            At::Ready => Phase::Checking,
            At::Drained => Phase::Draining,
            At::Quiet => Phase::Quiet,
            At::Parked | At::Switched => Phase::Switching,
            At::Verified => Phase::Verifying,
            At::Enabled | At::Healthy => Phase::Enabling,
            At::Confirmed | At::Baked => Phase::Baking,
            At::Done => Phase::Done,
            At::BackServing | At::BackDrained | At::BackQuiet | At::BackUnparked | At::BackVerified | At::BackEnabled => {
                Phase::Reverting
            }
            At::Reverted => Phase::Reverted,
            At::Failed => Phase::Failed,
        }
    }
}
