//! Tests on addresses and networks, as the collection `ansible.utils` has them.

use super::{Test, test};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::filters::Net;
use crate::template::runtime::Val;
use std::net::{IpAddr, ToSocketAddrs};
use std::process::{Command, Stdio};

pub(super) const TESTS: &[Test] = &[
    test("ansible.utils.ip", &[], "an address or a network", |call| Ok(network(&call.input).is_some())).or(&["ip"]),
    test("ansible.utils.ipv4", &[], "an IPv4 address or network", |call| Ok(network(&call.input).is_some_and(|net| !net.is_v6)))
        .or(&["ipv4"]),
    test("ansible.utils.ipv6", &[], "an IPv6 address or network", |call| Ok(network(&call.input).is_some_and(|net| net.is_v6)))
        .or(&["ipv6"]),
    test("ansible.utils.ip_address", &[], "an address", |call| is(call, |_| true)).or(&["ip_address"]),
    test("ansible.utils.ipv4_address", &[], "an IPv4 address", |call| is(call, |net| !net.is_v6)).or(&["ipv4_address"]),
    test("ansible.utils.ipv6_address", &[], "an IPv6 address", |call| is(call, |net| net.is_v6)).or(&["ipv6_address"]),
    test("ansible.utils.ipv4_netmask", &[], "a netmask", |call| is_mask(call, |mask| !mask)).or(&["ipv4_netmask"]),
    test("ansible.utils.ipv4_hostmask", &[], "a netmask the other way round", |call| is_mask(call, |mask| mask))
        .or(&["ipv4_hostmask"]),
    test("ansible.utils.private", &[], "an address for nobody in public", |call| is(call, is_private)).or(&["private"]),
    test("ansible.utils.public", &[], "an address for everybody", |call| {
        is(call, |net| !is_private(net) && !net.is_within("100.64.0.0/10"))
    })
    .or(&["public"]),
    test("ansible.utils.loopback", &[], "an address of this machine itself", |call| is(call, Net::is_loopback)).or(&["loopback"]),
    test("ansible.utils.multicast", &[], "an address of many", |call| is(call, Net::is_multicast)).or(&["multicast"]),
    test("ansible.utils.reserved", &[], "an address that is kept for later", |call| is(call, is_reserved)).or(&["reserved"]),
    test("ansible.utils.unspecified", &[], "the address that stands for none", |call| is(call, |net| net.address == 0))
        .or(&["unspecified"]),
    test("ansible.utils.ipv6_ipv4_mapped", &[], "an IPv4 address within IPv6", |call| is(call, |net| mapped(net).is_some()))
        .or(&["ipv6_ipv4_mapped"]),
    test("ansible.utils.ipv6_sixtofour", &[], "an address of 6to4", |call| is(call, |net| net.is_within("2002::/16")))
        .or(&["ipv6_sixtofour"]),
    test("ansible.utils.ipv6_teredo", &[], "an address of Teredo", |call| is(call, |net| net.is_within("2001::/32")))
        .or(&["ipv6_teredo"]),
    test("ansible.utils.mac", &[], "a hardware address", is_hardware).or(&["mac"]),
    test("ansible.utils.resolvable", &[], "a name or an address that this machine can look up", is_resolvable)
        .or(&["resolvable"]),
    test("ansible.utils.in_network", &["network"], "within a network", |call| within(call, "network")).or(&["in_network"]),
    test("ansible.utils.in_any_network", &["networks"], "within one of several networks", |call| Ok(count(call)? > 0))
        .or(&["in_any_network"]),
    test("ansible.utils.in_one_network", &["networks"], "within exactly one of several networks", |call| Ok(count(call)? == 1))
        .or(&["in_one_network"]),
    test("ansible.utils.subnet_of", &["network_b"], "a part of a network", |call| within(call, "network_b")).or(&["subnet_of"]),
    test("ansible.utils.supernet_of", &["network_b"], "a network that holds another", |call| {
        let other = call.needed(0, "network_b")?;
        Ok(holds(network(&call.input), network(&other)))
    })
    .or(&["supernet_of"]),
];

/// Where the addresses are that are given to somebody; the rest is reserved.
const ASSIGNED_6: &[&str] = &["2000::/3", "fc00::/7", "fe80::/9", "ff00::/8"];

