//! The keyword table: what may stand where in a playbook.

use crate::value::{Span, Value};
use indexmap::IndexMap;

/// One keyword of Ansible's documentation.
#[derive(Debug)]
pub struct Keyword {
    pub name: &'static str,
    /// Some of [`PLAY`], [`ROLE`], [`BLOCK`], [`TASK`].
    pub at: u8,
    pub form: Form,
    pub inherit: Inherit,
    pub help: &'static str,
}

pub const PLAY: u8 = 1;
pub const ROLE: u8 = 2;
pub const BLOCK: u8 = 4;
pub const TASK: u8 = 8;
const ALL: u8 = PLAY | ROLE | BLOCK | TASK;
const INNER: u8 = ROLE | BLOCK | TASK;

/// What a keyword's value may be, when it is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Bool,
    Number,
    /// A text, or a list of texts.
    Texts,
    /// A condition: text, boolean, or a list of them.
    Conditions,
    Map,
    List,
    Any,
}

/// How an inner thing gets what an outer one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherit {
    /// It does not.
    No,
    /// The nearest one counts.
    Nearest,
    /// All count, from the outside in.
    Gather,
}

/// What was written at one thing, by keyword.
pub type Keywords = IndexMap<&'static str, Written>;

#[derive(Clone, Debug)]
pub struct Written {
    pub value: Value,
    pub span: Span,
}

const fn row(name: &'static str, at: u8, form: Form, inherit: Inherit, help: &'static str) -> Keyword {
    Keyword { name, at, form, inherit, help }
}

