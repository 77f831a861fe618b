//! A Galaxy server: where the archive of a name is.

use super::fetch::not_fetched;
use super::requirements::{Kind, Requirement};
use crate::diag::Diagnostic;
use crate::value::Value;
use std::cmp::Ordering;
use std::time::Duration;

const TIME_MAX: Duration = Duration::from_secs(60);
/// Versions of one collection that are looked at.
const PAGES_MAX: usize = 20;

/// The URL of the archive.
pub(super) async fn url(requirement: &Requirement, server: Option<&str>) -> Result<String, Box<Diagnostic>> {
    let name = &requirement.name;
    let Some(server) = requirement.server.as_deref().or(server) else {
        return Err(Box::new(
            Diagnostic::error("no-galaxy-server", format!("`{name}` is a name on a Galaxy server, and none was named"))
                .help("give `--server URL`, or set `server` in the section `[galaxy]` of ansible.cfg"),
        ));
    };
    let server = server.trim_end_matches('/').trim_end_matches("/api");
    let Some((namespace, short)) = name.split_once('.') else {
        return Err(not_fetched(name, "a name on a Galaxy server is `namespace.name`"));
    };
    match requirement.kind {
        Kind::Role => role(server, namespace, short, requirement).await,
        Kind::Collection => collection(server, namespace, short, requirement).await,
    }
}

async fn role(server: &str, namespace: &str, short: &str, requirement: &Requirement) -> Result<String, Box<Diagnostic>> {
    let answer = json(&format!("{server}/api/v1/roles/?owner__username={namespace}&name={short}"), &requirement.name).await?;
    let Some(found) = answer.get("results").and_then(Value::as_list).and_then(<[Value]>::first) else {
        return Err(not_fetched(&requirement.name, &format!("{server} has no such role")));
    };
    let text = |name: &str| found.get(name).map(|value| value.to_text().to_string()).unwrap_or_default();
    let versions =
        found.get("summary_fields").and_then(|fields| fields.get("versions")).and_then(Value::as_list).unwrap_or_default();
    let names = versions.iter().filter_map(|version| version.get("name").map(|name| name.to_text().to_string()));
    let newest = names.max_by(|one, other| compared(one, other));
    let version = requirement.version.clone().or(newest).unwrap_or_else(|| {
        Some(text("github_branch")).filter(|branch| !branch.is_empty()).unwrap_or_else(|| "master".to_owned())
    });
    Ok(format!("https://github.com/{}/{}/archive/{version}.tar.gz", text("github_user"), text("github_repo")))
}

async fn collection(server: &str, namespace: &str, short: &str, requirement: &Requirement) -> Result<String, Box<Diagnostic>> {
    let base = format!("{server}/api/v3/plugin/ansible/content/published/collections/index/{namespace}/{short}/versions/");
    let mut next = Some(format!("{base}?limit=100"));
    let mut versions: Vec<String> = Vec::new();
    for _ in 0..PAGES_MAX {
        let Some(page) = next.take() else { break };
        let answer = json(&page, &requirement.name).await?;
        let data = answer.get("data").and_then(Value::as_list).unwrap_or_default();
        versions.extend(data.iter().filter_map(|one| one.get("version").map(|version| version.to_text().to_string())));
        next =
            answer.get("links").and_then(|links| links.get("next")).and_then(Value::as_str).map(|path| format!("{server}{path}"));
    }
    let wanted = requirement.version.as_deref().unwrap_or("*");
    let fitting = versions.iter().filter(|version| fits(version, wanted));
    let Some(version) = fitting.max_by(|one, other| compared(one, other)) else {
        return Err(not_fetched(&requirement.name, &format!("{server} has no version of it that is `{wanted}`")));
    };
    let answer = json(&format!("{base}{version}/"), &requirement.name).await?;
    let url = answer.get("download_url").and_then(Value::as_str).map(str::to_owned);
    url.ok_or_else(|| not_fetched(&requirement.name, "the server does not say where its archive is"))
}

async fn json(url: &str, name: &str) -> Result<Value, Box<Diagnostic>> {
    let response = get(url).await.map_err(|why| not_fetched(name, &why))?;
    let text = response.text().await.map_err(|error| not_fetched(name, &plain(&error)))?;
    Value::from_json(&text).map_err(|_| not_fetched(name, &format!("{url} did not answer with JSON")))
}

pub(super) async fn get(url: &str) -> Result<reqwest::Response, String> {
    let client = crate::https::client().timeout(TIME_MAX).user_agent("roll").build().map_err(|error| plain(&error))?;
    let response = client.get(url).send().await.map_err(|error| plain(&error))?;
    let status = response.status();
    if status.is_success() { Ok(response) } else { Err(format!("{url} answered {status}")) }
}

/// Down to the cause: "error sending request" alone helps nobody.
pub(super) fn plain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let url = error.url().map(|url| format!("{url}: ")).unwrap_or_default();
    let said = cause.to_string().to_lowercase();
    format!("{url}{}", said.split(" (os error").next().unwrap_or(&said))
}

/// `>=1.2,<2`, `!=1.3`, `1.2.3` or `*`. Versions before a release only count where they are named.
fn fits(version: &str, wanted: &str) -> bool {
    let is_named = wanted.contains('-');
    if version.contains('-') && !is_named {
        return false;
    }
    wanted.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "*").all(|part| {
        let number = part.trim_start_matches(['>', '<', '=', '!', ' ']);
        let order = compared(version, number);
        match part[..part.len() - number.len()].trim() {
            ">=" => order.is_ge(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            "<" => order.is_lt(),
            "!=" => order.is_ne(),
            _ => order.is_eq(),
        }
    })
}

/// Numbers by value, the rest by letter; what comes before a release is less than it.
fn compared(one: &str, other: &str) -> Ordering {
    fn parts(version: &str) -> (Vec<u64>, Option<&str>) {
        let version = version.trim_start_matches('v');
        let (release, before) = version.split_once('-').map_or((version, None), |(release, before)| (release, Some(before)));
        let mut numbers: Vec<u64> = release.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        (numbers, before)
    }
    let ((one, one_before), (other, other_before)) = (parts(one), parts(other));
    one.cmp(&other).then_with(|| match (one_before, other_before) {
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (one, other) => one.cmp(&other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(compared("1.10.0", "1.9.9"), Ordering::Greater);
        assert_eq!(compared("v2.0", "2.0.0"), Ordering::Equal);
        assert_eq!(compared("1.0.0-rc1", "1.0.0"), Ordering::Less);
    }

    #[test]
    fn conditions_choose_versions() {
        assert!(fits("1.5.4", ">=1.5,<2") && !fits("2.0.0", ">=1.5,<2"));
        assert!(fits("3.0.0", "*") && !fits("3.0.0-beta", "*"));
        assert!(fits("1.2.3", "1.2.3") && fits("1.2.3", "==1.2.3") && !fits("1.2.3", "!=1.2.3"));
    }
}
