//! The balancer as the rollout uses it: by host name, with the play's way to the machine it runs on.
//!
//! Weather is waited out here where nothing is decided by it: a host that is out comes back as soon as the balancer answers again. What
//! is decided by a reading (may a host leave?) is never tried again by itself: the core asks anew, with a fresh reading.

use super::{members, tools};
use crate::actions::Problem;
use crate::balancer::{self, Answer, Balancer, BalancerError, Setup, Socket, Standing, Target, Tools, Trouble};
use crate::diag::{Diagnostic, Explain, Span};
use crate::engine::Run;
use crate::engine::plays::PlayRun;
use crate::event::Event;
use crate::modules::Failure;
use crate::playbook::RolloutSpec;
use crate::value::Value;
use base64ct::{Base64, Encoding as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a balancer that gives no answer is asked again, where a host waits for it that is out.
const PATIENCE: Duration = Duration::from_secs(900);
const AGAIN: Duration = Duration::from_secs(1);
/// No wait is silent for longer.
const VOICE: Duration = Duration::from_secs(4);

pub(super) struct Front {
    run: Arc<Run>,
    balancer: Box<dyn Balancer>,
    /// What is asked of an API is a call of its own; what goes through a host is counted there.
    is_api: bool,
}

/// What came of asking for something that may not be possible now.
pub(super) enum Asked {
    Done,
    /// To be asked again, with a fresh reading.
    NotNow(Problem),
}

/// One target, as far as the rollout wants to know.
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) is_serving: bool,
    /// It serves, and its last checks passed.
    pub(super) is_steady: bool,
    pub(super) standings: Vec<Standing>,
    pub(super) shown: String,
}

