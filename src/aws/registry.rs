//! ECR: the password of the day for a registry.

use super::answer::Post;
use super::{AwsError, Session};
use crate::value::Value;
use base64ct::{Base64, Encoding};

const TOKEN: &str = "ecr:GetAuthorizationToken";
const HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/x-amz-json-1.1"),
    ("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
];

/// User and password.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The region of a private registry of AWS, by its address: `ACCOUNT.dkr.ecr.REGION.amazonaws.com`.
pub(crate) fn region_of(registry: &str) -> Option<&str> {
    let host = registry.trim_start_matches("https://").trim_start_matches("http://").split('/').next()?;
    let mut parts = host.split('.');
    let account = parts.next()?;
    let is_account = account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
    let is_registry = parts.next() == Some("dkr") && parts.next().is_some_and(|word| word == "ecr" || word == "ecr-fips");
    let region = parts.next()?;
    (is_account && is_registry && parts.next() == Some("amazonaws")).then_some(region)
}

/// It holds for twelve hours, for every registry that the credentials may use.
pub(crate) async fn login(session: &Session) -> Result<Login, AwsError> {
    let post = Post { service: "api.ecr", id: "ECR", call: TOKEN, headers: HEADERS, body: "{}".to_owned() };
    let answer = session.post(&post, told_apart).await?;
    let unreadable = |why: &str| AwsError::Unreadable { call: TOKEN, why: why.to_owned() };
    let answer = Value::from_json(&answer).map_err(|_| unreadable("it is no JSON"))?;
    let first = answer.get("authorizationData").and_then(Value::as_list).and_then(<[Value]>::first);
    let token = first.and_then(|data| data.get("authorizationToken")).and_then(Value::as_str);
    let token = token.ok_or_else(|| unreadable("it holds no token"))?;
    let pair = Base64::decode_vec(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (user, password) =
        pair.as_deref().and_then(|pair| pair.split_once(':')).ok_or_else(|| unreadable("its token is no login"))?;
    Ok(Login { user: user.to_owned(), password: password.to_owned() })
}

fn told_apart(post: &Post, status: u16, answer: &str) -> AwsError {
    let answer = Value::from_json(answer).unwrap_or_default();
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = text("__type");
    let said = if text("message").is_empty() { text("Message") } else { text("message") };
    AwsError::answered(post.call, status, code.rsplit('#').next().unwrap_or_default(), &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_of_aws_is_known_by_its_address() {
        for registry in
            ["123456789012.dkr.ecr.eu-central-1.amazonaws.com", "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop"]
        {
            assert_eq!(region_of(registry), Some("eu-central-1"));
        }
        assert_eq!(region_of("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"), Some("cn-north-1"));
        for registry in
            ["registry.example.com", "public.ecr.aws", "1234.dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr.x", ""]
        {
            assert_eq!(region_of(registry), None, "{registry}");
        }
    }
}
