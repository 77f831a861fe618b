//! `script`: a local script runs on the host, without being left there.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};

pub(super) async fn script(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let line = args.text("cmd").or_else(|| args.text("_raw_params")).unwrap_or_default();
    let words = shell_words::split(&line).map_err(|_| Problem::new(format!("a quote is not closed in `{line}`")))?;
    let Some((name, rest)) = words.split_first() else {
        return Err(Problem::new("one of the following is required: cmd, or the path of a script as bare text"));
    };
    let path = hands.find("files", name)?;
    let mut bodies = Bodies::default();
    let body = bodies.add_opened(&path, args.all(), hands)?;
    let mut host = Map::new();
    host.insert("_blob".into(), body.into());
    host.insert("argv".into(), rest.iter().map(Value::from).collect());
    for name in ["creates", "removes", "chdir", "executable"] {
        if let Some(value) = args.get(name) {
            host.insert(name.into(), value.clone());
        }
    }
    hands.module("_script", host, bodies).await.map(Answer::of)
}
