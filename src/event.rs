//! Everything that can happen in a run: owned, serialisable, versioned. Reporters and the journal see events and nothing else.
//!
//! Main type: [`Event`]. The engine emits through an [`Emitter`], which masks every secret the run knows before anybody sees the
//! event. Fields are added, never renamed or removed, while [`VERSION`] stays. Start reading at [`Event`].

use crate::diag::{Diagnostic, Place, Sources};
use crate::value::{Map, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Of the events' JSON form.
pub const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    RunStarted {
        version: u32,
        playbooks: Vec<String>,
        check: bool,
        diff: bool,
    },
    PlaybookStarted {
        path: String,
        #[serde(default)]
        plays: usize,
    },
    PlayStarted {
        name: String,
        hosts: Vec<String>,
    },
    /// A play whose pattern selects no host.
    PlaySkipped {
        name: String,
        reason: String,
    },
    TaskStarted {
        task: Task,
    },
    HandlerStarted {
        task: Task,
    },
    /// A host begins with the current task.
    HostStarted {
        host: String,
        task: u64,
    },
    /// One item of a loop ended.
    ItemEnded {
        host: String,
        task: u64,
        label: Value,
        outcome: Outcome,
        result: Map,
    },
    /// `failed_when`/`until` was not met; it will be tried again.
    Retrying {
        host: String,
        task: u64,
        left: u64,
        result: Map,
    },
    /// A host ended the current task.
    HostEnded {
        host: String,
        task: u64,
        outcome: Outcome,
        result: Map,
    },
    /// Tasks of a file or role were added for these hosts.
    Included {
        what: String,
        hosts: Vec<String>,
        /// The item of the loop it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<Value>,
    },
    /// A line from a host that works or waits.
    Says {
        host: String,
        line: String,
    },
    /// A line for the operator, from a task that is there to tell something.
    Told {
        line: String,
    },
    /// What only who wants to know more is told.
    Noted {
        line: String,
    },
    /// The operator is asked something; what they type comes next.
    Asked {
        question: String,
    },
    /// What a host-side change would look like; shown with `--diff`.
    Diff {
        host: String,
        diff: Value,
    },
    Rollout(Rollout),
    /// Found during the run; static findings never become events.
    Warned {
        diagnostic: Diagnostic,
    },
    /// A failure that a diagnostic explains (an undefined variable, an unreachable host): exactly one per host and task.
    Explained {
        host: String,
        diagnostic: Diagnostic,
    },
    MetaRan {
        what: String,
        host: Option<String>,
    },
    Interrupted {
        again: bool,
    },
    /// What `set_stats` has collected: for the run (no host), and for hosts.
    CustomStats {
        stats: Vec<(Option<String>, Map)>,
    },
    Recap {
        hosts: Vec<(String, Stats)>,
        seconds: f64,
    },
}

/// A task as people see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: u64,
    /// With its role: `docker : install the engine`.
    pub name: String,
    pub module: String,
    pub place: Option<Place>,
    pub no_log: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    Changed,
    Skipped,
    Failed,
    /// Failed, with `ignore_errors`.
    Ignored,
    Unreachable,
}

/// One host's line of the recap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub ok: u32,
    pub changed: u32,
    pub unreachable: u32,
    pub failed: u32,
    pub skipped: u32,
    pub rescued: u32,
    pub ignored: u32,
}

/// What happens in a rollout.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "rollout", rename_all = "snake_case")]
pub enum Rollout {
    Started {
        app: String,
        release: String,
        hosts: Vec<String>,
        batches: Vec<Vec<String>>,
        floor: u32,
        balancer: String,
    },
    /// A host entered a phase; `why` says what is waited for.
    Phase {
        host: String,
        phase: String,
        why: String,
    },
    /// A read of the balancer.
    Health {
        healthy: u32,
        floor: u32,
        targets: Vec<(String, String)>,
    },
    /// Seconds that a host was out of rotation.
    HostDone {
        host: String,
        seconds: f64,
    },
    HostFailed {
        host: String,
        phase: String,
        diagnostic: Diagnostic,
        logs: Vec<String>,
    },
    Reverting {
        hosts: Vec<String>,
        why: String,
    },
    Ended {
        ending: String,
        /// The failure that it ended for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// What is true now, line by line.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        now: Vec<String>,
        next: Option<String>,
        new: Vec<String>,
        old: Vec<String>,
        out: Vec<String>,
    },
}

