//! How a container boots systemd on this engine: found by booting one, and remembered.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::engine::{Engine, Kind};
use super::failure::LabError;
use super::machines::{LABEL, LabId};
use super::state;
use super::voice::Voice;

/// How long a container may take to boot.
const BOOT_MAX: Duration = Duration::from_secs(180);
/// So many inotify instances are enough for several labs.
const WATCHES_ENOUGH: u32 = 512;

/// Flags every machine needs, however it gets its rights.
const ALWAYS: [&str; 5] =
    ["--tmpfs=/run", "--tmpfs=/run/lock", "--stop-signal=SIGRTMIN+3", "--security-opt=seccomp=unconfined", "--pids-limit=-1"];

/// The single rights that stand for `--privileged` where an engine cannot give all (one in a container of its own lacks some).
const CAPABILITIES: [&str; 10] = [
    "SYS_ADMIN",
    "NET_ADMIN",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "MKNOD",
    "SETFCAP",
    "DAC_READ_SEARCH",
    "IPC_LOCK",
    "SYS_NICE",
    "AUDIT_WRITE",
];

/// A way to give a container what systemd and a Docker of its own need; tried in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    Privileged,
    Capabilities,
}

const WAYS: [Way; 2] = [Way::Privileged, Way::Capabilities];

#[derive(Serialize, Deserialize)]
struct Remembered {
    kind: Kind,
    way: Way,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Privileged => "--privileged",
            Self::Capabilities => "single capabilities",
        }
    }

    /// The flags for `docker run` on an engine of that kind.
    pub(super) fn flags(self, kind: &Kind) -> Vec<String> {
        let rights = match self {
            Self::Privileged => vec!["--privileged".to_owned()],
            Self::Capabilities => {
                let capabilities = CAPABILITIES.iter().map(|capability| format!("--cap-add={capability}"));
                let rest = [
                    "--security-opt=apparmor=unconfined",
                    "--security-opt=systempaths=unconfined",
                    "--device-cgroup-rule=a *:* rwm",
                ];
                capabilities.chain(rest.map(str::to_owned)).collect()
            }
        };
        let own_cgroups = kind.cgroup_version == "2" && self == Self::Privileged;
        let cgroups: &[&str] =
            if own_cgroups { &["--cgroupns=private"] } else { &["--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"] };
        ALWAYS.iter().chain(cgroups).map(|flag| (*flag).to_owned()).chain(rights).collect()
    }
}

/// The flags with which `image` boots: the remembered ones, or the first that work.
pub(super) async fn boot_flags(engine: &Engine, image: &str, id: &LabId, voice: &Voice) -> Result<Vec<String>, LabError> {
    let kind = engine.kind().await?;
    let path = memory()?;
    if let Some(way) = remembered(&path, &kind) {
        return Ok(way.flags(&kind));
    }
    voice.step("trying how a container boots systemd on this engine");
    let mut tried = Vec::new();
    for way in WAYS {
        match voice.during("a container to boot", try_boot(engine, image, id, &way.flags(&kind))).await {
            Ok(()) => {
                let flags = way.flags(&kind);
                remember(&path, &Remembered { kind, way })?;
                return Ok(flags);
            }
            Err(failure) => tried.push((way.name(), failure.tail().unwrap_or(&failure.to_string()).to_owned())),
        }
    }
    Err(LabError::NoBoot { tried })
}

fn memory() -> Result<PathBuf, LabError> {
    Ok(state::labs_dir()?.join("engine.json"))
}

fn remembered(path: &PathBuf, kind: &Kind) -> Option<Way> {
    let known: Remembered = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (known.kind == *kind).then_some(known.way)
}

fn remember(path: &PathBuf, known: &Remembered) -> Result<(), LabError> {
    let text = serde_json::to_vec(known).map_err(|error| LabError::file(path)(error.into()))?;
    state::write_private(path, &text)
}

/// Boots a container, and mounts something in it, as a Docker inside will.
async fn try_boot(engine: &Engine, image: &str, id: &LabId, flags: &[String]) -> Result<(), LabError> {
    let name = format!("roll-{id}-probe");
    let label = format!("{LABEL}={id}");
    let fixed = ["run", "-d", "--name", &name, "--label", &label].map(str::to_owned);
    let run: Vec<String> = fixed.into_iter().chain(flags.iter().cloned()).chain([image.to_owned()]).collect();
    let booted = async {
        engine.docker(run).await?;
        wait_for_boot(engine, &name).await?;
        engine.script(&name, "mount -t tmpfs probe /mnt\numount /mnt\n").await
    };
    let outcome = booted.await;
    let _ = engine.docker(["rm", "-f", "-v", &name]).await;
    outcome.map(drop)
}

/// Waits until systemd in a container has started all it is going to.
pub(super) async fn wait_for_boot(engine: &Engine, container: &str) -> Result<(), LabError> {
    let until = Instant::now() + BOOT_MAX;
    loop {
        // A unit that failed is no reason to stop here: what is needed is waited for by itself.
        let asked = engine.docker(["exec", container, "systemctl", "is-system-running"]).await;
        let said = match asked {
            Ok(said) => said,
            Err(LabError::Command { tail, .. }) => tail,
            Err(other) => return Err(other),
        };
        if !is_running(engine, container).await? {
            let log = engine.docker(["logs", "--tail", "5", container]).await.unwrap_or_default();
            return Err(no_boot(container, "its systemd ended".into(), format!("{said}\n{log}")));
        }
        let state = said.lines().last().unwrap_or_default();
        if state == "running" || state == "degraded" {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(no_boot(container, format!("not within {} s", BOOT_MAX.as_secs()), said));
        }
        sleep(Duration::from_millis(150)).await;
    }
}

fn no_boot(container: &str, because: String, tail: String) -> LabError {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").ok().and_then(|text| text.trim().parse().ok());
    LabError::Boot { machine: container.to_owned(), because, tail, watches: limit.filter(|limit| *limit < WATCHES_ENOUGH) }
}

async fn is_running(engine: &Engine, container: &str) -> Result<bool, LabError> {
    Ok(engine.docker(["inspect", "--format", "{{.State.Running}}", container]).await? == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cgroup_version: &str) -> Kind {
        Kind { id: "e".into(), version: "20.10".into(), kernel: "6.1".into(), cgroup_version: cgroup_version.into() }
    }

    #[test]
    fn only_a_privileged_container_on_cgroup_v2_has_cgroups_of_its_own() {
        let own = |way: Way, version: &str| way.flags(&kind(version)).contains(&"--cgroupns=private".to_owned());
        assert!(own(Way::Privileged, "2"));
        assert!(!own(Way::Privileged, "1"));
        assert!(!own(Way::Capabilities, "2"));
    }

    #[test]
    fn what_was_found_on_another_engine_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.json");
        remember(&path, &Remembered { kind: kind("1"), way: Way::Capabilities }).unwrap();
        assert_eq!(remembered(&path, &kind("1")), Some(Way::Capabilities));
        assert_eq!(remembered(&path, &kind("2")), None);
        assert_eq!(remembered(&dir.path().join("none"), &kind("1")), None);
    }
}
