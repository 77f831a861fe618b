//! Methods of Python's strings, lists, tuples, maps and numbers.

use super::access::wrapped;
use super::calls::{Args, whole};
use super::evaluate::Eval;
use super::failure::Res;
use super::format_string::format_string;
use super::runtime::{Dict, List, Object, Val, equal};
use crate::value::{Key, Text};

mod strings;

pub(crate) use strings::{capitalize, lines, split_text};

/// The canonical name of a method, if such a value has it.
pub(crate) fn find(of: &Val, name: &str) -> Option<&'static str> {
    let known: &[&'static str] = match of {
        Val::Str(_) => strings::NAMES,
        Val::List(_) => &["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"],
        Val::Tuple(_) => &["count", "index"],
        Val::Dict(_) => &["clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"],
        Val::Int(_) => &["bit_length"],
        Val::Float(_) => &["is_integer"],
        Val::Object(object) => match &**object {
            Object::Cycler { .. } => &["next", "reset"],
            Object::Loop(_) => &["cycle", "changed"],
            Object::DictType => &["fromkeys"],
            Object::DateTime(_) => &["strftime", "isoformat", "timestamp", "weekday", "isoweekday", "date", "time"],
            Object::Delta(_) => &["total_seconds"],
            Object::HostVars | Object::HostScope(_) => &["keys", "get", "items", "values"],
            _ => &[],
        },
        _ => &[],
    };
    known.iter().copied().find(|known| *known == name)
}

pub(crate) fn call(eval: &mut Eval<'_>, of: &Val, name: &str, args: Args) -> Res<Val> {
    match of {
        Val::Str(text) if name == "format" => format_string(eval, text, &args),
        Val::Str(text) => strings::call(eval, text, name, &Given(args)),
        Val::List(list) => list_method(eval, list, name, &Given(args)),
        Val::Tuple(items) => tuple_method(items, name, &Given(args)),
        Val::Dict(dict) => dict_method(eval, dict, name, &Given(args)),
        Val::Int(number) => Ok(Val::Int(i64::from(64 - number.unsigned_abs().leading_zeros()))),
        Val::Float(number) => Ok(Val::Bool(number.fract() == 0.0)),
        Val::Object(object) => object_method(eval, of, object, name, &Given(args)),
        other => Err(format!("'{}' object has no method {name}", other.kind()).into()),
    }
}

/// Positional arguments of a method.
pub(super) struct Given(pub(super) Args);

impl Given {
    pub(super) fn get(&self, index: usize) -> Option<&Val> {
        self.0.positional.get(index)
    }

    pub(super) fn named(&self, index: usize, name: &str) -> Option<&Val> {
        self.get(index).or_else(|| self.0.named.iter().find(|(other, _)| &**other == name).map(|(_, value)| value))
    }

    pub(super) fn needed(&self, index: usize) -> Res<&Val> {
        self.get(index)
            .ok_or_else(|| format!("expected at least {} argument(s), got {}", index + 1, self.0.positional.len()).into())
    }

    pub(super) fn text(&self, index: usize) -> Res<Text> {
        match self.needed(index)? {
            Val::Str(text) => Ok(text.clone()),
            other => Err(format!("a string is required, not '{}'", other.kind()).into()),
        }
    }

    pub(super) fn int(&self, index: usize, default: i64) -> Res<i64> {
        match self.get(index) {
            None | Some(Val::None) => Ok(default),
            Some(value) => whole(value),
        }
    }
}

/// A container must not end up inside of itself: nothing could print it.
fn acyclic(container: &Val, added: &Val) -> Res<()> {
    if holds(added, container) { Err(format!("a {} cannot contain itself", container.kind()).into()) } else { Ok(()) }
}

fn holds(outer: &Val, inner: &Val) -> bool {
    match (outer, inner) {
        (Val::List(one), Val::List(other)) if one.is_same(other) => true,
        (Val::Dict(one), Val::Dict(other)) if one.is_same(other) => true,
        (Val::List(list), _) if !list.is_settled() => list.items().iter().any(|item| holds(item, inner)),
        (Val::Dict(dict), _) if !dict.is_settled() => dict.entries().values().any(|value| holds(value, inner)),
        (Val::Tuple(items), _) => items.iter().any(|item| holds(item, inner)),
        _ => false,
    }
}

