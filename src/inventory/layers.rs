//! The variables of a host, layer by layer, weakest first.

use super::beside::Beside;
use super::hosts::Inventory;
use crate::value::Map;

/// Variables that one place gives to a host.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    pub level: Level,
    /// The group or host that has them.
    pub of: &'a str,
    pub vars: &'a Map,
}

/// What kind of place, weakest first: Ansible's order of precedence. Values of later layers replace those of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    AllInInventory,
    GroupInInventory,
    AllBesideInventory,
    AllBesidePlaybook,
    GroupBesideInventory,
    GroupBesidePlaybook,
    HostInInventory,
    HostBesideInventory,
    HostBesidePlaybook,
}

impl Inventory {
    /// All layers of a host, those beside the playbook included once they were read. Empty ones are left out.
    pub fn vars_of<'a>(&'a self, host: &'a str) -> Vec<Layer<'a>> {
        let groups: Vec<&str> = self.groups_of(host).into_iter().map(|group| group.name.as_str()).collect();
        let in_inventory = |name: &str| self.groups.get(name).map(|group| &group.vars);
        let mut layers = Stack::default();
        layers.add(Level::AllInInventory, "all", in_inventory("all"));
        groups.iter().for_each(|group| layers.add(Level::GroupInInventory, group, in_inventory(group)));
        layers.add_groups(Level::AllBesideInventory, &self.beside_inventory, &["all"]);
        layers.add_groups(Level::AllBesidePlaybook, self.beside_playbook.as_slice(), &["all"]);
        layers.add_groups(Level::GroupBesideInventory, &self.beside_inventory, &groups);
        layers.add_groups(Level::GroupBesidePlaybook, self.beside_playbook.as_slice(), &groups);
        layers.add(Level::HostInInventory, host, self.host(host).map(|host| &host.vars));
        layers.add_hosts(Level::HostBesideInventory, &self.beside_inventory, host);
        layers.add_hosts(Level::HostBesidePlaybook, self.beside_playbook.as_slice(), host);
        layers.0
    }

    /// What a group itself has, in the inventory and beside it and the playbook.
    pub fn vars_of_group<'a>(&'a self, name: &'a str) -> Vec<Layer<'a>> {
        let mut layers = Stack::default();
        layers.add(Level::GroupInInventory, name, self.groups.get(name).map(|group| &group.vars));
        layers.add_groups(Level::GroupBesideInventory, &self.beside_inventory, &[name]);
        layers.add_groups(Level::GroupBesidePlaybook, self.beside_playbook.as_slice(), &[name]);
        layers.0
    }
}

#[derive(Default)]
struct Stack<'a>(Vec<Layer<'a>>);

impl<'a> Stack<'a> {
    fn add(&mut self, level: Level, of: &'a str, vars: Option<&'a Map>) {
        self.0.extend(vars.filter(|vars| !vars.is_empty()).map(|vars| Layer { level, of, vars }));
    }

    fn add_groups(&mut self, level: Level, places: &'a [Beside], groups: &[&'a str]) {
        for place in places {
            groups.iter().for_each(|group| self.add(level, group, place.groups.get(*group)));
        }
    }

    fn add_hosts(&mut self, level: Level, places: &'a [Beside], host: &'a str) {
        places.iter().for_each(|place| self.add(level, host, place.hosts.get(host)));
    }
}
