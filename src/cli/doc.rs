//! `roll doc`: what modules and keywords are for.

use super::args::DocArgs;
use super::config::Config;
use super::exit::Exit;
use super::{job, terminal};
use crate::diag::{Sources, closest};
use crate::modules::{self, Arg, Module, Rule};
use crate::playbook::Target;
use crate::playbook::keyword::{self, KEYWORDS, Keyword};
use crate::value::Map;
use std::fmt::Write as _;
use std::path::Path;

pub(super) fn run(args: &DocArgs) -> Exit {
    let answer = match &args.module {
        _ if args.keywords => Some(keywords()),
        None => Some(all()),
        Some(name) => modules::find(name).filter(|module| is_public(module)).map(page).or_else(|| of_collections(name)),
    };
    match (answer, &args.module) {
        (Some(text), _) => {
            terminal::print(&text);
            Exit::Done
        }
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            let near = closest(name, public().map(|module| module.name));
            let hint = near.map_or_else(|| "`roll doc` lists all modules".to_owned(), |near| format!("there is `{near}`"));
            terminal::complain(&format!("error: there is no module `{name}`; {hint}\n"));
            Exit::Prevented
        }
    }
}

/// What a name of a collection on disk leads to; what is wrong with it is said.
fn of_collections(name: &str) -> Option<String> {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, paint) = terminal::paints(false, &config);
    let mut reader = job::reader(&config, &sources, Map::new());
    // As for a playbook that is in this directory.
    let target = reader.within(Path::new(""), |reader| reader.named_module(name));
    terminal::warn(&reader.take_diagnostics(), &sources, paint);
    let target = target?;
    let full = target.full_name();
    let led = if full == name { String::new() } else { format!("`{name}` leads to `{full}`\n\n") };
    Some(match target {
        Target::BuiltIn(module) => led + &page(module),
        Target::Own(own) => format!("{led}{full}: a module of your own, in {}\n", own.path.display()),
    })
}

fn is_public(module: &Module) -> bool {
    !module.name.starts_with('_')
}

fn public() -> impl Iterator<Item = &'static Module> {
    modules::rows().filter(|module| is_public(module))
}

fn all() -> String {
    let mut rows: Vec<&Module> = public().collect();
    rows.sort_by_key(|module| module.name);
    rows.dedup_by_key(|module| module.name);
    rows.iter().map(|module| format!("{:<28} {}\n", module.name, module.summary)).collect()
}

fn page(module: &Module) -> String {
    let mut out = format!("{}: {}\n", module.full_name(), module.summary);
    for arg in module.args().filter(|arg| !arg.hidden) {
        let _ = write!(out, "\n  {}{}\n      {}\n", arg.name, kind(arg), arg.help);
        if !arg.choices.is_empty() {
            let _ = writeln!(out, "      one of: {}", arg.choices.join(", "));
        }
        if !arg.aliases.is_empty() {
            let _ = writeln!(out, "      also: {}", arg.aliases.join(", "));
        }
    }
    for rule in module.rules {
        let _ = writeln!(out, "\n  {}", said(rule));
    }
    out
}

fn kind(arg: &Arg) -> String {
    let required = if arg.required { ", required" } else { "" };
    let default = arg.default.map_or_else(String::new, |default| format!(", default: {default}"));
    let inert = if arg.inert { ", no effect here" } else { "" };
    format!(" ({}{required}{default}{inert})", arg.kind.name())
}

fn said(rule: &Rule) -> String {
    match rule {
        Rule::OneOf(names) => format!("one of these is required: {}", names.join(", ")),
        Rule::Exclusive(names) => format!("at most one of these: {}", names.join(", ")),
        Rule::Together(names) => format!("all of these or none: {}", names.join(", ")),
        Rule::If(name, value, names) => format!("with {name}={value} these are required: {}", names.join(", ")),
    }
}

fn keywords() -> String {
    KEYWORDS.iter().map(|keyword| format!("{:<20} {:<24} {}\n", keyword.name, places(keyword), keyword.help)).collect()
}

fn places(keyword: &Keyword) -> String {
    let places = [(keyword::PLAY, "play"), (keyword::ROLE, "role"), (keyword::BLOCK, "block"), (keyword::TASK, "task")];
    let names: Vec<&str> = places.iter().filter(|(place, _)| keyword.at & place != 0).map(|(_, name)| *name).collect();
    names.join(" ")
}
