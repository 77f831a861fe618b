//! `deb822_repository`: a source of apt as a stanza in `sources.list.d/NAME.sources`, with its key.

use super::attrs::mode_of;
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Failure, HttpRequest, Kind, Look, Module, Plan, finish_plainly};
use crate::value::Value;

pub(super) const MODULE: Module = Module {
    name: "deb822_repository",
    collection: "ansible.builtin",
    summary: "adds and removes sources of apt in deb822 form",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

/// In the order in which they stand in the file.
const ARGS: &[Arg] = &[
    Arg::new("allow_downgrade_to_insecure", Kind::Bool, "a source that was signed may become unsigned"),
    Arg::new("allow_insecure", Kind::Bool, "take it although it is not signed"),
    Arg::new("allow_weak", Kind::Bool, "take weak signatures"),
    Arg::new("architectures", Kind::List, "architectures to take from it"),
    Arg::new("by_hash", Kind::Bool, "fetch lists by their hash"),
    Arg::new("check_date", Kind::Bool, "check the date of its lists"),
    Arg::new("check_valid_until", Kind::Bool, "check until when its lists are valid"),
    Arg::new("components", Kind::List, "components, such as `main`"),
    Arg::new("date_max_future", Kind::Int, "seconds that its lists may be ahead of time"),
    Arg::new("enabled", Kind::Bool, "whether apt uses it"),
    Arg::new("inrelease_path", Kind::Str, "where its InRelease file is"),
    Arg::new("languages", Kind::List, "languages of descriptions"),
    Arg::new("name", Kind::Str, "its name, and that of its files").required(),
    Arg::new("pdiffs", Kind::Bool, "fetch differences of lists"),
    Arg::new("signed_by", Kind::Str, "its key: an address, a path, a fingerprint or the armoured key itself"),
    Arg::new("suites", Kind::List, "suites, such as `bookworm`"),
    Arg::new("targets", Kind::List, "which lists to fetch"),
    Arg::new("trusted", Kind::Bool, "whether to trust it without a signature"),
    Arg::new("types", Kind::List, "binary packages or sources").default("deb").choices(&["deb", "deb-src"]),
    Arg::new("uris", Kind::List, "addresses"),
    Arg::new("mode", Kind::Raw, "mode of the files").default("0644"),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("install_python_debian", Kind::Bool, "nothing needs to be installed for this module"),
];

const PARTS: &str = "/etc/apt/sources.list.d";
const KEYRINGS: &str = "/etc/apt/keyrings";
const ARMOUR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// Arguments that are no fields.
const NO_FIELDS: [&str; 3] = ["mode", "state", "install_python_debian"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    if look.which("apt-get").is_none() {
        return Err(Failure::new("there is no apt on this host: deb822_repository is for Debian and its relatives"));
    }
    let slug = slug(args.required("name")?);
    let path = format!("{PARTS}/{slug}.sources");
    let mut plan = Plan::default();
    plan.set("dest", path.as_str()).set("repo", Value::Null).set("key_filename", Value::Null);
    if args.str("state") == Some("absent") {
        for path in [path, format!("{KEYRINGS}/{slug}.gpg"), format!("{KEYRINGS}/{slug}.asc")] {
            plan.changes.extend(gone(look, &path)?);
        }
        return Ok(plan);
    }
    let mode = args.get("mode").map(|mode| mode_of(mode, 0o644, false)).transpose()?.flatten();
    let attrs = Attrs { mode: mode.or(Some(0o644)), ..Attrs::default() };
    let signed_by = match args.str("signed_by") {
        Some(url) if url.contains("://") => Some(key_from(url, &slug, &attrs, look, &mut plan)?),
        Some(key) => Some(key.to_owned()),
        None => None,
    };
    if let Some(file) = signed_by.as_deref().filter(|key| key.starts_with('/')) {
        plan.set("key_filename", file);
    }
    let text = stanza(args, signed_by.as_deref());
    plan.set("repo", text.as_str());
    plan.changes.extend(written(look, &path, text, &attrs)?);
    Ok(plan)
}

/// Lower case, with every other letter a dash.
fn slug(name: &str) -> String {
    let mut out = String::new();
    for letter in name.to_lowercase().chars() {
        let letter = if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '-' };
        if letter != '-' || !out.ends_with('-') {
            out.push(letter);
        }
    }
    out.trim_matches('-').to_owned()
}

