//! Ansible's words for what `register` keeps and playbooks compare: `'x' is undefined`. People are told by diagnostics.

use crate::actions::Problem as Failed;
use crate::diag::Explain;
use crate::modules::Failure;
use crate::template::{Plugin, Problem, TemplateError};
use crate::value::Value;

/// A template that could not be rendered.
pub(super) fn failed(error: &TemplateError) -> Failed {
    Failed { failure: Failure::new(format!("Task failed: {}", words(error))), ..told(error) }
}

/// A condition that could not be evaluated.
pub(super) fn undecided(error: &TemplateError) -> Failed {
    let msg = format!("Task failed: Error while evaluating conditional: {}", words(error));
    Failed { failure: Failure::new(msg), ..told(error) }
}

/// The same failure while an argument of `module` was rendered.
pub(super) fn in_argument(failed: Failed, module: &str, argument: &str) -> Failed {
    let inner = without_prefix(&failed.failure.msg);
    let msg = format!(
        "Task failed: Finalization of task args for 'ansible.builtin.{module}' failed: \
         Error while resolving value for '{argument}': {inner}"
    );
    Failed { failure: Failure::new(msg), ..failed }
}

/// The same failure while a keyword was rendered.
pub(super) fn in_keyword(failed: Failed, keyword: &str) -> Failed {
    let msg = format!("Task failed: Error processing keyword '{keyword}': {}", without_prefix(&failed.failure.msg));
    Failed { failure: Failure::new(msg), ..failed }
}

/// The same failure of the lookup behind `with_KIND`: only the lookup's own words.
pub(super) fn of_lookup(failed: Failed, kind: &str) -> Failed {
    let prefix = format!("The lookup plugin '{kind}' failed: ");
    let msg = without_prefix(&failed.failure.msg);
    let msg = msg.strip_prefix(&prefix).unwrap_or(msg).to_owned();
    Failed { failure: Failure::new(msg), ..failed }
}

pub(super) fn without_prefix(msg: &str) -> &str {
    msg.strip_prefix("Task failed: ").unwrap_or(msg)
}

/// The name of a value's class in Python.
pub(super) fn class_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::String(_) | Value::Template(_) => "str",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
    }
}

fn told(error: &TemplateError) -> Failed {
    let diagnostic = error.explain();
    Failed { failure: Failure::new(diagnostic.title.clone()), diagnostic: Some(Box::new(diagnostic)), is_unreachable: false }
}

fn words(error: &TemplateError) -> String {
    match &error.problem {
        Problem::Undefined { name, .. } => format!("'{name}' is undefined"),
        Problem::NoAttribute { kind, name, .. } => no_attribute(kind, name),
        Problem::Hint { hint } => hint.clone(),
        Problem::Syntax { reason } => format!("Syntax error in template: {reason}"),
        Problem::UnknownPlugin { plugin: Plugin::Filter, name, .. } => {
            format!("Syntax error in template: No filter named '{name}'.")
        }
        Problem::UnknownPlugin { plugin: Plugin::Test, name, .. } => format!("Syntax error in template: No test named '{name}'."),
        Problem::UnknownPlugin { plugin: Plugin::Lookup, name, .. } => format!("The lookup plugin '{name}' was not found."),
        Problem::UnknownPlugin { plugin: Plugin::Function, name, .. } => format!("'{name}' is undefined"),
        Problem::PluginFailed { plugin: plugin @ (Plugin::Filter | Plugin::Test), name, reason, .. } if name.contains('.') => {
            format!("The {} plugin '{name}' failed: {reason}", plugin.word())
        }
        Problem::PluginFailed { plugin, name, reason, .. } => match plugin {
            Plugin::Filter => format!("The filter plugin 'ansible.builtin.{name}' failed: {reason}"),
            Plugin::Test => format!("The test plugin 'ansible.builtin.{name}' failed: {reason}"),
            Plugin::Lookup => format!("The lookup plugin '{name}' failed: {reason}"),
            Plugin::Function => format!("Error rendering template: {reason}"),
        },
        Problem::Operation { reason } => format!("Error rendering template: {reason}"),
        Problem::Recursion { .. } | Problem::TooDeep { .. } => {
            "Recursive loop detected in template: maximum recursion depth exceeded".to_owned()
        }
        Problem::NoFile { name, searched } => {
            let searched: String = searched.iter().map(|path| format!("\n\t{path}")).collect();
            format!("Could not find or access '{name}'\nSearched in:{searched} on the Ansible Controller.")
        }
        Problem::Unstorable { .. } | Problem::Unreadable { .. } => error.explain().title,
    }
}

fn no_attribute(kind: &str, name: &str) -> String {
    let is_index = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if kind == "list" && is_index {
        return format!("list object has no element {name}");
    }
    format!("object of type '{kind}' has no attribute '{}'", name.trim_matches('\''))
}
