//! A Docker engine without containers: it remembers what it is told, and answers as the daemon does. What runs is a word in its books.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What one host's engine knows.
#[derive(Default)]
pub(super) struct Books {
    containers: Vec<Container>,
    /// Tags and the images that they name.
    images: BTreeMap<String, (String, Value)>,
    made: usize,
    /// Every request that changed something.
    pub(super) acts: Vec<String>,
    /// What is refused from now on: `POST /containers/create?name=shop`.
    pub(super) refuses: Option<fn(&str) -> bool>,
    /// The port of something that is no container, and answers as release `nine`.
    pub(super) process: Option<u16>,
    /// The last words of every container.
    pub(super) logs: String,
}

#[derive(Debug, Clone)]
struct Container {
    id: String,
    name: String,
    image: String,
    image_id: String,
    running: bool,
    policy: String,
    config: Value,
    restarts: usize,
    /// Of the host.
    port: Option<u16>,
    /// Whose connections are its own.
    pid: u32,
    network: &'static str,
}

impl Container {
    fn shown(&self) -> Value {
        let mut config = self.config.clone();
        config["Image"] = json!(self.image);
        config["Tty"] = json!(true);
        let bound = |port: u16| json!({ "80/tcp": [{ "HostIp": "0.0.0.0", "HostPort": port.to_string() }] });
        let bindings = self.port.map_or_else(|| json!({}), bound);
        let ports = if self.running { bindings.clone() } else { json!({}) };
        json!({
            "Id": self.id, "Name": format!("/{}", self.name), "Image": self.image_id, "Config": config,
            "RestartCount": self.restarts, "Mounts": [],
            "State": { "Running": self.running, "Status": if self.running { "running" } else { "exited" }, "Pid": self.pid,
                       "ExitCode": 0, "StartedAt": "2026-01-01T00:00:00Z" },
            "HostConfig": { "RestartPolicy": { "Name": self.policy, "MaximumRetryCount": 0 }, "AutoRemove": false, "NetworkMode": self.network, "PortBindings": bindings },
            "NetworkSettings": { "Ports": ports, "Networks": {} },
        })
    }
}

impl Books {
    /// The connections of a process are those of every container there is.
    pub(super) fn connected_as(&mut self, pid: u32) {
        self.containers.iter_mut().for_each(|container| container.pid = pid);
    }

    /// Every container there is uses the network of its host.
    pub(super) fn on_host_network(&mut self) {
        self.containers.iter_mut().for_each(|container| container.network = "host");
    }

    /// The tag of what runs under this name.
    pub(super) fn running(&self, name: &str) -> Option<String> {
        let container = self.containers.iter().find(|container| container.name == name && container.running)?;
        Some(container.image.rsplit(':').next().unwrap_or_default().to_owned())
    }

    /// The tag of what listens there. Where nobody has a port, it is what runs under the name.
    pub(super) fn listening(&self, name: &str, port: u16) -> Option<String> {
        if self.process == Some(port) {
            return Some("nine".to_owned());
        }
        if self.containers.iter().all(|container| container.port.is_none()) {
            return self.running(name);
        }
        let container = self.containers.iter().find(|container| container.port == Some(port) && container.running)?;
        Some(container.image.rsplit(':').next().unwrap_or_default().to_owned())
    }

    /// Where the container of this name is published.
    pub(super) fn port(&self, name: &str) -> Option<u16> {
        self.containers.iter().find(|container| container.name == name)?.port
    }

    pub(super) fn publish(&mut self, name: &str, port: u16) {
        self.containers.iter_mut().filter(|container| container.name == name).for_each(|container| container.port = Some(port));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.containers.retain(|container| container.name != name);
    }

    /// All containers, with what is aside: `shop=two shop.parked-1=one(stopped)`.
    pub(super) fn shown(&self) -> String {
        let mut all: Vec<String> = self.containers.iter().map(Books::word).collect();
        all.sort();
        all.join(" ")
    }

    fn word(container: &Container) -> String {
        let tag = container.image.rsplit(':').next().unwrap_or_default();
        format!("{}={tag}{}", container.name, if container.running { "" } else { "(stopped)" })
    }

