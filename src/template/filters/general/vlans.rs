//! Lists of VLANs and other small things of the collection `ansible.netcommon`.

use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;

/// Numbers as lines of `1-3,5`, each no longer than a switch takes.
pub(super) fn parser(call: &mut Call<'_, '_>) -> Res<Val> {
    let (first_width, width) = (call.int_arg(0, 48)?, call.int_arg(1, 44)?);
    let mut numbers = Vec::new();
    for item in call.items()? {
        match item.as_int() {
            Some(number) => numbers.push(number),
            None => return Err(format!("'<' not supported between instances of '{}' and 'int'", item.kind()).into()),
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Err("list index out of range".into());
    }
    if numbers.iter().any(|number| !(1..=4094).contains(number)) {
        return Err("Valid VLAN range is 1-4094".into());
    }
    let mut lines: Vec<String> = Vec::new();
    for run in numbers.chunk_by(|one, other| one + 1 == *other) {
        let words = match run {
            [first, _, .., last] => vec![format!("{first}-{last}")],
            few => few.iter().map(i64::to_string).collect(),
        };
        for word in words {
            let limit = usize::try_from(if lines.len() == 1 { first_width } else { width }).unwrap_or(0);
            match lines.last_mut() {
                Some(line) if line.len() + 1 + word.len() <= limit => {
                    line.push(',');
                    line.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
    }
    Ok(Val::list(lines.into_iter().map(Val::from).collect()))
}

/// `1,3-5` as numbers.
pub(super) fn expander(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = if matches!(call.input, Val::None) { "".into() } else { call.text()? };
    let number = |text: &str| -> Res<i64> {
        text.trim().parse().map_err(|_| format!("invalid literal for int() with base 10: '{text}'").into())
    };
    let mut numbers = Vec::new();
    for part in text.split(',') {
        match part.split('-').collect::<Vec<_>>().as_slice() {
            [first, last] => {
                let (first, last) = (number(first)?, number(last)?);
                if last.saturating_sub(first) > RANGE_MAX {
                    return Err(format!("a range of more than {RANGE_MAX} numbers").into());
                }
                numbers.extend(first..=last);
            }
            [one] => numbers.push(number(one)?),
            _ => return Err("too many values to unpack (expected 2)".into()),
        }
    }
    numbers.sort_unstable();
    Ok(Val::list(numbers.into_iter().map(Val::Int).collect()))
}

/// Longer ranges are refused.
const RANGE_MAX: i64 = 1_000_000;

/// The salt of `$6$salt$hash`.
pub(super) fn hash_salt(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    match text.split('$').collect::<Vec<_>>().as_slice() {
        [_, _, salt, _] => Ok(Val::from(*salt)),
        _ => Err(format!("Could not parse salt out password correctly from {}", text.as_str()).into()),
    }
}
