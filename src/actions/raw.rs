//! `raw`: a command line through the login shell, for hosts on which nothing else works yet.

use super::{Answer, Hands, Problem, Shell};
use crate::modules::{Args, Failure};
use crate::value::{Map, Value};

pub(super) async fn raw(args: &Args, hands: &impl Hands) -> Result<Answer, Problem> {
    let line = args.text("_raw_params").unwrap_or_default();
    if hands.is_check() {
        let values = [("skipped", Value::Bool(true)), ("msg", Value::from("check mode: raw commands are not run"))];
        return Ok(Answer::of(values.into_iter().map(|(key, value)| (key.into(), value)).collect()));
    }
    let line = match args.str("executable") {
        Some(shell) => format!("{shell} -c {}", quoted(&line)),
        None => line.to_string(),
    };
    outcome(hands.shell(&line, None).await?)
}

/// Return values of a command line; a code other than 0 is a failure.
pub(super) fn outcome(shell: Shell) -> Result<Answer, Problem> {
    let mut values = Map::new();
    values.insert("changed".into(), Value::Bool(true));
    values.insert("rc".into(), shell.code.into());
    values.insert("stdout".into(), shell.stdout.into());
    values.insert("stderr".into(), shell.stderr.into());
    super::add_lines(&mut values);
    if shell.code == 0 {
        return Ok(Answer::of(values));
    }
    Err(Failure { msg: "non-zero return code".to_owned(), values }.into())
}

/// One word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
