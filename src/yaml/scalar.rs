//! What a plain scalar stands for in YAML 1.1, as PyYAML resolves it.

use crate::value::Value;

/// The value of a plain scalar without a tag. Dates stay strings.
pub(super) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        _ => {}
    }
    if let Some(truth) = boolean(text) {
        return Value::Bool(truth);
    }
    let is_numeric = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    if !is_numeric {
        return text.into();
    }
    match (float(text), integer(text)) {
        (Some(number), _) => Value::Float(number),
        (None, Some(number)) => Value::Int(number),
        (None, None) => text.into(),
    }
}

/// The value of a plain scalar in a text that is JSON: there `1e3` is a number and `0644` cannot be.
pub(super) fn resolve_json(text: &str) -> Value {
    Value::from_json(text).unwrap_or_else(|_| resolve(text))
}

/// `yes`, `no`, `on`, `off`, `true`, `false` in three ways of writing each; `y` and `n` are strings.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Base 10 with `_`, base 8 with a leading `0`, `0x`, `0b`, base 60 with colons. An integer too large for 64 bits is none:
/// as a string it keeps its digits.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = sign(text);
    let magnitude = unsigned(digits)?;
    let number = if negative { magnitude.checked_neg()? } else { magnitude };
    i64::try_from(number).ok()
}

fn unsigned(digits: &str) -> Option<i128> {
    if let Some(rest) = digits.strip_prefix("0b") {
        return radix(rest, 2);
    }
    if let Some(rest) = digits.strip_prefix("0x") {
        return radix(rest, 16);
    }
    if digits == "0" {
        return Some(0);
    }
    if let Some(rest) = digits.strip_prefix('0') {
        return if rest.chars().all(|digit| digit == '_') { Some(0) } else { radix(rest, 8) };
    }
    if digits.contains(':') { sixties(digits) } else { radix(digits, 10) }
}

fn radix(digits: &str, base: u32) -> Option<i128> {
    let is_digit = |digit: char| digit == '_' || digit.is_digit(base);
    let starts_well = base != 10 || digits.starts_with(|first: char| first.is_ascii_digit());
    if !starts_well || !digits.chars().all(is_digit) {
        return None;
    }
    i128::from_str_radix(&digits.replace('_', ""), base).ok()
}

/// `12:30:45` is 45045.
fn sixties(digits: &str) -> Option<i128> {
    let (first, rest) = digits.split_once(':')?;
    let mut total = radix(first, 10)?;
    for part in rest.split(':') {
        total = total.checked_mul(60)?.checked_add(sixty(part)?.into())?;
    }
    Some(total)
}

/// One or two digits, below sixty.
fn sixty(part: &str) -> Option<u8> {
    let is_plain = matches!(part.len(), 1 | 2) && part.bytes().all(|digit| digit.is_ascii_digit());
    part.parse().ok().filter(|number| is_plain && *number < 60)
}

/// With a point, and an exponent only with its sign: `1e3` and `1.5e3` are strings.
pub(super) fn float(text: &str) -> Option<f64> {
    let (negative, rest) = sign(text);
    let sign = if negative { -1.0 } else { 1.0 };
    match rest {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if rest.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    if let Some((whole, _)) = rest.split_once('.')
        && whole.contains(':')
    {
        return sixties_with_fraction(rest).map(|number| sign * number);
    }
    is_decimal(rest, rest.len() == text.len()).then(|| rest.replace('_', "").parse::<f64>().ok().map(|number| sign * number))?
}

fn sixties_with_fraction(digits: &str) -> Option<f64> {
    let (whole, fraction) = digits.split_once('.')?;
    let is_fraction = fraction.bytes().all(|digit| digit.is_ascii_digit() || digit == b'_');
    let seconds = sixties(whole).filter(|_| is_fraction)?;
    let fraction = format!("0.{}", fraction.replace('_', "")).parse::<f64>().ok()?;
    Some(seconds as f64 + fraction)
}

fn is_decimal(digits: &str, is_unsigned: bool) -> bool {
    let Some((whole, rest)) = digits.split_once('.') else { return false };
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let is_digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit() || digit == b'_');
    let starts_well = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
    let has_number = if whole.is_empty() { is_unsigned && starts_well(fraction) } else { starts_well(whole) };
    let is_exponent = |part: &str| {
        let digits = part.strip_prefix(['+', '-']).unwrap_or("");
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    has_number && is_digits(whole) && is_digits(fraction) && exponent.is_none_or(is_exponent)
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_and_nulls() {
        for (text, value) in [
            ("yes", Value::Bool(true)),
            ("Off", Value::Bool(false)),
            ("y", "y".into()),
            ("N", "N".into()),
            ("tRue", "tRue".into()),
            ("~", Value::Null),
            ("", Value::Null),
            ("nUll", "nUll".into()),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
    }

    #[test]
    fn integers() {
        for (text, number) in [
            ("0644", 420),
            ("0", 0),
            ("-0", 0),
            ("0_", 0),
            ("+12", 12),
            ("1_000", 1000),
            ("0x1F", 31),
            ("-0b101", -5),
            ("12:30:45", 45045),
            ("22:22", 1342),
            ("-1:30", -90),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(resolve(text), Value::Int(number), "{text}");
        }
    }

    #[test]
    fn floats() {
        for (text, number) in [
            ("1.5", 1.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("-1.5", -1.5),
            ("1.5e+3", 1500.0),
            ("1.e-2", 0.01),
            ("1_0.5_0", 10.5),
            (".inf", f64::INFINITY),
            ("-.INF", f64::NEG_INFINITY),
            ("1:30.5", 90.5),
        ] {
            assert_eq!(resolve(text), Value::Float(number), "{text}");
        }
        assert!(matches!(resolve(".nan"), Value::Float(number) if number.is_nan()));
    }

    #[test]
    fn all_else_is_a_string() {
        let strings = [
            "0o644",
            "1e3",
            "1.5e3",
            "1:60",
            "08",
            "09.x",
            "-.5",
            "+.nan",
            "2020-01-02",
            "1.2.3",
            "0x",
            "0b2",
            "_1",
            "-",
            "+",
            ".",
            "..",
            "1:2:",
            "10.0.0.1",
            "9223372036854775808",
            "=",
            "1,000",
            "0.0.0.0:80",
            "1__:2x",
            "0:30",
            "00:10",
            "-.",
            "1.e",
            "٣",
        ];
        for text in strings {
            assert_eq!(resolve(text), Value::from(text), "{text}");
        }
    }

    #[test]
    fn json_numbers_are_json_numbers() {
        assert_eq!(resolve_json("1e3"), Value::Float(1000.0));
        assert_eq!(resolve_json("1.5e3"), Value::Float(1500.0));
        assert_eq!(resolve_json("true"), Value::Bool(true));
    }
}
