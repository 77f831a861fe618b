//! `roll plan`: what a run would do. `roll apply`: exactly that, or nothing.

use super::args::{ApplyArgs, Invocation, PlanArgs, RunArgs};
use super::config::Config;
use super::exit::Exit;
use super::surveyor::{self, Looking, image_of, is_running, moment, release_of, since, word};
use super::{identity, job, run, terminal};
use crate::diag::{Diagnostic, Sources};
use crate::engine::{Ending, HostSurvey, Survey};
use clap::Parser as _;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// A plan as a file. Only its owner reads it: the arguments may hold what others should not see.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    version: u32,
    who: String,
    from: String,
    /// Seconds since 1970.
    at: u64,
    directory: PathBuf,
    arguments: Vec<String>,
    rollouts: Vec<Rollout>,
}

/// One rollout, with all that must not have changed when it is applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rollout {
    app: String,
    release: String,
    balancer: String,
    floor: usize,
    batches: Vec<Vec<String>>,
    hosts: Vec<Host>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Host {
    host: String,
    /// Null where the app does not run.
    release: Option<String>,
    image: Option<String>,
    container: Option<String>,
    is_serving: Option<bool>,
    changes: bool,
}

pub(super) fn run(args: &PlanArgs) -> Exit {
    let looking = match Looking::begin(&args.run, true) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    let surveys = looking.look(0);
    let rollouts: Vec<Rollout> = surveys.iter().map(Rollout::of).collect();
    if surveyor::is_json(&args.run) {
        terminal::print(&(serde_json::to_string(&rollouts).unwrap_or_default() + "\n"));
    } else {
        let texts: Vec<String> = surveys.iter().zip(&rollouts).map(|(survey, rollout)| text(survey, rollout)).collect();
        terminal::print(&texts.join("\n"));
    }
    let mut news = surveyor::bad_news(&surveys);
    news.extend(ports_taken(&surveys, &rollouts));
    looking.explain(&news);
    let verdict = surveyor::verdict(&surveys);
    if verdict != Exit::Ended(Ending::Done) && !args.run.skip_dead {
        return looking.end(verdict);
    }
    let has_changes = rollouts.iter().any(Rollout::has_changes);
    if let Some(file) = &args.out {
        if let Err(error) = write(file, rollouts) {
            let title = format!("the plan cannot be written to `{}`: {error}", file.display());
            looking.explain(&[Diagnostic::error("plan-unwritable", title)]);
            return looking.end(Exit::Prevented);
        }
        if has_changes && !surveyor::is_json(&args.run) {
            terminal::print(&format!("\nnext: `roll apply {}`\n", file.display()));
        }
    }
    looking.end(if args.exit_code && has_changes { Exit::Changes } else { Exit::Done })
}

/// What a run would refuse to begin for.
fn ports_taken<'a>(surveys: &'a [Survey], rollouts: &'a [Rollout]) -> impl Iterator<Item = Diagnostic> + 'a {
    let hosts = surveys.iter().zip(rollouts).flat_map(|(survey, rollout)| survey.hosts.iter().zip(&rollout.hosts));
    let changing = hosts.filter(|(_, host)| host.changes);
    changing.filter_map(|(survey, _)| Some(Diagnostic::error("port-taken", survey.port_taken.clone()?)))
}

impl Rollout {
    fn of(survey: &Survey) -> Rollout {
        let release = survey.release.clone().unwrap_or_default();
        Rollout {
            app: survey.app.clone(),
            balancer: survey.balancer.clone(),
            floor: survey.floor,
            batches: survey.batches.clone(),
            hosts: survey.hosts.iter().map(|host| Host::of(host, &release)).collect(),
            release,
        }
    }

    fn has_changes(&self) -> bool {
        self.hosts.iter().any(|host| host.changes)
    }
}

impl Host {
    fn of(survey: &HostSurvey, release: &str) -> Host {
        let found = survey.found.as_ref().ok();
        let running = found.filter(|found| is_running(found)).and_then(release_of);
        let phase = found.and_then(|found| word(found, &["state", "phase"]));
        let is_settled = phase.is_none_or(|phase| matches!(phase.as_str(), "Done" | "Reverted"));
        Host {
            host: survey.host.clone(),
            changes: running.as_deref() != Some(release) || !is_settled,
            release: running,
            image: found.and_then(image_of),
            container: found.and_then(|found| word(found, &["current", "id"])),
            is_serving: survey.target.as_ref().map(|target| target.is_serving),
        }
    }

    fn shown(&self) -> String {
        let release = self.release.as_deref().unwrap_or("nothing");
        let image = self.image.as_ref().map(|image| format!(" ({image})")).unwrap_or_default();
        let serving = match self.is_serving {
            Some(true) => ", serving",
            Some(false) => ", not serving",
            None => "",
        };
        format!("{release}{image}{serving}")
    }
}

