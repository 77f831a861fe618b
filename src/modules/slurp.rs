//! `slurp`: a file's bytes as base64.

use super::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use base64ct::{Base64, Encoding};
use std::io::ErrorKind;

pub(super) static MODULE: Module = Module {
    name: "slurp",
    collection: "ansible.builtin",
    summary: "read a file of the host as base64",
    args: &[&[Arg::new("src", Kind::Path, "the file to read").aliases(&["path"]).required()]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let src = args.required("src")?;
    let bytes = look.read(src).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(format!("file not found: {src}")),
        ErrorKind::PermissionDenied => Failure::new(format!("file is not readable: {src}")),
        ErrorKind::IsADirectory => Failure::new(format!("source is a directory and must be a file: {src}")),
        _ => Failure::io(format_args!("unable to slurp file {src}"), &error),
    })?;
    let mut plan = Plan::default();
    plan.set("content", Base64::encode_string(&bytes)).set("source", src).set("encoding", "base64");
    Ok(plan)
}
