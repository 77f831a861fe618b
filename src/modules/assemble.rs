//! `assemble`: a file made of the fragments in a directory.

use super::attrs::{FILE_ARGS, describe};
use super::edit::{EDIT_ARGS, TextFile, with_backup};
use super::pattern::Pattern;
use super::{Arg, Args, Done, Failure, Kind, Look, Module, Plan, paths};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "assemble",
    collection: "ansible.builtin",
    summary: "make a file of the fragments in a directory",
    args: &[
        FILE_ARGS,
        EDIT_ARGS,
        &[
            Arg::new("src", Kind::Path, "the directory with the fragments").required(),
            Arg::new("dest", Kind::Path, "the file to make").required(),
            Arg::new("delimiter", Kind::Str, "what is put between fragments"),
            Arg::new("regexp", Kind::Str, "only fragments whose names match"),
            Arg::new("ignore_hidden", Kind::Bool, "pass over names that begin with a dot").default("no"),
            Arg::new("remote_src", Kind::Bool, "`src` is on the host").default("yes"),
            Arg::new("decrypt", Kind::Bool, "decrypt fragments that are in a vault").default("yes"),
            Arg::new("_content", Kind::Str, "the fragments, joined by the control side").hidden(),
        ],
    ],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (src, dest) = (args.required("src")?, args.required("dest")?);
    let text = match args.str("_content") {
        Some(text) => text.to_owned(),
        None => on_host(args, look, src)?,
    };
    let file = TextFile::open(look, dest)?;
    let mut plan = Plan::default();
    plan.set("src", src).set("dest", dest).set("msg", "OK");
    if file.found.is_none() && !matches!(look.stat(paths::parent(dest), true), Ok(Some(_))) {
        return Err(Failure::new(format!("Destination directory {} does not exist", paths::parent(dest))));
    }
    if look.is_diff() {
        plan.set("diff", shown(dest, &file.text, &text));
    }
    file.become_text(args, look, &text, "OK", &mut plan)?;
    Ok(plan)
}

/// One difference, not a list of them.
fn shown(dest: &str, before: &str, after: &str) -> Map {
    let entries = [("before_header", dest), ("before", before), ("after_header", dest), ("after", after)];
    entries.into_iter().map(|(key, value)| (key.into(), Value::from(value))).collect()
}

fn on_host(args: &Args, look: &dyn Look, src: &str) -> Result<String, Failure> {
    match look.stat(src, true).map_err(|error| Failure::io(format_args!("cannot look at {src}"), &error))? {
        None => return Err(Failure::new(format!("Source ({src}) does not exist"))),
        Some(found) if found.kind != "directory" => return Err(Failure::new(format!("Source ({src}) is not a directory"))),
        Some(_) => {}
    }
    let names = look.list(src).map_err(|error| Failure::io(format_args!("cannot list {src}"), &error))?;
    let read = |name: &str| -> Result<Option<String>, Failure> {
        let path = paths::join(src, name);
        match look.stat(&path, true) {
            Ok(Some(found)) if found.kind == "file" => {
                look.exact_text(&path).map_err(|error| Failure::io(format_args!("cannot read {path}"), &error))
            }
            _ => Ok(None),
        }
    };
    join(args, &names, read)
}

/// The wanted fragments in the order of their names, each beginning on a line of its own.
pub fn join<E: From<Failure>>(
    args: &Args,
    names: &[String],
    read: impl Fn(&str) -> Result<Option<String>, E>,
) -> Result<String, E> {
    let pattern = args.str("regexp").map(|text| Pattern::new(text).map_err(Failure::new)).transpose()?;
    let delimiter = args.str("delimiter").map(|text| format!("{}\n", plain(text).trim_end_matches('\n')));
    let mut text = String::new();
    let mut is_first = true;
    for name in names {
        let is_wanted = match &pattern {
            Some(pattern) => pattern.is_match(name).map_err(Failure::new)?,
            None => true,
        };
        if !is_wanted || name.starts_with('.') && args.bool("ignore_hidden") {
            continue;
        }
        let Some(fragment) = read(name)? else { continue };
        if !is_first && !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if !is_first {
            text.push_str(delimiter.as_deref().unwrap_or_default());
        }
        text.push_str(&fragment);
        is_first = false;
    }
    Ok(text)
}

/// `\n` and its like in a delimiter.
fn plain(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r").replace("\\\\", "\\")
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = with_backup("backup_file", values, done);
    let dest = args.required("dest")?;
    describe(look, dest, &mut values);
    for (name, algorithm) in [("checksum", "sha1"), ("md5sum", "md5")] {
        if let Ok(digest) = look.digest(dest, algorithm) {
            values.insert(name.into(), Value::from(digest));
        }
    }
    Ok(values)
}
