//! Ansible's precedence of variables as one ordered list of layers.
//!
//! Main type: [`View`]: the variables that one task sees on one host, strongest layer first. A name is looked up when a template uses
//! it; nothing is merged or copied. What is written into the run while it goes on (facts, registered results, `set_fact`) is in
//! [`Store`]. This room renders nothing: values keep their templates. Start reading at [`View`].

use crate::playbook::Context;
use crate::value::{Map, Value, merged};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Layers of one task on one host, the strongest first.
#[derive(Clone, Debug, Default)]
pub struct View {
    layers: Vec<Arc<Map>>,
    /// `hash_behaviour = merge`: of mappings in several layers all entries count.
    merges: bool,
}

/// What the run has learnt about its hosts so far, by host name.
#[derive(Debug, Default)]
pub struct Store {
    hosts: BTreeMap<String, HostStore>,
}

#[derive(Debug, Default, Clone)]
pub struct HostStore {
    /// `set_fact` and registered results: one level in Ansible's order, the later one wins.
    pub set: Arc<Map>,
    /// `include_vars`.
    pub included: Arc<Map>,
    /// What `setup` and other modules returned as `ansible_facts`, without the prefix.
    pub facts: Arc<Map>,
    /// The same under `ansible_` names.
    pub prefixed: Arc<Map>,
}

/// Everything that a view is made of besides the task's context and the store.
#[derive(Debug, Default, Clone)]
pub struct Ground {
    /// `-e`.
    pub extra: Arc<Map>,
    /// `vars_files` and `vars_prompt`, the stronger first.
    pub play_files: Vec<Arc<Map>>,
    /// Roles of the play: their defaults are seen by all tasks of the play, weakest of all.
    pub role_defaults: Vec<Arc<Map>>,
    /// Likewise their `vars`.
    pub role_vars: Vec<Arc<Map>>,
    /// `hash_behaviour = merge`.
    pub merges: bool,
}

impl Store {
    pub fn host(&self, name: &str) -> HostStore {
        self.hosts.get(name).cloned().unwrap_or_default()
    }

    pub fn set(&mut self, host: &str, name: &str, value: Value) {
        let map = &mut self.hosts.entry(host.to_owned()).or_default().set;
        Arc::make_mut(map).insert(name.into(), value);
    }

    pub fn include(&mut self, host: &str, values: Map) {
        let map = &mut self.hosts.entry(host.to_owned()).or_default().included;
        Arc::make_mut(map).extend(values);
    }

    /// Facts as modules return them: `ansible_distribution` is also `ansible_facts.distribution`.
    pub fn add_facts(&mut self, host: &str, facts: &Map) {
        let store = self.hosts.entry(host.to_owned()).or_default();
        let (plain, prefixed) = (Arc::make_mut(&mut store.facts), Arc::make_mut(&mut store.prefixed));
        for (key, value) in facts {
            let name = key.to_string();
            match name.strip_prefix("ansible_") {
                // `ansible_local` keeps its name in both.
                Some(short) if name != "ansible_local" => {
                    plain.insert(short.into(), value.clone());
                    prefixed.insert(key.clone(), value.clone());
                }
                Some(_) => {
                    plain.insert("local".into(), value.clone());
                    plain.insert(key.clone(), value.clone());
                    prefixed.insert(key.clone(), value.clone());
                }
                None => {
                    plain.insert(key.clone(), value.clone());
                    prefixed.insert(key.clone(), value.clone());
                }
            }
        }
    }

    pub fn clear_facts(&mut self, host: &str) {
        if let Some(store) = self.hosts.get_mut(host) {
            store.facts = Arc::default();
            store.prefixed = Arc::default();
        }
    }
}

impl View {
    /// `magic` cannot be overridden; `inventory` is what the inventory and `group_vars`/`host_vars` say, the strongest first.
    pub fn new(ground: &Ground, context: &Context, store: &HostStore, magic: Arc<Map>, inventory: &[Arc<Map>]) -> View {
        let written = Written::of(context);
        let mut layers = vec![magic, ground.extra.clone()];
        layers.extend(written.params);
        layers.push(store.set.clone());
        layers.push(store.included.clone());
        layers.extend(written.vars);
        layers.extend(written.role_vars);
        layers.extend(ground.role_vars.iter().cloned());
        layers.extend(ground.play_files.iter().cloned());
        layers.extend(written.play_vars);
        layers.push(Arc::new(Map::from_iter([("ansible_facts".into(), Value::Map(store.facts.clone()))])));
        layers.push(store.prefixed.clone());
        layers.extend(inventory.iter().cloned());
        layers.extend(written.role_defaults);
        layers.extend(ground.role_defaults.iter().cloned());
        layers.retain(|layer| !layer.is_empty());
        View { layers, merges: ground.merges }
    }

    /// The same with a stronger layer on top (loop variables).
    #[must_use]
    pub fn over(&self, top: Map) -> View {
        let mut layers = Vec::with_capacity(self.layers.len() + 1);
        layers.push(Arc::new(top));
        layers.extend(self.layers.iter().cloned());
        View { layers, merges: self.merges }
    }

    /// The raw value of a name; it may hold templates.
    pub fn get(&self, name: &str) -> Option<Value> {
        let mut found = self.layers.iter().filter_map(|layer| layer.get(name));
        let mut value = found.next()?.clone();
        if self.merges {
            for weaker in found {
                let (Value::Map(below), Value::Map(above)) = (weaker, &value) else { break };
                value = Value::map(merged(below, above));
            }
        }
        Some(value)
    }

