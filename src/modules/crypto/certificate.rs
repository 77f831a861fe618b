//! `x509_certificate`: a certificate, signed by its own key or by a CA of one's own.
//!
//! A certificate that is there is good where it is for the key and the request, says what the request asks for, and is signed
//! by the CA. Making one is the work of `openssl ca` in a directory of its own that is gone afterwards.

use super::openssl::{Input, Openssl, input, passin, words};
use super::target::{self, Target};
use crate::modules::attrs::FILE_ARGS;
use crate::modules::clock::Clock;
use crate::modules::{Arg, Args, Cmd, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::Map;

pub(in crate::modules) const MODULE: Module = Module {
    name: "x509_certificate",
    collection: "community.crypto",
    summary: "makes certificates, signed by themselves or by a CA of one's own",
    args: &[ARGS, super::TARGET_ARGS, FILE_ARGS],
    rules: &[
        Rule::Exclusive(&["csr_path", "csr_content"]),
        Rule::Exclusive(&["privatekey_path", "privatekey_content"]),
        Rule::If("state", "present", &["provider"]),
    ],
    free_form: None,
    plan,
    finish,
};

#[rustfmt::skip]
const ARGS: &[Arg] = &[
    Arg::new("provider", Kind::Str, "who signs").choices(&["acme", "ownca", "selfsigned"]),
    Arg::new("csr_path", Kind::Path, "the request"),
    Arg::new("csr_content", Kind::Str, "the request itself"),
    Arg::new("privatekey_path", Kind::Path, "the private key"),
    Arg::new("privatekey_content", Kind::Str, "the private key itself").secret(),
    Arg::new("privatekey_passphrase", Kind::Str, "its passphrase").secret(),
    Arg::new("ignore_timestamps", Kind::Bool, "when a certificate that is there begins and ends does not count").default("yes"),
    Arg::new("acme_accountkey_path", Kind::Path, "for `acme`").inert(),
    Arg::new("acme_challenge_path", Kind::Path, "for `acme`").inert(),
    Arg::new("acme_chain", Kind::Bool, "for `acme`").inert().default("no"),
    Arg::new("acme_directory", Kind::Str, "for `acme`").inert(),
    Arg::new("ownca_path", Kind::Path, "certificate of the CA"),
    Arg::new("ownca_content", Kind::Str, "certificate of the CA itself"),
    Arg::new("ownca_privatekey_path", Kind::Path, "private key of the CA"),
    Arg::new("ownca_privatekey_content", Kind::Str, "private key of the CA itself").secret(),
    Arg::new("ownca_privatekey_passphrase", Kind::Str, "its passphrase").secret(),
    Arg::new("ownca_digest", Kind::Str, "digest of the signature").default("sha256"),
    Arg::new("ownca_version", Kind::Int, "version").default("3").choices(&["3"]),
    Arg::new("ownca_not_before", Kind::Str, "when it begins: `+1d`, or `20300101120000Z`").default("+0s"),
    Arg::new("ownca_not_after", Kind::Str, "when it ends").default("+3650d"),
    Arg::new("ownca_create_subject_key_identifier", Kind::Str, "with an identifier of its key").default("create_if_not_provided").choices(&["create_if_not_provided", "always_create", "never_create"]),
    Arg::new("ownca_create_authority_key_identifier", Kind::Bool, "with an identifier of the CA's key").default("yes"),
    Arg::new("selfsigned_version", Kind::Int, "version").default("3").choices(&["3"]),
    Arg::new("selfsigned_digest", Kind::Str, "digest of the signature").default("sha256"),
    Arg::new("selfsigned_not_before", Kind::Str, "when it begins").aliases(&["selfsigned_notBefore"]).default("+0s"),
    Arg::new("selfsigned_not_after", Kind::Str, "when it ends").aliases(&["selfsigned_notAfter"]).default("+3650d"),
    Arg::new("selfsigned_create_subject_key_identifier", Kind::Str, "with an identifier of its key").default("create_if_not_provided").choices(&["create_if_not_provided", "always_create", "never_create"]),
];

/// Makes a place for `openssl ca`, copies its inputs there (they may be descriptors that can be read once), and prints the certificate.
const SIGN: &str = r#"umask 077
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
printf '%s\n' "$ROLL_CONFIG" > "$dir/config"
: > "$dir/index"
take() { if [ -n "$2" ]; then printf '%s\n' "$2" > "$dir/$3"; elif [ -n "$1" ]; then cat "$1" > "$dir/$3"; fi || exit 1; }
take "$1" "$ROLL_CSR" csr
take "$2" "$ROLL_KEY" key
take "$3" "$ROLL_CERT" cert
cd "$dir" || exit 1
if [ ! -s csr ]; then
  openssl req -new -batch -key key -passin "$7" -subj / -out csr -config /dev/null || openssl req -new -batch -key key -passin "$7" -subj /CN=localhost -out csr || exit 1
fi
if [ "$6" = self ]; then set -- "$4" "$5" "$7" -selfsign; else set -- "$4" "$5" "$7" -cert cert; fi
start=$1 end=$2 pass=$3
shift 3
openssl ca -batch -notext -config config -in csr -keyfile key -passin "$pass" -startdate "$start" -enddate "$end" -out out "$@" >&2 || exit 1
cat out"#;

struct Work<'a> {
    args: &'a Args,
    openssl: Openssl<'a>,
    /// `ownca` or `selfsigned`: arguments begin with it.
    provider: &'a str,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let target = Target::of(args, look, 0o644)?;
    if args.str("state") == Some("absent") {
        return Ok(target.absent());
    }
    let provider = args.required("provider")?;
    if provider == "acme" {
        return Err(Failure::new(
            "provider=acme is not supported: run an ACME client of the host (certbot, acme-tiny) with `command`",
        ));
    }
    let work = Work { args, openssl: Openssl::on(look)?, provider };
    work.check()?;
    let is_good = target.found.is_some() && work.is_good(target.path)?;
    let mut plan = target.settle(is_good, |_| work.sign())?;
    plan.set("csr", args.str("csr_path")).set("privatekey", args.str("privatekey_path"));
    if provider == "ownca" {
        plan.set("ca_cert", args.str("ownca_path")).set("ca_privatekey", args.str("ownca_privatekey_path"));
    }
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    target::finish(args, values, done, look, "certificate")
}

