//! Tests: what stands after `is`.

mod addresses;
mod general;

use super::calls::{Args, Call, bind, named, unknown};
use super::evaluate::Eval;
use super::failure::{Plugin, Res};
use super::filters::{find as find_filter, plain_name, regex};
use super::frame::Locals;
use super::runtime::{Object, Val, equal};
use super::syntax::tree::Comparison;
use super::versions;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;

/// A row of the table.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) params: &'static [&'static str],
    pub(crate) doc: &'static str,
    pub(crate) takes_undefined: bool,
    pub(crate) run: fn(&mut Call<'_, '_>) -> Res<bool>,
}

type Run = fn(&mut Call<'_, '_>) -> Res<bool>;

const fn test(name: &'static str, params: &'static [&'static str], doc: &'static str, run: Run) -> Test {
    Test { name, aliases: &[], params, doc, takes_undefined: false, run }
}

impl Test {
    const fn or(mut self, aliases: &'static [&'static str]) -> Test {
        self.aliases = aliases;
        self
    }

    const fn taking_undefined(mut self) -> Test {
        self.takes_undefined = true;
        self
    }
}

const TESTS: &[Test] = &[
    test("defined", &[], "has a value", |call| Ok(!call.input.is_missing())).taking_undefined(),
    test("undefined", &[], "has no value", |call| Ok(call.input.is_missing())).taking_undefined(),
    test("none", &[], "is null", |call| Ok(matches!(call.input, Val::None))).taking_undefined(),
    test("boolean", &[], "is true or false", |call| Ok(matches!(call.input, Val::Bool(_)))).taking_undefined(),
    test("true", &[], "is true itself", |call| Ok(matches!(call.input, Val::Bool(true)))).taking_undefined(),
    test("false", &[], "is false itself", |call| Ok(matches!(call.input, Val::Bool(false)))).taking_undefined(),
    test("integer", &[], "is a whole number", |call| Ok(matches!(call.input, Val::Int(_)))).taking_undefined(),
    test("float", &[], "is a floating-point number", |call| Ok(matches!(call.input, Val::Float(_)))).taking_undefined(),
    test("number", &[], "is a number", |call| Ok(matches!(call.input, Val::Int(_) | Val::Float(_) | Val::Bool(_))))
        .taking_undefined(),
    test("string", &[], "is text", |call| Ok(matches!(call.input, Val::Str(_)))).taking_undefined(),
    test("mapping", &[], "is a map", |call| Ok(is_mapping(&call.input))).taking_undefined(),
    test("iterable", &[], "can be looped over", |call| Ok(is_iterable(&call.input))),
    test("sequence", &[], "has a length and items", |call| Ok(!call.input.is_undefined() && is_iterable(&call.input)))
        .taking_undefined(),
    test("callable", &[], "can be called", |call| Ok(is_callable(&call.input))),
    test("sameas", &["other"], "is the very same", same_as),
    test("even", &[], "divisible by two", |call| Ok(number(call)? % 2 == 0)),
    test("odd", &[], "not divisible by two", |call| Ok(number(call)? % 2 != 0)),
    test("divisibleby", &["num"], "divisible by a number", divisible),
    test("lower", &[], "in small letters", |call| {
        text_test(call, |text| text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase))
    }),
    test("upper", &[], "in capital letters", |call| {
        text_test(call, |text| text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase))
    }),
    test("escaped", &[], "is escaped HTML", |_| Ok(false)),
    test("in", &["seq"], "is contained in", |call| {
        let (container, item) = (call.needed(0, "seq")?, call.input.clone());
        call.eval.contains(&container, &item)
    }),
    test("contains", &["value"], "contains", |call| {
        let (item, container) = (call.needed(0, "value")?, call.input.clone());
        call.eval.contains(&container, &item)
    }),
    test("eq", &["other"], "equals", |call| holds(call, Comparison::Equal)).or(&["==", "equalto"]),
    test("ne", &["other"], "differs", |call| holds(call, Comparison::Unequal)).or(&["!="]),
    test("lt", &["other"], "is less", |call| holds(call, Comparison::Less)).or(&["<", "lessthan"]),
    test("le", &["other"], "is less or equal", |call| holds(call, Comparison::LessOrEqual)).or(&["<="]),
    test("gt", &["other"], "is greater", |call| holds(call, Comparison::Greater)).or(&[">", "greaterthan"]),
    test("ge", &["other"], "is greater or equal", |call| holds(call, Comparison::GreaterOrEqual)).or(&[">="]),
    test("filter", &[], "names a filter", |call| Ok(find_filter(&call.text()?).is_some())),
    test("test", &[], "names a test", |call| Ok(find(&call.text()?).is_some())),
    test("failed", &[], "the task failed", |call| result_flag(call, "failed")).or(&["failure"]),
    test("success", &[], "the task did not fail", |call| Ok(!result_flag(call, "failed")?)).or(&["succeeded", "successful"]),
    test("changed", &[], "the task changed something", changed).or(&["change"]),
    test("skipped", &[], "the task was skipped", |call| result_flag(call, "skipped")).or(&["skip"]),
    test("reachable", &[], "the host could be reached", |call| Ok(!result_flag(call, "unreachable")?)),
    test("unreachable", &[], "the host could not be reached", |call| result_flag(call, "unreachable")),
    test("timedout", &[], "the task ran out of time", timed_out),
    test("started", &[], "the job was started", |call| result_flag(call, "started")),
    test("finished", &[], "the job has ended", |call| result_flag(call, "finished")),
    test("match", &["pattern", "ignorecase", "multiline"], "starts with what a pattern matches", |call| {
        matches(call, Some("match"))
    }),
    test("search", &["pattern", "ignorecase", "multiline"], "contains what a pattern matches", |call| {
        matches(call, Some("search"))
    }),
    test("regex", &["pattern", "ignorecase", "multiline", "match_type"], "is matched by a pattern", |call| matches(call, None)),
    test("version", &["version", "operator", "strict", "version_type"], "compares versions", versions::compare)
        .or(&["version_compare"]),
    test("any", &[], "one item is true", |call| Ok(call.items()?.iter().any(|item| item.truth() == Some(true)))),
    test("all", &[], "every item is true", |call| Ok(call.items()?.iter().all(|item| item.truth() == Some(true)))),
    test("truthy", &["convert_bool"], "counts as true", truthy),
    test("falsy", &["convert_bool"], "counts as false", |call| Ok(!truthy(call)?)),
    test("subset", &["other"], "every item is in the other list", |call| subset(call, false)).or(&["issubset"]),
    test("superset", &["other"], "has every item of the other list", |call| subset(call, true)).or(&["issuperset"]),
    test("nan", &[], "is not a number", |call| Ok(matches!(call.input, Val::Float(number) if number.is_nan()))).or(&["isnan"]),
    test("directory", &[], "a directory on this machine", |call| path_test(call, std::path::Path::is_dir)).or(&["is_dir"]),
    test("file", &[], "a file on this machine", |call| path_test(call, std::path::Path::is_file)).or(&["is_file"]),
    test("link", &[], "a symbolic link on this machine", |call| path_test(call, std::path::Path::is_symlink)).or(&["is_link"]),
    test("exists", &[], "a path on this machine", |call| path_test(call, std::path::Path::exists)),
    test("link_exists", &[], "a path on this machine, even a broken link", |call| {
        path_test(call, |path| path.symlink_metadata().is_ok())
    }),
    test("abs", &[], "an absolute path", |call| path_test(call, std::path::Path::is_absolute)).or(&["is_abs"]),
    test("mount", &[], "a mount point on this machine", |call| path_test(call, is_mount)).or(&["is_mount"]),
    test("same_file", &["other"], "the same file as another path", same_file).or(&["is_same_file"]),
    test("uri", &["schemes"], "a URI", |call| uri(call, false)),
    test("url", &["schemes"], "a URL", |call| uri(call, true)),
    test("urn", &[], "a URN", |call| Ok(split_uri(&call.text()?).0 == "urn")),
    test("vault_encrypted", &[], "encrypted by a vault", vault_encrypted),
    test("vaulted_file", &[], "a file encrypted by a vault", vaulted_file),
];

