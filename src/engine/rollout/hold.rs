//! The rollout's hold on its hosts: the lock on every one of them, its number, and what is written down there.
//!
//! The core says when: [`Hold::take`] on one host after the other in the order of their names (so that of two that start together one goes
//! on) changes nothing; [`Hold::number`] then makes this rollout the newest of all that were found. From then on every request to these
//! hosts carries the lease ([`Run::leases`]). What no host guards, such as an API of the balancer, is only told after a host has said
//! `_app_beat` is well.

use super::tools;
use crate::actions::Problem;
use crate::engine::plays::PlayRun;
use crate::engine::{Run, locked};
use crate::value::{Map, Value};
use crate::wire::Lease;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// Hosts let go after so long without a word, unless told otherwise.
const SILENCE: Duration = Duration::from_secs(30);

pub(super) struct Hold {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    app: String,
    /// What tells this run from every other.
    pub(super) id: String,
    numbers: Mutex<Numbers>,
    /// The hosts that are held, by name.
    hosts: Mutex<BTreeSet<String>>,
    silence: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    /// The newest generation that any host knows of.
    known: i64,
    own: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// No further host, until it is taken back.
    Pause { by: String },
    /// Finish the host in hand and end.
    Stop { by: String, why: String },
}

/// Why there is no hold. Nothing was changed, and no lock is kept.
#[derive(Debug)]
pub(super) enum Denied {
    /// Another run has the lock of this host.
    Locked {
        host: String,
        holder: Map,
    },
    /// A newer rollout came in between.
    Fenced {
        host: String,
        msg: String,
    },
    /// Hosts that give no answer.
    Dead {
        hosts: Vec<(String, Problem)>,
    },
    Failed {
        host: String,
        problem: Problem,
    },
}

