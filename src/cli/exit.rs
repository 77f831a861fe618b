//! Exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the playbook turned out wrong while it ran (a handler that does not exist);
//!   also: something outside the run stood in the way (no Docker engine for a lab, no host left by `--limit`) |
//! | 2 | a host failed; also: the command line was not understood (as Ansible) |
//! | 3 | `roll plan --exit-code`: there is something to do |
//! | 4 | a host could not be reached; also: errors were found before anything was sent (as Ansible) |
//! | 8 | stopped by Ctrl-C or SIGTERM |
//! | 10 | a rollout was refused before it began |
//! | 11 | another run has the lock of a rollout's hosts |
//! | 12 | a rollout was halted |
//! | 13 | a rollout was reverted |
//! | 14 | a rollout could not be reverted |
//! | 15 | a rollout was interrupted; what had begun was finished |
//! | 16 | a rollout was taken over by a newer one, or its control side was silent for too long |
//! | 255 | a bug of `roll` |

use crate::engine::Ending;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done,
    Prevented,
    Usage,
    /// A plan that is not empty.
    Changes,
    /// Found before anything was sent.
    Refuted,
    Ended(Ending),
    Bug,
}

impl Exit {
    pub(super) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Prevented => 1,
            Exit::Usage => 2,
            Exit::Changes => 3,
            Exit::Refuted => 4,
            Exit::Ended(ending) => of_ending(ending),
            Exit::Bug => 255,
        }
    }
}

fn of_ending(ending: Ending) -> u8 {
    match ending {
        Ending::Done => 0,
        Ending::Failed => 2,
        Ending::Unreachable => 4,
        Ending::Stopped => 8,
        Ending::Broken => 1,
        Ending::Refused => 10,
        Ending::Locked => 11,
        Ending::Halted => 12,
        Ending::Reverted => 13,
        Ending::RevertFailed => 14,
        Ending::Interrupted => 15,
        Ending::Fenced => 16,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
