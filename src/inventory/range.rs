//! Hosts as inventories write them: `web[01:10:2].example.com:2222`, `db-[a:f]`, `[::1]:22`.

use std::fmt;

/// Why a range is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Shape,
    UnequalWidth,
    NoStep,
    Bounds,
    TooMany,
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Fault::Shape => "a range is `[begin:end]` or `[begin:end:step]`",
            Fault::UnequalWidth => "where the begin has leading zeros, the end needs as many digits: `[01:10]`",
            Fault::NoStep => "the step must be a number from 1",
            Fault::Bounds => "begin and end are both numbers or both single letters, the begin first",
            Fault::TooMany => "this makes more hosts than an inventory may have",
        })
    }
}

/// The names that a pattern stands for, at most `most`, and the port behind it.
pub(super) fn expand(pattern: &str, most: usize) -> Result<(Vec<String>, Option<u16>), Fault> {
    let (host, port) = split_port(pattern);
    let mut names = vec![String::new()];
    let mut rest = host;
    while let Some((head, range, tail)) = next_range(rest)? {
        let values = values(range, most)?;
        if names.len().saturating_mul(values.len()) > most {
            return Err(Fault::TooMany);
        }
        names = names.iter().flat_map(|name| values.iter().map(move |value| format!("{name}{head}{value}"))).collect();
        rest = tail;
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok((names, port))
}

/// `[address]:port` or `name:port`; an address with more colons has none.
fn split_port(pattern: &str) -> (&str, Option<u16>) {
    if let Some(inner) = pattern.strip_prefix('[')
        && let Some((address, behind)) = inner.split_once(']')
        && is_address(address)
    {
        let port = behind.strip_prefix(':').and_then(|port| port.parse().ok());
        if behind.is_empty() || port.is_some() {
            return (address, port);
        }
    }
    let Some((host, port)) = pattern.rsplit_once(':') else { return (pattern, None) };
    let has_other_colon = without_ranges(host).contains(':');
    match port.parse() {
        Ok(port) if !has_other_colon && !host.is_empty() && is_balanced(host) => (host, Some(port)),
        _ => (pattern, None),
    }
}

/// An IPv6 address, perhaps with a range in it.
fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

fn without_ranges(host: &str) -> String {
    let mut depth = 0_usize;
    let mut out = String::new();
    for letter in host.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(letter),
            _ => {}
        }
    }
    out
}

fn is_balanced(host: &str) -> bool {
    host.matches('[').count() == host.matches(']').count()
}

/// What is before, in and behind the next brackets.
fn next_range(text: &str) -> Result<Option<(&str, &str, &str)>, Fault> {
    let Some((head, inner)) = text.split_once('[') else {
        return if text.contains(']') { Err(Fault::Shape) } else { Ok(None) };
    };
    let (range, tail) = inner.split_once(']').ok_or(Fault::Shape)?;
    Ok(Some((head, range, tail)))
}

fn values(range: &str, most: usize) -> Result<Vec<String>, Fault> {
    let parts: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match parts.as_slice() {
        [begin, end] => (*begin, *end, "1"),
        [begin, end, step] => (*begin, *end, *step),
        _ => return Err(Fault::Shape),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    let step: usize = step.parse().ok().filter(|step| *step > 0).ok_or(Fault::NoStep)?;
    if begin.chars().all(char::is_alphabetic) { letters(begin, end, step) } else { numbers(begin, end, step, most) }
}

fn letters(begin: &str, end: &str, step: usize) -> Result<Vec<String>, Fault> {
    let place = |text: &str| LETTERS.find(text).filter(|_| text.len() == 1).ok_or(Fault::Bounds);
    let (first, last) = (place(begin)?, place(end)?);
    if first > last {
        return Err(Fault::Bounds);
    }
    let letters = LETTERS.get(first..=last).ok_or(Fault::Bounds)?;
    Ok(letters.chars().step_by(step).map(String::from).collect())
}

fn numbers(begin: &str, end: &str, step: usize, most: usize) -> Result<Vec<String>, Fault> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| Fault::Bounds);
    let (first, last) = (number(begin)?, number(end)?);
    let width = if begin.len() > 1 && begin.starts_with('0') { begin.len() } else { 0 };
    if width > 0 && width != end.len() {
        return Err(Fault::UnequalWidth);
    }
    let count = last.checked_sub(first).map_or(0, |distance| distance / step as u64 + 1);
    if count > most as u64 {
        return Err(Fault::TooMany);
    }
    Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> String {
        expand(pattern, 1000).unwrap().0.join(" ")
    }

    #[test]
    fn ranges() {
        assert_eq!(names("web[01:10:3]"), "web01 web04 web07 web10");
        assert_eq!(names("db-[a:c].x"), "db-a.x db-b.x db-c.x");
        assert_eq!(names("h[:2]"), "h0 h1 h2");
        assert_eq!(names("h[y:B]"), "hy hz hA hB");
        assert_eq!(names("h[1:2][a:b]"), "h1a h1b h2a h2b");
        assert_eq!(names("h[3:1]"), "");
    }

    #[test]
    fn ports() {
        for (pattern, name, port) in [
            ("a:22", "a", Some(22)),
            ("10.0.0.1:2200", "10.0.0.1", Some(2200)),
            ("[::1]:22", "::1", Some(22)),
            ("[fe80::1]", "fe80::1", None),
            ("fe80::1", "fe80::1", None),
            ("a:b", "a:b", None),
            ("a:99999", "a:99999", None),
        ] {
            assert_eq!(expand(pattern, 10), Ok((vec![name.to_owned()], port)), "{pattern}");
        }
        assert_eq!(expand("h[1:2]:22", 10), Ok((vec!["h1".to_owned(), "h2".to_owned()], Some(22))));
    }

    #[test]
    fn faults() {
        for (pattern, fault) in [
            ("h[1]", Fault::Shape),
            ("h[1:3", Fault::Shape),
            ("h1:3]", Fault::Shape),
            ("h[1:2:3:4]", Fault::Shape),
            ("h[01:3]", Fault::UnequalWidth),
            ("h[1:3:0]", Fault::NoStep),
            ("h[c:a]", Fault::Bounds),
            ("h[a:3]", Fault::Bounds),
            ("h[1:]", Fault::Bounds),
            ("h[0:99999999999]", Fault::TooMany),
            ("h[0:99][0:99]", Fault::TooMany),
        ] {
            assert_eq!(expand(pattern, 1000), Err(fault), "{pattern}");
        }
    }
}
