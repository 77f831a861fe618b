//! `apk`: packages of Alpine.
//!
//! What is wanted of a host is in apk's world file, and what is installed in a record of its own: where both have a package,
//! no process is started. For the rest apk is asked, in simulation, what it would do; its answer is the plan. A simulation
//! knows only the package lists that are there, but apk itself fetches missing and old ones: what it refuses is left to the
//! real run, outside of check mode.

use super::locks::{self, Locks};
use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, Rule};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "apk",
    collection: "community.general",
    summary: "installs, upgrades and removes packages of Alpine",
    args: &[ARGS],
    rules: &[Rule::OneOf(&["name", "upgrade", "update_cache"]), Rule::Exclusive(&["name", "upgrade"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "packages: `foo`, `foo=1.2-r0`, `foo~1.2`, `foo@edge`, or a file on the host"),
    Arg::new("state", Kind::Str, "what is wanted of them").default("present").choices(&[
        "present",
        "absent",
        "latest",
        "installed",
        "removed",
    ]),
    Arg::new("available", Kind::Bool, "with `upgrade`, also replace what no repository has any more").default("no"),
    Arg::new("no_cache", Kind::Bool, "use no package lists that were kept").default("no"),
    Arg::new("repository", Kind::List, "repositories to use instead of the host's own"),
    Arg::new("update_cache", Kind::Bool, "refresh the package lists first").default("no"),
    Arg::new("upgrade", Kind::Bool, "upgrade all packages").default("no"),
    Arg::new("world", Kind::Str, "another list of what counts as wanted already").default(WORLD),
];

const WORLD: &str = "/etc/apk/world";
const INSTALLED: &str = "/lib/apk/db/installed";
/// Where package lists are kept; the second where an administrator wants it so.
const CACHES: [&str; 2] = ["/var/cache/apk", "/etc/apk/cache"];
const LOCKS: Locks = Locks { program: "apk", files: &["/lib/apk/db/lock"], hint: "" };
/// Seconds to wait for somebody else's lock.
const LOCK_WAIT: i64 = 60;
const ASK: Duration = Duration::from_secs(300);
/// Kept in mind for the next items of a loop.
const REFRESHED: &str = "the package lists of apk were refreshed";
/// Digests of the package lists before they are refreshed.
const LISTS: &str = "_lists";

struct Apk<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
}

/// One item of `name`.
struct Spec {
    text: String,
    /// Without version and repository.
    name: String,
}

/// One run of apk that seems to be needed.
#[derive(Default)]
struct Job {
    /// Its command and what comes behind.
    words: Vec<String>,
    /// Only what happens to these is a reason for it; empty means everything is.
    names: Vec<String>,
    /// Lines of the world file that it replaces, and by which.
    old: Vec<String>,
    new: Vec<String>,
}

/// What apk does to one package.
struct Step {
    name: String,
    before: Value,
    after: Value,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let missing = || Failure::new("there is no apk on this host: use `package`, or the module of its own package manager");
    let apk = Apk { args, look, program: look.which("apk").ok_or_else(missing)? };
    let must_update = args.bool("update_cache") && !look.has_in_mind(REFRESHED);
    let mut job = apk.job()?;
    if (must_update || job.is_some()) && !look.is_check() && locks::wait(look, &LOCKS, LOCK_WAIT)? {
        job = apk.job()?;
    }
    let mut plan = Plan::default();
    if must_update {
        plan.push(Change::run("package lists", apk.command(&["update".to_owned()])));
    }
    if let Some(job) = job {
        apk.add(&mut plan, &job, must_update)?;
    }
    if must_update && plan.changes.len() == 1 {
        plan.changed = Some(asks_only_for_update(args));
        if asks_only_for_update(args) && !look.is_check() {
            plan.set(LISTS, lists(look));
        }
    }
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    if args.bool("update_cache") && !args.has("repository") {
        look.keep_in_mind(REFRESHED);
    }
    if let Some(before) = values.shift_remove(LISTS) {
        values.insert("changed".into(), (before != lists(look)).into());
    }
    let Some(last) = done.last() else { return Ok(values) };
    for key in ["stdout", "stderr"] {
        values.extend(last.values.get(key).map(|text| (key.into(), text.clone())));
    }
    let steps = steps(&last.values.get("stdout").map(Value::to_text).unwrap_or_default());
    if !steps.is_empty() || values.contains_key("packages") {
        values.insert("packages".into(), packages(&steps));
    }
    values.entry("changed".into()).or_insert((!steps.is_empty()).into());
    Ok(values)
}

fn asks_only_for_update(args: &Args) -> bool {
    args.list("name").is_empty() && !args.bool("upgrade")
}

/// Digests of the package lists that are there.
fn lists(look: &dyn Look) -> Value {
    let mut digests = Vec::new();
    for dir in CACHES {
        for name in look.list(dir).unwrap_or_default() {
            if name.starts_with("APKINDEX") {
                digests.push(Value::from(look.digest(&format!("{dir}/{name}"), "sha256").unwrap_or_default()));
            }
        }
    }
    digests.into()
}

