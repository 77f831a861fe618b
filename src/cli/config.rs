//! `ansible.cfg` and `ANSIBLE_*`: the settings that exist here as well.

use crate::diag::{Diagnostic, Sources, Span};
use crate::value::Value;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// One setting: in the environment, else in the file.
#[derive(Debug)]
struct Setting {
    name: &'static str,
    section: &'static str,
    key: &'static str,
    env: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Bool,
    Number,
    /// Relative to the file it stands in.
    Path,
    /// Several, between colons.
    Paths,
    /// Several, between commas.
    Texts,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Bool => "yes or no",
            Kind::Number => "a number",
            Kind::Path => "a path",
            Kind::Paths => "paths, with colons between them",
            Kind::Texts => "a list, with commas between its items",
        }
    }
}

const fn row(name: &'static str, section: &'static str, key: &'static str, env: &'static str, kind: Kind) -> Setting {
    Setting { name, section, key, env, kind }
}

/// Several rows may have one name: the first that says something counts.
static SETTINGS: &[Setting] = &[
    row("any_errors_fatal", "defaults", "any_errors_fatal", "ANSIBLE_ANY_ERRORS_FATAL", Kind::Bool),
    row("ask_pass", "defaults", "ask_pass", "ANSIBLE_ASK_PASS", Kind::Bool),
    row("ask_vault_pass", "defaults", "ask_vault_pass", "ANSIBLE_ASK_VAULT_PASS", Kind::Bool),
    row("become", "privilege_escalation", "become", "ANSIBLE_BECOME", Kind::Bool),
    row("become_ask_pass", "privilege_escalation", "become_ask_pass", "ANSIBLE_BECOME_ASK_PASS", Kind::Bool),
    row("become_method", "privilege_escalation", "become_method", "ANSIBLE_BECOME_METHOD", Kind::Text),
    row("become_password_file", "defaults", "become_password_file", "ANSIBLE_BECOME_PASSWORD_FILE", Kind::Path),
    row("become_user", "privilege_escalation", "become_user", "ANSIBLE_BECOME_USER", Kind::Text),
    row("callback_result_format", "defaults", "callback_result_format", "ANSIBLE_CALLBACK_RESULT_FORMAT", Kind::Text),
    row("collections_path", "defaults", "collections_path", "ANSIBLE_COLLECTIONS_PATH", Kind::Paths),
    row("collections_path", "defaults", "collections_paths", "ANSIBLE_COLLECTIONS_PATHS", Kind::Paths),
    row(
        "collections_on_ansible_version_mismatch",
        "defaults",
        "collections_on_ansible_version_mismatch",
        "ANSIBLE_COLLECTIONS_ON_ANSIBLE_VERSION_MISMATCH",
        Kind::Text,
    ),
    row("connection", "defaults", "transport", "ANSIBLE_TRANSPORT", Kind::Text),
    row("connection_password_file", "defaults", "connection_password_file", "ANSIBLE_CONNECTION_PASSWORD_FILE", Kind::Path),
    row("deprecation_warnings", "defaults", "deprecation_warnings", "ANSIBLE_DEPRECATION_WARNINGS", Kind::Bool),
    row("diff", "diff", "always", "ANSIBLE_DIFF_ALWAYS", Kind::Bool),
    row("display_ok_hosts", "defaults", "display_ok_hosts", "ANSIBLE_DISPLAY_OK_HOSTS", Kind::Bool),
    row("display_skipped_hosts", "defaults", "display_skipped_hosts", "ANSIBLE_DISPLAY_SKIPPED_HOSTS", Kind::Bool),
    row("duplicate_dict_key", "defaults", "duplicate_dict_key", "ANSIBLE_DUPLICATE_YAML_DICT_KEY", Kind::Text),
    row("error_on_missing_handler", "defaults", "error_on_missing_handler", "ANSIBLE_ERROR_ON_MISSING_HANDLER", Kind::Bool),
    row("fact_caching", "defaults", "fact_caching", "ANSIBLE_CACHE_PLUGIN", Kind::Text),
    row("fact_caching_connection", "defaults", "fact_caching_connection", "ANSIBLE_CACHE_PLUGIN_CONNECTION", Kind::Path),
    row("fact_caching_prefix", "defaults", "fact_caching_prefix", "ANSIBLE_CACHE_PLUGIN_PREFIX", Kind::Text),
    row("fact_caching_timeout", "defaults", "fact_caching_timeout", "ANSIBLE_CACHE_PLUGIN_TIMEOUT", Kind::Number),
    row("force_color", "defaults", "force_color", "ANSIBLE_FORCE_COLOR", Kind::Bool),
    row("force_handlers", "defaults", "force_handlers", "ANSIBLE_FORCE_HANDLERS", Kind::Bool),
    row("forks", "defaults", "forks", "ANSIBLE_FORKS", Kind::Number),
    row("galaxy_server", "galaxy", "server", "ANSIBLE_GALAXY_SERVER", Kind::Text),
    row("gathering", "defaults", "gathering", "ANSIBLE_GATHERING", Kind::Text),
    row("hash_behaviour", "defaults", "hash_behaviour", "ANSIBLE_HASH_BEHAVIOUR", Kind::Text),
    row("host_key_checking", "ssh_connection", "host_key_checking", "ANSIBLE_SSH_HOST_KEY_CHECKING", Kind::Bool),
    row("host_key_checking", "defaults", "host_key_checking", "ANSIBLE_HOST_KEY_CHECKING", Kind::Bool),
    row("inventory", "defaults", "inventory", "ANSIBLE_INVENTORY", Kind::Texts),
    row("jinja2_native", "defaults", "jinja2_native", "ANSIBLE_JINJA2_NATIVE", Kind::Bool),
    row("library", "defaults", "library", "ANSIBLE_LIBRARY", Kind::Paths),
    row("nocolor", "defaults", "nocolor", "ANSIBLE_NOCOLOR", Kind::Bool),
    row("private_key_file", "defaults", "private_key_file", "ANSIBLE_PRIVATE_KEY_FILE", Kind::Path),
    row("remote_user", "defaults", "remote_user", "ANSIBLE_REMOTE_USER", Kind::Text),
    row("retries", "ssh_connection", "retries", "ANSIBLE_SSH_RETRIES", Kind::Number),
    row("retries", "connection", "retries", "ANSIBLE_SSH_RETRIES", Kind::Number),
    row("retry_files_enabled", "defaults", "retry_files_enabled", "ANSIBLE_RETRY_FILES_ENABLED", Kind::Bool),
    row("retry_files_save_path", "defaults", "retry_files_save_path", "ANSIBLE_RETRY_FILES_SAVE_PATH", Kind::Path),
    row("roles_path", "defaults", "roles_path", "ANSIBLE_ROLES_PATH", Kind::Paths),
    row("show_custom_stats", "defaults", "show_custom_stats", "ANSIBLE_SHOW_CUSTOM_STATS", Kind::Bool),
    row("skip_tags", "tags", "skip", "ANSIBLE_SKIP_TAGS", Kind::Texts),
    row("ssh_args", "ssh_connection", "ssh_args", "ANSIBLE_SSH_ARGS", Kind::Text),
    row("ssh_common_args", "ssh_connection", "ssh_common_args", "ANSIBLE_SSH_COMMON_ARGS", Kind::Text),
    row("ssh_extra_args", "ssh_connection", "ssh_extra_args", "ANSIBLE_SSH_EXTRA_ARGS", Kind::Text),
    row("strategy", "defaults", "strategy", "ANSIBLE_STRATEGY", Kind::Text),
    row("stdout_callback", "defaults", "stdout_callback", "ANSIBLE_STDOUT_CALLBACK", Kind::Text),
    row("tags", "tags", "run", "ANSIBLE_RUN_TAGS", Kind::Texts),
    row("task_timeout", "defaults", "task_timeout", "ANSIBLE_TASK_TIMEOUT", Kind::Number),
    row("timeout", "ssh_connection", "timeout", "ANSIBLE_SSH_TIMEOUT", Kind::Number),
    row("timeout", "defaults", "timeout", "ANSIBLE_TIMEOUT", Kind::Number),
    row("vault_encrypt_identity", "defaults", "vault_encrypt_identity", "ANSIBLE_VAULT_ENCRYPT_IDENTITY", Kind::Text),
    row("vault_encrypt_salt", "defaults", "vault_encrypt_salt", "ANSIBLE_VAULT_ENCRYPT_SALT", Kind::Text),
    row("vault_id_match", "defaults", "vault_id_match", "ANSIBLE_VAULT_ID_MATCH", Kind::Bool),
    row("vault_identity", "defaults", "vault_identity", "ANSIBLE_VAULT_IDENTITY", Kind::Text),
    row("vault_identity_list", "defaults", "vault_identity_list", "ANSIBLE_VAULT_IDENTITY_LIST", Kind::Texts),
    row("vault_password_file", "defaults", "vault_password_file", "ANSIBLE_VAULT_PASSWORD_FILE", Kind::Path),
    row("verbosity", "defaults", "verbosity", "ANSIBLE_VERBOSITY", Kind::Number),
];

