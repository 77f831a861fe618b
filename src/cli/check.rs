//! What can be known to be wrong before anything is sent: templates, conditions, handlers that nobody defines.

mod ahead;

use crate::diag::{Diagnostic, Severity, Sources, Span, closest};
use crate::engine::{Playbook, Selection};
use crate::inventory::Inventory;
use crate::playbook::keyword::Written;
use crate::playbook::{ActionKind, Context, Item, Play, Reader, Role, Task};
use crate::template;
use crate::value::{Map, Value};
use ahead::Ahead;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Keywords whose text is an expression without braces.
const CONDITIONS: [&str; 5] = ["when", "until", "changed_when", "failed_when", "break_when"];
/// Modules whose arguments are expressions, and which ones.
const EXPRESSIONS: [(&str, &str); 2] = [("assert", "that"), ("debug", "var")];

/// Checks every play of a playbook, and what its tasks will include, and adds what is wrong.
pub(super) fn playbook(
    playbook: &Playbook,
    selection: &Selection,
    reader: &mut Reader,
    inventory: &Inventory,
    sources: &Sources,
    found: &mut Vec<Diagnostic>,
) {
    let ahead = Ahead::new(reader, inventory, &playbook.path);
    let mut checker = Checker { selection: Some(selection), ahead: Some(ahead), ..Checker::new(sources, found) };
    playbook.plays.iter().for_each(|play| checker.play(play));
}

/// Checks the variables of every host. Nobody may ever use one: a broken template is only worth a warning.
pub(super) fn inventory(inventory: &Inventory, sources: &Sources, found: &mut Vec<Diagnostic>) {
    let mut checker = Checker::new(sources, found);
    let mut seen = HashSet::new();
    for layer in inventory.hosts.keys().flat_map(|host| inventory.vars_of(host)) {
        if seen.insert(std::ptr::from_ref(layer.vars)) {
            checker.variables(layer.vars);
        }
    }
}

struct Checker<'a> {
    sources: &'a Sources,
    found: &'a mut Vec<Diagnostic>,
    /// What was checked already.
    roles: HashSet<PathBuf>,
    contexts: HashSet<*const Context>,
    /// What a task that is not among these has wrong does not matter in this run.
    selection: Option<&'a Selection>,
    /// What is wrong with the conditions of the task that is being checked.
    conditions: Vec<Diagnostic>,
    ahead: Option<Ahead<'a>>,
}

/// A task of a play, and whether the playbook is prepared for its failure.
struct Placed {
    task: Arc<Task>,
    is_caught: bool,
}

