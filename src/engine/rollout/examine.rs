//! What `roll doctor` asks: how the balancers of a playbook's rollouts are set up, and what that costs. Changes nothing anywhere.

use super::fitness;
use super::front::Front;
use super::settings::{self, Settings};
use super::tools;
use crate::actions::Problem;
use crate::balancer::advice::{Advice, Deployment, Idle, advise};
use crate::balancer::{Setup, Target};
use crate::diag::Diagnostic;
use crate::engine::plays::{self, PlayRun};
use crate::engine::{Job, Run};
use crate::event::Emitter;
use crate::value::Value;
use serde::Serialize;
use std::sync::Arc;

/// One play with `rollout:`, examined.
#[derive(Debug, Serialize)]
pub struct Examined {
    pub play: String,
    pub app: String,
    pub kind: String,
    pub hosts: Vec<String>,
    pub targets: Vec<Seen>,
    pub setups: Vec<Setup>,
    pub deployment: Deployment,
    pub advice: Vec<Advice>,
    /// What could not be read.
    #[serde(skip)]
    pub trouble: Vec<Diagnostic>,
}

/// A target, as the balancer shows it.
#[derive(Debug, Serialize)]
pub struct Seen {
    pub name: String,
    pub state: &'static str,
    pub reason: String,
    pub zone: Option<String>,
}

/// Examines every play that has `rollout:`; `asks_app` is whether the app's idle connections are watched.
pub async fn examine(job: Job, emitter: Emitter, asks_app: bool) -> Vec<Examined> {
    emitter.hide(&Value::map(job.options.extra.clone()));
    let run = Arc::new(Run::new(job.options, job.sources, job.inventory, job.reader, job.settings, emitter));
    let mut all = Vec::new();
    for playbook in job.playbooks {
        for play in playbook.plays {
            let is_rollout = play.context.keywords.get("rollout").is_some_and(|written| !written.value.is_null());
            if !is_rollout {
                continue;
            }
            let examined = match plays::prepare(&run, Arc::new(play), &playbook.path) {
                Ok(prepared) => one(&run, &Arc::new(prepared), asks_app).await,
                Err(diagnostic) => Examined::failed(String::new(), *diagnostic),
            };
            all.push(examined);
        }
    }
    run.connections.close().await;
    all
}

impl Examined {
    fn failed(play: String, diagnostic: Diagnostic) -> Examined {
        Examined {
            play,
            app: String::new(),
            kind: String::new(),
            hosts: Vec::new(),
            targets: Vec::new(),
            setups: Vec::new(),
            deployment: Deployment::default(),
            advice: Vec::new(),
            trouble: vec![diagnostic],
        }
    }
}

async fn one(run: &Arc<Run>, play: &Arc<PlayRun>, asks_app: bool) -> Examined {
    let span = play.play.context.keywords.get("rollout").map(|written| written.span).unwrap_or_default();
    let opened = settings::read(run, play).and_then(|settings| Ok((Front::new(run, play, settings.common(), span)?, settings)));
    let (front, settings) = match opened {
        Ok(opened) => opened,
        Err(diagnostic) => return Examined::failed(play.name.clone(), *diagnostic),
    };
    let spec = settings.common();
    let mut trouble = Vec::new();
    let setups = kept(front.setup().await, &mut trouble);
    // Whoever cannot say how it is set up cannot say who its targets are either.
    let targets = if trouble.is_empty() { kept(front.read().await, &mut trouble) } else { Vec::new() };
    let idle = if asks_app { idle(run, play, &settings).await } else { Idle::Unknown };
    let deployment = Deployment { idle, ..fitness::deployment(run, play, spec) };
    Examined {
        play: play.name.clone(),
        app: spec.app.clone(),
        kind: spec.balancer.kind.clone(),
        hosts: play.hosts.clone(),
        targets: targets.into_iter().map(shown).collect(),
        advice: setups.iter().flat_map(|setup| advise(setup, &deployment)).collect(),
        setups,
        deployment,
        trouble,
    }
}

fn shown(target: Target) -> Seen {
    Seen { name: target.name, state: target.state.name(), reason: target.reason, zone: target.zone }
}

fn kept<T>(read: Result<Vec<T>, Problem>, trouble: &mut Vec<Diagnostic>) -> Vec<T> {
    read.unwrap_or_else(|problem| {
        let diagnostic =
            problem.diagnostic.map_or_else(|| Diagnostic::error("balancer-unreachable", problem.failure.msg), |found| *found);
        trouble.push(diagnostic);
        Vec::new()
    })
}

/// How long the app keeps an idle connection, as the first host that has an answer sees it.
async fn idle(run: &Arc<Run>, play: &Arc<PlayRun>, settings: &Settings) -> Idle {
    for (place, host) in play.hosts.iter().enumerate() {
        let Some(healthy) = &settings.of(place).healthy else { continue };
        let Ok(values) = tools::module(run, play, host, "_idle", &[("url", healthy.url.as_str().into())]).await else { continue };
        let seconds = values.get("seconds").and_then(Value::to_float).unwrap_or_default();
        match values.get("ended").map(Value::to_text).as_deref() {
            Some("closed") => return Idle::Seconds(seconds),
            Some("not-kept") => return Idle::NotKept,
            Some("open") => return Idle::Over(seconds),
            _ => {}
        }
    }
    Idle::Unknown
}
