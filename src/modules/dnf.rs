//! `dnf` and `yum`: packages of Fedora, RHEL, Amazon Linux and their relatives, planned from `rpm -q`.

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, Rule, glob};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "dnf",
    collection: "ansible.builtin",
    summary: "installs, upgrades and removes packages with dnf or yum",
    args: &[ARGS],
    rules: &[Rule::OneOf(&["name", "list", "autoremove", "update_cache"]), Rule::Exclusive(&["best", "nobest"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "packages: `nginx`, `nginx-1.20`, `@development-tools`, a path or address of an rpm")
        .aliases(&["pkg"]),
    Arg::new("state", Kind::Str, "what is wanted of them").choices(&["absent", "present", "installed", "removed", "latest"]),
    Arg::new("enablerepo", Kind::List, "repositories to use for this once"),
    Arg::new("disablerepo", Kind::List, "repositories not to use for this once"),
    Arg::new("enable_plugin", Kind::List, "plugins to use for this once"),
    Arg::new("disable_plugin", Kind::List, "plugins not to use for this once"),
    Arg::new("exclude", Kind::List, "packages to leave alone"),
    Arg::new("disable_excludes", Kind::Str, "excludes of the configuration to ignore: `all`, `main` or a repository"),
    Arg::new("update_cache", Kind::Bool, "read the repositories' metadata again first").aliases(&["expire-cache"]).default("no"),
    Arg::new("update_only", Kind::Bool, "with `latest`, leave alone what is not installed").default("no"),
    Arg::new("security", Kind::Bool, "with `latest`, only updates about security").default("no"),
    Arg::new("bugfix", Kind::Bool, "with `latest`, only updates that fix bugs").default("no"),
    Arg::new("autoremove", Kind::Bool, "remove dependencies that nothing needs any more").default("no"),
    Arg::new("allow_downgrade", Kind::Bool, "install an older version over a newer one").default("no"),
    Arg::new("allowerasing", Kind::Bool, "remove what is in the way").default("no"),
    Arg::new("best", Kind::Bool, "the newest version or none"),
    Arg::new("nobest", Kind::Bool, "the newest version that can be installed"),
    Arg::new("skip_broken", Kind::Bool, "leave out what cannot be installed").default("no"),
    Arg::new("install_weak_deps", Kind::Bool, "also what is recommended").default("yes"),
    Arg::new("disable_gpg_check", Kind::Bool, "install what no trusted key has signed").default("no"),
    Arg::new("sslverify", Kind::Bool, "check the repositories' certificates").default("yes"),
    Arg::new("validate_certs", Kind::Bool, "check the certificates of addresses").default("yes"),
    Arg::new("download_only", Kind::Bool, "download and do not install").default("no"),
    Arg::new("download_dir", Kind::Str, "where to"),
    Arg::new("cacheonly", Kind::Bool, "ask no repository").default("no"),
    Arg::new("conf_file", Kind::Str, "another configuration file"),
    Arg::new("installroot", Kind::Str, "another root directory").default("/"),
    Arg::new("releasever", Kind::Str, "another release"),
    Arg::new("lock_timeout", Kind::Int, "dnf itself waits for others").inert().default("30"),
    Arg::new("use_backend", Kind::Str, "which program").default("auto").choices(&["auto", "dnf", "dnf4", "dnf5", "yum", "yum4"]),
    Arg::new("auto_install_module_deps", Kind::Bool, "nothing needs to be installed for this module").default("yes").inert(),
    Arg::new("install_repoquery", Kind::Bool, "nothing needs to be installed for this module").inert().default("yes"),
    Arg::new("list", Kind::Str, "only list: `installed`, `available`, `updates`, `repos`, or packages of this name"),
];

const ASK: Duration = Duration::from_secs(300);
/// What `check-update` ends with where there are updates.
const HAS_UPDATES: i32 = 100;

struct Dnf<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let dnf = Dnf { args, look, program: program(args, look)? };
    let mut plan = Plan::default();
    if let Some(what) = args.str("list") {
        plan.set("results", dnf.listed(what)?).set("msg", "");
        return Ok(plan);
    }
    plan.set("results", Vec::<Value>::new()).set("rc", 0).set("msg", "");
    let names: Vec<String> = args.list("name").into_iter().filter(|name| !name.is_empty()).collect();
    if let Some(bad) = names.iter().find(|name| name.starts_with('-')) {
        return Err(Failure::new(format!("`{bad}` is not the name of a package")));
    }
    if names.is_empty() && args.bool("update_cache") && !args.bool("autoremove") {
        plan.push(Change::run("package metadata", dnf.command(&["makecache"], &[])));
        plan.changed = Some(false);
        plan.set("msg", "Cache updated");
        return Ok(plan);
    }
    plan.changes.extend(dnf.change(&names)?);
    if plan.changes.is_empty() {
        plan.set("msg", "Nothing to do");
    }
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let Some(stdout) = done.first().and_then(|one| one.values.get("stdout")).map(Value::to_text) else { return Ok(values) };
    let results = transaction(&stdout);
    if !args.list("name").is_empty() || args.bool("autoremove") {
        values.insert("changed".into(), (!results.is_empty() || !stdout.contains("Nothing to do")).into());
    }
    values.insert("results".into(), results.into());
    Ok(values)
}

