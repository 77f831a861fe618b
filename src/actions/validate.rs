//! `validate_argument_spec`: values against the options that a role declares for them.

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
    let mut errors = Vec::new();
    check(&spec, &given, &mut Vec::new(), &mut errors);
    let context = args.get("validate_args_context").cloned().unwrap_or_default();
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

/// Everything that is wrong with `given`. `path` is what the options stand in.
fn check(spec: &Map, given: &Map, path: &mut Vec<String>, errors: &mut Vec<String>) {
    let alias_of = |name: &str| {
        let has_it =
            |option: &Value| option.get("aliases").and_then(Value::as_list).is_some_and(|all| all.contains(&name.into()));
        spec.iter().find(|(key, option)| key.as_str() == Some(name) || has_it(option)).map(|(key, _)| key.to_string())
    };
    let mut values = Map::new();
    let mut unknown = Vec::new();
    for (key, value) in given {
        match alias_of(&key.to_string()) {
            Some(name) => drop(values.insert(name.as_str().into(), value.clone())),
            None => unknown.push(path.iter().cloned().chain([key.to_string()]).collect::<Vec<_>>().join(".")),
        }
    }
    let says = |option: &Value, name: &str| option.get(name).and_then(Value::to_bool).unwrap_or(false);
    let mut missing: Vec<String> = spec
        .iter()
        .filter(|(key, option)| says(option, "required") && values.get(*key).is_none())
        .map(|(key, _)| key.to_string())
        .collect();
    missing.sort();
    if !missing.is_empty() {
        errors.push(format!("missing required arguments: {}{}", missing.join(", "), found_in(path)));
    }
    for (key, option) in spec {
        let name = key.to_string();
        let value = values.get(key).cloned().or_else(|| option.get("default").filter(|value| !value.is_null()).cloned());
        // A null is as good as nothing where nothing is required.
        let Some(value) = value.filter(|value| !value.is_null() || says(option, "required")) else { continue };
        check_option(&name, option, &value, path, errors);
    }
    if !unknown.is_empty() {
        let known: Vec<String> = spec.keys().map(ToString::to_string).collect();
        errors.push(format!("{}. Supported parameters include: {}.", unknown.join(", "), known.join(", ")));
    }
}

fn check_option(name: &str, option: &Value, value: &Value, path: &mut Vec<String>, errors: &mut Vec<String>) {
    let text = |key: &str| option.get(key).filter(|value| !value.is_null()).map(|value| value.to_text().to_string());
    let kind = text("type").unwrap_or_else(|| "str".to_owned());
    let read = match read(&kind, value) {
        Ok(read) => read,
        Err(why) => {
            let place = found_in(path);
            let place = if place.is_empty() { place } else { format!("{place}.") };
            let class = class_of(value);
            return errors
                .push(format!("argument '{name}' is of type {class}{place} and we were unable to convert to {kind}: {why}"));
        }
    };
    let items = match (&read, text("elements")) {
        (Value::List(items), Some(elements)) => {
            for item in items.iter() {
                if let Err(why) = self::read(&elements, item) {
                    let class = class_of(item);
                    errors.push(format!(
                        "Elements value for option '{name}' is of type {class} and we were unable to convert to {elements}: {why}"
                    ));
                }
            }
            items.to_vec()
        }
        (other, _) => vec![other.clone()],
    };
    if let Some(choices) = option.get("choices").and_then(Value::as_list).filter(|choices| !choices.is_empty()) {
        let is_one = |item: &Value| choices.iter().any(|choice| choice.to_text() == item.to_text());
        if let Some(odd) = items.iter().find(|item| !is_one(item)) {
            let all: Vec<String> = choices.iter().map(|choice| choice.to_text().to_string()).collect();
            let number = if matches!(read, Value::List(_)) { "one or more of" } else { "one of" };
            errors.push(format!(
                "value of {name} must be {number}: {}, got: {}{}",
                all.join(", "),
                odd.to_text(),
                found_in(path)
            ));
        }
    }
    if let Some(options) = option.get("options").and_then(Value::as_map) {
        path.push(name.to_owned());
        for item in &items {
            match item.as_map() {
                Some(inner) => check(options, inner, path, errors),
                None => errors.push(format!("value of '{name}' must be of type dict or list of dicts")),
            }
        }
        path.pop();
    }
}

fn found_in(path: &[String]) -> String {
    if path.is_empty() { String::new() } else { format!(" found in {}", path.join(" -> ")) }
}

/// The value as the kind that an option asks for, or why it cannot be read so.
fn read(kind: &str, value: &Value) -> Result<Value, String> {
    let class = class_of(value);
    let ok = || Ok(value.clone());
    match kind {
        "str" if value.is_null() => Err("'None' is not a string and conversion is not allowed".to_owned()),
        "str" | "path" => Ok(Value::String(value.to_text())),
        "bool" => {
            value.to_bool().map(Value::Bool).ok_or_else(|| format!("The value '{}' is not a valid boolean. ", value.to_text()))
        }
        "int" => whole(value).map(Value::Int).ok_or_else(|| format!("\"{}\" cannot be converted to an int", as_python(value))),
        "float" => value.to_float().map(Value::Float).ok_or_else(|| format!("{class} cannot be converted to a float")),
        "list" => match value {
            Value::List(_) => ok(),
            Value::String(text) => Ok(text.split(',').map(|part| Value::from(part.trim())).collect()),
            Value::Int(_) | Value::Float(_) => Ok(Value::list(vec![Value::from(value.to_text())])),
            _ => Err(format!("{class} cannot be converted to a list")),
        },
        "dict" => match (value, crate::modules::Kind::Dict.read(value)) {
            (_, Some(read)) => Ok(read),
            (Value::String(_), None) => Err("dictionary requested, could not parse JSON or key=value".to_owned()),
            (_, None) => Err(format!("{class} cannot be converted to a dict")),
        },
        "json" | "jsonarg" => match value {
            Value::List(_) | Value::Map(_) => Ok(Value::from(value.to_json())),
            Value::String(_) => ok(),
            _ => Err(format!("{class} cannot be converted to a json string")),
        },
        "bytes" => sized(value).map(|_| value.clone()).ok_or_else(|| format!("{class} cannot be converted to a Byte value")),
        "bits" => sized(value).map(|_| value.clone()).ok_or_else(|| format!("{class} cannot be converted to a Bit value")),
        _ => ok(),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(_) => None,
        Value::Float(number) if number.fract() != 0.0 => None,
        other => other.to_int(),
    }
}

/// `10`, `1.5M`, `3 KB`.
fn sized(value: &Value) -> Option<f64> {
    let text = value.to_text();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ' ');
    let unit = text[digits.len()..].trim();
    let is_unit = unit.is_empty() || "YZEPTGMKBb".contains(unit.chars().next().unwrap_or('?').to_ascii_uppercase());
    digits.trim().parse().ok().filter(|_| is_unit)
}

fn as_python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::String(text) => format!("'{text}'"),
        other => other.to_text().to_string(),
    }
}

/// As Python would name it.
fn class_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<class 'NoneType'>",
        Value::Bool(_) => "<class 'bool'>",
        Value::Int(_) => "<class 'int'>",
        Value::Float(_) => "<class 'float'>",
        Value::String(_) | Value::Template(_) => "<class 'str'>",
        Value::List(_) => "<class 'list'>",
        Value::Map(_) => "<class 'dict'>",
    }
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
        let mut errors = Vec::new();
        check(&map(spec), &map(given), &mut Vec::new(), &mut errors);
        errors
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
}
