//! What a balancer's settings would cost: requests, or seconds of each host. Pure rules over [`Setup`] and [`Deployment`].
//!
//! Each piece of advice names the setting and its value, the status code or the wait that comes of it, and what to set instead. A rule
//! that lacks a number says nothing.

use super::setup::{Check, Setup};
use crate::diag::Diagnostic;
use serde::Serialize;

/// What is rolled out, as far as the balancer's settings have to fit it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Deployment {
    pub hosts: usize,
    /// The largest batch.
    pub batch: usize,
    /// How long a container may take to stop, and so its longest request.
    pub grace_seconds: f64,
    /// How long a rollout waits for a host to become quiet.
    pub drain_seconds: f64,
    /// How long nothing may be connected to a host before its container is stopped; none where nobody said.
    pub quiet_seconds: Option<f64>,
    pub bake_seconds: f64,
    /// A new container serves before the old one leaves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_start_first: bool,
    /// After how long the app closes a connection that is idle.
    pub idle: Idle,
}

/// An app's patience with idle connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idle {
    /// Nobody asked, or nobody answered.
    #[default]
    Unknown,
    /// It closes every connection after its answer.
    NotKept,
    Seconds(f64),
    /// It was still open when the watch ended.
    Over(f64),
}

/// One thing that costs something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    pub code: &'static str,
    pub pool: String,
    /// The setting, with its value.
    pub setting: String,
    pub costs: Costs,
    pub effect: String,
    pub mend: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Costs {
    Requests,
    Seconds,
}

/// With these no host that leaves would come back, or none may leave.
const FATAL: &[&str] = &["group-unused", "checks-off", "zone-unknown"];

impl Advice {
    /// A rollout is not begun with it.
    pub fn is_fatal(&self) -> bool {
        FATAL.contains(&self.code)
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let title = format!("{}: {}", self.pool, self.setting);
        let diagnostic =
            if self.is_fatal() { Diagnostic::error(self.code, title) } else { Diagnostic::warning(self.code, title) };
        diagnostic.note(self.effect.clone()).help(self.mend.clone())
    }
}

/// A rule: nothing where all is well.
type Rule = fn(&Setup, &Deployment) -> Option<Finding>;

struct Finding {
    setting: String,
    costs: Costs,
    effect: String,
    mend: String,
}

fn requests(setting: impl Into<String>, effect: impl Into<String>, mend: impl Into<String>) -> Option<Finding> {
    Some(Finding { setting: setting.into(), costs: Costs::Requests, effect: effect.into(), mend: mend.into() })
}

fn seconds(setting: impl Into<String>, effect: impl Into<String>, mend: impl Into<String>) -> Option<Finding> {
    Some(Finding { costs: Costs::Seconds, ..requests(setting, effect, mend)? })
}

/// Every rule, by the code of its advice.
const RULES: &[(&str, Rule)] = &[
    ("group-unused", unused),
    ("checks-off", checks_off),
    ("delay-too-short", delay_too_short),
    ("delay-too-long", delay_too_long),
    ("quiet-too-short", quiet_too_short),
    ("keep-alive-too-short", keep_alive_too_short),
    ("answer-too-short", answer_too_short),
    ("zone-alone", zone_alone),
    ("zone-unknown", zone_unknown),
    ("fail-open", fail_open),
    ("slow-to-notice", slow_to_notice),
    ("slow-to-join", slow_to_join),
    ("slow-start", slow_start),
    ("sticky", sticky),
    ("no-redispatch", no_redispatch),
];

/// What costs requests comes first.
pub fn advise(setup: &Setup, deployment: &Deployment) -> Vec<Advice> {
    let found = RULES.iter().filter_map(|(code, rule)| {
        let Finding { setting, costs, effect, mend } = rule(setup, deployment)?;
        Some(Advice { code, pool: setup.pool.clone(), setting, costs, effect, mend })
    });
    let mut all: Vec<Advice> = found.collect();
    all.sort_by_key(|advice| advice.costs);
    all
}

fn unused(setup: &Setup, _: &Deployment) -> Option<Finding> {
    (setup.is_used == Some(false)).then_some(())?;
    requests(
        "no listener and no rule sends requests here",
        "its targets stay `unused` (Target.NotInUse) and never become healthy, so a rollout would stop at its first host",
        "add it to a listener, or name the group that is on one",
    )
}