fn program(args: &Args, look: &dyn Look) -> Result<String, Failure> {
    let wanted: &[&str] = match args.str("use_backend").unwrap_or("auto") {
        "yum" | "yum4" => &["yum", "dnf"],
        "dnf5" => &["dnf5"],
        "dnf4" => &["dnf-3", "dnf4", "dnf"],
        "dnf" => &["dnf"],
        _ => &["dnf", "dnf5", "microdnf", "yum"],
    };
    let missing =
        || Failure::new("there is neither dnf nor yum on this host: use `package`, or the module of its own package manager");
    wanted.iter().find_map(|program| look.which(program)).ok_or_else(missing)
}

impl Dnf<'_> {
    fn change(&self, names: &[String]) -> Result<Option<Change>, Failure> {
        let state = self.args.str("state").unwrap_or(if self.args.bool("autoremove") { "absent" } else { "present" });
        match state {
            "absent" | "removed" => self.remove(names),
            "latest" if names.iter().any(|name| name == "*") => self.upgrade(&[]),
            "latest" => self.latest(names),
            _ => {
                let missing = self.missing(&self.without_downgrades(names)?)?;
                if missing.is_empty() { Ok(None) } else { Ok(Some(self.run(&["install"], &missing, "present"))) }
            }
        }
    }

    fn remove(&self, names: &[String]) -> Result<Option<Change>, Failure> {
        if names.is_empty() {
            return Ok(self.is_work(&["autoremove"], &[])?.then(|| self.run(&["autoremove"], &[], "absent")));
        }
        let command = if self.args.bool("autoremove") { "autoremove" } else { "remove" };
        let there = self.installed(names)?;
        Ok((!there.is_empty()).then(|| self.run(&[command], &there, "absent")))
    }

    fn latest(&self, names: &[String]) -> Result<Option<Change>, Failure> {
        let names = &self.without_downgrades(names)?;
        if names.is_empty() {
            return Ok(None);
        }
        let missing = self.missing(names)?;
        let present: Vec<String> = names.iter().filter(|name| !missing.contains(name)).cloned().collect();
        let is_old = !present.is_empty() && self.has_updates(&present)?;
        match (missing.is_empty() || self.args.bool("update_only"), is_old) {
            (true, false) => Ok(None),
            (true, true) => self.upgrade(&present),
            // `install` also upgrades what is there.
            (false, _) => Ok(Some(self.run(&["install"], names, "latest"))),
        }
    }

    fn upgrade(&self, names: &[String]) -> Result<Option<Change>, Failure> {
        let is_some = self.args.bool("security") || self.args.bool("bugfix");
        let is_old = !names.is_empty() || self.has_updates(names)?;
        Ok(is_old.then(|| self.run(&[if is_some { "upgrade-minimal" } else { "upgrade" }], names, "latest")))
    }

    fn has_updates(&self, names: &[String]) -> Result<bool, Failure> {
        let output = self.look.run(&self.command(&["check-update"], names).timeout(ASK))?;
        match output.code {
            0 => Ok(false),
            HAS_UPDATES => Ok(true),
            _ => Err(refused(&output)),
        }
    }

    /// Without those that would take the place of a newer version, unless that is allowed: dnf itself does it unasked.
    fn without_downgrades(&self, names: &[String]) -> Result<Vec<String>, Failure> {
        let mut kept = names.to_vec();
        if !self.args.bool("allow_downgrade") {
            let versions: Vec<String> = names.iter().filter(|name| has_version(name)).cloned().collect();
            for name in self.missing(&versions)? {
                let is_step_back = self.would(&["install"], std::slice::from_ref(&name))?.contains("Downgrading:");
                kept.retain(|other| !is_step_back || *other != name);
            }
        }
        Ok(kept)
    }

    /// Whether dnf would do anything.
    fn is_work(&self, words: &[&str], names: &[String]) -> Result<bool, Failure> {
        Ok(!self.would(words, names)?.contains("Nothing to do"))
    }

    /// What dnf says that it would do; it asks, and is told no.
    fn would(&self, words: &[&str], names: &[String]) -> Result<String, Failure> {
        let mut cmd = self.command(words, names);
        if let Some(yes) = cmd.argv.iter_mut().find(|word| *word == "-y") {
            "--assumeno".clone_into(yes);
        }
        let output = self.look.run(&cmd.timeout(ASK))?;
        let said = output.stdout_text() + &output.stderr_text();
        let is_told_no = ["aborted", "Exiting on user command"].iter().any(|end| said.contains(end));
        if !output.is_success() && !is_told_no {
            return Err(refused(&output));
        }
        Ok(said)
    }

    /// Those of `names` that are not installed under that name and that nothing installed provides.
    fn missing(&self, names: &[String]) -> Result<Vec<String>, Failure> {
        let there = self.installed(names)?;
        let absent: Vec<String> = names.iter().filter(|name| !there.contains(name)).cloned().collect();
        let asked: Vec<String> = absent.iter().filter(|name| is_plain(name)).cloned().collect();
        if asked.is_empty() {
            return Ok(absent);
        }
        let output = self.rpm(&["-q", "--whatprovides"], &asked)?;
        let said = output.stdout_text() + &output.stderr_text();
        let is_unknown = |name: &String| {
            let ends = [format!("no package provides {name}"), format!("file {name}: No such file or directory")];
            said.lines().any(|line| ends.iter().any(|end| line.ends_with(end.as_str())))
        };
        Ok(absent.into_iter().filter(|name| !asked.contains(name) || is_unknown(name)).collect())
    }

    /// Those of `names` that are installed.
    fn installed(&self, names: &[String]) -> Result<Vec<String>, Failure> {
        let mut there = Vec::new();
        let plain: Vec<String> = names.iter().filter(|name| is_plain(name) && !name.starts_with('/')).cloned().collect();
        if !plain.is_empty() {
            let output = self.rpm(&["-q"], &plain)?;
            let said = output.stdout_text() + &output.stderr_text();
            let is_absent = |name: &String| said.lines().any(|line| line == format!("package {name} is not installed"));
            there.extend(plain.into_iter().filter(|name| !is_absent(name)));
        }
        if names.iter().any(|name| name.contains(['*', '?', '['])) {
            let all = self.rpm(&["-qa", "--qf", "%{NAME}\\n"], &[])?.stdout_text();
            let is_there = |name: &&String| name.contains(['*', '?', '[']) && all.lines().any(|line| glob::is_match(name, line));
            there.extend(names.iter().filter(is_there).cloned());
        }
        for file in names.iter().filter(|name| name.ends_with(".rpm")) {
            there.extend(self.is_file_installed(file)?.then(|| file.clone()));
        }
        Ok(there)
    }

    /// An rpm file or address: by the name, version and architecture in it.
    fn is_file_installed(&self, file: &str) -> Result<bool, Failure> {
        let named = self.rpm(&["-qp", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}"], &[file.to_owned()])?;
        if !named.is_success() {
            return Err(Failure::of_command(format!("{file} is not a package that rpm can read"), &named));
        }
        Ok(self.rpm(&["-q"], &[named.stdout_text().trim().to_owned()])?.is_success())
    }

    /// What there is to know without changing anything.
    fn listed(&self, what: &str) -> Result<Vec<Value>, Failure> {
        match what {
            "installed" => self.found(&["--installed"]),
            "available" => self.found(&["--available"]),
            "updates" | "upgrades" => self.found(&["--upgrades"]),
            "repos" | "repositories" => {
                let output = self.ask(&["-q", "repolist", "--enabled"])?;
                let ids = output.lines().filter_map(|line| line.split_whitespace().next()).filter(|id| *id != "repo");
                let repo = |id| Map::from_iter([("repoid".into(), Value::from(id)), ("state".into(), "enabled".into())]);
                Ok(ids.map(|id| repo(id).into()).collect())
            }
            name => {
                let mut all = self.found(&["--installed", name])?;
                all.extend(self.found(&["--available", name])?);
                Ok(all)
            }
        }
    }

    fn found(&self, words: &[&str]) -> Result<Vec<Value>, Failure> {
        let format = ["-q", "repoquery", "--qf", "%{name}|%{epoch}|%{version}|%{release}|%{arch}|%{repoid}\n"];
        let text = self.ask(&format.iter().chain(words).copied().collect::<Vec<_>>())?;
        let state = if words.contains(&"--installed") { "installed" } else { "available" };
        Ok(text.lines().filter_map(|line| package(line, state)).collect())
    }

    /// The answer to a question that changes nothing.
    fn ask(&self, words: &[&str]) -> Result<String, Failure> {
        let output = self.look.run(&self.command(words, &[]).timeout(ASK))?;
        if output.is_success() { Ok(output.stdout_text()) } else { Err(refused(&output)) }
    }

    fn rpm(&self, words: &[&str], names: &[String]) -> Result<Output, Failure> {
        let root = self.args.str("installroot").filter(|root| *root != "/").map(|root| format!("--root={root}"));
        let argv = std::iter::once("rpm".to_owned()).chain(words.iter().map(|word| (*word).to_owned())).chain(root);
        self.look.run(&Cmd::new(argv.chain(names.iter().cloned())).timeout(ASK))
    }

    fn run(&self, words: &[&str], names: &[String], state: &str) -> Change {
        let what = if names.is_empty() { "all packages".to_owned() } else { names.join(" ") };
        let all = |state: &str| -> Map { names.iter().map(|name| (name.as_str().into(), Value::from(state))).collect() };
        let before = if state == "absent" && !names.is_empty() { all("present").into() } else { Value::Null };
        Change::new(what, before, all(state), Act::Run(self.command(words, names)))
    }

    fn command(&self, words: &[&str], names: &[String]) -> Cmd {
        let mut argv = vec![self.program.clone(), "-y".to_owned()];
        argv.extend(self.options());
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        argv.extend(names.iter().cloned());
        Cmd::new(argv).env("LC_ALL", "C")
    }

    /// Options that the arguments stand for.
    fn options(&self) -> Vec<String> {
        let lists = [
            ("enablerepo", "--enablerepo"),
            ("disablerepo", "--disablerepo"),
            ("enable_plugin", "--enableplugin"),
            ("disable_plugin", "--disableplugin"),
            ("exclude", "--exclude"),
        ];
        let texts = [
            ("disable_excludes", "--disableexcludes"),
            ("conf_file", "--config"),
            ("releasever", "--releasever"),
            ("download_dir", "--downloaddir"),
        ];
        let is = |arg: &str| self.args.bool(arg);
        let flags = [
            (is("update_cache"), "--refresh"),
            (is("security"), "--security"),
            (is("bugfix"), "--bugfix"),
            (is("allowerasing"), "--allowerasing"),
            (is("best") || self.args.has("nobest") && !is("nobest"), "--best"),
            (is("nobest") || self.args.has("best") && !is("best"), "--nobest"),
            (is("skip_broken"), "--skip-broken"),
            (is("disable_gpg_check"), "--nogpgcheck"),
            (is("download_only"), "--downloadonly"),
            (is("cacheonly"), "--cacheonly"),
            (!is("install_weak_deps"), "--setopt=install_weak_deps=False"),
            (!is("sslverify") || !is("validate_certs"), "--setopt=sslverify=False"),
        ];
        let mut options: Vec<String> = flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()).collect();
        options.extend(
            lists.iter().flat_map(|(arg, option)| self.args.list(arg).into_iter().map(move |item| format!("{option}={item}"))),
        );
        options.extend(texts.iter().filter_map(|(arg, option)| self.args.str(arg).map(|text| format!("{option}={text}"))));
        options.extend(self.args.str("installroot").filter(|root| *root != "/").map(|root| format!("--installroot={root}")));
        options
    }
}

