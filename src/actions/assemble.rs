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
    if !dir.is_dir() {
        return Err(Problem::new(format!("Source ({}) is not a directory", dir.display())));
    }
    let entries = std::fs::read_dir(&dir).map_err(|error| Problem::unreadable(&dir, &error))?.flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let read = |name: &str| {
        let path = dir.join(name);
        if !path.is_file() {
            return Ok(None);
        }
        let text = match args.bool("decrypt") {
            true => hands.read(&path)?,
            false => std::fs::read(&path).map_err(|error| Problem::unreadable(&path, &error))?,
        };
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    };
    joining::join(args, &names, read).map(Value::from)
}
