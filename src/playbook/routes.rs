//! Where names of modules lead: `plugin_routing` in `meta/runtime.yml` of collections on disk, with what it says of removed and
//! deprecated names, and the versions of Ansible that a collection is for.

use super::collections::{Own, keys_of};
use super::keyword::Written;
use super::reader::Reader;
use super::section::callable;
use super::task::Context;
use super::{LANGUAGE, elsewhere};
use crate::diag::{Diagnostic, Severity, Span, closest};
use crate::modules::{self, Module};
use crate::template;
use crate::yaml::Node;
use std::path::PathBuf;
use std::sync::Arc;

/// More redirects in a row than this are a loop.
const REDIRECTS_MAX: usize = 64;

/// What a module's name stands for.
#[derive(Debug)]
pub enum Target {
    BuiltIn(&'static Module),
    Own(Own),
}

impl Target {
    pub fn full_name(&self) -> String {
        match self {
            Target::BuiltIn(module) => module.full_name(),
            Target::Own(own) => own.full_name(),
        }
    }
}

/// The way from a name to what it stands for.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The name as it is asked for, and each that it was redirected to.
    names: Vec<String>,
    /// Where the last redirect is written.
    redirect: Span,
    pub(super) target: Option<Target>,
    /// Deprecated names on the way.
    deprecated: Vec<Notice>,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Fault {
    Removed(Notice),
    Loop,
}

/// A name that is deprecated or removed.
#[derive(Debug)]
struct Notice {
    name: String,
    /// The advice that its collection gives.
    text: Option<String>,
    version: Option<String>,
    date: Option<String>,
    span: Span,
}

impl Notice {
    /// Without anything in it the entry says nothing.
    fn of(name: &str, entry: &Node, word: &str) -> Option<Notice> {
        let node = entry.get(word).filter(|node| node.as_map().is_some_and(|map| !map.is_empty()))?;
        let said = |key: &str| {
            let value = node.get(key)?.to_value();
            (!value.is_null()).then(|| value.to_text().trim().to_owned()).filter(|text| !text.is_empty())
        };
        let [text, version, date] = ["warning_text", "removal_version", "removal_date"].map(said);
        Some(Notice { name: name.to_owned(), text, version, date, span: node.span })
    }

    fn title(&self, what: &str) -> String {
        match &self.text {
            Some(text) => format!("module `{}` {what}: {text}", self.name),
            None => format!("module `{}` {what}", self.name),
        }
    }

    /// When, as far as it is said.
    fn when(&self) -> String {
        let collection = self.name.split('.').take(2).collect::<Vec<_>>().join(".");
        match (&self.version, &self.date) {
            (Some(version), _) => format!("in version {version} of {collection}"),
            (None, Some(date)) => format!("in a release of {collection} after {date}"),
            (None, None) => format!("in a release of {collection}"),
        }
    }
}

impl Route {
    pub(super) fn to(target: Option<Target>) -> Route {
        Route { target, ..Route::default() }
    }

    fn is_redirected(&self) -> bool {
        self.names.len() > 1
    }

    /// The name at its end, if it is another one.
    pub(super) fn end(&self) -> Option<&str> {
        self.names.last().filter(|_| self.is_redirected()).map(String::as_str)
    }

    /// Says of a module that is not there how it came to be asked for.
    pub(super) fn told(&self, diagnostic: Diagnostic) -> Diagnostic {
        match self.end() {
            Some(end) => diagnostic.at(self.redirect, format!("redirected to `{end}`")),
            None => diagnostic,
        }
    }

    /// What is wrong where a name at `span` is redirected to a module that cannot be.
    pub(super) fn astray(&self, span: Span) -> Option<Diagnostic> {
        let (first, end) = (self.names.first()?, self.end()?);
        let title = if is_full(end) {
            format!("`{first}` is redirected to `{end}`, and there is no such module")
        } else {
            format!("`{first}` is redirected to `{end}`, which does not say its collection")
        };
        Some(self.told(Diagnostic::error("unknown-module", title).at(span, "leads to no module")))
    }
}

impl Reader {
    /// What a module's name stands for: what is built in, a module in `library/`, or one of a collection, wherever that sends it.
    pub(super) fn route(&mut self, name: &str) -> Route {
        if let Some(module) = callable(name) {
            return Route::to(Some(Target::BuiltIn(module)));
        }
        if is_full(name) {
            return self.route_in_collection(name);
        }
        if let Some(own) = self.own_module(name) {
            return Route::to(Some(Target::Own(own)));
        }
        let mut last = Route::default();
        for collection in self.collections.clone() {
            last = self.route_in_collection(&format!("{collection}.{name}"));
            if last.target.is_some() || last.fault.is_some() {
                break;
            }
        }
        last
    }

