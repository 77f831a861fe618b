//! Lookups of what AWS keeps: parameters and secrets. Whatever comes from there is a secret here.

use super::{Asked, Lookup, row};
use crate::aws::{Access, AwsError, Session, parameters, secrets};
use crate::template::failure::{Fault, Res};
use crate::template::runtime::{Val, from_value};
use crate::value::{Map, Value};

pub(super) const LOOKUPS: &[Lookup] = &[
    row("amazon.aws.ssm_parameter", "a parameter of AWS Systems Manager", parameter),
    row("amazon.aws.secretsmanager_secret", "a secret of AWS Secrets Manager", secret),
];

const PARAMETER: &str = "ssm_parameter";
const SECRET: &str = "secretsmanager_secret";

/// What is to happen where there is no value.
#[derive(Clone, Copy, PartialEq)]
enum Lack {
    Error,
    /// `warn`, too: a template has no screen.
    Skip,
}

fn lack(asked: &Asked<'_, '_>, name: &str, lookup: &str) -> Res<Lack> {
    match asked.text_option(name, "error").as_str() {
        "error" => Ok(Lack::Error),
        "skip" | "warn" => Ok(Lack::Skip),
        other => Err(format!(
            "Invalid value '{other}' for config '{name}' for 'ansible_collections.amazon.aws.plugins.lookup.{lookup}' lookup plugin."
        )
        .into()),
    }
}

fn access(asked: &Asked<'_, '_>) -> Res<Access> {
    let option = |name: &str| asked.option(name).map(|value| value.to_text().as_str().to_owned());
    // That of this process is read where the rest of the chain is.
    Access::of(option, |_| None).map_err(|error| error.words().into())
}

fn failed(error: &AwsError) -> Fault {
    error.words().into()
}

/// With Ansible's first words, and what to do after them.
fn not_there(what: &str, name: &str, error: &AwsError) -> Fault {
    match error {
        AwsError::Missing { .. } => format!("Failed to find {what} {name} (ResourceNotFound)").into(),
        AwsError::Denied { .. } => format!("Failed to access {what} {name} (AccessDenied): {}", error.words()).into(),
        other => failed(other),
    }
}

fn text(value: String) -> Val {
    Val::text_of(value, true)
}

fn dict(entries: impl IntoIterator<Item = (String, String)>) -> Val {
    let entries = entries.into_iter().map(|(name, value)| (name.as_str().into(), Value::secret(value)));
    from_value(&Value::map(entries.collect::<Map>()))
}

fn parameter(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let (missing, denied) = (lack(asked, "on_missing", PARAMETER)?, lack(asked, "on_denied", PARAMETER)?);
    let (is_path, shortens, drops) =
        (asked.flag("bypath", false), asked.flag("shortnames", false), asked.flag("droppath", false));
    if is_path && shortens && drops {
        return Err("shortnames and droppath are mutually exclusive. They cannot both be set to true.".to_owned().into());
    }
    let (decrypts, deep, access) = (asked.flag("decrypt", true), asked.flag("recursive", false), access(asked)?);
    let short = |path: &str, name: String| match (shortens, drops) {
        (true, _) => name.rsplit('/').next().unwrap_or_default().to_owned(),
        (_, true) => name.strip_prefix(path).map(str::to_owned).unwrap_or(name),
        _ => name,
    };
    let mut values = Vec::new();
    for name in asked.texts()? {
        let (wanted, access) = (name.clone(), access.clone());
        let may_lack = |error: &AwsError| match error {
            AwsError::Missing { .. } => missing == Lack::Skip,
            AwsError::Denied { .. } => denied == Lack::Skip,
            _ => false,
        };
        if is_path {
            let found =
                Session::wait(access, move |session| async move { parameters::below(&session, &wanted, deep, decrypts).await });
            values.push(match found {
                Ok(found) if found.is_empty() && missing == Lack::Error => {
                    return Err(format!("Failed to find SSM parameter path {name} (ResourceNotFound)").into());
                }
                Ok(found) => dict(found.into_iter().map(|(path, value)| (short(&name, path), value))),
                Err(error) if may_lack(&error) => dict([]),
                Err(error) => return Err(not_there("SSM parameter path", &name, &error)),
            });
            continue;
        }
        let found = Session::wait(access, move |session| async move { parameters::get(&session, &wanted, decrypts).await });
        values.push(match found {
            Ok(found) => text(found.value.unwrap_or_default()),
            Err(error) if may_lack(&error) => Val::None,
            Err(error) => return Err(not_there("SSM parameter", &name, &error)),
        });
    }
    Ok(values)
}

