//! Which Linux it is.

use super::{assignments, line, map, set};
use crate::modules::Look;
use crate::value::Map;

/// `os-release`'s ID, Ansible's name, Ansible's family.
const KNOWN: &[(&str, &str, &str)] = &[
    ("debian", "Debian", "Debian"),
    ("ubuntu", "Ubuntu", "Debian"),
    ("raspbian", "Debian", "Debian"),
    ("linuxmint", "Linux Mint", "Debian"),
    ("pop", "Pop!_OS", "Debian"),
    ("kali", "Kali", "Debian"),
    ("amzn", "Amazon", "RedHat"),
    ("rhel", "RedHat", "RedHat"),
    ("centos", "CentOS", "RedHat"),
    ("fedora", "Fedora", "RedHat"),
    ("rocky", "Rocky", "RedHat"),
    ("almalinux", "AlmaLinux", "RedHat"),
    ("ol", "OracleLinux", "RedHat"),
    ("alpine", "Alpine", "Alpine"),
    ("arch", "Archlinux", "Archlinux"),
    ("opensuse-leap", "openSUSE Leap", "Suse"),
    ("opensuse-tumbleweed", "openSUSE Tumbleweed", "Suse"),
    ("sles", "SLES", "Suse"),
    ("gentoo", "Gentoo", "Gentoo"),
];

/// The lines of `os-release` that matter.
#[derive(Default)]
struct Release {
    id: String,
    like: String,
    name: String,
    version: String,
    codename: String,
    pretty: String,
}

impl Release {
    fn read(look: &dyn Look) -> Option<Release> {
        let paths = ["/etc/os-release", "/usr/lib/os-release"];
        let text = paths.iter().find_map(|path| look.text(path).ok().flatten())?;
        let mut found = Release::default();
        for (key, value) in assignments(&text) {
            let field = match key {
                "ID" => &mut found.id,
                "ID_LIKE" => &mut found.like,
                "NAME" => &mut found.name,
                "VERSION_ID" => &mut found.version,
                "VERSION_CODENAME" => &mut found.codename,
                "PRETTY_NAME" => &mut found.pretty,
                _ => continue,
            };
            value.clone_into(field);
        }
        // Debian's point release is only in this file, where a testing release has words.
        if found.id == "debian"
            && let Some(version) = line(look, "/etc/debian_version").filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
        {
            found.version = version;
        }
        Some(found)
    }

    fn known(&self) -> Option<&'static (&'static str, &'static str, &'static str)> {
        KNOWN.iter().find(|(id, ..)| *id == self.id)
    }

    fn family(&self) -> String {
        let like = || self.like.split_whitespace().find_map(|like| KNOWN.iter().find(|(id, ..)| *id == like));
        self.known().or_else(like).map_or_else(|| self.name.clone(), |(.., family)| (*family).to_owned())
    }

    fn major(&self) -> &str {
        self.version.split('.').next().unwrap_or_default()
    }

    /// `bookworm`; distributions without code names have `NA` or, where Ansible has them, words of their own.
    fn release(&self) -> &str {
        match self.id.as_str() {
            "centos" if self.name.contains("Stream") => "Stream",
            "fedora" => "",
            _ if self.codename.is_empty() => "NA",
            _ => &self.codename,
        }
    }
}

pub(super) fn distribution(look: &dyn Look, _: &str, facts: &mut Map) {
    let Some(found) = Release::read(look) else {
        set(facts, "distribution", "Linux");
        set(facts, "os_family", "Linux");
        return;
    };
    let name = found.known().map_or(found.name.as_str(), |(_, name, _)| name);
    set(facts, "distribution", name);
    set(facts, "distribution_version", found.version.as_str());
    set(facts, "distribution_major_version", found.major());
    set(facts, "distribution_minor_version", found.version.split('.').nth(1).unwrap_or_default());
    set(facts, "distribution_release", found.release());
    set(facts, "distribution_file_parsed", true);
    set(facts, "distribution_file_path", "/etc/os-release");
    set(facts, "distribution_file_variety", found.family());
    set(facts, "os_family", found.family());
}

/// What `lsb_release` would say, without running it.
pub(super) fn lsb(look: &dyn Look, _: &str, facts: &mut Map) {
    let found = Release::read(look).filter(|found| found.family() == "Debian");
    let lsb = found.map(|found| {
        let name = found.known().map_or(found.name.as_str(), |(_, name, _)| name);
        let release = if found.id == "debian" { found.major() } else { &found.version };
        map([
            ("codename", found.codename.as_str().into()),
            ("description", found.pretty.as_str().into()),
            ("id", name.into()),
            ("major_release", found.major().into()),
            ("release", release.into()),
        ])
    });
    set(facts, "lsb", lsb.unwrap_or_default());
}

/// A program and what Ansible calls the package manager that it belongs to; the first that is there.
const MANAGERS: &[(&str, &str)] = &[
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/dnf-3", "dnf"),
    ("/usr/bin/dnf", "dnf"),
    ("/usr/bin/yum", "yum"),
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/zypper", "zypper"),
    ("/usr/bin/pacman", "pacman"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/emerge", "portage"),
];

pub(super) fn pkg_mgr(look: &dyn Look, _: &str, facts: &mut Map) {
    let family = Release::read(look).map(|found| found.family()).unwrap_or_default();
    // Debian also packages the others.
    let is_apt = family == "Debian" && look.exists("/usr/bin/apt-get");
    let found = MANAGERS.iter().find(|(program, _)| look.exists(program)).map_or("unknown", |(_, name)| name);
    set(facts, "pkg_mgr", if is_apt { "apt" } else { found });
}
