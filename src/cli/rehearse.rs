//! `roll rehearse`: a playbook on disposable machines, under load.

use super::args::RehearseArgs;
use super::exit::Exit;
use super::{lab, terminal};
use crate::engine::Ending;
use crate::lab::{LabError, LabId, Plan, Report, Rollout, Spec, rehearse};
use std::fmt::Write as _;

pub(super) fn run(args: &RehearseArgs) -> Exit {
    if !args.playbook.is_file() {
        terminal::complain(&format!("error: there is no playbook `{}`\n", args.playbook.display()));
        return Exit::Refuted;
    }
    lab::attempt(rehearsal(args))
}

async fn rehearsal(args: &RehearseArgs) -> Result<Exit, LabError> {
    let voice = lab::voice();
    let spec = Spec { hosts: usize::from(args.hosts), balancer: args.balancer.balancer(), ..Spec::new(LabId::fresh()?) };
    let mut plan = Plan::new(args.playbook.clone(), spec.request_seconds_max)?;
    plan.arguments.clone_from(&args.arguments);
    plan.variables.extend(args.extra_vars.iter().cloned());
    if let Some(rate) = args.rate {
        plan.requests_per_second = rate;
    }
    let id = spec.id.clone();
    let keep = args.keep;
    let report = lab::on_lab(spec, keep, &voice, async |lab| {
        let report = rehearse(lab, &plan, &voice).await;
        if keep {
            terminal::complain(&format!("\n{}", lab::usage(lab)));
        }
        report
    });
    let Some(report) = report.await? else {
        terminal::complain(&format!("interrupted; lab {id} is gone\n"));
        return Ok(Exit::Ended(Ending::Stopped));
    };
    let is_json = args.output.as_deref() == Some("json");
    terminal::print(&if is_json { json(&report) } else { words(&report) });
    Ok(if report.is_passed() { Exit::Done } else { Exit::Ended(Ending::Failed) })
}

fn json(report: &Report) -> String {
    serde_json::to_string(report).unwrap_or_default() + "\n"
}

fn words(report: &Report) -> String {
    let mut out = String::from("\nREHEARSAL\n");
    let requests = &report.requests;
    let _ = writeln!(
        out,
        "  requests        {} sent, {} failed ({} slow ones among them)",
        requests.sent, requests.failed, requests.slow
    );
    let _ = writeln!(out, "  answered in     p50 {:.1} ms, p99 {:.1} ms", requests.p50_ms, requests.p99_ms);
    if let Some(fewest) = report.fewest_live {
        let _ = writeln!(out, "  live targets    never fewer than {fewest} of {}", report.hosts);
    }
    for rollout in &report.rollouts {
        out.push_str(&one(rollout));
    }
    let _ = writeln!(out, "  in all          {:.0} s", report.seconds);
    for example in &requests.examples {
        let _ = writeln!(out, "  lost            at {:.1} s: {} {}", example.at_seconds, example.path, example.detail);
    }
    for complaint in &report.complaints {
        let _ = writeln!(out, "  wrong           {complaint}");
    }
    let verdict =
        if report.is_passed() { "passed: no request was lost, and the broken release was reverted" } else { "not passed" };
    let _ = writeln!(out, "  {verdict}");
    out
}

fn one(rollout: &Rollout) -> String {
    let exit = rollout.exit.map_or_else(|| "a signal".to_owned(), |exit| format!("exit {exit}"));
    let nodes: Vec<String> = rollout.nodes.iter().map(|node| format!("{} {:.1} s", node.name, node.seconds)).collect();
    let nodes = if nodes.is_empty() { String::new() } else { format!("; out of rotation: {}", nodes.join(", ")) };
    format!("  {:<15} {:.0} s, {exit}{nodes}\n", rollout.release, rollout.seconds)
}
