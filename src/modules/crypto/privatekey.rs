//! `openssl_privatekey`: a private key of a certain kind and size.

use super::openssl::{Input, Openssl, fingerprints, passin, words};
use super::target::{self, Target};
use crate::modules::attrs::FILE_ARGS;
use crate::modules::{Arg, Args, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::Map;

pub(in crate::modules) const MODULE: Module = Module {
    name: "openssl_privatekey",
    collection: "community.crypto",
    summary: "makes private keys",
    args: &[ARGS, super::TARGET_ARGS, FILE_ARGS],
    rules: &[Rule::If("type", "ECC", &["curve"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("size", Kind::Int, "bits, for RSA and DSA").default("4096"),
    Arg::new("type", Kind::Str, "kind of key")
        .default("RSA")
        .choices(&["DSA", "ECC", "Ed25519", "Ed448", "RSA", "X25519", "X448"]),
    Arg::new("curve", Kind::Str, "curve, for ECC").choices(&[
        "secp224r1",
        "secp256k1",
        "secp256r1",
        "secp384r1",
        "secp521r1",
        "secp192r1",
        "brainpoolP256r1",
        "brainpoolP384r1",
        "brainpoolP512r1",
        "sect163k1",
        "sect163r2",
        "sect233k1",
        "sect233r1",
        "sect283k1",
        "sect283r1",
        "sect409k1",
        "sect409r1",
        "sect571k1",
        "sect571r1",
    ]),
    Arg::new("passphrase", Kind::Str, "encrypts the key").secret(),
    Arg::new("cipher", Kind::Str, "AES-256 is always used").inert().default("auto"),
    Arg::new("format", Kind::Str, "form of the file").default("auto_ignore").choices(&[
        "pkcs1",
        "pkcs8",
        "raw",
        "auto",
        "auto_ignore",
    ]),
    Arg::new("format_mismatch", Kind::Str, "what becomes of a key in another form")
        .default("regenerate")
        .choices(&["regenerate", "convert"]),
    Arg::new("regenerate", Kind::Str, "when a key that is there is replaced").default("full_idempotence").choices(&[
        "never",
        "fail",
        "partial_idempotence",
        "full_idempotence",
        "always",
    ]),
];

/// What is known of a key.
#[derive(Debug, PartialEq)]
struct Key {
    kind: String,
    bits: i64,
    curve: Option<String>,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let target = Target::of(args, look, 0o600)?;
    if args.str("state") == Some("absent") {
        return Ok(target.absent());
    }
    if args.str("format") == Some("raw") {
        return Err(Failure::new("format=raw is not supported: openssl writes no raw keys; use pkcs8"));
    }
    let openssl = Openssl::on(look)?;
    let fit = if target.found.is_none() { Fit::Missing } else { fit(args, &openssl, &target)? };
    let wanted = Key::wanted(args);
    let mut plan = match fit {
        Fit::Convert => target.settle(false, |openssl| written(args, openssl, Input::File(target.path)))?,
        fit => target.settle(matches!(fit, Fit::Good), |openssl| made(args, openssl))?,
    };
    plan.set("size", wanted.bits).set("type", wanted.kind).set("curve", wanted.curve);
    Ok(plan)
}

fn finish(args: &Args, mut values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    if args.str("state") != Some("absent") {
        let (path, passphrase) = (args.required("path")?, args.str("passphrase"));
        let ask = words!["pkey", "-in", path, "-passin", passin(passphrase), "-pubout", "-outform", "DER"];
        let der = Openssl::on(look)?.must("cannot read the new key", &ask, passphrase)?;
        values.insert("fingerprint".into(), fingerprints(&der));
    }
    target::finish(args, values, done, look, "privatekey")
}

enum Fit {
    Missing,
    Good,
    Replace,
    Convert,
}

/// What the file is worth, and what `regenerate` makes of it.
fn fit(args: &Args, openssl: &Openssl<'_>, target: &Target<'_>) -> Result<Fit, Failure> {
    let mode = args.str("regenerate").unwrap_or("full_idempotence");
    if mode == "always" {
        return Ok(Fit::Replace);
    }
    let passphrase = args.str("passphrase");
    let text = target.text()?;
    let output =
        openssl.ask(&words!["pkey", "-in", target.path, "-passin", passin(passphrase), "-noout", "-text"], passphrase)?;
    let is_encrypted = text.contains("ENCRYPTED");
    if !output.is_success() || is_encrypted != passphrase.is_some() {
        return match mode {
            "full_idempotence" => Ok(Fit::Replace),
            _ => Err(Failure::new(
                "Unable to read the key. The key is protected with a another passphrase / no passphrase or broken. Will not proceed. To force regeneration, call the module with `generate` set to `full_idempotence` or `always`, or with `force=true`.",
            )),
        };
    }
    if Key::read(&output.stdout_text()) != Key::wanted(args) {
        return match mode {
            "never" => Ok(Fit::Good),
            "fail" => Err(Failure::new(
                "Key has wrong type and/or size. Will not proceed. To force regeneration, call the module with `generate` set to `partial_idempotence`, `full_idempotence` or `always`, or with `force=true`.",
            )),
            _ => Ok(Fit::Replace),
        };
    }
    let is_traditional = !text.contains("BEGIN PRIVATE KEY") && !text.contains("BEGIN ENCRYPTED PRIVATE KEY");
    let is_form = match args.str("format") {
        Some("pkcs1") => is_traditional,
        Some("pkcs8") => !is_traditional,
        Some("auto") => is_traditional == has_traditional(args),
        _ => true,
    };
    match (is_form, args.str("format_mismatch"), mode) {
        (true, ..) | (false, _, "never") => Ok(Fit::Good),
        (false, Some("convert"), _) => Ok(Fit::Convert),
        (false, _, "fail") => Err(Failure::new("Key has wrong format. Will not proceed.")),
        (false, ..) => Ok(Fit::Replace),
    }
}

impl Key {
    fn wanted(args: &Args) -> Key {
        let kind = args.str("type").unwrap_or("RSA").to_owned();
        let bits = match kind.as_str() {
            "Ed25519" | "X25519" => 256,
            "Ed448" => 456,
            "X448" => 448,
            "ECC" => 0,
            _ => args.int("size").unwrap_or(4096),
        };
        Key { curve: args.str("curve").filter(|_| kind == "ECC").map(str::to_owned), bits, kind }
    }

    /// From `openssl pkey -text`.
    fn read(text: &str) -> Key {
        let first = text.lines().next().unwrap_or_default().to_owned();
        let oid = text.lines().find_map(|line| line.strip_prefix("ASN1 OID: ")).map(|oid| match oid.trim() {
            "prime256v1" => "secp256r1".to_owned(),
            "prime192v1" => "secp192r1".to_owned(),
            other => other.to_owned(),
        });
        let bits = first.split(['(', ' ']).find_map(|word| word.parse().ok()).unwrap_or(0);
        let key = |kind: &str, bits: i64| Key { kind: kind.to_owned(), bits, curve: None };
        match first.split_whitespace().next().unwrap_or_default() {
            _ if oid.is_some() => Key { kind: "ECC".to_owned(), bits: 0, curve: oid },
            "ED25519" => key("Ed25519", 256),
            "X25519" => key("X25519", 256),
            "ED448" => key("Ed448", 456),
            "X448" => key("X448", 448),
            "DSA" => key("DSA", bits),
            _ if text.contains("modulus") => key("RSA", bits),
            _ => key("DSA", bits),
        }
    }
}

fn has_traditional(args: &Args) -> bool {
    matches!(args.str("type"), Some("RSA" | "DSA" | "ECC"))
}

fn made(args: &Args, openssl: &Openssl<'_>) -> Result<Vec<u8>, Failure> {
    let kind = args.str("type").unwrap_or("RSA");
    let bits = args.int("size").unwrap_or(4096).to_string();
    let doing = "cannot make the key";
    let pem = match kind {
        "RSA" => openssl.text(doing, &words!["genrsa", bits.as_str()], None)?,
        "DSA" => {
            let parameters = openssl.text(doing, &words!["dsaparam", bits.as_str()], None)?;
            openssl.text(doing, &words!["gendsa", Input::Text(&parameters)], None)?
        }
        "ECC" => {
            let curve = match args.str("curve").unwrap_or_default() {
                "secp256r1" => "prime256v1",
                "secp192r1" => "prime192v1",
                other => other,
            };
            openssl.text(doing, &words!["ecparam", "-name", curve, "-genkey", "-noout"], None)?
        }
        other => openssl.text(doing, &words!["genpkey", "-algorithm", other], None)?,
    };
    written(args, openssl, Input::Text(&pem))
}

/// A key in the form that is wanted, encrypted if there is a passphrase.
fn written(args: &Args, openssl: &Openssl<'_>, key: Input<'_>) -> Result<Vec<u8>, Failure> {
    let passphrase = args.str("passphrase");
    let is_traditional = match args.str("format") {
        Some("pkcs8") => false,
        Some("pkcs1") => true,
        _ => has_traditional(args),
    };
    let mut words = words!["pkey", "-in", key, "-passin", passin(passphrase)].to_vec();
    if is_traditional {
        words.push("-traditional".into());
    }
    if passphrase.is_some() {
        words.extend(words!["-aes-256-cbc", "-passout", passin(passphrase)]);
    }
    openssl.must("cannot write the key", &words, passphrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_its_description() {
        let kind = |text: &str| (Key::read(text).kind, Key::read(text).bits, Key::read(text).curve);
        assert_eq!(kind("Private-Key: (2048 bit, 2 primes)\nmodulus:\n"), ("RSA".to_owned(), 2048, None));
        assert_eq!(
            kind("Private-Key: (256 bit)\npriv:\nASN1 OID: prime256v1\n"),
            ("ECC".to_owned(), 0, Some("secp256r1".to_owned()))
        );
        assert_eq!(kind("ED25519 Private-Key:\n"), ("Ed25519".to_owned(), 256, None));
    }
}
