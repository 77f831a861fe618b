//! `meta`: instructions to the run itself.

use super::{Answer, Effect, Meta, Problem};
use crate::diag::closest;
use crate::modules::Args;

const WORDS: &[(&str, Meta)] = &[
    ("flush_handlers", Meta::FlushHandlers),
    ("end_play", Meta::EndPlay),
    ("end_batch", Meta::EndBatch),
    ("end_host", Meta::EndHost),
    ("end_role", Meta::EndRole),
    ("clear_host_errors", Meta::ClearHostErrors),
    ("clear_facts", Meta::ClearFacts),
    ("reset_connection", Meta::ResetConnection),
    ("refresh_inventory", Meta::RefreshInventory),
    ("noop", Meta::Noop),
];

pub(super) fn meta(args: &Args) -> Result<Answer, Problem> {
    let word = args.text("_raw_params").unwrap_or_default();
    match Meta::of(&word) {
        Some(meta) => Ok(Answer::effect(Effect::Meta(meta))),
        None => {
            let near = closest(&word, WORDS.iter().map(|(name, _)| *name));
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Err(Problem::new(format!("invalid meta action requested: {word}{hint}")))
        }
    }
}

impl Meta {
    pub fn of(word: &str) -> Option<Meta> {
        WORDS.iter().find(|(name, _)| *name == word.trim()).map(|(_, meta)| *meta)
    }

    pub fn name(self) -> &'static str {
        WORDS.iter().find(|(_, meta)| *meta == self).map_or("", |(name, _)| name)
    }

    /// Whether a condition keeps it from being carried out. The others heed none.
    pub fn heeds_conditions(self) -> bool {
        !matches!(self, Meta::Noop | Meta::RefreshInventory | Meta::ResetConnection)
    }

    /// What Ansible says when it was carried out.
    pub fn said(self, host: &str, role: &str) -> String {
        match self {
            Meta::FlushHandlers => format!("triggered running handlers for {host}"),
            Meta::EndPlay => "ending play".to_owned(),
            Meta::EndBatch => "ending batch".to_owned(),
            Meta::EndHost => format!("ending play for {host}"),
            Meta::EndRole => format!("ending role {role} for {host}"),
            Meta::ClearFacts => "facts cleared".to_owned(),
            Meta::ClearHostErrors => "cleared host errors".to_owned(),
            Meta::RefreshInventory => "inventory successfully refreshed".to_owned(),
            Meta::ResetConnection => "reset connection".to_owned(),
            Meta::Noop => "noop".to_owned(),
        }
    }

    /// What Ansible says when its condition did not hold.
    pub fn passed_over(self, host: &str, role: &str) -> String {
        let what = match self {
            Meta::FlushHandlers => format!("not running handlers for {host}"),
            Meta::EndPlay => "continuing play".to_owned(),
            Meta::EndBatch => "continuing current batch".to_owned(),
            Meta::EndHost => format!("continuing execution for {host}"),
            Meta::EndRole => format!("continuing role {role} for {host}"),
            Meta::ClearFacts => format!("not clearing facts and fact cache for {host}"),
            Meta::ClearHostErrors => format!("not clearing host error state for {host}"),
            Meta::RefreshInventory | Meta::ResetConnection | Meta::Noop => "continuing".to_owned(),
        };
        format!("{} conditional evaluated to False, {what}", self.name())
    }
}
