//! Regular expressions in Python's dialect.

use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;
use fancy_regex::{Captures, Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

pub(super) const FILTERS: &[Filter] = &[
    filter(
        "regex_replace",
        &["pattern", "replacement", "ignorecase", "multiline", "count", "mandatory_count"],
        "what matches replaced",
        replace,
    ),
    filter("regex_search", &["regex", "*args", "**options"], "the first match", search),
    filter("regex_findall", &["regex", "multiline", "ignorecase"], "all matches", find_all),
    filter("regex_escape", &["re_type"], "text as a pattern for itself", escape),
];

/// When so many patterns were compiled, the cache starts afresh.
const PATTERNS_MAX: usize = 1024;
/// More steps back than this end a match with an error instead of hanging.
const BACKTRACKS_MAX: usize = 5_000_000;

type Patterns = HashMap<(String, bool, bool), Arc<Regex>>;

/// The compiled form of a Python pattern.
pub(crate) fn compile(pattern: &str, ignores_case: bool, is_multiline: bool) -> Result<Arc<Regex>, String> {
    static PATTERNS: OnceLock<RwLock<Patterns>> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(RwLock::default);
    let key = (pattern.to_owned(), ignores_case, is_multiline);
    if let Some(regex) = patterns.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(regex.clone());
    }
    let mut flags = String::new();
    flags.push_str(if ignores_case { "i" } else { "" });
    flags.push_str(if is_multiline { "m" } else { "" });
    let translated = translate(pattern, is_multiline);
    let source = if flags.is_empty() { translated } else { format!("(?{flags}){translated}") };
    let regex = RegexBuilder::new(&source).backtrack_limit(BACKTRACKS_MAX).build();
    let regex = Arc::new(regex.map_err(|error| format!("`{pattern}` is no regular expression: {error}"))?);
    let mut patterns = patterns.write().unwrap_or_else(PoisonError::into_inner);
    if patterns.len() >= PATTERNS_MAX {
        patterns.clear();
    }
    patterns.insert(key, regex.clone());
    Ok(regex)
}

/// Python's dialect in that of the engine: `\Z`, `$` before a final newline, braces and brackets that stand for themselves.
fn translate(pattern: &str, is_multiline: bool) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let mut class_start = None;
    let is_multiline = is_multiline || inline_flags(pattern).contains('m');
    while let Some(c) = chars.get(at).copied() {
        let next = chars.get(at + 1).copied();
        match (c, class_start) {
            ('\\', _) => {
                match next {
                    Some('Z') => out.push_str("\\z"),
                    Some(
                        quoted @ ('"' | '\'' | '/' | ':' | ';' | ',' | '=' | '!' | '@' | '%' | '`' | '<' | '>' | '_' | ' ' | '~'),
                    ) if !is_special(quoted) => {
                        out.push_str(if quoted == ' ' { "\\x20" } else { "" });
                        if quoted != ' ' {
                            out.push(quoted);
                        }
                    }
                    Some(other) => {
                        out.push('\\');
                        out.push(other);
                    }
                    None => out.push('\\'),
                }
                at += 1;
            }
            ('[', Some(_)) => out.push_str("\\["),
            ('&' | '~', Some(_)) if next == Some(c) => {
                out.push('\\');
                out.push(c);
            }
            ('[', None) => {
                class_start = Some(at);
                out.push('[');
                if next == Some('^') {
                    out.push('^');
                    at += 1;
                }
                if chars.get(at + 1) == Some(&']') {
                    out.push_str("\\]");
                    at += 1;
                }
            }
            (']', Some(_)) => {
                class_start = None;
                out.push(']');
            }
            (_, Some(_)) => out.push(c),
            ('$', None) if !is_multiline => out.push_str("(?=\\n?\\z)"),
            ('{', None) if !is_repetition(&chars[at..]) => out.push_str("\\{"),
            ('}', None) if !closes_repetition(&chars[..at]) => out.push_str("\\}"),
            _ => out.push(c),
        }
        at += 1;
    }
    out
}

fn is_special(c: char) -> bool {
    matches!(c, '<' | '>')
}

/// The letters of `(?im)` at the start.
fn inline_flags(pattern: &str) -> &str {
    pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'))
        .map_or("", |(flags, _)| if flags.chars().all(|c| c.is_ascii_lowercase()) { flags } else { "" })
}

/// `{2}`, `{2,}`, `{,3}` or `{2,3}`
fn is_repetition(chars: &[char]) -> bool {
    let Some(end) = chars.iter().position(|c| *c == '}') else { return false };
    let inner = &chars[1..end];
    inner.iter().any(char::is_ascii_digit)
        && inner.iter().all(|c| c.is_ascii_digit() || *c == ',')
        && inner.iter().filter(|c| **c == ',').count() < 2
}

fn closes_repetition(before: &[char]) -> bool {
    let Some(start) = before.iter().rposition(|c| *c == '{') else { return false };
    let escaped = start > 0 && before[start - 1] == '\\';
    let mut whole = before[start..].to_vec();
    whole.push('}');
    !escaped
        && (is_repetition(&whole)
            || (start > 0
                && matches!(before[..start].iter().rev().nth(1), Some('\\'))
                && before[start - 1].is_ascii_alphabetic()))
}

pub(crate) fn failed(error: &fancy_regex::Error) -> String {
    format!("the match was given up: {error}")
}

