//! The only loop: inputs in, effects out, events to the reporters.
//!
//! Main type: [`Job`], everything a run needs, resolved. [`run`] takes the plays one after the other; for each batch of hosts a
//! [`crate::strategy::Strategy`] says who may start what, and this room carries it out: renders arguments, opens connections, sends requests,
//! keeps results. *Values* live here, beside the cores that decide without them. Nothing here prints, exits or reads argv.
//!
//! Start reading at [`run`], then `stage.rs` (the loop of one batch), then `work.rs` (one task on one host).

mod background;
mod cache;
mod calls;
mod enrol;
mod frame;
mod hands;
mod include;
mod loops;
mod magic;
mod operator;
mod plays;
mod reach;
mod results;
mod rollout;
mod said;
mod stage;
mod stats;
mod tags;
mod target;
mod vars_files;
mod work;

pub use cache::FactCache;
pub use calls::Calling;
pub(crate) use rollout::RECORD_HELP;
pub use rollout::{Examined, examine};
pub use rollout::{HostSurvey, Survey, Surveyor, TargetSurvey, Unanswered, WishFor};
pub use tags::Selection;

use crate::connection::{Connections, HostKeys, Settings};
use crate::diag::{Diagnostic, Sources};
use crate::event::{self, Emitter, Event, Outcome, Stats};
use crate::inventory::Inventory;
use crate::playbook::{Play, Reader};
use crate::value::{Map, Text, Value};
use crate::vars::Store;
use crate::wire::Lease;
use calls::Calls;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Everything a run needs: text read, names resolved, errors found.
#[derive(Debug)]
pub struct Job {
    pub sources: Sources,
    pub inventory: Inventory,
    pub reader: Reader,
    pub playbooks: Vec<Playbook>,
    pub options: Options,
    pub settings: Settings,
}

#[derive(Debug)]
pub struct Playbook {
    pub path: PathBuf,
    pub plays: Vec<Play>,
}

/// What the command line, the environment and the configuration say.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub check: bool,
    pub diff: bool,
    pub limit: Option<String>,
    pub selection: Selection,
    pub start_at_task: Option<String>,
    pub step: bool,
    pub forks: usize,
    pub verbosity: u8,
    pub extra: Map,
    /// Ansible's settings by their names there, for `lookup('config', …)`.
    pub settings: Map,
    /// Answers to `vars_prompt`.
    pub prompted: Map,
    pub remote_user: Option<String>,
    pub key_file: Option<PathBuf>,
    pub password: Option<Text>,
    pub become_it: bool,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    pub become_password: Option<Text>,
    pub connection: Option<String>,
    pub timeout: Option<Duration>,
    pub retries: u32,
    pub host_keys: HostKeys,
    pub known_hosts: Option<Vec<PathBuf>>,
    pub ssh_args: Vec<String>,
    pub gathering: Gathering,
    /// Where a play names none.
    pub strategy: Option<String>,
    pub any_errors_fatal: bool,
    /// The `-i` of the command line, to read them again.
    pub inventory_specs: Vec<String>,
    /// The `ansible.cfg` that was read.
    pub config_file: Option<PathBuf>,
    /// Where `group_vars` and `host_vars` of the playbook are.
    pub playbook_dir: PathBuf,
    /// `set_stats` is shown at the end.
    pub show_custom_stats: bool,
    /// A handler that does not exist is a warning only.
    pub forgives_missing_handlers: bool,
    /// Seconds for a task that says nothing itself.
    pub task_timeout: Option<u64>,
    /// Facts are kept in files here.
    pub fact_cache: Option<FactCache>,
    pub force_handlers: bool,
    /// `hash_behaviour = merge`.
    pub merge_hashes: bool,
    /// `jinja2_native = yes`.
    pub is_native: bool,
    /// Whether somebody can answer questions.
    pub is_interactive: bool,
    /// Rollouts: hosts that are dead may be left out.
    pub skip_dead: bool,
    pub rolling: Rolling,
}

