//! `include_vars`: variables from files while the play runs.

use super::{Answer, Effect, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value, merged};
use fancy_regex::Regex;
use std::path::{Path, PathBuf};

/// What goes wrong is also in `message`, where playbooks look for it.
pub(super) fn include_vars(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    load(args, hands).map_err(|problem| {
        let msg = problem.failure.msg.clone();
        Problem { failure: problem.failure.with("message", msg), ..problem }
    })
}

fn load(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let files = match args.str("dir") {
        Some(dir) => in_dir(&hands.find("vars", dir)?, args)?,
        None => vec![file(args, hands)?],
    };
    let mut found = Map::new();
    for file in &files {
        found.extend(hands.variables(file)?);
    }
    if let Some(name) = args.str("name") {
        found = Map::from_iter([(name.into(), Value::map(found))]);
    }
    if args.str("hash_behaviour") == Some("merge") {
        found.iter_mut().try_for_each(|(name, value)| merge(&name.to_string(), value, hands))?;
    }
    let mut values = Map::new();
    values.insert("ansible_facts".into(), Value::map(found.clone()));
    values.insert(
        "ansible_included_var_files".into(),
        files.iter().map(|file| Value::from(file.to_string_lossy().into_owned())).collect(),
    );
    values.insert("changed".into(), Value::Bool(false));
    Ok(Answer { values, effect: Some(Effect::IncludeVars(found)) })
}

fn file(args: &Args, hands: &impl Hands) -> Result<PathBuf, Problem> {
    let name = args.text("file").or_else(|| args.text("_raw_params")).unwrap_or_default();
    match name.trim() {
        "" => Err(Problem::new("Could not find file on the Ansible Controller.")),
        name => hands.find("vars", name),
    }
}

/// What the variable holds already stays, where the file says nothing else.
fn merge(name: &str, value: &mut Value, hands: &impl Hands) -> Result<(), Problem> {
    if !hands.condition(&Value::from(format!("{name} is defined")))? {
        return Ok(());
    }
    if let (Value::Map(below), Value::Map(above)) = (hands.expression(name)?, &*value) {
        *value = Value::map(merged(&below, above));
    }
    Ok(())
}

/// The files of a directory and of those in it, as deep as asked for: directory by directory, by name.
fn in_dir(dir: &Path, args: &Args) -> Result<Vec<PathBuf>, Problem> {
    let depth = args.int("depth").unwrap_or(0);
    let mut dirs = Vec::new();
    let mut open = vec![(dir.to_owned(), 1)];
    while let Some((dir, level)) = open.pop() {
        if depth == 0 || level < depth {
            let inner = entries(&dir)?.into_iter().filter(|path| path.is_dir());
            open.extend(inner.map(|path| (path, level + 1)));
        }
        dirs.push(dir);
    }
    dirs.sort();
    let mut files = Vec::new();
    for dir in dirs {
        for path in entries(&dir)?.into_iter().filter(|path| path.is_file()) {
            if is_wanted(&path, args)? {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Problem> {
    let found = std::fs::read_dir(dir).map_err(|error| Problem::unreadable(dir, &error))?;
    let mut paths: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn is_wanted(path: &Path, args: &Args) -> Result<bool, Problem> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let matches = |pattern: &str| {
        let regex = Regex::new(pattern).map_err(|error| Problem::new(format!("`{pattern}` is not a pattern: {error}")))?;
        Ok::<bool, Problem>(regex.is_match(&name).unwrap_or(false))
    };
    for ignored in args.list("ignore_files") {
        if matches(&format!(r"\b{ignored}$"))? {
            return Ok(false);
        }
    }
    if let Some(pattern) = args.str("files_matching")
        && !matches(pattern)?
    {
        return Ok(false);
    }
    let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
    let extensions = args.list("extensions");
    let is_known = extensions.contains(&ending);
    if !is_known && !args.bool("ignore_unknown_extensions") {
        let msg = format!("{} does not have a valid extension: {}", path.display(), extensions.join(", "));
        return Err(Problem::new(msg));
    }
    Ok(is_known)
}
