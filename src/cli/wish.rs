//! `roll pause` and `roll continue`: a word to the rollout that runs, from another terminal.

use super::args::RunArgs;
use super::exit::Exit;
use super::surveyor::{self, Looking, word};
use super::{job, terminal};
use crate::diag::Diagnostic;
use crate::engine::{Survey, WishFor};

pub(super) fn pause(args: &RunArgs) -> Exit {
    ask(args, "pause")
}

pub(super) fn go_on(args: &RunArgs) -> Exit {
    ask(args, "continue")
}

fn ask(args: &RunArgs, word: &'static str) -> Exit {
    let looking = match Looking::begin(args, false) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    let surveys = looking.look(0);
    if !surveys.iter().any(|survey| surveyor::holder(survey).is_some()) {
        let apps: Vec<String> = surveys.iter().map(|survey| format!("`{}`", survey.app)).collect();
        let title = format!("no rollout of {} runs", apps.join(", "));
        let help = format!("`roll status {}` shows what is there", job::retyped());
        looking.explain(&[Diagnostic::error("no-rollout-runs", title).help(help)]);
        return looking.end(Exit::Prevented);
    }
    let answers = looking.runtime.block_on(looking.surveyor.wish(&WishFor { ask: word, why: String::new() }));
    let mut found = Vec::new();
    for (_, host, answer) in &answers {
        if let Err(unanswered) = answer {
            found.push(Diagnostic::warning("host-unanswered", format!("`{host}` was not told: {}", unanswered.why)));
        }
    }
    looking.explain(&found);
    surveys.iter().for_each(|survey| terminal::print(&told(survey, word)));
    let is_told = answers.iter().any(|(_, _, answer)| answer.is_ok());
    looking.end(if is_told { Exit::Done } else { Exit::Prevented })
}

fn told(survey: &Survey, ask: &str) -> String {
    let Some(holder) = surveyor::holder(survey) else { return String::new() };
    let who = word(holder, &["who"]).unwrap_or_else(|| "somebody".to_owned());
    let app = &survey.app;
    match ask {
        "pause" => {
            format!("{app}: the rollout of {who} pauses before its next host; next: `roll continue {}`\n", job::retyped())
        }
        _ => format!("{app}: the rollout of {who} goes on\n"),
    }
}
