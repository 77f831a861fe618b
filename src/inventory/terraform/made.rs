//! Outputs and resources, from any of the forms in which Terraform writes them.

use super::super::problem::{Problem, TerraformProblem};
use super::super::{program, read_text};
use crate::value::{Map, Value};
use serde::de::IgnoredAny;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const STATE: &str = "terraform.tfstate";

/// What Terraform has made.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    pub outputs: Map,
    pub resources: Vec<Resource>,
    /// Where resources can still be read from, with the program that answers there.
    later: Option<(PathBuf, PathBuf)>,
}

/// One instance of a resource.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    /// `aws_instance.app`, with its module before it, without an index.
    pub address: String,
    pub kind: String,
    /// The index of `count`, the key of `for_each`, or null.
    pub key: Value,
    pub attributes: Value,
}

/// The programs that print outputs, in the order in which they are tried.
pub(super) struct Program(pub Vec<PathBuf>);

impl Program {
    pub(super) fn usual() -> Program {
        Program(vec!["terraform".into(), "tofu".into()])
    }
}

/// Whether a directory has Terraform's files.
pub(super) fn is_directory(path: &Path) -> bool {
    let is_terraform = |name: &str| name == STATE || [".tf", ".tf.json", ".tofu"].iter().any(|end| name.ends_with(end));
    std::fs::read_dir(path).into_iter().flatten().flatten().any(|entry| entry.file_name().to_str().is_some_and(is_terraform))
}

/// Whether a text is one of Terraform's.
pub(super) fn is_terraform(text: &str, extension: Option<&str>) -> bool {
    if extension == Some("tfstate") {
        return true;
    }
    let is_json = text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok();
    is_json && Value::from_json(text).is_ok_and(|value| Form::of(&value).is_some())
}

enum Form {
    Outputs,
    State,
    Show,
}

impl Form {
    fn of(value: &Value) -> Option<Form> {
        let entries = value.as_map().filter(|entries| !entries.is_empty())?;
        if entries.contains_key("format_version") {
            return Some(Form::Show);
        }
        if entries.contains_key("terraform_version") || (entries.contains_key("version") && entries.contains_key("resources")) {
            return Some(Form::State);
        }
        let is_output =
            |value: &Value| value.get("value").is_some() && (value.get("type").is_some() || value.get("sensitive").is_some());
        entries.values().all(is_output).then_some(Form::Outputs)
    }
}

impl Made {
    /// Reads a file, or asks in a directory.
    pub(super) fn read(path: &Path, program: &Program) -> Result<Made, Problem> {
        if !path.is_dir() {
            return Made::of_text(&read_text(path)?, path);
        }
        let mut failure = None;
        for name in &program.0 {
            match program::run(name, &["output", "-json", "-no-color"], path, LIMIT) {
                Ok(answer) => return Made::answered(&answer, path, name),
                Err(program::Fault::Missing) => {}
                Err(fault) => {
                    let (why, tail) = fault.words();
                    failure = Some(Problem::ProgramFailed { program: format!("{} output -json", name.display()), why, tail });
                    break;
                }
            }
        }
        let state = path.join(STATE);
        if state.is_file() {
            return Made::of_text(&read_text(&state)?, &state);
        }
        Err(failure.unwrap_or_else(|| TerraformProblem::NothingToRead { path: path.to_owned() }.into()))
    }

    fn answered(answer: &str, folder: &Path, program: &Path) -> Result<Made, Problem> {
        let value = json(answer, folder)?;
        Ok(Made { outputs: outputs(&value), later: Some((folder.to_owned(), program.to_owned())), ..Made::default() })
    }

    pub(super) fn of_text(text: &str, path: &Path) -> Result<Made, Problem> {
        let value = json(text, path)?;
        let no_outputs = Value::Null;
        match Form::of(&value) {
            Some(Form::Outputs) => Ok(Made { outputs: outputs(&value), ..Made::default() }),
            Some(Form::State) => Ok(Made {
                outputs: outputs(value.get("outputs").unwrap_or(&no_outputs)),
                resources: state_resources(&value),
                later: None,
            }),
            Some(Form::Show) => {
                let values = value.get("values").unwrap_or(&no_outputs);
                let mut resources = Vec::new();
                module_resources(values.get("root_module").unwrap_or(&no_outputs), 0, &mut resources);
                Ok(Made { outputs: outputs(values.get("outputs").unwrap_or(&no_outputs)), resources, later: None })
            }
            None => Err(TerraformProblem::NotTerraform { path: path.to_owned() }.into()),
        }
    }

    /// Asks for the resources as well, where only the outputs were asked for. Having none is no error.
    pub(super) fn read_resources(&mut self) {
        let Some((folder, program)) = self.later.take() else { return };
        let answer = program::run(&program, &["show", "-json", "-no-color"], &folder, LIMIT);
        if let Some(made) = answer.ok().and_then(|answer| Made::of_text(&answer, &folder).ok()) {
            self.resources = made.resources;
        }
    }

    /// The addresses of all resources of a kind.
    pub(super) fn addresses(&self, kind: &str) -> Vec<String> {
        let mut found: Vec<String> =
            self.resources.iter().filter(|resource| resource.kind == kind).map(|resource| resource.address.clone()).collect();
        found.dedup();
        found
    }
}

fn json(text: &str, path: &Path) -> Result<Value, Problem> {
    Value::from_json(text).map_err(|error| TerraformProblem::NotJson { path: path.to_owned(), why: error.to_string() }.into())
}

impl From<TerraformProblem> for Problem {
    fn from(problem: TerraformProblem) -> Problem {
        Problem::Terraform(problem)
    }
}

