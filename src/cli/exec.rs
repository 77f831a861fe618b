//! `roll exec PATTERN -m MODULE -a ARGS`: one task, without a playbook.

use super::args::{ExecArgs, RunArgs};
use super::config::Config;
use super::exit::Exit;
use super::job::{self, Draft, Text};
use super::{run, terminal};
use crate::diag::{Diagnostic, Sources};
use crate::value::{Map, Value};
use std::path::Path;

/// What the text that stands for a playbook is called in diagnostics.
const NAME: &str = "-a";

pub(super) fn run(args: &ExecArgs) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, error_paint) = terminal::paints(args.output.no_color, &config);
    let typed = as_run(args, &config);
    let name = args.playbook_dir.as_deref().unwrap_or(Path::new("")).join(NAME);
    let text = Text { name: name.to_string_lossy().into_owned(), text: playbook(args) };
    let Draft { job, diagnostics } = job::draft_of(&typed, Some(&text), &config, &sources);
    if diagnostics.iter().any(Diagnostic::is_error) {
        terminal::explain(&diagnostics, &sources, error_paint, run::NOTHING_SENT);
        return Exit::Refuted;
    }
    terminal::warn(&diagnostics, &sources, error_paint);
    if args.list_hosts {
        let selection = job.inventory.select_within(&args.pattern, crate::diag::Span::NOWHERE, job.options.limit.as_deref());
        let lines: String = selection.hosts.iter().map(|host| format!("    {host}\n")).collect();
        terminal::print(&format!("  hosts ({}):\n{lines}", selection.hosts.len()));
        return Exit::Done;
    }
    run::carry_out(&typed, &config, &sources, job)
}

/// The same flags as for a run.
fn as_run(args: &ExecArgs, config: &Config) -> RunArgs {
    let mut output = args.output.clone();
    let is_one_line = args.one_line || config.text("stdout_callback") == Some("oneline");
    let form = if is_one_line { "oneline" } else { "minimal" };
    output.output.get_or_insert_with(|| form.to_owned());
    RunArgs {
        inventory: args.inventory.clone(),
        limit: args.limit.clone(),
        extra_vars: args.extra_vars.clone(),
        check: args.check,
        diff: args.diff,
        forks: args.forks,
        module_path: args.module_path.clone(),
        flush_cache: args.flush_cache,
        verbose: args.verbose,
        connection: args.connection.clone(),
        escalation: args.escalation.clone(),
        vault: args.vault.clone(),
        output,
        ..RunArgs::default()
    }
}

/// A playbook of one play with one task, as JSON, which is YAML too.
fn playbook(args: &ExecArgs) -> String {
    let module = args.module_name.as_str();
    let given = args.args.trim();
    let action: Value = match Value::from_json(given).ok().filter(|value| value.as_map().is_some()) {
        Some(Value::Map(map)) => {
            let mut map = Map::clone(&map);
            map.insert("module".into(), module.into());
            Value::map(map)
        }
        _ => format!("{module} {}", args.args).trim_end().into(),
    };
    let mut task = Map::from_iter([("action".into(), action)]);
    for (name, number) in
        [("async", args.background), ("poll", args.poll.filter(|_| args.background.is_some())), ("timeout", args.task_timeout)]
    {
        if let Some(number) = number {
            task.insert(name.into(), i64::try_from(number).unwrap_or(i64::MAX).into());
        }
    }
    let play: Value = [
        ("name", Value::from("Ansible Ad-Hoc")),
        ("hosts", args.pattern.as_str().into()),
        ("gather_facts", false.into()),
        ("tasks", Value::list(vec![Value::map(task)])),
    ]
    .into_iter()
    .collect();
    Value::list(vec![play]).to_json()
}
