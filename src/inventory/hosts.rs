//! The inventory itself: hosts and groups by name, in the order in which they were written.

use super::beside::Beside;
use crate::diag::Diagnostic;
use crate::value::{Map, Span, Value, merged};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// All hosts and groups of a run.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub hosts: IndexMap<String, Host>,
    /// `all` and `ungrouped` are always there.
    pub groups: IndexMap<String, Group>,
    /// What was worth saying while it was read.
    pub warnings: Vec<Diagnostic>,
    pub(super) directories: Vec<PathBuf>,
    pub(super) beside_inventory: Vec<Beside>,
    pub(super) beside_playbook: Option<Beside>,
    pub(super) localhosts: [Host; 3],
    /// `hash_behaviour = merge`: mappings of several sources become one.
    pub(super) merges: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Host {
    pub name: String,
    /// Those of the inventory source itself, `inventory_file` and `inventory_dir` among them.
    pub vars: Map,
    /// The groups that name it, without their parents.
    pub groups: IndexSet<String>,
    /// Where it was first written.
    pub span: Span,
}

#[derive(Clone, Debug, Default)]
pub struct Group {
    pub name: String,
    pub vars: Map,
    /// Those named in it, without those of its children.
    pub hosts: IndexSet<String>,
    pub children: IndexSet<String>,
    pub parents: IndexSet<String>,
    /// `ansible_group_priority`: of groups of one depth, the higher wins.
    pub priority: i64,
    /// The longest way down from `all`: the deeper wins.
    pub depth: usize,
}

impl Default for Inventory {
    fn default() -> Inventory {
        let mut inventory = Inventory {
            hosts: IndexMap::new(),
            groups: IndexMap::new(),
            warnings: Vec::new(),
            directories: Vec::new(),
            beside_inventory: Vec::new(),
            beside_playbook: None,
            localhosts: ["localhost", "127.0.0.1", "::1"].map(implicit_localhost),
            merges: false,
        };
        inventory.add_group("all");
        inventory.add_group("ungrouped");
        inventory.add_child("all", "ungrouped");
        inventory
    }
}

/// Ansible knows such a host without any inventory, but outside of all groups.
fn put(vars: &mut Map, name: &str, value: Value, merges: bool) {
    let value = match (vars.get(name), &value) {
        (Some(Value::Map(below)), Value::Map(above)) if merges => Value::map(merged(below, above)),
        _ => value,
    };
    vars.insert(name.into(), value);
}

fn implicit_localhost(name: &str) -> Host {
    let python = crate::value::Template { text: "{{ ansible_playbook_python }}".to_owned(), span: crate::value::Span::NOWHERE };
    let vars = [
        ("ansible_connection".into(), Value::from("local")),
        ("ansible_python_interpreter".into(), Value::Template(std::sync::Arc::new(python))),
    ];
    Host { name: name.to_owned(), vars: Map::from_iter(vars), ..Host::default() }
}

