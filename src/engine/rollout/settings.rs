//! The settings of `rollout:`, rendered for each host of the play: what is asked of a host may be written with its own variables.
//!
//! What counts for the whole rollout (its app, its release, its balancer …) has to come to the same for every host. With `start: first`
//! everything is rendered for each of the two ports: `rollout_port` says which one.

use super::tools;
use crate::actions::Problem;
use crate::diag::Diagnostic;
use crate::engine::Run;
use crate::engine::frame::{Frame, view};
use crate::engine::plays::PlayRun;
use crate::playbook::{BalancerSpec, RolloutSpec, Start};
use crate::value::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// What tasks and URLs know the port by that a container is on.
const PORT: &str = "rollout_port";

#[derive(Debug)]
pub(super) struct Settings {
    /// The first host's: right for all where only what counts for all is taken from it.
    common: Arc<RolloutSpec>,
    hosts: Vec<RolloutSpec>,
    /// The same for a container on the second port, where there is one.
    seconds: Vec<RolloutSpec>,
}

/// How things are said for a container on one of a host's ports.
pub(super) fn on_port<'f>(frame: &Frame<'f>, port: u16) -> Frame<'f> {
    frame.over(Map::from_iter([(PORT.into(), i64::from(port).into())]))
}

/// What is said of the two ports, which everything else may depend on.
pub(super) fn balancer_of(frame: &Frame<'_>, value: &Value) -> Result<Option<(BalancerSpec, u16)>, Problem> {
    let start = value.get("start").map(|start| frame.render(start)).transpose()?;
    if Start::read(start.as_ref()) != Ok(Start::First) {
        return Ok(None);
    }
    let Some(written) = value.get("balancer") else { return Ok(None) };
    let balancer = BalancerSpec::read(Some(&frame.render(written)?)).map_err(Problem::new)?;
    Ok(balancer.second_port.map(|second| (balancer, second)))
}

/// Nothing has left the balancer yet when this fails.
pub(super) fn read(run: &Run, play: &PlayRun) -> Result<Settings, Box<Diagnostic>> {
    let written = play.play.context.keywords.get("rollout");
    let (value, span) = written.map_or_else(Default::default, |written| (written.value.clone(), written.span));
    let refused = |title: String| {
        Box::new(Diagnostic::error("bad-rollout", title).at(span, "in this rollout").note("nothing left the load balancer"))
    };
    let task = tools::task(play, "ping").ok_or_else(|| refused("the host program has no `ping`".to_owned()))?;
    let told = |problem: Problem| problem.diagnostic.unwrap_or_else(|| refused(problem.failure.msg));
    let read = |host: &str| -> Result<(RolloutSpec, Option<RolloutSpec>), Box<Diagnostic>> {
        let frame = Frame::new(run, play, host, view(run, play, host, &task));
        let one = |frame: &Frame<'_>| RolloutSpec::read(&frame.render(&value).map_err(told)?).map_err(refused);
        match balancer_of(&frame, &value).map_err(told)? {
            None => Ok((one(&frame)?, None)),
            Some((balancer, second)) => {
                let spec = RolloutSpec { balancer: balancer.clone(), ..one(&on_port(&frame, balancer.port))? };
                let other = RolloutSpec { balancer, ..one(&on_port(&frame, second))? };
                asks_both(&spec, &other).map_err(refused)?;
                Ok((spec, Some(other)))
            }
        }
    };
    let (common, second) = read(play.hosts.first().map(String::as_str).unwrap_or_default())?;
    let (mut hosts, mut seconds) = (vec![common.clone()], Vec::from_iter(second));
    for host in play.hosts.iter().skip(1) {
        let (spec, second) = read(host).map_err(|diagnostic| Box::new(diagnostic.note(format!("rendered for `{host}`"))))?;
        if let Some((name, one, other)) = difference(&common, &spec) {
            let first = &play.hosts[0];
            let title = format!("`{name}` counts for the whole rollout, but `{first}` says {one} and `{host}` says {other}");
            return Err(refused(title));
        }
        hosts.push(spec);
        seconds.extend(second);
    }
    Ok(Settings { common: Arc::new(common), hosts, seconds })
}

/// A URL that leads to the old container says nothing about the new one.
fn asks_both(first: &RolloutSpec, second: &RolloutSpec) -> Result<(), String> {
    let (Some(one), Some(other)) = (&first.healthy, &second.healthy) else { return Ok(()) };
    if one.url != other.url {
        return Ok(());
    }
    Err(format!(
        "`healthy.url` is {} for both ports: with `start: first` it has to lead to the container on `{{{{ {PORT} }}}}`",
        one.url
    ))
}

