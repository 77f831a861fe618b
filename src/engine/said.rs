//! Ansible's words for what `register` keeps and playbooks compare: `'x' is undefined`. People are told by diagnostics.

use crate::actions::Problem as Failed;
use crate::diag::Explain;
use crate::modules::Failure;
use crate::template::{self, Plugin, Problem, TemplateError};
use crate::value::Value;

/// What stands between a failure's own words and what was undefined.
const WAS: &str = "The error was:";

/// A template that could not be rendered.
pub(super) fn failed(error: &TemplateError) -> Failed {
    Failed { failure: Failure::new(words(error)), ..told(error) }
}

/// A condition that could not be evaluated.
pub(super) fn undecided(error: &TemplateError, condition: &str) -> Failed {
    let inner = words(error);
    let doing = if error.is_undefined() { format!("error while evaluating conditional ({condition}): ") } else { String::new() };
    let msg = format!("The conditional check '{condition}' failed. {WAS} {doing}{inner}");
    Failed { failure: Failure::new(msg), ..told(error) }
}

/// The same failure while an argument was rendered.
pub(super) fn in_argument(failed: Failed) -> Failed {
    if !is_undefined(&failed) {
        return failed;
    }
    let msg = format!("The task includes an option with an undefined variable. {WAS} {}", failed.failure.msg);
    Failed { failure: Failure::new(msg), ..failed }
}

/// The same failure while a keyword was rendered.
pub(super) fn in_keyword(failed: Failed, keyword: &str) -> Failed {
    let inner = &failed.failure.msg;
    let msg = if is_undefined(&failed) {
        format!("The field '{keyword}' has an invalid value, which includes an undefined variable. {WAS} {inner}")
    } else {
        format!("The field '{keyword}' has an invalid value. {WAS} {inner}")
    };
    Failed { failure: Failure::new(msg), ..failed }
}

/// A loop over what is no list.
pub(super) fn no_list(value: &Value) -> Failed {
    let found = value.as_str().map_or_else(|| template::repr(value), str::to_owned);
    Failed::new(format!("Invalid data passed to 'loop', it requires a list, got this instead: {found}."))
}

fn is_undefined(failed: &Failed) -> bool {
    let code = failed.diagnostic.as_ref().map(|diagnostic| diagnostic.code.as_str());
    matches!(code, Some("undefined-variable" | "unknown-attribute" | "undefined-value"))
}

fn told(error: &TemplateError) -> Failed {
    let diagnostic = error.explain();
    Failed { failure: Failure::new(diagnostic.title.clone()), diagnostic: Some(Box::new(diagnostic)), is_unreachable: false }
}

fn words(error: &TemplateError) -> String {
    match &error.problem {
        Problem::Undefined { name, .. } | Problem::UnknownPlugin { plugin: Plugin::Function, name, .. } => {
            format!("'{name}' is undefined")
        }
        Problem::NoAttribute { kind, name, .. } => no_attribute(kind, name),
        Problem::Hint { hint } => hint.clone(),
        Problem::Syntax { reason } => format!("template error while templating string: {reason}"),
        Problem::UnknownPlugin { plugin: Plugin::Lookup, name, .. } => format!("lookup plugin ({name}) not found"),
        Problem::UnknownPlugin { name, .. } if !is_plugin_name(name) => {
            format!("TemplateSyntaxError: Could not load \"{name}\": 'invalid plugin name: ansible.builtin.{name}'")
        }
        Problem::UnknownPlugin { plugin, name, .. } => {
            format!("template error while templating string: No {} named '{name}'. Could not load \"{name}\"", plugin.word())
        }
        Problem::PluginFailed { plugin: Plugin::Function, reason, .. } | Problem::Operation { reason } => {
            format!("Unexpected templating type error occurred: {reason}")
        }
        Problem::Undecryptable { why, .. } => format!("Attempt to use undecryptable variable: {why}"),
        Problem::PluginFailed { reason, .. } => reason.clone(),
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

fn is_plugin_name(name: &str) -> bool {
    name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.')
}

fn no_attribute(kind: &str, name: &str) -> String {
    let is_index = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if kind == "list" && is_index {
        return format!("list object has no element {name}");
    }
    format!("'{kind} object' has no attribute '{}'", name.trim_matches('\''))
}
