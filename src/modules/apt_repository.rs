//! `apt_repository`: one-line sources of apt in `sources.list` and `sources.list.d/*.list`.
//!
//! A source that is there but commented out is enabled again where it stands; a new one gets a file that is named after its
//! address. Where the lists cannot be refreshed with it, every file is put back as it was.

use super::apt::refresh;
use super::attrs::mode_of;
use super::touch::Write;
use super::{Act, Arg, Args, Attrs, Change, Cmd, Content, Failure, HttpRequest, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Value, bytes_of, shown_text};

pub(super) const MODULE: Module = Module {
    name: "apt_repository",
    collection: "ansible.builtin",
    summary: "adds and removes one-line sources of apt",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("repo", Kind::Str, "the line, such as `deb http://… bookworm main`, or `ppa:owner/name`").required(),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("mode", Kind::Raw, "mode of the file; 0644 for a new one"),
    Arg::new("update_cache", Kind::Bool, "refresh the package lists after a change").aliases(&["update-cache"]).default("yes"),
    Arg::new("update_cache_retries", Kind::Int, "how often a failed download of the lists is tried again").default("5"),
    Arg::new("update_cache_retry_max_delay", Kind::Int, "longest pause between tries; apt chooses its own").inert().default("12"),
    Arg::new("validate_certs", Kind::Bool, "check certificates where a key is fetched for a PPA").default("yes"),
    Arg::new("filename", Kind::Str, "name of the file in sources.list.d; made from the address if not given"),
    Arg::new("codename", Kind::Str, "release that a PPA is for; the host's own if not given"),
    Arg::new("install_python_apt", Kind::Bool, "nothing needs to be installed for this module").inert().default("yes"),
];

const MAIN: &str = "/etc/apt/sources.list";
const PARTS: &str = "/etc/apt/sources.list.d";
const TRUSTED: &str = "/etc/apt/trusted.gpg.d";
/// Runs the refresh after `--`'s three words for each file (`gone` or `was`, path, old text); puts them back if it fails.
const OR_PUT_BACK: &str = r#"files=$1
shift
i=0
while [ $i -lt $files ]; do
  eval "how$i=\$1 path$i=\$2 text$i=\$3"
  shift 3
  i=$((i + 1))
done
"$@" && exit 0
code=$?
i=0
while [ $i -lt $files ]; do
  eval "how=\$how$i path=\$path$i text=\$text$i"
  if [ "$how" = gone ]; then rm -f "$path"; else printf %s "$text" > "$path"; fi
  i=$((i + 1))
done
exit $code"#;

/// A file of sources, by lines.
struct File {
    path: String,
    before: Option<String>,
    lines: Vec<String>,
}

/// What one line says.
struct Source {
    is_enabled: bool,
    text: String,
    comment: String,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    if look.which("apt-get").is_none() {
        return Err(Failure::new("there is no apt on this host: apt_repository is for Debian and its relatives"));
    }
    let repo = args.required("repo")?;
    let mut plan = Plan::default();
    plan.set("repo", repo).set("state", args.str("state"));
    let is_wanted = args.str("state") == Some("present");
    let wanted = match repo.strip_prefix("ppa:") {
        Some(ppa) => personal(ppa, args, look, is_wanted, &mut plan)?,
        None => wanted(repo)?,
    };
    let mut files = read(look)?;
    let known: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    if is_wanted {
        enable(&mut files, &wanted, args);
    } else {
        files.iter_mut().for_each(|file| file.lines.retain(|line| Source::parse(line).is_none_or(|one| one.text != wanted)));
    }
    let changed: Vec<&File> = files.iter().filter(|file| file.is_changed()).collect();
    let names = |files: Vec<&&File>| files.iter().map(|file| Value::from(&file.path)).collect::<Value>();
    plan.set("sources_added", names(changed.iter().filter(|file| !known.contains(&file.path)).collect()));
    plan.set("sources_removed", names(changed.iter().filter(|file| file.is_over()).collect()));
    for file in &changed {
        plan.push(file.change(args)?);
    }
    if args.bool("update_cache") && !changed.is_empty() {
        plan.push(Change::run("package lists", refreshed(args, look, &changed)?));
    }
    Ok(plan)
}

