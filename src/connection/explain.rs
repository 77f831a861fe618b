//! The words for everything that can go wrong on the way to a host.

use super::{Attempt, ConnectError, Denial, Stage};
use crate::diag::{Diagnostic, Explain};
use std::path::Path;
use std::time::Duration;

impl Explain for ConnectError {
    fn explain(&self) -> Diagnostic {
        match self {
            ConnectError::NameNotFound { .. }
            | ConnectError::Refused { .. }
            | ConnectError::Unreachable { .. }
            | ConnectError::Timeout { .. }
            | ConnectError::Handshake { .. }
            | ConnectError::Proxy { .. }
            | ConnectError::Jump { .. }
            | ConnectError::Setting { .. } => way(self),
            ConnectError::UnknownKey { .. } | ConnectError::ChangedKey { .. } | ConnectError::RevokedKey { .. } => key(self),
            ConnectError::NoAccess { host, user, tried, offered, hung_up } => no_access(host, user, tried, offered, *hung_up),
            ConnectError::Become { host, method, user, denial } => denied(host, method, user, denial),
            ConnectError::Channel { .. }
            | ConnectError::Architecture { .. }
            | ConnectError::CannotRun { .. }
            | ConnectError::Garbage { .. }
            | ConnectError::Lost { .. }
            | ConnectError::NoBody { .. } => program(self),
        }
    }
}

/// Not even an SSH connection.
fn way(error: &ConnectError) -> Diagnostic {
    match error {
        ConnectError::NameNotFound { host, name, reason } => {
            let found = Diagnostic::error("host-name-unknown", format!("the name `{name}` of `{host}` has no address"));
            found.note(reason).help("check `ansible_host`, or `HostName` in ssh_config")
        }
        ConnectError::Refused { host, address } => {
            Diagnostic::error("connection-refused", format!("`{host}` refused the connection to {address}"))
                .note("the machine answers, but nothing listens on that port")
                .help("check that sshd runs there and that `ansible_port` is right")
        }
        ConnectError::Unreachable { host, address, reason } => {
            Diagnostic::error("host-unreachable", format!("`{host}` cannot be reached at {address}")).note(reason)
        }
        ConnectError::Timeout { host, address, after, stage } => timeout(host, address, *after, *stage),
        ConnectError::Handshake { host, address, reason } => {
            Diagnostic::error("no-ssh", format!("no SSH connection to `{host}` at {address}")).note(reason)
        }
        ConnectError::Proxy { host, command, reason } => {
            Diagnostic::error("proxy-failed", format!("the proxy command for `{host}` failed"))
                .note(format!("command: {command}"))
                .note(reason)
        }
        ConnectError::Jump { host, hop, cause } => {
            let mut found = cause.explain();
            found.title = format!("{} (jump host `{hop}` on the way to `{host}`)", found.title);
            found
        }
        ConnectError::Setting { host, origin, setting, reason } => {
            Diagnostic::error("ssh-setting", format!("`{setting}` cannot be used for `{host}`"))
                .note(format!("from {origin}"))
                .note(reason)
        }
        other => program(other),
    }
}

fn timeout(host: &str, address: &str, after: Duration, stage: Stage) -> Diagnostic {
    let seconds = after.as_secs();
    match stage {
        Stage::Tcp => Diagnostic::error("connect-timeout", format!("`{host}` did not answer at {address} within {seconds} s"))
            .note("no answer at all: the machine is down, or a firewall drops the packets")
            .help("check the address and the security groups; `--timeout` waits longer"),
        Stage::Ssh => Diagnostic::error(
            "connect-timeout",
            format!("`{host}` accepted the connection but no SSH server spoke within {seconds} s"),
        )
        .note(format!("at {address}"))
        .help("check that sshd is what listens there, and that the machine is not overloaded"),
        Stage::Login => Diagnostic::error("connect-timeout", format!("logging in to `{host}` took longer than {seconds} s"))
            .help("an SSH agent may be waiting for a confirmation"),
        Stage::Opening => Diagnostic::error("connect-timeout", format!("`{host}` started no program within {seconds} s"))
            .note("the login worked; its shell, or become, did not come back"),
    }
}

fn key(error: &ConnectError) -> Diagnostic {
    match error {
        ConnectError::UnknownKey { host, name, kind, fingerprint, files } => {
            let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            Diagnostic::error("unknown-host-key", format!("the host key of `{host}` is not known"))
                .note(format!("{name} shows {kind} {fingerprint}"))
                .note(format!("looked in {}", files.join(", ")))
                .help("compare the fingerprint with the machine's own (its console, or cloud-init's log), then `--accept-new-host-keys` writes it down")
                .help("`ANSIBLE_HOST_KEY_CHECKING=False` trusts any machine that answers")
        }
        ConnectError::ChangedKey { host, file, line, expected, got } => {
            Diagnostic::error("changed-host-key", format!("the host key of `{host}` has changed"))
                .note(format!("{}:{line} has {expected}", file.display()))
                .note(format!("the machine shows {got}"))
                .note("either the machine was made anew, or another machine answers in its place")
                .help(format!("if it was made anew: remove {}, then compare the new fingerprint", shown_line(file, *line)))
        }
        ConnectError::RevokedKey { host, file, line, fingerprint } => {
            Diagnostic::error("revoked-host-key", format!("the host key of `{host}` is revoked"))
                .note(format!("{}:{line} revokes {fingerprint}", file.display()))
        }
        other => program(other),
    }
}

