//! Keys, encryption and the check that nothing was changed.

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::io::Read as _;

/// As many as `ansible-vault` does; the format has no field for it.
const ROUNDS: u32 = 10_000;
const SALT_LEN: usize = 32;
const KEY_LEN: usize = 32;
const BLOCK_LEN: usize = 16;

/// What is inside of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(super) salt: Vec<u8>,
    pub(super) check: Vec<u8>,
    pub(super) body: Vec<u8>,
}

struct Keys {
    cipher: [u8; KEY_LEN],
    check: [u8; KEY_LEN],
    counter: [u8; BLOCK_LEN],
}

impl Keys {
    /// None for what the hash cannot take as a key, which does not happen.
    fn derive(password: &[u8], salt: &[u8]) -> Option<Keys> {
        let mut bytes = [0; 2 * KEY_LEN + BLOCK_LEN];
        pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, ROUNDS, &mut bytes).ok()?;
        let mut keys = Keys { cipher: [0; KEY_LEN], check: [0; KEY_LEN], counter: [0; BLOCK_LEN] };
        keys.cipher.copy_from_slice(&bytes[..KEY_LEN]);
        keys.check.copy_from_slice(&bytes[KEY_LEN..2 * KEY_LEN]);
        keys.counter.copy_from_slice(&bytes[2 * KEY_LEN..]);
        Some(keys)
    }

    /// Counter mode is its own inverse.
    fn apply(&self, bytes: &mut [u8]) {
        Ctr128BE::<Aes256>::new(&self.cipher.into(), &self.counter.into()).apply_keystream(bytes);
    }

    fn checker(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut checker = Hmac::<Sha256>::new_from_slice(&self.check).ok()?;
        checker.update(body);
        Some(checker)
    }
}

pub(super) fn new_salt() -> std::io::Result<Vec<u8>> {
    let mut salt = vec![0; SALT_LEN];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut salt)?;
    Ok(salt)
}

pub(super) fn seal(plain: &[u8], password: &[u8], salt: &[u8]) -> Sealed {
    let mut body = plain.to_vec();
    let padding = BLOCK_LEN - body.len() % BLOCK_LEN;
    body.resize(body.len() + padding, u8::try_from(padding).unwrap_or_default());
    let mut sealed = Sealed { salt: salt.to_vec(), check: Vec::new(), body };
    if let Some(keys) = Keys::derive(password, salt) {
        keys.apply(&mut sealed.body);
        sealed.check = keys.checker(&sealed.body).map(|checker| checker.finalize().into_bytes().to_vec()).unwrap_or_default();
    }
    sealed
}

/// None where the password does not fit, or the text was changed: the two cannot be told apart.
pub(super) fn unseal(sealed: &Sealed, password: &[u8]) -> Option<Vec<u8>> {
    let keys = Keys::derive(password, &sealed.salt)?;
    keys.checker(&sealed.body)?.verify_slice(&sealed.check).ok()?;
    let mut plain = sealed.body.clone();
    keys.apply(&mut plain);
    let padding = usize::from(*plain.last()?);
    let length = plain.len().checked_sub(padding).filter(|_| (1..=BLOCK_LEN).contains(&padding))?;
    plain.truncate(length);
    Some(plain)
}
