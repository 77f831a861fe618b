//! Text in encodings other than UTF-8, by the names that Python has for them.

use encoding_rs::Encoding;

/// The text that these bytes are, or why they are none.
pub fn decode(bytes: &[u8], name: &str) -> Result<String, String> {
    let wrong = |name: &str| format!("it is not written in {name}");
    match Charset::of(name)? {
        Charset::Utf8 => std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| wrong(name)),
        Charset::Utf8Signed => decode(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes), "utf-8"),
        Charset::Bytes { max } if bytes.iter().any(|byte| *byte > max) => Err(wrong(name)),
        Charset::Bytes { .. } => Ok(bytes.iter().copied().map(char::from).collect()),
        Charset::Utf16 { is_big, is_signed } => {
            let (is_big, bytes) = match bytes {
                [0xfe, 0xff, rest @ ..] if is_signed => (true, rest),
                [0xff, 0xfe, rest @ ..] if is_signed => (false, rest),
                _ => (is_big, bytes),
            };
            let (pairs, []) = bytes.as_chunks::<2>() else { return Err(wrong(name)) };
            let units = pairs.iter().map(|pair| if is_big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
            char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| wrong(name))
        }
        Charset::Other(encoding) => {
            let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
            text.map(std::borrow::Cow::into_owned).ok_or_else(|| wrong(name))
        }
    }
}

/// The bytes of a text, or what it holds that the encoding does not have.
pub fn encode(text: &str, name: &str) -> Result<Vec<u8>, String> {
    let lacks = |letter: char| format!("{name} has no `{letter}`");
    match Charset::of(name)? {
        Charset::Utf8 => Ok(super::bytes_of(text)),
        Charset::Utf8Signed => Ok([b"\xef\xbb\xbf", text.as_bytes()].concat()),
        Charset::Bytes { max } => {
            let byte = |letter: char| u8::try_from(letter).ok().filter(|byte| *byte <= max).ok_or_else(|| lacks(letter));
            text.chars().map(byte).collect()
        }
        Charset::Utf16 { is_big, is_signed } => {
            let units = is_signed.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            Ok(units.flat_map(|unit| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect())
        }
        Charset::Other(encoding) => {
            let (bytes, _, has_lost) = encoding.encode(text);
            let lost = |letter: &char| encoding.encode(letter.encode_utf8(&mut [0; 4])).2;
            if has_lost { Err(lacks(text.chars().find(lost).unwrap_or('?'))) } else { Ok(bytes.into_owned()) }
        }
    }
}

enum Charset {
    Utf8,
    /// With the mark that Windows puts before it.
    Utf8Signed,
    /// The first characters of Unicode, one byte each.
    Bytes {
        max: u8,
    },
    Utf16 {
        is_big: bool,
        is_signed: bool,
    },
    Other(&'static Encoding),
}

impl Charset {
    fn of(name: &str) -> Result<Charset, String> {
        let plain = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
        Ok(match plain.as_str() {
            "utf-8" | "utf8" | "u8" => Charset::Utf8,
            "utf-8-sig" | "utf8-sig" => Charset::Utf8Signed,
            "ascii" | "us-ascii" | "646" => Charset::Bytes { max: 0x7f },
            // What goes by these names on the web is windows-1252.
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "8859" | "cp819" | "l1" | "latin" => Charset::Bytes { max: 0xff },
            "utf-16" | "utf16" | "u16" => Charset::Utf16 { is_big: false, is_signed: true },
            "utf-16-le" | "utf-16le" => Charset::Utf16 { is_big: false, is_signed: false },
            "utf-16-be" | "utf-16be" => Charset::Utf16 { is_big: true, is_signed: false },
            other => {
                let label = match other {
                    "latin-9" | "latin9" | "iso8859-15" => "iso-8859-15",
                    "latin-2" | "latin2" | "iso8859-2" => "iso-8859-2",
                    "cp932" | "ms932" => "shift_jis",
                    other => other,
                };
                let found = Encoding::for_label_no_replacement(label.as_bytes());
                Charset::Other(found.ok_or_else(|| format!("unknown encoding: {name}"))?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    /// Expected bytes from Python's `str.encode`.
    const CASES: &[(&str, &str, &[u8])] = &[
        ("utf-8", "é€", b"\xc3\xa9\xe2\x82\xac"),
        ("UTF_8_SIG", "é", b"\xef\xbb\xbf\xc3\xa9"),
        ("latin-1", "é\u{85}", b"\xe9\x85"),
        ("ascii", "e", b"e"),
        ("iso-8859-15", "é€", b"\xe9\xa4"),
        ("cp1252", "é€", b"\xe9\x80"),
        ("windows-1251", "Ж", b"\xc6"),
        ("koi8-r", "Ж", b"\xf6"),
        ("shift_jis", "日本", b"\x93\xfa\x96\x7b"),
        ("euc-jp", "日本", b"\xc6\xfc\xcb\xdc"),
        ("gbk", "中", b"\xd6\xd0"),
        ("big5", "中", b"\xa4\xa4"),
        ("utf-16", "é😀", b"\xff\xfe\xe9\x00\x3d\xd8\x00\xde"),
        ("utf-16-le", "é", b"\xe9\x00"),
        ("utf-16-be", "é", b"\x00\xe9"),
    ];

    #[test]
    fn texts_have_the_bytes_of_python_and_come_back() {
        for (name, text, bytes) in CASES {
            assert_eq!(encode(text, name).as_deref(), Ok(*bytes), "{name}");
            assert_eq!(decode(bytes, name).as_deref(), Ok(*text), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_written_or_read_is_told() {
        assert_eq!(encode("a€", "latin-1"), Err("latin-1 has no `€`".to_owned()));
        assert_eq!(encode("aЖ", "cp1252"), Err("cp1252 has no `Ж`".to_owned()));
        assert_eq!(encode("é", "ascii"), Err("ascii has no `é`".to_owned()));
        assert_eq!(encode("a", "nowhere"), Err("unknown encoding: nowhere".to_owned()));
        for (name, bytes) in
            [("utf-8", &b"\xe9"[..]), ("ascii", b"\xe9"), ("utf-16", b"a"), ("utf-16-le", b"\x00\xd8"), ("shift_jis", b"\xff")]
        {
            assert_eq!(decode(bytes, name), Err(format!("it is not written in {name}")));
        }
    }
}
