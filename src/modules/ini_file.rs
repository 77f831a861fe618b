//! `ini_file`: options and sections of a file of settings.

use super::attrs::FILE_ARGS;
use super::edit::{self, TextFile};
use super::{Arg, Args, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::Value;
use std::ops::Range;

pub(super) static MODULE: Module = Module {
    name: "ini_file",
    collection: "community.general",
    summary: "see to options of a file of settings",
    args: &[
        FILE_ARGS,
        &[
            Arg::new("path", Kind::Path, "the file").aliases(&["dest"]).required(),
            Arg::new("section", Kind::Str, "the section; left out, what is before the first one"),
            Arg::new("section_has_values", Kind::RawList, "only a section in which these options have these values"),
            Arg::new("option", Kind::Str, "the option; left out, the whole section"),
            Arg::new("value", Kind::Str, "its value"),
            Arg::new("values", Kind::List, "its values, one line each"),
            Arg::new("state", Kind::Str, "whether it is to be there").choices(&["absent", "present"]).default("present"),
            Arg::new("exclusive", Kind::Bool, "the option has no other values").default("yes"),
            Arg::new("no_extra_spaces", Kind::Bool, "no spaces around `=`").default("no"),
            Arg::new("ignore_spaces", Kind::Bool, "a line that differs in spaces only stays").default("no"),
            Arg::new("allow_no_value", Kind::Bool, "an option may be without `=`").default("no"),
            Arg::new("modify_inactive_option", Kind::Bool, "an option in a comment is replaced").default("yes"),
            Arg::new("create", Kind::Bool, "make the file if it is not there").default("yes"),
            Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
            Arg::new("follow", Kind::Bool, "write to what a link points to").default("no"),
        ],
    ],
    rules: &[Rule::Exclusive(&["value", "values"])],
    free_form: None,
    plan,
    finish: edit::finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let is_present = args.str("state") != Some("absent");
    let file = TextFile::open(look, path)?;
    let mut plan = Plan::default();
    plan.set("path", path).set("msg", "OK");
    if file.found.is_none() && !args.bool("create") {
        return Err(Failure::new(format!("Destination {path} does not exist!")).with("rc", 257));
    }
    if file.found.is_none() && !is_present {
        return Ok(plan);
    }
    let mut task = Task { args, lines: file.text.lines().map(str::to_owned).collect() };
    let msg = if is_present { task.present()? } else { task.absent() };
    let mut after = task.lines.join("\n");
    if !after.is_empty() {
        after.push('\n');
    }
    // A file that only lacks its last line break is as wanted.
    let after = if msg == "OK" { file.text.clone() } else { after };
    file.become_text(args, look, &after, msg, &mut plan)?;
    Ok(plan)
}

struct Task<'a> {
    args: &'a Args,
    lines: Vec<String>,
}

/// What a line says, if it is about an option.
struct Setting<'a> {
    name: &'a str,
    value: Option<&'a str>,
    is_comment: bool,
}

fn setting(line: &str) -> Option<Setting<'_>> {
    let bare = line.trim_start();
    let is_comment = bare.starts_with(['#', ';']);
    let bare = bare.trim_start_matches(['#', ';']).trim();
    if bare.is_empty() || bare.starts_with('[') {
        return None;
    }
    let (name, value) = bare.split_once('=').map_or((bare, None), |(name, value)| (name.trim_end(), Some(value.trim())));
    Some(Setting { name, value, is_comment })
}

fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.split_once(']').map(|(name, _)| name)
}

