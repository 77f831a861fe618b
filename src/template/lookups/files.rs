//! Lookups of files on this machine.

use super::{Asked, Lookup, row};
use crate::template::failure::{Problem, Res, fault};
use crate::template::files::resolved;
use crate::template::literal::literal;
use crate::template::render::{FileOptions, render_native};
use crate::template::runtime::Val;

pub(super) const LOOKUPS: &[Lookup] = &[
    row("file", "the text of a file", file),
    row("unvault", "the text of a file that may be in a vault", unvault),
    row("template", "the text that a template file gives", template),
    row("first_found", "the first file of a list that exists", first_found),
    row("fileglob", "the files that a pattern matches", fileglob),
];

fn path_of(asked: &Asked<'_, '_>, folder: &str, name: &str) -> Res<std::path::PathBuf> {
    let mut searched = Vec::new();
    match asked.eval.find(folder, name, &mut searched) {
        Some(path) => Ok(path),
        None => Err(fault(Problem::NoFile { name: name.to_owned(), searched })),
    }
}

fn file(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let (strips_end, strips_start) = (asked.flag("rstrip", true), asked.flag("lstrip", false));
    let mut texts = Vec::new();
    for name in asked.texts()? {
        let path = path_of(asked, "files", &name)?;
        let text = asked.eval.read_text(&path)?;
        let text = if strips_end { text.trim_end() } else { &text };
        let text = if strips_start { text.trim_start() } else { text };
        texts.push(Val::from(text));
    }
    Ok(texts)
}

fn unvault(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut texts = Vec::new();
    for name in asked.texts()? {
        let path = path_of(asked, "files", &name)?;
        texts.push(Val::text_of(asked.eval.read_text(&path)?, true));
    }
    Ok(texts)
}

fn template(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut texts = Vec::new();
    let mut options = FileOptions::default();
    let pair = |asked: &Asked<'_, '_>, name: &str, pair: (String, String)| {
        (asked.text_option(&format!("{name}_start_string"), &pair.0), asked.text_option(&format!("{name}_end_string"), &pair.1))
    };
    options.variable = pair(asked, "variable", options.variable);
    options.comment = pair(asked, "comment", options.comment);
    options.trim_blocks = asked.flag("trim_blocks", true);
    options.lstrip_blocks = asked.flag("lstrip_blocks", false);
    let converts = asked.flag("convert_data", true);
    for name in asked.texts()? {
        let path = path_of(asked, "templates", &name)?;
        let text = asked.eval.read_text(&path)?;
        let options = FileOptions { directory: path.parent().map(std::path::Path::to_owned), ..options.clone() };
        let rendered = match asked.option("template_vars").cloned() {
            Some(vars) => {
                let extra = asked.eval.export(&vars)?;
                let scope = Extra { extra: &extra, scope: asked.eval.scope };
                let mut eval = crate::template::evaluate::Eval::new(&scope, asked.eval.world);
                render_native(&mut eval, &text, &options)?
            }
            None => asked.eval.deeper(|eval| render_native(eval, &text, &options))?,
        };
        texts.push(match rendered {
            Val::Str(text) if converts => literal(&text).unwrap_or(Val::Str(text)),
            other if converts => other,
            other => Val::Str(other.to_text()),
        });
    }
    Ok(texts)
}

/// Variables of a lookup before those of the host.
struct Extra<'s> {
    extra: &'s crate::value::Value,
    scope: &'s dyn crate::template::Scope,
}

impl crate::template::Scope for Extra<'_> {
    fn get(&self, name: &str) -> Option<crate::value::Value> {
        self.extra.get(name).cloned().or_else(|| self.scope.get(name))
    }

    fn names(&self) -> Vec<String> {
        let extra = self.extra.as_map().into_iter().flat_map(|map| map.keys().map(ToString::to_string));
        extra.chain(self.scope.names()).collect()
    }

    fn of_host(&self, host: &str) -> Option<Box<dyn crate::template::Scope + '_>> {
        self.scope.of_host(host)
    }

    fn has_hosts(&self) -> bool {
        self.scope.has_hosts()
    }

    fn hosts(&self) -> Vec<String> {
        self.scope.hosts()
    }
}

