//! `alternatives`: which of several programs a name stands for.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "alternatives",
    collection: "community.general",
    summary: "choose the program that a name stands for",
    args: &[&[
        Arg::new("name", Kind::Str, "the name").required(),
        Arg::new("path", Kind::Path, "the program"),
        Arg::new("family", Kind::Str, "choose the best of this family"),
        Arg::new("link", Kind::Path, "the link that leads to it"),
        Arg::new("priority", Kind::Int, "how much it is worth"),
        Arg::new("state", Kind::Str, "`selected` chooses it, `auto` leaves it to the priorities")
            .choices(&["present", "absent", "selected", "auto"])
            .default("selected"),
        Arg::new("subcommands", Kind::RawList, "what goes with it: maps of name, path and link").aliases(&["slaves"]),
    ]],
    rules: &[super::Rule::OneOf(&["path", "family"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// What the host knows of a name.
#[derive(Default)]
struct Known {
    link: Option<String>,
    is_auto: bool,
    current: Option<String>,
    choices: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    path: String,
    priority: i64,
    family: Option<String>,
    /// Name and path of what goes with it.
    more: Vec<(String, String)>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    let program = look.which("update-alternatives").map_or_else(|| look.require("alternatives", "dpkg"), Ok)?;
    let known = known(look, &program, name)?;
    let state = args.str("state").unwrap_or("selected");
    let family = args.str("family");
    let path = match (args.str("path"), family) {
        (Some(path), _) => path.to_owned(),
        (None, Some(family)) => best_of(&known, family)?,
        (None, None) => return Err(Failure::new("one of the following is required: path, family")),
    };
    let chosen = known.choices.iter().find(|choice| choice.path == path);
    let mut plan = Plan::default();
    let mut push = |words: Vec<String>, before: Map, after: Map| {
        let act = Act::Run(Cmd::new(std::iter::once(program.clone()).chain(words)));
        plan.push(Change::new(name, before, after, act));
    };
    let shown = |key: &str, value: &str| Map::from_iter([(key.into(), Value::from(value))]);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if state == "absent" {
        if chosen.is_some() {
            push(words(&["--remove", name, &path]), shown("state", "present"), shown("state", "absent"));
        }
        return Ok(plan);
    }
    if !is_installed(args, &known, chosen) {
        let link = args.str("link").or(known.link.as_deref());
        let link = link
            .ok_or_else(|| Failure::new("Needed to install the alternative, but unable to do so as we are missing the link"))?;
        if !matches!(look.stat(&path, true), Ok(Some(_))) {
            return Err(Failure::new(format!("Specified path {path} does not exist")));
        }
        let priority = args.int("priority").or(chosen.map(|choice| choice.priority)).unwrap_or(50);
        let mut install = words(&["--install", link, name, &path, &priority.to_string()]);
        for (link, name, path) in subcommands(args)? {
            install.extend(["--slave".to_owned(), link, name, path]);
        }
        push(install, shown("state", "absent"), shown("state", "present"));
    }
    if state == "selected" && known.current.as_deref() != Some(path.as_str()) {
        push(words(&["--set", name, &path]), shown("path", known.current.as_deref().unwrap_or_default()), shown("path", &path));
    }
    if state == "auto" && !known.is_auto && known.current.is_some() {
        push(words(&["--auto", name]), shown("state", "selected"), shown("state", "auto"));
    }
    Ok(plan)
}

fn best_of(known: &Known, family: &str) -> Result<String, Failure> {
    let own = known.choices.iter().filter(|choice| choice.family.as_deref() == Some(family));
    let best = own.max_by_key(|choice| choice.priority).map(|choice| choice.path.clone());
    best.ok_or_else(|| Failure::new(format!("no alternative is of the family {family}")))
}

/// Link, name and path of each.
fn subcommands(args: &Args) -> Result<Vec<(String, String, String)>, Failure> {
    let one = |entry: &Value| {
        let part = |key: &str| {
            let text = entry.get(key).map(|value| value.to_text().as_str().to_owned());
            text.ok_or_else(|| Failure::new(format!("an entry of `subcommands` has no `{key}`")))
        };
        Ok((part("link")?, part("name")?, part("path")?))
    };
    args.items("subcommands").iter().map(one).collect()
}

fn is_installed(args: &Args, known: &Known, chosen: Option<&Choice>) -> bool {
    let Some(chosen) = chosen else { return false };
    let has_link = args.str("link").is_none_or(|link| known.link.as_deref() == Some(link));
    let has_priority = args.int("priority").is_none_or(|priority| chosen.priority == priority);
    let wanted = subcommands(args).unwrap_or_default();
    let has_more = wanted.iter().all(|(_, name, path)| chosen.more.iter().any(|own| (&own.0, &own.1) == (name, path)));
    has_link && has_priority && has_more
}

/// Debian answers in fields; others describe in sentences.
fn known(look: &dyn Look, program: &str, name: &str) -> Result<Known, Failure> {
    let output = look.run(&Cmd::new([program, "--query", name]))?;
    if output.is_success() {
        return Ok(fields(&output.stdout_text()));
    }
    let is_debian = output.stderr_text().contains("no alternatives for");
    if is_debian {
        return Ok(Known::default());
    }
    let output = look.run(&Cmd::new([program, "--display", name]))?;
    Ok(if output.is_success() { sentences(&output.stdout_text()) } else { Known::default() })
}

fn fields(text: &str) -> Known {
    let mut known = Known::default();
    for line in text.lines() {
        let (key, value) = line.split_once(':').map_or((line, ""), |(key, value)| (key, value.trim()));
        let last = known.choices.last_mut();
        match (key, last) {
            ("Link", _) => known.link = Some(value.to_owned()),
            ("Status", _) => known.is_auto = value == "auto",
            ("Value", _) => known.current = Some(value.to_owned()).filter(|value| value != "none"),
            ("Alternative", _) => known.choices.push(Choice { path: value.to_owned(), ..Choice::default() }),
            ("Priority", Some(choice)) => choice.priority = value.parse().unwrap_or(0),
            (_, Some(choice)) if line.starts_with(' ') => {
                choice.more.extend(line.trim().split_once(' ').map(|(name, path)| (name.to_owned(), path.to_owned())));
            }
            _ => {}
        }
    }
    known
}

fn sentences(text: &str) -> Known {
    let mut known = Known::default();
    for line in text.lines() {
        if let Some((_, mode)) = line.split_once(" - status is ") {
            known.is_auto = mode.starts_with("auto");
        } else if let Some(path) = line.trim().strip_prefix("link currently points to ") {
            known.current = Some(path.to_owned());
        } else if let Some((path, rest)) = line.split_once(" - ") {
            let mut words = rest.split_whitespace();
            let family = (words.next() == Some("family")).then(|| words.next().unwrap_or_default().to_owned());
            let priority = rest.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
            known.choices.push(Choice { path: path.to_owned(), priority, family, more: Vec::new() });
        } else if let (Some((name, path)), Some(choice)) =
            (line.trim().trim_start_matches("slave ").trim_start_matches("follower ").split_once(": "), known.choices.last_mut())
        {
            choice.more.push((name.to_owned(), path.to_owned()));
        }
    }
    known
}
