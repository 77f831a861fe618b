//! Interfaces, addresses and the way out, from `/proc/net` and `/sys/class/net`.

use super::{line, map, set};
use crate::modules::{Cmd, Look};
use crate::value::{Map, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

struct Address4 {
    link: String,
    address: Ipv4Addr,
    prefix: u32,
}

struct Address6 {
    link: String,
    address: Ipv6Addr,
    prefix: u32,
    scope: &'static str,
}

struct Route4 {
    link: String,
    to: Ipv4Addr,
    gateway: Ipv4Addr,
    mask: Ipv4Addr,
    metric: u32,
}

pub(super) fn network(look: &dyn Look, _: &str, facts: &mut Map) {
    // Files of settings, such as `bonding_masters`, lie between the links.
    let is_link = |name: &String| look.exists(&format!("/sys/class/net/{name}/address"));
    let links: Vec<String> = look.list("/sys/class/net").unwrap_or_default().into_iter().filter(is_link).collect();
    let routes = routes4(look);
    let four = addresses4(look, &routes);
    let six = addresses6(look);
    for name in &links {
        set(facts, &name.replace([':', '-', '.'], "_"), described(look, name, &four, &six));
    }
    set(facts, "interfaces", links);
    let public4 = four.iter().filter(|one| !one.address.is_loopback()).map(|one| Value::from(one.address.to_string()));
    set(facts, "all_ipv4_addresses", public4.collect::<Value>());
    let public6 = six.iter().filter(|one| !one.address.is_loopback()).map(|one| Value::from(one.address.to_string()));
    set(facts, "all_ipv6_addresses", public6.collect::<Value>());
    let local4 = four.iter().map(|one| one.address.to_string());
    let local4: Vec<String> = std::iter::once("127.0.0.0/8".to_owned()).chain(local4).collect();
    let local6: Vec<String> = six.iter().map(|one| one.address.to_string()).collect();
    set(facts, "locally_reachable_ips", map([("ipv4", local4.into()), ("ipv6", local6.into())]));
    set(facts, "default_ipv4", default4(look, &routes, &four).unwrap_or_default());
    set(facts, "default_ipv6", default6(look, &six).unwrap_or_default());
}

fn mask_of(prefix: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0))
}

fn within(address: Ipv4Addr, mask: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(address) & u32::from(mask))
}

impl Address4 {
    fn network(&self) -> Ipv4Addr {
        within(self.address, mask_of(self.prefix))
    }

    fn described(&self) -> Map {
        let mask = mask_of(self.prefix);
        let last = Ipv4Addr::from(u32::from(self.network()) | !u32::from(mask));
        let broadcast = if self.address.is_loopback() || self.prefix > 30 { String::new() } else { last.to_string() };
        map([
            ("address", self.address.to_string().into()),
            ("broadcast", broadcast.into()),
            ("netmask", mask.to_string().into()),
            ("network", self.network().to_string().into()),
            ("prefix", self.prefix.to_string().into()),
        ])
    }
}

fn routes4(look: &dyn Look) -> Vec<Route4> {
    let text = look.text("/proc/net/route").ok().flatten().unwrap_or_default();
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Written as the machine's own words: little-endian wherever this program runs.
        let address = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(|word| Ipv4Addr::from(word.to_le_bytes()));
        Some(Route4 {
            link: (*fields.first()?).to_owned(),
            to: address(1)?,
            gateway: address(2)?,
            mask: address(7)?,
            metric: fields.get(6)?.parse().ok()?,
        })
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// The kernel lists its own addresses without their links; a route to the network beside each tells which. Where one has none
/// (a single address, a second table), `ip` is asked.
fn addresses4(look: &dyn Look, routes: &[Route4]) -> Vec<Address4> {
    let text = look.text("/proc/net/fib_trie").ok().flatten().unwrap_or_default();
    let mut found: Vec<Address4> = Vec::new();
    let mut is_complete = true;
    for address in local_addresses(&text) {
        if found.iter().any(|one| one.address == address) {
            continue;
        }
        let beside = routes.iter().filter(|route| route.gateway.is_unspecified() && route.mask != Ipv4Addr::UNSPECIFIED);
        let own = beside.filter(|route| within(address, route.mask) == route.to).max_by_key(|route| u32::from(route.mask));
        match own {
            Some(route) => found.push(Address4 { link: route.link.clone(), address, prefix: u32::from(route.mask).count_ones() }),
            None if address.is_loopback() => found.push(Address4 { link: "lo".to_owned(), address, prefix: 8 }),
            None => is_complete = false,
        }
    }
    if is_complete { found } else { asked(look).filter(|asked| !asked.is_empty()).unwrap_or(found) }
}

/// Every address that a line `/32 host LOCAL` follows.
fn local_addresses(text: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last);
        }
    }
    found
}

fn asked(look: &dyn Look) -> Option<Vec<Address4>> {
    let output = look.run(&Cmd::new(["ip", "-4", "-o", "addr", "show"])).ok()?;
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (address, prefix) = words.get(3)?.split_once('/').unwrap_or((words.get(3)?, "32"));
        Some(Address4 {
            link: words.get(1)?.split('@').next()?.to_owned(),
            address: address.parse().ok()?,
            prefix: prefix.parse().ok()?,
        })
    };
    Some(output.stdout_text().lines().filter_map(parse).collect())
}

fn hex6(text: &str) -> Option<Ipv6Addr> {
    u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(Ipv6Addr::from)
}

