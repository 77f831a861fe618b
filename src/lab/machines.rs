//! A lab: its machines, their network, and how all of it comes and goes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::engine::Engine;
use super::failure::LabError;
use super::flags;
use super::http;
use super::image::{self, Images};
use super::outputs::{self, Secrets};
use super::provision::{self, Site};
use super::stand_in;
use super::state;
use super::voice::Voice;

/// Everything of a lab carries this label with the lab's id.
pub(super) const LABEL: &str = "roll.lab";
const MACHINE_LABEL: &str = "roll.machine";
const ROLE_LABEL: &str = "roll.role";

/// The user that machines are logged in to as; the name that Debian's cloud images use.
pub(super) const LOGIN_USER: &str = "admin";
/// Where HAProxy shows its counters.
pub(super) const STATS_PORT: u16 = 8404;

/// How long a service may take to answer once its machine has booted.
const SERVICE_MAX: Duration = Duration::from_secs(40);
/// How often removing is tried.
const DOWN_TRIES: usize = 50;
/// How long a call to the engine that nobody waits for is given to end; some take minutes, and leave nothing.
const BUSY_TRIES: usize = 25;

/// The name of one lab: a few letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LabId(String);

impl LabId {
    pub(crate) fn fresh() -> Result<Self, LabError> {
        const DIGITS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let random = state::random_bytes::<5>()?;
        Ok(Self(random.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect()))
    }
}

impl FromStr for LabId {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        let fits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(LabError::BadId { text: text.to_owned() }) }
    }
}

impl fmt::Display for LabId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a lab is to be.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// Chosen by the caller, so that it can take down a lab that never came up.
    pub(crate) id: LabId,
    pub(crate) hosts: usize,
    /// The longest request; drain and stop grace follow from it, so a short one makes a rehearsal quick.
    pub(crate) request_seconds_max: u32,
    pub(crate) balancer: Balancer,
    /// Every host has a second port behind the balancer, for new containers that start beside old ones.
    pub(crate) has_second_port: bool,
}

/// What the lab's HAProxy stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Balancer {
    /// Itself, driven through its admin socket.
    #[default]
    HaProxy,
    /// An Application Load Balancer, driven through a double of its API; its nodes follow that with a lag.
    Alb { lag_seconds: f64 },
}

impl Spec {
    pub(crate) fn new(id: LabId) -> Self {
        Self { id, hosts: 3, request_seconds_max: 12, balancer: Balancer::default(), has_second_port: false }
    }
}

/// What a machine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Web,
    Balancer,
    Redis,
    Postgres,
    Registry,
}

const ROLES: [(Role, &str); 5] = [
    (Role::Web, "web"),
    (Role::Balancer, "balancer"),
    (Role::Redis, "redis"),
    (Role::Postgres, "postgres"),
    (Role::Registry, "registry"),
];

impl Role {
    pub(crate) fn name(self) -> &'static str {
        ROLES.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        ROLES.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }

    fn image(self, images: &Images) -> &str {
        match self {
            Self::Web => &images.host,
            Self::Balancer => &images.balancer,
            Self::Redis | Self::Postgres => &images.services,
            Self::Registry => &images.registry,
        }
    }
}

/// One machine of a lab.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Its name in the inventory: `web1`, `lb`, …
    pub(crate) name: String,
    pub(crate) container: String,
    pub(crate) role: Role,
    pub(crate) address: Ipv4Addr,
    pub(crate) is_running: bool,
}

/// A lab that is up.
#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) id: LabId,
    pub(crate) machines: Vec<Machine>,
    engine: Engine,
    dir: PathBuf,
}

impl Lab {
    /// Makes a lab and waits until all of it answers. One that does not come up is taken down again.
    pub(crate) async fn up(engine: &Engine, spec: &Spec, voice: &Voice) -> Result<Self, LabError> {
        let came_up = raise(engine, spec, voice).await;
        if came_up.is_err() {
            // The reason it did not come up matters more than a failure to clean up, which `down` can repeat.
            let _ = Self::down(engine, &spec.id).await;
        }
        came_up
    }

    /// Removes all that carries the lab's id: machines, volumes, networks, files. Needs nothing but the id, and may be repeated.
    pub(crate) async fn down(engine: &Engine, id: &LabId) -> Result<(), LabError> {
        let mut left = Vec::new();
        for look in 1..=DOWN_TRIES {
            // Asked first: what was under way then may have made something that the look did not see.
            let is_busy = engine.is_busy() && look < BUSY_TRIES;
            left = remove_labelled(engine, id).await?;
            if left.is_empty() && !is_busy {
                return state::remove_dir(&dir_of(id)?);
            }
            sleep(Duration::from_millis(200)).await;
        }
        Err(LabError::Left { id: id.clone(), what: left })
    }

