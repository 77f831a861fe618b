//! Hosts, groups and their variables, from wherever they are written down.
//!
//! Main type: [`Inventory`]; [`load`] makes it of what follows `-i`. One file a source, one row in [`SOURCES`] each. Ansible's order
//! holds: sources as given, directories in alphabetical order, later values over earlier ones; `vars_of` hands out layers, so that
//! `vars` can put its own between them. Text of inventories is the user's, so it may hold templates; what Terraform says is data.
//!
//! This room reads files, runs inventory scripts and `terraform output`, each with a time-out, and asks EC2 where a file says so; it
//! never connects to a host.
//! Start reading at [`load`], then [`Inventory`].

mod aws_ec2;
mod beside;
mod constructed;
mod directory;
mod hosts;
mod ini;
mod layers;
mod list;
pub(crate) mod literal;
mod pattern;
mod problem;
mod program;
mod range;
mod script;
mod terraform;
#[cfg(test)]
mod tests;
mod yaml;

pub use hosts::{Group, Host, Inventory};
pub use layers::{Layer, Level};
pub use pattern::Selection;
pub use problem::Problem;

use crate::diag::{Diagnostic, Explain, Sources};
use crate::value::{Map, Span};
use std::path::{Path, PathBuf};

/// How many hosts ranges such as `web[1:500]` may make, all in all.
const HOSTS_MAX: usize = 100_000;

/// One kind of inventory source.
struct Source {
    /// Whether this source reads what was given.
    is_for: fn(&Given) -> bool,
    read: fn(&mut Loading<'_>, &Given),
}

/// Asked in this order.
const SOURCES: &[Source] = &[
    Source { is_for: list::is_for, read: list::read },
    Source { is_for: terraform::is_for, read: terraform::read },
    Source { is_for: directory::is_for, read: directory::read },
    Source { is_for: script::is_for, read: script::read },
    Source { is_for: aws_ec2::is_for, read: aws_ec2::read },
    Source { is_for: constructed::is_for, read: constructed::read },
    Source { is_for: yaml::is_for, read: yaml::read },
    Source { is_for: ini::is_for, read: ini::read },
];

/// What follows one `-i`, or one entry of an inventory directory.
struct Given {
    /// As the user wrote it.
    name: String,
    path: PathBuf,
    /// The content, of a file.
    text: Option<String>,
}

/// An inventory that is being read.
struct Loading<'a> {
    sources: &'a Sources,
    inventory: Inventory,
    diagnostics: Vec<Diagnostic>,
    /// `inventory_file` of the hosts that are added now.
    file: Option<PathBuf>,
    /// Whether a directory is read, so that a file may be there for something else.
    is_in_directory: bool,
    /// Variables that are stronger than all others, for sources that ask for them.
    extra: &'a Map,
}

/// Reads all inventory sources, in order, and the `group_vars` and `host_vars` beside them.
pub fn load(sources: &Sources, specs: &[String]) -> Result<Inventory, Vec<Diagnostic>> {
    load_with(sources, specs, &Around::default())
}

/// What an inventory is read with, beside its sources.
#[derive(Debug, Default)]
pub struct Around {
    /// `hash_behaviour = merge`: mappings of several sources become one.
    pub merges: bool,
    /// Those of the command line.
    pub extra_vars: Map,
}

/// The same as [`load`], with what is around.
pub fn load_with(sources: &Sources, specs: &[String], around: &Around) -> Result<Inventory, Vec<Diagnostic>> {
    let inventory = Inventory { merges: around.merges, ..Inventory::default() };
    let extra = &around.extra_vars;
    let mut loading = Loading { sources, inventory, diagnostics: Vec::new(), file: None, is_in_directory: false, extra };
    for spec in specs {
        loading.read(spec);
        loading.inventory.add_source_directory(spec);
    }
    loading.inventory.finish();
    loading.warn_of_twins();
    loading.read_beside();
    let Loading { mut inventory, diagnostics, .. } = loading;
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    inventory.warnings.extend(diagnostics);
    Ok(inventory)
}

