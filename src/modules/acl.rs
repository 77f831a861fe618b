//! `acl`: access lists of files, by `getfacl` and `setfacl`.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "acl",
    collection: "ansible.posix",
    summary: "see to access lists of files",
    args: &[&[
        Arg::new("path", Kind::Path, "the file or directory").aliases(&["name"]).required(),
        Arg::new("entry", Kind::Str, "type, entity and permissions in one, as setfacl takes them"),
        Arg::new("entity", Kind::Str, "user or group").default(""),
        Arg::new("etype", Kind::Str, "what the entity is").choices(&["group", "mask", "other", "user"]),
        Arg::new("permissions", Kind::Str, "such as `rwX`"),
        Arg::new("state", Kind::Str, "whether the entry is there; `query` only looks")
            .choices(&["absent", "present", "query"])
            .default("query"),
        Arg::new("default", Kind::Bool, "what new files in the directory get").default("no"),
        Arg::new("recursive", Kind::Bool, "everything in the directory too").aliases(&["recurse"]).default("no"),
        Arg::new("follow", Kind::Bool, "treat what a link points to").default("yes"),
        Arg::new("recalculate_mask", Kind::Str, "what happens to the mask")
            .choices(&["default", "mask", "no_mask"])
            .default("default"),
        Arg::new("use_nfsv4_acls", Kind::Bool, "lists of NFSv4; not known here").default("no"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let state = args.str("state").unwrap_or("query");
    if args.bool("use_nfsv4_acls") {
        return Err(Failure::new("access lists of NFSv4 are not supported: only those that setfacl knows"));
    }
    if !matches!(look.stat(path, args.bool("follow")), Ok(Some(_))) {
        return Err(Failure::new("Path not found or not accessible."));
    }
    let getter = look.require("getfacl", "acl")?;
    let mut flags = Vec::new();
    flags.extend(args.bool("recursive").then_some("--recursive"));
    flags.extend((!args.bool("follow")).then_some("--physical"));
    let words = ["--omit-header", "--absolute-names"];
    let output = look.run(&Cmd::new([getter.as_str()].into_iter().chain(words).chain(flags.iter().copied()).chain([path])))?;
    if !output.is_success() {
        return Err(Failure::of_command(format_args!("cannot read the access list of {path}"), &output));
    }
    let text = output.stdout_text();
    let list: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let mut plan = Plan::default();
    plan.set("acl", list.iter().map(|line| Value::from(*line)).collect::<Value>());
    if state == "query" {
        plan.set("msg", "current acl");
        return Ok(plan);
    }
    let entry = entry(args, state)?;
    plan.set("msg", format!("{entry} is {state}"));
    let setter = look.require("setfacl", "acl")?;
    let mask: &[&str] = match args.str("recalculate_mask") {
        Some("mask") => &["--mask"],
        Some("no_mask") => &["--no-mask"],
        _ => &[],
    };
    let action = if state == "present" { "--modify" } else { "--remove" };
    let own = flags.iter().copied().chain(mask.iter().copied());
    let cmd = |test: Option<&'static str>| {
        let argv = [setter.as_str()].into_iter().chain(test).chain(own.clone()).chain([action, entry.as_str(), path]);
        Cmd::new(argv.map(str::to_owned).collect::<Vec<_>>())
    };
    let tested = look.run(&cmd(Some("--test")))?;
    if !tested.is_success() {
        return Err(Failure::of_command(format_args!("cannot set {entry} on {path}"), &tested));
    }
    // It writes `*` for a list that stays as it is.
    let stays = |line: &str| line.trim_end().ends_with("*,*");
    if tested.stdout_text().lines().filter(|line| !line.is_empty()).all(stays) {
        return Ok(plan);
    }
    plan.push(Change::new(path, text.as_str(), entry.as_str(), Act::Run(cmd(None))));
    Ok(plan)
}

/// `default:user:web:rwx`.
fn entry(args: &Args, state: &str) -> Result<String, Failure> {
    if let Some(entry) = args.str("entry").filter(|entry| !entry.is_empty()) {
        if args.has("etype") || args.str("entity").is_some_and(|entity| !entity.is_empty()) || args.has("permissions") {
            return Err(Failure::new("'entry' MUST NOT be set when 'entity', 'etype' or 'permissions' are set."));
        }
        let parts = entry.split(':').count() - usize::from(entry.starts_with("d:") || entry.starts_with("default:"));
        let wanted = if state == "present" { 3 } else { 2 };
        if parts != wanted {
            return Err(Failure::new(format!("'entry' MUST have {wanted} sections divided by ':' when 'state={state}'.")));
        }
        return Ok(entry.to_owned());
    }
    let kind =
        args.str("etype").ok_or_else(|| Failure::new(format!("'state={state}' needs 'entry', or 'etype' and 'permissions'")))?;
    let default = if args.bool("default") { "default:" } else { "" };
    let entity = args.str("entity").unwrap_or_default();
    match (state, args.str("permissions")) {
        ("present", None) => Err(Failure::new("'permissions' MUST be set when 'state=present'.")),
        ("present", Some(permissions)) => Ok(format!("{default}{kind}:{entity}:{permissions}")),
        (_, Some(_)) => Err(Failure::new("'permissions' MUST NOT be set when 'state=absent'.")),
        (_, None) => Ok(format!("{default}{kind}:{entity}")),
    }
}
