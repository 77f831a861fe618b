//! A directory of inventory sources, read in alphabetical order; what is for something else is left out.

use super::beside::sorted;
use super::{Given, Loading};

/// Ansible's list: backups, bytecode, documents, settings.
const IGNORED: [&str; 12] = [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];
const IGNORED_NAMES: [&str; 3] = ["group_vars", "host_vars", "vars_plugins"];

pub(super) fn is_for(given: &Given) -> bool {
    given.path.is_dir()
}

pub(super) fn read(loading: &mut Loading<'_>, given: &Given) {
    let was_in_directory = std::mem::replace(&mut loading.is_in_directory, true);
    for path in sorted(&given.path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ignored =
            name.starts_with('.') || IGNORED_NAMES.contains(&&*name) || IGNORED.iter().any(|end| name.ends_with(end));
        if !is_ignored {
            loading.read(&path.to_string_lossy());
        }
    }
    loading.is_in_directory = was_in_directory;
}
