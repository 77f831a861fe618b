//! `pip`: packages of Python, by the `pip` of the host or of a virtual environment.
//!
//! What is installed is asked for once (`pip list`), so a converged task starts one process. For what no list can tell (a
//! requirements file, an address, `latest`), pip does its work and its own words say whether anything came of it.

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, Rule, words};
use crate::value::{Map, Value};
use std::cmp::Ordering;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "pip",
    collection: "ansible.builtin",
    summary: "installs and removes packages of Python",
    args: &[ARGS],
    rules: &[
        Rule::OneOf(&["name", "requirements"]),
        Rule::Exclusive(&["name", "requirements"]),
        Rule::Exclusive(&["executable", "virtualenv"]),
    ],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::List, "packages: `flask`, `flask==3.0`, `flask>=2,<4`, an address or a path"),
    Arg::new("version", Kind::Str, "version of the one package in `name`"),
    Arg::new("requirements", Kind::Str, "a requirements file on the host"),
    Arg::new("virtualenv", Kind::Path, "directory of a virtual environment; made if it is not there"),
    Arg::new("virtualenv_site_packages", Kind::Bool, "the environment also sees the system's packages").default("no"),
    Arg::new("virtualenv_command", Kind::Path, "what makes the environment").default("virtualenv"),
    Arg::new("virtualenv_python", Kind::Str, "Python for the environment"),
    Arg::new("state", Kind::Str, "what is wanted of them").default("present").choices(&[
        "absent",
        "forcereinstall",
        "latest",
        "present",
    ]),
    Arg::new("extra_args", Kind::Str, "further options for pip"),
    Arg::new("editable", Kind::Bool, "install in place").default("no"),
    Arg::new("chdir", Kind::Path, "change to this directory first"),
    Arg::new("executable", Kind::Path, "which pip"),
    Arg::new("umask", Kind::Str, "umask for what is installed"),
    Arg::new("break_system_packages", Kind::Bool, "install beside the system's own packages").default("no"),
];

const ASK: Duration = Duration::from_secs(120);
/// In the order in which they are looked for.
const PIPS: [&str; 2] = ["pip3", "pip"];

/// One item of `name`.
struct Wanted {
    text: String,
    name: String,
    /// Pairs of a sign and a version; none for an address or a path.
    bounds: Vec<(String, String)>,
    is_plain: bool,
}

/// pip on one host, for one task.
struct Pip<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: Vec<String>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let wanted = wanted(args)?;
    let mut plan = Plan::default();
    plan.set("name", args.list("name")).set("version", args.str("version")).set("state", args.str("state"));
    plan.set("requirements", args.str("requirements")).set("virtualenv", args.str("virtualenv"));
    let making = make_environment(args, look)?;
    let is_new = making.is_some();
    plan.changes.extend(making.map(|cmd| Change::run(args.str("virtualenv").unwrap_or_default(), cmd)));
    let pip = Pip { args, look, program: program(args, look, is_new)? };
    let state = args.str("state").unwrap_or("present");
    let todo: Vec<&Wanted> = match (state, is_new) {
        ("latest" | "forcereinstall", _) => wanted.iter().collect(),
        ("absent", true) => Vec::new(),
        (_, true) => wanted.iter().collect(),
        _ => pip.differing(&wanted, state == "present")?,
    };
    let must_run = !todo.is_empty() || args.has("requirements");
    if must_run {
        let operands: Vec<String> = todo.iter().map(|one| one.text.clone()).collect();
        let cmd = pip.command(state, &operands)?;
        plan.set("cmd", cmd.argv.iter().map(Value::from).collect::<Value>());
        let what = if operands.is_empty() { args.str("requirements").unwrap_or_default().to_owned() } else { operands.join(" ") };
        plan.push(Change::new(what, Value::Null, state, Act::Run(cmd)));
    }
    Ok(plan)
}

