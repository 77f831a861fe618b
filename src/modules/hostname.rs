//! `hostname`: the name of the host, now and after the next boot.

use super::edit::TextFile;
use super::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "hostname",
    collection: "ansible.builtin",
    summary: "set the name of the host",
    args: &[&[
        Arg::new("name", Kind::Str, "the name").required(),
        Arg::new("use", Kind::Str, "ignored: /etc/hostname and the kernel are set, which all systems go by").choices(&[
            "alpine", "debian", "freebsd", "generic", "macos", "macosx", "darwin", "openbsd", "openrc", "redhat", "sles",
            "solaris", "systemd",
        ]),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// What the kernel takes.
const LENGTH_MAX: usize = 64;

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    if name.len() > LENGTH_MAX {
        return Err(Failure::new("name cannot be longer than 64 characters on Linux; use a shorter name"));
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(Failure::new(format!("`{name}` is not the name of a host: letters, digits, `-` and dots")));
    }
    let current = look.text("/proc/sys/kernel/hostname").ok().flatten().unwrap_or_default().trim().to_owned();
    let mut plan = Plan::default();
    plan.set("name", name);
    let file = TextFile::open(look, "/etc/hostname")?;
    let is_written = file.text.lines().any(|line| line.trim() == name);
    if !is_written {
        file.become_text(args, look, &format!("{name}\n"), "", &mut plan)?;
        plan.values.shift_remove("msg");
    }
    if current != name {
        let program = look.require("hostname", "hostname")?;
        let shown = |name: &str| Value::from(format!("hostname = {name}\n"));
        plan.push(Change {
            before: shown(&current),
            after: shown(name),
            ..Change::run("hostname", Cmd::new([program.as_str(), name]))
        });
    }
    let short = name.split('.').next().unwrap_or_default();
    let domain = name.split_once('.').map_or("", |(_, domain)| domain);
    let facts = [("hostname", short), ("nodename", name), ("fqdn", name), ("domain", domain)];
    let facts = facts.into_iter().map(|(key, value)| (format!("ansible_{key}").into(), Value::from(value)));
    plan.set("ansible_facts", facts.collect::<Map>());
    Ok(plan)
}
