//! Functions that every template can call.

use super::calls::{Args, Call};
use super::evaluate::Eval;
use super::failure::{Problem, Res, fault};
use super::lookups;
use super::runtime::{DateTime, Dict, Object, Range, Val};
use std::cell::{Cell, RefCell};
use std::time::UNIX_EPOCH;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [&'static str],
    pub(crate) doc: &'static str,
    pub(crate) takes_undefined: bool,
    pub(crate) run: fn(&mut Call<'_, '_>) -> Res<Val>,
}

pub(crate) const FUNCTIONS: &[Function] = &[
    row("lookup", &["the lookup", "*terms", "**options"], "the result of a lookup as text or single value", lookups::lookup),
    row("query", &["the lookup", "*terms", "**options"], "the result of a lookup as a list", lookups::query),
    row("q", &["the lookup", "*terms", "**options"], "the result of a lookup as a list", lookups::query),
    row("range", &["*numbers"], "numbers from a start to a stop", range),
    row("namespace", &["*from", "**values"], "values that loops can change", namespace),
    row("undef", &["hint"], "a value that must be overridden", undef),
    row("now", &["utc", "fmt"], "the current date and time", now),
    row("cycler", &["*items"], "one item after the other, again and again", cycler),
    row("joiner", &["sep"], "nothing at first, then the separator", joiner),
    row("lipsum", &["n", "html", "min", "max"], "filler text", lipsum),
];

/// The longest range, as everything in it is put into memory.
const RANGE_MAX: usize = 10_000_000;

const fn row(
    name: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Call<'_, '_>) -> Res<Val>,
) -> Function {
    Function { name, params, doc, takes_undefined: false, run }
}

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

fn range(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut numbers = Vec::new();
    for value in &call.rest {
        let number = value.as_int().ok_or_else(|| format!("'{}' object cannot be interpreted as an integer", value.kind()))?;
        numbers.push(number);
    }
    let range = match *numbers.as_slice() {
        [stop] => Range { start: 0, stop, step: 1 },
        [start, stop] => Range { start, stop, step: 1 },
        [_, _, 0] => return Err("range() arg 3 must not be zero".into()),
        [start, stop, step] => Range { start, stop, step },
        _ => return Err(format!("range expected 1 to 3 arguments, got {}", numbers.len()).into()),
    };
    if range.len() > RANGE_MAX {
        return Err(format!("the range has {} items, more than {RANGE_MAX}", range.len()).into());
    }
    Ok(Val::object(Object::Range(range)))
}

fn namespace(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut values = indexmap::IndexMap::new();
    for from in call.rest.clone() {
        if let Val::Dict(dict) = &from {
            for (key, value) in dict.entries() {
                values.insert(key.to_string().into(), call.eval.resolve(value)?);
            }
        }
    }
    values.extend(call.named.clone());
    Ok(Val::object(Object::Namespace(RefCell::new(values))))
}

fn undef(call: &mut Call<'_, '_>) -> Res<Val> {
    let hint = call.text_arg(0, "Mandatory variable has not been overridden").to_string();
    Ok(Val::Undefined(std::rc::Rc::new(*fault(Problem::Hint { hint }))))
}

fn now(call: &mut Call<'_, '_>) -> Res<Val> {
    let since = call.eval.world.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = i64::try_from(since.as_secs()).unwrap_or(0);
    let offset = if call.flag(0, false) { 0 } else { super::filters::zone_offset(epoch) };
    let time = DateTime { local_seconds: epoch + i64::from(offset), microsecond: since.subsec_micros(), offset_seconds: None };
    match call.given(1) {
        Some(format) => Ok(Val::from(time.format(&format.to_text()))),
        None => Ok(Val::object(Object::DateTime(time))),
    }
}

fn cycler(call: &mut Call<'_, '_>) -> Res<Val> {
    if call.rest.is_empty() {
        return Err("at least one item has to be provided".into());
    }
    Ok(Val::object(Object::Cycler { items: call.rest.clone(), next: Cell::new(0) }))
}

fn joiner(call: &mut Call<'_, '_>) -> Res<Val> {
    let separator = call.arg(0).cloned().unwrap_or_else(|| Val::from(", "));
    Ok(Val::object(Object::Joiner { separator, is_used: Cell::new(false) }))
}

fn lipsum(call: &mut Call<'_, '_>) -> Res<Val> {
    const TEXT: &str = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.";
    let paragraphs = usize::try_from(call.int_arg(0, 5)?).unwrap_or(0).min(1000);
    let paragraph = if call.flag(1, true) { format!("<p>{TEXT}</p>") } else { TEXT.to_owned() };
    Ok(Val::from(vec![paragraph; paragraphs].join(if call.flag(1, true) { "\n" } else { "\n\n" })))
}

/// `dict(pairs, name=value)`
pub(crate) fn make_dict(eval: &mut Eval<'_>, args: Args) -> Res<Val> {
    let dict = Dict::own(indexmap::IndexMap::new());
    if let Some(first) = args.positional.first() {
        match eval.defined(first.clone())? {
            Val::Dict(from) => from.entries().into_iter().for_each(|(key, value)| dict.set(key, value)),
            other => {
                for pair in eval.elements(&other)? {
                    let pair = eval.elements(&pair)?;
                    let [key, value] = pair.as_slice() else {
                        return Err(format!("dictionary update sequence element has length {}; 2 is required", pair.len()).into());
                    };
                    dict.set(key.to_key().ok_or_else(|| format!("unhashable type: '{}'", key.kind()))?, value.clone());
                }
            }
        }
    }
    for (name, value) in args.named {
        dict.set(crate::value::Key::from(&*name), value);
    }
    Ok(Val::Dict(dict))
}
