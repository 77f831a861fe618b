//! The rules: who is registered, who is healthy, who gets requests. No clock and no network: `now` is given, in seconds.

use std::collections::BTreeMap;

use super::config::{Config, Group, Instance};
use super::knobs::Knobs;

/// A target is an instance or an address *and* a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) group: usize,
    pub(super) id: String,
    pub(super) port: u16,
}

#[derive(Debug, Clone)]
struct Target {
    registered_at: f64,
    left_at: Option<f64>,
    health: Health,
    passes: u32,
    fails: u32,
    checked_at: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Health {
    Initial,
    Healthy,
    Unhealthy { reason: &'static str, said: String },
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checked {
    Passed,
    Status(u16),
    Timeout,
    Unreachable,
}

/// What the API says of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) key: Key,
    pub(super) zone: Option<String>,
    pub(super) state: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) said: String,
}

/// What a node does with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Gets requests.
    In,
    /// No new ones; what is under way goes on.
    Draining,
    /// The delay is over: what is still under way is cut.
    Cut,
    Out,
}

/// What the API says no to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    NoSuchGroup,
    /// Code `InvalidTarget`.
    BadTarget(String),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) config: Config,
    pub(super) knobs: Knobs,
    targets: BTreeMap<Key, Target>,
    stopped: Vec<String>,
    /// What was shown at earlier moments, for stale answers.
    history: Vec<(f64, Vec<Shown>)>,
}

/// How far back a stale answer may be.
const HISTORY_SECONDS: f64 = 120.0;

impl World {
    pub(super) fn new(config: Config) -> Self {
        let mut world =
            Self { config, knobs: Knobs::default(), targets: BTreeMap::new(), stopped: Vec::new(), history: Vec::new() };
        for (group, settings) in world.config.groups.clone().into_iter().enumerate() {
            for id in settings.registered {
                // What was there before anybody looked is known to every node.
                world.targets.insert(Key { group, id, port: settings.port }, Target::new(f64::MIN));
            }
        }
        world
    }

    pub(super) fn group(&self, arn: &str) -> Result<usize, Refusal> {
        let is_it = |group: &Group| self.config.group_arn(group) == arn;
        self.config.groups.iter().position(is_it).ok_or(Refusal::NoSuchGroup)
    }

    pub(super) fn stop(&mut self, instance: &str, is_stopped: bool) {
        self.stopped.retain(|id| id != instance);
        if is_stopped {
            self.stopped.push(instance.to_owned());
        }
    }

    pub(super) fn register(&mut self, key: Key, now: f64) -> Result<(), Refusal> {
        let group = self.config.groups.get(key.group).ok_or(Refusal::NoSuchGroup)?;
        if self.instance(&key).is_none() {
            return Err(Refusal::BadTarget(format!("The following targets are not valid: '{}'", key.id)));
        }
        if self.stopped.contains(&key.id) {
            return Err(Refusal::BadTarget(format!("The following targets are not in a running state: '{}'", key.id)));
        }
        if group.is_ip && self.is_draining(&key, now) {
            return Err(Refusal::BadTarget(format!("The IP address '{}' is still being deregistered", key.id)));
        }
        if self.targets.get(&key).is_none_or(|target| target.left_at.is_some()) {
            self.targets.insert(key, Target::new(now));
        }
        Ok(())
    }

    /// Says yes to what was never there, too.
    pub(super) fn deregister(&mut self, key: &Key, now: f64) {
        if let Some(target) = self.targets.get_mut(key).filter(|target| target.left_at.is_none()) {
            target.left_at = Some(now);
        }
    }

    fn is_draining(&self, key: &Key, now: f64) -> bool {
        let left = self.targets.get(key).and_then(|target| target.left_at);
        left.is_some_and(|left| now < left + self.config.groups[key.group].delay())
    }

    pub(super) fn instance(&self, key: &Key) -> Option<&Instance> {
        let is_ip = self.config.groups.get(key.group)?.is_ip;
        let is_it = |instance: &&Instance| if is_ip { instance.address.to_string() == key.id } else { instance.id == key.id };
        self.config.instances.iter().find(is_it)
    }