/// How secrets are asked for.
struct Secrets {
    access: Access,
    version: secrets::Version,
    missing: Lack,
    denied: Lack,
    deleted: Lack,
}

fn secret(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let version = |name: &str| Some(asked.text_option(name, "")).filter(|text| !text.is_empty());
    let secrets = Secrets {
        version: secrets::Version { id: version("version_id"), stage: version("version_stage") },
        missing: lack(asked, "on_missing", SECRET)?,
        denied: lack(asked, "on_denied", SECRET)?,
        deleted: lack(asked, "on_deleted", SECRET)?,
        access: access(asked)?,
    };
    let (is_path, is_nested, joins) = (asked.flag("bypath", false), asked.flag("nested", false), asked.flag("join", false));
    let names = asked.texts()?;
    if is_path {
        return secrets.below(&names).map(|found| vec![dict(found)]);
    }
    let mut values = Vec::new();
    for name in &names {
        values.extend(if is_nested { secrets.nested(name)? } else { secrets.one(name)? });
    }
    Ok(if joins { vec![text(values.concat())] } else { values.into_iter().map(text).collect() })
}

impl Secrets {
    fn one(&self, name: &str) -> Res<Option<String>> {
        let (wanted, version) = (name.to_owned(), self.version.clone());
        let found =
            Session::wait(self.access.clone(), move |session| async move { secrets::get(&session, &wanted, &version).await });
        match found {
            Ok(secrets::Content::Text(text)) => Ok(Some(text)),
            Ok(secrets::Content::Bytes(bytes)) => {
                let text = String::from_utf8(bytes);
                text.map(Some).map_err(|_| format!("the secret {name} is binary, and no text").into())
            }
            Err(AwsError::Missing { .. }) if self.missing == Lack::Skip => Ok(None),
            Err(AwsError::Denied { .. }) if self.denied == Lack::Skip => Ok(None),
            Err(error) if secrets::is_deleted(&error) => match self.deleted {
                Lack::Skip => Ok(None),
                Lack::Error => Err(format!("Failed to find secret {name} (marked deleted)").into()),
            },
            Err(error) => Err(not_there("secret", name, &error)),
        }
    }

    /// `name.key.key`: a value inside of a secret in JSON.
    fn nested(&self, path: &str) -> Res<Option<String>> {
        let Some((name, keys)) = path.split_once('.') else {
            return Err("Nested query must use the following syntax: `aws_secret_name.<key_name>.<key_name>".to_owned().into());
        };
        let Some(secret) = self.one(name)? else { return Ok(None) };
        let whole = Value::from_json(&secret).map_err(|_| format!("the secret {name} is no JSON, so it has no key {keys}"))?;
        let found = keys.split('.').try_fold(&whole, |value, key| value.get(key));
        match found {
            Some(value) => Ok(Some(from_value(value).to_text().as_str().to_owned())),
            None if self.missing == Lack::Skip => Ok(None),
            None => Err(format!("Successfully retrieved secret but there exists no key {keys} in the secret").into()),
        }
    }

    fn below(&self, prefixes: &[String]) -> Res<Vec<(String, String)>> {
        let mut all = Vec::new();
        for prefix in prefixes {
            let wanted = prefix.clone();
            let found = Session::wait(self.access.clone(), move |session| async move { secrets::names(&session, &wanted).await });
            for name in found.map_err(|error| not_there("secrets below", prefix, &error))? {
                if let Some(value) = self.one(&name)? {
                    all.push((name, value));
                }
            }
        }
        Ok(all)
    }
}
