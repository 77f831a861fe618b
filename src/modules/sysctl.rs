//! `sysctl`: a setting of the kernel, in a file and, if asked for, at once.

use super::edit::TextFile;
use super::{Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule, finish_plainly};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "sysctl",
    collection: "ansible.posix",
    summary: "set options of the kernel",
    args: &[&[
        Arg::new("name", Kind::Str, "the option, such as `net.ipv4.ip_forward`").aliases(&["key"]).required(),
        Arg::new("value", Kind::Str, "its value").aliases(&["val"]),
        Arg::new("state", Kind::Str, "whether it is in the file").choices(&["absent", "present"]).default("present"),
        Arg::new("sysctl_file", Kind::Path, "the file").default("/etc/sysctl.conf"),
        Arg::new("sysctl_set", Kind::Bool, "set it at once, too").default("no"),
        Arg::new("reload", Kind::Bool, "load the file after changing it").default("yes"),
        Arg::new("ignoreerrors", Kind::Bool, "options that the kernel does not know are no failure").default("no"),
    ]],
    rules: &[Rule::If("state", "present", &["value"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?.trim();
    let value = number_of(args.str("value").unwrap_or_default().trim());
    let is_present = args.str("state") != Some("absent");
    if name.is_empty() || is_present && value.is_empty() {
        let what = if name.is_empty() { "name" } else { "value" };
        return Err(Failure::new(format!("{what} cannot be blank")));
    }
    let file = TextFile::open(look, args.required("sysctl_file")?)?;
    let mut plan = Plan::default();
    let path = file.path.clone();
    let after = edited(&file.text, name, is_present.then_some(value));
    if is_present || file.found.is_some() {
        file.become_text(&Args::default(), look, &after, "", &mut plan)?;
    }
    let is_changed = !plan.changes.is_empty();
    plan.values.shift_remove("msg");
    let ignore: &[&str] = if args.bool("ignoreerrors") { &["-e"] } else { &[] };
    if is_present && args.bool("sysctl_set") {
        set(look, name, value, ignore, &mut plan)?;
    }
    if is_changed && args.bool("reload") {
        let program = look.require("sysctl", "procps")?;
        let argv = [program.as_str()].into_iter().chain(ignore.iter().copied()).chain(["-p", &path]);
        plan.push(Change::run("sysctl -p", Cmd::new(argv)));
    }
    Ok(plan)
}

/// The kernel knows no words for true and false.
fn number_of(value: &str) -> &str {
    match value.to_lowercase().as_str() {
        "yes" | "y" | "on" | "true" | "t" => "1",
        "no" | "n" | "off" | "false" | "f" => "0",
        _ => value,
    }
}

fn set(look: &dyn Look, name: &str, value: &str, ignore: &[&str], plan: &mut Plan) -> Result<(), Failure> {
    let found = look.text(&format!("/proc/sys/{}", place(name))).ok().flatten();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if found.as_deref().map(words) == Some(words(value)) {
        return Ok(());
    }
    let program = look.require("sysctl", "procps")?;
    let setting = format!("{name}={value}");
    let argv = [program.as_str()].into_iter().chain(ignore.iter().copied()).chain(["-w", &setting]);
    let before = Value::from(found.map(|text| text.trim().to_owned()));
    plan.push(Change { before, after: value.into(), ..Change::run(name, Cmd::new(argv)) });
    Ok(())
}

/// Dots divide and slashes are dots, or, if a slash comes first, the other way round.
fn place(name: &str) -> String {
    match name.find(['.', '/']).map(|at| &name[at..=at]) {
        Some("/") => name.to_owned(),
        _ => name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
    }
}

/// The text with the setting once, in its first place or at the end; without it where there is no value.
fn edited(text: &str, name: &str, value: Option<&str>) -> String {
    let mut is_there = false;
    let mut out = String::new();
    for line in text.lines() {
        let is_comment = line.trim_start().starts_with(['#', ';']);
        let setting = line.split_once('=').filter(|(key, _)| !is_comment && key.trim().trim_start_matches('-') == name);
        let Some((_, found)) = setting else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let Some(value) = value.filter(|_| !is_there) else { continue };
        is_there = true;
        if found.trim() == value {
            out.push_str(line);
        } else {
            out.push_str(&format!("{name}={value}"));
        }
        out.push('\n');
    }
    if let Some(value) = value.filter(|_| !is_there) {
        out.push_str(&format!("{name}={value}\n"));
    }
    // A file that only lacks its last line break is as wanted.
    if out.trim_end_matches('\n') == text.trim_end_matches('\n') { text.to_owned() } else { out }
}
