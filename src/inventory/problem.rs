//! Everything that can be wrong with an inventory.

use super::range::Fault;
use crate::diag::{Diagnostic, Explain};
use crate::value::Span;
use std::path::PathBuf;

/// One finding. Those about a name that is only suspicious are warnings.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    NotFound { path: PathBuf, near: Option<PathBuf> },
    Unreadable { path: PathBuf, why: String },
    Toml { path: PathBuf },
    GroupLoop { span: Span, parent: String, child: String },
    BadRange { span: Span, pattern: String, fault: Fault },
    NotMapping { span: Span, what: String, kind: &'static str },
    VariablesAsInventory { span: Span, is_entry: bool },
    VarsNotMapping { span: Span, kind: &'static str },
    SkippedKey { span: Span, group: String, near: Option<String> },
    HostIsGroup { span: Span, name: String },
    UnknownPlugin { span: Span, name: String },
    UnknownOption { span: Span, plugin: &'static str, name: String, near: Option<String> },
    OptionLeftOut { span: Span, plugin: &'static str, name: String },
    NotConstructed { file: String, host: String, why: String },
    HostNotText { span: Span, name: String },
    NotExecutable { path: PathBuf },
    ProgramFailed { program: String, why: String, tail: String },
    NotInventoryJson { program: String, why: String },
    NoSuchGroup { path: PathBuf, group: String, near: String },
    UnknownPattern { span: Span, pattern: String, near: Option<String> },
    BadPattern { span: Span, pattern: String, why: String },
    Terraform(TerraformProblem),
    Line(LineProblem),
}

/// What can be wrong with a line of an INI inventory.
#[derive(Clone, Debug, PartialEq)]
pub enum LineProblem {
    UnknownSection { span: Span, kind: String, near: Option<String> },
    NotSection { span: Span },
    UndefinedGroup { span: Span, group: String, near: Option<String> },
    NotKeyValue { span: Span, text: String },
    OpenQuote { span: Span },
    NotGroupName { span: Span },
}

/// What can be wrong with what Terraform says, or with the file that maps it.
#[derive(Clone, Debug, PartialEq)]
pub enum TerraformProblem {
    NothingToRead { path: PathBuf },
    NotJson { path: PathBuf, why: String },
    NotTerraform { path: PathBuf },
    NoHosts { path: PathBuf, near: Option<String>, instances: Vec<String>, is_empty: bool },
    BadHosts { output: String, place: String, found: String },
    UnknownKey { span: Span, key: String, near: Option<String> },
    MissingKey { span: Span, key: &'static str },
    UnknownOutput { span: Span, name: String, near: Option<String> },
    UnknownResource { span: Span, address: String, near: Option<String> },
    BadExpression { span: Span, expression: String },
    UndefinedAttribute { span: Span, path: String, item: String, near: Option<String> },
    NotText { span: Span, what: &'static str, kind: &'static str },
    Unmatched { span: Span, from: String },
}

impl Explain for Problem {
    fn explain(&self) -> Diagnostic {
        match self {
            Problem::NotFound { path, near } => {
                let diagnostic = Diagnostic::error("inventory-not-found", format!("there is no inventory `{}`", path.display()));
                match near {
                    Some(near) => diagnostic.help(format!("there is `{}`", near.display())),
                    None => diagnostic.help("to name hosts instead of a file, put a comma behind each: `-i web1,`"),
                }
            }
            Problem::Unreadable { path, why } => {
                Diagnostic::error("inventory-unreadable", format!("`{}` cannot be read", path.display())).note(why.as_str())
            }
            Problem::Toml { path } => {
                Diagnostic::error("inventory-is-toml", format!("`{}` is an inventory in TOML", path.display()))
                    .help("write it as YAML or INI; `ansible-inventory -i FILE --list --yaml` converts it")
            }
            Problem::GroupLoop { span, parent, child } => {
                Diagnostic::error("group-loop", format!("group `{child}` cannot be a child of `{parent}`"))
                    .at(*span, format!("`{parent}` is `{child}` or below it already"))
            }
            Problem::BadRange { span, pattern, fault } => {
                Diagnostic::error("bad-host-range", format!("`{pattern}` is no range of hosts"))
                    .at(*span, "in this name")
                    .help(fault.to_string())
            }
            Problem::NotMapping { span, what, kind } => {
                Diagnostic::error("inventory-not-mapping", format!("{what} must be a mapping, not {}", a(kind)))
                    .at(*span, a(kind))
                    .help("hosts and groups are keys: put a colon behind each name instead of a dash before it")
            }
            Problem::VariablesAsInventory { span, is_entry } => variables_as_inventory(*span, *is_entry),
            Problem::VarsNotMapping { span, kind } => Diagnostic::error(
                "variables-not-mapping",
                format!("a file with variables holds `name: value` lines, not {}", a(kind)),
            )
            .at(*span, a(kind)),
            Problem::SkippedKey { span, group, near } => {
                let diagnostic = Diagnostic::warning(
                    "unknown-group-key",
                    format!("group `{group}` has `hosts`, `vars` and `children`, nothing else"),
                )
                .at(*span, "this is left out");
                with_near(diagnostic, *span, near.as_deref(), "a key with a similar name exists")
            }
            Problem::HostIsGroup { span, name } => {
                Diagnostic::warning("host-is-group", format!("`{name}` is the name of a host and of a group"))
                    .at(*span, "this host")
            }
            Problem::UnknownPlugin { span, name } => {
                Diagnostic::error("unknown-inventory-plugin", format!("inventory plugin `{name}` is not built in"))
                    .at(*span, "only `aws_ec2`, `constructed` and `terraform` are")
                    .help("let `ansible-inventory -i FILE --list > hosts.json` write the hosts down, and use that file")
            }
            Problem::UnknownOption { span, plugin, name, near } => {
                let title = format!("plugin `{plugin}` has no option `{name}`");
                let diagnostic = Diagnostic::warning("unknown-inventory-option", title).at(*span, "this is left out");
                with_near(diagnostic, *span, near.as_deref(), "an option with a similar name exists")
            }
            Problem::OptionLeftOut { span, plugin, name } => {
                Diagnostic::error("inventory-option-left-out", format!("option `{name}` of plugin `{plugin}` is not built in"))
                    .at(*span, "this cannot be done")
                    .help("let `ansible-inventory -i FILE --list > hosts.json` write the hosts down, and use that file")
            }
            Problem::NotConstructed { file, host, why } => {
                Diagnostic::error("not-constructed", format!("`{file}` cannot be applied to host `{host}`"))
                    .note(why.as_str())
                    .help("without `strict: true`, what cannot be evaluated is left out")
            }
            Problem::HostNotText { span, name } => {
                Diagnostic::error("host-name-not-string", format!("host name `{name}` is a number"))
                    .at(*span, "not a string")
                    .note(format!("Host pattern {name} must be a string"))
                    .patch(*span, format!("\"{name}\""), "quote it")
            }
            Problem::NotExecutable { path } => {
                Diagnostic::error("script-not-executable", format!("`{}` is a script but not executable", path.display()))
                    .help(format!("chmod +x {}", path.display()))
            }
            Problem::ProgramFailed { program, why, tail } => {
                let diagnostic = Diagnostic::error("inventory-program-failed", format!("`{program}` {why}"));
                if tail.is_empty() { diagnostic } else { diagnostic.note(format!("it said: {tail}")) }
            }
            Problem::NotInventoryJson { program, why } => {
                Diagnostic::error("script-output", format!("`{program}` did not answer with an inventory in JSON"))
                    .note(why.as_str())
            }
            Problem::NoSuchGroup { path, group, near } => {
                Diagnostic::warning("variables-of-no-group", format!("`{}` belongs to no group", path.display()))
                    .help(format!("there is no group `{group}` in the inventory, but `{near}`"))
            }
            Problem::UnknownPattern { span, pattern, near } => unknown_pattern(*span, pattern, near.as_deref()),
            Problem::BadPattern { span, pattern, why } => {
                Diagnostic::error("bad-host-pattern", format!("`{pattern}` is no host pattern"))
                    .at(*span, "not understood")
                    .note(why.as_str())
            }
            Problem::Terraform(problem) => problem.explain(),
            Problem::Line(problem) => problem.explain(),
        }
    }
}

impl From<LineProblem> for Problem {
    fn from(problem: LineProblem) -> Problem {
        Problem::Line(problem)
    }
}

impl Explain for LineProblem {
    fn explain(&self) -> Diagnostic {
        match self {
            LineProblem::UnknownSection { span, kind, near } => {
                let diagnostic = Diagnostic::error("unknown-inventory-section", format!("a section `:{kind}` means nothing"))
                    .at(*span, "not `vars` or `children`");
                with_near(diagnostic, *span, near.as_deref(), "sections are `[group]`, `[group:vars]` and `[group:children]`")
            }
            LineProblem::NotSection { span } => Diagnostic::error("bad-inventory-section", "the heading of a section is broken")
                .at(*span, "not `[group]`, `[group:vars]` or `[group:children]`"),
            LineProblem::UndefinedGroup { span, group, near } => {
                let diagnostic =
                    Diagnostic::error("undefined-group", format!("there is no group `{group}`")).at(*span, "used here");
                match near {
                    Some(_) => with_near(diagnostic, *span, near.as_deref(), "a group with a similar name exists"),
                    None => diagnostic.help(format!("add a section `[{group}]`")),
                }
            }
            LineProblem::NotKeyValue { span, text } => {
                Diagnostic::error("inventory-not-key-value", format!("`{text}` is no variable"))
                    .at(*span, "expected `name=value`")
                    .help("quote a value with spaces: name=\"two words\"; one host a line")
            }
            LineProblem::OpenQuote { span } => Diagnostic::error("inventory-open-quote", "a quote has no end")
                .at(*span, "on this line")
                .help("a quote is closed on its own line"),
            LineProblem::NotGroupName { span } => Diagnostic::error("bad-group-name", "this is not the name of a group")
                .at(*span, "a section `:children` has one group a line, without variables"),
        }
    }
}

/// A kind of value with its article.
pub(super) fn a(kind: &str) -> String {
    format!("{} {kind}", if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
}

/// In a directory it may lie beside inventories, so there it is only left out.
fn variables_as_inventory(span: Span, is_entry: bool) -> Diagnostic {
    let title = "this file holds variables, not hosts and groups";
    let diagnostic = if is_entry {
        Diagnostic::warning("variables-as-inventory", title).note("it is left out of the inventory")
    } else {
        Diagnostic::error("variables-as-inventory", title)
    };
    diagnostic
        .at(span, "no group looks like this")
        .help("give it to a group as `group_vars/GROUP.yaml`, or to a run with `-e @FILE`")
}

fn unknown_pattern(span: Span, pattern: &str, near: Option<&str>) -> Diagnostic {
    let diagnostic = Diagnostic::warning("unknown-host-pattern", format!("no host and no group matches `{pattern}`"));
    let diagnostic =
        if span.is_nowhere() { diagnostic } else { diagnostic.at(span, format!("`{pattern}` is not in the inventory")) };
    match near {
        Some(near) => diagnostic.help(format!("there is `{near}`")),
        None => diagnostic.help("`--list-hosts` with the pattern `all` shows the hosts that there are"),
    }
}

fn with_near(diagnostic: Diagnostic, span: Span, near: Option<&str>, why: &str) -> Diagnostic {
    match near {
        Some(near) => diagnostic.patch(span, near, why),
        None => diagnostic.help(why),
    }
}

impl Explain for TerraformProblem {
    fn explain(&self) -> Diagnostic {
        match self {
            TerraformProblem::NothingToRead { path } => {
                Diagnostic::error("terraform-nothing-to-read", format!("nothing says what Terraform made in `{}`", path.display()))
                    .note("neither `terraform` nor `tofu` is installed here, and there is no `terraform.tfstate`")
                    .help("where Terraform is: `terraform output -json > outputs.json`, then `-i outputs.json`")
            }
            TerraformProblem::NotJson { path, why } => {
                Diagnostic::error("terraform-not-json", format!("`{}` is not the JSON it should be", path.display())).note(why.as_str())
            }
            TerraformProblem::NotTerraform { path } => {
                Diagnostic::error("terraform-not-known", format!("`{}` is nothing that Terraform writes", path.display()))
                    .help("expected: what `terraform output -json` or `terraform show -json` prints, a state file of version 4, or a directory")
            }
            TerraformProblem::NoHosts { path, is_empty: true, .. } => nothing_made(&path.to_string_lossy()),
            TerraformProblem::NoHosts { path, near, instances, .. } => no_hosts(&path.to_string_lossy(), near.as_deref(), instances),
            TerraformProblem::BadHosts { output, place, found } => {
                Diagnostic::error("terraform-bad-hosts", format!("output `{output}` does not say hosts: {place} is {found}"))
                    .help("a list of objects with `name` and `address` (and `user`, `port`, `groups`, `vars`), or a list of addresses")
            }
            TerraformProblem::UnknownKey { span, key, near } => {
                let diagnostic = Diagnostic::error("terraform-unknown-key", format!("`{key}` means nothing here")).at(*span, "not a key of this");
                match near {
                    Some(near) => diagnostic.patch(*span, near.as_str(), "a key with a similar name exists"),
                    None => diagnostic,
                }
            }
            TerraformProblem::MissingKey { span, key } => {
                Diagnostic::error("terraform-missing-key", format!("`{key}` is missing")).at(*span, "in this entry")
            }
            TerraformProblem::UnknownOutput { span, name, near } => {
                let diagnostic = Diagnostic::error("terraform-unknown-output", format!("Terraform has no output `{name}`")).at(*span, "not an output");
                match near {
                    Some(near) => diagnostic.help(format!("there is `{near}`")),
                    None => diagnostic.help("a new output is there only after `terraform apply`"),
                }
            }
            TerraformProblem::UnknownResource { span, address, near } => {
                let diagnostic =
                    Diagnostic::error("terraform-unknown-resource", format!("Terraform has made no `{address}`")).at(*span, "not in the state");
                match near {
                    Some(near) => diagnostic.help(format!("there is `{near}`")),
                    None => diagnostic.help("resources are written as `aws_instance.app` or `module.web.aws_instance.app`"),
                }
            }
            TerraformProblem::BadExpression { span, expression } => {
                Diagnostic::error("terraform-bad-expression", format!("`{expression}` is more than a mapping understands"))
                    .at(*span, "only `key` and paths such as `item.tags.Name` or `item.list[0]`, each perhaps with `| default('x')`")
                    .help("compute it in Terraform, or in `group_vars`")
            }
            TerraformProblem::UndefinedAttribute { span, path, item, near } => {
                let diagnostic = Diagnostic::error("terraform-undefined-attribute", format!("`{path}` is not there for {item}")).at(*span, "used here");
                match near {
                    Some(near) => diagnostic.help(format!("there is `{near}`")),
                    None => diagnostic.help("where it may be missing, write `| default('')`"),
                }
            }
            TerraformProblem::NotText { span, what, kind } => {
                Diagnostic::error("terraform-wrong-kind", format!("{what} cannot be {}", a(kind))).at(*span, a(kind))
            }
            TerraformProblem::Unmatched { span, from } => {
                Diagnostic::warning("terraform-nothing-matched", format!("nothing of `{from}` matches the filter")).at(*span, "makes no hosts")
            }
        }
    }
}

fn nothing_made(path: &str) -> Diagnostic {
    Diagnostic::error("terraform-no-hosts", format!("Terraform has made nothing in `{path}` yet, and there are no outputs"))
        .help("run `terraform apply` there; with a remote backend, `terraform init` first")
}

fn no_hosts(path: &str, near: Option<&str>, instances: &[String]) -> Diagnostic {
    let diagnostic = Diagnostic::error("terraform-no-hosts", format!("`{path}` names no hosts"));
    if let Some(near) = near {
        return diagnostic.help(format!("the output with the hosts is called `roll_hosts`; there is `{near}`"));
    }
    let diagnostic = diagnostic.help("add an output `roll_hosts`: a list of objects with `name`, `address`, `user` and `groups`");
    match instances.first() {
        Some(instance) => diagnostic.help(format!(
            "or map what is there in a file: `plugin: terraform`, `path: {path}`, and under `hosts:` an entry `from: {instance}`"
        )),
        None => diagnostic,
    }
}
