//! `docker_image` and `docker_image_build`: the directory to build from may be on the control side.
//!
//! An absolute path is the host's, if the host has it. A relative one, and one that only the control side has, is sent as a tar
//! named by its hash, so that it travels only where the host is really going to build.

use super::context::tar_of;
use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};
use std::path::PathBuf;

/// What a host says of a directory that it has not.
const NOT_THERE: &str = "does not exist on the host";

pub(super) async fn build(module: &str, args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let host = args.all().clone();
    let Some((path, dockerfile)) = wanted(module, args) else {
        return hands.module(module, host, Bodies::default()).await.map(Answer::of);
    };
    if path.starts_with('/') {
        let tried = hands.module(module, host.clone(), Bodies::default()).await;
        let is_elsewhere = tried.as_ref().is_err_and(|problem| problem.failure.msg.contains(NOT_THERE));
        let Some(directory) = Some(PathBuf::from(&path)).filter(|path| is_elsewhere && path.is_dir()) else {
            return tried.map(Answer::of);
        };
        return send(module, host, directory, &dockerfile, hands).await;
    }
    match hands.find("files", &path).ok().filter(|found| found.is_dir()) {
        Some(directory) => send(module, host, directory, &dockerfile, hands).await,
        None => hands.module(module, host, Bodies::default()).await.map(Answer::of),
    }
}

/// The directory and the Dockerfile of a task that builds from a directory.
fn wanted(module: &str, args: &Args) -> Option<(String, String)> {
    let options = if module == "docker_image" { args.dict("build")? } else { args.all() };
    let is_build = module != "docker_image" || args.str("source") == Some("build");
    let text = |key: &str| options.get(key).filter(|value| !value.is_null()).map(|value| value.to_text().as_str().to_owned());
    let path = text("path").filter(|path| is_build && args.str("state") != Some("absent") && !path.contains("://"))?;
    Some((path, text("dockerfile").unwrap_or_else(|| "Dockerfile".to_owned())))
}

async fn send(module: &str, mut host: Map, directory: PathBuf, dockerfile: &str, hands: &impl Hands) -> Result<Answer, Problem> {
    let tar = tar_of(&directory, dockerfile)
        .map_err(|error| Problem::new(format!("cannot read the build context `{}`: {error}", directory.display())))?;
    let mut bodies = Bodies::default();
    host.insert("_context".into(), Value::from(bodies.add_bytes(tar)));
    hands.module(module, host, bodies).await.map(Answer::of)
}
