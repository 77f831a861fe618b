//! `git`: a working copy of a repository at a wanted version.
//!
//! What the remote has is asked once (`ls-remote`); where the working copy is there already, nothing else runs. A version
//! that is a full commit id and checked out is not even asked about.

mod remote;

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, Rule, paths, words};
use crate::value::{Map, Value};
use remote::Refs;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "git",
    collection: "ansible.builtin",
    summary: "clones and updates git repositories",
    args: &[ARGS],
    rules: &[Rule::Exclusive(&["separate_git_dir", "bare"]), Rule::Exclusive(&["accept_hostkey", "accept_newhostkey"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("repo", Kind::Str, "address of the repository").required().aliases(&["name"]),
    Arg::new("dest", Kind::Path, "where the working copy is to be"),
    Arg::new("version", Kind::Str, "branch, tag or commit").default("HEAD"),
    Arg::new("remote", Kind::Str, "name of the remote").default("origin"),
    Arg::new("clone", Kind::Bool, "clone it where it is not there").default("yes"),
    Arg::new("update", Kind::Bool, "fetch new commits where it is").default("yes"),
    Arg::new("force", Kind::Bool, "throw local modifications away").default("no"),
    Arg::new("depth", Kind::Int, "so many commits of history"),
    Arg::new("single_branch", Kind::Bool, "only the history of that version").default("no"),
    Arg::new("bare", Kind::Bool, "no working copy").default("no"),
    Arg::new("recursive", Kind::Bool, "submodules too").default("yes"),
    Arg::new("track_submodules", Kind::Bool, "submodules at the newest commit of their branch").default("no"),
    Arg::new("refspec", Kind::Str, "fetch this too"),
    Arg::new("reference", Kind::Str, "a repository on the host to borrow objects from"),
    Arg::new("separate_git_dir", Kind::Path, "where `.git` is to be instead"),
    Arg::new("accept_hostkey", Kind::Bool, "accept any key of the SSH server").default("no"),
    Arg::new("accept_newhostkey", Kind::Bool, "accept a key of an SSH server that is not known yet").default("no"),
    Arg::new("key_file", Kind::Path, "private key on the host"),
    Arg::new("ssh_opts", Kind::Str, "options for ssh"),
    Arg::new("executable", Kind::Path, "the git program"),
    Arg::new("umask", Kind::Raw, "umask for what is made"),
    Arg::new("verify_commit", Kind::Bool, "fail unless the commit has a good signature").default("no"),
    Arg::new("gpg_allowlist", Kind::List, "fingerprints of the keys that may have signed").aliases(&["gpg_whitelist"]),
    Arg::new("archive", Kind::Path, "also pack the files into this archive"),
    Arg::new("archive_prefix", Kind::Str, "directory inside the archive"),
];

/// A question that needs the network takes this long at most.
const ASK: Duration = Duration::from_secs(300);

/// git on one host, for one task.
struct Git<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
    dest: String,
    umask: Option<u32>,
}

/// What a task wants to be checked out, once it is known.
#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    Branch { name: String, commit: String },
    Tag { name: String, commit: String },
    Commit(String),
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let git = Git::new(args, look)?;
    let mut plan = Plan::default();
    if !args.has("dest") || !git.is_cloned() && !args.bool("clone") {
        return git.only_ask(plan);
    }
    if !git.is_cloned() {
        plan.set("before", Value::Null);
        git.clone_plan(&mut plan)?;
    } else {
        let before = git.head()?;
        plan.set("before", before.clone()).set("after", before.clone());
        if args.bool("update") {
            git.update_plan(before.as_deref(), &mut plan)?;
        }
    }
    git.archive(&mut plan);
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    if args.has("dest") && !done.is_empty() {
        let git = Git::new(args, look)?;
        values.insert("after".into(), git.head()?.into());
        git.check_signer(done)?;
        if values.get("before") == values.get("after")
            && let Some(submodules) = values.get("_submodules")
            && done.len() == 1
        {
            let is_same = submodules.as_str() == Some(git.submodules()?.as_str());
            values.insert("changed".into(), (!is_same).into());
        }
    }
    values.shift_remove("_submodules");
    Ok(values)
}