impl<'a> Checker<'a> {
    fn new(sources: &'a Sources, found: &'a mut Vec<Diagnostic>) -> Checker<'a> {
        Checker {
            sources,
            found,
            roles: HashSet::new(),
            contexts: HashSet::new(),
            selection: None,
            conditions: Vec::new(),
            ahead: None,
        }
    }

    fn play(&mut self, play: &Play) {
        self.context(&play.context);
        let tasks = tasks_of(play);
        for placed in &tasks {
            self.placed(placed, play);
        }
        for used in &play.roles {
            self.role(&used.role);
        }
        self.handlers(play, &tasks);
    }

    fn placed(&mut self, placed: &Placed, play: &Play) {
        let before = self.found.len();
        self.task(&placed.task);
        let is_expected = placed.is_caught || may_pass(&placed.task) || !self.is_selected(&placed.task);
        let is_firm = !is_expected && !is_conditional(&placed.task);
        if !is_firm {
            soften(self.found, before);
        }
        // A condition itself is evaluated whatever it says.
        let before = self.found.len();
        self.found.append(&mut self.conditions);
        if is_expected {
            soften(self.found, before);
        }
        self.look_ahead(&placed.task, play, is_firm);
    }

    /// What the task names, and what it will add.
    fn look_ahead(&mut self, task: &Task, play: &Play, is_firm: bool) {
        let Some(ahead) = &mut self.ahead else { return };
        let before = self.found.len();
        self.found.extend(ahead.missing(task, play));
        let (items, problems) = ahead.included(task, play, is_firm);
        self.found.extend(problems);
        let is_firm = is_firm && (items.is_empty() && self.found.len() == before || !ahead.may_be_made(play));
        if !is_firm {
            soften(self.found, before);
        }
        let mut tasks = Vec::new();
        items.iter().for_each(|item| collect(item, !is_firm, &mut tasks));
        tasks.iter().for_each(|placed| self.placed(placed, play));
    }

    fn is_selected(&self, task: &Task) -> bool {
        self.selection.is_none_or(|selection| selection.wants(&task.context.tags()))
    }

    fn task(&mut self, task: &Task) {
        self.found.extend(task.problems.iter().cloned());
        for context in task.context.chain() {
            self.context(context);
        }
        let expression = match task.action.kind {
            ActionKind::Module(module) => EXPRESSIONS.iter().find(|(name, _)| *name == module.name).map(|(_, arg)| *arg),
            ActionKind::Dynamic => None,
        };
        for (key, value) in &task.args {
            let name = key.as_str().unwrap_or_default();
            let span = task.arg_spans.iter().find(|(known, _)| known == name).map_or(Span::NOWHERE, |(_, span)| *span);
            if expression == Some(name) {
                self.condition(value, span);
            } else {
                self.value(value);
            }
        }
        if let Some(written) = task.own("loop").filter(|written| matches!(written.value, Value::String(_))) {
            let text = written.value.to_text();
            self.conditions.push(
                Diagnostic::error("mistyped-keyword", "`loop` takes a list, not a string")
                    .at(written.span, "not a list")
                    .help(format!("write `\"{{{{ {text} }}}}\"` for a variable, or `[{text}]` for one item")),
            );
        }
        if let Some((kind, written)) = &task.with {
            self.value(&written.value);
            if let Some(near) = template::near_lookup(kind) {
                let title = format!("there is no lookup `{kind}` for `with_{kind}`");
                let diagnostic = Diagnostic::error("unknown-lookup", title).at(written.span, "loops over what the lookup gives");
                self.found.push(diagnostic.help(format!("a lookup with a similar name exists: `with_{near}`")));
            }
        }
    }

    fn context(&mut self, context: &Context) {
        if !self.contexts.insert(std::ptr::from_ref(context)) {
            return;
        }
        for (name, written) in &context.keywords {
            self.keyword(name, written);
        }
        self.map(&context.params);
        if let Some(role) = &context.role {
            self.role(role);
        }
    }

    fn keyword(&mut self, name: &str, written: &Written) {
        if CONDITIONS.contains(&name) {
            let before = self.found.len();
            self.condition(&written.value, written.span);
            if name == "when" {
                self.conditions.extend(self.found.drain(before..));
            }
        } else {
            self.value(&written.value);
        }
    }

    fn role(&mut self, role: &Arc<Role>) {
        if self.roles.insert(role.path.clone()) {
            self.variables(&role.defaults);
            self.variables(&role.vars);
        }
    }

    /// What is wrong with a variable that nobody may ever use is a warning.
    fn variables(&mut self, map: &Map) {
        let before = self.found.len();
        self.map(map);
        soften(self.found, before);
    }

    fn map(&mut self, map: &Map) {
        map.values().for_each(|value| self.value(value));
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Template(template) => self.found.extend(template::check(template)),
            Value::List(items) => items.iter().for_each(|item| self.value(item)),
            Value::Map(map) => self.map(map),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {}
        }
    }

    /// A text without braces, or a list of such.
    fn condition(&mut self, value: &Value, span: Span) {
        match value {
            Value::String(text) => {
                let span = self.place(text, span);
                self.found.extend(template::check_expression(text, span));
            }
            Value::List(items) => items.iter().for_each(|item| self.condition(item, span)),
            other => self.value(other),
        }
    }

    /// Where a text stands within what surrounds it.
    fn place(&self, text: &str, span: Span) -> Span {
        let inside = self.sources.slice(span).and_then(|around| around.find(text));
        match inside.and_then(|at| u32::try_from(at).ok()).zip(u32::try_from(text.len()).ok()) {
            Some((at, length)) => Span { source: span.source, start: span.start + at, end: span.start + at + length },
            None => span,
        }
    }

    /// Every literal `notify` must find a handler, unless handlers may come later.
    fn handlers(&mut self, play: &Play, tasks: &[Placed]) {
        let is_open = play.handlers.iter().any(|handler| {
            handler.name().is_some_and(Value::has_template)
                || handler.own("listen").is_some_and(|written| written.value.has_template())
        }) || tasks.iter().any(|placed| matches!(placed.task.module(), "include_role" | "include_tasks"))
            || play.handlers.iter().any(|handler| matches!(handler.module(), "include_tasks" | "include_role"));
        if is_open {
            return;
        }
        let known = names(&play.handlers);
        for placed in tasks {
            let before = self.found.len();
            if let Some(written) = placed.task.keyword("notify") {
                self.notified(written, &known);
            }
            if placed.is_caught || may_pass(&placed.task) || is_conditional(&placed.task) || !self.is_selected(&placed.task) {
                soften(self.found, before);
            }
        }
    }

    fn notified(&mut self, written: &Written, known: &[String]) {
        let items: Vec<Value> = written.value.as_list().map_or_else(|| vec![written.value.clone()], <[Value]>::to_vec);
        for name in items.iter().filter_map(Value::as_str).filter(|name| !known.iter().any(|one| one == name)) {
            let span = self.place(name, written.span);
            let title = format!("no handler is called `{name}`, and none listens to it");
            let mut diagnostic = Diagnostic::error("unknown-handler", title).at(span, "notified here");
            if let Some(near) = closest(name, known.iter().map(String::as_str)) {
                diagnostic = diagnostic.patch(span, near, "a handler with a similar name exists");
            }
            self.found.push(diagnostic);
        }
    }
}

