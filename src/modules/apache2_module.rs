//! `apache2_module`: a module of Apache that is loaded, or not, by `a2enmod` and `a2dismod`.

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan};
use crate::value::Map;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "apache2_module",
    collection: "community.general",
    summary: "enables and disables modules of Apache",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the module, as a2enmod takes it").required(),
    Arg::new("identifier", Kind::Str, "what `apache2ctl -M` calls it, where that is not NAME_module"),
    Arg::new("force", Kind::Bool, "disable it even if Apache needs it").default("no"),
    Arg::new("state", Kind::Str, "whether it is loaded").default("present").choices(&["absent", "present"]),
    Arg::new("ignore_configcheck", Kind::Bool, "go on although Apache's configuration is not in order").default("no"),
    Arg::new("warn_mpm_absent", Kind::Bool, "warn where no MPM is loaded").default("yes"),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    if name == "cgi" && is_threaded(look)? {
        return Err(Failure::new("Your MPM seems to be threaded. No automatic actions on module cgi possible: use cgid"));
    }
    let is_wanted = args.str("state") == Some("present");
    let mut plan = Plan::default();
    let (is_loaded, warning) = is_loaded(args, look, name)?;
    if let Some(warning) = warning {
        plan.set("warnings", vec![warning]);
    }
    let word = if is_wanted { "enabled" } else { "disabled" };
    plan.set("result", format!("Module {name} {word}"));
    if is_loaded == is_wanted {
        return Ok(plan);
    }
    let program = if is_wanted { "a2enmod" } else { "a2dismod" };
    let tool = look.which(program).ok_or_else(|| missing(program))?;
    let force = (!is_wanted && args.bool("force")).then(|| "-f".to_owned());
    let cmd = Cmd::new(std::iter::once(tool).chain(force).chain([name.to_owned()])).env("LC_ALL", "C");
    let other = if is_wanted { "disabled" } else { "enabled" };
    plan.push(Change::new(format!("module {name}"), other, word, Act::Run(cmd)));
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let name = args.required("name")?;
    let is_wanted = args.str("state") == Some("present");
    if !done.is_empty() && is_loaded(args, look, name)?.0 != is_wanted && !args.bool("ignore_configcheck") {
        let word = if is_wanted { "enabled" } else { "disabled" };
        return Err(Failure::new(format!(
            "Failed to set module {name} to {word}: `apache2ctl -M` does not show it; `identifier` says what it is called there"
        )));
    }
    Ok(values)
}

fn missing(program: &str) -> Failure {
    Failure::new(format!("there is no {program} on this host: install apache2 first"))
}

fn modules(look: &dyn Look) -> Result<super::Output, Failure> {
    let tool = ["apache2ctl", "apachectl"].into_iter().find_map(|program| look.which(program));
    let tool = tool.ok_or_else(|| missing("apache2ctl"))?;
    look.run(&Cmd::new([tool.as_str(), "-M"]).timeout(Duration::from_secs(60)))
}

fn is_threaded(look: &dyn Look) -> Result<bool, Failure> {
    let tool = look.which("apache2ctl").ok_or_else(|| missing("apache2ctl"))?;
    let output = look.run(&Cmd::new([tool.as_str(), "-V"]).timeout(Duration::from_secs(60)))?;
    let text = output.stdout_text();
    Ok(text.lines().any(|line| line.trim_start().starts_with("threaded:") && line.contains("yes")))
}

/// Whether it is loaded, and what is worth a warning.
fn is_loaded(args: &Args, look: &dyn Look, name: &str) -> Result<(bool, Option<String>), Failure> {
    let output = modules(look)?;
    if output.is_success() {
        let identifier = args.str("identifier").map_or_else(|| identifier(name), str::to_owned);
        return Ok((output.stdout_text().lines().any(|line| line.trim_start().split(' ').next() == Some(&identifier)), None));
    }
    let said = output.stderr_text();
    // Without an MPM Apache answers nothing; the one that is missing may be the one to enable.
    if said.contains("AH00534") {
        let warning = args.bool("warn_mpm_absent").then(|| format!("No MPM module loaded! apache2 reload AND other module actions will fail if no MPM module is loaded immediately: {}", said.trim()));
        return Ok((false, warning));
    }
    if args.bool("ignore_configcheck") {
        let is_linked = look.exists(&format!("/etc/apache2/mods-enabled/{name}.load"));
        return Ok((is_linked, Some(said.trim().to_owned())));
    }
    Err(Failure::of_command("Apache's configuration is not in order (`ignore_configcheck` goes on all the same)", &output))
}

/// Names that differ from their modules'.
fn identifier(name: &str) -> String {
    match name {
        "shib" | "shib2" => "mod_shib".to_owned(),
        "evasive" => "evasive20_module".to_owned(),
        "dump_io" => "dumpio_module".to_owned(),
        "php8" | "php8.0" | "php8.1" | "php8.2" | "php8.3" | "php8.4" => "php_module".to_owned(),
        _ if name.starts_with("php") => format!("{}_module", name.split('.').next().unwrap_or(name)),
        _ => format!("{}_module", name.split(' ').next().unwrap_or(name)),
    }
}
