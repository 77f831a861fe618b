//! `+ - * / // % **` as in Python. Integers have 64 bits; what does not fit is an error.

use super::{Object, Val};
use crate::template::syntax::tree::Operator;

/// The longest text or list that `*` may make.
const REPEATED_MAX: usize = 64 << 20;

pub(crate) fn arithmetic(operator: Operator, left: &Val, right: &Val) -> Result<Val, String> {
    if let Some(result) = sequences(operator, left, right)? {
        return Ok(result);
    }
    if let Some(result) = times(operator, left, right) {
        return Ok(result);
    }
    match (left.as_int(), right.as_int()) {
        (Some(left), Some(right)) => integers(operator, left, right),
        _ => match (left.as_float(), right.as_float()) {
            (Some(left), Some(right)) => floats(operator, left, right),
            _ => Err(unsupported(operator, left, right)),
        },
    }
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Sub => "-",
        Operator::Mul => "*",
        Operator::Div => "/",
        Operator::FloorDiv => "//",
        Operator::Mod => "%",
        Operator::Pow => "** or pow()",
    }
}

fn unsupported(operator: Operator, left: &Val, right: &Val) -> String {
    let kind = left.kind();
    match (operator, left) {
        (Operator::Add, Val::Str(_) | Val::List(_) | Val::Tuple(_)) => {
            format!("can only concatenate {kind} (not \"{}\") to {kind}", right.kind())
        }
        (Operator::Mul, Val::Str(_) | Val::List(_) | Val::Tuple(_)) => {
            format!("can't multiply sequence by non-int of type '{}'", right.kind())
        }
        _ => format!("unsupported operand type(s) for {}: '{kind}' and '{}'", sign(operator), right.kind()),
    }
}

/// What doubles itself in a loop ends here, before it fills the memory.
pub(crate) fn bounded(bytes: usize) -> Result<(), String> {
    if bytes > REPEATED_MAX {
        return Err(format!("the result would take more than {} MiB", REPEATED_MAX >> 20));
    }
    Ok(())
}

/// `+` and `*` of texts, lists and tuples.
fn sequences(operator: Operator, left: &Val, right: &Val) -> Result<Option<Val>, String> {
    Ok(Some(match (operator, left, right) {
        (Operator::Add, Val::Str(one), Val::Str(other)) => {
            bounded(one.len().saturating_add(other.len()))?;
            Val::text_of(format!("{}{}", one.as_str(), other.as_str()), one.is_secret() || other.is_secret())
        }
        (Operator::Add, Val::List(one), Val::List(other)) => {
            bounded(one.len().saturating_add(other.len()).saturating_mul(size_of::<Val>()))?;
            let mut items = one.items();
            items.extend(other.items());
            Val::list(items)
        }
        (Operator::Add, Val::Tuple(one), Val::Tuple(other)) => Val::tuple(one.iter().chain(&**other).cloned().collect()),
        (Operator::Mul, sequence @ (Val::Str(_) | Val::List(_) | Val::Tuple(_)), times)
        | (Operator::Mul, times, sequence @ (Val::Str(_) | Val::List(_) | Val::Tuple(_))) => {
            let Some(times) = times.as_int() else { return Ok(None) };
            repeated(sequence, usize::try_from(times).unwrap_or(0))?
        }
        _ => return Ok(None),
    }))
}

fn repeated(sequence: &Val, times: usize) -> Result<Val, String> {
    let length = match sequence {
        Val::Str(text) => text.len(),
        Val::List(items) => items.len() * size_of::<Val>(),
        Val::Tuple(items) => items.len() * size_of::<Val>(),
        _ => 0,
    };
    if length.saturating_mul(times) > REPEATED_MAX {
        return Err(format!("repeating it {times} times would take more than {} MiB", REPEATED_MAX >> 20));
    }
    let items = |items: &[Val]| items.iter().cloned().cycle().take(items.len() * times).collect::<Vec<_>>();
    Ok(match sequence {
        Val::Str(text) => Val::text_of(text.repeat(times), text.is_secret()),
        Val::List(list) => Val::list(items(&list.items())),
        Val::Tuple(tuple) => Val::tuple(items(tuple)),
        other => other.clone(),
    })
}

