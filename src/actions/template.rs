//! `template`: a local file, rendered, to the host; the host's half is `copy`'s.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value, charset};

/// What `copy` on the host takes as it is.
const PASSED_ON: &[&str] = &[
    "dest",
    "backup",
    "force",
    "validate",
    "follow",
    "mode",
    "owner",
    "group",
    "seuser",
    "serole",
    "setype",
    "selevel",
    "unsafe_writes",
    "attributes",
];

pub(super) async fn template(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let path = hands.find("templates", args.required("src")?)?;
    let text = String::from_utf8(hands.read(&path)?)
        .map_err(|_| Problem::new(format!("cannot read `{}`: it is not UTF-8", path.display())))?;
    let rendered = hands.template(&text, &path, args)?;
    let body = charset::encode(&rendered, args.str("output_encoding").unwrap_or("utf-8"))
        .map_err(|why| Problem::new(format!("cannot write `{}`: {why}", path.display())))?;
    let mut bodies = Bodies::default();
    let mut host = Map::new();
    for name in PASSED_ON {
        if let Some(value) = args.get(name) {
            host.insert((*name).into(), value.clone());
        }
    }
    host.insert("_blob".into(), bodies.add_bytes(body).into());
    let name = path.file_name().map(|name| name.to_string_lossy().trim_end_matches(".j2").to_owned());
    host.insert("_name".into(), name.into());
    if args.get("mode").is_some_and(|mode| mode.as_str() == Some("preserve")) {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).map(|found| found.permissions().mode() & 0o7777).unwrap_or(0o644);
        host.insert("mode".into(), Value::from(crate::modules::attrs::octal(mode)));
    }
    hands.module("copy", host, bodies).await.map(Answer::of)
}