fn list_method(eval: &mut Eval<'_>, list: &List, name: &str, args: &Given) -> Res<Val> {
    let this = Val::List(list.clone());
    match name {
        "append" => {
            let item = args.needed(0)?.clone();
            acyclic(&this, &item)?;
            list.change(|items| items.push(item));
        }
        "extend" => {
            let more = eval.elements(args.needed(0)?)?;
            more.iter().try_for_each(|item| acyclic(&this, item))?;
            list.change(|items| items.extend(more));
        }
        "insert" => {
            let index = whole(args.needed(0)?)?;
            let item = args.needed(1)?.clone();
            acyclic(&this, &item)?;
            let length = list.len();
            let position = wrapped(index, length).unwrap_or(if index < 0 { 0 } else { length });
            list.change(|items| items.insert(position, item));
        }
        "pop" => {
            if list.len() == 0 {
                return Err("pop from empty list".into());
            }
            let position = wrapped(args.int(0, -1)?, list.len()).ok_or("pop index out of range")?;
            let item = list.change(|items| items.remove(position));
            return eval.resolve(item);
        }
        "remove" => {
            let position = position_of(eval, &list.items(), args.needed(0)?)?.ok_or("list.remove(x): x not in list")?;
            list.change(|items| items.remove(position));
        }
        "clear" => list.change(Vec::clear),
        "reverse" => list.change(|items| items.reverse()),
        "copy" => return Ok(Val::list(list.items())),
        "sort" => {
            let mut items = eval.elements(&this)?;
            let is_reversed = args.named(usize::MAX, "reverse").and_then(Val::truth).unwrap_or(false);
            super::filters::sort_values(&mut items, is_reversed)?;
            list.change(|own| *own = items);
        }
        "count" => return count(eval, &list.items(), args.needed(0)?),
        _ => {
            let wanted = args.needed(0)?;
            let position = position_of(eval, &list.items(), wanted)?;
            return position.map(Val::size).ok_or_else(|| format!("{} is not in list", super::runtime::repr(wanted)).into());
        }
    }
    Ok(Val::None)
}

