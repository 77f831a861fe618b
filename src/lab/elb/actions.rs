//! The API's actions over the world: the part of them that a rollout, `roll doctor` and people with the AWS tools use.

use super::config::Group;
use super::query::Query;
use super::world::{Key, Refusal, Shown, World};
use super::xml::{Xml, text};

/// What the API answers with when it says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct No {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) said: String,
}

fn no(status: u16, code: &'static str, said: impl Into<String>) -> No {
    No { status, code, said: said.into() }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> No {
        match refusal {
            Refusal::NoSuchGroup => no(400, "TargetGroupNotFound", "One or more target groups not found"),
            Refusal::BadTarget(said) => no(400, "InvalidTarget", said),
        }
    }
}

type Action = fn(&mut World, &Query, f64) -> Result<Xml, No>;

/// Every action, by its name.
const ACTIONS: &[(&str, Action)] = &[
    ("DeregisterTargets", deregister),
    ("DescribeListeners", listeners),
    ("DescribeLoadBalancerAttributes", balancer_attributes),
    ("DescribeLoadBalancers", balancers),
    ("DescribeRules", rules),
    ("DescribeTargetGroupAttributes", group_attributes),
    ("DescribeTargetGroups", groups),
    ("DescribeTargetHealth", health),
    ("ModifyTargetGroupAttributes", modify_group_attributes),
    ("RegisterTargets", register),
];

pub(super) fn act(world: &mut World, query: &Query, now: f64) -> Result<Xml, No> {
    match ACTIONS.iter().find(|(name, _)| *name == query.action()) {
        Some((_, action)) => action(world, query, now),
        None => Err(no(400, "InvalidAction", format!("The action {} is not valid for this web service.", query.action()))),
    }
}

fn group_of(world: &World, query: &Query) -> Result<usize, No> {
    Ok(world.group(query.get("TargetGroupArn").unwrap_or_default())?)
}

fn targets(world: &World, query: &Query, group: usize) -> Result<Vec<Key>, No> {
    let default = world.config.groups[group].port;
    let key = |(id, port): (&str, Option<&str>)| {
        let port = port.map_or(Ok(default), str::parse);
        let port = port.map_err(|_| no(400, "ValidationError", "Port must be between 1 and 65535"))?;
        Ok(Key { group, id: id.to_owned(), port })
    };
    query.entries("Targets", "Id", "Port").into_iter().map(key).collect()
}

fn register(world: &mut World, query: &Query, now: f64) -> Result<Xml, No> {
    let group = group_of(world, query)?;
    let keys = targets(world, query, group)?;
    if keys.is_empty() {
        return Err(no(400, "ValidationError", "At least one target must be specified"));
    }
    for key in keys {
        world.register(key, now)?;
    }
    Ok(Xml::Children(Vec::new()))
}

fn deregister(world: &mut World, query: &Query, now: f64) -> Result<Xml, No> {
    let group = group_of(world, query)?;
    for (id, port) in query.entries("Targets", "Id", "Port") {
        // Without a port, the target with the group's own.
        let port = port.and_then(|port| port.parse().ok()).unwrap_or(world.config.groups[group].port);
        world.deregister(&Key { group, id: id.to_owned(), port }, now);
    }
    Ok(Xml::Children(Vec::new()))
}

fn health(world: &mut World, query: &Query, now: f64) -> Result<Xml, No> {
    let group = group_of(world, query)?;
    let asked = targets(world, query, group)?;
    let all = world.shown(group, now);
    let shown: Vec<Shown> = if asked.is_empty() {
        all
    } else {
        let one = |key: Key| all.iter().find(|shown| shown.key == key).cloned().unwrap_or_else(|| not_registered(key));
        asked.into_iter().map(one).collect()
    };
    Ok(Xml::Children(vec![("TargetHealthDescriptions", Xml::Members(shown.iter().map(description).collect()))]))
}

/// Asked for by name, what is not there is shown, too.
fn not_registered(key: Key) -> Shown {
    let said = "Target is not registered to the target group".to_owned();
    Shown { key, zone: None, state: "unused", reason: Some("Target.NotRegistered"), said }
}

