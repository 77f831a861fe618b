//! The `rollout:` keyword of a play: its settings, checked as written and read once rendered.

use crate::diag::{Diagnostic, closest};
use crate::value::{Map, Value};
use crate::yaml::Node;
use std::time::Duration;

/// A rollout's settings, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutSpec {
    /// The application: also the name of its container.
    pub app: String,
    /// What this run puts in place.
    pub release: String,
    pub balancer: BalancerSpec,
    pub floor: Floor,
    /// May this host be deployed to now?
    pub ready: Option<ProbeSpec>,
    pub healthy: Option<ProbeSpec>,
    /// How long a host must be without traffic before its container is stopped.
    pub quiet: Duration,
    /// How long to wait for that at most.
    pub drain_max: Duration,
    /// Between SIGTERM and SIGKILL for the old container.
    pub stop_grace: Duration,
    /// How long a batch is watched before the next one.
    pub bake: Duration,
    /// What is asked of new and old hosts meanwhile.
    pub compare: Option<CompareSpec>,
    pub on_failure: OnFailure,
    pub start: Start,
}

/// Which of two containers is there first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// The new one, beside the old one and on another port of the host.
    First,
    /// The old one leaves and stops before the new one starts.
    #[default]
    Last,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BalancerSpec {
    pub kind: String,
    /// The application's port on the hosts.
    pub port: u16,
    /// The one beside it, for two containers at once.
    pub second_port: Option<u16>,
    /// Everything that was said about it, for its driver.
    pub options: Map,
}

/// The fewest healthy targets at any time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Floor {
    AllButBatch,
    Count(u32),
    Percentage(f64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    pub url: String,
    /// Successes in a row.
    pub passes: u32,
    pub deadline: Duration,
    pub interval: Duration,
}

/// New and old release side by side, while a batch is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct CompareSpec {
    pub url: String,
    /// Requests to each host.
    pub per_second: u32,
    /// By how much more may fail, of all: between 0 and 1.
    pub tolerance: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    Revert,
    Halt,
}

/// One setting: name, whether it must be there, settings inside, help.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub required: bool,
    pub inner: &'static [Setting],
    pub help: &'static str,
}

const fn setting(name: &'static str, help: &'static str) -> Setting {
    Setting { name, required: false, inner: &[], help }
}

const PROBE: &[Setting] = &[
    Setting { required: true, ..setting("url", "asked by the host itself, with GET") },
    setting("passes", "successes in a row (ready: 1, healthy: 3)"),
    setting("deadline", "how long to try, such as 60s (ready: 5m, healthy: 60s)"),
    setting("interval", "between tries (default: 1s)"),
];

/// Seconds without traffic that are proof enough. The nodes of an ALB follow its API with a lag, in the field ten seconds and more.
const QUIET: f64 = 3.0;
const QUIET_ALB: f64 = 10.0;

/// What may stand below `rollout:`.
pub static SETTINGS: &[Setting] = &[
    Setting { required: true, ..setting("app", "the application, which is also the name of its container") },
    Setting { required: true, ..setting("release", "what this run puts in place: a commit, a tag, a digest") },
    Setting {
        required: true,
        inner: &[
            Setting { required: true, ..setting("kind", "alb, haproxy or none") },
            setting("port", "the application's port on the hosts"),
            setting("second_port", "`start: first`: the port on which the other of two containers is published"),
            setting("target_group", "alb: ARN of the target group, or a list where the hosts are in several"),
            setting(
                "target",
                "alb: what the group calls a host, rendered for each (default: instance_id, or its private address)",
            ),
            setting("region", "alb: region of the group (default: the ARN's)"),
            setting("profile", "alb: profile of the AWS credentials (default: the usual chain)"),
            setting("endpoint", "alb: URL of the API (default: AWS_ENDPOINT_URL, or AWS's own)"),
            setting(
                "pool_floor",
                "alb: fewest that serve in each zone without cross-zone balancing, in each of several groups (1)",
            ),
            setting("host", "haproxy: the host that runs it, by its name in the inventory"),
            setting("socket", "haproxy: path of its admin socket there"),
            setting("backend", "haproxy: name of the backend"),
            setting("second_server", "haproxy, `start: first`: the server that leads to a host's second port, rendered for each"),
            setting("config", "haproxy: path of its configuration there, for `roll doctor`"),
        ],
        ..setting("balancer", "what stands in front of the hosts")
    },
    setting("floor", "fewest healthy targets at any time: all-but-batch (default), a number or a percentage"),
    Setting { inner: PROBE, ..setting("ready", "may this host be deployed to now? 2xx yes, 503 not yet, anything else no") },
    Setting { inner: PROBE, ..setting("healthy", "does the new container work?") },
    Setting {
        inner: &[
            setting("quiet", "seconds without a connection that prove that traffic has stopped (default: 3s; alb: 10s)"),
            setting("deadline", "how long to wait for that (default: 5m)"),
        ],
        ..setting("drain", "how traffic is seen to stop")
    },
    setting("stop_grace", "how long the old container may take to stop (default: 40s)"),
    setting("bake", "how long a batch is watched before the next one (default: none)"),
    Setting {
        inner: &[
            Setting { required: true, ..setting("url", "asked by each host itself, with GET; anything but 2xx has failed") },
            setting("per_second", "requests a second to each (default: 10)"),
            setting("tolerance", "by how much more may fail than on a host with the old release (default: 1%)"),
        ],
        ..setting("compare", "what is asked while a batch is watched, of it and of a host with the old release")
    },
    setting("on_failure", "revert (default) or halt"),
    setting("start", "first: the new container starts beside the old one, which leaves once it serves; last (default)"),
];