impl Task<'_> {
    fn option(&self) -> Option<&str> {
        self.args.str("option")
    }

    fn values(&self) -> Vec<Option<String>> {
        let mut values: Vec<Option<String>> = Vec::new();
        for value in self.args.text("value").map(|text| text.as_str().to_owned()).into_iter().chain(self.args.list("values")) {
            if !values.iter().any(|other| other.as_deref() == Some(&value)) {
                values.push(Some(value));
            }
        }
        if values.is_empty() && self.args.bool("allow_no_value") {
            values.push(None);
        }
        values
    }

    /// Ranges of the lines of every section of the wanted name, their headers not among them.
    fn sections(&self) -> Vec<Range<usize>> {
        let headers: Vec<usize> = (0..self.lines.len()).filter(|at| header(&self.lines[*at]).is_some()).collect();
        let end_of = |at: usize| headers.iter().copied().find(|other| *other >= at).unwrap_or(self.lines.len());
        match self.args.str("section").filter(|name| !name.is_empty()) {
            None => std::iter::once(0..end_of(0)).collect(),
            Some(name) => {
                let named = headers.iter().filter(|at| header(&self.lines[**at]) == Some(name));
                named.map(|at| at + 1..end_of(at + 1)).filter(|range| self.has_values(range)).collect()
            }
        }
    }

    fn has_values(&self, range: &Range<usize>) -> bool {
        self.args.items("section_has_values").iter().all(|wanted| {
            let name = wanted.get("option").map(Value::to_text).unwrap_or_default();
            let value = wanted.get("value").map(|value| vec![value.clone()]);
            let values =
                value.or_else(|| wanted.get("values").and_then(Value::as_list).map(<[Value]>::to_vec)).unwrap_or_default();
            let is_there = |value: &str| {
                self.lines[range.clone()]
                    .iter()
                    .filter_map(|line| setting(line))
                    .any(|found| !found.is_comment && found.name == name.as_str() && found.value.unwrap_or_default() == value)
            };
            values.iter().all(|value| is_there(&value.to_text()))
        })
    }

    fn line(&self, value: Option<&str>) -> String {
        let option = self.option().unwrap_or_default();
        match value {
            None => option.to_owned(),
            Some(value) if self.args.bool("no_extra_spaces") => format!("{option}={value}"),
            Some(value) => format!("{option} = {value}"),
        }
    }

    fn present(&mut self) -> Result<&'static str, Failure> {
        let values = self.values();
        if self.option().is_some() && values.is_empty() {
            return Err(Failure::new("Parameter 'value(s)' must be defined if state=present and allow_no_value=False."));
        }
        // Ansible takes an empty file for one of an empty line, and keeps that.
        if self.lines.is_empty() && (self.option().is_some() || self.args.has("section")) {
            self.lines.push(String::new());
        }
        let Some(range) = self.sections().into_iter().next() else {
            return Ok(self.add_section(&values));
        };
        if self.option().is_none() {
            return Ok("OK");
        }
        Ok(self.settle(range, values))
    }

    fn add_section(&mut self, values: &[Option<String>]) -> &'static str {
        let name = self.args.str("section").unwrap_or_default().to_owned();
        self.lines.push(format!("[{name}]"));
        let wanted = self.args.items("section_has_values").to_vec();
        for one in &wanted {
            let name = one.get("option").map(Value::to_text).unwrap_or_default();
            let many = one.get("values").and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
            for value in one.get("value").cloned().into_iter().chain(many) {
                let equals = if self.args.bool("no_extra_spaces") { "=" } else { " = " };
                self.lines.push(format!("{}{equals}{}", name.as_str(), value.to_text().as_str()));
            }
        }
        if self.option().is_none() {
            return "only section added";
        }
        let lines: Vec<String> = values.iter().map(|value| self.line(value.as_deref())).collect();
        self.lines.extend(lines);
        "section and option added"
    }

    /// Every wanted value gets one line: the one that has it, else one of another value, else a new one.
    fn settle(&mut self, range: Range<usize>, values: Vec<Option<String>>) -> &'static str {
        let is_exclusive = self.args.bool("exclusive");
        let mut own: Vec<usize> = range.clone().filter(|at| self.is_own(*at)).collect();
        let mut missing = Vec::new();
        let mut msg = "OK";
        for value in values {
            let holds = |at: &&usize| {
                setting(&self.lines[**at]).is_some_and(|found| !found.is_comment && found.value == value.as_deref())
            };
            match own.iter().find(holds).copied() {
                Some(at) => {
                    own.retain(|other| *other != at);
                    let line = self.line(value.as_deref());
                    if self.lines[at] != line && !self.args.bool("ignore_spaces") {
                        self.lines[at] = line;
                        msg = "option changed";
                    }
                }
                None => missing.push(value),
            }
        }
        if !is_exclusive {
            own.retain(|at| setting(&self.lines[*at]).is_some_and(|found| found.is_comment));
        }
        // One in use is replaced before one in a comment.
        own.sort_by_key(|at| setting(&self.lines[*at]).is_some_and(|found| found.is_comment));
        let mut rest = own.into_iter();
        let mut missing = missing.into_iter();
        let mut superfluous = Vec::new();
        for at in rest.by_ref() {
            let is_comment = setting(&self.lines[at]).is_some_and(|found| found.is_comment);
            match missing.next() {
                Some(value) => {
                    self.lines[at] = self.line(value.as_deref());
                    msg = "option changed";
                }
                None if !is_comment => superfluous.push(at),
                None => {}
            }
        }
        let mut end = range.end;
        superfluous.sort_unstable();
        for at in superfluous.into_iter().rev() {
            self.lines.remove(at);
            end -= 1;
            msg = "option changed";
        }
        let new: Vec<String> = missing.map(|value| self.line(value.as_deref())).collect();
        if !new.is_empty() {
            let is_text =
                |at: &usize| !self.lines[at - 1].trim().is_empty() && !self.lines[at - 1].trim_start().starts_with(['#', ';']);
            let at = (range.start + 1..=end).rev().find(is_text).unwrap_or(range.start);
            self.lines.splice(at..at, new);
            msg = "option added";
        }
        msg
    }

    /// Whether a line is about the option, and may be replaced.
    fn is_own(&self, at: usize) -> bool {
        let Some(found) = setting(&self.lines[at]) else { return false };
        let is_meant = Some(found.name) == self.option() && (found.value.is_some() || self.args.bool("allow_no_value"));
        is_meant && (!found.is_comment || self.args.bool("modify_inactive_option") && found.value.is_some())
    }

    fn absent(&mut self) -> &'static str {
        let values = self.values();
        let before = self.lines.len();
        let sections = self.sections();
        let Some(option) = self.option().map(str::to_owned) else {
            for range in sections.into_iter().rev() {
                let first =
                    if self.args.str("section").is_some_and(|name| !name.is_empty()) { range.start - 1 } else { range.start };
                self.lines.drain(first..range.end);
            }
            return if self.lines.len() < before { "section removed" } else { "OK" };
        };
        let is_exclusive = self.args.bool("exclusive") || values.iter().all(Option::is_none);
        for at in sections.into_iter().rev().flat_map(Iterator::rev) {
            let is_meant = setting(&self.lines[at]).is_some_and(|found| {
                let has = values.iter().any(|value| value.as_deref() == found.value);
                !found.is_comment && found.name == option && (is_exclusive || has)
            });
            if is_meant {
                self.lines.remove(at);
            }
        }
        if self.lines.len() < before { "option changed" } else { "OK" }
    }
}
