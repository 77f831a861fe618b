//! What a task does on a host: one file a module, one row in [`COMMON`], [`RARE`] or [`DATA`].
//!
//! A module is *plan, then apply*. [`Module::plan`] may only look (it is given a [`Look`]) and answers with the changes
//! that would bring the host to the wanted state. A [`Change`] is data with its before and after: it is what `--diff`
//! prints, `--check` stops after it, `changed` is "there was one", and planning again after applying must give none.
//! Applying is the same for every module: each change carries one [`Act`], and [`Touch::perform`] carries it out.
//!
//! Nothing here opens a file or runs a program by itself: everything goes through `Look` and `Touch`, which `remote`
//! implements on a real host and the tests implement on data. Start reading at [`Module`], then `stat.rs`.

pub mod args;
pub mod attrs;
pub mod clock;
#[cfg(feature = "control")]
pub mod control;
#[cfg(feature = "control")]
mod control_aws;
pub mod expand;
pub mod glob;
pub mod look;
pub mod paths;
pub mod pattern;
pub mod touch;
pub mod words;

mod acl;
mod alternatives;
mod apache2_module;
mod apk;
pub(crate) mod app;
mod apt;
mod apt_key;
mod apt_repository;
mod archive;
pub mod assemble;
pub mod async_status;
mod authorized_key;
mod blockinfile;
mod capabilities;
mod command;
mod composer;
mod copy;
mod cron;
mod crypto;
mod deb822_repository;
mod debconf;
mod dnf;
mod dnf5;
mod docker;
mod dpkg_divert;
mod dpkg_selections;
mod edit;
mod encoding;
mod expect;
mod facts;
mod fetch;
mod file;
mod filesystem;
mod find;
mod firewalld;
mod gem;
mod get_url;
mod getent;
mod git;
mod git_config;
mod group;
mod haproxy;
mod hostname;
mod htpasswd;
mod ini_file;
mod iptables;
mod known_hosts;
mod lineinfile;
mod locale_gen;
mod locks;
mod lvg;
mod lvol;
mod mail;
mod modprobe;
mod mount;
mod mount_facts;
mod mysql;
mod netrc;
mod npm;
mod own;
mod package;
mod package_facts;
mod pacman;
mod pam_limits;
mod pamd;
mod ping;
mod pip;
mod placeholders;
mod postgresql;
mod replace;
mod rpm_key;
mod script;
mod seboolean;
mod selinux;
mod semanage;
mod service;
mod service_facts;
mod setup;
mod shell;
mod slurp;
mod snap;
mod stat;
mod subversion;
mod sysctl;
mod systemd;
mod systemd_service;
mod sysvinit;
mod tempfile;
mod timezone;
mod ufw;
mod unarchive;
mod uri;
mod user;
mod wait_for;
mod xattr;
mod yum;
mod yum_repository;
mod zypper;
mod zypper_repository;

pub use args::{Arg, Args, Kind, Problem, Rule};
pub use attrs::Attrs;
pub use look::{Cmd, HttpReply, HttpRequest, IdleEnd, Look, Output, Space, Stat};
pub use touch::{Act, Content, Done, Touch};

use crate::value::{Map, Value};

/// One row: what users call, what it takes, and how it plans.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The short name, such as `docker_container`.
    pub name: &'static str,
    /// The collection it is known under, such as `community.docker`.
    pub collection: &'static str,
    /// One line for `roll doc`.
    pub summary: &'static str,
    /// Argument rows, in groups that modules share.
    pub args: &'static [&'static [Arg]],
    pub rules: &'static [Rule],
    /// The argument a task's bare text is for (`command: ls` is `_raw_params`).
    pub free_form: Option<&'static str>,
    pub plan: fn(&Args, &dyn Look) -> Result<Plan, Failure>,
    /// Builds the return values after applying (not in check mode), and may look once more; [`finish_plainly`] where the plan knows
    /// them all.
    pub finish: Finish,
}

