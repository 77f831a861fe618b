//! What `setup` knows about a host, in Ansible's names and shapes, read from `/proc`, `/sys` and `/etc`.
//!
//! Main table: [`FACTS`], one row a source. Programs are run only where no file tells (the domain name, executable local
//! facts): gathering everything takes a few milliseconds. What cannot be read is left out; a fact never fails a task.

mod distribution;
pub(super) mod hardware;
mod local;
mod network;
mod platform;
mod storage;
mod virtualization;

use super::Look;
use crate::value::{Map, Value};

/// One source of facts.
pub(super) struct Source {
    /// As `gather_subset` names it.
    pub(super) name: &'static str,
    /// Other facts that name it too.
    pub(super) also: &'static [&'static str],
    pub(super) group: Group,
    /// Puts what it finds into the map; the text is the directory of local facts.
    pub(super) gather: fn(&dyn Look, &str, &mut Map),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Min,
    Hardware,
    Network,
    Virtual,
}

impl Source {
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.also.contains(&name)
    }
}

const fn source(
    name: &'static str,
    also: &'static [&'static str],
    group: Group,
    gather: fn(&dyn Look, &str, &mut Map),
) -> Source {
    Source { name, also, group, gather }
}

pub(super) static FACTS: &[Source] = &[
    source(
        "platform",
        &["architecture", "machine", "kernel", "system", "hostname", "nodename", "fqdn", "domain"],
        Group::Min,
        platform::platform,
    ),
    source(
        "distribution",
        &["distribution_release", "distribution_version", "distribution_major_version", "os_family"],
        Group::Min,
        distribution::distribution,
    ),
    source("lsb", &[], Group::Min, distribution::lsb),
    source("pkg_mgr", &[], Group::Min, distribution::pkg_mgr),
    source("service_mgr", &[], Group::Min, platform::service_mgr),
    source("systemd", &[], Group::Min, platform::systemd),
    source("date_time", &[], Group::Min, platform::date_time),
    source("env", &[], Group::Min, platform::env),
    source("user", &["user_id", "user_dir", "user_uid", "user_gid", "user_gecos", "user_shell"], Group::Min, platform::user),
    source("cmdline", &[], Group::Min, platform::cmdline),
    source("dns", &[], Group::Min, platform::dns),
    source("fips", &[], Group::Min, platform::fips),
    source("selinux", &[], Group::Min, platform::selinux),
    source("apparmor", &[], Group::Min, platform::apparmor),
    source("caps", &["system_capabilities"], Group::Min, platform::capabilities),
    source("python", &["python_version"], Group::Min, platform::python),
    source("ssh_pub_keys", &[], Group::Min, platform::host_keys),
    source("loadavg", &[], Group::Min, platform::load),
    source("local", &[], Group::Min, local::local),
    source("is_chroot", &["chroot"], Group::Min, platform::chroot),
    source("processor", &["processor_cores", "processor_count", "processor_vcpus"], Group::Hardware, hardware::processor),
    source("memory", &["memtotal_mb", "memfree_mb"], Group::Hardware, hardware::memory),
    source("mounts", &[], Group::Hardware, hardware::mounts),
    source("devices", &[], Group::Hardware, storage::devices),
    source("dmi", &["product_name", "system_vendor"], Group::Hardware, hardware::dmi),
    source("lvm", &[], Group::Hardware, storage::lvm),
    source("uptime_seconds", &[], Group::Hardware, hardware::uptime),
    source(
        "interfaces",
        &["default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses"],
        Group::Network,
        network::network,
    ),
    source("iscsi", &["hostnqn", "nvme", "fibre_channel_wwn"], Group::Network, storage::names),
    source(
        "virtualization_type",
        &["virtualization_role", "virtualization_tech_guest", "virtualization_tech_host"],
        Group::Virtual,
        virtualization::virtualization,
    ),
];

/// A small file's text without the white space around it, or nothing.
fn line(look: &dyn Look, path: &str) -> Option<String> {
    let text = look.text(path).ok().flatten()?;
    Some(text.trim().to_owned())
}

/// `KEY=value` lines, quotes removed.
fn assignments(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once('=')?;
        let value = value.trim();
        let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        (!key.starts_with('#')).then(|| (key.trim(), bare.unwrap_or(value)))
    })
}

fn set(facts: &mut Map, name: &str, value: impl Into<Value>) {
    facts.insert(name.into(), value.into());
}

/// A map of a few entries.
fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    entries.into_iter().map(|(key, value)| (key.into(), value)).collect()
}
