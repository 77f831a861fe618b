//! The process around the world: its API, its checks, its hand on the data plane, and the knobs of the tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::actions::{No, act};
use super::checks::check;
use super::config::{Config, Plane};
use super::knobs::{Gust, Knobs, Shares};
use super::plane::{self, Wanted};
use super::query::Query;
use super::server::{self, Answer, Request};
use super::world::{Checked, Key, Route, World};
use super::xml;
use crate::lab::failure::LabError;

/// How often time passes: checks begin, the data plane follows.
const TICK: Duration = Duration::from_millis(100);
/// Paths of the knobs; everything else is the API.
const ADMIN: &str = "/_double/";

/// A double that runs; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    jobs: JoinSet<()>,
}

/// One call of the API, for the tests.
#[derive(Debug, Clone, Serialize)]
struct Call {
    at: f64,
    action: String,
    status: u16,
    targets: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    world: World,
    shares: Shares,
    calls: Vec<Call>,
    /// What the data plane last said no to.
    plane_says: Option<String>,
}

#[derive(Debug, Clone)]
struct Stage {
    shared: Arc<Mutex<Shared>>,
    begun: Instant,
}

impl Double {
    pub(crate) async fn start(config: Config) -> Result<Double, LabError> {
        let listen = config.listen.clone();
        let failed = |source| LabError::Start { program: format!("the load balancer's API on {listen}"), source };
        let listener = TcpListener::bind(&listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let until = config.until.clone();
        let plane = config.plane.clone();
        let weather = config.weather.clone();
        let mut shared = Shared { world: World::new(config), shares: Shares::default(), calls: Vec::new(), plane_says: None };
        if !weather.is_null() {
            let turned = shared.turn(&weather.to_string());
            turned.map_err(|because| LabError::BadAnswer { from: "the weather of the double".to_owned(), answer: because })?;
        }
        let stage = Stage { shared: Arc::new(Mutex::new(shared)), begun: Instant::now() };
        let mut jobs = JoinSet::new();
        let answering = stage.clone();
        jobs.spawn(server::serve(listener, move |request| answering.clone().answer(request)));
        jobs.spawn(async move {
            let run = stage.run(plane);
            match until {
                None => run.await,
                Some(path) => tokio::select! {
                    () = run => {}
                    () = gone(path) => {}
                },
            }
        });
        Ok(Double { address, jobs })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Until what it was made for is gone.
    pub(crate) async fn finish(mut self) {
        // The server never ends by itself; time does.
        let _ = self.jobs.join_next().await;
    }
}

async fn gone(path: std::path::PathBuf) {
    while path.exists() {
        sleep(Duration::from_secs(1)).await;
    }
}

impl Stage {
    fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time: what is due is checked, and the data plane is made as it should be.
    async fn run(self, plane: Option<Plane>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut checks = JoinSet::new();
        loop {
            ticks.tick().await;
            while checks.try_join_next().is_some() {}
            let now = self.now();
            let due = {
                let mut shared = self.shared();
                shared.world.pass(now);
                shared.world.due(now)
            };
            for key in due {
                checks.spawn(self.clone().check(key));
            }
            if let Some(plane) = &plane {
                let wanted = self.shared().world.wanted(now);
                let applied = plane::apply(plane, &wanted).await;
                self.shared().plane_says = applied.err().map(|error| error.to_string());
            }
        }
    }

    async fn check(self, key: Key) {
        let found = {
            let world = &self.shared().world;
            let group = &world.config.groups[key.group];
            let address = world.instance(&key).map(|instance| SocketAddr::new(instance.address, key.port).to_string());
            address.map(|address| (address, group.check_path.clone(), group.timeout))
        };
        let checked = match found {
            Some((address, path, timeout)) => check(&address, &path, timeout).await,
            None => Checked::Unreachable,
        };
        self.shared().world.checked(&key, &checked);
    }

    async fn answer(self, request: Request) -> Option<Answer> {
        if let Some(knob) = request.path.strip_prefix(ADMIN) {
            return Some(self.admin(knob, &request));
        }
        let query = Query::parse(if request.method == "GET" { request.path.split_once('?')?.1 } else { &request.body });
        let (pause, frozen) = {
            let knobs = &self.shared().world.knobs;
            (knobs.pause(), knobs.frozen)
        };
        sleep(pause).await;
        if frozen {
            std::future::pending::<()>().await;
        }
        let now = self.now();
        let mut shared = self.shared();
        let result = shared.call(&query, &request, now);
        let request_id = format!("00000000-0000-4000-8000-{:012x}", shared.calls.len());
        let (status, body) = match result {
            Ok(xml) => (200, xml::answer(query.action(), &xml, &request_id)),
            Err(No { status, code, said }) => {
                let kind = if status < 500 { "Sender" } else { "Receiver" };
                (status, xml::error(kind, code, &said, &request_id))
            }
        };
        let targets = query.entries("Targets", "Id", "Port");
        let targets = targets.into_iter().map(|(id, port)| format!("{id}:{}", port.unwrap_or_default())).collect();
        shared.calls.push(Call { at: now, action: query.action().to_owned(), status, targets });
        Some(Answer { status, kind: "text/xml", request_id, body })
    }

    fn admin(&self, knob: &str, request: &Request) -> Answer {
        let now = self.now();
        let mut shared = self.shared();
        let outcome = match (request.method.as_str(), knob) {
            ("POST", "knobs") => shared.turn(&request.body),
            ("POST", "stop") => {
                shared.world.stop(request.body.trim(), true);
                Ok(String::new())
            }
            ("POST", "start") => {
                shared.world.stop(request.body.trim(), false);
                Ok(String::new())
            }
            ("GET", "knobs") => json(&shared.world.knobs),
            ("GET", "calls") => json(&shared.calls),
            ("GET", "views") => json(&shared.world.views(now)),
            ("GET", "plane") => json(&shared.plane_says),
            _ => Err(format!("there is no knob `{knob}`")),
        };
        let (status, body) = outcome.map_or_else(|error| (400, error), |body| (200, body));
        Answer { status, kind: "application/json", request_id: "admin".to_owned(), body }
    }
}

fn json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

impl Shared {
    /// The knobs that are named; the others stay.
    fn turn(&mut self, body: &str) -> Result<String, String> {
        let failed = |error: serde_json::Error| error.to_string();
        let named: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body).map_err(failed)?;
        let mut all = serde_json::to_value(&self.world.knobs).map_err(failed)?;
        named.into_iter().for_each(|(name, value)| all[name] = value);
        let knobs: Knobs = serde_json::from_value(all).map_err(failed)?;
        self.world.knobs = knobs;
        json(&self.world.knobs)
    }

    fn call(&mut self, query: &Query, request: &Request, now: f64) -> Result<xml::Xml, No> {
        let no = |status, code, said: &str| Err(No { status, code, said: said.to_owned() });
        if !request.headers.get("authorization").is_some_and(|header| header.starts_with("AWS4-HMAC-SHA256 Credential=")) {
            return no(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
        }
        match self.world.knobs.gust(query.action(), now, &mut self.shares) {
            None => act(&mut self.world, query, now),
            Some(Gust::Throttled) => no(400, "Throttling", "Rate exceeded"),
            Some(Gust::Failed) => no(500, "InternalFailure", "An internal error has occurred"),
            Some(Gust::Expired) => no(403, "ExpiredToken", "The security token included in the request is expired"),
            Some(Gust::Denied) => {
                let said = format!("User is not authorized to perform: elasticloadbalancing:{}", query.action());
                no(403, "AccessDenied", &said)
            }
            Some(Gust::Ignored) => Ok(xml::Xml::Children(Vec::new())),
        }
    }
}

impl World {
    /// What the data plane should be: one HAProxy stands for the nodes of all zones.
    fn wanted(&self, now: f64) -> Vec<Wanted> {
        let server = |(key, route): (Key, Route)| {
            let group = &self.config.groups[key.group];
            let instance = self.instance(&key)?;
            let name = if key.port == group.port { instance.name.clone() } else { format!("{}-{}", instance.name, key.port) };
            let address = SocketAddr::new(instance.address, key.port);
            Some(Wanted { backend: group.backend.clone()?, name, address, route })
        };
        self.routes(None, now).into_iter().filter_map(server).collect()
    }

    /// The targets that get requests, as the nodes of each zone see it.
    fn views(&self, now: f64) -> BTreeMap<String, Vec<String>> {
        let view = |zone: &String| {
            let routes = self.routes(Some(zone), now).into_iter();
            let serving = routes.filter(|(_, route)| *route == Route::In).map(|(key, _)| format!("{}:{}", key.id, key.port));
            (zone.clone(), serving.collect())
        };
        self.config.zones.iter().map(view).collect()
    }
}
