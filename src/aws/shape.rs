//! EC2's XML in Ansible's words: the names that boto3 has, in snake case, and values of the right kind.
//!
//! Nearly all follows rules: a list is called `…Set`, and names only change their case. The tables have the rest.

use super::answer::Element;
use crate::value::{Map, Value};

/// Elements that are called otherwise in every SDK; `instance` ones only right inside of an instance.
const RENAMED: &[(&str, &str)] = &[
    ("blockDeviceMapping", "block_device_mappings"),
    ("privateIpAddressSet", "private_ip_addresses"),
    ("productCode", "product_code_id"),
    ("type", "product_code_type"),
];
const RENAMED_IN_INSTANCE: &[(&str, &str)] = &[
    ("dnsName", "public_dns_name"),
    ("groupSet", "security_groups"),
    ("instanceState", "state"),
    ("ipAddress", "public_ip_address"),
    ("reason", "state_transition_reason"),
];

const LISTS: &[&str] = &["blockDeviceMapping", "productCodes"];
/// Groups of values, also when nothing is in them.
const GROUPS: &[&str] = &["iamInstanceProfile", "monitoring", "operator", "placement", "stateReason", "association", "ebs"];
const BOOLEANS: &[&str] = &[
    "configured",
    "deleteOnTermination",
    "ebsOptimized",
    "enaSrdEnabled",
    "enaSrdUdpEnabled",
    "enaSupport",
    "enableResourceNameDnsAAAARecord",
    "enableResourceNameDnsARecord",
    "enabled",
    "hiddenByDefault",
    "isPrimaryIpv6",
    "managed",
    "primary",
    "sourceDestCheck",
];
const NUMBERS: &[&str] = &[
    "amiLaunchIndex",
    "coreCount",
    "deviceIndex",
    "ebsCardIndex",
    "enaQueueCount",
    "httpPutResponseHopLimit",
    "networkCardIndex",
    "partitionNumber",
    "tcpEstablishedTimeout",
    "threadsPerCore",
    "udpStreamTimeout",
    "udpTimeout",
];

pub(super) fn instance(element: &Element) -> Map {
    let mut values = members(element, RENAMED_IN_INSTANCE);
    // Without tags there is an empty mapping.
    values.entry("tags".into()).or_insert_with(|| Value::map(Map::new()));
    values.sort_by(|one, _, other, _| one.as_str().cmp(&other.as_str()));
    values
}

pub(super) fn reservation(element: &Element) -> Map {
    // Also where nobody else has asked for it.
    let names = ["ownerId", "requesterId", "reservationId"];
    names.map(|name| (snake(name).into(), Value::from(element.text_of(name)))).into_iter().collect()
}

pub(super) fn attribute(answer: &Element) -> Map {
    let named = answer.children.iter().filter(|child| !matches!(child.name.as_str(), "requestId" | "instanceId"));
    let value = |child: &Element| match child.child("value") {
        Some(value) => Value::pair("value", scalar(&child.name, &value.text)),
        None => value(child),
    };
    named.map(|child| (name_of(&child.name, &[]).into(), value(child))).collect()
}

fn members(element: &Element, renamed: &[(&str, &str)]) -> Map {
    element.children.iter().map(|child| (name_of(&child.name, renamed).into(), value_in(&element.name, child))).collect()
}

fn name_of(name: &str, renamed: &[(&str, &str)]) -> String {
    if let Some((_, other)) = renamed.iter().chain(RENAMED).find(|(known, _)| *known == name) {
        return (*other).to_owned();
    }
    match name.strip_suffix("Set") {
        Some(one) if one.ends_with('x') => format!("{}es", snake(one)),
        Some(one) if one.ends_with('s') => snake(one),
        Some(one) => format!("{}s", snake(one)),
        None => snake(name),
    }
}

/// A state's `code` is a number, a reason's is not.
fn value_in(parent: &str, element: &Element) -> Value {
    if parent == "instanceState" && element.name == "code" {
        return element.text.trim().parse().map_or(Value::Null, Value::Int);
    }
    value(element)
}

