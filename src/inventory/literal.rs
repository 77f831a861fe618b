//! Python literals: INI inventories write values in them. `1`, `0x1f`, `'a'`, `[1, 'b']`, `{'c': None}`, `True`.

use crate::value::{Key, Map, Value};

const DEPTH_MAX: usize = 64;

/// The value of a whole text that is one Python literal; none if it is anything else, which then is meant as a string.
pub(crate) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']), depth: 0 };
    let first = reader.value()?;
    reader.skip_space();
    let value = if reader.rest.starts_with(',') { reader.rest_of_tuple(first)? } else { first };
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        if self.rest.starts_with('#') {
            self.rest = "";
        }
    }

    fn take(&mut self, expected: &str) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self) -> Option<Value> {
        self.skip_space();
        if self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let value = match self.rest.chars().next()? {
            '[' => self.list(),
            '(' => self.parenthesis(),
            '{' => self.braces(),
            '-' | '+' => self.signed(),
            first if first.is_ascii_digit() || first == '.' => self.number(false),
            _ => self.word_or_string(),
        };
        self.depth -= 1;
        value
    }

    /// Values up to `end`, with commas between them and perhaps one behind them.
    fn items(&mut self, end: &str) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut has_comma = false;
        loop {
            self.skip_space();
            if self.take(end) {
                return Some((items, has_comma));
            }
            if !items.is_empty() && !has_comma {
                return None;
            }
            items.push(self.value()?);
            self.skip_space();
            has_comma = self.take(",");
        }
    }

    fn list(&mut self) -> Option<Value> {
        self.take("[");
        Some(Value::list(self.items("]")?.0))
    }

    fn parenthesis(&mut self) -> Option<Value> {
        self.take("(");
        let (mut items, has_comma) = self.items(")")?;
        if items.len() == 1 && !has_comma { items.pop() } else { Some(Value::list(items)) }
    }

    fn rest_of_tuple(&mut self, first: Value) -> Option<Value> {
        let mut items = vec![first];
        loop {
            self.skip_space();
            if !self.take(",") {
                return Some(Value::list(items));
            }
            self.skip_space();
            if self.rest.is_empty() {
                return Some(Value::list(items));
            }
            items.push(self.value()?);
        }
    }

    /// A mapping, or a set (which becomes a list).
    fn braces(&mut self) -> Option<Value> {
        self.take("{");
        self.skip_space();
        if self.take("}") {
            return Some(Value::map(Map::new()));
        }
        let first = self.value()?;
        self.skip_space();
        if self.take(":") { self.mapping(first) } else { self.set(first) }
    }

    fn mapping(&mut self, first: Value) -> Option<Value> {
        let mut entries = Map::new();
        let mut key = key_of(first)?;
        loop {
            entries.insert(key, self.value()?);
            self.skip_space();
            let has_comma = self.take(",");
            self.skip_space();
            if self.take("}") {
                return Some(Value::map(entries));
            }
            if !has_comma {
                return None;
            }
            key = key_of(self.value()?)?;
            self.skip_space();
            if !self.take(":") {
                return None;
            }
        }
    }

    fn set(&mut self, first: Value) -> Option<Value> {
        let mut items = vec![first];
        self.skip_space();
        if self.take(",") {
            items.extend(self.items("}")?.0);
        } else if !self.take("}") {
            return None;
        }
        let is_hashable = items.iter().all(|item| !matches!(item, Value::List(_) | Value::Map(_)));
        is_hashable.then(|| Value::list(items))
    }

    fn signed(&mut self) -> Option<Value> {
        let negative = self.take("-") || !self.take("+");
        self.skip_space();
        self.number(negative)
    }

    fn number(&mut self, negative: bool) -> Option<Value> {
        let is_exponent_sign = |at: usize| {
            let before = self.rest.get(..at).unwrap_or("");
            before.ends_with(['e', 'E']) && !before.starts_with("0x") && !before.starts_with("0X")
        };
        let end = self
            .rest
            .char_indices()
            .find(|(at, letter)| {
                let is_part = letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
                !(is_part || matches!(letter, '+' | '-') && is_exponent_sign(*at))
            })
            .map_or(self.rest.len(), |(at, _)| at);
        let (written, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        number(written, negative)
    }

    fn word_or_string(&mut self) -> Option<Value> {
        for (word, value) in [
            ("None", Value::Null),
            ("True", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("set()", Value::list(Vec::new())),
        ] {
            let behind = self.rest.strip_prefix(word);
            if let Some(rest) = behind.filter(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')) {
                self.rest = rest;
                return Some(value);
            }
        }
        self.strings()
    }

    /// Strings beside each other are one string.
    fn strings(&mut self) -> Option<Value> {
        let (mut text, is_bytes) = self.string()?;
        loop {
            self.skip_space();
            if !self.rest.starts_with(['\'', '"', 'r', 'R', 'u', 'U', 'b', 'B']) {
                return Some(text.into());
            }
            let (more, more_is_bytes) = self.string()?;
            if more_is_bytes != is_bytes {
                return None;
            }
            text.push_str(&more);
        }
    }

    fn string(&mut self) -> Option<(String, bool)> {
        let quote_at = self.rest.find(['\'', '"'])?;
        let prefix = self.rest.get(..quote_at)?.to_ascii_lowercase();
        let (is_raw, is_bytes) = match prefix.as_str() {
            "" | "u" => (false, false),
            "r" => (true, false),
            "b" => (false, true),
            "br" | "rb" => (true, true),
            _ => return None,
        };
        self.rest = self.rest.get(quote_at..)?;
        let quote = ["'''", "\"\"\"", "'", "\""].into_iter().find(|quote| self.rest.starts_with(quote))?;
        self.rest = self.rest.get(quote.len()..)?;
        let mut text = String::new();
        loop {
            if self.take(quote) {
                let is_fit = !is_bytes || text.is_ascii();
                return is_fit.then_some((text, is_bytes));
            }
            let letter = self.rest.chars().next()?;
            self.rest = self.rest.get(letter.len_utf8()..)?;
            if letter != '\\' {
                text.push(letter);
            } else if is_raw {
                let next = self.rest.chars().next()?;
                self.rest = self.rest.get(next.len_utf8()..)?;
                text.push('\\');
                text.push(next);
            } else {
                self.escape(is_bytes, &mut text)?;
            }
        }
    }

    fn escape(&mut self, is_bytes: bool, text: &mut String) -> Option<()> {
        let letter = self.rest.chars().next()?;
        self.rest = self.rest.get(letter.len_utf8()..)?;
        let plain = match letter {
            '\\' | '\'' | '"' => letter,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => self.digits(2, 16)?,
            'u' if !is_bytes => self.digits(4, 16)?,
            'U' if !is_bytes => self.digits(8, 16)?,
            'N' if !is_bytes => return None,
            '0'..='7' => self.octal(letter)?,
            other => {
                text.push('\\');
                other
            }
        };
        text.push(plain);
        Some(())
    }

    fn digits(&mut self, count: usize, base: u32) -> Option<char> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        digits
            .bytes()
            .all(|digit| digit.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, base).ok().and_then(char::from_u32))?
    }

    /// Up to three digits, the first of which was read.
    fn octal(&mut self, first: char) -> Option<char> {
        let more = self.rest.bytes().take(2).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
        let (digits, rest) = self.rest.split_at_checked(more)?;
        self.rest = rest;
        u32::from_str_radix(&format!("{first}{digits}"), 8).ok().and_then(char::from_u32)
    }
}

