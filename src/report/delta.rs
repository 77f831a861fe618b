//! `--diff`: what a change looks like.

use super::paint::{Ink, Paint};
use super::result;
use crate::value::Value;
use similar::TextDiff;

/// Beyond this a comparison costs more than it tells.
const BYTES_MAX: usize = 1 << 20;

/// One diff, or a list of them, as a module returned it.
pub(super) fn shown(diff: &Value, paint: Paint) -> String {
    match diff {
        Value::List(diffs) => diffs.iter().map(|diff| one(diff, paint)).collect(),
        diff => one(diff, paint),
    }
}

fn one(diff: &Value, paint: Paint) -> String {
    let text = |name: &str| diff.get(name).map(|value| value.to_text().to_string());
    let mut out = String::new();
    for (name, what) in [("dst_binary", "destination"), ("src_binary", "source")] {
        if diff.get(name).is_some() {
            out += &format!("diff skipped: {what} file appears to be binary\n");
        }
    }
    for (name, what) in [("dst_larger", "destination"), ("src_larger", "source")] {
        if let Some(size) = text(name) {
            out += &format!("diff skipped: {what} file size is greater than {size}\n");
        }
    }
    if let (Some(before), Some(after)) = (diff.get("before"), diff.get("after")) {
        let header =
            |side: &str| text(&format!("{side}_header")).map_or_else(|| side.to_owned(), |header| format!("{side}: {header}"));
        out += &unified(&side(before), &side(after), &header("before"), &header("after"), paint);
    }
    if let Some(prepared) = text("prepared") {
        out += &prepared;
        out.push('\n');
    }
    out
}

/// A text as it is; anything else as indented JSON.
fn side(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::List(_) | Value::Map(_) => result::pretty(value) + "\n",
        other => other.to_text().to_string(),
    }
}

fn unified(before: &str, after: &str, before_header: &str, after_header: &str, paint: Paint) -> String {
    if before == after {
        return String::new();
    }
    if before.len() + after.len() > BYTES_MAX {
        return format!("diff skipped: {} and {} bytes are too much to compare\n", before.len(), after.len());
    }
    let diff = TextDiff::from_lines(before, after);
    let mut out = String::new();
    let mut line = |ink: Ink, text: &str| {
        out.push_str(&paint.ink(ink, text));
        out.push('\n');
    };
    line(Ink::Removed, &format!("--- {before_header}"));
    line(Ink::Added, &format!("+++ {after_header}"));
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        line(Ink::Hunk, hunk.header().to_string().trim_end());
        for change in hunk.iter_changes() {
            let (mark, ink) = match change.tag() {
                similar::ChangeTag::Equal => (' ', Ink::None),
                similar::ChangeTag::Delete => ('-', Ink::Removed),
                similar::ChangeTag::Insert => ('+', Ink::Added),
            };
            line(ink, &format!("{mark}{}", change.value().trim_end_matches('\n')));
            if change.missing_newline() {
                line(Ink::None, "\\ No newline at end of file");
            }
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(json: &str) -> String {
        shown(&Value::from_json(json).unwrap(), Paint::default())
    }

    #[test]
    fn texts_are_compared_by_line() {
        insta::assert_snapshot!(plain(r#"{"before": "a\nB\nc\nd\n", "after": "a\nb\nc\nd\nnew", "before_header": "/x", "after_header": "/x"}"#), @r"
        --- before: /x
        +++ after: /x
        @@ -1,4 +1,5 @@
         a
        -B
        +b
         c
         d
        +new
        \ No newline at end of file
        ");
    }

    #[test]
    fn maps_are_compared_as_json_and_equal_sides_show_nothing() {
        insta::assert_snapshot!(plain(r#"[{"before": {"mode": "0644"}, "after": {"mode": "0600"}}, {"before": "a", "after": "a"}]"#), @r#"
        --- before
        +++ after
        @@ -1,3 +1,3 @@
         {
        -    "mode": "0644"
        +    "mode": "0600"
         }
        "#);
    }

    #[test]
    fn a_new_file_begins_at_line_zero() {
        assert!(plain(r#"{"before": "", "after": "a\n"}"#).contains("@@ -0,0 +1 @@"));
    }
}
