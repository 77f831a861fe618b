//! `ufw`: the simple firewall of Debian and Ubuntu.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, Rule, finish_plainly};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "ufw",
    collection: "community.general",
    summary: "see to the firewall ufw and its rules",
    args: &[&[
        Arg::new("state", Kind::Str, "`enabled` and `disabled` also at boot")
            .choices(&["enabled", "disabled", "reloaded", "reset"]),
        Arg::new("default", Kind::Str, "what happens to the rest").aliases(&["policy"]).choices(&["allow", "deny", "reject"]),
        Arg::new("direction", Kind::Str, "which way").choices(&["in", "incoming", "out", "outgoing", "routed"]),
        Arg::new("logging", Kind::Str, "how much is logged").choices(&["on", "off", "low", "medium", "high", "full"]),
        Arg::new("insert", Kind::Int, "the rule's number"),
        Arg::new("insert_relative_to", Kind::Str, "what that number counts from")
            .choices(&["zero", "first-ipv4", "last-ipv4", "first-ipv6", "last-ipv6"])
            .default("zero"),
        Arg::new("rule", Kind::Str, "what the rule does").choices(&["allow", "deny", "limit", "reject"]),
        Arg::new("log", Kind::Bool, "log connections of the rule").default("no"),
        Arg::new("from_ip", Kind::Str, "from").aliases(&["from", "src"]).default("any"),
        Arg::new("from_port", Kind::Str, "from"),
        Arg::new("to_ip", Kind::Str, "to").aliases(&["dest", "to"]).default("any"),
        Arg::new("to_port", Kind::Str, "to").aliases(&["port"]),
        Arg::new("proto", Kind::Str, "protocol")
            .aliases(&["protocol"])
            .choices(&["any", "tcp", "udp", "ipv6", "esp", "ah", "gre", "igmp", "vrrp"]),
        Arg::new("name", Kind::Str, "a profile of /etc/ufw/applications.d").aliases(&["app"]),
        Arg::new("delete", Kind::Bool, "remove the rule").default("no"),
        Arg::new("interface", Kind::Str, "for one direction").aliases(&["if"]),
        Arg::new("interface_in", Kind::Str, "comes in here").aliases(&["if_in"]),
        Arg::new("interface_out", Kind::Str, "goes out here").aliases(&["if_out"]),
        Arg::new("route", Kind::Bool, "of what passes through").default("no"),
        Arg::new("comment", Kind::Str, "a comment"),
    ]],
    rules: &[
        Rule::OneOf(&["default", "logging", "rule", "state"]),
        Rule::Exclusive(&["name", "proto"]),
        Rule::Exclusive(&["direction", "interface_in"]),
        Rule::Exclusive(&["direction", "interface_out"]),
    ],
    free_form: None,
    plan,
    finish: finish_plainly,
};

struct Ufw<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
    /// `ufw status verbose`.
    status: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let program = look.require("ufw", "ufw")?;
    if args.has("interface") && !args.has("direction") {
        return Err(Failure::new("Direction must be specified when creating a rule on an interface."));
    }
    let output = look.run(&Cmd::new([program.as_str(), "status", "verbose"]))?;
    if !output.is_success() {
        return Err(Failure::of_command("ufw does not tell its state", &output));
    }
    let ufw = Ufw { args, look, program, status: output.stdout_text() };
    let mut plan = Plan::default();
    plan.set("msg", ufw.status.trim_end());
    ufw.state(&mut plan);
    ufw.policy(&mut plan);
    ufw.logging(&mut plan);
    if args.has("rule") {
        ufw.rule(&mut plan)?;
    }
    Ok(plan)
}

