//! Filters on dates and times.

use super::convert::number;
use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::{DateTime, Object, Val};
use std::time::UNIX_EPOCH;

pub(super) const FILTERS: &[Filter] = &[
    filter("strftime", &["second", "utc"], "a time in a format", strftime),
    filter("to_datetime", &["format"], "a time from a text", to_datetime),
];

fn strftime(call: &mut Call<'_, '_>) -> Res<Val> {
    let format = call.text()?;
    let (seconds, microsecond) = match call.given(0) {
        None => {
            let since = call.eval.world.now().duration_since(UNIX_EPOCH).unwrap_or_default();
            (i64::try_from(since.as_secs()).unwrap_or(0), since.subsec_micros())
        }
        Some(value) => {
            let seconds = number(value).map_err(|_| format!("Invalid value for epoch value ({})", value.to_text().as_str()))?;
            (seconds.floor() as i64, 0)
        }
    };
    let (offset, zone) = if call.flag(1, false) { (0, "GMT".to_owned()) } else { zone_at(seconds) };
    let time = DateTime { local_seconds: seconds.saturating_add(offset.into()), microsecond, offset_seconds: Some(offset) };
    Ok(Val::from(time.format(&named(&format, &zone))))
}

fn to_datetime(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let format = call.text_arg(0, "%Y-%m-%d %H:%M:%S");
    match DateTime::parse(&text, &format) {
        Some(time) => Ok(Val::object(Object::DateTime(time))),
        None => Err(format!("time data '{}' does not match format '{}'", text.as_str(), format.as_str()).into()),
    }
}

/// The format with the name of the zone in place of `%Z`.
fn named(format: &str, zone: &str) -> String {
    let parts: Vec<String> = format.split("%%").map(|part| part.replace("%Z", zone)).collect();
    parts.join("%%")
}

/// Seconds between UTC and the time of this machine at a moment; 0 when nothing says so.
pub(crate) fn zone_offset(epoch: i64) -> i32 {
    zone_at(epoch).0
}

/// The same with the name of the zone, such as `CET`.
fn zone_at(epoch: i64) -> (i32, String) {
    let utc = || (0, "UTC".to_owned());
    let path = match std::env::var("TZ") {
        Ok(zone) if zone.is_empty() => return utc(),
        Ok(zone) if zone.starts_with('/') => zone,
        Ok(zone) => format!("/usr/share/zoneinfo/{}", zone.trim_start_matches(':')),
        Err(_) => "/etc/localtime".to_owned(),
    };
    std::fs::read(path).ok().and_then(|bytes| zone_in(&bytes, epoch)).unwrap_or_else(utc)
}

/// The offset and the name that a TZif file gives for a moment: its second part, with times of 64 bits, counts.
fn zone_in(bytes: &[u8], epoch: i64) -> Option<(i32, String)> {
    let header = |at: usize| -> Option<[usize; 6]> {
        (bytes.get(at..at + 4)? == b"TZif").then_some(())?;
        let mut counts = [0; 6];
        for (index, count) in counts.iter_mut().enumerate() {
            let start = at + 20 + index * 4;
            *count = u32::from_be_bytes(bytes.get(start..start + 4)?.try_into().ok()?) as usize;
        }
        Some(counts)
    };
    let [utc, standard, leaps, times, types, names] = header(0)?;
    let second = 44 + times * 5 + types * 6 + names + leaps * 8 + standard + utc;
    let [_, _, _, times, types, _] = header(second)?;
    let start = second + 44;
    let mut kind = 0;
    for index in 0..times {
        let at = start + index * 8;
        let moment = i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
        if moment > epoch {
            break;
        }
        kind = usize::from(*bytes.get(start + times * 8 + index)?);
    }
    let at = start + times * 9 + kind.min(types.checked_sub(1)?) * 6;
    let offset = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
    let name = bytes.get(start + times * 9 + types * 6 + usize::from(*bytes.get(at + 5)?)..)?;
    let name = name.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
    Some((offset, name))
}
