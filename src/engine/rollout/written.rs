//! How far a rollout is on each host, as it is written down there (`rollout` of `_app_record`) and read again by whoever goes on.

use crate::engine::Direction;
use crate::rollout::{Evidence, Found, Reached};
use crate::value::{Map, Value};

/// What is written down on one host.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub(super) reached: Reached,
    pub(super) served: bool,
    /// Nothing ran here before.
    pub(super) is_first: bool,
    /// The release that this is about.
    pub(super) release: String,
    /// Names what is parked: that of the rollout which parked it, also when another one goes on.
    pub(super) parking: i64,
    /// What is parked is left of a rollout that has ended: nobody goes back to it.
    pub(super) is_over: bool,
    /// What ran before, for the history.
    pub(super) former: Value,
    /// Where a new container starts beside the old one.
    pub(super) ports: Option<Ports>,
    /// Where the app was when this was written, as far as that is known.
    pub(super) last_port: Option<u16>,
}

/// On which port of a host each of two containers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    /// None where nothing is there to start beside.
    pub(super) old: Option<u16>,
    pub(super) new: u16,
}

/// Why it cannot be known where a new container has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// The unfinished rollout was begun with two ports, this one has one; or the other way round, or with other ports.
    BegunOtherwise,
    /// It is where an earlier rollout put it beside another one, and not on the port of the balancer.
    OnOtherPort(u16),
}

const REACHED: [(Reached, &str); 6] = [
    (Reached::Nothing, "nothing"),
    (Reached::Left, "left"),
    (Reached::Parked, "parked"),
    (Reached::Switched, "switched"),
    (Reached::Done, "done"),
    (Reached::Retired, "retired"),
];

impl Written {
    /// From `_app_state`, for a rollout of `release` that has this generation.
    pub(super) fn read(values: &Map, release: &str, generation: i64) -> Written {
        let rollout =
            values.get("state").and_then(|state| state.get("rollout")).and_then(Value::as_map).cloned().unwrap_or_default();
        let parked = values.get("parked").and_then(Value::as_list).unwrap_or_default();
        let parking = parked.iter().filter_map(|parked| parked.get("generation").and_then(Value::to_int)).max();
        let flag = |name: &str| rollout.get(name).and_then(Value::to_bool).unwrap_or(false);
        let text = |name: &str| rollout.get(name).map(Value::to_text).unwrap_or_default().to_string();
        let reached = REACHED.iter().find(|(_, name)| *name == text("reached")).map_or(Reached::Nothing, |(reached, _)| *reached);
        let written = rollout.get("parking").and_then(Value::to_int);
        let running = values.get("current").and_then(|current| current.get("release")).filter(|release| !release.is_null());
        let port = |name: &str| rollout.get(name).and_then(Value::to_int).and_then(|port| u16::try_from(port).ok());
        Written {
            reached,
            served: flag("served"),
            is_first: flag("first"),
            release: if reached == Reached::Nothing { release.to_owned() } else { text("release") },
            parking: parking.or(written.filter(|_| reached != Reached::Nothing)).unwrap_or(generation),
            is_over: false,
            former: running.cloned().unwrap_or_default(),
            ports: port("port").map(|new| Ports { old: port("old_port"), new }),
            last_port: port(if reached == Reached::Nothing { "old_port" } else { "port" }),
        }
    }

    /// What a host is told before anything is done for a release: where the app is stays known.
    pub(super) fn anew(before: Option<&Value>, release: &str) -> Value {
        let mut entries = vec![("release", Value::from(release)), ("reached", "nothing".into())];
        entries.extend(before.and_then(|rollout| rollout.get("port")).map(|port| ("old_port", port.clone())));
        entries.into_iter().collect()
    }

    fn is_under_way(&self) -> bool {
        matches!(self.reached, Reached::Left | Reached::Parked | Reached::Switched | Reached::Done)
    }

