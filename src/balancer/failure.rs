//! What can go wrong with a balancer, and whether it may pass by itself.

use super::{DRIVERS, find};
use crate::diag::{Diagnostic, Explain, closest};

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
    /// An option that makes no sense: a port of 70000, a target group that is no ARN.
    BadOption {
        kind: &'static str,
        name: &'static str,
        value: String,
        wanted: &'static str,
    },
    /// No answer: the host, the socket, the network, the API.
    Unreachable {
        why: String,
    },
    UnknownTarget {
        name: String,
        known: Vec<String>,
    },
    /// Nothing says what the balancer calls this host.
    NamelessHost {
        host: String,
        wanted: &'static str,
    },
    UnknownBackend {
        name: String,
        known: Vec<String>,
    },
    /// No such target group in this account and region.
    UnknownGroup {
        name: String,
        region: String,
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
    /// The API's limits were met, by us or by others of the same account.
    Throttled {
        call: &'static str,
    },
    /// The API answers with errors of its own.
    Failing {
        call: &'static str,
        why: String,
    },
    /// No answer within the time of a call.
    Silent {
        call: &'static str,
        seconds: u64,
    },
    /// Credentials that were good once.
    Expired {
        why: String,
    },
    /// No credentials, or ones that were never good.
    NoCredentials {
        why: String,
    },
    /// Credentials without the right to do this.
    Denied {
        call: &'static str,
        why: String,
    },
    /// Neither the settings nor the environment nor the ARN name a region.
    NoRegion,
    /// Asked to take it out, the balancer said yes and did not.
    Ignored {
        target: String,
        state: String,
    },
    /// An IP target that left cannot come back before the deregistration delay is over.
    StillLeaving {
        target: String,
        seconds: u64,
    },
    /// Zones count one by one, and nothing says which one this host is in.
    UnknownZone {
        host: String,
        group: String,
    },
    /// The only one that serves there.
    LastOne {
        target: String,
        pool: String,
        floor: usize,
    },
}

/// Whether waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The balancer cannot be spoken to now. Hold; nothing is known until it answers again.
    Weather,
    /// It answers, and a rule of its own says not now.
    NotYet,
    /// Asking again changes nothing.
    Wrong,
}

impl BalancerError {
    pub fn trouble(&self) -> Trouble {
        match self {
            BalancerError::Throttled { .. }
            | BalancerError::Failing { .. }
            | BalancerError::Silent { .. }
            | BalancerError::Expired { .. }
            | BalancerError::Unreachable { .. } => Trouble::Weather,
            BalancerError::StillLeaving { .. } | BalancerError::LastOne { .. } => Trouble::NotYet,
            BalancerError::UnknownKind { .. }
            | BalancerError::UnknownOption { .. }
            | BalancerError::MissingOption { .. }
            | BalancerError::BadOption { .. }
            | BalancerError::UnknownTarget { .. }
            | BalancerError::NamelessHost { .. }
            | BalancerError::UnknownZone { .. }
            | BalancerError::UnknownBackend { .. }
            | BalancerError::UnknownGroup { .. }
            | BalancerError::Refused { .. }
            | BalancerError::Unreadable { .. }
            | BalancerError::NoCredentials { .. }
            | BalancerError::Denied { .. }
            | BalancerError::NoRegion
            | BalancerError::Ignored { .. } => Trouble::Wrong,
        }
    }
}

