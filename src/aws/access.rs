//! Who asks, and where.

use super::AwsError;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use std::time::Duration;

const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Tries of one call, all in all.
const TRIES: u32 = 4;

/// How the API is reached; what is not given is found as the AWS tools find it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub endpoint: Option<String>,
    /// Key id and secret; otherwise the usual chain.
    pub credentials: Option<(String, String)>,
    /// Of temporary credentials.
    pub token: Option<String>,
    /// ARN of a role that is assumed with these credentials.
    pub role: Option<String>,
}

/// What Ansible calls each setting, its variables of the environment last.
struct Words {
    options: &'static [&'static str],
    environment: &'static [&'static str],
}

const REGION: Words =
    Words { options: &["region", "aws_region"], environment: &["AWS_REGION", "AWS_DEFAULT_REGION", "EC2_REGION"] };
const PROFILE: Words =
    Words { options: &["profile", "aws_profile", "boto_profile"], environment: &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] };
const ENDPOINT: Words = Words {
    options: &["endpoint_url", "aws_endpoint_url", "endpoint"],
    environment: &["AWS_ENDPOINT_URL", "AWS_URL", "EC2_URL"],
};
const KEY: Words = Words {
    options: &["access_key", "aws_access_key", "aws_access_key_id"],
    environment: &["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"],
};
const SECRET: Words = Words {
    options: &["secret_key", "aws_secret_key", "aws_secret_access_key"],
    environment: &["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"],
};
const TOKEN: Words = Words { options: &["session_token", "aws_session_token"], environment: &["AWS_SESSION_TOKEN"] };

/// Every name of an option that says who asks and where.
pub(crate) fn option_names() -> impl Iterator<Item = &'static str> {
    [REGION, PROFILE, ENDPOINT, KEY, SECRET, TOKEN].into_iter().flat_map(|words| words.options).copied()
}

impl std::fmt::Debug for Access {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Access").field("region", &self.region).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Access {
    /// What a task, a lookup or an inventory says, by any of the names that Ansible has for it; the `environment` of a task comes
    /// second, that of this process is the SDK's business.
    pub(crate) fn of(
        option: impl Fn(&str) -> Option<String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Access, AwsError> {
        let given = |find: &dyn Fn(&str) -> Option<String>, names: &[&str]| {
            names.iter().find_map(|name| find(name)).filter(|text| !text.is_empty())
        };
        let said = |words: &Words| given(&option, words.options);
        let around = |words: &Words| given(&environment, words.environment);
        let (profile, key) = (said(&PROFILE), said(&KEY));
        if profile.is_some() && key.is_some() {
            return Err(AwsError::TwoWays);
        }
        let (profile, key, secret, token) = match (&profile, &key) {
            (None, None) => match around(&KEY) {
                Some(key) => (None, Some(key), around(&SECRET), around(&TOKEN)),
                None => (around(&PROFILE), None, None, None),
            },
            _ => (profile, key, said(&SECRET), said(&TOKEN)),
        };
        let credentials = match (key, secret) {
            (Some(key), Some(secret)) => Some((key, secret)),
            (None, _) => None,
            (Some(_), None) => return Err(AwsError::HalfKey),
        };
        let region = said(&REGION).or_else(|| around(&REGION));
        let endpoint = said(&ENDPOINT).or_else(|| around(&ENDPOINT));
        Ok(Access { region, profile, endpoint, credentials, token, role: None })
    }

    /// Without a region nothing can be asked.
    pub(crate) async fn load(&self, retries: RetryConfig) -> Option<SdkConfig> {
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(crate::https::aws_client()).retry_config(retries);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some((id, secret)) = &self.credentials {
            loader = loader.credentials_provider(Credentials::new(id, secret, self.token.clone(), None, "given"));
        }
        let config = loader.load().await;
        config.region()?;
        let Some(role) = &self.role else { return Some(config) };
        let assumed = aws_config::sts::AssumeRoleProvider::builder(role).session_name("roll").configure(&config).build().await;
        let assumed = aws_credential_types::provider::SharedCredentialsProvider::new(assumed);
        Some(config.into_builder().credentials_provider(assumed).build())
    }

    /// The same, patient: for everything but a rollout, which decides by itself what is tried again.
    pub(super) async fn load_patiently(&self) -> Option<SdkConfig> {
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_MAX).read_timeout(SILENCE_MAX).build();
        let config = self.load(RetryConfig::standard().with_max_attempts(TRIES)).await?;
        Some(config.into_builder().timeout_config(timeouts).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(options: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Access, AwsError> {
        let find = |list: &[(&str, &str)], name: &str| {
            list.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        Access::of(|name| find(options, name), |name| find(environment, name))
    }

    #[test]
    fn every_name_of_a_setting_is_understood_and_a_task_s_own_count_most() {
        let keys = [("aws_access_key", "AK"), ("aws_secret_access_key", "SK"), ("aws_session_token", "T")];
        let around = [("AWS_ACCESS_KEY_ID", "OTHER"), ("AWS_SECRET_ACCESS_KEY", "other"), ("AWS_REGION", "eu-west-1")];
        let found = access(&keys, &around).unwrap();
        assert_eq!(found.credentials, Some(("AK".to_owned(), "SK".to_owned())));
        assert_eq!((found.token.as_deref(), found.region.as_deref()), (Some("T"), Some("eu-west-1")));
        let found = access(&[], &around).unwrap();
        assert_eq!(found.credentials.unwrap().0, "OTHER");
    }

    #[test]
    fn a_profile_that_is_said_is_not_overruled_by_keys_around() {
        let around = [("AWS_ACCESS_KEY_ID", "OTHER"), ("AWS_SECRET_ACCESS_KEY", "other")];
        let found = access(&[("boto_profile", "shop")], &around).unwrap();
        assert_eq!((found.profile.as_deref(), found.credentials), (Some("shop"), None));
        assert_eq!(access(&[("profile", "shop"), ("access_key", "AK")], &[]), Err(AwsError::TwoWays));
        assert_eq!(access(&[("access_key", "AK")], &around), Err(AwsError::HalfKey));
    }

    #[test]
    fn keys_are_not_shown() {
        let found = access(&[("access_key", "AKIA"), ("secret_key", "s3cret"), ("session_token", "t0ken")], &[]).unwrap();
        let shown = format!("{found:?}");
        assert!(!["AKIA", "s3cret", "t0ken"].iter().any(|word| shown.contains(word)), "{shown}");
    }
}
