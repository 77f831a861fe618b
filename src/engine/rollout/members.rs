//! What is known about the play's hosts by which a balancer may call them.

use super::tools;
use crate::balancer::Member;
use crate::diag::Diagnostic;
use crate::engine::Run;
use crate::engine::frame::{Frame, view};
use crate::engine::plays::PlayRun;
use crate::value::Value;
use std::sync::Arc;

/// Where inventories keep a host's address as its load balancer knows it, the likeliest first.
const ADDRESSES: [&str; 4] = ["private_address", "private_ip_address", "private_ip", "ansible_host"];
const INSTANCES: [&str; 2] = ["instance_id", "ec2_instance_id"];
const ZONES: [&str; 2] = ["zone", "availability_zone"];

/// One for each host of the play, its variables rendered.
pub(super) fn members(run: &Arc<Run>, play: &Arc<PlayRun>) -> Result<Vec<Member>, Box<Diagnostic>> {
    let written = play.play.context.keywords.get("rollout").and_then(|written| written.value.get("balancer"));
    let said = |name: &str| written.and_then(|balancer| balancer.get(name)).cloned();
    let (target, second) = (said("target"), said("second_server"));
    play.hosts.iter().map(|host| member(run, play, host, [target.as_ref(), second.as_ref()])).collect()
}

fn member(run: &Arc<Run>, play: &Arc<PlayRun>, host: &str, said: [Option<&Value>; 2]) -> Result<Member, Box<Diagnostic>> {
    let Some(task) = tools::task(play, "ping") else { return Ok(Member::named(host)) };
    let frame = Frame::new(run, play, host, view(run, play, host, &task));
    // What cannot be rendered is as good as not there: only what is asked for by `target` must be.
    let text = |name: &str| frame.text(name).ok().flatten().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let [target, second] = said.map(|said| match said {
        None => Ok(None),
        Some(said) => rendered(&frame, said),
    });
    Ok(Member {
        host: host.to_owned(),
        target: target?,
        second: second?,
        instance: INSTANCES.into_iter().find_map(text),
        addresses: ADDRESSES.into_iter().filter_map(text).collect(),
        zone: ZONES.into_iter().find_map(text),
    })
}

/// What is said for each host in its own variables.
fn rendered(frame: &Frame<'_>, said: &Value) -> Result<Option<String>, Box<Diagnostic>> {
    let value = frame.argument(said).map_err(|problem| {
        problem.diagnostic.unwrap_or_else(|| Box::new(Diagnostic::error("bad-rollout", problem.failure.msg)))
    })?;
    Ok(value.map(|value| value.to_text().trim().to_owned()).filter(|text| !text.is_empty()))
}
