//! Methods of strings.

use super::Given;
use crate::template::evaluate::Eval;
use crate::template::failure::Res;
use crate::template::runtime::Val;
use crate::value::Text;

pub(super) const NAMES: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "decode",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// Padding beyond this is refused.
const WIDTH_MAX: i64 = 16 << 20;

pub(super) fn call(eval: &mut Eval<'_>, text: &Text, name: &str, args: &Given) -> Res<Val> {
    let result = plain(eval, text, name, args)?;
    Ok(if text.is_secret() { secret(result) } else { result })
}

/// What was cut out of a secret is secret.
fn secret(val: Val) -> Val {
    match val {
        Val::Str(text) => Val::Str(Text::secret(text.as_str())),
        Val::List(items) => Val::list(items.items().into_iter().map(secret).collect()),
        Val::Tuple(items) => Val::tuple(items.iter().cloned().map(secret).collect()),
        other => other,
    }
}

fn plain(eval: &mut Eval<'_>, text: &Text, name: &str, args: &Given) -> Res<Val> {
    let string = text.as_str();
    let new = |text: String| Ok(Val::from(text));
    match name {
        "upper" => new(string.to_uppercase()),
        "lower" | "casefold" => new(string.to_lowercase()),
        "capitalize" => new(capitalize(string)),
        "title" => new(title(string)),
        "swapcase" => new(string.chars().flat_map(swapped).collect()),
        "strip" => trim(string, args, true, true),
        "lstrip" => trim(string, args, true, false),
        "rstrip" => trim(string, args, false, true),
        "startswith" => affix(eval, string, args, |text, part| text.starts_with(part)),
        "endswith" => affix(eval, string, args, |text, part| text.ends_with(part)),
        "removeprefix" => new(string.strip_prefix(args.text(0)?.as_str()).unwrap_or(string).to_owned()),
        "removesuffix" => new(string.strip_suffix(args.text(0)?.as_str()).unwrap_or(string).to_owned()),
        "split" => split(string, args, false),
        "rsplit" => split(string, args, true),
        "splitlines" => Ok(lines(string, args.named(0, "keepends").and_then(Val::truth).unwrap_or(false))),
        "partition" => partition(string, &args.text(0)?, false),
        "rpartition" => partition(string, &args.text(0)?, true),
        "join" => join(eval, string, args),
        "replace" => replace(string, args),
        "find" | "rfind" | "index" | "rindex" => find(string, name, args),
        "count" => Ok(Val::size(match args.text(0)?.as_str() {
            "" => string.chars().count() + 1,
            part => string.matches(part).count(),
        })),
        "center" | "ljust" | "rjust" => pad(string, name, args),
        "zfill" => zfill(string, whole_width(args)?),
        "expandtabs" => new(expand_tabs(string, usize::try_from(args.int(0, 8)?).unwrap_or(0))),
        "encode" | "decode" | "translate" => Ok(Val::Str(text.clone())),
        other => Ok(Val::Bool(property(string, other))),
    }
}

fn property(text: &str, name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => all(|c| c.is_ascii_digit()),
        "isnumeric" => all(char::is_numeric),
        "isidentifier" => {
            text.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic())
                && text.chars().all(|c| c == '_' || c.is_alphanumeric())
        }
        "islower" => text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        "isspace" => all(char::is_whitespace),
        "isprintable" => !text.chars().any(char::is_control),
        _ => text.chars().any(char::is_alphabetic) && title(text) == text,
    }
}

pub(crate) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase())
}

fn title(text: &str) -> String {
    let mut is_inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        is_inside = c.is_alphabetic();
    }
    out
}

fn swapped(c: char) -> Vec<char> {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}

fn trim(text: &str, args: &Given, at_start: bool, at_end: bool) -> Res<Val> {
    let set: Option<Vec<char>> = match args.get(0) {
        None | Some(Val::None) => None,
        Some(_) => Some(args.text(0)?.chars().collect()),
    };
    let is_trimmed = |c: char| set.as_ref().map_or_else(|| c.is_whitespace(), |set| set.contains(&c));
    let mut rest = text;
    if at_start {
        rest = rest.trim_start_matches(is_trimmed);
    }
    if at_end {
        rest = rest.trim_end_matches(is_trimmed);
    }
    Ok(Val::from(rest))
}

fn affix(eval: &mut Eval<'_>, text: &str, args: &Given, test: fn(&str, &str) -> bool) -> Res<Val> {
    if let Val::Tuple(parts) = args.needed(0)? {
        return Ok(Val::Bool(parts.iter().any(|part| part.as_str().is_some_and(|part| test(text, part)))));
    }
    let part = args.text(0)?;
    let bounds = [args.get(1), args.get(2)].map(|bound| bound.and_then(Val::as_int));
    let sliced = eval.slice(&Val::from(text), [bounds[0], bounds[1], None])?;
    Ok(Val::Bool(test(sliced.as_str().unwrap_or(text), &part)))
}

