//! A key pair in an account's home.

use super::super::{Act, Args, Attrs, Change, Cmd, Failure, Look};
use super::accounts::{Account, tool};
use crate::value::{Map, Value};

/// Hands a passphrase to `ssh-keygen` the one way that is neither a terminal nor a command line.
const WITH_PASSPHRASE: &str = r#"dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
printf '#!/bin/sh\nprintf %%s "$ROLL_PASSPHRASE"\n' > "$dir/ask" && chmod 700 "$dir/ask" || exit 1
SSH_ASKPASS=$dir/ask SSH_ASKPASS_REQUIRE=force DISPLAY=:0 "$@" < /dev/null"#;

pub(super) fn generate(args: &Args, look: &dyn Look, account: &Account) -> Result<Vec<Change>, Failure> {
    let path = path_of(args, account);
    let public = format!("{path}.pub");
    let is_there = |path: &str| look.stat(path, false).is_ok_and(|stat| stat.is_some());
    if !args.bool("force") {
        if is_there(&path) {
            return Ok(Vec::new());
        }
        // It may be a link to a file of somebody else.
        if is_there(&public) {
            return Err(Failure::new(format!("{public} is there already, without {path}; `force: true` replaces it")));
        }
    }
    let owned = |mode: u32| Attrs { mode: Some(mode), uid: Some(account.uid), gid: Some(account.gid), flags: None };
    let set = |path: String, mode: u32| {
        Change::new(&path, Value::Null, Value::Null, Act::SetAttrs { attrs: owned(mode), follow: false, path: path.clone() })
    };
    let dir = path.rsplit_once('/').map_or(".", |(dir, _)| dir).to_owned();
    let mut changes = Vec::new();
    if !look.exists(&dir) {
        changes.push(Change::new(&dir, Value::Null, Value::Null, Act::MakeDir { path: dir.clone(), attrs: owned(0o700) }));
    }
    for old in [&path, &public].into_iter().filter(|old| is_there(old)) {
        changes.push(Change::new(old, Value::Null, Value::Null, Act::Remove { path: old.clone() }));
    }
    let after = Map::from_iter([("ssh_key_file".into(), Value::from(path.as_str()))]);
    changes.push(Change::new(&path, Value::Null, after, Act::Run(keygen(args, look, &path)?)));
    changes.push(set(path.clone(), 0o600));
    changes.push(set(public, 0o644));
    Ok(changes)
}

fn keygen(args: &Args, look: &dyn Look, path: &str) -> Result<Cmd, Failure> {
    let mut argv = vec![tool(look, "ssh-keygen")?, "-q".to_owned()];
    argv.extend(["-t".to_owned(), args.str("ssh_key_type").unwrap_or("rsa").to_owned()]);
    argv.extend(
        args.int("ssh_key_bits").filter(|bits| *bits > 0).into_iter().flat_map(|bits| ["-b".to_owned(), bits.to_string()]),
    );
    argv.extend(["-C".to_owned(), comment(args, look), "-f".to_owned(), path.to_owned()]);
    let Some(passphrase) = args.str("ssh_key_passphrase") else {
        return Ok(Cmd::new(argv.into_iter().chain(["-N".to_owned(), String::new()])));
    };
    let shell = ["/bin/sh", "-c", WITH_PASSPHRASE, "sh"].map(str::to_owned);
    Ok(Cmd::new(shell.into_iter().chain(argv)).env("ROLL_PASSPHRASE", passphrase))
}

fn comment(args: &Args, look: &dyn Look) -> String {
    let host = look.text("/proc/sys/kernel/hostname").ok().flatten().unwrap_or_default();
    args.str("ssh_key_comment").map_or_else(|| format!("ansible-generated on {}", host.trim()), str::to_owned)
}

fn path_of(args: &Args, account: &Account) -> String {
    let kind = args.str("ssh_key_type").unwrap_or("rsa");
    let file = args.str("ssh_key_file").map_or_else(|| format!(".ssh/id_{kind}"), str::to_owned);
    if file.starts_with('/') { file } else { format!("{}/{file}", account.home.trim_end_matches('/')) }
}

pub(super) fn describe(args: &Args, look: &dyn Look, account: &Account, values: &mut Map) {
    let path = path_of(args, account);
    if let Ok(output) = look.run(&Cmd::new(["ssh-keygen", "-lf", &path]))
        && output.is_success()
    {
        values.insert("ssh_fingerprint".into(), output.stdout_text().trim().into());
    }
    if let Ok(Some(key)) = look.text(&format!("{path}.pub")) {
        values.insert("ssh_public_key".into(), key.trim().into());
    }
    values.insert("ssh_key_file".into(), path.into());
}
