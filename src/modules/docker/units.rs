//! Sizes, times and command lines as Docker's options write them.

use crate::modules::Failure;
use crate::value::Value;

/// Bytes of `512M`, `1g`, `64KiB`, `1024`; `-1` and `unlimited` are -1.
pub(super) fn bytes(name: &str, text: &str) -> Result<i64, Failure> {
    let text = text.trim();
    if text == "unlimited" || text == "-1" {
        return Ok(-1);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return Err(Failure::new(format!("{name}: `{text}` is not a size such as 512M"))),
    };
    let number: f64 = number.parse().map_err(|_| Failure::new(format!("{name}: `{text}` is not a size such as 512M")))?;
    Ok((number * 1024_f64.powi(power)) as i64)
}

/// Nanoseconds of `1m30s`, `500ms`, `30`; a bare number is seconds.
pub(super) fn nanoseconds(name: &str, value: &Value) -> Result<i64, Failure> {
    if let Some(seconds) = value.to_float() {
        return Ok((seconds * 1e9) as i64);
    }
    let text = value.to_text();
    let wrong = || Failure::new(format!("{name}: `{text}` is not a time such as 1m30s"));
    let mut rest = text.trim();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        total += number
            * match &rest[digits..unit_end] {
                "us" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                "d" => 86400e9,
                _ => return Err(wrong()),
            };
        rest = &rest[unit_end..];
    }
    Ok(total as i64)
}

/// A command line as a POSIX shell would split it: quotes and backslashes, nothing else.
pub(super) fn split_command(line: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"'), '\\') => match chars.next() {
                Some(next @ ('"' | '\\' | '$' | '`')) => word.get_or_insert_default().push(next),
                Some(next) => word.get_or_insert_default().extend(['\\', next]),
                None => break,
            },
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Failure::new(format!("no closing quotation in `{line}`")));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, size) in [("512M", 536_870_912), ("1g", 1 << 30), ("10", 10), ("1.5k", 1536), ("unlimited", -1)] {
            assert_eq!(bytes("memory", text).unwrap(), size);
        }
        assert!(bytes("memory", "lots").is_err());
    }

    #[test]
    fn times() {
        for (text, nanos) in [("1m30s", 90_000_000_000), ("500ms", 500_000_000), ("2", 2_000_000_000)] {
            assert_eq!(nanoseconds("interval", &text.into()).unwrap(), nanos);
        }
        assert!(nanoseconds("interval", &"soon".into()).is_err());
    }

    #[test]
    fn command_lines() {
        assert_eq!(split_command(r#"sh -c "echo 'a b' \"c\"" d\ e ''"#).unwrap(), ["sh", "-c", r#"echo 'a b' "c""#, "d e", ""]);
        assert!(split_command("sh 'x").is_err());
    }
}
