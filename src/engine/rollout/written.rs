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
        Written {
            reached,
            served: flag("served"),
            is_first: flag("first"),
            release: if reached == Reached::Nothing { release.to_owned() } else { text("release") },
            parking: parking.or(written.filter(|_| reached != Reached::Nothing)).unwrap_or(generation),
            is_over: false,
            former: running.cloned().unwrap_or_default(),
        }
    }

    /// As a host is told it.
    pub(super) fn value(&self) -> Value {
        let name = REACHED.iter().find(|(reached, _)| *reached == self.reached).map_or("nothing", |(_, name)| *name);
        let entries = [
            ("release", Value::from(&self.release)),
            ("reached", name.into()),
            ("served", self.served.into()),
            ("first", self.is_first.into()),
            ("parking", self.parking.into()),
        ];
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
        Found::of(Evidence {
            recorded: self.reached,
            is_first: self.is_first,
            served: self.served,
            is_parked: !self.is_over && !values.get("parked").and_then(Value::as_list).unwrap_or_default().is_empty(),
            runs: super::steps::is_running(values),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_host_that_knows_nothing_begins_at_the_beginning() {
        let values = state(r#"{"current": {"is_running": true, "release": "6c21"}, "parked": []}"#);
        let written = Written::read(&values, "7f3a", 9);
        assert_eq!((written.reached, written.parking, written.former.clone()), (Reached::Nothing, 9, Value::from("6c21")));
        let found = written.found(&values);
        assert_eq!((found.reached, found.has_old), (Reached::Nothing, true));
    }
}
