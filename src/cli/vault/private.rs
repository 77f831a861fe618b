//! Plaintext where nobody else can read it: in an editor, or a page at a time.

use crate::cli::terminal;
use crate::diag::Diagnostic;
use std::fs::{self, DirBuilder, File};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the operator makes of `plain` in an editor.
pub(super) fn edited(plain: &[u8]) -> Result<Vec<u8>, Diagnostic> {
    let failed = |error: io::Error| Diagnostic::error("vault-editor", format!("the text could not be edited: {error}"));
    let scrap = Scrap::new(plain).map_err(failed)?;
    let editor = std::env::var("EDITOR").ok().filter(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "vi".to_owned());
    let words = shell_words::split(&editor).unwrap_or_else(|_| vec![editor.clone()]);
    let Some((program, args)) = words.split_first() else { return Err(failed(io::Error::other("`EDITOR` is empty"))) };
    let status = Command::new(program).args(args).arg(scrap.file()).status();
    match status {
        Ok(status) if status.success() => fs::read(scrap.file()).map_err(failed),
        Ok(status) => Err(Diagnostic::error("vault-editor", format!("`{editor}` ended with {status}; nothing was changed"))),
        Err(error) => Err(Diagnostic::error("vault-editor", format!("`{editor}` could not be started: {error}"))
            .help("`EDITOR` names the editor")),
    }
}

/// On a terminal with a pager, which gets the text through a pipe.
pub(super) fn page(plain: &[u8]) -> Result<(), Diagnostic> {
    if io::stdout().is_terminal() {
        let pager = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty()).unwrap_or_else(|| "less".to_owned());
        let words = shell_words::split(&pager).unwrap_or_default();
        if let Some((program, args)) = words.split_first()
            && let Ok(mut child) = Command::new(program).args(args).stdin(Stdio::piped()).spawn()
        {
            if let Some(mut input) = child.stdin.take() {
                // Who leaves the pager early closes the pipe.
                let _ = input.write_all(plain);
            }
            let _ = child.wait();
            return Ok(());
        }
    }
    let mut out = io::stdout();
    let written = out.write_all(plain).and_then(|()| out.flush());
    written.map_err(|error| Diagnostic::error("vault-file", format!("standard output cannot be written: {error}")))
}

pub(super) fn random_name() -> io::Result<String> {
    let mut bytes = [0; 12];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().fold("roll-vault-".to_owned(), |name, byte| format!("{name}{byte:02x}")))
}

/// A file in a directory of its own, both for their owner only; overwritten and removed in the end.
struct Scrap {
    folder: PathBuf,
}

impl Scrap {
    fn new(plain: &[u8]) -> io::Result<Scrap> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_dir());
        let folder = runtime.unwrap_or_else(std::env::temp_dir).join(random_name()?);
        DirBuilder::new().mode(0o700).create(&folder)?;
        let scrap = Scrap { folder };
        File::options().write(true).create_new(true).mode(0o600).open(scrap.file())?.write_all(plain)?;
        Ok(scrap)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("plain.yml")
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        wipe(&self.file());
        if fs::remove_dir_all(&self.folder).is_err() {
            terminal::complain(&format!("warning: `{}` could not be removed; it holds plaintext\n", self.folder.display()));
        }
    }
}

fn wipe(file: &Path) {
    let length = fs::metadata(file).map(|found| found.len()).unwrap_or(0);
    if let Ok(mut file) = File::options().write(true).open(file) {
        let _ = io::copy(&mut io::repeat(0).take(length), &mut file);
        let _ = file.sync_all();
    }
}