    pub(super) fn begin(&mut self, name: &str, tag: &str) {
        let id = self.create(name, &json!({ "Image": format!("{name}:{tag}") }));
        self.containers.iter_mut().filter(|container| container.id == id).for_each(|container| container.running = true);
    }

    /// As a rollout parks it.
    pub(super) fn put_aside(&mut self, name: &str, tag: &str, generation: i64) {
        let id = self.create(&format!("{name}.parked-{generation}"), &json!({ "Image": format!("{name}:{tag}") }));
        let image = self.image(&id).or_else(|| self.image(&format!("{name}:{tag}")));
        self.images.extend(image.map(|image| (format!("roll-parked/{name}:{generation}.no.0"), image)));
    }

    fn create(&mut self, name: &str, body: &Value) -> String {
        self.made += 1;
        let id = format!("{:064x}", 0xabc_0000 + self.made);
        let image = body["Image"].as_str().unwrap_or_default().to_owned();
        let policy = body["HostConfig"]["RestartPolicy"]["Name"].as_str().filter(|name| !name.is_empty()).unwrap_or("no");
        let (image_id, _) = self.image(&image).unwrap_or((image.clone(), Value::Null));
        let bindings = body["HostConfig"]["PortBindings"].as_object();
        let port = bindings.and_then(|all| all.values().next()?[0]["HostPort"].as_str()?.parse().ok());
        self.containers.push(Container {
            port,
            id: id.clone(),
            name: name.to_owned(),
            image,
            image_id,
            running: false,
            policy: policy.to_owned(),
            config: json!({
                "Labels": body["Labels"].as_object().cloned().unwrap_or_default(),
                "ExposedPorts": body["ExposedPorts"].as_object().cloned().unwrap_or_default(),
            }),
            restarts: 0,
            pid: 0,
            network: "bridge",
        });
        id
    }

    /// Every image of an app is there, whatever its tag.
    fn image(&self, name: &str) -> Option<(String, Value)> {
        let known = self.images.iter().find(|(tag, (id, _))| tag.as_str() == name || id == name).map(|(_, image)| image.clone());
        let digest = |text: &str| {
            text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        };
        let held = || self.containers.iter().any(|container| container.image_id == name).then(|| (name.to_owned(), json!({})));
        let any = || name.contains(':').then(|| (format!("sha256:{:064x}", digest(name)), json!({})));
        known.or_else(held).or_else(|| any().filter(|_| !name.starts_with("roll-parked/") && !name.starts_with("sha256:")))
    }

