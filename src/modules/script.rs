//! `_script`: the host's half of `script`. The script is there only while it runs.

use super::command::{any_exists, finish, plan_run};
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "_script",
    collection: "ansible.builtin",
    summary: "run a script that the control side sends",
    args: &[&[
        Arg::new("_blob", Kind::Str, "sha256 of the script").required().hidden(),
        Arg::new("_arguments", Kind::Str, "what stands behind it on its line, for the shell").hidden(),
        Arg::new("chdir", Kind::Path, "change to this directory first"),
        Arg::new("creates", Kind::Path, "do nothing if this file or glob exists"),
        Arg::new("removes", Kind::Path, "do nothing unless this file or glob exists"),
        Arg::new("executable", Kind::Str, "what runs it"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_script,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let hash = args.required("_blob")?;
    let dir = look.env("TMPDIR").unwrap_or_else(|| "/tmp".to_owned());
    let path = format!("{dir}/roll-script-{}-{}", &hash[..hash.len().min(12)], (look.now() * 1e6) as u64);
    let quoted = super::words::quote(&path);
    let words = [args.str("executable"), Some(quoted.as_str()), args.str("_arguments")];
    let line = words.into_iter().flatten().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ");
    if let Some(msg) = needless(args, look) {
        return Ok(Plan { skipped: Some(msg), ..Plan::default() });
    }
    let mut plan = plan_run(args, look, vec!["/bin/sh".to_owned(), "-c".to_owned(), line], Value::Null)?;
    plan.values.shift_remove("cmd");
    if plan.changes.is_empty() {
        return Ok(plan);
    }
    let attrs = Attrs { mode: Some(0o700), ..Attrs::default() };
    let write = Write { attrs, ..Write::new(&path, Content::Blob(hash.to_owned())) };
    plan.changes.insert(0, Change::step(&path, Act::Write(write)));
    plan.push(Change::step(&path, Act::Remove { path: path.clone() }));
    Ok(plan)
}

/// Other than `command`, a script that `creates` or `removes` make needless is passed over.
fn needless(args: &Args, look: &dyn Look) -> Option<String> {
    let exists = |path: &str| any_exists(look, args.str("chdir"), path);
    let made = args.str("creates").filter(|path| exists(path)).map(|path| format!("{path} exists, matching creates option"));
    let gone = args.str("removes").filter(|path| !exists(path));
    made.or_else(|| gone.map(|path| format!("{path} does not exist, matching removes option")))
}

fn finish_script(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    finish(args, values, done.get(1..2).unwrap_or_default(), look)
}