/// An address without a prefix; IPv6 may name an interface behind `%`.
fn address(value: &Val) -> Option<Net> {
    let text = value.as_str()?;
    let plain = match text.split_once('%') {
        Some((plain, interface)) if !interface.is_empty() && !interface.contains('%') && plain.contains(':') => plain,
        Some(_) => return None,
        None => text,
    };
    plain.parse::<IpAddr>().ok().map(Net::of)
}

/// A network whose address has nothing of a host, or a single address.
fn network(value: &Val) -> Option<Net> {
    let text = value.as_str()?;
    let Some((first, mask)) = text.split_once('/') else { return address(value) };
    let net = address(&Val::from(first))?;
    if net.is_v6 && mask.contains(':') {
        return None;
    }
    let net = Net::read(&format!("{}/{mask}", net.ip()))?;
    (net.first() == net.address).then_some(net)
}

fn is(call: &Call<'_, '_>, test: impl Fn(Net) -> bool) -> Res<bool> {
    Ok(address(&call.input).is_some_and(test))
}

/// The IPv4 address that `::ffff:10.0.0.1` stands for.
fn mapped(net: Net) -> Option<Net> {
    net.is_within("::ffff:0:0/96").then(|| Net { is_v6: false, address: net.address & u128::from(u32::MAX), prefix: 32 })
}

fn is_private(net: Net) -> bool {
    mapped(net).unwrap_or(net).is_private()
}

fn is_reserved(net: Net) -> bool {
    if net.is_v6 { !ASSIGNED_6.iter().any(|range| net.is_within(range)) } else { net.is_within("240.0.0.0/4") }
}

/// A mask of which `10.0.0.0` is a network; whether it is inverse is asked of its first bit.
fn is_mask(call: &Call<'_, '_>, wants: fn(bool) -> bool) -> Res<bool> {
    let Some(mask) = address(&call.input).filter(|mask| !mask.is_v6) else { return Ok(false) };
    let is_inverse = mask.address >> 31 == 0;
    let net = network(&Val::from(format!("10.0.0.0/{}", mask.ip())));
    Ok(wants(is_inverse) && net.is_some())
}

fn holds(range: Option<Net>, net: Option<Net>) -> bool {
    range.zip(net).is_some_and(|(range, net)| range.contains(net))
}

fn within(call: &mut Call<'_, '_>, name: &str) -> Res<bool> {
    let range = call.needed(0, name)?;
    Ok(holds(network(&range), network(&call.input)))
}

/// How many of the networks the input is in.
fn count(call: &mut Call<'_, '_>) -> Res<usize> {
    let networks = call.needed(0, "networks")?;
    let networks = call.eval.elements(&networks)?;
    let net = network(&call.input);
    Ok(networks.iter().filter(|range| holds(network(range), net)).count())
}

/// `1a:2b:3c:4d:5e:6f`, with `-` too; `1a2b.3c4d.5e6f` or `1a2b3c4d5e6f`.
fn is_hardware(call: &mut Call<'_, '_>) -> Res<bool> {
    let Val::Str(text) = &call.input else {
        return Err(format!("expected string or bytes-like object, got '{}'", call.input.kind()).into());
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let are_digits = |parts: Vec<&str>, count: usize, width: usize| {
        let is_part = |part: &&str| part.len() == width && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        parts.len() == count && parts.iter().all(is_part)
    };
    Ok(are_digits(text.split([':', '-']).collect(), 6, 2)
        || are_digits(text.split('.').collect(), 3, 4)
        || are_digits(vec![text], 1, 12))
}

/// A name by its address, an address by its name.
fn is_resolvable(call: &mut Call<'_, '_>) -> Res<bool> {
    let Val::Str(host) = &call.input else { return Ok(false) };
    if host.is_empty() || host.contains('\0') {
        return Ok(false);
    }
    if host.parse::<IpAddr>().is_err() {
        return Ok((host.as_str(), 0).to_socket_addrs().is_ok_and(|mut found| found.any(|address| address.is_ipv4())));
    }
    let asked = Command::new("getent").args(["hosts", "--", host]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    match asked {
        Ok(output) => Ok(output.status.success()),
        Err(error) => Err(format!("`getent hosts` could not be run: {error}").into()),
    }
}
