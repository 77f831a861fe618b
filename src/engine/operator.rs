//! The person at the terminal: what they type, with or without showing it.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io;

/// One line of standard input, without its end. Echo is back on when this future is done or dropped.
pub(crate) async fn line(is_shown: bool) -> io::Result<String> {
    let _silence = (!is_shown).then(Silence::begin).flatten();
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line.trim_end_matches(['\n', '\r']).to_owned())
    });
    read.await.map_err(io::Error::other)?
}

/// What `--step` may be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Run,
    PassOver,
    /// Run this and all that follows without asking.
    RunAll,
}

impl Step {
    /// `n` unless it is clear.
    pub(crate) fn of(answer: &str) -> Step {
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Step::Run,
            "c" | "continue" => Step::RunAll,
            _ => Step::PassOver,
        }
    }
}

/// The terminal without echo.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> Option<Silence> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        silent.local_modes |= LocalModes::ECHONL;
        tcsetattr(io::stdin(), OptionalActions::Now, &silent).ok()?;
        Some(Silence { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_runs_a_task() {
        assert_eq!(
            ["y", " Yes ", "c", "continue", "n", "", "what"].map(Step::of),
            [Step::Run, Step::Run, Step::RunAll, Step::RunAll, Step::PassOver, Step::PassOver, Step::PassOver]
        );
    }
}