    /// The lab that is meant where none is named: the only one there is.
    pub(crate) async fn only(engine: &Engine) -> Result<Option<Self>, LabError> {
        let mut all = Self::list(engine).await?;
        if all.len() > 1 {
            return Err(LabError::WhichLab { running: all.into_iter().map(|lab| lab.id).collect() });
        }
        Ok(all.pop())
    }

    /// Every lab on this machine, whole or not.
    pub(crate) async fn list(engine: &Engine) -> Result<Vec<Self>, LabError> {
        let format = format!(
            "{{{{.Label \"{LABEL}\"}}}}\t{{{{.Label \"{MACHINE_LABEL}\"}}}}\t{{{{.Label \"{ROLE_LABEL}\"}}}}\t{{{{.State}}}}\t{{{{.Names}}}}"
        );
        let rows = engine.docker(["ps", "-a", "--filter", &format!("label={LABEL}"), "--format", &format]).await?;
        let mut labs: BTreeMap<LabId, Vec<Machine>> = BTreeMap::new();
        for row in rows.lines() {
            let mut cells = row.split('\t');
            let Some(Ok(id)) = cells.next().map(str::parse::<LabId>) else { continue };
            let machines = labs.entry(id.clone()).or_default();
            let (Some(name), Some(role), Some(state), Some(container)) = (cells.next(), cells.next(), cells.next(), cells.next())
            else {
                continue;
            };
            let Some(role) = Role::named(role) else { continue };
            let address = engine.address(container, &network_of(&id)).await.unwrap_or(Ipv4Addr::UNSPECIFIED);
            machines.push(Machine {
                name: name.into(),
                container: container.into(),
                role,
                address,
                is_running: state == "running",
            });
        }
        labs.into_iter()
            .map(|(id, mut machines)| {
                machines.sort_by_key(|machine| (machine.role as u8, machine.name.len(), machine.name.clone()));
                Ok(Self { dir: dir_of(&id)?, id, machines, engine: engine.clone() })
            })
            .collect()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What `terraform output -json` would print for it.
    pub(crate) fn inventory(&self) -> PathBuf {
        self.dir.join(outputs::INVENTORY)
    }

    pub(crate) fn private_key(&self) -> PathBuf {
        self.dir.join(KEY)
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir.join(KNOWN_HOSTS)
    }

    /// The lab's own directory; only its owner can read it.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The arguments with which `roll` (or `ansible-playbook`) works on this lab.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let ssh = format!("-o UserKnownHostsFile={} -o StrictHostKeyChecking=yes", self.known_hosts().display());
        let mut variables = OsString::from("@");
        variables.push(self.dir.join(outputs::VARIABLES));
        vec![
            "-i".into(),
            self.inventory().into(),
            "--private-key".into(),
            self.private_key().into(),
            "--ssh-common-args".into(),
            ssh.into(),
            "-e".into(),
            variables,
        ]
    }

    /// What `roll` must find in its environment to reach the double of AWS's API; nothing where there is none.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        stand_in::environment(self)
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| machine.role == Role::Web)
    }

    /// Where clients reach the application: host:port of the balancer.
    pub(crate) fn front_address(&self) -> Option<String> {
        self.balancer().map(|machine| format!("{}:80", machine.address))
    }

    pub(crate) fn stats_address(&self) -> Option<String> {
        self.balancer().map(|machine| format!("{}:{STATS_PORT}", machine.address))
    }

    /// host:port of the double of AWS's API, where there is one.
    pub(super) fn double_address(&self) -> Option<String> {
        let environment = self.environment();
        let (_, url) = environment.iter().find(|(name, _)| *name == "AWS_ENDPOINT_URL")?;
        url.strip_prefix("http://").map(|address| address.trim_end_matches('/').to_owned())
    }

    /// Boots a machine again, and waits until one can log in.
    pub(super) async fn reboot(&self, name: &str) -> Result<(), LabError> {
        let Some(machine) = self.machines.iter().find(|machine| machine.name == name) else {
            return Err(LabError::NoLab { id: self.id.clone() });
        };
        let container = machine.container.as_str();
        let nameservers = self.engine.script(container, "cat /etc/resolv.conf").await?;
        self.engine.docker(["restart", "-t", "10", container]).await?;
        flags::wait_for_boot(&self.engine, container).await?;
        // The engine writes its own at every start.
        self.engine.script(container, &format!("cat > /etc/resolv.conf <<'END_OF_FILE'\n{nameservers}\nEND_OF_FILE\n")).await?;
        wait_for_greeting(self.engine.clone(), machine.clone()).await
    }

    /// Where the application may be on a host.
    pub(super) fn ports(&self) -> Vec<u16> {
        outputs::ports(self)
    }

    pub(super) fn balancer(&self) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.role == Role::Balancer)
    }
}

