//! What can be done to a host: a closed list of acts, each of them data.

use super::app::book::Book;
use super::pattern::Pattern;
use super::{Attrs, Cmd, Failure, HttpRequest, Look};
use crate::value::{Map, Value};
use std::time::Duration;

/// Hands on one host. Only [`Touch::perform`] ever changes anything.
pub trait Touch {
    /// Carries one act out, whole or not at all as far as the system allows it.
    fn perform(&mut self, act: &Act) -> Result<Done, Failure>;
    fn look(&self) -> &dyn Look;
}

/// One mutation of a host.
#[derive(Clone, Debug)]
pub enum Act {
    /// Replaces a file atomically: temp file in the same directory, owner and mode, `validate`, fsync, rename.
    Write(Write),
    /// Mode and owner of what is there.
    SetAttrs {
        path: String,
        attrs: Attrs,
        follow: bool,
    },
    /// A directory; parents must exist.
    MakeDir {
        path: String,
        attrs: Attrs,
    },
    /// A file, a link, or a directory with everything in it; links are not followed.
    Remove {
        path: String,
    },
    /// Replaces what is there, if it is a link or a file, atomically.
    Symlink {
        path: String,
        target: String,
    },
    Hardlink {
        path: String,
        target: String,
    },
    /// Times in seconds since 1970; creates an empty file where there is none. `None` leaves a time alone.
    SetTimes {
        path: String,
        atime: Option<f64>,
        mtime: Option<f64>,
    },
    /// Answers with `rc`, `stdout`, `stderr`.
    Run(Cmd),
    /// Runs a program at a terminal and answers its questions; answers as a command with any status does.
    Converse {
        cmd: Cmd,
        answers: Vec<Answer>,
        /// Killed after so long without a question; none means never.
        silence: Option<Duration>,
        /// What is answered is shown, as a terminal does.
        echo: bool,
    },
    /// A request that changes something; a status of 400 and more fails the task unless listed in `accept`.
    Http {
        request: HttpRequest,
        accept: &'static [u16],
    },
    /// Body of a request into a file, streamed; `checksum` is `algorithm:hex`.
    Download {
        request: HttpRequest,
        checksum: Option<String>,
        write: Box<Write>,
    },
    /// A fresh temporary file or directory; answers with `path`.
    MakeTemp {
        dir: Option<String>,
        prefix: String,
        suffix: String,
        is_dir: bool,
    },
    /// Streams a file's bytes to the control side, which knows it by its sha256.
    Send {
        path: String,
        hash: String,
    },
    /// One command for HAProxy's runtime API; answers with `command` and `answer`.
    Tell(Box<Tell>),
    /// The lock of an app, and the generation that goes with it.
    Lock(Box<Lock>),
    /// Nothing to carry out: the change only says that something is not as wanted.
    Note,
}

/// What a program may ask, and what it is told.
#[derive(Clone, Debug)]
pub struct Answer {
    pub question: String,
    pub pattern: Pattern,
    pub texts: Vec<String>,
    /// The one text is for every time that it asks; otherwise each is for one time.
    pub is_repeated: bool,
}

/// A command that changes something. HAProxy says nothing to one that it carries out.
#[derive(Clone, Debug)]
pub struct Tell {
    /// The path of the admin socket.
    pub socket: String,
    pub line: String,
    /// An answer that is not empty fails the task, unless it is wanted.
    pub any_answer: bool,
    /// Returned as `found`: how things were before.
    pub found: Value,
}

/// What is wanted of an app's lock. Answers with `held`, and where it is not, with `holder`; a stale rollout fails as `fenced`.
#[derive(Clone, Debug)]
pub struct Lock {
    pub wish: Wish,
    pub app: String,
    /// The app's directory, which is there.
    pub dir: String,
    pub run: String,
    pub who: String,
    pub from: String,
    pub step: String,
    /// Raises the host's generation to this one.
    pub generation: Option<i64>,
    /// Let go after so long without a word from the control side.
    pub silence: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Take,
    /// Only if it is held already.
    Keep,
    GiveBack,
}

#[derive(Clone, Debug)]
pub struct Write {
    pub path: String,
    pub content: Content,
    pub attrs: Attrs,
    /// A command with `%s` for the new file; it must succeed before the old one is replaced.
    pub validate: Option<String>,
    /// Keep a copy of the old file beside it; answers with `backup_file`.
    pub backup: bool,
    /// Write in place where the directory does not allow renaming.
    pub unsafe_writes: bool,
}

/// The bytes of a file to be written.
#[derive(Clone, Debug)]
pub enum Content {
    Bytes(Vec<u8>),
    /// Sent ahead by the control side, named by its sha256.
    Blob(String),
    /// A file on the host.
    File(String),
}

/// What came of one act.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Return values (`rc`, `stdout`, `backup_file`, `status` …).
    pub values: Map,
    /// Set where only doing it told whether anything changed (a download of the same bytes).
    pub changed: Option<bool>,
}

impl Lock {
    pub(crate) fn book(&self) -> Book {
        Book { app: self.app.clone(), dir: self.dir.clone() }
    }
}

impl Tell {
    /// With what may be done about it.
    pub fn refused(&self, answer: &str) -> Failure {
        let answer = answer.trim();
        let hint = if answer.starts_with("Permission denied") {
            "; orders need a socket of level admin (`stats socket PATH level admin` in HAProxy's configuration)"
        } else {
            ""
        };
        Failure::new(format!("haproxy refused `{}`: {answer}{hint}", self.line))
    }
}

impl Write {
    pub fn new(path: impl Into<String>, content: Content) -> Write {
        Write { path: path.into(), content, attrs: Attrs::default(), validate: None, backup: false, unsafe_writes: false }
    }
}
