//! `validate_argument_spec`: values against the options that a role declares for them.

mod kinds;
mod relations;

use super::{Answer, Hands, Problem};
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};

pub(super) fn validate(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let spec = args.dict("argument_spec").cloned().unwrap_or_default();
    let mut given = Map::new();
    for name in spec.keys().filter_map(|key| key.as_str()).filter(|name| is_name(name)) {
        if hands.condition(&Value::from(format!("{name} is defined")))? {
            given.insert(name.into(), hands.expression(name)?);
        }
    }
    let provided = args.dict("provided_arguments").cloned().unwrap_or_default();
    given.extend(provided);
    let errors = errors_of(&spec, &given);
    let context = args.get("validate_args_context").cloned().unwrap_or_else(|| Value::map(Map::new()));
    let mut values = Map::from_iter([("changed".into(), Value::Bool(false)), ("validate_args_context".into(), context)]);
    if errors.is_empty() {
        values.insert("msg".into(), "The arg spec validation passed".into());
        return Ok(Answer::of(values));
    }
    let msg = format!("Validation of arguments failed:\n{}", errors.join("\n"));
    values.insert("argument_spec_data".into(), Value::map(spec));
    values.insert("argument_errors".into(), errors.into());
    Err(values.into_iter().fold(Failure::new(msg), |failure, (key, value)| failure.with(&key.to_string(), value)).into())
}

/// What is wrong with values, found level by level.
#[derive(Default)]
struct Check {
    errors: Vec<String>,
    /// Options that nobody declared, said last.
    unknown: Vec<String>,
    /// What the options being looked at stand in.
    path: Vec<String>,
}

/// Everything that is wrong with `given`.
fn errors_of(spec: &Map, given: &Map) -> Vec<String> {
    let mut check = Check::default();
    check.options(spec, &Value::Null, given);
    check.errors.extend(check.unknown);
    check.errors
}

impl Check {
    /// `rules` is the option that has these options; the outermost ones have none.
    fn options(&mut self, spec: &Map, rules: &Value, given: &Map) {
        let mut values = self.named(spec, given);
        self.say(relations::exclusive(rules, &values));
        for (key, option) in spec {
            if let Some(default) = option.get("default").filter(|default| !default.is_null() && values.get(key).is_none()) {
                values.insert(key.clone(), default.clone());
            }
        }
        let mut missing: Vec<String> = spec
            .iter()
            .filter(|(key, option)| says(option, "required") && values.get(*key).is_none())
            .map(|(key, _)| key.to_string())
            .collect();
        missing.sort();
        self.say((!missing.is_empty()).then(|| format!("missing required arguments: {}", missing.join(", "))));
        self.read_all(spec, &mut values);
        for (key, option) in spec {
            if let Some(value) = values.get(key) {
                self.check_choices(&key.to_string(), option, value);
            }
        }
        relations::broken(rules, &values).into_iter().for_each(|error| self.say(Some(error)));
        for (key, option) in spec {
            self.check_inner(&key.to_string(), option, values.get(key));
        }
    }

    /// What was given, by the names of the options rather than their aliases.
    fn named(&mut self, spec: &Map, given: &Map) -> Map {
        let mut values = Map::new();
        let mut unknown = Vec::new();
        for (key, value) in given {
            match declared(spec, &key.to_string()) {
                Some(name) => drop(values.insert(name.as_str().into(), value.clone())),
                None => unknown.push(self.path.iter().cloned().chain([key.to_string()]).collect::<Vec<_>>().join(".")),
            }
        }
        if !unknown.is_empty() {
            let known: Vec<String> = spec.keys().map(ToString::to_string).collect();
            self.unknown.push(format!("{}. Supported parameters include: {}.", unknown.join(", "), known.join(", ")));
        }
        values
    }

    /// Every value becomes what its option asks for. A null is as good as nothing where nothing is required.
    fn read_all(&mut self, spec: &Map, values: &mut Map) {
        for (key, option) in spec {
            let Some(value) = values.get(key).filter(|value| !value.is_null() || says(option, "required")).cloned() else {
                continue;
            };
            match self.read_one(&key.to_string(), option, &value) {
                Some(read) => drop(values.insert(key.clone(), read)),
                None => drop(values.shift_remove(key)),
            }
        }
    }