/// What is wrong with a `rollout:` as it is written.
pub(super) fn check(node: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    check_settings(node, SETTINGS, "rollout", &mut found);
    if let Some(balancer) = node.get("balancer") {
        check_kind(balancer, &mut found);
    }
    check_start(node, &mut found);
    found
}

/// What `start: first` cannot do without, as far as it is written down.
fn check_start(node: &Node, found: &mut Vec<Diagnostic>) {
    let Some(start) = node.get("start").filter(|start| !matches!(start.to_value(), Value::Null | Value::Template(_))) else {
        return;
    };
    let (text, span) = (start.to_value().to_text().to_string(), start.span);
    match Start::named(&text) {
        Some(Start::First) => {}
        Some(Start::Last) => return,
        None => {
            let diagnostic = Diagnostic::error("unknown-start", format!("`start` is first or last, not `{text}`"));
            found.push(diagnostic.at(span, "neither of them"));
            return;
        }
    }
    let Some(balancer) = node.get("balancer").filter(|balancer| balancer.as_map().is_some()) else { return };
    let kind = balancer.get("kind").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    let needed = ["port", "second_port"].into_iter().chain((kind == "haproxy").then_some("second_server"));
    let mut missing: Vec<&str> = needed.filter(|name| balancer.get(name).is_none()).collect();
    missing.extend((kind == "none" && node.get("healthy").is_none()).then_some("healthy"));
    for name in missing {
        let settings = SETTINGS.iter().find(|setting| setting.name == "balancer").map_or(SETTINGS, |balancer| balancer.inner);
        let help = settings.iter().chain(SETTINGS).find(|setting| setting.name == name).map(|setting| setting.help);
        let diagnostic = Diagnostic::error("missing-setting", format!("`start: first` needs `{}`", place_of(name)));
        let diagnostic = diagnostic.at(span, format!("`{name}` is missing"));
        found.push(diagnostic.help(format!("`{name}`: {}", help.unwrap_or_default())));
    }
    let number = |name: &str| balancer.get(name).and_then(|port| port.to_value().to_int());
    if let (Some(port), Some(second), Some(node)) = (number("port"), number("second_port"), balancer.get("second_port"))
        && port == second
    {
        let diagnostic = Diagnostic::error("same-port", format!("two containers cannot both be published on port {port}"));
        found.push(diagnostic.at(node.span, "the same as `port`").help("name another port that is free on every host"));
    }
}

/// Where a setting stands.
fn place_of(name: &str) -> String {
    if SETTINGS.iter().any(|setting| setting.name == name) { name.to_owned() } else { format!("balancer.{name}") }
}

/// What each kind of balancer cannot do without.
const KINDS: &[(&str, &[&str])] = &[("alb", &["target_group"]), ("haproxy", &["backend", "host"]), ("none", &[])];

