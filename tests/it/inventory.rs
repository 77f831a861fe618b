//! Inventories as files: what stands in them, and which hosts, groups and variables come of it.
//!
//! A case is a folder under `tests/cases/inventory/SOURCE/`: `spec` has what follows `-i`, one a line, `expected.json` the result in the
//! form of `ansible-inventory --list`. Those of `ini`, `yaml`, `list`, `directory`, `script` and `beside` were written by Ansible.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use roll::diag::Sources;
use roll::inventory::{Inventory, load};
use roll::value::{Map, Span, Value};
use std::path::{Path, PathBuf};

fn cases(source: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/inventory").join(source);
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty(), "{}", folder.display());
    found
}

/// What follows `-i`, seen from the folder of the case.
fn specs(case: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(case.join("spec")).unwrap();
    let in_folder = |line: &str| {
        let path = case.join(line);
        if path.exists() { path.display().to_string() } else { line.to_owned() }
    };
    text.lines().map(in_folder).collect()
}

fn read(case: &Path) -> Inventory {
    let sources = Sources::default();
    let mut inventory = load(&sources, &specs(case)).unwrap_or_else(|diagnostics| panic!("{}: {diagnostics:#?}", case.display()));
    if let Ok(folder) = std::fs::read_to_string(case.join("playbook_dir")) {
        inventory.read_beside_playbook(&sources, &case.join(folder.trim())).unwrap();
    }
    inventory
}

fn check(source: &str) {
    for case in cases(source) {
        let found = listed(&read(&case));
        let path = case.join("expected.json");
        if std::env::var_os("ROLL_WRITE_CASES").is_some() {
            std::fs::write(&path, format!("{found:#}\n")).unwrap();
        }
        let expected: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(found == expected, "{}\nfound {found:#}\nexpected {expected:#}", case.display());
    }
}

/// The inventory in the form of `ansible-inventory --list`.
fn listed(inventory: &Inventory) -> serde_json::Value {
    let mut out = serde_json::Map::new();
    let mut host_vars = serde_json::Map::new();
    for host in inventory.hosts.keys() {
        let vars = vars(inventory, host);
        if !vars.is_empty() {
            host_vars.insert(host.clone(), serde_json::to_value(Value::map(vars)).unwrap());
        }
    }
    out.insert("_meta".to_owned(), serde_json::json!({ "hostvars": host_vars }));
    for group in inventory.groups.values() {
        let mut entry = serde_json::Map::new();
        if !group.hosts.is_empty() && group.name != "all" {
            entry.insert("hosts".to_owned(), group.hosts.iter().cloned().collect());
        }
        if !group.children.is_empty() {
            entry.insert("children".to_owned(), group.children.iter().cloned().collect());
        }
        if !entry.is_empty() {
            out.insert(group.name.clone(), entry.into());
        }
    }
    out.into()
}

/// All layers on top of each other.
fn vars(inventory: &Inventory, host: &str) -> Map {
    let mut vars = Map::new();
    let layers = inventory.vars_of(host);
    assert!(layers.is_sorted_by_key(|layer| layer.level));
    layers.iter().for_each(|layer| vars.extend(layer.vars.clone()));
    vars.retain(|name, _| !matches!(name.as_str(), Some("inventory_file" | "inventory_dir")));
    vars
}

#[test]
fn ini_is_read_as_ansible_reads_it() {
    check("ini");
}

#[test]
fn yaml_is_read_as_ansible_reads_it() {
    check("yaml");
}

#[test]
fn lists_of_hosts_are_read_as_ansible_reads_them() {
    check("list");
}

/// `answer.xml` is what EC2 said, `expected.json` what Ansible's plugin made of it.
#[test]
fn instances_of_ec2_become_the_hosts_that_ansible_makes_of_them() {
    for case in cases("aws_ec2") {
        let endpoint = answering(std::fs::read_to_string(case.join("answer.xml")).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hosts.aws_ec2.yml");
        let text = std::fs::read_to_string(case.join("hosts.aws_ec2.yml")).unwrap();
        std::fs::write(&file, text.replace("ENDPOINT", &endpoint)).unwrap();
        let inventory = load(&Sources::default(), &[file.display().to_string()]);
        let found = listed(&inventory.unwrap_or_else(|diagnostics| panic!("{}: {diagnostics:#?}", case.display())));
        let expected = std::fs::read_to_string(case.join("expected.json")).unwrap();
        let mut expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
        for group in ["all", "ungrouped"] {
            expected.as_object_mut().unwrap().remove(group);
        }
        let mut found = found;
        found.as_object_mut().unwrap().remove("all");
        assert!(found == expected, "{}\nfound {found:#}\nexpected {expected:#}", case.display());
    }
}

/// A server that has one answer.
fn answering(answer: String) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 1 << 14];
            let _ = stream.read(&mut asked);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.as_bytes()));
        }
    });
    format!("http://{address}")
}

#[test]
fn constructed_groups_are_those_that_ansible_makes() {
    check("constructed");
}

#[test]
fn directories_hold_sources_of_all_kinds() {
    check("directory");
}

#[test]
fn scripts_answer_with_json() {
    check("script");
}

#[test]
fn variables_beside_inventory_and_playbook_have_their_place() {
    check("beside");
}

#[test]
fn terraform_needs_no_mapping_by_convention_and_little_otherwise() {
    check("terraform");
}

#[test]
fn what_terraform_calls_sensitive_is_never_shown_and_nothing_of_it_is_templated() {
    for case in cases("terraform") {
        let inventory = read(&case);
        let shown = format!("{inventory:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("secret text"), "{}: {shown}", case.display());
        let all = inventory.hosts.keys().map(|host| Value::map(vars(&inventory, host)));
        assert!(!all.into_iter().any(|vars| vars.has_template()), "{}", case.display());
    }
}

/// `patterns.txt` was written by `ansible --list-hosts`.
#[test]
fn patterns_choose_the_hosts_that_ansible_chooses() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/inventory/pattern");
    let inventory = load(&Sources::default(), &[folder.join("hosts").display().to_string()]).unwrap();
    for line in std::fs::read_to_string(folder.join("patterns.txt")).unwrap().lines() {
        let (pattern, hosts) = line.split_once(" =>").unwrap();
        let selection = inventory.select(pattern, Span::NOWHERE);
        assert_eq!(selection.hosts.join(" "), hosts.trim(), "{pattern}");
    }
}

#[test]
fn a_limit_narrows_and_may_come_from_a_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/inventory/pattern");
    let inventory = load(&Sources::default(), &[folder.join("hosts").display().to_string()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "web2\n\nnope\ndb\n").unwrap();
    let limit = format!("@{}", file.path().display());
    let selection = inventory.select_within("web", Span::NOWHERE, Some(&limit));
    assert_eq!(selection.hosts, ["web2", "web3"]);
    assert_eq!(selection.diagnostics[0].code, "unknown-host-pattern");
    assert_eq!(inventory.select_within("web", Span::NOWHERE, Some("!web1:!web2")).hosts, ["web3", "web4", "web5"]);
    let misspelt = inventory.select("wbe", Span::NOWHERE);
    assert_eq!(misspelt.diagnostics[0].help, ["there is `web`"]);
}

#[test]
fn every_source_of_cases_is_checked() {
    let checked = ["aws_ec2", "beside", "constructed", "directory", "ini", "list", "pattern", "script", "terraform", "yaml"];
    let names: Vec<String> = cases("").iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, checked);
}