    /// Actions count before modules; those of collections are Python, so their redirects count where they end in something else.
    fn route_in_collection(&mut self, name: &str) -> Route {
        let mut action = self.followed(name, "action");
        if action.fault.is_some() || action.is_redirected() && action.target.is_some() {
            return action;
        }
        let mut route = self.followed(name, "modules");
        action.deprecated.retain(|notice| notice.name == name && route.deprecated.iter().all(|other| other.name != name));
        route.deprecated.append(&mut action.deprecated);
        route
    }

    fn followed(&mut self, name: &str, kind: &str) -> Route {
        let mut route = Route::default();
        let mut name = name.to_owned();
        loop {
            let is_known = route.names.contains(&name);
            route.names.push(name.clone());
            if is_known || route.names.len() > REDIRECTS_MAX {
                route.fault = Some(Fault::Loop);
                return route;
            }
            if !is_full(&name) {
                return route;
            }
            if let Some(module) = callable(&name) {
                route.target = Some(Target::BuiltIn(module));
                return route;
            }
            let entry = self.routing(&name, kind);
            if let Some(entry) = &entry {
                route.deprecated.extend(Notice::of(&name, entry, "deprecation"));
                if let Some(notice) = Notice::of(&name, entry, "tombstone") {
                    route.fault = Some(Fault::Removed(notice));
                    return route;
                }
            }
            let redirect = entry.as_ref().and_then(|entry| entry.get("redirect"));
            let Some((next, span)) = redirect.and_then(|node| Some((node.as_str()?.to_owned(), node.span))) else {
                route.target = self.own_module(&name).map(Target::Own);
                return route;
            };
            route.redirect = span;
            name = next;
        }
    }

    /// The entry of a full name.
    fn routing(&mut self, name: &str, kind: &str) -> Option<Node> {
        let [namespace, collection, short] = name.splitn(3, '.').collect::<Vec<_>>()[..] else { return None };
        let runtime = self.runtime_of(&format!("{namespace}.{collection}"))?;
        runtime.get("plugin_routing")?.get(kind)?.get(short).cloned()
    }

    /// Says what is wrong on the way to a module that is named at `span`, and whether that is a reason not to run.
    pub(super) fn tell(&mut self, route: &Route, span: Span) -> bool {
        for notice in &route.deprecated {
            if !self.are_deprecations_told || !self.told.insert(notice.name.clone()) {
                continue;
            }
            let diagnostic = Diagnostic::warning("deprecated-module", notice.title("is deprecated"));
            let diagnostic = named_at(diagnostic, span, format!("it will be removed {}", notice.when()));
            self.diagnostics.push(diagnostic.at(notice.span, "said here"));
        }
        let diagnostic = match &route.fault {
            None => return false,
            Some(Fault::Removed(notice)) => {
                let diagnostic = Diagnostic::error("removed-module", notice.title("is no more"));
                named_at(diagnostic, span, format!("removed {}", notice.when())).at(notice.span, "said here")
            }
            Some(Fault::Loop) => {
                let title = format!("module `{}` is redirected to itself", route.names.first().map_or("", String::as_str));
                let diagnostic = named_at(Diagnostic::error("redirect-loop", title), span, "leads nowhere".to_owned());
                let shown: Vec<String> = route.names.iter().map(|name| format!("`{name}`")).collect();
                diagnostic.at(route.redirect, "the last redirect").note(shown.join(" → "))
            }
        };
        self.diagnostics.push(diagnostic);
        true
    }

    /// What a name stands for, for those who ask without a playbook.
    pub fn named_module(&mut self, name: &str) -> Option<Target> {
        let route = self.route(name);
        let is_wrong = self.tell(&route, Span::NOWHERE);
        route.target.filter(|_| !is_wrong)
    }

