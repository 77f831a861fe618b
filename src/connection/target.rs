//! Whom to reach, and as whom: what inventory, flags and playbook came to.

use crate::value::Text;
use std::path::PathBuf;
use std::time::Duration;

/// One host and how it is reached. Equal targets share one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub kind: Kind,
    /// The host's name in the inventory; only for messages.
    pub name: String,
    /// What to connect to (`ansible_host`); also the name that ssh_config is asked for.
    pub address: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    /// Tried before those of ssh_config and the standard ones.
    pub key_files: Vec<PathBuf>,
    pub password: Option<Text>,
    pub host_keys: HostKeys,
    /// Instead of the files that ssh_config names.
    pub known_hosts: Option<Vec<PathBuf>>,
    /// For the TCP connection, and again for the answer of the SSH server.
    pub timeout: Option<Duration>,
    /// How often to try again when nobody answers.
    pub retries: u32,
    /// Words of an `ssh` command line (`--ssh-common-args`, `ansible_ssh_common_args` …), split.
    pub ssh_args: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    #[default]
    Ssh,
    Local,
}

/// What to do about a host key that is not in known_hosts. A changed or revoked key is refused except for `Off`, which
/// still refuses revoked ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostKeys {
    /// Refuse it (ssh_config may say otherwise).
    #[default]
    Check,
    /// Write it down and go on.
    AcceptNew,
    /// Go on, and write nothing.
    Off,
}

/// Another user to be once connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Become {
    pub method: Method,
    pub user: String,
    pub password: Option<Text>,
    /// The program, when it is not the method's own name.
    pub exe: Option<String>,
    /// Instead of the usual flags, split; those that a password dialogue needs are added.
    pub flags: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    #[default]
    Sudo,
    Su,
}

/// What a command gets on its standard input.
#[derive(Clone, Copy, Debug, Default)]
pub enum Stdin<'a> {
    #[default]
    Nothing,
    Bytes(&'a [u8]),
}

/// How a command ended (`raw`, `script`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// 128 + n for signal n, as a shell has it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Target {
    /// A target that is reached by SSH with everything else from ssh_config.
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Target {
        Target {
            kind: Kind::Ssh,
            name: name.into(),
            address: address.into(),
            port: None,
            user: None,
            key_files: Vec::new(),
            password: None,
            host_keys: HostKeys::Check,
            known_hosts: None,
            timeout: None,
            retries: 0,
            ssh_args: Vec::new(),
        }
    }

    /// This machine.
    pub fn local(name: impl Into<String>) -> Target {
        Target { kind: Kind::Local, ..Target::new(name, "localhost") }
    }
}

impl Method {
    pub fn find(name: &str) -> Option<Method> {
        match name.strip_prefix("ansible.builtin.").unwrap_or(name) {
            "sudo" => Some(Method::Sudo),
            "su" => Some(Method::Su),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Method::Sudo => "sudo",
            Method::Su => "su",
        }
    }
}