pub(crate) fn rows() -> impl Iterator<Item = &'static Test> {
    [TESTS, addresses::TESTS, general::TESTS].into_iter().flatten()
}

fn by_name() -> &'static HashMap<&'static str, &'static Test> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static Test>> = OnceLock::new();
    BY_NAME.get_or_init(|| rows().flat_map(|row| row.aliases.iter().chain([&row.name]).map(move |name| (*name, row))).collect())
}

pub(crate) fn find(name: &str) -> Option<&'static Test> {
    by_name().get(plain_name(name)).copied()
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    by_name().keys().copied()
}

pub(crate) fn apply(eval: &mut Eval<'_>, name: &str, input: Val, args: Args, locals: &Rc<Locals>) -> Res<Val> {
    let Some(test) = find(name) else { return Err(unknown(Plugin::Test, name, names())) };
    if !test.takes_undefined {
        if input.is_undefined() {
            return Ok(input);
        }
        if let Some(undefined) = super::calls::first_undefined(&args) {
            return Ok(undefined);
        }
    }
    let shown = input.clone();
    let result = bind(eval, test.params, input, args, locals).and_then(|mut call| (test.run)(&mut call));
    result.map(Val::Bool).map_err(|error| named(error, Plugin::Test, test.name, Some(&shown)))
}

