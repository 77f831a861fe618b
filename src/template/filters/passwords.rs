//! Hashed passwords as `/etc/shadow` holds them.

use super::chance::{random_text, rounds};
use super::{Filter, filter};
use crate::template::calls::Call;
use crate::template::failure::Res;
use crate::template::runtime::Val;
use sha2::{Digest, Sha256, Sha512};

pub(super) const FILTERS: &[Filter] = &[filter(
    "password_hash",
    &["hashtype", "salt", "salt_size", "rounds", "ident"],
    "a password hashed for `/etc/shadow`",
    password_hash,
)];

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What the format itself assumes when it names no number of rounds.
const ROUNDS_IMPLIED: u64 = 5000;
const ROUNDS_MIN: u64 = 1000;
const ROUNDS_MAX: u64 = 5_000_000;

fn password_hash(call: &mut Call<'_, '_>) -> Res<Val> {
    let password = call.text()?;
    let kind = call.text_arg(0, "sha512");
    let size = usize::try_from(call.int_arg(2, 16)?).unwrap_or(16).min(16);
    let set: Vec<char> = ALPHABET.iter().copied().map(char::from).collect();
    let salt = match call.given(1) {
        Some(salt) => salt.to_text().as_str().to_owned(),
        None => random_text(&set, size),
    };
    if let Some(bad) = salt.chars().find(|c| !set.contains(c)) {
        return Err(format!("a salt cannot hold {bad:?}").into());
    }
    let rounds = call.given(3).cloned();
    let rounds = self::rounds(rounds.as_ref(), 0)?;
    Ok(Val::text_of(hashed(&password, &kind, &salt, rounds)?, true))
}

/// A password in the form that `kind` names; with 0 rounds, as many as passlib takes.
pub(crate) fn hashed(password: &str, kind: &str, salt: &str, rounds: u64) -> Result<String, String> {
    let or = |default: u64| if rounds == 0 { default } else { rounds };
    match kind {
        "sha512" | "sha512_crypt" => Ok(sha_crypt::<Sha512>(password, salt, or(656_000), "6", &ORDER_512)),
        "sha256" | "sha256_crypt" => Ok(sha_crypt::<Sha256>(password, salt, or(535_000), "5", &ORDER_256)),
        other => Err(format!("`{other}` is not supported; sha512 and sha256 are")),
    }
}

/// The order in which bytes of the digest are written, three at a time; 255 stands for none.
const ORDER_256: [[usize; 3]; 11] = [
    [0, 10, 20],
    [21, 1, 11],
    [12, 22, 2],
    [3, 13, 23],
    [24, 4, 14],
    [15, 25, 5],
    [6, 16, 26],
    [27, 7, 17],
    [18, 28, 8],
    [9, 19, 29],
    [255, 31, 30],
];

const ORDER_512: [[usize; 3]; 22] = [
    [0, 21, 42],
    [22, 43, 1],
    [44, 2, 23],
    [3, 24, 45],
    [25, 46, 4],
    [47, 5, 26],
    [6, 27, 48],
    [28, 49, 7],
    [50, 8, 29],
    [9, 30, 51],
    [31, 52, 10],
    [53, 11, 32],
    [12, 33, 54],
    [34, 55, 13],
    [56, 14, 35],
    [15, 36, 57],
    [37, 58, 16],
    [59, 17, 38],
    [18, 39, 60],
    [40, 61, 19],
    [62, 20, 41],
    [255, 255, 63],
];

/// Ulrich Drepper's SHA-crypt.
fn sha_crypt<D: Digest>(password: &str, salt: &str, rounds: u64, ident: &str, order: &[[usize; 3]]) -> String {
    let key = password.as_bytes();
    let salt: String = salt.chars().take(16).collect();
    let salt_bytes = salt.as_bytes();
    let rounds = rounds.clamp(ROUNDS_MIN, ROUNDS_MAX);
    let digest = |parts: &[&[u8]]| -> Vec<u8> {
        let mut hasher = D::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().to_vec()
    };
    let inner = digest(&[key, salt_bytes, key]);
    let mut hasher = D::new();
    hasher.update(key);
    hasher.update(salt_bytes);
    hasher.update(repeated(&inner, key.len()));
    let mut length = key.len();
    while length > 0 {
        hasher.update(if length & 1 == 1 { inner.as_slice() } else { key });
        length >>= 1;
    }
    let mut state = hasher.finalize().to_vec();
    let first = usize::from(state.first().copied().unwrap_or(0));
    let key_digest = digest(&vec![key; key.len()]);
    let key_bytes = repeated(&key_digest, key.len());
    let salt_digest = digest(&vec![salt_bytes; 16 + first]);
    let salt_sequence = repeated(&salt_digest, salt_bytes.len());
    for round in 0..rounds {
        let mut hasher = D::new();
        hasher.update(if round % 2 == 1 { &key_bytes } else { &state });
        if round % 3 != 0 {
            hasher.update(&salt_sequence);
        }
        if round % 7 != 0 {
            hasher.update(&key_bytes);
        }
        hasher.update(if round % 2 == 1 { &state } else { &key_bytes });
        state = hasher.finalize().to_vec();
    }
    let shown = if rounds == ROUNDS_IMPLIED { String::new() } else { format!("rounds={rounds}$") };
    format!("${ident}${shown}{salt}${}", encoded(&state, order))
}

fn repeated(bytes: &[u8], length: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(length).collect()
}

fn encoded(state: &[u8], order: &[[usize; 3]]) -> String {
    let mut out = String::new();
    for group in order {
        let byte = |index: usize| u32::from(state.get(index).copied().unwrap_or(0));
        let mut word = group.iter().fold(0, |word, index| (word << 8) | byte(*index));
        let characters = match group.iter().filter(|index| **index == 255).count() {
            0 => 4,
            1 => 3,
            _ => 2,
        };
        for _ in 0..characters {
            out.push(char::from(ALPHABET[(word & 63) as usize]));
            word >>= 6;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_crypt() {
        let sha512 = |password: &str, salt: &str| sha_crypt::<Sha512>(password, salt, 5000, "6", &ORDER_512);
        let sha256 = |password: &str, salt: &str, rounds: u64| sha_crypt::<Sha256>(password, salt, rounds, "5", &ORDER_256);
        assert_eq!(
            sha512("Hello world!", "saltstring"),
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
        );
        assert_eq!(
            sha512("päss wörd long long long long long long long long long long long long long long", "saltsalt"),
            "$6$saltsalt$6ehW2k3GH.GEAAUnmwgDTw4EYn9tuT7k34gzcubWYnhRRAeS6FiZsyfcefoE1UQGi6QIIeZCD.Remb4KPTBlw1"
        );
        assert_eq!(sha256("a", "saltsalt", 5000), "$5$saltsalt$Mtm6KOxb.PwaKES1sp80SDYOu1T0RdwsBVakhLiqA64");
        assert_eq!(
            sha256("a", "saltstringsaltstring", 10_000),
            "$5$rounds=10000$saltstringsaltst$rZNsT9de4Ps18rmsZqoornVjrFXrKSh8plUb/vRagV1"
        );
    }
}
