//! `zypper`: packages, patches and patterns of SUSE. What is installed rpm says where it can; what would be done zypper itself
//! says (`--dry-run`), and where that is nothing, nothing is run.

use super::locks::{self, Holder};
use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, words};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "zypper",
    collection: "community.general",
    summary: "installs, updates and removes packages of SUSE",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "packages: `foo`, `foo>=1.2`, a file or its address, `-foo` to remove, or `*` for all")
        .aliases(&["pkg"])
        .required(),
    Arg::new("state", Kind::Str, "what is wanted of them").default("present").choices(&[
        "present",
        "installed",
        "latest",
        "absent",
        "removed",
        "dist-upgrade",
    ]),
    Arg::new("type", Kind::Str, "what they are").default("package").choices(&[
        "package",
        "patch",
        "pattern",
        "product",
        "srcpackage",
        "application",
    ]),
    Arg::new("extra_args_precommand", Kind::Str, "options before the command"),
    Arg::new("extra_args", Kind::Str, "options of the command"),
    Arg::new("allow_vendor_change", Kind::Bool, "with `dist-upgrade`, also from other vendors").default("no"),
    Arg::new("auto_import_keys", Kind::Bool, "trust new keys of repositories").default("no"),
    Arg::new("clean_deps", Kind::Bool, "also remove dependencies that nothing needs any more").default("no"),
    Arg::new("disable_gpg_check", Kind::Bool, "install what no trusted key has signed").default("no"),
    Arg::new("disable_recommends", Kind::Bool, "without what is only recommended").default("yes"),
    Arg::new("force", Kind::Bool, "downgrade, change vendors, and install again").default("no"),
    Arg::new("force_resolution", Kind::Bool, "let zypper choose a solution of conflicts").default("no"),
    Arg::new("oldpackage", Kind::Bool, "install an older version over a newer one").default("no"),
    Arg::new("quiet", Kind::Bool, "say less").default("yes"),
    Arg::new("replacefiles", Kind::Bool, "install over files of other packages").default("no"),
    Arg::new("simple_errors", Kind::Bool, "accepted: errors are always zypper's own sentences").inert().default("no"),
    Arg::new("skip_post_errors", Kind::Bool, "a script that fails after installing is no error").default("no"),
    Arg::new("update_cache", Kind::Bool, "refresh the package lists first").aliases(&["refresh"]).default("no"),
];

const PID_FILE: &str = "/run/zypp.pid";
/// Seconds to wait for somebody else's lock, unless `ZYPP_LOCK_TIMEOUT` says how long.
const LOCK_WAIT: i64 = 60;
const LOCK_VAR: &str = "ZYPP_LOCK_TIMEOUT";
const ASK: Duration = Duration::from_secs(600);
/// Kept in mind for the next items of a loop.
const REFRESHED: &str = "the package lists of zypper were refreshed";
const NOT_FOUND: i32 = 104;
/// Some script failed, but the package is there.
const SCRIPT_FAILED: i32 = 107;
/// All went well, and there is more to say: patches that want a reboot or another run, a repository that was skipped.
const FINE: [i32; 4] = [0, 102, 103, 106];
const RESTART: i32 = 103;

