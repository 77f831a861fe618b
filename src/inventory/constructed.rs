//! `plugin: constructed`: variables and groups made of what the hosts before it have.

use super::problem::Problem;
use super::{Given, Inventory, Loading};
use crate::template::{self, Scope, World};
use crate::value::{Map, Value};
use crate::yaml::Node;
use std::path::PathBuf;

const PLUGINS: [&str; 2] = ["constructed", "ansible.builtin.constructed"];

pub(super) const OPTIONS: [&str; 10] = [
    "plugin",
    "compose",
    "groups",
    "keyed_groups",
    "strict",
    "use_vars_plugins",
    "leading_separator",
    "use_extra_vars",
    "cache",
    "keyed_groups_separator",
];

/// What the file says.
struct Construction<'a> {
    document: &'a Node,
    is_strict: bool,
    leads: bool,
}

/// A group that a host gets, and the group it belongs to.
struct Made {
    group: String,
    parent: Option<String>,
}

pub(super) fn is_for(given: &Given) -> bool {
    given.plugin().is_some_and(|name| PLUGINS.contains(&name))
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    let Some(document) = loading.document(given) else { return };
    construct_all(loading, given, &document);
}

fn construct_all(loading: &mut Loading<'_>, given: &Given, document: &Node) {
    for (key, _) in document.as_map().unwrap_or_default() {
        if let Some(name) = key.as_str().filter(|name| !OPTIONS.contains(name)) {
            let near = crate::diag::closest(name, OPTIONS).map(str::to_owned);
            loading.report(&Problem::UnknownOption { span: key.span, plugin: "constructed", name: name.to_owned(), near });
        }
    }
    let construction = Construction::of(document);
    let with_extra = says(document, "use_extra_vars", false);
    loading.inventory.finish();
    let beside = says(document, "use_vars_plugins", false).then(|| with_files(loading));
    let hosts: Vec<String> = loading.inventory.hosts.keys().cloned().collect();
    for host in hosts {
        let mut vars = known(beside.as_ref().unwrap_or(&loading.inventory), &host);
        if with_extra {
            vars.extend(loading.extra.clone());
        }
        if let Err(why) = construct(loading, &construction, &host, &mut vars) {
            return loading.report(&Problem::NotConstructed { file: given.name.clone(), host, why });
        }
    }
    loading.inventory.finish();
}

fn says(document: &Node, name: &str, default: bool) -> bool {
    document.get(name).and_then(|node| node.to_value().to_bool()).unwrap_or(default)
}

/// Variables and groups for one host that another plugin has found, made of what it knows of it.
pub(super) fn construct_with(loading: &mut Loading<'_>, document: &Node, host: &str, mut vars: Map) -> Result<(), String> {
    vars.insert("inventory_hostname".into(), host.into());
    if says(document, "use_extra_vars", false) {
        vars.extend(loading.extra.clone());
    }
    construct(loading, &Construction::of(document), host, &mut vars)
}

/// An option's value with its templates rendered; one that cannot be stays as it is written.
pub(super) fn plain(value: &Value) -> Value {
    match value {
        Value::Template(template) => {
            let none = Map::new();
            template::evaluate(template, &Known { vars: &none }, &Nothing).unwrap_or_else(|_| Value::from(template.text.as_str()))
        }
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => Value::map(entries.iter().map(|(key, value)| (key.clone(), plain(value))).collect()),
        other => other.clone(),
    }
}

/// A text with filters applied to it, such as `replace('a', 'b')`.
pub(super) fn filtered(text: &str, filters: &str) -> Option<String> {
    let vars = Map::from_iter([("_value".into(), Value::from(text))]);
    let expression = format!("_value | {filters}");
    let value = template::expression(&expression, crate::value::Span::NOWHERE, &Known { vars: &vars }, &Nothing).ok()?;
    Some(value.to_text().as_str().to_owned())
}

/// The inventory so far with the variables beside it.
fn with_files(loading: &Loading<'_>) -> Inventory {
    let mut inventory = loading.inventory.clone();
    // What is wrong in these files is said when they are read for good.
    let _ = inventory.read_beside_so_far(loading.sources);
    inventory
}

