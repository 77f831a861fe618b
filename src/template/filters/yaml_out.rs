//! Values as YAML text, byte for byte as Ansible's `to_yaml` and `to_nice_yaml` write them.

use super::regex::compile;
use crate::value::{Key, Value};

/// How the text is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) indent: usize,
    pub(crate) width: usize,
    /// `[a, b]` always, never, or (none) for lists and maps without others inside.
    pub(crate) flow: Option<bool>,
    pub(crate) is_sorted: bool,
    pub(crate) is_unicode: bool,
    pub(crate) starts_explicitly: bool,
    pub(crate) ends_explicitly: bool,
    /// `"` or `'` around every scalar, or every one as a block behind `|` or `>`.
    pub(crate) style: Option<char>,
    /// Texts of several lines as blocks behind `|`.
    pub(crate) has_blocks: bool,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout {
            indent: 2,
            width: 80,
            flow: None,
            is_sorted: true,
            is_unicode: true,
            starts_explicitly: false,
            ends_explicitly: false,
            style: None,
            has_blocks: false,
        }
    }
}

/// As Ansible lays out results for people: indented by four, texts of several lines as they are.
pub fn report_text(value: &Value) -> String {
    yaml_text(value, &Layout { indent: 4, flow: Some(false), has_blocks: true, ..Layout::default() })
}

pub(crate) fn yaml_text(value: &Value, layout: &Layout) -> String {
    let mut layout = layout.clone();
    if !(2..10).contains(&layout.indent) {
        layout.indent = 2;
    }
    if layout.width <= layout.indent * 2 {
        layout.width = 80;
    }
    let mut writer = Writer {
        layout: &layout,
        out: String::new(),
        column: 0,
        is_space: true,
        is_indention: true,
        indent: None,
        flow_level: 0,
        is_open: false,
    };
    if layout.starts_explicitly {
        writer.indicator("---", true, false, false);
        if !matches!(value, Value::List(_) | Value::Map(_)) || writer.is_flow(value) {
            writer.is_space = false;
        } else {
            writer.write_indent();
        }
    }
    writer.node(value, Place::Root);
    writer.write_indent();
    if layout.ends_explicitly || writer.is_open {
        writer.indicator("...", true, false, false);
        writer.write_indent();
    }
    writer.out
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Sequence,
    Mapping,
    SimpleKey,
}

