//! Finding and reading roles.

use super::collections::collection_of;
use super::keyword::{Keywords, ROLE, Written};
use super::reader::{Reader, beside, flat};
use super::section::FoundSpan;
use super::task::{Block, Context, Item, Role, RoleIdentity, RoleInstance, RoleUse, Task, texts};
use crate::diag::{Diagnostic, Span, closest};
use crate::value::{Map, Value};
use crate::yaml::{Content, Node};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which files of a role are wanted; `main` unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    pub tasks: String,
    pub vars: String,
    pub defaults: String,
    pub handlers: String,
    /// Whether its variables are checked against what it declares for them.
    pub is_validated: bool,
    /// Whether it runs although it did before.
    pub may_repeat: bool,
}

impl Default for Parts {
    fn default() -> Parts {
        let main = || "main".to_owned();
        Parts { tasks: main(), vars: main(), defaults: main(), handlers: main(), is_validated: true, may_repeat: true }
    }
}

impl Reader {
    /// One entry of `roles:` or of a role's dependencies, its own dependencies first.
    pub(super) fn role_entry(&mut self, entry: &Node, context: &Arc<Context>, file: &Path) -> Vec<RoleUse> {
        let Some((name, span)) = self.role_name(entry) else { return Vec::new() };
        let is_known = |key: &str| super::keyword::find(key).is_some_and(|keyword| keyword.at & ROLE != 0);
        let mut keywords = self.keywords(entry, ROLE, |key| !is_known(key));
        keywords.shift_remove("role");
        // Whatever is no keyword is a parameter of the role.
        let params = entry.as_map().unwrap_or_default().iter().filter_map(|(key, value)| {
            let name = key.as_str()?;
            (!is_known(name)).then(|| (name.into(), value.to_value()))
        });
        let params: Map = params.collect();
        let Some(path) = self.find_role(&name, file, span) else { return Vec::new() };
        self.role_use(&name, &path, keywords, params, context, span)
    }

    fn role_use(
        &mut self,
        name: &str,
        path: &Path,
        keywords: Keywords,
        params: Map,
        context: &Arc<Context>,
        span: Span,
    ) -> Vec<RoleUse> {
        let meta = self.meta(path);
        let may_repeat = meta
            .as_ref()
            .and_then(|meta| meta.get("allow_duplicates"))
            .and_then(|node| node.to_value().to_bool())
            .unwrap_or(false);
        let given: Value = ["vars", "tags", "when"]
            .iter()
            .filter_map(|name| Some(keywords.get(name)?.value.clone()))
            .chain([params.clone().into()])
            .collect();
        let given = given.to_text().to_string();
        let identity = RoleIdentity { path: path.to_owned(), given };
        let around = || context.chain().filter_map(|around| around.role_use.as_ref());
        let is_loop = around().take_while(|role| role.is_entry).any(|role| role.identity.path == path);
        if !is_loop && around().any(|role| role.identity == identity) {
            return Vec::new();
        }
        self.uses += 1;
        if is_loop || self.uses > ROLES_MAX || around().count() > ROLES_DEPTH_MAX {
            self.wrong("role-loop", format!("role `{name}` depends on itself"), span, "used here");
            return Vec::new();
        }
        let mut uses = Vec::new();
        let role_use = Some(Arc::new(RoleInstance { identity, may_repeat, is_entry: true }));
        let around = self.settled(Context { keywords, role: None, params, role_use, parent: Some(context.clone()) });
        for dependency in meta.as_ref().and_then(|meta| meta.get("dependencies")).and_then(Node::as_list).unwrap_or_default() {
            let needed = self.role_entry(dependency, &around, &path.join("meta/main.yml"));
            uses.extend(needed.into_iter().map(|used| RoleUse { is_dependency: true, ..used }));
        }
        let role = self.role(name, path, &Parts::default());
        let items = self.role_tasks(&role, &Parts::default(), &around, None, span);
        uses.push(RoleUse { role, is_dependency: false, items });
        uses
    }

    /// A role that a running play includes, with what it depends on before it. What stands in the play already is not repeated.
    pub fn included_role(
        &mut self,
        name: &str,
        parts: &Parts,
        context: &Arc<Context>,
        file: &Path,
        span: Span,
    ) -> Option<(Arc<Role>, Vec<Item>)> {
        let path = self.find_role(name, file, span)?;
        let mut items = self.dependency_items(&path, context);
        let role = self.role(name, &path, parts);
        items.extend(self.role_tasks(&role, parts, context, Some(inner_use(&path, parts, context)), span));
        Some((role, items))
    }

