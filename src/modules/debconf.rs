//! `debconf`: the answer to a package's question, before it is installed or configured.
//!
//! What is answered is read with `debconf-show`, which hides passwords; those are read from debconf's own file.

use super::{Act, Arg, Args, Change, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "debconf",
    collection: "ansible.builtin",
    summary: "answers a package's questions before it asks them",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "the package").required().aliases(&["pkg"]),
    Arg::new("question", Kind::Str, "its question; without one, only what is answered is returned")
        .aliases(&["selection", "setting"]),
    Arg::new("vtype", Kind::Str, "what kind of answer it takes").choices(&[
        "boolean",
        "error",
        "multiselect",
        "note",
        "password",
        "seen",
        "select",
        "string",
        "text",
        "title",
    ]),
    Arg::new("value", Kind::Raw, "the answer").aliases(&["answer"]),
    Arg::new("unseen", Kind::Bool, "the question may still be asked").default("no"),
];

const PASSWORDS: &str = "/var/cache/debconf/passwords.dat";
const ASK: Duration = Duration::from_secs(60);

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let package = args.required("name")?;
    let mut plan = Plan::default();
    plan.set("msg", "");
    let mut current = answers(look, package)?;
    let Some(question) = args.str("question") else {
        plan.set("current", Value::map(current));
        return Ok(plan);
    };
    let (Some(kind), Some(value)) = (args.str("vtype"), args.get("value")) else {
        return Err(Failure::new("when supplying a question you must supply a valid vtype and value"));
    };
    let wanted = answer(kind, value)?;
    if kind == "password"
        && let Some(secret) = password(look, question)?
    {
        current.insert(question.into(), Value::secret(secret));
    }
    let found = current.get(question).map(Value::to_text);
    if found.is_some_and(|found| is_same(value, found.as_str(), &wanted)) {
        plan.set("current", Value::map(current));
        return Ok(plan);
    }
    let shown = |text: Value| Value::pair(question, text);
    let new = if kind == "password" { Value::secret(wanted.as_str()) } else { Value::from(&wanted) };
    let before = shown(current.get(question).cloned().unwrap_or_else(|| "".into()));
    plan.set("current", shown(new.clone())).set("previous", Value::map(current));
    let line = format!("{package} {question} {kind} {wanted}\n");
    let tool = program(look, "debconf-set-selections")?;
    let flag = args.bool("unseen").then(|| "-u".to_owned());
    let cmd = Cmd::new(std::iter::once(tool).chain(flag)).stdin(line).env("LC_ALL", "C");
    plan.push(Change::new(package, before, shown(new), Act::Run(cmd)));
    Ok(plan)
}

fn program(look: &dyn Look, name: &str) -> Result<String, Failure> {
    look.which(name)
        .ok_or_else(|| Failure::new(format!("there is no `{name}` on this host: debconf is for Debian and its relatives")))
}

/// As `debconf-set-selections` takes it.
fn answer(kind: &str, value: &Value) -> Result<String, Failure> {
    Ok(match value {
        Value::List(items) => {
            let choice = |item: &Value| match item.as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(Failure::new(format!("Invalid value provided: a choice is a text, not `{}`", item.to_text()))),
            };
            items.iter().map(choice).collect::<Result<Vec<_>, _>>()?.join(", ")
        }
        Value::Bool(truth) => truth.to_string(),
        other if kind == "boolean" => other.to_text().as_str().to_lowercase(),
        other => other.to_text().as_str().to_owned(),
    })
}

/// A list of choices is the same in any order; a text is that text.
fn is_same(value: &Value, found: &str, wanted: &str) -> bool {
    if value.as_list().is_none() {
        return found == wanted;
    }
    let sorted = |text: &str| {
        let mut items: Vec<String> = text.split(',').map(|item| item.trim().to_owned()).collect();
        items.sort();
        items
    };
    sorted(found) == sorted(wanted)
}

/// Lines such as `* tzdata/Areas: Etc`; the star means that it was asked.
fn answers(look: &dyn Look, package: &str) -> Result<Map, Failure> {
    let tool = program(look, "debconf-show")?;
    let output = look.run(&Cmd::new([tool.as_str(), package]).timeout(ASK))?;
    if !output.is_success() {
        return Err(Failure::of_command(format!("debconf-show {package}"), &output));
    }
    let text = output.stdout_text();
    let pairs = text.lines().filter_map(|line| line.trim_start_matches(['*', ' ']).split_once(':'));
    Ok(pairs.map(|(question, value)| (question.trim().into(), Value::from(value.trim()))).collect())
}

fn password(look: &dyn Look, question: &str) -> Result<Option<String>, Failure> {
    let text = look.text(PASSWORDS).map_err(|error| Failure::io(format!("cannot read {PASSWORDS}"), &error))?.unwrap_or_default();
    let field =
        |stanza: &str, name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned));
    let found = text.split("\n\n").find(|stanza| field(stanza, "Name").as_deref() == Some(question));
    Ok(found.map(|stanza| field(stanza, "Value").unwrap_or_default()))
}
