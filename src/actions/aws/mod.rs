//! Modules about AWS. They run on the control side, with its credentials, whichever host a task is for; files that they get or send are
//! the host's.

pub(super) mod elb;
pub(super) mod instances;
pub(super) mod login;
pub(super) mod objects;
pub(super) mod parameter;
pub(super) mod secret;

use super::{Answer, Hands, Problem};
use crate::aws::{Access, AwsError};
use crate::modules::clock::Clock;
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};

impl From<AwsError> for Problem {
    fn from(error: AwsError) -> Problem {
        let failure = Failure::new(error.words());
        let diagnostic = crate::diag::Explain::explain(&error);
        Problem {
            failure: failure.with("error", error_values(&error)),
            diagnostic: Some(Box::new(diagnostic)),
            is_unreachable: false,
        }
    }
}

/// `error.code` and `error.message`, as modules of AWS have them.
fn error_values(error: &AwsError) -> Value {
    let (code, message) = match error {
        AwsError::Refused { code, why, .. } => (code.clone(), why.clone()),
        other => {
            let diagnostic = crate::diag::Explain::explain(other);
            (diagnostic.code, diagnostic.title)
        }
    };
    Value::map(Map::from_iter([("code".into(), code.into()), ("message".into(), message.into())]))
}

/// Who asks: what the task says, then its `environment`, then what is around.
fn access(args: &Args, hands: &impl Hands) -> Result<Access, Problem> {
    if args.has("validate_certs") && !args.bool("validate_certs") {
        return Err(Problem::new(
            "the certificates of AWS are always checked; an own endpoint with an own certificate needs it among those that this \
             machine trusts",
        ));
    }
    let environment = |name: &str| hands.environment().iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    let option = |name: &str| args.text(name).map(|text| text.as_str().to_owned());
    Ok(Access::of(option, environment)?)
}

fn answer<const N: usize>(changed: bool, values: [(&str, Value); N]) -> Answer {
    let mut all = Map::from_iter([("changed".into(), Value::Bool(changed))]);
    all.extend(values.into_iter().map(|(name, value)| (name.into(), value)));
    Answer::of(all)
}

/// Texts by name, as tags have them.
fn pairs(map: Option<&Map>) -> Vec<(String, String)> {
    let pair = |(name, value): (&crate::value::Key, &Value)| (name.to_string(), value.to_text().as_str().to_owned());
    map.into_iter().flatten().map(pair).collect()
}

fn dict(pairs: &[(String, String)]) -> Value {
    Value::map(pairs.iter().map(|(name, value)| (name.as_str().into(), Value::from(value.as_str()))).collect())
}

/// Tags to set and names to take away, so that what is there becomes what is wanted.
fn tag_changes(is: &[(String, String)], wanted: &[(String, String)], purges: bool) -> (Vec<(String, String)>, Vec<String>) {
    let set = wanted.iter().filter(|pair| !is.contains(pair)).cloned().collect();
    let gone = is
        .iter()
        .map(|(name, _)| name)
        .filter(|name| purges && !name.starts_with("aws:") && !wanted.iter().any(|(other, _)| other == *name));
    (set, gone.cloned().collect())
}

/// A moment as Python writes it in JSON.
fn python_time(seconds: i64, nanos: u32) -> Value {
    let micros = nanos / 1000;
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    let moment = Clock::utc(seconds as f64).format("%Y-%m-%dT%H:%M:%S");
    format!("{moment}{fraction}+00:00").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_that_differ_are_touched() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let is = [pair("a", "1"), pair("b", "2"), pair("aws:x", "y")];
        let wanted = [pair("a", "1"), pair("c", "3")];
        assert_eq!(tag_changes(&is, &wanted, true), (vec![pair("c", "3")], vec!["b".to_owned()]));
        assert_eq!(tag_changes(&is, &wanted, false), (vec![pair("c", "3")], Vec::new()));
    }

    #[test]
    fn times_are_written_as_python_writes_them() {
        assert_eq!(python_time(1_795_280_071, 0), Value::from("2026-11-21T16:54:31+00:00"));
        assert_eq!(python_time(0, 859_000_000), Value::from("1970-01-01T00:00:00.859000+00:00"));
    }
}
