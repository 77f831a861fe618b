//! Values while a template is evaluated: lists and maps that change in place, tuples, macros, and undefined with its origin.
//!
//! [`Val`] lives in one evaluation on one thread. It comes from a [`Value`] lazily: a list or map stays the shared one
//! until something in it is changed or a container in it is reached.

mod arithmetic;
mod compare;
mod containers;
mod convert;
mod datetime;
mod objects;
mod text;

pub(crate) use arithmetic::{arithmetic, bounded, negative, positive};
pub(crate) use compare::{compare, equal, order};
pub(crate) use containers::{Dict, List};
pub(crate) use convert::from_value;
pub(crate) use datetime::{DateTime, Delta};
pub(crate) use objects::{HostScope, LoopState, Macro, Module, Object, Range};
pub(crate) use text::{TextBuilder, repr};

use super::failure::TemplateError;
use crate::value::{Template, Text};
use std::rc::Rc;
use std::sync::Arc;

/// A value of the evaluator. Cheap to clone; lists and maps are shared.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Text),
    List(List),
    Tuple(Rc<Vec<Val>>),
    Dict(Dict),
    /// Written by the user as a template and not rendered yet; only inside of lists and maps.
    Pending(Arc<Template>),
    /// What raises when it is used: the error it raises.
    Undefined(Rc<TemplateError>),
    Object(Rc<Object>),
}

impl Val {
    pub(crate) fn text(text: impl Into<Text>) -> Val {
        Val::Str(text.into())
    }

    /// Text that is secret when what it was made of is.
    pub(crate) fn text_of(text: String, is_secret: bool) -> Val {
        Val::Str(if is_secret { Text::secret(text) } else { text.into() })
    }

    pub(crate) fn list(items: Vec<Val>) -> Val {
        Val::List(List::own(items))
    }

    pub(crate) fn tuple(items: Vec<Val>) -> Val {
        Val::Tuple(Rc::new(items))
    }

    pub(crate) fn object(object: Object) -> Val {
        Val::Object(Rc::new(object))
    }

    /// An integer, if it fits.
    pub(crate) fn size(number: usize) -> Val {
        Val::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Val::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Val::Undefined(_))
    }

    /// The name of its type in Python, as messages and `type_debug` show it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Val::None => "NoneType",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Float(_) => "float",
            Val::Str(_) | Val::Pending(_) => "str",
            Val::List(_) => "list",
            Val::Tuple(_) => "tuple",
            Val::Dict(_) => "dict",
            Val::Undefined(_) => "UndefinedMarker",
            Val::Object(object) => object.kind(),
        }
    }

    /// Python's truth; `None` for what is undefined.
    pub(crate) fn truth(&self) -> Option<bool> {
        Some(match self {
            Val::None => false,
            Val::Bool(truth) => *truth,
            Val::Int(number) => *number != 0,
            Val::Float(number) => *number != 0.0,
            Val::Str(text) => !text.is_empty(),
            Val::List(items) => items.len() > 0,
            Val::Tuple(items) => !items.is_empty(),
            Val::Dict(entries) => entries.len() > 0,
            Val::Pending(template) => !template.text.is_empty(),
            Val::Undefined(_) => return None,
            Val::Object(object) => object.truth(),
        })
    }

    /// Whether a secret string is anywhere inside.
    pub(crate) fn is_secret(&self) -> bool {
        match self {
            Val::Str(text) => text.is_secret(),
            Val::List(items) => items.any(&mut Val::is_secret),
            Val::Tuple(items) => items.iter().any(Val::is_secret),
            Val::Dict(entries) => entries.any(&mut Val::is_secret),
            _ => false,
        }
    }

    /// The number that arithmetic sees: booleans are 0 and 1.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Val::Int(number) => Some(*number),
            Val::Bool(truth) => Some((*truth).into()),
            _ => None,
        }
    }

    pub(crate) fn as_float(&self) -> Option<f64> {
        match self {
            Val::Float(number) => Some(*number),
            other => other.as_int().map(|number| number as f64),
        }
    }
}

impl From<bool> for Val {
    fn from(truth: bool) -> Val {
        Val::Bool(truth)
    }
}

impl From<i64> for Val {
    fn from(number: i64) -> Val {
        Val::Int(number)
    }
}

impl From<f64> for Val {
    fn from(number: f64) -> Val {
        Val::Float(number)
    }
}

impl From<String> for Val {
    fn from(text: String) -> Val {
        Val::Str(text.into())
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Val {
        Val::Str(text.into())
    }
}

impl From<Vec<Val>> for Val {
    fn from(items: Vec<Val>) -> Val {
        Val::list(items)
    }
}