fn text(survey: &Survey, rollout: &Rollout) -> String {
    let mut out = String::new();
    let (all, changing) = (rollout.hosts.len(), rollout.hosts.iter().filter(|host| host.changes).count());
    if changing == 0 {
        let _ = writeln!(out, "{}: nothing to do, all {all} hosts run release {}", rollout.app, rollout.release);
        return out;
    }
    let _ = writeln!(out, "{}: release {} for {changing} of {all} hosts", rollout.app, rollout.release);
    let mut rows = vec![["host", "runs now", "up", "balancer", "will run"].map(str::to_owned).to_vec()];
    for (host, survey) in rollout.hosts.iter().zip(&survey.hosts) {
        let found = survey.found.as_ref().ok();
        let started = found.filter(|found| is_running(found)).and_then(|found| word(found, &["current", "started_at"]));
        let up = started.and_then(|text| moment(&text)).map_or_else(|| "-".to_owned(), since);
        let image = host.image.as_ref().map(|image| format!(" ({image})")).unwrap_or_default();
        let now = format!("{}{image}", host.release.as_deref().unwrap_or("-"));
        let state = survey.target.as_ref().map_or_else(|| "-".to_owned(), |target| target.state.clone());
        let then = if host.changes { rollout.release.clone() } else { "the same".to_owned() };
        let port = survey.next_port.filter(|_| host.changes).map(|port| format!(" on {port}")).unwrap_or_default();
        let then = then + &port;
        rows.push(vec![host.host.clone(), now, up, state, then]);
    }
    out += &surveyor::columns(&rows);
    out += &arithmetic(survey);
    out
}

/// The order, the floor, and the time.
fn arithmetic(survey: &Survey) -> String {
    let order: Vec<String> = survey.batches.iter().map(|batch| batch.join(", ")).collect();
    let largest = survey.batches.iter().map(Vec::len).max().unwrap_or(0);
    let targets = survey.hosts.iter().filter_map(|host| host.target.as_ref()).chain(&survey.others);
    let serving = targets.filter(|target| target.is_serving).count();
    let left = serving.saturating_sub(largest);
    let floor = match (survey.balancer.as_str(), left >= survey.floor) {
        _ if survey.is_start_first => format!(
            "{serving} serve now, and never fewer: each new container starts beside the old one, which leaves once the new one serves"
        ),
        ("none", _) => "no balancer, no floor".to_owned(),
        (_, true) => format!(
            "{serving} serve now, at most {largest} out at a time: never fewer than {left}, and {} are needed",
            survey.floor
        ),
        (_, false) => format!(
            "{serving} serve now, {largest} out would leave {left}, and {} are needed: hosts that serve wait until more do",
            survey.floor
        ),
    };
    let (batches, seconds) = (survey.batches.len(), survey.batch_time.as_secs_f64().ceil());
    format!(
        "  order: {}\n  floor: {floor}\n  time:  at least {batches} × {seconds} s, the play's own tasks not counted\n",
        order.join("; then ")
    )
}

fn write(file: &Path, rollouts: Vec<Rollout>) -> std::io::Result<()> {
    let plan = Plan {
        version: VERSION,
        who: identity::who(),
        from: identity::machine(),
        at: surveyor::now() as u64,
        directory: std::env::current_dir()?,
        arguments: job::typed(),
        rollouts,
    };
    let text = serde_json::to_string_pretty(&plan)? + "\n";
    // What was there may have been open to others.
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = std::fs::File::options().write(true).create_new(true).mode(0o600).open(file)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}

pub(super) fn apply(args: &ApplyArgs) -> Exit {
    let sources = Sources::default();
    let config = Config::of_process(&sources);
    let (_, paint) = terminal::paints(args.no_color, &config);
    let refused = |diagnostic: Diagnostic, exit: Exit| {
        terminal::explain(&[diagnostic], &sources, paint, "nothing was changed on any host");
        exit
    };
    let (plan, run_args) = match read(&args.plan).and_then(|plan| arguments(&plan).map(|run_args| (plan, run_args))) {
        Ok(read) => read,
        Err(diagnostic) => return refused(*diagnostic, Exit::Refuted),
    };
    let looking = match Looking::begin(&run_args, true) {
        Ok(looking) => looking,
        Err(exit) => return exit,
    };
    let surveys = looking.look(0);
    let found: Vec<Rollout> = surveys.iter().map(Rollout::of).collect();
    looking.explain(&surveyor::bad_news(&surveys));
    looking.end(Exit::Done);
    let drift = drift(&plan.rollouts, &found);
    if !drift.is_empty() {
        let mut diagnostic = Diagnostic::error("plan-drift", "what is there is not what was planned for any more");
        for line in drift {
            diagnostic = diagnostic.note(line);
        }
        let again = job::arguments(plan.arguments.iter().cloned());
        let help = format!("plan again and look at it: `roll plan --out {} {again}`", args.plan.display());
        return refused(diagnostic.help(help), Exit::Ended(Ending::Refused));
    }
    if !plan.rollouts.iter().any(Rollout::has_changes) {
        terminal::print("nothing to do: the plan is empty\n");
        return Exit::Done;
    }
    run::run(&run_args)
}

