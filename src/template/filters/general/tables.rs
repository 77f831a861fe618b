//! CSV and INI texts, in and out.

use super::{data, data_of};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::lookups::{csv_rows, ini_entries};
use crate::template::runtime::{Val, from_value};
use crate::value::{Key, Map, Value};

pub(super) fn from_csv(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let dialect = call.text_arg(0, "excel");
    let delimiter = match (call.given(2), dialect.as_str()) {
        (Some(given), _) => given.to_text().chars().next().unwrap_or(','),
        (None, "excel-tab") => '\t',
        (None, "excel" | "unix") => ',',
        (None, other) => return Err(format!("Dialect '{other}' is not supported by your version of python.").into()),
    };
    let skips_space = call.flag(3, false);
    let mut rows = csv_rows(&text, delimiter).into_iter().map(|row| {
        let trimmed = |field: String| if skips_space { field.trim_start().to_owned() } else { field };
        row.into_iter().map(trimmed).collect::<Vec<String>>()
    });
    let names = match call.given(1).cloned() {
        Some(names) => match data_of(call, &names)? {
            Value::List(names) => names.iter().map(|name| name.to_text().as_str().to_owned()).collect(),
            other => other.to_text().split(',').map(str::to_owned).collect(),
        },
        None => rows.next().unwrap_or_default(),
    };
    let row = |fields: Vec<String>| -> Value {
        let mut fields = fields.into_iter();
        let mut row: Map = names.iter().map(|name| (name.as_str().into(), Value::from(fields.next()))).collect();
        let rest: Vec<String> = fields.collect();
        if !rest.is_empty() {
            row.insert(Key::Null, rest.into());
        }
        Value::map(row)
    };
    Ok(from_value(&rows.filter(|fields| fields.iter().any(|field| !field.is_empty()) || fields.len() > 1).map(row).collect()))
}

pub(super) fn from_ini(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let mut sections = Map::new();
    for (section, key, value) in ini_entries(&text) {
        let place = sections.entry(section.as_str().into()).or_insert_with(|| Value::map(Map::new()));
        let mut entries = place.as_map().cloned().unwrap_or_default();
        entries.insert(key.to_lowercase().into(), value.into());
        *place = Value::map(entries);
    }
    Ok(from_value(&Value::map(sections)))
}

pub(super) fn to_ini(call: &mut Call<'_, '_>) -> Res<Val> {
    let value = data(call)?;
    let Some(sections) = value.as_map() else {
        return Err(format!("to_ini requires a dict, got a {}", value.kind()).into());
    };
    let mut texts = Vec::new();
    for (section, entries) in sections {
        let Some(entries) = entries.as_map() else {
            return Err(format!("section `{section}` must be a map, not a {}", entries.kind()).into());
        };
        let lines =
            entries.iter().map(|(key, value)| format!("{} = {}\n", key.to_string().to_lowercase(), value.to_text().as_str()));
        texts.push(format!("[{section}]\n{}", lines.collect::<String>()));
    }
    Ok(Val::from(texts.join("\n")))
}
