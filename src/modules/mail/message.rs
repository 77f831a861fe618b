//! A mail as it goes over the wire: headers, parts, addresses.

use crate::modules::{Failure, paths};
use crate::value::{Map, Value};
use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

/// Lines of encoded text.
const WIDTH: usize = 76;
/// Bytes of one encoded word of a header.
const WORD: usize = 36;
/// Longer lines need an encoding.
const LINE_MAX: usize = 990;

/// What the body and the headers are written in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Charset {
    Ascii,
    Latin1,
    Utf8,
}

impl Charset {
    pub(super) fn of(name: &str) -> Result<Charset, Failure> {
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "utf-8" | "utf8" => Ok(Charset::Utf8),
            "us-ascii" | "ascii" => Ok(Charset::Ascii),
            "iso-8859-1" | "latin-1" | "latin1" => Ok(Charset::Latin1),
            _ => Err(Failure::new(format!("unknown encoding: {name}; charset is utf-8, us-ascii or iso-8859-1"))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Charset::Ascii => "us-ascii",
            Charset::Latin1 => "iso-8859-1",
            Charset::Utf8 => "utf-8",
        }
    }

    fn bytes(self, text: &str) -> Result<Vec<u8>, Failure> {
        let max = match self {
            Charset::Utf8 => return Ok(text.as_bytes().to_vec()),
            Charset::Latin1 => 0xff,
            Charset::Ascii => 0x7f,
        };
        let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|byte| *byte <= max);
        let wrong = |c: char| Failure::new(format!("{} has no `{c}`: `charset: utf-8` has every character", self.name()));
        text.chars().map(|c| byte(c).ok_or_else(|| wrong(c))).collect()
    }
}

/// An address with the name before it, if there is one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Address {
    phrase: String,
    pub(super) address: String,
}

impl Address {
    /// `Name <a@b>`, `a@b (Name)` or `a@b`.
    pub(super) fn parse(text: &str, of: &str) -> Result<Address, Failure> {
        let text = text.trim();
        let (phrase, address) = match (text.rsplit_once('<'), text.split_once('(')) {
            (Some((phrase, rest)), _) => (phrase, rest.strip_suffix('>').unwrap_or("<")),
            (None, Some((address, rest))) => (rest.strip_suffix(')').unwrap_or(rest), address),
            (None, None) => ("", text),
        };
        let address = address.trim();
        let is_address = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '(' | ')' | ',' | ';');
        if !address.chars().all(is_address) || address.is_empty() && of != "sender" {
            return Err(Failure::new(format!("`{text}` in `{of}` is no mail address; one is like `Name <name@example.com>`")));
        }
        let phrase = phrase.trim().trim_matches('"').replace("\\\"", "\"");
        Ok(Address { phrase: one_line(&phrase), address: address.to_owned() })
    }

    fn shown(&self, charset: Charset) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c);
        match self.phrase.as_str() {
            "" => self.address.clone(),
            phrase if phrase.chars().all(is_plain) => format!("{phrase} <{}>", self.address),
            phrase if phrase.is_ascii() => {
                format!("\"{}\" <{}>", phrase.replace('\\', "\\\\").replace('"', "\\\""), self.address)
            }
            phrase => format!("{} <{}>", encoded(phrase, charset), self.address),
        }
    }
}

/// The addresses of a header, folded.
pub(super) fn list(addresses: &[Address], charset: Charset) -> String {
    addresses.iter().map(|address| address.shown(charset)).collect::<Vec<_>>().join(",\r\n ")
}

/// One header: a name and a value that may hold anything.
pub(super) fn unstructured(value: &str, charset: Charset) -> String {
    let value = one_line(value);
    if value.is_ascii() { folded(&value) } else { encoded(&value, charset) }
}

/// A line break in a header would begin another one.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn folded(text: &str) -> String {
    let mut out = String::new();
    let mut width = 0;
    for (at, word) in text.split(' ').enumerate() {
        let is_next = at > 0 && width + word.len() + 1 > WIDTH && !word.is_empty();
        out.push_str(if is_next {
            "\r\n "
        } else if at > 0 {
            " "
        } else {
            ""
        });
        out.push_str(word);
        width = if is_next { 0 } else { width } + word.len() + 1;
    }
    out
}

/// Encoded words; one that the charset lacks is written in UTF-8.
fn encoded(text: &str, charset: Charset) -> String {
    let charset = if charset.bytes(text).is_ok() { charset } else { Charset::Utf8 };
    let mut words: Vec<Vec<u8>> = vec![Vec::new()];
    for c in text.chars() {
        let bytes = charset.bytes(c.encode_utf8(&mut [0; 4])).unwrap_or_default();
        match words.last_mut() {
            Some(word) if word.len() + bytes.len() <= WORD => word.extend(bytes),
            _ => words.push(bytes),
        }
    }
    let word = |bytes: &Vec<u8>| format!("=?{}?b?{}?=", charset.name(), Base64::encode_string(bytes));
    words.iter().map(word).collect::<Vec<_>>().join("\r\n ")
}

