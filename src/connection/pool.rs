//! The pool: at most one connection per target, one host program per target, become user and set of modules.

use super::opening::Opening;
use super::pipe::{Piece, Pipe};
use super::remote::Remote;
use super::ssh::{Config, Dialer, Link};
use super::{Become, ConnectError, Kind, Output, Programs, Stdin, Target, local};
use crate::diag::Diagnostic;
use crate::modules::Set;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

/// What the room takes from its surroundings, read once.
#[derive(Clone, Debug)]
pub struct Settings {
    pub home: Option<PathBuf>,
    /// The local user: who one is on the hosts unless something else is said.
    pub user: String,
    /// The socket of the SSH agent.
    pub agent: Option<PathBuf>,
    /// ssh_config files; what the first says wins.
    pub ssh_config: Vec<PathBuf>,
    /// Found at the first connection when not given.
    pub programs: Option<Programs>,
    /// How often an idle channel shows that the control side lives.
    pub heartbeat: Duration,
    /// How long opening one more channel may take.
    pub channel_wait: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            home: None,
            user: String::new(),
            agent: None,
            ssh_config: Vec::new(),
            programs: None,
            heartbeat: Duration::from_secs(10),
            channel_wait: Duration::from_secs(30),
        }
    }
}

impl Settings {
    pub fn from_environment() -> Settings {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let mut ssh_config: Vec<PathBuf> = home.iter().map(|home| home.join(".ssh/config")).collect();
        ssh_config.push("/etc/ssh/ssh_config".into());
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
        Settings {
            home,
            user: user.or_else(own_name).unwrap_or_else(|| "root".to_owned()),
            agent: std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(PathBuf::from),
            ssh_config,
            ..Settings::default()
        }
    }
}

/// The name of the owner of this process, where the environment does not say (containers, cron).
fn own_name() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut rows = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    rows.find(|row| row.get(2) == Some(&id.as_str())).map(|row| row[0].to_owned())
}

/// All connections of a run.
#[derive(Debug)]
pub struct Connections {
    settings: Settings,
    dialer: Dialer,
    programs: OnceLock<Programs>,
    slots: Mutex<HashMap<Target, Arc<Slot>>>,
}

/// What is open to one target. Its locks are held while opening, so that a second wish waits for the first.
#[derive(Debug, Default)]
struct Slot {
    link: Mutex<Option<Arc<Link>>>,
    remotes: Mutex<HashMap<(Option<Become>, Set), Place>>,
}

/// Where one host program is, or is to be.
type Place = Arc<Mutex<Option<Remote>>>;

impl Connections {
    pub fn new(settings: Settings) -> Connections {
        let config = Config::read(&settings.ssh_config, settings.home.as_deref());
        let programs = settings.programs.clone().map(OnceLock::from).unwrap_or_default();
        Connections { settings, dialer: Dialer::new(config), programs, slots: Mutex::default() }
    }

    /// The host program with a set of modules on a target, as the login user or another one; started unless it runs.
    pub async fn host(&self, target: &Target, wanted: Option<&Become>, set: Set) -> Result<Remote, ConnectError> {
        let slot = self.slot(target).await;
        let place = slot.remotes.lock().await.entry((wanted.cloned(), set)).or_default().clone();
        let mut place = place.lock().await;
        if let Some(remote) = place.as_ref().filter(|remote| !remote.is_lost()) {
            return Ok(remote.clone());
        }
        let remote = self.start(target, &slot, wanted, set).await?;
        *place = Some(remote.clone());
        Ok(remote)
    }

    async fn start(&self, target: &Target, slot: &Slot, wanted: Option<&Become>, set: Set) -> Result<Remote, ConnectError> {
        let programs = &self.programs.get_or_init(Programs::find).with(set);
        let opening = Opening::new(&target.name, wanted);
        let pipe = self.exec_line(target, slot, &opening.program_line(programs), false).await?;
        let frames = opening.run(pipe, programs).await?;
        Remote::start(&target.name, frames, self.settings.heartbeat).await
    }

