//! Whether the balancer is set up so that a rollout can end well: looked at once, while every host still serves.

use super::front::Front;
use super::seen::Seen;
use crate::balancer::advice::{Advice, Costs, Deployment, advise};
use crate::engine::plays::{self, PlayRun};
use crate::engine::{Run, locked};
use crate::event::Event;
use crate::playbook::RolloutSpec;
use crate::rollout::{Host, Pool};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A balancer that says nothing about itself in this time is taken as it is: what it does is watched anyway.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What was learnt: nothing yet, or why nothing may leave.
#[derive(Debug, Default)]
pub(super) struct Fitness(Mutex<Option<Option<String>>>);

impl Fitness {
    /// Looks once, tells people what costs requests, and answers whether the balancer is unfit.
    pub(super) async fn learn(&self, run: &Arc<Run>, front: &Front, play: &PlayRun, spec: &RolloutSpec) -> bool {
        if let Some(known) = locked(&self.0).clone() {
            return known.is_some();
        }
        let advice: Vec<Advice> = match tokio::time::timeout(ANSWER_MAX, front.setup()).await {
            Ok(Ok(setups)) => {
                let deployment = deployment(run, play, spec);
                setups.iter().flat_map(|setup| advise(setup, &deployment)).collect()
            }
            Ok(Err(problem)) if spec.balancer.kind == "alb" => {
                let line = format!("how it is set up cannot be read: {}", problem.failure.msg);
                run.emitter.emit(&Event::Says { host: "balancer".to_owned(), line });
                Vec::new()
            }
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        let wanted = |advice: &&Advice| advice.costs == Costs::Requests;
        advice.iter().filter(wanted).for_each(|advice| run.warn(advice.diagnostic()));
        let fatal = advice.iter().find(|advice| advice.is_fatal());
        let why = fatal.map(|advice| format!("{}: {}; {}", advice.pool, advice.setting, advice.mend));
        let is_unfit = why.is_some();
        *locked(&self.0) = Some(why);
        is_unfit
    }

    pub(super) fn why(&self) -> Option<String> {
        locked(&self.0).clone().flatten()
    }
}

/// What the balancer's settings have to fit, as far as the playbook says it.
pub(super) fn deployment(run: &Run, play: &PlayRun, spec: &RolloutSpec) -> Deployment {
    Deployment {
        hosts: play.hosts.len(),
        batch: plays::batches(play, run).iter().map(Vec::len).max().unwrap_or_default(),
        grace_seconds: spec.stop_grace.as_secs_f64(),
        drain_seconds: spec.drain_max.as_secs_f64(),
        quiet_seconds: Some(spec.quiet.as_secs_f64()),
        bake_seconds: spec.bake.as_secs_f64(),
        is_start_first: spec.ports().is_some(),
        ..Deployment::default()
    }
}

/// The pools of a reading, each with its name.
pub(super) fn pools(targets: &[Seen], position: impl Fn(&str) -> Option<Host>) -> Vec<(String, Pool)> {
    let mut all: Vec<(String, Pool)> = Vec::new();
    for target in targets {
        for standing in &target.standings {
            let place = all.iter().position(|(name, _)| *name == standing.pool).unwrap_or_else(|| {
                all.push((standing.pool.clone(), Pool { floor: standing.floor, ..Pool::default() }));
                all.len() - 1
            });
            let Some((_, pool)) = all.get_mut(place) else { continue };
            match position(&target.host) {
                Some(host) => {
                    pool.hosts.insert(host);
                    if standing.is_serving {
                        pool.serving.insert(host);
                    }
                }
                None => pool.others += usize::from(standing.is_serving),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::Standing;
    use std::collections::BTreeSet;

    #[test]
    fn hosts_are_counted_in_the_pools_that_they_stand_in() {
        let seen = |host: &str, zone: &str, is_serving: bool| Seen {
            host: host.to_owned(),
            is_serving,
            is_steady: is_serving,
            standings: vec![Standing { pool: zone.to_owned(), floor: 1, is_serving }],
            ..Seen::default()
        };
        let targets =
            [seen("web1", "a", true), seen("web2", "b", false), seen("10.0.0.9:80", "b", true), seen("web3", "a", true)];
        let position = |name: &str| ["web1", "web2", "web3"].iter().position(|host| *host == name);
        let found = pools(&targets, position);
        assert_eq!(
            found[0],
            ("a".to_owned(), Pool { hosts: BTreeSet::from([0, 2]), serving: BTreeSet::from([0, 2]), others: 0, floor: 1 })
        );
        assert_eq!(
            found[1],
            ("b".to_owned(), Pool { hosts: BTreeSet::from([1]), serving: BTreeSet::new(), others: 1, floor: 1 })
        );
    }
}
