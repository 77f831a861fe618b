//! `firewalld`: the firewall of Red Hat's systems, by `firewall-cmd`.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "firewalld",
    collection: "ansible.posix",
    summary: "see to ports, services and rules of firewalld",
    args: &[&[
        Arg::new("service", Kind::Str, "a service"),
        Arg::new("protocol", Kind::Str, "a protocol"),
        Arg::new("port", Kind::Str, "a port or range, as `80/tcp`"),
        Arg::new("port_forward", Kind::RawList, "one map of port, proto, toport, toaddr"),
        Arg::new("rich_rule", Kind::Str, "a rule in firewalld's language"),
        Arg::new("source", Kind::Str, "a network"),
        Arg::new("interface", Kind::Str, "an interface"),
        Arg::new("icmp_block", Kind::Str, "a type of ICMP that is blocked"),
        Arg::new("icmp_block_inversion", Kind::Str, "only blocked types pass"),
        Arg::new("zone", Kind::Str, "the zone; the default one if not given"),
        Arg::new("permanent", Kind::Bool, "after the next start, too").default("no"),
        Arg::new("immediate", Kind::Bool, "at once, too").default("no"),
        Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "disabled", "enabled", "present"]).required(),
        Arg::new("timeout", Kind::Int, "seconds after which it goes again").default("0"),
        Arg::new("forward", Kind::Str, "forwarding within the zone"),
        Arg::new("masquerade", Kind::Str, "masquerading"),
        Arg::new("offline", Kind::Bool, "allow it while firewalld does not run").default("no"),
        Arg::new("target", Kind::Str, "what the zone does with the rest").choices(&["default", "ACCEPT", "DROP", "%%REJECT%%"]),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Arguments and the word that `firewall-cmd` has for each.
const THINGS: [(&str, &str); 7] = [
    ("service", "service"),
    ("protocol", "protocol"),
    ("port", "port"),
    ("rich_rule", "rich-rule"),
    ("source", "source"),
    ("interface", "interface"),
    ("icmp_block", "icmp-block"),
];
/// Those that are on or off.
const SWITCHES: [(&str, &str); 3] =
    [("icmp_block_inversion", "icmp-block-inversion"), ("forward", "forward"), ("masquerade", "masquerade")];

#[derive(Clone)]
struct Firewall<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
    is_wanted: bool,
    is_permanent: bool,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let state = args.required("state")?;
    let running = look
        .which("firewall-cmd")
        .filter(|program| look.run(&Cmd::new([program.as_str(), "--state"])).is_ok_and(|output| output.is_success()));
    let program = match running {
        Some(program) => program,
        None if args.bool("offline") => look.require("firewall-offline-cmd", "firewalld")?,
        None => {
            look.require("firewall-cmd", "firewalld")?;
            return Err(Failure::new("firewalld is not running on the host; start it first, or set `offline: true`"));
        }
    };
    let is_offline = program.ends_with("firewall-offline-cmd");
    let is_permanent = args.bool("permanent") || is_offline;
    if is_permanent && args.int("timeout").unwrap_or(0) > 0 {
        return Err(Failure::new("`timeout` is for rules that are not permanent"));
    }
    let mut plan = Plan::default();
    if !args.has("zone") && !names_something(args) {
        let warning = "the task names nothing that firewalld should see to: no service, port, rich_rule, source or the like";
        plan.set("warnings", Value::list(vec![warning.into()]));
    }
    for (is_meant, is_permanent) in [(is_permanent, true), ((!is_permanent || args.bool("immediate")) && !is_offline, false)] {
        if is_meant {
            let is_wanted = matches!(state, "enabled" | "present");
            Firewall { args, look, program: program.clone(), is_wanted, is_permanent }.plan(&mut plan)?;
        }
    }
    plan.set("msg", if plan.changes.is_empty() { "no change" } else { "changed" });
    Ok(plan)
}

/// Whether a task is about anything within a zone.
fn names_something(args: &Args) -> bool {
    THINGS.iter().chain(&SWITCHES).map(|(name, _)| *name).chain(["port_forward", "target"]).any(|name| args.has(name))
}

