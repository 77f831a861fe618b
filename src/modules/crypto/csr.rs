//! `openssl_csr`: a request for a certificate.
//!
//! The wanted request is made each time (which changes nothing), and its description compared with that of the one that is
//! there: everything that it says counts, only the signature does not.

use super::openssl::{Input, Openssl, input, passin, words};
use super::target::{self, Target};
use crate::modules::attrs::FILE_ARGS;
use crate::modules::{Arg, Args, Done, Failure, Kind, Look, Module, Plan, Rule};
use crate::value::{Map, Value};

pub(in crate::modules) const MODULE: Module = Module {
    name: "openssl_csr",
    collection: "community.crypto",
    summary: "makes requests for certificates",
    args: &[ARGS, super::TARGET_ARGS, FILE_ARGS],
    rules: &[Rule::Exclusive(&["privatekey_path", "privatekey_content"]), Rule::Exclusive(&["subject", "subject_ordered"])],
    free_form: None,
    plan,
    finish,
};

const ARGS: &[Arg] = &[
    Arg::new("digest", Kind::Str, "digest of the signature").default("sha256"),
    Arg::new("privatekey_path", Kind::Path, "the private key"),
    Arg::new("privatekey_content", Kind::Str, "the private key itself").secret(),
    Arg::new("privatekey_passphrase", Kind::Str, "its passphrase").secret(),
    Arg::new("version", Kind::Int, "version of the request").default("1").choices(&["1"]),
    Arg::new("subject", Kind::Dict, "fields of the subject"),
    Arg::new("subject_ordered", Kind::RawList, "fields of the subject, in order"),
    Arg::new("country_name", Kind::Str, "field of the subject").aliases(&["C", "countryName"]),
    Arg::new("state_or_province_name", Kind::Str, "field of the subject").aliases(&["ST", "stateOrProvinceName"]),
    Arg::new("locality_name", Kind::Str, "field of the subject").aliases(&["L", "localityName"]),
    Arg::new("organization_name", Kind::Str, "field of the subject").aliases(&["O", "organizationName"]),
    Arg::new("organizational_unit_name", Kind::Str, "field of the subject").aliases(&["OU", "organizationalUnitName"]),
    Arg::new("common_name", Kind::Str, "field of the subject").aliases(&["CN", "commonName"]),
    Arg::new("email_address", Kind::Str, "field of the subject").aliases(&["E", "emailAddress"]),
    Arg::new("subject_alt_name", Kind::List, "further names, such as `DNS:example.com`").aliases(&["subjectAltName"]),
    Arg::new("subject_alt_name_critical", Kind::Bool, "must be understood").aliases(&["subjectAltName_critical"]).default("no"),
    Arg::new("use_common_name_for_san", Kind::Bool, "the common name is a further name where none is given")
        .aliases(&["useCommonNameForSAN"])
        .default("yes"),
    Arg::new("key_usage", Kind::List, "what the key is for").aliases(&["keyUsage"]),
    Arg::new("key_usage_critical", Kind::Bool, "must be understood").aliases(&["keyUsage_critical"]).default("no"),
    Arg::new("extended_key_usage", Kind::List, "what else the key is for").aliases(&["extKeyUsage", "extendedKeyUsage"]),
    Arg::new("extended_key_usage_critical", Kind::Bool, "must be understood")
        .aliases(&["extKeyUsage_critical", "extendedKeyUsage_critical"])
        .default("no"),
    Arg::new("basic_constraints", Kind::List, "such as `CA:TRUE`").aliases(&["basicConstraints"]),
    Arg::new("basic_constraints_critical", Kind::Bool, "must be understood")
        .aliases(&["basicConstraints_critical"])
        .default("no"),
    Arg::new("ocsp_must_staple", Kind::Bool, "servers must staple").aliases(&["ocspMustStaple"]).default("no"),
    Arg::new("ocsp_must_staple_critical", Kind::Bool, "must be understood").aliases(&["ocspMustStaple_critical"]).default("no"),
    Arg::new("name_constraints_permitted", Kind::List, "names that a CA may sign"),
    Arg::new("name_constraints_excluded", Kind::List, "names that it may not"),
    Arg::new("name_constraints_critical", Kind::Bool, "must be understood").default("no"),
    Arg::new("create_subject_key_identifier", Kind::Bool, "with an identifier of the key").default("no"),
    Arg::new("subject_key_identifier", Kind::Str, "that identifier"),
    Arg::new("authority_key_identifier", Kind::Str, "identifier of the CA's key"),
    Arg::new("authority_cert_issuer", Kind::List, "issuer of the CA"),
    Arg::new("authority_cert_serial_number", Kind::Int, "number of the CA's certificate"),
    Arg::new("crl_distribution_points", Kind::RawList, "where lists of revoked certificates are"),
];

