//! S3's objects.

use super::{AwsError, Session};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{MetadataDirective, ObjectCannedAcl, ServerSideEncryption, Tag, Tagging};
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";
const LIST: &str = "s3:ListBucket";
const TAGS: &str = "s3:GetObjectTagging";
const TAG: &str = "s3:PutObjectTagging";

/// Texts are returned up to this size.
const TEXT_MAX: usize = 64 << 20;

/// Where an object is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    /// Account that the bucket must belong to.
    pub(crate) owner: Option<String>,
}

/// What is known of an object without its contents.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// An MD5 for objects that were put in one piece.
    pub(crate) etag: String,
    /// Seconds since 1970.
    pub(crate) modified: i64,
}

/// How an object is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeping {
    pub(crate) acl: Option<String>,
    /// `AES256` or `aws:kms`, and the key of the latter.
    pub(crate) encryption: Option<(String, Option<String>)>,
    /// Names and values: those that S3 knows as headers, and others.
    pub(crate) metadata: Vec<(String, String)>,
}

/// What an object is to hold.
#[derive(Debug)]
pub(crate) enum Body {
    File(std::path::PathBuf),
    Bytes(Vec<u8>),
}

fn client(session: &Session) -> &Client {
    session.s3.get_or_init(|| {
        // Other stores with this API know neither hosts by the name of a bucket nor the newer checksums.
        let config = Builder::from(&session.config)
            .force_path_style(session.endpoint_of("S3").is_some())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        Client::from_conf(config.build())
    })
}

fn broken(call: &'static str, why: impl std::fmt::Display) -> AwsError {
    AwsError::Unreadable { call, why: why.to_string() }
}

pub(crate) async fn has_bucket(session: &Session, bucket: &str, owner: Option<&str>) -> Result<bool, AwsError> {
    let asked = client(session).head_bucket().bucket(bucket).set_expected_bucket_owner(owner.map(str::to_owned));
    match asked.send().await.map_err(|error| AwsError::of(LIST, &error)) {
        Err(AwsError::Missing { .. }) => Ok(false),
        answer => answer.map(|_| true),
    }
}

