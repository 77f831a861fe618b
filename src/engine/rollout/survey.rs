//! What is true of the rollouts of a playbook: read from the hosts and the balancer, without a lock, changing nothing.
//!
//! Main type: [`Surveyor`]. It keeps its connections, so that looking again is cheap. The only thing it ever writes is a wish for the rollout that
//! runs ([`Surveyor::wish`]).

use super::front::Front;
use super::written::{self, Written};
use super::{hold, settings, tools, words};
use crate::actions::Problem;
use crate::connection::Connections;
use crate::diag::Diagnostic;
use crate::engine::frame::{Frame, view};
use crate::engine::plays::{self, PlayRun};
use crate::engine::{Direction, Job, Run};
use crate::event::Emitter;
use crate::playbook::RolloutSpec;
use crate::value::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Stands for a release that the command line does not name.
const UNNAMED: &str = "-";

/// All rollouts of a job.
pub struct Surveyor {
    run: Arc<Run>,
    rollouts: Vec<Known>,
}

struct Known {
    play: Arc<PlayRun>,
    spec: RolloutSpec,
    has_release: bool,
    batches: Vec<Vec<String>>,
    front: Front,
}

/// One rollout, as it is now.
#[derive(Debug, Clone)]
pub struct Survey {
    pub app: String,
    /// What a run would put in place; unless the call names none.
    pub release: Option<String>,
    pub balancer: String,
    pub batches: Vec<Vec<String>>,
    pub floor: usize,
    /// What one batch takes at least, less the play's own tasks.
    pub batch_time: Duration,
    pub hosts: Vec<HostSurvey>,
    /// Targets of the balancer that are not hosts of the play.
    pub others: Vec<TargetSurvey>,
    /// Why the balancer says nothing.
    pub unread: Option<String>,
    /// The new container starts beside the old one.
    pub is_start_first: bool,
}

#[derive(Debug, Clone)]
pub struct HostSurvey {
    pub host: String,
    /// What `_app_state` says, or why it cannot be asked.
    pub found: Result<Map, Unanswered>,
    pub target: Option<TargetSurvey>,
    /// Where a new container would start beside the old one, where it would.
    pub next_port: Option<u16>,
    /// Why none could be started.
    pub port_taken: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Unanswered {
    pub why: String,
    pub is_unreachable: bool,
}

#[derive(Debug, Clone)]
pub struct TargetSurvey {
    pub name: String,
    pub state: String,
    pub is_serving: bool,
}

/// What is asked of the rollout that runs.
#[derive(Debug, Clone)]
pub struct WishFor {
    /// `pause`, `continue` or `stop`.
    pub ask: &'static str,
    pub why: String,
}

impl Surveyor {
    /// Finds the rollouts; nothing is sent yet. `needs_release`: what is to be put in place matters.
    pub fn new(job: Job, needs_release: bool) -> Result<Surveyor, Box<Diagnostic>> {
        let emitter = Emitter::new(Vec::new());
        let playbooks = job.playbooks;
        let options = crate::engine::Options { check: false, diff: false, ..job.options };
        let run = Arc::new(Run::new(options, job.sources, job.inventory, job.reader, job.settings, emitter));
        let mut rollouts = Vec::new();
        for playbook in playbooks {
            for play in playbook.plays {
                if play.context.keywords.get("rollout").is_some_and(|written| !written.value.is_null()) {
                    let play = Arc::new(plays::prepare(&run, Arc::new(play), &playbook.path)?);
                    rollouts.push(Known::read(&run, play, needs_release)?);
                }
            }
        }
        if rollouts.is_empty() {
            return Err(Box::new(
                Diagnostic::error("no-rollout", "no play here has `rollout:`")
                    .help("name the playbook that rolls the application out, as for a run"),
            ));
        }
        Ok(Surveyor { run, rollouts })
    }

    /// Looks at everything once, with so many lines of each host's history.
    pub async fn look(&self, history: i64) -> Vec<Survey> {
        let mut surveys = Vec::new();
        for known in &self.rollouts {
            surveys.push(known.look(&self.run, history).await);
        }
        surveys
    }

    /// Asks the rollouts that run for something; answers with app, host and what came of it.
    pub async fn wish(&self, wish: &WishFor) -> Vec<(String, String, Result<Map, Unanswered>)> {
        let rolling = &self.run.options.rolling;
        let mut answers = Vec::new();
        for known in &self.rollouts {
            let args = [
                ("app", Value::from(&known.spec.app)),
                ("ask", wish.ask.into()),
                ("who", Value::from(&rolling.who)),
                ("from", Value::from(&rolling.from)),
                ("why", Value::from(&wish.why)),
            ];
            for (host, answer) in known.ask_all(&self.run, "_app_wish", &args).await {
                answers.push((known.spec.app.clone(), host, answer));
            }
        }
        answers
    }

    pub async fn close(&self) {
        let connections: &Connections = &self.run.connections;
        connections.close().await;
    }
}

impl std::fmt::Debug for Surveyor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let apps: Vec<&str> = self.rollouts.iter().map(|known| known.spec.app.as_str()).collect();
        out.debug_struct("Surveyor").field("apps", &apps).finish_non_exhaustive()
    }
}

