//! The calls of the API, paced, tried again within a budget, and their errors told apart.

use super::pace::{Pace, jitter};
use super::places::Place;
use crate::aws::{Access, chain};
use crate::balancer::{BalancerError, Trouble};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticloadbalancingv2::types::{
    Listener, LoadBalancer, LoadBalancerAttribute, Rule, TargetDescription, TargetGroup, TargetGroupAttribute,
    TargetHealthDescription,
};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Below what the API grants an account and region: 10 descriptions and 4 changes a second.
const READS_PER_SECOND: f64 = 10.0;
const WRITES_PER_SECOND: f64 = 4.0;
/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// After this a read is not tried again: it would be too old to decide by.
const READ_BUDGET: Duration = Duration::from_secs(2);
const SURVEY_BUDGET: Duration = Duration::from_secs(20);
/// Whoever asked tries again, and says why it takes so long.
const WRITE_BUDGET: Duration = Duration::from_secs(4);

pub(super) struct Api {
    access: Access,
    client: Mutex<Option<Client>>,
    /// Credentials that were good once have expired; others were never good.
    has_worked: AtomicBool,
    reads: Pace,
    writes: Pace,
}

/// One page, and where the next one begins.
type Page<T> = (Vec<T>, Option<String>);

impl Api {
    /// The region is that of the ARN where nothing else is said.
    pub(super) fn new(mut access: Access, group: &str) -> Api {
        let of_arn = group.split(':').nth(3).filter(|region| group.starts_with("arn:") && !region.is_empty());
        access.region = access.region.or_else(|| of_arn.map(str::to_owned));
        Api {
            access,
            client: Mutex::default(),
            has_worked: AtomicBool::new(false),
            reads: Pace::new(READS_PER_SECOND),
            writes: Pace::new(WRITES_PER_SECOND),
        }
    }

    pub(super) fn region(&self) -> &str {
        self.access.region.as_deref().unwrap_or("the default region")
    }

    pub(super) async fn register(&self, group: &str, place: &Place) -> Result<(), BalancerError> {
        let call = |client: Client| async move {
            client.register_targets().target_group_arn(group).targets(described(place)).send().await.map(drop)
        };
        self.call("RegisterTargets", &self.writes, WRITE_BUDGET, call).await
    }

    pub(super) async fn deregister(&self, group: &str, place: &Place) -> Result<(), BalancerError> {
        let call = |client: Client| async move {
            client.deregister_targets().target_group_arn(group).targets(described(place)).send().await.map(drop)
        };
        self.call("DeregisterTargets", &self.writes, WRITE_BUDGET, call).await
    }

    pub(super) async fn health(&self, group: &str) -> Result<Vec<TargetHealthDescription>, BalancerError> {
        let call = |client: Client| async move {
            let answer = client.describe_target_health().target_group_arn(group).send().await?;
            Ok(answer.target_health_descriptions.unwrap_or_default())
        };
        self.call("DescribeTargetHealth", &self.reads, READ_BUDGET, call).await
    }

    /// By ARN or by name.
    pub(super) async fn groups(&self, named: &[String]) -> Result<Vec<TargetGroup>, BalancerError> {
        let (arns, names): (Vec<String>, Vec<String>) = named.iter().cloned().partition(|name| name.starts_with("arn:"));
        let mut found = Vec::new();
        for (arns, names) in [(arns, Vec::new()), (Vec::new(), names)] {
            if arns.is_empty() && names.is_empty() {
                continue;
            }
            let call = |client: Client, marker: Option<String>| {
                let set = |list: &Vec<String>| Some(list.clone()).filter(|list| !list.is_empty());
                let asked = client.describe_target_groups().set_target_group_arns(set(&arns)).set_names(set(&names));
                async move {
                    let answer = asked.set_marker(marker).send().await?;
                    Ok((answer.target_groups.unwrap_or_default(), answer.next_marker))
                }
            };
            found.extend(self.pages("DescribeTargetGroups", call).await?);
        }
        Ok(found)
    }

