//! What kind of machine it pretends to be.

use super::{line, set};
use crate::modules::Look;
use crate::value::{Map, Value};

pub(super) fn virtualization(look: &dyn Look, _: &str, facts: &mut Map) {
    let mut guest: Vec<&str> = Vec::new();
    if let Some(container) = container(look) {
        guest.push(container);
        guest.push("container");
    }
    guest.extend(machine(look));
    let mut host = Vec::new();
    let modules = look.text("/proc/modules").ok().flatten().unwrap_or_default();
    let has = |wanted: &str| modules.lines().any(|line| line.split_whitespace().next() == Some(wanted));
    if has("kvm") || look.exists("/dev/kvm") {
        host.push("kvm");
    }
    if has("vboxdrv") {
        host.push("virtualbox");
    }
    let (kind, role) = match (guest.first(), host.first()) {
        (Some(kind), _) => (*kind, "guest"),
        (None, Some(kind)) => (*kind, "host"),
        (None, None) => ("NA", "NA"),
    };
    set(facts, "virtualization_type", kind);
    set(facts, "virtualization_role", role);
    set(facts, "virtualization_tech_guest", guest.into_iter().map(Value::from).collect::<Value>());
    set(facts, "virtualization_tech_host", host.into_iter().map(Value::from).collect::<Value>());
}

fn container(look: &dyn Look) -> Option<&'static str> {
    let cgroup = look.text("/proc/1/cgroup").ok().flatten().unwrap_or_default();
    let environ = look.text("/proc/1/environ").ok().flatten().unwrap_or_default();
    let said = environ.split('\0').find_map(|entry| entry.strip_prefix("container=")).unwrap_or_default().to_owned();
    let said = line(look, "/run/systemd/container").unwrap_or(said);
    if look.exists("/.dockerenv") || cgroup.contains("/docker/") || cgroup.contains("/docker-") || said == "docker" {
        return Some("docker");
    }
    if look.exists("/run/.containerenv") || said == "podman" {
        return Some("podman");
    }
    if cgroup.contains("/lxc/") || said.starts_with("lxc") {
        return Some("lxc");
    }
    if look.exists("/proc/vz") && !look.exists("/proc/bc") {
        return Some("openvz");
    }
    (!said.is_empty()).then_some("container")
}

/// What the firmware says it is.
fn machine(look: &dyn Look) -> Option<&'static str> {
    let dmi = |file: &str| line(look, &format!("/sys/devices/virtual/dmi/id/{file}")).unwrap_or_default();
    let (product, vendor) = (dmi("product_name"), dmi("sys_vendor"));
    if look.exists("/proc/xen") || product == "HVM domU" || vendor == "Xen" {
        return Some("xen");
    }
    let is_kvm =
        ["QEMU", "Amazon EC2", "Google", "DigitalOcean", "Hetzner", "Red Hat", "OpenStack Foundation", "Alibaba Cloud", "oVirt"];
    let kinds = ["KVM", "Standard PC", "Bochs", "OpenStack", "Google Compute Engine"];
    match (product.as_str(), vendor.as_str()) {
        (_, "innotek GmbH") | ("VirtualBox", _) => Some("virtualbox"),
        (_, "VMware, Inc.") => Some("VMware"),
        ("Virtual Machine", "Microsoft Corporation") => Some("VirtualPC"),
        (_, "Parallels Software International Inc.") => Some("parallels"),
        // Bare-metal instances say so in their name.
        (product, "Amazon EC2") if product.ends_with(".metal") => None,
        (product, vendor) if is_kvm.contains(&vendor) || kinds.iter().any(|kind| product.starts_with(kind)) => Some("kvm"),
        _ => {
            let cpu = look.text("/proc/cpuinfo").ok().flatten().unwrap_or_default();
            cpu.contains("QEMU Virtual CPU").then_some("kvm")
        }
    }
}
