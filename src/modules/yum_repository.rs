//! `yum_repository`: a source of packages for yum and dnf, a section in a file of `/etc/yum.repos.d`.

use super::attrs::FILE_ARGS;
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Content, Failure, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Value, bytes_of, shown_text};

pub(super) const MODULE: Module = Module {
    name: "yum_repository",
    collection: "ansible.builtin",
    summary: "adds and removes sources of yum and dnf",
    args: &[ARGS, FILE_ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

#[rustfmt::skip]
const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "its section").required(),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("file", Kind::Str, "name of the file, without `.repo`; the name of the source if not given"),
    Arg::new("reposdir", Kind::Path, "directory of the files").default("/etc/yum.repos.d"),
    Arg::new("description", Kind::Str, "what it is, for people"),
    Arg::new("async", Kind::Bool, "an option of yum"),
    Arg::new("bandwidth", Kind::Str, "bytes a second"),
    Arg::new("baseurl", Kind::List, "addresses"),
    Arg::new("cost", Kind::Str, "cost against other sources"),
    Arg::new("countme", Kind::Bool, "let the host be counted"),
    Arg::new("deltarpm_metadata_percentage", Kind::Str, "an option of yum"),
    Arg::new("deltarpm_percentage", Kind::Str, "an option of yum"),
    Arg::new("enabled", Kind::Bool, "whether it is used"),
    Arg::new("enablegroups", Kind::Bool, "whether groups are taken from it"),
    Arg::new("exclude", Kind::List, "packages to leave alone").aliases(&["excludepkgs"]),
    Arg::new("failovermethod", Kind::Str, "order of addresses").choices(&["roundrobin", "priority"]),
    Arg::new("gpgcakey", Kind::Str, "address of a CA key"),
    Arg::new("gpgcheck", Kind::Bool, "check signatures"),
    Arg::new("gpgkey", Kind::List, "addresses of keys"),
    Arg::new("module_hotfixes", Kind::Bool, "packages of all modules"),
    Arg::new("http_caching", Kind::Str, "what caches may keep").choices(&["all", "packages", "none"]),
    Arg::new("include", Kind::Str, "a file to include"),
    Arg::new("includepkgs", Kind::List, "only these packages"),
    Arg::new("ip_resolve", Kind::Str, "IP version").choices(&["4", "6", "IPv4", "IPv6", "whatever"]),
    Arg::new("keepalive", Kind::Bool, "keep connections"),
    Arg::new("keepcache", Kind::Str, "keep packages").choices(&["0", "1"]),
    Arg::new("metadata_expire", Kind::Str, "how long lists are valid"),
    Arg::new("metadata_expire_filter", Kind::Str, "which commands look at that").choices(&["never", "read-only:past", "read-only:present", "read-only:future"]),
    Arg::new("metalink", Kind::Str, "address of a metalink file"),
    Arg::new("mirrorlist", Kind::Str, "address of a list of mirrors"),
    Arg::new("mirrorlist_expire", Kind::Str, "how long that list is valid"),
    Arg::new("password", Kind::Str, "for the addresses").secret(),
    Arg::new("priority", Kind::Str, "priority against other sources"),
    Arg::new("protect", Kind::Bool, "an option of yum"),
    Arg::new("proxy", Kind::Str, "proxy"),
    Arg::new("proxy_password", Kind::Str, "for the proxy").secret(),
    Arg::new("proxy_username", Kind::Str, "for the proxy"),
    Arg::new("repo_gpgcheck", Kind::Bool, "check the signature of its lists"),
    Arg::new("retries", Kind::Str, "how often to try"),
    Arg::new("s3_enabled", Kind::Bool, "an option of yum"),
    Arg::new("skip_if_unavailable", Kind::Bool, "go on without it"),
    Arg::new("ssl_check_cert_permissions", Kind::Bool, "check the modes of certificates"),
    Arg::new("sslcacert", Kind::Str, "directory of CA certificates").aliases(&["ca_cert"]),
    Arg::new("sslclientcert", Kind::Str, "client certificate").aliases(&["client_cert"]),
    Arg::new("sslclientkey", Kind::Str, "client key").aliases(&["client_key"]),
    Arg::new("sslverify", Kind::Bool, "check certificates").aliases(&["validate_certs"]),
    Arg::new("throttle", Kind::Str, "limit of bandwidth"),
    Arg::new("timeout", Kind::Str, "seconds"),
    Arg::new("ui_repoid_vars", Kind::Str, "variables to show"),
    Arg::new("username", Kind::Str, "for the addresses"),
];