fn checks_off(setup: &Setup, _: &Deployment) -> Option<Finding> {
    setup.check.as_ref().filter(|check| !check.is_on)?;
    requests(
        "no health checks",
        "requests reach a container before it works, and go on to one that has died: 502 and 503",
        "turn health checks on",
    )
}

/// Ten seconds of difference are the usual margin for stopping.
fn delay_too_short(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    let delay = setup.drain_seconds.filter(|delay| delay + 10.0 < deployment.grace_seconds)?;
    let grace = deployment.grace_seconds;
    requests(
        format!("deregistration delay {delay} s"),
        format!("requests that take longer are cut with a 502, though the container would give them {grace} s (`stop_grace`)"),
        format!("set `deregistration_delay.timeout_seconds` to {grace} or more"),
    )
}

fn delay_too_long(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    let delay = setup.drain_seconds?;
    if setup.target_type.as_deref() == Some("ip") && delay > deployment.grace_seconds {
        return seconds(
            format!("deregistration delay {delay} s with IP targets"),
            format!("an address that left cannot be registered again before, so every host is out for at least {delay} s"),
            format!("set it to the longest request, {} s, or register instances", deployment.grace_seconds),
        );
    }
    (delay > deployment.drain_seconds).then_some(())?;
    seconds(
        format!("deregistration delay {delay} s"),
        format!("a rollout gives up a host after {} s (`drain.deadline`) while its requests may go on", deployment.drain_seconds),
        "make the delay the longest request, or `drain.deadline` longer",
    )
}

/// From what people have measured; nothing that AWS promises.
const LAG_SECONDS: f64 = 10.0;

/// Whatever has a deregistration delay has nodes that hear of it late; HAProxy knows at once.
fn quiet_too_short(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    let quiet = deployment.quiet_seconds.filter(|quiet| setup.drain_seconds.is_some() && *quiet < LAG_SECONDS)?;
    requests(
        format!("`drain.quiet` of {quiet} s"),
        "the balancer's nodes hear of a deregistration seconds later and send requests until then; a pause between two of them passes \
         for the end, and the next one meets a stopped container: 502",
        format!("leave it at {LAG_SECONDS} s"),
    )
}

fn keep_alive_too_short(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    let balancer = setup.idle_seconds?;
    let app = match deployment.idle {
        Idle::Seconds(app) if app <= balancer => format!("closes idle connections after {app:.0} s"),
        Idle::Unknown | Idle::NotKept | Idle::Seconds(_) | Idle::Over(_) => return None,
    };
    requests(
        format!("idle timeout {balancer} s, and the app {app}"),
        "the load balancer sends a request down a connection that is just being closed: 502, now and then, also without any rollout",
        format!(
            "make the app keep idle connections for {} s (gunicorn `keepalive`, node `keepAliveTimeout`, …)",
            balancer + 15.0
        ),
    )
}

fn answer_too_short(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    let answer = setup.answer_seconds.filter(|answer| *answer < deployment.grace_seconds - 10.0)?;
    requests(
        format!("`timeout server` {answer} s"),
        format!(
            "requests that take longer get a 504, though the container would give them {} s (`stop_grace`)",
            deployment.grace_seconds
        ),
        "make it longer than the longest request",
    )
}

fn zone_alone(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    (setup.is_cross_zone == Some(false) && setup.zones > 0 && !deployment.is_start_first).then_some(())?;
    let zones = setup.zones;
    if setup.targets >= 2 * zones {
        return seconds(
            "cross-zone balancing off",
            "each zone has only its own targets: the floor must hold in every zone, and a zone's other targets carry its share",
            "turn on `load_balancing.cross_zone.enabled`, or keep batches at one host",
        );
    }
    requests(
        format!("cross-zone balancing off, {} targets in {zones} zones", setup.targets),
        "a zone whose only target is out answers everything with 503; such a target is refused to leave",
        "turn on `load_balancing.cross_zone.enabled`, or have two targets in every zone",
    )
}

fn zone_unknown(setup: &Setup, _: &Deployment) -> Option<Finding> {
    (setup.is_cross_zone == Some(false) && !setup.without_zone.is_empty()).then_some(())?;
    requests(
        format!("cross-zone balancing off, and the zone of {} is not known", setup.without_zone.join(", ")),
        "whether a zone keeps a target when such a host leaves cannot be known, so it is refused to leave",
        "give these hosts the variable `zone`, or turn on `load_balancing.cross_zone.enabled`",
    )
}

