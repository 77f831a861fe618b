//! What is wrong, where, and what to do next: data only, no rendering (see `report`).
//!
//! Main type: [`Diagnostic`]. Every room has an error enum of its own that carries data; [`Explain`] turns a variant into a
//! diagnostic. Nothing here prints. Start reading at [`Diagnostic`].

mod closest;
mod sources;

pub use crate::value::Span;
pub use closest::closest;
pub use sources::{Opened, Opener, Place, Sources};

use serde::{Deserialize, Serialize};

/// One finding. Title and labels are lower-case fragments without a full stop, names in backticks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable and kebab-case: `unknown-argument`. Each has a file under `tests/cases/errors/`.
    pub code: String,
    pub title: String,
    /// The first is what is wrong; the others are what it has to do with.
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    /// The next step.
    pub help: Vec<String>,
    pub patch: Option<Patch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// Text that would mend it: shown below the line, never applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    pub span: Span,
    pub text: String,
    /// Such as "an argument with a similar name exists".
    pub why: String,
}

/// Turns an error of a room into words.
pub trait Explain {
    fn explain(&self) -> Diagnostic;
}

impl Diagnostic {
    pub fn error(code: &str, title: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code: code.to_owned(),
            title: title.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
            patch: None,
        }
    }

    pub fn warning(code: &str, title: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, title) }
    }

    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help.push(text.into());
        self
    }

    #[must_use]
    pub fn patch(mut self, span: Span, text: impl Into<String>, why: impl Into<String>) -> Diagnostic {
        self.patch = Some(Patch { span, text: text.into(), why: why.into() });
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