/// The text cut at a separator, or at white space when there is none.
pub(crate) fn split_text(text: &str, separator: Option<&str>, count: Option<usize>, is_reversed: bool) -> Vec<String> {
    let own = |parts: Vec<&str>| parts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    match (separator, count) {
        (Some(separator), None) => own(text.split(separator).collect()),
        (Some(separator), Some(count)) if is_reversed => {
            let mut parts: Vec<&str> = text.rsplitn(count + 1, separator).collect();
            parts.reverse();
            own(parts)
        }
        (Some(separator), Some(count)) => own(text.splitn(count + 1, separator).collect()),
        (None, None) => own(text.split_whitespace().collect()),
        (None, Some(count)) => {
            let mut parts = Vec::new();
            let mut rest = text.trim();
            while !rest.is_empty() && parts.len() < count {
                let cut = if is_reversed { rest.rfind(char::is_whitespace) } else { rest.find(char::is_whitespace) };
                let Some(cut) = cut else { break };
                let (part, remaining) =
                    if is_reversed { (rest[cut..].trim(), &rest[..cut]) } else { (&rest[..cut], &rest[cut..]) };
                parts.push(part);
                rest = remaining.trim();
            }
            if !rest.is_empty() {
                parts.push(rest);
            }
            if is_reversed {
                parts.reverse();
            }
            own(parts)
        }
    }
}

fn split(text: &str, args: &Given, is_reversed: bool) -> Res<Val> {
    let separator = match args.named(0, "sep") {
        None | Some(Val::None) => None,
        Some(Val::Str(separator)) if separator.is_empty() => return Err("empty separator".into()),
        Some(Val::Str(separator)) => Some(separator.clone()),
        Some(other) => return Err(format!("must be str or None, not {}", other.kind()).into()),
    };
    let count = match args.named(1, "maxsplit") {
        None => None,
        Some(value) => usize::try_from(super::whole(value)?).ok(),
    };
    Ok(Val::list(split_text(text, separator.as_deref(), count, is_reversed).into_iter().map(Val::from).collect()))
}

pub(crate) fn lines(text: &str, keep_ends: bool) -> Val {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}']);
        let Some(end) = end else {
            lines.push(Val::from(rest));
            break;
        };
        let width = if rest[end..].starts_with("\r\n") { 2 } else { rest[end..].chars().next().map_or(1, char::len_utf8) };
        lines.push(Val::from(if keep_ends { &rest[..end + width] } else { &rest[..end] }));
        rest = &rest[end + width..];
    }
    Val::list(lines)
}

fn partition(text: &str, separator: &str, is_reversed: bool) -> Res<Val> {
    let found = if is_reversed { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if is_reversed => ["", "", text],
        None => [text, "", ""],
    };
    Ok(Val::tuple(parts.into_iter().map(Val::from).collect()))
}

fn join(eval: &mut Eval<'_>, separator: &str, args: &Given) -> Res<Val> {
    let mut parts = Vec::new();
    let mut is_secret = false;
    for (index, item) in eval.elements(args.needed(0)?)?.into_iter().enumerate() {
        match item {
            Val::Str(text) => {
                is_secret |= text.is_secret();
                parts.push(text.as_str().to_owned());
            }
            other => return Err(format!("sequence item {index}: expected str instance, {} found", other.kind()).into()),
        }
    }
    Ok(Val::text_of(parts.join(separator), is_secret))
}

fn replace(text: &str, args: &Given) -> Res<Val> {
    let (from, to) = (args.text(0)?, args.text(1)?);
    let replaced = match usize::try_from(args.int(2, -1)?) {
        Ok(count) => text.replacen(from.as_str(), &to, count),
        Err(_) => text.replace(from.as_str(), &to),
    };
    Ok(Val::text_of(replaced, to.is_secret()))
}

fn find(text: &str, name: &str, args: &Given) -> Res<Val> {
    let part = args.text(0)?;
    let skipped = usize::try_from(args.int(1, 0)?).unwrap_or(0);
    let start = text.char_indices().nth(skipped).map_or(text.len(), |(offset, _)| offset);
    let tail = &text[start..];
    let offset = if name.starts_with('r') { tail.rfind(part.as_str()) } else { tail.find(part.as_str()) };
    match offset {
        Some(offset) => Ok(Val::size(skipped + tail[..offset].chars().count())),
        None if name.ends_with("find") => Ok(Val::Int(-1)),
        None => Err("substring not found".into()),
    }
}

fn whole_width(args: &Given) -> Res<usize> {
    let width = super::whole(args.needed(0)?)?;
    if width > WIDTH_MAX {
        return Err(format!("a width of {width} is more than {WIDTH_MAX}").into());
    }
    Ok(usize::try_from(width).unwrap_or(0))
}

fn pad(text: &str, name: &str, args: &Given) -> Res<Val> {
    let width = whole_width(args)?;
    let fill = match args.get(1) {
        None => ' ',
        Some(_) => args.text(1)?.chars().next().ok_or("The fill character must be exactly one character long")?,
    };
    let missing = width.saturating_sub(text.chars().count());
    let left = match name {
        "ljust" => 0,
        "rjust" => missing,
        _ => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    Ok(Val::from(format!("{}{text}{}", fill(left), fill(missing - left))))
}

fn zfill(text: &str, width: usize) -> Res<Val> {
    let missing = width.saturating_sub(text.chars().count());
    let (sign, digits) = if text.starts_with(['+', '-']) { text.split_at(1) } else { ("", text) };
    Ok(Val::from(format!("{sign}{}{digits}", "0".repeat(missing))))
}

fn expand_tabs(text: &str, size: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let width = size - column % size;
                out.push_str(&" ".repeat(width));
                column += width;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}
