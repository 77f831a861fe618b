//! Lists and maps that are shared until they change.

use super::{Val, from_value};
use crate::value::{Key, Map, Value};
use indexmap::IndexMap;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// A list that all its holders see change.
#[derive(Clone, Debug)]
pub(crate) struct List(Rc<RefCell<Items>>);

#[derive(Debug)]
enum Items {
    Shared(Arc<Vec<Value>>),
    Own(Vec<Val>),
}

/// A map that all its holders see change.
#[derive(Clone, Debug)]
pub(crate) struct Dict(Rc<RefCell<Entries>>);

pub(crate) type OwnEntries = IndexMap<Key, Val>;

#[derive(Debug)]
enum Entries {
    Shared(Arc<Map>),
    Own(OwnEntries),
}

impl List {
    pub(crate) fn own(items: Vec<Val>) -> List {
        List(Rc::new(RefCell::new(Items::Own(items))))
    }

    pub(super) fn shared(items: Arc<Vec<Value>>) -> List {
        List(Rc::new(RefCell::new(Items::Shared(items))))
    }

    /// The list of values this still is, if nothing touched it.
    pub(super) fn as_shared(&self) -> Option<Arc<Vec<Value>>> {
        match &*self.0.borrow() {
            Items::Shared(items) => Some(items.clone()),
            Items::Own(_) => None,
        }
    }

    /// Still the shared list, without a template anywhere in it.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(&*self.0.borrow(), Items::Shared(items) if !items.iter().any(Value::has_template))
    }

    pub(crate) fn is_same(&self, other: &List) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn len(&self) -> usize {
        match &*self.0.borrow() {
            Items::Shared(items) => items.len(),
            Items::Own(items) => items.len(),
        }
    }

    /// The item as it is stored: it may be pending.
    pub(crate) fn get(&self, index: usize) -> Option<Val> {
        if let Items::Shared(items) = &*self.0.borrow() {
            let item = items.get(index)?;
            if !matches!(item, Value::List(_) | Value::Map(_)) {
                return Some(from_value(item));
            }
        }
        self.change(|items| items.get(index).cloned())
    }

    /// A copy of the items as they are stored.
    pub(crate) fn items(&self) -> Vec<Val> {
        self.change(|items| items.clone())
    }

    pub(crate) fn set(&self, index: usize, item: Val) {
        self.change(|items| {
            if let Some(slot) = items.get_mut(index) {
                *slot = item;
            }
        });
    }

    /// Works on the items in place. `work` must not touch this list in another way.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&mut Vec<Val>) -> T) -> T {
        let mut items = self.0.borrow_mut();
        if let Items::Shared(shared) = &*items {
            *items = Items::Own(shared.iter().map(from_value).collect());
        }
        match &mut *items {
            Items::Own(own) => work(own),
            Items::Shared(_) => work(&mut Vec::new()),
        }
    }

    pub(super) fn any(&self, test: &mut dyn FnMut(&Val) -> bool) -> bool {
        match &*self.0.borrow() {
            Items::Shared(items) => items.iter().any(|item| test(&from_value(item))),
            Items::Own(items) => items.iter().any(test),
        }
    }
}

impl Dict {
    pub(crate) fn own(entries: OwnEntries) -> Dict {
        Dict(Rc::new(RefCell::new(Entries::Own(entries))))
    }

    pub(super) fn shared(entries: Arc<Map>) -> Dict {
        Dict(Rc::new(RefCell::new(Entries::Shared(entries))))
    }

    pub(super) fn as_shared(&self) -> Option<Arc<Map>> {
        match &*self.0.borrow() {
            Entries::Shared(entries) => Some(entries.clone()),
            Entries::Own(_) => None,
        }
    }

    /// Still the shared map, without a template anywhere in it.
    pub(crate) fn is_settled(&self) -> bool {
        matches!(&*self.0.borrow(), Entries::Shared(entries) if !entries.values().any(Value::has_template))
    }

    pub(crate) fn is_same(&self, other: &Dict) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn len(&self) -> usize {
        match &*self.0.borrow() {
            Entries::Shared(entries) => entries.len(),
            Entries::Own(entries) => entries.len(),
        }
    }

    /// The value as it is stored: it may be pending.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<Val>
    where
        Q: ?Sized + std::hash::Hash + indexmap::Equivalent<Key>,
    {
        if let Entries::Shared(entries) = &*self.0.borrow() {
            let value = entries.get(key)?;
            if !matches!(value, Value::List(_) | Value::Map(_)) {
                return Some(from_value(value));
            }
        }
        self.change(|entries| entries.get(key).cloned())
    }

    pub(crate) fn has(&self, key: &Key) -> bool {
        match &*self.0.borrow() {
            Entries::Shared(entries) => entries.contains_key(key),
            Entries::Own(entries) => entries.contains_key(key),
        }
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        match &*self.0.borrow() {
            Entries::Shared(entries) => entries.keys().cloned().collect(),
            Entries::Own(entries) => entries.keys().cloned().collect(),
        }
    }

    /// A copy of the entries as they are stored.
    pub(crate) fn entries(&self) -> OwnEntries {
        self.change(|entries| entries.clone())
    }

    pub(crate) fn set(&self, key: Key, value: Val) {
        self.change(|entries| entries.insert(key, value));
    }

    /// Works on the entries in place. `work` must not touch this map in another way.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&mut OwnEntries) -> T) -> T {
        let mut entries = self.0.borrow_mut();
        if let Entries::Shared(shared) = &*entries {
            *entries = Entries::Own(shared.iter().map(|(key, value)| (key.clone(), from_value(value))).collect());
        }
        match &mut *entries {
            Entries::Own(own) => work(own),
            Entries::Shared(_) => work(&mut OwnEntries::new()),
        }
    }

    pub(super) fn any(&self, test: &mut dyn FnMut(&Val) -> bool) -> bool {
        match &*self.0.borrow() {
            Entries::Shared(entries) => entries.values().any(|value| test(&from_value(value))),
            Entries::Own(entries) => entries.values().any(test),
        }
    }
}

impl FromIterator<(Key, Val)> for Val {
    fn from_iter<I: IntoIterator<Item = (Key, Val)>>(entries: I) -> Val {
        Val::Dict(Dict::own(entries.into_iter().collect()))
    }
}
