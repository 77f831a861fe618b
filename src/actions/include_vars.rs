//! `include_vars`: variables from files while the play runs.

use super::{Answer, Effect, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};
use std::path::{Path, PathBuf};

pub(super) fn include_vars(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let files = match args.str("dir") {
        Some(dir) => in_dir(&hands.find("vars", dir)?, args)?,
        None => {
            let name = args.text("file").or_else(|| args.text("_raw_params")).unwrap_or_default();
            vec![hands.find("vars", name.trim())?]
        }
    };
    let mut found = Map::new();
    for file in &files {
        found.extend(hands.variables(file)?);
    }
    if let Some(name) = args.str("name") {
        found = Map::from_iter([(name.into(), Value::map(found))]);
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

/// The files of a directory, in order, as deep as asked for.
fn in_dir(dir: &Path, args: &Args) -> Result<Vec<PathBuf>, Problem> {
    let depth = args.int("depth").unwrap_or(0);
    let ignored = args.list("ignore_files");
    let extensions = args.list("extensions");
    let mut files = Vec::new();
    let mut open = vec![(dir.to_owned(), 1)];
    while let Some((dir, level)) = open.pop() {
        let entries =
            std::fs::read_dir(&dir).map_err(|error| Problem::new(format!("cannot read `{}`: {error}", dir.display())))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                if depth == 0 || level < depth {
                    open.push((path, level + 1));
                }
                continue;
            }
            let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned()).unwrap_or_default();
            if ignored.contains(&name) || name.starts_with('.') {
                continue;
            }
            if extensions.contains(&ending) {
                files.push(path);
            } else if !args.bool("ignore_unknown_extensions") {
                let msg = format!("{} does not have a valid extension: {}", path.display(), extensions.join(", "));
                return Err(Problem::new(msg));
            }
        }
    }
    Ok(files)
}