/// Layouts of the output that exist here; the last two for commands without a playbook.
const STDOUT_CALLBACKS: [&str; 4] = ["default", "yaml", "minimal", "oneline"];

/// Settings that would change what a run does, and have no effect here: silence about them would be a lie.
static WITHOUT_EFFECT: &[(&str, &str, &str)] = &[
    ("defaults", "action_plugins", "ANSIBLE_ACTION_PLUGINS"),
    ("defaults", "callback_whitelist", "ANSIBLE_CALLBACK_WHITELIST"),
    ("defaults", "callbacks_enabled", "ANSIBLE_CALLBACKS_ENABLED"),
    ("defaults", "check_mode_markers", "ANSIBLE_CHECK_MODE_MARKERS"),
    ("defaults", "connection_plugins", "ANSIBLE_CONNECTION_PLUGINS"),
    ("defaults", "display_args_to_stdout", "ANSIBLE_DISPLAY_ARGS_TO_STDOUT"),
    ("defaults", "error_on_undefined_vars", "ANSIBLE_ERROR_ON_UNDEFINED_VARS"),
    ("defaults", "executable", "ANSIBLE_EXECUTABLE"),
    ("defaults", "filter_plugins", "ANSIBLE_FILTER_PLUGINS"),
    ("defaults", "inventory_plugins", "ANSIBLE_INVENTORY_PLUGINS"),
    ("defaults", "jinja2_extensions", "ANSIBLE_JINJA2_EXTENSIONS"),
    ("defaults", "lookup_plugins", "ANSIBLE_LOOKUP_PLUGINS"),
    ("defaults", "no_log", "ANSIBLE_NO_LOG"),
    ("defaults", "private_role_vars", "ANSIBLE_PRIVATE_ROLE_VARS"),
    ("defaults", "remote_port", "ANSIBLE_REMOTE_PORT"),
    ("defaults", "show_per_host_start", "ANSIBLE_SHOW_PER_HOST_START"),
    ("defaults", "test_plugins", "ANSIBLE_TEST_PLUGINS"),
    ("defaults", "vars_plugins", "ANSIBLE_VARS_PLUGINS"),
    ("privilege_escalation", "become_exe", "ANSIBLE_BECOME_EXE"),
    ("privilege_escalation", "become_flags", "ANSIBLE_BECOME_FLAGS"),
];

