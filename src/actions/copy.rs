//! `copy`: local files, directories or a text, to the host.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::modules::attrs::octal;
use crate::value::{Map, Value, bytes_of};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(super) async fn copy(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let mut host = args.all().clone();
    if args.bool("remote_src") {
        return hands.module("copy", host, Bodies::default()).await.map(Answer::of);
    }
    let mut bodies = Bodies::default();
    let src = args.str("src").filter(|src| !src.is_empty());
    match (args.get("content"), src) {
        (Some(_), _) if args.str("dest").is_some_and(|dest| dest.ends_with('/')) => {
            return Err(Problem::new("can not use content with a dir as dest"));
        }
        (Some(content), _) => {
            host.insert("_blob".into(), bodies.add_bytes(bytes_of(&text_of(content))).into());
            host.shift_remove("content");
        }
        (None, Some(src)) => from_local(src, &mut host, &mut bodies, hands)?,
        (None, None) => return Err(Problem::new("src (or content) is required")),
    }
    let is_tree = host.contains_key("_files");
    let mut values = hands.module("copy", host, bodies).await?;
    let has_written = values.get("checksum").is_some() && values.get("changed") == Some(&Value::Bool(true));
    if let Some(src) = src.filter(|_| is_tree || has_written) {
        values.insert("src".into(), src.into());
    }
    Ok(Answer::of(values))
}

/// A mapping or a list is written as JSON, as Ansible does.
fn text_of(content: &Value) -> String {
    match content {
        Value::Map(_) | Value::List(_) => content.to_json_pretty(),
        other => other.to_text().as_str().to_owned(),
    }
}

fn from_local(src: &str, host: &mut Map, bodies: &mut Bodies, hands: &impl Hands) -> Result<(), Problem> {
    let path = hands.find("files", src)?;
    if !path.is_dir() {
        host.insert("_blob".into(), bodies.add_opened(&path, host, hands)?.into());
        let mode = std::fs::metadata(&path).map(|found| found.permissions().mode() & 0o7777).unwrap_or(0o644);
        host.insert("_blob_mode".into(), octal(mode).into());
        host.insert("_name".into(), path.file_name().map(|name| name.to_string_lossy().into_owned()).into());
        return Ok(());
    }
    // Without a slash at the end the directory itself is made at the destination.
    let base = if src.ends_with('/') { "" } else { path.file_name().and_then(|name| name.to_str()).unwrap_or("") };
    let follow = host.get("local_follow").is_none_or(|follow| follow.to_bool() != Some(false));
    let body_of = &mut |path: &Path| bodies.add_opened(path, host, hands);
    let mut tree = Tree { follow, files: Vec::new(), above: Vec::new(), body_of };
    tree.add(&path, base)?;
    host.insert("_files".into(), Value::list(tree.files));
    Ok(())
}

/// A directory on this machine on its way to a host.
struct Tree<'b> {
    /// Whether what a link leads to is sent in its place.
    follow: bool,
    files: Vec<Value>,
    /// Where the walk is, each without links.
    above: Vec<PathBuf>,
    body_of: &'b mut dyn FnMut(&Path) -> Result<String, Problem>,
}

impl Tree<'_> {
    fn add(&mut self, dir: &Path, inside: &str) -> Result<(), Problem> {
        let mode = mode_of(dir)?;
        self.files.push(entry(inside, "directory", Some(mode), None));
        self.above.push(dir.canonicalize().map_err(|error| Problem::unreadable(dir, &error))?);
        let found = std::fs::read_dir(dir).map_err(|error| Problem::unreadable(dir, &error))?;
        let mut paths: Vec<_> = found.flatten().map(|entry| entry.path()).collect();
        // The files of a directory come before what is further down.
        paths.sort_by_cached_key(|path| (path.is_dir(), path.clone()));
        for path in paths {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let inner = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            if let Some(target) = self.kept_link(&path) {
                self.files.push(entry(&inner, "link", None, Some(("target", target))));
            } else if path.is_dir() {
                self.add(&path, &inner)?;
            } else {
                let body = (self.body_of)(&path)?;
                self.files.push(entry(&inner, "file", Some(mode_of(&path)?), Some(("blob", body))));
            }
        }
        self.above.pop();
        Ok(())
    }

    /// What a link says, where it is sent as a link: links are not followed, it leads nowhere, or around in a circle.
    fn kept_link(&self, path: &Path) -> Option<String> {
        let target = std::fs::read_link(path).ok()?;
        let is_circle = |real: &PathBuf| self.above.iter().any(|above| above.starts_with(real));
        let is_followed = self.follow && path.canonicalize().is_ok_and(|real| !is_circle(&real));
        (!is_followed).then(|| target.to_string_lossy().into_owned())
    }
}

fn mode_of(path: &Path) -> Result<u32, Problem> {
    Ok(std::fs::metadata(path).map_err(|error| Problem::unreadable(path, &error))?.permissions().mode() & 0o7777)
}

fn entry(path: &str, kind: &str, mode: Option<u32>, extra: Option<(&str, String)>) -> Value {
    let mut entry = Map::new();
    entry.insert("path".into(), path.into());
    entry.insert("kind".into(), kind.into());
    if let Some(mode) = mode {
        entry.insert("mode".into(), octal(mode).into());
    }
    if let Some((key, value)) = extra {
        entry.insert(key.into(), value.into());
    }
    entry.into()
}