/// A number without its sign. One that is too large for 64 bits is none: as a string it keeps its digits.
fn number(written: &str, negative: bool) -> Option<Value> {
    let lower = written.to_ascii_lowercase();
    let has_good_underscores = !lower.contains("__") && !lower.ends_with('_') && !lower.starts_with('_');
    if !has_good_underscores {
        return None;
    }
    let based =
        [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(|(prefix, base)| Some((lower.strip_prefix(prefix)?, base)));
    if let Some((digits, base)) = based {
        return integer(digits, base, negative);
    }
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit() || digit == b'_');
    if is_digits(&lower) {
        let has_leading_zero = lower.starts_with('0') && lower.bytes().any(|digit| matches!(digit, b'1'..=b'9'));
        return if has_leading_zero { None } else { integer(&lower, 10, negative) };
    }
    let is_broken = ["_.", "._", "_e", "e_", "+_", "-_"].iter().any(|wrong| lower.contains(wrong));
    let is_float = lower.bytes().all(|letter| letter.is_ascii_digit() || matches!(letter, b'.' | b'e' | b'+' | b'-' | b'_'));
    let number: f64 = (is_float && !is_broken).then(|| lower.replace('_', "").parse().ok())??;
    Some(Value::Float(if negative { -number } else { number }))
}

