//! Filters: one row each, in the file of what they work on.

mod addresses;
mod chance;
mod convert;
mod dicts;
mod encode;
mod general;
mod json_query;
mod links;
mod lists;
mod numbers;
mod passwords;
mod paths;
mod pick;
pub(crate) mod regex;
mod text;
mod times;
mod vaults;
mod yaml_out;

pub(crate) use addresses::Net;
pub(crate) use chance::{random_below, random_text};
pub(crate) use general::revealed;
pub(crate) use lists::sort_values;
pub(crate) use numbers::human_to_bytes;
pub(crate) use passwords::{Hashing, hashed, new_salt};
pub(crate) use times::zone_offset;
pub use yaml_out::report_text;

use super::calls::{Args, Call, bind, named, unknown};
use super::evaluate::Eval;
use super::failure::{Plugin, Res};
use super::frame::Locals;
use super::runtime::Val;
use crate::value::Text;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;

/// A row of the table.
pub(crate) struct Filter {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) params: &'static [&'static str],
    pub(crate) doc: &'static str,
    /// Whether it sees undefined input and arguments; otherwise its result is undefined as they are.
    pub(crate) takes_undefined: bool,
    pub(crate) run: fn(&mut Call<'_, '_>) -> Res<Val>,
}

type Run = fn(&mut Call<'_, '_>) -> Res<Val>;

const fn filter(name: &'static str, params: &'static [&'static str], doc: &'static str, run: Run) -> Filter {
    Filter { name, aliases: &[], params, doc, takes_undefined: false, run }
}

impl Filter {
    const fn or(mut self, aliases: &'static [&'static str]) -> Filter {
        self.aliases = aliases;
        self
    }

    const fn taking_undefined(mut self) -> Filter {
        self.takes_undefined = true;
        self
    }
}

fn tables() -> [&'static [Filter]; 16] {
    [
        addresses::FILTERS,
        chance::FILTERS,
        convert::FILTERS,
        dicts::FILTERS,
        encode::FILTERS,
        general::FILTERS,
        json_query::FILTERS,
        lists::FILTERS,
        numbers::FILTERS,
        passwords::FILTERS,
        paths::FILTERS,
        pick::FILTERS,
        regex::FILTERS,
        text::FILTERS,
        times::FILTERS,
        vaults::FILTERS,
    ]
}

fn by_name() -> &'static HashMap<&'static str, &'static Filter> {
    static FILTERS: OnceLock<HashMap<&'static str, &'static Filter>> = OnceLock::new();
    FILTERS.get_or_init(|| rows().flat_map(|row| row.aliases.iter().chain([&row.name]).map(move |name| (*name, row))).collect())
}

pub(crate) fn rows() -> impl Iterator<Item = &'static Filter> {
    tables().into_iter().flatten()
}

/// The filter of that name, with or without its collection.
pub(crate) fn find(name: &str) -> Option<&'static Filter> {
    by_name().get(plain_name(name)).copied()
}

pub(crate) fn plain_name(name: &str) -> &str {
    ["ansible.builtin.", "ansible.legacy."].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    by_name().keys().copied()
}

pub(crate) fn apply(eval: &mut Eval<'_>, name: &str, input: Val, args: Args, locals: &Rc<Locals>) -> Res<Val> {
    let Some(filter) = find(name) else { return Err(unknown(Plugin::Filter, name, names())) };
    if !filter.takes_undefined {
        if input.is_undefined() {
            return Ok(input);
        }
        if let Some(undefined) = super::calls::first_undefined(&args) {
            return Ok(undefined);
        }
    }
    let is_secret = input.is_secret() || args.positional.iter().any(Val::is_secret);
    let shown = input.clone();
    let result = bind(eval, filter.params, input, args, locals).and_then(|mut call| (filter.run)(&mut call));
    let result = result.map_err(|error| named(error, Plugin::Filter, filter.name, Some(&shown)))?;
    Ok(if is_secret { tainted(result) } else { result })
}

/// Text that was made of a secret is secret.
fn tainted(val: Val) -> Val {
    match val {
        Val::Str(text) => Val::Str(Text::secret(text.as_str())),
        other => other,
    }
}
