//! Expressions, filters, tests and lookups against what ansible-core gives for the same text.
//!
//! Each file of `tests/cases/template` holds variables and cases; a case has a `template`, `file`, `when` or `expr`, and the
//! `value` or `error` that ansible-core 2.19 gave. `ours` stands where the words of an error are deliberately others; with `newer`,
//! the `value` is that of the releases before.

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

/// What `!vault` stands for needs a secret of the run; the filter brings its own.
#[test]
fn a_vault_that_a_filter_opens_needs_no_secret_of_the_run() {
    let vault = evaluate(&plain_template("{{ 'hidden' | vault('pw') }}"), &Vars(Value::Null), &Here).unwrap();
    let vault = Value::Template(Arc::new(plain_template(vault.as_str().unwrap())));
    let scope = Vars([("v", vault)].into_iter().collect());
    assert_eq!(evaluate(&plain_template("{{ v | unvault('pw') }}"), &scope, &Here).unwrap().as_str(), Some("hidden"));
    let error = evaluate(&plain_template("{{ v | upper | default('x') }}"), &scope, &Here).unwrap_err().to_string();
    assert!(error.contains("undecryptable"), "{error}");
}

fn plain_template(text: &str) -> Template {
    Template { text: text.to_owned(), span: Span::NOWHERE }
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
        "Error while evaluating conditional: ",
        "Syntax error in expression: ",
        "Error rendering expression: ",
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

fn template(text: &str) -> Template {
    Template { text: text.to_owned(), span: Span::NOWHERE }
}

fn vars(json: &str) -> Vars {
    Vars(trusted(&Value::from_json(json).unwrap()))
}

fn error_of(text: &str, json: &str) -> String {
    evaluate(&template(text), &vars(json), &Here).unwrap_err().to_string()
}

#[test]
fn what_never_ends_is_an_error_and_not_a_crash() {
    let limits = "deep";
    for text in [
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{% for i in [1] %}{% if true %}{% set x = [f(n + 1)] %}{{ x }}{% endif %}{% endfor %}{% endmacro %}{{ f(1) }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    ] {
        assert!(error_of(text, "{}").contains(limits), "{text} {}", error_of(text, "{}"));
    }
    assert_eq!(
        error_of("{{ a }}", r#"{"a": "{{ b }}", "b": "x{{ c }}", "c": "{{ a }}"}"#),
        "Recursive loop detected in template: a -> b -> c -> a"
    );
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(error_of(&parentheses, "{}").contains("levels deep"));
    assert!(error_of(&format!("{{{{ {} }}}}", "[".repeat(100_000)), "{}").contains("expected ']'"));
    assert!(error_of(&format!("{{{{ {}1 }}}}", "-".repeat(100_000)), "{}").contains("levels deep"));
    assert!(error_of(&format!("{{{{ {}1 }}}}", "not ".repeat(100_000)), "{}").contains("levels deep"));
    assert!(error_of(&"{% if 1 %}".repeat(10_000), "{}").contains("levels deep"));
    assert!(error_of("{{ range(10 ** 12) | list }}", "{}").contains("more than"));
    assert!(error_of("{{ 'x' * 10 ** 12 }}", "{}").contains("MiB"));
    assert!(error_of("{{ '%99999999999d' % 1 }}", "{}").contains("width"));
    assert!(error_of("{% set l = [] %}{{ l.append(l) }}", "{}").contains("cannot contain itself"));
    assert!(error_of("{% set d = {} %}{% set l = [d] %}{{ d.update({'l': l}) }}", "{}").contains("cannot contain itself"));
}

#[test]
fn long_chains_are_fine() {
    let sum = format!("{{{{ {} }}}}", vec!["1"; 50].join(" + "));
    assert_eq!(evaluate(&template(&sum), &vars("{}"), &Here), Ok(Value::from(50)));
    let filters = format!("{{{{ 'a'{} }}}}", " | upper".repeat(40));
    assert_eq!(evaluate(&template(&filters), &vars("{}"), &Here), Ok(Value::from("A")));
}

#[test]
fn an_error_points_into_the_yaml_and_names_the_nearest_name() {
    use roll::diag::Explain;
    let sources = Sources::default();
    let text = "msg: \"hello {{ user_nmae }}\"\n";
    let reading = read(&sources, "site.yaml", text, Trust::User);
    let Some(Value::Template(template)) = reading.document().unwrap().to_value().get("msg").cloned() else {
        panic!("a template")
    };
    let error = evaluate(&template, &vars(r#"{"user_name": 1}"#), &Here).unwrap_err();
    let diagnostic = error.explain();
    assert_eq!(sources.slice(diagnostic.labels[0].span).as_deref(), Some("user_nmae"));
    assert_eq!(diagnostic.patch.map(|patch| patch.text).as_deref(), Some("user_name"));
}

#[test]
fn an_error_in_a_variable_points_at_the_variable_and_says_who_needed_it() {
    use roll::diag::Explain;
    let sources = Sources::default();
    let reading = read(&sources, "vars.yaml", "outer: 'x {{ inner }}'\ninner: \"{{ l + 1 }}\"\nl: []\n", Trust::User);
    let scope = Vars(reading.document().unwrap().to_value());
    let error = evaluate(&template("{{ outer }}"), &scope, &Here).unwrap_err();
    assert_eq!(sources.slice(error.span).as_deref(), Some("l + 1"));
    assert_eq!(error.within.iter().map(|within| within.name.as_str()).collect::<Vec<_>>(), ["outer", "inner"]);
    assert_eq!(error.explain().labels.len(), 3);
}

#[test]
fn what_is_made_of_a_secret_is_secret() {
    let scope = Vars(Value::map(Map::from_iter([("p".into(), Value::secret("hunter2")), ("n".into(), Value::from(1))])));
    for text in [
        "{{ p }}",
        "x{{ p }}",
        "{{ p ~ n }}",
        "{{ p + 'x' }}",
        "{{ [p, 'a'] | join(',') }}",
        "{{ p | b64encode }}",
        "{{ p.upper() }}",
        "{{ {'a': p} | to_json }}",
        "{{ {'a': [p]} | to_nice_yaml }}",
        "{{ '%s' % p }}",
        "{{ '{}'.format(p) }}",
        "{% set x %}{{ p }}{% endset %}{{ x }}",
        "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(p) }}",
        "{{ 'abc' | replace('a', p) }}",
        "{{ p | regex_replace('h', 'x') }}",
        "{{ [p] ~ '' }}",
    ] {
        let Ok(Value::String(result)) = evaluate(&template(text), &scope, &Here) else { panic!("{text}") };
        assert!(result.is_secret(), "{text}");
    }
    let text = render_file("password={{ p }}\n", &FileOptions::default(), &scope, &Here).unwrap();
    assert!(text.is_secret());
    let error = evaluate(&template("{{ p | from_json }}"), &scope, &Here).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

struct Fleet;

impl Scope for Fleet {
    fn get(&self, name: &str) -> Option<Value> {
        vars(r#"{"port": 80, "url": "{{ host }}:{{ port }}", "host": "here"}"#).0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        vec!["port".to_owned(), "url".to_owned(), "host".to_owned()]
    }

    fn of_host(&self, host: &str) -> Option<Box<dyn Scope + '_>> {
        (host == "web1")
            .then(|| -> Box<dyn Scope> { Box::new(vars(r#"{"port": 90, "url": "{{ host }}:{{ port }}", "host": "web1"}"#)) })
    }

    fn hosts(&self) -> Vec<String> {
        vec!["web1".to_owned()]
    }
}

#[test]
fn variables_of_another_host_are_rendered_with_its_variables() {
    let get = |text: &str| evaluate(&template(text), &Fleet, &Here).map_err(|error| error.to_string());
    assert_eq!(get("{{ url }} {{ hostvars['web1'].url }} {{ hostvars.web1['port'] }}"), Ok(Value::from("here:80 web1:90 90")));
    assert_eq!(get("{{ hostvars['web2'] is defined }}{{ 'web1' in hostvars }}"), Ok(Value::from("FalseTrue")));
    assert_eq!(get("{{ ['web1'] | map('extract', hostvars, 'url') | list }}"), Ok(Value::list(vec![Value::from("web1:90")])));
    assert_eq!(get("{{ hostvars['web1'].nope | default('d') }}"), Ok(Value::from("d")));
}

#[test]
fn what_comes_from_elsewhere_is_never_rendered() {
    let scope = Vars(Value::map(Map::from_iter([("stdout".into(), Value::from("{{ 1 + 1 }}"))])));
    assert_eq!(evaluate(&template("{{ stdout }}"), &scope, &Here), Ok(Value::from("{{ 1 + 1 }}")));
    assert_eq!(evaluate(&template("{{ [stdout] }}"), &scope, &Here), Ok(Value::list(vec![Value::from("{{ 1 + 1 }}")])));
}

#[test]
fn templates_of_many_lines_are_quick() {
    let scope = vars(r#"{"users": [{"name": "a", "port": 1}, {"name": "b", "port": 2}], "x": "{{ users[0].name }}"}"#);
    let text =
        "{% for u in users %}\nserver {{ u.name | upper }}:{{ u.port + 1 }} {% if loop.last %}{{ x }}{% endif %}\n{% endfor %}\n"
            .repeat(350);
    let first = render_file(&text, &FileOptions::default(), &scope, &Here).unwrap();
    let start = std::time::Instant::now();
    let second = render_file(&text, &FileOptions::default(), &scope, &Here).unwrap();
    assert_eq!(first, second);
    assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
}

/// Cut off, doubled and stirred texts: errors are fine, panics are not.
#[test]
fn no_text_makes_it_panic() {
    let scope = vars(r#"{"l": [1, 2], "d": {"a": 1}, "s": "aé☃", "n": 5}"#);
    let mut tried = 0_u32;
    for name in ["language.yaml", "undefined_and_operators.yaml", "plugins.yaml", "more_plugins.yaml"] {
        let document = load(&cases().join(name));
        for case in document.get("cases").and_then(Value::as_list).unwrap() {
            let Some(text) =
                case.get("template").and_then(Value::as_str).filter(|text| !text.contains("lookup") && !text.contains("query"))
            else {
                continue;
            };
            let boundaries: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
            for (index, offset) in boundaries.iter().enumerate().filter(|(index, _)| index % 4 == 1) {
                let (head, tail) = text.split_at(*offset);
                let stirred = ["é", "{", "}", "'", "\\", "-", "(", "|", "%}", "{{", "[", "9"][index % 12];
                for text in [format!("{head} }}}}"), format!("{head}{stirred}{tail}"), format!("{tail}{head}")] {
                    let _ = evaluate(&template(&text), &scope, &Here);
                    let _ = condition(&text, Span::NOWHERE, &scope, &Here);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 5_000, "only {tried}");
}
