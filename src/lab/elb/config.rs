//! What a double is to stand for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(super) const ACCOUNT: &str = "123456789012";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where its API listens: address:port, port 0 for any.
    pub(crate) listen: String,
    #[serde(default = "region")]
    pub(crate) region: String,
    /// The zones of the load balancer; a target elsewhere is not in use.
    #[serde(default)]
    pub(crate) zones: Vec<String>,
    #[serde(default = "idle_timeout")]
    pub(crate) idle_timeout: u32,
    pub(crate) groups: Vec<Group>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) plane: Option<Plane>,
    /// It ends when this is gone.
    pub(crate) until: Option<PathBuf>,
    /// Knobs that are turned from the start.
    #[serde(default)]
    pub(crate) weather: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) port: u16,
    /// Targets are addresses instead of instances.
    #[serde(default)]
    pub(crate) is_ip: bool,
    /// What the data plane calls it.
    pub(crate) backend: Option<String>,
    #[serde(default = "yes")]
    pub(crate) is_used: bool,
    #[serde(default = "path")]
    pub(crate) check_path: String,
    #[serde(default = "interval")]
    pub(crate) interval: f64,
    #[serde(default = "timeout")]
    pub(crate) timeout: f64,
    #[serde(default = "rise")]
    pub(crate) rise: u32,
    #[serde(default = "fall")]
    pub(crate) fall: u32,
    /// In the API's own words; what is not said is AWS's default.
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, String>,
    /// Instances that are registered from the start.
    #[serde(default)]
    pub(crate) registered: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instance {
    pub(crate) id: String,
    /// The server in the data plane.
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) zone: String,
}

/// The admin socket of an HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Plane {
    Unix(PathBuf),
    Tcp(String),
}

pub(crate) fn group_arn(region: &str, group: &str) -> String {
    format!("arn:aws:elasticloadbalancing:{region}:{ACCOUNT}:targetgroup/{group}/0123456789abcdef")
}

fn region() -> String {
    "eu-central-1".to_owned()
}

fn path() -> String {
    "/healthz".to_owned()
}

fn yes() -> bool {
    true
}

fn idle_timeout() -> u32 {
    60
}

fn interval() -> f64 {
    30.0
}

fn timeout() -> f64 {
    5.0
}

fn rise() -> u32 {
    5
}

fn fall() -> u32 {
    2
}

impl Config {
    pub(crate) fn group_arn(&self, group: &Group) -> String {
        group_arn(&self.region, &group.name)
    }

    pub(super) fn balancer_arn(&self) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{ACCOUNT}:loadbalancer/app/double/0123456789abcdef", self.region)
    }

    pub(super) fn listener_arn(&self) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{ACCOUNT}:listener/app/double/0123456789abcdef/0123456789abcdef", self.region)
    }
}

impl Group {
    /// What is set, else AWS's default.
    pub(super) fn attribute(&self, name: &str) -> String {
        let default = || DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        self.attributes.get(name).cloned().or_else(default).unwrap_or_default()
    }

    /// All that are set or have a default.
    pub(super) fn all_attributes(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> =
            DEFAULTS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.extend(self.attributes.clone());
        all
    }

    pub(super) fn delay(&self) -> f64 {
        self.attribute(DELAY).parse().unwrap_or(300.0)
    }

    pub(super) fn is_cross_zone(&self) -> bool {
        self.attribute(CROSS_ZONE) != "false"
    }

    pub(super) fn fail_open_below(&self) -> usize {
        self.attribute(FAIL_OPEN).parse().unwrap_or(1)
    }
}

const DELAY: &str = "deregistration_delay.timeout_seconds";
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const FAIL_OPEN: &str = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count";

const DEFAULTS: &[(&str, &str)] = &[
    (DELAY, "300"),
    (CROSS_ZONE, "use_load_balancer_configuration"),
    (FAIL_OPEN, "1"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.enabled", "false"),
    ("stickiness.type", "lb_cookie"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("target_group_health.dns_failover.minimum_healthy_targets.count", "1"),
    ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "off"),
    ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off"),
];
