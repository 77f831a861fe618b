//! `docker_container`: a container that runs as described, and only made anew where something that was asked for differs.
//!
//! The plan looks at the container and at its image (two requests), compares each option of [`options::OPTIONS`] that the task gives,
//! and answers with requests to the Engine API. Options that the task does not give are never compared. An image that must be
//! pulled first is a stage of its own: what it changes is known only afterwards.

mod arguments;
mod compare;
mod health;
mod networks;
mod options;
mod parse;
mod pull;

use super::engine::{Engine, bool_at, encode, map_of, text_at};
use super::reference::{Reference, is_id};
use crate::modules::{Act, Args, Change, Cmd, Done, Failure, Look, Module, Plan};
use crate::value::{Map, Value};
use compare::{Comparisons, Difference};
use pull::Pull;
pub(super) use pull::change as pull_change;

pub(in crate::modules) static MODULE: Module = Module {
    name: "docker_container",
    collection: "community.docker",
    summary: "run, change, stop and remove containers",
    args: &[arguments::ARGS, super::API_ARGS],
    rules: arguments::RULES,
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let engine = Engine::of(args, look)?;
    let name = args.required("name")?;
    let found = engine.container(name)?;
    match args.str("state").unwrap_or("started") {
        "absent" => Ok(absent(args, &engine, found.as_ref())),
        state => Task { args, engine: &engine, name, state }.plan(found.as_ref()),
    }
}

/// Waits for health where it is wanted, and returns the container as it is now.
fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let engine = Engine::of(args, look)?;
    let name = args.required("name")?;
    let container = match args.str("state").unwrap_or("started") {
        "absent" => return Ok(values),
        "healthy" => Some(health::wait(args, &engine, name)?),
        _ if done.is_empty() => values.get("container").cloned(),
        _ => engine.container(name)?,
    };
    values.insert("container".into(), container.unwrap_or_default());
    let attached = done.iter().find(|done| done.values.contains_key("rc")).filter(|_| is_attached(args));
    attached.map_or(Ok(values.clone()), |run| with_output(values, &run.values))
}

/// `detach: no`: the output and the exit status of the container's process are the task's.
fn with_output(mut values: Map, run: &Map) -> Result<Map, Failure> {
    let text = |key: &str| run.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let output = text("stdout") + &text("stderr");
    let status = run.get("rc").and_then(Value::as_int).unwrap_or_default();
    values.insert("status".into(), status.into());
    let mut container = values.get("container").and_then(Value::as_map).cloned().unwrap_or_default();
    container.insert("Output".into(), output.clone().into());
    values.insert("container".into(), Value::map(container));
    if status == 0 { Ok(values) } else { Err(Failure { msg: output, values }) }
}

fn is_attached(args: &Args) -> bool {
    args.has("detach") && !args.bool("detach")
}

fn absent(args: &Args, engine: &Engine<'_>, found: Option<&Value>) -> Plan {
    let mut plan = Plan::default();
    if let Some(container) = found {
        plan.changes.extend(stop_and_remove(args, engine, container));
    }
    plan
}

fn stop_and_remove(args: &Args, engine: &Engine<'_>, container: &Value) -> Vec<Change> {
    let id = text_at(container, &["Id"]);
    let name = shown_name(container);
    let mut changes = Vec::new();
    if bool_at(container, &["State", "Running"]) {
        changes.push(Change::new(&name, state_of("running"), state_of("stopped"), stop(args, engine, id)));
    }
    let query = if args.bool("keep_volumes") { "v=false" } else { "v=true" };
    let remove = engine.act("DELETE", &format!("/containers/{id}?force=true&{query}"), None, &[404, 409]);
    changes.push(Change::new(name, state_of("present"), state_of("absent"), remove));
    changes
}

fn stop(args: &Args, engine: &Engine<'_>, id: &str) -> Act {
    if args.bool("force_kill") {
        let signal = args.str("kill_signal").map(|signal| format!("?signal={}", encode(signal))).unwrap_or_default();
        return engine.act("POST", &format!("/containers/{id}/kill{signal}"), None, &[304, 409]);
    }
    engine.post(&format!("/containers/{id}/stop{}", grace(args)), None)
}

