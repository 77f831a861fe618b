//! A lab's files for `roll`: the JSON that `terraform output -json` would print for it, and the few variables by which a lab
//! differs from production. The names of the outputs are those of `terraform/outputs.tf`.

use serde_json::{Map, Value, json};

use super::failure::LabError;
use super::machines::{Balancer, LOGIN_USER, Lab, Machine, Role, Spec};
use super::stand_in;
use super::state;

/// The file that stands for the output of Terraform.
pub(super) const INVENTORY: &str = "terraform.json";
/// The file with the variables that only a lab sets.
pub(super) const VARIABLES: &str = "lab.json";

pub(super) const APP_PORT: u16 = 5000;
pub(super) const SECOND_PORT: u16 = 5001;
/// What follows the name of a host in the name of the server on its second port, here and where the double of the API makes it.
pub(super) const SECOND_SERVER: &str = "-5001";
pub(super) const ADMIN_USER: &str = "postgres";
/// What HAProxy calls the application's servers.
pub(super) const BACKEND: &str = "app";
pub(super) const ADMIN_SOCKET: &str = "/run/haproxy/admin.sock";

/// The passwords of a lab's services; fresh in every lab.
#[derive(Clone)]
pub(super) struct Secrets {
    pub(super) database_admin: String,
    pub(super) database_app: String,
    pub(super) database_reader: String,
    pub(super) redis: String,
}

impl Secrets {
    pub(super) fn fresh() -> Result<Self, LabError> {
        let secret = state::random_secret;
        Ok(Self { database_admin: secret()?, database_app: secret()?, database_reader: secret()?, redis: secret()? })
    }
}

/// Writes both files into the lab's directory.
pub(super) fn write(lab: &Lab, spec: &Spec, secrets: &Secrets) -> Result<(), LabError> {
    let files = [(INVENTORY, outputs(&lab.machines, spec, secrets)), (VARIABLES, variables(&lab.machines, spec))];
    files.into_iter().try_for_each(|(name, content)| {
        let path = lab.dir().join(name);
        let text = serde_json::to_vec_pretty(&content).map_err(|error| LabError::file(&path)(error.into()))?;
        state::write_private(&path, &text)
    })
}

fn outputs(machines: &[Machine], spec: &Spec, secrets: &Secrets) -> Value {
    let address = |role: Role| address(machines, role);
    let target_group = match spec.balancer {
        Balancer::HaProxy => String::new(),
        Balancer::Alb { .. } => stand_in::group_arn(),
    };
    let public = [
        ("app_port", json!(APP_PORT)),
        ("app_url", json!(format!("http://{}", address(Role::Balancer)))),
        ("database_admin_user", json!(ADMIN_USER)),
        ("database_endpoint", json!(format!("{}:5432", address(Role::Postgres)))),
        ("database_name", json!("palindrome")),
        ("database_reader_user", json!("palindrome_reader")),
        ("database_sslmode", json!("require")),
        ("database_user", json!("palindrome")),
        ("redis_endpoint", json!(format!("{}:6379", address(Role::Redis)))),
        ("redis_tls", json!(false)),
        ("region", json!(stand_in::REGION)),
        ("registry_mirrors", json!([format!("http://{}", registry(machines))])),
        ("repository_url", json!("")),
        ("request_seconds_max", json!(spec.request_seconds_max)),
        ("roll_hosts", hosts(machines)),
        ("target_group_arn", json!(target_group)),
    ];
    let sensitive = [
        ("database_admin_password", &secrets.database_admin),
        ("database_password", &secrets.database_app),
        ("database_reader_password", &secrets.database_reader),
        ("redis_password", &secrets.redis),
    ];
    let public = public.into_iter().map(|(name, value)| (name, output(&value, false)));
    let sensitive = sensitive.into_iter().map(|(name, secret)| (name, output(&json!(secret), true)));
    let mut all: Vec<(&str, Value)> = public.chain(sensitive).collect();
    all.sort_by_key(|(name, _)| *name);
    Value::Object(all.into_iter().map(|(name, output)| (name.to_owned(), output)).collect())
}

/// One output as Terraform prints it.
fn output(value: &Value, is_sensitive: bool) -> Value {
    json!({ "sensitive": is_sensitive, "type": kind(value), "value": value })
}

