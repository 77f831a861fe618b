//! `retry_files_enabled`: the hosts that failed, as a file that `--limit @FILE` takes.

use crate::event::{Event, Reporter};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes the file when the recap comes, and says where it is.
pub struct RetryFile {
    file: PathBuf,
    out: Box<dyn Write + Send>,
}

impl RetryFile {
    /// `folder` is where the files of all playbooks are kept, where that is not beside them.
    pub fn new(playbook: &Path, folder: Option<&Path>, out: Box<dyn Write + Send>) -> RetryFile {
        let playbook = std::path::absolute(playbook).unwrap_or_else(|_| playbook.to_owned());
        let beside = playbook.with_extension("retry");
        let file = match (folder, beside.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => beside,
        };
        RetryFile { file, out }
    }

    fn save(&mut self, mut hosts: Vec<&str>) {
        hosts.sort_unstable();
        let lines: String = hosts.iter().map(|host| format!("{host}\n")).collect();
        let folder = self.file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let said = match folder.and_then(|()| std::fs::write(&self.file, lines)) {
            Ok(()) => writeln!(self.out, "\tto retry, use: --limit @{}", self.file.display()),
            Err(error) => writeln!(std::io::stderr(), "cannot write `{}`: {error}", self.file.display()),
        };
        let _ = said;
    }
}

impl Reporter for RetryFile {
    fn see(&mut self, event: &Event) {
        let Event::Recap { hosts, .. } = event else { return };
        let bad = hosts.iter().filter(|(_, stats)| stats.failed > 0 || stats.unreachable > 0);
        let bad: Vec<&str> = bad.map(|(host, _)| host.as_str()).collect();
        if !bad.is_empty() {
            self.save(bad);
        }
    }
}

impl std::fmt::Debug for RetryFile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "RetryFile({})", self.file.display())
    }
}
