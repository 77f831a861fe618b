//! Becoming another user with the real `sudo` and `su`, as a user made for the test.

use super::bed::{Bed, Sshd, run, skipped};
use super::{NoBlobs, ping};
use roll::connection::{Become, ConnectError, Denial, Method, Stdin, Target};
use roll::modules::Set;
use roll::value::Text;
use std::process::{Command, Stdio};

const PASSWORD: &str = "correct horse";

/// A user with a password who may become anybody with it; gone at the end.
struct Account {
    name: String,
}

impl Account {
    /// `None` where the test may not make users.
    fn new(rule: &str) -> Option<Account> {
        let is_root = super::bed::text(Command::new("id").arg("-u")) == "0";
        let has =
            |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        if !is_root || !has("sudo") || !has("useradd") {
            skipped("become needs root, sudo and useradd to make a user for the test");
            return None;
        }
        let name = format!("rolltest{}{}", std::process::id() % 10_000, super::free_port());
        run(Command::new("useradd").args(["--create-home", "--shell", "/bin/sh", &name]));
        let account = Account { name };
        let mut set = Command::new("chpasswd");
        let mut set = set.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut set.stdin.take().unwrap(), format!("{}:{PASSWORD}\n", account.name).as_bytes()).unwrap();
        assert!(set.wait().unwrap().success());
        if !rule.is_empty() {
            std::fs::write(account.rule(), format!("{} {rule}\n", account.name)).unwrap();
        }
        Some(account)
    }

    fn rule(&self) -> String {
        format!("/etc/sudoers.d/{}", self.name)
    }

    fn target(&self, bed: &Bed, sshd: &Sshd) -> Target {
        Target { user: Some(self.name.clone()), ..bed.target(sshd) }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        _ = std::fs::remove_file(self.rule());
        _ = Command::new("userdel").args(["--remove", "--force", &self.name]).stderr(Stdio::null()).status();
    }
}

/// A server that lets the key in as any user, with that user's own home.
fn open_house(bed: &Bed) -> Sshd {
    use std::os::unix::fs::PermissionsExt as _;
    let key = std::fs::read_to_string(bed.path(".ssh/id_ed25519.pub")).unwrap();
    std::fs::write(bed.path("authorized_keys"), key).unwrap();
    std::fs::set_permissions(bed.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let sshd = bed.sshd("host", "");
    bed.know(&sshd);
    sshd
}

fn sudo(user: &str, password: Option<&str>) -> Become {
    Become { user: user.into(), password: password.map(Text::secret), ..Become::default() }
}

async fn denial(bed: &Bed, target: &Target, wanted: &Become) -> Denial {
    let connections = bed.connections();
    let failure = connections.host(target, Some(wanted), Set::Common).await.unwrap_err();
    let ConnectError::Become { denial, .. } = failure else { panic!("{failure:?}") };
    let failure = connections.exec(target, Some(wanted), "id -un", Stdin::Nothing, false).await.unwrap_err();
    let ConnectError::Become { denial: other, .. } = failure else { panic!("{failure:?}") };
    assert_eq!(denial, other);
    denial
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_with_a_password() {
    let Some(account) = Account::new("ALL=(ALL) ALL") else { return };
    let bed = Bed::new();
    let sshd = open_house(&bed);
    let target = account.target(&bed, &sshd);
    let connections = bed.connections();
    let root = sudo("root", Some(PASSWORD));
    let remote = connections.host(&target, Some(&root), Set::Common).await.unwrap();
    remote.run(ping(), &NoBlobs, |_| ()).await.unwrap();
    let output = connections.exec(&target, Some(&root), "cat; id -un", Stdin::Bytes(b"in "), false).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "in root\n");
    let output = connections.exec(&target, Some(&root), "test -t 1 && id -un", Stdin::Nothing, true).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "root\r\n");
    connections.close().await;
    assert_eq!(denial(&bed, &target, &sudo("root", Some("wrong"))).await, Denial::WrongPassword);
    assert_eq!(denial(&bed, &target, &sudo("root", None)).await, Denial::NeedsPassword);
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_without_a_password_and_to_a_user_who_cannot_read_the_cache() {
    let (Some(account), Some(other)) = (Account::new("ALL=(ALL) NOPASSWD: ALL"), Account::new("")) else { return };
    let bed = Bed::new();
    let sshd = open_house(&bed);
    let target = account.target(&bed, &sshd);
    let connections = bed.connections();
    for wanted in
        [None, Some(sudo(&other.name, None)), Some(sudo(&other.name, Some("not asked for"))), Some(sudo("nobody", None))]
    {
        let remote = connections.host(&target, wanted.as_ref(), Set::Common).await.unwrap();
        remote.run(ping(), &NoBlobs, |_| ()).await.unwrap();
    }
    assert_eq!(sshd.said().matches("Accepted publickey").count(), 1);
    assert_eq!(denial(&bed, &target, &sudo("nosuchuser", None)).await, Denial::NoSuchUser);
    let missing = Become { exe: Some("nosudo".into()), ..sudo("root", None) };
    assert_eq!(denial(&bed, &target, &missing).await, Denial::NoSuchProgram);
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_that_is_not_allowed() {
    let Some(account) = Account::new("") else { return };
    let bed = Bed::new();
    let sshd = open_house(&bed);
    let target = account.target(&bed, &sshd);
    let denial = denial(&bed, &target, &sudo("root", Some(PASSWORD))).await;
    assert!(matches!(denial, Denial::NotAllowed { .. }), "{denial:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn su_with_a_password() {
    let (Some(account), Some(other)) = (Account::new(""), Account::new("")) else { return };
    let bed = Bed::new();
    let sshd = open_house(&bed);
    let target = account.target(&bed, &sshd);
    let su = |password: Option<&str>| Become { method: Method::Su, ..sudo(&other.name, password) };
    let connections = bed.connections();
    let remote = connections.host(&target, Some(&su(Some(PASSWORD))), Set::Common).await.unwrap();
    remote.run(ping(), &NoBlobs, |_| ()).await.unwrap();
    let output = connections.exec(&target, Some(&su(Some(PASSWORD))), "id -un", Stdin::Nothing, false).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), other.name);
    assert_eq!(denial(&bed, &target, &su(Some("wrong"))).await, Denial::WrongPassword);
    assert_eq!(denial(&bed, &target, &su(None)).await, Denial::NeedsPassword);
}

#[tokio::test(flavor = "multi_thread")]
async fn become_on_this_machine() {
    let Some(account) = Account::new("") else { return };
    let bed = Bed::new();
    let connections = bed.connections();
    let output = connections
        .exec(&Target::local("here"), Some(&sudo(&account.name, None)), "id -un", Stdin::Nothing, false)
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), account.name);
}
