//! `lineinfile`: that a line is in a file, or is not.

use super::attrs::FILE_ARGS;
use super::edit::{EDIT_ARGS, ENCODING, Lines, TextFile, with_backup};
use super::pattern::Pattern;
use super::{Arg, Args, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "lineinfile",
    collection: "ansible.builtin",
    summary: "see to one line of a text file",
    args: &[
        FILE_ARGS,
        EDIT_ARGS,
        &[
            Arg::new("path", Kind::Path, "the file").aliases(&["dest", "destfile", "name"]).required(),
            Arg::new("state", Kind::Str, "whether the line is to be there").choices(&["absent", "present"]).default("present"),
            Arg::new("regexp", Kind::Str, "what the line to replace or remove looks like").aliases(&["regex"]),
            Arg::new("search_string", Kind::Str, "what is in the line to replace or remove"),
            Arg::new("line", Kind::Str, "the line").aliases(&["value"]),
            Arg::new("backrefs", Kind::Bool, "fill the groups of `regexp` into `line`").default("no"),
            Arg::new("insertafter", Kind::Str, "after the last line that matches, or `EOF`"),
            Arg::new("insertbefore", Kind::Str, "before the last line that matches, or `BOF`"),
            Arg::new("create", Kind::Bool, "make the file if it is not there").default("no"),
            ENCODING,
            Arg::new("firstmatch", Kind::Bool, "use the first line that `insertafter` or `insertbefore` matches").default("no"),
        ],
    ],
    rules: &[
        Rule::Exclusive(&["insertbefore", "insertafter"]),
        Rule::Exclusive(&["regexp", "search_string"]),
        Rule::Exclusive(&["backrefs", "search_string"]),
    ],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let is_present = args.str("state") != Some("absent");
    check(args, is_present)?;
    let file = TextFile::open_encoded(look, path, args)?;
    let mut plan = Plan::default();
    plan.set("msg", "").set("backup", "");
    if let Some(warning) = empty_pattern(args) {
        plan.set("warnings", Value::list(vec![warning.into()]));
    }
    if file.found.is_none() && !is_present {
        plan.set("msg", "file not present");
        return Ok(plan);
    }
    if file.found.is_none() && !args.bool("create") {
        return Err(Failure::new(format!("Destination {path} does not exist !")).with("rc", 257));
    }
    let mut lines = Lines::of(&file.text);
    let msg = if is_present { present(args, &mut lines)?.to_owned() } else { absent(args, &mut lines, &mut plan)? };
    file.become_text(args, look, &lines.lines.concat(), &msg, &mut plan)?;
    Ok(plan)
}

/// In Ansible's words: people look for them.
fn empty_pattern(args: &Args) -> Option<String> {
    let (what, instead) = match (args.str("regexp"), args.str("search_string")) {
        (Some(""), _) => {
            ("regular expression", " If this is desired, use '^' to match every line in the file and avoid this warning.")
        }
        (_, Some("")) => ("search string", ""),
        _ => return None,
    };
    Some(format!(
        "The {what} is an empty string, which will match every line in the file. This may have unintended consequences, such as \
         replacing the last line in the file rather than appending.{instead}"
    ))
}

fn check(args: &Args, is_present: bool) -> Result<(), Failure> {
    let has_text = |name: &str| args.str(name).is_some_and(|text| !text.is_empty());
    if is_present && args.bool("backrefs") && !args.has("regexp") {
        return Err(Failure::new("regexp is required with backrefs=true"));
    }
    if is_present && !args.has("line") {
        return Err(Failure::new("line is required with state=present"));
    }
    if !is_present && !has_text("regexp") && !has_text("search_string") && !args.has("line") {
        return Err(Failure::new("one of line, search_string, or regexp is required with state=absent"));
    }
    Ok(())
}

fn pattern(text: &str) -> Result<Pattern, Failure> {
    Pattern::new(text).map_err(Failure::new)
}

