//! The machine as its kernel, its accounts and its clock describe it.

use super::{line, map, set};
use crate::modules::clock::Clock;
use crate::modules::{Cmd, Look, attrs};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) fn platform(look: &dyn Look, _: &str, facts: &mut Map) {
    let node = line(look, "/proc/sys/kernel/hostname").unwrap_or_default();
    let full = full_name(look, &node);
    set(facts, "system", "Linux");
    set(facts, "kernel", line(look, "/proc/sys/kernel/osrelease"));
    set(facts, "kernel_version", line(look, "/proc/sys/kernel/version"));
    // The host program was chosen by it.
    for name in ["architecture", "machine", "userspace_architecture"] {
        set(facts, name, std::env::consts::ARCH);
    }
    set(facts, "userspace_bits", "64");
    set(facts, "nodename", node.as_str());
    set(facts, "hostname", node.split('.').next().unwrap_or_default());
    set(facts, "domain", full.split_once('.').map_or("", |(_, domain)| domain));
    set(facts, "fqdn", full);
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|path| line(look, path));
    set(facts, "machine_id", id);
}

/// As Python's `getfqdn`: the name's address, all names of that address, the first of them with a dot, or just the first.
fn full_name(look: &dyn Look, node: &str) -> String {
    if node.contains('.') || node.is_empty() {
        return node.to_owned();
    }
    let entries = |text: &str| -> Vec<Vec<String>> {
        let words = |line: &str| line.split('#').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        text.lines().map(words).filter(|words: &Vec<String>| words.len() > 1).collect()
    };
    let named = |entries: &[Vec<String>]| {
        let address = &entries.iter().find(|entry| entry[1..].iter().any(|name| name == node))?[0];
        let first = entries.iter().find(|entry| entry[0] == *address)?;
        first[1..].iter().find(|name| name.contains('.')).or(first.get(1)).cloned()
    };
    let local = look.text("/etc/hosts").ok().flatten().and_then(|text| named(&entries(&text)));
    let asked = || {
        let cmd = Cmd::new(["getent", "hosts", node]).timeout(Duration::from_secs(2));
        let output = look.run(&cmd).ok().filter(crate::modules::Output::is_success)?;
        entries(&output.stdout_text()).first().map(|entry| {
            let names = &entry[1..];
            names.iter().find(|name| name.contains('.')).or(names.first()).cloned().unwrap_or_default()
        })
    };
    local.or_else(asked).unwrap_or_else(|| node.to_owned())
}

pub(super) fn service_mgr(look: &dyn Look, _: &str, facts: &mut Map) {
    let first = line(look, "/proc/1/comm").unwrap_or_default();
    let found = match first.as_str() {
        "systemd" => "systemd",
        _ if look.exists("/run/systemd/system") => "systemd",
        "openrc-init" => "openrc",
        "init" | "" if look.exists("/sbin/openrc") => "openrc",
        "init" | "" if look.exists("/etc/init.d") => "sysvinit",
        "init" | "" => "service",
        other => other,
    };
    set(facts, "service_mgr", found);
}

/// Where systemd runs: its version, and what it was built with.
pub(super) fn systemd(look: &dyn Look, _: &str, facts: &mut Map) {
    if !look.exists("/run/systemd/system") {
        return;
    }
    let cmd = Cmd::new(["systemctl", "--version"]).timeout(Duration::from_secs(2));
    let Some(output) = look.run(&cmd).ok().filter(crate::modules::Output::is_success) else { return };
    let text = output.stdout_text();
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<i64>().ok());
    let mut systemd = Map::new();
    systemd.insert("features".into(), lines.next().unwrap_or_default().into());
    systemd.insert("version".into(), version.map_or(Value::Null, Value::from));
    set(facts, "systemd", Value::map(systemd));
}

