//! `mysql_user`: an account of the server, its password and what it may do.

use super::grants::{Grant, Mode, between};
use super::rows::text;
use super::{LOGIN_ARGS, Server, literal};
use crate::modules::{Arg, Args, Failure, Kind, Look, Module, Plan, Rule, finish_plainly};
use crate::value::{Map, Value};
use sha1::{Digest, Sha1};

pub(in crate::modules) const MODULE: Module = Module {
    name: "mysql_user",
    collection: "community.mysql",
    summary: "adds, changes and removes users of MySQL or MariaDB",
    args: &[ARGS, LOGIN_ARGS],
    rules: &[
        Rule::Exclusive(&["append_privs", "subtract_privs"]),
        Rule::If("password_expire", "interval", &["password_expire_interval"]),
    ],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] =
    &[
        Arg::new("name", Kind::Str, "the user; empty for the anonymous one").required().aliases(&["user"]),
        Arg::new("password", Kind::Str, "its password").secret(),
        Arg::new("encrypted", Kind::Bool, "`password` is a hash of mysql_native_password").default("no"),
        Arg::new("host", Kind::Str, "from where it may log in").default("localhost"),
        Arg::new("host_all", Kind::Bool, "every account of that name").default("no"),
        Arg::new("priv", Kind::Raw, "privileges: `db.table:PRIV,PRIV/db.*:PRIV`, or a mapping"),
        Arg::new("append_privs", Kind::Bool, "keep what else is granted").default("no"),
        Arg::new("subtract_privs", Kind::Bool, "revoke what is given").default("no"),
        Arg::new("tls_requires", Kind::Dict, "SSL, X509, or SUBJECT, ISSUER and CIPHER"),
        Arg::new("sql_log_bin", Kind::Bool, "write it to the binary log").default("yes"),
        Arg::new("force_context", Kind::Bool, "work in the database `mysql`").default("no"),
        Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
        Arg::new("check_implicit_admin", Kind::Bool, "try root without a password first").default("no"),
        Arg::new("update_password", Kind::Str, "whether the password of an existing user is changed")
            .default("always")
            .choices(&["always", "on_create", "on_new_username"]),
        Arg::new("plugin", Kind::Str, "how it proves who it is"),
        Arg::new("plugin_hash_string", Kind::Str, "hash for the plugin").secret(),
        Arg::new("plugin_auth_string", Kind::Str, "text for the plugin").secret(),
        Arg::new("salt", Kind::Str, "salt of the hash; the server chooses its own").inert(),
        Arg::new("resource_limits", Kind::Dict, "such as MAX_USER_CONNECTIONS"),
        Arg::new("session_vars", Kind::Dict, "variables of the session"),
        Arg::new("password_expire", Kind::Str, "when its password ends").choices(&["now", "never", "default", "interval"]),
        Arg::new("password_expire_interval", Kind::Int, "days"),
        Arg::new("column_case_sensitive", Kind::Bool, "names of columns differ by case"),
        Arg::new("locked", Kind::Bool, "whether it is locked"),
        Arg::new("attributes", Kind::Dict, "attributes of the account (MySQL 8)"),
    ];

/// What a task does to one server.
struct Work<'a> {
    args: &'a Args,
    server: Server<'a>,
    name: &'a str,
    is_mariadb: bool,
    /// As they are run, and as they may be shown.
    todo: Vec<String>,
    shown: Vec<String>,
    has_new_password: bool,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.str("name").unwrap_or_default();
    let wanted = args.get("priv").map(|value| Grant::wanted(value, args.bool("column_case_sensitive"))).transpose()?;
    let server = Server::of(args, look)?;
    let is_mariadb = server.version()?.contains("MariaDB");
    let mut work = Work { args, server, name, is_mariadb, todo: Vec::new(), shown: Vec::new(), has_new_password: false };
    let known = work.hosts()?;
    let host = args.str("host").unwrap_or("localhost").to_lowercase();
    let hosts = if args.bool("host_all") && !known.is_empty() { known.clone() } else { vec![host] };
    let there: Vec<String> = hosts.iter().filter(|host| known.contains(host)).cloned().collect();
    let msg = if args.str("state") == Some("absent") {
        work.remove(&there);
        if there.is_empty() { "User doesn't exist" } else { "User deleted" }
    } else {
        for host in &hosts {
            if known.contains(host) { work.change(host, wanted.as_deref())? } else { work.add(host, wanted.as_deref(), &known)? }
        }
        match (there.len() == hosts.len(), work.todo.is_empty()) {
            (false, _) => "User added",
            (true, true) => "User unchanged",
            (true, false) if work.has_new_password => "Password updated (new style)",
            (true, false) => "Privileges updated",
        }
    };
    let mut plan = Plan::default();
    plan.set("user", name).set("msg", msg).set("password_changed", work.has_new_password);
    plan.set("attributes", args.get("attributes").cloned().unwrap_or_default());
    let before = if there.is_empty() { "absent" } else { "present" };
    let mut run = work.session();
    if !work.todo.is_empty() {
        run.append(&mut work.todo);
        work.server.carry_out(&format!("user {name}"), before, &work.shown.join(";\n"), &run, &mut plan);
    }
    Ok(plan)
}

