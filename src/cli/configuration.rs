//! `roll config`: which settings there are, what they are set to and by what.

use super::args::ConfigArgs;
use super::config::{Config, Row, Surroundings};
use super::exit::Exit;
use super::terminal;
use crate::diag::{Diagnostic, Sources};
use std::fmt::Write as _;

pub(super) fn run(args: &ConfigArgs) -> Exit {
    let sources = Sources::default();
    let config = match &args.config {
        None => Config::of_process(&sources),
        Some(file) => {
            let named = |name: &str| match name {
                "ANSIBLE_CONFIG" => Some(file.to_string_lossy().into_owned()),
                other => std::env::var(other).ok(),
            };
            Config::read(&sources, &Surroundings { env: &named, home: std::env::home_dir(), system: "/etc/ansible".into() })
        }
    };
    let (_, paint) = terminal::paints(false, &config);
    if config.diagnostics.iter().any(Diagnostic::is_error) {
        terminal::explain(&config.diagnostics, &sources, paint, "");
        return Exit::Refuted;
    }
    terminal::warn(&config.diagnostics, &sources, paint);
    let rows = config.rows();
    match args.what.as_str() {
        "view" => return view(&config),
        "list" => terminal::print(&rows.iter().map(described).collect::<String>()),
        _ => terminal::print(&rows.iter().filter(|row| !args.only_changed || row.found.is_some()).map(set).collect::<String>()),
    }
    Exit::Done
}

fn view(config: &Config) -> Exit {
    let Some(file) = &config.file else {
        terminal::complain(
            "there is no configuration file: ANSIBLE_CONFIG, ansible.cfg, ~/.ansible.cfg, /etc/ansible/ansible.cfg\n",
        );
        return Exit::Prevented;
    };
    match std::fs::read_to_string(file) {
        Ok(text) => terminal::print(&text),
        Err(error) => {
            terminal::complain(&format!("error: cannot read `{}`: {error}\n", file.display()));
            return Exit::Prevented;
        }
    }
    Exit::Done
}

fn described(row: &Row) -> String {
    format!("{}: {} ({})\n", row.setting, row.kind, row.env)
}

fn set(row: &Row) -> String {
    let mut line = row.setting.clone();
    let _ = match &row.found {
        Some((text, by)) => writeln!(line, "({by}) = {text}"),
        None => writeln!(line, "(default)"),
    };
    line
}
