//! One server, spoken to with its client.

use super::rows::{self, Row};
use crate::modules::{Act, Args, Change, Cmd, Failure, Look, Output, Plan};
use crate::value::Value;
use std::time::Duration;

const ASK: Duration = Duration::from_secs(120);

pub(super) struct Server<'a> {
    pub(super) look: &'a dyn Look,
    program: String,
    login: Login,
}

/// What the client is told, the arguments on top of the option file.
#[derive(Default, Clone)]
struct Login {
    /// What only the client itself knows, and no other program of the server.
    timeout: Option<String>,
    user: Option<String>,
    password: Option<String>,
    words: Vec<String>,
}

impl<'a> Server<'a> {
    pub(super) fn of(args: &'a Args, look: &'a dyn Look) -> Result<Server<'a>, Failure> {
        let program = ["mariadb", "mysql"].into_iter().find_map(|name| look.which(name));
        let missing = || {
            Failure::new(
                "there is neither mariadb nor mysql on this host: install the client first (on Debian the package mariadb-client)",
            )
        };
        let mut server = Server { look, program: program.ok_or_else(missing)?, login: login(args, look)? };
        if args.bool("check_implicit_admin") {
            let admin = Login { user: Some("root".to_owned()), password: None, ..server.login.clone() };
            let own = std::mem::replace(&mut server.login, admin);
            if server.rows("SELECT 1").is_err() {
                server.login = own;
            }
        }
        Ok(server)
    }

    /// A program of the server (`mariadb`, `mariadb-dump`) with its login.
    pub(super) fn client(&self, program: &str, words: &[&str]) -> Cmd {
        let user = self.login.user.iter().map(|user| format!("--user={user}"));
        let login = std::iter::once("--no-defaults".to_owned()).chain(user).chain(self.login.words.iter().cloned());
        let argv = std::iter::once(program.to_owned()).chain(login).chain(words.iter().map(|word| (*word).to_owned()));
        let cmd = Cmd::new(argv).env("LC_ALL", "C.UTF-8");
        match &self.login.password {
            Some(password) => cmd.env("MYSQL_PWD", password),
            None => cmd,
        }
    }

    pub(super) fn sql(&self, sql: &str, words: &[&str]) -> Cmd {
        let own = ["--xml", "--default-character-set=utf8mb4"];
        let words: Vec<&str> = self.login.timeout.as_deref().into_iter().chain(own).chain(words.iter().copied()).collect();
        self.client(&self.program, &words).stdin(sql.trim_end_matches([';', '\n']).to_owned() + ";\n")
    }

    /// The rows of a query that changes nothing.
    pub(super) fn rows(&self, query: &str) -> Result<Vec<Row>, Failure> {
        let output = self.look.run(&self.sql(query, &[]).timeout(ASK))?;
        if !output.is_success() {
            return Err(refused(&output));
        }
        Ok(rows::read(&output.stdout_text()).into_iter().next().unwrap_or_default())
    }

    /// The first field of the first row.
    pub(super) fn value(&self, query: &str) -> Result<Option<String>, Failure> {
        Ok(self.rows(query)?.into_iter().next().and_then(|row| row.into_iter().next()).and_then(|(_, value)| value))
    }

    /// Whether somebody can log in with a password, which tells whether it is theirs.
    pub(super) fn lets_in(&self, user: &str, password: &str) -> bool {
        let login = Login { user: Some(user.to_owned()), password: Some(password.to_owned()), ..self.login.clone() };
        Server { look: self.look, program: self.program.clone(), login }.rows("SELECT 1").is_ok()
    }

    /// Its version, as in `10.11.6-MariaDB`.
    pub(super) fn version(&self) -> Result<String, Failure> {
        Ok(self.value("SELECT VERSION()")?.unwrap_or_default())
    }

    /// All statements in one run; `shown` is what a diff may tell.
    pub(super) fn carry_out(&self, what: &str, before: impl Into<Value>, shown: &str, statements: &[String], plan: &mut Plan) {
        if !statements.is_empty() {
            plan.push(Change::new(what, before, shown, Act::Run(self.sql(&statements.join(";\n"), &[]))));
        }
    }
}

fn login(args: &Args, look: &dyn Look) -> Result<Login, Failure> {
    let path = args.str("config_file").unwrap_or_default();
    let text = look.text(path).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?.unwrap_or_default();
    let file = |key: &str| option(&text, key);
    let host = args.str("login_host").filter(|host| *host != "localhost").map(str::to_owned).or_else(|| file("host"));
    let socket = args.str("login_unix_socket").map(str::to_owned).or_else(|| file("socket").filter(|_| host.is_none()));
    let port = args.int("login_port").filter(|port| *port != 3306).map(|port| port.to_string()).or_else(|| file("port"));
    let is_tcp = socket.is_none() && port.as_deref().is_some_and(|port| port != "3306");
    let given = |name: &str, key: &str| args.str(name).map(str::to_owned).or_else(|| file(key));
    let pairs = [
        ("--host", host.filter(|_| socket.is_none())),
        ("--socket", socket.clone()),
        ("--port", port.filter(|_| socket.is_none())),
        ("--protocol", is_tcp.then(|| "tcp".to_owned())),
        ("--ssl-ca", given("ca_cert", "ssl-ca")),
        ("--ssl-cert", given("client_cert", "ssl-cert")),
        ("--ssl-key", given("client_key", "ssl-key")),
    ];
    let mut words: Vec<String> =
        pairs.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}"))).collect();
    if args.bool("check_hostname") {
        words.push("--ssl-verify-server-cert".to_owned());
    }
    let timeout = args.int("connect_timeout").map(|seconds| format!("--connect-timeout={seconds}"));
    Ok(Login { timeout, user: given("login_user", "user"), password: given("login_password", "password"), words })
}

/// A key of the section `[client]`, without its quotes; dashes and underscores are the same.
fn option(text: &str, key: &str) -> Option<String> {
    let mut is_client = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_client = section.trim_end_matches(']').trim() == "client";
        } else if is_client
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
            && name.trim().replace('_', "-") == key
        {
            let value = value.trim();
            let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let bare = bare.or_else(|| value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')));
            found = Some(bare.unwrap_or(value).to_owned());
        }
    }
    found
}

pub(super) fn refused(output: &Output) -> Failure {
    let said = output.stderr_text();
    let is_login = ["1045", "2002", "2003", "1698", "1130"].iter().any(|code| said.contains(&format!("ERROR {code}")));
    let doing = if is_login {
        "unable to connect to database, check login_user and login_password are correct or that config_file has the credentials"
    } else {
        "the database server refused a query"
    };
    Failure::of_command(doing, output)
}

pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// In backticks.
pub(super) fn name_of(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_file_is_read() {
        let text = "[mysqld]\nuser=mysql\n[client]\n# user=no\nuser = root\npassword=\"a=b\"\nssl_ca='/x'\n";
        assert_eq!(option(text, "user").as_deref(), Some("root"));
        assert_eq!(option(text, "password").as_deref(), Some("a=b"));
        assert_eq!((option(text, "ssl-ca").as_deref(), option(text, "port")), (Some("/x"), None));
        assert_eq!(literal("a'b\\"), "'a''b\\\\'");
    }
}
