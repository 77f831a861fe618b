//! The rarer things a template can hold.

use super::Val;
use super::datetime::{DateTime, Delta};
use crate::template::frame::Locals;
use crate::template::functions::Function;
use crate::template::syntax::tree::{ForLoop, MacroDef, Name};
use crate::value::Value;
use indexmap::IndexMap;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) enum Object {
    /// The argument that is dropped.
    Omit,
    /// What `x if false` is without an `else`: undefined, and yet no error where it is used.
    Nothing,
    Range(Range),
    Macro(Macro),
    Function(&'static Function),
    /// A method together with what it belongs to.
    Method(Val, Name),
    Namespace(RefCell<IndexMap<Name, Val>>),
    Loop(LoopState),
    Module(Module),
    Cycler {
        items: Vec<Val>,
        next: Cell<usize>,
    },
    Joiner {
        separator: Val,
        is_used: Cell<bool>,
    },
    DateTime(DateTime),
    Delta(Delta),
    /// `self` in a template that has blocks.
    Template,
    /// `self.name`, or `super`: the block and how far up the inheritance chain.
    Block(Name, usize),
    /// `dict`, which is a function and has `fromkeys`.
    DictType,
    HostVars,
    HostScope(HostScope),
    /// A text in a vault that is not opened: what `vault(wrap_object=true)` gives.
    Vaulted(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) start: i64,
    pub(crate) stop: i64,
    pub(crate) step: i64,
}

/// The variables of another host.
#[derive(Debug)]
pub(crate) struct HostScope {
    pub(crate) host: String,
}

/// A macro and where it was defined. The place is held weakly: it holds the macro.
#[derive(Debug)]
pub(crate) struct Macro {
    pub(crate) definition: Arc<MacroDef>,
    pub(crate) locals: Weak<Locals>,
    /// Set for an imported macro: nothing else keeps what is around it.
    #[expect(dead_code, reason = "held so that `locals` stays alive")]
    pub(crate) module: Option<Rc<Locals>>,
}

#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) locals: Rc<Locals>,
    pub(crate) text: Val,
}

/// `loop`
#[derive(Debug)]
pub(crate) struct LoopState {
    pub(crate) items: Rc<Vec<Val>>,
    pub(crate) index: Cell<usize>,
    pub(crate) depth: usize,
    /// What `loop.changed` saw last.
    pub(crate) seen: RefCell<Option<Vec<Val>>>,
    /// For a recursive loop: the statement to run again, and the variables around it.
    pub(crate) again: Option<(Arc<ForLoop>, Rc<Locals>)>,
}

impl Range {
    pub(crate) fn len(&self) -> usize {
        let (low, high, step) =
            if self.step > 0 { (self.start, self.stop, self.step) } else { (self.stop, self.start, self.step.saturating_neg()) };
        if step == 0 || high <= low {
            return 0;
        }
        let distance = i128::from(high) - i128::from(low);
        usize::try_from((distance + i128::from(step) - 1) / i128::from(step)).unwrap_or(usize::MAX)
    }

    pub(crate) fn get(&self, index: usize) -> Option<i64> {
        if index >= self.len() {
            return None;
        }
        self.start.checked_add(self.step.checked_mul(i64::try_from(index).ok()?)?)
    }

    pub(crate) fn items(&self) -> Vec<Val> {
        (0..self.len()).filter_map(|index| self.get(index)).map(Val::Int).collect()
    }
}

impl Object {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Object::Omit => "Omit",
            Object::Nothing => "UndefinedMarker",
            Object::Range(_) => "range",
            Object::Macro(_) => "Macro",
            Object::Function(_) => "function",
            Object::Method(..) => "method",
            Object::Namespace(_) => "Namespace",
            Object::Loop(_) => "LoopContext",
            Object::Module(_) => "TemplateModule",
            Object::Cycler { .. } => "Cycler",
            Object::Joiner { .. } => "Joiner",
            Object::DateTime(_) => "datetime",
            Object::Delta(_) => "timedelta",
            Object::Template => "TemplateReference",
            Object::Block(..) => "BlockReference",
            Object::DictType => "type",
            Object::HostVars => "HostVars",
            Object::HostScope(_) => "HostVarsVars",
            Object::Vaulted(_) => "AnsibleVaultEncryptedUnicode",
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Object::Range(range) => range.len() > 0,
            Object::Delta(delta) => delta.microseconds != 0,
            Object::Nothing => false,
            _ => true,
        }
    }

    pub(super) fn to_value(&self) -> Result<Value, &'static str> {
        match self {
            Object::DateTime(time) => Ok(Value::from(time.iso('T'))),
            Object::Module(module) => module.text.to_value(),
            Object::Range(range) => Ok(range.items().iter().filter_map(|item| item.to_value().ok()).collect()),
            Object::Vaulted(text) => Ok(Value::from(text.as_str())),
            Object::Nothing => Ok(Value::from("")),
            other => Err(other.kind()),
        }
    }
}
