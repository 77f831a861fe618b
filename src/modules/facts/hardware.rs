//! Processors, memory, file systems and disks.

use super::{line, map, set};
use crate::modules::{Look, Space};
use crate::value::{Map, Value};
use std::collections::BTreeSet;

pub(super) fn processor(look: &dyn Look, _: &str, facts: &mut Map) {
    let text = look.text("/proc/cpuinfo").ok().flatten().unwrap_or_default();
    let mut models = Vec::new();
    let (mut sockets, mut count) = (BTreeSet::new(), 0_i64);
    let (mut cores, mut siblings) = (0, 0);
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match key.trim() {
            "processor" => {
                count += 1;
                models.push(Value::from(value));
            }
            "vendor_id" | "model name" | "Processor" | "cpu model" => models.push(value.into()),
            "physical id" => drop(sockets.insert(value.to_owned())),
            "cpu cores" => cores = value.parse().unwrap_or(0),
            "siblings" => siblings = value.parse().unwrap_or(0),
            "flags" | "Features" => {
                set(facts, "flags", value.split_whitespace().map(Value::from).collect::<Value>());
            }
            _ => {}
        }
    }
    set(facts, "processor", models);
    // Machines without sockets, such as most of ARM's, count every processor as one.
    let (sockets, cores) =
        if sockets.is_empty() { (count, 1) } else { (i64::try_from(sockets.len()).unwrap_or(1), cores.max(1)) };
    let threads = (siblings / cores).max(1);
    set(facts, "processor_count", sockets);
    set(facts, "processor_cores", cores);
    set(facts, "processor_threads_per_core", threads);
    set(facts, "processor_vcpus", threads * sockets * cores);
    set(facts, "processor_nproc", count);
}

pub(super) fn memory(look: &dyn Look, _: &str, facts: &mut Map) {
    let text = look.text("/proc/meminfo").ok().flatten().unwrap_or_default();
    let mb = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok()).unwrap_or(0) / 1024
    };
    let (total, free) = (mb("MemTotal"), mb("MemFree"));
    let unused = free + mb("Cached") + mb("Buffers");
    let (swap, swap_free) = (mb("SwapTotal"), mb("SwapFree"));
    set(facts, "memtotal_mb", total);
    set(facts, "memfree_mb", free);
    set(facts, "swaptotal_mb", swap);
    set(facts, "swapfree_mb", swap_free);
    let real = map([("total", total.into()), ("used", (total - free).into()), ("free", free.into())]);
    let nocache = map([("free", unused.into()), ("used", (total - unused).into())]);
    let swap = map([
        ("total", swap.into()),
        ("free", swap_free.into()),
        ("used", (swap - swap_free).into()),
        ("cached", mb("SwapCached").into()),
    ]);
    set(facts, "memory_mb", map([("real", real.into()), ("nocache", nocache.into()), ("swap", swap.into())]));
}

pub(super) fn mounts(look: &dyn Look, _: &str, facts: &mut Map) {
    let text = look.text("/proc/mounts").ok().flatten().unwrap_or_default();
    let names = uuids(look);
    let mounts = text.lines().filter_map(|line| {
        let fields: Vec<String> = line.split_whitespace().map(unescaped).collect();
        let [device, mount, kind, options, ..] = fields.as_slice() else { return None };
        let is_real = device.starts_with('/') || device.contains(":/");
        is_real.then(|| described(look, device, mount, kind, options, &names))
    });
    set(facts, "mounts", mounts.collect::<Value>());
}

fn described(look: &dyn Look, device: &str, mount: &str, kind: &str, options: &str, names: &[(String, String)]) -> Value {
    let uuid = names.iter().find(|(name, _)| device.strip_prefix("/dev/") == Some(name)).map_or("N/A", |(_, uuid)| uuid);
    let mut found = map([
        ("device", device.into()),
        ("mount", mount.into()),
        ("fstype", kind.into()),
        ("options", options.into()),
        ("dump", 0.into()),
        ("passno", 0.into()),
        ("uuid", uuid.into()),
    ]);
    // A network file system whose server is gone would hang here.
    let is_remote = device.contains(":/");
    if let Some(space) = (!is_remote).then(|| look.space(mount).ok()).flatten() {
        found.extend(sizes(&space));
    }
    found.into()
}

/// How much fits into a file system, and how much is in it.
pub(in crate::modules) fn sizes(space: &Space) -> Map {
    map([
        ("block_size", space.block_size.into()),
        ("block_total", space.blocks.into()),
        ("block_available", space.blocks_available.into()),
        ("block_used", space.blocks.saturating_sub(space.blocks_available).into()),
        ("size_total", space.blocks.saturating_mul(space.block_size).into()),
        ("size_available", space.blocks_available.saturating_mul(space.block_size).into()),
        ("inode_total", space.inodes.into()),
        ("inode_available", space.inodes_available.into()),
        ("inode_used", space.inodes.saturating_sub(space.inodes_available).into()),
    ])
}

/// Names of block devices and their file systems' ids.
pub(in crate::modules) fn uuids(look: &dyn Look) -> Vec<(String, String)> {
    let dir = "/dev/disk/by-uuid";
    let names = look.list(dir).unwrap_or_default();
    let device = |uuid: &String| look.read_link(&format!("{dir}/{uuid}")).ok()?.rsplit('/').next().map(str::to_owned);
    names.iter().filter_map(|uuid| Some((device(uuid)?, uuid.clone()))).collect()
}

/// `\040` is a blank in the table of mounts.
pub(in crate::modules) fn unescaped(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// `8.00 GB`.
pub(super) fn human(bytes: i64) -> String {
    let units = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)];
    let (unit, shift) = units.into_iter().find(|(_, shift)| bytes >= 1 << shift).unwrap_or(("Bytes", 0));
    format!("{:.2} {unit}", bytes as f64 / (1_i64 << shift) as f64)
}

/// Ansible's names for what the firmware says.
const DMI: &[(&str, &str)] = &[
    ("bios_date", "bios_date"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("system_vendor", "sys_vendor"),
];

pub(super) fn dmi(look: &dyn Look, _: &str, facts: &mut Map) {
    for (name, file) in DMI {
        let said = line(look, &format!("/sys/devices/virtual/dmi/id/{file}")).filter(|text| !text.is_empty());
        set(facts, name, said.as_deref().unwrap_or("NA"));
    }
    let form = match line(look, "/sys/devices/virtual/dmi/id/chassis_type").as_deref() {
        Some("1") => "Other",
        Some("3") => "Desktop",
        Some("7") => "Tower",
        Some("9") => "Laptop",
        Some("10") => "Notebook",
        Some("17") => "Main Server Chassis",
        Some("23") => "Rack Mount Chassis",
        Some("28") => "Blade",
        _ => "NA",
    };
    set(facts, "form_factor", form);
}

pub(super) fn uptime(look: &dyn Look, _: &str, facts: &mut Map) {
    let seconds = line(look, "/proc/uptime").and_then(|text| text.split('.').next()?.parse::<i64>().ok());
    set(facts, "uptime_seconds", seconds);
}
