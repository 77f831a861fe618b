//! `uri`: one HTTP request and what came of it.
//!
//! A request that only reads is made while planning; any other is an act. As with Ansible, a task changes the host only
//! where it writes the answer to `dest`, and in check mode nothing is asked at all.

use super::attrs::{self, FILE_ARGS};
use super::touch::Write;
use super::{
    Act, Arg, Args, Attrs, Change, Content, Done, Failure, HttpReply, HttpRequest, Kind, Look, Module, Plan, Rule, netrc,
};
use crate::value::{Map, Value};
use base64ct::{Base64, Encoding};
use std::fmt::Write as _;
use std::time::Duration;

pub(super) const MODULE: Module = Module {
    name: "uri",
    collection: "ansible.builtin",
    summary: "asks a web service something",
    args: &[ARGS, HTTP_ARGS, FILE_ARGS],
    rules: &[Rule::Exclusive(&["body", "src"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] =
    &[
        Arg::new("url", Kind::Str, "http:// or https://").required(),
        Arg::new("method", Kind::Str, "GET, POST …").default("GET"),
        Arg::new("body", Kind::Raw, "what is sent"),
        Arg::new("body_format", Kind::Str, "how a body that is not text is written, and its Content-Type")
            .default("raw")
            .choices(&["form-urlencoded", "json", "raw", "form-multipart"]),
        Arg::new("src", Kind::Path, "a file to send"),
        Arg::new("remote_src", Kind::Bool, "`src` is on the host already").default("no"),
        Arg::new("status_code", Kind::RawList, "what counts as success").default("200"),
        Arg::new("return_content", Kind::Bool, "return the answer as `content`").default("no"),
        Arg::new("follow_redirects", Kind::Str, "`safe` follows those of GET and HEAD")
            .default("safe")
            .choices(&["all", "no", "none", "safe", "urllib2", "yes"]),
        Arg::new("timeout", Kind::Int, "seconds").default("30"),
        Arg::new("dest", Kind::Path, "a file or directory for the answer"),
        Arg::new("creates", Kind::Path, "do nothing where this exists"),
        Arg::new("removes", Kind::Path, "do nothing where this does not exist"),
        Arg::new("url_username", Kind::Str, "for Basic authentication").aliases(&["user"]),
        Arg::new("url_password", Kind::Str, "for Basic authentication").aliases(&["password"]).secret(),
        Arg::new("unix_socket", Kind::Path, "ask over this socket"),
        Arg::new("_blob", Kind::Str, "the file that the control side sent for `src`").hidden(),
    ];

/// What `uri` and `get_url` share.
pub(super) const HTTP_ARGS: &[Arg] = &[
    Arg::new("headers", Kind::Dict, "more headers"),
    Arg::new("force_basic_auth", Kind::Bool, "send name and password at once; this is always done").inert().default("no"),
    Arg::new("validate_certs", Kind::Bool, "check the server's certificate").default("yes"),
    Arg::new("ca_path", Kind::Path, "certificates to trust instead of the host's"),
    Arg::new("client_cert", Kind::Path, "certificate to show the server"),
    Arg::new("client_key", Kind::Path, "its key"),
    Arg::new("http_agent", Kind::Str, "User-Agent").default("ansible-httpget"),
    Arg::new("use_proxy", Kind::Bool, "honour http_proxy and its like").default("yes"),
    Arg::new("force", Kind::Bool, "ask for no cached copy, or download in any case").default("no"),
    Arg::new("decompress", Kind::Bool, "nothing compressed is ever asked for").inert().default("yes"),
    Arg::new("use_netrc", Kind::Bool, "take name and password from ~/.netrc where none are given").default("yes"),
    Arg::new("use_gssapi", Kind::Bool, "Kerberos is not supported").default("no"),
    Arg::new("ciphers", Kind::List, "the host's TLS library chooses").inert(),
    Arg::new("unredirected_headers", Kind::List, "headers that are not sent where a redirect leads"),
];

const REDIRECTS_MAX: u32 = 10;
/// Any status may come back; `finish` judges it.
const ANY_STATUS: &[u16] = &[0];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    if look.is_check() {
        return Ok(Plan { skipped: Some("remote module (uri) does not support check mode".to_owned()), ..Plan::default() });
    }
    if let Some(reason) = unneeded(args, look) {
        let mut plan = Plan::default();
        plan.set("stdout", reason).set("changed", false);
        return Ok(plan);
    }
    let request = request(args, look)?;
    let start = look.now();
    let mut plan = Plan::default();
    plan.set("_start", start).set("_asked", request.url.as_str());
    if !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS") && !args.has("dest") {
        let what = format!("{} {}", request.method, request.url);
        plan.push(Change::new(what, Value::Null, Value::Null, Act::Http { request, accept: ANY_STATUS }));
        return Ok(plan);
    }
    let reply = look.http(&request).map_err(|failure| unreachable(failure, &request.url, look.now() - start))?;
    if let Some(dest) = args.str("dest").filter(|_| is_expected(args, reply.status)) {
        keep(args, look, dest, &reply, &mut plan)?;
    }
    plan.set("_reply", shown(&reply));
    Ok(plan)
}

/// Why the request need not be made.
fn unneeded(args: &Args, look: &dyn Look) -> Option<String> {
    let exists = |path: &str| look.exists(path);
    let creates = args.str("creates").filter(|path| exists(path)).map(|path| format!("skipped, since '{path}' exists"));
    creates.or_else(|| {
        args.str("removes").filter(|path| !exists(path)).map(|path| format!("skipped, since '{path}' does not exist"))
    })
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    let (Some(start), Some(asked)) = (values.shift_remove("_start"), values.shift_remove("_asked")) else {
        return Ok(values);
    };
    let reply = values.shift_remove("_reply");
    let is_written = reply.is_some() && !done.is_empty();
    let reply = reply.as_ref().and_then(Value::as_map).or_else(|| done.first().map(|done| &done.values));
    let reply = reply.ok_or_else(|| Failure::new("the request was not answered"))?;
    let elapsed = look.now() - start.to_float().unwrap_or_default();
    let result = returned(args, reply, asked.as_str().unwrap_or_default(), elapsed, is_written);
    let status = reply.get("status").and_then(Value::as_int).unwrap_or(-1);
    if let Some(dest) = values.get("path").and_then(Value::as_str) {
        let dest = dest.to_owned();
        attrs::describe(look, &dest, &mut values);
    }
    values.extend(result);
    if u16::try_from(status).is_ok_and(|status| is_expected(args, status)) {
        return Ok(values);
    }
    let msg = values.get("msg").map(Value::to_text).unwrap_or_default();
    let wanted: Vec<String> = expected(args).iter().map(u16::to_string).collect();
    Err(Failure { msg: format!("Status code was {status} and not [{}]: {msg}", wanted.join(", ")), values })
}

/// Ansible's return values: every header in lower snake case, then its own.
fn returned(args: &Args, reply: &Map, asked: &str, elapsed: f64, is_written: bool) -> Map {
    let mut values = Map::new();
    let no_headers = Map::new();
    let headers = reply.get("headers").and_then(Value::as_map).unwrap_or(&no_headers);
    for (name, value) in headers {
        values.insert(name.to_string().replace('-', "_").to_lowercase().into(), value.clone());
    }
    let text = |key: &str| reply.get(key).and_then(Value::as_str).unwrap_or_default();
    let status = reply.get("status").and_then(Value::as_int).unwrap_or(-1);
    let content = text("content");
    let msg = match status {
        200..=299 => {
            let size = headers.get("content-length").map_or_else(|| "unknown".into(), Value::to_text);
            format!("{} ({size} bytes)", if text("reason").is_empty() { "OK" } else { text("reason") })
        }
        _ => format!("HTTP Error {status}: {}", text("reason")),
    };
    values.insert("msg".into(), msg.into());
    values.insert("status".into(), status.into());
    values.insert("url".into(), text("url").into());
    values.insert("redirected".into(), (text("url") != asked).into());
    values.insert("elapsed".into(), (elapsed as i64).into());
    values.insert("changed".into(), is_written.into());
    values.extend(cookies(headers));
    if is_json(headers)
        && let Ok(json) = Value::from_json(content)
    {
        values.insert("json".into(), json);
    }
    if args.bool("return_content") || !u16::try_from(status).is_ok_and(|status| is_expected(args, status)) {
        values.insert("content".into(), content.into());
    }
    values
}

fn cookies(headers: &Map) -> Map {
    let set = headers.get("set-cookie").map(Value::to_text).unwrap_or_default();
    let pair = |line: &str| {
        line.split(';').next()?.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
    };
    let pairs: Vec<(String, String)> = set.split(['\n', ',']).filter_map(pair).filter(|(name, _)| !name.contains(' ')).collect();
    let string = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let cookies: Map = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Map::from_iter([("cookies".into(), cookies.into()), ("cookies_string".into(), string.into())])
}

fn is_json(headers: &Map) -> bool {
    let kind = headers.get("content-type").map(Value::to_text).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
    kind.split_once('/').is_some_and(|(_, sub)| matches!(sub, "json" | "javascript") || sub.ends_with("+json"))
}

fn expected(args: &Args) -> Vec<u16> {
    args.items("status_code").iter().filter_map(|status| status.to_int().and_then(|status| u16::try_from(status).ok())).collect()
}

fn is_expected(args: &Args, status: u16) -> bool {
    expected(args).contains(&status)
}

/// The answer's bytes into `dest`, where they are not there yet.
fn keep(args: &Args, look: &dyn Look, dest: &str, reply: &HttpReply, plan: &mut Plan) -> Result<(), Failure> {
    let is_dir = look.stat(dest, true).ok().flatten().is_some_and(|stat| stat.kind == "directory");
    let path = if is_dir { format!("{}/{}", dest.trim_end_matches('/'), file_name(&reply.url)) } else { dest.to_owned() };
    plan.set("path", path.as_str());
    let found = look.stat(&path, true).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?;
    let attrs = Attrs::wanted(args, look, found.as_ref(), false)?;
    let is_same = found.is_some() && look.read(&path).is_ok_and(|bytes| bytes == reply.body);
    match found {
        Some(stat) if is_same => plan.changes.extend(attrs.change(look, &path, &stat, true)),
        _ => {
            let write = Write {
                attrs,
                unsafe_writes: super::attrs::unsafe_writes(args, look),
                ..Write::new(&path, Content::Bytes(reply.body.clone()))
            };
            plan.push(Change::new(&path, Value::Null, reply.text(), Act::Write(write)));
        }
    }
    Ok(())
}

/// The last part of an address's path.
pub(super) fn file_name(url: &str) -> String {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() && name != "." && name != ".." => name.to_owned(),
        _ => "index.html".to_owned(),
    }
}

