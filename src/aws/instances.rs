//! EC2's instances.

use super::answer::{Element, Post, form};
use super::{AwsError, Session, shape};
use crate::value::{Map, Value};

const DESCRIBE: &str = "ec2:DescribeInstances";
const ATTRIBUTE: &str = "ec2:DescribeInstanceAttribute";
const REGIONS: &str = "ec2:DescribeRegions";
const VERSION: &str = "2016-11-15";
const HEADERS: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

/// The name of a filter and the values that it takes, any of which fits.
pub(crate) type Filter = (String, Vec<String>);

/// An instance in Ansible's words, and what its reservation says.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) values: Map,
    /// `owner_id`, `requester_id`, `reservation_id`.
    pub(crate) reservation: Map,
}

/// Every instance that all of the filters take.
pub(crate) async fn describe(session: &Session, filters: &[Filter], ids: &[String]) -> Result<Vec<Instance>, AwsError> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let mut pairs = Vec::new();
        for (at, (name, values)) in filters.iter().enumerate() {
            pairs.push((format!("Filter.{}.Name", at + 1), name.as_str()));
            let named = |number: usize| format!("Filter.{}.Value.{}", at + 1, number + 1);
            pairs.extend(values.iter().enumerate().map(|(number, value)| (named(number), value.as_str())));
        }
        pairs.extend(ids.iter().enumerate().map(|(at, id)| (format!("InstanceId.{}", at + 1), id.as_str())));
        if ids.is_empty() {
            pairs.push(("MaxResults".to_owned(), "1000"));
        }
        if !next.is_empty() {
            pairs.push(("NextToken".to_owned(), &next));
        }
        let answer = query(session, DESCRIBE, "DescribeInstances", pairs).await?;
        for reservation in answer.items("reservationSet") {
            all.extend(
                reservation
                    .items("instancesSet")
                    .iter()
                    .map(|instance| Instance { values: shape::instance(instance), reservation: shape::reservation(reservation) }),
            );
        }
        next = answer.text_of("nextToken").to_owned();
        if next.is_empty() {
            return Ok(all);
        }
    }
}

/// One attribute of an instance, under its name in Ansible's words.
pub(crate) async fn attribute(session: &Session, id: &str, name: &str) -> Result<Map, AwsError> {
    let pairs = vec![("InstanceId".to_owned(), id), ("Attribute".to_owned(), name)];
    let answer = query(session, ATTRIBUTE, "DescribeInstanceAttribute", pairs).await?;
    Ok(shape::attribute(&answer))
}

/// Names of the regions that the account may use.
pub(crate) async fn regions(session: &Session) -> Result<Vec<String>, AwsError> {
    let answer = query(session, REGIONS, "DescribeRegions", Vec::new()).await?;
    Ok(answer.items("regionInfo").iter().map(|region| region.text_of("regionName").to_owned()).collect())
}

async fn query(session: &Session, call: &'static str, action: &str, mut pairs: Vec<(String, &str)>) -> Result<Element, AwsError> {
    pairs.push(("Action".to_owned(), action));
    pairs.push(("Version".to_owned(), VERSION));
    let post = Post { service: "ec2", id: "EC2", call, headers: HEADERS, body: form(pairs) };
    let answer = session.post(&post, told_apart).await?;
    Element::read(&answer).map_err(|why| AwsError::Unreadable { call, why })
}

fn told_apart(post: &Post, status: u16, answer: &str) -> AwsError {
    let root = Element::read(answer).unwrap_or_default();
    let error = root.items("Errors").first();
    let text = |name: &str| error.map_or("", |error| error.text_of(name));
    AwsError::answered(post.call, status, text("Code"), text("Message"))
}

/// Filters as they stand in a playbook: names with one value or a list of them.
pub(crate) fn filters(given: &Map) -> Vec<Filter> {
    let texts = |value: &Value| match value {
        Value::List(items) => items.iter().map(filter_text).collect(),
        one => vec![filter_text(one)],
    };
    given.iter().map(|(name, value)| (name.to_string(), texts(value))).collect()
}

/// The API writes booleans its own way.
fn filter_text(value: &Value) -> String {
    match value {
        Value::Bool(truth) => truth.to_string(),
        other => other.to_text().as_str().to_owned(),
    }
}
