//! `setup`: facts about a host. What they are made of is in `facts`.

use super::facts::{FACTS, Group, Source};
use super::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly, glob};
use crate::value::Map;

pub(super) static MODULE: Module = Module {
    name: "setup",
    collection: "ansible.builtin",
    summary: "gather facts about a host",
    args: &[&[
        Arg::new(
            "gather_subset",
            Kind::List,
            "what to gather: `all`, `min`, `hardware`, `network`, `virtual`, a fact's name, or `!` and one of them",
        )
        .default("all"),
        Arg::new("gather_timeout", Kind::Int, "seconds for a single slow fact").default("10"),
        Arg::new("filter", Kind::List, "return only facts whose names match"),
        Arg::new("fact_path", Kind::Path, "directory of local facts").default("/etc/ansible/facts.d"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let subset = args.list("gather_subset");
    let mut facts = gather(look, &subset, args.str("fact_path").unwrap_or_default())?;
    facts.insert("gather_subset".into(), subset.into());
    facts.insert("module_setup".into(), true.into());
    let filters: Vec<String> = args.list("filter").into_iter().filter(|filter| !filter.is_empty()).collect();
    if !filters.is_empty() && !filters.iter().any(|filter| filter == "*") {
        facts.retain(|key, _| {
            let name = key.as_str().unwrap_or_default();
            let short = name.strip_prefix("ansible_").unwrap_or(name);
            filters.iter().any(|filter| glob::is_match(filter, name) || glob::is_match(filter, short))
        });
    }
    let mut plan = Plan::default();
    plan.set("ansible_facts", facts);
    Ok(plan)
}

/// All facts of a subset, each name with `ansible_` before it.
fn gather(look: &dyn Look, subset: &[String], fact_path: &str) -> Result<Map, Failure> {
    let wanted = Wanted::of(subset)?;
    let mut facts = Map::new();
    for source in FACTS.iter().filter(|source| wanted.has(source)) {
        let mut found = Map::new();
        (source.gather)(look, fact_path, &mut found);
        facts.extend(found.into_iter().map(|(key, value)| (format!("ansible_{key}").into(), value)));
    }
    Ok(facts)
}

/// A subset as its words say.
struct Wanted<'a> {
    yes: Vec<&'a str>,
    no: Vec<&'a str>,
}

impl Wanted<'_> {
    fn of(subset: &[String]) -> Result<Wanted<'_>, Failure> {
        let known = |name: &str| {
            ["all", "min", "hardware", "network", "virtual", "facter", "ohai"].contains(&name)
                || FACTS.iter().any(|source| source.is_called(name))
        };
        let mut wanted = Wanted { yes: Vec::new(), no: Vec::new() };
        for word in subset.iter().map(|word| word.trim()).filter(|word| !word.is_empty()) {
            let name = word.trim_start_matches('!');
            if !known(name) {
                return Err(Failure::new(format!(
                    "Bad subset '{name}' given to Ansible. gather_subset options allowed: all, hardware, min, network, virtual"
                )));
            }
            if word.starts_with('!') { wanted.no.push(name) } else { wanted.yes.push(name) }
        }
        Ok(wanted)
    }

    fn has(&self, source: &Source) -> bool {
        let named = |words: &[&str]| words.iter().any(|word| source.is_called(word) || source.group.name() == *word);
        let is_min = source.group == Group::Min;
        // The smallest set stays unless it is named itself.
        let is_refused = named(&self.no) || self.no.contains(&"all") && !is_min;
        let everything = self.yes.contains(&"all") || self.yes.is_empty();
        named(&self.yes) || is_min && !named(&self.no) || everything && !is_refused
    }
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Group::Min => "min",
            Group::Hardware => "hardware",
            Group::Network => "network",
            Group::Virtual => "virtual",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(subset: &[&str]) -> Vec<&'static str> {
        let subset: Vec<String> = subset.iter().map(|word| (*word).to_owned()).collect();
        let wanted = Wanted::of(&subset).unwrap();
        FACTS.iter().filter(|source| wanted.has(source)).map(|source| source.name).collect()
    }

    #[test]
    fn subsets_name_groups_and_facts() {
        assert_eq!(names(&["all"]).len(), FACTS.len());
        let min = names(&["min"]);
        assert!(min.contains(&"distribution") && !min.contains(&"mounts"));
        assert_eq!(names(&["!all"]), min);
        assert!(!names(&["!hardware"]).contains(&"mounts") && names(&["!hardware"]).contains(&"interfaces"));
        assert_eq!(names(&["!all", "!min", "network"]), ["interfaces", "iscsi"]);
        assert!(names(&["min", "mounts"]).contains(&"mounts"));
        assert!(Wanted::of(&["nonsense".to_owned()]).is_err());
    }
}