const KEY: &str = "id_ed25519";
const KNOWN_HOSTS: &str = "known_hosts";

fn dir_of(id: &LabId) -> Result<PathBuf, LabError> {
    Ok(state::labs_dir()?.join(&id.0))
}

fn network_of(id: &LabId) -> String {
    format!("roll-{id}")
}

async fn raise(engine: &Engine, spec: &Spec, voice: &Voice) -> Result<Lab, LabError> {
    let dir = dir_of(&spec.id)?;
    state::make_private(&dir)?;
    let images = image::prepare(engine, &spec.id, voice).await?;
    let flags = flags::boot_flags(engine, &images.host, &spec.id, voice).await?;
    let public_key = state::write_key(&dir.join(KEY), &format!("roll lab {}", spec.id))?;
    let secrets = Secrets::fresh()?;

    voice.step(format!("booting {} hosts, a load balancer, Redis, PostgreSQL and a registry as lab `{}`", spec.hosts, spec.id));
    let label = format!("{LABEL}={}", spec.id);
    engine.docker(["network", "create", "--label", &label, &network_of(&spec.id)]).await?;
    let machines = voice.during("the machines to boot", boot_all(engine, spec, &images, &flags)).await?;
    let nameservers = engine.docker(["run", "--rm", "--label", &label, &images.host, "cat", "/etc/resolv.conf"]).await?;
    let site = Site {
        public_key,
        nameservers,
        secrets,
        machines: machines.clone(),
        balancer: spec.balancer,
        has_second_port: spec.has_second_port,
    };
    voice.during("the machines to be set up", provision::all(engine, &site)).await?;
    let lab = Lab { id: spec.id.clone(), machines, engine: engine.clone(), dir };
    voice.during("the services to answer", wait_for_services(&lab)).await?;
    state::write_private(&lab.known_hosts(), host_keys(&lab).await?.as_bytes())?;
    outputs::write(&lab, spec, &site.secrets)?;
    if let Balancer::Alb { lag_seconds } = spec.balancer {
        voice.during("the double of the load balancer's API", stand_in::start(&lab, spec, lag_seconds)).await?;
    }
    Ok(lab)
}

/// The machines of a lab, in the order in which they are listed.
fn wanted(hosts: usize) -> Vec<(String, Role)> {
    let hosts = (1..=hosts).map(|number| (format!("web{number}"), Role::Web));
    let others = [("lb", Role::Balancer), ("redis", Role::Redis), ("postgres", Role::Postgres), ("registry", Role::Registry)];
    hosts.chain(others.map(|(name, role)| (name.to_owned(), role))).collect()
}

async fn boot_all(engine: &Engine, spec: &Spec, images: &Images, flags: &[String]) -> Result<Vec<Machine>, LabError> {
    let mut boots = JoinSet::new();
    for (order, (name, role)) in wanted(spec.hosts).into_iter().enumerate() {
        let args = run_args(&spec.id, &name, role, flags, role.image(images));
        let (engine, network) = (engine.clone(), network_of(&spec.id));
        let container = format!("roll-{}-{name}", spec.id);
        boots.spawn(async move {
            engine.docker(args).await?;
            flags::wait_for_boot(&engine, &container).await?;
            let address = engine.address(&container, &network).await?;
            Ok((order, Machine { name, container, role, address, is_running: true }))
        });
    }
    let mut machines = finished(boots).await?;
    machines.sort_by_key(|(order, _)| *order);
    Ok(machines.into_iter().map(|(_, machine)| machine).collect())
}

fn run_args(id: &LabId, name: &str, role: Role, flags: &[String], image: &str) -> Vec<String> {
    let container = format!("roll-{id}-{name}");
    let mut args = vec!["run".to_owned(), "--detach".into(), format!("--name={container}"), format!("--hostname={name}")];
    args.extend(
        [(LABEL, id.0.as_str()), (MACHINE_LABEL, name), (ROLE_LABEL, role.name())]
            .map(|(key, value)| format!("--label={key}={value}")),
    );
    args.push(format!("--network={}", network_of(id)));
    if role == Role::Web {
        // A Docker of its own cannot lay its images on top of the ones this machine lies on.
        args.push(format!("--mount=type=volume,source={container}-docker,target=/var/lib/docker,volume-label={LABEL}={id}"));
    }
    args.extend(flags.iter().cloned());
    args.push(image.to_owned());
    args
}

/// Everything that jobs came to, or the first failure.
pub(super) async fn finished<T: 'static>(mut jobs: JoinSet<Result<T, LabError>>) -> Result<Vec<T>, LabError> {
    let mut done = Vec::new();
    while let Some(job) = jobs.join_next().await {
        match job {
            Ok(outcome) => done.push(outcome?),
            Err(lost) => return Err(LabError::Start { program: "a job".into(), source: std::io::Error::other(lost) }),
        }
    }
    Ok(done)
}

