//! Paths into nested data.

use super::data;
use crate::template::calls::{Args, Call};
use crate::template::failure::Res;
use crate::template::runtime::{Val, from_value};
use crate::value::{Key, Map, Value};

/// A step of a path.
enum Step {
    Key(String),
    Index(i64),
}

pub(super) fn to_paths(call: &mut Call<'_, '_>) -> Res<Val> {
    fn walk(value: &Value, path: &str, found: &mut Map) {
        match value {
            Value::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries.iter() {
                    walk(value, &joined(path, &key.to_string()), found);
                }
            }
            Value::List(items) if !items.is_empty() => {
                items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{path}[{index}]"), found));
            }
            other => drop(found.insert(path.into(), other.clone())),
        }
    }
    let prefix = call.text_arg(0, "");
    let wants_list = call.flag(1, false);
    let value = data(call)?;
    let mut found = Map::new();
    walk(&value, &prefix, &mut found);
    let found = from_value(&Value::map(found));
    Ok(if wants_list { Val::list(vec![found]) } else { found })
}

/// A key that is no plain name stands between brackets.
fn joined(path: &str, key: &str) -> String {
    let is_name = key.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match (is_name, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}['{key}']"),
    }
}

pub(super) fn get_path(call: &mut Call<'_, '_>) -> Res<Val> {
    let path = call.needed(0, "path")?.to_text();
    let wants_list = call.flag(1, false);
    let mut value = data(call)?;
    for step in steps(&path) {
        let found = match &step {
            Step::Key(key) => value.get(key).cloned(),
            Step::Index(index) => match (&value, usize::try_from(*index)) {
                (Value::List(items), Ok(index)) => items.get(index).cloned(),
                (Value::Map(entries), _) => entries.get(&Key::Int(*index)).cloned(),
                _ => None,
            },
        };
        value = found.ok_or_else(|| format!("the path `{}` leads to nothing", path.as_str()))?;
    }
    let found = from_value(&value);
    Ok(if wants_list { Val::list(vec![found]) } else { found })
}

/// `a.b[0]["c d"]`
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let quote = after.chars().next().filter(|letter| matches!(letter, '"' | '\''));
            let (inner, tail) = match quote {
                Some(quote) => after[1..].split_once(&format!("{quote}]")).unwrap_or((&after[1..], "")),
                None => after.split_once(']').unwrap_or((after, "")),
            };
            steps.push(match (quote, inner.trim().parse()) {
                (None, Ok(index)) => Step::Index(index),
                _ => Step::Key(inner.to_owned()),
            });
            rest = tail;
        } else {
            let word = rest.trim_start_matches('.');
            let end = word.find(['.', '[']).unwrap_or(word.len());
            if end > 0 {
                steps.push(Step::Key(word[..end].to_owned()));
            }
            rest = &word[end..];
            if word.is_empty() {
                break;
            }
        }
    }
    steps
}

/// Where the items are for which a test holds: a number, or a list of several.
pub(super) fn index_of(call: &mut Call<'_, '_>) -> Res<Val> {
    let test = call.needed(0, "test")?.to_text();
    let value = call.arg(1).cloned();
    let key = call.given(2).map(Val::to_text);
    let (fails, wants_list) = (call.flag(3, false), call.flag(4, false));
    let items = call.items()?;
    let mut found = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let item = match (&key, &item) {
            (Some(key), Val::Dict(dict)) => match dict.get(key.as_str()) {
                Some(inner) => call.eval.resolve(inner)?,
                None if fails => return Err(format!("'{}' was not found in item {index}", key.as_str()).into()),
                None => continue,
            },
            _ => item,
        };
        let args = Args { positional: value.iter().cloned().collect(), named: Vec::new() };
        if crate::template::tests::apply(call.eval, &test, item, args, call.locals)?.truth() == Some(true) {
            found.push(Val::size(index));
        }
    }
    Ok(match found.len() {
        1 if !wants_list => found.remove(0),
        _ => Val::list(found),
    })
}
