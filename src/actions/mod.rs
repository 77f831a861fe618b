//! The control-side half of the modules that have one: `copy` reads local files, `template` renders, `set_fact` never reaches a host.
//!
//! One file an action, one row in [`ACTIONS`], by the module's name. An action gets checked arguments and [`Hands`]: the
//! engine's way to render, to find files and to run the host's half. It answers with return values and, where the run itself
//! has to do something (set variables, add tasks), with an [`Effect`] that the engine carries out. Actions never connect, print or keep
//! state. Start reading at [`Hands`], then `debug.rs`.

mod add_host;
mod assemble;
mod assert;
mod aws;
mod body;
mod context;
mod copy;
mod debug;
mod digest;
mod docker_image;
mod fetch;
mod gather_facts;
mod include;
mod include_vars;
mod meta;
mod own;
mod package;
mod pause;
mod raw;
mod reboot;
mod script;
mod set_fact;
mod synchronize;
mod template;
mod unarchive;
mod validate;
mod wait_for_connection;

pub use body::{Bodies, Body};
pub use synchronize::Reach;

use crate::diag::Diagnostic;
use crate::modules::{Args, Failure, Module};
use crate::playbook::Parts;
use crate::value::{Map, Value};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What an action may use. The engine implements it for one task on one host.
pub trait Hands: Sync {
    /// Renders a bare expression (`debug: var=`).
    fn expression(&self, text: &str) -> Result<Value, Problem>;
    /// Whether a condition holds.
    fn condition(&self, condition: &Value) -> Result<bool, Problem>;
    /// Renders the text of a template file; `options` are the module's arguments.
    fn template(&self, text: &str, path: &Path, options: &Args) -> Result<String, Problem>;
    /// Every template inside rendered.
    fn render(&self, value: &Value) -> Result<Value, Problem>;
    /// A file in the role's `folder` (`files`, `templates`, `vars`, `tasks`), beside the task's file, or beside the playbook.
    fn find(&self, folder: &str, name: &str) -> Result<PathBuf, Problem>;
    /// The bytes of a local file; a vault is opened.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Problem>;
    fn variables(&self, path: &Path) -> Result<Map, Problem>;
    fn verbosity(&self) -> u8;
    fn is_check(&self) -> bool;
    /// `jinja2_native`.
    fn is_native(&self) -> bool;
    fn is_diff(&self) -> bool;
    /// Runs a module on the host.
    fn module(&self, name: &str, args: Map, bodies: Bodies) -> impl Future<Output = Result<Map, Problem>> + Send;
    /// Runs a command line through the login shell, with nothing else on the host.
    fn shell(&self, line: &str, stdin: Option<Vec<u8>>) -> impl Future<Output = Result<Shell, Problem>> + Send;
    /// The same on the control side.
    fn shell_here(&self, line: &str) -> impl Future<Output = Result<Shell, Problem>> + Send;
    /// How another program reaches the task's own host, whoever it is delegated to; none where that is the control side.
    fn reach(&self) -> Result<Option<Reach>, Problem>;
    /// The host that the task is delegated to, be it its own.
    fn delegate_of_task(&self) -> Result<Option<String>, Problem>;
    /// Copies a file of the host into a local one, unless it has this sha1; answers with its `checksum`, or why it is `missing`.
    fn fetch(&self, src: &str, have: Option<&str>, dest: &Path) -> impl Future<Output = Result<Map, Problem>> + Send;
    /// Whether the host answers within this time.
    fn knock(&self, timeout: Duration) -> impl Future<Output = Result<(), Problem>> + Send;
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
    /// A line typed by the operator; none where nobody can answer.
    fn ask(&self, prompt: &str, echo: bool) -> impl Future<Output = Result<Option<String>, Problem>> + Send;
    /// What is being waited for.
    fn say(&self, line: &str);
    /// A line that the operator is to see in any case.
    fn tell(&self, line: &str);
    fn host(&self) -> &str;
    /// From now on the secrets in this are masked wherever they turn up.
    fn hide(&self, value: &Value);
    /// The task's `environment`.
    fn environment(&self) -> &[(String, String)];
    /// Whether the host is the control side itself.
    fn is_local(&self) -> bool;
}

