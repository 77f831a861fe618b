//! `group_vars/` and `host_vars/` beside inventories and playbooks.

use super::hosts::Inventory;
use super::problem::Problem;
use super::{Loading, read_text};
use crate::diag::{Diagnostic, Explain, Sources, closest};
use crate::value::{Map, Value};
use crate::yaml::{self, Trust};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// In this order, with no extension (most often a directory) before all of them.
const EXTENSIONS: [&str; 3] = ["yml", "yaml", "json"];
/// How deep the directories of one group may go.
const DEPTH_MAX: usize = 20;

/// The variables of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub folder: PathBuf,
    pub groups: HashMap<String, Map>,
    pub hosts: HashMap<String, Map>,
}

impl Loading<'_> {
    /// Reads what is beside the sources, for all hosts and groups that they have.
    pub(super) fn read_beside(&mut self) {
        for folder in self.inventory.directories.clone() {
            let mut place = Beside { folder, ..Beside::default() };
            self.diagnostics.extend(place.read(self.sources, &self.inventory));
            self.inventory.beside_inventory.push(place);
        }
    }
}

impl Inventory {
    /// Reads `group_vars` and `host_vars` in the directory of a playbook; they take the place of those of the playbook before.
    pub fn read_beside_playbook(&mut self, sources: &Sources, folder: &Path) -> Result<(), Vec<Diagnostic>> {
        let known = self.beside_inventory.iter().find(|other| is_same(&other.folder, folder)).cloned();
        let mut place = known.unwrap_or_else(|| Beside { folder: folder.to_owned(), ..Beside::default() });
        let diagnostics = place.read(sources, self);
        self.beside_playbook = Some(place);
        self.keep_warnings(diagnostics)
    }

    /// Reads the files of hosts and groups that came during a play (`add_host`, `group_by`).
    pub fn read_beside_newcomers(&mut self, sources: &Sources) -> Result<(), Vec<Diagnostic>> {
        let mut inventory_places = std::mem::take(&mut self.beside_inventory);
        let mut playbook_place = self.beside_playbook.take();
        let mut diagnostics = Vec::new();
        for place in inventory_places.iter_mut().chain(playbook_place.as_mut()) {
            diagnostics.extend(place.read(sources, self));
        }
        self.beside_inventory = inventory_places;
        self.beside_playbook = playbook_place;
        self.keep_warnings(diagnostics)
    }

    /// What lies beside the sources that were read already, for a source that builds on them.
    pub(super) fn read_beside_so_far(&mut self, sources: &Sources) -> Result<(), Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        for folder in self.directories.clone() {
            let mut place = Beside { folder, ..Beside::default() };
            diagnostics.extend(place.read(sources, self));
            self.beside_inventory.push(place);
        }
        self.keep_warnings(diagnostics)
    }

    fn keep_warnings(&mut self, diagnostics: Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(diagnostics);
        }
        self.warnings.extend(diagnostics);
        Ok(())
    }
}

impl Beside {
    /// Reads the files of all hosts and groups that were not looked for before.
    fn read(&mut self, sources: &Sources, inventory: &Inventory) -> Vec<Diagnostic> {
        let mut reader = Reader { sources, diagnostics: Vec::new() };
        let groups = self.folder.join("group_vars");
        reader.read(&groups, inventory.groups.keys(), &mut self.groups);
        reader.warn_strangers(&groups, inventory.groups.keys());
        let hosts = inventory.hosts.keys().chain(inventory.localhosts.iter().map(|host| &host.name));
        reader.read(&self.folder.join("host_vars"), hosts, &mut self.hosts);
        reader.diagnostics
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

struct Reader<'a> {
    sources: &'a Sources,
    diagnostics: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn read<'n>(&mut self, folder: &Path, names: impl Iterator<Item = &'n String>, read: &mut HashMap<String, Map>) {
        if !folder.is_dir() {
            return;
        }
        for name in names.filter(|name| !name.contains('/')) {
            if !read.contains_key(name) {
                read.insert(name.clone(), self.vars(folder, name));
            }
        }
    }

    fn vars(&mut self, folder: &Path, name: &str) -> Map {
        let mut vars = Map::new();
        for file in files(folder, name) {
            match self.file(&file) {
                Ok(more) => vars.extend(more),
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
        }
        vars
    }

    fn file(&mut self, path: &Path) -> Result<Map, Diagnostic> {
        let text = read_text(path).map_err(|problem| problem.explain())?;
        let (text, is_secret) = self.sources.open_text(path, text)?;
        let reading = yaml::read_as(self.sources, &path.to_string_lossy(), &text, Trust::User, is_secret);
        let document = reading.document().map(|document| (document.to_value(), document.span));
        self.diagnostics.extend(reading.diagnostics);
        match document {
            None | Some((Value::Null, _)) => Ok(Map::new()),
            Some((value @ Value::Map(_), _)) if is_secret => {
                Ok(self.sources.keep_secret(value).as_map().cloned().unwrap_or_default())
            }
            Some((Value::Map(vars), _)) => Ok(std::sync::Arc::unwrap_or_clone(vars)),
            Some((other, span)) => Err(Problem::VarsNotMapping { span, kind: other.kind() }.explain()),
        }
    }

    /// A file that belongs to no group, but nearly to one.
    fn warn_strangers<'n>(&mut self, folder: &Path, names: impl Iterator<Item = &'n String>) {
        let names: Vec<&str> = names.map(String::as_str).collect();
        for path in sorted(folder) {
            let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let stem = EXTENSIONS.iter().find_map(|extension| file.strip_suffix(&format!(".{extension}"))).unwrap_or(file);
            let is_known = names.contains(&stem) || names.contains(&file) || file.starts_with('.');
            if is_known {
                continue;
            }
            if let Some(near) = closest(stem, names.iter().copied()) {
                let problem = Problem::NoSuchGroup { path: path.clone(), group: stem.to_owned(), near: near.to_owned() };
                self.diagnostics.push(problem.explain());
            }
        }
    }
}

/// The files of one group or host: `NAME`, `NAME.yml`, `NAME.yaml` or `NAME.json`, whichever is there first, or all that is in
/// a directory of that name.
fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    let names = [name.to_owned()].into_iter().chain(EXTENSIONS.iter().map(|extension| format!("{name}.{extension}")));
    let Some(path) = names.map(|name| folder.join(name)).find(|path| path.exists()) else { return Vec::new() };
    if path.is_dir() { files_in(&path, 0) } else { vec![path] }
}

fn files_in(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in sorted(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            if extension.is_none() && depth < DEPTH_MAX {
                found.extend(files_in(&path, depth + 1));
            }
        } else if extension.is_none_or(|extension| EXTENSIONS.contains(&extension)) {
            found.push(path);
        }
    }
    found
}

/// What is in a directory, by name.
pub(super) fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
