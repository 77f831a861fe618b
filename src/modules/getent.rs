//! `getent`: entries of the host's databases as facts.

use super::{Arg, Args, Cmd, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "getent",
    collection: "ansible.builtin",
    summary: "read entries of the host's databases, such as passwd, as facts",
    args: &[&[
        Arg::new("database", Kind::Str, "`passwd`, `group`, `hosts`, `services` …").required(),
        Arg::new("key", Kind::Str, "only this entry").default(""),
        Arg::new("service", Kind::Str, "only from this service, such as `files`"),
        Arg::new("split", Kind::Str, "what separates the fields"),
        Arg::new("fail_key", Kind::Bool, "an entry that is not there is a failure").default("yes"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Databases whose fields are separated by colons.
const COLONS: [&str; 4] = ["passwd", "shadow", "group", "gshadow"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let database = args.required("database")?;
    let key = args.str("key").filter(|key| !key.is_empty());
    let program = look.require("getent", "")?;
    let service = args.str("service").map(|service| ["-s", service]);
    let argv = [program.as_str()].into_iter().chain(service.into_iter().flatten()).chain([database]).chain(key);
    let output = look.run(&Cmd::new(argv))?;
    let mut plan = Plan::default();
    let msg = match output.code {
        0 => {
            let found = entries(&output.stdout_text(), args.str("split").or(COLONS.contains(&database).then_some(":")));
            return Ok(facts(plan, database, found));
        }
        1 => "Missing arguments, or database unknown.",
        2 if !args.bool("fail_key") => {
            plan.set("msg", NOT_FOUND);
            let found = key.map(|key| (key.into(), Value::Null)).into_iter().collect();
            return Ok(facts(plan, database, found));
        }
        2 => NOT_FOUND,
        3 => "Enumeration not supported on this database.",
        _ => "Unexpected failure!",
    };
    Err(Failure { msg: msg.to_owned(), ..Failure::of_command(msg, &output) })
}

const NOT_FOUND: &str = "One or more supplied key could not be found in the database.";

fn facts(plan: Plan, database: &str, found: Map) -> Plan {
    let mut plan = plan;
    plan.set("ansible_facts", Map::from_iter([(format!("getent_{database}").into(), found.into())]));
    plan
}

/// By the first field; an entry that comes again makes a list of entries.
fn entries(text: &str, split: Option<&str>) -> Map {
    let mut found = Map::new();
    let mut again: Vec<String> = Vec::new();
    for line in text.lines() {
        let mut fields: Vec<&str> = match split {
            Some(split) => line.split(split).collect(),
            None => line.split_whitespace().collect(),
        };
        if fields.is_empty() {
            continue;
        }
        let key = fields.remove(0);
        let entry: Value = fields.into_iter().map(Value::from).collect();
        let entry = match found.get(key) {
            None => entry,
            Some(Value::List(entries)) if again.iter().any(|other| other == key) => {
                entries.iter().cloned().chain([entry]).collect()
            }
            Some(first) => {
                again.push(key.to_owned());
                Value::list(vec![first.clone(), entry])
            }
        };
        found.insert(key.into(), entry);
    }
    found
}
