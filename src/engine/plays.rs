//! One play: its hosts, its batches, its variables.

use super::frame::Frame;
use super::stage::{Stage, StageEnd};
use super::vars_files::VarsFiles;
use super::{Ending, Gathering, Run, Signal, locked, rollout};
use crate::diag::{Diagnostic, Span};
use crate::event::Event;
use crate::modules;
use crate::playbook::keyword::Keywords;
use crate::playbook::task::texts;
use crate::playbook::{Context, Item, Play, Program, RoleIdentity, RoleInstance, Task};
use crate::strategy::Rules;
use crate::value::{Map, Value};
use crate::vars::Ground;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::mpsc;

/// A play while it runs.
pub(crate) struct PlayRun {
    pub(crate) play: Arc<Play>,
    pub(crate) name: String,
    pub(crate) playbook: PathBuf,
    /// All hosts of the play, in order.
    pub(crate) hosts: Vec<String>,
    pub(crate) ground: RwLock<Ground>,
    /// Answers to `vars_prompt`.
    pub(crate) answers: Vec<Arc<Map>>,
    pub(crate) files: VarsFiles,
    /// By host and role, the use of it that ran first.
    ran: Mutex<HashMap<(String, RoleIdentity), Arc<RoleInstance>>>,
    pub(crate) handlers: RwLock<Vec<Arc<Task>>>,
    batch: RwLock<Vec<String>>,
    dead: RwLock<BTreeSet<String>>,
}

/// How a play ended.
pub(crate) struct PlayEnd {
    pub(crate) ending: Ending,
    pub(crate) go_on: bool,
}

impl PlayRun {
    /// Hosts that have not failed.
    pub(crate) fn alive(&self) -> Vec<String> {
        let dead = self.dead.read().unwrap_or_else(PoisonError::into_inner);
        self.hosts.iter().filter(|host| !dead.contains(*host)).cloned().collect()
    }

    /// Keeps that a task of a role ran for a host: of the same role no other use will.
    pub(crate) fn mark_run(&self, host: &str, task: &Task) {
        for role in task.context.role_uses() {
            locked(&self.ran).entry((host.to_owned(), role.identity.clone())).or_insert_with(|| role.clone());
        }
    }

    /// Whether a task belongs to a role that was used before, and ran for this host.
    pub(crate) fn is_repeated(&self, host: &str, task: &Task) -> bool {
        let ran = locked(&self.ran);
        let mut uses = task.context.role_uses().filter(|role| !role.may_repeat);
        uses.any(|role| ran.get(&(host.to_owned(), role.identity.clone())).is_some_and(|first| !Arc::ptr_eq(first, role)))
    }

