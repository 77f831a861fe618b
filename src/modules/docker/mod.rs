//! Docker on a host: the modules of the collection `community.docker`.
//!
//! Containers, images and networks are read and changed through the Engine API on its unix socket ([`engine::Engine`]): a
//! converged `docker_container` costs two requests and no process. What only the client can do well (build, pull with
//! stored credentials, push, save, load, login) goes through the `docker` program.
//!
//! One file a module. `container/` is the large one: a table of options (`options.rs`), each with the place in the
//! API where it is put and found, so that creating and comparing cannot disagree. Start reading at `engine.rs`, then
//! `container/mod.rs`.

mod build;
mod compose;
pub(super) mod compose_v2;
pub(super) mod compose_v2_pull;
pub(super) mod container;
pub(super) mod container_exec;
pub(super) mod container_info;
mod credentials;
pub(crate) mod engine;
pub(super) mod host_info;
pub(super) mod image;
pub(super) mod image_build;
pub(super) mod image_info;
pub(super) mod image_pull;
pub(super) mod image_push;
pub(super) mod image_remove;
pub(super) mod image_tag;
pub(super) mod login;
pub(super) mod network;
pub(super) mod prune;
mod reference;
mod units;
pub(super) mod volume;

#[cfg(test)]
pub(super) mod bench;

use super::{Arg, Args, Cmd, Kind};

/// The arguments with which every module of the collection is told where the daemon is.
pub(super) const API_ARGS: &[Arg] = &[
    Arg::new("docker_host", Kind::Str, "URL of the daemon: unix:///path or tcp://host:port").aliases(&["docker_url"]),
    Arg::new("api_version", Kind::Str, "version of the Engine API to speak").aliases(&["docker_api_version"]).default("auto"),
    Arg::new("timeout", Kind::Int, "seconds that a look at the daemon may take").default("60"),
    Arg::new("tls", Kind::Bool, "reach the daemon over TLS").default("no"),
    Arg::new("validate_certs", Kind::Bool, "reach the daemon over TLS and check its certificate")
        .aliases(&["tls_verify"])
        .default("no"),
    Arg::new("tls_hostname", Kind::Str, "name in the daemon's certificate").inert(),
    Arg::new("ca_path", Kind::Path, "CA certificate").aliases(&["ca_cert", "tls_ca_cert", "cacert_path"]),
    Arg::new("client_cert", Kind::Path, "client certificate").aliases(&["tls_client_cert", "cert_path"]),
    Arg::new("client_key", Kind::Path, "key of the client certificate").aliases(&["tls_client_key", "key_path"]),
    Arg::new("use_ssh_client", Kind::Bool, "for ssh:// URLs, which are not supported").inert().default("no"),
    Arg::new("debug", Kind::Bool, "kept for compatibility; does nothing").inert().default("no"),
];

/// The same for modules that work with the `docker` program, which have no limit of time of their own.
const CLIENT_ARGS: &[Arg] = &[
    Arg::new("docker_cli", Kind::Path, "which `docker` program"),
    Arg::new("cli_context", Kind::Str, "the program's context"),
    Arg::new("docker_host", Kind::Str, "URL of the daemon: unix:///path or tcp://host:port").aliases(&["docker_url"]),
    Arg::new("api_version", Kind::Str, "version of the Engine API to speak").aliases(&["docker_api_version"]).default("auto"),
    Arg::new("tls", Kind::Bool, "reach the daemon over TLS").default("no"),
    Arg::new("validate_certs", Kind::Bool, "reach the daemon over TLS and check its certificate")
        .aliases(&["tls_verify"])
        .default("no"),
    Arg::new("tls_hostname", Kind::Str, "name in the daemon's certificate").inert(),
    Arg::new("ca_path", Kind::Path, "CA certificate").aliases(&["ca_cert", "tls_ca_cert", "cacert_path"]),
    Arg::new("client_cert", Kind::Path, "client certificate").aliases(&["tls_client_cert", "cert_path"]),
    Arg::new("client_key", Kind::Path, "key of the client certificate").aliases(&["tls_client_key", "key_path"]),
];

/// The `docker` program as those arguments want it.
fn client_of(args: &Args, mut cmd: Cmd) -> Cmd {
    if let Some(program) = args.str("docker_cli")
        && let Some(first) = cmd.argv.first_mut()
    {
        program.clone_into(first);
    }
    if let Some(context) = args.str("cli_context") {
        cmd.argv.splice(1..1, ["--context".to_owned(), context.to_owned()]);
    }
    cmd
}