impl<'a> Git<'a> {
    fn new(args: &'a Args, look: &'a dyn Look) -> Result<Git<'a>, Failure> {
        let missing = || Failure::new("there is no git on this host: install it first (`package: name=git state=present`)");
        let program = args.str("executable").map(str::to_owned).or_else(|| look.which("git")).ok_or_else(missing)?;
        for arg in ["repo", "version", "remote", "refspec"] {
            if args.str(arg).is_some_and(|text| text.starts_with('-')) {
                return Err(Failure::new(format!("`{arg}` must not begin with a dash")));
            }
        }
        if !args.has("dest") && args.bool("clone") {
            return Err(Failure::new("the destination directory must be specified unless clone=no"));
        }
        let umask = args.get("umask").map(umask_of).transpose()?;
        Ok(Git { args, look, program, dest: args.str("dest").unwrap_or_default().to_owned(), umask })
    }

    fn repo(&self) -> &str {
        self.args.str("repo").unwrap_or_default()
    }

    fn version(&self) -> &str {
        self.args.str("version").unwrap_or("HEAD")
    }

    fn remote(&self) -> &str {
        self.args.str("remote").unwrap_or("origin")
    }

    fn is_bare(&self) -> bool {
        self.args.bool("bare")
    }

    fn is_cloned(&self) -> bool {
        let inside = |name: &str| self.look.exists(&format!("{}/{name}", self.dest));
        if self.is_bare() { inside("config") && inside("HEAD") } else { inside(".git") }
    }

    /// With `clone: false` and no working copy, only the remote's commit is asked for. Ansible calls that a change.
    fn only_ask(&self, mut plan: Plan) -> Result<Plan, Failure> {
        let wanted = self.resolve(&self.refs()?)?;
        plan.set("before", Value::Null).set("after", wanted.commit()).set("changed", true);
        Ok(plan)
    }

    fn clone_plan(&self, plan: &mut Plan) -> Result<(), Failure> {
        let is_taken = self.look.list(&self.dest).is_ok_and(|names| !names.is_empty());
        if is_taken {
            return Err(Failure::new(format!(
                "{} is there, is not empty and is not a git repository: remove it or choose another dest",
                self.dest
            )));
        }
        let refs = self.refs()?;
        let wanted = self.resolve(&refs)?;
        plan.set("after", wanted.commit());
        let parent = paths::parent(&self.dest);
        if !self.look.exists(parent) {
            let mkdir = Cmd { umask: self.umask, ..Cmd::new(["mkdir", "-p", parent]) };
            plan.push(Change::run(parent, mkdir));
        }
        let shown = |commit: &str| Map::from_iter([("commit".into(), Value::from(commit))]);
        let clone = Act::Run(self.command_in(None, &self.clone_words(&wanted, plan)));
        plan.push(Change::new(&self.dest, Value::Null, shown(wanted.commit()), clone));
        if let Some(refspec) = self.args.str("refspec") {
            plan.push(self.step(&self.fetch_words(&[refspec])));
        }
        if !self.is_bare() {
            if !matches!(&wanted, Wanted::Branch { .. }) {
                plan.changes.extend(self.missing_commit(&wanted));
                plan.push(self.step(&self.checkout_words(&wanted)));
            }
            self.finish_checkout(plan);
        }
        Ok(())
    }

    fn clone_words(&self, wanted: &Wanted, plan: &mut Plan) -> Vec<String> {
        let mut argv = vec!["clone".to_owned()];
        argv.extend(if self.is_bare() {
            vec!["--bare".to_owned()]
        } else {
            vec!["--origin".to_owned(), self.remote().to_owned()]
        });
        let name = match wanted {
            Wanted::Branch { name, .. } | Wanted::Tag { name, .. } => Some(name.clone()),
            Wanted::Commit(_) => None,
        };
        if let Some(depth) = self.depth() {
            if name.is_some() || self.args.has("refspec") {
                argv.push(format!("--depth={depth}"));
            } else {
                let warning = "Ignoring depth argument. Shallow clones are only available for HEAD, branches, tags or in combination with refspec.";
                plan.set("warnings", vec![Value::from(warning)]);
            }
        }
        argv.extend(self.args.bool("single_branch").then(|| "--single-branch".to_owned()));
        argv.extend(name.into_iter().flat_map(|name| ["--branch".to_owned(), name]));
        argv.extend(self.args.str("reference").into_iter().flat_map(|path| ["--reference".to_owned(), path.to_owned()]));
        argv.extend(self.args.str("separate_git_dir").map(|path| format!("--separate-git-dir={path}")));
        argv.extend(["--".to_owned(), self.repo().to_owned(), self.dest.clone()]);
        argv
    }

    fn depth(&self) -> Option<i64> {
        self.args.int("depth").filter(|depth| *depth >= 1)
    }

    fn update_plan(&self, before: Option<&str>, plan: &mut Plan) -> Result<(), Failure> {
        let is_modified = !self.is_bare() && self.is_modified()?;
        if is_modified && !self.args.bool("force") {
            return Err(Failure::new(format!(
                "Local modifications exist in the destination: {} (force=no). Commit or remove them on the host, or set force=yes to lose them",
                self.dest
            )));
        }
        let url = self.ask_here(&["config", "--get", &format!("remote.{}.url", self.remote())])?.stdout_text();
        let is_moved = url.trim() != self.repo();
        plan.set("remote_url_changed", is_moved);
        if is_moved {
            plan.push(self.set_url(url.trim()));
        }
        if is_modified {
            plan.push(self.step(&["reset", "--hard", "HEAD", "--"].map(str::to_owned)));
        }
        let wanted = match before {
            Some(commit) if is_commit(self.version()) && commit == self.version() => Wanted::Commit(commit.to_owned()),
            _ => self.resolve(&self.refs()?)?,
        };
        plan.set("after", wanted.commit());
        let is_there = before == Some(wanted.commit());
        if !is_there {
            self.advance(&wanted, before, plan)?;
        } else if !self.is_bare() {
            let is_other_branch =
                matches!(&wanted, Wanted::Branch { name, .. } if self.branch().is_ok_and(|branch| branch != *name));
            if is_other_branch && self.version() != "HEAD" {
                plan.push(self.step(&self.fetch_words_of(&wanted)));
                plan.push(self.step(&self.checkout_words(&wanted)));
                // The files are the same: Ansible does not call that a change.
                plan.changed = Some(is_moved || is_modified);
            }
            self.check_submodules(plan)?;
        }
        Ok(())
    }

    fn advance(&self, wanted: &Wanted, before: Option<&str>, plan: &mut Plan) -> Result<(), Failure> {
        let shown = |commit: &str| Map::from_iter([("commit".into(), Value::from(commit))]);
        let before = before.map_or(Value::Null, |commit| shown(commit).into());
        let is_local = matches!(wanted, Wanted::Commit(commit) if self.has_commit(commit)?);
        if is_local {
            plan.push(Change::new(&self.dest, before, shown(wanted.commit()), Act::Note));
        } else {
            let fetch = Act::Run(self.command_in(Some(&self.dest), &self.fetch_words_of(wanted)));
            plan.push(Change::new(&self.dest, before, shown(wanted.commit()), fetch));
        }
        if !self.is_bare() {
            plan.push(self.step(&self.checkout_words(wanted)));
            self.finish_checkout(plan);
        }
        Ok(())
    }

    fn has_commit(&self, commit: &str) -> Result<bool, Failure> {
        Ok(self.ask_here(&["cat-file", "-e", &format!("{commit}^{{commit}}")])?.is_success())
    }

    /// A commit that the usual clone does not bring is fetched by its id, where the server allows it.
    fn missing_commit(&self, wanted: &Wanted) -> Option<Change> {
        let Wanted::Commit(commit) = wanted else { return None };
        (self.args.bool("single_branch") && !self.args.has("refspec")).then(|| self.step(&self.fetch_words(&[commit])))
    }

    fn fetch_words_of(&self, wanted: &Wanted) -> Vec<String> {
        let remote = self.remote();
        let all = if self.is_bare() {
            "+refs/heads/*:refs/heads/*".to_owned()
        } else {
            format!("+refs/heads/*:refs/remotes/{remote}/*")
        };
        let mut specs: Vec<String> = match wanted {
            Wanted::Branch { name, .. } if self.depth().is_some() && !self.is_bare() => {
                vec![format!("+refs/heads/{name}:refs/remotes/{remote}/{name}")]
            }
            Wanted::Tag { name, .. } if self.depth().is_some() => vec![format!("+refs/tags/{name}:refs/tags/{name}")],
            Wanted::Commit(commit) if self.depth().is_some() && !self.args.has("refspec") => vec![commit.clone()],
            _ => vec![all, "+refs/tags/*:refs/tags/*".to_owned()],
        };
        specs.extend(self.args.str("refspec").map(str::to_owned));
        self.fetch_words(&specs)
    }

    fn fetch_words(&self, specs: &[impl AsRef<str>]) -> Vec<String> {
        let mut argv = vec!["fetch".to_owned()];
        argv.extend(self.depth().map(|depth| format!("--depth={depth}")));
        argv.extend(self.args.bool("force").then(|| "--force".to_owned()));
        argv.push(self.remote().to_owned());
        argv.extend(specs.iter().map(|spec| spec.as_ref().to_owned()));
        argv
    }

    /// A branch is put where the remote's is and checked out; everything else is checked out detached.
    fn checkout_words(&self, wanted: &Wanted) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match wanted {
            Wanted::Branch { name, .. } => {
                words(&["checkout", "--force", "-B", name, &format!("refs/remotes/{}/{name}", self.remote())])
            }
            Wanted::Tag { name, .. } => words(&["checkout", "--force", &format!("refs/tags/{name}"), "--"]),
            Wanted::Commit(commit) => words(&["checkout", "--force", commit, "--"]),
        }
    }

    /// Signature, then submodules: whether there are any is only known afterwards, and without any this does nothing.
    fn finish_checkout(&self, plan: &mut Plan) {
        if self.args.bool("verify_commit") {
            plan.push(self.step(&["verify-commit", "--raw", "HEAD"].map(str::to_owned)));
        }
        if self.args.bool("recursive") {
            plan.push(self.step(&["submodule", "sync", "--recursive"].map(str::to_owned)));
            plan.push(self.step(&self.submodule_words()));
        }
    }

    fn submodule_words(&self) -> Vec<String> {
        let mut argv = ["submodule", "update", "--init", "--recursive"].map(str::to_owned).to_vec();
        argv.extend(self.args.bool("track_submodules").then(|| "--remote".to_owned()));
        argv.extend(self.args.bool("force").then(|| "--force".to_owned()));
        argv
    }

    fn has_submodules(&self) -> bool {
        self.look.exists(&format!("{}/.gitmodules", self.dest))
    }

    /// The main repository is as wanted; its submodules need not be.
    fn check_submodules(&self, plan: &mut Plan) -> Result<(), Failure> {
        if !self.args.bool("recursive") || !self.has_submodules() {
            return Ok(());
        }
        let status = self.submodules()?;
        let is_off = status.lines().any(|line| line.starts_with(['+', '-', 'U']));
        if self.args.bool("track_submodules") {
            plan.set("_submodules", status.as_str());
        }
        if is_off || self.args.bool("track_submodules") {
            plan.push(Change::new(
                format!("submodules of {}", self.dest),
                status,
                Value::Null,
                Act::Run(self.command_in(Some(&self.dest), &self.submodule_words())),
            ));
        }
        Ok(())
    }

    fn submodules(&self) -> Result<String, Failure> {
        Ok(self.ask_here(&["submodule", "status", "--recursive"])?.stdout_text())
    }

    fn archive(&self, plan: &mut Plan) {
        let Some(path) = self.args.str("archive") else { return };
        if plan.changes.is_empty() && self.look.exists(path) {
            return;
        }
        let mut argv = vec!["archive".to_owned(), format!("--output={path}")];
        argv.extend(self.args.str("archive_prefix").map(|prefix| format!("--prefix={prefix}")));
        argv.push(if self.version() == "HEAD" { "HEAD".to_owned() } else { self.version().to_owned() });
        plan.push(Change::run(path, self.command_in(Some(&self.dest), &argv)));
    }

    fn set_url(&self, before: &str) -> Change {
        let shown = |url: &str| Map::from_iter([("remote_url".into(), Value::from(public(url)))]);
        let argv = if before.is_empty() { ["remote", "add"] } else { ["remote", "set-url"] };
        let argv: Vec<String> = argv.into_iter().chain([self.remote(), self.repo()]).map(str::to_owned).collect();
        Change::new(&self.dest, shown(before), shown(self.repo()), Act::Run(self.command_in(Some(&self.dest), &argv)))
    }

    fn head(&self) -> Result<Option<String>, Failure> {
        let output = self.ask_here(&["rev-parse", "--verify", "--quiet", "HEAD"])?;
        // git refuses repositories of other users and says what to do about it.
        if output.code > 1 {
            return Err(Failure::of_command(format!("git cannot use {}", self.dest), &output));
        }
        Ok(Some(output.stdout_text().trim().to_owned()).filter(|commit| !commit.is_empty()))
    }

    fn branch(&self) -> Result<String, Failure> {
        Ok(self.ask_here(&["symbolic-ref", "--quiet", "--short", "HEAD"])?.stdout_text().trim().to_owned())
    }

    fn is_modified(&self) -> Result<bool, Failure> {
        let output = self.ask_here(&["status", "--porcelain"])?;
        if !output.is_success() {
            return Err(Failure::of_command(format!("git cannot use {}", self.dest), &output));
        }
        Ok(output.stdout_text().lines().any(|line| !line.starts_with("??")))
    }

    /// Everything that the remote has.
    fn refs(&self) -> Result<Refs, Failure> {
        let argv: Vec<String> = ["ls-remote", "--symref", self.repo()].map(str::to_owned).to_vec();
        let output = self.look.run(&self.command_in(None, &argv).timeout(ASK))?;
        if !output.is_success() {
            let stderr = output.stderr_text().replace(self.repo(), &public(self.repo()));
            let output = Output { stderr: stderr.into_bytes(), ..output };
            return Err(Failure::of_command(format!("Failed to list what {} has", public(self.repo())), &output));
        }
        Ok(Refs::parse(&output.stdout_text()))
    }

    fn resolve(&self, refs: &Refs) -> Result<Wanted, Failure> {
        let version = self.version();
        let unknown = || {
            let near = refs.closest(version).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            Failure::new(format!("{} has no branch and no tag `{version}`{near}", public(self.repo())))
        };
        refs.find(version).or_else(|| is_commit(version).then(|| Wanted::Commit(version.to_owned()))).ok_or_else(unknown)
    }

    fn check_signer(&self, done: &[Done]) -> Result<(), Failure> {
        let allowed = self.args.list("gpg_allowlist");
        if !self.args.bool("verify_commit") || allowed.is_empty() {
            return Ok(());
        }
        let said: String = done.iter().filter_map(|one| one.values.get("stderr")?.as_str().map(str::to_owned)).collect();
        let Some(line) = said.lines().find_map(|line| line.strip_prefix("[GNUPG:] VALIDSIG ")) else { return Ok(()) };
        let prints: Vec<&str> = line.split_whitespace().collect();
        if allowed.iter().any(|one| prints.contains(&one.as_str())) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "The gpg_allowlist does not include the public key \"{}\" for this commit",
            prints.first().unwrap_or(&"")
        )))
    }

    fn step(&self, argv: &[String]) -> Change {
        Change::run(&self.dest, self.command_in(Some(&self.dest), argv))
    }

    fn ask_here(&self, words: &[&str]) -> Result<Output, Failure> {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.look.run(&self.command_in(Some(&self.dest), &argv).timeout(ASK))
    }

    fn command_in(&self, dir: Option<&str>, argv: &[String]) -> Cmd {
        let all = std::iter::once(self.program.clone()).chain(argv.iter().cloned());
        let cmd = Cmd { chdir: dir.map(str::to_owned), umask: self.umask, ..Cmd::new(all) };
        // Nobody is there to type a password.
        cmd.env("GIT_TERMINAL_PROMPT", "0").env("GIT_SSH_COMMAND", &self.ssh()).env("LC_ALL", "C")
    }

    fn ssh(&self) -> String {
        let mut command = "ssh -o BatchMode=yes".to_owned();
        if self.args.bool("accept_hostkey") {
            command.push_str(" -o StrictHostKeyChecking=no");
        } else if self.args.bool("accept_newhostkey") {
            command.push_str(" -o StrictHostKeyChecking=accept-new");
        }
        if let Some(key) = self.args.str("key_file") {
            command.push_str(&format!(" -i {} -o IdentitiesOnly=yes", words::quote(key)));
        }
        if let Some(options) = self.args.str("ssh_opts") {
            command.push_str(&format!(" {options}"));
        }
        command
    }
}

