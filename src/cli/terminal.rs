//! What the streams are, and writing to them.

use crate::cli::config::Config;
use crate::diag::{Diagnostic, Sources};
use crate::report::{self, Paint, Window};
use std::io::{IsTerminal as _, Write as _};

/// Whether standard output and standard error get colours.
pub(super) fn paints(no_color: bool, config: &Config) -> (Paint, Paint) {
    let is_off = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || config.is("nocolor");
    let is_forced = config.is("force_color");
    let paint = |is_terminal: bool| Paint { color: !is_off && (is_forced || is_terminal) };
    (paint(std::io::stdout().is_terminal()), paint(std::io::stderr().is_terminal()))
}

/// The terminal behind standard output, if it can show moving lines.
pub(super) fn window() -> Option<Window> {
    if !std::io::stdout().is_terminal() || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(Window { columns: size.ws_col.into(), rows: size.ws_row.into(), has_errors: std::io::stderr().is_terminal() })
}

pub(super) fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

/// A text on standard output. A closed pipe is no reason to panic.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// A text on standard error.
pub(super) fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// All diagnostics and their number, with what holds now.
pub(super) fn explain(found: &[Diagnostic], sources: &Sources, paint: Paint, now: &str) {
    if found.is_empty() {
        return;
    }
    complain(&report::diagnostic::render(found, sources, paint.color));
    complain(&format!("\n{}\n", report::diagnostic::summary(found, sources, now)));
}

/// The same without a number: for warnings.
pub(super) fn warn(found: &[Diagnostic], sources: &Sources, paint: Paint) {
    if !found.is_empty() {
        complain(&format!("{}\n", report::diagnostic::render(found, sources, paint.color)));
    }
}