fn packages(steps: &[Step]) -> Value {
    steps.iter().map(|step| Value::from(step.name.as_str())).collect()
}

impl Apk<'_> {
    fn job(&self) -> Result<Option<Job>, Failure> {
        if self.args.bool("upgrade") {
            return self.upgrade().map(Some);
        }
        let specs: Vec<Spec> = self.args.list("name").iter().map(|text| Spec::parse(text)).collect::<Result<_, _>>()?;
        if specs.is_empty() {
            return Ok(None);
        }
        let installed = self.text(INSTALLED)?;
        match self.args.str("state") {
            Some("absent" | "removed") => self.remove(&specs, &installed),
            state => self.install(specs, &installed, state == Some("latest")),
        }
    }

    fn text(&self, path: &str) -> Result<String, Failure> {
        let text = self.look.text(path).map_err(|error| Failure::io(format_args!("cannot read {path}"), &error))?;
        Ok(text.unwrap_or_default())
    }

    fn world(&self, path: &str) -> Result<Vec<String>, Failure> {
        Ok(self.text(path)?.split_whitespace().map(str::to_owned).collect())
    }

    fn upgrade(&self) -> Result<Job, Failure> {
        let mut job = Job { words: vec!["upgrade".to_owned()], ..Job::default() };
        if self.args.bool("available") {
            job.words.push("--available".to_owned());
            // What was installed from a file may then come from a repository.
            job.old = self.world(WORLD)?.into_iter().filter(|line| line.contains("><")).collect();
            job.new = job.old.iter().filter_map(|line| line.split("><").next()).map(str::to_owned).collect();
        }
        Ok(job)
    }

    fn install(&self, specs: Vec<Spec>, installed: &str, is_latest: bool) -> Result<Option<Job>, Failure> {
        let own = self.world(WORLD)?;
        let mut wanted = self.world(self.args.str("world").unwrap_or(WORLD))?;
        wanted.extend_from_slice(&own);
        let mut job = Job { words: vec!["add".to_owned()], ..Job::default() };
        if is_latest {
            job.words.push("--upgrade".to_owned());
        }
        let options = job.words.len();
        for spec in specs {
            let is_wanted = spec.is_file() || spec.is_in(&wanted);
            if !is_latest && spec.is_plain() && is_wanted && spec.is_installed(installed) {
                continue;
            }
            if spec.is_file() && !spec.text.contains("://") && !self.look.exists(&spec.text) {
                return Err(Failure::new(format!("there is no file {} on the host; copy it there first", spec.text)));
            }
            if !is_wanted {
                job.old.extend(own.iter().filter(|line| name_of(line) == spec.name).cloned());
                job.new.push(spec.text.clone());
            }
            if is_latest && !spec.is_file() {
                job.names.push(spec.name);
            }
            job.words.push(spec.text);
        }
        Ok((job.words.len() > options).then_some(job))
    }

    fn remove(&self, specs: &[Spec], installed: &str) -> Result<Option<Job>, Failure> {
        let world = self.world(WORLD)?;
        let mut job = Job { words: vec!["del".to_owned(), "--purge".to_owned()], ..Job::default() };
        for spec in specs {
            let lines = || world.iter().filter(|line| name_of(line) == spec.name && !line.starts_with('!'));
            let is_there = spec.is_installed(installed) || lines().next().is_some();
            if is_there && (spec.is_plain() || self.ask(&["info", "-e", &spec.text])?.is_success()) {
                job.old.extend(lines().cloned());
                job.words.push(spec.name.clone());
                job.names.push(spec.name.clone());
            }
        }
        Ok((!job.names.is_empty()).then_some(job))
    }

    /// The change for a job, if apk would do something for it.
    fn add(&self, plan: &mut Plan, job: &Job, must_update: bool) -> Result<(), Failure> {
        let is_removal = job.words[0] == "del";
        let is_certain = job.old != job.new;
        let what = job.words.join(" ");
        let act = Act::Run(self.command(&job.words));
        let is_real = !self.look.is_check();
        let mut words: Vec<&str> = job.words.iter().map(String::as_str).collect();
        words.insert(1, "--simulate");
        let said = if must_update && is_real && !is_removal { None } else { Some(self.ask(&words)?) };
        let output = match said {
            Some(output) if output.is_success() => output,
            Some(output) if is_removal || !is_real && !must_update && !lacks_lists(&output) => {
                return Err(Failure::of_command("apk", &output));
            }
            // Only the real run can tell.
            _ => {
                if is_certain {
                    plan.set("changed", true);
                }
                plan.push(Change::new(what, Value::Null, Value::Null, act));
                return Ok(());
            }
        };
        let stdout = output.stdout_text();
        if is_removal && let Some((name, users)) = blocked(&stdout, &self.text(INSTALLED)?) {
            return Err(Failure::new(format!("{name} cannot be removed, because it is needed by {users}")));
        }
        let steps = steps(&stdout);
        let is_reason = |step: &Step| job.names.is_empty() || job.names.iter().any(|name| *name == name_of(&step.name));
        let (before, after): (Value, Value) = if is_certain && steps.is_empty() {
            (Value::pair("world", job.old.clone()), Value::pair("world", job.new.clone()))
        } else {
            (side(&steps, |step| &step.before).into(), side(&steps, |step| &step.after).into())
        };
        if is_certain || steps.iter().any(is_reason) {
            plan.set("changed", true).set("packages", packages(&steps));
            plan.set("stdout", stdout).set("stderr", output.stderr_text());
            plan.push(Change::new(what, before, after, act));
        } else if job.words[0] == "upgrade" {
            plan.set("packages", Vec::<Value>::new());
            if is_real {
                plan.push(Change::new(what, Value::Null, Value::Null, act));
            }
        }
        Ok(())
    }

    fn ask(&self, words: &[&str]) -> Result<Output, Failure> {
        let mut cmd = self.start();
        for word in words {
            cmd.argv.push((*word).to_owned());
        }
        self.look.run(&cmd.timeout(ASK))
    }

    /// Waits for a lock that somebody else got in between.
    fn command(&self, words: &[String]) -> Cmd {
        let mut cmd = self.start();
        cmd.argv.push("--wait".to_owned());
        cmd.argv.push(LOCK_WAIT.to_string());
        cmd.argv.extend_from_slice(words);
        cmd
    }

    /// The program with the options of all commands.
    fn start(&self) -> Cmd {
        let mut argv = vec![self.program.clone()];
        let mut add = |word: &str| argv.push(word.to_owned());
        if self.args.bool("no_cache") {
            add("--no-cache");
        }
        let repositories = self.args.list("repository");
        if !repositories.is_empty() {
            add("--repositories-file");
            add("/dev/null");
        }
        for repository in &repositories {
            add("--repository");
            add(repository);
        }
        Cmd { argv, ..Cmd::default() }
    }
}

