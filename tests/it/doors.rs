//! Other ways in: one task without a playbook, the names of Ansible's programs, roles and collections, and what is read off the tables.

use super::roll::Roll;
use std::process::Command;

const PLAY: &str = "- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: msg=hello\n";

#[test]
fn one_task_runs_without_a_playbook() {
    let ran = Roll::new().args(["exec", "all", "-i", "web1,", "-c", "local", "-a", "echo hi"]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "web1 | CHANGED | rc=0 >>\nhi\n"), "{ran:?}");
    let ran = Roll::new()
        .args(["exec", "web*", "-i", "web1,db1,", "-c", "local", "-m", "debug", "-a", "msg={{ inventory_hostname }}"])
        .run();
    assert_eq!(ran.stdout, "web1 | SUCCESS => {\n    \"msg\": \"web1\"\n}\n", "{ran:?}");
    let ran = Roll::new().args(["exec", "localhost", "-o", "-a", "false"]).run();
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.starts_with("localhost | FAILED | rc=1 | (stdout) "), "{ran:?}");
}

#[test]
fn the_names_of_ansibles_programs_are_understood() {
    let ran = Roll::new().called("ansible").args(["all", "-i", "web1,web2,", "--list-hosts"]).run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "  hosts (2):\n    web1\n    web2\n"), "{ran:?}");
    let ran = Roll::new().file("doc", PLAY).called("ansible-playbook").args(["-i", "web1,", "-c", "local", "doc"]).run();
    assert!(ran.stdout.contains("ok: [web1] => {\n    \"msg\": \"hello\"\n}"), "{ran:?}");
    let ran = Roll::new().called("ansible-playbook").args(["--version"]).run();
    assert!(ran.stdout.starts_with("ansible-playbook [core 2."), "{ran:?}");
    let ran = Roll::new().called("ansible-inventory").args(["-i", "web1,", "--graph"]).run();
    assert_eq!(ran.stdout, "@all:\n  |--@ungrouped:\n  |  |--web1\n", "{ran:?}");
    let ran = Roll::new().called("ansible").env("LC_ALL", "nonsense").args(["--version"]).run();
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn roles_come_from_git_and_from_archives() {
    let roll = Roll::new()
        .file("web/tasks/main.yml", "- debug: msg=web\n")
        .file("web/meta/main.yml", "dependencies: []\n")
        .file("db/tasks/main.yml", "- debug: msg=db\n")
        .file("requirements.yml", "roles:\n  - {src: web.tar.gz, name: site}\n  - {src: ./db, scm: git, name: db}\n");
    let here = roll.path("");
    let done = |program: &str, args: &[&str]| {
        let status = Command::new(program).args(args).current_dir(&here).status().unwrap();
        assert!(status.success(), "{program} {args:?}");
    };
    done("tar", &["-czf", "web.tar.gz", "web"]);
    done("git", &["init", "-q", "db"]);
    done("git", &["-C", "db", "add", "."]);
    done("git", &["-C", "db", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "first"]);
    let roll = roll.args(["galaxy", "install", "-r", "requirements.yml", "-p", "roles"]);
    let ran = roll.run();
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "- site was installed to roles/site\n- db was installed to roles/db\n"),
        "{ran:?}"
    );
    assert_eq!(
        (roll.text("roles/site/tasks/main.yml"), roll.text("roles/db/tasks/main.yml")),
        ("- debug: msg=web\n".into(), "- debug: msg=db\n".into())
    );
    assert!(roll.run().stdout.contains("site is already installed"));
}

#[test]
fn a_collection_goes_where_its_own_name_says() {
    let roll = Roll::new()
        .file("c/galaxy.yml", "namespace: shop\nname: site\nversion: 1.0.0\n")
        .file("c/roles/front/tasks/main.yml", "- debug: msg=front\n");
    let status = Command::new("tar").args(["-czf", "c.tar.gz", "-C", "c", "."]).current_dir(roll.path("")).status().unwrap();
    assert!(status.success());
    let roll = roll.args(["galaxy", "collection", "install", "./c.tar.gz", "-p", "collections"]);
    let ran = roll.run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(roll.text("collections/ansible_collections/shop/site/roles/front/tasks/main.yml"), "- debug: msg=front\n");
}

#[test]
fn the_schema_knows_every_keyword_and_every_module() {
    let ran = Roll::new().args(["schema"]).run();
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let task = &schema["$defs"]["task"]["properties"];
    for name in ["when", "loop", "ansible.builtin.copy", "copy", "notify"] {
        assert!(task.get(name).is_some(), "{name}");
    }
    assert!(task["copy"]["anyOf"][0]["properties"]["dest"]["description"].is_string());
    assert!(schema["$defs"]["play"]["properties"].get("hosts").is_some());
}

#[test]
fn completions_and_the_manual_know_every_subcommand() {
    for shell in ["bash", "fish", "zsh"] {
        let ran = Roll::new().args(["completions", shell]).run();
        assert!(["inventory", "exec", "galaxy"].iter().all(|word| ran.stdout.contains(word)), "{shell}: {ran:?}");
    }
    let page = Roll::new().args(["man"]).run().stdout;
    assert!(page.starts_with(".TH ROLL 1") && page.contains("\\-\\-inventory") && page.contains("ROLL EXEC"), "{page}");
}

