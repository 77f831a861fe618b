//! MySQL and MariaDB by their own client: the modules of the collection `community.mysql`.
//!
//! [`Server`] runs the client on the host. It reads the option file itself, as the arguments of a task come on top of it, and
//! gives the password to the client by its environment; SQL goes to standard input. Start reading at `server.rs`, then
//! `variables.rs`; `user.rs` is the large one, with `grants.rs` for what is granted.

pub(super) mod db;
mod grants;
pub(super) mod info;
pub(super) mod query;
mod rows;
mod server;
pub(super) mod user;
pub(super) mod variables;

use super::{Arg, Kind};
use server::{Server, literal, name_of};

/// How every module of the collection reaches the server.
const LOGIN_ARGS: &[Arg] = &[
    Arg::new("login_user", Kind::Str, "who logs in"),
    Arg::new("login_password", Kind::Str, "with which password").secret(),
    Arg::new("login_host", Kind::Str, "the server").default("localhost"),
    Arg::new("login_port", Kind::Int, "port").default("3306"),
    Arg::new("login_unix_socket", Kind::Str, "the socket on this host"),
    Arg::new("connect_timeout", Kind::Int, "seconds to wait for a connection").default("30"),
    Arg::new("config_file", Kind::Path, "an option file whose section [client] is read").default("~/.my.cnf"),
    Arg::new("ca_cert", Kind::Path, "certificate of the authority to trust").aliases(&["ssl_ca"]),
    Arg::new("client_cert", Kind::Path, "client certificate").aliases(&["ssl_cert"]),
    Arg::new("client_key", Kind::Path, "key of the client certificate").aliases(&["ssl_key"]),
    Arg::new("check_hostname", Kind::Bool, "the server's certificate must have its name"),
];
