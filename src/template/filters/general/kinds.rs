//! Types of values, by the names that Python gives them.

use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;
use std::collections::BTreeSet;

pub(super) fn reveal(call: &mut Call<'_, '_>) -> Res<Val> {
    let value = call.deep_input()?;
    Ok(Val::from(revealed(&value, call.given(0))))
}

/// `int`, `list[int|str]` or `dict[str, int]`; `alias` has other names of types.
pub(crate) fn revealed(value: &Val, alias: Option<&Val>) -> String {
    let name = |value: &Val| {
        let kind = if matches!(value, Val::Tuple(_)) { "_AnsibleLazyAccessTuple" } else { value.kind() };
        let other = match alias {
            Some(Val::Dict(names)) => names.get(kind),
            _ => None,
        };
        other.map_or_else(|| kind.to_owned(), |other| other.to_text().as_str().to_owned())
    };
    let all = |values: &[Val]| values.iter().map(name).collect::<BTreeSet<String>>().into_iter().collect::<Vec<_>>().join("|");
    match value {
        Val::List(items) if items.len() > 0 => format!("{}[{}]", name(value), all(&items.items())),
        Val::Dict(entries) if entries.len() > 0 => {
            let keys: Vec<Val> = entries.keys().iter().map(Val::from_key).collect();
            let values: Vec<Val> = entries.entries().into_values().collect();
            format!("{}[{}, {}]", name(value), all(&keys), all(&values))
        }
        other => name(other),
    }
}
