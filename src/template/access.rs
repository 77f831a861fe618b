//! `value.name`, `value[index]` and `value[from:to:step]`.

use super::evaluate::Eval;
use super::failure::{Problem, Res};
use super::methods;
use super::runtime::{Delta, LoopState, Object, Val, repr};
use super::syntax::tree::{Name, Spot};
use crate::diag::closest;
use std::rc::Rc;

impl Eval<'_> {
    /// `of.name`: a method or attribute first, then an entry.
    pub(crate) fn attribute(&mut self, of: &Val, name: &Name, at: Spot) -> Res<Val> {
        if of.is_undefined() {
            return Ok(of.clone());
        }
        if name.starts_with("__") {
            let hint = format!("access to attribute '{name}' of '{}' object is unsafe.", of.kind());
            return Ok(self.undefined(Problem::Hint { hint }, at));
        }
        if methods::find(of, name).is_some() {
            return Ok(Val::object(Object::Method(of.clone(), name.clone())));
        }
        let found = match of {
            Val::Dict(dict) => match dict.get(&**name) {
                Some(value) => Some(self.entry(of, name, value)?),
                None => None,
            },
            Val::Object(object) => self.object_attribute(object, name, at)?,
            // The pairs of `groupby` have names.
            Val::Tuple(pair) if pair.len() == 2 && matches!(pair[1], Val::List(_)) => match &**name {
                "grouper" => pair.first().cloned(),
                "list" => pair.get(1).cloned(),
                _ => None,
            },
            Val::Int(_) if &**name == "real" => Some(of.clone()),
            _ => None,
        };
        match found {
            Some(value) => Ok(value),
            None => Ok(self.missing(of, &format!("'{name}'"), name, at)),
        }
    }

    /// `of[index]`: an entry first, then an attribute.
    pub(crate) fn item(&mut self, of: &Val, index: &Val, at: Spot) -> Res<Val> {
        if of.is_undefined() {
            return Ok(of.clone());
        }
        if index.is_undefined() {
            return Ok(index.clone());
        }
        let found = match of {
            Val::Dict(dict) => match index.to_key().and_then(|key| dict.get(&key)) {
                Some(value) => Some(self.entry(of, &index.to_text(), value)?),
                None => None,
            },
            Val::List(list) => {
                let position = index.as_int().and_then(|index| wrapped(index, list.len()));
                match position.and_then(|position| list.get(position).map(|item| (position, item))) {
                    Some((position, item @ Val::Pending(_))) => {
                        let item = self.resolve(item)?;
                        list.set(position, item.clone());
                        Some(item)
                    }
                    found => found.map(|(_, item)| item),
                }
            }
            Val::Tuple(items) => {
                index.as_int().and_then(|index| wrapped(index, items.len())).and_then(|index| items.get(index).cloned())
            }
            Val::Str(text) => character(text, index).map(|c| Val::text_of(c, text.is_secret())),
            Val::Object(object) => match (&**object, index) {
                (Object::Range(range), _) => {
                    index.as_int().and_then(|index| wrapped(index, range.len())).and_then(|index| range.get(index)).map(Val::Int)
                }
                (_, Val::Str(name)) => self.object_attribute(object, name, at)?,
                _ => None,
            },
            _ => None,
        };
        match (found, index) {
            (Some(value), _) => Ok(value),
            (None, Val::Str(name)) => self.attribute(of, &name.as_str().into(), at),
            (None, _) => Ok(self.missing(of, &repr(index), &index.to_text(), at)),
        }
    }

    /// A value of a map, which remembers it once it is rendered.
    fn entry(&mut self, of: &Val, name: &str, value: Val) -> Res<Val> {
        if !matches!(value, Val::Pending(_)) {
            return Ok(value);
        }
        let value = self.resolve_named(value, name)?;
        if let Val::Dict(dict) = of {
            dict.set(name.into(), value.clone());
        }
        Ok(value)
    }

    fn missing(&self, of: &Val, shown: &str, name: &str, at: Spot) -> Val {
        let closest = match of {
            Val::Dict(dict) => {
                let keys: Vec<String> = dict.keys().iter().filter_map(|key| key.as_str().map(str::to_owned)).collect();
                closest(name, keys.iter().map(String::as_str)).map(str::to_owned)
            }
            _ => None,
        };
        self.undefined(Problem::NoAttribute { kind: of.kind().to_owned(), name: shown.to_owned(), closest }, at)
    }

    fn object_attribute(&mut self, object: &Rc<Object>, name: &str, at: Spot) -> Res<Option<Val>> {
        Ok(match &**object {
            Object::Namespace(values) => values.borrow().get(name).cloned(),
            Object::Loop(state) => self.loop_attribute(state, name, at),
            Object::Module(module) => module.locals.own(name).filter(|_| !name.starts_with('_')),
            Object::Macro(shape) => match name {
                "name" => Some(Val::text(shape.definition.name.clone())),
                "arguments" => {
                    Some(Val::tuple(shape.definition.params.iter().map(|(name, _)| Val::text(name.clone())).collect()))
                }
                "catch_varargs" => Some(shape.definition.uses_varargs.into()),
                "catch_kwargs" => Some(shape.definition.uses_kwargs.into()),
                "caller" => Some(shape.definition.uses_caller.into()),
                _ => None,
            },
            Object::Cycler { items, next } => (name == "current").then(|| items.get(next.get()).cloned().unwrap_or(Val::None)),
            Object::DateTime(time) => {
                let fields = time.fields();
                match name {
                    "year" => Some(Val::Int(fields.year)),
                    "month" => Some(Val::Int(fields.month)),
                    "day" => Some(Val::Int(fields.day)),
                    "hour" => Some(Val::Int(fields.hour)),
                    "minute" => Some(Val::Int(fields.minute)),
                    "second" => Some(Val::Int(fields.second)),
                    "microsecond" => Some(Val::Int(time.microsecond.into())),
                    _ => None,
                }
            }
            Object::Delta(delta) => delta_attribute(*delta, name),
            Object::Template => {
                let has_block = self.blocks.borrow().contains_key(name);
                has_block.then(|| Val::object(Object::Block(name.into(), 0)))
            }
            Object::HostVars => {
                let host = super::runtime::HostScope { host: name.to_owned() };
                self.scope.of_host(name).is_some().then(|| Val::object(Object::HostScope(host)))
            }
            Object::HostScope(host) => self.variable_of(host, name)?,
            _ => None,
        })
    }

    fn loop_attribute(&self, state: &LoopState, name: &str, at: Spot) -> Option<Val> {
        let index = state.index.get();
        let length = state.items.len();
        let neighbour = |index: Option<usize>, word: &str| {
            let hint = || Problem::Hint { hint: format!("there is no {word} item") };
            index.and_then(|index| state.items.get(index).cloned()).unwrap_or_else(|| self.undefined(hint(), at))
        };
        Some(match name {
            "index" => Val::size(index + 1),
            "index0" => Val::size(index),
            "revindex" => Val::size(length - index),
            "revindex0" => Val::size(length.saturating_sub(index + 1)),
            "first" => Val::Bool(index == 0),
            "last" => Val::Bool(index + 1 == length),
            "length" => Val::size(length),
            "depth" => Val::size(state.depth),
            "depth0" => Val::size(state.depth.saturating_sub(1)),
            "previtem" => neighbour(index.checked_sub(1), "previous"),
            "nextitem" => neighbour(index.checked_add(1), "next"),
            _ => return None,
        })
    }

    pub(crate) fn slice(&mut self, of: &Val, [start, stop, step]: [Option<i64>; 3]) -> Res<Val> {
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err("slice step cannot be zero".into());
        }
        match of {
            Val::Str(text) => {
                let characters: Vec<char> = text.chars().collect();
                let picked = positions(characters.len(), start, stop, step).into_iter().map(|index| characters[index]).collect();
                Ok(Val::text_of(picked, text.is_secret()))
            }
            Val::List(list) => {
                let items = list.items();
                Ok(Val::list(positions(items.len(), start, stop, step).into_iter().map(|index| items[index].clone()).collect()))
            }
            Val::Tuple(items) => {
                Ok(Val::tuple(positions(items.len(), start, stop, step).into_iter().map(|index| items[index].clone()).collect()))
            }
            Val::Object(object) if matches!(**object, Object::Range(_)) => {
                let items = self.iterate(of)?;
                Ok(Val::list(positions(items.len(), start, stop, step).into_iter().map(|index| items[index].clone()).collect()))
            }
            other => Err(format!("'{}' object is not subscriptable", other.kind()).into()),
        }
    }
}

