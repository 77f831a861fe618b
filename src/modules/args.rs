//! Argument rows, and arguments checked against them.

use super::{Failure, Look, Module, expand};
use crate::value::{Map, Text, Value};

/// One argument of a module, as data: the playbook check, `roll doc` and completion read the same row.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    pub required: bool,
    /// As it would be written in YAML.
    pub default: Option<&'static str>,
    /// For a list, what each of its items may be.
    pub choices: &'static [&'static str],
    pub help: &'static str,
    /// Its value is never shown.
    pub secret: bool,
    /// Set by the control side, never by a playbook.
    pub hidden: bool,
    /// Null is a value of its own; for the others it is the same as leaving it out.
    pub null: bool,
    /// Taken, for playbooks that give it, and of no effect: `help` says what is done in any case.
    pub inert: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; other scalars are taken as Python would print them.
    Str,
    /// Text with `~` and `$VAR` expanded on the host.
    Path,
    Bool,
    Int,
    Float,
    /// A list of text; a single text is split at commas.
    List,
    /// A list whose items are left alone.
    RawList,
    Dict,
    /// Left as it is.
    Raw,
}

/// What must hold between arguments.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    OneOf(&'static [&'static str]),
    Exclusive(&'static [&'static str]),
    Together(&'static [&'static str]),
    /// When the first has this value, all of these are required.
    If(&'static str, &'static str, &'static [&'static str]),
}

/// What is wrong with a task's arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    Unknown { name: String },
    Missing { name: &'static str },
    Mistyped { name: String, kind: Kind, found: Value },
    NotAChoice { name: String, choices: &'static [&'static str], found: Value },
    NoneOf { names: &'static [&'static str] },
    Exclusive { names: Vec<&'static str> },
    Together { given: &'static str, missing: &'static str },
    RequiredBy { name: &'static str, because: &'static str, value: &'static str },
}

/// Arguments that passed the check: canonical names, defaults filled in, kinds as declared.
#[derive(Clone, Debug, Default)]
pub struct Args {
    map: Map,
}

impl Arg {
    /// The name of a row that lets any argument pass (`set_fact`).
    pub const ANY: &'static str = "*";

    pub const fn new(name: &'static str, kind: Kind, help: &'static str) -> Arg {
        // The host program explains nothing; there the texts would only be sent along.
        let help = if cfg!(feature = "control") { help } else { "" };
        Arg {
            name,
            aliases: &[],
            kind,
            required: false,
            default: None,
            choices: &[],
            help,
            secret: false,
            hidden: false,
            null: false,
            inert: false,
        }
    }

    #[must_use]
    pub const fn inert(self) -> Arg {
        Arg { inert: true, ..self }
    }

    #[must_use]
    pub const fn required(self) -> Arg {
        Arg { required: true, ..self }
    }

    #[must_use]
    pub const fn aliases(self, aliases: &'static [&'static str]) -> Arg {
        Arg { aliases, ..self }
    }

    #[must_use]
    pub const fn default(self, default: &'static str) -> Arg {
        Arg { default: Some(default), ..self }
    }

    #[must_use]
    pub const fn choices(self, choices: &'static [&'static str]) -> Arg {
        Arg { choices, ..self }
    }

    #[must_use]
    pub const fn secret(self) -> Arg {
        Arg { secret: true, ..self }
    }

    #[must_use]
    pub const fn hidden(self) -> Arg {
        Arg { hidden: true, ..self }
    }

    #[must_use]
    pub const fn keeps_null(self) -> Arg {
        Arg { null: true, ..self }
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl Kind {
    /// As Ansible names it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Str => "string",
            Kind::Path => "path",
            Kind::Bool => "boolean",
            Kind::Int => "integer",
            Kind::Float => "float",
            Kind::List | Kind::RawList => "list",
            Kind::Dict => "dictionary",
            Kind::Raw => "any value",
        }
    }

    /// The value as this kind, or `None` where it cannot be read as one.
    pub fn read(self, value: &Value) -> Option<Value> {
        match self {
            Kind::Raw => Some(value.clone()),
            Kind::Str | Kind::Path => Some(Value::String(value.to_text())),
            Kind::Bool => value.to_bool().map(Value::Bool),
            Kind::Int => whole(value).map(Value::Int),
            Kind::Float => number(value).map(Value::Float),
            Kind::List => list_of(value).map(|items| items.iter().map(|item| Value::String(item.to_text())).collect()),
            Kind::RawList => list_of(value).map(Value::list),
            Kind::Dict => dict_of(value),
        }
    }
}

