//! Block devices, how they are linked to each other, and the names of this host in storage networks.

use super::hardware::human;
use super::{line, map, set};
use crate::modules::{Cmd, Look, Output};
use crate::value::{Map, Value};
use std::time::Duration;

/// Kinds of links between devices, and where they are.
const LINKS: [(&str, &str); 3] = [("ids", "by-id"), ("labels", "by-label"), ("uuids", "by-uuid")];

pub(super) fn devices(look: &dyn Look, _: &str, facts: &mut Map) {
    let names = look.list("/sys/block").unwrap_or_default();
    let mut links: Vec<(&str, Map)> = LINKS.iter().map(|(kind, dir)| (*kind, linked(look, dir))).collect();
    links.insert(2, ("masters", masters(look, &names)));
    let all: Map = names.iter().map(|name| (name.as_str().into(), device(look, name, &links).into())).collect();
    set(facts, "devices", all);
    set(facts, "device_links", links.into_iter().map(|(kind, found)| (kind.into(), found.into())).collect::<Map>());
}

fn add(found: &mut Map, device: &str, name: &str) {
    let names = found.get(device).and_then(Value::as_list).unwrap_or_default();
    let names: Value = names.iter().cloned().chain([name.into()]).collect();
    found.insert(device.into(), names);
}

/// Devices and the names that lead to them.
fn linked(look: &dyn Look, dir: &str) -> Map {
    let dir = format!("/dev/disk/{dir}");
    let mut found = Map::new();
    for name in look.list(&dir).unwrap_or_default() {
        if let Ok(target) = look.read_link(&format!("{dir}/{name}")) {
            add(&mut found, target.rsplit('/').next().unwrap_or_default(), &name);
        }
    }
    found
}

/// Devices and what is made of them.
fn masters(look: &dyn Look, names: &[String]) -> Map {
    let mut found = Map::new();
    for name in names {
        for slave in look.list(&format!("/sys/block/{name}/slaves")).unwrap_or_default() {
            add(&mut found, &slave, name);
        }
    }
    found
}

fn links_of(name: &str, links: &[(&str, Map)]) -> Value {
    let found = links.iter().map(|(kind, all)| ((*kind).into(), all.get(name).cloned().unwrap_or(Value::list(Vec::new()))));
    Value::map(found.collect())
}

fn device(look: &dyn Look, name: &str, links: &[(&str, Map)]) -> Map {
    let dir = format!("/sys/block/{name}");
    let read = |file: &str| line(look, &format!("{dir}/{file}"));
    let number = |file: &str| read(file).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let entries = look.list(&dir).unwrap_or_default();
    let parts = entries.iter().filter(|entry| entry.starts_with(name)).map(|part| {
        let size = number(&format!("{part}/size"));
        let uuid =
            links.iter().find(|(kind, _)| *kind == "uuids").and_then(|(_, all)| all.get(part.as_str())?.as_list()?.first());
        let found = map([
            ("links", links_of(part, links)),
            ("start", read(&format!("{part}/start")).into()),
            ("sectors", size.into()),
            ("sectorsize", 512.into()),
            ("size", human(size * 512).into()),
            ("uuid", uuid.cloned().unwrap_or_default()),
            ("holders", look.list(&format!("{dir}/{part}/holders")).unwrap_or_default().into()),
        ]);
        (part.as_str().into(), found.into())
    });
    let scheduler = read("queue/scheduler").unwrap_or_default();
    let scheduler = scheduler.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(mode, _)| mode);
    let sectors = number("size");
    map([
        // Wherever `/sys/block` holds links, which it does, this is what Ansible says of every device.
        ("virtual", 1.into()),
        ("links", links_of(name, links)),
        ("model", read("device/model").into()),
        ("vendor", read("device/vendor").into()),
        ("sas_address", read("device/sas_address").into()),
        ("sas_device_handle", read("device/sas_device_handle").into()),
        ("removable", read("removable").into()),
        ("rotational", read("queue/rotational").into()),
        ("scheduler_mode", scheduler.into()),
        ("support_discard", read("queue/discard_granularity").into()),
        ("sectors", sectors.into()),
        ("sectorsize", read("queue/logical_block_size").into()),
        ("size", human(sectors * 512).into()),
        ("host", "".into()),
        ("partitions", parts.collect::<Map>().into()),
        ("holders", look.list(&format!("{dir}/holders")).unwrap_or_default().into()),
    ])
}

pub(super) fn names(look: &dyn Look, _: &str, facts: &mut Map) {
    let initiator = look.text("/etc/iscsi/initiatorname.iscsi").ok().flatten().unwrap_or_default();
    let iqn = initiator.lines().find_map(|line| line.trim().strip_prefix("InitiatorName="));
    set(facts, "iscsi_iqn", iqn.unwrap_or_default());
    set(facts, "hostnqn", line(look, "/etc/nvme/hostnqn").unwrap_or_default());
    let hosts = look.list("/sys/class/fc_host").unwrap_or_default();
    let ports = hosts.iter().filter_map(|host| line(look, &format!("/sys/class/fc_host/{host}/port_name")));
    set(facts, "fibre_channel_wwn", ports.map(|port| Value::from(port.trim_start_matches("0x"))).collect::<Value>());
}

/// Only the tools of LVM tell, and only root.
pub(super) fn lvm(look: &dyn Look, _: &str, facts: &mut Map) {
    if look.uid() != 0 || look.which("vgs").is_none() {
        return set(facts, "lvm", "N/A");
    }
    let ask = |argv: &[&str]| -> Vec<Vec<String>> {
        let flags = ["--noheadings", "--nosuffix", "--units", "g", "--separator", ","];
        let cmd = Cmd::new(argv.iter().copied().chain(flags)).timeout(Duration::from_secs(10));
        let text = look.run(&cmd).ok().filter(Output::is_success).map(|output| output.stdout_text()).unwrap_or_default();
        text.lines().map(|line| line.trim().split(',').map(str::to_owned).collect()).collect()
    };
    let table = |argv: &[&str], fields: &[(&str, usize)]| -> Map {
        let row = |row: &Vec<String>| {
            let field = |at: usize| row.get(at).map(|text| Value::from(text.as_str())).unwrap_or_default();
            let values: Map = fields.iter().map(|(name, at)| ((*name).into(), field(*at))).collect();
            (row.first().map_or("", String::as_str).into(), values.into())
        };
        ask(argv).iter().map(row).collect()
    };
    let groups = table(&["vgs"], &[("size_g", 5), ("free_g", 6), ("num_lvs", 2), ("num_pvs", 1)]);
    let volumes = table(&["lvs"], &[("size_g", 3), ("vg", 1)]);
    let physical = table(&["pvs"], &[("size_g", 4), ("free_g", 5), ("vg", 1)]);
    set(facts, "lvm", map([("lvs", volumes.into()), ("vgs", groups.into()), ("pvs", physical.into())]));
}