impl Inventory {
    /// A host by its name; `localhost` exists even where no inventory names it.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name).or_else(|| self.localhosts.iter().find(|host| host.name == name))
    }

    /// The hosts of a group and of its children, in Ansible's order; none if there is no such group.
    pub fn hosts_of(&self, group: &str) -> Vec<&str> {
        let mut hosts: IndexSet<&str> = IndexSet::new();
        for name in self.with_children(group) {
            let Some(group) = self.groups.get(name) else { continue };
            hosts.extend(group.hosts.iter().map(String::as_str));
        }
        hosts.into_iter().collect()
    }

    /// The groups of a host with all their parents except `all`, weakest first: by depth, priority and name.
    pub fn groups_of(&self, host: &str) -> Vec<&Group> {
        let direct = self.host(host).map(|host| &host.groups).into_iter().flatten();
        let mut names: IndexSet<&str> = direct.map(String::as_str).collect();
        let mut next = 0;
        while let Some(name) = names.get_index(next).copied() {
            names.extend(self.groups.get(name).into_iter().flat_map(|group| &group.parents).map(String::as_str));
            next += 1;
        }
        let mut groups: Vec<&Group> =
            names.iter().filter(|name| **name != "all").filter_map(|name| self.groups.get(*name)).collect();
        groups.sort_by(|one, other| (one.depth, one.priority, &one.name).cmp(&(other.depth, other.priority, &other.name)));
        groups
    }

    /// Adds a host while a play runs (`add_host`), with its groups and variables; changes it if it is there already.
    pub fn change_host(&mut self, name: &str, groups: &[String], vars: Map) {
        if !self.hosts.contains_key(name) {
            // As in Ansible: such a host belongs to `all` itself, which puts it before those of the groups.
            self.add_host(name, None, Span::NOWHERE);
            self.put_host("all", name);
        }
        for group in groups {
            self.add_group(group);
            self.put_host(group, name);
        }
        for (key, value) in vars {
            if let Some(host) = self.hosts.get_mut(name) {
                host.vars.insert(key, value);
            }
        }
        self.finish();
    }

    /// Puts a host into a group while a play runs (`group_by`).
    pub fn change_group(&mut self, group: &str, parents: &[String], host: &str) {
        self.add_group(group);
        for parent in parents {
            self.add_group(parent);
            self.add_child(parent, group);
        }
        self.put_host(group, host);
        self.finish();
    }

    pub(super) fn add_group(&mut self, name: &str) {
        if !self.groups.contains_key(name) {
            self.groups.insert(name.to_owned(), Group { name: name.to_owned(), ..Group::default() });
        }
    }

    pub(super) fn add_host(&mut self, name: &str, file: Option<&Path>, span: Span) {
        if self.hosts.contains_key(name) {
            return;
        }
        let mut host = Host { name: name.to_owned(), span, ..Host::default() };
        let text = |path: &Path| Value::from(path.to_string_lossy().into_owned());
        let folder = file.map(|file| file.parent().unwrap_or(file));
        host.vars.insert("inventory_file".into(), file.map(text).unwrap_or_default());
        host.vars.insert("inventory_dir".into(), folder.map(text).unwrap_or_default());
        self.hosts.insert(name.to_owned(), host);
    }

    /// Both must exist.
    pub(super) fn put_host(&mut self, group: &str, host: &str) {
        let (Some(group), Some(host)) = (self.groups.get_mut(group), self.hosts.get_mut(host)) else { return };
        group.hosts.insert(host.name.clone());
        host.groups.insert(group.name.clone());
    }

    /// False if the child is the parent or above it already.
    pub(super) fn add_child(&mut self, parent: &str, child: &str) -> bool {
        if self.with_children(child).contains(&parent) {
            return false;
        }
        if let Some(parent) = self.groups.get_mut(parent) {
            parent.children.insert(child.to_owned());
        }
        if let Some(child) = self.groups.get_mut(child) {
            child.parents.insert(parent.to_owned());
        }
        true
    }

    pub(super) fn set_host_var(&mut self, host: &str, name: &str, value: Value) {
        let merges = self.merges;
        if let Some(host) = self.hosts.get_mut(host) {
            put(&mut host.vars, name, value, merges);
        }
    }

    pub(super) fn set_group_var(&mut self, group: &str, name: &str, value: Value) {
        let Some(group) = self.groups.get_mut(group) else { return };
        if name == "ansible_group_priority" {
            group.priority = value.to_int().unwrap_or(group.priority);
        } else {
            put(&mut group.vars, name, value, self.merges);
        }
    }

    /// Where `group_vars` and `host_vars` are looked for: in a directory that was given, else beside the file.
    pub(super) fn add_source_directory(&mut self, spec: &str) {
        let path = Path::new(spec);
        let folder = if path.is_dir() {
            path.to_owned()
        } else if path.is_file() {
            let parent = path.parent().unwrap_or(path);
            if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }
        } else {
            return;
        };
        if !self.directories.contains(&folder) {
            self.directories.push(folder);
        }
    }

    /// Ansible's basic order: every group is below `all`, and a host without a group is in `ungrouped`.
    pub(super) fn finish(&mut self) {
        let orphans: Vec<String> = self
            .groups
            .values()
            .filter(|group| group.name != "all" && group.parents.is_empty())
            .map(|group| group.name.clone())
            .collect();
        for name in orphans {
            self.add_child("all", &name);
        }
        let names: Vec<String> = self.hosts.keys().cloned().collect();
        for name in names {
            let Some(host) = self.hosts.get_mut(&name) else { continue };
            let is_grouped = host.groups.iter().any(|group| group != "all" && group != "ungrouped");
            if !is_grouped {
                self.put_host("ungrouped", &name);
            } else if host.groups.shift_remove("ungrouped")
                && let Some(ungrouped) = self.groups.get_mut("ungrouped")
            {
                ungrouped.hosts.shift_remove(&name);
            }
        }
        self.measure_depths();
    }

    /// A group and everything below it, level by level.
    fn with_children<'a>(&'a self, group: &'a str) -> Vec<&'a str> {
        let mut seen: HashSet<&str> = HashSet::from([group]);
        let mut found = vec![group];
        let mut next = 0;
        while let Some(name) = found.get(next).copied() {
            let children = self.groups.get(name).into_iter().flat_map(|group| &group.children);
            found.extend(children.map(String::as_str).filter(|child| seen.insert(child)));
            next += 1;
        }
        found
    }

    /// Every group is visited after all its parents.
    fn measure_depths(&mut self) {
        let mut waiting: IndexMap<String, usize> =
            self.groups.values().map(|group| (group.name.clone(), group.parents.len())).collect();
        let mut ready: Vec<String> = waiting.iter().filter(|(_, parents)| **parents == 0).map(|(name, _)| name.clone()).collect();
        self.groups.values_mut().for_each(|group| group.depth = 0);
        while let Some(name) = ready.pop() {
            let Some(group) = self.groups.get(&name) else { continue };
            let (depth, children) = (group.depth + 1, group.children.clone());
            for child in children {
                if let Some(group) = self.groups.get_mut(&child) {
                    group.depth = group.depth.max(depth);
                }
                if let Some(parents) = waiting.get_mut(&child) {
                    *parents = parents.saturating_sub(1);
                    if *parents == 0 {
                        ready.push(child);
                    }
                }
            }
        }
    }
}
