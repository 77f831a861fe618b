//! From YAML nodes to plays.

use super::keyword::{self, Keywords, PLAY, Written};
use super::task::{Context, Item, Play, Role, RoleUse, Task, texts};
use crate::diag::{Diagnostic, Severity, Sources, Span, closest};
use crate::value::{Map, Template, Value};
use crate::yaml::{self, Node, Trust};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads playbooks and what they import. One reader serves a whole run, dynamic includes too.
pub struct Reader {
    pub(super) sources: Sources,
    /// Searched after `roles/` beside the playbook.
    pub(super) roles_path: Vec<PathBuf>,
    /// Searched for a user's own modules after `library/` beside the playbook and in the role.
    pub library: Vec<PathBuf>,
    /// Where collections are searched after `collections/` beside the playbook.
    pub collections_path: Vec<PathBuf>,
    /// The collections that what is being read names.
    pub(super) collections: Vec<String>,
    /// The modules of the groups that collections define, by full names.
    pub(super) action_groups: BTreeMap<String, BTreeSet<String>>,
    /// `meta/runtime.yml` of collections.
    pub(super) runtimes: BTreeMap<PathBuf, Option<Arc<Node>>>,
    /// What it is if a collection is for other versions of Ansible: nothing said, a warning, an error.
    pub version_mismatch: Option<Severity>,
    pub are_deprecations_told: bool,
    /// Deprecated names that were warned of.
    pub(super) told: BTreeSet<String>,
    pub(super) roles: IndexMap<PathBuf, Arc<Role>>,
    /// Handlers of roles that were read since the last [`Reader::take_handlers`].
    pub(super) handlers: Vec<Arc<Task>>,
    /// Roles that were imported since the last [`Reader::take_imported`], but for those that keep to themselves.
    pub(super) imported: Vec<Arc<Role>>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) render: Render,
    /// What a key that is written twice is: nothing said, a warning, an error.
    pub duplicate_keys: Option<Severity>,
    /// Files that are being read right now, outermost first: an import of itself is found here.
    pub(super) reading: Vec<PathBuf>,
    /// Roles whose dependencies are being looked up.
    pub(super) opening: Vec<PathBuf>,
    /// Roles that already stand in the play being read, with their parameters.
    pub(super) uses: usize,
    /// Whether the file that was read last was in a vault.
    is_secret: bool,
}

/// Renders a template that must be known before the run (the path of an import), from what is static there.
pub type Render = Box<dyn Fn(&Template, &Context) -> Option<Value> + Send + Sync>;

/// Errors beyond these are not shown: the first ones explain the rest.
pub const DIAGNOSTICS_MAX: usize = 20;
const STRATEGIES: [&str; 3] = ["linear", "free", "host_pinned"];
const IMPORT_DEPTH_MAX: usize = 64;

impl std::fmt::Debug for Reader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Reader").field("roles_path", &self.roles_path).finish_non_exhaustive()
    }
}

impl Reader {
    pub fn new(sources: Sources, roles_path: Vec<PathBuf>, render: Render) -> Reader {
        Reader {
            sources,
            roles_path,
            library: Vec::new(),
            collections_path: Vec::new(),
            collections: Vec::new(),
            action_groups: BTreeMap::new(),
            runtimes: BTreeMap::new(),
            version_mismatch: Some(Severity::Warning),
            are_deprecations_told: true,
            told: BTreeSet::new(),
            roles: IndexMap::new(),
            handlers: Vec::new(),
            imported: Vec::new(),
            diagnostics: Vec::new(),
            render,
            duplicate_keys: Some(Severity::Warning),
            reading: Vec::new(),
            opening: Vec::new(),
            uses: 0,
            is_secret: false,
        }
    }

    /// All plays of a playbook, with those it imports.
    pub fn playbook(&mut self, path: &Path) -> Vec<Play> {
        let Some(node) = self.file(path, Span::NOWHERE) else { return Vec::new() };
        let plays = self.plays(&node, path);
        self.reading.pop();
        plays
    }

