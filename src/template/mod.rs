//! Jinja as Ansible's playbooks and template files use it: text → values, checked before the run and evaluated in it.
//!
//! Main types: [`Scope`] (where variables come from), [`World`] (files, environment, clock: all that a template may reach
//! outside) and [`TemplateError`]. The functions here are the whole interface; they can be called from any thread.
//!
//! - `syntax`: text → tokens → tree, kept per text. `evaluate*`, `access`, `calls`: the tree at work.
//! - `runtime`: the values of an evaluation; they know change in place, tuples, macros, and what is undefined with its origin.
//! - `filters`, `tests`, `functions`, `lookups`, `methods`: tables, one row each.
//!
//! Values are rendered lazily: a template inside of a list or map is rendered when it is reached. Only a `Value::Template` is
//! ever rendered; text that comes from a host, a file or a template's result is never looked at again. This room never prints,
//! never writes a file (but for the `password` lookup), and never panics on what a template says: depth and sizes are limited.
//!
//! Start reading at [`evaluate`], then `evaluate_expr.rs`.

mod access;
mod calls;
mod check;
mod embedded;
mod evaluate;
mod evaluate_expr;
mod evaluate_stmt;
mod failure;
mod files;
mod filters;
mod format_percent;
mod format_string;
mod frame;
mod functions;
mod literal;
mod lookups;
mod methods;
mod place;
mod render;
mod runtime;
mod syntax;
mod tests;
mod versions;

pub use check::{PluginRow, check, check_expression, free_names, free_names_of_expression, near_lookup, plugins};
pub use failure::{Plugin, Problem, TemplateError, Within};
pub use files::resolved;
pub(crate) use filters::human_to_bytes;
pub use filters::report_text;
pub use render::{FileOptions, render_file};
pub use versions::is_version_within;

use crate::value::{Span, Template, Text, Value};
use evaluate::Eval;
use frame::Locals;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use syntax::expression_tree;
use syntax::tree::Root;

/// Where variables come from.
pub trait Scope {
    /// The raw value of a variable: it may hold templates, which are rendered when they are reached.
    fn get(&self, name: &str) -> Option<Value>;

    /// All names, for closest names and for `lookup('varnames', …)`.
    fn names(&self) -> Vec<String>;

