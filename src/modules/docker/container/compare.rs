//! What of a container differs from what a task asks for.

use super::arguments;
use super::options::{OPTIONS, Opt, Shape};
use crate::modules::docker::engine::{Engine, at, text_at};
use crate::modules::docker::reference::{Reference, is_id};
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};

/// One option that is not as wanted.
pub(super) struct Difference {
    pub(super) name: &'static str,
    pub(super) at: &'static [&'static str],
    pub(super) found: Value,
    pub(super) wanted: Value,
    /// Can be changed without making the container anew.
    pub(super) is_live: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Strict,
    Ignore,
    AllowMore,
}

/// The argument `comparisons`, checked.
pub(super) struct Comparisons {
    all: Option<Mode>,
    one: Vec<(String, Mode)>,
}

impl Comparisons {
    pub(super) fn of(args: &Args) -> Result<Comparisons, Failure> {
        let mut comparisons = Comparisons { all: None, one: Vec::new() };
        for (key, mode) in args.get("comparisons").and_then(Value::as_map).into_iter().flatten() {
            let (key, mode) = (key.to_string(), mode_of(&key.to_string(), &mode.to_text())?);
            if key == "*" {
                comparisons.all = Some(mode);
                continue;
            }
            let Some(arg) = arguments::ARGS.iter().find(|arg| arg.name == key || arg.aliases.contains(&key.as_str())) else {
                return Err(Failure::new(format!("comparisons: `{key}` is not an option of a container")));
            };
            let shape = OPTIONS.iter().find(|option| option.name == arg.name).map(|option| option.shape);
            if mode == Mode::AllowMore && matches!(shape, Some(Shape::Value | Shape::List)) {
                return Err(Failure::new(format!(
                    "comparisons: `{key}` is one value, of which there cannot be more: strict or ignore"
                )));
            }
            comparisons.one.push((arg.name.to_owned(), mode));
        }
        Ok(comparisons)
    }

    pub(super) fn mode(&self, name: &str, default: Mode) -> Mode {
        self.one.iter().find(|(known, _)| known == name).map(|(_, mode)| *mode).or(self.all).unwrap_or(default)
    }
}

fn mode_of(key: &str, text: &str) -> Result<Mode, Failure> {
    match text {
        "strict" => Ok(Mode::Strict),
        "ignore" => Ok(Mode::Ignore),
        "allow_more_present" if key != "*" => Ok(Mode::AllowMore),
        _ => Err(Failure::new(format!("comparisons: `{key}: {text}` is none of strict, ignore, allow_more_present"))),
    }
}

pub(super) fn differences(
    args: &Args,
    engine: &Engine<'_>,
    comparisons: &Comparisons,
    container: &Value,
    image: Option<&Value>,
) -> Result<Vec<Difference>, Failure> {
    let mut found: Vec<Difference> = image_difference(args, comparisons, container, image).into_iter().collect();
    for option in OPTIONS {
        let default = if matches!(option.shape, Shape::Value | Shape::List) { Mode::Strict } else { Mode::AllowMore };
        let mode = comparisons.mode(option.name, default);
        if mode == Mode::Ignore {
            continue;
        }
        let Some(mut wanted) = option.wanted(args, engine)? else { continue };
        if mode == Mode::Strict {
            wanted = with_defaults_of(image, option, wanted);
        }
        let present = option.found(container);
        if !option.matches(&wanted, &present, mode == Mode::Strict) {
            found.push(Difference { name: option.name, at: option.at, found: present, wanted, is_live: option.is_live });
        }
    }
    Ok(found)
}

/// What the image brings along is no difference.
fn with_defaults_of(image: Option<&Value>, option: &Opt, wanted: Value) -> Value {
    let Some(defaults) = image.and_then(|image| at(image, option.at)) else { return wanted };
    match (option.name, defaults, &wanted) {
        ("env", Value::List(defaults), Value::List(given)) => {
            let name = |item: &Value| item.to_text().split('=').next().unwrap_or_default().to_owned();
            let kept = defaults.iter().filter(|default| !given.iter().any(|item| name(item) == name(default)));
            kept.chain(given.iter()).cloned().collect()
        }
        ("labels" | "exposed_ports", Value::Map(defaults), Value::Map(given)) => {
            let mut all: Map = (**defaults).clone();
            all.extend((**given).clone());
            Value::map(all)
        }
        _ => wanted,
    }
}

/// Another image, or the same one started under another name.
fn image_difference(args: &Args, comparisons: &Comparisons, container: &Value, image: Option<&Value>) -> Option<Difference> {
    let image = image?;
    let name = args.str("image")?;
    if args.bool("ignore_image") || comparisons.mode("image", Mode::Strict) == Mode::Ignore {
        return None;
    }
    let (running, wanted) = (text_at(container, &["Image"]), text_at(image, &["Id"]));
    let started_as = text_at(container, &["Config", "Image"]);
    let full = |name: &str| Reference::parse(name).or_tag("latest");
    let is_renamed = args.str("image_name_mismatch") != Some("ignore") && !is_id(name) && full(started_as) != full(name);
    let shown = |name: &str, id: &str| Value::from(format!("{name} ({id})"));
    (running != wanted || is_renamed).then(|| Difference {
        name: "image",
        at: &["Image"],
        found: shown(started_as, running),
        wanted: shown(name, wanted),
        is_live: false,
    })
}

/// Before and after, for people.
pub(super) fn shown(differences: &[Difference]) -> (Value, Value) {
    let before = differences.iter().map(|difference| (difference.name, difference.found.clone())).collect();
    let after = differences.iter().map(|difference| (difference.name, difference.wanted.clone())).collect();
    (before, after)
}