/// A line of `repoquery` with the fields of a package.
fn package(line: &str, state: &str) -> Option<Value> {
    let fields: Vec<&str> = line.split('|').collect();
    let [name, epoch, version, release, arch, repo] = fields[..] else { return None };
    let whole = format!("{epoch}:{name}-{version}-{release}.{arch}");
    let values = [
        ("name", name),
        ("epoch", epoch),
        ("version", version),
        ("release", release),
        ("arch", arch),
        ("repo", repo),
        ("nevra", &whole),
        ("envra", &whole),
        ("yumstate", state),
    ];
    Some(values.into_iter().map(|(key, value)| (key.into(), value.into())).collect::<Map>().into())
}

/// A name that rpm can be asked about as it is.
fn is_plain(name: &str) -> bool {
    !name.starts_with('@')
        && !name.contains("://")
        && !name.ends_with(".rpm")
        && !name.contains(['*', '?', '[', ' ', '<', '>', '='])
}

/// `tree-2.0`, or a file of one version. What `tree < 3` asks for is meant, as in Ansible.
fn has_version(name: &str) -> bool {
    let is_number = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
    name.ends_with(".rpm") || name.split('-').skip(1).any(is_number)
}

fn refused(output: &Output) -> Failure {
    let text = output.stderr_text() + &output.stdout_text();
    let errors: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Error: ")).collect();
    let msg = if errors.is_empty() { text.trim().to_owned() } else { errors.join("; ") };
    Failure::new(format!("dnf: {msg}"))
        .with("rc", output.code)
        .with("stdout", output.stdout_text())
        .with("stderr", output.stderr_text())
}

/// What was done, from the lists that dnf ends its output with.
fn transaction(output: &str) -> Vec<Value> {
    let mut results = Vec::new();
    let mut title = "";
    for line in output.lines() {
        match line.trim_end() {
            "Installed:" | "Upgraded:" | "Removed:" | "Downgraded:" | "Reinstalled:" => {
                title = line.trim_end().trim_end_matches(':');
            }
            rest if rest.starts_with(' ') && !title.is_empty() => {
                results.extend(rest.split_whitespace().map(|name| Value::from(format!("{title}: {name}"))));
            }
            _ => title = "",
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_read_from_its_last_lists() {
        let output =
            "Complete!\nInstalled:\n  nginx-1.20-1.x86_64   nginx-core-1.20-1.x86_64\n\nRemoved:\n  old-1-1.noarch\nComplete!\n";
        let results: Vec<String> = transaction(output).iter().map(|one| one.to_text().as_str().to_owned()).collect();
        assert_eq!(results, ["Installed: nginx-1.20-1.x86_64", "Installed: nginx-core-1.20-1.x86_64", "Removed: old-1-1.noarch"]);
    }
}
