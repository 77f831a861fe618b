//! Filters on paths.

use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::lookups::glob;
use crate::template::runtime::Val;
use std::path::{Path, PathBuf};

pub(super) const FILTERS: &[Filter] = &[
    filter("basename", &[], "the last part of a path", |call| {
        on_text(call, |path| path.rsplit('/').next().unwrap_or("").to_owned())
    }),
    filter("dirname", &[], "a path without its last part", |call| on_text(call, dirname)),
    filter("splitext", &[], "a path and its extension", splitext),
    filter("realpath", &[], "a path without links and dots", realpath),
    filter("relpath", &["start"], "a path as seen from a directory", relpath),
    filter("expanduser", &[], "`~` replaced by the home directory", expanduser),
    filter("expandvars", &[], "`$NAME` replaced by environment variables", expandvars),
    filter("normpath", &[], "a path without dots", |call| on_text(call, normal)),
    filter("commonpath", &[], "the longest path that several share", commonpath),
    filter("path_join", &[], "parts joined to a path", path_join),
    filter("fileglob", &[], "the files that a pattern matches", fileglob),
    filter("win_basename", &[], "the last part of a Windows path", |call| on_text(call, |path| windows(path).2)),
    filter("win_dirname", &[], "a Windows path without its last part", |call| on_text(call, |path| windows(path).1)),
    filter("win_splitdrive", &[], "drive and path of a Windows path", win_splitdrive),
];

fn on_text(call: &mut Call<'_, '_>, apply: impl Fn(&str) -> String) -> Res<Val> {
    Ok(Val::from(apply(&call.text()?)))
}

fn dirname(path: &str) -> String {
    let Some(position) = path.rfind('/') else { return String::new() };
    let head = &path[..=position];
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() { head.to_owned() } else { trimmed.to_owned() }
}

fn splitext(call: &mut Call<'_, '_>) -> Res<Val> {
    let path = call.text()?;
    let name_start = path.rfind('/').map_or(0, |position| position + 1);
    let name = &path[name_start..];
    let dots = name.len() - name.trim_start_matches('.').len();
    let split = name[dots..].rfind('.').map_or(path.len(), |position| name_start + dots + position);
    Ok(Val::tuple(vec![Val::from(&path[..split]), Val::from(&path[split..])]))
}

/// Without `.`, `..` and doubled slashes; nothing is looked up.
fn normal(path: &str) -> String {
    let root = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if !root.is_empty() => {}
            part => parts.push(part),
        }
    }
    let joined = format!("{root}{}", parts.join("/"));
    if joined.is_empty() { ".".to_owned() } else { joined }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return normal(path);
    }
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    normal(&here.join(path).display().to_string())
}

/// Links are followed as far as the path exists.
fn realpath(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let mut path = PathBuf::from(absolute(&text));
    let mut rest = Vec::new();
    loop {
        if let Ok(real) = path.canonicalize() {
            let whole = rest.iter().rev().fold(real, |path, part: &std::ffi::OsString| path.join(part));
            return Ok(Val::from(whole.display().to_string()));
        }
        match (path.file_name().map(std::ffi::OsStr::to_owned), path.parent().map(Path::to_owned)) {
            (Some(name), Some(parent)) => {
                rest.push(name);
                path = parent;
            }
            _ => return Ok(Val::from(absolute(&text))),
        }
    }
}

fn relpath(call: &mut Call<'_, '_>) -> Res<Val> {
    let (path, start) = (absolute(&call.text()?), absolute(&call.text_arg(0, ".")));
    let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (path, start) = (parts(&path), parts(&start));
    let shared = path.iter().zip(&start).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..".to_owned(), start.len() - shared);
    let joined = up.chain(path[shared..].iter().cloned()).collect::<Vec<_>>().join("/");
    Ok(Val::from(if joined.is_empty() { ".".to_owned() } else { joined }))
}

fn expanduser(call: &mut Call<'_, '_>) -> Res<Val> {
    let path = call.text()?;
    Ok(Val::from(call.eval.expand_home(&path).display().to_string()))
}

fn expandvars(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(position) = rest.find('$') {
        out.push_str(&rest[..position]);
        let after = &rest[position + 1..];
        let (name, length) = match after.strip_prefix('{').and_then(|inner| inner.find('}').map(|end| &inner[..end])) {
            Some(name) => (name, name.len() + 2),
            None => {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match call.eval.world.environment(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[position..=position + length]),
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    Ok(Val::from(out))
}

fn texts(call: &mut Call<'_, '_>) -> Res<Vec<String>> {
    match &call.input {
        Val::Str(text) => Ok(vec![text.as_str().to_owned()]),
        Val::List(_) | Val::Tuple(_) => Ok(call.items()?.iter().map(|item| item.to_text().as_str().to_owned()).collect()),
        other => Err(format!("expects string or sequence, got {} instead.", other.kind()).into()),
    }
}

fn commonpath(call: &mut Call<'_, '_>) -> Res<Val> {
    let paths = texts(call)?;
    let Some(first) = paths.first() else { return Err("commonpath() arg is an empty sequence".into()) };
    if paths.iter().any(|path| path.starts_with('/') != first.starts_with('/')) {
        return Err("Can't mix absolute and relative paths".into());
    }
    let parts =
        |path: &str| path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect::<Vec<_>>();
    let mut shared = parts(first);
    for path in &paths[1..] {
        let count = shared.iter().zip(parts(path)).take_while(|(one, other)| *one == other).count();
        shared.truncate(count);
    }
    Ok(Val::from(format!("{}{}", if first.starts_with('/') { "/" } else { "" }, shared.join("/"))))
}

fn path_join(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut path = String::new();
    for part in texts(call)? {
        if part.starts_with('/') || path.is_empty() {
            path = part;
        } else {
            if !path.ends_with('/') {
                path.push('/');
            }
            path.push_str(&part);
        }
    }
    Ok(Val::from(path))
}

fn fileglob(call: &mut Call<'_, '_>) -> Res<Val> {
    let pattern = call.text()?;
    let path = call.eval.expand_home(&pattern);
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Val::list(glob(&directory, &name).into_iter().map(Val::from).collect()))
}

/// Drive, directory with the drive, and last part.
fn windows(path: &str) -> (&str, String, String) {
    let drive = path.char_indices().nth(1).filter(|(_, c)| *c == ':').map_or("", |(position, _)| &path[..=position]);
    let rest = &path[drive.len()..];
    match rest.rfind(['\\', '/']) {
        Some(position) => {
            let head = &rest[..=position];
            let trimmed = head.trim_end_matches(['\\', '/']);
            let head = if trimmed.is_empty() { head } else { trimmed };
            (drive, format!("{drive}{head}"), rest[position + 1..].to_owned())
        }
        None => (drive, drive.to_owned(), rest.to_owned()),
    }
}

fn win_splitdrive(call: &mut Call<'_, '_>) -> Res<Val> {
    let path = call.text()?;
    let (drive, _, _) = windows(&path);
    Ok(Val::tuple(vec![Val::from(drive), Val::from(&path[drive.len()..])]))
}
