//! `openssl_publickey`: the public half of a private key.

use super::openssl::{Input, Openssl, fingerprints, input, passin, words};
use super::target::{self, Target};
use crate::modules::attrs::FILE_ARGS;
use crate::modules::{Arg, Args, Cmd, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::Map;

pub(in crate::modules) const MODULE: Module = Module {
    name: "openssl_publickey",
    collection: "community.crypto",
    summary: "writes the public half of a private key",
    args: &[ARGS, super::TARGET_ARGS, FILE_ARGS],
    rules: &[Rule::Exclusive(&["privatekey_path", "privatekey_content"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("format", Kind::Str, "form of the file").default("PEM").choices(&["OpenSSH", "PEM"]),
    Arg::new("privatekey_path", Kind::Path, "the private key"),
    Arg::new("privatekey_content", Kind::Str, "the private key itself").secret(),
    Arg::new("privatekey_passphrase", Kind::Str, "its passphrase").secret(),
];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let target = Target::of(args, look, 0o644)?;
    if args.str("state") == Some("absent") {
        return Ok(target.absent());
    }
    let key = input(args.str("privatekey_path"), args.str("privatekey_content"));
    let key = key.ok_or_else(|| Failure::new("one of privatekey_path, privatekey_content is required"))?;
    if let Input::File(path) = key
        && !look.exists(path)
    {
        return Err(Failure::new(format!("The private key {path} does not exist")));
    }
    let openssl = Openssl::on(look)?;
    let wanted = public(args, &openssl, key)?;
    let der = der(args, &openssl, key)?;
    let text = target.text()?;
    let is_same = text
        .split_whitespace()
        .take(if args.str("format") == Some("OpenSSH") { 2 } else { usize::MAX })
        .eq(wanted.split_whitespace());
    let mut plan = target.settle(is_same, |_| Ok(wanted.into_bytes()))?;
    plan.set("privatekey", args.str("privatekey_path")).set("format", args.str("format")).set("fingerprint", fingerprints(&der));
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    target::finish(args, values, done, look, "publickey")
}

fn public(args: &Args, openssl: &Openssl<'_>, key: Input<'_>) -> Result<String, Failure> {
    let passphrase = args.str("privatekey_passphrase");
    let pem = openssl.text(
        "cannot read the private key",
        &words!["pkey", "-in", key, "-passin", passin(passphrase), "-pubout"],
        passphrase,
    )?;
    if args.str("format") != Some("OpenSSH") {
        return Ok(pem);
    }
    let cmd = Cmd::new(["ssh-keygen", "-i", "-m", "PKCS8", "-f", "/dev/stdin"]).stdin(pem);
    let output = openssl.look.run(&cmd)?;
    if output.is_success() {
        Ok(output.stdout_text())
    } else {
        Err(Failure::of_command("ssh-keygen cannot write the key for OpenSSH", &output))
    }
}

fn der(args: &Args, openssl: &Openssl<'_>, key: Input<'_>) -> Result<Vec<u8>, Failure> {
    let passphrase = args.str("privatekey_passphrase");
    openssl.must(
        "cannot read the private key",
        &words!["pkey", "-in", key, "-passin", passin(passphrase), "-pubout", "-outform", "DER"],
        passphrase,
    )
}