pub(super) fn date_time(look: &dyn Look, _: &str, facts: &mut Map) {
    let clock = Clock::of(look);
    let time = look.now();
    let (now, utc) = (clock.local(time), Clock::utc(time));
    let (standard, summer) = clock.names(time);
    let mut values = Map::new();
    for (name, pattern) in [
        ("year", "%Y"),
        ("month", "%m"),
        ("weekday", "%A"),
        ("weekday_number", "%w"),
        ("weeknumber", "%W"),
        ("day", "%d"),
        ("hour", "%H"),
        ("minute", "%M"),
        ("second", "%S"),
        ("date", "%Y-%m-%d"),
        ("time", "%H:%M:%S"),
        ("iso8601_basic", "%Y%m%dT%H%M%S%f"),
        ("iso8601_basic_short", "%Y%m%dT%H%M%S"),
        ("tz", "%Z"),
        ("tz_offset", "%z"),
    ] {
        set(&mut values, name, now.format(pattern));
    }
    let epoch = (time.floor() as i64).to_string();
    set(&mut values, "epoch", epoch.as_str());
    set(&mut values, "epoch_int", epoch);
    set(&mut values, "iso8601", utc.format("%Y-%m-%dT%H:%M:%SZ"));
    set(&mut values, "iso8601_micro", utc.format("%Y-%m-%dT%H:%M:%S.%fZ"));
    set(&mut values, "tz_dst", if summer.is_empty() { standard } else { summer });
    set(facts, "date_time", values);
}

pub(super) fn env(look: &dyn Look, _: &str, facts: &mut Map) {
    let bytes = look.read("/proc/self/environ").unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let values: Map =
        text.split('\0').filter_map(|entry| entry.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect();
    set(facts, "env", values);
}

pub(super) fn user(look: &dyn Look, _: &str, facts: &mut Map) {
    let uid = look.uid();
    let fields = attrs::entry_of(look, "/etc/passwd", "passwd", 2, &uid.to_string()).unwrap_or_default();
    let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
    set(facts, "user_id", field(0));
    set(facts, "user_uid", uid);
    set(facts, "user_gid", field(3).parse::<u32>().ok());
    set(facts, "user_gecos", field(4));
    set(facts, "user_dir", field(5));
    set(facts, "user_shell", field(6));
    let gid = look.gids().first().copied();
    for kind in ["real", "effective"] {
        set(facts, &format!("{kind}_user_id"), uid);
        set(facts, &format!("{kind}_group_id"), gid);
    }
}

/// `name=value` or a bare word; of a word that comes again, `proc_cmdline` has a list.
pub(super) fn cmdline(look: &dyn Look, _: &str, facts: &mut Map) {
    let text = line(look, "/proc/cmdline").unwrap_or_default();
    let words = crate::modules::words::split(&text).unwrap_or_default();
    let (mut last, mut all) = (Map::new(), Map::new());
    for word in &words {
        let (key, value) = word.split_once('=').map_or((word.as_str(), Value::Bool(true)), |(key, value)| (key, value.into()));
        set(&mut last, key, value.clone());
        let value = match all.get(key) {
            None => value,
            Some(Value::List(values)) => values.iter().cloned().chain([value]).collect(),
            Some(one) => Value::list(vec![one.clone(), value]),
        };
        set(&mut all, key, value);
    }
    set(facts, "cmdline", last);
    set(facts, "proc_cmdline", all);
}

pub(super) fn dns(look: &dyn Look, _: &str, facts: &mut Map) {
    let text = look.text("/etc/resolv.conf").ok().flatten().unwrap_or_default();
    let mut found = Map::new();
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.collect::<Vec<_>>()) {
            (Some("nameserver"), rest) => servers.extend(rest.first().map(|server| Value::from(*server))),
            (Some("domain"), rest) => set(&mut found, "domain", rest.first().copied().unwrap_or_default()),
            (Some("search"), rest) => set(&mut found, "search", rest.into_iter().map(Value::from).collect::<Value>()),
            (Some("options"), rest) => {
                let options = rest.into_iter().map(|option| match option.split_once(':') {
                    Some((name, value)) => (name.into(), value.into()),
                    None => (option.into(), Value::Bool(true)),
                });
                set(&mut found, "options", options.collect::<Map>());
            }
            _ => {}
        }
    }
    if !servers.is_empty() {
        set(&mut found, "nameservers", servers);
    }
    set(facts, "dns", found);
}

pub(super) fn fips(look: &dyn Look, _: &str, facts: &mut Map) {
    set(facts, "fips", line(look, "/proc/sys/crypto/fips_enabled").as_deref() == Some("1"));
}