fn is_object(value: &Val, kinds: fn(&Object) -> bool) -> bool {
    matches!(value, Val::Object(object) if kinds(object))
}

fn is_mapping(value: &Val) -> bool {
    matches!(value, Val::Dict(_)) || is_object(value, |object| matches!(object, Object::HostVars | Object::HostScope(_)))
}

fn is_iterable(value: &Val) -> bool {
    matches!(value, Val::Str(_) | Val::List(_) | Val::Tuple(_) | Val::Dict(_))
        || is_object(value, |object| matches!(object, Object::Range(_) | Object::HostVars | Object::HostScope(_)))
}

fn is_callable(value: &Val) -> bool {
    is_object(value, |object| {
        matches!(
            object,
            Object::Macro(_)
                | Object::Function(_)
                | Object::Method(..)
                | Object::Joiner { .. }
                | Object::Block(..)
                | Object::DictType
        )
    })
}

fn same_as(call: &mut Call<'_, '_>) -> Res<bool> {
    let other = call.needed(0, "other")?;
    Ok(match (&call.input, &other) {
        (Val::List(left), Val::List(right)) => left.is_same(right),
        (Val::Dict(left), Val::Dict(right)) => left.is_same(right),
        (left, right) => left.kind() == right.kind() && equal(left, right),
    })
}

fn number(call: &Call<'_, '_>) -> Res<i64> {
    call.input.as_int().ok_or_else(|| format!("a whole number is needed, not '{}'", call.input.kind()).into())
}

fn divisible(call: &mut Call<'_, '_>) -> Res<bool> {
    match call.int_arg(0, 0)? {
        0 => Err("integer modulo by zero".into()),
        divisor => Ok(number(call)?.checked_rem(divisor).unwrap_or(0) == 0),
    }
}

fn text_test(call: &mut Call<'_, '_>, test: fn(&str) -> bool) -> Res<bool> {
    Ok(test(&call.text()?))
}

fn holds(call: &mut Call<'_, '_>, comparison: Comparison) -> Res<bool> {
    let (left, right) = (call.input.clone(), call.needed(0, "other")?);
    call.eval.holds(comparison, &left, &right)
}

/// A flag of a task's result.
fn result_flag(call: &mut Call<'_, '_>, name: &str) -> Res<bool> {
    let Val::Dict(result) = &call.input else {
        return Err(format!("The '{name}' test expects a dictionary").into());
    };
    // A task that was no job of its own has started and ended.
    let flag = result.get(name).unwrap_or(Val::Bool(matches!(name, "started" | "finished")));
    let flag = call.eval.resolve(flag)?;
    call.eval.truth(&flag)
}

