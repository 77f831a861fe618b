//! Lookups: what `lookup(…)`, `query(…)` and `with_*` ask for; one row each.

mod aws;
mod elsewhere;
mod environment;
mod files;
mod lists;
mod passwords;
mod records;
mod settings;
mod url;

pub(crate) use files::glob;
pub(crate) use records::{csv_rows, ini_entries};

use super::calls::{Call, unknown};
use super::evaluate::Eval;
use super::failure::{Plugin, Problem, Res};
use super::filters::plain_name;
use super::runtime::Val;
use super::syntax::tree::Name;
use std::process::{Command, Stdio};

/// What a lookup is asked.
pub(crate) struct Asked<'c, 'e> {
    pub(crate) eval: &'c mut Eval<'e>,
    /// Rendered, but their items may not be.
    pub(crate) terms: Vec<Val>,
    pub(crate) options: Vec<(Name, Val)>,
}

/// A row of the table.
pub(crate) struct Lookup {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) run: fn(&mut Asked<'_, '_>) -> Res<Vec<Val>>,
}

const fn row(name: &'static str, doc: &'static str, run: fn(&mut Asked<'_, '_>) -> Res<Vec<Val>>) -> Lookup {
    Lookup { name, doc, run }
}

fn tables() -> [&'static [Lookup]; 8] {
    [
        aws::LOOKUPS,
        elsewhere::LOOKUPS,
        environment::LOOKUPS,
        files::LOOKUPS,
        lists::LOOKUPS,
        passwords::LOOKUPS,
        records::LOOKUPS,
        url::LOOKUPS,
    ]
}

/// Other names of lookups.
const ALIASES: &[(&str, &str)] = &[
    ("cartesian", "community.general.cartesian"),
    ("community.general.flattened", "flattened"),
    ("ssm_parameter", "amazon.aws.ssm_parameter"),
    ("secretsmanager_secret", "amazon.aws.secretsmanager_secret"),
    ("amazon.aws.aws_ssm", "amazon.aws.ssm_parameter"),
    ("aws_ssm", "amazon.aws.ssm_parameter"),
    ("amazon.aws.aws_secret", "amazon.aws.secretsmanager_secret"),
    ("aws_secret", "amazon.aws.secretsmanager_secret"),
];

pub(crate) fn rows() -> impl Iterator<Item = &'static Lookup> {
    tables().into_iter().flatten()
}

pub(crate) fn find(name: &str) -> Option<&'static Lookup> {
    let name = plain_name(name);
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    tables().into_iter().flatten().find(|lookup| lookup.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    tables().into_iter().flatten().map(|lookup| lookup.name)
}

/// The answers of a lookup, as `with_NAME` loops over them.
pub(crate) fn ask(eval: &mut Eval<'_>, name: &str, terms: Vec<Val>, options: Vec<(Name, Val)>) -> Res<Vec<Val>> {
    let Some(lookup) = find(name) else { return Err(unknown(Plugin::Lookup, name, names())) };
    let mut asked = Asked { eval, terms, options };
    let answers = (lookup.run)(&mut asked);
    for answer in answers.iter().flatten().filter(|answer| !matches!(answer, Val::Str(_)) || answer.is_secret()) {
        if let Ok(value) = answer.to_value() {
            value.each_secret(&mut |secret| asked.eval.world.keep_secret(secret));
        }
    }
    answers.map_err(|mut error| {
        if let Problem::Operation { reason } = &error.problem {
            error.problem = Problem::PluginFailed {
                plugin: Plugin::Lookup,
                name: lookup.name.to_owned(),
                reason: reason.clone(),
                value: None,
            };
        }
        error
    })
}

/// `lookup(…)`: text, or the answers when they are no text.
pub(crate) fn lookup(call: &mut Call<'_, '_>) -> Res<Val> {
    let wants_list = take_flag(call, "wantlist");
    answer(call, wants_list)
}

/// `query(…)`: always a list.
pub(crate) fn query(call: &mut Call<'_, '_>) -> Res<Val> {
    take_flag(call, "wantlist");
    answer(call, true)
}

fn take_flag(call: &mut Call<'_, '_>, name: &str) -> bool {
    let index = call.named.iter().position(|(other, _)| &**other == name);
    index.is_some_and(|index| call.named.remove(index).1.truth() == Some(true))
}

fn answer(call: &mut Call<'_, '_>, wants_list: bool) -> Res<Val> {
    let name = call.needed(0, "name")?.to_text();
    let errors = call.named.iter().position(|(name, _)| &**name == "errors").map(|index| call.named.remove(index).1.to_text());
    let (terms, options) = (std::mem::take(&mut call.rest), std::mem::take(&mut call.named));
    let answers = match ask(call.eval, &name, terms, options) {
        Ok(answers) => answers,
        Err(error) => match errors.as_deref() {
            Some("ignore" | "warn") if wants_list => return Ok(Val::list(Vec::new())),
            Some("ignore" | "warn") => return Ok(Val::None),
            _ => return Err(error),
        },
    };
    if wants_list {
        return Ok(Val::list(answers));
    }
    let mut answers = answers;
    match answers.len() {
        0 => Ok(Val::list(answers)),
        1 => Ok(answers.remove(0)),
        _ if answers.iter().all(|answer| matches!(answer, Val::Str(_))) => {
            let is_secret = answers.iter().any(Val::is_secret);
            let texts: Vec<&str> = answers.iter().filter_map(Val::as_str).collect();
            Ok(Val::text_of(texts.join(","), is_secret))
        }
        _ => Ok(Val::list(answers)),
    }
}

impl Asked<'_, '_> {
    pub(crate) fn option(&self, name: &str) -> Option<&Val> {
        self.options
            .iter()
            .find(|(other, _)| &**other == name)
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, Val::None))
    }

    pub(crate) fn text_option(&self, name: &str, default: &str) -> String {
        self.option(name).map_or_else(|| default.to_owned(), |value| value.to_text().as_str().to_owned())
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.option(name).and_then(|value| value.to_value().ok()?.to_bool()).unwrap_or(default)
    }

    /// The terms as one flat list of texts.
    pub(crate) fn texts(&mut self) -> Res<Vec<String>> {
        let terms = self.terms.clone();
        let mut texts = Vec::new();
        for term in terms {
            match &term {
                Val::List(_) | Val::Tuple(_) => {
                    for item in self.eval.elements(&term)? {
                        texts.push(item.to_text().as_str().to_owned());
                    }
                }
                other => texts.push(other.to_text().as_str().to_owned()),
            }
        }
        Ok(texts)
    }
}

/// Runs a shell command on this machine.
pub(crate) fn run_here(command: &str) -> Result<Vec<u8>, String> {
    let output = Command::new("/bin/sh").args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("`{command}` could not be run: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("lookup_plugin.pipe({command}) returned {}", output.status.code().unwrap_or(-1)))
}