    /// The targets that are to be checked now.
    pub(super) fn due(&mut self, now: f64) -> Vec<Key> {
        let lag = self.knobs.lag_in;
        let mut due = Vec::new();
        for (key, target) in &mut self.targets {
            let interval = self.config.groups[key.group].interval;
            let is_known = target.left_at.is_none() && now >= target.registered_at + lag;
            if is_known && target.checked_at.is_none_or(|then| now >= then + interval) {
                target.checked_at = Some(now);
                due.push(key.clone());
            }
        }
        due
    }

    /// One pass is enough for a target that was just registered; one that failed needs as many as the group says.
    pub(super) fn checked(&mut self, key: &Key, checked: &Checked) {
        let group = &self.config.groups[key.group];
        let Some(target) = self.targets.get_mut(key) else { return };
        if *checked == Checked::Passed {
            (target.passes, target.fails) = (target.passes + 1, 0);
            if target.health == Health::Initial || target.passes >= group.rise {
                target.health = Health::Healthy;
            }
            return;
        }
        (target.passes, target.fails) = (0, target.fails + 1);
        if target.fails >= group.fall {
            let (reason, said) = match checked {
                Checked::Status(code) => {
                    ("Target.ResponseCodeMismatch", format!("Health checks failed with these codes: [{code}]"))
                }
                Checked::Timeout => ("Target.Timeout", "Request timed out".to_owned()),
                Checked::Passed | Checked::Unreachable => ("Target.FailedHealthChecks", "Health checks failed".to_owned()),
            };
            target.health = Health::Unhealthy { reason, said };
        }
    }

    /// What the API says; stale, if the weather is so.
    pub(super) fn shown(&self, group: usize, now: f64) -> Vec<Shown> {
        let stale = self.knobs.stale;
        if stale > 0.0
            && let Some((_, then)) = self.history.iter().rev().find(|(at, _)| *at <= now - stale)
        {
            return then.iter().filter(|shown| shown.key.group == group).cloned().collect();
        }
        self.targets
            .iter()
            .filter(|(key, _)| key.group == group)
            .filter_map(|(key, target)| self.show(key, target, now))
            .collect()
    }

    /// Lets time pass: what is over is forgotten, what is shown is remembered for a while.
    pub(super) fn pass(&mut self, now: f64) {
        let (groups, lag) = (&self.config.groups, self.knobs.lag_out);
        // The plane must have seen it leave, too.
        self.targets.retain(|key, target| target.left_at.is_none_or(|left| now < left + lag + groups[key.group].delay() + 1.0));
        let all = (0..groups.len()).flat_map(|group| self.current(group, now)).collect();
        self.history.push((now, all));
        self.history.retain(|(at, _)| now - at <= HISTORY_SECONDS);
    }

    fn current(&self, group: usize, now: f64) -> Vec<Shown> {
        self.targets
            .iter()
            .filter(|(key, _)| key.group == group)
            .filter_map(|(key, target)| self.show(key, target, now))
            .collect()
    }

    fn show(&self, key: &Key, target: &Target, now: f64) -> Option<Shown> {
        let group = &self.config.groups[key.group];
        let zone = self.instance(key).map(|instance| instance.zone.clone());
        let is_elsewhere = zone.as_ref().is_some_and(|zone| !self.config.zones.is_empty() && !self.config.zones.contains(zone));
        let (state, reason, said) = match (&target.health, target.left_at) {
            (_, Some(left)) if now >= left + group.delay() => return None,
            (_, Some(_)) => {
                ("draining", Some("Target.DeregistrationInProgress"), "Target deregistration is in progress".to_owned())
            }
            _ if self.stopped.contains(&key.id) => {
                ("unused", Some("Target.InvalidState"), "Target is in the stopped state".to_owned())
            }
            _ if !group.is_used => {
                let said = "Target group is not configured to receive traffic from the load balancer";
                ("unused", Some("Target.NotInUse"), said.to_owned())
            }
            _ if is_elsewhere => {
                let said = "Target is in an Availability Zone that is not enabled for the load balancer";
                ("unused", Some("Target.NotInUse"), said.to_owned())
            }
            (Health::Initial, None) if now < target.registered_at + self.knobs.lag_in => {
                ("initial", Some("Elb.RegistrationInProgress"), "Target registration is in progress".to_owned())
            }
            (Health::Initial, None) => {
                ("initial", Some("Elb.InitialHealthChecking"), "Initial health checks in progress".to_owned())
            }
            (Health::Healthy, None) => ("healthy", None, String::new()),
            (Health::Unhealthy { reason, said }, None) => ("unhealthy", Some(*reason), said.clone()),
        };
        Some(Shown { key: key.clone(), zone: zone.filter(|_| group.is_ip), state, reason, said })
    }