/// Given the arguments, the plan's values, what came of each change, and eyes on the host.
pub type Finish = fn(&Args, Map, &[Done], &dyn Look) -> Result<Map, Failure>;

/// What a module found and what it would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// Carried out in order; the first failure ends the task. A file that is written and removed by one plan is gone then, too.
    pub changes: Vec<Change>,
    /// Return values that are known from looking.
    pub values: Map,
    /// Plan once more after applying, because what to do next depends on it (at most three rounds; `--check` stops after one).
    pub again: bool,
    /// Set where "a change was applied" is not what Ansible calls `changed` (a refreshed package cache, say).
    pub changed: Option<bool>,
    /// The task has nothing to do on this host; Ansible's `skipped`, with this message.
    pub skipped: Option<String>,
}

/// One thing that is not as wanted.
#[derive(Debug, Clone)]
pub struct Change {
    /// What is changed: a path, a unit, a container. The header of its diff.
    pub what: String,
    /// Before and after, as text or as a small map; what `--diff` shows. Null where nothing can be shown.
    pub before: Value,
    pub after: Value,
    pub act: Act,
}

/// Why a module could not do its work. `values` become return values beside `msg` (`rc`, `stderr` …).
#[derive(Debug, Clone, Default)]
pub struct Failure {
    pub msg: String,
    pub values: Map,
}

impl Plan {
    /// Nothing to change; only values to return.
    pub fn of(values: Map) -> Plan {
        Plan { values, ..Plan::default() }
    }

    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Plan {
        self.values.insert(key.into(), value.into());
        self
    }

    pub fn push(&mut self, change: Change) -> &mut Plan {
        self.changes.push(change);
        self
    }
}

impl Change {
    pub fn new(what: impl Into<String>, before: impl Into<Value>, after: impl Into<Value>, act: Act) -> Change {
        Change { what: what.into(), before: before.into(), after: after.into(), act }
    }

    /// A step of a bigger change that is shown already.
    pub fn step(what: impl Into<String>, act: Act) -> Change {
        Change::new(what, Value::Null, Value::Null, act)
    }

    /// A command to run; before and after cannot be shown.
    pub fn run(what: impl Into<String>, cmd: Cmd) -> Change {
        Change::new(what, Value::Null, Value::Null, Act::Run(cmd))
    }
}

/// So much of a command is shown in a message.
const CALL_MAX: usize = 200;

impl Failure {
    pub fn new(msg: impl Into<String>) -> Failure {
        Failure { msg: msg.into(), values: Map::new() }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Failure {
        self.values.insert(key.into(), value.into());
        self
    }

    /// `doing` says what was tried, as in "cannot read /etc/hosts".
    pub fn io(doing: impl std::fmt::Display, error: &std::io::Error) -> Failure {
        Failure::new(format!("{doing}: {error}"))
    }

    /// A change that a program could not make: how it was called, and how it ended.
    pub fn of_change(cmd: &Cmd, output: &Output) -> Failure {
        let called = cmd.argv.iter().map(|word| words::quote(word)).collect::<Vec<_>>().join(" ");
        let shown = match called.char_indices().nth(CALL_MAX) {
            Some((end, _)) => format!("{}…", &called[..end]),
            None => called,
        };
        Failure::of_command(format_args!("`{shown}` failed with status {}", output.code), output)
    }

    /// A program that ended badly: its last words, and `rc`, `stdout`, `stderr` as values.
    pub fn of_command(doing: impl std::fmt::Display, output: &Output) -> Failure {
        let stderr = output.stderr_text();
        let last = if stderr.trim().is_empty() { output.stdout_text() } else { stderr.clone() };
        Failure::new(format!("{doing}: {}", last.trim()))
            .with("rc", output.code)
            .with("stdout", output.stdout_text())
            .with("stderr", stderr)
    }
}

/// For modules whose plan already knows every return value.
pub fn finish_plainly(_: &Args, values: Map, done: &[Done], _: &dyn Look) -> Result<Map, Failure> {
    let mut values = values;
    for one in done {
        values.extend(one.values.clone());
    }
    Ok(values)
}

impl Module {
    /// Every argument row.
    pub fn args(&self) -> impl Iterator<Item = &'static Arg> {
        self.args.iter().copied().flatten()
    }

