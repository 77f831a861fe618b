//! Filters of the collections `community.general`, `community.crypto`, `ansible.utils` and `ansible.netcommon` that shape data.

mod certificates;
mod keys;
mod kinds;
mod lists;
mod paths;
mod tables;
mod units;
mod vlans;

pub(crate) use kinds::revealed;

use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::{Val, arithmetic, from_value};
use crate::template::syntax::tree::Operator;
use crate::value::{Map, Value};

pub(super) const FILTERS: &[Filter] = &[
    filter("community.general.accumulate", &[], "running sums", accumulate),
    filter("community.general.counter", &[], "how often each item is there", lists::counter),
    filter("community.general.crc32", &[], "a short checksum", crc32),
    filter("community.general.dict", &[], "a map from pairs", dict),
    filter("community.general.dict_kv", &["key"], "a map of one key", dict_kv).or(&["dict_kv"]),
    filter(
        "community.general.from_csv",
        &["dialect", "fieldnames", "delimiter", "skipinitialspace", "strict"],
        "rows of a csv text",
        tables::from_csv,
    )
    .or(&["from_csv"]),
    filter("community.general.from_ini", &["delimiters"], "sections of an ini text", tables::from_ini),
    filter("community.general.to_ini", &["delimiters"], "an ini text from sections", tables::to_ini),
    filter("community.general.groupby_as_dict", &["attribute"], "a map by one attribute", lists::groupby_as_dict)
        .or(&["groupby_as_dict"]),
    filter("community.general.keep_keys", &["target", "matching_parameter"], "maps with some keys only", keys::keep),
    filter("community.general.remove_keys", &["target", "matching_parameter"], "maps without some keys", keys::remove),
    filter("community.general.replace_keys", &["target", "matching_parameter"], "maps with other names of keys", keys::replace),
    filter("community.general.lists_difference", &["*others", "**options"], "what is in no other list", lists::difference),
    filter("community.general.lists_intersect", &["*others", "**options"], "what is in all lists", lists::intersection),
    filter(
        "community.general.lists_symmetric_difference",
        &["*others", "**options"],
        "what is in one of two lists",
        lists::symmetric_difference,
    ),
    filter("community.general.lists_union", &["*others", "**options"], "what is in any list", lists::union),
    filter("community.general.lists_mergeby", &["*others", "**options"], "lists of maps put together by one key", lists::mergeby)
        .or(&["lists_mergeby"]),
    filter("community.general.version_sort", &["reverse"], "in the order of versions", lists::version_sort).or(&["version_sort"]),
    filter("community.general.to_time_unit", &["unit", "**factors"], "a span of time in a unit", units::to_unit),
    filter("community.general.to_milliseconds", &["**factors"], "a span of time in milliseconds", |call| units::to(call, "ms")),
    filter("community.general.to_seconds", &["**factors"], "a span of time in seconds", |call| units::to(call, "s")),
    filter("community.general.to_minutes", &["**factors"], "a span of time in minutes", |call| units::to(call, "m")),
    filter("community.general.to_hours", &["**factors"], "a span of time in hours", |call| units::to(call, "h")),
    filter("community.general.to_days", &["**factors"], "a span of time in days", |call| units::to(call, "d")),
    filter("community.general.to_weeks", &["**factors"], "a span of time in weeks", |call| units::to(call, "w")),
    filter("community.general.to_months", &["**factors"], "a span of time in months", |call| units::to(call, "mo")),
    filter("community.general.to_years", &["**factors"], "a span of time in years", |call| units::to(call, "y")),
    filter("community.general.reveal_ansible_type", &["alias"], "the type, with the types of what is inside", kinds::reveal),
    filter("community.general.unicode_normalize", &["form"], "a text with its letters put together or taken apart", normalize),
    filter("community.crypto.parse_serial", &[], "the number of a serial number with colons", certificates::parse_serial),
    filter("community.crypto.to_serial", &[], "a serial number with colons", certificates::to_serial),
    filter("community.crypto.split_pem", &[], "the blocks of a PEM text", certificates::split_pem),
    filter("ansible.netcommon.vlan_parser", &["first_line_len", "other_line_len"], "numbers as ranges", vlans::parser)
        .or(&["vlan_parser"]),
    filter("ansible.netcommon.vlan_expander", &[], "the numbers of ranges", vlans::expander).or(&["vlan_expander"]),
    filter("ansible.netcommon.hash_salt", &[], "the salt of a hashed password", vlans::hash_salt).or(&["hash_salt"]),
    filter("ansible.utils.keep_keys", &["target", "matching_parameter"], "nested data with some keys only", keys::keep_deep)
        .or(&["keep_keys"]),
    filter("ansible.utils.remove_keys", &["target", "matching_parameter"], "nested data without some keys", keys::remove_deep)
        .or(&["remove_keys"]),
    filter(
        "ansible.utils.replace_keys",
        &["target", "matching_parameter"],
        "nested data with other names of keys",
        keys::replace_deep,
    )
    .or(&["replace_keys"]),
    filter("ansible.utils.to_paths", &["prepend", "wantlist"], "a flat map of paths", paths::to_paths).or(&["to_paths"]),
    filter("ansible.utils.get_path", &["path", "wantlist"], "what is at a path", paths::get_path).or(&["get_path"]),
    filter(
        "ansible.utils.index_of",
        &["test", "value", "key", "fail_on_missing", "wantlist"],
        "where an item is",
        paths::index_of,
    )
    .or(&["index_of"]),
];

