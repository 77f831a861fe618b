//! This machine as a host: the same commands as over SSH, as child processes.

use super::ConnectError;
use super::pipe::Pipe;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// Runs a command line with `/bin/sh`.
pub(super) fn exec(host: &str, line: &str, home: Option<&Path>) -> Result<Pipe, ConnectError> {
    let child = Command::new("/bin/sh")
        .envs(home.map(|home| ("HOME", home)))
        .arg("-c")
        .arg(line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal is for the control side to handle.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    child.map(Pipe::of_child).map_err(|error| ConnectError::Channel { host: host.to_owned(), reason: error.to_string() })
}