    /// What the nodes of a zone do with each target now; they learn of every change with a lag.
    pub(super) fn routes(&self, zone: Option<&str>, now: f64) -> Vec<(Key, Route)> {
        let mut all = Vec::new();
        for group in 0..self.config.groups.len() {
            let peers = || self.targets.iter().filter(move |(key, _)| key.group == group && self.is_of(key, zone));
            let healthy = peers().filter(|(key, target)| self.counts(key, target, now) && target.health == Health::Healthy);
            let is_open = healthy.count() < self.config.groups[group].fail_open_below();
            all.extend(peers().map(|(key, target)| (key.clone(), self.route(key, target, is_open, now))));
        }
        all
    }

    /// Without cross-zone balancing a node uses the targets of its own zone only.
    fn is_of(&self, key: &Key, zone: Option<&str>) -> bool {
        let is_everywhere = self.config.groups[key.group].is_cross_zone();
        zone.is_none_or(|zone| is_everywhere || self.instance(key).is_some_and(|instance| instance.zone == zone))
    }

    /// Known to the nodes, and not yet seen to leave.
    fn counts(&self, key: &Key, target: &Target, now: f64) -> bool {
        let is_known = now >= target.registered_at + self.knobs.lag_in;
        let has_left = target.left_at.is_some_and(|left| now >= left + self.knobs.lag_out);
        is_known && !has_left && !self.stopped.contains(&key.id) && self.config.groups[key.group].is_used
    }

    fn route(&self, key: &Key, target: &Target, is_open: bool, now: f64) -> Route {
        if self.counts(key, target, now) {
            let serves = match target.health {
                Health::Healthy => true,
                Health::Unhealthy { .. } => is_open,
                Health::Initial => false,
            };
            return if serves { Route::In } else { Route::Out };
        }
        match target.left_at {
            // They wait for the delay from when they hear of it.
            Some(left) if now < left + self.knobs.lag_out + self.config.groups[key.group].delay() => Route::Draining,
            Some(_) => Route::Cut,
            None => Route::Out,
        }
    }
}

