//! `alb`: the target groups of an AWS Application Load Balancer, through its API.
//!
//! Out is *deregistered*, in is *registered*: a target that comes back so needs one passed check, one that merely failed its checks
//! needs several. For the whole deregistration delay the API says `draining`, also when nothing is under way any more, so nothing here
//! waits for `unused`. That a deregistration was understood is read back, for the API says yes to targets it never had. What the API
//! says is not what its nodes do: they follow seconds later, which is why a host proves by itself that traffic has stopped (`_quiet`).
//!
//! The API has limits for a whole account and region; this client stays below them (`pace.rs`), tries again with full jitter within a
//! short budget, and then says what the weather is. Whatever it could not read anew counts as not known. Credentials are the SDK's
//! business: the usual chain, read again after they expired, never shown.
//!
//! A host is one target in every group (`places.rs`): an instance or an IP address, and a port. Nothing here was ever run against a live
//! ALB: what is known of one, the lab's double does (`lab::elb`).

mod api;
mod group;
mod pace;
mod places;
mod survey;

pub use api::Access;
pub use places::Place;

use super::{Answer, Balancer, BalancerError, Driver, Member, Setting, Setup, Standing, State, Target, Tools, word};
use crate::value::{Map, Value};
use api::Api;
use group::{Group, Listed};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

pub(super) static DRIVER: Driver = Driver {
    kind: "alb",
    summary: "an AWS Application Load Balancer's target groups, through its API",
    options: &[
        Setting::new("target_group", "ARN of the target group; several, as a list, where the hosts are in several").required(),
        Setting::new("target", "what the group calls a host, rendered for each; else `instance_id` or its private address"),
        Setting::new("port", "the port that hosts are registered with; else the group's own"),
        Setting::new("region", "region of the group; else the ARN's, AWS_REGION or the profile's"),
        Setting::new("profile", "profile in ~/.aws; else AWS_PROFILE"),
        Setting::new("endpoint", "URL of the API; else AWS_ENDPOINT_URL or AWS's own"),
        Setting::new("pool_floor", "fewest that serve in each zone without cross-zone balancing, and in each of several groups")
            .default("1"),
    ],
    open,
};

/// How long a deregistration may take to show.
const SHOWN_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(250);

fn open(options: &Map, tools: Tools) -> Result<Box<dyn Balancer>, BalancerError> {
    let bad = |name, value: String, wanted| BalancerError::BadOption { kind: DRIVER.kind, name, value, wanted };
    let groups = match options.get("target_group") {
        Some(Value::List(groups)) => groups.iter().map(|group| group.to_text().trim().to_owned()).collect(),
        _ => word(options, "target_group").split(',').map(|group| group.trim().to_owned()).collect::<Vec<_>>(),
    };
    let groups: Vec<String> = groups.into_iter().filter(|group| !group.is_empty()).collect();
    if groups.is_empty() {
        return Err(BalancerError::MissingOption { kind: DRIVER.kind, name: "target_group" });
    }
    let port = match word(options, "port").as_str() {
        "" | "0" => None,
        port => Some(port.parse::<u16>().map_err(|_| bad("port", port.to_owned(), "a port"))?),
    };
    let floor = word(options, "pool_floor");
    let pool_floor = floor.parse().map_err(|_| bad("pool_floor", floor, "a number"))?;
    let given = |name: &str| Some(word(options, name)).filter(|text| !text.is_empty());
    let access = Access { region: given("region"), profile: given("profile"), endpoint: given("endpoint"), credentials: None };
    Ok(Box::new(Alb::new(groups, port, pool_floor, access, tools.members)))
}

/// The target groups that a play's hosts are in.
pub struct Alb {
    api: Api,
    /// ARNs or names, as they were given.
    wanted: Vec<String>,
    groups: OnceCell<Vec<Group>>,
    port: Option<u16>,
    pool_floor: usize,
    members: Vec<Member>,
    /// Targets that were put in, and since when they are healthy: with slow start they do not carry their share at once.
    ramping: Mutex<BTreeMap<String, Option<Instant>>>,
}

impl std::fmt::Debug for Alb {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Alb").field("groups", &self.wanted).finish_non_exhaustive()
    }
}

impl Alb {
    pub fn new(groups: Vec<String>, port: Option<u16>, pool_floor: usize, access: Access, members: Vec<Member>) -> Alb {
        let api = Api::new(access, groups.first().map(String::as_str).unwrap_or_default());
        Alb { api, wanted: groups, groups: OnceCell::new(), port, pool_floor, members, ramping: Mutex::default() }
    }

