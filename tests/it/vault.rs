//! Vaults, opened in a run and made by `roll vault`. The ciphertexts in `tests/cases/vault` were written by `ansible-vault`.

use super::roll::Roll;
use std::fs;
use std::path::Path;

/// `plain pw` with the password `pw1`, without an id.
fn default_vault() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/vault/default.vault")).unwrap()
}

/// `hello` and a newline with the password `pw2` and the id `prod`.
fn prod_vault() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/vault/prod.vault")).unwrap()
}

fn indented(text: &str, depth: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(depth))).collect()
}

/// A directory with both passwords.
fn roll() -> Roll {
    Roll::new().file("pw1", "pw1\n").file("pw2", "pw2\n")
}

/// A play on this machine that has both values as variables.
fn play(tasks: &str) -> String {
    let (one, two) = (indented(&default_vault(), 8), indented(&prod_vault(), 8));
    format!(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  vars:\n    one: !vault |\n{one}    two: !vault |\n{two}  tasks:\n{tasks}"
    )
}

#[test]
fn inline_values_are_opened_when_they_are_used_and_never_shown() {
    let ran = roll()
        .file(
            "site.yaml",
            &play(
                "    - copy: {content: \"{{ one }}|{{ one | length }}|{{ one is vault_encrypted }}\", dest: \"{{ playbook_dir }}/out\"}\n      diff: true\n    - debug: {msg: \"it is {{ one }}\"}\n    - debug: {var: one}\n    - fail: {msg: \"{{ one }}\"}\n      ignore_errors: true\n",
            ),
        )
        .args(["--vault-password-file", "pw1", "-vvv", "site.yaml"]);
    let ended = ran.run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ran.text("out"), "plain pw|8|True");
    assert!(!ended.stdout.contains("plain pw") && !ended.stderr.contains("plain pw"), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("it is ********"), "{}", ended.stdout);
}

#[test]
fn a_value_that_cannot_be_opened_fails_only_where_it_is_used() {
    let used =
        roll().file("site.yaml", &play("    - debug: {msg: \"{{ two }}\"}\n")).args(["--vault-id", "dev@pw1", "site.yaml"]).run();
    assert_eq!(used.code, Some(2), "{}{}", used.stdout, used.stderr);
    assert!(
        format!("{}{}", used.stdout, used.stderr).contains("Decryption failed (no vault secrets were found that could decrypt)")
    );
    let both = roll().file("site.yaml", &play("    - assert: {that: [two == 'hello\\n', one == 'plain pw']}\n"));
    let ended = both.args(["--vault-id", "dev@pw1", "--vault-id", "x@pw2", "site.yaml"]).run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let matched = roll().file("site.yaml", &play("    - debug: {msg: \"{{ two }}\"}\n")).env("ANSIBLE_VAULT_ID_MATCH", "true");
    assert_eq!(matched.args(["--vault-id", "x@pw2", "site.yaml"]).run().code, Some(2), "the id must be the same");
}

/// A tar archive with the file `unpacked.out`; it is text as long as what is in it is.
fn archive() -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("unpacked.out"), "out of an archive\n").unwrap();
    let made = std::process::Command::new("tar").arg("-C").arg(dir.path()).args(["-cf", "-", "unpacked.out"]).output().unwrap();
    String::from_utf8(made.stdout).unwrap()
}

