//! Text that comes back as the bytes that it was: what is no UTF-8 stands in it as a character of the last private plane.

use super::Look;
use std::borrow::Cow;
use std::io;

/// Stands for the byte 0x00; only those from 0x80 are needed.
const FIRST: u32 = 0x10_ff00;

/// The text of a file, or `None` where there is none.
pub(super) fn read(look: &dyn Look, path: &str) -> io::Result<Option<String>> {
    match look.read(path) {
        Ok(bytes) => Ok(Some(text_of(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) if !text.chars().any(is_stand_in) => return text,
        Ok(text) => text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            // Where a file has such a character of its own, its bytes are not taken for others.
            if is_stand_in(letter) {
                text.extend(letter.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    text
}

/// The way back.
pub(super) fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match u8::try_from(u32::from(letter).wrapping_sub(FIRST)) {
            Ok(byte) if is_stand_in(letter) => bytes.push(byte),
            _ => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// For people: what is no UTF-8 is seen to be that.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_stand_in) { text.replace(is_stand_in, "\u{fffd}").into() } else { text.into() }
}

fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_stand_in(letter: char) -> bool {
    (FIRST + 0x80..=FIRST + 0xff).contains(&u32::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_bytes_are_they_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&b"caf\xe9 = 1\n"[..], &all, "déjà".as_bytes(), "\u{10ffe9}\u{10fffd}".as_bytes(), b"\xf4\x8f\xbf", b""] {
            let text = text_of(bytes.to_vec());
            assert_eq!(bytes_of(&text), bytes, "{text:?}");
        }
        assert_eq!(text_of("déjà".into()), "déjà");
        assert_eq!(shown(&text_of(b"caf\xe9".to_vec())), "caf\u{fffd}");
    }
}