fn value(element: &Element) -> Value {
    let name = element.name.as_str();
    if name == "tagSet" {
        let tag = |item: &Element| (item.text_of("key").into(), Value::from(item.text_of("value")));
        return Value::map(element.children.iter().map(tag).collect());
    }
    if name.ends_with("Set") || LISTS.contains(&name) {
        let item = |item: &Element| match item.children.is_empty() {
            true => Value::from(item.text.trim()),
            false => Value::map(members(item, &[])),
        };
        return element.children.iter().map(item).collect();
    }
    if !element.children.is_empty() || name.ends_with("Options") || GROUPS.contains(&name) {
        return Value::map(members(element, &[]));
    }
    scalar(name, &element.text)
}

fn scalar(name: &str, text: &str) -> Value {
    let text = text.trim();
    if BOOLEANS.contains(&name) || name.starts_with("disableApi") {
        return match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        };
    }
    if NUMBERS.contains(&name) {
        return text.parse().map_or(Value::Null, Value::Int);
    }
    if name.ends_with("Time") {
        return Value::from(python_time(text));
    }
    Value::from(text)
}

/// `2026-11-21T16:47:51.000Z` as Python writes it: `2026-11-21T16:47:51+00:00`.
fn python_time(text: &str) -> String {
    let Some(utc) = text.strip_suffix('Z') else { return text.to_owned() };
    let (seconds, fraction) = utc.split_once('.').unwrap_or((utc, ""));
    match fraction.trim_end_matches('0') {
        "" => format!("{seconds}+00:00"),
        _ => format!("{seconds}.{fraction:0<6}+00:00"),
    }
}

/// `camelCase` in snake case, as Ansible turns it: `vpcId`, `HTTPCode`, `ipv6Address`.
pub(super) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let starts = letter.is_uppercase()
            && before.is_some_and(|before| !before.is_uppercase() || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
        if starts {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_ansible() {
        for (name, wanted) in [
            ("vpcId", "vpc_id"),
            ("networkInterfaceSet", "network_interfaces"),
            ("privateIpAddressesSet", "private_ip_addresses"),
            ("privateIpAddressSet", "private_ip_addresses"),
            ("ipv4PrefixSet", "ipv4_prefixes"),
            ("metricCategoryIdSet", "metric_category_ids"),
            ("licenseSet", "licenses"),
            ("groupSet", "groups"),
            ("blockDeviceMapping", "block_device_mappings"),
            ("enableResourceNameDnsAAAARecord", "enable_resource_name_dns_aaaa_record"),
            ("httpProtocolIpv6", "http_protocol_ipv6"),
        ] {
            assert_eq!(name_of(name, &[]), wanted);
        }
        assert_eq!(name_of("groupSet", RENAMED_IN_INSTANCE), "security_groups");
    }

    #[test]
    fn values_have_the_kind_that_they_have_in_python() {
        let xml = "<item><instanceState><code>16</code><name>running</name></instanceState><stateReason><code>7</code></stateReason>\
                   <tagSet><item><key>on</key><value>true</value></item></tagSet><ebsOptimized>false</ebsOptimized><productCodes/>\
                   <hibernationOptions/><launchTime>2026-11-21T16:47:51.000Z</launchTime><reason/></item>";
        let values = Value::map(instance(&Element::read(xml).unwrap()));
        assert_eq!(
            values.to_json(),
            "{\"ebs_optimized\":false,\"hibernation_options\":{},\"launch_time\":\"2026-11-21T16:47:51+00:00\",\
             \"product_codes\":[],\"state\":{\"code\":16,\"name\":\"running\"},\"state_reason\":{\"code\":\"7\"},\
             \"state_transition_reason\":\"\",\"tags\":{\"on\":\"true\"}}"
        );
        assert_eq!(python_time("2026-11-21T16:47:51.120Z"), "2026-11-21T16:47:51.120000+00:00");
    }
}
