//! `systemd` and, for hosts that run systemd, `service`: units started, stopped, enabled and masked.
//!
//! One `systemctl show` tells everything a plan needs; only for init scripts must systemd be asked twice. The order of
//! changes is: read unit files again, unmask, enable or disable, mask, then start or stop.

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "systemd",
    collection: "ansible.builtin",
    summary: "manages systemd units",
    args: &[ARGS, MANAGER_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "exactly one unit; `.service` may be left out").aliases(&["service", "unit"]),
    Arg::new("state", Kind::Str, "`restarted` and `reloaded` always act").choices(&[
        "reloaded",
        "restarted",
        "started",
        "stopped",
    ]),
    Arg::new("enabled", Kind::Bool, "whether it starts at boot"),
];

/// What `service` passes on to systemd.
pub(super) const MANAGER_ARGS: &[Arg] = &[
    Arg::new("daemon_reload", Kind::Bool, "let systemd read its unit files again first")
        .aliases(&["daemon-reload"])
        .default("no"),
    Arg::new("daemon_reexec", Kind::Bool, "restart systemd itself first").aliases(&["daemon-reexec"]).default("no"),
    Arg::new("force", Kind::Bool, "replace links that are in the way of enabling"),
    Arg::new("masked", Kind::Bool, "whether it is impossible to start"),
    Arg::new("no_block", Kind::Bool, "do not wait until the unit has started or stopped").default("no"),
    Arg::new("scope", Kind::Str, "whose service manager").default("system").choices(&["system", "user", "global"]),
];

const SUFFIXES: [&str; 11] =
    [".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".slice", ".scope"];
const UNIT_DIRS: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/etc/init.d",
];
/// A question to systemd takes this long at most.
const ASK: Duration = Duration::from_secs(60);

/// One unit, and how to talk about it.
struct Unit<'a> {
    look: &'a dyn Look,
    systemctl: Systemctl,
    name: String,
    /// As `systemctl show` prints it.
    status: Map,
}

/// `systemctl` with the options that every call gets.
#[derive(Clone)]
struct Systemctl {
    argv: Vec<String>,
    env: Vec<(String, String)>,
}

/// Whether systemd is the running init system.
pub(super) fn is_running(look: &dyn Look) -> bool {
    look.exists("/run/systemd/system")
}

pub(super) fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let systemctl = Systemctl::find(args, look)?;
    let mut plan = Plan::default();
    for (arg, command) in [("daemon_reexec", "daemon-reexec"), ("daemon_reload", "daemon-reload")] {
        if args.bool(arg) && is_running(look) {
            plan.push(Change::run(format!("systemd ({command})"), systemctl.command([command])));
        }
    }
    let reloads = plan.changes.len();
    if let Some(name) = args.str("name") {
        plan.set("name", name);
        let unit = Unit::find(name, systemctl, look)?;
        unit.plan(args, reloads > 0, &mut plan)?;
        plan.set("status", unit.status);
    } else if let Some(arg) = ["state", "enabled", "masked"].into_iter().find(|arg| args.has(arg)) {
        return Err(Failure::new(format!("`{arg}` is about one unit: give its `name`")));
    }
    // Reading unit files again is not what Ansible calls a change.
    if reloads > 0 {
        plan.changed = Some(plan.changes.len() > reloads);
    }
    Ok(plan)
}

/// Output of systemctl is no return value of Ansible's. Where a unit did not start, its own last words say why.
pub(super) fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let is_bad = |one: &&Done| one.values.get("rc").and_then(Value::as_int).is_some_and(|rc| rc != 0);
    let Some(bad) = done.iter().find(is_bad) else { return Ok(values) };
    let name = args.str("name").unwrap_or_default();
    let text = |key: &str| bad.values.get(key).map(Value::to_text).unwrap_or_default();
    let mut msg =
        format!("Unable to bring service {name} to state {}: {}", args.str("state").unwrap_or_default(), text("stderr").trim());
    let status = Systemctl::find(args, look)?.command(["status", "--no-pager", "--full", "--lines=10", "--", name]).timeout(ASK);
    if let Ok(output) = look.run(&status) {
        msg.push('\n');
        msg.push_str(output.stdout_text().trim_end());
    }
    Err(Failure { msg, values: bad.values.clone() })
}

