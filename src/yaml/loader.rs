//! Events of the parser → nodes: aliases, merge keys, duplicate keys, tags, and the limits on all of it.

use super::problem::Problem;
use super::{Content, Node, Trust, scalar, syntax};
use crate::value::{Key, Span, Template, VAULT_HEADER, Value, text_of};
use base64ct::{Base64, Encoding};
use granit_parser::{Event, Parser, ScalarStyle, ScanError, StructureStyle, Tag};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;

/// How deep collections may nest, aliases counted as what they stand for.
const DEPTH_MAX: usize = 100;
/// How many nodes aliases and merges may add to those that are written.
const ADDED_MAX: usize = 1_000_000;

/// So many keys are compared one by one faster than by their hashes.
const FEW: usize = 16;

/// Where a text came from and how to read its scalars.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    pub text: &'a str,
    pub source: u32,
    pub trust: Trust,
    pub is_json: bool,
    /// Where spaces were put in that the user did not write, see `mend`.
    pub added: &'a [(usize, usize)],
}

pub(super) struct Loaded {
    pub documents: Vec<Node>,
    pub problems: Vec<Problem>,
    /// The error that ended the reading, with the offset where it was noticed.
    pub broken: Option<(ScanError, usize)>,
}

pub(super) fn load(manner: Manner<'_>) -> Loaded {
    let mut options = granit_parser::options! {
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    options.set_emit_comments(false);
    let mut loader = Loader::new(manner);
    for next in Parser::new_from_str_with_options(manner.text, options) {
        match next {
            Ok((event, span)) => {
                if let Err(problem) = loader.take(&event, &span) {
                    loader.problems.push(problem);
                    break;
                }
            }
            Err(error) => {
                let offset = manner.offset(error.marker());
                let context = syntax::Context {
                    manner,
                    end_of_last: loader.end_of_last,
                    last: loader.last,
                    open: loader.open(),
                    closed: loader.closed,
                };
                loader.problems.push(syntax::problem(&context, &error, offset));
                return Loaded { documents: loader.documents, problems: loader.problems, broken: Some((error, offset)) };
            }
        }
    }
    Loaded { documents: loader.documents, problems: loader.problems, broken: None }
}

struct Loader<'a> {
    manner: Manner<'a>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    anchor_names: Vec<String>,
    added: usize,
    documents: Vec<Node>,
    problems: Vec<Problem>,
    end_of_last: usize,
    last: Option<(usize, usize)>,
    /// Where the last finished list or mapping without brackets started.
    closed: Option<usize>,
}

/// A finished node that an alias may stand for, with its size.
struct Anchored {
    node: Node,
    size: Size,
}

#[derive(Clone, Copy)]
struct Size {
    nodes: usize,
    depth: usize,
}

/// A collection whose end has not come yet.
struct Frame {
    content: Unfinished,
    start: usize,
    is_flow: bool,
    is_unsafe: bool,
    /// Tagged `!!set`: only its keys count.
    is_set: bool,
    anchor: usize,
    size: Size,
}

enum Unfinished {
    List(Vec<Node>),
    Map { entries: Vec<(Node, Node)>, merged: Vec<(Node, Node)>, key: Option<PendingKey> },
}

enum PendingKey {
    Merge(Span),
    Plain(Node),
}

/// The innermost open collection, for messages.
#[derive(Clone, Copy)]
pub(super) struct Open {
    pub start: usize,
    pub is_flow: bool,
}

impl Size {
    const LEAF: Size = Size { nodes: 1, depth: 0 };

    fn hold(&mut self, child: Size) {
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.depth = self.depth.max(child.depth + 1);
    }
}

impl Manner<'_> {
    pub(super) fn offset(&self, mark: &granit_parser::Marker) -> usize {
        let offset =
            mark.byte_offset().unwrap_or_else(|| self.text.char_indices().nth(mark.index()).map_or(self.text.len(), |at| at.0));
        (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    /// A span of the text as the user wrote it.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let original = |offset: usize| {
            let before: usize =
                self.added.iter().filter(|(at, _)| *at < offset).map(|(at, count)| (*count).min(offset - at)).sum();
            u32::try_from(offset - before).unwrap_or(u32::MAX)
        };
        let start = original(start);
        Span { source: self.source, start, end: original(end).max(start) }
    }
}

