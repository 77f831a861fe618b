//! Filters on maps.

use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::evaluate::is_of_hosts;
use crate::template::failure::Res;
use crate::template::methods::{host_entries, resolved};
use crate::template::runtime::{Dict, Val, equal};
use crate::template::syntax::tree::Spot;
use crate::value::Key;

pub(super) const FILTERS: &[Filter] = &[
    filter("combine", &["*others", "**options"], "maps put together, later ones win", combine),
    filter("dict2items", &["key_name", "value_name"], "a list of keys and values", dict2items),
    filter("items2dict", &["key_name", "value_name"], "a map from a list of keys and values", items2dict),
    filter("dictsort", &["case_sensitive", "by", "reverse"], "the pairs in order", dictsort),
    filter("subelements", &["subelements", "skip_missing"], "every item with each of its elements", subelements),
    filter("extract", &["container", "morekeys"], "what a key selects in a container", extract),
    filter("rekey_on_member", &["key", "duplicates"], "a map from a list, by one of its members", rekey),
];

/// The entries of a map, or of the variables of hosts.
fn entries_of(call: &mut Call<'_, '_>, what: &str) -> Res<Vec<(Val, Val)>> {
    match call.input.clone() {
        Val::Dict(dict) => Ok(resolved(call.eval, &dict)?.into_iter().map(|(key, value)| (Val::from_key(&key), value)).collect()),
        hosts if is_of_hosts(&hosts) => host_entries(call.eval, &hosts),
        other => Err(format!("{what} requires a dictionary, got {} instead.", other.kind()).into()),
    }
}

fn key_of(value: &Val) -> Res<Key> {
    value.to_key().ok_or_else(|| format!("unhashable type: '{}'", value.kind()).into())
}

/// How lists on both sides are put together.
#[derive(Clone, Copy, PartialEq)]
enum ListMerge {
    Replace,
    Keep,
    Append,
    Prepend,
    AppendNew,
    PrependNew,
}

fn combine(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut is_recursive = false;
    let mut list_merge = ListMerge::Replace;
    for (name, value) in &call.named {
        match &**name {
            "recursive" => is_recursive = value.truth().unwrap_or(false),
            "list_merge" => {
                list_merge = match value.to_text().as_str() {
                    "replace" => ListMerge::Replace,
                    "keep" => ListMerge::Keep,
                    "append" => ListMerge::Append,
                    "prepend" => ListMerge::Prepend,
                    "append_rp" => ListMerge::AppendNew,
                    "prepend_rp" => ListMerge::PrependNew,
                    other => {
                        return Err(format!(
                            "merge_hash: 'list_merge' argument can only be equal to 'replace', 'keep', 'append', 'prepend', \
                             'append_rp' or 'prepend_rp', not '{other}'"
                        )
                        .into());
                    }
                };
            }
            _ => return Err("'recursive' and 'list_merge' are the only valid keyword arguments".into()),
        }
    }
    let mut dicts = Vec::new();
    let inputs: Vec<Val> = std::iter::once(call.input.clone()).chain(std::mem::take(&mut call.rest)).collect();
    for value in inputs {
        gather(call, &value, true, &mut dicts)?;
    }
    let mut result = indexmap::IndexMap::new();
    for dict in dicts {
        let entries = resolved(call.eval, &dict)?;
        merge(call, &mut result, entries, is_recursive, list_merge)?;
    }
    Ok(Val::Dict(Dict::own(result)))
}

/// A list of maps counts as its maps; a list within one does not.
fn gather(call: &mut Call<'_, '_>, value: &Val, is_outer: bool, dicts: &mut Vec<Dict>) -> Res<()> {
    match value {
        Val::Dict(dict) => dicts.push(dict.clone()),
        Val::None => {}
        Val::List(_) | Val::Tuple(_) if is_outer => {
            for item in call.eval.elements(value)? {
                gather(call, &item, false, dicts)?;
            }
        }
        other => {
            let other = call.eval.defined(other.clone())?;
            return Err(format!("failed to combine variables, expected dicts but got a '{}'", other.kind()).into());
        }
    }
    Ok(())
}