/// Every file of every path, in the order that is asked for.
fn candidates(asked: &mut Asked<'_, '_>) -> Res<(Vec<String>, bool)> {
    let mut names = Vec::new();
    let mut skips = asked.flag("skip", false);
    let mut terms = Vec::new();
    for term in asked.terms.clone() {
        match &term {
            Val::List(_) | Val::Tuple(_) => terms.extend(asked.eval.elements(&term)?),
            _ => terms.push(term),
        }
    }
    let list = |asked: &mut Asked<'_, '_>, value: Option<Val>| -> Res<Vec<String>> {
        match value {
            None | Some(Val::None) => Ok(Vec::new()),
            Some(value @ (Val::List(_) | Val::Tuple(_))) => {
                Ok(asked.eval.elements(&value)?.iter().map(|item| item.to_text().as_str().to_owned()).collect())
            }
            Some(text) => {
                Ok(text.to_text().split([',', ';', ':', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect())
            }
        }
    };
    let joined = |paths: &[String], files: &[String], names: &mut Vec<String>| {
        if paths.is_empty() {
            names.extend(files.iter().cloned());
        }
        for path in paths {
            names.extend(files.iter().map(|file| format!("{}/{file}", path.trim_end_matches('/'))));
        }
    };
    let (files, paths) = (asked.option("files").cloned(), asked.option("paths").cloned());
    let (files, paths) = (list(asked, files)?, list(asked, paths)?);
    joined(&paths, &files, &mut names);
    for term in terms {
        match &term {
            Val::Dict(dict) => {
                let part = |asked: &mut Asked<'_, '_>, name: &str| match dict.get(name) {
                    Some(value) => asked.eval.resolve(value).map(Some),
                    None => Ok(None),
                };
                let (files, paths, skip) = (part(asked, "files")?, part(asked, "paths")?, part(asked, "skip")?);
                skips |= skip.and_then(|skip| skip.to_value().ok()?.to_bool()).unwrap_or(false);
                let (files, paths) = (list(asked, files)?, list(asked, paths)?);
                joined(&paths, &files, &mut names);
            }
            Val::Undefined(_) => {}
            text => joined(&paths, &[text.to_text().as_str().to_owned()], &mut names),
        }
    }
    Ok((names, skips))
}

fn first_found(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let (names, skips) = candidates(asked)?;
    if names.is_empty() && !skips {
        return Err("No file was found when using first_found.".into());
    }
    let folder = asked.text_option("_folder", "files");
    let mut searched = Vec::new();
    for name in &names {
        if let Some(path) = asked.eval.find(&folder, name, &mut searched) {
            return Ok(vec![Val::from(path.display().to_string())]);
        }
    }
    if skips {
        return Ok(Vec::new());
    }
    searched.dedup();
    Err(fault(Problem::NoFile { name: names.join(", "), searched }))
}

fn fileglob(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut found = Vec::new();
    for pattern in asked.texts()? {
        let path = asked.eval.expand_home(&pattern);
        let directories = match path.parent() {
            Some(parent) if path.is_absolute() => vec![parent.to_owned()],
            Some(parent) if !parent.as_os_str().is_empty() => {
                asked.eval.world.search_paths("files").iter().map(|directory| resolved(directory, parent)).collect()
            }
            _ => asked.eval.world.search_paths("files"),
        };
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        for directory in directories {
            let names = glob(&directory, &name);
            if !names.is_empty() {
                found.extend(names.into_iter().map(Val::from));
                break;
            }
        }
    }
    Ok(found)
}

/// The files in a directory whose names match, sorted.
pub(crate) fn glob(directory: &std::path::Path, pattern: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let pattern: Vec<char> = pattern.chars().collect();
    let mut found: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_hidden = name.starts_with('.') && pattern.first() != Some(&'.');
            !is_hidden && glob_matches(&pattern, &name.chars().collect::<Vec<_>>())
        })
        .map(|entry| std::path::absolute(entry.path()).unwrap_or_else(|_| entry.path()).display().to_string())
        .collect();
    found.sort();
    found
}

/// `*`, `?` and `[a-z]`. After a letter that does not fit, the last star takes one letter more: no star is tried twice.
fn glob_matches(pattern: &[char], name: &[char]) -> bool {
    let (mut rest, mut letters) = (pattern, name);
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let Some(('*', after)) = rest.split_first() {
            star = Some((after, letters));
            rest = after;
            continue;
        }
        let next = match letters.split_first() {
            Some((letter, others)) => one_matches(rest, *letter).map(|after| (after, others)),
            None if rest.is_empty() => return true,
            None => return false,
        };
        match (next, star) {
            (Some((after, others)), _) => (rest, letters) = (after, others),
            (None, Some((after, from))) => {
                let Some((_, others)) = from.split_first() else { return false };
                star = Some((after, others));
                (rest, letters) = (after, others);
            }
            (None, None) => return false,
        }
    }
}

/// What is left of a pattern after its first part, if a letter fits that.
fn one_matches(pattern: &[char], letter: char) -> Option<&[char]> {
    let (first, rest) = pattern.split_first()?;
    match first {
        '?' => Some(rest),
        '[' => match rest.iter().skip(1).position(|c| *c == ']').map(|end| end + 1) {
            Some(end) => is_in_set(&rest[..end], letter).then_some(&rest[end + 1..]),
            None => (letter == '[').then_some(rest),
        },
        c => (*c == letter).then_some(rest),
    }
}

fn is_in_set(set: &[char], letter: char) -> bool {
    let (is_negated, set) = match set.split_first() {
        Some(('!' | '^', set)) => (true, set),
        _ => (false, set),
    };
    let mut is_in = false;
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            is_in |= (set[at]..=set[at + 2]).contains(&letter);
            at += 3;
        } else {
            is_in |= set[at] == letter;
            at += 1;
        }
    }
    is_in != is_negated
}

#[cfg(test)]
mod unit {
    use super::glob_matches;

    #[test]
    fn globs_match_as_shells_do_and_in_time() {
        let matches =
            |pattern: &str, name: &str| glob_matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>());
        for (pattern, name) in
            [("*", ""), ("*.c*f", "a.conf"), ("a?c", "abc"), ("[a-c]x", "bx"), ("[!a]x", "bx"), ("a*b*c", "aXbYbc")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", ""), ("a*", "ba"), ("[a-c]x", "dx"), ("*b", "bc"), ("?", "")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(!matches(&("*a".repeat(30) + "b"), &"a".repeat(200)));
    }
}