    pub(super) async fn group_attributes(&self, group: &str) -> Result<Vec<TargetGroupAttribute>, BalancerError> {
        let call = |client: Client| async move {
            let answer = client.describe_target_group_attributes().target_group_arn(group).send().await?;
            Ok(answer.attributes.unwrap_or_default())
        };
        self.call("DescribeTargetGroupAttributes", &self.reads, SURVEY_BUDGET, call).await
    }

    pub(super) async fn balancers(&self, arns: &[String]) -> Result<Vec<LoadBalancer>, BalancerError> {
        let call = |client: Client, marker: Option<String>| {
            let asked = client.describe_load_balancers().set_load_balancer_arns(Some(arns.to_vec())).set_marker(marker);
            async move {
                let answer = asked.send().await?;
                Ok((answer.load_balancers.unwrap_or_default(), answer.next_marker))
            }
        };
        self.pages("DescribeLoadBalancers", call).await
    }

    pub(super) async fn balancer_attributes(&self, arn: &str) -> Result<Vec<LoadBalancerAttribute>, BalancerError> {
        let call = |client: Client| async move {
            let answer = client.describe_load_balancer_attributes().load_balancer_arn(arn).send().await?;
            Ok(answer.attributes.unwrap_or_default())
        };
        self.call("DescribeLoadBalancerAttributes", &self.reads, SURVEY_BUDGET, call).await
    }

    pub(super) async fn listeners(&self, balancer: &str) -> Result<Vec<Listener>, BalancerError> {
        let call = |client: Client, marker: Option<String>| {
            let asked = client.describe_listeners().load_balancer_arn(balancer).set_marker(marker);
            async move {
                let answer = asked.send().await?;
                Ok((answer.listeners.unwrap_or_default(), answer.next_marker))
            }
        };
        self.pages("DescribeListeners", call).await
    }

    pub(super) async fn rules(&self, listener: &str) -> Result<Vec<Rule>, BalancerError> {
        let call = |client: Client, marker: Option<String>| {
            let asked = client.describe_rules().listener_arn(listener).set_marker(marker);
            async move {
                let answer = asked.send().await?;
                Ok((answer.rules.unwrap_or_default(), answer.next_marker))
            }
        };
        self.pages("DescribeRules", call).await
    }

    /// Every page of an answer.
    async fn pages<T, E, F>(
        &self,
        name: &'static str,
        page: impl Fn(Client, Option<String>) -> F,
    ) -> Result<Vec<T>, BalancerError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<Page<T>, SdkError<E>>>,
    {
        let (mut all, mut marker) = (Vec::new(), None);
        loop {
            let at = marker.clone();
            let (items, next) = self.call(name, &self.reads, SURVEY_BUDGET, |client| page(client, at.clone())).await?;
            all.extend(items);
            marker = next.filter(|next| !next.is_empty() && Some(next) != at.as_ref());
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    async fn call<T, E, F>(
        &self,
        name: &'static str,
        pace: &Pace,
        budget: Duration,
        attempt: impl Fn(Client) -> F,
    ) -> Result<T, BalancerError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            pace.turn().await;
            let client = self.client().await?;
            let error = match tokio::time::timeout(CALL_MAX, attempt(client)).await {
                Ok(Ok(answer)) => {
                    self.has_worked.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(error)) => self.told_apart(name, &error),
                Err(_) => BalancerError::Silent { call: name, seconds: CALL_MAX.as_secs() },
            };
            if matches!(error, BalancerError::Expired { .. }) {
                // They may have been renewed in a file since.
                *self.client.lock().await = None;
            }
            let pause = jitter(tries);
            if error.trouble() != Trouble::Weather || begun.elapsed() + pause >= budget {
                return Err(error);
            }
            tries += 1;
            tokio::time::sleep(pause).await;
        }
    }