    fn is_alive(&self, host: &str) -> bool {
        !self.dead.read().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    pub(crate) fn batch(&self) -> Vec<String> {
        self.batch.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_batch(&self, hosts: &[String]) {
        *self.batch.write().unwrap_or_else(PoisonError::into_inner) = hosts.to_vec();
    }

    pub(crate) fn bury(&self, host: &str) {
        self.dead.write().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
    }

    pub(crate) fn keyword(&self, name: &str) -> Option<&Value> {
        self.play.context.nearest(name).map(|written| &written.value)
    }

    /// What a keyword of the play comes to; nothing where it is not written or cannot be rendered.
    fn rendered(&self, run: &Run, name: &str) -> Option<Value> {
        let written = self.keyword(name)?;
        Frame::of_play(run, self).render(written).ok().filter(|value| !value.is_null())
    }

    fn says(&self, run: &Run, name: &str) -> Option<bool> {
        self.rendered(run, name)?.to_bool()
    }

    pub(crate) fn rules(&self, run: &Run) -> Rules {
        let strategy = self.rendered(run, "strategy").map(|value| value.to_text().to_string());
        let strategy = strategy.or_else(|| run.options.strategy.clone()).unwrap_or_default();
        let percentage = self.rendered(run, "max_fail_percentage").as_ref().and_then(percent);
        Rules {
            linear: !matches!(strategy.rsplit('.').next(), Some("free" | "host_pinned")),
            forks: run.options.forks.max(1),
            fail_percentage_max: percentage,
            force_handlers: self.says(run, "force_handlers").unwrap_or(run.options.force_handlers),
        }
    }
}

fn percent(value: &Value) -> Option<u32> {
    value.to_text().trim().trim_end_matches('%').parse::<f64>().ok().map(|number| number.clamp(0.0, 100.0) as u32)
}

/// Runs one play on all its batches.
pub(crate) async fn play(run: &Arc<Run>, play: Arc<Play>, playbook: &Path, signals: &mut mpsc::Receiver<Signal>) -> PlayEnd {
    let prepared = match prepare(run, play, playbook) {
        Ok(prepared) => Arc::new(prepared),
        Err(diagnostic) => {
            run.warn(*diagnostic);
            return PlayEnd { ending: Ending::Failed, go_on: false };
        }
    };
    if prepared.hosts.is_empty() {
        run.emitter.emit(&Event::PlaySkipped { name: prepared.name.clone(), reason: "no hosts matched".into() });
        return PlayEnd { ending: Ending::Done, go_on: true };
    }
    let start = |hosts: &[String]| run.emitter.emit(&Event::PlayStarted { name: prepared.name.clone(), hosts: hosts.to_vec() });
    // Nothing may leave the balancer in check mode: then the play's tasks say what they would change, batch by batch.
    if prepared.keyword("rollout").is_some_and(|value| !value.is_null()) && !run.options.check {
        start(&prepared.hosts);
        return rollout::play(run, &prepared, signals).await;
    }
    let mut ending = Ending::Done;
    for batch in batches(&prepared, run) {
        start(&batch);
        let batch: Vec<String> = batch.into_iter().filter(|host| prepared.is_alive(host)).collect();
        if batch.is_empty() {
            continue;
        }
        let program = whole_program(run, &prepared);
        let end = Stage::new(run, &prepared, &batch, program).drive(signals).await;
        ending = ending.max(settle(run, &prepared, &end));
        if end.interrupted {
            return PlayEnd { ending: Ending::Stopped, go_on: false };
        }
        if end.is_broken {
            return PlayEnd { ending: Ending::Broken, go_on: false };
        }
        let is_lost = end.failed.len() + end.unreachable.len() == batch.len();
        let over_limit = prepared
            .rules(run)
            .fail_percentage_max
            .is_some_and(|limit| (end.failed.len() + end.unreachable.len()) * 100 > limit as usize * batch.len());
        let is_fatal = prepared.says(run, "any_errors_fatal").unwrap_or(run.options.any_errors_fatal)
            && !(end.failed.is_empty() && end.unreachable.is_empty());
        if is_lost || over_limit || is_fatal {
            return PlayEnd { ending, go_on: false };
        }
        if end.left_play {
            break;
        }
    }
    PlayEnd { ending, go_on: true }
}

/// Keeps failed hosts out of what follows.
pub(crate) fn settle(run: &Run, play: &PlayRun, end: &StageEnd) -> Ending {
    for host in end.failed.iter().chain(&end.unreachable) {
        play.bury(host);
        locked(&run.dead).insert(host.clone());
    }
    match (end.unreachable.is_empty(), end.failed.is_empty()) {
        (false, _) => Ending::Unreachable,
        (true, false) => Ending::Failed,
        (true, true) => Ending::Done,
    }
}

pub(crate) fn prepare(run: &Run, play: Arc<Play>, playbook: &Path) -> Result<PlayRun, Box<Diagnostic>> {
    let mut ground = ground(run, &play);
    let answers = ground.play_files.clone();
    let files = VarsFiles::new(&play);
    files.of_play(run, &play, &mut ground)?;
    let mut prepared = PlayRun {
        ran: Mutex::default(),
        answers,
        files,
        name: String::new(),
        playbook: playbook.to_owned(),
        hosts: Vec::new(),
        ground: RwLock::new(ground),
        handlers: RwLock::new(play.handlers.clone()),
        batch: RwLock::default(),
        dead: RwLock::default(),
        play,
    };
    let patterns = prepared.keyword("hosts").cloned().unwrap_or_default();
    let rendered = Frame::of_play(run, &prepared)
        .render(&patterns)
        .map_err(|problem| problem.diagnostic.unwrap_or_else(|| Box::new(Diagnostic::error("bad-hosts", problem.failure.msg))))?;
    let pattern = texts(&rendered).join(",");
    let dead = locked(&run.dead).clone();
    let span = prepared.play.context.keywords.get("hosts").map_or(Span::NOWHERE, |written| written.span);
    let inventory = run.inventory.read().unwrap_or_else(PoisonError::into_inner);
    let selection = inventory.select_within(&pattern, span, run.options.limit.as_deref());
    drop(inventory);
    let mut hosts = selection.hosts;
    for diagnostic in selection.diagnostics {
        if diagnostic.is_error() {
            return Err(Box::new(diagnostic));
        }
        run.warn(diagnostic);
    }
    // Batches are cut of all hosts, dead or alive; a rollout counts the living.
    if prepared.keyword("rollout").is_some_and(|value| !value.is_null()) {
        hosts.retain(|host| !dead.contains(host));
    }
    prepared.dead = RwLock::new(dead);
    let order = prepared.keyword("order").map(|order| Frame::of_play(run, &prepared).render(order)).transpose();
    let order = order.ok().flatten().map(|order| order.to_text().to_string());
    ordered(&mut hosts, order.as_deref());
    prepared.name = match prepared.keyword("name") {
        Some(name) => Frame::of_play(run, &prepared)
            .render(name)
            .map_or_else(|_| name.to_text().to_string(), |name| name.to_text().to_string()),
        None => pattern,
    };
    prepared.hosts = hosts;
    Ok(prepared)
}

fn ordered(hosts: &mut [String], order: Option<&str>) {
    match order {
        Some("sorted") => hosts.sort(),
        Some("reverse_sorted") => hosts.sort_by(|one, other| other.cmp(one)),
        Some("reverse_inventory") => hosts.reverse(),
        Some("shuffle") => {
            // Any order will do: the hasher's seed is a new one in each run.
            use std::hash::{BuildHasher, RandomState};
            let seed = RandomState::new();
            hosts.sort_by_key(|host| seed.hash_one(host));
        }
        _ => {}
    }
}

/// Variables of the play as a whole, before its files.
fn ground(run: &Run, play: &Play) -> Ground {
    let roles = || play.roles.iter().map(|used| &used.role).chain(&play.imported).rev();
    let mut ground = Ground {
        extra: Arc::new(run.options.extra.clone()),
        play_files: Vec::new(),
        role_defaults: roles().map(|role| role.defaults.clone()).collect(),
        role_vars: roles().map(|role| role.vars.clone()).collect(),
        merges: run.options.merge_hashes,
    };
    let answers = prompted(run, play, &ground);
    if !answers.is_empty() {
        ground.play_files.push(Arc::new(answers));
    }
    ground
}

/// What was answered to `vars_prompt`, or its defaults.
fn prompted(run: &Run, play: &Play, ground: &Ground) -> Map {
    let answer = |prompt: crate::playbook::Prompt| {
        let default =
            || prompt.default.as_ref().and_then(|default| Frame::of_ground(run, ground, &play.context).render(default).ok());
        let value = run.options.prompted.get(prompt.name.as_str()).cloned().or_else(default).unwrap_or_default();
        (prompt.name.as_str().into(), value)
    };
    play.prompts().into_iter().map(answer).collect()
}

/// Batches as `serial` wants them: numbers or percentages, the last one repeated.
pub(crate) fn batches(play: &PlayRun, run: &Run) -> Vec<Vec<String>> {
    let serial = play.keyword("serial").cloned().unwrap_or_default();
    let serial = Frame::of_play(run, play).render(&serial).unwrap_or(serial);
    split(&play.hosts, &serial)
}

pub(crate) fn split(hosts: &[String], serial: &Value) -> Vec<Vec<String>> {
    let sizes: Vec<Value> = match serial {
        Value::Null => Vec::new(),
        Value::List(items) => items.to_vec(),
        other => vec![other.clone()],
    };
    let size_of = |value: &Value| {
        let text = value.to_text();
        let count = match text.trim().strip_suffix('%') {
            Some(percentage) => (percentage.trim().parse::<f64>().unwrap_or(100.0) / 100.0 * hosts.len() as f64) as usize,
            None => text.trim().parse().unwrap_or(hosts.len()),
        };
        if text.trim() == "0" { hosts.len() } else { count.max(1) }
    };
    let mut sizes = sizes.iter().map(size_of).collect::<Vec<_>>().into_iter();
    let mut batches = Vec::new();
    let (mut rest, mut size) = (hosts, hosts.len().max(1));
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size);
        let (batch, others) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = others;
    }
    batches
}

