//! Template files: what the `template` module puts on a host.

use super::evaluate::{Eval, with_trailing_newlines};
use super::failure::{Fault, Res, TemplateError};
use super::frame::Locals;
use super::runtime::Val;
use super::syntax::{Style, file_tree};
use super::{Scope, World};
use crate::value::{Span, Text};
use std::path::PathBuf;

/// How a template file is read. The default is that of the `template` module.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// The number of the text in `diag::Sources`; 0 when it is not there.
    pub source: u32,
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
    pub keep_trailing_newline: bool,
    /// What every line ends with.
    pub newline: String,
    pub block: (String, String),
    pub variable: (String, String),
    pub comment: (String, String),
    /// Where the file lies: includes are looked for beside it first.
    pub directory: Option<PathBuf>,
}

impl Default for FileOptions {
    fn default() -> FileOptions {
        let style = Style::file();
        FileOptions {
            source: 0,
            trim_blocks: style.trim_blocks,
            lstrip_blocks: style.lstrip_blocks,
            keep_trailing_newline: false,
            newline: "\n".to_owned(),
            block: style.block,
            variable: style.output,
            comment: style.comment,
            directory: None,
        }
    }
}

/// The text of a template file. A first line `#jinja2: name: value, …` overrides the options.
pub fn render_file(text: &str, options: &FileOptions, scope: &dyn Scope, world: &dyn World) -> Result<Text, TemplateError> {
    let mut eval = Eval::new(scope, world);
    render_with(&mut eval, text, options).map_err(|error| *error)
}

pub(crate) fn render_with(eval: &mut Eval<'_>, text: &str, options: &FileOptions) -> Res<Text> {
    Ok(match render_native(eval, text, options)? {
        Val::None => "".into(),
        other => other.to_text(),
    })
}

/// A file that is one expression gives its value.
pub(crate) fn render_native(eval: &mut Eval<'_>, text: &str, options: &FileOptions) -> Res<Val> {
    let mut options = options.clone();
    let body = without_header(text, &mut options).map_err(|reason| header_error(reason, text, &options))?;
    let style = options.style();
    if [&style.output.0, &style.block.0, &style.comment.0].iter().all(|mark| !body.contains(mark.as_str())) {
        return Ok(Val::Str(with_newline(body, &options.newline)));
    }
    let start = u32::try_from(text.len() - body.len()).unwrap_or(0);
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let span = if options.source == 0 { Span::NOWHERE } else { Span { source: options.source, start, end } };
    let tree = file_tree(body, &style).map_err(|error| Box::new(TemplateError::syntax(error, body, span)))?;
    let has_directory = options.directory.is_some();
    eval.files.extend(options.directory.clone());
    let blocks = std::mem::take(&mut eval.blocks);
    let result = eval.in_text(body, span, |eval| eval.run_tree(&tree, &Locals::root()));
    eval.blocks = blocks;
    if has_directory {
        eval.files.pop();
    }
    let text = match result?.into_native() {
        Val::Str(text) if options.newline != "\n" => {
            let replaced = text.replace('\n', &options.newline);
            if text.is_secret() { Text::secret(replaced) } else { replaced.into() }
        }
        Val::Str(text) => text,
        // A value that is no text never gets the last newline back.
        other => return Ok(other),
    };
    Ok(with_trailing_newlines(Val::Str(text), body))
}

/// A text without Jinja is left as it is, but for the end of lines that was asked for.
fn with_newline(text: &str, newline: &str) -> Text {
    match text.strip_suffix('\n') {
        Some(lines) if newline != "\n" => format!("{}\n", lines.replace('\n', newline)).into(),
        _ => text.into(),
    }
}

impl FileOptions {
    fn style(&self) -> Style {
        Style {
            output: self.variable.clone(),
            block: self.block.clone(),
            comment: self.comment.clone(),
            trim_blocks: self.trim_blocks,
            lstrip_blocks: self.lstrip_blocks,
            keep_trailing_newline: self.keep_trailing_newline,
            raw_strings: false,
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let flag = || match value.to_ascii_lowercase().as_str() {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            _ => Err(format!("`{name}` is true or false, not `{value}`")),
        };
        let text = || {
            let inner = value.strip_prefix(['\'', '"']).and_then(|rest| rest.strip_suffix(['\'', '"'])).unwrap_or(value);
            inner.replace("\\n", "\n").replace("\\r", "\r")
        };
        match name {
            "trim_blocks" => self.trim_blocks = flag()?,
            "lstrip_blocks" => self.lstrip_blocks = flag()?,
            "keep_trailing_newline" => self.keep_trailing_newline = flag()?,
            "newline_sequence" => self.newline = text(),
            "block_start_string" => self.block.0 = text(),
            "block_end_string" => self.block.1 = text(),
            "variable_start_string" => self.variable.0 = text(),
            "variable_end_string" => self.variable.1 = text(),
            "comment_start_string" => self.comment.0 = text(),
            "comment_end_string" => self.comment.1 = text(),
            _ => return Err(format!("the header has an unknown option `{name}`")),
        }
        Ok(())
    }
}

/// The text after the header line, whose options go into `options`.
fn without_header<'t>(text: &'t str, options: &mut FileOptions) -> Result<&'t str, String> {
    let Some(rest) = text.strip_prefix("#jinja2:") else { return Ok(text) };
    let (header, body) = rest.split_once('\n').unwrap_or((rest, ""));
    for pair in split_pairs(header) {
        let Some((name, value)) = pair.split_once(':') else {
            return Err(format!("the header has `{}`, which is no `name: value`", pair.trim()));
        };
        options.set(name.trim(), value.trim())?;
    }
    Ok(body)
}

/// At the commas outside of quotes.
fn split_pairs(header: &str) -> Vec<&str> {
    let mut pairs = Vec::new();
    let mut quote = None;
    let mut start = 0;
    for (offset, c) in header.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ',') => {
                pairs.push(&header[start..offset]);
                start = offset + 1;
            }
            _ => {}
        }
    }
    pairs.push(&header[start..]);
    pairs.retain(|pair| !pair.trim().is_empty());
    pairs
}

fn header_error(reason: String, text: &str, options: &FileOptions) -> Fault {
    let end = u32::try_from(text.lines().next().map_or(0, str::len)).unwrap_or(0);
    let mut error = TemplateError::new(super::Problem::Syntax { reason });
    if options.source != 0 {
        error.span = Span { source: options.source, start: 0, end };
    }
    Box::new(error)
}
