//! JMESPath queries. The parser is a crate's; the evaluation is ours, as maps keep their order here.

mod functions;

use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::{Val, from_value};
use crate::value::{Map, Value};
use jmespath::ast::{Ast, Comparator};
use std::cmp::Ordering;

pub(super) const FILTERS: &[Filter] =
    &[filter("community.general.json_query", &["expr"], "what a JMESPath expression selects", json_query).or(&["json_query"])];

/// Operators and brackets of one expression: its tree is walked by recursion.
const PARTS_MAX: usize = 200;

type Answer = Result<Value, String>;

fn json_query(call: &mut Call<'_, '_>) -> Res<Val> {
    let expression = call.needed(0, "expr")?.to_text();
    let parts = expression.chars().filter(|letter| ".[({!&|,<>=*".contains(*letter)).count();
    if parts > PARTS_MAX {
        return Err(format!("the expression has more than {PARTS_MAX} parts").into());
    }
    let tree = jmespath::parse(&expression)
        .map_err(|error| format!("JMESPathError in json_query filter plugin: {}", first_line(&error.to_string())))?;
    let input = call.deep_input()?;
    let input = call.eval.export(&input)?;
    let found = select(&tree, &input).map_err(|error| format!("JMESPathError in json_query filter plugin: {error}"))?;
    Ok(from_value(&found))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

fn select(tree: &Ast, data: &Value) -> Answer {
    match tree {
        Ast::Identity { .. } => Ok(data.clone()),
        Ast::Field { name, .. } => Ok(data.get(name).cloned().unwrap_or_default()),
        Ast::Index { idx, .. } => Ok(item(data, *idx)),
        Ast::Literal { value, .. } => {
            let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
            Value::from_json(&text).map_err(|error| error.to_string())
        }
        Ast::Subexpr { lhs, rhs, .. } => select(rhs, &select(lhs, data)?),
        Ast::And { lhs, rhs, .. } => {
            let left = select(lhs, data)?;
            if is_true(&left) { select(rhs, data) } else { Ok(left) }
        }
        Ast::Or { lhs, rhs, .. } => {
            let left = select(lhs, data)?;
            if is_true(&left) { Ok(left) } else { select(rhs, data) }
        }
        Ast::Not { node, .. } => Ok(Value::Bool(!is_true(&select(node, data)?))),
        Ast::Condition { predicate, then, .. } => {
            if is_true(&select(predicate, data)?) {
                select(then, data)
            } else {
                Ok(Value::Null)
            }
        }
        Ast::Comparison { comparator, lhs, rhs, .. } => Ok(compared(comparator, &select(lhs, data)?, &select(rhs, data)?)),
        Ast::MultiList { elements, .. } => match data {
            Value::Null => Ok(Value::Null),
            data => elements.iter().map(|element| select(element, data)).collect::<Result<Vec<_>, _>>().map(Value::list),
        },
        Ast::MultiHash { elements, .. } => match data {
            Value::Null => Ok(Value::Null),
            data => {
                let pair = |pair: &jmespath::ast::KeyValuePair| Ok((pair.key.as_str().into(), select(&pair.value, data)?));
                elements.iter().map(pair).collect::<Result<Map, String>>().map(Value::map)
            }
        },
        Ast::Flatten { node, .. } => Ok(flattened(&select(node, data)?)),
        Ast::ObjectValues { node, .. } => Ok(match select(node, data)? {
            Value::Map(entries) => entries.values().cloned().collect(),
            _ => Value::Null,
        }),
        Ast::Projection { lhs, rhs, .. } => match select(lhs, data)? {
            Value::List(items) => projected(&items, rhs),
            _ => Ok(Value::Null),
        },
        Ast::Slice { start, stop, step, .. } => Ok(sliced(data, *start, *stop, *step)),
        Ast::Function { name, args, .. } => functions::call(name, args, data),
        Ast::Expref { .. } => Err("an expression reference stands where a value should".to_owned()),
    }
}

fn projected(items: &[Value], each: &Ast) -> Answer {
    let mut found = Vec::new();
    for item in items {
        let value = select(each, item)?;
        if !value.is_null() {
            found.push(value);
        }
    }
    Ok(Value::list(found))
}

fn item(data: &Value, index: i32) -> Value {
    let Some(items) = data.as_list() else { return Value::Null };
    let at = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    let at = if index < 0 { items.len().checked_sub(at) } else { Some(at) };
    at.and_then(|at| items.get(at)).cloned().unwrap_or_default()
}

fn flattened(data: &Value) -> Value {
    let Some(items) = data.as_list() else { return Value::Null };
    items.iter().flat_map(|item| item.as_list().map_or_else(|| vec![item.clone()], <[Value]>::to_vec)).collect()
}

fn sliced(data: &Value, start: Option<i32>, stop: Option<i32>, step: i32) -> Value {
    let Some(items) = data.as_list() else { return Value::Null };
    let (length, step) = (i64::try_from(items.len()).unwrap_or(i64::MAX), i64::from(step));
    if step == 0 {
        return Value::Null;
    }
    let bounds = if step > 0 { (0, length) } else { (-1, length - 1) };
    let place = |given: Option<i32>, default: i64| {
        let at = given.map_or(default, |at| if at < 0 { i64::from(at) + length } else { i64::from(at) });
        if given.is_some() { at.clamp(bounds.0, bounds.1) } else { at }
    };
    let (start, stop) =
        if step > 0 { (place(start, 0), place(stop, length)) } else { (place(start, length - 1), place(stop, -1)) };
    let mut found = Vec::new();
    let mut at = start;
    while if step > 0 { at < stop } else { at > stop } {
        found.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
        at += step;
    }
    Value::list(found)
}

/// Null, false and everything empty are false; every number is true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Int(_) | Value::Float(_) | Value::Template(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(entries) => !entries.is_empty(),
    }
}

fn compared(comparator: &Comparator, left: &Value, right: &Value) -> Value {
    let holds =
        |test: fn(Ordering) -> bool| number(left).zip(number(right)).and_then(|(left, right)| left.partial_cmp(&right)).map(test);
    let truth = match comparator {
        Comparator::Equal => Some(is_same(left, right)),
        Comparator::NotEqual => Some(!is_same(left, right)),
        Comparator::LessThan => holds(Ordering::is_lt),
        Comparator::LessThanEqual => holds(Ordering::is_le),
        Comparator::GreaterThan => holds(Ordering::is_gt),
        Comparator::GreaterThanEqual => holds(Ordering::is_ge),
    };
    truth.map_or(Value::Null, Value::Bool)
}

fn is_same(left: &Value, right: &Value) -> bool {
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}
