//! What can go wrong in the lab, as data.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::diag::{Diagnostic, Explain};

use super::machines::LabId;

#[derive(Debug)]
pub(crate) enum LabError {
    /// No usable Docker engine, and none can be installed from here.
    NoEngine {
        because: String,
    },
    /// The engine runs, but its address is not on this machine, so the machines of the lab cannot be reached.
    RemoteEngine {
        host: String,
    },
    /// A tool is missing and cannot be installed from here.
    NoTool {
        tool: &'static str,
        because: String,
    },
    /// A program could not be started.
    Start {
        program: String,
        source: io::Error,
    },
    /// A program ran and failed; `tail` is the end of what it wrote.
    Command {
        what: String,
        status: Option<i32>,
        tail: String,
    },
    /// A program or machine took too long.
    Late {
        on: String,
        seconds: u64,
        tail: String,
    },
    /// A machine's systemd ended, or did not come up in time; `watches` is how many inotify instances a user may have, where that is few.
    Boot {
        machine: String,
        because: String,
        tail: String,
        watches: Option<u32>,
    },
    /// None of the known ways to boot systemd in a container works on this engine.
    NoBoot {
        tried: Vec<(&'static str, String)>,
    },
    /// A program answered with something that cannot be read.
    BadAnswer {
        from: String,
        answer: String,
    },
    File {
        path: PathBuf,
        source: io::Error,
    },
    Key {
        because: String,
    },
    NoLab {
        id: LabId,
    },
    /// More than one lab runs and none was named.
    WhichLab {
        running: Vec<LabId>,
    },
    BadId {
        text: String,
    },
    /// What is still there after everything was asked to go.
    Left {
        id: LabId,
        what: Vec<String>,
    },
    /// The first deployment failed, so there was nothing to rehearse.
    FirstDeploy {
        exit: Option<i32>,
    },
    /// The lab's address could not be reached over HTTP before any load was put on it.
    NotServing {
        url: String,
        because: String,
    },
}

impl LabError {
    /// The stable name of this kind of failure.
    fn code(&self) -> &'static str {
        match self {
            Self::NoEngine { .. } => "lab-no-engine",
            Self::RemoteEngine { .. } => "lab-remote-engine",
            Self::NoTool { .. } => "lab-no-tool",
            Self::Start { .. } => "lab-start",
            Self::Command { .. } => "lab-command",
            Self::Late { .. } => "lab-late",
            Self::Boot { .. } => "lab-boot",
            Self::NoBoot { .. } => "lab-no-boot",
            Self::BadAnswer { .. } => "lab-bad-answer",
            Self::File { .. } => "lab-file",
            Self::Key { .. } => "lab-key",
            Self::NoLab { .. } => "lab-unknown",
            Self::WhichLab { .. } => "lab-ambiguous",
            Self::BadId { .. } => "lab-bad-id",
            Self::Left { .. } => "lab-left-over",
            Self::FirstDeploy { .. } => "lab-first-deploy",
            Self::NotServing { .. } => "lab-not-serving",
        }
    }

    /// What to do next, where that is known.
    fn help(&self) -> Option<String> {
        match self {
            Self::NoEngine { .. } => {
                Some("install Docker and start it, or run this as root on Debian, where it is installed".into())
            }
            Self::RemoteEngine { .. } => Some("unset DOCKER_HOST, or point it at the engine of this machine".into()),
            Self::Boot { watches: Some(watches), .. } => Some(format!(
                "with other labs beside it, try `sysctl fs.inotify.max_user_instances=1024`: {watches} are allowed here, and systemd \
                 takes about six on each machine"
            )),
            Self::NoTool { tool, .. } => Some(format!("install `{tool}`")),
            Self::WhichLab { running } => Some(format!("name one of {}", listed(running))),
            Self::NoLab { .. } => Some("`roll lab status` lists the labs that run".into()),
            Self::Left { id, .. } => Some(format!("`roll lab down {id}` tries again")),
            _ => None,
        }
    }

    /// The end of what the failing program wrote.
    pub(super) fn tail(&self) -> Option<&str> {
        match self {
            Self::Command { tail, .. } | Self::Late { tail, .. } | Self::Boot { tail, .. } if !tail.is_empty() => Some(tail),
            _ => None,
        }
    }

    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEngine { because } => write!(f, "no usable Docker engine: {because}"),
            Self::RemoteEngine { host } => write!(f, "the Docker engine at `{host}` is not on this machine"),
            Self::NoTool { tool, because } => write!(f, "`{tool}` is missing: {because}"),
            Self::Start { program, source } => write!(f, "`{program}` does not start: {source}"),
            Self::Command { what, status: Some(status), .. } => write!(f, "{what} failed with exit code {status}"),
            Self::Command { what, status: None, .. } => write!(f, "{what} was ended by a signal"),
            Self::Late { on, seconds, .. } => write!(f, "{on} took longer than {seconds} s"),
            Self::Boot { machine, because, .. } => write!(f, "`{machine}` did not boot: {because}"),
            Self::NoBoot { tried } => {
                write!(f, "no container boots systemd on this engine")?;
                tried.iter().try_for_each(|(way, why)| write!(f, "; {way}: {why}"))
            }
            Self::BadAnswer { from, answer } => write!(f, "unreadable answer from {from}: `{answer}`"),
            Self::File { path, source } => write!(f, "`{}`: {source}", path.display()),
            Self::Key { because } => write!(f, "no key could be made: {because}"),
            Self::NoLab { id } => write!(f, "there is no lab `{id}`"),
            Self::WhichLab { running } => write!(f, "{} labs run", running.len()),
            Self::BadId { text } => write!(f, "`{text}` is not the id of a lab"),
            Self::Left { id, what } => write!(f, "lab `{id}` is not gone: {}", what.join(", ")),
            Self::FirstDeploy { exit: Some(exit) } => write!(f, "the first deployment failed with exit code {exit}"),
            Self::FirstDeploy { exit: None } => write!(f, "the first deployment was ended by a signal"),
            Self::NotServing { url, because } => write!(f, "nothing serves `{url}` after the first deployment: {because}"),
        }
    }
}

impl std::error::Error for LabError {}

impl Explain for LabError {
    fn explain(&self) -> Diagnostic {
        let found = Diagnostic::error(self.code(), self.to_string());
        let found = self.tail().map(str::to_owned).into_iter().fold(found, Diagnostic::note);
        self.help().into_iter().fold(found, Diagnostic::help)
    }
}

fn listed(ids: &[LabId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_has_the_tail_as_a_note_and_the_next_step_as_help() {
        let failed = LabError::Command { what: "docker run".into(), status: Some(125), tail: "no space left".into() };
        let found = failed.explain();
        assert_eq!((found.code.as_str(), found.title.as_str()), ("lab-command", "docker run failed with exit code 125"));
        assert_eq!((found.notes, found.help), (vec!["no space left".to_owned()], Vec::new()));
        let boot = LabError::Boot { machine: "m".into(), because: "it ended".into(), tail: String::new(), watches: Some(128) };
        let found = boot.explain();
        assert_eq!(found.title, "`m` did not boot: it ended");
        assert!(found.help[0].contains("`sysctl fs.inotify.max_user_instances=1024`: 128 are allowed here"), "{:?}", found.help);
        let which = LabError::WhichLab { running: vec!["a1".parse().unwrap(), "b2".parse().unwrap()] };
        assert_eq!(which.explain().help, ["name one of `a1`, `b2`"]);
    }
}
