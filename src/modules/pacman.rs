//! `pacman`: packages of Arch Linux and its relatives. What is installed and what would be done pacman itself says (`--query`,
//! `--print`), which needs no rights and takes no lock. A helper such as `yay` is asked to do the work only.

use super::locks::{self, Holder};
use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, Rule, expand, words};
use crate::value::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "pacman",
    collection: "community.general",
    summary: "installs, upgrades and removes packages of Arch Linux",
    args: &[ARGS],
    rules: &[Rule::OneOf(&["name", "update_cache", "upgrade"]), Rule::Exclusive(&["name", "upgrade"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "packages: `foo`, `foo=1.2`, `extra/foo`, a group, or a file or its address")
        .aliases(&["package", "pkg"]),
    Arg::new("state", Kind::Str, "what is wanted of them").default("present").choices(&[
        "present",
        "installed",
        "latest",
        "absent",
        "removed",
    ]),
    Arg::new("force", Kind::Bool, "remove what others need; refresh lists that are as new as there are").default("no"),
    Arg::new("remove_nosave", Kind::Bool, "keep no changed configuration files of what is removed").default("no"),
    Arg::new("executable", Kind::Str, "pacman, or a helper that understands its options").default("pacman"),
    Arg::new("extra_args", Kind::Str, "options for installing and removing").default(""),
    Arg::new("update_cache", Kind::Bool, "refresh the package lists first"),
    Arg::new("update_cache_extra_args", Kind::Str, "options for that").default(""),
    Arg::new("upgrade", Kind::Bool, "upgrade all packages"),
    Arg::new("upgrade_extra_args", Kind::Str, "options for that").default(""),
    Arg::new("reason", Kind::Str, "why they are installed").choices(&["dependency", "explicit"]),
    Arg::new("reason_for", Kind::Str, "whether that is said of new packages only").default("new").choices(&["all", "new"]),
];

const LOCK: &str = "/var/lib/pacman/db.lck";
/// Seconds to wait for somebody else's lock.
const LOCK_WAIT: i64 = 60;
const ASK: Duration = Duration::from_secs(300);
/// Kept in mind for the next items of a loop.
const REFRESHED: &str = "the package lists of pacman were refreshed";
/// Lines with this are answers, and the others are talk.
const MARK: char = '=';
const FORMAT: [&str; 3] = ["--print", "--print-format", "=%n %v"];

struct Pacman<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
    /// Answers questions in `program`'s place.
    asked: String,
    /// Versions by name.
    installed: BTreeMap<String, String>,
}

/// What a task comes to.
#[derive(Default)]
struct Work {
    changes: Vec<Change>,
    /// What is changed, as it is returned.
    packages: BTreeSet<String>,
}

/// Names, and what stands for them in a command.
#[derive(Default)]
struct Wish {
    /// For the repositories.
    specs: Vec<String>,
    files: Vec<String>,
    /// Packages that are not there yet.
    new: Vec<String>,
    /// Packages that are there.
    old: Vec<String>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let wanted = args.str("executable").unwrap_or("pacman");
    let program = look.which(wanted).or_else(|| wanted.contains('/').then(|| wanted.to_owned()).filter(|path| look.exists(path)));
    let hint = if is_helper(wanted) { "install it first" } else { "use `package`, or the module of its own package manager" };
    let missing = || Failure::new(format!("there is no {wanted} on this host: {hint}"));
    let program = program.ok_or_else(missing)?;
    let asked = if is_helper(&program) { look.which("pacman").unwrap_or_else(|| program.clone()) } else { program.clone() };
    let mut pacman = Pacman { args, look, program, asked, installed: BTreeMap::new() };
    let names = names(args)?;
    let is_alone = names.is_empty() && !args.bool("upgrade");
    let mut plan = Plan::default();
    let is_due = args.bool("update_cache") && look.noted().is_none() && !look.has_in_mind(REFRESHED);
    if is_due && !look.is_check() {
        pacman.wait()?;
        // What comes next depends on the new lists.
        look.note(&pacman.lists()?);
        plan.push(pacman.refresh()).changed = Some(false);
        plan.again = true;
        return Ok(plan);
    }
    if args.bool("update_cache") {
        plan.set("cache_updated", is_due && is_alone);
    }
    if is_alone {
        plan.changes.extend(is_due.then(|| pacman.refresh()));
        return Ok(plan);
    }
    let mut work = pacman.work(&names)?;
    if !work.changes.is_empty() && !look.is_check() && pacman.wait()? {
        work = pacman.work(&names)?;
    }
    plan.set("packages", work.packages.into_iter().map(Value::from).collect::<Vec<_>>());
    plan.changes = work.changes;
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let text =
        |key: &str| done.iter().filter_map(|one| one.values.get(key)).map(|text| text.to_text().to_string()).collect::<String>();
    if !done.is_empty() {
        values.insert("stdout".into(), text("stdout").into());
        values.insert("stderr".into(), text("stderr").into());
    }
    if let Some(before) = look.noted() {
        let program = args.str("executable").unwrap_or("pacman");
        let is_new = args.bool("force") || lists(look, if is_helper(program) { "pacman" } else { program })? != before;
        look.keep_in_mind(REFRESHED);
        values.insert("cache_updated".into(), is_new.into());
        values.insert("changed".into(), (is_new || done.len() > 1).into());
    }
    Ok(values)
}