fn description(shown: &Shown) -> Xml {
    let mut target = vec![("Id", text(&shown.key.id)), ("Port", text(shown.key.port))];
    target.extend(shown.zone.as_ref().map(|zone| ("AvailabilityZone", text(zone))));
    let mut health = vec![("State", text(shown.state))];
    if let Some(reason) = shown.reason {
        health.push(("Reason", text(reason)));
        health.push(("Description", text(&shown.said)));
    }
    Xml::Children(vec![
        ("Target", Xml::Children(target)),
        ("HealthCheckPort", text(shown.key.port)),
        ("TargetHealth", Xml::Children(health)),
    ])
}

fn groups(world: &mut World, query: &Query, _: f64) -> Result<Xml, No> {
    let (arns, names) = (query.list("TargetGroupArns"), query.list("Names"));
    let config = &world.config;
    let is_asked = |group: &&Group| {
        (arns.is_empty() && names.is_empty())
            || arns.contains(&config.group_arn(group).as_str())
            || names.contains(&group.name.as_str())
    };
    let found: Vec<&Group> = config.groups.iter().filter(is_asked).collect();
    if found.len() < arns.len().max(names.len()) {
        return Err(Refusal::NoSuchGroup.into());
    }
    let all = found.into_iter().map(|group| group_xml(world, group)).collect();
    Ok(page(world, query, "TargetGroups", all))
}

fn group_xml(world: &World, group: &Group) -> Xml {
    let balancers = if group.is_used { vec![text(world.config.balancer_arn())] } else { Vec::new() };
    Xml::Children(vec![
        ("TargetGroupArn", text(world.config.group_arn(group))),
        ("TargetGroupName", text(&group.name)),
        ("Protocol", text("HTTP")),
        ("ProtocolVersion", text("HTTP1")),
        ("Port", text(group.port)),
        ("VpcId", text("vpc-0123456789abcdef0")),
        ("HealthCheckProtocol", text("HTTP")),
        ("HealthCheckPort", text("traffic-port")),
        ("HealthCheckEnabled", text(true)),
        ("HealthCheckIntervalSeconds", text(group.interval.ceil())),
        ("HealthCheckTimeoutSeconds", text(group.timeout.ceil())),
        ("HealthyThresholdCount", text(group.rise)),
        ("UnhealthyThresholdCount", text(group.fall)),
        ("HealthCheckPath", text(&group.check_path)),
        ("Matcher", Xml::Children(vec![("HttpCode", text(200))])),
        ("LoadBalancerArns", Xml::Members(balancers)),
        ("TargetType", text(if group.is_ip { "ip" } else { "instance" })),
        ("IpAddressType", text("ipv4")),
    ])
}

fn group_attributes(world: &mut World, query: &Query, _: f64) -> Result<Xml, No> {
    let group = group_of(world, query)?;
    Ok(attributes(world.config.groups[group].all_attributes().into_iter()))
}

fn modify_group_attributes(world: &mut World, query: &Query, now: f64) -> Result<Xml, No> {
    let group = group_of(world, query)?;
    for (key, value) in query.entries("Attributes", "Key", "Value") {
        world.config.groups[group].attributes.insert(key.to_owned(), value.unwrap_or_default().to_owned());
    }
    group_attributes(world, query, now)
}

fn attributes(pairs: impl Iterator<Item = (String, String)>) -> Xml {
    let pair = |(key, value)| Xml::Children(vec![("Key", Xml::Text(key)), ("Value", Xml::Text(value))]);
    Xml::Children(vec![("Attributes", Xml::Members(pairs.map(pair).collect()))])
}

fn is_balancer(world: &World, arns: &[&str]) -> Result<(), No> {
    let own = world.config.balancer_arn();
    if arns.iter().all(|arn| *arn == own) {
        return Ok(());
    }
    Err(no(400, "LoadBalancerNotFound", "One or more load balancers not found"))
}