    /// Runs one command in a channel of its own, with the login shell (`raw`); nothing is put on the host.
    pub async fn exec(
        &self,
        target: &Target,
        wanted: Option<&Become>,
        command: &str,
        stdin: Stdin<'_>,
        is_terminal: bool,
    ) -> Result<Output, ConnectError> {
        let slot = self.slot(target).await;
        let opening = Opening::new(&target.name, wanted);
        let line = opening.command_line(command);
        let mut pipe = self.exec_line(target, &slot, &line, is_terminal).await?;
        let stdout = opening.run_command(&mut pipe, is_terminal).await?;
        collect(&target.name, pipe, stdout, stdin).await
    }

    /// Closes what is open to a target (`meta: reset_connection`); the next wish opens it anew.
    pub async fn reset(&self, target: &Target) {
        let slot = self.slots.lock().await.remove(target);
        if let Some(slot) = slot {
            slot.close().await;
        }
    }

    /// Lets every host program end and says goodbye to every server.
    pub async fn close(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().await);
        let mut goodbyes = tokio::task::JoinSet::new();
        for slot in slots.into_values() {
            goodbyes.spawn(async move { slot.close().await });
        }
        while goodbyes.join_next().await.is_some() {}
    }

    /// What the user wrote for SSH and what has no effect; each is given out once.
    pub fn take_warnings(&self) -> Vec<Diagnostic> {
        self.dialer.take_warnings()
    }

    async fn slot(&self, target: &Target) -> Arc<Slot> {
        self.slots.lock().await.entry(target.clone()).or_default().clone()
    }

    async fn exec_line(&self, target: &Target, slot: &Slot, line: &str, is_terminal: bool) -> Result<Pipe, ConnectError> {
        if target.kind == Kind::Local {
            return local::exec(&target.name, line, self.settings.home.as_deref());
        }
        let link = self.link(target, slot).await?;
        match link.exec(line, is_terminal, self.settings.channel_wait).await {
            // It was dead and nobody had noticed; nothing ran.
            Err(_) if link.is_closed() => {
                let link = self.link(target, slot).await?;
                link.exec(line, is_terminal, self.settings.channel_wait).await
            }
            other => other,
        }
    }

    async fn link(&self, target: &Target, slot: &Slot) -> Result<Arc<Link>, ConnectError> {
        let mut link = slot.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| !link.is_closed()) {
            return Ok(link.clone());
        }
        let fresh = self.dialer.connect(target, &self.settings).await?;
        *link = Some(fresh.clone());
        Ok(fresh)
    }
}

impl Slot {
    async fn close(&self) {
        for place in self.remotes.lock().await.values() {
            if let Some(remote) = place.lock().await.take() {
                remote.close().await;
            }
        }
        if let Some(link) = self.link.lock().await.take() {
            link.close().await;
        }
    }
}

/// Feeds a command and reads it to its end, both at once.
async fn collect(host: &str, mut pipe: Pipe, stdout: Vec<u8>, stdin: Stdin<'_>) -> Result<Output, ConnectError> {
    let input = pipe.take_input();
    let feed = async move {
        let Some(mut input) = input else { return };
        if let Stdin::Bytes(bytes) = stdin {
            // A command need not read all of it.
            _ = input.write_all(bytes).await;
        }
        _ = input.shutdown().await;
    };
    let drain = async {
        let mut output = Output { stdout, ..Output::default() };
        let mut code = None;
        while let Some(piece) = pipe.next().await {
            match piece {
                Piece::Out(bytes) => output.stdout.extend(bytes),
                Piece::Err(bytes) => output.stderr.extend(bytes),
                Piece::Exit(exit) => code = Some(exit),
                Piece::Refused => return Err("the server does not run commands for this user".to_owned()),
            }
        }
        output.code = code.ok_or_else(|| pipe.reason().unwrap_or_else(|| "the channel was closed".to_owned()))?;
        Ok(output)
    };
    tokio::pin!(feed, drain);
    let mut is_fed = false;
    let ended = loop {
        tokio::select! {
            ended = &mut drain => break ended,
            () = &mut feed, if !is_fed => is_fed = true,
        }
    };
    ended.map_err(|reason: String| ConnectError::Lost { host: host.to_owned(), doing: "a command".to_owned(), reason })
}
