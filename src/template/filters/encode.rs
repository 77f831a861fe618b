//! Filters to and from JSON, YAML, base64, URLs, and hashes.

use super::yaml_out::{Layout, yaml_text};
use super::{Filter, filter};
use crate::diag::Sources;
use crate::template::calls::{Call, whole};
use crate::template::failure::Res;
use crate::template::methods::resolved;
use crate::template::runtime::{Val, from_value};
use crate::value::{Value, bytes_of, charset, hex, text_of};
use crate::yaml::SEVERAL_DOCUMENTS;
use crate::yaml::{Trust, read};
use base64ct::{Base64, Base64Url, Encoding};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_256};

pub(super) const FILTERS: &[Filter] = &[
    filter("to_json", &["**options"], "JSON", |call| to_json(call, None, false)),
    filter("to_nice_json", &["indent", "sort_keys", "**options"], "JSON on several lines", |call| {
        let indent = usize::try_from(call.int_arg(0, 4)?).unwrap_or(4);
        let is_sorted = call.flag(1, true);
        to_json(call, Some(indent), is_sorted)
    }),
    filter("tojson", &["indent"], "JSON that is safe inside of HTML", html_json),
    filter("from_json", &["**options"], "the value of a JSON text", from_json),
    filter("to_yaml", &["**options"], "YAML", |call| to_yaml(call, Layout::default())).or(&["community.general.to_yaml"]),
    filter("to_nice_yaml", &["indent", "**options"], "YAML in block style", |call| {
        let indent = usize::try_from(call.int_arg(0, 4)?).unwrap_or(4);
        to_yaml(call, Layout { indent, flow: Some(false), ..Layout::default() })
    }),
    filter("community.general.to_nice_yaml", &["indent", "**options"], "YAML in block style", |call| {
        let indent = usize::try_from(call.int_arg(0, 2)?).unwrap_or(2);
        to_yaml(call, Layout { indent, flow: Some(false), ..Layout::default() })
    }),
    filter("from_yaml", &[], "the value of a YAML text", from_yaml),
    filter("from_yaml_all", &[], "the values of all documents of a YAML text", from_yaml_all),
    filter("b64encode", &["encoding", "urlsafe"], "base64", b64encode),
    filter("b64decode", &["encoding", "urlsafe"], "the text that base64 stands for", b64decode),
    filter("hash", &["hashtype"], "a checksum", |call| {
        let kind = call.text_arg(0, "sha1");
        checksum(call, &kind)
    }),
    filter("checksum", &[], "the SHA-1 checksum", |call| checksum(call, "sha1")),
    filter("sha1", &[], "the SHA-1 checksum", |call| checksum(call, "sha1")),
    filter("md5", &[], "the MD5 checksum", |call| checksum(call, "md5")),
    filter("to_uuid", &["namespace"], "a UUID made of a text", to_uuid),
    filter("urlencode", &[], "escaped for a URL", urlencode),
    filter("urldecode", &[], "the text of an escaped URL", |call| Ok(Val::from(unquote(&call.text()?)))),
    filter("urlsplit", &["query", "alias"], "the parts of a URL", urlsplit),
    filter("xmlattr", &["autospace"], "attributes of an XML tag", xmlattr),
];

/// A wider indentation would only fill the memory.
const INDENT_MAX: usize = 1000;

/// Floats, and what Python's `json.dumps` was asked for.
struct JsonStyle {
    indent: Option<usize>,
    is_sorted: bool,
    is_ascii: bool,
    item_separator: String,
    key_separator: String,
}

fn to_json(call: &mut Call<'_, '_>, indent: Option<usize>, is_sorted: bool) -> Res<Val> {
    let indent = match call.named("indent") {
        None | Some(Val::None) => indent,
        Some(value) => Some(usize::try_from(whole(value)?).unwrap_or(0)),
    };
    let indent = indent.map(|indent| indent.min(INDENT_MAX));
    let flag = |name: &str, default: bool| call.named(name).and_then(Val::truth).unwrap_or(default);
    let mut style = JsonStyle {
        indent,
        is_sorted: flag("sort_keys", is_sorted),
        is_ascii: flag("ensure_ascii", true),
        item_separator: if indent.is_some() { "," } else { ", " }.to_owned(),
        key_separator: ": ".to_owned(),
    };
    if let Some(separators) = call.named("separators").cloned()
        && let [item, key] = call.eval.elements(&separators)?.as_slice()
    {
        style.item_separator = item.to_text().as_str().to_owned();
        style.key_separator = key.to_text().as_str().to_owned();
    }
    let input = call.input.clone();
    let value = call.eval.export(&input)?;
    let mut out = String::new();
    style.write(&value, 0, &mut out);
    Ok(Val::from(out))
}