/// A whole number, also as Python's decimals are written: `1.0`, `1e3`, `1_000`.
fn whole(value: &Value) -> Option<i64> {
    let of_text = |text: &str| Value::Float(digits(text).parse().ok()?).to_int();
    value.to_int().or_else(|| value.as_str().and_then(of_text))
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(truth) => Some((*truth).into()),
        Value::String(text) => digits(text).parse().ok(),
        other => other.to_float(),
    }
}

/// Without the underscores that may stand between digits.
fn digits(text: &str) -> String {
    let text = text.trim();
    let is_digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let is_kept = |(at, letter): &(usize, char)| *letter != '_' || !is_digit(at.checked_sub(1)) || !is_digit(Some(at + 1));
    text.char_indices().filter(is_kept).map(|(_, letter)| letter).collect()
}

fn list_of(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::List(items) => Some(items.to_vec()),
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        Value::String(text) => Some(text.split(',').map(|part| Value::from(part.trim())).collect()),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Some(vec![value.clone()]),
        Value::Null | Value::Map(_) | Value::Template(_) => None,
    }
}

/// Ansible also takes JSON text and `k=v, k=v` for a dictionary.
fn dict_of(value: &Value) -> Option<Value> {
    match value {
        Value::Map(_) => Some(value.clone()),
        Value::String(text) if text.trim_start().starts_with('{') => {
            Value::from_json(text).ok().filter(|parsed| parsed.as_map().is_some())
        }
        Value::String(text) => text
            .split([',', ' '])
            .filter(|part| !part.trim().is_empty())
            .map(|part| part.split_once('=').map(|(key, value)| (key.trim().to_owned(), Value::from(value.trim()))))
            .collect(),
        _ => None,
    }
}

impl Args {
    /// Checks what a task gives against a module's rows. Values that still hold templates are not judged, so the same check serves
    /// the playbook before the run and the host during it.
    pub fn check(module: &Module, given: &Map) -> Result<Args, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut map = Map::new();
        for (key, value) in given {
            let name = key.to_string();
            match module.args().find(|arg| arg.is_called(&name)) {
                None if module.arg(Arg::ANY).is_some() => drop(map.insert(key.clone(), value.clone())),
                None => problems.push(Problem::Unknown { name }),
                Some(arg) if value.is_null() => {
                    if arg.null {
                        map.insert(arg.name.into(), Value::Null);
                    }
                }
                Some(_) if value.has_template() => {
                    map.insert(canonical(module, &name).into(), value.clone());
                }
                Some(arg) => match checked(arg, &name, value) {
                    Ok(value) => drop(map.insert(arg.name.into(), value)),
                    Err(problem) => {
                        problems.push(problem);
                        // It was given: that it is wrong is said, and not that it is missing as well.
                        map.insert(arg.name.into(), value.clone());
                    }
                },
            }
        }
        for arg in module.args().filter(|arg| arg.required && !map.contains_key(arg.name)) {
            problems.push(Problem::Missing { name: arg.name });
        }
        problems.extend(module.rules.iter().filter_map(|rule| broken(module, rule, &map)));
        if !problems.is_empty() {
            return Err(problems);
        }
        for arg in module.args().filter(|arg| !map.contains_key(arg.name)).collect::<Vec<_>>() {
            if let Some(default) = arg.default.and_then(|text| arg.kind.read(&Value::from(text))) {
                map.insert(arg.name.into(), default);
            }
        }
        Ok(Args { map })
    }

    /// Expands `~` and `$VAR` in every path, which only the host can do.
    pub fn expand_paths(&mut self, module: &Module, look: &dyn Look) {
        for arg in module.args().filter(|arg| arg.kind == Kind::Path) {
            if let Some(value) = self.map.get_mut(arg.name)
                && let Some(path) = value.as_str()
            {
                *value = Value::from(expand::path(look, path));
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    pub fn str(&self, name: &str) -> Option<&str> {
        self.map.get(name).and_then(Value::as_str)
    }

    pub fn text(&self, name: &str) -> Option<Text> {
        self.map.get(name).map(Value::to_text)
    }

    /// For a required argument: the check has seen to it that it is there.
    pub fn required(&self, name: &'static str) -> Result<&str, Failure> {
        self.str(name).ok_or_else(|| Failure::new(format!("missing required arguments: {name}")))
    }

    /// False where it was neither given nor has a default.
    pub fn bool(&self, name: &str) -> bool {
        self.map.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.map.get(name).and_then(Value::as_int)
    }

    pub fn float(&self, name: &str) -> Option<f64> {
        self.map.get(name).and_then(Value::to_float)
    }

    /// Empty where it was not given.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.items(name).iter().map(|item| item.to_text().as_str().to_owned()).collect()
    }

    pub fn items(&self, name: &str) -> &[Value] {
        self.map.get(name).and_then(Value::as_list).unwrap_or_default()
    }

    pub fn dict(&self, name: &str) -> Option<&Map> {
        self.map.get(name).and_then(Value::as_map)
    }

    pub fn all(&self) -> &Map {
        &self.map
    }
}

fn canonical(module: &Module, name: &str) -> String {
    module.arg(name).map_or(name, |arg| arg.name).to_owned()
}

fn checked(arg: &Arg, name: &str, value: &Value) -> Result<Value, Problem> {
    let mistyped = || Problem::Mistyped { name: name.to_owned(), kind: arg.kind, found: value.clone() };
    let read = arg.kind.read(value).ok_or_else(mistyped)?;
    let chosen = |item: &Value| arg.choices.contains(&item.to_text().as_str());
    let is_chosen = match &read {
        Value::List(items) => items.iter().all(chosen),
        other => chosen(other),
    };
    if arg.choices.is_empty() || is_chosen {
        return Ok(read);
    }
    // YAML turns an unquoted `yes` or `off` into a boolean before it reaches a choice of those words.
    let spelled =
        value.as_bool().and_then(|truth| arg.choices.iter().find(|choice| Value::from(**choice).to_bool() == Some(truth)));
    spelled.map(|choice| Value::from(*choice)).ok_or_else(|| Problem::NotAChoice {
        name: name.to_owned(),
        choices: arg.choices,
        found: value.clone(),
    })
}

/// Whether a value that is not rendered yet may turn out not to be given.
fn may_be_omitted(value: &Value) -> bool {
    value.has_template() && value.to_text().contains("omit")
}

fn broken(module: &Module, rule: &Rule, map: &Map) -> Option<Problem> {
    let given = |names: &'static [&'static str]| names.iter().copied().filter(|name| map.contains_key(*name)).collect::<Vec<_>>();
    let is_sure = |name: &&str| map.get(*name).is_some_and(|value| !may_be_omitted(value));
    match rule {
        Rule::OneOf(names) => given(names).is_empty().then_some(Problem::NoneOf { names }),
        Rule::Exclusive(names) => {
            let names: Vec<_> = given(names).into_iter().filter(is_sure).collect();
            (names.len() > 1).then_some(Problem::Exclusive { names })
        }
        Rule::Together(names) => {
            let missing = names.iter().copied().find(|name| !map.contains_key(*name))?;
            given(names).into_iter().find(is_sure).map(|given| Problem::Together { given, missing })
        }
        Rule::If(because, value, names) => {
            let default = || module.arg(because).and_then(|arg| arg.default) == Some(*value);
            let holds = map.get(*because).map_or_else(default, |found| found.to_text().as_str() == *value);
            let missing = names.iter().copied().find(|name| !map.contains_key(*name));
            missing.filter(|_| holds).map(|name| Problem::RequiredBy { name, because, value })
        }
    }
}

