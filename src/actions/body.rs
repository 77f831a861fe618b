//! File bodies on their way to a host: named by hash, read when the host asks for them.

use super::{Hands, Problem, digest};
use crate::value::{Map, VAULT_HEADER, hex};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The bodies that one request may need, by sha256.
#[derive(Debug, Default, Clone)]
pub struct Bodies {
    bodies: BTreeMap<String, Body>,
}

#[derive(Debug, Clone)]
pub enum Body {
    Bytes(Arc<Vec<u8>>),
    File(PathBuf),
}

impl Bodies {
    /// Adds bytes and answers with their name.
    pub fn add_bytes(&mut self, bytes: Vec<u8>) -> String {
        let name = hex(&Sha256::digest(&bytes));
        self.bodies.insert(name.clone(), Body::Bytes(Arc::new(bytes)));
        name
    }

    /// Adds a file, reading it once for its name; it is read again when the host wants it.
    pub fn add_file(&mut self, path: &Path) -> std::io::Result<String> {
        let name = digest::sum::<Sha256>(path)?;
        self.bodies.insert(name.clone(), Body::File(path.to_owned()));
        Ok(name)
    }

    /// Adds a file without reading it first: its name says nothing about what is in it.
    pub(super) fn add_unread(&mut self, path: &Path) -> std::io::Result<String> {
        let found = std::fs::metadata(path)?;
        let identity = format!("{} {} {} {}.{}", found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        let name = hex(&Sha256::digest(identity)[..16]);
        self.bodies.insert(name.clone(), Body::File(path.to_owned()));
        Ok(name)
    }

    pub(super) fn size(&self, name: &str) -> Option<u64> {
        match self.bodies.get(name)? {
            Body::Bytes(bytes) => u64::try_from(bytes.len()).ok(),
            Body::File(path) => Some(std::fs::metadata(path).ok()?.len()),
        }
    }

    pub(super) fn sha1(&self, name: &str) -> std::io::Result<String> {
        match self.bodies.get(name) {
            Some(Body::Bytes(bytes)) => Ok(hex(&Sha1::digest(bytes.as_slice()))),
            Some(Body::File(path)) => digest::sum::<Sha1>(path),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    /// Adds a file, or what is in it where it is a vault, unless the task says `decrypt: false`.
    pub(super) fn add_opened(&mut self, path: &Path, args: &Map, hands: &impl Hands) -> Result<String, Problem> {
        let unreadable = |error| Problem::unreadable(path, &error);
        let must_open = args.get("decrypt").is_none_or(|decrypt| decrypt.to_bool() != Some(false));
        if must_open && starts_as_vault(path).map_err(unreadable)? {
            let bytes = hands.read(path).map_err(|problem| match problem.failure.msg.ends_with(NO_SECRETS) {
                true => Problem::new(format!("A vault password or secret must be specified to decrypt {}", path.display())),
                false => problem,
            });
            return bytes.map(|bytes| self.add_bytes(bytes));
        }
        self.add_file(path).map_err(unreadable)
    }

    pub fn get(&self, name: &str) -> Option<&Body> {
        self.bodies.get(name)
    }

    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }
}

/// How a vault that nobody can open is told.
const NO_SECRETS: &str = "no vault secrets found.";

pub(super) fn starts_as_vault(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(VAULT_HEADER.len() as u64).read_to_end(&mut start)?;
    Ok(start == VAULT_HEADER.as_bytes())
}