fn read(file: &Path) -> Result<Plan, Box<Diagnostic>> {
    let unreadable = |why: String| {
        Box::new(
            Diagnostic::error("plan-unreadable", format!("`{}` is no plan that can be applied: {why}", file.display()))
                .help("make one with `roll plan --out FILE -i INVENTORY PLAYBOOK`"),
        )
    };
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if plan.version != VERSION {
        return Err(unreadable(format!("it is of version {}, and this `roll` reads version {VERSION}", plan.version)));
    }
    Ok(plan)
}

/// What was typed for the plan, as if it were typed now and there.
fn arguments(plan: &Plan) -> Result<RunArgs, Box<Diagnostic>> {
    let unreadable =
        |why: String| Box::new(Diagnostic::error("plan-unreadable", format!("the plan cannot be applied here: {why}")));
    std::env::set_current_dir(&plan.directory)
        .map_err(|error| unreadable(format!("it was made in `{}`: {error}", plan.directory.display())))?;
    let words = std::iter::once("roll").chain(plan.arguments.iter().map(String::as_str));
    let invocation = Invocation::try_parse_from(words).map_err(|error| unreadable(error.to_string()))?;
    Ok(RunArgs { words: Some(plan.arguments.clone()), ..invocation.run })
}

/// Every difference that matters, in words.
fn drift(planned: &[Rollout], found: &[Rollout]) -> Vec<String> {
    let mut lines = Vec::new();
    if planned.len() != found.len() {
        lines.push(format!("{} rollouts were planned, and there are {}", planned.len(), found.len()));
    }
    for (planned, found) in planned.iter().zip(found) {
        let app = &planned.app;
        for (what, before, now) in [
            ("app", &planned.app, &found.app),
            ("release", &planned.release, &found.release),
            ("balancer", &planned.balancer, &found.balancer),
        ] {
            if before != now {
                lines.push(format!("the {what} was `{before}` and is `{now}`"));
            }
        }
        if planned.batches != found.batches || planned.floor != found.floor {
            lines.push(format!("the order or the floor of `{app}` is another"));
        }
        for host in &planned.hosts {
            match found.hosts.iter().find(|other| other.host == host.host) {
                Some(now) if now == host => {}
                Some(now) => lines.push(format!("`{}` ran {}; now it runs {}", host.host, host.shown(), now.shown())),
                None => lines.push(format!("`{}` is no host of `{app}` any more", host.host)),
            }
        }
        for host in found.hosts.iter().filter(|host| !planned.hosts.iter().any(|other| other.host == host.host)) {
            lines.push(format!("`{}` is a host of `{app}` now", host.host));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(hosts: &[(&str, &str)]) -> Rollout {
        let host = |(name, release): &(&str, &str)| Host {
            host: (*name).into(),
            release: Some((*release).into()),
            image: Some("aabbccddeeff".into()),
            container: Some(format!("c-{release}")),
            is_serving: Some(true),
            changes: *release != "two",
        };
        Rollout {
            app: "shop".into(),
            release: "two".into(),
            balancer: "haproxy".into(),
            floor: 1,
            batches: hosts.iter().map(|(name, _)| vec![(*name).to_owned()]).collect(),
            hosts: hosts.iter().map(host).collect(),
        }
    }

    #[test]
    fn the_same_is_no_drift_and_every_difference_is_named() {
        let planned = [rollout(&[("web1", "one"), ("web2", "one")])];
        assert!(drift(&planned, &planned.clone()).is_empty());
        let mut out = planned[0].clone();
        out.hosts[1].is_serving = Some(false);
        assert_eq!(
            drift(&planned, &[out]),
            ["`web2` ran one (aabbccddeeff), serving; now it runs one (aabbccddeeff), not serving"]
        );
        let other = drift(&planned, &[rollout(&[("web1", "two"), ("web3", "one")])]);
        assert_eq!(other.len(), 4, "{other:#?}");
        assert_eq!(drift(&planned, &[]), ["1 rollouts were planned, and there are 0"]);
    }
}
