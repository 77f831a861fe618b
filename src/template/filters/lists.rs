//! Filters on lists.

use super::pick::attribute_of;
use super::{Filter, filter};
use crate::template::calls::{Call, whole};
use crate::template::failure::{Problem, Res};
use crate::template::runtime::{TextBuilder, Val, arithmetic, equal, order};
use crate::template::syntax::tree::{Operator, Spot};
use std::cmp::Ordering;

pub(super) const FILTERS: &[Filter] = &[
    filter("length", &[], "how many items or characters", length).or(&["count"]),
    filter("first", &[], "the first item", |call| end(call, true)),
    filter("last", &[], "the last item", |call| end(call, false)),
    filter("join", &["d", "attribute"], "all items as one text", join),
    filter("sort", &["reverse", "case_sensitive", "attribute"], "in order", sort),
    filter("reverse", &[], "from the end to the start", reverse),
    filter("unique", &["case_sensitive", "attribute"], "every item once", unique),
    filter("min", &["case_sensitive", "attribute"], "the smallest item", |call| extreme(call, Ordering::Less)),
    filter("max", &["case_sensitive", "attribute"], "the largest item", |call| extreme(call, Ordering::Greater)),
    filter("sum", &["attribute", "start"], "all numbers added up", sum),
    filter("batch", &["linecount", "fill_with"], "lists of so many items", batch),
    filter("slice", &["slices", "fill_with"], "so many lists", slices),
    filter("groupby", &["attribute", "default", "case_sensitive"], "lists of the items that share an attribute", groupby),
    filter("flatten", &["levels", "skip_nulls"], "one list instead of lists in a list", flatten),
    filter("union", &["other"], "what is in one list or the other", |call| set(call, SetOperation::Union)),
    filter("intersect", &["other"], "what is in both lists", |call| set(call, SetOperation::Intersect)),
    filter("difference", &["other"], "what is in the first list only", |call| set(call, SetOperation::Difference)),
    filter("symmetric_difference", &["other"], "what is in just one of the lists", |call| set(call, SetOperation::Symmetric)),
    filter("zip", &["*others", "**options"], "the first items together, the second items together, …", zip),
    filter("zip_longest", &["*others", "**options"], "as `zip`, up to the longest list", zip_longest),
    filter("product", &["*others", "**options"], "every item with every item of the others", product),
    filter("permutations", &["size"], "every order of the items", permutations),
    filter("combinations", &["size"], "every choice of so many items", combinations),
];

/// More results than this are refused.
const RESULTS_MAX: usize = 2_000_000;

fn length(call: &mut Call<'_, '_>) -> Res<Val> {
    Ok(Val::size(match &call.input {
        Val::Str(text) => text.chars().count(),
        Val::List(items) => items.len(),
        Val::Tuple(items) => items.len(),
        Val::Dict(dict) => dict.len(),
        Val::Object(_) => call.items()?.len(),
        other => return Err(format!("object of type '{}' has no len()", other.kind()).into()),
    }))
}

fn end(call: &mut Call<'_, '_>, is_first: bool) -> Res<Val> {
    let input = call.input.clone();
    let items = call.eval.iterate(&input)?;
    match if is_first { items.into_iter().next() } else { items.into_iter().next_back() } {
        Some(item) => call.eval.resolve(item),
        None => {
            let hint = format!("No {} item, sequence was empty.", if is_first { "first" } else { "last" });
            Ok(call.eval.undefined(Problem::Hint { hint }, Spot::default()))
        }
    }
}

fn join(call: &mut Call<'_, '_>) -> Res<Val> {
    let separator = call.text_arg(0, "");
    let attribute = call.given(1).cloned();
    let mut out = TextBuilder { is_secret: separator.is_secret(), ..TextBuilder::default() };
    for (index, item) in call.items()?.into_iter().enumerate() {
        if index > 0 {
            out.push(&separator);
        }
        let item = match &attribute {
            Some(path) => attribute_of(call, &item, path)?,
            None => item,
        };
        let item = call.eval.defined(item)?;
        out.push_val(&call.eval.deep(&item)?);
    }
    Ok(out.finish())
}

/// What sorting compares: text without regard to case, unless asked to.
pub(super) fn folded(value: &Val, is_sensitive: bool) -> Val {
    match value {
        Val::Str(text) if !is_sensitive => Val::from(text.to_lowercase()),
        other => other.clone(),
    }
}