/// The input as plain data.
fn data(call: &mut Call<'_, '_>) -> Res<Value> {
    let input = call.input.clone();
    call.eval.export(&input)
}

/// An argument as plain data.
fn data_of(call: &mut Call<'_, '_>, value: &Val) -> Res<Value> {
    call.eval.export(value)
}

/// The input as a list of data.
fn rows(call: &mut Call<'_, '_>) -> Res<Vec<Value>> {
    match data(call)? {
        Value::List(items) => Ok(items.to_vec()),
        other => Err(format!("the input must be a list, not a {}", other.kind()).into()),
    }
}

fn normalize(call: &mut Call<'_, '_>) -> Res<Val> {
    use icu_normalizer::{ComposingNormalizerBorrowed as Composing, DecomposingNormalizerBorrowed as Decomposing};
    let form = call.text_arg(0, "NFC");
    let Val::Str(text) = &call.input else {
        return Err(format!("<class '{}'> is not a valid input type", call.input.kind()).into());
    };
    let normal = match form.as_str() {
        "NFC" => Composing::new_nfc().normalize(text),
        "NFD" => Decomposing::new_nfd().normalize(text),
        "NFKC" => Composing::new_nfkc().normalize(text),
        "NFKD" => Decomposing::new_nfkd().normalize(text),
        other => return Err(format!("{other} is not a valid form").into()),
    };
    Ok(Val::from(normal.into_owned()))
}

fn accumulate(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut sums: Vec<Val> = Vec::new();
    for item in call.items()? {
        let sum = match sums.last() {
            Some(sum) => arithmetic(Operator::Add, sum, &item)?,
            None => item,
        };
        sums.push(sum);
    }
    Ok(Val::list(sums))
}

fn crc32(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let mut sum = u32::MAX;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
    }
    Ok(Val::from(format!("{:08x}", !sum)))
}

fn dict(call: &mut Call<'_, '_>) -> Res<Val> {
    let mut entries = Map::new();
    for (index, row) in rows(call)?.into_iter().enumerate() {
        let items = row.as_list().unwrap_or_default();
        let [key, value] = items else {
            let length = items.len();
            return Err(format!("dictionary update sequence element #{index} has length {length}; 2 is required").into());
        };
        entries.insert(key.to_text().into(), value.clone());
    }
    Ok(from_value(&Value::map(entries)))
}

fn dict_kv(call: &mut Call<'_, '_>) -> Res<Val> {
    let key = call.needed(0, "key")?.to_text();
    let value = data(call)?;
    Ok(from_value(&Value::pair(&key, value)))
}