    fn read_one(&mut self, name: &str, option: &Value, value: &Value) -> Option<Value> {
        let kind = text(option, "type").unwrap_or_else(|| "str".to_owned());
        let read = match kinds::read(&kind, value) {
            Ok(read) => read,
            Err(why) => {
                let place = found_in(&self.path);
                let place = if place.is_empty() { place } else { format!("{place}.") };
                let class = kinds::class_of(value);
                self.errors
                    .push(format!("argument '{name}' is of type {class}{place} and we were unable to convert to {kind}: {why}"));
                return None;
            }
        };
        if let (Value::List(items), Some(elements)) = (&read, text(option, "elements")) {
            for item in items.iter() {
                if let Err(why) = kinds::read(&elements, item) {
                    let class = kinds::class_of(item);
                    self.errors.push(format!(
                        "Elements value for option '{name}' is of type {class} and we were unable to convert to {elements}: {why}"
                    ));
                }
            }
        }
        Some(read)
    }

    fn check_choices(&mut self, name: &str, option: &Value, value: &Value) {
        let choices = option.get("choices").and_then(Value::as_list).unwrap_or_default();
        let is_one = |item: &Value| choices.iter().any(|choice| choice.to_text() == item.to_text());
        if choices.is_empty() || (value.is_null() && !says(option, "required")) {
            return;
        }
        let Some(odd) = items_of(value).iter().find(|item| !is_one(item)) else { return };
        let all: Vec<String> = choices.iter().map(|choice| choice.to_text().to_string()).collect();
        let number = if matches!(value, Value::List(_)) { "one or more of" } else { "one of" };
        self.say(Some(format!("value of {name} must be {number}: {}, got: {}", all.join(", "), odd.to_text())));
    }

    /// The options within an option. With `apply_defaults` they count even where nothing is given.
    fn check_inner(&mut self, name: &str, option: &Value, value: Option<&Value>) {
        let Some(options) = option.get("options").and_then(Value::as_map) else { return };
        let nothing = Value::map(Map::new());
        let value = match value.filter(|value| !value.is_null()) {
            Some(value) => value,
            None if says(option, "apply_defaults") => &nothing,
            None => return,
        };
        self.path.push(name.to_owned());
        for item in items_of(value) {
            match item.as_map() {
                Some(inner) => self.options(options, option, inner),
                None => self.errors.push(format!("value of '{name}' must be of type dict or list of dicts")),
            }
        }
        self.path.pop();
    }

    fn say(&mut self, error: Option<String>) {
        self.errors.extend(error.map(|error| error + &found_in(&self.path)));
    }
}

/// The option that a name or an alias stands for.
fn declared(spec: &Map, name: &str) -> Option<String> {
    let has_it = |option: &Value| option.get("aliases").and_then(Value::as_list).is_some_and(|all| all.contains(&name.into()));
    spec.iter().find(|(key, option)| key.as_str() == Some(name) || has_it(option)).map(|(key, _)| key.to_string())
}

fn says(option: &Value, name: &str) -> bool {
    option.get(name).and_then(Value::to_bool).unwrap_or(false)
}

fn text(option: &Value, name: &str) -> Option<String> {
    option.get(name).filter(|value| !value.is_null()).map(|value| value.to_text().to_string())
}

fn items_of(value: &Value) -> &[Value] {
    value.as_list().unwrap_or(std::slice::from_ref(value))
}