fn shown_line(file: &Path, line: usize) -> String {
    format!("line {line} of {}", file.display())
}

fn no_access(host: &str, user: &str, tried: &[Attempt], offered: &[String], hung_up: bool) -> Diagnostic {
    let mut found = Diagnostic::error("login-refused", format!("`{host}` did not let `{user}` in"));
    for attempt in tried {
        found = found.note(format!("{}: {}", attempt.what, attempt.outcome));
    }
    if tried.is_empty() {
        found = found.note("nothing to try: no key file, no agent, no password");
    }
    if !offered.is_empty() {
        found = found.note(format!("the server takes {}", offered.join(", ")));
    }
    if hung_up {
        return found.help("too many keys were offered: name the right one with `--private-key` and set `IdentitiesOnly yes`");
    }
    found.help("check the user (`-u`, `ansible_user`) and the key (`--private-key`); `-k` asks for a password")
}

fn denied(host: &str, method: &str, user: &str, denial: &Denial) -> Diagnostic {
    let found = |title: String| Diagnostic::error("become-failed", title);
    match denial {
        Denial::NeedsPassword => found(format!("`{method}` on `{host}` wants a password to become `{user}`"))
            .help("`-K` asks for it, or set `ansible_become_password`"),
        Denial::WrongPassword => found(format!("`{method}` on `{host}` did not take the password to become `{user}`"))
            .help("check `-K` or `ansible_become_password`; for `sudo` it is the login user's password"),
        Denial::NotAllowed { message } => found(format!("`{method}` on `{host}` does not allow becoming `{user}`")).note(message),
        Denial::NeedsTerminal => found(format!("`{method}` on `{host}` insists on a terminal"))
            .help("remove `requiretty` from the host's sudoers for this user"),
        Denial::NoSuchUser => found(format!("there is no user `{user}` on `{host}`")),
        Denial::NoSuchProgram => found(format!("there is no `{method}` on `{host}`"))
            .help("install it, or log in as the user itself and set `become: false`"),
        Denial::Other { message } => {
            let failed = found(format!("`{method}` on `{host}` failed to become `{user}`"));
            if message.is_empty() { failed.note("it ended without a word") } else { failed.note(message) }
        }
    }
}

/// The connection stands; what runs over it fails.
fn program(error: &ConnectError) -> Diagnostic {
    match error {
        ConnectError::Channel { host, reason } => {
            Diagnostic::error("channel-refused", format!("`{host}` opened no channel for a command")).note(reason)
        }
        ConnectError::Architecture { host, machine, have } => {
            let found =
                Diagnostic::error("no-host-program", format!("there is no host program for `{host}`, a {machine} machine"));
            let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
            found.note(format!("at hand: {have}")).help(format!("put `roll-remote-{machine}` beside `roll`"))
        }
        ConnectError::CannotRun { host, reason } => {
            Diagnostic::error("host-program-failed", format!("the host program cannot run on `{host}`")).note(reason)
        }
        ConnectError::Garbage { host, bytes } => {
            Diagnostic::error("not-the-host-program", format!("something else than the host program talks on `{host}`"))
                .note(format!("it said: {}", String::from_utf8_lossy(bytes).escape_debug()))
                .help("check what the login shell's start-up files print or start")
        }
        ConnectError::Lost { host, doing, reason } => {
            Diagnostic::error("connection-lost", format!("the connection to `{host}` was lost during {doing}"))
                .note(reason)
                .note("whether it was carried out is not known")
        }
        ConnectError::NoBody { host, doing, reason } => {
            Diagnostic::error("file-transfer", format!("a file for {doing} on `{host}` could not be moved")).note(reason)
        }
        other => way(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_shows_both_and_where() {
        let error = ConnectError::ChangedKey {
            host: "web1".into(),
            file: "/home/ada/.ssh/known_hosts".into(),
            line: 7,
            expected: "SHA256:old".into(),
            got: "SHA256:new".into(),
        };
        let found = error.explain();
        assert_eq!(found.code, "changed-host-key");
        assert_eq!(found.notes[0], "/home/ada/.ssh/known_hosts:7 has SHA256:old");
        assert_eq!(error.to_string(), "the host key of `web1` has changed");
    }

    #[test]
    fn a_jump_host_is_named_with_its_own_reason() {
        let cause = ConnectError::Refused { host: "gate".into(), address: "10.0.0.1:22".into() };
        let error = ConnectError::Jump { host: "db".into(), hop: "gate".into(), cause: Box::new(cause) };
        let found = error.explain();
        assert_eq!(found.code, "connection-refused");
        assert!(found.title.ends_with("(jump host `gate` on the way to `db`)"), "{}", found.title);
    }
}
