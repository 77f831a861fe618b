//! Hosts that need no mapping: the output `roll_hosts`, and the resources `ansible_host` and `ansible_group`.

use super::super::Loading;
use super::super::problem::{Problem, TerraformProblem, a};
use super::made::{Made, Resource};
use crate::value::{Map, Span, Value};

/// The output that is a list of hosts.
pub(super) const OUTPUT: &str = "roll_hosts";

/// A host as any of Terraform's forms describes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Described {
    pub name: String,
    pub address: Option<String>,
    pub user: Option<String>,
    pub port: Option<i64>,
    pub groups: Vec<String>,
    pub vars: Map,
}

/// Whether there were any hosts.
pub(super) fn read(loading: &mut Loading<'_>, made: &Made) -> Result<bool, Problem> {
    let hosts = match made.outputs.get(OUTPUT) {
        Some(value) => described(OUTPUT, value)?,
        None => Vec::new(),
    };
    let has_output = made.outputs.contains_key(OUTPUT);
    let has_resources = made.resources.iter().any(|resource| resource.kind == "ansible_host");
    hosts.into_iter().for_each(|host| host.add(loading, Span::NOWHERE));
    made.resources.iter().for_each(|resource| ansible_resource(loading, resource));
    Ok(has_output || has_resources)
}

/// The hosts of an output: a list or a map of objects or addresses.
pub(super) fn described(output: &str, value: &Value) -> Result<Vec<Described>, Problem> {
    let fault = |place: String, found: &Value| {
        Problem::Terraform(TerraformProblem::BadHosts { output: output.to_owned(), place, found: a(found.kind()) })
    };
    match value {
        Value::List(items) => {
            let host =
                |(index, item): (usize, &Value)| Described::of(None, item).ok_or_else(|| fault(format!("host {index}"), item));
            items.iter().enumerate().map(host).collect()
        }
        Value::Map(entries) => {
            let host = |(name, item): (_, &Value)| {
                let name: &crate::value::Key = name;
                Described::of(Some(name.to_string()), item).ok_or_else(|| fault(format!("`{name}`"), item))
            };
            entries.iter().map(host).collect()
        }
        other => Err(fault("the whole".to_owned(), other)),
    }
}

impl Described {
    /// An address alone, or an object. What has no meaning of its own in the object is a variable.
    fn of(name: Option<String>, item: &Value) -> Option<Described> {
        if let Some(address) = item.as_str() {
            let name = name.unwrap_or_else(|| address.to_owned());
            return Some(Described { name, address: Some(address.to_owned()), ..Described::default() });
        }
        let mut host = Described { name: name.unwrap_or_default(), ..Described::default() };
        for (key, value) in item.as_map()? {
            match key.as_str().unwrap_or_default() {
                "name" => host.name = value.to_text().as_str().to_owned(),
                "address" => host.address = value.as_str().map(str::to_owned),
                "user" => host.user = value.as_str().map(str::to_owned),
                "port" => host.port = value.to_int(),
                "groups" => host.groups = names(value),
                "vars" => host.vars.extend(value.as_map().cloned().unwrap_or_default()),
                _ => {
                    host.vars.insert(key.clone(), value.clone());
                }
            }
        }
        if host.name.is_empty() {
            host.name = host.address.clone()?;
        }
        Some(host)
    }

    pub(super) fn add(self, loading: &mut Loading<'_>, span: Span) {
        loading.add_host(&self.name, None, span);
        for group in &self.groups {
            loading.inventory.add_group(group);
            loading.add_host(&self.name, Some(group), span);
        }
        let mut set = |name: &str, value: Value| loading.inventory.set_host_var(&self.name, name, value);
        self.address.filter(|address| !address.is_empty()).into_iter().for_each(|address| set("ansible_host", address.into()));
        self.user.filter(|user| !user.is_empty()).into_iter().for_each(|user| set("ansible_user", user.into()));
        self.port.into_iter().for_each(|port| set("ansible_port", port.into()));
        for (name, value) in self.vars {
            set(&name.to_string(), value);
        }
    }
}

/// A list of names, or one name.
pub(super) fn names(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => {
            items.iter().map(|item| item.to_text().as_str().to_owned()).filter(|name| !name.is_empty()).collect()
        }
        Value::String(name) if !name.is_empty() => vec![name.as_str().to_owned()],
        _ => Vec::new(),
    }
}

/// The Ansible provider's resources keep hosts and groups in the state.
fn ansible_resource(loading: &mut Loading<'_>, resource: &Resource) {
    let attribute = |name: &str| resource.attributes.get(name).cloned().unwrap_or_default();
    let name = attribute("name").to_text().as_str().to_owned();
    let vars = attribute("variables").as_map().cloned().unwrap_or_default();
    match resource.kind.as_str() {
        "ansible_host" if !name.is_empty() => {
            Described { name, groups: names(&attribute("groups")), vars, ..Described::default() }.add(loading, Span::NOWHERE);
        }
        "ansible_group" if !name.is_empty() => {
            loading.inventory.add_group(&name);
            for child in names(&attribute("children")) {
                loading.inventory.add_group(&child);
                loading.add_child(&name, &child, Span::NOWHERE);
            }
            for (key, value) in vars {
                loading.inventory.set_group_var(&name, &key.to_string(), value);
            }
        }
        _ => {}
    }
}