fn has_twins(entries: &[(Node, Node)]) -> bool {
    let keys: Vec<Key> = entries.iter().map(|(key, _)| key.to_key()).collect();
    keys.iter().enumerate().any(|(index, key)| keys.iter().take(index).any(|other| other == key))
}

impl<'a> Loader<'a> {
    fn new(manner: Manner<'a>) -> Loader<'a> {
        Loader {
            manner,
            stack: Vec::new(),
            anchors: HashMap::new(),
            anchor_names: Vec::new(),
            added: 0,
            documents: Vec::new(),
            problems: Vec::new(),
            end_of_last: 0,
            last: None,
            closed: None,
        }
    }

    fn take(&mut self, event: &Event<'_>, span: &granit_parser::Span) -> Result<(), Problem> {
        let (start, end) = (self.manner.offset(&span.start), self.manner.offset(&span.end));
        let tag_span = span.tag_span().map(|tag| self.manner.span(self.manner.offset(&tag.start), self.manner.offset(&tag.end)));
        if event.is_node() {
            self.end_of_last = self.end_of_last.max(end);
            self.last = Some((start, end));
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let written = Written { text, style: *style, tag: tag.as_deref(), start, end, tag_span };
                self.scalar(&written, *anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), tag_span);
                self.open_collection(Unfinished::List(Vec::new()), *style, *anchor, tag.as_deref(), start)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), tag_span);
                let content = Unfinished::Map { entries: Vec::new(), merged: Vec::new(), key: None };
                self.open_collection(content, *style, *anchor, tag.as_deref(), start)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close_collection(end),
            Event::Alias(anchor) => self.alias(*anchor, start, end),
            Event::UnresolvedAlias(name) => Err(Problem::UnknownAlias {
                span: self.manner.span(start, end),
                name: name.to_string(),
                anchors: std::mem::take(&mut self.anchor_names),
            }),
            Event::Anchor(_, name) => {
                self.anchor_names.push(name.to_string());
                Ok(())
            }
            Event::DocumentStart(..) => {
                self.anchors.clear();
                if self.documents.len() == 1 {
                    self.problems.push(Problem::SeveralDocuments { again: self.manner.span(start, end) });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(&self) -> Vec<Open> {
        self.stack.iter().map(|frame| Open { start: frame.start, is_flow: frame.is_flow }).collect()
    }

    fn is_unsafe(&self) -> bool {
        self.stack.last().is_some_and(|frame| frame.is_unsafe)
    }

    fn scalar(&mut self, written: &Written<'_>, anchor: usize) -> Result<(), Problem> {
        let span = self.manner.span(written.start, written.end);
        let is_plain = written.style == ScalarStyle::Plain && written.tag.is_none();
        if is_plain && written.text == "<<" && anchor == 0 && self.wants_key() {
            return self.merge_key(span);
        }
        let value = self.value(written);
        self.put(Node { span, content: Content::Scalar(value) }, Size::LEAF, anchor)
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Unfinished::Map { key: None, .. }, .. }))
    }

    fn merge_key(&mut self, span: Span) -> Result<(), Problem> {
        if let Some(Frame { content: Unfinished::Map { key, .. }, .. }) = self.stack.last_mut() {
            *key = Some(PendingKey::Merge(span));
        }
        Ok(())
    }

    fn value(&mut self, written: &Written<'_>) -> Value {
        let Some(tag) = written.tag else {
            return match written.style {
                ScalarStyle::Plain if written.is_missing() => Value::Null,
                ScalarStyle::Plain => match self.plain(written.text) {
                    Value::String(_) => self.string(written),
                    other => other,
                },
                _ => self.string(written),
            };
        };
        if let Some(name) = tag.suffix_in_namespace("tag:yaml.org,2002:") {
            return self.standard_tag(&name, written);
        }
        match tag.suffix() {
            "vault" | "vault-encrypted" => self.vaulted(written),
            "unsafe" => written.text().into(),
            "" | "!" => self.string(written),
            _ => {
                self.problems.push(Problem::UnknownTag { span: written.tag_span.unwrap_or_default(), tag: tag.original() });
                Value::Null
            }
        }
    }

    fn plain(&self, text: &str) -> Value {
        if self.manner.is_json { scalar::resolve_json(text) } else { scalar::resolve(text) }
    }

    fn standard_tag(&mut self, name: &str, written: &Written<'_>) -> Value {
        let text = written.text();
        let value = match name {
            "str" | "timestamp" | "value" => Some(self.string(written)),
            "int" => scalar::integer(text).map(Value::Int),
            "float" => scalar::float(text).or_else(|| text.parse().ok()).map(Value::Float),
            "bool" => scalar::boolean(text).map(Value::Bool),
            "null" => Some(Value::Null),
            "binary" => binary(text).map(Value::from),
            _ => {
                let tag = format!("!!{name}");
                self.problems.push(Problem::UnknownTag { span: written.tag_span.unwrap_or_default(), tag });
                return Value::Null;
            }
        };
        value.unwrap_or_else(|| {
            let span = self.manner.span(written.start, written.end);
            self.problems.push(Problem::UnfitForTag { span, tag: format!("!!{name}"), text: text.to_owned() });
            Value::Null
        })
    }

    /// A string, or a template if it looks like one and was written by the user.
    fn string(&self, written: &Written<'_>) -> Value {
        let text = written.text();
        if self.manner.trust == Trust::Data || self.is_unsafe() || !is_template(text) {
            return text.into();
        }
        let (start, end) = written.content(self.manner.text);
        Value::Template(Arc::new(Template { text: text.to_owned(), span: self.manner.span(start, end) }))
    }

    /// A vault is opened when it is used; what lacks the header fails then.
    fn vaulted(&self, written: &Written<'_>) -> Value {
        let text = written.text().trim();
        let text = if text.starts_with(VAULT_HEADER) { text.to_owned() } else { format!("{VAULT_HEADER}{text}") };
        let (start, end) = written.content(self.manner.text);
        Value::Template(Arc::new(Template { text, span: self.manner.span(start, end) }))
    }

    fn check_collection_tag(&mut self, tag: Option<&Tag>, span: Option<Span>) {
        let Some(tag) = tag else { return };
        let is_known = match tag.suffix_in_namespace("tag:yaml.org,2002:") {
            Some(name) => matches!(&*name, "map" | "seq" | "omap" | "pairs" | "set"),
            None => matches!(tag.suffix(), "unsafe" | "" | "!"),
        };
        if !is_known {
            self.problems.push(Problem::UnknownTag { span: span.unwrap_or_default(), tag: tag.original() });
        }
    }

    fn open_collection(
        &mut self,
        content: Unfinished,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        start: usize,
    ) -> Result<(), Problem> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(Problem::TooDeep { span: self.manner.span(start, start) });
        }
        let is_unsafe = self.is_unsafe() || tag.is_some_and(|tag| tag.is_custom() && tag.suffix() == "unsafe");
        let is_set = tag.and_then(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:")).is_some_and(|name| &*name == "set");
        let is_flow = style == StructureStyle::Flow;
        self.stack.push(Frame { content, start, is_flow, is_unsafe, is_set, anchor, size: Size::LEAF });
        Ok(())
    }

    fn close_collection(&mut self, end: usize) -> Result<(), Problem> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let end = if frame.is_flow { end } else { self.end_of_last.max(frame.start) };
        self.end_of_last = self.end_of_last.max(end);
        self.last = Some((frame.start, end));
        self.closed = (!frame.is_flow).then_some(frame.start).or(self.closed);
        let span = self.manner.span(frame.start, end);
        let content = match frame.content {
            Unfinished::List(items) => Content::List(items),
            Unfinished::Map { entries, merged, .. } if frame.is_set => {
                Content::List(self.join(entries, merged).into_iter().map(|(key, _)| key).collect())
            }
            Unfinished::Map { entries, merged, .. } => Content::Map(self.join(entries, merged)),
        };
        self.put(Node { span, content }, frame.size, frame.anchor)
    }

    /// Merged entries first, then the written ones over them; of equal keys the last one stays.
    fn join(&mut self, written: Vec<(Node, Node)>, merged: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
        if merged.is_empty() && written.len() <= FEW && !has_twins(&written) {
            return written;
        }
        let mut entries: IndexMap<Key, (Node, Node)> =
            merged.into_iter().map(|(key, value)| (key.to_key(), (key, value))).collect();
        let mut seen: HashMap<Key, Span> = HashMap::new();
        for (key, value) in written {
            let name = key.to_key();
            if let Some(first) = seen.insert(name.clone(), key.span) {
                self.problems.push(Problem::DuplicateKey { key: name.to_string(), first, again: key.span });
            }
            entries.insert(name, (key, value));
        }
        entries.into_values().collect()
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Result<(), Problem> {
        let span = self.manner.span(start, end);
        let Some(Anchored { node, size }) = self.anchors.get(&anchor) else {
            return Err(Problem::AliasInItself { span });
        };
        let size = *size;
        self.added = self.added.saturating_add(size.nodes);
        if self.added > ADDED_MAX {
            return Err(Problem::TooManyNodes { span });
        }
        if self.stack.len() + size.depth > DEPTH_MAX {
            return Err(Problem::TooDeep { span });
        }
        let node = node.clone();
        self.put(node, size, 0)
    }

    /// Hands a finished node to the collection that it is in.
    fn put(&mut self, node: Node, size: Size, anchor: usize) -> Result<(), Problem> {
        if anchor != 0 {
            self.added = self.added.saturating_add(size.nodes);
            if self.added > ADDED_MAX {
                return Err(Problem::TooManyNodes { span: node.span });
            }
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        frame.size.hold(size);
        match &mut frame.content {
            Unfinished::List(items) => items.push(node),
            Unfinished::Map { entries, merged, key } => match key.take() {
                None => {
                    if let Some(problem) = unfit_key(&node, self.manner, &self.stack) {
                        return Err(problem);
                    }
                    self.set_key(node);
                }
                Some(PendingKey::Plain(name)) => entries.push((name, node)),
                Some(PendingKey::Merge(span)) => merged.extend(mergeable(node, span)?),
            },
        }
        Ok(())
    }

    fn set_key(&mut self, node: Node) {
        if let Some(Frame { content: Unfinished::Map { key, .. }, .. }) = self.stack.last_mut() {
            *key = Some(PendingKey::Plain(node));
        }
    }
}

/// A scalar as the parser found it.
struct Written<'a> {
    text: &'a str,
    style: ScalarStyle,
    tag: Option<&'a Tag>,
    start: usize,
    end: usize,
    tag_span: Option<Span>,
}

