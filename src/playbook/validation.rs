//! The task that checks a role's variables against its `argument_specs`.

use super::keyword::Keywords;
use super::reader::Reader;
use super::roles::Parts;
use super::task::{Context, Item, Role, Task};
use crate::diag::Span;
use crate::modules;
use crate::value::{Map, Value};
use std::sync::Arc;

const MODULE: &str = "validate_argument_spec";

impl Reader {
    /// Stands before the tasks of a role that declares options for this way in. It runs whatever tags are asked for.
    pub(super) fn validation(&mut self, role: &Arc<Role>, parts: &Parts, context: &Arc<Context>, span: Span) -> Option<Item> {
        if !parts.is_validated {
            return None;
        }
        let module = modules::find(MODULE)?;
        let specs = self.argument_specs(&role.path)?;
        let entry = entry_point(&parts.tasks);
        let spec = specs.get(entry)?.to_value();
        let options = spec.get("options").filter(|options| options.as_map().is_some_and(|map| !map.is_empty()))?;
        let mut name = format!("Validating arguments against arg spec '{entry}'");
        if let Some(description) = spec.get("short_description").filter(|text| !text.is_null()) {
            name = format!("{name} - {}", description.to_text());
        }
        let keywords = Keywords::from_iter([("name", Value::from(name).into()), ("tags", Value::from("always").into())]);
        let about = [
            ("type", Value::from("role")),
            ("name", role.name.rsplit('.').next().unwrap_or(&role.name).into()),
            ("argument_spec_name", entry.into()),
            ("path", absolute(role).into()),
        ];
        let args = Map::from_iter([
            ("argument_spec".into(), options.clone()),
            ("provided_arguments".into(), Value::map(params(context))),
            ("validate_args_context".into(), about.into_iter().collect()),
        ]);
        let file = role.path.join("meta/argument_specs.yml");
        let name = format!("ansible.builtin.{MODULE}");
        Some(Item::Task(Arc::new(Task::made(name, module, args, context.child(keywords), span, file))))
    }
}

/// `install.yml` is the way in that is called `install`.
fn entry_point(tasks: &str) -> &str {
    [".yml", ".yaml", ".json"].iter().find_map(|ending| tasks.strip_suffix(ending)).unwrap_or(tasks)
}

/// What was given with the role itself (`- {role: web, port: 80}`). At an include there is none: its `vars` are variables.
fn params(context: &Arc<Context>) -> Map {
    let around = context.parent.as_ref().filter(|around| around.role_use.is_some());
    around.map(|around| around.params.clone()).unwrap_or_default()
}

fn absolute(role: &Role) -> String {
    let path = std::path::absolute(&role.path).unwrap_or_else(|_| role.path.clone());
    path.components().collect::<std::path::PathBuf>().to_string_lossy().into_owned()
}
