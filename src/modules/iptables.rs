//! `iptables`: one rule, a chain, or the policy of a chain, in the kernel's tables.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Output, Plan, Rule, finish_plainly};
use crate::value::Value;
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "iptables",
    collection: "ansible.builtin",
    summary: "see to rules, chains and policies of iptables",
    args: &[WHAT_ARGS, RULE_ARGS],
    rules: &[
        Rule::Exclusive(&["set_dscp_mark", "set_dscp_mark_class"]),
        Rule::Exclusive(&["flush", "policy"]),
        Rule::If("jump", "TEE", &["gateway"]),
    ],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const WHAT_ARGS: &[Arg] = &[
    Arg::new("table", Kind::Str, "the table").choices(&["filter", "nat", "mangle", "raw", "security"]).default("filter"),
    Arg::new("state", Kind::Str, "whether the rule or chain is there").choices(&["absent", "present"]).default("present"),
    Arg::new("action", Kind::Str, "where a new rule goes").choices(&["append", "insert"]).default("append"),
    Arg::new("rule_num", Kind::Str, "insert as this number"),
    Arg::new("ip_version", Kind::Str, "which of the programs").choices(&["ipv4", "ipv6", "both"]).default("ipv4"),
    Arg::new("chain", Kind::Str, "the chain"),
    Arg::new("chain_management", Kind::Bool, "make and delete the chain").default("no"),
    Arg::new("flush", Kind::Bool, "remove all rules of the chain, or of the table").default("no"),
    Arg::new("policy", Kind::Str, "what the chain does with the rest").choices(&["ACCEPT", "DROP", "QUEUE", "RETURN"]),
    Arg::new("wait", Kind::Str, "seconds to wait for the lock"),
    Arg::new("numeric", Kind::Bool, "do not look names up when listing").inert().default("no"),
];

const RULE_ARGS: &[Arg] = &[
    Arg::new("protocol", Kind::Str, "tcp, udp, icmp …"),
    Arg::new("source", Kind::Str, "address or network"),
    Arg::new("destination", Kind::Str, "address or network"),
    Arg::new("tcp_flags", Kind::Dict, "`flags` to look at and `flags_set`"),
    Arg::new("match", Kind::List, "extensions"),
    Arg::new("jump", Kind::Str, "target"),
    Arg::new("gateway", Kind::Str, "of TEE"),
    Arg::new("log_prefix", Kind::Str, "of LOG"),
    Arg::new("log_level", Kind::Str, "of LOG").choices(&[
        "0", "1", "2", "3", "4", "5", "6", "7", "emerg", "alert", "crit", "error", "warning", "notice", "info", "debug",
    ]),
    Arg::new("goto", Kind::Str, "go on in this chain"),
    Arg::new("in_interface", Kind::Str, "comes in here"),
    Arg::new("out_interface", Kind::Str, "goes out here"),
    Arg::new("fragment", Kind::Str, "second and further fragments"),
    Arg::new("set_counters", Kind::Str, "packets and bytes"),
    Arg::new("source_port", Kind::Str, "port or range"),
    Arg::new("destination_port", Kind::Str, "port or range"),
    Arg::new("destination_ports", Kind::List, "several ports"),
    Arg::new("to_ports", Kind::Str, "of REDIRECT"),
    Arg::new("to_destination", Kind::Str, "of DNAT"),
    Arg::new("to_source", Kind::Str, "of SNAT"),
    Arg::new("syn", Kind::Str, "packets that open a connection").choices(&["ignore", "match", "negate"]).default("ignore"),
    Arg::new("set_dscp_mark", Kind::Str, "of DSCP"),
    Arg::new("set_dscp_mark_class", Kind::Str, "of DSCP"),
    Arg::new("comment", Kind::Str, "a comment"),
    Arg::new("ctstate", Kind::List, "states of the connection"),
    Arg::new("src_range", Kind::Str, "range of addresses"),
    Arg::new("dst_range", Kind::Str, "range of addresses"),
    Arg::new("match_set", Kind::Str, "name of an ipset"),
    Arg::new("match_set_flags", Kind::Str, "how it is looked up")
        .choices(&["src", "dst", "src,dst", "dst,src", "src,src", "dst,dst"]),
    Arg::new("limit", Kind::Str, "how many in a time"),
    Arg::new("limit_burst", Kind::Str, "how many at once"),
    Arg::new("uid_owner", Kind::Str, "user of the program"),
    Arg::new("gid_owner", Kind::Str, "group of the program"),
    Arg::new("reject_with", Kind::Str, "of REJECT"),
    Arg::new("icmp_type", Kind::Str, "type of icmp"),
];

