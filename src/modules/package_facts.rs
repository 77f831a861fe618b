//! `package_facts`: every installed package as a fact.
//!
//! dpkg's record is read from its file; of the other package managers only those are asked that the host has.

use super::apt::installed_packages;
use super::{Arg, Args, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "package_facts",
    collection: "ansible.builtin",
    summary: "lists installed packages as facts",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("manager", Kind::List, "package managers to ask").default("auto").choices(&[
        "auto",
        "rpm",
        "yum",
        "dnf",
        "dnf5",
        "zypper",
        "apt",
        "portage",
        "pkg",
        "pkg5",
        "pkgng",
        "pacman",
        "apk",
        "pkg_info",
        "openbsd_pkg",
    ]),
    Arg::new("strategy", Kind::Str, "stop at the first that answers, or ask all").default("first").choices(&["first", "all"]),
];

const ASK: Duration = Duration::from_secs(120);
/// In the order in which `auto` tries them; each with the program or file that shows it.
const MANAGERS: &[(&str, &str)] = &[("apt", "dpkg"), ("rpm", "rpm"), ("apk", "apk"), ("pacman", "pacman")];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let wanted = args.list("manager");
    let is_wanted = |name: &str| wanted.iter().any(|one| one == "auto" || short(one) == name);
    let mut packages = Map::new();
    let mut asked = 0;
    for (name, program) in MANAGERS.iter().filter(|(name, _)| is_wanted(name)) {
        if look.which(program).is_none() || asked > 0 && args.str("strategy") == Some("first") {
            continue;
        }
        asked += 1;
        for package in listed(name, look)? {
            add(&mut packages, package);
        }
    }
    if asked == 0 {
        return Err(Failure::new(format!(
            "Could not detect a supported package manager from the following list: {}",
            wanted.join(", ")
        )));
    }
    packages.sort_unstable_by(|one, _, other, _| one.as_str().cmp(&other.as_str()));
    let mut plan = Plan::default();
    plan.set("ansible_facts", Map::from_iter([("packages".into(), Value::map(packages))]));
    Ok(plan)
}

/// Several names stand for the same record.
fn short(name: &str) -> &str {
    match name {
        "yum" | "dnf" | "dnf5" | "zypper" => "rpm",
        other => other,
    }
}

/// Packages of one name are a list: there may be several versions or architectures of it.
fn add(packages: &mut Map, package: Map) {
    let Some(name) = package.get("name").map(Value::to_text) else { return };
    let slot = packages.entry(name.as_str().into()).or_insert_with(|| Value::list(Vec::new()));
    let mut all = slot.as_list().unwrap_or_default().to_vec();
    all.push(Value::map(package));
    *slot = Value::list(all);
}

fn listed(manager: &str, look: &dyn Look) -> Result<Vec<Map>, Failure> {
    match manager {
        "apt" => Ok(installed_packages(look)?
            .into_iter()
            .map(|one| {
                entry(&[
                    ("name", &one.name),
                    ("version", &one.version),
                    ("arch", &one.arch),
                    ("category", &one.section),
                    ("origin", ""),
                    ("source", "apt"),
                ])
            })
            .collect()),
        "rpm" => rpm(look),
        "apk" => lines(look, &["apk", "info", "-v"], |line| {
            let (rest, last) = line.rsplit_once('-')?;
            // A virtual package has a version only.
            let named = rest.rsplit_once('-').filter(|_| last.starts_with('r'));
            let (name, version, release) = named.map_or((rest, last, ""), |(name, version)| (name, version, last));
            Some(entry(&[("name", name), ("version", version), ("release", release), ("source", "apk")]))
        }),
        _ => lines(look, &["pacman", "-Q"], |line| {
            let (name, version) = line.split_once(' ')?;
            let (version, release) = version.rsplit_once('-').unwrap_or((version, ""));
            Some(entry(&[("name", name), ("version", version), ("release", release), ("source", "pacman")]))
        }),
    }
}

fn entry(fields: &[(&str, &str)]) -> Map {
    fields.iter().map(|(key, value)| ((*key).into(), Value::from(*value))).collect()
}

fn rpm(look: &dyn Look) -> Result<Vec<Map>, Failure> {
    let format = "%{NAME}\\t%{VERSION}\\t%{RELEASE}\\t%{EPOCH}\\t%{ARCH}\\n";
    lines(look, &["rpm", "-qa", "--qf", format], |line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, version, release, epoch, arch] = fields.as_slice() else { return None };
        let mut one = entry(&[("name", name), ("version", version), ("release", release), ("arch", arch), ("source", "rpm")]);
        one.insert("epoch".into(), epoch.parse::<i64>().map_or(Value::Null, Value::from));
        Some(one)
    })
}

fn lines(look: &dyn Look, argv: &[&str], read: fn(&str) -> Option<Map>) -> Result<Vec<Map>, Failure> {
    let output = look.run(&Cmd::new(argv.iter().copied()).timeout(ASK))?;
    if !output.is_success() {
        return Err(Failure::of_command(format!("cannot list packages with {}", argv[0]), &output));
    }
    Ok(output.stdout_text().lines().filter_map(read).collect())
}
