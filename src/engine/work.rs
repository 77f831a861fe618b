//! One task on one host: conditions, loop, tries, result.

use super::Run;
use super::frame::Frame;
use super::hands::TaskHands;
use super::include::{Include, What};
use super::plays::PlayRun;
use super::results::{Delegate, Verdict};
use super::said;
use crate::actions::{self, Answer, Effect, Meta, Problem};
use crate::event::{self, Event, Outcome};
use crate::modules::{self, Args, Failure, Module, Set};
use crate::playbook::task::texts;
use crate::playbook::{ActionKind, Task};
use crate::strategy::Ended;
use crate::value::{Key, Map, Span, Value};
use crate::vars::View;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// What a job needs to carry one task out.
pub(crate) struct Work {
    pub(crate) run: Arc<Run>,
    pub(crate) play: Arc<PlayRun>,
    pub(crate) host: String,
    pub(crate) task: Arc<Task>,
    pub(crate) id: u64,
    /// `run_once`: the others that get the result.
    pub(crate) for_all: Vec<String>,
    /// `--start-at-task`: not yet.
    pub(crate) is_passed_over: bool,
    /// No item of its loop has changed anything so far.
    pub(crate) is_idle_loop: AtomicBool,
}

/// What the strategy and the stage learn of it.
pub(crate) struct Finished {
    pub(crate) id: u64,
    pub(crate) ended: Ended,
    pub(crate) notify: Vec<String>,
    pub(crate) notify_span: Span,
    pub(crate) includes: Vec<Include>,
    /// What `meta` came to: it has a heading for each host, which only the stage can keep in order.
    pub(crate) meta: Option<MetaEnd>,
}

/// How long a task may take.
struct Limit {
    seconds: u64,
}

impl Limit {
    fn failure(&self, action: &str) -> Failure {
        let seconds = self.seconds;
        let timed_out = Map::from_iter([("period".into(), Value::from(i64::try_from(seconds).unwrap_or(i64::MAX)))]);
        let msg = format!("The {action} action failed to execute in the expected time frame ({seconds}) and was terminated");
        Failure::new(msg).with("timedout", Value::map(timed_out))
    }
}

pub(crate) struct MetaEnd {
    pub(crate) outcome: Outcome,
    pub(crate) result: Map,
    /// What was carried out; nothing where it was skipped.
    pub(crate) word: Option<Meta>,
    /// In Ansible's words; shown to who wants to know more.
    pub(crate) said: String,
}

/// What one try, one item, one task gives.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) verdict: Verdict,
    pub(super) effects: Vec<Effected>,
    pub(super) notify: bool,
}

/// An effect of one item of a loop.
pub(super) struct Effected {
    pub(super) effect: Effect,
    /// The loop's variables.
    pub(super) params: Map,
    pub(super) label: Option<Value>,
}

/// What a host gets to end an overdue task and to say so.
const HOST_GRACE: Duration = Duration::from_secs(2);
const RETRIES_DEFAULT: i64 = 3;
/// Arguments that a variable stands in for where the task does not give them: module, argument, variable.
const VARIABLE_DEFAULTS: [(&str, &str, &str); 1] = [("package", "use", "ansible_package_use")];
const DELAY_DEFAULT: f64 = 5.0;

impl Work {
    pub(crate) async fn perform(self) -> Finished {
        if self.is_passed_over {
            return self.finished(Ended::Ok);
        }
        if !self.is_meta() {
            self.run.emitter.emit(&Event::HostStarted { host: self.host.clone(), task: self.id });
        }
        let view = self.view();
        let frame = Frame::new(&self.run, &self.play, &self.host, view).for_task(&self.task, &self.play);
        // What cannot be decided is not shown.
        let no_log =
            frame.keyword(&self.task, "no_log").map_or(true, |value| value.and_then(|value| value.to_bool()).unwrap_or(false));
        let tried = self.whole(&frame, no_log).await;
        let outcome = self.outcome(&frame, &tried.verdict);
        if outcome != Outcome::Skipped && !self.task.is_handler {
            self.play.mark_run(&self.host, &self.task);
        }
        let ended = self.conclude(&frame, &tried, outcome, no_log);
        let notify = if tried.notify { self.notified(&frame) } else { Vec::new() };
        let includes = tried.effects.iter().filter_map(include).collect();
        let meta = self.is_meta().then(|| self.meta_end(&tried, outcome, no_log));
        Finished { notify, includes, meta, notify_span: self.notify_span(), ..self.finished(ended) }
    }