/// Where the kind is written down; a template is only known once it is rendered.
fn check_kind(node: &Node, found: &mut Vec<Diagnostic>) {
    let Some((kind, span)) = node.get("kind").and_then(|kind| Some((kind.as_str()?.to_owned(), kind.span))) else { return };
    let is_template = node.get("kind").is_some_and(|kind| matches!(kind.to_value(), Value::Template(_)));
    match KINDS.iter().find(|(known, _)| *known == kind) {
        _ if is_template => {}
        None => {
            let diagnostic = Diagnostic::error("unknown-balancer", format!("there is no balancer of kind `{kind}`"));
            let diagnostic = diagnostic.at(span, "not a kind of balancer").note("known kinds: alb, haproxy, none");
            found.push(match closest(&kind, KINDS.iter().map(|(known, _)| *known)) {
                Some(near) => diagnostic.patch(span, near, "a kind with a similar name exists"),
                None => diagnostic,
            });
        }
        Some((_, needed)) => {
            for name in needed.iter().filter(|name| node.get(name).is_none()) {
                let title = format!("a balancer of kind `{kind}` needs `{name}`");
                found.push(Diagnostic::error("missing-setting", title).at(span, format!("`{name}` is missing")));
            }
        }
    }
}

fn check_settings(node: &Node, settings: &'static [Setting], of: &str, found: &mut Vec<Diagnostic>) {
    let Some(entries) = node.as_map() else {
        if !matches!(node.to_value(), Value::Template(_)) {
            found.push(Diagnostic::error("mistyped-keyword", format!("`{of}` takes a mapping")).at(node.span, "not a mapping"));
        }
        return;
    };
    for (key, value) in entries {
        let name = key.as_str().unwrap_or_default();
        match settings.iter().find(|setting| setting.name == name) {
            Some(setting) if !setting.inner.is_empty() => check_settings(value, setting.inner, name, found),
            Some(_) => {}
            None => {
                let mut diagnostic = Diagnostic::error("unknown-setting", format!("`{of}` has no setting `{name}`"))
                    .at(key.span, "not a setting here");
                if let Some(near) = closest(name, settings.iter().map(|setting| setting.name)) {
                    diagnostic = diagnostic.patch(key.span, near, "a setting with a similar name exists");
                }
                found.push(diagnostic);
            }
        }
    }
    for setting in settings.iter().filter(|setting| setting.required && node.get(setting.name).is_none()) {
        let span = entries.first().map_or(node.span, |(key, _)| key.span);
        found.push(
            Diagnostic::error("missing-setting", format!("`{of}` needs `{}`", setting.name))
                .at(span, format!("`{}` is missing", setting.name))
                .help(format!("`{}`: {}", setting.name, setting.help)),
        );
    }
}

impl RolloutSpec {
    /// From the rendered value; the error says what is wrong with which setting.
    pub fn read(value: &Value) -> Result<RolloutSpec, String> {
        let map = value.as_map().ok_or("`rollout` takes a mapping")?;
        let ready = map.get("ready").map(|probe| ProbeSpec::read("ready", probe, 1, 300.0)).transpose()?.flatten();
        let healthy = map.get("healthy").map(|probe| ProbeSpec::read("healthy", probe, 3, 60.0)).transpose()?.flatten();
        let balancer = BalancerSpec::read(map.get("balancer"))?;
        let quiet = if balancer.kind == "alb" { QUIET_ALB } else { QUIET };
        let start = Start::read(map.get("start"))?;
        if start == Start::First {
            balancer.check_second()?;
        }
        let drain = map.get("drain").and_then(Value::as_map).cloned().unwrap_or_default();
        Ok(RolloutSpec {
            app: name(map, "app")?,
            release: name(map, "release")?,
            balancer,
            floor: Floor::read(map.get("floor"))?,
            ready,
            healthy,
            quiet: duration(&drain, "quiet", quiet)?,
            drain_max: duration(&drain, "deadline", 300.0)?,
            stop_grace: duration(map, "stop_grace", 40.0)?,
            bake: duration(map, "bake", 0.0)?,
            compare: map.get("compare").filter(|value| !value.is_null()).map(CompareSpec::read).transpose()?,
            on_failure: match map.get("on_failure").map(Value::to_text).as_deref() {
                None | Some("revert" | "") => OnFailure::Revert,
                Some("halt") => OnFailure::Halt,
                Some(other) => return Err(format!("`on_failure` is revert or halt, not `{other}`")),
            },
            start,
        })
    }

    /// With `start: first`: the two ports between which an app goes to and fro.
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.balancer.second_port.filter(|_| self.start == Start::First).map(|second| (self.balancer.port, second))
    }
}

impl Start {
    fn named(text: &str) -> Option<Start> {
        match text.trim() {
            "first" => Some(Start::First),
            "last" => Some(Start::Last),
            _ => None,
        }
    }

