//! `subversion`: a working copy of a repository.

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, finish_plainly};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "subversion",
    collection: "ansible.builtin",
    summary: "check out a subversion repository",
    args: &[&[
        Arg::new("repo", Kind::Str, "its address").aliases(&["name", "repository"]).required(),
        Arg::new("dest", Kind::Path, "where the working copy is"),
        Arg::new("revision", Kind::Str, "which revision").aliases(&["rev", "version"]).default("HEAD"),
        Arg::new("force", Kind::Bool, "throw local changes away").default("no"),
        Arg::new("in_place", Kind::Bool, "make a directory that is there the working copy").default("no"),
        Arg::new("username", Kind::Str, "who"),
        Arg::new("password", Kind::Str, "the password").secret(),
        Arg::new("executable", Kind::Path, "the program"),
        Arg::new("checkout", Kind::Bool, "check out where there is nothing").default("yes"),
        Arg::new("update", Kind::Bool, "update what is there").default("yes"),
        Arg::new("export", Kind::Bool, "files only, no working copy").default("no"),
        Arg::new("switch", Kind::Bool, "change to `repo` if the working copy is of another").default("yes"),
        Arg::new("validate_certs", Kind::Bool, "check certificates").default("no"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ASK: Duration = Duration::from_secs(300);

struct Svn<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
    dest: &'a str,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let repo = args.required("repo")?;
    let program = args.str("executable").map_or_else(|| look.require("svn", "subversion"), |path| Ok(path.to_owned()))?;
    let dest = args.str("dest").unwrap_or_default();
    if dest.is_empty() && (args.bool("checkout") || args.bool("update") || args.bool("export")) {
        return Err(Failure::new("the destination directory must be specified unless checkout=no, update=no, and export=no"));
    }
    let svn = Svn { args, look, program, dest };
    let mut plan = Plan::default();
    if dest.is_empty() {
        plan.set("after", svn.info(repo)?.lines());
        plan.changed = Some(false);
        return Ok(plan);
    }
    let is_copy = look.exists(&format!("{dest}/.svn"));
    if args.bool("export") || !is_copy {
        svn.first(repo, &mut plan)?;
    } else {
        svn.again(repo, &mut plan)?;
    }
    Ok(plan)
}

/// What `svn info` tells.
struct Info {
    url: String,
    revision: String,
}

impl Info {
    fn lines(&self) -> Vec<Value> {
        vec![format!("Revision: {}", self.revision).into(), format!("URL: {}", self.url).into()]
    }
}

impl Svn<'_> {
    /// The password is told on standard input, where nobody else sees it.
    fn cmd(&self, words: &[&str]) -> Cmd {
        let mut argv = vec![self.program.clone(), "--non-interactive".to_owned(), "--no-auth-cache".to_owned()];
        if !self.args.bool("validate_certs") {
            argv.push("--trust-server-cert-failures=unknown-ca,cn-mismatch,expired,not-yet-valid,other".to_owned());
        }
        if let Some(user) = self.args.str("username") {
            argv.extend(["--username".to_owned(), user.to_owned()]);
        }
        let password = self.args.text("password");
        if password.is_some() {
            argv.push("--password-from-stdin".to_owned());
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        Cmd { stdin: password.map(|text| text.as_str().as_bytes().to_vec()), ..Cmd::new(argv).timeout(ASK) }
    }

    fn ask(&self, words: &[&str]) -> Result<Output, Failure> {
        let output = self.look.run(&self.cmd(words))?;
        if output.is_success() { Ok(output) } else { Err(Failure::of_command("svn failed", &output)) }
    }

    fn info(&self, what: &str) -> Result<Info, Failure> {
        let text = self.ask(&["info", what])?.stdout_text();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
        Ok(Info { url: field("URL:"), revision: field("Revision:") })
    }

    fn revision(&self) -> &str {
        self.args.str("revision").unwrap_or("HEAD")
    }

    fn first(&self, repo: &str, plan: &mut Plan) -> Result<(), Failure> {
        let is_export = self.args.bool("export");
        let is_there = self.look.exists(self.dest);
        let has_files = self.look.list(self.dest).is_ok_and(|names| !names.is_empty());
        if is_there && !is_export && has_files && !self.args.bool("in_place") && !self.args.bool("force") {
            return Err(Failure::new(format!(
                "ERROR: {} folder already exists, but its not a subversion repository.",
                self.dest
            )));
        }
        if is_export && is_there && !self.args.bool("force") {
            return Err(Failure::new(format!("{} is there already; `force: true` exports into it", self.dest)));
        }
        if !is_export && !self.args.bool("checkout") {
            return Ok(());
        }
        let mut words = vec![if is_export { "export" } else { "checkout" }];
        words.extend((self.args.bool("force") || self.args.bool("in_place")).then_some("--force"));
        words.extend(["-r", self.revision(), repo, self.dest]);
        plan.push(Change::new(self.dest, Value::Null, repo, Act::Run(self.cmd(&words))));
        Ok(())
    }

    fn again(&self, repo: &str, plan: &mut Plan) -> Result<(), Failure> {
        let before = self.info(self.dest)?;
        plan.set("before", before.lines());
        let status = self.ask(&["status", "--quiet", "--ignore-externals", self.dest])?.stdout_text();
        let is_modified = status.lines().any(|line| !line.trim().is_empty() && !line.starts_with('X'));
        if is_modified && !self.args.bool("force") {
            return Err(Failure::new("ERROR: modified files exist in the repository.").with("before", before.lines()));
        }
        if is_modified {
            plan.push(Change::run(self.dest, self.cmd(&["revert", "-R", self.dest])));
        }
        if before.url.trim_end_matches('/') != repo.trim_end_matches('/') && self.args.bool("switch") {
            let words = ["switch", "--ignore-ancestry", "-r", self.revision(), repo, self.dest];
            plan.push(Change::new(self.dest, before.url.as_str(), repo, Act::Run(self.cmd(&words))));
            return Ok(());
        }
        if !self.args.bool("update") {
            return Ok(());
        }
        let wanted = match self.revision().parse::<u64>() {
            Ok(number) => number.to_string(),
            Err(_) => self.last_changed(repo)?,
        };
        let own = if self.revision().parse::<u64>().is_ok() { before.revision.clone() } else { self.last_changed(self.dest)? };
        if own != wanted {
            let words = ["update", "-r", self.revision(), self.dest];
            plan.push(Change::new(self.dest, own, wanted, Act::Run(self.cmd(&words))));
        }
        Ok(())
    }

    /// The repository counts on while this part of it stays as it is.
    fn last_changed(&self, what: &str) -> Result<String, Failure> {
        let words: Vec<&str> = if what == self.dest { vec!["info", what] } else { vec!["info", "-r", self.revision(), what] };
        let text = self.ask(&words)?.stdout_text();
        let found = text.lines().find_map(|line| line.strip_prefix("Last Changed Rev:"));
        found.map(|text| text.trim().to_owned()).ok_or_else(|| Failure::new(format!("svn does not tell the revision of {what}")))
    }
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = finish_plainly(args, values, done, look)?;
    for name in ["rc", "stdout", "stderr"] {
        values.shift_remove(name);
    }
    let Some(dest) = args.str("dest").filter(|dest| look.exists(&format!("{dest}/.svn"))) else { return Ok(values) };
    let program = args.str("executable").map_or_else(|| look.require("svn", "subversion"), |path| Ok(path.to_owned()))?;
    let after = Svn { args, look, program, dest }.info(dest)?;
    values.insert("after".into(), Value::list(after.lines()));
    Ok(values)
}
