//! A target group: what it is made of, and the targets in it.

use super::api::Api;
use super::places::Place;
use crate::balancer::{BalancerError, State};
use aws_sdk_elasticloadbalancingv2::types::{
    TargetGroup, TargetGroupAttribute, TargetHealth, TargetHealthDescription, TargetHealthStateEnum as Health, TargetTypeEnum,
};
use std::time::Duration;

/// What does not change while a rollout runs.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) is_ip: bool,
    pub(super) port: u16,
    pub(super) is_cross_zone: bool,
    pub(super) slow_start: Duration,
    pub(super) delay: Duration,
    pub(super) described: TargetGroup,
    pub(super) attributes: Attributes,
}

/// The settings of a group or a load balancer that the API keeps as text.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<(String, String)>);

impl Attributes {
    pub(super) fn new(pairs: impl IntoIterator<Item = (Option<String>, Option<String>)>) -> Attributes {
        Attributes(pairs.into_iter().filter_map(|(key, value)| key.zip(value)).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.get(key)?.parse().ok()
    }

    pub(super) fn seconds(&self, key: &str) -> Option<Duration> {
        self.number(key).filter(|seconds| (0.0..=86_400.0).contains(seconds)).map(Duration::from_secs_f64)
    }
}

/// The groups that are wanted, in that order.
pub(super) async fn describe(api: &Api, wanted: &[String]) -> Result<Vec<Group>, BalancerError> {
    let unknown = |name: &str| BalancerError::UnknownGroup { name: name.to_owned(), region: api.region().to_owned() };
    let found = match api.groups(wanted).await {
        Err(BalancerError::Refused { answer, .. }) if answer.starts_with("TargetGroupNotFound") => {
            return Err(unknown(wanted.first().map(String::as_str).unwrap_or_default()));
        }
        found => found?,
    };
    let mut groups = Vec::new();
    for name in wanted {
        let is_it = |group: &&TargetGroup| [group.target_group_arn(), group.target_group_name()].contains(&Some(name.as_str()));
        let group = found.iter().find(is_it).ok_or_else(|| unknown(name))?;
        let arn = group.target_group_arn().unwrap_or(name);
        let attributes = api.group_attributes(arn).await?;
        groups.push(Group::of(group, arn, attributes)?);
    }
    Ok(groups)
}

impl Group {
    fn of(group: &TargetGroup, arn: &str, attributes: Vec<TargetGroupAttribute>) -> Result<Group, BalancerError> {
        let attributes = Attributes::new(attributes.into_iter().map(|attribute| (attribute.key, attribute.value)));
        let name = group.target_group_name().unwrap_or(arn).to_owned();
        let is_ip = match group.target_type() {
            Some(TargetTypeEnum::Ip) => true,
            Some(TargetTypeEnum::Instance) | None => false,
            Some(other) => {
                let value = format!("a group of targets of type `{}`", other.as_str());
                return Err(BalancerError::BadOption {
                    kind: "alb",
                    name: "target_group",
                    value,
                    wanted: "one of instances or IP addresses",
                });
            }
        };
        Ok(Group {
            arn: arn.to_owned(),
            name,
            is_ip,
            port: group.port().and_then(|port| u16::try_from(port).ok()).unwrap_or(80),
            // `use_load_balancer_configuration` means on: an ALB always has it on.
            is_cross_zone: attributes.get("load_balancing.cross_zone.enabled") != Some("false"),
            slow_start: attributes.seconds("slow_start.duration_seconds").unwrap_or_default(),
            delay: attributes.seconds("deregistration_delay.timeout_seconds").unwrap_or(Duration::from_secs(300)),
            described: group.clone(),
            attributes,
        })
    }
}

/// A target in a group, as the API shows it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) place: Place,
    pub(super) zone: Option<String>,
    pub(super) state: State,
    pub(super) reason: String,
}

/// All targets of a group, read now.
pub(super) async fn list(api: &Api, group: &Group) -> Result<Vec<Listed>, BalancerError> {
    let found = match api.health(&group.arn).await {
        Err(BalancerError::Refused { answer, .. }) if answer.starts_with("TargetGroupNotFound") => {
            return Err(BalancerError::UnknownGroup { name: group.name.clone(), region: api.region().to_owned() });
        }
        found => found?,
    };
    Ok(found.into_iter().filter_map(|described| listed(described, group)).collect())
}

