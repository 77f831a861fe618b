//! `apt`: packages of Debian and its relatives.
//!
//! What is installed is read from dpkg's files, so a converged task starts no process at all. Only for what is missing is
//! `apt-get` asked, in simulation, what it would do: its answer is the plan. A lock that somebody else holds is waited for
//! by name (see `locks`) before anything is planned on top of a half-done installation.

mod dpkg;
mod spec;

use super::locks::{self, Locks};
use super::touch::Write;
use super::{Act, Arg, Args, Change, Cmd, Content, Done, Failure, HttpRequest, Kind, Look, Module, Output, Plan, Rule, glob};
use crate::value::{Map, Value};
use dpkg::Dpkg;
use spec::{Spec, Wanted};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "apt",
    collection: "ansible.builtin",
    summary: "installs, upgrades and removes packages with apt",
    args: &[ARGS],
    rules: &[
        Rule::OneOf(&["name", "deb", "upgrade", "update_cache", "cache_valid_time", "autoremove", "autoclean", "clean"]),
        Rule::Exclusive(&["deb", "name", "upgrade"]),
    ],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "packages: `nginx`, `nginx=1.2*`, `nginx>=1.2`, `php8.*`").aliases(&["package", "pkg"]),
    Arg::new("state", Kind::Str, "what is wanted of them").default("present").choices(&[
        "absent",
        "build-dep",
        "latest",
        "present",
        "fixed",
    ]),
    Arg::new("update_cache", Kind::Bool, "refresh the package lists first").aliases(&["update-cache"]),
    Arg::new("cache_valid_time", Kind::Int, "refresh them only when they are older than this many seconds").default("0"),
    Arg::new("update_cache_retries", Kind::Int, "how often a failed download of the lists is tried again").default("5"),
    Arg::new("update_cache_retry_max_delay", Kind::Int, "longest pause between tries; apt chooses its own").inert().default("12"),
    Arg::new("upgrade", Kind::Str, "upgrade the whole system").default("no").choices(&["dist", "full", "no", "safe", "yes"]),
    Arg::new("deb", Kind::Path, "a .deb file on the host, or its URL"),
    Arg::new("purge", Kind::Bool, "also remove configuration files").default("no"),
    Arg::new("autoremove", Kind::Bool, "remove dependencies that nothing needs any more").default("no"),
    Arg::new("autoclean", Kind::Bool, "remove downloaded files that no source offers any more").default("no"),
    Arg::new("clean", Kind::Bool, "remove all downloaded files").default("no"),
    Arg::new("default_release", Kind::Str, "the release to prefer, as `apt-get -t` takes it").aliases(&["default-release"]),
    Arg::new("install_recommends", Kind::Bool, "also install what is recommended; apt's own setting if not given")
        .aliases(&["install-recommends"]),
    Arg::new("only_upgrade", Kind::Bool, "leave alone what is not installed").default("no"),
    Arg::new("fail_on_autoremove", Kind::Bool, "fail where something would have to be removed").default("no"),
    Arg::new("force", Kind::Bool, "install what is unauthenticated, older or held; dangerous").default("no"),
    Arg::new("allow_unauthenticated", Kind::Bool, "install what no trusted key has signed")
        .aliases(&["allow-unauthenticated"])
        .default("no"),
    Arg::new("allow_downgrade", Kind::Bool, "install an older version over a newer one")
        .aliases(&["allow-downgrade", "allow_downgrades", "allow-downgrades"])
        .default("no"),
    Arg::new("allow_change_held_packages", Kind::Bool, "change packages that are on hold").default("no"),
    Arg::new("dpkg_options", Kind::Str, "options for dpkg, separated by commas").default("force-confdef,force-confold"),
    Arg::new("policy_rc_d", Kind::Int, "what `policy-rc.d` answers meanwhile; 101 keeps services from being started"),
    Arg::new("lock_timeout", Kind::Int, "seconds to wait for somebody else's lock").default("60"),
    Arg::new("force_apt_get", Kind::Bool, "apt-get is always used").inert().default("no"),
    Arg::new("auto_install_module_deps", Kind::Bool, "nothing needs to be installed for this module").inert().default("yes"),
];

