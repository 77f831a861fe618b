//! `_quiet`: waits until nothing is connected to the app any more, as the host itself sees it.
//!
//! What is looked at: the TCP table of the *container's* network namespace (published ports are translated before they reach it, so
//! the host's own table shows nothing), ten times a second, and the kernel's count of accepted connections there.
//!
//! What counts as traffic, for connections to the app's port (without one: to whatever the container listens on) from any peer that
//! is not in `ignore` (the container's own loopback is always ignored: that is its own health check):
//! - **open**: one that is established, or half-closed by its peer, for longer than `probe_max` seconds. A request that takes its time
//!   is such a connection; so is an idle keep-alive connection, which cannot be told from one by looking at it. HAProxy closes those
//!   when the server goes from `drain` to `maint`; elsewhere the app's own keep-alive limit does: they cost seconds, never a request.
//! - **new**: more accepted connections within the quiet time than probes explain: one for each `probe_every` seconds and prober, and
//!   one more for the edge of the window; likewise for the container's own health check, whose interval Docker knows.
//!
//! The app is quiet when neither was seen for `quiet` seconds in a row. That proves: no request that was under way when the
//! drain began is still under way, and requests have stopped to arrive faster than health checks do. It does not prove that a single
//! short request could not still come: the balancer's own word (drained, no sessions) is the other half, and the engine asks for both.
//! At `cap` the answer is `quiet: false` with what is still open; whether to go on is not decided here.

use super::sockets::{self, Connection};
use super::{COLLECTION, Engine};
use crate::modules::docker::engine::{at, bool_at, int_at};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

