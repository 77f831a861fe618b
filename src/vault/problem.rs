//! Why a vault stays closed.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    NotVault,
    TooLarge {
        bytes: usize,
    },
    Version {
        version: String,
    },
    Cipher {
        cipher: String,
    },
    Damaged {
        part: &'static str,
    },
    NoSecrets,
    /// `id` is what the vault says that it is opened with.
    NoneFits {
        id: Option<String>,
    },
    /// Opened, but no UTF-8 where a text is needed.
    NotText,
    NoSalt {
        why: String,
    },
    NoSuchId {
        id: String,
        known: Vec<String>,
    },
    ManyIds {
        known: Vec<String>,
    },
}

/// Playbooks meet the first words in `msg`, so they are those of Ansible where it has a message.
impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotVault => out.write_str("Input is not vault encrypted data."),
            Problem::TooLarge { bytes } => write!(out, "the vault has {} MiB, which is too much", bytes >> 20),
            Problem::Version { version } => write!(out, "there is no vault format `{version}`; 1.1 and 1.2 are read"),
            Problem::Cipher { cipher } => write!(out, "there is no vault cipher `{cipher}`; AES256 is read"),
            Problem::Damaged { part } => write!(out, "the vault is damaged: its {part} cannot be read"),
            Problem::NoSecrets => out.write_str("Attempting to decrypt but no vault secrets found."),
            Problem::NoneFits { id } => {
                out.write_str("Decryption failed (no vault secrets were found that could decrypt).")?;
                id.as_ref().map_or(Ok(()), |id| write!(out, " The vault says that its id is `{id}`."))
            }
            Problem::NotText => out.write_str("what is in the vault is no text"),
            Problem::NoSalt { why } => write!(out, "no random bytes could be had: {why}"),
            Problem::NoSuchId { id, known } => {
                write!(out, "there is no vault id `{id}` to encrypt with")?;
                if known.is_empty() { Ok(()) } else { write!(out, "; given are {}", known.join(", ")) }
            }
            Problem::ManyIds { known } => write!(
                out,
                "The vault-ids {} are available to encrypt. Specify the vault-id to encrypt with --encrypt-vault-id",
                known.join(",")
            ),
        }
    }
}

impl std::error::Error for Problem {}
