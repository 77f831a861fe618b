//! `fetch`: a file of the host, to the control side.

use super::{Answer, Hands, Problem, digest};
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};
use std::path::{Path, PathBuf};

pub(super) async fn fetch(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let src = args.required("src")?;
    let dest = place(args.required("dest")?, src, args.bool("flat"), hands)?;
    let before = digest::of_file(&dest).ok();
    let partial = Partial::beside(&dest);
    if let Some(dir) = dest.parent() {
        std::fs::create_dir_all(dir).map_err(|error| Problem::new(format!("cannot make `{}`: {error}", dir.display())))?;
    }
    let fetched = hands.fetch(src, before.as_ref().map(|sums| sums.sha1.as_str()), &partial.0).await?;
    let text = |name: &str| fetched.get(name).map(|value| value.to_text().as_str().to_owned());
    if let Some(missing) = text("missing") {
        return absent(args, src, &missing);
    }
    let remote = text("checksum").unwrap_or_default();
    if let Some(sums) = before.filter(|sums| sums.sha1 == remote) {
        let values = [
            ("changed", Value::Bool(false)),
            ("md5sum", sums.md5.into()),
            ("file", src.into()),
            ("dest", dest.to_string_lossy().into_owned().into()),
            ("checksum", remote.into()),
        ];
        return Ok(answer(values));
    }
    let sums = digest::of_file(&partial.0).map_err(|error| unwritable(&dest, &error))?;
    if args.bool("validate_checksum") && sums.sha1 != remote {
        let failure = Failure::new("checksum mismatch").with("file", src).with("dest", dest.to_string_lossy().into_owned());
        return Err(failure.with("checksum", sums.sha1).with("remote_checksum", remote).into());
    }
    std::fs::rename(&partial.0, &dest).map_err(|error| unwritable(&dest, &error))?;
    let values = [
        ("changed", Value::Bool(true)),
        ("md5sum", sums.md5.into()),
        ("dest", dest.to_string_lossy().into_owned().into()),
        ("remote_md5sum", Value::Null),
        ("checksum", sums.sha1.into()),
        ("remote_checksum", remote.into()),
    ];
    Ok(answer(values))
}

fn answer<const N: usize>(values: [(&str, Value); N]) -> Answer {
    Answer::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect::<Map>())
}

fn unwritable(dest: &Path, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot write `{}`: {error}", dest.display()))
}

/// In Ansible's words, which say of a missing file that it is ignored even where it is not.
fn absent(args: &Args, src: &str, why: &str) -> Result<Answer, Problem> {
    let is_failure = args.bool("fail_on_missing");
    let msg = match why {
        _ if why.contains("not readable") => is_failure.then(|| why.to_owned()),
        _ if is_failure && why.contains("directory") => Some(why.to_owned()),
        _ => Some(format!("{why}, not transferring, ignored")),
    };
    if is_failure {
        return Err(Problem::new(msg.unwrap_or_default()));
    }
    let mut answer = answer([("changed", Value::Bool(false)), ("file", src.into())]);
    answer.values.extend(msg.map(|msg| ("msg".into(), msg.into())));
    Ok(answer)
}

/// What has come of the file so far; gone again unless it was moved to its place.
struct Partial(PathBuf);

impl Partial {
    fn beside(dest: &Path) -> Partial {
        let name = dest.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Partial(dest.with_file_name(format!(".{name}.roll-partial")))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It was moved away, or never came.
        let _ = std::fs::remove_file(&self.0);
    }
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