    /// Decides where the new container goes: on the port that the one which runs is not on. What an unfinished rollout has decided counts.
    pub(super) fn place(&mut self, values: &Map, port: u16, second: Option<u16>) -> Result<(), Misplaced> {
        let pair = second.map(|second| [port, second]);
        if self.is_under_way() {
            let is_same = match (self.ports, pair) {
                (Some(ports), Some(pair)) => pair.contains(&ports.new) && ports.old.is_none_or(|old| pair.contains(&old)),
                (known, pair) => known.is_none() && pair.is_none(),
            };
            return if is_same { Ok(()) } else { Err(Misplaced::BegunOtherwise) };
        }
        if self.reached == Reached::Retired {
            return Ok(());
        }
        let published = published(values);
        let Some(pair) = pair else {
            self.ports = None;
            let elsewhere = self.last_port.filter(|last| *last != port && !published.contains(&port));
            return elsewhere.map_or(Ok(()), |last| Err(Misplaced::OnOtherPort(last)));
        };
        let has_one = values.get("current").is_some_and(|current| !current.is_null());
        let mut seen = pair.into_iter().filter(|port| published.contains(port));
        let old = match (seen.next(), seen.next()) {
            (Some(one), None) => one,
            _ => self.last_port.filter(|last| pair.contains(last)).unwrap_or(port),
        };
        let other = if old == pair[0] { pair[1] } else { pair[0] };
        self.ports = Some(if has_one { Ports { old: Some(old), new: other } } else { Ports { old: None, new: port } });
        Ok(())
    }

    /// As a host is told it.
    pub(super) fn value(&self) -> Value {
        let name = REACHED.iter().find(|(reached, _)| *reached == self.reached).map_or("nothing", |(_, name)| *name);
        let mut entries = vec![
            ("release", Value::from(&self.release)),
            ("reached", name.into()),
            ("served", self.served.into()),
            ("first", self.is_first.into()),
            ("parking", self.parking.into()),
        ];
        if let Some(Ports { old, new }) = self.ports {
            entries.push(("port", i64::from(new).into()));
            entries.extend(old.map(|old| ("old_port", i64::from(old).into())));
        }
        entries.into_iter().collect()
    }

    /// What counts for a rollout that goes in this direction to this release. What was done for another release, or was finished, is no part
    /// of the way there.
    pub(super) fn taken_up(mut self, direction: Direction, release: &str, generation: i64) -> Written {
        let is_other = self.release != release && self.reached != Reached::Left;
        let goes_back = direction == Direction::Rollback;
        self.is_over = self.reached == Reached::Retired && !goes_back && (direction == Direction::Forward || is_other);
        if self.is_over {
            self.parking = generation;
        }
        if !goes_back && (is_other || self.is_over) {
            self.reached = Reached::Nothing;
        }
        if direction != Direction::Rollback {
            release.clone_into(&mut self.release);
        }
        self
    }

    pub(super) fn found(&self, values: &Map) -> Found {
        // One that does not run can be started beside as well.
        let is_there = self.ports.is_some() && values.get("current").is_some_and(|current| !current.is_null());
        let found = Found::of(Evidence {
            recorded: self.reached,
            is_first: self.is_first,
            served: self.served,
            is_parked: !self.is_over && !values.get("parked").and_then(Value::as_list).unwrap_or_default().is_empty(),
            runs: is_there || super::steps::is_running(values),
        });
        let is_alone = self.ports.is_some_and(|ports| ports.old.is_none());
        Found { has_old: found.has_old && !is_alone, ..found }
    }

    /// The word for people who look at this host later; none where nothing was done to it.
    pub(super) fn phase(&self, is_touched: bool) -> Option<&'static str> {
        match self.reached {
            Reached::Retired => Some("Done"),
            Reached::Nothing if is_touched => Some("Reverted"),
            Reached::Nothing | Reached::Left | Reached::Parked | Reached::Switched | Reached::Done => None,
        }
    }
}

/// The ports of the host that the app's container is on, as far as Docker says.
fn published(values: &Map) -> Vec<u16> {
    let ports = values.get("ports").and_then(Value::as_map);
    let ports = ports.into_iter().flatten().filter_map(|(_, port)| port.to_int());
    ports.filter_map(|port| u16::try_from(port).ok()).collect()
}

