//! `zypper_repository`: a source of packages for zypper. What is there the files of `/etc/zypp/repos.d` say; zypper changes them.

use super::{Act, Arg, Args, Change, Cmd, Failure, HttpRequest, Kind, Look, Module, Plan, finish_plainly};
use crate::value::{Map, Value};

pub(super) const MODULE: Module = Module {
    name: "zypper_repository",
    collection: "community.general",
    summary: "adds and removes sources of zypper",
    args: &[ARGS],
    rules: &[],
    free_form: None,
    plan,
    finish: finish_plainly,
};

const ARGS: &[Arg] = &[
    Arg::new("name", Kind::Str, "its short name; not with a `.repo` file"),
    Arg::new("repo", Kind::Str, "its address, or a `.repo` file or the address of one; `*` for all, with `runrefresh`"),
    Arg::new("state", Kind::Str, "whether it is there").default("present").choices(&["absent", "present"]),
    Arg::new("description", Kind::Str, "what it is, for people"),
    Arg::new("disable_gpg_check", Kind::Bool, "check no signatures").default("no"),
    Arg::new("autorefresh", Kind::Bool, "look for new lists before every use").aliases(&["refresh"]).default("yes"),
    Arg::new("priority", Kind::Int, "smaller ones come first; 99 if not given"),
    Arg::new("overwrite_multiple", Kind::Bool, "replace more than one that has this name or address").default("no"),
    Arg::new("auto_import_keys", Kind::Bool, "trust the key of one that is new or changed").default("no"),
    Arg::new("runrefresh", Kind::Bool, "get its lists now").default("no"),
    Arg::new("enabled", Kind::Bool, "whether it is used").default("yes"),
];

const DIR: &str = "/etc/zypp/repos.d";
const PRIORITY: i64 = 99;

/// One source, as it is or as it shall be; then an empty name and a priority of 0 leave those alone.
#[derive(Clone, Debug, Default, PartialEq)]
struct Source {
    alias: String,
    url: String,
    name: String,
    priority: i64,
    is_enabled: bool,
    is_refreshed: bool,
    is_checked: bool,
}

fn plan(args: &Args, look: &dyn Look) -> Result<Plan, Failure> {
    let missing =
        || Failure::new("there is no zypper on this host: `apt_repository` and `yum_repository` are for other package managers");
    let program = look.which("zypper").ok_or_else(missing)?;
    let repo = args.str("repo").filter(|repo| !repo.is_empty());
    let is_wanted = args.str("state") == Some("present");
    let mut plan = Plan::default();
    if repo == Some("*") {
        if !args.bool("runrefresh") {
            return Err(Failure::new("`repo: \"*\"` needs `runrefresh: true`"));
        }
        plan.push(refresh(&program, args, None)).changed = Some(false);
        plan.set("runrefresh", true);
        return Ok(plan);
    }
    if is_wanted && repo.is_none() {
        return Err(Failure::new("`state: present` needs `repo`"));
    }
    let (wanted, has_key) = wanted(args, look, repo)?;
    if wanted.alias.is_empty() && (is_wanted || repo.is_none()) {
        return Err(Failure::new("`name` is needed with anything but a `.repo` file"));
    }
    plan.set("repodata", data(args, &wanted)).set("state", args.str("state"));
    let is_meant = |source: &Source| {
        !wanted.alias.is_empty() && source.alias == wanted.alias || !wanted.url.is_empty() && address(source) == address(&wanted)
    };
    let found: Vec<Source> = sources(look)?.into_iter().filter(is_meant).collect();
    if !is_wanted {
        plan.changes.extend(found.iter().map(|source| remove(&program, source, shown(source), Value::Null)));
        return Ok(plan);
    }
    let is_same = matches!(&found[..], [one] if is_as_wanted(one, &wanted));
    if !is_same {
        change(&mut plan, &program, &found, &wanted, args.bool("overwrite_multiple"))?;
    }
    if args.bool("runrefresh") || !is_same && (args.bool("auto_import_keys") || has_key) {
        plan.push(refresh(&program, args, Some((&wanted.alias, has_key))));
        plan.changed = Some(!is_same);
    }
    Ok(plan)
}

