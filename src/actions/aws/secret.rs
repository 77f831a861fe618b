//! `secretsmanager_secret`: that a secret of Secrets Manager holds this, or is not there.

use super::{access, answer, dict, pairs, python_time, tag_changes};
use crate::actions::{Answer, Hands, Problem};
use crate::aws::secrets::{self, Content, Version, Wish};
use crate::aws::{AwsError, Session};
use crate::modules::Args;
use crate::value::{Map, Value};
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use base64ct::{Base64, Encoding};

/// Arguments for which other services would have to be asked.
const LEFT_OUT: [&str; 3] = ["replica", "resource_policy", "rotation_lambda"];

pub(in crate::actions) async fn secret(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    if let Some(name) = LEFT_OUT.into_iter().find(|name| args.has(name)) {
        return Err(Problem::new(format!("`{name}` of secretsmanager_secret is not built in; set it with Terraform or `aws`")));
    }
    let (name, access, is_check) = (args.required("name")?.to_owned(), access(args, hands)?, hands.is_check());
    if args.str("state") == Some("absent") {
        let days = args.int("recovery_window").unwrap_or(30);
        let done = Session::ask(access, move |session| async move { remove(&session, &name, days, is_check).await }).await?;
        return Ok(answered(done));
    }
    let text = |name: &str| args.text(name).map(|text| text.as_str().to_owned()).filter(|text| !text.is_empty());
    let wish = Wish { name, description: text("description"), key: text("kms_key_id"), content: content(args)? };
    let tags = args.has("tags").then(|| pairs(args.dict("tags")));
    let (overwrites, purges) = (args.bool("overwrite"), args.bool("purge_tags"));
    let done = Session::ask(access, move |session| async move {
        let mut changed = set(&session, &wish, tags.as_deref(), overwrites, is_check).await?;
        let found = secrets::describe(&session, &wish.name).await?;
        if let (Some(found), Some(wanted)) = (&found, &tags) {
            let (set, gone) = tag_changes(&tags_of(found), wanted, purges);
            changed |= !(set.is_empty() && gone.is_empty());
            if !is_check {
                secrets::tag(&session, &wish.name, &set, &gone).await?;
                return Ok((changed, secrets::describe(&session, &wish.name).await?));
            }
        }
        Ok((changed, found))
    });
    Ok(answered(done.await?))
}

fn content(args: &Args) -> Result<Content, Problem> {
    if let Some(json) = args.get("json_secret").filter(|json| !json.is_null()) {
        let text = json.as_str().map_or_else(|| json.to_json(), str::to_owned);
        return Ok(Content::Text(text));
    }
    let text = args.text("secret").map(|text| text.as_str().to_owned()).unwrap_or_default();
    if args.str("secret_type") == Some("binary") {
        // Base64 or plain, as it comes.
        return Ok(Content::Bytes(Base64::decode_vec(&text).unwrap_or_else(|_| text.into_bytes())));
    }
    Ok(Content::Text(text))
}

async fn remove(
    session: &Session,
    name: &str,
    days: i64,
    is_check: bool,
) -> Result<(bool, Option<DescribeSecretOutput>), AwsError> {
    let Some(found) = secrets::describe(session, name).await? else { return Ok((false, None)) };
    let changes = found.deleted_date.is_none() || days == 0;
    if changes && !is_check {
        secrets::delete(session, name, days).await?;
    }
    let left = if is_check || days == 0 { None } else { secrets::describe(session, name).await? };
    Ok((changes, left))
}

/// Whether it had to be made, brought back or written.
async fn set(
    session: &Session,
    wish: &Wish,
    tags: Option<&[(String, String)]>,
    overwrites: bool,
    is_check: bool,
) -> Result<bool, AwsError> {
    let Some(found) = secrets::describe(session, &wish.name).await? else {
        if !is_check {
            secrets::create(session, wish, tags.unwrap_or_default()).await?;
        }
        return Ok(true);
    };
    let is_deleted = found.deleted_date.is_some();
    if is_deleted && !is_check {
        secrets::restore(session, &wish.name).await?;
    }
    if !overwrites || (is_deleted && is_check) {
        return Ok(is_deleted);
    }
    let is_same = secrets::get(session, &wish.name, &Version::default()).await? == wish.content
        && wish.description.as_deref().unwrap_or_default() == found.description.as_deref().unwrap_or_default()
        && wish.key.as_ref().is_none_or(|key| found.kms_key_id.as_ref() == Some(key));
    if !is_same && !is_check {
        secrets::update(session, wish).await?;
    }
    Ok(is_deleted || !is_same)
}

fn tags_of(found: &DescribeSecretOutput) -> Vec<(String, String)> {
    let tags = found.tags.iter().flatten();
    tags.map(|tag| (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default())).collect()
}

fn answered((changed, found): (bool, Option<DescribeSecretOutput>)) -> Answer {
    answer(changed, [("secret", found.map_or_else(|| Value::map(Map::new()), |found| Value::map(values(&found))))])
}

fn values(found: &DescribeSecretOutput) -> Map {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let time = |time: &Option<aws_smithy_types::DateTime>| time.map(|time| python_time(time.secs(), time.subsec_nanos()));
    let stages = found.version_ids_to_stages.as_ref().map(|versions| {
        let stages = |stages: &Vec<String>| stages.iter().map(|stage| Value::from(stage.as_str())).collect::<Value>();
        Value::map(versions.iter().map(|(id, names)| (id.as_str().into(), stages(names))).collect())
    });
    let entries = [
        ("arn", text(&found.arn)),
        ("created_date", time(&found.created_date)),
        ("deleted_date", time(&found.deleted_date)),
        ("description", text(&found.description)),
        ("kms_key_id", text(&found.kms_key_id)),
        ("last_changed_date", time(&found.last_changed_date)),
        ("name", text(&found.name)),
        ("tags", found.tags.as_ref().map(|_| dict(&tags_of(found)))),
        ("version_ids_to_stages", stages),
    ];
    entries.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
}
