//! Target groups and what is registered in them, as tasks ask for it. Rollouts have a client of their own (`balancer::alb`), which
//! decides otherwise about what is tried again.

use super::shape::snake;
use super::{AwsError, Session};
use crate::value::{Map, Value};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetGroup, TargetHealthDescription};

const GROUPS: &str = "elasticloadbalancing:DescribeTargetGroups";
const ATTRIBUTES: &str = "elasticloadbalancing:DescribeTargetGroupAttributes";
const TAGS: &str = "elasticloadbalancing:DescribeTags";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";
const REGISTER: &str = "elasticloadbalancing:RegisterTargets";
const DEREGISTER: &str = "elasticloadbalancing:DeregisterTargets";

/// Which groups are meant; all without any of these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Which {
    pub(crate) arns: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) balancer: Option<String>,
}

/// One place in a group.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) id: String,
    pub(crate) port: Option<i32>,
    pub(crate) zone: Option<String>,
}

fn client(session: &Session) -> &Client {
    session.elb.get_or_init(|| Client::new(&session.config))
}

pub(crate) async fn groups(session: &Session, which: &Which) -> Result<Vec<TargetGroup>, AwsError> {
    let set = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let asked = client(session).describe_target_groups().set_target_group_arns(set(&which.arns)).set_names(set(&which.names));
        let asked = asked.set_load_balancer_arn(which.balancer.clone()).set_marker(next);
        let answer = asked.send().await.map_err(|error| AwsError::of(GROUPS, &error))?;
        all.extend(answer.target_groups.unwrap_or_default());
        next = answer.next_marker.filter(|marker| !marker.is_empty());
        if next.is_none() {
            return Ok(all);
        }
    }
}

pub(crate) async fn attributes(session: &Session, arn: &str) -> Result<Map, AwsError> {
    let answer = client(session).describe_target_group_attributes().target_group_arn(arn).send().await;
    let answer = answer.map_err(|error| AwsError::of(ATTRIBUTES, &error))?;
    let attribute = |key: &str, value: &str| (key.replace('.', "_").into(), Value::from(value));
    let found = answer.attributes.unwrap_or_default();
    Ok(found.iter().filter_map(|one| Some(attribute(one.key.as_deref()?, one.value.as_deref()?))).collect())
}

pub(crate) async fn tags(session: &Session, arn: &str) -> Result<Map, AwsError> {
    let answer = client(session).describe_tags().resource_arns(arn).send().await.map_err(|error| AwsError::of(TAGS, &error))?;
    let found = answer.tag_descriptions.unwrap_or_default().into_iter().flat_map(|one| one.tags.unwrap_or_default());
    Ok(found.filter_map(|tag| Some((tag.key?.as_str().into(), Value::from(tag.value.unwrap_or_default())))).collect())
}

pub(crate) async fn health(
    session: &Session,
    arn: &str,
    place: Option<&Place>,
) -> Result<Vec<TargetHealthDescription>, AwsError> {
    let asked =
        client(session).describe_target_health().target_group_arn(arn).set_targets(place.map(|place| vec![described(place)]));
    let answer = asked.send().await.map_err(|error| AwsError::of(HEALTH, &error))?;
    Ok(answer.target_health_descriptions.unwrap_or_default())
}

pub(crate) async fn register(session: &Session, arn: &str, place: &Place) -> Result<(), AwsError> {
    let answer = client(session).register_targets().target_group_arn(arn).targets(described(place)).send().await;
    answer.map(drop).map_err(|error| AwsError::of(REGISTER, &error))
}

pub(crate) async fn deregister(session: &Session, arn: &str, place: &Place) -> Result<(), AwsError> {
    let answer = client(session).deregister_targets().target_group_arn(arn).targets(described(place)).send().await;
    answer.map(drop).map_err(|error| AwsError::of(DEREGISTER, &error))
}

fn described(place: &Place) -> TargetDescription {
    TargetDescription::builder().id(&place.id).set_port(place.port).set_availability_zone(place.zone.clone()).build()
}

/// A group in Ansible's words.
pub(crate) fn group_values(group: &TargetGroup) -> Map {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let number = |number: Option<i32>| number.map(|number| Value::Int(number.into()));
    let matcher = group.matcher.as_ref().map(|matcher| {
        let codes = [("http_code", &matcher.http_code), ("grpc_code", &matcher.grpc_code)];
        let known = codes.into_iter().filter_map(|(name, code)| Some((name.into(), Value::from(code.as_deref()?))));
        Value::map(known.collect())
    });
    let balancers = group.load_balancer_arns.as_ref().map(|arns| arns.iter().map(|arn| Value::from(arn.as_str())).collect());
    some([
        ("TargetGroupArn", text(&group.target_group_arn)),
        ("TargetGroupName", text(&group.target_group_name)),
        ("Protocol", group.protocol.as_ref().map(|protocol| protocol.as_str().into())),
        ("Port", number(group.port)),
        ("VpcId", text(&group.vpc_id)),
        ("HealthCheckProtocol", group.health_check_protocol.as_ref().map(|protocol| protocol.as_str().into())),
        ("HealthCheckPort", text(&group.health_check_port)),
        ("HealthCheckEnabled", group.health_check_enabled.map(Value::Bool)),
        ("HealthCheckIntervalSeconds", number(group.health_check_interval_seconds)),
        ("HealthCheckTimeoutSeconds", number(group.health_check_timeout_seconds)),
        ("HealthyThresholdCount", number(group.healthy_threshold_count)),
        ("UnhealthyThresholdCount", number(group.unhealthy_threshold_count)),
        ("HealthCheckPath", text(&group.health_check_path)),
        ("Matcher", matcher),
        ("LoadBalancerArns", balancers),
        ("TargetType", group.target_type.as_ref().map(|kind| kind.as_str().into())),
        ("ProtocolVersion", text(&group.protocol_version)),
        ("IpAddressType", group.ip_address_type.as_ref().map(|kind| kind.as_str().into())),
    ])
}

/// One target's health in Ansible's words.
pub(crate) fn health_values(description: &TargetHealthDescription) -> Map {
    let target = description.target.as_ref().map(|target| {
        Value::map(some([
            ("Id", target.id.as_deref().map(Value::from)),
            ("Port", target.port.map(|port| Value::Int(port.into()))),
            ("AvailabilityZone", target.availability_zone.as_deref().map(Value::from)),
        ]))
    });
    some([
        ("Target", target),
        ("HealthCheckPort", description.health_check_port.as_deref().map(Value::from)),
        ("TargetHealth", Some(Value::map(state_values(description)))),
    ])
}

pub(crate) fn state_values(description: &TargetHealthDescription) -> Map {
    let Some(health) = &description.target_health else { return Map::new() };
    some([
        ("State", health.state.as_ref().map(|state| state.as_str().into())),
        ("Reason", health.reason.as_ref().map(|reason| reason.as_str().into())),
        ("Description", health.description.as_deref().map(Value::from)),
    ])
}

/// `healthy`, `draining` …; empty where nothing is known.
pub(crate) fn state(description: &TargetHealthDescription) -> &str {
    description.target_health.as_ref().and_then(|health| health.state.as_ref()).map_or("", |state| state.as_str())
}

/// What is there, under names in snake case.
fn some<const N: usize>(members: [(&str, Option<Value>); N]) -> Map {
    members.into_iter().filter_map(|(name, value)| Some((snake(name).into(), value?))).collect()
}
