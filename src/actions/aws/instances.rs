//! `ec2_instance_info`: instances by filters or by id.

use super::{access, answer};
use crate::actions::{Answer, Hands, Problem};
use crate::aws::instances::{attribute, describe, filters};
use crate::aws::{AwsError, Session};
use crate::modules::Args;
use crate::value::{Map, Value};
use std::time::{SystemTime, UNIX_EPOCH};

pub(in crate::actions) async fn info(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let mut wanted = filters(args.dict("filters").unwrap_or(&Map::new()));
    let (ids, attributes) = (args.list("instance_ids"), args.list("include_attributes"));
    let uptime = args.int("minimum_uptime");
    if uptime.is_some() && !wanted.iter().any(|(name, _)| name == "instance-state-name") {
        wanted.push(("instance-state-name".to_owned(), vec!["running".to_owned()]));
    }
    let found = Session::ask(access(args, hands)?, move |session| async move {
        let found = match describe(&session, &wanted, &ids).await {
            // As in Ansible, that is an empty answer.
            Err(AwsError::Missing { .. }) => Vec::new(),
            found => found?,
        };
        let mut instances = Vec::new();
        for one in found.into_iter().filter(|one| is_up_for(&one.values, uptime)) {
            let mut values = one.values;
            if !attributes.is_empty() {
                values.insert("attributes".into(), Value::map(all_attributes(&session, &values, &attributes).await?));
            }
            instances.push(Value::map(values));
        }
        Ok(instances)
    });
    Ok(answer(false, [("instances", Value::list(found.await?))]))
}

async fn all_attributes(session: &Session, values: &Map, names: &[String]) -> Result<Map, AwsError> {
    let id = values.get("instance_id").map(|id| id.to_text().as_str().to_owned()).unwrap_or_default();
    let mut all = Map::new();
    for name in names {
        all.extend(attribute(session, &id, name).await?);
    }
    Ok(all)
}

/// Whether it was started at least so many minutes ago.
fn is_up_for(values: &Map, minutes: Option<i64>) -> bool {
    let Some(minutes) = minutes else { return true };
    let started = values.get("launch_time").and_then(Value::as_str).and_then(seconds_of);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(0));
    started.is_some_and(|started| now - started >= minutes.saturating_mul(60))
}

/// Of `2026-11-21T16:47:51+00:00`.
fn seconds_of(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let days = crate::modules::clock::days_from(year, month, day);
    Some(days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_up_since_it_was_started() {
        assert_eq!(seconds_of("2026-11-21T16:54:31+00:00"), Some(1_795_280_071));
        assert_eq!(seconds_of("soon"), None);
        let started = Map::from_iter([("launch_time".into(), Value::from("2020-01-01T00:00:00+00:00"))]);
        assert!(is_up_for(&started, Some(60)) && is_up_for(&Map::new(), None) && !is_up_for(&Map::new(), Some(1)));
    }
}