impl Systemctl {
    fn find(args: &Args, look: &dyn Look) -> Result<Systemctl, Failure> {
        let missing = || Failure::new("there is no systemctl on this host: use `service`, which also knows other init systems");
        let program = look.which("systemctl").ok_or_else(missing)?;
        let scope = args.str("scope").unwrap_or("system");
        let mut systemctl = Systemctl { argv: vec![program], env: Vec::new() };
        if scope != "system" {
            systemctl.argv.push(format!("--{scope}"));
        }
        if scope == "user" && look.env("XDG_RUNTIME_DIR").is_none() {
            systemctl.env.push(("XDG_RUNTIME_DIR".to_owned(), format!("/run/user/{}", look.uid())));
        }
        if args.bool("no_block") {
            systemctl.argv.push("--no-block".to_owned());
        }
        if args.bool("force") {
            systemctl.argv.push("--force".to_owned());
        }
        Ok(systemctl)
    }

    fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Cmd {
        let argv = self.argv.iter().cloned().chain(words.into_iter().map(str::to_owned)).collect();
        Cmd { argv, env: self.env.clone(), ..Cmd::default() }
    }
}

impl<'a> Unit<'a> {
    fn find(name: &str, systemctl: Systemctl, look: &'a dyn Look) -> Result<Unit<'a>, Failure> {
        if name.is_empty() || name.starts_with('-') || name.contains(['*', '?', '[', '/']) || name.contains(char::is_whitespace) {
            return Err(Failure::new(format!("`{name}` is not the name of one unit; wildcards are not supported")));
        }
        let has_suffix = SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
        let name = if has_suffix { name.to_owned() } else { format!("{name}.service") };
        let mut unit = Unit { look, systemctl, name, status: Map::new() };
        if is_running(look) {
            unit.status = unit.show()?;
        }
        Ok(unit)
    }

    fn show(&self) -> Result<Map, Failure> {
        let output = self.look.run(&self.systemctl.command(["show", &self.name]).timeout(ASK))?;
        if !output.is_success() {
            return Err(Failure::of_command(format!("systemd does not answer about {}", self.name), &output));
        }
        Ok(parsed(&output.stdout_text()))
    }

    fn property(&self, name: &str) -> &str {
        self.status.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn plan(&self, args: &Args, is_reloaded: bool, plan: &mut Plan) -> Result<(), Failure> {
        let masked = args.has("masked").then(|| args.bool("masked"));
        if masked == Some(false) && self.is_masked() {
            plan.push(self.change("masked", true, false, &["unmask"]));
        }
        if args.has("enabled") {
            self.require(is_reloaded)?;
            self.enable(args.bool("enabled"), plan)?;
        }
        if masked == Some(true) && !self.is_masked() {
            plan.push(self.change("masked", false, true, &["mask"]));
        }
        if let Some(state) = args.str("state") {
            if !is_running(self.look) {
                return Err(Failure::new(format!("systemd is not running on this host, so {} cannot be {state}", self.name)));
            }
            self.require(is_reloaded)?;
            self.turn(state, plan);
        }
        Ok(())
    }

    fn is_masked(&self) -> bool {
        let state = self.property("UnitFileState");
        self.property("LoadState") == "masked"
            || matches!(state, "masked" | "masked-runtime")
            || self.status.is_empty() && matches!(self.enabled_state().as_deref(), Ok("masked"))
    }

    /// A unit that systemd has not read yet counts when its file is there and systemd is about to be told.
    fn require(&self, is_reloaded: bool) -> Result<(), Failure> {
        let load = self.property("LoadState");
        let is_known = !matches!(load, "" | "not-found");
        if is_known || (is_reloaded || load.is_empty()) && self.has_file() || self.is_init_script() {
            return Ok(());
        }
        Err(Failure::new(format!("Could not find the requested service {}: host", self.name.trim_end_matches(".service"))))
    }

    fn has_file(&self) -> bool {
        let template = self.name.split_once('@').and_then(|(head, tail)| Some(format!("{head}@.{}", tail.rsplit_once('.')?.1)));
        let exists = |name: &str| UNIT_DIRS.iter().any(|dir| self.look.exists(&format!("{dir}/{name}")));
        exists(&self.name) || template.is_some_and(|template| exists(&template))
    }

    fn is_init_script(&self) -> bool {
        self.name.strip_suffix(".service").is_some_and(|name| self.look.exists(&format!("/etc/init.d/{name}")))
    }

    fn enable(&self, wanted: bool, plan: &mut Plan) -> Result<(), Failure> {
        let is_enabled = match self.property("UnitFileState") {
            // Init scripts: only `is-enabled` looks into the rc directories.
            "" | "generated" => {
                let state = self.enabled_state()?;
                fixed(&state, wanted).unwrap_or(state.starts_with("enabled") && state != "enabled-runtime")
            }
            "indirect" => self.has_links()?,
            state => fixed(state, wanted).unwrap_or(state == "enabled"),
        };
        if is_enabled != wanted {
            plan.push(self.change("enabled", is_enabled, wanted, &[if wanted { "enable" } else { "disable" }]));
        }
        plan.set("enabled", wanted);
        Ok(())
    }

    /// Of a unit that only others enable: whether any link to them is there.
    fn has_links(&self) -> Result<bool, Failure> {
        let output = self.look.run(&self.systemctl.command(["is-enabled", "--full", &self.name]).timeout(ASK))?;
        Ok(output.is_success() && output.stdout_text().lines().count() > 1)
    }

    fn enabled_state(&self) -> Result<String, Failure> {
        let output = self.look.run(&self.systemctl.command(["is-enabled", &self.name]).timeout(ASK))?;
        Ok(output.stdout_text().lines().next().unwrap_or_default().trim().to_owned())
    }

    fn turn(&self, state: &str, plan: &mut Plan) {
        let active = self.property("ActiveState");
        let is_running = matches!(active, "active" | "activating" | "reloading");
        let command = match state {
            "started" if !is_running => Some("start"),
            "stopped" if is_running || active == "deactivating" => Some("stop"),
            "restarted" if is_running => Some("restart"),
            "reloaded" if is_running => Some("reload"),
            "restarted" | "reloaded" => Some("start"),
            _ => None,
        };
        let after = if state == "stopped" { "stopped" } else { "started" };
        if let Some(command) = command {
            let mut change = self.change("state", if is_running { "started" } else { "stopped" }, state, &[command]);
            if let Act::Run(cmd) = &mut change.act {
                // `finish` has more to say about a failure.
                cmd.any_status = true;
            }
            plan.push(change);
        }
        plan.set("state", after);
    }

    fn change(&self, property: &str, before: impl Into<Value>, after: impl Into<Value>, words: &[&str]) -> Change {
        let shown = |value: Value| Map::from_iter([(property.into(), value)]);
        let cmd = self.systemctl.command(words.iter().copied().chain([self.name.as_str()]));
        Change::new(&self.name, shown(before.into()), shown(after.into()), Act::Run(cmd))
    }
}

/// Units without an `[Install]` section can be neither enabled nor disabled: they are as wanted either way.
fn fixed(state: &str, wanted: bool) -> Option<bool> {
    matches!(state, "static" | "alias" | "transient" | "generated").then_some(wanted)
}

/// Lines of `Key=value`; some values of `Exec…` go on until a line that ends with `}`.
fn parsed(text: &str) -> Map {
    let mut map = Map::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match open.take() {
            Some((key, value)) => {
                let value = format!("{value}\n{line}");
                if line.trim_end().ends_with('}') {
                    map.insert(key.into(), value.trim().into());
                } else {
                    open = Some((key, value));
                }
            }
            None => {
                let Some((key, value)) = line.split_once('=') else { continue };
                if key.starts_with("Exec") && value.trim_start().starts_with('{') && !value.trim_end().ends_with('}') {
                    open = Some((key.to_owned(), value.to_owned()));
                } else {
                    map.insert(key.into(), value.trim().into());
                }
            }
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_line_by_line_and_exec_lines_may_break() {
        let status = parsed("Id=x.service\nExecStart={ path=/bin/sh ; argv[]=/bin/sh -c a\nb ; pid=0 }\nEnvironment=A=1\n");
        assert_eq!(status.get("Environment"), Some(&Value::from("A=1")));
        assert!(status.get("ExecStart").and_then(Value::as_str).is_some_and(|text| text.ends_with('}') && text.contains("a\nb")));
    }
}
