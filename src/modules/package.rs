//! `package`: a package, whatever manages packages on the host.

use super::{Arg, Args, Done, Failure, Kind, Look, Module, Plan, apk, apt, dnf};
use crate::value::{Map, Value};

pub(super) const MODULE: Module = Module {
    name: "package",
    collection: "ansible.builtin",
    summary: "installs and removes packages with the host's own package manager",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "packages, as the host's package manager names them").aliases(&["pkg"]),
    Arg::new("state", Kind::Str, "`present`, `absent` or `latest`").default("present"),
    Arg::new("use", Kind::Str, "which package manager, instead of finding out").default("auto"),
    Arg::new(Arg::ANY, Kind::Raw, "arguments of that package manager's module"),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (module, args) = chosen(args, look)?;
    (module.plan)(&args, look)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let (module, args) = chosen(args, look)?;
    (module.finish)(&args, values, done, look)
}

/// The module that does the work, and its arguments.
fn chosen(args: &Args, look: &dyn Look) -> Result<(&'static Module, Args), Failure> {
    let module = manager(args.str("use").unwrap_or("auto"), look)?;
    let mut given: Map = args
        .all()
        .iter()
        .filter(|(key, _)| key.as_str() != Some("use"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let state = match args.str("state") {
        Some("installed") => "present",
        Some("removed") => "absent",
        other => other.unwrap_or("present"),
    };
    given.insert("state".into(), Value::from(state));
    let problem = |problems: Vec<super::Problem>| {
        Failure::new(problems.iter().map(|problem| problem.text(module.name)).collect::<Vec<_>>().join("; "))
    };
    Args::check(module, &given).map(|args| (module, args)).map_err(problem)
}

fn manager(wanted: &str, look: &dyn Look) -> Result<&'static Module, Failure> {
    const APK: &Module = &apk::MODULE;
    const APT: &Module = &apt::MODULE;
    const DNF: &Module = &dnf::MODULE;
    let short = wanted.rsplit('.').next().unwrap_or(wanted);
    match short {
        "apk" => Ok(APK),
        "apt" => Ok(APT),
        "dnf" | "dnf5" | "yum" => Ok(DNF),
        "auto" if look.which("apt-get").is_some() => Ok(APT),
        "auto" if ["dnf", "dnf5", "microdnf", "yum"].iter().any(|program| look.which(program).is_some()) => Ok(DNF),
        "auto" if look.which("apk").is_some() => Ok(APK),
        "auto" if look.which("zypper").is_some() => Err(elsewhere("zypper")),
        "auto" if look.which("pacman").is_some() => Err(elsewhere("pacman")),
        "pacman" | "zypper" => Err(elsewhere(short)),
        "auto" => Err(Failure::new(
            "this host has no package manager that is known (apt, dnf, yum, apk, zypper, pacman): use `command` with its own",
        )),
        other => Err(Failure::new(format!(
            "Could not find a matching action for the \"{other}\" package manager; there are apt, dnf, apk, zypper and pacman"
        ))),
    }
}

/// That module is in the other host program: the control side calls it in place of this one.
fn elsewhere(name: &str) -> Failure {
    Failure::new(format!("packages are for the module `{name}` on this host: `use: {name}` calls it")).with("_instead", name)
}