impl Explain for BalancerError {
    fn explain(&self) -> Diagnostic {
        match self {
            BalancerError::UnknownKind { .. }
            | BalancerError::UnknownOption { .. }
            | BalancerError::MissingOption { .. }
            | BalancerError::BadOption { .. } => self.explain_option(),
            BalancerError::UnknownTarget { name, known } => {
                Diagnostic::error("unknown-target", format!("the balancer has no target `{name}`"))
                    .note(format!("its targets: {}", known.join(", ")))
            }
            BalancerError::NamelessHost { host, wanted } => {
                Diagnostic::error("nameless-target", format!("nothing says what the target group calls `{host}`")).help(format!(
                    "set {wanted} for it, or say it for every host in `rollout.balancer.target`, such as `target: \"{{{{ instance_id }}}}\"`"
                ))
            }
            BalancerError::UnknownZone { host, group } => {
                let title = format!("nothing says which availability zone `{host}` is in, and `{group}` has no cross-zone balancing");
                Diagnostic::error("unknown-zone", title).help("set the variable `zone` for it, as the output `roll_hosts` does")
            }
            BalancerError::UnknownBackend { name, known } => {
                Diagnostic::error("unknown-backend", format!("haproxy has no backend `{name}`"))
                    .note(format!("its backends: {}", known.join(", ")))
            }
            BalancerError::UnknownGroup { name, region } => {
                Diagnostic::error("unknown-target-group", format!("there is no target group `{name}` in `{region}`"))
                    .help("`target_group` is its ARN; the account is the one of the credentials")
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
            BalancerError::NoCredentials { .. }
            | BalancerError::Expired { .. }
            | BalancerError::Denied { .. }
            | BalancerError::NoRegion => self.explain_access(),
            BalancerError::Unreachable { .. }
            | BalancerError::Throttled { .. }
            | BalancerError::Failing { .. }
            | BalancerError::Silent { .. } => self.explain_weather(),
            BalancerError::Ignored { target, state } => {
                let title = format!("the balancer said yes to taking `{target}` out, and still says that it is {state}");
                Diagnostic::error("balancer-ignored", title)
                    .help("look for something else that registers it: an auto scaling group, a second deployment")
            }
            BalancerError::StillLeaving { target, seconds } => {
                let title = format!("`{target}` cannot be registered again before its deregistration delay of {seconds} s is over");
                Diagnostic::error("still-deregistering", title)
                    .note("only IP targets have to wait; a target group of instances does not")
            }
            BalancerError::LastOne { target, pool, floor } => {
                let title = format!("without `{target}` fewer than {floor} would serve in {pool}");
                Diagnostic::error("last-in-pool", title)
                    .help("add a target there, turn on cross-zone balancing, or set `rollout.balancer.pool_floor: 0` to accept that")
            }
        }
    }
}

impl BalancerError {
    fn explain_option(&self) -> Diagnostic {
        match self {
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
            BalancerError::BadOption { kind, name, value, wanted } => {
                let title = format!("option `{name}` of balancer `{kind}` is {wanted}, not `{value}`");
                Diagnostic::error("bad-balancer-option", title)
            }
            other => {
                let kind = if let BalancerError::UnknownKind { kind } = other { kind.as_str() } else { "" };
                let kinds: Vec<&str> = DRIVERS.iter().map(|driver| driver.kind).collect();
                let diagnostic = Diagnostic::error("unknown-balancer", format!("there is no balancer of kind `{kind}`"));
                diagnostic.note(format!("known kinds: {}", kinds.join(", ")))
            }
        }
    }

    fn explain_access(&self) -> Diagnostic {
        const CHAIN: &str = "they are looked for where the AWS tools look: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                             AWS_PROFILE in ~/.aws, a web identity, the role of this machine";
        match self {
            BalancerError::Expired { why } => {
                Diagnostic::error("aws-credentials-expired", format!("the AWS credentials are not good any more: {why}"))
                    .help("renew them in another terminal (`aws sso login`, a new session token) where they come from a file")
            }
            BalancerError::Denied { call, why } => Diagnostic::error(
                "aws-denied",
                format!("the AWS credentials may not call {call}: {why}"),
            )
            .help(format!(
                "allow `elasticloadbalancing:{call}`; a rollout needs RegisterTargets, DeregisterTargets and the Describe calls"
            )),
            BalancerError::NoRegion => Diagnostic::error("aws-no-region", "nothing names the region of the target group")
                .help("give `target_group` as an ARN, or set `rollout.balancer.region` or AWS_REGION"),
            other => {
                let why = if let BalancerError::NoCredentials { why } = other { why.as_str() } else { "" };
                Diagnostic::error("aws-no-credentials", format!("there are no AWS credentials: {why}")).note(CHAIN)
            }
        }
    }

    fn explain_weather(&self) -> Diagnostic {
        let (code, title) = match self {
            BalancerError::Throttled { call } => {
                ("balancer-throttled", format!("AWS throttles {call}: too many calls in this account"))
            }
            BalancerError::Failing { call, why } => {
                ("balancer-failing", format!("AWS answers {call} with an error of its own: {why}"))
            }
            BalancerError::Silent { call, seconds } => {
                ("balancer-silent", format!("AWS does not answer {call} within {seconds} s"))
            }
            BalancerError::Unreachable { why } => ("balancer-unreachable", format!("the balancer gives no answer: {why}")),
            _ => ("balancer-unreachable", "the balancer gives no answer".to_owned()),
        };
        Diagnostic::error(code, title)
    }
}