impl JsonStyle {
    fn write(&self, value: &Value, depth: usize, out: &mut String) {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) => out.push_str(&number.to_string()),
            Value::Float(number) if number.is_nan() => out.push_str("NaN"),
            Value::Float(number) if number.is_infinite() => out.push_str(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
            Value::Float(_) => out.push_str(&value.to_text()),
            Value::String(text) => self.quote(text, out),
            Value::Template(template) => self.quote(&template.text, out),
            Value::List(items) if items.is_empty() => out.push_str("[]"),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.next(index, depth + 1, out);
                    self.write(item, depth + 1, out);
                }
                self.line(depth, out);
                out.push(']');
            }
            Value::Map(entries) if entries.is_empty() => out.push_str("{}"),
            Value::Map(entries) => {
                let mut entries: Vec<(String, &Value)> = entries.iter().map(|(key, value)| (json_key(key), value)).collect();
                if self.is_sorted {
                    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                }
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.next(index, depth + 1, out);
                    self.quote(key, out);
                    out.push_str(&self.key_separator);
                    self.write(value, depth + 1, out);
                }
                self.line(depth, out);
                out.push('}');
            }
        }
    }

    fn next(&self, index: usize, depth: usize, out: &mut String) {
        if index > 0 {
            out.push_str(&self.item_separator);
        }
        self.line(depth, out);
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent * depth));
        }
    }

    fn quote(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.is_ascii && !(' '..='~').contains(&c)) => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn json_key(key: &crate::value::Key) -> String {
    match key {
        crate::value::Key::Null => "null".to_owned(),
        crate::value::Key::Bool(truth) => truth.to_string(),
        other => other.as_str().map_or_else(|| other.to_string(), str::to_owned),
    }
}

