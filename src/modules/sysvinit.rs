//! `sysvinit`: a service that a script in `/etc/init.d` controls, whatever else runs on the host.

use super::service::{Init, script};
use super::{Arg, Args, Failure, Kind, Look, Module, Plan, Rule, finish_plainly};

pub(super) static MODULE: Module = Module {
    name: "sysvinit",
    collection: "ansible.builtin",
    summary: "manages services by their scripts in /etc/init.d",
    args: &[&[
        Arg::new("name", Kind::Str, "the service").aliases(&["service"]).required(),
        Arg::new("state", Kind::Str, "`restarted` and `reloaded` always act").choices(&[
            "reloaded",
            "restarted",
            "started",
            "stopped",
        ]),
        Arg::new("enabled", Kind::Bool, "whether it starts at boot"),
        Arg::new("sleep", Kind::Int, "seconds between stop and start of `restarted`").default("1"),
        Arg::new("pattern", Kind::Str, "a process with this in its command line stands for a running service"),
        Arg::new("runlevels", Kind::List, "only these; all that the script names if not given"),
        Arg::new("arguments", Kind::Str, "more words for the script").aliases(&["args"]),
        Arg::new("daemonize", Kind::Bool, "scripts are always run so that they may leave something running")
            .inert()
            .default("no"),
    ]],
    rules: &[Rule::OneOf(&["state", "enabled"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    script(args, look, Init::SysV)
}
