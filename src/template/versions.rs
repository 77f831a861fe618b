//! Comparing versions in the several ways that `version` offers.

use super::calls::Call;
use super::failure::Res;
use std::cmp::Ordering;

/// The `version` test.
pub(crate) fn compare(call: &mut Call<'_, '_>) -> Res<bool> {
    let left = call.text()?;
    let right = call.needed(0, "version")?.to_text();
    let operator = call.text_arg(1, "eq");
    if left.is_empty() {
        return Err("Input version value cannot be empty".into());
    }
    if right.is_empty() {
        return Err("Version parameter to compare against cannot be empty".into());
    }
    let kind = match (call.given(3), call.arg(2).and_then(super::runtime::Val::truth)) {
        (Some(_), Some(_)) => return Err("Cannot specify both 'strict' and 'version_type'".into()),
        (Some(kind), None) => kind.to_text().as_str().to_owned(),
        (None, Some(true)) => "strict".to_owned(),
        (None, _) => "loose".to_owned(),
    };
    let order = match kind.as_str() {
        "loose" => loose(&left, &right)?,
        "strict" => strict(&left)?.cmp(&strict(&right)?),
        "semver" | "semantic" => semantic(&left, &right)?,
        "pep440" => pep440(&left)?.cmp(&pep440(&right)?),
        other => {
            return Err(format!(
                "Invalid version type ({other}). Must be one of 'loose', 'strict', 'semver', 'semantic', 'pep440'"
            )
            .into());
        }
    };
    match operator.as_str() {
        "==" | "=" | "eq" => Ok(order.is_eq()),
        "<" | "lt" => Ok(order.is_lt()),
        "<=" | "le" => Ok(order.is_le()),
        ">" | "gt" => Ok(order.is_gt()),
        ">=" | "ge" => Ok(order.is_ge()),
        "!=" | "<>" | "ne" => Ok(order.is_ne()),
        other => Err(format!(
            "Invalid operator type ({other}). Must be one of '==', '=', 'eq', '<', 'lt', '<=', 'le', '>', 'gt', '>=', 'ge', '!=', '<>', 'ne'"
        )
        .into()),
    }
}

#[derive(Debug, PartialEq)]
enum Part<'t> {
    Number(u128),
    Word(&'t str),
}

/// Runs of digits are numbers, runs of letters words; dots separate.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let class = |c: char| {
            if c.is_ascii_digit() {
                0
            } else if c.is_ascii_lowercase() {
                1
            } else if c == '.' {
                2
            } else {
                3
            }
        };
        let length = rest.find(|c| class(c) != class(first)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(length);
        match class(first) {
            0 => parts.push(run.parse().map_or(Part::Word(run), Part::Number)),
            2 => {}
            _ => parts.push(Part::Word(run)),
        }
        rest = tail;
    }
    parts
}

pub(crate) fn loose(left: &str, right: &str) -> Result<Ordering, String> {
    let (lefts, rights) = (parts(left), parts(right));
    for (one, other) in lefts.iter().zip(&rights) {
        let order = match (one, other) {
            (Part::Number(one), Part::Number(other)) => one.cmp(other),
            (Part::Word(one), Part::Word(other)) => one.cmp(other),
            (Part::Number(_), Part::Word(_)) => return Err(mixed("int", "str")),
            (Part::Word(_), Part::Number(_)) => return Err(mixed("str", "int")),
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(lefts.len().cmp(&rights.len()))
}

fn mixed(left: &str, right: &str) -> String {
    format!("Version comparison failed: '<' not supported between instances of '{left}' and '{right}'")
}

/// `1.2.3a4`: three numbers, then an alpha or beta that comes before the release.
fn strict(text: &str) -> Result<([u64; 3], (u8, u64)), String> {
    let invalid = || format!("Version comparison failed: invalid version number '{text}'");
    let (numbers, pre) = match text.find(['a', 'b']) {
        Some(position) => (&text[..position], Some(&text[position..])),
        None => (text, None),
    };
    let mut release = [0; 3];
    let fields: Vec<&str> = numbers.split('.').collect();
    if !(2..=3).contains(&fields.len()) {
        return Err(invalid());
    }
    for (slot, field) in release.iter_mut().zip(fields) {
        *slot = field.parse().map_err(|_| invalid())?;
    }
    let pre = match pre {
        None => (2, 0),
        Some(pre) => (u8::from(pre.starts_with('b')), pre[1..].parse().map_err(|_| invalid())?),
    };
    Ok((release, pre))
}

fn semantic(left: &str, right: &str) -> Result<Ordering, String> {
    let parse = |text: &str| -> Result<([u64; 3], Option<String>), String> {
        let invalid = || format!("Version comparison failed: invalid semantic version '{text}'");
        let plain = text.split('+').next().unwrap_or(text);
        let (core, pre) = plain.split_once('-').map_or((plain, None), |(core, pre)| (core, Some(pre.to_owned())));
        let fields: Vec<&str> = core.strip_prefix('v').unwrap_or(core).split('.').collect();
        let mut numbers = [0; 3];
        if fields.len() != 3 {
            return Err(invalid());
        }
        for (slot, field) in numbers.iter_mut().zip(fields) {
            *slot = field.parse().map_err(|_| invalid())?;
        }
        Ok((numbers, pre))
    };
    let ((one, one_pre), (other, other_pre)) = (parse(left)?, parse(right)?);
    Ok(one.cmp(&other).then_with(|| match (&one_pre, &other_pre) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(one), Some(other)) => semantic_pre(one, other),
    }))
}