/// One of the two programs.
struct Tables<'a> {
    args: &'a Args,
    look: &'a dyn Look,
    program: String,
    is_six: bool,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let chain = args.str("chain");
    let is_flush = args.bool("flush");
    if !is_flush && chain.is_none() {
        return Err(Failure::new("Either chain or flush parameter must be specified."));
    }
    let mut plan = Plan::default();
    for name in ["ip_version", "table", "chain", "state", "flush", "chain_management"] {
        plan.set(name, args.get(name).cloned().unwrap_or_default());
    }
    plan.set("rule", rule(args, false).join(" "));
    let version = args.str("ip_version").unwrap_or("ipv4");
    for (name, is_six) in [("iptables", false), ("ip6tables", true)] {
        if version != "both" && (version == "ipv6") != is_six {
            continue;
        }
        let program = look.require(name, "iptables")?;
        let tables = Tables { args, look, program, is_six };
        plan.changes.extend(tables.change()?);
    }
    Ok(plan)
}

impl Tables<'_> {
    fn cmd(&self, words: &[&str], rule: Vec<String>) -> Cmd {
        let table = self.args.str("table").unwrap_or("filter");
        let mut argv: Vec<String> = [&self.program, "-t", table].map(str::to_owned).to_vec();
        if let Some(seconds) = self.args.str("wait") {
            argv.extend(["-w".to_owned(), seconds.to_owned()]);
        }
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        argv.extend(rule);
        Cmd::new(argv).timeout(Duration::from_secs(60))
    }

    fn act(&self, words: &[&str], rule: Vec<String>, before: &str, after: &str) -> Change {
        let shown = |state: &str| Value::pair("state", state);
        Change::new(words.join(" "), shown(before), shown(after), Act::Run(self.cmd(words, rule)))
    }

    fn ask(&self, words: &[&str], rule: Vec<String>) -> Result<Output, Failure> {
        self.look.run(&self.cmd(words, rule))
    }

    fn has_chain(&self, chain: &str) -> Result<bool, Failure> {
        self.ask(&["-S", chain], Vec::new()).map(|output| output.is_success())
    }

    fn has_rule(&self, chain: &str) -> Result<bool, Failure> {
        self.ask(&["-C", chain], rule(self.args, self.is_six)).map(|output| output.is_success())
    }

    fn change(&self) -> Result<Option<Change>, Failure> {
        let args = self.args;
        let chain = args.str("chain");
        if args.bool("flush") {
            let words: Vec<&str> = ["-F"].into_iter().chain(chain).collect();
            return Ok(Some(self.act(&words, Vec::new(), "present", "absent")));
        }
        let chain = chain.unwrap_or_default();
        if let Some(policy) = args.str("policy") {
            return self.policy(chain, policy);
        }
        let is_present = args.str("state") != Some("absent");
        let rule = rule(args, self.is_six);
        if args.bool("chain_management") && rule.is_empty() {
            return Ok(match (self.has_chain(chain)?, is_present) {
                (false, true) => Some(self.act(&["-N", chain], Vec::new(), "absent", "present")),
                (true, false) => Some(self.act(&["-X", chain], Vec::new(), "present", "absent")),
                _ => None,
            });
        }
        let is_there = self.has_rule(chain)?;
        if is_there == is_present {
            return Ok(None);
        }
        if !is_present {
            return Ok(Some(self.act(&["-D", chain], rule, "present", "absent")));
        }
        let mut words = vec![if args.str("action") == Some("insert") { "-I" } else { "-A" }, chain];
        words.extend(args.str("rule_num").filter(|_| args.str("action") == Some("insert")));
        Ok(Some(self.act(&words, rule, "absent", "present")))
    }

    fn policy(&self, chain: &str, wanted: &str) -> Result<Option<Change>, Failure> {
        let output = self.ask(&["-S", chain], Vec::new())?;
        if !output.is_success() {
            return Err(Failure::of_command(format_args!("cannot read the policy of {chain}"), &output));
        }
        let text = output.stdout_text();
        let found = text.lines().find_map(|line| line.strip_prefix("-P ")?.strip_prefix(chain)?.split_whitespace().next());
        let found =
            found.ok_or_else(|| Failure::new(format!("the chain {chain} has no policy; only built-in chains have one")))?;
        Ok((found != wanted).then(|| self.act(&["-P", chain, wanted], Vec::new(), found, wanted)))
    }
}

