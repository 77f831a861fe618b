//! What `ipaddr('…')` can be asked.

use super::net::Net;
use crate::template::runtime::Val;

/// A value that is an address, or none.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) net: Net,
    /// As it was written; queries that only choose answer with it.
    pub(super) text: String,
    pub(super) has_prefix: bool,
}

type Answer = Result<Val, String>;

impl Address {
    pub(super) fn read(text: &str) -> Option<Address> {
        if text.bytes().all(|digit| digit.is_ascii_digit()) && !text.is_empty() {
            return Address::of_number(text.parse().ok()?);
        }
        let net = Net::read(text)?;
        Some(Address { net, text: text.to_owned(), has_prefix: text.contains('/') })
    }

    pub(super) fn of_number(number: i64) -> Option<Address> {
        let net = Net::of_number(u128::try_from(number).ok()?);
        Some(Address { net, text: net.to_string(), has_prefix: false })
    }

    fn own(&self) -> Val {
        Val::from(self.text.as_str())
    }

    /// The address with its prefix only where one was given.
    fn shown(&self, net: Net) -> String {
        if self.has_prefix { net.to_string() } else { net.ip() }
    }

    /// An address within its network, not the network itself.
    fn is_host(&self) -> bool {
        self.net.free() <= 1 || self.net.address != self.net.first()
    }

    fn is_network(&self) -> bool {
        self.has_prefix && self.net.free() > 0 && self.net.address == self.net.first()
    }

    fn own_if(&self, holds: bool) -> Val {
        if holds { self.own() } else { Val::None }
    }

    fn needs_network(&self) -> Result<(), String> {
        if self.has_prefix { Ok(()) } else { Err("Not a network address".to_owned()) }
    }

    /// The answer to a query; `Bool(false)` where the value does not fit it.
    pub(super) fn ask(&self, query: &str) -> Answer {
        let net = self.net;
        let text = |text: String| Ok(Val::from(text));
        let nothing = Val::Bool(false);
        match query {
            "" => text(self.shown(net)),
            "bool" => Ok(Val::Bool(true)),
            "address" | "ip" => Ok(if self.is_host() || net.is_v6 { Val::from(net.ip()) } else { Val::None }),
            "address/prefix" | "gateway" | "gw" | "host/prefix" | "hostnet" | "router" => {
                Ok(if self.is_host() { Val::from(net.to_string()) } else { nothing })
            }
            "host" => Ok(if self.is_host() { Val::from(net.to_string()) } else { Val::None }),
            "ip/prefix" => Ok(if self.is_inside() { Val::from(net.to_string()) } else { Val::None }),
            "ip_netmask" => {
                Ok(if self.is_inside() { Val::from(format!("{} {}", net.ip(), net.text_of(net.mask()))) } else { Val::None })
            }
            "broadcast" => Ok(if net.free() > 1 { Val::from(net.text_of(net.last())) } else { Val::None }),
            "cidr" => text(net.to_string()),
            "hostmask" | "wildcard" => text(net.text_of(net.host_mask())),
            "netmask" => text(net.text_of(net.mask())),
            "int" => Ok(self.number()),
            "ipv4" => Ok(self.as_v4()),
            "ipv6" => Ok(self.as_v6()),
            "6to4" => Ok(self.as_6to4()),
            "link-local" => Ok(self.own_if(net.is_link_local())),
            "lo" | "loopback" => Ok(self.own_if(net.is_loopback())),
            "multicast" => Ok(self.own_if(net.is_multicast())),
            "unicast" => Ok(self.own_if(!net.is_multicast())),
            "private" => Ok(self.own_if(net.is_private())),
            "public" => Ok(self.own_if(!net.is_private() && !net.is_multicast())),
            "net" => Ok(if self.is_network() { Val::from(net.to_string()) } else { Val::None }),
            "network" | "network_id" => text(net.text_of(net.first())),
            "network/prefix" | "subnet" => text(net.network().to_string()),
            "network_netmask" => text(format!("{} {}", net.text_of(net.first()), net.text_of(net.mask()))),
            "network_wildcard" => text(format!("{} {}", net.text_of(net.first()), net.text_of(net.host_mask()))),
            "prefix" => Ok(Val::Int(net.prefix.into())),
            "revdns" => text(net.reverse()),
            "size" => Ok(count(net.host_mask().checked_add(1))),
            "size_usable" => Ok(count(net.usable().map_or(Some(0), |(first, last)| (last - first).checked_add(1)))),
            "type" => text(if self.is_network() { "network" } else { "address" }.to_owned()),
            "version" => Ok(Val::Int(if net.is_v6 { 6 } else { 4 })),
            "wrap" => text(wrapped(&self.text, net)),
            "first_usable" | "last_usable" | "next_usable" | "previous_usable" | "range_usable" | "peer" => {
                self.ask_network(query)
            }
            other => self.ask_other(other),
        }
    }

