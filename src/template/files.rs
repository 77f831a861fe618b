//! Template files that templates include, import and extend; and finding files for lookups.

use super::evaluate::Eval;
use super::failure::{Problem, Res, TemplateError, fault};
use super::frame::{Locals, Output};
use super::syntax::tree::Tree;
use super::syntax::{Style, file_tree};
use crate::value::{Span, charset};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) struct TemplateFile {
    pub(crate) tree: Arc<Tree>,
    text: String,
    directory: Option<PathBuf>,
}

/// What `name` means in a directory, by its words alone: `vars/../defaults` needs no `vars`.
pub fn resolved(directory: &Path, name: &Path) -> PathBuf {
    let is_up = |part: &Component<'_>| *part == Component::ParentDir;
    if !name.components().any(|part| is_up(&part)) {
        return directory.join(name);
    }
    let mut path = directory.to_owned();
    for part in name.components() {
        if !(is_up(&part) && path.file_name().is_some() && path.pop()) {
            path.push(part);
        }
    }
    path
}

impl Eval<'_> {
    /// The first of the template files that exists.
    pub(crate) fn load(&mut self, names: &[String]) -> Res<TemplateFile> {
        let mut searched = Vec::new();
        for name in names {
            if let Some(path) = self.find("templates", name, &mut searched) {
                let text = self.read_text(&path)?;
                let tree = file_tree(&text, &Style::file())
                    .map_err(|error| Box::new(TemplateError::syntax(error, &text, Span::NOWHERE)))
                    .map_err(|mut error| {
                        error.within.push(super::failure::Within { name: path.display().to_string(), span: Span::NOWHERE });
                        error
                    })?;
                return Ok(TemplateFile { tree, text, directory: path.parent().map(Path::to_owned) });
            }
        }
        Err(fault(Problem::NoFile { name: names.join(", "), searched }))
    }

    /// Runs a file with blocks of its own.
    pub(crate) fn run_file(&mut self, file: &TemplateFile, locals: &Rc<Locals>) -> Res<Output> {
        let blocks = std::mem::take(&mut self.blocks);
        self.files.extend(file.directory.clone());
        let result = self.deeper(|eval| eval.in_text(&file.text, Span::NOWHERE, |eval| eval.run_tree(&file.tree, locals)));
        if file.directory.is_some() {
            self.files.pop();
        }
        self.blocks = blocks;
        result
    }

    /// The path of an existing file; every place that was tried is added to `searched`.
    pub(crate) fn find(&self, folder: &str, name: &str, searched: &mut Vec<String>) -> Option<PathBuf> {
        let name = self.expand_home(name);
        if name.is_absolute() {
            searched.push(name.display().to_string());
            return name.exists().then_some(name);
        }
        for directory in self.files.iter().rev().cloned().chain(self.world.search_paths(folder)) {
            let path = resolved(&directory, &name);
            if path.exists() {
                return Some(std::path::absolute(&path).unwrap_or(path));
            }
            searched.push(path.display().to_string());
        }
        None
    }

    pub(crate) fn expand_home(&self, name: &str) -> PathBuf {
        match (name.strip_prefix('~'), self.world.environment("HOME")) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => PathBuf::from(format!("{home}{rest}")),
            _ => PathBuf::from(name),
        }
    }

    /// The same for a file that may be written otherwise than as UTF-8.
    pub(crate) fn read_encoded(&self, path: &Path, encoding: &str) -> Res<String> {
        let unreadable = |reason: String| fault(Problem::Unreadable { path: path.display().to_string(), reason });
        let bytes = self.world.read(path).map_err(|error| unreadable(error.to_string()))?;
        charset::decode(&bytes, encoding).map_err(unreadable)
    }

    pub(crate) fn read_text(&self, path: &Path) -> Res<String> {
        let unreadable = |reason: String| fault(Problem::Unreadable { path: path.display().to_string(), reason });
        let bytes = self.world.read(path).map_err(|error| unreadable(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".to_owned()))
    }
}