/// What is asked of a rollout beyond its playbook.
#[derive(Debug, Clone, Default)]
pub struct Rolling {
    pub direction: Direction,
    /// Why this one may drop bakes and take over from another: goes into the history.
    pub hotfix: Option<String>,
    /// Nothing may serve for a while.
    pub accept_downtime: bool,
    /// What `roll` was called with, for the words "run this next".
    pub arguments: String,
    /// Who asks, and from which machine: told to everybody who finds the lock taken.
    pub who: String,
    pub from: String,
    /// After so long without a word from here, hosts let their locks go.
    pub silence: Duration,
    pub calling: Calling,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// To the release of the playbook; an unfinished rollout of the same release is gone on with.
    #[default]
    Forward,
    /// The same, and only if there is an unfinished one.
    Resume,
    /// To what ran before the unfinished one.
    Rollback,
}

/// When facts are gathered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gathering {
    /// Unless a play says no.
    #[default]
    Implicit,
    /// Only where a play asks for it.
    Explicit,
    /// Only for hosts whose facts are not known yet.
    Smart,
}

/// What the operator does while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C or SIGTERM.
    Interrupt,
}

/// How a run ended. `cli::exit` makes the exit code of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    Done,
    Failed,
    Unreachable,
    Stopped,
    /// The playbook itself is wrong, which was found while it ran.
    Broken,
    /// A rollout's own endings.
    Refused,
    /// Another rollout has the lock.
    Locked,
    Halted,
    Reverted,
    RevertFailed,
    Interrupted,
    /// A newer rollout has taken over, or this one was silent for too long.
    Fenced,
}

/// What the jobs of one run share.
pub(crate) struct Run {
    pub(crate) options: Options,
    pub(crate) sources: Sources,
    pub(crate) emitter: Emitter,
    pub(crate) connections: Connections,
    pub(crate) calls: Calls,
    pub(crate) inventory: RwLock<Inventory>,
    pub(crate) store: RwLock<Store>,
    pub(crate) reader: Mutex<Reader>,
    pub(crate) stats: Mutex<BTreeMap<String, Stats>>,
    /// Hosts that failed in an earlier play take no part in later ones.
    pub(crate) dead: Mutex<BTreeSet<String>>,
    /// Variables of the inventory by host, made once.
    pub(crate) layers: Mutex<HashMap<String, Vec<Arc<Map>>>>,
    pub(crate) groups: Mutex<Option<Value>>,
    /// What a rollout may change, by host; goes with every request to that host.
    pub(crate) leases: Mutex<HashMap<String, Lease>>,
    /// Where a rollout starts a new container beside the old one: the port that it is to publish, by host (`rollout_port`).
    pub(crate) ports: Mutex<HashMap<String, u16>>,
    /// `--start-at-task`, until that task is met.
    pub(crate) start_at: Mutex<Option<String>>,
    /// `--step`, until the operator has enough of it.
    asks: AtomicBool,
    /// What plays have added to the inventory.
    grown: Mutex<Vec<enrol::Growth>>,
    /// Hosts whose cached facts were looked for.
    recalled: Mutex<BTreeSet<String>>,
    /// Hosts whose facts are known.
    pub(crate) gathered: Mutex<BTreeSet<String>>,
    /// `set_stats`: by host, or for all.
    pub(crate) custom_stats: Mutex<BTreeMap<Option<String>, Map>>,
    task_ids: AtomicU64,
}

impl Run {
    fn new(
        options: Options,
        sources: Sources,
        inventory: Inventory,
        reader: Reader,
        settings: Settings,
        emitter: Emitter,
    ) -> Run {
        Run {
            connections: Connections::new(settings),
            calls: Calls::new(&options.rolling.calling),
            start_at: Mutex::new(options.start_at_task.clone()),
            asks: AtomicBool::new(options.step),
            grown: Mutex::default(),
            recalled: Mutex::default(),
            gathered: Mutex::default(),
            custom_stats: Mutex::default(),
            options,
            sources,
            emitter,
            inventory: RwLock::new(inventory),
            store: RwLock::default(),
            reader: Mutex::new(reader),
            stats: Mutex::default(),
            dead: Mutex::default(),
            layers: Mutex::default(),
            groups: Mutex::default(),
            leases: Mutex::default(),
            ports: Mutex::default(),
            task_ids: AtomicU64::new(1),
        }
    }

    pub(crate) fn asks_each_step(&self) -> bool {
        self.asks.load(Ordering::Relaxed)
    }