fn gone(look: &dyn Look, path: &str) -> Result<Option<Change>, Failure> {
    let text = look.text(path).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?;
    Ok(text.map(|text| Change::new(path, text, "", Act::Remove { path: path.to_owned() })))
}

/// The file as wanted, or only its mode.
fn written(look: &dyn Look, path: &str, text: impl Into<Vec<u8>>, attrs: &Attrs) -> Result<Option<Change>, Failure> {
    let fail = |error| Failure::io(format!("cannot read {path}"), &error);
    let (found, text) = (look.stat(path, true).map_err(fail)?, text.into());
    let before = if found.is_some() { look.read(path).map_err(fail)? } else { Vec::new() };
    match found {
        Some(stat) if before == text => Ok(attrs.change(look, path, &stat, true)),
        _ => {
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let write = Write { attrs: attrs.clone(), ..Write::new(path, Content::Bytes(text.clone())) };
            Ok(Some(Change::new(path, shown(&before), shown(&text), Act::Write(write))))
        }
    }
}

/// The key at an address goes to a file of its own, in the form in which it comes.
fn key_from(url: &str, slug: &str, attrs: &Attrs, look: &dyn Look, plan: &mut Plan) -> Result<String, Failure> {
    let reply = look.http(&HttpRequest::get(url))?;
    if reply.status != 200 {
        return Err(Failure::new(format!("cannot get the key {url}: HTTP {} {}", reply.status, reply.reason)));
    }
    let ending = if reply.body.starts_with(ARMOUR.as_bytes()) { "asc" } else { "gpg" };
    let path = format!("{KEYRINGS}/{slug}.{ending}");
    if !look.exists(KEYRINGS) {
        let attrs = Attrs { mode: Some(0o755), ..Attrs::default() };
        plan.push(Change::step(KEYRINGS, Act::MakeDir { path: KEYRINGS.to_owned(), attrs }));
    }
    plan.changes.extend(written(look, &path, reply.body, attrs)?);
    Ok(path)
}

fn stanza(args: &Args, signed_by: Option<&str>) -> String {
    let mut text = String::new();
    for arg in ARGS.iter().filter(|arg| !NO_FIELDS.contains(&arg.name)) {
        let Some(value) = args.get(arg.name) else { continue };
        let value = match (arg.name, value) {
            ("signed_by", _) => indented(signed_by.unwrap_or_default()),
            (_, Value::Bool(truth)) => format!(" {}", if *truth { "yes" } else { "no" }),
            (_, Value::List(_)) => format!(" {}", args.list(arg.name).join(" ")),
            (_, other) => format!(" {}", other.to_text().as_str()),
        };
        text.push_str(&format!("{}:{value}\n", field(arg.name)));
    }
    text
}

/// A key of several lines stands below its field, blank lines as dots.
fn indented(key: &str) -> String {
    if !key.contains('\n') {
        return format!(" {key}");
    }
    let line = |line: &str| format!("\n    {}", if line.trim().is_empty() { "." } else { line.trim() });
    key.trim().lines().map(line).collect()
}

fn field(arg: &str) -> String {
    match arg {
        "name" => "X-Repolib-Name".to_owned(),
        "uris" => "URIs".to_owned(),
        "inrelease_path" => "InRelease-Path".to_owned(),
        _ => arg.split('_').map(capital).collect::<Vec<_>>().join("-"),
    }
}

fn capital(word: &str) -> String {
    let (first, rest) = word.split_at(1.min(word.len()));
    first.to_uppercase() + rest
}
