//! Collections on disk: roles and playbooks in `ansible_collections/NAMESPACE/NAME`.

use super::reader::{Reader, beside};
use std::path::{Path, PathBuf};

const FOLDER: &str = "ansible_collections";

impl Reader {
    /// Where collections are: beside the playbook, then in the search path.
    fn collection_roots(&self) -> Vec<PathBuf> {
        let near = self.reading.first().map(|playbook| beside(playbook).join("collections"));
        near.into_iter().chain(self.collections_path.iter().cloned()).map(|root| root.join(FOLDER)).collect()
    }

    /// `namespace.collection.role`, or a short name in a collection that the play names or that the file itself belongs to.
    pub(super) fn role_in_collections(&self, name: &str, file: &Path) -> Option<PathBuf> {
        let names: Vec<String> = match name.split('.').collect::<Vec<_>>()[..] {
            [namespace, collection, role] => vec![format!("{namespace}/{collection}/roles/{role}")],
            [_] => {
                let own = collection_of(file);
                own.iter()
                    .chain(&self.collections)
                    .map(|collection| format!("{}/roles/{name}", collection.replacen('.', "/", 1)))
                    .collect()
            }
            _ => return None,
        };
        let roots = self.collection_roots();
        names.iter().flat_map(|name| roots.iter().map(move |root| root.join(name))).find(|path| path.is_dir())
    }

    /// The file of `namespace.collection.playbook`; anything else is a path already.
    pub fn playbook_file(&self, name: &Path) -> PathBuf {
        let text = name.to_str().filter(|text| !text.contains('/') && !name.exists()).unwrap_or_default();
        let [namespace, collection, playbook] = text.split('.').collect::<Vec<_>>()[..] else { return name.to_owned() };
        let folders = self.collection_roots().into_iter().chain([Path::new("collections").join(FOLDER)]);
        let file = |ending: &str| format!("{namespace}/{collection}/playbooks/{playbook}.{ending}");
        let found = folders.flat_map(|root| ["yml", "yaml"].map(|ending| root.join(file(ending)))).find(|path| path.is_file());
        found.unwrap_or_else(|| name.to_owned())
    }
}

/// `namespace.collection` of a file inside of one.
pub(super) fn collection_of(file: &Path) -> Option<String> {
    let mut parts = file.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.find(|part| part == FOLDER)?;
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}
