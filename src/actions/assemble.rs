//! `assemble`: fragments of the control side are joined here, those of the host there.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::{Args, assemble as joining};
use crate::value::Value;

pub(super) async fn assemble(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let mut host = args.all().clone();
    if !args.bool("remote_src") {
        host.insert("_content".into(), on_control_side(args, hands)?);
    }
    hands.module("assemble", host, Bodies::default()).await.map(Answer::of)
}

fn on_control_side(args: &Args, hands: &impl Hands) -> Result<Value, Problem> {
    let dir = hands.find("files", args.required("src")?)?;
    let unreadable = |error: std::io::Error| Problem::new(format!("cannot read `{}`: {error}", dir.display()));
    if !dir.is_dir() {
        return Err(Problem::new(format!("Source ({}) is not a directory", dir.display())));
    }
    let entries = std::fs::read_dir(&dir).map_err(unreadable)?.flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let read = |name: &str| {
        let path = dir.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let cannot = |error| Problem::new(format!("cannot read `{}`: {error}", path.display()));
        let text = if args.bool("decrypt") { hands.read(&path)? } else { std::fs::read(&path).map_err(cannot)? };
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    };
    joining::join(args, &names, read).map(Value::from)
}