/// As it stands in a file: single spaces, no comment.
fn wanted(repo: &str) -> Result<String, Failure> {
    match Source::parse(repo) {
        Some(source) if source.is_enabled => Ok(source.text),
        _ => Err(Failure::new(format!(
            "Invalid repository string: {repo}; it begins with `deb` or `deb-src`, then an address, a suite and components"
        ))),
    }
}

impl Source {
    fn parse(line: &str) -> Option<Source> {
        let line = line.trim();
        let is_enabled = !line.starts_with('#');
        let line = line.trim_start_matches(['#', ' ', '\t']);
        let (text, comment) = line.split_once('#').unwrap_or((line, ""));
        let words: Vec<&str> = text.split_whitespace().collect();
        (words.len() > 1 && matches!(words[0], "deb" | "deb-src")).then(|| Source {
            is_enabled,
            text: words.join(" "),
            comment: comment.trim().to_owned(),
        })
    }
}

fn read(look: &dyn Look) -> Result<Vec<File>, Failure> {
    let parts = look.list(PARTS).unwrap_or_default();
    let parts = parts.iter().filter(|name| name.ends_with(".list")).map(|name| format!("{PARTS}/{name}"));
    let mut files = Vec::new();
    for path in std::iter::once(MAIN.to_owned()).chain(parts) {
        let text = look.exact_text(&path).map_err(|error| Failure::io(format!("cannot read {path}"), &error))?;
        if let Some(text) = text {
            files.push(File { lines: text.lines().map(str::to_owned).collect(), before: Some(text), path });
        }
    }
    Ok(files)
}

/// Enables every line that has it, or adds one.
fn enable(files: &mut Vec<File>, wanted: &str, args: &Args) {
    let mut is_there = false;
    for line in files.iter_mut().flat_map(|file| &mut file.lines) {
        let Some(source) = Source::parse(line).filter(|source| source.text == wanted) else { continue };
        is_there = true;
        if !source.is_enabled {
            let comment = if source.comment.is_empty() { String::new() } else { format!(" # {}", source.comment) };
            *line = source.text + &comment;
        }
    }
    if is_there {
        return;
    }
    let path = path_of(wanted, args.str("filename"));
    match files.iter_mut().find(|file| file.path == path) {
        Some(file) => file.lines.push(wanted.to_owned()),
        None => files.push(File { path, before: None, lines: vec![wanted.to_owned()] }),
    }
}

fn path_of(source: &str, filename: Option<&str>) -> String {
    let name = match filename {
        Some(name) if name.ends_with(".list") => name.to_owned(),
        Some(name) => format!("{name}.list"),
        None => format!("{}.list", slug(address(source))),
    };
    if name.contains('/') { name } else { format!("{PARTS}/{name}") }
}

/// The address of a source: the first word after the type and the options.
fn address(source: &str) -> &str {
    let rest = source.split_once(' ').map_or("", |(_, rest)| rest);
    let rest = match rest.split_once(']') {
        Some((_, rest)) if source.contains('[') => rest,
        _ => rest,
    };
    rest.split_whitespace().next().unwrap_or_default()
}