impl Target {
    fn new(now: f64) -> Self {
        Self { registered_at: now, left_at: None, health: Health::Initial, passes: 0, fails: 0, checked_at: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(is_ip: bool, attributes: &[(&str, &str)]) -> World {
        let instance = |number: u8| Instance {
            id: format!("i-{number}"),
            name: format!("web{number}"),
            address: [10, 0, 0, number].into(),
            zone: if number == 3 { "b" } else { "a" }.to_owned(),
        };
        let group = Group {
            name: "app".to_owned(),
            port: 5000,
            is_ip,
            backend: None,
            is_used: true,
            check_path: "/".to_owned(),
            interval: 10.0,
            timeout: 1.0,
            rise: 2,
            fall: 2,
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            registered: Vec::new(),
        };
        World::new(Config {
            listen: String::new(),
            region: "lab".to_owned(),
            zones: vec!["a".to_owned(), "b".to_owned()],
            idle_timeout: 60,
            groups: vec![group],
            instances: [1, 2, 3].map(instance).to_vec(),
            plane: None,
            until: None,
            weather: serde_json::Value::Null,
        })
    }

    fn key(id: &str) -> Key {
        Key { group: 0, id: id.to_owned(), port: 5000 }
    }

    fn state(world: &World, id: &str, now: f64) -> String {
        let shown = world.shown(0, now).into_iter().find(|shown| shown.key.id == id);
        shown.map_or_else(|| "gone".to_owned(), |shown| format!("{} {}", shown.state, shown.reason.unwrap_or("-")))
    }

    fn route(world: &World, id: &str, now: f64) -> Option<Route> {
        world.routes(None, now).into_iter().find(|(key, _)| key.id == id).map(|(_, route)| route)
    }

    fn healthy(world: &mut World, ids: &[&str], now: f64) {
        for id in ids {
            world.register(key(id), now).unwrap();
            world.checked(&key(id), &Checked::Passed);
        }
    }

    const DELAY_30: &[(&str, &str)] = &[("deregistration_delay.timeout_seconds", "30")];

    #[test]
    fn one_pass_makes_a_new_target_healthy_and_a_failed_one_needs_more() {
        let mut world = world(false, DELAY_30);
        world.register(key("i-1"), 0.0).unwrap();
        assert_eq!(
            (state(&world, "i-1", 0.0).as_str(), route(&world, "i-1", 0.0)),
            ("initial Elb.InitialHealthChecking", Some(Route::Out))
        );
        assert_eq!(world.due(0.0), [key("i-1")]);
        assert_eq!(world.due(5.0), []);
        world.checked(&key("i-1"), &Checked::Passed);
        assert_eq!((state(&world, "i-1", 1.0).as_str(), route(&world, "i-1", 1.0)), ("healthy -", Some(Route::In)));
        world.checked(&key("i-1"), &Checked::Status(502));
        assert_eq!(state(&world, "i-1", 2.0), "healthy -");
        world.checked(&key("i-1"), &Checked::Status(502));
        assert_eq!(state(&world, "i-1", 3.0), "unhealthy Target.ResponseCodeMismatch");
        world.checked(&key("i-1"), &Checked::Passed);
        assert_eq!(state(&world, "i-1", 4.0), "unhealthy Target.ResponseCodeMismatch");
        world.checked(&key("i-1"), &Checked::Passed);
        assert_eq!(state(&world, "i-1", 5.0), "healthy -");
    }

    #[test]
    fn draining_is_shown_to_the_end_of_the_delay() {
        let mut world = world(false, DELAY_30);
        healthy(&mut world, &["i-1", "i-2"], 0.0);
        world.deregister(&key("i-1"), 10.0);
        world.deregister(&key("i-9"), 10.0);
        for now in [10.0, 39.9] {
            assert_eq!(state(&world, "i-1", now), "draining Target.DeregistrationInProgress");
            assert_eq!(route(&world, "i-1", now), Some(Route::Draining));
        }
        assert_eq!((state(&world, "i-1", 40.0).as_str(), route(&world, "i-1", 40.0)), ("gone", Some(Route::Cut)));
        world.pass(42.0);
        assert_eq!(route(&world, "i-1", 42.0), None);
        world.register(key("i-1"), 43.0).unwrap();
        assert_eq!(state(&world, "i-1", 43.0), "initial Elb.InitialHealthChecking");
    }

    #[test]
    fn an_instance_may_come_back_while_it_drains_and_an_address_may_not() {
        let mut instances = world(false, DELAY_30);
        healthy(&mut instances, &["i-1"], 0.0);
        instances.deregister(&key("i-1"), 1.0);
        instances.register(key("i-1"), 2.0).unwrap();
        assert_eq!(state(&instances, "i-1", 2.0), "initial Elb.InitialHealthChecking");
        let mut addresses = world(true, DELAY_30);
        healthy(&mut addresses, &["10.0.0.1"], 0.0);
        addresses.deregister(&key("10.0.0.1"), 1.0);
        assert!(matches!(addresses.register(key("10.0.0.1"), 30.0), Err(Refusal::BadTarget(_))));
        addresses.register(key("10.0.0.1"), 31.0).unwrap();
        assert_eq!(state(&addresses, "10.0.0.1", 31.0), "initial Elb.InitialHealthChecking");
    }

    #[test]
    fn nodes_follow_the_api_with_a_lag() {
        let mut world = world(false, DELAY_30);
        healthy(&mut world, &["i-1", "i-2"], 0.0);
        (world.knobs.lag_in, world.knobs.lag_out) = (5.0, 20.0);
        world.deregister(&key("i-1"), 100.0);
        assert_eq!(state(&world, "i-1", 100.0), "draining Target.DeregistrationInProgress");
        assert_eq!((route(&world, "i-1", 119.0), route(&world, "i-1", 120.0)), (Some(Route::In), Some(Route::Draining)));
        // The API has shown it as gone for a while by then; the nodes wait for their requests as long as anybody does.
        assert_eq!(state(&world, "i-1", 149.0), "gone");
        assert_eq!((route(&world, "i-1", 149.0), route(&world, "i-1", 150.0)), (Some(Route::Draining), Some(Route::Cut)));
        world.register(key("i-3"), 100.0).unwrap();
        assert_eq!(state(&world, "i-3", 104.0), "initial Elb.RegistrationInProgress");
        assert!(!world.due(104.0).contains(&key("i-3")) && world.due(105.0).contains(&key("i-3")));
    }

    #[test]
    fn two_ports_of_an_instance_are_two_targets() {
        let mut world = world(false, DELAY_30);
        healthy(&mut world, &["i-1"], 0.0);
        let other = Key { port: 5001, ..key("i-1") };
        world.register(other.clone(), 0.0).unwrap();
        world.deregister(&key("i-1"), 1.0);
        let states: Vec<_> = world.shown(0, 1.0).into_iter().map(|shown| (shown.key.port, shown.state)).collect();
        assert_eq!(states, [(5000, "draining"), (5001, "initial")]);
    }

    #[test]
    fn with_only_unhealthy_targets_all_of_them_get_requests() {
        let mut world = world(false, DELAY_30);
        healthy(&mut world, &["i-1", "i-2"], 0.0);
        let fail = |world: &mut World, id: &str| (0..2).for_each(|_| world.checked(&key(id), &Checked::Timeout));
        fail(&mut world, "i-1");
        assert_eq!(route(&world, "i-1", 1.0), Some(Route::Out));
        fail(&mut world, "i-2");
        assert_eq!((route(&world, "i-1", 1.0), route(&world, "i-2", 1.0)), (Some(Route::In), Some(Route::In)));
    }

    #[test]
    fn zones_stand_alone_without_cross_zone_balancing() {
        let mut world = world(false, &[("load_balancing.cross_zone.enabled", "false")]);
        healthy(&mut world, &["i-1", "i-2", "i-3"], 0.0);
        let of = |world: &World, zone| world.routes(Some(zone), 1.0).into_iter().map(|(key, _)| key.id).collect::<Vec<_>>();
        assert_eq!((of(&world, "a"), of(&world, "b")), (vec!["i-1".to_owned(), "i-2".to_owned()], vec!["i-3".to_owned()]));
        world.config.groups[0].attributes.clear();
        assert_eq!(of(&world, "b").len(), 3);
    }

    #[test]
    fn unused_says_why() {
        let mut world = world(false, DELAY_30);
        healthy(&mut world, &["i-1", "i-3"], 0.0);
        world.stop("i-1", true);
        assert_eq!(state(&world, "i-1", 1.0), "unused Target.InvalidState");
        assert!(world.register(key("i-1"), 1.0).is_err() && world.register(key("i-9"), 1.0).is_err());
        world.config.zones = vec!["a".to_owned()];
        assert_eq!(state(&world, "i-3", 1.0), "unused Target.NotInUse");
        world.config.groups[0].is_used = false;
        world.stop("i-1", false);
        assert_eq!((state(&world, "i-1", 1.0).as_str(), route(&world, "i-1", 1.0)), ("unused Target.NotInUse", Some(Route::Out)));
    }

    #[test]
    fn a_stale_answer_is_that_of_an_earlier_moment() {
        let mut world = world(false, DELAY_30);
        healthy(&mut world, &["i-1"], 0.0);
        world.pass(0.0);
        world.deregister(&key("i-1"), 1.0);
        world.pass(1.0);
        world.knobs.stale = 5.0;
        assert_eq!(state(&world, "i-1", 5.5), "healthy -");
        assert_eq!(state(&world, "i-1", 6.0), "draining Target.DeregistrationInProgress");
    }
}
