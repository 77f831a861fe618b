//! `roll lab`: disposable machines, kept for trying things by hand.

use super::args::{BalancerArgs, LabArgs, LabCommand};
use super::config::Config;
use super::exit::Exit;
use super::{signals, terminal};
use crate::diag::{Explain as _, Sources};
use crate::engine::Ending;
use crate::lab::{Double, Engine, Lab, LabError, LabId, Machine, Plan, Progress, Spec, Voice, ask};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) fn run(args: &LabArgs) -> Exit {
    attempt(async {
        match &args.command {
            LabCommand::Up { hosts, balancer } => up(usize::from(*hosts), balancer).await,
            LabCommand::Double { config } => double(config).await,
            LabCommand::Status => status().await,
            LabCommand::Load { id, rate, seconds, output } => {
                let duration_max = Duration::from_secs(*seconds);
                load(id.as_deref(), *rate, duration_max, output.as_deref() == Some("json")).await
            }
            LabCommand::Down { all: true, .. } => down_all().await,
            LabCommand::Down { id, all: false } => down(id.as_deref()).await,
        }
    })
}

/// Runs something of the lab to its end, and explains what stood in the way.
pub(super) fn attempt(work: impl Future<Output = Result<Exit, LabError>>) -> Exit {
    let ended = match signals::runtime() {
        Ok(runtime) => {
            let ended = runtime.block_on(work);
            runtime.shutdown_background();
            ended
        }
        Err(error) => {
            terminal::complain(&format!("error: no workers could be started: {error}\n"));
            return Exit::Prevented;
        }
    };
    ended.unwrap_or_else(|error| {
        complain(&error);
        Exit::Prevented
    })
}

pub(super) fn complain(error: &LabError) {
    let sources = Sources::default();
    let (_, paint) = terminal::paints(false, &Config::default());
    terminal::warn(&[error.explain()], &sources, paint);
}

/// What a lab says on the way, on standard error.
pub(super) fn voice() -> Voice {
    Voice::new(|progress| {
        terminal::complain(&match progress {
            Progress::Step(text) => format!("lab: {text}\n"),
            Progress::Waiting { on, seconds } => format!("waiting: {on} ({seconds} s)\n"),
            Progress::Roll(line) => format!("  | {line}\n"),
        });
    })
}

/// Does `work` on a fresh lab. Ctrl-C and errors take the lab down, and so does the end where nobody wants to keep it.
pub(super) async fn on_lab<T>(
    spec: Spec,
    keep: bool,
    voice: &Voice,
    work: impl AsyncFnOnce(&Lab) -> Result<T, LabError>,
) -> Result<Option<T>, LabError> {
    let mut signals = signals::receive();
    let engine = Engine::find_or_install(voice).await?;
    let id = spec.id.clone();
    let outcome = tokio::select! {
        outcome = async { work(&Lab::up(&engine, &spec, voice).await?).await } => outcome.map(Some),
        Some(_) = signals.recv() => Ok(None),
    };
    if keep && !matches!(outcome, Ok(None)) {
        return outcome;
    }
    voice.step(format!("taking lab `{id}` down"));
    let gone = voice.during("everything of the lab to be gone", Lab::down(&engine, &id)).await;
    let outcome = outcome?;
    gone.map(|()| outcome)
}

/// The lab of this name, which must be up.
pub(super) async fn named(id: &str) -> Result<Lab, LabError> {
    let id: LabId = id.parse()?;
    let all = Lab::list(&Engine::find().await?).await?;
    all.into_iter().find(|lab| lab.id == id).ok_or(LabError::NoLab { id })
}

async fn up(hosts: usize, balancer: &BalancerArgs) -> Result<Exit, LabError> {
    let voice = voice();
    let (has_second_port, balancer) = (balancer.has_second_port(), balancer.balancer());
    let spec = Spec { hosts, balancer, has_second_port, ..Spec::new(LabId::fresh()?) };
    let mut signals = signals::receive();
    let engine = Engine::find_or_install(&voice).await?;
    let made = tokio::select! {
        made = Lab::up(&engine, &spec, &voice) => made.map(Some),
        Some(_) = signals.recv() => Ok(None),
    };
    match made {
        Ok(Some(lab)) => {
            terminal::print(&usage(&lab));
            Ok(Exit::Done)
        }
        Ok(None) => {
            voice.step(format!("taking lab `{}` down", spec.id));
            Lab::down(&engine, &spec.id).await?;
            Ok(Exit::Ended(Ending::Stopped))
        }
        Err(error) => {
            if let Err(left) = Lab::down(&engine, &spec.id).await {
                complain(&left);
            }
            Err(error)
        }
    }
}