pub(in crate::modules) static MODULE: Module = Module {
    name: "_quiet",
    collection: COLLECTION,
    summary: "wait until nothing is connected to the app",
    args: &[&[
        Arg::new("container", Kind::Str, "name of the app's container").required(),
        Arg::new("parked", Kind::Int, "rather the container that was put aside in this rollout"),
        Arg::new(
            "port",
            Kind::Int,
            "port of the host, or of the container where it is not published; 0 for whatever it listens on",
        )
        .required(),
        Arg::new("quiet", Kind::Float, "seconds without traffic").default("3"),
        Arg::new("cap", Kind::Float, "seconds after which the waiting ends").default("60"),
        Arg::new("ignore", Kind::List, "addresses whose connections do not count"),
        Arg::new("probe_max", Kind::Float, "seconds that a health check's connection may last").default("1"),
        Arg::new("probe_every", Kind::Float, "seconds between two health checks of one prober").default("1"),
        Arg::new("probers", Kind::Int, "how many check the app's health").default("1"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const SAMPLE_EVERY: Duration = Duration::from_millis(100);
const SAY_EVERY: f64 = 3.0;
/// How many of those that are connected are named.
const PEERS_MAX: usize = 3;

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(&Args::default(), look)?;
    let name = args.required("container")?;
    let name = args.int("parked").map_or_else(|| name.to_owned(), |generation| super::parked_name(name, generation));
    let container = engine.container(&name)?;
    let mut plan = Plan::default();
    let Some(container) = container.filter(|container| bool_at(container, &["State", "Running"])) else {
        plan.set("quiet", true).set("waited", 0.0).set("open", 0_i64).set("new", 0_i64);
        return Ok(plan);
    };
    let door = door(&container, args.int("port").unwrap_or_default())?;
    let mut watch = Watch::new(args, look, int_at(&container, &["State", "Pid"]), door);
    watch.probes += own_checks(&container, watch.quiet);
    let end = watch.wait();
    plan.set("quiet", end.is_quiet).set("waited", end.waited);
    plan.set("open", end.open).set("new", end.new).set("seen", end.seen);
    Ok(plan)
}

/// How often the container's own health check may connect within the quiet time.
fn own_checks(container: &Value, quiet: f64) -> u64 {
    let test = at(container, &["Config", "Healthcheck", "Test"]).and_then(Value::as_list).unwrap_or_default();
    if test.first().is_none_or(|kind| kind.as_str() == Some("NONE")) {
        return 0;
    }
    let interval = int_at(container, &["Config", "Healthcheck", "Interval"]);
    // Docker's own default, where the image and the task say nothing.
    let interval = if interval > 0 { interval as f64 / 1e9 } else { 30.0 };
    (quiet / interval).floor() as u64 + 1
}

/// Where a port of the host leads to inside.
fn door(container: &Value, port: i64) -> Result<Door, Failure> {
    if port == 0 && !super::is_on_host_network(container) {
        return Ok(Door::Any);
    }
    let published = at(container, &["NetworkSettings", "Ports"]).and_then(Value::as_map);
    let leads_there = |bindings: &Value| {
        let bindings = bindings.as_list().unwrap_or_default();
        bindings.iter().any(|binding| binding.get("HostPort").and_then(Value::to_int) == Some(port))
    };
    let inside = published.into_iter().flatten().find(|(_, bindings)| leads_there(bindings));
    let inside = inside.and_then(|(name, _)| name.to_string().split('/').next()?.parse().ok());
    let port = inside.map_or_else(|| u16::try_from(port).map_err(|_| Failure::new(format!("{port} is not a port"))), Ok);
    port.map(Door::Port)
}

/// Where those connect to whose traffic counts.
#[derive(Clone, Copy)]
enum Door {
    Port(u16),
    /// Whatever is listened on.
    Any,
}

/// One wait, with what it has seen.
struct Watch<'a> {
    look: &'a dyn Look,
    pid: i64,
    door: Door,
    quiet: f64,
    cap: f64,
    probe_max: f64,
    /// New connections within the quiet time that probes explain.
    probes: u64,
    ignore: Vec<IpAddr>,
    /// When each connection was first seen.
    since: BTreeMap<(IpAddr, u16), f64>,
    /// Accepted connections so far, over the last quiet time.
    accepted: VecDeque<(f64, u64)>,
}

struct End {
    is_quiet: bool,
    waited: f64,
    /// Connections that were still open.
    open: usize,
    new: u64,
    /// The last look, for people.
    seen: String,
}

/// What one sample shows.
struct Sample {
    /// Since when each connection that counts is open, with its peer.
    open: Vec<(f64, IpAddr)>,
    /// Accepted within the quiet time.
    new: u64,
}

impl<'a> Watch<'a> {
    fn new(args: &Args, look: &'a dyn Look, pid: i64, door: Door) -> Watch<'a> {
        let number = |name: &str| args.float(name).unwrap_or_default().max(0.0);
        let probers = u64::try_from(args.int("probers").unwrap_or(1)).unwrap_or_default();
        let each = (number("quiet") / number("probe_every").max(0.1)).floor() as u64 + 1;
        Watch {
            look,
            pid,
            door,
            quiet: number("quiet"),
            cap: number("cap"),
            probe_max: number("probe_max"),
            probes: each * probers,
            ignore: args.list("ignore").iter().filter_map(|address| address.parse().ok()).collect(),
            since: BTreeMap::new(),
            accepted: VecDeque::new(),
        }
    }

    fn wait(&mut self) -> End {
        let start = self.look.now();
        let (mut quiet_since, mut said) = (None, start);
        loop {
            let now = self.look.now();
            let Some(sample) = self.sample(now) else {
                // The namespace is gone, and every connection with it.
                return End { is_quiet: true, waited: now - start, open: 0, new: 0, seen: String::new() };
            };
            let is_traffic = !sample.open.is_empty() || sample.new > self.probes;
            // From the first look that found nothing, not from the last one that found something.
            quiet_since = if is_traffic { None } else { quiet_since.or(Some(now)) };
            let is_quiet = quiet_since.is_some_and(|since| now - since >= self.quiet);
            if is_quiet || now - start >= self.cap {
                let seen = line(&sample, now, quiet_since, self.quiet);
                return End { is_quiet, waited: now - start, open: sample.open.len(), new: sample.new, seen };
            }
            if now - said >= SAY_EVERY {
                said = now;
                self.look.say(&line(&sample, now, quiet_since, self.quiet));
            }
            self.look.sleep(SAMPLE_EVERY);
        }
    }

    /// None where the container's main process has ended.
    fn sample(&mut self, now: f64) -> Option<Sample> {
        let read = |name: &str| self.look.text(&format!("/proc/{}/net/{name}", self.pid)).ok().flatten();
        let (tcp, tcp6) = (read("tcp")?, read("tcp6").unwrap_or_default());
        let accepted = read("snmp").as_deref().and_then(sockets::accepted);
        let mut found = sockets::parse(&tcp);
        found.extend(sockets::parse(&tcp6));
        let listening: BTreeSet<u16> = found.iter().filter(|one| one.is_listening()).map(|one| one.port).collect();
        found.retain(|connection| self.counts(connection, &listening));
        let mut since = BTreeMap::new();
        for connection in &found {
            let key = (connection.peer, connection.peer_port);
            since.insert(key, self.since.get(&key).copied().unwrap_or(now));
        }
        self.since = since;
        let open =
            self.since.iter().filter(|(_, since)| now - **since >= self.probe_max).map(|((peer, _), since)| (*since, *peer));
        Some(Sample { open: open.collect(), new: self.newly_accepted(now, accepted) })
    }

    fn counts(&self, connection: &Connection, listening: &BTreeSet<u16>) -> bool {
        let is_ignored = connection.peer.is_loopback() || self.ignore.contains(&connection.peer);
        let is_here = match self.door {
            Door::Port(port) => connection.port == port,
            Door::Any => listening.contains(&connection.port),
        };
        is_here && connection.is_open() && !is_ignored
    }

    /// Over the last quiet time; a shorter watch has seen less, which is why quiet needs the whole of it.
    fn newly_accepted(&mut self, now: f64, accepted: Option<u64>) -> u64 {
        let Some(accepted) = accepted else { return 0 };
        self.accepted.push_back((now, accepted));
        while self.accepted.len() > 1 && self.accepted.get(1).is_some_and(|(then, _)| now - then >= self.quiet) {
            self.accepted.pop_front();
        }
        self.accepted.front().map_or(0, |(_, first)| accepted.saturating_sub(*first))
    }
}

fn line(sample: &Sample, now: f64, quiet_since: Option<f64>, quiet: f64) -> String {
    let oldest = sample.open.iter().map(|(since, _)| now - since).fold(0.0, f64::max);
    let peers: BTreeSet<String> = sample.open.iter().map(|(_, peer)| peer.to_string()).collect();
    let peers = peers.into_iter().take(PEERS_MAX).collect::<Vec<_>>().join(", ");
    match (sample.open.len(), quiet_since) {
        (_, Some(since)) => format!("no traffic for {:.0} of {quiet:.0} s", now - since),
        (0, None) => format!("{} new connections in {quiet:.0} s", sample.new),
        (1, None) => format!("1 connection open, {oldest:.0} s old, from {peers}"),
        (count, None) => format!("{count} connections open, oldest {oldest:.0} s, from {peers}"),
    }
}
