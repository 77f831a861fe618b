//! What a task calls a package: `nginx`, `nginx=1.2*`, `nginx>=1.2`, `libc6:i386`, `php8.*`.

use super::super::{Failure, glob};
use std::cmp::Ordering;

/// One item of `name`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) arch: Option<String>,
    pub(super) version: Wanted,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    Any,
    /// May hold wildcards.
    Exactly(String),
    AtLeast(String),
}

impl Spec {
    pub(super) fn parse(text: &str) -> Result<Spec, Failure> {
        let (name, version) = match (text.split_once(">="), text.split_once('=')) {
            (Some((name, version)), _) => (name, Wanted::AtLeast(version.trim().to_owned())),
            (None, Some((name, version))) => (name, Wanted::Exactly(version.trim().to_owned())),
            (None, None) => (text, Wanted::Any),
        };
        let name = name.trim();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-:_~*?[]!".contains(&byte);
        if name.is_empty() || name.starts_with('-') || !name.bytes().all(is_name) {
            return Err(Failure::new(format!("`{text}` is not the name of a package")));
        }
        let (name, arch) = match name.split_once(':') {
            Some((name, arch)) => (name, Some(arch.to_owned())),
            None => (name, None),
        };
        Ok(Spec { name: name.to_owned(), arch, version })
    }

    /// Whether the name stands for several packages.
    pub(super) fn is_pattern(&self) -> bool {
        self.name.contains(['*', '?', '['])
    }

    #[must_use]
    pub(super) fn named(&self, name: &str) -> Spec {
        Spec { name: name.to_owned(), ..self.clone() }
    }

    pub(super) fn accepts(&self, version: &str) -> bool {
        match &self.version {
            Wanted::Any => true,
            Wanted::Exactly(wanted) => glob::is_match(wanted, version),
            Wanted::AtLeast(wanted) => compare(version, wanted) != Ordering::Less,
        }
    }

    /// As `apt-get` understands it, once the version is known.
    pub(super) fn to_apt(&self, version: Option<&str>) -> String {
        let arch = self.arch.as_ref().map(|arch| format!(":{arch}")).unwrap_or_default();
        let version = version.map(|version| format!("={version}")).unwrap_or_default();
        format!("{}{arch}{version}", self.name)
    }
}

/// Debian's order of versions: epoch, then upstream version, then revision.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let ((epoch, upstream, revision), (epoch2, upstream2, revision2)) = (parts(one), parts(other));
    epoch.cmp(&epoch2).then_with(|| order(upstream, upstream2)).then_with(|| order(revision, revision2))
}

fn parts(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternates between runs of non-digits and of digits; `~` sorts before the end, letters before everything else.
fn order(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while !one.is_empty() || !other.is_empty() {
        let (text, text2) = (run(&mut one, false), run(&mut other, false));
        let weights = |text: &[u8]| text.iter().map(|byte| weight(*byte)).chain([0]).collect::<Vec<_>>();
        let (number, number2) = (run(&mut one, true), run(&mut other, true));
        let by_text = weights(text).cmp(&weights(text2));
        let (number, number2) = (trim_zeros(number), trim_zeros(number2));
        let found = by_text.then_with(|| number.len().cmp(&number2.len())).then_with(|| number.cmp(number2));
        if found != Ordering::Equal {
            return found;
        }
    }
    Ordering::Equal
}

fn run<'a>(bytes: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let end = bytes.iter().position(|byte| byte.is_ascii_digit() != digits).unwrap_or(bytes.len());
    let (run, rest) = bytes.split_at(end);
    *bytes = rest;
    run
}

fn weight(byte: u8) -> i16 {
    match byte {
        b'~' => -1,
        letter if letter.is_ascii_alphabetic() => i16::from(letter),
        other => i16::from(other) + 256,
    }
}

fn trim_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    &digits[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_debian_orders_them() {
        let rising = ["1.0~rc1", "1.0", "1.0-1", "1.0-1+deb12u1", "1.0-2", "1.0-10", "1.0a", "1.0+b", "1.1", "1:0.5"];
        for pair in rising.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("1.00", "1.0"), Ordering::Equal);
        assert_eq!(compare("0:1.0", "1.0"), Ordering::Equal);
    }

    #[test]
    fn a_package_is_named_with_version_and_architecture() {
        let spec = Spec::parse("libc6:i386=2.3*").unwrap();
        assert_eq!((spec.name.as_str(), spec.arch.as_deref()), ("libc6", Some("i386")));
        assert!(spec.accepts("2.36-9") && !spec.accepts("2.4"));
        assert!(Spec::parse("git>=2.30").unwrap().accepts("1:2.0"));
        assert!(Spec::parse("--purge").is_err());
        assert!(Spec::parse("a b").is_err());
    }
}