    async fn client(&self) -> Result<Client, BalancerError> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        // What is tried again is decided here, by what the error means for a rollout.
        let config = self.access.load(RetryConfig::disabled()).await.ok_or(BalancerError::NoRegion)?;
        Ok(client.insert(Client::new(&config)).clone())
    }

    fn told_apart<E>(&self, call: &'static str, error: &SdkError<E>) -> BalancerError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::TimeoutError(_) => BalancerError::Silent { call, seconds: CALL_MAX.as_secs() },
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let (code, said) = (answer.err().code().unwrap_or_default(), answer.err().message().unwrap_or_default());
                let id = answer.raw().headers().get("x-amzn-requestid").unwrap_or_default();
                meaning(call, status, code, said, id)
            }
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                BalancerError::Silent { call, seconds: CALL_MAX.as_secs() }
            }
            SdkError::ResponseError(answer) if answer.raw().status().as_u16() >= 500 => {
                BalancerError::Failing { call, why: format!("{} {}", answer.raw().status().as_u16(), chain(error)) }
            }
            SdkError::ResponseError(_) => BalancerError::Unreadable { what: "answer", answer: chain(error) },
            _ => {
                let why = chain(error);
                let is_access = why.contains("credential");
                match (is_access, self.has_worked.load(Ordering::Relaxed)) {
                    (true, true) => BalancerError::Expired { why },
                    (true, false) => BalancerError::NoCredentials { why },
                    (false, _) => BalancerError::Unreachable { why: format!("{call}: {why}") },
                }
            }
        }
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Api").field("access", &self.access).finish_non_exhaustive()
    }
}

fn described(place: &Place) -> TargetDescription {
    TargetDescription::builder().id(&place.id).port(i32::from(place.port)).build()
}

/// What an answer of the API says about the weather.
fn meaning(call: &'static str, status: u16, code: &str, said: &str, id: &str) -> BalancerError {
    let said: String = said.lines().next().unwrap_or_default().chars().take(200).collect();
    let why = if said.is_empty() { code.to_owned() } else { said.clone() };
    match code {
        "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "TooManyRequestsException"
        | "SlowDown" => BalancerError::Throttled { call },
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => BalancerError::Expired { why },
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature" => BalancerError::NoCredentials { why },
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "OptInRequired" => {
            BalancerError::Denied { call, why }
        }
        _ if status == 429 => BalancerError::Throttled { call },
        _ if status >= 500 => BalancerError::Failing { call, why: format!("{status} {code} {said}").trim_end().to_owned() },
        _ => {
            let request = if id.is_empty() { String::new() } else { format!(" (request {id})") };
            BalancerError::Refused { command: call.to_owned(), answer: format!("{code}: {said}{request}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weather_is_told_from_what_asking_again_does_not_change() {
        let trouble = |status, code| meaning("DescribeTargetHealth", status, code, "", "").trouble();
        for (status, code) in [
            (400, "Throttling"),
            (503, "ServiceUnavailable"),
            (500, ""),
            (403, "ExpiredToken"),
            (429, ""),
            (400, "RequestLimitExceeded"),
        ] {
            assert_eq!(trouble(status, code), Trouble::Weather, "{status} {code}");
        }
        for (status, code) in
            [(403, "AccessDenied"), (403, "InvalidClientTokenId"), (400, "ValidationError"), (400, "InvalidTarget")]
        {
            assert_eq!(trouble(status, code), Trouble::Wrong, "{status} {code}");
        }
    }

    #[test]
    fn the_region_is_that_of_the_arn_unless_said() {
        let arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/palindrome/0123456789abcdef";
        assert_eq!(Api::new(Access::default(), arn).access.region.as_deref(), Some("eu-central-1"));
        let said = Access { region: Some("us-east-1".to_owned()), ..Access::default() };
        assert_eq!(Api::new(said, arn).region(), "us-east-1");
        assert_eq!(Api::new(Access::default(), "palindrome").access.region, None);
    }

    #[test]
    fn keys_are_not_shown() {
        let access = Access { credentials: Some(("AKIA".to_owned(), "s3cret".to_owned())), ..Access::default() };
        let shown = format!("{access:?} {:?}", Api::new(access.clone(), "palindrome"));
        assert!(!shown.contains("s3cret") && !shown.contains("AKIA"), "{shown}");
    }
}
