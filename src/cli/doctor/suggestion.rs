//! What `rollout:` would add to a play that works in batches and looks after its load balancer by hand, as YAML to paste.
//!
//! Taken from the play's own tasks: the container that it starts, the URL that it waits for, the commands that it gives a balancer.

use crate::playbook::{Item, Play, Task};
use crate::value::{Map, Value};
use serde::Serialize;
use std::fmt;

/// For one play.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Suggestion {
    play: String,
    yaml: String,
    /// Tasks that would have nothing left to do.
    superfluous: Vec<String>,
    adds: Vec<&'static str>,
}

/// What the play's tasks give away.
#[derive(Debug, Default)]
struct Found {
    app: Option<String>,
    release: Option<String>,
    port: Option<String>,
    healthy: Option<String>,
    balancer: Option<Balancer>,
    superfluous: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Balancer {
    HaProxy { backend: Option<String>, host: Option<String>, socket: Option<String> },
    Alb { group: Option<String> },
}

/// Plays without `rollout:` that work in batches, or talk to a load balancer.
pub(super) fn of(play: &Play) -> Option<Suggestion> {
    let keyword = |name: &str| play.context.keywords.get(name).map(|written| &written.value).filter(|value| !value.is_null());
    if keyword("rollout").is_some() {
        return None;
    }
    let mut found = Found::default();
    let roles = play.roles.iter().flat_map(|used| &used.items);
    play.pre_tasks.iter().chain(roles).chain(&play.tasks).chain(&play.post_tasks).for_each(|item| found.item(item));
    let name = keyword("name").or_else(|| keyword("hosts")).map(plain).unwrap_or_default();
    let has_hand = found.balancer.is_some();
    if keyword("serial").is_none() && !has_hand {
        return None;
    }
    let adds = [
        "no host leaves before the others are healthy, and before it was seen that traffic has stopped",
        "a release that does not become healthy is taken back, from the container that was put aside",
        "an interrupted run is finished or taken back from any machine",
    ];
    Some(Suggestion {
        play: name,
        yaml: found.yaml(),
        superfluous: found.superfluous,
        adds: adds.into_iter().skip(usize::from(!has_hand)).collect(),
    })
}

impl Found {
    fn item(&mut self, item: &Item) {
        match item {
            Item::Task(task) => self.task(task),
            Item::Block(block) => block.body.iter().chain(&block.rescue).chain(&block.always).for_each(|item| self.item(item)),
        }
    }

    fn task(&mut self, task: &Task) {
        let module = task.action.name.rsplit('.').next().unwrap_or_default();
        let text = |name: &str| task.args.get(name).map(plain).filter(|text| !text.is_empty());
        match module {
            "docker_container" if text("image").is_some() => self.container(&task.args),
            "uri" => {
                let is_health = |url: &String| ["health", "/up", "ready", "ping", "status"].iter().any(|word| url.contains(word));
                self.healthy = self.healthy.take().or_else(|| text("url").filter(is_health));
            }
            "haproxy" => {
                let balancer = Balancer::HaProxy { backend: text("backend"), host: delegate(task), socket: text("socket") };
                self.by_hand(task, balancer);
            }
            "elb_target" => {
                self.by_hand(task, Balancer::Alb { group: text("target_group_arn").or_else(|| text("target_group_name")) });
            }
            "command" | "shell" | "raw" => {
                let words: Vec<String> = task.args.values().map(plain).collect();
                if let Some(balancer) = spoken_to(&words.join(" "), task) {
                    self.by_hand(task, balancer);
                }
            }
            _ => {}
        }
    }

    fn container(&mut self, args: &Map) {
        let text = |name: &str| args.get(name).map(plain).filter(|text| !text.is_empty());
        let tag = |image: String| image.rsplit_once(':').map(|(_, tag)| tag.to_owned()).filter(|tag| !tag.contains('/'));
        self.app = self.app.take().or_else(|| text("name"));
        self.release = self.release.take().or_else(|| text("image").and_then(tag));
        let published = args.get("published_ports").or_else(|| args.get("ports"));
        let first = published.map(|ports| ports.as_list().and_then(<[Value]>::first).map_or_else(|| plain(ports), plain));
        let host_port =
            |ports: String| ports.rsplit_once(':').map(|(host, _)| host.rsplit(':').next().unwrap_or(host).to_owned());
        self.port = self.port.take().or_else(|| first.and_then(host_port));
    }