    async fn groups(&self) -> Result<&[Group], BalancerError> {
        self.groups.get_or_try_init(|| group::describe(&self.api, &self.wanted)).await.map(Vec::as_slice)
    }

    fn ramping(&self) -> MutexGuard<'_, BTreeMap<String, Option<Instant>>> {
        self.ramping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a group calls each host of the play.
    fn places(&self, group: &Group) -> Result<Vec<(String, Place)>, BalancerError> {
        self.members.iter().map(|member| Ok((member.host.clone(), places::place(member, group, self.port)?))).collect()
    }

    /// What a group calls one target.
    fn place(&self, target: &str, group: &Group) -> Result<Place, BalancerError> {
        let (member, port) = places::split(target, &self.members).ok_or_else(|| BalancerError::UnknownTarget {
            name: target.to_owned(),
            known: self.members.iter().map(|member| member.host.clone()).collect(),
        })?;
        let place = places::place(member, group, self.port)?;
        Ok(Place { port: port.unwrap_or(place.port), ..place })
    }

    async fn read_all(&self) -> Result<Vec<Target>, BalancerError> {
        let mut all: Vec<Target> = Vec::new();
        let groups = self.groups().await?;
        for group in groups {
            let listed = group::list(&self.api, group).await?;
            for mut target in places::targets(&self.places(group)?, &self.members, &listed) {
                target.standings.extend(self.standing(&target, group, groups.len()));
                if groups.len() > 1 {
                    target.reason = format!("{}: {}", group.name, target.reason);
                }
                match all.iter_mut().find(|known| known.name == target.name) {
                    Some(known) => known.join(target),
                    None => all.push(target),
                }
            }
        }
        self.hold_back_ramping(&mut all, ramp(groups));
        Ok(all)
    }

    /// With slow start, a target that was just put in is not yet one that others may leave for.
    fn hold_back_ramping(&self, targets: &mut [Target], ramp: Duration) {
        if ramp.is_zero() {
            return;
        }
        let (mut ramping, now) = (self.ramping(), Instant::now());
        for target in targets.iter_mut().filter(|target| target.serves()) {
            let Some(since) = ramping.get_mut(&target.name) else { continue };
            let left = ramp.saturating_sub(now - *since.get_or_insert(now));
            if !left.is_zero() {
                target.state = State::Starting;
                target.standings.iter_mut().for_each(|standing| standing.is_serving = false);
                target.reason = format!("slow start, {} s left", left.as_secs() + 1);
            }
        }
    }

    /// Where a target of a group has only its own kind to stand in for it.
    fn standing(&self, target: &Target, group: &Group, groups: usize) -> Option<Standing> {
        let pool = match (group.is_cross_zone, groups, &target.zone) {
            (true, 1, _) => return None,
            (true, ..) => format!("target group {}", group.name),
            (false, _, Some(zone)) => zone_pool(zone, group),
            (false, _, None) => zone_pool("an unknown zone", group),
        };
        Some(Standing { pool, floor: self.pool_floor, is_serving: target.state == State::Serving })
    }

    /// Hosts of which neither the group nor the inventory says the zone, where zones are on their own.
    async fn without_zone(&self, group: &Group) -> Result<Vec<String>, BalancerError> {
        if group.is_cross_zone {
            return Ok(Vec::new());
        }
        let listed = group::list(&self.api, group).await?;
        let hosts = self.places(group)?;
        let is_known = |place: &Place| places::zone(place, &hosts, &self.members, &listed).is_some();
        Ok(hosts.iter().filter(|(_, place)| !is_known(place)).map(|(host, _)| host.clone()).collect())
    }

    async fn leave(&self, target: &str) -> Result<(), BalancerError> {
        let groups = self.groups().await?;
        let places = groups.iter().map(|group| self.place(target, group)).collect::<Result<Vec<Place>, _>>()?;
        for (group, place) in groups.iter().zip(&places) {
            self.keeps_serving(target, place, group, groups.len()).await?;
        }
        for (group, place) in groups.iter().zip(&places) {
            self.api.deregister(&group.arn, place).await?;
        }
        self.ramping().remove(target);
        for (group, place) in groups.iter().zip(&places) {
            self.is_leaving(target, place, group).await?;
        }
        Ok(())
    }

