//! Where a lab keeps its files on this machine: a private directory each, and what is written there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};

use super::failure::LabError;

/// The directory of all labs: `$XDG_STATE_HOME/roll/labs`, made private where it is missing.
pub(super) fn labs_dir() -> Result<PathBuf, LabError> {
    let dir = state_home()?.join("roll/labs");
    make_private(&dir)?;
    Ok(dir)
}

fn state_home() -> Result<PathBuf, LabError> {
    let given = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    given("XDG_STATE_HOME").or_else(|| given("HOME").map(|home| home.join(".local/state"))).ok_or_else(|| LabError::File {
        path: "$HOME".into(),
        source: std::io::Error::other("neither `XDG_STATE_HOME` nor `HOME` is an absolute path"),
    })
}

pub(super) fn make_private(dir: &Path) -> Result<(), LabError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(LabError::file(dir))
}

/// Writes a file only its owner can read.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<(), LabError> {
    let failed = |source| LabError::File { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(content).map_err(failed)
}

/// Removes a directory with all in it; one that is not there is fine.
pub(super) fn remove_dir(dir: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(LabError::File { path: dir.to_owned(), source }),
        _ => Ok(()),
    }
}

/// The lock that lets one process at a time build images; held while the file lives.
pub(super) async fn lock_builds() -> Result<File, LabError> {
    let path = labs_dir()?.join("images.lock");
    let file = File::create(&path).map_err(LabError::file(&path))?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(std::io::Error::other).and_then(|locked| locked).map_err(LabError::file(&path))
}

pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Bytes from the system's source of randomness.
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N], LabError> {
    let path = "/dev/urandom";
    let mut bytes = [0; N];
    File::open(path).and_then(|mut source| source.read_exact(&mut bytes)).map_err(LabError::file(path))?;
    Ok(bytes)
}

/// A fresh secret, as 32 hexadecimal digits.
pub(super) fn random_secret() -> Result<String, LabError> {
    Ok(random_bytes::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes the lab's own key at `path`; its public half, as one line.
pub(super) fn write_key(path: &Path, comment: &str) -> Result<String, LabError> {
    let failed = |because: russh::keys::ssh_key::Error| LabError::Key { because: because.to_string() };
    let pair = Ed25519Keypair::from_seed(&random_bytes()?);
    let key = PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(failed)?;
    write_private(path, key.to_openssh(LineEnding::LF).map_err(failed)?.as_bytes())?;
    key.public_key().to_openssh().map_err(failed)
}