#[test]
fn warnings_count_only_where_that_is_wanted() {
    let roll = || Roll::new().file("site.yaml", "- hosts: localhost\n  tasks:\n    - command: uptime\n");
    assert_eq!(roll().args(["lint", "site.yaml"]).run().code, Some(0));
    assert_eq!(roll().args(["lint", "--strict", "site.yaml"]).run().code, Some(1));
    let skipping = ["lint", "--strict", "-x", "lint-unnamed", "-x", "lint-always-changed", "site.yaml"];
    assert_eq!(roll().args(skipping).run().code, Some(0));
}

#[test]
fn an_inventory_can_be_written_as_yaml_and_with_its_groups() {
    let roll = Roll::new().file("hosts", "[web]\nweb1 port=80\n[web:vars]\nzone=a\n");
    let ran = roll.args(["inventory", "-i", "hosts", "--list", "--yaml", "--export"]).run();
    let expected = "all:\n  children:\n    web:\n      hosts:\n        web1:\n          port: 80\n      vars:\n        zone: a\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{ran:?}");
}

#[test]
fn extra_variables_make_groups_where_a_constructed_inventory_asks_for_them() {
    let roll = |more: &str| {
        let text = format!("plugin: constructed\n{more}groups: {{chosen: stage == 'live'}}\n");
        Roll::new().file("hosts/a", "web1 stage=test\n").file("hosts/b.yml", &text)
    };
    let listed = |roll: Roll| roll.args(["inventory", "-i", "hosts", "--list", "-e", "stage=live"]).run().stdout;
    assert!(!listed(roll("")).contains("chosen"));
    assert!(listed(roll("use_extra_vars: true\n")).contains("chosen"));
}

#[test]
fn hosts_that_failed_are_kept_in_a_file_for_the_next_run() {
    let play = "- hosts: all\n  gather_facts: false\n  tasks:\n    - fail:\n      when: inventory_hostname != 'b'\n";
    let roll = Roll::new().file("play.yml", play).args(["-i", "c,b,a", "-c", "local", "play.yml"]);
    assert!(!roll.run().stdout.contains("to retry") && roll.text("play.retry").is_empty());
    let roll = roll.env("ANSIBLE_RETRY_FILES_ENABLED", "true");
    let ran = roll.run();
    let (said, recap) = (ran.stdout.find("\tto retry, use: --limit @[DIR]/play.retry\n"), ran.stdout.find("PLAY RECAP"));
    assert!(said.is_some() && said < recap, "{ran:?}");
    assert_eq!(roll.text("play.retry"), "a\nc\n");
    let ran = roll.args(["--limit", "@play.retry"]).run();
    assert!(ran.stdout.contains("fatal: [a]") && !ran.stdout.contains("[b]"), "{ran:?}");
    let roll = Roll::new().file("play.yml", play).args(["-i", "c,b,a", "-c", "local", "play.yml"]);
    let roll = roll.env("ANSIBLE_RETRY_FILES_ENABLED", "true").env("ANSIBLE_RETRY_FILES_SAVE_PATH", "kept/here");
    assert_eq!((roll.run().code, roll.text("kept/here/play.retry").as_str()), (Some(2), "a\nc\n"));
}

#[test]
fn settings_are_listed_with_what_set_them() {
    let roll = |what: &'static str| {
        let roll = Roll::new().file("ansible.cfg", "[defaults]\nforks = 7\n").env("ANSIBLE_REMOTE_USER", "deploy");
        roll.called("ansible-config").args([what, "--only-changed"]).run()
    };
    let ran = roll("dump");
    assert_eq!(
        ran.stdout, "defaults.forks([DIR]/ansible.cfg) = 7\ndefaults.remote_user(env: ANSIBLE_REMOTE_USER) = deploy\n",
        "{ran:?}"
    );
    assert_eq!(roll("view").stdout, "[defaults]\nforks = 7\n");
    assert!(roll("list").stdout.contains("ssh_connection.ssh_args: text (ANSIBLE_SSH_ARGS)\n"));
    assert!(Roll::new().args(["config"]).run().stdout.contains("defaults.forks(default)\n"));
}

#[test]
fn a_module_of_ones_own_is_called_by_hand() {
    let module = "#!/bin/sh\n. \"$1\"\necho \"{\\\"changed\\\": false, \\\"msg\\\": \\\"hello $name\\\"}\"\n";
    let roll = Roll::new().file("mine/greet.sh", module);
    let ran = roll.args(["exec", "localhost", "-c", "local", "-M", "mine", "-m", "greet", "-a", "name=you"]).run();
    assert!(ran.code == Some(0) && ran.stdout.contains("\"msg\": \"hello you\""), "{ran:?}");
    let collection = "collections/ansible_collections/acme/tools";
    let roll = Roll::new().file(&format!("{collection}/plugins/modules/greet.sh"), module);
    let routing = "plugin_routing: {modules: {hello: {redirect: acme.tools.greet}}}\n";
    let roll = roll.file(&format!("{collection}/meta/runtime.yml"), routing);
    let ran = roll.args(["exec", "localhost", "-c", "local", "-m", "acme.tools.hello", "-a", "name=them"]).run();
    assert!(ran.code == Some(0) && ran.stdout.contains("\"msg\": \"hello them\""), "{ran:?}");
}