    /// An address with a prefix that is not the network's own.
    fn is_inside(&self) -> bool {
        self.has_prefix && self.net.free() > 0 && self.is_host()
    }

    fn ask_network(&self, query: &str) -> Answer {
        self.needs_network()?;
        let net = self.net;
        if query == "peer" {
            return self.peer();
        }
        let Some((first, last)) = net.usable() else { return Ok(Val::None) };
        let within = |number: Option<u128>| {
            let number = number.filter(|number| (first..=last).contains(number));
            number.map_or(Val::None, |number| Val::from(net.text_of(number)))
        };
        Ok(match query {
            "first_usable" => Val::from(net.text_of(first)),
            "last_usable" => Val::from(net.text_of(last)),
            "next_usable" => within(net.address.checked_add(1)),
            "previous_usable" => within(net.address.checked_sub(1)),
            _ => Val::from(format!("{}-{}", net.text_of(first), net.text_of(last))),
        })
    }

    /// The other end of a network of two.
    fn peer(&self) -> Answer {
        let net = self.net;
        match net.free() {
            1 => Ok(Val::from(net.text_of(net.address ^ 1))),
            2 if net.address == net.first() || net.address == net.last() => {
                Err("Network address of a /30 has no peer".to_owned())
            }
            2 => Ok(Val::from(net.text_of(net.address ^ 3))),
            _ => Err("Not a point-to-point network".to_owned()),
        }
    }

    /// A number: that address of the network. An address or a network: whether the value is in it.
    fn ask_other(&self, query: &str) -> Answer {
        if let Ok(index) = query.parse::<i128>() {
            return Ok(self.nth(index).map_or(Val::Bool(false), |net| Val::from(self.shown(net))));
        }
        match Net::read(query) {
            Some(range) => Ok(self.own_if(range.contains(self.net))),
            None => Err(format!("unknown filter type: {query}")),
        }
    }

    /// Negative ones count from the end.
    pub(super) fn nth(&self, index: i128) -> Option<Net> {
        let net = self.net;
        if net.free() == 0 {
            return Some(net);
        }
        let distance = if index < 0 { index.unsigned_abs() - 1 } else { index.unsigned_abs() };
        let number = if index < 0 { net.last().checked_sub(distance)? } else { net.first().checked_add(distance)? };
        (net.first()..=net.last()).contains(&number).then(|| net.at(number))
    }

    fn number(&self) -> Val {
        match (self.has_prefix, i64::try_from(self.net.address)) {
            (true, _) => Val::from(format!("{}/{}", self.net.address, self.net.prefix)),
            (false, Ok(number)) => Val::Int(number),
            // More than a number holds here.
            (false, Err(_)) => Val::from(self.net.address.to_string()),
        }
    }

    fn as_v4(&self) -> Val {
        if !self.net.is_v6 {
            return self.own();
        }
        let is_mapped = matches!(self.net.address >> 32, 0 | 0xffff) && self.net.prefix >= 96;
        if !is_mapped {
            return Val::Bool(false);
        }
        let net = Net { is_v6: false, address: self.net.address & u128::from(u32::MAX), prefix: self.net.prefix - 96 };
        Val::from(net.to_string())
    }

    fn as_v6(&self) -> Val {
        if self.net.is_v6 {
            return self.own();
        }
        let net = Net { is_v6: true, address: 0xffff << 32 | self.net.address, prefix: self.net.prefix + 96 };
        Val::from(net.to_string())
    }

    fn as_6to4(&self) -> Val {
        if self.net.is_v6 {
            return if self.net.is_within("2002::/16") { self.own() } else { Val::Bool(false) };
        }
        if self.is_network() || self.net.is_multicast() {
            return Val::Bool(false);
        }
        let digits = format!("{:08x}", self.net.address);
        Val::from(format!("2002:{}:{}::1/48", &digits[..4], &digits[4..]))
    }
}

/// What is more than a number holds is a text.
fn count(number: Option<u128>) -> Val {
    match number.map(i64::try_from) {
        Some(Ok(number)) => Val::Int(number),
        Some(Err(_)) => Val::from(number.unwrap_or_default().to_string()),
        None => Val::from("340282366920938463463374607431768211456"),
    }
}

/// IPv6 between brackets, as URLs have it.
pub(super) fn wrapped(text: &str, net: Net) -> String {
    if !net.is_v6 {
        return text.to_owned();
    }
    match text.split_once('/') {
        Some((address, prefix)) => format!("[{address}]/{prefix}"),
        None => format!("[{text}]"),
    }
}