    pub(crate) fn ask_no_more(&self) {
        self.asks.store(false, Ordering::Relaxed);
    }

    pub(crate) fn next_task_id(&self) -> u64 {
        self.task_ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count(&self, host: &str, outcome: Outcome) {
        locked(&self.stats).entry(host.to_owned()).or_default().add(outcome);
    }

    /// A failure that is ignored may have changed something.
    pub(crate) fn count_changed(&self, host: &str) {
        locked(&self.stats).entry(host.to_owned()).or_default().changed += 1;
    }

    /// Facts of an earlier run, the first time that a host takes part.
    pub(crate) fn recall_facts(&self, host: &str) {
        let Some(cache) = &self.options.fact_cache else { return };
        if !locked(&self.recalled).insert(host.to_owned()) {
            return;
        }
        if let Some(facts) = cache.load(host) {
            self.store.write().unwrap_or_else(PoisonError::into_inner).add_facts(host, &facts);
            locked(&self.gathered).insert(host.to_owned());
        }
    }

    /// After facts of a host have changed.
    pub(crate) fn keep_facts(&self, host: &str) {
        let Some(cache) = &self.options.fact_cache else { return };
        let facts = self.store.read().unwrap_or_else(PoisonError::into_inner).host(host).prefixed;
        if let Err(error) = cache.store(host, &facts) {
            let title = format!("facts of `{host}` could not be kept: {error}");
            self.warn(Diagnostic::warning("fact-cache", title));
        }
    }

    pub(crate) fn clear_facts(&self, host: &str) {
        self.store.write().unwrap_or_else(PoisonError::into_inner).clear_facts(host);
        locked(&self.gathered).remove(host);
        if let Some(cache) = &self.options.fact_cache {
            cache.forget(host);
        }
    }

    /// By their number in `hosts`.
    pub(crate) fn without_facts(&self, hosts: &[String]) -> BTreeSet<usize> {
        let gathered = locked(&self.gathered);
        hosts.iter().enumerate().filter(|(_, host)| !gathered.contains(*host)).map(|(index, _)| index).collect()
    }

    pub(crate) fn warn(&self, diagnostic: Diagnostic) {
        self.emitter.emit(&Event::Warned { diagnostic });
    }
}

/// A poisoned lock means a bug in one job; the data is still whole enough to finish the others.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs every play of every playbook up to the first that does not end well, and answers how it ended.
pub async fn run(job: Job, emitter: Emitter, mut signals: mpsc::Receiver<Signal>) -> Ending {
    let started = Instant::now();
    let names = job.playbooks.iter().map(|playbook| playbook.path.display().to_string()).collect();
    let Options { check, diff, .. } = job.options;
    emitter.hide(&Value::map(job.options.extra.clone()));
    emitter.hide_secrets_of(&job.sources);
    hide_secrets(&job.inventory, &emitter);
    emitter.emit(&Event::RunStarted { version: event::VERSION, playbooks: names, check, diff });
    let run = Arc::new(Run::new(job.options, job.sources, job.inventory, job.reader, job.settings, emitter));
    let mut ending = Ending::Done;
    for playbook in job.playbooks {
        run.emitter.emit(&Event::PlaybookStarted { path: playbook.path.display().to_string(), plays: playbook.plays.len() });
        for play in playbook.plays {
            let ended = plays::play(&run, Arc::new(play), &playbook.path, &mut signals).await;
            ending = ending.max(ended.ending);
            if !ended.go_on {
                break;
            }
        }
        let hosts: Vec<(String, Stats)> = locked(&run.stats).iter().map(|(host, stats)| (host.clone(), *stats)).collect();
        run.emitter.emit(&Event::Recap { hosts, seconds: started.elapsed().as_secs_f64() });
        run.tell_custom();
        // A playbook counts on the ones before it.
        if ending != Ending::Done {
            break;
        }
    }
    run.connections.close().await;
    ending
}

/// What the inventory marks as secret is masked from the first event on.
fn hide_secrets(inventory: &Inventory, emitter: &Emitter) {
    let names = inventory.hosts.keys().map(String::as_str).chain([""]);
    names.flat_map(|host| inventory.vars_of(host)).for_each(|layer| emitter.hide(&Value::map(layer.vars.clone())));
}