    fn by_hand(&mut self, task: &Task, balancer: Balancer) {
        self.superfluous.push(task.title());
        self.balancer = self.balancer.take().or(Some(balancer));
    }

    fn yaml(&self) -> String {
        let or = |value: &Option<String>, hint: &str| value.as_deref().map_or_else(|| hint.to_owned(), quoted);
        let mut lines = vec![
            "rollout:".to_owned(),
            format!("  app: {}", or(&self.app, "NAME            # of the app's container")),
            format!("  release: {}", or(&self.release, "\"{{ release }}\"  # what a run puts in place: a commit, a tag")),
            "  balancer:".to_owned(),
        ];
        let balancer = match &self.balancer {
            Some(Balancer::HaProxy { backend, host, socket }) => vec![
                "    kind: haproxy".to_owned(),
                format!("    backend: {}", or(backend, "NAME      # of the backend")),
                format!("    host: {}", or(host, "NAME         # of the inventory's host that runs it")),
                format!("    socket: {}", or(socket, "/run/haproxy/admin.sock")),
            ],
            Some(Balancer::Alb { group }) => {
                vec!["    kind: alb".to_owned(), format!("    target_group: {}", or(group, "ARN  # of the target group"))]
            }
            None => vec!["    kind: none            # alb or haproxy, where there is one".to_owned()],
        };
        lines.extend(balancer);
        lines.push(format!("    port: {}", or(&self.port, "80           # of the app on its hosts")));
        let url = or(&self.healthy, "\"http://127.0.0.1/health\"  # asked by the host itself");
        lines.push("  healthy:".to_owned());
        lines.push(format!("    url: {url}"));
        lines.push("  bake: 30s".to_owned());
        lines.iter().map(|line| format!("  {line}\n")).collect()
    }
}

/// A command that takes a server out of a balancer or puts it back.
fn spoken_to(command: &str, task: &Task) -> Option<Balancer> {
    let words: Vec<&str> = command
        .split(|letter: char| letter.is_whitespace() || "'\"|;".contains(letter))
        .filter(|word| !word.is_empty())
        .collect();
    let after =
        |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)).map(|word| (*word).to_owned());
    if ["deregister-targets", "register-targets"].iter().any(|verb| words.contains(verb)) {
        return Some(Balancer::Alb { group: after("--target-group-arn") });
    }
    let is_order = words.windows(2).any(|pair| matches!(pair[0], "set" | "disable" | "enable") && pair[1] == "server");
    if !is_order {
        return None;
    }
    let backend = after("server").and_then(|place| Some(place.split_once('/')?.0.to_owned()));
    let socket = words.iter().find_map(|word| {
        let path = word.rsplit_once(':').map_or(*word, |(_, path)| path);
        path.starts_with('/').then(|| path.split(',').next().unwrap_or(path)).filter(|path| path.contains("sock"))
    });
    Some(Balancer::HaProxy { backend, host: delegate(task), socket: socket.map(str::to_owned) })
}

fn delegate(task: &Task) -> Option<String> {
    task.own("delegate_to").map(|written| plain(&written.value)).filter(|host| !host.is_empty())
}

/// As it is written, templates included.
fn plain(value: &Value) -> String {
    match value {
        Value::Template(template) => template.text.trim().to_owned(),
        Value::List(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_text().trim().to_owned(),
    }
}

/// For YAML.
fn quoted(text: &str) -> String {
    let is_plain =
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_./-:".contains(letter)) && !text.starts_with('-');
    if is_plain && !text.contains(": ") {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hand = if self.superfluous.is_empty() {
            "works in batches, with no word to a load balancer"
        } else {
            "looks after its load balancer by hand"
        };
        writeln!(f, "{}: {hand}. What `rollout:` in the play would say, and add:\n", self.play)?;
        writeln!(f, "{}", self.yaml)?;
        for what in &self.adds {
            writeln!(f, "  + {what}")?;
        }
        for task in &self.superfluous {
            writeln!(f, "  - then without work: {task}")?;
        }
        Ok(())
    }
}
