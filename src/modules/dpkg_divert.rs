//! `dpkg_divert`: that packages put their copy of a file elsewhere, so that this one stays.

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "dpkg_divert",
    collection: "community.general",
    summary: "packages put their copy of a file elsewhere",
    args: &[&[
        Arg::new("path", Kind::Path, "the file that is diverted").required(),
        Arg::new("divert", Kind::Path, "where the copy of packages goes; the path with `.distrib` when not given"),
        Arg::new("holder", Kind::Str, "the package whose copy is not diverted; `LOCAL` when not given"),
        Arg::new("rename", Kind::Bool, "move the file too, when a diversion begins or ends").default("false"),
        Arg::new("force", Kind::Bool, "with `rename`: over a file that is there").default("false"),
        Arg::new("state", Kind::Str, "whether it is diverted").choices(&["absent", "present"]).default("present"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

/// The name of the holder where it is nobody's package.
const NOBODY: &str = "LOCAL";

#[derive(Clone, PartialEq)]
struct Diversion {
    holder: String,
    divert: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let program = look.require("dpkg-divert", "dpkg")?;
    let before = diversion(look, &program, path)?;
    let after = (args.str("state") != Some("absent")).then(|| Diversion {
        holder: args.str("holder").unwrap_or(NOBODY).to_owned(),
        divert: args.str("divert").map_or_else(|| format!("{path}.distrib"), str::to_owned),
    });
    let mut plan = Plan::default();
    plan.set("diversion", shown(path, after.as_ref())).set("commands", Vec::<Value>::new());
    if before == after {
        return Ok(plan);
    }
    // A file moves when its diversion begins or ends, not when it only becomes another one.
    let moves = match (&before, &after) {
        (None, Some(begun)) => Some((path, begun.divert.as_str())),
        (Some(ended), None) => Some((ended.divert.as_str(), path)),
        _ => None,
    };
    let moves = moves.filter(|_| args.bool("rename"));
    if let Some((from, to)) = moves
        && is_there(look, from)?
        && is_there(look, to)?
    {
        if !args.bool("force") {
            let msg = format!("cannot rename {from}: {to} is there already (`force: true` renames over it)");
            return Err(Failure::new(msg).with("diversion", shown(path, before.as_ref())));
        }
        plan.push(Change::step(to, Act::Remove { path: to.to_owned() }));
    }
    let with = |words: &[&str]| {
        let rename = if moves.is_some() { "--rename" } else { "--no-rename" };
        [program.as_str(), rename].iter().chain(words).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let remove = before.is_some().then(|| with(&["--remove", path]));
    let add = after.as_ref().map(|after| {
        let mut words = if after.holder == NOBODY { vec!["--local"] } else { vec!["--package", &after.holder] };
        words.extend(args.str("divert").into_iter().flat_map(|divert| ["--divert", divert]));
        words.extend(["--add", path]);
        with(&words)
    });
    let commands = || remove.iter().chain(&add);
    plan.set("commands", commands().map(|words| words.join(" ").into()).collect::<Vec<Value>>());
    // Both together are one change to look at.
    let mut sides: (Value, Value) = (shown(path, before.as_ref()).into(), shown(path, after.as_ref()).into());
    for words in commands() {
        let (before, after) = std::mem::take(&mut sides);
        plan.push(Change::new(path, before, after, Act::Run(Cmd::new(words).env("LC_ALL", "C"))));
    }
    Ok(plan)
}

fn is_there(look: &dyn Look, path: &str) -> Result<bool, Failure> {
    look.stat(path, false)
        .map(|found| found.is_some())
        .map_err(|error| Failure::io(format_args!("cannot look at {path}"), &error))
}

fn finish(_: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let said = done.iter().filter_map(|one| one.values.get("stdout")).map(|said| said.to_text().as_str().to_owned());
    let lines = said.flat_map(|said| said.lines().map(Value::from).collect::<Vec<_>>());
    values.insert("messages".into(), lines.collect::<Vec<_>>().into());
    Ok(values)
}

fn shown(path: &str, diversion: Option<&Diversion>) -> Map {
    let of = |part: fn(&Diversion) -> &String| diversion.map_or(Value::Null, |diversion| part(diversion).as_str().into());
    Map::from_iter([
        ("divert".into(), of(|diversion| &diversion.divert)),
        ("holder".into(), of(|diversion| &diversion.holder)),
        ("path".into(), path.into()),
        ("state".into(), if diversion.is_some() { "present" } else { "absent" }.into()),
    ])
}

/// What dpkg knows of a file.
fn diversion(look: &dyn Look, program: &str, path: &str) -> Result<Option<Diversion>, Failure> {
    let ask = |what: &str| {
        let output = look.run(&Cmd::new([program, what, path]).env("LC_ALL", "C"))?;
        if output.is_success() {
            Ok(output.stdout_text().trim_end_matches('\n').to_owned())
        } else {
            Err(Failure::of_command(format_args!("cannot read the diversion of {path}"), &output))
        }
    };
    let holder = ask("--listpackage")?;
    if holder.is_empty() {
        return Ok(None);
    }
    Ok(Some(Diversion { holder, divert: ask("--truename")? }))
}
