//! Everything that can be wrong with a YAML text.

use super::{BYTES_MAX, SEVERAL_DOCUMENTS};
use crate::diag::{Diagnostic, Explain, closest};
use crate::value::Span;

/// One finding in a YAML text. Only [`Problem::DuplicateKey`] is a warning.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    TooLarge { name: String, bytes: usize },
    TooDeep { span: Span },
    TooManyNodes { span: Span },
    AliasInItself { span: Span },
    UnknownAlias { span: Span, name: String, anchors: Vec<String> },
    DuplicateKey { key: String, first: Span, again: Span },
    UnquotedTemplate { value: Span, quoted: String },
    KeyIsCollection { span: Span },
    BadMerge { key: Span, value: Span },
    UnknownTag { span: Span, tag: String },
    UnfitForTag { span: Span, tag: String, text: String },
    SeveralDocuments { again: Span },
    Slip(Slip),
}

/// A slip in the syntax: the text cannot be read on from there.
#[derive(Clone, Debug, PartialEq)]
pub enum Slip {
    Tab {
        span: Span,
    },
    /// `open` is the list or mapping that the line would have to belong to, and its indentation.
    Indentation {
        span: Span,
        found: usize,
        open: Option<(Span, usize)>,
    },
    /// The line is deeper than the one above, whose value it seems to continue.
    TooFarRight {
        span: Span,
        value: Span,
    },
    UnclosedQuote {
        span: Span,
    },
    UnclosedBracket {
        span: Span,
        found: Option<Span>,
    },
    ColonInValue {
        colon: Span,
        value: Span,
        quoted: String,
    },
    AfterQuote {
        span: Span,
        value: Span,
        quoted: String,
    },
    ReservedCharacter {
        span: Span,
        character: char,
        value: Span,
        quoted: String,
    },
    BadEscape {
        span: Span,
    },
    /// Rare slips, in the parser's words.
    Syntax {
        span: Span,
        found: String,
    },
}

