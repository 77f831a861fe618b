//! How a balancer is set up, as far as a rollout's requests and seconds depend on it.

use serde::Serialize;

/// One pool of targets: a target group, a backend. What the balancer has no such thing for, or does not say, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Setup {
    /// `target group palindrome`, `backend app`.
    pub pool: String,
    /// `instance` or `ip`.
    pub target_type: Option<String>,
    /// How many targets are registered now, and in how many availability zones.
    pub targets: usize,
    pub zones: usize,
    pub check: Option<Check>,
    /// Between leaving and being cut.
    pub drain_seconds: Option<f64>,
    /// After becoming healthy, until the full share of requests.
    pub ramp_seconds: Option<f64>,
    /// Clients stick to a target.
    pub is_sticky: Option<bool>,
    /// Hosts whose zone nobody knows, where it matters.
    pub without_zone: Vec<String>,
    /// Whether a zone may use the targets of the others.
    pub is_cross_zone: Option<bool>,
    /// With fewer healthy ones than this, requests go to unhealthy ones as well.
    pub fail_open_below: Option<u32>,
    /// How long a connection to a target may be idle before the balancer closes it.
    pub idle_seconds: Option<f64>,
    /// How long a target may take to answer.
    pub answer_seconds: Option<f64>,
    /// How often a failed connection is tried again, and whether at another target.
    pub retries: Option<u32>,
    pub redispatches: Option<bool>,
    pub keeps_alive: Option<bool>,
    /// Whether anything sends requests here: listeners and rules that name this group.
    pub is_used: Option<bool>,
}

/// The health check.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Check {
    pub is_on: bool,
    pub path: Option<String>,
    pub interval_seconds: f64,
    pub timeout_seconds: f64,
    /// Passes until a target that failed is healthy again; one that was just put in needs only one, at an ALB.
    pub rise: u32,
    /// Failures until a healthy one is not.
    pub fall: u32,
}