const NAME: &str = "ansible.cfg";

/// What the environment and the file say.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
    pub(super) diagnostics: Vec<Diagnostic>,
    found: HashMap<&'static str, Found>,
}

#[derive(Debug)]
struct Found {
    text: String,
    /// What relative paths are relative to.
    base: PathBuf,
    /// The setting's variable, if that said it.
    env: Option<&'static str>,
}

/// A setting for people to read.
pub(super) struct Row {
    pub(super) setting: String,
    pub(super) env: &'static str,
    pub(super) kind: &'static str,
    /// What it is set to, and by what.
    pub(super) found: Option<(String, String)>,
}

/// What a configuration is read from.
pub(super) struct Surroundings<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) home: Option<PathBuf>,
    /// `/etc/ansible` but in tests.
    pub(super) system: PathBuf,
}

struct Entry {
    section: String,
    key: String,
    value: String,
    span: Span,
}

impl Config {
    pub(super) fn of_process(sources: &Sources) -> Config {
        let env = |name: &str| std::env::var(name).ok();
        Config::read(sources, &Surroundings { env: &env, home: std::env::home_dir(), system: "/etc/ansible".into() })
    }

    pub(super) fn read(sources: &Sources, around: &Surroundings<'_>) -> Config {
        let mut config = Config::default();
        let entries = config.entries(sources, around);
        for setting in SETTINGS {
            config.resolve(setting, &entries, around);
        }
        for (section, key, env) in WITHOUT_EFFECT {
            let entry = entries.iter().find(|entry| entry.section == *section && entry.key == *key);
            config.mention(key, entry, (around.env)(env).map(|_| *env));
        }
        if config.stdout_callback().is_some_and(|name| !STDOUT_CALLBACKS.contains(&name)) {
            let entry = entries.iter().rev().find(|entry| entry.key == "stdout_callback");
            let env = "ANSIBLE_STDOUT_CALLBACK";
            config.mention("stdout_callback", entry, (around.env)(env).map(|_| env));
        }
        config
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.found.get(name).map(|found| found.text.as_str())
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.bool(name).unwrap_or(false)
    }

