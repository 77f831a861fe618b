//! From what was typed to a [`Job`]: everything read and resolved, with all that is wrong.

use super::args::RunArgs;
use super::config::{Config, expanded};
use super::{check, extra, identity, password, secrets, terminal};
use crate::connection::{self, HostKeys, Settings};
use crate::diag::{Diagnostic, Severity, Sources, Span};
use crate::engine::{Calling, FactCache, Gathering, Job, Options, Playbook, Rolling, Selection};
use crate::inventory::{self, Inventory};
use crate::playbook::task::texts;
use crate::playbook::{Context, Play, Reader, Render};
use crate::template::{self, Scope, World};
use crate::value::{self, Map, Template, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As Ansible has them.
const FORKS: usize = 5;
const FACTS_LAST_SECONDS: u64 = 86_400;
const SILENCE_SECONDS: u64 = 30;
/// Subcommands that take the arguments of a run.
const ROLLOUT_VERBS: &[&str] = &["status", "history", "plan", "resume", "rollback", "pause", "continue"];
const INVENTORY: &str = "/etc/ansible/hosts";

/// Everything that was read, and what is to be said about it.
pub(super) struct Draft {
    pub(super) job: Job,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Reads and checks everything; asks for nothing but the passwords of vaults, without which there is nothing to read.
pub(super) fn draft(args: &RunArgs, config: &Config, sources: &Sources) -> Draft {
    draft_of(args, None, config, sources)
}

/// A playbook that stands in no file.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) text: String,
}

/// The same, of a text or of the playbooks that were named.
pub(super) fn draft_of(args: &RunArgs, text: Option<&Text>, config: &Config, sources: &Sources) -> Draft {
    let mut found = config.diagnostics.clone();
    found.extend(secrets::open_vaults(&args.vault, config, sources));
    let extra = kept(extra::variables(sources, &args.extra_vars), &mut found);
    let inventory = read_inventory(sources, &args.inventory, config, &extra, &mut found);
    let options = options(args, config, extra.clone(), &mut found);
    let mut reader = reader(config, sources, extra);
    reader.library.splice(..0, args.module_path.iter().flat_map(std::env::split_paths));
    let mut playbooks = Vec::new();
    let texts = text.into_iter().map(|text| (PathBuf::from(&text.name), Some(text.text.as_str())));
    for (path, text) in texts.chain(args.playbooks.iter().map(|path| (path.clone(), None))) {
        let path = if text.is_some() { path } else { reader.playbook_file(&path) };
        let plays = match text {
            Some(text) => reader.text(&path, text),
            None => reader.playbook(&path),
        };
        found.extend(reader.take_diagnostics());
        plays.iter().for_each(|play| read_vars_files(&mut reader, play, &mut found));
        playbooks.push(Playbook { path, plays });
    }
    let inventory = with_playbook(inventory, sources, args, &mut found);
    // A list of what is there is no reason to look into it.
    if !(args.list_hosts || args.list_tasks || args.list_tags) {
        for playbook in &playbooks {
            check::playbook(playbook, &options.selection, &mut reader, &inventory, sources, &mut found);
        }
        check::inventory(&inventory, sources, &mut found);
    }
    check_patterns(&inventory, &playbooks, &mut found);
    check_limit(&inventory, args, &mut found);
    if args.step && !terminal::is_interactive() {
        found.push(
            Diagnostic::error("step-needs-terminal", "`--step` asks before each task, and nobody can answer")
                .help("run it in a terminal, or leave `--step` out"),
        );
    }
    // Three chances to be heard.
    let heartbeat = Settings::default().heartbeat.min(options.rolling.silence / 3);
    let settings = Settings { heartbeat, ..Settings::from_environment() };
    let job = Job { sources: sources.clone(), inventory, reader, playbooks, options, settings };
    Draft { job, diagnostics: once(found) }
}

/// Reads playbooks as the configuration says.
pub(super) fn reader(config: &Config, sources: &Sources, extra: Map) -> Reader {
    let mut reader = Reader::new(sources.clone(), roles_path(config), render(extra));
    reader.library = config.paths("library").unwrap_or_default();
    reader.collections_path = collections_path(config);
    reader.duplicate_keys = severity(config, "duplicate_dict_key");
    reader.version_mismatch = severity(config, "collections_on_ansible_version_mismatch");
    reader.are_deprecations_told = config.bool("deprecation_warnings") != Some(false);
    reader
}

/// What is wrong in `vars_files` whose names are known already: a run does not begin without its variables.
fn read_vars_files(reader: &mut Reader, play: &Play, found: &mut Vec<Diagnostic>) {
    let Some(written) = play.context.keywords.get("vars_files").filter(|written| !written.value.has_template()) else { return };
    let entries = match &written.value {
        Value::List(entries) => entries.to_vec(),
        other => vec![other.clone()],
    };
    for entry in entries {
        let file = texts(&entry).iter().map(|name| play.dir.join(name)).find(|path| path.is_file());
        if let Some(file) = file {
            reader.variables(&file, written.span);
            found.extend(reader.take_diagnostics().into_iter().filter(Diagnostic::is_error));
        }
    }
}

/// The sources as given, else those of the configuration, else Ansible's place.
pub(super) fn read_inventory(
    sources: &Sources,
    given: &[String],
    config: &Config,
    extra: &Map,
    found: &mut Vec<Diagnostic>,
) -> Inventory {
    let specs = inventory_specs(given, config);
    if specs.is_empty() {
        found.push(
            Diagnostic::warning("no-inventory", "no inventory was given: only `localhost` is known, and it is not in `all`")
                .help("name an inventory with `-i`"),
        );
    }
    let around = inventory::Around { merges: merges(config), extra_vars: extra.clone() };
    match inventory::load_with(sources, &specs, &around) {
        Ok(mut inventory) => {
            found.append(&mut inventory.warnings);
            inventory
        }
        Err(diagnostics) => {
            found.extend(diagnostics);
            Inventory::default()
        }
    }
}

fn inventory_specs(given: &[String], config: &Config) -> Vec<String> {
    let mut specs = if given.is_empty() { config.inventories() } else { given.to_vec() };
    if specs.is_empty() && Path::new(INVENTORY).is_file() {
        specs.push(INVENTORY.to_owned());
    }
    specs
}

/// The passwords that flags and configuration ask for. Asked only when everything else is right.
pub(super) fn ask_passwords(args: &RunArgs, config: &Config, options: &mut Options) -> Result<(), Diagnostic> {
    let file = |given: &Option<PathBuf>, setting: &str| given.clone().or_else(|| config.path(setting));
    let (connection, escalation) = (&args.connection, &args.escalation);
    if connection.ask_pass || (config.is("ask_pass") && connection.connection_password_file.is_none()) {
        options.password = Some(password::ask("SSH password: ")?);
    } else if let Some(file) = file(&connection.connection_password_file, "connection_password_file") {
        options.password = Some(password::of_file(&file)?);
    }
    if escalation.ask_become_pass || (config.is("become_ask_pass") && escalation.become_password_file.is_none()) {
        options.become_password = Some(asked_again(options.password.clone())?);
    } else if let Some(file) = file(&escalation.become_password_file, "become_password_file") {
        options.become_password = Some(password::of_file(&file)?);
    }
    Ok(())
}

/// An empty answer stands for the login password.
fn asked_again(login: Option<value::Text>) -> Result<value::Text, Diagnostic> {
    let Some(login) = login else { return password::ask("BECOME password: ") };
    let answer = password::ask("BECOME password [as for SSH]: ")?;
    Ok(if answer.is_empty() { login } else { answer })
}

fn options(args: &RunArgs, config: &Config, extra: Map, found: &mut Vec<Diagnostic>) -> Options {
    let number = |name: &str| config.number(name);
    let connection = &args.connection;
    let host_keys = match (connection.accept_new_host_keys, config.bool("host_key_checking")) {
        (true, _) => HostKeys::AcceptNew,
        (false, Some(false)) => HostKeys::Off,
        (false, _) => HostKeys::Check,
    };
    let verbosity = args.verbose.max(number("verbosity").and_then(|count| count.try_into().ok()).unwrap_or(0));
    Options {
        check: args.check,
        diff: args.diff || config.is("diff"),
        limit: limit(&args.limit),
        selection: Selection { only: tags(&args.tags, config, "tags"), skip: tags(&args.skip_tags, config, "skip_tags") },
        start_at_task: args.start_at_task.clone(),
        step: args.step,
        forks: args.forks.map(usize::from).or_else(|| number("forks")?.try_into().ok()).unwrap_or(FORKS).max(1),
        verbosity,
        extra,
        settings: super::constants::settings(config),
        remote_user: connection.user.clone().or_else(|| config.text("remote_user").map(str::to_owned)),
        key_file: connection.private_key.as_deref().map(home_expanded).or_else(|| config.path("private_key_file")),
        become_it: args.escalation.become_it || config.is("become"),
        become_user: args.escalation.become_user.clone().or_else(|| config.text("become_user").map(str::to_owned)),
        become_method: args.escalation.become_method.clone().or_else(|| config.text("become_method").map(str::to_owned)),
        connection: connection_kind(args, config, found),
        timeout: connection.timeout.or_else(|| number("timeout")).map(Duration::from_secs),
        retries: number("retries").and_then(|count| count.try_into().ok()).unwrap_or(0),
        host_keys,
        ssh_args: ssh_args(args, config, found),
        gathering: match config.text("gathering") {
            Some("explicit") => Gathering::Explicit,
            Some("smart") => Gathering::Smart,
            _ => Gathering::Implicit,
        },
        strategy: config.text("strategy").map(str::to_owned),
        any_errors_fatal: config.is("any_errors_fatal"),
        inventory_specs: inventory_specs(&args.inventory, config),
        config_file: config.file.clone(),
        playbook_dir: playbook_dir(args).to_owned(),
        show_custom_stats: config.is("show_custom_stats"),
        forgives_missing_handlers: config.bool("error_on_missing_handler") == Some(false),
        task_timeout: config.number("task_timeout").filter(|seconds| *seconds > 0),
        fact_cache: fact_cache(args, config),
        is_native: config.bool("jinja2_native").unwrap_or(true),
        merge_hashes: merges(config),
        force_handlers: args.force_handlers || config.is("force_handlers"),
        is_interactive: terminal::is_interactive(),
        skip_dead: args.skip_dead,
        rolling: Rolling {
            direction: args.direction,
            hotfix: args.hotfix.clone(),
            accept_downtime: args.accept_downtime,
            arguments: arguments(args.words.clone().unwrap_or_else(typed).into_iter()),
            who: identity::who(),
            from: identity::machine(),
            silence: silence(),
            calling: calling(),
        },
        ..Options::default()
    }
}

/// Everything behind `roll`, or behind `roll resume` and its like, without what only such a command takes.
pub(super) fn typed() -> Vec<String> {
    plain(std::env::args().skip(1).collect())
}

fn plain(mut words: Vec<String>) -> Vec<String> {
    if !words.first().is_some_and(|word| ROLLOUT_VERBS.contains(&word.as_str())) {
        return words;
    }
    words.remove(0);
    let mut rest = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--out" | "--to" => drop(words.next()),
            "--exit-code" | "-w" | "--watch" => {}
            other if other.starts_with("--out=") || other.starts_with("--to=") => {}
            _ => rest.push(word),
        }
    }
    rest
}