const LOCKS: Locks = Locks {
    program: "apt",
    files: &["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"],
    hint: "; lock_timeout says how long to wait",
};
const UPDATE_STAMP: &str = "/var/lib/apt/periodic/update-success-stamp";
const LISTS: &str = "/var/lib/apt/lists";
const ARCHIVES: &str = "/var/cache/apt/archives";
/// Kept in mind for the next items of a loop.
const REFRESHED: &str = "the package lists were refreshed";
/// A question to apt takes this long at most.
const ASK: Duration = Duration::from_secs(120);
/// Sets `policy-rc.d` up for one command and puts the old one back whatever happens.
const WITH_POLICY: &str = r#"policy=/usr/sbin/policy-rc.d saved=$policy.roll-saved code=$1
shift
if [ -e $policy ] && [ ! -e $saved ]; then mv $policy $saved || exit 1; fi
trap 'if [ -e $saved ]; then mv -f $saved $policy; else rm -f $policy; fi' EXIT
trap 'exit 130' HUP INT TERM
printf '#!/bin/sh\nexit %s\n' "$code" > $policy && chmod 755 $policy || exit 1
"$@""#;

/// apt on one host, for one task.
struct Apt<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
}

/// When what apt-get says becomes `stdout` and `stderr`.
#[derive(PartialEq)]
enum Told {
    Changes,
    Always,
    /// And `msg`.
    AsMessage,
}

/// One run of apt-get that seems to be needed.
struct Job {
    what: String,
    told: Told,
    /// Command, options of its own and operands.
    argv: Vec<String>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let missing = || Failure::new("there is no apt-get on this host: use `package`, or the module of its own package manager");
    let apt = Apt { args, look, program: look.which("apt-get").ok_or_else(missing)? };
    let updated = cache_time(look);
    let must_update = apt.must_update(updated);
    let mut plan = Plan::default();
    plan.set("cache_updated", must_update);
    plan.set("cache_update_time", updated);
    let (mut jobs, mut files) = apt.jobs(must_update)?;
    let is_idle = jobs.is_empty() && files.is_empty() && !must_update;
    if !is_idle && !look.is_check() && locks::wait(look, &LOCKS, args.int("lock_timeout").unwrap_or(60))? {
        (jobs, files) = apt.jobs(must_update)?;
    }
    if args.bool("clean") && !apt.downloaded().is_empty() {
        plan.push(Change::new(ARCHIVES, apt.downloaded(), Vec::<Value>::new(), Act::Run(apt.command(&["clean".to_owned()]))));
    }
    if must_update {
        plan.push(Change::run("package lists", apt.update()));
    }
    plan.changes.append(&mut files.before);
    for job in &jobs {
        apt.add(job, must_update, &mut plan)?;
    }
    plan.changes.append(&mut files.after);
    // A refreshed cache alone counts as a change only when nothing else was asked for.
    if must_update && plan.changes.len() == 1 {
        plan.changed = Some(asks_only_for_update(args));
    }
    Ok(plan)
}

/// What dpkg has installed.
pub(super) fn installed_packages(look: &dyn Look) -> Result<Vec<dpkg::Package>, Failure> {
    Ok(Dpkg::read(look)?.all_installed())
}

/// `apt-get update` for modules that change the sources; it waits for the lock as `apt` does.
pub(super) fn refresh(look: &dyn Look, retries: i64) -> Result<Cmd, Failure> {
    if !look.is_check() {
        locks::wait(look, &LOCKS, 60)?;
    }
    let retries = format!("Acquire::Retries={}", retries.clamp(0, 100));
    let argv =
        ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=60", "update", "-o", "APT::Update::Error-Mode=any", "-o", &retries];
    Ok(Cmd::new(argv).env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C"))
}

/// Changes of files around the runs of apt-get.
#[derive(Default)]
struct Files {
    before: Vec<Change>,
    after: Vec<Change>,
}

impl Files {
    fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }
}

