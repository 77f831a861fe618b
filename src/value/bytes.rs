//! Bytes that are not UTF-8 within texts: each is one letter of a private area, and turns back into the byte when the text is
//! written to a file, hashed or encoded. So what base64 stands for can be passed on unchanged, whatever it is.

/// The letter of byte 0 of the area; only the upper half is used, and no real text has its letters.
const FIRST: u32 = 0x10_FE00;

/// The text that holds these bytes.
pub fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(FIRST + u32::from(*byte))));
    }
    text
}

/// The bytes that a text holds.
pub fn bytes_of(text: &str) -> Vec<u8> {
    let is_byte = |letter: char| (FIRST + 0x80..FIRST + 0x100).contains(&u32::from(letter));
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
    fn other_texts_are_themselves() {
        for text in ["", "café", "a\u{10FE7F}b", "\u{10FF00}", "\u{FFFD}"] {
            assert_eq!((text_of(text.as_bytes()).as_str(), bytes_of(text).as_slice()), (text, text.as_bytes()));
        }
    }
}