impl Known {
    fn read(run: &Arc<Run>, play: Arc<PlayRun>, needs_release: bool) -> Result<Known, Box<Diagnostic>> {
        let written = play.play.context.keywords.get("rollout");
        let (value, span) = written.map_or_else(Default::default, |written| (written.value.clone(), written.span));
        let refused = |title: String| Box::new(Diagnostic::error("bad-rollout", title).at(span, "in this rollout"));
        let told = |problem: Problem| problem.diagnostic.unwrap_or_else(|| refused(problem.failure.msg));
        let first = play.hosts.first().map(String::as_str).unwrap_or_default();
        let task = tools::task(&play, "ping").ok_or_else(|| refused("the host program has no `ping`".to_owned()))?;
        let (rendered, has_release) = {
            let frame = Frame::new(run, &play, first, view(run, &play, first, &task));
            let ports = settings::balancer_of(&frame, &value).map_err(told)?;
            let frame = ports.map_or_else(|| frame.over(Map::new()), |(balancer, _)| settings::on_port(&frame, balancer.port));
            if needs_release { (frame.render(&value).map_err(told)?, true) } else { leniently(&frame, &value).map_err(told)? }
        };
        let spec = RolloutSpec::read(&rendered).map_err(refused)?;
        let batches = plays::batches(&play, run);
        let front = Front::new(run, &play, &spec, span)?;
        Ok(Known { front, batches, has_release, spec, play })
    }

    async fn look(&self, run: &Arc<Run>, history: i64) -> Survey {
        let spec = &self.spec;
        let args = [("app", Value::from(&spec.app)), ("history", history.into())];
        let (answers, targets) = tokio::join!(self.ask_all(run, "_app_state", &args), self.front.targets());
        let (targets, unread) = match targets {
            Ok(targets) => (targets, None),
            Err(problem) => (Vec::new(), Some(problem.failure.msg)),
        };
        // Where there is no balancer, nobody knows who is asked.
        let mut targets: Vec<TargetSurvey> = targets
            .into_iter()
            .filter(|_| spec.balancer.kind != "none")
            .map(|seen| TargetSurvey { name: seen.host, state: seen.shown, is_serving: seen.is_serving })
            .collect();
        let hosts = answers.into_iter().map(|(host, found)| {
            let place = targets.iter().position(|target| target.name == host);
            let next_port = found.as_ref().ok().and_then(|found| next_port(spec, found));
            let port = next_port.unwrap_or(spec.balancer.port);
            let holder = found.as_ref().ok().and_then(|found| written::taken(found, port)).filter(|holder| !holder.is_null());
            let port_taken = holder.map(|holder| words::port_taken(&host, &spec.app, port, &holder.to_text()));
            HostSurvey { target: place.map(|place| targets.remove(place)), host, found, next_port, port_taken }
        });
        let hosts: Vec<HostSurvey> = hosts.collect();
        let is_start_first = spec.ports().is_some();
        let largest = self.batches.iter().map(Vec::len).max().unwrap_or(1);
        let out = if is_start_first { 0 } else { largest };
        let healthy = spec.healthy.as_ref().map_or(Duration::ZERO, |probe| probe.interval * probe.passes);
        Survey {
            app: spec.app.clone(),
            release: self.has_release.then(|| spec.release.clone()),
            balancer: spec.balancer.kind.clone(),
            batches: self.batches.clone(),
            floor: spec.floor.count(self.play.hosts.len(), out),
            batch_time: spec.quiet + healthy + spec.bake,
            hosts,
            others: targets,
            unread,
            is_start_first,
        }
    }

    /// The same of every host, all at once; answers in the order of the play.
    async fn ask_all(
        &self,
        run: &Arc<Run>,
        module: &'static str,
        args: &[(&'static str, Value)],
    ) -> Vec<(String, Result<Map, Unanswered>)> {
        let mut asking = JoinSet::new();
        for (place, host) in self.play.hosts.iter().cloned().enumerate() {
            let (run, play, args) = (run.clone(), self.play.clone(), args.to_vec());
            asking.spawn(async move {
                let answer = tools::module(&run, &play, &host, module, &args).await;
                let answer =
                    answer.map_err(|problem| Unanswered { why: hold::why(&problem), is_unreachable: problem.is_unreachable });
                (place, host, answer)
            });
        }
        let mut answers = asking.join_all().await;
        answers.sort_by_key(|(place, ..)| *place);
        answers.into_iter().map(|(_, host, answer)| (host, answer)).collect()
    }
}

/// What a rollout of another release would decide now.
fn next_port(spec: &RolloutSpec, found: &Map) -> Option<u16> {
    let (port, second) = spec.ports()?;
    let mut written = Written::read(found, &spec.release, 0).taken_up(Direction::Forward, &spec.release, 0);
    written.place(found, port, Some(second)).ok()?;
    written.ports.map(|ports| ports.new)
}

/// For those who only look, what cannot be known without the variables of a run does not matter: everything but the app and its balancer.
/// Answers also whether the release is known.
fn leniently(frame: &Frame<'_>, value: &Value) -> Result<(Value, bool), Problem> {
    let Some(settings) = value.as_map() else { return frame.render(value).map(|rendered| (rendered, true)) };
    let mut rendered = Map::new();
    for (name, setting) in settings {
        match frame.render(setting) {
            Ok(value) => _ = rendered.insert(name.clone(), value),
            Err(problem) if matches!(name.as_str(), Some("app" | "balancer")) => return Err(problem),
            Err(_) => {}
        }
    }
    let has_release = rendered.contains_key("release");
    if !has_release {
        rendered.insert("release".into(), UNNAMED.into());
    }
    Ok((rendered.into(), has_release))
}