/// The values of outputs, sensitive ones as secrets.
fn outputs(entries: &Value) -> Map {
    let value = |output: &Value| {
        let value = output.get("value").cloned().unwrap_or_default();
        if output.get("sensitive").and_then(Value::as_bool) == Some(true) { value.into_secret() } else { value }
    };
    entries.as_map().into_iter().flatten().map(|(name, output)| (name.clone(), value(output))).collect()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_list).unwrap_or_default()
}

/// Of a state file of version 4.
fn state_resources(state: &Value) -> Vec<Resource> {
    let managed = list(state, "resources").iter().filter(|resource| text(resource, "mode") != "data");
    managed.flat_map(instances).collect()
}

fn instances(resource: &Value) -> Vec<Resource> {
    let kind = text(resource, "type");
    let own = format!("{kind}.{}", text(resource, "name"));
    let module = text(resource, "module");
    let address = if module.is_empty() { own } else { format!("{module}.{own}") };
    let made = |instance: &Value| Resource {
        address: address.clone(),
        kind: kind.clone(),
        key: instance.get("index_key").cloned().unwrap_or_default(),
        attributes: without_secrets(instance),
    };
    list(resource, "instances").iter().map(made).collect()
}

/// Attributes that the state marks as sensitive are secrets.
fn without_secrets(instance: &Value) -> Value {
    let attributes = instance.get("attributes").cloned().unwrap_or_default();
    let Value::Map(entries) = &attributes else { return attributes };
    let mut entries = Map::clone(entries);
    for path in list(instance, "sensitive_attributes") {
        let first = path.as_list().and_then(<[Value]>::first).and_then(|step| step.get("value")).and_then(Value::as_str);
        if let Some(value) = first.and_then(|name| entries.get_mut(name)) {
            *value = std::mem::take(value).into_secret();
        }
    }
    Value::map(entries)
}

/// Of what `terraform show -json` prints, module by module.
fn module_resources(module: &Value, depth: usize, found: &mut Vec<Resource>) {
    if depth > 100 {
        return;
    }
    for resource in list(module, "resources").iter().filter(|resource| text(resource, "mode") != "data") {
        let address = text(resource, "address");
        let key = resource.get("index").cloned().unwrap_or_default();
        let address =
            if key.is_null() { address } else { address.rsplit_once('[').map_or(address.clone(), |(own, _)| own.to_owned()) };
        let attributes = resource.get("values").cloned().unwrap_or_default();
        let attributes = mark_secrets(attributes, resource.get("sensitive_values"));
        found.push(Resource { address, kind: text(resource, "type"), key, attributes });
    }
    list(module, "child_modules").iter().for_each(|child| module_resources(child, depth + 1, found));
}

/// `marks` has the shape of the value, with `true` where it is sensitive.
fn mark_secrets(value: Value, marks: Option<&Value>) -> Value {
    match (value, marks) {
        (value, Some(Value::Bool(true))) => value.into_secret(),
        (Value::Map(entries), Some(Value::Map(marks))) => {
            Value::map(entries.iter().map(|(key, value)| (key.clone(), mark_secrets(value.clone(), marks.get(key)))).collect())
        }
        (Value::List(items), Some(Value::List(marks))) => {
            items.iter().enumerate().map(|(index, item)| mark_secrets(item.clone(), marks.get(index))).collect()
        }
        (value, _) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const STATE_TEXT: &str = r#"{"version":4,"terraform_version":"1","outputs":{"from":{"value":"state"}},"resources":[]}"#;

    fn none() -> Program {
        Program(vec!["/no/such/program".into()])
    }

    fn script(folder: &Path, text: &str) -> Program {
        let path = folder.join("program.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Program(vec!["/no/such/program".into(), path])
    }

    #[test]
    fn without_the_program_the_state_is_read_and_without_both_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = Made::read(folder.path(), &none());
        assert!(matches!(nothing, Err(Problem::Terraform(TerraformProblem::NothingToRead { .. }))), "{nothing:?}");
        std::fs::write(folder.path().join(STATE), STATE_TEXT).unwrap();
        let made = Made::read(folder.path(), &none()).unwrap();
        assert_eq!(made.outputs.get("from"), Some(&Value::from("state")));
    }

    #[test]
    fn the_program_is_asked_for_outputs_and_only_then_for_resources() {
        let folder = tempfile::tempdir().unwrap();
        let answers = r#"
if [ "$1" = output ]; then echo '{"from":{"value":"program","sensitive":false}}'
else echo '{"format_version":"1.0","values":{"root_module":{"resources":[{"address":"a.b","mode":"managed","type":"a","values":{}}]}}}'; fi"#;
        let program = script(folder.path(), answers);
        std::fs::write(folder.path().join(STATE), STATE_TEXT).unwrap();
        let mut made = Made::read(folder.path(), &program).unwrap();
        assert_eq!(made.outputs.get("from"), Some(&Value::from("program")));
        assert!(made.resources.is_empty());
        made.read_resources();
        assert_eq!(made.addresses("a"), ["a.b"]);
    }

    #[test]
    fn a_failing_program_is_an_error_unless_there_is_a_state() {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), "echo 'Backend initialization required' >&2; exit 1");
        let failed = Made::read(folder.path(), &program);
        assert!(matches!(&failed, Err(Problem::ProgramFailed { tail, .. }) if tail.contains("Backend")), "{failed:?}");
        std::fs::write(folder.path().join(STATE), STATE_TEXT).unwrap();
        assert!(Made::read(folder.path(), &program).is_ok());
    }
}
