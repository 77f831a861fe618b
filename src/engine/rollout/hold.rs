//! The rollout's hold on its hosts: the lock on every one of them, its number, and what is written down there.
//!
//! [`Hold::take`] changes nothing until it has every lock: it reads what is recorded, locks host after host in the order of their names (so that of two
//! that start together one goes on), and then numbers itself above all that it found. From then on every request to these hosts carries
//! the lease ([`Run::leases`]). What no host guards, such as an API of the balancer, is only told after a host has said `_app_beat` is well.

use super::tools;
use crate::actions::Problem;
use crate::engine::plays::PlayRun;
use crate::engine::{Run, locked};
use crate::value::{Map, Value};
use crate::wire::Lease;
use std::collections::BTreeMap;
use std::sync::Arc;
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
    pub(super) generation: i64,
    /// The hosts that are held, by name.
    pub(super) hosts: Vec<String>,
    /// What `_app_state` said of each before it was locked.
    pub(super) found: BTreeMap<String, Map>,
    silence: Duration,
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
    pub(super) async fn take(run: &Arc<Run>, play: &Arc<PlayRun>, app: &str) -> Result<Hold, Denied> {
        let found = look(run, play, app).await?;
        let silence = Some(run.options.rolling.silence).filter(|silence| !silence.is_zero()).unwrap_or(SILENCE);
        let mut hold = Hold {
            run: run.clone(),
            play: play.clone(),
            app: app.to_owned(),
            id: new_id(),
            generation: 0,
            hosts: Vec::new(),
            found,
            silence,
        };
        let taken = match hold.lock_all().await {
            Ok(()) => hold.number().await,
            denied => denied,
        };
        match taken {
            Ok(()) => Ok(hold),
            Err(denied) => {
                hold.give_back().await;
                Err(denied)
            }
        }
    }

    async fn lock_all(&mut self) -> Result<(), Denied> {
        let names: Vec<String> = self.found.keys().cloned().collect();
        for host in names {
            let answer = self.lock(&host, None).await.map_err(|problem| denied(&host, problem))?;
            if answer.get("held").and_then(Value::as_bool) != Some(true) {
                let holder = answer.get("holder").and_then(Value::as_map).cloned().unwrap_or_default();
                return Err(Denied::Locked { host, holder });
            }
            let known = answer.get("known").and_then(Value::to_int).unwrap_or(0);
            self.generation = self.generation.max(known);
            self.hosts.push(host);
        }
        Ok(())
    }

    /// A number above all that any host knows.
    async fn number(&mut self) -> Result<(), Denied> {
        self.generation += 1;
        for host in &self.hosts {
            let answer = self.lock(host, Some(self.generation)).await.map_err(|problem| denied(host, problem))?;
            self.lease(host, &answer);
        }
        Ok(())
    }

    fn lease(&self, host: &str, answer: &Map) {
        let door = answer.get("door").map(Value::to_text).unwrap_or_default().to_string();
        let lease = Lease { app: self.app.clone(), generation: self.generation, door };
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
        let answer = self.lock(host, Some(self.generation)).await.map_err(|problem| denied(host, problem))?;
        if answer.get("held").and_then(Value::as_bool) == Some(true) {
            self.lease(host, &answer);
            return Ok(());
        }
        let holder = answer.get("holder").and_then(Value::as_map).cloned().unwrap_or_default();
        Err(Denied::Locked { host: host.to_owned(), holder })
    }

    /// Whose lock it is, for modules that ask.
    pub(super) fn own(&self) -> [(&'static str, Value); 3] {
        [("app", Value::from(&self.app)), ("run", Value::from(&self.id)), ("generation", self.generation.into())]
    }

    /// Writes down what is true of a host; see `_app_record` for what can be said.
    pub(super) async fn record(&self, host: &str, said: &[(&str, Value)]) -> Result<(), Problem> {
        let args: Vec<(&str, Value)> = self.own().into_iter().chain(said.iter().cloned()).collect();
        tools::module(&self.run, &self.play, host, "_app_record", &args).await.map(drop)
    }

    /// What ran on a host before, as far as anybody can tell.
    pub(super) fn release_before(&self, host: &str) -> Value {
        let found = self.found.get(host);
        let at = |key: &str| found?.get(key)?.get("release").filter(|release| !release.is_null()).cloned();
        at("current").or_else(|| at("state")).unwrap_or_default()
    }

    /// A host that was never touched stays as it was found.
    pub(super) fn phase_at_end(&self, host: &str, is_new: bool, is_out: bool) -> &'static str {
        let was_touched = self.found.contains_key(host);
        match (is_new, is_out) {
            (_, true) => "Failed",
            (true, false) => "Done",
            (false, false) if was_touched => "Reverted",
            (false, false) => "",
        }
    }

    /// What somebody asks of this rollout from another terminal, if anything.
    pub(super) async fn wish(&self) -> Result<Option<Wish>, Problem> {
        let Some(host) = self.hosts.first() else { return Ok(None) };
        let args = [("app", Value::from(&self.app)), ("history", 0.into())];
        let values = tools::module(&self.run, &self.play, host, "_app_state", &args).await?;
        let Some(wish) = values.get("wish").and_then(Value::as_map) else { return Ok(None) };
        let word = |name: &str| wish.get(name).map(Value::to_text).unwrap_or_default().to_string();
        let is_ours = wish.get("generation").and_then(Value::to_int) == Some(self.generation);
        let by = format!("{} on {}", word("who"), word("from"));
        Ok(match word("ask").as_str() {
            "pause" if is_ours => Some(Wish::Pause { by }),
            "stop" if is_ours => Some(Wish::Stop { by, why: word("why") }),
            _ => None,
        })
    }

    pub(super) async fn give_back(&self) {
        let mut leaving = JoinSet::new();
        for host in self.hosts.clone() {
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

/// What is recorded on every host of the play. Opens the connections, all at once.
async fn look(run: &Arc<Run>, play: &Arc<PlayRun>, app: &str) -> Result<BTreeMap<String, Map>, Denied> {
    let mut looks = JoinSet::new();
    for host in play.hosts.clone() {
        let (run, play, app) = (run.clone(), play.clone(), app.to_owned());
        looks.spawn(async move {
            let args = [("app", Value::from(app)), ("history", 1.into())];
            let answer = tools::module(&run, &play, &host, "_app_state", &args).await;
            (host, answer)
        });
    }
    let (mut found, mut dead) = (BTreeMap::new(), Vec::new());
    for (host, answer) in looks.join_all().await {
        match answer {
            Ok(values) => _ = found.insert(host, values),
            Err(problem) if problem.is_unreachable => dead.push((host, problem)),
            Err(problem) => return Err(Denied::Failed { host, problem }),
        }
    }
    if dead.is_empty() || (run.options.skip_dead && !found.is_empty()) {
        return Ok(found);
    }
    dead.sort_by(|(one, _), (other, _)| one.cmp(other));
    Err(Denied::Dead { hosts: dead })
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
