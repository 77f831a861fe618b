//! `ping`: says that a host can be reached and worked on.

use super::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};

pub(super) static MODULE: Module = Module {
    name: "ping",
    collection: "ansible.builtin",
    summary: "say that the host can be reached and worked on",
    args: &[&[Arg::new("data", Kind::Str, "what to answer; `crash` fails").default("pong")]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, _: &dyn Look) -> Result<Plan, Failure> {
    let data = args.required("data")?;
    if data == "crash" {
        // Where Ansible's own program would have come to grief.
        return Err(Failure::new("boom").with("module_stdout", "").with("module_stderr", "Exception: boom").with("rc", 1));
    }
    let mut plan = Plan::default();
    plan.set("ping", data);
    Ok(plan)
}
