//! Reading and replacing files of vaults.

use super::private;
use crate::diag::Diagnostic;
use crate::vault::is_vault;
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Where a text is read or written.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Standard input, standard output.
    Stream,
    File(PathBuf),
}

impl Place {
    pub(super) fn of(path: &Path) -> Place {
        if path == Path::new("-") { Place::Stream } else { Place::File(path.to_owned()) }
    }

    pub(super) fn read(&self) -> Result<Vec<u8>, Diagnostic> {
        let content = match self {
            Place::Stream => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
            Place::File(path) => fs::read(path),
        };
        content.map_err(|error| self.failed("read", &error))
    }

    /// The same, of a vault.
    pub(super) fn vault(&self) -> Result<String, Diagnostic> {
        let bytes = self.read()?;
        let text = if is_vault(&bytes) { String::from_utf8(bytes).ok() } else { None };
        text.ok_or_else(|| Diagnostic::error("not-a-vault", format!("{self} is not encrypted")))
    }

    /// A file is replaced at once or not at all. It keeps its owner and mode; a new one is for its owner only.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Diagnostic> {
        let written = match self {
            Place::Stream => {
                let mut out = io::stdout();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Place::File(path) => replace(path, bytes),
        };
        written.map_err(|error| self.failed("written", &error))
    }

    fn failed(&self, verb: &str, error: &io::Error) -> Diagnostic {
        let text = error.to_string();
        let why = text.split(" (os error").next().unwrap_or(&text).to_lowercase();
        Diagnostic::error("vault-file", format!("{self} cannot be {verb}: {why}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Stream => out.write_str("standard input"),
            Place::File(path) => write!(out, "`{}`", path.display()),
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = fs::metadata(&path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return File::options().write(true).open(&path)?.write_all(bytes);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = folder.join(format!(".{}", private::random_name()?));
    let written = fill(&beside, bytes, before.as_ref()).and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn fill(path: &Path, bytes: &[u8], before: Option<&fs::Metadata>) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    if let Some(before) = before {
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(before.mode() & 0o7777))?;
    }
    file.sync_all()
}
