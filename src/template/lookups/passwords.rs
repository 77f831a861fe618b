//! The `password` lookup: a password that is made once and then kept in a file on this machine.

use super::{Asked, Lookup, row};
use crate::template::calls::whole;
use crate::template::failure::{Problem, Res, fault};
use crate::template::filters::{Hashing, hashed, new_salt, random_text};
use crate::template::runtime::Val;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(super) const LOOKUPS: &[Lookup] = &[row("password", "a password that is made once and kept in a file", password)];

const LENGTH_MAX: usize = 4096;

/// What a term asks: `path length=20 chars=ascii_letters,digits encrypt=sha512_crypt`.
struct Wanted {
    path: PathBuf,
    length: usize,
    characters: Vec<char>,
    encrypt: Option<String>,
    seed: Option<Val>,
    ident: Option<String>,
}

fn password(asked: &mut Asked<'_, '_>) -> Res<Vec<Val>> {
    let mut passwords = Vec::new();
    for term in asked.texts()? {
        let wanted = parse(asked, &term)?;
        passwords.push(Val::text_of(kept_or_made(&wanted)?, true));
    }
    Ok(passwords)
}

fn parse(asked: &mut Asked<'_, '_>, term: &str) -> Res<Wanted> {
    let mut words: Vec<&str> = term.split(' ').collect();
    let mut options: Vec<(String, String)> = Vec::new();
    while let Some((name, value)) = words.last().and_then(|word| word.split_once('=')) {
        if !matches!(name, "length" | "chars" | "encrypt" | "ident" | "seed") {
            break;
        }
        options.push((name.to_owned(), value.to_owned()));
        words.pop();
    }
    let mut sets: Option<Vec<String>> = None;
    if let Some(value @ (Val::List(_) | Val::Tuple(_))) = asked.option("chars").cloned() {
        sets = Some(asked.eval.elements(&value)?.iter().map(|set| set.to_text().as_str().to_owned()).collect());
    }
    let option = |name: &str| {
        let inline = options.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
        inline.or_else(|| asked.option(name).map(|value| value.to_text().as_str().to_owned()))
    };
    let length = option("length").map_or(Ok(20), |length| whole(&Val::from(length)))?;
    let sets = sets.unwrap_or_else(|| {
        let usual = || ["ascii_letters", "digits", ".,:-_"].map(str::to_owned).to_vec();
        option("chars").map_or_else(usual, |chars| split_sets(&chars))
    });
    let path = words.join(" ");
    let path = if path == "/dev/null" || Path::new(&path).is_absolute() {
        PathBuf::from(path)
    } else {
        let base = asked.eval.world.search_paths("").into_iter().next().unwrap_or_default();
        let home = asked.eval.expand_home(&path);
        base.join(home)
    };
    Ok(Wanted {
        path,
        length: usize::try_from(length).unwrap_or(0).min(LENGTH_MAX),
        characters: characters(&sets),
        encrypt: option("encrypt").filter(|kind| !kind.is_empty() && kind != "False"),
        seed: option("seed").map(Val::from),
        ident: option("ident"),
    })
}

/// Two commas stand for a comma.
fn split_sets(chars: &str) -> Vec<String> {
    let has_comma = chars.contains(",,");
    let rest = chars.replace(",,", ",");
    let mut sets: Vec<String> = rest.split(',').filter(|set| !set.is_empty()).map(str::to_owned).collect();
    if has_comma {
        sets.push(",".to_owned());
    }
    sets
}

fn characters(sets: &[String]) -> Vec<char> {
    let mut all = Vec::new();
    for set in sets {
        let lower = 'a'..='z';
        let upper = 'A'..='Z';
        match set.as_str() {
            "ascii_letters" => all.extend(lower.chain(upper)),
            "ascii_lowercase" => all.extend(lower),
            "ascii_uppercase" => all.extend(upper),
            "digits" => all.extend('0'..='9'),
            "hexdigits" => all.extend(('0'..='9').chain('a'..='f').chain('A'..='F')),
            "octdigits" => all.extend('0'..='7'),
            "punctuation" => all.extend(('!'..='~').filter(char::is_ascii_punctuation)),
            own => all.extend(own.chars()),
        }
    }
    all.retain(|letter| !matches!(letter, '"' | '\''));
    all
}

fn unreadable(path: &Path, reason: &std::io::Error) -> crate::template::failure::Fault {
    fault(Problem::Unreadable { path: path.display().to_string(), reason: reason.to_string() })
}

fn kept_or_made(wanted: &Wanted) -> Res<String> {
    if wanted.characters.is_empty() {
        return Err("`chars` names no characters".into());
    }
    let is_kept = wanted.path != Path::new("/dev/null");
    let kept = match std::fs::read_to_string(&wanted.path) {
        Ok(text) if is_kept => Some(text),
        Err(error) if is_kept && error.kind() != std::io::ErrorKind::NotFound => return Err(unreadable(&wanted.path, &error)),
        _ => None,
    };
    let (mut plain, mut salt) = (None, None);
    if let Some(kept) = kept {
        let line = kept.lines().next().unwrap_or("").to_owned();
        let (secret, tail) = line.split_once(" salt=").map_or((line.as_str(), None), |(secret, tail)| (secret, Some(tail)));
        salt = tail.map(|tail| tail.split(' ').next().unwrap_or("").to_owned());
        plain = Some(secret.to_owned());
    }
    let needs_salt = wanted.encrypt.is_some() && salt.is_none();
    let is_new = plain.is_none() || needs_salt;
    let plain = plain.unwrap_or_else(|| random_text(&wanted.characters, wanted.length, wanted.seed.as_ref()));
    if needs_salt {
        let kind = wanted.encrypt.as_deref().unwrap_or_default();
        salt = Some(new_salt(kind));
    }
    if is_new && is_kept {
        keep(&wanted.path, &plain, salt.as_deref())?;
    }
    match (&wanted.encrypt, salt) {
        (Some(kind), Some(salt)) => {
            let hashing = Hashing { kind, salt: &salt, rounds: None, ident: wanted.ident.as_deref() };
            Ok(hashed(&plain, &hashing)?)
        }
        _ => Ok(plain),
    }
}

/// Only the owner may read it.
fn keep(path: &Path, plain: &str, salt: Option<&str>) -> Res<()> {
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| unreadable(parent, &error))?;
    }
    let text = salt.map_or_else(|| format!("{plain}\n"), |salt| format!("{plain} salt={salt}\n"));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unreadable(path, &error))?;
    file.write_all(text.as_bytes()).map_err(|error| unreadable(path, &error))
}
