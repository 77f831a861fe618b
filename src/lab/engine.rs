//! The Docker engine of this machine: found, or installed where that is ours to do.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::failure::LabError;
use super::process::{Call, Pending, on_path};
use super::state;
use super::voice::Voice;

/// How long a daemon may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(40);
/// How long packages may take to install.
const INSTALL_MAX: Duration = Duration::from_secs(600);

/// A Docker engine that answers.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    docker: PathBuf,
    /// Calls under way, of all clones.
    pending: Arc<AtomicUsize>,
}

/// What about an engine decides how containers boot on it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Kind {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) kernel: String,
    pub(super) cgroup_version: String,
}

impl Engine {
    /// The engine as it is; nothing is installed or started.
    pub(crate) async fn find() -> Result<Self, LabError> {
        check_local()?;
        let docker = on_path("docker").ok_or_else(|| no_engine("`docker` is not installed"))?;
        let engine = Self { docker, pending: Arc::default() };
        engine.ping().await?;
        Ok(engine)
    }

    /// The engine, installed and started first where this is Debian and we are root.
    pub(crate) async fn find_or_install(voice: &Voice) -> Result<Self, LabError> {
        match Self::find().await {
            Ok(engine) => return Ok(engine),
            Err(LabError::NoEngine { because }) => may_install(&because)?,
            Err(other) => return Err(other),
        }
        if on_path("docker").is_none() || on_path("dockerd").is_none() {
            install("docker.io", voice).await?;
        }
        if Self::find().await.is_err() {
            start(voice).await?;
        }
        voice.during("the Docker engine to answer", answering()).await
    }

    async fn ping(&self) -> Result<(), LabError> {
        let asked = self.call("asking the engine", ["version", "--format", "{{.Server.Version}}"]);
        match asked.within(Duration::from_secs(20)).run().await {
            Ok(_) => Ok(()),
            Err(LabError::Command { tail, .. }) => Err(no_engine(tail)),
            Err(other) => Err(no_engine(other.to_string())),
        }
    }

    pub(super) async fn kind(&self) -> Result<Kind, LabError> {
        let format = "{{.ID}}\n{{.ServerVersion}}\n{{.KernelVersion}}\n{{.CgroupVersion}}";
        let answer = self.docker(["info", "--format", format]).await?;
        let mut lines = answer.lines().map(str::to_owned);
        match (lines.next(), lines.next(), lines.next(), lines.next()) {
            (Some(id), Some(version), Some(kernel), Some(cgroup_version)) => Ok(Kind { id, version, kernel, cgroup_version }),
            _ => Err(LabError::BadAnswer { from: "docker info".into(), answer }),
        }
    }

    /// Whether the engine is still busy with something that was asked of it, even if nobody waits for the answer any more.
    pub(super) fn is_busy(&self) -> bool {
        self.pending.load(Ordering::SeqCst) > 0
    }

    pub(super) fn program(&self) -> &OsStr {
        self.docker.as_os_str()
    }

    /// One call of the docker command.
    pub(super) fn call<A: Into<OsString>>(&self, what: impl Into<String>, args: impl IntoIterator<Item = A>) -> Call {
        Call::new(what, &self.docker).args(args).counted(Pending::one_of(&self.pending))
    }

    /// One quick call of the docker command, named after its first argument.
    pub(super) async fn docker<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Result<String, LabError> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let verb = args.first().map(|verb| verb.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(self.call(format!("docker {verb}"), args).run().await?.trim_end().to_owned())
    }

    /// Runs a script in a container; it arrives on stdin, so that secrets in it are in no process list.
    pub(super) async fn script(&self, container: &str, script: &str) -> Result<String, LabError> {
        let call = self.call(format!("a script in `{container}`"), ["exec", "-i", container, "sh", "-e", "-s"]);
        Ok(call.input(script).run().await?.trim_end().to_owned())
    }

    /// The address of a container in a network.
    pub(super) async fn address(&self, container: &str, network: &str) -> Result<Ipv4Addr, LabError> {
        let format = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
        let answer = self.docker(["inspect", "--format", &format, container]).await?;
        answer.parse().map_err(|_| LabError::BadAnswer { from: format!("docker inspect {container}"), answer })
    }
}

/// A lab's machines are reached by their addresses, so the engine must be on this machine.
fn check_local() -> Result<(), LabError> {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() && !host.starts_with("unix://") => Err(LabError::RemoteEngine { host }),
        _ => Ok(()),
    }
}

fn no_engine(because: impl Into<String>) -> LabError {
    LabError::NoEngine { because: because.into() }
}

/// Whether packages may be installed here: Debian or a relative of it, as root, with no other engine asked for.
fn may_install(missing: &str) -> Result<(), LabError> {
    if std::env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty()) {
        return Err(no_engine(format!("{missing}, and `DOCKER_HOST` asks for that one")));
    }
    if !state::is_root() {
        return Err(no_engine(format!("{missing}, and installing it needs root")));
    }
    if on_path("apt-get").is_none() {
        return Err(no_engine(format!("{missing}, and this is not Debian, where it could be installed")));
    }
    Ok(())
}

/// A tool's path; its package is installed first where it is missing and that is ours to do.
pub(super) async fn tool(tool: &'static str, voice: &Voice) -> Result<PathBuf, LabError> {
    if let Some(path) = on_path(tool) {
        return Ok(path);
    }
    let missing = |because: &str| LabError::NoTool { tool, because: because.to_owned() };
    if !state::is_root() {
        return Err(missing("installing it needs root"));
    }
    if on_path("apt-get").is_none() {
        return Err(missing("this is not Debian, where it could be installed"));
    }
    install(tool, voice).await?;
    on_path(tool).ok_or_else(|| missing("its package did not bring it"))
}

async fn install(package: &'static str, voice: &Voice) -> Result<(), LabError> {
    voice.step(format!("installing Debian's package `{package}` on this machine"));
    let apt = |what: String, args: &'static [&'static str]| {
        Call::new(what, "apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive").within(INSTALL_MAX)
    };
    voice.during("the list of packages", apt("apt-get update".into(), &["-q", "update"]).run()).await?;
    let wanted = apt(format!("installing `{package}`"), &["-q", "-y", "--no-install-recommends", "install"]).args([package]);
    voice.during(package, wanted.run()).await?;
    Ok(())
}

/// Starts the daemon: through systemd, or directly where no init does it.
async fn start(voice: &Voice) -> Result<(), LabError> {
    if Path::new("/run/systemd/system").exists() {
        voice.step("starting the Docker service");
        Call::new("starting the Docker service", "systemctl").args(["start", "docker"]).run().await?;
        return Ok(());
    }
    let log_path = state::labs_dir()?.join("dockerd.log");
    voice.step(format!("starting `dockerd`, which no init does here; its log is `{}`", log_path.display()));
    let log = File::create(&log_path).map_err(LabError::file(&log_path))?;
    let errors = log.try_clone().map_err(LabError::file(&log_path))?;
    let program = on_path("dockerd").ok_or_else(|| no_engine("`dockerd` is not installed"))?;
    // Left running on purpose: it is the machine's engine now, and the next lab finds it.
    Command::new(&program)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(|source| LabError::Start { program: program.display().to_string(), source })?;
    Ok(())
}

async fn answering() -> Result<Engine, LabError> {
    let deadline = Instant::now() + START_MAX;
    loop {
        match Engine::find().await {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(300)).await,
            answer => return answer,
        }
    }
}
