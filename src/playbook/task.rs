//! Tasks, blocks, roles and plays, as data.

use super::collections;
use super::keyword::{self, Inherit, Keywords, Written};
use super::kv::scalar;
use crate::diag::Diagnostic;
use crate::modules::Module;
use crate::value::{Map, Span, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One play: which hosts, and what happens to them.
#[derive(Debug)]
pub struct Play {
    pub span: Span,
    /// Keywords of the play, and what every task inherits.
    pub context: Arc<Context>,
    pub pre_tasks: Vec<Item>,
    /// With their dependencies before them, in order.
    pub roles: Vec<RoleUse>,
    pub tasks: Vec<Item>,
    pub post_tasks: Vec<Item>,
    pub handlers: Vec<Arc<Task>>,
    /// Roles imported among the tasks: their variables are seen by the whole play.
    pub imported: Vec<Arc<Role>>,
    /// Directory of the playbook.
    pub dir: PathBuf,
}

/// One use of a role.
#[derive(Debug)]
pub struct RoleInstance {
    pub identity: RoleIdentity,
    /// `allow_duplicates`.
    pub may_repeat: bool,
    /// Of `roles:` or of a role's dependencies; else tasks import or include it.
    pub is_entry: bool,
}

/// What makes two uses of a role the same one: of those, one runs for each host of a play.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleIdentity {
    pub path: PathBuf,
    /// What is given to it, as it is written: parameters, variables, tags and conditions of an entry; files and variables of an
    /// include.
    pub given: String,
}

/// A role in one place of a play.
#[derive(Debug)]
pub struct RoleUse {
    pub role: Arc<Role>,
    /// Named by another role, not by the play.
    pub is_dependency: bool,
    pub items: Vec<Item>,
}

/// A role's files, read.
#[derive(Debug)]
pub struct Role {
    pub name: String,
    pub path: PathBuf,
    pub defaults: Arc<Map>,
    pub vars: Arc<Map>,
    /// Roles that run before it: it sees their variables, below its own.
    pub dependencies: Vec<Arc<Role>>,
    /// Where it looks for short names: its own collection and those that its `meta` names.
    pub collections: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum Item {
    Task(Arc<Task>),
    Block(Arc<Block>),
}

#[derive(Debug)]
pub struct Block {
    pub span: Span,
    pub body: Vec<Item>,
    pub rescue: Vec<Item>,
    pub always: Vec<Item>,
}

#[derive(Debug)]
pub struct Task {
    /// Where its module is named.
    pub span: Span,
    /// Where it begins.
    pub head: Span,
    /// The module as written, and what it stands for.
    pub action: Action,
    /// Arguments as written; templates inside. `k=v` text is split already.
    pub args: Map,
    /// Where each argument was written.
    pub arg_spans: Vec<(String, Span)>,
    pub context: Arc<Context>,
    /// What else `module_defaults` may call its module: where it is the user's own, or a collection redirects to it.
    pub own_names: Vec<String>,
    /// Groups of `module_defaults` that its module is in because a collection of the user says so.
    pub own_groups: Vec<String>,
    /// `with_items` and its kind; `loop` is a keyword.
    pub with: Option<(String, Written)>,
    /// The file it was read from, for relative paths.
    pub file: PathBuf,
    pub is_handler: bool,
    /// What is wrong with its arguments. Ansible finds that when the task runs, and may never come so far.
    pub problems: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
pub struct Action {
    pub name: String,
    pub span: Span,
    pub kind: ActionKind,
}

#[derive(Debug, Clone, Copy)]
pub enum ActionKind {
    Module(&'static Module),
    /// The name is a template.
    Dynamic,
}

/// Keywords of one thing and of everything around it.
#[derive(Debug, Default)]
pub struct Context {
    pub keywords: Keywords,
    pub role: Option<Arc<Role>>,
    /// Parameters of a role or an include: stronger than variables.
    pub params: Map,
    /// The use of a role that begins here. Parameters of an entry are for the role alone.
    pub role_use: Option<Arc<RoleInstance>>,
    pub parent: Option<Arc<Context>>,
}

/// One entry of `vars_prompt`.
#[derive(Debug)]
pub struct Prompt {
    pub name: String,
    pub text: String,
    pub default: Option<Value>,
    pub is_private: bool,
    /// Asked for twice.
    pub is_confirmed: bool,
}

impl Play {
    pub fn prompts(&self) -> Vec<Prompt> {
        let written = self.context.keywords.get("vars_prompt").map(|written| &written.value);
        written.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Prompt::of).collect()
    }
}

impl Prompt {
    fn of(entry: &Value) -> Option<Prompt> {
        let says = |name: &str| entry.get(name).and_then(Value::to_bool);
        let name = entry.get("name")?.to_text().to_string();
        let text = entry.get("prompt").map_or_else(|| name.clone(), |prompt| prompt.to_text().to_string());
        let default = entry.get("default").filter(|default| !default.is_null()).cloned();
        Some(Prompt {
            name,
            text,
            default,
            is_private: says("private").unwrap_or(true),
            is_confirmed: says("confirm").unwrap_or(false),
        })
    }
}

impl Role {
    /// The roles that this one depends on, directly or not, the one that counts most first.
    pub fn all_dependencies(&self) -> Vec<&Arc<Role>> {
        let mut all = Vec::new();
        for role in self.dependencies.iter().rev() {
            all.push(role);
            all.extend(role.all_dependencies());
        }
        all
    }
}

impl Context {
    /// This and everything around it, from the inside out.
    pub fn chain(&self) -> impl Iterator<Item = &Context> {
        std::iter::successors(Some(self), |context| context.parent.as_deref())
    }

