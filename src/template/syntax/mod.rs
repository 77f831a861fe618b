//! Template text → syntax tree, with everything Ansible's Jinja accepts and nothing else; parsed once per text.

mod cache;
mod expressions;
mod lexer;
mod names;
mod statements;
pub(crate) mod tree;

pub(crate) use cache::{expression_tree, file_tree, template_tree, uncached_expression};
pub(crate) use names::{Used, used_names};

use tree::Spot;

/// Delimiters and whitespace rules of one template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Style {
    pub(crate) output: (String, String),
    pub(crate) block: (String, String),
    pub(crate) comment: (String, String),
    pub(crate) trim_blocks: bool,
    pub(crate) lstrip_blocks: bool,
    pub(crate) keep_trailing_newline: bool,
    /// Ansible leaves the backslashes in the strings of a playbook alone; those in template files and in bare expressions are
    /// escapes.
    pub(crate) raw_strings: bool,
}

impl Style {
    /// Of a string in a playbook.
    pub(crate) fn playbook() -> Style {
        Style { raw_strings: true, trim_blocks: true, ..Style::file() }
    }

    /// Of a template file.
    pub(crate) fn file() -> Style {
        let pair = |open: &str, close: &str| (open.to_owned(), close.to_owned());
        Style {
            output: pair("{{", "}}"),
            block: pair("{%", "%}"),
            comment: pair("{#", "#}"),
            trim_blocks: true,
            lstrip_blocks: false,
            keep_trailing_newline: false,
            raw_strings: false,
        }
    }
}

/// A text that is no template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SyntaxError {
    pub(crate) reason: String,
    pub(crate) at: Spot,
}
