//! Filters on text.

use super::{Filter, filter, links};
use crate::template::calls::{Args, Call};
use crate::template::failure::Res;
use crate::template::format_percent::percent;
use crate::template::methods::{capitalize, lines, split_text};
use crate::template::runtime::{Val, repr};

pub(super) const FILTERS: &[Filter] = &[
    filter("upper", &[], "capital letters", |call| map_text(call, str::to_uppercase)),
    filter("lower", &[], "small letters", |call| map_text(call, str::to_lowercase)),
    filter("capitalize", &[], "a capital first letter, the rest small", |call| map_text(call, capitalize)),
    filter("title", &[], "a capital letter at the start of every word", |call| map_text(call, title)),
    filter("trim", &["chars"], "without white space around it", trim),
    filter("replace", &["old", "new", "count"], "one part replaced by another", replace),
    filter("indent", &["width", "first", "blank"], "every line further to the right", indent),
    filter("center", &["width"], "in the middle of so many characters", center),
    filter("truncate", &["length", "killwords", "end", "leeway"], "cut to a length", truncate),
    filter("wordcount", &[], "how many words", |call| Ok(Val::size(words(&call.text()?).count()))),
    filter("wordwrap", &["width", "break_long_words", "wrapstring", "break_on_hyphens"], "lines of limited length", wordwrap),
    filter(
        "urlize",
        &["trim_url_limit", "nofollow", "target", "rel", "extra_schemes"],
        "with links to the addresses in it",
        links::urlize,
    ),
    filter("format", &["*values", "**named"], "a format such as `%s` filled in", format).taking_undefined(),
    filter("escape", &[], "HTML's special characters escaped", |call| map_text(call, escape)).or(&["e", "forceescape"]),
    filter("striptags", &[], "without HTML tags", |call| map_text(call, strip_tags)),
    filter("split", &["separator", "maxsplit"], "the parts between separators", split),
    filter("pprint", &[], "as a Python literal", |call| Ok(Val::from(repr(&call.deep_input()?)))),
    filter("filesizeformat", &["binary"], "a size in readable units", filesize),
    filter(
        "comment",
        &["style", "newline", "beginning", "prefix", "prefix_count", "decoration", "postfix", "postfix_count", "end"],
        "as a comment of a configuration file",
        comment,
    ),
    filter("quote", &[], "quoted for a shell", quoted),
    filter("splitlines", &[], "the lines", |call| Ok(lines(&call.text()?, false))),
];

/// Wider text is refused.
const WIDTH_MAX: usize = 1 << 20;

fn map_text(call: &mut Call<'_, '_>, apply: impl Fn(&str) -> String) -> Res<Val> {
    Ok(Val::from(apply(&call.text()?)))
}

fn width(call: &Call<'_, '_>, index: usize, default: i64) -> Res<usize> {
    let width = usize::try_from(call.int_arg(index, default)?).unwrap_or(0);
    if width > WIDTH_MAX { Err(format!("a width of {width} is more than {WIDTH_MAX}").into()) } else { Ok(width) }
}

/// Words begin after space, hyphens and opening brackets.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_start = true;
    for c in text.chars() {
        let is_gap = c.is_whitespace() || "-({[<".contains(c);
        if is_gap || !is_start {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        is_start = is_gap;
    }
    out
}

fn trim(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    Ok(Val::from(match call.given(0) {
        None => text.trim(),
        Some(set) => {
            let set: Vec<char> = set.to_text().chars().collect();
            text.trim_matches(|c| set.contains(&c))
        }
    }))
}

fn replace(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let (old, new) = (call.needed(0, "old")?.to_text(), call.needed(1, "new")?.to_text());
    Ok(Val::from(match usize::try_from(call.int_arg(2, -1)?) {
        Ok(count) => text.replacen(old.as_str(), &new, count),
        Err(_) => text.replace(old.as_str(), &new),
    }))
}

fn indent(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let pad = match call.given(0) {
        Some(Val::Str(pad)) => pad.as_str().to_owned(),
        _ => " ".repeat(width(call, 0, 4)?),
    };
    let (is_first, is_blank) = (call.flag(1, false), call.flag(2, false));
    // Python's splitlines drops the last line's end; the filter adds one first so that none is lost.
    let with_end = format!("{}\n", text.as_str());
    let split = lines(&with_end, false);
    let split = call.eval.elements(&split)?;
    let mut out = String::new();
    for (index, line) in split.iter().enumerate() {
        let line = line.as_str().unwrap_or("");
        if index > 0 {
            out.push('\n');
        }
        let is_padded = if index == 0 { is_first } else { is_blank || !line.is_empty() };
        if is_padded {
            out.push_str(&pad);
        }
        out.push_str(line);
    }
    Ok(Val::from(out))
}