/// One whose address stays is changed where it is; otherwise it is put in the place of what is there.
fn change(plan: &mut Plan, program: &str, found: &[Source], wanted: &Source, may_replace: bool) -> Result<(), Failure> {
    if let [_, _, ..] = found
        && !may_replace
    {
        let names: Vec<&str> = found.iter().map(|source| source.alias.as_str()).collect();
        return Err(Failure::new(format!(
            "more than one repository has this name or this address: {}; `overwrite_multiple: true` replaces them",
            names.join(", ")
        )));
    }
    if let [one] = found
        && one.alias == wanted.alias
        && address(one) == address(wanted)
    {
        plan.push(Change::new(
            &wanted.alias,
            shown(one),
            shown(&whole(wanted, one)),
            Act::Run(set(program, wanted, "modifyrepo")),
        ));
        return Ok(());
    }
    for source in found {
        plan.push(remove(program, source, Value::Null, Value::Null));
    }
    let before = found.iter().map(shown).collect::<String>();
    plan.push(Change::new(&wanted.alias, before, shown(wanted), Act::Run(set(program, wanted, "addrepo"))));
    Ok(())
}

fn remove(program: &str, source: &Source, before: impl Into<Value>, after: Value) -> Change {
    let cmd = Cmd::new([program, "--quiet", "--non-interactive", "removerepo", &source.alias]);
    Change::new(&source.alias, before, after, Act::Run(cmd))
}

fn set(program: &str, wanted: &Source, command: &str) -> Cmd {
    let is_new = command == "addrepo";
    let priority = format!("--priority={}", wanted.priority);
    let name = format!("--name={}", wanted.name);
    let mut words = vec![program, "--quiet", "--non-interactive", command];
    words.extend((wanted.priority > 0).then_some(priority.as_str()));
    words.extend((!wanted.name.is_empty()).then_some(name.as_str()));
    words.push(if wanted.is_enabled { "--enable" } else { "--disable" });
    match wanted.is_refreshed {
        true => words.push("--refresh"),
        false if is_new => {}
        false => words.push("--no-refresh"),
    }
    words.push(if wanted.is_checked { "--gpgcheck" } else { "--no-gpgcheck" });
    words.extend(is_new.then_some(wanted.url.as_str()));
    words.push(&wanted.alias);
    Cmd::new(words)
}

/// Gets the lists of one, or of all.
fn refresh(program: &str, args: &Args, one: Option<(&str, bool)>) -> Change {
    let mut words = vec![program, "--quiet", "--non-interactive"];
    if args.bool("auto_import_keys") || one.is_some_and(|(_, has_key)| has_key) {
        words.push("--gpg-auto-import-keys");
    }
    words.extend(["refresh", "--force"]);
    words.extend(one.into_iter().flat_map(|(alias, _)| ["--repo", alias]));
    Change::run("package lists", Cmd::new(words))
}

/// What the arguments say, and whether a `.repo` file says where its key is.
fn wanted(args: &Args, look: &dyn Look, repo: Option<&str>) -> Result<(Source, bool), Failure> {
    let text = |name: &str| args.str(name).unwrap_or_default().to_owned();
    let mut wanted = Source {
        alias: text("name"),
        url: repo.unwrap_or_default().to_owned(),
        name: text("description"),
        priority: args.int("priority").unwrap_or_default(),
        is_enabled: args.bool("enabled"),
        is_refreshed: args.bool("autorefresh"),
        is_checked: !args.bool("disable_gpg_check"),
    };
    let Some(file) = repo.filter(|repo| repo.ends_with(".repo")) else { return Ok((wanted, false)) };
    if args.has("name") {
        return Err(Failure::new("`name` is not for `.repo` files: the file itself says it"));
    }
    let text = content(look, file)?;
    let sections = sections(&text);
    let [section] = &sections[..] else {
        return Err(Failure::new(format!("{file} must describe one repository, and describes {}", sections.len())));
    };
    let said = read(section);
    if said.url.is_empty() {
        return Err(Failure::new(format!("{file} has no `baseurl`")));
    }
    let says = |key: &str| section.1.iter().any(|(known, _)| known == key);
    wanted.alias = said.alias;
    wanted.url = said.url;
    if !args.has("description") {
        wanted.name = said.name;
    }
    if !args.has("priority") && says("priority") {
        wanted.priority = said.priority;
    }
    wanted.is_enabled = if says("enabled") { said.is_enabled } else { wanted.is_enabled };
    wanted.is_refreshed = if says("autorefresh") { said.is_refreshed } else { wanted.is_refreshed };
    wanted.is_checked = if says("gpgcheck") { said.is_checked } else { wanted.is_checked };
    Ok((wanted, says("gpgkey")))
}