fn asks_only_for_update(args: &Args) -> bool {
    !args.has("name") && !args.has("deb") && matches!(args.str("upgrade"), None | Some("no"))
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let was_updated = values.get("cache_updated").and_then(Value::as_bool).unwrap_or(false);
    let before = values.get("cache_update_time").and_then(Value::as_int).unwrap_or(0);
    let now = cache_time(look);
    values.insert("cache_updated".into(), (was_updated && now != before).into());
    values.insert("cache_update_time".into(), now.into());
    if was_updated {
        look.keep_in_mind(REFRESHED);
        // What apt-get found to do was only known once it had the new lists.
        let outputs = done.iter().filter_map(|one| one.values.get("stdout")).map(|text| text.to_text().as_str().to_owned());
        let worked = outputs.skip_while(|output| !is_update(output)).skip(1).any(|output| !is_idle(&output));
        values.insert("changed".into(), (worked || asks_only_for_update(args) && now != before).into());
    }
    for one in done {
        for key in ["stdout", "stderr"] {
            if let Some(text) = one.values.get(key) {
                values.insert(key.into(), text.clone());
            }
        }
    }
    if values.contains_key("msg") {
        values.insert("msg".into(), values.get("stdout").cloned().unwrap_or_default());
    }
    Ok(values)
}

/// The output of `apt-get update`, which also ends after reading the lists but installs nothing.
fn is_update(output: &str) -> bool {
    output.contains("Reading package lists") && !output.contains("newly installed")
}

/// apt-get's summary says that there was nothing to do.
fn is_idle(output: &str) -> bool {
    output.lines().any(|line| {
        line.starts_with("0 upgraded, 0 newly installed,") && line.contains(" 0 to remove") && !line.contains(" reinstalled, ")
    }) && !output.contains("\nSetting up ")
}

/// When the lists were last refreshed; 0 where they never were.
fn cache_time(look: &dyn Look) -> i64 {
    let time = |path: &str| look.stat(path, true).ok().flatten().map(|stat| stat.mtime as i64);
    // A fresh image has the directory but no lists: there is no cache to be valid.
    let has_lists = look.list(LISTS).unwrap_or_default().iter().any(|name| name.contains("_Packages"));
    if !has_lists {
        return 0;
    }
    time(UPDATE_STAMP).or_else(|| time(LISTS)).unwrap_or(0)
}

