//! Hashed passwords as `/etc/shadow` holds them.

use super::chance::random_text;
use super::{Filter, filter};
use crate::template::calls::{Call, whole};
use crate::template::failure::Res;
use crate::template::runtime::Val;
use md5::Md5;
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

/// How a password is to be hashed.
pub(crate) struct Hashing<'a> {
    pub(crate) kind: &'a str,
    pub(crate) salt: &'a str,
    pub(crate) rounds: Option<u64>,
    /// The variant of bcrypt.
    pub(crate) ident: Option<&'a str>,
}

fn password_hash(call: &mut Call<'_, '_>) -> Res<Val> {
    let Val::Str(password) = call.input.clone() else {
        let kind = if matches!(call.input, Val::None) { "None" } else { call.input.kind() };
        return Err(format!("secret must be unicode or bytes, not {kind}").into());
    };
    let kind = call.text_arg(0, "sha512");
    let salt = match (call.given(1), call.given(2).cloned()) {
        (Some(salt), _) => salt.to_text().as_str().to_owned(),
        (None, Some(size)) if kind.as_str() != "bcrypt" && kind.as_str() != "blowfish" => {
            random_text(&salt_letters(), usize::try_from(whole(&size)?).unwrap_or(0).min(16), None)
        }
        (None, _) => new_salt(&kind),
    };
    let rounds = match call.given(3) {
        Some(rounds) => Some(u64::try_from(whole(rounds)?).unwrap_or(0)),
        None => None,
    };
    let ident = call.given(4).map(|ident| ident.to_text().as_str().to_owned());
    let hashing = Hashing { kind: &kind, salt: &salt, rounds, ident: ident.as_deref() };
    Ok(Val::text_of(hashed(&password, &hashing)?, true))
}

fn salt_letters() -> Vec<char> {
    ALPHABET.iter().copied().map(char::from).collect()
}

/// A salt of the length that a kind of hash takes.
pub(crate) fn new_salt(kind: &str) -> String {
    match kind {
        "md5" | "md5_crypt" => random_text(&salt_letters(), 8, None),
        // The last letter stands for two bits only.
        "bcrypt" | "blowfish" => random_text(&salt_letters(), 21, None) + &random_text(&['.', 'O', 'e', 'u'], 1, None),
        _ => random_text(&salt_letters(), 16, None),
    }
}

/// A password in the form that `kind` names; without a number of rounds, as many as passlib takes.
pub(crate) fn hashed(password: &str, hashing: &Hashing<'_>) -> Result<String, String> {
    let salt = hashing.salt;
    let fits = |name: &str, longest: usize| {
        if !salt.chars().all(|letter| ALPHABET.contains(&(u8::try_from(letter).unwrap_or(0)))) {
            return Err(format!("Could not hash the secret: invalid characters in {name} salt"));
        }
        if salt.len() > longest {
            return Err(format!("Could not hash the secret: salt too large ({name} requires <= {longest} chars)"));
        }
        Ok(())
    };
    let rounds = |name: &str, default: u64| match hashing.rounds {
        Some(few) if few < ROUNDS_MIN => Err(format!(
            "Could not hash the secret: {name}: min_desired_rounds ({few}) is too low, must be at least {ROUNDS_MIN}"
        )),
        Some(many) if many > ROUNDS_MAX => Err(format!("{many} rounds are more than {ROUNDS_MAX}")),
        Some(rounds) => Ok(rounds),
        None => Ok(default),
    };
    match hashing.kind {
        "sha512" | "sha512_crypt" => {
            fits("sha512_crypt", 16)?;
            Ok(sha_crypt::<Sha512>(password, salt, rounds("sha512_crypt", 656_000)?, "6", &ORDER_512))
        }
        "sha256" | "sha256_crypt" => {
            fits("sha256_crypt", 16)?;
            Ok(sha_crypt::<Sha256>(password, salt, rounds("sha256_crypt", 535_000)?, "5", &ORDER_256))
        }
        "md5" | "md5_crypt" => {
            fits("md5_crypt", 8)?;
            Ok(md5_crypt(password, salt))
        }
        "bcrypt" | "blowfish" => bcrypt(password, hashing),
        other if NEED_USER.contains(&other) => {
            Err(format!("{other} is not in the list of supported passlib algorithms: md5, blowfish, sha256, sha512"))
        }
        other => Err(format!("passlib does not support '{other}' algorithm")),
    }
}

