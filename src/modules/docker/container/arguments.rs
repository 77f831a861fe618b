//! What `docker_container` takes.

use crate::modules::{Arg, Kind, Rule};

const fn arg(name: &'static str, kind: Kind, help: &'static str) -> Arg {
    Arg::new(name, kind, help)
}

pub(super) const RULES: &[Rule] = &[Rule::If("state", "present", &["image"])];

pub(super) const ARGS: &[Arg] = &[
    arg("name", Kind::Str, "name of the container").required(),
    arg("image", Kind::Str, "image to run; its tag defaults to `latest`"),
    arg("state", Kind::Str, "what the container should be")
        .choices(&["absent", "present", "healthy", "stopped", "started"])
        .default("started"),
    arg("pull", Kind::Raw, "when to pull the image: never, missing or always").default("missing"),
    arg("pull_check_mode_behavior", Kind::Str, "what check mode says of a pull")
        .choices(&["image_not_present", "always"])
        .default("image_not_present"),
    arg("recreate", Kind::Bool, "make the container anew even where nothing differs").default("no"),
    arg("restart", Kind::Bool, "restart a container that need not be made anew").default("no"),
    arg("force_kill", Kind::Bool, "kill instead of stop").aliases(&["forcekill"]).default("no"),
    arg("kill_signal", Kind::Str, "signal to kill with"),
    arg("keep_volumes", Kind::Bool, "keep anonymous volumes when the container is removed").default("yes"),
    arg("cleanup", Kind::Bool, "with `detach: no`: remove the container after it ended").default("no"),
    arg("detach", Kind::Bool, "go on without waiting for the container to end"),
    arg("output_logs", Kind::Bool, "with `detach: no`: write the output to the log").default("no"),
    arg("comparisons", Kind::Dict, "per option, or for all with `*`: strict, ignore or allow_more_present"),
    arg("ignore_image", Kind::Bool, "do not compare the image").default("no"),
    arg("image_comparison", Kind::Str, "which image's defaults count when comparing")
        .choices(&["desired-image", "current-image"])
        .default("desired-image"),
    arg("image_label_mismatch", Kind::Str, "what labels of the image that are not in `labels` mean")
        .choices(&["ignore", "fail"])
        .default("ignore"),
    arg("image_name_mismatch", Kind::Str, "what to do where the same image was started under another name")
        .choices(&["ignore", "recreate"])
        .default("recreate"),
    arg("container_default_behavior", Kind::Str, "whether options that were not given have a value of their own")
        .choices(&["compatibility", "no_defaults"])
        .default("no_defaults"),
    arg("command_handling", Kind::Str, "how text in `command` and `entrypoint` is read")
        .choices(&["compatibility", "correct"])
        .default("correct"),
    arg("healthy_wait_timeout", Kind::Float, "seconds to wait for `state: healthy`").default("300"),
    arg("removal_wait_timeout", Kind::Float, "seconds to wait until a removed container is gone"),
    arg("default_host_ip", Kind::Str, "address that published ports listen on").default("0.0.0.0"),
    arg("env_file", Kind::Path, "file on the host with lines of NAME=value"),
    arg("paused", Kind::Bool, "whether the container is paused"),
    arg("platform", Kind::Str, "platform of the image: os[/arch[/variant]]"),
    arg("networks", Kind::RawList, "networks to be connected to"),
    arg("networks_cli_compatible", Kind::Bool, "take the first of `networks` as network mode, as the client does").default("yes"),
    arg("purge_networks", Kind::Bool, "leave networks that are not listed").default("no"),
    arg("restart_retries", Kind::Int, "how often `restart_policy: on-failure` tries"),
    arg("log_options", Kind::Dict, "options of the log driver").aliases(&["log_opt"]),
    // Options with a row in `options.rs`.
    arg("auto_remove", Kind::Bool, "remove the container when it ends"),
    arg("blkio_weight", Kind::Int, "relative block IO weight, 10 to 1000"),
    arg("cap_drop", Kind::List, "capabilities to take away"),
    arg("capabilities", Kind::List, "capabilities to add"),
    arg("cgroup_parent", Kind::Str, "parent control group"),
    arg("cgroupns_mode", Kind::Str, "control group namespace").choices(&["host", "private"]),
    arg("command", Kind::Raw, "command line, as text or list"),
    arg("cpu_period", Kind::Int, "period of the CPU scheduler in microseconds"),
    arg("cpu_quota", Kind::Int, "CPU quota in microseconds a period"),
    arg("cpu_shares", Kind::Int, "relative CPU weight"),
    arg("cpus", Kind::Float, "how many CPUs it may use"),
    arg("cpuset_cpus", Kind::Str, "CPUs to run on: 0,1 or 0-3"),
    arg("cpuset_mems", Kind::Str, "memory nodes to use"),
    arg("device_cgroup_rules", Kind::List, "rules for the devices control group"),
    arg("device_read_bps", Kind::RawList, "list of path and rate: bytes read a second"),
    arg("device_read_iops", Kind::RawList, "list of path and rate: reads a second"),
    arg("device_requests", Kind::RawList, "GPUs and the like"),
    arg("device_write_bps", Kind::RawList, "list of path and rate: bytes written a second"),
    arg("device_write_iops", Kind::RawList, "list of path and rate: writes a second"),
    arg("devices", Kind::List, "devices: host[:container[:rwm]]"),
    arg("dns_opts", Kind::List, "resolver options"),
    arg("dns_search_domains", Kind::List, "search domains"),
    arg("dns_servers", Kind::List, "name servers"),
    arg("domainname", Kind::Str, "domain name"),
    arg("entrypoint", Kind::Raw, "entry point, as text or list"),
    arg("env", Kind::Dict, "environment: names and quoted values"),
    arg("etc_hosts", Kind::Dict, "names and addresses for /etc/hosts"),
    arg("exposed_ports", Kind::List, "ports the container listens on: 80, 53/udp, 8000-8010").aliases(&["exposed", "expose"]),
    arg("groups", Kind::List, "additional groups of the process"),
    arg("healthcheck", Kind::Dict, "test, interval, timeout, retries, start_period, start_interval"),
    arg("hostname", Kind::Str, "host name"),
    arg("init", Kind::Bool, "run an init that forwards signals and reaps"),
    arg("interactive", Kind::Bool, "keep stdin open"),
    arg("ipc_mode", Kind::Str, "IPC namespace"),
    arg("kernel_memory", Kind::Str, "kernel memory limit"),
    arg("labels", Kind::Dict, "labels"),
    arg("links", Kind::List, "links: container:alias"),
    arg("log_driver", Kind::Str, "log driver"),
    arg("mac_address", Kind::Str, "MAC address"),
    arg("memory", Kind::Str, "memory limit: 512M"),
    arg("memory_reservation", Kind::Str, "soft memory limit"),
    arg("memory_swap", Kind::Str, "memory and swap together; unlimited or -1"),
    arg("memory_swappiness", Kind::Int, "0 to 100"),
    arg("mounts", Kind::RawList, "mounts: target, source, type and so on"),
    arg("network_mode", Kind::Str, "bridge, host, none, container:name or a network"),
    arg("oom_killer", Kind::Bool, "whether to disable the out-of-memory killer"),
    arg("oom_score_adj", Kind::Int, "how likely it is killed when memory is short"),
    arg("pid_mode", Kind::Str, "PID namespace"),
    arg("pids_limit", Kind::Int, "how many processes; -1 for no limit"),
    arg("privileged", Kind::Bool, "all devices and capabilities"),
    arg("publish_all_ports", Kind::Bool, "publish every exposed port"),
    arg("published_ports", Kind::List, "ports: [address:][host:]container[/proto]").aliases(&["ports"]),
    arg("read_only", Kind::Bool, "root file system is read-only"),
    arg("restart_policy", Kind::Str, "when the daemon restarts it").choices(&["no", "on-failure", "always", "unless-stopped"]),
    arg("runtime", Kind::Str, "runtime, such as runc"),
    arg("security_opts", Kind::List, "security options"),
    arg("shm_size", Kind::Str, "size of /dev/shm"),
    arg("stop_signal", Kind::Str, "signal that asks it to stop"),
    arg("stop_timeout", Kind::Int, "seconds between asking it to stop and killing it"),
    arg("storage_opts", Kind::Dict, "options of the storage driver"),
    arg("sysctls", Kind::Dict, "kernel parameters"),
    arg("tmpfs", Kind::List, "tmpfs mounts: path[:options]"),
    arg("tty", Kind::Bool, "allocate a terminal"),
    arg("ulimits", Kind::List, "limits: name:soft[:hard]"),
    arg("user", Kind::Str, "user[:group]"),
    arg("userns_mode", Kind::Str, "user namespace"),
    arg("uts", Kind::Str, "UTS namespace"),
    arg("volume_driver", Kind::Str, "driver of volumes"),
    arg("volumes", Kind::List, "volumes: [source:]target[:mode]"),
    arg("volumes_from", Kind::List, "containers to take volumes from"),
    arg("working_dir", Kind::Str, "working directory"),
];
