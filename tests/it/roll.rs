//! `roll` as its users run it: the real binary, in a directory and a home of its own, with no environment but what is said.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One call of `roll`.
pub(crate) struct Roll {
    dir: tempfile::TempDir,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    stdin: String,
    name: Option<&'static str>,
}

/// What came of it; the directory's name is replaced by `[DIR]`.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Longer than any test should take.
const TIME_MAX: Duration = Duration::from_secs(60);

impl Roll {
    pub(crate) fn new() -> Roll {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        Roll { dir, args: Vec::new(), env: Vec::new(), stdin: String::new(), name: None }
    }

    /// A file below the directory that `roll` runs in.
    pub(crate) fn file(self, name: &str, text: &str) -> Roll {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn mode(self, name: &str, mode: u32) -> Roll {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn args<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Roll {
        self.args.extend(words.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Roll {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As if a link of this name led to it.
    pub(crate) fn called(mut self, name: &'static str) -> Roll {
        self.name = Some(name);
        self
    }

    pub(crate) fn stdin(mut self, text: &str) -> Roll {
        text.clone_into(&mut self.stdin);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a file below the directory holds now.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn run(&self) -> Ran {
        self.finish(self.spawn())
    }

    /// For tests that do something to it while it runs.
    pub(crate) fn spawn(&self) -> Child {
        let mut child = self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It need not read its input.
        let _ = stdin.write_all(self.stdin.as_bytes());
        child
    }

    /// Waits for the end; kills what does not end.
    pub(crate) fn finish(&self, child: Child) -> Ran {
        let id = child.id();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let guard = std::thread::spawn(move || {
            let started = Instant::now();
            while started.elapsed() < TIME_MAX {
                if is_done.recv_timeout(Duration::from_millis(50)) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    return false;
                }
            }
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            true
        });
        let output = child.wait_with_output().unwrap();
        drop(done);
        assert!(!guard.join().unwrap(), "it did not end: {}", String::from_utf8_lossy(&output.stderr));
        Ran { code: output.status.code(), stdout: self.redacted(&output.stdout), stderr: self.redacted(&output.stderr) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roll"));
        if let Some(name) = self.name {
            command.arg0(name);
        }
        command.args(&self.args).current_dir(self.dir.path()).env_clear();
        command.env("HOME", self.path("home")).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // Records of rollouts belong to the test, whoever runs it.
        command.env("ROLL_STATE_DIR", self.path("state"));
        command.env("USER", "tester").env("ROLL_REMOTE", env!("CARGO_BIN_EXE_roll-remote"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn redacted(&self, bytes: &[u8]) -> String {
        let canonical = self.dir.path().canonicalize().unwrap_or_else(|_| self.dir.path().to_owned());
        let text = String::from_utf8_lossy(bytes).into_owned();
        [canonical.as_path(), self.dir.path()]
            .iter()
            .fold(text, |text, dir: &&Path| text.replace(&*dir.to_string_lossy(), "[DIR]"))
    }
}