/// Python's replacement: `\1`, `\g<1>`, `\g<name>`, `\n` and `\\`.
pub(crate) fn expand(replacement: &str, found: &Captures<'_, str>, out: &mut String) -> Result<(), String> {
    let group = |name: &str| -> Result<&str, String> {
        let capture = match name.parse::<usize>() {
            Ok(index) if index >= found.len() => return Err(format!("invalid group reference {index}")),
            Ok(index) => found.get(index),
            Err(_) => found.name(name),
        };
        Ok(capture.map_or("", |capture| capture.as_str()))
    };
    let mut rest = replacement;
    while let Some(position) = rest.find('\\') {
        out.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        let digits = rest.chars().take(2).take_while(char::is_ascii_digit).count();
        if digits > 0 && !rest.starts_with('0') {
            out.push_str(group(&rest[..digits])?);
            rest = &rest[digits..];
        } else if let Some(named) = rest.strip_prefix("g<") {
            let (name, after) = named.split_once('>').ok_or("missing >, unterminated name")?;
            out.push_str(group(name)?);
            rest = after;
        } else {
            let Some(escaped) = rest.chars().next() else {
                return Err("bad escape (end of pattern)".to_owned());
            };
            match escaped {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'f' => out.push('\u{c}'),
                'v' => out.push('\u{b}'),
                'a' => out.push('\u{7}'),
                '\\' => out.push('\\'),
                '0' => out.push('\0'),
                c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
                c => {
                    out.push('\\');
                    out.push(c);
                }
            }
            rest = &rest[escaped.len_utf8()..];
        }
    }
    out.push_str(rest);
    Ok(())
}

fn replace(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let (pattern, replacement) = (call.text_arg(0, ""), call.text_arg(1, ""));
    let (ignores_case, is_multiline) = (call.flag(2, false), call.flag(3, false));
    let limit = usize::try_from(call.int_arg(4, 0)?).unwrap_or(0);
    let wanted = usize::try_from(call.int_arg(5, 0)?).unwrap_or(0);
    let regex = compile(&pattern, ignores_case, is_multiline)?;
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    let mut count = 0;
    for found in regex.captures_iter(text.as_str()) {
        let found = found.map_err(|error| failed(&error))?;
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[last..whole.start()]);
        expand(&replacement, &found, &mut out)?;
        last = whole.end();
        count += 1;
        if count == limit {
            break;
        }
    }
    out.push_str(&text[last..]);
    if wanted > 0 && count != wanted {
        return Err(format!(
            "'{}' should match {wanted} times, but matches {count} times in '{}'",
            pattern.as_str(),
            text.as_str()
        )
        .into());
    }
    Ok(Val::from(out))
}

fn search(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let pattern = call.needed(0, "regex")?.to_text();
    let option = |name: &str| call.named(name).and_then(Val::truth).unwrap_or(false);
    let regex = compile(&pattern, option("ignorecase"), option("multiline"))?;
    let Some(found) = regex.captures(text.as_str()).map_err(|error| failed(&error))? else { return Ok(Val::None) };
    let whole = |capture: Option<fancy_regex::Match<'_>>| capture.map_or(Val::None, |capture| Val::from(capture.as_str()));
    if call.rest.is_empty() {
        return Ok(whole(found.get(0)));
    }
    let mut groups = Vec::new();
    for wanted in &call.rest {
        let wanted = wanted.to_text();
        if let Some(name) = wanted.strip_prefix("\\g<").and_then(|rest| rest.strip_suffix('>')) {
            groups.push(match name.parse() {
                Ok(index) => whole(found.get(index)),
                Err(_) => whole(found.name(name)),
            });
        } else if let Some(index) = wanted.strip_prefix('\\').and_then(|digits| digits.parse().ok()) {
            groups.push(whole(found.get(index)));
        } else {
            return Err("Unknown argument".into());
        }
    }
    Ok(Val::list(groups))
}

fn find_all(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let pattern = call.needed(0, "regex")?.to_text();
    let regex = compile(&pattern, call.flag(2, false), call.flag(1, false))?;
    let mut all = Vec::new();
    for found in regex.captures_iter(text.as_str()) {
        let found = found.map_err(|error| failed(&error))?;
        let group = |index: usize| Val::from(found.get(index).map_or("", |capture| capture.as_str()));
        all.push(match found.len() {
            1 => group(0),
            2 => group(1),
            count => Val::tuple((1..count).map(group).collect()),
        });
    }
    Ok(Val::list(all))
}

fn escape(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let special = match call.text_arg(0, "python").as_str() {
        "python" => " \t\n\r\u{b}\u{c}#$&()*+-.?[\\]^{|}~",
        "posix_basic" => "[]\\^$*.",
        "posix_extended" => return Err("Regex type (posix_extended) not yet implemented".into()),
        other => return Err(format!("Invalid regex type ({other})").into()),
    };
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Val::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_python_compile() {
        for (pattern, text, matches) in [
            (r"^(?P<a>\w+)\Z", "word", true),
            (r"a{,2}b$", "aab\n", true),
            (r"[]a]+", "]a", true),
            (r"[[]x", "[x", true),
            (r"{{ x }}", "{{ x }}", true),
            (r"\d{2,3}", "12", true),
            (r"(?i)ABC", "abc", true),
            (r"a(?=b)", "ac", false),
            (r"foo\/bar\-baz\_\:", "foo/bar-baz_:", true),
        ] {
            let regex = compile(pattern, false, false).unwrap();
            assert_eq!(regex.is_match(text).unwrap(), matches, "{pattern}");
        }
    }
}
