//! `authorized_key`: who may log in to an account with which key.

use super::touch::Write;
use super::user::accounts::Account;
use super::{Act, Arg, Args, Attrs, Change, Content, Done, Failure, HttpRequest, Kind, Look, Module, Plan};
use crate::value::{Map, Value, bytes_of, shown_text};

pub(super) const MODULE: Module = Module {
    name: "authorized_key",
    collection: "ansible.posix",
    summary: "adds and removes keys that may log in to an account",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("user", Kind::Str, "the account").required(),
    Arg::new("key", Kind::Str, "one public key a line, or an address to get them from").required(),
    Arg::new("state", Kind::Str, "whether they are there").default("present").choices(&["absent", "present"]),
    Arg::new("path", Kind::Path, "the file; `~/.ssh/authorized_keys` of the account if not given"),
    Arg::new("manage_dir", Kind::Bool, "make the directory, with its owner and mode").default("yes"),
    Arg::new("key_options", Kind::Str, "options to put before the key, as `from=\"10.0.0.1\"`"),
    Arg::new("exclusive", Kind::Bool, "remove all keys that are not given").default("no"),
    Arg::new("comment", Kind::Str, "replaces the comment of the key"),
    Arg::new("follow", Kind::Bool, "write to what a link points to").default("no"),
    Arg::new("validate_certs", Kind::Bool, "check the certificate of the address").default("yes"),
];

const KINDS: [&str; 9] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-xmss@openssh.com",
];

/// One line with a key.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    options: String,
    kind: String,
    body: String,
    comment: String,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq)]
enum Line {
    Key(Key),
    /// Comments, blanks and what is not understood stay as they are.
    Other(String),
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let account = Account::find(look, args.required("user")?);
    let path = path_of(args, look, account.as_ref())?;
    let keys = wanted(args, look)?;
    let text = look.exact_text(&path).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?;
    let before = text.clone().unwrap_or_default();
    let mut lines: Vec<Line> = before.lines().map(Line::parse).collect();
    let old = lines.clone();
    if args.str("state") == Some("absent") {
        lines.retain(|line| !keys.iter().any(|key| line.holds(key)));
    } else {
        add(&mut lines, &keys, args.bool("exclusive"));
    }
    let mut plan = Plan::default();
    for arg in ARGS {
        plan.set(arg.name, args.get(arg.name).cloned().unwrap_or(Value::Null));
    }
    plan.set("path", args.str("path")).set("keyfile", path.as_str()).set("unique", false);
    if lines != old {
        let after: String = lines.iter().map(|line| line.text() + "\n").collect();
        plan.changes.extend(write(args, look, &path, account.as_ref(), &before, &after)?);
    }
    Ok(plan)
}

fn finish(_: &Args, values: Map, _: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    Ok(values)
}

fn path_of(args: &Args, look: &dyn Look, account: Option<&Account>) -> Result<String, Failure> {
    let user = args.str("user").unwrap_or_default();
    let missing = || {
        Failure::new(format!(
            "Failed to lookup user {user}: there is no such account; make it with the `user` module first, or give `path`"
        ))
    };
    let path = match (args.str("path"), account) {
        (Some(path), _) => path.replace("%u", user).replace("%h", account.map_or("", |account| &account.home)),
        (None, Some(account)) => format!("{}/.ssh/authorized_keys", account.home.trim_end_matches('/')),
        (None, None) => return Err(missing()),
    };
    if !args.bool("follow") {
        return Ok(path);
    }
    match look.read_link(&path) {
        Ok(target) if target.starts_with('/') => Ok(target),
        Ok(target) => Ok(format!("{}/{target}", directory(&path))),
        Err(_) => Ok(path),
    }
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(dir, _)| if dir.is_empty() { "/" } else { dir })
}

/// The keys of the task, with its options and comment.
fn wanted(args: &Args, look: &dyn Look) -> Result<Vec<Key>, Failure> {
    let given = args.required("key")?;
    let text = if given.starts_with("http") { fetched(args, look, given)? } else { given.to_owned() };
    let mut keys: Vec<Key> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Line::Key(mut key) = Line::parse(line) else {
            return Err(Failure::new(format!("invalid key specified: {line}")));
        };
        if let Some(options) = args.str("key_options") {
            options.trim().clone_into(&mut key.options);
        }
        if let Some(comment) = args.str("comment") {
            comment.clone_into(&mut key.comment);
        }
        keys.retain(|other| other.body != key.body);
        keys.push(key);
    }
    if keys.is_empty() && !args.bool("exclusive") {
        return Err(Failure::new("`key` holds no key"));
    }
    Ok(keys)
}

fn fetched(args: &Args, look: &dyn Look, url: &str) -> Result<String, Failure> {
    let reply = look.http(&HttpRequest { skip_verify: !args.bool("validate_certs"), ..HttpRequest::get(url) })?;
    if reply.status != 200 {
        return Err(Failure::new(format!("Error getting key from: {url}: HTTP {} {}", reply.status, reply.reason)));
    }
    Ok(reply.text())
}