    fn finished(&self, ended: Ended) -> Finished {
        Finished { id: self.id, ended, notify: Vec::new(), notify_span: Span::NOWHERE, includes: Vec::new(), meta: None }
    }

    fn meta_end(&self, tried: &Tried, outcome: Outcome, no_log: bool) -> MetaEnd {
        let word = meta_of(&tried.effects);
        let role = self.task.context.role().map(|role| role.name.clone()).unwrap_or_default();
        match self.meta_word().filter(|_| outcome == Outcome::Skipped) {
            Some(skipped) => {
                let said = skipped.passed_over(&self.host, &role);
                let msg = if skipped == Meta::EndHost {
                    format!("end_host conditional evaluated to false, continuing execution for {}", self.host)
                } else {
                    skipped.name().to_owned()
                };
                let result = Map::from_iter([("msg".into(), Value::from(msg)), ("skip_reason".into(), said.as_str().into())]);
                MetaEnd { outcome, result, word, said }
            }
            None => {
                let said = word.map(|word| word.said(&self.host, &role)).unwrap_or_default();
                MetaEnd { outcome, result: tried.verdict.shown(no_log), word, said }
            }
        }
    }

    /// What the `meta` asks for, as far as that is known before it runs.
    fn meta_word(&self) -> Option<Meta> {
        self.task.args.get("_raw_params").filter(|_| self.is_meta()).and_then(|word| Meta::of(&word.to_text()))
    }

    fn is_meta(&self) -> bool {
        self.task.module() == "meta"
    }

    pub(super) fn is_include(&self) -> bool {
        matches!(self.task.module(), "include_tasks" | "include_role")
    }

    pub(super) fn view(&self) -> View {
        super::frame::view(&self.run, &self.play, &self.host, &self.task)
    }

    fn says(&self, frame: &Frame<'_>, name: &str) -> bool {
        frame.keyword(&self.task, name).ok().flatten().and_then(|value| value.to_bool()).unwrap_or(false)
    }

    fn notify_span(&self) -> Span {
        self.task.keyword("notify").map_or(self.task.span, |written| written.span)
    }

    fn notified(&self, frame: &Frame<'_>) -> Vec<String> {
        let written = self.task.keyword("notify").and_then(|written| frame.render(&written.value).ok());
        written.map(|value| texts(&value)).unwrap_or_default()
    }

    /// The task with its loop, if it has one.
    async fn whole(&self, frame: &Frame<'_>, no_log: bool) -> Tried {
        if let Some(diagnostic) = self.play.files.problem_of(&self.host) {
            let failure = Failure::new(diagnostic.title.clone());
            return self.failed(Problem { failure, diagnostic: Some(diagnostic), is_unreachable: false });
        }
        let items = match self.items(frame) {
            Ok(items) => items,
            Err(problem) => {
                // A loop over what is not defined does not matter where the condition says no anyway.
                return match self.holds(frame) {
                    Ok(Some(skipped)) => Tried { verdict: skipped, ..Tried::default() },
                    Ok(None) | Err(_) => self.failed(problem),
                };
            }
        };
        match items {
            None => self.tries(frame, &Map::new(), no_log).await,
            Some(items) => self.each(frame, &items, no_log).await,
        }
    }

