//! `rpm_key`: keys that rpm trusts.

use super::{Act, Arg, Args, Change, Cmd, Failure, HttpRequest, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "rpm_key",
    collection: "ansible.builtin",
    summary: "adds and removes keys that rpm trusts",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("key", Kind::Str, "an address, a file on the host, or the number of a key that is there").required(),
    Arg::new("state", Kind::Str, "whether it is trusted").default("present").choices(&["absent", "present"]),
    Arg::new("validate_certs", Kind::Bool, "check the certificate of the address").default("yes"),
    Arg::new("fingerprint", Kind::List, "fingerprints that the key must have"),
];

const ASK: Duration = Duration::from_secs(60);

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    if look.which("rpm").is_none() {
        return Err(Failure::new("there is no rpm on this host: rpm_key is for Red Hat and its relatives"));
    }
    let key = args.required("key")?;
    let (ids, body) = match number(key) {
        Some(id) => (vec![id], None),
        None => {
            let body = fetched(key, args, look)?;
            let prints = prints(look, &body)?;
            verify(args, &prints)?;
            let short = |print: &String| print[print.len().saturating_sub(8)..].to_lowercase();
            (prints.iter().map(short).collect(), Some(body))
        }
    };
    let trusted = trusted(look)?;
    let there: Vec<&String> = trusted.iter().filter(|known| ids.iter().any(|id| known.contains(id.as_str()))).collect();
    let is_whole = ids.iter().all(|id| trusted.iter().any(|known| known.contains(id.as_str())));
    let mut plan = Plan::default();
    match (args.str("state"), body) {
        (Some("absent"), _) => {
            for package in there {
                let cmd = Cmd::new(["rpm", "--erase", "--allmatches", package]).env("LC_ALL", "C");
                plan.push(Change::new(format!("key {package}"), "trusted", Value::Null, Act::Run(cmd)));
            }
        }
        _ if is_whole => {}
        (_, Some(body)) => {
            let cmd = Cmd::new(["rpm", "--import", "-"]).stdin(body).env("LC_ALL", "C");
            plan.push(Change::new(format!("key {}", ids.join(", ")), Value::Null, "trusted", Act::Run(cmd)));
        }
        (_, None) => {
            return Err(Failure::new("When importing a key, a valid file must be given: an address or a file on the host"));
        }
    }
    Ok(plan)
}

/// The last eight digits of a key's number.
fn number(text: &str) -> Option<String> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let is_hex = hex.len() >= 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| hex[hex.len() - 8..].to_lowercase())
}

fn fetched(key: &str, args: &Args, look: &dyn Look) -> Result<Vec<u8>, Failure> {
    if !key.contains("://") {
        return look.read(key).map_err(|error| Failure::io(format!("Not a valid key {key}: cannot read it"), &error));
    }
    let reply = look.http(&HttpRequest { skip_verify: !args.bool("validate_certs"), ..HttpRequest::get(key) })?;
    if reply.status != 200 {
        return Err(Failure::new(format!("failed to fetch key at {key}: HTTP {} {}", reply.status, reply.reason)));
    }
    Ok(reply.body)
}

/// Fingerprints of the keys in a file.
fn prints(look: &dyn Look, body: &[u8]) -> Result<Vec<String>, Failure> {
    let tool = ["gpg", "gpg2"].into_iter().find_map(|name| look.which(name));
    let tool = tool.ok_or_else(|| Failure::new("there is no gpg on this host, which reads keys: install gnupg2 first"))?;
    let argv = [tool.as_str(), "--no-tty", "--batch", "--with-colons", "--fixed-list-mode", "--show-keys"];
    let output = look.run(&Cmd::new(argv).stdin(body).timeout(ASK))?;
    let text = output.stdout_text();
    let mut is_first = false;
    let mut all = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if fields[0] == "pub" {
            is_first = true;
        } else if fields[0] == "fpr" && std::mem::take(&mut is_first) {
            all.extend(fields.get(9).map(|print| (*print).to_owned()));
        }
    }
    if all.is_empty() { Err(Failure::of_command("Not a public key", &output)) } else { Ok(all) }
}

fn verify(args: &Args, prints: &[String]) -> Result<(), Failure> {
    let plain = |text: &String| text.replace(' ', "").to_uppercase();
    let wanted: Vec<String> = args.list("fingerprint").iter().map(plain).collect();
    let is_known = wanted.is_empty() || prints.iter().any(|print| wanted.contains(&plain(print)));
    if is_known {
        return Ok(());
    }
    Err(Failure::new(format!(
        "The specified fingerprint, '{}', does not match the key's, '{}'",
        wanted.join("', '"),
        prints.join("', '")
    )))
}

/// Names such as `gpg-pubkey-8483c65d-5ccc5b19`.
fn trusted(look: &dyn Look) -> Result<Vec<String>, Failure> {
    let output = look.run(&Cmd::new(["rpm", "-q", "gpg-pubkey"]).timeout(ASK))?;
    Ok(output.stdout_text().lines().filter(|line| line.starts_with("gpg-pubkey-")).map(str::to_owned).collect())
}
