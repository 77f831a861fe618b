//! Variables that a template sets itself, and the text it puts out.

use super::runtime::{TextBuilder, Val};
use super::syntax::tree::Name;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The variables of one block; those around it are reached through `parent`.
#[derive(Debug, Default)]
pub(crate) struct Locals {
    vars: RefCell<HashMap<Name, Val>>,
    parent: Option<Rc<Locals>>,
    /// Set for a template that was imported without the context: it sees no variables of the host.
    is_closed: bool,
}

impl Locals {
    pub(crate) fn root() -> Rc<Locals> {
        Rc::default()
    }

    pub(crate) fn closed() -> Rc<Locals> {
        Rc::new(Locals { is_closed: true, ..Locals::default() })
    }

    pub(crate) fn inside(parent: &Rc<Locals>) -> Rc<Locals> {
        Rc::new(Locals { parent: Some(parent.clone()), ..Locals::default() })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Val> {
        let mut place = Some(self);
        while let Some(locals) = place {
            if let Some(value) = locals.vars.borrow().get(name) {
                return Some(value.clone());
            }
            place = locals.parent.as_deref();
        }
        None
    }

    /// Only what was set right here.
    pub(crate) fn own(&self, name: &str) -> Option<Val> {
        self.vars.borrow().get(name).cloned()
    }

    pub(crate) fn set(&self, name: Name, value: Val) {
        self.vars.borrow_mut().insert(name, value);
    }

    /// Whether the variables of the host are visible.
    pub(crate) fn is_open(&self) -> bool {
        let mut place = self;
        loop {
            match place.parent.as_deref() {
                Some(parent) => place = parent,
                None => return !place.is_closed,
            }
        }
    }

    pub(crate) fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.vars.borrow().keys().cloned().collect();
        names.extend(self.parent.iter().flat_map(|parent| parent.names()));
        names
    }
}

/// What a body puts out: one value stays what it is, several become text.
#[derive(Debug, Default)]
pub(crate) struct Output {
    builder: TextBuilder,
    only: Option<Val>,
    count: usize,
    has_written: bool,
}

impl Output {
    pub(crate) fn push(&mut self, val: Val) {
        if matches!(val, Val::None) {
            return;
        }
        self.count += 1;
        if self.count == 1 {
            self.only = Some(val);
            return;
        }
        self.flush();
        self.builder.push_val(&val);
    }

    /// Text that stands in the template itself.
    pub(crate) fn push_written(&mut self, text: Val) {
        self.has_written = true;
        self.push(text);
    }

    /// Whether this is more than the value of one expression.
    pub(crate) fn is_put_together(&self) -> bool {
        self.count > 1 || self.has_written
    }

    fn flush(&mut self) {
        if let Some(first) = self.only.take() {
            self.builder.push_val(&first);
        }
    }

    /// The value itself when there was one, nothing when there was none, else text.
    pub(crate) fn into_native(self) -> Val {
        match self.only {
            Some(only) => only,
            None if self.count == 0 => Val::None,
            None => self.builder.finish(),
        }
    }
}