/// What finds the line to replace.
enum Finder<'a> {
    Regexp(Pattern),
    Text(&'a str),
    Nothing,
}

impl Finder<'_> {
    fn of(args: &Args) -> Result<Finder<'_>, Failure> {
        Ok(match (args.str("regexp"), args.str("search_string")) {
            (Some(text), _) => Finder::Regexp(pattern(text)?),
            (_, Some(text)) => Finder::Text(text),
            _ => Finder::Nothing,
        })
    }

    fn finds(&self, line: &str) -> Result<bool, Failure> {
        match self {
            Finder::Regexp(pattern) => pattern.is_match(line).map_err(Failure::new),
            Finder::Text(text) => Ok(line.contains(text)),
            Finder::Nothing => Ok(false),
        }
    }
}

/// The message, once the line is where it is wanted.
fn present(args: &Args, file: &mut Lines) -> Result<&'static str, Failure> {
    let line = args.str("line").unwrap_or_default().to_owned();
    let finder = Finder::of(args)?;
    let mut found = None;
    for (at, text) in file.lines.iter().enumerate() {
        if finder.finds(text)? {
            found = Some(at);
            if args.bool("firstmatch") {
                break;
            }
        }
    }
    if let Some(at) = found {
        return replace(args, file, at, &finder, &line);
    }
    if args.bool("backrefs") {
        return Ok("");
    }
    if file.lines.iter().any(|text| Lines::bare(text) == line) {
        return Ok("");
    }
    let at = place(args, file)?;
    file.insert(at, &line);
    Ok("line added")
}

fn replace(args: &Args, file: &mut Lines, at: usize, finder: &Finder<'_>, line: &str) -> Result<&'static str, Failure> {
    let old = file.lines[at].clone();
    let mut new = line.to_owned();
    if args.bool("backrefs")
        && let Finder::Regexp(pattern) = finder
        && let Some(groups) = pattern.find(&old).map_err(Failure::new)?
    {
        new = groups.expand(line).map_err(Failure::new)?;
    }
    if Lines::bare(&old) == new {
        return Ok("");
    }
    let end = Some(&old[Lines::bare(&old).len()..]).filter(|end| !end.is_empty()).unwrap_or(file.end);
    file.lines[at] = format!("{new}{end}");
    Ok("line replaced")
}

/// Where a new line goes.
fn place(args: &Args, file: &Lines) -> Result<usize, Failure> {
    let end = file.lines.len();
    let (text, step) = match (args.str("insertafter"), args.str("insertbefore")) {
        (_, Some("BOF")) => return Ok(0),
        (Some("BOF"), _) => return Ok(0),
        (Some("EOF") | None, None) | (_, Some("EOF")) => return Ok(end),
        (_, Some(text)) => (text, 0),
        (Some(text), None) => (text, 1),
    };
    let pattern = pattern(text)?;
    let mut found = None;
    for (at, line) in file.lines.iter().enumerate() {
        if pattern.is_match(line).map_err(Failure::new)? {
            found = Some(at + step);
            if args.bool("firstmatch") {
                break;
            }
        }
    }
    Ok(found.unwrap_or(end))
}

fn absent(args: &Args, file: &mut Lines, plan: &mut Plan) -> Result<String, Failure> {
    let finder = Finder::of(args)?;
    let line = args.str("line");
    let mut kept = Vec::new();
    let before = file.lines.len();
    for text in file.lines.drain(..) {
        let is_found = match finder {
            Finder::Nothing => line == Some(Lines::bare(&text)),
            _ => finder.finds(&text)?,
        };
        if !is_found {
            kept.push(text);
        }
    }
    let found = before - kept.len();
    file.lines = kept;
    plan.set("found", found);
    Ok(format!("{found} line(s) removed"))
}

fn finish(_: &Args, values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    Ok(with_backup("backup", values, done))
}
