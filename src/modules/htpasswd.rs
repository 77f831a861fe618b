//! `htpasswd`: a user's password in a file for web servers.

use super::attrs::FILE_ARGS;
use super::edit::{self, TextFile};
use super::{Arg, Args, Cmd, Failure, Kind, Look, Module, Plan, Rule};
use base64ct::{Base64, Encoding};
use md5::{Digest, Md5};

pub(super) static MODULE: Module = Module {
    name: "htpasswd",
    collection: "community.general",
    summary: "see to users in a password file of a web server",
    args: &[
        FILE_ARGS,
        &[
            Arg::new("path", Kind::Path, "the file").aliases(&["dest", "destfile"]).required(),
            Arg::new("name", Kind::Str, "the user").aliases(&["username"]).required(),
            Arg::new("password", Kind::Str, "the password").secret(),
            Arg::new(
                "hash_scheme",
                Kind::Str,
                "how it is hidden: apr_md5_crypt, bcrypt, sha256_crypt, sha512_crypt, ldap_sha1 …",
            )
            .aliases(&["crypt_scheme"])
            .default("apr_md5_crypt"),
            Arg::new("state", Kind::Str, "whether the user is there").choices(&["absent", "present"]).default("present"),
            Arg::new("create", Kind::Bool, "make the file if it is not there").default("yes"),
        ],
    ],
    rules: &[Rule::If("state", "present", &["password"])],
    free_form: None,
    plan,
    finish: edit::finish,
};

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let (path, name) = (args.required("path")?, args.required("name")?);
    if name.contains([':', '\n']) {
        return Err(Failure::new("the name of a user cannot hold a colon or a line break"));
    }
    let is_present = args.str("state") != Some("absent");
    let file = TextFile::open(look, path)?;
    let mut plan = Plan::default();
    plan.set("msg", format!("{name} is {}", if is_present { "there" } else { "not there" }));
    if file.found.is_none() && !is_present {
        plan.set("msg", format!("{path} not present"));
        return Ok(plan);
    }
    if file.found.is_none() && !args.bool("create") {
        return Err(Failure::new(format!("Destination {path} does not exist")));
    }
    let mut lines: Vec<String> = file.text.lines().map(str::to_owned).collect();
    let place = lines.iter().position(|line| line.split(':').next() == Some(name));
    let msg = if is_present {
        let password = args.text("password").unwrap_or_default();
        let hidden = place.and_then(|at| lines[at].split_once(':')).map(|(_, hash)| hash.to_owned());
        let is_right =
            hidden.as_deref().is_some_and(|hash| is_of_scheme(args, hash) && matches(look, hash, &password) == Some(true));
        match place {
            Some(_) if is_right => "",
            Some(at) => {
                lines[at] = format!("{name}:{}", hash(args, look, &password)?);
                "changed"
            }
            None => {
                lines.push(format!("{name}:{}", hash(args, look, &password)?));
                "added"
            }
        }
    } else {
        place.map(|at| drop(lines.remove(at))).map_or("", |()| "removed")
    };
    let after = if msg.is_empty() { file.text.clone() } else { lines.iter().map(|line| format!("{line}\n")).collect() };
    let said = match msg {
        "changed" => format!("Updated {name}"),
        "added" => format!("Add {name}"),
        _ => format!("Remove {name}"),
    };
    file.become_text(args, look, &after, &said, &mut plan)?;
    // What the file held is nobody's business.
    for change in plan.changes.iter_mut().filter(|change| change.what.ends_with("(content)")) {
        (change.before, change.after) = (crate::value::Value::Null, crate::value::Value::Null);
    }
    Ok(plan)
}

fn scheme(args: &Args) -> &str {
    args.str("hash_scheme").unwrap_or("apr_md5_crypt")
}

fn is_of_scheme(args: &Args, hash: &str) -> bool {
    match scheme(args) {
        "apr_md5_crypt" => hash.starts_with("$apr1$"),
        "md5_crypt" => hash.starts_with("$1$"),
        "sha256_crypt" => hash.starts_with("$5$"),
        "sha512_crypt" => hash.starts_with("$6$"),
        "bcrypt" => hash.starts_with("$2"),
        "ldap_sha1" => hash.starts_with("{SHA}"),
        _ => true,
    }
}

