//! `copy`: local files, directories or a text, to the host.

use super::body::starts_as_vault;
use super::{Answer, Bodies, Hands, Problem};
use crate::modules::attrs::octal;
use crate::modules::{Args, paths};
use crate::value::{Map, Value, bytes_of};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// From here on it is worth asking the host before a file is read only to know its sum.
const BIG: u64 = 32 << 20;

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
        (None, Some(src)) => {
            let path = hands.find("files", src)?;
            match path.is_dir() {
                true => tree(src, &path, &mut host, &mut bodies, hands)?,
                false => file(&path, args, &mut host, &mut bodies, hands).await?,
            }
        }
        (None, None) => return Err(Problem::new("src (or content) is required")),
    }
    if let Some(body) = host.get("_blob").filter(|_| args.has("checksum")).map(Value::to_text) {
        let sum = bodies.sha1(&body).map_err(|error| Problem::new(format!("cannot make the sum of what is copied: {error}")))?;
        host.insert("_checksum".into(), sum.into());
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

async fn file(path: &Path, args: &Args, host: &mut Map, bodies: &mut Bodies, hands: &impl Hands) -> Result<(), Problem> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let found = std::fs::metadata(path).map_err(|error| Problem::unreadable(path, &error))?;
    let is_vault = || starts_as_vault(path).map_err(|error| Problem::unreadable(path, &error));
    let can_wait = found.len() >= BIG && !args.has("checksum") && !is_vault()?;
    let body = if can_wait && is_other(args.required("dest")?, &name, found.len(), hands).await {
        bodies.add_unread(path).map_err(|error| Problem::unreadable(path, &error))?
    } else {
        bodies.add_opened(path, host, hands)?
    };
    if let Some(size) = bodies.size(&body) {
        host.insert("_size".into(), size.into());
    }
    host.insert("_blob".into(), body.into());
    host.insert("_blob_mode".into(), octal(found.permissions().mode() & 0o7777).into());
    host.insert("_name".into(), name.into());
    Ok(())
}

/// Whether the file on the host, if there is one, has another size: then nobody needs to know more of what is sent.
async fn is_other(dest: &str, name: &str, size: u64, hands: &impl Hands) -> bool {
    for path in [dest.to_owned(), paths::join(dest, name)] {
        let args = [("path", Value::from(path)), ("follow", true.into()), ("get_checksum", false.into())];
        let Ok(found) =
            hands.module("stat", args.into_iter().map(|(key, value)| (key.into(), value)).collect(), Bodies::default()).await
        else {
            return false;
        };
        let Some(stat) = found.get("stat").filter(|stat| says(stat, "exists")) else { return true };
        if says(stat, "isreg") {
            return stat.get("size").and_then(Value::to_int) != i64::try_from(size).ok();
        }
        if !says(stat, "isdir") {
            return false;
        }
    }
    false
}

fn says(stat: &Value, what: &str) -> bool {
    stat.get(what).and_then(Value::to_bool) == Some(true)
}

fn tree(src: &str, path: &Path, host: &mut Map, bodies: &mut Bodies, hands: &impl Hands) -> Result<(), Problem> {
    // Without a slash at the end the directory itself is made at the destination.
    let base = if src.ends_with('/') { "" } else { path.file_name().and_then(|name| name.to_str()).unwrap_or("") };
    let follow = host.get("local_follow").is_none_or(|follow| follow.to_bool() != Some(false));
    let body_of = &mut |path: &Path| bodies.add_opened(path, host, hands);
    let mut tree = Tree { follow, files: Vec::new(), above: Vec::new(), body_of };
    tree.add(path, base)?;
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