/// Sorts by the first of each pair; stable, also in reverse. The first failing comparison is the error.
pub(super) fn sort_by_key(pairs: &mut [(Val, Val)], is_reversed: bool) -> Res<()> {
    // Python asks first whether an item is smaller than the one before it, so that is the comparison its error names.
    for pair in pairs.windows(2) {
        order(&pair[1].0, &pair[0].0, "<")?;
    }
    let mut problem = None;
    pairs.sort_by(|(left, _), (right, _)| {
        let found = order(left, right, "<").unwrap_or_else(|reason| {
            problem.get_or_insert(reason);
            None
        });
        let found = found.unwrap_or(Ordering::Equal);
        if is_reversed { found.reverse() } else { found }
    });
    match problem {
        Some(reason) => Err(reason.into()),
        None => Ok(()),
    }
}

/// Sorts values as `list.sort()` does.
pub(crate) fn sort_values(items: &mut [Val], is_reversed: bool) -> Res<()> {
    let mut pairs: Vec<(Val, Val)> = items.iter().map(|item| (item.clone(), item.clone())).collect();
    sort_by_key(&mut pairs, is_reversed)?;
    for (slot, (_, item)) in items.iter_mut().zip(pairs) {
        *slot = item;
    }
    Ok(())
}

fn sort(call: &mut Call<'_, '_>) -> Res<Val> {
    let (is_reversed, is_sensitive) = (call.flag(0, false), call.flag(1, false));
    let attribute = call.given(2).cloned();
    let items = call.items()?;
    let mut pairs = Vec::with_capacity(items.len());
    for item in items {
        let key = sort_key(call, &item, attribute.as_ref(), is_sensitive)?;
        pairs.push((key, item));
    }
    sort_by_key(&mut pairs, is_reversed)?;
    Ok(Val::list(pairs.into_iter().map(|(_, item)| item).collect()))
}

/// `a,b.c` sorts by several attributes.
fn sort_key(call: &mut Call<'_, '_>, item: &Val, attribute: Option<&Val>, is_sensitive: bool) -> Res<Val> {
    let one = |call: &mut Call<'_, '_>, path: &Val| {
        let value = attribute_of(call, item, path)?;
        let value = call.eval.defined(value)?;
        Ok(folded(&call.eval.deep(&value)?, is_sensitive))
    };
    match attribute {
        None => {
            let item = call.eval.defined(item.clone())?;
            Ok(folded(&call.eval.deep(&item)?, is_sensitive))
        }
        Some(Val::Str(paths)) => {
            let keys: Res<Vec<Val>> = paths.split(',').map(|path| one(call, &Val::from(path))).collect();
            Ok(Val::list(keys?))
        }
        Some(path) => one(call, path),
    }
}

fn reverse(call: &mut Call<'_, '_>) -> Res<Val> {
    if let Val::Str(text) = &call.input {
        return Ok(Val::from(text.chars().rev().collect::<String>()));
    }
    let mut items = call.items()?;
    items.reverse();
    Ok(Val::list(items))
}

