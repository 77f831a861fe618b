//! What is to be installed: `requirements.yml`, and what installed things depend on.

use crate::diag::{Diagnostic, Sources};
use crate::value::{Span, Value};
use crate::yaml::{self, Node, Trust};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Role,
    Collection,
}

/// One thing to install.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requirement {
    pub(super) kind: Kind,
    /// What it is called once it is installed.
    pub(super) name: String,
    /// A name on a Galaxy server, a URL, or a file.
    pub(super) source: String,
    /// A tag, a branch, or for collections conditions such as `>=1.2,<2`.
    pub(super) version: Option<String>,
    pub(super) is_git: bool,
    /// Its own Galaxy server.
    pub(super) server: Option<String>,
}

impl Requirement {
    /// `name`, `name:version`, `git+URL,version`.
    pub(super) fn named(text: &str, kind: Kind) -> Requirement {
        let (source, version) = match text.rsplit_once(',') {
            Some((source, version)) => (source, Some(version)),
            None => match text.split_once(':').filter(|_| kind == Kind::Collection && !text.contains('/')) {
                Some((source, version)) => (source, Some(version)),
                None => (text, None),
            },
        };
        of_parts(kind, None, source, version.map(str::to_owned), None)
    }
}

fn of_parts(kind: Kind, name: Option<String>, source: &str, version: Option<String>, scm: Option<&str>) -> Requirement {
    let bare = source.strip_prefix("git+");
    let url = bare.unwrap_or(source);
    let is_git = scm == Some("git") || bare.is_some() || url.starts_with("git@") || url.trim_end_matches('/').ends_with(".git");
    let name = name.unwrap_or_else(|| if url.contains('/') { short_name(url) } else { url.to_owned() });
    Requirement { kind, name, source: url.to_owned(), version: version.filter(|text| text != "*"), is_git, server: None }
}

/// The last part of a URL without its ending.
fn short_name(url: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(url);
    [".git", ".tar.gz", ".tgz"].iter().find_map(|ending| last.strip_suffix(ending)).unwrap_or(last).to_owned()
}

/// A name that cannot lead out of the directory it is put in.
pub(super) fn checked(name: &str) -> Result<&str, Box<Diagnostic>> {
    let is_right = !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
    let problem = || Box::new(Diagnostic::error("bad-requirement-name", format!("`{name}` cannot be the name of a directory")));
    is_right.then_some(name).ok_or_else(problem)
}

pub(super) fn read(sources: &Sources, file: &Path, found: &mut Vec<Diagnostic>) -> Vec<Requirement> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" (os error").next().unwrap_or(&why).to_lowercase();
            found.push(Diagnostic::error("unreadable-file", format!("cannot read `{}`: {why}", file.display())));
            return Vec::new();
        }
    };
    let reading = yaml::read(sources, &file.to_string_lossy(), &text, Trust::Data);
    found.extend(reading.diagnostics.iter().cloned());
    let Some(node) = reading.document() else { return Vec::new() };
    match node.as_list() {
        // The old form: a list of roles.
        Some(roles) => roles.iter().filter_map(|entry| entry_of(entry, Kind::Role, found)).collect(),
        None => [("roles", Kind::Role), ("collections", Kind::Collection)]
            .into_iter()
            .flat_map(|(name, kind)| {
                let entries = node.get(name).and_then(Node::as_list).unwrap_or_default();
                entries.iter().filter_map(|entry| entry_of(entry, kind, found)).collect::<Vec<_>>()
            })
            .collect(),
    }
}

fn entry_of(node: &Node, kind: Kind, found: &mut Vec<Diagnostic>) -> Option<Requirement> {
    if let Some(text) = node.as_str() {
        return Some(Requirement::named(text, kind));
    }
    let text =
        |name: &str| node.get(name).map(Node::to_value).filter(|value| !value.is_null()).map(|value| value.to_text().to_string());
    let (name, src) = (text("name"), text("src"));
    let source = match (kind, &src, text("source")) {
        (Kind::Role, Some(src), _) => src.clone(),
        _ => match name.clone().or_else(|| text("role")) {
            Some(name) => name,
            None => {
                found.push(
                    Diagnostic::error("nameless-requirement", "a requirement needs a `name` or `src`")
                        .at(span_of(node), "this one"),
                );
                return None;
            }
        },
    };
    let scm = text("scm").or_else(|| text("type"));
    let given = name.filter(|_| src.is_some() && kind == Kind::Role);
    let mut requirement = of_parts(kind, given, &source, text("version"), scm.as_deref());
    requirement.server = text("source").filter(|_| kind == Kind::Collection);
    Some(requirement)
}