/// Facts, then all sections with their handlers.
fn whole_program(run: &Run, play: &PlayRun) -> Program {
    let mut program = Program::default();
    add_facts(run, play, &mut program);
    add_section(run, &play.play.pre_tasks, &mut program);
    program.add_flush();
    for used in &play.play.roles {
        add_section(run, &used.items, &mut program);
    }
    add_section(run, &play.play.tasks, &mut program);
    program.add_flush();
    add_section(run, &play.play.post_tasks, &mut program);
    program.add_flush();
    program
}

/// Only what the tags select.
pub(crate) fn add_section(run: &Run, items: &[Item], program: &mut Program) {
    program.add(&selected(run, items), None);
}

pub(crate) fn selected(run: &Run, items: &[Item]) -> Vec<Item> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Task(task) => run.options.selection.wants(&task.context.tags()).then(|| item.clone()),
            Item::Block(block) => {
                let body = selected(run, &block.body);
                (!body.is_empty() || !block.always.is_empty()).then(|| {
                    Item::Block(Arc::new(crate::playbook::Block {
                        span: block.span,
                        body,
                        rescue: selected(run, &block.rescue),
                        always: selected(run, &block.always),
                    }))
                })
            }
        })
        .collect()
}

/// The play's own `setup`, unless it says no.
pub(crate) fn add_facts(run: &Run, play: &PlayRun, program: &mut Program) {
    let wanted = match play.keyword("gather_facts") {
        None | Some(Value::Null) => run.options.gathering != Gathering::Explicit,
        Some(value) => Frame::of_play(run, play).render(value).ok().and_then(|value| value.to_bool()).unwrap_or(true),
    };
    let Some(module) = modules::find("setup").filter(|_| wanted) else { return };
    let mut keywords = Keywords::new();
    keywords.insert("name", Value::from("Gathering Facts").into());
    keywords.insert("tags", Value::from("always").into());
    // What the play's own tags exclude need not be known.
    let tags: Vec<String> = play.play.context.tags();
    if !tags.is_empty() && !run.options.selection.wants(&tags) {
        return;
    }
    let mut args = Map::new();
    for (keyword, arg) in [("gather_subset", "gather_subset"), ("gather_timeout", "gather_timeout"), ("fact_path", "fact_path")] {
        if let Some(value) = play.keyword(keyword) {
            args.insert(arg.into(), value.clone());
        }
    }
    let context = Context { keywords, parent: Some(play.play.context.clone()), ..Context::default() };
    let task = Task::made("setup", module, args, context, play.play.span, play.playbook.clone());
    program.add_task(&Arc::new(task), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_cut_as_serial_says() {
        let hosts: Vec<String> = (1..=5).map(|number| format!("h{number}")).collect();
        let sizes = |serial: &str| split(&hosts, &Value::from_json(serial).unwrap()).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes("null"), [5]);
        assert_eq!(sizes("2"), [2, 2, 1]);
        assert_eq!(sizes("\"40%\""), [2, 2, 1]);
        assert_eq!(sizes("\"1%\""), [1, 1, 1, 1, 1]);
        assert_eq!(sizes("[1, \"50%\", \"100%\"]"), [1, 2, 2]);
        assert_eq!(sizes("0"), [5]);
    }
}
