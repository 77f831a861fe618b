//! Hardware addresses.

use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;

/// The 48 bits of `1a:2b:3c:4d:5e:6f`, `1A-2B-…`, `1a2b.3c4d.5e6f`, `1a2b3c:4d5e6f` or `1a2b3c4d5e6f`.
pub(super) fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let separator = text.chars().find(|letter| !letter.is_ascii_hexdigit());
    let parts: Vec<&str> = separator.map_or_else(|| vec![text], |separator| text.split(separator).collect());
    let width = match (parts.len(), separator) {
        (6, Some(':' | '-')) => 2,
        (3, Some('.' | ':' | '-')) => 4,
        (2, Some(':' | '-')) => 6,
        (1, None) if text.len() == 12 => 12,
        _ => return None,
    };
    let is_part = |part: &&str| (1..=width).contains(&part.len()) && part.chars().all(|letter| letter.is_ascii_hexdigit());
    if !parts.iter().all(is_part) {
        return None;
    }
    parts.iter().try_fold(0_u64, |number, part| Some(number << (4 * width) | u64::from_str_radix(part, 16).ok()?))
}

/// `form` is how the filter is called, for messages.
pub(super) fn ask(call: &mut Call<'_, '_>, form: &str) -> Res<Val> {
    let query = call.text_arg(0, "");
    let text = call.input.to_text();
    let Some(number) = number(&text) else {
        return Ok(if query.is_empty() || query.as_str() == "bool" { Val::None } else { Val::Bool(false) });
    };
    let digits = format!("{number:012x}");
    let split = |width: usize, separator: &str| {
        let parts: Vec<&str> = (0..digits.len()).step_by(width).map(|at| &digits[at..at + width]).collect();
        parts.join(separator)
    };
    let answer = match query.as_str() {
        "" => return Ok(call.input.clone()),
        "bool" => return Ok(Val::Bool(true)),
        "int" => return Ok(i64::try_from(number).map_or(Val::None, Val::Int)),
        "bare" => digits.to_uppercase(),
        "cisco" => split(4, "."),
        "eui48" | "win" => split(2, "-").to_uppercase(),
        "linux" => split(2, ":"),
        "pgsql" | "postgresql" | "psql" => split(6, ":"),
        "unix" => split(2, ":").split(':').map(|part| part.strip_prefix('0').unwrap_or(part)).collect::<Vec<_>>().join(":"),
        other => return Err(format!("{form}: unknown filter type: {other}").into()),
    };
    Ok(Val::from(answer))
}
