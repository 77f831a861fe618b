//! The language of playbooks, run for real over local connections: each case is a directory in `tests/cases/playbooks` with a playbook,
//! an inventory, the command lines of `args` (one a line; none is one empty line), and what they printed, to the letter. All of it was
//! compared with ansible-core 2.19; where the two differ, the README of the cases says why.

use crate::roll::Roll;
use std::path::{Path, PathBuf};

/// All of them, or those that `CASES` names a part of.
fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/playbooks");
    let wanted = std::env::var("CASES").unwrap_or_default();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && named(path).contains(&wanted))
        .collect();
    cases.sort();
    cases
}

/// All files below a case, by the name they have inside it.
fn files(dir: &Path, inside: &str, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{inside}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            files(&path, &format!("{name}/"), found);
        } else {
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// One command line of a case in a fresh copy of it.
fn run(case: &Path, line: &str) -> String {
    let mut all = Vec::new();
    files(case, "", &mut all);
    let roll =
        all.iter().filter(|(name, _)| name != "expected.stdout").fold(Roll::new(), |roll, (name, text)| roll.file(name, text));
    let words = shell_words::split(line).unwrap();
    let mut args = vec!["-i".to_owned(), "inventory".to_owned()];
    args.extend(words.iter().cloned());
    if !words.iter().any(|word| word.ends_with(".yaml")) {
        args.push("play.yaml".to_owned());
    }
    let ran = roll.args(args).env("ANSIBLE_FORKS", "1").run();
    format!("$ roll {line}\n{}[exit {}]\n", masked(&ran.stdout, &named(case)), ran.code.unwrap_or(-1))
}

/// What is different in every run, and directories.
fn masked(text: &str, case: &str) -> String {
    let text = without_temp_name(&text.replace("[DIR]", "{dir}"), case);
    let mut out = String::new();
    let mut rest = text.as_str();
    let names = [("\"delta\": \"", "{time}"), ("\"start\": \"", "{time}"), ("\"end\": \"", "{time}"), ("\"stop\": \"", "{time}")];
    let jobs = [("jid=", "{job}"), ("\"ansible_job_id\": \"", "{job}"), (".ansible_async/", "{job}")];
    let names: Vec<(&str, &str)> = names.into_iter().chain(jobs).collect();
    while let Some((at, name, mask)) = names.iter().filter_map(|(name, mask)| Some((rest.find(name)?, *name, *mask))).min() {
        let (before, behind) = rest.split_at(at + name.len());
        out.push_str(before);
        out.push_str(mask);
        let ends: &[char] = if mask == "{time}" { &['"'] } else { &['"', ' ', '\n'] };
        rest = &behind[behind.find(ends).unwrap_or_default()..];
    }
    out + rest
}

fn named(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

/// The run's own directory has the name of the case.
fn without_temp_name(text: &str, case: &str) -> String {
    let mut parts = text.split(".tmp");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_random = part.len() >= 6 && part.is_char_boundary(6) && part[..6].bytes().all(|byte| byte.is_ascii_alphanumeric());
        out.push_str(if is_random { case } else { ".tmp" });
        out.push_str(if is_random { &part[6..] } else { part });
    }
    out
}

/// With `ROLL_BLESS=1` what came is written into the file: only after it was compared with Ansible's.
#[test]
fn every_case_prints_what_it_should() {
    let mut wrong = Vec::new();
    for case in cases() {
        let args = std::fs::read_to_string(case.join("args")).unwrap_or_else(|_| "\n".to_owned());
        let found: String = args.lines().map(|line| run(&case, line)).collect();
        let expected = std::fs::read_to_string(case.join("expected.stdout")).unwrap_or_default();
        if std::env::var_os("ROLL_BLESS").is_some() {
            std::fs::write(case.join("expected.stdout"), &found).unwrap();
        } else if found != expected {
            let diff = similar::TextDiff::from_lines(&expected, &found);
            wrong.push(format!("{}\n{}", case.display(), diff.unified_diff().context_radius(3)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What each item of a loop asks for is done once, as long as no item changes anything; what is tried again is done again.
#[test]
fn items_of_a_loop_refresh_the_package_lists_once() {
    let tasks = "    - apt: { name: '{{ item }}', update_cache: true }\n      loop: [dpkg, base-files, bash]\n";
    let tried = "    - apt: { name: '{{ item }}', update_cache: true }\n      loop: [dpkg, bash]\n      retries: 1\n";
    let changed = tasks.replace("loop:", "changed_when: item == 'dpkg'\n      loop:");
    let updates = |tasks: &str| {
        let play = format!(
            "- hosts: localhost\n  gather_facts: false\n  environment: {{ PATH: \"{{{{ playbook_dir }}}}/bin:/usr/bin:/bin\" }}\n  tasks:\n{tasks}"
        );
        let apt = "#!/bin/sh\necho \"$*\" >>\"$0.log\"\necho Reading package lists...\n";
        let roll = Roll::new().file("play.yaml", &play).file("bin/apt-get", apt).mode("bin/apt-get", 0o755).args(["play.yaml"]);
        let ran = roll.run();
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        roll.text("bin/apt-get.log").lines().filter(|line| line.contains(" update ")).count()
    };
    assert_eq!(updates(tasks), 1);
    assert_eq!(updates(&format!("{tasks}{tasks}")), 2);
    assert_eq!(updates(tried), 2);
    assert_eq!(updates(&changed), 3);
}