impl Problem {
    /// As a sentence fragment, for a failure at run time; the playbook check makes a diagnostic of the same data.
    pub fn text(&self, module: &str) -> String {
        match self {
            Problem::Unknown { name } => format!("Unsupported parameters for ({module}) module: {name}"),
            Problem::Missing { name } => format!("missing required arguments: {name}"),
            Problem::Mistyped { name, kind, found } => {
                format!("argument `{name}` takes {} {}, not {}", article(kind.name()), kind.name(), shown(found))
            }
            Problem::NotAChoice { name, choices, found } => {
                format!("value of {name} must be one of: {}, got: {}", choices.join(", "), found.to_text())
            }
            Problem::NoneOf { names } => {
                // What begins so is passed by `roll` itself.
                let names: Vec<&str> = names.iter().copied().filter(|name| !name.starts_with('_')).collect();
                format!("one of the following is required: {}", names.join(", "))
            }
            Problem::Exclusive { names } => {
                format!("parameters are mutually exclusive: {}", names.join("|"))
            }
            Problem::Together { given, missing } => format!("`{given}` also needs `{missing}`"),
            Problem::RequiredBy { name, because, value } => format!("{because} is {value} but `{name}` is missing"),
        }
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'i']) { "an" } else { "a" }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string \"{text}\""),
        other => format!("the {} {}", other.kind(), other.to_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules;

    #[test]
    fn what_is_wrong_is_not_also_missing() {
        let module = modules::find("firewalld").unwrap();
        let given = Map::from_iter([("state".into(), Value::from("open"))]);
        let problems = Args::check(module, &given).unwrap_err();
        assert!(matches!(problems.as_slice(), [Problem::NotAChoice { .. }]), "{problems:?}");
    }
}
