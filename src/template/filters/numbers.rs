//! Filters on numbers and sizes.

use super::convert::number;
use super::{Filter, filter};
use crate::template::calls::{Call, whole};
use crate::template::failure::Res;
use crate::template::runtime::Val;

pub(super) const FILTERS: &[Filter] = &[
    filter("abs", &[], "without its sign", abs),
    filter("round", &["precision", "method"], "rounded", round),
    filter("log", &["base"], "the logarithm", log),
    filter("pow", &["y"], "raised to a power", pow),
    filter("root", &["base"], "the square root, or another", root),
    filter("human_to_bytes", &["default_unit", "isbits"], "bytes from `10 MB`", to_bytes),
    filter("human_readable", &["isbits", "unit"], "`10.00 MB` from bytes", readable),
];

/// Units from the largest.
const UNITS: [(char, f64); 9] = [
    ('Y', 1208925819614629174706176.0),
    ('Z', 1180591620717411303424.0),
    ('E', 1152921504606846976.0),
    ('P', 1125899906842624.0),
    ('T', 1099511627776.0),
    ('G', 1073741824.0),
    ('M', 1048576.0),
    ('K', 1024.0),
    ('B', 1.0),
];

fn abs(call: &mut Call<'_, '_>) -> Res<Val> {
    match &call.input {
        Val::Float(number) => Ok(Val::Float(number.abs())),
        other => match other.as_int() {
            Some(number) => number.checked_abs().map(Val::Int).ok_or_else(|| "the result does not fit into 64 bits".into()),
            None => Err(format!("bad operand type for abs(): '{}'", other.kind()).into()),
        },
    }
}

fn round(call: &mut Call<'_, '_>) -> Res<Val> {
    let Some(value) = call.input.as_float() else {
        return Err(format!("type {} doesn't define __round__ method", call.input.kind()).into());
    };
    let precision = i32::try_from(call.int_arg(0, 0)?).unwrap_or(0).clamp(-300, 300);
    let method = call.text_arg(1, "common");
    let factor = 10_f64.powi(precision);
    let rounded = match method.as_str() {
        "common" if precision >= 0 => {
            let digits = usize::try_from(precision).unwrap_or(0);
            format!("{value:.digits$}").parse().unwrap_or(value)
        }
        "common" => (value * factor).round_ties_even() / factor,
        "ceil" => (value * factor).ceil() / factor,
        "floor" => (value * factor).floor() / factor,
        _ => return Err("method must be common, ceil or floor".into()),
    };
    Ok(match call.input {
        Val::Int(_) if method.as_str() == "common" => Val::Int(rounded as i64),
        _ => Val::Float(rounded),
    })
}

fn numeric(call: &Call<'_, '_>, what: &str) -> Res<f64> {
    call.input
        .as_float()
        .ok_or_else(|| format!("{what}() can only be used on numbers: must be real number, not {}", call.input.kind()).into())
}

fn log(call: &mut Call<'_, '_>) -> Res<Val> {
    let value = numeric(call, "log")?;
    if value <= 0.0 {
        return Err("log() can only be used on numbers: math domain error".into());
    }
    Ok(Val::Float(match call.given(0) {
        None => value.ln(),
        Some(base) => match number(base)? {
            10.0 => value.log10(),
            base => value.ln() / base.ln(),
        },
    }))
}

fn pow(call: &mut Call<'_, '_>) -> Res<Val> {
    let value = numeric(call, "pow")?;
    let power = number(&call.needed(0, "y")?)?;
    Ok(Val::Float(value.powf(power)))
}

fn root(call: &mut Call<'_, '_>) -> Res<Val> {
    let value = numeric(call, "root")?;
    let base = call.given(0).map(number).transpose()?.unwrap_or(2.0);
    if value < 0.0 {
        return Err("root() can only be used on numbers: math domain error".into());
    }
    Ok(Val::Float(if base == 2.0 { value.sqrt() } else { value.powf(1.0 / base) }))
}

fn to_bytes(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let default_unit = call.given(0).map(Val::to_text);
    let bytes = human_to_bytes(&text, default_unit.as_deref(), call.flag(1, false))?;
    Ok(Val::Int(bytes))
}

/// `10 MB`, or `10 Mb` where bits are meant.
pub(crate) fn human_to_bytes(text: &str, default_unit: Option<&str>, is_bits: bool) -> Result<i64, String> {
    let trimmed = text.trim();
    let invalid = || format!("human_to_bytes() can't interpret following string: {text}");
    let end = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
    let amount: f64 = trimmed[..end].parse().map_err(|_| invalid())?;
    let unit = trimmed[end..].trim();
    if !unit.chars().all(|c| c.is_ascii_alphabetic()) {
        return Err(invalid());
    }
    let unit = if unit.is_empty() { default_unit.unwrap_or("B") } else { unit };
    let Some(first) = unit.chars().next() else { return Ok(amount.round() as i64) };
    let size = UNITS.iter().find(|(letter, _)| *letter == first.to_ascii_uppercase()).map(|(_, size)| *size);
    let size = size.ok_or_else(|| {
        format!("human_to_bytes() failed to convert {text} (unit = {unit}). The suffix must be one of Y, Z, E, P, T, G, M, K, B")
    })?;
    check_class(text, unit, is_bits)?;
    Ok((amount * size).round_ties_even() as i64)
}

/// `MB` are bytes, `Mb` bits.
fn check_class(text: &str, unit: &str, is_bits: bool) -> Result<(), String> {
    let class = &unit[1..];
    let (expected, words) = if is_bits { ("b", ["bit", "bits"]) } else { ("B", ["byte", "bytes"]) };
    let lower = class.to_lowercase();
    let is_fine =
        class.is_empty() || class == expected || words.contains(&lower.as_str()) || words.contains(&unit.to_lowercase().as_str());
    if is_fine {
        return Ok(());
    }
    let what = if is_bits { "bit" } else { "byte" };
    Err(format!("human_to_bytes() failed to convert {text}. Value is not a valid string (expect {what}s)"))
}

fn readable(call: &mut Call<'_, '_>) -> Res<Val> {
    let bad = |_| format!("human_readable() failed on bad input: {}", call.input.to_text().as_str());
    let size = match &call.input {
        Val::Str(_) => whole(&call.input).map_err(bad)? as f64,
        other => number(other).map_err(bad)?,
    };
    let base = if call.flag(0, false) { "bits" } else { "Bytes" };
    let unit = call.given(1).map(|unit| unit.to_text().to_uppercase());
    let fits = |(letter, limit): &&(char, f64)| match &unit {
        None => size >= *limit,
        Some(unit) => unit.starts_with(*letter) && unit.chars().count() == 1,
    };
    let (letter, limit) = UNITS.iter().find(fits).copied().unwrap_or(('B', 1.0));
    let suffix = if limit == 1.0 { base.to_owned() } else { format!("{letter}{}", &base[..1]) };
    Ok(Val::from(format!("{:.2} {suffix}", size / limit)))
}