impl Ufw<'_> {
    fn is_active(&self) -> bool {
        self.status.lines().any(|line| line == "Status: active")
    }

    fn line(&self, key: &str) -> Option<&str> {
        self.status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
    }

    fn act(&self, words: &[&str], before: Value, plan: &mut Plan) {
        let argv = [self.program.as_str()].into_iter().chain(words.iter().copied());
        let after = Value::from(words.join(" "));
        plan.push(Change::new("ufw", before, after, Act::Run(Cmd::new(argv))));
    }

    fn state(&self, plan: &mut Plan) {
        let now = Value::from(if self.is_active() { "active" } else { "inactive" });
        match self.args.str("state") {
            Some("enabled") if !self.is_active() => self.act(&["-f", "enable"], now, plan),
            Some("disabled") if self.is_active() => self.act(&["-f", "disable"], now, plan),
            Some("reloaded") if self.is_active() => self.act(&["-f", "reload"], now, plan),
            Some("reset") => self.act(&["-f", "reset"], now, plan),
            _ => {}
        }
    }

    /// `Default: deny (incoming), allow (outgoing), disabled (routed)`.
    fn policy(&self, plan: &mut Plan) {
        let Some(wanted) = self.args.str("default") else { return };
        let direction = match self.args.str("direction") {
            Some("out" | "outgoing") => "outgoing",
            Some("routed") => "routed",
            _ => "incoming",
        };
        let says = |line: &str| line.split(',').any(|part| part.trim() == format!("{wanted} ({direction})"));
        let key = if direction == "incoming" {
            "INPUT"
        } else if direction == "outgoing" {
            "OUTPUT"
        } else {
            "FORWARD"
        };
        // While it is not active it tells no defaults, but its file does.
        let in_file = || {
            let text = self.look.text("/etc/default/ufw").ok().flatten().unwrap_or_default();
            let word = if wanted == "allow" {
                "ACCEPT"
            } else if wanted == "deny" {
                "DROP"
            } else {
                "REJECT"
            };
            text.lines().any(|line| line == format!("DEFAULT_{key}_POLICY=\"{word}\""))
        };
        if !self.line("Default:").map_or_else(in_file, says) {
            let before = Value::from(self.line("Default:").unwrap_or_default());
            self.act(&["-f", "default", wanted, direction], before, plan);
        }
    }

    /// `Logging: on (low)`.
    fn logging(&self, plan: &mut Plan) {
        let Some(wanted) = self.args.str("logging") else { return };
        let found = self.line("Logging:").unwrap_or_default();
        let is_right = match wanted {
            "on" => found.starts_with("on"),
            "off" => found.starts_with("off"),
            level => found == format!("on ({level})"),
        };
        if !is_right {
            self.act(&["-f", "logging", wanted], found.into(), plan);
        }
    }

    /// The words of a rule, in the order in which ufw wants them.
    fn words(&self) -> Vec<String> {
        let args = self.args;
        let mut words: Vec<String> = Vec::new();
        let mut add = |given: &[&str]| words.extend(given.iter().map(|word| (*word).to_owned()));
        if args.bool("route") {
            add(&["route"]);
        }
        if args.bool("delete") {
            add(&["delete"]);
        }
        if let Some(number) = self.number() {
            add(&["insert", &number.to_string()]);
        }
        add(&[args.str("rule").unwrap_or_default()]);
        match args.str("direction") {
            Some("incoming") => add(&["in"]),
            Some("outgoing") => add(&["out"]),
            Some(direction) => add(&[direction]),
            None => {}
        }
        for (name, before) in [("interface", "on"), ("interface_in", "in on"), ("interface_out", "out on")] {
            if let Some(interface) = args.str(name) {
                before.split(' ').for_each(|word| add(&[word]));
                add(&[interface]);
            }
        }
        if args.bool("log") {
            add(&["log"]);
        }
        for (ip, port, word) in [("from_ip", "from_port", "from"), ("to_ip", "to_port", "to")] {
            add(&[word, args.str(ip).unwrap_or("any")]);
            if let Some(port) = args.str(port) {
                add(&["port", port]);
            }
        }
        if let Some(protocol) = args.str("proto") {
            add(&["proto", protocol]);
        }
        if let Some(app) = args.str("name") {
            add(&["app", app]);
        }
        if let Some(comment) = args.str("comment").filter(|_| !args.bool("delete")) {
            add(&["comment", comment]);
        }
        words
    }

    /// Counted from what `insert_relative_to` says; past the last rule there is nothing to insert before.
    fn number(&self) -> Option<i64> {
        let number = self.args.int("insert")?;
        let relative = self.args.str("insert_relative_to").unwrap_or("zero");
        if relative == "zero" {
            return Some(number).filter(|number| *number > 0);
        }
        let cmd = Cmd::new([self.program.as_str(), "status", "numbered"]);
        let text = self.look.run(&cmd).map(|output| output.stdout_text()).unwrap_or_default();
        let rules: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
        let six = rules.iter().filter(|line| line.contains("(v6)")).count();
        let (all, four) = (i64::try_from(rules.len()).ok()?, i64::try_from(rules.len() - six).ok()?);
        let base = match relative {
            "first-ipv4" => 1,
            "last-ipv4" => four,
            "first-ipv6" => four + 1,
            _ => all,
        };
        Some((base + number).max(1)).filter(|number| *number <= all)
    }

    /// Tried first: what ufw would do to a rule that is there already, it says.
    fn rule(&self, plan: &mut Plan) -> Result<(), Failure> {
        let words = self.words();
        let mut argv = vec![self.program.clone(), "--dry-run".to_owned()];
        argv.extend(words.iter().cloned());
        let output = self.look.run(&Cmd::new(argv))?;
        if !output.is_success() {
            return Err(Failure::of_command("ufw does not understand the rule", &output));
        }
        let said = output.stdout_text() + &output.stderr_text();
        let is_known = ["Skipping", "Could not delete non-existent rule"].iter().any(|phrase| said.contains(phrase));
        if !is_known && !self.has_all(&said) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.act(&words, Value::Null, plan);
        }
        Ok(())
    }

    /// Whether the rules that would come of it are those that there are.
    fn has_all(&self, said: &str) -> bool {
        let tuples = |text: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_prefix("### tuple ###")).map(|rest| rest.trim().to_owned()).collect()
        };
        let wanted = tuples(said);
        let files = ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"];
        let found: Vec<String> =
            files.iter().filter_map(|path| self.look.text(path).ok().flatten()).flat_map(|text| tuples(&text)).collect();
        !wanted.is_empty() && wanted.len() == found.len() && wanted == found
    }
}
