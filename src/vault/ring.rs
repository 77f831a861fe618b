//! The secrets of a run.

use super::{Envelope, Problem, cipher};
use crate::value::Text;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a vault without an id is opened with.
pub const DEFAULT_ID: &str = "default";

/// A password and the id that vaults know it by.
#[derive(Clone, Debug)]
pub struct Secret {
    pub id: String,
    pub password: Text,
}

/// All secrets that were given, in order. Deriving keys is slow, so what was opened once is remembered.
#[derive(Debug, Default)]
pub struct Ring {
    secrets: Vec<Secret>,
    /// Only a secret with the id of the vault is tried (`ANSIBLE_VAULT_ID_MATCH`).
    must_match: bool,
    opened: Mutex<HashMap<String, Text>>,
}

impl Ring {
    pub fn new(secrets: Vec<Secret>, must_match: bool) -> Ring {
        Ring { secrets, must_match, opened: Mutex::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    pub fn ids(&self) -> Vec<String> {
        self.secrets.iter().map(|secret| secret.id.clone()).collect()
    }

    /// What is in a vault, by the first secret that fits; those with the vault's id are tried first.
    pub fn open(&self, vault: &str) -> Result<Vec<u8>, Problem> {
        let envelope = Envelope::read(vault)?;
        if self.secrets.is_empty() {
            return Err(Problem::NoSecrets);
        }
        let id = envelope.id.as_deref().unwrap_or(DEFAULT_ID);
        let (same, other): (Vec<&Secret>, Vec<&Secret>) = self.secrets.iter().partition(|secret| secret.id == id);
        let other = if self.must_match { Vec::new() } else { other };
        same.into_iter()
            .chain(other)
            .find_map(|secret| cipher::unseal(&envelope.sealed, secret.password.as_bytes()))
            .ok_or(Problem::NoneFits { id: envelope.id })
    }

    /// The same for a value, which is a text.
    pub fn open_text(&self, vault: &str) -> Result<Text, Problem> {
        if let Some(text) = self.opened().get(vault) {
            return Ok(text.clone());
        }
        let text = String::from_utf8(self.open(vault)?).map_err(|_| Problem::NotText)?;
        let text = Text::secret(text);
        self.opened().insert(vault.to_owned(), text.clone());
        Ok(text)
    }

    /// Whether a text is what a value's vault held.
    pub fn has_opened(&self, text: &str) -> bool {
        self.opened().values().any(|opened| opened.as_str() == text)
    }

    /// What to encrypt with: the secret of that id, or the only one.
    pub fn to_close_with(&self, id: Option<&str>) -> Result<&Secret, Problem> {
        let Some(id) = id else {
            let mut known = self.ids();
            known.dedup();
            return match self.secrets.as_slice() {
                [] => Err(Problem::NoSecrets),
                [first, ..] if known.len() == 1 => Ok(first),
                _ => Err(Problem::ManyIds { known }),
            };
        };
        let named = self.secrets.iter().find(|secret| secret.id == id);
        named.ok_or_else(|| Problem::NoSuchId { id: id.to_owned(), known: self.ids() })
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<String, Text>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{close, open};
    use super::*;

    /// As `ansible-vault encrypt_string` of ansible-core 2.19 wrote them, the first with the password `pw1`.
    const DEFAULT: &str = include_str!("../../tests/cases/vault/default.vault");
    const LABELLED: &str = include_str!("../../tests/cases/vault/prod.vault");

    fn ring(secrets: &[(&str, &str)], must_match: bool) -> Ring {
        let secret = |(id, password): &(&str, &str)| Secret { id: (*id).to_owned(), password: Text::secret(*password) };
        Ring::new(secrets.iter().map(secret).collect(), must_match)
    }

    #[test]
    fn the_secret_that_fits_opens_it_whatever_its_id() {
        assert_eq!(ring(&[("dev", "pw1")], false).open(DEFAULT).unwrap(), b"plain pw");
        assert_eq!(ring(&[("dev", "pw1"), ("x", "pw2")], false).open_text(LABELLED).unwrap().as_str(), "hello\n");
        assert!(ring(&[("dev", "pw2")], false).open_text(LABELLED).unwrap().is_secret());
    }

    #[test]
    fn with_matching_only_the_named_secret_is_tried() {
        assert_eq!(ring(&[("dev", "pw2")], true).open(LABELLED), Err(Problem::NoneFits { id: Some("prod".into()) }));
        assert!(ring(&[("prod", "pw2")], true).open(LABELLED).is_ok());
        assert!(ring(&[(DEFAULT_ID, "pw1")], true).open(DEFAULT).is_ok());
    }

    #[test]
    fn a_wrong_password_and_a_changed_text_open_nothing() {
        assert_eq!(ring(&[], false).open(DEFAULT), Err(Problem::NoSecrets));
        assert_eq!(ring(&[("a", "wrong")], false).open(DEFAULT), Err(Problem::NoneFits { id: None }));
        let mut envelope = Envelope::read(DEFAULT).unwrap();
        envelope.sealed.body[0] ^= 1;
        assert_eq!(open(&envelope.to_text(), "pw1"), Err(Problem::NoneFits { id: None }));
    }

    #[test]
    fn what_is_closed_opens_again_and_says_its_id() {
        for plain in ["", "x", "sixteen letters!", "a longer text with\nlines and é"] {
            let vault = close(plain.as_bytes(), "pw", "dev", None).unwrap();
            assert!(vault.starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n") && vault.lines().all(|line| line.len() <= 80));
            assert_eq!(open(&vault, "pw").unwrap(), plain.as_bytes());
            assert_ne!(vault, close(plain.as_bytes(), "pw", "dev", None).unwrap(), "a salt is used once");
        }
    }

    /// `{{ 'sec' | vault('pw', 'salt') }}` of ansible-core.
    #[test]
    fn with_a_salt_the_bytes_are_those_of_ansible() {
        let expected = include_str!("../../tests/cases/vault/salted.vault");
        assert_eq!(close(b"sec", "pw", "filter_default", Some(b"salt")).unwrap(), expected);
    }

    #[test]
    fn to_encrypt_the_secret_must_be_clear() {
        let two = ring(&[("dev", "pw1"), ("prod", "pw2")], false);
        assert_eq!(two.to_close_with(Some("prod")).unwrap().password.as_str(), "pw2");
        assert_eq!(two.to_close_with(None).unwrap_err(), Problem::ManyIds { known: vec!["dev".into(), "prod".into()] });
        assert_eq!(
            two.to_close_with(Some("no")).unwrap_err().to_string(),
            "there is no vault id `no` to encrypt with; given are dev, prod"
        );
        assert_eq!(ring(&[("dev", "pw1")], false).to_close_with(None).unwrap().id, "dev");
    }
}
