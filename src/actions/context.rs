//! A build context as a tar: what a directory holds, less what its `.dockerignore` leaves out.
//!
//! The same directory always gives the same bytes: names in order, and neither owners nor times.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const BLOCK: usize = 512;
/// Longest name that a plain header holds.
const NAME_MAX: usize = 100;

pub(super) fn tar_of(directory: &Path, dockerfile: &str) -> io::Result<Vec<u8>> {
    let rules = Rules::of(directory, dockerfile);
    let mut tar = Vec::new();
    add_all(directory, "", &rules, &mut tar)?;
    tar.resize(tar.len() + 2 * BLOCK, 0);
    Ok(tar)
}

fn add_all(directory: &Path, prefix: &str, rules: &Rules, tar: &mut Vec<u8>) -> io::Result<()> {
    let mut names = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let (path, inside) = (directory.join(&name), format!("{prefix}{name}"));
        let about = fs::symlink_metadata(&path)?;
        let mode = about.permissions().mode() & 0o777;
        let is_left_out = rules.leaves_out(&inside);
        if about.is_dir() {
            // Something below may be let in again.
            if !is_left_out {
                header(tar, &format!("{inside}/"), b'5', mode, 0, "");
            }
            if !is_left_out || rules.has_exceptions() {
                add_all(&path, &format!("{inside}/"), rules, tar)?;
            }
        } else if about.is_symlink() && !is_left_out {
            header(tar, &inside, b'2', 0o777, 0, &fs::read_link(&path)?.to_string_lossy());
        } else if about.is_file() && !is_left_out {
            let body = fs::read(&path)?;
            header(tar, &inside, b'0', mode, body.len(), "");
            tar.extend_from_slice(&body);
            pad(tar);
        }
    }
    Ok(())
}

fn pad(tar: &mut Vec<u8>) {
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// A header; names that are too long for one go before it in entries of their own, as GNU tar does it.
fn header(tar: &mut Vec<u8>, name: &str, kind: u8, mode: u32, size: usize, link: &str) {
    for (text, kind) in [(name, b'L'), (link, b'K')] {
        if text.len() > NAME_MAX {
            block(tar, "././@LongLink", kind, 0o644, text.len() + 1, "");
            tar.extend_from_slice(text.as_bytes());
            tar.push(0);
            pad(tar);
        }
    }
    block(tar, name, kind, mode, size, link);
}

fn block(tar: &mut Vec<u8>, name: &str, kind: u8, mode: u32, size: usize, link: &str) {
    let mut bytes = [0_u8; BLOCK];
    let mut put = |at: usize, length: usize, text: &[u8]| {
        let text = &text[..text.len().min(length)];
        bytes[at..at + text.len()].copy_from_slice(text);
    };
    put(0, NAME_MAX, name.as_bytes());
    put(100, 8, format!("{mode:07o}\0").as_bytes());
    put(108, 8, b"0000000\0");
    put(116, 8, b"0000000\0");
    put(124, 12, format!("{size:011o}\0").as_bytes());
    put(136, 12, b"00000000000\0");
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, NAME_MAX, link.as_bytes());
    put(257, 8, b"ustar  \0");
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&bytes);
}

/// The lines of `.dockerignore`; the last one that fits counts.
#[derive(Default)]
struct Rules {
    lines: Vec<Rule>,
    /// What is sent in any case.
    kept: Vec<String>,
}

struct Rule {
    is_exception: bool,
    parts: Vec<String>,
}

impl Rules {
    fn of(directory: &Path, dockerfile: &str) -> Rules {
        let own = directory.join(format!("{dockerfile}.dockerignore"));
        let text = fs::read_to_string(own).or_else(|_| fs::read_to_string(directory.join(".dockerignore"))).unwrap_or_default();
        Rules { kept: vec![clean(dockerfile).join("/"), ".dockerignore".to_owned()], ..Rules::parse(&text) }
    }

    fn parse(text: &str) -> Rules {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rule = |line: &str| {
            let (is_exception, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
            Rule { is_exception, parts: clean(pattern.trim()) }
        };
        Rules { lines: lines.map(rule).filter(|rule| !rule.parts.is_empty()).collect(), kept: Vec::new() }
    }

    fn has_exceptions(&self) -> bool {
        self.lines.iter().any(|rule| rule.is_exception) || self.kept.iter().any(|kept| kept.contains('/'))
    }

    /// A directory takes everything below with it.
    fn leaves_out(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |rule: &Rule| (1..=parts.len()).any(|length| is_match(&rule.parts, &parts[..length]));
        let last = self.lines.iter().rfind(|rule| fits(rule));
        last.is_some_and(|rule| !rule.is_exception) && !self.kept.iter().any(|kept| kept == path)
    }
}

/// Without slashes at the ends and without `.`.
fn clean(pattern: &str) -> Vec<String> {
    pattern.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

/// Part by part; `**` stands for any number of parts.
fn is_match(pattern: &[String], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((first, rest)), _) if first == "**" => (0..=path.len()).any(|skipped| is_match(rest, &path[skipped..])),
        (Some(_), None) => false,
        (Some((first, rest)), Some((part, below))) => crate::modules::glob::is_match(first, part) && is_match(rest, below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerignore_leaves_out_what_it_says() {
        let rules = Rules::parse("# no\n*.log\nnode_modules\n**/cache\n!keep.log\n/build/*.o\n");
        for path in ["a.log", "node_modules/x/y.js", "a/b/cache", "cache/x", "build/a.o"] {
            assert!(rules.leaves_out(path), "{path}");
        }
        for path in ["keep.log", "sub/a.log", "src/main.rs", "build/a.c"] {
            assert!(!rules.leaves_out(path), "{path}");
        }
    }

    #[test]
    fn a_tar_is_the_same_every_time_and_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let long = "d".repeat(90);
        fs::create_dir_all(directory.path().join(&long)).unwrap();
        fs::write(directory.path().join("Dockerfile"), "FROM scratch\n").unwrap();
        fs::write(directory.path().join(".dockerignore"), "*\n!src\n").unwrap();
        fs::write(directory.path().join("secret"), "x").unwrap();
        fs::create_dir(directory.path().join("src")).unwrap();
        fs::write(directory.path().join("src").join("e".repeat(110)), "hello").unwrap();
        let tar = tar_of(directory.path(), "Dockerfile").unwrap();
        assert_eq!(tar, tar_of(directory.path(), "Dockerfile").unwrap());
        let file = directory.path().join("out.tar");
        fs::write(&file, tar).unwrap();
        let listed = std::process::Command::new("tar").arg("-tf").arg(&file).output().unwrap();
        let names = String::from_utf8(listed.stdout).unwrap();
        let wanted = [".dockerignore", "Dockerfile", "src/", &format!("src/{}", "e".repeat(110))].join("\n");
        assert_eq!(names.trim(), wanted);
    }
}
