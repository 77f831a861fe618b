//! `roll status`: what runs where, what the balancer says, and who is at it. Read-only, without the lock.

use super::args::StatusArgs;
use super::exit::Exit;
use super::surveyor::{self, Looking, image_of, is_running, moment, release_of, since, word};
use super::{job, terminal};
use crate::engine::{HostSurvey, Survey};
use crate::value::{Map, Value};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::Duration;

const WATCH_EVERY: Duration = Duration::from_secs(2);
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(super) fn run(args: &StatusArgs) -> Exit {
    let looking = match Looking::begin(&args.run, false) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    let is_json = surveyor::is_json(&args.run);
    loop {
        let surveys = looking.look(0);
        if args.watch && !is_json && std::io::stdout().is_terminal() {
            terminal::print(CLEAR);
        }
        if is_json {
            terminal::print(&(json(&surveys).to_json() + "\n"));
        } else {
            terminal::print(&surveys.iter().map(text).collect::<Vec<_>>().join("\n"));
            looking.explain(&surveyor::bad_news(&surveys));
        }
        if !args.watch {
            return looking.end(surveyor::verdict(&surveys));
        }
        let is_over = looking.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(WATCH_EVERY) => false,
                _ = tokio::signal::ctrl_c() => true,
            }
        });
        if is_over {
            return looking.end(surveyor::verdict(&surveys));
        }
    }
}

fn text(survey: &Survey) -> String {
    let mut out = String::new();
    let serving = survey.hosts.iter().filter_map(|host| host.target.as_ref()).filter(|target| target.is_serving).count();
    let serving = serving + survey.others.iter().filter(|target| target.is_serving).count();
    let all = survey.hosts.len() + survey.others.len();
    let (app, balancer) = (&survey.app, &survey.balancer);
    let _ = match &survey.unread {
        Some(why) => writeln!(out, "{app}: the {balancer} balancer says nothing: {why}"),
        None if balancer == "none" => writeln!(out, "{app} on {all} hosts, without a balancer"),
        None => writeln!(out, "{app} behind {balancer}: {serving} of {all} targets serve, floor {}", survey.floor),
    };
    let _ = writeln!(out, "  {}", activity(survey));
    let titles = ["host", "release", "image", "up", "phase", "parked", "balancer"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(survey.hosts.iter().map(row));
    rows.extend(survey.others.iter().map(|target| {
        let nothing = || "-".to_owned();
        vec![target.name.clone(), nothing(), nothing(), nothing(), nothing(), nothing(), target.state.clone()]
    }));
    out + &surveyor::columns(&rows)
}

/// Who has the lock, or what was left unfinished.
fn activity(survey: &Survey) -> String {
    if let Some(holder) = surveyor::holder(survey) {
        let for_so_long = word(holder, &["since"]).and_then(|since| since.parse().ok()).map(since).unwrap_or_default();
        let at = word(holder, &["step"]).map(|step| format!(", at {step}")).unwrap_or_default();
        let [who, from] = ["who", "from"].map(|name| word(holder, &[name]).unwrap_or_else(|| "somebody".to_owned()));
        return format!("being rolled out by {who} on {from} for {for_so_long}{at}");
    }
    let left = surveyor::unfinished(survey);
    if left.is_empty() {
        return "no rollout is under way".to_owned();
    }
    let left: Vec<String> = left.iter().map(|(host, phase)| format!("{host} ({phase})")).collect();
    let arguments = job::retyped();
    let (resume, rollback) = (format!("roll resume {arguments}"), format!("roll rollback {arguments}"));
    format!("a rollout was left unfinished: {}; next: `{resume}` to go on, or `{rollback}` to go back", left.join(", "))
}

fn row(host: &HostSurvey) -> Vec<String> {
    let nothing = || "-".to_owned();
    let target = host.target.as_ref().map_or_else(nothing, |target| target.state.clone());
    let Ok(found) = &host.found else {
        return vec![host.host.clone(), "?".into(), "?".into(), "?".into(), "?".into(), "?".into(), target];
    };
    let release = match (release_of(found), is_running(found)) {
        (Some(release), true) => release,
        (Some(release), false) => {
            format!("{release} ({})", word(found, &["current", "status"]).unwrap_or_else(|| "stopped".to_owned()))
        }
        (None, true) => "?".to_owned(),
        (None, false) => nothing(),
    };
    let up = word(found, &["current", "started_at"]).filter(|_| is_running(found)).and_then(|text| moment(&text)).map(since);
    vec![
        host.host.clone(),
        release,
        image_of(found).unwrap_or_else(nothing),
        up.unwrap_or_else(nothing),
        word(found, &["state", "phase"]).unwrap_or_else(nothing),
        parked(found).unwrap_or_else(nothing),
        target,
    ]
}

fn parked(found: &Map) -> Option<String> {
    let all = found.get("parked")?.as_list()?.iter().filter_map(Value::as_map);
    let names: Vec<String> = all.map(|one| word(one, &["release"]).unwrap_or_else(|| "?".to_owned())).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn json(surveys: &[Survey]) -> Value {
    let rollouts = surveys.iter().map(|survey| {
        let entries = [
            ("app", Value::from(&survey.app)),
            ("release", survey.release.clone().into()),
            ("balancer", Value::from(&survey.balancer)),
            ("balancer_error", survey.unread.clone().into()),
            ("floor", Value::Int(i64::try_from(survey.floor).unwrap_or(i64::MAX))),
            ("holder", surveyor::holder(survey).cloned().map(Value::map).into()),
            ("unfinished", surveyor::unfinished(survey).into_iter().map(|(host, _)| Value::from(host)).collect()),
            ("hosts", survey.hosts.iter().map(one).collect()),
        ];
        entries.into_iter().collect::<Value>()
    });
    [("rollouts", rollouts.collect::<Value>())].into_iter().collect()
}

fn one(host: &HostSurvey) -> Value {
    let target = host.target.as_ref();
    let mut entries = vec![
        ("host", Value::from(&host.host)),
        ("balancer", target.map(|target| target.state.clone()).into()),
        ("is_serving", target.map(|target| target.is_serving).into()),
    ];
    match &host.found {
        Err(unanswered) => entries.push(("error", Value::from(&unanswered.why))),
        Ok(found) => {
            let same = ["state", "generation", "current", "parked", "is_locked", "holder", "wish", "broken", "history_broken"];
            entries.push(("release", release_of(found).into()));
            entries.extend(same.into_iter().filter_map(|name| Some((name, found.get(name)?.clone()))));
        }
    }
    entries.into_iter().collect()
}
