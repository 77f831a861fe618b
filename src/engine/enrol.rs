//! `add_host` and `group_by`: the inventory of this run grows, and stays grown when its sources are read again.

use super::work::Work;
use super::{Run, locked};
use crate::actions::Effect;
use crate::inventory::{self, Around, Inventory};
use crate::value::Map;
use std::sync::PoisonError;

/// One step by which the inventory grew.
#[derive(Debug, Clone)]
pub(crate) enum Growth {
    Host { name: String, groups: Vec<String>, vars: Map },
    Group { group: String, parents: Vec<String>, host: String },
}

impl Work {
    /// Whether it was a change; nothing for what does not concern the inventory.
    pub(super) fn enrol(&self, effect: &Effect) -> Option<bool> {
        let growth = match effect {
            Effect::AddHost { name, groups, vars } => {
                Growth::Host { name: name.clone(), groups: groups.clone(), vars: vars.clone() }
            }
            Effect::GroupBy { group, parents } => {
                Growth::Group { group: group.clone(), parents: parents.clone(), host: self.host.clone() }
            }
            _ => return None,
        };
        Some(self.run.grow(growth))
    }
}

impl Run {
    fn grow(&self, growth: Growth) -> bool {
        let is_new = {
            let inventory = self.inventory.read().unwrap_or_else(PoisonError::into_inner);
            growth.is_news(&inventory)
        };
        if is_new {
            self.change_inventory(|inventory| growth.apply(inventory));
            locked(&self.grown).push(growth);
        }
        is_new
    }

    /// `meta: refresh_inventory`.
    pub(crate) fn refresh_inventory(&self) {
        let options = &self.options;
        let around = Around { merges: options.merge_hashes, extra_vars: options.extra.clone() };
        let fresh = inventory::load_with(&self.sources, &options.inventory_specs, &around).and_then(|mut inventory| {
            inventory.read_beside_playbook(&self.sources, &self.options.playbook_dir).map(|()| inventory)
        });
        match fresh {
            Ok(fresh) => self.change_inventory(|inventory| {
                *inventory = fresh;
                locked(&self.grown).iter().for_each(|growth| growth.apply(inventory));
            }),
            Err(found) => found.into_iter().for_each(|diagnostic| self.warn(diagnostic)),
        }
    }
}

impl Growth {
    fn is_news(&self, inventory: &Inventory) -> bool {
        match self {
            Growth::Host { name, groups, vars } => inventory.hosts.get(name).is_none_or(|host| {
                groups.iter().any(|group| !host.groups.contains(group))
                    || vars.iter().any(|(key, value)| host.vars.get(key) != Some(value))
            }),
            Growth::Group { group, parents, host } => inventory
                .groups
                .get(group)
                .is_none_or(|known| !known.hosts.contains(host) || parents.iter().any(|parent| !known.parents.contains(parent))),
        }
    }

    fn apply(&self, inventory: &mut Inventory) {
        match self {
            Growth::Host { name, groups, vars } => inventory.change_host(name, groups, vars.clone()),
            Growth::Group { group, parents, host } => inventory.change_group(group, parents, host),
        }
    }
}