fn semantic_pre(left: &str, right: &str) -> Ordering {
    let (lefts, rights): (Vec<&str>, Vec<&str>) = (left.split('.').collect(), right.split('.').collect());
    for (one, other) in lefts.iter().zip(&rights) {
        let order = match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => one.cmp(other),
        };
        if order.is_ne() {
            return order;
        }
    }
    lefts.len().cmp(&rights.len())
}

/// Epoch, release without trailing zeros, and what comes before (dev, alpha, beta, candidate) or after it.
type Pep440 = (u64, Vec<u64>, (i8, u64), i64, i64);

fn pep440(text: &str) -> Result<Pep440, String> {
    let invalid = || format!("Version comparison failed: Invalid version: '{text}'");
    let lower = text.trim().to_ascii_lowercase();
    let plain = lower.strip_prefix('v').unwrap_or(&lower);
    let plain = plain.split('+').next().unwrap_or(plain);
    let (epoch, rest) = plain.split_once('!').unwrap_or(("0", plain));
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
    let numbers = rest[..end].trim_end_matches('.');
    let mut release = numbers.split('.').map(|field| field.parse().map_err(|_| invalid())).collect::<Result<Vec<u64>, _>>()?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let (mut pre, mut post, mut dev) = (None, -1_i64, i64::MAX);
    let mut tail = &rest[end..];
    while !tail.is_empty() {
        tail = tail.trim_start_matches(['.', '-', '_']);
        let letters = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
        let (word, after) = tail.split_at(letters);
        let after = after.trim_start_matches(['.', '-', '_']);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let number: u64 = if digits == 0 { 0 } else { after[..digits].parse().map_err(|_| invalid())? };
        match word {
            "a" | "alpha" => pre = Some((0, number)),
            "b" | "beta" => pre = Some((1, number)),
            "c" | "rc" | "pre" | "preview" => pre = Some((2, number)),
            "" | "post" | "r" | "rev" if digits > 0 || !word.is_empty() => post = i64::try_from(number).unwrap_or(i64::MAX),
            "dev" => dev = i64::try_from(number).unwrap_or(i64::MAX),
            _ => return Err(invalid()),
        }
        tail = &after[digits..];
    }
    let pre = match pre {
        Some(pre) => pre,
        None if dev != i64::MAX && post < 0 => (-1, 0),
        None => (3, 0),
    };
    Ok((epoch.parse().map_err(|_| invalid())?, release, pre, post, dev))
}

/// Whether a version fits all of the specifiers, such as `>=2.16,!=2.17.1`; else the specifier that is none.
pub fn is_version_within(version: &str, specifiers: &str) -> Result<bool, String> {
    let all = specifiers.split(',').map(str::trim).filter(|specifier| !specifier.is_empty());
    let fits = all.map(|specifier| is_as_specified(version, specifier).ok_or_else(|| specifier.to_owned()));
    fits.collect::<Result<Vec<bool>, String>>().map(|fits| fits.into_iter().all(|fits| fits))
}

const OPERATORS: [&str; 8] = ["===", "~=", "==", "!=", ">=", "<=", ">", "<"];

fn is_as_specified(version: &str, specifier: &str) -> Option<bool> {
    let operator = OPERATORS.into_iter().find(|operator| specifier.starts_with(operator))?;
    let wanted = specifier[operator.len()..].trim();
    let series = wanted.strip_suffix(".*").filter(|_| matches!(operator, "==" | "!="));
    if let Some(series) = series {
        return Some(is_in_series(version, series)? == (operator == "=="));
    }
    let order = pep440(version).ok()?.cmp(&pep440(wanted).ok()?);
    Some(match operator {
        "===" => version == wanted,
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">=" => order.is_ge(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        "<" => order.is_lt(),
        _ => order.is_ge() && is_in_series(version, wanted.rsplit_once('.')?.0)?,
    })
}

/// `2.19.4` is in `2.19`.
fn is_in_series(version: &str, series: &str) -> Option<bool> {
    let numbers = |text: &str| text.split('.').map(|part| part.parse::<u64>().ok()).collect::<Option<Vec<u64>>>();
    let (version, series) = (numbers(version)?, numbers(series)?);
    Some(series.iter().enumerate().all(|(at, number)| version.get(at).unwrap_or(&0) == number))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn each_scheme_orders_as_it_should() {
        assert_eq!(loose("1.10.0", "1.9"), Ok(Ordering::Greater));
        assert_eq!(loose("1.0", "1.0.0"), Ok(Ordering::Less));
        assert!(loose("1.a", "1.1").is_err());
        assert!(strict("1.0a1").unwrap() < strict("1.0").unwrap());
        assert_eq!(semantic("1.0.0-rc.1", "1.0.0"), Ok(Ordering::Less));
        assert_eq!(pep440("1.0.dev1").unwrap().cmp(&pep440("1.0a1").unwrap()), Ordering::Less);
        assert_eq!(pep440("1.0").unwrap(), pep440("1.0.0").unwrap());
    }

    #[test]
    fn a_version_fits_its_specifiers() {
        for fits in
            [">=2.9.10,<2.20", "==2.19.*", "~=2.19.0", "~=2.1", ">2.19", "", ">=2.19.14.dev0", ">= 2.9, != 2.18.*", "===2.19.14"]
        {
            assert_eq!(is_version_within("2.19.14", fits), Ok(true), "{fits}");
        }
        for not in [">=2.19.0,!=2.19.14", "~=2.18.0", "<2.19", ">=2.20.0b1", "!=2.19.*", ">=2.25"] {
            assert_eq!(is_version_within("2.19.14", not), Ok(false), "{not}");
        }
        for none in ["junk", "2.19", "=>2.9", ">=", ">=2.9, ~=2"] {
            assert!(is_version_within("2.19.14", none).is_err(), "{none}");
        }
    }
}
