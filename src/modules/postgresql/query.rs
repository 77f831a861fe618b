//! `postgresql_query`: what somebody wants to ask or tell a database.
//!
//! Queries that only read are asked while planning, also in check mode. Where one of them writes, all run in their order in
//! one transaction, each answer after a mark of its own.

use super::server::refused;
use super::{DATABASE_ARG, LOGIN_ARGS, Server, ident, literal};
use crate::modules::placeholders;
use crate::modules::{Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "postgresql_query",
    collection: "community.postgresql",
    summary: "runs queries in PostgreSQL",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[Rule::Exclusive(&["positional_args", "named_args"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("query", Kind::Raw, "one query, or a list of them; `%s` and `%(name)s` stand for arguments"),
    Arg::new("positional_args", Kind::RawList, "what each `%s` stands for"),
    Arg::new("named_args", Kind::Dict, "what each `%(name)s` stands for"),
    DATABASE_ARG,
    Arg::new("autocommit", Kind::Bool, "not in a transaction (for `VACUUM` and the like)").default("no"),
    Arg::new("encoding", Kind::Str, "encoding of the client"),
    Arg::new("search_path", Kind::List, "schemas in which names are looked for"),
];

/// Between two answers.
const MARK: &str = "--roll-next-answer--";

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    /// Rows come as JSON.
    Rows,
    /// One setting, or lines of a plan.
    Plain,
    /// Something is written, and rows of it come back.
    Returning,
    Write,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look, "")?;
    let queries = queries(args)?;
    let mut plan = Plan::default();
    let shown = queries.last().cloned().unwrap_or_default();
    plan.set("query", shown).set("query_list", queries.clone());
    let cmd = script(args, &server, &queries);
    if queries.iter().all(|query| matches!(sort(query), Sort::Rows | Sort::Plain)) {
        let output = look.run(&cmd)?;
        if !output.is_success() {
            return Err(refused(&output));
        }
        answers(&queries, &output.stdout_text(), &mut plan.values);
    } else {
        plan.push(Change::run("query", cmd));
    }
    Ok(plan)
}

/// Rows that were not touched are no change.
fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    if let Some(done) = done.first() {
        let output = done.values.get("stdout").map(Value::to_text).unwrap_or_default();
        let is_changed = answers(&queries(args)?, output.as_str(), &mut values);
        values.insert("changed".into(), is_changed.into());
    }
    Ok(values)
}

/// With their arguments filled in.
fn queries(args: &Args) -> Result<Vec<String>, Failure> {
    let queries = placeholders::queries(args, constant)?;
    if queries.is_empty() { Err(Failure::new("`query` must say what to run")) } else { Ok(queries) }
}

fn constant(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(_) | Value::Float(_) => value.to_text().as_str().to_owned(),
        Value::List(items) => format!("ARRAY[{}]", items.iter().map(constant).collect::<Vec<_>>().join(", ")),
        Value::Map(_) => literal(&value.to_json()),
        other => literal(other.to_text().as_str()),
    }
}

fn sort(query: &str) -> Sort {
    let upper = query.to_uppercase();
    let has =
        |word: &str| upper.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|found| found == word);
    let is_writing = ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|word| has(word));
    match upper.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default() {
        _ if query.contains(';') => Sort::Write,
        "SELECT" if has("INTO") => Sort::Write,
        "SELECT" | "VALUES" | "TABLE" => Sort::Rows,
        "WITH" if !is_writing => Sort::Rows,
        "SHOW" => Sort::Plain,
        "EXPLAIN" if !has("ANALYZE") => Sort::Plain,
        "INSERT" | "UPDATE" | "DELETE" if has("RETURNING") => Sort::Returning,
        _ => Sort::Write,
    }
}

