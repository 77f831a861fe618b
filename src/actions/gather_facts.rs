//! `gather_facts`: `setup`, as a play does it by itself.

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::value::Map;

/// Whether hosts are asked at the same time is for the strategy to say.
const OWN: &str = "parallel";

pub(super) async fn gather(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let asked: Map = args
        .all()
        .iter()
        .filter(|(name, _)| name.as_str() != Some(OWN))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    hands.module("setup", asked, Bodies::default()).await.map(Answer::of)
}
