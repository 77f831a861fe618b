//! `npm`: packages of Node.js, for a project or for the whole host.

use super::edit::make_parents;
use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "npm",
    collection: "community.general",
    summary: "installs and removes packages of Node.js",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the package; without one, what package.json asks for"),
    Arg::new("path", Kind::Path, "directory of the project"),
    Arg::new("version", Kind::Str, "version of the package"),
    Arg::new("global", Kind::Bool, "for the whole host").default("no"),
    Arg::new("executable", Kind::Path, "which npm"),
    Arg::new("ignore_scripts", Kind::Bool, "run no scripts of packages").default("no"),
    Arg::new("unsafe_perm", Kind::Bool, "run scripts as root").default("no"),
    Arg::new("ci", Kind::Bool, "install exactly what package-lock.json has").default("no"),
    Arg::new("production", Kind::Bool, "leave out what only development needs").default("no"),
    Arg::new("registry", Kind::Str, "another registry"),
    Arg::new("state", Kind::Str, "what is wanted").default("present").choices(&["present", "absent", "latest"]),
    Arg::new("no_optional", Kind::Bool, "leave out optional dependencies").default("no"),
    Arg::new("no_bin_links", Kind::Bool, "make no links to programs").default("no"),
    Arg::new("force", Kind::Bool, "do it in any case").default("no"),
];

const ASK: Duration = Duration::from_secs(120);

/// npm on one host, for one task.
struct Npm<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let is_absent = args.str("state") == Some("absent");
    if !args.has("path") && !args.bool("global") {
        return Err(Failure::new("path must be specified when not using global"));
    }
    if is_absent && !args.has("name") {
        return Err(Failure::new("uninstalling a package is only available for named packages"));
    }
    let program = match args.str("executable") {
        Some(path) => Some(path.to_owned()).filter(|path| look.exists(path)),
        None => look.which("npm"),
    };
    let npm = Npm { args, look, program: program.ok_or_else(|| Failure::new("there is no npm on this host: install it first"))? };
    let mut plan = Plan::default();
    if args.bool("ci") {
        plan.push(npm.change(&["ci"], "package-lock.json"));
        return Ok(plan);
    }
    let (installed, missing) = npm.listed()?;
    let name = args.str("name");
    let is_there = name.is_none_or(|name| npm.is_installed(name, &installed)) && missing.is_empty();
    match (args.str("state").unwrap_or("present"), is_there) {
        ("absent", _) => {
            let name = name.unwrap_or_default();
            if installed.keys().any(|key| key.as_str() == Some(name)) {
                plan.push(npm.change(&["uninstall"], name));
            }
        }
        (_, false) => {
            if let Some(path) = args.str("path") {
                make_parents(look, &format!("{path}/package.json"), &mut plan);
            }
            plan.push(npm.change(&["install"], &npm.operand()));
        }
        ("latest", true) if npm.is_outdated()? => drop(plan.push(npm.change(&["update"], name.unwrap_or_default()))),
        _ => {}
    }
    Ok(plan)
}

impl Npm<'_> {
    /// `name`, `name@version`, or nothing.
    fn operand(&self) -> String {
        match (self.args.str("name"), self.args.str("version")) {
            (Some(name), Some(version)) => format!("{name}@{version}"),
            (name, _) => name.unwrap_or_default().to_owned(),
        }
    }

    fn is_installed(&self, name: &str, installed: &Map) -> bool {
        let found = installed.get(name).and_then(|entry| entry.get("version")).map(Value::to_text);
        match (found, self.args.str("version")) {
            (Some(found), Some(wanted)) => found.as_str() == wanted.trim_start_matches(['v', '=']),
            (found, None) => found.is_some(),
            (None, Some(_)) => false,
        }
    }

    fn command(&self, words: &[&str], operand: &str) -> Cmd {
        let is = |arg: &str| self.args.bool(arg);
        let flags = [
            (is("global"), "--global"),
            (is("production") && (words[0] == "install" || words[0] == "update" || words[0] == "ci"), "--production"),
            (is("ignore_scripts"), "--ignore-scripts"),
            (is("unsafe_perm"), "--unsafe-perm"),
            (is("no_optional"), "--no-optional"),
            (is("no_bin_links"), "--no-bin-links"),
            (is("force"), "--force"),
        ];
        let mut argv: Vec<String> =
            std::iter::once(self.program.clone()).chain(words.iter().map(|word| (*word).to_owned())).collect();
        argv.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()));
        argv.extend((!operand.is_empty()).then(|| operand.to_owned()));
        if let Some(registry) = self.args.str("registry") {
            argv.extend(["--registry".to_owned(), registry.to_owned()]);
        }
        Cmd { chdir: self.args.str("path").map(str::to_owned), ..Cmd::new(argv).env("LC_ALL", "C.UTF-8") }
    }

    fn change(&self, words: &[&str], operand: &str) -> Change {
        let what = if operand.is_empty() { "package.json" } else { operand };
        let operand = if words[0] == "ci" { "" } else { operand };
        Change::new(what, Value::Null, words[0], Act::Run(self.command(words, operand)))
    }

    /// What is installed, and names of what is missing. A project that is not there yet has nothing.
    fn listed(&self) -> Result<(Map, Vec<String>), Failure> {
        if self.args.str("path").is_some_and(|path| !self.look.exists(path)) {
            if self.args.has("name") {
                return Ok((Map::new(), Vec::new()));
            }
            return Err(Failure::new(format!("path {} does not exist", self.args.str("path").unwrap_or_default())));
        }
        let output = self.look.run(&self.command(&["list", "--json", "--long"], "").timeout(ASK))?;
        let json = Value::from_json(&output.stdout_text())
            .map_err(|_| Failure::of_command("npm cannot list what is installed", &output))?;
        let all = json.get("dependencies").and_then(Value::as_map).cloned().unwrap_or_default();
        let is_missing = |entry: &Value| {
            let says = |key: &str| entry.get(key).and_then(Value::as_bool) == Some(true);
            says("missing")
                || says("invalid")
                || entry.get("version").is_none() && entry.as_map().is_some_and(|map| !map.is_empty())
        };
        let is_asked = |name: &str| self.args.str("name").is_none_or(|wanted| wanted == name);
        let missing = all.iter().filter(|(name, entry)| is_asked(name.as_str().unwrap_or_default()) && is_missing(entry));
        let missing = missing.map(|(name, _)| name.to_string()).collect();
        Ok((all.into_iter().filter(|(_, entry)| !is_missing(entry)).collect(), missing))
    }

    fn is_outdated(&self) -> Result<bool, Failure> {
        let output = self.look.run(&self.command(&["outdated"], "").timeout(ASK))?;
        let text = output.stdout_text();
        let name = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
        Ok(text.lines().skip(1).any(|line| self.args.str("name").is_none_or(|wanted| name(line) == wanted)))
    }
}