impl Wanted {
    fn commit(&self) -> &str {
        match self {
            Wanted::Branch { commit, .. } | Wanted::Tag { commit, .. } | Wanted::Commit(commit) => commit,
        }
    }
}

/// An address without the password in it.
fn public(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@').map(|(login, host)| (login.split(':').next().unwrap_or_default(), host)) {
        Some((user, host)) => format!("{scheme}://{user}@{host}{path}"),
        None => url.to_owned(),
    }
}

/// A full commit id; anything shorter may be the name of a branch.
fn is_commit(version: &str) -> bool {
    matches!(version.len(), 40 | 64) && version.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn umask_of(umask: &Value) -> Result<u32, Failure> {
    let read = match umask {
        Value::Int(number) => u32::try_from(*number).ok(),
        other => u32::from_str_radix(other.to_text().trim_start_matches("0o"), 8).ok(),
    };
    read.filter(|umask| *umask <= 0o777).ok_or_else(|| Failure::new("umask must be an octal integer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        assert_eq!(public("https://me:secret@git.host/a/b"), "https://me@git.host/a/b");
        assert_eq!(public("git@host:a/b"), "git@host:a/b");
        assert_eq!(public("https://host/a@b:c"), "https://host/a@b:c");
    }

    #[test]
    fn only_a_full_commit_id_is_a_commit() {
        assert!(is_commit("3966f1b0b0da2cc1e1f59e52f669814d333ebd3f"));
        assert!(!is_commit("3966f1b"));
        assert_eq!(umask_of(&Value::from("022")).ok(), Some(0o022));
        assert!(umask_of(&Value::from("rwx")).is_err());
    }
}
