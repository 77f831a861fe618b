//! `get_url`: a file from the web onto the host.
//!
//! A file that is there is asked for with its time, so that the server may answer "not modified"; one whose checksum is given and
//! fits is not asked for at all.

use super::attrs::{self, FILE_ARGS};
use super::clock::Clock;
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Done, Failure, HttpRequest, Kind, Look, Module, Plan, Stat, uri};
use crate::value::{Map, Value};

pub(super) const MODULE: Module = Module {
    name: "get_url",
    collection: "ansible.builtin",
    summary: "downloads a file onto the host",
    args: &[ARGS, uri::HTTP_ARGS, FILE_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("url", Kind::Str, "http:// or https://").required(),
    Arg::new("dest", Kind::Path, "the file, or a directory for it").required(),
    Arg::new("checksum", Kind::Str, "`sha256:…`, or `sha256:` and the address of a file of checksums").default(""),
    Arg::new("backup", Kind::Bool, "keep a copy of what was there").default("no"),
    Arg::new("timeout", Kind::Int, "seconds").default("10"),
    Arg::new("tmp_dest", Kind::Path, "unused: the download is always put beside the file and moved").inert(),
    Arg::new("url_username", Kind::Str, "for Basic authentication").aliases(&["username"]),
    Arg::new("url_password", Kind::Str, "for Basic authentication").aliases(&["password"]).secret(),
];

const ALGORITHMS: [&str; 6] = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// What the download is to be: `algorithm` and hex digest.
struct Checksum {
    algorithm: String,
    digest: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let url = args.required("url")?;
    let request = uri::base(args, look, url)?;
    let checksum = Checksum::wanted(args, look, &request)?;
    let (dest, is_dir) = destination(args, look, url)?;
    let found = look.stat(&dest, true).map_err(|error| Failure::io(format!("cannot read {dest}"), &error))?;
    let mut plan = Plan::default();
    plan.set("dest", dest.as_str()).set("url", url).set("elapsed", 0);
    if !look.is_check() {
        plan.set("_start", look.now());
    }
    let attrs = Attrs::wanted(args, look, found.as_ref(), false)?;
    let mut request = request;
    let is_conditional = found.is_some() && checksum.is_none() && !is_dir && !args.bool("force");
    if let Some(stat) = &found {
        plan.changes.extend(attrs.change(look, &dest, stat, true));
        if is_conditional {
            request.headers.push(("If-Modified-Since".to_owned(), http_date(stat.mtime)));
        }
        if is_settled(look, &dest, checksum.as_ref())?
            || is_conditional && look.is_check() && is_unmodified(look, &request, stat)?
        {
            plan.set("msg", "file already exists");
            return Ok(plan);
        }
    }
    let write = Write {
        attrs,
        backup: args.bool("backup"),
        unsafe_writes: super::attrs::unsafe_writes(args, look),
        ..Write::new(&dest, Content::Bytes(Vec::new()))
    };
    let act = Act::Download {
        request,
        checksum: checksum.map(|sum| format!("{}:{}", sum.algorithm, sum.digest)),
        write: Box::new(write),
    };
    plan.push(Change::new(&dest, before(found.as_ref()), Map::from_iter([("src".into(), url.into())]), act));
    Ok(plan)
}

fn before(found: Option<&Stat>) -> Value {
    found.map_or(Value::Null, |stat| Map::from_iter([("size".into(), stat.size.into())]).into())
}

/// The file's path, and whether a directory was given.
fn destination(args: &Args, look: &dyn Look, url: &str) -> Result<(String, bool), Failure> {
    let dest = args.required("dest")?;
    let found = look.stat(dest, true).map_err(|error| Failure::io(format!("cannot read {dest}"), &error))?;
    if found.is_some_and(|stat| stat.kind == "directory") {
        return Ok((format!("{}/{}", dest.trim_end_matches('/'), uri::file_name(url)), true));
    }
    if dest.ends_with('/') {
        return Err(Failure::new(format!(
            "Destination directory {dest} does not exist; make it with `file: state: directory` first"
        )));
    }
    Ok((dest.to_owned(), false))
}

/// Its checksum says that the file is the wanted one.
fn is_settled(look: &dyn Look, dest: &str, checksum: Option<&Checksum>) -> Result<bool, Failure> {
    let Some(sum) = checksum else { return Ok(false) };
    let found = look.digest(dest, &sum.algorithm).map_err(|error| Failure::io(format!("cannot read {dest}"), &error))?;
    Ok(found.eq_ignore_ascii_case(&sum.digest))
}

/// For check mode: whether the server would send the same again.
fn is_unmodified(look: &dyn Look, request: &HttpRequest, found: &Stat) -> Result<bool, Failure> {
    let reply = look.http(&HttpRequest { method: "HEAD".to_owned(), ..request.clone() })?;
    let is_same_size = || reply.header("content-length").is_some_and(|size| size == found.size.to_string());
    Ok(reply.status == 304 || reply.status == 200 && is_same_size())
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Sat, 21 Nov 2026 11:33:02 GMT`.
fn http_date(time: f64) -> String {
    let moment = Clock::utc(time);
    let month = usize::try_from(moment.month - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
    let day: String = moment.format("%A").chars().take(3).collect();
    format!("{day}, {} {month} {} GMT", moment.format("%d"), moment.format("%Y %H:%M:%S"))
}

impl Checksum {
    fn wanted(args: &Args, look: &dyn Look, request: &HttpRequest) -> Result<Option<Checksum>, Failure> {
        let text = args.str("checksum").unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(None);
        }
        let bad = || {
            Failure::new(format!(
                "The checksum parameter has to be in format <algorithm>:<checksum>, with one of {} as algorithm, not `{text}`",
                ALGORITHMS.join(", ")
            ))
        };
        let (algorithm, value) = text.split_once(':').ok_or_else(bad)?;
        let algorithm = algorithm.trim().to_lowercase();
        if !ALGORITHMS.contains(&algorithm.as_str()) {
            return Err(bad());
        }
        let value = value.trim();
        let digest = if value.contains("://") { fetched(look, request, value)? } else { value.to_owned() };
        let is_hex = !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex { Ok(Some(Checksum { algorithm, digest: digest.to_lowercase() })) } else { Err(bad()) }
    }
}

/// The digest of this download in a file of checksums on the web.
fn fetched(look: &dyn Look, request: &HttpRequest, url: &str) -> Result<String, Failure> {
    let reply = look.http(&HttpRequest { url: url.to_owned(), ..request.clone() })?;
    if reply.status != 200 {
        return Err(Failure::new(format!("cannot get the checksums from {url}: HTTP {} {}", reply.status, reply.reason)));
    }
    let name = uri::file_name(&request.url);
    listed(&reply.text(), &name).ok_or_else(|| Failure::new(format!("Unable to find a checksum for file '{name}' in '{url}'")))
}

/// Lines of `digest  name`, `digest *./name`, `NAME (name) = digest`, or one lone digest.
fn listed(text: &str, name: &str) -> Option<String> {
    let is_named = |found: &str| found.trim_start_matches(['*', ' ']).rsplit('/').next() == Some(name);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let [one] = lines.as_slice()
        && !one.contains(char::is_whitespace)
    {
        return Some((*one).to_owned());
    }
    lines.iter().find_map(|line| {
        if let Some((head, digest)) = line.split_once(" = ") {
            let found = head.split_once('(')?.1.trim_end_matches(')');
            return is_named(found).then(|| digest.trim().to_owned());
        }
        let (digest, found) = line.split_once(char::is_whitespace)?;
        is_named(found.trim()).then(|| digest.to_owned())
    })
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let start = values.shift_remove("_start").and_then(|start| start.to_float()).unwrap_or_default();
    for one in done {
        values.extend(one.values.clone());
    }
    values.insert("elapsed".into(), ((look.now() - start) as i64).into());
    let dest = values.get("dest").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Ok(digest) = look.digest(&dest, "sha1") {
        values.entry("checksum_src".into()).or_insert_with(|| digest.as_str().into());
        values.insert("checksum_dest".into(), digest.into());
    }
    if let Ok(digest) = look.digest(&dest, "md5") {
        values.insert("md5sum".into(), digest.into());
    }
    values.entry("src".into()).or_insert_with(|| args.str("url").into());
    attrs::describe(look, &dest, &mut values);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::{http_date, listed};

    #[test]
    fn a_digest_is_found_by_the_name_of_its_file() {
        let text = "aa11  other.tgz\nbb22 *./dir/tool.tgz\ncc33  tool.tgz.asc\n";
        assert_eq!(listed(text, "tool.tgz").as_deref(), Some("bb22"));
        assert_eq!(listed("SHA256 (tool.tgz) = dd44\n\nx y", "tool.tgz").as_deref(), Some("dd44"));
        assert_eq!(listed("ee55\n", "anything").as_deref(), Some("ee55"));
        assert_eq!(listed(text, "missing"), None);
    }

    #[test]
    fn a_time_is_written_as_servers_read_it() {
        assert_eq!(http_date(1_500_000_000.0), "Fri, 14 Jul 2017 02:40:00 GMT");
    }
}
