//! `mysql_info`: what there is to know about a server.

use super::rows::{Row, scalar, text, to_value};
use super::{LOGIN_ARGS, Server, literal};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "mysql_info",
    collection: "community.mysql",
    summary: "tells about a server of MySQL or MariaDB",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("filter", Kind::List, "which parts; with `!` before them, which not"),
    Arg::new("login_db", Kind::Str, "the database to log in to"),
    Arg::new("exclude_fields", Kind::List, "`db_size` leaves the sizes of databases out"),
    Arg::new("return_empty_dbs", Kind::Bool, "also databases without tables").default("no"),
];

const PARTS: [&str; 10] = [
    "version",
    "databases",
    "settings",
    "global_status",
    "users",
    "users_info",
    "engines",
    "master_status",
    "slave_status",
    "slave_hosts",
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let server = Server::of(args, look)?;
    let version = server.version()?;
    let mut plan = Plan::default();
    plan.set("server_engine", if version.contains("MariaDB") { "MariaDB" } else { "MySQL" });
    plan.set("connector_name", "client").set("connector_version", "");
    for part in chosen(args)? {
        let value = match part {
            "version" => described(&version),
            "databases" => databases(args, &server)?,
            "settings" => pairs(&server.rows("SHOW GLOBAL VARIABLES")?),
            "global_status" => pairs(&server.rows("SHOW GLOBAL STATUS")?),
            "users" => users(&server)?,
            "users_info" => users_info(&server)?,
            "engines" => by_name(&server.rows("SHOW ENGINES")?, "Engine"),
            "master_status" => server.rows("SHOW MASTER STATUS").unwrap_or_default().first().map(to_value).unwrap_or_else(empty),
            "slave_status" => by_name(&server.rows("SHOW SLAVE STATUS").unwrap_or_default(), "Master_Host"),
            _ => by_name(&server.rows("SHOW SLAVE HOSTS").unwrap_or_default(), "Server_id"),
        };
        plan.set(part, value);
    }
    Ok(plan)
}

fn empty() -> Value {
    Value::map(Map::new())
}

fn chosen(args: &Args) -> Result<Vec<&'static str>, Failure> {
    let given = args.list("filter");
    let known = |name: &str| PARTS.contains(&name.trim_start_matches('!'));
    if let Some(unknown) = given.iter().find(|name| !known(name)) {
        return Err(Failure::new(format!("filter: there is no `{unknown}`; there are {}", PARTS.join(", "))));
    }
    let has = |part: &str| given.iter().any(|name| name == part);
    let is_out = |part: &str| given.iter().any(|name| name.strip_prefix('!') == Some(part));
    let only = given.iter().any(|name| !name.starts_with('!'));
    Ok(PARTS.into_iter().filter(|part| if only { has(part) } else { !is_out(part) }).collect())
}

/// `10.11.6-MariaDB-0+deb12u1` in parts.
fn described(full: &str) -> Value {
    let (number, suffix) = full.split_once('-').unwrap_or((full, ""));
    let mut parts = number.split('.').map(|part| scalar(Some(part)));
    let mut next = || parts.next().unwrap_or_default();
    let (major, minor, release) = (next(), next(), next());
    let suffix = suffix.split('-').next().unwrap_or_default();
    [("major", major), ("minor", minor), ("release", release), ("suffix", suffix.into()), ("full", full.into())]
        .into_iter()
        .collect()
}

/// Rows of a name and a value.
fn pairs(rows: &[Row]) -> Value {
    let pair = |row: &Row| Some((row.first()?.1.clone()?, scalar(row.get(1)?.1.as_deref())));
    rows.iter().filter_map(pair).collect()
}

/// Rows by one of their fields, the rest as a map.
fn by_name(rows: &[Row], name: &str) -> Value {
    let rest = |row: &Row| to_value(&row.iter().filter(|(field, _)| field != name).cloned().collect());
    rows.iter().map(|row| (text(row, name), rest(row))).collect()
}

fn databases(args: &Args, server: &Server<'_>) -> Result<Value, Failure> {
    let has_size = !args.list("exclude_fields").iter().any(|field| field == "db_size");
    let size = if has_size { "CAST(SUM(t.data_length + t.index_length) AS SIGNED)" } else { "NULL" };
    let join = if args.bool("return_empty_dbs") { "LEFT JOIN" } else { "JOIN" };
    let rows = server.rows(&format!(
        "SELECT s.SCHEMA_NAME AS name, {size} AS size FROM information_schema.SCHEMATA s {join} information_schema.TABLES t \
         ON t.TABLE_SCHEMA = s.SCHEMA_NAME GROUP BY s.SCHEMA_NAME"
    ))?;
    let sized = |row: &Row| match has_size {
        true => Value::pair("size", scalar(Some(text(row, "size")).filter(|text| !text.is_empty()).or(Some("0")))),
        false => empty(),
    };
    Ok(rows.iter().map(|row| (text(row, "name"), sized(row))).collect())
}

/// By host, then by name; passwords stay where they are.
fn users(server: &Server<'_>) -> Result<Value, Failure> {
    let rows = server.rows("SELECT * FROM mysql.user")?;
    let hidden = ["Host", "User", "Password", "authentication_string"];
    let mut hosts = Map::new();
    for row in &rows {
        let rest: Row = row.iter().filter(|(name, _)| !hidden.contains(&name.as_str())).cloned().collect();
        let host = hosts.entry(text(row, "Host").into()).or_insert_with(empty);
        let mut names = host.as_map().cloned().unwrap_or_default();
        names.insert(text(row, "User").into(), to_value(&rest));
        *host = Value::map(names);
    }
    Ok(Value::map(hosts))
}

/// As `mysql_user` would take them.
fn users_info(server: &Server<'_>) -> Result<Value, Failure> {
    let rows = server.rows("SELECT User, Host, plugin, authentication_string FROM mysql.user")?;
    let mut all = Vec::new();
    for row in &rows {
        let (name, host) = (text(row, "User"), text(row, "Host"));
        let grants = server.rows(&format!("SHOW GRANTS FOR {}@{}", literal(name), literal(host))).unwrap_or_default();
        let lines = grants.iter().filter_map(|row| row.first()?.1.clone());
        let privileges: Vec<String> =
            lines.filter_map(|line| super::grants::Grant::shown(&line, true)).map(|grant| grant.to_text()).collect();
        all.push(
            [
                ("name", Value::from(name)),
                ("host", host.into()),
                ("plugin", text(row, "plugin").into()),
                ("plugin_hash_string", Value::secret(text(row, "authentication_string"))),
                ("priv", privileges.join("/").into()),
            ]
            .into_iter()
            .collect(),
        );
    }
    Ok(Value::list(all))
}