/// In the order of `roll doc --keywords`.
pub static KEYWORDS: &[Keyword] = &[
    row("name", ALL, Form::Text, Inherit::No, "what it is for; shown in the output"),
    row("hosts", PLAY, Form::Texts, Inherit::No, "host pattern: which hosts of the inventory"),
    row("tasks", PLAY, Form::List, Inherit::No, "tasks after the roles"),
    row("pre_tasks", PLAY, Form::List, Inherit::No, "tasks before the roles"),
    row("post_tasks", PLAY, Form::List, Inherit::No, "tasks after `tasks`"),
    row("handlers", PLAY, Form::List, Inherit::No, "tasks that run when notified"),
    row("roles", PLAY, Form::List, Inherit::No, "roles before `tasks`"),
    row("rollout", PLAY, Form::Map, Inherit::No, "one batch after the other behind a load balancer (not in Ansible)"),
    row("vars_files", PLAY, Form::Any, Inherit::No, "files with variables"),
    row("vars_prompt", PLAY, Form::List, Inherit::No, "variables to ask for"),
    row("gather_facts", PLAY, Form::Bool, Inherit::No, "run `setup` first (default: yes)"),
    row("gather_subset", PLAY, Form::Texts, Inherit::No, "which facts"),
    row("gather_timeout", PLAY, Form::Number, Inherit::No, "seconds for facts"),
    row("fact_path", PLAY, Form::Text, Inherit::No, "directory of local facts"),
    row("serial", PLAY, Form::Any, Inherit::No, "batch sizes: a number, a percentage, or a list of them"),
    row("strategy", PLAY, Form::Text, Inherit::No, "linear, free or host_pinned"),
    row("order", PLAY, Form::Text, Inherit::No, "inventory, reverse_inventory, sorted, reverse_sorted or shuffle"),
    row("max_fail_percentage", PLAY, Form::Any, Inherit::No, "stop the play when more than this share of a batch fails"),
    row("force_handlers", PLAY, Form::Bool, Inherit::No, "run notified handlers even on hosts that failed"),
    row("vars", ALL, Form::Map, Inherit::Gather, "variables"),
    row("environment", ALL, Form::Any, Inherit::Gather, "environment variables of what runs on the host"),
    row("when", INNER, Form::Conditions, Inherit::Gather, "only if all of these hold"),
    row("tags", ALL, Form::Texts, Inherit::Gather, "for `--tags` and `--skip-tags`"),
    row("become", ALL, Form::Bool, Inherit::Nearest, "run as another user"),
    row("become_user", ALL, Form::Text, Inherit::Nearest, "which user (default: root)"),
    row("become_method", ALL, Form::Text, Inherit::Nearest, "sudo or su"),
    row("become_flags", ALL, Form::Text, Inherit::Nearest, "extra flags for the method"),
    row("become_exe", ALL, Form::Text, Inherit::Nearest, "path of the method's program"),
    row("remote_user", ALL, Form::Text, Inherit::Nearest, "login user"),
    row("connection", ALL, Form::Text, Inherit::Nearest, "ssh or local"),
    row("port", ALL, Form::Number, Inherit::Nearest, "port of the SSH server"),
    row("no_log", ALL, Form::Bool, Inherit::Nearest, "never show the result"),
    row("ignore_errors", ALL, Form::Bool, Inherit::Nearest, "a failure does not stop the host"),
    row("ignore_unreachable", ALL, Form::Bool, Inherit::Nearest, "a lost connection does not stop the host"),
    row("any_errors_fatal", ALL, Form::Bool, Inherit::Nearest, "a failure on one host stops all"),
    row("check_mode", ALL, Form::Bool, Inherit::Nearest, "always, or never, in check mode"),
    row("diff", ALL, Form::Bool, Inherit::Nearest, "show what changes"),
    row("run_once", ALL, Form::Bool, Inherit::Nearest, "only on the first host; the result is for all"),
    row("throttle", ALL, Form::Number, Inherit::Nearest, "at most this many hosts at once"),
    row("timeout", ALL, Form::Number, Inherit::Nearest, "seconds after which a task fails"),
    row("delegate_to", INNER, Form::Text, Inherit::Nearest, "run it on another host, for this one"),
    row("delegate_facts", INNER, Form::Bool, Inherit::Nearest, "facts belong to the host it is delegated to"),
    row("debugger", ALL, Form::Text, Inherit::Nearest, "not supported: a message says so"),
    row("module_defaults", ALL, Form::Any, Inherit::Gather, "arguments that a module gets unless the task gives them"),
    row("collections", ALL, Form::Texts, Inherit::Nearest, "where short names are looked up"),
    row("block", BLOCK, Form::List, Inherit::No, "tasks that belong together"),
    row("rescue", BLOCK, Form::List, Inherit::No, "runs when one of the block failed"),
    row("always", BLOCK, Form::List, Inherit::No, "runs in any case"),
    row("notify", BLOCK | TASK, Form::Texts, Inherit::Nearest, "handlers to run at the end if this changed something"),
    row("action", TASK, Form::Any, Inherit::No, "the module, with its arguments"),
    row("local_action", TASK, Form::Any, Inherit::No, "the module, on the control side"),
    row("args", TASK, Form::Any, Inherit::No, "more arguments for the module"),
    row("async", TASK, Form::Number, Inherit::No, "seconds it may run in the background"),
    row("poll", TASK, Form::Number, Inherit::No, "seconds between looks at it; 0: do not wait"),
    row("register", TASK, Form::Text, Inherit::No, "variable for the result"),
    row("changed_when", TASK, Form::Conditions, Inherit::No, "what counts as changed"),
    row("failed_when", TASK, Form::Conditions, Inherit::No, "what counts as failed"),
    row("until", TASK, Form::Conditions, Inherit::No, "try again until this holds"),
    row("retries", TASK, Form::Number, Inherit::No, "how often at most (default: 3)"),
    row("delay", TASK, Form::Number, Inherit::No, "seconds between tries (default: 5)"),
    row("loop", TASK, Form::Any, Inherit::No, "once for each item"),
    row("loop_control", TASK, Form::Map, Inherit::No, "loop_var, index_var, label, pause, extended, break_when"),
    row("listen", TASK, Form::Texts, Inherit::No, "topics a handler listens to"),
    row("role", ROLE, Form::Text, Inherit::No, "name or path of the role"),
];

pub fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// The keywords that may stand at one place, for "did you mean".
pub fn names_at(at: u8) -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().filter(move |keyword| keyword.at & at != 0).map(|keyword| keyword.name)
}

impl Form {
    /// For messages: what it takes.
    pub fn text(self) -> &'static str {
        match self {
            Form::Text => "a string",
            Form::Bool => "a boolean",
            Form::Number => "a number",
            Form::Texts => "a string or a list of strings",
            Form::Conditions => "a condition or a list of conditions",
            Form::Map => "a mapping",
            Form::List => "a list",
            Form::Any => "any value",
        }
    }

    /// Templates are judged when they are rendered.
    pub fn accepts(self, value: &Value) -> bool {
        let is_scalar = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_));
        match (self, value) {
            (Form::Any, _) | (_, Value::Template(_) | Value::Null) => true,
            (Form::Text, value) => is_scalar(value),
            (Form::Bool, value) => value.to_bool().is_some(),
            (Form::Number, value) => value.to_float().is_some(),
            (Form::Texts | Form::Conditions, Value::List(items)) => items.iter().all(is_scalar),
            (Form::Texts | Form::Conditions, value) => is_scalar(value),
            (Form::Map, value) => value.as_map().is_some(),
            (Form::List, value) => value.as_list().is_some(),
        }
    }
}