fn fail_open(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    let below = usize::try_from(setup.fail_open_below?).ok()?;
    let out = if deployment.is_start_first { 0 } else { deployment.batch };
    let left = setup.targets.max(deployment.hosts).saturating_sub(out);
    if left == 0 {
        return requests(
            "all targets leave at once",
            "with no healthy target left, requests go to every registered one, healthy or not, and to none with 503",
            "add a host, make `serial` smaller, or set `start: first` and `balancer.second_port`",
        );
    }
    (left < below).then_some(())?;
    requests(
        format!("unhealthy targets get requests below {below} healthy ones"),
        format!("only {left} are left while a batch is out, so a container that has not started yet is sent requests: 502"),
        format!("set `…unhealthy_state_routing.minimum_healthy_targets.count` to {left} or less"),
    )
}

fn slow_to_notice(setup: &Setup, _: &Deployment) -> Option<Finding> {
    let Check { interval_seconds: every, fall, .. } = setup.check.as_ref().filter(|check| check.is_on)?;
    let notices = every * f64::from(*fall);
    (notices > 30.0).then_some(())?;
    requests(
        format!("a check every {every} s, {fall} failures until unhealthy"),
        format!("a target that dies gets requests for up to {notices} s"),
        "check every 5 s",
    )
}

/// An ALB wants one pass of a target that was just registered; HAProxy counts as it always does.
fn slow_to_join(setup: &Setup, _: &Deployment) -> Option<Finding> {
    let check = setup.check.as_ref().filter(|check| check.is_on)?;
    let passes = if setup.target_type.is_some() { 1 } else { check.rise };
    let joins = check.interval_seconds * f64::from(passes);
    (joins > 10.0).then_some(())?;
    seconds(
        format!("a check every {} s, {passes} until healthy", check.interval_seconds),
        format!("each host waits up to {joins} s until it is back"),
        "check every 5 s",
    )
}

fn slow_start(setup: &Setup, deployment: &Deployment) -> Option<Finding> {
    let ramp = setup.ramp_seconds.filter(|ramp| *ramp > 0.0 && *ramp > deployment.bake_seconds)?;
    seconds(
        format!("slow start {ramp} s"),
        format!("a host carries its full share only after that; the next one leaves no earlier, so each takes {ramp} s longer"),
        "leave it on where the app needs to warm up; otherwise set it to 0",
    )
}

fn sticky(setup: &Setup, _: &Deployment) -> Option<Finding> {
    (setup.is_sticky == Some(true)).then_some(())?;
    requests(
        "sessions stick to a target",
        "whoever is bound to a host that leaves goes on at another one: what the app keeps in its own memory is lost to them",
        "keep sessions outside of the app (Redis, cookies), or turn stickiness off",
    )
}