fn span_of(node: &Node) -> Span {
    node.as_map().and_then(<[_]>::first).map_or(node.span, |(key, _)| key.span)
}

/// What an installed thing depends on. Roles that are named without a place are expected where roles are.
pub(super) fn of(sources: &Sources, dir: &Path, kind: Kind) -> Vec<Requirement> {
    let mut found = Vec::new();
    match kind {
        Kind::Role => {
            let files = ["meta/requirements.yml", "meta/main.yml", "meta/main.yaml"].map(|name| dir.join(name));
            let Some(file) = files.iter().find(|file| file.is_file()) else { return Vec::new() };
            if file.ends_with("requirements.yml") {
                return read(sources, file, &mut found);
            }
            let Ok(text) = std::fs::read_to_string(file) else { return Vec::new() };
            let reading = yaml::read(sources, &file.to_string_lossy(), &text, Trust::Data);
            let entries =
                reading.document().and_then(|node| node.get("dependencies")).and_then(Node::as_list).unwrap_or_default().to_vec();
            entries.iter().filter_map(|entry| entry_of(entry, kind, &mut found)).collect()
        }
        Kind::Collection => {
            dependencies(dir).into_iter().map(|(name, version)| of_parts(kind, None, &name, Some(version), None)).collect()
        }
    }
}

/// Of the manifest of a built collection, or of `galaxy.yml` in one from git.
fn dependencies(dir: &Path) -> Vec<(String, String)> {
    let manifest = std::fs::read_to_string(dir.join("MANIFEST.json")).ok().and_then(|text| Value::from_json(&text).ok());
    let map = match manifest {
        Some(manifest) => manifest.get("collection_info").and_then(|info| info.get("dependencies")).cloned(),
        None => std::fs::read_to_string(dir.join("galaxy.yml")).ok().and_then(|text| {
            let reading = yaml::read(&Sources::default(), "galaxy.yml", &text, Trust::Data);
            reading.document().and_then(|node| node.get("dependencies")).map(Node::to_value)
        }),
    };
    let pairs = map.as_ref().and_then(Value::as_map).into_iter().flatten();
    pairs.map(|(name, version)| (name.to_string(), version.to_text().to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Requirement> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("requirements.yml");
        std::fs::write(&file, text).unwrap();
        let mut found = Vec::new();
        let all = read(&Sources::default(), &file, &mut found);
        assert!(found.is_empty(), "{found:?}");
        all
    }

    #[test]
    fn every_form_is_understood() {
        let all = parsed(
            "roles:\n  - geerlingguy.docker\n  - src: https://git.example/a/web.git\n    scm: git\n    version: v1\n    name: site\n\
             collections:\n  - community.general\n  - name: ansible.posix\n    version: '>=1.5,<2'\n  - git+https://git.example/c/coll.git,main\n",
        );
        let shown: Vec<_> = all.iter().map(|one| (one.name.as_str(), one.is_git, one.version.as_deref())).collect();
        assert_eq!(
            shown,
            [
                ("geerlingguy.docker", false, None),
                ("site", true, Some("v1")),
                ("community.general", false, None),
                ("ansible.posix", false, Some(">=1.5,<2")),
                ("coll", true, Some("main")),
            ]
        );
        assert_eq!(parsed("- src: ./dist/web.tar.gz\n")[0].name, "web");
    }

    #[test]
    fn names_stay_in_their_directory() {
        assert!(checked("community.general").is_ok() && checked("web-1").is_ok());
        for name in ["", "..", "a/b", ".git", "-x", "a b"] {
            assert!(checked(name).is_err(), "{name}");
        }
    }
}
