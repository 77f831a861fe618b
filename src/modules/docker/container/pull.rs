//! Whether an image must be pulled before a container can be compared or made.

use crate::modules::docker::credentials;
use crate::modules::docker::engine::{Engine, encode_path, text_at};
use crate::modules::docker::reference::{Reference, is_id};
use crate::modules::{Act, Args, Change, Failure};
use crate::value::Value;

pub(super) enum Pull {
    No,
    First(Box<Change>),
}

impl Pull {
    pub(super) fn decide(args: &Args, engine: &Engine<'_>, name: &str, image: Option<&Value>) -> Result<Pull, Failure> {
        // Booleans are the older spelling.
        let when = match args.get("pull") {
            Some(Value::Bool(true)) => "always".to_owned(),
            Some(Value::Bool(false)) | None => "missing".to_owned(),
            Some(other) => other.to_text().as_str().to_owned(),
        };
        let is_pulled = match (when.as_str(), image) {
            ("always", Some(image)) if !is_id(name) => !is_newest(engine, name, image)?,
            ("always" | "missing" | "never", Some(_)) => false,
            ("never", None) => return Err(Failure::new(format!("image `{name}` is not on the host, and `pull` is never"))),
            ("always" | "missing", None) if is_id(name) => {
                return Err(Failure::new(format!("image `{name}` is not on the host, and an id cannot be pulled")));
            }
            ("always" | "missing", None) => true,
            (other, _) => {
                return Err(Failure::new(format!("value of pull must be one of: never, missing, always, got: {other}")));
            }
        };
        if is_pulled {
            change(engine, name, args.str("platform"), image).map(|change| Pull::First(Box::new(change)))
        } else {
            Ok(Pull::No)
        }
    }
}

/// The pull itself is the client's: it knows every way in which credentials are kept.
pub(in crate::modules::docker) fn change(
    engine: &Engine<'_>,
    name: &str,
    platform: Option<&str>,
    image: Option<&Value>,
) -> Result<Change, Failure> {
    let mut cmd = engine.cli(&["pull", "--quiet"])?;
    if let Some(platform) = platform {
        cmd.argv.extend(["--platform".to_owned(), platform.to_owned()]);
    }
    cmd.argv.push(name.to_owned());
    engine.look.say(&format!("pulling {name}"));
    let before = image.map_or(Value::Null, |image| text_at(image, &["Id"]).into());
    Ok(Change::new(format!("image {name}"), before, Value::from("pulled"), Act::Run(cmd)))
}

/// Asks the registry, without pulling, whether the name still stands for the image that is here.
pub(in crate::modules::docker) fn is_newest(engine: &Engine<'_>, name: &str, image: &Value) -> Result<bool, Failure> {
    let headers = credentials::header(engine.look, Reference::parse(name).registry());
    let found = engine.get_with(&format!("/distribution/{}/json", encode_path(name)), &headers)?;
    let Some(found) = found else { return Err(Failure::new(format!("the registry has no image `{name}`"))) };
    let digest = text_at(&found, &["Descriptor", "digest"]);
    let here = image.get("RepoDigests").and_then(Value::as_list).unwrap_or_default();
    Ok(here.iter().any(|known| known.to_text().rsplit_once('@').is_some_and(|(_, known)| known == digest)))
}
