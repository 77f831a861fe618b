//! Collections on disk: roles, playbooks, modules and groups of modules in `ansible_collections/NAMESPACE/NAME`.

use super::keyword::Written;
use super::reader::{Reader, beside};
use super::task::{Context, texts};
use crate::yaml::Node;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FOLDER: &str = "ansible_collections";
/// How the file of a module may end.
const ENDINGS: [&str; 6] = ["", ".py", ".sh", ".pl", ".rb", ".bin"];

/// A module of the user's own.
#[derive(Debug)]
pub struct Own {
    pub path: PathBuf,
    /// `namespace.collection`, where it belongs to one.
    collection: Option<String>,
    short: String,
}

impl Own {
    /// What `module_defaults` may call it.
    pub(super) fn names(&self) -> Vec<String> {
        vec![self.short.clone(), self.full_name()]
    }

    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.collection.as_deref().unwrap_or("ansible.legacy"), self.short)
    }
}

impl Reader {
    /// Where collections are: beside the playbook, then in the search path.
    fn collection_roots(&self) -> Vec<PathBuf> {
        let near = self.reading.first().map(|playbook| beside(playbook).join("collections"));
        near.into_iter().chain(self.collections_path.iter().cloned()).map(|root| root.join(FOLDER)).collect()
    }

    /// `namespace.collection.role`, or a short name in a collection that the play names or that the file itself belongs to.
    pub(super) fn role_in_collections(&mut self, name: &str, file: &Path) -> Option<PathBuf> {
        let own = collection_of(file);
        let (collections, role) = match name.split('.').collect::<Vec<_>>()[..] {
            [namespace, collection, role] => (vec![format!("{namespace}.{collection}")], role),
            [role] => (own.iter().chain(&self.collections).cloned().collect(), role),
            _ => return None,
        };
        let found = collections.into_iter().find_map(|collection| {
            let mut paths = self.collection_folders(&collection).into_iter().map(|folder| folder.join("roles").join(role));
            Some((paths.find(|path| path.is_dir())?, collection))
        });
        let (path, collection) = found?;
        self.runtime_of(&collection);
        Some(path)
    }

    /// Where a collection may be.
    pub(super) fn collection_folders(&self, collection: &str) -> Vec<PathBuf> {
        let inside = collection.replacen('.', "/", 1);
        self.collection_roots().into_iter().map(|root| root.join(&inside)).collect()
    }

    /// The module of the user's own that is called so: in `library/` beside the playbook, in the role, or where the configuration says; in
    /// the collection that its name says.
    pub(super) fn own_module(&self, name: &str) -> Option<Own> {
        if name.is_empty() || name.contains(['/', '{', ' ']) {
            return None;
        }
        let (collection, short) = match name.splitn(3, '.').collect::<Vec<_>>()[..] {
            ["ansible", "legacy", short] => (None, short),
            [namespace, collection, short] => (Some(format!("{namespace}.{collection}")), short),
            _ => (None, name),
        };
        let near = self.reading.iter().rev().flat_map(|file| beside(file).ancestors().take(3).map(|dir| dir.join("library")));
        let (dirs, file): (Vec<PathBuf>, String) = match &collection {
            None => (near.chain(self.library.iter().cloned()).collect(), short.to_owned()),
            Some(collection) => {
                let folders = self.collection_folders(collection).into_iter();
                (folders.map(|folder| folder.join("plugins/modules")).collect(), short.replace('.', "/"))
            }
        };
        let mut paths = dirs.iter().flat_map(|dir| ENDINGS.map(|ending| dir.join(format!("{file}{ending}"))));
        Some(Own { path: paths.find(|path| path.is_file())?, collection, short: short.to_owned() })
    }

    /// The groups that `module_defaults` around a task name, that a collection on disk defines, and that the task's module is in.
    pub(super) fn own_groups(&mut self, context: &Context, module: &str) -> Vec<String> {
        let mut groups: Vec<String> = context.gathered("module_defaults").into_iter().flat_map(groups_in).collect();
        groups.retain(|group| self.members(group).contains(module));
        groups.into_iter().map(|group| format!("group/{group}")).collect()
    }

    /// Whether a collection on disk has modules for what `module_defaults` writes as `group/…`.
    pub(super) fn is_group_on_disk(&mut self, name: &str) -> bool {
        !self.members(name.trim_start_matches("group/")).is_empty()
    }

    /// The modules of `namespace.collection.group`, as `meta/runtime.yml` lists them.
    fn members(&mut self, group: &str) -> &BTreeSet<String> {
        if !self.action_groups.contains_key(group) {
            let mut members = BTreeSet::new();
            self.add_members(group, &mut BTreeSet::new(), &mut members);
            self.action_groups.insert(group.to_owned(), members);
        }
        &self.action_groups[group]
    }

    fn add_members(&mut self, group: &str, seen: &mut BTreeSet<String>, members: &mut BTreeSet<String>) {
        let Some((collection, short)) = group.rsplit_once('.').filter(|(collection, _)| collection.contains('.')) else { return };
        if !seen.insert(group.to_owned()) {
            return;
        }
        let full = |name: &str| if name.contains('.') { name.to_owned() } else { format!("{collection}.{name}") };
        let Some(runtime) = self.runtime_of(collection) else { return };
        let entries = runtime.get("action_groups").and_then(|groups| groups.get(short)).and_then(Node::as_list);
        for entry in entries.unwrap_or_default() {
            if let Some(name) = entry.as_str() {
                let name = full(name);
                members.extend(self.route(&name).target.map(|target| target.full_name()));
                members.insert(name);
            }
            let more = entry.get("metadata").and_then(|metadata| metadata.get("extend_group")).map(Node::to_value);
            for group in more.iter().flat_map(texts) {
                self.add_members(&full(&group), seen, members);
            }
        }
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

/// The groups with full names that one `module_defaults` names.
fn groups_in(written: &Written) -> Vec<String> {
    keys_of(written).filter_map(|name| Some(name.strip_prefix("group/")?.to_owned())).collect()
}

/// What one `module_defaults` has something for.
pub(super) fn keys_of(written: &Written) -> impl Iterator<Item = &str> {
    let maps = written.value.as_list().unwrap_or(std::slice::from_ref(&written.value));
    maps.iter().filter_map(|map| map.as_map()).flat_map(|map| map.keys()).filter_map(|name| name.as_str())
}
