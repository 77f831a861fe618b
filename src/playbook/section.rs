//! Tasks, blocks and static imports.

use super::keyword::{self, BLOCK, Keywords, TASK, Written};
use super::kv;
use super::reader::{Reader, beside, head_of};
use super::task::{Action, ActionKind, Block, Context, Item, Task};
use crate::diag::{Diagnostic, Span, closest};
use crate::modules::{self, Arg, Args, Module, Problem};
use crate::value::{Map, Value};
use crate::yaml::Node;
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
        let inner = Arc::new(context.child(keywords));
        let part = |reader: &mut Reader, name: &str| match node.get(name) {
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
        let found = Found { head: head_of(node), ..self.action(node, &others, &keywords)? };
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
            ([], _) | ([_], _) => {
                for (key, _) in others.iter().filter(|(key, _)| key.as_str().is_none_or(|name| callable(name).is_none())) {
                    self.unknown_module(key, !known.is_empty());
                }
                None
            }
        }
    }

    fn unknown_module(&mut self, key: &Node, has_module: bool) {
        let name = key.as_str().unwrap_or_default();
        let (code, title, label) = if has_module {
            ("unknown-keyword", format!("a task has no keyword `{name}`"), "not a keyword here")
        } else {
            ("unknown-module", format!("there is no module `{name}`"), "neither a module nor a keyword")
        };
        let mut diagnostic = Diagnostic::error(code, title).at(key.span, label);
        let short = name.rsplit('.').next().unwrap_or(name);
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
        let name = match value.as_str() {
            Some(text) => text.split_whitespace().next().unwrap_or_default().to_owned(),
            None => value.get("module").and_then(Node::as_str).unwrap_or_default().to_owned(),
        };
        let module = callable(&name);
        if module.is_none() && !name.contains("{{") {
            self.unknown_module(
                &Node { span: value.span, content: crate::yaml::Content::Scalar(Value::from(name.as_str())) },
                false,
            );
            return None;
        }
        let mut found = Found::new(key, value, &name, module);
        if let Some(text) = value.as_str() {
            let rest = text.trim_start().strip_prefix(name.as_str()).unwrap_or_default();
            found.args = kv::scalar(rest.trim(), value.span);
        } else if let Value::Map(map) = &mut found.args {
            Arc::make_mut(map).shift_remove("module");
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
        let mut args = self.arguments(found)?;
        let mut keywords = keywords;
        if let Some(more) = keywords.shift_remove("args").and_then(|written| written.value.as_map().cloned()) {
            for (key, value) in more {
                args.entry(key).or_insert(value);
            }
        }
        if is_local && !keywords.contains_key("delegate_to") {
            keywords.insert("delegate_to", Written { value: Value::from("localhost"), span: found.span });
        }
        self.check_background(&keywords);
        let inner = Arc::new(context.child(keywords));
        if let Some(module) = found.module {
            self.check_arguments(module, &args, found, has_defaults(&inner, module));
            match module.name {
                "import_tasks" => return self.import_tasks(&args, found, &inner, file, is_handler),
                "import_role" => {
                    return self.import_role(&args, FoundSpan { key: found.span, value: found.value_span }, &inner, file);
                }
                _ => {}
            }
        }
        let kind = found.module.map_or(ActionKind::Dynamic, ActionKind::Module);
        let action = Action { name: found.name.clone(), span: found.span, kind };
        Some(Item::Task(Arc::new(Task {
            span: found.span,
            head: found.head,
            action,
            args,
            arg_spans: found.arg_spans(),
            context: inner,
            with,
            file: file.to_owned(),
            is_handler,
        })))
    }

    /// Nobody would ask after a task that is left running.
    fn check_background(&mut self, keywords: &Keywords) {
        let number = |name: &str| keywords.get(name).and_then(|written| written.value.to_int());
        if let (Some(1..), Some(0), Some(poll)) = (number("async"), number("poll"), keywords.get("poll")) {
            self.diagnostics.push(
                Diagnostic::error("unsupported-keyword", "a task that is left running (`poll: 0`) is not supported")
                    .at(poll.span, "nobody would wait for it")
                    .help("leave `poll` out: the task then runs for at most `async` seconds"),
            );
        }
    }

    fn arguments(&mut self, found: &Found) -> Option<Map> {
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
        match kv::arguments(&text, found.module, found.value_span) {
            Ok(args) => Some(args),
            Err(word) => {
                let title = format!("`{word}` is not an argument of `{}`", found.name);
                self.diagnostics.push(
                    Diagnostic::error("not-an-argument", title)
                        .at(found.value_span, "arguments as text are `name=value`, quotes closed")
                        .help("write the arguments as a mapping"),
                );
                None
            }
        }
    }

    /// With `module_defaults`, what is missing may come from there.
    fn check_arguments(&mut self, module: &'static Module, args: &Map, found: &Found, has_defaults: bool) {
        if args.contains_key(WHOLE) {
            return;
        }
        let hidden =
            args.keys().filter_map(|key| module.arg(key.as_str()?)).find(|arg| arg.hidden && Some(arg.name) != module.free_form);
        let mut problems = Args::check(module, args).err().unwrap_or_default();
        problems.retain(|problem| {
            !has_defaults || !matches!(problem, Problem::Missing { .. } | Problem::NoneOf { .. } | Problem::RequiredBy { .. })
        });
        problems.extend(hidden.map(|arg| Problem::Unknown { name: arg.name.to_owned() }));
        for problem in problems {
            let diagnostic = found.explain(&problem, module);
            self.diagnostics.push(diagnostic);
        }
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

    /// Beside the file that names it; inside a role also in its `tasks/`.
    pub fn find_tasks(&self, name: &str, context: &Context, file: &Path) -> PathBuf {
        let near = beside(file).join(name);
        let in_role = context.role().map(|role| role.path.join("tasks").join(name));
        in_role.into_iter().chain([near.clone()]).find(|path| path.is_file()).unwrap_or(near)
    }
}

/// Marks arguments that are one expression (`module: "{{ settings }}"`).
pub(crate) const WHOLE: &str = "_whole";

/// Whether some `module_defaults` around a task are for its module.
fn has_defaults(context: &Context, module: &Module) -> bool {
    let is_for_it = |value: &Value| {
        value.as_map().is_some_and(|map| {
            map.keys().any(|key| key.as_str().and_then(modules::find).is_some_and(|found| found.name == module.name))
        })
    };
    context.gathered("module_defaults").iter().any(|written| match &written.value {
        Value::List(items) => items.iter().any(is_for_it),
        value => is_for_it(value),
    })
}

fn is_one_expression(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}") && text.matches("{{").count() == 1
}

/// Modules that begin with `_` are for `roll` itself.
fn callable(name: &str) -> Option<&'static Module> {
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
    args: Value,
    value_span: Span,
    arg_nodes: Vec<(String, Span, Span)>,
}

impl Found {
    fn new(key: &Node, value: &Node, name: &str, module: Option<&'static Module>) -> Found {
        let entries = value.as_map().unwrap_or_default();
        let arg_nodes =
            entries.iter().map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), key.span, value.span)).collect();
        Found { name: name.to_owned(), span: key.span, head: key.span, module, args: value.to_value(), value_span: value.span, arg_nodes }
    }

    fn arg_spans(&self) -> Vec<(String, Span)> {
        self.arg_nodes.iter().map(|(name, _, value)| (name.clone(), *value)).collect()
    }

    /// Key and value of an argument, or the whole value where it was written as text.
    fn arg_span(&self, name: &str) -> (Span, Span) {
        let node = self.arg_nodes.iter().find(|(written, _, _)| written == name);
        node.map_or((self.value_span, self.value_span), |(_, key, value)| (*key, *value))
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
