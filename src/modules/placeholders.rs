//! Queries as the modules of databases take them: one or a list, with `%s` and `%(name)s` for arguments.

use super::{Args, Failure};
use crate::value::Value;

/// What `query` says, with its arguments filled in; `constant` writes a value as the database reads it.
pub(super) fn queries(args: &Args, constant: fn(&Value) -> String) -> Result<Vec<String>, Failure> {
    let text = |value: &Value| value.to_text().as_str().to_owned();
    let given: Vec<String> = match args.get("query") {
        Some(Value::List(items)) => items.iter().map(text).collect(),
        other => other.map(text).into_iter().collect(),
    };
    let bare = |query: &str| query.trim().trim_end_matches(';').trim_end().to_owned();
    given.iter().map(|query| fill(bare(query), args, constant)).collect()
}

/// Without arguments a `%` is a `%`.
fn fill(query: String, args: &Args, constant: fn(&Value) -> String) -> Result<String, Failure> {
    if !args.has("positional_args") && !args.has("named_args") {
        return Ok(query);
    }
    let mut positional = args.items("positional_args").iter();
    let mut out = String::new();
    let mut rest = query.as_str();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('s') {
            let value = positional.next().ok_or_else(|| Failure::new("there are more `%s` than positional_args"))?;
            out.push_str(&constant(value));
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(")s")) {
            let value = args.dict("named_args").and_then(|named| named.get(name));
            out.push_str(&constant(value.ok_or_else(|| Failure::new(format!("named_args has no `{name}`")))?));
            rest = after;
        } else {
            out.push('%');
        }
    }
    Ok(out + rest)
}
