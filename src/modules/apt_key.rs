//! `apt_key`: keys that apt trusts for every source, by the `apt-key` program of the host.
//!
//! Debian 13 has no `apt-key` any more; there a key belongs beside its source (`deb822_repository`).

use super::{Act, Arg, Args, Change, Cmd, Done, Failure, HttpRequest, Kind, Look, Module, Output, Plan, Rule};
use crate::value::{Map, Value};
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "apt_key",
    collection: "ansible.builtin",
    summary: "adds and removes keys that apt trusts",
    args: &[ARGS],
    rules: &[Rule::Exclusive(&["data", "file", "keyserver", "url"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("id", Kind::Str, "the key's number or fingerprint; with it nothing is fetched for a key that is there"),
    Arg::new("data", Kind::Str, "the key itself"),
    Arg::new("file", Kind::Path, "a file on the host with the key"),
    Arg::new("url", Kind::Str, "where to get the key from"),
    Arg::new("keyserver", Kind::Str, "the key server to get `id` from"),
    Arg::new("keyring", Kind::Path, "the file of keys, instead of apt's own"),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("validate_certs", Kind::Bool, "check the certificate of `url`").default("yes"),
];

const ASK: Duration = Duration::from_secs(60);

/// A key's number without `0x`, in capitals.
struct Id(String);

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let is_wanted = args.str("state") != Some("absent");
    let id = args.str("id").map(Id::parse).transpose()?;
    let known = known(args, look)?;
    let mut plan = Plan::default();
    plan.set("before", list(&known));
    if let Some(id) = &id {
        describe(id, &mut plan.values);
        if id.is_in(&known) == is_wanted {
            plan.set("after", list(&known));
            return Ok(plan);
        }
    }
    if !is_wanted {
        return remove(args, look, id, &known, plan);
    }
    if let (Some(server), Some(id)) = (args.str("keyserver"), &id) {
        let cmd = apt_key(args, look, &["adv", "--no-tty", "--keyserver", server, "--recv", &id.0])?;
        plan.push(Change::new(format!("key {}", id.0), Value::Null, format!("from {server}"), Act::Run(cmd)));
        return Ok(plan);
    }
    let body = body(args, look)?;
    let offered = keys_in(look, &body)?;
    let first = offered.first().ok_or_else(|| Failure::new("what was given holds no key of GnuPG"))?;
    if let Some(id) = id.as_ref().filter(|id| !id.is_in(&offered)) {
        return Err(Failure::new(format!("the key {} is not in what was given; there is {}", id.0, offered.join(", "))));
    }
    let id = id.unwrap_or_else(|| Id(first.clone()));
    describe(&id, &mut plan.values);
    if !id.is_in(&known) {
        let cmd = apt_key(args, look, &["add", "-"])?.stdin(body);
        plan.push(Change::new(format!("key {}", id.0), Value::Null, "trusted", Act::Run(cmd)));
    }
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let known = known(args, look)?;
    let wanted = values.get("key_id").map(Value::to_text);
    let is_wanted = args.str("state") != Some("absent");
    if !done.is_empty()
        && let Some(id) = wanted
        && Id(id.as_str().to_owned()).is_in(&known) != is_wanted
    {
        let said = done.iter().filter_map(|one| one.values.get("stderr")).map(|text| text.to_text().as_str().to_owned());
        let verb = if is_wanted { "is still not there" } else { "is still there" };
        return Err(Failure::new(format!(
            "apt-key ran, but the key {} {verb}: {}",
            id.as_str(),
            said.collect::<String>().trim()
        )));
    }
    values.insert("after".into(), list(&known));
    Ok(values)
}

fn remove(args: &Args, look: &dyn Look, id: Option<Id>, known: &[String], mut plan: Plan) -> Result<Plan, Failure> {
    let id = match id {
        Some(id) => id,
        None => {
            let offered = keys_in(look, &body(args, look)?)?;
            Id(offered.into_iter().next().ok_or_else(|| Failure::new("`id` must say which key is to be removed"))?)
        }
    };
    describe(&id, &mut plan.values);
    if id.is_in(known) {
        let cmd = apt_key(args, look, &["del", id.short()])?;
        plan.push(Change::new(format!("key {}", id.0), "trusted", Value::Null, Act::Run(cmd)));
    }
    Ok(plan)
}

impl Id {
    fn parse(text: &str) -> Result<Id, Failure> {
        let text = text.to_uppercase().replace(' ', "");
        let hex = text.strip_prefix("0X").unwrap_or(&text).to_owned();
        let is_hex = hex.len() >= 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then_some(Id(hex)).ok_or_else(|| Failure::new(format!("Invalid key_id: `{text}` is not the number of a key")))
    }

    /// Fingerprints end with the long number, and that with the short one.
    fn is_in(&self, fingerprints: &[String]) -> bool {
        fingerprints.iter().any(|print| print.ends_with(&self.0) || self.0.ends_with(print.as_str()))
    }

    fn short(&self) -> &str {
        &self.0[self.0.len().saturating_sub(8)..]
    }
}

fn describe(id: &Id, values: &mut Map) {
    let long = &id.0[id.0.len().saturating_sub(16)..];
    for (key, text) in [("fp", id.0.as_str()), ("id", id.0.as_str()), ("key_id", long), ("short_id", id.short())] {
        values.insert(key.into(), text.into());
    }
}

/// Long numbers, as Ansible lists them.
fn list(fingerprints: &[String]) -> Value {
    fingerprints.iter().map(|print| Value::from(&print[print.len().saturating_sub(16)..])).collect()
}

fn apt_key(args: &Args, look: &dyn Look, words: &[&str]) -> Result<Cmd, Failure> {
    let tool = look.which("apt-key").ok_or_else(|| {
        Failure::new("there is no apt-key on this host: give the key to `deb822_repository` as `signed_by`, or put it into /etc/apt/keyrings with `get_url`")
    })?;
    if look.which("gpg").is_none() {
        return Err(Failure::new("apt-key needs gpg, which is not on this host: install the package gnupg first"));
    }
    let keyring = args.str("keyring").map(|path| ["--keyring".to_owned(), path.to_owned()]).into_iter().flatten();
    let argv = std::iter::once(tool).chain(keyring).chain(words.iter().map(|word| (*word).to_owned()));
    Ok(Cmd::new(argv).env("LC_ALL", "C").env("APT_KEY_DONT_WARN_ON_DANGEROUS_USAGE", "1"))
}

/// Fingerprints of the keys that are trusted now.
fn known(args: &Args, look: &dyn Look) -> Result<Vec<String>, Failure> {
    let listing = apt_key(args, look, &["adv", "--list-public-keys", "--with-colons"])?.timeout(ASK);
    if args.str("keyring").is_some_and(|path| !look.exists(path)) {
        return Ok(Vec::new());
    }
    let output = look.run(&listing)?;
    if !output.is_success() && !output.stderr_text().contains("not found") {
        return Err(Failure::of_command("cannot list the keys of apt", &output));
    }
    Ok(fingerprints(&output))
}

/// The first `fpr` line after each `pub` line.
fn fingerprints(output: &Output) -> Vec<String> {
    let text = output.stdout_text();
    let mut all = Vec::new();
    let mut is_first = false;
    for line in text.lines() {
        let mut fields = line.split(':');
        match fields.next() {
            Some("pub") => is_first = true,
            Some("fpr") if is_first => {
                is_first = false;
                all.extend(fields.nth(8).map(str::to_owned));
            }
            _ => {}
        }
    }
    all
}

fn body(args: &Args, look: &dyn Look) -> Result<Vec<u8>, Failure> {
    if let Some(data) = args.str("data") {
        return Ok(data.as_bytes().to_vec());
    }
    if let Some(path) = args.str("file") {
        return look.read(path).map_err(|error| Failure::io(format!("cannot read {path}"), &error));
    }
    let Some(url) = args.str("url") else {
        return Err(Failure::new("one of data, file, keyserver with id, url is required: where the key comes from"));
    };
    let reply = look.http(&HttpRequest { skip_verify: !args.bool("validate_certs"), ..HttpRequest::get(url) })?;
    if reply.status != 200 {
        return Err(Failure::new(format!("Failed to download key at {url}: HTTP {} {}", reply.status, reply.reason)));
    }
    Ok(reply.body)
}

fn keys_in(look: &dyn Look, body: &[u8]) -> Result<Vec<String>, Failure> {
    let output = look.run(&Cmd::new(["gpg", "--no-tty", "--batch", "--with-colons", "--show-keys"]).stdin(body).timeout(ASK))?;
    if !output.is_success() {
        return Err(Failure::of_command("gpg cannot read the key", &output));
    }
    Ok(fingerprints(&output))
}