fn delta_attribute(delta: Delta, name: &str) -> Option<Val> {
    match name {
        "days" => Some(Val::Int(delta.days())),
        "seconds" => Some(Val::Int(delta.seconds())),
        "microseconds" => Some(Val::Int(delta.microseconds.rem_euclid(1_000_000))),
        _ => None,
    }
}

/// A position from an index that may count from the end.
pub(crate) fn wrapped(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let position = if index < 0 { index + length } else { index };
    usize::try_from(position).ok().filter(|_| position < length)
}

fn character(text: &str, index: &Val) -> Option<String> {
    let index = index.as_int()?;
    let position = wrapped(index, text.chars().count())?;
    text.chars().nth(position).map(String::from)
}

/// The positions a slice picks, in order.
fn positions(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Vec<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |bound: Option<i64>, default: i64| match bound {
        None => default,
        Some(bound) if bound < 0 => (bound + length).clamp(low, high),
        Some(bound) => bound.clamp(low, high),
    };
    let (first, end) =
        if step > 0 { (bound(start, 0), bound(stop, length)) } else { (bound(start, length - 1), bound(stop, -1)) };
    let mut picked = Vec::new();
    let mut position = first;
    while if step > 0 { position < end } else { position > end } {
        picked.extend(usize::try_from(position));
        position = match position.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
    picked
}