/// None where there is no such object.
pub(crate) async fn head(session: &Session, place: &Place) -> Result<Option<Head>, AwsError> {
    let asked = client(session).head_object().bucket(&place.bucket).key(&place.key);
    let asked = asked.set_version_id(place.version.clone()).set_expected_bucket_owner(place.owner.clone());
    match asked.send().await.map_err(|error| AwsError::of(GET, &error)) {
        Err(AwsError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
        Ok(answer) => Ok(Some(Head {
            etag: answer.e_tag.unwrap_or_default().trim_matches('"').to_owned(),
            modified: answer.last_modified.map_or(0, |time| time.secs()),
        })),
    }
}

async fn open(session: &Session, place: &Place) -> Result<GetObjectOutput, AwsError> {
    let asked = client(session).get_object().bucket(&place.bucket).key(&place.key);
    let asked = asked.set_version_id(place.version.clone()).set_expected_bucket_owner(place.owner.clone());
    asked.send().await.map_err(|error| AwsError::of(GET, &error))
}

/// Into a file, piece by piece.
pub(crate) async fn get(session: &Session, place: &Place, into: &Path) -> Result<(), AwsError> {
    let mut body = open(session, place).await?.body;
    let mut file = tokio::fs::File::create(into).await.map_err(|error| broken(GET, error))?;
    while let Some(piece) = body.try_next().await.map_err(|error| broken(GET, error))? {
        file.write_all(&piece).await.map_err(|error| broken(GET, error))?;
    }
    file.flush().await.map_err(|error| broken(GET, error))
}

pub(crate) async fn text(session: &Session, place: &Place) -> Result<String, AwsError> {
    let mut body = open(session, place).await?.body;
    let mut bytes = Vec::new();
    while let Some(piece) = body.try_next().await.map_err(|error| broken(GET, error))? {
        if bytes.len() + piece.len() > TEXT_MAX {
            return Err(broken(GET, format!("it has more than {} MiB; use `mode: get`", TEXT_MAX >> 20)));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| broken(GET, "it is no UTF-8 text; use `mode: get`"))
}

pub(crate) async fn put(session: &Session, place: &Place, body: Body, keeping: &Keeping) -> Result<(), AwsError> {
    let body = match body {
        Body::Bytes(bytes) => ByteStream::from(bytes),
        Body::File(path) => ByteStream::from_path(&path).await.map_err(|error| broken(PUT, error))?,
    };
    let mut asked = client(session).put_object().bucket(&place.bucket).key(&place.key).body(body);
    asked = asked.set_acl(keeping.acl.as_deref().map(ObjectCannedAcl::from)).set_expected_bucket_owner(place.owner.clone());
    if let Some((kind, key)) = &keeping.encryption {
        asked = asked.server_side_encryption(ServerSideEncryption::from(kind.as_str())).set_ssekms_key_id(key.clone());
    }
    for (name, value) in &keeping.metadata {
        asked = match header(name).as_str() {
            "contenttype" => asked.content_type(value),
            "contentencoding" => asked.content_encoding(value),
            "contentdisposition" => asked.content_disposition(value),
            "contentlanguage" => asked.content_language(value),
            "cachecontrol" => asked.cache_control(value),
            "storageclass" => asked.storage_class(value.as_str().into()),
            "websiteredirectlocation" => asked.website_redirect_location(value),
            "grantfullcontrol" => asked.grant_full_control(value),
            "grantread" => asked.grant_read(value),
            "grantreadacp" => asked.grant_read_acp(value),
            "grantwriteacp" => asked.grant_write_acp(value),
            _ => asked.metadata(name, value),
        };
    }
    asked.send().await.map(drop).map_err(|error| AwsError::of(PUT, &error))
}

/// `Content-Type` and `ContentType` are the same.
fn header(name: &str) -> String {
    name.chars().filter(|letter| *letter != '-').map(|letter| letter.to_ascii_lowercase()).collect()
}

pub(crate) async fn delete(session: &Session, place: &Place) -> Result<(), AwsError> {
    let asked = client(session).delete_object().bucket(&place.bucket).key(&place.key).set_version_id(place.version.clone());
    let asked = asked.set_expected_bucket_owner(place.owner.clone());
    asked.send().await.map(drop).map_err(|error| AwsError::of(DELETE, &error))
}

/// Keys in order: at most `most` of those that begin with `prefix` and come after `after`.
pub(crate) async fn list(
    session: &Session,
    bucket: &str,
    prefix: &str,
    after: &str,
    most: Option<usize>,
) -> Result<Vec<String>, AwsError> {
    let (mut keys, mut next) = (Vec::new(), None);
    loop {
        let asked = client(session).list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(next);
        let asked = if after.is_empty() { asked } else { asked.start_after(after) };
        let answer = asked.send().await.map_err(|error| AwsError::of(LIST, &error))?;
        keys.extend(answer.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        if let Some(most) = most.filter(|most| keys.len() >= *most) {
            keys.truncate(most);
            return Ok(keys);
        }
        next = answer.next_continuation_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(keys);
        }
    }
}

pub(crate) async fn copy(session: &Session, from: &Place, to: &Place, keeping: &Keeping) -> Result<(), AwsError> {
    let version = from.version.as_ref().map(|version| format!("?versionId={version}")).unwrap_or_default();
    let key: String = from.key.split('/').map(encoded).collect::<Vec<_>>().join("/");
    let mut asked = client(session).copy_object().copy_source(format!("{}/{key}{version}", from.bucket));
    asked = asked.bucket(&to.bucket).key(&to.key).set_acl(keeping.acl.as_deref().map(ObjectCannedAcl::from));
    if let Some((kind, key)) = &keeping.encryption {
        asked = asked.server_side_encryption(ServerSideEncryption::from(kind.as_str())).set_ssekms_key_id(key.clone());
    }
    if !keeping.metadata.is_empty() {
        asked = asked.metadata_directive(MetadataDirective::Replace);
        for (name, value) in &keeping.metadata {
            asked = if header(name) == "contenttype" { asked.content_type(value) } else { asked.metadata(name, value) };
        }
    }
    asked.send().await.map(drop).map_err(|error| AwsError::of(PUT, &error))
}

fn encoded(part: &str) -> String {
    part.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// A link that lets anybody get the object for so long.
pub(crate) async fn link(session: &Session, place: &Place, time: Duration) -> Result<String, AwsError> {
    let config = PresigningConfig::expires_in(time).map_err(|error| broken(GET, error))?;
    let asked = client(session).get_object().bucket(&place.bucket).key(&place.key).set_version_id(place.version.clone());
    let signed = asked.presigned(config).await.map_err(|error: SdkError<_, _>| AwsError::of(GET, &error))?;
    Ok(signed.uri().to_owned())
}

pub(crate) async fn tags(session: &Session, place: &Place) -> Result<Vec<(String, String)>, AwsError> {
    let answer = client(session).get_object_tagging().bucket(&place.bucket).key(&place.key).send().await;
    let answer = answer.map_err(|error| AwsError::of(TAGS, &error))?;
    Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// All tags of an object from now on.
pub(crate) async fn set_tags(session: &Session, place: &Place, tags: &[(String, String)]) -> Result<(), AwsError> {
    let tag = |(key, value): &(String, String)| Tag::builder().key(key).value(value).build();
    let tags = tags.iter().map(tag).collect::<Result<Vec<_>, _>>().map_err(|error| broken(TAG, error))?;
    let tagging = Tagging::builder().set_tag_set(Some(tags)).build().map_err(|error| broken(TAG, error))?;
    let asked = client(session).put_object_tagging().bucket(&place.bucket).key(&place.key).tagging(tagging);
    asked.send().await.map(drop).map_err(|error| AwsError::of(TAG, &error))
}
