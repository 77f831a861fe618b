//! What the commands about rollouts share: reading the job, asking every host, and saying what is there.

use super::args::RunArgs;
use super::config::Config;
use super::exit::Exit;
use super::job::{self, Draft};
use super::{prompt, signals, terminal};
use crate::diag::{Diagnostic, Sources};
use crate::engine::{Ending, HostSurvey, RECORD_HELP, Survey, Surveyor};
use crate::modules::clock::Clock;
use crate::report::Paint;
use crate::value::{Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// A command that looks at rollouts, once everything that it needs is read.
pub(super) struct Looking {
    pub(super) surveyor: Surveyor,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) sources: Sources,
    pub(super) paint: Paint,
}

impl Looking {
    /// Says what is wrong and answers with the exit code where nothing can be looked at.
    pub(super) fn begin(args: &RunArgs, needs_release: bool) -> Result<Looking, Exit> {
        let sources = Sources::default();
        let config = Config::of_process(&sources);
        let (_, paint) = terminal::paints(args.output.no_color, &config);
        let refuted = |found: &[Diagnostic]| {
            terminal::explain(found, &sources, paint, "nothing was changed on any host");
            Exit::Refuted
        };
        let Draft { mut job, diagnostics } = job::draft(args, &config, &sources);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(refuted(&diagnostics));
        }
        terminal::warn(&diagnostics, &sources, paint);
        job::ask_passwords(args, &config, &mut job.options).map_err(|diagnostic| refuted(&[diagnostic]))?;
        job.options.prompted = prompt::ask(&job).map_err(|diagnostic| refuted(&[diagnostic]))?;
        let runtime = signals::runtime().map_err(|error| {
            terminal::complain(&format!("error: no workers could be started: {error}\n"));
            Exit::Prevented
        })?;
        let surveyor = {
            let _guard = runtime.enter();
            Surveyor::new(job, needs_release).map_err(|diagnostic| refuted(&[*diagnostic]))?
        };
        Ok(Looking { surveyor, runtime, sources, paint })
    }

    pub(super) fn look(&self, history: i64) -> Vec<Survey> {
        self.runtime.block_on(self.surveyor.look(history))
    }

    pub(super) fn explain(&self, found: &[Diagnostic]) {
        terminal::explain(found, &self.sources, self.paint, "");
    }

    pub(super) fn end(self, exit: Exit) -> Exit {
        self.runtime.block_on(self.surveyor.close());
        self.runtime.shutdown_background();
        exit
    }
}

/// What of the hosts' answers is bad news, and the exit code that goes with it.
pub(super) fn verdict(surveys: &[Survey]) -> Exit {
    let hosts = || surveys.iter().flat_map(|survey| &survey.hosts);
    let is_gone = |host: &HostSurvey| host.found.as_ref().is_err_and(|unanswered| unanswered.is_unreachable);
    let is_bad = |host: &HostSurvey| match &host.found {
        Ok(found) => ["broken", "history_broken"].iter().any(|name| found.get(*name).is_some_and(|value| !value.is_null())),
        Err(_) => true,
    };
    if hosts().any(is_gone) {
        return Exit::Ended(Ending::Unreachable);
    }
    Exit::Ended(if hosts().any(is_bad) { Ending::Failed } else { Ending::Done })
}

/// Bad news that a table has no room for.
pub(super) fn bad_news(surveys: &[Survey]) -> Vec<Diagnostic> {
    let mut news = Vec::new();
    for (survey, host) in surveys.iter().flat_map(|survey| survey.hosts.iter().map(move |host| (survey, host))) {
        let HostSurvey { host, found, .. } = host;
        match found {
            Err(unanswered) => {
                news.push(Diagnostic::warning("host-unanswered", format!("`{host}` says nothing: {}", unanswered.why)));
            }
            Ok(found) => {
                if let Some(broken) = word(found, &["broken"]) {
                    let path = format!("{}/state.json", word(found, &["dir"]).unwrap_or_default());
                    news.push(
                        Diagnostic::error("record-broken", format!("the record of `{}` on `{host}`: {broken}", survey.app))
                            .help(format!("{RECORD_HELP}: on `{host}`, `mv {path} {path}.broken`")),
                    );
                }
                news.extend(history_broken(&survey.app, host, found));
            }
        }
    }
    news
}