fn position_of(eval: &mut Eval<'_>, items: &[Val], wanted: &Val) -> Res<Option<usize>> {
    for (position, item) in items.iter().enumerate() {
        let item = eval.deep(item)?;
        if equal(&item, wanted) {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

fn count(eval: &mut Eval<'_>, items: &[Val], wanted: &Val) -> Res<Val> {
    let mut found = 0;
    for item in items {
        let item = eval.deep(item)?;
        found += usize::from(equal(&item, wanted));
    }
    Ok(Val::size(found))
}

fn tuple_method(items: &[Val], name: &str, args: &Given) -> Res<Val> {
    let wanted = args.needed(0)?;
    if name == "count" {
        return Ok(Val::size(items.iter().filter(|item| equal(item, wanted)).count()));
    }
    let position = items.iter().position(|item| equal(item, wanted));
    position.map(Val::size).ok_or_else(|| "tuple.index(x): x not in tuple".into())
}

fn key_of(value: &Val) -> Res<Key> {
    value.to_key().ok_or_else(|| format!("unhashable type: '{}'", value.kind()).into())
}

fn dict_method(eval: &mut Eval<'_>, dict: &Dict, name: &str, args: &Given) -> Res<Val> {
    let this = Val::Dict(dict.clone());
    let stored = |eval: &mut Eval<'_>, key: &Key| match dict.get(key) {
        Some(value) => eval.resolve_named(value, &key.to_string()).map(Some),
        None => Ok(None),
    };
    match name {
        "get" => {
            let found = stored(eval, &key_of(args.needed(0)?)?)?;
            return Ok(found.unwrap_or_else(|| args.named(1, "default").cloned().unwrap_or(Val::None)));
        }
        "setdefault" => {
            let key = key_of(args.needed(0)?)?;
            if let Some(value) = stored(eval, &key)? {
                return Ok(value);
            }
            let value = args.get(1).cloned().unwrap_or(Val::None);
            acyclic(&this, &value)?;
            dict.set(key, value.clone());
            return Ok(value);
        }
        "pop" => {
            let key = key_of(args.needed(0)?)?;
            let Some(value) = stored(eval, &key)? else {
                return args.get(1).cloned().ok_or_else(|| super::runtime::repr(&Val::from_key(&key)).into());
            };
            dict.change(|entries| entries.shift_remove(&key));
            return Ok(value);
        }
        "popitem" => {
            let (key, value) = dict.change(indexmap::IndexMap::pop).ok_or("'popitem(): dictionary is empty'")?;
            return Ok(Val::tuple(vec![Val::from_key(&key), eval.resolve(value)?]));
        }
        "update" => {
            let added = super::functions::make_dict(eval, args.0.clone())?;
            acyclic(&this, &added)?;
            if let Val::Dict(added) = added {
                added.entries().into_iter().for_each(|(key, value)| dict.set(key, value));
            }
        }
        "clear" => dict.change(indexmap::IndexMap::clear),
        "copy" => return Ok(Val::Dict(Dict::own(dict.entries()))),
        "keys" => return Ok(Val::list(dict.keys().iter().map(Val::from_key).collect())),
        "values" => return Ok(Val::list(resolved(eval, dict)?.into_iter().map(|(_, value)| value).collect())),
        _ => {
            let pairs = resolved(eval, dict)?.into_iter().map(|(key, value)| Val::tuple(vec![Val::from_key(&key), value]));
            return Ok(Val::list(pairs.collect()));
        }
    }
    Ok(Val::None)
}

/// The entries of a map, each rendered.
pub(crate) fn resolved(eval: &mut Eval<'_>, dict: &Dict) -> Res<Vec<(Key, Val)>> {
    let entries = dict.entries().into_iter();
    entries.map(|(key, value)| eval.resolve_named(value, &key.to_string()).map(|value| (key, value))).collect()
}

fn object_method(eval: &mut Eval<'_>, of: &Val, object: &Object, name: &str, args: &Given) -> Res<Val> {
    match object {
        Object::Cycler { items, next } => {
            if name == "reset" {
                next.set(0);
                return Ok(Val::None);
            }
            let item = items.get(next.get()).cloned().unwrap_or(Val::None);
            next.set((next.get() + 1) % items.len().max(1));
            Ok(item)
        }
        Object::Loop(state) if name == "cycle" => {
            let items = &args.0.positional;
            items.get(state.index.get() % items.len().max(1)).cloned().ok_or_else(|| "no items for cycling given".into())
        }
        Object::Loop(state) => {
            let now = args.0.positional.iter().map(|item| eval.deep(item)).collect::<Res<Vec<_>>>()?;
            let before = state.seen.replace(Some(now.clone()));
            let is_same = before.is_some_and(|before| equal(&Val::list(before), &Val::list(now)));
            Ok(Val::Bool(!is_same))
        }
        Object::DictType => {
            let value = args.get(1).cloned().unwrap_or(Val::None);
            let keys = eval.elements(args.needed(0)?)?;
            keys.iter().map(|key| key_of(key).map(|key| (key, value.clone()))).collect()
        }
        Object::DateTime(time) => Ok(match name {
            "strftime" => Val::from(time.format(&args.text(0)?)),
            "isoformat" => Val::from(time.iso('T')),
            "timestamp" => Val::Float(time.epoch() as f64 + f64::from(time.microsecond) / 1e6),
            "weekday" => Val::Int(time.weekday()),
            "isoweekday" => Val::Int(time.weekday() + 1),
            "date" => Val::from(time.format("%Y-%m-%d")),
            _ => Val::from(time.format("%H:%M:%S")),
        }),
        Object::Delta(delta) => Ok(Val::Float(delta.microseconds as f64 / 1e6)),
        Object::HostVars | Object::HostScope(_) => host_method(eval, of, name, args),
        _ => Err(format!("'{}' object has no method {name}", of.kind()).into()),
    }
}

fn host_method(eval: &mut Eval<'_>, of: &Val, name: &str, args: &Given) -> Res<Val> {
    let at = super::syntax::tree::Spot::default();
    if name == "get" {
        let found = eval.item(of, args.needed(0)?, at)?;
        return Ok(if found.is_undefined() { args.get(1).cloned().unwrap_or(Val::None) } else { found });
    }
    if name == "keys" {
        return Ok(Val::list(eval.iterate(of)?));
    }
    let entry = |(key, value)| if name == "items" { Val::tuple(vec![key, value]) } else { value };
    Ok(Val::list(host_entries(eval, of)?.into_iter().map(entry).collect()))
}

/// All of `hostvars`, or of one host's.
pub(crate) fn host_entries(eval: &mut Eval<'_>, of: &Val) -> Res<Vec<(Val, Val)>> {
    let mut entries = Vec::new();
    for key in eval.iterate(of)? {
        let value = eval.item(of, &key, super::syntax::tree::Spot::default())?;
        entries.push((key, value));
    }
    Ok(entries)
}
