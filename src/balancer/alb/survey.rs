//! How a target group and the load balancer in front of it are set up.

use super::api::Api;
use super::group::{self, Attributes, Group};
use crate::balancer::{BalancerError, Check, Setup};
use aws_sdk_elasticloadbalancingv2::types::{Action, TargetGroup};
use std::collections::BTreeSet;

pub(super) async fn survey(api: &Api, group: &Group) -> Result<Setup, BalancerError> {
    let targets = group::list(api, group).await?;
    let balancers = group.described.load_balancer_arns();
    let mut setup = of_group(group);
    setup.targets = targets.len();
    setup.zones = targets.iter().filter_map(|target| target.zone.as_ref()).collect::<BTreeSet<_>>().len();
    setup.is_used = Some(is_used(api, group).await?);
    if let Some(first) = balancers.first() {
        let attributes = api.balancer_attributes(first).await?;
        let attributes = Attributes::new(attributes.into_iter().map(|attribute| (attribute.key, attribute.value)));
        setup.idle_seconds = attributes.number("idle_timeout.timeout_seconds").or(Some(60.0));
        let zones: usize =
            api.balancers(balancers).await?.iter().map(|balancer| balancer.availability_zones().len()).max().unwrap_or(0);
        setup.zones = setup.zones.max(zones);
    }
    Ok(setup)
}

fn of_group(group: &Group) -> Setup {
    let attributes = &group.attributes;
    let fail_open = attributes
        .number("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count")
        .filter(|count| (0.0..=1e6).contains(count));
    Setup {
        pool: format!("target group {}", group.name),
        target_type: Some(if group.is_ip { "ip" } else { "instance" }.to_owned()),
        check: Some(check(&group.described)),
        drain_seconds: Some(group.delay.as_secs_f64()),
        ramp_seconds: Some(group.slow_start.as_secs_f64()),
        is_sticky: Some(attributes.get("stickiness.enabled") == Some("true")),
        is_cross_zone: Some(group.is_cross_zone),
        fail_open_below: Some(fail_open.map_or(1, |count| count as u32)),
        // An ALB tries no request twice.
        retries: Some(0),
        redispatches: Some(false),
        keeps_alive: Some(true),
        ..Setup::default()
    }
}

fn check(group: &TargetGroup) -> Check {
    let seconds = |seconds: Option<i32>, default: f64| seconds.map_or(default, f64::from);
    let count = |count: Option<i32>, default: u32| count.and_then(|count| u32::try_from(count).ok()).unwrap_or(default);
    Check {
        is_on: group.health_check_enabled().unwrap_or(true),
        path: group.health_check_path().map(str::to_owned),
        interval_seconds: seconds(group.health_check_interval_seconds(), 30.0),
        timeout_seconds: seconds(group.health_check_timeout_seconds(), 5.0),
        rise: count(group.healthy_threshold_count(), 5),
        fall: count(group.unhealthy_threshold_count(), 2),
    }
}

/// Whether a listener or a rule sends requests here; without, no target ever becomes healthy.
async fn is_used(api: &Api, group: &Group) -> Result<bool, BalancerError> {
    for balancer in group.described.load_balancer_arns() {
        for listener in api.listeners(balancer).await? {
            if listener.default_actions().iter().any(|action| leads_to(action, &group.arn)) {
                return Ok(true);
            }
            let Some(arn) = listener.listener_arn() else { continue };
            let rules = api.rules(arn).await?;
            if rules
                .iter()
                .flat_map(aws_sdk_elasticloadbalancingv2::types::Rule::actions)
                .any(|action| leads_to(action, &group.arn))
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn leads_to(action: &Action, arn: &str) -> bool {
    let weighted = action
        .forward_config()
        .map(aws_sdk_elasticloadbalancingv2::types::ForwardActionConfig::target_groups)
        .unwrap_or_default();
    action.target_group_arn() == Some(arn)
        || weighted.iter().any(|group| group.target_group_arn() == Some(arn) && group.weight().unwrap_or(1) > 0)
}