fn center(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let width = width(call, 0, 80)?;
    let missing = width.saturating_sub(text.chars().count());
    let left = missing / 2 + (missing & width & 1);
    Ok(Val::from(format!("{}{}{}", " ".repeat(left), text.as_str(), " ".repeat(missing - left))))
}

fn truncate(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let (length, leeway) = (width(call, 0, 255)?, width(call, 3, 5)?);
    let end = call.text_arg(2, "...");
    let end_length = end.chars().count();
    if length < end_length {
        return Err(format!("expected length >= {end_length}, got {length}").into());
    }
    if text.chars().count() <= length + leeway {
        return Ok(Val::Str(text));
    }
    let kept: String = text.chars().take(length - end_length).collect();
    if call.flag(1, false) {
        return Ok(Val::from(kept + &end));
    }
    let cut = kept.rsplit_once(' ').map_or(kept.as_str(), |(head, _)| head);
    Ok(Val::from(cut.to_owned() + &end))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

fn wordwrap(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let (width, is_breaking) = (width(call, 0, 79)?.max(1), call.flag(1, true));
    let on_hyphens = call.flag(3, true);
    let separator = call.text_arg(2, "\n");
    let mut out = Vec::new();
    for line in text.lines() {
        let wrapped = wrap_line(line, width, is_breaking, on_hyphens);
        out.extend(if wrapped.is_empty() { vec![String::new()] } else { wrapped });
    }
    Ok(Val::from(out.join(&separator)))
}

/// Chunks as Python's `textwrap` cuts them: words with the space before them, words also after hyphens.
fn wrap_line(line: &str, width: usize, is_breaking: bool, on_hyphens: bool) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for c in line.chars() {
        let is_space = c.is_whitespace();
        match chunks.last_mut() {
            Some(last) if last.chars().all(char::is_whitespace) == is_space && !(on_hyphens && after_hyphen(last, c)) => {
                last.push(c);
            }
            _ => chunks.push(c.to_string()),
        }
    }
    chunks.reverse();
    let mut lines = Vec::new();
    while !chunks.is_empty() {
        let mut current = String::new();
        while let Some(chunk) = chunks.pop() {
            if !lines.is_empty() && current.is_empty() && chunk.trim().is_empty() {
                continue;
            }
            let length = current.chars().count();
            let chunk_length = chunk.chars().count();
            if length + chunk_length <= width {
                current.push_str(&chunk);
                continue;
            }
            if chunk_length > width && is_breaking {
                let room = (width - length).max(usize::from(length == 0));
                let cut = chunk.char_indices().nth(room).map_or(chunk.len(), |(offset, _)| offset);
                current.push_str(&chunk[..cut]);
                chunks.push(chunk[cut..].to_owned());
            } else if current.is_empty() {
                current = chunk;
            } else {
                chunks.push(chunk);
            }
            break;
        }
        let kept = current.trim_end();
        if !kept.is_empty() {
            lines.push(kept.to_owned());
        }
    }
    lines
}

fn after_hyphen(chunk: &str, next: char) -> bool {
    let mut before = chunk.chars().rev();
    before.next() == Some('-') && before.next().is_some_and(char::is_alphabetic) && next.is_alphabetic()
}

fn format(call: &mut Call<'_, '_>) -> Res<Val> {
    let format = call.eval.defined(call.input.clone())?;
    let text = call.text_of(&format)?;
    if !call.named.is_empty() && !call.rest.is_empty() {
        return Err("can't handle positional and keyword arguments at the same time".into());
    }
    let values = if call.named.is_empty() {
        Val::tuple(call.rest.clone())
    } else {
        call.named.iter().map(|(name, value)| (crate::value::Key::from(&**name), value.clone())).collect()
    };
    percent(call.eval, &text, &values)
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&#34;")
}

fn strip_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        let Some(end) = rest[start..].find('>') else { break };
        out.push_str(&rest[..start]);
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    let joined = out.split_whitespace().collect::<Vec<_>>().join(" ");
    joined
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

