//! Spans of time such as `1h 30m`, in one unit.

use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;

/// Names by unit, and how many milliseconds each has; a year and a month can be said otherwise.
const UNITS: &[(&[&str], f64)] = &[
    (&["ms", "msec", "msecs", "millisecond", "milliseconds", "msecond", "mseconds"], 1.0),
    (&["s", "sec", "secs", "second", "seconds"], 1000.0),
    (&["m", "min", "mins", "minute", "minutes"], 60_000.0),
    (&["h", "hour", "hours"], 3_600_000.0),
    (&["d", "day", "days"], DAY),
    (&["w", "week", "weeks"], 7.0 * DAY),
    (&["mo", "month", "months"], 30.0 * DAY),
    (&["y", "year", "years"], 365.0 * DAY),
];
const DAY: f64 = 86_400_000.0;

pub(super) fn to_unit(call: &mut Call<'_, '_>) -> Res<Val> {
    let unit = call.text_arg(0, "ms");
    to(call, unit.as_str())
}

pub(super) fn to(call: &mut Call<'_, '_>, unit: &str) -> Res<Val> {
    let days = |name: &str| call.named(name).and_then(Val::as_float);
    let (year, month) = (days("year"), days("month"));
    let factor = |word: &str| -> Option<f64> {
        let (names, factor) = UNITS.iter().find(|(names, _)| names.contains(&word))?;
        Some(match (names[0], year, month) {
            ("y", Some(days), _) | ("mo", _, Some(days)) => days * DAY,
            _ => *factor,
        })
    };
    let wanted = factor(unit).ok_or_else(|| format!("to_time_unit() can not convert to the following unit: {unit}"))?;
    let text = call.text()?;
    if text.trim() == "0" {
        return Ok(Val::Float(0.0));
    }
    let unreadable = || format!("to_time_unit() can not interpret following string: {}", text.as_str());
    let mut sum = 0.0;
    for word in text.split_whitespace() {
        let split = word.find(|letter: char| letter.is_alphabetic()).ok_or_else(unreadable)?;
        let number: f64 = word[..split].parse().map_err(|_| unreadable())?;
        sum += number * factor(&word[split..].to_lowercase()).ok_or_else(unreadable)?;
    }
    Ok(Val::Float((sum / wanted * 1e12).round() / 1e12))
}
