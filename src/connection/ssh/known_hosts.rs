//! `known_hosts`: who may be trusted to be whom.
//!
//! Plain and hashed names, `[host]:port`, wildcards and negation, `@cert-authority` and `@revoked`, several keys a host.
//! A key of a kind that is not listed is still a changed key when the host is listed with others: an attacker chooses the kind.

use super::pattern;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};
use sha1::{Digest, Sha1};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The lines of all files.
#[derive(Debug, Default)]
pub(super) struct KnownHosts {
    entries: Vec<Entry>,
    files: Vec<PathBuf>,
    /// Whether names are to be hashed when a line is added.
    is_hashing: bool,
}

#[derive(Debug)]
struct Entry {
    marker: Marker,
    names: String,
    key: PublicKey,
    file: PathBuf,
    line: usize,
}

#[derive(Debug, PartialEq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

/// What the files say about one key of one host.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Known,
    Unknown { fingerprint: String },
    Changed { file: PathBuf, line: usize, expected: String, got: String },
    Revoked { file: PathBuf, line: usize, fingerprint: String },
}

impl KnownHosts {
    /// Missing files are empty.
    pub(super) fn read(files: &[PathBuf], is_hashing: bool) -> KnownHosts {
        let mut known = KnownHosts { files: files.to_vec(), is_hashing, ..KnownHosts::default() };
        for file in files {
            if let Ok(text) = std::fs::read(file) {
                known.parse(&String::from_utf8_lossy(&text), file);
            }
        }
        known
    }

    fn parse(&mut self, text: &str, file: &Path) {
        for (number, line) in text.lines().enumerate() {
            if let Some(entry) = entry(line, file, number + 1) {
                self.entries.push(entry);
            }
        }
    }

    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What to think of the key that the server of `host` shows.
    pub(super) fn check(&self, host: &Name<'_>, shown: &PublicKeyOrCertificate) -> Verdict {
        let key = shown.public_key();
        let authority = shown.certificate().map(|certificate| PublicKey::new(certificate.signature_key().clone(), ""));
        if let Some(entry) = self.revoked(host, &key).or_else(|| self.revoked(host, authority.as_ref()?)) {
            return Verdict::Revoked { file: entry.file.clone(), line: entry.line, fingerprint: fingerprint(&entry.key) };
        }
        if shown.certificate().is_some_and(|certificate| self.vouches(host, certificate)) {
            return Verdict::Known;
        }
        let is_shown = |entry: &&Entry| entry.key.key_data() == key.key_data();
        let Some(first) = self.listed(host).next() else {
            // As usual clients have it: what is known without the port may vouch, but says nothing against.
            let is_known = self.entries.iter().filter(|entry| entry.is_plain_for_port_22_of(host)).any(|entry| is_shown(&entry));
            return if is_known { Verdict::Known } else { Verdict::Unknown { fingerprint: fingerprint(&key) } };
        };
        if self.listed(host).any(|entry| is_shown(&entry)) {
            return Verdict::Known;
        }
        // Of several known keys the one of the same kind says most.
        let same = self.listed(host).find(|entry| is_same_kind(&entry.key.algorithm(), &key.algorithm()));
        let entry = same.unwrap_or(first);
        Verdict::Changed { file: entry.file.clone(), line: entry.line, expected: fingerprint(&entry.key), got: fingerprint(&key) }
    }

    /// Key kinds to ask the server for: those that are known first, the others after them.
    pub(super) fn preferred(&self, host: &Name<'_>) -> Vec<Algorithm> {
        let known: Vec<Algorithm> = self.listed(host).map(|entry| entry.key.algorithm()).collect();
        // Signatures with SHA-1 are not asked for: they can be forged.
        let all = russh::Preferred::DEFAULT.key.iter().filter(|one| !matches!(one, Algorithm::Rsa { hash: None })).cloned();
        let (mut first, rest): (Vec<_>, Vec<_>) = all.partition(|one| known.iter().any(|known| is_same_kind(known, one)));
        first.extend(rest);
        first
    }

    /// Whether an authority may vouch for this host: then certificates are asked for.
    pub(super) fn has_authority(&self, host: &Name<'_>) -> bool {
        self.entries.iter().any(|entry| entry.marker == Marker::Authority && host.is_in(&entry.names))
    }