async fn wait_for_services(lab: &Lab) -> Result<(), LabError> {
    let mut waits = JoinSet::new();
    for machine in &lab.machines {
        waits.spawn(wait_for_greeting(lab.engine.clone(), machine.clone()));
    }
    finished(waits).await?;
    for machine in &lab.machines {
        match machine.role {
            Role::Balancer => http::wait_for_ok(&format!("{}:{STATS_PORT}", machine.address), "/stats;csv", SERVICE_MAX).await?,
            Role::Registry => http::wait_for_ok(&format!("{}:5000", machine.address), "/v2/", SERVICE_MAX).await?,
            Role::Redis | Role::Postgres | Role::Web => {}
        }
    }
    Ok(())
}

/// Waits until sshd greets.
async fn wait_for_greeting(engine: Engine, machine: Machine) -> Result<(), LabError> {
    let until = Instant::now() + SERVICE_MAX;
    loop {
        let greeting = timeout(Duration::from_secs(5), greeting(machine.address)).await;
        match greeting {
            Ok(Ok(start)) if &start == b"SSH-" => return Ok(()),
            _ if Instant::now() < until => sleep(Duration::from_millis(100)).await,
            _ => {
                let tail = engine.script(&machine.container, "journalctl --no-pager -n 10 -u ssh\n").await.unwrap_or_default();
                return Err(LabError::Late { on: format!("sshd on `{}`", machine.name), seconds: SERVICE_MAX.as_secs(), tail });
            }
        }
    }
}

async fn greeting(address: Ipv4Addr) -> std::io::Result<[u8; 4]> {
    let mut start = [0; 4];
    TcpStream::connect((address, 22)).await?.read_exact(&mut start).await?;
    Ok(start)
}

/// The machines' own keys, read through the engine: nothing on the network is trusted for them.
async fn host_keys(lab: &Lab) -> Result<String, LabError> {
    let mut lines = String::new();
    for machine in &lab.machines {
        let keys = lab.engine.script(&machine.container, "cat /etc/ssh/ssh_host_*_key.pub\n").await?;
        for key in keys.lines() {
            let mut words = key.split_whitespace();
            if let (Some(kind), Some(key)) = (words.next(), words.next()) {
                lines.push_str(&format!("{},{} {kind} {key}\n", machine.address, machine.name));
            }
        }
    }
    Ok(lines)
}

/// Removes what carries the id; what was found, and may not be gone yet.
async fn remove_labelled(engine: &Engine, id: &LabId) -> Result<Vec<String>, LabError> {
    let filter = format!("label={LABEL}={id}");
    let kinds: [(&[&str], &[&str]); 3] = [
        (&["ps", "-a", "--format", "{{.Names}}"], &["rm", "-f", "-v"]),
        (&["volume", "ls", "--format", "{{.Name}}"], &["volume", "rm", "-f"]),
        (&["network", "ls", "--format", "{{.Name}}"], &["network", "rm"]),
    ];
    let mut left = Vec::new();
    for (list, remove) in kinds {
        let found = engine.docker(list.iter().copied().chain(["--filter", &filter])).await?;
        let found: Vec<&str> = found.lines().collect();
        if !found.is_empty() {
            let args = remove.iter().copied().chain(found.iter().copied());
            // Tried again by the caller, which sees what is left.
            let _ = engine.call("removing a lab", args).within(Duration::from_secs(120)).run().await;
            left.extend(found.into_iter().map(str::to_owned));
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_plain() {
        assert_eq!("k3f9".parse::<LabId>().unwrap().to_string(), "k3f9");
        for bad in ["", "K3", "a b", "../x", "waytoolongforanameofalab"] {
            assert!(matches!(bad.parse::<LabId>(), Err(LabError::BadId { .. })), "{bad:?}");
        }
        let fresh = LabId::fresh().unwrap();
        assert_eq!(fresh.to_string().parse::<LabId>().unwrap(), fresh);
    }

    #[test]
    fn a_lab_has_the_hosts_asked_for_and_one_of_each_other() {
        let names: Vec<String> = wanted(2).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["web1", "web2", "lb", "redis", "postgres", "registry"]);
    }

    #[test]
    fn only_a_web_host_has_a_volume_and_it_carries_the_label() {
        let id: LabId = "k3f9".parse().unwrap();
        let volume = |role| run_args(&id, "m", role, &[], "image").into_iter().find(|arg| arg.starts_with("--mount"));
        assert!(volume(Role::Web).is_some_and(|mount| mount.contains("volume-label=roll.lab=k3f9")));
        assert!(volume(Role::Redis).is_none());
    }
}
