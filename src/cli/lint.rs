//! `roll lint`: the checks of a run, and warnings about what works but is seldom meant.

use super::args::{LintArgs, RunArgs};
use super::config::Config;
use super::exit::Exit;
use super::job::{self, Draft};
use super::terminal;
use crate::diag::{Diagnostic, Sources};
use crate::playbook::{Item, Play, Task};
use crate::value::Value;
use std::sync::Arc;

/// One habit that is warned about.
struct Habit {
    /// Its code in diagnostics.
    code: &'static str,
    find: fn(&Task) -> Option<Diagnostic>,
}

static HABITS: &[Habit] = &[
    Habit { code: "lint-always-changed", find: always_changed },
    Habit { code: "lint-braces", find: braces },
    Habit { code: "lint-ignored-failure", find: ignored_failure },
    Habit { code: "lint-latest", find: latest },
    Habit { code: "lint-loop-over-text", find: loop_over_text },
    Habit { code: "lint-mode", find: mode },
    Habit { code: "lint-program", find: program },
    Habit { code: "lint-unnamed", find: unnamed },
];

pub(super) fn run(args: &LintArgs) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, paint) = terminal::paints(args.no_color, &config);
    let typed = RunArgs {
        playbooks: args.playbooks.clone(),
        inventory: args.inventory.clone(),
        extra_vars: args.extra_vars.clone(),
        vault: args.vault.clone(),
        ..RunArgs::default()
    };
    let Draft { job, mut diagnostics } = job::draft(&typed, &config, &sources);
    // A lint needs no hosts.
    diagnostics.retain(|found| found.code != "no-inventory");
    for play in job.playbooks.iter().flat_map(|playbook| &playbook.plays) {
        for task in tasks_of(play) {
            diagnostics.extend(
                HABITS
                    .iter()
                    .filter(|habit| !args.skip.iter().any(|skip| skip == habit.code))
                    .filter_map(|habit| (habit.find)(&task)),
            );
        }
    }
    let mut once: Vec<Diagnostic> = Vec::new();
    diagnostics.into_iter().for_each(|found| {
        if !once.contains(&found) {
            once.push(found);
        }
    });
    terminal::explain(&once, &sources, paint, "nothing was run");
    match once.iter().any(Diagnostic::is_error) {
        true => Exit::Refuted,
        false if args.strict && !once.is_empty() => Exit::Prevented,
        false => Exit::Done,
    }
}

fn tasks_of(play: &Play) -> Vec<Arc<Task>> {
    let mut all = Vec::new();
    let roles = play.roles.iter().flat_map(|used| &used.items);
    play.pre_tasks.iter().chain(roles).chain(&play.tasks).chain(&play.post_tasks).for_each(|item| collect(item, &mut all));
    all.extend(play.handlers.iter().cloned());
    all
}

fn collect(item: &Item, all: &mut Vec<Arc<Task>>) {
    match item {
        Item::Task(task) => all.push(task.clone()),
        Item::Block(block) => block.body.iter().chain(&block.rescue).chain(&block.always).for_each(|item| collect(item, all)),
    }
}

fn always_changed(task: &Task) -> Option<Diagnostic> {
    let is_command = matches!(task.module(), "command" | "shell" | "raw" | "script");
    let is_judged = task.own("changed_when").is_some() || ["creates", "removes"].iter().any(|name| task.args.contains_key(*name));
    (is_command && !is_judged && !task.is_handler).then(|| {
        Diagnostic::warning("lint-always-changed", format!("`{}` reports a change at every run", task.action.name))
            .at(task.action.span, "nothing says when it changes something")
            .help("say so with `changed_when`, or let it depend on a file with `creates`")
    })
}

fn braces(task: &Task) -> Option<Diagnostic> {
    ["when", "changed_when", "failed_when", "until"].iter().find_map(|name| {
        let written = task.own(name)?;
        let is_braced = |value: &Value| matches!(value, Value::Template(template) if template.text.contains("{{"));
        let has_braces = written.value.as_list().map_or_else(|| is_braced(&written.value), |items| items.iter().any(is_braced));
        has_braces.then(|| {
            Diagnostic::warning("lint-braces", format!("`{name}` is an expression already"))
                .at(written.span, "braces in a condition")
                .help("leave out `{{` and `}}`")
        })
    })
}

