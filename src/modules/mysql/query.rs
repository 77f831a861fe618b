//! `mysql_query`: what somebody wants to ask or tell a database.
//!
//! Queries that only read are asked while planning, also in check mode; where one writes, all run in their order.

use super::rows::{Row, read, text, to_value};
use super::server::refused;
use super::{LOGIN_ARGS, Server, literal};
use crate::modules::placeholders;
use crate::modules::{Arg, Args, Change, Cmd, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "mysql_query",
    collection: "community.mysql",
    summary: "runs queries in MySQL or MariaDB",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[Rule::Exclusive(&["positional_args", "named_args"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("query", Kind::Raw, "one query, or a list of them; `%s` and `%(name)s` stand for arguments").required(),
    Arg::new("positional_args", Kind::RawList, "what each `%s` stands for"),
    Arg::new("named_args", Kind::Dict, "what each `%(name)s` stands for"),
    Arg::new("login_db", Kind::Str, "the database to work in"),
    Arg::new("single_transaction", Kind::Bool, "all of them or none").default("no"),
    Arg::new("session_vars", Kind::Dict, "variables of the session"),
];

const ROWS: &str = "roll_row_count";
const WARNINGS: &str = "roll_warnings";
const READING: [&str; 7] = ["SELECT", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "VALUES", "TABLE"];
const DML: [&str; 4] = ["INSERT", "UPDATE", "DELETE", "REPLACE"];
const DDL: [&str; 5] = ["CREATE", "DROP", "ALTER", "RENAME", "TRUNCATE"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look)?;
    let queries = placeholders::queries(args, constant)?;
    let mut plan = Plan::default();
    plan.set("executed_queries", queries.clone());
    let cmd = script(args, &server, &queries);
    if queries.iter().all(|query| is_reading(query)) {
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

fn finish(args: &Args, mut values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    if let Some(done) = done.first() {
        let output = done.values.get("stdout").map(Value::to_text).unwrap_or_default();
        let is_changed = answers(&placeholders::queries(args, constant)?, output.as_str(), &mut values);
        values.insert("changed".into(), is_changed.into());
    }
    Ok(values)
}

fn constant(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => i32::from(*truth).to_string(),
        Value::Int(_) | Value::Float(_) => value.to_text().as_str().to_owned(),
        Value::List(items) => format!("({})", items.iter().map(constant).collect::<Vec<_>>().join(", ")),
        Value::Map(_) => literal(&value.to_json()),
        other => literal(other.to_text().as_str()),
    }
}

fn first_word(query: &str) -> String {
    query
        .trim_start_matches(['(', ' '])
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .next()
        .unwrap_or_default()
        .to_uppercase()
}

fn is_reading(query: &str) -> bool {
    let upper = query.to_uppercase();
    let writes = query.contains(';') || upper.contains(" INTO OUTFILE") || upper.contains(" INTO DUMPFILE");
    READING.contains(&first_word(query).as_str()) && !writes
}

fn script(args: &Args, server: &Server<'_>, queries: &[String]) -> Cmd {
    let mut text = String::new();
    for (name, value) in args.dict("session_vars").into_iter().flatten() {
        text.push_str(&format!("SET SESSION {name} = {};\n", constant(value)));
    }
    if args.bool("single_transaction") {
        text.push_str("START TRANSACTION;\n");
    }
    for query in queries {
        text.push_str(&format!("{query}\n;\n"));
        if !is_reading(query) {
            text.push_str(&format!("SELECT ROW_COUNT() AS {ROWS}, @@warning_count AS {WARNINGS};\n"));
        }
    }
    if args.bool("single_transaction") {
        text.push_str("COMMIT;\n");
    }
    let database = args.str("login_db").map(|name| format!("--database={name}"));
    server.sql(&text, &database.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Fills in what came back; tells whether anything changed.
fn answers(queries: &[String], output: &str, values: &mut Map) -> bool {
    let mut sets = read(output).into_iter();
    let (mut results, mut counts, mut is_changed) = (Vec::new(), Vec::new(), false);
    for query in queries {
        if is_reading(query) {
            let rows = sets.next().unwrap_or_default();
            counts.push(rows.len().into());
            results.push(rows.iter().map(to_value).collect());
            continue;
        }
        // A statement that writes may still answer something before its count.
        let (mut count, mut was_done) = (0, false);
        for rows in sets.by_ref() {
            if let Some(number) = rows.first().and_then(row_count) {
                count = number.max(0);
                // `IF NOT EXISTS` and `IF EXISTS` warn where there is nothing to do.
                was_done = query.to_uppercase().contains("EXISTS")
                    && rows.first().is_some_and(|row| !matches!(text(row, WARNINGS), "" | "0"));
                break;
            }
        }
        let word = first_word(query);
        is_changed |= DDL.contains(&word.as_str()) && !was_done || DML.contains(&word.as_str()) && count > 0;
        counts.push(count.into());
        results.push(Value::list(Vec::new()));
    }
    values.insert("query_result".into(), Value::list(results));
    values.insert("rowcount".into(), Value::list(counts));
    values.insert("execution_time_ms".into(), Value::list(vec![0.into(); queries.len()]));
    is_changed
}

fn row_count(row: &Row) -> Option<i64> {
    row.first().filter(|(name, _)| name == ROWS).and_then(|_| text(row, ROWS).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_told_from_writing() {
        assert!(is_reading("select 1") && is_reading(" (SELECT 1)") && is_reading("SHOW TABLES"));
        assert!(
            !is_reading("UPDATE a SET b = 1") && !is_reading("SELECT 1; DROP TABLE a") && !is_reading("CREATE TABLE x (a int)")
        );
    }
}
