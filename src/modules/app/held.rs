//! What keeps a parked container's image, and what it takes to make the container again.
//!
//! Two tags of one repository: `<generation>.<policy>.<retries>` is the image itself; `<generation>.config` is an image without a layer of its own,
//! whose label holds what the container was started with. A label is as visible as the container's own settings, and to nobody else.

use super::{parked_name, remove, untag};
use crate::modules::docker::engine::{Engine, at, encode, filters, int_at, map_of, text_at};
use crate::modules::{Change, Failure};
use crate::value::{Map, Value};
use std::collections::BTreeSet;

const LABEL: &str = "roll.parked";
const CONFIG: &str = "config";
/// What of an endpoint is a wish, and not what came of it.
const WISHES: &[&str] = &["IPAMConfig", "Links", "Aliases", "DriverOpts"];

/// The repository of the tags that hold parked images. Image names know fewer letters than container names.
pub(super) fn repository(container: &str) -> String {
    let plain = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    format!("roll-parked/{}", container.to_ascii_lowercase().chars().map(plain).collect::<String>().trim_matches('-'))
}

/// What a holding tag says beyond its image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Holding {
    pub(super) generation: i64,
    pub(super) policy: String,
    pub(super) retries: i64,
}

impl Holding {
    pub(super) fn of(container: &Value, generation: i64) -> Holding {
        let policy = text_at(container, &["HostConfig", "RestartPolicy", "Name"]);
        Holding {
            generation,
            policy: if policy.is_empty() { "no" } else { policy }.to_owned(),
            retries: int_at(container, &["HostConfig", "RestartPolicy", "MaximumRetryCount"]),
        }
    }

    pub(super) fn tag(&self) -> String {
        format!("{}.{}.{}", self.generation, self.policy, self.retries)
    }

    pub(super) fn parse(tag: &str) -> Option<Holding> {
        let mut parts = tag.split('.');
        let holding = Holding {
            generation: parts.next()?.parse().ok()?,
            policy: parts.next()?.to_owned(),
            retries: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(holding)
    }
}

/// Every tag that holds something for a container.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    container: String,
    tags: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    name: String,
    image: String,
    generation: i64,
    /// None for what the container was started with.
    holding: Option<Holding>,
}

impl Holdings {
    pub(super) fn find(engine: &Engine<'_>, container: &str) -> Result<Holdings, Failure> {
        let repository = repository(container);
        let filters = filters(&[("reference".to_owned(), repository.clone())]);
        let mut tags = Vec::new();
        for image in engine.list(&format!("/images/json?filters={filters}"))? {
            let names = image.get("RepoTags").and_then(Value::as_list).unwrap_or_default();
            for name in names.iter().filter_map(Value::as_str) {
                let Some(tag) = name.strip_prefix(&repository).and_then(|rest| rest.strip_prefix(':')) else { continue };
                let holding = Holding::parse(tag);
                let config = tag.split_once('.').filter(|(_, kind)| *kind == CONFIG).and_then(|(number, _)| number.parse().ok());
                if let Some(generation) = holding.as_ref().map(|holding| holding.generation).or(config) {
                    let image = text_at(&image, &["Id"]).to_owned();
                    tags.push(Held { name: name.to_owned(), image, generation, holding });
                }
            }
        }
        tags.sort_by(|one, other| (one.generation, &one.name).cmp(&(other.generation, &other.name)));
        Ok(Holdings { container: container.to_owned(), tags })
    }

    /// The image of a generation's container, and how it was to be restarted.
    pub(super) fn of(&self, generation: i64) -> Option<(&Holding, &str)> {
        let held = self.tags.iter().filter(|held| held.generation == generation);
        held.filter_map(|held| Some((held.holding.as_ref()?, held.image.as_str()))).next()
    }

    /// The generations that hold an image.
    pub(super) fn generations(&self) -> BTreeSet<i64> {
        self.tags.iter().filter(|held| held.holding.is_some()).map(|held| held.generation).collect()
    }

