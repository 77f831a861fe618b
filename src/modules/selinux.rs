//! `selinux`: policy and mode of SELinux, and what its other modules share.

use super::edit::TextFile;
use super::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "selinux",
    collection: "ansible.posix",
    summary: "set policy and mode of SELinux",
    args: &[&[
        Arg::new("policy", Kind::Str, "such as `targeted`"),
        Arg::new("state", Kind::Str, "the mode").choices(&["disabled", "enforcing", "permissive"]).required(),
        Arg::new("configfile", Kind::Path, "the file").aliases(&["conf", "file"]).default("/etc/selinux/config"),
        Arg::new("update_kernel_param", Kind::Bool, "also on the kernel's command line").default("no"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// SELinux as the kernel has it: enforcing or not; none where it is off.
pub(super) fn enforcing(look: &dyn Look) -> Option<bool> {
    look.text("/sys/fs/selinux/enforce").ok().flatten().map(|text| text.trim() == "1")
}

/// The name of the policy, as the host is configured.
pub(super) fn policy(look: &dyn Look) -> Option<String> {
    let text = look.text("/etc/selinux/config").ok().flatten()?;
    text.lines().find_map(|line| line.strip_prefix("SELINUXTYPE=")).map(|policy| policy.trim().to_owned())
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let wanted = args.required("state")?;
    let path = args.required("configfile")?;
    let file = TextFile::open(look, path)?;
    if file.found.is_none() {
        return Err(Failure::new(format!("Unable to find file {path}; SELinux is not installed on this host")));
    }
    let setting = |key: &str| {
        file.text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(|text| text.trim().to_owned())
    };
    let policy = args.str("policy").map(str::to_owned).or_else(|| setting("SELINUXTYPE")).unwrap_or_default();
    if wanted != "disabled" && args.str("policy").is_none_or(str::is_empty) {
        return Err(Failure::new("Policy is required if state is not 'disabled'"));
    }
    let now = enforcing(look);
    let mut plan = Plan::default();
    plan.set("policy", policy.as_str()).set("state", wanted).set("configfile", path).set("msg", "");
    let needs_reboot = (wanted == "disabled") != now.is_none();
    plan.set("reboot_required", needs_reboot);
    let line = |line: &str| {
        let changed = [("SELINUX", wanted), ("SELINUXTYPE", policy.as_str())];
        let known = changed.iter().find(|(key, _)| line.strip_prefix(key).is_some_and(|rest| rest.starts_with('=')));
        known.map_or_else(|| format!("{line}\n"), |(key, value)| format!("{key}={value}\n"))
    };
    let after: String = file.text.lines().map(line).collect();
    file.become_text(&Args::default(), look, &after, "", &mut plan)?;
    let should = wanted == "enforcing";
    if now.is_some_and(|now| now != should) {
        let program = look.require("setenforce", "libselinux-utils")?;
        let shown = |is_on: bool| Value::from(if is_on { "enforcing" } else { "permissive" });
        let run = Change::run("setenforce", Cmd::new([program.as_str(), if should { "1" } else { "0" }]));
        plan.push(Change { before: shown(!should), after: shown(should), ..run });
    }
    if args.bool("update_kernel_param") {
        kernel(look, wanted, &mut plan)?;
    }
    let msg = if needs_reboot && !plan.changes.is_empty() { "The host must be rebooted for this to take effect" } else { "" };
    plan.set("msg", msg);
    Ok(plan)
}

fn kernel(look: &dyn Look, wanted: &str, plan: &mut Plan) -> Result<(), Failure> {
    let program = look.require("grubby", "grubby")?;
    let output = look.run(&Cmd::new([program.as_str(), "--info=ALL"]))?;
    let is_off = output.stdout_text().lines().filter(|line| line.starts_with("args=")).all(|line| line.contains("selinux=0"));
    if is_off != (wanted == "disabled") {
        let flag = if wanted == "disabled" { "--args" } else { "--remove-args" };
        let argv = [program.as_str(), "--update-kernel=ALL", flag, "selinux=0"];
        plan.push(Change::run("grubby", Cmd::new(argv)));
    }
    Ok(())
}
