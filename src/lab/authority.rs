//! The certificate authorities that this machine trusts beyond Debian's own: many networks inspect TLS with one of theirs, and
//! without it nothing inside the lab could fetch a package.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Where systems keep the bundle of all they trust, most usual first.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where Debian keeps the authorities that its package brings.
const DEBIAN: &str = "/usr/share/ca-certificates";

/// The additional authorities, one PEM text each, in a stable order.
pub(super) fn additional() -> Vec<String> {
    let known = certificates_below(Path::new(DEBIAN));
    let trusted = bundle().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    certificates(&trusted).difference(&known).cloned().collect()
}

fn bundle() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    named.into_iter().chain(BUNDLES.map(PathBuf::from)).find(|path| path.is_file())
}

fn certificates_below(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeSet::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => certificates_below(&path),
            false => certificates(&fs::read_to_string(path).unwrap_or_default()),
        })
        .collect()
}

/// The certificates in a PEM text, without what is written around them and wrapped alike, so that equal ones are equal.
fn certificates(text: &str) -> BTreeSet<String> {
    let bodies = text.split(BEGIN).skip(1).filter_map(|rest| rest.split(END).next());
    bodies.map(rewrapped).collect()
}

fn rewrapped(body: &str) -> String {
    let digits: Vec<char> = body.chars().filter(|c| !c.is_whitespace()).collect();
    let lines: Vec<String> = digits.chunks(64).map(|line| line.iter().collect()).collect();
    format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_certificates_are_equal_however_they_are_wrapped() {
        let one = certificates("# a comment\n-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n");
        let other = certificates("-----BEGIN CERTIFICATE-----\r\nQUJDREVG\r\n-----END CERTIFICATE-----");
        assert_eq!(one, other);
        assert_eq!(one.len(), 1);
    }

    #[test]
    fn a_text_without_certificates_gives_none() {
        assert!(certificates("no certificate here").is_empty());
        assert!(certificates("").is_empty());
    }
}
