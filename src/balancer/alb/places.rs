//! What a target group calls the hosts of a play.

use super::group::{Group, Listed};
use crate::balancer::{BalancerError, Member, State, Target};
use std::net::IpAddr;

/// A target in a group: an instance or an address, and a port. Two ports of one instance are two targets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub id: String,
    pub port: u16,
}

/// What is said (`target`), else what kind of target the group takes.
pub(super) fn place(member: &Member, group: &Group, port: Option<u16>) -> Result<Place, BalancerError> {
    let (id, wanted) = if group.is_ip {
        (address(member), "a private address (`private_address`, or `ansible_host` as an IP address)")
    } else {
        (member.instance.clone(), "the variable `instance_id`")
    };
    let nameless = || BalancerError::NamelessHost { host: member.host.clone(), wanted };
    let id = member.target.clone().or(id).filter(|id| !id.is_empty()).ok_or_else(nameless)?;
    if group.is_ip && id.parse::<IpAddr>().is_err() {
        let wanted = "an IP address, for the group has IP targets";
        return Err(BalancerError::BadOption { kind: "alb", name: "target", value: id, wanted });
    }
    Ok(Place { id, port: port.unwrap_or(group.port) })
}

/// A private one if there is any: a load balancer reaches its targets from inside.
fn address(member: &Member) -> Option<String> {
    let addresses = || member.addresses.iter().filter_map(|text| text.parse::<IpAddr>().ok());
    let is_private = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_private() || address.octets()[0] == 100,
        IpAddr::V6(address) => address.is_unique_local(),
    };
    addresses().find(is_private).or_else(|| addresses().next()).map(|address| address.to_string())
}

/// `web1`, or `web1:5001` for another port of it.
pub(super) fn split<'m>(target: &str, members: &'m [Member]) -> Option<(&'m Member, Option<u16>)> {
    let named = |name: &str| members.iter().find(|member| member.host == name);
    if let Some(member) = named(target) {
        return Some((member, None));
    }
    let (name, port) = target.rsplit_once(':')?;
    Some((named(name)?, Some(port.parse().ok()?)))
}

/// The hosts of the play, then whatever else is registered.
pub(super) fn targets(hosts: &[(String, Place)], members: &[Member], listed: &[Listed]) -> Vec<Target> {
    let target = |name: String, found: &Listed| Target {
        name,
        address: Some(format!("{}:{}", found.place.id, found.place.port)),
        state: found.state,
        reason: found.reason.clone(),
        sessions: None,
        zone: zone(&found.place, hosts, members, listed),
        standings: Vec::new(),
    };
    let absent =
        |place: &Place| Listed { place: place.clone(), zone: None, state: State::Out, reason: "Target.NotRegistered".to_owned() };
    let is_host = |place: &Place| hosts.iter().any(|(_, known)| known == place);
    let ours = hosts.iter().map(|(host, place)| {
        let found = listed.iter().find(|other| other.place == *place).cloned();
        target(host.clone(), &found.unwrap_or_else(|| absent(place)))
    });
    let others = listed.iter().filter(|other| !is_host(&other.place)).map(|other| {
        let host = hosts.iter().find(|(_, place)| place.id == other.place.id).map(|(host, _)| host);
        target(format!("{}:{}", host.unwrap_or(&other.place.id), other.place.port), other)
    });
    ours.chain(others).collect()
}

/// As the group says it, else as the inventory does.
pub(super) fn zone(place: &Place, hosts: &[(String, Place)], members: &[Member], listed: &[Listed]) -> Option<String> {
    let said = listed.iter().find(|other| other.place == *place).and_then(|other| other.zone.clone());
    let host = || hosts.iter().find(|(_, known)| known.id == place.id).map(|(host, _)| host);
    said.or_else(|| members.iter().find(|member| Some(&member.host) == host())?.zone.clone())
}