impl Work<'_> {
    /// Where accounts of that name may log in from.
    fn hosts(&self) -> Result<Vec<String>, Failure> {
        let rows = self.server.rows(&format!("SELECT Host FROM mysql.user WHERE User = {}", literal(self.name)))?;
        Ok(rows.iter().map(|row| text(row, "Host").to_lowercase()).collect())
    }

    fn account(&self, host: &str) -> String {
        format!("{}@{}", literal(self.name), literal(host))
    }

    /// What every session begins with.
    fn session(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .args
            .dict("session_vars")
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("SET SESSION {name} = {}", number_or_text(value)))
            .collect();
        if !self.args.bool("sql_log_bin") {
            out.push("SET SQL_LOG_BIN = 0".to_owned());
        }
        if self.args.bool("force_context") {
            out.push("USE mysql".to_owned());
        }
        out
    }

    fn push(&mut self, statement: String) {
        self.shown.push(statement.clone());
        self.todo.push(statement);
    }

    fn push_secret(&mut self, statement: String, shown: String) {
        self.shown.push(shown);
        self.todo.push(statement);
    }

    fn remove(&mut self, hosts: &[String]) {
        for host in hosts {
            self.push(format!("DROP USER {}", self.account(host)));
        }
    }

    fn add(&mut self, host: &str, wanted: Option<&[Grant]>, known: &[String]) -> Result<(), Failure> {
        let account = self.account(host);
        let is_new_name = known.is_empty() || self.args.str("update_password") != Some("on_new_username");
        match self.proof().filter(|_| is_new_name) {
            Some((clause, shown)) => {
                self.has_new_password = true;
                self.push_secret(format!("CREATE USER {account} {clause}"), format!("CREATE USER {account} {shown}"));
            }
            None => self.push(format!("CREATE USER {account}")),
        }
        let grants = wanted.unwrap_or_default();
        for statement in between(&[], grants, Mode::Append, &account) {
            self.push(statement);
        }
        self.settings(&account, None)
    }

    fn change(&mut self, host: &str, wanted: Option<&[Grant]>) -> Result<(), Failure> {
        let account = self.account(host);
        if let Some((clause, shown)) = self.proof().filter(|_| self.args.str("update_password") == Some("always"))
            && self.must_change(host)?
        {
            self.has_new_password = true;
            self.push_secret(format!("ALTER USER {account} {clause}"), format!("ALTER USER {account} {shown}"));
        }
        if let Some(wanted) = wanted {
            let mode = match (self.args.bool("append_privs"), self.args.bool("subtract_privs")) {
                (true, _) => Mode::Append,
                (_, true) => Mode::Subtract,
                _ => Mode::Exactly,
            };
            let rows = self.server.rows(&format!("SHOW GRANTS FOR {account}"))?;
            let keeps_case = self.args.bool("column_case_sensitive");
            let lines = rows.iter().filter_map(|row| row.first()?.1.as_deref());
            let held = merged(lines.filter_map(|line| Grant::shown(line, keeps_case)));
            for statement in between(&held, wanted, mode, &account) {
                self.push(statement);
            }
        }
        let created = self.server.value(&format!("SHOW CREATE USER {account}"))?;
        self.settings(&account, created.as_deref())
    }

    /// `IDENTIFIED …` as it is run and as it is shown.
    fn proof(&self) -> Option<(String, String)> {
        let text = |name: &str| self.args.str(name).filter(|text| !text.is_empty() || name == "password");
        if let Some(plugin) = text("plugin") {
            let word = if self.is_mariadb { "USING" } else { "AS" };
            let head = format!("IDENTIFIED WITH {plugin}");
            return Some(match (text("plugin_hash_string"), text("plugin_auth_string")) {
                (Some(hash), _) => (format!("{head} {word} {}", literal(hash)), format!("{head} {word} '********'")),
                (None, Some(auth)) if self.is_mariadb => {
                    (format!("{head} USING {}", literal(auth)), format!("{head} USING '********'"))
                }
                (None, Some(auth)) => (format!("{head} BY {}", literal(auth)), format!("{head} BY '********'")),
                (None, None) => (head.clone(), head),
            });
        }
        let password = text("password")?;
        let clause = match (self.args.bool("encrypted"), self.is_mariadb) {
            (true, true) => "IDENTIFIED BY PASSWORD",
            (true, false) => "IDENTIFIED WITH mysql_native_password AS",
            (false, _) => "IDENTIFIED BY",
        };
        Some((format!("{clause} {}", literal(password)), format!("{clause} '********'")))
    }

    /// A native password is told by its hash; any other by logging in with it.
    fn must_change(&self, host: &str) -> Result<bool, Failure> {
        let query = format!(
            "SELECT plugin, authentication_string FROM mysql.user WHERE User = {} AND LOWER(Host) = {}",
            literal(self.name),
            literal(host)
        );
        let rows = self.server.rows(&query)?;
        let Some(row) = rows.first() else { return Ok(true) };
        let (plugin, hash) = (text(row, "plugin"), text(row, "authentication_string"));
        if let Some(wanted) = self.args.str("plugin") {
            let secret = self.args.str("plugin_hash_string");
            let auth = self.args.str("plugin_auth_string").filter(|_| secret.is_none());
            return Ok(plugin != wanted
                || secret.is_some_and(|secret| secret != hash)
                || auth.is_some_and(|auth| auth != hash && native_hash(auth) != hash && !self.server.lets_in(self.name, auth)));
        }
        let password = self.args.str("password").unwrap_or_default();
        if self.args.bool("encrypted") {
            return Ok(password != hash);
        }
        if matches!(plugin, "" | "mysql_native_password") {
            return Ok(native_hash(password) != hash && !(password.is_empty() && hash.is_empty()));
        }
        // These let in whoever the host knows by that name, with any password.
        Ok(matches!(plugin, "unix_socket" | "auth_socket") || !self.server.lets_in(self.name, password))
    }

    /// Everything beside the password; `created` is what `SHOW CREATE USER` says of an account that is there.
    fn settings(&mut self, account: &str, created: Option<&str>) -> Result<(), Failure> {
        let created = created.unwrap_or_default();
        let mut clauses = Vec::new();
        if let Some(wanted) = self.args.dict("tls_requires")
            && requirement(created) != required(wanted)
        {
            clauses.push(format!("REQUIRE {}", required(wanted)));
        }
        let limits = self.args.dict("resource_limits").cloned().unwrap_or_default();
        let limits: Vec<String> = limits
            .iter()
            .map(|(name, value)| format!("{} {}", name.to_string().to_uppercase(), value.to_text().as_str()))
            .collect();
        if limits.iter().any(|limit| !created.contains(limit.as_str()) && !limit.ends_with(" 0")) {
            clauses.push(format!("WITH {}", limits.join(" ")));
        }
        if let Some(expire) = self.expire().filter(|clause| !created.contains(clause.as_str())) {
            clauses.push(expire);
        }
        if let Some(locked) =
            self.args.get("locked").and_then(Value::as_bool).filter(|locked| *locked != created.contains("ACCOUNT LOCK"))
        {
            clauses.push(format!("ACCOUNT {}", if locked { "LOCK" } else { "UNLOCK" }));
        }
        if !clauses.is_empty() {
            self.push(format!("ALTER USER {account} {}", clauses.join(" ")));
        }
        self.attributes(account)
    }

    fn expire(&self) -> Option<String> {
        Some(match self.args.str("password_expire")? {
            "interval" => {
                format!("PASSWORD EXPIRE INTERVAL {} DAY", self.args.int("password_expire_interval").unwrap_or_default())
            }
            "now" => "PASSWORD EXPIRE".to_owned(),
            other => format!("PASSWORD EXPIRE {}", other.to_uppercase()),
        })
    }

    fn attributes(&mut self, account: &str) -> Result<(), Failure> {
        let Some(wanted) = self.args.dict("attributes").filter(|wanted| !wanted.is_empty()) else { return Ok(()) };
        if self.is_mariadb {
            return Err(Failure::new("user attributes were specified but the server does not support user attributes"));
        }
        let (name, host) = account.rsplit_once('@').unwrap_or((account, "''"));
        let query = format!("SELECT ATTRIBUTE FROM INFORMATION_SCHEMA.USER_ATTRIBUTES WHERE USER = {name} AND HOST = {host}");
        let found = self.server.value(&query)?.and_then(|json| Value::from_json(&json).ok()).unwrap_or_default();
        let differs =
            |key: &crate::value::Key, value: &Value| key.as_str().and_then(|key| found.get(key)).unwrap_or(&Value::Null) != value;
        if wanted.iter().any(|(key, value)| differs(key, value)) {
            let json = Value::map(wanted.clone()).to_json();
            self.push(format!("ALTER USER {account} ATTRIBUTE {}", literal(&json)));
        }
        Ok(())
    }
}