const TAGS: [&str; 10] = ["!vault", "!unsafe", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!binary"];

impl Explain for Problem {
    fn explain(&self) -> Diagnostic {
        match self {
            Problem::TooLarge { name, bytes } => Diagnostic::error("yaml-too-large", format!("`{name}` is too large to be read"))
                .note(format!("it has {} MiB, the limit is {} MiB", bytes >> 20, BYTES_MAX >> 20))
                .help("read large data on the host, or split the file"),
            Problem::TooDeep { span } => Diagnostic::error("yaml-too-deep", "nested more than 100 levels deep")
                .at(*span, "one level too many")
                .help("name a part of it in a variable of its own"),
            Problem::TooManyNodes { span } => {
                Diagnostic::error("yaml-alias-bomb", "aliases multiply to more than a million values")
                    .at(*span, "this alias goes beyond it")
                    .help("write the values once in a variable and refer to it with `{{ }}`")
            }
            Problem::AliasInItself { span } => {
                Diagnostic::error("yaml-alias-in-itself", "an alias inside the value that it stands for")
                    .at(*span, "this would repeat without end")
            }
            Problem::UnknownAlias { span, name, anchors } => unknown_alias(*span, name, anchors),
            Problem::DuplicateKey { key, first, again } => {
                Diagnostic::warning("duplicate-key", format!("key `{key}` is written twice in one mapping"))
                    .at(*again, "this one counts")
                    .at(*first, "this one is ignored")
                    .note(format!("Ansible says: found a duplicate dict key ({key})"))
                    .help("remove one of them")
            }
            Problem::UnquotedTemplate { value, quoted } => {
                Diagnostic::error("unquoted-template", "a value that starts with `{{` needs quotes")
                    .at(*value, "YAML reads `{` as the start of a mapping")
                    .patch(*value, quoted.as_str(), "quote the whole value")
            }
            Problem::KeyIsCollection { span } => {
                Diagnostic::error("yaml-key-is-collection", "a list or mapping is used as a key")
                    .at(*span, "not a scalar")
                    .help("keys are strings, numbers or booleans; to write a template, quote it")
            }
            Problem::BadMerge { key, value } => {
                Diagnostic::error("yaml-bad-merge", "`<<` merges a mapping or a list of mappings, nothing else")
                    .at(*value, "not a mapping")
                    .at(*key, "merged by this key")
                    .help("to merge variables, use the filter `combine`")
            }
            Problem::UnknownTag { span, tag } => unknown_tag(*span, tag),
            Problem::UnfitForTag { span, tag, text } => {
                Diagnostic::error("yaml-unfit-for-tag", format!("`{text}` cannot be read as `{tag}`")).at(*span, "written here")
            }
            Problem::SeveralDocuments { again } => Diagnostic::error(SEVERAL_DOCUMENTS, "the file holds more than one document")
                .at(*again, "a second one starts here")
                .help("remove the `---` between them, or make two files"),
            Problem::Slip(slip) => slip.explain(),
        }
    }
}

impl From<Slip> for Problem {
    fn from(slip: Slip) -> Problem {
        Problem::Slip(slip)
    }
}

impl Explain for Slip {
    fn explain(&self) -> Diagnostic {
        match self {
            Slip::Tab { span } => Diagnostic::error("yaml-tab", "a tab is used where YAML allows only spaces")
                .at(*span, "a tab")
                .help("indent with spaces; most editors can convert the file"),
            Slip::Indentation { span, found, open } => indentation(*span, *found, *open),
            Slip::TooFarRight { span, value } => {
                Diagnostic::error("yaml-indentation", "the line is indented deeper than what it belongs to")
                    .at(*span, "a key cannot be here")
                    .at(*value, "this value already has its text on the line above")
                    .help("put the key in the column of the other keys, or remove the value above it")
            }
            Slip::UnclosedQuote { span } => Diagnostic::error("yaml-unclosed-quote", "a quoted string has no end")
                .at(*span, "it starts here")
                .help("close the quote; lines that continue the string are indented deeper than its key"),
            Slip::UnclosedBracket { span, found } => {
                let diagnostic = Diagnostic::error("yaml-unclosed-bracket", "a list or mapping in brackets has no end")
                    .at(*span, "opened here")
                    .help("close the bracket, or put a comma between its elements");
                found.iter().fold(diagnostic, |diagnostic, found| diagnostic.at(*found, "not expected inside it"))
            }
            Slip::ColonInValue { colon, value, quoted } => {
                Diagnostic::error("yaml-colon-in-value", "a colon inside a value that is not quoted")
                    .at(*colon, "this reads as a second `key: value` on the line")
                    .patch(*value, quoted.as_str(), "quote the value")
            }
            Slip::AfterQuote { span, value, quoted } => {
                Diagnostic::error("yaml-text-after-quote", "text after the end of a quoted string")
                    .at(*span, "the string has ended before this")
                    .patch(*value, quoted.as_str(), "quote the whole value")
            }
            Slip::ReservedCharacter { span, character, value, quoted } => Diagnostic::error(
                "yaml-reserved-character",
                format!("a value may not start with `{character}` unless it is quoted"),
            )
            .at(*span, "reserved by YAML")
            .patch(*value, quoted.as_str(), "quote the value"),
            Slip::BadEscape { span } => Diagnostic::error("yaml-bad-escape", "an unknown escape in a string with double quotes")
                .at(*span, "YAML knows no such escape")
                .help("write `\\\\` for a backslash, or use single quotes, which keep backslashes as they are"),
            Slip::Syntax { span, found } => Diagnostic::error("yaml-syntax", "this is not YAML").at(*span, found.as_str()),
        }
    }
}

fn indentation(span: Span, found: usize, open: Option<(Span, usize)>) -> Diagnostic {
    let diagnostic = Diagnostic::error("yaml-indentation", "the line fits no list or mapping above it");
    match open {
        Some((start, expected)) if expected != found => diagnostic
            .at(span, format!("indented by {found}"))
            .at(start, format!("indented by {expected}"))
            .help("give what belongs together the same indentation"),
        Some((start, _)) => diagnostic
            .at(span, "does not go with what is above it in this column")
            .at(start, "started here")
            .help("a list has only lines with `- `, a mapping only lines with `key: value`"),
        None => diagnostic.at(span, format!("indented by {found}")).help("give what belongs together the same indentation"),
    }
}

fn unknown_alias(span: Span, name: &str, anchors: &[String]) -> Diagnostic {
    let diagnostic = Diagnostic::error("yaml-unknown-alias", format!("alias `*{name}` has no anchor `&{name}` before it"))
        .at(span, "not known here");
    match closest(name, anchors.iter().map(String::as_str)) {
        Some(near) => diagnostic.patch(span, format!("*{near}"), "an anchor with a similar name exists"),
        None => diagnostic.help("quote the value if the `*` is meant as it is"),
    }
}

fn unknown_tag(span: Span, tag: &str) -> Diagnostic {
    let diagnostic =
        Diagnostic::error("yaml-unknown-tag", format!("unknown tag `{tag}`")).at(span, "not a tag of Ansible or YAML");
    match closest(tag, TAGS) {
        Some(near) => diagnostic.patch(span, near, "a tag with a similar name exists"),
        None => diagnostic.help("quote the value if the `!` is meant as it is"),
    }
}
