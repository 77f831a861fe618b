//! The little that a mapping needs of Jinja: `{{ item.tags.Name }}`, `{{ key }}`, `{{ item.list[0] | default('x') }}` in a text.
//!
//! Not the template engine: what these are filled with is data of the cloud, and nothing but paths makes sense in them.

use crate::value::Value;

/// Why a text cannot be filled.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// More than a path.
    TooMuch {
        expression: String,
    },
    Undefined {
        path: String,
    },
}

/// What `item` and `key` stand for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub item: &'a Value,
    pub key: &'a Value,
}

/// The text with its expressions filled in; a text that is one expression keeps the type of its value.
pub(super) fn fill(text: &str, scope: Scope<'_>) -> Result<Value, Fault> {
    let trimmed = text.trim();
    if let Some(inner) = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"))
        && !inner.contains("{{")
    {
        return evaluate(inner, scope);
    }
    let mut out = String::new();
    let mut is_secret = false;
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        let Some((inner, after)) = behind.split_once("}}") else {
            return Err(Fault::TooMuch { expression: behind.trim().to_owned() });
        };
        out.push_str(before);
        let value = evaluate(inner, scope)?;
        value.each_secret(&mut |_| is_secret = true);
        out.push_str(&value.to_text());
        rest = after;
    }
    out.push_str(rest);
    if ["{%", "{#"].iter().any(|mark| text.contains(mark)) {
        return Err(Fault::TooMuch { expression: text.trim().to_owned() });
    }
    Ok(if is_secret { Value::secret(out) } else { out.into() })
}

fn evaluate(expression: &str, scope: Scope<'_>) -> Result<Value, Fault> {
    let expression = expression.trim();
    let too_much = || Fault::TooMuch { expression: expression.to_owned() };
    let (path, default) = match expression.split_once('|') {
        Some((path, filter)) => (path.trim(), Some(default(filter.trim()).ok_or_else(too_much)?)),
        None => (expression, None),
    };
    let steps = steps(path).ok_or_else(too_much)?;
    let (first, rest) = steps.split_first().ok_or_else(too_much)?;
    let root = match first.as_str() {
        "item" => scope.item,
        "key" => scope.key,
        _ => return Err(too_much()),
    };
    match rest.iter().try_fold(root, |value, step| get(value, step)) {
        Some(value) => Ok(value.clone()),
        None => default.ok_or_else(|| Fault::Undefined { path: path.to_owned() }),
    }
}

/// The argument of `default('x')`.
fn default(filter: &str) -> Option<Value> {
    let inner = filter.strip_prefix("default(").or_else(|| filter.strip_prefix("d("))?.strip_suffix(')')?;
    super::super::literal::read(inner.trim())
}

/// `item.tags['Name'][0]` as its steps.
fn steps(path: &str) -> Option<Vec<String>> {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'));
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (first, mut rest) = path.split_at_checked(end)?;
    let mut steps = vec![first.to_owned()];
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('[') {
            let (inner, after) = behind.split_once(']')?;
            let quoted = ['\'', '"'].iter().find_map(|quote| inner.strip_prefix(*quote)?.strip_suffix(*quote));
            steps.push(quoted.or_else(|| inner.parse::<usize>().ok().map(|_| inner))?.to_owned());
            rest = after;
        } else {
            let behind = rest.strip_prefix('.')?;
            let end = behind.find(['.', '[']).unwrap_or(behind.len());
            let (name, after) = behind.split_at_checked(end)?;
            steps.push(Some(name).filter(|name| is_name(name))?.to_owned());
            rest = after;
        }
    }
    is_name(first).then_some(steps)
}

fn get<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::List(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    }
}

/// The value at a dotted path, as filters write it: `tags.Role`.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    value.get(path).or_else(|| path.split('.').try_fold(value, get))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, Fault> {
        let item = Value::from_json(r#"{"ip":"10.0.0.1","tags":{"Name":"web","a.b":"c"},"list":[1,{"x":true}]}"#).unwrap();
        fill(text, Scope { item: &item, key: &Value::from("k1") }).map(|value| value.to_json())
    }

    #[test]
    fn paths_are_filled_in() {
        assert_eq!(filled("{{ item.ip }}").as_deref(), Ok("\"10.0.0.1\""));
        assert_eq!(filled("app-{{ key }}-{{item.tags.Name}}").as_deref(), Ok("\"app-k1-web\""));
        assert_eq!(filled("{{ item.list[1].x }}").as_deref(), Ok("true"));
        assert_eq!(filled("{{ item.tags['a.b'] }}").as_deref(), Ok("\"c\""));
        assert_eq!(filled("{{ item.no | default('x') }}").as_deref(), Ok("\"x\""));
        assert_eq!(filled("plain").as_deref(), Ok("\"plain\""));
    }

    #[test]
    fn a_text_with_a_secret_in_it_is_secret() {
        let item = Value::map([("password".into(), Value::secret("hunter2"))].into_iter().collect());
        let filled = fill("p={{ item.password }}", Scope { item: &item, key: &Value::Null }).unwrap();
        assert_eq!(filled.as_str(), Some("p=hunter2"));
        assert!(!format!("{filled:?}").contains("hunter2"));
    }

    #[test]
    fn all_else_is_refused() {
        assert_eq!(filled("{{ item.no }}"), Err(Fault::Undefined { path: "item.no".to_owned() }));
        for text in [
            "{{ lookup('env', 'x') }}",
            "{{ item.ip",
            "{{ item.ip + 1 }}",
            "{% if x %}",
            "{{ }}",
            "{{ item..ip }}",
            "{{ item.ip | upper }}",
        ] {
            assert!(matches!(filled(text), Err(Fault::TooMuch { .. })), "{text} {:?}", filled(text));
        }
    }
}