    pub(super) fn config(&self, generation: i64) -> Option<&str> {
        let held = self.tags.iter().find(|held| held.generation == generation && held.holding.is_none());
        held.map(|held| held.name.as_str())
    }

    /// Lets go of everything that these generations held; the image last, because it says that there is something to let go.
    pub(super) fn release(&self, engine: &Engine<'_>, which: impl Fn(i64) -> bool) -> Result<Vec<Change>, Failure> {
        let mut changes = Vec::new();
        for generation in self.generations().into_iter().filter(|generation| which(*generation)) {
            // Left where holding was interrupted.
            let scratch = scratch(&self.container, generation);
            if engine.container(&scratch)?.is_some() {
                changes.push(remove(engine, &encode(&scratch), &scratch));
            }
        }
        changes.extend(self.tags.iter().filter(|held| which(held.generation)).map(|held| untag(engine, &held.name)));
        Ok(changes)
    }
}

/// The container that is made for its label alone.
fn scratch(container: &str, generation: i64) -> String {
    format!("{container}.config-{generation}")
}

/// Holds the image of a container, and what it was started with.
pub(super) fn hold(engine: &Engine<'_>, container: &Value, name: &str, generation: i64) -> Vec<Change> {
    let image = text_at(container, &["Image"]);
    let repository = repository(name);
    let query = format!("repo={}&tag={}", encode(&repository), encode(&Holding::of(container, generation).tag()));
    let tagged = engine.post(&format!("/images/{}/tag?{query}", encode(image)), None);
    // A container that never starts has no layer of its own: committing it takes no time and no room.
    let scratch = scratch(name, generation);
    let path = format!("/containers/create?name={}", encode(&scratch));
    let created =
        engine.act("POST", &path, Some(&map_of([("Image", image.into()), ("Cmd", Value::list(vec!["-".into()]))])), &[409]);
    let label = map_of([("Labels", map_of([(LABEL, started_with(container).to_json().into())]))]);
    let query = format!("container={}&repo={}&tag={generation}.{CONFIG}&pause=false", encode(&scratch), encode(&repository));
    let committed = engine.post(&format!("/commit?{query}"), Some(&label));
    vec![
        Change::new(format!("image {image}"), Value::Null, "held", tagged),
        Change::step(&scratch, created),
        Change::new(format!("container {name}"), Value::Null, "settings held", committed),
        remove(engine, &encode(&scratch), &scratch),
    ]
}

/// What has to be asked for to get the same container again, under the name of a parked one.
fn started_with(container: &Value) -> Value {
    let part = |name: &str| at(container, &[name]).and_then(Value::as_map).cloned().unwrap_or_default();
    let mut body = part("Config");
    let id = text_at(container, &["Id"]);
    let short: String = id.chars().take(12).collect();
    if body.get("Hostname").and_then(Value::as_str) == Some(short.as_str()) {
        body.shift_remove("Hostname");
    }
    let mut host = part("HostConfig");
    host.insert("RestartPolicy".into(), map_of([("Name", "no".into())]));
    host.insert("Binds".into(), binds(container, &host));
    body.insert("HostConfig".into(), host.into());
    let networks = at(container, &["NetworkSettings", "Networks"]).and_then(Value::as_map).cloned().unwrap_or_default();
    let endpoints: Map = networks.iter().map(|(name, endpoint)| (name.clone(), wishes(endpoint, &short))).collect();
    body.insert("NetworkingConfig".into(), map_of([("EndpointsConfig", endpoints.into())]));
    body.into()
}

/// Those that were given, and volumes without a name of anybody's: what is in them belongs to the container.
fn binds(container: &Value, host: &Map) -> Value {
    let mut binds = host.get("Binds").and_then(Value::as_list).map(<[Value]>::to_vec).unwrap_or_default();
    let mounted = host.get("Mounts").and_then(Value::as_list).unwrap_or_default();
    for mount in at(container, &["Mounts"]).and_then(Value::as_list).unwrap_or_default() {
        let target = text_at(mount, &["Destination"]);
        let is_bound = binds.iter().filter_map(Value::as_str).any(|bind| bind.split(':').nth(1) == Some(target));
        let is_mounted = mounted.iter().any(|other| text_at(other, &["Target"]) == target);
        if text_at(mount, &["Type"]) == "volume" && !is_bound && !is_mounted {
            binds.push(format!("{}:{target}", text_at(mount, &["Name"])).into());
        }
    }
    Value::list(binds)
}