/// pip says what it did; a run that found everything there is no change.
fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let said = |key: &str| -> String {
        done.iter().filter_map(|one| one.values.get(key)).map(|text| text.to_text().as_str().to_owned()).collect()
    };
    let (stdout, stderr) = (said("stdout"), said("stderr"));
    if !done.is_empty() {
        let works = ["Successfully installed", "Successfully uninstalled", "created virtual environment"];
        let is_made = done.len() > 1 || args.has("virtualenv") && !values.contains_key("cmd");
        let is_forced = args.str("state") == Some("forcereinstall");
        let is_changed = is_made || is_forced || works.iter().any(|word| stdout.contains(word));
        values.insert("changed".into(), is_changed.into());
    }
    values.insert("stdout".into(), stdout.into());
    values.insert("stderr".into(), stderr.into());
    values.entry("cmd".into()).or_insert_with(|| Value::list(Vec::new()));
    Ok(values)
}

/// Items of `name`; a comma may have torn one apart (`flask>=2,<4`).
fn wanted(args: &Args) -> Result<Vec<Wanted>, Failure> {
    let mut texts: Vec<String> = Vec::new();
    for item in args.list("name") {
        let continues = item.trim_start().starts_with(['<', '>', '=', '!', '~']);
        match texts.last_mut().filter(|_| continues) {
            Some(last) => last.push_str(&format!(",{}", item.trim())),
            None => texts.push(item.trim().to_owned()),
        }
    }
    texts.retain(|text| !text.is_empty());
    let version = args.str("version").filter(|version| !version.is_empty());
    match (version, texts.as_mut_slice()) {
        (None, _) | (Some(_), []) => {}
        (Some(version), [only]) => {
            let one = Wanted::parse(only);
            if !one.bounds.is_empty() {
                return Err(Failure::new(
                    "The 'version' argument conflicts with any version specifier provided along with a package name. Please keep the version specifier, but remove the 'version' argument.",
                ));
            }
            if args.str("state") == Some("latest") {
                return Err(Failure::new("version is incompatible with state=latest"));
            }
            let sign = if version.starts_with(['<', '>', '=', '!', '~']) { "" } else { "==" };
            only.push_str(&format!("{sign}{version}"));
        }
        (Some(_), _) => {
            return Err(Failure::new(
                "'version' argument is ambiguous when installing multiple package distributions. Please specify version restrictions next to each package in 'name' argument.",
            ));
        }
    }
    Ok(texts.iter().map(|text| Wanted::parse(text)).collect())
}

impl Wanted {
    fn parse(text: &str) -> Wanted {
        let is_plain =
            !text.contains("://") && !text.starts_with(['.', '/', '-']) && !text.contains(" @ ") && !text.contains('/');
        let end = text.find(['=', '<', '>', '!', '~', '[', ' ', ';']).unwrap_or(text.len());
        let mut one = Wanted { text: text.to_owned(), name: canonical(&text[..end]), bounds: Vec::new(), is_plain };
        let rest = text[end..].split(';').next().unwrap_or_default();
        let rest = rest.split_once(']').map_or(rest, |(_, rest)| rest);
        for bound in rest.split(',').map(str::trim).filter(|bound| !bound.is_empty() && is_plain) {
            let at = bound.find(|letter| !"=<>!~".contains(letter)).unwrap_or(bound.len());
            one.bounds.push((bound[..at].to_owned(), bound[at..].trim().to_owned()));
        }
        one
    }

    fn accepts(&self, version: &str) -> bool {
        self.bounds.iter().all(|(sign, bound)| {
            let order = compare(version, bound);
            match sign.as_str() {
                "==" | "===" => match bound.strip_suffix(".*") {
                    Some(prefix) => starts_with(version, prefix),
                    None => order == Ordering::Equal,
                },
                "!=" => match bound.strip_suffix(".*") {
                    Some(prefix) => !starts_with(version, prefix),
                    None => order != Ordering::Equal,
                },
                ">=" => order != Ordering::Less,
                "<=" => order != Ordering::Greater,
                ">" => order == Ordering::Greater,
                "<" => order == Ordering::Less,
                "~=" => order != Ordering::Less && starts_with(version, bound.rsplit_once('.').map_or(bound, |(head, _)| head)),
                _ => false,
            }
        })
    }
}

/// Names are the same whatever stands between their words.
fn canonical(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '.'], "-")
}

