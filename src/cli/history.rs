//! `roll history`: what was rolled out, by whom and when, as all hosts recorded it.

use super::args::RunArgs;
use super::exit::Exit;
use super::surveyor::{self, Looking, history_broken, word};
use super::terminal;
use crate::diag::Diagnostic;
use crate::engine::Survey;
use crate::value::{Map, Value};

/// Lines of one host; more than anybody reads.
const LINES_MAX: i64 = 10_000;

pub(super) fn run(args: &RunArgs) -> Exit {
    let looking = match Looking::begin(args, false) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    let surveys = looking.look(LINES_MAX);
    if surveyor::is_json(args) {
        let all: Value = surveys.iter().map(json).collect();
        let whole: Value = [("rollouts", all)].into_iter().collect();
        terminal::print(&(whole.to_json() + "\n"));
    } else {
        terminal::print(&surveys.iter().map(text).collect::<Vec<_>>().join("\n"));
        looking.explain(&surveyor::bad_news(&surveys));
    }
    looking.end(surveyor::verdict(&surveys))
}

/// All lines in the order of time, each with its host.
fn merged(survey: &Survey) -> Vec<(&str, &Map)> {
    let hosts = survey.hosts.iter().filter_map(|host| Some((host.host.as_str(), host.found.as_ref().ok()?)));
    let mut lines: Vec<(&str, &Map)> = hosts
        .flat_map(|(host, found)| {
            let entries = found.get("history").and_then(Value::as_list).unwrap_or_default();
            entries.iter().filter_map(Value::as_map).map(move |entry| (host, entry))
        })
        .collect();
    // Of one host the order of its lines counts, whatever its clock did.
    lines.sort_by_key(|(_, entry)| word(entry, &["at"]));
    lines
}

fn text(survey: &Survey) -> String {
    let lines = merged(survey);
    if lines.is_empty() {
        return format!("{}: no host has recorded anything\n", survey.app);
    }
    let titles = ["when", "host", "rollout", "what", "release", "by", "why"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(lines.into_iter().map(|(host, entry)| row(host, entry)));
    let is_whole = survey.hosts.iter().all(|host| host.found.as_ref().is_ok_and(|found| history_broken("", "", found).is_none()));
    let verdict = if is_whole { "  every chain is whole\n" } else { "" };
    format!("{}\n{}{verdict}", survey.app, surveyor::columns(&rows))
}

fn row(host: &str, entry: &Map) -> Vec<String> {
    let word = |name: &str| word(entry, &[name]);
    let by = [word("who"), word("from")].into_iter().flatten().collect::<Vec<_>>().join(" on ");
    let note = entry.get("note").filter(|note| note.as_str().is_some()).map(|note| note.to_text().to_string());
    let cells = [word("at"), Some(host.to_owned()), word("generation"), word("event"), word("release"), Some(by), note];
    cells.into_iter().map(|cell| cell.filter(|cell| !cell.is_empty()).unwrap_or_else(|| "-".to_owned())).collect()
}

fn json(survey: &Survey) -> Value {
    let entries = merged(survey).into_iter().map(|(host, entry)| {
        let mut entry = entry.clone();
        entry.insert("host".into(), host.into());
        Value::map(entry)
    });
    let broken = survey.hosts.iter().filter_map(|host| {
        let found = host.found.as_ref().ok()?;
        let Diagnostic { title, .. } = history_broken(&survey.app, &host.host, found)?;
        Some([("host", Value::from(&host.host)), ("why", title.into())].into_iter().collect::<Value>())
    });
    let parts = [("app", Value::from(&survey.app)), ("entries", entries.collect()), ("broken", broken.collect())];
    parts.into_iter().collect()
}