    pub fn read(value: Option<&Value>) -> Result<Start, String> {
        let text = value.map(Value::to_text).unwrap_or_default();
        if text.trim().is_empty() {
            return Ok(Start::default());
        }
        Start::named(&text).ok_or_else(|| format!("`start` is first or last, not `{text}`"))
    }
}

/// Names end up in names of containers and files.
fn name(map: &Map, key: &str) -> Result<String, String> {
    let text = map.get(key).map(Value::to_text).unwrap_or_default();
    let is_name = !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter));
    if is_name {
        Ok(text.to_string())
    } else {
        Err(format!("`{key}` is made of letters, digits, `_`, `.` and `-`, not `{text}`"))
    }
}

impl BalancerSpec {
    pub fn read(value: Option<&Value>) -> Result<BalancerSpec, String> {
        let map = value.and_then(Value::as_map).ok_or("`balancer` takes a mapping")?;
        let kind = map.get("kind").map(Value::to_text).unwrap_or_default().to_string();
        let port = |name: &str| {
            let port = map.get(name).filter(|port| !port.is_null()).and_then(Value::to_int).unwrap_or(0);
            u16::try_from(port).map_err(|_| format!("`balancer.{name}` is a port, not `{port}`"))
        };
        let (port, second_port) = (port("port")?, Some(port("second_port")?).filter(|second| *second != 0));
        let options = map.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(BalancerSpec { kind, port, second_port, options })
    }

    /// What two containers on one host need.
    fn check_second(&self) -> Result<(), String> {
        let needs = |name: &str| Err(format!("`start: first` needs `balancer.{name}`"));
        match self.second_port {
            _ if self.port == 0 => needs("port"),
            None => needs("second_port"),
            Some(second) if second == self.port => {
                Err(format!("`start: first` needs two ports, and `balancer.port` and `balancer.second_port` are both {second}"))
            }
            Some(_) if self.kind == "haproxy" && !self.options.contains_key("second_server") => needs("second_server"),
            Some(_) => Ok(()),
        }
    }
}

impl Floor {
    fn read(value: Option<&Value>) -> Result<Floor, String> {
        let text = value.map(Value::to_text).unwrap_or_default();
        let text = text.trim();
        if text.is_empty() || text == "all-but-batch" {
            return Ok(Floor::AllButBatch);
        }
        let percentage = text
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok())
            .filter(|number| (0.0..=100.0).contains(number));
        percentage
            .map(Floor::Percentage)
            .or_else(|| text.parse().ok().map(Floor::Count))
            .ok_or_else(|| format!("`floor` is all-but-batch, a number or a percentage, not `{text}`"))
    }

    /// Targets, for this many hosts and the batch that is out.
    pub fn count(self, hosts: usize, batch: usize) -> usize {
        match self {
            Floor::AllButBatch => hosts.saturating_sub(batch),
            Floor::Count(count) => count as usize,
            // Half a target does not serve.
            Floor::Percentage(percentage) => (hosts as f64 * percentage / 100.0).ceil() as usize,
        }
    }
}

impl ProbeSpec {
    fn read(of: &str, value: &Value, passes: u32, deadline: f64) -> Result<Option<ProbeSpec>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let map = value.as_map().ok_or_else(|| format!("`{of}` takes a mapping"))?;
        let url = map.get("url").map(Value::to_text).unwrap_or_default().to_string();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("`{of}.url` is a URL, not `{url}`"));
        }
        let passes = match map.get("passes") {
            None => passes,
            Some(value) => value
                .to_int()
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| *number > 0)
                .ok_or_else(|| format!("`{of}.passes` is a number from 1"))?,
        };
        Ok(Some(ProbeSpec {
            url,
            passes,
            deadline: duration(map, "deadline", deadline)?,
            interval: duration(map, "interval", 1.0)?,
        }))
    }
}

impl CompareSpec {
    fn read(value: &Value) -> Result<CompareSpec, String> {
        let map = value.as_map().ok_or("`compare` takes a mapping")?;
        let url = map.get("url").map(Value::to_text).unwrap_or_default().to_string();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("`compare.url` is a URL, not `{url}`"));
        }
        let per_second = map.get("per_second").map_or(Some(10), Value::to_int).and_then(|number| u32::try_from(number).ok());
        let per_second = per_second.filter(|number| (1..=100).contains(number));
        let per_second = per_second.ok_or("`compare.per_second` is a number from 1 to 100")?;
        let text = map.get("tolerance").map_or_else(|| "1%".to_owned(), |value| value.to_text().trim().to_owned());
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
        let percent = percent.ok_or_else(|| format!("`compare.tolerance` is a percentage, not `{text}`"))?;
        Ok(CompareSpec { url, per_second, tolerance: percent / 100.0 })
    }
}

