//! `roll completions SHELL` and `roll man`: read off the table of arguments.

use super::args::{CompletionsArgs, Invocation, Shell};
use super::exit::Exit;
use super::terminal;
use clap::{Arg, Command, CommandFactory as _};
use std::fmt::Write as _;

/// One command with what may follow it.
struct Words {
    /// Subcommands down to it, such as `vault edit`.
    path: Vec<String>,
    flags: Vec<Flag>,
    commands: Vec<(String, String)>,
}

struct Flag {
    long: Option<String>,
    short: Option<char>,
    help: String,
}

pub(super) fn run(args: &CompletionsArgs) -> Exit {
    let words = all();
    terminal::print(&match args.shell {
        Shell::Bash => bash(&words),
        Shell::Fish => fish(&words),
        Shell::Zsh => zsh(&words),
    });
    Exit::Done
}

fn all() -> Vec<Words> {
    let mut found = Vec::new();
    add(&Invocation::command(), &mut Vec::new(), &mut found);
    found
}

fn add(command: &Command, path: &mut Vec<String>, found: &mut Vec<Words>) {
    let shown = |arg: &&Arg| !arg.is_hide_set() && !arg.is_positional();
    let flags = command.get_arguments().filter(shown).map(|arg| Flag {
        long: arg.get_long().map(str::to_owned),
        short: arg.get_short(),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
    });
    let visible: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    found.push(Words {
        path: path.clone(),
        flags: flags.collect(),
        commands: visible.iter().map(|command| (command.get_name().to_owned(), about(command))).collect(),
    });
    for inner in visible {
        path.push(inner.get_name().to_owned());
        add(inner, path, found);
        path.pop();
    }
}

impl Words {
    fn all(&self) -> String {
        let mut words: Vec<String> = self.commands.iter().map(|(name, _)| name.clone()).collect();
        for flag in &self.flags {
            words.extend(flag.long.iter().map(|long| format!("--{long}")));
            words.extend(flag.short.iter().map(|short| format!("-{short}")));
        }
        words.join(" ")
    }
}

/// Bash and zsh look at the words so far; files are completed where no word fits.
fn bash(words: &[Words]) -> String {
    let mut cases = String::new();
    for one in words.iter().rev() {
        let pattern = if one.path.is_empty() { "*".to_owned() } else { format!("\"{} \"*", one.path.join(" ")) };
        let _ = writeln!(cases, "        {pattern}) words=\"{}\" ;;", one.all());
    }
    format!(
        "_roll() {{\n    local word=\"${{COMP_WORDS[COMP_CWORD]}}\" line words\n    line=\"${{COMP_WORDS[*]:1:COMP_CWORD-1}} \"\n    \
         case \"$line\" in\n{cases}    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\") $(compgen -f -- \"$word\"))\n}}\n\
         complete -o filenames -F _roll roll\n"
    )
}

fn zsh(words: &[Words]) -> String {
    format!("#compdef roll\nautoload -U +X bashcompinit && bashcompinit\n{}", bash(words))
}

fn fish(words: &[Words]) -> String {
    let mut out = String::new();
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    for one in words {
        let condition = match one.path.split_last() {
            None => "__fish_use_subcommand".to_owned(),
            Some((last, _)) => format!("__fish_seen_subcommand_from {last}"),
        };
        for (name, about) in &one.commands {
            let _ = writeln!(out, "complete -c roll -n {} -a {name} -d {}", quoted(&condition), quoted(about));
        }
        for flag in &one.flags {
            let long = flag.long.as_ref().map(|long| format!(" -l {long}")).unwrap_or_default();
            let short = flag.short.map(|short| format!(" -s {short}")).unwrap_or_default();
            let _ = writeln!(out, "complete -c roll -n {}{long}{short} -d {}", quoted(&condition), quoted(&flag.help));
        }
    }
    out
}

/// The manual page, in roff.
pub(super) fn man() -> Exit {
    let command = Invocation::command();
    let mut out = format!(".TH ROLL 1 \"\" \"roll {}\"\n.SH NAME\nroll \\- ", env!("CARGO_PKG_VERSION"));
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(out, "{}", roff(&about));
    out.push_str(".SH SYNOPSIS\n.B roll\n[options] \\-i INVENTORY PLAYBOOK...\n.br\n.B roll\nCOMMAND ...\n");
    for one in all() {
        let title = if one.path.is_empty() { "OPTIONS".to_owned() } else { format!("roll {}", one.path.join(" ")) };
        let _ = writeln!(out, ".SH {}", roff(&title.to_uppercase()));
        for flag in &one.flags {
            let short = flag.short.map(|short| format!("-{short}"));
            let long = flag.long.as_ref().map(|long| format!("--{long}"));
            let names: Vec<String> = short.into_iter().chain(long).map(|name| roff(&name)).collect();
            let _ = writeln!(out, ".TP\n.B {}\n{}", names.join(", "), roff(&flag.help));
        }
        for (name, about) in &one.commands {
            let _ = writeln!(out, ".TP\n.B {}\n{}", roff(name), roff(about));
        }
    }
    out.push_str(
        ".SH EXIT STATUS\n0 done, 1 prevented, 2 a host failed, 4 a host was unreachable or errors were found before the run, 8 stopped, \
         10 to 15 endings of a rollout, 255 a bug\n",
    );
    terminal::print(&out);
    Exit::Done
}

fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
