//! Tests of the collection `community.general`.

use super::{Test, test};
use crate::modules;
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::filters::revealed;
use crate::template::runtime::Val;

pub(super) const TESTS: &[Test] = &[
    test("community.general.a_module", &[], "names a module that is built in", is_module).or(&["a_module"]),
    test("community.general.ansible_type", &["dtype", "alias"], "has a type, or one of several", has_type),
];

fn is_module(call: &mut Call<'_, '_>) -> Res<bool> {
    match &call.input {
        Val::Str(name) => Ok(modules::find(name).is_some()),
        other => Err(format!("unsupported type <class '{}'>", other.kind()).into()),
    }
}

fn has_type(call: &mut Call<'_, '_>) -> Res<bool> {
    let wanted = match call.needed(0, "dtype")? {
        value @ Val::Str(_) => vec![value],
        value @ (Val::List(_) | Val::Tuple(_)) => call.eval.elements(&value)?,
        other => return Err(format!("the type must be a text or a list of texts, not '{}'", other.kind()).into()),
    };
    let value = call.deep_input()?;
    let found = revealed(&value, call.given(1));
    Ok(wanted.iter().any(|wanted| wanted.as_str() == Some(found.as_str())))
}
