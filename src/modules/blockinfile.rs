//! `blockinfile`: that a block of lines between two markers is in a file, or is not.

use super::attrs::FILE_ARGS;
use super::edit::{self, EDIT_ARGS, ENCODING, Lines, TextFile};
use super::pattern::Pattern;
use super::{Arg, Args, Failure, Kind, Look, Module, Plan, Rule};

pub(super) static MODULE: Module = Module {
    name: "blockinfile",
    collection: "ansible.builtin",
    summary: "see to a block of lines between markers in a text file",
    args: &[
        FILE_ARGS,
        EDIT_ARGS,
        &[
            Arg::new("path", Kind::Path, "the file").aliases(&["dest", "destfile", "name"]).required(),
            Arg::new("state", Kind::Str, "whether the block is to be there").choices(&["absent", "present"]).default("present"),
            Arg::new("block", Kind::Str, "the lines; none remove the block").aliases(&["content"]).default(""),
            Arg::new("marker", Kind::Str, "the lines around it, with {mark}").default("# {mark} ANSIBLE MANAGED BLOCK"),
            Arg::new("marker_begin", Kind::Str, "stands for {mark} before the block").default("BEGIN"),
            Arg::new("marker_end", Kind::Str, "stands for {mark} after the block").default("END"),
            Arg::new("insertafter", Kind::Str, "after the last line that matches, or `EOF`"),
            Arg::new("insertbefore", Kind::Str, "before the last line that matches, or `BOF`"),
            Arg::new("create", Kind::Bool, "make the file if it is not there").default("no"),
            Arg::new("append_newline", Kind::Bool, "an empty line after the block").default("no"),
            Arg::new("prepend_newline", Kind::Bool, "an empty line before the block").default("no"),
            ENCODING,
        ],
    ],
    rules: &[Rule::Exclusive(&["insertbefore", "insertafter"])],
    free_form: None,
    plan,
    finish: edit::finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let is_present = args.str("state") != Some("absent");
    let file = TextFile::open_encoded(look, path, args)?;
    let mut plan = Plan::default();
    plan.set("msg", "");
    if file.found.is_none() && !is_present {
        plan.set("msg", format!("File {path} not present"));
        return Ok(plan);
    }
    if file.found.is_none() && !args.bool("create") {
        return Err(Failure::new(format!("Path {path} does not exist !")).with("rc", 257));
    }
    let block = if is_present { block(args) } else { Vec::new() };
    let mut lines = Lines::of(&file.text).lines;
    put(args, &file.text, &mut lines, &block)?;
    let msg = match (&file.found, block.is_empty()) {
        (None, _) => "File created",
        (_, true) => "Block removed",
        (_, false) => "Block inserted",
    };
    file.become_text(args, look, &lines.concat(), msg, &mut plan)?;
    Ok(plan)
}

fn marker(args: &Args, mark: &str) -> String {
    let mark = args.str(mark).unwrap_or_default();
    args.str("marker").unwrap_or_default().replace("{mark}", mark) + "\n"
}

/// The block with its markers; nothing where it is empty.
fn block(args: &Args) -> Vec<String> {
    let text = args.str("block").unwrap_or_default();
    if text.is_empty() {
        return Vec::new();
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut lines = vec![marker(args, "marker_begin")];
    lines.extend(format!("{text}{end}").split_inclusive('\n').map(str::to_owned));
    lines.push(marker(args, "marker_end"));
    lines
}

/// Takes the old block out and puts the new one in its place.
fn put(args: &Args, text: &str, lines: &mut Vec<String>, block: &[String]) -> Result<(), Failure> {
    let last = |mark: &str| {
        let marker = marker(args, mark);
        lines.iter().rposition(|line| Lines::bare(line) == Lines::bare(&marker))
    };
    let at = match (last("marker_begin"), last("marker_end")) {
        (Some(begin), Some(end)) => {
            let first = begin.min(end);
            lines.drain(first..=begin.max(end));
            first
        }
        _ => place(args, text, lines)?,
    };
    if at > 0 && !lines[at - 1].ends_with('\n') {
        lines[at - 1].push('\n');
    }
    let mut block = block.to_vec();
    if block.is_empty() {
        return Ok(());
    }
    if args.bool("prepend_newline") && at > 0 && lines[at - 1] != "\n" {
        block.insert(0, "\n".to_owned());
    }
    if args.bool("append_newline") && lines.get(at).is_some_and(|next| next != "\n") {
        block.push("\n".to_owned());
    }
    lines.splice(at..at, block);
    Ok(())
}

/// Where a new block goes. A pattern with `(?m)` is looked for in the whole text.
fn place(args: &Args, text: &str, lines: &[String]) -> Result<usize, Failure> {
    let (wanted, step) = match (args.str("insertafter"), args.str("insertbefore")) {
        (_, Some("BOF")) => return Ok(0),
        (Some("EOF") | None, None) | (_, Some("EOF")) => return Ok(lines.len()),
        (_, Some(wanted)) => (wanted, 0),
        (Some(wanted), None) => (wanted, 1),
    };
    let pattern = Pattern::new(wanted).map_err(Failure::new)?;
    let is_multi_line = wanted.starts_with("(?") && wanted.split(')').next().is_some_and(|flags| flags.contains('m'));
    if is_multi_line {
        let range = pattern.find(text).map_err(Failure::new)?.map(|found| found.range());
        let at = range.map(|range| if step == 1 { range.end } else { range.start });
        let lines_before = |at: usize| text[..at].matches('\n').count();
        return Ok(at.map_or(lines.len(), |at| lines_before(at) + step));
    }
    let mut found = None;
    for (at, line) in lines.iter().enumerate() {
        if pattern.is_match(line).map_err(Failure::new)? {
            found = Some(at + step);
        }
    }
    Ok(found.unwrap_or(lines.len()))
}