    pub(super) fn bool(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(|text| Value::from(text).to_bool())
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.found.get(name).map(|found| found.path(&found.text))
    }

    pub(super) fn paths(&self, name: &str) -> Option<Vec<PathBuf>> {
        let found = self.found.get(name)?;
        Some(found.text.split(':').map(str::trim).filter(|text| !text.is_empty()).map(|text| found.path(text)).collect())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
    }

    /// Every setting that is known here, in order.
    pub(super) fn rows(&self) -> Vec<Row> {
        let file = self.file.as_deref().map(|file| file.display().to_string()).unwrap_or_default();
        let row = |setting: &Setting| {
            let by = |found: &Found| found.env.map_or_else(|| file.clone(), |env| format!("env: {env}"));
            let found = self.found.get(setting.name).map(|found| (found.text.clone(), by(found)));
            Row { setting: format!("{}.{}", setting.section, setting.key), env: setting.env, kind: setting.kind.word(), found }
        };
        SETTINGS.iter().map(row).collect()
    }

    /// Results as YAML; the callback `yaml` did that before there was a setting.
    pub(super) fn wants_yaml(&self) -> bool {
        self.text("callback_result_format") == Some("yaml") || self.stdout_callback() == Some("yaml")
    }

    /// Without the name of its collection.
    fn stdout_callback(&self) -> Option<&str> {
        self.text("stdout_callback")?.rsplit('.').next()
    }

    /// Inventories: paths, but for lists of hosts.
    pub(super) fn inventories(&self) -> Vec<String> {
        let Some(found) = self.found.get("inventory") else { return Vec::new() };
        let sources = self.texts("inventory");
        let is_hosts = found.text.contains(',') && sources.iter().all(|source| !found.path(source).exists());
        if is_hosts {
            vec![found.text.clone()]
        } else {
            sources.iter().map(|source| found.path(source).to_string_lossy().into_owned()).collect()
        }
    }

    fn resolve(&mut self, setting: &Setting, entries: &[Entry], around: &Surroundings<'_>) {
        if self.found.contains_key(setting.name) {
            return;
        }
        if let Some(text) = (around.env)(setting.env).filter(|text| !text.is_empty()) {
            self.keep(setting, &with_variables(setting, &text, around), PathBuf::new(), None);
            if let Some(found) = self.found.get_mut(setting.name) {
                found.env = Some(setting.env);
            }
        } else if let Some(entry) =
            entries.iter().rev().find(|entry| entry.section == setting.section && entry.key == setting.key)
        {
            let base = self.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
            self.keep(setting, &with_variables(setting, &entry.value, around), base, Some(entry.span));
        }
    }

