//! `ssh_config` files: what they say for one host.
//!
//! Keywords in any case, the first value wins, `Host` and `Match` with negation, `Include`, quotes. Only the keywords that
//! this client honours are kept; the others are ignored, as a client with fewer features does. See `route` for what the
//! values come to.

use super::pattern;
use crate::diag::Diagnostic;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What is honoured, in lower case.
const KEYWORDS: &[&str] = &[
    "hostname",
    "user",
    "port",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "identityagent",
    "proxyjump",
    "proxycommand",
    "userknownhostsfile",
    "globalknownhostsfile",
    "stricthostkeychecking",
    "hostkeyalias",
    "hashknownhosts",
    "connecttimeout",
    "connectionattempts",
    "serveraliveinterval",
    "serveralivecountmax",
    "passwordauthentication",
    "kbdinteractiveauthentication",
    "pubkeyauthentication",
];
/// Keywords whose every value counts.
const REPEATABLE: &[&str] = &["identityfile", "certificatefile"];
const INCLUDE_DEPTH_MAX: usize = 16;

/// The lines of all files, read once.
#[derive(Debug, Default)]
pub(crate) struct Config {
    files: Vec<Vec<Item>>,
    pub(super) warnings: Vec<Diagnostic>,
}

#[derive(Debug)]
enum Item {
    Set(String, Setting),
    Host(Vec<String>),
    Match(Vec<Criterion>),
    /// The files that one `Include` line names; `Host` in them does not reach beyond their end.
    Include(Vec<Vec<Item>>),
}

#[derive(Debug)]
struct Criterion {
    is_negated: bool,
    kind: String,
    patterns: String,
}

/// One value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    pub(super) words: Vec<String>,
    pub(super) origin: String,
}

/// What holds for one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    first: HashMap<String, Setting>,
    all: HashMap<String, Vec<Setting>>,
}

impl Config {
    /// Reads the files in order: what the first says wins. `home` is for `~` and for relative includes.
    pub(crate) fn read(files: &[PathBuf], home: Option<&Path>) -> Config {
        let mut config = Config::default();
        for file in files {
            let items = config.read_file(file, home, 0);
            config.files.push(items);
        }
        config
    }

    #[cfg(test)]
    pub(super) fn of_text(text: &str) -> Config {
        let mut config = Config::default();
        let items = config.parse(text, Path::new("/home/ada/.ssh/config"), None, 0);
        config.files.push(items);
        config
    }

    fn read_file(&mut self, file: &Path, home: Option<&Path>, depth: usize) -> Vec<Item> {
        match std::fs::read_to_string(file) {
            Ok(text) => self.parse(&text, file, home, depth),
            Err(_) => Vec::new(),
        }
    }

    fn parse(&mut self, text: &str, file: &Path, home: Option<&Path>, depth: usize) -> Vec<Item> {
        let mut items = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let origin = format!("{}:{}", file.display(), number + 1);
            let Some((keyword, rest)) = keyword(line) else { continue };
            match keyword.as_str() {
                "host" => items.push(Item::Host(words(rest))),
                "match" => items.push(Item::Match(self.criteria(rest, &origin))),
                "include" => items.push(Item::Include(self.includes(rest, file, home, depth))),
                known if KEYWORDS.contains(&known) => {
                    items.push(Item::Set(keyword.clone(), Setting { words: arguments(known, rest), origin }));
                }
                _ => {}
            }
        }
        items
    }

    fn includes(&mut self, rest: &str, file: &Path, home: Option<&Path>, depth: usize) -> Vec<Vec<Item>> {
        if depth >= INCLUDE_DEPTH_MAX {
            self.warnings.push(Diagnostic::warning("ssh-config", format!("includes nest too deeply in `{}`", file.display())));
            return Vec::new();
        }
        let base = file.parent().unwrap_or(Path::new("/"));
        let mut included = Vec::new();
        for word in words(rest) {
            let path = match (word.strip_prefix("~/"), home) {
                (Some(below), Some(home)) => home.join(below),
                _ => base.join(&word),
            };
            for one in expand_glob(&path) {
                included.push(self.read_file(&one, home, depth + 1));
            }
        }
        included
    }

    fn criteria(&mut self, rest: &str, origin: &str) -> Vec<Criterion> {
        let mut words = words(rest).into_iter();
        let mut criteria = Vec::new();
        while let Some(word) = words.next() {
            let is_negated = word.starts_with('!');
            let kind = word.trim_start_matches('!').to_lowercase();
            let takes_value = !matches!(kind.as_str(), "all" | "canonical" | "final");
            let patterns = if takes_value { words.next().unwrap_or_default() } else { String::new() };
            if kind == "exec" {
                self.warnings.push(
                    Diagnostic::warning("ssh-config", format!("`Match exec` at {origin} is not carried out"))
                        .note("the lines below it are taken as not matching"),
                );
            }
            criteria.push(Criterion { is_negated, kind, patterns });
        }
        criteria
    }

    /// What the files say for a host that was asked for as `original`, on top of what is `given` on the command line.
    pub(super) fn lookup(&self, original: &str, local_user: &str, given: Options) -> Options {
        let mut options = given;
        for file in &self.files {
            visit(file, true, &Who { original, local_user }, &mut options);
        }
        options
    }
}

