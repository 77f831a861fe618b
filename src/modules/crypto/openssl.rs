//! The host's `openssl`.

use crate::modules::{Cmd, Failure, Look, Output};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::value::Value;

pub(super) struct Openssl<'a> {
    pub(super) look: &'a dyn Look,
}

/// Something that `openssl` reads: a file of the host, or a text that only it may see.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    File(&'a str),
    Text(&'a str),
}

/// Opens the texts of the environment as descriptors 3, 4 and 5, and runs the rest.
const WITH_TEXTS: &str = "exec \"$@\" 3<<A 4<<B 5<<C\n$ROLL_TEXT_3\nA\n$ROLL_TEXT_4\nB\n$ROLL_TEXT_5\nC";
const PASSPHRASE: &str = "ROLL_PASSPHRASE";

impl<'a> Openssl<'a> {
    pub(super) fn on(look: &'a dyn Look) -> Result<Openssl<'a>, Failure> {
        match look.which("openssl") {
            Some(_) => Ok(Openssl { look }),
            None => Err(Failure::new("there is no openssl on this host: install its package first")),
        }
    }

    /// Runs it; each `Input` among the words is where it reads that.
    pub(super) fn ask(&self, words: &[Word<'_>], passphrase: Option<&str>) -> Result<Output, Failure> {
        let mut argv: Vec<String> = vec!["openssl".to_owned()];
        let mut texts = Vec::new();
        for word in words {
            match word {
                Word::Plain(text) => argv.push((*text).to_owned()),
                Word::In(Input::File(path)) => argv.push((*path).to_owned()),
                Word::In(Input::Text(text)) => {
                    argv.push(format!("/dev/fd/{}", texts.len() + 3));
                    texts.push(*text);
                }
            }
        }
        if !texts.is_empty() {
            argv.splice(0..0, ["/bin/sh", "-c", WITH_TEXTS, "sh"].map(str::to_owned));
        }
        let mut cmd = Cmd::new(argv);
        for (number, text) in texts.iter().enumerate() {
            cmd = cmd.env(&format!("ROLL_TEXT_{}", number + 3), text.trim_end());
        }
        if let Some(passphrase) = passphrase {
            cmd = cmd.env(PASSPHRASE, passphrase);
        }
        self.look.run(&cmd)
    }

    /// The same, where only success will do.
    pub(super) fn must(&self, doing: &str, words: &[Word<'_>], passphrase: Option<&str>) -> Result<Vec<u8>, Failure> {
        let output = self.ask(words, passphrase)?;
        if output.is_success() { Ok(output.stdout) } else { Err(Failure::of_command(doing, &output)) }
    }

    pub(super) fn text(&self, doing: &str, words: &[Word<'_>], passphrase: Option<&str>) -> Result<String, Failure> {
        self.must(doing, words, passphrase).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A word of its command line.
#[derive(Clone, Copy)]
pub(super) enum Word<'a> {
    Plain(&'a str),
    In(Input<'a>),
}

impl<'a> From<&'a str> for Word<'a> {
    fn from(text: &'a str) -> Word<'a> {
        Word::Plain(text)
    }
}

impl<'a> From<Input<'a>> for Word<'a> {
    fn from(input: Input<'a>) -> Word<'a> {
        Word::In(input)
    }
}

/// Words, plain and not, as one list.
macro_rules! words {
    ($($word:expr),* $(,)?) => { [$(crate::modules::crypto::openssl::Word::from($word)),*] };
}
pub(super) use words;

/// How `openssl` is told the passphrase of a key it reads.
pub(super) fn passin(passphrase: Option<&str>) -> &'static str {
    if passphrase.is_some() { "env:ROLL_PASSPHRASE" } else { "pass:" }
}

/// `-in` and the like for a path or a content.
pub(super) fn input<'a>(path: Option<&'a str>, content: Option<&'a str>) -> Option<Input<'a>> {
    path.map(Input::File).or(content.map(Input::Text))
}

/// Digests of a public key, as Ansible returns them.
pub(super) fn fingerprints(der: &[u8]) -> Value {
    let shown = |bytes: &[u8]| Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"));
    [
        ("md5", shown(&Md5::digest(der))),
        ("sha1", shown(&Sha1::digest(der))),
        ("sha224", shown(&Sha224::digest(der))),
        ("sha256", shown(&Sha256::digest(der))),
        ("sha384", shown(&Sha384::digest(der))),
        ("sha512", shown(&Sha512::digest(der))),
    ]
    .into_iter()
    .collect()
}
