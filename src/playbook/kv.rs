//! Arguments written as text: `name=web state=started`, and free-form command lines.

use crate::modules::Module;
use crate::value::{Map, Span, Template, Value};
use std::ops::Range;

/// A task's bare text, taken apart.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Taken {
    pub(super) args: Map,
    /// What is no argument, where the module has no place for it.
    pub(super) rest: Option<String>,
}

/// Splits a task's bare text into arguments. For a module that runs a command line only its own argument names are taken out of the
/// text; what is left is the command line. The error is the text that was not closed.
pub(super) fn arguments(text: &str, module: Option<&Module>, span: Span) -> Result<Taken, String> {
    let mut taken = Taken::default();
    let mut rest = Vec::new();
    let free_form = module.and_then(|module| module.free_form);
    for token in tokens(text)? {
        match key_of(token).filter(|(key, _)| free_form.is_none() || is_argument(module, key)) {
            Some((key, value)) => drop(taken.args.insert(key.into(), valued(&unquoted(value), module, span))),
            None => rest.push(token),
        }
    }
    if rest.is_empty() {
        return Ok(taken);
    }
    let left = remaining(text, &rest, taken.args.is_empty());
    match free_form {
        Some(name) => {
            // A shell reads its line as it is written.
            let is_shell = module.is_some_and(|module| module.name == "shell");
            let line = if is_shell { continued(&left) } else { left.trim().to_owned() };
            taken.args.insert(name.into(), scalar(&line, span));
        }
        None => taken.rest = Some(left.trim().to_owned()),
    }
    Ok(taken)
}

/// Where the names and values of arguments are in a text as it is written, with the quotes of YAML around it or without.
pub(super) fn places(written: &str) -> Vec<(String, Range<usize>, Range<usize>)> {
    let (start, text) = match written.chars().next().filter(|first| matches!(first, '"' | '\'')) {
        Some(quote) => (1, written[1..].strip_suffix(quote).unwrap_or(&written[1..])),
        None => (0, written),
    };
    let place = |token: &str| {
        let (key, value) = key_of(token)?;
        let at = start + (token.as_ptr() as usize - text.as_ptr() as usize);
        let value_at = at + token.len() - value.len();
        Some((key.to_owned(), at..at + key.len(), value_at..at + token.len()))
    };
    tokens(text).unwrap_or_default().into_iter().filter_map(place).collect()
}

/// The first word, Jinja and quotes kept whole, and what follows it.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let word = tokens(text).ok().and_then(|tokens| tokens.first().copied());
    let word = word.or_else(|| text.split_whitespace().next()).unwrap_or_default();
    (word, text[word.len()..].trim())
}

/// Text is all that `k=v` can give, so a fact that says `yes` or `false` is that.
fn valued(text: &str, module: Option<&Module>, span: Span) -> Value {
    let truth = || match text.to_ascii_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        _ => None,
    };
    let truth = if module.is_some_and(|module| module.name == "set_fact") { truth() } else { None };
    truth.map_or_else(|| scalar(text, span), Value::Bool)
}

/// A text as it would be read from YAML: with Jinja in it, a template.
pub(crate) fn scalar(text: &str, span: Span) -> Value {
    if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
        Value::Template(std::sync::Arc::new(Template { text: text.to_owned(), span }))
    } else {
        Value::from(text)
    }
}

fn is_argument(module: Option<&Module>, key: &str) -> bool {
    let is_own = |name: &str| !matches!(name, "_raw_params" | "argv" | "cmd");
    module.is_some_and(|module| module.arg(key).is_some_and(|arg| !arg.hidden && is_own(arg.name)))
}

/// A command line is kept to the letter when no argument was taken out of it; else its lines stay lines.
fn remaining(text: &str, rest: &[&str], is_whole: bool) -> String {
    if is_whole {
        return text.to_owned();
    }
    let begin = |token: &str| token.as_ptr() as usize - text.as_ptr() as usize;
    let mut left = String::new();
    let mut end = 0;
    for token in rest {
        let gap = &text[end..begin(token)];
        match gap.rfind('\n') {
            _ if left.is_empty() => {}
            _ if gap.trim().is_empty() => left.push_str(gap),
            Some(at) => left.push_str(&gap[at..]),
            None => left.push(' '),
        }
        left.push_str(token);
        end = begin(token) + token.len();
    }
    if text.ends_with('\n') {
        left.push('\n');
    }
    left
}