struct Writer<'l> {
    layout: &'l Layout,
    out: String,
    column: usize,
    /// Whether the last character was white space.
    is_space: bool,
    /// Whether the line has nothing but indentation yet.
    is_indention: bool,
    indent: Option<usize>,
    flow_level: usize,
    /// Whether a block of the end keeps its empty lines, which only a mark can end.
    is_open: bool,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn indicator(&mut self, mark: &str, needs_space: bool, is_space: bool, is_indention: bool) {
        if needs_space && !self.is_space {
            self.push(" ");
        }
        self.push(mark);
        self.is_space = is_space;
        self.is_indention &= is_indention;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
        self.is_space = true;
        self.is_indention = true;
    }

    /// A line break of the text, which may be another one than `\n`.
    fn own_break(&mut self, c: char) {
        self.line_break();
        if c != '\n' {
            self.out.pop();
            self.out.push(c);
        }
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.is_indention || self.column > indent || (self.column == indent && !self.is_space) {
            self.line_break();
        }
        if self.column < indent {
            self.is_space = true;
            let missing = indent - self.column;
            self.push(&" ".repeat(missing));
        }
    }

    /// Runs `work` one level deeper.
    fn indented(&mut self, is_flow: bool, keeps_indent: bool, work: impl FnOnce(&mut Self)) {
        let before = self.indent;
        self.indent = match before {
            None => Some(if is_flow { self.layout.indent } else { 0 }),
            Some(indent) if keeps_indent => Some(indent),
            Some(indent) => Some(indent + self.layout.indent),
        };
        work(self);
        self.indent = before;
    }

    fn is_flow(&self, value: &Value) -> bool {
        let is_scalar = |value: &Value| self.layout.style.is_none() && !matches!(value, Value::List(_) | Value::Map(_));
        match value {
            Value::List(items) => items.is_empty() || self.layout.flow.unwrap_or_else(|| items.iter().all(is_scalar)),
            Value::Map(entries) => entries.is_empty() || self.layout.flow.unwrap_or_else(|| entries.values().all(is_scalar)),
            _ => false,
        }
    }

    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::List(items) if self.flow_level > 0 || self.is_flow(value) => self.flow_list(items),
            Value::List(items) => {
                let keeps_indent = place == Place::Mapping && !self.is_indention;
                self.indented(false, keeps_indent, |writer| {
                    for item in items.iter() {
                        writer.write_indent();
                        writer.indicator("-", true, false, true);
                        writer.node(item, Place::Sequence);
                    }
                });
            }
            Value::Map(entries) => {
                let entries = self.sorted(entries);
                if self.flow_level > 0 || self.is_flow(value) { self.flow_map(&entries) } else { self.block_map(&entries) }
            }
            scalar => self.scalar(&scalar_text(scalar), matches!(scalar, Value::String(_) | Value::Template(_)), place),
        }
    }

    fn sorted<'v>(&self, entries: &'v crate::value::Map) -> Vec<(&'v Key, &'v Value)> {
        let mut sorted: Vec<(&Key, &Value)> = entries.iter().collect();
        let are_texts = entries.keys().all(|key| matches!(key, Key::String(_)));
        let are_numbers = entries.keys().all(|key| matches!(key, Key::Int(_) | Key::Bool(_)));
        if self.layout.is_sorted && are_texts {
            sorted.sort_by(|(one, _), (other, _)| one.as_str().cmp(&other.as_str()));
        } else if self.layout.is_sorted && are_numbers {
            sorted.sort_by_key(|(key, _)| match key {
                Key::Int(number) => *number,
                Key::Bool(truth) => i64::from(*truth),
                _ => 0,
            });
        }
        sorted
    }

    fn block_map(&mut self, entries: &[(&Key, &Value)]) {
        self.indented(false, false, |writer| {
            for (key, value) in entries {
                writer.write_indent();
                let (text, is_text) = key_text(key);
                if is_simple_key(&text) {
                    writer.scalar(&text, is_text, Place::SimpleKey);
                    writer.indicator(":", false, false, false);
                    writer.node(value, Place::Mapping);
                } else {
                    writer.indicator("?", true, false, true);
                    writer.scalar(&text, is_text, Place::Mapping);
                    writer.write_indent();
                    writer.indicator(":", true, false, true);
                    writer.node(value, Place::Mapping);
                }
            }
        });
    }

    fn flow_list(&mut self, items: &[Value]) {
        self.indicator("[", true, true, false);
        self.flow_level += 1;
        self.indented(true, false, |writer| {
            for (index, item) in items.iter().enumerate() {
                writer.flow_item(index);
                writer.node(item, Place::Sequence);
            }
        });
        self.flow_level -= 1;
        self.indicator("]", false, false, false);
    }

    fn flow_map(&mut self, entries: &[(&Key, &Value)]) {
        self.indicator("{", true, true, false);
        self.flow_level += 1;
        self.indented(true, false, |writer| {
            for (index, (key, value)) in entries.iter().enumerate() {
                writer.flow_item(index);
                let (text, is_text) = key_text(key);
                if is_simple_key(&text) {
                    writer.scalar(&text, is_text, Place::SimpleKey);
                    writer.indicator(":", false, false, false);
                } else {
                    writer.indicator("?", true, false, false);
                    writer.scalar(&text, is_text, Place::Mapping);
                    writer.flow_width();
                    writer.indicator(":", true, false, false);
                }
                writer.node(value, Place::Mapping);
            }
        });
        self.flow_level -= 1;
        self.indicator("}", false, false, false);
    }

    fn flow_item(&mut self, index: usize) {
        if index > 0 {
            self.indicator(",", false, false, false);
        }
        self.flow_width();
    }

    fn flow_width(&mut self) {
        if self.column > self.layout.width {
            self.write_indent();
        }
    }

    fn scalar(&mut self, text: &str, is_text: bool, place: Place) {
        let analysis = Analysis::of(text, self.layout.is_unicode);
        let is_key = place == Place::SimpleKey;
        let chars: Vec<char> = text.chars().collect();
        // A scalar indents its further lines one level deeper.
        let before = self.indent;
        self.indent = Some(before.map_or(self.layout.indent, |indent| indent + self.layout.indent));
        let style = self.style(text, is_text, &analysis, is_key);
        if style != Quotes::None && !is_text {
            self.indicator("!", true, false, false);
        }
        match style {
            Quotes::Block(mark) => self.block(&chars, mark),
            Quotes::None => self.plain(&chars, !is_key),
            Quotes::Single => self.single_quoted(&chars, !is_key),
            Quotes::Double => self.double_quoted(&chars, !is_key),
        }
        self.indent = before;
    }

    fn style(&self, text: &str, is_text: bool, analysis: &Analysis, is_key: bool) -> Quotes {
        if self.layout.style == Some('"') {
            return Quotes::Double;
        }
        if let Some(mark @ ('|' | '>')) = self.layout.style {
            let fits = analysis.allows_block && self.flow_level == 0 && !is_key;
            return if fits { Quotes::Block(mark) } else { Quotes::Double };
        }
        if self.layout.has_blocks && text.contains(is_break) && analysis.allows_block && self.flow_level == 0 && !is_key {
            return Quotes::Block('|');
        }
        let resolves_to_itself = !is_text || is_plain_text(text);
        let fits_place = if self.flow_level > 0 { analysis.allows_flow_plain } else { analysis.allows_block_plain };
        if self.layout.style.is_none()
            && resolves_to_itself
            && fits_place
            && !(is_key && (text.is_empty() || analysis.is_multiline))
        {
            return Quotes::None;
        }
        if analysis.allows_single_quotes && !(is_key && analysis.is_multiline) { Quotes::Single } else { Quotes::Double }
    }

    fn plain(&mut self, text: &[char], may_split: bool) {
        if text.is_empty() {
            return;
        }
        if !self.is_space {
            self.push(" ");
        }
        self.is_space = false;
        self.is_indention = false;
        self.runs(text, |writer, run, start, _| {
            if run == [' '] && writer.column > writer.layout.width && may_split && start > 0 {
                writer.write_indent();
                writer.is_space = false;
                writer.is_indention = false;
            } else {
                writer.push(&run.iter().collect::<String>());
            }
        });
    }

    /// Calls `put` with every run of spaces, of line breaks, and of other characters.
    fn runs(&mut self, text: &[char], mut put: impl FnMut(&mut Self, &[char], usize, usize)) {
        let class = |c: char| {
            if c == ' ' {
                0
            } else if is_break(c) {
                1
            } else {
                2
            }
        };
        let mut start = 0;
        while start < text.len() {
            let length = text[start..].iter().take_while(|c| class(**c) == class(text[start])).count();
            put(self, &text[start..start + length], start, start + length);
            start += length;
        }
    }

    fn single_quoted(&mut self, text: &[char], may_split: bool) {
        self.indicator("'", true, false, false);
        let length = text.len();
        self.runs(text, |writer, run, start, end| {
            if run == [' '] && writer.column > writer.layout.width && may_split && start != 0 && end != length {
                writer.write_indent();
            } else if is_break(run[0]) {
                if run[0] == '\n' {
                    writer.line_break();
                }
                for c in run {
                    writer.own_break(*c);
                }
                writer.write_indent();
            } else {
                writer.push(&run.iter().collect::<String>().replace('\'', "''"));
            }
        });
        self.indicator("'", false, false, false);
    }

    /// Lines as they are behind `|`; behind `>` long ones are broken.
    fn block(&mut self, text: &[char], mark: char) {
        self.indicator(&mark.to_string(), true, false, false);
        if text.first().is_some_and(|c| *c == ' ' || is_break(*c)) {
            self.push(&self.layout.indent.to_string());
        }
        let is_break_at = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| is_break(*c));
        let last = text.len().checked_sub(1);
        self.is_open = is_break_at(last) && (text.len() == 1 || is_break_at(last.and_then(|last| last.checked_sub(1))));
        if self.is_open {
            self.push("+");
        } else if !is_break_at(last) {
            self.push("-");
        }
        self.line_break();
        let (mut after_break, mut is_indented) = (true, true);
        for (at, c) in text.iter().copied().enumerate() {
            if is_break(c) {
                let next = text[at..].iter().copied().find(|c| !is_break(*c));
                if mark == '>' && !after_break && !is_indented && c == '\n' && !is_blank(next) {
                    self.line_break();
                }
                self.own_break(c);
                after_break = true;
                continue;
            }
            if after_break {
                self.write_indent();
                is_indented = is_blank(Some(c));
            }
            let is_single_space = c == ' ' && text.get(at + 1) != Some(&' ');
            if mark == '>' && !after_break && is_single_space && self.column > self.layout.width {
                self.write_indent();
            } else {
                self.push(&c.to_string());
            }
            self.is_space = false;
            self.is_indention = false;
            after_break = false;
        }
    }

    fn double_quoted(&mut self, text: &[char], may_split: bool) {
        self.indicator("\"", true, false, false);
        let last = text.len().saturating_sub(1);
        let mut after_space = false;
        for (at, c) in text.iter().copied().enumerate() {
            if needs_escape(c, self.layout.is_unicode) {
                self.push(&escaped(c));
            } else if c == ' ' && may_split && !after_space && self.column > self.layout.width && at != 0 && at != last {
                self.write_indent();
                if text.get(at + 1) == Some(&' ') {
                    self.push("\\");
                }
            } else {
                self.push(&c.to_string());
            }
            after_space = c == ' ';
        }
        self.indicator("\"", false, false, false);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Quotes {
    None,
    Single,
    Double,
    Block(char),
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: Option<char>) -> bool {
    c.is_none_or(|c| is_break(c) || matches!(c, '\0' | ' ' | '\t' | '\r'))
}

fn needs_escape(c: char, is_unicode: bool) -> bool {
    let is_plain = (' '..='~').contains(&c)
        || (is_unicode && (('\u{a0}'..='\u{d7ff}').contains(&c) || ('\u{e000}'..='\u{fffd}').contains(&c)));
    matches!(c, '"' | '\\' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}') || !is_plain
}

fn escaped(c: char) -> String {
    let letter = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        other => {
            return match other as u32 {
                code @ 0..=0xff => format!("\\x{code:02X}"),
                code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{letter}")
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Float(number) if number.is_nan() => ".nan".to_owned(),
        Value::Float(number) if number.is_infinite() => if *number > 0.0 { ".inf" } else { "-.inf" }.to_owned(),
        Value::Float(_) => {
            let text = value.to_text().as_str().to_lowercase();
            if text.contains('.') { text } else { text.replacen('e', ".0e", 1) }
        }
        other => other.to_text().as_str().to_owned(),
    }
}

/// The text of a key and whether it is a string.
fn key_text(key: &Key) -> (String, bool) {
    match key {
        Key::Null => ("null".to_owned(), false),
        Key::Bool(truth) => (truth.to_string(), false),
        Key::Int(number) => (number.to_string(), false),
        Key::String(text) => (text.as_str().to_owned(), true),
    }
}

fn is_simple_key(text: &str) -> bool {
    text.chars().count() < 128 && !text.chars().any(is_break)
}

/// Whether a reader takes the plain text for a string, and not for a number, a date or a boolean.
fn is_plain_text(text: &str) -> bool {
    const BOOLEAN: &str = "yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF";
    const FLOAT: &str = r"[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)";
    const INTEGER: &str =
        "[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+";
    const TIME: &str = r"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]|[0-9][0-9][0-9][0-9]-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9][0-9]:[0-9][0-9](?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9][0-9])?))?";
    const OTHERS: &str = "~|null|Null|NULL||<<|=|!|&|\\*";
    let pattern = format!("^(?:{BOOLEAN}|{FLOAT}|{INTEGER}|{TIME}|{OTHERS})\\Z");
    match compile(&pattern, false, false) {
        Ok(regex) => !regex.is_match(text).unwrap_or(true),
        Err(_) => false,
    }
}

/// Which ways of writing a text keep it whole.
struct Analysis {
    is_multiline: bool,
    allows_flow_plain: bool,
    allows_block_plain: bool,
    allows_single_quotes: bool,
    allows_block: bool,
}

impl Analysis {
    fn of(text: &str, is_unicode: bool) -> Analysis {
        let chars: Vec<char> = text.chars().collect();
        if chars.is_empty() {
            return Analysis {
                is_multiline: false,
                allows_flow_plain: false,
                allows_block_plain: true,
                allows_single_quotes: true,
                allows_block: false,
            };
        }
        let starts_document = text.starts_with("---") || text.starts_with("...");
        let (mut block_marks, mut flow_marks) = (starts_document, starts_document);
        let (mut has_breaks, mut has_special, mut break_space, mut space_break) = (false, false, false, false);
        for (index, c) in chars.iter().copied().enumerate() {
            let before = index.checked_sub(1).map(|before| chars[before]);
            let after_blank = index == 0 || is_blank(before);
            let before_blank = is_blank(chars.get(index + 1).copied());
            let (is_block, is_flow) = marks(index == 0, c, after_blank, before_blank);
            block_marks |= is_block;
            flow_marks |= is_flow;
            has_breaks |= is_break(c);
            has_special |= is_unprintable(c, is_unicode);
            break_space |= c == ' ' && before.is_some_and(is_break);
            space_break |= is_break(c) && before == Some(' ');
        }
        let is_edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let has_edges = is_edge(chars.first()) || is_edge(chars.last());
        let is_fragile = has_edges || break_space || space_break || has_special || has_breaks;
        Analysis {
            is_multiline: has_breaks,
            allows_flow_plain: !is_fragile && !flow_marks,
            allows_block_plain: !is_fragile && !block_marks,
            allows_single_quotes: !break_space && !space_break && !has_special,
            allows_block: !space_break && !has_special && chars.last() != Some(&' '),
        }
    }
}

/// Whether a character at its place would mean something in block and in flow context.
fn marks(is_first: bool, c: char, after_blank: bool, before_blank: bool) -> (bool, bool) {
    if is_first {
        return match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => (true, true),
            '?' | ':' => (before_blank, true),
            '-' => (before_blank, before_blank),
            _ => (false, false),
        };
    }
    match c {
        ',' | '?' | '[' | ']' | '{' | '}' => (false, true),
        ':' => (before_blank, true),
        '#' => (after_blank, after_blank),
        _ => (false, false),
    }
}

fn is_unprintable(c: char, is_unicode: bool) -> bool {
    if c == '\n' || (' '..='~').contains(&c) {
        return false;
    }
    let is_letter = (('\u{a0}'..='\u{d7ff}').contains(&c) || ('\u{e000}'..='\u{fffd}').contains(&c)) && c != '\u{feff}';
    !is_letter || !is_unicode
}
