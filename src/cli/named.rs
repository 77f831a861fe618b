//! Called by the name of one of Ansible's programs: its flags, its layout, its exit codes.

use std::ffi::OsString;
use std::path::Path;

/// What a program of Ansible is here.
struct Program {
    name: &'static str,
    /// The subcommand that stands for it; none for a run.
    word: Option<&'static str>,
}

static PROGRAMS: &[Program] = &[
    Program { name: "ansible", word: Some("exec") },
    Program { name: "ansible-config", word: Some("config") },
    Program { name: "ansible-doc", word: Some("doc") },
    Program { name: "ansible-galaxy", word: Some("galaxy") },
    Program { name: "ansible-inventory", word: Some("inventory") },
    Program { name: "ansible-playbook", word: None },
    Program { name: "ansible-vault", word: Some("vault") },
];

/// As which program it was called, and with which words.
pub(super) struct Called {
    /// `ansible-playbook` and the like; none for `roll` itself.
    pub(super) name: Option<&'static str>,
    /// As if `roll` had been called.
    pub(super) words: Vec<OsString>,
}

impl Called {
    pub(super) fn of(words: Vec<OsString>) -> Called {
        let own = words.first().and_then(|word| Path::new(word).file_name()?.to_str().map(str::to_owned)).unwrap_or_default();
        let Some(program) = PROGRAMS.iter().find(|program| program.name == own) else { return Called { name: None, words } };
        let mut all: Vec<OsString> = vec!["roll".into()];
        all.extend(program.word.map(OsString::from));
        all.extend(words.into_iter().skip(1));
        Called { name: Some(program.name), words: all }
    }

    /// Whether nothing but the version is asked for.
    pub(super) fn asks_version(&self) -> bool {
        self.name.is_some() && self.words.iter().any(|word| word == "--version")
    }

    /// A run, which has no subcommands under this name.
    pub(super) fn is_playbook(&self) -> bool {
        self.name == Some("ansible-playbook")
    }
}

/// As Ansible's programs say it, for scripts that read it.
pub(super) fn version(name: &str, config: Option<&Path>) -> String {
    let file = config.map_or_else(|| "None".to_owned(), |path| path.display().to_string());
    let program = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
    format!(
        "{name} [core {}]\n  config file = {file}\n  executable location = {program}\n  roll version = {}\n",
        crate::playbook::LANGUAGE,
        env!("CARGO_PKG_VERSION")
    )
}

/// Ansible's programs refuse a locale that is not UTF-8, and so do scripts that test for it.
pub(super) fn locale_problem(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env(name).filter(|text| !text.is_empty()))?;
    if matches!(locale.as_str(), "C" | "POSIX") {
        return None;
    }
    let Some((_, rest)) = locale.split_once('.') else {
        return Some("Ansible could not initialize the preferred locale: unsupported locale setting".to_owned());
    };
    let encoding = rest.split('@').next().unwrap_or(rest);
    let is_right = encoding.eq_ignore_ascii_case("utf-8") || encoding.eq_ignore_ascii_case("utf8");
    (!is_right).then(|| format!("Ansible requires the locale encoding to be UTF-8; Detected {encoding}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_a_subcommand() {
        let words = |line: &str| {
            let called = Called::of(line.split(' ').map(OsString::from).collect());
            (called.name, called.words.join(&OsString::from(" ")).into_string().unwrap())
        };
        assert_eq!(words("/usr/bin/ansible all -m ping"), (Some("ansible"), "roll exec all -m ping".to_owned()));
        assert_eq!(words("ansible-playbook doc"), (Some("ansible-playbook"), "roll doc".to_owned()));
        assert_eq!(words("./roll doc"), (None, "./roll doc".to_owned()));
        assert!(PROGRAMS.is_sorted_by_key(|program| program.name));
    }

    #[test]
    fn only_a_locale_that_is_known_to_be_wrong_is_refused() {
        let of = |pairs: &[(&str, &str)]| {
            locale_problem(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("LC_ALL", ""), ("LANG", "en_US.UTF-8")]), None);
        assert_eq!(of(&[("LC_ALL", "C"), ("LANG", "x")]), None);
        assert!(of(&[("LC_ALL", "ham_sandwich")]).unwrap().contains("preferred locale"));
        assert!(of(&[("LC_CTYPE", "de_DE.ISO-8859-1")]).unwrap().contains("UTF-8; Detected ISO-8859-1"));
    }
}
