//! `dpkg_selections`: what dpkg is to do with a package in upgrades (`hold` keeps it as it is).

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "dpkg_selections",
    collection: "ansible.builtin",
    summary: "holds packages, and lets them go again",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the package").required(),
    Arg::new("selection", Kind::Str, "what dpkg is to do with it").required().choices(&["install", "hold", "deinstall", "purge"]),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (name, wanted) = (args.required("name")?, args.required("selection")?);
    let dpkg = look.which("dpkg").ok_or_else(|| Failure::new("there is no dpkg on this host"))?;
    let output = look.run(&Cmd::new([dpkg.as_str(), "--get-selections", name]).timeout(Duration::from_secs(60)))?;
    let text = output.stdout_text();
    let unknown = || {
        Failure::new(format!(
            "Failed to find package '{name}' to perform selection '{wanted}': install it first, or check its name"
        ))
    };
    let before = text.split_whitespace().nth(1).ok_or_else(unknown)?;
    let mut plan = Plan::default();
    plan.set("before", before).set("after", wanted);
    if before != wanted {
        let cmd = Cmd::new([dpkg.as_str(), "--set-selections"]).stdin(format!("{name} {wanted}\n")).env("LC_ALL", "C");
        plan.push(Change::new(name, before, wanted, Act::Run(cmd)));
    }
    Ok(plan)
}