fn wishes(endpoint: &Value, short: &str) -> Value {
    let kept = WISHES.iter().filter_map(|name| Some((*name, endpoint.get(name).filter(|value| !value.is_null())?)));
    kept.map(|(name, value)| match value.as_list() {
        // Docker adds the container's own id.
        Some(aliases) if name == "Aliases" => {
            (name, aliases.iter().filter(|alias| alias.as_str() != Some(short)).cloned().collect())
        }
        _ => (name, value.clone()),
    })
    .collect()
}

/// The container that was pruned, once more, as it was parked.
pub(super) fn revived(engine: &Engine<'_>, holdings: &Holdings, name: &str, generation: i64) -> Result<Change, Failure> {
    let gone = |why: &str| {
        let image = repository(name);
        Failure::new(format!(
            "the parked container of `{name}` is gone, and {why}; its image is still held as `{image}:{generation}.…`"
        ))
    };
    let tag = holdings.config(generation).ok_or_else(|| gone("what it was started with is not held"))?;
    let image = engine.image(tag)?.unwrap_or_default();
    let body = Value::from_json(text_at(&image, &["Config", "Labels", LABEL]))
        .map_err(|error| gone(&format!("what it was started with cannot be read: {error}")))?;
    let mut body = body.as_map().cloned().unwrap_or_default();
    // The name of the image, as long as it still is that image's.
    let named = body.get("Image").and_then(Value::as_str).unwrap_or_default();
    let found = engine.image(named)?.unwrap_or_default();
    if let Some((_, held)) = holdings.of(generation).filter(|(_, held)| text_at(&found, &["Id"]) != *held) {
        body.insert("Image".into(), held.into());
    }
    let body = Value::from(body);
    let aside = parked_name(name, generation);
    let act = engine.post(&format!("/containers/create?name={}", encode(&aside)), Some(&body));
    Ok(Change::new(format!("container {aside}"), "pruned", "made again", act))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_say_what_is_held() {
        assert_eq!(repository("My_App"), "roll-parked/my-app");
        let holding = Holding { generation: 7, policy: "unless-stopped".to_owned(), retries: 0 };
        assert_eq!(Holding::parse(&holding.tag()), Some(holding));
        assert_eq!(Holding::parse("7.always"), None);
        assert_eq!(Holding::parse("7.config"), None);
    }

    #[test]
    fn what_a_container_was_started_with_is_all_that_was_asked_for() {
        let container = Value::from_json(
            r#"{"Id":"0123456789abcdef","Image":"sha256:aa","Config":{"Hostname":"0123456789ab","Env":["A=b"],"Image":"shop:1"},
            "HostConfig":{"Binds":["/srv:/srv:ro"],"RestartPolicy":{"Name":"always"},"PortBindings":{"5000/tcp":[{"HostPort":"80"}]}},
            "Mounts":[{"Type":"bind","Source":"/srv","Destination":"/srv"},{"Type":"volume","Name":"f00","Destination":"/data"}],
            "NetworkSettings":{"Networks":{"shop":{"Aliases":["0123456789ab","web"],"NetworkID":"n1","IPAddress":"10.0.0.2"}}}}"#,
        )
        .unwrap();
        let body = started_with(&container);
        assert_eq!(
            body.to_json(),
            r#"{"Env":["A=b"],"Image":"shop:1","HostConfig":{"Binds":["/srv:/srv:ro","f00:/data"],"RestartPolicy":{"Name":"no"},"PortBindings":{"5000/tcp":[{"HostPort":"80"}]}},"NetworkingConfig":{"EndpointsConfig":{"shop":{"Aliases":["web"]}}}}"#
        );
    }
}