/// The text of a `.repo` file, wherever it is.
fn content(look: &dyn Look, file: &str) -> Result<String, Failure> {
    if file.contains("://") {
        let reply = look.http(&HttpRequest::get(file))?;
        return match reply.status {
            200 => Ok(reply.text()),
            status => Err(Failure::new(format!("cannot get {file}: {status} {}", reply.reason))),
        };
    }
    let text = look.text(file).map_err(|error| Failure::io(format_args!("cannot read {file}"), &error))?;
    text.ok_or_else(|| Failure::new(format!("there is no file {file} on the host; copy it there first")))
}

/// Every source that the host has.
fn sources(look: &dyn Look) -> Result<Vec<Source>, Failure> {
    let mut all = Vec::new();
    let names = if look.exists(DIR) {
        look.list(DIR).map_err(|error| Failure::io(format_args!("cannot read {DIR}"), &error))?
    } else {
        Vec::new()
    };
    for file in names.iter().filter(|name| name.ends_with(".repo")) {
        all.extend(sections(&content(look, &format!("{DIR}/{file}"))?).iter().map(read));
    }
    Ok(all)
}

type Section = (String, Vec<(String, String)>);

fn sections(text: &str) -> Vec<Section> {
    let mut all: Vec<Section> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            all.push((name.to_owned(), Vec::new()));
        } else if let (Some((_, lines)), Some((key, value))) = (all.last_mut(), line.split_once('=')) {
            lines.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    all
}

fn read((alias, lines): &Section) -> Source {
    let get = |key: &str| lines.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let is = |key: &str, default: bool| get(key).map_or(default, |value| Value::from(value).to_bool().unwrap_or(default));
    Source {
        alias: alias.clone(),
        url: get("baseurl").unwrap_or_default().to_owned(),
        name: get("name").filter(|name| name != alias).unwrap_or_default().to_owned(),
        priority: get("priority").and_then(|text| text.parse().ok()).filter(|priority| *priority > 0).unwrap_or(PRIORITY),
        is_enabled: is("enabled", true),
        is_refreshed: is("autorefresh", false),
        is_checked: is("gpgcheck", true),
    }
}

fn is_as_wanted(found: &Source, wanted: &Source) -> bool {
    address(found) == address(wanted) && *found == Source { url: found.url.clone(), ..whole(wanted, found) }
}

/// What is wanted, with what was not said as it is.
fn whole(wanted: &Source, found: &Source) -> Source {
    let name = match wanted.name.as_str() {
        "" => found.name.clone(),
        name if name == wanted.alias => String::new(),
        name => name.to_owned(),
    };
    let priority = if wanted.priority > 0 { wanted.priority } else { found.priority };
    Source { name, priority, ..wanted.clone() }
}

/// The address without what may be written in several ways.
fn address(source: &Source) -> String {
    let url = source.url.trim_end_matches('/').replace("file:///", "file:/");
    match url.split_once("://") {
        // The password is kept elsewhere.
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => url,
    }
}

fn shown(source: &Source) -> String {
    let flag = |is: bool| i32::from(is);
    format!(
        "[{}]\nname={}\nbaseurl={}\nenabled={}\nautorefresh={}\ngpgcheck={}\npriority={}\n",
        source.alias,
        source.name,
        address(source),
        flag(source.is_enabled),
        flag(source.is_refreshed),
        flag(source.is_checked),
        if source.priority > 0 { source.priority } else { PRIORITY }
    )
}

fn data(args: &Args, wanted: &Source) -> Map {
    let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let flag = |is: bool| Value::from(if is { "1" } else { "0" });
    Map::from_iter([
        ("alias".into(), text(&wanted.alias)),
        ("url".into(), text(&wanted.url)),
        ("name".into(), text(&wanted.name)),
        ("priority".into(), args.int("priority").map_or(Value::Null, Value::from)),
        ("enabled".into(), flag(wanted.is_enabled)),
        ("autorefresh".into(), flag(wanted.is_refreshed)),
        ("gpgcheck".into(), flag(wanted.is_checked)),
    ])
}