pub(super) fn history_broken(app: &str, host: &str, found: &Map) -> Option<Diagnostic> {
    let broken = found.get("history_broken").filter(|broken| !broken.is_null())?;
    let line = broken.get("line").and_then(Value::to_int).unwrap_or(0);
    let why = broken.get("why").map(Value::to_text).unwrap_or_default();
    let dir = word(found, &["dir"]).unwrap_or_default();
    Some(
        Diagnostic::error("history-broken", format!("the history of `{app}` on `{host}` was changed after it was written"))
            .note(format!("line {line} of {dir}/history.jsonl: {why}"))
            .help("what the other hosts recorded of the same rollouts tells what is missing"),
    )
}

/// A text deep inside; empty ones and nulls do not count.
pub(super) fn word(map: &Map, path: &[&str]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let value = rest.iter().try_fold(map.get(*first)?, |value, key| value.get(key))?;
    Some(value.to_text().to_string()).filter(|text| !text.is_empty() && !value.is_null())
}

/// What runs on a host, as far as anybody can tell: what was recorded, if it is about the container that is there.
pub(super) fn release_of(found: &Map) -> Option<String> {
    let recorded = word(found, &["state", "current", "id"]).filter(|id| Some(id) == word(found, &["current", "id"]).as_ref());
    let recorded = recorded.and_then(|_| word(found, &["state", "release"]));
    recorded.or_else(|| word(found, &["current", "release"]))
}

pub(super) fn is_running(found: &Map) -> bool {
    found.get("current").and_then(|current| current.get("is_running")).and_then(Value::to_bool).unwrap_or(false)
}

/// Twelve digits of a digest, as Docker shows them.
pub(super) fn image_of(found: &Map) -> Option<String> {
    let id = word(found, &["current", "image_id"])?;
    Some(id.trim_start_matches("sha256:").chars().take(12).collect())
}

pub(super) fn holder(survey: &Survey) -> Option<&Map> {
    let found = survey.hosts.iter().filter_map(|host| host.found.as_ref().ok());
    found.filter_map(|found| found.get("holder")?.as_map()).next()
}

/// A host that a rollout has begun with and not finished, and the phase that it is in.
pub(super) fn unfinished(survey: &Survey) -> Vec<(&str, String)> {
    let settled = ["Done", "Reverted"];
    let hosts = survey.hosts.iter().filter_map(|host| Some((host.host.as_str(), host.found.as_ref().ok()?)));
    hosts
        .filter_map(|(host, found)| Some((host, word(found, &["state", "phase"])?)))
        .filter(|(_, phase)| !settled.contains(&phase.as_str()))
        .collect()
}

pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

/// `2026-11-21T14:02:11.5Z` as seconds since 1970.
pub(super) fn moment(text: &str) -> Option<f64> {
    Clock::default().read(text.get(..19)?, "%Y-%m-%dT%H:%M:%S").filter(|time| *time > 0.0)
}

/// How long ago, in one word.
pub(super) fn since(time: f64) -> String {
    match (now() - time).max(0.0) as u64 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Rows below each other, indented by two.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ", width = *width)).collect();
        format!("  {}\n", cells.trim_end())
    };
    rows.iter().map(line).collect()
}

pub(super) fn is_json(args: &RunArgs) -> bool {
    args.output.output.as_deref() == Some("json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Map {
        Value::from_json(text).unwrap().as_map().unwrap().clone()
    }

    #[test]
    fn a_record_counts_only_for_the_container_that_it_is_about() {
        let about = |id: &str| {
            found(&format!(
                r#"{{"state":{{"release":"7f3a","current":{{"id":"c1"}}}},"current":{{"id":"{id}","release":"latest"}}}}"#
            ))
        };
        assert_eq!(release_of(&about("c1")).as_deref(), Some("7f3a"));
        assert_eq!(release_of(&about("c2")).as_deref(), Some("latest"));
        assert_eq!(release_of(&found(r#"{"current":null}"#)), None);
    }

    #[test]
    fn moments_and_columns_are_read_by_people() {
        assert_eq!(moment("2026-01-01T00:00:00.123456789Z"), Some(1_767_225_600.0));
        assert_eq!(moment("0001-01-01T00:00:00Z"), None);
        assert_eq!(moment("soon"), None);
        let rows =
            [vec!["host".to_owned(), "é".to_owned(), "x".to_owned()], vec!["w".to_owned(), "long".to_owned(), String::new()]];
        assert_eq!(columns(&rows), "  host  é     x\n  w     long\n");
    }
}