impl Work<'_> {
    fn csr(&self) -> Option<Input<'_>> {
        input(self.args.str("csr_path"), self.args.str("csr_content"))
    }

    fn arg(&self, name: &str) -> String {
        format!("{}_{name}", self.provider)
    }

    /// Everything that is needed is given and there.
    fn check(&self) -> Result<(), Failure> {
        let needs: &[(&str, &str)] = match self.provider {
            "ownca" => &[
                ("csr_path", "csr_content"),
                ("ownca_path", "ownca_content"),
                ("ownca_privatekey_path", "ownca_privatekey_content"),
            ],
            _ => &[("privatekey_path", "privatekey_content")],
        };
        if let Some((path, content)) = needs.iter().find(|(path, content)| !self.args.has(path) && !self.args.has(content)) {
            return Err(Failure::new(format!("one of {path}, {content} is required for the {} provider", self.provider)));
        }
        let paths = ["csr_path", "privatekey_path", "ownca_path", "ownca_privatekey_path"];
        for path in paths.iter().filter_map(|arg| self.args.str(arg)) {
            if !self.openssl.look.exists(path) {
                return Err(Failure::new(format!("the file {path} does not exist on the host")));
            }
        }
        Ok(())
    }

    fn is_good(&self, path: &str) -> Result<bool, Failure> {
        let read = |words: &[super::openssl::Word<'_>], passphrase: Option<&str>| -> Result<Option<String>, Failure> {
            let output = self.openssl.ask(words, passphrase)?;
            Ok(output.is_success().then(|| output.stdout_text().trim().to_owned()))
        };
        let Some(public) = read(&words!["x509", "-in", path, "-noout", "-pubkey"], None)? else { return Ok(false) };
        if let Some(key) = input(self.args.str("privatekey_path"), self.args.str("privatekey_content")) {
            let passphrase = self.args.str("privatekey_passphrase");
            let own = read(&words!["pkey", "-in", key, "-passin", passin(passphrase), "-pubout"], passphrase)?;
            if own.ok_or_else(|| Failure::new("cannot read the private key: is it one, and is its passphrase right?"))? != public
            {
                return Ok(false);
            }
        }
        if let Some(csr) = self.csr() {
            let name = words!["-noout", "-subject", "-nameopt", "RFC2253"];
            let of = |first: &[super::openssl::Word<'_>]| read(&[first, &name[..]].concat(), None);
            let is_same_key = read(&words!["req", "-in", csr, "-noout", "-pubkey"], None)?.as_deref() == Some(&public);
            let is_same_name = of(&words!["x509", "-in", path])? == of(&words!["req", "-in", csr])?;
            let said = extensions(&read(&words!["x509", "-in", path, "-noout", "-text"], None)?.unwrap_or_default());
            let asked = extensions(&read(&words!["req", "-in", csr, "-noout", "-text"], None)?.unwrap_or_default());
            if !is_same_key || !is_same_name || !asked.iter().all(|one| said.contains(one)) {
                return Ok(false);
            }
        }
        if self.provider == "ownca" && !self.is_by_ca(path)? {
            return Ok(false);
        }
        Ok(self.args.bool("ignore_timestamps") || self.is_timely(path)?)
    }

    fn is_by_ca(&self, path: &str) -> Result<bool, Failure> {
        let Some(ca) = input(self.args.str("ownca_path"), self.args.str("ownca_content")) else { return Ok(false) };
        let words = words!["verify", "-partial_chain", "-no_check_time", "-trusted", ca, path];
        Ok(self.openssl.ask(&words, None)?.is_success())
    }

    /// Ends when it is to end; relative times are seldom the same twice, so they only count where they are absolute.
    fn is_timely(&self, path: &str) -> Result<bool, Failure> {
        let until = self.args.str(&self.arg("not_after")).unwrap_or_default();
        if until.starts_with(['+', '-']) {
            let output = self.openssl.ask(&words!["x509", "-in", path, "-noout", "-checkend", "0"], None)?;
            return Ok(output.is_success());
        }
        let output = self.openssl.ask(&words!["x509", "-in", path, "-noout", "-enddate", "-dateopt", "iso_8601"], None)?;
        let digits: String = output.stdout_text().chars().filter(char::is_ascii_digit).collect();
        Ok(digits == until.trim_end_matches('Z'))
    }

    fn sign(&self) -> Result<Vec<u8>, Failure> {
        let is_self = self.provider == "selfsigned";
        let (key_path, key, passphrase) = match is_self {
            true => ("privatekey_path", "privatekey_content", "privatekey_passphrase"),
            false => ("ownca_privatekey_path", "ownca_privatekey_content", "ownca_privatekey_passphrase"),
        };
        let text = |name: &str| self.args.str(name).unwrap_or_default();
        let now = self.openssl.look.now();
        let start = moment(text(&self.arg("not_before")), now)?;
        let end = moment(text(&self.arg("not_after")), now)?;
        let passphrase = self.args.str(passphrase);
        let who = if is_self { "self" } else { "ca" };
        let words = [
            "/bin/sh",
            "-c",
            SIGN,
            "sh",
            text("csr_path"),
            text(key_path),
            text("ownca_path"),
            &start,
            &end,
            who,
            passin(passphrase),
        ];
        let cmd = Cmd::new(words)
            .env("ROLL_CONFIG", &self.config())
            .env("ROLL_CSR", text("csr_content"))
            .env("ROLL_KEY", text(key))
            .env("ROLL_CERT", text("ownca_content"))
            .env("ROLL_PASSPHRASE", passphrase.unwrap_or_default());
        let output = self.openssl.look.run(&cmd)?;
        if output.is_success() { Ok(output.stdout) } else { Err(Failure::of_command("cannot sign the certificate", &output)) }
    }

    fn config(&self) -> String {
        let digest = self.args.str(&self.arg("digest")).unwrap_or("sha256");
        let mut text = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md={digest}\npolicy=any\npreserve=yes\n\
             copy_extensions=copy\nunique_subject=no\nemail_in_dn=yes\nx509_extensions=ext\nstring_mask=utf8only\n[any]\n\
             countryName=optional\nstateOrProvinceName=optional\nlocalityName=optional\norganizationName=optional\n\
             organizationalUnitName=optional\ncommonName=optional\nemailAddress=optional\n[ext]\n"
        );
        if self.args.str(&self.arg("create_subject_key_identifier")) != Some("never_create") {
            text.push_str("subjectKeyIdentifier=hash\n");
        }
        if self.provider == "ownca" && self.args.bool("ownca_create_authority_key_identifier") {
            text.push_str("authorityKeyIdentifier=keyid\n");
        }
        text
    }
}

