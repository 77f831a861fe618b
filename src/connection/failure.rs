//! Why a host could not be reached, entered or kept: data only (see `explain` for the words).

use std::path::PathBuf;
use std::time::Duration;

/// `host` is the host's name in the inventory throughout.
#[derive(Clone, Debug, PartialEq)]
pub enum ConnectError {
    NameNotFound {
        host: String,
        name: String,
        reason: String,
    },
    Refused {
        host: String,
        address: String,
    },
    /// No route, network down and the like.
    Unreachable {
        host: String,
        address: String,
        reason: String,
    },
    Timeout {
        host: String,
        address: String,
        after: Duration,
        stage: Stage,
    },
    /// Something answered, but no SSH connection came of it.
    Handshake {
        host: String,
        address: String,
        reason: String,
    },
    UnknownKey {
        host: String,
        name: String,
        kind: String,
        fingerprint: String,
        files: Vec<PathBuf>,
    },
    ChangedKey {
        host: String,
        file: PathBuf,
        line: usize,
        expected: String,
        got: String,
    },
    RevokedKey {
        host: String,
        file: PathBuf,
        line: usize,
        fingerprint: String,
    },
    NoAccess {
        host: String,
        user: String,
        tried: Vec<Attempt>,
        /// What the server would have taken.
        offered: Vec<String>,
        /// Whether the server hung up while there was more to try.
        hung_up: bool,
    },
    /// A line of ssh_config or an `ssh` argument that cannot be used.
    Setting {
        host: String,
        origin: String,
        setting: String,
        reason: String,
    },
    Proxy {
        host: String,
        command: String,
        reason: String,
    },
    Jump {
        host: String,
        hop: String,
        cause: Box<ConnectError>,
    },
    /// The host refused one more channel, or the command in it.
    Channel {
        host: String,
        reason: String,
    },
    Become {
        host: String,
        method: &'static str,
        user: String,
        denial: Denial,
    },
    /// No host program for the host's machine type.
    Architecture {
        host: String,
        machine: String,
        have: Vec<String>,
    },
    /// The host program could not be put or run anywhere.
    CannotRun {
        host: String,
        reason: String,
    },
    /// Something else than the host program talks: the first bytes of it.
    Garbage {
        host: String,
        bytes: Vec<u8>,
    },
    /// The channel ended while something was under way; it may have happened or not.
    Lost {
        host: String,
        doing: String,
        reason: String,
    },
    /// A file body that the host asked for and that the control side does not have.
    NoBody {
        host: String,
        doing: String,
        reason: String,
    },
}

/// What was being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Tcp,
    Ssh,
    Login,
    Opening,
}

/// One way of proving who we are, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// `key /home/ada/.ssh/id_ed25519 (SHA256:…)`, `password`, `agent`.
    pub what: String,
    pub outcome: String,
}

/// Why become did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    NeedsPassword,
    WrongPassword,
    NotAllowed { message: String },
    NeedsTerminal,
    NoSuchUser,
    NoSuchProgram,
    Other { message: String },
}

impl ConnectError {
    /// Whether nothing of what was asked can have happened: trying again is safe.
    pub fn is_before_any_work(&self) -> bool {
        !matches!(self, ConnectError::Lost { .. } | ConnectError::NoBody { .. })
    }

    /// Whether another try a moment later may end differently.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            ConnectError::Refused { .. } | ConnectError::Unreachable { .. } | ConnectError::Timeout { .. } => true,
            ConnectError::Handshake { .. } | ConnectError::Proxy { .. } => true,
            ConnectError::Jump { cause, .. } => cause.is_passing(),
            _ => false,
        }
    }
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use crate::diag::Explain as _;
        out.write_str(&self.explain().title)
    }
}

impl std::error::Error for ConnectError {}
