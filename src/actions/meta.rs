//! `meta`: instructions to the run itself.

use super::{Answer, Effect, Meta, Problem};
use crate::diag::closest;
use crate::modules::Args;

const WORDS: &[(&str, Meta)] = &[
    ("flush_handlers", Meta::FlushHandlers),
    ("end_play", Meta::EndPlay),
    ("end_batch", Meta::EndBatch),
    ("end_host", Meta::EndHost),
    ("clear_host_errors", Meta::ClearHostErrors),
    ("clear_facts", Meta::ClearFacts),
    ("reset_connection", Meta::ResetConnection),
    ("refresh_inventory", Meta::RefreshInventory),
    ("noop", Meta::Noop),
];

pub(super) fn meta(args: &Args) -> Result<Answer, Problem> {
    let word = args.text("_raw_params").unwrap_or_default();
    match WORDS.iter().find(|(name, _)| *name == word.trim()) {
        Some((_, meta)) => Ok(Answer::effect(Effect::Meta(*meta))),
        None => {
            let near = closest(&word, WORDS.iter().map(|(name, _)| *name));
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Err(Problem::new(format!("invalid meta action requested: {word}{hint}")))
        }
    }
}