fn html_json(call: &mut Call<'_, '_>) -> Res<Val> {
    let indent = call.given(0).map(whole).transpose()?.and_then(|indent| usize::try_from(indent).ok());
    let json = to_json(call, indent, true)?;
    let text = json.to_text();
    Ok(Val::from(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027")))
}

fn from_json(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = match &call.input {
        Val::Str(text) => text.clone(),
        other => return Err(format!("the JSON object must be str, bytes or bytearray, not {}", other.kind()).into()),
    };
    let value = Value::from_json(&text).map_err(|error| format!("this is no JSON: {error}"))?;
    Ok(from_value(&if text.is_secret() { value.into_secret() } else { value }))
}

fn to_yaml(call: &mut Call<'_, '_>, mut layout: Layout) -> Res<Val> {
    for (name, value) in &call.named {
        match &**name {
            "indent" => layout.indent = usize::try_from(whole(value)?).unwrap_or(2),
            "width" => layout.width = usize::try_from(whole(value)?).unwrap_or(80),
            "default_flow_style" => layout.flow = value.truth().filter(|_| !matches!(value, Val::None)),
            "sort_keys" => layout.is_sorted = value.truth().unwrap_or(true),
            "explicit_start" => layout.starts_explicitly = value.truth().unwrap_or(false),
            "explicit_end" => layout.ends_explicitly = value.truth().unwrap_or(false),
            "allow_unicode" => layout.is_unicode = value.truth().unwrap_or(true),
            "default_style" => layout.style = value.as_str().and_then(|style| style.chars().next()),
            _ => {}
        }
    }
    let input = call.input.clone();
    let value = call.eval.export(&input)?;
    Ok(Val::from(yaml_text(&value, &layout)))
}

fn documents(call: &mut Call<'_, '_>) -> Res<Option<Vec<Value>>> {
    let Val::Str(text) = &call.input else { return Ok(None) };
    let reading = read(&Sources::default(), "<text>", text, Trust::Data);
    if let Some(problem) = reading.diagnostics.iter().find(|found| found.is_error() && found.code != SEVERAL_DOCUMENTS) {
        let label = problem.labels.first().map_or(String::new(), |label| format!(": {}", label.text));
        return Err(format!("this is no YAML: {}{label}", problem.title).into());
    }
    let values = reading.documents.iter().map(crate::yaml::Node::to_value);
    Ok(Some(values.map(|value| if text.is_secret() { value.into_secret() } else { value }).collect()))
}

fn from_yaml(call: &mut Call<'_, '_>) -> Res<Val> {
    match documents(call)? {
        None => Ok(call.input.clone()),
        Some(documents) if documents.len() > 1 => {
            Err("expected a single document in the stream but found another document".into())
        }
        Some(documents) => Ok(documents.first().map_or(Val::None, from_value)),
    }
}

fn from_yaml_all(call: &mut Call<'_, '_>) -> Res<Val> {
    match documents(call)? {
        None => Ok(call.input.clone()),
        Some(documents) => Ok(Val::list(documents.iter().map(from_value).collect())),
    }
}

fn b64encode(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let bytes = charset::encode(&text, &call.text_arg(0, "utf-8"))?;
    Ok(Val::from(if call.flag(1, false) { Base64Url::encode_string(&bytes) } else { Base64::encode_string(&bytes) }))
}

fn b64decode(call: &mut Call<'_, '_>) -> Res<Val> {
    let text = call.text()?;
    let text = if call.flag(1, false) { text.replace('-', "+").replace('_', "/") } else { text.to_string() };
    let digits: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/')).collect();
    let padded = format!("{digits}{}", "=".repeat((4 - digits.len() % 4) % 4));
    let bytes = Base64::decode_vec(&padded).map_err(|_| "this is no base64")?;
    Ok(Val::from(match call.text_arg(0, "utf-8").to_ascii_lowercase().as_str() {
        // A file of any bytes may be what `slurp` has read.
        "utf-8" | "utf8" => text_of(&bytes),
        encoding => charset::decode(&bytes, encoding)?,
    }))
}

fn checksum(call: &mut Call<'_, '_>, kind: &str) -> Res<Val> {
    let bytes = bytes_of(&call.text()?);
    Ok(Val::from(match kind.to_lowercase().as_str() {
        "md5" => hex(&md5::Md5::digest(&bytes)),
        "sha1" => hex(&Sha1::digest(&bytes)),
        "sha224" => hex(&Sha224::digest(&bytes)),
        "sha256" => hex(&Sha256::digest(&bytes)),
        "sha384" => hex(&Sha384::digest(&bytes)),
        "sha512" => hex(&Sha512::digest(&bytes)),
        "sha512_256" => hex(&Sha512_256::digest(&bytes)),
        "sha3_224" => hex(&sha3::Sha3_224::digest(&bytes)),
        "sha3_256" => hex(&sha3::Sha3_256::digest(&bytes)),
        "sha3_384" => hex(&sha3::Sha3_384::digest(&bytes)),
        "sha3_512" => hex(&sha3::Sha3_512::digest(&bytes)),
        "blake2b" => hex(&blake2::Blake2b512::digest(&bytes)),
        "blake2s" => hex(&blake2::Blake2s256::digest(&bytes)),
        _ => return Err(format!("unsupported hash type {kind}").into()),
    }))
}

/// A UUID of version 5.
fn to_uuid(call: &mut Call<'_, '_>) -> Res<Val> {
    let namespace = call.text_arg(0, "361E6D51-FAEC-444A-9079-341386DA8E2E");
    let digits: String = namespace.chars().filter(char::is_ascii_hexdigit).collect();
    let invalid = || format!("Invalid value '{}' for namespace, must be a UUID", namespace.as_str());
    if digits.len() != 32 {
        return Err(invalid().into());
    }
    let mut hasher = Sha1::new();
    for index in 0..16 {
        let byte = u8::from_str_radix(&digits[index * 2..index * 2 + 2], 16).map_err(|_| invalid())?;
        hasher.update([byte]);
    }
    hasher.update(call.text()?.as_bytes());
    let digest = hasher.finalize();
    let mut bytes: Vec<u8> = digest.iter().take(16).copied().collect();
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    Ok(Val::from(format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])))
}

