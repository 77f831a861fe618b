//! `snap`: packages of snapd.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "snap",
    collection: "community.general",
    summary: "installs and removes snaps",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "snaps").required(),
    Arg::new("state", Kind::Str, "what is wanted of them")
        .default("present")
        .choices(&["absent", "present", "enabled", "disabled"]),
    Arg::new("classic", Kind::Bool, "without confinement").default("no"),
    Arg::new("channel", Kind::Str, "the channel to follow; `stable` where the snap is new"),
    Arg::new("options", Kind::List, "settings: `key=value` for all of them, or `snap:key=value`"),
    Arg::new("dangerous", Kind::Bool, "install a file that nobody signed").default("no"),
];

const ASK: Duration = Duration::from_secs(120);

/// An installed snap, as `snap list` shows it.
struct Found {
    name: String,
    channel: String,
    is_disabled: bool,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let missing = || {
        Failure::new(
            "there is no snap on this host: install the package snapd and let its service run, or use a package of the host",
        )
    };
    let tool = look.which("snap").ok_or_else(missing)?;
    let installed = installed(look, &tool)?;
    let mut plan = Plan::default();
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for text in args.list("name") {
        let name = name_of(&text);
        let found = installed.iter().find(|snap| snap.name == name);
        let is_absent = args.str("state") == Some("absent");
        if found.is_none() && args.str("state") == Some("enabled") {
            return Err(Failure::new(format!("snap {name} is not installed: `state: present` installs it")));
        }
        if found.is_none() && args.str("state") == Some("present") {
            added.push(Value::from(name.as_str()));
        }
        if is_absent && found.is_some() {
            removed.push(Value::from(name.as_str()));
        }
        for words in wanted(args, &text, found) {
            let cmd = Cmd::new(std::iter::once(tool.clone()).chain(words.iter().cloned())).env("LC_ALL", "C.UTF-8");
            plan.push(Change::new(format!("snap {name}"), Value::Null, words[0].as_str(), Act::Run(cmd)));
        }
    }
    // Only snaps that run have settings.
    let is_active = matches!(args.str("state"), Some("present" | "enabled"));
    let changed = if is_active { options(args, look, &tool, &mut plan)? } else { Value::list(Vec::new()) };
    plan.set("classic", args.bool("classic")).set("channel", args.str("channel"));
    plan.set("snaps_installed", Value::list(added)).set("snaps_removed", Value::list(removed)).set("options_changed", changed);
    Ok(plan)
}

/// A file stands for the snap it is named after.
fn name_of(text: &str) -> String {
    let file = text.rsplit('/').next().unwrap_or(text);
    if text.ends_with(".snap") { file.split('_').next().unwrap_or(file).to_owned() } else { text.to_owned() }
}

fn installed(look: &dyn Look, tool: &str) -> Result<Vec<Found>, Failure> {
    let output = look.run(&Cmd::new([tool, "list"]).timeout(ASK))?;
    if !output.is_success() && !output.stderr_text().contains("No snaps are installed") {
        return Err(Failure::of_command("snapd does not answer", &output));
    }
    let text = output.stdout_text();
    let found = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, _, _, channel, ..] = words.as_slice() else { return None };
        let is_disabled = words.last().is_some_and(|notes| notes.contains("disabled"));
        Some(Found { name: (*name).to_owned(), channel: (*channel).to_owned(), is_disabled })
    };
    Ok(text.lines().skip(1).filter_map(found).collect())
}

fn wanted(args: &Args, text: &str, found: Option<&Found>) -> Vec<Vec<String>> {
    let words = |first: &str, name: &str| vec![first.to_owned(), name.to_owned()];
    let channel = args.str("channel").map(|channel| format!("--channel={channel}"));
    match (args.str("state").unwrap_or("present"), found) {
        ("absent", Some(found)) => vec![words("remove", &found.name)],
        ("absent" | "enabled" | "disabled", None) => Vec::new(),
        ("enabled", Some(found)) if found.is_disabled => vec![words("enable", &found.name)],
        ("disabled", Some(found)) if !found.is_disabled => vec![words("disable", &found.name)],
        ("present", Some(found)) => {
            let is_other = args.str("channel").is_some_and(|channel| !follows(&found.channel, channel));
            let refresh = words("refresh", &found.name).into_iter().chain(channel);
            is_other.then(|| refresh.collect()).into_iter().collect()
        }
        (_, Some(_)) => Vec::new(),
        (_, None) => {
            let flags = [("classic", "--classic"), ("dangerous", "--dangerous")];
            let flags = flags.iter().filter(|(arg, _)| args.bool(arg)).map(|(_, flag)| (*flag).to_owned());
            vec![words("install", text).into_iter().chain(flags).chain(channel).collect()]
        }
    }
}

/// `stable` is short for `latest/stable`, and `5.0` for `5.0/stable`.
fn follows(found: &str, wanted: &str) -> bool {
    found == wanted || found == format!("latest/{wanted}") || found == format!("{wanted}/stable")
}

fn options(args: &Args, look: &dyn Look, tool: &str, plan: &mut Plan) -> Result<Value, Failure> {
    let mut changed = Vec::new();
    for option in args.list("options") {
        let (key, value) =
            option.split_once('=').ok_or_else(|| Failure::new(format!("Cannot parse option: {option}; it is key=value")))?;
        let (snaps, key) = match key.split_once(':') {
            Some((snap, key)) => (vec![snap.to_owned()], key),
            None => (args.list("name").iter().map(|name| name_of(name)).collect(), key),
        };
        for snap in snaps {
            let output = look.run(&Cmd::new([tool, "get", snap.as_str(), key]).timeout(ASK))?;
            if output.is_success() && output.stdout_text().trim() == value {
                continue;
            }
            let cmd = Cmd::new([tool, "set", snap.as_str(), &format!("{key}={value}")]).env("LC_ALL", "C.UTF-8");
            plan.push(Change::new(format!("snap {snap}"), output.stdout_text().trim(), option.as_str(), Act::Run(cmd)));
            changed.push(Value::from(format!("{snap}:{key}={value}")));
        }
    }
    Ok(Value::list(changed))
}
