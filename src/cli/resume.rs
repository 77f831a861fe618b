//! `roll resume` and `roll rollback`: an unfinished rollout brought to one of its two ends, from any machine.

use super::args::{RollbackArgs, RunArgs};
use super::config::Config;
use super::exit::Exit;
use super::job::{self, Draft};
use super::{run, terminal};
use crate::diag::{Diagnostic, Sources};
use crate::engine::{Direction, Job};
use crate::value::Value;

pub(super) fn resume(args: &RunArgs) -> Exit {
    run::run(&RunArgs { direction: Direction::Resume, ..args.clone() })
}

/// To a release that is named: forward to it. Otherwise back from what was left unfinished.
pub(super) fn rollback(args: &RollbackArgs) -> Exit {
    let Some(release) = &args.to else {
        return run::run(&RunArgs { direction: Direction::Rollback, ..args.run.clone() });
    };
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let Draft { job, diagnostics } = job::draft(&args.run, &config, &sources);
    if diagnostics.iter().any(Diagnostic::is_error) {
        // They are said once, by the run itself.
        return run::run(&args.run);
    }
    match variable(&job) {
        Ok(name) => {
            let mut args = args.run.clone();
            let given: Value = [(name.as_str(), Value::from(release))].into_iter().collect();
            args.extra_vars.push(given.to_json());
            run::run(&args)
        }
        Err(diagnostic) => {
            let (_, paint) = terminal::paints(args.run.output.no_color, &config);
            terminal::explain(&[*diagnostic], &sources, paint, "nothing was sent to any host");
            Exit::Refuted
        }
    }
}

/// The variable that the playbook takes its release from.
fn variable(job: &Job) -> Result<String, Box<Diagnostic>> {
    let plays = job.playbooks.iter().flat_map(|playbook| &playbook.plays);
    let written = plays.filter_map(|play| play.context.keywords.get("rollout")).find(|written| !written.value.is_null());
    let Some(written) = written else {
        return Err(Box::new(Diagnostic::error("no-rollout", "no play here has `rollout:`")));
    };
    let release = written.value.get("release").cloned().unwrap_or_default();
    let text = match &release {
        Value::Template(template) => template.text.as_str().to_owned(),
        other => other.to_text().to_string(),
    };
    let inner = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim).unwrap_or_default();
    let is_name = inner.chars().all(|letter| letter.is_alphanumeric() || letter == '_') && !inner.is_empty();
    if is_name {
        return Ok(inner.to_owned());
    }
    Err(Box::new(
        Diagnostic::error(
            "release-not-a-variable",
            format!("the playbook does not take its release from one variable: `{text}`"),
        )
        .at(written.span, "in this rollout")
        .help("write `release: \"{{ release }}\"`, or run the playbook with the variables of the release to go back to"),
    ))
}
