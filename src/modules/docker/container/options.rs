//! The options of a container: for each, how the API wants it, where it is put, and where it is found again.
//!
//! One row serves both creating and comparing: [`Opt::wanted`] gives the value in the API's own form, [`Opt::at`] says
//! where it is put in the request and found in what the daemon reports.

use super::parse;
use crate::modules::docker::engine::{Engine, at};
use crate::modules::docker::units;
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};

/// One option.
pub(super) struct Opt {
    /// The argument, and the name in `comparisons`.
    pub(super) name: &'static str,
    /// In what the daemon reports; a request to create has `Config` at its top.
    pub(super) at: &'static [&'static str],
    pub(super) shape: Shape,
    /// Can be changed without making the container anew.
    pub(super) is_live: bool,
    want: Want,
    /// Evens out spellings that mean the same, before comparing.
    tidy: fn(&Value) -> Value,
}

/// How two values of an option are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Value,
    List,
    Set,
    Dict,
    /// A set of maps, of which only the keys that are wanted count.
    SetOfDicts,
}

/// From the argument to the API's form.
#[derive(Clone, Copy)]
enum Want {
    AsIs,
    Bytes,
    By(fn(&Args, &Engine<'_>) -> Result<Option<Value>, Failure>),
}

const fn row(name: &'static str, at: &'static [&'static str], shape: Shape) -> Opt {
    Opt { name, at, shape, is_live: false, want: Want::AsIs, tidy: Value::clone }
}

impl Opt {
    const fn live(self) -> Opt {
        Opt { is_live: true, ..self }
    }

    const fn bytes(self) -> Opt {
        Opt { want: Want::Bytes, ..self }
    }

    const fn by(self, by: fn(&Args, &Engine<'_>) -> Result<Option<Value>, Failure>) -> Opt {
        Opt { want: Want::By(by), ..self }
    }

    const fn tidy(self, tidy: fn(&Value) -> Value) -> Opt {
        Opt { tidy, ..self }
    }

    /// What the task asks for, in the API's form; `None` where it says nothing.
    pub(super) fn wanted(&self, args: &Args, engine: &Engine<'_>) -> Result<Option<Value>, Failure> {
        match self.want {
            Want::By(by) => by(args, engine),
            Want::AsIs => Ok(args.get(self.name).cloned()),
            Want::Bytes => args.text(self.name).map(|text| units::bytes(self.name, &text).map(Value::Int)).transpose(),
        }
    }

    /// What a container has, as [`at`] found it.
    pub(super) fn found(&self, container: &Value) -> Value {
        at(container, self.at).cloned().unwrap_or_default()
    }

    /// Whether `found` will do. `is_strict` forbids more than was asked for.
    pub(super) fn matches(&self, wanted: &Value, found: &Value, is_strict: bool) -> bool {
        let (wanted, found) = ((self.tidy)(wanted), (self.tidy)(found));
        match self.shape {
            Shape::Value | Shape::List => same(&wanted, &found),
            Shape::Set | Shape::SetOfDicts => {
                is_subset(&wanted, &found) && (!is_strict || items(&wanted).len() == items(&found).len())
            }
            Shape::Dict => has_entries(&wanted, &found) && (!is_strict || entries(&wanted) == entries(&found)),
        }
    }
}

/// Every option with a value of its own; `networks`, `paused` and `image` are looked at apart.
pub(super) static OPTIONS: &[Opt] = &[
    row("auto_remove", &["HostConfig", "AutoRemove"], Shape::Value),
    row("blkio_weight", &["HostConfig", "BlkioWeight"], Shape::Value).live(),
    row("cap_drop", &["HostConfig", "CapDrop"], Shape::Set).tidy(parse::tidy_capabilities),
    row("capabilities", &["HostConfig", "CapAdd"], Shape::Set).tidy(parse::tidy_capabilities),
    row("cgroup_parent", &["HostConfig", "CgroupParent"], Shape::Value),
    row("cgroupns_mode", &["HostConfig", "CgroupnsMode"], Shape::Value),
    row("command", &["Config", "Cmd"], Shape::List).by(|args, _| parse::command(args, "command")),
    row("cpu_period", &["HostConfig", "CpuPeriod"], Shape::Value).live(),
    row("cpu_quota", &["HostConfig", "CpuQuota"], Shape::Value).live(),
    row("cpu_shares", &["HostConfig", "CpuShares"], Shape::Value).live(),
    row("cpus", &["HostConfig", "NanoCpus"], Shape::Value)
        .by(|args, _| Ok(args.float("cpus").map(|cpus| Value::Int((cpus * 1e9).round() as i64)))),
    row("cpuset_cpus", &["HostConfig", "CpusetCpus"], Shape::Value).live(),
    row("cpuset_mems", &["HostConfig", "CpusetMems"], Shape::Value).live(),
    row("device_cgroup_rules", &["HostConfig", "DeviceCgroupRules"], Shape::Set),
    row("device_read_bps", &["HostConfig", "BlkioDeviceReadBps"], Shape::SetOfDicts)
        .by(|args, _| parse::device_rates(args, "device_read_bps", true)),
    row("device_read_iops", &["HostConfig", "BlkioDeviceReadIOps"], Shape::SetOfDicts)
        .by(|args, _| parse::device_rates(args, "device_read_iops", false)),
    row("device_requests", &["HostConfig", "DeviceRequests"], Shape::SetOfDicts).by(|args, _| Ok(parse::device_requests(args))),
    row("device_write_bps", &["HostConfig", "BlkioDeviceWriteBps"], Shape::SetOfDicts)
        .by(|args, _| parse::device_rates(args, "device_write_bps", true)),
    row("device_write_iops", &["HostConfig", "BlkioDeviceWriteIOps"], Shape::SetOfDicts)
        .by(|args, _| parse::device_rates(args, "device_write_iops", false)),
    row("devices", &["HostConfig", "Devices"], Shape::SetOfDicts).by(|args, _| Ok(parse::devices(args))),
    row("dns_opts", &["HostConfig", "DnsOptions"], Shape::Set),
    row("dns_search_domains", &["HostConfig", "DnsSearch"], Shape::List),
    row("dns_servers", &["HostConfig", "Dns"], Shape::List),
    row("domainname", &["Config", "Domainname"], Shape::Value),
    row("entrypoint", &["Config", "Entrypoint"], Shape::List).by(|args, _| parse::command(args, "entrypoint")),
    row("env", &["Config", "Env"], Shape::Set).by(|args, engine| parse::environment(args, engine.look)),
    row("etc_hosts", &["HostConfig", "ExtraHosts"], Shape::Set).by(|args, _| Ok(parse::etc_hosts(args))),
    row("exposed_ports", &["Config", "ExposedPorts"], Shape::Dict).by(|args, _| parse::exposed_ports(args)),
    row("groups", &["HostConfig", "GroupAdd"], Shape::Set),
    row("healthcheck", &["Config", "Healthcheck"], Shape::Dict).by(|args, _| parse::healthcheck(args)),
    row("hostname", &["Config", "Hostname"], Shape::Value),
    row("init", &["HostConfig", "Init"], Shape::Value),
    row("interactive", &["Config", "OpenStdin"], Shape::Value),
    row("ipc_mode", &["HostConfig", "IpcMode"], Shape::Value).by(|args, engine| parse::namespace(args, "ipc_mode", engine)),
    row("kernel_memory", &["HostConfig", "KernelMemory"], Shape::Value).bytes().live(),
    row("labels", &["Config", "Labels"], Shape::Dict).by(|args, _| parse::text_dict(args, "labels")),
    row("links", &["HostConfig", "Links"], Shape::Set).by(|args, _| Ok(parse::links(args))).tidy(parse::tidy_links),
    row("log_driver", &["HostConfig", "LogConfig", "Type"], Shape::Value),
    row("log_options", &["HostConfig", "LogConfig", "Config"], Shape::Dict)
        .by(|args, _| Ok(parse::stringly(args, "log_options"))),
    row("mac_address", &["Config", "MacAddress"], Shape::Value).tidy(parse::tidy_mac),
    row("memory", &["HostConfig", "Memory"], Shape::Value).bytes().live(),
    row("memory_reservation", &["HostConfig", "MemoryReservation"], Shape::Value).bytes().live(),
    row("memory_swap", &["HostConfig", "MemorySwap"], Shape::Value).bytes().live(),
    row("memory_swappiness", &["HostConfig", "MemorySwappiness"], Shape::Value),
    row("mounts", &["HostConfig", "Mounts"], Shape::SetOfDicts).by(|args, _| parse::mounts(args)),
    row("network_mode", &["HostConfig", "NetworkMode"], Shape::Value).by(parse::network_mode).tidy(parse::tidy_network_mode),
    row("oom_killer", &["HostConfig", "OomKillDisable"], Shape::Value),
    row("oom_score_adj", &["HostConfig", "OomScoreAdj"], Shape::Value),
    row("pid_mode", &["HostConfig", "PidMode"], Shape::Value).by(|args, engine| parse::namespace(args, "pid_mode", engine)),
    row("pids_limit", &["HostConfig", "PidsLimit"], Shape::Value).live(),
    row("privileged", &["HostConfig", "Privileged"], Shape::Value),
    row("publish_all_ports", &["HostConfig", "PublishAllPorts"], Shape::Value).by(|args, _| Ok(parse::publish_all(args))),
    row("published_ports", &["HostConfig", "PortBindings"], Shape::Dict)
        .by(|args, _| parse::published_ports(args))
        .tidy(parse::tidy_bindings),
    row("read_only", &["HostConfig", "ReadonlyRootfs"], Shape::Value),
    row("restart_policy", &["HostConfig", "RestartPolicy"], Shape::Dict).by(|args, _| Ok(parse::restart_policy(args))).live(),
    row("runtime", &["HostConfig", "Runtime"], Shape::Value),
    row("security_opts", &["HostConfig", "SecurityOpt"], Shape::Set),
    row("shm_size", &["HostConfig", "ShmSize"], Shape::Value).bytes(),
    row("stop_signal", &["Config", "StopSignal"], Shape::Value),
    row("stop_timeout", &["Config", "StopTimeout"], Shape::Value),
    row("storage_opts", &["HostConfig", "StorageOpt"], Shape::Dict).by(|args, _| Ok(parse::stringly(args, "storage_opts"))),
    row("sysctls", &["HostConfig", "Sysctls"], Shape::Dict).by(|args, _| Ok(parse::stringly(args, "sysctls"))),
    row("tmpfs", &["HostConfig", "Tmpfs"], Shape::Dict).by(|args, _| Ok(parse::tmpfs(args))),
    row("tty", &["Config", "Tty"], Shape::Value),
    row("ulimits", &["HostConfig", "Ulimits"], Shape::SetOfDicts).by(|args, _| parse::ulimits(args)),
    row("user", &["Config", "User"], Shape::Value),
    row("userns_mode", &["HostConfig", "UsernsMode"], Shape::Value),
    row("uts", &["HostConfig", "UTSMode"], Shape::Value),
    row("volume_driver", &["HostConfig", "VolumeDriver"], Shape::Value),
    row("volumes", &["HostConfig", "Binds"], Shape::Set)
        .by(|args, engine| Ok(parse::binds(args, engine.look)))
        .tidy(parse::tidy_binds),
    row("anonymous volumes", &["Config", "Volumes"], Shape::Dict).by(|args, _| Ok(parse::anonymous_volumes(args))),
    row("volumes_from", &["HostConfig", "VolumesFrom"], Shape::Set),
    row("working_dir", &["Config", "WorkingDir"], Shape::Value),
];

/// What the daemon leaves out and what it fills in with nothing are the same.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (is_nothing(one) && is_nothing(other))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::String(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Int(_) | Value::Float(_) | Value::Template(_) => false,
    }
}

fn is_subset(wanted: &Value, found: &Value) -> bool {
    let found = items(found);
    items(wanted)
        .iter()
        .all(|item| found.iter().any(|other| item == other || (item.as_map().is_some() && has_entries(item, other))))
}

fn has_entries(wanted: &Value, found: &Value) -> bool {
    let found = entries(found);
    entries(wanted).iter().all(|(key, value)| same(value, found.get(key).unwrap_or(&Value::Null)))
}

fn items(value: &Value) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for item in value.as_list().unwrap_or_default() {
        if !items.contains(item) {
            items.push(item.clone());
        }
    }
    items
}

fn entries(value: &Value) -> Map {
    value.as_map().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::docker::container::MODULE;

    fn json(text: &str) -> Value {
        Value::from_json(text).unwrap()
    }

    fn opt(name: &str) -> &'static Opt {
        OPTIONS.iter().find(|opt| opt.name == name).unwrap()
    }