/// A flag and its value; `!` before the value goes before the flag.
fn add(words: &mut Vec<String>, flag: &str, value: &str) {
    let value = value.strip_prefix('!').inspect(|_| words.push("!".to_owned())).unwrap_or(value);
    words.extend([flag, value.trim()].map(str::to_owned));
}

fn add_given(words: &mut Vec<String>, args: &Args, flags: &[(&str, &str)]) {
    for (name, flag) in flags {
        if let Some(value) = args.str(name) {
            add(words, flag, value);
        }
    }
}

/// The words of a rule, in the order in which the program wants them.
fn rule(args: &Args, is_six: bool) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    add_given(&mut words, args, &[("protocol", "-p"), ("source", "-s"), ("destination", "-d")]);
    let matches = args.list("match");
    for one in &matches {
        add(&mut words, "-m", one);
    }
    if let Some(flags) = args.dict("tcp_flags") {
        let joined = |key: &str| {
            let list = flags.get(key).and_then(Value::as_list).unwrap_or_default();
            list.iter().map(|one| one.to_text().as_str().to_owned()).collect::<Vec<_>>().join(",")
        };
        words.extend(["--tcp-flags".to_owned(), joined("flags"), joined("flags_set")]);
    }
    add_given(&mut words, args, &TARGET_FLAGS);
    if let Some(prefix) = args.text("log_prefix") {
        words.extend(["--log-prefix", &prefix].map(str::to_owned));
    }
    let ports = args.list("destination_ports");
    if !ports.is_empty() {
        if !matches.iter().any(|one| one == "multiport") {
            add(&mut words, "-m", "multiport");
        }
        add(&mut words, "--dports", &ports.join(","));
    }
    add_given(
        &mut words,
        args,
        &[("to_ports", "--to-ports"), ("set_dscp_mark", "--set-dscp"), ("set_dscp_mark_class", "--set-dscp-class")],
    );
    match args.str("syn") {
        Some("match") => words.push("--syn".to_owned()),
        Some("negate") => words.extend(["!", "--syn"].map(str::to_owned)),
        _ => {}
    }
    extensions(args, is_six, &mut words);
    words
}

const TARGET_FLAGS: [(&str, &str); 12] = [
    ("jump", "-j"),
    ("gateway", "--gateway"),
    ("log_level", "--log-level"),
    ("to_destination", "--to-destination"),
    ("to_source", "--to-source"),
    ("goto", "-g"),
    ("in_interface", "-i"),
    ("out_interface", "-o"),
    ("fragment", "-f"),
    ("set_counters", "-c"),
    ("source_port", "--source-port"),
    ("destination_port", "--destination-port"),
];

/// What needs an extension, which is loaded unless the rule does so itself.
fn extensions(args: &Args, is_six: bool, words: &mut Vec<String>) {
    let matches = args.list("match");
    let has = |name: &str| matches.iter().any(|one| one == name);
    let states = args.list("ctstate");
    if !states.is_empty() {
        if !has("conntrack") && !has("state") {
            add(words, "-m", "conntrack");
        }
        add(words, if has("state") { "--state" } else { "--ctstate" }, &states.join(","));
    }
    for (extension, flags) in [
        ("iprange", [("src_range", "--src-range"), ("dst_range", "--dst-range")]),
        ("set", [("match_set", "--match-set"), ("", "")]),
        ("limit", [("limit", "--limit"), ("limit_burst", "--limit-burst")]),
        ("owner", [("uid_owner", "--uid-owner"), ("gid_owner", "--gid-owner")]),
    ] {
        if flags.iter().any(|(name, _)| args.has(name)) && !has(extension) {
            add(words, "-m", extension);
        }
        add_given(words, args, &flags);
        if extension == "set" {
            words.extend(args.str("match_set_flags").map(str::to_owned));
        }
    }
    if args.has("reject_with") && !args.has("jump") {
        add(words, "-j", "REJECT");
    }
    let icmp = if is_six { "--icmpv6-type" } else { "--icmp-type" };
    add_given(words, args, &[("reject_with", "--reject-with"), ("icmp_type", icmp)]);
    if let Some(comment) = args.str("comment") {
        if !has("comment") {
            add(words, "-m", "comment");
        }
        words.extend(["--comment", comment].map(str::to_owned));
    }
}
