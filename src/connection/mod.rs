//! Reaching hosts: one connection per target, one long-lived channel per host and become user, `roll-remote` at its end.
//!
//! Main type: [`Connections`], the pool. [`Connections::host`] answers with a [`Remote`]: a running host program that takes
//! [`crate::wire::Request`]s. It finds the program in the host's cache, or delivers it once, in the same channel.
//!
//! - `ssh/` speaks SSH itself (no `ssh` program): ssh_config, known_hosts, authentication, jump hosts.
//! - `local` runs the same opening command as a child process.
//! - `escalation` is become, `opening` the dialogue up to the host program's hello, `remote` the dialogue after it.
//!
//! What this room must never do: accept a host key that nobody vouched for (unless told so), put a secret in an argument
//! vector, take a lost channel for an answer, or panic on what a host sends. It knows no playbook and prints nothing.
//!
//! Start reading at [`Connections`], then `opening`.

mod escalation;
mod explain;
mod failure;
mod local;
mod opening;
mod pipe;
mod pool;
mod programs;
mod remote;
mod ssh;
mod target;

pub use failure::{Attempt, ConnectError, Denial, Stage};
pub use pool::{Connections, Settings};
pub use programs::Programs;
pub use remote::{Blobs, Body, Host, Pending, Remote};
pub use target::{Become, HostKeys, Kind, Method, Output, Stdin, Target};

/// The connection kinds by the names that Ansible has for them.
pub static KINDS: &[(&str, Kind)] =
    &[("ssh", Kind::Ssh), ("smart", Kind::Ssh), ("paramiko", Kind::Ssh), ("paramiko_ssh", Kind::Ssh), ("local", Kind::Local)];

/// The kind for a name as a playbook or an inventory writes it: `ssh`, `ansible.builtin.local`.
pub fn kind(name: &str) -> Option<Kind> {
    let short = name.strip_prefix("ansible.builtin.").unwrap_or(name);
    KINDS.iter().find(|(known, _)| *known == short).map(|(_, kind)| *kind)
}