fn addresses6(look: &dyn Look) -> Vec<Address6> {
    let text = look.text("/proc/net/if_inet6").ok().flatten().unwrap_or_default();
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let scope = match *fields.get(3)? {
            "00" => "global",
            "10" => "host",
            "20" => "link",
            "40" => "site",
            _ => "unknown",
        };
        let prefix = u32::from_str_radix(fields.get(2)?, 16).ok()?;
        Some(Address6 { link: (*fields.get(5)?).to_owned(), address: hex6(fields.first()?)?, prefix, scope })
    };
    text.lines().filter_map(parse).collect()
}

fn described(look: &dyn Look, name: &str, four: &[Address4], six: &[Address6]) -> Map {
    let dir = format!("/sys/class/net/{name}");
    let read = |file: &str| line(look, &format!("{dir}/{file}"));
    let mut found = map([("device", name.into()), ("type", kind_of(look, &dir).into())]);
    set(&mut found, "active", read("operstate").as_deref() != Some("down"));
    set(&mut found, "mtu", read("mtu").and_then(|text| text.parse::<i64>().ok()));
    let flags = read("flags").and_then(|text| i64::from_str_radix(text.trim_start_matches("0x"), 16).ok()).unwrap_or(0);
    set(&mut found, "promisc", flags & 0x100 != 0);
    if let Some(address) = read("address").filter(|address| !address.is_empty() && address != "00:00:00:00:00:00") {
        set(&mut found, "macaddress", address);
    }
    if let Ok(device) = look.read_link(&format!("{dir}/device")) {
        set(&mut found, "pciid", device.rsplit('/').next().unwrap_or_default());
    }
    if let Some(module) =
        look.read_link(&format!("{dir}/device/driver/module")).ok().as_deref().and_then(|path| path.rsplit('/').next())
    {
        set(&mut found, "module", module);
    }
    if let Some(speed) = read("speed").and_then(|text| text.parse::<i64>().ok()) {
        set(&mut found, "speed", speed);
    }
    if look.exists(&format!("{dir}/bridge")) {
        set(&mut found, "interfaces", look.list(&format!("{dir}/brif")).unwrap_or_default());
        set(&mut found, "stp", read("bridge/stp_state").as_deref() == Some("1"));
        set(&mut found, "id", read("bridge/bridge_id").unwrap_or_default());
    }
    let mut own = four.iter().filter(|one| one.link == name);
    if let Some(first) = own.next() {
        set(&mut found, "ipv4", first.described());
    }
    let more: Vec<Value> = own.map(|one| one.described().into()).collect();
    if !more.is_empty() {
        set(&mut found, "ipv4_secondaries", more);
    }
    let six: Vec<Value> = six
        .iter()
        .filter(|one| one.link == name)
        .map(|one| {
            let entries = [
                ("address", one.address.to_string().into()),
                ("prefix", one.prefix.to_string().into()),
                ("scope", one.scope.into()),
            ];
            map(entries).into()
        })
        .collect();
    if !six.is_empty() {
        set(&mut found, "ipv6", six);
    }
    found
}

fn kind_of(look: &dyn Look, dir: &str) -> &'static str {
    if look.exists(&format!("{dir}/bridge")) {
        return "bridge";
    }
    if look.exists(&format!("{dir}/bonding")) {
        return "bonding";
    }
    match line(look, &format!("{dir}/type")).as_deref() {
        Some("1") => "ether",
        Some("32") => "infiniband",
        Some("512") => "ppp",
        Some("772") => "loopback",
        Some("65534") => "tunnel",
        _ => "unknown",
    }
}

/// What every default route says about its link.
fn way_out(look: &dyn Look, link: &str, gateway: String) -> Map {
    let dir = format!("/sys/class/net/{link}");
    map([
        ("interface", link.into()),
        ("gateway", gateway.into()),
        ("macaddress", line(look, &format!("{dir}/address")).into()),
        ("mtu", line(look, &format!("{dir}/mtu")).and_then(|text| text.parse::<i64>().ok()).into()),
        ("type", kind_of(look, &dir).into()),
    ])
}

fn default4(look: &dyn Look, routes: &[Route4], addresses: &[Address4]) -> Option<Map> {
    let out = routes
        .iter()
        .filter(|route| route.to.is_unspecified() && route.mask.is_unspecified())
        .min_by_key(|route| route.metric)?;
    let own = || addresses.iter().filter(|one| one.link == out.link);
    let address = own().find(|one| within(out.gateway, mask_of(one.prefix)) == one.network()).or_else(|| own().next())?;
    let mut found = way_out(look, &out.link, out.gateway.to_string());
    set(&mut found, "alias", out.link.as_str());
    found.extend(address.described());
    Some(found)
}

fn default6(look: &dyn Look, addresses: &[Address6]) -> Option<Map> {
    let text = look.text("/proc/net/ipv6_route").ok().flatten()?;
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_default = fields.first()?.bytes().all(|byte| byte == b'0') && *fields.get(1)? == "00";
        let gateway = hex6(fields.get(4)?).filter(|gateway| !gateway.is_unspecified())?;
        let metric = u32::from_str_radix(fields.get(5)?, 16).ok()?;
        is_default.then(|| (metric, gateway, (*fields.get(9).unwrap_or(&"")).to_owned()))
    };
    let (_, gateway, link) = text.lines().filter_map(parse).min_by_key(|(metric, ..)| *metric)?;
    let address = addresses.iter().find(|one| one.link == link && one.scope == "global")?;
    let mut found = way_out(look, &link, gateway.to_string());
    set(&mut found, "address", address.address.to_string());
    set(&mut found, "prefix", address.prefix.to_string());
    set(&mut found, "scope", address.scope);
    Some(found)
}
