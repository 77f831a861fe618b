//! The kernel's list of TCP connections, `/proc/<pid>/net/tcp{,6}`, and its count of accepted ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) port: u16,
    pub(super) peer: IpAddr,
    pub(super) peer_port: u16,
    pub(super) state: u8,
}

const ESTABLISHED: u8 = 0x01;
/// The peer has closed its half; the app may still be answering.
const CLOSE_WAIT: u8 = 0x08;
const LISTEN: u8 = 0x0a;

impl Connection {
    /// Somebody may still send or wait for an answer on it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, ESTABLISHED | CLOSE_WAIT)
    }

    pub(super) fn is_listening(&self) -> bool {
        self.state == LISTEN
    }
}

/// Lines that cannot be read are left out: the header, and whatever a newer kernel may add.
pub(super) fn parse(table: &str) -> Vec<Connection> {
    table.lines().filter_map(connection).collect()
}

fn connection(line: &str) -> Option<Connection> {
    let mut fields = line.split_whitespace();
    let (_, local, remote, state) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (_, port) = endpoint(local)?;
    let (peer, peer_port) = endpoint(remote)?;
    Some(Connection { port, peer, peer_port, state: u8::from_str_radix(state, 16).ok()? })
}

fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    Some((address_of(address)?, u16::from_str_radix(port, 16).ok()?))
}

/// Words of 32 bits as they lie in the memory of the machine, which is little-endian wherever this runs.
fn address_of(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for at in (0..hex.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_le_bytes());
    }
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => Some(IpAddr::V4(Ipv4Addr::from(bytes))),
        Err(_) => <[u8; 16]>::try_from(bytes.as_slice()).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()),
    }
}

/// How many connections the network namespace has accepted since it was made: `PassiveOpens` of `/proc/<pid>/net/snmp`.
pub(super) fn accepted(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter(|line| line.starts_with("Tcp:"));
    let column = lines.next()?.split_whitespace().position(|name| name == "PassiveOpens")?;
    lines.next()?.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_both_families_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
             0: 020011AC:1388 010011AC:C350 01 00000000:00000000 00:00000000\n\
             1: 0000000000000000FFFF0000020011AC:1388 0000000000000000FFFF0000010011AC:C351 08 0:0\n\
             2: 00000000000000000000000000000000:1388 00000000000000000000000000000000:0000 0A 0:0\n";
        let found = parse(table);
        assert_eq!(found.len(), 3);
        let gateway: IpAddr = "172.17.0.1".parse().unwrap();
        assert_eq!((found[0].port, found[0].peer, found[0].peer_port), (5000, gateway, 50000));
        assert_eq!((found[1].peer, found[1].is_open(), found[2].is_open()), (gateway, true, false));
        assert_eq!((found[1].is_listening(), found[2].is_listening()), (false, true));
        assert!(parse("nonsense\n: : : :\n0: ZZ:1 00:1 01").is_empty());
    }

    #[test]
    fn accepted_connections_are_counted() {
        let snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm ActiveOpens PassiveOpens\nTcp: 1 7 42\n";
        assert_eq!(accepted(snmp), Some(42));
        assert_eq!(accepted(""), None);
    }
}