    fn keep(&mut self, setting: &Setting, text: &str, base: PathBuf, span: Option<Span>) {
        let is_right = match setting.kind {
            Kind::Bool => Value::from(text).to_bool().is_some(),
            Kind::Number => text.parse::<u64>().is_ok(),
            Kind::Text | Kind::Path | Kind::Paths | Kind::Texts => true,
        };
        if is_right {
            self.found.insert(setting.name, Found { text: text.to_owned(), base, env: None });
            return;
        }
        let wanted = if setting.kind == Kind::Bool { "yes or no" } else { "a number" };
        let name = span.map_or(setting.env, |_| setting.key);
        let mut diagnostic = Diagnostic::error("bad-setting", format!("`{name}` is {wanted}, not `{text}`"));
        if let Some(span) = span {
            diagnostic = diagnostic.at(span, format!("not {wanted}"));
        }
        self.diagnostics.push(diagnostic);
    }

    fn mention(&mut self, key: &str, entry: Option<&Entry>, env: Option<&str>) {
        let diagnostic = match (env, entry) {
            (Some(env), _) => Diagnostic::warning("setting-without-effect", format!("`{env}` has no effect")),
            (None, Some(entry)) => Diagnostic::warning("setting-without-effect", format!("setting `{key}` has no effect"))
                .at(entry.span, "not known here"),
            (None, None) => return,
        };
        self.diagnostics.push(diagnostic);
    }

    /// The first file that exists, read.
    fn entries(&mut self, sources: &Sources, around: &Surroundings<'_>) -> Vec<Entry> {
        let Some(file) = self.find(around) else { return Vec::new() };
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                self.diagnostics.push(Diagnostic::error("unreadable-file", format!("cannot read `{}`: {error}", file.display())));
                return Vec::new();
            }
        };
        let source = sources.add(file.to_string_lossy().into_owned(), text.as_str());
        self.file = Some(std::path::absolute(&file).unwrap_or(file));
        self.parse(&text, source)
    }

    fn find(&mut self, around: &Surroundings<'_>) -> Option<PathBuf> {
        if let Some(named) = (around.env)("ANSIBLE_CONFIG").filter(|named| !named.is_empty()) {
            let path = expanded(&named, around.home.as_deref());
            let path = if path.is_dir() { path.join(NAME) } else { path };
            if path.is_file() {
                return Some(path);
            }
        }
        let here = Path::new(NAME);
        if here.is_file() {
            let is_open = std::fs::metadata(".").is_ok_and(|data| data.permissions().mode() & 0o002 != 0);
            if !is_open {
                return Some(here.to_owned());
            }
            self.diagnostics.push(
                Diagnostic::warning("open-directory", "`ansible.cfg` is ignored: anybody can write to this directory")
                    .help("take the right away with `chmod o-w .`, or name the file with ANSIBLE_CONFIG"),
            );
        }
        let home = around.home.iter().map(|home| home.join(".ansible.cfg"));
        home.chain([around.system.join(NAME)]).find(|path| path.is_file())
    }

    /// Sections with `key = value`; `#` and `;` begin a comment, an indented line goes on.
    fn parse(&mut self, text: &str, source: u32) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut section = String::new();
        let place = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let content = line.split(" ;").next().unwrap_or(line).trim_end();
            let bare = content.trim_start();
            let offset = start + (content.len() - bare.len());
            let span = Span { source, start: place(offset), end: place(offset + bare.len()) };
            start += line.len();
            if bare.is_empty() || bare.starts_with(['#', ';']) {
                continue;
            }
            if content.len() > bare.len()
                && let Some(entry) = entries.last_mut()
            {
                entry.value.push(' ');
                entry.value.push_str(bare);
            } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.trim().to_owned();
            } else if let Some((key, value)) = bare.split_once(['=', ':']) {
                entries.push(Entry {
                    section: section.clone(),
                    key: key.trim().to_lowercase(),
                    value: value.trim().to_owned(),
                    span,
                });
            } else {
                self.diagnostics.push(
                    Diagnostic::error("bad-config", "the line is neither a section nor a setting")
                        .at(span, "not `key = value`")
                        .help("begin a comment with `#`"),
                );
            }
        }
        entries
    }
}