/// A key that is there with another comment or other options is replaced in its place; new ones come last.
fn add(lines: &mut Vec<Line>, keys: &[Key], is_exclusive: bool) {
    if is_exclusive {
        lines.retain(|line| matches!(line, Line::Other(_)) || keys.iter().any(|key| line.holds(key)));
    }
    for key in keys {
        match lines.iter_mut().find(|line| line.holds(key)) {
            Some(line) => *line = Line::Key(key.clone()),
            None => lines.push(Line::Key(key.clone())),
        }
    }
}

fn write(
    args: &Args,
    look: &dyn Look,
    path: &str,
    account: Option<&Account>,
    before: &str,
    after: &str,
) -> Result<Vec<Change>, Failure> {
    let owned = |mode: u32| Attrs {
        mode: Some(mode),
        uid: account.map(|account| account.uid).filter(|_| look.uid() == 0),
        gid: account.map(|account| account.gid).filter(|_| look.uid() == 0),
        flags: None,
    };
    let dir = directory(path);
    let found = look.stat(dir, true).map_err(|error| Failure::io(format!("cannot read {dir}"), &error))?;
    let mut changes = Vec::new();
    match found {
        None if args.bool("manage_dir") => {
            let act = Act::MakeDir { path: dir.to_owned(), attrs: owned(0o700) };
            changes.push(Change::new(dir, Value::Null, Value::Null, act));
        }
        None => return Err(Failure::new(format!("the directory {dir} does not exist and manage_dir is false"))),
        // A directory that was given may be shared; only the account's own is set right.
        Some(found) if args.bool("manage_dir") && !args.has("path") => {
            changes.extend(owned(0o700).change(look, dir, &found, true));
        }
        Some(_) => {}
    }
    let write = Write { attrs: owned(0o600), ..Write::new(path, Content::Bytes(bytes_of(after))) };
    let (before, after) = (shown_text(before), shown_text(after));
    changes.push(Change::new(path, before.as_ref(), after.as_ref(), Act::Write(write)));
    Ok(changes)
}

impl Line {
    fn parse(line: &str) -> Line {
        Key::parse(line.trim()).map_or_else(|| Line::Other(line.to_owned()), Line::Key)
    }

    fn holds(&self, key: &Key) -> bool {
        matches!(self, Line::Key(own) if own.body == key.body)
    }

    fn text(&self) -> String {
        match self {
            Line::Other(text) => text.clone(),
            Line::Key(key) => [&key.options, &key.kind, &key.body, &key.comment]
                .into_iter()
                .filter(|part| !part.is_empty())
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

impl Key {
    fn parse(line: &str) -> Option<Key> {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (first, rest) = word(line);
        let (options, kind, rest) = if KINDS.contains(&first) || first.contains("-cert-v01@") {
            ("", first, rest)
        } else {
            let (kind, rest) = word(rest);
            (first, kind, rest)
        };
        let (body, comment) = word(rest);
        let is_kind = KINDS.contains(&kind) || kind.contains("-cert-v01@");
        let is_body = body.len() > 16 && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        (is_kind && is_body).then(|| Key {
            options: options.to_owned(),
            kind: kind.to_owned(),
            body: body.to_owned(),
            comment: comment.trim().to_owned(),
        })
    }
}

/// The first word and what follows; spaces inside double quotes do not end a word.
fn word(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !is_escaped => is_quoted = !is_quoted,
            ' ' | '\t' if !is_quoted => return (&text[..at], text[at..].trim_start()),
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGzxlYpOzzMZ8dyE6NlJzLOJ5hQ0hG5K5lI2n5mXQ7Vd";

    #[test]
    fn options_may_hold_spaces_in_quotes() {
        let key = Key::parse(&format!(r#"command="echo \"a b\"",no-pty ssh-ed25519 {BODY} me at home"#)).unwrap();
        assert_eq!(key.options, r#"command="echo \"a b\"",no-pty"#);
        assert_eq!((key.kind.as_str(), key.body.as_str(), key.comment.as_str()), ("ssh-ed25519", BODY, "me at home"));
        assert_eq!(Key::parse("# ssh-ed25519 AAAA"), None);
        assert_eq!(Key::parse("ssh-ed25519 nonsense!"), None);
    }

    #[test]
    fn another_comment_replaces_a_key_in_its_place() {
        let mut lines: Vec<Line> =
            [format!("ssh-ed25519 {BODY} old"), "# end".to_owned()].iter().map(|line| Line::parse(line)).collect();
        let key = Key::parse(&format!("ssh-ed25519 {BODY} new")).unwrap();
        add(&mut lines, &[key], false);
        assert_eq!(lines.iter().map(Line::text).collect::<Vec<_>>(), [format!("ssh-ed25519 {BODY} new"), "# end".to_owned()]);
    }
}
