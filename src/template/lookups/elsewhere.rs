//! Lookups of collections: texts by chance.

use super::{Asked, Lookup, row};
use crate::template::calls::whole;
use crate::template::failure::Res;
use crate::template::filters::random_text;
use crate::template::runtime::Val;

pub(super) const LOOKUPS: &[Lookup] = &[row("community.general.random_string", "a text by chance", random_string)];

const LENGTH_MAX: usize = 4096;
const SPECIAL: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

fn random_string(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let number = |name: &str, default: i64| -> Res<usize> {
        let number = asked.option(name).map_or(Ok(default), whole)?;
        match usize::try_from(number).unwrap_or(0) {
            length if length > LENGTH_MAX => Err(format!("a length of {length} is more than {LENGTH_MAX}").into()),
            length => Ok(length),
        }
    };
    let (length, is_base64) = (number("length", 8)?, asked.flag("base64", false));
    let kinds = [
        ("upper", "min_upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ".to_owned()),
        ("lower", "min_lower", "abcdefghijklmnopqrstuvwxyz".to_owned()),
        ("numbers", "min_numeric", "0123456789".to_owned()),
        ("special", "min_special", asked.text_option("override_special", SPECIAL)),
    ];
    let ignored =
        if asked.flag("ignore_similar_chars", false) { asked.text_option("similar_chars", "il1LoO0") } else { String::new() };
    let letters = |set: &str| set.chars().filter(|letter| !ignored.contains(*letter)).collect::<Vec<char>>();
    let mut chosen = String::new();
    let mut all = Vec::new();
    for (kind, least, set) in &kinds {
        let set = letters(set);
        chosen += &random_text(&set, number(least, 0)?, None);
        if asked.flag(kind, true) {
            all.extend(set);
        }
    }
    let override_all = asked.text_option("override_all", "");
    if !override_all.is_empty() {
        all = letters(&override_all);
    }
    let missing = length.saturating_sub(chosen.chars().count());
    if all.is_empty() && missing > 0 {
        return Err("Available characters cannot be None, please change constraints".into());
    }
    chosen += &random_text(&all, missing, None);
    let text = shuffled(&chosen);
    let text = if is_base64 { <base64ct::Base64 as base64ct::Encoding>::encode_string(text.as_bytes()) } else { text };
    Ok(vec![Val::text_of(text, true)])
}

/// What must be there stands anywhere.
fn shuffled(text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for last in (1..letters.len()).rev() {
        letters.swap(last, crate::template::filters::random_below(last + 1));
    }
    letters.into_iter().collect()
}
