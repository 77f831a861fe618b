//! Targets as the rollout counts them: by host, also where a host has two of them.

use crate::balancer::{Standing, Target};

/// One host's targets, or one that is no host of the play.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) is_serving: bool,
    /// It serves, and its last checks passed.
    pub(super) is_steady: bool,
    pub(super) standings: Vec<Standing>,
    pub(super) shown: String,
    /// Where a host has two targets: the ports of those that serve, their last checks passed.
    pub(super) ports: Vec<u16>,
}

pub(super) fn seen(target: &Target) -> Seen {
    let reason = if target.reason.is_empty() { String::new() } else { format!(" ({})", target.reason) };
    Seen {
        host: target.name.clone(),
        is_serving: target.serves(),
        is_steady: target.serves_steadily(),
        standings: target.standings.clone(),
        shown: format!("{}{reason}", target.state.name()),
        ports: Vec::new(),
    }
}

/// A host serves as long as one of its two targets does.
pub(super) fn merged(targets: &[Target], hosts: &[String], (first, second): (u16, u16)) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    for target in targets {
        let on_second = target.name.strip_suffix(&format!(":{second}")).filter(|host| hosts.iter().any(|known| known == host));
        let (host, port) = match on_second {
            Some(host) => (host, second),
            None => (target.name.as_str(), first),
        };
        let is_host = hosts.iter().any(|known| known == host);
        let mut one = Seen { host: host.to_owned(), ..seen(target) };
        if is_host {
            one.shown = format!("{port} {}", one.shown);
            one.ports = one.is_steady.then_some(port).into_iter().collect();
        }
        match all.iter_mut().find(|known| is_host && known.host == host) {
            Some(known) => known.join(one),
            None => all.push(one),
        }
    }
    all
}

impl Seen {
    fn join(&mut self, other: Seen) {
        self.is_serving |= other.is_serving;
        self.is_steady |= other.is_steady;
        self.ports.extend(other.ports);
        self.ports.sort_unstable();
        let is_first = self.shown < other.shown;
        self.shown =
            if is_first { format!("{}, {}", self.shown, other.shown) } else { format!("{}, {}", other.shown, self.shown) };
        for standing in other.standings {
            match self.standings.iter_mut().find(|known| known.pool == standing.pool) {
                Some(known) => known.is_serving |= standing.is_serving,
                None => self.standings.push(standing),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::State;

    fn target(name: &str, state: State) -> Target {
        let standing = Standing { pool: "a".to_owned(), floor: 1, is_serving: state == State::Serving };
        let (name, standings) = (name.to_owned(), vec![standing]);
        Target { name, address: None, state, reason: String::new(), sessions: None, zone: None, standings }
    }

    #[test]
    fn a_host_with_two_targets_is_one_host() {
        let hosts = ["web1", "web2"].map(str::to_owned);
        let targets = [
            target("web1:5001", State::Serving),
            target("web1", State::Draining),
            target("web2", State::Wavering),
            target("web2:5002", State::Serving),
        ];
        let found = merged(&targets, &hosts, (5000, 5001));
        let shown: Vec<(&str, &str, bool)> =
            found.iter().map(|seen| (seen.host.as_str(), seen.shown.as_str(), seen.is_steady)).collect();
        let expected =
            [("web1", "5000 draining, 5001 serving", true), ("web2", "5000 wavering", false), ("web2:5002", "serving", true)];
        assert_eq!(shown, expected);
        assert_eq!((found[0].ports.clone(), found[1].ports.clone()), (vec![5001], vec![]));
        assert_eq!((found[0].standings.len(), found[0].standings[0].is_serving), (1, true));
    }
}
