//! The text of a vault: a header line and hexadecimal digits.

use super::cipher::Sealed;
use super::{BYTES_MAX, Problem};
use crate::value::{VAULT_HEADER, hex};

/// Digits on one line.
const LINE_LEN: usize = 80;

/// A vault as its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The id of the secret that it was made with; none for the default one.
    pub id: Option<String>,
    pub(super) sealed: Sealed,
}

impl Envelope {
    pub fn read(text: &str) -> Result<Envelope, Problem> {
        if text.len() > BYTES_MAX {
            return Err(Problem::TooLarge { bytes: text.len() });
        }
        let mut lines = text.trim().lines().map(str::trim);
        let header = lines.next().filter(|line| line.starts_with(VAULT_HEADER)).ok_or(Problem::NotVault)?;
        let id = read_header(header)?;
        let mut digits = String::with_capacity(text.len());
        lines.for_each(|line| digits.push_str(line));
        let inner = unhex(digits.as_bytes()).ok_or(Problem::Damaged { part: "text" })?;
        let mut parts = inner.split(|byte| *byte == b'\n').map(unhex);
        let mut part = |part| parts.next().flatten().filter(|bytes| !bytes.is_empty()).ok_or(Problem::Damaged { part });
        let sealed = Sealed { salt: part("salt")?, check: part("checksum")?, body: part("body")? };
        Ok(Envelope { id, sealed })
    }

    /// Ends with a newline.
    pub fn to_text(&self) -> String {
        let Sealed { salt, check, body } = &self.sealed;
        let inner = [hex(salt), hex(check), hex(body)].join("\n");
        let digits = hex(inner.as_bytes());
        let mut text = match &self.id {
            Some(id) => format!("{VAULT_HEADER}1.2;AES256;{id}\n"),
            None => format!("{VAULT_HEADER}1.1;AES256\n"),
        };
        for (index, digit) in digits.char_indices() {
            text.push(digit);
            if (index + 1) % LINE_LEN == 0 {
                text.push('\n');
            }
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

/// The id that a header names.
fn read_header(header: &str) -> Result<Option<String>, Problem> {
    let mut fields = header.split(';').skip(1).map(str::trim);
    let version = fields.next().unwrap_or_default();
    if !matches!(version, "1.1" | "1.2") {
        return Err(Problem::Version { version: version.to_owned() });
    }
    match fields.next() {
        Some("AES256") => {}
        other => return Err(Problem::Cipher { cipher: other.unwrap_or_default().to_owned() }),
    }
    Ok(fields.next().filter(|id| version == "1.2" && !id.is_empty()).map(str::to_owned))
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_vault_or_a_broken_one_says_which_part() {
        let read = |text: &str| Envelope::read(text).map(|_| ()).unwrap_err();
        assert_eq!(read("secret: 1"), Problem::NotVault);
        assert_eq!(read("$ANSIBLE_VAULT;1.0;AES\n00"), Problem::Version { version: "1.0".into() });
        assert_eq!(read("$ANSIBLE_VAULT;1.1;ROT13\n00"), Problem::Cipher { cipher: "ROT13".into() });
        assert_eq!(read("$ANSIBLE_VAULT;1.1"), Problem::Cipher { cipher: String::new() });
        assert_eq!(read("$ANSIBLE_VAULT;1.1;AES256\nxyz"), Problem::Damaged { part: "text" });
        assert_eq!(read("$ANSIBLE_VAULT;1.1;AES256\n"), Problem::Damaged { part: "salt" });
        assert_eq!(read("$ANSIBLE_VAULT;1.1;AES256\n6162"), Problem::Damaged { part: "checksum" });
        assert_eq!(read("$ANSIBLE_VAULT;1.1;AES256\n61é2"), Problem::Damaged { part: "text" });
    }
}
