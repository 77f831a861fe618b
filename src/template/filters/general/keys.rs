//! Keys kept, removed and renamed.

use super::{data, data_of, rows};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::filters::regex;
use crate::template::runtime::{Val, from_value};
use crate::value::{Key, Map, Value};

/// Which keys are meant.
enum Meant {
    Equal(Vec<String>),
    Start(Vec<String>),
    End(Vec<String>),
    Pattern(std::sync::Arc<fancy_regex::Regex>),
}

impl Meant {
    fn new(kind: &str, words: Vec<String>) -> Result<Meant, String> {
        match kind {
            "equal" | "equality" => Ok(Meant::Equal(words)),
            "starts_with" => Ok(Meant::Start(words)),
            "ends_with" => Ok(Meant::End(words)),
            "regex" => match words.as_slice() {
                [pattern] => Ok(Meant::Pattern(regex::compile(pattern, false, false).map_err(|error| error.to_string())?)),
                _ => Err("with matching_parameter regex there is one target".to_owned()),
            },
            other => Err(format!("there is no matching_parameter `{other}`")),
        }
    }

    fn is(&self, key: &Key) -> bool {
        let key = key.to_string();
        match self {
            Meant::Equal(words) => words.contains(&key),
            Meant::Start(words) => words.iter().any(|word| key.starts_with(word.as_str())),
            Meant::End(words) => words.iter().any(|word| key.ends_with(word.as_str())),
            Meant::Pattern(pattern) => pattern.is_match(&key).unwrap_or(false),
        }
    }
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::List(items) => items.iter().map(|item| item.to_text().as_str().to_owned()).collect(),
        other => vec![other.to_text().as_str().to_owned()],
    }
}

fn meant(call: &mut Call<'_, '_>) -> Res<Meant> {
    let target = call.needed(0, "target")?;
    let target = data_of(call, &target)?;
    let kind = call.text_arg(1, "equal");
    Ok(Meant::new(&kind, words(&target))?)
}

/// `before` and `after` of each row.
fn renamings(call: &mut Call<'_, '_>) -> Res<Vec<(Meant, String)>> {
    let target = call.needed(0, "target")?;
    let target = data_of(call, &target)?;
    let kind = call.text_arg(1, "equal");
    let mut renamings = Vec::new();
    for row in target.as_list().unwrap_or_default() {
        let (Some(before), Some(after)) = (row.get("before"), row.get("after")) else {
            return Err("every target has `before` and `after`".into());
        };
        renamings.push((Meant::new(&kind, words(before))?, after.to_text().as_str().to_owned()));
    }
    Ok(renamings)
}

fn filtered(value: &Value, keeps: &dyn Fn(&Key) -> bool) -> Value {
    match value {
        Value::Map(entries) => {
            entries.iter().filter(|(key, _)| keeps(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        other => other.clone(),
    }
}

fn renamed(entries: &Map, renamings: &[(Meant, String)], inside: &dyn Fn(&Value) -> Value) -> Value {
    let name = |key: &Key| {
        let found = renamings.iter().find(|(meant, _)| meant.is(key));
        found.map_or_else(|| key.clone(), |(_, after)| Key::from(after.as_str()))
    };
    entries.iter().map(|(key, value)| (name(key), inside(value))).collect()
}

fn each(call: &mut Call<'_, '_>, change: &dyn Fn(&Value) -> Value) -> Res<Val> {
    let rows = rows(call)?;
    if let Some(wrong) = rows.iter().find(|row| row.as_map().is_none()) {
        return Err(format!("the input must be a list of maps, and has a {}", wrong.kind()).into());
    }
    Ok(from_value(&rows.iter().map(change).collect()))
}

pub(super) fn keep(call: &mut Call<'_, '_>) -> Res<Val> {
    let meant = meant(call)?;
    each(call, &|row| filtered(row, &|key| meant.is(key)))
}

pub(super) fn remove(call: &mut Call<'_, '_>) -> Res<Val> {
    let meant = meant(call)?;
    each(call, &|row| filtered(row, &|key| !meant.is(key)))
}

pub(super) fn replace(call: &mut Call<'_, '_>) -> Res<Val> {
    let renamings = renamings(call)?;
    each(call, &|row| row.as_map().map_or(Value::Null, |entries| renamed(entries, &renamings, &Value::clone)))
}

/// Branches stay that lead to a kept key.
pub(super) fn keep_deep(call: &mut Call<'_, '_>) -> Res<Val> {
    fn kept(value: &Value, meant: &Meant) -> Option<Value> {
        match value {
            Value::Map(entries) => {
                let inner = |(key, value): (&Key, &Value)| {
                    let value = if meant.is(key) { Some(value.clone()) } else { kept(value, meant) };
                    value.map(|value| (key.clone(), value))
                };
                let entries: Map = entries.iter().filter_map(inner).collect();
                (!entries.is_empty()).then(|| Value::map(entries))
            }
            Value::List(items) => {
                let items: Vec<Value> = items.iter().filter_map(|item| kept(item, meant)).collect();
                (!items.is_empty()).then(|| Value::list(items))
            }
            _ => None,
        }
    }
    let meant = meant(call)?;
    let value = data(call)?;
    Ok(from_value(&kept(&value, &meant).unwrap_or_else(|| Value::map(Map::new()))))
}

pub(super) fn remove_deep(call: &mut Call<'_, '_>) -> Res<Val> {
    fn without(value: &Value, meant: &Meant) -> Value {
        match value {
            Value::Map(entries) => entries
                .iter()
                .filter(|(key, _)| !meant.is(key))
                .map(|(key, value)| (key.clone(), without(value, meant)))
                .collect(),
            Value::List(items) => items.iter().map(|item| without(item, meant)).collect(),
            other => other.clone(),
        }
    }
    let meant = meant(call)?;
    let value = data(call)?;
    Ok(from_value(&without(&value, &meant)))
}

pub(super) fn replace_deep(call: &mut Call<'_, '_>) -> Res<Val> {
    fn replaced(value: &Value, renamings: &[(Meant, String)]) -> Value {
        match value {
            Value::Map(entries) => renamed(entries, renamings, &|value| replaced(value, renamings)),
            Value::List(items) => items.iter().map(|item| replaced(item, renamings)).collect(),
            other => other.clone(),
        }
    }
    let renamings = renamings(call)?;
    let value = data(call)?;
    Ok(from_value(&replaced(&value, &renamings)))
}
