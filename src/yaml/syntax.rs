//! Syntax errors in the words of the one who writes playbooks: which line, what is wrong with it, how it would be right.

use super::loader::{Manner, Open};
use super::problem::{Problem, Slip};
use crate::value::Span;
use granit_parser::{ErrorKind, ScanError};

/// What is known when the parser gives up.
pub(super) struct Context<'a> {
    pub manner: Manner<'a>,
    /// Up to here everything was read.
    pub end_of_last: usize,
    /// The last node.
    pub last: Option<(usize, usize)>,
    /// The collections that are open, outermost first.
    pub open: Vec<Open>,
    /// Where the last finished list or mapping without brackets started.
    pub closed: Option<usize>,
}

pub(super) fn problem(context: &Context<'_>, error: &ScanError, offset: usize) -> Problem {
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return Problem::TooDeep { span: context.point(offset) };
    }
    context.template(offset).unwrap_or_else(|| slip(context, error, offset).into())
}

fn slip(context: &Context<'_>, error: &ScanError, offset: usize) -> Slip {
    if let Some(slip) = context.tab(offset) {
        return slip;
    }
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => Slip::Tab { span: context.point(offset) },
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent | ErrorKind::DocumentIndicatorInQuotedScalar => {
            Slip::UnclosedQuote { span: context.quote(offset).unwrap_or_else(|| context.point(offset)) }
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            context.after_quote(offset)
        }
        ErrorKind::UnexpectedCharacter { character } => {
            let (value, quoted) = context.quoted_value(offset);
            Slip::ReservedCharacter { span: context.point(offset), character: *character, value, quoted }
        }
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidUnicodeEscape
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::MissingLowSurrogate => context.bad_escape(offset),
        ErrorKind::MappingValueNotAllowed | ErrorKind::SimpleKeyExpected | ErrorKind::InvalidColonPlacement => {
            context.stray_colon(offset).unwrap_or_else(|| context.misplaced(error, offset))
        }
        _ => context.misplaced(error, offset),
    }
}

/// The diagnostic for a template without quotes that starts at `start`.
pub(super) fn unquoted_template(manner: Manner<'_>, start: usize, is_inside_flow: bool) -> Problem {
    let rest = line_from(manner.text, start);
    let length = if is_inside_flow { flow_template(rest) } else { without_comment(rest).len() };
    let value = rest.get(..length).unwrap_or(rest);
    Problem::UnquotedTemplate { value: manner.span(start, start + value.len()), quoted: quote(value) }
}

