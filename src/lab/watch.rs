//! Watching the balancer while something is rolled out: how many targets serve, and which ones were out for how long. Read from
//! HAProxy's own counters, so it holds whatever `roll` itself believes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::failure::LabError;
use super::http;
use super::outputs::SECOND_SERVER;

/// How often the counters are read.
const EVERY: Duration = Duration::from_millis(200);
const PATH: &str = "/stats;csv";

/// A target that was out of rotation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Outage {
    pub(crate) name: String,
    /// How long; up to now where it is still out.
    pub(crate) seconds: f64,
    pub(crate) is_back: bool,
}

#[derive(Debug, Default)]
struct Seen {
    fewest_live: Option<usize>,
    reads: u64,
    out_since: BTreeMap<String, Instant>,
    over: Vec<(String, Duration)>,
}

/// A watch on one backend; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    _job: JoinSet<()>,
}

impl Watch {
    pub(crate) fn start(address: String, backend: String) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut job = JoinSet::new();
        job.spawn(watch(address, backend, seen.clone()));
        Self { seen, _job: job }
    }

    /// The fewest targets that served at any reading; none where nothing could be read.
    pub(crate) fn fewest_live(&self) -> Option<usize> {
        lock(&self.seen).fewest_live
    }

    pub(crate) fn reads(&self) -> u64 {
        lock(&self.seen).reads
    }

    /// The outages since the last time this was asked.
    pub(crate) fn take_outages(&self) -> Vec<Outage> {
        lock(&self.seen).take_outages(Instant::now())
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(address: String, backend: String, seen: Arc<Mutex<Seen>>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(answer) = http::get(&address, PATH).await {
            lock(&seen).read(&targets(&answer.body, &backend), Instant::now());
        }
    }
}

/// Waits until that many targets of a backend serve.
pub(crate) async fn wait_for_live(address: &str, backend: &str, wanted: usize, deadline: Duration) -> Result<(), LabError> {
    let until = Instant::now() + deadline;
    loop {
        let last = match http::get(address, PATH).await {
            Ok(answer) => {
                let targets = targets(&answer.body, backend);
                if targets.iter().filter(|(_, is_live)| *is_live).count() >= wanted {
                    return Ok(());
                }
                format!("{targets:?}")
            }
            Err(because) => because,
        };
        if Instant::now() >= until {
            return Err(LabError::Late { on: "every target to serve".into(), seconds: deadline.as_secs(), tail: last });
        }
        sleep(EVERY).await;
    }
}

impl Seen {
    fn read(&mut self, targets: &[(String, bool)], now: Instant) {
        if targets.is_empty() {
            return;
        }
        self.reads += 1;
        let live = targets.iter().filter(|(_, is_live)| *is_live).count();
        self.fewest_live = Some(self.fewest_live.map_or(live, |fewest| fewest.min(live)));
        for (name, is_live) in targets {
            if !is_live {
                self.out_since.entry(name.clone()).or_insert(now);
            } else if let Some(since) = self.out_since.remove(name) {
                self.over.push((name.clone(), now.duration_since(since)));
            }
        }
    }

    fn take_outages(&mut self, now: Instant) -> Vec<Outage> {
        let over = std::mem::take(&mut self.over).into_iter().map(|(name, lasted)| (name, lasted, true));
        let open = self.out_since.iter().map(|(name, since)| (name.clone(), now.duration_since(*since), false));
        let outage = |(name, lasted, is_back): (String, Duration, bool)| {
            let seconds = (lasted.as_secs_f64() * 10.0).round() / 10.0;
            Outage { name, seconds, is_back }
        };
        over.chain(open).map(outage).collect()
    }
}

/// The targets of a backend in HAProxy's CSV, and whether each takes new requests.
fn targets(csv: &str, backend: &str) -> Vec<(String, bool)> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let column = |name: &str| names.iter().position(|known| *known == name);
    let (Some(proxy), Some(server), Some(status)) = (column("pxname"), column("svname"), column("status")) else {
        return Vec::new();
    };
    lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|cells| cells.get(proxy) == Some(&backend))
        .filter_map(|cells| Some((*cells.get(server)?, *cells.get(status)?)))
        .filter(|(server, _)| !matches!(*server, "FRONTEND" | "BACKEND"))
        // `UP`, or `UP 1/2` while it begins to fail; drained ones say `DRAIN`.
        .map(|(server, status)| (server.strip_suffix(SECOND_SERVER).unwrap_or(server), is_live(status)))
        // A host with two servers serves as long as one of them does.
        .fold(Vec::new(), |mut hosts: Vec<(String, bool)>, (host, is_live)| {
            match hosts.iter_mut().find(|(known, _)| known == host) {
                Some((_, serves)) => *serves |= is_live,
                None => hosts.push((host.to_owned(), is_live)),
            }
            hosts
        })
}

/// One without checks serves whenever it is not taken out.
fn is_live(status: &str) -> bool {
    status == "UP" || status.starts_with("UP ") || status == "no check"
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "# pxname,svname,qcur,status,weight\n\
                       http,FRONTEND,,OPEN,\n\
                       app,web1,0,UP,1\n\
                       app,web2,0,UP 1/2,1\n\
                       app,web3,0,DRAIN,1\n\
                       app,web4,0,MAINT,1\n\
                       app,web5,0,DOWN 1/2,1\n\
                       app,web6,0,no check,1\n\
                       app,BACKEND,0,UP,2\n\
                       stats,BACKEND,0,UP,0\n";

    #[test]
    fn only_servers_of_the_backend_that_take_requests_are_live() {
        let live = |name: &str| targets(CSV, "app").into_iter().find(|(server, _)| server == name).map(|(_, live)| live);
        assert_eq!([live("web1"), live("web2"), live("web6")], [Some(true); 3]);
        assert_eq!([live("web3"), live("web4"), live("web5")], [Some(false); 3]);
        assert_eq!((live("BACKEND"), live("FRONTEND")), (None, None));
        assert!(targets("", "app").is_empty() && targets("no,such,columns\n", "app").is_empty());
    }

    #[test]
    fn one_of_two_servers_is_enough() {
        let csv = "# pxname,svname,status\napp,web1,MAINT\napp,web1-5001,UP\napp,web2,DOWN\napp,web2-5001,DRAIN\n";
        assert_eq!(targets(csv, "app"), [("web1".to_owned(), true), ("web2".to_owned(), false)]);
    }

    #[test]
    fn the_fewest_and_each_outage_are_remembered() {
        let mut seen = Seen::default();
        let start = Instant::now();
        let read = |seen: &mut Seen, web1: bool, web2: bool, at: u64| {
            seen.read(&[("web1".into(), web1), ("web2".into(), web2)], start + Duration::from_secs(at));
        };
        read(&mut seen, true, true, 0);
        read(&mut seen, false, true, 1);
        read(&mut seen, true, true, 4);
        read(&mut seen, true, false, 5);
        assert_eq!(seen.fewest_live, Some(1));
        let outage = |name: &str, seconds, is_back| Outage { name: name.into(), seconds, is_back };
        assert_eq!(seen.take_outages(start + Duration::from_secs(7)), [outage("web1", 3.0, true), outage("web2", 2.0, false)]);
        read(&mut seen, true, true, 8);
        assert_eq!(seen.take_outages(start + Duration::from_secs(9)), [outage("web2", 3.0, true)]);
    }

    #[test]
    fn a_reading_without_targets_is_no_reading() {
        let mut seen = Seen::default();
        seen.read(&[], Instant::now());
        assert_eq!((seen.fewest_live, seen.reads), (None, 0));
    }
}
