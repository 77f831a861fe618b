//! Systems Manager's parameters.

use super::{AwsError, Session};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::types::{Parameter, ParameterMetadata, ParameterStringFilter, ParameterTier, ParameterType, Tag};

const GET: &str = "ssm:GetParameter";
const BELOW: &str = "ssm:GetParametersByPath";
const DESCRIBE: &str = "ssm:DescribeParameters";
const PUT: &str = "ssm:PutParameter";
const DELETE: &str = "ssm:DeleteParameter";
const TAGS: &str = "ssm:ListTagsForResource";
const TAG: &str = "ssm:AddTagsToResource";
const UNTAG: &str = "ssm:RemoveTagsFromResource";

/// A parameter as it is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) kind: String,
    pub(crate) tier: String,
    pub(crate) description: Option<String>,
    pub(crate) key: Option<String>,
}

fn client(session: &Session) -> &Client {
    session.ssm.get_or_init(|| Client::new(&session.config))
}

pub(crate) async fn get(session: &Session, name: &str, decrypts: bool) -> Result<Parameter, AwsError> {
    let answer = client(session).get_parameter().name(name).with_decryption(decrypts).send().await;
    let answer = answer.map_err(|error| AwsError::of(GET, &error))?;
    answer.parameter.ok_or_else(|| AwsError::Unreadable { call: GET, why: "it holds no parameter".to_owned() })
}

/// Names and values of all that lies below a path.
pub(crate) async fn below(session: &Session, path: &str, deep: bool, decrypts: bool) -> Result<Vec<(String, String)>, AwsError> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let asked = client(session).get_parameters_by_path().path(path).recursive(deep).with_decryption(decrypts);
        let answer = asked.set_next_token(next).send().await.map_err(|error| AwsError::of(BELOW, &error))?;
        let found = answer.parameters.unwrap_or_default().into_iter();
        all.extend(found.filter_map(|parameter| Some((parameter.name?, parameter.value?))));
        next = answer.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(all);
        }
    }
}

pub(crate) async fn describe(session: &Session, name: &str) -> Result<Option<ParameterMetadata>, AwsError> {
    let filter = ParameterStringFilter::builder().key("Name").option("Equals").values(name).build();
    let filter = filter.map_err(|error| AwsError::Unreadable { call: DESCRIBE, why: error.to_string() })?;
    let answer = client(session).describe_parameters().parameter_filters(filter).send().await;
    let answer = answer.map_err(|error| AwsError::of(DESCRIBE, &error))?;
    Ok(answer.parameters.unwrap_or_default().into_iter().next())
}

pub(crate) async fn put(session: &Session, wish: &Wish, replaces: bool) -> Result<i64, AwsError> {
    let asked = client(session)
        .put_parameter()
        .name(&wish.name)
        .value(&wish.value)
        .r#type(ParameterType::from(wish.kind.as_str()))
        .tier(ParameterTier::from(wish.tier.as_str()))
        .set_description(wish.description.clone())
        .set_key_id(wish.key.clone())
        .overwrite(replaces);
    asked.send().await.map(|answer| answer.version).map_err(|error| AwsError::of(PUT, &error))
}

pub(crate) async fn delete(session: &Session, name: &str) -> Result<(), AwsError> {
    client(session).delete_parameter().name(name).send().await.map(drop).map_err(|error| AwsError::of(DELETE, &error))
}

pub(crate) async fn tags(session: &Session, name: &str) -> Result<Vec<(String, String)>, AwsError> {
    let asked = client(session).list_tags_for_resource().resource_type("Parameter".into()).resource_id(name);
    let answer = asked.send().await.map_err(|error| AwsError::of(TAGS, &error))?;
    Ok(answer.tag_list.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Sets some tags and takes others away.
pub(crate) async fn tag(session: &Session, name: &str, set: &[(String, String)], gone: &[String]) -> Result<(), AwsError> {
    if !set.is_empty() {
        let mut asked = client(session).add_tags_to_resource().resource_type("Parameter".into()).resource_id(name);
        for (key, value) in set {
            let tag = Tag::builder().key(key).value(value).build();
            asked = asked.tags(tag.map_err(|error| AwsError::Unreadable { call: TAG, why: error.to_string() })?);
        }
        asked.send().await.map_err(|error| AwsError::of(TAG, &error))?;
    }
    if !gone.is_empty() {
        let asked = client(session).remove_tags_from_resource().resource_type("Parameter".into()).resource_id(name);
        asked.set_tag_keys(Some(gone.to_vec())).send().await.map_err(|error| AwsError::of(UNTAG, &error))?;
    }
    Ok(())
}