/// Who has the port of a container that is to be started there, as `_app_state` says: another container, or null for a process. A container
/// that publishes no port takes none.
pub(super) fn taken(values: &Map, port: u16) -> Option<Value> {
    let is_current = values.get("current").is_some_and(|current| !current.is_null());
    let is_unpublished = is_current && published(values).is_empty();
    let holder = values.get("taken")?.get(&port.to_string())?;
    Some(holder.clone()).filter(|_| !is_unpublished)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_where_the_new_container_is_to_be_published_there() {
        let values = |rest: &str| state(&format!(r#"{{"taken":{{"8080":"nginx","22":null}}{rest}}}"#));
        let none = values(r#","current":null"#);
        assert_eq!(taken(&none, 8080), Some("nginx".into()));
        assert_eq!(taken(&none, 22), Some(Value::Null));
        assert_eq!(taken(&none, 0), None);
        assert_eq!(taken(&none, 8081), None);
        let elsewhere = r#","current":{"id":"c1"},"ports":{"5000/tcp":8081}"#;
        assert_eq!(taken(&values(elsewhere), 8080), Some("nginx".into()));
        assert_eq!(taken(&values(r#","current":{"id":"c1"},"ports":{}"#), 8080), None);
        assert_eq!(taken(&state("{}"), 8080), None);
    }

    fn state(json: &str) -> Map {
        Value::from_json(json).unwrap().as_map().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = Written {
            reached: Reached::Switched,
            served: true,
            is_first: false,
            release: "7f3a".into(),
            parking: 4,
            is_over: false,
            former: Value::Null,
            ports: Some(Ports { old: Some(5000), new: 5001 }),
            last_port: Some(5001),
        };
        let mut values = state(r#"{"parked": [{"generation": 3}, {"generation": 4}], "current": {"is_running": true}}"#);
        values.insert("state".into(), [("rollout", written.value())].into_iter().collect());
        assert_eq!(Written::read(&values, "7f3a", 9), written);
        let found = written.found(&values);
        assert_eq!((found.reached, found.has_old, found.served), (Reached::Switched, true, true));
        assert_eq!(
            written.clone().taken_up(Direction::Forward, "8e4b", 9).reached,
            Reached::Nothing,
            "another release begins anew"
        );
        assert_eq!(written.taken_up(Direction::Rollback, "8e4b", 9).reached, Reached::Switched);
    }

    fn placed(json: &str, ports: (u16, Option<u16>)) -> Result<Option<Ports>, Misplaced> {
        let values = state(json);
        let mut written = Written::read(&values, "8e4b", 9).taken_up(Direction::Forward, "8e4b", 9);
        written.place(&values, ports.0, ports.1).map(|()| written.ports)
    }

    #[test]
    fn a_new_container_goes_where_the_old_one_is_not() {
        const PAIR: (u16, Option<u16>) = (5000, Some(5001));
        let ports = |old: Option<u16>, new: u16| Ok(Some(Ports { old, new }));
        assert_eq!(placed(r#"{"current": null}"#, PAIR), ports(None, 5000));
        assert_eq!(placed(r#"{"current": {}, "ports": {"80/tcp": 5000}}"#, PAIR), ports(Some(5000), 5001));
        assert_eq!(placed(r#"{"current": {}, "ports": {"80/tcp": 5001}}"#, PAIR), ports(Some(5001), 5000));
        assert_eq!(placed(r#"{"current": {}}"#, PAIR), ports(Some(5000), 5001), "nobody says, so it is where it always was");
        let rollout = |reached: &str, more: &str| {
            format!(r#"{{"current": {{}}, "state": {{"rollout": {{"release": "8e4b", "reached": "{reached}"{more}}}}}}}"#)
        };
        assert_eq!(placed(&rollout("retired", r#", "port": 5001, "old_port": 5000"#), PAIR), ports(Some(5001), 5000));
        assert_eq!(placed(&rollout("nothing", r#", "old_port": 5001"#), PAIR), ports(Some(5001), 5000), "as it was written anew");
        assert_eq!(
            placed(&rollout("nothing", r#", "port": 5001, "old_port": 5000"#), PAIR),
            ports(Some(5000), 5001),
            "gone back"
        );
        let begun = rollout("parked", r#", "port": 5000, "old_port": 5001"#);
        assert_eq!(placed(&begun, PAIR), ports(Some(5001), 5000));
        for other in [(5000, None), (6000, Some(6001))] {
            assert_eq!(placed(&begun, other), Err(Misplaced::BegunOtherwise));
        }
        assert_eq!(placed(&rollout("parked", ""), PAIR), Err(Misplaced::BegunOtherwise));
        assert_eq!(placed(&rollout("retired", r#", "port": 5001"#), (5000, None)), Err(Misplaced::OnOtherPort(5001)));
        assert_eq!(placed(&rollout("retired", r#", "port": 5001"#), (5001, None)), Ok(None));
    }

    #[test]
    fn a_host_that_knows_nothing_begins_at_the_beginning() {
        let values = state(r#"{"current": {"is_running": true, "release": "6c21"}, "parked": []}"#);
        let written = Written::read(&values, "7f3a", 9);
        assert_eq!((written.reached, written.parking, written.former.clone()), (Reached::Nothing, 9, Value::from("6c21")));
        let found = written.found(&values);
        assert_eq!((found.reached, found.has_old), (Reached::Nothing, true));
    }
}
