//! Text that a template put together and that is written like a list or a map becomes that list or map, as in every release of
//! Ansible up to 2.18: `"[{% for x in l %}'{{ x }}',{% endfor %}]"`. Literals only: nothing in the text is evaluated.

use super::runtime::Val;
use super::syntax::tree::{Const, Expr, ExprKind, Root};
use super::syntax::uncached_expression;
use crate::value::Text;

/// What the text stands for, if it stands for more than itself.
pub(crate) fn literal(text: &Text) -> Option<Val> {
    match text.trim_end() {
        "True" => return Some(Val::Bool(true)),
        "False" => return Some(Val::Bool(false)),
        other if !other.starts_with(['{', '[']) || !other.ends_with(['}', ']']) => return None,
        _ => {}
    }
    let tree = uncached_expression(text).ok()?;
    match &tree.root {
        Root::Expr(expr) => value(expr, text.is_secret()),
        Root::Body(_) => None,
    }
}

fn value(expr: &Expr, is_secret: bool) -> Option<Val> {
    let all = |items: &[Expr]| items.iter().map(|item| value(item, is_secret)).collect::<Option<Vec<Val>>>();
    match &expr.kind {
        ExprKind::Const(constant) => Some(match constant {
            Const::None => Val::None,
            Const::Bool(truth) => Val::Bool(*truth),
            Const::Int(number) => Val::Int(*number),
            Const::Float(number) => Val::Float(*number),
            Const::Text(text) => Val::text_of(text.to_string(), is_secret),
        }),
        // As JSON writes it.
        ExprKind::Name(name) if &**name == "null" => Some(Val::None),
        ExprKind::List(items) => all(items).map(Val::list),
        ExprKind::Tuple(items) => all(items).map(Val::tuple),
        ExprKind::Dict(entries) => {
            entries.iter().map(|(key, entry)| Some((value(key, false)?.to_key()?, value(entry, is_secret)?))).collect()
        }
        ExprKind::Negative(inner) => match value(inner, is_secret)? {
            Val::Int(number) => number.checked_neg().map(Val::Int),
            Val::Float(number) => Some(Val::Float(-number)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod unit {
    use super::literal;
    use crate::template::runtime::repr;

    #[test]
    fn only_literals_are_read() {
        for (text, wanted) in [
            ("[1, -2, 1.5, 'a']", "[1, -2, 1.5, 'a']"),
            ("['a','b',]", "['a', 'b']"),
            ("{\"a\": null, 'b': True, \"c\": false}", "{'a': None, 'b': True, 'c': False}"),
            ("{1: (2, 3)}\n", "{1: (2, 3)}"),
            ("True", "True"),
        ] {
            assert_eq!(literal(&text.into()).map(|value| repr(&value)).as_deref(), Some(wanted), "{text}");
        }
        for text in
            ["[foo]", "[1", "{a: 1}", "[x for x in y]", "[lookup('pipe', 'id')]", "[1] + [2]", "true", "7", "(1, 2)", " [1]"]
        {
            assert!(literal(&text.into()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_comes_of_a_secret_is_one() {
        let value = literal(&crate::value::Text::secret("['hunter2']")).and_then(|value| value.to_value().ok()).unwrap();
        let mut seen = Vec::new();
        value.each_secret(&mut |secret| seen.push(secret.to_owned()));
        assert_eq!(seen, ["hunter2"]);
    }
}