fn is_helper(program: &str) -> bool {
    !program.rsplit('/').next().unwrap_or(program).starts_with("pacman")
}

fn names(args: &Args) -> Result<Vec<String>, Failure> {
    let names: Vec<String> =
        args.list("name").iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    match names.iter().find(|name| name.starts_with('-') || name.contains(char::is_whitespace)) {
        Some(bad) => Err(Failure::new(format!("`{bad}` is not the name of a package"))),
        None => Ok(names),
    }
}

/// All packages of all repositories with their versions.
fn lists(look: &dyn Look, program: &str) -> Result<String, Failure> {
    let text = look.run(&Cmd::new([program, "--sync", "--list"]).timeout(ASK))?.stdout_text();
    // Behind that is what is installed.
    Ok(text.lines().flat_map(|line| [line.split(" [").next().unwrap_or(line), "\n"]).collect())
}

fn split(args: &Args, name: &str) -> Result<Vec<String>, Failure> {
    words::split(args.str(name).unwrap_or_default()).map_err(|error| Failure::new(format!("`{name}`: {error}")))
}

impl Pacman<'_> {
    fn wait(&self) -> Result<bool, Failure> {
        let hint = "; where no package manager is at work any more, remove that file";
        let holder = || self.look.exists(LOCK).then(|| Holder { lock: LOCK, who: "another package manager".to_owned() });
        locks::wait_for(self.look, "pacman", hint, LOCK_WAIT, holder)
    }

    fn lists(&self) -> Result<String, Failure> {
        lists(self.look, &self.asked)
    }

    fn refresh(&self) -> Change {
        let mut words = vec!["--sync", "--refresh"];
        if self.args.bool("force") {
            words.push("--refresh");
        }
        let extra = split(self.args, "update_cache_extra_args").unwrap_or_default();
        Change::run("package lists", self.command(&words, &[&extra]))
    }

    fn work(&mut self, names: &[String]) -> Result<Work, Failure> {
        split(self.args, "update_cache_extra_args")?;
        self.installed = pairs(&self.ask(&["--query"], &[])?.stdout_text()).collect();
        match self.args.str("state") {
            _ if self.args.bool("upgrade") => self.upgrade(),
            Some("absent" | "removed") => self.remove(names),
            state => self.install(names, state == Some("latest")),
        }
    }

    fn upgrade(&self) -> Result<Work, Failure> {
        let extra = split(self.args, "upgrade_extra_args")?;
        let steps = if is_helper(&self.program) {
            self.upgradable()?
        } else {
            self.foretold(&["--sync", "--sysupgrade"], &[&extra])?.unwrap_or_default()
        };
        let mut work = Work::default();
        if !steps.is_empty() {
            let act = Act::Run(self.command(&["--sync", "--sysupgrade"], &[&extra]));
            work.add("all packages", &steps, self, act);
        }
        Ok(work)
    }

    fn install(&self, names: &[String], is_latest: bool) -> Result<Work, Failure> {
        let wish = self.wish(names, is_latest)?;
        let extra = split(self.args, "extra_args")?;
        let mut work = Work::default();
        for (word, specs) in [("--sync", &wish.specs), ("--upgrade", &wish.files)] {
            if specs.is_empty() {
                continue;
            }
            let act = Act::Run(self.command(&[word, "--needed"], &[&extra, specs]));
            match self.foretold(&[word, "--needed"], &[&extra, specs])? {
                Some(steps) => work.add(&specs.join(" "), &steps, self, act),
                None => {
                    work.packages.extend(specs.iter().cloned());
                    work.changes.push(Change::new(specs.join(" "), Value::Null, Value::Null, act));
                }
            }
        }
        self.give_reasons(&wish, &mut work)?;
        Ok(work)
    }

    /// Says why packages are installed, where they are installed for another reason.
    fn give_reasons(&self, wish: &Wish, work: &mut Work) -> Result<(), Failure> {
        let Some(reason) = self.args.str("reason") else { return Ok(()) };
        let is_explicit = reason == "explicit";
        let mut old = Vec::new();
        if self.args.str("reason_for") == Some("all") {
            let explicit = self.ask(&["--query", "--explicit", "--quiet"], &[])?.stdout_text();
            let is_other = |name: &&String| explicit.lines().any(|line| line == name.as_str()) != is_explicit;
            old.extend(wish.old.iter().filter(is_other).cloned());
        }
        // What is asked for by name counts as wanted for itself already.
        let new: &[String] = if is_explicit { &[] } else { &wish.new };
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        let side = |reason: &str| -> Value {
            old.iter().map(|name| (name.as_str().into(), Value::from(reason))).collect::<Map>().into()
        };
        let other = if is_explicit { "dependency" } else { "explicit" };
        let (before, after) = if old.is_empty() { (Value::Null, Value::Null) } else { (side(other), side(reason)) };
        let word = if is_explicit { "--asexplicit" } else { "--asdeps" };
        let act = Act::Run(self.command(&["--database", word], &[&old, new]));
        work.packages.extend(old.iter().cloned());
        work.changes.push(Change::new("reasons", before, after, act));
        Ok(())
    }

    /// What has to be asked for.
    fn wish(&self, names: &[String], is_latest: bool) -> Result<Wish, Failure> {
        let mut wish = Wish::default();
        let upgradable: Vec<String> =
            if is_latest { self.upgradable()?.into_iter().map(|(name, _)| name).collect() } else { Vec::new() };
        let is_old = |name: &String| !self.installed.contains_key(name) || upgradable.contains(name);
        let (files, names): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| is_file(name));
        for file in files {
            self.wish_file(&file, &mut wish)?;
        }
        let groups = self.groups(&names)?;
        let strange = self.strange(&names, &groups);
        let unmet = self.unmet(&strange)?;
        for spec in &names {
            let name = bare(spec).to_owned();
            let members = || groups.iter().filter(|(group, _)| *group == name).map(|(_, member)| member.clone());
            let targets: Vec<(String, String)> = match () {
                () if members().next().is_some() => members().map(|member| (member.clone(), member)).collect(),
                () if unmet.contains(spec) => vec![(spec.clone(), self.called(spec, name.clone())?)],
                () if strange.contains(spec) => self.resolved(spec)?.into_iter().map(|name| (spec.clone(), name)).collect(),
                () => vec![(spec.clone(), name.clone())],
            };
            for (spec, name) in targets {
                let is_wanted = is_old(&name) || unmet.contains(&spec);
                let side = if self.installed.contains_key(&name) { &mut wish.old } else { &mut wish.new };
                side.push(name);
                if is_wanted && !wish.specs.contains(&spec) {
                    wish.specs.push(spec);
                }
            }
        }
        Ok(wish)
    }

    /// A file is as wanted when that very version is installed.
    fn wish_file(&self, file: &str, wish: &mut Wish) -> Result<(), Failure> {
        let (path, name, version) = self.in_file(file)?;
        let found = self.installed.get(&name);
        if found != Some(&version) {
            wish.files.push(path);
        }
        if found.is_some() {
            wish.old.push(name);
        } else {
            wish.new.push(name);
        }
        Ok(())
    }

    fn in_file(&self, file: &str) -> Result<(String, String, String), Failure> {
        let path = if file.contains("://") { file.to_owned() } else { expand::path(self.look, file) };
        if !file.contains("://") && !self.look.exists(&path) {
            return Err(Failure::new(format!("there is no file {path} on the host; copy it there first")));
        }
        let output = self.print(&["--upgrade", "--nodeps", "--nodeps"], &[std::slice::from_ref(&path)])?;
        match steps(&output).pop() {
            Some((name, version)) if output.is_success() => Ok((path, name, version)),
            _ => Err(Failure::of_command(format_args!("{path} is not a package that pacman can read"), &output)),
        }
    }

    /// Names that no installed package has, and that are no groups; or that ask for a version.
    fn strange(&self, names: &[String], groups: &[(String, String)]) -> Vec<String> {
        let is_known = |spec: &&String| {
            let name = bare(spec);
            has_version(spec) || !self.installed.contains_key(name) && !groups.iter().any(|(group, _)| group == name)
        };
        names.iter().filter(is_known).cloned().collect()
    }

    /// Those of them that nothing installed answers to.
    fn unmet(&self, specs: &[String]) -> Result<Vec<String>, Failure> {
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let bare: Vec<String> = specs.iter().map(|spec| without_repository(spec).to_owned()).collect();
        let said = self.ask(&["--deptest"], &bare)?.stdout_text();
        Ok(specs.iter().filter(|spec| said.lines().any(|line| line == without_repository(spec))).cloned().collect())
    }

    /// The packages that a name stands for: the installed one that answers to it, or another that is really called so.
    fn resolved(&self, spec: &str) -> Result<Vec<String>, Failure> {
        let output = self.print(&["--sync", "--nodeps", "--nodeps"], &[&[spec.to_owned()]])?;
        Ok(steps(&output).into_iter().map(|(name, _)| name).collect())
    }

    /// What a package will be called, where that has to be known.
    fn called(&self, spec: &str, name: String) -> Result<String, Failure> {
        let is_needed = self.args.str("reason") == Some("dependency");
        Ok(if is_needed { self.resolved(spec)?.pop().unwrap_or(name) } else { name })
    }

    /// Groups among the names that are not installed, and what is in them.
    fn groups(&self, names: &[String]) -> Result<Vec<(String, String)>, Failure> {
        let open: Vec<String> = names.iter().filter(|name| !self.installed.contains_key(name.as_str())).cloned().collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        Ok(pairs(&self.ask(&["--sync", "--groups"], &open)?.stdout_text()).collect())
    }

    fn upgradable(&self) -> Result<Vec<(String, String)>, Failure> {
        let output = self.look.run(&Cmd::new([self.program.as_str(), "--query", "--upgrades"]).timeout(ASK))?;
        let read = |line: &str| {
            let [name, _, "->", version] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
            Some((name.to_owned(), version.to_owned()))
        };
        Ok(output.stdout_text().lines().filter_map(read).collect())
    }

    fn remove(&self, names: &[String]) -> Result<Work, Failure> {
        let mut gone = Vec::new();
        let (files, names): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| is_file(name));
        for file in files {
            gone.extend(Some(self.in_file(&file)?.1).filter(|name| self.installed.contains_key(name)));
        }
        let open: Vec<String> = names.iter().filter(|name| !self.installed.contains_key(name.as_str())).cloned().collect();
        let groups: Vec<(String, String)> =
            if open.is_empty() { Vec::new() } else { pairs(&self.ask(&["--query", "--groups"], &open)?.stdout_text()).collect() };
        let strange = self.strange(&names, &groups);
        let unmet = self.unmet(&strange)?;
        for spec in names.iter().filter(|spec| !unmet.contains(spec)) {
            let name = bare(spec);
            if self.installed.contains_key(name) {
                gone.push(name.to_owned());
            } else if strange.contains(spec) {
                gone.extend(self.resolved(spec)?.into_iter().filter(|name| self.installed.contains_key(name)));
            } else {
                gone.extend(groups.iter().filter(|(group, _)| group == name).map(|(_, member)| member.clone()));
            }
        }
        gone.dedup();
        let mut options = split(self.args, "extra_args")?;
        if self.args.bool("force") {
            options.extend(["--nodeps", "--nodeps"].map(str::to_owned));
        }
        let mut work = Work::default();
        if gone.is_empty() {
            return Ok(work);
        }
        let output = self.print(&["--remove"], &[&options, &gone])?;
        if !output.is_success() {
            let why = [output.stdout_text(), output.stderr_text()].concat();
            return Err(Failure { msg: format!("pacman: {}", why.trim()), ..Failure::of_command("", &output) });
        }
        let steps = steps(&output);
        let before: Map = steps.iter().map(|(name, version)| (name.as_str().into(), version.as_str().into())).collect();
        work.packages = steps.iter().map(|(name, version)| format!("{name}-{version}")).collect();
        // Pacman does not take this one together with `--print`.
        options.extend(self.args.bool("remove_nosave").then(|| "--nosave".to_owned()));
        let act = Act::Run(self.command(&["--remove"], &[&options, &gone]));
        work.changes.push(Change::new(gone.join(" "), before, Map::new(), act));
        Ok(work)
    }

    /// What a command would install; none where only a helper can tell, or new lists that a check does not get.
    fn foretold(&self, words: &[&str], more: &[&[String]]) -> Result<Option<Vec<(String, String)>>, Failure> {
        let output = self.print(words, more)?;
        match output.is_success() {
            true => Ok(Some(steps(&output))),
            false if is_helper(&self.program) || self.args.bool("update_cache") && self.look.is_check() => Ok(None),
            false => Err(refused(&output)),
        }
    }

    fn print(&self, words: &[&str], more: &[&[String]]) -> Result<Output, Failure> {
        let words: Vec<&str> = [words, &FORMAT].concat();
        let specs: Vec<String> = more.iter().flat_map(|words| words.iter().cloned()).collect();
        self.ask(&words, &specs)
    }

    fn ask(&self, words: &[&str], specs: &[String]) -> Result<Output, Failure> {
        let words = std::iter::once(self.asked.as_str()).chain(words.iter().copied());
        self.look.run(&Cmd::new(words.chain(specs.iter().map(String::as_str))).timeout(ASK))
    }

    fn command(&self, words: &[&str], more: &[&[String]]) -> Cmd {
        let quiet = (words[0] != "--database").then_some("--noprogressbar");
        let start = std::iter::once(self.program.as_str()).chain(words.iter().copied()).chain(["--noconfirm"]).chain(quiet);
        Cmd::new(start.chain(more.iter().flat_map(|words| words.iter().map(String::as_str)))).env("LC_ALL", "C")
    }
}