    /// `None` when the task may run.
    fn holds(&self, frame: &Frame<'_>) -> Result<Option<Verdict>, Problem> {
        if let Some(meta) = self.meta_word().filter(|meta| !meta.heeds_conditions()) {
            self.warn_of_condition(meta);
            return Ok(None);
        }
        for written in self.task.context.gathered("when") {
            if let Some(condition) = frame.conditions(&written.value, written.span)? {
                return Ok(Some(Verdict::skipped("Conditional result was False", Some(condition))));
            }
        }
        Ok(None)
    }

    fn warn_of_condition(&self, meta: Meta) {
        if let Some(when) = self.task.own("when") {
            let title = format!("`meta: {}` runs whatever its `when` says", meta.name());
            self.run.warn(crate::diag::Diagnostic::warning("condition-without-effect", title).at(when.span, "not looked at"));
        }
    }

    /// One item, as often as `until` wants.
    pub(super) async fn tries(&self, frame: &Frame<'_>, top: &Map, no_log: bool) -> Tried {
        match self.holds(frame) {
            Ok(None) => {}
            Ok(Some(skipped)) => return Tried { verdict: skipped, ..Tried::default() },
            Err(problem) => return self.failed(problem),
        }
        let delegated = self.delegated_vars(frame).map(|vars| frame.over(vars));
        let frame = delegated.as_ref().unwrap_or(frame);
        let until = self.task.own("until");
        let retries = match (self.number(frame, "retries"), until) {
            (Some(retries), _) => retries as i64,
            (None, Some(_)) => RETRIES_DEFAULT,
            (None, None) => 0,
        };
        let delay = self.number(frame, "delay").unwrap_or(DELAY_DEFAULT).clamp(0.0, 1.0e6);
        let mut attempt: i64 = 1;
        loop {
            let mut tried = self.once(frame, top, (retries > 0).then_some(attempt)).await;
            let is_met = match until {
                Some(until) => {
                    self.after(frame, &tried.verdict).conditions(&until.value, until.span).map(|holds| holds.is_none())
                }
                None => Ok(!tried.verdict.is("failed")),
            };
            let is_met = match is_met {
                Ok(is_met) => is_met || tried.verdict.is("skipped") || tried.verdict.is_unreachable,
                Err(problem) => return self.failed(problem),
            };
            if is_met || retries <= 0 {
                return tried;
            }
            if attempt > retries {
                tried.verdict.set("failed", true);
                tried.verdict.set("attempts", retries);
                return tried;
            }
            let left = u64::try_from(retries - attempt + 1).unwrap_or(0);
            self.run.emitter.emit(&Event::Retrying {
                host: self.host.clone(),
                task: self.id,
                left,
                result: tried.verdict.shown(no_log),
            });
            tokio::time::sleep(Duration::from_secs_f64(delay)).await;
            attempt += 1;
        }
    }

    /// `ansible_delegated_vars`: what the host that it is delegated to knows about itself.
    fn delegated_vars(&self, frame: &Frame<'_>) -> Option<Map> {
        let name = super::hands::delegate(self, frame).ok().flatten()?;
        let there =
            crate::playbook::scalar(&format!("{{{{ hostvars[{}] }}}}", Value::from(name.as_str()).to_json()), Span::NOWHERE);
        let vars = Value::pair(&name, there);
        Some(Map::from_iter([("ansible_delegated_vars".into(), vars)]))
    }

    fn number(&self, frame: &Frame<'_>, name: &str) -> Option<f64> {
        frame.render(&self.task.own(name)?.value).ok()?.to_float()
    }