/// A value's type in Terraform's words.
fn kind(value: &Value) -> Value {
    match value {
        Value::Null => json!("dynamic"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => json!(["tuple", items.iter().map(kind).collect::<Vec<_>>()]),
        Value::Object(fields) => {
            json!(["object", fields.iter().map(|(name, value)| (name.clone(), kind(value))).collect::<Map<_, _>>()])
        }
    }
}

/// The web hosts, and the balancer's machine: HAProxy is driven through a connection to it.
fn hosts(machines: &[Machine]) -> Value {
    let groups = |role: Role| match role {
        Role::Web => Some("app"),
        Role::Balancer => Some("balancer"),
        Role::Redis | Role::Postgres | Role::Registry => None,
    };
    let entries = machines.iter().filter_map(|machine| groups(machine.role).map(|group| (machine, group)));
    let entry = |(place, (machine, group)): (usize, (&Machine, &str))| {
        json!({
            "name": machine.name,
            "address": machine.address.to_string(),
            "user": LOGIN_USER,
            "groups": [group],
            "zone": zone(place),
            "vars": { "instance_id": instance_id(machine), "private_address": machine.address.to_string() },
        })
    };
    Value::Array(entries.enumerate().map(entry).collect())
}

/// The zone of the host at a place in the list.
pub(super) fn zone(place: usize) -> &'static str {
    if place.is_multiple_of(2) { "lab-a" } else { "lab-b" }
}

/// What stands for the id of an instance.
pub(super) fn instance_id(machine: &Machine) -> String {
    machine.container.clone()
}

/// What is not as in production: the load balancer, and a registry without TLS.
fn variables(machines: &[Machine], spec: &Spec) -> Value {
    let registry = registry(machines);
    let mut variables = json!({
        "balancer_kind": if spec.balancer == Balancer::HaProxy { "haproxy" } else { "alb" },
        "balancer_host": "lb",
        "balancer_socket": ADMIN_SOCKET,
        "balancer_backend": BACKEND,
        "docker_registry_mirrors": [format!("http://{registry}")],
        "docker_insecure_registries": insecure_registries(machines),
    });
    if spec.has_second_port {
        variables["balancer_second_port"] = json!(SECOND_PORT);
        variables["balancer_second_server"] = json!(format!("{{{{ inventory_hostname }}}}{SECOND_SERVER}"));
    }
    variables
}

/// The ports of an application on a lab's hosts, as its variables have them.
pub(super) fn ports(lab: &Lab) -> Vec<u16> {
    let text = std::fs::read(lab.dir().join(VARIABLES)).unwrap_or_default();
    let variables: Value = serde_json::from_slice(&text).unwrap_or_default();
    let second = variables["balancer_second_port"].as_u64().and_then(|port| u16::try_from(port).ok());
    std::iter::once(APP_PORT).chain(second).collect()
}

/// How Docker is told that the lab's registry has no TLS: as it is usually said, then as BuildKit before Docker 23 reads it; the last wins there.
pub(super) fn insecure_registries(machines: &[Machine]) -> [String; 2] {
    let registry = registry(machines);
    [registry.clone(), format!("http://{registry}")]
}

/// Where the lab's registry is: host:port.
pub(super) fn registry(machines: &[Machine]) -> String {
    format!("{}:5000", address(machines, Role::Registry))
}

fn address(machines: &[Machine], role: Role) -> String {
    machines.iter().find(|machine| machine.role == role).map(|machine| machine.address.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn machine(name: &str, role: Role, last: u8) -> Machine {
        let address = Ipv4Addr::new(192, 0, 2, last);
        Machine { name: name.into(), container: format!("roll-k3f9-{name}"), role, address, is_running: true }
    }

    fn example() -> Value {
        let machines = [
            machine("web1", Role::Web, 2),
            machine("web2", Role::Web, 3),
            machine("lb", Role::Balancer, 4),
            machine("redis", Role::Redis, 5),
        ];
        let secret = String::from("s3cret");
        let secrets = Secrets {
            database_admin: secret.clone(),
            database_app: secret.clone(),
            database_reader: secret.clone(),
            redis: secret,
        };
        outputs(&machines, &Spec::new("k3f9".parse().unwrap()), &secrets)
    }

    #[test]
    fn hosts_and_the_balancer_are_listed_services_are_not() {
        let outputs = example();
        let names: Vec<&str> =
            outputs["roll_hosts"]["value"].as_array().unwrap().iter().map(|host| host["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["web1", "web2", "lb"]);
        assert_eq!(outputs["roll_hosts"]["value"][2]["groups"], json!(["balancer"]));
        assert_eq!(outputs["redis_endpoint"]["value"], "192.0.2.5:6379");
    }

    #[test]
    fn what_is_secret_is_marked_and_nothing_else_is() {
        for (name, output) in example().as_object().unwrap() {
            assert_eq!(output["sensitive"], json!(output["value"] == "s3cret"), "{name}");
        }
    }

    #[test]
    fn types_are_written_as_terraform_writes_them() {
        assert_eq!(kind(&json!(["a"])), json!(["tuple", ["string"]]));
        assert_eq!(kind(&json!({ "port": 5000, "tls": false })), json!(["object", { "port": "number", "tls": "bool" }]));
    }
}
