//! `known_hosts`: which key a server has, in the words of ssh.

use super::edit::TextFile;
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Failure, Kind, Look, Module, Plan, edit, finish_plainly, paths};
use crate::value::{Map, Value, bytes_of, shown_text};
use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};

pub(super) static MODULE: Module = Module {
    name: "known_hosts",
    collection: "ansible.builtin",
    summary: "add and remove keys of servers",
    args: &[&[
        Arg::new("name", Kind::Str, "the server, as ssh names it").aliases(&["host"]).required(),
        Arg::new("key", Kind::Str, "its line: name, kind and key"),
        Arg::new("path", Kind::Path, "the file").default("~/.ssh/known_hosts"),
        Arg::new("hash_host", Kind::Bool, "hide the name behind a hash").default("no"),
        Arg::new("state", Kind::Str, "whether it is there").choices(&["absent", "present"]).default("present"),
    ]],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// A line of the file, as far as it is one with a key.
#[derive(Clone, Copy, PartialEq)]
struct Entry<'a> {
    /// `@revoked`, `@cert-authority` or nothing.
    marker: &'a str,
    hosts: &'a str,
    kind: &'a str,
    body: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Entry<'a>> {
        let mut words = line.split_whitespace();
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (marker, hosts) = if first.starts_with('@') { (first, words.next()?) } else { ("", first) };
        Some(Entry { marker, hosts, kind: words.next()?, body: words.next()? })
    }

    fn is_hashed(&self) -> bool {
        self.hosts.starts_with("|1|")
    }

    fn is_of(&self, name: &str) -> bool {
        if !self.is_hashed() {
            return self.hosts.split(',').any(|host| host == name);
        }
        let mut parts = self.hosts.split('|').skip(2);
        let salt = parts.next().and_then(|salt| Base64::decode_vec(salt).ok());
        salt.is_some_and(|salt| parts.next() == Some(hash(&salt, name).as_str()))
    }
}

/// HMAC-SHA1 of a name, in base64.
fn hash(salt: &[u8], name: &str) -> String {
    let mut key = [0; 64];
    key[..salt.len().min(64)].copy_from_slice(&salt[..salt.len().min(64)]);
    let inner = Sha1::new().chain_update(key.map(|byte| byte ^ 0x36)).chain_update(name.as_bytes()).finalize();
    let outer = Sha1::new().chain_update(key.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    Base64::encode_string(&outer)
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    let is_present = args.str("state") != Some("absent");
    let key = args.str("key").map(str::trim).unwrap_or_default();
    if name.contains(',') {
        let msg = "Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.";
        return Err(Failure::new(msg));
    }
    if is_present && key.is_empty() {
        return Err(Failure::new("No key specified when adding a host"));
    }
    let wanted = checked(name, key)?;
    let path = args.required("path")?;
    let file = TextFile::open(look, path)?;
    let lines: Vec<&str> = file.text.lines().collect();
    let hashed = wanted.filter(|_| args.bool("hash_host")).map(|wanted| hidden(look, name, &wanted));
    let after = match (wanted, is_present) {
        (Some(wanted), true) => present(name, &lines, &wanted, hashed.as_deref().unwrap_or(key), hashed.is_some()),
        (wanted, _) => absent(name, &lines, wanted.as_ref()),
    };
    let is_same = after == lines;
    let after = if is_same { file.text.clone() } else { after.iter().map(|line| format!("{line}\n")).collect() };
    let mut plan = Plan::default();
    plan.set("name", name).set("key", args.str("key")).set("path", path).set("hash_host", args.bool("hash_host"));
    plan.set("state", args.str("state")).set("diff", shown(path, &file, &after));
    if is_same {
        return Ok(plan);
    }
    if file.found.is_none() {
        edit::make_parents(look, &file.path, &mut plan);
    }
    let attrs = Attrs { mode: file.found.is_none().then_some(0o644), ..Attrs::default() };
    let write = Write { attrs, ..Write::new(&file.path, Content::Bytes(bytes_of(&after))) };
    let (before, after) = (shown_text(&file.text), shown_text(&after));
    plan.push(Change::new(paths::base_name(path), before.as_ref(), after.as_ref(), Act::Write(write)));
    Ok(plan)
}

/// The given line as an entry of this name; none where no key is given.
fn checked<'a>(name: &str, key: &'a str) -> Result<Option<Entry<'a>>, Failure> {
    if key.is_empty() {
        return Ok(None);
    }
    let entry =
        Entry::parse(key).ok_or_else(|| Failure::new("The key is not a line of a known_hosts file: name, kind and key"))?;
    if !entry.is_of(name) {
        return Err(Failure::new("Host parameter does not match hashed host field in supplied key"));
    }
    Ok(Some(entry))
}

/// The entry with a hash for its name. The salt need not be secret, only different for each.
fn hidden(look: &dyn Look, name: &str, entry: &Entry<'_>) -> String {
    let seed = format!("{name} {} {}", entry.body, look.now());
    let salt = Sha1::digest(seed.as_bytes());
    let hosts = format!("|1|{}|{}", Base64::encode_string(&salt), hash(&salt, name));
    [entry.marker, &hosts, entry.kind, entry.body].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// One line of this kind and name is left, the wanted one; a new one comes last. Of authorities and revoked keys there may be more.
fn present<'a>(name: &str, lines: &[&'a str], wanted: &Entry<'_>, new: &'a str, is_hashed: bool) -> Vec<&'a str> {
    let is_meant = |line: &str| Entry::parse(line).is_some_and(|entry| is_rival(&entry, wanted) && entry.is_of(name));
    let is_right = |line: &str| {
        Entry::parse(line).is_some_and(|entry| is_meant(line) && entry.body == wanted.body && entry.is_hashed() == is_hashed)
    };
    let is_there = lines.iter().any(|line| is_right(line));
    let mut kept: Vec<&str> = lines.iter().copied().filter(|line| !is_meant(line) || is_right(line)).collect();
    if !is_there {
        kept.push(new);
    }
    kept
}

/// Whether only one of two can be in the file.
fn is_rival(entry: &Entry<'_>, wanted: &Entry<'_>) -> bool {
    let is_kind = (entry.kind, entry.marker) == (wanted.kind, wanted.marker);
    is_kind && (entry.marker.is_empty() || entry.body == wanted.body)
}

/// Without the wanted key, or without any of this name where none is given.
fn absent<'a>(name: &str, lines: &[&'a str], wanted: Option<&Entry<'_>>) -> Vec<&'a str> {
    let is_meant = |entry: Entry<'_>| {
        let is_key =
            wanted.is_none_or(|wanted| (entry.kind, entry.body, entry.marker) == (wanted.kind, wanted.body, wanted.marker));
        is_key && entry.is_of(name)
    };
    lines.iter().copied().filter(|line| !Entry::parse(line).is_some_and(is_meant)).collect()
}

fn shown(path: &str, file: &TextFile, after: &str) -> Map {
    let before = if file.found.is_some() { path } else { "/dev/null" };
    let (text, after) = (shown_text(&file.text), shown_text(after));
    let entries = [("before_header", before), ("after_header", path), ("before", text.as_ref()), ("after", after.as_ref())];
    entries.into_iter().map(|(key, value)| (key.into(), Value::from(value))).collect()
}
