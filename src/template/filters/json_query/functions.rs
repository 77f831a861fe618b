//! The functions of JMESPath.

use super::{Answer, number, select};
use crate::value::Value;
use jmespath::ast::Ast;
use std::cmp::Ordering;

/// Calls a function; `&expression` is handed on as it is.
pub(super) fn call(name: &str, args: &[Ast], data: &Value) -> Answer {
    if let [first, Ast::Expref { ast, .. }] = args {
        return by(name, &select(first, data)?, ast);
    }
    if let ("map", [Ast::Expref { ast, .. }, list]) = (name, args) {
        let list = select(list, data)?;
        return items(name, &list)?.iter().map(|item| select(ast, item)).collect::<Result<Vec<_>, _>>().map(Value::list);
    }
    let args = args.iter().map(|arg| select(arg, data)).collect::<Result<Vec<_>, _>>()?;
    if name == "not_null" {
        return Ok(args.into_iter().find(|arg| !arg.is_null()).unwrap_or_default());
    }
    if name == "merge" {
        let entries = args.iter().filter_map(Value::as_map).flatten();
        return Ok(entries.map(|(key, value)| (key.clone(), value.clone())).collect());
    }
    match args.as_slice() {
        [one] => of_one(name, one),
        [one, two] => of_two(name, one, two),
        _ => Err(wrong(name)),
    }
}

fn wrong(name: &str) -> String {
    format!("`{name}()` does not take these arguments, or is not known")
}

fn items<'v>(name: &str, value: &'v Value) -> Result<&'v [Value], String> {
    value.as_list().ok_or_else(|| wrong(name))
}

fn numbers(name: &str, value: &Value) -> Result<Vec<f64>, String> {
    items(name, value)?.iter().map(|item| number(item).ok_or_else(|| wrong(name))).collect()
}

/// As a whole number where all that it was made of were.
fn whole(value: f64, is_whole: bool) -> Value {
    if is_whole && value.fract() == 0.0 && value.abs() < 9e15 { Value::Int(value as i64) } else { Value::Float(value) }
}

fn are_whole(value: &Value) -> bool {
    value.as_list().unwrap_or_default().iter().all(|item| item.as_int().is_some())
}

fn of_one(name: &str, value: &Value) -> Answer {
    match (name, value) {
        ("abs", Value::Int(number)) => Ok(Value::Int(number.saturating_abs())),
        ("abs", Value::Float(number)) => Ok(Value::Float(number.abs())),
        ("ceil", _) => number(value).map(|number| whole(number.ceil(), true)).ok_or_else(|| wrong(name)),
        ("floor", _) => number(value).map(|number| whole(number.floor(), true)).ok_or_else(|| wrong(name)),
        ("avg", _) => {
            let numbers = numbers(name, value)?;
            Ok(if numbers.is_empty() { Value::Null } else { Value::Float(numbers.iter().sum::<f64>() / numbers.len() as f64) })
        }
        ("sum", _) => Ok(whole(numbers(name, value)?.iter().sum(), are_whole(value))),
        ("keys", Value::Map(entries)) => Ok(entries.keys().map(|key| Value::from(key.to_string())).collect()),
        ("values", Value::Map(entries)) => Ok(entries.values().cloned().collect()),
        ("length", Value::String(text)) => Ok(Value::from(text.chars().count())),
        ("length", Value::List(items)) => Ok(Value::from(items.len())),
        ("length", Value::Map(entries)) => Ok(Value::from(entries.len())),
        ("reverse", Value::String(text)) => Ok(text.chars().rev().collect::<String>().into()),
        ("reverse", Value::List(items)) => Ok(items.iter().rev().cloned().collect()),
        ("sort", _) => {
            let mut sorted = items(name, value)?.to_vec();
            sort(name, &mut sorted, |item| Ok(item.clone()))?;
            Ok(Value::list(sorted))
        }
        ("max", _) => extreme(name, items(name, value)?, Ordering::Greater, |item| Ok(item.clone())),
        ("min", _) => extreme(name, items(name, value)?, Ordering::Less, |item| Ok(item.clone())),
        ("to_array", Value::List(_)) => Ok(value.clone()),
        ("to_array", _) => Ok(Value::list(vec![value.clone()])),
        ("to_string", Value::String(_)) => Ok(value.clone()),
        ("to_string", _) => Ok(value.to_json().into()),
        ("to_number", Value::Int(_) | Value::Float(_)) => Ok(value.clone()),
        ("to_number", Value::String(text)) => {
            let float = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float);
            Ok(text.parse().ok().map(Value::Int).or_else(float).unwrap_or_default())
        }
        ("to_number", _) => Ok(Value::Null),
        ("type", _) => Ok(kind(value).into()),
        _ => Err(wrong(name)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Float(_) => "number",
        Value::String(_) | Value::Template(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}

fn of_two(name: &str, one: &Value, two: &Value) -> Answer {
    match (name, one, two) {
        ("contains", Value::String(text), Value::String(part)) => Ok(Value::Bool(text.contains(part.as_str()))),
        ("contains", Value::List(items), _) => Ok(Value::Bool(items.contains(two))),
        ("starts_with", Value::String(text), Value::String(start)) => Ok(Value::Bool(text.starts_with(start.as_str()))),
        ("ends_with", Value::String(text), Value::String(end)) => Ok(Value::Bool(text.ends_with(end.as_str()))),
        ("join", Value::String(glue), Value::List(items)) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(glue).into()).ok_or_else(|| wrong(name))
        }
        _ => Err(wrong(name)),
    }
}

/// `sort_by`, `max_by` and `min_by`.
fn by(name: &str, list: &Value, key: &Ast) -> Answer {
    let mut found = items(name, list)?.to_vec();
    let key = |item: &Value| select(key, item);
    match name {
        "sort_by" => sort(name, &mut found, key).map(|()| Value::list(found)),
        "max_by" => extreme(name, &found, Ordering::Greater, key),
        "min_by" => extreme(name, &found, Ordering::Less, key),
        _ => Err(wrong(name)),
    }
}

/// Numbers with numbers, texts with texts.
fn order(name: &str, left: &Value, right: &Value) -> Result<Ordering, String> {
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        return Ok(left.cmp(right));
    }
    number(left).zip(number(right)).and_then(|(left, right)| left.partial_cmp(&right)).ok_or_else(|| wrong(name))
}

fn sort(name: &str, items: &mut [Value], key: impl Fn(&Value) -> Answer) -> Result<(), String> {
    let mut keyed: Vec<(Value, Value)> =
        items.iter().map(|item| Ok((key(item)?, item.clone()))).collect::<Result<_, String>>()?;
    let mut problem = keyed.windows(2).find_map(|pair| order(name, &pair[0].0, &pair[1].0).err());
    keyed.sort_by(|left, right| {
        order(name, &left.0, &right.0).unwrap_or_else(|error| {
            problem = Some(error);
            Ordering::Equal
        })
    });
    match problem {
        Some(problem) => Err(problem),
        None => {
            items.iter_mut().zip(keyed).for_each(|(place, (_, item))| *place = item);
            Ok(())
        }
    }
}

/// The first of the largest or smallest.
fn extreme(name: &str, items: &[Value], wanted: Ordering, key: impl Fn(&Value) -> Answer) -> Answer {
    let mut best: Option<(Value, &Value)> = None;
    for item in items {
        let value = key(item)?;
        let is_better = best.as_ref().map_or(Ok(true), |(other, _)| order(name, &value, other).map(|order| order == wanted))?;
        if is_better {
            best = Some((value, item));
        }
    }
    Ok(best.map(|(_, item)| item.clone()).unwrap_or_default())
}
