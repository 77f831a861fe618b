//! Lookups in ini and csv files.

use super::{Asked, Lookup, row};
use crate::template::calls::whole;
use crate::template::failure::{Problem, Res, fault};
use crate::template::filters::regex;
use crate::template::runtime::Val;

pub(super) const LOOKUPS: &[Lookup] =
    &[row("ini", "a value of an ini file", ini), row("csvfile", "a field of a csv file", csvfile)];

/// `key name=value other="two words"`: the key, and the options that the term names itself.
fn inline_options(term: &str, names: &[&str]) -> Result<(String, Vec<(String, String)>), String> {
    let mut key = Vec::new();
    let mut options = Vec::new();
    for word in words(term) {
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        match word.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, value)) if names.contains(&name) => options.push((name.to_owned(), unquoted(value))),
            Some((name, _)) => return Err(format!("'{name}' is not a valid option")),
            None => key.push(word),
        }
    }
    if options.is_empty() { Ok((term.to_owned(), options)) } else { Ok((key.join(" "), options)) }
}

/// Split at spaces, but for those within the quotes of a value.
fn words(term: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quote, mut before) = (0, None, ' ');
    for (at, letter) in term.char_indices() {
        match (quote, letter) {
            (None, '"' | '\'') if before == '=' => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, letter) if letter.is_whitespace() => {
                words.push(&term[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
        before = letter;
    }
    words.push(&term[start..]);
    words.retain(|word| !word.is_empty());
    words
}

/// Without quotes, and with what a backslash stands for.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value);
    if let Some(code) = inner.strip_prefix("\\x").and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        return char::from(code).to_string();
    }
    inner.replace("\\t", "\t")
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
        let (key, inline) = inline_options(
            &term,
            &[
                "section",
                "file",
                "type",
                "default",
                "re",
                "encoding",
                "case_sensitive",
                "interpolation",
                "allow_none",
                "allow_no_value",
            ],
        )?;
        if key.trim().is_empty() || (!inline.is_empty() && term.starts_with("file=")) {
            return Err(format!("No key to lookup was provided as first term with in string inline options: {term}").into());
        }
        let encoding = option(asked, &inline, "encoding", "utf-8");
        let text = text_of(asked, &option(asked, &inline, "file", "ansible.ini"), &encoding)?;
        let is_properties = option(asked, &inline, "type", "ini") == "properties";
        let section = if is_properties { String::new() } else { option(asked, &inline, "section", "global") };
        let is_pattern = matches!(option(asked, &inline, "re", "false").to_lowercase().as_str(), "true" | "yes" | "1");
        let is_sensitive =
            matches!(option(asked, &inline, "case_sensitive", "false").to_lowercase().as_str(), "true" | "yes" | "1");
        let fold = |name: &str| if is_sensitive { name.to_owned() } else { name.to_lowercase() };
        let all = entries(&text);
        let file = option(asked, &inline, "file", "ansible.ini");
        let allows = |name: &str| matches!(option(asked, &inline, name, "false").to_lowercase().as_str(), "true" | "yes" | "1");
        if let Some(bare) = all.iter().find(|entry| entry.is_bare).filter(|_| !allows("allow_none") && !allows("allow_no_value"))
        {
            return Err(format!("Source contains parsing errors: '{file}': '{}' has no value", bare.key).into());
        }
        if let Some(twice) = duplicate(&all, is_sensitive) {
            return Err(format!(
                "Duplicate option in '{file}': option '{}' in section '{}' already exists",
                twice.key, twice.section
            )
            .into());
        }
        let has_section = is_properties || text.lines().any(|line| line.trim() == format!("[{section}]"));
        let has_default = inline.iter().any(|(name, _)| name == "default") || asked.option("default").is_some();
        if !has_section && !has_default {
            return Err(format!("No section '{section}' in '{file}'.").into());
        }
        let interpolates =
            matches!(option(asked, &inline, "interpolation", "true").to_lowercase().as_str(), "true" | "yes" | "1");
        let values: Vec<Entry> = all.into_iter().filter(|entry| entry.section == section).collect();
        let shown = |entry: &Entry| if interpolates { interpolated(&entry.value, &values, 0) } else { Ok(entry.value.clone()) };
        if is_pattern {
            let regex = regex::compile(&key, false, false)?;
            for entry in &values {
                if regex.is_match(&fold(&entry.key)).map_err(|error| regex::failed(&error))? {
                    found.push(Val::from(shown(entry)?));
                }
            }
            continue;
        }
        match values.iter().rfind(|entry| fold(&entry.key) == fold(&key)) {
            Some(entry) if entry.is_bare => {}
            Some(entry) => found.push(Val::from(shown(entry)?)),
            None => found.push(Val::from(option(asked, &inline, "default", ""))),
        }
    }
    Ok(found)
}