struct Zypper<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    /// With what goes before it on a host whose system is changed in snapshots.
    start: Vec<String>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let names: Vec<String> =
        args.list("name").iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    let zypper = Zypper { args, look, start: start(look)? };
    let mut plan = Plan::default();
    plan.set("name", names.clone()).set("state", args.str("state")).set("update_cache", args.bool("update_cache")).set("rc", 0);
    if args.bool("update_cache") && !look.is_check() && look.noted().is_none() && !look.has_in_mind(REFRESHED) {
        zypper.wait();
        look.note("");
        plan.push(Change::run("package lists", zypper.command(&["refresh".to_owned()])?)).changed = Some(false);
        plan.again = true;
        return Ok(plan);
    }
    let Some((words, specs)) = zypper.wish(&names)? else { return Ok(plan) };
    zypper.wait();
    let is_patch = words[0] == "patch";
    let output = zypper.dry_run(&words, &specs)?;
    let text = output.stdout_text();
    let steps = steps(&text);
    if steps.is_empty() {
        return Ok(plan);
    }
    let all: Vec<String> = words.iter().chain(&specs).cloned().collect();
    let side = |of: fn(&Step) -> &Option<String>| -> Map {
        steps.iter().filter_map(|step| Some((step.name.as_str().into(), Value::from(of(step).as_deref()?)))).collect()
    };
    let cmd = Cmd { any_status: true, ..zypper.command(&all)? };
    plan.set("cmd", cmd.argv.clone());
    if look.is_check() {
        plan.set("stdout", text).set("stderr", output.stderr_text());
    }
    plan.push(Change::new(words[0].as_str(), side(|step| &step.before), side(|step| &step.after), Act::Run(cmd)));
    // A patch of zypper itself comes first and alone.
    plan.again = is_patch;
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    if args.bool("update_cache") {
        look.keep_in_mind(REFRESHED);
    }
    // What a refresh says is not what the task is about.
    for one in done.iter().skip(usize::from(look.noted().is_some())) {
        let code = one.values.get("rc").and_then(Value::as_int).and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
        for key in ["stdout", "stderr", "cmd", "rc"] {
            values.extend(one.values.get(key).map(|value| (key.into(), value.clone())));
        }
        let text = |key: &str| one.values.get(key).map(|text| text.to_text().to_string()).unwrap_or_default();
        let is_fine = FINE.contains(&code) || code == SCRIPT_FAILED && args.bool("skip_post_errors");
        if !is_fine {
            let output = Output { code, stdout: text("stdout").into_bytes(), stderr: text("stderr").into_bytes() };
            return Err(refused(&output).with("changed", code == SCRIPT_FAILED));
        }
        values.insert("rc".into(), if code == SCRIPT_FAILED || code == RESTART { 0 } else { code }.into());
        values.insert("changed".into(), true.into());
    }
    Ok(values)
}

/// How zypper is called on this host.
fn start(look: &dyn Look) -> Result<Vec<String>, Failure> {
    let missing = || Failure::new("there is no zypper on this host: use `package`, or the module of its own package manager");
    let zypper = look.which("zypper").ok_or_else(missing)?;
    let mounts = look.text("/proc/mounts").ok().flatten().unwrap_or_default();
    let is_fixed = mounts.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, "/", "btrfs", options, ..] if options.split(',').any(|option| option == "ro"))
    });
    let snapshots = look.which("transactional-update").filter(|_| is_fixed);
    let before = snapshots.map(|program| [&program, "--continue", "--drop-if-no-change", "--quiet", "run"].map(str::to_owned));
    Ok(before.into_iter().flatten().chain([zypper]).collect())
}