impl Found {
    fn path(&self, text: &str) -> PathBuf {
        let text = text.replace("{{CWD}}", ".").replace("{{ CWD }}", ".");
        self.base.join(expanded(&text, std::env::home_dir().as_deref()))
    }
}

/// `$NAME` and `${NAME}` in paths; what the environment does not know stays as it is.
fn with_variables(setting: &Setting, text: &str, around: &Surroundings<'_>) -> String {
    let holds_paths = matches!(setting.kind, Kind::Path | Kind::Paths) || setting.name == "inventory";
    let mut pieces = text.split('$');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = match piece.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(named) => named,
            None => piece.split_at(piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len())),
        };
        match (around.env)(name).filter(|_| holds_paths) {
            Some(value) => out.extend([value.as_str(), rest]),
            None => out.extend(["$", piece]),
        }
    }
    out
}

/// `~` and `~/x`.
pub(super) fn expanded(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, env: &[(&str, &str)]) -> Config {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".ansible.cfg"), text).unwrap();
        let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Config::read(
            &Sources::default(),
            &Surroundings { env: &env, home: Some(dir.path().to_owned()), system: "/nowhere".into() },
        )
    }

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let config = config(
            "[defaults]\nforks = 7 ; many\nremote_user: deploy\n# c\n[ssh_connection]\nssh_args = -o A=b\n  -o C=d\n",
            &[("ANSIBLE_FORKS", "9")],
        );
        assert_eq!(config.number("forks"), Some(9));
        assert_eq!(config.text("remote_user"), Some("deploy"));
        assert_eq!(config.text("ssh_args"), Some("-o A=b -o C=d"));
        assert!(config.diagnostics.is_empty());
    }

    #[test]
    fn wrong_settings_are_errors_and_those_without_effect_warnings() {
        let config = config("[defaults]\nforks = many\nexecutable = /bin/ksh\nnothing\n", &[("ANSIBLE_NO_LOG", "true")]);
        let codes: Vec<&str> = config.diagnostics.iter().map(|found| found.code.as_str()).collect();
        assert_eq!(codes, ["bad-config", "bad-setting", "setting-without-effect", "setting-without-effect"]);
        assert_eq!(config.number("forks"), None);
    }

    /// Whatever is written, the reader neither panics nor goes on for ever, and what it finds points into the text.
    #[test]
    fn no_text_breaks_the_reader() {
        let seed = "[defaults]\nforks = 7 ; many\nroles_path = a:b\ninventory=h1,h2\n# c\n[ssh_connection]\nssh_args = -o A=b\n  -o C=d\n";
        let spice = [
            "[",
            "]",
            "=",
            ":",
            "\n",
            "\r\n",
            "  ",
            ";",
            "#",
            "é",
            "\0",
            "\u{feff}",
            ",",
            "~",
            "%(here)s",
            "\"",
            "99999999999999999999",
        ];
        let mut state = 7_u64;
        let mut roll = move |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % sides.max(1)
        };
        let seconds = std::env::var("ROLL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let (started, limit) = (std::time::Instant::now(), std::time::Duration::from_secs(seconds));
        let mut round = 0;
        while round < 2000 || started.elapsed() < limit {
            round += 1;
            let mut text: Vec<char> = seed.chars().collect();
            for _ in 0..=roll(5) {
                let at = roll(text.len());
                match roll(3) {
                    0 => text.truncate(at),
                    _ => drop(text.splice(at..at, spice[roll(spice.len())].chars())),
                }
            }
            let text: String = text.into_iter().collect();
            let config = config(&text, &[]);
            super::super::constants::settings(&config);
            for label in config.diagnostics.iter().flat_map(|found| &found.labels) {
                assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{text:?}");
            }
        }
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = config("[defaults]\nroles_path = roles:/usr/share/roles\ninventory = hosts,/etc/hosts\n", &[]);
        let folder = config.file.as_deref().and_then(Path::parent).unwrap().to_owned();
        assert_eq!(config.paths("roles_path"), Some(vec![folder.join("roles"), "/usr/share/roles".into()]));
        assert_eq!(config.inventories(), [folder.join("hosts").to_string_lossy().into_owned(), "/etc/hosts".into()]);
    }
}
