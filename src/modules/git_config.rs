//! `git_config`: a setting of git.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule, finish_plainly};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "git_config",
    collection: "community.general",
    summary: "set options of git",
    args: &[&[
        Arg::new("name", Kind::Str, "the option, such as `user.email`"),
        Arg::new("value", Kind::Str, "its value"),
        Arg::new("scope", Kind::Str, "where it holds").choices(&["file", "local", "global", "system"]),
        Arg::new("repo", Kind::Path, "the repository, for `local`"),
        Arg::new("file", Kind::Path, "the file, for `file`"),
        Arg::new("state", Kind::Str, "whether it is set").choices(&["present", "absent"]).default("present"),
        Arg::new("add_mode", Kind::Str, "add a value, or replace all").choices(&["add", "replace-all"]).default("replace-all"),
        Arg::new("list_all", Kind::Bool, "return all options").default("no"),
    ]],
    rules: &[Rule::OneOf(&["list_all", "name"]), Rule::If("scope", "local", &["repo"]), Rule::If("scope", "file", &["file"])],
    free_form: None,
    plan,
    finish: finish_plainly,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let git = look.require("git", "git")?;
    let scope = args.str("scope").unwrap_or("system");
    let cmd = |words: &[&str]| {
        let mut argv = vec![git.clone(), "config".to_owned(), "--includes".to_owned()];
        match scope {
            "file" => argv.extend(["-f".to_owned(), args.str("file").unwrap_or_default().to_owned()]),
            scope => argv.push(format!("--{scope}")),
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        Cmd { chdir: args.str("repo").filter(|_| scope == "local").map(str::to_owned), ..Cmd::new(argv) }
    };
    let mut plan = Plan::default();
    if args.bool("list_all") {
        let output = look.run(&cmd(&["-l"]))?;
        let values =
            output.stdout_text().lines().filter_map(|line| line.split_once('=').map(|(k, v)| (k.into(), v.into()))).collect();
        plan.set("config_values", Value::map(values)).set("msg", "");
        return Ok(plan);
    }
    let name = args.required("name")?;
    let is_present = args.str("state") != Some("absent");
    let value = args.str("value");
    if is_present && value.is_none_or(str::is_empty) {
        return Err(Failure::new("value must be set to a non-empty string when state=present; `git_config_info` reads one"));
    }
    let output = look.run(&cmd(&["--get-all", name]))?;
    if output.code >= 2 {
        return Err(Failure::of_command(format_args!("git cannot read `{name}`"), &output));
    }
    let text = output.stdout_text();
    let found: Vec<&str> = text.lines().collect();
    let words: Vec<&str> = match (is_present, value) {
        (false, _) if found.is_empty() => Vec::new(),
        (false, _) => vec!["--unset-all", name],
        (true, Some(value)) if args.str("add_mode") == Some("add") => {
            if found.contains(&value) {
                Vec::new()
            } else {
                vec!["--add", name, value]
            }
        }
        (true, Some(value)) if found != [value] => vec!["--replace-all", name, value],
        _ => Vec::new(),
    };
    plan.set("msg", if words.is_empty() { "no setting changed" } else { "setting changed" });
    plan.set("config_value", found.first().copied().unwrap_or_default());
    if !words.is_empty() {
        let after = if is_present { value.unwrap_or_default() } else { "" };
        let before = found.join("\n");
        plan.push(Change::new(name, format!("{before}\n"), format!("{after}\n"), Act::Run(cmd(&words))));
    }
    Ok(plan)
}