    /// Deprecated, removed and unknown names in `module_defaults`.
    pub(super) fn check_defaults(&mut self, written: &Written) {
        for name in keys_of(written).filter(|name| modules::is_no_group(name)).map(str::to_owned).collect::<Vec<_>>() {
            if !self.is_group_on_disk(&name) {
                let group = name.trim_start_matches("group/");
                let title = format!("could not resolve the module_defaults group {group}");
                let diagnostic = Diagnostic::error("unknown-group", title).at(written.span, format!("`{name}` is no group"));
                self.diagnostics.push(match closest(group, modules::groups()) {
                    Some(near) => diagnostic.help(format!("`group/{near}` exists")),
                    None => diagnostic.note("a group is `group/COLLECTION.NAME`, such as `group/community.postgresql.all`"),
                });
            }
        }
        let names = keys_of(written).filter(|name| !name.contains(['/', '{']) && callable(name).is_none());
        for name in names.map(str::to_owned).collect::<Vec<_>>() {
            let route = self.route(&name);
            let is_told = self.tell(&route, written.span);
            if !is_told && route.target.is_none() && !elsewhere::is_known(route.end().unwrap_or(&name)) {
                self.unknown_default(&name, written.span);
            }
        }
    }

    fn unknown_default(&mut self, name: &str, span: Span) {
        let title = format!("`module_defaults` has `{name}`, and there is no such module");
        let diagnostic = Diagnostic::error("unknown-module", title).at(span, "defaults for no module");
        let short = name.rsplit('.').next().unwrap_or(name);
        self.diagnostics.push(match closest(short, modules::rows().map(|module| module.name)) {
            Some(near) => diagnostic.help(format!("`{near}` exists")),
            None => diagnostic.note("`roll doc` lists all modules"),
        });
    }

    /// The names in `module_defaults` around a task that lead to its module and are no names of it.
    pub(super) fn redirected_names(&mut self, context: &Context, target: &str) -> Vec<String> {
        let names: Vec<String> = context.gathered("module_defaults").into_iter().flat_map(names_in).collect();
        let leads_there = |reader: &mut Reader, name: &String| {
            if name == target {
                return false;
            }
            let route = reader.route(name);
            route.fault.is_none() && route.target.is_some_and(|found| found.full_name() == target)
        };
        names.into_iter().filter(|name| leads_there(self, name)).collect()
    }

    /// `meta/runtime.yml` of a collection.
    pub(super) fn runtime_of(&mut self, collection: &str) -> Option<Arc<Node>> {
        let paths = self.collection_folders(collection).into_iter().map(|folder| folder.join("meta/runtime.yml"));
        let path: PathBuf = paths.into_iter().find(|path| path.is_file())?;
        if let Some(known) = self.runtimes.get(&path) {
            return known.clone();
        }
        let node = self.file(&path, Span::NOWHERE).map(Arc::new);
        if let Some(node) = &node {
            self.reading.pop();
            self.check_version(collection, node);
        }
        self.runtimes.insert(path, node.clone());
        node
    }

