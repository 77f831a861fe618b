//! Addresses and networks, as the collection `ansible.utils` has them.

mod hardware;
mod net;
mod query;

pub(crate) use net::Net;

use super::{Filter, filter};
use crate::template::calls::{Call, whole};
use crate::template::failure::Res;
use crate::template::runtime::Val;
use query::{Address, wrapped};

pub(super) const FILTERS: &[Filter] = &[
    filter("ansible.utils.ipaddr", &["query", "version", "alias"], "an address, or what it says", |call| ip(call, None))
        .or(&["ipaddr", "ansible.netcommon.ipaddr"]),
    filter("ansible.utils.ipv4", &["query"], "the same for IPv4 alone", |call| ip(call, Some(false)))
        .or(&["ipv4", "ansible.netcommon.ipv4"]),
    filter("ansible.utils.ipv6", &["query"], "the same for IPv6 alone", |call| ip(call, Some(true)))
        .or(&["ipv6", "ansible.netcommon.ipv6"]),
    filter("ansible.utils.ipwrap", &["query"], "IPv6 addresses between brackets", ipwrap)
        .or(&["ipwrap", "ansible.netcommon.ipwrap"]),
    filter("ansible.utils.ipsubnet", &["query", "index"], "smaller and larger networks", ipsubnet)
        .or(&["ipsubnet", "ansible.netcommon.ipsubnet"]),
    filter("ansible.utils.nthhost", &["query"], "one address of a network by its number", nthhost)
        .or(&["nthhost", "ansible.netcommon.nthhost"]),
    filter("ansible.utils.ipmath", &["amount"], "an address so many further on", ipmath)
        .or(&["ipmath", "ansible.netcommon.ipmath"]),
    filter("ansible.utils.next_nth_usable", &["offset"], "a usable address further on", |call| usable(call, 1))
        .or(&["next_nth_usable"]),
    filter("ansible.utils.previous_nth_usable", &["offset"], "a usable address further back", |call| usable(call, -1))
        .or(&["previous_nth_usable"]),
    filter("ansible.utils.network_in_usable", &["test"], "whether an address can be used in a network", |call| {
        contains(call, true)
    })
    .or(&["network_in_usable"]),
    filter("ansible.utils.network_in_network", &["test"], "whether a network holds another", |call| contains(call, false))
        .or(&["network_in_network"]),
    filter("ansible.utils.reduce_on_network", &["network"], "the addresses that are in a network", reduce)
        .or(&["reduce_on_network"]),
    filter("ansible.utils.cidr_merge", &["action"], "the fewest networks that cover all of them", cidr_merge)
        .or(&["cidr_merge", "ansible.netcommon.cidr_merge"]),
    filter("ansible.utils.ip4_hex", &["delimiter"], "an IPv4 address in hexadecimal", ip4_hex).or(&["ip4_hex"]),
    filter("ansible.utils.hwaddr", &["query"], "a hardware address in another form", |call| hardware::ask(call, "hwaddr"))
        .or(&["hwaddr", "ansible.netcommon.hwaddr"]),
    filter("ansible.utils.macaddr", &["query"], "a hardware address in another form", |call| hardware::ask(call, "macaddr"))
        .or(&["macaddr", "ansible.netcommon.macaddr"]),
    filter("ansible.utils.usable_range", &[], "the addresses of a network, and how many", usable_range).or(&["usable_range"]),
    filter("ansible.utils.ipcut", &["amount"], "the first or the last bits of an address", ipcut).or(&["ipcut"]),
    filter("ansible.utils.ipv6form", &["format"], "an IPv6 address written otherwise", ipv6form).or(&["ipv6form"]),
    filter("ansible.utils.slaac", &["query"], "the address that a host gives itself", slaac).or(&["slaac"]),
];

/// More subnets than this are not listed.
const MERGED_MAX: usize = 1_000_000;

fn address_of(value: &Val) -> Option<Address> {
    match value {
        Val::Str(text) => Address::read(text),
        Val::Int(number) => Address::of_number(*number),
        _ => None,
    }
}

fn query_of(call: &Call<'_, '_>) -> String {
    call.given(0).map(|query| query.to_text().as_str().to_owned()).unwrap_or_default()
}

