//! `service`: a service of whatever init system runs on the host: systemd, OpenRC, or scripts in `/etc/init.d`.

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Output, Plan, systemd};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "service",
    collection: "ansible.builtin",
    summary: "manages services, whatever the init system",
    args: &[ARGS, systemd::MANAGER_ARGS],
    rules: &[super::Rule::OneOf(&["state", "enabled", "masked", "daemon_reload", "daemon_reexec"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the service").required(),
    Arg::new("state", Kind::Str, "`restarted` and `reloaded` always act").choices(&[
        "reloaded",
        "restarted",
        "started",
        "stopped",
    ]),
    Arg::new("enabled", Kind::Bool, "whether it starts at boot"),
    Arg::new("arguments", Kind::Str, "more words for an init script").aliases(&["args"]).default(""),
    Arg::new("pattern", Kind::Str, "a process with this in its command line stands for a running service"),
    Arg::new("runlevel", Kind::Str, "for OpenRC").default("default"),
    Arg::new("sleep", Kind::Int, "seconds between stop and start of `restarted`, for init scripts"),
    Arg::new("use", Kind::Str, "which init system, instead of finding out").default("auto"),
];

const ASK: Duration = Duration::from_secs(60);

/// A service of an init system that is not systemd.
struct Script<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    name: &'a str,
    kind: Init,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Init {
    OpenRc,
    SysV,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    match args.str("use").unwrap_or("auto") {
        "systemd" => systemd::plan(args, look),
        "openrc" => script(args, look, Init::OpenRc),
        "sysvinit" | "service" => script(args, look, Init::SysV),
        "auto" if systemd::is_running(look) => systemd::plan(args, look),
        "auto" if look.exists("/run/openrc") || look.exists("/sbin/openrc-run") => script(args, look, Init::OpenRc),
        "auto" => script(args, look, Init::SysV),
        other => Err(Failure::new(format!(
            "`use: {other}` is not an init system that is known here; there are systemd, openrc and sysvinit"
        ))),
    }
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    systemd::finish(args, values, done, look)
}

pub(super) fn script(args: &Args, look: &dyn Look, kind: Init) -> Result<Plan, Failure> {
    let script = Script { args, look, name: args.required("name")?, kind };
    script.require()?;
    let mut plan = Plan::default();
    plan.set("name", script.name);
    if args.has("enabled") {
        plan.set("enabled", args.bool("enabled"));
        plan.changes.extend(script.enable(args.bool("enabled"))?);
    }
    if let Some(state) = args.str("state") {
        plan.set("state", if state == "stopped" { "stopped" } else { "started" });
        script.turn(state, &mut plan)?;
    }
    Ok(plan)
}

impl Script<'_> {
    fn require(&self) -> Result<(), Failure> {
        if self.name.contains('/') || self.name.starts_with('-') || !self.look.exists(&format!("/etc/init.d/{}", self.name)) {
            return Err(Failure::new(format!(
                "Could not find the requested service {}: systemd is not running on this host, and there is no /etc/init.d/{}",
                self.name, self.name
            )));
        }
        Ok(())
    }

    /// The change for `enabled`, if one is needed.
    fn enable(&self, wanted: bool) -> Result<Option<Change>, Failure> {
        if self.is_enabled()? == wanted {
            return Ok(None);
        }
        let runlevel = self.args.str("runlevel").unwrap_or("default");
        let argv = match (self.kind, self.look.which("update-rc.d"), self.look.which("chkconfig")) {
            (Init::OpenRc, _, _) => vec!["rc-update", if wanted { "add" } else { "delete" }, self.name, runlevel],
            (Init::SysV, Some(_), _) if wanted && !self.has_links('K') => vec!["update-rc.d", self.name, "defaults"],
            (Init::SysV, Some(_), _) => vec!["update-rc.d", self.name, if wanted { "enable" } else { "disable" }],
            (Init::SysV, None, Some(_)) => vec!["chkconfig", self.name, if wanted { "on" } else { "off" }],
            (Init::SysV, None, None) => {
                return Err(Failure::new("this host has neither update-rc.d nor chkconfig: `enabled` cannot be changed"));
            }
        };
        let shown = |enabled: bool| Map::from_iter([("enabled".into(), Value::Bool(enabled))]);
        Ok(Some(Change::new(self.name, shown(!wanted), shown(wanted), Act::Run(Cmd::new(argv)))))
    }

    fn is_enabled(&self) -> Result<bool, Failure> {
        if self.kind == Init::SysV {
            return Ok(self.has_links('S'));
        }
        let runlevel = self.args.str("runlevel").unwrap_or("default");
        let output = self.look.run(&Cmd::new(["rc-update", "show", runlevel]).timeout(ASK))?;
        let named = |line: &str| line.split('|').next().is_some_and(|name| name.trim() == self.name);
        Ok(output.stdout_text().lines().any(named))
    }

    /// Links such as `/etc/rc3.d/S01ssh`.
    fn has_links(&self, kind: char) -> bool {
        let is_link = |link: &String| {
            let rest = link.strip_prefix(kind).unwrap_or_default();
            rest.trim_start_matches(|c: char| c.is_ascii_digit()) == self.name && rest != self.name
        };
        ["2", "3", "4", "5"].iter().any(|level| {
            let dir = format!("/etc/rc{level}.d");
            self.look.list(&dir).unwrap_or_default().iter().any(is_link)
        })
    }

    fn turn(&self, state: &str, plan: &mut Plan) -> Result<(), Failure> {
        let is_running = self.is_running()?;
        let sleep = self.args.int("sleep").filter(|_| is_running).unwrap_or(0);
        let verbs: &[&str] = match state {
            "started" if !is_running => &["start"],
            "stopped" if is_running => &["stop"],
            "restarted" if sleep > 0 => &["stop", "", "start"],
            "restarted" if is_running => &["restart"],
            "reloaded" if is_running => &["reload"],
            "restarted" | "reloaded" => &["start"],
            _ => &[],
        };
        let shown = |state: &str| Map::from_iter([("state".into(), Value::from(state))]);
        let before = if is_running { "started" } else { "stopped" };
        for verb in verbs {
            let cmd = if verb.is_empty() { Cmd::new(["sleep".to_owned(), sleep.to_string()]) } else { self.command(verb) };
            plan.push(Change::new(self.name, shown(before), shown(state), Act::Run(cmd)));
        }
        Ok(())
    }

    fn command(&self, verb: &str) -> Cmd {
        let words = self.args.str("arguments").unwrap_or_default().split_whitespace().map(str::to_owned);
        let argv = match self.kind {
            Init::OpenRc => vec!["rc-service".to_owned(), self.name.to_owned(), verb.to_owned()],
            Init::SysV => vec![format!("/etc/init.d/{}", self.name), verb.to_owned()],
        };
        Cmd::new(argv.into_iter().chain(words))
    }

    fn is_running(&self) -> Result<bool, Failure> {
        if let Some(pattern) = self.args.str("pattern") {
            return Ok(self.has_process(pattern));
        }
        let output = self.look.run(&self.command("status").timeout(ASK))?;
        match output.code {
            0 => Ok(!is_stopped(&output)),
            1..=3 => Ok(false),
            // Scripts that know no `status`: nothing but their words is left.
            _ if is_stopped(&output) => Ok(false),
            _ => Err(Failure::of_command(
                format!(
                    "/etc/init.d/{} does not tell whether the service runs; `pattern` names a process to look for",
                    self.name
                ),
                &output,
            )),
        }
    }

    fn has_process(&self, pattern: &str) -> bool {
        let names = self.look.list("/proc").unwrap_or_default();
        let pids = names.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        let line = |pid: &String| self.look.text(&format!("/proc/{pid}/cmdline")).ok().flatten();
        pids.filter_map(line).any(|line| line.replace('\0', " ").contains(pattern))
    }
}

fn is_stopped(output: &Output) -> bool {
    let words = (output.stdout_text() + &output.stderr_text()).to_lowercase();
    ["not running", "is stopped", "stopped", "is dead", "inactive"].iter().any(|phrase| words.contains(phrase))
}