fn script(args: &Args, server: &Server<'_>, queries: &[String]) -> Cmd {
    let mut text = String::new();
    if let Some(encoding) = args.str("encoding") {
        text.push_str(&format!("SET client_encoding TO {};\n", literal(encoding)));
    }
    if let Some(role) = args.str("session_role") {
        text.push_str(&format!("SET ROLE {};\n", ident(role)));
    }
    let path: Vec<String> = args.list("search_path").iter().map(|schema| ident(schema)).collect();
    if !path.is_empty() {
        text.push_str(&format!("SET search_path TO {};\n", path.join(", ")));
    }
    for query in queries {
        text.push_str(&format!("\\echo {MARK}\n"));
        text.push_str(&match sort(query) {
            Sort::Rows => format!("SELECT row_to_json(_row) FROM (\n{query}\n) AS _row;\n"),
            Sort::Returning => format!("WITH _row AS (\n{query}\n) SELECT row_to_json(_row) FROM _row;\n"),
            Sort::Plain | Sort::Write => format!("{query}\n;\n"),
        });
    }
    let single = if args.bool("autocommit") { &[][..] } else { &["--single-transaction"] };
    let words: Vec<&str> = ["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"].iter().chain(single).copied().collect();
    server.client("psql", &words).stdin(text)
}

/// Fills in what came back; tells whether anything changed.
fn answers(queries: &[String], output: &str, values: &mut Map) -> bool {
    let parts = output.split(&format!("{MARK}\n")).skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (mut all, mut count, mut status, mut is_changed) = (Vec::new(), 0, String::new(), false);
    for (query, answer) in queries.iter().zip(parts) {
        let lines: Vec<&str> = answer.lines().collect();
        let kind = sort(query);
        let rows: Vec<Value> = match kind {
            Sort::Rows | Sort::Returning => lines.iter().filter_map(|line| Value::from_json(line).ok()).collect(),
            Sort::Plain => plain(query, &lines),
            Sort::Write => Vec::new(),
        };
        let number = match kind {
            Sort::Write => lines.last().and_then(|line| line.rsplit(' ').next()).and_then(|word| word.parse().ok()).unwrap_or(0),
            _ => rows.len(),
        };
        let word = query.split_whitespace().next().unwrap_or_default().to_uppercase();
        status = match kind {
            Sort::Rows => format!("SELECT {number}"),
            Sort::Plain => word.clone(),
            Sort::Returning if word == "INSERT" => format!("INSERT 0 {number}"),
            Sort::Returning => format!("{word} {number}"),
            Sort::Write => lines.last().map(|line| (*line).to_owned()).unwrap_or_default(),
        };
        count += number;
        let is_counted = matches!(word.as_str(), "INSERT" | "UPDATE" | "DELETE" | "MERGE");
        is_changed |= matches!(kind, Sort::Write | Sort::Returning) && (!is_counted || number > 0);
        all.push(Value::list(rows));
    }
    values.insert("statusmessage".into(), status.into());
    values.insert("rowcount".into(), count.into());
    values.insert("query_result".into(), all.last().cloned().unwrap_or_else(|| Value::list(Vec::new())));
    values.insert("query_all_results".into(), Value::list(all));
    values.insert("execution_time_ms".into(), Value::list(vec![0.into(); queries.len()]));
    is_changed
}

fn plain(query: &str, lines: &[&str]) -> Vec<Value> {
    let name = match query.split_whitespace().next() {
        Some(word) if word.eq_ignore_ascii_case("show") => query.split_whitespace().nth(1).unwrap_or_default(),
        _ => "QUERY PLAN",
    };
    lines.iter().map(|line| Value::pair(name, *line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_told_apart() {
        assert!(sort("select 1") == Sort::Rows && sort("WITH x AS (SELECT 1) SELECT * FROM x") == Sort::Rows);
        assert!(sort("SELECT * INTO a FROM b") == Sort::Write && sort("with x as (delete from a) select 1") == Sort::Write);
        assert!(sort("show all") == Sort::Plain && sort("insert into a values (1) returning id") == Sort::Returning);
        assert!(sort("CREATE TABLE a (updated int)") == Sort::Write && sort("select deleted from a") == Sort::Rows);
    }
}
