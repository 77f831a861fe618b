//! PostgreSQL by its own client: the modules of the collection `community.postgresql`.
//!
//! [`Server`] runs `psql` on the host: what is there is asked for as JSON, what is to be done is one script of SQL on its
//! standard input, so that no password is ever in a command line. A module here is a query and a list of statements; its
//! `queries` are those statements, passwords as placeholders. Start reading at `server.rs`, then `schema.rs`.

pub(super) mod db;
pub(super) mod ext;
pub(super) mod owner;
mod password;
pub(super) mod ping;
mod privilege;
pub(super) mod privs;
pub(super) mod query;
pub(super) mod schema;
mod server;
pub(super) mod set;
pub(super) mod user;

use super::{Arg, Kind};
use server::{Server, Statements, ident, literal};

/// How every module of the collection reaches the server.
const LOGIN_ARGS: &[Arg] = &[
    Arg::new("login_user", Kind::Str, "who logs in").aliases(&["login"]).default("postgres"),
    Arg::new("login_password", Kind::Str, "with which password").default("").secret(),
    Arg::new("login_host", Kind::Str, "the server; its socket if empty").aliases(&["host"]).default(""),
    Arg::new("login_unix_socket", Kind::Str, "directory of the socket").aliases(&["unix_socket"]).default(""),
    Arg::new("login_port", Kind::Int, "port").aliases(&["port"]).default("5432"),
    Arg::new("ssl_mode", Kind::Str, "whether TLS is used").aliases(&["sslmode"]).default("prefer").choices(&[
        "allow",
        "disable",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
    ]),
    Arg::new("ca_cert", Kind::Path, "certificates of authorities to trust").aliases(&["ssl_rootcert"]),
    Arg::new("ssl_cert", Kind::Path, "client certificate"),
    Arg::new("ssl_key", Kind::Path, "key of the client certificate"),
    Arg::new("connect_params", Kind::Dict, "further parameters of libpq"),
    Arg::new("session_role", Kind::Str, "the role to take on after logging in"),
    Arg::new("trust_input", Kind::Bool, "what is given is always quoted").inert().default("yes"),
];

/// Which database the work is done in.
const DATABASE_ARG: Arg = Arg::new("login_db", Kind::Str, "the database to log in to").aliases(&["db", "database"]);