    #[test]
    fn every_option_is_an_argument() {
        for opt in OPTIONS.iter().filter(|opt| opt.name != "anonymous volumes") {
            assert!(MODULE.arg(opt.name).is_some(), "{}", opt.name);
        }
    }

    #[test]
    fn sets_may_hold_more_unless_strict() {
        let env = opt("env");
        let (wanted, found) = (json(r#"["A=1"]"#), json(r#"["PATH=/bin","A=1"]"#));
        assert!(env.matches(&wanted, &found, false));
        assert!(!env.matches(&wanted, &found, true));
        assert!(!env.matches(&json(r#"["A=2"]"#), &found, false));
    }

    #[test]
    fn spellings_of_the_same_are_no_difference() {
        assert!(opt("capabilities").matches(&json(r#"["net_admin"]"#), &json(r#"["CAP_NET_ADMIN"]"#), true));
        assert!(opt("volumes").matches(&json(r#"["/a:/b"]"#), &json(r#"["/a:/b:rw"]"#), true));
        assert!(opt("network_mode").matches(&"default".into(), &"bridge".into(), true));
        assert!(opt("user").matches(&"".into(), &Value::Null, true));
    }

    #[test]
    fn more_published_ports_pass_only_when_not_strict() {
        let ports = opt("published_ports");
        let wanted = json(r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}]}"#);
        let found = json(r#"{"80/tcp":[{"HostIp":"","HostPort":"8080"}],"443/tcp":null}"#);
        assert!(ports.matches(&wanted, &found, false));
        assert!(!ports.matches(&wanted, &found, true));
    }
}