fn loop_over_text(task: &Task) -> Option<Diagnostic> {
    let (kind, written) = task.with.as_ref()?;
    let text = written.value.as_str().filter(|_| matches!(kind.as_str(), "items" | "list" | "flattened" | "dict"))?;
    Some(
        Diagnostic::warning("lint-loop-over-text", format!("`with_{kind}` loops over the text `{text}`"))
            .at(written.span, "not the variable of that name")
            .help(format!("write `\"{{{{ {text} }}}}\"` for the variable")),
    )
}

/// Programs that a module stands for.
const PROGRAMS: &[(&str, &str)] = &[
    ("apt", "apt"),
    ("apt-get", "apt"),
    ("chmod", "file"),
    ("chown", "file"),
    ("git", "git"),
    ("ln", "file"),
    ("mkdir", "file"),
    ("mount", "mount"),
    ("rm", "file"),
    ("rsync", "synchronize"),
    ("service", "service"),
    ("sysctl", "sysctl"),
    ("systemctl", "systemd"),
    ("tar", "unarchive"),
    ("touch", "file"),
    ("unzip", "unarchive"),
    ("useradd", "user"),
    ("wget", "get_url"),
];

/// Only where the program is all that runs, and nothing reads what it says.
fn program(task: &Task) -> Option<Diagnostic> {
    let is_command = matches!(task.module(), "command" | "shell") && task.own("register").is_none();
    let line = ["_raw_params", "cmd"].iter().find_map(|name| task.args.get(*name)).filter(|_| is_command)?.to_text();
    if line.contains(['|', '&', ';', '>', '<', '$', '`']) {
        return None;
    }
    let word = line.split_whitespace().next()?.rsplit('/').next()?;
    let (_, module) = PROGRAMS.iter().find(|(program, _)| *program == word)?;
    Some(
        Diagnostic::warning("lint-program", format!("`{word}` runs at every run, whatever there is to do"))
            .at(task.action.span, "a program that a module stands for")
            .help(format!("module `{module}` looks first, and knows `--check`")),
    )
}

fn ignored_failure(task: &Task) -> Option<Diagnostic> {
    let written = task.own("ignore_errors").filter(|written| written.value.to_bool() == Some(true))?;
    task.own("register").is_none().then(|| {
        Diagnostic::warning("lint-ignored-failure", "a failure is ignored, and nobody looks at it")
            .at(written.span, "any failure at all")
            .help("name the failures that are expected with `failed_when`, or look at the result with `register`")
    })
}

fn latest(task: &Task) -> Option<Diagnostic> {
    let is_package = matches!(task.module(), "apt" | "dnf" | "yum" | "package" | "pip" | "npm");
    let state = task.args.get("state").and_then(Value::as_str)?;
    (is_package && state == "latest").then(|| {
        Diagnostic::warning("lint-latest", "`state: latest` installs what is newest on the day of the run")
            .at(task.arg_span("state"), "two runs may give two versions")
            .help("name a version, or use `state: present`")
    })
}

fn mode(task: &Task) -> Option<Diagnostic> {
    let value = task.args.get("mode")?;
    let is_decimal = matches!(value, Value::Int(number) if *number > 0o777 || number.to_string().contains(['8', '9']));
    is_decimal.then(|| {
        Diagnostic::warning("lint-mode", format!("mode `{}` is not read as octal", value.to_text()))
            .at(task.arg_span("mode"), "a number in base 10")
            .help("quote it with a leading zero, such as `\"0644\"`")
    })
}

fn unnamed(task: &Task) -> Option<Diagnostic> {
    let is_silent =
        matches!(task.module(), "meta" | "include_tasks" | "include_role" | "include_vars" | "debug" | "set_fact" | "assert");
    (task.name().is_none() && !is_silent).then(|| {
        Diagnostic::warning("lint-unnamed", "a task without a name").at(task.action.span, "only this is shown in the output")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_are_in_order() {
        assert!(HABITS.is_sorted_by_key(|habit| habit.code));
    }
}
