//! `roll rehearse`: a playbook on disposable machines, under load.

use super::args::{CrashPoints, RehearseArgs};
use super::exit::Exit;
use super::{lab, terminal};
use crate::engine::Ending;
use crate::lab::{
    FAULTS, Fault, Lab, LabError, LabId, Plan, Points, Report, Rollout, Spec, Voice, crashes, faults, rehearse, soak,
};
use std::fmt::Write as _;

pub(super) fn run(args: &RehearseArgs) -> Exit {
    if !args.playbook.is_file() {
        terminal::complain(&format!("error: there is no playbook `{}`\n", args.playbook.display()));
        return Exit::Refuted;
    }
    if let Err(unknown) = wanted(args) {
        let known: String = FAULTS.iter().map(|(_, name, what)| format!("  {name:<11} {what}\n")).collect();
        terminal::complain(&format!("error: there is no fault `{unknown}`; there are\n{known}"));
        return Exit::Refuted;
    }
    lab::attempt(rehearsal(args))
}

async fn rehearsal(args: &RehearseArgs) -> Result<Exit, LabError> {
    let voice = lab::voice();
    let (hosts, balancer) = (usize::from(args.hosts), args.balancer.balancer());
    let spec = Spec { hosts, balancer, has_second_port: args.balancer.has_second_port(), ..Spec::new(LabId::fresh()?) };
    let mut plan = Plan::new(args.playbook.clone(), spec.request_seconds_max)?;
    plan.arguments.clone_from(&args.arguments);
    plan.variables.extend(args.extra_vars.iter().cloned());
    if !args.breaks.is_empty() {
        plan.break_variables.clone_from(&args.breaks);
    }
    if let Some(rate) = args.rate {
        plan.requests_per_second = rate;
    }
    let id = spec.id.clone();
    let work = async |lab: &Lab| {
        let shown = show(args, lab, &plan, &voice).await;
        if args.keep {
            terminal::complain(&format!("\n{}", lab::usage(lab)));
        }
        shown
    };
    let shown = match &args.lab {
        Some(named) => Some(work(&lab::named(named).await?).await?),
        None => lab::on_lab(spec, args.keep, &voice, work).await?,
    };
    let Some((text, is_passed)) = shown else {
        terminal::complain(&format!("interrupted; lab {id} is gone\n"));
        return Ok(Exit::Ended(Ending::Stopped));
    };
    terminal::print(&text);
    Ok(if is_passed { Exit::Done } else { Exit::Ended(Ending::Failed) })
}

/// What is to be said of it in the end, and whether it was passed.
async fn show(args: &RehearseArgs, lab: &Lab, plan: &Plan, voice: &Voice) -> Result<(String, bool), LabError> {
    let is_json = args.output.as_deref() == Some("json");
    if let Some(points) = args.crashes {
        let points = match points {
            None => Points::All,
            Some(CrashPoints::Count(count)) => Points::Sample { count, seed: args.seed.unwrap_or_else(any_seed) },
            Some(CrashPoints::Part { part, of }) => Points::Part { part, of },
            Some(CrashPoints::Calls { first, last }) => Points::Calls { first, last },
        };
        let matrix = crashes(lab, plan, points, voice).await?;
        return Ok((if is_json { json(&matrix) } else { matrix.to_string() }, matrix.is_passed()));
    }
    if args.faults.is_some() {
        let found = faults(lab, plan, &wanted(args).unwrap_or_default(), voice).await?;
        return Ok((if is_json { json(&found) } else { found.to_string() }, found.is_passed()));
    }
    if let Some(times) = args.soak {
        let soaked = soak(lab, plan, usize::from(times), voice).await?;
        return Ok((if is_json { json(&soaked) } else { soaked.to_string() }, soaked.is_passed()));
    }
    let report = rehearse(lab, plan, voice).await?;
    Ok((if is_json { json(&report) } else { words(&report) }, report.is_passed()))
}

/// The faults that are named; none for all.
fn wanted(args: &RehearseArgs) -> Result<Vec<Fault>, String> {
    let names = args.faults.iter().flatten().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| Fault::named(name).ok_or_else(|| name.to_owned())).collect()
}

fn any_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) % 1_000_000
}

fn json(report: &impl serde::Serialize) -> String {
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