/// The same, for the words "run this next".
pub(super) fn retyped() -> String {
    arguments(typed().into_iter())
}

/// Hosts let their locks go after so long without a word; `ROLL_SILENCE` is in seconds.
fn silence() -> Duration {
    let given = std::env::var("ROLL_SILENCE").ok().and_then(|text| text.parse::<u32>().ok());
    Duration::from_secs(given.map_or(SILENCE_SECONDS, |seconds| u64::from(seconds.clamp(3, 3600))))
}

/// What the lab asks for, to see what becomes of a rollout whose controller dies: `ROLL_CALLS` is a file that lists every call to a host or
/// to the balancer's API, `ROLL_CRASH_AT=12:before` (`during`, `after`) the one at which this program ends by SIGKILL.
fn calling() -> Calling {
    let crash = std::env::var("ROLL_CRASH_AT").ok().and_then(|text| text.parse().ok());
    Calling { list: std::env::var_os("ROLL_CALLS").map(PathBuf::from), crash }
}

/// As it was typed, for "run this next"; a variable that is named like a secret keeps its value for itself.
pub(super) fn arguments(words: impl Iterator<Item = String>) -> String {
    words.map(|word| quoted(&hidden(word))).collect::<Vec<_>>().join(" ")
}

fn hidden(word: String) -> String {
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["pass", "secret", "token", "key"].iter().any(|part| name.contains(part))
    };
    match word.split_once('=') {
        Some((name, _)) if !name.starts_with('-') && is_secret(name) => format!("{name}=…"),
        _ if word.starts_with('{') && is_secret(&word) => "{…}".to_owned(),
        _ => word,
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@+%…".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

fn connection_kind(args: &RunArgs, config: &Config, found: &mut Vec<Diagnostic>) -> Option<String> {
    let kind = args.connection.connection.clone().or_else(|| config.text("connection").map(str::to_owned))?;
    if connection::kind(&kind).is_none() {
        let known: Vec<&str> = connection::KINDS.iter().map(|(name, _)| *name).collect();
        found.push(
            Diagnostic::error("unknown-connection", format!("there is no connection `{kind}`"))
                .help(format!("known are {}", known.join(", "))),
        );
    }
    Some(kind)
}

/// Ansible's own default arguments have no meaning here, so there are none.
fn ssh_args(args: &RunArgs, config: &Config, found: &mut Vec<Diagnostic>) -> Vec<String> {
    let given = |given: &Option<String>, name: &str| given.clone().or_else(|| config.text(name).map(str::to_owned));
    let texts = [
        ("ssh_args", config.text("ssh_args").map(str::to_owned)),
        ("--ssh-common-args", given(&args.connection.ssh_common_args, "ssh_common_args")),
        ("--ssh-extra-args", given(&args.connection.ssh_extra_args, "ssh_extra_args")),
    ];
    let mut words = Vec::new();
    for (name, text) in texts {
        match text.as_deref().map(shell_words::split) {
            Some(Ok(split)) => words.extend(split),
            Some(Err(_)) => found.push(Diagnostic::error("open-quote", format!("a quote is not closed in `{name}`"))),
            None => {}
        }
    }
    words
}

fn merges(config: &Config) -> bool {
    config.text("hash_behaviour") == Some("merge")
}

fn severity(config: &Config, setting: &str) -> Option<Severity> {
    match config.text(setting) {
        Some("error") => Some(Severity::Error),
        Some("ignore") => None,
        _ => Some(Severity::Warning),
    }
}

fn limit(given: &[String]) -> Option<String> {
    (!given.is_empty()).then(|| given.join(","))
}

fn tags(given: &[String], config: &Config, setting: &str) -> Vec<String> {
    let words = given.iter().flat_map(|words| words.split(',')).map(str::trim).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_owned).collect();
    if words.is_empty() { config.texts(setting) } else { words }
}

