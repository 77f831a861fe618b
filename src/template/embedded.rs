//! Conditions that hold `{{ }}` inside: `"{{ list | length }} == 1"`.

/// The same condition without braces, or none where it has none. An expression takes the place of its braces as a part of the
/// tree, never as text, so no value can bring in operators of its own. In a string of the condition it is joined to the rest.
pub(super) fn opened(text: &str) -> Option<String> {
    if !text.contains("{{") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quote: Option<char> = None;
    let mut has_joined = false;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("{{") {
            let (inner, after) = after.split_at(closing(after)?);
            let inner = inner.trim_matches('-').trim();
            match quote {
                Some(mark) => out.push_str(&format!("{mark} ~ ({inner}) ~ {mark}")),
                None => out.push_str(&format!("({})", without_quote(inner))),
            }
            has_joined |= quote.is_some();
            rest = &after[2..];
            continue;
        }
        match (letter, quote) {
            ('\\', Some(_)) => {
                out.push(letter);
                rest = &rest[1..];
                let Some(next) = rest.chars().next() else { break };
                out.push(next);
                rest = &rest[next.len_utf8()..];
                continue;
            }
            (mark @ ('"' | '\''), None) => {
                out.push_str(if string_has_braces(rest, mark) { "(" } else { "" });
                quote = Some(mark);
                out.push(mark);
            }
            (mark, Some(open)) if mark == open => {
                out.push(mark);
                out.push_str(if has_joined { ")" } else { "" });
                (quote, has_joined) = (None, false);
            }
            _ => out.push(letter),
        }
        rest = &rest[letter.len_utf8()..];
    }
    Some(out)
}

/// The quotes that `quote` put around a text made it a string of the condition.
fn without_quote(inner: &str) -> &str {
    let before = inner.strip_suffix("quote").and_then(|rest| rest.trim_end().strip_suffix('|'));
    before.map_or(inner, str::trim_end)
}

/// Where `}}` ends an expression; its own strings and braces are passed over.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (letter, quote) {
            ('\\', Some(_)) => drop(letters.next()),
            (mark @ ('"' | '\''), None) => quote = Some(mark),
            (mark, Some(open)) if mark == open => quote = None,
            ('{', None) => depth += 1,
            ('}', None) if depth == 0 => return text[at..].starts_with("}}").then_some(at),
            ('}', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether the string that begins here holds an expression, which then has to stand in brackets.
fn string_has_braces(text: &str, mark: char) -> bool {
    let mut rest = &text[1..];
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("{{") {
            return true;
        }
        if letter == mark {
            return false;
        }
        rest = &rest[letter.len_utf8()..];
        if letter == '\\' {
            rest = rest.get(rest.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
        }
    }
    false
}

#[cfg(test)]
mod unit {
    use super::opened;

    #[test]
    fn braces_become_brackets_and_joins() {
        let text = |text: &str| opened(text).unwrap();
        assert_eq!(opened("a == 1"), None);
        assert_eq!(text("{{ a | length }} == 1"), "(a | length) == 1");
        assert_eq!(text("x == \"{{ a }}/b\""), "x == (\"\" ~ (a) ~ \"/b\")");
        assert_eq!(text("'{{ a['b'] }}' in {{ c }}"), "('' ~ (a['b']) ~ '') in (c)");
        assert_eq!(text("{{ {'a': {}} }} == b and 'c}}' != d"), "({'a': {}}) == b and 'c}}' != d");
        assert_eq!(text("{{ a|quote }} is file"), "(a) is file");
        assert_eq!(opened("{{ a"), None);
    }
}