fn ip(call: &mut Call<'_, '_>, wants_v6: Option<bool>) -> Res<Val> {
    let query = query_of(call);
    let wants_v6 = wants_v6.or_else(|| call.given(1).and_then(Val::as_int).map(|version| version == 6));
    let one = |value: &Val| -> Res<Val> {
        match address_of(value).filter(|address| wants_v6.is_none_or(|v6| v6 == address.net.is_v6)) {
            Some(address) => Ok(address.ask(&query)?),
            None => Ok(Val::Bool(false)),
        }
    };
    match call.input.clone() {
        value @ (Val::List(_) | Val::Tuple(_)) => {
            let mut found = Vec::new();
            for item in call.eval.elements(&value)? {
                let answer = one(&item)?;
                if answer.truth() == Some(true) {
                    found.push(answer);
                }
            }
            Ok(Val::list(found))
        }
        value @ (Val::Str(_) | Val::Int(_) | Val::Bool(_)) => one(&value),
        other => Err(format!("Unrecognized type <<class '{}'>> for ipaddr filter <value>", other.kind()).into()),
    }
}

/// What is no address stays as it is.
fn ipwrap(call: &mut Call<'_, '_>) -> Res<Val> {
    let one = |value: &Val| match (value, address_of(value)) {
        (Val::Str(text), Some(address)) => Val::text_of(wrapped(text, address.net), text.is_secret()),
        (other, _) => other.clone(),
    };
    match call.input.clone() {
        value @ (Val::List(_) | Val::Tuple(_)) => Ok(Val::list(call.eval.elements(&value)?.iter().map(one).collect())),
        value => Ok(one(&value)),
    }
}

fn nthhost(call: &mut Call<'_, '_>) -> Res<Val> {
    let index = whole(&call.needed(0, "query")?)?;
    let address = address_of(&call.input).filter(|address| address.net.free() > 0);
    let found = address.and_then(|address| address.nth(index.into()));
    Ok(found.map_or(Val::Bool(false), |net| Val::from(net.ip())))
}

fn ipsubnet(call: &mut Call<'_, '_>) -> Res<Val> {
    let Some(address) = address_of(&call.input) else { return Ok(Val::Bool(false)) };
    let net = address.net;
    let query = query_of(call);
    if query.is_empty() {
        return Ok(Val::from(net.network().to_string()));
    }
    let Ok(prefix) = query.parse::<u32>() else { return index_in(net, &query) };
    if prefix > net.bits() {
        return Ok(Val::Bool(false));
    }
    let is_network = address.has_prefix && net.free() > 0;
    let Some(index) = call.given(1).cloned() else {
        return Ok(match prefix.checked_sub(net.prefix).filter(|_| is_network) {
            Some(bits) => Val::from(1_u128.checked_shl(bits).unwrap_or(u128::MAX).to_string()),
            None => Val::from(net.with_prefix(prefix).network().to_string()),
        });
    };
    let index = i128::from(whole(&index)?);
    let found = if is_network && prefix >= net.prefix { part(net, prefix, index) } else { whole_of(net, prefix, index) };
    Ok(found.map_or(Val::Bool(false), |net| Val::from(net.to_string())))
}

/// One of the networks of that prefix in a network.
fn part(net: Net, prefix: u32, index: i128) -> Option<Net> {
    let count = 1_u128.checked_shl(prefix - net.prefix).unwrap_or(u128::MAX);
    let number = if index < 0 { count.checked_sub(index.unsigned_abs())? } else { index.unsigned_abs() };
    let offset = number.checked_shl(net.bits() - prefix).unwrap_or(0);
    (number < count).then(|| net.with_prefix(prefix).at(net.first() + offset))
}

/// One of the networks that an address is in, from that prefix on to the address itself.
fn whole_of(net: Net, prefix: u32, index: i128) -> Option<Net> {
    let widths: Vec<u32> = (prefix..net.prefix).collect();
    let length = i128::try_from(widths.len()).ok()?;
    let at = if index < 0 { length + index } else { index };
    let prefix = widths.get(usize::try_from(at).ok()?)?;
    Some(net.with_prefix(*prefix).network())
}

/// The number of a network among those of its size in a larger one, from 1.
fn index_in(net: Net, query: &str) -> Res<Val> {
    let Some(range) = Net::read(query) else { return Ok(Val::Bool(false)) };
    let net = net.network();
    if !range.contains(net) {
        return Err(format!("{net} is not in the subnet {}", range.network()).into());
    }
    let index = (net.first() - range.first()).checked_shr(net.free()).unwrap_or(0);
    Ok(Val::from((index + 1).to_string()))
}

