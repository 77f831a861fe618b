//! A module in Python as one text: itself, what it imports from `module_utils` beside it, and what stands for Ansible's own Python.

use super::super::Problem;
use crate::diag::Sources;
use crate::value::{Map, Value};
use crate::yaml::{self, Node, Trust};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Stands for the parts of `ansible.module_utils` that are known here.
const BASIC: &str = include_str!("basic.py");
/// What a module may import of it.
const KNOWN: [&str; 9] = [
    "basic",
    "_text",
    "common.text.converters",
    "common.validation",
    "parsing.convert_bool",
    "six",
    "common._collections_compat",
    "common.dict_transformations",
    "common.process",
];
const FOLDER: &str = "ansible_collections";
const UTILS: &str = "ansible.module_utils";
/// What a module brings along is bounded, as it is sent each time.
const SIZE_MAX: usize = 8 << 20;

/// Whether the text at `path` is a module in Python that wants something of Ansible, or of a collection.
pub(super) fn is_python(path: &Path, text: &str) -> bool {
    imports(text, &Place::of(path).package).iter().any(Import::is_ours)
}

/// One text that needs nothing but Python.
pub(super) fn bundle(name: &str, path: &Path, text: &str, args: &str) -> Result<String, Problem> {
    let place = Place::of(path);
    let mut found = BTreeMap::new();
    place.gather(name, text, &place.package, &mut found)?;
    if found.values().map(|part| part.text.len()).sum::<usize>() > SIZE_MAX {
        return Err(Problem::new(format!("the module `{name}` imports more than {} MiB", SIZE_MAX >> 20)));
    }
    let parts = found.into_iter().map(|(name, part)| {
        let fields = [("text".into(), Value::from(part.text)), ("package".into(), part.is_package.into())];
        (name.into(), Value::map(fields.into_iter().collect::<Map>()))
    });
    let parts = Value::map(parts.collect::<Map>());
    let quoted = |text: &str| Value::from(text).to_json();
    let [name, args, text] = [name, args, text].map(quoted);
    Ok(format!("{BASIC}\n_run({name}, {args}, {text}, {}, {})\n", quoted(&place.package), quoted(&parts.to_json())))
}

/// One `import` of a text.
#[derive(Debug, PartialEq)]
struct Import {
    module: String,
    /// What it takes out of that: names, or further modules.
    names: Vec<String>,
    line: String,
}

impl Import {
    /// Whether it cannot come from the host's own Python.
    fn is_ours(&self) -> bool {
        ["ansible", FOLDER].iter().any(|root| is_within(&self.module, root))
    }
}

/// A module that is sent along.
struct Part {
    text: String,
    is_package: bool,
}

/// Where the text of a module is that is sent along.
enum Source {
    File(PathBuf),
    /// Its collection redirects to another one.
    Redirect(String),
}

/// Where a module stands, and so what it may import.
struct Place {
    /// The directory that `ansible_collections` is in.
    collections: Option<PathBuf>,
    /// `module_utils` beside the directory of the module.
    utils: PathBuf,
    /// What the module's own directory is called, where that has a name.
    package: String,
    /// What collections say of their `module_utils`, by collection.
    routing: RefCell<BTreeMap<String, Option<Node>>>,
}

impl Place {
    fn of(path: &Path) -> Place {
        let dir = path.parent().unwrap_or(Path::new(""));
        let utils = dir.parent().unwrap_or(Path::new("")).join("module_utils");
        let root = dir.ancestors().find(|dir| dir.file_name().is_some_and(|name| name == FOLDER)).and_then(Path::parent);
        let inside = root.and_then(|root| dir.strip_prefix(root).ok()).unwrap_or(Path::new(""));
        let package = inside.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(".");
        Place { collections: root.map(Path::to_owned), utils, package, routing: RefCell::default() }
    }

    /// Everything that `text` imports and that has to come along, with what that imports.
    fn gather(&self, name: &str, text: &str, package: &str, found: &mut BTreeMap<String, Part>) -> Result<(), Problem> {
        for import in imports(text, package) {
            if !import.is_ours() {
                continue;
            }
            let own =
                std::iter::once(import.module.clone()).chain(import.names.iter().map(|name| format!("{}.{name}", import.module)));
            let own = own.filter_map(|module| self.source_of(name, &module).map(|found| Some((module, found?))).transpose());
            let own: Vec<(String, Source)> = own.collect::<Result<_, Problem>>()?;
            if own.is_empty() && !is_known(&import) {
                return Err(Problem::new(format!(
                    "the module `{name}` cannot run here: it needs `{}`, and of Ansible's own Python only ansible.module_utils.basic and \
                     what belongs to it are there",
                    import.line
                )));
            }
            for (module, source) in own {
                self.add(name, &module, &source, found)?;
            }
        }
        Ok(())
    }