    /// The scope in which `changed_when`, `failed_when` and `until` see the result.
    pub(super) fn after<'a>(&self, frame: &Frame<'a>, verdict: &Verdict) -> Frame<'a> {
        let mut top = Map::new();
        if let Some(name) = self.task.own("register") {
            top.insert(name.value.to_text().into(), Value::map(verdict.values.clone()));
        }
        frame.over(top)
    }

    async fn once(&self, frame: &Frame<'_>, top: &Map, attempt: Option<i64>) -> Tried {
        let tried = self.tried(frame, top, attempt).await;
        let delegate = super::hands::delegate(self, frame).unwrap_or_default();
        let delegate = delegate.map(|name| Delegate { address: frame.address_of(&name), name });
        Tried { verdict: Verdict { delegate, ..tried.verdict }, ..tried }
    }

    async fn tried(&self, frame: &Frame<'_>, top: &Map, attempt: Option<i64>) -> Tried {
        let answer = match (self.background(frame), self.limit(frame)) {
            (Some(background), _) => self.act_in_background(frame, &background).await,
            (None, Some(limit)) => self.act_within(frame, &limit).await,
            (None, None) => self.act(frame).await,
        };
        let mut tried = match answer {
            Ok(Answer { mut values, effect }) => {
                if let Some(is_new) = effect.as_ref().and_then(|effect| self.enrol(effect)) {
                    values.insert("changed".into(), is_new.into());
                }
                let effects = effect.map(|effect| Effected { effect, params: top.clone(), label: None }).into_iter().collect();
                Tried { verdict: Verdict::ok(values), effects, notify: false }
            }
            Err(problem) if problem.is_unreachable => {
                self.explain(&problem);
                return Tried { verdict: Verdict::unreachable(problem.failure.msg), ..Tried::default() };
            }
            Err(problem) => self.failed(problem),
        };
        if let Some(attempt) = attempt {
            tried.verdict.set("attempts", attempt);
        }
        self.judge(frame, &mut tried.verdict);
        if !tried.verdict.is("failed")
            && let Some(facts) = tried.verdict.values.get("ansible_facts").and_then(Value::as_map)
            && tried.effects.is_empty()
            && self.task.module() != "debug"
        {
            self.keep_facts(frame, facts);
        }
        tried.notify = tried.verdict.is("changed") && !tried.verdict.is("failed");
        tried
    }

    /// The host ends what takes too long, so that nothing is left running; only where it does not answer is it left behind.
    async fn act_within(&self, frame: &Frame<'_>, limit: &Limit) -> Result<Answer, Problem> {
        let (time, started) = (Duration::from_secs(limit.seconds), Instant::now());
        match tokio::time::timeout(time + HOST_GRACE, self.act(frame)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(problem)) if problem.is_unreachable || started.elapsed() < time => Err(problem),
            Ok(Err(_)) | Err(_) => Err(limit.failure(self.task.action.name.as_str()).into()),
        }
    }

    pub(crate) fn seconds_max(&self, frame: &Frame<'_>) -> Option<u64> {
        self.limit(frame).map(|limit| limit.seconds)
    }

    fn limit(&self, frame: &Frame<'_>) -> Option<Limit> {
        let seconds = |name: &str| {
            let written = self.task.keyword(name)?;
            u64::try_from(frame.render(&written.value).ok()?.to_int()?).ok().filter(|seconds| *seconds > 0)
        };
        let timeout = seconds("timeout").or(self.run.options.task_timeout);
        [timeout, seconds("async")].into_iter().flatten().min().map(|seconds| Limit { seconds })
    }

    /// `changed_when` and `failed_when` have the last word.
    fn judge(&self, frame: &Frame<'_>, verdict: &mut Verdict) {
        if verdict.is("skipped") {
            return;
        }
        if let Some(written) = self.task.own("changed_when") {
            match self.after(frame, verdict).conditions(&written.value, written.span) {
                Ok(failed) => verdict.set("changed", failed.is_none()),
                Err(problem) => self.misjudged(verdict, "changed_when_result", &problem),
            }
        }
        if let Some(written) = self.task.own("failed_when") {
            match self.after(frame, verdict).conditions(&written.value, written.span) {
                Ok(failed) => {
                    verdict.set("failed_when_result", failed.is_none());
                    verdict.set("failed", failed.is_none());
                }
                Err(problem) => self.misjudged(verdict, "failed_when_result", &problem),
            }
        }
    }

    /// A condition that cannot be evaluated fails the task; what it did stays.
    fn misjudged(&self, verdict: &mut Verdict, name: &str, problem: &Problem) {
        self.explain(problem);
        verdict.set(name, problem.failure.msg.as_str());
        verdict.set("failed", true);
    }

    pub(super) fn failed(&self, problem: Problem) -> Tried {
        self.explain(&problem);
        Tried { verdict: Verdict::failed(problem.failure), ..Tried::default() }
    }

    fn explain(&self, problem: &Problem) {
        if let Some(diagnostic) = &problem.diagnostic {
            self.run.emitter.emit(&Event::Explained { host: self.host.clone(), diagnostic: (**diagnostic).clone() });
        }
    }

    /// Renders the arguments and lets the module, or its control-side half, do it.
    async fn act(&self, frame: &Frame<'_>) -> Result<Answer, Problem> {
        let (module, args) = self.prepared(frame)?;
        let hands = TaskHands::new(self, frame)?;
        if module.name == "user" && args.get("state").is_some_and(|state| state.as_str() == Some("absent")) {
            // An account that became a task's user is in use as long as its host program runs.
            hands.part().await;
        }
        if actions::is_action(module.name) {
            let checked = Args::check(module, &args).map_err(|problems| bad_arguments(module, &problems))?;
            return actions::run(module, &checked, &hands).await;
        }
        actions::Hands::module(&hands, module.name, args, actions::Bodies::default()).await.map(Answer::of)
    }

    pub(super) fn prepared(&self, frame: &Frame<'_>) -> Result<(&'static Module, Map), Problem> {
        let module = match self.task.action.kind {
            ActionKind::Module(module) => module,
            ActionKind::Dynamic => {
                let name = frame.render(&crate::playbook::scalar(&self.task.action.name, self.task.action.span))?.to_text();
                modules::find(&name).ok_or_else(|| Problem::new(format!("there is no module `{name}`")))?
            }
        };
        let mut args = self.defaults(frame, module)?;
        for (_, argument, variable) in VARIABLE_DEFAULTS.iter().filter(|(name, ..)| *name == module.name) {
            if let Some(value) = frame.text(variable)? {
                args.entry((*argument).into()).or_insert(Value::String(value));
            }
        }
        // `var` of debug and conditions of assert are expressions, rendered by their action.
        let raw: &[&str] = match module.name {
            "debug" => &["var"],
            "assert" => &["that"],
            "include_tasks" | "include_role" => &["apply"],
            _ => &[],
        };
        for (key, value) in &self.task.args {
            let key = &if module.name == "set_fact" { rendered_key(frame, key)? } else { key.clone() };
            if key.as_str().is_some_and(|name| raw.contains(&name)) {
                args.insert(key.clone(), value.clone());
                continue;
            }
            let rendered = frame.argument(value).map_err(said::in_argument)?;
            match rendered {
                Some(Value::Map(map)) if key.as_str() == Some(crate::playbook::WHOLE) => {
                    args.extend(map.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                Some(other) if key.as_str() == Some(crate::playbook::WHOLE) => {
                    let msg = match other.as_str() {
                        Some(text) => format!("invalid or malformed argument: '{text}'"),
                        None => format!("`{}` takes a mapping of arguments, not a {}", module.name, other.kind()),
                    };
                    return Err(Problem::new(msg));
                }
                Some(rendered) => drop(args.insert(key.clone(), rendered)),
                None => drop(args.shift_remove(key)),
            }
        }
        // One that the common host program does not have is called in its place, as far as it is known already.
        match self.handed_to(frame, module)?.filter(|behind| module.name == "package" && Set::with(behind.name) == Set::Rare) {
            Some(behind) => {
                args.shift_remove("use");
                Ok((behind, args))
            }
            None => Ok((module, args)),
        }
    }

    /// `module_defaults`: of a module counts what is said last, under whatever name; it goes before what is said of its group.
    fn defaults(&self, frame: &Frame<'_>, module: &Module) -> Result<Map, Problem> {
        let says = |names: &[String], name: &str| names.iter().any(|known| known == name);
        let mut said = self.defaults_of(|name| module.is_in_group(name) || says(&self.task.own_groups, name));
        if let Some(behind) = self.handed_to(frame, module)? {
            said.extend(self.defaults_of(|name| behind.is_called(name)).pop());
        }
        said.extend(self.defaults_of(|name| module.is_called(name) || says(&self.task.own_names, name)).pop());
        let mut args = Map::new();
        for (_, defaults) in said {
            if let Some(defaults) = frame.render(defaults)?.as_map() {
                args.extend(defaults.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        Ok(args)
    }

    /// The module that does the work of `service` or `package` on this host, as far as its facts or the task tell.
    fn handed_to(&self, frame: &Frame<'_>, module: &Module) -> Result<Option<&'static Module>, Problem> {
        let Some(dispatch) = module.dispatches() else { return Ok(None) };
        let asked = self.task.args.get("use").map(|value| frame.argument(value)).transpose()?.flatten();
        let asked = asked.map(|value| value.to_text().to_string()).filter(|name| name != "auto");
        let name = match asked {
            Some(name) => Some(name),
            None => frame.text(dispatch.fact)?.map(|name| name.to_string()),
        };
        Ok(name.and_then(|name| modules::find(&name)).filter(|found| dispatch.to.contains(&found.name)))
    }

    /// What is said under each name that is meant; what is said last replaces what was said before, and is last.
    fn defaults_of(&self, is_meant: impl Fn(&str) -> bool) -> Vec<(&str, &Value)> {
        let written = self.task.context.gathered("module_defaults").into_iter().map(|written| &written.value);
        let maps = written.flat_map(|value| value.as_list().unwrap_or(std::slice::from_ref(value))).filter_map(Value::as_map);
        let mut said: Vec<(&str, &Value)> = Vec::new();
        for (name, defaults) in maps.flatten() {
            let Some(name) = name.as_str().filter(|name| is_meant(name)) else { continue };
            said.retain(|(known, _)| *known != name);
            said.push((name, defaults));
        }
        said
    }

    fn keep_facts(&self, frame: &Frame<'_>, facts: &Map) {
        let delegate = self.task.keyword("delegate_to").filter(|_| self.says(frame, "delegate_facts"));
        let delegate = delegate.and_then(|written| frame.render(&written.value).ok()).map(|value| value.to_text().to_string());
        let is_gathering = matches!(self.task.module(), "setup" | "gather_facts");
        for host in self.everybody(delegate.as_deref()) {
            self.run.store.write().unwrap_or_else(PoisonError::into_inner).add_facts(host, facts);
            self.run.keep_facts(host);
            if is_gathering {
                super::locked(&self.run.gathered).insert(host.to_owned());
            }
        }
    }

    fn everybody<'a>(&'a self, instead: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let own = instead.is_none().then(|| [self.host.as_str()].into_iter().chain(self.for_all.iter().map(String::as_str)));
        own.into_iter().flatten().chain(instead)
    }

    fn outcome(&self, frame: &Frame<'_>, verdict: &Verdict) -> Outcome {
        // What an include names must be there.
        let may_ignore = verdict.is_unreachable || !self.is_include();
        verdict
            .outcome(may_ignore && self.says(frame, if verdict.is_unreachable { "ignore_unreachable" } else { "ignore_errors" }))
    }

    /// Registers, carries effects out, tells everybody, and answers what the strategy needs to know.
    fn conclude(&self, frame: &Frame<'_>, tried: &Tried, outcome: Outcome, no_log: bool) -> Ended {
        let verdict = &tried.verdict;
        if let Some(name) = self.task.own("register") {
            let mut store = self.run.store.write().unwrap_or_else(PoisonError::into_inner);
            for host in self.everybody(None) {
                store.set(host, &name.value.to_text(), Value::map(verdict.kept()));
            }
        }
        let mut ended = Ended::Ok;
        for effected in &tried.effects {
            if let Some(said) = self.carry_out(frame, &effected.effect) {
                ended = said;
            }
        }
        self.tell(verdict, outcome, no_log);
        match outcome {
            Outcome::Failed => {
                let mut store = self.run.store.write().unwrap_or_else(PoisonError::into_inner);
                store.set(&self.host, "ansible_failed_result", Value::map(verdict.values.clone()));
                store.set(&self.host, "ansible_failed_task", failed_task(&self.task));
                Ended::Failed
            }
            Outcome::Unreachable => Ended::Unreachable,
            Outcome::Ok | Outcome::Changed | Outcome::Skipped | Outcome::Ignored => ended,
        }
    }

    /// An include that goes well is told and counted when its tasks are added, and `meta` by the stage.
    fn tell(&self, verdict: &Verdict, outcome: Outcome, no_log: bool) {
        let is_added = self.is_include() && matches!(outcome, Outcome::Ok | Outcome::Changed);
        if is_added || self.is_meta() {
            return;
        }
        let result = verdict.shown(no_log);
        self.warn_of(&result);
        self.run.emitter.emit(&Event::HostEnded { host: self.host.clone(), task: self.id, outcome, result });
        self.run.count(&self.host, outcome);
        if outcome == Outcome::Ignored && verdict.is("changed") {
            self.run.count_changed(&self.host);
        }
    }

    /// What the module wants to be known besides its result.
    pub(super) fn warn_of(&self, result: &Map) {
        for warning in result.get("warnings").and_then(Value::as_list).unwrap_or_default() {
            self.run.warn(crate::diag::Diagnostic::warning("module-warning", warning.to_text().to_string()));
        }
    }

    pub(super) fn carry_out(&self, frame: &Frame<'_>, effect: &Effect) -> Option<Ended> {
        match effect {
            Effect::SetFacts { facts, cacheable } => {
                let delegate = self.task.keyword("delegate_to").filter(|_| self.says(frame, "delegate_facts"));
                let delegate =
                    delegate.and_then(|written| frame.render(&written.value).ok()).map(|value| value.to_text().to_string());
                let mut store = self.run.store.write().unwrap_or_else(PoisonError::into_inner);
                for host in self.everybody(delegate.as_deref()) {
                    facts.iter().for_each(|(name, value)| store.set(host, &name.to_string(), self.kept_fact(name, value)));
                    if *cacheable {
                        store.add_facts(host, facts);
                    }
                }
                drop(store);
                if *cacheable {
                    self.everybody(delegate.as_deref()).for_each(|host| self.run.keep_facts(host));
                }
            }
            Effect::IncludeVars(vars) => {
                self.run.emitter.hide(&Value::map(vars.clone()));
                let mut store = self.run.store.write().unwrap_or_else(PoisonError::into_inner);
                for host in self.everybody(None) {
                    store.include(host, vars.clone());
                }
            }
            Effect::Meta(meta) => return self.meta(*meta),
            Effect::Stats { data, per_host, aggregate } => {
                self.run.count_custom(per_host.then_some(&self.host), data, *aggregate);
            }
            // What changes the inventory is carried out before it is known whether it was a change.
            Effect::AddHost { .. } | Effect::GroupBy { .. } | Effect::IncludeTasks { .. } | Effect::IncludeRole { .. } => {}
        }
        None
    }

    /// What a template gave nothing for stays a template that gives nothing: conditions take that for empty text, too.
    fn kept_fact(&self, name: &Key, value: &Value) -> Value {
        let is_template = || matches!(name.as_str().and_then(|name| self.task.args.get(name)), Some(Value::Template(_)));
        if value.is_null() && is_template() { crate::playbook::scalar("{{ none }}", Span::NOWHERE) } else { value.clone() }
    }

    fn meta(&self, meta: Meta) -> Option<Ended> {
        match meta {
            Meta::FlushHandlers => Some(Ended::Flush),
            Meta::EndPlay | Meta::EndBatch => Some(Ended::LeaveAll),
            Meta::EndHost => Some(Ended::LeaveHost),
            Meta::ClearFacts => {
                // One host does it for all of them.
                self.play.hosts.iter().for_each(|host| self.run.clear_facts(host));
                None
            }
            // The stage knows which tasks are left of the role.
            Meta::RefreshInventory => {
                self.run.refresh_inventory();
                None
            }
            Meta::EndRole | Meta::ResetConnection | Meta::Noop => None,
            Meta::ClearHostErrors => Some(Ended::Forgive),
        }
    }
}

fn meta_of(effects: &[Effected]) -> Option<Meta> {
    effects.iter().find_map(|effected| if let Effect::Meta(meta) = effected.effect { Some(meta) } else { None })
}

fn include(effected: &Effected) -> Option<Include> {
    let (params, label) = (effected.params.clone(), effected.label.clone());
    match &effected.effect {
        Effect::IncludeTasks { path, apply } => {
            Some(Include { what: What::Tasks(path.clone()), apply: apply.clone(), params, label })
        }
        Effect::IncludeRole { name, parts, apply, public } => {
            let what = What::Role { name: name.clone(), parts: parts.clone(), public: *public };
            Some(Include { what, apply: apply.clone(), params, label })
        }
        Effect::SetFacts { .. }
        | Effect::IncludeVars(_)
        | Effect::AddHost { .. }
        | Effect::GroupBy { .. }
        | Effect::Meta(_)
        | Effect::Stats { .. } => None,
    }
}

pub(crate) fn bad_arguments(module: &Module, problems: &[modules::Problem]) -> Problem {
    let unknown = |problem: &modules::Problem| match problem {
        modules::Problem::Unknown { name } => Some(name.clone()),
        _ => None,
    };
    let names: Option<Vec<String>> = problems.iter().map(unknown).collect();
    if let Some(names) = names.filter(|_| actions::is_action(module.name)) {
        return Problem::new(format!("Invalid options for {}: {}", module.name, names.join(",")));
    }
    let texts: Vec<String> = problems.iter().map(|problem| own_words(module, problem)).collect();
    Problem::new(texts.join("; "))
}

/// `copy` has its own words for what it cannot do without.
fn own_words(module: &Module, problem: &modules::Problem) -> String {
    match problem {
        modules::Problem::Missing { name } if module.name == "copy" => format!("{name} is required"),
        modules::Problem::NoneOf { .. } if module.name == "copy" => "src (or content) is required".to_owned(),
        other => other.text(module.name),
    }
}

/// The names of facts may be templates.
fn rendered_key(frame: &Frame<'_>, key: &Key) -> Result<Key, Problem> {
    match key.as_str().filter(|name| name.contains("{{")) {
        Some(name) => Ok(frame.render(&crate::playbook::scalar(name, Span::NOWHERE))?.to_text().into()),
        None => Ok(key.clone()),
    }
}

fn failed_task(task: &Task) -> Value {
    let name = task.name().cloned().unwrap_or_default();
    [("name", name), ("action", task.action.name.as_str().into())].into_iter().collect()
}

/// A task as the output shows it: its name rendered for the first of its hosts.
pub(crate) fn shown_task(run: &Arc<Run>, play: &Arc<PlayRun>, host: &str, task: &Task, id: u64) -> event::Task {
    let frame = Frame::new(run, play, host, super::frame::view(run, play, host, task));
    let written = task.shown_name();
    let rendered = frame.render(&written).unwrap_or(written);
    let name = task.titled(&rendered.to_text());
    let no_log = task
        .keyword("no_log")
        .is_some_and(|written| frame.render(&written.value).ok().and_then(|value| value.to_bool()).unwrap_or(true));
    event::Task { id, name, module: shown_module(&frame, task), place: run.sources.place(task.head), no_log }
}

/// The module, by the name of its row also where a template names it.
fn shown_module(frame: &Frame<'_>, task: &Task) -> String {
    if let ActionKind::Module(module) = task.action.kind {
        return module.name.to_owned();
    }
    let written = crate::playbook::scalar(&task.action.name, task.action.span);
    let name = frame.render(&written).map_or_else(|_| task.action.name.clone(), |name| name.to_text().to_string());
    modules::find(&name).map_or(name, |module| module.name.to_owned())
}