fn ipmath(call: &mut Call<'_, '_>) -> Res<Val> {
    let amount = i128::from(whole(&call.needed(0, "amount")?)?);
    let Some(address) = address_of(&call.input) else {
        return Err(format!("You must pass a valid IP address; {} is invalid", call.input.to_text().as_str()).into());
    };
    let net = address.net;
    let number = net.address.checked_add_signed(amount).filter(|number| net.is_v6 || *number <= u128::from(u32::MAX));
    match number {
        Some(number) => Ok(Val::from(net.text_of(number))),
        None => Err("the address would be beyond all addresses".into()),
    }
}

fn usable(call: &mut Call<'_, '_>, direction: i128) -> Res<Val> {
    let offset = i128::from(whole(&call.needed(0, "offset")?)?) * direction;
    let Some(address) = address_of(&call.input).filter(|address| address.has_prefix) else {
        return Err("Not a network address".into());
    };
    let net = address.net;
    let found = net.usable().zip(net.address.checked_add_signed(offset));
    let found = found.filter(|((first, last), number)| (first..=last).contains(&number));
    Ok(found.map_or(Val::None, |(_, number)| Val::from(net.text_of(number))))
}

/// All addresses of a network, first and last too.
fn usable_range(call: &mut Call<'_, '_>) -> Res<Val> {
    let failed = |reason: String| -> Res<Val> { Err(format!("Error while using plugin 'usable_range': {reason}").into()) };
    let Val::Str(text) = &call.input else {
        return failed(format!("not expecting type '<class '{}'>'", call.input.kind()));
    };
    let Some(net) = Net::read(text) else {
        return failed(format!("'{}' does not appear to be an IPv4 or IPv6 network", text.as_str()));
    };
    if net.address != net.first() {
        return failed(format!("{} has host bits set", text.as_str()));
    }
    if net.host_mask() >= MERGED_MAX as u128 {
        return failed(format!("these are more than {MERGED_MAX} addresses"));
    }
    let addresses: Vec<Val> = (net.first()..=net.last()).map(|number| Val::from(net.text_of(number))).collect();
    let count = Val::size(addresses.len());
    Ok([("number_of_ips".into(), count), ("usable_ips".into(), Val::list(addresses))].into_iter().collect())
}

/// A single address, without a prefix.
fn single(call: &mut Call<'_, '_>) -> Res<Net> {
    let text = call.input.to_text();
    let net = text.parse().ok().map(Net::of);
    net.ok_or_else(|| format!("You must pass a valid IP address; {} is invalid", text.as_str()).into())
}

/// So many bits from the start or, negative, from the end, in the parts that the address is written in.
fn ipcut(call: &mut Call<'_, '_>) -> Res<Val> {
    let net = single(call)?;
    let amount = call.given(0).map(|amount| (whole(amount), amount.to_text()));
    let amount = match amount {
        Some((Ok(amount), _)) => amount,
        other => {
            let shown = other.map_or_else(|| "None".into(), |(_, shown)| shown);
            return Err(format!("You must pass an integer for arithmetic; {} is not a valid integer", shown.as_str()).into());
        }
    };
    let bits = u32::try_from(amount.unsigned_abs()).unwrap_or(u32::MAX).min(net.bits());
    let number = if amount < 0 {
        net.address & !u128::MAX.checked_shl(bits).unwrap_or(0)
    } else {
        net.address.checked_shr(net.bits() - bits).unwrap_or(0)
    };
    // The last part has what is left over.
    let width = if net.is_v6 { 16 } else { 8 };
    let mut widths = vec![width; (bits / width) as usize];
    widths.extend(Some(bits % width).filter(|over| *over > 0));
    let mut left = bits;
    let parts: Vec<String> = widths
        .into_iter()
        .map(|width| {
            left -= width;
            let part = number.checked_shr(left).unwrap_or(0) & ((1 << width) - 1);
            if net.is_v6 { format!("{part:x}") } else { part.to_string() }
        })
        .collect();
    Ok(Val::from(parts.join(if net.is_v6 { ":" } else { "." })))
}

fn ipv6form(call: &mut Call<'_, '_>) -> Res<Val> {
    let net = single(call)?;
    let form = call.text_arg(0, "");
    let parts = |write: fn(u128) -> String| {
        let parts: Vec<String> = (0..8).rev().map(|index| write(net.address >> (16 * index) & 0xffff)).collect();
        parts.join(":")
    };
    let text = match form.as_str() {
        "" => return Err("You must pass valid format; None is not a valid format".into()),
        "expand" | "x509" | "compress" if !net.is_v6 => net.ip(),
        "expand" => parts(|part| format!("{part:04x}")),
        "x509" => parts(|part| format!("{part:x}")),
        "compress" => net.ip(),
        other => return Err(format!("['value of format must be one of: compress, expand, x509, got: {other}']").into()),
    };
    Ok(Val::from(text))
}