fn no_redispatch(setup: &Setup, _: &Deployment) -> Option<Finding> {
    let retries = setup.retries.filter(|retries| *retries > 0)?;
    (setup.redispatches == Some(false)).then_some(())?;
    requests(
        format!("retries {retries} without `option redispatch`"),
        "a connection that fails is tried again at the same server: 503 when that one has just gone",
        "add `option redispatch`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> (Setup, Deployment) {
        let check = Check { is_on: true, interval_seconds: 5.0, timeout_seconds: 3.0, rise: 2, fall: 3, path: None };
        let setup = Setup {
            pool: "target group shop".to_owned(),
            target_type: Some("instance".to_owned()),
            targets: 3,
            zones: 3,
            check: Some(check),
            drain_seconds: Some(35.0),
            ramp_seconds: Some(0.0),
            is_sticky: Some(false),
            without_zone: Vec::new(),
            is_cross_zone: Some(true),
            fail_open_below: Some(1),
            idle_seconds: Some(60.0),
            answer_seconds: None,
            retries: Some(0),
            redispatches: Some(false),
            keeps_alive: Some(true),
            is_used: Some(true),
        };
        let deployment = Deployment {
            hosts: 3,
            batch: 1,
            grace_seconds: 40.0,
            drain_seconds: 300.0,
            quiet_seconds: Some(10.0),
            bake_seconds: 30.0,
            idle: Idle::Seconds(75.0),
            is_start_first: false,
        };
        (setup, deployment)
    }

    fn found(spoil: impl FnOnce(&mut Setup, &mut Deployment)) -> Vec<(&'static str, Costs)> {
        let (mut setup, mut deployment) = good();
        spoil(&mut setup, &mut deployment);
        advise(&setup, &deployment).into_iter().map(|advice| (advice.code, advice.costs)).collect()
    }

    #[test]
    fn nothing_is_said_of_what_is_well_or_not_known() {
        assert_eq!(found(|_, _| ()), []);
        let unknown = advise(&Setup::default(), &Deployment { hosts: 3, batch: 1, ..Deployment::default() });
        assert_eq!(unknown, []);
    }

    #[test]
    fn one_wrong_setting_is_one_piece_of_advice() {
        use Costs::{Requests, Seconds};
        let check = |setup: &mut Setup, spoil: fn(&mut Check)| spoil(setup.check.as_mut().unwrap());
        assert_eq!(found(|setup, _| setup.is_used = Some(false)), [("group-unused", Requests)]);
        assert_eq!(found(|setup, _| check(setup, |check| check.is_on = false)), [("checks-off", Requests)]);
        assert_eq!(found(|setup, _| setup.drain_seconds = Some(5.0)), [("delay-too-short", Requests)]);
        assert_eq!(found(|setup, _| setup.drain_seconds = Some(900.0)), [("delay-too-long", Seconds)]);
        assert_eq!(found(|_, deployment| deployment.quiet_seconds = Some(0.5)), [("quiet-too-short", Requests)]);
        let haproxy =
            |setup: &mut Setup, deployment: &mut Deployment| (setup.drain_seconds, deployment.quiet_seconds) = (None, Some(0.5));
        assert_eq!(found(haproxy), []);
        let ip = |setup: &mut Setup| (setup.target_type, setup.drain_seconds) = (Some("ip".to_owned()), Some(120.0));
        assert_eq!(found(|setup, _| ip(setup)), [("delay-too-long", Seconds)]);
        assert_eq!(found(|_, deployment| deployment.idle = Idle::Seconds(5.0)), [("keep-alive-too-short", Requests)]);
        assert_eq!(found(|_, deployment| deployment.idle = Idle::NotKept), []);
        assert_eq!(found(|_, deployment| deployment.idle = Idle::Over(65.0)), []);
        assert_eq!(found(|setup, _| setup.answer_seconds = Some(5.0)), [("answer-too-short", Requests)]);
        assert_eq!(found(|setup, _| setup.is_cross_zone = Some(false)), [("zone-alone", Requests)]);
        let roomy = |setup: &mut Setup| (setup.is_cross_zone, setup.targets) = (Some(false), 6);
        assert_eq!(found(|setup, _| roomy(setup)), [("zone-alone", Seconds)]);
        let zoneless = |setup: &mut Setup| setup.without_zone = vec!["web3".to_owned()];
        assert_eq!(found(|setup, _| zoneless(setup)), [], "with cross-zone balancing zones do not matter");
        let both = found(|setup, _| {
            roomy(setup);
            zoneless(setup);
        });
        assert_eq!(both, [("zone-unknown", Requests), ("zone-alone", Seconds)]);
        assert_eq!(found(|setup, _| setup.fail_open_below = Some(3)), [("fail-open", Requests)]);
        let alone = |setup: &mut Setup, deployment: &mut Deployment| (setup.targets, deployment.hosts) = (1, 1);
        assert_eq!(found(alone), [("fail-open", Requests)]);
        let slow = found(|setup, _| check(setup, |check| check.interval_seconds = 30.0));
        assert_eq!(slow, [("slow-to-notice", Requests), ("slow-to-join", Seconds)]);
        assert_eq!(found(|setup, _| setup.ramp_seconds = Some(60.0)), [("slow-start", Seconds)]);
        assert_eq!(found(|setup, _| setup.is_sticky = Some(true)), [("sticky", Requests)]);
        assert_eq!(found(|setup, _| setup.retries = Some(3)), [("no-redispatch", Requests)]);
    }

    #[test]
    fn advice_names_the_value_the_effect_and_what_to_do() {
        let (mut setup, deployment) = good();
        setup.drain_seconds = Some(5.0);
        let advice = advise(&setup, &deployment).remove(0).diagnostic();
        assert_eq!(advice.title, "target group shop: deregistration delay 5 s");
        assert!(advice.notes[0].contains("502") && advice.help[0].contains("40 or more"), "{advice:?}");
    }

    #[test]
    fn codes_are_different() {
        let codes: std::collections::BTreeSet<&str> = RULES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), RULES.len());
    }
}
