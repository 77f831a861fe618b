//! Every row of a table has its file and its cases, and every file and folder of cases has its row.
//!
//! That every diagnostic code has a case is tested with those cases, in `errors.rs`.

use crate::modules::case;
use roll::actions::ACTIONS;
use roll::balancer::DRIVERS;
use roll::diag::Sources;
use roll::modules::{self, COMMON, DATA, RARE, control::CONTROL};
use roll::playbook::keyword::{BLOCK, KEYWORDS, PLAY, ROLE, TASK};
use roll::report::OUTPUTS;
use roll::template::{Plugin, PluginRow, plugins};
use roll::value::Value;
use roll::yaml::{self, Node, Trust};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

/// Modules without cases, each with the reason.
const WITHOUT_CASES: &[(&str, &str)] = &[];

/// Modules that cannot fail by anything that a case could say.
const NEVER_FAIL: &[(&str, &str)] = &[("_app_inspect", "a host without Docker is an answer")];

/// Modules for which nothing is ever as wanted already, each with the reason.
const ALWAYS_CHANGE: &[(&str, &str)] = &[
    ("_app_beat", "a lock is no file: whether it is held only taking it tells"),
    ("_app_lock", "a lock is no file: whether it is held only taking it tells"),
    ("composer", "what there is to do only composer itself knows"),
    ("docker_compose_v2", "what there is to do only compose itself knows"),
    ("docker_container_exec", "runs a program every time"),
    ("docker_image_push", "whether the registry has it only pushing tells"),
    ("mail", "sends one every time"),
    ("_own", "what there is to do only the user's own program knows"),
    ("tempfile", "makes a new one every time"),
];

/// Control-side rows that no action stands behind.
const WITHOUT_ACTION: &[(&str, &str)] = &[
    ("import_role", "the playbook's compiler puts the role in its place"),
    ("import_tasks", "the playbook's compiler puts the file in its place"),
];

/// Filters, tests and lookups that no case can ask.
const UNASKED: &[(&str, &str)] = &[("url", "asks a server")];

/// Keywords that no playbook of the cases has, each with the reason.
const UNSAID: &[(&str, &str)] = &[("rollout", "its cases are in tests/cases/rollout")];

