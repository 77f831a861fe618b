//! Lists that `semanage` keeps: contexts of files, of ports, and domains that are not held to the policy.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly, selinux};
use crate::value::Value;

const IGNORE: Arg = Arg::new("ignore_selinux_state", Kind::Bool, "also where SELinux is off").default("no");
const RELOAD: Arg = Arg::new("reload", Kind::Bool, "load the policy afterwards").default("yes");
const STATE: Arg = Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "present"]).default("present");

pub(super) mod sefcontext {
    use super::*;

    /// How semanage lists paths that get no label.
    const NO_CONTEXT: &str = "<<None>>";

    pub(crate) static MODULE: Module = Module {
        name: "sefcontext",
        collection: "community.general",
        summary: "SELinux contexts of paths",
        args: &[&[
            Arg::new("target", Kind::Str, "the paths, as a regular expression").aliases(&["path"]).required(),
            Arg::new("ftype", Kind::Str, "kind of file: a all, f files, d directories …")
                .choices(&["a", "b", "c", "d", "f", "l", "p", "s"])
                .default("a"),
            Arg::new("setype", Kind::Str, "the type"),
            Arg::new("substitute", Kind::Str, "paths there are as below this path").aliases(&["equal"]),
            Arg::new("seuser", Kind::Str, "the SELinux user"),
            Arg::new("selevel", Kind::Str, "the level").aliases(&["serange"]),
            STATE,
            RELOAD,
            IGNORE,
        ]],
        rules: &[],
        free_form: None,
        plan,
        finish: finish_plainly,
    };

    fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
        let target = args.required("target")?;
        let kind = args.str("ftype").unwrap_or("a");
        let list = Semanage::open(args, look, "fcontext", &[])?;
        let is_present = args.str("state") != Some("absent");
        if let Some(equal) = args.str("substitute") {
            let found = list.text.lines().find_map(|line| line.split_once(" = ").filter(|(path, _)| path.trim() == target));
            let found = found.map(|(_, equal)| equal.trim());
            return Ok(list.settle(target, found, Some(equal), is_present, &["-e", equal, target], &["-e", equal, target]));
        }
        if is_present && !args.has("setype") {
            return Err(Failure::new("one of the following is required: setype, substitute"));
        }
        let word = match kind {
            "f" => "regular file",
            "d" => "directory",
            "l" => "symbolic link",
            "s" => "socket",
            "p" => "named pipe",
            "c" => "character device",
            "b" => "block device",
            _ => "all files",
        };
        let found = list.text.lines().find(|line| line.split_whitespace().next() == Some(target) && line.contains(word));
        let context = found.and_then(|line| line.split_whitespace().last());
        let found = context.map(|context| asked_of(args, context));
        let wanted = args.str("setype").map(|setype| wanted_of(args, setype));
        let mut words = vec!["-f", kind];
        for (name, flag) in [("setype", "-t"), ("seuser", "-s"), ("selevel", "-r")] {
            words.extend(args.str(name).filter(|_| is_present).map(|value| [flag, value]).into_iter().flatten());
        }
        words.push(target);
        let delete = ["-f", kind, target];
        Ok(list.settle(target, found.as_deref(), wanted.as_deref(), is_present, &words, &delete))
    }

    fn wanted_of(args: &Args, setype: &str) -> String {
        let text = |name: &str| args.str(name).unwrap_or_default();
        asked_of(args, &format!("{}::{setype}:{}", text("seuser"), text("selevel")))
    }

    /// The parts of `user:role:type:level` that the task names, and always the type.
    fn asked_of(args: &Args, context: &str) -> String {
        let mut parts = context.splitn(4, ':');
        let (user, _, kind, level) = (parts.next(), parts.next(), parts.next(), parts.next());
        let parts = [user.filter(|_| args.has("seuser")), kind, level.filter(|_| args.has("selevel"))];
        match kind {
            Some(kind) if !kind.eq_ignore_ascii_case(NO_CONTEXT) => parts.into_iter().flatten().collect::<Vec<_>>().join(":"),
            _ => NO_CONTEXT.to_owned(),
        }
    }
}

pub(super) mod seport {
    use super::*;

    pub(crate) static MODULE: Module = Module {
        name: "seport",
        collection: "community.general",
        summary: "SELinux types of ports",
        args: &[&[
            Arg::new("ports", Kind::List, "ports and ranges").required(),
            Arg::new("proto", Kind::Str, "protocol").choices(&["tcp", "udp"]).required(),
            Arg::new("setype", Kind::Str, "the type").required(),
            Arg::new("local", Kind::Bool, "look at changes to the policy only").default("no"),
            STATE,
            RELOAD,
            IGNORE,
        ]],
        rules: &[],
        free_form: None,
        plan,
        finish: finish_plainly,
    };

    fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
        let (proto, wanted) = (args.required("proto")?, args.required("setype")?);
        let local = args.bool("local").then_some("-C");
        let list = Semanage::open(args, look, "port", local.as_slice())?;
        let is_present = args.str("state") != Some("absent");
        let mut all = Plan::default();
        all.set("ports", args.list("ports")).set("proto", proto).set("setype", wanted);
        for port in args.list("ports") {
            // `http_port_t   tcp   80, 81, 443`
            let of_port = |line: &str| {
                let mut words = line.split_whitespace();
                let (kind, own) = (words.next()?, words.next()?);
                let has = words.any(|word| word.trim_end_matches(',') == port);
                (own == proto && has).then(|| kind.to_owned())
            };
            let kinds: Vec<String> = list.text.lines().filter_map(of_port).collect();
            let found = kinds.iter().find(|kind| *kind == wanted).or(kinds.first()).map(String::as_str);
            let found = found.filter(|found| is_present || *found == wanted);
            let one =
                list.settle(&port, found, Some(wanted), is_present, &["-t", wanted, "-p", proto, &port], &["-p", proto, &port]);
            all.changes.extend(one.changes);
        }
        Ok(all)
    }
}

pub(super) mod permissive {
    use super::*;

    pub(crate) static MODULE: Module = Module {
        name: "selinux_permissive",
        collection: "community.general",
        summary: "domains that SELinux does not hold to its policy",
        args: &[&[
            Arg::new("domain", Kind::Str, "the domain").aliases(&["name"]).required(),
            Arg::new("permissive", Kind::Bool, "whether it is free").required(),
            Arg::new("no_reload", Kind::Bool, "do not load the policy afterwards").default("no"),
            Arg::new("store", Kind::Str, "the policy").default(""),
            IGNORE,
        ]],
        rules: &[],
        free_form: None,
        plan,
        finish: finish_plainly,
    };

    fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
        let domain = args.required("domain")?;
        let list = Semanage::open(args, look, "permissive", &[])?;
        let found = list.text.lines().map(str::trim).find(|line| *line == domain);
        let mut plan = list.settle(domain, found, Some(domain), args.bool("permissive"), &[domain], &[domain]);
        plan.set("domain", domain).set("permissive", args.bool("permissive")).set("store", args.str("store"));
        Ok(plan)
    }
}

struct Semanage {
    program: String,
    what: &'static str,
    /// Options of every change.
    options: Vec<String>,
    /// Everything in the list.
    text: String,
}

impl Semanage {
    /// The list, as narrow as `only` asks for.
    fn open(args: &Args, look: &dyn Look, what: &'static str, only: &[&str]) -> Result<Semanage, Failure> {
        if selinux::enforcing(look).is_none() && !args.bool("ignore_selinux_state") {
            return Err(Failure::new("SELinux is disabled on this host."));
        }
        let program = look.require("semanage", "policycoreutils-python-utils")?;
        let store: Vec<String> = match args.str("store").filter(|store| !store.is_empty()) {
            Some(store) => vec!["-S".to_owned(), store.to_owned()],
            None => Vec::new(),
        };
        let words = [program.as_str(), what, "-l", "-n"].into_iter().chain(only.iter().copied());
        let output = look.run(&Cmd::new(words.chain(store.iter().map(String::as_str))))?;
        if !output.is_success() {
            return Err(Failure::of_command(format_args!("semanage does not list what it has of `{what}`"), &output));
        }
        let is_quiet = args.bool("no_reload") || args.get("reload").and_then(Value::as_bool) == Some(false);
        let options = is_quiet.then(|| "-N".to_owned()).into_iter().chain(store).collect();
        Ok(Semanage { program, what, options, text: output.stdout_text() })
    }

    /// One entry: added, changed or deleted where it is not as wanted.
    fn settle(
        &self,
        name: &str,
        found: Option<&str>,
        wanted: Option<&str>,
        is_present: bool,
        words: &[&str],
        delete: &[&str],
    ) -> Plan {
        let mut plan = Plan::default();
        let (verb, words) = match (found, is_present) {
            (None, true) => ("-a", words),
            (Some(found), true) if Some(found) != wanted => ("-m", words),
            (Some(_), false) => ("-d", delete),
            _ => return plan,
        };
        let options = self.options.iter().map(String::as_str);
        let argv = [self.program.as_str(), self.what, verb].into_iter().chain(options).chain(words.iter().copied());
        let after = wanted.filter(|_| is_present).map(str::to_owned);
        plan.push(Change::new(name, Value::from(found.map(str::to_owned)), Value::from(after), Act::Run(Cmd::new(argv))));
        plan
    }
}