fn merge(
    call: &mut Call<'_, '_>,
    result: &mut indexmap::IndexMap<Key, Val>,
    entries: Vec<(Key, Val)>,
    is_recursive: bool,
    list_merge: ListMerge,
) -> Res<()> {
    for (key, value) in entries {
        let value = match (result.get(&key).cloned(), value) {
            (Some(Val::Dict(old)), Val::Dict(new)) if is_recursive => {
                let mut inner = resolved(call.eval, &old)?.into_iter().collect();
                let new = resolved(call.eval, &new)?;
                merge(call, &mut inner, new, true, list_merge)?;
                Val::Dict(Dict::own(inner))
            }
            (Some(old @ Val::List(_)), new @ Val::List(_)) if list_merge != ListMerge::Replace => {
                merge_lists(call, &old, &new, list_merge)?
            }
            (_, new) => new,
        };
        result.insert(key, value);
    }
    Ok(())
}

fn merge_lists(call: &mut Call<'_, '_>, old: &Val, new: &Val, list_merge: ListMerge) -> Res<Val> {
    let (old_items, new_items) = (call.eval.elements(old)?, call.eval.elements(new)?);
    let without = |items: Vec<Val>, others: &[Val]| -> Vec<Val> {
        items.into_iter().filter(|item| !others.iter().any(|other| equal(item, other))).collect()
    };
    let (first, second) = match list_merge {
        ListMerge::Replace => (Vec::new(), new_items),
        ListMerge::Keep => (old_items, Vec::new()),
        ListMerge::Append => (old_items, new_items),
        ListMerge::Prepend => (new_items, old_items),
        ListMerge::AppendNew => (without(old_items, &new_items), new_items),
        ListMerge::PrependNew => {
            let kept = without(old_items, &new_items);
            (new_items, kept)
        }
    };
    Ok(Val::list(first.into_iter().chain(second).collect()))
}

fn dict2items(call: &mut Call<'_, '_>) -> Res<Val> {
    let entries = entries_of(call, "dict2items")?;
    let (key_name, value_name) = (call.text_arg(0, "key"), call.text_arg(1, "value"));
    let item =
        |(key, value)| [(Key::String(key_name.clone()), key), (Key::String(value_name.clone()), value)].into_iter().collect();
    Ok(Val::list(entries.into_iter().map(item).collect()))
}

fn items2dict(call: &mut Call<'_, '_>) -> Res<Val> {
    let (key_name, value_name) = (call.text_arg(0, "key"), call.text_arg(1, "value"));
    if !matches!(call.input, Val::List(_) | Val::Tuple(_)) {
        return Err(format!("items2dict requires a list, got {} instead.", call.input.kind()).into());
    }
    let mut entries = Vec::new();
    for item in call.items()? {
        if !matches!(item, Val::Dict(_)) && !is_of_hosts(&item) {
            return Err(format!("items2dict requires a list of dictionaries, got a list of {} instead.", item.kind()).into());
        }
        let mut part = |name: &str| match call.eval.item(&item, &Val::from(name), Spot::default())? {
            found if !found.is_undefined() => call.eval.resolve(found),
            _ => Err(format!(
                "items2dict requires each dictionary in the list to contain the keys '{}' and '{}'",
                key_name.as_str(),
                value_name.as_str()
            )
            .into()),
        };
        entries.push((key_of(&part(&key_name)?)?, part(&value_name)?));
    }
    Ok(entries.into_iter().collect())
}

fn dictsort(call: &mut Call<'_, '_>) -> Res<Val> {
    let entries = entries_of(call, "dictsort")?;
    let by_value = match call.text_arg(1, "key").as_str() {
        "key" => false,
        "value" => true,
        _ => return Err("You can only sort by either \"key\" or \"value\"".into()),
    };
    let is_sensitive = call.flag(0, false);
    let mut pairs: Vec<(Val, Val)> = Vec::new();
    for (key, value) in entries {
        let sorted_by = if by_value { value.clone() } else { key.clone() };
        pairs.push((super::lists::folded(&sorted_by, is_sensitive), Val::tuple(vec![key, value])));
    }
    super::lists::sort_by_key(&mut pairs, call.flag(2, false))?;
    Ok(Val::list(pairs.into_iter().map(|(_, pair)| pair).collect()))
}

