//! `roll doctor`: what the load balancer's settings cost a rollout, and what `rollout:` would add to a play that has none.

mod suggestion;

use super::args::DoctorArgs;
use super::config::Config;
use super::exit::Exit;
use super::job::{self, Draft};
use super::{signals, terminal};
use crate::balancer::Setup;
use crate::balancer::advice::{Advice, Costs, Deployment, Idle};
use crate::diag::{Diagnostic, Sources};
use crate::engine::{self, Ending, Examined};
use crate::event::Emitter;
use crate::report;
use serde_json::json;
use std::fmt::Write as _;
use suggestion::Suggestion;

const NOTHING_SENT: &str = "nothing was sent to any host";

pub(super) fn run(args: &DoctorArgs) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, paint) = terminal::paints(args.run.output.no_color, &config);
    let Draft { mut job, diagnostics } = job::draft(&args.run, &config, &sources);
    if diagnostics.iter().any(Diagnostic::is_error) {
        terminal::explain(&diagnostics, &sources, paint, NOTHING_SENT);
        return Exit::Refuted;
    }
    if let Err(diagnostic) = job::ask_passwords(&args.run, &config, &mut job.options) {
        terminal::explain(&[diagnostic], &sources, paint, NOTHING_SENT);
        return Exit::Refuted;
    }
    let suggestions: Vec<Suggestion> =
        job.playbooks.iter().flat_map(|playbook| &playbook.plays).filter_map(suggestion::of).collect();
    let Ok(runtime) = signals::runtime() else {
        terminal::complain("error: no workers could be started\n");
        return Exit::Prevented;
    };
    let examined = runtime.block_on(engine::examine(job, Emitter::new(Vec::new()), !args.no_app));
    runtime.shutdown_background();
    let trouble: Vec<Diagnostic> = examined.iter().flat_map(|play| play.trouble.clone()).collect();
    let is_json = args.run.output.output.as_deref() == Some("json");
    terminal::print(&if is_json { document(&examined, &suggestions) } else { words(&examined, &suggestions) });
    if !trouble.is_empty() {
        terminal::complain(&report::diagnostic::render(&trouble, &sources, paint.color));
        terminal::complain("\n");
        return Exit::Prevented;
    }
    let costs_requests = examined.iter().flat_map(|play| &play.advice).any(|advice| advice.costs == Costs::Requests);
    if costs_requests { Exit::Ended(Ending::Failed) } else { Exit::Done }
}

fn document(examined: &[Examined], suggestions: &[Suggestion]) -> String {
    let trouble: Vec<_> = examined
        .iter()
        .flat_map(|play| &play.trouble)
        .map(|diagnostic| json!({ "code": diagnostic.code, "title": diagnostic.title, "help": diagnostic.help }))
        .collect();
    json!({ "rollouts": examined, "without_rollout": suggestions, "trouble": trouble }).to_string() + "\n"
}

fn words(examined: &[Examined], suggestions: &[Suggestion]) -> String {
    let mut out = String::new();
    for play in examined.iter().filter(|play| !play.kind.is_empty()) {
        rollout(play, &mut out);
    }
    for suggestion in suggestions {
        let _ = write!(out, "\n{suggestion}");
    }
    if examined.is_empty() && suggestions.is_empty() {
        out.push_str("no play has `rollout:` or works in batches (`serial`): nothing to say\n");
    }
    out.trim_start().to_owned()
}

fn rollout(play: &Examined, out: &mut String) {
    let _ = writeln!(out, "\n{}: {} on {}, behind {}", play.play, play.app, hosts(play.hosts.len()), play.kind);
    for setup in &play.setups {
        let _ = writeln!(out, "  {}", facts(setup));
    }
    if !play.setups.is_empty() {
        let _ = writeln!(out, "  {}", app(&play.deployment));
    }
    for target in &play.targets {
        let zone = target.zone.as_ref().map_or_else(String::new, |zone| format!(" in {zone}"));
        let reason = if target.reason.is_empty() || target.reason == target.state { "" } else { target.reason.as_str() };
        let _ = writeln!(out, "  {:<20} {:<10} {reason}{zone}", target.name, target.state);
    }
    for (costs, title) in [(Costs::Requests, "costs requests"), (Costs::Seconds, "costs seconds")] {
        let found: Vec<&Advice> = play.advice.iter().filter(|advice| advice.costs == costs).collect();
        if found.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n  {title}:");
        for Advice { code, pool, setting, effect, mend, .. } in found {
            let _ = writeln!(out, "  - {pool}: {setting} [{code}]\n      {effect}\n      mend: {mend}");
        }
    }
    if play.advice.is_empty() && play.trouble.is_empty() {
        out.push_str(if play.setups.is_empty() { "  no balancer, nothing to look at\n" } else { "  nothing costs requests\n" });
    }
}

fn hosts(count: usize) -> String {
    if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") }
}

/// What is known of a pool, in one line.
fn facts(setup: &Setup) -> String {
    let mut facts = vec![format!("{} targets", setup.targets)];
    let mut say = |fact: Option<String>| facts.extend(fact);
    say(setup.check.as_ref().filter(|check| check.is_on).map(|check| {
        let path = check.path.as_deref().unwrap_or("a connection");
        format!("checks {path} every {} s", check.interval_seconds)
    }));
    say(setup.drain_seconds.map(|seconds| format!("deregistration delay {seconds} s")));
    say(setup.idle_seconds.map(|seconds| format!("idle timeout {seconds} s")));
    say(setup.answer_seconds.map(|seconds| format!("answers within {seconds} s")));
    say(setup
        .retries
        .filter(|retries| *retries > 0)
        .map(|retries| format!("{retries} retries{}", if setup.redispatches == Some(true) { ", redispatched" } else { "" })));
    say(setup.is_cross_zone.filter(|is_on| !is_on).map(|_| "no cross-zone balancing".to_owned()));
    say(setup.ramp_seconds.filter(|seconds| *seconds > 0.0).map(|seconds| format!("slow start {seconds} s")));
    format!("{}: {}", setup.pool, facts.join(", "))
}

fn app(deployment: &Deployment) -> String {
    let idle = match deployment.idle {
        Idle::Unknown => "how long it keeps idle connections was not seen".to_owned(),
        Idle::NotKept => "it closes every connection after its answer".to_owned(),
        Idle::Seconds(seconds) => format!("it keeps idle connections for {seconds:.0} s"),
        Idle::Over(seconds) => format!("it keeps idle connections for more than {seconds:.0} s"),
    };
    format!("the app: {} s to stop, {idle}", deployment.grace_seconds)
}
