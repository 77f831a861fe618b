//! `add_host` and `group_by`: the inventory of this run grows.

use super::{Answer, Effect, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};

const OWN: &[&str] = &["name", "groups"];

pub(super) fn add_host(args: &Args) -> Result<Answer, Problem> {
    let (name, port) = with_port(args.required("name")?);
    let groups: Vec<String> = args.list("groups").into_iter().filter(|group| !group.is_empty()).collect();
    let mut vars: Map = args
        .all()
        .iter()
        .filter(|(key, _)| !OWN.contains(&key.to_string().as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(port) = port {
        vars.insert("ansible_ssh_port".into(), port.into());
    }
    let mut values = Map::new();
    let shown =
        [("host_name", Value::from(&name)), ("groups", Value::from(groups.clone())), ("host_vars", Value::map(vars.clone()))];
    values.insert("add_host".into(), shown.into_iter().collect());
    values.insert("changed".into(), Value::Bool(true));
    Ok(Answer { values, effect: Some(Effect::AddHost { name, groups, vars }) })
}

/// `host:port`; the colons of an IPv6 address are none of that.
fn with_port(name: &str) -> (String, Option<i64>) {
    match name.split_once(':').map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host.to_owned(), Some(port)),
        _ => (name.to_owned(), None),
    }
}

pub(super) fn group_by(args: &Args) -> Result<Answer, Problem> {
    let group = args.required("key")?.replace(' ', "-");
    let parents = args.list("parents").into_iter().map(|parent| parent.replace(' ', "-")).collect::<Vec<_>>();
    let mut values = Map::new();
    values.insert("add_group".into(), group.as_str().into());
    values.insert("parent_groups".into(), parents.clone().into());
    values.insert("changed".into(), Value::Bool(true));
    Ok(Answer { values, effect: Some(Effect::GroupBy { group, parents }) })
}
