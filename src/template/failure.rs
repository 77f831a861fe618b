//! What can go wrong in a template, as data and in words.

use super::place::spot_span;
use super::syntax::SyntaxError;
use super::syntax::tree::Spot;
use crate::diag::{Diagnostic, Explain};
use crate::value::Span;
use std::fmt;

/// A template that has no value, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateError {
    pub problem: Problem,
    /// The part of the source that failed; nowhere for what no file holds.
    pub span: Span,
    /// The variables whose templates led here, outermost first.
    pub within: Vec<Within>,
}

/// A variable that was being rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Within {
    pub name: String,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    Undefined {
        name: String,
        closest: Option<String>,
    },
    /// `name` as it would be written between brackets.
    NoAttribute {
        kind: String,
        name: String,
        closest: Option<String>,
    },
    /// An undefined value that says itself why it is.
    Hint {
        hint: String,
    },
    Syntax {
        reason: String,
    },
    UnknownPlugin {
        plugin: Plugin,
        name: String,
        closest: Option<String>,
    },
    /// `value` is what surprised it, shortened.
    PluginFailed {
        plugin: Plugin,
        name: String,
        reason: String,
        value: Option<String>,
    },
    Operation {
        reason: String,
    },
    /// A vault, as it is written, that no secret opens.
    Undecryptable {
        vault: String,
        why: String,
    },
    /// Variables that need each other, in order.
    Recursion {
        cycle: Vec<String>,
    },
    TooDeep {
        limit: usize,
    },
    /// Something that only lives inside of a template, such as a macro.
    Unstorable {
        kind: String,
    },
    NoFile {
        name: String,
        searched: Vec<String>,
    },
    Unreadable {
        path: String,
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    Filter,
    Test,
    Function,
    Lookup,
}

/// Small enough to travel through every `Result`.
pub(crate) type Fault = Box<TemplateError>;
pub(crate) type Res<T> = Result<T, Fault>;

impl TemplateError {
    pub(crate) fn new(problem: Problem) -> TemplateError {
        TemplateError { problem, span: Span::NOWHERE, within: Vec::new() }
    }

    pub(crate) fn syntax(error: SyntaxError, text: &str, span: Span) -> TemplateError {
        TemplateError {
            problem: Problem::Syntax { reason: error.reason },
            span: spot_span(text, span, error.at),
            within: Vec::new(),
        }
    }

    /// Whether something was missing, which `default` mends.
    pub fn is_undefined(&self) -> bool {
        matches!(self.problem, Problem::Undefined { .. } | Problem::NoAttribute { .. } | Problem::Hint { .. })
    }

    /// The innermost place wins.
    pub(crate) fn located(mut self: Box<Self>, text: &str, span: Span, at: Spot) -> Box<Self> {
        if self.span.is_nowhere() {
            self.span = spot_span(text, span, at);
        }
        self
    }
}

pub(crate) fn fault(problem: Problem) -> Fault {
    Box::new(TemplateError::new(problem))
}

impl From<String> for Box<TemplateError> {
    fn from(reason: String) -> Fault {
        fault(Problem::Operation { reason })
    }
}

impl From<&str> for Box<TemplateError> {
    fn from(reason: &str) -> Fault {
        reason.to_owned().into()
    }
}

impl Plugin {
    pub fn word(self) -> &'static str {
        match self {
            Plugin::Filter => "filter",
            Plugin::Test => "test",
            Plugin::Function => "function",
            Plugin::Lookup => "lookup",
        }
    }
}

/// The wording that playbooks know from Ansible: it ends up in `msg`.
impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Undefined { name, .. } => write!(out, "'{name}' is undefined"),
            Problem::NoAttribute { kind, name, .. } => write!(out, "object of type '{kind}' has no attribute {name}"),
            Problem::Hint { hint } => out.write_str(hint),
            Problem::Syntax { reason } => write!(out, "Syntax error in template: {reason}"),
            Problem::UnknownPlugin { plugin: Plugin::Lookup, name, .. } => {
                write!(out, "The lookup plugin '{name}' was not found.")
            }
            Problem::UnknownPlugin { plugin, name, .. } => {
                write!(out, "Syntax error in template: No {} named '{name}'.", plugin.word())
            }
            Problem::PluginFailed { plugin: plugin @ (Plugin::Filter | Plugin::Test), name, reason, .. }
                if !name.contains('.') =>
            {
                write!(out, "The {} plugin 'ansible.builtin.{name}' failed: {reason}", plugin.word())
            }
            Problem::PluginFailed { plugin, name, reason, .. } => {
                write!(out, "The {} plugin '{name}' failed: {reason}", plugin.word())
            }
            Problem::Operation { reason } => write!(out, "Error rendering template: {reason}"),
            Problem::Undecryptable { why, .. } => {
                write!(out, "Error rendering template: Attempt to use undecryptable variable: {why}")
            }
            Problem::Recursion { cycle } => write!(out, "Recursive loop detected in template: {}", cycle.join(" -> ")),
            Problem::TooDeep { limit } => write!(out, "the template nests deeper than {limit} levels"),
            Problem::Unstorable { kind } => {
                write!(out, "Error rendering template: Type '{kind}' is unsupported for variable storage.")
            }
            Problem::NoFile { name, searched } => {
                write!(out, "Unable to find '{name}', looked in {}", searched.join(", "))
            }
            Problem::Unreadable { path, reason } => write!(out, "could not read {path}: {reason}"),
        }
    }
}

