//! Filters that apply a filter or a test to every item.

use super::text::passed;
use super::{Filter, filter};
use crate::template::calls::{Args, Call};
use crate::template::failure::Res;
use crate::template::runtime::Val;
use crate::template::syntax::tree::Spot;
use crate::template::tests;

pub(super) const FILTERS: &[Filter] = &[
    filter("map", &["*filter", "**options"], "a filter applied to every item, or an attribute of every item", map),
    filter("select", &["*test", "**options"], "the items that pass a test", |call| select(call, true)),
    filter("reject", &["*test", "**options"], "the items that fail a test", |call| select(call, false)),
    filter("selectattr", &["*test", "**options"], "the items with an attribute that passes a test", |call| {
        select_attribute(call, true)
    }),
    filter("rejectattr", &["*test", "**options"], "the items with an attribute that fails a test", |call| {
        select_attribute(call, false)
    }),
];

/// `item.a.b[0]` from the path `a.b.0`.
pub(super) fn attribute_of(call: &mut Call<'_, '_>, item: &Val, path: &Val) -> Res<Val> {
    let Val::Str(path) = path else { return call.eval.item(item, path, Spot::default()) };
    let mut value = item.clone();
    for step in path.split('.') {
        let key = step.parse().map_or_else(|_| Val::from(step), Val::Int);
        value = call.eval.item(&value, &key, Spot::default())?;
    }
    Ok(value)
}

fn map(call: &mut Call<'_, '_>) -> Res<Val> {
    let items = call.items()?;
    let mut args = passed(call);
    if args.positional.is_empty()
        && let Some(index) = args.named.iter().position(|(name, _)| &**name == "attribute")
    {
        let path = args.named.remove(index).1;
        let default = args.named.iter().find(|(name, _)| &**name == "default").map(|(_, value)| value.clone());
        if let Some((other, _)) = args.named.iter().find(|(name, _)| &**name != "default") {
            return Err(format!("Unexpected keyword argument '{other}'").into());
        }
        let mut mapped = Vec::with_capacity(items.len());
        for item in items {
            let value = attribute_of(call, &item, &path)?;
            mapped.push(match (&default, value.is_undefined()) {
                (Some(default), true) => default.clone(),
                _ => value,
            });
        }
        return Ok(Val::list(mapped));
    }
    if args.positional.is_empty() {
        return Err("map requires a filter argument".into());
    }
    let name = args.positional.remove(0).to_text();
    let mut mapped = Vec::with_capacity(items.len());
    for item in items {
        mapped.push(super::apply(call.eval, &name, item, args.clone(), call.locals)?);
    }
    Ok(Val::list(mapped))
}

fn passes(call: &mut Call<'_, '_>, value: Val, args: &Args) -> Res<bool> {
    let Some((name, rest)) = args.positional.split_first() else { return call.eval.truth(&value) };
    let args = Args { positional: rest.to_vec(), named: args.named.clone() };
    let result = tests::apply(call.eval, &name.to_text(), value, args, call.locals)?;
    call.eval.truth(&result)
}

fn select(call: &mut Call<'_, '_>, wanted: bool) -> Res<Val> {
    let items = call.items()?;
    let args = passed(call);
    let mut kept = Vec::new();
    for item in items {
        if passes(call, item.clone(), &args)? == wanted {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}

fn select_attribute(call: &mut Call<'_, '_>, wanted: bool) -> Res<Val> {
    let items = call.items()?;
    let mut args = passed(call);
    if args.positional.is_empty() {
        return Err("Missing parameter for attribute name".into());
    }
    let path = args.positional.remove(0);
    let mut kept = Vec::new();
    for item in items {
        let value = attribute_of(call, &item, &path)?;
        if passes(call, value, &args)? == wanted {
            kept.push(item);
        }
    }
    Ok(Val::list(kept))
}
