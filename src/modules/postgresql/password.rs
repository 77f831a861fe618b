//! Whether a stored password is the wanted one: PostgreSQL keeps MD5 or SCRAM, each with enough to tell.

use base64ct::{Base64, Encoding};
use md5::Digest;
use md5::Md5;
use sha2::Sha256;

/// Already in one of the forms in which the server keeps it.
pub(super) fn is_stored_form(password: &str) -> bool {
    let is_md5 =
        password.strip_prefix("md5").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_md5 || parts(password).is_some()
}

/// Whether what is stored for `user` is what `password` would become.
pub(super) fn is_same(stored: &str, password: &str, user: &str) -> bool {
    if stored == password {
        return true;
    }
    if let Some(hex) = stored.strip_prefix("md5") {
        return hex == hex_of(&Md5::digest(format!("{password}{user}").as_bytes()));
    }
    let Some((rounds, salt, key)) = parts(stored) else { return false };
    let salted = stretch(password.as_bytes(), &salt, rounds);
    Sha256::digest(hmac(&salted, b"Client Key")).as_slice() == key
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Rounds, salt and stored key of `SCRAM-SHA-256$4096:salt$stored:server`.
fn parts(stored: &str) -> Option<(u32, Vec<u8>, Vec<u8>)> {
    let (head, keys) = stored.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (rounds, salt) = head.split_once(':')?;
    let (key, _) = keys.split_once(':')?;
    Some((rounds.parse().ok()?, Base64::decode_vec(salt).ok()?, Base64::decode_vec(key).ok()?))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    let short = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block[..short.len()].copy_from_slice(&short);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

/// One block of PBKDF2, which is all that SCRAM takes.
fn stretch(password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &[0, 0, 0, 1]].concat());
    let mut sum = last;
    for _ in 1..rounds.min(1_000_000) {
        last = hmac(password, &last);
        sum.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_password_is_recognised() {
        // The example of RFC 7677: user `user`, password `pencil`.
        let scram = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert!(is_same(scram, "pencil", "user") && !is_same(scram, "pencils", "user") && is_stored_form(scram));
        assert!(is_same("md5c0c482f6f8c19b5ba1d0e8f5b1b8ae24", "md5c0c482f6f8c19b5ba1d0e8f5b1b8ae24", "x"));
        let stored = format!("md5{}", hex_of(&Md5::digest(b"secretbob")));
        assert!(is_same(&stored, "secret", "bob") && !is_same(&stored, "secret", "eve") && is_stored_form(&stored));
        assert!(!is_same("", "secret", "bob") && !is_stored_form("md5x"));
    }
}