    fn listed<'a>(&'a self, host: &'a Name<'_>) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(|entry| entry.marker == Marker::None && host.is_in(&entry.names))
    }

    fn revoked(&self, host: &Name<'_>, key: &PublicKey) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            entry.marker == Marker::Revoked
                && (host.is_in(&entry.names) || host.is_in_without_port(&entry.names))
                && entry.key.key_data() == key.key_data()
        })
    }

    fn vouches(&self, host: &Name<'_>, certificate: &Certificate) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let is_for_host = certificate.cert_type() == russh::keys::ssh_key::certificate::CertType::Host
            && certificate.critical_options().is_empty()
            && certificate.valid_principals().iter().any(|one| pattern::matches(one, host.name));
        is_for_host
            && self.entries.iter().any(|entry| {
                entry.marker == Marker::Authority
                    && host.is_in(&entry.names)
                    && certificate.validate_at(now, &[entry.key.fingerprint(HashAlg::Sha256)]).is_ok()
            })
    }

    /// Writes a new key down in the first file, hashed if names there are.
    pub(super) fn add(&self, host: &Name<'_>, key: &PublicKey) -> std::io::Result<()> {
        let Some(file) = self.files.first() else { return Ok(()) };
        let is_hashed = self.is_hashing || self.entries.iter().any(|entry| entry.file == *file && entry.names.starts_with("|1|"));
        let name = if is_hashed { hash_name(&host.listed()) } else { host.listed() };
        let key = PublicKey::new(key.key_data().clone(), "").to_openssh().map_err(std::io::Error::other)?;
        append(file, &format!("{name} {}\n", key.trim()))
    }
}

impl Entry {
    fn is_plain_for_port_22_of(&self, host: &Name<'_>) -> bool {
        self.marker == Marker::None && host.is_in_without_port(&self.names)
    }
}

/// A host as known_hosts has it.
#[derive(Debug)]
pub(super) struct Name<'a> {
    pub(super) name: &'a str,
    /// 22 stands without brackets.
    pub(super) port: u16,
}

impl Name<'_> {
    fn listed(&self) -> String {
        let name = self.name.to_lowercase();
        if self.port == 22 { name } else { format!("[{name}]:{}", self.port) }
    }

    fn is_in(&self, names: &str) -> bool {
        is_listed(names, &self.listed())
    }

    fn is_in_without_port(&self, names: &str) -> bool {
        is_listed(names, &self.name.to_lowercase())
    }
}

fn is_listed(names: &str, name: &str) -> bool {
    if names.starts_with("|1|") {
        return is_hash_of(names, name).unwrap_or(false);
    }
    pattern::admits(names.split(','), name)
}

fn entry(line: &str, file: &Path, number: usize) -> Option<Entry> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    let mut names = words.next()?;
    let marker = match names {
        "@cert-authority" => Marker::Authority,
        "@revoked" => Marker::Revoked,
        // A marker of the future must not make a key trusted.
        other if other.starts_with('@') => return None,
        _ => Marker::None,
    };
    if marker != Marker::None {
        names = words.next()?;
    }
    let key = format!("{} {}", words.next()?, words.next()?);
    let key = PublicKey::from_openssh(&key).ok()?;
    Some(Entry { marker, names: names.to_owned(), key, file: file.to_owned(), line: number })
}

pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// All RSA signature algorithms are for one kind of key.
fn is_same_kind(one: &Algorithm, other: &Algorithm) -> bool {
    one == other || matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    use base64ct::{Base64, Encoding as _};
    let (salt, digest) = hashed.strip_prefix("|1|")?.split_once('|')?;
    let salt = Base64::decode_vec(salt).ok()?;
    Some(Base64::decode_vec(digest).ok()? == hmac_sha1(&salt, name.as_bytes()))
}

fn hash_name(name: &str) -> String {
    use base64ct::{Base64, Encoding as _};
    let salt = crate::connection::opening::random::<20>();
    format!("|1|{}|{}", Base64::encode_string(&salt), Base64::encode_string(&hmac_sha1(&salt, name.as_bytes())))
}