fn found_in(path: &[String]) -> String {
    if path.is_empty() { String::new() } else { format!(" found in {}", path.join(" -> ")) }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(spec: &str, given: &str) -> Vec<String> {
        let map = |text| Value::from_json(text).unwrap().as_map().cloned().unwrap();
        errors_of(&map(spec), &map(given))
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let spec = r#"{"b": {"type": "int", "required": true}, "a": {"required": true}}"#;
        assert_eq!(errors(spec, "{}"), ["missing required arguments: a, b"]);
        assert_eq!(errors(spec, r#"{"a": "x", "b": "7"}"#), [""; 0]);
        assert_eq!(errors("{\"a\": {}}", r#"{"z": 1}"#), ["z. Supported parameters include: a."]);
    }

    #[test]
    fn kinds_choices_and_inner_options_are_checked() {
        let of = |spec: &str, value: &str| errors(&format!("{{\"a\": {spec}}}"), &format!("{{\"a\": {value}}}"));
        assert_eq!(
            of(r#"{"type": "int"}"#, "1.5")[0],
            "argument 'a' is of type <class 'float'> and we were unable to convert to int: \"1.5\" cannot be converted to an int"
        );
        assert_eq!(of(r#"{"type": "bool"}"#, "\"yes\""), [""; 0]);
        assert_eq!(of(r#"{"choices": ["x", "y"]}"#, "\"z\""), ["value of a must be one of: x, y, got: z"]);
        assert_eq!(of(r#"{"type": "list", "elements": "int"}"#, "[1, \"q\"]").len(), 1);
        let inner = r#"{"type": "dict", "options": {"b": {"type": "int", "required": true}}}"#;
        assert_eq!(of(inner, "{}"), ["missing required arguments: b found in a"]);
        assert_eq!(of(inner, r#"{"b": 1, "c": 2}"#), ["a.c. Supported parameters include: b."]);
    }

    /// The words are Ansible's, and so is what is said first.
    #[test]
    fn options_that_need_or_exclude_each_other_are_checked_together() {
        let spec = r#"{"o": {"type": "dict", "mutually_exclusive": [["a", "b"], ["c", "d", "e"]],
            "required_together": [["a", "f"], ["c", "d"]], "required_one_of": [["g", "h"], ["c", "g"]],
            "required_if": [["mode", 1, ["x", "y"]], ["mode", 2, ["x", "y"], true], ["mode", 3, ["x"]]],
            "required_by": {"i": ["j", "k"], "l": "m"},
            "options": {"a": {}, "b": {"default": "x"}, "c": {}, "d": {}, "e": {}, "f": {}, "g": {}, "h": {}, "i": {}, "j": {}, "k": {},
                "l": {}, "m": {}, "mode": {"type": "int", "default": 3}, "x": {}, "y": {}}}}"#;
        let of = |given: &str| errors(spec, &format!("{{\"o\": {given}}}"));
        assert_eq!(of(r#"{"g": 1, "x": 1}"#), [""; 0]);
        // A default clashes with nothing.
        assert_eq!(of(r#"{"g": 1, "x": 1, "a": 1, "f": 1}"#), [""; 0]);
        assert_eq!(
            of(r#"{"g": 1, "x": 1, "a": 1, "b": 2, "f": 1, "c": 1, "d": 1}"#),
            ["parameters are mutually exclusive: a|b, c|d|e found in o"]
        );
        assert_eq!(of(r#"{"g": 1, "x": 1, "a": 1, "c": 1}"#), ["parameters are required together: a, f found in o"]);
        assert_eq!(of(r#"{"x": 1}"#), ["one of the following is required: g, h found in o"]);
        // What is null was given.
        assert_eq!(of(r#"{"x": 1, "g": null}"#), [""; 0]);
        assert_eq!(of(r#"{"g": 1}"#), ["mode is 3 but all of the following are missing: x found in o"]);
        assert_eq!(of(r#"{"g": 1, "mode": "1"}"#), ["mode is 1 but all of the following are missing: x, y found in o"]);
        assert_eq!(of(r#"{"g": 1, "mode": 2}"#), ["mode is 2 but any of the following are missing: x, y found in o"]);
        assert_eq!(of(r#"{"g": 1, "mode": 2, "y": 1}"#), [""; 0]);
        assert_eq!(of(r#"{"g": 1, "x": 1, "i": 1, "j": 1, "l": 1}"#), ["missing parameter(s) required by 'i': k found in o"]);
        assert_eq!(of(r#"{"g": 1, "x": 1, "l": 1}"#), ["missing parameter(s) required by 'l': m found in o"]);
        assert_eq!(errors(spec, "{}"), [""; 0]);
        assert_eq!(errors(spec, r#"{"o": null}"#), [""; 0]);
    }

    #[test]
    fn inner_defaults_count_where_they_are_to_be_applied() {
        let spec = r#"{"o": {"type": "dict", "apply_defaults": true,
            "options": {"a": {"required": true}, "b": {"default": 3, "choices": [1]}}}, "p": {"type": "int"}}"#;
        let wanted = ["missing required arguments: a found in o", "value of b must be one of: 1, got: 3 found in o"];
        assert_eq!(errors(spec, "{}"), wanted);
        assert_eq!(errors(spec, r#"{"o": null}"#), wanted);
        assert_eq!(
            errors(spec, r#"{"o": {"a": 1, "b": 1, "z": 1}, "p": "q"}"#),
            [
                "argument 'p' is of type <class 'str'> and we were unable to convert to int: \"'q'\" cannot be converted to an int",
                "o.z. Supported parameters include: a, b."
            ]
        );
    }
}
