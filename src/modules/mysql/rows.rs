//! Rows as the client writes them with `--xml`: the only form in which a null is not a text.

use crate::value::Value;

/// Names and values in order; none is null.
pub(super) type Row = Vec<(String, Option<String>)>;

/// Every result set.
pub(super) fn read(xml: &str) -> Vec<Vec<Row>> {
    xml.split("<resultset").skip(1).map(|set| set.split("<row>").skip(1).map(row).collect()).collect()
}

fn row(text: &str) -> Row {
    let text = text.split("</row>").next().unwrap_or_default();
    text.split("<field name=\"").skip(1).filter_map(field).collect()
}

fn field(text: &str) -> Option<(String, Option<String>)> {
    let (name, rest) = text.split_once('"')?;
    let (head, body) = rest.split_once('>')?;
    if head.contains("xsi:nil=\"true\"") {
        return Some((plain(name), None));
    }
    let value = if head.ends_with('/') { String::new() } else { plain(body.split("</field>").next().unwrap_or_default()) };
    Some((plain(name), Some(value)))
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

/// A row as a map. The client does not tell types: what looks like a whole number is one.
pub(super) fn to_value(row: &Row) -> Value {
    row.iter().map(|(name, value)| (name.as_str(), scalar(value.as_deref()))).collect()
}

pub(super) fn scalar(text: Option<&str>) -> Value {
    let Some(text) = text else { return Value::Null };
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number =
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    text.parse::<i64>().ok().filter(|_| is_number).map_or_else(|| Value::from(text), Value::from)
}

/// The text of a field, empty where it is null or not there.
pub(super) fn text<'r>(row: &'r Row, name: &str) -> &'r str {
    row.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_deref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_numbers_and_texts_are_told_apart() {
        let xml = "<?xml version=\"1.0\"?>\n\n<resultset statement=\"select\n\" xmlns:xsi=\"x\">\n  <row>\n\t<field name=\"a\">1</field>\n\
                   \t<field name=\"b\" xsi:nil=\"true\" />\n\t<field name=\"c\">x&lt;y\nz &amp;lt;</field>\n\t<field name=\"d\"></field>\n  </row>\n</resultset>\n\
                   <?xml version=\"1.0\"?>\n\n<resultset statement=\"x\">\n</resultset>";
        let sets = read(xml);
        assert_eq!(sets.len(), 2);
        assert!(sets[1].is_empty());
        assert_eq!(to_value(&sets[0][0]).to_json(), r#"{"a":1,"b":null,"c":"x<y\nz &lt;","d":""}"#);
        assert_eq!(scalar(Some("007")), Value::from("007"));
    }
}
