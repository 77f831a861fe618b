//! `seboolean`: a switch of SELinux's policy.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly, selinux};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "seboolean",
    collection: "ansible.posix",
    summary: "turn switches of SELinux",
    args: &[&[
        Arg::new("name", Kind::Str, "the switch").required(),
        Arg::new("state", Kind::Bool, "on or off").required(),
        Arg::new("persistent", Kind::Bool, "after the next boot, too").default("no"),
        Arg::new("ignore_selinux_state", Kind::Bool, "also where SELinux is off").default("no"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    let wanted = args.bool("state");
    if selinux::enforcing(look).is_none() && !args.bool("ignore_selinux_state") {
        return Err(Failure::new("SELinux is disabled on this host."));
    }
    let program = look.require("setsebool", "policycoreutils")?;
    let text = look.text(&format!("/sys/fs/selinux/booleans/{name}")).ok().flatten();
    let now = text.as_deref().map(|text| text.starts_with('1'));
    if now.is_none() && selinux::enforcing(look).is_some() {
        return Err(Failure::new(format!("SELinux boolean {name} does not exist.")));
    }
    let kept = if args.bool("persistent") { kept(look, name) } else { Some(wanted) };
    let mut plan = Plan::default();
    plan.set("name", name).set("persistent", args.bool("persistent")).set("state", wanted);
    if now != Some(wanted) || kept != Some(wanted) {
        let flag = args.bool("persistent").then_some("-P");
        let argv = [program.as_str()].into_iter().chain(flag).chain([name, if wanted { "1" } else { "0" }]);
        let shown = |state: Option<bool>| Map::from_iter([("state".into(), Value::from(state))]);
        plan.push(Change::new(name, shown(now), shown(Some(wanted)), Act::Run(Cmd::new(argv))));
    }
    Ok(plan)
}

/// What holds after the next boot: `semanage boolean -l` shows `(on   ,   on)`.
fn kept(look: &dyn Look, name: &str) -> Option<bool> {
    let Some(program) = look.which("semanage") else { return stored(look, name) };
    let text = look.run(&Cmd::new([program.as_str(), "boolean", "-l", "-n"])).ok()?.stdout_text();
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name))?;
    let inner = line.split_once('(')?.1.split_once(')')?.0;
    inner.split(',').nth(1).map(|state| state.trim() == "on")
}

/// Where there is no semanage: what `setsebool -P` has written, which only root may read.
fn stored(look: &dyn Look, name: &str) -> Option<bool> {
    let policy = selinux::policy(look)?;
    let path = format!("/var/lib/selinux/{policy}/active/booleans.local");
    let text = look.text(&path).ok().flatten()?;
    text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name).map(|(_, state)| state.trim() == "1")
}