impl Work {
    fn add(&mut self, what: &str, steps: &[(String, String)], pacman: &Pacman<'_>, act: Act) {
        let old = |name: &str| pacman.installed.get(name).map(|version| (name.into(), Value::from(version.as_str())));
        let before: Map = steps.iter().filter_map(|(name, _)| old(name)).collect();
        let after: Map = steps.iter().map(|(name, version)| (name.as_str().into(), version.as_str().into())).collect();
        self.packages.extend(steps.iter().map(|(name, _)| name.clone()));
        self.changes.push(Change::new(what, before, after, act));
    }
}

fn refused(output: &Output) -> Failure {
    let failure = Failure::of_command("pacman", output);
    let hint =
        if output.stderr_text().contains("target not found") { "; `update_cache: true` refreshes the package lists" } else { "" };
    Failure { msg: failure.msg + hint, ..failure }
}

fn is_file(name: &str) -> bool {
    name.contains("://") || name.starts_with(['/', '~', '.']) || name.contains(".pkg.tar")
}

fn has_version(spec: &str) -> bool {
    spec.contains(['=', '<', '>'])
}

fn without_repository(spec: &str) -> &str {
    spec.rsplit('/').next().unwrap_or(spec)
}

/// The name in `repository/name>=1.2`.
fn bare(spec: &str) -> &str {
    without_repository(spec).split(['=', '<', '>']).next().unwrap_or_default()
}

/// Lines of two words.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.lines().filter_map(|line| line.split_once(' ')).map(|(one, other)| (one.to_owned(), other.to_owned()))
}

/// Lines of `--print` with our format.
fn steps(output: &Output) -> Vec<(String, String)> {
    let text = output.stdout_text();
    let lines: String = text.lines().filter_map(|line| line.strip_prefix(MARK)).flat_map(|line| [line, "\n"]).collect();
    pairs(&lines).collect()
}
