//! Inventories in Ansible's INI form: sections of hosts, `:vars` and `:children`.

use super::problem::{LineProblem, Problem};
use super::{Given, Loading, literal};
use crate::diag::closest;
use crate::value::{Span, Template, Value};
use std::sync::Arc;

pub(super) fn is_for(given: &Given) -> bool {
    given.is_file()
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    if given.extension() == Some("toml") {
        return loading.report(&Problem::Toml { path: given.path.clone() });
    }
    let source = loading.sources.add(given.name.as_str(), given.text());
    let mut reader = Reader { loading, source, section: Section::Hosts("ungrouped".to_owned()), pending: Vec::new() };
    let mut start = 0;
    for line in given.text().split('\n') {
        reader.line(line, start);
        start += line.len() + 1;
    }
    reader.check_pending();
}

enum Section {
    Hosts(String),
    Vars(String),
    Children(String),
    /// Its heading was wrong; its lines are not looked at.
    Unknown,
}

struct Reader<'a, 'b> {
    loading: &'a mut Loading<'b>,
    source: u32,
    section: Section,
    /// Groups that are used and must be defined somewhere.
    pending: Vec<Pending>,
}

/// A group that was used: as a child, or by its variables.
struct Pending {
    group: String,
    span: Span,
    use_: Use,
}

enum Use {
    ChildOf(String),
    Vars(Vec<(String, Value)>),
}

impl Reader<'_, '_> {
    fn line(&mut self, line: &str, start: usize) {
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return;
        }
        let start = start + (line.len() - line.trim_start().len());
        if text.starts_with('[') && !self.is_bracketed_host(text) {
            return self.heading(text, start);
        }
        match &self.section {
            Section::Hosts(group) => self.host(text, start, &group.clone()),
            Section::Vars(group) => self.variable(text, start, &group.clone()),
            Section::Children(group) => self.child(text, start, &group.clone()),
            Section::Unknown => {}
        }
    }

    /// `[::1]:22 name=value` is a host, not a section.
    fn is_bracketed_host(&self, text: &str) -> bool {
        let behind = text.split_once(']').map(|(_, behind)| behind);
        matches!(self.section, Section::Hosts(_)) && behind.is_some_and(|behind| behind.starts_with(':'))
    }

    fn report(&mut self, problem: LineProblem) {
        self.loading.report(&problem.into());
    }

    fn span(&self, start: usize, length: usize) -> Span {
        let place = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { source: self.source, start: place(start), end: place(start + length) }
    }

    fn heading(&mut self, text: &str, start: usize) {
        let span = self.span(start, text.len());
        self.section = Section::Unknown;
        let inner = text.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        let Some((name, _)) =
            inner.filter(|(name, behind)| !name.is_empty() && is_comment(behind) && !name.contains(char::is_whitespace))
        else {
            return self.report(LineProblem::NotSection { span });
        };
        match name.split_once(':') {
            None => {
                self.loading.inventory.add_group(name);
                self.section = Section::Hosts(name.to_owned());
            }
            Some((group, "children")) if !group.is_empty() => {
                self.loading.inventory.add_group(group);
                self.section = Section::Children(group.to_owned());
            }
            Some((group, "vars")) if !group.is_empty() => {
                let span = self.span(start + 1, group.len());
                self.pending.push(Pending { group: group.to_owned(), span, use_: Use::Vars(Vec::new()) });
                self.section = Section::Vars(group.to_owned());
            }
            Some((group, kind)) => {
                let span = self.span(start + 2 + group.len(), kind.len());
                let near = closest(kind, ["vars", "children"]).map(str::to_owned);
                self.report(LineProblem::UnknownSection { span, kind: kind.to_owned(), near });
            }
        }
    }

    fn host(&mut self, text: &str, start: usize, group: &str) {
        let span = self.span(start, text.len());
        let Some(words) = words(text) else { return self.report(LineProblem::OpenQuote { span }) };
        let Some((pattern, variables)) = words.split_first() else { return };
        let name_span = self.span(start, text.find(char::is_whitespace).unwrap_or(text.len()));
        let (hosts, port) = self.loading.expand(pattern, name_span);
        let mut values = Vec::new();
        for variable in variables {
            match variable.split_once('=') {
                Some((name, value)) => values.push((name, typed(value, span))),
                None => {
                    let place = text.find(variable.as_str()).map_or(span, |at| self.span(start + at, variable.len()));
                    return self.report(LineProblem::NotKeyValue { span: place, text: variable.clone() });
                }
            }
        }
        for host in hosts {
            self.loading.add_host(&host, Some(group), name_span);
            if let Some(port) = port {
                self.loading.inventory.set_host_var(&host, "ansible_port", i64::from(port).into());
            }
            values.iter().for_each(|(name, value)| self.loading.inventory.set_host_var(&host, name, value.clone()));
        }
    }

    fn variable(&mut self, text: &str, start: usize, group: &str) {
        let Some((name, value)) = text.split_once('=') else {
            let span = self.span(start, text.len());
            return self.report(LineProblem::NotKeyValue { span, text: text.to_owned() });
        };
        let behind = value.trim_start();
        let span = self.span(start + text.len() - behind.len(), behind.len());
        let value = typed(value.trim(), span);
        if let Some(Pending { use_: Use::Vars(vars), group: last, .. }) = self.pending.last_mut()
            && last == group
        {
            vars.push((name.trim().to_owned(), value));
        }
    }

    fn child(&mut self, text: &str, start: usize, parent: &str) {
        let name = text.split_once('#').map_or(text, |(name, _)| name).trim_end();
        let span = self.span(start, name.len());
        if name.is_empty() || name.contains([':', ']']) || name.contains(char::is_whitespace) {
            return self.report(LineProblem::NotGroupName { span });
        }
        self.pending.push(Pending { group: name.to_owned(), span, use_: Use::ChildOf(parent.to_owned()) });
    }

    /// At the end all groups are known: sections may come in any order.
    fn check_pending(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let Pending { group, span, use_ } = pending;
            if !self.loading.inventory.groups.contains_key(&group) {
                let names = self.loading.inventory.groups.keys().map(String::as_str);
                let near = closest(&group, names).map(str::to_owned);
                self.report(LineProblem::UndefinedGroup { span, group, near });
                continue;
            }
            match use_ {
                Use::ChildOf(parent) => self.loading.add_child(&parent, &group, span),
                Use::Vars(vars) => {
                    vars.into_iter().for_each(|(name, value)| self.loading.inventory.set_group_var(&group, &name, value));
                }
            }
        }
    }
}

