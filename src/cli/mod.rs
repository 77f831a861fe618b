//! The door: argv → what was typed → a resolved [`crate::engine::Job`], and what comes of it → an exit code.
//!
//! Main type: [`args::Invocation`], what was typed. One file a subcommand; `run.rs` is the form without one. Settings come from the
//! command line, the environment and `ansible.cfg`, in this order ([`config`]). Before a run starts, everything is read and
//! checked, and all that is wrong is shown at once ([`job`], [`check`]): nothing is sent to any host until there is nothing left to
//! say. Only this room and `report` print; only `main` exits. Secrets are read from a terminal or a file, never from argv.
//!
//! Start reading at [`main`], then `run.rs`.

mod args;
mod check;
mod completions;
mod config;
mod configuration;
mod constants;
mod doc;
mod doctor;
mod exec;
mod exit;
mod extra;
mod galaxy;
mod history;
mod identity;
mod inventory;
mod job;
mod lab;
mod lint;
mod list;
mod named;
mod password;
mod plan;
mod prompt;
mod rehearse;
mod resume;
mod run;
mod schema;
mod secrets;
mod signals;
mod status;
mod surveyor;
mod terminal;
mod vault;
mod wish;

use args::{Command, Invocation, PlaybookInvocation};
use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use exit::Exit;
use named::Called;
use std::io::Write;
use std::process::ExitCode;

/// Everything from argv to the exit code.
pub fn main() -> ExitCode {
    own_up();
    let called = Called::of(std::env::args_os().collect());
    if let Some(problem) = called.name.and_then(|_| named::locale_problem(|name| std::env::var(name).ok())) {
        terminal::complain(&format!("ERROR: {problem}\n"));
        return Exit::Prevented.into();
    }
    if called.asks_version() {
        let config = config::Config::of_process(&crate::diag::Sources::default());
        terminal::print(&named::version(called.name.unwrap_or_default(), config.file.as_deref()));
        return Exit::Done.into();
    }
    if called.words.len() < 2 {
        terminal::complain(&Invocation::command().render_help().to_string());
        return Exit::Usage.into();
    }
    match parsed(&called) {
        Ok(invocation) => dispatch(invocation).into(),
        Err(error) => shown(&error).into(),
    }
}

fn parsed(called: &Called) -> Result<Invocation, clap::Error> {
    if called.is_playbook() {
        return PlaybookInvocation::try_parse_from(&called.words).map(|typed| Invocation { command: None, run: typed.run });
    }
    Invocation::command().try_get_matches_from(&called.words).and_then(|matches| Invocation::from_arg_matches(&matches))
}

/// A panic is a bug, and says so with an exit code of its own.
fn own_up() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        terminal::complain("this is a bug of `roll`; what it was doing on the hosts may be half done\n");
        #[expect(clippy::exit, reason = "no caller is left that could hand the code on")]
        std::process::exit(Exit::Bug.code().into());
    }));
}

fn dispatch(invocation: Invocation) -> Exit {
    match invocation.command {
        None => run::run(&invocation.run),
        Some(Command::Rehearse(args)) => rehearse::run(&args),
        Some(Command::Lab(args)) => lab::run(&args),
        Some(Command::Exec(args)) => exec::run(&args),
        Some(Command::Status(args)) => status::run(&args),
        Some(Command::History(args)) => history::run(&args),
        Some(Command::Plan(args)) => plan::run(&args),
        Some(Command::Apply(args)) => plan::apply(&args),
        Some(Command::Resume(args)) => resume::resume(&args),
        Some(Command::Rollback(args)) => resume::rollback(&args),
        Some(Command::Pause(args)) => wish::pause(&args),
        Some(Command::Continue(args)) => wish::go_on(&args),
        Some(Command::Inventory(args)) => inventory::run(&args),
        Some(Command::Doc(args)) => doc::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Lint(args)) => lint::run(&args),
        Some(Command::Config(args)) => configuration::run(&args),
        Some(Command::Galaxy(args)) => galaxy::run(&args),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::Schema) => schema::run(),
        Some(Command::Man) => completions::man(),
        Some(Command::Vault(command)) => vault::run(&command),
    }
}

/// Help and the version are answers, not errors.
fn shown(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        let _ = error.print();
        return Exit::Usage;
    }
    let _ = write!(std::io::stdout(), "{}", error.render());
    Exit::Done
}
