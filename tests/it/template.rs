//! Expressions, filters, tests and lookups against what ansible-core gives for the same text.
//!
//! Each file of `tests/cases/template` holds variables and cases; a case has a `template`, `file`, `when` or `expr`, and the
//! `value` or `error` that ansible-core 2.19 gave. `ours` stands where the words of an error are deliberately others.

use roll::diag::Sources;
use roll::template::{FileOptions, Scope, World, condition, evaluate, expression, render_file};
use roll::value::{Map, Span, Template, Value};
use roll::yaml::{Trust, read};
use std::path::PathBuf;
use std::sync::Arc;

struct Vars(Value);

impl Scope for Vars {
    fn get(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.as_map().into_iter().flat_map(Map::keys).map(ToString::to_string).collect()
    }
}

struct Here;

impl World for Here {
    fn search_paths(&self, folder: &str) -> Vec<PathBuf> {
        vec![cases().join(folder)]
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    fn hosts(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(vec![pattern.to_owned()])
    }
}

fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases/template")
}

fn load(path: &std::path::Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    let reading = read(&Sources::default(), &path.display().to_string(), &text, Trust::Data);
    assert!(!reading.has_errors(), "{}: {:?}", path.display(), reading.diagnostics);
    reading.document().unwrap().to_value()
}

/// Strings with Jinja in them as a playbook's reader would give them.
fn trusted(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("{{") || text.contains("{%") => {
            Value::Template(Arc::new(Template { text: text.as_str().to_owned(), span: Span::NOWHERE }))
        }
        Value::List(items) => items.iter().map(trusted).collect(),
        Value::Map(entries) => Value::map(entries.iter().map(|(key, value)| (key.clone(), trusted(value))).collect()),
        other => other.clone(),
    }
}

fn run(case: &Value, scope: &Vars) -> Result<Value, String> {
    let words = |error: roll::template::TemplateError| error.to_string();
    let text = |name: &str| case.get(name).and_then(Value::as_str);
    if let Some(text) = text("when") {
        return condition(text, Span::NOWHERE, scope, &Here).map(Value::from).map_err(words);
    }
    if let Some(text) = text("expr") {
        return expression(text, Span::NOWHERE, scope, &Here).map_err(words);
    }
    if let Some(text) = text("file") {
        let mut options = FileOptions::default();
        if let Some(asked) = case.get("options") {
            let flag = |name: &str, default: bool| asked.get(name).and_then(Value::as_bool).unwrap_or(default);
            options.lstrip_blocks = flag("lstrip_blocks", false);
            options.trim_blocks = flag("trim_blocks", true);
        }
        return render_file(text, &options, scope, &Here).map(Value::from).map_err(words);
    }
    let template = Template { text: text("template").unwrap().to_owned(), span: Span::NOWHERE };
    evaluate(&template, scope, &Here).map_err(words)
}

/// Without what only tells where in Ansible an error arose.
fn plain(error: &str) -> String {
    let mut plain = error.to_owned();
    for part in [
        "Error rendering template: ",
        "Syntax error in template: ",
        "ansible.builtin.",
        "_internal._templating._lazy_containers.",
    ] {
        plain = plain.replace(part, "");
    }
    plain = plain.replace("_AnsibleLazyTemplateList", "list").replace("_AnsibleLazyTemplateDict", "dict");
    plain.trim_end_matches('.').to_lowercase()
}

/// Equal with types: `1`, `1.0` and `true` differ.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(&**right).all(|(left, right)| same(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len() && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (left, right) => left.kind() == right.kind() && left == right,
    }
}

fn failures(path: &std::path::Path) -> (usize, Vec<String>) {
    let document = load(path);
    let scope = Vars(trusted(document.get("vars").unwrap_or(&Value::Null)));
    let list = document.get("cases").and_then(Value::as_list).unwrap();
    let mut failures = Vec::new();
    for case in list {
        let result = run(case, &scope);
        let passes = match (&result, case.get("value"), case.get("error")) {
            (Ok(value), Some(expected), None) => same(value, expected),
            (Err(error), None, Some(expected)) => {
                let ours = case.get("ours").and_then(Value::as_str).is_some_and(|ours| ours == error);
                ours || plain(error) == plain(expected.as_str().unwrap_or(""))
            }
            _ => false,
        };
        if !passes {
            let shown = match result {
                Ok(value) => value.to_json(),
                Err(error) => format!("ERROR {error}"),
            };
            failures.push(format!("{}\n    got {shown}", case.to_json()));
        }
    }
    (list.len(), failures)
}

#[test]
fn every_expression_gives_what_ansible_gives() {
    let mut count = 0;
    let mut failed = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
        let (cases, failures) = failures(path);
        count += cases;
        failed.extend(failures.into_iter().map(|failure| format!("{}: {failure}", path.file_name().unwrap().display())));
    }
    assert!(failed.is_empty(), "{} of {count} differ\n{}", failed.len(), failed.join("\n"));
    assert!(count > 400, "only {count} cases");
}