    pub fn arg(&self, name: &str) -> Option<&'static Arg> {
        self.args().find(|arg| arg.name == name || arg.aliases.contains(&name))
    }
}

/// Which host program has a module. A host is sent a program when a task first calls for it: most hosts see the first only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Set {
    #[default]
    Common,
    Rare,
    Data,
}

#[cfg(feature = "control")]
impl Set {
    pub const ALL: [Set; 3] = [Set::Common, Set::Rare, Set::Data];

    /// Where the module is that a request names.
    pub fn with(name: &str) -> Set {
        [Set::Rare, Set::Data].into_iter().find(|set| find_in(set.modules(), name).is_some()).unwrap_or_default()
    }

    fn modules(self) -> &'static [&'static Module] {
        match self {
            Set::Common => COMMON,
            Set::Rare => RARE,
            Set::Data => DATA,
        }
    }

    /// The end of its program's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Set::Common => "",
            Set::Rare => "-rare",
            Set::Data => "-data",
        }
    }
}

/// Collections by their other names.
const OTHER_NAMES: &[(&str, &str)] = &[("ansible.legacy", "ansible.builtin"), ("ansible.mysql", "community.mysql")];

/// The row for a name as a playbook writes it: `apt`, `ansible.builtin.apt`, `community.docker.docker_image`.
#[cfg(feature = "control")]
pub fn find(name: &str) -> Option<&'static Module> {
    [COMMON, RARE, DATA, control::CONTROL].iter().find_map(|table| find_in(table, name))
}

/// The same among some rows only.
pub fn find_in(table: &'static [&'static Module], name: &str) -> Option<&'static Module> {
    let (collection, short) = name.rsplit_once('.').map_or((None, name), |(collection, short)| (Some(collection), short));
    let is_named = |module: &Module| {
        module.name == short
            && collection.is_none_or(|collection| {
                collection == module.collection || OTHER_NAMES.contains(&(collection, module.collection))
            })
    };
    table.iter().copied().find(|module| is_named(module))
}

/// A module that stands for several, one for each kind of host.
#[cfg(feature = "control")]
#[derive(Debug)]
pub struct Dispatch {
    from: &'static str,
    /// The fact that names the one for a host.
    pub fact: &'static str,
    pub to: &'static [&'static str],
}

#[cfg(feature = "control")]
const DISPATCHES: [Dispatch; 2] = [
    Dispatch { from: "service", fact: "ansible_service_mgr", to: &["systemd", "sysvinit", "openrc"] },
    Dispatch { from: "package", fact: "ansible_pkg_mgr", to: &["apk", "apt", "dnf", "pacman", "yum", "zypper"] },
];

#[cfg(feature = "control")]
const AWS: &[&str] = &["amazon.aws", "community.aws"];

/// Groups of modules that `module_defaults` may name (`group/docker`, `group/community.docker.docker`), and whose modules are in them.
#[cfg(feature = "control")]
static GROUPS: &[(&str, &[&str])] = &[
    ("amazon.aws.aws", AWS),
    ("ansible.builtin.aws", AWS),
    ("ansible.builtin.docker", &["community.docker"]),
    ("community.aws.aws", AWS),
    ("community.docker.docker", &["community.docker"]),
    ("community.mysql.all", &["community.mysql"]),
    ("community.postgresql.all", &["community.postgresql"]),
];

/// Groups of these collections with no module that is known here.
#[cfg(feature = "control")]
static BARE_GROUPS: &[(&str, &[&str])] = &[
    ("ansible.builtin", &["acme", "azure", "cpm", "gcp", "k8s", "os", "ovirt", "testgroup", "testlegacy", "vmware"]),
    ("ansible.posix", &[]),
    ("community.crypto", &["acme"]),
    ("community.general", &["consul", "keycloak", "proxmox", "scaleway"]),
];

