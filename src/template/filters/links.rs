//! Links made of the addresses in a text.

use super::regex::compile;
use super::text::escape;
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;

/// `https://…`, `www.…` and names below well-known domains.
const ADDRESS: &str = r"^(?:(?:https?://|www\.)(?:(?:[\w%-]+\.)+)?(?:[a-z]{2,63}|xn--[\w%]{2,59})|(?:[\w%-]{2,63}\.)+(?:com|edu|gov|info|int|mil|net|org)|https?://(?:\d{1,3}(?:\.\d{1,3}){3}|\[(?:[\da-f]{0,4}:){2}(?:[\da-f]{0,4}:?){1,6}\]))(?::\d{1,5})?(?:[/?#]\S*)?\Z";
const MAIL: &str = r"^\S+@\w[\w.-]*\.\w+\Z";
const SCHEME: &str = r"^[\w.+-]{2,}:/{0,2}\Z";

/// What may stand around an address without being of it; what belongs together.
const OPENING: &[&str] = &["(", "<", "&lt;"];
const CLOSING: &[&str] = &[")", ">", "&gt;", ".", ",", "\n"];
const PAIRS: &[(&str, &str)] = &[("(", ")"), ("<", ">"), ("&lt;", "&gt;")];

pub(super) fn urlize(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let limit = call.given(0).map(crate::template::calls::whole).transpose()?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(0));
    let mut schemes = Vec::new();
    if let Some(given) = call.given(4).cloned() {
        for scheme in call.eval.elements(&given)? {
            let scheme = scheme.to_text();
            if !is_match(SCHEME, &scheme)? {
                return Err(format!("'{}' is not a valid URI scheme prefix.", scheme.as_str()).into());
            }
            schemes.push(scheme);
        }
    }
    let mut relations: Vec<String> = call.text_arg(3, "").split_whitespace().map(str::to_owned).collect();
    relations.extend(call.flag(1, false).then(|| "nofollow".to_owned()));
    relations.push("noopener".to_owned());
    relations.sort();
    relations.dedup();
    let target = call.given(2).map(|target| format!(" target=\"{}\"", escape(&target.to_text()))).unwrap_or_default();
    let attributes = format!(" rel=\"{}\"{target}", escape(&relations.join(" ")));
    let shortened = |word: &str| match limit {
        Some(limit) if word.chars().count() > limit => word.chars().take(limit).chain("...".chars()).collect(),
        _ => word.to_owned(),
    };
    let mut out = String::new();
    for word in words(&escape(&text)) {
        let (head, middle, tail) = split(word);
        out.push_str(head);
        let mail = middle.strip_prefix("mailto:");
        let is_mail = || -> Res<bool> {
            let may_be = middle.contains('@') && !middle.starts_with("www.") && !middle.contains(':');
            Ok(may_be && is_match(MAIL, middle)?)
        };
        if is_match(ADDRESS, middle)? {
            let has_scheme = middle.starts_with("https://") || middle.starts_with("http://");
            let scheme = if has_scheme { "" } else { "https://" };
            out.push_str(&format!("<a href=\"{scheme}{middle}\"{attributes}>{}</a>", shortened(middle)));
        } else if let Some(mail) = mail
            && is_match(MAIL, mail)?
        {
            out.push_str(&format!("<a href=\"{middle}\">{mail}</a>"));
        } else if is_mail()? {
            out.push_str(&format!("<a href=\"mailto:{middle}\">{middle}</a>"));
        } else if schemes.iter().any(|scheme| middle.len() > scheme.len() && middle.starts_with(scheme.as_str())) {
            out.push_str(&format!("<a href=\"{middle}\"{attributes}>{middle}</a>"));
        } else {
            out.push_str(middle);
        }
        out.push_str(tail);
    }
    Ok(Val::from(out))
}

fn is_match(pattern: &str, text: &str) -> Res<bool> {
    let regex = compile(pattern, true, false)?;
    Ok(regex.is_match(text).map_err(|error| super::regex::failed(&error))?)
}

/// Words and the space between them, in turn.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_space = first.is_whitespace();
        let end = rest.find(|c: char| c.is_whitespace() != is_space).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after;
    }
    words
}

/// What stands before an address, the address, and what stands behind it. Brackets that are opened within it are closed within it.
fn split(word: &str) -> (&str, &str, &str) {
    let mut start = 0;
    while let Some(mark) = OPENING.iter().find(|mark| word[start..].starts_with(**mark)) {
        start += mark.len();
    }
    let mut end = word.len();
    while let Some(mark) = CLOSING.iter().find(|mark| word[start..end].ends_with(**mark)) {
        end -= mark.len();
    }
    for (opening, closing) in PAIRS {
        let opened = word[start..end].matches(opening).count();
        let mut missing = opened.saturating_sub(word[start..end].matches(closing).count());
        while missing > 0 {
            let Some(at) = word[end..].find(closing) else { break };
            end += at + closing.len();
            missing -= 1;
        }
    }
    (&word[..start], &word[start..end], &word[end..])
}