impl Zypper<'_> {
    /// The command that would bring what is wanted, and what it is about; none where rpm knows that all is as wanted.
    fn wish(&self, names: &[String]) -> Result<Option<(Vec<String>, Vec<String>)>, Failure> {
        let state = self.args.str("state").unwrap_or("present");
        let kind = self.args.str("type").unwrap_or("package");
        let is_all = names.iter().any(|name| name == "*");
        let words: &[&str] = match state {
            "dist-upgrade" if names.iter().any(|name| name != "*") => {
                return Err(Failure::new("Can not dist-upgrade specific packages: `name` is then `*`"));
            }
            "dist-upgrade" => &["dist-upgrade"],
            "latest" if is_all && kind == "patch" => &["patch"],
            "latest" if is_all => &["update", "--type", kind],
            "absent" | "removed" => &["remove", "--type", kind],
            _ => &["install", "--type", kind],
        };
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if matches!(words[0].as_str(), "dist-upgrade" | "patch" | "update") {
            words.extend(self.options(&words[0], false)?);
            return Ok(Some((words, Vec::new())));
        }
        let is_removal = words[0] == "remove";
        let mut specs = Vec::new();
        let mut has_version = false;
        for name in names {
            if is_removal && is_file(name) {
                return Err(Failure::new("Can not remove via URL: `name` is then the package's own name"));
            }
            let (gone, bare) = match name.strip_prefix(['-', '~', '!']) {
                Some(bare) if !is_removal => (true, bare),
                _ => (is_removal, name.strip_prefix('+').unwrap_or(name)),
            };
            has_version |= is_version(bare);
            let is_settled = state != "latest" || gone;
            if is_settled && kind == "package" && !is_file(bare) && self.is_there(bare)? == Some(!gone) {
                continue;
            }
            specs.push(if is_file(bare) || is_removal {
                bare.to_owned()
            } else {
                format!("{}{bare}", if gone { '-' } else { '+' })
            });
        }
        words.extend(self.options(&words[0].clone(), has_version)?);
        words.push("--".to_owned());
        Ok((!specs.is_empty()).then_some((words, specs)))
    }

    /// Whether an installed package has this name or provides it, or is that very version; none where only zypper can tell.
    fn is_there(&self, spec: &str) -> Result<Option<bool>, Failure> {
        let ask = |words: &[&str]| -> Result<bool, Failure> {
            Ok(self.look.run(&Cmd::new(["rpm", "-q"].iter().chain(words).copied()).timeout(ASK))?.is_success())
        };
        if !is_version(spec) {
            return Ok(Some(ask(&["--", spec])? || ask(&["--whatprovides", spec])?));
        }
        let (name, version) = spec.split_once(['=', '<', '>']).unwrap_or((spec, ""));
        let is_exact = spec.contains('=') && !spec.contains(['<', '>']);
        let version = version.trim_start_matches('=').trim();
        Ok((is_exact && ask(&["--", &format!("{}-{version}", name.trim())])?).then_some(true))
    }

    fn options(&self, command: &str, has_version: bool) -> Result<Vec<String>, Failure> {
        let is = |arg: &str| self.args.bool(arg);
        let (is_removal, is_install) = (command == "remove", command == "install");
        let flags = [
            (!is_removal, "--auto-agree-with-licenses"),
            (!is_removal && is("disable_recommends"), "--no-recommends"),
            (is_install && is("force"), "--force"),
            (is("force_resolution"), "--force-resolution"),
            (is_install && (is("oldpackage") || has_version), "--oldpackage"),
            (!is_removal && is("replacefiles"), "--replacefiles"),
            (command == "dist-upgrade" && is("allow_vendor_change"), "--allow-vendor-change"),
            (is_removal && is("clean_deps"), "--clean-deps"),
        ];
        let mut options: Vec<String> = flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()).collect();
        options.extend(self.split("extra_args")?);
        Ok(options)
    }

    fn split(&self, name: &str) -> Result<Vec<String>, Failure> {
        words::split(self.args.str(name).unwrap_or_default()).map_err(|error| Failure::new(format!("`{name}`: {error}")))
    }

    fn dry_run(&self, words: &[String], specs: &[String]) -> Result<Output, Failure> {
        let mut all = words.to_vec();
        all.insert(1, "--dry-run".to_owned());
        all.extend_from_slice(specs);
        let output = self.look.run(&self.command(&all)?.timeout(ASK))?;
        let is_gone = words[0] == "remove" && output.code == NOT_FOUND;
        if is_gone || FINE.contains(&output.code) || output.code == SCRIPT_FAILED {
            return Ok(output);
        }
        Err(refused(&output))
    }

    fn command(&self, words: &[String]) -> Result<Cmd, Failure> {
        let is = |arg: &str| self.args.bool(arg);
        let mut argv = self.start.clone();
        argv.extend(["--non-interactive", "--xmlout"].map(str::to_owned));
        let is_removal = words[0] == "remove";
        let flags = [
            (is("quiet"), "--quiet"),
            (is("auto_import_keys") && !is_removal, "--gpg-auto-import-keys"),
            (is("disable_gpg_check") && !is_removal, "--no-gpg-checks"),
        ];
        argv.extend(flags.iter().filter(|(given, _)| *given).map(|(_, flag)| (*flag).to_owned()));
        argv.extend(self.split("extra_args_precommand")?);
        argv.extend_from_slice(words);
        let wait = self.look.env(LOCK_VAR).unwrap_or_else(|| LOCK_WAIT.to_string());
        Ok(Cmd::new(argv).env("LC_ALL", "C").env(LOCK_VAR, &wait))
    }

    /// Waits for another zypper or YaST, and says so. When that is too long, zypper itself says what it thinks of it.
    fn wait(&self) {
        let seconds = self.look.env(LOCK_VAR).and_then(|text| text.parse().ok()).unwrap_or(LOCK_WAIT);
        let seconds = if seconds < 0 { i64::MAX } else { seconds };
        let holder = || {
            let text = self.look.text(PID_FILE).ok().flatten()?;
            let pid = text.trim();
            let is_alive = !pid.is_empty() && self.look.exists(&format!("/proc/{pid}/comm"));
            is_alive.then(|| Holder { lock: PID_FILE, who: locks::called(self.look, pid) })
        };
        let _ = locks::wait_for(self.look, "zypper", "", seconds, holder);
    }
}