impl Written<'_> {
    /// The parser writes `~` where nothing is written.
    fn is_missing(&self) -> bool {
        self.style == ScalarStyle::Plain && self.start == self.end
    }

    fn text(&self) -> &str {
        if self.is_missing() { "" } else { self.text }
    }

    /// Start and end without quotes.
    fn content(&self, text: &str) -> (usize, usize) {
        let is_quoted = matches!(self.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        if is_quoted && self.end > self.start + 1 {
            return (self.start + 1, self.end - 1);
        }
        let written = text.get(self.start..self.end).unwrap_or("");
        (self.start, self.start + written.trim_end().len())
    }
}

pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The key of a mapping must be a scalar. Where it is not, most often a template was not quoted: `{{ a }}` is a mapping with a
/// mapping as its key.
fn unfit_key(node: &Node, manner: Manner<'_>, stack: &[Frame]) -> Option<Problem> {
    if matches!(node.content, Content::Scalar(_)) {
        return None;
    }
    let outer = stack.last()?;
    let is_template = outer.is_flow && manner.text.get(outer.start..).is_some_and(|rest| rest.starts_with("{{"));
    if !is_template {
        return Some(Problem::KeyIsCollection { span: node.span });
    }
    let is_inside_flow = stack.len() > 1 && stack[stack.len() - 2].is_flow;
    Some(syntax::unquoted_template(manner, outer.start, is_inside_flow))
}

/// What `<<` adds: of several mappings the first has precedence, so it comes last.
fn mergeable(node: Node, key: Span) -> Result<Vec<(Node, Node)>, Problem> {
    let span = node.span;
    match node.content {
        Content::Map(entries) => Ok(entries),
        Content::List(items) => {
            let mut all = Vec::new();
            for item in items.into_iter().rev() {
                let value = item.span;
                let Content::Map(entries) = item.content else { return Err(Problem::BadMerge { key, value }) };
                all.extend(entries);
            }
            Ok(all)
        }
        Content::Scalar(_) => Err(Problem::BadMerge { key, value: span }),
    }
}

fn binary(text: &str) -> Option<String> {
    let compact: String = text.split_whitespace().collect();
    Base64::decode_vec(&compact).ok().map(|bytes| text_of(&bytes))
}
