//! `ssm_parameter`: that a parameter of Systems Manager has this value, or is not there.

use super::{access, answer, dict, pairs, python_time, tag_changes};
use crate::actions::{Answer, Hands, Problem};
use crate::aws::parameters::{self, Wish};
use crate::aws::{AwsError, Session};
use crate::modules::Args;
use crate::value::{Map, Value};
use aws_sdk_ssm::types::{Parameter, ParameterMetadata};

const STANDARD_KEY: &str = "alias/aws/ssm";

pub(in crate::actions) async fn parameter(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let (name, access, is_check) = (args.required("name")?.to_owned(), access(args, hands)?, hands.is_check());
    if args.str("state") == Some("absent") {
        let changed = Session::ask(access, move |session| async move { remove(&session, &name, is_check).await }).await?;
        return Ok(answer(changed, [("response", Value::map(Map::new()))]));
    }
    let text = |name: &str| args.text(name).map(|text| text.as_str().to_owned());
    let kind = text("string_type").unwrap_or_else(|| "String".to_owned());
    let key = text("key_id").filter(|_| kind == "SecureString");
    let value = text("value").ok_or_else(|| Problem::new("state is present but all of the following are missing: value"))?;
    let tier = text("tier").unwrap_or_else(|| "Standard".to_owned());
    let wish = Wish { name, value, kind, tier, description: text("description"), key };
    let replaces = text("overwrite_value").unwrap_or_else(|| "changed".to_owned());
    let tags = args.has("tags").then(|| pairs(args.dict("tags")));
    let (decrypts, purges) = (args.bool("decryption"), args.bool("purge_tags"));
    let done = Session::ask(access, move |session| async move {
        let mut changed = set(&session, &wish, &replaces, decrypts, is_check).await?;
        let described = parameters::describe(&session, &wish.name).await?;
        let mut known = match described {
            Some(_) => parameters::tags(&session, &wish.name).await?,
            None => Vec::new(),
        };
        if let Some(wanted) = tags {
            let (set, gone) = tag_changes(&known, &wanted, purges);
            if !(set.is_empty() && gone.is_empty()) {
                changed = true;
                if !is_check {
                    parameters::tag(&session, &wish.name, &set, &gone).await?;
                    known = parameters::tags(&session, &wish.name).await?;
                }
            }
        }
        Ok((changed, described.map(|described| metadata(&described, &known))))
    });
    let (changed, metadata) = done.await?;
    let metadata = metadata.map_or_else(|| Value::map(Map::new()), Value::map);
    Ok(answer(changed, [("parameter_metadata", metadata), ("response", Value::map(Map::new()))]))
}

async fn remove(session: &Session, name: &str, is_check: bool) -> Result<bool, AwsError> {
    match parameters::get(session, name, false).await {
        Err(AwsError::Missing { .. }) => return Ok(false),
        found => drop(found?),
    }
    if !is_check {
        parameters::delete(session, name).await?;
    }
    Ok(true)
}

/// Whether the value had to be written.
async fn set(session: &Session, wish: &Wish, replaces: &str, decrypts: bool, is_check: bool) -> Result<bool, AwsError> {
    let found = match parameters::get(session, &wish.name, decrypts).await {
        Err(AwsError::Missing { .. }) => None,
        found => Some(found?),
    };
    let is_new = found.is_none();
    let changes = match (&found, replaces) {
        (None, _) | (_, "always") => true,
        (_, "never") => false,
        (Some(found), _) => differs(session, wish, found).await?,
    };
    if changes && !is_check {
        parameters::put(session, wish, !is_new).await?;
    }
    Ok(changes)
}

async fn differs(session: &Session, wish: &Wish, found: &Parameter) -> Result<bool, AwsError> {
    let kind = found.r#type.as_ref().map_or("", |kind| kind.as_str());
    if found.value.as_deref() != Some(wish.value.as_str()) || kind != wish.kind {
        return Ok(true);
    }
    let described = parameters::describe(session, &wish.name).await?;
    let described = described.as_ref();
    let (text, key) = (described.and_then(|one| one.description.as_deref()), described.and_then(|one| one.key_id.as_deref()));
    let tier = described.and_then(|one| one.tier.as_ref()).map_or("Standard", |tier| tier.as_str());
    let other_key = wish.key.as_deref().is_some_and(|wanted| key.unwrap_or(STANDARD_KEY) != wanted);
    Ok(other_key || wish.description.as_deref().is_some_and(|wanted| text != Some(wanted)) || tier != wish.tier)
}

fn metadata(described: &ParameterMetadata, tags: &[(String, String)]) -> Map {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let entries = [
        ("data_type", text(&described.data_type)),
        ("description", text(&described.description)),
        ("key_id", text(&described.key_id)),
        ("last_modified_date", described.last_modified_date.map(|time| python_time(time.secs(), time.subsec_nanos()))),
        ("last_modified_user", text(&described.last_modified_user)),
        ("name", text(&described.name)),
        ("tags", Some(dict(tags))),
        ("tier", described.tier.as_ref().map(|tier| tier.as_str().into())),
        ("type", described.r#type.as_ref().map(|kind| kind.as_str().into())),
        ("version", Some(Value::Int(described.version))),
    ];
    entries.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
}