/// Arguments that are no options of a section.
const NO_OPTIONS: [&str; 4] = ["name", "state", "file", "reposdir"];

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let name = args.required("name")?;
    let is_wanted = args.str("state") == Some("present");
    let has_source = ["baseurl", "metalink", "mirrorlist"].iter().any(|arg| args.has(arg));
    if is_wanted && !has_source {
        return Err(Failure::new("Parameter 'baseurl', 'metalink' or 'mirrorlist' is required."));
    }
    if is_wanted && !args.has("description") {
        return Err(Failure::new("Parameter 'description' is required."));
    }
    let dir = args.str("reposdir").unwrap_or("/etc/yum.repos.d");
    if !look.exists(dir) {
        return Err(Failure::new(format!("Repo directory '{dir}' does not exist.")));
    }
    let path = format!("{dir}/{}.repo", args.str("file").unwrap_or(name));
    let fail = |error| Failure::io(format!("cannot read {path}"), &error);
    let (found, before) = (look.stat(&path, true).map_err(fail)?, look.exact_text(&path).map_err(fail)?.unwrap_or_default());
    let mut sections = sections(&before);
    sections.retain(|(section, _)| section != name);
    let had = sections.len();
    if is_wanted {
        sections.push((name.to_owned(), options(args)));
    }
    sections.sort_by(|one, other| one.0.cmp(&other.0));
    let text = |(section, lines): &(String, Vec<String>)| format!("[{section}]\n{}\n", lines.concat());
    let after = head(&before) + &sections.iter().map(text).collect::<String>();
    let is_same = settings(&before) == settings(&after);
    let mut plan = Plan::default();
    plan.set("repo", name).set("state", args.str("state"));
    let attrs = Attrs::wanted(args, look, found.as_ref(), false)?;
    if !is_same && !is_wanted && had == 0 {
        plan.push(Change::new(&path, shown_text(&before).as_ref(), "", Act::Remove { path: path.clone() }));
    } else if !is_same {
        let write = Write { attrs, ..Write::new(&path, Content::Bytes(bytes_of(&after))) };
        plan.push(Change::new(&path, shown_text(&before).as_ref(), shown_text(&after).as_ref(), Act::Write(write)));
    } else if let Some(found) = found {
        plan.changes.extend(attrs.change(look, &path, &found, true));
    }
    Ok(plan)
}

/// Sections by name, each with its lines.
fn sections(text: &str) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            all.push((name.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = all.last_mut().filter(|_| !line.trim().is_empty()) {
            lines.push(format!("{}\n", line.trim_end()));
        }
    }
    all
}

/// Comments above the first section.
fn head(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim_start().starts_with('['));
    lines.filter(|line| is_comment(line)).map(|line| format!("{}\n", line.trim_end())).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// What a file says: comments, the order of things and the way `key = value` is written do not count.
fn settings(text: &str) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<_> = sections(text).into_iter().map(|(section, lines)| (section, values(&lines))).collect();
    all.sort();
    all
}

fn values(lines: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in lines.iter().filter(|line| !is_comment(line)) {
        match (all.last_mut(), line.split_once(['=', ':'])) {
            (Some(last), _) if line.starts_with([' ', '\t']) => last.push_str(&format!("\n{}", line.trim())),
            (_, Some((key, value))) => all.push(format!("{}={}", key.trim(), value.trim())),
            (_, None) => all.push(line.trim().to_owned()),
        }
    }
    all.sort();
    all
}

fn options(args: &Args) -> Vec<String> {
    let own = ARGS.iter().filter(|arg| !NO_OPTIONS.contains(&arg.name));
    let mut lines: Vec<String> = own
        .filter_map(|arg| {
            let value = match args.get(arg.name)? {
                Value::Bool(truth) => i32::from(*truth).to_string(),
                Value::List(_) if arg.name.ends_with("pkgs") || arg.name == "exclude" => args.list(arg.name).join(" "),
                Value::List(_) => args.list(arg.name).join("\n\t"),
                other => other.to_text().as_str().to_owned(),
            };
            let key = if arg.name == "description" { "name" } else { arg.name };
            Some(format!("{key} = {value}\n"))
        })
        .collect();
    lines.sort();
    lines
}
