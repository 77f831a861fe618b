//! Magic variables: what a run knows about itself, its play and its hosts.

use super::{Run, plays::PlayRun};
use crate::playbook::{LANGUAGE, Role, Task};
use crate::value::{Map, Value};
use std::sync::{OnceLock, PoisonError};

/// Magic variables of one task on one host. `hostvars` and `vars` are made when they are used (see `frame`).
pub(crate) fn magic(run: &Run, play: &PlayRun, host: &str, task: Option<&Task>) -> Map {
    let mut map = Map::new();
    let mut set = |name: &str, value: Value| drop(map.insert(name.into(), value));
    set("inventory_hostname", host.into());
    set("inventory_hostname_short", host.split('.').next().unwrap_or(host).into());
    set("group_names", group_names(run, host));
    set("groups", groups(run));
    let names = |hosts: &[String]| -> Value { hosts.iter().map(Value::from).collect() };
    let alive = play.alive();
    set("ansible_play_hosts_all", names(&play.hosts));
    set("ansible_play_hosts", names(&alive));
    let batch: Value = play.batch().iter().filter(|host| alive.contains(host)).map(Value::from).collect();
    set("ansible_play_batch", batch.clone());
    // Its old name.
    set("play_hosts", batch);
    let (own, dependent) = role_names(play);
    set("role_names", own.iter().copied().map(Value::from).collect());
    set("ansible_play_role_names", own.iter().copied().map(Value::from).collect());
    let others = dependent.iter().filter(|name| !own.contains(name));
    let every = own.iter().chain(others).copied().collect::<indexmap::IndexSet<&str>>();
    set("ansible_role_names", every.into_iter().map(Value::from).collect());
    set("ansible_dependent_role_names", dependent.into_iter().map(Value::from).collect());
    set("ansible_play_name", play.name.as_str().into());
    set("playbook_dir", path(&play.play.dir));
    set("ansible_check_mode", run.options.check.into());
    set("ansible_diff_mode", run.options.diff.into());
    set("ansible_verbosity", i64::from(run.options.verbosity).into());
    set("ansible_forks", run.options.forks.into());
    set("ansible_version", version());
    set("ansible_config_file", run.options.config_file.as_deref().map(path).into());
    set("ansible_inventory_sources", sources(&run.options.inventory_specs));
    set("ansible_playbook_python", python().into());
    let tags = |tags: &[String], default: &[&str]| -> Value {
        if tags.is_empty() { default.iter().map(|tag| Value::from(*tag)).collect() } else { tags.to_vec().into() }
    };
    set("ansible_run_tags", tags(&run.options.selection.only, &["all"]));
    set("ansible_skip_tags", tags(&run.options.selection.skip, &[]));
    if let Some(limit) = &run.options.limit {
        set("ansible_limit", limit.into());
    }
    if let Some(port) = super::locked(&run.ports).get(host) {
        set("rollout_port", i64::from(*port).into());
    }
    if let Some(role) = task.and_then(|task| task.context.role()) {
        set("role_name", role.name.rsplit('.').next().unwrap_or_default().into());
        set("ansible_role_name", role.name.as_str().into());
        set("role_path", path(&role.path));
        set("ansible_collection_name", role.collection().into());
    }
    // Roles whose tasks include or import the role of this task, the nearest first.
    let around: Vec<&Role> =
        task.into_iter().flat_map(|task| task.context.chain().filter_map(|one| one.role.as_deref()).skip(1)).collect();
    if !around.is_empty() {
        set("ansible_parent_role_names", around.iter().map(|role| Value::from(&role.name)).collect());
        set("ansible_parent_role_paths", around.iter().map(|role| path(&role.path)).collect());
    }
    map
}

/// Roles that the play names itself (as often as it does) or imports, and those that its own ask for.
fn role_names(play: &PlayRun) -> (Vec<&str>, Vec<&str>) {
    let (mut own, mut dependent): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for used in play.play.roles.iter().filter(|used| !used.is_dependency) {
        own.push(&used.role.name);
        used.role.all_dependencies().into_iter().for_each(|needed| keep(&mut dependent, &needed.name));
    }
    play.play.imported.iter().for_each(|role| keep(&mut own, &role.name));
    (own, dependent)
}

fn keep<'n>(names: &mut Vec<&'n str>, name: &'n str) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// Inventories as `-i` names them, files by their whole paths. Where there is none it is Ansible's place, as there.
fn sources(specs: &[String]) -> Value {
    let specs = if specs.is_empty() { vec!["/etc/ansible/hosts"] } else { specs.iter().map(String::as_str).collect() };
    let source = |spec: &str| if spec.contains(',') { spec.into() } else { path(std::path::Path::new(spec)) };
    specs.into_iter().map(source).collect()
}

fn path(path: &std::path::Path) -> Value {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `a/./b` is how a relative playbook path comes out.
    whole.components().collect::<std::path::PathBuf>().to_string_lossy().into_owned().into()
}

/// The Python of this machine, for playbooks that run scripts with it; nothing here needs one.
fn python() -> &'static str {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let places = std::env::var_os("PATH")?;
        let found = std::env::split_paths(&places).map(|place| place.join("python3")).find(|path| path.is_file())?;
        Some(found.to_string_lossy().into_owned())
    };
    FOUND.get_or_init(find).as_deref().unwrap_or("/usr/bin/python3")
}

/// The version of the language that is spoken, for playbooks that ask.
fn version() -> Value {
    let fields = [
        ("full", LANGUAGE.into()),
        ("major", 2.into()),
        ("minor", 19.into()),
        ("revision", 4.into()),
        ("string", LANGUAGE.into()),
    ];
    fields.into_iter().collect()
}

/// Every group with its hosts. Made once, until the inventory changes.
pub(crate) fn groups(run: &Run) -> Value {
    let mut known = super::locked(&run.groups);
    if let Some(groups) = known.as_ref() {
        return groups.clone();
    }
    let inventory = run.inventory.read().unwrap_or_else(PoisonError::into_inner);
    let hosts = |group: &str| inventory.hosts_of(group).into_iter().map(Value::from).collect::<Value>();
    let groups: Value = inventory.groups.keys().map(|name| (name.as_str(), hosts(name))).collect();
    *known = Some(groups.clone());
    groups
}

fn group_names(run: &Run, host: &str) -> Value {
    let inventory = run.inventory.read().unwrap_or_else(PoisonError::into_inner);
    let mut names: Vec<&str> = inventory.groups_of(host).into_iter().map(|group| group.name.as_str()).collect();
    names.sort_unstable();
    names.into_iter().map(Value::from).collect()
}