/// The group that a playbook writes as `name`, in full.
#[cfg(feature = "control")]
fn group_called(name: &str) -> Option<String> {
    let group = name.strip_prefix("group/")?;
    let (collection, short) = group.rsplit_once('.').unwrap_or(("ansible.builtin", group));
    let known = OTHER_NAMES.iter().find(|(other, _)| *other == collection).map_or(collection, |(_, known)| known);
    Some(format!("{known}.{short}"))
}

/// Groups with modules that are known here, as a playbook may write them.
#[cfg(feature = "control")]
pub fn groups() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|(name, _)| name.strip_prefix("ansible.builtin.").unwrap_or(name))
}

/// Whether a group of a collection that is known here is none.
#[cfg(feature = "control")]
pub fn is_no_group(name: &str) -> bool {
    let Some(group) = group_called(name) else { return false };
    let Some((collection, short)) = group.rsplit_once('.') else { return false };
    let is_of_it = |(known, _): &&(&str, &[&str])| known.rsplit_once('.').is_some_and(|(known, _)| known == collection);
    let bare = BARE_GROUPS.iter().find(|(known, _)| *known == collection);
    (bare.is_some() || GROUPS.iter().any(|row| is_of_it(&row)))
        && !bare.is_some_and(|(_, shorts)| shorts.contains(&short))
        && !GROUPS.iter().any(|(known, _)| *known == group)
}

#[cfg(feature = "control")]
impl Module {
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.collection, self.name)
    }

    /// Whether a playbook that writes `name` means this module.
    pub fn is_called(&self, name: &str) -> bool {
        find(name).is_some_and(|found| found.name == self.name)
    }

    /// Modules that this one hands its work to, with the fact that says which.
    pub fn dispatches(&self) -> Option<&'static Dispatch> {
        DISPATCHES.iter().find(|dispatch| dispatch.from == self.name)
    }

    /// Whether it is in the group that a playbook writes as `name`.
    pub fn is_in_group(&self, name: &str) -> bool {
        let Some(group) = group_called(name) else { return false };
        GROUPS.iter().any(|(known, collections)| *known == group && collections.contains(&self.collection))
    }
}

/// Every row that a playbook may name, and the internal ones.
#[cfg(feature = "control")]
pub fn rows() -> impl Iterator<Item = &'static Module> {
    host_side().chain(control::CONTROL.iter().copied())
}

/// Every row of the host side.
pub fn host_side() -> impl Iterator<Item = &'static Module> {
    COMMON.iter().chain(RARE).chain(DATA).copied()
}

/// The modules that most playbooks use, by name; the host program `roll-remote`. A name that begins with `_` is for `roll` itself and cannot
/// be called from a playbook.
pub static COMMON: &[&Module] = &[
    &app::beat::MODULE,
    &app::inspect::MODULE,
    &app::lock::MODULE,
    &app::record::MODULE,
    &app::state::MODULE,
    &app::wish::MODULE,
    &app::aside::MODULE,
    &fetch::MODULE,
    &app::haproxy::MODULE,
    &app::logs::MODULE,
    &own::MODULE,
    &app::park::MODULE,
    &app::probe::MODULE,
    &app::quiet::MODULE,
    &app::retire::MODULE,
    &app::revive::MODULE,
    &script::MODULE,
    &app::unpark::MODULE,
    &apk::MODULE,
    &apt::MODULE,
    &apt_key::MODULE,
    &apt_repository::MODULE,
    &assemble::MODULE,
    &async_status::MODULE,
    &authorized_key::MODULE,
    &blockinfile::MODULE,
    &command::MODULE,
    &copy::MODULE,
    &cron::MODULE,
    &dnf::MODULE,
    &dnf5::MODULE,
    &docker::container::MODULE,
    &docker::container_info::MODULE,
    &docker::image::MODULE,
    &docker::image_build::MODULE,
    &docker::image_info::MODULE,
    &docker::image_pull::MODULE,
    &docker::image_remove::MODULE,
    &docker::image_tag::MODULE,
    &docker::login::MODULE,
    &docker::network::MODULE,
    &docker::prune::MODULE,
    &docker::volume::MODULE,
    &file::MODULE,
    &find::MODULE,
    &get_url::MODULE,
    &getent::MODULE,
    &git::MODULE,
    &group::MODULE,
    &hostname::MODULE,
    &lineinfile::MODULE,
    &modprobe::MODULE,
    &package::MODULE,
    &ping::MODULE,
    &pip::MODULE,
    &replace::MODULE,
    &service::MODULE,
    &setup::MODULE,
    &shell::MODULE,
    &slurp::MODULE,
    &stat::MODULE,
    &sysctl::MODULE,
    &systemd::MODULE,
    &systemd_service::MODULE,
    &tempfile::MODULE,
    &timezone::MODULE,
    &unarchive::MODULE,
    &uri::MODULE,
    &user::MODULE,
    &wait_for::MODULE,
    &yum::MODULE,
];

