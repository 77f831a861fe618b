//! `~` and `$VAR` in paths and command words, as a shell or Python's `expanduser` and `expandvars` read them.

use super::{Look, attrs};

/// A path as the host means it: `~`, `~name`, `$VAR` and `${VAR}` replaced. What is unknown stays as written.
pub fn path(look: &dyn Look, text: &str) -> String {
    home(look, &variables(look, text))
}

/// `$VAR` and `${VAR}` from the task's environment.
pub fn variables(look: &dyn Look, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (written, name) = variable(rest);
        match (!name.is_empty()).then(|| look.env(name)).flatten() {
            Some(value) => out.push_str(&value),
            None => out.push_str(written),
        }
        rest = &rest[written.len()..];
    }
    out + rest
}

/// The reference that `text` begins with, as written, and the name in it; the name is empty where it is none.
fn variable(text: &str) -> (&str, &str) {
    let after = &text[1..];
    if let Some(inner) = after.strip_prefix('{') {
        return inner.find('}').map_or((&text[..1], ""), |end| (&text[..end + 3], &inner[..end]));
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    (&text[..end + 1], &after[..end])
}

/// `~` is `$HOME`, or what the account file says; `~name` is that account's home.
pub fn home(look: &dyn Look, text: &str) -> String {
    let Some(rest) = text.strip_prefix('~') else { return text.to_owned() };
    let (name, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home = if name.is_empty() {
        look.env("HOME").or_else(|| field_of(look, 2, &look.uid().to_string()))
    } else {
        field_of(look, 0, name)
    };
    home.map_or_else(|| text.to_owned(), |home| home.trim_end_matches('/').to_owned() + tail)
}

fn field_of(look: &dyn Look, column: usize, value: &str) -> Option<String> {
    attrs::entry_of(look, "/etc/passwd", "passwd", column, value)?.into_iter().nth(5)
}