const SUBJECT: [(&str, &str); 7] = [
    ("country_name", "C"),
    ("state_or_province_name", "ST"),
    ("locality_name", "L"),
    ("organization_name", "O"),
    ("organizational_unit_name", "OU"),
    ("common_name", "CN"),
    ("email_address", "emailAddress"),
];
/// No extension can be asked for with these.
const UNSUPPORTED: [&str; 2] = ["authority_cert_issuer", "authority_cert_serial_number"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let target = Target::of(args, look, 0o644)?;
    if args.str("state") == Some("absent") {
        return Ok(target.absent());
    }
    if let Some(arg) = UNSUPPORTED.iter().find(|arg| args.has(arg)) {
        return Err(Failure::new(format!("`{arg}` is not supported: openssl writes it into certificates only")));
    }
    let key = input(args.str("privatekey_path"), args.str("privatekey_content"));
    let key = key.ok_or_else(|| Failure::new("one of privatekey_path, privatekey_content is required"))?;
    if let Input::File(path) = key
        && !look.exists(path)
    {
        return Err(Failure::new(format!("The private key {path} does not exist: make it first with openssl_privatekey")));
    }
    let openssl = Openssl::on(look)?;
    let wanted = request(args, &openssl, key)?;
    let is_same = target.found.is_some()
        && described(&openssl, Input::File(target.path))?
            .is_some_and(|found| Some(found) == described(&openssl, Input::Text(&wanted)).ok().flatten());
    let mut plan = target.settle(is_same, |_| Ok(wanted.clone().into_bytes()))?;
    plan.set("privatekey", args.str("privatekey_path"));
    plan.set(
        "subject",
        subject(args).into_iter().map(|(key, value)| Value::list(vec![key.into(), value.into()])).collect::<Value>(),
    );
    plan.set("subjectAltName", names(args));
    plan.set("keyUsage", args.list("key_usage")).set("extendedKeyUsage", args.list("extended_key_usage"));
    plan.set("basicConstraints", args.list("basic_constraints")).set("ocspMustStaple", args.bool("ocsp_must_staple"));
    plan.set("name_constraints_permitted", args.list("name_constraints_permitted"));
    plan.set("name_constraints_excluded", args.list("name_constraints_excluded"));
    Ok(plan)
}

fn finish(args: &Args, values: Map, done: &[Done], look: &dyn Look) -> Result<Map, Failure> {
    target::finish(args, values, done, look, "csr")
}

fn request(args: &Args, openssl: &Openssl<'_>, key: Input<'_>) -> Result<String, Failure> {
    let passphrase = args.str("privatekey_passphrase");
    let digest = format!("-{}", args.str("digest").unwrap_or("sha256"));
    let config = config(args)?;
    openssl.text(
        "cannot make the request",
        &words![
            "req",
            "-new",
            "-batch",
            digest.as_str(),
            "-key",
            key,
            "-passin",
            passin(passphrase),
            "-config",
            Input::Text(&config)
        ],
        passphrase,
    )
}

/// What a request says, line by line in any order, without its signature; none where it cannot be read.
fn described(openssl: &Openssl<'_>, request: Input<'_>) -> Result<Option<Vec<String>>, Failure> {
    let output = openssl.ask(&words!["req", "-in", request, "-noout", "-text", "-nameopt", "RFC2253,-esc_msb,utf8"], None)?;
    if !output.is_success() {
        return Ok(None);
    }
    let text = output.stdout_text();
    let end = ["Signature Value:", "Signature Algorithm:"].iter().filter_map(|mark| text.rfind(mark)).min().unwrap_or(text.len());
    let (said, algorithm) = text.split_at(end);
    let mut lines: Vec<String> = said.lines().map(|line| line.trim().to_owned()).collect();
    lines.extend(algorithm.lines().next().map(|line| line.trim().to_owned()));
    lines.sort();
    Ok(Some(lines))
}

fn subject(args: &Args) -> Vec<(String, String)> {
    let text = |value: &Value| value.to_text().as_str().to_owned();
    let mut fields = Vec::new();
    for (arg, key) in SUBJECT {
        fields.extend(args.str(arg).filter(|value| !value.is_empty()).map(|value| (key.to_owned(), value.to_owned())));
    }
    let ordered = args.items("subject_ordered").iter().filter_map(Value::as_map).flatten();
    for (key, value) in args.dict("subject").into_iter().flatten().chain(ordered) {
        match value {
            Value::List(items) => fields.extend(items.iter().map(|item| (key.to_string(), text(item)))),
            Value::Null => {}
            other => fields.push((key.to_string(), text(other))),
        }
    }
    fields
}

