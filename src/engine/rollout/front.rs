//! The balancer as the rollout uses it: by host name, with the play's way to the machine it runs on.

use super::tools;
use crate::actions::Problem;
use crate::balancer::{self, Answer, Balancer, BalancerError, Socket, Target, Tools};
use crate::diag::{Diagnostic, Explain, Span};
use crate::engine::Run;
use crate::engine::plays::PlayRun;
use crate::modules::Failure;
use crate::playbook::RolloutSpec;
use crate::value::Value;
use std::sync::Arc;

pub(super) struct Front {
    balancer: Box<dyn Balancer>,
}

/// One target, as far as the rollout wants to know.
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) is_serving: bool,
    /// It serves, and its last checks passed.
    pub(super) is_steady: bool,
    pub(super) shown: String,
}

impl Front {
    pub(super) fn new(run: &Arc<Run>, play: &Arc<PlayRun>, spec: &RolloutSpec, span: Span) -> Result<Front, Box<Diagnostic>> {
        let word = |name: &str| spec.balancer.options.get(name).map(|value| value.to_text().to_string());
        let socket = word("host").map(|host| {
            let socket = word("socket").unwrap_or_else(|| "/run/haproxy/admin.sock".to_owned());
            Arc::new(AdminSocket { run: run.clone(), play: play.clone(), host, socket }) as Arc<dyn Socket>
        });
        let tools = Tools { socket, targets: play.hosts.clone() };
        // A playbook that serves several kinds says everything; misspelt settings were found before the run.
        let mut options = spec.balancer.options.clone();
        if let Some(driver) = balancer::find(&spec.balancer.kind) {
            options.retain(|name, _| {
                name.as_str() == Some("kind") || driver.options.iter().any(|option| Some(option.name) == name.as_str())
            });
        }
        let balancer = balancer::open(&options, tools).map_err(|error| Box::new(error.explain().at(span, "in this rollout")))?;
        Ok(Front { balancer })
    }

    pub(super) async fn targets(&self) -> Result<Vec<Seen>, Problem> {
        let targets = self.balancer.read().await.map_err(|error| problem(&error))?;
        Ok(targets.iter().map(seen).collect())
    }

    async fn target(&self, host: &str) -> Result<Target, Problem> {
        let targets = self.balancer.read().await.map_err(|error| problem(&error))?;
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

    pub(super) async fn drain(&self, host: &str) -> Result<(), Problem> {
        self.balancer.drain(host).await.map_err(|error| problem(&error))
    }

    /// Once nothing is under way: out for good, so that idle connections are closed too.
    pub(super) async fn close_idle(&self, host: &str) -> Result<(), Problem> {
        self.balancer.maint(host).await.map_err(|error| problem(&error))
    }

    pub(super) async fn enable(&self, host: &str) -> Result<(), Problem> {
        self.balancer.enable(host).await.map_err(|error| problem(&error))
    }
}

fn seen(target: &Target) -> Seen {
    let reason = if target.reason.is_empty() { String::new() } else { format!(" ({})", target.reason) };
    Seen {
        host: target.name.clone(),
        is_serving: target.serves(),
        is_steady: target.serves_steadily(),
        shown: format!("{}{reason}", target.state.name()),
    }
}

fn problem(error: &BalancerError) -> Problem {
    let diagnostic = error.explain();
    let is_unreachable = matches!(error, BalancerError::Unreachable { .. });
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
}