#[test]
fn whole_files_are_opened_wherever_files_are_read() {
    let vault = |plain: &str| {
        let made = roll().stdin(plain).args(["vault", "encrypt", "--vault-id", "prod@pw2", "--output", "-"]).run();
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        assert!(made.stdout.starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n") && !made.stdout.contains(plain));
        made.stdout
    };
    let ran = roll()
        .file("group_vars/all.yml", &vault("from_group: secret of the group\n"))
        .file("vars/more.yml", &vault("from_file: secret of the file\n"))
        .file("vars/included.yml", &vault("from_include: secret of the include\n"))
        .file("roles/r/defaults/main.yml", &vault("from_role: secret of the role\n"))
        .file("extra.yml", &vault("from_extra: secret of the extra\n"))
        .file("tasks.yml", &vault("- set_fact: {from_tasks: true}\n"))
        .file("files/body", &vault("body of a file\n"))
        .file("files/tree/body", &vault("body in a tree\n"))
        .file("templates/t.j2", &vault("{{ 1 + 1 }} of a template\n"))
        .file("files/parts/1", &vault("first, "))
        .file("files/parts/2", "second")
        .file("files/archive.tar", &vault(&archive()))
        .file("files/script.sh", &vault("#!/bin/sh\necho out of a vault\n"))
        .file(
            "site.yaml",
            "- hosts: all
  connection: local
  gather_facts: false
  vars_files: [vars/more.yml]
  roles: [r]
  tasks:
    - include_vars: included.yml
    - import_tasks: tasks.yml
    - copy: {src: body, dest: \"{{ playbook_dir }}/body.out\"}
    - copy: {src: tree/, dest: \"{{ playbook_dir }}/tree.out/\"}
    - copy: {src: body, dest: \"{{ playbook_dir }}/closed.out\", decrypt: false}
    - template: {src: t.j2, dest: \"{{ playbook_dir }}/template.out\"}
    - assemble: {src: parts, remote_src: false, dest: \"{{ playbook_dir }}/assembled.out\"}
    - unarchive: {src: archive.tar, dest: \"{{ playbook_dir }}\"}
    - script: script.sh
      register: script
    - script: {cmd: script.sh, decrypt: false}
      register: closed
      ignore_errors: true
    - debug: {msg: \"{{ from_group }}, {{ from_file }}, {{ from_include }}, {{ from_role }}, {{ from_extra }}\"}
    - assert:
        that:
          - from_group == 'secret of the group'
          - from_file == 'secret of the file'
          - from_include == 'secret of the include'
          - from_role == 'secret of the role'
          - from_extra == 'secret of the extra'
          - from_tasks
          - script.stdout_lines == ['out of a vault']
          - closed is failed
          - lookup('file', 'body') == 'body of a file'
          - lookup('unvault', 'body') == 'body of a file\\n'
          - (playbook_dir ~ '/files/body') is vaulted_file
",
        )
        .file("hosts", &vault("web1\n"))
        .args(["-i", "hosts", "--vault-password-file", "pw2", "-e", "@extra.yml", "--diff", "site.yaml"]);
    let ended = ran.run();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert_eq!(
        ["body.out", "tree.out/body", "template.out", "unpacked.out", "assembled.out"].map(|name| ran.text(name)).concat(),
        "body of a file\nbody in a tree\n2 of a template\nout of an archive\nfirst, \nsecond"
    );
    assert!(ran.text("closed.out").starts_with("$ANSIBLE_VAULT;"));
    assert!(!ended.stdout.contains("secret of"), "{}", ended.stdout);
}

#[test]
fn secrets_come_from_files_programs_and_settings() {
    let task = play("    - assert: {that: one == 'plain pw'}\n");
    let asks = |roll: Roll| {
        let ran = roll.file("site.yaml", &task).args(["site.yaml"]).run();
        (ran.code, ran.stderr)
    };
    assert_eq!(asks(roll().env("ANSIBLE_VAULT_PASSWORD_FILE", "pw1")).0, Some(0));
    assert_eq!(asks(roll().env("ANSIBLE_VAULT_IDENTITY_LIST", "dev@pw2, ops@pw1")).0, Some(0));
    assert_eq!(asks(roll().file("ansible.cfg", "[defaults]\nvault_password_file = pw1\n")).0, Some(0));
    assert_eq!(asks(roll().file("ask", "#!/bin/sh\necho pw1\n").mode("ask", 0o755).args(["--vault-id", "ask"])).0, Some(0));
    let client = "#!/bin/sh\n[ \"$1 $2\" = '--vault-id ops' ] && echo pw1\n";
    assert_eq!(
        asks(roll().file("get-client.sh", client).mode("get-client.sh", 0o755).args(["--vault-id", "ops@get-client.sh"])).0,
        Some(0)
    );
    assert_eq!(asks(roll().stdin("pw1\n").args(["--ask-vault-pass"])).0, Some(0));
    assert_eq!(asks(roll().args(["--vault-id", "dev@prompt"]).stdin("pw1\n")).0, Some(0));
    let (code, stderr) = asks(roll().args(["--vault-id", "dev@none", "--vault-id", "pw1"]));
    assert_eq!(code, Some(0));
    assert!(stderr.contains("warning") && stderr.contains("`none` cannot be read"), "{stderr}");
    let (code, stderr) = asks(roll().args(["--vault-id", "dev@none"]));
    assert_eq!(code, Some(4));
    assert!(stderr.contains("nothing was sent to any host"), "{stderr}");
}

#[test]
fn files_are_encrypted_changed_and_opened_in_place() {
    let roll = || roll().file("f", "one: 1\n").mode("f", 0o640);
    let step = |roll: &Roll| {
        let ran = roll.run();
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    };
    let mode = |roll: &Roll| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(roll.path("f")).unwrap().permissions().mode() & 0o777
    };
    let sealed = roll().args(["vault", "encrypt", "--vault-password-file", "pw1", "f"]);
    step(&sealed);
    let text = sealed.text("f");
    assert!(text.starts_with("$ANSIBLE_VAULT;1.1;AES256\n") && !text.contains("one"));
    assert_eq!(mode(&sealed), 0o640);

    let again = |words: &[&str]| {
        let before = roll().file("f", &text).mode("f", 0o640);
        before.args(["vault"]).args(words.iter().copied())
    };
    assert_eq!(step(&again(&["view", "--vault-password-file", "pw1", "f"])), "one: 1\n");
    let opened = again(&["decrypt", "--vault-id", "any@pw1", "f"]);
    step(&opened);
    assert_eq!((opened.text("f").as_str(), mode(&opened)), ("one: 1\n", 0o640));
    let rekeyed = again(&["rekey", "--vault-password-file", "pw1", "--new-vault-id", "prod@pw2", "f"]);
    step(&rekeyed);
    assert!(rekeyed.text("f").starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"));
    let other = roll().file("f", &rekeyed.text("f")).args(["vault", "view", "--vault-password-file", "pw2", "f"]);
    assert_eq!(step(&other), "one: 1\n");

    let editor = "#!/bin/sh\nstat -c '%a' \"$1\" \"$(dirname \"$1\")\" > seen\necho \"$1\" >> seen\necho 'two: 2' >> \"$1\"\n";
    let edited = again(&["edit", "--vault-password-file", "pw1", "f"]).file("ed", editor).mode("ed", 0o755).env("EDITOR", "./ed");
    step(&edited);
    let seen = edited.text("seen");
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..2], ["600", "700"], "nobody else may read the plaintext");
    assert!(!Path::new(lines[2]).exists() && !Path::new(lines[2]).parent().unwrap().exists(), "nothing of it is left");
    let after = roll().file("f", &edited.text("f")).args(["vault", "view", "--vault-password-file", "pw1", "f"]);
    assert_eq!(step(&after), "one: 1\ntwo: 2\n");
    let untouched = again(&["edit", "--vault-password-file", "pw1", "f"]).env("EDITOR", "true");
    step(&untouched);
    assert_eq!(untouched.text("f"), text);

    let made = roll().file("ed", "#!/bin/sh\necho new > \"$1\"\n").mode("ed", 0o755).env("EDITOR", "./ed");
    let made = made.args(["vault", "create", "--vault-id", "dev@pw1", "--skip-tty-check", "fresh"]);
    step(&made);
    assert!(made.text("fresh").starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"));
}

#[test]
fn values_are_encrypted_as_a_playbook_takes_them() {
    let ran = roll().stdin("from stdin").args([
        "vault",
        "encrypt_string",
        "--vault-id",
        "dev@pw1",
        "--stdin-name",
        "first",
        "-",
        "other",
        "--name",
        "second",
    ]);
    let made = ran.run();
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let names: Vec<&str> = made.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(names, ["first: !vault |", "second: !vault |"]);
    let used = roll()
        .file("vars.yml", &made.stdout)
        .file("site.yaml", "- hosts: localhost\n  connection: local\n  gather_facts: false\n  vars_files: vars.yml\n  tasks:\n    - assert: {that: [first == 'from stdin', second == 'other']}\n")
        .args(["--vault-id", "dev@pw1", "site.yaml"])
        .run();
    assert_eq!(used.code, Some(0), "{}{}", used.stdout, used.stderr);
}

#[test]
fn an_inventory_shows_ciphertext_and_no_secret() {
    let inventory = format!("all:\n  hosts:\n    web1:\n      pw: !vault |\n{}", indented(&default_vault(), 8));
    let ran =
        roll().file("hosts.yml", &inventory).args(["inventory", "-i", "hosts.yml", "--host", "web1", "--vault-id", "pw1"]).run();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("\"__ansible_vault\": \"$ANSIBLE_VAULT;1.1;AES256\\n") && !ran.stdout.contains("plain pw"));
}