/// Differences and sums of dates.
fn times(operator: Operator, left: &Val, right: &Val) -> Option<Val> {
    let (Val::Object(left), Val::Object(right)) = (left, right) else { return None };
    let object = match (operator, &**left, &**right) {
        (Operator::Sub, Object::DateTime(left), Object::DateTime(right)) => Object::Delta(left.since(right)),
        (Operator::Add, Object::DateTime(time), Object::Delta(delta))
        | (Operator::Add, Object::Delta(delta), Object::DateTime(time)) => Object::DateTime(time.plus(*delta)?),
        (Operator::Sub, Object::DateTime(time), Object::Delta(delta)) => Object::DateTime(time.plus(delta.negative())?),
        _ => return None,
    };
    Some(Val::object(object))
}

fn too_big() -> String {
    "the result does not fit into 64 bits".to_owned()
}

fn integers(operator: Operator, left: i64, right: i64) -> Result<Val, String> {
    let whole = |result: Option<i64>| result.map(Val::Int).ok_or_else(too_big);
    match operator {
        Operator::Add => whole(left.checked_add(right)),
        Operator::Sub => whole(left.checked_sub(right)),
        Operator::Mul => whole(left.checked_mul(right)),
        Operator::Div if right == 0 => Err("division by zero".to_owned()),
        Operator::Div => Ok(Val::Float(left as f64 / right as f64)),
        Operator::FloorDiv if right == 0 => Err("integer division or modulo by zero".to_owned()),
        Operator::FloorDiv => whole(floor_division(left, right)),
        Operator::Mod if right == 0 => Err("integer modulo by zero".to_owned()),
        Operator::Mod => {
            let rest = left.checked_rem(right).unwrap_or(0);
            Ok(Val::Int(if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest }))
        }
        Operator::Pow if right < 0 && left == 0 => Err("0.0 cannot be raised to a negative power".to_owned()),
        Operator::Pow if right < 0 => Ok(Val::Float((left as f64).powf(right as f64))),
        Operator::Pow => whole(u32::try_from(right).ok().and_then(|power| left.checked_pow(power)).or(match left {
            0 | 1 => Some(left),
            -1 => Some(if right % 2 == 0 { 1 } else { -1 }),
            _ => None,
        })),
    }
}

fn floor_division(left: i64, right: i64) -> Option<i64> {
    let quotient = left.checked_div(right)?;
    let is_rounded_up = left % right != 0 && (left < 0) != (right < 0);
    Some(quotient - i64::from(is_rounded_up))
}

fn floats(operator: Operator, left: f64, right: f64) -> Result<Val, String> {
    let zero = |reason: &str| if right == 0.0 { Err(reason.to_owned()) } else { Ok(()) };
    Ok(Val::Float(match operator {
        Operator::Add => left + right,
        Operator::Sub => left - right,
        Operator::Mul => left * right,
        Operator::Div => {
            zero("float division by zero")?;
            left / right
        }
        Operator::FloorDiv => {
            zero("float floor division by zero")?;
            (left / right).floor()
        }
        Operator::Mod => {
            zero("float modulo")?;
            let rest = left % right;
            if rest != 0.0 && (rest < 0.0) != (right < 0.0) { rest + right } else { rest }
        }
        Operator::Pow if left == 0.0 && right < 0.0 => return Err("0.0 cannot be raised to a negative power".to_owned()),
        Operator::Pow => left.powf(right),
    }))
}

pub(crate) fn negative(val: &Val) -> Result<Val, String> {
    match val {
        Val::Float(number) => Ok(Val::Float(-number)),
        other => match other.as_int() {
            Some(number) => number.checked_neg().map(Val::Int).ok_or_else(too_big),
            None => Err(format!("bad operand type for unary -: '{}'", val.kind())),
        },
    }
}

pub(crate) fn positive(val: &Val) -> Result<Val, String> {
    match val {
        Val::Float(_) => Ok(val.clone()),
        other => other.as_int().map(Val::Int).ok_or_else(|| format!("bad operand type for unary +: '{}'", val.kind())),
    }
}
