//! One server, spoken to with `psql`.

use crate::modules::{Act, Args, Change, Cmd, Failure, Look, Plan};
use crate::value::Value;
use std::time::Duration;

const ASK: Duration = Duration::from_secs(120);

pub(super) struct Server<'a> {
    pub(super) args: &'a Args,
    pub(super) look: &'a dyn Look,
    database: String,
}

/// What a module would do, in order.
#[derive(Default)]
pub(super) struct Statements {
    /// As they are run.
    run: Vec<String>,
    /// As they are shown.
    shown: Vec<String>,
}

impl<'a> Server<'a> {
    /// In the database that the task names, or else in `fallback`.
    pub(super) fn of(args: &'a Args, look: &'a dyn Look, fallback: &str) -> Result<Server<'a>, Failure> {
        let named = args.str("login_db").filter(|name| !name.is_empty());
        Server::in_database(args, look, named.unwrap_or(fallback))
    }

    pub(super) fn in_database(args: &'a Args, look: &'a dyn Look, database: &str) -> Result<Server<'a>, Failure> {
        if look.which("psql").is_none() {
            return Err(Failure::new(
                "there is no psql on this host: install its client first (on Debian the package postgresql-client)",
            ));
        }
        Ok(Server { args, look, database: database.to_owned() })
    }

    /// A client program of the server (`psql`, `pg_dump`), told where to go by its environment.
    pub(super) fn client(&self, program: &str, words: &[&str]) -> Cmd {
        let mut cmd = Cmd::new(std::iter::once(program).chain(words.iter().copied())).env("LC_ALL", "C.UTF-8");
        let text = |name: &str| self.args.str(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let socket = text("login_unix_socket")
            .filter(|_| self.args.str("login_host").is_none_or(|host| host.is_empty() || host == "localhost"));
        let pairs = [
            ("PGDATABASE", Some(self.database.clone()).filter(|name| !name.is_empty())),
            ("PGUSER", text("login_user")),
            ("PGPASSWORD", text("login_password")),
            ("PGHOST", socket.or_else(|| text("login_host"))),
            ("PGPORT", self.args.int("login_port").map(|port| port.to_string())),
            ("PGSSLMODE", text("ssl_mode")),
            ("PGSSLROOTCERT", text("ca_cert")),
            ("PGSSLCERT", text("ssl_cert")),
            ("PGSSLKEY", text("ssl_key")),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                cmd = cmd.env(name, &value);
            }
        }
        for (name, value) in self.args.dict("connect_params").into_iter().flatten() {
            cmd = cmd.env(&variable(&name.to_string()), value.to_text().as_str());
        }
        cmd
    }

    fn psql(&self, sql: &str) -> Cmd {
        let role = self.args.str("session_role").map(|role| format!("SET ROLE {};\n", ident(role))).unwrap_or_default();
        self.client("psql", &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]).stdin(format!("{role}{sql};\n"))
    }

    /// The rows of a query that changes nothing.
    pub(super) fn rows(&self, query: &str) -> Result<Vec<Value>, Failure> {
        let output = self.look.run(&self.psql(&format!("SELECT row_to_json(_row) FROM ({query}) AS _row")).timeout(ASK))?;
        if !output.is_success() {
            return Err(refused(&output));
        }
        Ok(output.stdout_text().lines().filter_map(|line| Value::from_json(line).ok()).collect())
    }

    pub(super) fn row(&self, query: &str) -> Result<Option<Value>, Failure> {
        Ok(self.rows(query)?.into_iter().next())
    }

    /// Whether a query finds anything.
    pub(super) fn finds(&self, query: &str) -> Result<bool, Failure> {
        Ok(self.row(query)?.is_some())
    }

    /// All statements as one run of psql, and what they are as `queries`.
    pub(super) fn carry_out(&self, what: &str, before: impl Into<Value>, statements: Statements, plan: &mut Plan) {
        let Statements { run, shown } = statements;
        if !run.is_empty() {
            let act = Act::Run(self.psql(&run.join(";\n")));
            plan.push(Change::new(what, before, shown.join(";\n"), act));
        }
        plan.set("queries", shown);
    }
}

impl Statements {
    pub(super) fn is_empty(&self) -> bool {
        self.run.is_empty()
    }

    pub(super) fn push(&mut self, sql: impl Into<String>) {
        let sql = sql.into();
        self.shown.push(sql.clone());
        self.run.push(sql);
    }

    /// One that holds a secret, and how it is shown.
    pub(super) fn push_as(&mut self, sql: impl Into<String>, shown: impl Into<String>) {
        self.run.push(sql.into());
        self.shown.push(shown.into());
    }
}

/// The environment variable of a parameter of libpq.
fn variable(parameter: &str) -> String {
    match parameter {
        "application_name" => "PGAPPNAME".to_owned(),
        "connect_timeout" => "PGCONNECT_TIMEOUT".to_owned(),
        "dbname" => "PGDATABASE".to_owned(),
        other => format!("PG{}", other.to_uppercase().replace('_', "")),
    }
}

pub(super) fn refused(output: &crate::modules::Output) -> Failure {
    let said = output.stderr_text();
    let doing = if said.contains("connection to server") || said.contains("could not connect") {
        "unable to connect to the database server"
    } else {
        "the database server refused a query"
    };
    let mut failure = Failure::of_command(doing, output);
    if let Some((_, user)) = said.split_once("Peer authentication failed for user \"") {
        let user = user.split('"').next().unwrap_or_default();
        failure.msg.push_str(&format!("; it lets in the host's user of that name: set `become: true` and `become_user: {user}`"));
    }
    failure
}

/// A name in double quotes; a dotted one part by part.
pub(super) fn ident(name: &str) -> String {
    if name.starts_with('"') && name.ends_with('"') && name.len() > 1 {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.table`, each part quoted.
pub(super) fn dotted(name: &str) -> String {
    if name.contains('"') { name.to_owned() } else { name.split('.').map(ident).collect::<Vec<_>>().join(".") }
}

pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Text of a field; empty where it is null.
pub(super) fn field(row: &Value, name: &str) -> String {
    row.get(name).filter(|value| !value.is_null()).map(|value| value.to_text().as_str().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(ident("a\"b"), "\"a\"\"b\"");
        assert_eq!(dotted("acme.orders"), "\"acme\".\"orders\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'"), "E'a\\\\'''");
        assert_eq!(variable("connect_timeout"), "PGCONNECT_TIMEOUT");
    }
}