fn names(args: &Args) -> Vec<String> {
    let given = args.list("subject_alt_name");
    let common = args.str("common_name").filter(|_| given.is_empty() && args.bool("use_common_name_for_san"));
    given.into_iter().chain(common.map(|name| format!("DNS:{name}"))).collect()
}

/// A configuration of `openssl req`.
fn config(args: &Args) -> Result<String, Failure> {
    let mut text = "[req]\ndistinguished_name=dn\nprompt=no\nutf8=yes\nstring_mask=utf8only\n".to_owned();
    let extensions = extensions(args)?;
    if !extensions.is_empty() {
        text.push_str("req_extensions=ext\n");
    }
    text.push_str("[dn]\n");
    for (number, (key, value)) in subject(args).iter().enumerate() {
        // A number before the key lets it stand several times.
        text.push_str(&format!("{number}.{key}={}\n", escaped(value)?));
    }
    text.push_str("[ext]\n");
    extensions.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    Ok(text)
}

fn escaped(value: &str) -> Result<String, Failure> {
    if value.contains(['\n', '\r']) {
        return Err(Failure::new("fields of a subject are single lines"));
    }
    Ok(value.replace('\\', "\\\\").replace('$', "\\$").replace('#', "\\#").replace('"', "\\\""))
}

fn extensions(args: &Args) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let mut push = |name: &str, critical: &str, values: Vec<String>| {
        if !values.is_empty() {
            let critical = if args.bool(critical) { "critical," } else { "" };
            lines.push(format!("{name}={critical}{}", values.join(",")));
        }
    };
    let safe = |names: Vec<String>| names.iter().map(|name| escaped(name)).collect::<Result<Vec<_>, _>>();
    push("subjectAltName", "subject_alt_name_critical", safe(names(args))?.iter().map(|name| name_of(name)).collect());
    push("keyUsage", "key_usage_critical", safe(args.list("key_usage"))?.iter().map(|usage| usage_of(usage)).collect());
    push(
        "extendedKeyUsage",
        "extended_key_usage_critical",
        safe(args.list("extended_key_usage"))?.iter().map(|usage| usage_of(usage)).collect(),
    );
    push("basicConstraints", "basic_constraints_critical", safe(args.list("basic_constraints"))?);
    push(
        "tlsfeature",
        "ocsp_must_staple_critical",
        args.bool("ocsp_must_staple").then(|| "status_request".to_owned()).into_iter().collect(),
    );
    let constraint =
        |word: &str, arg: &str| -> Vec<String> { args.list(arg).iter().map(|name| format!("{word};{name}")).collect() };
    let constraints = constraint("permitted", "name_constraints_permitted").into_iter();
    push(
        "nameConstraints",
        "name_constraints_critical",
        constraints.chain(constraint("excluded", "name_constraints_excluded")).collect(),
    );
    let identifier = args.str("subject_key_identifier").map(str::to_owned);
    let identifier = identifier.or_else(|| args.bool("create_subject_key_identifier").then(|| "hash".to_owned()));
    push("subjectKeyIdentifier", "", identifier.into_iter().collect());
    if args.has("authority_key_identifier") {
        return Err(Failure::new("`authority_key_identifier` is not supported: openssl writes it into certificates only"));
    }
    let points = args.items("crl_distribution_points").iter().flat_map(|point| {
        let names = point.get("full_name").and_then(Value::as_list).unwrap_or_default();
        names.iter().map(|name| name.to_text().as_str().to_owned()).collect::<Vec<_>>()
    });
    push("crlDistributionPoints", "", points.collect());
    Ok(lines)
}

/// Other words for the kinds of names.
fn name_of(name: &str) -> String {
    name.strip_prefix("IP Address:").map_or_else(|| name.to_owned(), |address| format!("IP:{address}"))
}

/// As openssl's configuration has it, from the words that its descriptions have.
fn usage_of(usage: &str) -> String {
    match usage {
        "Digital Signature" => "digitalSignature",
        "Non Repudiation" | "Content Commitment" | "contentCommitment" => "nonRepudiation",
        "Key Encipherment" => "keyEncipherment",
        "Data Encipherment" => "dataEncipherment",
        "Key Agreement" => "keyAgreement",
        "Certificate Sign" => "keyCertSign",
        "CRL Sign" => "cRLSign",
        "Encipher Only" => "encipherOnly",
        "Decipher Only" => "decipherOnly",
        "TLS Web Server Authentication" => "serverAuth",
        "TLS Web Client Authentication" => "clientAuth",
        "Code Signing" => "codeSigning",
        "E-mail Protection" => "emailProtection",
        "Time Stamping" => "timeStamping",
        "OCSP Signing" => "OCSPSigning",
        other => other,
    }
    .to_owned()
}
