//! `expect`: a program at a terminal whose questions are answered.

use super::command::{finish, plan_run};
use super::pattern::Pattern;
use super::touch::Answer;
use super::{Act, Arg, Args, Failure, Kind, Look, Module, Plan, words};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) static MODULE: Module = Module {
    name: "expect",
    collection: "ansible.builtin",
    summary: "run a program at a terminal and answer its questions",
    args: &[&[
        Arg::new("command", Kind::Str, "the program and its arguments").required(),
        Arg::new("responses", Kind::Dict, "patterns of questions, and an answer or a list of answers for each").required(),
        Arg::new("chdir", Kind::Path, "change to this directory first"),
        Arg::new("creates", Kind::Path, "do nothing if this file exists"),
        Arg::new("removes", Kind::Path, "do nothing unless this file exists"),
        Arg::new("timeout", Kind::Raw, "seconds to wait for a question; null means for ever").default("30"),
        Arg::new("echo", Kind::Bool, "show the answers in the output").default("no"),
        Arg::new("strip_empty_ends", Kind::Bool, "as `command` does").inert().default("yes").hidden(),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let line = args.required("command")?;
    let argv = words::split(line).map_err(Failure::new)?;
    if argv.is_empty() {
        return Err(Failure::new("no command given").with("rc", 256));
    }
    let answers = answers(args.dict("responses"))?;
    let silence = args.get("timeout").and_then(Value::to_float).map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
    let mut plan = plan_run(args, look, argv, line.into())?;
    plan.values.shift_remove("stderr");
    for change in &mut plan.changes {
        if let Act::Run(cmd) = &change.act {
            let (cmd, answers) = (cmd.clone(), answers.clone());
            change.act = Act::Converse { cmd, answers, silence, echo: args.bool("echo") };
        }
    }
    Ok(plan)
}

fn answers(given: Option<&Map>) -> Result<Vec<Answer>, Failure> {
    let one = |(question, texts): (&crate::value::Key, &Value)| {
        let question = question.to_string();
        let pattern = Pattern::new(&question).map_err(Failure::new)?;
        let (texts, is_repeated) = match texts {
            Value::List(texts) => (texts.to_vec(), false),
            other => (vec![other.clone()], true),
        };
        let texts = texts.iter().map(|text| text.to_text().trim_end_matches(['\n', '\r']).to_owned()).collect();
        Ok(Answer { question, pattern, texts, is_repeated })
    };
    given.into_iter().flatten().map(one).collect()
}
