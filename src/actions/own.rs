//! A module of the user's own, from `library/` or a collection: a program of any language, or Python that needs only Python's own library,
//! `module_utils` of the user's own, and `ansible.module_utils.basic`, of which the host gets what modules commonly use (`own/basic.py`).

mod python;

use super::{Answer, Bodies, Hands, Problem};
use crate::modules::Args;
use crate::value::{Map, Value};
use std::path::Path;

/// A placeholder that is replaced by the arguments as JSON.
const PLACE: &str = "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>";

pub(super) async fn own(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let path = Path::new(args.required("_path")?);
    let bytes = std::fs::read(path).map_err(|error| Problem::unreadable(path, &error))?;
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut given = args.all().clone();
    given.retain(|key, _| !matches!(key.as_str(), Some("_path" | "_name" | "_blob" | "_python" | "_input" | "_interpreter")));
    let text = String::from_utf8(bytes.clone()).ok().filter(|text| !text.contains('\0'));
    let mut host = Map::from_iter([("_name".into(), Value::from(&name))]);
    let mut bodies = Bodies::default();
    match text {
        Some(text) if python::is_python(path, &text) => {
            let python = python::bundle(&name, path, &text, &json(given, &name, hands))?;
            host.insert("_python".into(), python.into());
            if let Ok(program) = hands.expression("ansible_python_interpreter") {
                host.insert("_interpreter".into(), program);
            }
        }
        Some(text) => {
            let input = if text.contains("WANT_JSON") { json(given, &name, hands) } else { pairs(&given) };
            host.insert("_input".into(), input.clone().into());
            host.insert("_interpreter".into(), interpreter(&text, hands).into());
            let text = if text.contains(PLACE) { text.replace(PLACE, &input) } else { text };
            host.insert("_blob".into(), bodies.add_bytes(text.into_bytes()).into());
        }
        None => {
            host.insert("_input".into(), json(given, &name, hands).into());
            host.insert("_blob".into(), bodies.add_bytes(bytes).into());
        }
    }
    hands.module("_own", host, bodies).await.map(Answer::of)
}

/// The arguments, and what Ansible tells modules beside them.
fn json(given: Map, name: &str, hands: &impl Hands) -> String {
    let mut all = given;
    for (key, value) in [
        ("_ansible_check_mode", Value::Bool(hands.is_check())),
        ("_ansible_diff", Value::Bool(hands.is_diff())),
        ("_ansible_no_log", Value::Bool(false)),
        ("_ansible_debug", Value::Bool(false)),
        ("_ansible_verbosity", Value::Int(hands.verbosity().into())),
        ("_ansible_version", "2.19.0".into()),
        ("_ansible_module_name", name.into()),
        ("_ansible_remote_tmp", "/tmp".into()),
        ("_ansible_syslog_facility", "LOG_USER".into()),
        ("_ansible_socket", Value::Null),
    ] {
        all.insert(key.into(), value);
    }
    Value::map(all).to_json()
}

/// `name='value'` words.
fn pairs(given: &Map) -> String {
    let one = |(key, value): (&crate::value::Key, &Value)| format!("{key}={}", shell_words::quote(&value.to_text()));
    given.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The program of the first line, unless a variable names another; the host finds its Python itself.
fn interpreter(text: &str, hands: &impl Hands) -> Option<String> {
    let line = text.lines().next()?.strip_prefix("#!")?.trim();
    let program = line.strip_prefix("/usr/bin/env").map_or(line, str::trim);
    let name = program.split_whitespace().next()?.rsplit('/').next()?;
    let variable = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if let Ok(own) = hands.expression(&format!("ansible_{variable}_interpreter")) {
        return Some(own.to_text().to_string());
    }
    Some(if variable == "python" { variable.to_owned() } else { line.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_words_of_a_shell() {
        let args = Map::from_iter([("name".into(), "a b".into()), ("n".into(), 3.into())]);
        assert_eq!(pairs(&args), "name='a b' n=3");
    }
}