impl Context<'_> {
    fn text(&self) -> &str {
        self.manner.text
    }

    fn point(&self, offset: usize) -> Span {
        let length =
            self.text().get(offset..).and_then(|rest| rest.chars().next()).filter(|next| *next != '\n').map_or(0, char::len_utf8);
        self.manner.span(offset, offset + length)
    }

    /// Start and text of the line that `offset` is in.
    fn line(&self, offset: usize) -> (usize, &str) {
        let start = self.text().get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        (start, line_from(self.text(), start))
    }

    /// A value on this line, or on that of the last node, that starts with `{{`.
    fn template(&self, offset: usize) -> Option<Problem> {
        let lines = [Some(offset), self.last.map(|last| last.0)];
        lines.into_iter().flatten().find_map(|at| {
            let (start, line) = self.line(at);
            let value = value_of(line)?;
            line.get(value..)?.starts_with("{{").then(|| unquoted_template(self.manner, start + value, false))
        })
    }

    /// A tab in the indentation of the line.
    fn tab(&self, offset: usize) -> Option<Slip> {
        let (start, line) = self.line(offset);
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tab = line.get(..indentation)?.find('\t')?;
        Some(Slip::Tab { span: self.manner.span(start + tab, start + tab + 1) })
    }

    /// The opening quote between the last node and the error.
    fn quote(&self, offset: usize) -> Option<Span> {
        let from = self.end_of_last.min(offset);
        let at = from + self.text().get(from..offset)?.find(['"', '\''])?;
        Some(self.manner.span(at, at + line_from(self.text(), at).trim_end().len()))
    }

    /// From the start of the value on this line to its end, and the same in quotes.
    fn quoted_value(&self, offset: usize) -> (Span, String) {
        let (start, line) = self.line(offset);
        let at = value_of(line).filter(|value| start + value <= offset).map_or(offset, |value| start + value);
        let value = without_comment(line_from(self.text(), at));
        (self.manner.span(at, at + value.len()), quote(value))
    }

    fn after_quote(&self, offset: usize) -> Slip {
        let (value, quoted) = self.quoted_value(offset);
        let rest = without_comment(line_from(self.text(), offset));
        Slip::AfterQuote { span: self.manner.span(offset, offset + rest.len()), value, quoted }
    }

    /// The first backslash of the string with something behind it that is no escape.
    fn bad_escape(&self, offset: usize) -> Slip {
        let mut rest = self.text().get(offset..).unwrap_or("").char_indices();
        while let Some((at, letter)) = rest.next() {
            let escaped = if letter == '\\' { rest.next() } else { None };
            let Some((next, escaped)) = escaped else { continue };
            if !"0abt\tnvfre \"/\\N_LP\r\n".contains(escaped) {
                return Slip::BadEscape { span: self.manner.span(offset + at, offset + next + escaped.len_utf8()) };
            }
        }
        Slip::BadEscape { span: self.point(offset) }
    }

    /// `: ` inside a plain value, or a key below a value.
    fn stray_colon(&self, offset: usize) -> Option<Slip> {
        let (last_start, last_end) = self.last?;
        let (start, line) = self.line(offset);
        if last_start < start && last_end > start {
            let key = without_comment(line);
            let indentation = key.len() - key.trim_start().len();
            let value = line_from(self.text(), last_start).trim_end();
            return Some(Slip::TooFarRight {
                span: self.manner.span(start + indentation, start + key.len()),
                value: self.manner.span(last_start, last_start + value.len()),
            });
        }
        let value = value_of(line).map(|value| start + value).filter(|value| *value < offset)?;
        let text = without_comment(line_from(self.text(), value));
        Some(Slip::ColonInValue {
            colon: self.point(offset),
            value: self.manner.span(value, value + text.len()),
            quoted: quote(text),
        })
    }

    /// A line that belongs to nothing, or a bracket without its partner.
    fn misplaced(&self, error: &ScanError, offset: usize) -> Slip {
        let is_eof = self.text().get(offset..).is_none_or(|rest| rest.trim().is_empty());
        if let Some(flow) = self.open.last().filter(|open| open.is_flow) {
            let found = (offset != flow.start && !is_eof).then(|| self.point(offset));
            return Slip::UnclosedBracket { span: self.point(flow.start), found };
        }
        let (start, line) = self.line(offset);
        let found = line.len() - line.trim_start().len();
        if is_eof || start + found < offset {
            return Slip::Syntax { span: self.point(offset), found: error.kind().to_string() };
        }
        let open = self.open.iter().rfind(|open| !open.is_flow).map(|open| open.start);
        let open = [self.closed, open]
            .into_iter()
            .flatten()
            .map(|at| self.first_line(at))
            .min_by_key(|(_, column)| column.abs_diff(found));
        let span = self.manner.span(start + found, start + without_comment(line).len().max(found));
        Slip::Indentation { span, found, open }
    }

    /// The first line of a list or mapping, and the column in which it starts.
    fn first_line(&self, at: usize) -> (Span, usize) {
        let shown = without_comment(line_from(self.text(), at)).len();
        (self.manner.span(at, at + shown), at - self.line(at).0)
    }
}

fn line_from(text: &str, start: usize) -> &str {
    text.get(start..).unwrap_or("").split('\n').next().unwrap_or("")
}

/// Where the value on a line starts: behind `- ` and `key: `.
fn value_of(line: &str) -> Option<usize> {
    let mut at = line.len() - line.trim_start().len();
    while line.get(at..)?.starts_with("- ") {
        at += 2;
        at += line.get(at..)?.len() - line.get(at..)?.trim_start().len();
    }
    let rest = line.get(at..)?;
    if rest.starts_with("{{") || rest.starts_with(['"', '\'']) {
        return Some(at);
    }
    let Some(colon) = rest.find(": ") else { return Some(at) };
    let behind = rest.get(colon + 2..)?;
    Some(at + colon + 2 + behind.len() - behind.trim_start().len())
}

fn without_comment(line: &str) -> &str {
    let end = line.find(" #").unwrap_or(line.len());
    line.get(..end).unwrap_or(line).trim_end()
}

/// The length of the template at the start of `rest`.
fn flow_template(rest: &str) -> usize {
    rest.find("}}").map_or(rest.len(), |end| end + 2)
}

fn quote(value: &str) -> String {
    if !value.contains(['"', '\\']) {
        format!("\"{value}\"")
    } else if !value.contains('\'') {
        format!("'{value}'")
    } else {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