fn starts_with(version: &str, prefix: &str) -> bool {
    version == prefix || version.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['.', 'a', 'b', 'r', '-', '+']))
}

/// Runs of digits by their number; a letter before the end is a pre-release and comes first.
fn compare(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(i8, u64)> {
        let text = text.trim_start_matches('v').split('+').next().unwrap_or_default().to_lowercase();
        let mut parts = Vec::new();
        for part in text.split(['.', '-']) {
            let at = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
            if at > 0 {
                parts.push((1, part[..at].parse().unwrap_or(u64::MAX)));
            }
            let word = part[at..].trim_end_matches(|letter: char| letter.is_ascii_digit());
            let rank = match word {
                "" => continue,
                "post" => 2,
                "dev" => -4,
                "a" | "alpha" => -3,
                "b" | "beta" => -2,
                _ => -1,
            };
            parts.push((rank, part[at + word.len()..].parse().unwrap_or(0)));
        }
        parts
    };
    let (mut one, mut other) = (parts(one), parts(other));
    let length = one.len().max(other.len());
    one.resize(length, (1, 0));
    other.resize(length, (1, 0));
    // What is missing is nothing: `1.0` and `1` are the same, and a pre-release is less than either.
    one.cmp(&other)
}

/// The command that makes the virtual environment, where there is none.
fn make_environment(args: &Args, look: &dyn Look) -> Result<Option<Cmd>, Failure> {
    let Some(dir) = args.str("virtualenv") else { return Ok(None) };
    if look.exists(&format!("{dir}/bin/activate")) {
        return Ok(None);
    }
    if args.str("requirements").is_none() && args.str("state") == Some("absent") && !look.exists(dir) {
        return Ok(None);
    }
    let mut argv = words::split(args.str("virtualenv_command").unwrap_or("virtualenv")).map_err(Failure::new)?;
    let tool = argv.first().cloned().unwrap_or_default();
    let found = if tool.contains('/') { Some(tool.clone()).filter(|path| look.exists(path)) } else { look.which(&tool) };
    let missing = || {
        Failure::new(format!(
            "Failed to find required executable \"{tool}\": install it, or give `virtualenv_command: python3 -m venv`"
        ))
    };
    argv[0] = found.ok_or_else(missing)?;
    let is_venv = argv.iter().any(|word| word == "venv" || word.ends_with("pyvenv"));
    if args.bool("virtualenv_site_packages") {
        argv.push("--system-site-packages".to_owned());
    }
    match args.str("virtualenv_python") {
        Some(_) if is_venv => {
            return Err(Failure::new(
                "virtualenv_python should not be used when using the venv module or pyvenv as virtualenv_command",
            ));
        }
        Some(python) => argv.push(format!("-p{python}")),
        None => {}
    }
    argv.push(dir.to_owned());
    Ok(Some(Cmd { chdir: args.str("chdir").map(str::to_owned), umask: umask(args)?, ..Cmd::new(argv).env("LC_ALL", "C.UTF-8") }))
}

fn umask(args: &Args) -> Result<Option<u32>, Failure> {
    let Some(text) = args.str("umask") else { return Ok(None) };
    u32::from_str_radix(text, 8).map(Some).map_err(|_| Failure::new("umask must be an octal integer"))
}

fn program(args: &Args, look: &dyn Look, is_new: bool) -> Result<Vec<String>, Failure> {
    if let Some(dir) = args.str("virtualenv") {
        let path = format!("{dir}/bin/pip");
        return if is_new || look.exists(&path) { Ok(vec![path]) } else { Ok(vec![format!("{dir}/bin/pip3")]) };
    }
    if let Some(given) = args.str("executable") {
        let found = if given.contains('/') { Some(given.to_owned()).filter(|path| look.exists(path)) } else { look.which(given) };
        return found
            .map(|path| vec![path])
            .ok_or_else(|| Failure::new(format!("Unable to find any of {given} to use.  pip needs to be installed.")));
    }
    if let Some(path) = PIPS.iter().find_map(|name| look.which(name)) {
        return Ok(vec![path]);
    }
    let python = look.which("python3");
    let module = python.filter(|python| {
        look.run(&Cmd::new([python.as_str(), "-m", "pip", "--version"]).timeout(ASK)).is_ok_and(|output| output.is_success())
    });
    module.map(|python| [python.as_str(), "-m", "pip"].map(str::to_owned).to_vec()).ok_or_else(|| {
        Failure::new("Unable to find any of pip3, pip to use.  pip needs to be installed (on Debian the package python3-pip).")
    })
}

