//! `roll -i inventory playbook.yaml`.

use super::args::RunArgs;
use super::config::Config;
use super::exit::Exit;
use super::job::{self, Draft};
use super::{list, prompt, signals, terminal};
use crate::diag::{Diagnostic, Sources};
use crate::engine::{self, Job};
use crate::event::{Emitter, Reporter};
use crate::report::{self, JUnit, Paint, ResultFormat, RetryFile, Streams, Style};

pub(super) const NOTHING_SENT: &str = "nothing was sent to any host";

pub(super) fn run(args: &RunArgs) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, error_paint) = terminal::paints(args.output.no_color, &config);
    let Draft { job, diagnostics } = job::draft(args, &config, &sources);
    if diagnostics.iter().any(Diagnostic::is_error) {
        annotate(args, &diagnostics, &sources);
        terminal::explain(&diagnostics, &sources, error_paint, NOTHING_SENT);
        return Exit::Refuted;
    }
    terminal::warn(&diagnostics, &sources, error_paint);
    if let Some(listing) = list::listing(args, &job) {
        terminal::print(&listing);
        // The process ends: nobody needs it taken apart.
        std::mem::forget(job);
        return Exit::Done;
    }
    carry_out(args, &config, &sources, job)
}

/// Asks for what is still missing, and runs.
pub(super) fn carry_out(args: &RunArgs, config: &Config, sources: &Sources, mut job: Job) -> Exit {
    let (paint, error_paint) = terminal::paints(args.output.no_color, config);
    let asked = job::ask_passwords(args, config, &mut job.options).and_then(|()| prompt::ask(&job));
    match asked {
        Ok(answers) => job.options.prompted = answers,
        Err(diagnostic) => {
            terminal::explain(&[diagnostic], sources, error_paint, NOTHING_SENT);
            return Exit::Refuted;
        }
    }
    if job.options.verbosity > 0 && matches!(form(args), "plain" | "github") {
        let file = config.file.as_ref().map_or_else(
            || "No config file found; using defaults".to_owned(),
            |file| format!("Using {} as config file", file.display()),
        );
        terminal::print(&format!("{file}\n"));
    }
    let mut reporters = reporters(args, config, &job, [paint, error_paint]);
    // Before the others, because it says what it has to say before the recap.
    reporters.splice(0..0, retry_file(args, config));
    drive(job, reporters)
}

fn drive(job: Job, reporters: Vec<Box<dyn Reporter>>) -> Exit {
    let runtime = match signals::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::complain(&format!("error: no workers could be started: {error}\n"));
            return Exit::Prevented;
        }
    };
    let ending = runtime.block_on(async {
        let signals = signals::receive();
        engine::run(job, Emitter::new(reporters), signals).await
    });
    // A thread may still wait for an answer on standard input.
    runtime.shutdown_background();
    Exit::Ended(ending)
}

fn reporters(args: &RunArgs, config: &Config, job: &Job, [paint, error_paint]: [Paint; 2]) -> Vec<Box<dyn Reporter>> {
    let window = terminal::window();
    let style = Style {
        paint,
        error_paint,
        verbosity: job.options.verbosity,
        hides_skipped: config.bool("display_skipped_hosts") == Some(false),
        hides_ok: config.bool("display_ok_hosts") == Some(false),
        results: if config.wants_yaml() { ResultFormat::Yaml } else { ResultFormat::Json },
        window,
        sources: job.sources.clone(),
    };
    let mut all =
        report::output(form(args)).map(|output| report::reporters(output, style, Streams::standard())).unwrap_or_default();
    if let Some(file) = &args.output.junit {
        all.push(Box::new(JUnit::new(file.clone())));
    }
    all
}

fn retry_file(args: &RunArgs, config: &Config) -> Option<Box<dyn Reporter>> {
    let playbook = args.playbooks.first().filter(|_| config.is("retry_files_enabled"))?;
    let folder = config.path("retry_files_save_path");
    let out: Box<dyn std::io::Write + Send> = match form(args) {
        "plain" | "github" => Box::new(std::io::stdout()),
        _ => Box::new(std::io::sink()),
    };
    Some(Box::new(RetryFile::new(playbook, folder.as_deref(), out)))
}

/// What was asked for; in a GitHub workflow, annotations by themselves.
fn form(args: &RunArgs) -> &str {
    let is_github = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    args.output.output.as_deref().unwrap_or(if is_github { "github" } else { "plain" })
}

fn annotate(args: &RunArgs, found: &[Diagnostic], sources: &Sources) {
    if form(args) == "github" {
        let found = report::diagnostic::distinct(found, sources);
        let lines: String = found.into_iter().map(|diagnostic| report::annotation(diagnostic, sources) + "\n").collect();
        terminal::print(&lines);
    }
}