    fn add(&self, name: &str, module: &str, source: &Source, found: &mut BTreeMap<String, Part>) -> Result<(), Problem> {
        if found.contains_key(module) {
            return Ok(());
        }
        let (text, is_package) = match source {
            Source::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Problem::new(format!("the module `{name}` imports `{}`: {error}", path.display())))?;
                (text, path.ends_with("__init__.py"))
            }
            Source::Redirect(to) => (format!("import sys\nimport {to}\nsys.modules[__name__] = sys.modules['{to}']\n"), false),
        };
        found.insert(module.to_owned(), Part { text: text.clone(), is_package });
        let package = if is_package { module } else { module.rsplit_once('.').map_or("", |(package, _)| package) };
        self.gather(name, &text, package, found)?;
        // What its packages say of themselves.
        let (outer, is_utils) =
            module.rsplit_once('.').map_or(("", false), |(outer, _)| (outer, outer.contains(".module_utils.")));
        match self.file_of(outer).filter(|_| is_utils) {
            Some(path) => self.add(name, outer, &Source::File(path), found),
            None => Ok(()),
        }
    }

    /// A redirect counts before a file, and what was removed is an error.
    fn source_of(&self, name: &str, module: &str) -> Result<Option<Source>, Problem> {
        let Some((collection, entry)) = self.routed(module) else { return Ok(self.file_of(module).map(Source::File)) };
        if let Some(tombstone) = entry.get("tombstone").filter(|node| node.as_map().is_some_and(|map| !map.is_empty())) {
            let text = tombstone.get("warning_text").map_or_else(String::new, |text| format!(": {}", text.to_value().to_text()));
            return Err(Problem::new(format!(
                "the module `{name}` cannot run: it needs `{module}`, which {collection} has no more{text}"
            )));
        }
        Ok(match entry.get("redirect").and_then(Node::as_str) {
            Some(to) => Some(Source::Redirect(in_collections(to))),
            None => self.file_of(module).map(Source::File),
        })
    }

    /// What its collection says of a module in `module_utils`.
    fn routed(&self, module: &str) -> Option<(String, Node)> {
        let (collection, inner) = module.strip_prefix(FOLDER)?.strip_prefix('.')?.split_once(".plugins.module_utils.")?;
        let mut routing = self.routing.borrow_mut();
        let known = routing.entry(collection.to_owned()).or_insert_with(|| self.routing_of(collection));
        Some((collection.to_owned(), known.as_ref()?.get(inner)?.clone()))
    }

    fn routing_of(&self, collection: &str) -> Option<Node> {
        let path = self.collections.as_ref()?.join(FOLDER).join(collection.replace('.', "/")).join("meta/runtime.yml");
        // The others are not worth the time that their reading takes.
        let text = std::fs::read_to_string(&path).ok().filter(|text| text.contains("module_utils"))?;
        let reading = yaml::read(&Sources::default(), &path.to_string_lossy(), &text, Trust::Data);
        reading.document()?.get("plugin_routing")?.get("module_utils").cloned()
    }

    fn file_of(&self, module: &str) -> Option<PathBuf> {
        let base = match module.strip_prefix(UTILS).and_then(|rest| rest.strip_prefix('.')) {
            Some(rest) => self.utils.join(rest.replace('.', "/")),
            None if is_within(module, FOLDER) => self.collections.as_ref()?.join(module.replace('.', "/")),
            None => return None,
        };
        [base.with_extension("py"), base.join("__init__.py")].into_iter().find(|path| path.is_file())
    }
}

/// `a.b.c.d` stands for `c.d` in the `module_utils` of `a.b`.
fn in_collections(name: &str) -> String {
    match name.splitn(3, '.').collect::<Vec<_>>()[..] {
        [namespace, collection, rest] if namespace != FOLDER => {
            format!("{FOLDER}.{namespace}.{collection}.plugins.module_utils.{rest}")
        }
        _ => name.to_owned(),
    }
}

fn is_within(module: &str, root: &str) -> bool {
    module.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether it is there in what stands for Ansible's own.
fn is_known(import: &Import) -> bool {
    let Some(part) = import.module.strip_prefix(UTILS) else { return false };
    match part.strip_prefix('.') {
        Some(part) => KNOWN.contains(&part) || part.starts_with("six."),
        None => import.names.iter().any(|name| name == "basic"),
    }
}

/// The imports of a text; those that begin with dots are named in full.
fn imports(text: &str, package: &str) -> Vec<Import> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        let bare = |name: &str| name.split_whitespace().next().unwrap_or_default().to_owned();
        if let Some((module, names)) = line.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) {
            let mut names = names.split('#').next().unwrap_or_default().to_owned();
            while names.contains('(') && !names.contains(')') {
                let Some(more) = lines.next() else { break };
                names.push(' ');
                names.push_str(more.split('#').next().unwrap_or_default());
            }
            let names = names.trim_matches(['(', ')', ' ']).split(',').map(bare).filter(|name| !name.is_empty()).collect();
            found.push(Import { module: in_full(module.trim(), package), names, line: line.to_owned() });
        } else if let Some(modules) = line.strip_prefix("import ") {
            let modules = modules.split('#').next().unwrap_or_default().split(',').map(bare);
            found.extend(modules.map(|module| Import { module, names: Vec::new(), line: line.to_owned() }));
        }
    }
    found
}