impl Firewall<'_> {
    fn cmd(&self, words: Vec<String>) -> Cmd {
        let mut argv = vec![self.program.clone()];
        // What firewalld keeps by itself needs no flag while it does not run.
        argv.extend((self.is_permanent && !self.program.ends_with("offline-cmd")).then(|| "--permanent".to_owned()));
        argv.extend(self.args.str("zone").filter(|_| !self.is_zone()).map(|zone| format!("--zone={zone}")));
        argv.extend(words);
        Cmd::new(argv)
    }

    /// Whether the zone itself is what the task is about.
    fn is_zone(&self) -> bool {
        self.args.has("zone") && !names_something(self.args)
    }

    fn ask(&self, words: Vec<String>) -> Result<bool, Failure> {
        let output = self.look.run(&self.cmd(words))?;
        match output.code {
            0 => Ok(true),
            1 if output.stderr_text().trim().is_empty() => Ok(false),
            _ => Err(Failure::of_command("firewalld does not answer", &output)),
        }
    }

    fn change(&self, what: &str, word: &str, value: &str, plan: &mut Plan) -> Result<(), Failure> {
        let flag =
            |verb: &str| vec![if value.is_empty() { format!("--{verb}-{word}") } else { format!("--{verb}-{word}={value}") }];
        if self.ask(flag("query"))? == self.is_wanted {
            return Ok(());
        }
        let mut words = flag(if self.is_wanted { "add" } else { "remove" });
        let timeout = self.args.int("timeout").filter(|seconds| *seconds > 0 && self.is_wanted && !self.is_permanent);
        words.extend(timeout.map(|seconds| format!("--timeout={seconds}")));
        self.push(what, words, plan);
        Ok(())
    }

    fn push(&self, what: &str, words: Vec<String>, plan: &mut Plan) {
        let shown =
            |is_there: bool| Map::from_iter([("state".into(), Value::from(if is_there { "enabled" } else { "disabled" }))]);
        let act = Act::Run(self.cmd(words));
        plan.push(Change::new(what, shown(!self.is_wanted), shown(self.is_wanted), act));
    }

    fn plan(&self, plan: &mut Plan) -> Result<(), Failure> {
        for (name, word) in THINGS {
            if let Some(value) = self.args.str(name) {
                self.change(value, word, value, plan)?;
            }
        }
        for (name, word) in SWITCHES {
            if let Some(value) = self.args.get(name) {
                // To disable `masquerade: false` is to enable it.
                let is_on = value.to_bool().unwrap_or(true);
                Firewall { is_wanted: self.is_wanted == is_on, ..self.clone() }.change(name, word, "", plan)?;
            }
        }
        for forward in self.args.items("port_forward") {
            let part = |key: &str| forward.get(key).map(Value::to_text).unwrap_or_default();
            let (port, proto, to) = (part("port"), part("proto"), part("toport"));
            let address = Some(part("toaddr")).filter(|text| !text.is_empty()).map(|text| format!(":toaddr={}", text.as_str()));
            let rule = format!("port={}:proto={}:toport={}{}", &*port, &*proto, &*to, address.unwrap_or_default());
            self.change(&rule, "forward-port", &rule, plan)?;
        }
        if let Some(target) = self.args.str("target") {
            self.target(target, plan)?;
        }
        if self.is_zone() {
            self.zone(plan)?;
        }
        Ok(())
    }

    fn target(&self, wanted: &str, plan: &mut Plan) -> Result<(), Failure> {
        if !self.is_permanent {
            return Err(Failure::new("`target` can only be changed permanently: set `permanent: true`"));
        }
        let output = self.look.run(&self.cmd(vec!["--get-target".to_owned()]))?;
        let wanted = if self.is_wanted { wanted } else { "default" };
        if output.stdout_text().trim() != wanted {
            self.push("target", vec![format!("--set-target={wanted}")], plan);
        }
        Ok(())
    }

    fn zone(&self, plan: &mut Plan) -> Result<(), Failure> {
        let name = self.args.str("zone").unwrap_or_default();
        if !self.is_permanent {
            return Err(Failure::new("zones can only be made and removed permanently: set `permanent: true`"));
        }
        let output = self.look.run(&self.cmd(vec!["--get-zones".to_owned()]))?;
        let is_there = output.stdout_text().split_whitespace().any(|zone| zone == name);
        if is_there != self.is_wanted {
            let verb = if self.is_wanted { "new" } else { "delete" };
            self.push(name, vec![format!("--{verb}-zone={name}")], plan);
        }
        Ok(())
    }
}