/// Host and path as words joined by `_`; who logs in there stays out of the name.
fn slug(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let rest = if host.contains('@') { rest.split_once('@').map_or(rest, |(_, rest)| rest) } else { rest };
    let words = rest.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

impl File {
    fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn is_changed(&self) -> bool {
        self.before.as_deref().is_none_or(|before| before.lines().ne(self.lines.iter().map(String::as_str)))
    }

    /// Nothing is left, and it is no file that others count on.
    fn is_over(&self) -> bool {
        self.lines.is_empty() && self.path != MAIN
    }

    fn change(&self, args: &Args) -> Result<Change, Failure> {
        let before = self.before.as_deref().map(shown_text).unwrap_or_default();
        if self.is_over() {
            return Ok(Change::new(&self.path, before.as_ref(), "", Act::Remove { path: self.path.clone() }));
        }
        let is_new = self.before.is_none();
        let mode = args.get("mode").map(|mode| mode_of(mode, 0o644, false)).transpose()?.flatten();
        let attrs = Attrs { mode: mode.or(is_new.then_some(0o644)), ..Attrs::default() };
        let write = Write { attrs, ..Write::new(&self.path, Content::Bytes(bytes_of(&self.text()))) };
        Ok(Change::new(&self.path, before.as_ref(), shown_text(&self.text()).as_ref(), Act::Write(write)))
    }
}

fn refreshed(args: &Args, look: &dyn Look, changed: &[&File]) -> Result<Cmd, Failure> {
    let refresh = refresh(look, args.int("update_cache_retries").unwrap_or(5))?;
    let mut argv: Vec<String> = ["/bin/sh", "-c", OR_PUT_BACK, "sh"].map(str::to_owned).to_vec();
    argv.push(changed.len().to_string());
    for file in changed {
        let how = if file.before.is_some() { "was" } else { "gone" };
        argv.extend([how.to_owned(), file.path.clone(), file.before.clone().unwrap_or_default()]);
    }
    argv.extend(refresh.argv);
    Ok(Cmd { argv, ..refresh })
}

/// The line of a PPA, and the change that trusts its key.
fn personal(ppa: &str, args: &Args, look: &dyn Look, is_wanted: bool, plan: &mut Plan) -> Result<String, Failure> {
    let release = look.text("/etc/os-release").ok().flatten().unwrap_or_default();
    let field = |name: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    if field("ID").as_deref() != Some("ubuntu") {
        return Err(Failure::new(format!("Invalid repository string: ppa:{ppa}; a PPA is for Ubuntu, and this host is none")));
    }
    let (owner, name) = ppa.split_once('/').unwrap_or((ppa, "ppa"));
    let codename = args.str("codename").map(str::to_owned).or_else(|| field("VERSION_CODENAME")).unwrap_or_default();
    let key = format!("{TRUSTED}/{owner}-{name}.asc");
    if is_wanted && !look.exists(&key) {
        let body = signing_key(owner, name, args, look)?;
        let attrs = Attrs { mode: Some(0o644), ..Attrs::default() };
        let write = Write { attrs, ..Write::new(&key, Content::Bytes(body)) };
        plan.push(Change::new(&key, Value::Null, format!("key of ppa:{ppa}"), Act::Write(write)));
    }
    Ok(format!("deb https://ppa.launchpadcontent.net/{owner}/{name}/ubuntu {codename} main"))
}

fn signing_key(owner: &str, name: &str, args: &Args, look: &dyn Look) -> Result<Vec<u8>, Failure> {
    let get = |url: String| {
        let request = HttpRequest { skip_verify: !args.bool("validate_certs"), ..HttpRequest::get(&url) };
        let reply = look.http(&HttpRequest { headers: vec![("Accept".to_owned(), "application/json".to_owned())], ..request })?;
        if reply.status == 200 { Ok(reply) } else { Err(Failure::new(format!("{url}: HTTP {} {}", reply.status, reply.reason))) }
    };
    let about = get(format!("https://api.launchpad.net/1.0/~{owner}/+archive/{name}"))?.json();
    let fingerprint = about.get("signing_key_fingerprint").and_then(Value::as_str).unwrap_or_default().to_owned();
    if fingerprint.is_empty() {
        return Err(Failure::new(format!("ppa:{owner}/{name} has no signing key")));
    }
    Ok(get(format!("https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x{fingerprint}"))?.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_address() {
        let named = |source: &str| path_of(&wanted(source).unwrap(), None);
        assert_eq!(
            named("deb http://archive.example.com/ubuntu hardy partner"),
            format!("{PARTS}/archive_example_com_ubuntu.list")
        );
        assert_eq!(named("deb [arch=amd64 trusted=yes] https://me:pw@x.io/deb/ /"), format!("{PARTS}/x_io_deb.list"));
        assert_eq!(path_of("deb http://x a", Some("mine")), format!("{PARTS}/mine.list"));
        assert!(wanted("#deb http://x a").is_err() && wanted("http://x a").is_err());
    }
}