/// HMAC as RFC 2104 has it. Only hides names here; no secret depends on it.
fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..20].copy_from_slice(&Sha1::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha1::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha1::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn append(file: &Path, line: &str) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(directory) = file.parent().filter(|directory| !directory.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let is_open_ended = std::fs::read(file).is_ok_and(|text| !text.is_empty() && !text.ends_with(b"\n"));
    let mut output = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    // One write: several hosts may be added at once.
    output.write_all(format!("{}{line}", if is_open_ended { "\n" } else { "" }).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::hex;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const ED_2: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const P256: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.parse(text, Path::new("known_hosts"));
        known
    }

    fn shown(key: &str) -> PublicKeyOrCertificate {
        PublicKey::from_openssh(key).unwrap().into()
    }

    fn at(name: &str, port: u16) -> Name<'_> {
        Name { name, port }
    }

    #[test]
    fn plain_names_ports_wildcards_and_negation() {
        let known = known(&format!("# mine\nweb,10.0.0.1\t {ED} a comment\n[gate]:2222 {ED}\n*.lan,!db.lan {ED}\n"));
        for (name, port, wanted) in [
            ("web", 22, true),
            ("WEB", 22, true),
            ("10.0.0.1", 22, true),
            ("web", 2022, true),
            ("gate", 2222, true),
            ("gate", 22, false),
            ("a.lan", 22, true),
            ("db.lan", 22, false),
        ] {
            assert_eq!(known.check(&at(name, port), &shown(ED)) == Verdict::Known, wanted, "{name}:{port}");
        }
    }

    #[test]
    fn a_changed_key_names_its_line() {
        let known = known(&format!("other {ED}\nweb {P256}\nweb {ED}\n"));
        let Verdict::Changed { line, expected, got, .. } = known.check(&at("web", 22), &shown(ED_2)) else { panic!("changed") };
        assert_eq!((line, expected == got, expected.starts_with("SHA256:")), (3, false, true));
        // Both of its keys are good, and a key of another kind is not simply new.
        assert_eq!(known.check(&at("web", 22), &shown(P256)), Verdict::Known);
        assert!(matches!(known.check(&at("other", 22), &shown(P256)), Verdict::Changed { line: 1, .. }));
        assert!(matches!(known.check(&at("new", 22), &shown(P256)), Verdict::Unknown { .. }));
        // Another port is another server.
        assert!(matches!(known.check(&at("web", 2222), &shown(ED_2)), Verdict::Unknown { .. }));
    }

    #[test]
    fn a_revoked_key_is_refused_even_if_it_is_listed() {
        let known = known(&format!("web {ED}\n@revoked * {ED}\n@strange web {ED_2}\n"));
        assert!(matches!(known.check(&at("web", 22), &shown(ED)), Verdict::Revoked { line: 2, .. }));
        assert!(matches!(known.check(&at("b", 22), &shown(ED_2)), Verdict::Unknown { .. }));
    }

    #[test]
    fn hashed_names() {
        // Made by `ssh-keygen -H`.
        let line = format!("{} {ED}\n", hash_name("[web]:2222"));
        let known = known(&line);
        assert_eq!(known.check(&at("web", 2222), &shown(ED)), Verdict::Known);
        assert!(matches!(known.check(&at("web", 22), &shown(ED)), Verdict::Unknown { .. }));
    }

    #[test]
    fn hmac_agrees_with_rfc_2202() {
        assert_eq!(hex(&hmac_sha1(b"Jefe", b"what do ya want for nothing?")), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let long = [0xaa; 80];
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hex(&hmac_sha1(&long, text)), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }

    #[test]
    fn known_kinds_are_asked_for_first() {
        let known = known(&format!("web {P256}\n"));
        assert!(matches!(known.preferred(&at("web", 22)).first(), Some(Algorithm::Ecdsa { .. })));
        assert!(matches!(known.preferred(&at("new", 22)).first(), Some(Algorithm::Ed25519)));
        assert!(!known.preferred(&at("web", 22)).contains(&Algorithm::Rsa { hash: None }));
    }

    #[test]
    fn adding_follows_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".ssh/known_hosts");
        let read = || KnownHosts::read(std::slice::from_ref(&file), false);
        let key = PublicKey::from_openssh(ED).unwrap();
        read().add(&at("web", 22), &key).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("web {ED}\n"));
        std::fs::write(&file, format!("{} {ED}", hash_name("old"))).unwrap();
        read().add(&at("web", 22), &key).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!((text.lines().count(), text.contains("web")), (2, false));
        assert_eq!(read().check(&at("web", 22), &shown(ED)), Verdict::Known);
    }
}
