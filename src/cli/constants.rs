//! Settings by the names that `lookup('config', …)` knows.

use super::config::Config;
use crate::value::{Map, Value};

/// What a setting is where nothing says otherwise.
#[derive(Clone, Copy)]
enum Default {
    Null,
    No,
    Yes,
    Number(i64),
    Text(&'static str),
    Empty,
    /// Directories; `~` is the home.
    Places(&'static [&'static str]),
    Texts(&'static [&'static str]),
}

/// Nobody draws them here; playbooks may still ask.
const COWS: &[&str] = &[
    "bud-frogs",
    "bunny",
    "cheese",
    "daemon",
    "default",
    "dragon",
    "elephant-in-snake",
    "elephant",
    "eyes",
    "hellokitty",
    "kitty",
    "luke-koala",
    "meow",
    "milk",
    "moofasa",
    "moose",
    "ren",
    "sheep",
    "small",
    "stegosaurus",
    "stimpy",
    "supermilker",
    "three-eyes",
    "turkey",
    "turtle",
    "tux",
    "udder",
    "vader-koala",
    "vader",
    "www",
];

/// Ansible's name, the name here (none for what cannot be set), and the default.
static CONSTANTS: &[(&str, &str, Default)] = &[
    ("ANSIBLE_COW_ACCEPTLIST", "", Default::Texts(COWS)),
    ("ANSIBLE_COW_PATH", "", Default::Null),
    ("ANSIBLE_COW_SELECTION", "", Default::Text("default")),
    ("ANSIBLE_FORCE_COLOR", "force_color", Default::No),
    ("ANSIBLE_NOCOLOR", "nocolor", Default::No),
    ("CACHE_PLUGIN", "fact_caching", Default::Text("memory")),
    ("COLLECTIONS_PATHS", "", Default::Places(&["~/.ansible/collections", "/usr/share/ansible/collections"])),
    ("DEFAULT_ASK_PASS", "ask_pass", Default::No),
    ("DEFAULT_ASK_VAULT_PASS", "ask_vault_pass", Default::No),
    ("DEFAULT_BECOME", "become", Default::No),
    ("DEFAULT_BECOME_ASK_PASS", "become_ask_pass", Default::No),
    ("DEFAULT_BECOME_METHOD", "become_method", Default::Text("sudo")),
    ("DEFAULT_BECOME_USER", "become_user", Default::Text("root")),
    ("DEFAULT_EXECUTABLE", "", Default::Text("/bin/sh")),
    ("DEFAULT_FORCE_HANDLERS", "force_handlers", Default::No),
    ("DEFAULT_FORKS", "forks", Default::Number(5)),
    ("DEFAULT_GATHERING", "gathering", Default::Text("implicit")),
    ("DEFAULT_HASH_BEHAVIOUR", "hash_behaviour", Default::Text("replace")),
    ("DEFAULT_HOST_LIST", "inventory", Default::Places(&["/etc/ansible/hosts"])),
    ("DEFAULT_JINJA2_NATIVE", "jinja2_native", Default::Yes),
    ("DEFAULT_MANAGED_STR", "", Default::Text("Ansible managed")),
    ("DEFAULT_NO_LOG", "", Default::No),
    ("DEFAULT_PRIVATE_KEY_FILE", "private_key_file", Default::Null),
    ("DEFAULT_REMOTE_USER", "remote_user", Default::Null),
    (
        "DEFAULT_ROLES_PATH",
        "roles_path",
        Default::Places(&["~/.ansible/roles", "/usr/share/ansible/roles", "/etc/ansible/roles"]),
    ),
    ("DEFAULT_STRATEGY", "strategy", Default::Text("linear")),
    ("DEFAULT_TIMEOUT", "timeout", Default::Number(10)),
    ("DEFAULT_TRANSPORT", "connection", Default::Text("ssh")),
    ("DEFAULT_VAULT_IDENTITY", "vault_identity", Default::Text("default")),
    ("DEFAULT_VAULT_IDENTITY_LIST", "vault_identity_list", Default::Empty),
    ("DEFAULT_VAULT_ID_MATCH", "vault_id_match", Default::No),
    ("DEFAULT_VAULT_PASSWORD_FILE", "vault_password_file", Default::Null),
    ("DEFAULT_VERBOSITY", "verbosity", Default::Number(0)),
    ("DIFF_ALWAYS", "diff", Default::No),
    ("HOST_KEY_CHECKING", "host_key_checking", Default::Yes),
    ("INJECT_FACTS_AS_VARS", "", Default::Yes),
    ("RETRY_FILES_ENABLED", "", Default::No),
    ("TAGS_RUN", "tags", Default::Empty),
    ("TAGS_SKIP", "skip_tags", Default::Empty),
];

/// All of them, as they are for this run.
pub(super) fn settings(config: &Config) -> Map {
    let home = std::env::home_dir().map(|home| home.to_string_lossy().into_owned()).unwrap_or_default();
    let mut all: Map = CONSTANTS
        .iter()
        .map(|(name, own, default)| ((*name).into(), set(config, own, *default).unwrap_or_else(|| usual(*default, &home))))
        .collect();
    all.insert("CONFIG_FILE".into(), config.file.as_ref().map(|file| file.to_string_lossy().into_owned()).into());
    all
}

/// What environment or file say; a text becomes what its default is.
fn set(config: &Config, own: &str, default: Default) -> Option<Value> {
    let text = config.text(own)?;
    match default {
        Default::No | Default::Yes => config.bool(own).map(Value::Bool),
        Default::Number(_) => text.parse().ok().map(Value::Int),
        Default::Empty | Default::Texts(_) => Some(config.texts(own).into()),
        Default::Places(_) if own == "inventory" => Some(config.inventories().into()),
        Default::Places(_) => {
            let paths = config.paths(own).unwrap_or_default();
            Some(paths.iter().map(|path| Value::from(path.to_string_lossy().into_owned())).collect())
        }
        Default::Null if own.ends_with("_file") => config.path(own).map(|path| Value::from(path.to_string_lossy().into_owned())),
        Default::Null | Default::Text(_) => Some(Value::from(text)),
    }
}

fn usual(default: Default, home: &str) -> Value {
    match default {
        Default::Null => Value::Null,
        Default::No => Value::Bool(false),
        Default::Yes => Value::Bool(true),
        Default::Number(number) => Value::Int(number),
        Default::Text(text) => text.into(),
        Default::Texts(texts) => texts.iter().copied().map(Value::from).collect(),
        Default::Empty => Value::list(Vec::new()),
        Default::Places(places) => places.iter().map(|place| Value::from(place.replacen('~', home, 1))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_sets_is_as_in_ansible() {
        let settings = settings(&Config::default());
        assert_eq!(settings.get("DEFAULT_FORKS"), Some(&Value::Int(5)));
        assert_eq!(settings.get("HOST_KEY_CHECKING"), Some(&Value::Bool(true)));
        assert_eq!(settings.get("DEFAULT_REMOTE_USER"), Some(&Value::Null));
        assert_eq!(settings.get("DEFAULT_HOST_LIST").map(Value::to_json).as_deref(), Some(r#"["/etc/ansible/hosts"]"#));
    }
}