    fn at(&mut self, key: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|container| container.name == key || container.id == key)
    }

    /// Status and body.
    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let words: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        let none = || (404, json!({ "message": format!("nothing at {}", request.path) }));
        if request.method != "GET" {
            self.acts.push(format!("{} {}", request.method, request.path));
        }
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        if self.refuses.is_some_and(|is_refused| is_refused(&format!("{} {}{query}", request.method, request.path))) {
            return (500, json!({ "message": "no space left on device" }));
        }
        match (request.method.as_str(), words.as_slice()) {
            ("GET", ["_ping"]) => (200, json!("OK")),
            ("GET", ["version" | "info"]) => (200, json!({ "ApiVersion": "1.41", "ServerVersion": "27" })),
            ("GET", ["containers", "json"]) => (200, self.list(request)),
            ("GET", ["images", "json"]) => (200, self.tags(request)),
            ("GET", ["containers", name, "json"]) => self.at(name).map_or_else(none, |found| (200, found.shown())),
            ("GET", ["containers", name, "logs"]) => {
                let words = json!(self.logs);
                self.at(name).map_or_else(none, |_| (200, words))
            }
            ("GET", ["images", name @ .., "json"]) => self.image(&name.join("/")).map_or_else(none, |(id, labels)| {
                (200, json!({ "Id": id, "RepoTags": [], "Config": { "Labels": labels, "Env": [] } }))
            }),
            ("POST", ["containers", "create"]) => {
                let name = request.query("name");
                if self.at(&name).is_some() {
                    return (409, json!({ "message": format!("the name {name} is taken") }));
                }
                (201, json!({ "Id": self.create(&name, &request.body) }))
            }
            ("POST", ["containers", name, verb]) => self.change(name, verb, request),
            ("DELETE", ["containers", name]) => {
                let Some(id) = self.at(name).map(|found| found.id.clone()) else { return none() };
                self.containers.retain(|container| container.id != id);
                (204, Value::Null)
            }
            ("POST", ["images", name @ .., "tag"]) => {
                let Some(image) = self.image(&name.join("/")) else { return none() };
                self.images.insert(format!("{}:{}", request.query("repo"), request.query("tag")), image);
                (201, Value::Null)
            }
            ("POST", ["commit"]) => {
                let id = format!("sha256:{:064x}", 0xc0_ffee + self.images.len());
                let labels = request.body["Labels"].clone();
                self.images.insert(format!("{}:{}", request.query("repo"), request.query("tag")), (id.clone(), labels));
                (201, json!({ "Id": id }))
            }
            ("DELETE", ["images", name @ ..]) => match self.images.remove(&name.join("/")) {
                Some(_) => (200, json!([])),
                None => none(),
            },
            _ => none(),
        }
    }

    fn change(&mut self, name: &str, verb: &str, request: &Request) -> (u16, Value) {
        let Some(container) = self.at(name) else { return (404, json!({ "message": format!("no container {name}") })) };
        match verb {
            "start" => container.running = true,
            "stop" | "kill" => container.running = false,
            "rename" => container.name = request.query("name"),
            "update" => {
                let policy = request.body["RestartPolicy"]["Name"].as_str().unwrap_or("no");
                policy.clone_into(&mut container.policy);
                return (200, json!({}));
            }
            _ => return (404, json!({ "message": verb })),
        }
        (204, Value::Null)
    }

    fn list(&self, request: &Request) -> Value {
        let filters: Value = serde_json::from_str(&request.query("filters")).unwrap_or_default();
        let wanted = names(&filters["name"]);
        let is_wanted = |container: &&Container| wanted.iter().all(|part| container.name.contains(part.as_str()));
        let is_shown = |container: &&Container| container.running || request.query("all") == "true";
        let bound = |port| json!([{ "Type": "tcp", "PrivatePort": 80, "PublicPort": port }]);
        let shown = |container: &Container| {
            let ports = container.port.filter(|_| container.running).map(bound);
            json!({ "Id": container.id, "Names": [format!("/{}", container.name)], "Ports": ports.unwrap_or_else(|| json!([])) })
        };
        self.containers.iter().filter(is_wanted).filter(is_shown).map(shown).collect()
    }

    fn tags(&self, request: &Request) -> Value {
        let filters: Value = serde_json::from_str(&request.query("filters")).unwrap_or_default();
        let wanted = names(&filters["reference"]);
        let is_wanted = |tag: &&String| wanted.iter().any(|repository| tag.starts_with(&format!("{repository}:")));
        self.images.keys().filter(is_wanted).map(|tag| json!({ "Id": self.images[tag].0, "RepoTags": [tag] })).collect()
    }
}

/// A filter is a list of names, or names with `true`.
fn names(filter: &Value) -> Vec<String> {
    match filter {
        Value::Array(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Object(names) => names.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    body: Value,
}

impl Request {
    fn query(&self, name: &str) -> String {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).next().unwrap_or_default()
    }

    fn read(stream: &UnixStream) -> Option<Request> {
        let mut reader = BufReader::new(stream);
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).ok()?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = line.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().unwrap_or(0));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = first.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')).map_or(path, |(_, rest)| rest);
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Some(Request { method, path: decoded(path), query: query.to_owned(), body })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let code: Vec<u8> = rest.by_ref().take(2).collect();
            bytes.push(u8::from_str_radix(&String::from_utf8_lossy(&code), 16).unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Serves until the test ends.
pub(super) fn listen(socket: &Path, books: &Arc<Mutex<Books>>) {
    let listener = UnixListener::bind(socket).unwrap();
    let books = Arc::clone(books);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Some(request) = Request::read(&stream) else { continue };
            let (status, body) = books.lock().unwrap().answer(&request);
            let body = body.as_str().map_or_else(|| if body.is_null() { String::new() } else { body.to_string() }, str::to_owned);
            let head = "Content-Type: application/json\r\nApi-Version: 1.41\r\nConnection: close";
            let _ = write!(stream, "HTTP/1.1 {status} Double\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
}