    /// The uses of roles that this stands in, from the inside out to the entry that brought them.
    pub fn role_uses(&self) -> impl Iterator<Item = &Arc<RoleInstance>> {
        let mut is_over = false;
        self.chain()
            .filter_map(|context| context.role_use.as_ref())
            .take_while(move |role| !std::mem::replace(&mut is_over, role.is_entry))
    }

    /// What counts for a keyword that the nearest one decides.
    pub fn nearest(&self, name: &str) -> Option<&Written> {
        let inherits = keyword::find(name).is_none_or(|keyword| keyword.inherit != Inherit::No);
        let mut chain = self.chain();
        if inherits { chain.find_map(|context| context.keywords.get(name)) } else { chain.next()?.keywords.get(name) }
    }

    /// Everything that was written for a gathered keyword, from the outside in.
    pub fn gathered(&self, name: &str) -> Vec<&Written> {
        let mut found: Vec<&Written> = self.chain().filter_map(|context| context.keywords.get(name)).collect();
        found.reverse();
        found
    }

    pub fn role(&self) -> Option<&Arc<Role>> {
        self.chain().find_map(|context| context.role.as_ref())
    }

    /// Tags of this and everything around it.
    pub fn tags(&self) -> Vec<String> {
        let mut tags = Vec::new();
        for written in self.gathered("tags") {
            for tag in texts(&written.value) {
                tags.extend(tag.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()));
            }
        }
        tags.sort();
        tags.dedup();
        tags
    }

    /// A context inside this one.
    pub fn child(self: &Arc<Context>, keywords: Keywords) -> Context {
        Context { keywords, parent: Some(self.clone()), ..Context::default() }
    }
}

impl Role {
    /// `namespace.collection`, where it belongs to one.
    pub fn collection(&self) -> Option<String> {
        collections::collection_of(&self.path)
    }
}

impl Task {
    /// One that nobody wrote: the run needs it, on behalf of what stands at `head` in `file`.
    pub fn made(
        name: impl Into<String>,
        module: &'static Module,
        args: Map,
        context: Context,
        head: Span,
        file: PathBuf,
    ) -> Task {
        Task {
            span: head,
            head,
            action: Action { name: name.into(), span: head, kind: ActionKind::Module(module) },
            args,
            arg_spans: Vec::new(),
            context: Arc::new(context),
            own_names: Vec::new(),
            own_groups: Vec::new(),
            with: None,
            file,
            is_handler: false,
            problems: Vec::new(),
        }
    }

    pub fn keyword(&self, name: &str) -> Option<&Written> {
        self.context.nearest(name)
    }

    /// Only what the task itself says.
    pub fn own(&self, name: &str) -> Option<&Written> {
        self.context.keywords.get(name)
    }

    /// Where an argument was written.
    pub fn arg_span(&self, name: &str) -> Span {
        self.arg_spans.iter().find(|(known, _)| known == name).map_or(self.span, |(_, span)| *span)
    }

    /// Where a relative name is searched: in the role, beside the task's file, beside the playbook; in `folder` first.
    pub fn search(&self, folder: &str, play_dir: &Path) -> Vec<PathBuf> {
        let roles = self.context.chain().filter_map(|context| context.role.as_ref());
        let mut bases: Vec<PathBuf> = roles.map(|role| role.path.clone()).collect();
        bases.extend(self.file.parent().map(Path::to_owned));
        bases.push(play_dir.to_owned());
        let mut places: Vec<PathBuf> = Vec::new();
        for base in bases {
            for place in [base.join(folder), base.join("tasks"), base] {
                if !places.contains(&place) && (place.ends_with(folder) || !place.ends_with("tasks") || folder == "tasks") {
                    places.push(place);
                }
            }
        }
        places
    }

    /// Its name as written, if it has one; it may hold a template.
    pub fn name(&self) -> Option<&Value> {
        self.own("name").map(|written| &written.value).filter(|name| !name.is_null())
    }

    /// Its name, or its module's where it has none, with its role.
    pub fn title(&self) -> String {
        self.titled(&self.shown_name().to_text())
    }

    /// Its name as it is shown; it may hold a template.
    pub fn shown_name(&self) -> Value {
        if let Some(name) = self.name() {
            return name.clone();
        }
        let role = self.args.get("name").or_else(|| self.args.get("role")).filter(|_| self.module() == "include_role");
        match role {
            Some(role) => scalar(&format!("{} : {}", self.action.name, role.to_text()), self.span),
            None => Value::from(self.action.name.as_str()),
        }
    }

    /// A name with the task's role before it; an include of a role names only that.
    pub fn titled(&self, name: &str) -> String {
        match self.context.role() {
            Some(role) if self.module() != "include_role" => format!("{} : {name}", role.name),
            _ => name.to_owned(),
        }
    }

    /// Whether one host does it for all by nature: what it changes is the run itself, or the operator is asked.
    pub fn is_for_all(&self) -> bool {
        match self.module() {
            "add_host" | "pause" => true,
            "meta" => !self.is_meta_of_host(),
            _ => false,
        }
    }

    /// `meta` that each host does for itself.
    fn is_meta_of_host(&self) -> bool {
        let word = self.args.get("_raw_params").map(|word| word.to_text().trim().to_owned()).unwrap_or_default();
        matches!(word.as_str(), "noop" | "flush_handlers" | "end_host" | "end_role" | "reset_connection")
    }

    /// The module's short name.
    pub fn module(&self) -> &str {
        match self.action.kind {
            ActionKind::Module(module) => module.name,
            ActionKind::Dynamic => &self.action.name,
        }
    }
}

/// One text or a list of them.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::List(items) => items.iter().map(|item| item.to_text().to_string()).collect(),
        other => vec![other.to_text().to_string()],
    }
}