/// Folders of inventory cases that are no source.
const NO_SOURCES: &[&str] = &["beside", "pattern"];

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(here(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names in a folder, sorted.
fn names(path: &str) -> Vec<String> {
    let entries = fs::read_dir(here(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The text of all files below, with a given ending.
fn texts(path: &str, ending: &str) -> String {
    let mut all = String::new();
    for name in names(path) {
        let inner = format!("{path}/{name}");
        if here(&inner).is_dir() {
            all += &texts(&inner, ending);
        } else if name.ends_with(ending) {
            all += &text(&inner);
            all.push('\n');
        }
    }
    all
}

fn excused(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(other, _)| *other == name)
}

/// Rows that lack something, unless excused, and excuses that are none.
fn lacking<'n>(rows: impl Iterator<Item = &'n str>, excuses: &[(&str, &str)], has: impl Fn(&str) -> bool) -> Vec<String> {
    let rows: Vec<&str> = rows.collect();
    let lacking = rows.iter().filter(|name| !has(name) && !excused(excuses, name)).map(|name| (*name).to_owned());
    let idle = excuses.iter().filter(|(name, _)| !rows.contains(name) || has(name));
    lacking.chain(idle.map(|(name, _)| format!("{name} (excused for nothing)"))).collect()
}

#[test]
fn every_module_has_cases() {
    let folders = names("tests/cases/modules");
    let bare = lacking(modules::host_side().map(|module| module.name), WITHOUT_CASES, |name| {
        folders.iter().any(|folder| folder == name)
    });
    assert!(bare.is_empty(), "no folder in tests/cases/modules: {}", bare.join(", "));
    for folder in folders {
        assert!(
            modules::host_side().any(|module| module.name == folder),
            "tests/cases/modules/{folder} is no module of the host side"
        );
    }
}

fn cases_of(module: &str) -> Vec<Value> {
    let folder = format!("tests/cases/modules/{module}");
    names(&folder).iter().flat_map(|file| case::read(&here(&format!("{folder}/{file}")))).collect()
}

#[test]
fn every_module_has_a_case_that_fails() {
    let bare = lacking(modules::host_side().map(|module| module.name), NEVER_FAIL, |name| {
        cases_of(name).iter().any(|case| case.get("fails").is_some())
    });
    assert!(bare.is_empty(), "no case fails: {}", bare.join(", "));
}

#[test]
fn every_module_has_a_case_that_changes_nothing() {
    let is_converged = |case: &Value| case.get("fails").is_none() && case.get("changes").is_none();
    let cases = |name: &str| cases_of(name).iter().any(is_converged);
    let bare = lacking(modules::host_side().map(|module| module.name), ALWAYS_CHANGE, cases);
    assert!(bare.is_empty(), "no case where all is as wanted: {}", bare.join(", "));
}

#[test]
fn collections_are_known_by_their_other_names() {
    let name = |written: &str| modules::find(written).map(modules::Module::full_name);
    assert_eq!(name("ansible.mysql.mysql_user").as_deref(), Some("community.mysql.mysql_user"));
    assert_eq!(name("ansible.legacy.apt").as_deref(), Some("ansible.builtin.apt"));
    assert_eq!(name("ansible.mysql.apt"), None);
}

#[test]
fn every_module_file_has_its_row() {
    let files = texts("src/modules", ".rs");
    let found = files.lines().filter(|line| line.contains(" MODULE: Module = ")).count();
    assert_eq!(found, modules::host_side().count(), "a `MODULE` is in no table");
    for table in [COMMON, RARE, DATA] {
        let unsorted = table.windows(2).find(|pair| pair[0].name >= pair[1].name);
        assert!(unsorted.is_none(), "{:?} are not in order", unsorted.map(|pair| [pair[0].name, pair[1].name]));
    }
}

/// Modules that write every argument that they are given, and arguments that are read by parts of their names.
const READ_BY_RULE: &[(&str, &str)] = &[
    ("yum_repository", "*"),
    ("deb822_repository", "*"),
    ("file", "_time_format"),
    ("x509_certificate", "selfsigned_"),
    ("x509_certificate", "ownca_"),
    ("docker_prune", "_filters"),
];

#[test]
fn every_argument_is_read_or_said_to_have_no_effect() {
    let code = texts("src", ".rs").replace("Arg::new(\n", "Arg::new(");
    let code: String = code.split("Arg::new(").map(str::trim_start).collect::<Vec<_>>().join("Arg::new(");
    let count = |text: &str| code.matches(text).count();
    let mut unread = Vec::new();
    for module in modules::rows() {
        let by_rule =
            |arg: &str| READ_BY_RULE.iter().any(|(name, part)| *name == module.name && (*part == "*" || arg.contains(part)));
        for arg in module.args().filter(|arg| !arg.inert && arg.name != modules::Arg::ANY && !by_rule(arg.name)) {
            if count(&format!("\"{}\"", arg.name)) <= count(&format!("Arg::new(\"{}\"", arg.name)) {
                unread.push(format!("{}: {}", module.name, arg.name));
            }
        }
    }
    assert!(unread.is_empty(), "nothing reads these: {}", unread.join(", "));
}

#[test]
fn control_side_rows_and_actions_are_partners() {
    let bare = lacking(CONTROL.iter().map(|module| module.name), WITHOUT_ACTION, |name| ACTIONS.contains(&name));
    assert!(bare.is_empty(), "rows without an action: {}", bare.join(", "));
    for action in ACTIONS {
        assert!(modules::find(action).is_some(), "the action `{action}` has no row");
    }
    for module in CONTROL {
        assert!(!modules::host_side().any(|other| other.name == module.name), "`{}` has two rows", module.name);
    }
    let files = texts("src/actions", ".rs");
    for action in ACTIONS {
        assert!(files.contains(&format!("\"{action}\" => ")), "`actions::run` does not know `{action}`");
    }
}

#[test]
fn every_balancer_driver_keeps_the_contract() {
    let suite = text("tests/it/balancer.rs");
    for driver in DRIVERS {
        let test = format!("async fn {}_keeps_the_contract()", driver.kind);
        assert!(suite.contains(&test), "tests/it/balancer.rs has no `{test}`");
        assert!(here(&format!("src/balancer/{}.rs", driver.kind)).exists(), "src/balancer/{}.rs", driver.kind);
    }
    let rows = texts("src/balancer", ".rs").matches("static DRIVER: Driver = ").count();
    assert_eq!(rows, DRIVERS.len(), "a driver is not in `DRIVERS`");
}

/// The rows of `SOURCES`, which the room keeps to itself.
fn inventory_sources() -> Vec<String> {
    let room = text("src/inventory/mod.rs");
    let rows = room.lines().filter_map(|line| line.trim().strip_prefix("Source { is_for: ")?.split("::").next());
    rows.map(str::to_owned).collect()
}

#[test]
fn every_inventory_source_has_cases() {
    let (sources, folders) = (inventory_sources(), names("tests/cases/inventory"));
    assert!(sources.len() >= 6, "the rows of `SOURCES` were not found");
    for source in &sources {
        assert!(folders.contains(source), "tests/cases/inventory/{source}");
    }
    for folder in &folders {
        let is_known = sources.contains(folder) || NO_SOURCES.contains(&folder.as_str());
        assert!(is_known, "tests/cases/inventory/{folder} is no source");
        let is_run = text("tests/it/inventory.rs").contains(&format!("\"{folder}\""));
        assert!(is_run, "tests/it/inventory.rs does not run tests/cases/inventory/{folder}");
    }
}

#[test]
fn every_output_and_every_recording_are_partners() {
    let files = names("tests/cases/events");
    let recordings: Vec<&str> = files.iter().filter_map(|file| file.strip_suffix(".jsonl")).collect();
    assert!(!recordings.is_empty(), "tests/cases/events has no recordings");
    for recording in &recordings {
        for output in OUTPUTS {
            let shown = format!("{recording}.{}.snap", output.name);
            assert!(files.contains(&shown), "tests/cases/events/{shown}");
        }
    }
    for file in files.iter().filter(|file| !file.ends_with(".jsonl")) {
        let recording = file.split('.').next().unwrap_or_default();
        assert!(recordings.contains(&recording), "tests/cases/events/{file} is of no recording");
    }
}

/// Whether a case calls it: `| name`, `is name`, `lookup('name'`, `name(`, or `map('name'`.
fn is_mentioned(cases: &str, row: &PluginRow) -> bool {
    let before: &[&str] = match row.plugin {
        Plugin::Filter => &["| ", "|", "map('", "filter ", "| ansible.builtin."],
        Plugin::Test => &["is ", "is not ", "select('", "reject('", "', '", "is ansible.builtin."],
        Plugin::Lookup => &["lookup('", "query('", "q('", "lookup(\"", "query(\"", "lookup('ansible.builtin.", "with_"],
        Plugin::Function => &[""],
    };
    let names = row.aliases.iter().chain([&row.name]);
    names.flat_map(|name| before.iter().map(move |before| format!("{before}{name}"))).any(|call| {
        cases.match_indices(&call).any(|(at, _)| {
            let is_word = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
            let ends = !is_word(cases[at + call.len()..].chars().next());
            let starts = row.plugin != Plugin::Function || !is_word(cases[..at].chars().next_back());
            ends && starts
        })
    })
}

#[test]
fn every_filter_test_and_lookup_is_in_a_case() {
    let cases = texts("tests/cases/template", ".yaml") + &texts("tests/cases/template", ".j2");
    let rows = plugins();
    assert!(rows.len() > 100, "only {} rows", rows.len());
    let bare: Vec<String> = rows
        .iter()
        .filter(|row| !is_mentioned(&cases, row) && !excused(UNASKED, row.name))
        .map(|row| format!("{:?} {}", row.plugin, row.name))
        .collect();
    assert!(bare.is_empty(), "in no case of tests/cases/template: {}", bare.join(", "));
}

/// Which keywords were seen at which of the places.
#[derive(Default)]
struct Said(HashMap<String, HashSet<u8>>);

impl Said {
    fn keys(&mut self, node: &Node, place: u8) {
        for (key, _) in node.as_map().unwrap_or_default() {
            self.0.entry(key.as_str().unwrap_or_default().to_owned()).or_default().insert(place);
        }
    }

    fn play(&mut self, play: &Node) {
        self.keys(play, PLAY);
        for role in play.get("roles").and_then(Node::as_list).unwrap_or_default() {
            self.keys(role, ROLE);
        }
        for section in ["pre_tasks", "tasks", "post_tasks", "handlers"] {
            self.tasks(play.get(section));
        }
    }

    fn tasks(&mut self, list: Option<&Node>) {
        for task in list.and_then(Node::as_list).unwrap_or_default() {
            self.keys(task, if task.get("block").is_some() { BLOCK } else { TASK });
            for section in ["block", "rescue", "always"] {
                self.tasks(task.get(section));
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let text = fs::read_to_string(path).unwrap_or_default();
        let reading = yaml::read(&Sources::default(), &path.display().to_string(), &text, Trust::User);
        let Some(top) = reading.document() else { return };
        let plays: Vec<&Node> = top.as_list().unwrap_or_default().iter().filter(|play| play.get("hosts").is_some()).collect();
        if plays.is_empty() {
            self.tasks(Some(top));
        }
        plays.into_iter().for_each(|play| self.play(play));
    }

    fn folder(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.folder(&path);
            } else if path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
                self.file(&path);
            }
        }
    }
}

#[test]
fn every_keyword_is_in_a_case_at_every_place_where_it_may_stand() {
    let mut said = Said::default();
    said.folder(&here("tests/cases/playbooks"));
    let is_said = |name: &str, place: u8| said.0.get(name).is_some_and(|places| places.contains(&place));
    let bare: Vec<String> = KEYWORDS
        .iter()
        .filter(|keyword| !excused(UNSAID, keyword.name))
        .flat_map(|keyword| [(PLAY, "play"), (ROLE, "role"), (BLOCK, "block"), (TASK, "task")].map(|place| (keyword, place)))
        .filter(|(keyword, (place, _))| keyword.at & place != 0 && !is_said(keyword.name, *place))
        .map(|(keyword, (_, place))| format!("{} of a {place}", keyword.name))
        .collect();
    assert!(bare.is_empty(), "in no case of tests/cases/playbooks: {}", bare.join(", "));
}