    /// All plays of a text that is in no file.
    pub fn text(&mut self, name: &Path, text: &str) -> Vec<Play> {
        let reading = yaml::read(&self.sources, &name.to_string_lossy(), text, Trust::User);
        self.diagnostics.extend(reading.diagnostics);
        let Some(node) = reading.documents.into_iter().next() else { return Vec::new() };
        self.reading.push(name.to_owned());
        let plays = self.plays(&node, name);
        self.reading.pop();
        plays
    }

    fn plays(&mut self, node: &Node, path: &Path) -> Vec<Play> {
        match node.as_list() {
            Some(plays) => plays.iter().flat_map(|node| self.play_or_import(node, path, &Keywords::new())).collect(),
            None if node.is_null() => Vec::new(),
            None => {
                self.wrong("not-a-playbook", "a playbook is a list of plays", node.span, "this is not a list");
                Vec::new()
            }
        }
    }

    /// What was found so far, the first ones only.
    pub fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        let mut found = std::mem::take(&mut self.diagnostics);
        found.truncate(DIAGNOSTICS_MAX);
        found
    }

    /// Reads something for a play that runs already, as if it stood in `playbook`.
    pub fn within<T>(&mut self, playbook: &Path, read: impl FnOnce(&mut Reader) -> T) -> T {
        let outer = std::mem::replace(&mut self.reading, vec![playbook.to_owned()]);
        let answer = read(self);
        self.reading = outer;
        answer
    }

    pub fn take_handlers(&mut self) -> Vec<Arc<Task>> {
        std::mem::take(&mut self.handlers)
    }

    pub fn take_imported(&mut self) -> Vec<Arc<Role>> {
        std::mem::take(&mut self.imported)
    }

    /// The one document of a file; it stays in `reading` until the caller pops it.
    pub(super) fn file(&mut self, path: &Path, asked_at: Span) -> Option<Node> {
        if self.reading.iter().any(|open| open == path) || self.reading.len() >= IMPORT_DEPTH_MAX {
            self.wrong("import-loop", format!("`{}` imports itself", path.display()), asked_at, "imported here");
            return None;
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let title = format!("cannot read `{}`: {}", path.display(), plain(&error));
                let mut diagnostic = Diagnostic::error("unreadable-file", title);
                if !asked_at.is_nowhere() {
                    diagnostic = diagnostic.at(asked_at, "asked for here");
                }
                self.diagnostics
                    .push(diagnostic.help("check the path; it is relative to the directory of the file that names it"));
                return None;
            }
        };
        let (text, is_secret) = match self.sources.open_text(path, text) {
            Ok(opened) => opened,
            Err(diagnostic) => {
                self.diagnostics.push(if asked_at.is_nowhere() { diagnostic } else { diagnostic.at(asked_at, "asked for here") });
                return None;
            }
        };
        self.is_secret = is_secret;
        let mut reading = yaml::read_as(&self.sources, &path.to_string_lossy(), &text, Trust::User, is_secret);
        reading.judge_duplicates(self.duplicate_keys);
        let is_broken = reading.diagnostics.iter().any(Diagnostic::is_error);
        self.diagnostics.extend(reading.diagnostics);
        if is_broken {
            return None;
        }
        self.reading.push(path.to_owned());
        Some(
            reading
                .documents
                .into_iter()
                .next()
                .unwrap_or(Node { span: Span::NOWHERE, content: yaml::Content::Scalar(Value::Null) }),
        )
    }

    /// Variables of a file that holds a mapping (or nothing).
    pub fn variables(&mut self, path: &Path, asked_at: Span) -> Option<Map> {
        let node = self.file(path, asked_at)?;
        self.reading.pop();
        match node.to_value() {
            Value::Null => Some(Map::new()),
            value @ Value::Map(_) if self.is_secret => self.sources.keep_secret(value).as_map().cloned(),
            Value::Map(map) => Some(Arc::unwrap_or_clone(map)),
            _ => {
                self.wrong(
                    "not-variables",
                    format!("`{}` must hold a mapping of variables", path.display()),
                    node.span,
                    "this is not a mapping",
                );
                None
            }
        }
    }

    /// `outer` is what the imports around it say.
    fn play_or_import(&mut self, node: &Node, path: &Path, outer: &Keywords) -> Vec<Play> {
        let Some(entries) = node.as_map() else {
            self.wrong("not-a-play", "a play is a mapping", node.span, "this is not a mapping");
            return Vec::new();
        };
        let import = entries.iter().find(|(key, _)| key.as_str().is_some_and(is_import));
        match import {
            Some((_, target)) => self.import_playbook(node, target, path, outer),
            None => self.play(node, path, outer).into_iter().collect(),
        }
    }

    fn import_playbook(&mut self, node: &Node, target: &Node, path: &Path, outer: &Keywords) -> Vec<Play> {
        let Some(name) = self.static_text(target, &Context::default()) else { return Vec::new() };
        let name = name.split_whitespace().next().unwrap_or(&name);
        let beside = beside(path).join(name);
        let file = if beside.is_file() {
            beside
        } else {
            Some(self.playbook_file(Path::new(name))).filter(|file| file.is_file()).unwrap_or(beside)
        };
        let Some(inner) = self.file(&file, target.span) else { return Vec::new() };
        let own = self.keywords(node, PLAY | keyword::TASK, is_import);
        let around = merged(outer, own);
        let plays =
            inner.as_list().unwrap_or_default().iter().flat_map(|node| self.play_or_import(node, &file, &around)).collect();
        self.reading.pop();
        plays
    }

    fn play(&mut self, node: &Node, path: &Path, outer: &Keywords) -> Option<Play> {
        let own = self.keywords(node, PLAY, |_| false);
        let mut keywords = merged(outer, own);
        if keywords.get("hosts").is_none_or(|hosts| texts(&hosts.value).iter().all(String::is_empty)) {
            self.diagnostics.push(
                Diagnostic::error("missing-keyword", "the play has no `hosts`")
                    .at(head_of(node), "this play")
                    .help("add `hosts:` with a host pattern, such as `hosts: all`"),
            );
        }
        if let Some(rollout) = node.get("rollout") {
            self.diagnostics.extend(super::rollout::check(rollout));
        }
        let sections = ["pre_tasks", "roles", "tasks", "post_tasks", "handlers"];
        for section in sections {
            keywords.shift_remove(section);
        }
        let context = self.settled(Context { keywords, ..Context::default() });
        self.collections = context.keywords.get("collections").map(|written| texts(&written.value)).unwrap_or_default();
        self.uses = 0;
        self.handlers.clear();
        self.imported.clear();
        // What is no list was reported with the keywords.
        let section = |reader: &mut Reader, name: &str| match node.get(name).filter(|list| list.as_list().is_some()) {
            Some(list) => reader.items(list, &context, path, false),
            None => Vec::new(),
        };
        let pre_tasks = section(self, "pre_tasks");
        let roles = node
            .get("roles")
            .filter(|list| list.as_list().is_some())
            .map(|list| self.role_uses(list, &context, path))
            .unwrap_or_default();
        let tasks = section(self, "tasks");
        let post_tasks = section(self, "post_tasks");
        let own = node
            .get("handlers")
            .filter(|list| list.as_list().is_some())
            .map(|list| self.handler_items(list, &context, path))
            .unwrap_or_default();
        let mut handlers = self.take_handlers();
        handlers.extend(own);
        let imported = self.take_imported();
        let dir = Some(beside(path)).filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        Some(Play { span: head_of(node), context, pre_tasks, roles, tasks, post_tasks, handlers, imported, dir })
    }

    fn role_uses(&mut self, list: &Node, context: &Arc<Context>, path: &Path) -> Vec<RoleUse> {
        list.as_list().unwrap_or_default().iter().flat_map(|entry| self.role_entry(entry, context, path)).collect()
    }

    /// Keywords of a mapping, checked against the table. `is_other` says which names somebody else reads.
    pub(super) fn keywords(&mut self, node: &Node, at: u8, is_other: impl Fn(&str) -> bool) -> Keywords {
        let mut keywords = Keywords::new();
        for (key, value) in node.as_map().unwrap_or_default() {
            let name = key.as_str().unwrap_or_default();
            if is_other(name) {
                continue;
            }
            // The old word, which a module of the same name has taken everywhere else.
            let word = if at == PLAY && name == "user" { "remote_user" } else { name };
            match keyword::find(word).filter(|keyword| keyword.at & at != 0) {
                Some(keyword) => {
                    let written = Written { value: value.to_value(), span: value.span };
                    if keyword.form.accepts(&written.value) {
                        self.check_supported(keyword.name, &written);
                        keywords.insert(keyword.name, written);
                    } else {
                        let title = format!("`{name}` takes {}, not a {}", keyword.form.text(), written.value.kind());
                        self.wrong("mistyped-keyword", title, value.span, &format!("not {}", keyword.form.text()));
                    }
                }
                None => self.unknown_keyword(key, at),
            }
        }
        keywords
    }

    /// What the table knows but nobody can do.
    fn check_supported(&mut self, name: &str, written: &Written) {
        let text = written.value.to_text();
        match name {
            "debugger" if !matches!(text.as_str(), "never" | "") => {
                self.wrong(
                    "unsupported-keyword",
                    "the task debugger is not supported",
                    written.span,
                    "only `never` means something here",
                );
            }
            "strategy" if !written.value.has_template() && !STRATEGIES.contains(&text.rsplit('.').next().unwrap_or_default()) => {
                let mut diagnostic = Diagnostic::error("unknown-strategy", format!("there is no strategy `{text}`"))
                    .at(written.span, "not a strategy")
                    .note(format!("known are {}", STRATEGIES.join(", ")));
                if let Some(near) = closest(&text, STRATEGIES.iter().copied()) {
                    diagnostic = diagnostic.patch(written.span, near, "a strategy with a similar name exists");
                }
                self.diagnostics.push(diagnostic);
            }
            _ => {}
        }
    }

    fn unknown_keyword(&mut self, key: &Node, at: u8) {
        let name = key.as_str().unwrap_or_default();
        let place = match at {
            PLAY => "a play",
            keyword::BLOCK => "a block",
            keyword::ROLE => "a role",
            _ => "a task",
        };
        let title = match keyword::find(name) {
            Some(_) => format!("`{name}` cannot stand in {place}"),
            None => format!("{place} has no keyword `{name}`"),
        };
        let mut diagnostic = Diagnostic::error("unknown-keyword", title).at(key.span, "not a keyword here");
        if let Some(near) = closest(name, keyword::names_at(at)) {
            diagnostic = diagnostic.patch(key.span, near, "a keyword with a similar name exists");
        }
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn wrong(&mut self, code: &str, title: impl Into<String>, span: Span, label: &str) {
        self.diagnostics.push(Diagnostic::error(code, title).at(span, label));
    }

    /// A text that must be known now; a template is rendered from what is static.
    pub(super) fn static_text(&mut self, node: &Node, context: &Context) -> Option<String> {
        match node.to_value() {
            Value::Template(template) => {
                let rendered = (self.render)(&template, context).filter(|value| !matches!(value, Value::List(_) | Value::Map(_)));
                if rendered.is_none() {
                    let title = format!("`{}` cannot be known before the play runs", template.text.trim());
                    self.diagnostics.push(
                        Diagnostic::error("dynamic-import", title)
                            .at(node.span, "an import is read before any host is asked")
                            .help("use the `include_` form, or give the variable with `-e` or in the play's `vars`"),
                    );
                }
                rendered.map(|value| value.to_text().to_string())
            }
            value @ (Value::List(_) | Value::Map(_) | Value::Null) => {
                self.wrong("mistyped-keyword", format!("a path is a string, not a {}", value.kind()), node.span, "not a path");
                None
            }
            value => Some(value.to_text().to_string()),
        }
    }

    /// Tags are known before the run, so that tasks can be chosen by them.
    pub(super) fn settled(&mut self, mut context: Context) -> Arc<Context> {
        if let Some(written) = context.keywords.get("module_defaults") {
            self.check_defaults(written);
        }
        let tags =
            context.keywords.get("tags").filter(|written| written.value.has_template()).map(|written| written.value.clone());
        let items = match &tags {
            Some(Value::List(items)) => items.to_vec(),
            Some(other) => vec![other.clone()],
            None => return Arc::new(context),
        };
        let rendered = items.iter().flat_map(|item| match item {
            Value::Template(template) => match (self.render)(template, &context) {
                Some(value) => texts(&value),
                None => vec![template.text.clone()],
            },
            other => texts(other),
        });
        let rendered: Value = rendered.map(Value::from).collect();
        if let Some(written) = context.keywords.get_mut("tags") {
            written.value = rendered;
        }
        Arc::new(context)
    }

    pub fn items(&mut self, list: &Node, context: &Arc<Context>, file: &Path, is_handler: bool) -> Vec<Item> {
        let named = context.nearest("collections").map(|written| texts(&written.value)).unwrap_or_default();
        let outer = std::mem::replace(&mut self.collections, named);
        let items = match list.as_list() {
            Some(nodes) => nodes.iter().filter_map(|node| self.item(node, context, file, is_handler)).collect(),
            None if list.is_null() => Vec::new(),
            None => {
                self.wrong("not-a-list", "tasks are a list", list.span, "this is not a list");
                Vec::new()
            }
        };
        self.collections = outer;
        items
    }

    fn handler_items(&mut self, list: &Node, context: &Arc<Context>, file: &Path) -> Vec<Arc<Task>> {
        let items = self.items(list, context, file, true);
        flat(items)
    }
}