/// As the act of a request answers.
fn shown(reply: &HttpReply) -> Map {
    let headers: Map = reply.headers.iter().map(|(name, value)| (name.as_str().into(), Value::from(value))).collect();
    Map::from_iter([
        ("status".into(), u32::from(reply.status).into()),
        ("reason".into(), reply.reason.as_str().into()),
        ("url".into(), reply.url.as_str().into()),
        ("content".into(), reply.text().into()),
        ("headers".into(), headers.into()),
    ])
}

/// No answer at all: Ansible's status -1, so that `until: result.status == 200` can go on.
fn unreachable(failure: Failure, url: &str, elapsed: f64) -> Failure {
    failure.with("status", -1).with("url", url).with("redirected", false).with("elapsed", elapsed as i64)
}

fn request(args: &Args, look: &dyn Look) -> Result<HttpRequest, Failure> {
    let method = args.str("method").unwrap_or("GET").to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Failure::new(format!("`{method}` is not an HTTP method")));
    }
    let mut request = base(args, look, args.required("url")?)?;
    if let Some(socket) = args.str("unix_socket") {
        let rest = request.url.split_once("://").map_or(request.url.as_str(), |(_, rest)| rest);
        request.url = format!("unix:{socket}:{}", rest.find('/').map_or("/", |at| &rest[at..]));
    }
    let is_safe = matches!(method.as_str(), "GET" | "HEAD");
    request.redirects = match args.str("follow_redirects").unwrap_or("safe") {
        "all" | "yes" | "urllib2" => REDIRECTS_MAX,
        "safe" if is_safe => REDIRECTS_MAX,
        _ => 0,
    };
    request.method = method;
    let (body, kind) = body(args, look)?;
    if let Some(kind) = kind
        && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        request.headers.push(("Content-Type".to_owned(), kind));
    }
    request.body = body;
    Ok(request)
}

