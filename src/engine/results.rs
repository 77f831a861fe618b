//! From what a module returned to what a playbook registers and people see.

use crate::event::Outcome;
use crate::modules::Failure;
use crate::value::{Key, Map, Value};

/// A task's result on one host, or of one item of its loop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    pub(crate) values: Map,
    pub(crate) is_unreachable: bool,
    /// The host that did it for this one.
    pub(crate) delegate: Option<Delegate>,
}

/// A host that a task was delegated to.
#[derive(Debug, Clone)]
pub(crate) struct Delegate {
    pub(crate) name: String,
    /// Its `ansible_host`.
    pub(crate) address: Option<String>,
}

impl Verdict {
    pub(crate) fn ok(values: Map) -> Verdict {
        let mut values = values;
        values.entry("changed".into()).or_insert(Value::Bool(false));
        if !values.contains_key("failed") {
            values.insert("failed".into(), Value::Bool(false));
        }
        Verdict { values, ..Verdict::default() }
    }

    pub(crate) fn failed(failure: Failure) -> Verdict {
        let mut values = failure.values;
        if !values.contains_key("msg") && !values.contains_key("reason") {
            values.insert("msg".into(), failure.msg.into());
        }
        values.entry("changed".into()).or_insert(Value::Bool(false));
        values.insert("failed".into(), Value::Bool(true));
        Verdict { values, ..Verdict::default() }
    }

    pub(crate) fn unreachable(msg: String) -> Verdict {
        let values = [("changed", Value::Bool(false)), ("msg", msg.into()), ("unreachable", Value::Bool(true))];
        Verdict {
            values: values.into_iter().map(|(key, value)| (key.into(), value)).collect(),
            is_unreachable: true,
            delegate: None,
        }
    }

    pub(crate) fn skipped(reason: &str, condition: Option<Value>) -> Verdict {
        let mut values = Map::new();
        values.insert("changed".into(), Value::Bool(false));
        values.insert("skipped".into(), Value::Bool(true));
        values.insert("skip_reason".into(), reason.into());
        if let Some(condition) = condition {
            values.insert("false_condition".into(), condition);
        }
        Verdict { values, ..Verdict::default() }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::to_bool).unwrap_or(false)
    }

    /// `failed_when` has the last word, even where tries have run out.
    pub(crate) fn is_failed(&self) -> bool {
        match self.values.get("failed_when_result") {
            Some(Value::Bool(failed)) => *failed,
            Some(_) => true,
            None => self.is("failed"),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.values.insert(name.into(), value.into());
    }

    /// `ignored`: a failure does not stop the host.
    pub(crate) fn outcome(&self, ignored: bool) -> Outcome {
        if self.is_unreachable {
            if ignored { Outcome::Ignored } else { Outcome::Unreachable }
        } else if self.is_failed() {
            if ignored { Outcome::Ignored } else { Outcome::Failed }
        } else if self.is("skipped") {
            Outcome::Skipped
        } else if self.is("changed") {
            Outcome::Changed
        } else {
            Outcome::Ok
        }
    }

    /// A loop over nothing.
    pub(crate) fn of_no_items() -> Verdict {
        let mut verdict = Verdict::default();
        verdict.set("changed", false);
        verdict.set("skipped", true);
        verdict.set("skipped_reason", "No items in the list");
        verdict.set("results", Vec::<Value>::new());
        verdict
    }

    /// One result for a whole loop.
    pub(crate) fn of_loop(items: Vec<Verdict>) -> Verdict {
        let any = |name: &str| items.iter().any(|item| item.is(name));
        let is_skipped = items.iter().all(|item| item.is("skipped"));
        let (changed, failed, is_unreachable) =
            (any("changed"), items.iter().any(Verdict::is_failed), items.iter().any(|item| item.is_unreachable));
        let msg = match (failed, is_skipped) {
            (true, _) => "One or more items failed",
            (false, true) => "All items skipped",
            (false, false) => "All items completed",
        };
        let mut verdict = Verdict { values: Map::new(), is_unreachable, delegate: None };
        verdict.set("changed", changed);
        verdict.set("msg", msg);
        verdict.set("results", items.into_iter().map(|item| Value::map(item.values)).collect::<Value>());
        verdict.set("skipped", is_skipped);
        if failed {
            verdict.set("failed", true);
        }
        if is_unreachable {
            verdict.set("unreachable", true);
        }
        verdict
    }

    /// What `register` keeps of it: nothing that is between the module and the output.
    pub(crate) fn kept(&self) -> Map {
        let is_kept = |key: &Key| key.as_str().is_none_or(|key| !key.starts_with("_ansible_"));
        let mut kept: Map =
            self.values.iter().filter(|(key, _)| is_kept(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some(results) = kept.get("results").and_then(Value::as_list) {
            let clean = |item: &Value| match item {
                Value::Map(map) => {
                    map.iter().filter(|(key, _)| is_kept(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
                }
                other => other.clone(),
            };
            let results: Value = results.iter().map(clean).collect();
            kept.insert("results".into(), results);
        }
        kept
    }

    /// What people and logs see of it.
    pub(crate) fn shown(&self, no_log: bool) -> Map {
        let mut shown = if no_log { self.censored() } else { self.values.clone() };
        if let Some(delegate) = &self.delegate {
            let name = Map::from_iter([("ansible_delegated_host".into(), Value::from(&delegate.name))]);
            let address = delegate.address.as_ref().map(|address| ("ansible_host".into(), Value::from(address)));
            let names: Map = name.into_iter().chain(address).collect();
            shown.insert("_ansible_delegated_vars".into(), names.into());
        }
        shown
    }

    fn censored(&self) -> Map {
        let mut shown = Map::new();
        shown.insert("censored".into(), CENSORED.into());
        for name in ["changed", "failed", "skipped", "unreachable"] {
            if let Some(value) = self.values.get(name) {
                shown.insert(name.into(), value.clone());
            }
        }
        shown
    }
}

const CENSORED: &str = "the output has been hidden due to the fact that 'no_log: true' was specified for this result";