/// `30s`, `500ms`, `2m`, `1h`, or seconds.
fn duration(map: &Map, key: &str, default: f64) -> Result<Duration, String> {
    let Some(value) = map.get(key).filter(|value| !value.is_null()) else { return Ok(Duration::from_secs_f64(default)) };
    let text = value.to_text();
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|letter: char| letter.is_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => 0.0,
    };
    let seconds = number
        .trim()
        .parse::<f64>()
        .ok()
        .map(|number| number * scale)
        .filter(|seconds| scale > 0.0 && (0.0..=86_400.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| format!("`{key}` is a time such as 30s or 2m, not `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<RolloutSpec, String> {
        RolloutSpec::read(&Value::from_json(json).unwrap())
    }

    #[test]
    fn a_small_rollout_has_sensible_defaults() {
        let spec = read(r#"{"app":"shop","release":"7f3a","balancer":{"kind":"none"},"healthy":{"url":"http://x/up"}}"#).unwrap();
        assert_eq!((spec.floor, spec.on_failure, spec.bake), (Floor::AllButBatch, OnFailure::Revert, Duration::ZERO));
        let healthy = spec.healthy.unwrap();
        assert_eq!((healthy.passes, healthy.deadline.as_secs(), spec.ready), (3, 60, None));
        assert_eq!(spec.quiet.as_secs(), 3);
        let alb = read(r#"{"app":"shop","release":"7f3a","balancer":{"kind":"alb","target_group":"arn"}}"#).unwrap();
        assert_eq!(alb.quiet.as_secs(), 10);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let with =
            |more: &str| read(&format!(r#"{{"app":"shop","release":"1","balancer":{{"kind":"none"}}{more}}}"#)).unwrap_err();
        assert!(with(r#","floor":"most""#).contains("not `most`"));
        assert!(with(r#","bake":"soon""#).contains("not `soon`"));
        assert!(with(r#","ready":{"url":"/ready"}"#).contains("`ready.url`"));
        assert!(with(r#","on_failure":"cry""#).contains("not `cry`"));
        assert!(read(r#"{"app":"a b","release":"1","balancer":{}}"#).unwrap_err().contains("not `a b`"));
    }

    #[test]
    fn what_is_compared_has_sensible_defaults() {
        let with =
            |compare: &str| read(&format!(r#"{{"app":"shop","release":"1","balancer":{{"kind":"none"}},"compare":{compare}}}"#));
        let compare = with(r#"{"url":"http://x/"}"#).unwrap().compare.unwrap();
        assert_eq!((compare.per_second, compare.tolerance), (10, 0.01));
        let wrong = [r#"{"url":"/"}"#, r#"{"url":"http://x","per_second":0}"#, r#"{"url":"http://x","tolerance":2}"#, "3"];
        assert!(wrong.iter().all(|compare| with(compare).is_err()));
    }

    #[test]
    fn two_containers_need_two_ports() {
        let with = |balancer: &str| {
            let json = format!(r#"{{"app":"shop","release":"1","start":"first","balancer":{balancer}}}"#);
            read(&json).map(|spec| spec.ports())
        };
        assert_eq!(with(r#"{"kind":"none","port":5000,"second_port":5001}"#), Ok(Some((5000, 5001))));
        let refused = [
            (r#"{"kind":"none","port":5000}"#, "second_port"),
            (r#"{"kind":"none","second_port":5001}"#, "balancer.port"),
            (r#"{"kind":"none","port":5000,"second_port":5000}"#, "both 5000"),
            (r#"{"kind":"haproxy","port":5000,"second_port":5001}"#, "second_server"),
        ];
        assert!(refused.iter().all(|(balancer, why)| with(balancer).unwrap_err().contains(why)));
        let last = read(r#"{"app":"shop","release":"1","balancer":{"kind":"none","port":1,"second_port":2}}"#).unwrap();
        assert_eq!((last.start, last.ports()), (Start::Last, None));
    }

    #[test]
    fn floors_count_targets() {
        assert_eq!(Floor::AllButBatch.count(3, 1), 2);
        assert_eq!(Floor::Percentage(75.0).count(3, 1), 3);
        assert_eq!(Floor::Count(1).count(3, 2), 1);
    }
}