/// How a command line ended.
#[derive(Debug, Default)]
pub struct Shell {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Why a task failed: return values with `msg`, and a diagnostic where a place in a file is to blame.
#[derive(Debug, Clone)]
pub struct Problem {
    pub failure: Failure,
    pub diagnostic: Option<Box<Diagnostic>>,
    /// The connection is gone: the host is unreachable, which is more than a failed task.
    pub is_unreachable: bool,
}

/// What an action answers with.
#[derive(Debug, Default)]
pub struct Answer {
    pub values: Map,
    pub effect: Option<Effect>,
}

/// What the run itself has to do.
#[derive(Debug, Clone)]
pub enum Effect {
    SetFacts { facts: Map, cacheable: bool },
    IncludeVars(Map),
    AddHost { name: String, groups: Vec<String>, vars: Map },
    GroupBy { group: String, parents: Vec<String> },
    Meta(Meta),
    IncludeTasks { path: PathBuf, apply: Option<Map> },
    IncludeRole { name: String, parts: Parts, apply: Option<Map>, public: bool },
    Stats { data: Map, per_host: bool, aggregate: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    FlushHandlers,
    EndPlay,
    EndBatch,
    EndHost,
    EndRole,
    ClearHostErrors,
    ClearFacts,
    ResetConnection,
    RefreshInventory,
    Noop,
}

/// Whether an action of this name exists; everything else runs on the host alone.
pub fn is_action(name: &str) -> bool {
    ACTIONS.contains(&name)
}

/// Whether the host can be left alone with it: what the control side adds to `package` is only for hosts that say nothing of their
/// package manager.
pub fn can_be_left(name: &str) -> bool {
    !is_action(name) || name == "package"
}

/// The actions, by module name. [`run`] is the switch that the compiler checks against it.
pub static ACTIONS: &[&str] = &[
    "_own",
    "add_host",
    "assemble",
    "assert",
    "copy",
    "debug",
    "docker_image",
    "docker_image_build",
    "docker_login",
    "ec2_instance_info",
    "elb_target",
    "elb_target_group_info",
    "elb_target_info",
    "fail",
    "fetch",
    "gather_facts",
    "group_by",
    "include_role",
    "include_tasks",
    "include_vars",
    "meta",
    "package",
    "pause",
    "raw",
    "reboot",
    "s3_object",
    "script",
    "secretsmanager_secret",
    "set_fact",
    "set_stats",
    "ssm_parameter",
    "synchronize",
    "template",
    "unarchive",
    "validate_argument_spec",
    "wait_for_connection",
];

/// Runs the control-side half of `module`.
pub async fn run<H: Hands>(module: &'static Module, args: &Args, hands: &H) -> Result<Answer, Problem> {
    match module.name {
        "_own" => own::own(args, hands).await,
        "add_host" => add_host::add_host(args),
        "group_by" => add_host::group_by(args),
        "assemble" => assemble::assemble(args, hands).await,
        "assert" => assert::assert(args, hands),
        "fail" => {
            let msg = args.get("msg").cloned().unwrap_or_default();
            Err(Failure::new(msg.to_text().as_str()).with("msg", msg).into())
        }
        "debug" => debug::debug(args, hands),
        "copy" => copy::copy(args, hands).await,
        "docker_image" => docker_image::build("docker_image", args, hands).await,
        "docker_image_build" => docker_image::build("docker_image_build", args, hands).await,
        "docker_login" => aws::login::login(args, hands).await,
        "ec2_instance_info" => aws::instances::info(args, hands).await,
        "elb_target" => aws::elb::target(args, hands).await,
        "elb_target_group_info" => aws::elb::group_info(args, hands).await,
        "elb_target_info" => aws::elb::target_info(args, hands).await,
        "s3_object" => aws::objects::object(args, hands).await,
        "secretsmanager_secret" => aws::secret::secret(args, hands).await,
        "ssm_parameter" => aws::parameter::parameter(args, hands).await,
        "gather_facts" => gather_facts::gather(args, hands).await,
        "fetch" => fetch::fetch(args, hands).await,
        "include_tasks" => include::tasks(args, hands),
        "include_role" => include::role(args),
        "include_vars" => include_vars::include_vars(args, hands),
        "meta" => meta::meta(args),
        "package" => package::package(args, hands).await,
        "pause" => pause::pause(args, hands).await,
        "raw" => raw::raw(args, hands).await,
        "reboot" => reboot::reboot(args, hands).await,
        "script" => script::script(args, hands).await,
        "set_fact" => set_fact::set_fact(args, hands),
        "set_stats" => set_fact::set_stats(args),
        "synchronize" => synchronize::synchronize(args, hands).await,
        "template" => template::template(args, hands).await,
        "unarchive" => unarchive::unarchive(args, hands).await,
        "validate_argument_spec" => validate::validate(args, hands),
        "wait_for_connection" => wait_for_connection::wait_for_connection(args, hands).await,
        other => Err(Failure::new(format!("`{other}` has no control side")).into()),
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem { failure, diagnostic: None, is_unreachable: false }
    }
}

impl Problem {
    pub fn new(msg: impl Into<String>) -> Problem {
        Failure::new(msg).into()
    }

    fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
        Problem::new(format!("cannot read `{}`: {error}", path.display()))
    }
}

impl Answer {
    pub fn of(values: Map) -> Answer {
        Answer { values, effect: None }
    }

    pub fn effect(effect: Effect) -> Answer {
        Answer { values: Map::from_iter([("changed".into(), Value::Bool(false))]), effect: Some(effect) }
    }
}

/// `stdout_lines` beside `stdout`, for what a host has printed.
pub fn add_lines(values: &mut Map) {
    for name in ["stdout", "stderr"] {
        let lines = format!("{name}_lines");
        if let Some(text) = values.get(name).and_then(Value::as_str)
            && !values.contains_key(lines.as_str())
        {
            let split: Value = text.lines().map(Value::from).collect();
            values.insert(lines.into(), split);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_its_module_row() {
        for name in ACTIONS {
            assert!(crate::modules::find(name).is_some(), "{name}");
        }
    }
}