struct Who<'a> {
    original: &'a str,
    local_user: &'a str,
}

fn visit(items: &[Item], is_active: bool, who: &Who<'_>, options: &mut Options) {
    let mut applies = is_active;
    for item in items {
        match item {
            Item::Host(patterns) => {
                applies = is_active && pattern::admits(patterns.iter().map(String::as_str), who.original);
            }
            Item::Match(criteria) => applies = is_active && criteria.iter().all(|one| one.holds(who, options)),
            Item::Include(files) if applies => files.iter().for_each(|file| visit(file, true, who, options)),
            Item::Set(keyword, setting) if applies => options.add(keyword, setting.clone()),
            Item::Include(_) | Item::Set(..) => {}
        }
    }
}

impl Criterion {
    fn holds(&self, who: &Who<'_>, options: &Options) -> bool {
        let is_among = |text: &str| pattern::admits(self.patterns.split(','), text);
        let truth = match self.kind.as_str() {
            "all" => true,
            "host" => {
                let name = options.word("hostname").map(|name| name.replace("%h", who.original));
                is_among(name.as_deref().unwrap_or(who.original))
            }
            "originalhost" => is_among(who.original),
            "user" => is_among(options.word("user").unwrap_or(who.local_user)),
            "localuser" => is_among(who.local_user),
            // What is not understood holds neither way.
            _ => return false,
        };
        truth != self.is_negated
    }
}

impl Options {
    /// Adds a value unless one is there (or the keyword collects all of them).
    pub(super) fn add(&mut self, keyword: &str, setting: Setting) {
        if REPEATABLE.contains(&keyword) {
            self.all.entry(keyword.to_owned()).or_default().push(setting);
        } else {
            self.first.entry(keyword.to_owned()).or_insert(setting);
        }
    }

    pub(super) fn set(&mut self, keyword: &str, value: impl Into<String>, origin: &str) {
        self.add(keyword, Setting { words: vec![value.into()], origin: origin.to_owned() });
    }

    /// Adds `Keyword=value` as it stands after `-o`; whether it was understood.
    pub(super) fn add_line(&mut self, line: &str, origin: &str) -> bool {
        let Some((keyword, rest)) = keyword(line) else { return false };
        if !KEYWORDS.contains(&keyword.as_str()) {
            return false;
        }
        let words = arguments(&keyword, rest);
        self.add(&keyword, Setting { words, origin: origin.to_owned() });
        true
    }

    pub(super) fn get(&self, keyword: &str) -> Option<&Setting> {
        self.first.get(keyword)
    }

    pub(super) fn word(&self, keyword: &str) -> Option<&str> {
        self.get(keyword)?.words.first().map(String::as_str)
    }

    pub(super) fn each(&self, keyword: &str) -> impl Iterator<Item = &Setting> {
        self.all.get(keyword).into_iter().flatten()
    }

    pub(super) fn is_yes(&self, keyword: &str) -> Option<bool> {
        match self.word(keyword)?.to_lowercase().as_str() {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        }
    }
}

/// Splits `Keyword value`, `Keyword=value` or `Keyword = value`.
fn keyword(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|one: char| one.is_whitespace() || one == '=').unwrap_or(line.len());
    let rest = line[end..].trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    Some((line[..end].to_lowercase(), rest))
}

