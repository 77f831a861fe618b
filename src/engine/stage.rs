//! The loop of one batch: the strategy's effects out, what came of them in.

use super::include::{self, Include};
use super::plays::PlayRun;
use super::work::{Finished, Work};
use super::{Run, Signal, locked};
use crate::event::{Event, Outcome};
use crate::playbook::{Program, Task};
use crate::strategy::{Effect, Ended, Host, Input, Strategy};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// One batch of a play on its way through a program.
pub(crate) struct Stage {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    hosts: Vec<String>,
    tasks: Vec<Arc<Task>>,
    strategy: Strategy,
    /// Includes whose hosts have not all answered yet, by the run they belong to.
    open: BTreeMap<u64, Open>,
    unreachable: BTreeSet<Host>,
    interrupted: bool,
    left_play: bool,
    results: mpsc::UnboundedSender<(Host, Finished)>,
    inbox: mpsc::UnboundedReceiver<(Host, Finished)>,
}

/// Hosts that were started together on one step.
struct Open {
    task: Arc<Task>,
    waiting: BTreeSet<Host>,
    for_all: Vec<Host>,
    includes: Vec<(Host, Include)>,
    ended: Vec<(Host, Ended)>,
}

#[derive(Debug, Default)]
pub(crate) struct StageEnd {
    pub(crate) failed: Vec<String>,
    pub(crate) unreachable: Vec<String>,
    pub(crate) interrupted: bool,
    pub(crate) left_play: bool,
}