    fn dependency_items(&mut self, path: &Path, context: &Arc<Context>) -> Vec<Item> {
        let meta = self.meta(path);
        let entries = meta.as_ref().and_then(|meta| meta.get("dependencies")).and_then(Node::as_list).unwrap_or_default();
        let file = path.join("meta/main.yml");
        entries.iter().flat_map(|entry| self.role_entry(entry, context, &file)).flat_map(|used| used.items).collect()
    }

    /// Tasks of a role inside `context`; its handlers are kept for [`Reader::take_handlers`].
    fn role_tasks(
        &mut self,
        role: &Arc<Role>,
        parts: &Parts,
        context: &Arc<Context>,
        role_use: Option<Arc<RoleInstance>>,
        span: Span,
    ) -> Vec<Item> {
        let mut keywords = Keywords::new();
        if !role.collections.is_empty() {
            let names = role.collections.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>();
            keywords.insert("collections", Written { value: names.into(), span });
        }
        let parent = Some(context.clone());
        let inner = Arc::new(Context { keywords, role: Some(role.clone()), role_use, parent, ..Context::default() });
        if let Some(file) = part_file(&role.path.join("handlers"), &parts.handlers)
            && let Some(node) = self.file(&file, span)
        {
            let items = self.items(&node, &inner, &file, true);
            self.reading.pop();
            let known: Vec<Arc<Task>> = flat(items);
            self.handlers.extend(known);
        }
        let mut items: Vec<Item> = self.validation(role, parts, &inner, span).into_iter().collect();
        match part_file(&role.path.join("tasks"), &parts.tasks) {
            Some(file) => items.extend(self.tasks_file(&file, &inner, span, false).unwrap_or_default()),
            None if parts.tasks == "main" => {}
            None => self.wrong(
                "unknown-role-file",
                format!("role `{}` has no tasks/{}", role.name, parts.tasks),
                span,
                "asked for here",
            ),
        }
        items
    }

    pub(super) fn import_role(&mut self, args: &Map, found: FoundSpan, context: &Arc<Context>, file: &Path) -> Option<Item> {
        let text = |name: &str| args.get(name).map(|value| value.to_text().to_string());
        let name_node =
            Node { span: found.value, content: Content::Scalar(args.get("name").or_else(|| args.get("role"))?.clone()) };
        let name = self.static_text(&name_node, context)?;
        let path = self.find_role(&name, file, found.value)?;
        let main = || "main".to_owned();
        let parts = Parts {
            tasks: text("tasks_from").unwrap_or_else(main),
            vars: text("vars_from").unwrap_or_else(main),
            defaults: text("defaults_from").unwrap_or_else(main),
            handlers: text("handlers_from").unwrap_or_else(main),
            is_validated: args.get("rolespec_validate").and_then(Value::to_bool) != Some(false),
            may_repeat: args.get("allow_duplicates").and_then(Value::to_bool) != Some(false),
        };
        let mut body = self.dependency_items(&path, context);
        let role = self.role(&name, &path, &parts);
        if args.get("public").and_then(Value::to_bool) != Some(false) {
            self.imported.push(role.clone());
        }
        body.extend(self.role_tasks(&role, &parts, context, Some(inner_use(&path, &parts, context)), found.value));
        Some(Item::Block(Arc::new(Block { span: found.key, body, rescue: Vec::new(), always: Vec::new() })))
    }

    /// A role's variables. Read once for each set of files.
    pub fn role(&mut self, name: &str, path: &Path, parts: &Parts) -> Arc<Role> {
        let key = path.join(format!("{}:{}:{name}", parts.vars, parts.defaults));
        if let Some(role) = self.roles.get(&key) {
            return role.clone();
        }
        let mut variables = |folder: &str, part: &str| match part_files(&path.join(folder), part) {
            files if files.is_empty() => Map::new(),
            files => files.iter().filter_map(|file| self.variables(file, Span::NOWHERE)).fold(Map::new(), |mut all, map| {
                all.extend(map);
                all
            }),
        };
        let defaults = variables("defaults", &parts.defaults);
        let vars = variables("vars", &parts.vars);
        let meta = self.meta(path);
        let named = meta.as_ref().and_then(|meta| meta.get("collections")).map(|names| texts(&names.to_value()));
        let collections = collection_of(path).into_iter().chain(named.unwrap_or_default()).collect();
        let role = Arc::new(Role {
            name: name.to_owned(),
            path: path.to_owned(),
            defaults: Arc::new(defaults),
            vars: Arc::new(vars),
            dependencies: self.dependencies(path, meta.as_ref()),
            collections,
        });
        self.roles.insert(key, role.clone());
        role
    }