impl Spec {
    fn parse(text: &str) -> Result<Spec, Failure> {
        let text = text.trim().replace("==", "=");
        let name = name_of(&text).to_owned();
        if name.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace) {
            return Err(Failure::new(format!("`{text}` is not the name of a package")));
        }
        Ok(Spec { text, name })
    }

    fn is_plain(&self) -> bool {
        self.text == self.name && !self.is_file()
    }

    fn is_file(&self) -> bool {
        self.text.ends_with(".apk")
    }

    /// A name alone is content with any version.
    fn is_in(&self, world: &[String]) -> bool {
        let is_same =
            |line: &String| *line == self.text || self.is_plain() && !line.starts_with('!') && name_of(line) == self.name;
        world.iter().any(is_same)
    }

    fn is_installed(&self, installed: &str) -> bool {
        has(installed, &self.name)
    }
}

fn has(installed: &str, name: &str) -> bool {
    installed.lines().any(|line| line.strip_prefix("P:") == Some(name))
}

/// The name in a line such as `foo@edge=1.2` or `!foo`.
fn name_of(line: &str) -> &str {
    line.trim_start_matches('!').split(['@', '=', '<', '>', '~']).next().unwrap_or_default()
}

/// Reads lines such as `(1/2) Upgrading foo@edge (1.1-r0 -> 1.2-r0)`.
fn steps(stdout: &str) -> Vec<Step> {
    let step = |line: &str| {
        let (verb, rest) = line.strip_prefix('(')?.split_once(") ")?.1.split_once(' ')?;
        let (name, versions) = rest.strip_suffix(')')?.rsplit_once(" (")?;
        let (old, new) = versions.split_once(" -> ").unwrap_or((versions, versions));
        let before = if verb == "Installing" { Value::Null } else { old.into() };
        let after = if verb == "Purging" { Value::Null } else { new.into() };
        Some(Step { name: name.to_owned(), before, after })
    };
    stdout.lines().filter_map(step).collect()
}

fn side(steps: &[Step], of: fn(&Step) -> &Value) -> Map {
    steps.iter().filter(|step| !of(step).is_null()).map(|step| (step.name.as_str().into(), of(step).clone())).collect()
}

/// What `del` says of packages that stay: `  libfoo: foo`, up to an empty line.
fn blocked<'a>(stdout: &'a str, installed: &str) -> Option<(&'a str, &'a str)> {
    let stay = stdout.lines().skip_while(|line| !line.ends_with("not removed due to:")).skip(1);
    let pairs = stay.take_while(|line| line.starts_with(' ')).filter_map(|line| line.trim().split_once(": "));
    pairs.into_iter().find(|(name, _)| has(installed, name))
}

/// There are repositories that apk has no list of yet.
fn lacks_lists(output: &Output) -> bool {
    output.stderr_text().contains("opening from cache ")
}
