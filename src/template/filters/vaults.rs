//! Vaults made and opened by a template that knows the password.

use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::{Object, Val};
use crate::vault::{self, DEFAULT_ID};

pub(super) const FILTERS: &[Filter] = &[
    filter("vault", &["secret", "salt", "vault_id", "wrap_object", "vaultid"], "a text in a vault", close),
    filter("unvault", &["secret", "vault_id", "vaultid"], "the text of a vault", open),
];

/// What Ansible calls a secret that only a filter knows.
const ID: &str = "filter_default";

fn secret(call: &mut Call<'_, '_>) -> Res<String> {
    match call.needed(0, "secret")? {
        Val::Str(text) => Ok(text.as_str().to_owned()),
        other => Err(format!("Secret passed is required to be a string, instead we got <class '{}'>.", other.kind()).into()),
    }
}

fn close(call: &mut Call<'_, '_>) -> Res<Val> {
    let Val::Str(plain) = call.input.clone() else {
        return Err(format!("Can only vault strings, instead we got <class '{}'>.", call.input.kind()).into());
    };
    let password = secret(call)?;
    let salt = call.given(1).map(Val::to_text);
    let id = call.given(4).or_else(|| call.given(2)).map_or_else(|| ID.into(), Val::to_text);
    let id = if id.is_empty() { DEFAULT_ID } else { id.as_str() };
    let salt = salt.as_ref().map(|salt| salt.as_bytes());
    let closed = vault::close(plain.as_bytes(), &password, id, salt).map_err(|problem| problem.to_string())?;
    let is_wrapped = call.given(3).is_some_and(|wrap| wrap.truth() == Some(true));
    Ok(if is_wrapped { Val::object(Object::Vaulted(closed)) } else { Val::from(closed) })
}

/// What is in no vault stays as it is.
fn open(call: &mut Call<'_, '_>) -> Res<Val> {
    let wrapped = match &call.input {
        Val::Object(object) => match &**object {
            Object::Vaulted(text) => Some(Val::from(text.as_str())),
            _ => None,
        },
        _ => None,
    };
    let Val::Str(text) = wrapped.unwrap_or_else(|| call.input.clone()) else {
        return Err(format!("Vault should be in the form of a string, instead we got <class '{}'>.", call.input.kind()).into());
    };
    let password = secret(call)?;
    if !vault::is_vault(text.as_bytes()) {
        return Ok(Val::Str(text));
    }
    let plain = vault::open(&text, &password).map_err(|problem| format!("Unable to decrypt: {problem}"))?;
    String::from_utf8(plain).map(|plain| Val::text_of(plain, true)).map_err(|_| "what is in the vault is no text".into())
}