fn listed(described: TargetHealthDescription, group: &Group) -> Option<Listed> {
    let target = described.target?;
    let port = target.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(group.port);
    let health = described.target_health;
    let state = health.as_ref().and_then(|health| health.state.as_ref()).map_or(State::Unhealthy, state);
    let zone = target.availability_zone.filter(|zone| zone != "all");
    Some(Listed { place: Place { id: target.id?, port }, zone, state, reason: health.map(reason).unwrap_or_default() })
}

/// `unused` is out, whatever the reason; where checks are off (`unavailable`), nothing says that it works.
fn state(health: &Health) -> State {
    match health {
        Health::Healthy => State::Serving,
        Health::Initial => State::Starting,
        Health::Draining | Health::UnhealthyDraining => State::Draining,
        Health::Unused => State::Out,
        _ => State::Unhealthy,
    }
}

/// `Target.ResponseCodeMismatch: Health checks failed with these codes: [502]`.
fn reason(health: TargetHealth) -> String {
    let code = health.reason.map(|reason| reason.as_str().to_owned());
    let state = health.state.map(|state| state.as_str().to_owned()).unwrap_or_default();
    match (code, health.description) {
        (Some(code), Some(said)) if !said.is_empty() => format!("{code}: {said}"),
        (Some(code), _) => code,
        (None, _) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealthReasonEnum as Reason};

    fn group(attributes: &[(&str, &str)]) -> Group {
        let attribute = |(key, value): &(&str, &str)| TargetGroupAttribute::builder().key(*key).value(*value).build();
        let described = TargetGroup::builder().target_group_name("app").port(5000).build();
        Group::of(&described, "arn:app", attributes.iter().map(attribute).collect()).unwrap()
    }

    fn shown(state: Health, reason: Option<Reason>, said: &str) -> (State, String) {
        let health = TargetHealth::builder().state(state).set_reason(reason).description(said).build();
        let target = TargetDescription::builder().id("i-1").build();
        let described = TargetHealthDescription::builder().target(target).target_health(health).build();
        let listed = listed(described, &group(&[])).unwrap();
        assert_eq!(listed.place, Place { id: "i-1".to_owned(), port: 5000 });
        (listed.state, listed.reason)
    }

    #[test]
    fn states_and_reasons_are_those_of_the_api() {
        let said = "Health checks failed with these codes: [502]";
        let mismatch = shown(Health::Unhealthy, Some(Reason::ResponseCodeMismatch), said);
        assert_eq!(mismatch, (State::Unhealthy, format!("Target.ResponseCodeMismatch: {said}")));
        assert_eq!(shown(Health::Healthy, None, ""), (State::Serving, "healthy".to_owned()));
        let draining = shown(Health::Draining, Some(Reason::DeregistrationInProgress), "");
        assert_eq!(draining, (State::Draining, "Target.DeregistrationInProgress".to_owned()));
        let unused = shown(Health::Unused, Some(Reason::NotInUse), "");
        assert_eq!(unused, (State::Out, "Target.NotInUse".to_owned()));
        assert_eq!(shown(Health::from("brand-new"), None, "").0, State::Unhealthy);
    }

    #[test]
    fn attributes_that_are_not_there_are_aws_s_own() {
        let plain = group(&[]);
        assert_eq!((plain.is_cross_zone, plain.delay.as_secs(), plain.slow_start), (true, 300, Duration::ZERO));
        let set = group(&[
            ("load_balancing.cross_zone.enabled", "false"),
            ("deregistration_delay.timeout_seconds", "35"),
            ("slow_start.duration_seconds", "60"),
        ]);
        assert_eq!((set.is_cross_zone, set.delay.as_secs(), set.slow_start.as_secs()), (false, 35, 60));
        assert!(group(&[("load_balancing.cross_zone.enabled", "use_load_balancer_configuration")]).is_cross_zone);
    }
}