/// One dot is the package itself, each further one a package around it.
fn in_full(module: &str, package: &str) -> String {
    let bare = module.trim_start_matches('.');
    let dots = module.len() - bare.len();
    if dots == 0 {
        return module.to_owned();
    }
    let mut parts: Vec<&str> = package.split('.').collect();
    parts.truncate(parts.len().saturating_sub(dots - 1));
    parts.into_iter().chain(Some(bare)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(path: &Path, text: &str) -> Result<Vec<String>, String> {
        let place = Place::of(path);
        let mut found = BTreeMap::new();
        place.gather("x", text, &place.package, &mut found).map_err(|problem| problem.failure.msg)?;
        Ok(found.into_keys().collect())
    }

    #[test]
    fn what_a_module_imports_is_looked_at() {
        let basic = "from ansible.module_utils.basic import AnsibleModule\nfrom ansible.module_utils.common.text.converters import to_text";
        assert!(is_python(Path::new("library/x.py"), basic) && gathered(Path::new("library/x.py"), basic) == Ok(Vec::new()));
        let foreign = "from ansible.module_utils.basic import *\nfrom ansible.module_utils.urls import open_url";
        let msg = gathered(Path::new("library/x.py"), foreign).unwrap_err();
        assert!(msg.contains("`from ansible.module_utils.urls import open_url`"), "{msg}");
        for other in
            ["#!/usr/bin/python\nimport json\n# WANT_JSON", "import ansible_runner", "from ..module_utils.net import ask"]
        {
            assert!(!is_python(Path::new("library/x.py"), other), "{other}");
        }
        let module = Path::new("c/ansible_collections/a/b/plugins/modules/x.py");
        assert!(is_python(module, "from ..module_utils.net import ask"));
    }

    #[test]
    fn imports_are_named_in_full() {
        let text = "from ..module_utils.net import (  # two\n    ask,\n    tell as say,\n)\nimport os, ansible.module_utils.six as six\n";
        let found = imports(text, "ansible_collections.a.b.plugins.modules");
        let names: Vec<&str> = found.iter().map(|import| import.module.as_str()).collect();
        assert_eq!(names, ["ansible_collections.a.b.plugins.module_utils.net", "os", "ansible.module_utils.six"]);
        assert_eq!(found[0].names, ["ask", "tell"]);
        assert_eq!(in_full(".x", "a.b"), "a.b.x");
    }

    #[test]
    fn what_lies_beside_a_module_comes_along() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        write("module_utils/net.py", "from ansible.module_utils.deep.er import x\n");
        write("module_utils/deep/__init__.py", "");
        write("module_utils/deep/er.py", "from . import twin\n");
        write("module_utils/deep/twin.py", "");
        let text = "from ansible.module_utils import net\n";
        let found = gathered(&dir.path().join("library/x.py"), text).unwrap();
        let wanted = ["deep", "deep.er", "deep.twin", "net"].map(|name| format!("ansible.module_utils.{name}"));
        assert_eq!(found, wanted);
        write("c/ansible_collections/a/b/plugins/module_utils/net.py", "");
        let module = dir.path().join("c/ansible_collections/a/b/plugins/modules/x.py");
        let found = gathered(&module, "from ..module_utils.net import ask\n").unwrap();
        assert_eq!(found, ["ansible_collections.a.b.plugins.module_utils.net"]);
        assert!(gathered(&module, "from ..module_utils.none import ask\n").unwrap_err().contains("cannot run here"));
    }

    #[test]
    fn redirects_of_module_utils_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("ansible_collections");
        for (name, text) in [
            (
                "a/b/meta/runtime.yml",
                "plugin_routing:\n  module_utils:\n    old: {redirect: a.c.deep.new}\n    full: {redirect: \
                 ansible_collections.a.c.plugins.module_utils.deep.new}\n    lost: {redirect: a.c.none}\n    gone: {tombstone: \
                 {warning_text: Use new.}}\n",
            ),
            ("a/b/plugins/module_utils/old.py", "import ansible.module_utils.urls\n"),
            ("a/c/plugins/module_utils/deep/new.py", ""),
        ] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), text).unwrap();
        }
        let module = root.join("a/b/plugins/modules/x.py");
        let ask = |name: &str| gathered(&module, &format!("from ..module_utils.{name} import ask\n"));
        let own = |name: &str| format!("ansible_collections.a.b.plugins.module_utils.{name}");
        let new = "ansible_collections.a.c.plugins.module_utils.deep.new".to_owned();
        assert_eq!(ask("old"), Ok(vec![own("old"), new.clone()]));
        assert_eq!(ask("full"), Ok(vec![own("full"), new]));
        assert!(ask("lost").unwrap_err().contains("it needs `import ansible_collections.a.c.plugins.module_utils.none`"));
        assert!(ask("gone").unwrap_err().contains("which a.b has no more: Use new."));
    }
}
