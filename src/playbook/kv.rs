//! Arguments written as text: `name=web state=started`, and free-form command lines.

use crate::modules::Module;
use crate::value::{Map, Span, Template, Value};

/// Splits a task's bare text into arguments. For a free-form module only its own argument names are taken out of the text, and
/// what is left is the command line.
pub(super) fn arguments(text: &str, module: Option<&Module>, span: Span) -> Result<Map, String> {
    let mut args = Map::new();
    let mut rest = Vec::new();
    let free_form = module.and_then(|module| module.free_form);
    for token in tokens(text)? {
        match key_of(token).filter(|(key, _)| free_form.is_none() || is_argument(module, key)) {
            Some((key, value)) => drop(args.insert(key.into(), scalar(&unquoted(value), span))),
            None => rest.push(token),
        }
    }
    match (free_form, rest.as_slice()) {
        (_, []) => {}
        (Some(name), _) => drop(args.insert(name.into(), scalar(remaining(text, &rest, args.is_empty()).trim(), span))),
        (None, [first, ..]) => return Err((*first).to_owned()),
    }
    Ok(args)
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
    module.is_some_and(|module| module.arg(key).is_some_and(|arg| !arg.hidden && arg.name != "_raw_params" && arg.name != "argv"))
}

/// A command line is kept to the letter when no argument was taken out of it.
fn remaining(text: &str, rest: &[&str], is_whole: bool) -> String {
    if is_whole { text.to_owned() } else { rest.join(" ") }
}

fn key_of(token: &str) -> Option<(&str, &str)> {
    let (key, value) = token.split_once('=')?;
    let is_name = !key.is_empty() && key.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter));
    is_name.then_some((key, value))
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

fn unquoted(value: &str) -> String {
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
        Value::map(arguments(text, None, Span::NOWHERE).unwrap())
    }

    #[test]
    fn pairs_are_split_with_quotes_and_jinja_whole() {
        assert_eq!(plain("name=web state=started").to_json(), r#"{"name":"web","state":"started"}"#);
        assert_eq!(plain(r#"msg="a b" x='c d'"#).to_json(), r#"{"msg":"a b","x":"c d"}"#);
        assert_eq!(plain("path={{ a | default('x y') }}/z").to_json(), r#"{"path":"{{ a | default('x y') }}/z"}"#);
        assert_eq!(plain(r"line=one\ntwo").get("line"), Some(&Value::from("one\ntwo")));
    }

    #[test]
    fn what_is_not_a_pair_is_named() {
        assert_eq!(arguments("name=web started", None, Span::NOWHERE), Err("started".to_owned()));
        assert_eq!(arguments("msg='open", None, Span::NOWHERE), Err("msg='open".to_owned()));
    }

    #[test]
    fn a_free_form_text_keeps_its_own_equal_signs() {
        let module = crate::modules::find("script");
        let args = arguments("run.sh --user=bob creates=/tmp/x", module, Span::NOWHERE).unwrap();
        assert_eq!(args.get("_raw_params"), Some(&Value::from("run.sh --user=bob")));
        assert_eq!(args.get("creates"), Some(&Value::from("/tmp/x")));
    }
}