fn home_expanded(path: &Path) -> PathBuf {
    path.to_str().map_or_else(|| path.to_owned(), |text| expanded(text, std::env::home_dir().as_deref()))
}

pub(super) fn roles_path(config: &Config) -> Vec<PathBuf> {
    config.paths("roles_path").unwrap_or_else(|| {
        let home = std::env::home_dir().map(|home| home.join(".ansible/roles"));
        home.into_iter().chain(["/usr/share/ansible/roles".into(), "/etc/ansible/roles".into()]).collect()
    })
}

pub(super) fn collections_path(config: &Config) -> Vec<PathBuf> {
    config.paths("collections_path").unwrap_or_else(|| {
        let home = std::env::home_dir().map(|home| home.join(".ansible/collections"));
        home.into_iter().chain(["/usr/share/ansible/collections".into()]).collect()
    })
}

/// `group_vars` and `host_vars` beside the first playbook.
fn with_playbook(inventory: Inventory, sources: &Sources, args: &RunArgs, found: &mut Vec<Diagnostic>) -> Inventory {
    let mut inventory = inventory;
    if let Err(diagnostics) = inventory.read_beside_playbook(sources, playbook_dir(args)) {
        found.extend(diagnostics);
    }
    found.append(&mut inventory.warnings);
    inventory
}

