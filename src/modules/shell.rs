//! `shell`: a command line for `/bin/sh`. See `command` for all that is shared.

use super::command::{RUN_ARGS, finish, plan_run};
use super::{Args, Failure, Look, Module, Plan, Rule};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "shell",
    collection: "ansible.builtin",
    summary: "run a command line through a shell",
    args: &[RUN_ARGS],
    rules: &[Rule::OneOf(&["_raw_params", "cmd"]), Rule::Exclusive(&["_raw_params", "cmd"])],
    free_form: Some("_raw_params"),
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let line = args.str("_raw_params").or(args.str("cmd")).unwrap_or_default();
    if line.trim().is_empty() {
        return Err(Failure::new("no command given").with("rc", 256));
    }
    let shell = args.str("executable").unwrap_or("/bin/sh");
    plan_run(args, look, vec![shell.to_owned(), "-c".to_owned(), line.to_owned()], Value::from(line))
}
