//! The command line: what it understands, what it answers, and with which exit code.

use super::roll::Roll;
use std::io::Read as _;
use std::time::{Duration, Instant};

const HELLO: &str = "\
- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: greet
      command: echo {{ word | default('hello') }}
      register: greeting
    - debug: var=greeting.stdout
";

fn hello() -> Roll {
    Roll::new().file("site.yaml", HELLO)
}

#[test]
fn the_version_comes_at_once() {
    let roll = Roll::new().args(["--version"]);
    let fastest = (0..10).map(|_| {
        let started = Instant::now();
        let ran = roll.run();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), concat!("roll ", env!("CARGO_PKG_VERSION"), "\n")));
        started.elapsed()
    });
    let fastest = fastest.min().unwrap();
    assert!(fastest < Duration::from_millis(100), "{fastest:?}");
}

#[test]
fn without_arguments_there_is_help_and_a_usage_error() {
    let ran = Roll::new().run();
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("Usage: roll [OPTIONS] -i <INVENTORY> <PLAYBOOK>...") && ran.stdout.is_empty(), "{ran:?}");
    assert_eq!(Roll::new().args(["--no-such-flag", "x"]).run().code, Some(2));
}

#[test]
fn a_playbook_runs_on_this_machine() {
    let ran = hello().args(["-i", "web1,", "site.yaml"]).run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!(ran.stdout, @r#"

    PLAY [all] *********************************************************************

    TASK [greet] *******************************************************************
    changed: [web1]

    TASK [debug] *******************************************************************
    ok: [web1] => {
        "greeting.stdout": "hello"
    }

    PLAY RECAP *********************************************************************
    web1                       : ok=2    changed=1    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0   
    "#);
    assert_eq!(ran.stderr, "");
}

#[test]
fn extra_variables_come_from_words_json_and_files() {
    let said = |roll: Roll| {
        let ran = roll.args(["-i", "web1,", "site.yaml"]).run();
        ran.stdout.lines().find(|line| line.contains("greeting.stdout")).unwrap_or(&ran.stderr).trim().to_owned()
    };
    assert_eq!(said(hello().args(["-e", "word='good morning' other=1"])), r#""greeting.stdout": "good morning""#);
    assert_eq!(said(hello().args(["-e", r#"{"word": "json"}"#])), r#""greeting.stdout": "json""#);
    assert_eq!(
        said(hello().file("v.yaml", "word: from a file\n").args(["-e", "word=x", "-e", "@v.yaml"])),
        r#""greeting.stdout": "from a file""#
    );
}

#[test]
fn json_output_is_events_and_nothing_else() {
    let ran = hello().args(["-i", "web1,", "--output", "json", "-v", "site.yaml"]).run();
    let events: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"run_started"), Some(&"recap")));
    assert!(names.contains(&"host_ended"));
}

#[test]
fn a_junit_report_is_written() {
    let roll = hello().args(["-i", "web1,", "--junit", "out.xml", "site.yaml"]);
    assert_eq!(roll.run().code, Some(0));
    assert!(
        roll.text("out.xml").contains("<testcase name=\"[web1] greet\" classname=\"site.yaml:5\""),
        "{}",
        roll.text("out.xml")
    );
}

#[test]
fn failures_and_lost_hosts_have_exit_codes_of_their_own() {
    let failing = "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: 'false'\n";
    let roll = |text: &str| Roll::new().file("site.yaml", text).args(["-i", "web1,", "-c", "local", "site.yaml"]).run().code;
    assert_eq!(roll(failing), Some(2));
    let lost = "- hosts: all\n  gather_facts: false\n  vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}\n  tasks:\n    - ping:\n";
    assert_eq!(roll(lost), Some(4));
}

#[test]
fn lists_are_ansibles() {
    let text = "- name: first\n  hosts: web\n  tags: t1\n  tasks:\n    - name: a\n      ping:\n      tags: [x, y]\n    - block:\n        - ping:\n      rescue:\n        - debug: msg=no\n- hosts: [db, 'web1']\n  tasks: []\n";
    let roll = |flag: &str| {
        Roll::new()
            .file("site.yaml", text)
            .file("hosts", "[web]\nweb[1:2]\n[db]\ndb1\n")
            .args(["-i", "hosts", flag, "site.yaml"])
            .run()
            .stdout
    };
    insta::assert_snapshot!(roll("--list-hosts").replace('\t', "<TAB>"), @r"

    playbook: site.yaml

      play #1 (web): first<TAB>TAGS: [t1]
        pattern: ['web']
        hosts (2):
          web1
          web2

      play #2 (db,web1): db,web1<TAB>TAGS: []
        pattern: ['db', 'web1']
        hosts (2):
          db1
          web1
    ");
    insta::assert_snapshot!(roll("--list-tasks").replace('\t', "<TAB>"), @r"

    playbook: site.yaml

      play #1 (web): first<TAB>TAGS: [t1]
        tasks:
          a<TAB>TAGS: [t1, x, y]
          ping<TAB>TAGS: [t1]

      play #2 (db,web1): db,web1<TAB>TAGS: []
        tasks:
    ");
    insta::assert_snapshot!(roll("--list-tags").replace('\t', "<TAB>"), @r"

    playbook: site.yaml

      play #1 (web): first<TAB>TAGS: [t1]
          TASK TAGS: [t1, x, y]

      play #2 (db,web1): db,web1<TAB>TAGS: []
          TASK TAGS: []
    ");
    insta::assert_snapshot!(roll("--syntax-check"), @r"

    playbook: site.yaml
    ");
}

#[test]
fn the_configuration_counts_less_than_the_environment_and_that_less_than_flags() {
    let text = "- hosts: all\n  connection: local\n  gather_facts: false\n  tasks:\n    - debug: msg={{ ansible_forks }}\n";
    let forks = |roll: Roll| {
        let ran = roll
            .file("site.yaml", text)
            .file("ansible.cfg", "[defaults]\nforks = 7\ninventory = hosts\n")
            .file("hosts", "web1\n")
            .args(["site.yaml"])
            .run();
        ran.stdout.lines().find_map(|line| line.trim().strip_prefix("\"msg\": ").map(str::to_owned)).unwrap_or(ran.stderr)
    };
    assert_eq!(forks(Roll::new()), "7");
    assert_eq!(forks(Roll::new().env("ANSIBLE_FORKS", "8")), "8");
    assert_eq!(forks(Roll::new().env("ANSIBLE_FORKS", "8").args(["-f", "9"])), "9");
}

#[test]
fn a_typo_sends_nothing() {
    let text = "- hosts: all\n  connection: local\n  tasks:\n    - command: touch sent\n    - comand: touch sent\n";
    let roll = Roll::new().file("site.yaml", text).args(["-i", "web1,", "site.yaml"]);
    let ran = roll.run();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""));
    assert!(ran.stderr.ends_with("1 error in 1 file; nothing was sent to any host\n"), "{}", ran.stderr);
    assert!(!roll.path("sent").exists());
}

#[test]
fn ctrl_c_finishes_what_has_begun() {
    let text = "- hosts: all\n  connection: local\n  gather_facts: false\n  tasks:\n    - shell: touch begun; sleep 1; touch finished\n    - command: touch next\n";
    let roll = Roll::new().file("site.yaml", text).args(["-i", "web1,", "site.yaml"]);
    let child = roll.spawn();
    let started = Instant::now();
    while !roll.path("begun").exists() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ran = roll.finish(child);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(roll.path("finished").exists() && !roll.path("next").exists(), "{ran:?}");
    assert!(ran.stderr.contains("interrupted") && ran.stdout.contains("PLAY RECAP"), "{ran:?}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let roll = hello().args(["-i", "web1,", "site.yaml"]);
    let mut child = roll.spawn();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_become_password_file_is_read_and_its_content_is_never_shown() {
    let roll = hello().file("pw", "hunter2-secret\n").args(["-i", "web1,", "-vvv", "--become-password-file", "pw", "site.yaml"]);
    let ran = roll.run();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!format!("{ran:?}").contains("hunter2"));
    let piped = hello().stdin("hunter2-secret\n").args(["-i", "web1,", "-vvv", "--become-password-file", "-", "site.yaml"]).run();
    assert!(piped.code == Some(0) && !format!("{piped:?}").contains("hunter2"), "{piped:?}");
}

#[test]
fn the_inventory_is_shown_as_ansible_shows_it() {
    let roll = |words: &[&str]| {
        let text = "[web]\nweb1 ansible_host=1.2.3.4 x=1\nweb2\n[db]\ndb1\n[prod:children]\nweb\ndb\n[prod:vars]\na=b\n";
        Roll::new().file("hosts", text).args(["inventory", "-i", "hosts"]).args(words.iter().copied()).run().stdout
    };
    insta::assert_snapshot!(roll(&["--graph"]), @r"
    @all:
      |--@ungrouped:
      |--@prod:
      |  |--@web:
      |  |  |--web1
      |  |  |--web2
      |  |--@db:
      |  |  |--db1
    ");
    insta::assert_snapshot!(roll(&["--host", "web1"]), @r#"
    {
        "a": "b",
        "ansible_host": "1.2.3.4",
        "x": 1
    }
    "#);
    assert!(roll(&["--list"]).contains("\"hostvars\""));
}

#[test]
fn the_inventory_shows_what_lies_beside_it_where_it_belongs() {
    let roll = |words: &[&str]| {
        Roll::new()
            .file("hosts", "[web]\nweb1 a=1\nweb2\n[web:vars]\nx=2\n")
            .file("group_vars/all.yml", "gall: 5\n")
            .file("group_vars/web.yml", "gv: 1\n")
            .file("host_vars/web1.yml", "hv: 2\n")
            .args(["inventory", "-i", "hosts"])
            .args(words.iter().copied())
            .run()
            .stdout
    };
    insta::assert_snapshot!(roll(&["--graph", "--vars"]), @r"
    @all:
      |--@ungrouped:
      |--@web:
      |  |--web1
      |  |  |--{a = 1}
      |  |  |--{gall = 5}
      |  |  |--{gv = 1}
      |  |  |--{hv = 2}
      |  |  |--{x = 2}
      |  |--web2
      |  |  |--{gall = 5}
      |  |  |--{gv = 1}
      |  |  |--{x = 2}
      |  |--{gv = 1}
      |  |--{x = 2}
      |--{gall = 5}
    ");
    insta::assert_snapshot!(roll(&["--list", "--export"]), @r#"
    {
        "_meta": {
            "hostvars": {
                "web1": {
                    "a": 1,
                    "hv": 2
                }
            },
            "profile": "inventory_legacy"
        },
        "all": {
            "children": [
                "ungrouped",
                "web"
            ],
            "vars": {
                "gall": 5
            }
        },
        "web": {
            "hosts": [
                "web1",
                "web2"
            ],
            "vars": {
                "gv": 1,
                "x": 2
            }
        }
    }
    "#);
}

#[test]
fn modules_are_documented() {
    let doc = |words: &[&str]| Roll::new().args(["doc"]).args(words.iter().copied()).run();
    assert!(doc(&[]).stdout.lines().any(|line| line.starts_with("docker_container ")));
    assert!(doc(&["ansible.builtin.file"]).stdout.contains("  mode ("));
    let ran = doc(&["fil"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "error: there is no module `fil`; there is `file`\n"));
    assert!(doc(&["--keywords"]).stdout.contains("max_fail_percentage"));
}

#[test]
fn modules_of_collections_on_disk_are_found() {
    let doc = |name: &str| {
        let collection = "collections/ansible_collections/acme/tools";
        let routing = "plugin_routing: {modules: {say: {redirect: ansible.builtin.debug}, hello: {redirect: acme.tools.greet}, \
                       gone: {tombstone: {warning_text: Use greet.}}}}\n";
        let roll = Roll::new().file(&format!("{collection}/meta/runtime.yml"), routing);
        roll.file(&format!("{collection}/plugins/modules/greet.sh"), "").args(["doc", name]).run()
    };
    let said = doc("acme.tools.say").stdout;
    assert!(said.starts_with("`acme.tools.say` leads to `ansible.builtin.debug`\n\nansible.builtin.debug: "), "{said}");
    let own = "acme.tools.greet: a module of your own, in collections/ansible_collections/acme/tools/plugins/modules/greet.sh\n";
    assert_eq!(doc("acme.tools.greet").stdout, own);
    assert_eq!(doc("acme.tools.hello").stdout, format!("`acme.tools.hello` leads to `acme.tools.greet`\n\n{own}"));
    let gone = doc("acme.tools.gone");
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("module `acme.tools.gone` is no more: Use greet."), "{}", gone.stderr);
}