    /// The roles named in its `meta`, for their variables.
    fn dependencies(&mut self, path: &Path, meta: Option<&Node>) -> Vec<Arc<Role>> {
        if self.opening.iter().any(|open| open == path) {
            return Vec::new();
        }
        self.opening.push(path.to_owned());
        let file = path.join("meta/main.yml");
        let entries = meta.and_then(|meta| meta.get("dependencies")).and_then(Node::as_list).unwrap_or_default();
        let mut found = Vec::new();
        for entry in entries {
            let Some((name, span)) = self.role_name(entry) else { continue };
            let Some(path) = self.find_role(&name, &file, span) else { continue };
            found.push(self.role(&name, &path, &Parts::default()));
        }
        self.opening.pop();
        found
    }

    fn meta(&mut self, path: &Path) -> Option<Node> {
        let file = part_file(&path.join("meta"), "main")?;
        let node = self.file(&file, Span::NOWHERE)?;
        self.reading.pop();
        Some(node)
    }

    pub(super) fn argument_specs(&mut self, path: &Path) -> Option<Node> {
        let specs = match part_file(&path.join("meta"), "argument_specs") {
            Some(file) => {
                let node = self.file(&file, Span::NOWHERE)?;
                self.reading.pop();
                node
            }
            None => self.meta(path)?,
        };
        specs.get("argument_specs").cloned()
    }

    fn role_name(&mut self, entry: &Node) -> Option<(String, Span)> {
        let node = match entry.as_map() {
            None => Some(entry),
            Some(_) => entry.get("role").or_else(|| entry.get("name")),
        };
        match node {
            Some(node) if node.as_str().is_some() => self.static_text(node, &Context::default()).map(|name| (name, node.span)),
            _ => {
                self.wrong("no-role-name", "a role needs a name", entry.span, "`role: NAME` is missing");
                None
            }
        }
    }

    /// A path, or a name in `roles/` beside the playbook, in a directory of the search path, or beside the playbook itself.
    pub fn find_role(&mut self, name: &str, file: &Path, span: Span) -> Option<PathBuf> {
        let dir = beside(file);
        let playbook_dir = self.reading.first().map_or(dir, |first| beside(first)).to_owned();
        let mut places = vec![playbook_dir.join("roles"), dir.join("roles"), playbook_dir.clone()];
        places.extend(self.roles_path.iter().cloned());
        // A dependency is searched beside the role that names it.
        places.extend(dir.ancestors().nth(2).map(Path::to_owned));
        if let Some(path) = self.role_in_collections(name, file) {
            return Some(path);
        }
        let found = places.iter().map(|place| place.join(name)).find(|path| path.is_dir());
        if found.is_none() {
            let known: Vec<String> = places
                .iter()
                .flat_map(|place| {
                    std::fs::read_dir(if place.as_os_str().is_empty() { Path::new(".") } else { place })
                        .into_iter()
                        .flatten()
                        .flatten()
                })
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            let mut diagnostic = Diagnostic::error("unknown-role", format!("there is no role `{name}`")).at(span, "used here");
            if let Some(near) = closest(name, known.iter().map(String::as_str)) {
                diagnostic = diagnostic.patch(span, near, "this role exists");
            }
            let shown = |place: &PathBuf| if place.as_os_str().is_empty() { ".".to_owned() } else { place.display().to_string() };
            let mut looked: Vec<String> = places.iter().map(shown).collect();
            looked.sort();
            looked.dedup();
            self.diagnostics.push(diagnostic.note(format!("looked in {}", looked.join(", "))));
        }
        found
    }
}

/// The use of a role by an import or an include, whose variables are in `context`.
fn inner_use(path: &Path, parts: &Parts, context: &Context) -> Arc<RoleInstance> {
    let mut given = context.params.clone();
    if let Some(Value::Map(vars)) = context.keywords.get("vars").map(|written| &written.value) {
        given.extend(vars.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    let files = [&parts.tasks, &parts.vars, &parts.defaults, &parts.handlers].map(|file| Value::from(file.as_str()));
    let given = files.into_iter().chain([given.into()]).collect::<Value>().to_text().to_string();
    let identity = RoleIdentity { path: path.to_owned(), given };
    Arc::new(RoleInstance { identity, may_repeat: parts.may_repeat, is_entry: false })
}

/// Roles of a play, with all that they depend on.
const ROLES_MAX: usize = 10_000;
/// How long a chain of roles that depend on each other gets; longer is one that depends on itself.
const ROLES_DEPTH_MAX: usize = 50;

pub(super) fn part_file(dir: &Path, part: &str) -> Option<PathBuf> {
    ["", ".yml", ".yaml", ".json"].iter().map(|ending| dir.join(format!("{part}{ending}"))).find(|path| path.is_file())
}

/// A file, or all files of a directory of that name.
fn part_files(dir: &Path, part: &str) -> Vec<PathBuf> {
    if let Some(file) = part_file(dir, part) {
        return vec![file];
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join(part))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// For `Written` values made by the program.
impl From<Value> for Written {
    fn from(value: Value) -> Written {
        Written { value, span: Span::NOWHERE }
    }
}