/// The result of a loop changed when one of its items did.
fn changed(call: &mut Call<'_, '_>) -> Res<bool> {
    let Val::Dict(result) = call.input.clone() else { return Err("The 'changed' test expects a dictionary".into()) };
    if result.get("changed").is_some() {
        return result_flag(call, "changed");
    }
    let Some(results) = result.get("results") else { return Ok(false) };
    for item in call.eval.elements(&results)? {
        if let Val::Dict(item) = item
            && item.get("changed").and_then(|flag| flag.truth()) == Some(true)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn timed_out(call: &mut Call<'_, '_>) -> Res<bool> {
    let Val::Dict(result) = &call.input else { return Err("The 'timedout' test expects a dictionary".into()) };
    match result.get("timedout") {
        Some(Val::Dict(details)) => Ok(details.get("period").is_some()),
        other => Ok(other.is_some_and(|flag| flag.truth() == Some(true))),
    }
}

fn matches(call: &mut Call<'_, '_>, kind: Option<&str>) -> Res<bool> {
    let pattern = call.needed(0, "pattern")?.to_text();
    let regex = regex::compile(&pattern, call.flag(1, false), call.flag(2, false))?;
    let kind = kind.map_or_else(|| call.text_arg(3, "search").as_str().to_owned(), str::to_owned);
    let text = call.text()?;
    let found = regex.find(text.as_str()).map_err(|error| regex::failed(&error))?;
    match kind.as_str() {
        "search" => Ok(found.is_some()),
        "match" => {
            let anchored = regex::compile(&format!("(?:{})", pattern.as_str()), call.flag(1, false), call.flag(2, false));
            let found = match anchored {
                Ok(anchored) => anchored.find(text.as_str()).map_err(|error| regex::failed(&error))?.map(|found| found.start()),
                Err(_) => found.map(|found| found.start()),
            };
            Ok(found == Some(0))
        }
        "fullmatch" => {
            let whole = regex::compile(&format!("(?:{})\\Z", pattern.as_str()), call.flag(1, false), call.flag(2, false))?;
            Ok(whole.find(text.as_str()).map_err(|error| regex::failed(&error))?.is_some_and(|found| found.start() == 0))
        }
        other => Err(format!("Invalid match_type '{other}'").into()),
    }
}

fn truthy(call: &mut Call<'_, '_>) -> Res<bool> {
    if call.flag(0, false)
        && let Ok(value) = call.input.to_value()
        && let Some(truth) = value.to_bool()
    {
        return Ok(truth);
    }
    let input = call.input.clone();
    call.eval.truth(&input)
}

fn subset(call: &mut Call<'_, '_>, is_reversed: bool) -> Res<bool> {
    let (mut left, mut right) = (call.input.clone(), call.needed(0, "other")?);
    if is_reversed {
        std::mem::swap(&mut left, &mut right);
    }
    for item in call.eval.elements(&left)? {
        if !call.eval.contains(&right, &item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn path_test(call: &mut Call<'_, '_>, test: fn(&std::path::Path) -> bool) -> Res<bool> {
    let text = call.text()?;
    Ok(test(&call.eval.expand_home(&text)))
}

fn is_mount(path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(this), Ok(parent)) = (path.metadata(), path.join("..").metadata()) else { return false };
    path.is_dir() && (this.dev() != parent.dev() || this.ino() == parent.ino())
}

fn same_file(call: &mut Call<'_, '_>) -> Res<bool> {
    use std::os::unix::fs::MetadataExt;
    let (left, right) = (call.text()?, call.needed(0, "other")?.to_text());
    let metadata = |path: &str| std::fs::metadata(path).map_err(|error| format!("{path}: {error}"));
    let (left, right) = (metadata(&left)?, metadata(&right)?);
    Ok(left.dev() == right.dev() && left.ino() == right.ino())
}

/// Every text can be a URI; a URL names a server.
fn uri(call: &mut Call<'_, '_>, needs_server: bool) -> Res<bool> {
    let text = call.text()?;
    let (scheme, server) = split_uri(&text);
    let Some(server) = server else { return Ok(false) };
    let is_listed = match call.given(0).cloned() {
        None => true,
        Some(schemes) => {
            let schemes = call.eval.elements(&schemes)?;
            schemes.is_empty() || schemes.iter().any(|wanted| wanted.as_str() == Some(&*scheme))
        }
    };
    Ok(is_listed && (!needs_server || !server.is_empty()))
}

/// Scheme (empty for none) and server; no server where its brackets are not closed.
fn split_uri(text: &str) -> (String, Option<&str>) {
    let is_scheme = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = match text.split_once(':').filter(|(word, _)| is_scheme(word)) {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (String::new(), text),
    };
    let server = rest.strip_prefix("//").map_or("", |rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
    (scheme, (server.contains('[') == server.contains(']')).then_some(server))
}

/// Only what was written with `!vault` is: a text that looks like one is a text.
fn vault_encrypted(call: &mut Call<'_, '_>) -> Res<bool> {
    Ok(matches!(&call.input, Val::Str(text) if text.is_secret() && call.eval.world.was_vaulted(text)))
}

fn vaulted_file(call: &mut Call<'_, '_>) -> Res<bool> {
    let path = call.text()?;
    match std::fs::read(path.as_str()) {
        Ok(bytes) => Ok(bytes.starts_with(b"$ANSIBLE_VAULT")),
        Err(error) => Err(format!("Cannot test if the file {} is a vault: {error}", path.as_str()).into()),
    }
}
