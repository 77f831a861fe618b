//! `capabilities`: what a program may do beyond its user's rights.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(super) static MODULE: Module = Module {
    name: "capabilities",
    collection: "community.general",
    summary: "set capabilities of programs",
    args: &[&[
        Arg::new("path", Kind::Path, "the program").aliases(&["key"]).required(),
        Arg::new("capability", Kind::Str, "such as `cap_net_bind_service+ep`").aliases(&["cap"]).required(),
        Arg::new("state", Kind::Str, "whether it has it").choices(&["absent", "present"]).default("present"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// `cap_net_raw`, `+` or `=`, `ep`.
#[derive(Clone, PartialEq)]
struct Capability {
    name: String,
    operator: char,
    flags: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let path = args.required("path")?;
    let is_present = args.str("state") != Some("absent");
    let text = args.required("capability")?.trim().to_lowercase();
    let wanted = match (Capability::parse(&text), is_present) {
        (Some(wanted), _) => wanted,
        (None, false) => Capability { name: text, operator: '=', flags: String::new() },
        (None, true) => return Err(Failure::new("Couldn't find operator (one of: =, -, +) in the capability")),
    };
    let (getcap, setcap) = (look.require("getcap", "libcap2-bin")?, look.require("setcap", "libcap2-bin")?);
    let output = look.run(&Cmd::new([getcap.as_str(), path]))?;
    if !output.is_success() || !output.stderr.is_empty() {
        return Err(Failure::of_command(format_args!("Unable to get capabilities of {path}"), &output));
    }
    let before = capabilities(&output.stdout_text(), path);
    let same = |own: &Capability| own.name == wanted.name;
    let is_there = before.iter().any(|own| same(own) && own.flags == wanted.flags);
    let mut after: Vec<Capability> = before.iter().filter(|own| !same(own)).cloned().collect();
    let is_as_wanted = if is_present { is_there } else { after.len() == before.len() };
    let mut plan = Plan::default();
    plan.set("stdout", output.stdout_text());
    if is_as_wanted {
        plan.set("msg", if is_present { "capabilities are already set" } else { "capability is already absent" })
            .set("state", args.str("state"));
        return Ok(plan);
    }
    if is_present {
        after.push(wanted);
    }
    let shown = |all: &[Capability]| all.iter().map(Capability::text).collect::<Vec<_>>().join(" ");
    let cmd = if after.is_empty() {
        Cmd::new([setcap.as_str(), "-r", path])
    } else {
        Cmd::new([setcap.as_str(), &shown(&after), path])
    };
    plan.set("msg", "capabilities changed").set("state", args.str("state"));
    plan.push(Change::new(path, Value::from(shown(&before)), Value::from(shown(&after)), Act::Run(cmd)));
    Ok(plan)
}

/// `/bin/ping cap_net_raw,cap_net_admin=ep`, or of older versions `/bin/ping = cap_net_raw+ep`.
fn capabilities(text: &str, path: &str) -> Vec<Capability> {
    let Some(rest) = text.lines().find_map(|line| line.strip_prefix(path)) else { return Vec::new() };
    let mut found = Vec::new();
    for clause in rest.trim().trim_start_matches("= ").split_whitespace() {
        let Some(at) = clause.find(['=', '+', '-']) else { continue };
        let operator = if clause[at..].starts_with('+') { '+' } else { '=' };
        let names = clause[..at].split(',').filter(|name| !name.is_empty());
        found.extend(names.map(|name| Capability { name: name.to_owned(), operator, flags: clause[at + 1..].to_owned() }));
    }
    found
}

impl Capability {
    fn parse(text: &str) -> Option<Capability> {
        let at = text.find(['=', '+', '-'])?;
        let operator = text[at..].chars().next()?;
        Some(Capability { name: text[..at].to_owned(), operator, flags: text[at + 1..].to_owned() })
    }

    fn text(&self) -> String {
        format!("{}{}{}", self.name, self.operator, self.flags)
    }
}