/// A file that goes with the mail.
pub(super) struct Attachment {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// The headers of the content, and the content.
pub(super) fn content(body: &str, subtype: &str, charset: Charset, attached: &[Attachment]) -> Result<String, Failure> {
    let text = text_part(body, subtype, charset)?;
    if attached.is_empty() {
        return Ok(text);
    }
    let parts: Vec<String> = std::iter::once(text).chain(attached.iter().map(file_part)).collect();
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    // What separates parts must be in none of them: no line of theirs holds the sum of all of them.
    let boundary = format!("=_{}", short(&hash.finalize()));
    let mut out = format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n");
    for part in &parts {
        out.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    Ok(out)
}

pub(super) fn short(digest: &[u8]) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn text_part(body: &str, subtype: &str, charset: Charset) -> Result<String, Failure> {
    let lines: Vec<&str> = body.lines().collect();
    let bytes = charset.bytes(body)?;
    let is_plain = bytes.is_ascii() && lines.iter().all(|line| line.len() <= LINE_MAX && !line.contains(['\r', '\0']));
    let (encoding, text) = if is_plain {
        ("7bit", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>())
    } else {
        ("base64", wrapped(&charset.bytes(&format!("{}\n", lines.join("\n")))?))
    };
    Ok(format!(
        "Content-Type: text/{subtype}; charset=\"{}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}",
        charset.name()
    ))
}

fn file_part(file: &Attachment) -> String {
    let name = paths::base_name(&file.path);
    let is_plain = name.chars().all(|c| c.is_ascii() && !c.is_ascii_control());
    let shown = if is_plain {
        format!("filename=\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        let byte = |byte: u8| {
            if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        };
        format!("filename*=utf-8''{}", name.bytes().map(byte).collect::<String>())
    };
    format!(
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; {shown}\r\n\r\n{}",
        wrapped(&file.bytes)
    )
}

fn wrapped(bytes: &[u8]) -> String {
    // A line of 76 letters is 57 bytes.
    bytes.chunks(WIDTH / 4 * 3).map(|line| format!("{}\r\n", Base64::encode_string(line))).collect()
}

/// What the server said to each command, from the words of `curl --verbose`.
pub(super) struct Dialogue {
    /// A command, and the last line of its answer.
    pub(super) said: Vec<(String, String)>,
}

impl Dialogue {
    pub(super) fn of(stderr: &str) -> Dialogue {
        let mut command = String::new();
        let mut said = Vec::new();
        for line in stderr.lines() {
            if let Some(sent) = line.strip_prefix("> ") {
                sent.trim_end().clone_into(&mut command);
            } else if let Some(answer) = line.strip_prefix("< ").filter(|answer| is_reply(answer)) {
                said.push((command.clone(), answer.trim_end().to_owned()));
            }
        }
        Dialogue { said }
    }

    /// Recipients that the server did not take, with code and words.
    pub(super) fn refused(&self) -> Map {
        let pair = |(command, answer): &(String, String)| {
            let address = command.strip_prefix("RCPT TO:<")?.split('>').next()?.to_owned();
            let (code, words) = answer.split_at_checked(3)?;
            let code: i64 = code.parse().ok().filter(|code| *code >= 400)?;
            Some((address.into(), Value::list(vec![code.into(), words.trim().into()])))
        };
        self.said.iter().filter_map(pair).collect()
    }

    /// The last answer, where it is a refusal, and what it was said to.
    pub(super) fn refusal(&self) -> Option<(&str, &str)> {
        self.said
            .iter()
            .rev()
            .find(|(_, answer)| answer.starts_with(['4', '5']))
            .map(|(command, answer)| (command.as_str(), answer.as_str()))
    }
}

/// The last line of an answer; others have a dash behind the code.
fn is_reply(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() >= 3 && bytes[..3].iter().all(u8::is_ascii_digit) && bytes.get(3).is_none_or(|byte| *byte != b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_three_forms() {
        let shown = |text: &str| Address::parse(text, "to").map(|address| address.shown(Charset::Utf8)).unwrap_or_default();
        assert_eq!(shown("John Doe <j.d@example.org>"), "John Doe <j.d@example.org>");
        assert_eq!(shown("jane@example.net (Jane Jolie)"), "Jane Jolie <jane@example.net>");
        assert_eq!(shown("root"), "root");
        assert_eq!(shown("Foo, \"Bar\" <a@b.c>"), "\"Foo, \\\"Bar\" <a@b.c>");
        assert_eq!(shown("Sömething <a@b.c>"), "=?utf-8?b?U8O2bWV0aGluZw==?= <a@b.c>");
        for wrong in ["", "a b", "Foo <a@b.c", "<>", "a@b>\r\nRCPT TO:<c", "ä@b.c"] {
            assert_eq!(shown(wrong), "", "{wrong}");
        }
        assert_eq!(Address::parse("", "sender").map(|address| address.address).ok(), Some(String::new()));
    }

    #[test]
    fn headers_stay_short_and_one() {
        assert_eq!(unstructured("x\r\nBcc: evil@x.y", Charset::Utf8), "x Bcc: evil@x.y");
        let long = unstructured(&"wörd ".repeat(30), Charset::Latin1);
        assert!(long.lines().all(|line| line.len() <= 78 && line.trim_start().starts_with("=?iso-8859-1?b?")), "{long}");
        assert!(unstructured(&"word ".repeat(60), Charset::Utf8).lines().all(|line| line.len() <= 78));
        assert!(unstructured("é€", Charset::Latin1).starts_with("=?utf-8?"));
    }

    #[test]
    fn answers_go_with_their_commands() {
        let text = "* Connected\n< 220 hi\n> EHLO me\n< 250-test\n< 250 AUTH PLAIN\n> RCPT TO:<a@b> NOTIFY=NEVER\n< 550 no\n> DATA\n< 354 go\n";
        let dialogue = Dialogue::of(text);
        assert_eq!(dialogue.said.len(), 4);
        assert_eq!(Value::map(dialogue.refused()).to_json(), r#"{"a@b":[550,"no"]}"#);
        assert_eq!(dialogue.refusal(), Some(("RCPT TO:<a@b> NOTIFY=NEVER", "550 no")));
    }
}
