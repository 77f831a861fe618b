//! `fetch`: a file of the host, to the control side.

use super::{Answer, Hands, Problem};
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};
use sha1::{Digest, Sha1};
use std::path::{Path, PathBuf};

pub(super) async fn fetch(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let src = args.required("src")?;
    let dest = place(args.required("dest")?, src, args.bool("flat"), hands)?;
    let before = checksum(&dest);
    let partial = dest.with_extension("roll-partial");
    if let Some(dir) = dest.parent() {
        std::fs::create_dir_all(dir).map_err(|error| Problem::new(format!("cannot make `{}`: {error}", dir.display())))?;
    }
    let Some(values) = hands.fetch(src, &partial).await? else { return missing(args, src) };
    let after = checksum(&partial);
    let is_changed = before != after;
    let moved = if is_changed { std::fs::rename(&partial, &dest) } else { std::fs::remove_file(&partial) };
    moved.map_err(|error| Problem::new(format!("cannot write `{}`: {error}", dest.display())))?;
    let mut values: Map = values;
    values.insert("changed".into(), is_changed.into());
    values.insert("dest".into(), dest.to_string_lossy().into_owned().into());
    values.insert("checksum".into(), after.clone().into());
    values.insert("remote_checksum".into(), after.into());
    Ok(Answer::of(values))
}

fn missing(args: &Args, src: &str) -> Result<Answer, Problem> {
    if args.bool("fail_on_missing") {
        return Err(Failure::new("the remote file does not exist").with("file", src).into());
    }
    let values = [
        ("changed", Value::Bool(false)),
        ("file", src.into()),
        ("msg", "the remote file does not exist, not transferring, ignored".into()),
    ];
    Ok(Answer::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect()))
}

/// `dest/HOST/path/of/src`, or right at `dest` when it is flat.
fn place(dest: &str, src: &str, is_flat: bool, hands: &impl Hands) -> Result<PathBuf, Problem> {
    let name = Path::new(src).file_name().ok_or_else(|| Problem::new(format!("`{src}` is not the path of a file")))?;
    let base = PathBuf::from(dest);
    if is_flat {
        return Ok(if dest.ends_with('/') { base.join(name) } else { base });
    }
    // A host must not choose where on the control side its file lands.
    let inside: PathBuf = Path::new(src).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    Ok(base.join(hands.host().replace('/', "_")).join(inside))
}

fn checksum(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    Some(Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
