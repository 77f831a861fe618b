//! Options of plugins, as `lookup('config', …, plugin_type=…, plugin_name=…)` asks for them: one row each.

use crate::template::evaluate::Eval;
use crate::template::failure::Res;
use crate::template::runtime::{Val, from_value};
use crate::value::Value;

/// A plugin whose options are known.
#[derive(Clone, Copy)]
pub(super) struct Plugin {
    kind: &'static str,
    name: &'static str,
    options: &'static [Setting],
}

struct Setting {
    name: &'static str,
    /// Variables that set it, the strongest last.
    variables: &'static [&'static str],
    /// The setting of the whole program that counts where no variable does.
    whole: &'static str,
    default: Usual,
}

#[derive(Clone, Copy)]
enum Usual {
    Nothing,
    No,
    Text(&'static str),
    Number(i64),
    /// A number, but unset.
    AnyNumber,
}

const fn row(name: &'static str, variables: &'static [&'static str], whole: &'static str, default: Usual) -> Setting {
    Setting { name, variables, whole, default }
}

static PLUGINS: &[Plugin] = &[
    Plugin {
        kind: "connection",
        name: "ssh",
        options: &[
            row("host", &["inventory_hostname", "ansible_host", "ansible_ssh_host"], "", Usual::Nothing),
            row("port", &["ansible_port", "ansible_ssh_port"], "", Usual::AnyNumber),
            row("remote_user", &["ansible_user", "ansible_ssh_user"], "DEFAULT_REMOTE_USER", Usual::Nothing),
            row("password", &["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"], "", Usual::Nothing),
            row(
                "private_key_file",
                &["ansible_private_key_file", "ansible_ssh_private_key_file"],
                "DEFAULT_PRIVATE_KEY_FILE",
                Usual::Nothing,
            ),
            row("pipelining", &["ansible_pipelining", "ansible_ssh_pipelining"], "", Usual::No),
            row("timeout", &["ansible_ssh_timeout"], "DEFAULT_TIMEOUT", Usual::Number(10)),
            row("ssh_args", &["ansible_ssh_args"], "", Usual::Text("-C -o ControlMaster=auto -o ControlPersist=60s")),
            row("ssh_common_args", &["ansible_ssh_common_args"], "", Usual::Text("")),
            row("ssh_extra_args", &["ansible_ssh_extra_args"], "", Usual::Text("")),
            row("ssh_executable", &["ansible_ssh_executable"], "", Usual::Text("ssh")),
        ],
    },
    Plugin {
        kind: "shell",
        name: "sh",
        options: &[
            row("remote_tmp", &["ansible_remote_tmp"], "", Usual::Text("~/.ansible/tmp")),
            row("async_dir", &["ansible_async_dir"], "", Usual::Text("~/.ansible_async")),
            row("world_readable_temp", &["ansible_shell_allow_world_readable_temp"], "", Usual::No),
        ],
    },
    Plugin {
        kind: "become",
        name: "sudo",
        options: &[
            row("become_user", &["ansible_become_user", "ansible_sudo_user"], "DEFAULT_BECOME_USER", Usual::Text("root")),
            row("become_exe", &["ansible_become_exe", "ansible_sudo_exe"], "", Usual::Text("sudo")),
            row("become_flags", &["ansible_become_flags", "ansible_sudo_flags"], "", Usual::Text("-H -S -n")),
            row("become_pass", &["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"], "", Usual::Nothing),
        ],
    },
];

pub(super) fn plugin(kind: &str, name: &str) -> Result<&'static Plugin, String> {
    let short = name.strip_prefix("ansible.builtin.").unwrap_or(name);
    let found = PLUGINS.iter().find(|plugin| plugin.kind == kind && plugin.name == short);
    found.ok_or_else(|| format!("Unable to load {kind} plugin \"{name}\""))
}

/// What the option is for this host, and what says so.
pub(super) fn of_plugin(eval: &mut Eval<'_>, plugin: &Plugin, option: &str) -> Res<Option<(Val, String)>> {
    let Some(setting) = plugin.options.iter().find(|setting| setting.name == option) else { return Ok(None) };
    for name in setting.variables.iter().rev() {
        if let Some(value) = eval.variable(name)? {
            return Ok(Some((typed(value, setting.default), format!("var: {name}"))));
        }
    }
    let whole = eval.world.setting(setting.whole).filter(|value| !value.is_null());
    let value = whole.unwrap_or_else(|| usual(setting.default));
    Ok(Some((from_value(&value), "default".to_owned())))
}

fn typed(value: Val, usual: Usual) -> Val {
    match usual {
        Usual::Number(_) | Usual::AnyNumber => value.to_text().trim().parse().map_or(value, Val::Int),
        Usual::No => value.to_value().ok().and_then(|value| value.to_bool()).map_or(value, Val::Bool),
        Usual::Nothing | Usual::Text(_) => value,
    }
}

fn usual(usual: Usual) -> Value {
    match usual {
        Usual::Nothing | Usual::AnyNumber => Value::Null,
        Usual::No => Value::Bool(false),
        Usual::Text(text) => text.into(),
        Usual::Number(number) => Value::Int(number),
    }
}