/// Whether a password is the one behind a hash; nobody knows where the scheme is foreign.
fn matches(look: &dyn Look, hash: &str, password: &str) -> Option<bool> {
    let salt = |prefix: &str| hash.strip_prefix(prefix)?.split('$').next();
    if let Some(salt) = salt("$apr1$") {
        return Some(apr1(password, salt) == hash);
    }
    if hash.starts_with("{SHA}") {
        return Some(sha1(password) == hash);
    }
    for (prefix, flag) in [("$1$", "-1"), ("$5$", "-5"), ("$6$", "-6")] {
        if let Some(salt) = salt(prefix).filter(|salt| !salt.starts_with("rounds=")) {
            return openssl(look, flag, Some(salt), password).ok().map(|found| found == hash);
        }
    }
    if hash.starts_with("$2") {
        let line = format!("x:{hash}\n");
        let program = look.which("htpasswd")?;
        // The file is its standard input, and the password its argument no more than the hash is.
        let cmd = Cmd::new([
            "sh",
            "-c",
            "f=$(mktemp) && IFS= read -r line && printf '%s\\n' \"$line\" > \"$f\" && \"$0\" -vi \"$f\" x; s=$?; rm -f \"$f\"; exit $s",
            &program,
        ]);
        return look.run(&cmd.stdin(format!("{line}{password}\n"))).ok().map(|output| output.is_success());
    }
    Some(hash == password)
}

fn hash(args: &Args, look: &dyn Look, password: &str) -> Result<String, Failure> {
    match scheme(args) {
        "apr_md5_crypt" => Ok(apr1(password, &salt(look, password))),
        "ldap_sha1" => Ok(sha1(password)),
        "plaintext" => Ok(password.to_owned()),
        "md5_crypt" => openssl(look, "-1", None, password),
        "sha256_crypt" => openssl(look, "-5", None, password),
        "sha512_crypt" => openssl(look, "-6", None, password),
        "bcrypt" => {
            let program = look.require("htpasswd", "apache2-utils")?;
            let output = look.run(&Cmd::new([program.as_str(), "-niB", "x"]).stdin(format!("{password}\n")))?;
            let text = output.stdout_text();
            let found = text.trim().split_once(':').map(|(_, hash)| hash.to_owned());
            found.filter(|_| output.is_success()).ok_or_else(|| Failure::of_command("htpasswd cannot hide the password", &output))
        }
        other => Err(Failure::new(format!(
            "hash_scheme `{other}` is not known here; apr_md5_crypt, bcrypt, md5_crypt, sha256_crypt, sha512_crypt, ldap_sha1 and \
             plaintext are"
        ))),
    }
}

fn openssl(look: &dyn Look, flag: &str, salt: Option<&str>, password: &str) -> Result<String, Failure> {
    let program = look.require("openssl", "openssl")?;
    let salt = salt.map(|salt| ["-salt", salt]);
    let argv = [program.as_str(), "passwd", flag, "-stdin"].into_iter().chain(salt.into_iter().flatten());
    let output = look.run(&Cmd::new(argv).stdin(format!("{password}\n")))?;
    if output.is_success() {
        return Ok(output.stdout_text().trim().to_owned());
    }
    Err(Failure::of_command("openssl cannot hide the password", &output))
}

const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Eight letters; from the kernel, or from what there is.
fn salt(look: &dyn Look, password: &str) -> String {
    let random = look.text("/proc/sys/kernel/random/uuid").ok().flatten().unwrap_or_default();
    let seed = Md5::digest(format!("{random}{}{password}", look.now()));
    seed.iter().take(8).map(|byte| char::from(LETTERS[usize::from(byte & 63)])).collect()
}

fn sha1(password: &str) -> String {
    format!("{{SHA}}{}", Base64::encode_string(&sha1::Sha1::digest(password)))
}

/// Apache's variant of the MD5 scheme.
fn apr1(password: &str, salt: &str) -> String {
    let (key, salt) = (password.as_bytes(), salt.as_bytes());
    let mut own = Md5::digest([key, salt, key].concat());
    let mut first = Md5::new().chain_update(key).chain_update("$apr1$").chain_update(salt);
    for at in (0..key.len()).step_by(16) {
        first.update(&own[..(key.len() - at).min(16)]);
    }
    let mut length = key.len();
    while length > 0 {
        first.update(if length & 1 == 1 { &[0][..] } else { key.get(..1).unwrap_or_default() });
        length >>= 1;
    }
    own = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round & 1 == 1 { key } else { &own[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(key);
        }
        next.update(if round & 1 == 1 { &own[..] } else { key });
        own = next.finalize();
    }
    let mut text = format!("$apr1${}$", String::from_utf8_lossy(salt));
    let mut put = |value: u32, letters: usize| {
        for at in 0..letters {
            text.push(char::from(LETTERS[(value >> (6 * at) & 63) as usize]));
        }
    };
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        put(u32::from(own[a]) << 16 | u32::from(own[b]) << 8 | u32::from(own[c]), 4);
    }
    put(u32::from(own[11]), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_as_apache_hides_them() {
        // `openssl passwd -apr1 -salt abcdefgh …`
        assert_eq!(apr1("secret", "abcdefgh"), APR1_SECRET);
        assert_eq!(apr1("a password of more than sixteen letters", "12345678"), APR1_LONG);
        assert_eq!(sha1("password"), "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=");
    }

    const APR1_SECRET: &str = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/";
    const APR1_LONG: &str = "$apr1$12345678$ZlJf7kyf6aMUP4MSGL0KR1";
}