impl Apt<'_> {
    fn must_update(&self, updated: i64) -> bool {
        let valid = self.args.int("cache_valid_time").unwrap_or(0);
        let is_asked = if self.args.has("update_cache") { self.args.bool("update_cache") } else { valid > 0 };
        is_asked && (valid <= 0 || updated + valid < self.look.now() as i64) && !self.look.has_in_mind(REFRESHED)
    }

    /// What is not as wanted, as far as dpkg's files can tell.
    fn jobs(&self, must_update: bool) -> Result<(Vec<Job>, Files), Failure> {
        let dpkg = Dpkg::read(self.look)?;
        let mut jobs = Vec::new();
        let mut files = Files::default();
        if let Some(deb) = self.args.str("deb") {
            jobs.extend(self.deb(deb, &dpkg, &mut files)?);
        } else if self.args.has("name") {
            jobs.extend(self.packages(&dpkg, must_update)?);
        }
        let upgrade = if self.wants_all() { "yes" } else { self.args.str("upgrade").unwrap_or("no") };
        if upgrade != "no" {
            jobs.push(self.upgrade(upgrade));
        }
        if asks_only_for_update(self.args) {
            jobs.extend(self.cleanup());
        }
        Ok((jobs, files))
    }

    /// `name: "*"` with `state: latest`.
    fn wants_all(&self) -> bool {
        self.args.str("state") == Some("latest") && self.args.list("name").iter().any(|name| name == "*")
    }

    fn upgrade(&self, kind: &str) -> Job {
        let (command, extra) =
            if matches!(kind, "dist" | "full") { ("dist-upgrade", None) } else { ("upgrade", Some("--with-new-pkgs")) };
        let mut argv = vec![command.to_owned()];
        argv.extend(extra.map(str::to_owned));
        argv.extend(self.options());
        Job { what: "all packages".to_owned(), told: Told::AsMessage, argv }
    }

    fn cleanup(&self) -> Vec<Job> {
        let purge = self.args.bool("purge").then(|| "--purge".to_owned());
        let job = |command: &str, purge: Option<String>| Job {
            what: command.to_owned(),
            told: Told::Always,
            argv: std::iter::once(command.to_owned()).chain(purge).collect(),
        };
        let autoclean = self.args.bool("autoclean").then(|| job("autoclean", None));
        let autoremove = self.args.bool("autoremove").then(|| job("autoremove", purge));
        autoclean.into_iter().chain(autoremove).collect()
    }

    fn packages(&self, dpkg: &Dpkg, must_update: bool) -> Result<Option<Job>, Failure> {
        let specs = self.specs(dpkg)?;
        match self.args.str("state").unwrap_or("present") {
            "absent" => Ok(self.remove(&specs, dpkg)),
            "build-dep" => Ok(self.job("build-dep", specs.iter().map(|spec| spec.to_apt(None)).collect(), None)),
            "fixed" => Ok(Some(self.fix(&specs))),
            "latest" if self.wants_all() => Ok(None),
            "latest" => {
                let specs: Vec<Spec> = specs.into_iter().filter(|spec| self.may_install(spec, dpkg)).collect();
                Ok(self.job("install", self.operands(&specs, must_update)?, None))
            }
            _ => {
                let mut missing = Vec::new();
                for spec in specs {
                    if self.may_install(&spec, dpkg) && !self.is_satisfied(&spec, dpkg)? {
                        missing.push(spec);
                    }
                }
                Ok(self.job("install", self.operands(&missing, must_update)?, None))
            }
        }
    }

    /// The specs of `name`, wildcards expanded.
    fn specs(&self, dpkg: &Dpkg) -> Result<Vec<Spec>, Failure> {
        let mut specs = Vec::new();
        for text in self.args.list("name").iter().filter(|text| !text.trim().is_empty() && *text != "*") {
            let spec = Spec::parse(text)?;
            if spec.is_pattern() {
                specs.extend(self.expand(&spec, dpkg)?);
            } else {
                specs.push(spec);
            }
        }
        Ok(specs)
    }

    fn expand(&self, spec: &Spec, dpkg: &Dpkg) -> Result<Vec<Spec>, Failure> {
        let is_removal = self.args.str("state") == Some("absent");
        let mut names: Vec<String> = dpkg.names(is_removal).into_iter().map(str::to_owned).collect();
        if !is_removal {
            let known = self.ask("apt-cache", &["pkgnames"])?;
            names.extend(known.stdout_text().lines().map(str::to_owned));
        }
        names.retain(|name| glob::is_match(&spec.name, name));
        names.sort_unstable();
        names.dedup();
        if names.is_empty() && !is_removal {
            return Err(Failure::new(format!("No package(s) matching '{}' available", spec.name)));
        }
        Ok(names.iter().map(|name| spec.named(name)).collect())
    }

    /// Installed in a version that is wanted, or a virtual name that something installed provides.
    fn is_satisfied(&self, spec: &Spec, dpkg: &Dpkg) -> Result<bool, Failure> {
        match dpkg.installed(spec) {
            Some(package) => Ok(spec.accepts(&package.version)),
            None if spec.version != Wanted::Any || dpkg.provider(spec).is_none() => Ok(false),
            // Some names are both: apt itself provides apt-transport-https, which is a package as well.
            None => {
                let policy = self.ask("apt-cache", &["policy", &spec.to_apt(None)])?.stdout_text();
                let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:"));
                Ok(candidate.is_none_or(|version| version.trim() == "(none)"))
            }
        }
    }

    /// `only_upgrade` leaves alone what is not installed.
    fn may_install(&self, spec: &Spec, dpkg: &Dpkg) -> bool {
        !self.args.bool("only_upgrade") || dpkg.installed(spec).is_some()
    }

    /// As apt-get takes them: a wanted range of versions becomes the best one on offer.
    fn operands(&self, specs: &[Spec], must_update: bool) -> Result<Vec<String>, Failure> {
        specs.iter().map(|spec| self.operand(spec, must_update)).collect()
    }

    fn operand(&self, spec: &Spec, must_update: bool) -> Result<String, Failure> {
        let is_range = match &spec.version {
            Wanted::Any => return Ok(spec.to_apt(None)),
            Wanted::Exactly(version) => version.contains(['*', '?', '[']),
            Wanted::AtLeast(_) => true,
        };
        match &spec.version {
            Wanted::Exactly(version) if !is_range => return Ok(spec.to_apt(Some(version))),
            _ => {}
        }
        let offers = self.ask("apt-cache", &["madison", &spec.to_apt(None)])?.stdout_text();
        let best = offers.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim).find(|version| spec.accepts(version));
        match (best, &spec.version) {
            (Some(version), _) => Ok(spec.to_apt(Some(version))),
            // The lists are about to be refreshed: apt-get decides then.
            (None, Wanted::Exactly(version)) if must_update => Ok(spec.to_apt(Some(version))),
            (None, Wanted::AtLeast(_)) if must_update => Ok(spec.to_apt(None)),
            (None, Wanted::Exactly(version)) => Err(no_candidate(spec, "=", version)),
            (None, Wanted::AtLeast(version)) => Err(no_candidate(spec, ">=", version)),
            (None, Wanted::Any) => Ok(spec.to_apt(None)),
        }
    }

    fn remove(&self, specs: &[Spec], dpkg: &Dpkg) -> Option<Job> {
        let purge = self.args.bool("purge");
        let is_there = |spec: &&Spec| {
            dpkg.installed(spec).is_some_and(|package| spec.accepts(&package.version)) || purge && dpkg.has_config_files(spec)
        };
        let names: Vec<String> = specs.iter().filter(is_there).map(|spec| spec.to_apt(None)).collect();
        self.job("remove", names, purge.then_some("--purge"))
    }

    fn fix(&self, specs: &[Spec]) -> Job {
        let mut argv = vec!["install".to_owned(), "--fix-broken".to_owned()];
        argv.extend(self.options());
        argv.extend(specs.iter().map(|spec| spec.to_apt(None)));
        Job { what: "broken dependencies".to_owned(), told: Told::Changes, argv }
    }

    fn job(&self, command: &str, operands: Vec<String>, extra: Option<&str>) -> Option<Job> {
        if operands.is_empty() {
            return None;
        }
        let what = operands.join(" ");
        let mut argv = vec![command.to_owned()];
        argv.extend(extra.map(str::to_owned));
        argv.extend(self.options());
        argv.extend(operands);
        Some(Job { what, told: Told::Changes, argv })
    }

    /// Options that the arguments stand for.
    fn options(&self) -> Vec<String> {
        let force = self.args.bool("force");
        let is_removal = self.args.str("state") == Some("absent");
        let flags = [
            (self.args.bool("autoremove"), "--auto-remove"),
            (self.args.bool("autoremove") && self.args.bool("purge") && !is_removal, "--purge"),
            (self.args.bool("fail_on_autoremove") && !is_removal, "--no-remove"),
            (self.args.bool("only_upgrade"), "--only-upgrade"),
            (force || self.args.bool("allow_unauthenticated"), "--allow-unauthenticated"),
            (force || self.args.bool("allow_downgrade"), "--allow-downgrades"),
            (force || self.args.bool("allow_change_held_packages"), "--allow-change-held-packages"),
            (force, "--allow-remove-essential"),
        ];
        let mut options: Vec<String> = flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()).collect();
        if let Some(release) = self.args.str("default_release").filter(|release| !release.is_empty()) {
            options.extend(["-t".to_owned(), release.to_owned()]);
        }
        if self.args.has("install_recommends") {
            let answer = if self.args.bool("install_recommends") { "yes" } else { "no" };
            options.extend(["-o".to_owned(), format!("APT::Install-Recommends={answer}")]);
        }
        options
    }

    /// A `.deb`, unless that very version is installed. One from a URL is kept in apt's own cache while it is installed.
    fn deb(&self, deb: &str, dpkg: &Dpkg, files: &mut Files) -> Result<Option<Job>, Failure> {
        let body = if deb.contains("://") { Some(self.download(deb)?) } else { None };
        if body.is_none() && !self.look.exists(deb) {
            return Err(Failure::new(format!("there is no file {deb} on the host; copy it there first, or give a URL")));
        }
        let [name, version, arch] = self.deb_fields(deb, body.as_deref())?;
        let spec = Spec { arch: (arch != "all").then(|| arch.clone()), ..Spec::parse(&name)? };
        if dpkg.installed(&spec).is_some_and(|package| package.version == version) {
            return Ok(None);
        }
        let path = match body {
            None if deb.starts_with('/') => deb.to_owned(),
            None => format!("./{deb}"),
            Some(body) => {
                let path = format!("{ARCHIVES}/{name}_{}_{arch}.deb", version.replace(':', "%3a"));
                let write = Act::Write(Write::new(&path, Content::Bytes(body)));
                files.before.push(Change::new(&path, Value::Null, Value::Null, write));
                files.after.push(Change::new(&path, Value::Null, Value::Null, Act::Remove { path: path.clone() }));
                path
            }
        };
        Ok(self.job("install", vec![path], None))
    }

    fn download(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let reply = self.look.http(&HttpRequest::get(url))?;
        if reply.status != 200 {
            return Err(Failure::new(format!("Failed to download {url}: HTTP {} {}", reply.status, reply.reason)));
        }
        Ok(reply.body)
    }

    fn deb_fields(&self, deb: &str, body: Option<&[u8]>) -> Result<[String; 3], Failure> {
        let source = if body.is_some() { "-" } else { deb };
        let mut cmd = Cmd::new(["dpkg-deb", "-f", source, "Package", "Version", "Architecture"]).env("LC_ALL", "C").timeout(ASK);
        cmd.stdin = body.map(<[u8]>::to_vec);
        let output = self.look.run(&cmd)?;
        let text = output.stdout_text();
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(|value| value.trim().to_owned())
        };
        match (field("Package"), field("Version"), field("Architecture")) {
            (Some(name), Some(version), Some(arch)) if output.is_success() => Ok([name, version, arch]),
            _ => Err(Failure::of_command(format!("{deb} is not a Debian package"), &output)),
        }
    }

    /// Names of downloaded packages.
    fn downloaded(&self) -> Vec<Value> {
        let partial = format!("{ARCHIVES}/partial");
        let names = |dir: &str| self.look.list(dir).unwrap_or_default();
        names(ARCHIVES).into_iter().filter(|name| name.ends_with(".deb")).chain(names(&partial)).map(Value::from).collect()
    }

    /// The change for one job, or none where apt-get's simulation says that there is nothing to do.
    fn add(&self, job: &Job, must_update: bool, plan: &mut Plan) -> Result<(), Failure> {
        let act = Act::Run(self.guarded(&job.argv));
        if job.told == Told::AsMessage {
            plan.set("msg", "");
        }
        let is_unpredictable = must_update && !self.look.is_check() || job.argv.iter().any(|operand| self.is_download(operand));
        if is_unpredictable {
            plan.push(Change::new(&job.what, Value::Null, Value::Null, act));
            return Ok(());
        }
        let output = match self.simulate(&job.argv) {
            Ok(output) => output,
            // In check mode the lists are as old as they are.
            Err(_) if must_update => {
                plan.push(Change::new(&job.what, Value::Null, Value::Null, act));
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        let (before, after) = foretold(&output.stdout_text());
        let is_idle = before.is_empty() && after.is_empty();
        if job.told != Told::Changes || !is_idle {
            plan.set("stdout", output.stdout_text()).set("stderr", output.stderr_text());
        }
        if job.told == Told::AsMessage {
            plan.set("msg", output.stdout_text());
        }
        if !is_idle {
            plan.push(Change::new(&job.what, before, after, act));
        }
        Ok(())
    }

    /// A file that is not there yet cannot be simulated with.
    fn is_download(&self, operand: &str) -> bool {
        operand.starts_with(ARCHIVES) && !self.look.exists(operand)
    }

    /// What apt-get says it would do.
    fn simulate(&self, argv: &[String]) -> Result<Output, Failure> {
        let mut all = vec!["--simulate".to_owned()];
        all.extend_from_slice(argv);
        let output = self.look.run(&self.command(&all).timeout(ASK))?;
        if output.is_success() { Ok(output) } else { Err(refused(&output)) }
    }

    fn update(&self) -> Cmd {
        let retries = self.args.int("update_cache_retries").unwrap_or(5).clamp(0, 100);
        let words = ["update", "-o", "APT::Update::Error-Mode=any", "-o"];
        let argv: Vec<String> = words.map(str::to_owned).into_iter().chain([format!("Acquire::Retries={retries}")]).collect();
        self.command(&argv)
    }

    /// With `policy_rc_d` in force while it runs.
    fn guarded(&self, argv: &[String]) -> Cmd {
        let cmd = self.command(argv);
        let Some(code) = self.args.int("policy_rc_d") else { return cmd };
        let shell = ["/bin/sh".to_owned(), "-c".to_owned(), WITH_POLICY.to_owned(), "sh".to_owned(), code.to_string()];
        Cmd { argv: shell.into_iter().chain(cmd.argv).collect(), ..cmd }
    }

    fn command(&self, argv: &[String]) -> Cmd {
        let mut all = vec![self.program.clone(), "-y".to_owned(), "-q".to_owned()];
        let options = self.args.str("dpkg_options").unwrap_or_default();
        for option in options.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            all.extend(["-o".to_owned(), format!("Dpkg::Options::=--{option}")]);
        }
        let timeout = self.args.int("lock_timeout").unwrap_or(60);
        all.extend(["-o".to_owned(), format!("DPkg::Lock::Timeout={timeout}")]);
        all.extend_from_slice(argv);
        Cmd::new(all).env("DEBIAN_FRONTEND", "noninteractive").env("DEBIAN_PRIORITY", "critical").env("LC_ALL", "C")
    }

    fn ask(&self, program: &str, words: &[&str]) -> Result<Output, Failure> {
        let argv = std::iter::once(program).chain(words.iter().copied());
        self.look.run(&Cmd::new(argv).env("LC_ALL", "C").timeout(ASK))
    }
}

