//! `--list-hosts`, `--list-tasks`, `--list-tags`, `--syntax-check`: what a run would be about.

use super::args::RunArgs;
use super::job;
use crate::engine::{Job, Playbook, Selection};
use crate::inventory::Inventory;
use crate::playbook::task::texts;
use crate::playbook::{Item, Play};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The answer, or none where a real run is wanted.
pub(super) fn listing(args: &RunArgs, job: &Job) -> Option<String> {
    if !(args.list_hosts || args.list_tasks || args.list_tags || args.syntax_check) {
        return None;
    }
    let mut out = String::new();
    for playbook in &job.playbooks {
        let _ = writeln!(out, "\nplaybook: {}", playbook.path.display());
        if !args.syntax_check {
            plays(args, job, playbook, &mut out);
        }
    }
    Some(out)
}

fn plays(args: &RunArgs, job: &Job, playbook: &Playbook, out: &mut String) {
    for (index, play) in playbook.plays.iter().enumerate() {
        let said = |keyword: &str| play.context.keywords.get(keyword).map(|written| job::of_play(job, play, &written.value));
        let patterns = said("hosts").map(|hosts| texts(&hosts)).unwrap_or_default();
        let pattern = patterns.join(",");
        let name = said("name").map_or_else(|| pattern.clone(), |name| name.to_text().to_string());
        let tags = play.context.tags().join(", ");
        let _ = writeln!(out, "\n  play #{} ({pattern}): {name}\tTAGS: [{tags}]", index + 1);
        if args.list_hosts {
            hosts(&job.inventory, &patterns, job.options.limit.as_deref(), out);
        }
        // Asked for all tags, not even `never` leaves anything out.
        let selection = &job.options.selection;
        let tasks = tasks(play, (!args.list_tags || !selection.only.is_empty()).then_some(selection));
        if args.list_tasks {
            let _ = writeln!(out, "    tasks:");
            for (title, tags) in &tasks {
                let _ = writeln!(out, "      {title}\tTAGS: [{}]", tags.join(", "));
            }
        }
        if args.list_tags {
            let all: BTreeSet<&String> = tasks.iter().flat_map(|(_, tags)| tags).collect();
            let all: Vec<&str> = all.into_iter().map(String::as_str).collect();
            let _ = writeln!(out, "      TASK TAGS: [{}]", all.join(", "));
        }
    }
}

fn hosts(inventory: &Inventory, patterns: &[String], limit: Option<&str>, out: &mut String) {
    let selection = inventory.select_within(&patterns.join(","), crate::diag::Span::NOWHERE, limit);
    let quoted: Vec<String> = patterns.iter().map(|pattern| format!("'{pattern}'")).collect();
    let _ = writeln!(out, "    pattern: [{}]\n    hosts ({}):", quoted.join(", "), selection.hosts.len());
    for host in &selection.hosts {
        let _ = writeln!(out, "      {host}");
    }
}

/// Titles and tags of the tasks that would run if nothing fails.
fn tasks(play: &Play, selection: Option<&Selection>) -> Vec<(String, Vec<String>)> {
    let roles = play.roles.iter().flat_map(|used| &used.items);
    let mut found = Vec::new();
    for item in play.pre_tasks.iter().chain(roles).chain(&play.tasks).chain(&play.post_tasks) {
        collect(item, selection, &mut found);
    }
    found
}

fn collect(item: &Item, selection: Option<&Selection>, found: &mut Vec<(String, Vec<String>)>) {
    match item {
        Item::Task(task) => {
            let tags = task.context.tags();
            if selection.is_none_or(|selection| selection.wants(&tags)) {
                // Without a name, its role is not named either.
                let title = if task.name().is_some() { task.title() } else { task.action.name.clone() };
                found.push((title, tags));
            }
        }
        Item::Block(block) => block.body.iter().for_each(|item| collect(item, selection, found)),
    }
}
