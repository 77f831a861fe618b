//! An address with its network.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `10.0.0.1`, `10.0.0.1/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Net {
    pub(crate) is_v6: bool,
    pub(crate) address: u128,
    pub(crate) prefix: u32,
}

/// Ranges that are for nobody in public, and what in them is for everybody, as releases of Python know them since 3.13.
const PRIVATE_4: (&[&str], &[&str]) = (
    &[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
    ],
    &["192.0.0.9/32", "192.0.0.10/32"],
);
const PRIVATE_6: (&[&str], &[&str]) = (
    &[
        "::/127",
        "::ffff:0:0/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "fc00::/7",
        "fe80::/10",
    ],
    &["2001:1::1/128", "2001:1::2/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28", "2001:30::/28"],
);

impl Net {
    pub(crate) fn of(address: IpAddr) -> Net {
        match address {
            IpAddr::V4(address) => Net { is_v6: false, address: u32::from(address).into(), prefix: 32 },
            IpAddr::V6(address) => Net { is_v6: true, address: address.into(), prefix: 128 },
        }
    }

    /// From a number; those that fit are v4.
    pub(crate) fn of_number(number: u128) -> Net {
        match u32::try_from(number) {
            Ok(number) => Net::of(IpAddr::V4(number.into())),
            Err(_) => Net::of(IpAddr::V6(number.into())),
        }
    }

    /// An address, with a prefix or a mask behind a slash.
    pub(crate) fn read(text: &str) -> Option<Net> {
        let Some((address, mask)) = text.split_once('/') else {
            return text.parse().ok().map(Net::of);
        };
        let net = Net::of(address.parse().ok()?);
        let prefix = match mask.parse::<u32>() {
            Ok(prefix) if mask.bytes().all(|digit| digit.is_ascii_digit()) => prefix,
            _ => prefix_of(Net::of(mask.parse().ok()?), net.bits())?,
        };
        (prefix <= net.bits()).then_some(Net { prefix, ..net })
    }

    pub(crate) fn bits(self) -> u32 {
        if self.is_v6 { 128 } else { 32 }
    }

    /// How many bits are the host's.
    pub(crate) fn free(self) -> u32 {
        self.bits() - self.prefix
    }

    pub(crate) fn host_mask(self) -> u128 {
        1_u128.checked_shl(self.free()).map_or(u128::MAX, |size| size - 1)
    }

    pub(crate) fn first(self) -> u128 {
        self.address & !self.host_mask()
    }

    pub(crate) fn last(self) -> u128 {
        self.address | self.host_mask()
    }

    pub(crate) fn at(self, address: u128) -> Net {
        Net { address, ..self }
    }

    pub(crate) fn network(self) -> Net {
        self.at(self.first())
    }

    pub(crate) fn with_prefix(self, prefix: u32) -> Net {
        Net { prefix, ..self }
    }

    pub(crate) fn mask(self) -> u128 {
        let all = if self.is_v6 { u128::MAX } else { u128::from(u32::MAX) };
        all & !self.host_mask()
    }

    /// The addresses between network and broadcast; of two and fewer, all.
    pub(crate) fn usable(self) -> Option<(u128, u128)> {
        match self.free() {
            0 => None,
            1 => Some((self.first(), self.last())),
            _ => Some((self.first() + 1, self.last() - 1)),
        }
    }

    pub(crate) fn contains(self, other: Net) -> bool {
        self.is_v6 == other.is_v6 && self.prefix <= other.prefix && self.first() <= other.first() && other.last() <= self.last()
    }

    pub(crate) fn is_within(self, range: &str) -> bool {
        Net::read(range).is_some_and(|range| range.contains(self))
    }

    pub(crate) fn is_private(self) -> bool {
        let (ranges, exceptions) = if self.is_v6 { PRIVATE_6 } else { PRIVATE_4 };
        let is_in = |ranges: &[&str]| ranges.iter().any(|range| self.is_within(range));
        is_in(ranges) && !is_in(exceptions)
    }

    pub(crate) fn is_multicast(self) -> bool {
        self.is_within(if self.is_v6 { "ff00::/8" } else { "224.0.0.0/4" })
    }

    pub(crate) fn is_loopback(self) -> bool {
        self.is_within(if self.is_v6 { "::1/128" } else { "127.0.0.0/8" })
    }

    pub(crate) fn is_link_local(self) -> bool {
        self.is_within(if self.is_v6 { "fe80::/10" } else { "169.254.0.0/16" })
    }

    /// Another number of this kind as an address.
    pub(crate) fn text_of(self, number: u128) -> String {
        if self.is_v6 {
            return Ipv6Addr::from(number).to_string();
        }
        Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).to_string()
    }

    pub(crate) fn ip(self) -> String {
        self.text_of(self.address)
    }

    /// As the name service asks backwards.
    pub(crate) fn reverse(self) -> String {
        if !self.is_v6 {
            let number = u32::try_from(self.address).unwrap_or_default();
            let [a, b, c, d] = number.to_be_bytes();
            return format!("{d}.{c}.{b}.{a}.in-addr.arpa.");
        }
        let digits: Vec<String> = format!("{:032x}", self.address).chars().rev().map(String::from).collect();
        format!("{}.ip6.arpa.", digits.join("."))
    }
}

/// The prefix that a mask or its inverse stands for.
fn prefix_of(mask: Net, bits: u32) -> Option<u32> {
    if mask.bits() != bits {
        return None;
    }
    let all = if bits == 128 { u128::MAX } else { u128::from(u32::MAX) };
    let is_inverse = |number: u128| number & (number.wrapping_add(1)) == 0;
    let inverse = [all & !mask.address, mask.address].into_iter().find(|number| is_inverse(*number))?;
    Some(bits - inverse.count_ones())
}

impl fmt::Display for Net {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.ip(), self.prefix)
    }
}