fn is_comment(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with('#')
}

/// A Python literal if it is one, else a string, which may be a template.
fn typed(text: &str, span: Span) -> Value {
    let value = literal::read(text).unwrap_or_else(|| text.into());
    trusted(value, span)
}

/// Strings with Jinja in them become templates, in lists and mappings too.
fn trusted(value: Value, span: Span) -> Value {
    match value {
        Value::String(text) if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) => {
            Value::Template(Arc::new(Template { text: text.as_str().to_owned(), span }))
        }
        Value::List(items) => items.iter().map(|item| trusted(item.clone(), span)).collect(),
        Value::Map(entries) => Value::map(entries.iter().map(|(key, item)| (key.clone(), trusted(item.clone(), span))).collect()),
        other => other,
    }
}

/// The words of a line as a shell has them, up to a `#` that is not quoted; none if a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '#' => break,
            _ if letter.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        quoted => word.push(quoted),
                    }
                }
            }
            '"' => double_quoted(&mut letters, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(letters.next()?),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    Some(words)
}

fn double_quoted(letters: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match letters.next()? {
            '"' => return Some(()),
            '\\' => match letters.next()? {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            quoted => word.push(quoted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let split = |line: &str| words(line).map(|words| words.join("|"));
        assert_eq!(split(r#"h a="b c" d='e "f"' g=h\ i # j"#).as_deref(), Some(r#"h|a=b c|d=e "f"|g=h i"#));
        assert_eq!(split(r#"h a="\"\\\d" b= c=d#e"#).as_deref(), Some(r#"h|a="\\d|b=|c=d"#));
        assert_eq!(split("h 'a"), None);
        assert_eq!(split("h \\"), None);
    }
}
