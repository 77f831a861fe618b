//! `package`: the host chooses its package manager's module; one that the common host program does not have is called from here.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;

/// What the host's half names when it cannot do the work itself.
const INSTEAD: &str = "_instead";

pub(super) async fn package(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let asked = hands.module("package", args.all().clone(), Bodies::default()).await;
    let name = match &asked {
        Err(problem) => problem.failure.values.get(INSTEAD).map(|name| name.to_text().to_string()),
        Ok(_) => None,
    };
    let Some(name) = name else { return asked.map(Answer::of) };
    let mut own = args.all().clone();
    own.shift_remove("use");
    hands.module(&name, own, Bodies::default()).await.map(Answer::of)
}
