//! `group`: a group of the host.

use super::user::accounts::{Group, check_name, tool};
use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(super) const MODULE: Module = Module {
    name: "group",
    collection: "ansible.builtin",
    summary: "manages groups",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the group").required(),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("gid", Kind::Int, "its number"),
    Arg::new("system", Kind::Bool, "take the number from those for the system").default("no"),
    Arg::new("non_unique", Kind::Bool, "another group may have the number").default("no"),
    Arg::new("force", Kind::Bool, "delete it even if it is the primary group of a user").default("no"),
    Arg::new("local", Kind::Bool, "groups are always looked for in the host's own files first").default("no"),
    Arg::new("gid_min", Kind::Int, "lowest number to choose from"),
    Arg::new("gid_max", Kind::Int, "highest number to choose from"),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    if args.bool("non_unique") && !args.has("gid") {
        return Err(Failure::new("non_unique is True but all of the following are missing: gid"));
    }
    let found = Group::find(look, name).filter(|group| group.name == name);
    // Whatever cannot be a name is absent.
    if found.is_some() || args.str("state") != Some("absent") {
        check_name(name)?;
    }
    let mut plan = Plan::default();
    plan.set("name", name).set("state", args.str("state"));
    if let Some(group) = &found {
        plan.set("gid", group.gid).set("system", args.bool("system"));
    }
    let change = match (args.str("state"), found) {
        (Some("absent"), None) => None,
        (Some("absent"), Some(group)) => Some(delete(args, look, &group)?),
        (_, None) => Some(create(args, look, name)?),
        (_, Some(group)) => renumber(args, look, &group)?,
    };
    plan.changes.extend(change);
    Ok(plan)
}

fn finish(args: &Args, values: Map, _: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    if let Some(group) = Group::find(look, args.required("name")?) {
        values.insert("gid".into(), group.gid.into());
        values.insert("system".into(), args.bool("system").into());
    }
    Ok(values)
}

fn create(args: &Args, look: &dyn Look, name: &str) -> Result<Change, Failure> {
    if let Some(bound) = ["gid_min", "gid_max"].into_iter().find(|bound| args.bool("local") && args.has(bound)) {
        return Err(Failure::new(format!("`{bound}` cannot be used with `local`")));
    }
    let mut argv = vec![tool(look, "groupadd")?];
    argv.extend(numbered(args));
    for (arg, key) in [("gid_min", "GID_MIN"), ("gid_max", "GID_MAX")] {
        if let Some(number) = args.int(arg) {
            argv.extend(["-K".to_owned(), format!("{key}={number}")]);
        }
    }
    if args.bool("system") {
        argv.push("-r".to_owned());
    }
    argv.push(name.to_owned());
    Ok(Change::new(format!("group {name}"), Value::Null, shown("present", args.int("gid")), Act::Run(Cmd::new(argv))))
}

fn numbered(args: &Args) -> Vec<String> {
    let Some(gid) = args.int("gid") else { return Vec::new() };
    let mut words = vec!["-g".to_owned(), gid.to_string()];
    if args.bool("non_unique") {
        words.push("-o".to_owned());
    }
    words
}

fn delete(args: &Args, look: &dyn Look, group: &Group) -> Result<Change, Failure> {
    let mut argv = vec![tool(look, "groupdel")?];
    if args.bool("force") {
        argv.push("--force".to_owned());
    }
    argv.push(group.name.clone());
    let before = shown("present", Some(group.gid.into()));
    Ok(Change::new(format!("group {}", group.name), before, Value::Null, Act::Run(Cmd::new(argv))))
}

fn renumber(args: &Args, look: &dyn Look, group: &Group) -> Result<Option<Change>, Failure> {
    let Some(gid) = args.int("gid").filter(|gid| *gid != i64::from(group.gid)) else { return Ok(None) };
    let argv = std::iter::once(tool(look, "groupmod")?).chain(numbered(args)).chain([group.name.clone()]);
    let (before, after) = (shown("present", Some(group.gid.into())), shown("present", Some(gid)));
    Ok(Some(Change::new(format!("group {}", group.name), before, after, Act::Run(Cmd::new(argv)))))
}

fn shown(state: &str, gid: Option<i64>) -> Map {
    let gid = gid.map(|gid| ("gid".into(), Value::Int(gid)));
    std::iter::once(("state".into(), Value::from(state))).chain(gid).collect()
}
