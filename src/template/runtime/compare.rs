//! Equality and order as in Python.

use super::{Object, Val};
use crate::template::syntax::tree::Comparison;
use std::cmp::Ordering;

/// `left == right`; nothing inside may be pending.
pub(crate) fn equal(left: &Val, right: &Val) -> bool {
    match (left, right) {
        (Val::None, Val::None) => true,
        (Val::Str(left), Val::Str(right)) => left == right,
        (Val::List(left), Val::List(right)) => left.is_same(right) || all_equal(&left.items(), &right.items()),
        (Val::Tuple(left), Val::Tuple(right)) => all_equal(left, right),
        (Val::Dict(left), Val::Dict(right)) => {
            left.is_same(right)
                || (left.len() == right.len()
                    && left.entries().iter().all(|(key, value)| right.get(key).is_some_and(|other| equal(value, &other))))
        }
        (Val::Object(left), Val::Object(right)) => match (&**left, &**right) {
            (Object::Range(left), Object::Range(right)) => left == right,
            (Object::DateTime(left), Object::DateTime(right)) => left == right,
            (Object::Delta(left), Object::Delta(right)) => left == right,
            _ => std::ptr::eq(&raw const **left, &raw const **right) || is_same_word(left, right),
        },
        _ => match (left.as_int(), right.as_int()) {
            (Some(left), Some(right)) => left == right,
            _ => matches!((left.as_float(), right.as_float()), (Some(left), Some(right)) if left == right),
        },
    }
}

fn is_same_word(left: &Object, right: &Object) -> bool {
    matches!((left, right), (Object::Omit, Object::Omit) | (Object::Nothing, Object::Nothing))
}

fn all_equal(left: &[Val], right: &[Val]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
}

/// The order of two values, `None` where numbers have none (nan), or an error where Python has none.
pub(crate) fn order(left: &Val, right: &Val, sign: &str) -> Result<Option<Ordering>, String> {
    match (left, right) {
        (Val::Str(left), Val::Str(right)) => Ok(Some(left.as_str().cmp(right.as_str()))),
        (Val::List(left), Val::List(right)) => order_items(&left.items(), &right.items(), sign),
        (Val::Tuple(left), Val::Tuple(right)) => order_items(left, right, sign),
        (Val::Object(one), Val::Object(other)) => match (&**one, &**other) {
            (Object::DateTime(one), Object::DateTime(other)) => Ok(Some(one.cmp(other))),
            (Object::Delta(one), Object::Delta(other)) => Ok(Some(one.cmp(other))),
            _ => Err(unordered(left, right, sign)),
        },
        _ => match (left.as_int(), right.as_int()) {
            (Some(left), Some(right)) => Ok(Some(left.cmp(&right))),
            _ => match (left.as_float(), right.as_float()) {
                (Some(left), Some(right)) => Ok(left.partial_cmp(&right)),
                _ => Err(unordered(left, right, sign)),
            },
        },
    }
}

fn unordered(left: &Val, right: &Val, sign: &str) -> String {
    format!("'{sign}' not supported between instances of '{}' and '{}'", left.kind(), right.kind())
}

fn order_items(left: &[Val], right: &[Val], sign: &str) -> Result<Option<Ordering>, String> {
    for (left, right) in left.iter().zip(right) {
        if !equal(left, right) {
            return order(left, right, sign);
        }
    }
    Ok(Some(left.len().cmp(&right.len())))
}

/// One comparison other than `in`.
pub(crate) fn compare(comparison: Comparison, left: &Val, right: &Val) -> Result<bool, String> {
    let (sign, holds): (&str, fn(Ordering) -> bool) = match comparison {
        Comparison::Equal => return Ok(equal(left, right)),
        Comparison::Unequal => return Ok(!equal(left, right)),
        Comparison::Less => ("<", Ordering::is_lt),
        Comparison::LessOrEqual => ("<=", Ordering::is_le),
        Comparison::Greater => (">", Ordering::is_gt),
        Comparison::GreaterOrEqual | Comparison::In | Comparison::NotIn => (">=", Ordering::is_ge),
    };
    Ok(order(left, right, sign)?.is_some_and(holds))
}
