//! `modprobe`: a module of the kernel, now and after the next boot.

use super::edit::TextFile;
use super::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly, paths};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "modprobe",
    collection: "community.general",
    summary: "load and unload modules of the kernel",
    args: &[&[
        Arg::new("name", Kind::Str, "the module").required(),
        Arg::new("state", Kind::Str, "whether it is loaded").choices(&["absent", "present"]).default("present"),
        Arg::new("params", Kind::Str, "parameters for it").default(""),
        Arg::new("persistent", Kind::Str, "whether it is loaded at boot; `disabled` leaves that alone")
            .choices(&["absent", "disabled", "present"])
            .default("disabled"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Directories of what is loaded at boot, and of parameters.
const LOADED: &str = "/etc/modules-load.d";
const PARAMETERS: &str = "/etc/modprobe.d";

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    let params = args.str("params").unwrap_or_default();
    let state = args.str("state").unwrap_or("present");
    let mut plan = Plan::default();
    plan.set("name", name).set("params", params).set("state", state);
    let is_loaded = is_loaded(look, name);
    if is_loaded != (state == "present") {
        let program = look.require("modprobe", "kmod")?;
        let words: Vec<&str> =
            if is_loaded { vec!["-r", name] } else { [name].into_iter().chain(params.split_whitespace()).collect() };
        let shown = |state: &str| Value::pair("state", state);
        let before = if is_loaded { "present" } else { "absent" };
        let run = Change::run(name, Cmd::new([program.as_str()].into_iter().chain(words)));
        plan.push(Change { before: shown(before), after: shown(state), ..run });
    }
    match args.str("persistent") {
        Some("present") => {
            keep(look, LOADED, name, name, &mut plan)?;
            if !params.is_empty() {
                keep(look, PARAMETERS, name, &format!("options {name} {params}"), &mut plan)?;
            }
        }
        Some("absent") => {
            forget(look, LOADED, &|line| line == name, &mut plan)?;
            let prefix = format!("options {name} ");
            forget(look, PARAMETERS, &|line| line.starts_with(&prefix), &mut plan)?;
        }
        _ => {}
    }
    plan.values.shift_remove("msg");
    Ok(plan)
}

fn is_loaded(look: &dyn Look, name: &str) -> bool {
    let plain = |name: &str| name.replace('-', "_");
    let text = look.text("/proc/modules").ok().flatten().unwrap_or_default();
    if text.lines().any(|line| line.split(' ').next() == Some(plain(name).as_str())) {
        return true;
    }
    let release = look.text("/proc/sys/kernel/osrelease").ok().flatten().unwrap_or_default();
    let built_in = look.text(&format!("/lib/modules/{}/modules.builtin", release.trim())).ok().flatten().unwrap_or_default();
    built_in.lines().any(|line| plain(paths::base_name(line).split(".ko").next().unwrap_or_default()) == plain(name))
}

fn files(look: &dyn Look, dir: &str) -> Vec<String> {
    let names = look.list(dir).unwrap_or_default();
    names.into_iter().filter(|name| name.ends_with(".conf")).map(|name| format!("{dir}/{name}")).collect()
}

/// That one of the files has this line.
fn keep(look: &dyn Look, dir: &str, name: &str, line: &str, plan: &mut Plan) -> Result<(), Failure> {
    for path in files(look, dir) {
        let text = look.text(&path).ok().flatten().unwrap_or_default();
        if text.lines().any(|other| other.trim() == line) {
            return Ok(());
        }
    }
    let file = TextFile::open(look, &format!("{dir}/{name}.conf"))?;
    file.become_text(&Args::default(), look, &format!("{line}\n"), "", plan)
}

/// That no file has such a line; those that do get a `#` before it.
fn forget(look: &dyn Look, dir: &str, is_meant: &dyn Fn(&str) -> bool, plan: &mut Plan) -> Result<(), Failure> {
    for path in files(look, dir) {
        let file = TextFile::open(look, &path)?;
        let comment = |line: &str| if is_meant(line.trim()) { format!("#{line}\n") } else { format!("{line}\n") };
        if file.text.lines().any(|line| is_meant(line.trim())) {
            let after: String = file.text.lines().map(comment).collect();
            file.become_text(&Args::default(), look, &after, "", plan)?;
        }
    }
    Ok(())
}