fn no_candidate(spec: &Spec, sign: &str, version: &str) -> Failure {
    let name = &spec.name;
    Failure::new(format!(
        "no available installation candidate for {name}{sign}{version}; `apt-cache policy {name}` shows what there is"
    ))
}

/// Reads the `Inst`, `Remv`, `Purg`, `Conf` and `Del` lines of a simulation.
fn foretold(output: &str) -> (Map, Map) {
    let (mut before, mut after) = (Map::new(), Map::new());
    for line in output.lines() {
        let mut words = line.split_whitespace();
        let (Some(verb), Some(name)) = (words.next(), words.next()) else { continue };
        let old = words.clone().find_map(|word| word.strip_prefix('[')?.strip_suffix(']')).map(str::to_owned);
        let new = words.clone().find_map(|word| word.strip_prefix('(')).map(|word| word.trim_end_matches(')').to_owned());
        match verb {
            "Inst" => {
                // The architecture stands in brackets as well, inside the parentheses.
                let old = line.split('(').next().and_then(|head| head.split('[').nth(1)).and_then(|rest| rest.split(']').next());
                if let Some(old) = old {
                    before.insert(name.into(), old.into());
                }
                after.insert(name.into(), new.into());
            }
            "Remv" | "Purg" | "Del" => drop(before.insert(name.into(), old.into())),
            "Conf" if !after.contains_key(name) => drop(after.insert(name.into(), new.into())),
            _ => {}
        }
    }
    (before, after)
}

