//! Tasks, blocks and static imports.

use super::collections::Own;
use super::keyword::{self, BLOCK, Keywords, TASK, Written};
use super::reader::{Reader, beside, head_of};
use super::routes::{Route, Target};
use super::task::{Action, ActionKind, Block, Context, Item, Task};
use super::{elsewhere, kv};
use crate::diag::{Diagnostic, Span, closest};
use crate::modules::{self, Arg, Args, Module, Problem};
use crate::value::{Map, Value};
use crate::yaml::Node;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Reader {
    pub(super) fn item(&mut self, node: &Node, context: &Arc<Context>, file: &Path, is_handler: bool) -> Option<Item> {
        let Some(entries) = node.as_map() else {
            self.wrong("not-a-task", "a task is a mapping", node.span, "this is not a mapping");
            return None;
        };
        if entries.iter().any(|(key, _)| key.as_str() == Some("block")) {
            return Some(Item::Block(Arc::new(self.block(node, context, file, is_handler))));
        }
        self.task(node, context, file, is_handler)
    }

    fn block(&mut self, node: &Node, context: &Arc<Context>, file: &Path, is_handler: bool) -> Block {
        let mut keywords = self.keywords(node, BLOCK, |_| false);
        for part in ["block", "rescue", "always"] {
            keywords.shift_remove(part);
        }
        let inner = self.settled(context.child(keywords));
        let part = |reader: &mut Reader, name: &str| match node.get(name).filter(|list| list.as_list().is_some()) {
            Some(list) => reader.items(list, &inner, file, is_handler),
            None => Vec::new(),
        };
        Block { span: head_of(node), body: part(self, "block"), rescue: part(self, "rescue"), always: part(self, "always") }
    }

    fn task(&mut self, node: &Node, context: &Arc<Context>, file: &Path, is_handler: bool) -> Option<Item> {
        let is_with = |name: &str| name.starts_with("with_");
        let is_keyword = |name: &str| keyword::find(name).is_some_and(|keyword| keyword.at & TASK != 0);
        let keywords = self.keywords(node, TASK, |name| is_with(name) || !is_keyword(name));
        let entries = node.as_map().unwrap_or_default();
        let with = entries.iter().find_map(|(key, value)| {
            let kind = key.as_str()?.strip_prefix("with_")?;
            Some((kind.to_owned(), Written { value: value.to_value(), span: value.span }))
        });
        let others: Vec<&(Node, Node)> =
            entries.iter().filter(|(key, _)| key.as_str().is_none_or(|name| !is_with(name) && !is_keyword(name))).collect();
        let mut found = Found { head: head_of(node), ..self.action(node, &others, &keywords)? };
        if let Some(text) = self.sources.slice(found.value_span).filter(|_| found.arg_nodes.is_empty()) {
            found.place_words(&text);
        }
        let more = node.get("args").and_then(Node::as_map).unwrap_or_default();
        found.more_args.extend(more.iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), key.span, value.span))));
        self.finish_task(&found, keywords, with, context, file, is_handler)
    }

    /// Which entry of a task names the module.
    fn action(&mut self, node: &Node, others: &[&(Node, Node)], keywords: &Keywords) -> Option<Found> {
        let by_keyword = ["action", "local_action"].into_iter().find(|name| keywords.contains_key(*name));
        if let Some(name) = by_keyword {
            let (key, value) = node.entry(name)?;
            return self.old_style(key, value);
        }
        let known: Vec<_> = others.iter().filter(|(key, _)| key.as_str().is_some_and(|name| callable(name).is_some())).collect();
        match (known.as_slice(), others) {
            ([(key, value)], [_]) => Some(Found::new(key, value, key.as_str()?, callable(key.as_str()?))),
            ([], []) => {
                let title = "the task has no module";
                self.diagnostics.push(
                    Diagnostic::error("no-module", title)
                        .at(head_of(node), "this task")
                        .help("name what it does, such as `command: uptime`"),
                );
                None
            }
            ([first, second, ..], _) => {
                let title = "the task has two modules";
                self.diagnostics.push(
                    Diagnostic::error("two-modules", title)
                        .at(second.0.span, "a second module")
                        .at(first.0.span, "the first")
                        .help("make two tasks of it"),
                );
                None
            }
            ([], [(key, value)]) => {
                let (module, own) = self.resolved(key)?;
                Some(Found { own, ..Found::new(key, value, key.as_str()?, module) })
            }
            ([], _) | ([_], _) => {
                let module = known.first().and_then(|(key, value)| callable(key.as_str()?).filter(|_| value.is_null()));
                for (key, _) in others.iter().filter(|(key, _)| key.as_str().is_none_or(|name| callable(name).is_none())) {
                    self.unknown_module(key, !known.is_empty(), module);
                }
                None
            }
        }
    }

    /// The module that a name stands for, if there is one here.
    fn resolved(&mut self, key: &Node) -> Option<(Option<&'static Module>, Option<Own>)> {
        let route = self.route(key.as_str().unwrap_or_default());
        if self.tell(&route, key.span) {
            return None;
        }
        match route.target {
            Some(Target::BuiltIn(module)) => Some((Some(module), None)),
            Some(Target::Own(own)) => Some((modules::find(OWN), Some(own))),
            None if self.is_removed(key) => None,
            None if self.is_elsewhere(key, &route) => Some((None, None)),
            None => {
                match route.astray(key.span) {
                    Some(diagnostic) => self.diagnostics.push(diagnostic),
                    None => self.unknown_module(key, false, None),
                }
                None
            }
        }
    }

    /// Whether this is the old word for both kinds of include, with the one that most people meant.
    fn is_removed(&mut self, key: &Node) -> bool {
        let is_removed = key.as_str().is_some_and(|name| matches!(name, "include" | "ansible.builtin.include"));
        if is_removed {
            let diagnostic =
                Diagnostic::error("removed-module", "`include` is no more").at(key.span, "removed in ansible-core 2.16");
            let diagnostic = diagnostic.patch(key.span, "include_tasks", "reads the file when the run comes to it");
            self.diagnostics.push(diagnostic.note("`import_tasks` reads it before the run"));
        }
        is_removed
    }

    /// Whether a module of this name is known to exist, though not here: then only a host that comes to the task fails.
    fn is_elsewhere(&mut self, key: &Node, route: &Route) -> bool {
        let Some(name) = key.as_str().filter(|name| !name.is_empty()) else { return false };
        let name = route.end().unwrap_or(name);
        if !elsewhere::is_known(name) {
            return false;
        }
        let diagnostic = Diagnostic::warning("missing-module", format!("module `{name}` is not built in"))
            .at(key.span, "a host that comes to this task fails");
        self.diagnostics.push(route.told(diagnostic));
        true
    }

    /// `bare` is the task's module, if nothing stands below it.
    fn unknown_module(&mut self, key: &Node, has_module: bool, bare: Option<&Module>) {
        let name = key.as_str().unwrap_or_default();
        let (code, title, label) = if has_module {
            ("unknown-keyword", format!("a task has no keyword `{name}`"), "not a keyword here")
        } else {
            ("unknown-module", format!("there is no module `{name}`"), "neither a module nor a keyword")
        };
        let mut diagnostic = Diagnostic::error(code, title).at(key.span, label);
        let short = name.rsplit('.').next().unwrap_or(name);
        if let Some(module) = bare.filter(|module| module.arg(name).is_some()) {
            diagnostic = diagnostic.help(format!("it is an argument of `{}`: indent it deeper than that", module.name));
            return self.diagnostics.push(diagnostic);
        }
        let modules = modules::rows().map(|module| module.name).filter(|name| !name.starts_with('_') && !has_module);
        if let Some(near) = closest(short, modules.chain(keyword::names_at(TASK))) {
            diagnostic = diagnostic.patch(key.span, near, "this exists");
        } else if !has_module {
            diagnostic = diagnostic.note("`roll doc` lists all modules");
        }
        self.diagnostics.push(diagnostic);
    }

    /// `action: copy src=a dest=b`, or a mapping with `module`.
    fn old_style(&mut self, key: &Node, value: &Node) -> Option<Found> {
        let written = value.as_str().or_else(|| value.get("module").and_then(Node::as_str)).unwrap_or_default();
        let (name, rest) = kv::first_word(written);
        let name = name.to_owned();
        let (module, own) = if name.contains("{{") {
            (None, None)
        } else {
            let named = Node { span: value.span, content: crate::yaml::Content::Scalar(Value::from(name.as_str())) };
            self.resolved(&named)?
        };
        let mut found = Found { own, ..Found::new(key, value, &name, module) };
        if let Value::Map(map) = &mut found.args {
            let map = Arc::make_mut(map);
            map.shift_remove("module");
            if let Some(free) = module.and_then(|module| module.free_form).filter(|_| !rest.is_empty()) {
                map.insert(free.into(), kv::scalar(rest, value.span));
            } else if map.is_empty() {
                found.args = kv::scalar(rest, value.span);
            }
        } else {
            found.args = kv::scalar(rest, value.span);
        }
        Some(found)
    }

    fn finish_task(
        &mut self,
        found: &Found,
        keywords: Keywords,
        with: Option<(String, Written)>,
        context: &Arc<Context>,
        file: &Path,
        is_handler: bool,
    ) -> Option<Item> {
        let is_local = keywords.contains_key("local_action");
        let mut problems = Vec::new();
        let mut args = self.arguments(found, &mut problems)?;
        let mut keywords = keywords;
        if let Some(more) = keywords.shift_remove("args") {
            self.add_arguments(&mut args, more);
        }
        self.check_names(found, &keywords);
        if is_local && !keywords.contains_key("delegate_to") {
            keywords.insert("delegate_to", Written { value: Value::from("localhost"), span: found.span });
        }
        let inner = self.settled(context.child(keywords));
        let full = found.full_name();
        let own_groups = self.own_groups(&inner, &full);
        let mut own_names = self.redirected_names(&inner, &full);
        if let Some(module) = found.module {
            let has_defaults = !own_groups.is_empty() || !own_names.is_empty() || has_defaults(&inner, module);
            check_arguments(module, &args, found, has_defaults, &mut problems);
            match module.name {
                // An import is read now, so its arguments must be right now.
                "import_tasks" | "import_role" if !problems.is_empty() => {
                    self.diagnostics.append(&mut problems);
                    return None;
                }
                "import_tasks" => return self.import_tasks(&args, found, &inner, file, is_handler),
                "import_role" => {
                    let name = if args.contains_key("name") { "name" } else { "role" };
                    return self.import_role(&args, FoundSpan { key: found.span, value: found.arg_span(name).1 }, &inner, file);
                }
                _ => {}
            }
        }
        if let Some(own) = &found.own {
            args.insert("_path".into(), own.path.to_string_lossy().into_owned().into());
        }
        own_names.extend(found.own.iter().flat_map(Own::names));
        let kind = found.module.map_or(ActionKind::Dynamic, ActionKind::Module);
        let action = Action { name: found.name.clone(), span: found.span, kind };
        Some(Item::Task(Arc::new(Task {
            span: found.span,
            head: found.head,
            action,
            args,
            arg_spans: found.arg_spans(),
            context: inner,
            own_names,
            own_groups,
            with,
            file: file.to_owned(),
            is_handler,
            problems,
        })))
    }

    /// `args`: a mapping, or an expression that gives one. What the module's own entry says counts more.
    fn add_arguments(&mut self, args: &mut Map, more: Written) {
        match more.value {
            Value::Map(map) => {
                for (key, value) in map.iter() {
                    args.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
            Value::Template(_) => drop(args.shift_insert(0, WHOLE.into(), more.value)),
            Value::Null => {}
            other => {
                let title = format!("`args` takes a mapping, not a {}", other.kind());
                self.wrong("mistyped-keyword", title, more.span, "not a mapping");
            }
        }
    }

    /// What an include cannot have, and what `register` cannot be called.
    fn check_names(&mut self, found: &Found, keywords: &Keywords) {
        let is_include = found.module.is_some_and(|module| matches!(module.name, "include_tasks" | "include_role"));
        for (name, written) in keywords.iter().filter(|(name, _)| is_include && !INCLUDE_KEYWORDS.contains(name)) {
            let title = format!("`{name}` cannot stand at `{}`", found.name);
            self.diagnostics.push(
                Diagnostic::error("unknown-keyword", title)
                    .at(written.span, "not for an include")
                    .help(format!("put it under `apply`, which is for the tasks that are included: `apply: {{{name}: …}}`")),
            );
        }
        if let Some(written) = keywords.get("register").filter(|written| !is_variable(&written.value)) {
            let name = written.value.to_text();
            self.diagnostics.push(
                Diagnostic::error("bad-variable-name", format!("`{name}` is not the name of a variable"))
                    .at(written.span, "not a name")
                    .note(format!("Invalid variable name in 'register' specified: '{name}'"))
                    .help("begin with a letter or `_`; then letters, digits and `_`"),
            );
        }
    }

    fn arguments(&mut self, found: &Found, problems: &mut Vec<Diagnostic>) -> Option<Map> {
        let text = match &found.args {
            Value::Map(map) => return Some(Map::clone(map)),
            Value::Null => return Some(Map::new()),
            // The whole of the arguments is one expression: known when it is rendered.
            Value::Template(template)
                if is_one_expression(&template.text) && found.module.is_none_or(|module| module.free_form.is_none()) =>
            {
                return Some(Map::from_iter([(WHOLE.into(), found.args.clone())]));
            }
            Value::List(_) => {
                let title = format!("`{}` takes a mapping of arguments, not a list", found.name);
                self.wrong("mistyped-arguments", title, found.value_span, "not a mapping");
                return None;
            }
            other => other.to_text(),
        };
        let (mut args, rest) = match kv::arguments(&text, found.module, found.value_span) {
            Ok(taken) => (taken.args, taken.rest),
            Err(word) => (Map::new(), Some(word)),
        };
        match rest {
            None => {}
            // What a template stands for must be a mapping of further arguments.
            Some(rest) if rest.contains("{{") => drop(args.insert(WHOLE.into(), kv::scalar(&rest, found.value_span))),
            Some(rest) => {
                let problem = Diagnostic::error("not-an-argument", format!("`{rest}` is not an argument of `{}`", found.name))
                    .at(found.value_span, "arguments as text are `name=value`, quotes closed")
                    .help("write the arguments as a mapping");
                let is_late = found.module.is_none_or(|module| LATE.contains(&module.name));
                if !is_late {
                    self.diagnostics.push(problem);
                    return None;
                }
                problems.push(problem);
                args.insert(WHOLE.into(), Value::from(rest));
            }
        }
        Some(args)
    }

    fn import_tasks(&mut self, args: &Map, found: &Found, context: &Arc<Context>, file: &Path, is_handler: bool) -> Option<Item> {
        let value = args.get("file").or_else(|| args.get("_raw_params")).cloned().unwrap_or_default();
        let node = Node { span: found.value_span, content: crate::yaml::Content::Scalar(value) };
        let name = self.static_text(&node, context)?;
        let path = self.find_tasks(&name, context, file);
        let body = self.tasks_file(&path, context, found.value_span, is_handler)?;
        Some(Item::Block(Arc::new(Block { span: found.span, body, rescue: Vec::new(), always: Vec::new() })))
    }

    /// The tasks of a file, inside `context`. For static and dynamic includes.
    pub fn tasks_file(&mut self, path: &Path, context: &Arc<Context>, asked_at: Span, is_handler: bool) -> Option<Vec<Item>> {
        let node = self.file(path, asked_at)?;
        let items = self.items(&node, context, path, is_handler);
        self.reading.pop();
        Some(items)
    }

    /// In the role's `tasks/`, beside the file that names it, or beside the playbook.
    pub fn find_tasks(&self, name: &str, context: &Context, file: &Path) -> PathBuf {
        let near = beside(file).join(name);
        let in_role = context.role().map(|role| role.path.join("tasks").join(name));
        let outermost = self.reading.first().map(|playbook| beside(playbook).join(name));
        in_role.into_iter().chain([near.clone()]).chain(outermost).find(|path| path.is_file()).unwrap_or(near)
    }
}

/// What may stand at an include besides its arguments.
const INCLUDE_KEYWORDS: [&str; 17] = [
    "action",
    "args",
    "collections",
    "debugger",
    "ignore_errors",
    "listen",
    "local_action",
    "loop",
    "loop_control",
    "name",
    "no_log",
    "register",
    "run_once",
    "tags",
    "timeout",
    "vars",
    "when",
];

/// Modules that look at their bare text themselves, when they run.
const LATE: [&str; 3] = ["add_host", "group_by", "set_fact"];

/// Whether a value can be a variable's name.
fn is_variable(name: &Value) -> bool {
    let text = name.to_text();
    let mut letters = text.chars();
    matches!(name, Value::String(_))
        && letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// With `module_defaults`, what is missing may come from there.
fn check_arguments(module: &'static Module, args: &Map, found: &Found, has_defaults: bool, problems: &mut Vec<Diagnostic>) {
    if args.contains_key(WHOLE) {
        return;
    }
    let hidden =
        args.keys().filter_map(|key| module.arg(key.as_str()?)).find(|arg| arg.hidden && Some(arg.name) != module.free_form);
    let mut wrong = Args::check(module, args).err().unwrap_or_default();
    wrong.retain(|problem| {
        !has_defaults || !matches!(problem, Problem::Missing { .. } | Problem::NoneOf { .. } | Problem::RequiredBy { .. })
    });
    wrong.extend(hidden.map(|arg| Problem::Unknown { name: arg.name.to_owned() }));
    problems.extend(wrong.iter().map(|problem| found.explain(problem, module)));
}

/// Marks arguments that are one expression (`module: "{{ settings }}"`).
pub(crate) const WHOLE: &str = "_whole";

/// Whether some `module_defaults` around a task are for its module.
fn has_defaults(context: &Context, module: &Module) -> bool {
    let is_for_it = |value: &Value| {
        value.as_map().is_some_and(|map| {
            map.keys()
                .filter_map(|key| key.as_str())
                .any(|name| module.is_called(name) || module.is_in_group(name) || is_handed_on(module, name))
        })
    };
    context.gathered("module_defaults").iter().any(|written| match &written.value {
        Value::List(items) => items.iter().any(is_for_it),
        value => is_for_it(value),
    })
}

/// Whether this is a module that does its work on some hosts.
fn is_handed_on(module: &Module, name: &str) -> bool {
    module.dispatches().is_some_and(|dispatch| dispatch.to.iter().filter_map(|to| modules::find(to)).any(|to| to.is_called(name)))
}

fn is_one_expression(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}") && text.matches("{{").count() == 1
}

/// What runs a user's own module.
const OWN: &str = "_own";

/// Modules that begin with `_` are for `roll` itself.
pub(super) fn callable(name: &str) -> Option<&'static Module> {
    modules::find(name).filter(|module| !module.name.starts_with('_'))
}

/// Where a module and its arguments were written.
#[derive(Clone, Copy)]
pub(super) struct FoundSpan {
    pub(super) key: Span,
    pub(super) value: Span,
}

/// The entry of a task that names its module.
struct Found {
    name: String,
    span: Span,
    /// Where its task begins.
    head: Span,
    module: Option<&'static Module>,
    /// Where the module is the user's own.
    own: Option<Own>,
    args: Value,
    value_span: Span,
    arg_nodes: Vec<(String, Span, Span)>,
    /// Arguments written as text, and those under `args`.
    more_args: Vec<(String, Span, Span)>,
}

impl Found {
    fn new(key: &Node, value: &Node, name: &str, module: Option<&'static Module>) -> Found {
        let entries = value.as_map().unwrap_or_default();
        let arg_nodes =
            entries.iter().map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), key.span, value.span)).collect();
        Found {
            name: name.to_owned(),
            span: key.span,
            head: key.span,
            module,
            own: None,
            args: value.to_value(),
            value_span: value.span,
            arg_nodes,
            more_args: Vec::new(),
        }
    }

    /// With its collection; empty where it is not known yet.
    fn full_name(&self) -> String {
        self.own.as_ref().map(Own::full_name).or_else(|| self.module.map(Module::full_name)).unwrap_or_default()
    }

    fn arg_spans(&self) -> Vec<(String, Span)> {
        self.arg_nodes.iter().map(|(name, _, value)| (name.clone(), *value)).collect()
    }

    /// Key and value of an argument, where they can be told from the rest.
    fn arg_place(&self, name: &str) -> Option<(Span, Span)> {
        let node = self.arg_nodes.iter().chain(&self.more_args).find(|(written, _, _)| written == name);
        node.map(|(_, key, value)| (*key, *value))
    }

    /// Key and value of an argument, or the whole value where it was written as text.
    fn arg_span(&self, name: &str) -> (Span, Span) {
        self.arg_place(name).unwrap_or((self.value_span, self.value_span))
    }

    /// Remembers where arguments are that no node tells: `text` is the module's value as it is written.
    fn place_words(&mut self, text: &str) {
        let at = |range: &Range<usize>| self.value_span.part(range);
        let words: Vec<_> = kv::places(text).iter().map(|(name, key, value)| (name.clone(), at(key), at(value))).collect();
        self.more_args.extend(words);
    }

    fn explain(&self, problem: &Problem, module: &'static Module) -> Diagnostic {
        let doc = format!("`roll doc {}` lists all arguments", module.name);
        match problem {
            Problem::Unknown { name } => {
                let (key, _) = self.arg_span(name);
                let title = format!("module `{}` has no argument `{name}`", module.name);
                let base = Diagnostic::error("unknown-argument", title)
                    .at(key, format!("not an argument of `{}`", module.name))
                    .at(self.span, "of this module");
                let names = module
                    .args()
                    .filter(|arg| !arg.hidden)
                    .flat_map(|arg| [arg.name].into_iter().chain(arg.aliases.iter().copied()));
                match closest(name, names.filter(|name| *name != Arg::ANY)) {
                    Some(near) if self.arg_place(name).is_none() => {
                        base.help(format!("an argument with a similar name exists: `{near}`")).note(doc)
                    }
                    Some(near) => base.patch(key, near, "an argument with a similar name exists").note(doc),
                    None => base.note(doc),
                }
            }
            Problem::Missing { name } => {
                let title = format!("module `{}` needs the argument `{name}`", module.name);
                Diagnostic::error("missing-argument", title).at(self.span, format!("`{name}` is missing")).note(doc)
            }
            Problem::Mistyped { name, .. } => Diagnostic::error("mistyped-argument", problem.text(module.name))
                .at(self.arg_span(name).1, "not of that type")
                .note(doc),
            Problem::NotAChoice { name, choices, found } => {
                let (_, value) = self.arg_span(name);
                let found = found.to_text();
                let base =
                    Diagnostic::error("not-a-choice", format!("`{found}` is not a choice for `{name}` of `{}`", module.name))
                        .at(value, "not one of the choices")
                        .note(format!("choices: {}", choices.join(", ")));
                match closest(&found, choices.iter().copied()) {
                    Some(near) if self.arg_place(name).is_none() => base.help(format!("a similar choice exists: `{near}`")),
                    Some(near) => base.patch(value, near, "a similar choice exists"),
                    None => base,
                }
            }
            Problem::NoneOf { .. } | Problem::Exclusive { .. } | Problem::Together { .. } | Problem::RequiredBy { .. } => {
                let title = format!("`{}`: {}", module.name, problem.text(module.name));
                Diagnostic::error("arguments-clash", title).at(self.span, "the arguments of this module").note(doc)
            }
        }
    }
}
