//! `async_status`: what has become of a task in the background.

use super::{Act, Arg, Args, Change, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;
use std::io::ErrorKind;

pub(super) static MODULE: Module = Module {
    name: "async_status",
    collection: "ansible.builtin",
    summary: "ask after a task that was left in the background",
    args: &[&[
        Arg::new("jid", Kind::Str, "`ansible_job_id` of the task").required(),
        Arg::new("mode", Kind::Str, "ask, or remove its result").choices(&["status", "cleanup"]).default("status"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// Where results are left: `ANSIBLE_ASYNC_DIR`, else a directory in the user's home.
pub fn folder(given: Option<String>, home: Option<String>) -> String {
    let home = home.unwrap_or_else(|| "/".to_owned());
    match given.filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.strip_prefix("~/").map(|rest| format!("{home}/{rest}")).unwrap_or(folder),
        None => format!("{}/.ansible_async", home.trim_end_matches('/')),
    }
}

/// No name that leads out of the directory.
pub fn is_job(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let job = args.required("jid")?;
    let file = format!("{}/{job}", folder(look.env("ANSIBLE_ASYNC_DIR"), look.env("HOME")));
    let missing = || {
        Failure::new("could not find job")
            .with("ansible_job_id", job)
            .with("results_file", file.as_str())
            .with("started", true)
            .with("finished", true)
            .with("stdout", "")
            .with("stderr", "")
    };
    if !is_job(job) {
        return Err(missing());
    }
    let bytes = look.read(&file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(),
        _ => Failure::io(format_args!("cannot read {file}"), &error),
    })?;
    let mut plan = Plan::default();
    if args.str("mode") == Some("cleanup") {
        plan.set("ansible_job_id", job).set("erased", file.as_str());
        plan.changed = Some(false);
        plan.changes.push(Change {
            what: file.clone(),
            before: Value::Null,
            after: Value::Null,
            act: Act::Remove { path: file },
        });
        return Ok(plan);
    }
    let text = String::from_utf8_lossy(&bytes);
    let result = Value::from_json(&text).ok().and_then(|value| value.as_map().cloned());
    let Some(mut result) = result else {
        return Err(Failure::new(format!("Could not parse job output: {text}")).with("ansible_job_id", job));
    };
    result.entry("stdout".into()).or_insert_with(|| "".into());
    result.entry("stderr".into()).or_insert_with(|| "".into());
    plan.changed = Some(result.get("changed").and_then(Value::to_bool).unwrap_or(false));
    let is_failed = result.shift_remove("failed").and_then(|failed| failed.to_bool()).unwrap_or(false);
    if is_failed {
        let msg = result.get("msg").map(|msg| msg.to_text().to_string()).unwrap_or_default();
        return Err(Failure { msg, values: result });
    }
    result.shift_remove("changed");
    plan.values = result;
    Ok(plan)
}