impl Hold {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, app: &str) -> Hold {
        Hold {
            run: run.clone(),
            play: play.clone(),
            app: app.to_owned(),
            id: new_id(),
            numbers: Mutex::default(),
            hosts: Mutex::default(),
            silence: Some(run.options.rolling.silence).filter(|silence| !silence.is_zero()).unwrap_or(SILENCE),
        }
    }

    pub(super) fn generation(&self) -> i64 {
        locked(&self.numbers).own
    }

    /// Changes nothing but the lock itself.
    pub(super) async fn take(&self, host: &str) -> Result<(), Denied> {
        let answer = self.lock(host, None).await.map_err(|problem| denied(host, problem))?;
        if answer.get("held").and_then(Value::as_bool) != Some(true) {
            let holder = answer.get("holder").and_then(Value::as_map).cloned().unwrap_or_default();
            return Err(Denied::Locked { host: host.to_owned(), holder });
        }
        let known = answer.get("known").and_then(Value::to_int).unwrap_or(0);
        self.knows(known);
        locked(&self.hosts).insert(host.to_owned());
        Ok(())
    }

    /// A number above all that any host knows; answers with what was recorded before.
    pub(super) async fn number(&self, host: &str) -> Result<Map, Denied> {
        let own = self.number_itself();
        let answer = self.lock(host, Some(own)).await.map_err(|problem| denied(host, problem))?;
        if answer.get("held").and_then(Value::as_bool) != Some(true) {
            let holder = answer.get("holder").and_then(Value::as_map).cloned().unwrap_or_default();
            return Err(Denied::Locked { host: host.to_owned(), holder });
        }
        self.lease(host, &answer);
        Ok(answer)
    }

    fn number_itself(&self) -> i64 {
        let mut numbers = locked(&self.numbers);
        numbers.own = numbers.own.max(numbers.known + 1);
        numbers.own
    }

    fn knows(&self, generation: i64) {
        let mut numbers = locked(&self.numbers);
        numbers.known = numbers.known.max(generation);
    }

    /// Asks whoever has the lock to let this one in at the next safe point.
    pub(super) async fn ask_to_yield(&self, host: &str, why: &str) -> Result<Map, Problem> {
        let rolling = &self.run.options.rolling;
        let args = [
            ("app", Value::from(&self.app)),
            ("ask", "stop".into()),
            ("who", Value::from(&rolling.who)),
            ("from", Value::from(&rolling.from)),
            ("why", why.into()),
        ];
        tools::module(&self.run, &self.play, host, "_app_wish", &args).await
    }

    /// Everything that a host knows of the app.
    pub(super) async fn state(&self, host: &str) -> Result<Map, Problem> {
        let args = [("app", Value::from(&self.app)), ("history", 1.into())];
        tools::module(&self.run, &self.play, host, "_app_state", &args).await
    }

    fn lease(&self, host: &str, answer: &Map) {
        let door = answer.get("door").map(Value::to_text).unwrap_or_default().to_string();
        let lease = Lease { app: self.app.clone(), generation: self.generation(), door };
        locked(&self.run.leases).insert(host.to_owned(), lease);
    }

    async fn lock(&self, host: &str, generation: Option<i64>) -> Result<Map, Problem> {
        let rolling = &self.run.options.rolling;
        let args = [
            ("app", Value::from(&self.app)),
            ("run", Value::from(&self.id)),
            ("who", Value::from(&rolling.who)),
            ("from", Value::from(&rolling.from)),
            ("generation", generation.into()),
            ("silence", self.silence.as_secs_f64().into()),
        ];
        tools::module(&self.run, &self.play, host, "_app_lock", &args).await
    }

    /// After a lost connection: the same lock under the same number, unless it was given away meanwhile.
    pub(super) async fn renew(&self, host: &str) -> Result<(), Denied> {
        let answer = self.lock(host, Some(self.generation())).await.map_err(|problem| denied(host, problem))?;
        if answer.get("held").and_then(Value::as_bool) == Some(true) {
            self.lease(host, &answer);
            return Ok(());
        }
        let holder = answer.get("holder").and_then(Value::as_map).cloned().unwrap_or_default();
        Err(Denied::Locked { host: host.to_owned(), holder })
    }

    /// Whose lock it is, for modules that ask.
    pub(super) fn own(&self) -> [(&'static str, Value); 3] {
        [("app", Value::from(&self.app)), ("run", Value::from(&self.id)), ("generation", self.generation().into())]
    }

    /// Writes down what is true of a host; see `_app_record` for what can be said.
    pub(super) async fn record(&self, host: &str, said: &[(&str, Value)]) -> Result<(), Problem> {
        let args: Vec<(&str, Value)> = self.own().into_iter().chain(said.iter().cloned()).collect();
        tools::module(&self.run, &self.play, host, "_app_record", &args).await.map(drop)
    }

    /// What somebody asks of this rollout from another terminal, if anything.
    pub(super) async fn wish(&self) -> Result<Option<Wish>, Problem> {
        let Some(host) = locked(&self.hosts).first().cloned() else { return Ok(None) };
        let args = [("app", Value::from(&self.app)), ("history", 0.into())];
        let values = tools::module(&self.run, &self.play, &host, "_app_state", &args).await?;
        let Some(wish) = values.get("wish").and_then(Value::as_map) else { return Ok(None) };
        let word = |name: &str| wish.get(name).map(Value::to_text).unwrap_or_default().to_string();
        let is_ours = wish.get("generation").and_then(Value::to_int) == Some(self.generation());
        let by = format!("{} on {}", word("who"), word("from"));
        Ok(match word("ask").as_str() {
            "pause" if is_ours => Some(Wish::Pause { by }),
            "stop" if is_ours => Some(Wish::Stop { by, why: word("why") }),
            _ => None,
        })
    }

    pub(super) async fn give_back(&self) {
        let mut leaving = JoinSet::new();
        let hosts = std::mem::take(&mut *locked(&self.hosts));
        for host in hosts {
            let (run, play) = (self.run.clone(), self.play.clone());
            let args = [("app", Value::from(&self.app)), ("run", Value::from(&self.id)), ("held", false.into())];
            leaving.spawn(async move {
                // A lock goes with its channel anyway.
                drop(tools::module(&run, &play, &host, "_app_lock", &args).await);
                locked(&run.leases).remove(&host);
            });
        }
        leaving.join_all().await;
    }
}

/// What is wrong, in the words of this tool where there are any.
pub(super) fn why(problem: &Problem) -> String {
    problem.diagnostic.as_ref().map_or_else(|| problem.failure.msg.clone(), |diagnostic| diagnostic.title.clone())
}

/// A flag among the values of a failure.
pub(super) fn says(problem: &Problem, flag: &str) -> bool {
    problem.failure.values.get(flag).and_then(Value::as_bool) == Some(true)
}

fn denied(host: &str, problem: Problem) -> Denied {
    let host = host.to_owned();
    if says(&problem, "fenced") {
        return Denied::Fenced { host, msg: problem.failure.msg };
    }
    if problem.is_unreachable {
        return Denied::Dead { hosts: vec![(host, problem)] };
    }
    Denied::Failed { host, problem }
}

/// Sorts by time; the rest is chance.
fn new_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:08x}", now.as_secs(), RandomState::new().hash_one(now) as u32)
}
