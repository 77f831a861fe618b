//! Lookups in ini and csv files.

use super::{Asked, Lookup, row};
use crate::template::calls::whole;
use crate::template::failure::{Problem, Res, fault};
use crate::template::filters::regex;
use crate::template::runtime::Val;

pub(super) const LOOKUPS: &[Lookup] =
    &[row("ini", "a value of an ini file", ini), row("csvfile", "a field of a csv file", csvfile)];

/// `key name=value other=value`: the key, and the options that the term names itself.
fn inline_options(term: &str, names: &[&str]) -> (String, Vec<(String, String)>) {
    let mut key = Vec::new();
    let mut options = Vec::new();
    for word in term.split_whitespace() {
        match word.split_once('=') {
            Some((name, value)) if names.contains(&name) => options.push((name.to_owned(), value.to_owned())),
            _ => key.push(word),
        }
    }
    if options.is_empty() { (term.to_owned(), options) } else { (key.join(" "), options) }
}

fn option(asked: &Asked<'_, '_>, inline: &[(String, String)], name: &str, default: &str) -> String {
    let inline = inline.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
    inline.unwrap_or_else(|| asked.text_option(name, default))
}

fn text_of(asked: &Asked<'_, '_>, name: &str, encoding: &str) -> Res<String> {
    let mut searched = Vec::new();
    match asked.eval.find("files", name, &mut searched) {
        Some(path) => asked.eval.read_encoded(&path, encoding),
        None => Err(fault(Problem::NoFile { name: name.to_owned(), searched })),
    }
}

fn ini(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut found = Vec::new();
    for term in asked.texts()? {
        let (key, inline) = inline_options(&term, &["section", "file", "type", "default", "re", "encoding", "case_sensitive"]);
        let encoding = option(asked, &inline, "encoding", "utf-8");
        let text = text_of(asked, &option(asked, &inline, "file", "ansible.ini"), &encoding)?;
        let is_properties = option(asked, &inline, "type", "ini") == "properties";
        let section = if is_properties { String::new() } else { option(asked, &inline, "section", "global") };
        let is_pattern = matches!(option(asked, &inline, "re", "false").to_lowercase().as_str(), "true" | "yes" | "1");
        let is_sensitive =
            matches!(option(asked, &inline, "case_sensitive", "false").to_lowercase().as_str(), "true" | "yes" | "1");
        let fold = |name: &str| if is_sensitive { name.to_owned() } else { name.to_lowercase() };
        let mut values = entries(&text).into_iter().filter(|entry| entry.section == section);
        if is_pattern {
            let regex = regex::compile(&key, false, false)?;
            for entry in values {
                if regex.is_match(&fold(&entry.key)).map_err(|error| regex::failed(&error))? {
                    found.push(Val::from(entry.value));
                }
            }
            continue;
        }
        match values.rfind(|entry| fold(&entry.key) == fold(&key)) {
            Some(entry) => found.push(Val::from(entry.value)),
            None => found.push(Val::from(option(asked, &inline, "default", ""))),
        }
    }
    Ok(found)
}

struct Entry {
    section: String,
    key: String,
    value: String,
}

/// Section, key and value of every entry.
pub(crate) fn ini_entries(text: &str) -> Vec<(String, String, String)> {
    entries(text).into_iter().map(|entry| (entry.section, entry.key, entry.value)).collect()
}

/// Further lines of a value are indented.
fn entries(text: &str) -> Vec<Entry> {
    let mut section = String::new();
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with(char::is_whitespace)
            && let Some(last) = entries.last_mut()
        {
            last.value += "\n";
            last.value += trimmed;
        } else if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else {
            let (key, value) = trimmed.split_once(['=', ':']).unwrap_or((trimmed, ""));
            entries.push(Entry { section: section.clone(), key: key.trim().to_owned(), value: value.trim().to_owned() });
        }
    }
    entries
}

fn csvfile(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut found = Vec::new();
    for term in asked.texts()? {
        let (key, inline) = inline_options(&term, &["file", "delimiter", "col", "default", "encoding", "keycol"]);
        let encoding = option(asked, &inline, "encoding", "utf-8");
        let text = text_of(asked, &option(asked, &inline, "file", "ansible.csv"), &encoding)?;
        let delimiter = match option(asked, &inline, "delimiter", "TAB").as_str() {
            "TAB" | "\\t" | "\t" => '\t',
            other => other.chars().next().unwrap_or(','),
        };
        let column = |name: &str, default: &str| -> Res<usize> {
            Ok(usize::try_from(whole(&Val::from(option(asked, &inline, name, default)))?).unwrap_or(0))
        };
        let (key_column, column) = (column("keycol", "0")?, column("col", "1")?);
        let row = csv_rows(&text, delimiter).into_iter().find(|row| row.get(key_column) == Some(&key));
        match row.and_then(|row| row.into_iter().nth(column)) {
            Some(value) => found.push(Val::from(value)),
            None => {
                let has_default = inline.iter().any(|(name, _)| name == "default") || asked.option("default").is_some();
                if has_default {
                    found.push(Val::from(option(asked, &inline, "default", "")));
                }
            }
        }
    }
    Ok(found)
}

/// Fields may be quoted; a doubled quote stands for one.
pub(crate) fn csv_rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            '\r' if !is_quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c if c == delimiter && !is_quoted => row.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
