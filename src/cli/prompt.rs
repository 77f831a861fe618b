//! `vars_prompt`: what plays want to know from the operator, asked before anything is sent.

use super::{password, terminal};
use crate::diag::Diagnostic;
use crate::engine::Job;
use crate::playbook::{Play, Prompt};
use crate::value::{Map, Value};
use std::io::BufRead as _;

/// Asks for what no `-e` says already. Where nobody can answer, defaults count.
pub(super) fn ask(job: &Job) -> Result<Map, Diagnostic> {
    let mut answers = Map::new();
    if !job.options.is_interactive {
        return Ok(answers);
    }
    for prompt in job.playbooks.iter().flat_map(|playbook| &playbook.plays).flat_map(Play::prompts) {
        let is_known = job.options.extra.contains_key(prompt.name.as_str()) || answers.contains_key(prompt.name.as_str());
        if !is_known && let Some(answer) = answer(&prompt)? {
            answers.insert(prompt.name.as_str().into(), answer);
        }
    }
    Ok(answers)
}

/// None where only Enter was pressed: the default counts.
fn answer(prompt: &Prompt) -> Result<Option<Value>, Diagnostic> {
    let default = prompt.default.as_ref().filter(|_| !prompt.is_private).map(|default| format!(" [{}]", default.to_text()));
    let question = format!("{}{}: ", prompt.text, default.unwrap_or_default());
    loop {
        let first = typed(&question, prompt.is_private)?;
        if !prompt.is_confirmed || typed(&format!("confirm {question}"), prompt.is_private)?.to_text() == first.to_text() {
            return Ok((!first.to_text().is_empty()).then_some(first));
        }
        terminal::complain("the two answers differ\n");
    }
}

fn typed(question: &str, is_private: bool) -> Result<Value, Diagnostic> {
    if is_private {
        return password::ask(question).map(Value::String);
    }
    terminal::complain(question);
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(_) => Ok(Value::from(line.trim_end_matches(['\n', '\r']))),
        Err(error) => Err(Diagnostic::error("no-answer", format!("no answer could be read: {error}"))),
    }
}