/// Hashes that exist and need a user's name: Ansible has other words for them than for what is no hash at all.
const NEED_USER: [&str; 4] = ["msdcc", "msdcc2", "oracle10", "postgres_md5"];
const BCRYPT_ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BCRYPT_COST: u64 = 12;
/// More takes minutes.
const BCRYPT_COST_MAX: u64 = 20;

fn bcrypt(password: &str, hashing: &Hashing<'_>) -> Result<String, String> {
    let version = match hashing.ident {
        None | Some("2b") => ::bcrypt::Version::TwoB,
        Some("2a") => ::bcrypt::Version::TwoA,
        Some("2y") => ::bcrypt::Version::TwoY,
        Some(other) => return Err(format!("there is no variant `{other}` of bcrypt; 2b, 2a and 2y are known")),
    };
    let salt = bcrypt_salt(hashing.salt).ok_or("Could not hash the secret: a salt of bcrypt has 22 letters of ./A-Za-z0-9")?;
    let cost = hashing.rounds.unwrap_or(BCRYPT_COST);
    if !(4..=BCRYPT_COST_MAX).contains(&cost) {
        return Err(format!("bcrypt takes 4 to {BCRYPT_COST_MAX} rounds, not {cost}"));
    }
    let parts = ::bcrypt::hash_with_salt(password, u32::try_from(cost).unwrap_or(4), salt)
        .map_err(|error| format!("Could not hash the secret: {error}"))?;
    Ok(parts.format_for_version(version))
}

/// 22 letters are 16 bytes; what is over in the last one counts for nothing.
fn bcrypt_salt(text: &str) -> Option<[u8; 16]> {
    if text.len() != 22 {
        return None;
    }
    let mut salt = [0; 16];
    let (mut bits, mut count, mut at) = (0_u32, 0_u32, 0);
    for letter in text.bytes() {
        let value = BCRYPT_ALPHABET.iter().position(|known| *known == letter)?;
        bits = (bits << 6 | u32::try_from(value).ok()?) & 0xffff;
        count += 6;
        if count >= 8 && at < salt.len() {
            count -= 8;
            salt[at] = u8::try_from(bits >> count & 0xff).ok()?;
            at += 1;
        }
    }
    Some(salt)
}

/// The order in which bytes of an MD5 digest are written.
const ORDER_MD5: [[usize; 3]; 6] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5], [255, 255, 11]];

/// Poul-Henning Kamp's MD5-crypt.
fn md5_crypt(password: &str, salt: &str) -> String {
    const MAGIC: &[u8] = b"$1$";
    let (key, salt_bytes) = (password.as_bytes(), salt.as_bytes());
    let inner = Md5::new().chain_update(key).chain_update(salt_bytes).chain_update(key).finalize();
    let mut hasher = Md5::new().chain_update(key).chain_update(MAGIC).chain_update(salt_bytes);
    hasher.update(repeated(&inner, key.len()));
    let mut length = key.len();
    while length > 0 {
        hasher.update(if length & 1 == 1 { &[0][..] } else { &key[..1] });
        length >>= 1;
    }
    let mut state = hasher.finalize().to_vec();
    for round in 0..1000 {
        let mut hasher = Md5::new();
        hasher.update(if round % 2 == 1 { key } else { &state });
        if round % 3 != 0 {
            hasher.update(salt_bytes);
        }
        if round % 7 != 0 {
            hasher.update(key);
        }
        hasher.update(if round % 2 == 1 { &state } else { key });
        state = hasher.finalize().to_vec();
    }
    format!("$1${salt}${}", encoded(&state, &ORDER_MD5))
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
