//! `tempfile`: a fresh temporary file or directory.

use super::{Act, Arg, Args, Change, Done, Failure, Kind, Look, Module, Plan, attrs};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "tempfile",
    collection: "ansible.builtin",
    summary: "make a temporary file or directory",
    args: &[&[
        Arg::new("state", Kind::Str, "what to make").choices(&["directory", "file"]).default("file"),
        Arg::new("path", Kind::Path, "where"),
        Arg::new("prefix", Kind::Str, "how its name begins").default("ansible."),
        Arg::new("suffix", Kind::Str, "how its name ends").default(""),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, _: &dyn Look) -> Result<Plan, Failure> {
    let act = Act::MakeTemp {
        dir: args.str("path").map(str::to_owned),
        prefix: args.str("prefix").unwrap_or_default().to_owned(),
        suffix: args.str("suffix").unwrap_or_default().to_owned(),
        is_dir: args.str("state") == Some("directory"),
    };
    let mut plan = Plan::default();
    plan.push(Change::step("temporary file", act));
    Ok(plan)
}

fn finish(_: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    values.extend(done.iter().flat_map(|one| one.values.clone()));
    let path = values.get("path").map(Value::to_text).unwrap_or_default();
    attrs::describe(look, &path, &mut values);
    Ok(values)
}