/// The extensions of a description, each with what it says; identifiers of keys are the signer's business.
fn extensions(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        let word = line.trim();
        if word.starts_with("Requested Extensions:") || word.starts_with("X509v3 extensions:") {
            is_inside = true;
        } else if word.starts_with("Signature ") {
            is_inside = false;
        } else if is_inside
            && (word.starts_with("X509v3 ") || word.starts_with("TLS Feature") || word.contains("Authority Information Access"))
        {
            all.push(word.to_owned());
        } else if let Some(last) = all.last_mut().filter(|_| is_inside) {
            last.push_str(word);
        }
    }
    all.retain(|one| !one.contains("Key Identifier:"));
    all
}

/// `+3650d`, `-1h30m`, or a time such as `20300101120000Z`, as openssl takes it.
fn moment(text: &str, now: f64) -> Result<String, Failure> {
    let wrong = || Failure::new(format!("the time `{text}` is neither relative (`+30d`) nor absolute (`20300101120000Z`)"));
    let Some(sign) = text.chars().next().filter(|letter| "+-".contains(*letter)) else {
        let digits = text.strip_suffix('Z').unwrap_or(text);
        let is_time = matches!(digits.len(), 12 | 14) && digits.bytes().all(|byte| byte.is_ascii_digit());
        return if is_time { Ok(format!("{digits}Z")) } else { Err(wrong()) };
    };
    let mut seconds = 0.0;
    let mut number = String::new();
    for letter in text[1..].chars() {
        let unit = match letter {
            's' | 'S' => 1.0,
            'm' | 'M' => 60.0,
            'h' | 'H' => 3600.0,
            'd' | 'D' => 86400.0,
            'w' | 'W' => 604_800.0,
            digit if digit.is_ascii_digit() => {
                number.push(digit);
                continue;
            }
            _ => return Err(wrong()),
        };
        seconds += number.parse::<f64>().map_err(|_| wrong())? * unit;
        number.clear();
    }
    seconds += if number.is_empty() { 0.0 } else { number.parse::<f64>().map_err(|_| wrong())? };
    let time = if sign == '+' { now + seconds } else { now - seconds };
    Ok(Clock::default().local(time).format("%Y%m%d%H%M%SZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_or_absolute() {
        assert_eq!(moment("+0s", 1_767_225_600.0).unwrap(), "20260101000000Z");
        assert_eq!(moment("+1d1h", 1_767_225_600.0).unwrap(), "20260102010000Z");
        assert_eq!(moment("20300101120000Z", 0.0).unwrap(), "20300101120000Z");
        assert!(moment("tomorrow", 0.0).is_err() && moment("+x", 0.0).is_err());
    }

    #[test]
    fn extensions_are_read_from_descriptions() {
        let text = "Data:\n  X509v3 extensions:\n    X509v3 Subject Alternative Name: \n      DNS:a, DNS:b\n    X509v3 Subject Key Identifier: \n      AA\nSignature Algorithm: x\n";
        assert_eq!(extensions(text), ["X509v3 Subject Alternative Name:DNS:a, DNS:b"]);
    }
}