/// Address, headers, authentication and TLS, as `uri` and `get_url` share them.
pub(super) fn base(args: &Args, look: &dyn Look, url: &str) -> Result<HttpRequest, Failure> {
    if args.bool("use_gssapi") {
        return Err(Failure::new("Kerberos is not supported; use `command` with curl"));
    }
    let mut headers = vec![("User-Agent".to_owned(), args.str("http_agent").unwrap_or_default().to_owned())];
    if args.bool("force") {
        headers.push(("Cache-Control".to_owned(), "no-cache".to_owned()));
    }
    let given = args.str("url_username").map(|user| (user.to_owned(), args.str("url_password").unwrap_or_default().to_owned()));
    let kept = || server_of(url).filter(|_| args.bool("use_netrc")).and_then(|server| netrc::login(look, server));
    if let Some((user, password)) = given.or_else(kept) {
        let login = format!("{user}:{password}");
        headers.push(("Authorization".to_owned(), format!("Basic {}", Base64::encode_string(login.as_bytes()))));
    }
    for (name, value) in args.dict("headers").into_iter().flatten() {
        let (name, value) = (name.to_string(), value.to_text().as_str().to_owned());
        if name.contains(['\r', '\n', ':']) || value.contains(['\r', '\n']) {
            return Err(Failure::new(format!("the header `{}` holds a line break or a colon in its name", name.escape_debug())));
        }
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        headers.push((name, value));
    }
    Ok(HttpRequest {
        headers,
        timeout: args.int("timeout").and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
        skip_verify: !args.bool("validate_certs"),
        ca_path: args.str("ca_path").map(str::to_owned),
        client_cert: args.str("client_cert").map(|cert| (cert.to_owned(), args.str("client_key").map(str::to_owned))),
        unredirected: args.list("unredirected_headers"),
        no_proxy: !args.bool("use_proxy"),
        ..HttpRequest::get(url)
    })
}

