//! `gem`: packages of Ruby.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly, words};
use crate::value::Value;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "gem",
    collection: "community.general",
    summary: "installs and removes packages of Ruby",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the gem").required(),
    Arg::new("state", Kind::Str, "what is wanted").default("present").choices(&["present", "absent", "latest"]),
    Arg::new("gem_source", Kind::Path, "a gem as a file on the host"),
    Arg::new("include_dependencies", Kind::Bool, "with what it needs").default("yes"),
    Arg::new("repository", Kind::Str, "where to get it from").aliases(&["source"]),
    Arg::new("user_install", Kind::Bool, "into the user's own directory").default("yes"),
    Arg::new("executable", Kind::Path, "which gem"),
    Arg::new("install_dir", Kind::Path, "into this directory"),
    Arg::new("bindir", Kind::Path, "programs into this directory"),
    Arg::new("norc", Kind::Bool, "read no .gemrc").default("yes"),
    Arg::new("env_shebang", Kind::Bool, "programs find Ruby by the environment").default("no"),
    Arg::new("version", Kind::Str, "its version"),
    Arg::new("pre_release", Kind::Bool, "also versions before a release").default("no"),
    Arg::new("include_doc", Kind::Bool, "with documentation").default("no"),
    Arg::new("build_flags", Kind::Str, "flags for building extensions"),
    Arg::new("force", Kind::Bool, "do it in any case").default("no"),
];

const ASK: Duration = Duration::from_secs(120);

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    if args.has("version") && args.str("state") == Some("latest") {
        return Err(Failure::new("Cannot specify version when state=latest"));
    }
    let program = program(args, look)?;
    let installed = versions(args, look, &program, name, false)?;
    let wanted = match args.str("state") {
        Some("latest") => versions(args, look, &program, name, true)?.into_iter().next(),
        _ => args.str("version").map(str::to_owned),
    };
    let is_there = match &wanted {
        Some(version) => installed.contains(version),
        None => !installed.is_empty(),
    };
    let mut plan = Plan::default();
    plan.set("name", name).set("state", args.str("state")).set("version", wanted.clone());
    let before: Value = installed.iter().map(Value::from).collect();
    match (args.str("state"), is_there) {
        (Some("absent"), true) => {
            let cmd = uninstall(args, &program, name);
            plan.push(Change::new(format!("gem {name}"), before, Value::Null, Act::Run(cmd)));
        }
        (Some("absent"), false) | (_, true) => {}
        (_, false) => {
            let cmd = install(args, &program, name, wanted.as_deref())?;
            plan.push(Change::new(format!("gem {name}"), before, wanted.unwrap_or_else(|| "present".to_owned()), Act::Run(cmd)));
        }
    }
    Ok(plan)
}

fn program(args: &Args, look: &dyn Look) -> Result<Vec<String>, Failure> {
    let found = match args.str("executable") {
        Some(given) => words::split(given).map_err(Failure::new)?,
        None => look.which("gem").into_iter().collect(),
    };
    if found.is_empty() {
        return Err(Failure::new("there is no gem on this host: install Ruby first (on Debian the package ruby)"));
    }
    Ok(found)
}

fn base(args: &Args, program: &[String], words: &[&str]) -> Vec<String> {
    let norc = args.bool("norc").then(|| "--norc".to_owned());
    program
        .iter()
        .cloned()
        .chain([words[0].to_owned()])
        .chain(norc)
        .chain(words[1..].iter().map(|word| (*word).to_owned()))
        .collect()
}

fn environment(args: &Args, cmd: Cmd) -> Cmd {
    let cmd = cmd.env("LC_ALL", "C.UTF-8");
    match args.str("install_dir") {
        Some(dir) => cmd.env("GEM_HOME", dir),
        None => cmd,
    }
}

/// Versions that are installed, or that there are to install; lines such as `rake (13.0.6, default: 12.3)`.
fn versions(args: &Args, look: &dyn Look, program: &[String], name: &str, is_remote: bool) -> Result<Vec<String>, Failure> {
    let pattern = format!("^{name}$");
    let mut argv = base(args, program, &["list", &pattern]);
    if is_remote {
        argv.push("--remote".to_owned());
        argv.extend(args.str("repository").map(|source| ["--source".to_owned(), source.to_owned()]).into_iter().flatten());
    } else {
        argv.push("--local".to_owned());
    }
    let output = look.run(&environment(args, Cmd::new(argv).timeout(ASK)))?;
    if !output.is_success() {
        return Err(Failure::of_command("gem cannot list what there is", &output));
    }
    let text = output.stdout_text();
    let list = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')'));
    let version = |part: &str| part.trim().trim_start_matches("default: ").split(' ').next().unwrap_or_default().to_owned();
    Ok(list.map(|list| list.split(',').map(version).collect()).unwrap_or_default())
}

fn install(args: &Args, program: &[String], name: &str, version: Option<&str>) -> Result<Cmd, Failure> {
    let mut argv = base(args, program, &["install"]);
    let mut option = |name: &str, value: &str| argv.extend([name.to_owned(), value.to_owned()]);
    for (arg, flag) in [("install_dir", "--install-dir"), ("bindir", "--bindir"), ("repository", "--source")] {
        if let Some(value) = args.str(arg) {
            option(flag, value);
        }
    }
    if let Some(version) = version {
        option("--version", version);
    }
    let flags = [
        (!args.bool("include_dependencies"), "--ignore-dependencies"),
        (!args.has("install_dir") && args.bool("user_install"), "--user-install"),
        (!args.has("install_dir") && !args.bool("user_install"), "--no-user-install"),
        (args.bool("pre_release"), "--pre"),
        (!args.bool("include_doc"), "--no-document"),
        (args.bool("env_shebang"), "--env-shebang"),
        (args.bool("force"), "--force"),
    ];
    argv.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()));
    argv.push(args.str("gem_source").unwrap_or(name).to_owned());
    if let Some(flags) = args.str("build_flags") {
        argv.push("--".to_owned());
        argv.extend(words::split(flags).map_err(Failure::new)?);
    }
    Ok(environment(args, Cmd::new(argv)))
}

fn uninstall(args: &Args, program: &[String], name: &str) -> Cmd {
    let mut argv = base(args, program, &["uninstall"]);
    argv.extend(args.str("install_dir").map(|dir| ["--install-dir".to_owned(), dir.to_owned()]).into_iter().flatten());
    argv.extend(args.str("bindir").map(|dir| ["--bindir".to_owned(), dir.to_owned()]).into_iter().flatten());
    match args.str("version") {
        Some(version) => argv.extend(["--version".to_owned(), version.to_owned()]),
        None => argv.push("--all".to_owned()),
    }
    argv.push("--executable".to_owned());
    argv.extend(args.bool("force").then(|| "--force".to_owned()));
    argv.push(name.to_owned());
    environment(args, Cmd::new(argv))
}
