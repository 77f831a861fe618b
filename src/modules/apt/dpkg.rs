//! dpkg's own record of what is installed, read from its files: no process, a few milliseconds.

use super::super::{Failure, Look};
use super::spec::Spec;
use std::collections::HashMap;

const STATUS: &str = "/var/lib/dpkg/status";
const UPDATES: &str = "/var/lib/dpkg/updates";

/// Every package dpkg knows, and what the installed ones provide.
#[derive(Debug, Default)]
pub(super) struct Dpkg {
    packages: HashMap<String, Vec<Package>>,
    /// A virtual name, and whether an installed package provides it.
    provides: HashMap<String, String>,
    native: String,
}

#[derive(Debug, Default, Clone)]
pub(in crate::modules) struct Package {
    pub(in crate::modules) name: String,
    pub(in crate::modules) arch: String,
    pub(in crate::modules) version: String,
    pub(super) state: State,
    pub(in crate::modules) section: String,
    provides: Vec<String>,
}

/// The third word of dpkg's `Status`, as far as a plan cares.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Gone,
    ConfigFiles,
    /// Unpacked or half configured: apt has to finish it.
    Broken,
    Installed,
}

impl Dpkg {
    pub(super) fn read(look: &dyn Look) -> Result<Dpkg, Failure> {
        let fail = |error| Failure::io(format!("cannot read {STATUS}"), &error);
        let text = look.text(STATUS).map_err(fail)?.unwrap_or_default();
        let mut dpkg = Dpkg::default();
        text.split("\n\n").for_each(|stanza| dpkg.add(Package::parse(stanza)));
        for update in pending_updates(look) {
            dpkg.add(Package::parse(&update));
        }
        dpkg.index();
        Ok(dpkg)
    }

    /// A later record replaces an earlier one of the same package and architecture.
    fn add(&mut self, package: Package) {
        if package.name.is_empty() {
            return;
        }
        let known = self.packages.entry(package.name.clone()).or_default();
        known.retain(|other| other.arch != package.arch);
        known.push(package);
    }

    fn index(&mut self) {
        self.native = self.find("dpkg", None).map(|dpkg| dpkg.arch.clone()).unwrap_or_default();
        let installed = self.packages.values().flatten().filter(|package| package.state == State::Installed);
        self.provides =
            installed.flat_map(|package| package.provides.iter().map(|name| (name.clone(), package.name.clone()))).collect();
    }

    /// The record of `name`, of the given architecture or else of the native one.
    fn find(&self, name: &str, arch: Option<&str>) -> Option<&Package> {
        let known = self.packages.get(name)?;
        match arch {
            Some("any") => known.first(),
            Some(arch) => known.iter().find(|package| package.arch == arch),
            None => known
                .iter()
                .find(|package| package.arch == "all" || package.arch == self.native)
                .or_else(|| known.first().filter(|_| self.native.is_empty())),
        }
    }

    pub(super) fn installed(&self, spec: &Spec) -> Option<&Package> {
        self.find(&spec.name, spec.arch.as_deref()).filter(|package| package.state == State::Installed)
    }

    pub(super) fn all_installed(self) -> Vec<Package> {
        self.packages.into_values().flatten().filter(|package| package.state == State::Installed).collect()
    }

    pub(super) fn has_config_files(&self, spec: &Spec) -> bool {
        self.find(&spec.name, spec.arch.as_deref()).is_some_and(|package| package.state == State::ConfigFiles)
    }

    /// The installed package that provides a name which no package known to dpkg has.
    pub(super) fn provider(&self, spec: &Spec) -> Option<&str> {
        if self.packages.get(&spec.name).is_some_and(|known| known.iter().any(|package| package.state != State::Gone)) {
            return None;
        }
        self.provides.get(&spec.name).map(String::as_str)
    }

    /// Names of all installed packages, sorted.
    pub(super) fn names(&self, include_config_files: bool) -> Vec<&str> {
        let counts = |package: &Package| match package.state {
            State::Installed | State::Broken => true,
            State::ConfigFiles => include_config_files,
            State::Gone => false,
        };
        let mut names: Vec<&str> =
            self.packages.iter().filter(|(_, known)| known.iter().any(counts)).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

/// While dpkg runs, or after it was killed, its newest words are in small files of their own.
fn pending_updates(look: &dyn Look) -> Vec<String> {
    let names = look.list(UPDATES).unwrap_or_default();
    let is_numbered = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    names
        .iter()
        .filter(|name| is_numbered(name))
        .filter_map(|name| look.text(&format!("{UPDATES}/{name}")).ok().flatten())
        .collect()
}

impl Package {
    fn parse(stanza: &str) -> Package {
        let mut package = Package::default();
        let mut is_provides = false;
        for line in stanza.lines() {
            if line.starts_with([' ', '\t']) {
                if is_provides {
                    package.provides.extend(provided(line));
                }
                continue;
            }
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            is_provides = field == "Provides";
            match field {
                "Package" => value.clone_into(&mut package.name),
                "Architecture" => value.clone_into(&mut package.arch),
                "Version" => value.clone_into(&mut package.version),
                "Section" => value.clone_into(&mut package.section),
                "Status" => package.state = State::parse(value),
                "Provides" => package.provides = provided(value).collect(),
                _ => {}
            }
        }
        package
    }
}

fn provided(list: &str) -> impl Iterator<Item = String> + '_ {
    list.split(',').filter_map(|entry| {
        let name = entry.trim().split([' ', '(', ':']).next()?;
        (!name.is_empty()).then(|| name.to_owned())
    })
}

impl State {
    fn parse(status: &str) -> State {
        match status.split_whitespace().nth(2) {
            Some("installed" | "triggers-pending" | "triggers-awaited") => State::Installed,
            Some("config-files") => State::ConfigFiles,
            Some("half-installed" | "half-configured" | "unpacked") => State::Broken,
            _ => State::Gone,
        }
    }
}