/// Every task in `items`, blocks opened.
pub(super) fn flat(items: Vec<Item>) -> Vec<Arc<Task>> {
    items
        .into_iter()
        .flat_map(|item| match item {
            Item::Task(task) => vec![task],
            Item::Block(block) => flat(block.body.clone()),
        })
        .collect()
}

/// The directory a file is in; empty for the working directory, so that `x.yaml` stays `x.yaml` and is never `./x.yaml`.
pub(super) fn beside(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// The first line of a mapping, to point at it without marking all of it.
pub(super) fn head_of(node: &Node) -> Span {
    match node.as_map().and_then(<[_]>::first) {
        Some((key, _)) => key.span,
        None => node.span,
    }
}

/// "No such file or directory" without the number behind it.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn is_import(name: &str) -> bool {
    matches!(name, "import_playbook" | "ansible.builtin.import_playbook")
}

/// What an import says holds for its plays as well.
fn merged(outer: &Keywords, own: Keywords) -> Keywords {
    let mut all = own;
    for (name, written) in outer.iter().filter(|(name, _)| matches!(**name, "tags" | "vars" | "when")) {
        all.entry(name).and_modify(|inner| inner.value = joined(&written.value, &inner.value)).or_insert_with(|| written.clone());
    }
    all
}

fn joined(outer: &Value, inner: &Value) -> Value {
    match (outer, inner) {
        (Value::Map(outer), Value::Map(inner)) => {
            let mut map = Map::clone(outer);
            map.extend(inner.iter().map(|(key, value)| (key.clone(), value.clone())));
            map.into()
        }
        _ => texts(outer).into_iter().chain(super::task::texts(inner)).map(Value::from).collect(),
    }
}