    /// The floor of each pool once more, in the moment of leaving: somebody else may use the same groups.
    async fn keeps_serving(&self, target: &str, place: &Place, group: &Group, groups: usize) -> Result<(), BalancerError> {
        if self.pool_floor == 0 || (group.is_cross_zone && groups == 1) {
            return Ok(());
        }
        let listed = group::list(&self.api, group).await?;
        if !listed.iter().any(|other| other.place == *place && other.state == State::Serving) {
            return Ok(());
        }
        let hosts = self.places(group)?;
        let zone = |place: &Place| places::zone(place, &hosts, &self.members, &listed);
        let (pool, is_peer): (String, Box<dyn Fn(&Listed) -> bool>) = if group.is_cross_zone {
            (format!("target group {}", group.name), Box::new(|_| true))
        } else {
            let own =
                zone(place).ok_or_else(|| BalancerError::UnknownZone { host: target.to_owned(), group: group.name.clone() })?;
            (zone_pool(&own, group), Box::new(move |other: &Listed| zone(&other.place).as_ref() == Some(&own)))
        };
        let left = listed.iter().filter(|other| other.place != *place && other.state == State::Serving && is_peer(other));
        if left.count() >= self.pool_floor {
            return Ok(());
        }
        Err(BalancerError::LastOne { target: target.to_owned(), pool, floor: self.pool_floor })
    }

    /// Read back until it shows.
    async fn is_leaving(&self, target: &str, place: &Place, group: &Group) -> Result<(), BalancerError> {
        let begun = Instant::now();
        loop {
            let listed = group::list(&self.api, group).await?;
            let Some(found) = listed.into_iter().find(|other| other.place == *place) else { return Ok(()) };
            if matches!(found.state, State::Draining | State::Out) {
                return Ok(());
            }
            if begun.elapsed() >= SHOWN_MAX {
                return Err(BalancerError::Ignored { target: target.to_owned(), state: found.reason });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn join(&self, target: &str) -> Result<(), BalancerError> {
        for group in self.groups().await? {
            let place = self.place(target, group)?;
            if group.is_ip {
                let listed = group::list(&self.api, group).await?;
                if listed.iter().any(|other| other.place == place && other.state == State::Draining) {
                    return Err(BalancerError::StillLeaving { target: target.to_owned(), seconds: group.delay.as_secs() });
                }
            }
            self.api.register(&group.arn, &place).await?;
        }
        self.ramping().insert(target.to_owned(), None);
        Ok(())
    }

    async fn is_known(&self, target: &str) -> Result<(), BalancerError> {
        self.groups().await?.iter().try_for_each(|group| self.place(target, group).map(drop))
    }
}

impl Balancer for Alb {
    fn read(&self) -> Answer<'_, Vec<Target>> {
        Box::pin(self.read_all())
    }

    fn drain<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(self.leave(target))
    }

    /// Deregistering has ended the checks already, and idle connections go with it.
    fn maint<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(self.is_known(target))
    }

    fn enable<'a>(&'a self, target: &'a str) -> Answer<'a, ()> {
        Box::pin(self.join(target))
    }

    fn setup(&self) -> Answer<'_, Vec<Setup>> {
        Box::pin(async {
            let mut all = Vec::new();
            for group in self.groups().await? {
                let without_zone = self.without_zone(group).await?;
                all.push(Setup { without_zone, ..survey::survey(&self.api, group).await? });
            }
            Ok(all)
        })
    }

    fn ramp(&self) -> Answer<'_, Duration> {
        Box::pin(async { self.groups().await.map(ramp) })
    }
}

fn zone_pool(zone: &str, group: &Group) -> String {
    format!("{zone} of target group {}, which has no cross-zone balancing", group.name)
}

impl Target {
    /// A host in several groups is what it is in the one where it is worst.
    fn join(&mut self, other: Target) {
        let mut standings = std::mem::take(&mut self.standings);
        standings.extend(other.standings.iter().cloned());
        if rank(other.state) > rank(self.state) {
            *self = other;
        }
        self.standings = standings;
    }
}

fn ramp(groups: &[Group]) -> Duration {
    groups.iter().map(|group| group.slow_start).max().unwrap_or_default()
}

/// The worse, the more.
fn rank(state: State) -> u8 {
    match state {
        State::Serving => 0,
        State::Wavering => 1,
        State::Starting => 2,
        State::Unhealthy => 3,
        State::Draining => 4,
        State::Out => 5,
    }
}
