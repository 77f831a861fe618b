//! `replace`: every match of a pattern in a file becomes another text.

use super::attrs::FILE_ARGS;
use super::edit::{self, EDIT_ARGS, ENCODING, TextFile};
use super::pattern::{Flags, Pattern};
use super::{Arg, Args, Failure, Kind, Look, Module, Plan};

pub(super) static MODULE: Module = Module {
    name: "replace",
    collection: "ansible.builtin",
    summary: "replace all that matches a pattern in a file",
    args: &[
        FILE_ARGS,
        EDIT_ARGS,
        &[
            Arg::new("path", Kind::Path, "the file").aliases(&["dest", "destfile", "name"]).required(),
            Arg::new("regexp", Kind::Str, "what to look for, `^` and `$` at every line").required(),
            Arg::new("replace", Kind::Str, "what takes its place; `\\1` stands for a group").default(""),
            Arg::new("after", Kind::Str, "only after what matches this"),
            Arg::new("before", Kind::Str, "only before what matches this"),
            ENCODING,
        ],
    ],
    rules: &[],
    free_form: None,
    plan,
    finish: edit::finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let file = TextFile::open_encoded(look, path, args)?.existing(false)?;
    let mut plan = Plan::default();
    plan.set("msg", "");
    let Some(section) = section(args, &file.text)? else {
        let msg = format!("Pattern for before/after params did not match the given file: {}", around(args));
        plan.set("msg", msg);
        return Ok(plan);
    };
    let flags = Flags { multi_line: true, ..Flags::default() };
    let pattern = Pattern::with(args.required("regexp")?, flags).map_err(Failure::new)?;
    let (replaced, times) = pattern
        .replace(&file.text[section.clone()], args.str("replace").unwrap_or_default(), 0)
        .map_err(|problem| Failure::new(format!("Unable to process replace due to error: {problem}")))?;
    let after = format!("{}{replaced}{}", &file.text[..section.start], &file.text[section.end..]);
    file.become_text(args, look, &after, &format!("{times} replacements made"), &mut plan)?;
    Ok(plan)
}

/// The pattern of what lies between `after` and `before`.
fn around(args: &Args) -> String {
    match (args.str("after"), args.str("before")) {
        (Some(after), Some(before)) => format!("{after}(?P<subsection>.*?){before}"),
        (Some(after), None) => format!("{after}(?P<subsection>.*)"),
        (None, Some(before)) => format!("(?P<subsection>.*){before}"),
        (None, None) => String::new(),
    }
}

/// Where replacing may happen; none where the file has no such place.
fn section(args: &Args, text: &str) -> Result<Option<std::ops::Range<usize>>, Failure> {
    let around = around(args);
    if around.is_empty() {
        return Ok(Some(0..text.len()));
    }
    let flags = Flags { dot_all: true, ..Flags::default() };
    let pattern = Pattern::with(&around, flags).map_err(Failure::new)?;
    Ok(pattern.find(text).map_err(Failure::new)?.and_then(|found| found.named_range("subsection")))
}