fn integer(digits: &str, base: u32, negative: bool) -> Option<Value> {
    let is_digit = |digit: char| digit == '_' || digit.is_digit(base);
    if digits.is_empty() || !digits.chars().all(is_digit) {
        return None;
    }
    let magnitude = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Value::Int)
}

fn key_of(value: Value) -> Option<Key> {
    match value {
        Value::Null => Some(Key::Null),
        Value::Bool(truth) => Some(Key::Bool(truth)),
        Value::Int(number) => Some(Key::Int(number)),
        Value::String(text) => Some(Key::String(text)),
        Value::Float(_) => Some(Key::String(value.to_text())),
        Value::List(_) | Value::Map(_) | Value::Template(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_have_a_type() {
        let cases = [
            ("1", "1"),
            ("-5", "-5"),
            ("+5", "5"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("0b101", "5"),
            ("1_000", "1000"),
            ("00", "0"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("1e3", "1000.0"),
            ("-1.5e-3", "-0.0015"),
            ("09.5", "9.5"),
            ("True", "true"),
            ("None", "null"),
            ("'a'", "\"a\""),
            ("\"a\" 'b'", "\"ab\""),
            ("'it''s'", "\"its\""),
            ("r'\\n'", "\"\\\\n\""),
            ("'\\n\\x41\\u00e9\\101\\d'", "\"\\nAéA\\\\d\""),
            ("'''x'''", "\"x\""),
            ("b'xy'", "\"xy\""),
            ("[1, 'two', {'k': (1, 2)},]", "[1,\"two\",{\"k\":[1,2]}]"),
            ("(1)", "1"),
            ("(1,)", "[1]"),
            ("1,2", "[1,2]"),
            ("{1, 2}", "[1,2]"),
            ("{}", "{}"),
            ("set()", "[]"),
            ("1 # why", "1"),
            ("[1, 2] # why", "[1,2]"),
        ];
        for (text, json) in cases {
            assert_eq!(read(text).map(|value| value.to_json()).as_deref(), Some(json), "{text}");
        }
    }

    #[test]
    fn all_else_is_meant_as_a_string() {
        let strings = [
            "",
            "true",
            "yes",
            "0644",
            "0_7",
            "10.0.0.1",
            "1 2",
            "a",
            "--5",
            "1+2j",
            "2j",
            "f'x'",
            "[1,",
            "[,]",
            "\"a",
            "a # b",
            "...",
            "{{ x }}",
            "{{ 1 }}",
            "{[1]: 2}",
            "-True",
            "99999999999999999999",
            "1__0",
            "_1",
            "1_",
            "0x",
            "[*[1]]",
            "/etc",
            "Truex",
            "'a' b'b'",
            "1if",
            "é",
            "b'é'",
            "'\\xg1'",
            "0x_",
            "1.5.2",
            "e5",
            "1e",
        ];
        for text in strings {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&"[".repeat(100_000)), None);
    }
}