/// What zypper does to one thing.
struct Step {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

/// What a summary says: `<to-upgrade> <solvable type="package" name="foo" edition="1.1-1" edition-old="1.0-1" …>`.
fn steps(xml: &str) -> Vec<Step> {
    let mut section = "";
    let mut steps = Vec::new();
    for tag in xml.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        match tag.split_whitespace().next().unwrap_or_default() {
            word if word.starts_with("to-") => section = word,
            word if word.starts_with("/to-") => section = "",
            "solvable" if !section.is_empty() => {
                let (new, old) = (attribute(tag, "edition"), attribute(tag, "edition-old"));
                let kind = attribute(tag, "type").filter(|kind| kind != "package").map(|kind| kind + ":").unwrap_or_default();
                let (before, after) = match section {
                    "to-remove" => (new, None),
                    "to-install" => (None, new),
                    _ => (old.or_else(|| Some(String::new())), new),
                };
                steps.push(Step { name: kind + &attribute(tag, "name").unwrap_or_default(), before, after });
            }
            _ => {}
        }
    }
    steps
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = format!(" {name}=\"");
    let (_, rest) = tag.split_once(start.as_str())?;
    Some(plain(rest.split('"').next()?))
}

fn plain(text: &str) -> String {
    let signs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    signs.iter().fold(text.to_owned(), |text, (code, sign)| text.replace(code, sign))
}

/// Zypper's own sentences: its errors, and what it could not decide alone.
fn refused(output: &Output) -> Failure {
    let xml = output.stdout_text();
    let inside = |start: &str, end: &str| -> Vec<String> {
        xml.split(start).skip(1).filter_map(|rest| Some(plain(rest.split_once(end)?.0.trim()))).collect()
    };
    let mut said = inside("<message type=\"error\">", "</message>");
    said.extend(inside("<prompt", "</prompt>").iter().filter_map(|prompt| {
        let (_, rest) = prompt.split_once("<description>")?;
        rest.split_once("</description>").map(|(text, _)| text.trim().to_owned())
    }));
    said.extend(Some(output.stderr_text().trim().to_owned()).filter(|text| !text.is_empty()));
    let failure = Failure::of_command("zypper", output);
    if said.is_empty() {
        return Failure { msg: format!("Zypper run command failed with return code {}.", output.code), ..failure };
    }
    Failure { msg: said.join("\n"), ..failure }
}

fn is_file(name: &str) -> bool {
    name.contains("://") || name.starts_with(['/', '.']) || name.ends_with(".rpm")
}

fn is_version(spec: &str) -> bool {
    spec.contains(['=', '<', '>'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_section_by_section() {
        let xml = "<to-upgrade>\n<solvable type=\"package\" name=\"foo\" edition=\"1.1-1\" edition-old=\"1.0-1\"/>\n\
                   </to-upgrade>\n<to-remove>\n<solvable type=\"pattern\" name=\"a&amp;b\" edition=\"2\"/>\n</to-remove>";
        let steps: Vec<_> = steps(xml).into_iter().map(|step| (step.name, step.before, step.after)).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(steps, [("foo".to_owned(), text("1.0-1"), text("1.1-1")), ("pattern:a&b".to_owned(), text("2"), None)]);
    }
}
