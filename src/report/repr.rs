//! Values as Python shows them: `(item={'name': 'a', 'port': 1})`.

use crate::value::{Key, Value};

/// A text as it is; anything else as Python's `repr`.
pub(super) fn label(value: &Value) -> String {
    match value {
        Value::String(_) | Value::Template(_) => value.to_text().to_string(),
        other => repr(other),
    }
}

fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::String(text) => quoted(text),
        Value::Template(template) => quoted(&template.text),
        Value::List(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entries: Vec<String> = map.iter().map(|(key, value)| format!("{}: {}", key_repr(key), repr(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.to_text().to_string(),
    }
}

fn key_repr(key: &Key) -> String {
    key.as_str().map_or_else(|| key.to_string(), quoted)
}

/// In single quotes, unless only those stand in the text.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push_str(&format!("\\x{:02x}", letter as u32)),
            letter => out.push(letter),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_look_like_python() {
        let shown = |json: &str| label(&Value::from_json(json).unwrap());
        assert_eq!(
            shown(r#"{"a": 1, "b": "x'y", "c": [null, true, 1.5, "q\"r's\n"]}"#),
            r#"{'a': 1, 'b': "x'y", 'c': [None, True, 1.5, 'q"r\'s\n']}"#
        );
        assert_eq!(shown("null"), "None");
        assert_eq!(shown("\"as it is\""), "as it is");
    }
}