impl Loading<'_> {
    /// The one YAML document of a source; none, and told, where it cannot be read.
    fn document(&mut self, given: &Given) -> Option<crate::yaml::Node> {
        let reading = crate::yaml::read(self.sources, &given.name, given.text(), crate::yaml::Trust::User);
        let has_errors = reading.has_errors();
        self.diagnostics.extend(reading.diagnostics);
        reading.documents.into_iter().next().filter(|_| !has_errors)
    }

    /// Reads one source with the first kind that is for it.
    fn read(&mut self, spec: &str) {
        let mut given = match Given::open(spec) {
            Ok(given) => given,
            Err(problem) => return self.report(&problem),
        };
        if let Some(text) = given.text.take() {
            match self.sources.open_text(&given.path, text) {
                Ok((text, _)) => given.text = Some(text),
                Err(diagnostic) => return self.diagnostics.push(diagnostic),
            }
        }
        self.file = given.text.is_some().then(|| absolute(&given.path));
        if let Some(source) = SOURCES.iter().find(|source| (source.is_for)(&given)) {
            (source.read)(self, &given);
        }
    }

    fn warn_of_twins(&mut self) {
        let Inventory { hosts, groups, .. } = &self.inventory;
        let twins = hosts.values().filter(|host| groups.contains_key(&host.name));
        let twins = twins.map(|host| Problem::HostIsGroup { span: host.span, name: host.name.clone() }.explain());
        self.diagnostics.extend(twins.collect::<Vec<_>>());
    }

    fn report(&mut self, problem: &Problem) {
        self.diagnostics.push(problem.explain());
    }

    /// Adds a host to a group; in `ungrouped` it ends up by itself.
    fn add_host(&mut self, name: &str, group: Option<&str>, span: Span) {
        self.inventory.add_host(name, self.file.as_deref(), span);
        if let Some(group) = group {
            self.inventory.put_host(group, name);
        }
    }

    fn add_child(&mut self, parent: &str, child: &str, span: Span) {
        if !self.inventory.add_child(parent, child) {
            self.report(&Problem::GroupLoop { span, parent: parent.to_owned(), child: child.to_owned() });
        }
    }

    /// The hosts that a host pattern of an inventory stands for, and their port.
    fn expand(&mut self, pattern: &str, span: Span) -> (Vec<String>, Option<u16>) {
        let room = HOSTS_MAX.saturating_sub(self.inventory.hosts.len());
        match range::expand(pattern, room) {
            Ok(hosts) => hosts,
            Err(fault) => {
                self.report(&Problem::BadRange { span, pattern: pattern.to_owned(), fault });
                (Vec::new(), None)
            }
        }
    }
}

impl Given {
    fn open(spec: &str) -> Result<Given, Problem> {
        let path = PathBuf::from(spec);
        let given = Given { name: spec.to_owned(), path, text: None };
        match std::fs::metadata(&given.path) {
            Ok(data) if data.is_dir() => Ok(given),
            Ok(_) => Ok(Given { text: Some(read_text(&given.path)?), ..given }),
            Err(_) if spec.contains(',') => Ok(given),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let near = nearest_file(&given.path);
                Err(Problem::NotFound { path: given.path, near })
            }
            Err(error) => Err(Problem::Unreadable { path: given.path, why: error.to_string() }),
        }
    }

    fn is_file(&self) -> bool {
        self.text.is_some()
    }

    /// The plugin that a line of its own names.
    fn plugin(&self) -> Option<&str> {
        let name = self.text().lines().find_map(|line| line.strip_prefix("plugin:"))?;
        Some(name.split('#').next().unwrap_or(name).trim().trim_matches(['"', '\'']))
    }

    fn text(&self) -> &str {
        self.text.as_deref().unwrap_or("")
    }

    fn extension(&self) -> Option<&str> {
        self.path.extension().and_then(|extension| extension.to_str())
    }
}

/// The text of a file; what is not UTF-8 in it is replaced, so that a program can be recognised as one.
fn read_text(path: &Path) -> Result<String, Problem> {
    let unreadable = |why: String| Problem::Unreadable { path: path.to_owned(), why };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > crate::yaml::BYTES_MAX as u64 {
        return Err(unreadable(format!("it has {} MiB", length >> 20)));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn nearest_file(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?;
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names: Vec<String> =
        std::fs::read_dir(listed).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    crate::diag::closest(name, names.iter().map(String::as_str)).map(|near| folder.join(near))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
