//! `unarchive`: the archive is local unless `remote_src` says otherwise.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;

pub(super) async fn unarchive(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let mut host = args.all().clone();
    let mut bodies = Bodies::default();
    let src = args.required("src")?;
    // `copy: false` is the older way to say `remote_src: true`.
    let is_remote = args.bool("remote_src") || !args.bool("copy");
    if !is_remote && !src.contains("://") {
        let path = hands.find("files", src)?;
        let body = bodies.add_opened(&path, args.all(), hands)?;
        host.insert("_blob".into(), body.into());
    }
    hands.module("unarchive", host, bodies).await.map(Answer::of)
}