impl Pip<'_> {
    /// Those that are not as wanted.
    fn differing<'w>(&self, wanted: &'w [Wanted], is_present: bool) -> Result<Vec<&'w Wanted>, Failure> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let installed = self.installed()?;
        let differs = |one: &&Wanted| {
            let found = installed.iter().find(|(name, _)| *name == one.name);
            match (is_present, found) {
                (true, Some((_, version))) => !one.accepts(version),
                (true, None) => true,
                (false, found) => found.is_some(),
            }
        };
        Ok(wanted.iter().filter(|one| !one.is_plain && is_present || differs(one)).collect())
    }

    fn installed(&self) -> Result<Vec<(String, String)>, Failure> {
        let ask = |words: &[&str]| -> Result<Output, Failure> {
            let argv = self.program.iter().map(String::as_str).chain(words.iter().copied());
            let cmd = Cmd { chdir: self.args.str("chdir").map(str::to_owned), ..Cmd::new(argv).timeout(ASK) };
            self.look.run(&cmd.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").env("LC_ALL", "C.UTF-8"))
        };
        let mut output = ask(&["list", "--format=freeze"])?;
        if !output.is_success() {
            output = ask(&["freeze"])?;
        }
        if !output.is_success() {
            return Err(Failure::of_command("pip cannot list what is installed", &output));
        }
        let text = output.stdout_text();
        let pairs = text.lines().filter_map(|line| line.split_once("=="));
        Ok(pairs.map(|(name, version)| (canonical(name), version.trim().to_owned())).collect())
    }

    fn command(&self, state: &str, operands: &[String]) -> Result<Cmd, Failure> {
        let mut argv = self.program.clone();
        let words: &[&str] = match state {
            "absent" => &["uninstall", "-y"],
            "latest" => &["install", "-U"],
            "forcereinstall" => &["install", "-U", "--force-reinstall"],
            _ => &["install"],
        };
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        argv.extend(words::split(self.args.str("extra_args").unwrap_or_default()).map_err(Failure::new)?);
        let editable = self.args.bool("editable") && state != "absent";
        for operand in operands {
            let is_marked = editable && !operand.starts_with("-e");
            argv.extend(is_marked.then(|| "-e".to_owned()));
            argv.push(operand.clone());
        }
        if let Some(file) = self.args.str("requirements") {
            argv.extend(["-r".to_owned(), file.to_owned()]);
        }
        let mut cmd = Cmd::new(argv).env("LC_ALL", "C.UTF-8").env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        if self.args.bool("break_system_packages") {
            cmd = cmd.env("PIP_BREAK_SYSTEM_PACKAGES", "1");
        }
        Ok(Cmd { chdir: self.args.str("chdir").map(str::to_owned), umask: umask(self.args)?, ..cmd })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_accepted_as_python_orders_them() {
        let accepts = |spec: &str, version: &str| Wanted::parse(spec).accepts(version);
        assert!(accepts("flask>=2,<4", "3.0.1") && !accepts("flask>=2,<4", "4.0"));
        assert!(accepts("a==1.0", "1.0.0") && !accepts("a==1.0", "1.0rc1") && accepts("a==1.*", "1.9"));
        assert!(accepts("a~=1.4.2", "1.4.9") && !accepts("a~=1.4.2", "1.5") && accepts("a[x]>1.9", "1.10"));
        assert!(accepts("a", "0") && !accepts("a!=1.1", "1.1") && accepts("a<1.0", "1.0b2"));
        assert_eq!(Wanted::parse("Foo_Bar.Baz==1").name, "foo-bar-baz");
        assert!(!Wanted::parse("git+https://x/y.git").is_plain && !Wanted::parse("./here").is_plain);
    }
}