fn subelements(call: &mut Call<'_, '_>) -> Res<Val> {
    let items = match call.input.clone() {
        Val::Dict(dict) => resolved(call.eval, &dict)?.into_iter().map(|(_, value)| value).collect(),
        Val::List(_) | Val::Tuple(_) => call.items()?,
        _ => return Err("obj must be a list of dicts or a nested dict".into()),
    };
    let path = match call.needed(0, "subelements")? {
        Val::Str(path) => path.split('.').map(Val::from).collect(),
        list @ (Val::List(_) | Val::Tuple(_)) => call.eval.elements(&list)?,
        _ => return Err("subelements must be a list or a string".into()),
    };
    let skips_missing = call.flag(1, false);
    pairs_with_elements(call, &items, &path, skips_missing)
}

pub(crate) fn pairs_with_elements(call: &mut Call<'_, '_>, items: &[Val], path: &[Val], skips_missing: bool) -> Res<Val> {
    let mut pairs = Vec::new();
    for item in items {
        let mut value = item.clone();
        let mut is_missing = false;
        for step in path {
            let Val::Dict(dict) = &value else {
                return Err(
                    format!("the key {} should point to a dictionary, got '{}'", step.to_text().as_str(), value.kind()).into()
                );
            };
            match step.to_key().and_then(|key| dict.get(&key)) {
                Some(found) => value = call.eval.resolve(found)?,
                None if skips_missing => {
                    is_missing = true;
                    break;
                }
                None => {
                    let shown = crate::template::calls::shown(&value);
                    return Err(format!("could not find '{}' key in iterated item '{shown}'", step.to_text().as_str()).into());
                }
            }
        }
        if is_missing {
            continue;
        }
        if !matches!(value, Val::List(_)) {
            let last = path.last().map_or_else(String::new, |step| step.to_text().as_str().to_owned());
            return Err(format!("the key {last} should point to a list, got '{}'", crate::template::calls::shown(&value)).into());
        }
        for element in call.eval.elements(&value)? {
            pairs.push(Val::tuple(vec![item.clone(), element]));
        }
    }
    Ok(Val::list(pairs))
}

fn extract(call: &mut Call<'_, '_>) -> Res<Val> {
    let at = crate::template::syntax::tree::Spot::default();
    let container = call.needed(0, "container")?;
    let mut value = call.eval.item(&container, &call.input.clone(), at)?;
    let more = match call.given(1).cloned() {
        None => Vec::new(),
        Some(list @ (Val::List(_) | Val::Tuple(_))) => call.eval.elements(&list)?,
        Some(key) => vec![key],
    };
    for key in more {
        value = call.eval.item(&value, &key, at)?;
    }
    Ok(value)
}

fn rekey(call: &mut Call<'_, '_>) -> Res<Val> {
    let name = call.needed(0, "key")?.to_text();
    let overwrites = match call.text_arg(1, "error").as_str() {
        "error" => false,
        "overwrite" => true,
        other => return Err(format!("duplicates parameter to rekey_on_member has unknown value {other}").into()),
    };
    let items = match call.input.clone() {
        Val::Dict(dict) => resolved(call.eval, &dict)?.into_iter().map(|(_, value)| value).collect(),
        Val::List(_) | Val::Tuple(_) => call.items()?,
        _ => return Err("Type is not a valid list, set, or dict".into()),
    };
    let result = Dict::own(indexmap::IndexMap::new());
    for item in items {
        let Val::Dict(dict) = &item else { return Err("List item is not a valid dict".into()) };
        let Some(key) = dict.get(name.as_str()) else { return Err(format!("Key {} was not found", name.as_str()).into()) };
        let key = key_of(&call.eval.resolve(key)?)?;
        if result.has(&key) && !overwrites {
            return Err(format!("Key {key} is not unique, cannot correctly turn into dict").into());
        }
        result.set(key, item);
    }
    Ok(Val::Dict(result))
}
