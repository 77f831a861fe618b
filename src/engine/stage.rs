//! The loop of one batch: the strategy's effects out, what came of them in.

use super::frame::Frame;
use super::include::{self, Include};
use super::operator::{self, Step};
use super::plays::PlayRun;
use super::work::{Finished, MetaEnd, Work};
use super::{Gathering, Run, Signal, locked};
use crate::actions::Meta;
use crate::diag::Diagnostic;
use crate::event::{Event, Outcome};
use crate::playbook::{Program, StepKind, Task};
use crate::strategy::{Effect, Ended, Host, Input, StepId, Strategy};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc;

/// One batch of a play on its way through a program.
pub(crate) struct Stage {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    hosts: Vec<String>,
    tasks: Vec<Arc<Task>>,
    strategy: Strategy,
    is_linear: bool,
    /// Steps whose hosts have not all answered yet, by the number of their task in the output.
    open: BTreeMap<u64, Open>,
    /// The number of each step in the output, and those that have their heading.
    numbers: BTreeMap<StepId, u64>,
    announced: BTreeSet<u64>,
    /// `--step`: what was answered for each step.
    declined: BTreeMap<StepId, bool>,
    unreachable: BTreeSet<Host>,
    /// Failed, and then cleared of it for the plays to come.
    forgiven: BTreeSet<Host>,
    interrupted: bool,
    /// Something is wrong with the playbook itself.
    is_broken: bool,
    left_play: bool,
    results: mpsc::UnboundedSender<(Host, Finished)>,
    inbox: mpsc::UnboundedReceiver<(Host, Finished)>,
}

/// Hosts that are at one step together.
struct Open {
    task: Arc<Task>,
    waiting: BTreeSet<Host>,
    /// More hosts will be started on it.
    more: bool,
    for_all: Vec<Host>,
    includes: Vec<(Host, Include)>,
    metas: Vec<(Host, MetaEnd)>,
    ended: Vec<(Host, Ended)>,
}

/// What the strategy wants started.
struct Starting {
    hosts: Vec<Host>,
    for_all: Vec<Host>,
    more: bool,
    is_handler: bool,
}