/// Says where it listens, and goes on until what it was made for is gone.
async fn double(config: &Path) -> Result<Exit, LabError> {
    let failed = |source: std::io::Error| LabError::File { path: config.to_owned(), source };
    let text = std::fs::read_to_string(config).map_err(failed)?;
    let config = serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
    let double = Double::start(config).await?;
    terminal::print(&format!("{}\n", double.url()));
    double.finish().await;
    Ok(Exit::Done)
}

/// Passed where nothing was lost.
async fn load(id: Option<&str>, rate: u32, duration_max: Duration, is_json: bool) -> Result<Exit, LabError> {
    let lab = match id {
        Some(id) => named(id).await?,
        None => match Lab::only(&Engine::find().await?).await? {
            Some(lab) => lab,
            None => {
                terminal::complain("no lab is up; `roll lab up` makes one\n");
                return Ok(Exit::Refuted);
            }
        },
    };
    let mut plan = Plan::new(PathBuf::new(), 0)?;
    plan.requests_per_second = rate;
    let mut signals = signals::receive();
    let seen = ask(&lab, &plan, duration_max, async {
        let _ = signals.recv().await;
    })
    .await?;
    terminal::print(&if is_json { serde_json::to_string(&seen).unwrap_or_default() + "\n" } else { seen.to_string() });
    Ok(if seen.complaints().is_empty() { Exit::Done } else { Exit::Ended(Ending::Failed) })
}

async fn status() -> Result<Exit, LabError> {
    let labs = Lab::list(&Engine::find().await?).await?;
    let mut out = String::new();
    if labs.is_empty() {
        out.push_str("no lab is up; `roll lab up` makes one\n");
    }
    for lab in &labs {
        let _ = writeln!(out, "lab {} ({})", lab.id, lab.inventory().display());
        for machine in &lab.machines {
            let _ = writeln!(out, "{}", line(machine));
        }
    }
    terminal::print(&out);
    Ok(Exit::Done)
}

fn line(machine: &Machine) -> String {
    let state = if machine.is_running { "running" } else { "stopped" };
    format!("  {:<12} {:<10} {:<16} {state}", machine.name, machine.role.name(), machine.address)
}

async fn down(id: Option<&str>) -> Result<Exit, LabError> {
    let named = id.map(str::parse::<LabId>).transpose()?;
    let engine = Engine::find().await?;
    let id = match named {
        Some(id) => id,
        None => match Lab::only(&engine).await? {
            Some(lab) => lab.id,
            None => {
                terminal::print("no lab is up\n");
                return Ok(Exit::Done);
            }
        },
    };
    take_down(&engine, &id).await
}

async fn down_all() -> Result<Exit, LabError> {
    let engine = Engine::find().await?;
    for lab in Lab::list(&engine).await? {
        take_down(&engine, &lab.id).await?;
    }
    Ok(Exit::Done)
}

async fn take_down(engine: &Engine, id: &LabId) -> Result<Exit, LabError> {
    voice().during("everything of the lab to be gone", Lab::down(engine, id)).await?;
    terminal::print(&format!("lab {id} is gone\n"));
    Ok(Exit::Done)
}

/// How to use a lab that is up.
pub(super) fn usage(lab: &Lab) -> String {
    let environment: String = lab.environment().iter().map(|(name, value)| format!("export {name}={value}\n  ")).collect();
    let words: Vec<String> =
        lab.arguments().iter().map(|word: &OsString| shell_words::quote(&word.to_string_lossy()).into_owned()).collect();
    let front = lab.front_address().map_or_else(String::new, |front| format!("  the balancer   http://{front}/\n"));
    format!(
        "lab {id} is up\n  its inventory  {inventory}\n{front}\nrun a playbook on it:\n  {environment}roll {} PLAYBOOK\nand take it away:\n  roll lab down {id}\n",
        words.join(" "),
        id = lab.id,
        inventory = lab.inventory().display(),
    )
}
