//! `_own`: the host's half of a user's own module. It is there only while it runs, and answers in JSON on its standard output.
//!
//! A module in Python comes as one text with all that it imports of Ansible, and is read from standard input: nothing is written, so
//! that it can also be asked in check mode what it would do. Any other is a file, with a second one for its arguments.

use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Cmd, Content, Done, Failure, Kind, Look, Module, Output, Plan, expand, words};
use crate::value::{Map, Value};

pub(super) static MODULE: Module = Module {
    name: "_own",
    collection: "ansible.builtin",
    summary: "run a module of the user's own",
    args: &[&[
        Arg::new("_path", Kind::Str, "the module, on the control side").hidden(),
        Arg::new("_name", Kind::Str, "what it is called").hidden(),
        Arg::new("_blob", Kind::Str, "sha256 of the module").hidden(),
        Arg::new("_python", Kind::Str, "the module as one Python text").hidden(),
        Arg::new("_input", Kind::Str, "what the file with its arguments holds").hidden(),
        Arg::new("_interpreter", Kind::Str, "what runs it").hidden(),
        Arg::new(Arg::ANY, Kind::Raw, "whatever the module takes"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

/// Where Python is looked for.
const PYTHONS: [&str; 4] = ["/usr/bin/python3", "/usr/libexec/platform-python", "/usr/local/bin/python3", "python3"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    match args.str("_python") {
        Some(text) => in_python(args, look, text),
        None => as_file(args, look, args.required("_blob")?),
    }
}

fn python(args: &Args, look: &dyn Look) -> Result<String, Failure> {
    let given = args.str("_interpreter").map(|path| expand::path(look, path));
    let found = PYTHONS.iter().find_map(|path| {
        if path.starts_with('/') { Some((*path).to_owned()).filter(|path| look.exists(path)) } else { look.which(path) }
    });
    given.or(found).ok_or_else(|| {
        let name = args.str("_name").unwrap_or_default();
        Failure::new(format!(
            "the module `{name}` is written in Python, and this host has no python3; install it, or write the module for a shell"
        ))
    })
}

fn in_python(args: &Args, look: &dyn Look, text: &str) -> Result<Plan, Failure> {
    let cmd = Cmd { any_status: true, ..Cmd::new([python(args, look)?.as_str(), "-"]).stdin(text) };
    let mut plan = Plan::default();
    if look.is_check() {
        // It knows itself that it may only look.
        plan.values = answer(args, &look.run(&cmd)?)?;
        plan.changed = plan.values.get("changed").and_then(Value::to_bool);
        if plan.values.get("skipped").and_then(Value::to_bool) == Some(true) {
            plan.skipped = plan.values.get("msg").map(|msg| msg.to_text().to_string());
        }
        return Ok(plan);
    }
    plan.push(Change::run(args.str("_name").unwrap_or_default(), cmd));
    Ok(plan)
}

fn as_file(args: &Args, look: &dyn Look, hash: &str) -> Result<Plan, Failure> {
    let name = args.str("_name").unwrap_or_default();
    if look.is_check() {
        let skipped = Some(format!("remote module ({name}) does not support check mode"));
        return Ok(Plan { skipped, ..Plan::default() });
    }
    let dir = look.env("TMPDIR").unwrap_or_else(|| "/tmp".to_owned());
    let path = format!("{dir}/roll-module-{}-{}", &hash[..hash.len().min(12)], (look.now() * 1e6) as u64);
    let input = format!("{path}.args");
    let mut argv = match args.str("_interpreter") {
        Some("python") => vec![python(&Args::default(), look)?],
        Some(program) => words::split(program).map_err(Failure::new)?,
        None => Vec::new(),
    };
    argv.extend([path.clone(), input.clone()]);
    let write = |path: &str, content: Content, mode: u32| {
        let attrs = Attrs { mode: Some(mode), ..Attrs::default() };
        Change::step(path, Act::Write(Write { attrs, ..Write::new(path, content) }))
    };
    let mut plan = Plan::default();
    plan.push(write(&path, Content::Blob(hash.to_owned()), 0o700));
    plan.push(write(&input, Content::Bytes(args.str("_input").unwrap_or_default().as_bytes().to_vec()), 0o600));
    plan.push(Change::run(name, Cmd { any_status: true, ..Cmd::new(argv) }));
    plan.push(Change::step(&path, Act::Remove { path: path.clone() }));
    plan.push(Change::step(&input, Act::Remove { path: input.clone() }));
    Ok(plan)
}

fn finish(args: &Args, _: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let ran = done.iter().find(|one| one.values.contains_key("rc"));
    let text = |name: &str| ran.and_then(|ran| ran.values.get(name)).map(Value::to_text).unwrap_or_default().as_bytes().to_vec();
    let code = ran.and_then(|ran| ran.values.get("rc")).and_then(Value::as_int).and_then(|code| i32::try_from(code).ok());
    let output = Output { code: code.unwrap_or(-1), stdout: text("stdout"), stderr: text("stderr") };
    answer(args, &output)
}

/// What the module says it did.
fn answer(args: &Args, output: &Output) -> Result<Map, Failure> {
    let name = args.str("_name").unwrap_or_default();
    let stdout = output.stdout_text();
    let unchanged = |values: Map| {
        let mut values = values;
        values.entry("changed".into()).or_insert(Value::Bool(false));
        values
    };
    let Some(mut values) = json(&stdout).or_else(|| pairs(&stdout)).map(unchanged) else {
        let failure = Failure::new(format!(
            "MODULE FAILURE\nThe module `{name}` did not answer in JSON; see module_stdout and module_stderr"
        ));
        return Err(failure.with("changed", false).with("rc", output.code).with("module_stdout", stdout).with("module_stderr", output.stderr_text()));
    };
    values.shift_remove("invocation");
    let is_failed = match values.get("failed") {
        Some(failed) => failed.to_bool() == Some(true),
        None => output.code != 0 && values.get("rc").is_none_or(|rc| rc.to_int() != Some(0)),
    };
    if !is_failed {
        return Ok(values);
    }
    let msg = values.get("msg").map(|msg| msg.to_text().to_string()).unwrap_or_else(|| format!("the module `{name}` failed"));
    Err(Failure { msg, values })
}

/// The first line that begins an object, to the last that ends one: other programs may have written before and after.
fn json(text: &str) -> Option<Map> {
    let starts = text
        .match_indices('{')
        .map(|(at, _)| at)
        .filter(|at| text[..*at].rsplit('\n').next().is_some_and(|head| head.trim().is_empty()));
    for start in starts {
        let mut ends: Vec<usize> = text[start..].match_indices('}').map(|(at, _)| start + at + 1).collect();
        ends.retain(|end| text[*end..].split('\n').next().is_some_and(|tail| tail.trim().is_empty()));
        for end in ends.into_iter().rev() {
            if let Ok(Value::Map(map)) = Value::from_json(&text[start..end]) {
                return Some(Map::clone(&map));
            }
        }
    }
    None
}

/// `changed=true msg=OK`: the oldest way to answer.
fn pairs(text: &str) -> Option<Map> {
    let words = words::split(text.trim()).ok().filter(|words| !words.is_empty())?;
    let pair = |word: &String| word.split_once('=').map(|(key, value)| (key.into(), Value::from(value)));
    let mut values: Map = words.iter().map(pair).collect::<Option<_>>()?;
    for name in ["changed", "failed"] {
        if let Some(truth) = values.get(name).and_then(Value::to_bool) {
            values.insert(name.into(), truth.into());
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_between_other_words() {
        let text = "warning: x\n[ a list]\n  {\"changed\": true, \"a\": {\"b\": \"}\"}\n}\nbye }\n";
        assert_eq!(json(text).unwrap().get("changed"), Some(&Value::Bool(true)));
        assert_eq!(json("{ not json }\n{\"a\": 1}"), Some(Map::from_iter([("a".into(), 1.into())])));
        assert_eq!(json("no { \"a\": 1 }"), None);
        assert_eq!(pairs("changed=true msg='all is well'\n").unwrap().get("msg"), Some(&"all is well".into()));
        assert_eq!(pairs("Traceback (most recent call last):"), None);
    }
}
