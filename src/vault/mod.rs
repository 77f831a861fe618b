//! Ansible's vault: encrypted files and values, opened and made.
//!
//! Main type: [`Ring`], the secrets of a run; it opens what any of them fits. [`Envelope`] is the text of a vault as its parts,
//! [`cipher`] what is inside (format 1.1 and 1.2: AES-256 in counter mode, checked by HMAC-SHA256 before it is decrypted, keys from
//! PBKDF2). What comes out of a vault is a secret. Both directions are the same bytes as `ansible-vault` makes and reads.
//!
//! This room reads no file, asks nobody and never shows a password or a plaintext, not in errors either: passwords come from `cli`,
//! texts through `diag::Sources`. A vault may come from anybody, so nothing in here panics on one. Start reading at [`Ring`].

mod cipher;
mod envelope;
mod problem;
mod ring;

pub use envelope::Envelope;
pub use problem::Problem;
pub use ring::{DEFAULT_ID, Ring, Secret};

use crate::value::VAULT_HEADER;

/// The longest text that is opened.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;

/// Whether this is the text of a vault.
pub fn is_vault(bytes: &[u8]) -> bool {
    bytes.starts_with(VAULT_HEADER.as_bytes())
}

/// `plain` in a vault that `secret` opens. Without a salt a new one is made; `id` is written down unless it is the default one.
pub fn close(plain: &[u8], password: &str, id: &str, salt: Option<&[u8]>) -> Result<String, Problem> {
    let salt = match salt {
        Some(salt) => salt.to_vec(),
        None => cipher::new_salt().map_err(|error| Problem::NoSalt { why: error.to_string() })?,
    };
    let sealed = cipher::seal(plain, password.as_bytes(), &salt);
    Ok(Envelope { id: (id != DEFAULT_ID).then(|| id.to_owned()), sealed }.to_text())
}

/// What one password opens.
pub fn open(vault: &str, password: &str) -> Result<Vec<u8>, Problem> {
    let envelope = Envelope::read(vault)?;
    cipher::unseal(&envelope.sealed, password.as_bytes()).ok_or(Problem::NoneFits { id: envelope.id })
}