impl Open {
    fn new(task: &Arc<Task>) -> Open {
        Open {
            task: task.clone(),
            waiting: BTreeSet::new(),
            more: false,
            for_all: Vec::new(),
            includes: Vec::new(),
            metas: Vec::new(),
            ended: Vec::new(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct StageEnd {
    pub(crate) failed: Vec<String>,
    pub(crate) unreachable: Vec<String>,
    pub(crate) interrupted: bool,
    pub(crate) is_broken: bool,
    pub(crate) left_play: bool,
}

impl Stage {
    pub(crate) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, hosts: &[String], program: Program) -> Stage {
        play.set_batch(hosts);
        let rules = play.rules(run);
        let is_linear = rules.linear;
        let mut program = program;
        settle_switches(run, play, hosts, &mut program, is_linear);
        let mut strategy = Strategy::new(&program, hosts.len(), rules);
        hosts.iter().for_each(|host| run.recall_facts(host));
        if run.options.gathering == Gathering::Smart && program.tasks.first().is_some_and(|task| is_gathering(play, task)) {
            strategy.restrict(0, &run.without_facts(hosts));
        }
        throttle(run, play, hosts, &program, 0, &mut strategy);
        let (results, inbox) = mpsc::unbounded_channel();
        Stage {
            run: run.clone(),
            play: play.clone(),
            hosts: hosts.to_vec(),
            tasks: program.tasks,
            strategy,
            is_linear,
            open: BTreeMap::new(),
            numbers: BTreeMap::new(),
            announced: BTreeSet::new(),
            declined: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            forgiven: BTreeSet::new(),
            interrupted: false,
            is_broken: false,
            left_play: false,
            results,
            inbox,
        }
    }

    /// Until the strategy has nothing left.
    pub(crate) async fn drive(mut self, signals: &mut mpsc::Receiver<Signal>) -> StageEnd {
        let mut effects = self.strategy.on(Input::Start);
        loop {
            if self.carry_out(effects, signals).await {
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
        let mut failed = self.strategy.failed();
        failed.retain(|host| !self.forgiven.contains(host));
        StageEnd {
            failed: failed.iter().filter(|host| !self.unreachable.contains(host)).map(name).collect(),
            unreachable: failed.iter().filter(|host| self.unreachable.contains(host)).map(name).collect(),
            interrupted: self.interrupted,
            is_broken: self.is_broken,
            left_play: self.left_play,
        }
    }

    /// True when nothing is left to do.
    async fn carry_out(&mut self, effects: Vec<Effect>, signals: &mut mpsc::Receiver<Signal>) -> bool {
        for effect in effects {
            match effect {
                Effect::Run { step, task, hosts, handler, for_all, more } => {
                    let found = match handler {
                        Some(id) => self.play.handlers.read().ok().and_then(|handlers| handlers.get(id).cloned()),
                        None => self.tasks.get(task).cloned(),
                    };
                    let Some(found) = found else { continue };
                    let starting = Starting { hosts, for_all, more, is_handler: handler.is_some() };
                    let is_declined = self.is_declined(step, &found, &starting, signals).await;
                    self.start(step, &found, &starting, is_declined);
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

    /// `--step`: whether the operator does not want the task. Each task is asked about once.
    async fn is_declined(
        &mut self,
        step: StepId,
        task: &Arc<Task>,
        starting: &Starting,
        signals: &mut mpsc::Receiver<Signal>,
    ) -> bool {
        if let Some(declined) = self.declined.get(&step) {
            return *declined;
        }
        let Some(first) = starting.hosts.first().filter(|_| self.run.asks_each_step() && task.module() != "meta") else {
            return false;
        };
        let name = super::work::shown_task(&self.run, &self.play, &self.hosts[*first], task, 0).name;
        self.run.emitter.emit(&Event::Asked { question: format!("Perform task: TASK: {name} (N)o/(y)es/(c)ontinue: ") });
        let answer = tokio::select! {
            answer = operator::line(true) => Step::of(&answer.unwrap_or_default()),
            _ = signals.recv() => {
                self.interrupted = true;
                // What it answers is nothing to start, which is not new.
                self.strategy.on(Input::Stop);
                Step::PassOver
            }
        };
        if answer == Step::RunAll {
            self.run.ask_no_more();
        }
        self.declined.insert(step, answer == Step::PassOver);
        answer == Step::PassOver
    }

    fn start(&mut self, step: StepId, task: &Arc<Task>, starting: &Starting, is_declined: bool) {
        let is_passed_over = self.is_before_start(task) || is_declined;
        let is_repeated =
            |host: &Host| !task.is_handler && !starting.is_handler && self.play.is_repeated(&self.hosts[*host], task);
        let repeated: Vec<Host> = starting.hosts.iter().copied().filter(is_repeated).collect();
        let id = *self.numbers.entry(step).or_insert_with(|| self.run.next_task_id());
        // Each host that carries out a `meta` has a heading of its own, at its end.
        let is_shown = !is_passed_over && repeated.len() < starting.hosts.len() && task.module() != "meta";
        if is_shown && self.announced.insert(id) {
            if starting.is_handler {
                self.say_notified(task, &starting.hosts);
            }
            self.announce(id, task, &starting.hosts, starting.is_handler);
        }
        let open = self.open.entry(id).or_insert_with(|| Open::new(task));
        open.waiting.extend(&starting.hosts);
        let for_all: &[Host] = if says(task, "run_once") { &starting.for_all } else { &[] };
        open.for_all.extend(for_all);
        open.more = starting.more;
        for host in &starting.hosts {
            let work = Work {
                run: self.run.clone(),
                play: self.play.clone(),
                host: self.hosts[*host].clone(),
                task: task.clone(),
                id,
                for_all: for_all.iter().map(|host| self.hosts[*host].clone()).collect(),
                is_passed_over: is_passed_over || repeated.contains(host),
                is_idle_loop: AtomicBool::default(),
            };
            let (results, host) = (self.results.clone(), *host);
            tokio::spawn(async move {
                let finished = work.perform().await;
                // The stage is gone only when the run was stopped for good.
                let _ = results.send((host, finished));
            });
        }
    }

    /// `--start-at-task`: everything before the named task is passed over, but for the facts that a play gathers by itself.
    fn is_before_start(&self, task: &Task) -> bool {
        if task.module() == "setup" && task.span == self.play.play.span {
            return false;
        }
        let mut wanted = locked(&self.run.start_at);
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
        let shown = super::work::shown_task(&self.run, &self.play, first, task, id);
        self.run.emitter.emit(&if is_handler || task.is_handler {
            Event::HandlerStarted { task: shown }
        } else {
            Event::TaskStarted { task: shown }
        });
    }

    fn say_notified(&self, task: &Task, hosts: &[Host]) {
        let name = task.name().map(|name| name.to_text().to_string()).unwrap_or_else(|| task.title());
        for host in hosts {
            let line = format!("NOTIFIED HANDLER {name} for {}", self.hosts[*host]);
            self.run.emitter.emit(&Event::Noted { line });
        }
    }

    fn finished(&mut self, host: Host, finished: Finished) -> Vec<Effect> {
        let mut effects = Vec::new();
        for name in &finished.notify {
            effects.extend(self.notify(host, name, &finished));
        }
        if finished.ended == Ended::Unreachable {
            self.unreachable.insert(host);
        }
        self.run.connections.take_warnings().into_iter().for_each(|warning| self.run.warn(warning));
        let finished = self.with_role(finished);
        let Some(open) = self.open.get_mut(&finished.id) else { return effects };
        open.waiting.remove(&host);
        open.metas.extend(finished.meta.map(|meta| (host, meta)));
        // A host of an include has to wait: what is added goes in before anybody moves on.
        if matches!(open.task.module(), "include_tasks" | "include_role") {
            open.includes.extend(finished.includes.into_iter().map(|include| (host, include)));
            open.ended.push((host, finished.ended));
            effects.extend(self.strategy.on(Input::Held { host }));
        } else {
            effects.extend(self.strategy.on(Input::Ended { host, ended: finished.ended }));
        }
        let is_over = self.open.get(&finished.id).is_some_and(|open| open.waiting.is_empty() && !open.more);
        if is_over {
            effects.extend(self.close(finished.id));
        }
        effects
    }

    /// Headings and results of a `meta`, in the order of the hosts.
    fn metas(&mut self, open: &mut Open) {
        open.metas.sort_by_key(|(host, _)| *host);
        for (host, meta) in std::mem::take(&mut open.metas) {
            let (id, name) = (self.run.next_task_id(), self.hosts[host].clone());
            if meta.word == Some(Meta::EndHost) {
                self.play.bury(&name);
            }
            let is_told = matches!(meta.outcome, Outcome::Skipped | Outcome::Failed | Outcome::Ignored);
            // Where hosts go their own ways, only what has something to tell gets a heading.
            if is_told || self.is_linear {
                let shown = super::work::shown_task(&self.run, &self.play, &name, &open.task, id);
                self.run.emitter.emit(&Event::TaskStarted { task: shown });
            }
            self.run.emitter.emit(&Event::MetaRan { what: meta.said, host: Some(name.clone()) });
            if is_told {
                self.run.emitter.emit(&Event::HostEnded { host: name, task: id, outcome: meta.outcome, result: meta.result });
            }
            match meta.word {
                Some(Meta::EndPlay) => self.left_play = true,
                Some(Meta::ClearHostErrors) => {
                    self.forgiven.extend(self.strategy.failed());
                    locked(&self.run.dead).clear();
                }
                _ => {}
            }
        }
    }

    fn close(&mut self, id: u64) -> Vec<Effect> {
        let Some(mut open) = self.open.remove(&id) else { return Vec::new() };
        self.metas(&mut open);
        let mut effects = Vec::new();
        open.includes.sort_by_key(|(host, _)| *host);
        let mut ended: Vec<(Host, Ended)> = std::mem::take(&mut open.ended);
        for (group, mut hosts) in include::grouped(std::mem::take(&mut open.includes)) {
            let first = hosts.first().copied().unwrap_or_default();
            hosts.extend(open.for_all.iter().copied());
            let names: Vec<String> = hosts.iter().map(|host| self.hosts[*host].clone()).collect();
            let known = self.handlers().len();
            match include::read(&self.run, &self.play, &open.task, &group) {
                Ok(mut program) => {
                    effects.extend(self.supersede(known, first));
                    settle_switches(&self.run, &self.play, &names, &mut program, self.is_linear);
                    throttle(&self.run, &self.play, &names, &program, self.tasks.len(), &mut self.strategy);
                    names.iter().for_each(|name| self.run.count(name, Outcome::Ok));
                    self.run.emitter.emit(&Event::Included { what: group.shown(), hosts: names, label: group.label.clone() });
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

    /// `meta: end_role` ends what is left of the role that it stands in.
    fn with_role(&self, finished: Finished) -> Finished {
        let is_end = finished.meta.as_ref().is_some_and(|meta| meta.word == Some(Meta::EndRole));
        let role = self.open.get(&finished.id).filter(|_| is_end).and_then(|open| open.task.context.role().cloned());
        let Some(role) = role else { return finished };
        let is_its = |task: &Task| task.context.role().is_some_and(|other| Arc::ptr_eq(other, &role));
        let tasks = self.tasks.iter().enumerate().filter(|(_, task)| is_its(task)).map(|(id, _)| id).collect();
        Finished { ended: Ended::Skip { tasks }, ..finished }
    }

    fn handlers(&self) -> Vec<Arc<Task>> {
        self.play.handlers.read().map(|handlers| handlers.clone()).unwrap_or_default()
    }

    /// Handlers behind the `known` ones have come: of those with the names of others, they are the ones that run.
    fn supersede(&mut self, known: usize, host: Host) -> Vec<Effect> {
        let handlers = self.handlers();
        let mut effects = Vec::new();
        if handlers.len() == known {
            return effects;
        }
        for old in self.strategy.notified().filter(|id| *id < known).collect::<Vec<_>>() {
            let Some(name) = self.name_of(host, &handlers[old]) else { continue };
            let new = last_called(&handlers, |handler| self.is_called(host, handler, &name.to_text()));
            if let Some(new) = new.filter(|new| *new >= known) {
                effects.extend(self.strategy.on(Input::Superseded { old, new }));
            }
        }
        effects
    }

    /// Every handler of that name, the last one defined, and every handler that listens to it.
    fn notify(&mut self, host: Host, name: &str, finished: &Finished) -> Vec<Effect> {
        let handlers = self.handlers();
        let named = last_called(&handlers, |handler| self.is_called(host, handler, name));
        // A role that is used twice brings each of its handlers twice.
        let is_same = |one: &Task, other: &Task| one.file == other.file && one.head.start == other.head.start;
        let is_last = |id: usize| !handlers[id + 1..].iter().any(|other| is_same(other, &handlers[id]));
        let listening = (0..handlers.len()).filter(|id| listens(&handlers[*id], name) && is_last(*id));
        let found: BTreeSet<usize> = named.into_iter().chain(listening).collect();
        if found.is_empty() {
            self.miss_handler(name, &handlers, finished);
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

impl Stage {
    /// Whether this is the handler's name, with the role in front of it or without.
    fn is_called(&self, host: Host, handler: &Task, name: &str) -> bool {
        self.name_of(host, handler).is_some_and(|own| own.to_text().as_str() == name || handler.titled(&own.to_text()) == name)
    }

    fn name_of(&self, host: Host, handler: &Task) -> Option<Value> {
        let written = handler.name()?;
        if !written.has_template() {
            return Some(written.clone());
        }
        let host = self.hosts.get(host)?;
        let view = super::frame::view(&self.run, &self.play, host, handler);
        Frame::new(&self.run, &self.play, host, view).render(written).ok()
    }

    /// A handler that nobody has defined ends the run, as in Ansible, unless the configuration forgives it.
    fn miss_handler(&mut self, name: &str, handlers: &[Arc<Task>], finished: &Finished) {
        let title = format!(
            "The requested handler '{name}' was not found in either the main handlers list nor in the listening handlers list"
        );
        let is_forgiven = self.run.options.forgives_missing_handlers;
        let make: fn(&str, String) -> Diagnostic = if is_forgiven { Diagnostic::warning } else { Diagnostic::error };
        let mut diagnostic = make("unknown-handler", title).at(finished.notify_span, "notified here");
        let names: Vec<String> =
            handlers.iter().filter_map(|handler| handler.name()).map(|name| name.to_text().to_string()).collect();
        if let Some(near) = crate::diag::closest(name, names.iter().map(String::as_str)) {
            diagnostic = diagnostic.patch(finished.notify_span, near, "a handler with a similar name exists");
        }
        self.run.warn(diagnostic);
        if !is_forgiven {
            self.is_broken = true;
            self.strategy.on(Input::Stop);
        }
    }
}

/// Whether a keyword says yes; what is a template counts as yes, because nothing else has brought us here.
fn says(task: &Task, keyword: &str) -> bool {
    task.keyword(keyword).is_some_and(|written| written.value.to_bool().unwrap_or(written.value.has_template()))
}

/// Where each host goes its own way, none can do a task for the others.
fn warn_of_once(run: &Run, task: &Task) {
    let Some(written) = task.keyword("run_once") else { return };
    let title = "Using run_once with the free strategy is not currently supported. This task will still be executed for every host in \
                 the inventory list.";
    run.warn(Diagnostic::warning("once-for-each", title).at(written.span, "runs on every host"));
}

/// What a template decides about whole steps is decided with the variables of the first host.
fn settle_switches(run: &Run, play: &PlayRun, hosts: &[String], program: &mut Program, is_linear: bool) {
    let Some(first) = hosts.first() else { return };
    for step in &mut program.steps {
        let StepKind::Task { task, once, fatal } = &mut step.kind else { continue };
        let Some(task) = program.tasks.get(*task) else { continue };
        for (switch, keyword) in [(&mut *once, "run_once"), (fatal, "any_errors_fatal")] {
            let written = task.keyword(keyword);
            if written.is_none() && keyword == "any_errors_fatal" {
                *switch = run.options.any_errors_fatal;
            }
            let Some(written) = written.filter(|written| written.value.has_template()) else { continue };
            let frame = Frame::new(run, play, first, super::frame::view(run, play, first, task));
            *switch = frame.render(&written.value).ok().and_then(|value| value.to_bool()).unwrap_or(*switch);
        }
        if *once && !is_linear && !task.is_for_all() {
            *once = false;
            warn_of_once(run, task);
        }
    }
}

/// Tells the strategy how many hosts may be at each of the tasks, which are numbered from `first_id` on.
fn throttle(run: &Run, play: &PlayRun, hosts: &[String], program: &Program, first_id: usize, strategy: &mut Strategy) {
    let Some(host) = hosts.first() else { return };
    for (id, task) in program.tasks.iter().enumerate() {
        let Some(written) = task.keyword("throttle") else { continue };
        let frame = Frame::new(run, play, host, super::frame::view(run, play, host, task));
        let limit =
            frame.render(&written.value).ok().and_then(|value| value.to_int()).and_then(|limit| usize::try_from(limit).ok());
        if let Some(limit) = limit.filter(|limit| *limit > 0) {
            strategy.throttle(first_id + id, limit);
        }
    }
}

/// Whether it is the play's own: that one is written nowhere but in the play itself.
fn is_gathering(play: &PlayRun, task: &Task) -> bool {
    task.span == play.play.span && task.module() == "setup"
}

/// Of several handlers with one name the one counts that was read last; within one role, or within the play, the first.
fn last_called(handlers: &[Arc<Task>], is_called: impl Fn(&Task) -> bool) -> Option<usize> {
    let role = |task: &Task| (task.context.role().map(Arc::as_ptr), task.context.role_uses().next().map(Arc::as_ptr));
    let mut end = handlers.len();
    for group in handlers.chunk_by(|one, other| role(one) == role(other)).rev() {
        end -= group.len();
        if let Some(at) = group.iter().position(|handler| is_called(handler)) {
            return Some(end + at);
        }
    }
    None
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