    /// The variables of another host, for `hostvars`. Without hosts, `hostvars` is a variable like any other.
    fn of_host(&self, _host: &str) -> Option<Box<dyn Scope + '_>> {
        None
    }

    /// Whether `hostvars` is there.
    fn has_hosts(&self) -> bool {
        !self.hosts().is_empty()
    }

    /// The hosts that `hostvars` lists.
    fn hosts(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What templates may reach outside.
pub trait World {
    /// The directories where a relative name is looked for, the nearest first; `folder` is `files`, `templates` or `vars`.
    fn search_paths(&self, folder: &str) -> Vec<PathBuf>;

    /// The bytes of a file; a vault is opened here.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// The hosts that a pattern selects.
    fn hosts(&self, pattern: &str) -> Result<Vec<String>, String>;

    /// A setting by its name in Ansible's configuration, such as `DEFAULT_ROLES_PATH`.
    fn setting(&self, _name: &str) -> Option<Value> {
        None
    }

    /// What the vault of a value holds.
    fn open_vault(&self, _vault: &str) -> Result<Text, String> {
        Err("Attempting to decrypt but no vault secrets found.".to_owned())
    }

    /// Whether a value's vault held this text.
    fn was_vaulted(&self, _text: &str) -> bool {
        false
    }

    /// Told of every secret that a lookup gives, so that it is never shown.
    fn keep_secret(&self, _secret: &str) {}

    /// Runs a shell command on this machine and answers with its output.
    fn run(&self, command: &str) -> Result<Vec<u8>, String> {
        lookups::run_here(command)
    }
}

/// The value of a string in a playbook. A string that is one `{{ expression }}` gives its value, any other gives text.
pub fn evaluate(template: &Template, scope: &dyn Scope, world: &dyn World) -> Result<Value, TemplateError> {
    finalize(&Value::Template(std::sync::Arc::new(template.clone())), scope, world)
}

/// The value with every template in it rendered and every `omit` dropped.
pub fn finalize(value: &Value, scope: &dyn Scope, world: &dyn World) -> Result<Value, TemplateError> {
    if !value.has_template() {
        return Ok(value.clone());
    }
    let mut eval = Eval::new(scope, world);
    eval.export(&runtime::from_value(value)).map_err(|error| unwrapped(*error, value))
}

/// The same, but a value that is `omit` as a whole is `None`: the argument is to be dropped.
pub fn finalize_argument(value: &Value, scope: &dyn Scope, world: &dyn World) -> Result<Option<Value>, TemplateError> {
    if !value.has_template() {
        return Ok(Some(value.clone()));
    }
    let mut eval = Eval::new(scope, world);
    let val = eval.resolve(runtime::from_value(value)).map_err(|error| unwrapped(*error, value))?;
    if val.is_omit() {
        return Ok(None);
    }
    eval.export(&val).map(Some).map_err(|error| unwrapped(*error, value))
}

/// A value as Python shows it in messages.
pub(crate) fn repr(value: &Value) -> String {
    runtime::repr(&runtime::from_value(value))
}

/// The value of a bare expression, such as `until` or the source of a loop.
pub fn expression(expr: &str, span: Span, scope: &dyn Scope, world: &dyn World) -> Result<Value, TemplateError> {
    let mut eval = Eval::new(scope, world);
    let result = bare(&mut eval, expr, span).and_then(|val| eval.in_text(expr, span, |eval| eval.export(&val)));
    result.map_err(|error| *error)
}

/// Whether a bare expression such as `when` holds; one that is wholly inside of `{{ }}` counts as if it were not. What is no
/// boolean counts by Python's truth, but of what braces give the word `false` for what it says.
pub fn condition(expr: &str, span: Span, scope: &dyn Scope, world: &dyn World) -> Result<bool, TemplateError> {
    let mut eval = Eval::new(scope, world);
    holds(&mut eval, expr, span).map_err(|error| *error)
}

fn holds(eval: &mut Eval<'_>, expr: &str, span: Span) -> Result<bool, failure::Fault> {
    let trimmed = expr.trim();
    if trimmed.is_empty() {
        return Ok(true);
    }
    let is_braced = trimmed.starts_with("{{") && trimmed.ends_with("}}") && !trimmed[2..].contains("{{");
    let val = if is_braced {
        let template = std::sync::Arc::new(Template { text: expr.to_owned(), span });
        eval.resolve(runtime::Val::Pending(template))?
    } else if let Some(opened) = embedded::opened(expr) {
        bare(eval, &opened, span)?
    } else {
        bare(eval, expr, span)?
    };
    let val = eval.defined(val)?;
    match &val {
        // What braces give is read once more, as it always was.
        runtime::Val::Str(text) if is_braced => Ok(!matches!(text.trim(), "" | "False" | "false")),
        other => eval.truth(other),
    }
}

fn bare(eval: &mut Eval<'_>, expr: &str, span: Span) -> Result<runtime::Val, failure::Fault> {
    let tree = expression_tree(expr).map_err(|error| Box::new(TemplateError::syntax(error, expr, span)))?;
    eval.in_text(expr, span, |eval| match &tree.root {
        Root::Expr(expr) => eval.eval(expr, &Locals::root()),
        Root::Body(_) => Ok(runtime::Val::None),
    })
}

/// The outermost text of an error is the one that was asked for: naming it says nothing.
fn unwrapped(mut error: TemplateError, asked: &Value) -> TemplateError {
    if let (Value::Template(template), Some(first)) = (asked, error.within.first())
        && first.name == template.text
    {
        error.within.remove(0);
    }
    error
}