/// Whoever wants to see events. Called in order, from one place at a time.
pub trait Reporter: Send {
    fn see(&mut self, event: &Event);
}

/// The one way for an event to reach anybody. Cheap to clone.
#[derive(Clone)]
pub struct Emitter {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    secrets: BTreeSet<String>,
    /// Where further secrets turn up.
    sources: Option<Sources>,
    reporters: Vec<Box<dyn Reporter>>,
}

/// Shorter secrets would mask half of every line.
const SECRET_LEN_MIN: usize = 4;
const MASK: &str = "********";

impl Emitter {
    pub fn new(reporters: Vec<Box<dyn Reporter>>) -> Emitter {
        Emitter { inner: Arc::new(Mutex::new(Inner { secrets: BTreeSet::new(), sources: None, reporters })) }
    }

    pub fn emit(&self, event: &Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let found = inner.sources.as_ref().map(Sources::take_secrets).unwrap_or_default();
        found.iter().for_each(|value| inner.hide(value));
        let masked = masked(event, &inner.secrets);
        let event = masked.as_ref().unwrap_or(event);
        inner.reporters.iter_mut().for_each(|reporter| reporter.see(event));
    }

    /// From now on every secret in `value` is masked wherever it turns up.
    pub fn hide(&self, value: &Value) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).hide(value);
    }

    /// The same for what comes out of vaults, as soon as it does.
    pub fn hide_secrets_of(&self, sources: &Sources) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).sources = Some(sources.clone());
    }
}

impl Inner {
    fn hide(&mut self, value: &Value) {
        value.each_secret(&mut |secret| {
            let secret = secret.trim_matches('\n');
            if secret.len() >= SECRET_LEN_MIN {
                self.secrets.insert(secret.to_owned());
            }
        });
    }
}

impl std::fmt::Debug for Emitter {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Emitter")
    }
}

/// The event with every known secret replaced, or `None` where there is none in it.
fn masked(event: &Event, secrets: &BTreeSet<String>) -> Option<Event> {
    if secrets.is_empty() {
        return None;
    }
    let mut json = serde_json::to_value(event).ok()?;
    hide(&mut json, secrets).then(|| serde_json::from_value(json).ok()).flatten()
}

/// Whether anything had to be replaced.
fn hide(json: &mut serde_json::Value, secrets: &BTreeSet<String>) -> bool {
    let mut found = false;
    match json {
        serde_json::Value::String(text) => {
            for secret in secrets.iter().rev().filter(|secret| text.contains(secret.as_str())).collect::<Vec<_>>() {
                *text = text.replace(secret.as_str(), MASK);
                found = true;
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| found |= hide(item, secrets)),
        serde_json::Value::Object(map) => map.values_mut().for_each(|item| found |= hide(item, secrets)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
    found
}

impl Stats {
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Changed => {
                self.ok += 1;
                self.changed += 1;
            }
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Ignored => {
                self.ok += 1;
                self.ignored += 1;
            }
            Outcome::Unreachable => self.unreachable += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Keep(Arc<Mutex<Vec<String>>>);

    impl Reporter for Keep {
        fn see(&mut self, event: &Event) {
            self.0.lock().unwrap().push(serde_json::to_string(event).unwrap());
        }
    }

    #[test]
    fn a_known_secret_never_leaves() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let emitter = Emitter::new(vec![Box::new(Keep(seen.clone()))]);
        emitter.hide(&Value::secret("hunter2"));
        let result = Map::from_iter([("stdout".into(), Value::from("password is hunter2!"))]);
        emitter.emit(&Event::HostEnded { host: "web1".into(), task: 1, outcome: Outcome::Ok, result });
        let line = seen.lock().unwrap().join("");
        assert!(line.contains("password is ********!"), "{line}");
        assert!(!line.contains("hunter2"));
    }
}