fn two(call: &mut Call<'_, '_>) -> Res<(Address, Address)> {
    let other = call.needed(0, "test")?;
    let both = address_of(&call.input).zip(address_of(&other));
    both.ok_or_else(|| "both the value and the argument must be addresses or networks".into())
}

fn contains(call: &mut Call<'_, '_>, only_usable: bool) -> Res<Val> {
    let (range, test) = two(call)?;
    let is_in = range.net.contains(test.net);
    let (first, last) = range.net.usable().unwrap_or((range.net.first(), range.net.last()));
    let is_usable = first <= test.net.first() && test.net.last() <= last;
    Ok(Val::Bool(is_in && (is_usable || !only_usable)))
}

fn reduce(call: &mut Call<'_, '_>) -> Res<Val> {
    let network = call.needed(0, "network")?;
    let Some(range) = address_of(&network) else { return Err("the argument is no network".into()) };
    let items = call.items()?;
    let is_in = |item: &Val| address_of(item).is_some_and(|address| range.net.contains(address.net));
    Ok(Val::list(items.into_iter().filter(is_in).collect()))
}

fn cidr_merge(call: &mut Call<'_, '_>) -> Res<Val> {
    let action = call.text_arg(0, "merge");
    let mut nets = Vec::new();
    for item in call.items()? {
        let text = item.to_text();
        let net = Net::read(&text).ok_or_else(|| format!("cidr_merge: error in netaddr: invalid IPNetwork {}", text.as_str()))?;
        nets.push(net.network());
    }
    if nets.len() > MERGED_MAX {
        return Err(format!("these are more than {MERGED_MAX} networks").into());
    }
    match action.as_str() {
        "merge" => Ok(Val::list(merged(nets).into_iter().map(|net| Val::from(net.to_string())).collect())),
        "span" => Ok(spanning(&nets).map_or(Val::None, |net| Val::from(net.to_string()))),
        other => Err(format!("cidr_merge: invalid action '{other}'").into()),
    }
}

/// Two halves become a whole until there are none; what is in another falls away.
fn merged(mut nets: Vec<Net>) -> Vec<Net> {
    nets.sort_by_key(|net| (net.is_v6, net.first(), net.prefix));
    let mut found: Vec<Net> = Vec::new();
    for net in nets {
        if found.last().is_some_and(|last| last.contains(net)) {
            continue;
        }
        found.push(net);
        while let [.., left, right] = found.as_slice() {
            let whole = left.prefix.checked_sub(1).map(|prefix| left.with_prefix(prefix).network());
            let are_halves = left.prefix == right.prefix && left.is_v6 == right.is_v6;
            let Some(whole) = whole.filter(|whole| are_halves && whole.first() == left.first() && whole.contains(*right)) else {
                break;
            };
            found.truncate(found.len() - 2);
            found.push(whole);
        }
    }
    found
}

fn spanning(nets: &[Net]) -> Option<Net> {
    let mut span = *nets.first()?;
    let is_v6 = span.is_v6;
    for net in nets.iter().filter(|net| net.is_v6 == is_v6) {
        while !span.contains(*net) {
            span = span.with_prefix(span.prefix.checked_sub(1)?).network();
        }
    }
    Some(span)
}

fn ip4_hex(call: &mut Call<'_, '_>) -> Res<Val> {
    let delimiter = call.text_arg(0, "");
    let Some(address) = address_of(&call.input).filter(|address| !address.net.is_v6) else {
        return Err("this is no IPv4 address".into());
    };
    let digits = format!("{:08x}", address.net.address);
    Ok(Val::from([&digits[..2], &digits[2..4], &digits[4..6], &digits[6..]].join(&delimiter)))
}

/// A network and a hardware address make an IPv6 address.
fn slaac(call: &mut Call<'_, '_>) -> Res<Val> {
    let hardware = call.needed(0, "query")?.to_text();
    let address = address_of(&call.input).filter(|address| address.net.is_v6);
    let Some((address, eui)) = address.zip(hardware::number(&hardware)) else { return Ok(Val::Bool(false)) };
    let eui = u128::from(eui);
    let interface = ((eui >> 24) << 40 | 0xff_fe00_0000 | (eui & 0xff_ffff)) ^ (1 << 57);
    Ok(Val::from(address.net.text_of(address.net.first() | interface)))
}