impl std::error::Error for TemplateError {}

impl Explain for TemplateError {
    fn explain(&self) -> Diagnostic {
        let mut diagnostic = self.problem.explain(self.span);
        for within in self.within.iter().rev() {
            if within.span.is_nowhere() {
                diagnostic = diagnostic.note(format!("while `{}` was being rendered", within.name));
            } else {
                diagnostic = diagnostic.at(within.span, format!("while `{}` was being rendered", within.name));
            }
        }
        diagnostic
    }
}

impl Problem {
    fn explain(&self, span: Span) -> Diagnostic {
        match self {
            Problem::Undefined { name, closest } => {
                let diagnostic = Diagnostic::error("undefined-variable", format!("variable `{name}` is undefined"));
                with_closest(diagnostic.at(span, "not defined for this host"), span, closest, "variable")
            }
            Problem::NoAttribute { kind, name, closest } => {
                let diagnostic = Diagnostic::error("unknown-attribute", format!("this {} has no `{name}`", kind_word(kind)));
                // The span is that of the whole expression: a patch would take the owner away with the name.
                let diagnostic = diagnostic.at(span, format!("a {} without `{name}`", kind_word(kind)));
                with_closest(diagnostic, Span::NOWHERE, closest, "key")
            }
            Problem::Hint { hint } => Diagnostic::error("undefined-value", "a value is undefined").at(span, hint.clone()),
            Problem::Syntax { reason } => {
                let diagnostic = Diagnostic::error("template-syntax", "the template cannot be read").at(span, reason.clone());
                match advice(reason) {
                    Some(advice) => diagnostic.help(advice),
                    None => diagnostic,
                }
            }
            Problem::UnknownPlugin { plugin, name, closest } => {
                let word = plugin.word();
                let diagnostic = Diagnostic::error(&format!("unknown-{word}"), format!("there is no {word} `{name}`"));
                with_closest(diagnostic.at(span, format!("not a {word}")), span, closest, word)
            }
            Problem::PluginFailed { plugin, name, reason, value } => {
                let word = plugin.word();
                let title = format!("{word} `{name}` cannot work on this value");
                let diagnostic = Diagnostic::error(&format!("{word}-failed"), title).at(span, reason.clone());
                value.iter().fold(diagnostic, |diagnostic, value| diagnostic.note(format!("the value is {value}")))
            }
            Problem::Operation { reason } => {
                Diagnostic::error("template-failed", "the expression has no value").at(span, reason.clone())
            }
            Problem::Undecryptable { why, .. } => {
                let why = format!("Attempt to use undecryptable variable: {why}");
                Diagnostic::error("template-failed", "the expression has no value").at(span, why)
            }
            Problem::Recursion { cycle } => {
                Diagnostic::error("template-recursion", "variables need each other without end").at(span, cycle.join(" -> "))
            }
            Problem::TooDeep { limit } => {
                Diagnostic::error("template-depth", "the template nests too deep").at(span, format!("more than {limit} levels"))
            }
            Problem::Unstorable { kind } => Diagnostic::error("template-result", format!("a {kind} is not a value"))
                .at(span, "only lives inside of a template"),
            Problem::NoFile { name, searched } => {
                let diagnostic =
                    Diagnostic::error("template-file", format!("file `{name}` was not found")).at(span, "named here");
                searched.iter().fold(diagnostic, |diagnostic, path| diagnostic.note(format!("looked for {path}")))
            }
            Problem::Unreadable { path, reason } => {
                Diagnostic::error("template-file", format!("file `{path}` could not be read")).at(span, reason.clone())
            }
        }
    }
}

/// What is meant most often where the syntax breaks like this.
fn advice(reason: &str) -> Option<&'static str> {
    const ADVICE: &[(&str, &str)] = &[
        ("got '='", "compare with `==`"),
        ("unexpected '='", "compare with `==`"),
        ("unexpected char '&'", "join conditions with `and`"),
        ("expected token 'name', got '|'", "join conditions with `or`; one `|` stands before a filter"),
        ("expected token 'name', got 'end", "name a filter behind the `|`"),
        ("unexpected char '!'", "negate with `not`; `!=` compares"),
        ("unexpected char '?'", "choose with `a if condition else b`"),
        (", expected 'end of print statement'", "close it with `}}`"),
        (", expected 'end of statement block'", "close it with `%}`"),
        ("looking for 'elif'", "close it with `{% endif %}`"),
        ("looking for 'endfor'", "close it with `{% endfor %}`"),
        ("unexpected 'end of", "something is missing at the end"),
        ("expected token 'end of print statement', got", "an operator, a `|` or a pair of quotes is missing before this"),
        ("expected token 'end of template', got", "an operator, a `|` or a pair of quotes is missing before this"),
        ("string is never closed", "close it with the quote that it begins with"),
    ];
    ADVICE.iter().find(|(words, _)| reason.contains(words)).map(|(_, advice)| *advice)
}

fn with_closest(diagnostic: Diagnostic, span: Span, closest: &Option<String>, word: &str) -> Diagnostic {
    let Some(closest) = closest else { return diagnostic };
    let why = format!("a {word} with a similar name exists");
    if span.is_nowhere() { diagnostic.help(format!("{why}: `{closest}`")) } else { diagnostic.patch(span, closest.clone(), why) }
}

fn kind_word(kind: &str) -> &str {
    match kind {
        "dict" => "map",
        "str" => "string",
        "int" => "number",
        "NoneType" => "null",
        other => other,
    }
}