fn unique(call: &mut Call<'_, '_>) -> Res<Val> {
    let is_sensitive = call.flag(0, false);
    let attribute = call.given(1).cloned();
    let mut seen: Vec<Val> = Vec::new();
    let mut kept = Vec::new();
    for item in call.items()? {
        let key = match &attribute {
            Some(path) => attribute_of(call, &item, path)?,
            None => item.clone(),
        };
        let key = call.eval.defined(key)?;
        let key = folded(&call.eval.deep(&key)?, is_sensitive);
        let has_options = call.arg(0).is_some() || attribute.is_some();
        if has_options && matches!(key, Val::Dict(_) | Val::List(_)) {
            return Err(format!(
                "Jinja2's unique filter failed and we cannot fall back to Ansible's version as it does not support the \
                 parameters supplied: unhashable type: '{}'",
                key.kind()
            )
            .into());
        }
        if !seen.iter().any(|other| equal(other, &key)) {
            seen.push(key);
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

fn extreme(call: &mut Call<'_, '_>, wanted: Ordering) -> Res<Val> {
    let is_sensitive = call.flag(0, false);
    let attribute = call.given(1).cloned();
    let mut best: Option<(Val, Val)> = None;
    for item in call.items()? {
        let key = match &attribute {
            Some(path) => attribute_of(call, &item, path)?,
            None => item.clone(),
        };
        let key = call.eval.defined(key)?;
        let key = folded(&call.eval.deep(&key)?, is_sensitive);
        let is_better = match &best {
            None => true,
            Some((other, _)) => order(&key, other, if wanted.is_lt() { "<" } else { ">" })? == Some(wanted),
        };
        if is_better {
            best = Some((key, item));
        }
    }
    match best {
        Some((_, item)) => Ok(item),
        None => {
            let hint = "No aggregated item, sequence was empty.".to_owned();
            Ok(call.eval.undefined(Problem::Hint { hint }, Spot::default()))
        }
    }
}

fn sum(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut total = call.arg(1).cloned().unwrap_or(Val::Int(0));
    let attribute = call.given(0).cloned();
    for item in call.items()? {
        let item = match &attribute {
            Some(path) => attribute_of(call, &item, path)?,
            None => item,
        };
        let item = call.eval.defined(item)?;
        total = arithmetic(Operator::Add, &total, &item)?;
    }
    Ok(total)
}

fn positive(call: &Call<'_, '_>, index: usize, name: &str) -> Res<usize> {
    let number = whole(&call.needed(index, name)?)?;
    usize::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{name} has to be positive, not {number}").into())
}

fn batch(call: &mut Call<'_, '_>) -> Res<Val> {
    let size = positive(call, 0, "linecount")?;
    let fill = call.given(1).cloned();
    let items = call.items()?;
    let mut batches = Vec::new();
    for chunk in items.chunks(size) {
        let mut chunk = chunk.to_vec();
        if let Some(fill) = &fill
            && size <= RESULTS_MAX
        {
            chunk.resize(size, fill.clone());
        }
        batches.push(Val::list(chunk));
    }
    Ok(Val::list(batches))
}

fn slices(call: &mut Call<'_, '_>) -> Res<Val> {
    let count = positive(call, 0, "slices")?;
    if count > RESULTS_MAX {
        return Err(format!("{count} slices are more than {RESULTS_MAX}").into());
    }
    let fill = call.given(1).cloned();
    let items = call.items()?;
    let (per_slice, longer) = (items.len() / count, items.len() % count);
    let mut start = 0;
    let mut slices = Vec::new();
    for index in 0..count {
        let end = start + per_slice + usize::from(index < longer);
        let mut slice = items[start..end].to_vec();
        start = end;
        if let Some(fill) = &fill
            && index >= longer
            && longer > 0
        {
            slice.push(fill.clone());
        }
        slices.push(Val::list(slice));
    }
    Ok(Val::list(slices))
}

fn groupby(call: &mut Call<'_, '_>) -> Res<Val> {
    let path = call.needed(0, "attribute")?;
    let default = call.arg(1).cloned();
    let is_sensitive = call.flag(2, false);
    let mut pairs = Vec::new();
    for item in call.items()? {
        let value = attribute_of(call, &item, &path)?;
        let value = match (&default, value.is_undefined()) {
            (Some(default), true) => default.clone(),
            _ => call.eval.defined(value)?,
        };
        let value = call.eval.deep(&value)?;
        pairs.push((folded(&value, is_sensitive), Val::tuple(vec![value, item])));
    }
    sort_by_key(&mut pairs, false)?;
    let mut groups: Vec<(Val, Val, Vec<Val>)> = Vec::new();
    for (key, pair) in pairs {
        let Val::Tuple(pair) = pair else { continue };
        let (Some(value), Some(item)) = (pair.first(), pair.get(1)) else { continue };
        match groups.last_mut() {
            Some((other, _, items)) if equal(other, &key) => items.push(item.clone()),
            _ => groups.push((key, value.clone(), vec![item.clone()])),
        }
    }
    Ok(Val::list(groups.into_iter().map(|(_, value, items)| Val::tuple(vec![value, Val::list(items)])).collect()))
}

fn flatten(call: &mut Call<'_, '_>) -> Res<Val> {
    let levels = match call.given(0) {
        None => usize::MAX,
        Some(levels) => usize::try_from(whole(levels)?).unwrap_or(0),
    };
    let skips_nulls = call.flag(1, true);
    let items = call.items()?;
    let mut flat = Vec::new();
    flatten_into(call, items, levels, skips_nulls, &mut flat)?;
    Ok(Val::list(flat))
}

fn flatten_into(call: &mut Call<'_, '_>, items: Vec<Val>, levels: usize, skips_nulls: bool, flat: &mut Vec<Val>) -> Res<()> {
    for item in items {
        let is_null = match &item {
            Val::None => true,
            Val::Str(text) => matches!(text.as_str(), "None" | "null"),
            _ => false,
        };
        if is_null && skips_nulls {
            continue;
        }
        match item {
            Val::List(_) | Val::Tuple(_) if levels > 0 => {
                let inner = call.eval.elements(&item)?;
                flatten_into(call, inner, levels.saturating_sub(1), skips_nulls, flat)?;
            }
            other => flat.push(other),
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum SetOperation {
    Union,
    Intersect,
    Difference,
    Symmetric,
}

/// Set operations that keep the order of the first list.
fn set(call: &mut Call<'_, '_>, operation: SetOperation) -> Res<Val> {
    let other = call.needed(0, "other")?;
    let left = deep_items(call, &call.input.clone())?;
    let right = deep_items(call, &other)?;
    let has = |items: &[Val], item: &Val| items.iter().any(|other| equal(item, other));
    let mut result: Vec<Val> = Vec::new();
    let mut add = |item: &Val| {
        if !has(&result, item) {
            result.push(item.clone());
        }
    };
    match operation {
        SetOperation::Union => left.iter().chain(&right).for_each(&mut add),
        SetOperation::Intersect => left.iter().filter(|item| has(&right, item)).for_each(&mut add),
        SetOperation::Difference => left.iter().filter(|item| !has(&right, item)).for_each(&mut add),
        SetOperation::Symmetric => {
            left.iter().filter(|item| !has(&right, item)).for_each(&mut add);
            right.iter().filter(|item| !has(&left, item)).for_each(&mut add);
        }
    }
    Ok(Val::list(result))
}

fn deep_items(call: &mut Call<'_, '_>, value: &Val) -> Res<Vec<Val>> {
    let items = call.eval.elements(value)?;
    items.iter().map(|item| call.eval.deep(item)).collect()
}

/// The input and the further lists.
fn lists(call: &mut Call<'_, '_>) -> Res<Vec<Vec<Val>>> {
    let inputs: Vec<Val> = std::iter::once(call.input.clone()).chain(std::mem::take(&mut call.rest)).collect();
    inputs.iter().map(|input| call.eval.elements(input)).collect()
}

fn zip(call: &mut Call<'_, '_>) -> Res<Val> {
    let is_strict = call.named("strict").and_then(Val::truth).unwrap_or(false);
    let lists = lists(call)?;
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    if is_strict && lists.iter().any(|list| list.len() != shortest) {
        return Err("zip() arguments have different lengths".into());
    }
    let row = |index: usize| Val::tuple(lists.iter().filter_map(|list| list.get(index).cloned()).collect());
    Ok(Val::list((0..shortest).map(row).collect()))
}

fn zip_longest(call: &mut Call<'_, '_>) -> Res<Val> {
    let fill = call.named("fillvalue").cloned().unwrap_or(Val::None);
    let lists = lists(call)?;
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row =
        |index: usize| Val::tuple(lists.iter().map(|list| list.get(index).cloned().unwrap_or_else(|| fill.clone())).collect());
    Ok(Val::list((0..longest).map(row).collect()))
}

fn bounded(count: Option<usize>) -> Res<()> {
    match count {
        Some(count) if count <= RESULTS_MAX => Ok(()),
        _ => Err(format!("this gives more than {RESULTS_MAX} results").into()),
    }
}

fn product(call: &mut Call<'_, '_>) -> Res<Val> {
    let repeat = call.named("repeat").map(whole).transpose()?.unwrap_or(1);
    let once = lists(call)?;
    let repeat = usize::try_from(repeat).unwrap_or(0).min(64);
    let lists: Vec<Vec<Val>> = std::iter::repeat_n(once, repeat).flatten().collect();
    bounded(lists.iter().try_fold(1_usize, |count, list| count.checked_mul(list.len())))?;
    let mut rows: Vec<Vec<Val>> = vec![Vec::new()];
    for list in &lists {
        rows = rows
            .iter()
            .flat_map(|row| list.iter().map(move |item| row.iter().cloned().chain([item.clone()]).collect()))
            .collect();
    }
    Ok(Val::list(rows.into_iter().map(Val::tuple).collect()))
}

fn permutations(call: &mut Call<'_, '_>) -> Res<Val> {
    let items = call.items()?;
    let size = usize::try_from(call.int_arg(0, i64::try_from(items.len()).unwrap_or(0))?).unwrap_or(0);
    if size > items.len() {
        return Ok(Val::list(Vec::new()));
    }
    bounded((0..size).try_fold(1_usize, |count, taken| count.checked_mul(items.len() - taken)))?;
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..size {
        rows = rows
            .iter()
            .flat_map(|row| {
                (0..items.len()).filter(|index| !row.contains(index)).map(|index| row.iter().copied().chain([index]).collect())
            })
            .collect();
    }
    Ok(Val::list(rows.into_iter().map(|row| Val::tuple(row.into_iter().map(|index| items[index].clone()).collect())).collect()))
}

fn combinations(call: &mut Call<'_, '_>) -> Res<Val> {
    let items = call.items()?;
    let size = usize::try_from(whole(&call.needed(0, "size")?)?).unwrap_or(0);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..size.min(items.len() + 1) {
        rows = rows
            .iter()
            .flat_map(|row| {
                let next = row.last().map_or(0, |last| last + 1);
                (next..items.len()).map(|index| row.iter().copied().chain([index]).collect::<Vec<_>>())
            })
            .take(RESULTS_MAX + 1)
            .collect();
        bounded(Some(rows.len()))?;
    }
    Ok(Val::list(rows.into_iter().map(|row| Val::tuple(row.into_iter().map(|index| items[index].clone()).collect())).collect()))
}