/// apt-get refuses: its own errors, and for the commonest one what to do about it.
fn refused(output: &Output) -> Failure {
    let stderr = output.stderr_text();
    let mut errors: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("E: ")).collect();
    errors.dedup();
    let unknown = errors.iter().find_map(|error| error.strip_prefix("Unable to locate package "));
    let msg = match (unknown, errors.is_empty()) {
        (Some(name), _) => format!("No package matching '{name}' is available; `update_cache: true` refreshes the package lists"),
        (None, false) => format!("apt-get: {}", errors.join("; ")),
        (None, true) => format!("apt-get: {}", stderr.trim()),
    };
    Failure::new(msg).with("rc", output.code).with("stdout", output.stdout_text()).with("stderr", stderr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_is_read_as_versions_before_and_after() {
        let output = "0 upgraded, 1 newly installed\nInst tree (2.1.0-1 Debian:12.15/oldstable [amd64])\n\
            Inst libc6 [2.36-9] (2.36-10 Debian:12 [amd64]) []\nConf tree (2.1.0-1 Debian:12.15/oldstable [amd64])\nRemv mawk [1.3]\n\
            Purg nano [7.2]\nDel gone 1.0 [12 kB]\n";
        let (before, after) = foretold(output);
        assert_eq!(
            Value::from(before).to_json(),
            r#"{"libc6":"2.36-9","mawk":"1.3","nano":"7.2","gone":"kB]"}"#.replace("\"kB]\"", "null")
        );
        assert_eq!(Value::from(after).to_json(), r#"{"tree":"2.1.0-1","libc6":"2.36-10"}"#);
    }

    #[test]
    fn apt_says_when_it_had_nothing_to_do() {
        assert!(is_idle("x\n0 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n"));
        assert!(!is_idle("0 upgraded, 1 newly installed, 0 to remove and 3 not upgraded.\n"));
        assert!(!is_idle("0 upgraded, 0 newly installed, 2 to remove and 3 not upgraded.\n"));
    }
}
