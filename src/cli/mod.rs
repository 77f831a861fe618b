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
mod config;
mod doc;
mod doctor;
mod exit;
mod extra;
mod inventory;
mod job;
mod lab;
mod list;
mod password;
mod prompt;
mod rehearse;
mod run;
mod secrets;
mod signals;
mod terminal;
mod vault;

use args::{Command, Invocation};
use clap::{CommandFactory as _, FromArgMatches as _};
use exit::Exit;
use std::io::Write;
use std::process::ExitCode;

/// Everything from argv to the exit code.
pub fn main() -> ExitCode {
    own_up();
    let words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if words.len() < 2 {
        terminal::complain(&Invocation::command().render_help().to_string());
        return Exit::Usage.into();
    }
    match Invocation::command().try_get_matches_from(words).and_then(|matches| Invocation::from_arg_matches(&matches)) {
        Ok(invocation) => dispatch(invocation).into(),
        Err(error) => shown(&error).into(),
    }
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
        Some(Command::Inventory(args)) => inventory::run(&args),
        Some(Command::Doc(args)) => doc::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
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