/// A command is kept as it was written, everything else is split.
fn arguments(keyword: &str, rest: &str) -> Vec<String> {
    if keyword == "proxycommand" { vec![rest.to_owned()] } else { words(rest) }
}

/// Words with quotes taken off; a word that begins with `#` ends the line.
fn words(rest: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut is_open) = (None, false);
    let mut letters = rest.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(mark), _) if letter == mark => quote = None,
            (Some(_), '\\') if matches!(letters.peek(), Some('"' | '\\')) => word.extend(letters.next()),
            (Some(_), _) => word.push(letter),
            (None, '"' | '\'') => (quote, is_open) = (Some(letter), true),
            (None, '#') if !is_open => break,
            (None, _) if letter.is_whitespace() => {
                if is_open {
                    words.push(std::mem::take(&mut word));
                }
                is_open = false;
            }
            (None, _) => {
                word.push(letter);
                is_open = true;
            }
        }
    }
    if is_open {
        words.push(word);
    }
    words
}

/// The files that a path with wildcards in its last part names, sorted.
fn expand_glob(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains(['*', '?']) {
        return vec![path.to_owned()];
    }
    let Some(directory) = path.parent() else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let entry = entry.file_name().to_string_lossy().into_owned();
            !entry.starts_with('.') && pattern::matches(&name, &entry)
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(text: &str, host: &str) -> Options {
        Config::of_text(text).lookup(host, "ada", Options::default())
    }

    #[test]
    fn the_first_value_wins_and_keywords_have_any_case() {
        let options = lookup("host web*\n  USER deploy\n  Port=2222\nHost *\n User root\n Port 22\n", "web1");
        assert_eq!(options.word("user"), Some("deploy"));
        assert_eq!(options.word("port"), Some("2222"));
        assert_eq!(lookup("Host web*\nUser deploy\n", "db").word("user"), None);
    }

    #[test]
    fn negation_quotes_and_comments() {
        let text =
            "# all\nHost *.example.com !db.example.com # not the database\n  IdentityFile \"~/my keys/id\"\n  IdentityFile ~/b\n";
        let files: Vec<String> = lookup(text, "web.example.com").each("identityfile").flat_map(|one| one.words.clone()).collect();
        assert_eq!(files, ["~/my keys/id", "~/b"]);
        assert_eq!(lookup(text, "db.example.com").each("identityfile").count(), 0);
    }

    #[test]
    fn match_sees_the_host_name_and_the_user() {
        let text = "Host app\n HostName app.internal\nMatch host app.internal user !root,*\n Port 1\nMatch user root\n Port 2\n\
                    Match !originalhost app\n Port 3\nMatch all\n Port 4\n";
        assert_eq!(lookup(text, "app").word("port"), Some("1"));
        assert_eq!(lookup(text, "other").word("port"), Some("3"));
        let mut given = Options::default();
        given.set("user", "root", "-u");
        assert_eq!(Config::of_text(text).lookup("app", "ada", given).word("port"), Some("2"));
    }

    #[test]
    fn match_exec_is_refused_with_a_warning() {
        let config = Config::of_text("Match exec \"true\"\n Port 5\n");
        assert_eq!(config.lookup("a", "ada", Options::default()).word("port"), None);
        assert_eq!(config.warnings.len(), 1);
    }

    #[test]
    fn a_proxy_command_is_kept_whole() {
        let options = lookup("ProxyCommand ssh -W \"%h:%p\" 'a b' # no comment\n", "x");
        assert_eq!(options.word("proxycommand"), Some("ssh -W \"%h:%p\" 'a b' # no comment"));
    }

    #[test]
    fn includes_end_with_their_file() {
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        std::fs::create_dir_all(ssh.join("conf.d")).unwrap();
        std::fs::write(ssh.join("conf.d/10-a"), "Host other\n User wrong\n").unwrap();
        std::fs::write(ssh.join("conf.d/20-b"), "User right\n").unwrap();
        std::fs::write(ssh.join("config"), "Include conf.d/*\nPort 7\nHost none\n Include ~/.ssh/conf.d/20-b\n").unwrap();
        let config = Config::read(&[ssh.join("config")], Some(home.path()));
        let options = config.lookup("web", "ada", Options::default());
        assert_eq!(options.word("user"), Some("right"));
        assert_eq!(options.word("port"), Some("7"));
    }
}
