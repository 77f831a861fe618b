//! `composer`: dependencies of PHP projects.

use super::{Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan, words};
use crate::value::{Map, Value};

pub(super) const MODULE: Module = Module {
    name: "composer",
    collection: "community.general",
    summary: "installs what a PHP project depends on",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("command", Kind::Str, "what composer is to do").default("install"),
    Arg::new("arguments", Kind::Str, "further arguments").default(""),
    Arg::new("executable", Kind::Path, "which PHP").aliases(&["php_path"]),
    Arg::new("working_dir", Kind::Path, "directory of the project"),
    Arg::new("global_command", Kind::Bool, "for the whole user").default("no"),
    Arg::new("prefer_source", Kind::Bool, "get sources").default("no"),
    Arg::new("prefer_dist", Kind::Bool, "get archives").default("no"),
    Arg::new("no_dev", Kind::Bool, "leave out what only development needs").default("yes"),
    Arg::new("no_scripts", Kind::Bool, "run no scripts").default("no"),
    Arg::new("no_plugins", Kind::Bool, "use no plugins").default("no"),
    Arg::new("optimize_autoloader", Kind::Bool, "make the autoloader faster").default("yes"),
    Arg::new("classmap_authoritative", Kind::Bool, "load classes from the map only").default("no"),
    Arg::new("apcu_autoloader", Kind::Bool, "keep found classes in APCu").default("no"),
    Arg::new("force", Kind::Bool, "kept for compatibility; does nothing").default("no"),
    Arg::new("ignore_platform_reqs", Kind::Bool, "do not ask for PHP's version and extensions").default("no"),
    Arg::new("composer_executable", Kind::Path, "which composer"),
];

/// What composer says where there was nothing to do.
const IDLE: [&str; 3] = ["Nothing to install", "Nothing to install, update or remove", "Nothing to modify in lock file"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let command = args.str("command").unwrap_or("install");
    if command.contains(char::is_whitespace) {
        return Err(Failure::new("Use the 'arguments' param for passing arguments with the 'command'"));
    }
    if !args.has("working_dir") && !args.bool("global_command") {
        return Err(Failure::new("working_dir is required where global_command is not given"));
    }
    let tool =
        |arg: &str, name: &str| args.str(arg).map(str::to_owned).filter(|path| look.exists(path)).or_else(|| look.which(name));
    let missing = |name: &str| Failure::new(format!("there is no {name} on this host: install it first"));
    let php = tool("executable", "php").ok_or_else(|| missing("php"))?;
    let composer = tool("composer_executable", "composer").ok_or_else(|| missing("composer"))?;
    let mut argv = vec![php, composer];
    argv.extend(args.bool("global_command").then(|| "global".to_owned()));
    argv.push(command.to_owned());
    argv.extend(["--no-ansi", "--no-interaction", "--no-progress"].map(str::to_owned));
    argv.extend(args.str("working_dir").map(|dir| format!("--working-dir={dir}")));
    let installs = matches!(command, "install" | "update" | "require" | "create-project");
    let flags = [
        ("prefer_source", "--prefer-source", installs),
        ("prefer_dist", "--prefer-dist", installs),
        ("no_dev", "--no-dev", matches!(command, "install" | "update" | "create-project" | "dump-autoload")),
        ("no_scripts", "--no-scripts", true),
        ("no_plugins", "--no-plugins", true),
        ("optimize_autoloader", "--optimize-autoloader", matches!(command, "install" | "update" | "require")),
        ("classmap_authoritative", "--classmap-authoritative", matches!(command, "install" | "update" | "require")),
        ("apcu_autoloader", "--apcu-autoloader", matches!(command, "install" | "update" | "require")),
        ("ignore_platform_reqs", "--ignore-platform-reqs", installs),
    ];
    argv.extend(flags.iter().filter(|(arg, _, fits)| args.bool(arg) && *fits).map(|(_, flag, _)| (*flag).to_owned()));
    argv.extend(words::split(args.str("arguments").unwrap_or_default()).map_err(Failure::new)?);
    let cmd = Cmd::new(argv).env("COMPOSER_NO_INTERACTION", "1").env("LC_ALL", "C.UTF-8");
    let mut plan = Plan::default();
    if look.is_check() && installs {
        let asked = look.run(&Cmd { argv: cmd.argv.iter().cloned().chain(["--dry-run".to_owned()]).collect(), ..cmd.clone() })?;
        if !asked.is_success() {
            return Err(Failure::of_command(format_args!("composer {command} would fail"), &asked));
        }
        if IDLE.iter().any(|idle| (asked.stdout_text() + &asked.stderr_text()).contains(idle)) {
            return Ok(plan);
        }
    }
    plan.push(Change::run(format!("composer {command}"), cmd));
    Ok(plan)
}

fn finish(_: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let said = |key: &str| -> String {
        done.iter().filter_map(|one| one.values.get(key)).map(|text| text.to_text().as_str().to_owned()).collect()
    };
    let (stdout, stderr) = (said("stdout"), said("stderr"));
    let output = format!("{stdout}{stderr}");
    values.insert("changed".into(), (!done.is_empty() && !IDLE.iter().any(|idle| output.contains(idle))).into());
    values.insert("msg".into(), output.split_whitespace().collect::<Vec<_>>().join(" ").into());
    values.insert("stdout".into(), Value::from(stdout));
    Ok(values)
}