fn percent_encoded(text: &str, is_query: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b'/' if !is_query => out.push('/'),
            b' ' if is_query => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn urlencode(call: &mut Call<'_, '_>) -> Res<Val> {
    let pairs = match call.input.clone() {
        Val::Dict(dict) => resolved(call.eval, &dict)?.into_iter().map(|(key, value)| (Val::from_key(&key), value)).collect(),
        Val::List(_) | Val::Tuple(_) => {
            let mut pairs = Vec::new();
            for pair in call.items()? {
                match call.eval.elements(&pair)?.as_slice() {
                    [key, value] => pairs.push((key.clone(), value.clone())),
                    _ => return Err("pairs of a key and a value are needed".into()),
                }
            }
            pairs
        }
        _ => return Ok(Val::from(percent_encoded(&call.text()?, false))),
    };
    let part = |value: &Val| percent_encoded(&value.to_text(), true);
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{}={}", part(key), part(value))).collect();
    Ok(Val::from(pairs.join("&")))
}

fn unquote(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten().and_then(|code| u8::from_str_radix(code, 16).ok());
        match (byte, code) {
            (_, Some(code)) => {
                out.push(code);
                at += 2;
            }
            (b'+', None) => out.push(b' '),
            (byte, None) => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn urlsplit(call: &mut Call<'_, '_>) -> Res<Val> {
    let url = call.text()?;
    let (rest, fragment) = url.split_once('#').unwrap_or((&url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, tail))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme.to_lowercase(), tail)
        }
        _ => (String::new(), rest),
    };
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(tail) => tail.split_at(tail.find('/').unwrap_or(tail.len())),
        None => ("", rest),
    };
    let (user, host) = netloc.rsplit_once('@').map_or((None, netloc), |(user, host)| (Some(user), host));
    let (username, password) =
        match user.map(|user| user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)))) {
            Some((name, password)) => (Some(name), password),
            None => (None, None),
        };
    let (hostname, port) = match host.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, tail)) => (address, tail.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let optional = |text: Option<&str>| text.map_or(Val::None, Val::from);
    let port = port
        .filter(|port| !port.is_empty())
        .map(|port| port.parse().map_err(|_| format!("Port could not be cast to integer value as '{port}'")));
    let parts: [(&str, Val); 9] = [
        ("fragment", Val::from(fragment)),
        ("hostname", if hostname.is_empty() { Val::None } else { Val::from(hostname.to_lowercase()) }),
        ("netloc", Val::from(netloc)),
        ("password", optional(password)),
        ("path", Val::from(path)),
        ("port", port.transpose()?.map_or(Val::None, Val::Int)),
        ("query", Val::from(query)),
        ("scheme", Val::from(scheme)),
        ("username", optional(username)),
    ];
    match call.given(0).map(Val::to_text) {
        Some(wanted) if !wanted.is_empty() => {
            let found = parts.into_iter().find(|(name, _)| *name == wanted.as_str());
            found.map(|(_, value)| value).ok_or_else(|| format!("urlsplit: unknown URL component: {}", wanted.as_str()).into())
        }
        _ => Ok(parts.into_iter().map(|(name, value)| (crate::value::Key::from(name), value)).collect()),
    }
}

fn xmlattr(call: &mut Call<'_, '_>) -> Res<Val> {
    let Val::Dict(dict) = call.input.clone() else {
        return Err(format!("'{}' object has no attribute 'items'", call.input.kind()).into());
    };
    let mut attributes = Vec::new();
    for (key, value) in resolved(call.eval, &dict)? {
        if !matches!(value, Val::None | Val::Undefined(_)) {
            let key = key.to_string();
            if key.contains([' ', '/', '>', '=']) {
                return Err(format!("Invalid character in attribute name: '{key}'").into());
            }
            attributes.push(format!("{}=\"{}\"", super::text::escape(&key), super::text::escape(&value.to_text())));
        }
    }
    let joined = attributes.join(" ");
    Ok(Val::from(if call.flag(0, true) && !joined.is_empty() { format!(" {joined}") } else { joined }))
}