/// The server may show what is granted on one object in several lines.
fn merged(grants: impl Iterator<Item = Grant>) -> Vec<Grant> {
    let mut all: Vec<Grant> = Vec::new();
    for grant in grants {
        match all.iter_mut().find(|known| known.object == grant.object) {
            Some(known) => {
                known.privileges.extend(grant.privileges);
                known.may_pass_on |= grant.may_pass_on;
            }
            None => all.push(grant),
        }
    }
    all
}

/// `*` and the doubled SHA-1 of a password.
fn native_hash(password: &str) -> String {
    let digest = Sha1::digest(Sha1::digest(password.as_bytes()));
    digest.iter().fold("*".to_owned(), |text, byte| text + &format!("{byte:02X}"))
}

fn number_or_text(value: &Value) -> String {
    match value {
        Value::Int(_) | Value::Float(_) => value.to_text().as_str().to_owned(),
        Value::Bool(truth) => i32::from(*truth).to_string(),
        other => literal(other.to_text().as_str()),
    }
}

/// What `REQUIRE` is followed by.
fn required(wanted: &Map) -> String {
    let has = |name: &str| wanted.keys().any(|key| key.as_str().is_some_and(|key| key.eq_ignore_ascii_case(name)));
    if let Some(word) = ["X509", "SSL"].into_iter().find(|word| has(word)) {
        return word.to_owned();
    }
    let mut parts: Vec<String> = wanted
        .iter()
        .map(|(key, value)| format!("{} {}", key.to_string().to_uppercase(), literal(value.to_text().as_str())))
        .collect();
    parts.sort();
    if parts.is_empty() { "NONE".to_owned() } else { parts.join(" AND ") }
}