pub(super) fn selinux(look: &dyn Look, _: &str, facts: &mut Map) {
    set(facts, "selinux_python_present", true);
    let Some(enforce) = line(look, "/sys/fs/selinux/enforce") else {
        set(facts, "selinux", map([("status", "disabled".into())]));
        return;
    };
    let config = look.text("/etc/selinux/config").ok().flatten().unwrap_or_default();
    let said =
        |key: &str| super::assignments(&config).find(|(name, _)| *name == key).map_or("unknown", |(_, value)| value).to_owned();
    let mode = if enforce == "1" { "enforcing" } else { "permissive" };
    set(
        facts,
        "selinux",
        map([
            ("status", "enabled".into()),
            ("mode", mode.into()),
            ("config_mode", said("SELINUX").into()),
            ("type", said("SELINUXTYPE").into()),
            ("policyvers", line(look, "/sys/fs/selinux/policyvers").and_then(|text| text.parse::<i64>().ok()).into()),
        ]),
    );
}

pub(super) fn apparmor(look: &dyn Look, _: &str, facts: &mut Map) {
    let status = if look.exists("/sys/kernel/security/apparmor") { "enabled" } else { "disabled" };
    set(facts, "apparmor", map([("status", status.into())]));
}

/// Which capabilities this process has, as a bit mask; Ansible asks a program that is seldom there.
pub(super) fn capabilities(look: &dyn Look, _: &str, facts: &mut Map) {
    let status = look.text("/proc/self/status").ok().flatten().unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:")).map(str::trim);
    set(facts, "system_capabilities", Value::list(mask.map(Value::from).into_iter().collect()));
    set(facts, "system_capabilities_enforced", if mask.is_some() { "True" } else { "NA" });
}

/// Whether another root directory than that of the first process is seen.
pub(super) fn chroot(look: &dyn Look, _: &str, facts: &mut Map) {
    let own = look.stat("/", true).ok().flatten();
    let first = look.stat("/proc/1/root/.", true).ok().flatten();
    let differs = own.zip(first).is_some_and(|(own, first)| (own.inode, own.dev) != (first.inode, first.dev));
    set(facts, "is_chroot", look.env("debian_chroot").is_some() || differs);
}

/// What stands for the Python of a host that has none: a distribution of today would install at least this.
const NO_PYTHON: &str = "3.9.0";

/// No Python is needed on a host, but roles choose names of packages by its version.
pub(super) fn python(look: &dyn Look, _: &str, facts: &mut Map) {
    let own = Some("/usr/bin/python3".to_owned()).filter(|path| look.exists(path)).or_else(|| look.which("python3"));
    let said = own.as_ref().and_then(|path| look.run(&Cmd::new([path.as_str(), "-V"]).timeout(Duration::from_secs(5))).ok());
    let said = said.map(|output| output.stdout_text()).unwrap_or_default();
    let version = said.trim().strip_prefix("Python ").unwrap_or(NO_PYTHON);
    let path = own.unwrap_or_else(|| "/usr/bin/python3".to_owned());
    let parts: Vec<Value> = version.split('.').filter_map(|part| part.parse::<i64>().ok()).map(Value::from).collect();
    let mut found = map([("executable", path.into()), ("type", "cpython".into()), ("has_sslcontext", true.into())]);
    if let [major, minor, micro] = parts.as_slice() {
        let names = ["major", "minor", "micro", "releaselevel", "serial"];
        let values = [major.clone(), minor.clone(), micro.clone(), "final".into(), 0.into()];
        set(&mut found, "version_info", Value::list(values.to_vec()));
        set(&mut found, "version", names.iter().zip(values).map(|(name, value)| ((*name).into(), value)).collect::<Map>());
        set(facts, "python_version", version);
    }
    set(facts, "python", found);
}

pub(super) fn host_keys(look: &dyn Look, _: &str, facts: &mut Map) {
    for kind in ["dsa", "rsa", "ecdsa", "ed25519"] {
        let Some(text) = line(look, &format!("/etc/ssh/ssh_host_{kind}_key.pub")) else { continue };
        let mut words = text.split_whitespace();
        if let (Some(name), Some(key)) = (words.next(), words.next()) {
            set(facts, &format!("ssh_host_key_{kind}_public"), key);
            set(facts, &format!("ssh_host_key_{kind}_public_keytype"), name);
        }
    }
}

pub(super) fn load(look: &dyn Look, _: &str, facts: &mut Map) {
    let text = line(look, "/proc/loadavg").unwrap_or_default();
    let values: Map = ["1m", "5m", "15m"]
        .iter()
        .zip(text.split_whitespace())
        .filter_map(|(name, value)| Some(((*name).into(), value.parse::<f64>().ok()?.into())))
        .collect();
    set(facts, "loadavg", values);
}
