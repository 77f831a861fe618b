//! Text of files that are not written in UTF-8; `iconv` of the host knows the encodings that are not known here.

use super::{Cmd, Failure, Look};

/// The text that these bytes are, or `None` where they are not written so.
pub(super) fn decode(look: &dyn Look, bytes: Vec<u8>, encoding: &str) -> Result<Option<String>, Failure> {
    match Known::of(encoding) {
        Some(Known::Utf8) => Ok(String::from_utf8(bytes).ok()),
        Some(Known::Latin1) => Ok(Some(bytes.into_iter().map(char::from).collect())),
        None => Ok(convert(look, bytes, encoding, "utf-8", encoding)?.and_then(|bytes| String::from_utf8(bytes).ok())),
    }
}

/// The bytes of a text, or `None` where it holds what the encoding has not.
pub(super) fn encode(look: &dyn Look, text: &str, encoding: &str) -> Result<Option<Vec<u8>>, Failure> {
    match Known::of(encoding) {
        Some(Known::Utf8) => Ok(Some(text.as_bytes().to_vec())),
        Some(Known::Latin1) => Ok(text.chars().map(|letter| u8::try_from(letter).ok()).collect()),
        None => convert(look, text.as_bytes().to_vec(), "utf-8", encoding, encoding),
    }
}

enum Known {
    Utf8,
    Latin1,
}

impl Known {
    fn of(encoding: &str) -> Option<Known> {
        match encoding.to_ascii_lowercase().replace('_', "-").as_str() {
            "utf-8" | "utf8" | "ascii" => Some(Known::Utf8),
            "latin-1" | "latin1" | "iso-8859-1" => Some(Known::Latin1),
            _ => None,
        }
    }
}

fn convert(look: &dyn Look, bytes: Vec<u8>, from: &str, to: &str, asked: &str) -> Result<Option<Vec<u8>>, Failure> {
    let iconv = |bytes: Vec<u8>| look.run(&Cmd::new(["iconv", "-f", from, "-t", to]).stdin(bytes));
    let output = iconv(bytes)?;
    if output.is_success() {
        return Ok(Some(output.stdout));
    }
    // Even nothing cannot be written in an encoding that is not known.
    if iconv(Vec::new())?.is_success() { Ok(None) } else { Err(Failure::new(format!("unknown encoding: {asked}"))) }
}