/// The same, read from `SHOW CREATE USER`.
fn requirement(created: &str) -> String {
    let Some((_, rest)) = created.split_once(" REQUIRE ") else { return "NONE".to_owned() };
    let end = [" WITH ", " PASSWORD ", " ACCOUNT "].iter().filter_map(|word| rest.find(word)).min().unwrap_or(rest.len());
    let rest = rest[..end].trim();
    if !rest.contains('\'') {
        return rest.to_owned();
    }
    let mut pieces = rest.split('\'');
    let mut parts = Vec::new();
    while let (Some(word), Some(value)) = (pieces.next(), pieces.next()) {
        parts.push(format!("{} '{value}'", word.trim().trim_start_matches("AND ").trim()));
    }
    parts.sort();
    parts.join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_password_is_known_by_its_hash() {
        assert_eq!(native_hash("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }

    #[test]
    fn what_tls_must_have_is_read_and_written_alike() {
        let wanted = Map::from_iter([("subject".into(), "/CN=a".into()), ("ISSUER".into(), "/CN=ca".into())]);
        let shown = "CREATE USER `a`@`b` IDENTIFIED BY PASSWORD '*1' REQUIRE ISSUER '/CN=ca' SUBJECT '/CN=a' ACCOUNT UNLOCK";
        assert_eq!(requirement(shown), required(&wanted));
        assert_eq!((requirement("CREATE USER x REQUIRE SSL").as_str(), required(&Map::new()).as_str()), ("SSL", "NONE"));
    }
}