    /// Every name, once.
    pub fn names(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        let names = self.layers.iter().rev().flat_map(|layer| layer.keys().map(ToString::to_string));
        names.filter(|name| seen.insert(name.clone())).collect()
    }

    /// All names with what counts for each.
    pub fn flat(&self) -> Map {
        let mut all = Map::new();
        for layer in self.layers.iter().rev() {
            for (key, value) in layer.iter() {
                let both = (all.get(key), value);
                let value = match both {
                    (Some(Value::Map(below)), Value::Map(above)) if self.merges => Value::map(merged(below, above)),
                    _ => value.clone(),
                };
                all.insert(key.clone(), value);
            }
        }
        all
    }
}

/// What a task's surroundings say, sorted by strength.
#[derive(Default)]
struct Written {
    params: Vec<Arc<Map>>,
    vars: Vec<Arc<Map>>,
    role_vars: Vec<Arc<Map>>,
    play_vars: Vec<Arc<Map>>,
    /// Those of a role, of the roles around it, and of those it depends on.
    role_defaults: Vec<Arc<Map>>,
}

impl Written {
    fn of(context: &Context) -> Written {
        let mut written = Written::default();
        let mut inner_defaults = Vec::new();
        for one in context.chain() {
            if !one.params.is_empty() {
                written.params.push(Arc::new(one.params.clone()));
            }
            if let Some(Value::Map(vars)) = one.keywords.get("vars").map(|written| &written.value) {
                let tier = if one.parent.is_some() { &mut written.vars } else { &mut written.play_vars };
                tier.push(vars.clone());
            }
            if let Some(role) = &one.role {
                let is_first = written.role_defaults.is_empty();
                written.role_vars.push(role.vars.clone());
                written.role_defaults.push(role.defaults.clone());
                for inner in role.all_dependencies().into_iter().filter(|_| is_first) {
                    written.role_vars.push(inner.vars.clone());
                    inner_defaults.push(inner.defaults.clone());
                }
            }
        }
        written.role_defaults.append(&mut inner_defaults);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Role;
    use crate::playbook::keyword::Keywords;

    fn map(pairs: &[(&str, &str)]) -> Map {
        pairs.iter().map(|(key, value)| ((*key).into(), Value::from(*value))).collect()
    }

    fn context(vars: &[(&str, &str)], role: Option<Role>, parent: Option<Arc<Context>>) -> Arc<Context> {
        let mut keywords = Keywords::new();
        keywords.insert("vars", Value::map(map(vars)).into());
        Arc::new(Context { keywords, role: role.map(Arc::new), params: Map::new(), role_use: None, parent })
    }

    #[test]
    fn every_layer_beats_the_ones_below_it() {
        let order = ["extra", "set", "task", "role", "play", "fact", "inventory", "default"];
        // Each layer sets its own name and those of all weaker ones.
        let layer = |from: usize| order[from..].iter().map(|name| (*name, order[from])).collect::<Vec<_>>();
        let role = Role {
            name: "r".into(),
            path: "r".into(),
            defaults: Arc::new(map(&layer(7))),
            vars: Arc::new(map(&layer(3))),
            dependencies: Vec::new(),
            collections: Vec::new(),
        };
        let play = context(&layer(4), None, None);
        let around = context(&[], None, Some(play));
        let in_role = Arc::new(Context { role: Some(Arc::new(role)), parent: Some(around), ..Context::default() });
        let task = context(&layer(2), None, Some(in_role));
        let mut store = Store::default();
        order[1..].iter().for_each(|name| store.set("web1", name, Value::from("set")));
        store.add_facts("web1", &map(&layer(5)));
        let ground = Ground { extra: Arc::new(map(&layer(0))), ..Ground::default() };
        let inventory = [Arc::new(map(&layer(6)))];
        let view = View::new(&ground, &task, &store.host("web1"), Arc::default(), &inventory);
        for name in order {
            assert_eq!(view.get(name), Some(Value::from("extra")));
        }
        let weaker = View::new(
            &Ground::default(),
            &task,
            &HostStore { set: Arc::default(), ..store.host("web1") },
            Arc::default(),
            &inventory,
        );
        for (index, name) in order.iter().enumerate().skip(2) {
            assert_eq!(weaker.get(name), Some(Value::from(order[2])), "{index}");
        }
    }

    #[test]
    fn facts_are_seen_under_both_names() {
        let mut store = Store::default();
        store.add_facts("web1", &map(&[("ansible_os_family", "Debian")]));
        let view = View::new(&Ground::default(), &Context::default(), &store.host("web1"), Arc::default(), &[]);
        assert_eq!(view.get("ansible_os_family"), Some(Value::from("Debian")));
        assert_eq!(view.get("ansible_facts").and_then(|facts| facts.get("os_family").cloned()), Some(Value::from("Debian")));
    }

    #[test]
    fn mappings_merge_only_where_that_is_wanted() {
        let of = |text: &str| Arc::new(Value::from_json(text).unwrap().as_map().cloned().unwrap());
        let layers = vec![of(r#"{"a": {"x": 1, "in": {"p": 1}}}"#), of(r#"{"a": {"y": 2, "in": {"q": 2}}}"#)];
        let json = |merges| View { layers: layers.clone(), merges }.get("a").unwrap().to_json();
        assert_eq!(json(false), r#"{"x":1,"in":{"p":1}}"#);
        assert_eq!(json(true), r#"{"y":2,"in":{"q":2,"p":1},"x":1}"#);
    }
}