    fn check_version(&mut self, collection: &str, runtime: &Node) {
        let Some(severity) = self.version_mismatch else { return };
        let Some(node) = runtime.get("requires_ansible").filter(|node| !node.is_null()) else { return };
        let value = node.to_value();
        let diagnostic = match template::is_version_within(LANGUAGE, &value.to_text()) {
            Ok(true) => return,
            Ok(false) => {
                let title = format!("collection `{collection}` does not support Ansible {LANGUAGE}");
                let diagnostic = Diagnostic { severity, ..Diagnostic::error("unsupported-version", title) };
                diagnostic.at(node.span, "not this version")
            }
            Err(specifier) => {
                let title = format!("`{specifier}` says nothing of versions");
                let diagnostic = Diagnostic { severity: Severity::Warning, ..Diagnostic::error("unsupported-version", title) };
                diagnostic.at(node.span, "neither `>=2.16` nor the like")
            }
        };
        self.diagnostics.push(diagnostic);
    }
}

/// Points at what names a module, where that is written.
fn named_at(diagnostic: Diagnostic, span: Span, text: String) -> Diagnostic {
    if span.is_nowhere() { diagnostic.note(text) } else { diagnostic.at(span, text) }
}

/// `namespace.collection.module`, and more where it is in a folder.
fn is_full(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    parts.len() >= 3 && parts.iter().all(|part| !part.is_empty())
}

/// Full names of modules that one `module_defaults` names, but for those that are built in.
fn names_in(written: &Written) -> Vec<String> {
    keys_of(written).filter(|name| is_full(name) && callable(name).is_none()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;
    use crate::playbook::{Item, Play};
    use std::path::Path;

    const OLD: &str = "
plugin_routing:
  action:
    both: {redirect: ansible.builtin.debug}
    none: {redirect: acme.new.none}
    gone: {tombstone: {removal_date: 2024-02-29}}
  modules:
    one: {redirect: acme.new.thing, deprecation: {warning_text: 'Use it.', removal_version: 2.0.0}}
    two: {redirect: acme.old.one}
    both: {redirect: acme.new.thing}
    none: {redirect: acme.new.thing}
    inner: {redirect: acme.new.folder.thing}
    copy: {redirect: ansible.builtin.copy}
    short: {redirect: copy}
    again: {redirect: acme.new.again}
    empty: {redirect: acme.new.thing, tombstone: {}, deprecation: {}}
    text: acme.new.thing
    toend: {redirect: acme.old.end}
    end: {redirect: acme.new.thing, tombstone: {removal_version: 3.0.0, warning_text: 'No more.'}}
";
    const NEW: &str = "plugin_routing: {modules: {again: {redirect: acme.old.again}}}\nrequires_ansible: '>=2.30'\n";

    /// A playbook among collections: what is in it, and what is wrong.
    fn read(playbook: &str) -> (Vec<Play>, Vec<Diagnostic>) {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new("collections/ansible_collections/acme");
        for (name, text) in [
            (Path::new("site.yaml").to_owned(), playbook),
            (root.join("old/meta/runtime.yml"), OLD),
            (root.join("new/meta/runtime.yml"), NEW),
            (root.join("new/plugins/modules/thing.sh"), ""),
            (root.join("new/plugins/modules/folder/thing.sh"), ""),
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut reader = Reader::new(Sources::default(), Vec::new(), Box::new(|_, _| None));
        let plays = reader.playbook(&dir.path().join("site.yaml"));
        (plays, reader.take_diagnostics())
    }

    /// What a task of that name runs, or the first thing that is wrong.
    fn led(name: &str) -> String {
        let (plays, mut found) = read(&format!("- hosts: all\n  collections: [acme.old]\n  tasks: [{{{name}: {{}}}}]\n"));
        found.retain(Diagnostic::is_error);
        match (found.first(), &plays[0].tasks[..]) {
            (Some(wrong), _) => wrong.title.clone(),
            (None, [Item::Task(task)]) => match task.args.get("_path") {
                Some(path) => path.to_text().rsplit_once("/acme/").unwrap().1.to_owned(),
                None => task.module().to_owned(),
            },
            _ => String::new(),
        }
    }

    #[test]
    fn a_name_leads_where_its_collection_sends_it() {
        let thing = "new/plugins/modules/thing.sh";
        for (name, wanted) in [
            ("acme.new.thing", thing),
            ("acme.old.one", thing),
            ("acme.old.two", thing),
            ("two", thing),
            ("acme.old.none", thing),
            ("acme.old.empty", thing),
            ("acme.old.inner", "new/plugins/modules/folder/thing.sh"),
            ("acme.old.both", "debug"),
            ("acme.old.copy", "copy"),
            ("copy", "copy"),
            ("acme.old.short", "`acme.old.short` is redirected to `copy`, which does not say its collection"),
            ("acme.old.again", "module `acme.old.again` is redirected to itself"),
            ("acme.old.text", "acme.old.text"),
            ("acme.old.toend", "module `acme.old.end` is no more: No more."),
            ("acme.old.gone", "module `acme.old.gone` is no more"),
        ] {
            assert_eq!(led(name), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_deprecated_is_said_once() {
        let (_, found) = read("- hosts: all\n  tasks: [{acme.old.one: }, {acme.old.two: }, {acme.old.one: }]\n");
        let titles: Vec<&str> = found.iter().map(|found| found.title.as_str()).collect();
        let version = format!("collection `acme.new` does not support Ansible {LANGUAGE}");
        assert_eq!(titles, [version.as_str(), "module `acme.old.one` is deprecated: Use it."]);
        assert_eq!(found[1].labels[0].text, "it will be removed in version 2.0.0 of acme.old");
    }

    #[test]
    fn defaults_of_every_name_reach_the_module() {
        let names = |task: &str| {
            let defaults = "{acme.old.two: {}, acme.new.thing: {}, acme.old.copy: {}, acme.old.both: {}, acme.none.x: {}}";
            let (plays, _) = read(&format!("- hosts: all\n  tasks: [{{{task}: {{}}, module_defaults: {defaults}}}]\n"));
            let [Item::Task(task)] = &plays[0].tasks[..] else { panic!() };
            task.own_names.clone()
        };
        assert_eq!(names("acme.old.one"), ["acme.old.two", "thing", "acme.new.thing"]);
        assert_eq!(names("copy"), ["acme.old.copy"]);
        assert_eq!(names("acme.old.both"), ["acme.old.both"]);
    }
}