/// The others, by name; the host program `roll-remote-rare`.
pub static RARE: &[&Module] = &[
    &app::idle::MODULE,
    &acl::MODULE,
    &alternatives::MODULE,
    &apache2_module::MODULE,
    &archive::MODULE,
    &capabilities::MODULE,
    &composer::MODULE,
    &deb822_repository::MODULE,
    &debconf::MODULE,
    &docker::compose_v2::MODULE,
    &docker::compose_v2_pull::MODULE,
    &docker::container_exec::MODULE,
    &docker::host_info::MODULE,
    &docker::image_push::MODULE,
    &dpkg_divert::MODULE,
    &dpkg_selections::MODULE,
    &expect::MODULE,
    &filesystem::MODULE,
    &firewalld::MODULE,
    &gem::MODULE,
    &git_config::MODULE,
    &haproxy::MODULE,
    &htpasswd::MODULE,
    &ini_file::MODULE,
    &iptables::MODULE,
    &known_hosts::MODULE,
    &locale_gen::MODULE,
    &lvg::MODULE,
    &lvol::MODULE,
    &mail::MODULE,
    &mount::MODULE,
    &mount_facts::MODULE,
    &npm::MODULE,
    &package_facts::MODULE,
    &pacman::MODULE,
    &pam_limits::MODULE,
    &pamd::MODULE,
    &rpm_key::MODULE,
    &seboolean::MODULE,
    &semanage::sefcontext::MODULE,
    &selinux::MODULE,
    &semanage::permissive::MODULE,
    &semanage::seport::MODULE,
    &service_facts::MODULE,
    &snap::MODULE,
    &subversion::MODULE,
    &sysvinit::MODULE,
    &ufw::MODULE,
    &xattr::MODULE,
    &yum_repository::MODULE,
    &zypper::MODULE,
    &zypper_repository::MODULE,
];

/// Databases, keys and certificates, by name; the host program `roll-remote-data`.
pub static DATA: &[&Module] = &[
    &mysql::db::MODULE,
    &mysql::info::MODULE,
    &mysql::query::MODULE,
    &mysql::user::MODULE,
    &mysql::variables::MODULE,
    &crypto::keypair::MODULE,
    &crypto::csr::MODULE,
    &crypto::dhparam::MODULE,
    &crypto::privatekey::MODULE,
    &crypto::publickey::MODULE,
    &postgresql::db::MODULE,
    &postgresql::ext::MODULE,
    &postgresql::owner::MODULE,
    &postgresql::ping::MODULE,
    &postgresql::privs::MODULE,
    &postgresql::query::MODULE,
    &postgresql::schema::MODULE,
    &postgresql::set::MODULE,
    &postgresql::user::MODULE,
    &crypto::certificate::MODULE,
];
