//! What tasks will name when they run, where that is written down already: files that they include, copy or render, and roles.

use crate::diag::{Diagnostic, closest};
use crate::inventory::Inventory;
use crate::playbook::keyword::Written;
use crate::playbook::task::texts;
use crate::playbook::{Context, Item, Parts, Play, Reader, Task};
use crate::template;
use crate::value::Value;
use indexmap::IndexSet;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Modules that read a file of the control side: the argument that names it, and where it is kept.
const FILES: [(&str, &str, &str); 7] = [
    ("copy", "src", "files"),
    ("template", "src", "templates"),
    ("unarchive", "src", "files"),
    ("script", "cmd", "files"),
    ("script", "_raw_params", "files"),
    ("include_vars", "file", "vars"),
    ("include_vars", "_raw_params", "vars"),
];

/// Looks ahead in one playbook.
pub(super) struct Ahead<'a> {
    reader: &'a mut Reader,
    inventory: &'a Inventory,
    playbook: &'a Path,
    /// Files and roles that were read, and whether what is wrong in them was taken for a reason not to run.
    seen: HashMap<(PathBuf, String), bool>,
    /// What was found out for the play that was asked about last.
    made_here: Option<(*const Play, bool)>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(reader: &'a mut Reader, inventory: &'a Inventory, playbook: &'a Path) -> Ahead<'a> {
        Ahead { reader, inventory, playbook, seen: HashMap::new(), made_here: None }
    }

    /// The tasks that this one adds, unless they are known; and what is wrong with them.
    pub(super) fn included(&mut self, task: &Task, play: &Play, is_firm: bool) -> (Vec<Item>, Vec<Diagnostic>) {
        let items = match task.module() {
            "include_tasks" => self.tasks(task, play, is_firm),
            "include_role" => self.role(task, is_firm),
            _ => return Default::default(),
        };
        // They are of the run, which finds them again.
        drop(self.reader.take_handlers());
        drop(self.reader.take_imported());
        (items.unwrap_or_default(), self.reader.take_diagnostics())
    }

    fn tasks(&mut self, task: &Task, play: &Play, is_firm: bool) -> Option<Vec<Item>> {
        let name = literal(task, "file").or_else(|| literal(task, "_raw_params"))?;
        let path = found(&task.search("tasks", &play.dir), name)?;
        self.is_new(path.clone(), "", is_firm).then(|| {
            let context = Arc::new(Context { parent: task.context.parent.clone(), ..Context::default() });
            self.reader.within(self.playbook, |reader| {
                reader.tasks_file(&path, &context, task.span, task.is_handler).unwrap_or_default()
            })
        })
    }

    fn role(&mut self, task: &Task, is_firm: bool) -> Option<Vec<Item>> {
        let name = literal(task, "name").or_else(|| literal(task, "role"))?;
        let mut parts = Parts { is_validated: false, ..Parts::default() };
        let all = [
            ("tasks_from", &mut parts.tasks),
            ("vars_from", &mut parts.vars),
            ("defaults_from", &mut parts.defaults),
            ("handlers_from", &mut parts.handlers),
        ];
        for (argument, part) in all {
            if task.args.get(argument).is_some() {
                literal(task, argument)?.clone_into(part);
            }
        }
        let key = format!("{} {} {} {}", parts.tasks, parts.vars, parts.defaults, parts.handlers);
        self.is_new(task.file.join(name), &key, is_firm).then(|| {
            let context = Arc::new(Context { parent: task.context.parent.clone(), ..Context::default() });
            self.reader.within(self.playbook, |reader| {
                reader.included_role(name, &parts, &context, &task.file, task.span).map(|(_, items)| items).unwrap_or_default()
            })
        })
    }

    /// What was only looked at where it may never be needed is looked at again where it will be.
    fn is_new(&mut self, path: PathBuf, parts: &str, is_firm: bool) -> bool {
        let seen = self.seen.insert((path, parts.to_owned()), is_firm);
        seen.is_none_or(|was_firm| is_firm && !was_firm)
    }

    /// A file that is named and is not there.
    pub(super) fn missing(&self, task: &Task, play: &Play) -> Option<Diagnostic> {
        let (argument, folder) = match task.module() {
            "include_tasks" => (["file", "_raw_params"].into_iter().find(|name| literal(task, name).is_some())?, "tasks"),
            module => {
                let of_module = FILES.iter().filter(|(name, ..)| *name == module);
                of_module.map(|(_, argument, folder)| (*argument, *folder)).find(|(name, _)| literal(task, name).is_some())?
            }
        };
        let is_elsewhere = |name: &str| task.args.get(name).is_some_and(|value| value.to_bool() != Some(false));
        if is_elsewhere("remote_src") || is_elsewhere("copy") && task.module() == "unarchive" {
            return None;
        }
        let name = literal(task, argument)?;
        // The other words are arguments of the script.
        let words = if task.module() == "script" { shell_words::split(name).ok()? } else { vec![name.to_owned()] };
        let name = words.first()?.as_str();
        if name.is_empty() || name.contains("://") {
            return None;
        }
        let places = task.search(folder, &play.dir);
        if found(&places, name).is_some() {
            return None;
        }
        let span = task.arg_span(argument);
        let title = format!("there is no file `{name}` for `{}`", task.action.name);
        let mut diagnostic = Diagnostic::error("missing-file", title).at(span, "named here");
        let beside: Vec<String> = places.iter().flat_map(|place| names_in(&place.join(name), place)).collect();
        let near = closest(stem(name), beside.iter().map(|beside| stem(beside)));
        if let Some(near) = near.and_then(|near| beside.iter().find(|beside| stem(beside) == near)) {
            diagnostic = diagnostic.help(format!("a file with a similar name exists: `{near}`"));
        }
        let looked: IndexSet<String> = places.iter().map(|place| shown(place)).collect();
        let looked: Vec<String> = looked.into_iter().collect();
        Some(diagnostic.note(format!("looked in {}", looked.join(", "))))
    }

    /// Whether some task works on this machine, and so may make such a file, or another of it.
    pub(super) fn may_be_made(&mut self, play: &Play) -> bool {
        let key = std::ptr::from_ref(play);
        match self.made_here {
            Some((of, may_be_made)) if of == key => may_be_made,
            _ => {
                let may_be_made = self.works_here(play);
                self.made_here = Some((key, may_be_made));
                may_be_made
            }
        }
    }

    fn works_here(&self, play: &Play) -> bool {
        let is_here = |name: &str| matches!(name, "localhost" | "127.0.0.1" | "::1");
        let is_local = |written: &Written| matches!(written.value.as_str(), Some("local" | "ansible.builtin.local"));
        let hosts = play.context.keywords.get("hosts").map(|written| texts(&written.value)).unwrap_or_default();
        let delegates =
            |task: &Arc<Task>| task.keyword("delegate_to").is_some() || task.keyword("connection").is_some_and(is_local);
        let is_local_host = |host: &String| {
            is_here(host)
                || self
                    .inventory
                    .vars_of(host)
                    .iter()
                    .any(|layer| layer.vars.get("ansible_connection").is_some_and(|value| value.as_str() == Some("local")))
        };
        hosts.iter().flat_map(|pattern| pattern.split([',', ':'])).any(is_here)
            || super::tasks_of(play).iter().any(|placed| delegates(&placed.task))
            || self.inventory.hosts.keys().any(is_local_host)
    }
}

fn literal<'t>(task: &'t Task, name: &str) -> Option<&'t str> {
    task.args.get(name).filter(|value| !value.has_template()).and_then(Value::as_str).map(str::trim)
}

fn found(places: &[PathBuf], name: &str) -> Option<PathBuf> {
    let name = match name.strip_prefix("~/") {
        Some(rest) => std::env::home_dir()?.join(rest),
        None => PathBuf::from(name),
    };
    places.iter().map(|place| template::resolved(place, &name)).find(|path| path.exists())
}

/// What a file is called, whatever its kind.
fn stem(name: &str) -> &str {
    name.split_once('.').map_or(name, |(stem, _)| stem)
}

fn shown(place: &Path) -> String {
    let place: PathBuf = place.components().filter(|part| *part != Component::CurDir).collect();
    if place.as_os_str().is_empty() { ".".to_owned() } else { place.display().to_string() }
}

/// The files beside one that is not there, as they would be written.
fn names_in(missing: &Path, place: &Path) -> Vec<String> {
    let entries = missing.parent().and_then(|dir| std::fs::read_dir(dir).ok());
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter_map(|path| Some(path.strip_prefix(place).ok()?.to_string_lossy().into_owned())).collect()
}