fn balancers(world: &mut World, query: &Query, _: f64) -> Result<Xml, No> {
    is_balancer(world, &query.list("LoadBalancerArns"))?;
    let zone = |(number, zone): (usize, &String)| {
        Xml::Children(vec![
            ("ZoneName", text(zone)),
            ("SubnetId", text(format!("subnet-{number:017x}"))),
            ("LoadBalancerAddresses", Xml::Members(Vec::new())),
        ])
    };
    let one = Xml::Children(vec![
        ("LoadBalancerArn", text(world.config.balancer_arn())),
        ("DNSName", text("double.elb.invalid")),
        ("CanonicalHostedZoneId", text("Z0000000000000")),
        ("CreatedTime", text("2026-01-01T00:00:00.000Z")),
        ("LoadBalancerName", text("double")),
        ("Scheme", text("internal")),
        ("VpcId", text("vpc-0123456789abcdef0")),
        ("State", Xml::Children(vec![("Code", text("active"))])),
        ("Type", text("application")),
        ("AvailabilityZones", Xml::Members(world.config.zones.iter().enumerate().map(zone).collect())),
        ("SecurityGroups", Xml::Members(Vec::new())),
        ("IpAddressType", text("ipv4")),
    ]);
    Ok(page(world, query, "LoadBalancers", vec![one]))
}

fn balancer_attributes(world: &mut World, query: &Query, _: f64) -> Result<Xml, No> {
    is_balancer(world, &[query.get("LoadBalancerArn").unwrap_or_default()])?;
    let idle = world.config.idle_timeout.to_string();
    let all = [
        ("idle_timeout.timeout_seconds", idle.as_str()),
        ("routing.http2.enabled", "true"),
        ("load_balancing.cross_zone.enabled", "true"),
        ("client_keep_alive.seconds", "3600"),
    ];
    Ok(attributes(all.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()))))
}

fn listeners(world: &mut World, query: &Query, _: f64) -> Result<Xml, No> {
    is_balancer(world, &[query.get("LoadBalancerArn").unwrap_or_default()])?;
    let first = world.config.groups.iter().find(|group| group.is_used);
    let listener = Xml::Children(vec![
        ("ListenerArn", text(world.config.listener_arn())),
        ("LoadBalancerArn", text(world.config.balancer_arn())),
        ("Port", text(80)),
        ("Protocol", text("HTTP")),
        ("DefaultActions", Xml::Members(first.into_iter().map(|group| forward(world, group)).collect())),
    ]);
    Ok(page(world, query, "Listeners", vec![listener]))
}

/// The first group that is used is the listener's own; every other one has a rule.
fn rules(world: &mut World, query: &Query, _: f64) -> Result<Xml, No> {
    if query.get("ListenerArn") != Some(world.config.listener_arn().as_str()) {
        return Err(no(400, "ListenerNotFound", "One or more listeners not found"));
    }
    let used: Vec<&Group> = world.config.groups.iter().filter(|group| group.is_used).collect();
    let rule = |(place, group): (usize, &&Group)| {
        let arn = world.config.listener_arn().replace(":listener/", ":listener-rule/");
        let priority = if place == 0 { "default".to_owned() } else { place.to_string() };
        Xml::Children(vec![
            ("RuleArn", text(format!("{arn}/{place:016x}"))),
            ("Priority", text(priority)),
            ("Conditions", Xml::Members(Vec::new())),
            ("Actions", Xml::Members(vec![forward(world, group)])),
            ("IsDefault", text(place == 0)),
        ])
    };
    let all = used.iter().enumerate().map(rule).collect();
    Ok(page(world, query, "Rules", all))
}

fn forward(world: &World, group: &Group) -> Xml {
    let arn = world.config.group_arn(group);
    let tuple = Xml::Children(vec![("TargetGroupArn", text(&arn)), ("Weight", text(1))]);
    Xml::Children(vec![
        ("Type", text("forward")),
        ("TargetGroupArn", text(arn)),
        ("ForwardConfig", Xml::Children(vec![("TargetGroups", Xml::Members(vec![tuple]))])),
    ])
}

/// A page of a list; the marker is the number of the next item.
fn page(world: &World, query: &Query, name: &'static str, all: Vec<Xml>) -> Xml {
    let from: usize = query.get("Marker").and_then(|marker| marker.parse().ok()).unwrap_or(0);
    let asked = query.get("PageSize").and_then(|size| size.parse().ok()).unwrap_or(400);
    let size: usize = if world.knobs.page == 0 { asked } else { asked.min(world.knobs.page) };
    let next = (from + size < all.len()).then(|| ("NextMarker", text(from + size)));
    let items = all.into_iter().skip(from).take(size).collect();
    let mut children = vec![(name, Xml::Members(items))];
    children.extend(next);
    Xml::Children(children)
}