/// What handlers can be notified as: names, names with their role, topics.
fn names(handlers: &[Arc<Task>]) -> Vec<String> {
    let mut names = Vec::new();
    for handler in handlers {
        if let Some(name) = handler.name() {
            names.push(name.to_text().to_string());
            names.push(handler.title());
        }
        if let Some(written) = handler.own("listen") {
            names.extend(crate::playbook::task::texts(&written.value));
        }
    }
    names
}

fn tasks_of(play: &Play) -> Vec<Placed> {
    let roles = play.roles.iter().flat_map(|used| &used.items);
    let mut tasks = Vec::new();
    for item in play.pre_tasks.iter().chain(roles).chain(&play.tasks).chain(&play.post_tasks) {
        collect(item, false, &mut tasks);
    }
    tasks.extend(play.handlers.iter().map(|task| Placed { task: task.clone(), is_caught: false }));
    tasks
}

fn collect(item: &Item, is_caught: bool, tasks: &mut Vec<Placed>) {
    match item {
        Item::Task(task) => tasks.push(Placed { task: task.clone(), is_caught }),
        Item::Block(block) => {
            let has_rescue = !block.rescue.is_empty();
            block.body.iter().for_each(|item| collect(item, is_caught || has_rescue, tasks));
            // What rescues may never be needed.
            block.rescue.iter().for_each(|item| collect(item, true, tasks));
            block.always.iter().for_each(|item| collect(item, is_caught, tasks));
        }
    }
}

/// Whether a run may go well though the task is wrong: it is passed over, or its failure is expected.
fn may_pass(task: &Task) -> bool {
    let says_no = |written: &Written| written.value.to_bool() == Some(false);
    let is_list_known = |value: &Value| value.as_list().is_some_and(|items| !items.is_empty());
    task.keyword("ignore_errors").is_some_and(|written| !says_no(written))
        || task.own("failed_when").is_some()
        || task.own("loop").is_some_and(|written| !is_list_known(&written.value))
        || task.with.as_ref().is_some_and(|(kind, written)| !has_items(kind, &written.value))
}

/// Whether a `with_…` goes around at least once, whatever the variables are.
fn has_items(kind: &str, value: &Value) -> bool {
    let items = value.as_list().unwrap_or_default();
    match kind.rsplit('.').next() {
        Some("items" | "flattened" | "indexed_items") => items.iter().any(|item| !item.has_template()),
        Some("fileglob" | "filetree" | "first_found" | "lines" | "pipe") => false,
        _ => !items.is_empty() && !value.has_template(),
    }
}

fn is_conditional(task: &Task) -> bool {
    !task.context.gathered("when").is_empty()
}

/// Ansible would find it only if it came to it, so it is no reason to refuse the run.
fn soften(found: &mut [Diagnostic], from: usize) {
    for diagnostic in found.iter_mut().skip(from) {
        diagnostic.severity = Severity::Warning;
    }
}
