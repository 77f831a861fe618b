//! What went wrong, told apart by what the reader can do about it.

use crate::diag::{Diagnostic, Explain};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Why AWS gave no answer. Calls are named as IAM names the right to make them: `ssm:GetParameter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsError {
    /// A profile and keys are both given.
    TwoWays,
    /// The id of a key without its secret.
    HalfKey,
    /// None, or ones that were never good.
    NoCredentials {
        why: String,
    },
    NoRegion,
    /// Credentials that were good once.
    Expired {
        why: String,
    },
    Denied {
        call: &'static str,
        why: String,
    },
    /// What was asked for is not there.
    Missing {
        call: &'static str,
        why: String,
    },
    Throttled {
        call: &'static str,
    },
    Unreachable {
        call: &'static str,
        why: String,
    },
    /// Errors of AWS's own.
    Failing {
        call: &'static str,
        why: String,
    },
    Refused {
        call: &'static str,
        code: String,
        why: String,
    },
    Unreadable {
        call: &'static str,
        why: String,
    },
    /// Nothing of AWS: this machine has no more threads.
    NoThread {
        why: String,
    },
}

const THROTTLED: [&str; 7] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "TooManyRequestsException",
    "SlowDown",
    "TooManyUpdates",
];
const EXPIRED: [&str; 5] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired", "InvalidToken"];
const NEVER_GOOD: [&str; 9] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AuthFailure",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
];
const DENIED: [&str; 5] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired", "AllAccessDisabled"];
const MISSING: [&str; 10] = [
    "ParameterNotFound",
    "ParameterVersionNotFound",
    "ResourceNotFoundException",
    "NoSuchKey",
    "NoSuchBucket",
    "NoSuchVersion",
    "NotFound",
    "TargetGroupNotFound",
    "LoadBalancerNotFound",
    "InvalidInstanceID.NotFound",
];

impl AwsError {
    /// What an answer that is an error says.
    pub(super) fn answered(call: &'static str, status: u16, code: &str, said: &str) -> AwsError {
        let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        let why = if said.is_empty() { code.to_owned() } else { said };
        match code {
            _ if THROTTLED.contains(&code) || status == 429 => AwsError::Throttled { call },
            _ if EXPIRED.contains(&code) => AwsError::Expired { why },
            _ if NEVER_GOOD.contains(&code) => AwsError::NoCredentials { why },
            _ if DENIED.contains(&code) => AwsError::Denied { call, why },
            _ if MISSING.contains(&code) => AwsError::Missing { call, why },
            // An answer to HEAD has no body.
            "" if status == 404 => AwsError::Missing { call, why: "it is not there".to_owned() },
            "" if status == 403 => AwsError::Denied { call, why: "403 Forbidden".to_owned() },
            _ if status >= 500 => AwsError::Failing { call, why: format!("{status} {why}").trim_end().to_owned() },
            _ => AwsError::Refused { call, code: code.to_owned(), why },
        }
    }

    pub(super) fn of<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => AwsError::answered(
                call,
                answer.raw().status().as_u16(),
                answer.err().code().unwrap_or_default(),
                answer.err().message().unwrap_or_default(),
            ),
            SdkError::TimeoutError(_) => AwsError::Unreachable { call, why: "no answer in time".to_owned() },
            SdkError::ResponseError(_) => AwsError::Unreadable { call, why: chain(error) },
            _ => AwsError::unsent(call, chain(error)),
        }
    }

    /// Nothing was sent: there is nobody to sign for, or no way there.
    pub(super) fn unsent(call: &'static str, why: String) -> AwsError {
        if why.contains("credential") || why.contains("identity") {
            return AwsError::NoCredentials { why };
        }
        AwsError::Unreachable { call, why }
    }

    /// In one line, for `msg`: what is wrong, then what to do.
    pub(crate) fn words(&self) -> String {
        let diagnostic = self.explain();
        let mut words = vec![diagnostic.title];
        words.extend(diagnostic.help);
        words.join("; ")
    }
}

impl Explain for AwsError {
    fn explain(&self) -> Diagnostic {
        match self {
            AwsError::TwoWays => Diagnostic::error("aws-two-ways", "a profile and keys of AWS are both given")
                .help("give `profile`, or `access_key` with `secret_key`"),
            AwsError::HalfKey => Diagnostic::error("aws-half-key", "an access key of AWS is given without its secret")
                .help("give `secret_key` too"),
            AwsError::NoCredentials { why } => {
                Diagnostic::error("aws-no-credentials", format!("there are no AWS credentials that hold: {why}")).help(
                    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile of ~/.aws (`profile`, AWS_PROFILE), or give \
                     this machine a role",
                )
            }
            AwsError::NoRegion => Diagnostic::error("aws-no-region", "nothing names the region of AWS")
                .help("give `region`, set AWS_REGION, or set it in the profile (`aws configure set region eu-central-1`)"),
            AwsError::Expired { why } => {
                Diagnostic::error("aws-credentials-expired", format!("the AWS credentials are not good any more: {why}"))
                    .help("get new ones where they come from (`aws sso login`, a new session token)")
            }
            AwsError::Denied { call, why } => {
                Diagnostic::error("aws-denied", format!("the AWS credentials may not call {call}: {why}"))
                    .help(format!("allow `{call}` in the policy of the user or role that they belong to"))
            }
            AwsError::Missing { call, why } => {
                Diagnostic::error("aws-not-found", format!("AWS has nothing of that name ({call}): {why}"))
                    .help("the name, the region and the account of the credentials must all be right")
            }
            AwsError::Throttled { call } => {
                Diagnostic::error("aws-throttled", format!("AWS throttles {call}: too many calls in this account and region"))
                    .help("try again later, or with fewer `forks`")
            }
            AwsError::Unreachable { call, why } => {
                Diagnostic::error("aws-unreachable", format!("AWS gives no answer to {call}: {why}"))
                    .help("see that this machine reaches the endpoint, and that `region` and `endpoint_url` are right")
            }
            AwsError::Failing { call, why } => {
                Diagnostic::error("aws-failing", format!("AWS answers {call} with an error of its own: {why}"))
            }
            AwsError::Refused { call, code, why } => {
                Diagnostic::error("aws-refused", format!("AWS refuses {call}: {why} ({code})"))
            }
            AwsError::Unreadable { call, why } => {
                Diagnostic::error("aws-unreadable", format!("AWS's answer to {call} cannot be read: {why}"))
            }
            AwsError::NoThread { why } => Diagnostic::error("aws-no-thread", format!("AWS cannot be asked: {why}")),
        }
    }
}

/// An error with all its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let word = error.to_string();
        if !words.iter().any(|known| known.contains(&word)) {
            words.push(word);
        }
        cause = error.source();
    }
    words.join(": ").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_what_to_do() {
        let code = |status, code| AwsError::answered("ssm:GetParameter", status, code, "").explain().code;
        for (status, said, told) in [
            (400, "ParameterNotFound", "aws-not-found"),
            (404, "", "aws-not-found"),
            (403, "", "aws-denied"),
            (403, "AccessDenied", "aws-denied"),
            (400, "UnauthorizedOperation", "aws-denied"),
            (400, "ExpiredTokenException", "aws-credentials-expired"),
            (403, "InvalidClientTokenId", "aws-no-credentials"),
            (400, "ThrottlingException", "aws-throttled"),
            (503, "ServiceUnavailable", "aws-failing"),
            (400, "ValidationException", "aws-refused"),
        ] {
            assert_eq!(code(status, said), told, "{status} {said}");
        }
    }

    #[test]
    fn the_words_say_what_to_do() {
        let error = AwsError::answered("ssm:GetParameter", 400, "AccessDeniedException", "User: x is\n not authorized");
        assert_eq!(
            error.words(),
            "the AWS credentials may not call ssm:GetParameter: User: x is not authorized; allow `ssm:GetParameter` in the policy \
             of the user or role that they belong to"
        );
    }
}