/// The variables of a host so far, of its groups and its own.
fn known(inventory: &Inventory, host: &str) -> Map {
    let mut all = Map::new();
    for layer in inventory.vars_of(host) {
        all.extend(layer.vars.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    all.insert("inventory_hostname".into(), host.into());
    all
}

fn construct(loading: &mut Loading<'_>, construction: &Construction<'_>, host: &str, vars: &mut Map) -> Result<(), String> {
    for (name, expression) in construction.entries("compose") {
        if let Some(value) = construction.value(&expression, vars)? {
            loading.inventory.set_host_var(host, &name, value.clone());
            vars.insert(name.as_str().into(), value);
        }
    }
    for (name, expression) in construction.entries("groups") {
        if construction.holds(&expression, vars)? {
            put(loading, host, &Made { group: safe(&name), parent: None });
        }
    }
    let keyed = construction.document.get("keyed_groups").map(Node::to_value).unwrap_or_default();
    for entry in keyed.as_list().unwrap_or_default() {
        for made in construction.keyed(entry, vars)? {
            put(loading, host, &made);
        }
    }
    Ok(())
}

fn put(loading: &mut Loading<'_>, host: &str, made: &Made) {
    loading.inventory.add_group(&made.group);
    loading.inventory.put_host(&made.group, host);
    if let Some(parent) = &made.parent {
        loading.inventory.add_group(parent);
        loading.inventory.add_child(parent, &made.group);
    }
}

impl<'d> Construction<'d> {
    fn of(document: &'d Node) -> Construction<'d> {
        Construction { document, is_strict: says(document, "strict", false), leads: says(document, "leading_separator", true) }
    }

    /// Names with expressions.
    fn entries(&self, name: &str) -> Vec<(String, Value)> {
        let map = self.document.get(name).map(Node::to_value).unwrap_or_default();
        map.as_map().into_iter().flatten().map(|(key, value)| (key.to_string(), value.clone())).collect()
    }

    /// None where the expression cannot be evaluated for this host, unless that matters.
    fn value(&self, expression: &Value, vars: &Map) -> Result<Option<Value>, String> {
        let known = Known { vars };
        let result = match expression {
            Value::Template(template) => template::evaluate(template, &known, &Nothing),
            other => template::expression(&other.to_text(), crate::value::Span::NOWHERE, &known, &Nothing),
        };
        match result {
            Ok(value) => Ok(Some(value)),
            Err(_) if !self.is_strict => Ok(None),
            Err(error) => Err(crate::diag::Explain::explain(&error).title),
        }
    }

    fn holds(&self, expression: &Value, vars: &Map) -> Result<bool, String> {
        let known = Known { vars };
        match template::condition(&expression.to_text(), crate::value::Span::NOWHERE, &known, &Nothing) {
            Ok(holds) => Ok(holds),
            Err(_) if !self.is_strict => Ok(false),
            Err(error) => Err(crate::diag::Explain::explain(&error).title),
        }
    }

    /// The groups of one entry: of a text one, of a list one for each item, of a mapping one for each pair.
    fn keyed(&self, entry: &Value, vars: &Map) -> Result<Vec<Made>, String> {
        let text = |name: &str| entry.get(name).filter(|value| !value.is_null()).map(|value| value.to_text().to_string());
        let Some(key) = entry.get("key") else { return Err("an entry of `keyed_groups` has no `key`".to_owned()) };
        let default = text("default_value");
        let may_trail = entry.get("trailing_separator").and_then(Value::to_bool);
        if default.is_some() && may_trail.is_some() {
            return Err("`default_value` and `trailing_separator` are mutually exclusive".to_owned());
        }
        let Some(value) = self.value(key, vars)? else { return Ok(Vec::new()) };
        let separator = text("separator").unwrap_or_else(|| "_".to_owned());
        let or_default = |name: &str| if name.is_empty() { default.clone().unwrap_or_default() } else { name.to_owned() };
        let names: Vec<String> = match &value {
            Value::String(name) => vec![or_default(name)],
            Value::List(items) => items.iter().map(|item| or_default(&item.to_text())).collect(),
            Value::Map(map) => {
                map.iter().map(|(name, value)| pair(&name.to_string(), value, &separator, &default, may_trail)).collect()
            }
            Value::Null => Vec::new(),
            other if self.is_strict => return Err(format!("a key gives a {}, not a name", other.kind())),
            _ => Vec::new(),
        };
        let prefix = text("prefix").unwrap_or_default();
        let prefix = self.rendered(&prefix, vars);
        let parent = text("parent_group").map(|parent| safe(&self.rendered(&parent, vars)));
        let lead = if prefix.is_empty() && !self.leads { String::new() } else { separator };
        let made = |name: &String| Made { group: safe(&format!("{prefix}{lead}{name}")), parent: parent.clone() };
        Ok(names.iter().filter(|name| !name.is_empty()).map(made).collect())
    }

    /// A name that may hold a template.
    fn rendered(&self, text: &str, vars: &Map) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        let template = template_of(text);
        template::evaluate(&template, &Known { vars }, &Nothing)
            .map_or_else(|_| text.to_owned(), |value| value.to_text().to_string())
    }
}

fn template_of(text: &str) -> crate::value::Template {
    crate::value::Template { text: text.to_owned(), span: crate::value::Span::NOWHERE }
}

fn pair(name: &str, value: &Value, separator: &str, default: &Option<String>, may_trail: Option<bool>) -> String {
    let value = value.to_text();
    match (value.is_empty(), default) {
        (true, Some(default)) => format!("{name}{separator}{default}"),
        (true, None) if may_trail == Some(false) => name.to_owned(),
        _ => format!("{name}{separator}{value}"),
    }
}

/// Group names are names of variables too.
pub(super) fn safe(name: &str) -> String {
    let is_right = |(at, letter): (usize, char)| letter.is_alphanumeric() && !(at == 0 && letter.is_numeric()) || letter == '_';
    name.chars().enumerate().map(|(at, letter)| if is_right((at, letter)) { letter } else { '_' }).collect()
}

struct Known<'a> {
    vars: &'a Map,
}

impl Scope for Known<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        self.vars.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.vars.keys().map(ToString::to_string).collect()
    }
}

/// An inventory is read before there are hosts, files of a play, or anything to run.
struct Nothing;

impl World for Nothing {
    fn search_paths(&self, _folder: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn hosts(&self, _pattern: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn run(&self, _command: &str) -> Result<Vec<u8>, String> {
        Err("an inventory runs nothing".to_owned())
    }
}