fn playbook_dir(args: &RunArgs) -> &Path {
    let folder = args.playbooks.first().and_then(|path| path.parent()).unwrap_or(Path::new("."));
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// The one kind of fact cache that outlives a run.
fn fact_cache(args: &RunArgs, config: &Config) -> Option<FactCache> {
    let kind = config.text("fact_caching").filter(|kind| kind.rsplit('.').next() == Some("jsonfile"));
    let folder = kind.and_then(|_| config.path("fact_caching_connection"))?;
    let seconds = config.number("fact_caching_timeout").unwrap_or(FACTS_LAST_SECONDS);
    Some(FactCache {
        folder,
        prefix: config.text("fact_caching_prefix").unwrap_or_default().to_owned(),
        lifetime: (seconds > 0).then(|| Duration::from_secs(seconds)),
        is_flushed: args.flush_cache,
    })
}

/// Patterns that cannot be read. Those that match nothing may be meant so, and say so when their play's turn comes.
fn check_patterns(inventory: &Inventory, playbooks: &[Playbook], found: &mut Vec<Diagnostic>) {
    for play in playbooks.iter().flat_map(|playbook| &playbook.plays) {
        let Some(hosts) = play.context.keywords.get("hosts").filter(|hosts| !hosts.value.has_template()) else { continue };
        let selection = inventory.select(&texts(&hosts.value).join(","), hosts.span);
        found.extend(selection.diagnostics.into_iter().filter(Diagnostic::is_error));
    }
}

fn check_limit(inventory: &Inventory, args: &RunArgs, found: &mut Vec<Diagnostic>) {
    let Some(limit) = limit(&args.limit).filter(|_| !inventory.hosts.is_empty()) else { return };
    let selection = inventory.select_within("all", Span::NOWHERE, Some(&limit));
    let is_empty =
        selection.hosts.is_empty() && inventory.select_within("localhost", Span::NOWHERE, Some(&limit)).hosts.is_empty();
    if is_empty {
        let near = selection.diagnostics.iter().find_map(|found| found.help.first()).cloned();
        let diagnostic = Diagnostic::error("empty-limit", format!("`--limit {limit}` leaves no host"));
        found.push(near.into_iter().fold(diagnostic, Diagnostic::help));
    }
}

/// Each finding once, errors first.
fn once(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut all: Vec<Diagnostic> = Vec::new();
    for diagnostic in found {
        if !all.contains(&diagnostic) {
            all.push(diagnostic);
        }
    }
    all.sort_by_key(|diagnostic| diagnostic.severity == Severity::Warning);
    all
}

pub(super) fn kept<T: Default>(result: Result<T, Vec<Diagnostic>>, found: &mut Vec<Diagnostic>) -> T {
    result.unwrap_or_else(|diagnostics| {
        found.extend(diagnostics);
        T::default()
    })
}

/// Renders what must be known before the run, from what is: extra variables, and those written around it.
fn render(extra: Map) -> Render {
    Box::new(move |template: &Template, context: &Context| {
        let scope = Static::new(&extra, context);
        template::evaluate(template, &scope, &Nowhere).ok()
    })
}

/// A value through a filter, outside of any run.
pub(super) fn filtered(filter: &str, value: &Value) -> Option<Value> {
    let scope = Static { layers: vec![Map::from_iter([("value".into(), value.clone())])] };
    template::expression(&format!("value | {filter}"), Span::NOWHERE, &scope, &Nowhere).ok()
}

/// What a play says of itself, as far as that is known before the run; else as it is written.
pub(super) fn of_play(job: &Job, play: &Play, value: &Value) -> Value {
    let mut scope = Static::new(&job.options.extra, &play.context);
    let hosts = |group: &str| -> Value { job.inventory.select_within(group, Span::NOWHERE, None).hosts.into() };
    let groups: Value = job.inventory.groups.keys().map(|name| (name.as_str(), hosts(name))).collect();
    scope.layers.push(Map::from_iter([("groups".into(), groups)]));
    match value {
        Value::Template(template) => template::evaluate(template, &scope, &Nowhere).unwrap_or_else(|_| value.clone()),
        Value::List(items) => items.iter().map(|item| of_play(job, play, item)).collect(),
        other => other.clone(),
    }
}

/// Variables that stand in the playbook, strongest first.
struct Static {
    layers: Vec<Map>,
}

impl Static {
    fn new(extra: &Map, context: &Context) -> Static {
        let mut layers = vec![extra.clone()];
        for inner in context.chain() {
            layers.push(inner.params.clone());
            layers.extend(inner.keywords.get("vars").and_then(|written| written.value.as_map().cloned()));
            if let Some(role) = &inner.role {
                let path = role.path.to_string_lossy().into_owned();
                layers.push(Map::from_iter([("role_path".into(), path.into()), ("role_name".into(), role.name.as_str().into())]));
                layers.extend([Map::clone(&role.vars), Map::clone(&role.defaults)]);
            }
        }
        Static { layers }
    }
}

impl Scope for Static {
    fn get(&self, name: &str) -> Option<Value> {
        self.layers.iter().find_map(|layer| layer.get(name)).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.layers.iter().flat_map(|layer| layer.keys()).map(ToString::to_string).collect()
    }
}

/// No files and no hosts: a path of an import may depend on neither.
struct Nowhere;

impl World for Nowhere {
    fn search_paths(&self, _folder: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn hosts(&self, _pattern: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn run(&self, _command: &str) -> Result<Vec<u8>, String> {
        Err("nothing runs before the run".to_owned())
    }
}
