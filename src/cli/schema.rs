//! `roll schema`: a JSON Schema of playbooks, read off the tables of keywords and modules.

use super::exit::Exit;
use super::terminal;
use crate::modules::{self, Arg, Kind, Module};
use crate::playbook::keyword::{BLOCK, Form, KEYWORDS, PLAY, ROLE, TASK};
use crate::value::{Map, Value};

pub(super) fn run() -> Exit {
    terminal::print(&(playbook().to_json_pretty() + "\n"));
    Exit::Done
}

fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    pairs.into_iter().collect()
}

fn refer(name: &str) -> Value {
    object([("$ref", format!("#/$defs/{name}").into())])
}

fn playbook() -> Value {
    let tasks = object([("type", "array".into()), ("items", any([refer("block"), refer("task")]))]);
    let roles = object([("type", "array".into()), ("items", any([object([("type", "string".into())]), refer("role")]))]);
    let mut task = keywords(TASK);
    task.extend(module_entries());
    let lists =
        [("tasks", tasks.clone()), ("pre_tasks", tasks.clone()), ("post_tasks", tasks.clone()), ("handlers", tasks.clone())];
    let mut play = keywords(PLAY);
    play.extend(lists.into_iter().map(|(name, value)| (name.into(), value)));
    play.insert("roles".into(), roles);
    let mut block = keywords(BLOCK);
    block.extend(["block", "rescue", "always"].map(|name| (name.into(), tasks.clone())));
    let import = object([("type", "object".into()), ("required", Value::list(vec!["import_playbook".into()]))]);
    let play = [
        ("type", "object".into()),
        ("required", Value::list(vec!["hosts".into()])),
        ("properties", Value::map(play)),
        ("additionalProperties", false.into()),
    ];
    let block = [
        ("type", "object".into()),
        ("required", Value::list(vec!["block".into()])),
        ("properties", Value::map(block)),
        ("additionalProperties", false.into()),
    ];
    // Modules of other collections may be named too.
    let task = [("type", "object".into()), ("properties", Value::map(task))];
    let role = [("type", "object".into()), ("properties", Value::map(keywords(ROLE)))];
    let defs = object([
        ("play", object(play)),
        ("import", import),
        ("block", object(block)),
        ("task", object(task)),
        ("role", object(role)),
        ("template", object([("type", "string".into()), ("pattern", "\\{[{%]".into())])),
    ]);
    object([
        ("$schema", "https://json-schema.org/draft/2020-12/schema".into()),
        ("title", "playbook".into()),
        ("type", "array".into()),
        ("items", any([refer("play"), refer("import")])),
        ("$defs", defs),
    ])
}

fn any(all: impl IntoIterator<Item = Value>) -> Value {
    object([("anyOf", all.into_iter().collect())])
}

fn keywords(at: u8) -> Map {
    let entries = KEYWORDS.iter().filter(|keyword| keyword.at & at != 0);
    entries.map(|keyword| (keyword.name.into(), described(form(keyword.form), keyword.help))).collect()
}

fn module_entries() -> Map {
    let public = modules::rows().filter(|module| !module.name.starts_with('_'));
    let names = |module: &Module| [module.name.to_owned(), format!("{}.{}", module.collection, module.name)];
    public.flat_map(|module| names(module).map(|name| (name.as_str().into(), arguments(module)))).collect()
}

/// A mapping of its arguments, or a text.
fn arguments(module: &Module) -> Value {
    let mut known = Map::new();
    for arg in module.args().filter(|arg| !arg.hidden && arg.name != Arg::ANY) {
        for name in [arg.name].into_iter().chain(arg.aliases.iter().copied()) {
            known.insert(name.into(), described(kind(arg), arg.help));
        }
    }
    let is_open = module.arg(Arg::ANY).is_some();
    let mapping = [("type", "object".into()), ("properties", Value::map(known)), ("additionalProperties", is_open.into())];
    let text = object([("type", Value::list(vec!["string".into(), "null".into()]))]);
    described(any([object(mapping), text]), module.summary)
}

fn described(schema: Value, help: &str) -> Value {
    match schema {
        Value::Map(map) => {
            let mut map = Map::clone(&map);
            map.insert("description".into(), help.into());
            Value::map(map)
        }
        other => other,
    }
}

fn types(names: &[&str]) -> Value {
    object([("type", names.iter().map(|name| Value::from(*name)).collect())])
}

fn form(form: Form) -> Value {
    match form {
        Form::Text => types(&["string", "number", "boolean", "null"]),
        Form::Bool => any([types(&["boolean", "null"]), words(), refer("template")]),
        Form::Number => any([types(&["number", "null"]), refer("template"), object([("type", "string".into())])]),
        Form::Texts | Form::Conditions => types(&["string", "number", "boolean", "array", "null"]),
        Form::Map => any([types(&["object", "null"]), refer("template")]),
        Form::List => any([types(&["array", "null"]), refer("template")]),
        Form::Any => object([]),
    }
}

/// YAML 1.1 knows these as booleans, an editor may not.
fn words() -> Value {
    object([("enum", ["yes", "no", "on", "off", "true", "false"].map(Value::from).into_iter().collect())])
}

fn kind(arg: &Arg) -> Value {
    if !arg.choices.is_empty() && !matches!(arg.kind, Kind::List | Kind::RawList) {
        let choices = object([("enum", arg.choices.iter().map(|choice| Value::from(*choice)).collect())]);
        return any([choices, refer("template"), object([("type", "boolean".into())])]);
    }
    match arg.kind {
        Kind::Str | Kind::Path => types(&["string", "number", "boolean", "null"]),
        Kind::Bool => form(Form::Bool),
        Kind::Int | Kind::Float => form(Form::Number),
        Kind::List | Kind::RawList => types(&["array", "string", "number", "boolean", "null"]),
        Kind::Dict => any([types(&["object", "null"]), object([("type", "string".into())])]),
        Kind::Raw => object([]),
    }
}