impl Stage {
    pub(crate) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, hosts: &[String], program: Program) -> Stage {
        play.set_batch(hosts);
        let strategy = Strategy::new(&program, hosts.len(), play.rules(run));
        let (results, inbox) = mpsc::unbounded_channel();
        Stage {
            run: run.clone(),
            play: play.clone(),
            hosts: hosts.to_vec(),
            tasks: program.tasks,
            strategy,
            open: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            interrupted: false,
            left_play: false,
            results,
            inbox,
        }
    }

    /// Until the strategy has nothing left.
    pub(crate) async fn drive(mut self, signals: &mut mpsc::Receiver<Signal>) -> StageEnd {
        let mut effects = self.strategy.on(Input::Start);
        loop {
            if self.carry_out(effects) {
                return self.end();
            }
            effects = tokio::select! {
                Some((host, finished)) = self.inbox.recv() => self.finished(host, finished),
                Some(Signal::Interrupt) = signals.recv() => {
                    if self.interrupted {
                        return self.end();
                    }
                    self.interrupted = true;
                    self.run.emitter.emit(&Event::Interrupted { again: false });
                    self.strategy.on(Input::Stop)
                }
            };
        }
    }

    fn end(self) -> StageEnd {
        let name = |host: &Host| self.hosts[*host].clone();
        let failed = self.strategy.failed();
        StageEnd {
            failed: failed.iter().filter(|host| !self.unreachable.contains(host)).map(name).collect(),
            unreachable: failed.iter().filter(|host| self.unreachable.contains(host)).map(name).collect(),
            interrupted: self.interrupted,
            left_play: self.left_play,
        }
    }

    /// True when nothing is left to do.
    fn carry_out(&mut self, effects: Vec<Effect>) -> bool {
        for effect in effects {
            match effect {
                Effect::Run { task, hosts, handler, for_all } => {
                    let found = match handler {
                        Some(id) => self.play.handlers.read().ok().and_then(|handlers| handlers.get(id).cloned()),
                        None => self.tasks.get(task).cloned(),
                    };
                    if let Some(found) = found {
                        self.start(&found, &hosts, &for_all, handler.is_some());
                    }
                }
                Effect::Rescued { host } => {
                    let mut stats = locked(&self.run.stats);
                    let stats = stats.entry(self.hosts[host].clone()).or_default();
                    stats.rescued += 1;
                    stats.failed = stats.failed.saturating_sub(1);
                }
                Effect::HostFailed { host } => self.play.bury(&self.hosts[host]),
                Effect::Finished => return true,
            }
        }
        false
    }

    fn start(&mut self, task: &Arc<Task>, hosts: &[Host], for_all: &[Host], is_handler: bool) {
        let id = self.run.next_task_id();
        let is_passed_over = self.is_before_start(task);
        if !is_passed_over {
            self.announce(id, task, hosts, is_handler);
        }
        let waiting = hosts.iter().copied().collect();
        self.open
            .insert(id, Open { task: task.clone(), waiting, for_all: for_all.to_vec(), includes: Vec::new(), ended: Vec::new() });
        for host in hosts {
            let work = Work {
                run: self.run.clone(),
                play: self.play.clone(),
                host: self.hosts[*host].clone(),
                task: task.clone(),
                id,
                for_all: for_all.iter().map(|host| self.hosts[*host].clone()).collect(),
                is_passed_over,
            };
            let (results, host) = (self.results.clone(), *host);
            tokio::spawn(async move {
                let finished = work.perform().await;
                // The stage is gone only when the run was stopped for good.
                let _ = results.send((host, finished));
            });
        }
    }

    /// `--start-at-task`: everything before the named task is passed over.
    fn is_before_start(&self, task: &Task) -> bool {
        let mut wanted = locked(&self.play.start_at);
        let Some(name) = wanted.as_deref() else { return false };
        let own = task.name().map(|name| name.to_text().to_string()).unwrap_or_default();
        let title = task.title();
        let is_it = [own.as_str(), title.as_str()].iter().any(|one| *one == name || glob(name, one));
        if is_it {
            *wanted = None;
        }
        !is_it
    }

    fn announce(&mut self, id: u64, task: &Task, hosts: &[Host], is_handler: bool) {
        let Some(first) = hosts.first().map(|host| self.hosts[*host].as_str()) else { return };
        if task.module() == "meta" {
            return;
        }
        let shown = super::work::shown_task(&self.run, &self.play, first, task, id);
        self.run.emitter.emit(&if is_handler {
            Event::HandlerStarted { task: shown }
        } else {
            Event::TaskStarted { task: shown }
        });
    }

    fn finished(&mut self, host: Host, finished: Finished) -> Vec<Effect> {
        let mut effects = Vec::new();
        for name in &finished.notify {
            effects.extend(self.notify(host, name, &finished));
        }
        if finished.ended == Ended::Unreachable {
            self.unreachable.insert(host);
        }
        if finished.ended == Ended::LeavePlay {
            self.left_play = true;
        }
        let Some(open) = self.open.get_mut(&finished.id) else { return effects };
        open.waiting.remove(&host);
        // A host of an include has to wait: what is added goes in before anybody moves on.
        if matches!(open.task.module(), "include_tasks" | "include_role") {
            open.includes.extend(finished.includes.into_iter().map(|include| (host, include)));
            open.ended.push((host, finished.ended));
        } else {
            effects.extend(self.strategy.on(Input::Ended { host, ended: finished.ended }));
        }
        if open.waiting.is_empty() {
            effects.extend(self.close(finished.id));
        }
        effects
    }

    fn close(&mut self, id: u64) -> Vec<Effect> {
        let Some(mut open) = self.open.remove(&id) else { return Vec::new() };
        let mut effects = Vec::new();
        open.includes.sort_by_key(|(host, _)| *host);
        let mut ended: Vec<(Host, Ended)> = std::mem::take(&mut open.ended);
        for (group, mut hosts) in include::grouped(std::mem::take(&mut open.includes)) {
            let first = hosts.first().copied().unwrap_or_default();
            hosts.extend(open.for_all.iter().copied());
            let names: Vec<String> = hosts.iter().map(|host| self.hosts[*host].clone()).collect();
            match include::read(&self.run, &self.play, &open.task, &group) {
                Ok(program) => {
                    self.run.emitter.emit(&Event::Included { what: group.shown(), hosts: names });
                    let program = program.behind(self.tasks.len(), self.strategy.block_count(), self.strategy.home(first));
                    self.tasks.extend(program.tasks);
                    effects.extend(self.strategy.on(Input::Included {
                        hosts: hosts.into_iter().collect(),
                        steps: program.steps,
                        blocks: program.blocks,
                    }));
                }
                Err(problems) => {
                    for (host, name) in hosts.iter().zip(&names) {
                        include::report(&self.run, name, id, &problems);
                        self.run.count(name, Outcome::Failed);
                        ended.retain(|(ended, _)| ended != host);
                        ended.push((*host, Ended::Failed));
                    }
                }
            }
        }
        ended.sort_by_key(|(host, _)| *host);
        ended.dedup_by_key(|(host, _)| *host);
        for (host, ended) in ended {
            effects.extend(self.strategy.on(Input::Ended { host, ended }));
        }
        effects
    }

    /// Every handler of that name, the last one defined, and every handler that listens to it.
    fn notify(&mut self, host: Host, name: &str, finished: &Finished) -> Vec<Effect> {
        let handlers = self.play.handlers.read().map(|handlers| handlers.clone()).unwrap_or_default();
        let named = handlers.iter().rposition(|handler| is_called(handler, name));
        let listening = handlers.iter().enumerate().filter(|(_, handler)| listens(handler, name)).map(|(id, _)| id);
        let found: BTreeSet<usize> = named.into_iter().chain(listening).collect();
        if found.is_empty() {
            let title = format!("no handler is called `{name}`, and none listens to it");
            let names =
                handlers.iter().filter_map(|handler| handler.name()).map(|name| name.to_text().to_string()).collect::<Vec<_>>();
            let mut diagnostic =
                crate::diag::Diagnostic::error("unknown-handler", title).at(finished.notify_span, "notified here");
            if let Some(near) = crate::diag::closest(name, names.iter().map(String::as_str)) {
                diagnostic = diagnostic.patch(finished.notify_span, near, "a handler with a similar name exists");
            }
            self.run.warn(diagnostic);
        }
        let hosts: Vec<Host> =
            [host].into_iter().chain(self.open.get(&finished.id).map(|open| open.for_all.clone()).unwrap_or_default()).collect();
        let mut effects = Vec::new();
        for handler in found {
            for host in &hosts {
                effects.extend(self.strategy.on(Input::Notified { host: *host, handler }));
            }
        }
        effects
    }
}

fn is_called(handler: &Task, name: &str) -> bool {
    let own = handler.name().map(|name| name.to_text().to_string());
    own.as_deref() == Some(name) || (own.is_some() && handler.title() == name)
}

fn listens(handler: &Task, topic: &str) -> bool {
    handler.own("listen").is_some_and(|written| crate::playbook::task::texts(&written.value).iter().any(|one| one == topic))
}

/// `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