impl Front {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, spec: &RolloutSpec, span: Span) -> Result<Front, Box<Diagnostic>> {
        let word = |name: &str| spec.balancer.options.get(name).map(|value| value.to_text().to_string());
        let socket = word("host").map(|host| {
            let socket = word("socket").unwrap_or_else(|| "/run/haproxy/admin.sock".to_owned());
            Arc::new(AdminSocket { run: run.clone(), play: play.clone(), host, socket }) as Arc<dyn Socket>
        });
        let tools = Tools { socket, members: members::members(run, play)? };
        // A playbook that serves several kinds says everything; misspelt settings were found before the run.
        let mut options = spec.balancer.options.clone();
        if let Some(driver) = balancer::find(&spec.balancer.kind) {
            options.retain(|name, _| {
                name.as_str() == Some("kind") || driver.options.iter().any(|option| Some(option.name) == name.as_str())
            });
        }
        if run.options.rolling.accept_downtime && options.contains_key("pool_floor") {
            options.insert("pool_floor".into(), 0.into());
        }
        let balancer = balancer::open(&options, tools).map_err(|error| Box::new(error.explain().at(span, "in this rollout")))?;
        Ok(Front { run: run.clone(), balancer, is_api: spec.balancer.kind == "alb" })
    }

    async fn call<T>(&self, what: &str, call: Answer<'_, T>) -> Result<T, BalancerError> {
        if self.is_api { self.run.calls.make("api", what, call).await } else { call.await }
    }

    /// Asks until the weather lets an answer through.
    async fn through<'a, T>(&self, host: &str, what: &str, ask: impl Fn() -> Answer<'a, T> + Send) -> Result<T, Problem> {
        let (begun, mut spoke) = (Instant::now(), None::<Instant>);
        loop {
            let error = match self.call(what, ask()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let more = if let BalancerError::StillLeaving { seconds, .. } = error { seconds } else { 0 };
            if error.trouble() == Trouble::Wrong || begun.elapsed() >= PATIENCE + Duration::from_secs(more) {
                return Err(problem(&error));
            }
            if spoke.is_none_or(|spoke| spoke.elapsed() >= VOICE) {
                let line = format!("waiting for the balancer, {} s: {}", begun.elapsed().as_secs(), error.explain().title);
                self.run.emitter.emit(&Event::Says { host: host.to_owned(), line });
                spoke = Some(Instant::now());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Every target, with all that the balancer says.
    pub(super) async fn read(&self) -> Result<Vec<Target>, Problem> {
        self.balancer.read().await.map_err(|error| problem(&error))
    }

    pub(super) async fn setup(&self) -> Result<Vec<Setup>, Problem> {
        self.balancer.setup().await.map_err(|error| problem(&error))
    }

    /// How much longer a healthy target may take until it counts.
    pub(super) async fn ramp(&self) -> Duration {
        self.balancer.ramp().await.unwrap_or_default()
    }

    pub(super) async fn targets(&self) -> Result<Vec<Seen>, Problem> {
        let targets = self.call("read", self.balancer.read()).await.map_err(|error| problem(&error))?;
        Ok(targets.iter().map(seen).collect())
    }

    async fn target(&self, host: &str) -> Result<Target, Problem> {
        let targets = self.through(host, "read", || self.balancer.read()).await?;
        let known = targets.iter().map(|target| target.name.clone()).collect();
        let found = targets.into_iter().find(|target| target.name == host);
        found.ok_or_else(|| problem(&BalancerError::UnknownTarget { name: host.to_owned(), known }))
    }

    pub(super) async fn state(&self, host: &str) -> Result<Seen, Problem> {
        self.target(host).await.map(|target| seen(&target))
    }

    /// Requests under way, where the balancer counts them.
    pub(super) async fn sessions(&self, host: &str) -> Result<Option<u64>, Problem> {
        self.target(host).await.map(|target| target.sessions)
    }

    pub(super) async fn drain(&self, host: &str) -> Result<Asked, Problem> {
        match self.call("drain", self.balancer.drain(host)).await {
            Ok(()) => Ok(Asked::Done),
            Err(error) if error.trouble() == Trouble::Wrong => Err(problem(&error)),
            Err(error) => Ok(Asked::NotNow(problem(&error))),
        }
    }

    /// Once nothing is under way: out for good, so that idle connections are closed too.
    pub(super) async fn close_idle(&self, host: &str) -> Result<(), Problem> {
        self.through(host, "maint", || self.balancer.maint(host)).await
    }

    pub(super) async fn enable(&self, host: &str) -> Result<(), Problem> {
        self.through(host, "enable", || self.balancer.enable(host)).await
    }
}

fn seen(target: &Target) -> Seen {
    let reason = if target.reason.is_empty() { String::new() } else { format!(" ({})", target.reason) };
    Seen {
        host: target.name.clone(),
        is_serving: target.serves(),
        is_steady: target.serves_steadily(),
        standings: target.standings.clone(),
        shown: format!("{}{reason}", target.state.name()),
    }
}

fn problem(error: &BalancerError) -> Problem {
    let diagnostic = error.explain();
    let is_unreachable = error.trouble() == Trouble::Weather;
    Problem { failure: Failure::new(diagnostic.title.clone()), diagnostic: Some(Box::new(diagnostic)), is_unreachable }
}

/// HAProxy's admin socket, through the connection to the host that runs it.
struct AdminSocket {
    run: Arc<Run>,
    play: Arc<PlayRun>,
    host: String,
    socket: String,
}

impl std::fmt::Debug for AdminSocket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} on {}", self.socket, self.host)
    }
}

impl Socket for AdminSocket {
    fn ask<'a>(&'a self, command: &'a str) -> Answer<'a, String> {
        Box::pin(async move {
            let args = [("socket", Value::from(&self.socket)), ("command", command.into())];
            let values = tools::module(&self.run, &self.play, &self.host, "_haproxy", &args).await;
            let values = values.map_err(|problem| BalancerError::Unreachable { why: problem.failure.msg })?;
            Ok(values.get("answer").map(Value::to_text).unwrap_or_default().to_string())
        })
    }

    fn file<'a>(&'a self, path: &'a str) -> Answer<'a, String> {
        Box::pin(async move {
            let unreachable = |why: String| BalancerError::Unreachable { why };
            let values = tools::module(&self.run, &self.play, &self.host, "slurp", &[("src", path.into())]).await;
            let values = values.map_err(|problem| unreachable(problem.failure.msg))?;
            let content = values.get("content").map(Value::to_text).unwrap_or_default();
            let bytes = Base64::decode_vec(content.trim()).map_err(|error| unreachable(format!("`{path}`: {error}")))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })
    }
}
