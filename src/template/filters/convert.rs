//! Filters from one kind of value to another, and those that choose between values.

use super::{Filter, filter};
use crate::template::calls::{Call, whole};
use crate::template::failure::{Problem, Res};
use crate::template::runtime::Val;

pub(super) const FILTERS: &[Filter] = &[
    filter("default", &["default_value", "boolean"], "another value where there is none", default).or(&["d"]).taking_undefined(),
    filter("mandatory", &["msg"], "an error where there is no value", mandatory).taking_undefined(),
    filter("type_debug", &[], "the name of the type", type_debug).taking_undefined(),
    filter("bool", &[], "a boolean from `yes`, `on`, `1`, `true` and their opposites", bool),
    filter("int", &["default", "base"], "an integer", int),
    filter("float", &["default"], "a float", float),
    filter("string", &[], "text", string).or(&["safe"]),
    filter("list", &[], "a list", list),
    filter("ternary", &["true_val", "false_val", "none_val"], "one value for true, another for false", ternary)
        .taking_undefined(),
    filter("attr", &["name"], "an attribute, never an entry", attr),
    filter("items", &[], "the pairs of a map", items),
];

fn default(call: &mut Call<'_, '_>) -> Res<Val> {
    let is_wanted = call.input.is_missing() || (call.flag(1, false) && call.input.truth() == Some(false));
    Ok(if is_wanted { call.arg(0).cloned().unwrap_or_else(|| Val::from("")) } else { call.input.clone() })
}

fn mandatory(call: &mut Call<'_, '_>) -> Res<Val> {
    let Val::Undefined(error) = &call.input else { return Ok(call.input.clone()) };
    match call.given(0) {
        Some(message) => Err(message.to_text().as_str().into()),
        None => match &error.problem {
            Problem::Undefined { name, .. } => Err(format!("Mandatory variable '{name}'  not defined.").into()),
            _ => Err("Mandatory variable not defined.".into()),
        },
    }
}

fn type_debug(call: &mut Call<'_, '_>) -> Res<Val> {
    Ok(Val::from(call.input.kind()))
}

fn bool(call: &mut Call<'_, '_>) -> Res<Val> {
    let truth = match &call.input {
        Val::None => return Ok(Val::None),
        Val::Bool(truth) => *truth,
        Val::Str(text) => matches!(text.to_lowercase().as_str(), "yes" | "on" | "1" | "true"),
        other => other.as_float() == Some(1.0),
    };
    Ok(Val::Bool(truth))
}

fn int(call: &mut Call<'_, '_>) -> Res<Val> {
    let base = u32::try_from(call.int_arg(1, 10)?).unwrap_or(10);
    let default = call.arg(0).cloned().unwrap_or(Val::Int(0));
    let number = match &call.input {
        Val::Str(text) => parse_int(text, base),
        Val::Float(number) if number.is_finite() => Some(*number as i64),
        other => other.as_int(),
    };
    Ok(number.map_or(default, Val::Int))
}

/// An integer as Python's `int(text, base)` reads it, else what a float leaves of it.
fn parse_int(text: &str, base: u32) -> Option<i64> {
    let trimmed = text.trim();
    let (sign, digits) = trimmed.strip_prefix('-').map_or((1, trimmed.strip_prefix('+').unwrap_or(trimmed)), |rest| (-1, rest));
    let lower = digits.to_ascii_lowercase();
    let digits = match base {
        16 => lower.strip_prefix("0x").unwrap_or(&lower),
        8 => lower.strip_prefix("0o").unwrap_or(&lower),
        2 => lower.strip_prefix("0b").unwrap_or(&lower),
        _ => &lower,
    };
    let is_separated = !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__");
    let plain = digits.replace('_', "");
    let is_number = is_separated && plain.chars().next().is_some_and(char::is_alphanumeric);
    if is_number
        && (2..=36).contains(&base)
        && let Ok(number) = i64::from_str_radix(&plain, base)
    {
        return number.checked_mul(sign);
    }
    let float: f64 = trimmed.parse().ok()?;
    float.is_finite().then_some(float as i64)
}

fn float(call: &mut Call<'_, '_>) -> Res<Val> {
    let default = call.arg(0).cloned().unwrap_or(Val::Float(0.0));
    let number = match &call.input {
        Val::Str(text) => text.trim().replace('_', "").parse().ok(),
        other => other.as_float(),
    };
    Ok(number.map_or(default, Val::Float))
}

fn string(call: &mut Call<'_, '_>) -> Res<Val> {
    Ok(Val::Str(call.text()?))
}

fn list(call: &mut Call<'_, '_>) -> Res<Val> {
    let input = call.input.clone();
    Ok(Val::list(call.eval.iterate(&input)?))
}

fn ternary(call: &mut Call<'_, '_>) -> Res<Val> {
    if let (Val::None, Some(value)) = (&call.input, call.given(2)) {
        return Ok(value.clone());
    }
    let input = call.input.clone();
    let truth = call.eval.truth(&input)?;
    let (first, second) = (call.needed(0, "true_val")?, call.needed(1, "false_val")?);
    Ok(if truth { first } else { second })
}

fn attr(call: &mut Call<'_, '_>) -> Res<Val> {
    let name = call.text_arg(0, "");
    let input = call.input.clone();
    let at = crate::template::syntax::tree::Spot::default();
    match &input {
        Val::Dict(_) if crate::template::methods::find(&input, &name).is_none() => {
            let problem =
                Problem::NoAttribute { kind: input.kind().to_owned(), name: format!("'{}'", name.as_str()), closest: None };
            Ok(call.eval.undefined(problem, at))
        }
        _ => call.eval.attribute(&input, &name.as_str().into(), at),
    }
}

fn items(call: &mut Call<'_, '_>) -> Res<Val> {
    match call.input.clone() {
        Val::Dict(dict) => {
            let pairs = crate::template::methods::resolved(call.eval, &dict)?;
            Ok(Val::list(pairs.into_iter().map(|(key, value)| Val::tuple(vec![Val::from_key(&key), value])).collect()))
        }
        _ => Err("Can only get item pairs from a mapping.".into()),
    }
}

/// A number that a filter was given as text or number.
pub(super) fn number(value: &Val) -> Res<f64> {
    match value {
        Val::Str(text) => {
            text.trim().parse().map_err(|_| format!("could not convert string to float: '{}'", text.as_str()).into())
        }
        other => match other.as_float() {
            Some(number) => Ok(number),
            None => whole(other).map(|number| number as f64),
        },
    }
}