struct Entry {
    section: String,
    key: String,
    value: String,
    /// Nothing but the key.
    is_bare: bool,
}

/// An entry that its section has twice.
fn duplicate(entries: &[Entry], is_sensitive: bool) -> Option<&Entry> {
    let mut seen = std::collections::HashSet::new();
    let name = |entry: &Entry| if is_sensitive { entry.key.clone() } else { entry.key.to_lowercase() };
    entries.iter().find(|entry| !seen.insert((entry.section.clone(), name(entry))))
}

/// How deep values may stand in each other.
const INTERPOLATION_MAX: usize = 10;

/// `%(name)s` is the value of that key of the section, `%%` a percent sign.
fn interpolated(value: &str, section: &[Entry], depth: usize) -> Result<String, String> {
    if depth >= INTERPOLATION_MAX {
        return Err("values of the ini file stand in each other without end".to_owned());
    }
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(tail) = after.strip_prefix('%') {
            out.push('%');
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(")s")) {
            let entry = section.iter().rfind(|entry| entry.key.eq_ignore_ascii_case(name));
            let entry = entry.ok_or_else(|| format!("Bad value substitution: there is no key '{name}' in the section"))?;
            out.push_str(&interpolated(&entry.value, section, depth + 1)?);
            rest = tail;
        } else {
            return Err(format!("'%' must be followed by '%' or '(', found: '%{after}'"));
        }
        if out.len() > VALUE_MAX {
            return Err("a value of the ini file grows without end".to_owned());
        }
    }
    out.push_str(rest);
    Ok(out)
}

const VALUE_MAX: usize = 1 << 20;

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
            let pair = trimmed.split_once(['=', ':']);
            let (key, value) = pair.unwrap_or((trimmed, ""));
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            entries.push(Entry { section: section.clone(), key, value, is_bare: pair.is_none() });
        }
    }
    entries
}

fn csvfile(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut found = Vec::new();
    let terms = asked.texts()?;
    if terms.is_empty() {
        return Err("Search key is required but was not found".into());
    }
    for term in terms {
        let (key, inline) = inline_options(&term, &["file", "delimiter", "col", "default", "encoding", "keycol"])?;
        if key.trim().is_empty() {
            return Err("Search key is required but was not found".into());
        }
        let encoding = option(asked, &inline, "encoding", "utf-8");
        let file = option(asked, &inline, "file", "ansible.csv");
        let text = text_of(asked, &file, &encoding).map_err(|error| match &error.problem {
            Problem::NoFile { searched, .. } => {
                format!("csvfile: [Errno 2] No such file or directory: '{file}', looked in {}", searched.join(", ")).into()
            }
            _ => error,
        })?;
        let delimiter = match option(asked, &inline, "delimiter", "TAB").as_str() {
            "TAB" | "\t" => '\t',
            escaped if escaped.starts_with('\\') => unquoted(escaped).chars().next().unwrap_or('\t'),
            other => other.chars().next().unwrap_or(','),
        };
        let column = |name: &str, default: &str| -> Res<usize> {
            Ok(usize::try_from(whole(&Val::from(option(asked, &inline, name, default)))?).unwrap_or(0))
        };
        let key_column = column("keycol", "0")?;
        let row = csv_rows(&text, delimiter).into_iter().find(|row| row.get(key_column) == Some(&key));
        let wanted = if row.is_some() { column("col", "1")? } else { 0 };
        match row.and_then(|row| row.into_iter().nth(wanted)) {
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
