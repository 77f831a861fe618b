//! Secrets Manager's secrets.

use super::{AwsError, Session};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, Tag};

const GET: &str = "secretsmanager:GetSecretValue";
const LIST: &str = "secretsmanager:ListSecrets";
const DESCRIBE: &str = "secretsmanager:DescribeSecret";
const CREATE: &str = "secretsmanager:CreateSecret";
const UPDATE: &str = "secretsmanager:UpdateSecret";
const DELETE: &str = "secretsmanager:DeleteSecret";
const RESTORE: &str = "secretsmanager:RestoreSecret";
const TAG: &str = "secretsmanager:TagResource";
const UNTAG: &str = "secretsmanager:UntagResource";

/// What a secret holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Content(********)")
    }
}

/// Which version of a secret; by default the current one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    pub(crate) id: Option<String>,
    pub(crate) stage: Option<String>,
}

fn client(session: &Session) -> &Client {
    session.secrets.get_or_init(|| Client::new(&session.config))
}

pub(crate) async fn get(session: &Session, name: &str, version: &Version) -> Result<Content, AwsError> {
    let asked = client(session).get_secret_value().secret_id(name);
    let asked = asked.set_version_id(version.id.clone()).set_version_stage(version.stage.clone());
    let answer = asked.send().await.map_err(|error| AwsError::of(GET, &error))?;
    match (answer.secret_string, answer.secret_binary) {
        (Some(text), _) => Ok(Content::Text(text)),
        (None, Some(bytes)) => Ok(Content::Bytes(bytes.into_inner())),
        (None, None) => Err(AwsError::Unreadable { call: GET, why: "it holds no secret".to_owned() }),
    }
}

/// Whether this refusal is about a secret that waits for its deletion.
pub(crate) fn is_deleted(error: &AwsError) -> bool {
    matches!(error, AwsError::Refused { code, why, .. }
        if code == "InvalidRequestException" && (why.contains("marked for deletion") || why.contains("marked deleted")))
}

/// Names of the secrets that begin so.
pub(crate) async fn names(session: &Session, prefix: &str) -> Result<Vec<String>, AwsError> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let filter = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
        let answer = client(session).list_secrets().filters(filter).set_next_token(next).send().await;
        let answer = answer.map_err(|error| AwsError::of(LIST, &error))?;
        all.extend(answer.secret_list.unwrap_or_default().into_iter().filter_map(|entry| entry.name));
        next = answer.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(all);
        }
    }
}

pub(crate) async fn describe(session: &Session, name: &str) -> Result<Option<DescribeSecretOutput>, AwsError> {
    match client(session).describe_secret().secret_id(name).send().await.map_err(|error| AwsError::of(DESCRIBE, &error)) {
        Err(AwsError::Missing { .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

/// A secret as it is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) content: Content,
}

impl Content {
    fn parts(&self) -> (Option<String>, Option<Blob>) {
        match self {
            Content::Text(text) => (Some(text.clone()), None),
            Content::Bytes(bytes) => (None, Some(Blob::new(bytes.clone()))),
        }
    }
}

pub(crate) async fn create(session: &Session, wish: &Wish, tags: &[(String, String)]) -> Result<(), AwsError> {
    let (text, bytes) = wish.content.parts();
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let asked = client(session).create_secret().name(&wish.name).set_description(wish.description.clone());
    let asked = asked.set_kms_key_id(wish.key.clone()).set_secret_string(text).set_secret_binary(bytes).set_tags(Some(tags));
    asked.send().await.map(drop).map_err(|error| AwsError::of(CREATE, &error))
}

pub(crate) async fn update(session: &Session, wish: &Wish) -> Result<(), AwsError> {
    let (text, bytes) = wish.content.parts();
    let asked = client(session).update_secret().secret_id(&wish.name).set_description(wish.description.clone());
    let asked = asked.set_kms_key_id(wish.key.clone()).set_secret_string(text).set_secret_binary(bytes);
    asked.send().await.map(drop).map_err(|error| AwsError::of(UPDATE, &error))
}

/// After so many days; at once with none.
pub(crate) async fn delete(session: &Session, name: &str, days: i64) -> Result<(), AwsError> {
    let asked = client(session).delete_secret().secret_id(name);
    let asked = if days == 0 { asked.force_delete_without_recovery(true) } else { asked.recovery_window_in_days(days) };
    asked.send().await.map(drop).map_err(|error| AwsError::of(DELETE, &error))
}

pub(crate) async fn restore(session: &Session, name: &str) -> Result<(), AwsError> {
    client(session).restore_secret().secret_id(name).send().await.map(drop).map_err(|error| AwsError::of(RESTORE, &error))
}

/// Sets some tags and takes others away.
pub(crate) async fn tag(session: &Session, name: &str, set: &[(String, String)], gone: &[String]) -> Result<(), AwsError> {
    if !set.is_empty() {
        let tags = set.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        let asked = client(session).tag_resource().secret_id(name).set_tags(Some(tags));
        asked.send().await.map_err(|error| AwsError::of(TAG, &error))?;
    }
    if !gone.is_empty() {
        let asked = client(session).untag_resource().secret_id(name).set_tag_keys(Some(gone.to_vec()));
        asked.send().await.map_err(|error| AwsError::of(UNTAG, &error))?;
    }
    Ok(())
}
