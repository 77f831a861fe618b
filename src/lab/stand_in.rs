//! The lab's Application Load Balancer: the double of its API as a process of its own, with the lab's HAProxy as its data plane.
//!
//! It outlives the command that made the lab, and ends by itself when the lab's directory is gone: taking a lab down needs no more than
//! before.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::elb::{Config, Group, Instance, Plane};
use super::failure::LabError;
use super::machines::{Lab, Spec};
use super::outputs::{APP_PORT, BACKEND, instance_id, zone};
use super::provision::ORDERS_PORT;
use super::state;

pub(super) const REGION: &str = "eu-central-1";
const CONFIG: &str = "double.json";
const URL: &str = "double.url";
/// How long it may take until it listens.
const START_MAX: Duration = Duration::from_secs(10);
/// Keys that open nothing.
const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "lab"), ("AWS_SECRET_ACCESS_KEY", "lab")];

/// The group that holds the lab's hosts.
pub(super) fn group_arn() -> String {
    super::elb::group_arn(REGION, BACKEND)
}

/// What `roll` must find in its environment.
pub(super) fn environment(lab: &Lab) -> Vec<(&'static str, String)> {
    let Ok(url) = std::fs::read_to_string(lab.dir().join(URL)) else { return Vec::new() };
    let keys = KEYS.into_iter().map(|(name, value)| (name, value.to_owned()));
    keys.chain([("AWS_REGION", REGION.to_owned()), ("AWS_ENDPOINT_URL", url.trim().to_owned())]).collect()
}

/// Starts it, and waits until it listens.
pub(super) async fn start(lab: &Lab, spec: &Spec, lag_seconds: f64) -> Result<(), LabError> {
    let file = lab.dir().join(CONFIG);
    let config =
        serde_json::to_vec_pretty(&config(lab, spec, lag_seconds)).map_err(|error| LabError::file(&file)(error.into()))?;
    state::write_private(&file, &config)?;
    let program = std::env::current_exe().map_err(LabError::file("/proc/self/exe"))?;
    let failed = |source| LabError::Start { program: "the double of the load balancer's API".to_owned(), source };
    // In a group of its own, so that Ctrl-C at the lab's maker does not end it before the lab is gone.
    let mut child = Command::new(program)
        .args(["lab", "double"])
        .arg(&file)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut url = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout);
        let read = timeout(START_MAX, lines.read_line(&mut url)).await;
        read.unwrap_or_else(|_| Err(std::io::Error::other("it does not say where it listens"))).map_err(failed)?;
    }
    if !url.starts_with("http://") {
        return Err(failed(std::io::Error::other("it ended before it listened")));
    }
    state::write_private(&lab.dir().join(URL), url.as_bytes())
}

/// As `terraform/balancer.tf` has it, but for a shorter interval.
fn config(lab: &Lab, spec: &Spec, lag_seconds: f64) -> Config {
    let hosts: Vec<_> = lab.hosts().collect();
    let instance = |(place, machine): (usize, &&super::machines::Machine)| Instance {
        id: instance_id(machine),
        name: machine.name.clone(),
        address: machine.address.into(),
        zone: zone(place).to_owned(),
    };
    let instances: Vec<Instance> = hosts.iter().enumerate().map(instance).collect();
    let group = Group {
        name: BACKEND.to_owned(),
        port: APP_PORT,
        is_ip: false,
        backend: Some(BACKEND.to_owned()),
        is_used: true,
        check_path: "/healthz".to_owned(),
        interval: 1.0,
        timeout: 3.0,
        rise: 2,
        fall: 3,
        attributes: [("deregistration_delay.timeout_seconds".to_owned(), (spec.request_seconds_max + 5).to_string())].into(),
        registered: instances.iter().map(|instance| instance.id.clone()).collect(),
    };
    Config {
        listen: "127.0.0.1:0".to_owned(),
        region: REGION.to_owned(),
        zones: vec![zone(0).to_owned(), zone(1).to_owned()],
        idle_timeout: 60,
        groups: vec![group],
        instances,
        plane: lab.balancer().map(|machine| Plane::Tcp(format!("{}:{ORDERS_PORT}", machine.address))),
        until: Some(lab.dir().to_owned()),
        weather: json!({ "lag_in": lag_seconds / 2.0, "lag_out": lag_seconds }),
    }
}