/// The server of an address that names no user itself.
fn server_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(server, _)| server);
    (!authority.contains('@')).then(|| bracketed.unwrap_or_else(|| authority.split(':').next().unwrap_or_default()))
}

/// Bytes and Content-Type.
fn body(args: &Args, look: &dyn Look) -> Result<(Vec<u8>, Option<String>), Failure> {
    if let Some(hash) = args.str("_blob") {
        return Ok((look.blob(hash)?, None));
    }
    if let Some(src) = args.str("src") {
        return look.read(src).map(|bytes| (bytes, None)).map_err(|error| Failure::io(format!("cannot read {src}"), &error));
    }
    let Some(body) = args.get("body") else { return Ok((Vec::new(), None)) };
    match args.str("body_format").unwrap_or("raw") {
        "json" => {
            Ok((body.as_str().map_or_else(|| body.to_json(), str::to_owned).into_bytes(), Some("application/json".to_owned())))
        }
        "form-urlencoded" => Ok((form(body)?.into_bytes(), Some("application/x-www-form-urlencoded".to_owned()))),
        "form-multipart" => multipart(body, look),
        _ => Ok((body.to_text().as_bytes().to_vec(), None)),
    }
}

/// A map, or a list of pairs; a list as value is that key several times. Text is taken as encoded already.
fn form(body: &Value) -> Result<String, Failure> {
    let bad = || Failure::new(format!("a form-urlencoded body is a mapping or a list of pairs, not {}", body.kind()));
    let pairs: Vec<(String, Value)> = match body {
        Value::String(text) => return Ok(text.as_str().to_owned()),
        Value::Map(map) => map.iter().map(|(key, value)| (key.to_string(), value.clone())).collect(),
        Value::List(items) => {
            let pair = |item: &Value| match item.as_list() {
                Some([key, value]) => Some((key.to_text().as_str().to_owned(), value.clone())),
                _ => None,
            };
            items.iter().map(pair).collect::<Option<_>>().ok_or_else(bad)?
        }
        _ => return Err(bad()),
    };
    let mut encoded = Vec::new();
    for (key, value) in &pairs {
        let values = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
        encoded.extend(values.iter().map(|value| format!("{}={}", escaped(key), escaped(&value.to_text()))));
    }
    Ok(encoded.join("&"))
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(byte.into()),
            b' ' => out.push('+'),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// Fields are text, or mappings with `content` or a `filename` on the host, and `mime_type`.
fn multipart(body: &Value, look: &dyn Look) -> Result<(Vec<u8>, Option<String>), Failure> {
    let fields = body.as_map().ok_or_else(|| Failure::new(format!("a form-multipart body is a mapping, not {}", body.kind())))?;
    let boundary = format!("----roll-{:x}", (look.now() * 1e6) as u64);
    let mut bytes = Vec::new();
    for (name, field) in fields {
        let name = name.to_string().replace('"', "%22");
        bytes.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").into_bytes());
        bytes.extend(part(&name, field, look)?);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("--{boundary}--\r\n").into_bytes());
    Ok((bytes, Some(format!("multipart/form-data; boundary={boundary}"))))
}

fn part(name: &str, field: &Value, look: &dyn Look) -> Result<Vec<u8>, Failure> {
    let Some(map) = field.as_map() else {
        return Ok(format!("\r\n\r\n{}", field.to_text().as_str()).into_bytes());
    };
    let text = |key: &str| map.get(key).map(|value| value.to_text().as_str().to_owned());
    let filename = text("filename");
    let content = match (text("content"), &filename) {
        (Some(content), _) => content.into_bytes(),
        (None, Some(path)) => look.read(path).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?,
        (None, None) => return Err(Failure::new(format!("the field `{name}` needs `content` or `filename`"))),
    };
    let shown = filename.as_deref().and_then(|path| path.rsplit('/').next()).map(|file| format!("; filename=\"{file}\""));
    let kind = text("mime_type").or_else(|| filename.is_some().then(|| "application/octet-stream".to_owned()));
    let kind = kind.map(|kind| format!("\r\nContent-Type: {kind}"));
    let head = format!("{}{}\r\n\r\n", shown.unwrap_or_default(), kind.unwrap_or_default());
    Ok([head.into_bytes(), content].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_key_by_key() {
        let body = Value::from_json(r#"{"name":"a b&c","tag":["x","y"],"n":1}"#).unwrap();
        assert_eq!(form(&body).unwrap(), "name=a+b%26c&tag=x&tag=y&n=1");
        assert_eq!(form(&Value::from_json(r#"[["a","1"],["a","2"]]"#).unwrap()).unwrap(), "a=1&a=2");
        assert!(form(&Value::from(1)).is_err());
    }

    #[test]
    fn a_file_is_named_after_the_last_part_of_the_path() {
        assert_eq!(file_name("https://host/a/b.tar.gz?x=1"), "b.tar.gz");
        assert_eq!(file_name("https://host"), "index.html");
        assert_eq!(file_name("https://host/"), "index.html");
        assert_eq!(file_name("https://host/.."), "index.html");
    }

    #[test]
    fn cookies_are_name_and_value() {
        let headers =
            Map::from_iter([("set-cookie".into(), Value::from("sid=1; Path=/; Expires=Wed, 21 Oct 2015 07:28:00 GMT"))]);
        assert_eq!(Value::from(cookies(&headers)).to_json(), r#"{"cookies":{"sid":"1"},"cookies_string":"sid=1"}"#);
    }
}
