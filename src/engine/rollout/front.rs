//! The balancer as the rollout uses it: by host name, with the play's way to the machine it runs on.
//!
//! Weather is waited out here where nothing is decided by it: a host that is out comes back as soon as the balancer answers again. What
//! is decided by a reading (may a host leave?) is never tried again by itself: the core asks anew, with a fresh reading.

use super::seen::{Seen, merged, seen};
use super::{members, tools};
use crate::actions::Problem;
use crate::balancer::{self, Answer, Balancer, BalancerError, Setup, Socket, State, Target, Tools, Trouble};
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
    /// There is a balancer to say who serves.
    knows_servers: bool,
    hosts: Vec<String>,
    /// Where two containers may be on one host at a time; the second one's target is `host:port`.
    ports: Option<(u16, u16)>,
}

/// What came of asking for something that may not be possible now.
pub(super) enum Asked {
    Done,
    /// To be asked again, with a fresh reading.
    NotNow(Problem),
}

impl Front {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, spec: &RolloutSpec, span: Span) -> Result<Front, Box<Diagnostic>> {
        let word = |name: &str| spec.balancer.options.get(name).map(|value| value.to_text().to_string());
        let socket = word("host").map(|host| {
            let socket = word("socket").unwrap_or_else(|| "/run/haproxy/admin.sock".to_owned());
            Arc::new(AdminSocket { run: run.clone(), play: play.clone(), host, socket }) as Arc<dyn Socket>
        });
        let ports = spec.ports();
        let tools = Tools { socket, members: members::members(run, play)?, second_port: ports.map(|(_, second)| second) };
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
        let is_api = spec.balancer.kind == "alb";
        let knows_servers = spec.balancer.kind != "none";
        Ok(Front { run: run.clone(), balancer, is_api, knows_servers, hosts: play.hosts.clone(), ports })
    }

    /// What the balancer calls a host on one of its ports.
    pub(super) fn target_on(&self, host: &str, port: Option<u16>) -> String {
        match port.filter(|port| self.ports.is_some_and(|(_, second)| second == *port)) {
            Some(second) => format!("{host}:{second}"),
            None => host.to_owned(),
        }
    }

    async fn call<T>(&self, what: &str, call: Answer<'_, T>) -> Result<T, BalancerError> {
        if self.is_api { self.run.calls.make("api", what, call).await } else { call.await }
    }

    fn host_of<'n>(&self, target: &'n str) -> &'n str {
        let split = self.ports.and_then(|(_, second)| target.strip_suffix(&format!(":{second}")));
        split.unwrap_or(target)
    }

    /// Asks until the weather lets an answer through.
    async fn through<'a, T>(&self, target: &str, what: &str, ask: impl Fn() -> Answer<'a, T> + Send) -> Result<T, Problem> {
        let host = self.host_of(target);
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
        Ok(match self.ports {
            Some(ports) => merged(&targets, &self.hosts, ports),
            None => targets.iter().map(seen).collect(),
        })
    }

    async fn target(&self, name: &str) -> Result<Target, Problem> {
        let targets = self.through(name, "read", || self.balancer.read()).await?;
        let known = targets.iter().map(|target| target.name.clone()).collect();
        let found = targets.into_iter().find(|target| target.name == name);
        // A target group lists only what is registered.
        let found = found.or_else(|| (self.is_api && name != self.host_of(name)).then(|| absent(name)));
        found.ok_or_else(|| problem(&BalancerError::UnknownTarget { name: name.to_owned(), known }))
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

    /// A target that nothing is to be sent to, whatever it is now.
    pub(super) async fn keep_out(&self, host: &str) -> Result<(), Problem> {
        self.through(host, "drain", || self.balancer.drain(host)).await?;
        self.close_idle(host).await
    }

    /// Whether a new container may go on this port: the balancer has a target for it, and nothing serves there.
    pub(super) async fn is_free(&self, host: &str, port: u16) -> Result<(), Problem> {
        let name = self.target_on(host, Some(port));
        // Weather is met when the order is made; nobody waits for it here.
        let Ok(targets) = self.balancer.read().await else { return Ok(()) };
        match targets.iter().find(|target| target.name == name) {
            Some(target) if target.serves() && self.knows_servers => {
                let title = format!("something serves on port {port} of `{host}` already, where the new container is to go");
                Err(Problem::new(title))
            }
            None if !self.is_api => {
                let known = targets.into_iter().map(|target| target.name).collect();
                Err(problem(&BalancerError::UnknownTarget { name, known }))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) async fn enable(&self, host: &str) -> Result<(), Problem> {
        self.through(host, "enable", || self.balancer.enable(host)).await
    }
}

fn absent(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        address: None,
        state: State::Out,
        reason: String::new(),
        sessions: None,
        zone: None,
        standings: Vec::new(),
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
