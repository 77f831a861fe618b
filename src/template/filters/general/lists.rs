//! Lists counted, compared and put together.

use super::{data, data_of, rows};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::{Val, from_value};
use crate::template::versions;
use crate::value::{Key, Map, Value};
use std::cmp::Ordering;

pub(super) fn counter(call: &mut Call<'_, '_>) -> Res<Val> {
    if !matches!(call.input, Val::Str(_) | Val::List(_) | Val::Tuple(_)) {
        let (shown, kind) = (crate::template::calls::shown(&call.input), call.input.kind());
        return Err(format!(
            "Argument for community.general.counter must be a sequence (string or list). {shown} is <class '{kind}'>"
        )
        .into());
    }
    let mut counts = indexmap::IndexMap::<Key, i64>::new();
    for item in call.items()? {
        let key = item.to_key().ok_or_else(|| {
            format!(
                "community.general.counter needs a sequence with hashable elements (int, float or str), not '{}'",
                item.kind()
            )
        })?;
        *counts.entry(key).or_default() += 1;
    }
    Ok(from_value(&counts.into_iter().map(|(key, count)| (key, Value::Int(count))).collect()))
}

pub(super) fn groupby_as_dict(call: &mut Call<'_, '_>) -> Res<Val> {
    let attribute = call.needed(0, "attribute")?.to_text();
    let mut found = Map::new();
    for (index, row) in rows(call)?.into_iter().enumerate() {
        let Some(value) = row.get(&attribute) else {
            return Err(format!("Attribute not contained in element #{index} of sequence").into());
        };
        let value = value.to_text();
        if found.insert(value.clone().into(), row).is_some() {
            return Err(format!("Multiple sequence entries have attribute value '{}'", value.as_str()).into());
        }
    }
    Ok(from_value(&Value::map(found)))
}

/// The lists that a filter is called with; with `flatten` the input is a list of them.
fn operands(call: &mut Call<'_, '_>) -> Res<Vec<Vec<Value>>> {
    let flattens = call.named("flatten").and_then(Val::truth).unwrap_or(false);
    let mut values = if flattens { rows(call)? } else { vec![data(call)?] };
    for other in call.rest.clone() {
        values.push(data_of(call, &other)?);
    }
    let list = |value: Value| match value {
        Value::List(items) => Ok(items.to_vec()),
        other => Err(format!("all arguments must be lists, and one is a {}", other.kind()).into()),
    };
    values.into_iter().map(list).collect()
}

fn each_once(items: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for item in items {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

fn folded(call: &mut Call<'_, '_>, fold: fn(Vec<Value>, Vec<Value>) -> Vec<Value>) -> Res<Val> {
    let mut lists = operands(call)?.into_iter();
    let first = each_once(lists.next().unwrap_or_default());
    Ok(from_value(&Value::list(lists.fold(first, fold))))
}

pub(super) fn union(call: &mut Call<'_, '_>) -> Res<Val> {
    folded(call, |left, right| each_once(left.into_iter().chain(right)))
}

pub(super) fn intersection(call: &mut Call<'_, '_>) -> Res<Val> {
    folded(call, |left, right| left.into_iter().filter(|item| right.contains(item)).collect())
}

pub(super) fn difference(call: &mut Call<'_, '_>) -> Res<Val> {
    folded(call, |left, right| left.into_iter().filter(|item| !right.contains(item)).collect())
}

pub(super) fn symmetric_difference(call: &mut Call<'_, '_>) -> Res<Val> {
    folded(call, |left, right| {
        let right = each_once(right);
        let only_left = left.iter().filter(|item| !right.contains(item)).cloned();
        let only_right = right.iter().filter(|item| !left.contains(item)).cloned();
        only_left.chain(only_right).collect()
    })
}

pub(super) fn mergeby(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut others = call.rest.clone();
    let index = match call.named("index") {
        Some(index) => index.clone(),
        None => others.pop().ok_or("missing a required argument: 'index'")?,
    };
    let index = index.to_text();
    let is_recursive = call.named("recursive").and_then(Val::truth).unwrap_or(false);
    let list_merge = call.named("list_merge").map_or_else(|| "replace".to_owned(), |how| how.to_text().as_str().to_owned());
    let mut lists = vec![data(call)?];
    for other in others {
        lists.push(data_of(call, &other)?);
    }
    let mut merged: indexmap::IndexMap<String, Value> = indexmap::IndexMap::new();
    for row in lists.iter().filter_map(Value::as_list).flatten() {
        let Some(name) = row.get(&index) else { continue };
        let place = merged.entry(name.to_text().as_str().to_owned()).or_insert_with(|| Value::map(Map::new()));
        *place = put_together(place, row, is_recursive, &list_merge);
    }
    merged.sort_keys();
    Ok(from_value(&merged.into_values().collect()))
}

fn put_together(old: &Value, new: &Value, is_recursive: bool, list_merge: &str) -> Value {
    match (old, new) {
        (Value::Map(before), Value::Map(after)) => {
            let mut entries = Map::clone(before);
            for (key, value) in after.iter() {
                let value = match entries.get(key) {
                    Some(old @ Value::Map(_)) if is_recursive => put_together(old, value, is_recursive, list_merge),
                    Some(old @ Value::List(_)) => put_together(old, value, is_recursive, list_merge),
                    _ => value.clone(),
                };
                entries.insert(key.clone(), value);
            }
            Value::map(entries)
        }
        (Value::List(before), Value::List(after)) => {
            let without = |items: &[Value], others: &[Value]| -> Vec<Value> {
                items.iter().filter(|item| !others.contains(item)).cloned().collect()
            };
            let joined = |first: Vec<Value>, second: &[Value]| first.into_iter().chain(second.iter().cloned()).collect();
            match list_merge {
                "keep" => old.clone(),
                "append" => joined(before.to_vec(), after),
                "prepend" => joined(after.to_vec(), before),
                "append_rp" => joined(without(before, after), after),
                "prepend_rp" => joined(after.to_vec(), &without(before, after)),
                _ => new.clone(),
            }
        }
        _ => new.clone(),
    }
}

pub(super) fn version_sort(call: &mut Call<'_, '_>) -> Res<Val> {
    let is_reversed = call.flag(0, false);
    let mut items = call.items()?;
    let mut problem = None;
    items.sort_by(|left, right| {
        versions::loose(&left.to_text(), &right.to_text()).unwrap_or_else(|error| {
            problem = Some(error);
            Ordering::Equal
        })
    });
    if let Some(problem) = problem {
        return Err(problem.into());
    }
    if is_reversed {
        items.reverse();
    }
    Ok(Val::list(items))
}