/// A line that ends in a backslash of its own goes on in the next one, unless a quote is open.
fn continued(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_alone = out.chars().next_back().is_none_or(char::is_whitespace);
        match (letter, quote) {
            ('\\', None) if is_alone && letters.peek() == Some(&'\n') => {
                letters.next();
                continue;
            }
            ('\\', _) => {
                out.push(letter);
                out.extend(letters.next());
                continue;
            }
            ('"' | '\'', None) => quote = Some(letter),
            (mark, Some(open)) if mark == open => quote = None,
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// A name may be a template: `{{ prefix }}_name=value`.
fn key_of(token: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let mut letters = token.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match (letter, letters.peek()) {
            ('{', Some((_, '{'))) => depth += 1,
            ('}', Some((_, '}'))) => depth = depth.saturating_sub(1),
            ('=', _) if depth == 0 => return (at > 0).then(|| (&token[..at], &token[at + 1..])),
            ('{' | '}', _) => {}
            (other, _) if depth == 0 && !other.is_alphanumeric() && !"_-.".contains(other) => return None,
            _ => {}
        }
    }
    None
}

/// Words at white space, with quotes and Jinja kept whole. The error is the text that was not closed.
fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let (mut start, mut quote, mut depth) = (None, None, 0_usize);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at..at + 2).unwrap_or_default();
        let is_blank = bytes[at].is_ascii_whitespace() && quote.is_none() && depth == 0;
        if is_blank {
            if let Some(from) = start.take() {
                tokens.push(&text[from..at]);
            }
            at += 1;
            continue;
        }
        start.get_or_insert(at);
        match (bytes[at], quote) {
            (b'\\', _) if depth == 0 => at += 1,
            (mark @ (b'"' | b'\''), None) if depth == 0 => quote = Some(mark),
            (mark, Some(open)) if mark == open => quote = None,
            _ if pair == b"{{" || pair == b"{%" || pair == b"{#" => {
                depth += 1;
                at += 1;
            }
            _ if depth > 0 && (pair == b"}}" || pair == b"%}" || pair == b"#}") => {
                depth -= 1;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(from) = start {
        if quote.is_some() || depth > 0 {
            return Err(text[from..].to_owned());
        }
        tokens.push(&text[from..]);
    }
    Ok(tokens)
}

/// A value without its quotes, and with what its escapes mean.
pub(crate) fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if value.len() >= 2 && value.starts_with(quote) && value.ends_with(quote) {
            return unescaped(&value[1..value.len() - 1], quote);
        }
    }
    unescaped(value, '\0')
}

/// `\n`, `\t` and the like in `k=v` text mean what they mean in Python.
fn unescaped(value: &str, quote: char) -> String {
    let mut out = String::new();
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('a')) => out.push('\x07'),
            ('\\', Some('b')) => out.push('\x08'),
            ('\\', Some('f')) => out.push('\x0c'),
            ('\\', Some('v')) => out.push('\x0b'),
            ('\\', Some(next)) if *next == '\\' || *next == quote => out.push(*next),
            _ => {
                out.push(letter);
                continue;
            }
        }
        letters.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Value {
        Value::map(arguments(text, None, Span::NOWHERE).unwrap().args)
    }

    #[test]
    fn arguments_in_a_text_have_places() {
        let text = "'state=\"a b\" {{ x }} mode=0644'";
        let found = places(text);
        let shown: Vec<_> =
            found.iter().map(|(name, key, value)| (name.as_str(), &text[key.clone()], &text[value.clone()])).collect();
        assert_eq!(shown, [("state", "state", "\"a b\""), ("mode", "mode", "0644")]);
        assert!(places("echo hi").is_empty());
        assert!(places("\"").is_empty());
    }

    #[test]
    fn pairs_are_split_with_quotes_and_jinja_whole() {
        assert_eq!(plain("name=web state=started").to_json(), r#"{"name":"web","state":"started"}"#);
        assert_eq!(plain(r#"msg="a b" x='c d'"#).to_json(), r#"{"msg":"a b","x":"c d"}"#);
        assert_eq!(plain("path={{ a | default('x y') }}/z").to_json(), r#"{"path":"{{ a | default('x y') }}/z"}"#);
        assert_eq!(plain(r"line=one\ntwo").get("line"), Some(&Value::from("one\ntwo")));
    }

    #[test]
    fn names_may_be_templates() {
        assert_eq!(plain("{{ 'a=' + b }}_c={{ d }}").to_json(), r#"{"{{ 'a=' + b }}_c":"{{ d }}"}"#);
    }

    #[test]
    fn what_is_not_a_pair_is_left() {
        let rest = |text| arguments(text, None, Span::NOWHERE).unwrap().rest;
        assert_eq!(rest("name=web started").as_deref(), Some("started"));
        assert_eq!(rest("a=b {{ c }} d").as_deref(), Some("{{ c }} d"));
        assert_eq!(rest("a=b"), None);
        assert_eq!(arguments("msg='open", None, Span::NOWHERE), Err("msg='open".to_owned()));
        assert_eq!(first_word("{{ a b }} c=d"), ("{{ a b }}", "c=d"));
    }

    #[test]
    fn a_command_line_keeps_its_lines_and_its_equal_signs() {
        let script = |text| arguments(text, crate::modules::find("script"), Span::NOWHERE).unwrap().args;
        let args = script("run.sh --user=bob creates=/tmp/x");
        assert_eq!(args.get("_raw_params"), Some(&Value::from("run.sh --user=bob")));
        assert_eq!(args.get("creates"), Some(&Value::from("/tmp/x")));
        assert_eq!(script("a\n  b c\ncreates=x").get("_raw_params"), Some(&Value::from("a\n  b c")));
    }

    #[test]
    fn a_shell_reads_its_line_as_written() {
        let shell = |text| {
            let args = arguments(text, crate::modules::find("shell"), Span::NOWHERE).unwrap().args;
            args.get("_raw_params").unwrap().to_text().as_str().to_owned()
        };
        assert_eq!(shell("cat <<E\n  a\nE\n"), "cat <<E\n  a\nE\n");
        assert_eq!(shell("chdir=/ echo   a\n  b\n"), "echo   a\n  b\n");
        assert_eq!(shell("echo a \\\n\"b \\\nc\"\n"), "echo a \"b \\\nc\"\n");
    }

    #[test]
    fn facts_that_say_yes_are_true() {
        let args = arguments("a=yes b=False c=maybe", crate::modules::find("set_fact"), Span::NOWHERE).unwrap().args;
        assert_eq!(Value::map(args).to_json(), r#"{"a":true,"b":false,"c":"maybe"}"#);
    }
}
