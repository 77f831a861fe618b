//! Bytes that are not UTF-8 within texts: each is one letter of a private area, and turns back into the byte when the text is
//! written to a file, hashed or encoded. So what base64 stands for can be passed on unchanged, whatever it is.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The letter of byte 0 of the area; only the upper half is used, and no real text has its letters.
const FIRST: u32 = 0x10_FE00;

/// The text that holds these bytes.
pub fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        if chunk.valid().contains(is_byte) {
            // What has such a letter of its own gets it back, byte by byte.
            chunk.valid().chars().for_each(|letter| match is_byte(letter) {
                true => text.extend(letter.encode_utf8(&mut [0; 4]).bytes().filter_map(letter_of)),
                false => text.push(letter),
            });
        } else {
            text.push_str(chunk.valid());
        }
        text.extend(chunk.invalid().iter().copied().filter_map(letter_of));
    }
    text
}

/// Two digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that a text holds.
pub fn bytes_of(text: &str) -> Vec<u8> {
    if !text.contains(is_byte) {
        return text.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match u8::try_from(u32::from(letter).wrapping_sub(FIRST)) {
            Ok(byte) if is_byte(letter) => bytes.push(byte),
            _ => bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// For people: a byte that is no text is seen to be none.
pub fn shown_text(text: &str) -> Cow<'_, str> {
    if text.contains(is_byte) { text.replace(is_byte, "\u{fffd}").into() } else { text.into() }
}

fn letter_of(byte: u8) -> Option<char> {
    char::from_u32(FIRST + u32::from(byte))
}

fn is_byte(letter: char) -> bool {
    (FIRST + 0x80..FIRST + 0x100).contains(&u32::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes_of(&text_of(&all)), all);
        assert_eq!(bytes_of(&text_of(b"Caf\xe9 \xc3\xa9 \xe2\x82")), b"Caf\xe9 \xc3\xa9 \xe2\x82");
    }

    #[test]
    fn letters_of_the_area_come_back_too() {
        for bytes in ["a\u{10fee9}\u{10feff}b".as_bytes(), b"\xf4\x8f\xb9", b"\xf4\x8f\xbb\xa9\xe9"] {
            assert_eq!(bytes_of(&text_of(bytes)), bytes);
        }
        assert_eq!(shown_text(&text_of(b"caf\xe9")), "caf\u{fffd}");
    }

    #[test]
    fn other_texts_are_themselves() {
        for text in ["", "café", "a\u{10FE7F}b", "\u{10FF00}", "\u{FFFD}"] {
            assert_eq!((text_of(text.as_bytes()).as_str(), bytes_of(text).as_slice()), (text, text.as_bytes()));
        }
    }
}