/// Without it the container's own stop timeout counts.
fn grace(args: &Args) -> String {
    args.int("stop_timeout").map(|seconds| format!("?t={seconds}")).unwrap_or_default()
}

fn shown_name(container: &Value) -> String {
    format!("container {}", text_at(container, &["Name"]).trim_start_matches('/'))
}

fn state_of(state: &str) -> Value {
    map_of([("state", state.into())])
}

/// Everything about one task that wants a container to be there.
struct Task<'a> {
    args: &'a Args,
    engine: &'a Engine<'a>,
    name: &'a str,
    state: &'a str,
}

impl Task<'_> {
    fn plan(&self, found: Option<&Value>) -> Result<Plan, Failure> {
        let mut plan = Plan::default();
        let reference = self
            .args
            .str("image")
            .map(|name| if is_id(name) { name.to_owned() } else { Reference::parse(name).or_tag("latest").to_string() });
        let image = reference.as_deref().map(|name| self.engine.image(name)).transpose()?.flatten();
        if let Some(name) = reference.as_deref() {
            match Pull::decide(self.args, self.engine, name, image.as_ref())? {
                Pull::No => {}
                // Whether the container must be made anew depends on what comes.
                Pull::First(change) if found.is_some() => {
                    plan.push(*change);
                    plan.again = true;
                    return Ok(plan);
                }
                Pull::First(change) => drop(plan.push(*change)),
            }
        }
        match found {
            None => self.create(&mut plan)?,
            Some(container) => self.adjust(&mut plan, container, image.as_ref())?,
        }
        self.clean_up(&mut plan);
        plan.set("container", found.cloned().unwrap_or_default());
        Ok(plan)
    }

    /// What differs in a container that is there.
    fn adjust(&self, plan: &mut Plan, container: &Value, image: Option<&Value>) -> Result<(), Failure> {
        let comparisons = Comparisons::of(self.args)?;
        let differences = compare::differences(self.args, self.engine, &comparisons, container, image)?;
        let is_recreated = self.args.bool("recreate") || differences.iter().any(|difference| !difference.is_live);
        if is_recreated {
            return self.recreate(plan, container, &differences);
        }
        if !differences.is_empty() {
            plan.push(self.update(container, &differences));
        }
        plan.changes.extend(networks::changes(self.args, self.engine, &comparisons, container));
        self.bring_to_state(plan, container)
    }

    fn recreate(&self, plan: &mut Plan, container: &Value, found: &[Difference]) -> Result<(), Failure> {
        plan.changes.extend(stop_and_remove(self.args, self.engine, container));
        let was_running = bool_at(container, &["State", "Running"]);
        let (before, after) = compare::shown(found);
        let create = self.create_act(Some(container))?;
        plan.push(Change::new(shown_name(container), before, after, create));
        plan.changes.extend(networks::after_create(self.args, self.engine, self.name));
        if self.state != "stopped" && (self.state != "present" || was_running) {
            self.start(plan)?;
        }
        Ok(())
    }

    fn create(&self, plan: &mut Plan) -> Result<(), Failure> {
        let create = self.create_act(None)?;
        let after = map_of([("state", "present".into()), ("image", self.args.text("image").map(Value::from).into())]);
        plan.push(Change::new(format!("container {}", self.name), state_of("absent"), after, create));
        plan.changes.extend(networks::after_create(self.args, self.engine, self.name));
        if matches!(self.state, "started" | "healthy") {
            self.start(plan)?;
        }
        Ok(())
    }

    fn create_act(&self, old: Option<&Value>) -> Result<Act, Failure> {
        let named = self.args.str("image").map(str::to_owned);
        let kept = old.map(|container| text_at(container, &["Config", "Image"]).to_owned());
        let Some(name) = named.or(kept) else {
            return Err(Failure::new(format!("cannot create container `{}` without an `image`", self.name)));
        };
        let mut body = Map::from_iter([("Image".into(), Value::from(name))]);
        for option in options::OPTIONS {
            if let Some(value) = option.wanted(self.args, self.engine)? {
                put(&mut body, option.at.strip_prefix(&["Config"]).unwrap_or(option.at), value);
            }
        }
        if let Some(endpoints) = networks::first_endpoint(self.args) {
            put(&mut body, &["NetworkingConfig", "EndpointsConfig"], endpoints);
        }
        let platform = self.args.str("platform").map(|platform| format!("&platform={}", encode(platform))).unwrap_or_default();
        let path = format!("/containers/create?name={}{platform}", encode(self.name));
        Ok(self.engine.post(&path, Some(&Value::map(body))))
    }

    /// Limits and the restart policy change on the fly.
    fn update(&self, container: &Value, differences: &[Difference]) -> Change {
        let mut body = Map::new();
        for difference in differences {
            put(&mut body, difference.at.strip_prefix(&["HostConfig"]).unwrap_or(difference.at), difference.wanted.clone());
        }
        let (before, after) = compare::shown(differences);
        let path = format!("/containers/{}/update", text_at(container, &["Id"]));
        Change::new(shown_name(container), before, after, self.engine.post(&path, Some(&Value::map(body))))
    }

    fn bring_to_state(&self, plan: &mut Plan, container: &Value) -> Result<(), Failure> {
        let is_running = bool_at(container, &["State", "Running"]);
        let id = text_at(container, &["Id"]);
        match self.state {
            "stopped" if is_running => {
                let act = stop(self.args, self.engine, id);
                plan.push(Change::new(shown_name(container), state_of("running"), state_of("stopped"), act));
            }
            "started" | "healthy" if !is_running => self.start(plan)?,
            "started" | "healthy" if self.args.bool("restart") => {
                let act = self.engine.post(&format!("/containers/{id}/restart{}", grace(self.args)), None);
                plan.push(Change::new(shown_name(container), state_of("running"), state_of("restarted"), act));
            }
            _ => {}
        }
        self.pause(plan, container);
        Ok(())
    }

    fn pause(&self, plan: &mut Plan, container: &Value) {
        let is_paused = bool_at(container, &["State", "Paused"]);
        if !self.args.has("paused") || self.args.bool("paused") == is_paused || self.state == "stopped" {
            return;
        }
        let verb = if is_paused { "unpause" } else { "pause" };
        let act = self.engine.post(&format!("/containers/{}/{verb}", text_at(container, &["Id"])), None);
        plan.push(Change::new(
            shown_name(container),
            map_of([("paused", is_paused.into())]),
            map_of([("paused", (!is_paused).into())]),
            act,
        ));
    }

    fn start(&self, plan: &mut Plan) -> Result<(), Failure> {
        let what = format!("container {}", self.name);
        if is_attached(self.args) {
            let cmd = Cmd { any_status: true, ..self.engine.cli(&["start", "--attach", self.name])? };
            plan.push(Change::new(what, state_of("stopped"), state_of("ran to its end"), Act::Run(cmd)));
            return Ok(());
        }
        let act = self.engine.post(&format!("/containers/{}/start", encode(self.name)), None);
        plan.push(Change::new(what, state_of("stopped"), state_of("running"), act));
        Ok(())
    }

    /// `detach: no` with `cleanup`: nothing is left of it afterwards.
    fn clean_up(&self, plan: &mut Plan) {
        let is_wanted = is_attached(self.args) && self.args.bool("cleanup");
        if is_wanted && plan.changes.iter().any(|change| matches!(change.act, Act::Run(_))) {
            let query = if self.args.bool("keep_volumes") { "v=false" } else { "v=true" };
            let path = format!("/containers/{}?force=true&{query}", encode(self.name));
            let remove = self.engine.act("DELETE", &path, None, &[404, 409]);
            plan.push(Change::new(format!("container {}", self.name), state_of("present"), state_of("absent"), remove));
        }
    }
}

/// Puts a value deep into a map, making the maps on the way.
fn put(map: &mut Map, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => drop(map.insert((*last).into(), value)),
        [first, rest @ ..] => {
            let mut inner = map.get(*first).and_then(Value::as_map).cloned().unwrap_or_default();
            put(&mut inner, rest, value);
            map.insert((*first).into(), Value::map(inner));
        }
    }
}

#[cfg(test)]
mod tests;
