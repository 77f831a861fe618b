//! `copy`: local files, directories or a text, to the host.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::modules::attrs::octal;
use crate::value::{Map, Value};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) async fn copy(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let mut host = args.all().clone();
    if args.bool("remote_src") {
        return hands.module("copy", host, Bodies::default()).await.map(Answer::of);
    }
    let mut bodies = Bodies::default();
    match (args.get("content"), args.str("src")) {
        (Some(content), _) => {
            host.insert("_blob".into(), bodies.add_bytes(text_of(content).into_bytes()).into());
            host.shift_remove("content");
        }
        (None, Some(src)) => from_local(src, &mut host, &mut bodies, hands)?,
        (None, None) => return Err(Problem::new("src (or content) is required")),
    }
    hands.module("copy", host, bodies).await.map(Answer::of)
}

/// A mapping or a list is written as JSON, as Ansible does.
fn text_of(content: &Value) -> String {
    match content {
        Value::Map(_) | Value::List(_) => content.to_json_pretty(),
        other => other.to_text().as_str().to_owned(),
    }
}

fn from_local(src: &str, host: &mut Map, bodies: &mut Bodies, hands: &impl Hands) -> Result<(), Problem> {
    let must_open = host.get("decrypt").is_none_or(|decrypt| decrypt.to_bool() != Some(false));
    let path = hands.find("files", src)?;
    if !path.is_dir() {
        host.insert("_blob".into(), body_of(&path, bodies, hands, must_open)?.into());
        let mode = std::fs::metadata(&path).map(|found| found.permissions().mode() & 0o7777).unwrap_or(0o644);
        host.insert("_blob_mode".into(), octal(mode).into());
        host.insert("_name".into(), path.file_name().map(|name| name.to_string_lossy().into_owned()).into());
        return Ok(());
    }
    let mut files = Vec::new();
    // Without a slash at the end the directory itself is made at the destination.
    let base = if src.ends_with('/') { "" } else { path.file_name().and_then(|name| name.to_str()).unwrap_or("") };
    let mut body = |path: &Path| body_of(path, bodies, hands, must_open);
    add_tree(&path, base, &mut files, &mut body)?;
    host.insert("_files".into(), Value::list(files));
    Ok(())
}

fn add_tree(
    dir: &Path,
    inside: &str,
    files: &mut Vec<Value>,
    body_of: &mut dyn FnMut(&Path) -> Result<String, Problem>,
) -> Result<(), Problem> {
    let unreadable = |path: &Path, error: &std::io::Error| Problem::new(format!("cannot read `{}`: {error}", path.display()));
    let mode = std::fs::metadata(dir).map_err(|error| unreadable(dir, &error))?.permissions().mode() & 0o7777;
    files.push(entry(inside, "directory", mode, None));
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let inner = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        if path.is_dir() {
            add_tree(&path, &inner, files, body_of)?;
        } else {
            let mode = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?.permissions().mode() & 0o7777;
            files.push(entry(&inner, "file", mode, Some(body_of(&path)?)));
        }
    }
    Ok(())
}

fn entry(path: &str, kind: &str, mode: u32, blob: Option<String>) -> Value {
    let mut entry = Map::new();
    entry.insert("path".into(), path.into());
    entry.insert("kind".into(), kind.into());
    entry.insert("mode".into(), octal(mode).into());
    if let Some(blob) = blob {
        entry.insert("blob".into(), blob.into());
    }
    entry.into()
}

fn body_of(path: &Path, bodies: &mut Bodies, hands: &impl Hands, must_open: bool) -> Result<String, Problem> {
    if must_open {
        return bodies.add_opened(path, hands);
    }
    bodies.add_file(path).map_err(|error| Problem::new(format!("cannot read `{}`: {error}", path.display())))
}