impl Settings {
    pub(super) fn common(&self) -> &Arc<RolloutSpec> {
        &self.common
    }

    pub(super) fn of(&self, host: usize) -> &RolloutSpec {
        self.hosts.get(host).unwrap_or(&self.common)
    }

    /// For a container on one of the host's ports.
    pub(super) fn on(&self, host: usize, port: Option<u16>) -> &RolloutSpec {
        let second = self.seconds.get(host).filter(|spec| port.is_some() && spec.balancer.second_port == port);
        second.unwrap_or_else(|| self.of(host))
    }

    /// The longest that any host may say "not yet".
    pub(super) fn ready_deadline(&self) -> Duration {
        let deadlines = self.hosts.iter().filter_map(|spec| spec.ready.as_ref()).map(|ready| ready.deadline);
        deadlines.max().unwrap_or_default()
    }
}

/// A setting of the whole rollout that two hosts do not agree on, with both its values.
fn difference(one: &RolloutSpec, other: &RolloutSpec) -> Option<(String, String, String)> {
    let of_all = |spec: &RolloutSpec| {
        [
            ("app", spec.app.clone()),
            ("release", spec.release.clone()),
            ("floor", format!("{:?}", spec.floor)),
            ("bake", format!("{} s", spec.bake.as_secs_f64())),
            ("on_failure", format!("{:?}", spec.on_failure).to_lowercase()),
            ("start", format!("{:?}", spec.start).to_lowercase()),
            ("balancer.port", spec.ports().map(|(port, _)| port.to_string()).unwrap_or_default()),
            ("balancer.second_port", spec.ports().map(|(_, second)| second.to_string()).unwrap_or_default()),
        ]
    };
    let settings = of_all(one).into_iter().zip(of_all(other));
    let plain =
        settings.filter(|((_, one), (_, other))| one != other).map(|((name, one), (_, other))| (name.to_owned(), one, other));
    plain.map(|(name, one, other)| (name, format!("`{one}`"), format!("`{other}`"))).next().or_else(|| {
        let (one, other) = (shared(&one.balancer), shared(&other.balancer));
        let names = one.keys().chain(other.keys());
        let name = names.into_iter().find(|name| one.get(*name) != other.get(*name))?;
        let said = |options: &Map| {
            options.get(name).map_or_else(|| "nothing".to_owned(), |value: &Value| format!("`{}`", value.to_text()))
        };
        Some((format!("balancer.{name}"), said(&one), said(&other)))
    })
}

/// What is said of the balancer itself. The port is the host's own, except for target groups, which register it.
fn shared(balancer: &BalancerSpec) -> Map {
    let is_own = |name: &str| match name {
        "target" | "second_server" | "second_port" => true,
        "port" => balancer.kind != "alb",
        _ => false,
    };
    let options = balancer.options.iter().filter(|(name, _)| !is_own(&name.to_string()));
    options.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(app: &str, kind: &str, more: &str) -> RolloutSpec {
        let json = format!(r#"{{"app":"{app}","release":"1","balancer":{{"kind":"{kind}","port":80{more}}}}}"#);
        RolloutSpec::read(&Value::from_json(&json).unwrap()).unwrap()
    }

    #[test]
    fn hosts_agree_on_what_counts_for_all() {
        let shop = spec("shop", "alb", r#","target":"i-1""#);
        assert_eq!(difference(&shop, &spec("shop", "alb", r#","target":"i-2""#)), None);
        let app = difference(&shop, &spec("cart", "alb", ""));
        assert_eq!(app, Some(("app".to_owned(), "`shop`".to_owned(), "`cart`".to_owned())));
        let region = difference(&shop, &spec("shop", "alb", r#","region":"eu-west-1""#));
        assert_eq!(region, Some(("balancer.region".to_owned(), "nothing".to_owned(), "`eu-west-1`".to_owned())));
    }

    #[test]
    fn a_port_is_the_host_s_own_unless_it_is_registered() {
        let with = |kind: &str, port: i64| {
            let json = format!(r#"{{"app":"shop","release":"1","balancer":{{"kind":"{kind}","port":{port}}}}}"#);
            RolloutSpec::read(&Value::from_json(&json).unwrap()).unwrap()
        };
        assert_eq!(difference(&with("none", 80), &with("none", 81)), None);
        assert!(difference(&with("alb", 80), &with("alb", 81)).is_some_and(|(name, ..)| name == "balancer.port"));
    }
}