fn split(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    if let Some(other) = call.given(0).filter(|separator| separator.as_str().is_none()) {
        return Err(format!("must be str or None, not {}", other.kind()).into());
    }
    let separator = call.given(0).map(Val::to_text);
    if separator.as_ref().is_some_and(|separator| separator.is_empty()) {
        return Err("empty separator".into());
    }
    let count = usize::try_from(call.int_arg(1, -1)?).ok();
    let parts = split_text(&text, separator.as_deref(), count, false);
    Ok(Val::list(parts.into_iter().map(|part| Val::text_of(part, text.is_secret())).collect()))
}

fn filesize(call: &mut Call<'_, '_>) -> Res<Val> {
    let bytes = super::convert::number(&call.input)?;
    let (base, units) = if call.flag(0, false) {
        (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"])
    } else {
        (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"])
    };
    if bytes == 1.0 {
        return Ok(Val::from("1 Byte"));
    }
    if bytes < base {
        return Ok(Val::from(format!("{} Bytes", bytes as i64)));
    }
    let mut unit = base;
    for name in units {
        if bytes < unit * base {
            return Ok(Val::from(format!("{:.1} {name}", bytes / unit)));
        }
        unit *= base;
    }
    Ok(Val::from(format!("{:.1} {}", bytes * base / unit, units[7])))
}

/// What a style of comment is made of.
struct CommentStyle {
    beginning: &'static str,
    decoration: &'static str,
    end: &'static str,
}

fn comment(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let style = match call.text_arg(0, "plain").as_str() {
        "plain" => CommentStyle { beginning: "", decoration: "# ", end: "" },
        "decoration" | "erlang" => CommentStyle { beginning: "", decoration: "% ", end: "" },
        "c" => CommentStyle { beginning: "", decoration: "// ", end: "" },
        "cblock" => CommentStyle { beginning: "/*", decoration: " * ", end: " */" },
        "xml" => CommentStyle { beginning: "<!--", decoration: " - ", end: "-->" },
        other => return Err(format!("Invalid style '{other}'.").into()),
    };
    let newline = call.text_arg(1, "\n");
    let beginning = call.text_arg(2, style.beginning);
    let decoration = call.text_arg(5, style.decoration);
    let prefix = call.text_arg(3, decoration.trim_end());
    let postfix = call.text_arg(6, decoration.trim_end());
    let (prefix_count, postfix_count) = (width(call, 4, 1)?, width(call, 7, 1)?);
    let end = call.text_arg(8, style.end);
    let line = |part: &str| if part.is_empty() { String::new() } else { format!("{part}{}", newline.as_str()) };
    let padded = |part: &str, count: usize| {
        if part == newline.as_str() {
            part.repeat(count)
        } else if part.is_empty() {
            String::new()
        } else {
            format!("{part}{}", newline.as_str()).repeat(count)
        }
    };
    let lines: Vec<&str> = text.split(newline.as_str()).collect();
    let inner = 1..lines.len().saturating_sub(1);
    let decorated = |(index, line): (usize, &&str)| {
        if line.is_empty() && inner.contains(&index) {
            return decoration.trim_end().to_owned();
        }
        format!("{}{line}", decoration.as_str())
    };
    let body = lines.iter().enumerate().map(decorated).collect::<Vec<_>>().join(&newline);
    let tail = format!("{}{}", newline.as_str(), postfix.as_str()).repeat(postfix_count);
    let closing = if end.is_empty() { String::new() } else { format!("{}{}", newline.as_str(), end.as_str()) };
    Ok(Val::from(format!("{}{}{body}{tail}{closing}", line(&beginning), padded(&prefix, prefix_count))))
}

fn quoted(call: &mut Call<'_, '_>) -> Res<Val> {
    if matches!(call.input, Val::None) {
        return Ok(Val::from("''"));
    }
    map_text(call, quote)
}

/// Quoted so that a shell sees one word.
pub(super) fn quote(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if text.is_empty() {
        return "''".to_owned();
    }
    if text.chars().all(is_safe) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\"'\"'")) }
}

/// Arguments of a filter that another filter names, such as `map('upper')`.
pub(super) fn passed(call: &mut Call<'_, '_>) -> Args {
    Args { positional: std::mem::take(&mut call.rest), named: std::mem::take(&mut call.named) }
}
